# The outbox under load: a join puts mail to 10,000 members in, with one statement,
# and four mailers side by side take it out, each mail once.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use Fixture;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# what the sessions see of each other is told for one level
$node->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$node->append_conf('postgresql.conf', 'tenancy.email_enabled = on');
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE regress_mailer LOGIN;
DO $$ BEGIN PERFORM tenancy.grant_mailer('regress_mailer'); END $$;
INSERT INTO tenancy.users (id, email, name)
	SELECT id('m' || n), 'm' || n || '@tap.example', 'Member ' || n FROM generate_series(1, 9997) n;
INSERT INTO tenancy.memberships (organization_id, user_id)
	SELECT id('acme'), id('m' || n) FROM generate_series(1, 9997) n;
INSERT INTO tenancy.users (id, email, name)
	SELECT id('new' || n), 'new' || n || '@tap.example', 'Newcomer ' || n FROM generate_series(1, 5) n;
BEGIN;
SELECT tenancy.act_as(id('alice'));
SELECT tenancy.create_invite(id('acme'), 'new' || n || '@tap.example') FROM generate_series(1, 5) n;
INSERT INTO secrets SELECT split_part(recipient, '@', 1), payload ->> 'token' FROM tenancy.notifications WHERE kind = 'invitation';
COMMIT;
ANALYZE;
SQL
is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.members"), '10000', 'an organization of 10,000');

# What it takes is noted, and no matter of the test.
my $client = session($node, 'postgres');
my @taken;
foreach my $n (1 .. 5)
{
	$node->safe_psql('postgres', 'DELETE FROM tenancy.notifications');
	$client->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('new$n'), true); END \$\$");
	my $begin = time;
	$client->query("SELECT tenancy.accept_invite(secret('new$n'))");
	push @taken, time - $begin;
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT recipient), bool_or(recipient = 'new$n\@tap.example') FROM tenancy.notifications WHERE kind = 'member_joined'"),
		(9999 + $n) . '|' . (9999 + $n) . '|f', "join $n puts in a mail to each but the newcomer");
}
note('seconds to join: ' . join(', ', map { sprintf '%.3f', $_ } @taken));
$client->quit;

# Four mailers; the books are kept beside the outbox.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE delivered (mailer integer, id uuid, recipient text);
GRANT SELECT, INSERT ON delivered TO PUBLIC;
CREATE PROCEDURE drain(mailer integer) LANGUAGE plpgsql AS $$
DECLARE
	batch uuid[];
	one uuid;
BEGIN
	LOOP
		WITH claimed AS (SELECT * FROM tenancy.claim_notifications(25)),
			sent AS (INSERT INTO delivered SELECT drain.mailer, c.id, c.recipient FROM claimed c RETURNING *)
		SELECT array_agg(s.id) INTO batch FROM sent s;
		COMMIT;
		EXIT WHEN batch IS NULL;
		FOREACH one IN ARRAY batch LOOP
			PERFORM tenancy.complete_notification(one);
			COMMIT;
		END LOOP;
	END LOOP;
END $$;
SQL
my $begin = time;
my @outputs = ('') x 4;
my @mailers = map {
	IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'regress_mailer', '-d', $node->connstr('postgres'), '-c', "CALL drain($_)" ],
		'>', \$outputs[$_], '2>&1')
} 0 .. 3;
$_->finish foreach @mailers;
note(sprintf 'seconds to drain: %.1f', time - $begin);
is(join('', @outputs), '', 'four mailers have drained the outbox');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), count(DISTINCT recipient) FROM delivered'),
	'10004|10004|10004', 'each mail was sent, and once');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT mailer) FROM delivered'), '4', 'by all of them');
is($node->safe_psql('postgres', q(SELECT count(*) FROM tenancy.notifications WHERE sent_at IS NULL OR attempts <> 1 OR payload <> '{}')),
	'0', 'and the outbox knows');

# A mailer that died between claim and report: the others take over when the claim
# has lapsed, also after a restart of the server.
$node->safe_psql('postgres', q(UPDATE tenancy.notifications SET sent_at = NULL, due_at = created_at, attempts = 0, kind = 'test'; TRUNCATE delivered));
my $dead = $node->background_psql('postgres', extra_params => [ '-U', 'regress_mailer' ]);
is($dead->query('SELECT count(*) FROM tenancy.claim_notifications(100)'), '100', 'a mailer claims');
$dead->query('BEGIN');
is($dead->query('SELECT count(*) FROM tenancy.claim_notifications(50)'), '50', 'and claims');
$node->stop('immediate');
$dead->{run}->kill_kill;
$node->start;
$node->safe_psql('postgres', 'CALL drain(4)');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM delivered'), '9904|9904', 'what was not committed was not claimed');
$node->safe_psql('postgres', q(UPDATE tenancy.notifications SET due_at = due_at - interval '5 minutes' WHERE sent_at IS NULL; CALL drain(5)));
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM delivered'), '10004|10004', 'and what was is due again when the claim has lapsed');
is($node->safe_psql('postgres', 'SELECT attempts, count(*) FROM tenancy.notifications GROUP BY 1 ORDER BY 1'), "1|9904\n2|100", 'as a second attempt');

$node->stop;
done_testing();
