-- Invites: who may invite, what a token opens, and in which order it is checked.
\set test invites
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- behaviour 28: any Member can invite; the newcomer is a Member, and owes it to
-- the inviter; attack 147: an invite names no level, so none can be too high
SELECT act('mia');
SELECT token, token ~ '^tni_[0-9a-f]{72}$' AS well_formed, expires_at - clock_timestamp() BETWEEN '71:59' AND '72:00' AS three_days
FROM tenancy.create_invite(id('acme'), 'eve@regress.example') \gset
\echo :well_formed :three_days
SELECT act('eve');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT called(user_id), email, name, level, called(invited_by) FROM tenancy.members WHERE user_id = id('eve');
-- behaviours 43 and 44: no new user, the switcher moves to the new organization,
-- and the profile is as it was; behaviour 47: to its first open project
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
SELECT sees();
RESET ROLE;
SELECT count(*) AS users FROM tenancy.users;
SET ROLE :app;

-- attack 150, behaviour 40: unknown, used, malformed, replaced and revoked tokens:
-- one and the same error; none of them tells whether an invite exists
CREATE TEMP TABLE bad (credential text);
INSERT INTO bad VALUES (NULL), (''), ('tni_'), ('tni_' || repeat('0', 72)), (repeat('x', 100000)), (:'token'),
	(:'token' || ' '), (upper(:'token')), (left(:'token', -1)), ('tns_' || substr(:'token', 5));
SELECT act('bob');
SELECT token AS replaced FROM tenancy.create_invite(id('rival'), 'dan@regress.example') \gset
SELECT token AS open FROM tenancy.create_invite(id('rival'), 'dan@regress.example') \gset
INSERT INTO bad VALUES (:'replaced'), (overlay(:'open' PLACING CASE substr(:'open', 40, 1) WHEN '0' THEN '1' ELSE '0' END FROM 40 FOR 1));
INSERT INTO bad SELECT token FROM tenancy.my_projects;
INSERT INTO bad SELECT tenancy.create_session(id('bob'));
SELECT tenancy.revoke_invite(invite_id), token AS revoked FROM tenancy.create_invite(id('rival'), 'fay@regress.example') \gset
INSERT INTO bad VALUES (:'revoked');
SELECT act('eve');
SELECT f.name, attempt(format(f.command, b.credential)) AS outcome, count(*)
FROM bad b, (VALUES ('accept', 'SELECT tenancy.accept_invite(%L)'), ('preview', 'SELECT tenancy.preview_invite(%L)'),
					('new user', 'SELECT tenancy.accept_invite_as_new_user(%L, ''New'')')) f (name, command)
GROUP BY 1, 2 ORDER BY 1;
-- behaviour 46: the second of two acceptances hears the same
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));

-- attack 145, behaviour 27, bad input: an address is required and must be one, in
-- ASCII, without spaces and newlines, and not too long
SELECT act('mia');
SELECT attempt(format('SELECT tenancy.create_invite(id(''acme''), %L)', email)) AS outcome, count(*)
FROM unnest(ARRAY[NULL, '', ' ', 'nobody', '@regress.example', 'a@', 'a@b@c', 'a b@regress.example', E'a\n@regress.example',
				  'a@b.example, c@b.example', 'Eve <eve@regress.example>', 'a@-b.example', 'a@b..example', 'a@b.example.', 'аlice@regress.example',
				  'ı@regress.example', 'İ@regress.example', 'ｅve@regress.example', '"a@b.example\nBcc: x@y.example"', E'a@b.example\r\nBcc: x@y.example',
				  repeat('a', 65) || '@b.example', repeat('a', 400), repeat('a', 400) || '@b.example', 'a@' || repeat('b.', 200) || 'example']) email
GROUP BY 1;
SELECT count(*) FROM tenancy.invites;

-- behaviour 34: addresses are stored in lower case, trimmed
SELECT tenancy.create_invite(id('acme'), ' Dan.O''Hara+X@Regress.EXAMPLE ') IS NOT NULL;
SELECT email, called(invited_by) FROM tenancy.pending_invites;
-- behaviour 33: a new invite replaces the open one for the same organization and
-- address, in any letter case
SELECT id AS old FROM tenancy.pending_invites \gset
SELECT act('adam');
SELECT tenancy.create_invite(id('acme'), 'DAN.o''hara+x@regress.example') IS NOT NULL;
SELECT id <> :'old' AS is_new, email, called(invited_by) FROM tenancy.pending_invites;
SELECT tenancy.revoke_invite(id) FROM tenancy.pending_invites;

