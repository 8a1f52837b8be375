-- ---------------------------------------------------------------------
-- Types, and the functions of the library that need nothing else
-- ---------------------------------------------------------------------

CREATE TYPE tenancy.access_level AS ENUM ('member', 'administrator', 'owner');
COMMENT ON TYPE tenancy.access_level IS 'Level of a person in an organization or project, in rising order.';

CREATE TYPE tenancy.permission AS ENUM (
	'project.view', 'project.create', 'project.delete', 'project.manage',
	'project.set_privacy', 'member.invite', 'billing.manage',
	'organization.manage', 'organization.leave', 'organization.transfer',
	'organization.delete');
COMMENT ON TYPE tenancy.permission IS 'What somebody may do; see the view tenancy.permission_matrix.';

CREATE DOMAIN tenancy.name AS text COLLATE "C"
	CHECK (VALUE OPERATOR(pg_catalog.=) pg_catalog.btrim(VALUE)
		   AND pg_catalog.length(VALUE) OPERATOR(pg_catalog.>=) 1
		   AND pg_catalog.length(VALUE) OPERATOR(pg_catalog.<=) 200
		   AND VALUE OPERATOR(pg_catalog.!~) E'[\\u0001-\\u001f\\u007f]'
		   -- What is above ASCII are letters, in other encodings.  Here also what ends
		   -- a line, what turns the text after it around, and what nobody sees.
		   AND (pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8'
				OR VALUE OPERATOR(pg_catalog.!~)
				E'[\\u0080-\\u009f\\u2028-\\u202e\\u2066-\\u2069\\u200b\\u2060\\ufeff]'));
COMMENT ON DOMAIN tenancy.name IS 'A trimmed name of 1 to 200 characters without control characters, bidirectional ones among these, and without zero-width spaces.';

CREATE DOMAIN tenancy.email AS text COLLATE "C"
	CHECK (VALUE OPERATOR(pg_catalog.~) '^[a-z0-9.!#$%&''*+/=?^_`{|}~-]{1,64}@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$'
		   AND pg_catalog.length(VALUE) OPERATOR(pg_catalog.<=) 320);
COMMENT ON DOMAIN tenancy.email IS 'An e-mail address in lower case, ASCII only, so that two addresses are equal when their bytes are.';

CREATE FUNCTION tenancy._clean_name(name text) RETURNS tenancy.name
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF name IS NULL THEN
		RAISE EXCEPTION 'invalid name' USING ERRCODE = 'invalid_parameter_value',
			DETAIL = 'A name is required.';
	END IF;
	RETURN pg_catalog.btrim(name)::tenancy.name;
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION 'invalid name' USING ERRCODE = 'invalid_parameter_value',
		DETAIL = 'A name has 1 to 200 characters and no control characters.';
END
$$;
COMMENT ON FUNCTION tenancy._clean_name(text) IS 'The name as it is stored, or error 22023.';

CREATE FUNCTION tenancy._clean_email(email text) RETURNS tenancy.email
LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF email IS NULL THEN
		RAISE EXCEPTION 'invalid e-mail address' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN pg_catalog.lower(pg_catalog.btrim(email) COLLATE "C")::tenancy.email;
EXCEPTION WHEN check_violation THEN
	RAISE EXCEPTION 'invalid e-mail address' USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION tenancy._clean_email(text) IS 'The address as it is stored, or error 22023, which does not repeat it.';

CREATE FUNCTION tenancy._mint_credential(kind text) RETURNS text
LANGUAGE c VOLATILE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_mint_credential';
COMMENT ON FUNCTION tenancy._mint_credential(text) IS 'A new secret: project, session or invite.';

CREATE FUNCTION tenancy._credential_digest(credential text, kind text) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_credential_digest';
COMMENT ON FUNCTION tenancy._credential_digest(text, text) IS 'SHA-256 of a secret; NULL if it is malformed or of another kind.';

CREATE FUNCTION tenancy._setting(name text) RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_setting';
COMMENT ON FUNCTION tenancy._setting(text) IS 'A setting as the library holds it, not a placeholder of the same name.';

