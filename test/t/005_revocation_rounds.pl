# A revocation that has committed is obeyed by every statement that starts later,
# in every backend: 10,000 rounds with hot caches, and no exception.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;

my $rounds = $ENV{ROUNDS} || 10_000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# what the sessions see of each other is told for one level
$node->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$node->append_conf('postgresql.conf', "log_statement = none\nautovacuum_naptime = 5s");
$node->start;
populate($node, 'postgres');
my $connection = $node->connstr('postgres') . ' user=regress_tap';

# One backend changes what mia may see, commits, and then asks the others, which
# have never been idle: in autocommit, in one open transaction with a generic
# plan, under a snapshot from before the revocation, and signed in by session
# token.  Every way to lose access takes its turn, as a change of the
# tables, since what the commands check is not the point here.
my $script = <<'SQL';
SET client_min_messages = warning;
CREATE EXTENSION dblink;
CREATE TABLE failures (round integer, reader text, expected bigint, saw bigint);
DO $$
DECLARE
	reader text;
	way integer;
	n bigint;
	readers text[] := ARRAY['autocommit', 'transaction', 'snapshot', 'session'];
	ways constant integer := 5;
	-- what she sees once it is gone
	remain constant integer[] := ARRAY[0, 1, 1, 0, 0];
BEGIN
	FOREACH reader IN ARRAY readers LOOP
		PERFORM dblink_connect(reader, 'CONNECTION');
		PERFORM dblink_exec(reader, 'SET plan_cache_mode = force_generic_plan');
		PERFORM dblink_exec(reader, 'PREPARE hot AS SELECT count(*) FROM events');
		PERFORM * FROM dblink(reader, CASE reader WHEN 'session' THEN 'SELECT tenancy.authenticate(secret(''session''), true)::text'
			ELSE 'SELECT tenancy.act_as(id(''mia''), true)::text' END) AS (t text);
	END LOOP;
	PERFORM dblink_exec('transaction', 'BEGIN');

	FOR round IN 1..ROUNDS LOOP
		way := round % ways + 1;
		PERFORM dblink_exec('snapshot', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		FOREACH reader IN ARRAY readers LOOP
			SELECT d.n INTO n FROM dblink(reader, 'EXECUTE hot') AS d (n bigint);
			IF n <> 2 THEN
				INSERT INTO failures VALUES (round, reader || ', after a grant', 2, n);
			END IF;
		END LOOP;
		COMMIT;

		CASE way
			WHEN 1 THEN DELETE FROM tenancy.memberships WHERE user_id = id('mia');
			WHEN 2 THEN UPDATE tenancy.projects SET is_private = true WHERE id = id('open');
			WHEN 3 THEN DELETE FROM tenancy.project_memberships WHERE user_id = id('mia');
			WHEN 4 THEN UPDATE tenancy.users SET is_active = false WHERE id = id('mia');
			WHEN 5 THEN UPDATE tenancy.project_memberships SET user_id = id('adam') WHERE user_id = id('mia');
				UPDATE tenancy.memberships SET user_id = id('eve') WHERE user_id = id('mia');
		END CASE;
		COMMIT;

		FOREACH reader IN ARRAY readers LOOP
			SELECT d.n INTO n FROM dblink(reader, 'EXECUTE hot') AS d (n bigint);
			IF n <> remain[way] THEN
				INSERT INTO failures VALUES (round, reader || format(', after revocation %s', way), remain[way], n);
			END IF;
		END LOOP;
		PERFORM dblink_exec('snapshot', 'COMMIT');

		CASE way
			WHEN 1 THEN
				INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('mia'));
				INSERT INTO tenancy.project_memberships (project_id, organization_id, user_id)
					VALUES (id('private'), id('acme'), id('mia'));
			WHEN 2 THEN UPDATE tenancy.projects SET is_private = false WHERE id = id('open');
			WHEN 3 THEN
				INSERT INTO tenancy.project_memberships (project_id, organization_id, user_id)
					VALUES (id('private'), id('acme'), id('mia'));
			WHEN 4 THEN UPDATE tenancy.users SET is_active = true WHERE id = id('mia');
			WHEN 5 THEN
				UPDATE tenancy.memberships SET user_id = id('mia') WHERE user_id = id('eve');
				UPDATE tenancy.project_memberships SET user_id = id('mia') WHERE user_id = id('adam');
		END CASE;
		COMMIT;
	END LOOP;
END
$$;
SELECT count(*) FROM failures;
SQL
$script =~ s/CONNECTION/$connection =~ s,','',gr/e;
$script =~ s/ROUNDS/$rounds/;
my $failures = $node->safe_psql('postgres', $script);
is($failures, '0', "$rounds rounds, no exception")
  or diag($node->safe_psql('postgres', 'SELECT * FROM failures ORDER BY round LIMIT 20'));

# The same at full speed, with nobody waiting for anybody: readers note when a
# statement began and ended and what it saw, and a hand that opens and closes the
# project notes from when to when it was closed for certain.
$node->safe_psql('postgres', <<'SQL');
DELETE FROM tenancy.project_memberships;
DELETE FROM events WHERE project_id <> id('open');
CREATE TABLE observed (began numeric, ended numeric, seen bigint);
CREATE TABLE closed (since numeric, until numeric);
GRANT INSERT ON observed, closed TO regress_tap;
SQL
my $now = 'SELECT extract(epoch FROM clock_timestamp())';
my $dir = $node->basedir;
append_to_file("$dir/reader.sql", <<"SQL");
SELECT tenancy.act_as(id('mia'), true);
$now AS began \\gset
SELECT count(*) AS seen FROM events \\gset
$now AS ended \\gset
INSERT INTO observed VALUES (:began, :ended, :seen);
SQL
append_to_file("$dir/hand.sql", <<"SQL");
SELECT tenancy.act_as(id('alice'), true);
SELECT tenancy.set_project_privacy(id('open'), true);
$now AS since \\gset
\\sleep 2 ms
$now AS until \\gset
SELECT tenancy.set_project_privacy(id('open'), false);
INSERT INTO closed VALUES (:since, :until);
\\sleep 2 ms
SQL
my @pgbench = ('pgbench', '-n', '-T', $ENV{SECONDS} || 5, '-U', 'regress_tap', '-h', $node->host, '-p', $node->port);
my $certain = 'FROM observed o JOIN closed c ON o.began > c.since AND o.ended < c.until';
my $enough = "SELECT (SELECT count(*) FROM closed) > 10 AND (SELECT count(*) $certain) > 100 AND (SELECT count(*) FROM observed WHERE seen = 1) > 100";
# a slow machine takes more than one turn
for my $turn (1 .. 20)
{
	my @readers = map {
		my ($mode, $output) = ($_, '');
		IPC::Run::start([ @pgbench, '-c', '2', '-M', $mode, '-f', "$dir/reader.sql", 'postgres' ], '>', \$output, '2>&1')
	} qw(simple prepared);
	$node->command_ok([ @pgbench, '-c', '1', '-f', "$dir/hand.sql", 'postgres' ], 'a project opens and closes');
	ok($_->finish, 'while it is read') foreach @readers;
	last if $node->safe_psql('postgres', $enough) eq 't';
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM closed'), '>', 10, 'often');
cmp_ok($node->safe_psql('postgres', "SELECT count(*) $certain"), '>', 100, 'by many statements while it was closed');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM observed WHERE seen = 1'), '>', 100, 'and by many while it was open');
is($node->safe_psql('postgres', "SELECT count(*) $certain WHERE o.seen > 0"), '0', 'which saw nothing once it was closed');

done_testing();
