# A hot standby is promoted in the middle of revocations, while its readers read:
# none of them ever sees a row without the right to it, what was acknowledged holds
# on the new primary, and the sessions that were open go on there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t", $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Fixture;
use Load;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
# there are sessions that are only just ending when the load begins anew
$primary->append_conf('postgresql.conf', 'max_connections = 50');
$primary->start;
populate_load($primary);
$primary->backup('backup');

my $current = $primary;
foreach my $round (1 .. 3)
{
	my $standby = PostgreSQL::Test::Cluster->new("standby$round");
	$standby->init_from_backup($current, 'backup', has_streaming => 1);
	$standby->start;
	# a commit is acknowledged when the standby has applied it
	$current->append_conf('postgresql.conf', "synchronous_standby_names = 'standby$round'\nsynchronous_commit = remote_apply");
	$current->reload;
	ok($current->poll_query_until('postgres', q(SELECT sync_state = 'sync' FROM pg_stat_replication)), "round $round: a synchronous standby");

	my @readers = map { reader($standby, $_) } 0 .. 3;
	my ($seen, $wrong) = (0, '');
	# Reads until something is true or the time is over.
	my $read = sub {
		my ($until) = @_;
		my $end = time + $PostgreSQL::Test::Utils::timeout_default;
		my $n = 0;
		do
		{
			foreach my $reader (@readers)
			{
				# some in transactions with an old snapshot
				$reader->query($n % 5 == 4 ? 'COMMIT' : 'BEGIN ISOLATION LEVEL REPEATABLE READ') if $n % 5 == 0 || $n % 5 == 4;
				my $k = $reader->query('EXECUTE hot');
				next if $k eq '';
				$seen++;
				$wrong .= " $k" if $k % 2 == 0;
			}
			$n++;
			sleep 0.005;	# nor do readers keep the load from what it does
		} until ($until->($n) || time > $end);
		foreach my $reader (@readers) { $reader->query('COMMIT') if ($n - 1) % 5 != 4 }
	};

	my $load = start_load($current);
	my $enough = $current->safe_psql('postgres', 'SELECT sum(k) + 200 FROM steps');
	$read->(sub { $seen > 20 && $_[0] % 10 == 0 && $current->safe_psql('postgres', "SELECT sum(k) >= $enough FROM steps") eq 't' });
	cmp_ok($seen, '>', 20, "round $round: the readers have seen something under load");
	$current->stop('immediate');
	my $before = $seen;
	$standby->promote;
	$read->(sub { $_[0] > 20 });
	end_load($load);
	check_load($standby, $load, "round $round, promoted");

	# The readers' sessions were open all the time, and the load goes on here.
	$load = start_load($standby);
	$before = $seen;
	$read->(sub { $seen > $before + 20 });
	cmp_ok($seen, '>', $before + 20, "round $round: the same sessions read on the new primary");
	is($wrong, '', "round $round: and have never seen what they may not");
	is(join('', map { $_->{stderr} } @readers), '', "round $round: nor an error");
	$load->{run}->signal('TERM');
	$load->{run}->finish;
	$_->quit foreach @readers;
	$current = $standby;
	$current->backup('backup') if $round < 3;
}
$current->stop;
done_testing();
