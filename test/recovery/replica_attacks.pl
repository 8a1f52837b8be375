# What could make a hot standby forget a revocation, or believe in one too early, or
# show new rows with old rights: long statements, open cursors, old snapshots, replay
# that waits, is late or starts anew, savepoints, prepared transactions, a flood of
# messages, readers at full speed.  Then the first of two standbys is promoted under
# its clients, and the second goes on behind it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t", $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Load qw(prepare_load start_load);
use Replicas;

my ($primary, $near, $far) = start_replicas(<<'SQL');
CREATE ROLE regress_bi LOGIN;
GRANT SELECT ON events TO regress_bi;
SELECT tenancy.bind_role('regress_bi', id('mia'));
GRANT pg_monitor TO regress_tap;
CREATE TABLE many (project_id uuid NOT NULL, n integer NOT NULL);
INSERT INTO many SELECT id('private'), g FROM generate_series(1, 5000) g;
CREATE INDEX ON many (project_id);
SELECT tenancy.protect('many');
GRANT SELECT ON many TO regress_tap;
VACUUM ANALYZE many;
CREATE TABLE junk (n integer);
INSERT INTO junk SELECT generate_series(1, 1000);
GRANT SELECT ON junk TO regress_tap;
-- waits where a lock is held
CREATE FUNCTION wait_at(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF n = 10 THEN
		PERFORM pg_advisory_lock(1), pg_advisory_unlock(1);
	END IF;
	RETURN n;
END
$$;
SQL
my %standby = (near => $near, far => $far);

my $hot = 'EXECUTE hot';
my $remove = "SELECT tenancy.remove_project_member(id('private'), id('mia'))";

# A session of mia's, which knows her access.
sub reader
{
	my ($node, $as) = @_;
	my $reader = $as eq 'bound' ?
	  $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_bi' ]) : session($node, 'postgres');
	$reader->query("PREPARE hot AS SELECT string_agg(n::text, ',' ORDER BY n) FROM events");
	$reader->query($as eq 'session' ? "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session'), true); END \$\$"
		: "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$") if $as ne 'bound';
	$reader->query('BEGIN') if $as eq 'transaction';
	$reader->query($hot);
	return $reader;
}

# By alice on the primary, and the rows of those who lose something with it.
sub revoke
{
	my ($sql, $settings) = @_;
	is(answer($primary, 'postgres', 'alice', ($settings // 'SELECT') . "; $sql \\g /dev/null\nUPDATE events SET n = -n WHERE n = 2"), '', 'revoked');
	return;
}

sub grant_again
{
	$primary->safe_psql('postgres', "BEGIN; UPDATE events SET n = -n WHERE n < 0; UPDATE many SET n = -n WHERE n < 0;
		INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('private'), id('mia'), id('acme')); COMMIT");
	await_second($primary, $near, $far);
	return;
}
my $mia = reader($near, 'user');
my $distant = reader($far, 'user');
my $holder = session($near, 'postgres');

sub both_see
{
	my ($expected, $what) = @_;
	is($mia->query($hot), $expected, "$what, near");
	await_second($primary, $near, $far);
	is($distant->query($hot), $expected, "$what, far");
	return;
}

# ---------------------------------------------------------------------
# In the middle of a statement, and under an open cursor
# ---------------------------------------------------------------------
foreach my $scan (qw(seqscan indexscan))
{
	$mia->query("SET enable_seqscan = off; SET enable_bitmapscan = off") if $scan eq 'indexscan';
	$holder->query('SELECT pg_advisory_lock(1)');
	$mia->query("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT n FROM many");
	is($mia->query('FETCH 5 FROM c'), "1\n2\n3\n4\n5", "$scan: a cursor is open");
	$mia->query_until(qr/asked/, "\\echo asked\nSELECT count(*) || ' rows, ' || coalesce(sum((n < 0)::integer), 0) || ' new' FROM (SELECT wait_at(n) AS n FROM many OFFSET 0) m;\n");
	ok($near->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)), "$scan: a statement is in its middle");
	$primary->safe_psql('postgres', 'UPDATE events SET n = -n WHERE n = 2; SET session_replication_role = replica; UPDATE many SET n = -n');
	revoke($remove);
	$holder->query('SELECT pg_advisory_unlock(1)');
	my ($rows, $new, $fetched, $left) = $mia->query("SELECT count(*) FROM many; FETCH ALL FROM c") =~ /^(\d+) rows, (\d+) new\n(\d+)((?:\n\d+)*)$/;
	is($new, '0', "$scan: what it reads later is nothing new");
	cmp_ok($rows, '<=', $scan eq 'seqscan' ? 10 + 1024 : 5000, "$scan: and no more than it may finish with");
	is($fetched, '0', "$scan: the next statement has lost all");
	cmp_ok(scalar(() = $left =~ /\n/g), '<=', $scan eq 'seqscan' ? 1024 : 5000, "$scan: the cursor gives old rows only, and no more than it may");
	$mia->query('COMMIT; RESET ALL');
	$mia->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
	both_see('1', "$scan: afterwards");
	grant_again();
}

# ---------------------------------------------------------------------
# Replay waits for a reader, in the middle of a record
# ---------------------------------------------------------------------
$near->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$near->reload;
sub loads
{
	return $mia->query('SELECT loads FROM tenancy.stats');
}
sub is_waiting
{
	return $near->poll_query_until('postgres', q(SELECT wait_event = 'RecoveryConflictSnapshot' FROM pg_stat_activity WHERE backend_type = 'startup'));
}
$holder->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM junk');
$primary->safe_psql('postgres', 'SET synchronous_commit = local; DELETE FROM junk WHERE n > 500; VACUUM junk');
ok(is_waiting(), 'replay waits for a snapshot');
revoke($remove, 'SET LOCAL synchronous_commit = local');
my $before = loads();
is($mia->query($hot), '1,2', 'what is behind it has not happened');
cmp_ok(loads(), '>', $before, 'nothing is remembered meanwhile');
$holder->query('COMMIT');
$primary->wait_for_catchup($near, 'replay');
both_see('1', 'it has, once replay has gone on');
$before = loads();
is($mia->query($hot), '1', 'and again');
is(loads(), $before, 'and is remembered');
grant_again();

# The rows of tenancy's own tables that an old snapshot needs are vacuumed away.
$mia->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($mia->query($hot), '1,2', 'an old snapshot');
revoke($remove, 'SET LOCAL synchronous_commit = local');
$primary->safe_psql('postgres', 'SET synchronous_commit = local; VACUUM tenancy.project_memberships, events');
ok(is_waiting(), 'replay waits for it');
is($mia->query($hot), '1', 'it is revoked all the same');
$mia->query('COMMIT');
both_see('1', 'vacuumed');
grant_again();
$near->append_conf('postgresql.conf', 'max_standby_streaming_delay = 0');
$near->reload;
my $victim = reader($near, 'user');
$victim->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($victim->query($hot), '1,2', 'another old snapshot');
revoke($remove);
$primary->safe_psql('postgres', 'VACUUM tenancy.project_memberships, events');
$victim->{stderr} = '';
my $saw = eval { $victim->query($hot) } // '';
like($saw, qr/^1?$/, 'which replay does not wait for sees nothing that is gone');
eval { $victim->quit };
both_see('1', 'vacuumed again');
grant_again();

# ---------------------------------------------------------------------
# Savepoints, more than a snapshot can hold; prepared transactions; a flood
# ---------------------------------------------------------------------
my $writer = session($primary, 'postgres');
$primary->safe_psql('postgres', 'GRANT INSERT, SELECT ON junk TO regress_tap');
foreach my $end ('ROLLBACK TO gone', 'RELEASE kept')
{
	my $savepoint = $end =~ s/.* //r;
	$writer->query("BEGIN; DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); FOR i IN 1..100 LOOP BEGIN INSERT INTO junk VALUES (i); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$");
	$writer->query("SAVEPOINT $savepoint; $remove; UPDATE events SET n = -n WHERE n = 2");
	$writer->query($end);
	$primary->safe_psql('postgres', 'CREATE TABLE passing (); DROP TABLE passing');
	both_see('1,2', "$end: not committed");
	my $late = reader($near, 'user');
	is($late->query($hot), '1,2', "$end: for one who comes later, too");
	cmp_ok($late->query('SELECT snapshot_loads FROM tenancy.stats'), '>', 0, "$end: since a snapshot that does not hold them all is not relied on");
	$late->quit;
	$writer->query('COMMIT');
	both_see($savepoint eq 'gone' ? '1,2' : '1', "$end: committed");
}
grant_again();
foreach my $end ('ROLLBACK', 'COMMIT')
{
	$writer->query('BEGIN');
	$writer->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$; $remove; UPDATE events SET n = -n WHERE n = 2; PREPARE TRANSACTION 'p'");
	both_see('1,2', "$end PREPARED: not yet");
	$primary->safe_psql('postgres', "$end PREPARED 'p'");
	both_see($end eq 'COMMIT' ? '1' : '1,2', "$end PREPARED");
}
grant_again();
is($mia->query($hot), '1,2', 'before a flood');
my $resets = $mia->query('SELECT resets FROM tenancy.stats');
$primary->safe_psql('postgres', "BEGIN; DO \$\$ BEGIN FOR i IN 1..800 LOOP EXECUTE 'CREATE TABLE flood' || i || ' (a text PRIMARY KEY)'; END LOOP; END \$\$;
	DELETE FROM tenancy.project_memberships WHERE user_id = id('mia'); UPDATE events SET n = -n WHERE n = 2; COMMIT");
both_see('1', 'more messages than the queue can hold');
cmp_ok($mia->query('SELECT resets FROM tenancy.stats'), '>', $resets, 'so that some were lost');
grant_again();

# ---------------------------------------------------------------------
# Late, and started anew
# ---------------------------------------------------------------------
# Wait until a standby has got everything, replayed or not.
sub await_receipt
{
	my ($node) = @_;
	my $lsn = $primary->lsn('insert');
	$node->poll_query_until('postgres', "SELECT pg_last_wal_receive_lsn() >= '$lsn'") or die;
	return;
}
$near->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$near->poll_query_until('postgres', q(SELECT pg_get_wal_replay_pause_state() = 'paused'));
revoke($remove, 'SET LOCAL synchronous_commit = local');
await_receipt($near);
is($mia->query($hot), '1,2', 'a paused standby is as of then, rows and rights');
$near->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($near, 'replay');
both_see('1', 'resumed');
grant_again();
$far->append_conf('postgresql.conf', "recovery_min_apply_delay = '1h'");
$far->reload;
revoke($remove);
is($mia->query($hot), '1', 'the one is not late');
await_receipt($far);
is($distant->query($hot), '1,2', 'the other is, rows and rights');
$far->append_conf('postgresql.conf', 'recovery_min_apply_delay = 0');
$far->reload;
both_see('1', 'not late any more');
grant_again();

$_->quit foreach $mia, $distant, $holder;
$near->stop('immediate');
revoke($remove, 'SET LOCAL synchronous_commit = local');
$far->restart;
$distant = reader($far, 'user');
is($distant->query($hot), '1,2', 'without the one that feeds it, a standby knows what it knew');
$near->start;
$primary->wait_for_catchup($near, 'replay');
$mia = reader($near, 'user');
both_see('1', 'after a crash of the one and a restart of the other');
grant_again();

# ---------------------------------------------------------------------
# Everybody at full speed
# ---------------------------------------------------------------------
# A row and the right to it change together, and the row is even while there is none.
prepare_load($primary);
await_second($primary, $near, $far);
my $load = start_load($primary);
my $script = $near->basedir . '/reader.sql';
append_to_file($script, <<'SQL');
\if :signed = 0
SELECT tenancy.authenticate(secret('reader' || :client_id), true);
\set signed 1
\endif
SELECT 1 / (n % 2) FROM events WHERE project_id = id('load' || :client_id);
SQL
my @runs = map {
	my $output = '';
	[ IPC::Run::start([ 'pgbench', '-n', '-T', $ENV{SECONDS} || 10, '-c', 4, '-M', 'prepared', '-D', 'signed=0', '-U', 'regress_tap',
		'-h', $_->host, '-p', $_->port, '-f', $script, 'postgres' ], '&>', \$output), \$output ]
} $near, $far;
foreach my $run (@runs)
{
	ok($run->[0]->finish, 'readers at full speed see no row without the right to it') or diag(${ $run->[1] });
	like(${ $run->[1] }, qr/transactions actually processed: \d{3}/, 'and see much');
}
$load->{run}->signal('TERM');
$load->{run}->finish;
await_second($primary, $near, $far);

# ---------------------------------------------------------------------
# The first standby is promoted, under its clients
# ---------------------------------------------------------------------
my @kinds = qw(user transaction snapshot session bound);
my %readers = map { my $name = $_; ($name => { map { $_ => reader($standby{$name}, $_) } @kinds }) } qw(near far);
$readers{$_}{snapshot}->query("BEGIN ISOLATION LEVEL REPEATABLE READ; $hot") foreach qw(near far);
my $token = session($near, 'postgres');
$token->query("DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('token'), true); END \$\$");

sub all_see
{
	my ($name, $expected, $what) = @_;
	is(join(' ', map { "$_:" . $readers{$name}{$_}->query($hot) } @kinds), join(' ', map { "$_:" . (ref $expected ? $expected->{$_} // $expected->{all} : $expected) } @kinds), "$name: $what");
	return;
}
all_see($_, '1,2', 'before') foreach qw(near far);
$writer->query('BEGIN');
$writer->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$; $remove; UPDATE events SET n = -n WHERE n = 2; PREPARE TRANSACTION 'p'");
await_second($primary, $near, $far);
$writer->quit;
$primary->stop('immediate');
$near->promote;
all_see('near', '1,2', 'promoted, the same sessions');
all_see('far', '1,2', 'promoted, behind it');
is($readers{near}{session}->query("SELECT tenancy.current_user_id() = id('mia'), count(*) FROM tenancy.my_sessions"), 't|1', 'a session is still seen');

# A transaction that began on a standby stays what it was.
$readers{near}{transaction}->{stderr} = '';
$readers{near}{transaction}->query("INSERT INTO events VALUES (id('open'), 4)");
like($readers{near}{transaction}->{stderr}, qr/cannot execute INSERT in a read-only transaction/, 'a transaction from before still cannot write');
$readers{near}{transaction}->query('ROLLBACK; BEGIN');
$readers{near}{$_}->query("INSERT INTO events VALUES (id('open'), 4)") foreach qw(user transaction session);
$token->query('INSERT INTO events (n) VALUES (5)');
$readers{near}{transaction}->query('COMMIT; BEGIN');
is(answer($near, 'postgres', 'alice', 'SELECT count(*) FROM events WHERE n IN (4, 5)'), '4', 'the next ones can, and a token');
is(answer($near, 'postgres', 'alice', 'DELETE FROM events WHERE n IN (4, 5)'), '', 'rows go');

# What was prepared on the old primary is committed on the new one.
$near->safe_psql('postgres', "COMMIT PREPARED 'p'");
all_see('near', { all => '1' }, 'COMMIT PREPARED takes it away');
is(answer($near, 'postgres', 'alice', "SELECT tenancy.rename_project(id('open'), 'renamed')"), '', 'commands work');
$near->wait_for_catchup($far, 'replay');
all_see('far', { all => '1' }, 'and behind it');
$readers{$_}{snapshot}->query('COMMIT') foreach qw(near far);

# The second standby hears the new primary, and is waited for if it is told so.
$near->append_conf('postgresql.conf', "synchronous_standby_names = 'far'\nsynchronous_commit = remote_apply");
$near->reload;
ok($near->poll_query_until('postgres', q(SELECT sync_state = 'sync' FROM pg_stat_replication)), 'the second standby is synchronous now');
foreach my $change (
	[ 'alice', "SELECT tenancy.add_project_member(id('private'), id('mia'), 'member'); UPDATE events SET n = -n WHERE n = -2", { all => '1,2' }, 'a grant' ],
	[ 'alice', "SELECT tenancy.set_project_privacy(id('open'), true)", { all => '2' }, 'a project made private' ],
	[ 'alice', "SELECT tenancy.set_project_privacy(id('open'), false)", { all => '1,2' }, 'and open' ],
	[ 'dba', "SELECT tenancy.bind_role('regress_bi', id('eve'))", { all => '1,2', bound => '' }, 'a role bound to somebody else' ],
	[ 'dba', "SELECT tenancy.bind_role('regress_bi', id('mia'))", { all => '1,2' }, 'and back' ],
	[ 'dba', "SELECT tenancy.unbind_role('regress_bi')", { all => '1,2', bound => '' }, 'a binding removed' ],
	[ 'dba', "SELECT tenancy.revoke_sessions(id('mia'))", { all => '1,2', bound => '', session => '' }, 'a session ended' ],
	[ 'alice', "SELECT tenancy.remove_member(id('acme'), id('mia')); UPDATE events SET n = -n", { all => '' }, 'a member removed' ])
{
	my ($who, $sql, $expected, $what) = @$change;
	$who eq 'dba' ? $near->safe_psql('postgres', $sql) : answer($near, 'postgres', $who, $sql);
	all_see($_, $expected, $what) foreach qw(near far);
}
answer($near, 'postgres', 'alice', "SELECT tenancy.rotate_project_token(id('open'))");
is($token->query('SELECT tenancy.current_project_id() IS NULL'), 't', 'a regenerated token');
foreach my $node ($near, $far)
{
	is($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', $node->name . ': check_integrity() and verify_audit() find nothing');
}
$_->quit foreach $token, $mia, $distant, map { values %$_ } values %readers;
done_testing();
