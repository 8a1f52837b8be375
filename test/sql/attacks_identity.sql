-- Attacks on the identity: forging it, keeping it, inheriting it through a
-- pooled connection.  The numbers are those of the attack catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_attacks_identity_app LOGIN;
CREATE ROLE regress_attacks_identity_gateway LOGIN;
SELECT tenancy.grant_application('regress_attacks_identity_gateway') \gset
\set alice 00000000-0000-4000-8000-00000000000a
\set bob 00000000-0000-4000-8000-00000000000b
INSERT INTO tenancy.users (id, email, name)
VALUES (:'alice', 'alice@attacks-identity.example', 'alice'), (:'bob', 'bob@attacks-identity.example', 'bob');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_organization('One') AS one \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.create_organization('Two') AS two \gset
COMMIT;
SELECT id AS p1 FROM tenancy.projects WHERE organization_id = :'one' \gset
SELECT id AS p2 FROM tenancy.projects WHERE organization_id = :'two' \gset
CREATE TABLE attacks_identity_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('attacks_identity_events') \gset
INSERT INTO attacks_identity_events SELECT :'p1', g FROM generate_series(1, 10) g;
INSERT INTO attacks_identity_events SELECT :'p2', g FROM generate_series(1, 3) g;
GRANT SELECT ON attacks_identity_events TO PUBLIC;
-- who is acting, and how many rows they see: alice 10, bob 3, nobody 0
CREATE FUNCTION attacks_identity_name() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT coalesce((SELECT name FROM tenancy.users WHERE id = tenancy.current_user_id()), ''nobody'')';
CREATE VIEW attacks_identity_seen WITH (security_invoker = true) AS
	SELECT attacks_identity_name() AS acting, (SELECT count(*) FROM attacks_identity_events) AS seen;
GRANT SELECT ON attacks_identity_seen TO PUBLIC;

SELECT tenancy.create_session(:'bob') AS session_b \gset

-- attack 1: a role without the right cannot set, reset or call its way to an identity
\c - regress_attacks_identity_app
TABLE attacks_identity_seen;
SET tenancy.user_id = :'alice';
SET LOCAL tenancy.user_id = :'alice';
SELECT set_config('tenancy.user_id', :'alice', true);
SELECT set_config('tenancy.user_id', :'alice', false);
RESET tenancy.user_id;
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 0', false);
RESET tenancy.identity;
UPDATE pg_settings SET setting = :'alice' WHERE name = 'tenancy.user_id';
SELECT tenancy.act_as(:'alice');
TABLE attacks_identity_seen;

-- attack 1: nor does a failed attempt disturb an identity that is there
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SET tenancy.user_id = :'alice';
ROLLBACK TO s;
RESET tenancy.identity;
ROLLBACK TO s;
TABLE attacks_identity_seen;
COMMIT;

-- attack 2: a placeholder made before the library was loaded is worth nothing
\c - regress_attacks_identity_app
SET tenancy.user_id = :'alice';
TABLE attacks_identity_seen;
\c - regress_attacks_identity_app
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE attacks_identity_seen;
COMMIT;
\c - regress_attacks_identity_app
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 1', false) IS NOT NULL AS accepted;
TABLE attacks_identity_seen;
\c - regress_attacks_identity_app
BEGIN;
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 0', true) IS NOT NULL AS accepted;
TABLE attacks_identity_seen;
COMMIT;
\set forged 'user=regress_attacks_identity_app options=-ctenancy.user_id=' :alice
\c -reuse-previous=on :forged
TABLE attacks_identity_seen;
SELECT format('user=regress_attacks_identity_app options=''-ctenancy.identity=u\\ %s\\ %s\\ 1''', :'alice', :'alice') AS forged \gset
\c -reuse-previous=on :forged
TABLE attacks_identity_seen;

-- attack 2: by a role that may set it, one of an earlier transaction is worth nothing,
-- while SET LOCAL in the very transaction that loads the library counts
\c -reuse-previous=on 'user=regress_attacks_identity_gateway options='
SET tenancy.user_id = :'alice';
TABLE attacks_identity_seen;
\c - regress_attacks_identity_gateway
SET tenancy.user_id = :'alice';
BEGIN;
TABLE attacks_identity_seen;
COMMIT;
\c - regress_attacks_identity_gateway
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE attacks_identity_seen;
COMMIT;
TABLE attacks_identity_seen;

-- attack 3: no text of ours reads a setting by current_setting(), which returns placeholders
SELECT p.oid::regprocedure AS reads_placeholder FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace
  AND (p.prosrc ~* 'current_setting' OR pg_get_function_sqlbody(p.oid) ~* 'current_setting');
