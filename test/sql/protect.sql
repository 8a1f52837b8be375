-- What tenancy.protect() and its kin do to a table, and what they refuse.
\set VERBOSITY terse
CREATE ROLE regress_protect_app;
CREATE SCHEMA regress_protect;
GRANT USAGE ON SCHEMA regress_protect TO PUBLIC;
SET search_path = regress_protect;

-- alice owns organization 1, mia is a Member, bob owns organization 2; the
-- projects are 1 (open), 2 (private) and, of organization 2, 3; 9 never existed
\set alice 'a0000000-0000-4000-8000-000000000001'
\set mia 'a0000000-0000-4000-8000-000000000002'
\set bob 'a0000000-0000-4000-8000-000000000003'
\set org1 'a1000000-0000-4000-8000-000000000001'
\set org2 'a1000000-0000-4000-8000-000000000002'
\set p1 'a2000000-0000-4000-8000-000000000001'
\set p2 'a2000000-0000-4000-8000-000000000002'
\set p3 'a2000000-0000-4000-8000-000000000003'
\set p9 'a2000000-0000-4000-8000-000000000009'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'alice', 'alice@protect.example', 'Alice'), (:'mia', 'mia@protect.example', 'Mia'), (:'bob', 'bob@protect.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'alice', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (:'org1', :'mia');
INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES
	(:'p1', :'org1', 'Open', false), (:'p2', :'org1', 'Private', true), (:'p3', :'org2', 'Foreign', false);

-- What is missing is made, and each thing is said.
CREATE TABLE bare (id integer, project_id uuid);
INSERT INTO bare VALUES (1, :'p1'), (2, :'p2'), (3, :'p3');
SELECT tenancy.protect('bare');
\d bare

-- What is there is left alone, and nothing is said.
CREATE TABLE prepared (
	project_id uuid NOT NULL DEFAULT tenancy.current_project_id() REFERENCES tenancy.projects ON DELETE RESTRICT,
	id integer, PRIMARY KEY (project_id, id));
SELECT tenancy.protect('prepared');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'prepared'::regclass AND contype = 'f' ORDER BY 1;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'prepared'::regclass ORDER BY 1;

-- An index that cannot answer column = ANY (list) does not count: of another
-- kind, led by another column, partial.
CREATE TABLE wrong_indexes (id integer, project_id uuid NOT NULL DEFAULT tenancy.current_project_id() REFERENCES tenancy.projects);
CREATE INDEX wrong_hash ON wrong_indexes USING hash (project_id);
CREATE INDEX wrong_brin ON wrong_indexes USING brin (project_id);
CREATE INDEX wrong_order ON wrong_indexes (id, project_id);
CREATE INDEX wrong_partial ON wrong_indexes (project_id) WHERE id > 3;
SELECT tenancy.protect('wrong_indexes');

-- A column that has a default keeps it; the others default to the current
-- project.
CREATE TABLE defaulted (project_id uuid NOT NULL DEFAULT 'a2000000-0000-4000-8000-000000000001' REFERENCES tenancy.projects, id integer, PRIMARY KEY (project_id, id));
SELECT tenancy.protect('defaulted');
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_protect TO regress_protect_app;
SELECT tenancy.act_as(:'alice', true) \gset
SET ROLE regress_protect_app;
INSERT INTO defaulted (id) VALUES (1) RETURNING project_id = :'p1' AS own_default;
SET tenancy.project_id = :'p2';
INSERT INTO bare (id) VALUES (20);
RESET tenancy.project_id;
SELECT id, project_id = :'p2' AS in_current_project FROM bare WHERE id = 20;
-- no current project: the default is NULL, and a row without project is refused
INSERT INTO bare (id) VALUES (21);
DELETE FROM bare WHERE id = 20;
RESET ROLE;

-- Each command, as a Member sees it: reading.
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_protect_app;
SELECT id FROM bare ORDER BY id;
-- writing: into what she sees; the same words for hidden, foreign, unknown
INSERT INTO bare VALUES (4, :'p1') RETURNING id;
INSERT INTO bare VALUES (5, :'p2');
INSERT INTO bare VALUES (5, :'p3');
INSERT INTO bare VALUES (5, :'p9');
INSERT INTO bare VALUES (5, NULL);
UPDATE bare SET id = id + 100 RETURNING id;
UPDATE bare SET project_id = :'p2' WHERE id = 101;
DELETE FROM bare WHERE id IN (2, 3, 104) RETURNING id;
RESET ROLE;

-- editable_by: reading for Members, writing for Administrators and above.
SELECT tenancy.protect('bare', editable_by => 'administrator');
SELECT relation, kind, column_name, visible_to, editable_by FROM tenancy.protected_tables WHERE relation = 'bare'::regclass;
SET ROLE regress_protect_app;
SELECT id FROM bare ORDER BY id;
INSERT INTO bare VALUES (6, :'p1');
UPDATE bare SET id = 0 RETURNING id;
DELETE FROM bare RETURNING id;
RESET ROLE;
SELECT tenancy.act_as(:'alice', true) \gset
SET ROLE regress_protect_app;
UPDATE bare SET id = id RETURNING id;
RESET ROLE;
-- and the Owner only
SELECT tenancy.protect('bare', 'project_id', 'owner');
SELECT tenancy.act_as(:'bob', true) \gset
SET ROLE regress_protect_app;
UPDATE bare SET id = 300 RETURNING id;
RESET ROLE;

-- By organization: Members read, Administrators and above write, unless told
-- otherwise.
CREATE TABLE billing (organization_id uuid, id integer);
SELECT tenancy.protect_by_organization('billing');
CREATE TABLE secrets (org uuid, id integer);
SELECT tenancy.protect_by_organization('secrets', 'org', 'administrator', 'owner');
INSERT INTO billing VALUES (:'org1', 1), (:'org2', 2);
INSERT INTO secrets SELECT * FROM billing;
GRANT SELECT, INSERT, UPDATE, DELETE ON billing, secrets TO regress_protect_app;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_protect_app;
SELECT id FROM billing;
SELECT id FROM secrets;
INSERT INTO billing VALUES (:'org1', 3);
INSERT INTO billing VALUES (:'org2', 3);
UPDATE billing SET id = 3 RETURNING id;
DELETE FROM billing RETURNING id;
RESET ROLE;
UPDATE tenancy.memberships SET level = 'administrator' WHERE user_id = :'mia';
SET ROLE regress_protect_app;
SELECT id FROM secrets;
INSERT INTO billing VALUES (:'org1', 3) RETURNING id;
INSERT INTO secrets VALUES (:'org1', 3);
UPDATE billing SET organization_id = :'org2';
RESET ROLE;

-- Every protected table is listed with what it was protected by.
SELECT * FROM tenancy.protected_tables ORDER BY relation::text;
-- the list says the same whatever the search_path of whoever reads it
SET search_path = tenancy, regress_protect;
SELECT * FROM tenancy.protected_tables ORDER BY relation::text;
SET search_path = regress_protect;

-- Again is no error; unprotect gives the table back as it was.
SELECT tenancy.protect('bare');
SELECT tenancy.unprotect('bare');
SELECT relrowsecurity, relforcerowsecurity, (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) AS policies
FROM pg_class c WHERE oid = 'bare'::regclass;
SELECT tenancy.unprotect('bare');

-- attack 47: what cannot be protected is refused, with the reason.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE VIEW a_view AS SELECT * FROM prepared;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM prepared;
CREATE TEMP TABLE a_temp_table (project_id uuid);
CREATE FOREIGN DATA WRAPPER regress_protect_wrapper;
CREATE SERVER regress_protect_server FOREIGN DATA WRAPPER regress_protect_wrapper;
CREATE FOREIGN TABLE a_foreign_table (project_id uuid) SERVER regress_protect_server;
CREATE SEQUENCE a_sequence;
SELECT tenancy.protect('a_view');
SELECT tenancy.protect('a_matview');
SELECT tenancy.protect('a_temp_table');
SELECT tenancy.protect('a_foreign_table');
SELECT tenancy.protect('a_sequence');
SELECT tenancy.protect('prepared_pkey');
SELECT tenancy.protect('pg_catalog.pg_class', 'oid');
SELECT tenancy.protect('information_schema.sql_features', 'feature_id');
SELECT tenancy.protect('tenancy.project_tokens');
SELECT tenancy.protect_by_organization('tenancy.memberships');
SELECT tenancy.protect('missing');
SELECT tenancy.protect(NULL);
SELECT tenancy.protect(4294967295::oid::regclass);
SELECT tenancy.protect('bare', NULL);
SELECT tenancy.protect('bare', editable_by => NULL);
SELECT tenancy.protect('bare', 'missing');
SELECT tenancy.protect('bare', 'id');
SELECT tenancy.protect('bare', 'ctid');
-- attack 69: only uuid
CREATE TABLE by_text (project_id text);
SELECT tenancy.protect('by_text');
-- attack 70: rows without project, or of a project that does not exist
CREATE TABLE with_null (project_id uuid);
INSERT INTO with_null VALUES (NULL);
SELECT tenancy.protect('with_null');
CREATE TABLE dangling (project_id uuid);
INSERT INTO dangling VALUES (:'p9');
SELECT tenancy.protect('dangling');
-- also where a key or NOT NULL is there that was declared without a look at the rows
CREATE TABLE looked_away (project_id uuid NOT NULL);
INSERT INTO looked_away VALUES (:'p9');
ALTER TABLE looked_away ADD CONSTRAINT later FOREIGN KEY (project_id) REFERENCES tenancy.projects NOT VALID;
SELECT tenancy.protect('looked_away');
UPDATE looked_away SET project_id = :'p1';
SELECT tenancy.protect('looked_away');
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'looked_away'::regclass AND contype = 'f';
CREATE TABLE looked_twice (project_id uuid NOT NULL DEFAULT tenancy.current_project_id(), id integer, PRIMARY KEY (project_id, id),
	CONSTRAINT valid FOREIGN KEY (project_id) REFERENCES tenancy.projects);
ALTER TABLE looked_twice ADD CONSTRAINT another FOREIGN KEY (project_id) REFERENCES tenancy.projects NOT VALID;
SELECT tenancy.protect('looked_twice');
CREATE TABLE with_old_null (project_id uuid);
INSERT INTO with_old_null VALUES (NULL);
DO $$ BEGIN
	IF current_setting('server_version_num')::integer >= 180000 THEN
		EXECUTE 'ALTER TABLE with_old_null ADD CONSTRAINT not_null NOT NULL project_id NOT VALID';
	END IF;
END $$;
SELECT tenancy.protect('with_old_null');
-- a refusal leaves nothing half done
SELECT relname, relrowsecurity, (SELECT attnotnull FROM pg_attribute WHERE attrelid = c.oid AND attname = 'project_id') AS not_null
FROM pg_class c WHERE oid IN ('dangling'::regclass, 'with_null'::regclass) ORDER BY 1;

SELECT tenancy._clear_identity() \gset
SET client_min_messages = warning;
DROP SCHEMA regress_protect CASCADE;
DROP FOREIGN DATA WRAPPER regress_protect_wrapper CASCADE;
DROP TABLE a_temp_table;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@protect.example';
DROP ROLE regress_protect_app;
