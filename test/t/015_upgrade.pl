# An extension that was updated is the same as one that was just installed, to the
# last fact in the catalogs (attack 165): from every release that is kept, and from
# this tree to a next version that is planted here.  That this comparison sees what
# is missing is tried as well.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Versions;

my $installation = second_installation();
my $catalog = slurp_file("$FindBin::RealBin/catalog.sql");

# Databases are the same but for the extension; what they have of their own is
# there to get into its way.
my $hostile = <<'SQL';
CREATE EXTENSION pgcrypto;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_nosy, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_nosy;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO regress_nosy;
SQL

# What PUBLIC has by default was taken away, and a backslash means something else.
my $hardened = <<'SQL';
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
SET standard_conforming_strings = off;
SQL

sub database
{
	my ($node, $name, $sql) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name; ALTER DATABASE $name SET quote_all_identifiers = on");
	$node->safe_psql($name, $hostile);
	$node->safe_psql($name, $sql) if $sql;
	return;
}

# The facts of a database after some SQL, which is undone; or its error.
sub facts
{
	my ($node, $database, $sql) = @_;
	my ($out, $err);
	$node->psql($database, "BEGIN;\n" . ($sql // '') . "\n\\echo facts\n$catalog\nROLLBACK;",
		stdout => \$out, stderr => \$err, on_error_stop => 1, extra_params => ['-v', 'VERBOSITY=terse']);
	$err =~ s/^.*(WARNING|NOTICE): .*\n?//mg;
	return ($err) if $err ne '';
	$out =~ s/\A.*?^facts\n//sm;
	return split /\n/, $out;
}

# What only one of two lists has.
sub difference
{
	my ($here, $there) = @_;
	my %here = map { $_ => 1 } @$here;
	my %there = map { $_ => 1 } @$there;
	return ((map { "- $_" } grep { !$there{$_} } @$here), (map { "+ $_" } grep { !$here{$_} } @$there));
}

sub show
{
	return join "\n", map { substr $_, 0, 300 } @_;
}

# ---- every release that is kept ----

my $version = this_version();
my @released = sort map { m{tenancy--([\d.]+)[.]sql$} } glob('sql/released/tenancy--*.sql');
my $node = PostgreSQL::Test::Cluster->new('here');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE regress_nosy');
database($node, 'fresh', 'CREATE EXTENSION tenancy');
my @fresh = facts($node, 'fresh');
cmp_ok(scalar @fresh, '>', 2000, 'facts about the extension');
is(show(grep { /is not compared/ } @fresh), '', 'there is nothing that is not compared');

database($node, 'hardened', "$hardened CREATE EXTENSION tenancy");
is(show(grep { !/^. default privileges/ } difference(\@fresh, [ facts($node, 'hardened') ])), '', 'it is the same in a database that is hardened, and whose literals are read otherwise');
my $log = '';
database($node, 'quiet');
$node->psql('quiet', 'SET standard_conforming_strings = off; CREATE EXTENSION tenancy', stderr => \$log);
unlike($log, qr/WARNING/, 'and no literal of the script makes PostgreSQL warn');

foreach my $release (@released)
{
	if ($release eq $version)
	{
		is(slurp_file("sql/tenancy--$version.sql"), slurp_file("sql/released/tenancy--$version.sql"),
			"version $version was released and has not changed since");
		next;
	}
	(my $name = "from_$release") =~ tr/./_/;
	database($node, $name, "CREATE EXTENSION tenancy VERSION '$release'");
	is(show(difference(\@fresh, [ facts($node, $name, 'ALTER EXTENSION tenancy UPDATE;') ])), '',
		"$release, updated, is the same as $version");
}

# ---- differences that are planted, one of each kind ----

my @planted = (
	[ 'CREATE OR REPLACE VIEW tenancy.lint_rules AS SELECT 1::text AS rule, 2::text AS severity, 3::text AS meaning', qr/^\+ rule _RETURN on view tenancy.lint_rules: O CREATE/ ],
	[ 'ALTER VIEW tenancy.members SET (security_invoker = false)', qr/^\+ view tenancy.members: .*security_invoker=false/ ],
	[ q(CREATE OR REPLACE FUNCTION tenancy._altered(OUT object text, OUT problem text, OUT remedy text) RETURNS SETOF record LANGUAGE sql STABLE AS $$SELECT '', '', ''$$), qr/^\+ function tenancy._altered\(\): CREATE/ ],
	[ 'ALTER FUNCTION tenancy.purge(interval) SECURITY INVOKER', qr/^- function tenancy.purge\(interval\): .*SECURITY DEFINER/ ],
	[ 'ALTER FUNCTION tenancy.lint() RESET search_path', qr/^- function tenancy.lint\(\): .*SET search_path/ ],
	[ 'ALTER FUNCTION tenancy.can_view(uuid) COST 7', qr/^\+ function tenancy.can_view\(uuid\): .*COST 7/ ],
	[ 'ALTER FUNCTION tenancy.require(tenancy.permission, uuid) OWNER TO regress_nosy', qr/^\+ function tenancy.require.*: belongs to regress_nosy/ ],
	[ 'GRANT EXECUTE ON FUNCTION tenancy.act_as(uuid, boolean) TO PUBLIC', qr/^\+ function tenancy.act_as.*: PUBLIC from postgres EXECUTE/ ],
	[ 'GRANT SELECT (version) ON tenancy.organizations TO PUBLIC', qr/^\+ table tenancy.organizations \(version\): PUBLIC from postgres SELECT/ ],
	[ 'REVOKE SELECT ON tenancy.plans FROM PUBLIC', qr/^- table tenancy.plans: PUBLIC from postgres SELECT/ ],
	[ 'GRANT CREATE ON SCHEMA tenancy TO regress_nosy', qr/^\+ schema tenancy: regress_nosy from postgres CREATE/ ],
	[ 'REVOKE USAGE ON TYPE tenancy.permission FROM PUBLIC', qr/^- type tenancy.permission: PUBLIC from postgres USAGE/ ],
	[ 'DELETE FROM pg_init_privs WHERE objoid = \'tenancy.access\'::regclass', qr/^- view tenancy.access \(\): initial rights/ ],
	[ q(COMMENT ON FUNCTION tenancy.can(tenancy.permission, uuid) IS 'x'), qr/^- function tenancy.can\(.*: comment Does/ ],
	[ 'COMMENT ON COLUMN tenancy.users.name IS NULL', qr/^- column name of table tenancy.users: comment/ ],
	[ 'COMMENT ON POLICY read ON tenancy.plans IS NULL', qr/^- policy read on table tenancy.plans: comment/ ],
	[ q(INSERT INTO pg_seclabel VALUES ('tenancy.users'::regclass, 'pg_class'::regclass, 0, 'x', 'secret')), qr/^\+ table tenancy.users: label x secret/ ],
	[ 'ALTER POLICY read ON tenancy.sessions USING (true)', qr/^\+ policy read on table tenancy.sessions: .* using true/ ],
	[ 'DROP POLICY read ON tenancy.projects', qr/^- policy read on table tenancy.projects: permissive/ ],
	[ 'ALTER TABLE tenancy.invites NO FORCE ROW LEVEL SECURITY', qr/^\+ table tenancy.invites: .*"relforcerowsecurity": false/ ],
	[ 'ALTER TABLE tenancy.memberships ENABLE TRIGGER invalidate', qr/^\+ trigger invalidate on table tenancy.memberships: O CREATE/ ],
	[ 'DROP TRIGGER invalidate_truncate ON tenancy.sessions', qr/^- trigger invalidate_truncate on table tenancy.sessions: A/ ],
	[ 'ALTER EVENT TRIGGER tenancy_protect_partitions DISABLE', qr/^\+ event trigger tenancy_protect_partitions: .*"evtenabled": "D"/ ],
	[ 'ALTER TABLE tenancy.organizations ADD COLUMN x integer', qr/^\+ table tenancy.organizations: column \d+ x: integer/ ],
	[ 'ALTER TABLE tenancy.project_tokens ALTER COLUMN created_at DROP NOT NULL', qr/^\+ table tenancy.project_tokens: column \d+ created_at: .*"attnotnull": false/ ],
	[ 'ALTER TABLE tenancy.notifications ALTER COLUMN attempts SET DEFAULT 5', qr/^\+ default value for column attempts of table tenancy.notifications: 5/ ],
	[ 'ALTER TABLE tenancy.role_bindings ALTER COLUMN role_name SET STORAGE EXTERNAL', qr/^\+ table tenancy.role_bindings: column 1 role_name: .*"attstorage": "e"/ ],
	[ 'ALTER TABLE tenancy.users DROP CONSTRAINT users_forgotten_check', qr/^- constraint users_forgotten_check on table tenancy.users: CHECK/ ],
	[ 'ALTER TABLE tenancy.project_memberships ADD CHECK (true) NOT VALID', qr/^\+ constraint project_memberships_check on .*"convalidated": false/ ],
	[ 'ALTER DOMAIN tenancy.name DROP CONSTRAINT name_check', qr/^- constraint name_check: CHECK/ ],
	[ q(ALTER TYPE tenancy.permission RENAME VALUE 'billing.manage' TO 'x'), qr/^\+ type tenancy.permission: label \d+ x/ ],
	[ 'CREATE INDEX ON tenancy.users (name)', qr/^\+ index tenancy.users_name_idx: CREATE INDEX/ ],
	[ 'CREATE STATISTICS tenancy.x ON id, name FROM tenancy.users', qr/^\+ statistics object tenancy.x: CREATE STATISTICS/ ],
	[ q(UPDATE tenancy.plans SET private_projects = true WHERE name = 'free'), qr/^\+ table tenancy.plans: rows: .*free/ ],
	[ q(UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'tenancy'), qr/^- extension tenancy: a dump carries tenancy.\w+ where/ ],
	[ q(UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'tenancy'), qr/^\+ extension tenancy: version 0.0.1/ ],
	[ 'ALTER EXTENSION tenancy DROP FUNCTION tenancy._clear_identity()', qr/^- function tenancy._clear_identity\(\): depends \(e\) on extension tenancy/ ],
	[ 'CREATE FUNCTION tenancy._stray() RETURNS void LANGUAGE sql AS \'\'; ALTER EXTENSION tenancy ADD FUNCTION tenancy._stray()', qr/^\+ function tenancy._stray\(\): depends \(e\) on extension tenancy/ ],
	[ 'ALTER FUNCTION tenancy.create_user(text, text) DEPENDS ON EXTENSION pgcrypto', qr/^\+ function tenancy.create_user.*: depends \(x\) on extension pgcrypto/ ],
	[ 'CREATE OPERATOR tenancy.&&& (FUNCTION = uuid_eq, LEFTARG = uuid, RIGHTARG = uuid); ALTER EXTENSION tenancy ADD OPERATOR tenancy.&&& (uuid, uuid)', qr/^\+ operator .*: is not compared/ ],
	[ 'ALTER DEFAULT PRIVILEGES IN SCHEMA tenancy GRANT SELECT ON TABLES TO regress_nosy', qr/^\+ default privileges of postgres in tenancy/ ]);

# All of them at once, since they do not touch one another.
my @differs = difference(\@fresh, [ facts($node, 'fresh', join "\n", 'SET LOCAL allow_system_table_mods = on;', map { "$_->[0];" } @planted) ]);
foreach my $plant (@planted)
{
	ok(scalar(grep { $_ =~ $plant->[1] } @differs), "seen: $plant->[0]")
	  or diag(show(grep { /^[-+] (?:[\w ]+ )?tenancy/ } @differs));
}
cmp_ok(scalar @differs, '<', 400, 'and not everything differs');
$node->stop;

# ---- this tree and a next version of it ----

my $next = "$version.1";
my $tree = released_tree_of($version);
ok(-e "$tree/sql/released/tenancy--$version.sql", 'the SQL of a release is kept');
isnt(eval { make($tree, 'keep-release'); 1 }, 1, 'and not overwritten');
$tree = tree_of($next, $tree);

# What was changed, in the parts ...
edit($tree, 'sql/20_users.sql', sub {
		s/(\tforgotten_at timestamptz,\n)/$1\tphone text DEFAULT 'none',\n/;
		s/(CONSTRAINT users_forgotten_check)/CONSTRAINT users_phone_check CHECK (phone OPERATOR(pg_catalog.<>) ''),\n\t$1/;
		s/(COMMENT ON COLUMN tenancy.users.forgotten_at .*\n)/$1COMMENT ON COLUMN tenancy.users.phone IS 'A planted column.';\n/;
	});
edit($tree, 'sql/10_types.sql', sub { s/('organization.delete')\);/$1, 'planted.permission');/ });
edit($tree, 'sql/89_lint.sql', sub {
		s/('not_checked', 'warning', 'something could not be looked at'\))/$1,\n\t\t('planted', 'info', 'a planted rule')/;
		s/(SET jit = off\n)/$1SET enable_sort = on\n/;
		s/(COMMENT ON FUNCTION tenancy.lint\(\) IS ')/$1Planted: /;
	});
