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
					 'error ' || n.last_error)
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
SELECT tenancy.create_invite(id('acme'), 'a@regress.example') IS NOT NULL;
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
-- What failed is due again later, and later each time; an error that repeats the
-- invite's secret does not keep it.
SELECT tenancy.fail_notification(mail('b'), '550 no such user');
SELECT outbox();
RESET ROLE;
DROP OWNED BY :mailer;
DROP ROLE :mailer;
\i :cleanup
