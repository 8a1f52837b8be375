-- Attack 39: the index condition that the planner derives from can_view() and
-- its relatives, on every kind of index and in every kind of expression: the
-- answer is the one that a sequential scan gives.  The number is that of the
-- attack catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_attacks_indexes_app LOGIN;
CREATE ROLE regress_attacks_indexes_gateway LOGIN;
SELECT tenancy.grant_application('regress_attacks_indexes_gateway') \gset
\set alice 00000000-0000-4000-8000-00000000000a
\set bob 00000000-0000-4000-8000-00000000000b
INSERT INTO tenancy.users (id, email, name)
VALUES (:'alice', 'alice@attacks-indexes.example', 'alice'), (:'bob', 'bob@attacks-indexes.example', 'bob');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_organization('One') AS one \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.create_organization('Two') AS two \gset
COMMIT;
SELECT id AS p1 FROM tenancy.projects WHERE organization_id = :'one' \gset
SELECT id AS p2 FROM tenancy.projects WHERE organization_id = :'two' \gset
CREATE TABLE attacks_indexes_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('attacks_indexes_events') \gset
INSERT INTO attacks_indexes_events SELECT :'p1', g FROM generate_series(1, 10) g;
INSERT INTO attacks_indexes_events SELECT :'p2', g FROM generate_series(1, 3) g;
GRANT SELECT ON attacks_indexes_events TO PUBLIC;
-- who is acting, and how many rows they see: alice 10, bob 3, nobody 0
CREATE FUNCTION attacks_indexes_name() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS 'SELECT coalesce((SELECT name FROM tenancy.users WHERE id = tenancy.current_user_id()), ''nobody'')';
CREATE VIEW attacks_indexes_seen WITH (security_invoker = true) AS
	SELECT attacks_indexes_name() AS acting, (SELECT count(*) FROM attacks_indexes_events) AS seen;
GRANT SELECT ON attacks_indexes_seen TO PUBLIC;
CREATE DOMAIN attacks_indexes_id AS uuid;
CREATE TABLE attacks_indexes_t (project_id uuid, other_id uuid, organization_id uuid, domain_id attacks_indexes_id, text_id text, kind text, n integer);
INSERT INTO attacks_indexes_t
SELECT p, o, g, p, p::text, k, n
FROM generate_series(1, 20) n,
	 (VALUES (:'p1'::uuid), (:'p2'), ('00000000-0000-4000-8000-0000000000ff'), (NULL)) p (p),
	 (VALUES (:'p1'::uuid), (:'p2'), (NULL)) o (o),
	 (VALUES (:'one'::uuid), (:'two'), (NULL)) g (g), (VALUES ('a'), ('B')) k (k);
CREATE INDEX i_btree ON attacks_indexes_t (project_id);
CREATE INDEX i_second ON attacks_indexes_t (lower(kind), project_id);
CREATE INDEX i_include ON attacks_indexes_t (kind) INCLUDE (project_id);
CREATE INDEX i_partial ON attacks_indexes_t (project_id) WHERE kind = 'a';
CREATE INDEX i_desc ON attacks_indexes_t (project_id DESC NULLS LAST, n);
CREATE INDEX i_hash ON attacks_indexes_t USING hash (project_id);
CREATE INDEX i_brin ON attacks_indexes_t USING brin (project_id);
CREATE INDEX i_other ON attacks_indexes_t (other_id);
CREATE INDEX i_domain ON attacks_indexes_t (domain_id);
CREATE INDEX i_text ON attacks_indexes_t (text_id);
CREATE INDEX i_cast ON attacks_indexes_t ((text_id::uuid));
CREATE INDEX i_organization ON attacks_indexes_t (organization_id);
CREATE INDEX i_expression ON attacks_indexes_t ((coalesce(project_id, other_id)));
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
CREATE FUNCTION attacks_indexes_compare(condition text, source text DEFAULT 'attacks_indexes_t t') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plans text[] := ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan'];
	answer bigint;
	answers bigint[] := '{}';
	plan text;
BEGIN
	FOREACH plan IN ARRAY plans LOOP
		PERFORM set_config('enable_' || p, CASE WHEN p = plan THEN 'on' ELSE 'off' END, true) FROM unnest(plans) p;
		EXECUTE format('SELECT count(*) FROM %s WHERE %s', source, condition) INTO answer;
		answers := answers || answer;
	END LOOP;
	RETURN (SELECT string_agg(DISTINCT a::text, ' or ') FROM unnest(answers) a);
