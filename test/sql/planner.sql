-- What the planner makes of a protected table.  The pinned plans are those of
-- queries that would read the whole table if the policy gave no index condition.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_planner_app;
CREATE SCHEMA regress_planner;
GRANT USAGE ON SCHEMA regress_planner TO regress_planner_app;
SET search_path = regress_planner;
\set mia 'b5000000-0000-4000-8000-000000000001'
\set bob 'b5000000-0000-4000-8000-000000000002'
\set org1 'b6000000-0000-4000-8000-000000000001'
\set org2 'b6000000-0000-4000-8000-000000000002'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'mia', 'mia@planner.example', 'Mia'), (:'bob', 'bob@planner.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'mia', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name)
SELECT format('b7000000-0000-4000-8000-%s', lpad(i::text, 12, '0'))::uuid,
	   CASE WHEN i <= 3 THEN :'org1' ELSE :'org2' END::uuid, 'Project ' || i FROM generate_series(1, 200) i;

-- 200 projects of 100 rows; mia sees 3 of them, bob 197
CREATE TABLE events (project_id uuid NOT NULL, id integer NOT NULL, day integer NOT NULL, payload text);
INSERT INTO events SELECT format('b7000000-0000-4000-8000-%s', lpad((1 + i % 200)::text, 12, '0'))::uuid, i, i / 1000, repeat('x', 100)
FROM generate_series(1, 20000) i;
CREATE TABLE by_two AS SELECT * FROM events;
ALTER TABLE by_two ADD PRIMARY KEY (project_id, id);
CREATE TABLE by_hash AS SELECT * FROM events;
CREATE INDEX by_hash_idx ON by_hash USING hash (project_id);
CREATE TABLE by_others AS SELECT * FROM events;
CREATE INDEX by_others_brin ON by_others USING brin (project_id);
CREATE INDEX by_others_second ON by_others (id, project_id);
CREATE INDEX by_others_expression ON by_others ((project_id::text));
CREATE INDEX by_others_partial ON by_others (project_id) WHERE day = 3;
CREATE TABLE parted (LIKE events) PARTITION BY RANGE (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (1000);
INSERT INTO parted SELECT * FROM events;
CREATE TABLE by_organization (organization_id uuid NOT NULL, id integer NOT NULL);
INSERT INTO by_organization SELECT CASE WHEN i <= 100 THEN :'org1' ELSE :'org2' END::uuid, i FROM generate_series(1, 20000) i;
SELECT tenancy.protect('events'), tenancy.protect('by_two'), tenancy.protect('by_hash'), tenancy.protect('by_others'),
	   tenancy.protect('parted'), tenancy.protect_by_organization('by_organization') \gset
-- the tables without a B-tree that leads with the project had one made; what
-- the planner does without it is asked below
DROP INDEX by_hash_project_id_idx, by_others_project_id_idx;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_planner TO regress_planner_app;
VACUUM ANALYZE events, by_two, by_hash, by_others, parted, by_organization;

SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_planner_app;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

-- An index on the column: the policy alone makes a scan of it, and what the
-- index finds is not checked again.
EXPLAIN (COSTS OFF) SELECT * FROM events;
EXPLAIN (COSTS OFF) SELECT * FROM events WHERE payload = 'x';
SELECT count(*) FROM events;
SET enable_bitmapscan = off;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT * FROM events;
SELECT count(*), count(DISTINCT payload) FROM events;
RESET enable_seqscan;
-- what the index holds is read from it alone
EXPLAIN (COSTS OFF) SELECT project_id FROM events;
EXPLAIN (COSTS OFF) SELECT count(*) FROM events;
SELECT count(*) FROM (SELECT project_id FROM events OFFSET 0) e;
-- and in its order
EXPLAIN (COSTS OFF) SELECT DISTINCT project_id FROM by_two;
RESET enable_bitmapscan;

-- An index of several columns that the project leads serves both conditions.
EXPLAIN (COSTS OFF) SELECT * FROM by_two WHERE id BETWEEN 100 AND 1100;
SELECT count(*) FROM by_two WHERE id BETWEEN 100 AND 1100;
EXPLAIN (COSTS OFF) SELECT * FROM by_two WHERE project_id = 'b7000000-0000-4000-8000-000000000001' AND id = 400;
SELECT count(*) FROM by_two WHERE project_id = 'b7000000-0000-4000-8000-000000000001' AND id = 400;
-- a project that the query names is found by it if it can be seen, without a list
EXPLAIN (COSTS OFF) SELECT * FROM by_two WHERE project_id = 'b7000000-0000-4000-8000-000000000100' AND id = 99;
SELECT count(*) FROM by_two WHERE project_id = 'b7000000-0000-4000-8000-000000000100' AND id = 99;

-- UPDATE and DELETE, and the right side of a join.
EXPLAIN (COSTS OFF) UPDATE events SET payload = 'y' WHERE day = 3;
EXPLAIN (COSTS OFF) DELETE FROM events;
EXPLAIN (COSTS OFF) UPDATE by_two SET payload = 'y' WHERE id < 1000;
EXPLAIN (COSTS OFF) SELECT count(*) FROM events e JOIN by_two t USING (project_id, id);
EXPLAIN (COSTS OFF) SELECT * FROM events FOR UPDATE;

-- Each partition by its index, and only those that the query needs.
EXPLAIN (COSTS OFF) SELECT * FROM parted;
EXPLAIN (COSTS OFF) SELECT * FROM parted WHERE day = 3;
EXPLAIN (COSTS OFF) SELECT * FROM parted_2;
SELECT count(*) FROM parted;

-- By organization, with the level that the policy asks for.
EXPLAIN (COSTS OFF) SELECT * FROM by_organization;
EXPLAIN (COSTS OFF) DELETE FROM by_organization;
SELECT count(*) FROM by_organization;

-- A hash index is searched for one project after the other.  BRIN, an index on
-- an expression and one that does not lead with the project are never given a
-- condition: the table is read and each row is checked, whatever is switched
-- off.  A partial index serves only queries that imply its own condition.
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_hash;
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_others;
SELECT (SELECT count(*) FROM by_hash) AS by_hash, (SELECT count(*) FROM by_others) AS by_others;
-- (a high price instead of the switch, of which only 18 leaves a mark in the plan)
SET seq_page_cost = 1000000;
EXPLAIN (COSTS OFF) SELECT * FROM by_others;
RESET seq_page_cost;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_hash;
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_others WHERE day = 3;
SELECT (SELECT count(*) FROM by_hash) AS by_hash, (SELECT count(*) FROM by_others) AS by_others,
	   (SELECT count(*) FROM by_others WHERE day = 3) AS partial;
-- equality goes to the hash index, and the row is checked
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_hash WHERE project_id = 'b7000000-0000-4000-8000-000000000100';
SELECT count(*) FROM by_hash WHERE project_id = 'b7000000-0000-4000-8000-000000000100';
SELECT count(*) FROM by_hash WHERE project_id = 'b7000000-0000-4000-8000-000000000001';
-- a list for the second column would disturb the order of the first
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM by_others WHERE id < 700 ORDER BY id;
SELECT array_agg(id) FROM (SELECT id FROM by_others WHERE id < 700 ORDER BY id OFFSET 0) i;
RESET enable_sort;
RESET enable_seqscan;

-- The inner side of a join is searched for the outer row's project, not for
-- each project that can be seen; so is a project that the join gets from the query.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_bitmapscan = off;
SET enable_memoize = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM events e JOIN by_two t USING (project_id, id);
SELECT count(*) FROM events e JOIN by_two t USING (project_id, id);
EXPLAIN (COSTS OFF) SELECT count(*) FROM by_two t JOIN events e USING (project_id, id)
WHERE e.project_id = 'b7000000-0000-4000-8000-000000000001';
SELECT count(*) FROM events e JOIN by_two t USING (project_id, id)
WHERE e.project_id IN ('b7000000-0000-4000-8000-000000000001', 'b7000000-0000-4000-8000-000000000100');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_bitmapscan;
RESET enable_memoize;

-- Whoever sees nearly everything reads the table.
RESET ROLE;
SELECT tenancy.act_as(:'bob', true) \gset
SET ROLE regress_planner_app;
EXPLAIN (COSTS OFF) SELECT * FROM events;
SELECT count(*) FROM events;

-- The estimate is what somebody sees, also where a few projects hold most of the
-- rows: within a tenth of the truth.
RESET ROLE;
CREATE TABLE skewed (project_id uuid NOT NULL);
INSERT INTO skewed SELECT p.id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM tenancy.projects
									 WHERE name LIKE 'Project %') p,
	 generate_series(1, CASE WHEN n <= 2 THEN 5000 WHEN n = 100 THEN 8000 ELSE 20 END);
SELECT tenancy.protect('skewed') \gset
GRANT SELECT ON skewed TO regress_planner_app;
ANALYZE skewed;
CREATE FUNCTION estimate(query text, truth bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric / truth BETWEEN 0.9 AND 1.1;
END $$;
SET ROLE regress_planner_app;
SELECT estimate('SELECT * FROM events', 19700), estimate('SELECT * FROM skewed', 8000 + 196 * 20);
RESET ROLE;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_planner_app;
SELECT estimate('SELECT * FROM events', 300), estimate('SELECT * FROM skewed', 5000 + 5000 + 20),
	   estimate('SELECT * FROM by_organization', 100);
SET enable_seqscan = off;
SELECT estimate('SELECT * FROM events', 300), estimate('SELECT * FROM skewed', 5000 + 5000 + 20);
RESET enable_seqscan;
-- a project that the query names is not counted twice
SELECT estimate($$SELECT * FROM events WHERE project_id = 'b7000000-0000-4000-8000-000000000002'$$, 100),
	   estimate($$SELECT * FROM events WHERE 'b7000000-0000-4000-8000-000000000002' = project_id$$, 100),
	   estimate($$SELECT * FROM events WHERE project_id = 'b7000000-0000-4000-8000-000000000100'$$, 1),
	   estimate($$SELECT * FROM events WHERE project_id IN ('b7000000-0000-4000-8000-000000000002', 'b7000000-0000-4000-8000-000000000100')$$, 100);
SET tenancy.project_id = 'b7000000-0000-4000-8000-000000000002';
SELECT estimate('SELECT * FROM events', 100);
RESET tenancy.project_id;
RESET ROLE;
SELECT tenancy.act_as(:'bob', true) \gset
SET ROLE regress_planner_app;

-- A generic plan holds for whoever comes next: the list is of the execution,
-- not of the plan (attacks 29 to 31).
SET plan_cache_mode = force_generic_plan;
PREPARE all_events AS SELECT count(*) FROM events;
PREPARE one_event (integer) AS SELECT count(*) FROM by_two WHERE id = $1;
EXPLAIN (COSTS OFF) EXECUTE one_event (99);
EXECUTE all_events;
EXECUTE one_event (99);
RESET ROLE;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_planner_app;
EXECUTE all_events;
EXECUTE one_event (99);
EXECUTE one_event (400);
RESET ROLE;
SELECT tenancy._clear_identity() \gset
SET ROLE regress_planner_app;
EXECUTE all_events;
EXECUTE one_event (400);
EXPLAIN (COSTS OFF) EXECUTE one_event (99);
RESET ROLE;
DEALLOCATE ALL;
-- the same for a project that is a parameter
SET ROLE regress_planner_app;
PREPARE one_project (uuid) AS SELECT count(*) FROM by_two WHERE project_id = $1;
EXPLAIN (COSTS OFF) EXECUTE one_project ('b7000000-0000-4000-8000-000000000001');
EXECUTE one_project ('b7000000-0000-4000-8000-000000000001');
RESET ROLE;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_planner_app;
EXECUTE one_project ('b7000000-0000-4000-8000-000000000001');
EXECUTE one_project ('b7000000-0000-4000-8000-000000000100');
EXPLAIN (COSTS OFF) SELECT * FROM by_organization WHERE organization_id = :'org2';
SELECT count(*) FROM by_organization WHERE organization_id = :'org2';
SELECT count(*) FROM by_organization WHERE organization_id = :'org1';
RESET ROLE;
SELECT tenancy._clear_identity() \gset
DEALLOCATE ALL;
-- and the other way: planned while nobody was signed in
SET ROLE regress_planner_app;
PREPARE all_events AS SELECT count(*) FROM events;
EXPLAIN (COSTS OFF) EXECUTE all_events;
EXECUTE all_events;
RESET ROLE;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_planner_app;
EXECUTE all_events;
DEALLOCATE ALL;
RESET plan_cache_mode;

-- A parallel plan: the workers know who asks, and only that.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM events;
SELECT count(*) FROM events;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;
EXPLAIN (COSTS OFF) SELECT count(*) FROM events;
SELECT count(*) FROM events;
SELECT count(*) FROM parted;
-- narrowed to one project, and nobody
SET tenancy.project_id = 'b7000000-0000-4000-8000-000000000002';
SELECT count(*) FROM events;
RESET tenancy.project_id;
RESET ROLE;
SELECT tenancy._clear_identity() \gset
SET ROLE regress_planner_app;
SELECT count(*) FROM events;
RESET ROLE;

-- The predicates are what the planner relies on (attack 55 is their drift).
SELECT proname, provolatile, proleakproof, proparallel, prosupport FROM pg_proc
WHERE oid IN ('tenancy.can_view'::regproc, 'tenancy.can_edit'::regproc, 'tenancy.can_write'::regproc, 'tenancy.is_member'::regproc,
			  'tenancy.viewable_projects'::regproc, 'tenancy.viewable_organizations'::regproc) ORDER BY 1;
-- The support functions are the planner's only.
DO $$ BEGIN PERFORM tenancy._project_support(NULL::internal); EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLERRM ~ '^cannot .*internal'; END $$;
SET ROLE regress_planner_app;
CREATE FUNCTION pg_temp.mine(uuid) RETURNS boolean LANGUAGE sql SUPPORT tenancy._project_support AS 'SELECT true';
RESET ROLE;
-- Not a column but an expression, a parameter or a join's other side: no index
-- condition, and the right answer.
SELECT tenancy.act_as(:'mia', true) \gset
SELECT count(*) FROM tenancy.projects p WHERE tenancy.can_view(p.id);
SELECT count(*) FROM tenancy.projects p, (VALUES (NULL::uuid), ('b7000000-0000-4000-8000-000000000001')) v (id)
WHERE tenancy.can_view(coalesce(v.id, p.id)) AND p.name = 'Project 100';
-- the one project or organization of an index condition is there under the same rules
SELECT tenancy.viewable_project('b7000000-0000-4000-8000-000000000001') IS NOT NULL AS seen,
	   tenancy.viewable_project('b7000000-0000-4000-8000-000000000100') AS hidden, tenancy.viewable_project(NULL) AS null,
	   tenancy.viewable_organization(:'org1', 'owner') IS NOT NULL AS owned, tenancy.viewable_organization(:'org2') AS foreign,
	   tenancy.viewable_organization(:'org1', NULL) AS null;
BEGIN;
SET LOCAL tenancy.project_id = 'b7000000-0000-4000-8000-000000000002';
SELECT tenancy.viewable_project('b7000000-0000-4000-8000-000000000001') AS narrowed,
	   tenancy.viewable_project('b7000000-0000-4000-8000-000000000002') IS NOT NULL AS seen;
COMMIT;
SELECT tenancy.can_view(NULL), tenancy.can_edit(NULL, 'member'), tenancy.can_edit('b7000000-0000-4000-8000-000000000001', NULL),
	   tenancy.can_write(NULL), tenancy.is_member(NULL), tenancy.is_member(:'org1', NULL);

SELECT tenancy._clear_identity() \gset
DROP SCHEMA regress_planner CASCADE;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@planner.example';
DROP ROLE regress_planner_app;
