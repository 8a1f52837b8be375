# Growth.pm: the point queries again, with more and more organizations.

package Growth;

use strict;
use warnings;

use Report;
use Server;
use Workloads;

# Bytes of disk for an organization with what belongs to it, and for the log.
my ($per_organization, $for_the_log) = (8_000, 6e9);
my $format = "%-48s %9s %9s %7s %7s %7s  %s\n";
my @lines;

# The largest of the sizes that the disk has room for; says so if it is not the
# largest that was asked for.
sub possible
{
	my (@sizes) = @_;
	my $free = 1024 * (split ' ', (split /\n/, Server::run('df', '-kP', $ENV{WORK}))[1])[3];
	my $most = ($free - $for_the_log) / $per_organization;
	my @possible = grep { $_ <= $most } @sizes;

	push @possible, int($most) if @possible < @sizes && $most > 2 * ($possible[-1] // 1000);
	printf "\nThe disk has room for %d organizations, so no more than these are made.\n", $possible[-1] // 1000
	  if @possible < @sizes;
	return @possible;
}

# Add organizations with five projects each until there are so many.
sub grow_to
{
	my ($scale, $from, $to) = @_;
	my $projects = $scale->{projects} + 5 * ($from - $scale->{organizations});

	Server::script('bench/organizations.sql', first => $from + 1, last => $to,
		first_project => $projects + 1, last_project => $projects + 5 * ($to - $from));
}

# How many of everything there are now.
sub describe
{
	print "\n", Server::query(q{
		SELECT format('%s organizations, %s users, %s memberships, %s projects, %s on disk',
			(SELECT count(*) FROM tenancy.organizations), (SELECT count(*) FROM tenancy.users),
			(SELECT count(*) FROM tenancy.memberships), (SELECT count(*) FROM tenancy.projects),
			pg_size_pretty(pg_database_size(current_database())))}),
	  "; growth is against the first size, of the ratio where there is one\n";
}

# Measure and print one workload at one size; returns how its cost has grown.
sub measure
{
	my ($workload, $size, $before) = @_;
	my @contenders = grep { /^(limit|tenancy)$/ } Workloads::contenders($workload);
	my $result = Workloads::measure($workload, @contenders);
	my $growth = Report::figure($workload, $result->{tenancy}) / Report::figure($workload, $before->{tenancy});
	my $allowed = $workload->{grows} =~ s/free/-/r;

	printf $format, $workload->{title}, Report::digits(Report::ms($result, 'limit')),
	  Report::digits($result->{tenancy}{ms}), Report::digits($result->{tenancy}{ratio}), Report::digits($growth),
	  $allowed, $allowed eq '-' ? '' : $growth > $allowed ? 'MISSED' : 'ok';
	push @lines, join "\t", $size, $workload->{name}, $growth;
	return $growth;
}

# Grow step by step; returns how many promises were missed.
sub run
{
	my ($scale, $warm, $before, @workloads) = @_;
	my $size = $scale->{organizations};
	my $missed = 0;

	@lines = map { join "\t", $size, $_->{name}, 1 } @workloads;
	for my $next (possible(@{ $scale->{grow} }))
	{
		grow_to($scale, $size, $next);
		$warm->();
		describe();
		printf $format, 'workload', 'limit', 'tenancy', 'ratio', 'growth', 'allowed', 'verdict';
		for my $workload (@workloads)
		{
			my $growth = measure($workload, $next, $before->{ $workload->{name} });

			$missed++ if $workload->{grows} ne 'free' && $growth > $workload->{grows};
		}
		$size = $next;
	}
	Server::spew("$Report::directory/growth.tsv", join("\n", "organizations\tworkload\tgrowth", @lines) . "\n");
	plot(@workloads);
	return $missed;
}

sub plot
{
	my (@workloads) = @_;
	my @files = map {
		my $name = $_->{name};
		my $file = Server::scratch();

		Server::spew($file, join '', map { (split /\t/)[1] eq $name ? "$_\n" : () } @lines);
		$file } @workloads;

	Server::run('gnuplot', '-e', "files = '@files'; output = '$Report::directory/growth.svg'; "
		. "titles = '" . join(' ', map { "\"$_->{title}\"" } @workloads) . "'", 'bench/growth.gp');
}

1;
