# Runs the tests of an example that is written for Node as make test-clients does,
# in a small round, beside a server of its own.
package Example;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
our @EXPORT = qw(has_node brought_by_npm try_example);

sub has_node
{
	return system(q{node --eval 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null}) == 0;
}

# What an example needs, where there is a registry.
sub brought_by_npm
{
	my ($name) = @_;
	return -e "examples/$name/node_modules"
	  || system("timeout 60 npm ci --prefix examples/$name --ignore-scripts --no-audit --no-fund --fetch-retries=0 >/dev/null 2>&1") == 0;
}

sub try_example
{
	my ($name, $rounds) = @_;
	my $server = PostgreSQL::Test::Cluster->new($name);
	$server->init;
	# clients of other levels have to try again
	$server->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
	$server->start;
	local $ENV{PGHOST} = $server->host;
	local $ENV{PGPORT} = $server->port;
	local $ENV{PGUSER} = getpwuid($<);
	local $ENV{PATH} = "$ENV{PATH}:/usr/sbin";    # where Debian has pgbouncer
	my $said = `cd examples/$name && ROUNDS=$rounds timeout 120 node --test-reporter=tap test.js 2>&1`;
	my $code = $?;

	note($said);
	ok(!$1, $2) while $said =~ /^(not )?ok \d+ - (.*)/mg;
	is($code, 0, 'and that is all of it');
	$server->stop;
	done_testing();
	return;
}

1;