edit($tree, 'sql/40_plans.sql', sub { s/\z/\nINSERT INTO tenancy.plans (name) VALUES ('planted');\n/ });
edit($tree, 'sql/90_privileges.sql', sub { s/\z/SELECT pg_catalog.pg_extension_config_dump('tenancy.planted', '');\n/ });
my $part = <<'SQL';
CREATE TABLE tenancy.planted (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE
);
COMMENT ON TABLE tenancy.planted IS 'A planted table; with a semicolon.';
COMMENT ON COLUMN tenancy.planted.id IS 'Random id.';
ALTER TABLE tenancy.planted ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY read ON tenancy.planted FOR SELECT USING (user_id OPERATOR(pg_catalog.=) tenancy.current_user_id());
COMMENT ON POLICY read ON tenancy.planted IS 'One''s own.';
CREATE TRIGGER invalidate AFTER INSERT OR DELETE ON tenancy.planted
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('user_id');
ALTER TABLE tenancy.planted ENABLE ALWAYS TRIGGER invalidate;
REVOKE ALL ON tenancy.planted FROM PUBLIC;
GRANT SELECT (id) ON tenancy.planted TO PUBLIC;

CREATE FUNCTION tenancy._planted() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM tenancy.planted;	-- it's one; it isn't two
END
$$;
COMMENT ON FUNCTION tenancy._planted() IS 'A planted function.';
CREATE FUNCTION tenancy.planted() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.count(*) FROM tenancy.planted;
END;
COMMENT ON FUNCTION tenancy.planted() IS 'Another one.';
CREATE INDEX ON tenancy.planted (user_id);
CREATE STATISTICS tenancy.planted_statistics ON id, user_id FROM tenancy.planted;
COMMENT ON STATISTICS tenancy.planted_statistics IS 'Planted.';
CREATE EVENT TRIGGER tenancy_planted ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION tenancy._protect_new_partitions();
COMMENT ON EVENT TRIGGER tenancy_planted IS 'Planted.';
SQL
append_to_file("$tree/sql/81_planted.sql", $part);

