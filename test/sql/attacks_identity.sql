-- Attacks on the identity: forging it, keeping it, inheriting it through a
-- pooled connection.  The numbers are those of the attack catalogue.
\set test attacks_identity
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two

SELECT tenancy.create_session(:'bob') AS session_b \gset

-- attack 1: a role without the right cannot set, reset or call its way to an identity
\c - :app
TABLE seen;
SET tenancy.user_id = :'alice';
SET LOCAL tenancy.user_id = :'alice';
SELECT set_config('tenancy.user_id', :'alice', true);
SELECT set_config('tenancy.user_id', :'alice', false);
RESET tenancy.user_id;
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 0', false);
RESET tenancy.identity;
UPDATE pg_settings SET setting = :'alice' WHERE name = 'tenancy.user_id';
SELECT tenancy.act_as(:'alice');
TABLE seen;

-- attack 1: nor does a failed attempt disturb an identity that is there
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SET tenancy.user_id = :'alice';
ROLLBACK TO s;
RESET tenancy.identity;
ROLLBACK TO s;
TABLE seen;
COMMIT;

-- attack 2: a placeholder made before the library was loaded is worth nothing
\c - :app
SET tenancy.user_id = :'alice';
TABLE seen;
\c - :app
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE seen;
COMMIT;
\c - :app
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 1', false) IS NOT NULL AS accepted;
TABLE seen;
\c - :app
BEGIN;
SELECT set_config('tenancy.identity', 'u ' || :'alice' || ' ' || :'alice' || ' 0', true) IS NOT NULL AS accepted;
TABLE seen;
COMMIT;
\set forged 'user=regress_attacks_identity_app options=-ctenancy.user_id=' :alice
\c -reuse-previous=on :forged
TABLE seen;
SELECT format('user=regress_attacks_identity_app options=''-ctenancy.identity=u\\ %s\\ %s\\ 1''', :'alice', :'alice') AS forged \gset
\c -reuse-previous=on :forged
TABLE seen;

-- attack 2: by a role that may set it, one of an earlier transaction is worth nothing,
-- while SET LOCAL in the very transaction that loads the library counts
\c -reuse-previous=on 'user=regress_attacks_identity_gateway options='
SET tenancy.user_id = :'alice';
TABLE seen;
\c - :gateway
SET tenancy.user_id = :'alice';
BEGIN;
TABLE seen;
COMMIT;
\c - :gateway
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
TABLE seen;
COMMIT;
TABLE seen;

-- attack 3: no text of ours reads a setting by current_setting(), which returns
-- placeholders; lint has the word, since it looks for such texts
SELECT p.oid::regprocedure AS reads_placeholder FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname !~ '^_lint_'
  AND (p.prosrc ~* 'current_setting' OR pg_get_function_sqlbody(p.oid) ~* 'current_setting');
SELECT tablename, policyname FROM pg_policies
WHERE coalesce(qual, '') || coalesce(with_check, '') ~* 'current_setting';
SELECT viewname FROM pg_views WHERE schemaname = 'tenancy' AND definition ~* 'current_setting';
SELECT adrelid::regclass FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) ~* 'current_setting';

-- attack 4: nobody persists an identity for themselves, the library loaded or not
\c - :app
ALTER ROLE regress_attacks_identity_app SET tenancy.user_id = :'alice';
TABLE seen;
ALTER ROLE regress_attacks_identity_app SET tenancy.user_id = :'alice';
ALTER ROLE regress_attacks_identity_app SET tenancy.identity = 'u x x 1';

-- attack 5: a role that was granted the parameter cannot persist it either
\c - :gateway
TABLE seen;
ALTER ROLE regress_attacks_identity_gateway SET tenancy.user_id = :'bob';
-- ... before the library is loaded PostgreSQL takes it, and it has no effect
\c - :gateway
ALTER ROLE regress_attacks_identity_gateway SET tenancy.user_id = :'bob';
\c - :gateway
TABLE seen;
TABLE seen;
RESET ALL;
TABLE seen;
DISCARD ALL;
TABLE seen;
\c - :superuser
ALTER ROLE regress_attacks_identity_gateway RESET ALL;
\set forged 'user=regress_attacks_identity_gateway options=-ctenancy.user_id=' :bob
\c -reuse-previous=on :forged
TABLE seen;
RESET ALL;
TABLE seen;

-- attack 6: a function's SET clause asserts nothing, whoever owns the function
SELECT format('user=%s options=', :'superuser') AS plain \gset
\c -reuse-previous=on :plain
CREATE SCHEMA regress_attacks_identity AUTHORIZATION regress_attacks_identity_gateway;
GRANT USAGE ON SCHEMA regress_attacks_identity TO PUBLIC;
\c - :gateway
CREATE FUNCTION regress_attacks_identity.spy() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
	SET tenancy.user_id = :'alice' AS 'BEGIN RETURN (SELECT count(*) FROM public.events); END';
CREATE FUNCTION regress_attacks_identity.spy_sql() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	SET tenancy.user_id = :'alice' AS 'SELECT count(*) FROM public.events';
\c - :app
SELECT regress_attacks_identity.spy(), regress_attacks_identity.spy_sql();
SELECT regress_attacks_identity.spy(), regress_attacks_identity.spy_sql();
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT regress_attacks_identity.spy();
TABLE seen;
COMMIT;
TABLE seen;
-- ... and once the library is there it cannot be made
\c - :gateway
TABLE seen;
CREATE FUNCTION regress_attacks_identity.spy2() RETURNS bigint LANGUAGE sql
	SET tenancy.user_id = :'alice' AS 'SELECT 1::bigint';

-- attack 7: RESET ALL and DISCARD ALL leave nobody
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
TABLE seen;
RESET ALL;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
DISCARD ALL;
TABLE seen;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
RESET ALL;
TABLE seen;
COMMIT;
TABLE seen;

-- attack 8: a superuser's stored default is refused, or has no effect
\c - :superuser
SELECT count(*) FROM tenancy.viewable_projects();
ALTER DATABASE contrib_regression SET tenancy.user_id = :'alice';
ALTER ROLE ALL SET tenancy.identity = 'u x x 1';
ALTER SYSTEM SET tenancy.user_id = :'alice';
ALTER SYSTEM SET tenancy.identity = '';
\c - :superuser
ALTER DATABASE contrib_regression SET tenancy.user_id = :'alice';
\c - :app
TABLE seen;
\c - :gateway
TABLE seen;
\c - :superuser
ALTER DATABASE contrib_regression RESET tenancy.user_id;

DROP SCHEMA regress_attacks_identity CASCADE;
\i :two_end
