-- Ingest views: COPY for tenants, into the project whose token is signed in, and
-- into no other.  Each comment is a promise, and what follows tries to break it.
\set test ingest
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
CREATE ROLE regress_ingest_owner;
GRANT CREATE, USAGE ON SCHEMA regress TO regress_ingest_owner;
GRANT REFERENCES ON tenancy.projects TO regress_ingest_owner;
SET ROLE regress_ingest_owner;
CREATE TABLE readings (id bigint GENERATED ALWAYS AS IDENTITY, project_id uuid NOT NULL, "at" timestamptz NOT NULL DEFAULT '2026-01-01', device integer NOT NULL CHECK (device > 0),
	gone integer, "Value " numeric, double_value numeric GENERATED ALWAYS AS ("Value " * 2) STORED, UNIQUE (project_id, device));
ALTER TABLE readings DROP COLUMN gone;
CREATE TABLE plain (project_id uuid, n integer);
CREATE TABLE parts (project_id uuid NOT NULL, n integer) PARTITION BY HASH (project_id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT tenancy.protect('readings'), tenancy.protect('parts') \g /dev/null
SELECT tenancy.create_ingest_view('readings', 'readings_in');
SELECT tenancy.create_ingest_view('parts', '"parts "" in"');
SELECT * FROM tenancy.ingest_views ORDER BY 1;
SELECT attname, atttypid::regtype, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'readings_in'::regclass ORDER BY attnum;
-- ... one for a table that is not protected, with a name that is taken, or by somebody who does not own it, is none
SELECT attempt($$SELECT tenancy.create_ingest_view('plain', 'plain_in')$$);
SELECT attempt($$SELECT tenancy.create_ingest_view('readings', 'readings_in')$$);
SELECT attempt($$SELECT tenancy.create_ingest_view('readings', 'a.b.c')$$);
SELECT attempt($$SELECT tenancy.create_ingest_view('readings', NULL)$$);
SELECT attempt($$SELECT tenancy.create_ingest_view(NULL, 'x')$$);
GRANT INSERT ON readings, readings_in, parts, "parts "" in" TO :client;
GRANT SELECT ON "parts "" in" TO :client;
SET ROLE :app;
SELECT attempt($$SELECT tenancy.create_ingest_view('readings', 'mine')$$);
RESET ROLE;
SELECT token AS open_token FROM tenancy.project_tokens WHERE project_id = id('open') \gset
SELECT token AS foreign_token FROM tenancy.project_tokens WHERE project_id = id('foreign') \gset
CREATE FUNCTION pg_temp.stored() RETURNS TABLE (project text, at timestamptz, device integer, value numeric, double_value numeric) LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS $$
	SELECT called(project_id), at, device, "Value ", double_value FROM readings ORDER BY id
$$;
CREATE FUNCTION pg_temp.parts() RETURNS TABLE (project text, n bigint) LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS $$
	SELECT called(project_id), count(*) FROM parts GROUP BY 1 ORDER BY 1
$$;
SET ROLE :client;
SET timezone = 'UTC';

-- The project comes from the token, defaults from the table
BEGIN;
SELECT tenancy.authenticate(:'open_token');
COPY readings_in (device, "Value ") FROM STDIN;
1	1.5
2	\N
\.
COPY readings_in (device, at) FROM STDIN WITH (FORMAT csv);
3,2026-02-02 00:00:00+00
\.
INSERT INTO readings_in (device) VALUES (4), (5);
COMMIT;
SELECT * FROM pg_temp.stored();

-- ... and from nothing else: another project's id in the data, hidden or made up
SELECT tenancy.authenticate(:'open_token', true);
CREATE FUNCTION pg_temp.into(name text) RETURNS text LANGUAGE sql AS $$ SELECT attempt(format('INSERT INTO readings_in (project_id, device) VALUES (%L, 6)', id(name))) $$;
SELECT pg_temp.into('hidden'), pg_temp.into('foreign'), pg_temp.into('fake') \gx
SELECT pg_temp.into('open');
SELECT attempt('INSERT INTO readings_in (project_id, device) VALUES (NULL, 7)');
SELECT attempt('INSERT INTO readings (project_id, device) VALUES (id(''foreign''), 6)');

-- All or nothing: what breaks a rule of the table, or of COPY, leaves no row
COPY readings_in (device) FROM STDIN;
8
9
-1
\.
COPY readings_in (device) FROM STDIN;
10
4
\.
COPY readings_in (device, at) FROM STDIN;
11	2026-01-01
12
\.
COPY readings_in (device) FROM STDIN;
13	14
\.
BEGIN;
SAVEPOINT s;
INSERT INTO readings_in (device) SELECT n FROM generate_series(2001, 4500) n;
INSERT INTO readings_in (device) VALUES (0);
ROLLBACK TO s;
INSERT INTO readings_in (device) VALUES (15);
COMMIT;
SELECT project, device FROM pg_temp.stored() WHERE device > 5;

-- More rows than are held at once, into partitions, under statements in one another
INSERT INTO "parts "" in" (n) SELECT n FROM generate_series(1, 2500) n;
SELECT * FROM pg_temp.parts();
CREATE FUNCTION pg_temp.one_more(n integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO "parts "" in" (n) VALUES (n);
	BEGIN
		INSERT INTO "parts "" in" (n) SELECT * FROM generate_series(1, 1500);
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		INSERT INTO "parts "" in" (n) VALUES (n);
	END;
	RETURN n;
END $$;
INSERT INTO "parts "" in" (n) SELECT pg_temp.one_more(n) FROM generate_series(1, 3) n;
SELECT * FROM pg_temp.parts();
WITH a AS (INSERT INTO "parts "" in" (n) VALUES (1), (2) RETURNING n), b AS (INSERT INTO "parts "" in" (n) SELECT n FROM a RETURNING n)
INSERT INTO "parts "" in" (n) SELECT n FROM b;
SELECT * FROM pg_temp.parts();
-- ... that begin first and end first; and no row at all
WITH a AS (INSERT INTO "parts "" in" (n) VALUES (1), (2) RETURNING n) INSERT INTO readings_in (device) SELECT n + 100 FROM a LIMIT 1;
INSERT INTO "parts "" in" (n) SELECT 1 WHERE false;
SELECT p.*, r.device FROM pg_temp.parts() p, pg_temp.stored() r WHERE r.device > 100;

-- Attack: a token that was regenerated, nobody, a Member of another organization
SELECT tenancy.authenticate(:'open_token', true);
RESET ROLE;
DELETE FROM tenancy.project_tokens WHERE project_id = id('open');
SET ROLE :client;
COPY readings_in (device) FROM STDIN;
16
\.
SELECT tenancy.sign_out();
COPY readings_in (device) FROM STDIN;
17
\.
SET ROLE :app;
SELECT act('bob');
SELECT pg_temp.into('open');
RESET ROLE;
GRANT INSERT ON readings, readings_in TO :app;
SET ROLE :app;
SELECT pg_temp.into('open'), pg_temp.into('fake') \gx
SELECT tenancy.sign_out();
-- ... a role with no right on the table, though it has one on the view
SELECT act('alice');
SELECT tenancy.rotate_project_token(id('open')) AS new_token \gset
RESET ROLE;
REVOKE INSERT ON readings FROM :client;
SET ROLE :client;
SELECT tenancy.authenticate(:'new_token', true);
COPY readings_in (device) FROM STDIN;
18
\.
-- ... through the view one neither reads nor changes
SELECT attempt('SELECT * FROM readings_in');
SELECT attempt('UPDATE readings_in SET device = 1');
RESET ROLE;
GRANT INSERT ON readings TO :client;
SELECT device FROM pg_temp.stored() WHERE device > 15;

-- The table changes: what it got meanwhile has its default, what was renamed is found
ALTER TABLE readings ADD COLUMN later integer DEFAULT 7;
ALTER TABLE readings RENAME COLUMN device TO "De vice";
ALTER TABLE readings RENAME TO "Readings 2";
SET ROLE :client;
COPY readings_in (device) FROM STDIN;
20
\.
RESET ROLE;
SELECT "De vice", later FROM "Readings 2" WHERE later = 7 AND "De vice" = 20;

-- The foreign key: its check is asked once for many rows, and answers as it does
-- for each, whatever happens meanwhile.  By a superuser, whom no policy stops:
-- what becomes of the rows in the table itself becomes of those in the view.
CREATE TABLE orders (project_id uuid, other uuid REFERENCES tenancy.projects ON DELETE CASCADE, n integer);
SELECT tenancy.protect('orders'), tenancy.create_ingest_view('orders', 'orders_in') \g /dev/null
ALTER TABLE orders ALTER project_id DROP NOT NULL;
SELECT tenancy.create_ingest_view('parts', 'parts_in') \g /dev/null
CREATE FUNCTION delete_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.n = TG_ARGV[0]::integer THEN
		DELETE FROM tenancy.projects WHERE id = id('open');
		IF TG_NARGS > 1 THEN RAISE SQLSTATE 'UNDO1'; END IF;
	END IF;
	RETURN NEW;
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN NEW;
END $$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN OLD.n = 2 THEN OLD END; END';
-- What becomes of three rows with these projects; nothing stays.
CREATE FUNCTION pg_temp.becomes(relation text, change text, projects text, others text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text := 'ok';
	rows bigint;
	orphans bigint;
BEGIN
	EXECUTE change;
	BEGIN
		EXECUTE format('INSERT INTO %s (project_id, n %s) SELECT CASE WHEN p <> '''' THEN id(p) END, i %s FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(p, q, i)', relation,
			CASE WHEN others IS NULL THEN '' ELSE ', other' END, CASE WHEN others IS NULL THEN '' ELSE ', id(q)' END) USING projects, others;
		SET CONSTRAINTS ALL IMMEDIATE;
	-- from 18 on RESTRICT has an error of its own
	EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN answer := '23503 ' || regexp_replace(replace(SQLERRM, 'RESTRICT setting of ', ''), 'parts_\d', 'parts_N');
	END;
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM tenancy.projects p WHERE p.id = project_id)) FROM %s WHERE project_id IS NOT NULL', split_part(relation, '_in', 1)) INTO rows, orphans;
	RAISE SQLSTATE 'UNDO0' USING MESSAGE = format('%s / rows: %s, orphans: %s', answer, rows, orphans);
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION pg_temp.alike(change text, projects text DEFAULT '{open,open,open}', others text DEFAULT NULL, relation text DEFAULT 'orders') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	of_table text := pg_temp.becomes(relation, change, projects, others);
	of_view text := pg_temp.becomes(relation || '_in', change, projects, others);
BEGIN
	RETURN CASE WHEN of_table = of_view THEN of_view ELSE 'TABLE: ' || of_table || E'\nVIEW: ' || of_view END;
END $$;
SET client_min_messages = warning;
DELETE FROM parts;
-- ... another project in a later row, in the other column, or none; in a partition
SELECT pg_temp.alike('');
SELECT pg_temp.alike('', '{open,open,fake}');
SELECT pg_temp.alike('', '{open,"",fake}');
SELECT pg_temp.alike('', '{open,"",open}');
SELECT pg_temp.alike('', others => '{open,fake,open}');
SELECT pg_temp.alike('', '{open,open,fake}', relation => 'parts');
-- ... the project is deleted before the rows, among them, after the first was checked,
-- before it is; is deleted and is not; takes along the second row and neither of the others
SELECT pg_temp.alike($$DELETE FROM tenancy.projects WHERE id = id('open')$$);
SELECT pg_temp.alike('CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(1)');
SELECT pg_temp.alike('CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(3)');
SELECT pg_temp.alike('CREATE TRIGGER t BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION delete_project(3)', relation => 'parts');
SELECT pg_temp.alike('CREATE TRIGGER zz AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(1)');
SELECT pg_temp.alike('CREATE TRIGGER "A" AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(1)');
SELECT pg_temp.alike('CREATE TRIGGER "A" AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(2, undone)');
SELECT pg_temp.alike('CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(3, undone)');
SELECT pg_temp.alike($$CREATE TRIGGER zz AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(1);
	CREATE TRIGGER k BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep()$$);
-- ... the key is another one, or none
SELECT pg_temp.alike('ALTER TABLE orders DROP CONSTRAINT orders_project_id_fkey', '{open,open,fake}');
SELECT pg_temp.alike('ALTER TABLE orders DISABLE TRIGGER ALL', '{open,open,fake}');
CREATE FUNCTION pg_temp.keyed(key text) RETURNS text LANGUAGE sql AS $$
	SELECT 'ALTER TABLE orders DROP CONSTRAINT orders_project_id_fkey, ADD CONSTRAINT k FOREIGN KEY (project_id) REFERENCES tenancy.projects ' || key
$$;
SELECT key, pg_temp.alike(pg_temp.keyed(key), '{open,"",open}') = pg_temp.alike('', '{open,"",open}') AS right, pg_temp.alike(pg_temp.keyed(key), '{open,open,fake}') AS wrong
FROM unnest(ARRAY['NOT VALID', 'MATCH FULL', 'ON UPDATE CASCADE', 'ON DELETE RESTRICT', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED']) key;
SELECT pg_temp.alike('CREATE TABLE numbers (n integer PRIMARY KEY); INSERT INTO numbers VALUES (1), (2); ALTER TABLE orders ADD FOREIGN KEY (n) REFERENCES numbers');
SELECT pg_temp.alike('CREATE TABLE numbers (n integer PRIMARY KEY); INSERT INTO numbers VALUES (1), (2), (3); ALTER TABLE orders ADD FOREIGN KEY (n) REFERENCES numbers', '{open,open,fake}');
SELECT pg_temp.alike('ALTER TABLE orders DROP CONSTRAINT orders_other_fkey, ADD CONSTRAINT two FOREIGN KEY (project_id, other) REFERENCES tenancy.projects (id, organization_id)',
	others => '{acme,acme,rival}');
SELECT pg_temp.alike(pg_temp.keyed('DEFERRABLE INITIALLY DEFERRED') || '; CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(3)');
SELECT pg_temp.alike(pg_temp.keyed('ON DELETE RESTRICT') || '; CREATE TRIGGER zz AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION delete_project(1)');
RESET client_min_messages;
-- ... and it does not look the project up for each row, in the table or its partitions
-- ..., also where other keys are looked up for each
CREATE TABLE numbers AS SELECT n FROM generate_series(1, 2500) n;
ALTER TABLE numbers ADD PRIMARY KEY (n);
ALTER TABLE orders ADD FOREIGN KEY (n) REFERENCES numbers;
CREATE FUNCTION pg_temp.lookups(relation text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	until_now bigint := (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'tenancy.projects'::regclass);
BEGIN
	EXECUTE format('INSERT INTO %s (project_id, n) SELECT id(''open''), n FROM generate_series(1, 2500) n', relation);
	RETURN (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'tenancy.projects'::regclass) - until_now;
END $$;
SELECT relation, pg_temp.lookups(relation) BETWEEN 1 AND 100 AS few FROM unnest('{orders,orders_in,parts,parts_in}'::text[]) relation;

-- What takes a trigger away is told, rather than that rows are lost
BEGIN;
DROP TRIGGER tenancy_ingest_end ON readings_in;
SET ROLE :client;
INSERT INTO readings_in (device) VALUES (21);
COMMIT;
BEGIN;
DROP TRIGGER tenancy_ingest_begin ON readings_in;
SET ROLE :client;
INSERT INTO readings_in (device) VALUES (22);
ROLLBACK;
-- ... nor is the function good for anything else
CREATE TABLE mine (n integer);
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tenancy._ingest();
INSERT INTO mine VALUES (1);
CREATE VIEW joined AS SELECT p.n, q.n AS m FROM plain p JOIN plain q USING (n);
CREATE TRIGGER a BEFORE INSERT ON joined FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER b INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER c AFTER INSERT ON joined FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
INSERT INTO joined VALUES (1, 2);
CREATE VIEW computed AS SELECT n + 1 AS n FROM plain;
CREATE TRIGGER a BEFORE INSERT ON computed FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER b INSTEAD OF INSERT ON computed FOR EACH ROW EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER c AFTER INSERT ON computed FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
INSERT INTO computed SELECT 1 WHERE false;
INSERT INTO computed VALUES (1);
CREATE VIEW empty AS SELECT;
CREATE TRIGGER a BEFORE INSERT ON empty FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER b INSTEAD OF INSERT ON empty FOR EACH ROW EXECUTE FUNCTION tenancy._ingest();
CREATE TRIGGER c AFTER INSERT ON empty FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest();
INSERT INTO empty DEFAULT VALUES;
DROP OWNED BY regress_ingest_owner CASCADE;
DROP ROLE regress_ingest_owner;
\i :cleanup