-- behaviour 29: an address that belongs to a member, in any letter case, is
-- refused; so is the Owner's; that of any other user is not
SELECT attempt($$SELECT tenancy.create_invite(id('acme'), 'mia@regress.example')$$);
SELECT attempt($$SELECT tenancy.create_invite(id('acme'), 'MIA@Regress.Example')$$);
SELECT attempt($$SELECT tenancy.create_invite(id('acme'), 'alice@regress.example')$$);
SELECT attempt($$SELECT tenancy.create_invite(id('acme'), 'adam@regress.example')$$);
-- attack 150: registered elsewhere or not at all: no difference
SELECT trial($$SELECT tenancy.create_invite(id('acme'), 'bob@regress.example')$$),
	trial($$SELECT tenancy.create_invite(id('acme'), 'unheard.of@regress.example')$$);

-- behaviour 30: inviting into a foreign organization: it does not exist; nothing
-- is created, neither single nor in bulk
SELECT alike('SELECT tenancy.create_invite(%1$L, ''x@regress.example'')', 'rival', 'fake', 'null', 'open');
SELECT alike('SELECT tenancy.create_invites(%1$L, ''{x@regress.example,y@regress.example}'')', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.create_invites(%1$L, ''{broken}'')', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.create_invites(%1$L, NULL)', 'rival', 'fake', 'null');

-- behaviour 31: bulk is atomic: one bad row means no invite;
-- behaviour 32: bulk has a limit, and one over it means none
SELECT attempt($$SELECT tenancy.create_invites(id('acme'), '{x@regress.example,broken,y@regress.example}')$$);
SELECT attempt($$SELECT tenancy.create_invites(id('acme'), '{x@regress.example,mia@regress.example}')$$);
SELECT attempt($$SELECT tenancy.create_invites(id('acme'), '{x@regress.example,NULL}')$$);
SELECT attempt($$SELECT tenancy.create_invites(id('acme'), NULL)$$);
SELECT attempt($$SELECT tenancy.create_invites(id('acme'), (SELECT array_agg('x' || n || '@regress.example') FROM generate_series(1, 101) n))$$);
SELECT count(*) FROM tenancy.pending_invites;
SELECT trial($$SELECT tenancy.create_invites(id('acme'), (SELECT array_agg('x' || n || '@regress.example') FROM generate_series(1, 100) n))$$);
SELECT trial($$SELECT tenancy.create_invites(id('acme'), '{}')$$);
SELECT email, token ~ '^tni_' AS token, expires_at > clock_timestamp() AS fresh
FROM tenancy.create_invites(id('acme'), '{b@regress.example,a@regress.example,B@regress.example}');
SELECT email FROM tenancy.pending_invites ORDER BY 1;

-- behaviour 36: deleting an invite: the inviter, an Administrator, the Owner; to
-- everybody else it does not exist
SELECT act('mia');
SELECT remember('hers', invite_id) FROM tenancy.create_invite(id('acme'), 'hers@regress.example');
SELECT act('adam');
SELECT remember('his', id) FROM tenancy.pending_invites WHERE email = 'a@regress.example';
SELECT act('bob');
SELECT remember('bobs', id) FROM tenancy.pending_invites WHERE email = 'dan@regress.example';
SELECT act('max');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'hers', 'his', 'bobs', 'fake', 'null');
SELECT act('mia');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'hers', 'his', 'bobs', 'fake', 'null');
SELECT act('adam');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'hers', 'his', 'bobs', 'fake', 'null');
SELECT act('alice');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'hers', 'his', 'bobs', 'fake', 'null');
-- ... who no longer is a member revokes nothing, even where their invite was left,
SELECT act('max');
SELECT remember('left', invite_id) FROM tenancy.create_invite(id('acme'), 'left@regress.example');
RESET ROLE;
BEGIN;
DELETE FROM tenancy.memberships WHERE user_id = id('max');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'left', 'fake');
ROLLBACK;
SET ROLE :app;
SELECT tenancy.revoke_invite(id('left'));
-- ... and whoever leaves takes theirs along
SELECT act('mia');
SELECT tenancy.leave_organization(id('acme'));
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'hers', 'fake');
SELECT act('alice');
SELECT count(*) FROM tenancy.pending_invites WHERE id = id('hers');

