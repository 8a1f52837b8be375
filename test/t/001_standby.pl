# A hot standby refuses what the primary revoked, as soon as it has replayed it:
# the messages that drop the cached access travel in the WAL (attack 108).
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Fixture;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "max_prepared_transactions = 5\nmax_connections = 50");
$primary->start;
populate($primary, 'postgres');
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
# a hot standby cannot do serializable
$standby->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

# Run something on the primary and wait until the standby has it too.
sub change
{
	my ($who, $sql) = @_;
	my $answer =
	  $who eq 'dba' ? $primary->safe_psql('postgres', $sql) : answer($primary, 'postgres', $who, $sql);
	$primary->wait_for_catchup($standby, 'replay');
	return $answer;
}

my $hot = "EXECUTE hot";
my $prepare = "PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events";

# Signing in writes nothing, so it works here.
my $mia = session($standby, 'postgres');
$mia->query("SET plan_cache_mode = force_generic_plan; $prepare");
$mia->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
is($mia->query($hot), '1,2', 'a member reads on the standby');

my $client = session($standby, 'postgres');
$client->query($prepare);
is($client->query("SELECT tenancy.authenticate(secret('session'), true)"), '', 'a session signs in on the standby');
is($client->query($hot), '1,2', 'and reads');

my $writer = session($standby, 'postgres');
$writer->query("SELECT tenancy.authenticate(secret('token'), true)");
is($writer->{stderr}, '', 'a project token signs in on the standby');
is($writer->query('SELECT count(*) FROM events'), '0', 'and reads nothing');
is($writer->query('SELECT tenancy.current_project_id() = id(\'open\')'), 't', 'and is known');

my $nobody = session($standby, 'postgres');
is($nobody->query('SELECT count(*) FROM events'), '0', 'nobody reads nothing');

# A change that has not been committed, or was rolled back, or prepared only,
# is not there.
$mia->query('BEGIN');
is($mia->query($hot), '1,2', 'an open transaction with its locks');
my $alice = session($primary, 'postgres');
$alice->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice'), true); END \$\$");
$alice->query("BEGIN; SELECT tenancy.remove_project_member(id('private'), id('mia'))");
change('dba', 'SELECT pg_switch_wal()');
is($mia->query($hot), '1,2', 'an uncommitted revocation is not obeyed');
$alice->query('ROLLBACK');
change('dba', 'SELECT pg_switch_wal()');
is($mia->query($hot), '1,2', 'nor one that was rolled back');
$alice->query("BEGIN; SELECT tenancy.remove_project_member(id('private'), id('mia')); PREPARE TRANSACTION 'p'");
change('dba', 'SELECT pg_switch_wal()');
is($mia->query($hot), '1,2', 'nor one that is prepared');
change('dba', "COMMIT PREPARED 'p'");
is($mia->query($hot), '1', 'COMMIT PREPARED takes it away, in a prepared statement of an open transaction');

