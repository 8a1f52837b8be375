# What cannot be distributed, and nodes that are missing, unfit or late: an error
# that says which node it is and what to do, and no row for anybody.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Nodes;

my ($coordinator, $worker1, $worker2, $late) = nodes('coordinator', 'worker1', 'worker2', 'late');
my %address = map { $_->name => $_->host . ':' . $_->port } $coordinator, $worker1, $worker2, $late;
sub dba { return $coordinator->safe_psql('postgres', $_[0]) }
sub as { my ($who, $sql) = @_; return answer($coordinator, 'postgres', $who, $sql) }
sub refused
{
	my ($sql, $state, $pattern, $name) = @_;
	like(error_of($coordinator, $sql), qr/^ERROR:  $state: .*$pattern/s, $name);
	return;
}
my $distribute = 'SELECT tenancy.distribute()';
my $all = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";

# ---- no cluster ----
dba('CREATE DATABASE without');
$coordinator->safe_psql('without', 'CREATE EXTENSION tenancy CASCADE; CREATE TABLE notes (project_id uuid); SELECT tenancy.protect(\'notes\')');
for my $call ("$distribute", "SELECT tenancy.distribute_table('notes')")
{
	my (undef, undef, $error) = $coordinator->psql('without', "\\set VERBOSITY verbose\n$call");
	like($error, qr/ERROR:  0A000: extension "citus" is not installed in this database.*HINT:  Add it to shared_preload_libraries/s,
		"$call without Citus");
}
populate($coordinator, 'postgres');
refused($distribute, '55000', 'this node is not the coordinator of a Citus cluster.*HINT:  Connect to the coordinator', 'no cluster');
join_nodes($coordinator, $worker1, $worker2);
like(ask_worker($coordinator, 'regress_tap', $distribute), qr/ERROR:  42501/, 'not for everybody');
like(error_of($worker1, $distribute), qr/ERROR:  55000: this node is not the coordinator/, 'not on a worker');

# ---- tables ----
refused("SELECT tenancy.distribute_table('events')", '55000', 'tenancy is not distributed.*HINT:  Run SELECT tenancy.distribute\(\) first',
	'a table before the rest');
