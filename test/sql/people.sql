-- A person's own data: the name, and the end of an account, deleted or forgotten.
\set test people
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- People change their own name, and nobody else's; what others see changes at once.
SELECT act('mia');
SELECT tenancy.update_my_name('  Mia the Second ');
SELECT act('max');
SELECT email, name FROM tenancy.members ORDER BY email;
-- bad input: names with control characters reach no mail
SELECT attempt(format('SELECT tenancy.update_my_name(%L)', name)), count(*)
FROM unnest(ARRAY[NULL, '', '   ', E'Max\nBcc: x@y.example', E'Max\r', E'Max\t', E'Max\x1b', E'Max\u0085', E'Max\u2028',
				  E'Max\u202egpj', E'\u2066Max', E'Ma\u200bx', E'\ufeff', repeat('x', 201), repeat('x', 1000000)]) name
GROUP BY 1;
-- ... what joins letters, or says in which direction a letter goes, belongs to many
SELECT trial($$SELECT tenancy.update_my_name(E'\u0645\u06cc\u200c\u0645 \u200f(\u05d0) \U0001f469\u200d\U0001f680\ufe0f')$$);
-- ... HTML is a name like any other: whoever writes HTML escapes it
SELECT trial($$SELECT tenancy.update_my_name('<b>Max</b> & "Co"')$$);
SELECT tenancy.sign_out();
SELECT attempt($$SELECT tenancy.update_my_name('Nobody')$$);

-- Who owns organizations is not deleted; the hint says which, ten of them by name.
SELECT alike('SELECT tenancy.delete_user(%1$L)', 'alice', 'bob', 'max', 'fake', 'null');
SELECT act('bob');
SELECT count(tenancy.create_organization('Rival ' || chr(64 + n))) FROM generate_series(1, 12) n;
SELECT attempt(format('SELECT tenancy.delete_user(%L)', id('bob')));
SELECT attempt(format('SELECT tenancy.forget_user(%L)', id('bob')));
SELECT tenancy.sign_out();
-- ... nor is anything of theirs touched
SELECT act('bob');
SELECT count(*) FROM tenancy.my_organizations;

-- Forgotten: mia invited eve, was invited by alice, is invited by rival, has a
-- session, a level in a project, and mail that waits.
RESET ROLE;
SET tenancy.email_enabled = on;
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT act('bob');
SELECT mailed(invite_id) AS from_rival FROM tenancy.create_invite(id('rival'), 'mia@regress.example') \gset
SELECT act('mia');
SELECT tenancy.create_session(id('mia')) AS session \gset
SELECT tenancy.switch_project(id('hidden'));
SELECT mailed(invite_id) AS eves FROM tenancy.create_invite(id('acme'), 'eve@regress.example') \gset
SELECT mailed(invite_id) AS dans FROM tenancy.create_invite(id('acme'), 'dan@regress.example') \gset
SELECT act('eve');
SELECT tenancy.accept_invite(:'eves');
RESET ROLE;
SELECT tenancy.claim_notifications(1) IS NOT NULL;
UPDATE tenancy.notifications SET dead_at = clock_timestamp(), claimed_at = NULL WHERE recipient = 'mia@regress.example' AND kind = 'member_joined';
SELECT count(*) > 2 AS found FROM tenancy.notifications n WHERE n::text ~ 'mia@|Mia';
INSERT INTO tenancy.role_bindings (role_name, user_id) VALUES ('regress_people_bi', id('mia'));
SET ROLE :app;
SELECT attempt(format('SELECT tenancy.forget_user(%L)', id('mia')));
RESET ROLE;
-- ... name and address are nowhere any more,
CREATE TEMP TABLE found (relation text, rows bigint);
DO $$
DECLARE
	relation regclass;
BEGIN
	FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' LOOP
		EXECUTE format('INSERT INTO found SELECT %L, count(*) FROM %s t WHERE t::text ~* ''mia''', relation, relation);
	END LOOP;
