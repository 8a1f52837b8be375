-- ---------------------------------------------------------------------
-- Rights, and what a dump carries
-- ---------------------------------------------------------------------

REVOKE ALL ON SCHEMA tenancy FROM PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO PUBLIC;

REVOKE ALL ON FUNCTION tenancy.act_as(uuid, boolean) FROM PUBLIC;

-- The owner of a table protects it; the helpers run with the caller's rights.
GRANT EXECUTE ON FUNCTION
	tenancy._check_column(regclass, name), tenancy._is_distributed(regclass), tenancy._target(regclass, text),
	tenancy._prepare_column(regclass, name, regclass),
	tenancy._drop_policies(regclass), tenancy._create_policies(regclass, text, text, text),
	tenancy._revoke_rights(regclass), tenancy._unprotect(regclass), tenancy._policy_names(),
	tenancy._policies(text, text, text),
	tenancy._policy_expressions(text, name, tenancy.access_level, tenancy.access_level),
	tenancy._protect(regclass, text, name, tenancy.access_level, tenancy.access_level),
	tenancy._tree(regclass), tenancy._parents(regclass), tenancy._protection(regclass), tenancy._parents_outside(regclass[]),
	tenancy._check_parents(regclass[], text, name, tenancy.access_level, tenancy.access_level),
	tenancy._new_parts(pg_ddl_command)
	TO PUBLIC;

-- ... and makes reports on it.
GRANT EXECUTE ON FUNCTION
	tenancy._secret_names(), tenancy._report(regclass), tenancy._report_query(regclass), tenancy._require_owner(regclass, text), tenancy._view_name(regclass, text), tenancy._rollup_name(regclass, text, text), tenancy._run_as_owner(regclass, text, text), tenancy._ingest()
	TO PUBLIC;

-- lint() runs with the caller's rights, and so do its parts.
GRANT EXECUTE ON FUNCTION
	tenancy._lint_role(oid), tenancy._lint_protect(oid, text, name, tenancy.access_level, tenancy.access_level),
	tenancy._lint_protected(), tenancy._lint_relations(), tenancy._lint_tables(), tenancy._lint_keys(), tenancy._lint_policies(),
	tenancy._lint_views(), tenancy._lint_functions(), tenancy._lint_replication(), tenancy._lint_reach(), tenancy._lint_roles(),
	tenancy._lint_settings(), tenancy._lint_outside(), tenancy._lint_server(integer), tenancy._lint_data(), tenancy._lint_cluster(), tenancy._has_citus(), tenancy._fed_tables(),
	tenancy._minimum_server(integer), tenancy._shape(), tenancy._installed_shape(), tenancy._altered()
	TO PUBLIC;

-- Default privileges may have opened the schema to others.
DO $$
DECLARE
	g record;
BEGIN
	FOR g IN SELECT DISTINCT a.grantee FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a
			 WHERE n.nspname = 'tenancy' AND a.grantee NOT IN (0, n.nspowner)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA tenancy FROM %I', pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
END
$$;

-- Counts tell when something changed that is hidden.
GRANT SELECT ON tenancy.stats TO pg_monitor;
GRANT EXECUTE ON FUNCTION tenancy._stats() TO pg_monitor;

SELECT pg_catalog.pg_extension_config_dump('tenancy.audit_heads', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.audit_entries', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.plans', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.users', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.organizations', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.memberships', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.projects', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.project_memberships', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.project_tokens', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.invites', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.notifications', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.sessions', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.user_preferences', '');
-- A restore takes a role by its name: not one that has taken the name since.
SELECT pg_catalog.pg_extension_config_dump('tenancy.role_bindings',
	'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role_oid AND r.rolname OPERATOR(pg_catalog.=) role_name)');
