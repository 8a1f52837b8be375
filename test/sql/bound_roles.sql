-- Login roles that are bound to a user: what they see, what ends it, and who
-- cannot be bound.  Each comment is a promise, and what follows tries to break it.
\set test bound_roles
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
\set bi regress_bound_roles_bi
CREATE ROLE :bi LOGIN;
CREATE ROLE regress_bound_roles_other LOGIN;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_project(:'one', 'Side') AS side \gset
COMMIT;
INSERT INTO events VALUES (:'side', 100);
GRANT INSERT, UPDATE, DELETE ON events TO :bi;
CREATE TABLE letters (organization_id uuid NOT NULL, body text);
SELECT tenancy.protect_by_organization('letters') \gset
INSERT INTO letters VALUES (:'one', 'to one'), (:'two', 'to two');
GRANT SELECT ON letters TO PUBLIC;
SELECT tenancy.create_session(:'bob') AS session_b, tenancy.create_session(:'alice') AS session_a \gset
SELECT token AS token_2 FROM tenancy.project_tokens WHERE project_id = :'p2' \gset

-- before: nobody
\c - :bi
SELECT count(*) FROM events;
SELECT tenancy.current_user_id() IS NULL AS nobody;
\c - :superuser
SELECT tenancy.bind_role(:'bi', :'alice');
SELECT role_name, user_name, project_id, problem FROM tenancy.bound_roles;

-- the first statement of a session that has loaded nothing sees what the user sees
\c - :bi
SELECT count(*) FROM events;
\c - :bi
SELECT body FROM letters;
\c - :bi
SELECT name, level FROM tenancy.my_organizations;
\c - :bi
SELECT tenancy.current_user_id() = :'alice' AS is_alice, tenancy.current_project_id() IS NULL AS nowhere;
\c - :bi
BEGIN;
DECLARE c CURSOR FOR SELECT amount FROM events ORDER BY amount DESC;
FETCH 1 FROM c;
COMMIT;
\c - :bi
PREPARE p AS SELECT count(*) FROM events;
EXECUTE p;
\c - :bi
COPY events (amount) TO STDOUT;
\c - :bi
UPDATE events SET amount = amount RETURNING amount > 99 AS side;
\c - :bi
INSERT INTO events VALUES (:'side', 101);
\c - :bi
INSERT INTO events VALUES (:'p2', 101);
DELETE FROM events WHERE amount = 101 OR project_id = :'p2';

-- it cannot set, reset or call its way out, or to more
TABLE seen;
RESET ALL;
TABLE seen;
DISCARD ALL;
TABLE seen;
SELECT tenancy.sign_out();
TABLE seen;
SET SESSION AUTHORIZATION regress_bound_roles_other;
SET SESSION AUTHORIZATION DEFAULT;
TABLE seen;
SET ROLE NONE;
TABLE seen;
SET tenancy.user_id = :'bob';
SELECT set_config('tenancy.identity', 'u ' || :'bob' || ' ' || :'bob' || ' 1', false);
SELECT tenancy.act_as(:'bob');
SELECT tenancy.act_as(NULL);
SELECT tenancy.bind_role(:'bi', :'bob');
SELECT tenancy.unbind_role(:'bi');
SELECT tenancy._find_bound_role();
SELECT * FROM tenancy.bound_roles;
SELECT * FROM tenancy.role_bindings;
INSERT INTO tenancy.role_bindings VALUES ('regress_bound_roles_bi', NULL, :'bob');
UPDATE tenancy.role_bindings SET user_id = :'bob';
DELETE FROM tenancy.role_bindings;
TABLE seen;
-- the current project narrows, as for everybody
SET tenancy.project_id = :'side';
TABLE seen;
SET tenancy.project_id = :'p2';
TABLE seen;
RESET tenancy.project_id;
BEGIN;
SAVEPOINT s;
SELECT 1/0;
ROLLBACK TO s;
TABLE seen;
ROLLBACK;
BEGIN;
SELECT 1/0;
ROLLBACK;
TABLE seen;

-- it runs no commands, and asks in vain whether it may, while a missing target is missing
SELECT tenancy.can('project.view', :'p1') AS view, tenancy.can('project.manage', :'p1') AS manage,
	   tenancy.can('member.invite', :'one') AS invite, tenancy.can('project.view', :'p2') AS other;
