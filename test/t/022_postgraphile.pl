# The example for PostGraphile, which npm gets: what is hidden stays hidden in
# GraphQL, through PgBouncer in transaction mode.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Test::More;
use Example;

plan skip_all => 'Node 18 is not there' unless has_node();
plan skip_all => 'npm cannot get PostGraphile' unless brought_by_npm('postgraphile') && brought_by_npm('node');
try_example('postgraphile', $ENV{ROUNDS} // 5);
