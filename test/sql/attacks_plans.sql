-- Attacks by way of the planner: a plan, a cursor or an index that was made
-- for one identity serves another.  The numbers are those of the attack
-- catalogue.
\set test attacks_plans
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE TABLE attacks_plans_wide (project_id uuid NOT NULL, other_id uuid NOT NULL, kind text, n integer);
SELECT tenancy.protect('attacks_plans_wide') \gset
INSERT INTO attacks_plans_wide SELECT p, o, k, n FROM generate_series(1, 100) n, (VALUES (:'p1'::uuid), (:'p2')) p (p),
	(VALUES (:'p1'::uuid), (:'p2')) o (o), (VALUES ('a'), ('B')) k (k);
INSERT INTO tenancy.projects (id, organization_id, name)
SELECT ('00000000-0000-4000-9000-' || lpad(i::text, 12, '0'))::uuid, :'two', 'Filler' FROM generate_series(1, 50) i;
INSERT INTO attacks_plans_wide SELECT id, id, 'a', 1 FROM tenancy.projects WHERE name = 'Filler';
ANALYZE attacks_plans_wide, events;
GRANT SELECT ON attacks_plans_wide TO PUBLIC;
GRANT ALL ON events TO regress_attacks_plans_gateway;

-- attack 29: a generic plan answers each identity its own
\c - :gateway
SET plan_cache_mode = force_generic_plan;
PREPARE q AS SELECT count(*) FROM attacks_plans_wide;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
EXECUTE q;
SELECT tenancy.act_as(:'bob') \gset
EXECUTE q;
SELECT tenancy.act_as(NULL) \gset
EXECUTE q;
COMMIT;
EXECUTE q;
DEALLOCATE q;

-- attack 30: the plan is the same for everybody and holds nobody's ids
CREATE FUNCTION pg_temp.plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text; plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;
PREPARE q AS SELECT count(*) FROM attacks_plans_wide;
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT tenancy.act_as(:'alice') \gset
SELECT pg_temp.plan('EXECUTE q') AS plan_a \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT pg_temp.plan('EXECUTE q') AS plan_b \gset
DEALLOCATE q;
PREPARE q AS SELECT count(*) FROM attacks_plans_wide;
SELECT pg_temp.plan('EXECUTE q') AS plan_c \gset
COMMIT;
SELECT :'plan_a' = :'plan_b' AND :'plan_b' = :'plan_c' AS same, :'plan_a' LIKE '%viewable_projects()%' AS by_index,
	   :'plan_a' ~ '[0-9a-f]{8}-[0-9a-f]{4}' AS has_ids;
DEALLOCATE q;

-- attack 31: nothing that depends on the identity claims to be immutable, or safe
-- to fold away; and what policies call is leakproof, so that it runs first
SELECT p.oid::regprocedure AS wrong FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.provolatile = 'i'
  AND p.proname ~ '^(can|is_member|current|viewable|level_in|require|_session_id|_setting)';
SELECT p.proname, p.provolatile, p.proleakproof, p.proparallel, p.prosupport <> 0 AS supported FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace
  AND p.proname IN ('can_view', 'can_edit', 'can_write', 'is_member')
ORDER BY p.proname COLLATE "C";