# ... and in the script that updates.
my $source = <<'SQL';
-- A planted update.
ALTER TABLE tenancy.users ADD COLUMN phone text DEFAULT 'none';
ALTER TABLE tenancy.users ADD CONSTRAINT users_phone_check CHECK (phone OPERATOR(pg_catalog.<>) '');
COMMENT ON COLUMN tenancy.users.phone IS 'A planted column.';
ALTER TYPE tenancy.permission ADD VALUE 'planted.permission';
INSERT INTO tenancy.plans (name) VALUES ('planted');
-- @part 81_planted
-- @replace FUNCTION tenancy.lint
-- @replace VIEW tenancy.lint_rules
-- @part 90_new_objects
SELECT pg_catalog.pg_extension_config_dump('tenancy.planted', '');
SQL
append_to_file("$tree/sql/update_from_$version.sql", $source);
install_from($tree, $installation);

$node = PostgreSQL::Test::Cluster->new('next', install_path => path_of($installation));
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE regress_nosy; CREATE ROLE regress_trusted');
database($node, 'fresh', 'CREATE EXTENSION tenancy');
database($node, 'old', "CREATE EXTENSION tenancy VERSION '$version'");
@fresh = facts($node, 'fresh');
is(show(difference(\@fresh, [ facts($node, 'old', 'ALTER EXTENSION tenancy UPDATE;') ])), '',
	'an updated extension is the same as a fresh one');
