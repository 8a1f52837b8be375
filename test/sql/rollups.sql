-- Protected rollups: aggregates that show to everybody the projects they see, and no
-- other.  Each comment is a promise, and what follows tries to break it.
\set test rollups
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
CREATE TABLE readings (project_id uuid NOT NULL, day date, device integer, value numeric);
SELECT tenancy.protect('readings') \g /dev/null
INSERT INTO readings SELECT id(p), date '2026-01-01' + n % 3, n % 2, n FROM unnest(ARRAY['open', 'hidden', 'foreign']) p, generate_series(1, 12) n;
INSERT INTO readings VALUES (id('open'), NULL, NULL, 1);
SELECT tenancy.create_protected_rollup('readings', 'daily', 'SELECT project_id, day, device, count(*) AS n, sum(value) AS total FROM readings GROUP BY 1, 2, 3');
SELECT rollup, query, column_name FROM tenancy.rollups;
SELECT relation, kind, editable_by FROM tenancy.protected_tables WHERE relation = 'daily'::regclass;
GRANT SELECT ON readings, daily TO :app, :client;
CREATE FUNCTION pg_temp.shown() RETURNS TABLE (project text, n bigint, total numeric) LANGUAGE sql AS $$ SELECT called(project_id), count(*), sum(total) FROM daily GROUP BY 1 ORDER BY 1 $$;
SELECT count(*) FROM daily;
SELECT tenancy.refresh_rollup('daily');

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
SET ROLE regress_rollups_owner;
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
CREATE OR REPLACE FUNCTION trap() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT attempt($$SELECT tenancy.refresh_rollup('"Their ""sums"""')$$);
SELECT called(project_id), n FROM "Their ""sums""";

-- Bad input
SELECT attempt($$SELECT tenancy.create_protected_rollup('daily', 'x', 'SELECT * FROM daily')$$);
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
