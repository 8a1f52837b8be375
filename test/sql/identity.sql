-- Identity: the three ways to be somebody, how long each lasts, and what
-- nobody and a project token can do.  Each comment is a promise of the design.
\set test identity
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
GRANT INSERT, UPDATE, DELETE ON events TO PUBLIC;
CREATE TABLE identity_unique (project_id uuid NOT NULL, code text, PRIMARY KEY (project_id, code));
SELECT tenancy.protect('identity_unique') \gset
INSERT INTO identity_unique VALUES (:'p1', 'taken');
GRANT SELECT, INSERT, UPDATE, DELETE ON identity_unique TO PUBLIC;
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset
SELECT token AS token_1 FROM tenancy.project_tokens WHERE project_id = :'p1' \gset
SELECT token AS token_2 FROM tenancy.project_tokens WHERE project_id = :'p2' \gset

-- no identity: no rows, no writes, no error on reading
\c - :app
SELECT tenancy.current_user_id() IS NULL AS nobody, tenancy.current_project_id() IS NULL AS nowhere;
SELECT count(*) FROM events;
UPDATE events SET amount = 0;
DELETE FROM events;
\set VERBOSITY sqlstate
INSERT INTO events VALUES (:'p1', 0);
INSERT INTO events VALUES ('00000000-0000-4000-8000-0000000000ff', 0);
\set VERBOSITY terse

-- a session token, verified, makes one that user; anybody may ask
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE seen;
SELECT tenancy.current_user_id() = :'alice' AS is_alice, tenancy.current_project_id() IS NULL AS nowhere;
-- the last one to sign in counts
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
COMMIT;

-- a session-wide identity lasts until it is given up, or signed over
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
TABLE seen;
BEGIN;
TABLE seen;
COMMIT;
TABLE seen;
SELECT tenancy.authenticate(:'session_b', session_wide => true) \gset
TABLE seen;
DISCARD ALL;
TABLE seen;

-- a role given grant_application() says who acts: SET LOCAL, SET, act_as()
\c - :gateway
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE seen;
SELECT tenancy.act_as(:'bob') \gset
TABLE seen;
COMMIT;
TABLE seen;
-- a verified credential comes before an assertion
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SET LOCAL tenancy.user_id = :'bob';
TABLE seen;
COMMIT;
-- ... but a connection that was left signed in does not decide who comes next,
-- nor does it go on for somebody who has been replaced; attack 9
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
TABLE seen;
SET LOCAL tenancy.user_id = :'bob';
TABLE seen;
SAVEPOINT s;
RESET tenancy.user_id;
TABLE seen;
ROLLBACK TO s;
COMMIT;
TABLE seen;

-- the current project narrows what is visible, and never widens it
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_project(:'one', 'Other') AS p3 \gset
INSERT INTO events VALUES (:'p3', 1);
SELECT count(*) FROM events;
SET LOCAL tenancy.project_id = :'p3';
SELECT count(*) FROM events;
SELECT tenancy.current_project_id() = :'p3' AS is_current;
INSERT INTO events (amount) VALUES (2);
SELECT count(*) FROM events;
SET LOCAL tenancy.project_id = :'p2';
SELECT count(*) FROM events;
SELECT tenancy.current_project_id() IS NULL AS nowhere;
SET LOCAL tenancy.project_id = '';
SELECT count(*) FROM events;
ROLLBACK;
-- ... anybody may set it, and alone it opens nothing
\c - :app
SET tenancy.project_id = :'p1';
SELECT count(*) FROM events;
SET tenancy.project_id = 'garbage';
RESET tenancy.project_id;

