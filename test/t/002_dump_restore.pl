# A dump, in whatever form and by whatever way it is restored, gives the same rows,
# the same answers and the same refusals (attacks 161 to 165); and dumped again, the
# same dump.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Inventory;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE original');

populate_all($node, 'original');

my @tables = tables_of($node, 'original');
cmp_ok(scalar @tables, '>=', 16, 'all tables are compared');

my $dir = $node->basedir;

# The dump without what differs from one to the next, and with the log's rows in
# one order: where there is room for one depends on what was there before.
sub dump_of
{
	my ($database) = @_;
	$node->command_ok([ 'pg_dump', '-f', "$dir/$database.sql", $database ], "$database is dumped");
	my $dump = join '', grep { !/^\\(un)?restrict / } split /^/, slurp_file("$dir/$database.sql");
	$dump =~ s/^(COPY tenancy\.audit_\w+ .*\n)((?:(?!\\\.).*\n)*)/$1 . join('', sort split(\/^\/m, $2))/gme;
	return $dump;
}

my $dump = dump_of('original');
my $before = answers_of($node, 'original');
my $rows = rows_of($node, 'original');
# what the nodes of a cluster know each other by is not dumped
like($rows, qr/^\Q$_\E /m, "$_ has rows to lose") foreach grep { $_ ne 'tenancy.cluster' } @tables;
is($node->safe_psql('original', 'SELECT count(claimed_at) > 0, count(sent_at) > 0, count(dead_at) > 0, count(invite_id) > 0, bool_or(attempts = 0) FROM tenancy.notifications'),
	't|t|t|t|t', 'mail in every state');
like($before, qr/of acme/, 'the answers include rows');
like($before, qr/$_/, "and refusals with $_") foreach qw(28000 P0002 42501 55000);

# Every form of a dump, and the ways to restore each.
sub dumped
{
	my ($form, @options) = @_;
	$node->command_ok([ 'pg_dump', @options, '-f', "$dir/$form", 'original' ], "dumped: @options");
	return;
}
dumped('custom', '-Fc');
dumped('directory', '-Fd', '-j', '2');
if ($ENV{TENANCY_ALL})
{
	dumped('tar', '-Ft');
	dumped('inserts.sql', '--inserts', '--rows-per-insert=3');
}
dumped('schema.sql', '--schema-only');
dumped('data.sql', '--data-only');
my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d');
my @restore = ('pg_restore', '--exit-on-error', '-d');
my %restore = (
	plain => [ [ @psql, '=', '-f', "$dir/original.sql" ] ],
	plain_1 => [ [ @psql, '=', '-1', '-f', "$dir/original.sql" ] ],
	inserts => [ [ @psql, '=', '-f', "$dir/inserts.sql" ] ],
	custom => [ [ @restore, '=', "$dir/custom" ] ],
	custom_1 => [ [ @restore, '=', '--single-transaction', "$dir/custom" ] ],
	tar => [ [ @restore, '=', "$dir/tar" ] ],
	parallel => [ [ @restore, '=', '-j', '3', "$dir/directory" ] ],
	parts => [ [ @psql, '=', '-f', "$dir/schema.sql" ], [ @psql, '=', '-f', "$dir/data.sql" ] ],
	parts_1 => [ [ @psql, '=', '-1', '-f', "$dir/schema.sql" ], [ @psql, '=', '-1', '-f', "$dir/data.sql" ] ],
	custom_parts => [ [ @restore, '=', '--schema-only', "$dir/custom" ], [ @restore, '=', '--data-only', '-j', '2', "$dir/custom" ] ],
	sections => [ map { [ @restore, '=', "--section=$_", "$dir/directory" ] } qw(pre-data data post-data) ]);

