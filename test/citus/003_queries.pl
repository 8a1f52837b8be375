# What is asked of distributed tables beside plain statements: COPY, prepared
# statements, cursors, procedures, other isolation levels, proof and lint.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Nodes;

my ($coordinator, @workers) = nodes('coordinator', 'worker1', 'worker2');
join_nodes($coordinator, @workers);
populate($coordinator, 'postgres');
sub dba { return $coordinator->safe_psql('postgres', $_[0]) }
sub as { my ($who, $sql) = @_; return answer($coordinator, 'postgres', $who, $sql) }
my $all = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";
my $with_token = "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token')); END \$\$;";

dba(<<'SQL');
CREATE TABLE log (project_id uuid NOT NULL, n integer NOT NULL, body text DEFAULT 'none', PRIMARY KEY (project_id, n));
CREATE TABLE prices (organization_id uuid PRIMARY KEY, amount integer);
SELECT tenancy.protect('log'), tenancy.protect_by_organization('prices');
INSERT INTO prices VALUES (id('acme'), 5);
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES (id('evil'), 'evil', id('eve'), 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name) VALUES (id('theirs'), id('evil'), 'theirs');
SELECT tenancy.create_ingest_view('events', 'events_in');
SELECT tenancy.distribute();
SELECT tenancy.distribute_table('events'), tenancy.distribute_table('log'), tenancy.distribute_table('prices');
SELECT tenancy.create_ingest_view('log', 'log_in');
GRANT INSERT ON events_in, log_in TO regress_tap;
GRANT SELECT, INSERT, UPDATE, DELETE ON log, prices TO regress_tap;
SQL

# ---- by organization ----
is(as('mia', 'SELECT amount FROM prices'), '5', 'a table of organizations, for a member');
is(as('mia', 'UPDATE prices SET amount = 6 RETURNING 1'), '', 'who may not change it');
is(as('adam', 'UPDATE prices SET amount = 6 RETURNING amount'), '6', 'as an administrator may');
is(as('eve', 'SELECT count(*) FROM prices'), '0', 'and for a stranger');

# ---- floors ----
# Citus makes restrictive policies permissive ones.
for my $worker (@workers)
{
	is($worker->safe_psql('postgres', "SET citus.override_table_visibility = off; SELECT count(*) > 8, bool_and(NOT polpermissive) FROM pg_policy WHERE polname ~ '^tenancy_floor'"),
		't|t', 'the floors of shards are restrictive on ' . $worker->name);
}
is(as('mia', 'DELETE FROM prices RETURNING 1'), '', 'a member deletes nothing of an organization');
dba('CREATE POLICY everything ON prices USING (true) WITH CHECK (true)');
is(as('eve', 'SELECT count(*) FROM prices'), '0', 'a policy of the application\'s own opens nothing to strangers');
is(as('mia', 'UPDATE prices SET amount = 7 RETURNING 1'), '', 'nor to members');
dba('DROP POLICY everything ON prices');
dba("SELECT tenancy.protect_by_organization('prices', editable_by => 'member')");
is(as('mia', 'UPDATE prices SET amount = 6 RETURNING amount'), '6', 'a distributed table can be protected otherwise');
dba("SELECT tenancy.protect_by_organization('prices')");
is(as('mia', 'UPDATE prices SET amount = 7 RETURNING 1'), '', 'and again');

# ---- COPY ----
is(ask($coordinator, 'postgres', "$with_token COPY log_in (n, body) FROM STDIN;\n1\tone\n2\t\\N\n\\.\nCOPY log_in (n) FROM STDIN;\n3\n\\.\nCOMMIT;"),
	'', 'COPY through an ingest view of a distributed table');
is(dba("SELECT string_agg(concat_ws('/', n, body), ',' ORDER BY n) FROM log WHERE project_id = id('open')"), '1/one,2,3/none', 'has put the rows into the project');
my $lines = join "\n", map { "$_\tx" } 1001 .. 3500;
is(ask($coordinator, 'postgres', "$with_token COPY log_in (n, body) FROM STDIN;\n$lines\n\\.\nCOMMIT;"), '', 'thousands of rows');
is(dba('SELECT count(*) FROM log WHERE n > 1000'), '2500', 'are all there');
like(ask($coordinator, 'postgres', "$with_token COPY log_in (project_id, n) FROM STDIN;\n" . dba("SELECT id('private')") . "\t9\n\\.\nCOMMIT;"),
	qr/ERROR:  42501: new row violates row-level security/, 'rows of another project are refused');
