# pg_ctl -m immediate in the middle of revocations, again and again: what was
# acknowledged holds, and no transaction is there by half.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t", $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Load;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# what is acknowledged has to be on disk, or at least with the operating system
$node->append_conf('postgresql.conf', "synchronous_commit = on\ncheckpoint_timeout = 30s\nmax_wal_size = 64MB");
$node->start;
populate_load($node);

foreach my $round (1 .. 6)
{
	my $load = start_load($node);
	my $enough = $node->safe_psql('postgres', 'SELECT sum(k) + 40 FROM steps');
	ok($node->poll_query_until('postgres', "SELECT sum(k) >= $enough FROM steps"), "round $round: the load is under way");
	$node->stop('immediate');
	end_load($load);
	$node->start;
	check_load($node, $load, "round $round");
	is(ask($node, 'postgres', 'SELECT count(*) FROM events'), '0', "round $round: nobody is signed in");
}
$node->stop;
done_testing();
