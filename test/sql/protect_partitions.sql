-- attack 72: a partition or inheritance child that is queried by its own name
-- is as protected as the table at the top, however and whenever it came.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_partitions_owner;
CREATE ROLE regress_partitions_app;
CREATE SCHEMA regress_partitions;
GRANT USAGE ON SCHEMA regress_partitions TO PUBLIC;
GRANT CREATE ON SCHEMA regress_partitions TO regress_partitions_owner;
SET search_path = regress_partitions;
\set mia 'a3000000-0000-4000-8000-000000000001'
\set bob 'a3000000-0000-4000-8000-000000000002'
\set org1 'a4000000-0000-4000-8000-000000000001'
\set org2 'a4000000-0000-4000-8000-000000000002'
\set p1 'a5000000-0000-4000-8000-000000000001'
\set p2 'a5000000-0000-4000-8000-000000000002'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'mia', 'mia@partitions.example', 'Mia'), (:'bob', 'bob@partitions.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'mia', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name) VALUES (:'p1', :'org1', 'Mine'), (:'p2', :'org2', 'Foreign');

-- What one may read of each table of the schema, asked by its own name; every
-- table here holds one row of each project.
CREATE FUNCTION seen() RETURNS TABLE (relation text, total bigint, foreign_rows bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR relation IN SELECT c.oid::regclass FROM pg_class c
					WHERE c.relnamespace = 'regress_partitions'::regnamespace AND c.relkind IN ('r', 'p')
					ORDER BY c.relname COLLATE "C" LOOP
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE project_id = %L) FROM ONLY %s',
					   'a5000000-0000-4000-8000-000000000002', relation)
		INTO total, foreign_rows;
		RETURN NEXT;
	END LOOP;
END $$;
-- Tables without a floor, row security and force; none, always.
CREATE VIEW unprotected AS
	SELECT c.relname FROM pg_class c
	WHERE c.relnamespace = 'regress_partitions'::regnamespace AND c.relkind IN ('r', 'p')
	  AND NOT (c.relrowsecurity AND c.relforcerowsecurity
			   AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive
						   AND p.polname = 'tenancy_floor' AND p.polcmd = '*' AND p.polroles = '{0}'))
	ORDER BY 1;
GRANT SELECT ON unprotected TO PUBLIC;