CREATE FUNCTION tenancy._library_version() RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_library_version';
COMMENT ON FUNCTION tenancy._library_version() IS 'The version of the library, to be compared with that of the SQL objects.';

CREATE FUNCTION tenancy._minimum_server(version integer) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_minimum_server';
COMMENT ON FUNCTION tenancy._minimum_server(integer) IS 'The first release of the same major version whose row security holds, both as in server_version_num.';

CREATE FUNCTION tenancy._end_of_script() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_end_of_script';
COMMENT ON FUNCTION tenancy._end_of_script() IS 'Last in scripts: refuses them where the library is older, and makes every session look at its own again.';

CREATE FUNCTION tenancy._send_invalidation() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_send_invalidation';
COMMENT ON FUNCTION tenancy._send_invalidation() IS 'Tells every backend and standby whose access set has changed.';

-- ---------------------------------------------------------------------
-- Identity: who is acting
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.authenticate(credential text, session_wide boolean DEFAULT false) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_authenticate';
COMMENT ON FUNCTION tenancy.authenticate(text, boolean) IS 'Signs in with a session or project token, until the transaction ends unless session_wide.';

CREATE FUNCTION tenancy.act_as(user_id uuid, session_wide boolean DEFAULT false) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_act_as';
COMMENT ON FUNCTION tenancy.act_as(uuid, boolean) IS 'Acts on behalf of a user; for roles given tenancy.grant_application().';

CREATE FUNCTION tenancy.current_user_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_current_user_id';
COMMENT ON FUNCTION tenancy.current_user_id() IS 'The user who is acting, or NULL.';

CREATE FUNCTION tenancy.current_project_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_current_project_id';
COMMENT ON FUNCTION tenancy.current_project_id() IS 'The project of the signed-in token, or the visible project that tenancy.project_id names, or that of a bound login role, or NULL.';

CREATE FUNCTION tenancy._clear_identity() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_clear_identity';
COMMENT ON FUNCTION tenancy._clear_identity() IS 'Nobody acts in this database session any more.';

CREATE FUNCTION tenancy._acts_by_binding() RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_acts_by_binding';
COMMENT ON FUNCTION tenancy._acts_by_binding() IS 'Does somebody act because the login role is bound to them?';

CREATE FUNCTION tenancy._refuse_later(what text, user_id uuid) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_refuse_later';
COMMENT ON FUNCTION tenancy._refuse_later(text, uuid) IS 'Raises when a transaction with an old snapshot cannot see the organizations or sessions that a user has now.';

CREATE FUNCTION tenancy._session_id() RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_session_id';
COMMENT ON FUNCTION tenancy._session_id() IS 'The session that is signed in, or NULL.';

-- ---------------------------------------------------------------------
-- Predicates: what policies call
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._project_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_project_support';
COMMENT ON FUNCTION tenancy._project_support(internal) IS 'Planner support of the predicates on projects.';

CREATE FUNCTION tenancy._organization_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_organization_support';
COMMENT ON FUNCTION tenancy._organization_support(internal) IS 'Planner support of the predicate on organizations.';

CREATE FUNCTION tenancy._write_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_write_support';
COMMENT ON FUNCTION tenancy._write_support(internal) IS 'Has the library loaded before a statement that inserts is started.';

CREATE FUNCTION tenancy.can_view(project uuid) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1 SUPPORT tenancy._project_support
AS 'MODULE_PATHNAME', 'tenancy_can_view';
COMMENT ON FUNCTION tenancy.can_view(uuid) IS 'May the current identity see rows of this project?';

CREATE FUNCTION tenancy.can_edit(project uuid, minimum tenancy.access_level DEFAULT 'member') RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1 SUPPORT tenancy._project_support
AS 'MODULE_PATHNAME', 'tenancy_can_edit';
COMMENT ON FUNCTION tenancy.can_edit(uuid, tenancy.access_level) IS 'May the current identity update and delete rows of this project?';

