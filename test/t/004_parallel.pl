# Parallel workers see what a serial plan sees: for every way to be somebody, at
# every moment of a transaction.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_worker_processes = 16');
$node->append_conf('postgresql.conf', 'max_parallel_workers = 8');
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
INSERT INTO events SELECT id(p), n FROM unnest(ARRAY['open', 'private', 'missing']) p, generate_series(10, 4009) n
	WHERE p <> 'missing';
ANALYZE events;
SQL

my $switch = $node->safe_psql('postgres',
	"SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')");
my $parallel = "SET $switch = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; "
  . "SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0; "
  . "SET parallel_leader_participation = off; SET max_parallel_workers_per_gather = 2; SET enable_indexonlyscan = off";
my $serial = 'SET max_parallel_workers_per_gather = 0';

# Everything a worker can be asked.
my $question = <<'SQL';
SELECT count(*), sum(n), count(DISTINCT project_id),
	count(*) FILTER (WHERE tenancy.can_edit(project_id, 'administrator')),
	count(*) FILTER (WHERE tenancy.can_write(project_id)),
	count(*) FILTER (WHERE tenancy.can('project.manage', project_id)),
	min(tenancy.level_in(project_id)),
	bool_and(tenancy.current_user_id() IS NULL), bool_and(tenancy.current_project_id() IS NULL)
FROM events
SQL

# Plans do run in workers, which alone read the rows.
like(answer($node, 'postgres', 'mia', "$parallel; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $question"),
	qr/Workers Launched: [12]\b/, 'workers are at work');
unlike(answer($node, 'postgres', 'mia', "$serial; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $question"),
	qr/Gather/, 'and are not');

my $sign = "DO \$\$ BEGIN PERFORM tenancy.%s; END \$\$";
my %identity = (
	'nobody' => '',
	'act_as, Owner' => sprintf($sign, "act_as(id('alice'))"),
	'act_as, Member' => sprintf($sign, "act_as(id('mia'))"),
	'act_as, stranger' => sprintf($sign, "act_as(id('eve'))"),
	'act_as, missing' => sprintf($sign, "act_as(id('missing'))"),
	'act_as, session-wide' => sprintf($sign, "act_as(id('mia'), true)") . '; COMMIT; BEGIN',
	'act_as, an earlier transaction' => sprintf($sign, "act_as(id('mia'))") . '; COMMIT; BEGIN',
	'setting' => "SET LOCAL tenancy.user_id = 'MIA'",
	'setting, an earlier transaction' => "SET tenancy.user_id = 'MIA'; COMMIT; BEGIN",
	'setting, rolled back' => "SAVEPOINT s; SET LOCAL tenancy.user_id = 'MIA'; ROLLBACK TO s",
	'setting, a savepoint' => "SET LOCAL tenancy.user_id = 'MIA'; SAVEPOINT s; SET LOCAL tenancy.user_id = 'ALICE'; RELEASE s",
	'session' => sprintf($sign, "authenticate(secret('session'))"),
	'project token' => sprintf($sign, "authenticate(secret('token'))"),
	'narrowed' => sprintf($sign, "act_as(id('alice'))") . "; SET LOCAL tenancy.project_id = 'OPEN'",
	'narrowed to nothing' => sprintf($sign, "act_as(id('mia'))") . "; SET LOCAL tenancy.project_id = 'MISSING'",
	'two at once' => "SET LOCAL tenancy.user_id = 'ALICE'; " . sprintf($sign, "act_as(id('mia'))"),
	'changed in this transaction' => sprintf($sign, "act_as(id('alice'))")
	  . "; DO \$\$ BEGIN PERFORM tenancy.remove_member(id('acme'), id('mia')); END \$\$; " . sprintf($sign, "act_as(id('mia'))"),
	'privacy changed in this transaction' => sprintf($sign, "act_as(id('alice'))")
	  . "; DO \$\$ BEGIN PERFORM tenancy.remove_project_member(id('private'), id('mia')); PERFORM tenancy.set_project_privacy(id('private'), false); END \$\$; "
	  . sprintf($sign, "act_as(id('mia'))"));

