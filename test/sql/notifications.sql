-- The outbox: what a mailer takes out of it, in which states a mail can be, and
-- what ends them.
\set test notifications
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
\set mailer regress_ :test _mailer
RESET ROLE;
CREATE ROLE :mailer;
SELECT tenancy.grant_mailer(:'mailer');
SET tenancy.email_enabled = on;
-- What the outbox holds; random and secret values show only that they are there.
CREATE FUNCTION outbox() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp
AS $$
	SELECT concat_ws(' ', n.recipient, n.kind, 'tries ' || n.attempts,
					 CASE WHEN n.sent_at IS NOT NULL THEN 'sent' WHEN n.dead_at IS NOT NULL THEN 'dead'
						  WHEN n.claimed_at IS NOT NULL THEN 'claimed' ELSE 'waiting' END,
					 CASE WHEN n.sent_at IS NULL AND n.dead_at IS NULL AND n.due_at > clock_timestamp()
						  THEN 'due in ' || date_trunc('minute', n.due_at - clock_timestamp() + interval '30 s') END,
					 'says ' || (SELECT string_agg(k, ',' ORDER BY k) FROM jsonb_object_keys(n.payload) k),
					 'error ' || left(n.last_error, 40))
	FROM tenancy.notifications n ORDER BY n.created_at
$$;
-- Time passes for what is in it.
CREATE FUNCTION later(passed interval) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp
AS $$
	UPDATE tenancy.notifications SET due_at = due_at - passed
$$;
CREATE FUNCTION mail(recipient text) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp
AS $$
	SELECT n.id FROM tenancy.notifications n WHERE n.recipient = mail.recipient || '@regress.example' AND n.sent_at IS NULL
$$;

-- A mailer claims what is due, in the order in which it was put in.
SET ROLE :app;
SELECT act('mia');
SELECT invite_id IS NOT NULL FROM tenancy.create_invite(id('acme'), 'a@regress.example');
SELECT count(*) FROM tenancy.create_invites(id('acme'), '{c@regress.example,b@regress.example}');
SET ROLE :mailer;
SELECT kind, recipient, attempts, payload ->> 'organization_name', payload ->> 'inviter_name', payload ->> 'reply_to',
	payload ->> 'token' ~ '^tni_', (payload ->> 'expires_at')::timestamptz > clock_timestamp(), (payload ->> 'invite_id')::uuid IS NOT NULL
FROM tenancy.claim_notifications(2);
SELECT outbox();
-- ... and nobody else gets the same
SELECT recipient FROM tenancy.claim_notifications();
SELECT recipient FROM tenancy.claim_notifications();
-- What was sent keeps nothing of what it said.
SELECT tenancy.complete_notification(mail('a'));
SELECT outbox();
-- What failed is due again later, and later each time; an error is kept short, and
-- one that repeats the invite's secret does not keep it.
SELECT tenancy.fail_notification(mail('b'), '550 no such user');
SELECT outbox();
SELECT recipient FROM tenancy.claim_notifications();
SELECT later('59 s');
SELECT recipient FROM tenancy.claim_notifications();
SELECT later('1 s');
SELECT tenancy.fail_notification(id, 'refused: ' || (payload ->> 'token') || repeat(' and so on', 1000)), attempts FROM tenancy.claim_notifications();
RESET ROLE;
SELECT length(last_error), left(last_error, 30), due_at - clock_timestamp() BETWEEN '4 min 59 s' AND '5 min' AS in_5_minutes
FROM tenancy.notifications WHERE attempts = 2;
CREATE FUNCTION fail_again(recipient text) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM later('13 hours');
	PERFORM tenancy.claim_notifications();
	PERFORM tenancy.fail_notification(mail(fail_again.recipient), NULL);
	RETURN (SELECT concat_ws(', ', 'attempt ' || n.attempts, CASE WHEN n.dead_at IS NULL
							 THEN 'due in ' || date_trunc('minute', n.due_at - clock_timestamp() + interval '30 s') ELSE 'dead' END, n.last_error)
			FROM tenancy.notifications n WHERE n.id = mail(fail_again.recipient));
END
$$;
-- ... (c was claimed and is not reported back: it is due again with it)
SELECT fail_again('b') FROM generate_series(3, 7) n;
-- After the last attempt it is dead, which nobody claims.
SELECT fail_again('b');
SELECT later('1 year');
SET ROLE :mailer;
-- ... c, whose mailer never came back, has its last attempt
SELECT recipient, attempts FROM tenancy.claim_notifications();
SELECT later('5 minutes');
SELECT recipient, attempts FROM tenancy.claim_notifications();
-- A DBA sees what is dead, without its secret, and puts it in again.
RESET ROLE;
SELECT kind, called(organization_id), recipient, attempts, last_error, dead_at > created_at FROM tenancy.dead_notifications ORDER BY recipient;
SELECT attempt(format('SELECT tenancy.requeue_notification(%L)', mail('b')));
SELECT attempt(format('SELECT tenancy.requeue_notification(%L)', mail('b')));
SELECT attempt('SELECT tenancy.requeue_notification(gen_random_uuid())');
SELECT attempt(format('SELECT tenancy.requeue_notification(%L)', mail('c')));
SELECT outbox();
-- How many attempts there are is a setting.
SET tenancy.notification_attempts = 1;
SET ROLE :mailer;
SELECT recipient, attempts FROM tenancy.claim_notifications() ORDER BY 1;
SELECT tenancy.fail_notification(mail('b'), 'refused');
SELECT later('5 minutes');
SELECT recipient, attempts FROM tenancy.claim_notifications();
SELECT outbox();
RESET ROLE;
RESET tenancy.notification_attempts;
SELECT tenancy.requeue_notification(id) FROM tenancy.dead_notifications ORDER BY recipient DESC;

