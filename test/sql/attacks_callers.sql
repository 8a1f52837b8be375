-- Attacks by way of the call: two identities in one statement, rights given
-- by accident, somebody else's function, garbage, hostile settings, nobody at
-- all.  The numbers are those of the attack catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_attacks_callers_app LOGIN;
CREATE ROLE regress_attacks_callers_gateway LOGIN;
SELECT tenancy.grant_application('regress_attacks_callers_gateway') \gset
\set alice 00000000-0000-4000-8000-00000000000a
\set bob 00000000-0000-4000-8000-00000000000b
INSERT INTO tenancy.users (id, email, name)
VALUES (:'alice', 'alice@attacks-callers.example', 'alice'), (:'bob', 'bob@attacks-callers.example', 'bob');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_organization('One') AS one \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.create_organization('Two') AS two \gset
COMMIT;
SELECT id AS p1 FROM tenancy.projects WHERE organization_id = :'one' \gset
SELECT id AS p2 FROM tenancy.projects WHERE organization_id = :'two' \gset
CREATE TABLE attacks_callers_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('attacks_callers_events') \gset
INSERT INTO attacks_callers_events SELECT :'p1', g FROM generate_series(1, 10) g;
INSERT INTO attacks_callers_events SELECT :'p2', g FROM generate_series(1, 3) g;
GRANT SELECT ON attacks_callers_events TO PUBLIC;
-- who is acting, and how many rows they see: alice 10, bob 3, nobody 0
CREATE FUNCTION attacks_callers_name() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT coalesce((SELECT name FROM tenancy.users WHERE id = tenancy.current_user_id()), ''nobody'')';
CREATE VIEW attacks_callers_seen WITH (security_invoker = true) AS
	SELECT attacks_callers_name() AS acting, (SELECT count(*) FROM attacks_callers_events) AS seen;
GRANT SELECT ON attacks_callers_seen TO PUBLIC;
CREATE TABLE attacks_callers_notes (project_id uuid NOT NULL);
SELECT tenancy.protect('attacks_callers_notes') \gset
INSERT INTO attacks_callers_notes TABLE attacks_callers_events;
INSERT INTO attacks_callers_notes SELECT project_id FROM attacks_callers_events;
GRANT SELECT ON attacks_callers_notes TO PUBLIC;
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset

-- attack 18: one statement, one identity: within a scan, between two scans, by
-- every way to change it
\c - regress_attacks_callers_gateway
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT count(*) FROM (SELECT project_id, tenancy.act_as(:'alice') FROM attacks_callers_events OFFSET 0) s;
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT (SELECT count(*) FROM attacks_callers_events) AS events, tenancy.act_as(:'alice'),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SET LOCAL tenancy.user_id = :'bob';
SELECT (SELECT count(*) FROM attacks_callers_events) AS events, set_config('tenancy.user_id', :'alice', true) <> '',
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
WITH e AS MATERIALIZED (SELECT count(*) AS n FROM attacks_callers_events),
	 s AS MATERIALIZED (SELECT tenancy.act_as(:'alice') FROM e),
	 n AS MATERIALIZED (SELECT count(n) AS n FROM s, attacks_callers_notes n)
SELECT e.n AS events, n.n AS notes FROM e, n;
ROLLBACK;
\c - regress_attacks_callers_app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT (SELECT count(*) FROM attacks_callers_events) AS events, tenancy.authenticate(:'session_a'),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT (SELECT count(*) FROM attacks_callers_events) AS events, tenancy.sign_out(),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;

-- attack 19: whoever is signed in cannot go on to assert; another valid credential replaces the first
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.act_as(:'alice');
ROLLBACK TO s;
TABLE attacks_callers_seen;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE attacks_callers_seen;
COMMIT;

