-- Attacks on what the extension does with its own rights: names that somebody
-- else has taken, errors in the middle.  The numbers are those of the attack
-- catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_attacks_privileged_app LOGIN;
CREATE ROLE regress_attacks_privileged_gateway LOGIN;
SELECT tenancy.grant_application('regress_attacks_privileged_gateway') \gset
\set alice 00000000-0000-4000-8000-00000000000a
\set bob 00000000-0000-4000-8000-00000000000b
INSERT INTO tenancy.users (id, email, name)
VALUES (:'alice', 'alice@attacks-privileged.example', 'alice'), (:'bob', 'bob@attacks-privileged.example', 'bob');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_organization('One') AS one \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.create_organization('Two') AS two \gset
COMMIT;
SELECT id AS p1 FROM tenancy.projects WHERE organization_id = :'one' \gset
SELECT id AS p2 FROM tenancy.projects WHERE organization_id = :'two' \gset
CREATE TABLE attacks_privileged_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('attacks_privileged_events') \gset
INSERT INTO attacks_privileged_events SELECT :'p1', g FROM generate_series(1, 10) g;
INSERT INTO attacks_privileged_events SELECT :'p2', g FROM generate_series(1, 3) g;
GRANT SELECT ON attacks_privileged_events TO PUBLIC;
-- who is acting, and how many rows they see: alice 10, bob 3, nobody 0
CREATE FUNCTION attacks_privileged_name() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT coalesce((SELECT name FROM tenancy.users WHERE id = tenancy.current_user_id()), ''nobody'')';
CREATE VIEW attacks_privileged_seen WITH (security_invoker = true) AS
	SELECT attacks_privileged_name() AS acting, (SELECT count(*) FROM attacks_privileged_events) AS seen;
GRANT SELECT ON attacks_privileged_seen TO PUBLIC;
SELECT tenancy.create_session(:'bob') AS session_b \gset
GRANT CREATE, USAGE ON SCHEMA public TO regress_attacks_privileged_app;
CREATE SCHEMA regress_attacks_privileged AUTHORIZATION regress_attacks_privileged_app;