is(show(grep { !/^. default privileges/ } difference(\@fresh, [ facts($node, 'old', "$hardened ALTER EXTENSION tenancy UPDATE;") ])), '',
	'also in a database that was hardened since');

# What an administrator has granted and changed since stays.
$node->safe_psql('old', <<'SQL');
GRANT EXECUTE ON FUNCTION tenancy.check_integrity(), tenancy.lint(), tenancy.act_as(uuid, boolean) TO regress_trusted;
GRANT SELECT ON tenancy.users TO regress_trusted;
GRANT CREATE ON SCHEMA tenancy TO regress_trusted;
-- the audit log asks for the right library
SET session_replication_role = replica;
UPDATE tenancy.plans SET private_projects = true WHERE name = 'free';
SQL
my @granted = grep { /regress_trusted/ } facts($node, 'old');
is(scalar(@granted), 5, 'an administrator has granted something');
is(show(difference(\@granted, [ grep { /regress_trusted/ } facts($node, 'old', 'ALTER EXTENSION tenancy UPDATE;') ])), '',
	'which an update leaves alone');
$node->safe_psql('old', 'ALTER EXTENSION tenancy UPDATE');
is($node->safe_psql('old', "SELECT private_projects FROM tenancy.plans WHERE name = 'free'"), 't', 'as it does rows');
is($node->safe_psql('old', 'SELECT * FROM tenancy.check_integrity()'), '', 'check_integrity() finds nothing');
is($node->safe_psql('old', q(SELECT * FROM tenancy.lint() WHERE rule = 'altered')), '', 'nor does lint()');

