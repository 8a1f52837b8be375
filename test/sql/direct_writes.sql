-- Direct writes: the commands are the only way to change tenancy's rows.
\set test direct_writes
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT token FROM tenancy.my_projects WHERE id = id('open') \gset
SELECT tenancy.create_session(id('alice')) AS session \gset

-- What every kind of write to every table of tenancy ends with; the names of the
-- tables are taken out, so that one line stands for all.
CREATE FUNCTION pg_temp.writes() RETURNS TABLE (kind text, outcome text, relations bigint) LANGUAGE sql
AS $$
	SELECT w.kind, regexp_replace(regress.attempt(replace(replace(w.command, '%s', c.oid::regclass::text), '%c', quote_ident(a.attname))),
								  ' ' || c.relname || '$', ' ...'), count(*)
	FROM pg_class c
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1,
		(VALUES ('insert', 'INSERT INTO %s DEFAULT VALUES'),
				('insert from select', 'INSERT INTO %s SELECT * FROM %s'),
				('insert on conflict', 'INSERT INTO %s DEFAULT VALUES ON CONFLICT DO NOTHING'),
				('update', 'UPDATE %s SET %c = NULL'),
				('update nothing', 'UPDATE %s SET %c = %c WHERE false'),
				('delete', 'DELETE FROM %s'),
				('truncate', 'TRUNCATE %s CASCADE'),
				('merge', 'MERGE INTO %s USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT DEFAULT VALUES'),
				('lock', 'LOCK TABLE %s IN ROW EXCLUSIVE MODE'),
				('for update', 'SELECT FROM %s FOR UPDATE'),
				('trigger', 'CREATE TRIGGER mine BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
				('policy', 'CREATE POLICY mine ON %s USING (true)'),
				('no row security', 'ALTER TABLE %s DISABLE ROW LEVEL SECURITY')) w (kind, command)
	WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r'
	GROUP BY 1, 2 ORDER BY 1, 2
$$;

-- attack 134: as the application acting for the Owner, as a login signed in as
-- the Owner, as a project token, and as nobody
SELECT * FROM pg_temp.writes();
CREATE TEMP TABLE as_app AS SELECT * FROM pg_temp.writes();
GRANT ALL ON as_app TO PUBLIC;
SET ROLE :client;
SELECT tenancy.authenticate(:'session', true);
SELECT * FROM pg_temp.writes() EXCEPT SELECT * FROM as_app;
SELECT tenancy.authenticate(:'token', true);
SELECT * FROM pg_temp.writes() EXCEPT SELECT * FROM as_app;
SELECT tenancy.sign_out();
SELECT * FROM pg_temp.writes() EXCEPT SELECT * FROM as_app;
-- ... and no such right has been granted, on views neither, on no column
SELECT c.oid::regclass, privilege FROM pg_class c,
	unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
	AND CASE WHEN privilege IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege(c.oid, privilege)
			 ELSE has_any_column_privilege(c.oid, privilege) END;
SELECT has_schema_privilege('tenancy', 'CREATE');
\copy tenancy.memberships FROM '/dev/null'
\copy tenancy.organizations (name) FROM '/dev/null'
-- ... rows and rights are as they were
RESET ROLE;
SELECT (SELECT count(*) FROM tenancy.users), (SELECT count(*) FROM tenancy.organizations), (SELECT count(*) FROM tenancy.projects),
	(SELECT count(*) FROM tenancy.memberships), (SELECT count(*) FROM tenancy.project_tokens), (SELECT count(*) FROM tenancy.plans);
SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity);

-- what nobody may read is not readable either: digests and the version
SET ROLE :client;
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
	AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY 1, a.attnum;

-- trusted commands are not for PUBLIC, and helpers are for nobody
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname NOT LIKE '\_%' AND NOT has_function_privilege(p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT attempt($$SELECT tenancy.act_as(id('alice'))$$);
SELECT attempt($$SELECT tenancy.create_session(id('alice'))$$);
SELECT attempt($$SELECT tenancy._change_owner(id('acme'), id('eve'))$$);
SELECT attempt($$SELECT tenancy._create_project(id('acme'), 'Mine', false)$$);
SELECT attempt($$SELECT tenancy._issue_project_token(id('open'))$$);
SELECT attempt($$SELECT tenancy._mint_credential('session')$$);

-- the event of a write cannot be forged: the triggers' functions are not callable
SELECT attempt($$SELECT tenancy._guard_owner()$$), attempt($$SELECT tenancy._send_invalidation()$$);
SET ROLE :app;
SELECT attempt($$CREATE TEMP TABLE mine (id uuid); CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id')$$);

RESET ROLE;
DROP TABLE as_app;
\i :cleanup
