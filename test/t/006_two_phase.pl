# A change that is prepared counts when it is committed, for everybody at once and
# by whoever commits it, and never when it is rolled back (attack 107).
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

my $hot = 'EXECUTE hot';
my %reader = map { $_ => session($node, 'postgres') } qw(autocommit transaction client);
foreach my $name (keys %reader)
{
	$reader{$name}->query("SET plan_cache_mode = force_generic_plan");
	$reader{$name}->query("PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events");
	$reader{$name}->query($name eq 'client' ? "SELECT tenancy.authenticate(secret('session'), true)"
		: "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
}
$reader{transaction}->query('BEGIN');
my $writer = session($node, 'postgres');
$writer->query("SELECT tenancy.authenticate(secret('token'), true)");

sub all_see
{
	my ($expected, $name) = @_;
	is($reader{$_}->query($hot), $expected, "$name, $_") foreach sort keys %reader;
	return;
}

# The one who prepares acts as alice in this transaction only.
my $alice = session($node, 'postgres');
$alice->query("PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events");

sub prepare
{
	my ($sql) = @_;
	$alice->{stderr} = '';
	$alice->query('BEGIN');
	$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$");
	$alice->query($sql);
	$alice->query("PREPARE TRANSACTION 'p'");
	is($alice->{stderr}, '', "prepared: $sql");
	return;
}

all_see('1,2', 'before');
prepare("SELECT tenancy.remove_member(id('acme'), id('mia'))");
all_see('1,2', 'prepared');
is($alice->query('SELECT tenancy.current_user_id() IS NULL'), 't', 'nobody is signed in after PREPARE TRANSACTION');

# It holds its organization, and whoever meets it is told after lock_timeout.
like(answer($node, 'postgres', 'adam', "SET LOCAL lock_timeout = '10ms'; SELECT tenancy.rename_project(id('open'), 'x')"),
	qr/^ERROR:  55P03: canceling statement due to lock timeout/, 'a change of the same organization waits');
is(answer($node, 'postgres', 'eve', "SELECT tenancy.create_organization('other') IS NOT NULL"), 't', 'another organization does not');

$node->safe_psql('postgres', "ROLLBACK PREPARED 'p'");
all_see('1,2', 'rolled back');
prepare("SELECT tenancy.remove_project_member(id('private'), id('mia'))");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('1', 'committed by a third session');
prepare("SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
all_see('1', 'a prepared grant');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('1,2', 'a committed grant');

# The session that prepared has seen its own change; after PREPARE it must not
# go on believing in it.
$alice->query('BEGIN');
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$");
$alice->query("SELECT tenancy.remove_member(id('acme'), id('mia'))");
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$");
is($alice->query($hot), '', 'in the transaction, the change counts for itself');
$alice->query("PREPARE TRANSACTION 'p'");
$alice->query("BEGIN");
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$");
is($alice->query($hot), '1,2', 'after PREPARE, it does not');
$alice->query('COMMIT');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'p'");
all_see('1,2', 'rolled back again');

# A grant that the session believed in, prepared and never committed.
answer($node, 'postgres', 'alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
$alice->query('BEGIN');
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$");
$alice->query("SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$");
is($alice->query($hot), '1,2', 'a grant counts in its transaction');
$alice->query("PREPARE TRANSACTION 'p'");
$alice->query("BEGIN");
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$");
is($alice->query($hot), '1', 'and not after PREPARE');
$alice->query('COMMIT');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('1,2', 'but when it is committed');

# More changes than are named one by one; a rolled back savepoint; both prepared.
prepare(q(DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM tenancy.create_project(id('acme'), 'p' || i); END LOOP; END $$; )
	. q(SELECT tenancy.set_project_privacy(id('open'), true)));
all_see('1,2', 'many changes, prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('2', 'many changes, committed');
prepare("SAVEPOINT s; SELECT tenancy.remove_member(id('acme'), id('mia')); ROLLBACK TO s; SELECT tenancy.set_project_privacy(id('open'), false)");
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('1,2', 'what a savepoint took back was not prepared');

# A project token lives until the rotation is committed, and the new one after it.
prepare("SELECT tenancy.rotate_project_token(id('open'))");
$writer->query('INSERT INTO events (n) VALUES (7)');
is($writer->{stderr}, '', 'the old token writes while the rotation is prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
$writer->query('INSERT INTO events (n) VALUES (8)');
like($writer->{stderr}, qr/new row violates row-level security policy/, 'and not after it');

# Sessions and users, changed by the DBA.
$node->safe_psql('postgres', "BEGIN; DELETE FROM events WHERE n > 2; SELECT tenancy.revoke_sessions(id('mia')); PREPARE TRANSACTION 'p'");
is($reader{client}->query($hot), '1,2,7', 'a session whose revocation is prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
is($reader{client}->query($hot), '', 'a revoked session');
$node->safe_psql('postgres', "BEGIN; SELECT tenancy.set_user_active(id('mia'), false); PREPARE TRANSACTION 'p'");
is($reader{autocommit}->query($hot), '1,2', 'a user whose deactivation is prepared');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('', 'a deactivated user');
$node->safe_psql('postgres', "BEGIN; SELECT tenancy.set_user_active(id('mia'), true); PREPARE TRANSACTION 'p'");
is($reader{autocommit}->query($hot), '', 'a user whose activation is prepared');

# A bound login role.
$node->safe_psql('postgres', "CREATE ROLE regress_bi LOGIN; GRANT SELECT ON events TO regress_bi");
my $bi = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_bi' ]);
is($bi->query('SELECT count(*) FROM events'), '0', 'a login role is nobody');
foreach my $change (
	[ "SELECT tenancy.bind_role('regress_bi', id('alice'))", '0', '2' ],
	[ "SELECT tenancy.bind_role('regress_bi', id('eve'))", '2', '0' ],
	[ "SELECT tenancy.bind_role('regress_bi', id('alice'), id('open'))", '0', '1' ],
	[ "SELECT tenancy.unbind_role('regress_bi')", '1', '0' ])
{
	my ($sql, $before, $after) = @$change;
	$node->safe_psql('postgres', "BEGIN; $sql; PREPARE TRANSACTION 'b'");
	is($bi->query('SELECT count(*) FROM events'), $before, "prepared: $sql");
	$node->safe_psql('postgres', "COMMIT PREPARED 'b'");
	is($bi->query('SELECT count(*) FROM events'), $after, "committed: $sql");
}
$bi->quit;

# The same after a restart, which is when a prepared transaction is most needed.
$_->quit foreach values %reader, $alice, $writer;
$node->restart;
is(answer($node, 'postgres', 'mia', 'SELECT count(*) FROM events'), '0', 'after a restart still prepared');
my $late = session($node, 'postgres');
$late->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
is($late->query('SELECT count(*) FROM events'), '0', 'also for a hot cache');
$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
is($late->query('SELECT count(*) FROM events'), '2', 'committed, it counts');
is($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing');
$late->quit;
done_testing();
