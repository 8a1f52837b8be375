# A disk that is full: what cannot be written is refused, with nothing done by half,
# what is there stays as visible as it was and no more, and everything goes on when
# there is room again.  The limit is a size that no file may exceed, which needs no
# rights, and where a small file system can be mounted, that one, with the whole
# cluster on it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Inventory;

my $refused = qr/^ERROR:  \w{5}: could not (?:extend|write)/;

# Commands until one is refused for want of room: how many went through, and what
# the next one was told.
sub fill_up
{
	my ($node) = @_;
	foreach my $n (1 .. 400)
	{
		my $answer = answer($node, 'postgres', 'alice', <<"SQL");
DO \$\$ BEGIN FOR i IN 1 .. 100 LOOP PERFORM tenancy.create_project(id('acme'), 'filler $n'); END LOOP; END \$\$;
INSERT INTO events SELECT id('open'), $n + 2 FROM generate_series(1, 10000)
SQL
		return ($n - 1, $answer) if $answer ne '';
	}
	return (400, '');
}

# Asked without a query, which a client could not read that cannot connect.
sub is_up
{
	my ($node) = @_;
	return system('pg_isready', '--quiet', '--host', $node->host, '--port', $node->port) == 0;
}

# A revocation goes through, or is refused and has not happened; so it is seen.
sub revocation
{
	my ($node, $how) = @_;
	my $told = answer($node, 'postgres', 'alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
	my $member = $node->safe_psql('postgres', "SELECT count(*) FROM tenancy.project_memberships WHERE project_id = id('private')");
	is($told eq '' ? 0 : 1, $member, "$how: a revocation that was refused has not happened, one that was not has: $told");
	is(answer($node, 'postgres', 'mia', "SELECT count(*) FROM events WHERE project_id = id('private')"), $member, "$how: and it counts");
	is(ask($node, 'postgres', 'SELECT count(*) FROM events'), '0', "$how: nobody sees no rows");
	is(answer($node, 'postgres', 'eve', 'SELECT count(*) FROM events'), '0', "$how: nor does a stranger");
	like(answer($node, 'postgres', 'eve', "SELECT tenancy.rename_project(id('open'), 'x')"), qr/^ERROR:  P0002: project does not exist/, "$how: a hidden project is a missing one");
	return;
}

# Committed work is whole: as many fillers as rows for them.
sub is_whole
{
	my ($node, $how, $went) = @_;
	my ($rows, $projects) = split /\|/, $node->safe_psql('postgres',
		"SELECT (SELECT count(*) FROM events WHERE n > 2), (SELECT count(*) FROM tenancy.projects WHERE name LIKE 'filler%')");
	is($rows, 100 * $projects, "$how: what was committed is whole");
	cmp_ok($projects, '>=', 100 * $went, "$how: all that was acknowledged");
	is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.projects p WHERE NOT EXISTS (SELECT FROM tenancy.project_tokens t WHERE t.project_id = p.id) AND name LIKE 'filler%'"),
		'0', "$how: no project without its token");
	is($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', "$how: check_integrity() and verify_audit() find nothing");
	return;
}

# ---- no file may grow: the tables are full, the WAL is not ----

my $node = PostgreSQL::Test::Cluster->new('limited');
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
populate($node, 'postgres');
$node->stop;

# The postmaster hands the limit, 4 MB, on to whoever it starts.
my $pg_ctl = 'pg_ctl -w -D ' . $node->data_dir . ' -l ' . $node->logfile;
is(system("ulimit -f 8192 && $pg_ctl start >/dev/null"), 0, 'started with a limit');
my ($went, $told) = fill_up($node);
cmp_ok($went, '<', 400, "the limit is reached, after $went rounds");
like($told, $refused, 'which is an error of the statement');
is_whole($node, 'full', $went);
revocation($node, 'full');
is(system("$pg_ctl stop >/dev/null"), 0, 'stopped');
$node->start;
is_whole($node, 'with room again', $went);
is(answer($node, 'postgres', 'alice', "SELECT tenancy.create_project(id('acme'), 'room') IS NOT NULL"), 't', 'and work goes on');
$node->stop;

# ---- the file system is full: the WAL, too, and the server may go down ----

SKIP:
{
	my $mount = PostgreSQL::Test::Utils::tempdir_short();
	my @apart = ('unshare', '--user', '--map-current-user', '--mount');
	skip 'this kernel lets nobody without rights mount a file system', 1
	  if system(join(' ', @apart) . " --keep-caps sh -c 'mount -t tmpfs -o size=1m tmpfs $mount' >/dev/null 2>&1") != 0;

	my $small = PostgreSQL::Test::Cluster->new('small');
	$small->init(extra => ['--wal-segsize=1']);
	$small->append_conf('postgresql.conf', "autovacuum = off\nmin_wal_size = 2MB\nmax_wal_size = 8MB\nwal_recycle = off\nrestart_after_crash = off");
	$small->start;
	populate($small, 'postgres');
	$small->stop;

	# The cluster is copied onto the small file system, which is there for what is
	# started inside only; the socket is outside.  It gets room when told to.
	my $data = $small->data_dir;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($size) = `du -sm '$data'` =~ /^(\d+)/;
	append_to_file("$dir/inside", <<"SH");
set -e
mount -t tmpfs -o mode=700,size=\$(($size + 14))m tmpfs $mount
cp -Rp $data/. $mount/
postgres -D $mount & echo \$! >$dir/pid
wait \$! || true
touch $dir/down
while [ ! -e $dir/room ]; do sleep 0.1; done
mount -o remount,size=\$(($size + 200))m $mount
rm -f $mount/postmaster.pid
exec postgres -D $mount
SH
	my $log = '';
	my $server = IPC::Run::start([ @apart, '--keep-caps', 'sh', "$dir/inside" ], '<', \undef, '>&', $small->logfile);
	await(sub { is_up($small) });
	($went, $told) = fill_up($small);
	cmp_ok($went, '<', 400, "it is full, after $went rounds: " . ($told =~ /(.*)/)[0]);
	sleep 1;
	# It goes down when there is no room for WAL.
	if (!-e "$dir/down")
	{
		is_whole($small, 'full disk', $went);
		revocation($small, 'full disk');
		kill 'QUIT', slurp_file("$dir/pid");
	}
	append_to_file("$dir/room", '');
	await(sub { is_up($small) });
	is_whole($small, 'full disk, then room', $went);
	revocation($small, 'full disk, then room');
	is(answer($small, 'postgres', 'alice', "SELECT tenancy.create_project(id('acme'), 'room') IS NOT NULL"), 't', 'and work goes on');
	like(slurp_file($small->logfile), qr/No space left on device/, 'it was the file system');
	$server->signal('TERM');
	$server->finish;
}

done_testing();
