# What the TAP tests share: an organization, and ways to ask as somebody.
package Fixture;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);
our @EXPORT = qw(populate ask answer session await compile can_hold_messages);

# Creates the extension and, in it, acme: alice owns it, adam is Administrator,
# mia is a Member whom alice added to the private project, eve is nobody.
# id() makes ids from names; secret() gives the credentials that were issued.
sub populate
{
	my ($node, $database) = @_;
	$node->safe_psql($database, <<'SQL');
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'regress_tap') THEN
		CREATE ROLE regress_tap LOGIN;
	END IF;
	PERFORM tenancy.grant_application('regress_tap');
END
$$;
CREATE FUNCTION id(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5(name)::uuid';
INSERT INTO tenancy.users (id, email, name)
	SELECT id(name), name || '@tap.example', name
	FROM unnest(ARRAY['alice', 'adam', 'mia', 'eve']) name;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	VALUES (id('acme'), 'acme', id('alice'), 'enterprise');
INSERT INTO tenancy.memberships (organization_id, user_id, level)
	VALUES (id('acme'), id('adam'), 'administrator'), (id('acme'), id('mia'), 'member');
INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	VALUES (id('open'), id('acme'), 'open', false), (id('private'), id('acme'), 'private', true);
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id)
	VALUES (id('private'), id('mia'), id('acme'));
CREATE TABLE secrets (name text PRIMARY KEY, secret text);
INSERT INTO secrets VALUES ('token', tenancy._issue_project_token(id('open'))),
	('session', tenancy.create_session(id('mia')));
CREATE FUNCTION secret(name text) RETURNS text STABLE LANGUAGE sql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp AS
	'SELECT s.secret FROM public.secrets s WHERE s.name = secret.name';
CREATE TABLE events (project_id uuid NOT NULL, n integer NOT NULL);
SELECT tenancy.protect('events');
INSERT INTO events VALUES (id('open'), 1), (id('private'), 2);
GRANT SELECT, INSERT, UPDATE, DELETE ON events TO regress_tap;
SQL
	return;
}

# The answer to SQL: what it prints, or its error with SQLSTATE, DETAIL, HINT.
sub ask
{
	my ($node, $database, $sql) = @_;
	my ($out, $err);
	$node->psql(
		$database, $sql,
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 1,
		extra_params => [ '-U', 'regress_tap', '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^LOCATION: .*\n?//mg;
	chomp $err;
	return $err eq '' ? $out : $err;
}

# The same, signed in as a user for one transaction.
sub answer
{
	my ($node, $database, $who, $sql) = @_;
	return ask($node, $database,
		"BEGIN; DO \$\$ BEGIN PERFORM tenancy.act_as(id('$who')); END \$\$; $sql; COMMIT;");
}

# An open connection of the application, which survives errors.  It may be open for
# as long as a slow machine takes; each query has the time that a session has.
sub session
{
	my ($node, $database) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0,
		extra_params => [ '-U', 'regress_tap' ]);
	$session->set_query_timer_restart;
	return $session;
}

# Wait until something is true.
sub await
{
	my ($true) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($true->())
	{
		die "waited in vain\n" if time > $end;
		sleep 0.01;
	}
	return;
}

# Makes a library of a file beside the tests.
sub compile
{
	my ($source, $library) = @_;
	my $headers = `"${\($ENV{PG_CONFIG} || 'pg_config')}" --includedir-server`;
	chomp $headers;
	system('gcc', '-shared', '-fPIC', "-I$headers", '-o', $library, "$FindBin::RealBin/$source.c") == 0
	  or die "$source.c does not compile\n";
	return;
}

# Creates hold_messages(file), see hold_messages.c.
sub can_hold_messages
{
	my ($node, $database) = @_;
	my $library = "$ENV{TESTDIR}/hold_messages.so";
	compile('hold_messages', $library);
	$node->safe_psql($database, "CREATE FUNCTION hold_messages(while_there_is text) RETURNS void STRICT LANGUAGE c AS '$library'");
	return;
}

1;
