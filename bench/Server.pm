# Server.pm: the throwaway server of scripts/with-cluster, and psql and pgbench
# against it.

package Server;

use strict;
use warnings;

use List::Util qw(sum);

my $serial = 0;

sub slurp
{
	my ($file) = @_;

	open(my $handle, '<', $file) or die "$file: $!\n";
	local $/;
	return scalar <$handle>;
}

sub spew
{
	my ($file, $text) = @_;

	open(my $handle, '>', $file) or die "$file: $!\n";
	print $handle $text;
	close($handle) or die "$file: $!\n";
}

# A file of our own, for anything temporary.
sub scratch
{
	return "$ENV{WORK}/bench.tmp." . ++$serial;
}

# Run a command; its output, or death with what it said.
sub run
{
	my (@command) = @_;
	my $errors = scratch();
	my $pid = open(my $output, '-|') // die "fork: $!\n";

	if ($pid == 0)
	{
		open(STDERR, '>', $errors);
		exec(@command) or exit 127;
	}
	my $text = do { local $/; <$output> } // '';
	close($output);
	die "$command[0] failed:\n" . slurp($errors) if $? != 0;
	unlink($errors);
	return $text;
}

# One query's answer, asked by the superuser.
sub query
{
	my ($sql) = @_;
	my $answer = run('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-c', $sql);

	chomp $answer;
	return $answer;
}

# Run a file of SQL with variables of psql.
sub script
{
	my ($file, %variables) = @_;

	run('psql', '-Xq', '-f', $file, map { ('-v', "$_=$variables{$_}") } sort keys %variables);
}

# Change settings; a restart brings them into force.
sub configure
{
	my (%settings) = @_;

	query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	control('restart', "$ENV{WORK}/data", "$ENV{WORK}/log");
}

# Start or restart a server.
sub control
{
	my ($what, $data, $log) = @_;

	system('pg_ctl', "--pgdata=$data", "--log=$log", '--silent', '--wait', $what) == 0
	  or die "the server does not start with these settings\n";
}

# Change a setting that needs no restart.
sub reload
{
	my ($setting, $value) = @_;

	query("ALTER SYSTEM SET $setting = '$value'");
	query('SELECT pg_reload_conf()');
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	my $half = int(@sorted / 2);

	return @sorted % 2 ? $sorted[$half] : ($sorted[$half - 1] + $sorted[$half]) / 2;
}

sub pgbench_command
{
	my ($role, $file, $variables, @more) = @_;

	return ('pgbench', '-n', '-M', 'prepared', '-U', $role, '-f', $file,
		(map { ('-D', "$_=$variables->{$_}") } sort keys %$variables), @more);
}

# The mean of the middle half: as unmoved by outliers as a median, and finer
# than the microseconds that pgbench writes.
sub middle
{
	my @sorted = sort { $a <=> $b } @_;
	my $quarter = int(@sorted / 4);
	my @half = @sorted[$quarter .. $#sorted - $quarter];

	return sum(@half) / @half;
}

# Run a script so many times over one connection; the usual latency in ms.
# Before that come executions to warm up, which find empty caches and plan for
# themselves.
sub latency
{
	my ($role, $file, $warm, $times, $variables) = @_;
	my $prefix = scratch();

	run(pgbench_command($role, $file, $variables, '-t', $warm + $times, '-l', "--log-prefix=$prefix"));
	my ($log) = glob("$prefix.*");
	my @latencies = map { (split / /)[2] / 1000 } split /\n/, slurp($log);

	unlink($log);
	return middle(@latencies[$warm .. $#latencies]);
}

# Run a script at a fixed rate until stop() is called with what this returns.
sub start
{
	my ($role, $file, $rate, $variables) = @_;
	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0)
	{
		open(STDOUT, '>', '/dev/null');
		open(STDERR, '>', "$ENV{WORK}/bench.changes");
		exec(pgbench_command($role, $file, $variables, "--rate=$rate", '-T', 3600)) or exit 127;
	}
	return $pid;
}

sub stop
{
	my ($pid) = @_;

	return if !defined $pid;
	die "the changes beside the readers have ended: " . slurp("$ENV{WORK}/bench.changes")
	  if waitpid($pid, 1) != 0;
	kill('TERM', $pid);
	waitpid($pid, 0);
}

1;
