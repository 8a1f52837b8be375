# Clients run random commands and reads through a pooler, while their backends are
# cancelled, terminated and killed, and while the primary fails and its standby
# takes over.  Their histories are then checked by a program of its own, which
# says what it promises: test/torture/check.
#
#   SEED    other clients                SIZE     seconds of load
#   PLANT   a fault, by name, which the check has to find
#
# What the clients do is drawn by the seed; what comes of it is not, since they
# race.  The histories are kept, see build/results/tap.
#
# With synchronous replication PostgreSQL promises that what was committed is on
# the standby, but not when the waiting for it is cancelled or its backend ends:
# then a transaction can be seen here before it is there.  So a failover comes
# when all transactions that were interrupted have ended and the standby has
# flushed what they wrote.
use strict;
use warnings;
use FindBin;
use DBI;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC);

plan skip_all => 'the random histories are run by make torture' unless $ENV{SEED};

my $seed = $ENV{SEED} || 1;
my $seconds = $ENV{SIZE} || 3;
my $clients = 8;
my $torture = "$FindBin::RealBin/../torture";
my $histories = $PostgreSQL::Test::Utils::log_path;
my @history;	# of what is done here
my %done = map { $_ => 0 } qw(cancelled terminated killed failover);
my ($primary, $standby, $servers) = (undef, undef, 0);

# Faults, each as it could happen.
my %plants = (
	members_are_not_announced => 'ALTER TABLE tenancy.memberships DISABLE TRIGGER invalidate',
	tokens_are_not_announced => 'ALTER TABLE tenancy.project_tokens DISABLE TRIGGER invalidate',
	privacy_is_not_announced => 'ALTER TABLE tenancy.projects DISABLE TRIGGER invalidate_update',
	sessions_are_not_announced => 'ALTER TABLE tenancy.sessions DISABLE TRIGGER invalidate',
	invites_stay => replaced('tenancy._join', 'DELETE FROM tenancy.invites i', 'UPDATE tenancy.invites i SET email = i.email')
	  . replaced('tenancy._end_membership', 'DELETE FROM tenancy.invites i', 'UPDATE tenancy.invites i SET email = i.email'),
	authority_is_asked_once => replaced('tenancy._begin_change', "NULL;\n\tEND IF;\n", 'NULL; END IF; RETURN organization;'),
	old_tokens_live => 'DROP INDEX tenancy.project_tokens_live_idx;'
	  . replaced('tenancy.rotate_project_token', 'AND t.revoked_at IS NULL', 'AND random() < 0.5'));

# SQL that alters the body of a function.
sub replaced
{
	my ($function, $from, $to) = @_;
	return "DO \$x\$ BEGIN EXECUTE (SELECT replace(pg_get_functiondef(oid), '$from', '$to') FROM pg_proc WHERE oid = '$function'::regproc); END \$x\$;";
}

sub now { return int(clock_gettime(CLOCK_MONOTONIC) * 1e6); }

# ---------------------------------------------------------------------
# The world
# ---------------------------------------------------------------------

