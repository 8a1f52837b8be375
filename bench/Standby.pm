# Standby.pm: what protection costs on a hot standby, beside the primary.

package Standby;

use strict;
use warnings;

use Report;
use Server;
use Workloads;

# May a ratio be larger there than on the primary?
my $allowed = 1.05;
our $primary;	# its port
my $format = "%-48s %9s %9s %9s %9s %7s %7s %7s  %s\n";

sub port { return ($primary //= $ENV{PGPORT}) + 1 }

# A copy of the whole cluster, with the same settings and all of it in memory.
sub start
{
	my ($warm) = @_;

	Server::run('pg_basebackup', '-D', "$ENV{WORK}/standby", '-R', '-X', 'stream', '-c', 'fast');
	open(my $settings, '>>', "$ENV{WORK}/standby/postgresql.auto.conf") or die "standby: $!\n";
	print $settings "port = " . port() . "\n";
	close($settings) or die "standby: $!\n";
	Server::control('start', "$ENV{WORK}/standby", "$ENV{WORK}/standby.log");
	there($warm);
}

# Ask the standby, not the primary.
sub there
{
	my ($do) = @_;

	local $ENV{PGPORT} = port();
	return $do->();
}

# Workloads that only read.
sub can_run
{
	my ($workload) = @_;
	my ($text, %said) = Workloads::script($workload);

	return !$said{as} && $workload->{beside} ne 'disk' && $text !~ /^\s*(?:INSERT|COPY|UPDATE|DELETE|SELECT tenancy\.(?:create|rename|rotate))/m;
}

# Measure both, in turn; how many missed what is allowed.
sub run
{
	my (@workloads) = @_;
	my $missed = 0;
	my @lines = join "\t", qw(workload primary standby quotient);

	printf "\nMilliseconds, and ratios to the hand-written query, on the primary and on a hot standby of it;\n"
	  . "the last number is the standby's ratio (or time, where there is none) by the primary's.\n\n";
	printf $format, 'workload', 'limit', 'tenancy', 'limit', 'tenancy', 'primary', 'standby', '', '';
	for my $workload (grep { can_run($_) } @workloads)
	{
		my ($here, $away) = Workloads::measure_places($workload, sub { $_[0]->() }, \&there);
		my ($h, $a) = map { Report::figure($workload, $_->{tenancy}) } $here, $away;
		# milliseconds of planning are compared as they are
		my $quotient = $workload->{measure} eq 'more' ? undef : $a / $h;
		my $verdict = !defined $quotient ? '' : $quotient > $allowed ? 'MISSED' : 'ok';

		$missed++ if $verdict eq 'MISSED';
		printf $format, $workload->{title}, (map { Report::digits(Report::ms($here, $_)) } qw(limit tenancy)),
		  (map { Report::digits(Report::ms($away, $_)) } qw(limit tenancy)),
		  (map { Report::digits($_) } $h, $a, $quotient), $verdict;
		push @lines, join "\t", $workload->{name}, $h, $a, $quotient // '';
	}
	Server::spew("$Report::directory/standby.tsv", join("\n", @lines) . "\n");
	return $missed;
}

1;
