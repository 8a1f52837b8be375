# Report.pm: the table, results.tsv, and a plot of each workload.

package Report;

use strict;
use warnings;

use Contenders;
use Server;

our $directory = "$ENV{WORK}/bench";
my @lines;

# A number with as many digits as may matter.
sub digits
{
	my ($number) = @_;

	return '-' if !defined $number;
	return sprintf($number >= 100 ? '%.0f' : $number >= 10 ? '%.1f' : '%.3f', $number);
}

# Milliseconds of a contender, if it was measured.
sub ms
{
	my ($result, $contender) = @_;

	return $result->{$contender} ? $result->{$contender}{ms} : undef;
}

# What is held against the limit: a ratio, milliseconds more, or microseconds.
sub figure
{
	my ($workload, $result) = @_;

	return if !$result;
	return $result->{ratio} if $workload->{measure} eq 'ratio';
	return $result->{more} if $workload->{measure} eq 'more';
	return defined $result->{ms} ? $result->{ms} * 1000 : undef;
}

sub missed
{
	my ($workload, $result) = @_;

	return $workload->{allowed} ne '-'
	  && figure($workload, $result->{tenancy}) > $workload->{allowed};
}

# Rivals that were faster, by more than chance.
sub ahead
{
	my ($workload, $result) = @_;

	return if $workload->{measure} eq 'more';
	return grep { (figure($workload, $result->{$_}) // 9e9) < 0.97 * figure($workload, $result->{tenancy}) }
	  @Contenders::rivals;
}

sub verdict
{
	my ($workload, $result) = @_;
	my @ahead = ahead($workload, $result);
	my $verdict = $workload->{allowed} eq '-' ? '' : missed($workload, $result) ? 'MISSED' : 'ok';

	$verdict .= ($verdict ? ', ' : '') . "behind @ahead" if @ahead;
	return $verdict;
}

our $format = "%-48s %9s %9s %7s %7s  " . '%8s ' x @Contenders::rivals . " %s\n";

sub heading
{
	print "\nMilliseconds of the hand-written query (limit) and of tenancy; all else are ratios to the limit,\n"
	  . "unless a unit stands beside it.  '>': given up after $Workloads::patience s.\n\n";
	printf $format, 'workload', 'limit', 'tenancy', 'ratio', 'allowed', @Contenders::rivals, 'verdict';
}

# A rival's column: its ratio, or at least how slow it is.
sub rival
{
	my ($workload, $result, $rival) = @_;

	return '-' if !$result->{$rival};
	return '>' . digits($Workloads::patience * 1000 / $result->{limit}{ms}) if $result->{$rival}{slow};
	return digits(figure($workload, $result->{$rival})) . unit($workload);
}

sub unit
{
	my ($workload) = @_;

	return { ratio => '', more => 'ms', us => 'us' }->{ $workload->{measure} };
}

# One line of the table, and of results.tsv.
sub row
{
	my ($workload, $result) = @_;

	printf $format, $workload->{title}, digits(ms($result, 'limit')), digits(ms($result, 'tenancy')),
	  digits(figure($workload, $result->{tenancy})) . unit($workload),
	  $workload->{allowed} . ($workload->{allowed} eq '-' ? '' : unit($workload)),
	  (map { rival($workload, $result, $_) } @Contenders::rivals), verdict($workload, $result);
	push @lines, map { join "\t", $workload->{name}, $_, $result->{$_}{ms} // "more than ${Workloads::patience}000",
		$result->{$_}{ratio} // '', $_ eq 'tenancy' ? $workload->{allowed} : '' }
	  grep { $result->{$_} } @Contenders::all;
}

sub save
{
	Server::spew("$directory/results.tsv",
		join("\n", join("\t", qw(workload contender ms ratio allowed)), @lines) . "\n");
}

# Bars of milliseconds; a logarithmic scale where the slowest would hide the rest.
sub plot
{
	my ($workload, $result) = @_;
	my @bars = grep { $result->{$_} } @Contenders::all;
	my $data = Server::scratch();
	my @ms = map { $result->{$_}{ms} // $Workloads::patience * 1000 } @bars;
	my ($least, $most) = (sort { $a <=> $b } @ms)[0, -1];
	my %unit = $workload->{measure} eq 'us' ? (name => 'µs', factor => 1000) : (name => 'ms', factor => 1);

	Server::spew($data, join '', map {
		my $ms = $ms[$_] * $unit{factor};
		my $label = ($result->{ $bars[$_] }{slow} ? '> ' : '') . digits($ms);
		my $colour = { limit => 0x8c8c8c, tenancy => 0x1f6fb4 }->{ $bars[$_] } // 0xd9b38c;
		my $name = $bars[$_] eq 'limit' ? 'hand-written' : $bars[$_];
		"$_\t$ms\t$name\t$label\t$colour\n" } 0 .. $#bars);
	Server::run('gnuplot', '-e', "data = '$data'; output = '$directory/$workload->{name}.svg';"
		. "title = '$workload->{title}'; unit = '$unit{name}'; "
		. 'logarithmic = ' . ($most > 15 * $least ? 1 : 0) . '; '
		. "least = $least * $unit{factor}; most = $most * $unit{factor}; bars = " . @bars,
		'bench/bars.gp');
}

1;
