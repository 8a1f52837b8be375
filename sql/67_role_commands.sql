-- ---------------------------------------------------------------------
-- Login roles that stand for a user: for tools that can log in and nothing else
--
-- What a binding is worth is decided here, once: the library asks bound_roles when
-- it loads what a login role can reach, and bind_role() asks it before it agrees.
-- ---------------------------------------------------------------------

-- A role that is as good as one of these could show itself more than its user
-- sees.  It counts what the role has become a member of, directly or not, and
-- whatever the options of that membership, which it may be able to change.
CREATE FUNCTION tenancy._role_problem(role oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE reach (role) AS (
		SELECT _role_problem.role
		UNION
		SELECT m.roleid FROM reach x JOIN pg_auth_members m ON m.member = x.role),
	danger AS (
		SELECT r.oid, r.rolname,
			   CASE WHEN r.rolsuper THEN 'is a superuser'
					WHEN r.rolbypassrls THEN 'has BYPASSRLS'
					WHEN r.rolcreaterole THEN 'has CREATEROLE'
					WHEN r.rolreplication THEN 'has REPLICATION'
					WHEN r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') THEN 'reaches the files of the server'
					WHEN EXISTS (SELECT FROM pg_parameter_acl p, aclexplode(p.paracl) a
								 WHERE p.parname ~ '^tenancy[.](user_id|identity)$' AND a.grantee IN (0, r.oid)) THEN 'may say who is acting'
					WHEN has_function_privilege(r.oid, 'tenancy.bind_role(regrole, uuid, uuid)', 'EXECUTE') THEN 'may bind roles'
					-- through the index on what depends on a role
					WHEN EXISTS (SELECT FROM pg_shdepend d
								 JOIN pg_policy f ON f.polrelid = d.objid AND f.polname = 'tenancy_floor'
								 WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
								   AND d.classid = 'pg_class'::regclass
								   AND d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database()))
						 THEN 'owns protected tables' END AS reason
		FROM reach x JOIN pg_roles r ON r.oid = x.role)
	SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = _role_problem.role) THEN 'there is no such role'
				WHEN NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.oid = _role_problem.role) THEN 'the role cannot log in'
				ELSE (SELECT CASE WHEN d.oid = _role_problem.role
								  THEN format('the role %s', d.reason)
								  ELSE format('the role is a member of %I, which %s', d.rolname, d.reason) END
					  FROM danger d WHERE d.reason IS NOT NULL
					  ORDER BY d.oid <> _role_problem.role, d.rolname LIMIT 1) END
$$;
COMMENT ON FUNCTION tenancy._role_problem(oid) IS 'Why a login role cannot stand for a user, or NULL.';

CREATE VIEW tenancy.bound_roles AS
	SELECT b.role_name, b.role_oid, b.user_id, u.name AS user_name, b.project_id,
		   CASE WHEN r.oid IS NULL THEN 'there is no such role'
				WHEN r.rolname::text COLLATE "C" OPERATOR(pg_catalog.<>) b.role_name
					THEN pg_catalog.format('the role is called %I now', r.rolname)
				WHEN NOT u.is_active THEN 'the user is deactivated'
				WHEN b.project_id IS NOT NULL
					 AND NOT EXISTS (SELECT FROM tenancy.access a
									 WHERE a.user_id OPERATOR(pg_catalog.=) b.user_id
									   AND a.project_id OPERATOR(pg_catalog.=) b.project_id)
					THEN 'the user cannot see the project'
				ELSE tenancy._role_problem(b.role_oid) END AS problem
	FROM tenancy.role_bindings b
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) b.user_id
	LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) b.role_oid;
COMMENT ON VIEW tenancy.bound_roles IS 'Login roles and the users they stand for; with a problem, a role stands for nobody. For the DBA.';
REVOKE ALL ON tenancy.bound_roles FROM PUBLIC;

CREATE FUNCTION tenancy._require_role(role regrole)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	role_name text := (SELECT r.rolname FROM pg_roles r WHERE r.oid = _require_role.role);
BEGIN
	IF role_name IS NULL THEN
		RAISE EXCEPTION 'role does not exist'
			USING ERRCODE = 'undefined_object';
	END IF;
	RETURN role_name;
END
$$;
COMMENT ON FUNCTION tenancy._require_role(regrole) IS 'The name of a role; raises when there is none.';

CREATE FUNCTION tenancy.bind_role(role regrole, user_id uuid, project uuid DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	name text := tenancy._require_role(role);
	reason text := tenancy._role_problem(role);
BEGIN
	IF reason IS NOT NULL THEN
		RAISE EXCEPTION 'role "%" cannot be bound to a user', name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = upper(left(reason, 1)) || substr(reason, 2) || '.',
				  HINT = 'Bind a login role of its own, with no rights but those to read.';
	END IF;
	IF NOT EXISTS (SELECT FROM tenancy.users u
				   WHERE u.id = bind_role.user_id AND u.is_active) THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	IF bind_role.project IS NOT NULL
	   AND NOT EXISTS (SELECT FROM tenancy.access a
					   WHERE a.user_id = bind_role.user_id AND a.project_id = bind_role.project) THEN
		RAISE EXCEPTION 'project does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	-- What a role of this oid was called before, and what was called so before.
	DELETE FROM tenancy.role_bindings b
	WHERE b.role_oid = bind_role.role AND b.role_name <> name;
	INSERT INTO tenancy.role_bindings (role_name, user_id, project_id)
	VALUES (name, bind_role.user_id, bind_role.project)
	ON CONFLICT (role_name) DO UPDATE
	SET user_id = excluded.user_id, project_id = excluded.project_id;
END
$$;
COMMENT ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) IS
	'Lets a login role stand for a user, or for that user in one project; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.bind_role(regrole, uuid, uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.unbind_role(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := tenancy._require_role(role);
BEGIN
	DELETE FROM tenancy.role_bindings b
	WHERE b.role_oid = unbind_role.role OR b.role_name = name;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" is not bound', name
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.unbind_role(regrole) IS
	'Ends what bind_role() began, from the next statement on; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.unbind_role(regrole) FROM PUBLIC;
