# Makes a failure small: as few statements as still get different answers, and
# as little of each.
package Smaller;
use strict;
use warnings;

# The statements, given a function that says at which one a list fails, or
# undef, and how many come first in every session.
sub statements
{
	my ($fails, $always, @statements) = @_;

	# mostly it takes no more than the begin of the session, and its transaction
	my ($start) = grep { $statements[$_] =~ /^BEGIN/ } reverse 0 .. $#statements;
	foreach my $from ($#statements, $start // $#statements)
	{
		my @tried = @statements[ grep { $_ < $always || $_ >= $from } 0 .. $#statements ];
		my $place = $fails->(@tried);
		next if !defined $place;
		@statements = @tried[ 0 .. $place ];
		last;
	}
	@statements = shorter($fails, @statements);
	my $changed = 1;
	while ($changed)
	{
		$changed = 0;
		foreach my $n (reverse 0 .. $#statements)
		{
			foreach my $less (parts_left_out($statements[$n]))
			{
				my @tried = @statements;
				$tried[$n] = $less;
				next unless defined $fails->(@tried);
				@statements = @tried;
				$changed = 1;
				last;
			}
		}
	}
	return map { tr/\x01\x02//dr } @statements;
}

# Leaves out runs of statements, long ones first.
sub shorter
{
	my ($fails, @statements) = @_;
	my $last = pop @statements;

	for (my $run = @statements; $run >= 1; $run = int(($run + 1) / 2))
	{
		for (my $end = @statements; $end > 0; $end -= $run)
		{
			my $begin = $end > $run ? $end - $run : 0;
			my @tried = @statements;
			splice @tried, $begin, $end - $begin;
			my $place = $fails->(@tried, $last);
			next if !defined $place;
			# it may fail earlier now, at another one
			@statements = (@tried, $last)[ 0 .. $place ];
			$last = pop @statements;
			$end = $begin + $run if $end > @statements + $run;
		}
		last if $run == 1;
	}
	return (@statements, $last);
}

# The statement without one of the parts that can be left out, each in turn.
sub parts_left_out
{
	my ($statement) = @_;
	my (@open, @less);

	while ($statement =~ /([\x01\x02])/g)
	{
		my $at = pos($statement) - 1;
		if ($1 eq "\x01") { push @open, $at; next; }
		my $begin = pop @open;
		push @less, substr($statement, 0, $begin) . substr($statement, $at + 1);
	}
	return reverse @less;
}

1;
