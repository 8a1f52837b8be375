# Two databases that differ only in what is hidden from mia answer whatever she
# says in the same way: rows, counts, command tags, notices, and every field of
# every error.
#
#   SEED   another seed, other statements       SIZE    how many statements, not
#                                                       counting BEGIN, SET and such
#   ROUND  that round of the seed only
#
# A round has databases of its own.  What is hidden is drawn at random for each
# side (World), and so is what is said (Statements), from the catalogs, so that a
# new function or relation needs no line here.  Chance and the clock are the same
# in both sessions (same_chance.c), so the answers are compared as they are.
#
# In every second round the tables are analyzed.  The planner then knows of hidden
# rows, which is not promised, and the statements are those whose answer depends on
# no plan.  In the others no table has statistics, plans are the same, and
# functions that tell of each row that they are asked about are tried as well.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../noninterference";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Pair;
use Smaller;
use Statements;

my $seed = $ENV{SEED} || 1;
my $size = $ENV{SIZE} || 1000;
my $of_round = 1000;
my $long = $size > 10000;

# Leaks to be found, each as it could happen.
my %plants = (
	view_of_the_owner => 'CREATE VIEW leak AS SELECT project_id, body FROM notes; GRANT SELECT ON leak TO PUBLIC',
	row_security_off => 'ALTER TABLE notes DISABLE ROW LEVEL SECURITY',
	message_that_differs => <<'SQL',
CREATE OR REPLACE FUNCTION tenancy.revoke_invite(invite uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF EXISTS (SELECT FROM tenancy.invites i WHERE i.id = revoke_invite.invite) THEN
		RAISE EXCEPTION 'permission denied for invite' USING ERRCODE = 'insufficient_privilege';
	END IF;
	RAISE EXCEPTION 'invite does not exist' USING ERRCODE = 'no_data_found';
END $$
SQL
	hint_that_differs => <<'SQL',
CREATE OR REPLACE FUNCTION tenancy._require_active_member(organization uuid, member uuid) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF tenancy._member_level(organization, member) IS NULL THEN
		RAISE EXCEPTION 'user does not exist' USING ERRCODE = 'no_data_found',
			HINT = (SELECT 'Invite them.' FROM tenancy.users u WHERE u.id = member);
	END IF;
END $$
SQL
	count_of_all => <<'SQL',
CREATE FUNCTION project_count() RETURNS bigint STABLE SECURITY DEFINER LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT count(*) FROM tenancy.projects'
SQL
	version_of_organization => 'GRANT SELECT (version) ON tenancy.organizations TO PUBLIC',
	key_without_project => 'ALTER TABLE notes ADD UNIQUE (id)',
	leakproof_that_tells => <<'SQL');
CREATE FUNCTION tells(text) RETURNS boolean LEAKPROOF COST 0.0000001 LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
CREATE VIEW told WITH (security_barrier, security_invoker) AS SELECT body FROM notes WHERE tells(body); GRANT SELECT ON told TO PUBLIC
SQL

my $library = "$ENV{TESTDIR}/same_chance.so";
system('gcc', '-shared', '-fPIC', '-O1', '-o', $library, "$FindBin::RealBin/../noninterference/same_chance.c") == 0
  or die "same_chance.c does not compile\n";

my @nodes = map { server($_) } qw(here there);
my $pair = Pair->new(@nodes);
my $world = Pair::connection($nodes[0], 'world', undef);
my %known = (
	tokens => $world->selectall_arrayref('TABLE held.tokens'),
	visible => World::visible_ids($world),
	hidden => World::hidden_ids());
$world->disconnect;
is($nodes[0]->safe_psql('world', $_), $nodes[1]->safe_psql('world', $_), "the same in both: $_")
  foreach 'TABLE held.tokens', 'SELECT gen_random_uuid(), clock_timestamp(), random()';

sub server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', <<END);
autovacuum = off
max_parallel_workers_per_gather = 0
jit = off
fsync = off
log_min_messages = panic
log_min_error_statement = panic
END
	local $ENV{LD_PRELOAD} = join ' ', grep { $_ } $library, $ENV{LD_PRELOAD};
	$node->start;
	$node->safe_psql('postgres', join '; ', map({ "CREATE ROLE $_ LOGIN" } 'regress_mia', World::bound()), 'CREATE DATABASE world');
	$node->safe_psql('world', World::visible());
	return $node;
}

# Plays a round: how many statements it took, and what failed, in words, if
# anything did.
sub play
{
	my ($round, $plant) = @_;
	my $rounds_seed = $seed * 1_000_003 + $round;
	my $analyzed = $round % 2;
	my $prepare = sub { $pair->prepare($rounds_seed, analyzed => $analyzed, plant => $plant) };

	$prepare->();
	my $dbh = Pair::connection($nodes[0], 'round', 'regress_mia', RaiseError => 1, pg_expand_array => 1);
	my $attacker = Statements->new($dbh, %known, plan_shows => !$analyzed);
	$dbh->disconnect;
	my @statements = $attacker->session("round $seed.$round", $of_round);
	my ($place, @differ) = $pair->compare(@statements);
	return scalar grep { !/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|RESET)/ } @statements if !defined $place;
	# to make it small takes longer than to find it
	return ($place, join "\n", $statements[$place] =~ tr/\x01\x02//dr, '-- here:', $differ[0], '-- there:', $differ[1]) if $plant && $long;

	my $fails = sub { $prepare->(); return ($pair->compare(@_))[0] };
	@statements = Smaller::statements($fails, 7, @statements[ 0 .. $place ]);
	$prepare->();
	my (undef, @answers) = $pair->compare(@statements);
	return ($place, join "\n", "SEED=$seed ROUND=$round", (map { "$_;" } @statements), '-- here:', $answers[0], '-- there:', $answers[1]);
}

delete $ENV{ROUND} if ($ENV{ROUND} // '') eq '';
my ($asked, $round, $failures, $begin) = (0, $ENV{ROUND} // 0, 0, time);
while ($asked < $size)
{
	my ($count, $failure) = play($round);
	$asked += $count;
	if ($failure)
	{
		diag($failure);
		last if ++$failures == 5;
	}
	last if defined $ENV{ROUND};
	$round++;
}
is($failures, 0, 'no difference');
note(sprintf '%d statements in %d s', $asked, time - $begin);
note(join ', ', map { "$_: $pair->{answered}{$_}" } sort { $pair->{answered}{$b} <=> $pair->{answered}{$a} } keys %{ $pair->{answered} });

# Each leak that is planted is found; in a small round, two of them.
my @planted = $long ? sort keys %plants : qw(message_that_differs view_of_the_owner);
foreach my $plant (defined $ENV{ROUND} ? () : @planted)
{
	my $found;
	# a command with an id that only one side has is rare
	foreach my $round (1 .. 60)
	{
		(undef, $found) = play($round, $plants{$plant});
		last if $found;
	}
	ok($found, "found: $plant");
	note($found) if $found;
}

done_testing();
