-- Attacks by way of time: an identity that outlives its transaction, its
-- savepoint or its statement, or that comes back to the next client of a
-- pooled connection.  The numbers are those of the attack catalogue.
\set test attacks_pool
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset

-- attack 9, 10: signing in ends with the transaction, also an implicit one
\c - :app
SELECT tenancy.authenticate(:'session_a') \gset
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE seen;
COMMIT;
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
ROLLBACK;
TABLE seen;
\c - :gateway
SELECT tenancy.act_as(:'alice') \gset
TABLE seen;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
TABLE seen;
COMMIT;
TABLE seen;

-- attack 9: so does a plain SET, and set_config() for the session
SET tenancy.user_id = :'alice';
TABLE seen;
SELECT set_config('tenancy.user_id', :'alice', false) = :'alice' AS accepted;
TABLE seen;
BEGIN;
SET tenancy.user_id = :'alice';
TABLE seen;
COMMIT;
TABLE seen;
SHOW tenancy.user_id;

-- attack 9: and an identity of a transaction that chains the next one
BEGIN;
SET tenancy.user_id = :'alice';
COMMIT AND CHAIN;
TABLE seen;
SELECT tenancy.act_as(:'bob') \gset
COMMIT AND CHAIN;
TABLE seen;
SELECT tenancy.act_as(:'bob') \gset
ROLLBACK AND CHAIN;
TABLE seen;
COMMIT;

-- attack 9: a procedure's commit ends it as well
CREATE PROCEDURE pg_temp.act() LANGUAGE plpgsql AS $$
BEGIN
	SET tenancy.user_id = '00000000-0000-4000-8000-00000000000a';
	RAISE WARNING 'before the commit: %', (SELECT s FROM public.seen s);
	COMMIT;
	RAISE WARNING 'after it: %', (SELECT s FROM public.seen s);
END $$;
CALL pg_temp.act();
TABLE seen;

-- attack 11: a failed transaction does not bring back the previous client
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
TABLE seen;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
TABLE seen;
SELECT 1/0;
ROLLBACK;
TABLE seen;
-- ... nor does one that was rolled back, by whatever means it changed who acts
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(:'bob', session_wide => true) \gset
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SET LOCAL tenancy.user_id = :'bob';
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SAVEPOINT s;
SELECT tenancy.act_as(:'bob') \gset
ROLLBACK TO s;
SELECT 1/0;
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.sign_out() \gset
TABLE seen;
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(NULL) \gset
TABLE seen;
SELECT 1/0;
ROLLBACK;
TABLE seen;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
RESET ALL;
ROLLBACK;
TABLE seen;
-- ... and a transaction-wide identity that ended took the session-wide one along
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
COMMIT;
TABLE seen;
-- ... while failures that touch no identity leave a session-wide one alone
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
SELECT 1/0;
TABLE seen;
SELECT tenancy.act_as(NULL) \gset
TABLE seen;

-- attack 12: login roles need no temporary tables, so an administrator can take
-- that right away and everything goes on working
\c - :superuser
REVOKE TEMPORARY ON DATABASE contrib_regression FROM PUBLIC;
\c - :app
CREATE TEMPORARY TABLE events (project_id uuid);
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
TABLE seen;
COMMIT;
\c - :superuser
GRANT TEMPORARY ON DATABASE contrib_regression TO PUBLIC;

-- attack 13: what a client of the pool leaves behind answers the next one about
-- its own rows; and DISCARD ALL leaves nothing behind
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
PREPARE left_behind AS SELECT * FROM seen;
EXECUTE left_behind;
CREATE TEMPORARY VIEW left_view AS SELECT * FROM events;
CREATE FUNCTION pg_temp.left_function() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM events); END';
SELECT pg_temp.left_function();
DECLARE left_cursor CURSOR WITH HOLD FOR SELECT count(*) FROM events;
SET search_path = pg_temp, public;
LISTEN left_channel;
COMMIT;
SELECT pg_advisory_lock(13) \gset
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
EXECUTE left_behind;
SELECT pg_temp.left_function(), (SELECT count(*) FROM left_view) AS left_view;
COMMIT;
EXECUTE left_behind;
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
DISCARD ALL;
SELECT (SELECT count(*) FROM pg_prepared_statements) AS statements, (SELECT count(*) FROM pg_cursors WHERE name <> '') AS cursors,
	   (SELECT count(*) FROM pg_listening_channels()) AS channels, current_setting('search_path') AS path,
	   (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS temporary,
	   (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks;
TABLE seen;

-- attack 14: a savepoint takes the identity back
\c - :app
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
BEGIN;
SAVEPOINT s;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
ROLLBACK TO s;
TABLE seen;
COMMIT;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.sign_out() \gset
TABLE seen;
ROLLBACK TO s;
TABLE seen;
COMMIT;

-- attack 15: so does an exception block
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SELECT set_config('my.session_b', :'session_b', true) = '' AS empty;
DO $$
BEGIN
	PERFORM tenancy.authenticate(current_setting('my.session_b'));
	RAISE WARNING 'inside: %', (SELECT s FROM seen s);
	RAISE EXCEPTION 'out';
EXCEPTION WHEN raise_exception THEN
	RAISE WARNING 'in the handler: %', (SELECT s FROM seen s);
END $$;
TABLE seen;
COMMIT;

-- attack 16: a released savepoint keeps it until the transaction ends
BEGIN;
SAVEPOINT s;
SELECT tenancy.authenticate(:'session_b') \gset
RELEASE s;
TABLE seen;
COMMIT;
TABLE seen;
\c - :gateway
BEGIN;
SAVEPOINT s;
SET tenancy.user_id = :'bob';
RELEASE s;
TABLE seen;
COMMIT;
TABLE seen;

-- attack 17: it survives the end of a function that has a SET clause, and no commit
CREATE FUNCTION pg_temp.sign_in(credential text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog
	AS 'BEGIN PERFORM tenancy.authenticate(credential); END';
BEGIN;
SELECT pg_temp.sign_in(:'session_b') \gset
TABLE seen;
COMMIT;
TABLE seen;
\i :two_end