END
$$;
SELECT sum(rows), count(*) > 10 AS looked FROM found;
SELECT name, email ~ '^deleted-[0-9a-f-]{36}@invalid$' AS erased, is_active, forgotten_at IS NOT NULL AS forgotten, position(id::text IN email) AS by_id
FROM tenancy.users WHERE id = id('mia');
SELECT kind, recipient, payload ->> 'inviter_name' AS inviter, payload ->> 'reply_to' AS reply_to FROM tenancy.notifications ORDER BY 1, 2;
-- ... they cannot sign in, be signed in, or come back
SET ROLE :app;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'session'));
SELECT act('mia');
SELECT tenancy.current_user_id(), sees();
SELECT tenancy.sign_out();
SELECT attempt(format('SELECT tenancy.create_session(%L)', id('mia')));
SELECT attempt(format('SELECT tenancy.set_user_active(%L, true)', id('mia')));
SELECT attempt(format('SELECT tenancy.set_user_active(%L, false)', id('mia')));
SELECT attempt(format('SELECT tenancy.accept_invite_as_new_user(%L, ''Mia'')', :'from_rival'));
RESET ROLE;
SELECT split_part(attempt(format('UPDATE tenancy.users SET is_active = true WHERE id = %L', id('mia'))), ' / ', 1);
SELECT (SELECT count(*) FROM tenancy.role_bindings), (SELECT count(*) FROM tenancy.project_memberships WHERE user_id = id('mia')),
	(SELECT count(*) FROM tenancy.user_preferences WHERE user_id = id('mia')),
	(SELECT count(*) FROM tenancy.sessions WHERE user_id = id('mia') AND revoked_at IS NULL);
SET ROLE :app;
-- ... the others read who invited whom, and do not see mia among the members
SELECT act('max');
SELECT email, name, called(invited_by), invited_by_name FROM tenancy.members ORDER BY email;
SELECT m.email, u.name FROM tenancy.members m JOIN tenancy.users u ON u.id = m.invited_by WHERE m.user_id = id('eve');
SELECT member_count FROM tenancy.my_organizations;
-- ... what mia has invited stays usable
SELECT tenancy.sign_out();
SELECT organization_name FROM tenancy.preview_invite(:'dans');
SELECT remember('dan', tenancy.accept_invite_as_new_user(:'dans', 'Dan'));
SELECT act('dan');
SELECT called(invited_by), invited_by_name FROM tenancy.members WHERE user_id = id('dan');
-- ... the address is free again, for somebody who owes nothing to the former one
SELECT tenancy.sign_out();
SELECT remember('new mia', tenancy.create_user('mia@regress.example', 'Mia'));
SELECT act('new mia');
SELECT count(*) FROM tenancy.my_organizations;
SELECT sees();
SELECT attempt(format('SELECT tenancy.accept_invite(%L)', :'from_rival'));
SELECT act('alice');
SELECT attempt($$SELECT tenancy.create_invite(id('acme'), 'mia@regress.example')$$);
-- ... once is enough; and the rest of the account can be deleted, too
SELECT tenancy.sign_out();
SELECT attempt(format('SELECT tenancy.forget_user(%L)', id('mia')));
SELECT alike('SELECT tenancy.forget_user(%1$L)', 'fake', 'null', 'acme');
SELECT attempt(format('SELECT tenancy.delete_user(%L)', id('mia')));
SELECT act('max');
SELECT email, called(invited_by), invited_by_name FROM tenancy.members WHERE user_id = id('eve');

-- Deleted: mail to them and about them goes; an invite of theirs stays, without
-- their name.
RESET ROLE;
DELETE FROM tenancy.notifications;
SET ROLE :app;
SELECT act('eve');
SELECT invite_id IS NOT NULL FROM tenancy.create_invite(id('acme'), 'zoe@regress.example');
SELECT act('alice');
SELECT mailed(invite_id) AS token FROM tenancy.create_invite(id('acme'), 'bob@regress.example') \gset
SELECT act('bob');
SELECT tenancy.accept_invite(:'token');
SELECT tenancy.sign_out();
SELECT tenancy.delete_user(id('eve'));
RESET ROLE;
SELECT kind, recipient, payload ->> 'inviter_name' AS inviter, payload ->> 'reply_to' AS reply_to FROM tenancy.notifications ORDER BY 1, 2;

-- One account an address, however it is written.
SET ROLE :app;
SELECT attempt($$SELECT tenancy.create_user(' MAX@regress.example', 'Another')$$);
RESET ROLE;

-- Rows of the application's own hold an account back.
CREATE TABLE bills (user_id uuid REFERENCES tenancy.users);
INSERT INTO bills VALUES (id('max'));
SET ROLE :app;
SELECT attempt(format('SELECT tenancy.delete_user(%L)', id('max')));

\i :cleanup

-- Where UTF8 has control characters, other encodings have letters.
\set database :DBNAME
CREATE DATABASE regress_people TEMPLATE template0 ENCODING 'WIN1252' LOCALE 'C';
\c regress_people
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
SET client_encoding = 'UTF8';
INSERT INTO tenancy.users (email, name) VALUES ('zoe@people.example', 'Žoë & Œuvre, 5 €') RETURNING name;
INSERT INTO tenancy.users (email, name) VALUES ('bell@people.example', E'Bell\x07');
\c :database
DROP DATABASE regress_people;