-- attack 144, behaviours 37 and 38: on accepting, checks come in this order: wrong
-- account (with the invited address masked), expired, already a member
SELECT act('bob');
SELECT invite_id, token FROM tenancy.create_invite(id('rival'), 'alice@regress.example') \gset
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('rival'), id('alice'));
UPDATE tenancy.invites SET expires_at = clock_timestamp() - interval '1 microsecond' WHERE id = :'invite_id';
SET ROLE :app;
SELECT act('max');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT act('alice');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT attempt(format('SELECT tenancy.preview_invite(%L)', :'token'));
RESET ROLE;
UPDATE tenancy.invites SET expires_at = clock_timestamp() + interval '1 hour' WHERE id = :'invite_id';
SET ROLE :app;
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, ''Alice II'')', :'token'));
-- attack 150: who holds the token learns whether there is an account by making one,
-- and not by a call that fails anyway: with no name, with a senseless one, too late
SELECT act('bob');
SELECT invite_id AS unregistered_id, token AS unregistered FROM tenancy.create_invite(id('rival'), 'unregistered@regress.example') \gset
SELECT registered.outcome = unregistered.outcome AS alike, registered.outcome
FROM (VALUES ('NULL'), (''''''), ('repeat(''x'', 201)'), ('E''a\nb''')) n (name),
	LATERAL trial(format('SELECT tenancy.accept_invite_as_new_user(%L, %s)', :'token', name)) registered (outcome),
	LATERAL trial(format('SELECT tenancy.accept_invite_as_new_user(%L, %s)', :'unregistered', name)) unregistered (outcome);
BEGIN;
RESET ROLE;
UPDATE tenancy.invites SET expires_at = clock_timestamp() - interval '1 microsecond' WHERE id IN (:'invite_id', :'unregistered_id');
SET ROLE :app;
SELECT name, trial(format('SELECT tenancy.accept_invite_as_new_user(%L, %L)', token, name))
FROM (VALUES (:'token'), (:'unregistered')) t (token), (VALUES ('Name'), ('')) n (name) ORDER BY 1;
ROLLBACK;
SELECT act('bob');
SELECT tenancy.revoke_invite(:'unregistered_id');
SELECT tenancy.remove_member(id('rival'), id('alice'));
-- masks leave nothing to guess by
SELECT email, masked_email FROM unnest(ARRAY['a@b.example', 'ab@b.example', 'abc@b.example', 'member1@b.example']) email,
	LATERAL tenancy.create_invite(id('rival'), email) i, LATERAL tenancy.preview_invite(i.token);

-- attack 141, behaviour 39: valid up to and including 72 hours, not a microsecond
-- longer, by the clock and not by the start of the transaction; and 72 hours they
-- are whatever the time zone does meanwhile
SELECT expires_at - created_at FROM tenancy.invites WHERE email = 'a@b.example';
RESET ROLE;
SET TimeZone = 'Europe/Berlin';
SELECT extract(epoch FROM tenancy._invite_lifetime()) AS seconds;
SELECT '2026-10-24 12:00'::timestamptz + tenancy._invite_lifetime() AS over_a_clock_change;
RESET TimeZone;
-- ... the setting can be shorter or longer, and not senseless
CREATE FUNCTION lasts(lifetime text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	outcome text;
BEGIN
	PERFORM set_config('tenancy.invite_lifetime', lifetime, true);
	outcome := attempt($q$SELECT tenancy.create_invite(id('rival'), 'ab@b.example')$q$);
	RETURN concat_ws(' ', outcome, (SELECT i.expires_at - i.created_at FROM tenancy.invites i WHERE i.email = 'ab@b.example'));
END
$$;
DELETE FROM tenancy.invites WHERE email = 'ab@b.example';
SELECT lifetime, lasts(lifetime) FROM unnest('{garbage,"",0,-1 day,1 month -31 days,1001 years,100000000000 years,1 microsecond,1 month}'::text[]) lifetime;
SET ROLE :app;
SELECT invite_id, token FROM tenancy.create_invite(id('rival'), 'max@regress.example') \gset
SELECT act('max');
BEGIN;
SELECT trial(format('SELECT tenancy.accept_invite(%L)', :'token'));
RESET ROLE;
UPDATE tenancy.invites SET expires_at = clock_timestamp() WHERE id = :'invite_id'
RETURNING now() < expires_at AS begun_before;
SET ROLE :app;
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT attempt(format('SELECT tenancy.preview_invite(%L)', :'token'));
COMMIT;

-- behaviour 42: a refused acceptance creates no user, no organization, no
-- project, no membership, and leaves the invite as it was
SELECT tenancy.sign_out();
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'open'));
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, %L)', :'open', repeat('x', 300)));
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, NULL)', :'open'));
RESET ROLE;
UPDATE tenancy.invites SET expires_at = clock_timestamp() WHERE email = 'dan@regress.example' RETURNING called(organization_id);
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, ''Late'')', :'open'));
UPDATE tenancy.invites SET expires_at = clock_timestamp() + interval '1 hour' WHERE email = 'dan@regress.example';
SET ROLE :app;
RESET ROLE;
SELECT (SELECT count(*) FROM tenancy.users), (SELECT count(*) FROM tenancy.organizations), (SELECT count(*) FROM tenancy.projects),
	(SELECT count(*) FROM tenancy.memberships WHERE organization_id = id('rival'));
