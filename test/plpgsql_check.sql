-- What plpgsql_check says of the extension's functions, and whether each SECURITY
-- DEFINER function pins its search_path; for make lint-code.
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
CREATE EXTENSION plpgsql_check;

CREATE TEMPORARY TABLE accepted (name text, message text, why text);
INSERT INTO accepted VALUES
	('_guard_owner', 'record "new" has no field "organization_id"', 'it looks first which table it is on'),
	('_guard_owner', 'record "new" has no field "id"', 'it looks first which table it is on'),
	('_keep_floors', 'text type variable is not sanitized', 'what the catalog gives back of an expression'),
	('distribute_table', 'never read variable "beside"', 'it is, by a function of Citus''s'),
	('_preview', 'text type variable is not sanitized', 'a command is what it takes'),
	('_revoke_rights', 'text type variable is not sanitized', 'quoted where it is selected, with quote_ident()'),
	('refresh_reporting_view', 'text type variable is not sanitized', 'quoted where it is selected, with format()'),
	('create_reporting_view', 'text type variable is not sanitized', 'quoted by _view_name() and _report_query()'),
	('check_integrity', 'text type variable is not sanitized', 'quoted where it is selected, with format()'),
	('grant_application', 'text type variable is not sanitized', 'a constant of _application_rights()'),
	('revoke_application', 'text type variable is not sanitized', 'a constant of _application_rights()');

-- What distribute() makes, for functions that name it.
CREATE SCHEMA tenancy_citus;
CREATE TABLE tenancy_citus.feed (change jsonb);
CREATE TABLE tenancy_citus.projects (id uuid PRIMARY KEY);
CREATE TRIGGER apply BEFORE INSERT ON tenancy_citus.feed FOR EACH ROW EXECUTE FUNCTION tenancy._apply_feed();
CREATE TRIGGER feed AFTER UPDATE ON tenancy.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
CREATE TRIGGER refuse BEFORE INSERT ON tenancy.users FOR EACH STATEMENT EXECUTE FUNCTION tenancy._refuse_on_worker();

-- A trigger's function is checked for each table that it is on.  Performance is
-- left out: it asks for STABLE where a new snapshot is what is wanted.
CREATE TEMPORARY TABLE findings AS
SELECT DISTINCT p.proname AS name, p.oid::regprocedure AS function, c.lineno AS line, c.level, c.message, c.detail
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_trigger t ON t.tgfoid = p.oid,
	LATERAL plpgsql_check_function_tb(p.oid, coalesce(t.tgrelid, 0), fatal_errors => false, extra_warnings => true,
		performance_warnings => false, security_warnings => true,
		oldtable => CASE p.proname WHEN '_feed' THEN 'old_rows' END, newtable => CASE p.proname WHEN '_feed' THEN 'new_rows' END) c
WHERE p.pronamespace = 'tenancy'::regnamespace AND l.lanname = 'plpgsql'
  -- what only Citus brings
  AND c.message !~ '^(relation "pg_dist_|function (run_command_on_all_nodes|create_reference_table|create_distributed_table|replicate_reference_tables)[(])';

CREATE TEMPORARY VIEW faults AS
SELECT f.function::text, f.line, f.level || ': ' || concat_ws('; ', f.message, f.detail) AS problem
FROM findings f
WHERE (f.name, f.message) NOT IN (SELECT a.name, a.message FROM accepted a)
UNION ALL
SELECT a.name, NULL, 'accepted, but not found any more: ' || a.message
FROM accepted a
WHERE (a.name, a.message) NOT IN (SELECT f.name, f.message FROM findings f)
UNION ALL
SELECT p.oid::regprocedure::text, NULL, 'SECURITY DEFINER without "search_path = pg_catalog, pg_temp"'
FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosecdef
  AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);

SELECT * FROM faults ORDER BY 1, 2;
DO $$
BEGIN
	IF (SELECT count(*) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
		WHERE p.pronamespace = 'tenancy'::regnamespace AND l.lanname = 'plpgsql') < 50 THEN
		RAISE 'there are fewer functions than there should be';
	END IF;
	IF EXISTS (SELECT FROM faults) THEN
		RAISE 'faults in PL/pgSQL';
	END IF;
END $$;
