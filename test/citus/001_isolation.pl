# Protected tables on the nodes of a Citus cluster: the same rows as on one server,
# for the same people, and for nobody else on any node.
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
$coordinator->safe_psql('postgres', <<'SQL');
CREATE ROLE regress_login LOGIN;
CREATE ROLE regress_bound LOGIN;
GRANT regress_bound TO regress_login;
GRANT SELECT, INSERT, UPDATE, DELETE ON events TO regress_login, regress_bound;
CREATE TABLE comments (project_id uuid NOT NULL, n integer NOT NULL, body text, PRIMARY KEY (project_id, n));
SELECT tenancy.protect('comments');
GRANT SELECT, INSERT, UPDATE, DELETE ON comments TO regress_tap;
INSERT INTO comments VALUES (id('open'), 1, 'one'), (id('private'), 2, 'two');
SELECT tenancy.distribute();
SELECT tenancy.distribute_table('events');
SELECT tenancy.distribute_table('comments');
SQL

sub dba { return $coordinator->safe_psql('postgres', $_[0]) }
sub as { my ($who, $sql) = @_; return answer($coordinator, 'postgres', $who, $sql) }

my $all = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";

# ---- what is visible ----
is(as('mia', $all), '1,2', 'a member sees the rows of all shards');
is(as('eve', $all), '', 'a stranger sees none');
is(ask($coordinator, 'postgres', $all), '', 'nobody sees none');
is(as('mia', "SELECT n FROM events WHERE project_id = id('private')"), '2', 'a single project');
is(as('eve', "SELECT n FROM events WHERE project_id = id('private')"), '', 'a single project, for a stranger');
is(as('mia', "SET LOCAL tenancy.project_id = '" . dba("SELECT id('private')") . "'; $all"),
	'2', 'the current project narrows on the workers, too');
is(as('mia', "SELECT string_agg(c.body, ',' ORDER BY c.n) FROM events e JOIN comments c USING (project_id, n)"),
	'one,two', 'co-located tables are joined');
