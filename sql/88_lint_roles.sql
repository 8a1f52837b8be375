-- ---------------------------------------------------------------------
-- lint, part 3: roles, grants, settings, the server
-- ---------------------------------------------------------------------

-- Who can become whom by SET ROLE or by inheritance, directly or not.  From 16 on
-- a membership may allow neither.
CREATE FUNCTION tenancy._lint_reach(OUT member oid, OUT role oid, OUT via oid)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE edges AS (
		SELECT m.member, m.roleid AS role
		FROM pg_auth_members m
		WHERE (to_jsonb(m) ->> 'set_option') IS DISTINCT FROM 'false'
		   -- who may grant the role can take the rest
		   OR m.admin_option
		   OR (to_jsonb(m) ->> 'inherit_option') = 'true'),
	-- via: through whom the last step goes
	reach (member, role, via) AS (
		SELECT e.member, e.role, e.member FROM edges e
		UNION
		SELECT r.member, e.role, e.member FROM reach r JOIN edges e ON e.member = r.role)
	SELECT DISTINCT ON (r.member, r.role) r.member, r.role, r.via FROM reach r ORDER BY r.member, r.role, r.via
$$;
COMMENT ON FUNCTION tenancy._lint_reach() IS 'Who can become whom, as lint reads it.';

-- ---------------------------------------------------------------------
-- Roles and grants
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_roles(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	reach AS MATERIALIZED (SELECT * FROM tenancy._lint_reach()),
	roles AS MATERIALIZED (
		SELECT r.oid, r.rolname, quote_ident(r.rolname) AS name, r.rolsuper, r.rolbypassrls, r.rolcanlogin, r.rolcreaterole, r.rolreplication,
			   r.rolsuper OR r.rolbypassrls AS exempt,
			   -- The cluster's first superuser is always there; system roles cannot log in.
			   r.oid = 10 AS first
		FROM pg_roles r),
	-- Who may say who is acting.
	trusted AS MATERIALIZED (
		SELECT DISTINCT a.grantee AS oid
		FROM pg_parameter_acl p, aclexplode(p.paracl) a
		WHERE p.parname IN ('tenancy.user_id', 'tenancy.identity') AND a.privilege_type = 'SET' AND a.grantee <> 10),
	-- Whom the application works as: who is trusted, and who has rights on protected tables.
	applications AS MATERIALIZED (
		SELECT r.* FROM roles r
		WHERE NOT r.first
		  AND (r.oid IN (SELECT t.oid FROM trusted t)
			   OR r.oid IN (SELECT a.grantee FROM protected t JOIN pg_class c ON c.oid = t.relation, aclexplode(c.relacl) a WHERE a.grantee <> t.owner)))

	-- Row security does not bind the application at all.
	SELECT 'application_bypasses', 'role ' || a.name,
		   CASE WHEN a.rolsuper THEN 'the application''s role is a superuser: it sees everything' ELSE 'the application''s role has BYPASSRLS: it sees everything' END,
		   format('ALTER ROLE %s%s%s;', a.name, CASE WHEN a.rolsuper THEN ' NOSUPERUSER' ELSE '' END, CASE WHEN a.rolbypassrls THEN ' NOBYPASSRLS' ELSE '' END)
	FROM applications a WHERE a.exempt
	UNION ALL
	-- One more way in for whom nothing is hidden; right for backups and for the DBA.
	SELECT 'bypass_login', 'role ' || r.name,
		   format('it can log in, and row security does not bind it (%s)', CASE WHEN r.rolsuper THEN 'superuser' ELSE 'BYPASSRLS' END),
		   format('ALTER ROLE %s%s%s;', r.name, CASE WHEN r.rolsuper THEN ' NOSUPERUSER' ELSE '' END, CASE WHEN r.rolbypassrls THEN ' NOBYPASSRLS' ELSE '' END)
	FROM roles r
	WHERE r.exempt AND r.rolcanlogin AND NOT r.first AND r.oid NOT IN (SELECT a.oid FROM applications a)
	UNION ALL
	-- SET ROLE is one statement away from injected SQL.
	SELECT 'bypass_reachable', 'role ' || m.name,
		   format('it can become %s, whom row security does not bind', x.name),
		   format('REVOKE %s FROM %s;', x.name, tenancy._lint_role(h.via))
	FROM reach h
	JOIN roles m ON m.oid = h.member AND NOT m.exempt AND m.rolcanlogin
	JOIN roles x ON x.oid = h.role AND x.exempt
	UNION ALL
	-- With these rights the files and programs of the server, and so everything,
	-- is in reach; pg_read_all_data reads all that is not protected.
	SELECT 'predefined_role', 'role ' || m.name,
		   CASE WHEN x.rolname IN ('pg_read_all_data', 'pg_write_all_data') THEN format('as %s it reaches every table and view that is not protected', x.rolname)
				ELSE format('as %s it can make itself superuser', x.rolname) END,
		   format('REVOKE %s FROM %s;', x.name, tenancy._lint_role(h.via))
	FROM reach h
	JOIN roles m ON m.oid = h.member AND NOT m.rolsuper AND m.rolcanlogin
	JOIN roles x ON x.oid = h.role
				AND x.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
	UNION ALL
	-- Until 15 it makes itself a member of any role that is no superuser, and it
	-- can always take over the roles that it has made.
	SELECT 'create_role', 'role ' || r.name, 'with CREATEROLE it can give itself the rights of other roles',
		   format('ALTER ROLE %s NOCREATEROLE;', r.name)
	FROM roles r WHERE r.rolcreaterole AND NOT r.rolsuper AND r.rolcanlogin
	UNION ALL
	-- The write-ahead log holds all rows.
	SELECT 'replication_role', 'role ' || r.name, 'it can log in and replicate: it reads everything',
		   format('ALTER ROLE %s NOREPLICATION;', r.name)
	FROM roles r WHERE r.rolreplication AND r.rolcanlogin AND NOT r.rolsuper
	UNION ALL
	-- The owner can take protection off.
	SELECT 'owner_can_log_in', 'role ' || r.name,
		   CASE WHEN h.via IS NULL THEN format('it can log in and owns %s protected tables, so it can take protection off', o.tables)
				ELSE format('it can become %s, who owns %s protected tables, so it can take protection off', tenancy._lint_role(o.owner), o.tables) END,
		   CASE WHEN h.via IS NULL THEN format('ALTER ROLE %s NOLOGIN;', r.name)
				ELSE format('REVOKE %s FROM %s;', tenancy._lint_role(o.owner), tenancy._lint_role(h.via)) END
	FROM (SELECT t.owner, count(*) AS tables FROM protected t GROUP BY t.owner) o
	JOIN roles w ON w.oid = o.owner AND NOT w.exempt
	CROSS JOIN LATERAL (SELECT o.owner AS member, NULL::oid AS via
						UNION ALL SELECT x.member, x.via FROM reach x WHERE x.role = o.owner) h
	JOIN roles r ON r.oid = h.member AND r.rolcanlogin AND NOT r.rolsuper
	UNION ALL
	-- Only grant_application() is meant to give this right.
	SELECT 'identity_settable', 'parameter ' || p.parname,
		   format('%s may set it%s', tenancy._lint_role(a.grantee),
				  CASE WHEN a.grantee = 0 THEN ', which is everybody: anybody can act as anybody'
					   WHEN a.privilege_type <> 'SET' THEN ' for the whole server' ELSE ', and was not given tenancy.grant_application()' END),
		   format('REVOKE %s ON PARAMETER %s FROM %s CASCADE;', a.privilege_type, p.parname, tenancy._lint_role(a.grantee))
	FROM pg_parameter_acl p
	CROSS JOIN LATERAL aclexplode(p.paracl) a
	WHERE p.parname ~ '^tenancy[.]' AND a.grantee <> 10
	  AND (a.grantee = 0 OR a.privilege_type <> 'SET' OR p.parname <> 'tenancy.user_id'
		   OR NOT has_function_privilege(a.grantee, 'tenancy.act_as(uuid, boolean)', 'EXECUTE'))
	UNION ALL
	-- Whoever binds a login of their own to anybody is them.
	SELECT 'role_binder', 'role ' || tenancy._lint_role(a.grantee),
		   'it may bind login roles to users, and so become any of them',
		   format('REVOKE EXECUTE ON FUNCTION %s FROM %s CASCADE;', p.oid::regprocedure, tenancy._lint_role(a.grantee))
	FROM pg_proc p
	CROSS JOIN LATERAL aclexplode(p.proacl) a
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname = 'bind_role' AND a.grantee NOT IN (0, p.proowner)
	UNION ALL
	-- A member of a trusted role can act as anybody, too.
	SELECT 'trusted_by_membership', 'role ' || m.name,
		   format('it can become %s, who may say who is acting: several logins share that trust', x.name),
		   format('REVOKE %s FROM %s;', x.name, tenancy._lint_role(h.via))
	FROM reach h
	JOIN roles m ON m.oid = h.member AND m.rolcanlogin AND NOT m.rolsuper
	JOIN roles x ON x.oid = h.role AND x.oid IN (SELECT t.oid FROM trusted t)
	UNION ALL
	-- What the next client of the same connection would find.
	SELECT 'pooled_role', 'role ' || x.name,
		   format('%s connections of it look like those of a pool: a session_wide identity would be the next client''s', s.sessions),
		   format('-- see that no client of %s signs in session_wide', x.name)
	FROM (SELECT a.usesysid, count(*) AS sessions FROM pg_stat_activity a
		  WHERE a.datname = current_database() AND a.backend_type = 'client backend'
		  GROUP BY a.usesysid, a.client_addr, a.application_name HAVING count(*) >= 5) s
	JOIN roles x ON x.oid = s.usesysid AND x.oid IN (SELECT t.oid FROM trusted t)
	UNION ALL
	-- A temporary table takes the place of a protected one, for the next client of
	-- a pooled connection.
	SELECT 'temporary_tables', format('database %I', d.datname),
		   format('%s may create temporary tables, which come before all others of their name', tenancy._lint_role(a.grantee)),
		   format('REVOKE TEMPORARY ON DATABASE %I FROM %s CASCADE;', d.datname, tenancy._lint_role(a.grantee))
	FROM pg_database d
	CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
	LEFT JOIN roles g ON g.oid = a.grantee
	WHERE d.datname = current_database() AND a.privilege_type = 'TEMPORARY' AND a.grantee <> d.datdba
	  AND g.rolsuper IS DISTINCT FROM true
	UNION ALL
	-- Tables to come are open before anybody has thought of them.
	SELECT 'default_privileges',
		   format('default privileges of %s%s', tenancy._lint_role(d.defaclrole), coalesce(' in schema ' || quote_ident(n.nspname), '')),
		   format('they give %s on new tables to %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), tenancy._lint_role(a.grantee)),
		   format('ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE %s ON TABLES FROM %s;', tenancy._lint_role(d.defaclrole),
				  coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), tenancy._lint_role(a.grantee))
	FROM pg_default_acl d
	LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
	CROSS JOIN LATERAL aclexplode(d.defaclacl) a
	WHERE d.defaclobjtype = 'r' AND a.grantee <> d.defaclrole
	  AND (a.grantee = 0 OR a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'))
	GROUP BY d.defaclrole, n.nspname, a.grantee
	UNION ALL
	-- What comes with the extension is what is meant.
	SELECT 'tenancy_grants', x.object::text,
		   format('%s has %s, which is not meant', tenancy._lint_role(x.grantee), string_agg(DISTINCT x.privilege_type, ', ' ORDER BY x.privilege_type)),
		   format('REVOKE %s ON %s FROM %s CASCADE;', string_agg(DISTINCT x.privilege_type, ', ' ORDER BY x.privilege_type), x.object, tenancy._lint_role(x.grantee))
	FROM (
		SELECT c.oid::regclass::text AS object, a.grantee, a.privilege_type
		FROM pg_class c
		CROSS JOIN LATERAL (
			SELECT e.grantee, e.privilege_type FROM aclexplode(c.relacl) e
			UNION ALL
			SELECT e.grantee, e.privilege_type FROM pg_attribute t, aclexplode(t.attacl) e WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL
			EXCEPT
			SELECT e.grantee, e.privilege_type FROM pg_init_privs i, aclexplode(i.initprivs) e
			WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid) a
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee <> c.relowner
		  -- the owners of protected tables need this one
		  AND NOT (a.privilege_type = 'REFERENCES' AND c.relname IN ('projects', 'organizations')
				   AND a.grantee IN (SELECT t.owner FROM protected t))
		  -- and whoever can act as anybody may read this one
		  AND NOT (c.relname = 'stats' AND a.privilege_type = 'SELECT' AND a.grantee IN (SELECT t.oid FROM trusted t))
		UNION ALL
		-- SELECT on some columns does not mean SELECT on all
		SELECT c.oid::regclass::text, e.grantee, e.privilege_type
		FROM pg_class c
		CROSS JOIN LATERAL aclexplode(c.relacl) e
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND e.grantee <> c.relowner AND e.privilege_type = 'SELECT'
		  AND NOT (c.relname = 'stats' AND e.grantee IN (SELECT t.oid FROM trusted t))
		  AND NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) n
						  WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0
							AND n.grantee = e.grantee AND n.privilege_type = 'SELECT')
		UNION ALL
		SELECT 'FUNCTION ' || p.oid::regprocedure::text, a.grantee, a.privilege_type
		FROM pg_proc p
		CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee <> p.proowner
		  -- those that are for trusted roles may be given to roles
		  AND (a.grantee = 0 OR p.proname ~ '^_')
		  AND NOT (p.proname = '_stats' AND a.grantee IN (SELECT t.oid FROM trusted t))
		  AND NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) n
						  WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND n.grantee = a.grantee)
		  -- without a note the rights are PostgreSQL's own: EXECUTE for everybody
		  AND NOT (a.grantee = 0
				   AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid))
		UNION ALL
		SELECT 'SCHEMA tenancy', a.grantee, a.privilege_type
		FROM pg_namespace n
		CROSS JOIN LATERAL aclexplode(n.nspacl) a
		WHERE n.nspname = 'tenancy' AND a.grantee <> n.nspowner AND a.privilege_type = 'CREATE') x
	GROUP BY x.object, x.grantee
	UNION ALL
	-- A column of this name is a secret that all tenants share.
	SELECT 'sensitive_column', format('column %I of %s', a.attname, r.relation::regclass),
		   format('its name says that it is secret, its table is not protected, and %s may read it', string_agg(DISTINCT tenancy._lint_role(g.grantee), ', ')),
		   format('REVOKE SELECT ON %s FROM %s CASCADE;', r.relation::regclass, string_agg(DISTINCT tenancy._lint_role(g.grantee), ', '))
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation
	JOIN pg_attribute a ON a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped
	CROSS JOIN LATERAL (SELECT e.grantee, e.privilege_type FROM aclexplode(c.relacl) e
						UNION ALL SELECT e.grantee, e.privilege_type FROM aclexplode(a.attacl) e) g
	WHERE r.kind IN ('r', 'p', 'f', 'm') AND NOT c.relrowsecurity AND g.privilege_type = 'SELECT' AND g.grantee <> c.relowner
	  AND a.attname ~* tenancy._secret_names()
	GROUP BY r.relation, a.attname
	UNION ALL
	-- Whoever creates objects beside the functions of an extension can stand in
	-- for what these call.
	SELECT 'extension_in_writable_schema', format('extension %I', e.extname),
		   format('it is in schema %I, where %s may create objects', n.nspname, tenancy._lint_role(a.grantee)),
		   format('REVOKE CREATE ON SCHEMA %I FROM %s CASCADE;', n.nspname, tenancy._lint_role(a.grantee))
	FROM pg_extension e
	JOIN pg_namespace n ON n.oid = e.extnamespace AND n.nspname <> 'tenancy'
	CROSS JOIN LATERAL aclexplode(n.nspacl) a
	LEFT JOIN roles g ON g.oid = a.grantee
	WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner AND g.rolsuper IS DISTINCT FROM true