SELECT tablename, policyname FROM pg_policies
WHERE coalesce(qual, '') || coalesce(with_check, '') ~* 'current_setting';
SELECT viewname FROM pg_views WHERE schemaname = 'tenancy' AND definition ~* 'current_setting';
SELECT adrelid::regclass FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) ~* 'current_setting';

-- attack 4: nobody persists an identity for themselves, the library loaded or not
\c - regress_attacks_identity_app
ALTER ROLE regress_attacks_identity_app SET tenancy.user_id = :'alice';
TABLE attacks_identity_seen;
ALTER ROLE regress_attacks_identity_app SET tenancy.user_id = :'alice';
ALTER ROLE regress_attacks_identity_app SET tenancy.identity = 'u x x 1';

-- attack 5: a role that was granted the parameter cannot persist it either
\c - regress_attacks_identity_gateway
TABLE attacks_identity_seen;
ALTER ROLE regress_attacks_identity_gateway SET tenancy.user_id = :'bob';
-- ... before the library is loaded PostgreSQL takes it, and it has no effect
\c - regress_attacks_identity_gateway
ALTER ROLE regress_attacks_identity_gateway SET tenancy.user_id = :'bob';
\c - regress_attacks_identity_gateway
TABLE attacks_identity_seen;
TABLE attacks_identity_seen;
RESET ALL;
TABLE attacks_identity_seen;
DISCARD ALL;
TABLE attacks_identity_seen;
\c - :superuser
ALTER ROLE regress_attacks_identity_gateway RESET ALL;
\set forged 'user=regress_attacks_identity_gateway options=-ctenancy.user_id=' :bob
\c -reuse-previous=on :forged
TABLE attacks_identity_seen;
RESET ALL;
TABLE attacks_identity_seen;

-- attack 6: a function's SET clause asserts nothing, whoever owns the function
SELECT format('user=%s options=', :'superuser') AS plain \gset
\c -reuse-previous=on :plain
CREATE SCHEMA regress_attacks_identity AUTHORIZATION regress_attacks_identity_gateway;
GRANT USAGE ON SCHEMA regress_attacks_identity TO PUBLIC;
\c - regress_attacks_identity_gateway
CREATE FUNCTION regress_attacks_identity.spy() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
	SET tenancy.user_id = :'alice' AS 'BEGIN RETURN (SELECT count(*) FROM public.attacks_identity_events); END';
CREATE FUNCTION regress_attacks_identity.spy_sql() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	SET tenancy.user_id = :'alice' AS 'SELECT count(*) FROM public.attacks_identity_events';
\c - regress_attacks_identity_app
SELECT regress_attacks_identity.spy(), regress_attacks_identity.spy_sql();
SELECT regress_attacks_identity.spy(), regress_attacks_identity.spy_sql();
TABLE attacks_identity_seen;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT regress_attacks_identity.spy() IN (0, 3) AS not_alice;
TABLE attacks_identity_seen;
COMMIT;
TABLE attacks_identity_seen;
-- ... and once the library is there it cannot be made
\c - regress_attacks_identity_gateway
TABLE attacks_identity_seen;
CREATE FUNCTION regress_attacks_identity.spy2() RETURNS bigint LANGUAGE sql
	SET tenancy.user_id = :'alice' AS 'SELECT 1::bigint';

-- attack 7: RESET ALL and DISCARD ALL leave nobody
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
TABLE attacks_identity_seen;
RESET ALL;
TABLE attacks_identity_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
DISCARD ALL;
TABLE attacks_identity_seen;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
RESET ALL;
TABLE attacks_identity_seen;
COMMIT;
TABLE attacks_identity_seen;

-- attack 8: a superuser's stored default is refused, or has no effect
\c - :superuser
SELECT count(*) FROM tenancy.viewable_projects();
ALTER DATABASE contrib_regression SET tenancy.user_id = :'alice';
ALTER ROLE ALL SET tenancy.identity = 'u x x 1';
ALTER SYSTEM SET tenancy.user_id = :'alice';
ALTER SYSTEM SET tenancy.identity = '';
\c - :superuser
ALTER DATABASE contrib_regression SET tenancy.user_id = :'alice';
\c - regress_attacks_identity_app
TABLE attacks_identity_seen;
\c - regress_attacks_identity_gateway
TABLE attacks_identity_seen;
\c - :superuser
ALTER DATABASE contrib_regression RESET tenancy.user_id;

DROP SCHEMA regress_attacks_identity CASCADE;

\c - :superuser
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.delete_organization(:'one') \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
DROP VIEW attacks_identity_seen;
DROP FUNCTION attacks_identity_name();
DROP TABLE attacks_identity_events;
DELETE FROM tenancy.users WHERE email LIKE '%@attacks-identity.example';
DROP OWNED BY regress_attacks_identity_app, regress_attacks_identity_gateway;
DROP ROLE regress_attacks_identity_app, regress_attacks_identity_gateway;
