# A Citus cluster for the tests: a coordinator and two workers.
package Nodes;
use strict;
use warnings;
use Exporter 'import';
use FindBin;
use lib "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use Fixture;
our @EXPORT = qw(nodes join_nodes ask_worker error_of);

# Servers with both libraries and extensions, that do not know each other yet.
sub nodes
{
	my (@names) = @_;
	my @nodes;
	for my $name (@names)
	{
		my $node = PostgreSQL::Test::Cluster->new($name);
		$node->init;
		$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'citus, tenancy'
max_prepared_transactions = 50
citus.shard_count = 8
citus.recover_2pc_interval = 1s
log_min_messages = warning
CONF
		$node->append_conf('postgresql.conf', "citus.local_hostname = '" . $node->host . "'");
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION citus');
		push @nodes, $node;
	}
	return @nodes;
}

# The first becomes the coordinator of the others.
sub join_nodes
{
	my ($coordinator, @workers) = @_;
	my $sql = sprintf "SELECT citus_set_coordinator_host('%s', %d);\n", $coordinator->host, $coordinator->port;
	$sql .= sprintf "SELECT citus_add_node('%s', %d);\n", $_->host, $_->port for @workers;
	$coordinator->safe_psql('postgres', $sql);
	return;
}

# Answer or error, in one line, of SQL asked on a node as a role.
sub ask_worker
{
	my ($node, $role, $sql) = @_;
	my ($out, $err);
	$node->psql('postgres', $sql, stdout => \$out, stderr => \$err, on_error_stop => 1,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	$err =~ s/^LOCATION: .*\n?//mg;
	chomp $err;
	return $err eq '' ? $out : $err;
}

# The error of SQL that a superuser asks.
sub error_of
{
	my ($node, $sql) = @_;
	return ask_worker($node, 'postgres', $sql);
}

1;
