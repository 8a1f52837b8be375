-- Attacks by way of the call: two identities in one statement, rights given
-- by accident, somebody else's function, garbage, hostile settings, nobody at
-- all.  The numbers are those of the attack catalogue.
\set test attacks_callers
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE TABLE attacks_callers_notes (project_id uuid NOT NULL);
SELECT tenancy.protect('attacks_callers_notes') \gset
INSERT INTO attacks_callers_notes SELECT project_id FROM events;
GRANT SELECT ON attacks_callers_notes TO PUBLIC;
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset

-- attack 18: one statement, one identity: within a scan, between two scans, by
-- every way to change it
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT count(*) FROM (SELECT project_id, tenancy.act_as(:'alice') FROM events OFFSET 0) s;
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT (SELECT count(*) FROM events) AS events, tenancy.act_as(:'alice'),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SET LOCAL tenancy.user_id = :'bob';
SELECT (SELECT count(*) FROM events) AS events, set_config('tenancy.user_id', :'alice', true) <> '',
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
WITH e AS MATERIALIZED (SELECT count(*) AS n FROM events),
	 s AS MATERIALIZED (SELECT tenancy.act_as(:'alice') FROM e),
	 n AS MATERIALIZED (SELECT count(n) AS n FROM s, attacks_callers_notes n)
SELECT e.n AS events, n.n AS notes FROM e, n;
ROLLBACK;
-- ... there and back again
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.act_as(:'alice'), (SELECT count(*) FROM events) AS events, tenancy.act_as(:'bob');
ROLLBACK;
-- ... and an expression that is asked again, by somebody else, remembers nothing
BEGIN;
CREATE FUNCTION pg_temp.lists(VARIADIC people uuid[]) RETURNS TABLE (person uuid, list uuid[]) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH person IN ARRAY people LOOP
		PERFORM tenancy.act_as(person);
		list := tenancy.viewable_projects();
		RETURN NEXT;
	END LOOP;
END $$;
SELECT list = ARRAY[CASE person WHEN :'alice' THEN :'p1'::uuid ELSE :'p2' END] AS right FROM pg_temp.lists(:'alice', :'bob', :'alice');
ROLLBACK;
-- ... and from nobody to somebody
BEGIN;
SELECT tenancy.can_view(:'p1'), tenancy.act_as(:'alice') FROM generate_series(1, 2);
ROLLBACK;
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT (SELECT count(*) FROM events) AS events, tenancy.authenticate(:'session_a'),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT (SELECT count(*) FROM events) AS events, tenancy.sign_out(),
	   (SELECT count(*) FROM attacks_callers_notes) AS notes;
ROLLBACK;

-- attack 18: also where an index finds the rows, and nobody is asked about each
\c - :gateway
SET enable_seqscan = off;
SET enable_bitmapscan = off;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
EXPLAIN (COSTS OFF) SELECT tenancy.act_as(:'alice') FROM events;
SELECT count(*) FROM (SELECT tenancy.act_as(:'alice') FROM events OFFSET 0) s;
ROLLBACK;
\c - :app

-- attack 19: whoever is signed in cannot go on to assert; another valid credential replaces the first
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.act_as(:'alice');
ROLLBACK TO s;
TABLE seen;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE seen;
COMMIT;

-- attack 20: EXECUTE by accident is not the right to assert
\c - :superuser
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO regress_attacks_callers_app;
\c - :app
SELECT tenancy.act_as(:'alice');
SELECT tenancy.act_as(:'alice', true);
SELECT tenancy.act_as(NULL);
TABLE seen;
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
	SET search_path = public, pg_temp AS 'SELECT count(*) FROM public.events';
CREATE VIEW viewed AS SELECT * FROM public.events;
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
\c - :app
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
TABLE seen;
SELECT tenancy.act_as(:'alice');
ROLLBACK;
-- attack 22: a definer function cannot SET ROLE on its way
CREATE FUNCTION regress_attacks_callers.become() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN SET LOCAL ROLE regress_attacks_callers_app; END';
SELECT regress_attacks_callers.become();
DROP SCHEMA regress_attacks_callers CASCADE;
\c - :superuser
DROP TABLE attacks_callers_notes;
\i :two_end