END $$;

-- attack 39: all indexes at once.  Of 1440 rows 360 are in either project, in
-- another one and in none, 480 have either other_id and organization, and none
\c - regress_attacks_indexes_gateway
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
SET LOCAL force_parallel_mode = on;
SELECT i, attacks_indexes_compare(condition) = alice.answer AS same FROM attacks_indexes_conditions JOIN alice USING (i) WHERE i IN (1, 3, 5, 14, 21) ORDER BY i;
SET LOCAL force_parallel_mode = off;

-- attack 39: in joins, on the side that may be null, and in what comes after
SELECT tenancy.act_as(:'alice') \gset
SELECT attacks_indexes_compare('tenancy.can_view(r.project_id)',
	'attacks_indexes_events l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.project_id') AS left_join,
	attacks_indexes_compare('NOT tenancy.can_view(r.project_id)',
	'(SELECT DISTINCT other_id FROM attacks_indexes_t) l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.other_id') AS anti,
	attacks_indexes_compare('true',
	'(SELECT DISTINCT other_id FROM attacks_indexes_t) l LEFT JOIN (SELECT DISTINCT project_id FROM attacks_indexes_t) r ON r.project_id = l.other_id AND tenancy.can_view(r.project_id)') AS in_on,
	attacks_indexes_compare('true', '(SELECT project_id FROM attacks_indexes_t GROUP BY project_id HAVING tenancy.can_view(project_id)) g') AS having_,
	attacks_indexes_compare('tenancy.can_view(project_id)', '(SELECT DISTINCT project_id FROM attacks_indexes_t WHERE project_id IS NOT NULL ORDER BY 1 LIMIT 3) g') AS after_limit;
COMMIT;

-- attack 39: each index alone
\c - :superuser
CREATE FUNCTION attacks_indexes_alone() RETURNS TABLE (index text, condition text, answer text) LANGUAGE plpgsql AS $$
DECLARE
	i record;
BEGIN
	FOR i IN SELECT indexrelid, relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid
			 WHERE indrelid = 'attacks_indexes_t'::regclass ORDER BY relname COLLATE "C" LOOP
		UPDATE pg_index SET indisvalid = indexrelid = i.indexrelid WHERE indrelid = 'attacks_indexes_t'::regclass;
		RETURN QUERY SELECT i.relname::text, c.condition, attacks_indexes_compare(c.condition) FROM attacks_indexes_conditions c
			WHERE c.i IN (1, 2, 5, 8, 9, 10, 11, 12, 13, 17, 21);
	END LOOP;
	UPDATE pg_index SET indisvalid = true WHERE indrelid = 'attacks_indexes_t'::regclass;
END $$;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
CREATE TEMPORARY TABLE expected ON COMMIT DROP AS SELECT condition, attacks_indexes_compare(condition) AS answer FROM attacks_indexes_conditions;
SELECT count(*) AS compared, count(*) FILTER (WHERE a.answer = e.answer) AS same FROM attacks_indexes_alone() a JOIN expected e USING (condition);
COMMIT;

-- attack 39: the index is used where it can be, so that the above tests something
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
DROP INDEX i_desc, i_hash, i_brin, i_second, i_include, i_partial;
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE tenancy.can_view(project_id);
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE tenancy.can_edit(project_id, 'owner');
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE tenancy.is_member(organization_id, 'administrator');
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE tenancy.can_view(project_id) OR tenancy.can_view(other_id);
-- ... and never under NOT, which it does not bound
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE NOT tenancy.can_view(project_id);
-- ... nor for writing, which a project token may, too
EXPLAIN (COSTS OFF) SELECT n FROM attacks_indexes_t WHERE tenancy.can_write(project_id, 'member');
ROLLBACK;
DROP TABLE attacks_indexes_t, attacks_indexes_conditions;
DROP DOMAIN attacks_indexes_id;
DROP FUNCTION attacks_indexes_compare(text, text), attacks_indexes_alone();

\c - :superuser
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.delete_organization(:'one') \gset
SELECT tenancy.act_as(:'bob') \gset
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
DROP VIEW attacks_indexes_seen;
DROP FUNCTION attacks_indexes_name();
DROP TABLE attacks_indexes_events;
DELETE FROM tenancy.users WHERE email LIKE '%@attacks-indexes.example';
DROP OWNED BY regress_attacks_indexes_app, regress_attacks_indexes_gateway;
DROP ROLE regress_attacks_indexes_app, regress_attacks_indexes_gateway;
