-- Reporting views: names beside ids, for whoever may see the rows, and nobody else.
-- Each comment is a promise, and what follows tries to break it.
\set test reporting
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
\set bi regress_reporting_bi
\set owner regress_reporting_owner
CREATE ROLE :bi LOGIN;
CREATE ROLE :owner LOGIN;
CREATE SCHEMA regress_reporting AUTHORIZATION :owner;
GRANT USAGE ON SCHEMA regress_reporting TO PUBLIC;
GRANT REFERENCES ON tenancy.projects, tenancy.organizations TO :owner;
SET SESSION AUTHORIZATION :owner;
SET search_path = regress_reporting;
CREATE TABLE notes (project_id uuid NOT NULL, id integer NOT NULL, body text, api_token text, "Weird ""col" integer, gone integer, PRIMARY KEY (project_id, id));
CREATE TABLE letters (organization_id uuid NOT NULL, body text);
CREATE TABLE plain (project_id uuid, body text);
CREATE TABLE parted (project_id uuid NOT NULL, n integer NOT NULL) PARTITION BY LIST (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE taken (project_id uuid NOT NULL, project_name text);
CREATE TABLE taken_too (organization_id uuid NOT NULL, organization_name text, project_name text);
CREATE TABLE "O'Hara ""x" (project_id uuid NOT NULL, "a b" integer);
ALTER TABLE notes DROP COLUMN gone;
SELECT tenancy.protect('notes'), tenancy.protect_by_organization('letters'), tenancy.protect('parted'), tenancy.protect('taken'),
	   tenancy.protect_by_organization('taken_too'), tenancy.protect('"O''Hara ""x"') \gset

-- names first, then the table's columns but for what is named like a secret
SET client_min_messages = notice;
SELECT tenancy.create_reporting_view('notes', 'notes_report');
SET client_min_messages = warning;
SELECT tenancy.create_reporting_view('letters', 'regress_reporting.letters_report');
SELECT tenancy.create_reporting_view('parted', 'parted_report');
SELECT tenancy.create_reporting_view('"O''Hara ""x"', '"rep''ort ""of x"');
SELECT * FROM tenancy.reporting_views ORDER BY view::text;
SELECT attrelid::regclass, attnum, attname FROM pg_attribute WHERE attrelid IN ('notes_report'::regclass, 'letters_report'::regclass, '"rep''ort ""of x"'::regclass) ORDER BY 1, 2;
SELECT relname, reloptions, pg_get_userbyid(relowner) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'regress_reporting'::regnamespace ORDER BY 1;
GRANT SELECT (project_id, id, body, "Weird ""col") ON notes TO :bi;
GRANT SELECT ON letters, letters_report, parted, parted_report, notes_report TO :bi;
RESET SESSION AUTHORIZATION;
SET search_path = regress_reporting, public;
INSERT INTO notes VALUES (:'p1', 1, 'of one', 'secret'), (:'p2', 1, 'of two', 'secret');
INSERT INTO letters VALUES (:'one', 'of one'), (:'two', 'of two');
INSERT INTO parted VALUES (:'p1', 1), (:'p2', 1);

-- the tool reads what the user sees, and no secret by it; nobody reads nothing
SELECT tenancy.bind_role(:'bi', :'alice') \gset
ALTER ROLE :bi SET search_path = regress_reporting;
\c - :bi
SELECT project_name, organization_name, body FROM notes_report;
SELECT organization_name, body FROM letters_report;
SELECT project_name, n FROM parted_report;
SELECT count(*) FROM notes_report WHERE project_name = 'Default Project';
SELECT api_token FROM notes_report;
SELECT api_token FROM notes;
SELECT * FROM notes;
-- attack 86: nor does anybody write through it
UPDATE notes_report SET body = '';
INSERT INTO notes_report (body) VALUES ('');
-- attack 88: a cheap function sees no other row, whatever the plan
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''saw %'', $1; RETURN true; END';
SET client_min_messages = notice;
SELECT body FROM notes_report WHERE pg_temp.leak(body) AND pg_temp.leak(project_name) AND pg_temp.leak(organization_name);
SELECT body FROM letters_report WHERE pg_temp.leak(organization_name) AND pg_temp.leak(body);
SET enable_nestloop = off;
SET enable_hashjoin = off;
SELECT body FROM notes_report WHERE pg_temp.leak(body) AND pg_temp.leak(project_name);
RESET ALL;
-- the ready-made ones
SELECT organization_name, plan, owner_name, member_count, project_count FROM tenancy.report_organizations;
SELECT organization_name, user_name, email, level, invited_by_name FROM tenancy.report_members;
SELECT project_name, organization_name, is_private, added_count FROM tenancy.report_projects;
SELECT organization_name, email, invited_by_name, is_pending FROM tenancy.report_invites;
\c - :superuser
SELECT tenancy.unbind_role(:'bi') \gset
INSERT INTO tenancy.users (id, email, name) VALUES ('00000000-0000-4000-8000-00000000000c', 'mia@two.example', 'mia');
INSERT INTO tenancy.memberships (organization_id, user_id, invited_by) VALUES (:'one', '00000000-0000-4000-8000-00000000000c', :'alice');
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT tenancy.create_project(:'one', 'Hidden', true) AS hidden \gset
SELECT tenancy.create_invite(:'one', 'x@two.example') IS NOT NULL;
COMMIT;
UPDATE tenancy.invites SET created_at = created_at - interval '9 days', expires_at = expires_at - interval '9 days';
INSERT INTO regress_reporting.notes VALUES (:'hidden', 1, 'hidden');
\c - :bi
SELECT count(*) FROM notes_report;
SELECT count(*) FROM tenancy.report_organizations;
\c - :superuser
-- attack 91: what is hidden is not counted
SELECT tenancy.bind_role(:'bi', '00000000-0000-4000-8000-00000000000c') \gset
\c - :bi
SELECT project_name, body FROM notes_report;
SELECT organization_name, owner_name, member_count, project_count FROM tenancy.report_organizations;
SELECT user_name, level, invited_by_name FROM tenancy.report_members ORDER BY 1;
SELECT project_name, is_private FROM tenancy.report_projects;
SELECT * FROM tenancy.report_invites;
-- ... nor the audit log told to a Member, any more than to nobody
SELECT count(*), count(*) FILTER (WHERE organization_id = :'one' OR chain = :'one') AS own FROM tenancy.report_audit;
\c - :superuser
SELECT tenancy.bind_role(:'bi', :'alice') \gset
\c - :bi
SELECT actor_name, action, relation, organization_name, project_name, user_name FROM tenancy.report_audit
WHERE chain = :'one' ORDER BY number, place;
SELECT DISTINCT organization_name FROM tenancy.report_audit;
SELECT count(*) FROM tenancy.audit_log EXCEPT SELECT count(*) FROM tenancy.report_audit;
SELECT project_name, is_private, added_count FROM tenancy.report_projects ORDER BY 1;
SELECT organization_name, email, invited_by_name, is_pending FROM tenancy.report_invites;
-- no view of ours shows a token or a digest
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relname ~ '^(report_|_.*_names$)' AND a.attname ~* 'token|digest|secret|version';

-- who cannot make one: not the owner of the table, of a table that is not protected, of
-- a name that is taken, or is none; with the path of whoever calls
\c - :bi
SELECT tenancy.create_reporting_view('notes', 'mine');
SELECT tenancy.refresh_reporting_view('notes_report');
SELECT tenancy.create_reporting_view('tenancy.users', 'mine');
\c - :owner
SET search_path = regress_reporting;
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT tenancy.create_reporting_view('plain', 'mine');
SELECT tenancy.create_reporting_view('taken', 'mine');
SELECT tenancy.create_reporting_view('taken_too', 'mine');
SELECT tenancy.create_reporting_view('notes', 'letters');
SELECT tenancy.create_reporting_view('notes', 'notes_report');
\set VERBOSITY terse
SELECT tenancy.create_reporting_view('notes', '');
SELECT tenancy.create_reporting_view('notes', 'a.b.c');
SELECT tenancy.create_reporting_view('notes', 'x AS SELECT 1; DROP TABLE plain; --');
SELECT tenancy.create_reporting_view('notes', '"unclosed');
SELECT tenancy.create_reporting_view('notes', NULL);
SELECT tenancy.create_reporting_view(NULL, 'mine');
SELECT tenancy.create_reporting_view('missing', 'mine');
SELECT tenancy.create_reporting_view('notes_report', 'mine');
SELECT tenancy.create_reporting_view('notes', 'missing.mine');
SELECT tenancy.create_reporting_view('notes', 'pg_catalog.mine');
SELECT tenancy.create_reporting_view('notes', 'tenancy.mine');
SELECT tenancy.refresh_reporting_view('notes');
SELECT tenancy.refresh_reporting_view('tenancy.members');
SELECT tenancy.refresh_reporting_view(NULL);
SELECT count(*) FROM plain;
CREATE TEMP TABLE projects (id uuid, name text);
CREATE FUNCTION regress_reporting.eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR regress_reporting.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = regress_reporting.eq);
SET search_path = regress_reporting, pg_temp, pg_catalog;
SELECT tenancy.create_reporting_view('notes', 'Trap');
SET search_path = pg_catalog;
SELECT pg_get_viewdef('regress_reporting.trap') ~ 'FROM [(]regress_reporting.notes s\s+LEFT JOIN tenancy._project_names n ON [(][(]n.project_id = s.project_id[)][)]' AS sound;
DROP VIEW regress_reporting.trap;
DROP OPERATOR regress_reporting.= (uuid, uuid);

