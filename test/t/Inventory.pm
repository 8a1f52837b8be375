# A database with something in every table, all its rows, and what everybody is
# told by it: what has to be the same after a restore, a recovery, an upgrade.
package Inventory;
use strict;
use warnings;
use Exporter 'import';
use Fixture;
use Test::More;
our @EXPORT = qw(create_roles populate_all tables_of rows_of answers_of same);

our @own = qw(secrets events settings parted wide ledger base events_sum);

# The login roles that populate_all() binds, for a server that its rows come to.
sub create_roles
{
	my ($node) = @_;
	$node->safe_psql('postgres', 'CREATE ROLE regress_bi LOGIN; CREATE ROLE regress_bi_all LOGIN');
	return;
}

# The fixture's organization, and something in every table, in every state.
sub populate_all
{
	my ($node, $database) = @_;
	populate($node, $database);
	create_roles($node);
	$node->safe_psql($database, <<'SQL');
SET tenancy.email_enabled = on;
INSERT INTO tenancy.plans VALUES ('school', true, true, false);
INSERT INTO tenancy.users (id, email, name, is_active)
	VALUES (id('gone'), 'gone@tap.example', 'gone', false), (id('late'), 'late@tap.example', 'late', true);
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	VALUES (id('school'), 'school', id('eve'), 'school'), (id('abandoned'), 'abandoned', id('gone'), 'free');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('school'), id('mia')), (id('acme'), id('gone'));
INSERT INTO tenancy.projects (id, organization_id, name) VALUES (id('class'), id('school'), 'class');
INSERT INTO secrets VALUES ('revoked', tenancy.create_session(id('late'))), ('class', tenancy._issue_project_token(id('class'))),
	('late', NULL);
SELECT tenancy.revoke_sessions(id('late'));
UPDATE secrets SET secret = tenancy.create_session(id('late')) WHERE name = 'late';
BEGIN;
SELECT tenancy.act_as(id('alice'));
SELECT tenancy.create_invite(id('acme'), 'late@tap.example'), tenancy.create_invite(id('acme'), 'nobody@tap.example');
INSERT INTO secrets SELECT CASE WHEN recipient LIKE 'late%' THEN 'invite' ELSE 'other invite' END, payload ->> 'token' FROM tenancy.notifications;
INSERT INTO secrets SELECT 'old token', secret FROM secrets WHERE name = 'token';
UPDATE secrets SET secret = tenancy.rotate_project_token(id('open')) WHERE name = 'token';
COMMIT;
INSERT INTO tenancy.users (id, email, name) VALUES (id('forgotten'), 'forgotten@tap.example', 'forgotten');
INSERT INTO tenancy.memberships (organization_id, user_id, invited_by) VALUES (id('acme'), id('forgotten'), id('adam'));
UPDATE tenancy.memberships SET invited_by = id('forgotten') WHERE user_id = id('mia');
SELECT tenancy.forget_user(id('forgotten'));
INSERT INTO tenancy.notifications (kind, organization_id, recipient, payload) SELECT 'member_joined', id('acme'), name || '@tap.example', '{"member_email": "mia@tap.example"}'
	FROM unnest(ARRAY['alice', 'adam']) name;
