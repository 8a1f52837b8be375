# Load by pgbench for the tests that crash and promote servers: each client has a
# private project of its own with one row, and steps from one state to the next,
# row and right in one transaction.  After step k the row says k, and the client's
# reader is a member of the project exactly if k is odd.  So a reader who ever sees
# an even number has seen what nobody was allowed to see.
package Load;
use strict;
use warnings;
use Exporter 'import';
use File::Temp qw(tempdir);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
our @EXPORT = qw(populate_load prepare_load start_load end_load check_load reader);

my $clients = 4;

sub populate_load
{
	my ($node) = @_;
	populate($node, 'postgres');
	prepare_load($node);
	return;
}

# What the load needs, where there is acme.
sub prepare_load
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE steps (client integer PRIMARY KEY, k integer NOT NULL DEFAULT 0);
INSERT INTO steps SELECT generate_series(0, $clients - 1);
INSERT INTO tenancy.users (id, email, name) SELECT id('reader' || client), 'reader' || client || '\@tap.example', 'reader' FROM steps;
INSERT INTO tenancy.memberships (organization_id, user_id) SELECT id('acme'), id('reader' || client) FROM steps;
INSERT INTO tenancy.projects (id, organization_id, name, is_private) SELECT id('load' || client), id('acme'), 'load' || client, true FROM steps;
INSERT INTO events SELECT id('load' || client), 0 FROM steps;
INSERT INTO secrets SELECT 'reader' || client, tenancy.create_session(id('reader' || client)) FROM steps;
GRANT SELECT, UPDATE ON steps TO regress_tap;
CREATE PROCEDURE step(client integer) LANGUAGE plpgsql AS \$\$
DECLARE
	k integer;
BEGIN
	PERFORM tenancy.act_as(id('alice'));
	UPDATE steps s SET k = s.k + 1 WHERE s.client = step.client RETURNING s.k INTO k;
	UPDATE events SET n = k WHERE project_id = id('load' || client);
	IF k % 2 = 1 THEN
		PERFORM tenancy.add_project_member(id('load' || client), id('reader' || client), 'member');
	ELSE
		PERFORM tenancy.remove_project_member(id('load' || client), id('reader' || client));
	END IF;
END
\$\$;
SQL
	return;
}

# pgbench notes each transaction when it is acknowledged.
sub start_load
{
	my ($node) = @_;
	my $load = { dir => tempdir(CLEANUP => 1), out => '' };
	open my $script, '>', "$load->{dir}/script" or die $!;
	print $script "CALL step(:client_id);\n";
	close $script;
	$load->{steps} = [ split /\n/, $node->safe_psql('postgres', 'SELECT k FROM steps ORDER BY client') ];
	$load->{run} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', 600, '-l', "--log-prefix=$load->{dir}/log", '-f', "$load->{dir}/script",
			'-d', $node->connstr('postgres') . ' user=regress_tap' ],
		'>&', \$load->{out});
	return $load;
}

# The server is gone; how far each client was told that it got.
sub end_load
{
	my ($load) = @_;
	# a client whose server has gone ends by itself
	eval { $load->{run}->finish };
	my @steps = @{ $load->{steps} };
	foreach my $log (glob "$load->{dir}/log*")
	{
		/^(\d+) / && $steps[$1]++ foreach split /^/, slurp_file($log);
	}
	$load->{steps} = \@steps;
	return $load;
}

# What was acknowledged holds, at most one more was committed, and row and right
# are of the same step.
sub check_load
{
	my ($node, $load, $how) = @_;
	my @steps = split /\n/, $node->safe_psql('postgres', 'SELECT k FROM steps ORDER BY client');
	foreach my $client (0 .. $clients - 1)
	{
		my ($told, $k) = ($load->{steps}[$client], $steps[$client]);
		ok($told <= $k && $k <= $told + 1, "$how: client $client was told of $told steps, and $k are there");
		is($node->safe_psql('postgres', "SELECT n FROM events WHERE project_id = id('load$client')"), $k, "$how: the row is of step $k");
		is(answer($node, 'postgres', "reader$client", "SELECT n FROM events WHERE n <> 1"), $k % 2 ? $k : '', "$how: and so is the right to it")
		  if $k != 1;
	}
	is($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', "$how: check_integrity() and verify_audit() find nothing");
	return;
}

# A session of a reader's, in which hot shows what it sees of its project.
sub reader
{
	my ($node, $client) = @_;
	my $reader = session($node, 'postgres');
	$reader->query("PREPARE hot AS SELECT n FROM events WHERE project_id = id('load$client')");
	$reader->query("DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('reader$client'), true); END \$\$");
	return $reader;
}

1;