-- a project token inserts rows of its own project, and nothing else
BEGIN;
SELECT tenancy.authenticate(:'token_1') \gset
SELECT tenancy.current_user_id() IS NULL AS nobody, tenancy.current_project_id() = :'p1' AS is_current;
INSERT INTO events VALUES (:'p1', 11);
INSERT INTO events (amount) VALUES (12);
-- it reads nothing
SELECT count(*) FROM events;
SELECT count(*) FROM tenancy.my_projects;
SELECT count(*) FROM tenancy.projects;
UPDATE events SET amount = 0;
DELETE FROM events;
SAVEPOINT s;
INSERT INTO events VALUES (:'p1', 13) RETURNING amount;
ROLLBACK TO s;
INSERT INTO identity_unique VALUES (:'p1', 'taken') ON CONFLICT (project_id, code) DO UPDATE SET code = 'x';
ROLLBACK TO s;
INSERT INTO identity_unique VALUES (:'p1', 'free') ON CONFLICT (project_id, code) DO UPDATE SET code = 'x';
ROLLBACK TO s;
INSERT INTO identity_unique VALUES (:'p1', 'free') ON CONFLICT DO NOTHING;
INSERT INTO identity_unique VALUES (:'p1', 'taken') ON CONFLICT DO NOTHING;
MERGE INTO identity_unique u USING (VALUES (:'p1'::uuid, 'taken')) v (p, c) ON u.project_id = v.p AND u.code = v.c
	WHEN MATCHED THEN UPDATE SET code = 'x' WHEN NOT MATCHED THEN DO NOTHING;
-- it writes nothing of another project, and nothing by command
\set VERBOSITY sqlstate
SAVEPOINT s;
INSERT INTO events VALUES (:'p2', 14);
ROLLBACK TO s;
INSERT INTO events VALUES ('00000000-0000-4000-8000-0000000000ff', 14);
ROLLBACK TO s;
SELECT tenancy.create_organization('Token''s');
ROLLBACK TO s;
SELECT tenancy.rotate_project_token(:'p1');
ROLLBACK TO s;
\set VERBOSITY terse
COMMIT;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SELECT amount FROM events WHERE amount > 10 ORDER BY 1;
SELECT code FROM identity_unique ORDER BY 1;
COMMIT;