CREATE FUNCTION tenancy.can_write(project uuid, minimum tenancy.access_level DEFAULT 'member') RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1 SUPPORT tenancy._write_support
AS 'MODULE_PATHNAME', 'tenancy_can_write';
COMMENT ON FUNCTION tenancy.can_write(uuid, tenancy.access_level) IS 'May the current identity, or project token, insert rows into this project?';

CREATE FUNCTION tenancy.can_reach(project uuid) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1
AS 'MODULE_PATHNAME', 'tenancy_can_reach';
COMMENT ON FUNCTION tenancy.can_reach(uuid) IS 'As can_view, whatever the current project is; for lists of projects.';

CREATE FUNCTION tenancy.is_member(organization uuid, minimum tenancy.access_level DEFAULT 'member') RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1 SUPPORT tenancy._organization_support
AS 'MODULE_PATHNAME', 'tenancy_is_member';
COMMENT ON FUNCTION tenancy.is_member(uuid, tenancy.access_level) IS 'Is the current user in this organization, at that level or above?';

CREATE FUNCTION tenancy.viewable_project(project uuid) RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE COST 1
AS 'MODULE_PATHNAME', 'tenancy_viewable_project';
COMMENT ON FUNCTION tenancy.viewable_project(uuid) IS 'This project if the current user can see it, or NULL.';

CREATE FUNCTION tenancy.viewable_organization(organization uuid, minimum tenancy.access_level DEFAULT 'member') RETURNS uuid
LANGUAGE c STABLE PARALLEL SAFE COST 1
AS 'MODULE_PATHNAME', 'tenancy_viewable_organization';
COMMENT ON FUNCTION tenancy.viewable_organization(uuid, tenancy.access_level) IS 'This organization if the current user is in it, at that level or above, or NULL.';

CREATE FUNCTION tenancy.viewable_projects() RETURNS uuid[]
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'tenancy_viewable_projects';
COMMENT ON FUNCTION tenancy.viewable_projects() IS 'All projects that the current user can see.';

CREATE FUNCTION tenancy.viewable_organizations(minimum tenancy.access_level DEFAULT 'member') RETURNS uuid[]
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'tenancy_viewable_organizations';
COMMENT ON FUNCTION tenancy.viewable_organizations(tenancy.access_level) IS 'All organizations that the current user is in, at that level or above.';

-- ---------------------------------------------------------------------
-- Permissions: what commands call
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.can(permission tenancy.permission, target uuid) RETURNS boolean
LANGUAGE c STABLE LEAKPROOF PARALLEL SAFE COST 1
AS 'MODULE_PATHNAME', 'tenancy_can';
COMMENT ON FUNCTION tenancy.can(tenancy.permission, uuid) IS 'Does the current user have a permission on an organization or project?';

CREATE FUNCTION tenancy.require(permission tenancy.permission, target uuid) RETURNS void
LANGUAGE c VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_require';
COMMENT ON FUNCTION tenancy.require(tenancy.permission, uuid) IS 'Raises unless the current user has a permission: 28000, P0002 or 42501.';

CREATE FUNCTION tenancy.level_in(target uuid) RETURNS tenancy.access_level
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_level_in';
COMMENT ON FUNCTION tenancy.level_in(uuid) IS 'Effective level of the current user in an organization or project, or NULL.';

CREATE FUNCTION tenancy._is_permitted(permission tenancy.permission, level tenancy.access_level,
									  organization_level tenancy.access_level) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_is_permitted';
COMMENT ON FUNCTION tenancy._is_permitted(tenancy.permission, tenancy.access_level, tenancy.access_level) IS
	'Would somebody with these levels in a project and its organization have a permission?';

CREATE FUNCTION tenancy._permission_matrix(
	OUT permission text, OUT target text, OUT member boolean,
	OUT administrator boolean, OUT owner boolean, OUT project_administrator boolean)
RETURNS SETOF record
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 11
AS 'MODULE_PATHNAME', 'tenancy_permission_matrix';
COMMENT ON FUNCTION tenancy._permission_matrix() IS 'The matrix that can() and require() decide by.';
