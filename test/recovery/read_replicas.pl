# Two hot standbys, the second fed by the first.  Everything that reads works there
# as on the primary; whatever is revoked on the primary is obeyed by the first when
# the commit returns (synchronous_commit = remote_apply) and by the second when it
# has replayed it; no statement sees new rows with old rights; what needs to write
# says so.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t", $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Replicas;

my $rounds = $ENV{ROUNDS} || 1000;

my ($primary, $near, $far) = start_replicas(<<'SQL');
CREATE ROLE regress_bi LOGIN;
GRANT SELECT ON events TO regress_bi;
SELECT tenancy.bind_role('regress_bi', id('mia'));
SELECT tenancy.create_reporting_view('events', 'events_report');
GRANT SELECT ON events_report TO regress_tap, regress_bi;
SELECT tenancy.create_protected_rollup('events', 'events_count', 'SELECT project_id, count(*) AS n FROM events GROUP BY 1');
SELECT tenancy.refresh_rollup('events_count');
GRANT SELECT ON events_count TO regress_tap;
GRANT pg_monitor TO regress_tap;
INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES (id('secret'), id('acme'), 'secret', true);
INSERT INTO events VALUES (id('secret'), 3);
INSERT INTO tenancy.users (id, email, name) VALUES (id('bob'), 'bob@tap.example', 'bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES (id('rival'), 'rival', id('bob'), 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name) VALUES (id('foreign'), id('rival'), 'foreign');
SQL
my %standby = (near => $near, far => $far);

# Change something on the primary.  The first standby has replayed it then, and
# nothing is waited for; the second is waited for.
sub change
{
	my ($who, $sql) = @_;
	my $answer =
	  $who eq 'dba' ? $primary->safe_psql('postgres', $sql) : answer($primary, 'postgres', $who, $sql);
	await_second($primary, $near, $far);
	return $answer;
}

# ---------------------------------------------------------------------
# Whatever reads works there, and answers what the primary answers
# ---------------------------------------------------------------------
my @questions = (
	"SELECT tenancy.current_user_id() = id('%s')",
	"SET LOCAL tenancy.project_id = '00000000-0000-0000-0000-000000000000'; SELECT tenancy.current_project_id(), count(*) FROM events",
	"DO \$\$ BEGIN PERFORM set_config('tenancy.project_id', id('open')::text, true); END \$\$; SELECT tenancy.current_project_id() = id('open'), count(*) FROM events",
	'SELECT n, project_id FROM events ORDER BY n',
	'SELECT project_name, organization_name, n FROM events_report ORDER BY n',
	'SELECT n, project_id FROM events_count ORDER BY project_id',
	'SELECT * FROM tenancy.report_organizations ORDER BY 1',
	'SELECT * FROM tenancy.report_members ORDER BY 1, 2',
	'SELECT * FROM tenancy.report_projects ORDER BY 1, 2',
	'SELECT * FROM tenancy.report_invites ORDER BY 1, 2',
	'SELECT r::text FROM tenancy.report_audit r ORDER BY 1',
	'SELECT * FROM tenancy.my_organizations ORDER BY id',
	'SELECT * FROM tenancy.my_projects ORDER BY id',
	'SELECT * FROM tenancy.my_sessions ORDER BY 1',
	'SELECT * FROM tenancy.members ORDER BY email',
	'SELECT chain, number, place, action, row_key FROM tenancy.audit_log ORDER BY 1, 2, 3',
	(map { my $target = $_; map { "SELECT * FROM tenancy.explain_access(id('mia'), '$_', id('$target'))" } qw(project.view project.manage) }
		qw(open private secret foreign missing)),
	"SELECT * FROM tenancy.explain_access(id('adam'), 'organization.manage', id('acme'))",
	(map { "SELECT * FROM tenancy.who_can_access(id('$_')) ORDER BY email" } qw(open private secret foreign missing)),
	(map { "SELECT * FROM tenancy.what_can_access(id('$_')) ORDER BY 1, 2" } qw(alice mia eve bob missing)),
	"SELECT tenancy.can('project.view', id('private')), tenancy.level_in(id('acme')), tenancy.viewable_projects()",
	"SET LOCAL tenancy.missing_identity = error; SELECT count(*) FROM events");

# The answers of a node to many statements in one connection, each undone: what it
# prints, its SQLSTATE and message.
sub answers
{
	my ($node, $who, @statements) = @_;
	my $sql = "BEGIN;\n" . ($who eq 'nobody' ? '' : "DO \$\$ BEGIN PERFORM tenancy.act_as(id('$who')); END \$\$;\n");
	$sql .= "SAVEPOINT s;\n$_;\n\\echo :SQLSTATE :LAST_ERROR_MESSAGE\n\\echo ----\nROLLBACK TO s;\n" foreach @statements;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 0, extra_params => [ '-U', 'regress_tap' ]);
	# what has no error shows the last one there was
	return map { s/^00000 .*/00000/mr } split /^----\n?/m, $out;
}
foreach my $who (qw(alice adam mia eve bob))
{
	my @asked = map { s/'%s'/'$who'/r } @questions;
	my @expected = answers($primary, $who, @asked);
	is(scalar @expected, scalar @asked, "$who is answered");
	foreach my $name (qw(near far))
	{
		my @answers = answers($standby{$name}, $who, @asked);
		is(join("\n", map { "$asked[$_]: $answers[$_], not $expected[$_]" } grep { $answers[$_] ne $expected[$_] } 0 .. $#asked),
			'', "$who is answered on $name as on the primary");
	}
}
is(answer($near, 'postgres', 'mia', "SELECT bool_and(granted) FROM tenancy.explain_access(id('mia'), 'project.view', id('private'))"), 't', 'which is an answer');
is(answer($near, 'postgres', 'mia', 'SELECT count(*) FROM tenancy.report_projects'), '2', 'and has rows');

foreach my $name (qw(near far))
{
	my $node = $standby{$name};
	my $sees = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";
	# every way to sign in
	is(ask($node, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session')); END \$\$; $sees"), '1,2', "$name: by a session's token");
	is(ask($node, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token')); END \$\$; SELECT tenancy.current_project_id() = id('open'), count(*) FROM events"),
		't|0', "$name: by a project's token");
	is(ask($node, 'postgres', "BEGIN; SELECT set_config('tenancy.user_id', id('mia')::text, true) \\g /dev/null\n$sees"), '1,2', "$name: by SET LOCAL tenancy.user_id");
	is($node->safe_psql('postgres', $sees, extra_params => [ '-U', 'regress_bi' ]), '1,2', "$name: a bound role, from its first statement on");
	is($node->safe_psql('postgres', 'SELECT string_agg(n::text, \',\' ORDER BY n) FROM events_report', extra_params => [ '-U', 'regress_bi' ]),
		'1,2', "$name: and in a report");
	is(ask($node, 'postgres', $sees), '', "$name: nobody sees nothing");
	like(ask($node, 'postgres', "SET tenancy.missing_identity = error; $sees"), qr/^ERROR:  28000: nobody is signed in$/m, "$name: or is told so");
	like(ask($node, 'postgres', "SELECT tenancy.authenticate('tns_wrong')"), qr/^ERROR:  28000: credential is not valid$/m, "$name: a wrong credential");
	# the administrator's tools
	foreach my $tool ('lint()', 'check_integrity()', 'verify_audit()', 'access_at(now()) ORDER BY 1, 2, 3')
	{
		is($node->safe_psql('postgres', "SELECT * FROM tenancy.$tool"), $primary->safe_psql('postgres', "SELECT * FROM tenancy.$tool"),
			"$name: $tool answers as on the primary");
	}
}

# ---------------------------------------------------------------------
# What writes is refused, for what is hidden as for what never existed
# ---------------------------------------------------------------------
# Every function that the application may call, with a target in the first place
# where a uuid is wanted, and something fitting in all others.
my %fitting = (
	text => "'x'", name => "'project_id'", boolean => 'true', interval => "'1 day'", 'text[]' => "ARRAY['x\@tap.example']",
	'tenancy.access_level' => "'member'", 'tenancy.permission' => "'project.manage'", regclass => "'events'", regrole => "'regress_bi'",
	integer => '1', 'timestamp with time zone' => 'now()');
my @calls;
foreach my $row (split /\n/, $primary->safe_psql('postgres', <<'SQL'))
SELECT p.proname, ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, place) ORDER BY place), has_function_privilege('public', p.oid, 'EXECUTE')
FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname !~ '^_' AND p.provolatile = 'v'
	AND has_function_privilege('regress_tap', p.oid, 'EXECUTE') AND p.proname NOT IN ('act_as', 'sign_out', 'authenticate')
ORDER BY 1
SQL
{
	my ($name, $types, $isForAll) = split /\|/, $row;
	my @types = map { s/"//gr } split /,/, $types =~ s/^\{|\}$//gr;
	my $target = 0;
	# the second uuid is somebody who could be meant
	push @calls, [ $name, "SELECT FROM tenancy.$name(" . join(', ', map { $_ ne 'uuid' ? $fitting{$_} // die $_ : $target++ ? "id('mia')" : '%s' } @types) . ')', $isForAll eq 't' ];
}
cmp_ok(scalar @calls, '>', 30, 'there are commands');

# How each call ends for each target.
sub outcomes
{
	my ($node, $who, @targets) = @_;
	my @pairs = map { my $call = $_; map { [ $call, $_ ] } @targets } @calls;
	my @answers = answers($node, $who, map { $_->[0][1] =~ s/%s/id('$_->[1]')/r } @pairs);
	my %outcome;
	foreach my $pair (@pairs)
	{
		chomp($outcome{ $pair->[0][0] }{ $pair->[1] } = shift(@answers) // 'none');
	}
	return \%outcome;
}
my %hidden_from = (
	mia => [ 'secret', 'foreign', 'rival', 'bob' ], eve => [ 'open', 'private', 'acme', 'alice' ],
	adam => [ 'foreign', 'rival', 'bob' ], nobody => [ 'open', 'acme', 'alice' ]);
my $readonly = 0;
foreach my $who (sort keys %hidden_from)
{
	my @targets = ('missing', @{ $hidden_from{$who} });
	my @visible = grep { my $target = $_; !grep { $_ eq $target } @targets } qw(open private acme mia);
	my $there = outcomes($primary, $who, @targets, @visible);
	my $here = outcomes($near, $who, @targets, @visible);
	my (@told, @half);
	foreach my $call (@calls)
	{
		my $name = $call->[0];
		my $missing = $here->{$name}{missing} // 'no answer';
		# from the application itself nobody is hidden
		push @told, map { "$name($_): $here->{$name}{$_}, not $missing" } grep { $call->[2] && $here->{$name}{$_} ne $missing } @{ $hidden_from{$who} };
		# an error of the primary's, or read-only; and what could be done there cannot here
		foreach my $target (@targets, @visible)
		{
			my ($p, $s) = ($there->{$name}{$target}, $here->{$name}{$target});
			$readonly += $s =~ /^25006/;
			push @half, "$name($target): $s, not $p" if $s ne $p && $s !~ /^25006 cannot execute [A-Z ]+ in a read-only transaction$/;
			push @half, "$name($target): done" if $s =~ /^00000/ && $name !~ /^(require|preview_invite)$/;
		}
	}
	is(join("\n", @told), '', "$who: what is hidden is missing there, too");
	is(join("\n", @half), '', "$who: each call ends as on the primary, or because nothing can be written");
}
cmp_ok($readonly, '>', 100, 'which many did');
foreach my $sql ("purge('1 day')", "prove_isolation('regress_tap')", "grant_application('regress_tap')", "bind_role('regress_bi', id('alice'))",
	"unbind_role('regress_bi')", "set_plan(id('acme'), 'free')", "assign_owner(id('acme'), id('mia'))", 'claim_notifications()',
	"refresh_rollup('events_count')", "unprotect('events')")
{
	my ($out, $err);
	$near->psql('postgres', "SELECT * FROM tenancy.$sql", stdout => \$out, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:  25006: cannot execute [A-Z ]+ (?:in a read-only transaction|during recovery)$/m, "the administrator's $sql");
}
like(ask($near, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session')); END \$\$; SELECT tenancy.sign_out()"),
	qr/^ERROR:  25006: cannot execute UPDATE in a read-only transaction$/m, 'a session is not signed out');
like(ask($near, 'postgres', "BEGIN; DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token')); END \$\$; INSERT INTO events (n) VALUES (9)"),
	qr/^ERROR:  25006: cannot execute INSERT in a read-only transaction$/m, 'a token writes nothing');

# ---------------------------------------------------------------------
# What is revoked is obeyed: at once by the one, when it is replayed by the other
# ---------------------------------------------------------------------
my $hot = 'EXECUTE hot';
my $prepare = "SET plan_cache_mode = force_generic_plan; PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events";

# Sessions of mia's that are never idle long enough to forget anything.
sub reader
{
	my ($node, $how) = @_;
	my $reader = $how eq 'bound' ?
	  $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_bi' ]) : session($node, 'postgres');
	$reader->query($prepare);
	$reader->query($how eq 'session' ? "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session'), true); END \$\$"
		: "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$") if $how ne 'bound';
	$reader->query('BEGIN') if $how eq 'transaction';
	return $reader;
}
my @kinds = qw(autocommit transaction snapshot session bound);
my %readers = map { my $name = $_; ($name => { map { $_ => reader($standby{$name}, $_) } @kinds }) } qw(near far);
my %writer = map {
	my $writer = session($standby{$_}, 'postgres');
	$writer->query("DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token'), true); END \$\$");
	($_ => $writer)
} qw(near far);

# What all of them see: the same, but for some kinds.
sub all_see
{
	my ($name, $what, %but) = @_;
	is(join(' ', map { "$_:" . $readers{$name}{$_}->query($hot) } @kinds), join(' ', map { "$_:" . ($but{$_} // $but{all}) } @kinds), "$name: $what");
	return;
}

# Each takes something away and, in the same transaction, writes what those who have
# lost it may never see; then what is left, by kind of reader, and the way back.
my @revocations = (
	[ 'removed from a private project', "SELECT tenancy.remove_project_member(id('private'), id('mia'))", { all => '1' },
		"INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('private'), id('mia'), id('acme'))" ],
	[ 'a project made private', "SELECT tenancy.set_project_privacy(id('open'), true)", { all => '2' }, "UPDATE tenancy.projects SET is_private = false WHERE id = id('open')" ],
	[ 'a member removed', "SELECT tenancy.remove_member(id('acme'), id('mia'))", { all => '' },
		"INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('mia'));
		INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('private'), id('mia'), id('acme'))" ],
	[ 'a user deactivated', "SELECT tenancy.set_user_active(id('mia'), false)", { all => '' }, "SELECT tenancy.set_user_active(id('mia'), true);
		UPDATE tenancy.sessions SET revoked_at = NULL WHERE user_id = id('mia')" ],
	[ 'a session ended', "SELECT tenancy.revoke_sessions(id('mia'))", { all => '1,2', session => '' },
		"UPDATE tenancy.sessions SET revoked_at = NULL WHERE user_id = id('mia')" ],
	[ 'a binding narrowed', "SELECT tenancy.bind_role('regress_bi', id('mia'), id('open'))", { all => '1,2', bound => '1' },
		"SELECT tenancy.bind_role('regress_bi', id('mia'))" ],
	[ 'a binding removed', "SELECT tenancy.unbind_role('regress_bi')", { all => '1,2', bound => '' }, "SELECT tenancy.bind_role('regress_bi', id('mia'))" ],
	[ 'a project deleted', "DELETE FROM tenancy.projects WHERE id = id('private')", { all => '1' },
		"INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES (id('private'), id('acme'), 'private', true);
		INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('private'), id('mia'), id('acme'));
		INSERT INTO events VALUES (id('private'), 2)" ]);

# As the DBA, for some of these are no user's; commands run as alice.
sub revocation
{
	my ($sql, $around) = @_;
	my $acting = $sql =~ /tenancy\.(?:remove|set_project)/ ? "DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$;" : '';
	return "BEGIN; $acting $sql; $around; COMMIT";
}

# A snapshot from before sees the old values, of what is left; all others the new ones.
sub left_now
{
	my ($left) = @_;
	return map { my $kind = $_;
		($kind => $kind eq 'snapshot' ? $left->{$kind} // $left->{all} : join ',', map { $_ + 10 } split /,/, $left->{$kind} // $left->{all}) } @kinds;
}
foreach my $revocation (@revocations)
{
	my ($what, $sql, $left, $back) = @$revocation;
	foreach my $name (qw(near far))
	{
		$readers{$name}{snapshot}->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
		all_see($name, "before $what", all => '1,2');
	}
	# the rows that they had get another value
	$primary->safe_psql('postgres', revocation($sql, 'UPDATE events SET n = n + 10 WHERE n < 3'));
	all_see('near', "$what, at once", left_now($left));
	await_second($primary, $near, $far);
	all_see('far', "$what, once it is replayed", left_now($left));
	foreach my $name (qw(near far))
	{
		$readers{$name}{snapshot}->query('COMMIT');
		all_see($name, "$what, in a new snapshot", map { $_ => join ',', map { $_ + 10 } split /,/, $left->{$_} } keys %$left);
	}
	$primary->safe_psql('postgres', "BEGIN; $back; UPDATE events SET n = n - 10 WHERE n BETWEEN 11 AND 12; COMMIT");
	await_second($primary, $near, $far);
}
change('alice', "SELECT tenancy.rotate_project_token(id('open'))");
foreach my $name (qw(near far))
{
	is($writer{$name}->query('SELECT tenancy.current_project_id() IS NULL'), 't', "$name: a regenerated token is nobody's");
	like(ask($standby{$name}, 'postgres', "SELECT tenancy.authenticate(secret('token'))"), qr/^ERROR:  28000: credential is not valid$/m, "$name: and signs nobody in");
	$writer{$name}->quit;
}

# ---------------------------------------------------------------------
# The same again and again, with nothing in between
# ---------------------------------------------------------------------
# One backend of the primary revokes, commits, and asks sessions of the standbys: of
# the first at once, of the second when it has replayed the commit.  With the right
# goes the row: what mia may not see is negative.
$primary->safe_psql('postgres', 'CREATE EXTENSION dblink; CREATE TABLE failures (round integer, reader text, expected text, saw text)');
my $script = <<'SQL';
CREATE FUNCTION await_far() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	reached pg_lsn := pg_current_wal_flush_lsn();
BEGIN
	WHILE NOT (SELECT d.replayed FROM dblink('farautocommit',
		format('SELECT pg_last_wal_replay_lsn() >= %L', reached)) AS d (replayed boolean)) LOOP
		PERFORM pg_sleep(0.001);
	END LOOP;
END
$$;
DO $$
DECLARE
	place text;
	kind text;
	reader text;
	saw text;
	way integer;
	places constant text[] := ARRAY['near', 'far'];
	kinds constant text[] := ARRAY['autocommit', 'transaction', 'snapshot', 'session'];
	-- what she sees once it is gone
	remain constant text[] := ARRAY['', '2', '1', '', '1,2'];
BEGIN
	FOREACH place IN ARRAY places LOOP
		FOREACH kind IN ARRAY kinds LOOP
			reader := place || kind;
			PERFORM dblink_connect(reader, CASE place WHEN 'near' THEN 'NEAR' ELSE 'FAR' END);
			PERFORM dblink_exec(reader, 'SET plan_cache_mode = force_generic_plan');
			PERFORM dblink_exec(reader, 'PREPARE hot AS SELECT coalesce(string_agg(n::text, '','' ORDER BY n), '''') FROM events');
			PERFORM * FROM dblink(reader, CASE kind WHEN 'session' THEN 'SELECT tenancy.authenticate(secret(''session''), true)::text'
				ELSE 'SELECT tenancy.act_as(id(''mia''), true)::text' END) AS (t text);
		END LOOP;
		PERFORM dblink_exec(place || 'transaction', 'BEGIN');
	END LOOP;
	PERFORM await_far();

	FOR round IN 1..ROUNDS LOOP
		way := round % 5 + 1;
		FOREACH place IN ARRAY places LOOP
			PERFORM dblink_exec(place || 'snapshot', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
			FOREACH kind IN ARRAY kinds LOOP
				SELECT d.saw INTO saw FROM dblink(place || kind, 'EXECUTE hot') AS d (saw text);
				IF saw <> '1,2' THEN
					INSERT INTO failures VALUES (round, place || ' ' || kind || ', after a grant', '1,2', saw);
				END IF;
			END LOOP;
		END LOOP;
		COMMIT;

		CASE way
			WHEN 1 THEN DELETE FROM tenancy.memberships WHERE user_id = id('mia');
			WHEN 2 THEN UPDATE tenancy.projects SET is_private = true WHERE id = id('open');
			WHEN 3 THEN DELETE FROM tenancy.project_memberships WHERE user_id = id('mia');
			WHEN 4 THEN UPDATE tenancy.users SET is_active = false WHERE id = id('mia');
			WHEN 5 THEN UPDATE tenancy.sessions SET revoked_at = now() WHERE user_id = id('mia');
		END CASE;
		UPDATE events SET n = -n
		WHERE way IN (1, 4) OR way = 2 AND project_id = id('open') OR way = 3 AND project_id = id('private');
		COMMIT;

		FOREACH place IN ARRAY places LOOP
			IF place = 'far' THEN
				PERFORM await_far();
			END IF;
			FOREACH kind IN ARRAY kinds LOOP
				SELECT d.saw INTO saw FROM dblink(place || kind, 'EXECUTE hot') AS d (saw text);
				IF saw <> (CASE WHEN way = 5 AND kind = 'session' THEN '' ELSE remain[way] END) THEN
					INSERT INTO failures VALUES (round, place || ' ' || kind || format(', after revocation %s', way), remain[way], saw);
				END IF;
			END LOOP;
			PERFORM dblink_exec(place || 'snapshot', 'COMMIT');
		END LOOP;

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
			WHEN 5 THEN UPDATE tenancy.sessions SET revoked_at = NULL WHERE user_id = id('mia');
		END CASE;
		UPDATE events SET n = -n WHERE n < 0;
		COMMIT;
		PERFORM await_far();
	END LOOP;
END
$$;
SQL
foreach my $name (qw(near far))
{
	my $connection = $standby{$name}->connstr('postgres') =~ s/'//gr . ' user=regress_tap';
	$script =~ s/\U'$name'/'$connection'/;
}
$script =~ s/ROUNDS/$rounds/;
$primary->safe_psql('postgres', $script);
is($primary->safe_psql('postgres', 'SELECT count(*) FROM failures'), '0', "$rounds rounds on both, no exception")
  or diag($primary->safe_psql('postgres', 'SELECT * FROM failures ORDER BY round LIMIT 20'));
await_second($primary, $near, $far);
done_testing();
