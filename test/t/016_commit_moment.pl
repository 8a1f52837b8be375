# In the moment in which a commit can be seen and its messages have not been sent,
# a statement sees what the commit did and obeys it.  A function keeps the lock that
# messages are sent under, so that the moment lasts.
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
# what the sessions see of each other is told for one level
$node->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
populate($node, 'postgres');
can_hold_messages($node, 'postgres');
$node->safe_psql('postgres', "INSERT INTO tenancy.organizations (name, owner_id, plan) SELECT 'crowd ' || i, id('eve'), 'enterprise' FROM generate_series(1, 20) i");

my $file = "$ENV{TESTDIR}/held";
my ($holder, $alice, $watcher) = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 3;
my ($mia, $adam, $eve) = map { session($node, 'postgres') } 1 .. 3;
my %who = (mia => $mia, adam => $adam, eve => $eve);
foreach my $name (keys %who)
{
	$who{$name}->query('SET plan_cache_mode = force_generic_plan');
	$who{$name}->query("PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events");
	$who{$name}->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('$name'), true); END \$\$");
}
my $hot = 'EXECUTE hot';
my $loads = 'SELECT loads FROM tenancy.stats';
$node->safe_psql('postgres', 'GRANT SELECT ON tenancy.stats TO regress_tap');
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION tenancy._stats() TO regress_tap');

# Runs something that ends in the middle of a commit, then a test, then lets it end.
sub in_the_moment
{
	my ($sql, $n, $test) = @_;
	$holder->query_until(qr/asked/, "\\echo asked\nSELECT hold_messages('$file');\n");
	await(sub { -e $file });
	$alice->query_until(qr/asked/, "\\echo asked\n$sql;\n");
	await(sub { $watcher->query("SELECT count(*) FROM events WHERE n = $n") eq '1' });
	$test->();
	unlink $file;
	$holder->query('SELECT 1');
	$alice->query('SELECT 1');
	return;
}

my $act = "DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$";
my $remove = "SELECT tenancy.remove_project_member(id('private'), id('mia'))";
my $add = "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')";
my $n = 2;
foreach my $how ('READ COMMITTED', 'REPEATABLE READ')
{
	is($mia->query($hot), "1,$n", 'before it');
	is($adam->query($hot), "1,$n", 'somebody else in the same organization');
	is($eve->query($hot), '', 'and a stranger');
	my $m = $n + 1;
	in_the_moment(
		"BEGIN; $act; $remove; UPDATE events SET n = $m WHERE n = $n; COMMIT", $m,
		sub {
			$mia->query("BEGIN ISOLATION LEVEL $how");
			is($mia->query($hot), '1', "a revocation in the moment of its commit, $how");
			is($mia->query($hot), '1', 'and still');
			# what uuid_hash() makes of an id is the key that messages carry
			is($watcher->query(q(SELECT count(*) > 1, count(*) FILTER (WHERE l.objid::bigint IN
					(SELECT uuid_hash(id(n))::bigint & 2147483647 | 2147483648 FROM unnest('{alice,mia,acme,private}'::text[]) n))
				FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 3)), 't|0', 'pg_locks does not tell whom it concerns');
			is($adam->query($hot), "1,$m", 'the others see it');
			my $before = $eve->query($loads);
			is($eve->query($hot), '', 'a stranger does not');
			is($eve->query($loads), $before, 'nor does a stranger load anything, although they are in many organizations');
		});
	is($mia->query($hot), '1', 'and afterwards');
	$mia->query('COMMIT');
	$node->safe_psql('postgres', "BEGIN; $act; $add; COMMIT");
	$n = $m;
}

# The same in one part of a large change, which names nobody, and after a savepoint.
is($mia->query($hot), "1,$n", 'a grant');
in_the_moment(
	"BEGIN; $act; DO \$\$ BEGIN FOR i IN 1..20 LOOP PERFORM tenancy.create_project(id('acme'), 'p' || i); END LOOP; END \$\$; "
	  . "$remove; UPDATE events SET n = 10 WHERE n = $n; COMMIT", 10,
	sub { is($mia->query($hot), '1', 'a revocation among many changes'); });
$node->safe_psql('postgres', "BEGIN; $act; $add; COMMIT");
is($mia->query($hot), '1,10', 'a grant');
in_the_moment(
	"BEGIN; $act; $remove; SAVEPOINT s; SELECT tenancy.set_project_privacy(id('open'), true); ROLLBACK TO s; UPDATE events SET n = 11 WHERE n = 10; COMMIT", 11,
	sub { is($mia->query($hot), '1', 'a revocation beside a savepoint'); });
$node->safe_psql('postgres', "BEGIN; $act; $add; COMMIT");

# What has no keys: TRUNCATE keeps readers of the table out, who would wait for it.
is($mia->query($hot), '1,11', 'a grant');
in_the_moment(
	"BEGIN; TRUNCATE tenancy.project_memberships; UPDATE events SET n = 10 WHERE n = 11; COMMIT", 10,
	sub {
		$mia->query("SET lock_timeout = '100ms'");
		is($mia->query($hot), '', 'after TRUNCATE nobody trusts what they remember');
		$mia->query('RESET lock_timeout');
	});
is($mia->query($hot), '1', 'and afterwards');
$node->safe_psql('postgres', "BEGIN; $act; $add; UPDATE events SET n = 11 WHERE n = 10; COMMIT");

# Prepared: until it is committed nobody trusts what they remember, and it counts at
# once when it is.
is($mia->query($hot), '1,11', 'a grant');
$node->safe_psql('postgres', "BEGIN; $act; $remove; UPDATE events SET n = 12 WHERE n = 11; PREPARE TRANSACTION 'p'");
is($mia->query($hot), '1,11', 'prepared');
in_the_moment("COMMIT PREPARED 'p'", 12, sub { is($mia->query($hot), '1', 'a prepared revocation in the moment of its commit'); });
is($mia->query($hot), '1', 'and afterwards');

# Nothing is loaded again when nothing is in doubt.
$mia->query($hot);
my $before = $mia->query($loads);
$node->safe_psql('postgres', 'UPDATE events SET n = n');
$mia->query($hot) foreach 1 .. 5;
is($mia->query($loads), $before, 'commits of others cost no load');

# Its locks are nobody's to take, and end with the transaction.
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0', 'no lock is left');

$_->quit foreach $holder, $alice, $watcher, $mia, $adam, $eve;
done_testing();
