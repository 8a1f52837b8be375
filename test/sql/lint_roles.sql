-- lint(), part 3: roles, grants, settings, the extension itself.  Each fault makes
-- one rule speak, and its remedy makes it silent.
\set test lint_roles
\getenv inputs PG_ABS_SRCDIR
\set lint :inputs /sql/lint.psql
\i :lint
SELECT * FROM findings;
CREATE ROLE regress_lint_roles_tables;
CREATE ROLE regress_lint_roles_login LOGIN;
GRANT CREATE ON SCHEMA regress TO regress_lint_roles_tables;
ALTER TABLE events OWNER TO regress_lint_roles_tables;
REVOKE CREATE ON SCHEMA regress FROM regress_lint_roles_tables;
SELECT * FROM findings;

-- attacks 56 and 57: whom row security does not bind
SELECT planted('ALTER ROLE regress_lint_roles_app BYPASSRLS');
SELECT planted('ALTER ROLE regress_lint_roles_app SUPERUSER');
SELECT planted('GRANT SELECT ON events TO regress_lint_roles_login', 'ALTER ROLE regress_lint_roles_login BYPASSRLS');
SELECT planted('ALTER ROLE regress_lint_roles_login BYPASSRLS');
SELECT planted('ALTER ROLE regress_lint_roles_client BYPASSRLS', 'GRANT regress_lint_roles_client TO regress_lint_roles_login');
SELECT planted('ALTER ROLE regress_lint_roles_client SUPERUSER', 'CREATE ROLE regress_lint_roles_between',
			   'GRANT regress_lint_roles_client TO regress_lint_roles_between', 'GRANT regress_lint_roles_between TO regress_lint_roles_login');
SELECT planted('GRANT pg_read_all_data TO regress_lint_roles_login');
SELECT planted('GRANT pg_execute_server_program TO regress_lint_roles_login');
SELECT planted('ALTER ROLE regress_lint_roles_login CREATEROLE');
SELECT planted('ALTER ROLE regress_lint_roles_login REPLICATION');
SELECT planted('ALTER ROLE regress_lint_roles_tables LOGIN');
SELECT planted('GRANT regress_lint_roles_tables TO regress_lint_roles_login');

-- whoever may grant a role can take it; from 16 on that can be all that a membership gives
SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN ', INHERIT FALSE, SET FALSE' ELSE '' END AS bare \gset
SELECT planted('GRANT regress_lint_roles_tables TO regress_lint_roles_login WITH ADMIN OPTION' || :'bare');

-- attacks 5 and 20: who may say who is acting
SELECT planted('GRANT SET ON PARAMETER tenancy.user_id TO PUBLIC');
SELECT planted('GRANT SET ON PARAMETER tenancy.user_id TO regress_lint_roles_login');
SELECT planted('GRANT SET ON PARAMETER tenancy.identity TO regress_lint_roles_login');
SELECT planted('GRANT ALTER SYSTEM ON PARAMETER tenancy.default_plan TO regress_lint_roles_login');
SELECT planted('GRANT regress_lint_roles_app TO regress_lint_roles_login');
-- ... trust that was taken back leaves nothing to say
SELECT planted('SELECT tenancy.revoke_application(''regress_lint_roles_app'')');
SELECT planted('SELECT tenancy.grant_application(''regress_lint_roles_login'')', 'SELECT tenancy.revoke_application(''regress_lint_roles_login'')');

-- attack 94: whom a login role stands for, when that cannot be any more
\set bound 'SELECT tenancy.bind_role(''regress_lint_roles_login'', id(''mia''))'
SELECT planted(:'bound');
SELECT planted(:'bound', 'ALTER ROLE regress_lint_roles_login BYPASSRLS');
SELECT planted(:'bound', 'ALTER ROLE regress_lint_roles_login RENAME TO regress_lint_roles_renamed');
SELECT planted(:'bound', 'ALTER TABLE events OWNER TO regress_lint_roles_login');
SELECT planted(:'bound', 'SELECT tenancy.set_user_active(id(''mia''), false)');
SELECT planted('SELECT tenancy.bind_role(''regress_lint_roles_login'', id(''mia''), id(''open''))', 'DELETE FROM tenancy.memberships WHERE user_id = id(''mia'')');
SELECT planted('GRANT EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) TO regress_lint_roles_login');
SELECT planted(:'bound', 'GRANT EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) TO regress_lint_roles_login');
SELECT planted('GRANT EXECUTE ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) TO PUBLIC');
SELECT role_name, problem FROM tenancy.bound_roles;

-- attack 12: temporary tables
SELECT format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()) AS fault \gset
SELECT * FROM (SELECT regexp_replace(planted(:'fault'), 'database .*', 'database')) x;

