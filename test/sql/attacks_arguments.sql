-- Attacks with arguments: names that need quoting, tables that are somebody
-- else's, questions without an answer, questions without end.  The numbers are
-- those of the attack catalogue.
\set test attacks_arguments
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
SELECT tenancy.create_session(:'bob') AS session_b \gset
CREATE SCHEMA regress_attacks_arguments AUTHORIZATION regress_attacks_arguments_app;
CREATE SCHEMA "regress ""attacks_arguments""; --" AUTHORIZATION regress_attacks_arguments_app;

-- attack 46: names are names, whatever is in them
SET search_path = regress_attacks_arguments;
CREATE TABLE kept (x integer);
CREATE TABLE "x'); DROP TABLE kept;--" ("project""id'; DROP TABLE kept; --" uuid);
CREATE TABLE "regress ""attacks_arguments""; --"."T %I %s $$ \" ("Project_Id" uuid, project_id uuid);
CREATE TABLE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" ("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" uuid);
GRANT TRUNCATE, TRIGGER, REFERENCES ON "x'); DROP TABLE kept;--" TO PUBLIC;
SELECT tenancy.protect('"x''); DROP TABLE kept;--"', 'project"id''; DROP TABLE kept; --') \gset
SELECT tenancy.protect('"regress ""attacks_arguments""; --"."T %I %s $$ \"', 'Project_Id', 'administrator') \gset
SELECT tenancy.protect('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb') \gset
SELECT relation, kind, column_name, editable_by FROM tenancy.protected_tables
WHERE relation::text NOT LIKE '%events' ORDER BY relation::text COLLATE "C";
SELECT count(*) FROM "x'); DROP TABLE kept;--";
TABLE kept;
SELECT tenancy.unprotect('"x''); DROP TABLE kept;--"') \gset
SELECT tenancy.unprotect('"regress ""attacks_arguments""; --"."T %I %s $$ \"') \gset
SELECT tenancy.unprotect('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') \gset
SELECT tenancy.protect('kept', 'x'';');

ALTER TABLE kept OWNER TO regress_attacks_arguments_app;

-- attack 47: one protects and unprotects what one owns, and tables only
\c - :app
SELECT tenancy.unprotect('events');
SELECT tenancy.protect('events');
SELECT tenancy.protect('events', 'project_id', 'owner');
SELECT tenancy.protect('pg_class', 'oid');
SELECT tenancy.protect('tenancy.projects', 'id');
SELECT tenancy.unprotect('tenancy.projects');
CREATE VIEW regress_attacks_arguments.v AS SELECT NULL::uuid AS project_id;
SELECT tenancy.protect('regress_attacks_arguments.v');
CREATE MATERIALIZED VIEW regress_attacks_arguments.m AS SELECT NULL::uuid AS project_id;
SELECT tenancy.protect('regress_attacks_arguments.m');
CREATE TEMPORARY TABLE temporary (project_id uuid);
SELECT tenancy.protect('pg_temp.temporary');
SELECT tenancy.protect(NULL);
SELECT tenancy.protect('regress_attacks_arguments.kept', NULL);
SELECT tenancy.protect('regress_attacks_arguments.kept', 'project_id', NULL);
SELECT tenancy.protect(0::oid::regclass);
SELECT count(*) FROM events;
SELECT count(*) FROM pg_policies WHERE tablename = 'events';

-- attack 52: predicates answer, they do not raise, whatever they are asked
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT tenancy.can_view(NULL), tenancy.can_reach(NULL), tenancy.can_edit(NULL, NULL), tenancy.can_write(NULL), tenancy.is_member(NULL),
	   tenancy.level_in(NULL), tenancy.can('project.view', NULL), tenancy.can(NULL, :'p2');
SELECT bool_or(tenancy.can_view(u)), bool_or(tenancy.can_write(u)), bool_or(tenancy.is_member(u)), bool_or(tenancy.can('project.view', u))
FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid), ('ffffffff-ffff-ffff-ffff-ffffffffffff'), (:'p1'), (:'one'), (:'alice')) v (u);
SELECT count(*) FROM (SELECT tenancy.can_view(md5(i::text)::uuid) AS v FROM generate_series(1, 1000000) i) s WHERE v;
SELECT tenancy.can_view('x');
ROLLBACK;

-- attack 53: many identities in one session do not take much memory
\c - :superuser
GRANT pg_read_all_stats TO regress_attacks_arguments_gateway;
INSERT INTO tenancy.projects (organization_id, name) SELECT :'two', 'Many' FROM generate_series(1, 20000);
\c - :gateway
SET tenancy.cache_size = 64;
DO $$
BEGIN
	FOR i IN 1 .. 20000 LOOP
		PERFORM tenancy.act_as(md5(i::text)::uuid);
		PERFORM tenancy.can_view('00000000-0000-0000-0000-000000000000');
	END LOOP;
END $$;
SELECT sum(total_bytes) < 1024 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name LIKE 'tenancy%';
-- ... nor does the set of somebody who reaches much, once it is out of use
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT cardinality(tenancy.viewable_projects());
SELECT tenancy.act_as(:'alice') \gset
SELECT cardinality(tenancy.viewable_projects());
COMMIT;
SELECT sum(total_bytes) < 1024 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name LIKE 'tenancy%';

-- attack 54: a change makes those load anew whom it concerns, and nobody else
\c - :superuser
CREATE FUNCTION attacks_arguments_admin(command text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN EXECUTE command; END';
\c - :gateway
-- does answering a question read the extension's tables?
CREATE FUNCTION pg_temp.loads(question text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before bigint := (SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'tenancy');
BEGIN
	EXECUTE question;
	RETURN before <> (SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'tenancy');
END $$;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT pg_temp.loads('SELECT count(*) FROM events') AS first, pg_temp.loads('SELECT count(*) FROM events') AS again;
SELECT attacks_arguments_admin(format($$
	INSERT INTO tenancy.users (id, email, name) VALUES (md5('carol')::uuid, 'carol@two.example', 'Carol');
	INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (%L, md5('carol')::uuid);
	INSERT INTO tenancy.projects (organization_id, name) VALUES (%1$L, 'Another')$$, :'one')) \gset
SELECT pg_temp.loads('SELECT count(*) FROM events') AS of_others;
SELECT attacks_arguments_admin(format('INSERT INTO tenancy.projects (organization_id, name) VALUES (%L, ''Another'')', :'two')) \gset
SELECT pg_temp.loads('SELECT count(*) FROM events') AS own, pg_temp.loads('SELECT count(*) FROM events') AS again;
ROLLBACK;

-- attack 55: what the predicates are, an ordinary role cannot change
\c - :app
ALTER FUNCTION tenancy.can_view(uuid) VOLATILE;
ALTER FUNCTION tenancy.can_view(uuid) NOT LEAKPROOF;
ALTER FUNCTION tenancy.can_view(uuid) OWNER TO regress_attacks_arguments_app;
CREATE OR REPLACE FUNCTION tenancy.can_view(project uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION tenancy.mine() RETURNS boolean LANGUAGE sql AS 'SELECT true';
DROP FUNCTION tenancy.can_view(uuid);
ALTER TABLE tenancy.memberships DISABLE TRIGGER ALL;
ALTER TABLE tenancy.memberships NO FORCE ROW LEVEL SECURITY;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (:'one', :'bob');
\c - :superuser
DROP SCHEMA regress_attacks_arguments, "regress ""attacks_arguments""; --" CASCADE;
DROP FUNCTION attacks_arguments_admin(text);
\i :two_end
