# The tour of README.md, and docs/clients.md: each ```sql block runs as printed,
# in order, in one psql and in a fresh database, and answers what the ```text
# block below it says.  An error stops the tour, except in a block whose printed answer has
# one.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The ```sql blocks of a page, each with the answer printed below it, if any.
sub blocks
{
	my ($page) = @_;
	my @blocks;

	while ($page =~ /^```(\w+)\n(.*?)^```$/msg)
	{
		my ($kind, $text) = ($1, $2);

		if ($kind eq 'sql')
		{
			push @blocks, { sql => $text };
		}
		elsif ($kind eq 'text')
		{
			die "an answer to nothing:\n$text" if !@blocks || defined $blocks[-1]{answer};
			$blocks[-1]{answer} = $text;
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

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;

# Runs the blocks in a new database, and compares.
sub walk
{
	my ($name, @blocks) = @_;
	my $script = '';

	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS tour');
	$node->safe_psql('postgres', 'CREATE DATABASE tour');
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
	like($output, qr/^the end$/m, "$name runs to its end")
	  or diag($output);

	my %answers = $output =~ /^block (\d+)\n(.*?)(?=^block \d+\n|^the end\n|\z)/msg;
	for my $n (0 .. $#blocks)
	{
		my ($title) = $blocks[$n]{sql} =~ /([^\n]*)\n\z/;

		if (defined $blocks[$n]{answer})
		{
			is(normalize($answers{$n} // 'never reached'),
				normalize($blocks[$n]{answer}), "$name: block $n answers as printed: $title");
		}
		else
		{
			unlike($answers{$n} // 'ERROR: never reached',
				qr/^(ERROR|FATAL):/m, "$name: block $n runs: $title");
		}
	}
}

my ($tour) = slurp_file('README.md') =~ /^## A five-minute tour\n(.*?)^## /ms
  or die 'README.md has no tour';
my @blocks = blocks($tour);
my $errors = grep { ($_->{answer} // '') =~ /^ERROR:/m } @blocks;

cmp_ok(scalar(@blocks), '>', 10, 'the tour has blocks');
cmp_ok(scalar(grep { defined $_->{answer} } @blocks), '>', 8, 'the tour prints answers');
cmp_ok($errors, '>', 2, 'the tour shows errors');
walk('the tour', @blocks);

# The roles of the tour are those of the page.
$node->safe_psql('postgres', 'DROP DATABASE tour; REVOKE SET ON PARAMETER "tenancy.user_id" FROM app; DROP ROLE app');
my $clients = slurp_file('docs/clients.md');
walk('docs/clients.md', blocks($clients));

# Statements in other languages: their parameters are written in many ways.
my @statements = map { /(SELECT tenancy\.(?:act_as|authenticate)\([^"'`;\n]*\))/g }
  ($clients =~ s/^```sql\n.*?^```$//msgr, map { slurp_file($_) } glob('examples/*/*.js'));
cmp_ok(scalar(@statements), '>', 6, 'there are statements in other languages');
for my $statement (@statements)
{
	my $null = $statement =~ s/\$\d|%s|\?|\$\{\w+\}|(?<!:):(?:id|token)\b/NULL/gr;
	my ($code, undef, $error) = $node->psql('tour', "EXPLAIN $null");

	is("$code $error", '0 ', "can be planned: $statement");
}

# The script for pgbench, by pgbench.
my ($script) = $clients =~ /^```pgbench\n(.*?)^```$/ms;
my ($command) = $clients =~ /^(pgbench .*)$/m;
my $file = PostgreSQL::Test::Utils::tempdir() . '/request.sql';
append_to_file($file, $script);
my $token = $node->safe_psql('tour', 'SELECT tenancy.create_session(id) FROM tenancy.users');
$command =~ s/tns_…/$token/;
$command =~ s/request\.sql/$file/;
$command =~ s/--time=30/--transactions=5/;
$command =~ s/mydb/tour/;
$node->command_like([ split / /, $command ],
	qr{transactions actually processed: 40/40}, 'docs/clients.md: pgbench');

$node->stop;
done_testing();
