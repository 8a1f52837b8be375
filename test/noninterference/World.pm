# Two databases that differ only in what is hidden from mia.  What she can see
# is the same in both and made once; of what is hidden each gets a share of its
# own, drawn at random.  Ids are made from names.
package World;
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);

# In the eyes of mia: in acme she is a Member, in one of its private projects
# (club) a Member, in another (desk) its Administrator; in bay she is an
# Administrator; mine is her own.
sub visible
{
	return <<'SQL';
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
CREATE FUNCTION pg_temp.id(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5(name)::uuid';
INSERT INTO tenancy.users (id, email, name)
	SELECT pg_temp.id(name), name || '@world.example', initcap(name)
	FROM unnest('{alice,adam,mia,max,bea}'::text[]) name;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	SELECT pg_temp.id(name), initcap(name), pg_temp.id(owner), plan
	FROM (VALUES ('acme', 'alice', 'enterprise'), ('bay', 'bea', 'self_serve'), ('mine', 'mia', 'free')) v (name, owner, plan);
INSERT INTO tenancy.memberships (organization_id, user_id, level, invited_by)
	SELECT pg_temp.id(organization), pg_temp.id(name), level::tenancy.access_level, pg_temp.id(inviter)
	FROM (VALUES ('acme', 'adam', 'administrator', 'alice'), ('acme', 'mia', 'member', 'alice'),
		('acme', 'max', 'member', 'adam'), ('bay', 'mia', 'administrator', 'bea')) v (organization, name, level, inviter);
INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	SELECT pg_temp.id(name), pg_temp.id(organization), initcap(name), organization = 'acme' AND name IN ('club', 'desk')
	FROM (VALUES ('open', 'acme'), ('hall', 'acme'), ('club', 'acme'), ('desk', 'acme'), ('beach', 'bay'), ('den', 'mine')) v (name, organization);
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id, level)
	SELECT pg_temp.id(project), pg_temp.id(name), pg_temp.id('acme'), level::tenancy.access_level
	FROM (VALUES ('club', 'mia', 'member'), ('club', 'max', 'administrator'), ('desk', 'mia', 'administrator')) v (project, name, level);

-- the credentials that she holds
CREATE SCHEMA held;
CREATE TABLE held.tokens (name text, token text);
INSERT INTO held.tokens
	SELECT 'session', tenancy.create_session(pg_temp.id('mia')) FROM generate_series(1, 2) UNION ALL
	SELECT 'ended session', tenancy.create_session(pg_temp.id('mia')) UNION ALL
	SELECT 'project token', tenancy._issue_project_token(pg_temp.id(p)) FROM unnest('{open,hall,club,desk,beach,den}'::text[]) p;
UPDATE tenancy.sessions s SET revoked_at = clock_timestamp()
	FROM held.tokens t WHERE t.name = 'ended session' AND s.digest = tenancy._credential_digest(t.token, 'session');
DO $$
BEGIN
	PERFORM tenancy.act_as(pg_temp.id('mia'));
	INSERT INTO held.tokens SELECT 'ended token', token FROM tenancy.my_projects WHERE id = pg_temp.id('den');
	PERFORM tenancy.rotate_project_token(pg_temp.id('den'));
	INSERT INTO held.tokens SELECT 'ended invite', token FROM tenancy.create_invite(pg_temp.id('acme'), 'guest@world.example');
	INSERT INTO held.tokens SELECT 'invite', token FROM tenancy.create_invite(pg_temp.id('acme'), 'guest@world.example');
	INSERT INTO held.tokens SELECT 'invite', token FROM tenancy.create_invite(pg_temp.id('mine'), 'max@world.example');
	PERFORM tenancy.switch_project(pg_temp.id('open'));
	PERFORM tenancy.act_as(pg_temp.id('bea'));
	INSERT INTO held.tokens SELECT 'invite', token FROM tenancy.create_invite(pg_temp.id('bay'), 'alice@world.example');
END
$$;

-- an application's tables
CREATE TABLE notes (project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), body text NOT NULL, amount integer,
	PRIMARY KEY (project_id, id), UNIQUE (project_id, body));
CREATE TABLE comments (project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), note_id uuid, said text, at timestamptz DEFAULT now(),
	PRIMARY KEY (project_id, id), FOREIGN KEY (project_id, note_id) REFERENCES notes ON DELETE CASCADE);