is(ask($coordinator, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session')); END \$\$; $all; COMMIT"),
	'1,2', 'a session signs in');
is(ask($coordinator, 'postgres', "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session'), true); END \$\$; $all"),
	'1,2', 'and stays signed in outside a transaction block');
is(ask($coordinator, 'postgres', "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session'), true); END \$\$; SELECT tenancy.sign_out(); $all"),
	"\n", 'until it signs out');
dba("UPDATE secrets SET secret = tenancy.create_session(id('mia')) WHERE name = 'session'");

# ---- routing ----
like(as('mia', "EXPLAIN (COSTS OFF) SELECT * FROM events WHERE project_id = '" . dba("SELECT id('open')") . "'"),
	qr/Task Count: 1\b/, 'a query of one project goes to one shard');

# ---- writing ----
is(as('mia', "INSERT INTO events VALUES (id('open'), 3); $all"), '1,2,3', 'a member writes');
like(as('eve', "INSERT INTO events VALUES (id('open'), 4)"), qr/ERROR:  42501: new row violates row-level security/,
	'a stranger does not');
is(as('eve', "UPDATE events SET n = 9; DELETE FROM events; SELECT 1"), '1', 'nor changes or deletes');
is(as('mia', "UPDATE events SET n = 30 WHERE n = 3; $all"), '1,2,30', 'a member changes');
is(as('mia', "DELETE FROM events WHERE n = 30; $all"), '1,2', 'and deletes');
my $with_token = "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token')); END \$\$;";
is(ask($coordinator, 'postgres', "$with_token INSERT INTO events (n) VALUES (5); SELECT count(*) FROM events; COMMIT"),
	'0', 'a project token writes into its project, and reads nothing');
like(ask($coordinator, 'postgres', "$with_token INSERT INTO events (project_id, n) VALUES (id('private'), 5); COMMIT"),
	qr/ERROR:  42501: new row violates/, 'and not into another');
like(ask($coordinator, 'postgres', "$with_token INSERT INTO events (n) VALUES (5) RETURNING n; COMMIT"),
	qr/ERROR:  42501: new row violates/, 'and gets nothing back');
like(as('mia', "INSERT INTO comments VALUES (gen_random_uuid(), 5, 'x')"), qr/ERROR:  42501/, 'there is no such project');
is(dba("DELETE FROM events WHERE n = 5; $all"), '1,2', 'the row of the token was there');

# ---- the other ways in ----
for my $worker (@workers)
{
	my $name = $worker->name;
	my ($shard) = split /\n/, $worker->safe_psql('postgres',
		"SELECT s.shardid FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid)
		 JOIN pg_dist_local_group g USING (groupid) WHERE s.logicalrelid = 'events'::regclass ORDER BY 1");
	is(ask_worker($worker, 'regress_tap', $all), '', "$name: nobody sees nothing");
	is(ask_worker($worker, 'regress_tap', "SELECT count(*) FROM events_$shard"), '0', "$name: nor in a shard");
	like(ask_worker($worker, 'regress_tap', "BEGIN; SET LOCAL tenancy.user_id = '" . dba("SELECT id('mia')") . "'; $all"),
		qr/ERROR:  42501: permission denied to set parameter "tenancy.user_id"/, "$name: the role is not trusted there");
	like(ask_worker($worker, 'regress_tap', "SELECT tenancy.act_as('" . dba("SELECT id('mia')") . "')"),
		qr/ERROR:  42501: permission denied/, "$name: nor by a function");
	like(ask_worker($worker, 'regress_tap', "SET tenancy.identity = 'u " . dba("SELECT id('mia')") . " 00000000-0000-0000-0000-000000000000 0'"),
		qr/ERROR:  42501: /, "$name: no identity is set by hand");
	is(ask_worker($worker, 'regress_tap', "BEGIN; SELECT tenancy.authenticate('" . dba("SELECT secret('session')") . "'); $all"),
		"\n1,2", "$name: a session of one's own signs in on a worker, and counts on all nodes");
	like(ask_worker($worker, 'regress_tap', "BEGIN; SELECT tenancy.authenticate('" . dba("SELECT secret('session')") . "'); SELECT tenancy.create_organization('x')"),
		qr/ERROR:  0A000: commands of tenancy run on the coordinator.*HINT:  Connect to the coordinator/s, "$name: commands are refused");
	like(ask_worker($worker, 'regress_tap', 'SELECT * FROM tenancy.cluster'), qr/42501/, "$name: the secret is not readable");
}
like(as('mia', "SELECT current_setting('tenancy.claim') FROM events"),
	qr/must be (superuser or )?.*examine "tenancy.claim"|permission denied to examine "tenancy.claim"/, 'a claim is not shown');

# ---- claims, forged and stolen ----
# What the coordinator would send, made by a superuser who knows the secret.
sub claim
{
	my (%change) = @_;
	my %with = (role => 'regress_tap', kind => 'u', subject => "id('mia')", age => 0,
		version => "(SELECT extversion FROM pg_extension WHERE extname = 'tenancy')", generation => 'generation',
		secret => 'secret', signed => 'payload', %change);
	return dba(<<"SQL");
SELECT encode(hmac(convert_to('$with{role}', 'UTF8') || '\\x00' || convert_to($with{signed}, 'UTF8') || '\\x00', $with{secret}, 'sha256'), 'hex') || ' ' || payload
FROM tenancy.cluster, LATERAL (SELECT concat_ws(' ', $with{version}, $with{generation},
	((extract(epoch FROM clock_timestamp()) - 946684800 - $with{age}) * 1000000)::bigint, '$with{kind}', $with{subject},
	'00000000-0000-0000-0000-000000000000', '-', '') AS payload) p
SQL
}

sub with_claim
{
	my ($claim, $sql) = @_;
	return ask_worker($workers[0], 'regress_tap', "BEGIN; SET LOCAL tenancy.claim = '$claim'; $sql; COMMIT");
}

is(with_claim(claim(), $all), '1,2', 'a claim as the coordinator makes it counts, so the next ones are tried in earnest');
my $untrusted = qr/ERROR:  28000: the identity that was sent to this node is not valid/;
like(with_claim(claim(secret => "'\\x00'::bytea"), $all), $untrusted, 'one that is signed with another secret does not');
like(with_claim(claim(role => 'regress_login'), $all), $untrusted, 'nor one for another role');
like(with_claim(claim(age => 150), $all), $untrusted, 'nor an old one');
like(with_claim(claim(age => -150), $all), $untrusted, 'nor one of the future');
like(with_claim(claim(signed => "replace(payload, id('mia')::text, id('eve')::text)"), $all), $untrusted,
	'nor one that was changed');
like(with_claim(claim(generation => 'gen_random_uuid()'), $all),
	qr/ERROR:  55000: this node has not taken part in the last tenancy.distribute\(\).*HINT/s, 'nor one of another cluster');
like(with_claim(claim(version => "'0.0.1'"), $all), qr/ERROR:  55000: the library .* on this node is version/,
	'nor one of another version');
like(with_claim('x', $all), qr/ERROR:  22023: claim is malformed/, 'nor nonsense');
like(with_claim(substr(claim(), 1), $all), qr/ERROR:  22023: claim is malformed/, 'nor one whose signature is too short');
like(with_claim('g' . substr(claim(), 1), $all), qr/ERROR:  22023: claim is malformed/, 'or not one');
is(ask_worker($workers[0], 'regress_tap', "SET tenancy.claim = '" . claim() . "'; $all"), '',
	'one that was not set in this transaction does not count');
like(ask_worker($workers[0], 'regress_tap', "ALTER ROLE regress_tap SET tenancy.claim = '" . claim() . "'"),
	qr/ERROR:  42501: /, 'none is stored');
{
	local $ENV{PGAPPNAME} = 'citus_mine';
	is(as('mia', "SET application_name = 'mine'; $all"), '',
		'whoever connects in the name of Citus, and has no claim, is nobody, whatever they are called later');
}
is(as('mia', "SET application_name = 'citus_mine'; $all"), '1,2', 'as what a connection began counts');
# a claim says who acts, and what that is worth is looked up
dba("UPDATE tenancy.users SET is_active = false WHERE id = id('mia')");
is(with_claim(claim(), $all), '', 'a claim on behalf of somebody who was deactivated is worth nothing');
dba("UPDATE tenancy.users SET is_active = true WHERE id = id('mia')");
is(with_claim(claim(), $all), '1,2', 'until that is taken back');

# ---- what a session has learnt about claims ----
# of the statements, the last one's SQLSTATE
sub state_of { my ($session, $sql) = @_; return $session->query("$sql;\n\\echo :SQLSTATE") =~ s/.*\n//sr }
my ($mine, $theirs) = (claim(subject => "id('eve')"), claim());
my $forged = substr($mine, 0, 64) . substr($theirs, 64);
is(with_claim($mine, "$all; SET LOCAL tenancy.claim = '$theirs'; $all"), "\n1,2", 'one claim after the other counts');
like(with_claim($mine, "SET LOCAL tenancy.claim = '$forged'; $all"), $untrusted, "a signature that was right for one claim is wrong for another");
my $shards = $workers[0]->safe_psql('postgres', "SET citus.override_table_visibility = off;
	SELECT string_agg(format('SELECT n FROM %s', c.oid::regclass), ' UNION ALL ') FROM pg_class c WHERE c.relname ~ '^events_[0-9]+\$'");
like(with_claim($theirs, "DECLARE c CURSOR FOR $shards; SET LOCAL tenancy.claim = '$mine'; FETCH ALL FROM c"),
	qr/ERROR:  55000: identity changed while a query was running/, 'and none in the middle of a query');
my $altered = $mine =~ s/^(.)/$1 eq '0' ? '1' : '0'/er;
like(with_claim($mine, "SET LOCAL tenancy.claim = '$altered'; $all"), $untrusted, 'and a claim that was right is wrong with another signature');
like(error_of($workers[0], "SET SESSION AUTHORIZATION regress_tap; BEGIN; SET LOCAL tenancy.claim = '$theirs'; COMMIT; RESET SESSION AUTHORIZATION;
	SET SESSION AUTHORIZATION regress_login; BEGIN; SET LOCAL tenancy.claim = '$theirs'; $all"), $untrusted,
	'nor is it right for another role in the same session');
my ($near, $far) = map { session($_, 'postgres') } $coordinator, $workers[0];
my $act = "BEGIN; DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$";
is($near->query("$act; $all; COMMIT"), '1,2', 'a session on the coordinator');
is($far->query("BEGIN; SET LOCAL tenancy.claim = '$theirs'; $all; SET LOCAL tenancy.claim = '$theirs'"), '1,2', 'and one on a worker');
$workers[0]->safe_psql('postgres', "UPDATE tenancy.cluster SET secret = sha256('')");
is(state_of($far, "SET LOCAL tenancy.claim = '$theirs'; $all"), '28000', 'which trusts no claim any more when the secret is another');
dba('SELECT tenancy.distribute()');
is($near->query("$act; $all; COMMIT"), '1,2', 'the one on the coordinator knows the new secret');
is(state_of($far, "ROLLBACK; BEGIN; SET LOCAL tenancy.claim = '$theirs'"), '55000', 'and the one on the worker, that the old claim is over');

# ---- the feed ----
# Whoever could write into it would say who has access.
dba('GRANT USAGE ON SCHEMA tenancy_citus TO regress_tap; GRANT ALL ON ALL TABLES IN SCHEMA tenancy_citus TO regress_tap');
my $grant = dba("SELECT jsonb_build_object('relation', 'memberships', 'come', jsonb_build_array(jsonb_build_object(
	'organization_id', id('acme'), 'user_id', id('eve'), 'level', 'administrator')))");
for my $node ($coordinator, @workers)
{
	my $feed = $node->safe_psql('postgres', "SET citus.override_table_visibility = off; SELECT c.oid::regclass FROM pg_class c WHERE c.relname ~ '^feed_[0-9]+\$'");
	like(ask_worker($node, 'regress_tap', "INSERT INTO tenancy_citus.feed VALUES ('$grant')"), qr/ERROR:  42501/, 'nobody but superusers feeds the nodes, on ' . $node->name);
	# the coordinator's own takes nothing out
	like(ask_worker($node, 'regress_tap', "SET citus.enable_manual_changes_to_shards = on; INSERT INTO $feed VALUES ('$grant')"), $node == $coordinator ? qr/^$/ : qr/ERROR:  42501/, 'nor by a shard');
	is(ask_worker($node, 'regress_tap', 'SELECT count(*) FROM tenancy_citus.projects'), '0', 'nor learns which projects there are');
}
is(as('eve', $all), '', 'a stranger is one still');
dba('REVOKE ALL ON ALL TABLES IN SCHEMA tenancy_citus FROM regress_tap; REVOKE ALL ON SCHEMA tenancy_citus FROM regress_tap');

# ---- parallel workers ----
for my $worker (@workers)
{
	$worker->append_conf('postgresql.conf', 'force_parallel_mode = on');
	$worker->reload;
}
like(as('mia', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) FROM events"), qr/Workers Launched: 1/, 'tasks use parallel workers');
is(as('mia', $all), '1,2', 'which know who acts');
is(as('eve', $all), '', 'and who does not');
for my $worker (@workers)
{
	$worker->append_conf('postgresql.conf', 'force_parallel_mode = off');
	$worker->reload;
}

# ---- bound roles ----
dba("SELECT tenancy.bind_role('regress_bound', id('mia'), id('private'))");
is(ask_worker($coordinator, 'regress_bound', $all), '2', 'a bound role sees what it is bound to');
is(ask_worker($coordinator, 'regress_login', "SET ROLE regress_bound; $all"), '', 'who becomes that role does not');
is(ask_worker($workers[0], 'regress_bound', $all), '2', 'a bound role on a worker');
is(ask_worker($workers[0], 'regress_login', "SET ROLE regress_bound; $all"), '', 'and who becomes it there');
dba("SELECT tenancy.unbind_role('regress_bound')");
is(ask_worker($coordinator, 'regress_bound', $all), '', 'when it is unbound, it sees nothing');

# ---- identities that change ----
my $app = session($coordinator, 'postgres');
my $be = "DO \$\$ BEGIN PERFORM tenancy.act_as(id('%s')); END \$\$;";
$app->query('BEGIN; ' . sprintf($be, 'mia'));
is($app->query($all), '1,2', 'mia');
$app->query(sprintf($be, 'eve'));
is($app->query($all), '', 'eve, in the same transaction');
$app->query('SAVEPOINT s; ' . sprintf($be, 'mia'));
is($app->query($all), '1,2', 'mia, in a savepoint');
$app->query('ROLLBACK TO s');
is($app->query($all), '', 'eve again');
$app->query('SAVEPOINT t; ' . sprintf($be, 'mia') . ' RELEASE t');
is($app->query($all), '1,2', 'mia, after a savepoint was released');
$app->query('ROLLBACK; BEGIN; SAVEPOINT u; ' . sprintf($be, 'mia'));
is($app->query($all), '1,2', 'mia, who has signed in in a savepoint');
$app->query('ROLLBACK TO u; ' . sprintf($be, 'mia'));
is($app->query($all), '1,2', 'and again after it was rolled back');
$app->query('SAVEPOINT v');
is($app->query("INSERT INTO events VALUES (id('open'), 8) RETURNING n"), '8', 'writes in a savepoint');
$app->query('ROLLBACK TO v');
is($app->query($all), '1,2', 'are undone');
$app->query('DO $$ BEGIN PERFORM tenancy.act_as(NULL); END $$');
is($app->query($all), '', 'nobody again');
$app->query('COMMIT');
is($app->query($all), '', 'nobody after the transaction');
dba(<<'SQL');
CREATE FUNCTION count_as_owner() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'BEGIN RETURN (SELECT count(*) FROM public.events); END';
GRANT USAGE ON SCHEMA public TO regress_login;
ALTER FUNCTION count_as_owner() OWNER TO regress_login;
SQL
is(as('mia', "SELECT (SELECT count(*) FROM events), count_as_owner(), (SELECT count(*) FROM events)"), '2|2|2',
	'a SECURITY DEFINER function works for the same person, over connections of its owner');
is(as('eve', "SELECT count_as_owner()"), '0', 'and shows a stranger nothing');

# ---- revocation ----
sub rounds
{
	my ($session, $what, $rounds) = @_;
	my $wrong = 0;
	for (1 .. $rounds)
	{
		as('alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
		$wrong++ if $session->query($all) ne '1';
		as('alice', "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
		$wrong++ if $session->query($all) ne '1,2';
	}
	is($wrong, 0, "$what: $rounds revocations and grants count at the next statement");
	return;
}
$app->query('BEGIN; ' . sprintf($be, 'mia'));
rounds($app, 'an open transaction on the coordinator', 20);
$app->query('COMMIT');
my $direct = session($workers[1], 'postgres');
$direct->query("BEGIN; SELECT tenancy.authenticate('" . dba("SELECT secret('session')") . "')");
rounds($direct, 'an open transaction on a worker', 20);
$direct->query('COMMIT');
# in a single shard, with the claim that was valid before
my $claimed = session($workers[0], 'postgres');
$claimed->query("BEGIN; SET LOCAL tenancy.claim = '" . claim() . "'");
rounds($claimed, 'a claim that somebody keeps', 5);
$claimed->query('COMMIT');

$app->query("DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session'), true); END \$\$");
is($app->query($all), '1,2', 'a session');
as('mia', 'SELECT tenancy.revoke_session(id) FROM tenancy.my_sessions');
is($app->query($all), '', 'that has ended, ends on all nodes');

# ---- what has not been committed ----
like(as('alice', "SELECT tenancy.create_project(id('acme'), 'new'); $all"),
	qr/ERROR:  0A000: cannot query a distributed table in a transaction that has changed who has access.*HINT:  Commit first/s,
	'a transaction that has changed access reads no distributed table');
is(dba("SELECT count(*) FROM tenancy.projects WHERE name = 'new'"), '0', 'and is undone');
is(join(',', map { $_->safe_psql('postgres', 'SELECT count(*) FROM tenancy.projects') } $coordinator, @workers), '2,2,2',
	'on all nodes');

# ---- the end of a project ----
is(dba('SELECT count(*) FROM comments'), '2', 'there are rows of two projects');
as('alice', "SELECT tenancy.delete_project(id('private'))");
is(dba('SELECT string_agg(body, \',\') FROM comments'), 'one', 'those of a project that is deleted go with it');
is(as('mia', $all), '1', 'and the others stay');

done_testing();