-- columns that come are taken in by a refresh, which keeps what depends on the view;
-- until then the view is as it was, and listed as behind
SET search_path = regress_reporting;
CREATE VIEW above AS SELECT body FROM notes_report;
ALTER TABLE notes ADD COLUMN more integer DEFAULT 7, ADD COLUMN password text;
SELECT view, problem FROM tenancy.reporting_views WHERE problem IS NOT NULL;
SET client_min_messages = notice;
SELECT tenancy.refresh_reporting_view('notes_report');
-- and what was set on it, by the way that keeps the view and by the one that makes it anew
ALTER VIEW notes_report SET (security_barrier = on);
SELECT tenancy.refresh_reporting_view('notes_report');
SELECT reloptions FROM pg_class WHERE oid = 'notes_report'::regclass;
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'notes_report'::regclass AND attnum > 0;
-- one that was renamed, or is a secret by now, needs a new view: refused while something
-- depends on it, made anew with all that it had
ALTER TABLE notes RENAME body TO text;
ALTER TABLE notes RENAME more TO api_key;
SELECT view, problem FROM tenancy.reporting_views WHERE problem IS NOT NULL;
SELECT tenancy.refresh_reporting_view('notes_report');
DROP VIEW above;
COMMENT ON VIEW notes_report IS 'kept';
GRANT SELECT ON notes_report TO :bi WITH GRANT OPTION;
SELECT tenancy.refresh_reporting_view('notes_report');
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'notes_report'::regclass AND attnum > 0;
SELECT obj_description(c.oid, 'pg_class'), reloptions, a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_class c, aclexplode(relacl) a
WHERE c.oid = 'notes_report'::regclass AND a.grantee <> relowner;
ALTER VIEW notes_report RESET (security_barrier);
-- by a superuser, too, and the view stays the owner's
\c - :superuser
SET search_path = regress_reporting;
ALTER TABLE notes RENAME text TO body;
SELECT tenancy.refresh_reporting_view('notes_report');
SELECT pg_get_userbyid(relowner), a.grantee::regrole FROM pg_class, aclexplode(relacl) a WHERE oid = 'notes_report'::regclass AND a.grantee <> relowner;
SELECT tenancy.create_reporting_view('notes', 'another');
SELECT pg_get_userbyid(relowner), relacl FROM pg_class WHERE oid = 'another'::regclass;
DROP VIEW another;
-- what was taken away comes back
ALTER VIEW notes_report RESET (security_invoker);
SELECT view, problem FROM tenancy.reporting_views WHERE problem IS NOT NULL;
SELECT rule, object, remedy FROM tenancy.lint() WHERE object ~ 'notes_report' ORDER BY 1;
SELECT tenancy.refresh_reporting_view('notes_report');
SELECT view, problem FROM tenancy.reporting_views WHERE problem IS NOT NULL;
SELECT rule, object, remedy FROM tenancy.lint() WHERE object ~ 'notes_report' ORDER BY 1;
BEGIN;
SELECT tenancy.unprotect('letters');
SELECT view, problem FROM tenancy.reporting_views WHERE problem IS NOT NULL;
SELECT rule, object, remedy FROM tenancy.lint() WHERE object ~ 'letters_report' ORDER BY 1;
SELECT tenancy.refresh_reporting_view('letters_report');
ROLLBACK;

