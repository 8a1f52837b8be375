# A library that was loaded before ours keeps its say: what it refuses stays refused,
# and it hears of all that it asked to hear of.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;

my $library = "$ENV{TESTDIR}/other_hooks.so";
compile('other_hooks', $library);
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "session_preload_libraries = '$library'");
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE refused AS SELECT 1 AS one;
GRANT SELECT ON refused TO PUBLIC;
CREATE FUNCTION watched() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
SQL

is(ask($node, 'postgres', "SET other.calls = ''; SELECT watched(); SHOW other.calls"), "1\n1 1 1 1 1", 'alone');
is(answer($node, 'postgres', 'mia', "SET LOCAL other.calls = ''; SELECT string_agg(n::text, ',' ORDER BY n) FROM events; SELECT watched(); SHOW other.calls"),
	"1,2\n1\n1 1 1 1 1", 'beside ours, both are asked');
is(ask($node, 'postgres', 'SELECT one FROM refused'), 'ERROR:  XX000: refused by the other library', 'what it refuses');
is(answer($node, 'postgres', 'mia', 'SELECT count(*) FROM events; SELECT one FROM refused'),
	"ERROR:  XX000: refused by the other library", 'beside ours, too');
is(answer($node, 'postgres', 'mia', 'SELECT count(*) FROM events; SELECT count(*) FROM (SELECT FROM refused) r'),
	"ERROR:  XX000: refused by the other library", 'in a subquery');

# Ours is loaded in the middle of a function that it watches, and by now calls again.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION watched_inner() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN tenancy.current_user_id() IS NULL THEN 1 END;
END $$;
CREATE FUNCTION watched_outer() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	n integer := 0;
BEGIN
	FOR i IN 1 .. 3 LOOP
		n := n + watched_inner();
	END LOOP;
	RETURN n;
END $$;
SQL
is(ask($node, 'postgres', 'SET client_min_messages = warning; SELECT watched_outer(); SELECT watched_outer()'), "3\n3", 'in the middle of a function, it gets back what it has kept');
done_testing();