-- grants to come, and on what is ours
SELECT planted('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC');
SELECT planted('ALTER DEFAULT PRIVILEGES FOR ROLE regress_lint_roles_tables IN SCHEMA regress GRANT TRUNCATE, TRIGGER, SELECT ON TABLES TO regress_lint_roles_app');
SELECT planted('ALTER DEFAULT PRIVILEGES IN SCHEMA regress GRANT SELECT ON TABLES TO regress_lint_roles_app');
SELECT planted('GRANT INSERT, UPDATE ON tenancy.memberships TO regress_lint_roles_app');
SELECT planted('GRANT SELECT ON tenancy.sessions TO PUBLIC');
SELECT planted('GRANT SELECT (digest) ON tenancy.sessions TO regress_lint_roles_app');
SELECT planted('GRANT SELECT ON tenancy.access TO regress_lint_roles_app');
SELECT planted('GRANT REFERENCES ON tenancy.projects TO regress_lint_roles_app');
SELECT planted('GRANT REFERENCES ON tenancy.projects TO regress_lint_roles_tables');
SELECT planted('GRANT EXECUTE ON FUNCTION tenancy.act_as(uuid, boolean) TO PUBLIC');
SELECT planted('GRANT EXECUTE ON FUNCTION tenancy.act_as(uuid, boolean) TO regress_lint_roles_client');
SELECT planted('GRANT EXECUTE ON FUNCTION tenancy._issue_project_token(uuid) TO regress_lint_roles_client');
SELECT planted('GRANT CREATE ON SCHEMA tenancy TO regress_lint_roles_app');
SELECT planted('CREATE TABLE gates (api_key text)', 'GRANT SELECT ON gates TO regress_lint_roles_app');
SELECT planted('CREATE TABLE gates (api_key text)', 'GRANT SELECT (api_key) ON gates TO PUBLIC');
SELECT planted('CREATE SCHEMA regress_open', 'GRANT CREATE ON SCHEMA regress_open TO PUBLIC', 'CREATE EXTENSION pageinspect SCHEMA regress_open');

-- attacks 8 and 24: what is stored
SELECT planted('SET LOCAL allow_system_table_mods = on',
			   'INSERT INTO pg_db_role_setting VALUES (0, ''regress_lint_roles_app''::regrole, ''{tenancy.user_id=00000000-0000-4000-8000-000000000001}'')');
SELECT planted('ALTER ROLE regress_lint_roles_app SET session_replication_role = replica');
SELECT planted('ALTER ROLE regress_lint_roles_app SET row_security = off');
SELECT planted('ALTER ROLE regress_lint_roles_app SET search_path = pg_temp, public');
SELECT planted('ALTER ROLE regress_lint_roles_app SET search_path = regress, public');
SELECT planted('ALTER ROLE regress_lint_roles_app SET app.jwt_secret = ''x''');
SELECT planted('ALTER ROLE regress_lint_roles_app SET app.own = ''tns_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef00000000''');
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.password = ''x'' AS ''SELECT 1''');

-- attack 125: the log
SELECT planted('SET LOCAL log_statement = ''all''');
SELECT planted('SET LOCAL log_min_duration_statement = 100');
SELECT planted('SET LOCAL log_min_duration_statement = 100', 'SET LOCAL log_parameter_max_length = 0');
SELECT planted('SET LOCAL log_parameter_max_length_on_error = -1');
SELECT planted('SET LOCAL log_transaction_sample_rate = 0.5');
SELECT planted('SET LOCAL log_min_error_statement = error');
SELECT planted('ALTER ROLE regress_lint_roles_app SET log_statement = ''all''');
SELECT planted('ALTER ROLE regress_lint_roles_app SET log_min_duration_statement = ''100ms''');
SELECT planted('ALTER ROLE regress_lint_roles_app SET log_statement = ''ddl''');
LOAD 'auto_explain';
SELECT planted('SET LOCAL auto_explain.log_min_duration = 0');
-- attack 168
SELECT planted('SET LOCAL session_preload_libraries = ''auto_explain''');

-- the server
SELECT v, l.rule, l.remedy FROM unnest('{150019,150020,160015,170000,180006,180007,190000}'::int[]) v, tenancy._lint_server(v) l
WHERE l.rule = 'server_outdated';
-- CVE-2024-4317
SELECT planted('SET LOCAL allow_system_table_mods = on', 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext AS '
			   || replace(pg_get_viewdef('pg_stats_ext'::regclass), 'pg_has_role(c.relowner, ''USAGE''::text)', 'true'));
BEGIN;
CREATE EXTENSION pg_stat_statements VERSION '1.4';
SELECT rule, object FROM tenancy.lint() WHERE rule = 'extension_outdated';
ALTER EXTENSION pg_stat_statements UPDATE;
SELECT rule, object FROM tenancy.lint() WHERE rule = 'extension_outdated';
ROLLBACK;

