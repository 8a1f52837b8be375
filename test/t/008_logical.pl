# Logical replication: what a subscription applies to tenancy's tables counts at
# once in the subscriber's sessions, though triggers and foreign keys of the
# ordinary kind do not fire there.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Inventory;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'max_connections = 50');
$publisher->start;
populate($publisher, 'postgres');
$publisher->safe_psql('postgres', <<'SQL');
CREATE PUBLICATION people FOR TABLE tenancy.users, tenancy.organizations, tenancy.memberships,
	tenancy.projects, tenancy.project_memberships, tenancy.project_tokens, tenancy.sessions;
SQL

# The subscriber has rows of its own, and the people of the publisher.
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', 'max_connections = 50');
$subscriber->start;
populate($subscriber, 'postgres');
my $session = $publisher->safe_psql('postgres', "SELECT secret('session')");
my $token = $publisher->safe_psql('postgres', "SELECT secret('token')");
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', <<"SQL");
SET session_replication_role = replica;
DELETE FROM tenancy.users;
DELETE FROM tenancy.organizations;
DELETE FROM tenancy.memberships;
DELETE FROM tenancy.projects;
DELETE FROM tenancy.project_memberships;
DELETE FROM tenancy.project_tokens;
DELETE FROM tenancy.sessions;
RESET session_replication_role;
CREATE SUBSCRIPTION people CONNECTION '$connection' PUBLICATION people;
SQL
$subscriber->wait_for_subscription_sync($publisher, 'people');

# An open transaction of mia's, whose set is loaded and whose locks are held.
my $mia = session($subscriber, 'postgres');
my $sees = "SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), 'nothing') FROM events";
$mia->query("BEGIN; SELECT tenancy.authenticate('$session', true); PREPARE q AS $sees; EXECUTE q");

# What mia sees after a change on the publisher.
sub after
{
	my ($change) = @_;

	$publisher->safe_psql('postgres', $change);
	$publisher->wait_for_catchup('people');
	my $answer = $mia->query('EXECUTE q');
	$answer =~ s/^\s+|\s+$//g;
	return $answer;
}

# attacks 103 and 110: each kind of change that takes access away or gives it
is(after('SELECT 1'), '1 2', 'mia is signed in on the subscriber');
is(after("DELETE FROM tenancy.project_memberships WHERE user_id = id('mia')"), '1', 'taken out of a project');
is(after("UPDATE tenancy.memberships SET level = 'administrator' WHERE user_id = id('mia')"), '1 2', 'promoted');
is(after("UPDATE tenancy.projects SET is_private = true WHERE id = id('open')"), '1 2', 'still an Administrator');
is(after("UPDATE tenancy.memberships SET level = 'member' WHERE user_id = id('mia')"), 'nothing', 'a Member again');
is(after("SELECT tenancy.assign_owner(id('acme'), id('mia'))"), '1 2', 'the Owner');
is(after("UPDATE tenancy.users SET is_active = false WHERE id = id('mia')"), 'nothing', 'deactivated');
is(after("UPDATE tenancy.users SET is_active = true WHERE id = id('mia')"), '1 2', 'active again');
is(after("UPDATE tenancy.sessions SET revoked_at = now() WHERE user_id = id('mia')"), 'nothing', 'the session is revoked');
$mia->quit;

# A project token, too, dies on both sides.
my $put = "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate('$token'); END \$\$; INSERT INTO events VALUES (id('open'), 3); COMMIT";
is(ask($subscriber, 'postgres', $put), '', 'a token writes on the subscriber');
$publisher->safe_psql('postgres', "UPDATE tenancy.project_tokens SET revoked_at = now(), token = NULL WHERE project_id = id('open')");
$publisher->wait_for_catchup('people');
like(ask($subscriber, 'postgres', $put), qr/28000: credential is not valid/, 'and no more when it was regenerated');

# attack 110: what is published is all rows, whoever may see them: row security is
# not asked.
$publisher->safe_psql('postgres', 'CREATE PUBLICATION rows FOR TABLE events');
$subscriber->safe_psql('postgres', 'DELETE FROM events');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION rows CONNECTION '$connection' PUBLICATION rows");
$subscriber->wait_for_subscription_sync($publisher, 'rows');
is($subscriber->safe_psql('postgres', $sees), '1 2', 'published rows are the whole table');

# A whole database moves: its schema by dump, its rows by a subscription.
$publisher->safe_psql('postgres', 'CREATE DATABASE whole');
$subscriber->safe_psql('postgres', 'CREATE DATABASE whole');
populate_all($publisher, 'whole');
create_roles($subscriber);
my $before = answers_of($publisher, 'whole');
my $schema = $publisher->basedir . '/schema.sql';
$publisher->command_ok([ 'pg_dump', '--schema-only', '-f', $schema, 'whole' ], 'the schema is dumped');
$subscriber->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $subscriber->connstr('whole'), '-f', $schema ], 'and restored');
my $tables = join ', ', tables_of($publisher, 'whole');
$publisher->safe_psql('whole', "CREATE PUBLICATION whole FOR TABLE $tables");
$subscriber->safe_psql('whole', 'CREATE SUBSCRIPTION whole CONNECTION \'' . $publisher->connstr . ' dbname=whole\' PUBLICATION whole');
$subscriber->wait_for_subscription_sync($publisher, 'whole', 'whole');
same(rows_of($subscriber, 'whole'), rows_of($publisher, 'whole'), 'the same rows');
same(answers_of($subscriber, 'whole'), $before, 'identical answers and refusals');
is($subscriber->safe_psql('whole', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing');
answer($publisher, 'whole', 'alice', "SELECT tenancy.create_project(id('acme'), 'new', true), tenancy.rotate_project_token(id('open')), tenancy.transfer_ownership(id('acme'), id('adam'))");
$publisher->wait_for_catchup('whole');
same(rows_of($subscriber, 'whole'), rows_of($publisher, 'whole'), 'the same rows after commands');
is($subscriber->safe_psql('whole', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing then');
$subscriber->safe_psql('whole', 'DROP SUBSCRIPTION whole');

$subscriber->safe_psql('postgres', "DROP SUBSCRIPTION $_") for qw(people rows);
$subscriber->stop;
$publisher->stop;
done_testing();