-- attack 41, 42: operators, functions, types and casts of one's own, in front of
-- the system's, are not what the extension uses
\c - regress_attacks_privileged_app
SET search_path = regress_attacks_privileged, pg_catalog, public;
CREATE TABLE log (what text, by_role text);
GRANT ALL ON log TO PUBLIC;
CREATE FUNCTION spied(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_attacks_privileged.log VALUES (what, current_user);
	RAISE WARNING 'spied on % as %', what, current_user;
	RETURN true;
END $$;
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['uuid', 'text', 'bytea', 'boolean', 'timestamptz', 'bigint', 'integer', 'name', 'oid', 'tenancy.access_level', 'interval'] LOOP
		EXECUTE format('CREATE FUNCTION eq(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS $f$SELECT regress_attacks_privileged.spied(''operator %1$s'')$f$', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.= (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.<> (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.> (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.< (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.>= (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
		EXECUTE format('CREATE OPERATOR regress_attacks_privileged.~ (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = eq)', t);
	END LOOP;
END $$;
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('clock_timestamp') THEN '1970-01-01'::pg_catalog.timestamptz END$$;
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('now') THEN '1970-01-01'::pg_catalog.timestamptz END$$;
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('lower') THEN $1 END$$;
CREATE FUNCTION btrim(text) RETURNS text LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('btrim') THEN $1 END$$;
CREATE FUNCTION length(text) RETURNS integer LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('length') THEN 1 END$$;
CREATE FUNCTION gen_random_uuid() RETURNS uuid LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('gen_random_uuid') THEN '00000000-0000-4000-8000-0000000000ee'::pg_catalog.uuid END$$;
CREATE FUNCTION sha256(bytea) RETURNS bytea LANGUAGE sql AS $$SELECT CASE WHEN regress_attacks_privileged.spied('sha256') THEN $1 END$$;
CREATE DOMAIN uuid AS pg_catalog.text;
CREATE TYPE access_level AS ENUM ('owner');
CREATE TABLE projects (id pg_catalog.uuid);
CREATE TABLE users (id pg_catalog.uuid, is_active boolean DEFAULT true);
BEGIN;
TABLE public.attacks_privileged_seen;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM public.attacks_privileged_events;
SELECT count(*) FROM tenancy.my_projects;
SELECT count(*) FROM tenancy.members;
SELECT tenancy.can('organization.delete', :'two'), tenancy.can('organization.delete', :'one'), tenancy.level_in(:'two');
SELECT tenancy.create_project(:'two', ' Named ', true) AS p3 \gset
SELECT tenancy.rename_project(:'p3', 'Renamed') \gset
SELECT tenancy.rotate_project_token(:'p3') \gset
SELECT count(*) FROM tenancy.create_invite(:'two', ' Carol@Example.com ');
SELECT tenancy.switch_organization(:'two') \gset
SELECT tenancy.switch_project(:'p3') \gset
SELECT tenancy.set_project_privacy(:'p3', false) \gset
SELECT tenancy.delete_project(:'p3') \gset
SELECT name OPERATOR(pg_catalog.=) 'Two' AS named FROM tenancy.my_organizations;
SELECT tenancy.sign_out() \gset
COMMIT;
SELECT tenancy.authenticate(:'session_b');
SELECT what, by_role FROM regress_attacks_privileged.log;
-- ... while the trap itself works
SELECT 'a'::text = 'b'::text AS trapped, lower('A') IS NOT NULL AS trapped;

-- attack 43: nor are temporary tables of the same names
\c - :superuser
SELECT tenancy.create_session(:'bob') AS session_b \gset
\c - regress_attacks_privileged_app
CREATE TEMPORARY TABLE access (user_id uuid, organization_id uuid, project_id uuid, level text, source text, organization_level text);
INSERT INTO access VALUES (:'bob', :'one', NULL, 'owner', 'owner', 'owner'), (:'bob', :'one', :'p1', 'owner', 'owner', 'owner');
CREATE TEMPORARY TABLE users AS SELECT :'bob'::uuid AS id, true AS is_active, 'bob'::text AS name;
CREATE TEMPORARY TABLE organizations AS SELECT :'one'::uuid AS id, :'bob'::uuid AS owner_id;
CREATE TEMPORARY TABLE memberships AS SELECT :'one'::uuid AS organization_id, :'bob'::uuid AS user_id, 'administrator' AS level;
CREATE TEMPORARY TABLE projects AS SELECT :'p1'::uuid AS id, :'one'::uuid AS organization_id, false AS is_private;
CREATE TEMPORARY TABLE sessions AS SELECT :'bob'::uuid AS user_id;
CREATE TEMPORARY TABLE pg_enum AS TABLE pg_catalog.pg_enum;
CREATE TEMPORARY TABLE pg_class AS SELECT 1 AS oid;
SET search_path = pg_temp, tenancy, public;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM public.attacks_privileged_events;
SELECT tenancy.can('organization.delete', :'one'), tenancy.level_in(:'p1'), tenancy.can_view(:'p1');
SELECT tenancy.rename_organization(:'one', 'Mine');
ROLLBACK;
-- attack 43: every function of the extension that runs with its owner's rights pins
-- a path that ends in pg_temp, or has a body that was parsed when it was created
SELECT p.oid::regprocedure AS unpinned FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef
  AND p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
  AND p.prosqlbody IS NULL;
RESET search_path;

-- attack 44: with an empty path, as a restore has it, everything works
SET search_path = '';
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM public.attacks_privileged_events;
SELECT tenancy.create_organization('Three') AS three \gset
SELECT tenancy.create_project(:'three', 'Four') AS p4 \gset
SELECT level FROM tenancy.my_projects WHERE id OPERATOR(pg_catalog.=) :'p4';
SELECT tenancy.create_invite(:'three', 'dora@example.com') \gset
SELECT email FROM tenancy.pending_invites;
SELECT tenancy.rename_organization(:'three', 'Five') \gset
SELECT tenancy.set_join_notifications(:'three', false) \gset
SELECT tenancy.rotate_project_token(:'p4') \gset
SELECT name, notify_on_join FROM tenancy.my_organizations ORDER BY name;
SELECT tenancy.delete_organization(:'three') \gset
COMMIT;
RESET search_path;

-- attack 45: what somebody put in its place beforehand is not adopted
\c - :superuser
CREATE DATABASE regress_attacks_privileged TEMPLATE template0;
\c regress_attacks_privileged
CREATE EXTENSION pgcrypto;
CREATE SCHEMA tenancy AUTHORIZATION regress_attacks_privileged_app;
SET ROLE regress_attacks_privileged_app;
CREATE FUNCTION tenancy.can_view(uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
RESET ROLE;
CREATE EXTENSION tenancy;
DROP FUNCTION tenancy.can_view(uuid);
CREATE TABLE tenancy.users (id uuid);
CREATE EXTENSION tenancy;
DROP TABLE tenancy.users;
CREATE EXTENSION tenancy;
SELECT nspowner::regrole FROM pg_namespace n JOIN pg_extension e ON nspname = extname WHERE extname = 'tenancy';
DROP SCHEMA tenancy CASCADE;
CREATE EXTENSION tenancy SCHEMA public;
SELECT count(*) FROM pg_extension WHERE extname = 'tenancy';
\c contrib_regression
DROP DATABASE regress_attacks_privileged;

-- attack 48: an error inside does not leave somebody else's rights behind
\c - regress_attacks_privileged_app
DO $$
BEGIN
	PERFORM tenancy.authenticate('tns_nonsense');
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '% %', current_user, current_setting('search_path');
END $$;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
DO $$
BEGIN
	PERFORM tenancy.create_project(p.organization_id, repeat('x', 201)) FROM tenancy.projects p;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '% % %', SQLSTATE, current_user, current_setting('search_path');
END $$;
SELECT count(*) FROM tenancy.my_projects;
COMMIT;
SELECT count(*) FROM tenancy.users;

-- attack 49: a load that is cancelled leaves nothing, and the next statement is right
\c - :superuser
INSERT INTO tenancy.projects (organization_id, name) SELECT :'two', 'Many' FROM generate_series(1, 20000);
\c - regress_attacks_privileged_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SET LOCAL statement_timeout = '1ms';
SELECT count(*) FROM attacks_privileged_events WHERE pg_sleep(1) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM attacks_privileged_events);
COMMIT;
\c - regress_attacks_privileged_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SET LOCAL statement_timeout = '2ms';
SELECT count(*) FROM attacks_privileged_events WHERE pg_sleep(1) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM attacks_privileged_events);
COMMIT;
\c - regress_attacks_privileged_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SET LOCAL statement_timeout = '4ms';
SELECT count(*) FROM attacks_privileged_events WHERE pg_sleep(1) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM attacks_privileged_events);
COMMIT;
\c - regress_attacks_privileged_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SET LOCAL statement_timeout = '8ms';
SELECT count(*) FROM attacks_privileged_events WHERE pg_sleep(1) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM attacks_privileged_events);
COMMIT;
\c - regress_attacks_privileged_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SET LOCAL statement_timeout = '16ms';
SELECT count(*) FROM attacks_privileged_events WHERE pg_sleep(1) IS NOT NULL;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM attacks_privileged_events);
COMMIT;
-- ... nor does one that a subtransaction took back
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.create_project(:'two', 'Short-lived') AS p3 \gset
SELECT cardinality(tenancy.viewable_projects());
ROLLBACK TO s;
SELECT cardinality(tenancy.viewable_projects());
COMMIT;

-- attack 51: the load does not ask policies: the predicates inside the policies of
-- the extension's own tables end
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT (SELECT count(*) FROM tenancy.users) AS users, (SELECT count(*) FROM tenancy.organizations) AS organizations,
	   (SELECT count(*) FROM tenancy.projects) AS projects, (SELECT count(*) FROM tenancy.memberships) AS memberships;
COMMIT;

\c - :superuser
DROP SCHEMA regress_attacks_privileged CASCADE;
REVOKE CREATE, USAGE ON SCHEMA public FROM regress_attacks_privileged_app;

\c - :superuser
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.delete_organization(:'one') \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
DROP VIEW attacks_privileged_seen;
DROP FUNCTION attacks_privileged_name();
DROP TABLE attacks_privileged_events;
DELETE FROM tenancy.users WHERE email LIKE '%@attacks-privileged.example';
DROP OWNED BY regress_attacks_privileged_app, regress_attacks_privileged_gateway;
DROP ROLE regress_attacks_privileged_app, regress_attacks_privileged_gateway;
