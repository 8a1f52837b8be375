# The example for Node, as make test-clients runs it, in a small round: requests of
# eight tenants, interleaved through PgBouncer in transaction mode.  Its driver is
# Debian's, or the one that npm gets; skipped where there is neither.
use strict;
use warnings;

my $folder = 'examples/node';
my $debian = '/usr/share/nodejs/pg';
my $rounds = $ENV{ROUNDS} // 15;

sub skip_all
{
	print "1..0 # SKIP $_[0]\n";
	exit 0;
}

skip_all('Node 18 is not there')
  if system(q{node --eval 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null}) != 0;
if (!-e "$folder/node_modules/pg" && -e $debian)
{
	mkdir("$folder/node_modules");
	symlink($debian, "$folder/node_modules/pg") or die "symlink: $!\n";
}
skip_all('neither Debian nor npm has the driver for Node')
  if !-e "$folder/node_modules/pg"
  && system("timeout 20 npm ci --prefix $folder --ignore-scripts --no-audit --no-fund --fetch-retries=0 >/dev/null 2>&1") != 0;

# What it prints is what prove reads.
$ENV{PATH} .= ':/usr/sbin';    # where Debian has pgbouncer
my $code = system("cd $folder && ROUNDS=$rounds timeout 120 node --test-reporter=tap test.js");
system(qw(psql -Xq -d postgres), map { ('-c', $_) } 'DROP DATABASE example WITH (FORCE)',
	'DROP OWNED BY api, api_login', 'DROP ROLE api, api_login') == 0
  or die "what it made was not there\n";
exit($code != 0);
