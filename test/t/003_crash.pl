# After a crash, what was committed holds, what was not never was, and nobody is
# signed in any more (attack 109).
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
$node->safe_psql('postgres', 'CHECKPOINT');

my $see = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";
my $mia = session($node, 'postgres');
$mia->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
is($mia->query($see), '1,2', 'a member reads');
is(answer($node, 'postgres', 'eve', $see), '', 'a stranger does not');

# Committed: eve joins, mia is taken out of the private project, the token is
# regenerated.  Prepared: adam is demoted.  In flight: mia is removed.
my $token = answer($node, 'postgres', 'alice', <<'SQL');
SELECT tenancy.remove_project_member(id('private'), id('mia')) \g /dev/null
SELECT tenancy.rotate_project_token(id('open'))
SQL
my $invite = answer($node, 'postgres', 'alice', "SELECT token FROM tenancy.create_invite(id('acme'), 'eve\@tap.example')");
is(answer($node, 'postgres', 'eve', "SELECT tenancy.accept_invite('$invite')"), '', 'a stranger joins');
is(ask($node, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$; "
	  . "SELECT tenancy.set_member_level(id('acme'), id('adam'), 'member'); PREPARE TRANSACTION 'demotion'"),
	'', 'a change is prepared');
my $flight = session($node, 'postgres');
$flight->query("BEGIN; DELETE FROM events");	# sees nothing, deletes nothing
# ... unrecorded, since the audit log would make it wait for the prepared one
my $dba = $node->background_psql('postgres');
$dba->query("BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM tenancy.memberships WHERE user_id = id('mia'); DELETE FROM events WHERE n = 1");

sub check
{
	my ($how) = @_;
	is(answer($node, 'postgres', 'mia', $see), '1', "$how: a committed revocation holds, one in flight never was");
	is(answer($node, 'postgres', 'eve', $see), '1', "$how: a committed grant holds");
	is(answer($node, 'postgres', 'adam', $see), '1,2', "$how: one that is only prepared is not obeyed");
	like(ask($node, 'postgres', "SELECT tenancy.authenticate(secret('token'))"),
		qr/28000/, "$how: the old token is dead");
	is(ask($node, 'postgres', "BEGIN; SELECT tenancy.authenticate('$token'); INSERT INTO events (n) VALUES (5); ROLLBACK"),
		'', "$how: the new one writes");
	is(ask($node, 'postgres', $see), '', "$how: nobody is signed in");
	like(answer($node, 'postgres', 'eve', "SELECT tenancy.accept_invite('$invite')"),
		qr/P0002: invite does not exist/, "$how: a used invite stays used");
	is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.organizations WHERE owner_id = id('alice')"),
		'1', "$how: one Owner");
	is($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', "$how: check_integrity() and verify_audit() find nothing");
	return;
}

check('before');
$node->stop('immediate');
$node->start;
check('after an immediate shutdown');
like(answer($node, 'postgres', 'alice', "SET LOCAL lock_timeout = '10ms'; SELECT tenancy.rename_project(id('open'), 'x')"),
	qr/55P03/, 'the prepared change still holds its organization');

# One backend is killed in the middle of a change; the server restarts itself.
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
my $killed = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $killed->query('SELECT pg_backend_pid()');
$killed->query("BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM tenancy.memberships WHERE user_id = id('eve')");
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ' . $pid . ')'),
	'the server is back');
check('after a killed backend');

$node->safe_psql('postgres', "COMMIT PREPARED 'demotion'");
is(answer($node, 'postgres', 'adam', $see), '1', 'what was prepared before the crash takes effect when committed');
done_testing();
