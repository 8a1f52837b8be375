# A primary with two hot standbys, the second fed by the first.
package Replicas;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use Fixture;
our @EXPORT = qw(start_replicas await_second);

# What the primary does is seen by the first standby when its commits return.
# Nothing holds replay up for the sake of a reader, unless a test wants it.
sub start_replicas
{
	my ($sql) = @_;
	my $primary = PostgreSQL::Test::Cluster->new('primary');
	$primary->init(allows_streaming => 1);
	# what the sessions see of each other is told for one level
	$primary->append_conf('postgresql.conf', <<'CONF');
default_transaction_isolation = 'read committed'
max_prepared_transactions = 5
max_connections = 40
autovacuum = off
CONF
	$primary->start;
	populate($primary, 'postgres');
	$primary->safe_psql('postgres', $sql);
	$primary->backup('backup');

	my @nodes = ($primary);
	foreach my $name (qw(near far))
	{
		my $standby = PostgreSQL::Test::Cluster->new($name);
		$standby->init_from_backup($primary, 'backup');
		$standby->enable_streaming($nodes[-1]);
		$standby->append_conf('postgresql.conf', 'hot_standby_feedback = off');
		$standby->start;
		push @nodes, $standby;
	}
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'near, far'\nsynchronous_commit = remote_apply");
	$primary->reload;
	$primary->poll_query_until('postgres', q(SELECT sync_state = 'sync' FROM pg_stat_replication))
	  or die "no synchronous standby\n";
	await_second(@nodes);
	return @nodes;
}

# The second standby is waited for by no commit, but by its position.
sub await_second
{
	my ($primary, $first, $second) = @_;
	$first->wait_for_catchup($second, 'replay', $primary->lsn('insert'));
	return;
}

1;