my %id = map { uc($_) => $node->safe_psql('postgres', "SELECT id('$_')") } qw(mia alice open missing);
my %seen;
foreach my $isolation ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	foreach my $name (sort keys %identity)
	{
		my $how = $identity{$name};
		$how =~ s/'(MIA|ALICE|OPEN|MISSING)'/'$id{$1}'/g;
		my @answers = map {
			ask($node, 'postgres', "SET default_transaction_isolation = '$isolation'; $_; BEGIN; $how; $question; ROLLBACK")
		} $serial, $parallel;
		is($answers[1], $answers[0], "$isolation, $name: workers see the same");
		$seen{$name} = (split /\|/, $answers[0])[0];
	}
}
# The comparison is of something.
my %expected = (
	(map { $_ => 8002 } 'act_as, Owner', 'act_as, Member', 'act_as, session-wide', 'setting', 'setting, a savepoint',
		'session', 'two at once', 'privacy changed in this transaction'),
	(map { $_ => 0 } 'nobody', 'act_as, stranger', 'act_as, missing', 'act_as, an earlier transaction',
		'setting, an earlier transaction', 'setting, rolled back', 'project token', 'narrowed to nothing',
		'changed in this transaction'),
	'narrowed' => 4001);
is_deeply(\%seen, \%expected, 'and each sees what is theirs');

# What others commit meanwhile arrives in workers too, in a prepared statement of
# an open transaction; an old snapshot does not open the past there (attack 99).
foreach my $mode ($serial, $parallel)
{
	foreach my $isolation ('READ COMMITTED', 'REPEATABLE READ')
	{
		my $name = ($mode eq $serial ? 'serial' : 'parallel') . ", $isolation";
		my $later = $isolation eq 'READ COMMITTED' ? 8002 : 4001;
		my $mia = session($node, 'postgres');
		$mia->query("$mode; SET plan_cache_mode = force_generic_plan; PREPARE hot AS SELECT count(*) FROM events");
		answer($node, 'postgres', 'alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
		$mia->query("BEGIN ISOLATION LEVEL $isolation");
		$mia->query(sprintf($sign, "act_as(id('mia'))"));
		is($mia->query('EXECUTE hot'), '4001', "$name: before");
		answer($node, 'postgres', 'alice', "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
		is($mia->query('EXECUTE hot'), $later, "$name: after a grant");
		answer($node, 'postgres', 'alice',
			"SELECT tenancy.remove_project_member(id('private'), id('mia')); SELECT tenancy.set_project_privacy(id('open'), true)");
		is($mia->query('EXECUTE hot'), '0', "$name: after a revocation");
		$mia->query('COMMIT');
		answer($node, 'postgres', 'alice',
			"SELECT tenancy.add_project_member(id('private'), id('mia'), 'member'); SELECT tenancy.set_project_privacy(id('open'), false)");
		$mia->quit;
	}
}

# A bound login role: workers find the binding themselves, and never another one
# than their leader.
$node->safe_psql('postgres', 'CREATE ROLE regress_bi LOGIN; GRANT SELECT ON events TO regress_bi');
foreach my $mode ($serial, $parallel)
{
	my $name = $mode eq $serial ? 'serial' : 'parallel';
	my $bi = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_bi' ]);
	$bi->query("$mode; SET plan_cache_mode = force_generic_plan; PREPARE hot AS SELECT count(*), count(DISTINCT project_id), "
		. "bool_and(tenancy.current_user_id() IS NULL), bool_and(tenancy.current_project_id() IS NULL) FROM events");
	is($bi->query('EXECUTE hot'), '0|0||', "$name: not bound");
	$node->safe_psql('postgres', "SELECT tenancy.bind_role('regress_bi', id('alice'))");
	is($bi->query('EXECUTE hot'), '8002|2|f|t', "$name: bound");
	$node->safe_psql('postgres', "SELECT tenancy.bind_role('regress_bi', id('alice'), id('open'))");
	is($bi->query('EXECUTE hot'), '4001|1|f|f', "$name: bound, narrowed");
	$bi->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
	is($bi->query('EXECUTE hot'), '4001|1|f|f', "$name: an old snapshot");
	$node->safe_psql('postgres', "SELECT tenancy.bind_role('regress_bi', id('alice'), id('private'))");
	is($bi->query('EXECUTE hot'), '0|0||', "$name: the old project and the new one have nothing in common");
	$bi->query('COMMIT');
	is($bi->query('EXECUTE hot'), '4001|1|f|f', "$name: rebound");
	$bi->query('BEGIN');
	$bi->query(sprintf($sign, "authenticate(secret('session'))"));
	is($bi->query('EXECUTE hot'), '8002|2|f|t', "$name: signed in as somebody else");
	$bi->query('COMMIT');
	is($bi->query('EXECUTE hot'), '4001|1|f|f', "$name: and back");
	$bi->quit;
	# a session authorization that was set
	is($node->safe_psql('postgres', "SET SESSION AUTHORIZATION regress_bi; $mode; SELECT count(*) FROM events"), '4001', "$name: as set");
	$node->safe_psql('postgres', "SELECT tenancy.unbind_role('regress_bi')");
}
done_testing();
