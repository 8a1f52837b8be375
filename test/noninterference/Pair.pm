# Two servers, here and there, and a session in each, which are told the same and
# asked at the same time.  A round has a database of its own in both, of the same
# name, made from the world that they have in common.
package Pair;
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:async);
use World;

my $database = 'round';

sub new
{
	my ($class, @nodes) = @_;
	return bless { nodes => \@nodes, admins => [ map { connection($_, 'postgres', undef, RaiseError => 1, PrintWarn => 0) } @nodes ] }, $class;
}

sub connection
{
	my ($node, $database, $user, %attributes) = @_;
	return DBI->connect("dbi:Pg:dbname=$database;host=" . $node->host . ';port=' . $node->port, $user, '',
		{ PrintError => 0, RaiseError => 0, AutoCommit => 1, pg_expand_array => 0, %attributes })
	  // die "no connection to $database: $DBI::errstr\n";
}

# New databases, each with a share of what is hidden, drawn by the seed.  What is
# planted is planted in both.
sub prepare
{
	my ($self, $seed, %choice) = @_;

	srand($seed);
	my @shares = map { World::share() } 0, 1;
	foreach my $sql ("DROP DATABASE IF EXISTS $database", "CREATE DATABASE $database TEMPLATE world")
	{
		$_->do($sql, { pg_async => PG_ASYNC }) foreach @{ $self->{admins} };
		$_->pg_result foreach @{ $self->{admins} };
	}
	foreach my $side (0, 1)
	{
		my $dbh = connection($self->{nodes}[$side], $database, undef, RaiseError => 1);
		$dbh->do($_) foreach grep { $_ } "SET application_name = 'share of round $seed'", $shares[$side], $choice{plant};
		# not the system's catalogs, whose statistics everybody reads
		$dbh->do("VACUUM ANALYZE $_") foreach $choice{analyzed} ? World::tables($dbh) : ();
		$dbh->disconnect;
	}
	return;
}

sub open
{
	my ($self) = @_;
	$self->{sessions} = [ map { connection($_, $database, 'regress_mia', PrintWarn => 1) } @{ $self->{nodes} } ];
	return;
}

sub close
{
	my ($self) = @_;
	$_->disconnect foreach @{ delete $self->{sessions} };
	return;
}

# Ask all of a list, up to the first difference: its place and the two answers.
sub compare
{
	my ($self, @statements) = @_;
	my @found;

	$self->open;
	foreach my $n (0 .. $#statements)
	{
		my @answers = $self->ask($statements[$n] =~ tr/\x01\x02//dr);
		@found = ($n, @answers) if $answers[0] ne $answers[1];
		last if @found;
	}
	$self->close;
	return @found;
}

# The answers of both to one statement, as text.  Both are asked before either
# has answered.
sub ask
{
	my ($self, $sql) = @_;
	my @sessions = @{ $self->{sessions} };
	my @handles = map { $sql =~ /^COPY/ ? undef : $_->prepare($sql, { pg_direct => 1, pg_async => PG_ASYNC }) } @sessions;
	my @answers;

	$_->execute foreach grep { $_ } @handles;
	foreach my $side (0, 1)
	{
		my @notices;
		local $SIG{__WARN__} = sub { push @notices, $_[0] };
		my $answer = $handles[$side] ? answer($sessions[$side], $handles[$side], $sql) : copy($sessions[$side], $sql);
		push @answers, join '', $answer, sort @notices;
	}
	$self->{answered}{ $answers[0] =~ /^state: (\w+)$/mi ? $1 : $answers[0] =~ /^([A-Z]+)(?: 0)*( [1-9])?/ ? $1 . ($2 ? ' rows' : '') : 'others' }++;
	return @answers;
}

# Rows that were asked for in no order are compared in ours.
sub answer
{
	my ($session, $handle, $sql) = @_;

	return failure($session) if !defined $session->pg_result;
	my $tag = $handle->{pg_cmd_status} // '';
	return "$tag\n" if !$handle->{NUM_OF_FIELDS};
	my @rows = map { join ' | ', map { $_ // '(null)' } @$_ } @{ $handle->fetchall_arrayref };
	@rows = sort @rows if $sql !~ /ORDER BY|^EXPLAIN|^FETCH/;
	return join "\n", "$tag: @{ $handle->{NAME} }", @rows, '';
}

my @fields = qw(severity state primary detail hint context statement_position internal_position internal_query
	schema table column datatype constraint source_file source_line source_function);

sub failure
{
	my ($session) = @_;
	return join '', map { my $value = $session->pg_error_field($_); defined $value ? "$_: $value\n" : '' } @fields;
}

sub copy
{
	my ($session, $sql) = @_;
	my ($line, @lines);

	return failure($session) if !defined $session->do($sql);
	eval { push @lines, $line while $session->pg_getcopydata($line) >= 0; };
	return failure($session) if $session->err;
	@lines = sort @lines if $sql !~ /ORDER BY/;
	return join '', "COPY\n", @lines;
}

1;
