-- attack 68: no function, operator, cast or domain of an attacker's is shown a
-- row that the policy hides, whatever the query and whatever its plan; and each
-- query gives the same answer under every plan as a join written by hand.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_leaks_app;
CREATE SCHEMA regress_leaks;
GRANT USAGE, CREATE ON SCHEMA regress_leaks TO regress_leaks_app;
SET search_path = regress_leaks;
SET jit = off;	-- compiling each plan would take most of the time
\set mia 'b3000000-0000-4000-8000-000000000001'
\set bob 'b3000000-0000-4000-8000-000000000002'
\set org1 'b4000000-0000-4000-8000-000000000001'
\set org2 'b4000000-0000-4000-8000-000000000002'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'mia', 'mia@leaks.example', 'Mia'), (:'bob', 'bob@leaks.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'mia', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.projects (organization_id, name)
SELECT o, 'Project ' || i FROM unnest(ARRAY[:'org1', :'org2']::uuid[]) o, generate_series(1, 3) i;

-- 3 projects of mia's, 3 of bob's, 20 rows each; plain and partitioned
CREATE TABLE events (project_id uuid NOT NULL, id integer, secret text);
CREATE TABLE parted (project_id uuid NOT NULL, id integer, secret text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (11);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (11) TO (1000);
INSERT INTO events SELECT p.id, i, CASE p.organization_id WHEN :'org1' THEN 'mine' ELSE 'foreign' END
FROM tenancy.projects p, generate_series(1, 20) i WHERE p.organization_id IN (:'org1', :'org2');
INSERT INTO parted SELECT * FROM events;
CREATE INDEX events_id_idx ON events (id);
CREATE INDEX events_hash_idx ON events USING hash (project_id);
CREATE INDEX events_project_idx ON events (project_id, id, secret);
SELECT tenancy.protect('events'), tenancy.protect('parted') \gset
GRANT SELECT, UPDATE, DELETE ON events, parted, parted_1 TO regress_leaks_app;
VACUUM ANALYZE events, parted;

-- The attacker's tools raise what they should not have seen.
SET ROLE regress_leaks_app;
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 PARALLEL SAFE AS $$
BEGIN
	IF $1 <> 'mine' THEN RAISE EXCEPTION 'leaked %', $1; END IF;
	RETURN true;
END $$;
CREATE FUNCTION leak_eq(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 PARALLEL SAFE AS $$
BEGIN
	RETURN leak($1) AND leak($2);
END $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_eq, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE FUNCTION leak_less(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 PARALLEL SAFE AS $$
BEGIN
	RETURN leak($1);
END $$;
CREATE OPERATOR <<< (LEFTARG = text, RIGHTARG = text, FUNCTION = leak_less, RESTRICT = scalarltsel);
CREATE DOMAIN own_secret AS text CHECK (leak(VALUE));
CREATE FUNCTION leak_state(state text, value text) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
	PERFORM leak(value);
	RETURN value;
END $$;
CREATE AGGREGATE leak_all (text) (SFUNC = leak_state, STYPE = text);
CREATE VIEW leaky_view AS SELECT *, leak(secret) AS leaked FROM events;
CREATE VIEW invoker_view WITH (security_invoker) AS SELECT * FROM events;
CREATE VIEW barrier_view WITH (security_barrier) AS SELECT * FROM parted;
RESET ROLE;

CREATE TABLE queries (id integer GENERATED ALWAYS AS IDENTITY, query text);
INSERT INTO queries (query) VALUES
	('SELECT count(*) FROM events WHERE leak(secret)'),
	('SELECT count(*) FROM events WHERE secret === ''mine'''),
	('SELECT count(*) FROM events WHERE secret <<< ''mine'''),
	('SELECT count(*) FROM events WHERE id < 10 AND leak(secret)'),
	('SELECT count(*) FROM events WHERE id = 5 OR leak(secret)'),
	('SELECT count(*) FROM events WHERE NOT leak(secret) IS NOT TRUE'),
	('SELECT count(*) FROM events WHERE 1 / (CASE secret WHEN ''mine'' THEN 1 ELSE 0 END) = 1'),
	('SELECT count(secret::own_secret) FROM events'),
	('SELECT count(*) FROM (SELECT leak_all(secret) FROM events GROUP BY id) g'),
	('SELECT count(*) FROM events HAVING bool_and(leak(secret))'),
	('SELECT count(*) FILTER (WHERE leak(secret)) FROM events'),
	('SELECT sum(n) FROM (SELECT row_number() OVER (PARTITION BY leak(secret) ORDER BY id) AS n FROM events) w'),
	('SELECT count(*) FROM (SELECT id FROM events ORDER BY leak(secret), id LIMIT 1000) o'),
	('SELECT count(*) FROM (SELECT DISTINCT leak(secret), id FROM events) d'),
	('SELECT count(*) FROM events a JOIN events b ON a.id = b.id AND a.secret === b.secret'),
	('SELECT count(*) FROM events a LEFT JOIN parted b ON a.id = b.id AND leak(b.secret)'),
	('SELECT count(*) FROM events a FULL JOIN parted b ON a.id = b.id AND a.project_id = b.project_id'),
	('SELECT count(e.id) FROM generate_series(1, 20) g LEFT JOIN events e ON e.id = g AND leak(e.secret)'),
	('SELECT count(*) FROM events a WHERE EXISTS (SELECT FROM parted b WHERE b.id = a.id AND leak(b.secret))'),
	('SELECT count(*) FROM events a WHERE id NOT IN (SELECT id FROM parted WHERE NOT leak(secret))'),
	('SELECT count(*) FROM events a, LATERAL (SELECT leak(b.secret) FROM parted b WHERE b.id = a.id OFFSET 0) l'),
	('SELECT count(*) FROM (SELECT leak(secret) FROM events UNION ALL SELECT leak(secret) FROM parted) u'),
	('SELECT count(*) FROM (SELECT id, secret FROM events INTERSECT SELECT id, secret FROM parted) i WHERE leak(secret)'),
	('SELECT count(*) FROM (SELECT id, secret FROM events EXCEPT SELECT id + 1, secret FROM parted) i WHERE leak(secret)'),
	('WITH e AS MATERIALIZED (SELECT * FROM events) SELECT count(*) FROM e WHERE leak(secret)'),
	('WITH e AS NOT MATERIALIZED (SELECT * FROM events) SELECT count(*) FROM e WHERE leak(secret)'),
	('SELECT count(*) FROM leaky_view WHERE leaked'),
	('SELECT count(*) FROM invoker_view WHERE leak(secret)'),
	('SELECT count(*) FROM barrier_view WHERE leak(secret)'),
	('SELECT count(*) FROM parted WHERE leak(secret)'),
	('SELECT count(*) FROM parted WHERE id > 10 AND leak(secret)'),
	('SELECT count(*) FROM parted_1 WHERE leak(secret)'),
	('SELECT count(*) FROM parted TABLESAMPLE SYSTEM (100) WHERE leak(secret)'),
	('SELECT count(*) FROM events WHERE project_id = ANY (ARRAY(SELECT project_id FROM parted WHERE leak(secret)))'),
	('SELECT count(*) FROM events WHERE project_id IS NOT NULL AND (tenancy.can_view(project_id) OR leak(secret))'),
	('SELECT count(*) FROM events WHERE project_id <> ALL (tenancy.viewable_projects()) AND leak(secret)'),
	('SELECT max(id) FROM events WHERE leak(secret)'),
	('SELECT count(*) FROM events WHERE ctid >= ''(0,0)'' AND leak(secret)');

CREATE TABLE plans (settings text);
INSERT INTO plans VALUES (''), ('enable_seqscan=off'), ('enable_seqscan=off enable_indexscan=off enable_indexonlyscan=off'),
	('enable_seqscan=off enable_bitmapscan=off'), ('enable_indexscan=off enable_bitmapscan=off enable_indexonlyscan=off'),
	('enable_nestloop=off'), ('enable_hashjoin=off enable_mergejoin=off'), ('enable_hashjoin=off enable_nestloop=off'),
	('enable_hashagg=off'), ('enable_sort=off'), ('plan_cache_mode=force_generic_plan'),
	('parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0 min_parallel_index_scan_size=0'),
	('parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0 enable_seqscan=off');
GRANT SELECT ON queries, plans TO regress_leaks_app;
CREATE TABLE answers (query integer, settings text, identity text, answer text);
GRANT INSERT ON answers TO regress_leaks_app;
CREATE FUNCTION run(identity text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	q record;
	p record;
	setting text;
	name text;
	result text;
BEGIN
	FOR p IN SELECT * FROM plans LOOP
		FOREACH setting IN ARRAY string_to_array(p.settings, ' ') LOOP
			PERFORM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), false);
		END LOOP;
		FOR q IN SELECT * FROM queries LOOP
			BEGIN
				EXECUTE q.query INTO result;
			EXCEPTION WHEN OTHERS THEN
				result := SQLERRM;
			END;
			INSERT INTO answers VALUES (q.id, p.settings, identity, result);
		END LOOP;
		FOREACH setting IN ARRAY string_to_array(p.settings, ' ') LOOP
			EXECUTE format('RESET %I', split_part(setting, '=', 1));
		END LOOP;
	END LOOP;
END $$;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_leaks_app;
SELECT run('mia') \gset
RESET ROLE;
SELECT tenancy._clear_identity() \gset
SET ROLE regress_leaks_app;
SELECT run('nobody') \gset
RESET ROLE;
-- with everything in the tables, the superuser's tools do see foreign rows
SELECT run('superuser') \gset
-- the reference: the superuser asks the same of tables that hold mia's rows only
DELETE FROM events WHERE secret = 'foreign';
DELETE FROM parted WHERE secret = 'foreign';
VACUUM ANALYZE events, parted;
SELECT tenancy.act_as(:'mia', true) \gset
SELECT run('reference') \gset

SELECT count(DISTINCT query) AS queries, count(DISTINCT settings) AS plans FROM answers;
-- the tools work
SELECT count(DISTINCT query) > 25 AS superuser_is_shown_foreign_rows FROM answers WHERE identity = 'superuser' AND answer = 'leaked foreign';
-- and mia's never saw one
SELECT q.query, a.settings, a.answer FROM answers a JOIN queries q ON q.id = a.query
WHERE a.identity IN ('mia', 'nobody') AND a.answer !~ '^[0-9]+$';
-- the same answer under all plans, and the right one
SELECT q.query, m.settings, m.answer, r.answer AS reference
FROM answers m JOIN answers r ON r.query = m.query AND r.settings = m.settings AND r.identity = 'reference'
JOIN queries q ON q.id = m.query
WHERE m.identity = 'mia' AND m.answer IS DISTINCT FROM r.answer ORDER BY q.id, m.settings;
SELECT q.query, array_agg(DISTINCT m.answer) FROM answers m JOIN queries q ON q.id = m.query
WHERE m.identity = 'mia' GROUP BY q.id, q.query HAVING count(DISTINCT m.answer) > 1;
-- nobody: nothing counted anywhere
SELECT q.query, a.answer FROM answers a JOIN queries q ON q.id = a.query
WHERE a.identity = 'nobody' AND a.settings = '' AND a.answer <> '0';

SELECT tenancy._clear_identity() \gset
DROP SCHEMA regress_leaks CASCADE;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@leaks.example';
DROP ROLE regress_leaks_app;