-- attack 20: EXECUTE by accident is not the right to assert
\c - :superuser
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO regress_attacks_callers_app;
\c - regress_attacks_callers_app
SELECT tenancy.act_as(:'alice');
SELECT tenancy.act_as(:'alice', true);
SELECT tenancy.act_as(NULL);
TABLE attacks_callers_seen;
\c - :superuser
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy FROM regress_attacks_callers_app;

-- attack 20: default privileges made before CREATE EXTENSION give nothing away
CREATE DATABASE regress_attacks_callers TEMPLATE template0;
\c regress_attacks_callers
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO regress_attacks_callers_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_attacks_callers_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
SELECT p.oid::regprocedure AS given_away FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace
  AND EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 'regress_attacks_callers_app'::regrole)
ORDER BY 1;
SELECT c.oid::regclass AS given_away, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'tenancy'::regnamespace
  AND (a.grantee = 'regress_attacks_callers_app'::regrole OR a.grantee = 0 AND a.privilege_type <> 'SELECT')
ORDER BY 1, 2;
SELECT has_function_privilege('regress_attacks_callers_app', 'tenancy.act_as(uuid, boolean)', 'EXECUTE'),
	   has_function_privilege('regress_attacks_callers_app', 'tenancy.create_session(uuid, interval)', 'EXECUTE');
\c contrib_regression
DROP DATABASE regress_attacks_callers;

-- attack 21: who acts does not depend on whose function, view, rule or trigger it is
\set gateway regress_attacks_callers_gateway
CREATE SCHEMA regress_attacks_callers AUTHORIZATION :gateway;
GRANT USAGE ON SCHEMA regress_attacks_callers TO PUBLIC;
SET ROLE :gateway;
SET search_path = regress_attacks_callers, public;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = public, pg_temp AS 'SELECT count(*) FROM public.attacks_callers_events';
CREATE VIEW viewed AS SELECT * FROM public.attacks_callers_events;
CREATE TABLE log (who uuid, seen bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	NEW.who := tenancy.current_user_id();
	NEW.seen := regress_attacks_callers.counted();
	RETURN NEW;
END $$;
CREATE TRIGGER note BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION note();
CREATE VIEW ruled AS SELECT 1 AS one;
CREATE RULE log AS ON INSERT TO ruled DO INSTEAD INSERT INTO regress_attacks_callers.log VALUES (tenancy.current_user_id());
GRANT SELECT ON viewed TO PUBLIC;
GRANT INSERT ON ruled TO PUBLIC;
\c - regress_attacks_callers_app
SET search_path = regress_attacks_callers, public;
SELECT counted(), (SELECT count(*) FROM viewed) AS viewed;
INSERT INTO ruled VALUES (1);
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT counted(), (SELECT count(*) FROM viewed) AS viewed;
INSERT INTO ruled VALUES (1);
COMMIT;
\c - :gateway
SELECT who, seen FROM regress_attacks_callers.log ORDER BY seen;
-- attack 21, 22: nor on SET ROLE, which takes rights but no identity
\c - :superuser
GRANT regress_attacks_callers_app TO :gateway;
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SET LOCAL ROLE regress_attacks_callers_app;
TABLE attacks_callers_seen;
SELECT tenancy.act_as(:'alice');
ROLLBACK;
-- attack 22: a definer function cannot SET ROLE on its way
CREATE FUNCTION regress_attacks_callers.become() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN SET LOCAL ROLE regress_attacks_callers_app; END';
SELECT regress_attacks_callers.become();
DROP SCHEMA regress_attacks_callers CASCADE;
\c - :superuser
DROP TABLE attacks_callers_notes;

\c - :superuser
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.delete_organization(:'one') \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
DROP VIEW attacks_callers_seen;
DROP FUNCTION attacks_callers_name();
DROP TABLE attacks_callers_events;
DELETE FROM tenancy.users WHERE email LIKE '%@attacks-callers.example';
DROP OWNED BY regress_attacks_callers_app, regress_attacks_callers_gateway;
DROP ROLE regress_attacks_callers_app, regress_attacks_callers_gateway;