SET ROLE regress_partitions_owner;
CREATE TABLE events (day integer NOT NULL, project_id uuid NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (2);
-- partitions of partitions
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (2) TO (4) PARTITION BY LIST (day);
CREATE TABLE events_2a PARTITION OF events_2 FOR VALUES IN (2);
CREATE TABLE events_2b (project_id uuid NOT NULL, gone text, day integer NOT NULL);
ALTER TABLE events_2b DROP COLUMN gone;
ALTER TABLE events_2 ATTACH PARTITION events_2b FOR VALUES IN (3);
RESET ROLE;
INSERT INTO events SELECT day, project_id FROM generate_series(1, 3) day, unnest(ARRAY[:'p1', :'p2']::uuid[]) project_id;
SELECT tenancy.protect('events', editable_by => 'administrator');
SELECT * FROM unprotected;

-- Created, attached and put under a partition later, by the owner of the table.
SET ROLE regress_partitions_owner;
CREATE TABLE events_4 PARTITION OF events FOR VALUES FROM (4) TO (5);
CREATE TABLE events_5 (day integer NOT NULL, project_id uuid NOT NULL);
INSERT INTO events_5 VALUES (5, :'p1'), (5, :'p2');
ALTER TABLE events ATTACH PARTITION events_5 FOR VALUES FROM (5) TO (6);
CREATE TABLE events_6 (day integer NOT NULL, project_id uuid NOT NULL) PARTITION BY LIST (day);
CREATE TABLE events_6a PARTITION OF events_6 FOR VALUES IN (6);
INSERT INTO events_6 VALUES (6, :'p1'), (6, :'p2');
ALTER TABLE events ATTACH PARTITION events_6 FOR VALUES FROM (6) TO (8);
CREATE TABLE events_6b PARTITION OF events_6 FOR VALUES IN (7);
CREATE TABLE events_default PARTITION OF events DEFAULT;
SELECT * FROM unprotected;
-- CREATE SCHEMA is a command of its own, the table only a part of it
RESET ROLE;
CREATE SCHEMA regress_partitions_2 CREATE TABLE events_8 PARTITION OF regress_partitions.events FOR VALUES FROM (8) TO (9);
ALTER TABLE regress_partitions_2.events_8 SET SCHEMA regress_partitions;
SELECT * FROM unprotected;
-- attack 167: CREATE TABLE AS makes no partition, and a search_path of whoever
-- creates one misleads nobody
CREATE SCHEMA regress_partitions_3;
CREATE FUNCTION regress_partitions_3.protected_tables() RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE VIEW regress_partitions_3.pg_inherits AS SELECT 0 AS inhrelid, 0 AS inhparent;
SET search_path = regress_partitions_3, tenancy, regress_partitions, pg_catalog;
CREATE TABLE regress_partitions.events_9 PARTITION OF events FOR VALUES FROM (9) TO (10);
SET search_path = regress_partitions;
SELECT * FROM unprotected;
SET search_path = '';
CREATE TABLE regress_partitions.events_10 PARTITION OF regress_partitions.events FOR VALUES FROM (10) TO (11);
SET search_path = regress_partitions;
SELECT * FROM unprotected;

-- nor do namesakes, or another event trigger that renames what has come
CREATE TABLE regress_partitions_3.events_12 (day integer NOT NULL, project_id uuid NOT NULL);
CREATE TABLE events_12 (day integer NOT NULL, project_id uuid NOT NULL);
ALTER TABLE events ATTACH PARTITION regress_partitions_3.events_12 FOR VALUES FROM (40) TO (41);
SET search_path = regress_partitions, regress_partitions_3;
ALTER TABLE events ATTACH PARTITION events_12 FOR VALUES FROM (41) TO (42);
SET search_path = regress_partitions;
SELECT * FROM unprotected;
CREATE FUNCTION regress_partitions_3.rename() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF to_regclass('regress_partitions.renamed_later') IS NOT NULL THEN
		ALTER TABLE regress_partitions.renamed_later RENAME TO renamed;
	END IF;
END $$;
CREATE TABLE renamed_later (day integer NOT NULL, project_id uuid NOT NULL);
CREATE EVENT TRIGGER a_regress_partitions ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION regress_partitions_3.rename();
ALTER TABLE events ATTACH PARTITION renamed_later FOR VALUES FROM (42) TO (43);
DROP EVENT TRIGGER a_regress_partitions;
SELECT * FROM unprotected;
SELECT * FROM tenancy.protected_tables WHERE relation::text ~ 'events_12|renamed' ORDER BY 1::text;
DROP TABLE renamed, events_12, regress_partitions_3.events_12;

-- The same protection as at the top, level included.
SELECT DISTINCT kind, column_name, visible_to, editable_by FROM tenancy.protected_tables
WHERE relation::text LIKE 'events%';
INSERT INTO events SELECT day, project_id FROM unnest(ARRAY[4, 7, 8, 9, 10, 20]) day, unnest(ARRAY[:'p1', :'p2']::uuid[]) project_id;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_partitions TO regress_partitions_app;
GRANT EXECUTE ON FUNCTION seen() TO regress_partitions_app;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_partitions_app;
SELECT * FROM seen();
SELECT count(*) AS through_the_top FROM events;
INSERT INTO events_5 VALUES (5, :'p2');
INSERT INTO events VALUES (5, :'p2');
-- moved to another partition, and not to another project
UPDATE events SET day = 1 WHERE day = 5 RETURNING tableoid::regclass;
UPDATE events SET day = 5, project_id = :'p2' WHERE tableoid = 'events_1'::regclass;
DELETE FROM events_2a RETURNING project_id = :'p1' AS mine;
RESET ROLE;
-- nobody
SELECT tenancy._clear_identity() \gset
SET ROLE regress_partitions_app;
SELECT sum(total) FROM seen();
RESET ROLE;

-- What goes into a partition later inherits the default, too.
SELECT pg_get_expr(adbin, adrelid) AS default, count(*) FROM pg_attrdef
WHERE adrelid::regclass::text IN ('events', 'events_4', 'events_default') GROUP BY 1;

-- A detached partition stays protected.
ALTER TABLE events DETACH PARTITION events_5;
SELECT * FROM unprotected;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_partitions_app;
SELECT count(*) FROM events_5 WHERE project_id = :'p2';
RESET ROLE;
SELECT tenancy._clear_identity() \gset

-- attack 81: a column that was renamed is found under its new name.
ALTER TABLE events RENAME COLUMN project_id TO silo;
CREATE TABLE events_11 PARTITION OF events FOR VALUES FROM (11) TO (12);
SELECT relation, kind, column_name, editable_by FROM tenancy.protected_tables WHERE relation = 'events_11'::regclass;
ALTER TABLE events RENAME COLUMN silo TO project_id;

-- A foreign table cannot become a part: row security does not reach it.
CREATE FOREIGN DATA WRAPPER regress_partitions_wrapper;
CREATE SERVER regress_partitions_server FOREIGN DATA WRAPPER regress_partitions_wrapper;
\set VERBOSITY sqlstate
CREATE FOREIGN TABLE remote PARTITION OF events FOR VALUES FROM (12) TO (13) SERVER regress_partitions_server;
CREATE FOREIGN TABLE remote (day integer NOT NULL, project_id uuid NOT NULL) SERVER regress_partitions_server;
ALTER TABLE events ATTACH PARTITION remote FOR VALUES FROM (12) TO (13);
ALTER TABLE events_5 RENAME TO plain;
ALTER FOREIGN TABLE remote INHERIT plain;
CREATE FOREIGN TABLE remote_child () INHERITS (plain) SERVER regress_partitions_server;
\set VERBOSITY terse

-- attack 47: a part cannot be protected or unprotected without the whole.
SELECT tenancy.unprotect('events_1');
SELECT tenancy.unprotect('events_2a');
CREATE TABLE open_top (day integer, project_id uuid) PARTITION BY LIST (day);
CREATE TABLE open_part PARTITION OF open_top FOR VALUES IN (1);
SELECT tenancy.protect('open_part');
DROP TABLE open_top;
-- A table that was protected differently takes over the protection of the top:
-- Members of an organization must not read a private project here.
CREATE TABLE other_part (day integer NOT NULL, project_id uuid NOT NULL, organization_id uuid);
SELECT tenancy.protect_by_organization('other_part');
ALTER TABLE events ADD COLUMN organization_id uuid;
ALTER TABLE other_part ALTER COLUMN organization_id DROP NOT NULL;
ALTER TABLE events ATTACH PARTITION other_part FOR VALUES FROM (13) TO (14);
SELECT kind, column_name, editable_by FROM tenancy.protected_tables WHERE relation = 'other_part'::regclass;

-- Inheritance, also with several generations.
CREATE TABLE top (day integer, project_id uuid NOT NULL);
CREATE TABLE child () INHERITS (top);
SELECT tenancy.protect('top');
CREATE TABLE grandchild () INHERITS (child);
CREATE TABLE adopted (day integer, project_id uuid NOT NULL);
ALTER TABLE adopted INHERIT child;
SELECT * FROM unprotected;

-- attack 167: names that need quoting; a temporary child cannot be protected, and
-- so cannot be; and whoever has nothing to do with protected tables is not bothered
SET ROLE regress_partitions_owner;
CREATE TABLE "x; DROP TABLE top;--" PARTITION OF events FOR VALUES FROM (30) TO (31);
CREATE TABLE "Events '12'" PARTITION OF events FOR VALUES FROM (12) TO (13);
RESET ROLE;
CREATE TEMP TABLE hidden_child () INHERITS (top);
SELECT * FROM unprotected;
SET ROLE regress_partitions_app;
CREATE TEMP TABLE events (project_id uuid);
CREATE TEMP TABLE mine (n integer) PARTITION BY LIST (n);
CREATE TEMP TABLE mine_1 PARTITION OF mine DEFAULT;
DROP TABLE pg_temp.events, pg_temp.mine;
RESET ROLE;
CREATE EXTENSION pageinspect;
DROP EXTENSION pageinspect;

-- A part that is protected otherwise than the whole would not stay so.
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT tenancy.protect('events_1', editable_by => 'owner');
SELECT tenancy.protect('events_2a');
SELECT tenancy.protect_by_organization('events_2', 'project_id');
SELECT tenancy.protect('child', editable_by => 'administrator');
SELECT tenancy.protect('events_1', editable_by => 'administrator');
SELECT DISTINCT kind, column_name, visible_to, editable_by FROM tenancy.protected_tables WHERE relation::text ~ '^(events|child)' ORDER BY 1, 4;

-- Nor is it guessed how a table was protected whose floor is not as protect() wrote it.
ALTER POLICY tenancy_floor ON events USING (true) WITH CHECK (true);
CREATE TABLE events_13 PARTITION OF events FOR VALUES FROM (50) TO (51);
SELECT tenancy.unprotect('events_1');
SELECT tenancy.protect('events', editable_by => 'administrator');

-- A table is part of two only if these are protected alike, however it gets there,
-- and whichever of them is protected first.
CREATE TABLE by_project (project_id uuid NOT NULL, organization_id uuid);
CREATE TABLE by_organization (organization_id uuid NOT NULL, project_id uuid);
CREATE TABLE by_owner (project_id uuid NOT NULL);
CREATE TABLE by_nobody (project_id uuid NOT NULL);
SELECT tenancy.protect('by_project'), tenancy.protect_by_organization('by_organization'), tenancy.protect('by_owner', editable_by => 'owner');
CREATE TABLE torn () INHERITS (by_project, by_organization);
CREATE TABLE torn () INHERITS (by_project, by_owner);
CREATE TABLE torn () INHERITS (by_nobody, by_owner);
CREATE TABLE torn () INHERITS (by_project);
ALTER TABLE torn INHERIT by_owner;
CREATE TABLE apart (project_id uuid NOT NULL);
CREATE TABLE torn_apart () INHERITS (apart, by_owner);
CREATE TABLE torn_apart () INHERITS (apart);
ALTER TABLE torn_apart INHERIT by_owner;
SELECT tenancy.protect('apart', editable_by => 'owner');
ALTER TABLE torn_apart INHERIT by_owner;
SELECT tenancy.protect('by_owner', editable_by => 'administrator');
SELECT tenancy.unprotect('apart');
ALTER TABLE torn_apart NO INHERIT apart;
SELECT tenancy.protect('by_owner', editable_by => 'administrator');
SELECT tenancy.unprotect('apart');
SELECT relation, editable_by FROM tenancy.protected_tables WHERE relation::text ~ '^(by|torn|apart)' ORDER BY 1::text;
-- parents that meet again below are no two
CREATE TABLE left_hand () INHERITS (by_project);
CREATE TABLE right_hand () INHERITS (by_project);
CREATE TABLE both_hands () INHERITS (left_hand, right_hand);
SELECT tenancy.protect('by_project', editable_by => 'owner');
SELECT relation, editable_by FROM tenancy.protected_tables WHERE relation::text ~ '_hand' ORDER BY 1::text;
SELECT tenancy.unprotect('by_project');
SELECT relation FROM tenancy.protected_tables WHERE relation::text ~ '_hand';
\set VERBOSITY terse

-- What a tool replicates it does as a replica, and no less is protected there.
SET session_replication_role = replica;
CREATE TABLE events_replicated PARTITION OF events FOR VALUES FROM (99) TO (100);
RESET session_replication_role;
SELECT relation, kind FROM tenancy.protected_tables WHERE relation = 'events_replicated'::regclass;
DROP TABLE events_replicated;

-- Other changes to the top leave its parts alone, as a restore needs it: policies
-- come table by table.
DROP POLICY tenancy_floor ON events_1;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ADD COLUMN note text;
ALTER TABLE events_1 ALTER COLUMN day SET STATISTICS 10;
SELECT * FROM unprotected WHERE relname ~ '^events';
SELECT tenancy.protect('events', editable_by => 'administrator');
SELECT * FROM unprotected WHERE relname ~ '^events';

-- unprotect takes it off the whole tree, also off those that came later.
SELECT tenancy.unprotect('top');
SELECT tenancy.unprotect('events');
SELECT relation FROM tenancy.protected_tables WHERE relation::text ~ '^(top|child|grandchild|adopted|events|other)' ORDER BY 1;
CREATE TABLE events_14 PARTITION OF events FOR VALUES FROM (14) TO (15);
SELECT relrowsecurity FROM pg_class WHERE oid = 'events_14'::regclass;

DROP SCHEMA regress_partitions, regress_partitions_2, regress_partitions_3 CASCADE;
DROP FOREIGN DATA WRAPPER regress_partitions_wrapper CASCADE;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@partitions.example';
DROP ROLE regress_partitions_owner, regress_partitions_app;