change('alice', "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
is($mia->query($hot), '1,2', 'a grant arrives');
$mia->query('COMMIT');

$mia->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($mia->query($hot), '1,2', 'an old snapshot');
change('alice', "SELECT tenancy.set_project_privacy(id('open'), true)");
is($mia->query($hot), '2', 'does not keep access alive');
$mia->query('COMMIT');
change('alice', "SELECT tenancy.remove_project_member(id('private'), id('mia')); UPDATE events SET n = 20 WHERE n = 2");
$mia->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($mia->query($hot), '', 'before a grant');
change('alice', "UPDATE events SET n = 21 WHERE n = 20; SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
is($mia->query($hot), '', 'an old snapshot does not open the past (attack 99)');
$mia->query('COMMIT');
is($mia->query($hot), '21', 'but the present');
change('alice', "SELECT tenancy.set_project_privacy(id('open'), false)");

# In the middle of the replay of a commit, when its rows can be seen already and its
# messages have not been sent: a statement sees what it did and obeys it.  A function
# keeps the lock that they are sent under.
can_hold_messages($primary, 'postgres');
$primary->wait_for_catchup($standby, 'replay');
my $file = "$ENV{TESTDIR}/held";
my ($holder, $watcher) = map { $standby->background_psql('postgres') } 1, 2;
foreach my $how ('READ COMMITTED', 'REPEATABLE READ')
{
	is($mia->query($hot), '1,21', 'before it');
	$holder->query_until(qr/asked/, "\\echo asked\nSELECT hold_messages('$file');\n");
	await(sub { -e $file });
	answer($primary, 'postgres', 'alice', "SELECT tenancy.remove_project_member(id('private'), id('mia')); UPDATE events SET n = 22 WHERE n = 21");
	await(sub { $watcher->query('SELECT count(*) FROM events WHERE n = 22') eq '1' });
	$mia->query("BEGIN ISOLATION LEVEL $how");
	is($mia->query($hot), '1', "a revocation in the middle of its replay, $how");
	is($mia->query($hot), '1', 'and still');
	unlink $file;
	$primary->wait_for_catchup($standby, 'replay');
	is($mia->query($hot), '1', 'and afterwards');
	$mia->query('COMMIT');
	change('alice', "UPDATE events SET n = 21 WHERE n = 22; SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')");
}
$_->quit foreach $holder, $watcher;

# Credentials.
is($client->query($hot), '1,21', 'the session still reads');
change('dba', "SELECT tenancy.revoke_sessions(id('mia'))");
is($client->query($hot), '', 'a session that was revoked on the primary is nobody here');
like(ask($standby, 'postgres', "SELECT tenancy.authenticate(secret('session'))"),
	qr/^ERROR:  28000: credential is not valid$/, 'and does not sign in any more');
change('alice', "SELECT tenancy.rotate_project_token(id('open'))");
is($writer->query("SELECT tenancy.current_project_id() IS NULL"), 't', 'a rotated token is nobody here');
like(ask($standby, 'postgres', "SELECT tenancy.authenticate(secret('token'))"),
	qr/^ERROR:  28000: credential is not valid$/, 'and does not sign in any more');

# Signing out is possible here unless it takes a session to be revoked.
my $leaving = session($standby, 'postgres');
$leaving->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
is($leaving->query('SELECT count(*) FROM events'), '2', 'before signing out');
$leaving->query('SELECT tenancy.sign_out()');
is($leaving->{stderr}, '', 'an asserted identity signs out on the standby');
is($leaving->query('SELECT count(*) FROM events'), '0', 'and is nobody');
$leaving->quit;
change('dba', "INSERT INTO secrets VALUES ('another session', tenancy.create_session(id('mia')))");
like(ask($standby, 'postgres', "BEGIN; SELECT tenancy.authenticate(secret('another session')); SELECT tenancy.sign_out()"),
	qr/^ERROR:  25006:/m, 'a session cannot be revoked there');

# A bound login role: bound, rebound and unbound on the primary.
change('dba', "CREATE ROLE regress_bi LOGIN; GRANT SELECT ON events TO regress_bi");
my $bi = $standby->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_bi' ]);
is($bi->query('SELECT count(*) FROM events'), '0', 'a login role is nobody');
change('dba', "SELECT tenancy.bind_role('regress_bi', id('alice'))");
is($bi->query('SELECT count(*) FROM events'), '2', 'until it is bound');
$bi->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($bi->query('SELECT count(*) FROM events'), '2', 'an old snapshot');
change('dba', "SELECT tenancy.bind_role('regress_bi', id('alice'), id('private'))");
is($bi->query('SELECT count(*) FROM events'), '1', 'does not keep a binding alive');
change('dba', "SELECT tenancy.bind_role('regress_bi', id('eve'))");
is($bi->query('SELECT count(*) FROM events'), '0', 'rebound');
$bi->query('COMMIT');
change('dba', "SELECT tenancy.bind_role('regress_bi', id('alice'))");
is($bi->query('SELECT count(*) FROM events'), '2', 'and back');
change('dba', "CREATE TABLE more (project_id uuid NOT NULL); SELECT tenancy.protect('more'); ALTER TABLE more OWNER TO regress_bi");
is($bi->query('SELECT count(*) FROM events'), '0', 'it owns a protected table');
change('dba', "DROP TABLE more");
is($bi->query('SELECT count(*) FROM events'), '2', 'no more');
change('dba', "SELECT tenancy.unbind_role('regress_bi')");
is($bi->query('SELECT count(*) FROM events'), '0', 'unbound');
$bi->quit;

# Nothing can be changed here, and saying so tells nothing else.
like(answer($standby, 'postgres', 'alice', "SELECT tenancy.rename_project(id('open'), 'x')"),
	qr/^ERROR:  25006:/, 'commands are refused: read-only');
is(answer($standby, 'postgres', 'mia', "SELECT tenancy.rename_project(id('open'), 'x')"),
	answer($primary, 'postgres', 'mia', "SELECT tenancy.rename_project(id('open'), 'x')"),
	'who may not is told the same as on the primary');
is(answer($standby, 'postgres', 'eve', "SELECT tenancy.rename_project(id('open'), 'x')"),
	answer($standby, 'postgres', 'eve', "SELECT tenancy.rename_project(id('missing'), 'x')"),
	'a hidden project is a missing one');

# Removed, and out; promoted, and everything holds.
is($mia->query($hot), '1,21', 'before removal');
change('alice', "SELECT tenancy.remove_member(id('acme'), id('mia'))");
is($mia->query($hot), '', 'a removed member reads nothing');
$alice->quit;
$primary->stop('immediate');
$standby->promote;
is($mia->query($hot), '', 'nor after the standby has become the primary');
is(answer($standby, 'postgres', 'alice', "SELECT tenancy.rename_project(id('open'), 'renamed')"), '', 'where commands work');
is(answer($standby, 'postgres', 'adam', "SELECT name FROM tenancy.my_projects WHERE id = id('open')"), 'renamed', 'and are seen');
is($standby->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing');
$_->quit foreach $mia, $client, $writer, $nobody;

done_testing();
