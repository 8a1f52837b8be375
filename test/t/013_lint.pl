# lint() where a session of pg_regress does not get: pg_hba.conf, pools, what is
# preloaded, and a database that was dumped and restored.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('lint');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
session_preload_libraries = 'tenancy'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_utility = off
log_statement = none
log_min_duration_statement = -1
log_min_error_statement = fatal
END
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', 'REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC');

# Which rules speak, of what; versions are the machine's.
sub findings
{
	my ($database) = @_;

	return $node->safe_psql($database, q{
		SELECT string_agg(rule || ': ' || object, ', ' ORDER BY rule, object) FROM tenancy.lint()
		WHERE rule NOT IN ('server_outdated', 'extension_outdated')});
}

is(findings('postgres'), '', 'a sound database: nothing to say');

# Whoever is trusted in one database can say who is acting in every other; lint()
# says so there, and trust that is taken back in one is gone in all.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'REVOKE TEMPORARY ON DATABASE other FROM PUBLIC; CREATE EXTENSION tenancy CASCADE');
my $eve = $node->safe_psql('other', q{SELECT tenancy.create_user('eve@other.example', 'Eve')});
my $says = "SET ROLE regress_tap; BEGIN; SET LOCAL tenancy.user_id = '$eve'; SELECT tenancy.current_user_id()";
is($node->safe_psql('other', $says), $eve, 'a role that was trusted in another database');
is(findings('other'), 'identity_settable: parameter tenancy.user_id', 'of which lint speaks');
$node->safe_psql('other', q{SELECT tenancy.revoke_application('regress_tap')});
is(findings('other'), '', 'no more');
for my $database ('other', 'postgres')
{
	my ($out, $err);

	$node->psql($database, $says, stdout => \$out, stderr => \$err);
	like($err, qr/permission denied to set parameter "tenancy.user_id"/, "in $database");
}
$node->safe_psql('postgres', q{SELECT tenancy.grant_application('regress_tap')});
$node->safe_psql('postgres', 'DROP DATABASE other');
is(findings('postgres'), '', 'and trusted again');

# attack 125: the text of utility statements in pg_stat_statements
$node->append_conf('postgresql.conf', 'pg_stat_statements.track_utility = on');
$node->reload;
is(findings('postgres'), 'credentials_in_log: setting pg_stat_statements.track_utility',
	'pg_stat_statements keeps CALL and SET');
for my $command (split /\n/, $node->safe_psql('postgres', 'SELECT remedy FROM tenancy.lint()'))
{
	$node->safe_psql('postgres', $command);
}
is(findings('postgres'), '', 'its remedy');

# attack 168: not preloaded
$node->append_conf('postgresql.conf', "session_preload_libraries = ''");
$node->reload;
is(findings('postgres'), 'not_preloaded: setting session_preload_libraries', 'not preloaded');
$node->safe_psql('postgres', $node->safe_psql('postgres', 'SELECT remedy FROM tenancy.lint()'));
is(findings('postgres'), '', 'its remedy');

# From other machines.
my $hba = $node->data_dir . '/pg_hba.conf';
my $before = slurp_file($hba);
append_to_file($hba, "host all regress_tap 10.0.0.0/8 scram-sha-256\n");
is(findings('postgres'), 'identity_from_outside: role regress_tap', 'a trusted role that is let in from outside');
unlink $hba;
append_to_file($hba, "$before\nhost all regress_tap 127.0.0.1/32 trust\nhost all regress_tap all reject\n");
is(findings('postgres'), '', 'from this machine only');

# A pool.
my @pool = map { session($node, 'postgres') } 1 .. 5;
is(findings('postgres'), 'pooled_role: role regress_tap', 'five connections of a trusted role');
$_->quit for @pool;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'regress_tap'});
is(findings('postgres'), '', 'none');

# attack 164: nothing is different after a restore.
my $dump = $node->backup_dir . '/lint.sql';
mkdir $node->backup_dir;
$node->command_ok([ 'pg_dump', '--file', $dump, 'postgres' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--file', $dump, 'restored' ], 'restored');
is(findings('restored'), 'not_preloaded: setting session_preload_libraries, temporary_tables: database restored',
	'only what belongs to the database itself is missing after a restore');
is($node->safe_psql('restored', 'SELECT * FROM tenancy.check_integrity()'), '', 'and the rows are sound');

$node->stop;
done_testing();