\set VERBOSITY default
SELECT tenancy.create_invite(:'one', 'x@two.example');
SELECT tenancy.create_organization('Mine');
-- ... in the words of every command, also where others are answered otherwise
SELECT tenancy.leave_organization(:'one');
SELECT tenancy.leave_project(:'p1');
SELECT tenancy.accept_invite_as_new_user('unknown', 'New');
\set VERBOSITY terse
SELECT tenancy.create_project(:'one', 'Mine');
SELECT tenancy.rename_project(:'p1', 'Mine');
SELECT tenancy.rename_project(:'p2', 'Mine');
SELECT tenancy.rotate_project_token(:'p1');
SELECT tenancy.delete_organization(:'one');
SELECT tenancy.delete_organization(:'two');
SELECT tenancy.update_my_name('Mine');
SELECT tenancy.switch_project(:'p1');
SELECT tenancy.switch_organization(:'one');
SELECT tenancy.revoke_session(id) FROM tenancy.my_sessions;
SELECT tenancy.accept_invite('tni_x');

-- a credential counts for its transaction, also when it no longer holds; then it is
-- the bound user again, not nobody
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
SELECT name FROM tenancy.my_organizations;
SELECT tenancy.create_project(:'two', 'Bob''s') IS NOT NULL AS by_command;
ROLLBACK;
TABLE seen;
SELECT tenancy.authenticate(:'session_b', session_wide => true) \gset
TABLE seen;
DISCARD ALL;
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'token_2') \gset
SELECT count(*) FROM events;
COMMIT;
SELECT tenancy.authenticate(:'session_b', session_wide => true) \gset
TABLE seen;
\c - :superuser
SELECT tenancy.revoke_sessions(:'bob') \gset
\c - :bi
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
TABLE seen;
CREATE TEMP TABLE mine (x integer);
\c - :superuser
CREATE FUNCTION admin(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE command; END';
\c - :bi
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
SELECT admin('SELECT tenancy.revoke_sessions(id) FROM tenancy.users WHERE name = ''alice''') \gset
TABLE seen;
DISCARD ALL;
TABLE seen;

-- a cursor does not go on for somebody who signed in since, and none for the bound
-- user of somebody who has signed out
\c - :superuser
SELECT tenancy.create_session(:'bob') AS session_b \gset
\c - :bi
BEGIN;
DECLARE c CURSOR FOR SELECT amount FROM events ORDER BY amount;
FETCH 1 FROM c;
SELECT tenancy.authenticate(:'session_b') \gset
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT amount FROM events ORDER BY amount;
SELECT tenancy.authenticate(:'session_b') \gset
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
DECLARE c CURSOR FOR SELECT amount FROM events ORDER BY amount;
FETCH 1 FROM c;
SELECT tenancy.sign_out() \gset
FETCH 1 FROM c;
ROLLBACK;

-- attacks 22 and 94: it is the login that is bound: not who is made its member, not who sets the role
\c - :superuser
GRANT :bi TO regress_bound_roles_other;
GRANT :bi TO :app;
SET ROLE :bi;
SELECT count(*) FROM events;
RESET ROLE;
SET SESSION AUTHORIZATION :bi;
TABLE seen;
BEGIN;
DECLARE c CURSOR FOR SELECT amount FROM events ORDER BY amount;
FETCH 1 FROM c;
SET SESSION AUTHORIZATION regress_bound_roles_other;
FETCH 1 FROM c;
ROLLBACK;
RESET SESSION AUTHORIZATION;
\c - regress_bound_roles_other
TABLE seen;
SET ROLE :bi;
TABLE seen;
\c - :superuser
REVOKE :bi FROM regress_bound_roles_other, :app;
-- ... and a bound role stays bound whatever role it sets
GRANT regress_bound_roles_other TO :bi;
\c - :bi
SET ROLE regress_bound_roles_other;
TABLE seen;
RESET ROLE;
-- attack 21: in a SECURITY DEFINER function, too
\c - :superuser
CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM events';
ALTER FUNCTION definer() OWNER TO regress_bound_roles_other;
\c - :bi
SELECT definer();
\c - :superuser
DROP FUNCTION definer();
REVOKE regress_bound_roles_other FROM :bi;

-- narrowed to one project, nothing else exists, in the views neither
SELECT tenancy.bind_role(:'bi', :'alice', :'side');
\c - :bi
SELECT count(*), sum(amount) FROM events;
SELECT name FROM tenancy.projects;
SELECT name FROM tenancy.my_organizations;
SELECT tenancy.current_project_id() = :'side' AS is_current;
SET tenancy.project_id = :'p1';
TABLE seen;
SELECT tenancy.current_project_id() IS NULL AS nowhere;
SET tenancy.project_id = '';
INSERT INTO events (amount) VALUES (102);
INSERT INTO events VALUES (:'p1', 102);
SELECT sum(amount) FROM events;
SELECT tenancy.can('project.view', :'p1') AS other, tenancy.can_view(:'side') AS own, tenancy.viewable_projects() = ARRAY[:'side'::uuid] AS list;
SELECT admin('DELETE FROM events WHERE amount = 102') \gset
-- ... and when the user cannot see it any more, nothing does
BEGIN;
SELECT admin('UPDATE tenancy.organizations SET owner_id = ''00000000-0000-4000-8000-00000000000b'' WHERE name = ''One''') \gset
SELECT count(*) FROM events;
SELECT count(*) FROM letters;
ROLLBACK;
SELECT count(*) FROM events;
SELECT count(*) FROM letters;
\c - :superuser
-- ... with the user's own level there, not that of others
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (:'one', :'bob');
SELECT tenancy.bind_role(:'bi', :'bob', :'side');
\c - :bi
SELECT tenancy.level_in(:'side') AS project, tenancy.level_in(:'one') AS organization;
\c - :superuser
SELECT tenancy.bind_role(:'bi', :'alice', :'side');
DELETE FROM tenancy.memberships WHERE user_id = :'bob';
SELECT tenancy.bind_role(:'bi', :'bob', :'side');
SELECT tenancy.bind_role(:'bi', :'bob', '00000000-0000-4000-8000-0000000000ff');
SELECT tenancy.bind_role(:'bi', '00000000-0000-4000-8000-0000000000ff');
SELECT tenancy.bind_role(:'bi', NULL);
SELECT tenancy.bind_role(NULL, :'bob');
SELECT tenancy.bind_role(0, :'bob');
SELECT tenancy.bind_role('regress_bound_roles_missing', :'bob');
SELECT tenancy.unbind_role(NULL);
SELECT tenancy.unbind_role(:'app');

-- rebound, unbound, the user deactivated, forgotten, deleted: from the next statement on
\c - :bi
TABLE seen;
SELECT admin('SELECT tenancy.bind_role(''regress_bound_roles_bi'', ''00000000-0000-4000-8000-00000000000b'')') \gset
TABLE seen;
BEGIN;
TABLE seen;
SELECT admin('SELECT tenancy.unbind_role(''regress_bound_roles_bi'')') \gset
TABLE seen;
ROLLBACK;
TABLE seen;
SELECT admin('SELECT tenancy.set_user_active(''00000000-0000-4000-8000-00000000000b'', false)') \gset
TABLE seen;
SELECT tenancy.current_user_id() IS NULL AS nobody;
SELECT admin('SELECT tenancy.set_user_active(''00000000-0000-4000-8000-00000000000b'', true)') \gset
TABLE seen;
SELECT admin('SELECT tenancy.unbind_role(''regress_bound_roles_bi'')') \gset
TABLE seen;
SELECT tenancy.current_user_id() IS NULL AS nobody;
SELECT admin('SELECT tenancy.bind_role(''regress_bound_roles_bi'', ''00000000-0000-4000-8000-00000000000a'')') \gset
TABLE seen;
SELECT admin('TRUNCATE tenancy.role_bindings') \gset
TABLE seen;
\c - :superuser
SELECT tenancy.set_user_active(:'bob', false) \gset
SELECT tenancy.bind_role(:'bi', :'bob');
SELECT tenancy.set_user_active(:'bob', true) \gset

-- who cannot be bound, and what is left of a binding when its role becomes one of these
CREATE FUNCTION broken(VARIADIC commands text[]) RETURNS TABLE (asked text, later text, rows bigint)
LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	BEGIN
		PERFORM tenancy.bind_role('regress_bound_roles_bi', '00000000-0000-4000-8000-00000000000a');
		asked := 'bound';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS asked = PG_EXCEPTION_DETAIL;
	END;
	later := (SELECT problem FROM tenancy.bound_roles);
	RETURN NEXT;
END
$$;
\set VERBOSITY default
SELECT tenancy.bind_role(current_user::regrole, :'alice');
ALTER ROLE :bi BYPASSRLS;
SELECT tenancy.bind_role(:'bi', :'alice');
ALTER ROLE :bi NOBYPASSRLS;
\set VERBOSITY terse
SELECT tenancy.bind_role(:'gateway', :'alice');
SELECT tenancy.bind_role(:'bi', :'alice');
BEGIN;
SAVEPOINT s;
SELECT asked, later FROM broken('ALTER ROLE regress_bound_roles_bi SUPERUSER');
ROLLBACK TO s;
SELECT asked, later FROM broken('ALTER ROLE regress_bound_roles_bi BYPASSRLS');
ROLLBACK TO s;
SELECT asked, later FROM broken('ALTER ROLE regress_bound_roles_bi CREATEROLE');
ROLLBACK TO s;
SELECT asked, later FROM broken('ALTER ROLE regress_bound_roles_bi REPLICATION');
ROLLBACK TO s;
SELECT asked, later FROM broken('ALTER ROLE regress_bound_roles_bi NOLOGIN');
ROLLBACK TO s;
SELECT asked, later FROM broken('ALTER TABLE letters OWNER TO regress_bound_roles_bi');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT regress_bound_roles_other TO regress_bound_roles_bi', 'ALTER TABLE events OWNER TO regress_bound_roles_other');
ROLLBACK TO s;
SELECT asked, later FROM broken('CREATE ROLE regress_bound_roles_deep', 'GRANT regress_bound_roles_other TO regress_bound_roles_bi',
								'GRANT regress_bound_roles_deep TO regress_bound_roles_other', 'ALTER ROLE regress_bound_roles_deep BYPASSRLS');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT pg_read_server_files TO regress_bound_roles_bi');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT SET ON PARAMETER tenancy.user_id TO regress_bound_roles_bi');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT SET ON PARAMETER tenancy.user_id TO PUBLIC');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT regress_bound_roles_gateway TO regress_bound_roles_bi');