# ---- a script in which something was forgotten ----

my $file = file_of($installation, "tenancy--$version--$next.sql");
my $complete = slurp_file($file);
database($node, 'other', "CREATE EXTENSION tenancy VERSION '$version'");

sub with_script
{
	my ($script) = @_;
	open my $handle, '>', $file or die $!;
	print $handle $script;
	close $handle;
	return difference(\@fresh, [ facts($node, 'other', 'ALTER EXTENSION tenancy UPDATE;') ]);
}

# The statements, as PostgreSQL takes them: no part has a body of its own kind.
my @statements = $complete =~ m/((?:--[^\n]*\n|\\[^\n]*\n|'(?:[^']|'')*'|(\$\w*\$).*?\g2|BEGIN ATOMIC.*?END|[^;\$'])*;)/gs;
@statements = grep { defined && !/^\$/ } @statements;
is(show(with_script(join '', @statements)), '', 'the script is made of these statements');
cmp_ok(scalar @statements, '>', 35, 'which are many');

# Each of them in test-recovery, here some.
my @forgotten = $ENV{TENANCY_ALL} ? @statements : grep { /ADD CONSTRAINT|GRANT SELECT|ENABLE ALWAYS|COMMENT ON POLICY|_installed_shape|config_dump/ } @statements;
foreach my $forgotten (@forgotten)
{
	# These change nothing here: all names are qualified; sessions are the matter of
	# 014_versions; what is replaced keeps its comment.
	next if $forgotten =~ /SET LOCAL (?:search_path|standard_conforming_strings)|_end_of_script\(\)|COMMENT ON (FUNCTION tenancy._installed_shape|VIEW tenancy.lint_rules)/;
	my ($name) = $forgotten =~ /((?<=\n)[^-\s\\].*)/;
	isnt(show(with_script(join '', grep { $_ ne $forgotten } @statements)), '', "forgotten: $name");
}

# ---- from the release before the last one, by two scripts ----

# The library is that of the end from the beginning, and the first script writes rows,
# which the audit log records.
make($tree, 'keep-release');
my $last = "$next.1";
my $last_tree = tree_of($last, $tree);
append_to_file("$last_tree/sql/update_from_$next.sql", "-- \@part 90_new_objects\n");
install_from($last_tree, $installation);
$node->safe_psql('postgres', 'DROP DATABASE fresh');
database($node, 'fresh', 'CREATE EXTENSION tenancy');
is(show(difference([ facts($node, 'fresh') ], [ facts($node, 'other', 'ALTER EXTENSION tenancy UPDATE;') ])), '',
	"$version, updated, is the same as $last");
$node->safe_psql('other', 'ALTER EXTENSION tenancy UPDATE');
is($node->safe_psql('other', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing');

# The source may not forget what is easily forgotten, nor ask for what is not there.
foreach my $wrong ([ qr/-- \@part 90_new_objects\n/, '' ], [ qr/81_planted/, '81_plant' ], [ qr/VIEW tenancy.lint_rules/, 'VIEW tenancy.lint_rule' ], [ qr/\@replace FUNCTION/, '@replaced FUNCTION' ])
{
	my ($what, $by) = @$wrong;
	unlink "$tree/sql/tenancy--$version--$next.sql", "$tree/sql/update_from_$version.sql";
	append_to_file("$tree/sql/update_from_$version.sql", $source =~ s/$what/$by/r);
	isnt(eval { make($tree, 'all'); 1 }, 1, "refused: $what is $by");
	ok(!-e "$tree/sql/tenancy--$version--$next.sql", 'and no script is left');
}

$node->stop;
done_testing();