CREATE TABLE readings (project_id uuid NOT NULL, kind text NOT NULL, value integer) PARTITION BY LIST (kind);
CREATE TABLE readings_heat PARTITION OF readings FOR VALUES IN ('heat');
CREATE TABLE readings_other PARTITION OF readings DEFAULT;
CREATE TABLE settings (organization_id uuid NOT NULL, name text NOT NULL, value text, PRIMARY KEY (organization_id, name));
CREATE TABLE bills (organization_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), cents bigint, PRIMARY KEY (organization_id, id));
CREATE TABLE colours (name text PRIMARY KEY);
DO $$
BEGIN
	PERFORM tenancy.protect(t) FROM unnest('{notes,comments,readings}'::regclass[]) t;
	PERFORM tenancy.protect_by_organization('settings', editable_by => 'member');
	PERFORM tenancy.protect_by_organization('bills', visible_to => 'administrator');
END
$$;
CREATE VIEW note_list WITH (security_invoker = true) AS
	SELECT n.project_id, p.name AS project, n.body, n.amount, (SELECT count(*) FROM comments c WHERE (c.project_id, c.note_id) = (n.project_id, n.id)) AS comments
	FROM notes n JOIN tenancy.my_projects p ON p.id = n.project_id;
CREATE FUNCTION note_count(project uuid) RETURNS bigint STABLE LANGUAGE sql AS
	'SELECT count(*) FROM public.notes n WHERE n.project_id = project';
CREATE FUNCTION add_note(project uuid, body text) RETURNS uuid LANGUAGE sql AS
	'INSERT INTO public.notes (project_id, body) VALUES (project, body) RETURNING id';
INSERT INTO notes SELECT pg_temp.id(p), pg_temp.id(p || n), n::text, n
	FROM unnest('{open,hall,club,desk,beach,den}'::text[]) p, generate_series(1, 5) n;
INSERT INTO comments SELECT project_id, id, id, 'on ' || body FROM notes WHERE amount <= 3;
INSERT INTO readings SELECT pg_temp.id(p), k, n FROM unnest('{open,club,beach}'::text[]) p, unnest('{heat,rain}'::text[]) k, generate_series(1, 3) n;
INSERT INTO settings SELECT pg_temp.id(o), n, o || n FROM unnest('{acme,bay,mine}'::text[]) o, unnest('{a,b}'::text[]) n;
INSERT INTO bills SELECT pg_temp.id(o), pg_temp.id(o || n), n FROM unnest('{bay,mine}'::text[]) o, generate_series(1, 3) n;
INSERT INTO colours VALUES ('red'), ('blue');
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC;
SQL
}

sub id { return join '-', md5_hex($_[0]) =~ /^(.{8})(.{4})(.{4})(.{4})(.{12})$/; }

# Whose login roles, of their names, may be bound to them.
sub bound { return qw(alice adam max bea); }

