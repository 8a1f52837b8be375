-- Attacks on protected tables through SQL: rows and the existence of rows.
-- The numbers are those of the attack catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_rls_owner;
CREATE ROLE regress_rls_app;
CREATE ROLE regress_rls_reader;
CREATE ROLE regress_rls_bypass BYPASSRLS;
GRANT pg_read_all_data TO regress_rls_reader;
GRANT pg_read_all_data TO regress_rls_bypass;
CREATE SCHEMA regress_rls;
GRANT USAGE, CREATE ON SCHEMA regress_rls TO PUBLIC;
SET search_path = regress_rls;
-- mia is a Member of organization 1: she sees project 1, not the private 2;
-- 3 is of organization 2, and 9 never existed.  In the table events Members
-- write, in notes only Administrators and above.
\set adam 'b0000000-0000-4000-8000-000000000001'
\set mia 'b0000000-0000-4000-8000-000000000002'
\set bob 'b0000000-0000-4000-8000-000000000003'
\set org1 'b1000000-0000-4000-8000-000000000001'
\set org2 'b1000000-0000-4000-8000-000000000002'
\set p1 'b2000000-0000-4000-8000-000000000001'
\set p2 'b2000000-0000-4000-8000-000000000002'
\set p3 'b2000000-0000-4000-8000-000000000003'
\set p9 'b2000000-0000-4000-8000-000000000009'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'adam', 'adam@rls.example', 'Adam'), (:'mia', 'mia@rls.example', 'Mia'), (:'bob', 'bob@rls.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'adam', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (:'org1', :'mia');
INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES
	(:'p1', :'org1', 'Open', false), (:'p2', :'org1', 'Private', true), (:'p3', :'org2', 'Foreign', false);

SET ROLE regress_rls_owner;
CREATE TABLE events (project_id uuid NOT NULL, id integer, amount integer, secret text, PRIMARY KEY (project_id, id));
CREATE TABLE notes (LIKE events INCLUDING ALL);
RESET ROLE;
INSERT INTO events SELECT p, i, i, 'secret ' || right(p::text, 1)
FROM unnest(ARRAY[:'p1', :'p2', :'p3']::uuid[]) p, generate_series(1, 3) i;
INSERT INTO notes SELECT * FROM events;
SELECT tenancy.protect('events'), tenancy.protect('notes', editable_by => 'administrator') \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON events, notes TO regress_rls_app;
ANALYZE events, notes;

-- attack 56: the owner of the table is nobody, too
SET ROLE regress_rls_owner;
SELECT count(*) FROM events;
RESET ROLE;

-- attack 57: who bypasses row security sees all, by design; who reads all
-- data does not, in protected tables and in the extension's own; and nobody
-- turns it off
SET ROLE regress_rls_bypass;
SELECT count(*) FROM events;
SET ROLE regress_rls_reader;
SELECT count(*) FROM events;
SELECT (SELECT count(*) FROM tenancy.users) + (SELECT count(*) FROM tenancy.organizations)
	 + (SELECT count(*) FROM tenancy.memberships) + (SELECT count(*) FROM tenancy.projects)
	 + (SELECT count(*) FROM tenancy.project_memberships) + (SELECT count(*) FROM tenancy.project_tokens)
	 + (SELECT count(*) FROM tenancy.invites) + (SELECT count(*) FROM tenancy.sessions)
	 + (SELECT count(*) FROM tenancy.user_preferences) + (SELECT count(*) FROM tenancy.role_bindings)
	 + (SELECT count(*) FROM tenancy.notifications) AS rows_of_ours;
SET ROLE regress_rls_app;
SET row_security = off;
SELECT count(*) FROM events;
RESET row_security;
RESET ROLE;

SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_rls_app;

-- attack 58: a write into a hidden project, a foreign one, one that never
-- existed and none: the same words, code and detail
DO $$
DECLARE
	p uuid;
	code text; message text; detail text; hint text; of_constraint text; of_table text;
BEGIN
	FOREACH p IN ARRAY '{b2000000-0000-4000-8000-000000000002,b2000000-0000-4000-8000-000000000003,b2000000-0000-4000-8000-000000000009,NULL}'::uuid[] LOOP
		BEGIN
			INSERT INTO events VALUES (p, 1, 1, 'x');
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME;
			RAISE WARNING USING MESSAGE = concat_ws('|', code, message, detail, hint, of_constraint, of_table);
		END;
		BEGIN
			UPDATE events SET project_id = p WHERE id = 1;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT, of_constraint = CONSTRAINT_NAME, of_table = TABLE_NAME;
			RAISE WARNING USING MESSAGE = concat_ws('|', code, message, detail, hint, of_constraint, of_table);
		END;
	END LOOP;
END $$;

-- attacks 61, 62: the key leads with the project, so ON CONFLICT and MERGE
-- neither find nor hit a hidden row of the same number
INSERT INTO events VALUES (:'p2', 1, 0, 'x') ON CONFLICT DO NOTHING;
INSERT INTO events VALUES (:'p9', 1, 0, 'x') ON CONFLICT DO NOTHING;
INSERT INTO events VALUES (:'p2', 1, 0, 'x') ON CONFLICT (project_id, id) DO UPDATE SET amount = 0;
INSERT INTO events VALUES (:'p9', 1, 0, 'x') ON CONFLICT (project_id, id) DO UPDATE SET amount = 0;
INSERT INTO events VALUES (:'p1', 1, 0, 'x') ON CONFLICT (project_id, id) DO UPDATE SET project_id = :'p2';
INSERT INTO events VALUES (:'p1', 1, 0, 'x') ON CONFLICT (project_id, id) DO UPDATE SET amount = 10 RETURNING id, amount;
MERGE INTO events e USING (VALUES (1)) v (id) ON e.id = v.id AND e.project_id = 'b2000000-0000-4000-8000-000000000002'
	WHEN MATCHED THEN UPDATE SET amount = -1
	WHEN NOT MATCHED THEN INSERT VALUES ('b2000000-0000-4000-8000-000000000002', 1, 1, 'x');
MERGE INTO events e USING (VALUES (1)) v (id) ON e.id = v.id AND e.project_id = 'b2000000-0000-4000-8000-000000000009'
	WHEN MATCHED THEN UPDATE SET amount = -1
	WHEN NOT MATCHED THEN INSERT VALUES ('b2000000-0000-4000-8000-000000000009', 1, 1, 'x');
MERGE INTO events e USING (VALUES (1)) v (id) ON e.id = v.id
	WHEN MATCHED THEN UPDATE SET amount = -1;
MERGE INTO events e USING (VALUES (3)) v (id) ON e.id = v.id
	WHEN MATCHED THEN DELETE;
-- on a table that one may read and not write: hidden, readable, missing
INSERT INTO notes VALUES (:'p1', 1, 0, 'x') ON CONFLICT DO NOTHING;
INSERT INTO notes VALUES (:'p1', 1, 0, 'x') ON CONFLICT (project_id, id) DO UPDATE SET amount = 0;
MERGE INTO notes n USING (VALUES (1)) v (id) ON n.id = v.id WHEN MATCHED THEN UPDATE SET amount = -1;
MERGE INTO notes n USING (VALUES (1)) v (id) ON n.id = v.id WHEN MATCHED THEN DELETE;
RESET ROLE;
SELECT right(project_id::text, 1) AS project, id, amount FROM events ORDER BY 1, 2;
SELECT count(*) FILTER (WHERE amount = id), count(*) FROM notes;
SET ROLE regress_rls_app;

-- attack 65: a row does not move to where one may only read
UPDATE notes SET project_id = :'p1' RETURNING id;
INSERT INTO notes SELECT * FROM events;
-- nor a readable, not writable row into a writable table's key by UPDATE ... FROM
UPDATE events e SET amount = n.amount FROM notes n WHERE n.id = e.id AND n.project_id <> :'p1' RETURNING e.id;
DELETE FROM events e USING notes n WHERE n.secret = 'secret 2' RETURNING e.id;

-- attack 67: rows that are filtered away are not counted where the index leads
-- with the project
SET enable_seqscan = off;
CREATE FUNCTION explained(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
		IF line ~ 'Removed by' THEN RETURN NEXT line; END IF;
	END LOOP;
END $$;
SELECT * FROM explained('SELECT * FROM events');
SELECT * FROM explained('SELECT * FROM events WHERE id = 3');
RESET enable_seqscan;

-- attack 74: COPY
COPY events TO STDOUT;
COPY (SELECT id, secret FROM events ORDER BY id) TO STDOUT;
RESET ROLE;
GRANT pg_read_server_files TO regress_rls_app;
SET ROLE regress_rls_app;
COPY events FROM '/dev/null';
COPY events FROM '/dev/null' WHERE true;

-- attack 75: RETURNING shows what one may read and nothing else
INSERT INTO events VALUES (:'p1', 7, 7, 'mine') RETURNING id, secret;
INSERT INTO events SELECT :'p2', 8, 8, secret FROM events LIMIT 1 RETURNING secret;
UPDATE events SET amount = 7 WHERE id = 7 RETURNING (SELECT count(*) FROM events);
DELETE FROM events WHERE id = 7 RETURNING secret, (SELECT max(secret) FROM events);
WITH gone AS (DELETE FROM events RETURNING *) SELECT count(*) FROM gone WHERE secret <> 'secret 1';

RESET ROLE;
INSERT INTO events SELECT :'p1', i, i, 'secret 1' FROM generate_series(1, 3) i;
SET ROLE regress_rls_app;

-- attack 78: physical addresses
SELECT count(*) FROM events WHERE ctid IN ('(0,1)', '(0,4)', '(0,7)') AND secret <> 'secret 1';
SELECT count(*) FROM events TABLESAMPLE SYSTEM (100);
SELECT count(*) FROM events TABLESAMPLE BERNOULLI (100);
SELECT count(*) FROM events WHERE tableoid = 'events'::regclass AND xmin IS NOT NULL AND secret <> 'secret 1';

-- attack 79: statistics of columns are hidden from whoever row security filters
SELECT count(*) FROM pg_stats WHERE schemaname = 'regress_rls' AND tablename IN ('events', 'notes');
SELECT count(*) FROM pg_statistic;

-- attack 73: locks and rights that were never granted
TRUNCATE events;
CREATE TRIGGER spy BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE spy AS ON INSERT TO events DO ALSO NOTHING;
CREATE POLICY spy ON events USING (true);
ALTER TABLE events DISABLE ROW LEVEL SECURITY;
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;
DROP POLICY tenancy_floor ON events;

-- attack 80: a copy holds what one could read, not more
CREATE TABLE copied AS SELECT * FROM events;
SELECT * INTO copied_2 FROM events;
CREATE MATERIALIZED VIEW copied_3 AS SELECT * FROM events;
SELECT (SELECT count(*) FROM copied) AS c1, (SELECT count(*) FROM copied_2) AS c2, (SELECT count(*) FROM copied_3) AS c3;
RESET ROLE;

-- attack 81: without its column a table shows nothing
SELECT tenancy._clear_identity() \gset
CREATE TABLE dropped (id integer, project_id uuid NOT NULL);
INSERT INTO dropped VALUES (1, :'p1');
SELECT tenancy.protect('dropped') \gset
GRANT SELECT ON dropped TO regress_rls_app;
ALTER TABLE dropped DROP COLUMN project_id;
ALTER TABLE dropped ALTER COLUMN project_id TYPE text;
ALTER TABLE dropped DROP COLUMN project_id CASCADE;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_rls_app;
SELECT count(*) FROM dropped;
RESET ROLE;

-- attack 82: without the extension, too
BEGIN;
SET LOCAL ROLE regress_rls_app;
SELECT count(*) FROM events;
RESET ROLE;
DROP EXTENSION tenancy CASCADE;
SET LOCAL ROLE regress_rls_app;
SELECT count(*) FROM events;
ROLLBACK;

-- what mia did has reached nothing of the others
SELECT tenancy._clear_identity() \gset
SELECT right(project_id::text, 1) AS project, count(*), min(secret), max(secret) FROM events GROUP BY 1 ORDER BY 1;
DROP SCHEMA regress_rls CASCADE;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@rls.example';
DROP ROLE regress_rls_owner, regress_rls_app, regress_rls_reader, regress_rls_bypass;
