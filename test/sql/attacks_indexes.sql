-- Attack 39: the index condition that the planner derives from can_view() and
-- its relatives, on every kind of index and in every kind of expression: the
-- answer is the one that a sequential scan gives.  The number is that of the
-- attack catalogue.
\set test attacks_indexes
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE EXTENSION btree_gin;
CREATE EXTENSION btree_gist;
CREATE DOMAIN attacks_indexes_id AS uuid;
-- each project_id beside each other_id, organization_id and kind; more rows of
-- alice's than of bob's, so that their answers differ
CREATE TABLE attacks_indexes_t (project_id uuid, other_id uuid, organization_id uuid, domain_id attacks_indexes_id, text_id text, kind text, n integer);
INSERT INTO attacks_indexes_t
SELECT p, o, g, p, p::text, k, n
FROM (VALUES (:'p1'::uuid, 20), (:'p2', 12), ('00000000-0000-4000-8000-0000000000ff', 10), (NULL, 10)) p (p, most),
	 (VALUES (:'p1'::uuid), (:'p2'), (NULL)) o (o),
	 (VALUES (:'one'::uuid), (:'two'), (NULL)) g (g), (VALUES ('a'), ('B')) k (k), generate_series(1, most) n;
CREATE TABLE attacks_indexes (name text, definition text);
INSERT INTO attacks_indexes VALUES ('btree', '(project_id)'), ('second', '(lower(kind), project_id)'), ('include', '(kind) INCLUDE (project_id)'),
	('partial', '(project_id) WHERE kind = ''a'''), ('desc', '(project_id DESC NULLS LAST, n)'), ('unique', '(project_id, other_id, organization_id, kind, n)'),
	('hash', 'USING hash (project_id)'), ('brin', 'USING brin (project_id)'), ('gin', 'USING gin (project_id)'), ('gist', 'USING gist (project_id)'),
	('other', '(other_id)'), ('domain', '(domain_id)'), ('text', '(text_id)'), ('cast', '((text_id::uuid))'),
	('organization', '(organization_id)'), ('expression', '((coalesce(project_id, other_id)))');
SELECT format('CREATE INDEX ON attacks_indexes_t %s', definition) FROM attacks_indexes \gexec
ANALYZE attacks_indexes_t;
GRANT SELECT ON attacks_indexes_t TO PUBLIC;

-- Each condition is counted under a plan of each kind, with each index alone.
CREATE TABLE attacks_indexes_conditions (i integer, condition text);
INSERT INTO attacks_indexes_conditions VALUES
	(1, 'tenancy.can_view(project_id)'),
	(2, 'NOT tenancy.can_view(project_id)'),
	(3, 'tenancy.can_view(project_id) IS NOT TRUE'),
	(4, 'tenancy.can_view(project_id) IS NULL'),
	(5, 'tenancy.can_view(project_id) OR tenancy.can_view(other_id)'),
	(6, 'tenancy.can_view(project_id) AND tenancy.can_view(other_id)'),
	(7, 'tenancy.can_view(project_id) AND NOT tenancy.can_view(other_id)'),
	(8, 'tenancy.can_view(other_id)'),
	(9, 'tenancy.can_view(domain_id)'),
	(10, 'tenancy.can_view(text_id::uuid)'),
	(11, 'tenancy.can_view(coalesce(project_id, other_id))'),
	(12, 'tenancy.can_view(project_id) AND lower(kind) = ''a'''),
	(13, 'tenancy.can_view(project_id) AND kind = ''a'''),
	(14, 'CASE WHEN kind = ''a'' THEN tenancy.can_view(project_id) ELSE true END'),
	(15, 'tenancy.can_view(project_id) = false'),
	(16, 'coalesce(tenancy.can_view(project_id), true)'),
	(17, 'tenancy.can_edit(project_id, ''owner'')'),
	(18, 'tenancy.can_edit(project_id, CASE WHEN kind = ''a'' THEN ''owner''::tenancy.access_level END)'),
	(19, 'tenancy.can_edit(project_id, NULL)'),
	(20, 'tenancy.can_write(project_id, ''member'')'),
	(21, 'tenancy.is_member(organization_id, ''member'')'),
	(22, 'tenancy.is_member(organization_id, ''owner'') AND tenancy.can_view(project_id)'),
	(23, 'NOT tenancy.is_member(organization_id, ''member'')'),
	(24, 'tenancy.is_member(organization_id, CASE WHEN kind = ''a'' THEN ''member''::tenancy.access_level END)'),
	(25, 'tenancy.is_member(organization_id, NULL)'),
	(26, 'tenancy.can_view(organization_id)'),
	(27, 'tenancy.is_member(project_id, ''member'')'),
	(28, 'project_id = ANY (tenancy.viewable_projects())'),
	(29, 'project_id <> ALL (tenancy.viewable_projects())'),
	(30, 'project_id IN (SELECT other_id FROM attacks_indexes_t WHERE tenancy.can_view(other_id))'),
	(31, 'EXISTS (SELECT FROM attacks_indexes_t x WHERE x.other_id = t.project_id AND tenancy.can_view(x.project_id))'),
	(32, 'tenancy.can(''project.view'', project_id)'),
	(33, 'tenancy.level_in(project_id) = ''owner''');
GRANT SELECT ON attacks_indexes_conditions TO PUBLIC;
CREATE FUNCTION attacks_indexes_compare(condition text, source text DEFAULT 'attacks_indexes_t t') RETURNS text LANGUAGE plpgsql
	SET jit = off	-- compiling each plan would take most of the time
AS $$
DECLARE
	plans text[] := ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan'];
	answer bigint;
	answers bigint[] := '{}';
	plan text;
