# pg_upgrade, and a dump, from an older major version of PostgreSQL to this one: the
# same rows, answers and refusals, and objects of the extension that are as they were
# made.  Handed the older version's programs by TENANCY_OLD_BINDIR, into which the
# extension has been installed; make test-versions does all that.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t";
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Inventory;
use Versions;

my $old_bindir = $ENV{TENANCY_OLD_BINDIR};
plan(skip_all => 'no older server is named by TENANCY_OLD_BINDIR; make test-versions names one') if !$old_bindir;
chomp(my $new_bindir = `@{[ $ENV{PG_CONFIG} // 'pg_config' ]} --bindir`);

my $old = PostgreSQL::Test::Cluster->new('old', install_path => dirname($old_bindir));
# no timestamps and no checksums that one version has by default and the other not
my @init = ('--no-locale', '--encoding=UTF8');
$old->init(extra => \@init);
$old->start;
populate_all($old, 'postgres');
note('from ' . $old->safe_psql('postgres', 'SELECT version()'));
my $rows = rows_of($old, 'postgres');
my $before = answers_of($old, 'postgres');
is($old->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'before: check_integrity() and verify_audit() find nothing');

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ @init, `initdb --help` =~ /--no-data-checksums/ ? '--no-data-checksums' : () ]);

# By dump, which the newer version takes.
$new->start;
note('to ' . $new->safe_psql('postgres', 'SELECT version()'));
my $dump = $new->basedir . '/dump';
command_ok([ "$new_bindir/pg_dump", '-Fc', '-f', $dump, '-d', $old->connstr('postgres') ], 'the newer pg_dump dumps the older server');
$new->safe_psql('postgres', 'CREATE ROLE regress_tap LOGIN; CREATE DATABASE dumped TEMPLATE template0');
create_roles($new);
$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'dumped', $dump ], 'and it is restored');
$new->safe_psql('dumped', "SELECT tenancy.grant_application('regress_tap')");

sub all_same
{
	my ($database, $how) = @_;
	same(rows_of($new, $database), $rows, "$how: the same rows");
	same(answers_of($new, $database), $before, "$how: identical answers and refusals");
	is($new->safe_psql($database, 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', "$how: check_integrity() and verify_audit() find nothing");
	is($new->safe_psql($database, q(SELECT rule, object FROM tenancy.lint() WHERE rule ~ '^(altered|policy_|row_security_(off|not)|rights_beyond|tenancy_grants)')), '',
		"$how: lint() finds nothing altered");
	return;
}
all_same('dumped', 'by dump');
$new->safe_psql('postgres', 'DROP DATABASE dumped');
$new->safe_psql('postgres', 'REVOKE ALL ON PARAMETER tenancy.user_id FROM regress_tap; DROP ROLE regress_tap, regress_bi, regress_bi_all');
$new->stop;
$old->stop;

# By pg_upgrade.
sub upgrade
{
	my ($to, $bindir, @options) = @_;
	return ($bindir . '/pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $to->data_dir, '-b', $old_bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $to->port, @options);
}
chdir $new->basedir or die $!;
my $without = second_installation();
command_checks_all([ upgrade($new, path_of($without) . '/bin', '--check') ], 1,
	[ qr/references loadable libraries that are missing/ ], [], 'a server without the extension is refused');
command_ok([ upgrade($new, $new_bindir) ], 'pg_upgrade');
$new->start;
all_same('postgres', 'by pg_upgrade');
is(answer($new, 'postgres', 'alice', "SELECT tenancy.create_project(id('acme'), 'new') IS NOT NULL"), 't', 'and work goes on');
$new->stop;
done_testing();
