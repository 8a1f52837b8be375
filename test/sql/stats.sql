-- tenancy.stats: what a backend counts, and that it is not for everybody.
\set test stats
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
SELECT tenancy.create_session(id('mia')) AS session \gset
SET client_min_messages = warning;
CREATE ROLE regress_stats_monitor LOGIN;
GRANT pg_monitor TO regress_stats_monitor;

-- Counts of others' changes would tell a Member that something hidden has changed:
-- only who monitors the server, and who can act as anybody, may read them.
SET ROLE regress_stats_monitor;
SELECT count(*) FROM tenancy.stats;
SET ROLE :app;
SELECT count(*) FROM tenancy.stats;
SET ROLE :client;
SELECT * FROM tenancy.stats;
SELECT * FROM tenancy._stats();
RESET ROLE;
SELECT object, problem FROM tenancy.lint() WHERE rule = 'tenancy_grants';

-- How much each counter has grown since the last call, but for lookups, of which
-- planning makes some, too.
CREATE TABLE last AS SELECT * FROM tenancy.stats;
CREATE FUNCTION grown() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp
AS $$
DECLARE
	answer text;
BEGIN
	SELECT string_agg(n.key || ' ' || n.value::bigint - o.value::bigint, ', ' ORDER BY array_position('{loads,failed_loads,snapshot_loads,messages,resets,stale,evictions,sign_ins,sign_in_failures,acts}', n.key))
	INTO answer
	FROM tenancy.stats s, jsonb_each_text(to_jsonb(s)) n, last l, jsonb_each_text(to_jsonb(l)) o
	WHERE o.key = n.key AND n.value <> o.value AND n.key NOT IN ('lookups', 'sets', 'bytes');
	DELETE FROM last;
	INSERT INTO last SELECT * FROM tenancy.stats;
	-- how many messages a change needs is its own business
	RETURN coalesce(regexp_replace(answer, 'messages \d+', 'messages'), 'nothing');
END
$$;
SELECT grown();
SET ROLE :app;
-- statements look, and one load is for all of them
SELECT lookups AS before FROM tenancy.stats \gset
SELECT act('mia');
SELECT count(*) FROM events;
SELECT count(*) FROM events;
SELECT lookups - :before > 1 AS looked FROM tenancy.stats;
SELECT grown();
-- signing in, and failing to; what was rolled back counts, too
BEGIN;
SELECT tenancy.authenticate(:'session');
ROLLBACK;
SELECT tenancy.authenticate('tns_nonsense');
SELECT tenancy.authenticate(NULL);
SELECT grown();
SELECT act('mia');
SELECT tenancy.act_as(NULL);
SELECT grown();
-- a change of what the set is made of, one of somebody else, one of everybody
SELECT act('mia');
SELECT count(*) FROM events;
SELECT grown();
RESET ROLE;
UPDATE tenancy.memberships SET level = 'administrator' WHERE user_id = id('mia');
SELECT grown();
SET ROLE :app;
SELECT count(*) FROM events;
SELECT grown();
RESET ROLE;
UPDATE tenancy.users SET is_active = false WHERE id = id('bob');
SELECT grown();
TRUNCATE tenancy.sessions;
-- (mia's set, and the one that says that this login is bound to nobody)
SELECT grown() ~ '^messages, resets \d+, stale 2$' AS everybody;
-- a load that fails, and one that does not after it
BEGIN;
ALTER TABLE tenancy.users RENAME COLUMN is_active TO was_active;
SELECT grown() <> '' AS counted;
SET LOCAL ROLE :app;
\set VERBOSITY terse
SELECT count(*) FROM events;
ROLLBACK;
SELECT grown() ~ 'failed_loads 1' AS failed;
SET ROLE :app;
SELECT count(*) FROM events;
SELECT grown();
-- what is kept, and what goes when there is no room
SELECT sets > 0 AS sets, bytes > 0 AS bytes FROM tenancy.stats;
SET tenancy.cache_size = '64kB';
SET max_parallel_workers_per_gather = 0;	-- a worker counts what it keeps itself
DO $$
BEGIN
	FOR i IN 1 .. 300 LOOP
		PERFORM tenancy.act_as(gen_random_uuid(), true);
		PERFORM count(*) FROM regress.events;
	END LOOP;
END
$$;
SELECT evictions > 100 AS evicted, sets BETWEEN 1 AND 200 AS fewer, bytes <= 65536 AS fits FROM tenancy.stats;
RESET tenancy.cache_size;
RESET max_parallel_workers_per_gather;
RESET ROLE;

\set ECHO none
SELECT tenancy.sign_out() \gset
DROP OWNED BY regress_stats_monitor;
DROP ROLE regress_stats_monitor;
\i :cleanup