BEGIN
	FOREACH plan IN ARRAY plans LOOP
		-- an index-only scan needs index scans to be on
		PERFORM set_config('enable_' || p, CASE WHEN p = plan OR p || plan = 'indexscanindexonlyscan' THEN 'on' ELSE 'off' END, true) FROM unnest(plans) p;
		EXECUTE format('SELECT count(*) FROM %s WHERE %s', source, condition) INTO answer;
		answers := answers || answer;
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT a::text, ' or ') FROM unnest(answers) a);
END $$;

-- attack 39: all indexes at once.  Of 936 rows 360 are in alice's project, 216 in
-- bob's; 312 have the other_id of either, and 312 the organization
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
CREATE TEMPORARY TABLE alice AS SELECT i, attacks_indexes_compare(condition) AS answer FROM attacks_indexes_conditions;
SELECT tenancy.act_as(:'bob') \gset
CREATE TEMPORARY TABLE bob AS SELECT i, attacks_indexes_compare(condition) AS answer FROM attacks_indexes_conditions;
SELECT tenancy.act_as(NULL) \gset
CREATE TEMPORARY TABLE nobody AS SELECT i, attacks_indexes_compare(condition) AS answer FROM attacks_indexes_conditions;
SELECT i, alice.answer AS alice, bob.answer AS bob, nobody.answer AS nobody, condition
FROM alice JOIN bob USING (i) JOIN nobody USING (i) JOIN attacks_indexes_conditions USING (i) ORDER BY i;

-- attack 39: in a parallel worker
SELECT tenancy.act_as(:'alice') \gset
SELECT set_config(name, 'on', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset
SELECT i, attacks_indexes_compare(condition) AS answer FROM attacks_indexes_conditions WHERE i IN (1, 3, 5, 14, 21) ORDER BY i;
SELECT set_config(name, 'off', true) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \gset

-- attack 39: in joins, on the side that may be null, and in what comes after
SELECT tenancy.act_as(:'alice') \gset
SELECT attacks_indexes_compare('tenancy.can_view(r.project_id)',
	'events l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.project_id') AS left_join,
	attacks_indexes_compare('NOT tenancy.can_view(r.project_id)',
	'(SELECT DISTINCT other_id FROM attacks_indexes_t) l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.other_id') AS anti,
	attacks_indexes_compare('true',
	'(SELECT DISTINCT other_id FROM attacks_indexes_t) l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.other_id AND tenancy.can_view(r.project_id)') AS in_on,
	attacks_indexes_compare('true', '(SELECT project_id FROM attacks_indexes_t GROUP BY project_id HAVING tenancy.can_view(project_id)) g') AS having_,
	attacks_indexes_compare('tenancy.can_view(project_id)', '(SELECT DISTINCT project_id FROM attacks_indexes_t WHERE project_id IS NOT NULL ORDER BY 1 LIMIT 3) g') AS after_limit;
COMMIT;

-- attack 39: each index alone gives the same answers; and where the condition is
-- derived, so that this tests something: from indexes that the column leads
\c - :superuser
SET client_min_messages = warning;
CREATE FUNCTION attacks_indexes_alone(definition text, OUT derived_for text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	c record;
	plan text;
BEGIN
	DROP TABLE IF EXISTS attacks_indexes_1;
	CREATE TABLE attacks_indexes_1 AS TABLE attacks_indexes_t;
	EXECUTE 'CREATE INDEX ON attacks_indexes_1 ' || definition;
	ANALYZE attacks_indexes_1;
	same := true;
	FOR c IN SELECT * FROM attacks_indexes_conditions WHERE i IN (1, 2, 5, 8, 9, 10, 11, 12, 13, 17, 20, 21) ORDER BY i LOOP
		same := same AND attacks_indexes_compare(c.condition, 'attacks_indexes_1 t') = attacks_indexes_compare(c.condition);
		SET LOCAL enable_seqscan = off;
		EXECUTE format('EXPLAIN (COSTS OFF, FORMAT JSON) SELECT n FROM attacks_indexes_1 t WHERE %s', c.condition) INTO plan;
		IF plan ~ 'Index Cond.*viewable' THEN
			derived_for := concat_ws(' ', derived_for, c.i);
		END IF;
	END LOOP;
END $$;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT name, derived_for, same FROM attacks_indexes i, attacks_indexes_alone(i.definition) ORDER BY name COLLATE "C";
COMMIT;

-- attack 39: the plans: the condition takes the predicate's place where it is exact
CREATE INDEX attacks_indexes_1_project ON attacks_indexes_1 (project_id);
CREATE INDEX attacks_indexes_1_other ON attacks_indexes_1 (other_id);
CREATE INDEX attacks_indexes_1_organization ON attacks_indexes_1 (organization_id);
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE tenancy.can_view(project_id);
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE tenancy.can_edit(project_id, 'owner');
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE tenancy.is_member(organization_id, 'administrator');
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE tenancy.can_view(project_id) OR tenancy.can_view(other_id);
-- ... and never under NOT, which it does not bound
-- (a high price instead of the switch, of which only 18 leaves a mark in the plan)
SET LOCAL enable_seqscan = on;
SET LOCAL seq_page_cost = 1000000;
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE NOT tenancy.can_view(project_id);
-- ... nor for writing, which a project token may, too
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_1 WHERE tenancy.can_write(project_id, 'member');
ROLLBACK;
DROP TABLE attacks_indexes_t, attacks_indexes_1, attacks_indexes, attacks_indexes_conditions;
DROP DOMAIN attacks_indexes_id;
DROP FUNCTION attacks_indexes_compare(text, text), attacks_indexes_alone(text);
DROP EXTENSION btree_gin, btree_gist;
\i :two_end
