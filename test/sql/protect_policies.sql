-- Protection beside policies, rights and owners that a table has already, and
-- with names that ask for trouble.
\set VERBOSITY terse
CREATE ROLE regress_policies_owner;
CREATE ROLE regress_policies_app;
CREATE ROLE "regress_policies x'); --";
SET client_min_messages = warning;
CREATE SCHEMA regress_policies;
GRANT USAGE ON SCHEMA regress_policies TO PUBLIC;
GRANT CREATE ON SCHEMA regress_policies TO regress_policies_owner;
SET search_path = regress_policies;
\set mia 'a6000000-0000-4000-8000-000000000001'
\set bob 'a6000000-0000-4000-8000-000000000002'
\set org1 'a7000000-0000-4000-8000-000000000001'
\set org2 'a7000000-0000-4000-8000-000000000002'
\set p1 'a8000000-0000-4000-8000-000000000001'
\set p2 'a8000000-0000-4000-8000-000000000002'
INSERT INTO tenancy.users (id, email, name) VALUES
	(:'mia', 'mia@policies.example', 'Mia'), (:'bob', 'bob@policies.example', 'Bob');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES
	(:'org1', 'One', :'mia', 'enterprise'), (:'org2', 'Two', :'bob', 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name) VALUES (:'p1', :'org1', 'Mine'), (:'p2', :'org2', 'Foreign');

-- attack 71: policies of the table's own narrow what tenancy allows, and never
-- widen it, whether they were there before or come later.
CREATE TABLE own (id integer, archived boolean DEFAULT false, project_id uuid NOT NULL);
INSERT INTO own VALUES (1, false, :'p1'), (2, true, :'p1'), (3, false, :'p2'), (4, true, :'p2');
GRANT SELECT, INSERT, UPDATE, DELETE ON own TO regress_policies_app;
ALTER TABLE own ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_archived ON own FOR SELECT USING (NOT archived);
CREATE POLICY tenancy_of_mine ON own AS RESTRICTIVE FOR DELETE USING (NOT archived);
SET client_min_messages = notice;
SELECT tenancy.protect('own');
SET client_min_messages = warning;
SELECT polname, polcmd, polpermissive FROM pg_policy WHERE polrelid = 'own'::regclass ORDER BY 1;
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_policies_app;
SELECT id FROM own ORDER BY id;
RESET ROLE;
CREATE POLICY everything ON own USING (true) WITH CHECK (true);
CREATE POLICY everything_read ON own FOR SELECT TO regress_policies_app USING (true);
CREATE POLICY everything_updated ON own FOR UPDATE USING (true) WITH CHECK (true);
CREATE POLICY everything_deleted ON own FOR DELETE USING (true);
CREATE POLICY everything_inserted ON own FOR INSERT WITH CHECK (true);
SET ROLE regress_policies_app;
SELECT id FROM own ORDER BY id;
INSERT INTO own VALUES (5, false, :'p2');
UPDATE own SET id = id RETURNING id;
UPDATE own SET project_id = :'p2';
DELETE FROM own RETURNING id;
RESET ROLE;
-- without editing rights the same policies give none
SELECT tenancy.protect('own', editable_by => 'owner');
SELECT tenancy._clear_identity() \gset
INSERT INTO tenancy.memberships VALUES (:'org2', :'mia');
SELECT tenancy.act_as(:'mia', true) \gset
SET ROLE regress_policies_app;
SELECT id FROM own WHERE project_id = :'p2' ORDER BY id;
INSERT INTO own VALUES (6, false, :'p2');
UPDATE own SET id = 0 WHERE project_id = :'p2' RETURNING id;
DELETE FROM own WHERE project_id = :'p2' RETURNING id;
RESET ROLE;
-- unprotect leaves them, and row security on for them
SELECT tenancy.unprotect('own');
SELECT polname FROM pg_policy WHERE polrelid = 'own'::regclass ORDER BY 1;
SELECT relrowsecurity FROM pg_class WHERE oid = 'own'::regclass;
DELETE FROM tenancy.memberships WHERE user_id = :'mia';

-- attack 73: rights that reach around row security are revoked from whoever
-- holds them, directly, through PUBLIC, by a column, or from somebody else.
CREATE TABLE granted (id integer, project_id uuid NOT NULL);
GRANT ALL ON granted TO regress_policies_app WITH GRANT OPTION;
SET ROLE regress_policies_app;
GRANT TRIGGER, SELECT ON granted TO regress_policies_owner;
RESET ROLE;
GRANT TRUNCATE ON granted TO PUBLIC;
GRANT REFERENCES (id) ON granted TO "regress_policies x'); --";
SET client_min_messages = notice;
SELECT tenancy.protect('granted');
SET client_min_messages = warning;
SELECT a.grantee::regrole, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type)
FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'granted'::regclass AND a.grantee <> c.relowner GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM pg_attribute WHERE attrelid = 'granted'::regclass AND attacl <> '{}';
SET ROLE regress_policies_app;
TRUNCATE granted;
CREATE TRIGGER t BEFORE INSERT ON granted FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
RESET ROLE;
GRANT CREATE ON SCHEMA regress_policies TO regress_policies_app;
ALTER TABLE granted ADD PRIMARY KEY (id);
SET ROLE regress_policies_app;
CREATE TABLE probe (id integer REFERENCES granted);
-- attack 59: nor can everybody make a table that asks which projects exist
CREATE TABLE probe (id uuid REFERENCES tenancy.projects);
RESET ROLE;