SELECT tenancy.claim_notifications(3);
SELECT tenancy.complete_notification(id) FROM tenancy.notifications WHERE recipient = 'nobody@tap.example';
SELECT tenancy.fail_notification(id, 'refused') FROM tenancy.notifications WHERE recipient = 'late@tap.example';
INSERT INTO tenancy.notifications (kind, recipient, attempts, dead_at, last_error) VALUES ('member_joined', 'x@tap.example', 8, clock_timestamp(), 'refused');
INSERT INTO tenancy.user_preferences VALUES (id('mia'), id('acme'), id('private')), (id('eve'), id('school'), NULL);
SELECT tenancy.bind_role('regress_bi', id('mia'), id('open')), tenancy.bind_role('regress_bi_all', id('adam'));
GRANT SELECT ON events TO regress_bi, regress_bi_all;
INSERT INTO events VALUES (id('class'), 3);
CREATE TABLE settings (organization_id uuid NOT NULL, value text);
SELECT tenancy.protect_by_organization('settings');
INSERT INTO settings VALUES (id('acme'), 'of acme'), (id('school'), 'of school');
CREATE TABLE parted (project_id uuid NOT NULL, n integer NOT NULL) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
SELECT tenancy.protect('parted');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (id('open'), 1), (id('private'), 11), (id('class'), 12);
-- a dump goes schema by schema: parts come before the whole, and after it
CREATE SCHEMA a_parts;
CREATE SCHEMA z_parts;
CREATE TABLE wide (project_id uuid NOT NULL, n integer NOT NULL) PARTITION BY LIST (n);
CREATE TABLE a_parts.wide_1 PARTITION OF wide FOR VALUES IN (1);
CREATE TABLE ledger (organization_id uuid NOT NULL, n integer NOT NULL) PARTITION BY LIST (n);
CREATE TABLE a_parts.ledger_1 PARTITION OF ledger FOR VALUES IN (1);
CREATE TABLE base (project_id uuid NOT NULL, n integer NOT NULL);
CREATE TABLE a_parts.base_1 () INHERITS (base);
SELECT tenancy.protect('wide', editable_by => 'administrator'), tenancy.protect_by_organization('ledger'), tenancy.protect('base');
CREATE TABLE z_parts.wide_2 PARTITION OF wide FOR VALUES IN (2);
CREATE TABLE z_parts.ledger_2 PARTITION OF ledger FOR VALUES IN (2);
CREATE TABLE z_parts.base_2 () INHERITS (base);
INSERT INTO wide SELECT id(p), n FROM unnest(ARRAY['open', 'private', 'class']) p, generate_series(1, 2) n;
INSERT INTO ledger SELECT id(o), n FROM unnest(ARRAY['acme', 'school']) o, generate_series(1, 2) n;
INSERT INTO base VALUES (id('open'), 0);
INSERT INTO a_parts.base_1 SELECT project_id, n FROM wide WHERE n = 1;
INSERT INTO z_parts.base_2 SELECT project_id, n FROM wide WHERE n = 2;
GRANT SELECT, INSERT, UPDATE, DELETE ON settings, parted, parted_1, parted_2, wide, ledger, base TO regress_tap;
GRANT USAGE ON SCHEMA a_parts, z_parts TO regress_tap;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA a_parts, z_parts TO regress_tap;
SELECT tenancy.create_reporting_view('events', 'events_report'), tenancy.create_reporting_view('settings', 'settings_report');
GRANT SELECT ON events_report, settings_report TO regress_tap;
SELECT tenancy.create_protected_rollup('events', 'events_sum', 'SELECT project_id, sum(n) AS n FROM events GROUP BY 1');
SELECT tenancy.refresh_rollup('events_sum');
GRANT SELECT ON events_sum TO regress_tap;
SQL
	return;
}

sub tables_of
{
	my ($node, $database) = @_;
	return ((split /\n/, $node->safe_psql($database,
		"SELECT 'tenancy.' || relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' ORDER BY 1")), @own);
}

# All rows of all tables, each with its table's name before it; a role by its name,
# since another server has another oid for it.
sub rows_of
{
	my ($node, $database) = @_;
	my $tables = join ' UNION ALL ', map {
		my $row = $_ eq 'tenancy.role_bindings' ? "to_jsonb(t) || jsonb_build_object('role_oid', t.role_oid::regrole::text)" : 'to_jsonb(t)';
		"SELECT '$_ ' || ($row)::text AS line FROM $_ t"
	} tables_of($node, $database);
	return $node->safe_psql($database, "SELECT line FROM ($tables) l ORDER BY line COLLATE \"C\"");
}

