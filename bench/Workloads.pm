# Workloads.pm: the list of workloads, their scripts, and how one is checked
# and measured.

package Workloads;

use strict;
use warnings;

use Contenders;
use List::Util qw(any max min sum);
use Server;
use Time::HiRes qw(time);

# The scale sets these: seconds of a run, and how often each is repeated.
our ($seconds, $rounds, $patience) = (0.4, 11, 4);
our %facts;		# what stands for {few}, {token}, :organizations ... here

# The rows of workloads.tsv, as hashes.
sub list
{
	my @names = qw(name script user rows beside measure allowed grows title);
	my @workloads;

	for my $line (grep { !/^#/ } split /\n/, Server::slurp('bench/workloads.tsv'))
	{
		my %workload;

		@workload{@names} = split /\t/, $line;
		$workload{title} =~ s/\{(\w+)\}/$facts{$1} \/\/ $1/ge;
		push @workloads, \%workload;
	}
	return @workloads;
}

# A script's text and what its comments say of it.
sub script
{
	my ($workload) = @_;
	my $text = Server::slurp("bench/workloads/$workload->{script}.sql");
	my %said = $text =~ /^-- (before|as|calls|contenders|warm): (.*)$/mg;

	return ($text, %said);
}

sub contenders
{
	my ($workload) = @_;
	my (undef, %said) = script($workload);

	return $said{contenders} ? split / /, $said{contenders} : @Contenders::all;
}

# What the placeholders of a workload's script stand for.
sub values_of
{
	my ($workload) = @_;
	my $user = $workload->{user};
	my %values = (user => $user, rows => $workload->{rows}, copied => "$ENV{WORK}/copied");

	if ($user ne '-')
	{
		$values{project} = $facts{"project of $user"};
		$values{list} = $user eq 'all' ? 'project_id IS NOT NULL' :
		  "project_id = ANY ('" . $facts{"list of $user"} . "')";
	}
	return %values;
}

# Variables of pgbench; they become parameters of prepared statements.
sub variables_of
{
	my ($workload) = @_;
	my %variables = (signed_in => 0, token => $facts{token}, n => 1);

	$variables{project} = $facts{"project of $workload->{user}"} if $workload->{user} ne '-';
	$variables{credential} = $facts{ $workload->{name} } if $workload->{script} eq 'authenticate';
	return %variables;
}

# The script as pgbench runs it for a contender: it signs in once.
sub for_pgbench
{
	my ($workload, $contender, $text) = @_;
	my %values = values_of($workload);
	my $sign_in = $workload->{user} eq '-' ? '' :
	  "\\if :signed_in = 0\n{sign in};\n\\set signed_in 1\n\\endif\n";
	my $file = Server::scratch();

	Server::spew($file, Contenders::fill($sign_in . $text, $contender, \%values));
	return $file;
}

# The answer of a script, as psql gets it; undef if it takes too long.
sub answer
{
	my ($workload, $contender, $text, $timeout) = @_;
	my %values = values_of($workload);
	my %variables = variables_of($workload);
	my $file = Server::scratch();

	$text =~ s/^\\set .*\n//mg;
	$text = "SET statement_timeout = '${timeout}s';\n"
	  . ($workload->{user} eq '-' ? '' : "{sign in} \\g /dev/null\n") . $text;
	$text = Contenders::fill($text, $contender, \%values);
	# signing in answers differently for each, which is not what is compared
	$text =~ s/^(SELECT (?:set_config|tenancy\.).*);$/$1 \\g \/dev\/null/mg;
	$text =~ s/(?<!:):(own_project)\b/:'$1'/g;
	$text =~ s/(?<!:):(\w+)\b/exists $variables{$1} ? "'$variables{$1}'" : ":$1"/ge;
	Server::spew($file, $text);
	my $answer = eval { Server::run('psql', '-XAt', '-v', 'ON_ERROR_STOP=1',
		'-U', Contenders::role($contender), '-f', $file) };

	return $answer if defined $answer;
	return if $@ =~ /statement timeout/;
	die $@;
}

# Dies unless a contender answers as the hand-written query does; false if it
# takes too long to be measured, having answered a smaller question.
sub check
{
	my ($workload, $contender) = @_;
	my ($text) = script($workload);
	my $answered = 1;

	my $answer = answer($workload, $contender, $text, $patience);
	if (!defined $answer)
	{
		$answered = 0;
		$text = Server::slurp('bench/probe.sql');
		$answer = answer($workload, $contender, $text, 600);
	}
	my $expected = answer($workload, 'limit', $text, 600);
	die "$workload->{name}: $contender answers\n$answer\nand not\n$expected\n"
	  if $answer ne $expected;
	return $answered;
}

# How often to run a script to warm up, if that is not said, and then so that it
# takes the time that a run should; and what all that will take.  One execution
# at least to warm up, unless nobody has the time.
sub times_for
{
	my ($role, $file, $warm, $variables) = @_;
	my $first = Server::latency($role, $file, 0, 1, $variables) / 1000;

	return (0, 1, $first) if $first > 1;
	return (1, 1, 2 * $first) if $first > $seconds / 2;
	my $some = 1 + int(min(60, 0.2 / $first));
	$warm //= min(20, $some);
	my $usual = Server::latency($role, $file, $warm, $some, $variables) / 1000;
	my $times = max(2, min(20000, int($seconds / $usual)));
	return ($warm, $times, ($warm + $times) * $usual);
}

# Who can be measured: role, file and number of executions by contender.
sub prepare
{
	my ($workload, @contenders) = @_;
	my ($text, %said) = script($workload);
	my %variables = variables_of($workload);
	my %runs;

	for my $contender (@contenders)
	{
		my $comparable = $workload->{measure} eq 'ratio' && !$said{as};

		next if $comparable && !check($workload, $contender);
		my $role = $said{as} ? 'postgres' : Contenders::role($contender);
		my $file = for_pgbench($workload, $contender, $text);

		my $before = Contenders::fill($said{before} // '', $contender, {});

		Server::query($before) if $before ne '';
		my ($warm, $times, $takes) = times_for($role, $file, $said{warm}, \%variables);

		$runs{$contender} = {
			role => $role, file => $file, variables => \%variables, warm => $warm,
			times => $times, takes => $takes, before => $before, calls => $said{calls} // 1 };
	}
	return \%runs;
}

# One run of one contender: milliseconds a call.
sub measure_once
{
	my ($run) = @_;

	Server::query($run->{before}) if $run->{before} ne '';
	return Server::latency($run->{role}, $run->{file}, @$run{qw(warm times)}, $run->{variables}) / $run->{calls};
}

# Interleaved: in each round everybody runs once, forwards and backwards in
# turn; rivals, whose place need not be known to the percent, in every fifth.
sub interleave
{
	my ($runs) = @_;
	my @order = grep { $runs->{$_} } @Contenders::all;
	my $takes = sum(map { $runs->{$_}{takes} } grep { $runs->{$_} } qw(limit tenancy));
	my %seen;

	# fewer for what takes long
	for my $round (1 .. max(3, min($rounds, int(20 / $takes))))
	{
		for my $contender (@order)
		{
			next if $round % 5 != 1 && any { $_ eq $contender } @Contenders::rivals;
			push @{ $seen{$contender} }, [ $round, measure_once($runs->{$contender}) ];
		}
		@order = reverse @order;
	}
	return \%seen;
}

# Medians, and the median of the ratios within each round.
sub summarize
{
	my ($seen) = @_;
	my %result;

	for my $contender (keys %$seen)
	{
		my @runs = @{ $seen->{$contender} };

		$result{$contender}{ms} = Server::median(map { $_->[1] } @runs);
		next if !$seen->{limit};
		my %limit = map { @$_ } @{ $seen->{limit} };
		$result{$contender}{ratio} = Server::median(map { $_->[1] / $limit{ $_->[0] } } @runs);
		$result{$contender}{more} = Server::median(map { $_->[1] - $limit{ $_->[0] } } @runs);
	}
	return \%result;
}

# Changes of memberships so far.
sub changes
{
	return Server::query(q{SELECT pg_stat_get_tuples_updated('tenancy.memberships'::regclass)});
}

# Do something while memberships of others change, 500 times a second; says so
# if the machine is too busy for that.
sub beside_changes
{
	my ($do) = @_;
	my ($before, $since) = (changes(), time);
	my $writer = Server::start('postgres', 'bench/changes.sql', 500,
		{ organizations => $facts{organizations} });
	my $result = $do->();

	Server::stop($writer);
	my $rate = (changes() - $before) / (time - $since);
	printf "(only %.0f changes a second:)\n", $rate if $rate < 450 && time - $since > 5;
	return $result;
}

# Do something while commits wait until they are on the disk, as they do where
# data matters.
sub with_disk
{
	my ($do) = @_;

	Server::reload(fsync => 'on');
	my $result = $do->();
	Server::reload(fsync => 'off');
	return $result;
}

# Limit and tenancy in several places, of which each is a function that runs
# another one there: a result for each place.  Interleaved as above.
sub measure_places
{
	my ($workload, @places) = @_;
	my @contenders = grep { /^(limit|tenancy)$/ } contenders($workload);
	my $do = sub {
		my @runs = map { $_->(sub { prepare($workload, @contenders) }) } @places;
		my @order = map { my $place = $_; map { [ $place, $_ ] } @contenders } 0 .. $#places;
		my $takes = sum(map { $_->{takes} } map { values %$_ } @runs);
		my @seen;

		for my $round (1 .. max(3, min($rounds, int(40 / $takes))))
		{
			for my $turn (@order)
			{
				my ($place, $contender) = @$turn;

				push @{ $seen[$place]{$contender} },
				  [ $round, $places[$place]->(sub { measure_once($runs[$place]{$contender}) }) ];
			}
			@order = reverse @order;
		}
		return [ map { summarize($_) } @seen ];
	};

	return @{ $workload->{beside} eq 'changes' ? beside_changes($do) : $do->() };
}

# Check and measure a workload: { contender => { ms, ratio, more } }.
sub measure
{
	my ($workload, @contenders) = @_;

	@contenders = contenders($workload) if !@contenders;
	my $do = sub { summarize(interleave(prepare($workload, @contenders))) };
	my $result = $workload->{beside} eq 'changes' ? beside_changes($do) :
	  $workload->{beside} eq 'disk' ? with_disk($do) : $do->();
	for my $contender (@contenders)
	{
		$result->{$contender} //= { slow => 1 };
	}
	return $result;
}

1;