SET ROLE :client;

-- behaviour 41: a preview gives the organization's name and the masked address,
-- to anybody who holds the token, and accepts nothing
SELECT * FROM tenancy.preview_invite(:'open');
SELECT * FROM tenancy.preview_invite(:'open');
-- ... a project token, which runs no commands, makes no account either; what it was
-- before it was regenerated is nobody
RESET ROLE;
SELECT token AS project_token FROM tenancy.project_tokens WHERE project_id = id('foreign') AND revoked_at IS NULL \gset
SET ROLE :client;
SELECT tenancy.authenticate(:'project_token', true);
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, ''Dan'')', :'open'));
SELECT attempt('SELECT tenancy.accept_invite_as_new_user(''unknown'', ''Dan'')');
BEGIN;
RESET ROLE;
UPDATE tenancy.project_tokens SET revoked_at = clock_timestamp(), token = NULL WHERE token = :'project_token';
SET ROLE :client;
SELECT trial(format('SELECT tenancy.accept_invite_as_new_user(%L, ''Dan'')', :'open'));
ROLLBACK;
SELECT tenancy.sign_out();
-- the new user gets what the token proves: that address, one membership, no session
SELECT remember('dan', tenancy.accept_invite_as_new_user(:'open', ' Dan '));
SELECT tenancy.current_user_id() IS NULL AS nobody;
SET ROLE :app;
SELECT act('dan');
SELECT called(organization_id), email, name, level, called(invited_by) FROM tenancy.members WHERE user_id = id('dan');
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;

-- behaviour 45: accepting closes that organization's invites for the address;
-- invites of other organizations survive
SELECT act('bob');
SELECT token AS from_rival FROM tenancy.create_invite(id('rival'), 'mia@regress.example') \gset
SELECT act('alice');
SELECT token AS from_acme FROM tenancy.create_invite(id('acme'), 'mia@regress.example') \gset
SELECT act('mia');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'from_acme'));
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'from_acme'));
SELECT organization_name FROM tenancy.preview_invite(:'from_rival');
-- behaviour 47: with all projects private the switcher names none
SELECT act('bob');
SELECT tenancy.set_project_privacy(id('foreign'), true);
SELECT act('mia');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'from_rival'));
SELECT called(current_organization_id), called(current_project_id) IS NULL AS no_project FROM tenancy.user_preferences;
SELECT sees();

-- behaviour 48: the account of the inviter, mia, may be deleted: the invite stays
-- usable, by nobody in particular
SELECT token FROM tenancy.create_invite(id('rival'), 'max@regress.example') \gset
SELECT tenancy.delete_user(id('mia'));
SELECT act('max');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT called(user_id), level, invited_by FROM tenancy.members WHERE user_id = id('max') AND organization_id = id('rival');

-- attack 148: who was shown the door cannot come back by an invite that was left
-- open, nor by the one they came by
SELECT act('alice');
SELECT token FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('bob'));
SET ROLE :app;
SELECT tenancy.remove_member(id('acme'), id('bob'));
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT act('alice');
SELECT token FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT act('alice');
SELECT tenancy.remove_member(id('acme'), id('bob'));
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
-- attack 146: an inviter who was shown the door leaves no invite behind
SELECT act('adam');
SELECT token FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
SELECT act('alice');
SELECT tenancy.remove_member(id('acme'), id('adam'));
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
-- attack 143: one open invite for an address at most, so that no second one with
-- another author or end is left when the first was accepted
SELECT act('alice');
SELECT token AS first FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
SELECT token AS second FROM tenancy.create_invite(id('acme'), 'Bob@Regress.Example') \gset
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'second')), attempt(format('SELECT tenancy.accept_invite(%L)', :'first'));
SELECT act('alice');
SELECT tenancy.remove_member(id('acme'), id('bob'));