-- A claim that is not reported back lapses, and another mailer takes over.
SET tenancy.notification_timeout = '90s';
SELECT tenancy._setting('tenancy.notification_timeout'), tenancy._setting('tenancy.notification_attempts');
SET ROLE :mailer;
SELECT recipient, attempts FROM tenancy.claim_notifications(1);
SELECT later('89 s');
SELECT recipient, attempts FROM tenancy.claim_notifications(9);
SELECT later('1 s');
SELECT recipient, attempts FROM tenancy.claim_notifications(1);
-- ... the failure of the first is not the end of the second's: what left, left
SELECT tenancy.fail_notification(mail('c'), 'stalled');
SELECT outbox();
SELECT tenancy.complete_notification(mail('c'));
-- ... and the first report that it was sent is the one that counts
RESET ROLE;
SELECT remember('sent', id), remember('claimed', mail('b')) FROM tenancy.notifications WHERE recipient = 'c@regress.example';
SET ROLE :mailer;
SELECT alike('SELECT tenancy.complete_notification(%1$L)', 'sent', 'fake', 'null', 'acme');
SELECT alike('SELECT tenancy.fail_notification(%1$L, ''late'')', 'sent', 'fake', 'null', 'acme');
-- What nobody has claimed can be neither completed nor failed.
SET ROLE :app;
SELECT invite_id IS NOT NULL FROM tenancy.create_invite(id('acme'), 'd@regress.example');
SET ROLE :mailer;
SELECT attempt(format('SELECT tenancy.complete_notification(%L)', mail('d')));
SELECT attempt(format('SELECT tenancy.fail_notification(%L, ''no'')', mail('d')));
SELECT tenancy.fail_notification(mail('b'), 'no');
SELECT attempt(format('SELECT tenancy.fail_notification(%L, ''no'')', mail('b')));
-- What was claimed and is not tried can be given back: it is due at once, and has
-- all of its attempts.
SELECT attempt(format('SELECT tenancy.release_notification(%L)', mail('d')));
SELECT recipient, attempts FROM tenancy.claim_notifications();
SELECT tenancy.release_notification(mail('d'));
SELECT attempt(format('SELECT tenancy.release_notification(%L)', mail('d')));
SELECT outbox();
-- bad input
SELECT attempt('SELECT tenancy.claim_notifications(NULL)');
SELECT attempt('SELECT tenancy.claim_notifications(0)');
SELECT attempt('SELECT tenancy.claim_notifications(-1)');
SELECT recipient FROM tenancy.claim_notifications(2147483647);
RESET ROLE;
-- 17 and later name the unit once more
SELECT replace(attempt('SET tenancy.notification_timeout = 0'), ' s', '');
SELECT attempt('SET tenancy.notification_attempts = 0');
SELECT attempt('SET tenancy.notification_attempts = many');
RESET tenancy.notification_timeout;

-- An invite that was revoked, replaced, accepted or has expired before its mail
-- was sent is not mailed, whether a mailer has claimed it or not; that of the
-- others is.
DELETE FROM tenancy.notifications;
SET ROLE :app;
SELECT act('alice');
SELECT count(*) FROM tenancy.create_invites(id('acme'),
	'{revoked@regress.example,replaced@regress.example,expired@regress.example,claimed@regress.example,open@regress.example}');
SELECT mailed(invite_id) AS token FROM tenancy.create_invite(id('acme'), 'eve@regress.example') \gset
SELECT tenancy.revoke_invite(id) FROM tenancy.pending_invites WHERE email = 'revoked@regress.example';
SELECT mailed(invite_id) AS newer FROM tenancy.create_invite(id('acme'), 'replaced@regress.example') \gset
SELECT tenancy.set_join_notifications(id('acme'), false);
SELECT act('eve');
SELECT tenancy.accept_invite(:'token');
RESET ROLE;
UPDATE tenancy.invites SET expires_at = clock_timestamp() WHERE email = 'expired@regress.example';
SELECT outbox();
SET ROLE :mailer;
SELECT recipient FROM tenancy.claim_notifications(2);
SET ROLE :app;
SELECT act('alice');
SELECT remember('revoked', mail('claimed'));
SELECT tenancy.revoke_invite(id) FROM tenancy.pending_invites WHERE email = 'claimed@regress.example';
SET ROLE :mailer;
SELECT attempt(format('SELECT tenancy.complete_notification(%L)', id('revoked')));
SELECT recipient, payload ->> 'token' = :'newer' AS newer FROM tenancy.claim_notifications();
SELECT outbox();
-- What was sent stays on the books when its invite goes.
SELECT tenancy.complete_notification(mail('open'));
SET ROLE :app;
SELECT tenancy.revoke_invite(id) FROM tenancy.pending_invites WHERE email = 'open@regress.example';
SELECT outbox();