my $world = <<'SQL';
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
CREATE ROLE regress_app LOGIN;
SELECT tenancy.grant_application('regress_app');
CREATE FUNCTION id(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5(name)::uuid';
INSERT INTO tenancy.users (id, email, name)
	SELECT id(name), name || '@torture.example', name FROM unnest('{ann,ben,cat,mia,max,moe,nat}'::text[]) name;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	VALUES (id('acme'), 'acme', id('ann'), 'enterprise'), (id('bay'), 'bay', id('ben'), 'enterprise');
INSERT INTO tenancy.memberships (organization_id, user_id, level)
	SELECT id(organization), id(name), level::tenancy.access_level
	FROM (VALUES ('acme', 'ben', 'administrator'), ('acme', 'cat', 'member'), ('acme', 'mia', 'member'), ('acme', 'moe', 'member'),
		('bay', 'ann', 'administrator'), ('bay', 'mia', 'member'), ('bay', 'max', 'member')) v (organization, name, level);
INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	SELECT id(name), id(organization), name, name ~ '[23]$'
	FROM (VALUES ('acme', 'acme1'), ('acme', 'acme2'), ('acme', 'acme3'), ('bay', 'bay1'), ('bay', 'bay2')) v (organization, name);
SELECT tenancy._issue_project_token(id) FROM tenancy.projects;
CREATE TABLE board (n bigint GENERATED ALWAYS AS IDENTITY, kind text, about text, who text, token text);
INSERT INTO board (kind, about, who, token) SELECT 'token', p.name, 'nobody', t.token
	FROM tenancy.projects p JOIN tenancy.project_tokens t ON t.project_id = p.id;
CREATE FUNCTION invite_of(token text) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
	'SELECT i.id FROM tenancy.invites i WHERE i.digest = tenancy._credential_digest(token, ''invite'')';
CREATE TABLE notes (project_id uuid NOT NULL, body text NOT NULL);
SELECT tenancy.protect('notes');
INSERT INTO notes SELECT id, 'always there' FROM tenancy.projects;
GRANT SELECT, INSERT ON board, notes TO regress_app;
SQL

# How it begins, for the history.
my $beginning = <<'SQL';
SELECT concat_ws(' ', 'project', o.name, p.name) FROM tenancy.projects p JOIN tenancy.organizations o ON o.id = p.organization_id
UNION ALL SELECT concat_ws(' ', 'is owner', o.name, u.name) FROM tenancy.organizations o JOIN tenancy.users u ON u.id = o.owner_id
UNION ALL SELECT concat_ws(' ', 'is level', o.name, u.name, coalesce(m.level::text, 'none')) FROM tenancy.organizations o CROSS JOIN tenancy.users u
	LEFT JOIN tenancy.memberships m ON (m.organization_id, m.user_id) = (o.id, u.id)
UNION ALL SELECT concat_ws(' ', 'is project level', p.name, u.name, 'none') FROM tenancy.projects p CROSS JOIN tenancy.users u
UNION ALL SELECT concat_ws(' ', 'is private', p.name, p.is_private::text) FROM tenancy.projects p
UNION ALL SELECT concat_ws(' ', 'is active', u.name, 'true') FROM tenancy.users u
UNION ALL SELECT concat_ws(' ', 'is token', p.name, t.token) FROM tenancy.projects p JOIN tenancy.project_tokens t ON t.project_id = p.id
SQL

# ---------------------------------------------------------------------
# Servers and the pooler
# ---------------------------------------------------------------------

sub server { return PostgreSQL::Test::Cluster->new('server' . ++$servers); }

# Gives the primary a standby that every commit waits for.
sub add_standby
{
	$primary->backup("backup$servers");
	$standby = server();
	$standby->init_from_backup($primary, 'backup' . ($servers - 1), has_streaming => 1);
	$standby->start;
	$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = '*'");
	$primary->reload;
	$primary->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
	  or die "the standby does not come into step\n";
	$primary->wait_for_catchup($standby, 'flush', $primary->lsn('insert'));
	return;
}

my $pooler_dir = PostgreSQL::Test::Utils::tempdir_short();
my $pooler_port = PostgreSQL::Test::Cluster::get_free_port();

sub configure_pooler
{
	unlink "$pooler_dir/ini";
	append_to_file("$pooler_dir/ini", <<END);
[databases]
torture = host=@{[ $primary->host ]} port=@{[ $primary->port ]} dbname=torture
[pgbouncer]
pool_mode = transaction
listen_addr =
listen_port = $pooler_port
unix_socket_dir = $pooler_dir
auth_type = trust
auth_file = $pooler_dir/users
admin_users = pooler
logfile = $histories/pgbouncer.log
default_pool_size = 4
server_login_retry = 0.1
query_wait_timeout = 60
END
	return;
}

sub tell_pooler
{
	my ($what) = @_;
	return DBI->connect("dbi:Pg:dbname=pgbouncer;host=$pooler_dir;port=$pooler_port", 'pooler', '', { RaiseError => 1, pg_server_prepare => 0 })
	  ->do($what);
}

# ---------------------------------------------------------------------
# Interruptions
# ---------------------------------------------------------------------

my $dbh;
sub ask
{
	my ($sql) = @_;
	$dbh //= DBI->connect('dbi:Pg:dbname=torture;host=' . $primary->host . ';port=' . $primary->port, undef, '', { PrintError => 0, RaiseError => 1 });
	return $dbh->selectrow_array($sql);
}

my $victim = "FROM pg_stat_activity WHERE usename = 'regress_app' AND pid <> pg_backend_pid()";
sub cancel { return ask("SELECT count(pg_cancel_backend(pid)) FROM (SELECT pid $victim AND state = 'active' ORDER BY random() LIMIT 1) v"); }
sub terminate { return ask("SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid $victim AND state <> 'idle' ORDER BY random() LIMIT 1) v"); }

# One backend dies, so all do, and the server recovers.
sub kill_one
{
	my ($pid) = ask("SELECT pid $victim ORDER BY random() LIMIT 1");
	return 0 if !$pid;
	my $call = now();
	kill 'KILL', $pid or return 0;
	# our own connection ends with the others
	sleep 0.01 while eval { ask('SELECT 1') };
	$dbh = undef;
	foreach (1 .. 3000) { last if eval { ask('SELECT 1') }; $dbh = undef; sleep 0.02; }
	push @history, "$call $call " . now() . ' ok restart';
	return 1;
}

# The primary is gone and the standby takes its place.
sub fail_over
{
	my ($last) = ask('SELECT clock_timestamp()');
	sleep 0.02 while ask("SELECT count(*) $victim AND state <> 'idle' AND xact_start <= '$last'");
	$primary->wait_for_catchup($standby, 'flush', $primary->lsn('insert'));

	my $call = now();
	$dbh = undef;
	$primary->stop('immediate');
	$standby->promote;
	($primary, $standby) = ($standby, undef);
	configure_pooler();
	tell_pooler('RELOAD');
	push @history, "$call $call " . now() . ' ok restart';
	return 1;
}

# ---------------------------------------------------------------------
# What the histories hold so far
# ---------------------------------------------------------------------

sub counted
{
	my %count;
	foreach my $file (glob "$histories/torture.history.*")
	{
		$count{$_}++ foreach slurp_file($file) =~ /^(?:\d+ ){3}\w+ (\w+)/mg;
	}
	return \%count;
}

sub missing
{
	my $count = counted();
	return grep { !$count->{$_} } qw(transfer level remove invite accept privacy rotate sees insert refused owner live);
}

# ---------------------------------------------------------------------
# The run
# ---------------------------------------------------------------------

srand($seed);
$primary = server();
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<END);
restart_after_crash = on
max_connections = 50
END
$primary->start;
$primary->safe_psql('postgres', 'CREATE DATABASE torture');
$primary->safe_psql('torture', $world);
$primary->safe_psql('torture', $plants{ $ENV{PLANT} } // die "no such plant\n") if $ENV{PLANT};
push @history, map { "0 0 0 ok $_" } split /\n/, $primary->safe_psql('torture', $beginning);
add_standby();
my $superuser = $primary->safe_psql('torture', 'SELECT current_user');
append_to_file("$pooler_dir/users", join '', map { "\"$_\" \"\"\n" } qw(regress_app pooler), $superuser);
configure_pooler();
my $pooler = IPC::Run::start([ '/usr/sbin/pgbouncer', '--quiet', "$pooler_dir/ini" ], '<', \undef, '>', '/dev/null', '2>', "$histories/pgbouncer.err");
my @clients = map {
	IPC::Run::start([ $^X, "$torture/client", $pooler_dir, $pooler_port, 'torture', $superuser, $seed, $_ ],
		'<', \undef, '>', "$histories/torture.history.$_", '2>', "$histories/torture.client.$_") } 1 .. $clients;

my $end = time + $seconds;
my $next_kill = time + $seconds / 4;
my $next_failover = time + ($seconds > 60 ? 30 : $seconds / 2);
# on a busy machine it takes longer until there is something of everything
while (time < $end || (time < $end + 120 && (missing() || grep { !$_ } values %done)))
{
	sleep rand 0.05;
	if (time >= $next_failover)
	{
		add_standby() if !$standby;
		$done{failover} += fail_over();
		$next_failover = time + 30;
	}
	elsif (time >= $next_kill)
	{
		$done{killed} += kill_one();
		$next_kill = time + 5 + rand 10;
	}
	elsif (rand() < 0.7) { $done{cancelled} += cancel(); }
	else { $done{terminated} += terminate(); }
}

$_->signal('TERM') foreach @clients;
my @ended = map { $_->finish } @clients;
is(scalar(grep { $_ } @ended), $clients, 'every client ended in its own time')
  or diag(map { slurp_file($_) } glob "$histories/torture.client.*");
$pooler->signal('KILL');
eval { $pooler->finish };
my $now = now();
push @history, map { "$now $now $now ok found $_" } split /\n/,
  $primary->safe_psql('torture', "SELECT body FROM notes WHERE body <> 'always there'");
push @history, "$now $now $now ok end";
append_to_file("$histories/torture.history.0", join '', map { "$_\n" } @history);

is(join(' ', grep { !$done{$_} } sort keys %done), '', 'and what was to go wrong went wrong');
is($primary->safe_psql('torture', 'SELECT * FROM tenancy.check_integrity()'), '', 'and nothing is out of order') if !$ENV{PLANT};

note(join ', ', map { "$_: $done{$_}" } sort keys %done);
my $count = counted();
note(join ', ', map { "$_: $count->{$_}" } sort keys %$count);
is(join(' ', missing()), '', 'there is a history of everything');

my ($out, $err);
my $right = IPC::Run::run([ $^X, "$torture/check", glob "$histories/torture.history.*" ], '>', \$out, '2>', \$err);
if ($ENV{PLANT}) { ok(!$right && $out =~ /^violation/, "found: $ENV{PLANT}"); note($out); }
else { ok($right, 'the history is right: ' . (split /\n/, $out)[-1]) or diag("$out$err"); }
done_testing();