dba($distribute);
dba(<<'SQL');
CREATE TABLE plain (project_id uuid);
CREATE TABLE badly_keyed (id uuid PRIMARY KEY, project_id uuid NOT NULL, name text, UNIQUE (project_id, name));
CREATE UNIQUE INDEX badly_indexed ON badly_keyed (name);
CREATE TABLE parted (project_id uuid NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
SELECT tenancy.protect('badly_keyed'), tenancy.protect('parted');
SQL
refused("SELECT tenancy.distribute_table('plain')", '55000', 'relation "public.plain" is not protected.*HINT:  Call tenancy.protect\(\)', 'a table that is not protected');
refused("SELECT tenancy.distribute_table('badly_keyed')", '55000',
	'table "public.badly_keyed" cannot be distributed by column "project_id".*badly_indexed, badly_keyed_pkey\..*HINT:  Put the column into each of them, as in PRIMARY KEY \(project_id, id\)',
	'unique keys without the column');
refused("SELECT tenancy.distribute_table('parted_1')", '55000', 'table "public.parted_1" is a part of another.*HINT', 'a partition');
refused('SELECT tenancy.distribute_table(NULL)', '22004', 'relation must not be null', 'NULL');
dba("SELECT tenancy.distribute_table('parted')");
dba("INSERT INTO parted VALUES (id('open'), '2026-05-05'), (id('private'), '2026-05-06'); GRANT SELECT ON parted, parted_1 TO regress_tap");
dba("CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2027-01-01') TO ('2028-01-01'); GRANT SELECT ON parted_2 TO regress_tap;
	 INSERT INTO parted VALUES (id('private'), '2027-05-06')");
is(as('mia', "SELECT count(*) FROM parted"), '3', 'a partitioned table');
is(as('eve', "SELECT (SELECT count(*) FROM parted), (SELECT count(*) FROM parted_1), (SELECT count(*) FROM parted_2)"), '0|0|0',
	'and its partitions, also one that came later, are closed to strangers');
is(as('mia', "SELECT count(*) FROM parted_2"), '1', 'and open to members');
dba("SELECT tenancy.distribute_table('events')");
refused("SELECT tenancy.distribute_table('events')", '55000', 'table "public.events" is distributed already.*HINT', 'twice');
is(as('mia', $all), '1,2', 'what could be distributed works');
dba($distribute);
is(as('mia', $all), '1,2', 'also after distribute() is called again');

# ---- a role that is trusted on a worker ----
# Where a DBA has given it away, whoever logs in there is anybody: lint says so.
$worker1->safe_psql('postgres', 'GRANT SET ON PARAMETER tenancy.user_id TO regress_tap');
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule = 'worker_trusts' AND object = 'node $address{worker1}' AND problem ~ 'regress_tap'"), '1',
	'lint finds a role that may say on a worker who is acting');
$worker1->safe_psql('postgres', 'REVOKE SET ON PARAMETER tenancy.user_id FROM regress_tap');
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule ~ '^(worker_trusts|node_|feed_|distributed_)'"), '0', 'or none');

# ---- a worker that missed something ----
my $feed = $worker2->safe_psql('postgres', "SET citus.override_table_visibility = off; SELECT c.oid::regclass FROM pg_class c WHERE c.relname ~ '^feed_[0-9]+\$'");
my (undef, undef, $refused) = $worker2->psql('postgres', qq(SET citus.enable_manual_changes_to_shards = on; INSERT INTO $feed VALUES ('{"relation": "audit_entries", "come": []}')));
like($refused, qr/table "audit_entries" is not one that every node has/, 'the feed is for the tables that every node has');
$worker2->safe_psql('postgres', "SET citus.enable_manual_changes_to_shards = on; ALTER TABLE $feed DISABLE TRIGGER USER");
is(dba("SELECT string_agg(object || ': ' || problem, '') FROM tenancy.lint() WHERE rule = 'node_outside'"),
	"node $address{worker2}: it does not apply what the coordinator changes", 'lint finds a worker that does not listen');
$worker2->safe_psql('postgres', "SET citus.enable_manual_changes_to_shards = on; ALTER TABLE $feed ENABLE TRIGGER USER");
dba('ALTER TABLE tenancy.memberships DISABLE TRIGGER tenancy_citus_delete');
is(dba("SELECT string_agg(object, '') FROM tenancy.lint() WHERE rule = 'feed_incomplete'"), 'table tenancy.memberships',
	'and a table whose changes are not sent');
dba($distribute);
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule ~ '^(node_|feed_)'"), '0', 'which distribute() repairs');

# ---- a node that comes later ----
dba(sprintf "SELECT citus_add_node('%s', %d)", $late->host, $late->port);
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule = 'node_outside' AND object = 'node $address{late}'") > 0, 1, 'lint finds a node that has not taken part');
dba("SELECT replicate_reference_tables('block_writes')");
dba("SELECT citus_move_shard_placement(s.shardid, n.nodename, n.nodeport, '" . $late->host . "', " . $late->port . ", 'block_writes')
	FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node n USING (groupid)
	WHERE s.shardid = get_shard_id_for_distribution_column('events', id('private'))");
like(as('mia', $all), qr/ERROR:  55000: this node has not taken part in the last tenancy.distribute\(\).*HINT:  Run SELECT tenancy.distribute\(\).*$address{late}/s,
	'a query that needs it fails, and names it');
is(ask_worker($late, 'regress_tap', 'SELECT count(*) FROM events'), '0', 'and it shows nothing');
dba($distribute);
is(as('mia', $all), '1,2', 'after distribute() it takes part');
is(as('eve', $all), '', 'for those who may see');
is(dba("SELECT count(*) FROM tenancy.lint() WHERE rule ~ '^(shard_|node_|feed_)'"), '0', 'and a shard that has moved is protected like the others');

# ---- versions ----
$worker1->safe_psql('postgres', "SET citus.enable_ddl_propagation = off; UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'tenancy'");
refused($distribute, '55000', "node $address{worker1} cannot take part: it has version 0.0.9 of the extension \"tenancy\", and the coordinator has version .*HINT:  Run ALTER EXTENSION tenancy UPDATE TO",
	'another version of the extension on a worker');
refused("SELECT tenancy.distribute_table('badly_keyed')", '55000', "node $address{worker1} cannot take part: .* version 0.0.9", 'nor is a table spread over it');
like(as('mia', $all), qr/ERROR:  55000: the library of extension "tenancy" is version .*, its SQL objects are version 0.0.9.*$address{worker1}/s,
	'a query fails, and names the node');
$worker1->safe_psql('postgres', "UPDATE pg_extension SET extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'tenancy') WHERE extname = 'tenancy'");
is(as('mia', $all), '1,2', 'until that is repaired');

# ---- without the library ----
$worker1->append_conf('postgresql.conf', "shared_preload_libraries = 'citus'");
$worker1->restart;
refused($distribute, '55000', "node $address{worker1} cannot take part: it does not preload the library .*HINT:  Set shared_preload_libraries", 'a worker that does not preload the library');
is(as('eve', $all), '', 'shows strangers nothing');
is(ask_worker($worker1, 'regress_tap', $all), '', 'and nobody nothing');
$worker1->append_conf('postgresql.conf', "shared_preload_libraries = 'citus, tenancy'");
$worker1->restart;

# ---- down ----
$worker2->stop;
refused($distribute, '55000', "node $address{worker2} cannot take part: it does not answer.*HINT:  Start it, or take it out with SELECT citus_disable_node", 'a worker that is down');
is(dba("SELECT string_agg(object, ',') FROM tenancy.lint() WHERE rule = 'node_unfit'"), "node $address{worker2}", 'lint names it');
like(as('mia', $all), qr/ERROR:  08006: .*$address{worker2}.* failed|ERROR:  .*connection to the remote node .*$address{worker2}/s, 'a query that needs it fails');
like(as('alice', "SELECT tenancy.remove_member(id('acme'), id('mia'))"), qr/ERROR:.*$address{worker2}/s, 'nobody is removed while a node would not know');
is(dba("SELECT count(*) FROM tenancy.memberships WHERE user_id = id('mia')"), '1', 'so it was not done at all');
$worker2->start;
is(as('mia', $all), '1,2', 'it works again');
as('alice', "SELECT tenancy.remove_member(id('acme'), id('mia'))");
is(as('mia', $all), '', 'and so does removing');

# ---- without the extension ----
$worker1->safe_psql('postgres', 'SET citus.enable_ddl_propagation = off; DROP EXTENSION tenancy CASCADE');
refused($distribute, '55000', "node $address{worker1} cannot take part: it does not have the extension \"tenancy\".*HINT:  Run CREATE EXTENSION tenancy CASCADE there", 'a worker without the extension');
like(as('alice', $all), qr/ERROR:  55000: this node has not taken part.*$address{worker1}/s, 'a query fails, and names it');
is(ask_worker($worker1, 'regress_tap', 'SELECT count(*) FROM ' . $worker1->safe_psql('postgres',
	"SET citus.override_table_visibility = off; SELECT c.oid::regclass FROM pg_class c WHERE c.relname ~ '^events_[0-9]+\$' ORDER BY 1 LIMIT 1")), '0', 'and its shards show nothing');

done_testing();