$$;
COMMENT ON FUNCTION tenancy._lint_roles() IS 'Part of lint(): who can become whom, and what was granted.';

-- ---------------------------------------------------------------------
-- Settings
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_settings(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH stored AS MATERIALIZED (
		SELECT split_part(c.entry, '=', 1) AS name, substr(c.entry, strpos(c.entry, '=') + 1) AS value, r.rolsuper,
			   concat_ws(' in ', CASE WHEN s.setrole <> 0 THEN 'role ' || tenancy._lint_role(s.setrole) END,
						 CASE WHEN s.setdatabase <> 0 THEN 'database ' || quote_ident(d.datname) END) AS place,
			   CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
					ELSE format('ALTER ROLE %s%s', tenancy._lint_role(s.setrole), coalesce(' IN DATABASE ' || quote_ident(d.datname), '')) END AS command
		FROM pg_db_role_setting s
		LEFT JOIN pg_database d ON d.oid = s.setdatabase
		LEFT JOIN pg_roles r ON r.oid = s.setrole
		CROSS JOIN LATERAL unnest(s.setconfig) c (entry)
		WHERE s.setdatabase = 0 OR d.datname = current_database()),
	settings AS MATERIALIZED (SELECT s.name, s.setting FROM pg_settings s)

	-- It is refused with a warning at every start, and was somebody's mistake.
	SELECT 'stored_identity', s.place, format('it stores a value of %s', s.name), format('%s RESET %s;', s.command, s.name)
	FROM stored s WHERE s.name IN ('tenancy.user_id', 'tenancy.identity')
	UNION ALL
	-- These silence guards, turn policies into errors, or change who is asking.
	SELECT 'stored_setting', s.place, format('it stores %s = %s', s.name, s.value), format('%s RESET %s;', s.command, s.name)
	FROM stored s
	WHERE s.rolsuper IS DISTINCT FROM true
	  AND (s.name IN ('role', 'session_replication_role') OR (s.name = 'row_security' AND s.value IN ('off', 'false', 'no', '0'))
		   OR (s.name = 'search_path'
			   AND EXISTS (SELECT FROM regexp_split_to_table(s.value, '\s*,\s*') e (element)
						   LEFT JOIN pg_namespace n ON n.nspname = btrim(e.element, '" ')
						   WHERE btrim(e.element, '" ') = 'pg_temp'
							  OR EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'))))
	UNION ALL
	-- The catalogs are everybody's to read.
	SELECT 'secret_in_setting', s.place, format('it stores %s, which everybody can read', s.name), format('%s RESET %s;', s.command, s.name)
	FROM stored s
	WHERE s.name ~* 'secret|password|passwd|token|credential|api_?key' OR s.value ~ '\mtn[psi]_[0-9a-z]{32,}'
	UNION ALL
	SELECT 'secret_in_setting', p.oid::regprocedure::text, 'its SET clause holds a secret, which everybody can read',
		   format('ALTER FUNCTION %s RESET %s;', p.oid::regprocedure, split_part(c.entry, '=', 1))
	FROM pg_proc p
	CROSS JOIN LATERAL unnest(p.proconfig) c (entry)
	WHERE p.prokind = 'f' AND (split_part(c.entry, '=', 1) ~* 'secret|password|passwd|token|credential|api_?key' OR c.entry ~ '\mtn[psi]_[0-9a-z]{32,}')
	UNION ALL
	-- Credentials that are text of a statement end up in the log.
	SELECT 'credentials_in_log', s.object,
		   CASE WHEN s.name ~ 'parameter' THEN format('%s is %s: bind parameters are logged, credentials among them', s.name, s.setting)
				WHEN s.name ~ '^pg_stat' THEN format('%s is on: the text of CALL, SET and DO is kept, credentials among it', s.name)
				ELSE format('%s is %s: statements are logged, with the credentials that stand in them', s.name, s.setting) END,
		   s.remedy
	FROM (SELECT g.name, g.setting, 'setting ' || g.name AS object,
				 format('ALTER SYSTEM SET %s = %s;', g.name,
						CASE g.name WHEN 'log_statement' THEN 'none'
							 WHEN 'log_parameter_max_length' THEN '0' WHEN 'log_parameter_max_length_on_error' THEN '0'
							 WHEN 'log_transaction_sample_rate' THEN '0'
							 WHEN 'pg_stat_statements.track_utility' THEN 'off' WHEN 'pgaudit.log_parameter' THEN 'off'
							 ELSE '-1' END) || E'\nSELECT pg_reload_conf();' AS remedy
		  FROM settings g
		  UNION ALL
		  SELECT t.name, t.value, t.place, format('%s RESET %s;', t.command, t.name) FROM stored t) s
	WHERE CASE s.name
		  WHEN 'log_statement' THEN s.setting IN ('mod', 'all')
		  WHEN 'log_min_duration_statement' THEN s.setting <> '-1'
		  WHEN 'log_min_duration_sample' THEN s.setting <> '-1'
		  WHEN 'log_transaction_sample_rate' THEN s.setting <> '0'
		  WHEN 'auto_explain.log_min_duration' THEN s.setting <> '-1'
		  WHEN 'pg_stat_statements.track_utility' THEN s.setting IN ('on', 'true', 'yes', '1')
		  WHEN 'pgaudit.log_parameter' THEN s.setting IN ('on', 'true', 'yes', '1')
		  WHEN 'log_parameter_max_length_on_error' THEN s.setting <> '0'
		  WHEN 'log_parameter_max_length' THEN s.setting <> '0'
			   AND EXISTS (SELECT FROM settings o WHERE (o.name = 'log_statement' AND o.setting = 'all')
												   OR (o.name IN ('log_min_duration_statement', 'log_min_duration_sample') AND o.setting <> '-1'))
		  ELSE false END
	UNION ALL
	-- By default the text of every statement that fails is logged.
	SELECT 'failed_statements_in_log', 'setting log_min_error_statement',
		   format('it is %s: a statement that fails is logged, with the credentials that stand in it', s.setting),
		   E'ALTER SYSTEM SET log_min_error_statement = fatal;\nSELECT pg_reload_conf();'
	FROM settings s WHERE s.name = 'log_min_error_statement' AND s.setting NOT IN ('fatal', 'panic')
	UNION ALL
	-- Until the library is loaded, its settings are placeholders that take any value.
	SELECT 'not_preloaded', 'setting session_preload_libraries', 'sessions load the library late: until then its settings are placeholders',
		   format('ALTER DATABASE %I SET session_preload_libraries = %s;', current_database(),
				  (SELECT string_agg(quote_literal(l), ', ') FROM (SELECT nullif(btrim(x.l), '') FROM regexp_split_to_table(p.session, ',') x (l) UNION ALL SELECT 'tenancy') y (l)))
	FROM (SELECT max(s.setting) FILTER (WHERE s.name = 'session_preload_libraries') AS session,
				 max(s.setting) FILTER (WHERE s.name = 'shared_preload_libraries') AS shared FROM settings s) p
	WHERE p.session IS NOT NULL AND p.shared IS NOT NULL AND p.session || ',' || p.shared !~ '(^|[\s,/"])tenancy([\s,"]|$)'
	  -- not yet in this session, but in the next ones
	  AND NOT EXISTS (SELECT FROM pg_db_role_setting s
					  JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
					  WHERE s.setrole = 0 AND array_to_string(s.setconfig, E'\n') ~ '\msession_preload_libraries=[^\n]*\mtenancy\M')
$$;
COMMENT ON FUNCTION tenancy._lint_settings() IS 'Part of lint(): settings of the server, of databases and of roles.';

-- From other machines, by pg_hba.conf.  Raises for whoever may not read that.
CREATE FUNCTION tenancy._lint_outside(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		-- Whoever has its password from outside can act as anybody.
		SELECT 'identity_from_outside', 'role ' || quote_ident(r.rolname),
			   format('it may say who is acting, and line %s of pg_hba.conf lets it in from %s', h.line_number, coalesce(h.address, 'other machines')),
			   format('-- let %s in from the application''s machines only', quote_ident(r.rolname))
		FROM pg_roles r
		CROSS JOIN LATERAL (
			SELECT b.line_number, b.address FROM pg_hba_file_rules b
			WHERE b.error IS NULL AND b.type <> 'local' AND b.auth_method <> 'reject'
			  AND ('all' = ANY (b.database) OR current_database() = ANY (b.database) OR 'sameuser' = ANY (b.database) OR 'samerole' = ANY (b.database))
			  AND ('all' = ANY (b.user_name) OR r.rolname = ANY (b.user_name)
				   OR EXISTS (SELECT FROM unnest(b.user_name) u WHERE u ~ '^[+/]'))
			  AND NOT (b.address IS NOT NULL AND (b.address ~ '^127[.]' OR b.address IN ('::1', 'localhost', 'samehost')))
			ORDER BY b.line_number LIMIT 1) h
		WHERE r.rolcanlogin AND NOT r.rolsuper
		  AND EXISTS (SELECT FROM pg_parameter_acl p, aclexplode(p.paracl) a
					  WHERE p.parname = 'tenancy.user_id' AND a.privilege_type = 'SET' AND a.grantee = r.oid);
END
$$;
COMMENT ON FUNCTION tenancy._lint_outside() IS 'Part of lint(): from where trusted roles are let in.';

-- ---------------------------------------------------------------------
-- The server and the extension
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_server(version integer, OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'server_outdated', 'server',
		   format('version %s.%s lacks repairs of row security that came with %s.%s', version / 10000, version % 10000, m / 10000, m % 10000),
		   format('-- install PostgreSQL %s.%s or later', m / 10000, m % 10000)
	FROM tenancy._minimum_server(version) m
	WHERE version < m
	UNION ALL
	-- CVE-2024-4317: clusters that were made before the repair keep the old view.
	SELECT 'statistics_view', c.oid::regclass::text, 'it shows statistics of tables that one does not own (CVE-2024-4317)',
		   '-- as superuser, in every database: psql -f fix-CVE-2024-4317.sql, from the server''s share directory'
	FROM pg_class c
	WHERE c.relname IN ('pg_stats_ext', 'pg_stats_ext_exprs') AND c.relnamespace = 'pg_catalog'::regnamespace
	  AND pg_get_viewdef(c.oid) !~ 'pg_has_role'
	UNION ALL
	SELECT 'extension_outdated', format('extension %I', e.name), format('version %s is installed, and %s is there', e.installed_version, e.default_version),
		   format('ALTER EXTENSION %I UPDATE;', e.name)
	FROM pg_available_extensions e WHERE e.installed_version <> e.default_version
$$;
COMMENT ON FUNCTION tenancy._lint_server(integer) IS 'Part of lint(): versions.';