-- News of an organization is for who is in it when it is sent: not for those who
-- were removed or deactivated since; nor does it tell of a newcomer who has gone
-- again.
RESET ROLE;
DELETE FROM tenancy.notifications;
SET ROLE :app;
SELECT tenancy.set_join_notifications(id('acme'), true);
SELECT tenancy.remove_member(id('acme'), id('eve'));
SELECT mailed(invite_id) AS token FROM tenancy.create_invite(id('acme'), 'eve@regress.example') \gset
SELECT act('eve');
SELECT tenancy.accept_invite(:'token');
SELECT outbox() ORDER BY 1;
SELECT act('alice');
SELECT tenancy.remove_member(id('acme'), id('max'));
SELECT tenancy.set_user_active(id('mia'), false);
SET ROLE :mailer;
SELECT recipient, payload FROM tenancy.claim_notifications(10) ORDER BY 1;
SELECT outbox() ORDER BY 1;
SET ROLE :app;
SELECT act('eve');
SELECT tenancy.leave_organization(id('acme'));
SET ROLE :mailer;
SELECT later('1 hour');
SELECT recipient FROM tenancy.claim_notifications(10);
SELECT outbox();
-- An organization takes its mail along.
SET ROLE :app;
SELECT act('bob');
SELECT invite_id IS NOT NULL FROM tenancy.create_invite(id('rival'), 'eve@regress.example');
SELECT outbox();
SELECT tenancy.delete_organization(id('rival'));
SELECT outbox();

-- A mailer reads nothing but what it claims, and does nothing else; nobody else
-- does that, and what a DBA does a mailer does not.
SELECT tenancy.sign_out();
SET ROLE :mailer;
SELECT attempt(command) FROM unnest(ARRAY['SELECT FROM tenancy.notifications', 'SELECT FROM tenancy.dead_notifications',
	'DELETE FROM tenancy.notifications', 'SELECT tenancy.requeue_notification(NULL)', 'SELECT tenancy.create_session(NULL)',
	'SELECT tenancy.act_as(NULL)', 'SELECT tenancy._enqueue_invite(NULL, NULL)']) command;
SELECT (SELECT count(*) FROM tenancy.users), (SELECT count(*) FROM tenancy.members), (SELECT count(id) FROM tenancy.invites),
	(SELECT count(id) FROM tenancy.organizations), (SELECT count(*) FROM tenancy.projects);
SET ROLE :app;
SELECT attempt(command) FROM unnest(ARRAY['SELECT FROM tenancy.notifications', 'SELECT FROM tenancy.dead_notifications',
	'SELECT tenancy.claim_notifications()', 'SELECT tenancy.complete_notification(NULL)', 'SELECT tenancy.fail_notification(NULL, NULL)',
	'SELECT tenancy.release_notification(NULL)',
	'SELECT tenancy.requeue_notification(NULL)', format('SELECT tenancy.grant_mailer(%L)', :'client'),
	format('SELECT tenancy.revoke_mailer(%L)', :'mailer')]) command;
RESET ROLE;
SELECT attempt('SELECT tenancy.grant_mailer(NULL)');
-- ... nor a mailer that is one no more; which nobody else was
SELECT attempt(format('SELECT tenancy.revoke_mailer(%L)', role)) FROM unnest(ARRAY[:'mailer', :'mailer', :'client', NULL]) role;
SET ROLE :mailer;
SELECT attempt(command) FROM unnest(ARRAY['SELECT tenancy.claim_notifications()', 'SELECT tenancy.complete_notification(NULL)',
	'SELECT tenancy.fail_notification(NULL, NULL)', 'SELECT tenancy.release_notification(NULL)']) command;
RESET ROLE;
SELECT a.grantee::regrole FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee = :'mailer'::regrole;
SELECT tenancy.grant_mailer(:'mailer');
-- ... a role that the view was granted to sees what is dead, and no more of it
GRANT SELECT ON tenancy.dead_notifications TO :client;
INSERT INTO tenancy.notifications (kind, recipient, dead_at) VALUES ('member_joined', 'dead@regress.example', clock_timestamp());
INSERT INTO tenancy.notifications (kind, recipient) VALUES ('member_joined', 'waiting@regress.example');
SET ROLE :client;
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$;
SELECT recipient FROM tenancy.dead_notifications WHERE pg_temp.leak(recipient);

-- With mail off nothing is put in.
RESET ROLE;
DELETE FROM tenancy.notifications;
RESET tenancy.email_enabled;
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.create_invite(id('acme'), 'off@regress.example') IS NOT NULL;
SELECT outbox();

RESET ROLE;
DROP OWNED BY :mailer;
DROP ROLE :mailer;
\i :cleanup