# All of them in make test-recovery, here some.
my @chosen = $ENV{TENANCY_ALL} ? sort keys %restore : qw(custom_1 parallel parts_1 plain);
foreach my $database (@chosen)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	# Parallel jobs load the extension's tables in no order, so their foreign keys
	# must not be looked at; a dump is consistent in itself.
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica' if grep { $_ eq '-j' } map { @$_ } @{ $restore{$database} };
	foreach my $step (@{ $restore{$database} })
	{
		my @command = map { $_ eq '=' ? $database : $_ } @$step;
		$node->command_ok(\@command, "$database: restored by @command[0, 1, 2, 4 .. $#command - 1]");
	}
	same(rows_of($node, $database), $rows, "$database: the same rows");
	is($node->safe_psql($database, 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', "$database: check_integrity() and verify_audit() find nothing");
}
foreach my $database ($ENV{TENANCY_ALL} ? @chosen : qw(parts_1))
{
	same(answers_of($node, $database), $before, "$database: identical answers and refusals");
}
is($node->safe_psql('plain', q(SELECT count(*) > 20, count(DISTINCT relation), count(*) FILTER (WHERE salt IS NULL AND personal_hash IS NOT NULL) > 0 FROM tenancy.audit_entries)),
	't|10|t', 'the log has entries of every table, and such as were erased');
foreach my $at (split /\n/, $node->safe_psql('original', 'SELECT DISTINCT at FROM tenancy.audit_log ORDER BY 1'))
{
	my $then = "SELECT * FROM tenancy.access_at('$at') ORDER BY 1, 2, 3";
	my $expected = $node->safe_psql('original', $then);
	is($node->safe_psql('plain', $then), $expected, "who had access at $at");
}
is(dump_of('plain'), $dump, 'dumped again, it is the same dump');
is($node->safe_psql('plain', q(SELECT tenancy.refresh_rollup('events_sum'))), '0', 'a rollup is one still');

# Another server, whose superuser has another name and whose roles have others: the
# owners and rights of the dump are left out, and given to those who are there.
my $elsewhere = PostgreSQL::Test::Cluster->new('elsewhere');
$elsewhere->init(extra => [ '--username=boss' ]);
{
	local $ENV{PGUSER} = 'boss';
	$elsewhere->start;
	create_roles($elsewhere);
	$elsewhere->safe_psql('postgres', 'CREATE ROLE regress_client LOGIN; CREATE ROLE regress_owner; CREATE DATABASE moved');
	$elsewhere->command_ok([ 'pg_restore', '--exit-on-error', '--no-owner', '--no-privileges', '-d', 'moved', "$dir/custom" ],
		'restored elsewhere without owners and rights');
	is(answers_of($elsewhere, 'moved', 'regress_client') =~ /of acme/, '', 'whoever was given nothing sees nothing');
	$elsewhere->safe_psql('moved', <<'SQL');
SELECT tenancy.grant_application('regress_client');
GRANT SELECT, INSERT, UPDATE, DELETE ON events, settings, parted, parted_1, parted_2, wide, ledger, base TO regress_client;
GRANT USAGE ON SCHEMA a_parts, z_parts TO regress_client;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA a_parts, z_parts TO regress_client;
GRANT SELECT ON events_report, settings_report, events_sum TO regress_client;
ALTER TABLE events OWNER TO regress_owner;
SQL
	same(rows_of($elsewhere, 'moved'), $rows, 'elsewhere: the same rows');
	same(answers_of($elsewhere, 'moved', 'regress_client'), $before, 'elsewhere: identical answers and refusals');
	is($elsewhere->safe_psql('moved', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'elsewhere: check_integrity() and verify_audit() find nothing');
	is($elsewhere->safe_psql('moved', q(SELECT * FROM tenancy.lint() WHERE rule IN ('altered', 'policy_missing', 'policy_altered', 'row_security_off', 'row_security_not_forced'))), '',
		'elsewhere: nor does lint()');
	$elsewhere->stop;
}

# --disable-triggers silences what the extension's own tables need: it is refused
# where it would lose the plans, and what it leaves behind is found.
$node->safe_psql('postgres', 'CREATE DATABASE silenced TEMPLATE template0');
$node->command_ok([ @psql, 'silenced', '-f', "$dir/schema.sql" ], 'a schema');
$node->command_fails_like([ @restore, 'silenced', '--data-only', '--disable-triggers', "$dir/custom" ],
	qr/duplicate key value violates unique constraint "plans_pkey"/, 'data with triggers disabled do not go in');
is($node->safe_psql('silenced', q(SELECT DISTINCT rule, problem FROM tenancy.check_integrity() WHERE object LIKE 'trigger % on tenancy.plans' OR object LIKE 'foreign key triggers of tenancy.plans')),
	'altered|was altered', 'and check_integrity() finds the disabled triggers');

# attack 163: what tells other backends still fires there, whatever the mode.
is($node->safe_psql('plain', q(SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'invalidate%' AND tgenabled <> 'A')),
	'0', 'the triggers that invalidate are ENABLE ALWAYS');

# attack 161: whoever is subject to row security gets an error, not an empty dump.
$node->safe_psql('postgres', "GRANT USAGE ON SCHEMA public TO regress_tap");
$node->command_fails_like([ 'pg_dump', '-U', 'regress_tap', '-t', 'events', 'original' ],
	qr/row-level security/, 'a dump by the application fails instead of losing rows');

# Bound roles: what was in force is, also where the role has another oid by now; what
# was not is left behind, and where the role is missing it counts for nothing.
sub seen_by
{
	my ($role, $database) = @_;
	return $node->safe_psql($database, "SELECT string_agg(n::text, ',' ORDER BY n) FROM events",
		extra_params => [ '-U', $role ]);
}
is(seen_by('regress_bi', $_), '1', "$_: a bound role sees its project") foreach 'original', 'plain', 'parallel';
is(seen_by('regress_bi_all', $_), '1,2', "$_: a bound role sees all that its user does") foreach 'original', 'plain', 'parallel';
$node->safe_psql('original', <<'SQL');
CREATE ROLE regress_dropped LOGIN;
CREATE ROLE regress_old_name LOGIN;
CREATE ROLE regress_absent LOGIN;
CREATE ROLE regress_reborn LOGIN;
GRANT SELECT ON events TO PUBLIC;
SELECT tenancy.bind_role(r::regrole, id('alice')) FROM unnest('{regress_dropped,regress_old_name,regress_absent,regress_reborn}'::text[]) r;
DROP ROLE regress_dropped;
CREATE ROLE regress_dropped LOGIN;
ALTER ROLE regress_old_name RENAME TO regress_new_name;
CREATE ROLE regress_old_name LOGIN;
SQL
my %seen = (regress_dropped => '', regress_old_name => '', regress_new_name => '', regress_absent => '1,2', regress_reborn => '1,2');
is(seen_by($_, 'original'), $seen{$_}, "before the dump: $_") foreach sort keys %seen;
dump_of('original');
# another cluster: one role is missing there, another has another oid
$node->safe_psql('original', 'DROP OWNED BY regress_absent, regress_reborn; DROP ROLE regress_absent, regress_reborn');
$node->safe_psql('postgres', 'CREATE ROLE regress_reborn LOGIN');
is(seen_by('regress_reborn', 'original'), '', 'a later role of the name is not bound here');
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere TEMPLATE template0');
{
	# with triggers off, but for those that are always on
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/original.sql", 'elsewhere' ], 'restored elsewhere');
}
is($node->safe_psql('elsewhere', 'SELECT role_name, user_name, problem FROM tenancy.bound_roles ORDER BY 1'),
	"regress_absent|alice|there is no such role\nregress_bi|mia|\nregress_bi_all|adam|\nregress_reborn|alice|", 'the bindings there');
$node->safe_psql('postgres', 'CREATE ROLE regress_absent LOGIN');
is(seen_by($_, 'elsewhere'), $_ eq 'regress_reborn' ? '1,2' : '', "elsewhere: $_") foreach sort keys %seen;
$node->safe_psql('elsewhere', "SELECT tenancy.bind_role('regress_absent', id('mia'))");
is(seen_by('regress_absent', 'elsewhere'), '1,2,3', 'and bound again');

done_testing();