-- attack 47: who does not own a table neither protects nor unprotects it, and
-- cannot by way of the functions that do the work.
SELECT tenancy.protect('own');
SET ROLE regress_policies_app;
SELECT tenancy.protect('own', editable_by => 'administrator');
SELECT tenancy.unprotect('own');
SELECT tenancy.protect_by_organization('own', 'project_id');
SELECT tenancy._drop_policies('own');
SELECT tenancy._unprotect('own');
SELECT tenancy._create_policies('own', 'true', 'true', 'true');
SELECT tenancy._prepare_column('own', 'id', 'tenancy.projects');
RESET ROLE;
SELECT editable_by FROM tenancy.protected_tables WHERE relation = 'own'::regclass;
-- The owner can, given the right to refer to projects by the DBA.
SET ROLE regress_policies_owner;
CREATE TABLE of_owner (id integer, project_id uuid);
SELECT tenancy.protect('of_owner');
RESET ROLE;
GRANT REFERENCES ON tenancy.projects TO regress_policies_owner;
SET ROLE regress_policies_owner;
SELECT tenancy.protect('of_owner');
SELECT editable_by FROM tenancy.protected_tables WHERE relation = 'of_owner'::regclass;
-- attack 56: and is not exempt
SELECT tenancy._clear_identity();
RESET ROLE;
INSERT INTO of_owner VALUES (1, :'p1');
SELECT tenancy._clear_identity() \gset
SET ROLE regress_policies_owner;
SELECT count(*) FROM of_owner;
SELECT tenancy.unprotect('of_owner');
SELECT count(*) FROM of_owner;
RESET ROLE;
REVOKE REFERENCES ON tenancy.projects FROM regress_policies_owner;

-- attack 46: names are quoted, whatever they are.
CREATE TABLE victim (id integer);
CREATE SCHEMA "regress_policies s""'); DROP TABLE victim; --";
SET search_path = "regress_policies s""'); DROP TABLE victim; --", regress_policies;
CREATE TABLE "x'); DROP TABLE victim;--" (id integer, "c"", true); DROP TABLE victim;--" uuid);
SELECT tenancy.protect('"x''); DROP TABLE victim;--"', 'c", true); DROP TABLE victim;--');
-- a column that is spelled like a call of ours
CREATE TABLE "Upper" (id integer, ProjectId uuid, "ProjectId" uuid, "can_write('owner'::tenancy.access_level)" uuid);
SELECT tenancy.protect('"Upper"', 'ProjectId', 'administrator');
CREATE TABLE "upper" (id integer, "can_write('owner'::tenancy.access_level)" uuid) PARTITION BY LIST (id);
SELECT tenancy.protect_by_organization('upper', 'can_write(''owner''::tenancy.access_level)', 'member', 'administrator');
CREATE TABLE "upper%s%I%L" PARTITION OF "upper" FOR VALUES IN (1);
-- names of 63 bytes, of several bytes a character, of a keyword
CREATE TABLE "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
	("ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" uuid);
SELECT tenancy.protect('"ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"',
					   'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc');
CREATE TABLE "Übersicht" ("Schlüssel" uuid);
SELECT tenancy.protect('"Übersicht"', 'Schlüssel');
CREATE TABLE "table" ("select" uuid, "user" uuid);
SELECT tenancy.protect('"table"', 'select');
SELECT relation, kind, column_name, visible_to, editable_by FROM tenancy.protected_tables
WHERE relation::text <> ALL ('{own,granted}') ORDER BY relation::text COLLATE "C";
SELECT tenancy.protect('"x''); DROP TABLE victim;--"', 'c", true); DROP TABLE victim;--', 'owner');
SELECT tenancy.unprotect('"x''); DROP TABLE victim;--"');
SELECT tenancy.unprotect('"Upper"');
SELECT tenancy.unprotect('upper');
SELECT tenancy.unprotect('"table"');
SELECT relation FROM tenancy.protected_tables WHERE relation::text <> ALL ('{own,granted}') ORDER BY relation::text COLLATE "C";
SELECT count(*) AS victims FROM victim;
-- a table in pg_temp or in an earlier schema of the same name is not taken for it
CREATE TEMP TABLE "Übersicht" ("Schlüssel" uuid);
SELECT tenancy.unprotect('"regress_policies s""''); DROP TABLE victim; --"."Übersicht"');
DROP TABLE pg_temp."Übersicht";

SELECT tenancy._clear_identity() \gset
DROP SCHEMA regress_policies, "regress_policies s""'); DROP TABLE victim; --" CASCADE;
DELETE FROM tenancy.organizations WHERE id IN (:'org1', :'org2');
DELETE FROM tenancy.users WHERE email LIKE '%@policies.example';
DROP ROLE regress_policies_owner, regress_policies_app, "regress_policies x'); --";
