# The example for Node: requests of eight tenants, interleaved through PgBouncer in
# transaction mode.  Its driver is Debian's, or the one that npm gets.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Example;

my $debian = '/usr/share/nodejs/pg';
my $driver = 'examples/node/node_modules/pg';

plan skip_all => 'Node 18 is not there' unless has_node();
if (!-e $driver && -e $debian)
{
	mkdir('examples/node/node_modules');
	symlink($debian, $driver) or die "symlink: $!\n";
}
plan skip_all => 'neither Debian nor npm has the driver for Node' unless brought_by_npm('node') && -e $driver;
try_example('node', $ENV{ROUNDS} // 15);