is(ask($coordinator, 'postgres', "$with_token COPY events_in (n) FROM STDIN;\n7\n\\.\nCOMMIT;"), '', 'an ingest view that was made before');
is(dba($all), '1,2,7', 'works, too');
like(as('mia', "COPY events FROM STDIN;\n" . dba("SELECT id('open')") . "\t9\n\\.\nSELECT 1"), qr/ERROR:  0A000: COPY FROM not supported with row-level security/, 'COPY into the table itself is refused');
like(as('mia', "INSERT INTO log SELECT id('open'), i FROM generate_series(10, 12) i"), qr/ERROR:  0A000: COPY FROM not supported with row-level security/,
	'and so are rows that are computed on the coordinator');
is(as('mia', "INSERT INTO log SELECT project_id, n + 10000 FROM events WHERE n < 7; SELECT count(*) FROM log WHERE n > 10000"), '2',
	'rows of a co-located table are not');
like(as('eve', "INSERT INTO log VALUES (id('open'), 99)"), qr/ERROR:  42501: new row violates row-level security/, 'a stranger writes nothing');
dba('DELETE FROM events WHERE n = 7');

# ---- plans ----
my $app = session($coordinator, 'postgres');
my $be = "DO \$\$ BEGIN PERFORM tenancy.act_as(id('%s')); END \$\$;";
$app->query("SET plan_cache_mode = force_generic_plan; PREPARE mine AS $all; PREPARE one (uuid) AS SELECT count(*) FROM events WHERE project_id = \$1");
for my $round (1 .. 3)
{
	is($app->query('BEGIN; ' . sprintf($be, 'mia') . ' EXECUTE mine; COMMIT'), '1,2', "a prepared statement, for a member, round $round");
	is($app->query('BEGIN; ' . sprintf($be, 'eve') . ' EXECUTE mine; COMMIT'), '', 'and for a stranger after her');
	my $private = dba("SELECT id('private')");
	is($app->query('BEGIN; ' . sprintf($be, 'mia') . " EXECUTE one ('$private'); COMMIT"), '1', 'of one shard');
	is($app->query('BEGIN; ' . sprintf($be, 'eve') . " EXECUTE one ('$private'); COMMIT"), '0', 'for a stranger');
	is($app->query('EXECUTE mine'), '', 'and for nobody');
}
my $two = dba("SELECT array_agg(id(x)) FROM unnest('{open,private}'::text[]) x");
my ($tasks) = as('mia', "EXPLAIN (COSTS OFF) SELECT * FROM events WHERE project_id = ANY ('$two')") =~ /Task Count: (\d+)/;
ok($tasks <= 2, 'a query that names two projects asks two shards at most');

# ---- cursors, procedures, CTAS ----
is($app->query('BEGIN; ' . sprintf($be, 'mia') . ' DECLARE c CURSOR FOR SELECT n FROM events ORDER BY n; FETCH 1 FROM c'), '1', 'a cursor');
$app->{stderr} = '';
$app->query(sprintf($be, 'eve') . ' FETCH 1 FROM c');
like($app->{stderr}, qr/identity changed while a query was running/, 'is not handed on');
$app->query('ROLLBACK');
dba(<<'SQL');
CREATE PROCEDURE in_steps(INOUT seen text) LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	seen := '';
	FOR r IN SELECT n FROM events ORDER BY n LOOP
		seen := seen || r.n;
		INSERT INTO log VALUES (id('open'), 500 + r.n);
		COMMIT;
	END LOOP;
	seen := seen || '/' || (SELECT count(*) FROM log WHERE n BETWEEN 501 AND 502);
END $$;
SQL
my $wide = "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$;";
is(ask($coordinator, 'postgres', "$wide CALL in_steps(NULL)"), '12/2', 'a procedure that commits');
is(dba('SELECT count(*) FROM log WHERE n BETWEEN 501 AND 502'), '2', 'has committed');
is(ask($coordinator, 'postgres', "$wide DO \$\$ DECLARE c refcursor; n integer; BEGIN OPEN c FOR SELECT e.n FROM events e ORDER BY e.n; FETCH c INTO n; INSERT INTO log VALUES (id('open'), 700 + n); COMMIT; RAISE EXCEPTION 'later'; END \$\$;") =~ /later/ && dba('SELECT count(*) FROM log WHERE n = 701'), '1',
	'COMMIT with an open cursor commits');