-- a deactivated user, a revoked or expired session and a rotated token are nobody from
-- the next statement on, also where they had signed in before
\c - :superuser
CREATE FUNCTION identity_as_admin(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE command; END';
\c - :app
SELECT tenancy.authenticate(:'session_b', session_wide => true) \gset
TABLE seen;
SELECT identity_as_admin('UPDATE tenancy.users SET is_active = false WHERE name = ''bob''') \gset
TABLE seen;
SELECT tenancy.current_user_id() IS NULL AS nobody;
SELECT tenancy.authenticate(:'session_b');
SELECT identity_as_admin('UPDATE tenancy.users SET is_active = true WHERE name = ''bob''') \gset
TABLE seen;
BEGIN;
TABLE seen;
SELECT identity_as_admin('SELECT tenancy.revoke_sessions(id) FROM tenancy.users WHERE name = ''bob''') \gset
TABLE seen;
COMMIT;
TABLE seen;
SELECT tenancy.authenticate(:'session_b');
-- ... deactivation ends sessions for good
\c - :superuser
SELECT tenancy.create_session(:'bob') AS session_b \gset
\c - :app
SELECT identity_as_admin('SELECT tenancy.set_user_active(id, false) FROM tenancy.users WHERE name = ''bob''') \gset
SELECT identity_as_admin('SELECT tenancy.set_user_active(id, true) FROM tenancy.users WHERE name = ''bob''') \gset
SELECT tenancy.authenticate(:'session_b');
-- ... a session ends by the clock, though nothing announces that
\c - :superuser
SELECT tenancy.create_session(:'bob', '2 seconds') AS short \gset
\c - :app
SELECT tenancy.authenticate(:'short', session_wide => true) \gset
TABLE seen;
SELECT pg_sleep(2.1) \gset
TABLE seen;
SELECT tenancy.authenticate(:'short');
-- ... and a token, the moment it is rotated
SELECT tenancy.authenticate(:'token_2', session_wide => true) \gset
INSERT INTO events (amount) VALUES (21);
SELECT identity_as_admin('UPDATE tenancy.project_tokens SET revoked_at = clock_timestamp(), token = NULL WHERE token = ' || quote_literal(:'token_2')) \gset
\set VERBOSITY sqlstate
INSERT INTO events VALUES (:'p2', 22);
\set VERBOSITY terse
SELECT tenancy.current_project_id() IS NULL AS nowhere;
SELECT tenancy.authenticate(:'token_2');

-- signing out revokes the session and forgets who is acting
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
SELECT tenancy.sign_out() \gset
TABLE seen;
SELECT tenancy.authenticate(:'session_a');
SELECT tenancy.sign_out() \gset
-- ... at once and for good, whatever kind the identity was of and whichever others
-- were below it: the SET clause of sign_out() does not bring one back
\c - regress_identity_gateway
SELECT tenancy.create_session(:'alice') AS session_a2, tenancy.create_session(:'alice') AS session_a3 \gset
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
TABLE seen;
SELECT tenancy.sign_out() \gset
TABLE seen;
COMMIT;
TABLE seen;
BEGIN;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
SELECT tenancy.sign_out() \gset
TABLE seen;
COMMIT;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
TABLE seen;
BEGIN;
SELECT tenancy.sign_out() \gset
TABLE seen;
COMMIT;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SET LOCAL tenancy.user_id = :'alice';
SELECT tenancy.sign_out() \gset
TABLE seen;
COMMIT;
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a2') \gset
SELECT tenancy.sign_out() \gset
TABLE seen;
SELECT tenancy.current_user_id() IS NULL AND tenancy.current_project_id() IS NULL AS nobody;
COMMIT;
TABLE seen;
SELECT tenancy.authenticate(:'session_a2');
-- ... but not what a savepoint takes back
BEGIN;
SELECT tenancy.authenticate(:'session_a3') \gset
SAVEPOINT s;
SELECT tenancy.sign_out() \gset
ROLLBACK TO s;
TABLE seen;
COMMIT;
-- ... also where nothing can be written, unless there is a session to revoke
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN READ ONLY;
SELECT tenancy.sign_out() \gset
TABLE seen;
COMMIT;
TABLE seen;
BEGIN READ ONLY;
SELECT tenancy.authenticate(:'session_a3') \gset
SELECT tenancy.sign_out();
ROLLBACK;

-- a role that is trusted no more says nothing of who acts, in sessions that it has
-- already either; whom it has named for a whole session stays until that ends
\c - :superuser
SELECT tenancy.revoke_application(:'app');
\c - :gateway
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
SELECT identity_as_admin('SELECT tenancy.revoke_application(''regress_identity_gateway'')') \gset
SELECT tenancy.act_as(:'bob');
TABLE seen;
BEGIN;
SET LOCAL tenancy.user_id = :'bob';
ROLLBACK;
DISCARD ALL;
TABLE seen;
\c - :gateway
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE seen;
ROLLBACK;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.create_session(:'alice');
SELECT * FROM tenancy.stats;
SELECT tenancy.revoke_application(:'app');
TABLE seen;
-- ... nothing of it is left, it still may what everybody may, and can be trusted again
\c - :superuser
SELECT tenancy.revoke_application(:'gateway');
SELECT p.proname FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = :'gateway'::regrole
UNION ALL SELECT p.parname FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee = :'gateway'::regrole
UNION ALL SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'tenancy'::regnamespace AND a.grantee = :'gateway'::regrole;
\c - :gateway
SELECT tenancy.authenticate(:'session_a3', session_wide => true) \gset
TABLE seen;
\c - :superuser
SELECT tenancy.grant_application(:'gateway');
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
TABLE seen;
ROLLBACK;

-- what nobody and a project token tried to change is as it was
\c - :superuser
SELECT count(*), count(*) FILTER (WHERE amount = 0) AS zeros FROM events;
DROP TABLE identity_unique;
DROP FUNCTION identity_as_admin(text);
\i :two_end