# What is asked, each time by everybody.
my @asked = (
	(map { "SELECT to_jsonb(t) FROM $_ t ORDER BY to_jsonb(t)::text" }
		qw(events settings parted parted_1 parted_2 wide a_parts.wide_1 z_parts.wide_2 ledger a_parts.ledger_1 z_parts.ledger_2
		base a_parts.base_1 z_parts.base_2 tenancy.my_organizations tenancy.my_projects tenancy.members
		tenancy.project_members tenancy.pending_invites tenancy.users events_report settings_report events_sum tenancy.reporting_views tenancy.rollups tenancy.permission_matrix tenancy.my_sessions tenancy.plan_features)),
	(map { "WITH changed AS ($_) SELECT to_jsonb(c) FROM changed c ORDER BY to_jsonb(c)::text" }
		"UPDATE events SET n = n + 100 RETURNING n", "DELETE FROM parted RETURNING n",
		"DELETE FROM z_parts.wide_2 RETURNING n",
		"UPDATE settings SET value = 'x' RETURNING organization_id"),
	(map { "INSERT INTO events VALUES (id('$_'), 9)" } qw(open private class missing)),
	"INSERT INTO settings VALUES (id('acme'), 'x')",
	"INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('eve'))",
	"UPDATE tenancy.organizations SET owner_id = id('mia')",
	"TRUNCATE events", "TRUNCATE tenancy.users CASCADE",
	"CREATE TRIGGER t BEFORE UPDATE ON events EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	(map { "SELECT tenancy.rename_project(id('$_'), 'x')" } qw(open private class missing)),
	"SELECT tenancy.set_project_privacy(id('class'), true)",
	(map { "SELECT tenancy.remove_member(id('acme'), id('$_'))" } qw(alice adam mia eve gone missing)),
	"SELECT tenancy.transfer_ownership(id('acme'), id('adam'))",
	"SELECT tenancy.delete_organization(id('school'))",
	"SELECT tenancy.accept_invite(secret('invite')); SELECT name FROM tenancy.my_organizations ORDER BY 1",
	"SELECT tenancy.accept_invite(secret('other invite'))",
	"SELECT tenancy.preview_invite(secret('invite'))",
	(map { "SELECT tenancy.authenticate(secret('$_')); SELECT tenancy.current_user_id(), tenancy.current_project_id(); SELECT n FROM events ORDER BY n" }
		'token', 'old token', 'class', 'session', 'revoked', 'late', 'invite'),
	"SELECT tenancy.authenticate(secret('token')); INSERT INTO events (n) VALUES (5)",
	"SELECT tenancy.create_user('a\@b', 'c') IS NOT NULL",
	"SELECT tenancy.assign_owner(id('acme'), id('eve'))");

# One connection for each who asks; what they are told is on both outputs.
sub answers_of
{
	my ($node, $database, $role) = @_;
	my $answers = '';
	foreach my $who (qw(alice adam mia eve gone late missing nobody))
	{
		my $script = '';
		foreach my $question (@asked)
		{
			$script .= "\\echo $who: $question\n\\warn $who: $question\nBEGIN;\n";
			$script .= "DO \$\$ BEGIN PERFORM tenancy.act_as(id('$who')); END \$\$;\n" if $who ne 'nobody';
			$script .= "$question;\nROLLBACK;\n";
		}
		my ($out, $err);
		$node->psql(
			$database, $script,
			stdout => \$out,
			stderr => \$err,
			on_error_stop => 0,
			extra_params => [ '-U', $role // 'regress_tap', '-v', 'VERBOSITY=verbose' ]);
		$err =~ s/^LOCATION: .*\n?//mg;
		$answers .= "$out\n$err\n";
	}
	return $answers;
}

# is(), for long texts: what differs, and not all of it.
sub same
{
	my ($got, $expected, $name) = @_;
	return pass($name) if $got eq $expected;
	my @lines = ([ split /\n/, $got ], [ split /\n/, $expected ]);
	my @counts = map { my %count; $count{$_}++ foreach @$_; \%count } @lines;
	fail($name);
	foreach my $side (0, 1)
	{
		my @only = grep { ($counts[1 - $side]{$_} // 0) < $counts[$side]{$_} } @{ $lines[$side] };
		diag(($side ? 'expected: ' : 'got: ') . substr $_, 0, 300) foreach @only[0 .. ($#only < 9 ? $#only : 9)];
	}
	return;
}

1;