# What is hidden from mia, as a list of [SQL that puts it there, whose ids it has,
# each with its kind, the place in the list of what has to be there for it].
sub hidden
{
	my @hidden;
	my $add = sub { push @hidden, [@_]; return $#hidden };
	my $rows = sub
	{
		my ($organization, $project, $below) = @_;
		my ($o, $p) = map { quoted($_) } $organization, $project;
		foreach my $n (1, 2, 7)
		{
			my $note = quoted("$project$n");
			$add->("INSERT INTO notes VALUES ($p, $note, '$n', $n); "
				  . "INSERT INTO comments VALUES ($p, $note, $note, 'hidden')", ["row:$project$n"], $below);
		}
		$add->("INSERT INTO notes VALUES ($p, gen_random_uuid(), 'zero', 0), ($p, gen_random_uuid(), 'not a number', NULL)", [], $below);
		$add->("INSERT INTO readings VALUES ($p, 'heat', 0), ($p, 'rain', 1), ($p, 'snow', 2)", [], $below);
		$add->("SELECT tenancy._issue_project_token($p)", [], $below);
		return;
	};

	# private projects of her own organization
	foreach my $project (qw(secret plan))
	{
		my $p = quoted($project);
		my $there = $add->("INSERT INTO tenancy.projects (id, organization_id, name, is_private) "
			  . "VALUES ($p, " . quoted('acme') . ", 'Secret', true)", ["project:$project"]);
		foreach my $member (qw(max adam))
		{
			$add->("INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) "
				  . "VALUES ($p, " . quoted($member) . ', ' . quoted('acme') . ')', [], $there);
		}
		$rows->('acme', $project, $there);
	}

	# people and organizations that she shares nothing with
	foreach my $stranger (qw(bob eve))
	{
		my $there = $add->('INSERT INTO tenancy.users (id, email, name, is_active) VALUES ('
			  . quoted($stranger) . ", '$stranger\@world.example', 'Stranger', " . ($stranger eq 'bob' ? 'true' : 'false') . ')', ["member:$stranger"]);
		$add->("INSERT INTO tenancy.sessions (user_id, digest, expires_at) VALUES (" . quoted($stranger)
			  . ", sha256('$stranger'), '2035-01-01')", [], $there);
	}
	foreach my $organization (qw(rival guild))
	{
		my ($o, $p) = map { quoted($_) } $organization, "$organization project";
		# alice, whom she knows, owns it; so its being there is all that is hidden
		my $there = $add->("INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES ($o, 'Rival', "
			  . quoted('alice') . ", 'free'); "
			  . "INSERT INTO tenancy.projects (id, organization_id, name) VALUES ($p, $o, 'Secret')",
			[ "organization:$organization", "project:$organization project" ]);
		foreach my $member (qw(max bea adam))
		{
			$add->("INSERT INTO tenancy.memberships (organization_id, user_id, level) VALUES ($o, "
				  . quoted($member) . ", '" . ($member eq 'max' ? 'administrator' : 'member') . "')", [], $there);
		}
		foreach my $address (qw(mia guest someone))
		{
			$add->('INSERT INTO tenancy.invites (id, organization_id, email, invited_by, digest, expires_at) VALUES ('
				  . quoted("$organization $address") . ", $o, '$address\@world.example', " . quoted('alice')
				  . ", sha256('$organization $address'), '2035-01-01')", ["invite:$organization $address"], $there);
		}
		$add->("INSERT INTO settings SELECT $o, n, 'hidden' FROM unnest('{a,b,c}'::text[]) n", [], $there);
		$add->("INSERT INTO bills SELECT $o, gen_random_uuid(), n FROM generate_series(0, 2) n", [], $there);
		$rows->($organization, "$organization project", $there);
	}

	# in her own organization: what is for Administrators, and what is for others
	foreach my $address (qw(someone new1 new2))
	{
		$add->('INSERT INTO tenancy.invites (id, organization_id, email, invited_by, digest, expires_at) VALUES ('
			  . quoted("acme $address") . ', ' . quoted('acme') . ", '$address\@world.example', " . quoted('adam')
			  . ", sha256('acme $address'), '" . ($address eq 'new2' ? 2020 : 2035) . "-01-01')", ["invite:acme $address"]);
	}
	$add->('INSERT INTO bills SELECT ' . quoted('acme') . ', gen_random_uuid(), n FROM generate_series(0, 3) n', []);
	foreach my $colleague (bound())
	{
		my $u = quoted($colleague);
		$add->("INSERT INTO tenancy.sessions (id, user_id, digest, expires_at) VALUES (" . quoted("$colleague session")
			  . ", $u, sha256('$colleague session'), '2035-01-01')", ["session:$colleague session"]);
		$add->("INSERT INTO tenancy.user_preferences (user_id) VALUES ($u) ON CONFLICT DO NOTHING", []);
		$add->("INSERT INTO tenancy.role_bindings (role_name, user_id) VALUES ('$colleague', $u)", []);
		$add->("INSERT INTO tenancy.notifications (kind, organization_id, recipient) VALUES ('member_joined', "
			  . quoted('acme') . ", '$colleague\@world.example')", []);
	}
	return @hidden;
}

sub quoted { return "'" . id($_[0]) . "'"; }

# The ids that the attacker knows, by kind: of what is visible, and of what may be
# hidden.
sub visible_ids
{
	my ($world) = @_;
	my %names = (
		organization => [qw(acme bay mine)],
		project => [qw(open hall club desk beach den)],
		member => [qw(alice adam mia max bea)],
		row => [ map { my $p = $_; map { "$p$_" } 1 .. 3 } qw(open club den) ]);
	return {
		(map { my $kind = $_; $kind => [ map { id($_) } @{ $names{$kind} } ] } keys %names),
		# all that there are in what both have in common
		invite => $world->selectcol_arrayref('SELECT id FROM tenancy.invites ORDER BY id'),
		session => $world->selectcol_arrayref('SELECT id FROM tenancy.sessions ORDER BY id') };
}

sub hidden_ids
{
	my %ids;
	push @{ $ids{ (split /:/)[0] } }, id((split /:/)[1]) foreach map { @{ $_->[1] } } hidden();
	return \%ids;
}

sub tables
{
	my ($dbh) = @_;
	return @{ $dbh->selectcol_arrayref("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('tenancy', 'public') ORDER BY 1") };
}

# One database's share of what is hidden, as SQL.
sub share
{
	my @hidden = hidden();
	my @there;
	# of what others did here; in both, since the place of a row in its table shows
	my @sql = 'UPDATE tenancy.organizations SET version = version + ' . int(rand 9) . ' WHERE id = ' . quoted('acme');
	my $how_much = (0, 0.5, 0.5, 0.9)[ rand 4 ];

	foreach my $n (0 .. $#hidden)
	{
		my ($sql, undef, $below) = @{ $hidden[$n] };
		$there[$n] = rand() < $how_much && (!defined $below || $there[$below]);
		push @sql, $sql if $there[$n];
	}
	return join ";\n", @sql;
}

1;