-- attack 139: an organization that is gone takes its invites along, without a
-- word about tables
SELECT act('alice');
SELECT token FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
SELECT tenancy.delete_organization(id('acme'));
SELECT act('bob');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'token'));
SELECT attempt(format('SELECT tenancy.preview_invite(%L)', :'token'));

-- behaviours 31 and 35: mail is enqueued only where mail is enabled, and is
-- answered to the inviter
RESET ROLE;
SELECT count(*) FROM tenancy.notifications;
SET tenancy.email_enabled = on;
SET ROLE :app;
SELECT attempt($$SELECT tenancy.create_invites(id('rival'), '{x@regress.example,broken}')$$);
-- whoever holds the token was sent it: the inviter does not get it
SELECT count(*), count(token) FROM tenancy.create_invites(id('rival'), '{x@regress.example,y@regress.example}');
SELECT count(tenancy.revoke_invite(i.id)) FROM tenancy.pending_invites i WHERE i.email ~ '^[xy]@';
SELECT mailed(invite_id) AS token FROM tenancy.create_invite(id('rival'), 'alice@regress.example') \gset
RESET ROLE;
SELECT kind, called(organization_id), recipient, payload ->> 'reply_to' FROM tenancy.notifications ORDER BY 1, 3;
-- ... and once it is accepted it is not sent any more
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.accept_invite(:'token');
RESET ROLE;
SELECT kind, called(organization_id), recipient, payload ->> 'reply_to' FROM tenancy.notifications ORDER BY 1, 3;
-- behaviour 49: the first member: no mail.  The next: mail to all existing members,
-- Administrators and the Owner among them, not to the newcomer, and not to the
-- members of other organizations
DELETE FROM tenancy.notifications;
SET ROLE :app;
SELECT act('eve');
SELECT remember('fresh', tenancy.create_organization('Fresh'));
SELECT mailed(invite_id) AS dans FROM tenancy.create_invite(id('fresh'), 'dan@regress.example') \gset
SELECT mailed(invite_id) AS maxs FROM tenancy.create_invite(id('fresh'), 'max@regress.example') \gset
SELECT mailed(invite_id) AS zoes FROM tenancy.create_invite(id('fresh'), 'zoe@regress.example') \gset
SELECT mailed(invite_id) AS bobs FROM tenancy.create_invite(id('fresh'), 'bob@regress.example') \gset
SELECT mailed(invite_id) AS alices FROM tenancy.create_invite(id('fresh'), 'alice@regress.example') \gset
RESET ROLE;
CREATE FUNCTION mails() RETURNS SETOF text LANGUAGE sql
AS $$
	WITH taken AS (DELETE FROM tenancy.notifications RETURNING *)
	SELECT concat_ws(' ', t.recipient, t.payload ->> 'member_email', t.payload ->> 'organization_name')
	FROM taken t WHERE t.kind = 'member_joined' ORDER BY 1
$$;
SELECT mails();
SET ROLE :app;
SELECT act('dan');
SELECT tenancy.accept_invite(:'dans');
RESET ROLE;
SELECT mails();
SELECT act('eve');
SELECT tenancy.set_member_level(id('fresh'), id('dan'), 'administrator');
SET ROLE :app;
SELECT act('max');
SELECT tenancy.accept_invite(:'maxs');
RESET ROLE;
SELECT mails();
-- ... also when it is a new user who comes; a deactivated member gets none
SET ROLE :app;
SELECT tenancy.set_user_active(id('dan'), false);
SELECT tenancy.accept_invite_as_new_user(:'zoes', 'Zoe') IS NOT NULL;
RESET ROLE;
SELECT mails();
-- ... nor does anybody who comes in vain
SET ROLE :app;
SELECT act('dan');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'bobs'));
SELECT act('max');
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'bobs'));
RESET ROLE;
SELECT mails();
-- ... with the switch off: none
SET ROLE :app;
SELECT act('eve');
SELECT tenancy.set_join_notifications(id('fresh'), false);
SELECT act('bob');
SELECT tenancy.accept_invite(:'bobs');
RESET ROLE;
SELECT mails();
SET ROLE :app;
SELECT act('eve');
SELECT tenancy.set_join_notifications(id('fresh'), true);
RESET ROLE;
-- ... and with mail off: none
RESET tenancy.email_enabled;
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.accept_invite(:'alices');
RESET ROLE;
SELECT mails();

\i :cleanup