ROLLBACK TO s;
SELECT asked, later FROM broken('GRANT EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) TO regress_bound_roles_bi');
ROLLBACK TO s;
-- what harms nobody harms no binding
SELECT asked, later FROM broken('GRANT pg_read_all_data TO regress_bound_roles_bi', 'CREATE TABLE own (x integer)', 'ALTER TABLE own OWNER TO regress_bound_roles_bi');
ROLLBACK TO s;
ROLLBACK;
SELECT tenancy.grant_application(:'bi');
SELECT tenancy.create_session(:'bob') AS session_b \gset

-- in a running session, from the next statement on; and back
\c - :bi
TABLE seen;
SELECT admin('ALTER TABLE letters OWNER TO regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('ALTER TABLE letters OWNER TO CURRENT_USER') \gset
TABLE seen;
SELECT admin('GRANT regress_bound_roles_gateway TO regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('REVOKE regress_bound_roles_gateway FROM regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('GRANT SET ON PARAMETER tenancy.user_id TO regress_bound_roles_bi') \gset
SET tenancy.user_id = '00000000-0000-4000-8000-00000000000b';
TABLE seen;
SELECT admin('REVOKE SET ON PARAMETER tenancy.user_id FROM regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('GRANT EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) TO regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('REVOKE EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) FROM regress_bound_roles_bi') \gset
TABLE seen;
SELECT admin('ALTER ROLE regress_bound_roles_bi NOLOGIN') \gset
TABLE seen;
SELECT admin('ALTER ROLE regress_bound_roles_bi LOGIN') \gset
TABLE seen;
-- row security does not bind it any more: refused, not shown everything
\set VERBOSITY default
SELECT admin('ALTER ROLE regress_bound_roles_bi BYPASSRLS') \gset
SELECT count(*) FROM events;
SELECT count(*) FROM events WHERE false;
COPY events TO STDOUT;
UPDATE events SET amount = 0;
TABLE tenancy.users;
SELECT name FROM tenancy.members;
EXPLAIN (COSTS OFF) SELECT count(*) FROM letters;
EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM letters;
SELECT 1 AS other_work;
\set VERBOSITY terse
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM events;
ROLLBACK;
SELECT admin('ALTER ROLE regress_bound_roles_bi NOBYPASSRLS') \gset
TABLE seen;
SELECT admin('ALTER ROLE regress_bound_roles_other BYPASSRLS') \gset
SELECT admin('GRANT regress_bound_roles_other TO regress_bound_roles_bi') \gset
TABLE seen;
SET ROLE regress_bound_roles_other;
SELECT count(*) FROM events;
RESET ROLE;
-- ... from its first statement on, where the library is preloaded
\c - :superuser
REVOKE regress_bound_roles_other FROM :bi;
ALTER ROLE regress_bound_roles_other NOBYPASSRLS;
ALTER ROLE :bi BYPASSRLS;
ALTER ROLE :bi SET session_preload_libraries = 'tenancy';
\c - :bi
SELECT count(*) FROM events;
\c - :superuser
ALTER ROLE :bi NOBYPASSRLS;
\c - :bi
SELECT count(*) FROM events;
\c - :superuser
ALTER ROLE :bi RESET session_preload_libraries;
-- everybody else who bypasses row security is left alone
ALTER ROLE regress_bound_roles_other BYPASSRLS;
SELECT count(*) FROM events;
\c - regress_bound_roles_other
SELECT count(*) FROM events;
\c - :superuser
ALTER ROLE regress_bound_roles_other NOBYPASSRLS;

-- a name that another role takes is not the role that was bound
SELECT tenancy.unbind_role(:'bi');
SELECT tenancy.bind_role('regress_bound_roles_other', :'alice');
ALTER ROLE regress_bound_roles_other RENAME TO regress_bound_roles_renamed;
SELECT role_name, problem FROM tenancy.bound_roles;
CREATE ROLE regress_bound_roles_other LOGIN;
\c - regress_bound_roles_renamed
TABLE seen;
\c - regress_bound_roles_other
TABLE seen;
\c - :superuser
-- ... binding the new one takes the row over, and the renamed one is not bound by it
SELECT tenancy.bind_role('regress_bound_roles_other', :'bob');
SELECT tenancy.bind_role('regress_bound_roles_renamed', :'alice');
SELECT role_name, user_name, problem FROM tenancy.bound_roles ORDER BY 1;
DROP ROLE regress_bound_roles_renamed;
DROP ROLE regress_bound_roles_other;
SELECT role_name, user_name, problem FROM tenancy.bound_roles ORDER BY 1;
CREATE ROLE regress_bound_roles_other LOGIN;
\c - regress_bound_roles_other
TABLE seen;
\c - :superuser
SELECT role_name, user_name, problem FROM tenancy.bound_roles ORDER BY 1;
SELECT tenancy.unbind_role('regress_bound_roles_other');
DELETE FROM tenancy.role_bindings;
-- a role in a name that needs quotes
CREATE ROLE "regress_bound_roles ""Ö" LOGIN;
SELECT tenancy.bind_role('"regress_bound_roles ""Ö"', :'bob');
SET SESSION AUTHORIZATION "regress_bound_roles ""Ö";
TABLE seen;
RESET SESSION AUTHORIZATION;
SELECT role_name, user_name, problem FROM tenancy.bound_roles;
SELECT tenancy.unbind_role('"regress_bound_roles ""Ö"');
DROP ROLE "regress_bound_roles ""Ö";

-- the user's end is the binding's end
SELECT tenancy.bind_role(:'bi', :'bob');
INSERT INTO tenancy.users (id, email, name) VALUES ('00000000-0000-4000-8000-00000000000c', 'c@two.example', 'carol');
SELECT tenancy.bind_role('regress_bound_roles_other', '00000000-0000-4000-8000-00000000000c');
SELECT tenancy.delete_user('00000000-0000-4000-8000-00000000000c');
SELECT tenancy.bind_role(:'bi', :'alice', :'side');
SELECT role_name FROM tenancy.bound_roles;
DELETE FROM tenancy.projects WHERE id = :'side';
SELECT role_name FROM tenancy.bound_roles;
DROP FUNCTION broken(text[]);
DROP FUNCTION admin(text);
DROP TABLE letters;
DROP OWNED BY :bi, regress_bound_roles_other;
DROP ROLE :bi, regress_bound_roles_other;
\i :two_end
\set ECHO none