-- attack 32: the same behind functions, CTEs, subqueries, unions, laterals, views
CREATE FUNCTION pg_temp.inlined() RETURNS SETOF attacks_plans_wide LANGUAGE sql STABLE AS 'SELECT * FROM public.attacks_plans_wide';
CREATE FUNCTION pg_temp.opaque() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public.attacks_plans_wide); END';
CREATE TEMPORARY VIEW viewed AS SELECT * FROM attacks_plans_wide;
PREPARE q AS SELECT 'inlined' AS shape, count(*) FROM pg_temp.inlined()
	UNION ALL SELECT 'opaque', pg_temp.opaque()
	UNION ALL SELECT 'view', count(*) FROM viewed
	UNION ALL SELECT 'cte', (WITH c AS MATERIALIZED (SELECT * FROM attacks_plans_wide) SELECT count(*) FROM c)
	UNION ALL SELECT 'inlined cte', (WITH c AS NOT MATERIALIZED (SELECT * FROM attacks_plans_wide) SELECT count(*) FROM c)
	UNION ALL SELECT 'subquery', (SELECT count(*) FROM attacks_plans_wide)
	UNION ALL SELECT 'exists', (SELECT count(*) FROM (VALUES (1)) v WHERE EXISTS (SELECT FROM attacks_plans_wide))
	UNION ALL SELECT 'union', count(*) FROM (SELECT * FROM attacks_plans_wide UNION ALL SELECT * FROM attacks_plans_wide) u
	UNION ALL SELECT 'lateral', count(*) FROM generate_series(1, 2) g, LATERAL (SELECT * FROM attacks_plans_wide w WHERE w.n = g) l
	UNION ALL SELECT 'self join', count(*) FROM events a JOIN events b USING (project_id)
	UNION ALL SELECT 'recursive', (WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r, (SELECT count(*) AS c FROM events) e WHERE i < c)
								   SELECT count(*) FROM r);
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
EXECUTE q;
SELECT tenancy.act_as(:'bob') \gset
EXECUTE q;
COMMIT;
EXECUTE q;
DEALLOCATE q;
-- attack 32: the identity stays when the role changes, and the plan follows the role's rights
\c - :superuser
SET plan_cache_mode = force_generic_plan;
PREPARE q AS SELECT count(*) FROM events;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
EXECUTE q;
SET LOCAL ROLE regress_attacks_plans_app;
EXECUTE q;
SET LOCAL ROLE regress_attacks_plans_gateway;
SELECT tenancy.act_as(:'alice') \gset
EXECUTE q;
SET LOCAL ROLE regress_attacks_plans_app;
EXECUTE q;
COMMIT;
EXECUTE q;

-- attack 33: a prepared plan obeys policies as they are now
CREATE FUNCTION attacks_plans_ddl(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN EXECUTE command; END';
\c - :gateway
SET plan_cache_mode = force_generic_plan;
PREPARE q AS SELECT count(*) FROM events;
EXECUTE q;
SELECT attacks_plans_ddl('SELECT tenancy.unprotect(''events'')') \gset
EXECUTE q;
SELECT attacks_plans_ddl('SELECT tenancy.protect(''events'')') \gset
EXECUTE q;
SELECT attacks_plans_ddl('DROP POLICY tenancy_select ON events') \gset
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
EXECUTE q;
SELECT attacks_plans_ddl('SELECT tenancy.protect(''events'')') \gset
EXECUTE q;
SELECT attacks_plans_ddl('ALTER TABLE events DISABLE ROW LEVEL SECURITY') \gset
EXECUTE q;
SELECT attacks_plans_ddl('ALTER TABLE events ENABLE ROW LEVEL SECURITY') \gset
EXECUTE q;
COMMIT;
EXECUTE q;

-- attack 34: parallel workers have the leader's identity, whatever carries it
\c - :gateway
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset
SET parallel_leader_participation = off;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
CREATE FUNCTION pg_temp.is_parallel() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan text;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) SELECT count(*), min(project_id::text) FROM attacks_plans_wide' INTO plan;
	RETURN plan ~ '"Gather';
END $$;
SELECT pg_temp.is_parallel();
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT count(*), count(DISTINCT project_id) AS projects FROM attacks_plans_wide;
SELECT tenancy.act_as(:'bob') \gset
SELECT count(*), count(DISTINCT project_id) AS projects FROM attacks_plans_wide;
COMMIT;
SELECT count(*) FROM attacks_plans_wide;
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
SELECT count(*) FROM attacks_plans_wide;
SET LOCAL tenancy.project_id = :'p2';
SELECT count(*) FROM attacks_plans_wide;
COMMIT;
SELECT count(*) FROM attacks_plans_wide;
SELECT tenancy.act_as(:'alice', session_wide => true) \gset
SELECT count(*) FROM attacks_plans_wide;
BEGIN;
SELECT count(*) FROM attacks_plans_wide;
SAVEPOINT s;
SELECT tenancy.act_as(:'bob') \gset
SELECT count(*) FROM attacks_plans_wide;
ROLLBACK TO s;
SELECT count(*) FROM attacks_plans_wide;
SELECT tenancy.act_as(:'bob') \gset
SELECT 1/0;
ROLLBACK;
SELECT count(*) FROM attacks_plans_wide;
-- ... and of a setting that does not count they make nothing either
SET tenancy.user_id = :'alice';
SELECT count(*) FROM attacks_plans_wide;

\c - :superuser
DROP FUNCTION attacks_plans_ddl(text);
DROP TABLE attacks_plans_wide;
\i :two_end