-- the same indexes as the table: the very plan of the table where no name is asked for,
-- and the table's index where one is
INSERT INTO notes SELECT :'p1', g, 'n' FROM generate_series(2, 4000) g;
INSERT INTO notes SELECT :'p2', g, 'n' FROM generate_series(2, 4000) g;
ANALYZE notes;
CREATE FUNCTION plan(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	lines text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		lines := lines || line || E'\n';
	END LOOP;
	RETURN lines;
END
$$;
GRANT EXECUTE ON FUNCTION plan(text) TO PUBLIC;
SELECT format($$SELECT count(*) AS plans, count(*) FILTER (WHERE own = report) AS same, bool_or(own ~ 'Index') AS by_index FROM (SELECT plan(format(q, 'notes')) AS own, plan(format(q, 'notes_report')) AS report FROM unnest(ARRAY[
	'SELECT body FROM %%s s WHERE id = 7', 'SELECT count(*) FROM %%s s', 'SELECT body FROM %%s s WHERE project_id = ''%1$s'' AND id < 9',
	'SELECT body FROM %%s s ORDER BY project_id, id LIMIT 3', 'SELECT body FROM %%s s WHERE project_id = ''%1$s'' AND body LIKE ''n%%%%'' ORDER BY id DESC LIMIT 1']) q) p$$, :'p1') AS same_plans \gset
\c - :bi
:same_plans;
-- whatever the statistics of a few rows say
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
SELECT p ~ 'notes_pkey' AS index_of_the_table, p ~ 'Index Cond: [(][(]project_id = ANY [(]tenancy.viewable_projects[(][)][)][)] AND' AS by_project,
	   p ~ 'using projects_\w+ on projects' AS by_key
FROM plan('SELECT project_name, organization_name, body FROM notes_report s WHERE id < 9') p;

-- proven as any view is
\c - :superuser
SET search_path = regress_reporting;
SELECT command, attempt, isolated, detail FROM tenancy.prove_isolation(:'bi') WHERE attempt ~ 'notes_report' AND isolated IS NOT TRUE;
SELECT count(*) > 0 AS tried FROM tenancy.prove_isolation(:'bi') WHERE attempt ~ 'notes_report' AND isolated;

-- the end of the view, or of the table, is the end of it all
DROP VIEW letters_report;
DROP TABLE parted;
DROP TABLE parted CASCADE;
SELECT view, source FROM tenancy.reporting_views ORDER BY view::text;
\c - :superuser
SET client_min_messages = warning;
DROP SCHEMA regress_reporting CASCADE;
SELECT count(*) FROM tenancy.reporting_views;
ALTER ROLE :bi RESET ALL;
DROP OWNED BY :bi, :owner;
DROP ROLE :bi, :owner;
\i :two_end
\set ECHO none