-- attack 55: the extension itself
SELECT planted('ALTER FUNCTION tenancy.can_view(uuid) IMMUTABLE NOT LEAKPROOF PARALLEL UNSAFE COST 100');
SELECT planted('ALTER FUNCTION tenancy.is_member(uuid, tenancy.access_level) OWNER TO regress_lint_roles_app');
SELECT planted('ALTER FUNCTION tenancy.create_project(uuid, text, boolean) RESET search_path');
SELECT planted('ALTER FUNCTION tenancy.protect(regclass, name, tenancy.access_level) SECURITY DEFINER');
SELECT planted('CREATE OR REPLACE FUNCTION tenancy._guard_owner() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS ''BEGIN RETURN NEW; END''');
SELECT planted('ALTER TABLE tenancy.memberships DISABLE TRIGGER guard_owner');
SELECT planted('ALTER TABLE tenancy.memberships ENABLE TRIGGER invalidate');
SELECT planted('ALTER TABLE tenancy.memberships DISABLE TRIGGER ALL');
SELECT planted('DROP TRIGGER invalidate ON tenancy.sessions');
SELECT planted('ALTER TABLE tenancy.users NO FORCE ROW LEVEL SECURITY');
SELECT planted('ALTER TABLE tenancy.invites DISABLE ROW LEVEL SECURITY');
SELECT planted('CREATE POLICY everything ON tenancy.users USING (true)');
SELECT planted('ALTER POLICY read ON tenancy.projects USING (true)');
SELECT planted('DROP POLICY read ON tenancy.projects');
SELECT planted('ALTER VIEW tenancy.members SET (security_invoker = false)');
SELECT planted('ALTER TABLE tenancy.project_memberships DROP CONSTRAINT project_memberships_organization_id_user_id_fkey');
SELECT planted('DROP INDEX tenancy.project_tokens_live_idx');
SELECT planted('ALTER TABLE tenancy.organizations ALTER owner_id DROP NOT NULL');
-- what is added for speed is nobody's business
SELECT planted('CREATE INDEX ON tenancy.users (name)');

-- what is stored in its tables
SELECT regexp_replace(planted('SET LOCAL session_replication_role = replica',
							  'INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id(''acme''), id(''alice''))'), '[0-9a-f-]{36}', 'id', 'g');
SELECT regexp_replace(planted('UPDATE tenancy.project_tokens SET created_at = now() - interval ''2 years'' WHERE project_id = id(''open'')'), '[0-9a-f-]{36}', 'id', 'g');
SELECT planted('INSERT INTO tenancy.project_tokens (project_id, digest, created_at, revoked_at) VALUES (id(''open''), sha256(''x''), now() - interval ''2 years'', now())');
SELECT planted('INSERT INTO tenancy.sessions (user_id, digest, expires_at)
				SELECT id(''eve''), sha256(g::text::bytea), now() - interval ''31 days'' FROM generate_series(1, 1000) g');

-- Anybody may ask, and hears what could not be seen.
GRANT SELECT ON findings TO PUBLIC;
SET ROLE regress_lint_roles_login;
SELECT rule, severity, object, problem, remedy FROM tenancy.lint() WHERE rule NOT IN ('server_outdated', 'extension_outdated');
RESET ROLE;
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;
SET ROLE regress_lint_roles_login;
SELECT rule, object FROM tenancy.lint() WHERE rule NOT IN ('server_outdated', 'extension_outdated', 'not_checked');
RESET ROLE;
-- with what it takes, nothing is left unseen
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER ROLE regress_lint_roles_login SUPERUSER;
SET ROLE regress_lint_roles_login;
SELECT rule, object FROM tenancy.lint() WHERE rule NOT IN ('server_outdated', 'extension_outdated');
RESET ROLE;
-- in a transaction that only reads
BEGIN READ ONLY;
SELECT count(*) > 0 FROM tenancy.lint();
ROLLBACK;

-- No rule without its severity, and no severity that is none.
SELECT rule FROM tenancy.lint_rules WHERE severity NOT IN ('error', 'warning', 'info') OR meaning = '';
SELECT rule FROM tenancy.lint_rules GROUP BY 1 HAVING count(*) > 1;
SELECT DISTINCT m[1] AS rule_without_line
FROM pg_proc p, regexp_matches(p.prosrc, 'SELECT (?:DISTINCT [^'']*)?''([a-z]+_[a-z_]+)'',', 'g') m
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname ~ '^_lint' AND m[1] NOT IN (SELECT rule FROM tenancy.lint_rules)
  AND m[1] <> 'organization_id';

\set ECHO none
ALTER TABLE events OWNER TO CURRENT_USER;
DROP OWNED BY regress_lint_roles_login, regress_lint_roles_tables;
DROP ROLE regress_lint_roles_login, regress_lint_roles_tables;
\set end :inputs /sql/lint_end.psql
\i :end
