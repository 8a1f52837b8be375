-- Protected rollups: aggregates that show to everybody the projects they see, and no
-- other.  Each comment is a promise, and what follows tries to break it.
\set test rollups
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
SET default_transaction_isolation = 'read committed';
CREATE TABLE readings (project_id uuid NOT NULL, day date, device integer, value numeric);
SELECT tenancy.protect('readings') \g /dev/null
INSERT INTO readings SELECT id(p), date '2026-01-01' + n % 3, n % 2, n FROM unnest(ARRAY['open', 'hidden', 'foreign']) p, generate_series(1, 12) n;
INSERT INTO readings VALUES (id('open'), NULL, NULL, 1);
-- attack 42: a function in the table's schema that is called like one of the server's is
-- not called by the commands, whose caller may be a superuser
CREATE FUNCTION format(text, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'this ran as the caller'; END $$;
CREATE FUNCTION format(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'this ran as the caller'; END $$;
SELECT tenancy.create_protected_rollup('readings', 'daily', 'SELECT project_id, day, device, count(*) AS n, sum(value) AS total FROM readings GROUP BY 1, 2, 3');
SELECT rollup, query, column_name FROM tenancy.rollups;
SELECT relation, kind, editable_by FROM tenancy.protected_tables WHERE relation = 'daily'::regclass;
GRANT SELECT ON readings, daily TO :app, :client;
CREATE FUNCTION pg_temp.shown() RETURNS TABLE (project text, n bigint, total numeric) LANGUAGE sql AS $$ SELECT called(project_id), count(*), sum(total) FROM daily GROUP BY 1 ORDER BY 1 $$;
SELECT count(*) FROM daily;
SELECT tenancy.refresh_rollup('daily');
DROP FUNCTION format(text, text), format(text, text, text);

-- Everybody sees of it what they see of the table, and nobody nothing
SET ROLE :app;
SELECT act('alice');
SELECT * FROM pg_temp.shown();
SELECT act('mia');
SELECT * FROM pg_temp.shown();
SELECT act('bob');
SELECT * FROM pg_temp.shown();
SELECT tenancy.sign_out();
SELECT * FROM pg_temp.shown();
-- ... and its query is nobody's
SELECT act('mia');
SELECT attempt('SELECT * FROM daily_query');
RESET ROLE;
GRANT SELECT ON daily_query TO :app;
SET ROLE :app;
SELECT called(project_id), count(*) FROM daily_query GROUP BY 1;
RESET ROLE;

-- Only what is different is written
SELECT tenancy.refresh_rollup('daily');
INSERT INTO readings VALUES (id('open'), '2026-01-01', 1, 1000), (id('foreign'), '2026-05-05', 1, 1);
DELETE FROM readings WHERE project_id = id('hidden') AND day = '2026-01-02';
-- ... one project alone, and then the rest
SELECT tenancy.refresh_rollup('daily', id('open'));
SELECT * FROM pg_temp.shown();
SELECT tenancy.refresh_rollup('daily');
SELECT * FROM pg_temp.shown();
SELECT count(*) FROM (SELECT * FROM daily EXCEPT ALL SELECT * FROM daily_query) a;
SELECT count(*) FROM (SELECT * FROM daily_query EXCEPT ALL SELECT * FROM daily) a;
-- ... a project that is gone goes from it
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.delete_project(id('hidden'));
SELECT tenancy.sign_out();
RESET ROLE;
SELECT * FROM pg_temp.shown();

-- It is kept free of doubles, whoever made them, and row after row under a unique key
INSERT INTO daily SELECT * FROM daily;
SELECT tenancy.refresh_rollup('daily', id('open')), tenancy.refresh_rollup('daily'), tenancy.refresh_rollup('daily');
SELECT count(*) FROM (SELECT * FROM daily EXCEPT ALL SELECT * FROM daily_query) a;
CREATE UNIQUE INDEX one_each ON daily (project_id, day, device);
UPDATE readings SET value = value + 1;
SELECT tenancy.refresh_rollup('daily');
SELECT * FROM pg_temp.shown();
-- ... also where one refresh could not see what another has written
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT attempt($$SELECT tenancy.refresh_rollup('daily')$$);
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT attempt($$SELECT tenancy.refresh_rollup('daily')$$);
ROLLBACK;
-- ... whatever its columns are called
SELECT tenancy.create_protected_rollup('readings', 'odd', 'SELECT project_id, 1 AS x, 2 AS record, 3 AS place, NULL::text AS f, ''{1}''::integer[] AS o FROM readings');
SELECT tenancy.refresh_rollup('odd'), tenancy.refresh_rollup('odd');
DROP TABLE odd;

-- What was not made as a rollup is none, whatever stands beside it
CREATE VIEW events_query AS SELECT * FROM events WHERE false;
SELECT attempt($$SELECT tenancy.refresh_rollup('events')$$);
-- ... or has a constraint of that name, or one that names what is no view, or a view
-- of another owner
ALTER TABLE events ADD CONSTRAINT tenancy_rollup CHECK (project_id IS NOT NULL), ADD CHECK (NULL::events_query IS NULL);
SELECT attempt($$SELECT tenancy.refresh_rollup('events')$$);
ALTER TABLE events DROP CONSTRAINT tenancy_rollup, ADD CONSTRAINT tenancy_rollup CHECK (NULL::known IS NULL);
SELECT attempt($$SELECT tenancy.refresh_rollup('events')$$);
ALTER TABLE events DROP CONSTRAINT tenancy_rollup, ADD CONSTRAINT tenancy_rollup CHECK (NULL::events_query IS NULL);
ALTER VIEW events_query OWNER TO :client;
SELECT attempt($$SELECT tenancy.refresh_rollup('events')$$);
SELECT count(*) FROM events;
DROP VIEW events_query CASCADE;
-- ... and what was is one under any name, as long as it has its query
ALTER TABLE daily RENAME TO events_daily;
ALTER VIEW daily_query RENAME TO sums;
SELECT rollup, query, column_name FROM tenancy.rollups;
SELECT tenancy.refresh_rollup('events_daily');
SELECT attempt('DROP VIEW sums');

-- Whoever does not see every row gets an error, rather than less than all
CREATE ROLE regress_rollups_owner;
GRANT CREATE, USAGE ON SCHEMA regress TO regress_rollups_owner;
GRANT REFERENCES ON tenancy.projects TO regress_rollups_owner;
SET ROLE regress_rollups_owner;
CREATE TABLE theirs (project_id uuid NOT NULL, n integer);
SELECT tenancy.protect('theirs') \g /dev/null
CREATE FUNCTION trap() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', CASE WHEN current_user LIKE 'regress%' THEN current_user ELSE 'a superuser' END; END $$;
SELECT tenancy.create_protected_rollup('theirs', '"Their ""sums"""', 'SELECT project_id, sum(n) AS n, regress.trap() AS trap FROM theirs GROUP BY 1');
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
-- attack 89: nor does anybody else run the owner's query, the superuser least of all
RESET ROLE;
INSERT INTO theirs VALUES (id('open'), 1);
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
ALTER ROLE regress_rollups_owner BYPASSRLS;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
SET ROLE regress_rollups_owner;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
-- ... which cannot become who called, or the session's user
CREATE OR REPLACE FUNCTION trap() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN 1; END $$;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
RESET ROLE;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
-- ... nor when the planner looks for constants
SET ROLE regress_rollups_owner;
CREATE OR REPLACE FUNCTION trap() RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', CASE WHEN current_user LIKE 'regress%' THEN current_user ELSE 'a superuser' END; END $$;
RESET ROLE;
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'folded', 'SELECT project_id, regress.trap() AS trap FROM theirs')$$);
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
SET ROLE regress_rollups_owner;
CREATE OR REPLACE FUNCTION trap() RETURNS integer VOLATILE LANGUAGE sql AS 'SELECT 1';
-- ... nor later, by a trigger that waits for the end of the transaction
CREATE FUNCTION trapdoor() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', CASE WHEN current_user LIKE 'regress%' THEN current_user ELSE 'a superuser' END; END $$;
CREATE CONSTRAINT TRIGGER trapdoor AFTER INSERT ON "Their ""sums""" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trapdoor();
RESET ROLE;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
DROP TRIGGER trapdoor ON "Their ""sums""";
-- ... and a query of several statements is run as the owner, too
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'several', 'SELECT project_id FROM theirs; CREATE TABLE made_by AS SELECT current_user AS who')$$);
SELECT who FROM made_by;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('folded', 'folded_query', 'several', 'several_query', 'made_by') AND relnamespace = 'regress'::regnamespace;
-- ... nor do its members, who have not the owner's attributes
CREATE ROLE regress_rollups_member IN ROLE regress_rollups_owner;
SET ROLE regress_rollups_member;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'x', 'SELECT project_id FROM theirs')$$);
SELECT attempt($$SELECT * FROM tenancy._run_as_owner('theirs', '', 'SELECT 1')$$);
RESET ROLE;
DROP ROLE regress_rollups_member;
SELECT attempt($$SELECT * FROM tenancy._run_as_owner(4294967295::oid, '', 'SELECT 1')$$);
-- ... where nobody may make temporary tables, as lint() advises
BEGIN;
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;
SET LOCAL ROLE regress_rollups_owner;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
SELECT called(project_id), n FROM "Their ""sums""";
ROLLBACK;
SHOW search_path;
SET ROLE regress_rollups_owner;

-- Bad input
SELECT attempt($$SELECT tenancy.create_protected_rollup('events_daily', 'x', 'SELECT * FROM events_daily')$$);
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'no_project', 'SELECT sum(n) AS n FROM theirs')$$);
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'theirs', 'SELECT project_id FROM theirs')$$);
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', 'broken', 'SELECT project_id FROM')$$);
SELECT attempt($$SELECT tenancy.create_protected_rollup('known', 'x', 'SELECT 1')$$);
SELECT attempt(format($$SELECT tenancy.create_protected_rollup('theirs', %L, 'SELECT project_id FROM theirs')$$, repeat('x', 58)));
SELECT attempt($$SELECT tenancy.create_protected_rollup('theirs', NULL, 'SELECT project_id FROM theirs')$$);
SELECT attempt($$SELECT tenancy.refresh_rollup('theirs')$$);
SELECT attempt($$SELECT tenancy.refresh_rollup(NULL)$$);
SELECT count(*) FROM tenancy.rollups WHERE rollup::text LIKE '%no_project%' OR rollup::text LIKE '%broken%';
RESET ROLE;
DROP OWNED BY regress_rollups_owner CASCADE;
DROP ROLE regress_rollups_owner;
\i :cleanup
