-- Attacks by way of time: an identity that outlives its transaction, its
-- savepoint or its statement, or that comes back to the next client of a
-- pooled connection.  The numbers are those of the attack catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_attacks_pool_app LOGIN;
CREATE ROLE regress_attacks_pool_gateway LOGIN;
SELECT tenancy.grant_application('regress_attacks_pool_gateway') \gset
\set alice 00000000-0000-4000-8000-00000000000a
\set bob 00000000-0000-4000-8000-00000000000b
INSERT INTO tenancy.users (id, email, name)
VALUES (:'alice', 'alice@attacks-pool.example', 'alice'), (:'bob', 'bob@attacks-pool.example', 'bob');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_organization('One') AS one \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.create_organization('Two') AS two \gset
COMMIT;
SELECT id AS p1 FROM tenancy.projects WHERE organization_id = :'one' \gset
SELECT id AS p2 FROM tenancy.projects WHERE organization_id = :'two' \gset
CREATE TABLE attacks_pool_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('attacks_pool_events') \gset
INSERT INTO attacks_pool_events SELECT :'p1', g FROM generate_series(1, 10) g;
INSERT INTO attacks_pool_events SELECT :'p2', g FROM generate_series(1, 3) g;
GRANT SELECT ON attacks_pool_events TO PUBLIC;
-- who is acting, and how many rows they see: alice 10, bob 3, nobody 0
CREATE FUNCTION attacks_pool_name() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT coalesce((SELECT name FROM tenancy.users WHERE id = tenancy.current_user_id()), ''nobody'')';
CREATE VIEW attacks_pool_seen WITH (security_invoker = true) AS
	SELECT attacks_pool_name() AS acting, (SELECT count(*) FROM attacks_pool_events) AS seen;
GRANT SELECT ON attacks_pool_seen TO PUBLIC;
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset

-- attack 9, 10: signing in ends with the transaction, also an implicit one
\c - regress_attacks_pool_app
SELECT tenancy.authenticate(:'session_a') \gset
TABLE attacks_pool_seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
ROLLBACK;
TABLE attacks_pool_seen;
\c - regress_attacks_pool_gateway
SELECT tenancy.act_as(:'alice') \gset
TABLE attacks_pool_seen;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;

-- attack 9: so does a plain SET, and set_config() for the session
SET tenancy.user_id = :'alice';
TABLE attacks_pool_seen;
SELECT set_config('tenancy.user_id', :'alice', false) = :'alice' AS accepted;
TABLE attacks_pool_seen;
BEGIN;
SET tenancy.user_id = :'alice';
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;
SHOW tenancy.user_id;

-- attack 9: and an identity of a transaction that chains the next one
BEGIN;
SET tenancy.user_id = :'alice';
COMMIT AND CHAIN;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'bob') \gset
COMMIT AND CHAIN;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'bob') \gset
ROLLBACK AND CHAIN;
TABLE attacks_pool_seen;
COMMIT;

-- attack 9: a procedure's commit ends it as well
CREATE PROCEDURE pg_temp.act() LANGUAGE plpgsql AS $$
BEGIN
	SET tenancy.user_id = '00000000-0000-4000-8000-00000000000a';
	RAISE WARNING 'before the commit: %', (SELECT s FROM public.attacks_pool_seen s);
	COMMIT;
	RAISE WARNING 'after it: %', (SELECT s FROM public.attacks_pool_seen s);
END $$;
CALL pg_temp.act();
TABLE attacks_pool_seen;

-- attack 11: a failed transaction does not bring back the previous client
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
TABLE attacks_pool_seen;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
TABLE attacks_pool_seen;
SELECT 1/0;
ROLLBACK;
TABLE attacks_pool_seen;
-- ... nor does one that was rolled back, by whatever means it changed who acts
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(:'bob', session_wide => true) \gset
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SET LOCAL tenancy.user_id = :'bob';
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SAVEPOINT s;
SELECT tenancy.act_as(:'bob') \gset
ROLLBACK TO s;
SELECT 1/0;
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.sign_out() \gset
TABLE attacks_pool_seen;
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(NULL) \gset
TABLE attacks_pool_seen;
SELECT 1/0;
ROLLBACK;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
RESET ALL;
ROLLBACK;
TABLE attacks_pool_seen;
-- ... and a transaction-wide identity that ended took the session-wide one along
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
COMMIT;
TABLE attacks_pool_seen;
-- ... while failures that touch no identity leave a session-wide one alone
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
SELECT 1/0;
TABLE attacks_pool_seen;
SELECT tenancy.act_as(NULL) \gset
TABLE attacks_pool_seen;

-- attack 12: login roles need no temporary tables, so an administrator can take
-- that right away and everything goes on working
\c - :superuser
REVOKE TEMPORARY ON DATABASE contrib_regression FROM PUBLIC;
\c - regress_attacks_pool_app
CREATE TEMPORARY TABLE attacks_pool_events (project_id uuid);
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE attacks_pool_seen;
COMMIT;
\c - :superuser
GRANT TEMPORARY ON DATABASE contrib_regression TO PUBLIC;

-- attack 14: a savepoint takes the identity back
\c - regress_attacks_pool_app
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
BEGIN;
SAVEPOINT s;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE attacks_pool_seen;
ROLLBACK TO s;
TABLE attacks_pool_seen;
COMMIT;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.sign_out() \gset
TABLE attacks_pool_seen;
ROLLBACK TO s;
TABLE attacks_pool_seen;
COMMIT;

-- attack 15: so does an exception block
\c - regress_attacks_pool_app
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SELECT set_config('my.session_b', :'session_b', true) = '' AS empty;
DO $$
BEGIN
	PERFORM tenancy.authenticate(current_setting('my.session_b'));
	RAISE WARNING 'inside: %', (SELECT s FROM attacks_pool_seen s);
	RAISE EXCEPTION 'out';
EXCEPTION WHEN raise_exception THEN
	RAISE WARNING 'in the handler: %', (SELECT s FROM attacks_pool_seen s);
END $$;
TABLE attacks_pool_seen;
COMMIT;

-- attack 16: a released savepoint keeps it until the transaction ends
BEGIN;
SAVEPOINT s;
SELECT tenancy.authenticate(:'session_b') \gset
RELEASE s;
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;
\c - regress_attacks_pool_gateway
BEGIN;
SAVEPOINT s;
SET tenancy.user_id = :'bob';
RELEASE s;
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;

-- attack 17: it survives the end of a function that has a SET clause, and no commit
CREATE FUNCTION pg_temp.sign_in(credential text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog
	AS 'BEGIN PERFORM tenancy.authenticate(credential); END';
BEGIN;
SELECT pg_temp.sign_in(:'session_b') \gset
TABLE attacks_pool_seen;
COMMIT;
TABLE attacks_pool_seen;

\c - :superuser
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.delete_organization(:'one') \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
DROP VIEW attacks_pool_seen;
DROP FUNCTION attacks_pool_name();
DROP TABLE attacks_pool_events;
DELETE FROM tenancy.users WHERE email LIKE '%@attacks-pool.example';
DROP OWNED BY regress_attacks_pool_app, regress_attacks_pool_gateway;
DROP ROLE regress_attacks_pool_app, regress_attacks_pool_gateway;
