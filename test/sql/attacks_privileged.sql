-- Attacks on what the extension does with its own rights: names that somebody
-- else has taken, errors in the middle.  The numbers are those of the attack
-- catalogue.
\set test attacks_privileged
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
SELECT tenancy.create_session(:'bob') AS session_b \gset
GRANT CREATE, USAGE ON SCHEMA public TO regress_attacks_privileged_app;
CREATE SCHEMA regress_attacks_privileged AUTHORIZATION regress_attacks_privileged_app;

-- attack 41, 42: operators, functions, types and casts of one's own, in front of
-- the system's, are not what the extension uses
\c - :app
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
TABLE public.seen;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM public.events;
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
\c - :app
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
SELECT count(*) FROM public.events;
SELECT tenancy.can('organization.delete', :'one'), tenancy.level_in(:'p1'), tenancy.can_view(:'p1');
SELECT tenancy.rename_organization(:'one', 'Mine');
ROLLBACK;
-- attack 43: every function of the extension that runs with its owner's rights pins
-- a path that ends in pg_temp, or has a body that was parsed when it was created
SELECT p.oid::regprocedure AS unpinned FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef
  AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(p.proconfig, '{}'))
  AND p.prosqlbody IS NULL;
RESET search_path;

-- attack 44: with an empty path, as a restore has it, everything works
SET search_path = '';
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM public.events;
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
\c - :app
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

-- attack 49: a load that is cancelled, sooner or later, leaves nothing, and the
-- next statement is right: the first one of a session, and one that takes the
-- place of a set that says too much
\c - :superuser
INSERT INTO tenancy.projects (organization_id, name) SELECT :'two', 'Many' FROM generate_series(1, 20000);
CREATE FUNCTION attacks_privileged_move(project uuid, organization uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN UPDATE tenancy.projects SET organization_id = $2 WHERE id = $1; END';
\c - :gateway
\set ECHO none
SELECT sign_in, timeout, 'SELECT (SELECT count(*) FROM events), pg_sleep(1)', 'RESET statement_timeout', ask,
	   format('DO $$ BEGIN PERFORM attacks_privileged_move(%L, %L); END $$', :'p2', :'one'),
	   timeout, 'SELECT (SELECT count(*) FROM events), pg_sleep(1)', 'RESET statement_timeout', ask,
	   format('DO $$ BEGIN PERFORM attacks_privileged_move(%L, %L); END $$', :'p2', :'two')
FROM (SELECT format('DO $$ BEGIN PERFORM tenancy.authenticate(%L, true); END $$', tenancy.create_session(:'bob')) AS sign_in,
			 format('SET statement_timeout = %s', ms) AS timeout,
			 format('SELECT cardinality(tenancy.viewable_projects()), (SELECT count(*) FROM events), %s AS ms', ms) AS ask
	  FROM unnest(ARRAY[1, 2, 4, 8, 16, 32]) ms OFFSET 0) s \gexec
\set ECHO all
\c - :app
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
DROP FUNCTION attacks_privileged_move(uuid, uuid);
REVOKE CREATE, USAGE ON SCHEMA public FROM regress_attacks_privileged_app;
\i :two_end