is(ask($coordinator, 'postgres', "$wide SET client_min_messages = error; CREATE FUNCTION pg_temp.f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM events); END'; SELECT pg_temp.f()"), '2', 'a function outside a transaction block');
is(ask($coordinator, 'postgres', "$wide CREATE TEMPORARY TABLE copy AS SELECT n FROM events; SELECT count(*) FROM copy"), '2', 'CREATE TABLE AS outside a transaction block');
is(ask($coordinator, 'postgres', "$wide COPY (SELECT n FROM events ORDER BY n) TO STDOUT"), "1\n2", 'COPY TO');
is(ask($coordinator, 'postgres', "$wide SELECT 1/0; $all"), 'ERROR:  22012: division by zero', 'an error');
is(ask($coordinator, 'postgres', "$wide INSERT INTO log VALUES (id('open'), 600); SELECT count(*) FROM log WHERE n = 600"), '1', 'statements outside a block are committed one by one');
is(ask($coordinator, 'postgres', "$wide SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM log l JOIN events e USING (project_id, n))"), '2|1', 'subqueries');

# ---- isolation levels ----
for my $level ('REPEATABLE READ', 'SERIALIZABLE')
{
	$app->query("BEGIN ISOLATION LEVEL $level; " . sprintf($be, 'mia'));
	is($app->query($all), '1,2', "at $level");
	as('alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
	is($app->query($all), '1', 'a revocation counts');
	as('alice', "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
	$app->query('COMMIT');
}

# ---- proof and lint ----
dba("INSERT INTO log VALUES (id('theirs'), 1)");
sub not_isolated { return dba("SELECT string_agg(format('%s: %s', relation, attempt), '; ') FROM tenancy.prove_isolation('regress_tap') WHERE NOT isolated") }
is(not_isolated(), '', 'isolation is proven');
is(dba("SELECT string_agg(coalesce(isolated::text, detail), ',') FROM tenancy.prove_isolation('regress_tap') WHERE relation = 'log'::regclass AND attempt ~ '^(a user|nobody):'"),
	join(',', ('true') x 8), 'by attempts on a distributed table');
# ... with the rights of the role, also of what the planner evaluates
dba(<<'SQL');
CREATE ROLE regress_tap_owner LOGIN;
GRANT CREATE ON SCHEMA public TO regress_tap_owner;
ALTER TABLE log OWNER TO regress_tap_owner;
CREATE FUNCTION evil(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN RAISE 'taken over'; END IF; RETURN true; END $$;
SET ROLE regress_tap_owner;
CREATE INDEX evil ON log (n) WHERE evil(1);
SQL
like($coordinator->safe_psql('postgres', 'SET client_min_messages = error; DO $$ BEGIN PERFORM n FROM log; EXCEPTION WHEN OTHERS THEN PERFORM set_config(\'regress.said\', SQLERRM, false); END $$; SELECT current_setting(\'regress.said\')'), qr/taken over/, 'a superuser who reads runs what an owner wrote');
is(dba("SELECT string_agg(coalesce(isolated::text, detail), ',') FROM tenancy.prove_isolation('regress_tap') WHERE relation = 'log'::regclass AND attempt ~ '^(a user|nobody|anybody: any):?'"),
	join(',', ('true') x 8), 'and the proof does not');
dba('DROP INDEX evil; DROP FUNCTION evil(integer); ALTER TABLE log OWNER TO CURRENT_USER; REVOKE ALL ON SCHEMA public FROM regress_tap_owner; DROP ROLE regress_tap_owner');
is(dba("SELECT coalesce(string_agg(rule || ' ' || object, ', '), '') FROM tenancy.lint() WHERE severity = 'error' AND rule <> 'server_outdated' AND object !~ 'secrets|secret\\('"), '', 'lint finds no error');
is(dba('SELECT count(*) FROM tenancy.check_integrity()'), '0', 'nor check_integrity()');
my ($shard) = split /\n/, dba("SELECT s.shardid FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid) WHERE s.shardid = get_shard_id_for_distribution_column('log', id('open'))");
my ($holder) = grep { $_->safe_psql('postgres', "SELECT to_regclass('log_$shard') IS NOT NULL") eq 't' } @workers;
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule = 'shard_open'"), '0', 'lint finds no open shard');
$holder->safe_psql('postgres', "SET citus.enable_manual_changes_to_shards = on; ALTER TABLE log_$shard DISABLE ROW LEVEL SECURITY");
like(not_isolated(), qr/log: nobody: reads everything.*log: a user: deletes/, 'the proof finds a shard without row security');

is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule = 'shard_open'"), '1', 'and so does lint');

done_testing();
