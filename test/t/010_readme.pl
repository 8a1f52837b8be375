# The tour of README.md: each ```sql block runs as printed, in order, in one
# psql and in a fresh database, and answers what the ```text block below it
# says.  An error stops the tour, except in a block whose printed answer has
# one.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The ```sql blocks of the tour, each with the answer printed below it, if any.
sub tour_blocks
{
	my ($readme) = @_;
	my ($tour) = $readme =~ /^## A five-minute tour\n(.*?)^## /ms
	  or die 'README.md has no tour';
	my @blocks;

	while ($tour =~ /^```(\w+)\n(.*?)^```$/msg)
	{
		my ($kind, $text) = ($1, $2);

		if ($kind eq 'sql')
		{
			push @blocks, { sql => $text };
		}
		elsif ($kind eq 'text' && @blocks && !defined $blocks[-1]{answer})
		{
			$blocks[-1]{answer} = $text;
		}
		else
		{
			die "a block of the tour is neither SQL nor its answer:\n$text";
		}
	}
	return @blocks;
}

# Editors strip trailing blanks, psql prints them, and an answer's last line
# may be followed by an empty one.
sub normalize
{
	my ($text) = @_;

	$text =~ s/\r//g;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\n+\z/\n/;
	$text =~ s/\A\n+//;
	return $text;
}

my @blocks = tour_blocks(slurp_file('README.md'));
my $errors = grep { ($_->{answer} // '') =~ /^ERROR:/m } @blocks;

cmp_ok(scalar(@blocks), '>', 10, 'the tour has blocks');
cmp_ok(scalar(grep { defined $_->{answer} } @blocks), '>', 8, 'the tour prints answers');
cmp_ok($errors, '>', 2, 'the tour shows errors');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE tour');

my $script = '';
for my $n (0 .. $#blocks)
{
	my $stop = ($blocks[$n]{answer} // '') =~ /^ERROR:/m ? 'off' : 'on';

	$script .= "\\set ON_ERROR_STOP $stop\n\\echo block $n\n$blocks[$n]{sql}";
}
$script .= "\\echo the end\n";

# Like a person's psql, but without command tags; errors come where they occur.
my $output = '';
my $psql = [
	'psql', '--no-psqlrc', '--quiet', '--pset=pager=off',
	'--dbname=' . $node->connstr('tour') ];
local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
IPC::Run::run($psql, '<', \$script, '>', \$output, '2>&1');
$output =~ s/\r//g;
like($output, qr/^the end$/m, 'the tour runs to its end')
  or diag($output);

my %answers = $output =~ /^block (\d+)\n(.*?)(?=^block \d+\n|^the end\n|\z)/msg;
for my $n (0 .. $#blocks)
{
	my ($title) = $blocks[$n]{sql} =~ /([^\n]*)\n\z/;

	if (defined $blocks[$n]{answer})
	{
		is(normalize($answers{$n} // 'never reached'),
			normalize($blocks[$n]{answer}), "block $n answers as printed: $title");
	}
	else
	{
		unlike($answers{$n} // 'ERROR: never reached',
			qr/^(ERROR|FATAL):/m, "block $n runs: $title");
	}
}

$node->stop;
done_testing();
