-- The extension tenancy: built from the parts in sql/, do not edit the result.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION tenancy CASCADE" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
-- For what is in $$ below: the script itself was read before this, so that no other literal
-- in it may hold a backslash but as E'\\'.
SET LOCAL standard_conforming_strings = on;

-- Nothing of the extension is there; a script that updates it lists what is.
SELECT pg_catalog.set_config('tenancy_update.present', '{}', true);

-- First, so that a server without the library is told what to do.
DO $$
BEGIN
	LOAD 'MODULE_PATHNAME';
EXCEPTION WHEN undefined_file THEN
	RAISE EXCEPTION 'the library of extension "tenancy" is not installed on this server'
		USING ERRCODE = 'undefined_file', DETAIL = SQLERRM,
			  HINT = 'Install it with make install, or with the package for this version of PostgreSQL.';
END
$$;

-- A schema that somebody has made before would stay theirs.
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
			   WHERE n.nspname = 'tenancy' AND NOT r.rolsuper)
	   OR EXISTS (SELECT FROM pg_catalog.pg_depend d
				  WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
					AND d.refobjid = 'tenancy'::pg_catalog.regnamespace AND d.deptype = 'n'
					AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass) THEN
		RAISE EXCEPTION 'schema "tenancy" is not empty, or not owned by a superuser'
			USING ERRCODE = 'duplicate_schema', HINT = 'Drop or rename it first.';
	END IF;
END
$$;

COMMENT ON SCHEMA tenancy IS 'Organizations, members, projects and their isolation.';
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
-- ---------------------------------------------------------------------
-- Plans and users
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.plans (
	name text COLLATE "C" PRIMARY KEY CHECK (name OPERATOR(pg_catalog.~) '^[a-z][a-z0-9_]{0,62}$'),
	multiple_organizations boolean NOT NULL DEFAULT false,
	multiple_projects boolean NOT NULL DEFAULT false,
	private_projects boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE tenancy.plans IS 'What organizations can be sold; rows may be added and changed.';
COMMENT ON COLUMN tenancy.plans.name IS 'Name of the plan.';
COMMENT ON COLUMN tenancy.plans.multiple_organizations IS 'A member of an organization on this plan may create another one.';
COMMENT ON COLUMN tenancy.plans.multiple_projects IS 'An organization may have more than one project.';
COMMENT ON COLUMN tenancy.plans.private_projects IS 'Projects can be made private.';

-- CREATE EXTENSION brings the plans of 40_plans; a dump brings them again, as
-- an administrator changed them.
CREATE FUNCTION tenancy._replace_plan() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE tenancy.plans p
	SET multiple_organizations = NEW.multiple_organizations,
		multiple_projects = NEW.multiple_projects,
		private_projects = NEW.private_projects
	WHERE p.name = NEW.name;
	IF FOUND THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy._replace_plan() IS 'Lets an inserted plan take the place of one of the same name.';

CREATE TRIGGER replace_plan BEFORE INSERT ON tenancy.plans
	FOR EACH ROW EXECUTE FUNCTION tenancy._replace_plan();
COMMENT ON TRIGGER replace_plan ON tenancy.plans IS 'A restored plan takes the place of the one that the extension came with.';
-- Always: pg_restore --jobs loads tables in no order, which needs
-- session_replication_role = replica.
ALTER TABLE tenancy.plans ENABLE ALWAYS TRIGGER replace_plan;

CREATE TABLE tenancy.users (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	email tenancy.email NOT NULL UNIQUE,
	name tenancy.name NOT NULL,
	is_active boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	forgotten_at timestamptz,
	CONSTRAINT users_forgotten_check CHECK (forgotten_at IS NULL OR NOT is_active)
);
COMMENT ON TABLE tenancy.users IS 'People.';
COMMENT ON COLUMN tenancy.users.id IS 'Random id.';
COMMENT ON COLUMN tenancy.users.email IS 'Address in lower case; one account an address.';
COMMENT ON COLUMN tenancy.users.name IS 'Name as others see it.';
COMMENT ON COLUMN tenancy.users.is_active IS 'A deactivated user has no access to anything.';
COMMENT ON COLUMN tenancy.users.created_at IS 'When the account was made.';
COMMENT ON COLUMN tenancy.users.forgotten_at IS 'When name and address were erased; such an account is never active again.';

CREATE TRIGGER invalidate AFTER INSERT OR DELETE ON tenancy.users
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id');
COMMENT ON TRIGGER invalidate ON tenancy.users IS 'Announces the user.';
CREATE TRIGGER invalidate_update AFTER UPDATE ON tenancy.users
	FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.is_active IS DISTINCT FROM NEW.is_active)
	EXECUTE FUNCTION tenancy._send_invalidation('id');
COMMENT ON TRIGGER invalidate_update ON tenancy.users IS 'Announces the user when that matters for access.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.users
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.users IS 'Announces everything.';
ALTER TABLE tenancy.users ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.users ENABLE ALWAYS TRIGGER invalidate_update;
ALTER TABLE tenancy.users ENABLE ALWAYS TRIGGER invalidate_truncate;
-- ---------------------------------------------------------------------
-- Organizations and their members
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.organizations (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	name tenancy.name NOT NULL,
	owner_id uuid NOT NULL REFERENCES tenancy.users,
	plan text COLLATE "C" NOT NULL REFERENCES tenancy.plans,
	notify_on_join boolean NOT NULL DEFAULT true,
	version bigint NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX organizations_owner_id_idx ON tenancy.organizations (owner_id);
COMMENT ON TABLE tenancy.organizations IS 'Organizations; each has exactly one Owner, since the column is one and cannot be null.';
COMMENT ON COLUMN tenancy.organizations.id IS 'Random id.';
COMMENT ON COLUMN tenancy.organizations.name IS 'Name; need not be unique.';
COMMENT ON COLUMN tenancy.organizations.owner_id IS 'The Owner, who has no row in memberships.';
COMMENT ON COLUMN tenancy.organizations.plan IS 'The plan that limits it.';
COMMENT ON COLUMN tenancy.organizations.notify_on_join IS 'Whether members hear of a new one.';
COMMENT ON COLUMN tenancy.organizations.version IS 'Raised by each command before it reads authority, so that concurrent ones queue or fail.';
COMMENT ON COLUMN tenancy.organizations.created_at IS 'When it was made.';

CREATE TABLE tenancy.memberships (
	organization_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	level tenancy.access_level NOT NULL DEFAULT 'member' CHECK (level OPERATOR(pg_catalog.<) 'owner'::tenancy.access_level),
	joined_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	invited_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX memberships_user_id_idx ON tenancy.memberships (user_id);
CREATE INDEX memberships_invited_by_idx ON tenancy.memberships (invited_by);
COMMENT ON TABLE tenancy.memberships IS 'Every member of an organization but its Owner.';
COMMENT ON COLUMN tenancy.memberships.organization_id IS 'The organization.';
COMMENT ON COLUMN tenancy.memberships.user_id IS 'The member.';
COMMENT ON COLUMN tenancy.memberships.level IS 'member or administrator.';
COMMENT ON COLUMN tenancy.memberships.joined_at IS 'When the member joined.';
COMMENT ON COLUMN tenancy.memberships.invited_by IS 'Who invited the member, while that account exists.';

-- No constraint can express this one: it spans two tables.
CREATE FUNCTION tenancy._guard_owner() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_TABLE_NAME = 'memberships' THEN
		PERFORM FROM tenancy.organizations o
		WHERE o.id = NEW.organization_id AND o.owner_id = NEW.user_id;
	ELSE
		PERFORM FROM tenancy.memberships m
		WHERE m.organization_id = NEW.id AND m.user_id = NEW.owner_id;
	END IF;
	IF FOUND THEN
		RAISE EXCEPTION 'the Owner of an organization cannot also be its member'
			USING ERRCODE = 'check_violation';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy._guard_owner() IS 'Keeps the Owner out of the table of members.';

CREATE TRIGGER guard_owner BEFORE INSERT OR UPDATE ON tenancy.memberships
	FOR EACH ROW EXECUTE FUNCTION tenancy._guard_owner();
COMMENT ON TRIGGER guard_owner ON tenancy.memberships IS 'The Owner has no membership.';
CREATE TRIGGER guard_owner BEFORE UPDATE OF owner_id ON tenancy.organizations
	FOR EACH ROW EXECUTE FUNCTION tenancy._guard_owner();
COMMENT ON TRIGGER guard_owner ON tenancy.organizations IS 'The Owner has no membership.';

CREATE TRIGGER invalidate AFTER INSERT OR DELETE ON tenancy.organizations
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id', 'owner_id');
COMMENT ON TRIGGER invalidate ON tenancy.organizations IS 'Announces the organization and its Owner.';
CREATE TRIGGER invalidate_update AFTER UPDATE ON tenancy.organizations
	FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.owner_id IS DISTINCT FROM NEW.owner_id)
	EXECUTE FUNCTION tenancy._send_invalidation('id', 'owner_id');
COMMENT ON TRIGGER invalidate_update ON tenancy.organizations IS 'Announces both Owners.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.organizations
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.organizations IS 'Announces everything.';
ALTER TABLE tenancy.organizations ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.organizations ENABLE ALWAYS TRIGGER invalidate_update;
ALTER TABLE tenancy.organizations ENABLE ALWAYS TRIGGER invalidate_truncate;

CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE ON tenancy.memberships
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('user_id');
COMMENT ON TRIGGER invalidate ON tenancy.memberships IS 'Announces the member.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.memberships
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.memberships IS 'Announces everything.';
ALTER TABLE tenancy.memberships ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.memberships ENABLE ALWAYS TRIGGER invalidate_truncate;
-- ---------------------------------------------------------------------
-- Projects, who is in the private ones, and their tokens
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.projects (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	organization_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	name tenancy.name NOT NULL,
	is_private boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	UNIQUE (id, organization_id)
);
CREATE INDEX projects_organization_id_idx ON tenancy.projects (organization_id);
COMMENT ON TABLE tenancy.projects IS 'Silos of data. Names are not unique: a unique name would betray a hidden project.';
COMMENT ON COLUMN tenancy.projects.id IS 'Random id.';
COMMENT ON COLUMN tenancy.projects.organization_id IS 'The organization it belongs to.';
COMMENT ON COLUMN tenancy.projects.name IS 'Name.';
COMMENT ON COLUMN tenancy.projects.is_private IS 'Hidden from Members who were not added to it.';
COMMENT ON COLUMN tenancy.projects.created_at IS 'When it was made.';

CREATE TABLE tenancy.project_memberships (
	project_id uuid NOT NULL,
	user_id uuid NOT NULL,
	organization_id uuid NOT NULL,
	level tenancy.access_level NOT NULL DEFAULT 'member' CHECK (level OPERATOR(pg_catalog.<) 'owner'::tenancy.access_level),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (project_id, user_id),
	FOREIGN KEY (project_id, organization_id) REFERENCES tenancy.projects (id, organization_id) ON DELETE CASCADE,
	FOREIGN KEY (organization_id, user_id) REFERENCES tenancy.memberships ON DELETE CASCADE
);
CREATE INDEX project_memberships_member_idx ON tenancy.project_memberships (organization_id, user_id);
CREATE INDEX project_memberships_user_id_idx ON tenancy.project_memberships (user_id);
COMMENT ON TABLE tenancy.project_memberships IS 'Explicit levels in projects; they count while the project is private.';
COMMENT ON COLUMN tenancy.project_memberships.project_id IS 'The project.';
COMMENT ON COLUMN tenancy.project_memberships.user_id IS 'The member.';
COMMENT ON COLUMN tenancy.project_memberships.organization_id IS 'The organization of both: leaving it ends the grant.';
COMMENT ON COLUMN tenancy.project_memberships.level IS 'member or administrator.';
COMMENT ON COLUMN tenancy.project_memberships.created_at IS 'When the member was added.';

CREATE TABLE tenancy.project_tokens (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	project_id uuid NOT NULL REFERENCES tenancy.projects ON DELETE CASCADE,
	digest bytea NOT NULL UNIQUE CHECK (pg_catalog.length(digest) OPERATOR(pg_catalog.=) 32),
	token text COLLATE "C",
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	revoked_at timestamptz,
	CHECK ((revoked_at IS NULL) OPERATOR(pg_catalog.=) (token IS NOT NULL))
);
CREATE UNIQUE INDEX project_tokens_live_idx ON tenancy.project_tokens (project_id) WHERE revoked_at IS NULL;
CREATE INDEX project_tokens_project_id_idx ON tenancy.project_tokens (project_id);
CREATE INDEX project_tokens_created_by_idx ON tenancy.project_tokens (created_by);
COMMENT ON TABLE tenancy.project_tokens IS 'Write-only tokens, one live one a project.';
COMMENT ON COLUMN tenancy.project_tokens.id IS 'Random id; replaying it signs nobody in.';
COMMENT ON COLUMN tenancy.project_tokens.project_id IS 'The project that the token writes to.';
COMMENT ON COLUMN tenancy.project_tokens.digest IS 'SHA-256 of the token.';
COMMENT ON COLUMN tenancy.project_tokens.token IS 'The token itself, which is publishable; erased when revoked.';
COMMENT ON COLUMN tenancy.project_tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN tenancy.project_tokens.created_by IS 'Who made it, while that account exists.';
COMMENT ON COLUMN tenancy.project_tokens.revoked_at IS 'When it was regenerated; NULL for the live one.';

CREATE TRIGGER invalidate AFTER INSERT OR DELETE ON tenancy.projects
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id', 'organization_id');
COMMENT ON TRIGGER invalidate ON tenancy.projects IS 'Announces the project''s token and the organization.';
CREATE TRIGGER invalidate_update AFTER UPDATE ON tenancy.projects
	FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id OR OLD.is_private IS DISTINCT FROM NEW.is_private
					   OR OLD.organization_id IS DISTINCT FROM NEW.organization_id)
	EXECUTE FUNCTION tenancy._send_invalidation('id', 'organization_id');
COMMENT ON TRIGGER invalidate_update ON tenancy.projects IS 'Announces the organization when that matters for access.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.projects
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.projects IS 'Announces everything.';
ALTER TABLE tenancy.projects ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.projects ENABLE ALWAYS TRIGGER invalidate_update;
ALTER TABLE tenancy.projects ENABLE ALWAYS TRIGGER invalidate_truncate;

CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE ON tenancy.project_memberships
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('user_id');
COMMENT ON TRIGGER invalidate ON tenancy.project_memberships IS 'Announces the member.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.project_memberships
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.project_memberships IS 'Announces everything.';
ALTER TABLE tenancy.project_memberships ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.project_memberships ENABLE ALWAYS TRIGGER invalidate_truncate;

CREATE TRIGGER invalidate AFTER UPDATE OR DELETE ON tenancy.project_tokens
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id', 'project_id');
COMMENT ON TRIGGER invalidate ON tenancy.project_tokens IS 'Announces the token.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.project_tokens
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.project_tokens IS 'Announces everything.';
ALTER TABLE tenancy.project_tokens ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.project_tokens ENABLE ALWAYS TRIGGER invalidate_truncate;
-- ---------------------------------------------------------------------
-- Invites
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.invites (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	organization_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	email tenancy.email NOT NULL,
	invited_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	digest bytea NOT NULL UNIQUE CHECK (pg_catalog.length(digest) OPERATOR(pg_catalog.=) 32),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at timestamptz NOT NULL,
	UNIQUE (organization_id, email)
);
CREATE INDEX invites_invited_by_idx ON tenancy.invites (invited_by);
COMMENT ON TABLE tenancy.invites IS 'Open invites: a row goes when its invite is accepted, replaced or revoked.';
COMMENT ON COLUMN tenancy.invites.id IS 'Random id; it is not the secret.';
COMMENT ON COLUMN tenancy.invites.organization_id IS 'Where to.';
COMMENT ON COLUMN tenancy.invites.email IS 'Who may accept it.';
COMMENT ON COLUMN tenancy.invites.invited_by IS 'Who invited, while that account exists.';
COMMENT ON COLUMN tenancy.invites.digest IS 'SHA-256 of the secret.';
COMMENT ON COLUMN tenancy.invites.created_at IS 'When it was made.';
COMMENT ON COLUMN tenancy.invites.expires_at IS 'The last moment at which it can be accepted.';
-- ---------------------------------------------------------------------
-- The plans that come with the extension
-- ---------------------------------------------------------------------

INSERT INTO tenancy.plans (name, multiple_organizations, multiple_projects, private_projects)
VALUES ('open_source', false, false, false),
	   ('free', true, false, false),
	   ('self_serve', true, true, false),
	   ('enterprise', true, true, true);
-- ---------------------------------------------------------------------
-- Sessions, preferences, bound roles
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.sessions (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	digest bytea NOT NULL UNIQUE CHECK (pg_catalog.length(digest) OPERATOR(pg_catalog.=) 32),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz
);
CREATE INDEX sessions_user_id_idx ON tenancy.sessions (user_id);
COMMENT ON TABLE tenancy.sessions IS 'Sign-ins of people; only digests of their tokens are kept.';
COMMENT ON COLUMN tenancy.sessions.id IS 'Random id; replaying it signs nobody in.';
COMMENT ON COLUMN tenancy.sessions.user_id IS 'Whose session it is.';
COMMENT ON COLUMN tenancy.sessions.digest IS 'SHA-256 of the token.';
COMMENT ON COLUMN tenancy.sessions.created_at IS 'When it began.';
COMMENT ON COLUMN tenancy.sessions.expires_at IS 'When it ends by itself.';
COMMENT ON COLUMN tenancy.sessions.revoked_at IS 'When it was ended.';

CREATE TRIGGER invalidate AFTER UPDATE OR DELETE ON tenancy.sessions
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id');
COMMENT ON TRIGGER invalidate ON tenancy.sessions IS 'Announces the session.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.sessions
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.sessions IS 'Announces everything.';
ALTER TABLE tenancy.sessions ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.sessions ENABLE ALWAYS TRIGGER invalidate_truncate;

-- Apart from users: a circular foreign key would break dump and restore.
CREATE TABLE tenancy.user_preferences (
	user_id uuid PRIMARY KEY REFERENCES tenancy.users ON DELETE CASCADE,
	current_organization_id uuid REFERENCES tenancy.organizations ON DELETE SET NULL,
	current_project_id uuid REFERENCES tenancy.projects ON DELETE SET NULL
);
CREATE INDEX user_preferences_organization_idx ON tenancy.user_preferences (current_organization_id);
CREATE INDEX user_preferences_project_idx ON tenancy.user_preferences (current_project_id);
COMMENT ON TABLE tenancy.user_preferences IS 'The organization and project that each person works in.';
COMMENT ON COLUMN tenancy.user_preferences.user_id IS 'The person.';
COMMENT ON COLUMN tenancy.user_preferences.current_organization_id IS 'Set by switch_organization(), and by what makes or ends a membership.';
COMMENT ON COLUMN tenancy.user_preferences.current_project_id IS 'Set by switch_project(), and by what makes or ends a membership.';

CREATE TABLE tenancy.role_bindings (
	role_name text COLLATE "C" PRIMARY KEY,
	role_oid oid UNIQUE,
	user_id uuid NOT NULL REFERENCES tenancy.users ON DELETE CASCADE,
	project_id uuid REFERENCES tenancy.projects ON DELETE CASCADE
);
CREATE INDEX role_bindings_user_id_idx ON tenancy.role_bindings (user_id);
CREATE INDEX role_bindings_project_id_idx ON tenancy.role_bindings (project_id);
COMMENT ON TABLE tenancy.role_bindings IS 'Login roles of reporting tools and the users they stand for.';
COMMENT ON COLUMN tenancy.role_bindings.role_name IS 'Its name, which survives dump and restore.';
COMMENT ON COLUMN tenancy.role_bindings.role_oid IS 'The role that had this name when the row was written, so that a later one of that name inherits nothing.';
COMMENT ON COLUMN tenancy.role_bindings.user_id IS 'The user.';
COMMENT ON COLUMN tenancy.role_bindings.project_id IS 'The one project it is narrowed to, or NULL.';

-- A dump may come into a cluster where the role has another oid, or is none.
CREATE FUNCTION tenancy._find_bound_role() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.role_oid := (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = NEW.role_name);
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION tenancy._find_bound_role() IS 'Keeps the oid of a bound role beside its name.';

CREATE TRIGGER find_role BEFORE INSERT OR UPDATE ON tenancy.role_bindings
	FOR EACH ROW EXECUTE FUNCTION tenancy._find_bound_role();
COMMENT ON TRIGGER find_role ON tenancy.role_bindings IS 'The role is the one that has the name now.';
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE ON tenancy.role_bindings
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('role_oid');
COMMENT ON TRIGGER invalidate ON tenancy.role_bindings IS 'Announces the role.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.role_bindings
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.role_bindings IS 'Announces everything.';
ALTER TABLE tenancy.role_bindings ENABLE ALWAYS TRIGGER find_role;
ALTER TABLE tenancy.role_bindings ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.role_bindings ENABLE ALWAYS TRIGGER invalidate_truncate;
-- ---------------------------------------------------------------------
-- Access: the one definition of who can reach what
-- ---------------------------------------------------------------------

CREATE VIEW tenancy.access AS
	SELECT o.owner_id AS user_id, o.id AS organization_id, NULL::uuid AS project_id,
		   'owner'::tenancy.access_level AS level, 'owner'::text AS source,
		   'owner'::tenancy.access_level AS organization_level
	FROM tenancy.organizations o
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) o.owner_id
	WHERE u.is_active
UNION ALL
	SELECT m.user_id, m.organization_id, NULL::uuid, m.level, 'membership'::text, m.level
	FROM tenancy.memberships m
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) m.user_id
	WHERE u.is_active
UNION ALL
	SELECT o.owner_id, o.id, p.id, 'owner'::tenancy.access_level, 'owner'::text, 'owner'::tenancy.access_level
	FROM tenancy.organizations o
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) o.owner_id
	JOIN tenancy.projects p ON p.organization_id OPERATOR(pg_catalog.=) o.id
	WHERE u.is_active
UNION ALL
	SELECT m.user_id, m.organization_id, p.id, m.level, 'membership'::text, m.level
	FROM tenancy.memberships m
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) m.user_id
	JOIN tenancy.projects p ON p.organization_id OPERATOR(pg_catalog.=) m.organization_id
	WHERE u.is_active
	  AND (NOT p.is_private OR m.level OPERATOR(pg_catalog.=) 'administrator'::tenancy.access_level)
UNION ALL
	SELECT pm.user_id, pm.organization_id, pm.project_id, pm.level, 'project membership'::text, m.level
	FROM tenancy.project_memberships pm
	JOIN tenancy.memberships m ON m.organization_id OPERATOR(pg_catalog.=) pm.organization_id
							  AND m.user_id OPERATOR(pg_catalog.=) pm.user_id
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) pm.user_id
	JOIN tenancy.projects p ON p.id OPERATOR(pg_catalog.=) pm.project_id
	WHERE u.is_active AND p.is_private
	  AND m.level OPERATOR(pg_catalog.=) 'member'::tenancy.access_level;
COMMENT ON VIEW tenancy.access IS 'Who can reach which organization (project_id NULL) and which project, at which effective level, and why.';
-- ---------------------------------------------------------------------
-- Row security of the extension's own tables: reading only, through these
-- policies; writing only through commands.  Not to be altered: dumps do not
-- carry policies of an extension's tables.
-- ---------------------------------------------------------------------

ALTER TABLE tenancy.plans ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.project_memberships ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.project_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.invites ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.user_preferences ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.role_bindings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY read ON tenancy.plans FOR SELECT USING (true);
COMMENT ON POLICY read ON tenancy.plans IS 'Plans are public.';

CREATE POLICY read ON tenancy.organizations FOR SELECT
	USING (tenancy.is_member(id, 'member'));
COMMENT ON POLICY read ON tenancy.organizations IS 'One''s own organizations.';

CREATE POLICY read ON tenancy.memberships FOR SELECT
	USING (tenancy.is_member(organization_id, 'member'));
COMMENT ON POLICY read ON tenancy.memberships IS 'Members of one''s own organizations.';

CREATE POLICY read ON tenancy.users FOR SELECT
	USING (id OPERATOR(pg_catalog.=) tenancy.current_user_id()
		   OR EXISTS (SELECT FROM tenancy.memberships m WHERE m.user_id OPERATOR(pg_catalog.=) users.id)
		   OR EXISTS (SELECT FROM tenancy.organizations o WHERE o.owner_id OPERATOR(pg_catalog.=) users.id));
COMMENT ON POLICY read ON tenancy.users IS 'Oneself and whoever shares an organization.';

CREATE POLICY read ON tenancy.projects FOR SELECT
	USING (tenancy.can_reach(id));
COMMENT ON POLICY read ON tenancy.projects IS 'Projects that one can reach, whatever the current one.';

CREATE POLICY read ON tenancy.project_memberships FOR SELECT
	USING (tenancy.can_reach(project_id));
COMMENT ON POLICY read ON tenancy.project_memberships IS 'Members of projects that one can reach.';

CREATE POLICY read ON tenancy.project_tokens FOR SELECT
	USING (tenancy.can_reach(project_id));
COMMENT ON POLICY read ON tenancy.project_tokens IS 'Tokens of projects that one can reach.';

CREATE POLICY read ON tenancy.invites FOR SELECT
	USING (tenancy.is_member(organization_id, 'administrator')
		   OR (tenancy.is_member(organization_id, 'member')
			   AND invited_by OPERATOR(pg_catalog.=) tenancy.current_user_id()));
COMMENT ON POLICY read ON tenancy.invites IS 'Invites to organizations that one manages, and one''s own.';

CREATE POLICY read ON tenancy.sessions FOR SELECT
	USING (user_id OPERATOR(pg_catalog.=) tenancy.current_user_id());
COMMENT ON POLICY read ON tenancy.sessions IS 'One''s own sessions.';

CREATE POLICY read ON tenancy.user_preferences FOR SELECT
	USING (user_id OPERATOR(pg_catalog.=) tenancy.current_user_id()
		   AND (current_organization_id IS NULL OR tenancy.is_member(current_organization_id, 'member'))
		   AND (current_project_id IS NULL OR tenancy.can_reach(current_project_id)));
COMMENT ON POLICY read ON tenancy.user_preferences IS 'One''s own, while one can see what was chosen.';

-- Default privileges of this database may have granted more than is meant.
REVOKE ALL ON ALL TABLES IN SCHEMA tenancy FROM PUBLIC;

GRANT SELECT ON tenancy.plans, tenancy.users, tenancy.memberships,
	tenancy.projects, tenancy.project_memberships, tenancy.user_preferences TO PUBLIC;
-- not the version, which tells how busy others are, and no digest
GRANT SELECT (id, name, owner_id, plan, notify_on_join, created_at) ON tenancy.organizations TO PUBLIC;
GRANT SELECT (id, project_id, token, created_at, created_by, revoked_at) ON tenancy.project_tokens TO PUBLIC;
GRANT SELECT (id, organization_id, email, invited_by, created_at, expires_at) ON tenancy.invites TO PUBLIC;
GRANT SELECT (id, user_id, created_at, expires_at, revoked_at) ON tenancy.sessions TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about organizations, and what all commands share
--
-- Every change follows one pattern (_begin_change): ask whether the caller may,
-- holding no lock, so that nothing of a hidden organization is ever locked or
-- waited for; lock the organization by raising its version; ask again, because
-- the answer may have changed while waiting.  Raising the version, and not
-- merely locking the row, is what makes a concurrent REPEATABLE READ
-- transaction fail with a serialization error instead of acting on authority
-- that has been taken away since its snapshot.
--
-- Locks are taken in the order organization, user, project or invite,
-- preferences.
-- ---------------------------------------------------------------------

-- Who is acting?  Raises 28000 when nobody is.
CREATE FUNCTION tenancy._require_user()
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy.current_user_id();
BEGIN
	IF me IS NULL THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
	-- A report does not send invites; see require(), which says the same.
	IF tenancy._acts_by_binding() THEN
		RAISE EXCEPTION 'permission denied'
			USING ERRCODE = 'insufficient_privilege',
				  DETAIL = 'A login role that is bound to a user runs no commands.',
				  HINT = 'Sign in.';
	END IF;
	RETURN me;
END
$$;
COMMENT ON FUNCTION tenancy._require_user() IS
	'The current user; raises when nobody is signed in, and for a bound login role.';

-- Serialize all changes of one organization.  False when it does not exist.
CREATE FUNCTION tenancy._lock_organization(organization uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE tenancy.organizations o
	SET version = o.version + 1
	WHERE o.id = _lock_organization.organization;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy._lock_organization(uuid) IS
	'Locks an organization by raising its version; false when it does not exist.';

-- The organization that a permission on a target is about.
CREATE FUNCTION tenancy._organization_of(permission tenancy.permission, target uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF permission IN ('project.view', 'project.delete', 'project.manage',
					  'project.set_privacy') THEN
		RETURN (SELECT p.organization_id FROM tenancy.projects p
				WHERE p.id = _organization_of.target);
	END IF;
	RETURN target;
END
$$;
COMMENT ON FUNCTION tenancy._organization_of(tenancy.permission, uuid) IS
	'The organization that a permission on an organization or project is about.';

-- Check, lock, check again.  Returns the organization that is now locked.
CREATE FUNCTION tenancy._begin_change(permission tenancy.permission, target uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	organization uuid;
BEGIN
	PERFORM tenancy.require(permission, target);

	organization := tenancy._organization_of(permission, target);
	IF NOT tenancy._lock_organization(organization) THEN
		-- Deleted since the first check: the second one says so.
		organization := NULL;
	END IF;

	PERFORM tenancy.require(permission, target);

	IF organization IS NULL
	   OR organization IS DISTINCT FROM tenancy._organization_of(permission, target) THEN
		RAISE EXCEPTION 'could not serialize access due to concurrent update'
			USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN organization;
END
$$;
COMMENT ON FUNCTION tenancy._begin_change(tenancy.permission, uuid) IS
	'Checks a permission, locks the organization it is about, checks again; returns that organization.';

-- An unknown feature is not included in any plan.
CREATE FUNCTION tenancy._require_feature(organization uuid, feature text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	plan record;
BEGIN
	SELECT p.name,
		   CASE _require_feature.feature
			   WHEN 'multiple_projects' THEN p.multiple_projects
			   WHEN 'private_projects' THEN p.private_projects
			   WHEN 'multiple_organizations' THEN p.multiple_organizations
			   ELSE false
		   END AS included
	INTO plan
	FROM tenancy.organizations o
	JOIN tenancy.plans p ON p.name = o.plan
	WHERE o.id = _require_feature.organization;

	IF plan.included IS NOT TRUE THEN
		RAISE EXCEPTION '% are not included in the plan', replace(feature, '_', ' ')
			USING ERRCODE = 'configuration_limit_exceeded',
				  HINT = format('The organization is on the plan "%s".', plan.name);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_feature(uuid, text) IS
	'Raises unless the organization''s plan includes a feature.';

-- A user in no organization may always create one; any other needs to be in
-- one whose plan includes more.
CREATE FUNCTION tenancy._require_another_organization(member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	allowed boolean;
	plans text;
BEGIN
	SELECT bool_or(p.multiple_organizations),
		   string_agg(DISTINCT format('"%s"', p.name), ', ')
	INTO allowed, plans
	FROM tenancy.access a
	JOIN tenancy.organizations o ON o.id = a.organization_id
	JOIN tenancy.plans p ON p.name = o.plan
	WHERE a.user_id = _require_another_organization.member
	  AND a.project_id IS NULL;

	IF NOT allowed THEN
		RAISE EXCEPTION 'multiple organizations are not included in the plan'
			USING ERRCODE = 'configuration_limit_exceeded',
				  HINT = format('Your organization is on the plan %s.', plans);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_another_organization(uuid) IS
	'Raises unless a user may create an organization beside those they are in.';

-- The plan of new organizations.
CREATE FUNCTION tenancy._default_plan()
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plan text := tenancy._setting('tenancy.default_plan');
BEGIN
	PERFORM FROM tenancy.plans p
	WHERE p.name = plan
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the default plan does not exist'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Set tenancy.default_plan to the name of a row of tenancy.plans.';
	END IF;
	RETURN plan;
END
$$;
COMMENT ON FUNCTION tenancy._default_plan() IS 'The plan of new organizations.';

CREATE FUNCTION tenancy.create_organization(name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
	organization uuid;
	project uuid;
BEGIN
	-- The account does not end in the meantime.
	PERFORM FROM tenancy.users u
	WHERE u.id = me
	FOR SHARE;
	PERFORM tenancy._require_user();
	-- Two creations by one user follow each other, or one of them fails, so that
	-- the plan's limit holds.  Not by the user's row: in their other organizations
	-- commands about them would wait for that.
	INSERT INTO tenancy.user_preferences AS s (user_id)
	VALUES (me)
	ON CONFLICT (user_id) DO UPDATE
	SET current_project_id = s.current_project_id;
	PERFORM tenancy._require_another_organization(me);

	INSERT INTO tenancy.organizations (name, owner_id, plan)
	VALUES (tenancy._clean_name(create_organization.name), me, tenancy._default_plan())
	RETURNING id INTO organization;

	project := tenancy._create_project(organization, 'Default Project', false);
	PERFORM tenancy._set_switcher(me, organization, project);
	RETURN organization;
END
$$;
COMMENT ON FUNCTION tenancy.create_organization(text) IS
	'Creates an organization, owned by the current user, with its default project and token.';
GRANT EXECUTE ON FUNCTION tenancy.create_organization(text) TO PUBLIC;

CREATE FUNCTION tenancy.rename_organization(organization uuid, name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('organization.manage', rename_organization.organization);

	UPDATE tenancy.organizations o
	SET name = tenancy._clean_name(rename_organization.name)
	WHERE o.id = rename_organization.organization;
END
$$;
COMMENT ON FUNCTION tenancy.rename_organization(uuid, text) IS
	'Renames an organization.';
GRANT EXECUTE ON FUNCTION tenancy.rename_organization(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.set_join_notifications(organization uuid, notify_on_join boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('organization.manage', set_join_notifications.organization);

	IF set_join_notifications.notify_on_join IS NULL THEN
		RAISE EXCEPTION 'notify_on_join must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	UPDATE tenancy.organizations o
	SET notify_on_join = set_join_notifications.notify_on_join
	WHERE o.id = set_join_notifications.organization;
END
$$;
COMMENT ON FUNCTION tenancy.set_join_notifications(uuid, boolean) IS
	'Chooses whether the members of an organization are told when somebody joins.';
GRANT EXECUTE ON FUNCTION tenancy.set_join_notifications(uuid, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.delete_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- Locked as a deletion before its version is raised: SKIP LOCKED looks at the
	-- first version of a row only, and would wait for the end of the second.
	PERFORM tenancy.require('organization.delete', delete_organization.organization);
	PERFORM FROM tenancy.organizations o
	WHERE o.id = delete_organization.organization
	FOR UPDATE;
	PERFORM tenancy._begin_change('organization.delete', delete_organization.organization);

	BEGIN
		DELETE FROM tenancy.organizations o
		WHERE o.id = delete_organization.organization;
	EXCEPTION
		WHEN foreign_key_violation OR restrict_violation THEN
			-- Only a foreign key of the application's own can hold it back.
			RAISE EXCEPTION 'organization is still in use'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Delete the rows that refer to the organization or its projects first.';
	END;
END
$$;
COMMENT ON FUNCTION tenancy.delete_organization(uuid) IS
	'Deletes an organization with its projects, memberships, invites, tokens and data.';
GRANT EXECUTE ON FUNCTION tenancy.delete_organization(uuid) TO PUBLIC;

-- Put another user in the Owner's place; the old Owner becomes an
-- Administrator.  The caller has locked the organization.
CREATE FUNCTION tenancy._change_owner(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	former uuid;
BEGIN
	SELECT o.owner_id INTO STRICT former
	FROM tenancy.organizations o
	WHERE o.id = _change_owner.organization;

	IF _change_owner.member = former THEN
		RAISE EXCEPTION 'user is the owner already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	-- The Owner has no membership.  Project memberships go with it, since
	-- the Owner reaches every project.
	DELETE FROM tenancy.memberships m
	WHERE m.organization_id = _change_owner.organization
	  AND m.user_id = _change_owner.member;

	UPDATE tenancy.organizations o
	SET owner_id = _change_owner.member
	WHERE o.id = _change_owner.organization;

	-- Of an Owner whose account was deleted by force nothing is left to insert.
	INSERT INTO tenancy.memberships (organization_id, user_id, level)
	SELECT _change_owner.organization, u.id, 'administrator'
	FROM tenancy.users u
	WHERE u.id = former;
END
$$;
COMMENT ON FUNCTION tenancy._change_owner(uuid, uuid) IS
	'Makes a user the Owner of a locked organization and the old Owner an Administrator.';

CREATE FUNCTION tenancy.transfer_ownership(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._begin_change('organization.transfer', organization);

	-- The lock on the user keeps a deactivation from coming in between.
	PERFORM tenancy._require_active_member(organization, member);
	PERFORM tenancy._change_owner(organization, member);
END
$$;
COMMENT ON FUNCTION tenancy.transfer_ownership(uuid, uuid) IS
	'Makes another member the Owner; the old Owner becomes an Administrator.';
GRANT EXECUTE ON FUNCTION tenancy.transfer_ownership(uuid, uuid) TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about the members of an organization
--
-- A user from outside the organization does not exist here, in the same words
-- as one who never was.
-- ---------------------------------------------------------------------

-- The level of a user in an organization, NULL for one from outside.
-- Deactivated users count: they are still on the books.
CREATE FUNCTION tenancy._member_level(organization uuid, member uuid)
RETURNS tenancy.access_level
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'owner'::tenancy.access_level
	FROM tenancy.organizations o
	WHERE o.id = _member_level.organization
	  AND o.owner_id = _member_level.member
	UNION ALL
	SELECT m.level
	FROM tenancy.memberships m
	WHERE m.organization_id = _member_level.organization
	  AND m.user_id = _member_level.member
$$;
COMMENT ON FUNCTION tenancy._member_level(uuid, uuid) IS
	'The level of a user in an organization, also of a deactivated one; NULL for one from outside.';

-- Raises unless the user is an active member of the organization, and keeps
-- them active until the transaction ends.
CREATE FUNCTION tenancy._require_active_member(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Membership first: nothing of a stranger may be locked or waited for.
	IF tenancy._member_level(organization, member) IS NOT NULL THEN
		PERFORM FROM tenancy.users u
		WHERE u.id = _require_active_member.member AND u.is_active
		FOR SHARE;
		IF FOUND THEN
			RETURN;
		END IF;
	END IF;
	RAISE EXCEPTION 'user does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy._require_active_member(uuid, uuid) IS
	'Raises unless a user is an active member of an organization.';

-- End a membership and what hangs on it.  Project memberships follow by
-- foreign key.  Invites go too, those to the member and those from them: with
-- neither may somebody who was shown the door come back in.
CREATE FUNCTION tenancy._end_membership(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenancy.memberships m
	WHERE m.organization_id = _end_membership.organization
	  AND m.user_id = _end_membership.member;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	DELETE FROM tenancy.invites i
	WHERE i.organization_id = _end_membership.organization
	  AND (i.invited_by = _end_membership.member
		   OR i.email = (SELECT u.email FROM tenancy.users u
						 WHERE u.id = _end_membership.member));

	PERFORM tenancy._leave_switcher(member, organization);
END
$$;
COMMENT ON FUNCTION tenancy._end_membership(uuid, uuid) IS
	'Ends a membership with its project memberships and invites, and moves the switcher.';

CREATE FUNCTION tenancy.set_member_level(organization uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF set_member_level.level = 'owner' THEN
		PERFORM tenancy.transfer_ownership(set_member_level.organization,
										   set_member_level.member);
		RETURN;
	END IF;

	PERFORM tenancy._begin_change('organization.manage', set_member_level.organization);

	IF set_member_level.level IS NULL THEN
		RAISE EXCEPTION 'level must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF set_member_level.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to change one''s own level'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(set_member_level.organization,
										   set_member_level.member);
	PERFORM tenancy._refuse_owner(set_member_level.organization,
								  set_member_level.member);

	UPDATE tenancy.memberships m
	SET level = set_member_level.level
	WHERE m.organization_id = set_member_level.organization
	  AND m.user_id = set_member_level.member;

	-- A former Administrator may have been working in a private project.
	PERFORM tenancy._mend_switchers(set_member_level.member, NULL);
END
$$;
COMMENT ON FUNCTION tenancy.set_member_level(uuid, uuid, tenancy.access_level) IS
	'Changes the level of another member; the Owner who gives "owner" transfers the organization.';
GRANT EXECUTE ON FUNCTION tenancy.set_member_level(uuid, uuid, tenancy.access_level) TO PUBLIC;

-- Nobody is above an Administrator but the Owner, so this is all that "nobody
-- edits somebody higher" needs.
CREATE FUNCTION tenancy._refuse_owner(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF tenancy._member_level(organization, member) = 'owner' THEN
		RAISE EXCEPTION 'permission denied to change the owner'
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Only the Owner can transfer the organization, with tenancy.transfer_ownership().';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._refuse_owner(uuid, uuid) IS
	'Raises when a user is the Owner of an organization.';

CREATE FUNCTION tenancy.remove_member(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._begin_change('organization.manage', organization);

	IF member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'cannot remove oneself'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.leave_organization().';
	END IF;
	PERFORM tenancy._refuse_owner(organization, member);
	PERFORM tenancy._end_membership(organization, member);
END
$$;
COMMENT ON FUNCTION tenancy.remove_member(uuid, uuid) IS
	'Removes another member, with their project memberships and invites.';
GRANT EXECUTE ON FUNCTION tenancy.remove_member(uuid, uuid) TO PUBLIC;

CREATE FUNCTION tenancy.leave_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- What is refused below for another reason than being the Owner.
	PERFORM tenancy._require_user();
	BEGIN
		PERFORM tenancy._begin_change('organization.leave', organization);
	EXCEPTION
		WHEN insufficient_privilege THEN
			-- Of those who see the organization only the Owner may not leave.
			RAISE EXCEPTION 'the owner cannot leave the organization'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Transfer the organization first, with tenancy.transfer_ownership().';
	END;

	PERFORM tenancy._end_membership(organization, tenancy.current_user_id());
END
$$;
COMMENT ON FUNCTION tenancy.leave_organization(uuid) IS
	'Ends the current user''s own membership; the Owner has to transfer first.';
GRANT EXECUTE ON FUNCTION tenancy.leave_organization(uuid) TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about projects and their tokens
-- ---------------------------------------------------------------------

-- Give a project a new token.  The caller has revoked the old one.
CREATE FUNCTION tenancy._issue_project_token(project uuid)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	secret text := tenancy._mint_credential('project');
BEGIN
	INSERT INTO tenancy.project_tokens (project_id, digest, token, created_by)
	VALUES (_issue_project_token.project,
			tenancy._credential_digest(secret, 'project'),
			secret,
			tenancy.current_user_id());
	RETURN secret;
END
$$;
COMMENT ON FUNCTION tenancy._issue_project_token(uuid) IS
	'Stores and returns a new token for a project that has none.';

CREATE FUNCTION tenancy._create_project(organization uuid, name text, is_private boolean)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	project uuid;
BEGIN
	INSERT INTO tenancy.projects (organization_id, name, is_private)
	VALUES (_create_project.organization,
			tenancy._clean_name(_create_project.name),
			_create_project.is_private)
	RETURNING id INTO project;

	PERFORM tenancy._issue_project_token(project);
	RETURN project;
END
$$;
COMMENT ON FUNCTION tenancy._create_project(uuid, text, boolean) IS
	'Creates a project with its token, asking nothing.';

CREATE FUNCTION tenancy.create_project(organization uuid, name text, is_private boolean DEFAULT false)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.create', create_project.organization);

	IF create_project.is_private IS NULL THEN
		RAISE EXCEPTION 'is_private must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	-- Counting hidden projects betrays nothing: whoever may create a project
	-- sees them all.
	IF EXISTS (SELECT FROM tenancy.projects p
			   WHERE p.organization_id = create_project.organization) THEN
		PERFORM tenancy._require_feature(create_project.organization, 'multiple_projects');
	END IF;
	IF create_project.is_private THEN
		PERFORM tenancy._require_feature(create_project.organization, 'private_projects');
	END IF;

	RETURN tenancy._create_project(create_project.organization,
								   create_project.name,
								   create_project.is_private);
END
$$;
COMMENT ON FUNCTION tenancy.create_project(uuid, text, boolean) IS
	'Creates a project with its token in an organization.';
GRANT EXECUTE ON FUNCTION tenancy.create_project(uuid, text, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.rename_project(project uuid, name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.manage', rename_project.project);

	UPDATE tenancy.projects p
	SET name = tenancy._clean_name(rename_project.name)
	WHERE p.id = rename_project.project;
END
$$;
COMMENT ON FUNCTION tenancy.rename_project(uuid, text) IS 'Renames a project.';
GRANT EXECUTE ON FUNCTION tenancy.rename_project(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.delete_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.delete', delete_project.project);

	BEGIN
		DELETE FROM tenancy.projects p
		WHERE p.id = delete_project.project;
	EXCEPTION
		WHEN foreign_key_violation OR restrict_violation THEN
			-- Only a foreign key of the application's own can hold it back.
			RAISE EXCEPTION 'project is still in use'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Delete the rows that refer to the project first.';
	END;
END
$$;
COMMENT ON FUNCTION tenancy.delete_project(uuid) IS
	'Deletes a project with its tokens, members and data.';
GRANT EXECUTE ON FUNCTION tenancy.delete_project(uuid) TO PUBLIC;

CREATE FUNCTION tenancy.set_project_privacy(project uuid, is_private boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.set_privacy', set_project_privacy.project);

	IF set_project_privacy.is_private IS NULL THEN
		RAISE EXCEPTION 'is_private must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	-- What is private already stays so on any plan.
	UPDATE tenancy.projects p
	SET is_private = set_project_privacy.is_private
	WHERE p.id = set_project_privacy.project
	  AND p.is_private <> set_project_privacy.is_private;
	IF FOUND AND set_project_privacy.is_private THEN
		PERFORM tenancy._require_feature(organization, 'private_projects');
		PERFORM tenancy._mend_switchers(NULL, set_project_privacy.project);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_project_privacy(uuid, boolean) IS
	'Makes a project private, or opens it to the whole organization.';
GRANT EXECUTE ON FUNCTION tenancy.set_project_privacy(uuid, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.rotate_project_token(project uuid)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.manage', rotate_project_token.project);

	-- The digest stays, so that an old token can never be issued again.
	UPDATE tenancy.project_tokens t
	SET revoked_at = clock_timestamp(), token = NULL
	WHERE t.project_id = rotate_project_token.project
	  AND t.revoked_at IS NULL;

	RETURN tenancy._issue_project_token(rotate_project_token.project);
END
$$;
COMMENT ON FUNCTION tenancy.rotate_project_token(uuid) IS
	'Revokes a project''s token at once and returns the new one.';
GRANT EXECUTE ON FUNCTION tenancy.rotate_project_token(uuid) TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about the members of private projects
-- ---------------------------------------------------------------------

-- One gives at most one's own level, and "owner" belongs to organizations.
CREATE FUNCTION tenancy._require_grantable(project uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF level IS NULL THEN
		RAISE EXCEPTION 'level must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF level > tenancy.level_in(project) THEN
		RAISE EXCEPTION 'permission denied to grant a level above one''s own'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF level = 'owner' THEN
		RAISE EXCEPTION 'a project has no owner'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'The levels of a project are "member" and "administrator".';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_grantable(uuid, tenancy.access_level) IS
	'Raises unless the current user can give a level in a project.';

CREATE FUNCTION tenancy.add_project_member(project uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', add_project_member.project);

	IF add_project_member.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to add oneself to a project'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(organization, add_project_member.member);
	IF NOT EXISTS (SELECT FROM tenancy.projects p
				   WHERE p.id = add_project_member.project AND p.is_private) THEN
		RAISE EXCEPTION 'project is not private'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Everybody in the organization has access. Make the project private first, with tenancy.set_project_privacy().';
	END IF;
	PERFORM tenancy._require_grantable(add_project_member.project, add_project_member.level);
	IF tenancy._member_level(organization, add_project_member.member) = 'owner' THEN
		RAISE EXCEPTION 'the owner cannot be added to a project'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'The Owner has access to every project.';
	END IF;

	INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id, level)
	VALUES (add_project_member.project, add_project_member.member, organization,
			add_project_member.level)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user is a member of the project already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.set_project_member_level() to change the level.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.add_project_member(uuid, uuid, tenancy.access_level) IS
	'Lets another member of the organization into a private project.';
GRANT EXECUTE ON FUNCTION tenancy.add_project_member(uuid, uuid, tenancy.access_level) TO PUBLIC;

CREATE FUNCTION tenancy.set_project_member_level(project uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', set_project_member_level.project);

	IF set_project_member_level.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to change one''s own level'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(organization, set_project_member_level.member);
	PERFORM tenancy._refuse_owner(organization, set_project_member_level.member);
	PERFORM tenancy._require_grantable(set_project_member_level.project,
									   set_project_member_level.level);

	UPDATE tenancy.project_memberships m
	SET level = set_project_member_level.level
	WHERE m.project_id = set_project_member_level.project
	  AND m.user_id = set_project_member_level.member;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_project_member_level(uuid, uuid, tenancy.access_level) IS
	'Changes the level of another member of a project.';
GRANT EXECUTE ON FUNCTION tenancy.set_project_member_level(uuid, uuid, tenancy.access_level) TO PUBLIC;

-- False when there was nothing to end.
CREATE FUNCTION tenancy._end_project_membership(project uuid, member uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenancy.project_memberships m
	WHERE m.project_id = _end_project_membership.project
	  AND m.user_id = _end_project_membership.member;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM tenancy._mend_switchers(member, NULL);
	RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy._end_project_membership(uuid, uuid) IS
	'Ends a project membership and mends the switcher; false when there was none.';

CREATE FUNCTION tenancy.remove_project_member(project uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', project);

	IF member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'cannot remove oneself'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.leave_project().';
	END IF;
	PERFORM tenancy._refuse_owner(organization, member);
	IF NOT tenancy._end_project_membership(project, member) THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.remove_project_member(uuid, uuid) IS
	'Removes another member from a project.';
GRANT EXECUTE ON FUNCTION tenancy.remove_project_member(uuid, uuid) TO PUBLIC;

CREATE FUNCTION tenancy.leave_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	PERFORM tenancy._begin_change('project.view', project);

	IF NOT tenancy._end_project_membership(project, me) THEN
		RAISE EXCEPTION 'you have not been added to the project'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'You have access to it through the organization.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.leave_project(uuid) IS
	'Ends the current user''s own membership of a project.';
GRANT EXECUTE ON FUNCTION tenancy.leave_project(uuid) TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about invites
--
-- A row of tenancy.invites is an open invite; accepting, replacing and revoking
-- delete it.  Its token is the proof of having been invited, so that an unknown,
-- a used and a malformed one get one and the same answer.
-- ---------------------------------------------------------------------

-- member1@example.com becomes m*****1@example.com.
CREATE FUNCTION tenancy._mask_email(email text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
			   WHEN length(local) < 2 THEN '*'
			   WHEN length(local) = 2 THEN left(local, 1) || '*'
			   ELSE left(local, 1) || repeat('*', length(local) - 2) || right(local, 1)
		   END || '@' || split_part(email, '@', 2)
	FROM split_part(email, '@', 1) AS local
$$;
COMMENT ON FUNCTION tenancy._mask_email(text) IS
	'An e-mail address that its owner recognizes and nobody else learns.';

-- In seconds, since a day is not always 24 hours in the session's time zone.
CREATE FUNCTION tenancy._invite_lifetime()
RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lifetime interval;
BEGIN
	lifetime := make_interval(secs =>
		extract(epoch FROM tenancy._setting('tenancy.invite_lifetime')::interval)::double precision);
	IF lifetime <= interval '0' OR lifetime > interval '1000 years' THEN
		RAISE datetime_field_overflow;
	END IF;
	RETURN lifetime;
EXCEPTION
	WHEN data_exception THEN
		RAISE EXCEPTION 'the lifetime of invites is not valid'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Set tenancy.invite_lifetime to a time such as ''3 days''.';
END
$$;
COMMENT ON FUNCTION tenancy._invite_lifetime() IS 'How long an invite can be accepted.';

-- Invite an address, replacing its open invite.  The caller has locked the
-- organization.
CREATE FUNCTION tenancy._create_invite(organization uuid, email text,
									   OUT invite_id uuid, OUT token text, OUT expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text := tenancy._clean_email(_create_invite.email);
	created timestamptz := clock_timestamp();
BEGIN
	IF EXISTS (SELECT FROM tenancy.users u
			   WHERE u.email = address
				 AND tenancy._member_level(_create_invite.organization, u.id) IS NOT NULL) THEN
		RAISE EXCEPTION 'the address belongs to a member already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	token := tenancy._mint_credential('invite');
	expires_at := created + tenancy._invite_lifetime();

	DELETE FROM tenancy.invites i
	WHERE i.organization_id = _create_invite.organization
	  AND i.email = address;

	INSERT INTO tenancy.invites (organization_id, email, invited_by, digest, created_at, expires_at)
	VALUES (_create_invite.organization, address, tenancy.current_user_id(),
			tenancy._credential_digest(_create_invite.token, 'invite'),
			created, _create_invite.expires_at)
	RETURNING id INTO invite_id;

	PERFORM tenancy._enqueue_invite(invite_id, _create_invite.token);
	-- Where mail is sent, whoever holds the token has been sent it.  The inviter
	-- could otherwise open an account with anybody's address.
	IF tenancy._mail_is_enabled() THEN
		token := NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._create_invite(uuid, text) IS
	'Invites an address into a locked organization, replacing its open invite.';

CREATE FUNCTION tenancy.create_invite(organization uuid, email text,
									  OUT invite_id uuid, OUT token text, OUT expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('member.invite', create_invite.organization);

	SELECT i.invite_id, i.token, i.expires_at
	INTO invite_id, token, expires_at
	FROM tenancy._create_invite(create_invite.organization, create_invite.email) i;
END
$$;
COMMENT ON FUNCTION tenancy.create_invite(uuid, text) IS
	'Invites an address into an organization, replacing its open invite; the token is shown this once, and not at all where it is mailed.';
GRANT EXECUTE ON FUNCTION tenancy.create_invite(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.create_invites(organization uuid, emails text[])
RETURNS TABLE (invite_id uuid, email text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text;
BEGIN
	PERFORM tenancy._begin_change('member.invite', create_invites.organization);

	IF emails IS NULL THEN
		RAISE EXCEPTION 'emails must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF cardinality(emails) > 100 THEN
		RAISE EXCEPTION 'too many addresses'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Invite at most 100 addresses at a time.';
	END IF;

	-- An address that is given twice is invited once.
	FOR address IN
		SELECT e.address
		FROM (SELECT tenancy._clean_email(a.email) AS address, a.position
			  FROM unnest(emails) WITH ORDINALITY AS a (email, position)) e
		GROUP BY e.address
		ORDER BY min(e.position)
	LOOP
		RETURN QUERY
			SELECT i.invite_id, address, i.token, i.expires_at
			FROM tenancy._create_invite(create_invites.organization, address) i;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.create_invites(uuid, text[]) IS
	'Invites up to 100 addresses into an organization, all or none.';
GRANT EXECUTE ON FUNCTION tenancy.create_invites(uuid, text[]) TO PUBLIC;

-- May the current user revoke this invite?  The inviter may while they are a
-- member, and so may whoever manages the organization.
CREATE FUNCTION tenancy._may_revoke_invite(invite uuid)
RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT FROM tenancy.invites i
		WHERE i.id = _may_revoke_invite.invite
		  AND (tenancy.can('organization.manage', i.organization_id)
			   OR (i.invited_by = tenancy.current_user_id()
				   AND tenancy.can('member.invite', i.organization_id))))
$$;
COMMENT ON FUNCTION tenancy._may_revoke_invite(uuid) IS
	'Whether an invite exists that the current user may revoke.';

CREATE FUNCTION tenancy.revoke_invite(invite uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._require_user();

	IF tenancy._may_revoke_invite(invite) THEN
		PERFORM tenancy._lock_organization(i.organization_id)
		FROM tenancy.invites i
		WHERE i.id = revoke_invite.invite;

		DELETE FROM tenancy.invites i
		WHERE i.id = revoke_invite.invite
		  AND tenancy._may_revoke_invite(i.id);
		IF FOUND THEN
			RETURN;
		END IF;
	END IF;

	RAISE EXCEPTION 'invite does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy.revoke_invite(uuid) IS
	'Revokes an open invite; for the inviter, Administrators and the Owner.';
GRANT EXECUTE ON FUNCTION tenancy.revoke_invite(uuid) TO PUBLIC;

-- The invite that a token opens.
CREATE FUNCTION tenancy._find_invite(token text)
RETURNS tenancy.invites
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites;
BEGIN
	SELECT i.* INTO invite
	FROM tenancy.invites i
	WHERE i.digest = tenancy._credential_digest(_find_invite.token, 'invite');
	IF NOT FOUND THEN
		RAISE EXCEPTION 'invite does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	RETURN invite;
END
$$;
COMMENT ON FUNCTION tenancy._find_invite(text) IS
	'The invite that a token opens; one error for unknown, used and malformed ones.';

-- Valid up to and including the last microsecond, by the clock and not by the
-- transaction's start.
CREATE FUNCTION tenancy._require_unexpired(invite tenancy.invites)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF clock_timestamp() > invite.expires_at THEN
		RAISE EXCEPTION 'invite has expired'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Ask for a new invite.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_unexpired(tenancy.invites) IS
	'Raises when an invite has expired.';

-- May this user accept the invite?  The order of the checks is promised.
CREATE FUNCTION tenancy._check_acceptance(invite tenancy.invites, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tenancy.users u
				   WHERE u.id = _check_acceptance.member AND u.email = invite.email) THEN
		RAISE EXCEPTION 'invite is for another account'
			USING ERRCODE = 'insufficient_privilege',
				  DETAIL = format('The invite was sent to %s.', tenancy._mask_email(invite.email)),
				  HINT = 'Sign in with the account that was invited.';
	END IF;
	PERFORM tenancy._require_unexpired(invite);
	IF tenancy._member_level(invite.organization_id, member) IS NOT NULL THEN
		RAISE EXCEPTION 'user is a member of the organization already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._check_acceptance(tenancy.invites, uuid) IS
	'Raises unless a user may accept an invite: wrong account, expired, member already.';

-- Lock the organization of an invite, then read the invite again: whoever
-- comes second finds it used.
CREATE FUNCTION tenancy._lock_invite(token text)
RETURNS tenancy.invites
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites := tenancy._find_invite(token);
BEGIN
	PERFORM tenancy._lock_organization(invite.organization_id);
	RETURN tenancy._find_invite(token);
END
$$;
COMMENT ON FUNCTION tenancy._lock_invite(text) IS
	'The invite that a token opens, with its organization locked.';

-- Make the user a Member.  The caller has locked the organization and checked.
CREATE FUNCTION tenancy._join(invite tenancy.invites, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Invites of other organizations for the address survive.
	DELETE FROM tenancy.invites i WHERE i.id = invite.id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'invite does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	-- The account may just be going: wait for that instead of failing in the
	-- words of a foreign key.
	PERFORM FROM tenancy.users u
	WHERE u.id = member AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	INSERT INTO tenancy.memberships (organization_id, user_id, level, invited_by)
	VALUES (invite.organization_id, member, 'member', invite.invited_by);

	PERFORM tenancy._set_switcher(member, invite.organization_id,
								  tenancy._first_project(member, invite.organization_id));
	PERFORM tenancy._enqueue_joined(invite.organization_id, member);
END
$$;
COMMENT ON FUNCTION tenancy._join(tenancy.invites, uuid) IS
	'Makes a user a Member of the locked organization that invited them.';

CREATE FUNCTION tenancy.preview_invite(token text, OUT organization_name text, OUT masked_email text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites := tenancy._find_invite(token);
BEGIN
	PERFORM tenancy._require_unexpired(invite);

	masked_email := tenancy._mask_email(invite.email);
	organization_name := (SELECT o.name FROM tenancy.organizations o
						  WHERE o.id = invite.organization_id);
END
$$;
COMMENT ON FUNCTION tenancy.preview_invite(text) IS
	'What an invite is for; accepts nothing, and asks nobody to sign in.';
GRANT EXECUTE ON FUNCTION tenancy.preview_invite(text) TO PUBLIC;

CREATE FUNCTION tenancy.accept_invite(token text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
	invite tenancy.invites;
BEGIN
	-- Before the lock, so that the wrong account cannot hold up the organization.
	PERFORM tenancy._check_acceptance(tenancy._find_invite(token), me);

	invite := tenancy._lock_invite(token);
	-- The account may have been deleted or deactivated while waiting.
	me := tenancy._require_user();
	PERFORM tenancy._check_acceptance(invite, me);
	PERFORM tenancy._join(invite, me);
END
$$;
COMMENT ON FUNCTION tenancy.accept_invite(text) IS
	'Makes the current user a Member of the organization that invited them.';
GRANT EXECUTE ON FUNCTION tenancy.accept_invite(text) TO PUBLIC;

CREATE FUNCTION tenancy.accept_invite_as_new_user(token text, name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites;
	newcomer uuid;
BEGIN
	-- For visitors and users; a project token and a bound login role run no commands.
	IF tenancy.current_user_id() IS NOT NULL OR tenancy.current_project_id() IS NOT NULL THEN
		PERFORM tenancy._require_user();
	END IF;

	invite := tenancy._find_invite(token);
	-- Whether there is an account is said last: nobody learns it by a call that
	-- would have failed anyway.
	PERFORM tenancy._require_unexpired(invite);
	PERFORM tenancy._clean_name(name);
	PERFORM tenancy._require_no_user(invite.email);

	invite := tenancy._lock_invite(token);
	PERFORM tenancy._require_unexpired(invite);

	-- Refuses an account that has come while waiting, in the same words.
	newcomer := tenancy._create_user(invite.email, name);
	PERFORM tenancy._join(invite, newcomer);
	RETURN newcomer;
END
$$;
COMMENT ON FUNCTION tenancy.accept_invite_as_new_user(text, text) IS
	'Creates the invited user and makes them a Member; the invite''s token is all it takes.';
GRANT EXECUTE ON FUNCTION tenancy.accept_invite_as_new_user(text, text) TO PUBLIC;
-- ---------------------------------------------------------------------
-- The switchers: a user's current organization and project
--
-- They are a convenience and grant nothing; who may see what is always asked
-- anew.
-- ---------------------------------------------------------------------

-- The project to start with: open ones first, then the oldest.  One that is
-- just being deleted is passed over rather than waited for.
CREATE FUNCTION tenancy._first_project(member uuid, organization uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	project uuid;
BEGIN
	SELECT p.id INTO project
	FROM tenancy.access a
	JOIN tenancy.projects p ON p.id = a.project_id
	WHERE a.user_id = _first_project.member
	  AND a.organization_id = _first_project.organization
	ORDER BY p.is_private, p.created_at, p.id
	LIMIT 1
	FOR KEY SHARE OF p SKIP LOCKED;
	RETURN project;
END
$$;
COMMENT ON FUNCTION tenancy._first_project(uuid, uuid) IS
	'The project that a user starts with in an organization, NULL for none.';

-- Remember a choice.  The caller holds the organization and the project.
CREATE FUNCTION tenancy._set_switcher(member uuid, organization uuid, project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM tenancy.users u
	WHERE u.id = _set_switcher.member
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	INSERT INTO tenancy.user_preferences (user_id, current_organization_id, current_project_id)
	VALUES (member, organization, project)
	ON CONFLICT (user_id) DO UPDATE
	SET current_organization_id = excluded.current_organization_id,
		current_project_id = excluded.current_project_id;
END
$$;
COMMENT ON FUNCTION tenancy._set_switcher(uuid, uuid, uuid) IS
	'Remembers a user''s current organization and project.';

-- The user is out of the organization: move on to another one of theirs, if
-- this was the current one.  The others may be none of the caller's business,
-- nor whether the user is just switching to one of them, hence SKIP LOCKED:
-- nothing is learned by waiting.  A choice that is passed over and then not
-- replaced is shown to nobody: see the policy of user_preferences.
CREATE FUNCTION tenancy._leave_switcher(member uuid, organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	successor uuid;
BEGIN
	PERFORM FROM tenancy.user_preferences s
	WHERE s.user_id = _leave_switcher.member
	  AND s.current_organization_id = _leave_switcher.organization
	FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	SELECT o.id INTO successor
	FROM tenancy.access a
	JOIN tenancy.organizations o ON o.id = a.organization_id
	WHERE a.user_id = _leave_switcher.member
	  AND a.project_id IS NULL
	ORDER BY o.created_at, o.id
	LIMIT 1
	FOR KEY SHARE OF o SKIP LOCKED;

	UPDATE tenancy.user_preferences s
	SET current_organization_id = successor,
		current_project_id = tenancy._first_project(member, successor)
	WHERE s.user_id = _leave_switcher.member
	  AND s.current_organization_id = _leave_switcher.organization;
END
$$;
COMMENT ON FUNCTION tenancy._leave_switcher(uuid, uuid) IS
	'Moves the switcher of a user who is out of an organization to another one, or to none.';

-- Nobody's current project is one they can no longer see: neither that of a member
-- who lost something, nor a project that was closed; the other is NULL.  OFFSET 0
-- asks about each of these few, rather than about everybody's access.  Who is just
-- choosing another one is passed over, as above.
CREATE FUNCTION tenancy._mend_switchers(member uuid, project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE tenancy.user_preferences s
	SET current_project_id = NULL
	WHERE s.user_id IN (
		SELECT l.user_id
		FROM tenancy.user_preferences l
		WHERE (l.user_id = _mend_switchers.member OR l.current_project_id = _mend_switchers.project)
		  AND l.current_project_id IS NOT NULL
		  AND NOT EXISTS (SELECT FROM tenancy.access a
						  WHERE a.user_id = l.user_id
							AND a.project_id = l.current_project_id
						  OFFSET 0)
		FOR UPDATE SKIP LOCKED);
END
$$;
COMMENT ON FUNCTION tenancy._mend_switchers(uuid, uuid) IS
	'Clears the current project of those who can no longer see it.';

CREATE FUNCTION tenancy.switch_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	IF tenancy.level_in(organization) IS NOT NULL THEN
		-- Keeps removal and deletion out until the choice is written.
		PERFORM FROM tenancy.organizations o
		WHERE o.id = switch_organization.organization
		FOR SHARE;
		IF FOUND AND tenancy.level_in(organization) IS NOT NULL THEN
			PERFORM tenancy._set_switcher(me, organization,
										  tenancy._first_project(me, organization));
			RETURN;
		END IF;
	END IF;

	RAISE EXCEPTION 'organization does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy.switch_organization(uuid) IS
	'Makes an organization the current user''s current one.';
GRANT EXECUTE ON FUNCTION tenancy.switch_organization(uuid) TO PUBLIC;

CREATE FUNCTION tenancy.switch_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
	organization uuid;
BEGIN
	PERFORM tenancy.require('project.view', project);

	SELECT o.id INTO organization
	FROM tenancy.projects p
	JOIN tenancy.organizations o ON o.id = p.organization_id
	WHERE p.id = switch_project.project
	FOR SHARE OF o;
	PERFORM tenancy.require('project.view', project);

	-- Without a current organization there is nothing to be outside of.
	IF EXISTS (SELECT FROM tenancy.user_preferences s
			   WHERE s.user_id = me AND s.current_organization_id <> organization) THEN
		RAISE EXCEPTION 'project is outside the current organization'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.switch_organization() first.';
	END IF;
	PERFORM tenancy._set_switcher(me, organization, project);
END
$$;
COMMENT ON FUNCTION tenancy.switch_project(uuid) IS
	'Makes a project of the current organization the current user''s current one.';
GRANT EXECUTE ON FUNCTION tenancy.switch_project(uuid) TO PUBLIC;
-- ---------------------------------------------------------------------
-- Commands about user accounts, sessions and plans
--
-- For the application and the DBA, not for users; only one's own name, one's own
-- sessions and signing out are for everybody.
-- ---------------------------------------------------------------------

-- Raises when there is an account for the address.
CREATE FUNCTION tenancy._require_no_user(email text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM tenancy.users u WHERE u.email = _require_no_user.email) THEN
		RAISE EXCEPTION 'user exists already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Sign in with the account that has this e-mail address.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_no_user(text) IS
	'Raises when there is an account for an e-mail address.';

CREATE FUNCTION tenancy._create_user(email text, name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text := tenancy._clean_email(_create_user.email);
	user_id uuid;
BEGIN
	INSERT INTO tenancy.users (email, name)
	VALUES (address, tenancy._clean_name(_create_user.name))
	ON CONFLICT DO NOTHING
	RETURNING id INTO user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user exists already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Sign in with the account that has this e-mail address.';
	END IF;
	RETURN user_id;
END
$$;
COMMENT ON FUNCTION tenancy._create_user(text, text) IS 'Creates a user, asking nothing.';

CREATE FUNCTION tenancy.create_user(email text, name text)
RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._create_user(create_user.email, create_user.name)
$$;
COMMENT ON FUNCTION tenancy.create_user(text, text) IS
	'Creates a user with a verified e-mail address; for the application.';
REVOKE ALL ON FUNCTION tenancy.create_user(text, text) FROM PUBLIC;

CREATE FUNCTION tenancy.update_my_name(name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	UPDATE tenancy.users u
	SET name = tenancy._clean_name(update_my_name.name)
	WHERE u.id = me AND u.is_active;
	IF NOT FOUND THEN
		-- Or deleted, deactivated or forgotten while waiting.
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.update_my_name(text) IS
	'Changes the name of the current user, as others see it.';
GRANT EXECUTE ON FUNCTION tenancy.update_my_name(text) TO PUBLIC;

CREATE FUNCTION tenancy.set_user_active(user_id uuid, is_active boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	was_active boolean;
	forgotten timestamptz;
BEGIN
	IF set_user_active.is_active IS NULL THEN
		RAISE EXCEPTION 'is_active must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	SELECT u.is_active, u.forgotten_at INTO was_active, forgotten
	FROM tenancy.users u
	WHERE u.id = set_user_active.user_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	IF set_user_active.is_active AND forgotten IS NOT NULL THEN
		RAISE EXCEPTION 'user was forgotten'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Create a new account.';
	END IF;

	UPDATE tenancy.users u
	SET is_active = set_user_active.is_active
	WHERE u.id = set_user_active.user_id;

	-- What was signed in before does not come back with a later activation.
	-- Revoked then, too: a deactivation with an old snapshot does not see the
	-- sessions that began since.
	IF NOT (was_active AND set_user_active.is_active) THEN
		PERFORM tenancy._revoke_sessions(set_user_active.user_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_user_active(uuid, boolean) IS
	'Activates or deactivates a user; a deactivated one is nobody at once, everywhere; for the application.';
REVOKE ALL ON FUNCTION tenancy.set_user_active(uuid, boolean) FROM PUBLIC;

-- Raises while the user owns organizations, and names them.
CREATE FUNCTION tenancy._require_no_organization(member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	names text;
	total bigint;
BEGIN
	SELECT string_agg(format('"%s"', o.name), ', ' ORDER BY o.position)
			   FILTER (WHERE o.position <= 10),
		   count(*)
	INTO names, total
	FROM (SELECT o.name, row_number() OVER (ORDER BY o.name, o.id) AS position
		  FROM tenancy.organizations o
		  WHERE o.owner_id = _require_no_organization.member) o;

	IF total > 0 THEN
		RAISE EXCEPTION 'user owns an organization'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Transfer or delete first: ' || names
						 || CASE WHEN total > 10 THEN format(' and %s more', total - 10) ELSE '' END
						 || '.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_no_organization(uuid) IS
	'Raises while a user owns organizations, and says which.';

CREATE FUNCTION tenancy.delete_user(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- Memberships end, so their organizations are locked first, always in the
	-- same order.
	PERFORM tenancy._lock_organization(o.organization_id)
	FROM (SELECT m.organization_id
		  FROM tenancy.memberships m
		  WHERE m.user_id = delete_user.user_id
		  ORDER BY m.organization_id) o;

	PERFORM tenancy._erase_from_mail(u.email)
	FROM tenancy.users u
	WHERE u.id = delete_user.user_id;

	DELETE FROM tenancy.users u WHERE u.id = delete_user.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
EXCEPTION
	WHEN foreign_key_violation OR restrict_violation THEN
		-- What refers to the user: their organizations, or the application's own rows.
		PERFORM tenancy._require_no_organization(delete_user.user_id);
		RAISE EXCEPTION 'user is still in use'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Delete the rows that refer to the user first.';
END
$$;
COMMENT ON FUNCTION tenancy.delete_user(uuid) IS
	'Deletes a user who owns no organization; for the application.';
REVOKE ALL ON FUNCTION tenancy.delete_user(uuid) FROM PUBLIC;

-- The account stays, and with it who invited whom.  A random address takes the
-- place of the erased one: nobody can have taken it before.
CREATE FUNCTION tenancy.forget_user(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text;
	forgotten timestamptz;
BEGIN
	-- Those that invited the address, too: their invites go.
	PERFORM tenancy._lock_organization(o.organization_id)
	FROM (SELECT m.organization_id
		  FROM tenancy.memberships m
		  WHERE m.user_id = forget_user.user_id
		  UNION
		  SELECT i.organization_id
		  FROM tenancy.invites i
		  JOIN tenancy.users u ON u.email = i.email
		  WHERE u.id = forget_user.user_id
		  ORDER BY 1) o;

	SELECT u.email, u.forgotten_at INTO address, forgotten
	FROM tenancy.users u
	WHERE u.id = forget_user.user_id
	FOR UPDATE;
	IF forgotten IS NOT NULL THEN
		RETURN;
	END IF;
	PERFORM tenancy._require_no_organization(forget_user.user_id);
	PERFORM tenancy._refuse_later('organizations', forget_user.user_id);

	UPDATE tenancy.users u
	SET email = 'deleted-' || gen_random_uuid() || '@invalid', name = 'deleted user',
		is_active = false, forgotten_at = clock_timestamp()
	WHERE u.id = forget_user.user_id;

	DELETE FROM tenancy.invites i WHERE i.email = address;
	DELETE FROM tenancy.project_memberships m WHERE m.user_id = forget_user.user_id;
	DELETE FROM tenancy.user_preferences p WHERE p.user_id = forget_user.user_id;
	DELETE FROM tenancy.role_bindings b WHERE b.user_id = forget_user.user_id;
	-- This one raises when there is no such user.
	PERFORM tenancy.revoke_sessions(forget_user.user_id);
	PERFORM tenancy._erase_from_mail(address);
	PERFORM tenancy._erase_from_audit(forget_user.user_id, address);
END
$$;
COMMENT ON FUNCTION tenancy.forget_user(uuid) IS
	'Erases name and address of a user who owns no organization, for ever; for the application.';
REVOKE ALL ON FUNCTION tenancy.forget_user(uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.create_session(user_id uuid, lifetime interval DEFAULT '30 days')
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	secret text;
	created timestamptz := clock_timestamp();
	duration interval;
BEGIN
	IF lifetime > interval '1000 years' THEN
		RAISE EXCEPTION 'lifetime is too long'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- In seconds, since a day is not always 24 hours in the session's time zone;
	-- of whatever is far below zero, as much as every version can convert.
	duration := make_interval(secs =>
		extract(epoch FROM greatest(lifetime, interval '-1000 years'))::double precision);
	IF duration IS NULL OR duration <= interval '0' THEN
		RAISE EXCEPTION 'lifetime must be positive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- The lock keeps a deactivation, which revokes sessions, from missing this one.
	PERFORM FROM tenancy.users u
	WHERE u.id = create_session.user_id AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	secret := tenancy._mint_credential('session');
	INSERT INTO tenancy.sessions (user_id, digest, created_at, expires_at)
	VALUES (create_session.user_id, tenancy._credential_digest(secret, 'session'),
			created, created + duration);
	RETURN secret;
END
$$;
COMMENT ON FUNCTION tenancy.create_session(uuid, interval) IS
	'Starts a session and returns its token, which is shown this once; for the application.';
REVOKE ALL ON FUNCTION tenancy.create_session(uuid, interval) FROM PUBLIC;

-- All but what an old snapshot does not see.
CREATE FUNCTION tenancy._revoke_sessions(member uuid)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE tenancy.sessions s
	SET revoked_at = clock_timestamp()
	WHERE s.user_id = _revoke_sessions.member
	  AND s.revoked_at IS NULL
$$;
COMMENT ON FUNCTION tenancy._revoke_sessions(uuid) IS 'Ends the sessions of a user.';

CREATE FUNCTION tenancy.revoke_sessions(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM FROM tenancy.users u WHERE u.id = revoke_sessions.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM tenancy._revoke_sessions(revoke_sessions.user_id);
	PERFORM tenancy._refuse_later('sessions', revoke_sessions.user_id);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_sessions(uuid) IS
	'Ends all sessions of a user at once, everywhere; for the application.';
REVOKE ALL ON FUNCTION tenancy.revoke_sessions(uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_session(session uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	UPDATE tenancy.sessions s
	SET revoked_at = clock_timestamp()
	WHERE s.id = revoke_session.session
	  AND s.user_id = me
	  AND s.revoked_at IS NULL
	  AND s.expires_at > clock_timestamp();
	IF NOT FOUND THEN
		RAISE EXCEPTION 'session does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_session(uuid) IS
	'Ends one of the current user''s own sessions at once, everywhere.';
GRANT EXECUTE ON FUNCTION tenancy.revoke_session(uuid) TO PUBLIC;

-- Writes only where there is a session to revoke: an identity of another kind
-- can be forgotten in a read-only transaction and on a standby, too.
CREATE FUNCTION tenancy._revoke_current_session()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	session uuid := tenancy._session_id();
BEGIN
	IF session IS NOT NULL THEN
		UPDATE tenancy.sessions s
		SET revoked_at = clock_timestamp()
		WHERE s.id = session
		  AND s.revoked_at IS NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._revoke_current_session() IS
	'Revokes the session that one is signed in with, if any.';

-- _clear_identity() clears with a plain SET, which outlives this function and its
-- SET clause.  act_as() and authenticate() use SET LOCAL, which would not.
CREATE FUNCTION tenancy.sign_out()
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._revoke_current_session();
	SELECT tenancy._clear_identity();
$$;
COMMENT ON FUNCTION tenancy.sign_out() IS
	'Revokes the session that one is signed in with, and forgets who is acting.';
GRANT EXECUTE ON FUNCTION tenancy.sign_out() TO PUBLIC;

-- For support: the Owner has vanished.  The new one need not be a member.
CREATE FUNCTION tenancy.assign_owner(organization uuid, user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._lock_organization(organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM FROM tenancy.users u
	WHERE u.id = assign_owner.user_id AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM tenancy._change_owner(organization, user_id);
END
$$;
COMMENT ON FUNCTION tenancy.assign_owner(uuid, uuid) IS
	'Makes any active user the Owner of an organization whose Owner has vanished; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.assign_owner(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.set_plan(organization uuid, plan text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT tenancy._lock_organization(set_plan.organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM FROM tenancy.plans p
	WHERE p.name = set_plan.plan
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'plan does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	-- A downgrade takes nothing away and opens nothing; it only limits what
	-- comes later.
	UPDATE tenancy.organizations o
	SET plan = set_plan.plan
	WHERE o.id = set_plan.organization;
END
$$;
COMMENT ON FUNCTION tenancy.set_plan(uuid, text) IS
	'Puts an organization on another plan; for the billing system.';
REVOKE ALL ON FUNCTION tenancy.set_plan(uuid, text) FROM PUBLIC;

-- What a trusted role has beyond others, as GRANT and REVOKE name it.
CREATE FUNCTION tenancy._application_rights()
RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('SET ON PARAMETER tenancy.user_id'),
		   ('EXECUTE ON FUNCTION
				 tenancy.act_as(uuid, boolean),
				 tenancy.create_session(uuid, interval),
				 tenancy.create_user(text, text),
				 tenancy.delete_user(uuid),
				 tenancy.forget_user(uuid),
				 tenancy.revoke_sessions(uuid),
				 tenancy.set_user_active(uuid, boolean),
				 tenancy._stats()'),
		   ('SELECT ON tenancy.stats')
$$;
COMMENT ON FUNCTION tenancy._application_rights() IS 'What grant_application() gives and revoke_application() takes.';

-- Two tools of superusers; with their own rights only, hence no SECURITY DEFINER.
CREATE FUNCTION tenancy.grant_application(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	application text := tenancy._require_role(role);
	rights text;
BEGIN
	IF EXISTS (SELECT FROM tenancy.role_bindings b WHERE b.role_oid = grant_application.role) THEN
		RAISE EXCEPTION 'role is bound to a user'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = 'Whoever may say who is acting is not bound to one.',
				  HINT = 'Call tenancy.unbind_role() first, or use another role.';
	END IF;

	FOR rights IN SELECT * FROM tenancy._application_rights() LOOP
		EXECUTE format('GRANT %s TO %I', rights, application);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.grant_application(regrole) IS
	'Trusts a role to say who is acting, and to manage users and sessions; the first holds in every database of the server.';
REVOKE ALL ON FUNCTION tenancy.grant_application(regrole) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_application(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	application text := tenancy._require_role(role);
	rights text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_parameter_acl p, aclexplode(p.paracl) a
				   WHERE p.parname = 'tenancy.user_id' AND a.grantee = revoke_application.role)
	   AND NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
					   WHERE p.oid = 'tenancy.act_as(uuid, boolean)'::regprocedure
						 AND a.grantee = revoke_application.role) THEN
		RAISE EXCEPTION 'role has no rights of an application'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	FOR rights IN SELECT * FROM tenancy._application_rights() LOOP
		EXECUTE format('REVOKE %s FROM %I', rights, application);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_application(regrole) IS
	'Takes back what grant_application() gave; the right to say who is acting in every database of the server.';
REVOKE ALL ON FUNCTION tenancy.revoke_application(regrole) FROM PUBLIC;
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
-- ---------------------------------------------------------------------
-- Protection of an application's tables
--
-- One restrictive floor for all commands, two more for UPDATE and DELETE, and
-- permissive policies where the table has none of its own.  The floors hold
-- whatever other policies say.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._check_column(relation regclass, column_name name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kind "char";
	persistence "char";
	column_type oid;
BEGIN
	SELECT c.relkind, c.relpersistence INTO kind, persistence FROM pg_catalog.pg_class c WHERE c.oid = relation;
	IF kind IS NULL OR kind NOT IN ('r', 'p') OR persistence = 't' THEN
		RAISE EXCEPTION 'cannot protect relation "%"', relation
			USING ERRCODE = 'wrong_object_type',
				  DETAIL = 'Only ordinary and partitioned tables can be protected.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_depend d
			   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = relation AND d.deptype = 'e')
	   OR relation < 16384::oid::regclass THEN
		RAISE EXCEPTION 'cannot protect relation "%"', relation
			USING ERRCODE = 'wrong_object_type', DETAIL = 'It belongs to the system or to an extension.';
	END IF;
	SELECT a.atttypid INTO column_type FROM pg_catalog.pg_attribute a
	WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped;
	IF column_type IS NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', column_name, relation
			USING ERRCODE = 'undefined_column';
	END IF;
	IF column_type <> 'pg_catalog.uuid'::pg_catalog.regtype THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not of type uuid', column_name, relation
			USING ERRCODE = 'datatype_mismatch';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._check_column(regclass, name) IS 'Raises unless the relation can be protected by that column.';

CREATE FUNCTION tenancy._is_distributed(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_is_distributed';
COMMENT ON FUNCTION tenancy._is_distributed(regclass) IS 'Is it a table of Citus''s?';

-- On a Citus cluster the rows that foreign keys point to are on every node.
CREATE FUNCTION tenancy._target(relation regclass, kind text) RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	-- a partition that has just been made is not distributed yet
	SELECT coalesce(CASE WHEN tenancy._is_distributed(relation)
							  OR EXISTS (SELECT FROM pg_partition_ancestors(relation) a WHERE tenancy._is_distributed(a)) THEN to_regclass('tenancy_citus.' || kind || 's') END,
					('tenancy.' || kind || 's')::regclass)
$$;
COMMENT ON FUNCTION tenancy._target(regclass, text) IS 'What the column of a protected table refers to: projects or organizations.';

-- NOT NULL, foreign key and index: made where missing, with a NOTICE each.
CREATE FUNCTION tenancy._prepare_column(relation regclass, column_name name, target regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	attribute smallint;
	not_null boolean;
	key record;
BEGIN
	SELECT a.attnum, a.attnotnull INTO attribute, not_null FROM pg_catalog.pg_attribute a
	WHERE a.attrelid = relation AND a.attname = column_name;
	-- since 18, NOT NULL may be there without its rows having been looked at
	IF NOT not_null OR EXISTS (SELECT FROM pg_catalog.pg_constraint c
							   WHERE c.conrelid = relation AND c.contype = 'n' AND c.conkey = ARRAY[attribute]
								 AND NOT c.convalidated) THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, column_name);
		RAISE NOTICE 'column "%" of table "%" is now NOT NULL', column_name, relation;
	END IF;
	-- and a key may be there that is not enforced, which is none
	SELECT c.conname, c.convalidated INTO key FROM pg_catalog.pg_constraint c
	WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = target AND c.conkey = ARRAY[attribute]
	  AND pg_catalog.pg_get_constraintdef(c.oid) !~ ' NOT ENFORCED$'
	ORDER BY c.convalidated DESC LIMIT 1;
	IF NOT FOUND THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s ON DELETE CASCADE',
								  relation, column_name, target);
		RAISE NOTICE 'column "%" of table "%" now references "%"', column_name, relation, target;
	ELSIF NOT key.convalidated THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', relation, key.conname);
		RAISE NOTICE 'constraint "%" of table "%" is now valid', key.conname, relation;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
				   JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
				   JOIN pg_catalog.pg_am a ON a.oid = c.relam
				   WHERE i.indrelid = relation AND i.indkey[0] = attribute AND a.amname = 'btree'
					 AND i.indisvalid AND i.indpred IS NULL) THEN
		EXECUTE pg_catalog.format('CREATE INDEX ON %s (%I)', relation, column_name);
		RAISE NOTICE 'table "%" now has an index on column "%"', relation, column_name;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._prepare_column(regclass, name, regclass) IS 'Makes what a protected column needs.';

-- What protect() writes, and what lint() expects: one row a policy, in the order
-- of their making.  reading, inserting, changing: SQL expressions over the column.
CREATE FUNCTION tenancy._policies(
	reading text, inserting text, changing text,
	OUT policy name, OUT permissive boolean, OUT command "char", OUT condition text, OUT new_row text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 7 SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('tenancy_floor'::name, false, '*'::"char", reading, inserting),
		   ('tenancy_floor_update', false, 'w', changing, changing),
		   ('tenancy_floor_delete', false, 'd', changing, NULL),
		   ('tenancy_select', true, 'r', reading, NULL),
		   ('tenancy_insert', true, 'a', NULL, inserting),
		   ('tenancy_update', true, 'w', changing, changing),
		   ('tenancy_delete', true, 'd', changing, NULL)
$$;
COMMENT ON FUNCTION tenancy._policies(text, text, text) IS 'The policies of a protected table.';

CREATE FUNCTION tenancy._policy_names() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.array_agg(p.policy) FROM tenancy._policies(NULL, NULL, NULL) p
$$;
COMMENT ON FUNCTION tenancy._policy_names() IS 'The policies that are ours on a protected table.';

CREATE FUNCTION tenancy._drop_policies(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy name;
BEGIN
	FOR policy IN SELECT p.polname FROM pg_catalog.pg_policy p
				  WHERE p.polrelid = relation AND p.polname = ANY (tenancy._policy_names()) LOOP
		EXECUTE pg_catalog.format('DROP POLICY %I ON %s', policy, relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._drop_policies(regclass) IS 'Takes our policies off one table.';

CREATE FUNCTION tenancy._create_policies(relation regclass, reading text, inserting text, changing text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ours record;
BEGIN
	PERFORM tenancy._drop_policies(relation);
	FOR ours IN SELECT * FROM tenancy._policies(reading, inserting, changing) LOOP
		IF ours.permissive
		   AND EXISTS (SELECT FROM pg_catalog.pg_policy p
					   WHERE p.polrelid = relation AND p.polpermissive AND p.polname <> ALL (tenancy._policy_names())
						 AND p.polcmd IN ('*', ours.command)) THEN
			RAISE NOTICE 'table "%" keeps its own policies, policy "%" is not created', relation, ours.policy
				USING DETAIL = 'Its own policies can only narrow what tenancy allows.';
		ELSE
			EXECUTE pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO PUBLIC', ours.policy, relation,
					CASE WHEN ours.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
					CASE ours.command WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
									  WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END)
				|| COALESCE(' USING (' || ours.condition || ')', '')
				|| COALESCE(' WITH CHECK (' || ours.new_row || ')', '');
		END IF;
	END LOOP;
	EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
END
$$;
COMMENT ON FUNCTION tenancy._create_policies(regclass, text, text, text) IS 'Puts our policies on one table.';

-- These rights reach around row security; MAINTAIN came with 17.
CREATE FUNCTION tenancy._revoke_rights(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	holder record;
BEGIN
	FOR holder IN
		SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END AS name,
			   CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS role,
			   pg_catalog.string_agg(DISTINCT a.privilege_type, ', ') AS rights
		FROM pg_catalog.pg_class c,
			(SELECT r.relacl FROM pg_catalog.pg_class r WHERE r.oid = relation
			 UNION ALL
			 SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = relation) acl,
			pg_catalog.aclexplode(acl.relacl) a
		WHERE c.oid = relation AND a.grantee <> c.relowner
		  AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
		GROUP BY a.grantee
		ORDER BY a.grantee
	LOOP
		-- of the columns too; with what the holder has handed on
		EXECUTE pg_catalog.format('REVOKE %s ON %s FROM %s CASCADE', holder.rights, relation, holder.role);
		RAISE NOTICE 'rights on table "%" revoked from %', relation, holder.name
			USING DETAIL = pg_catalog.format('Row security does not govern %s.', holder.rights);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._revoke_rights(regclass) IS 'Revokes the rights that row security does not govern.';

-- The expressions of a kind of protection, letter by letter as pg_get_expr() gives
-- them back under this search_path.
CREATE FUNCTION tenancy._policy_expressions(
	kind text, column_name name, visible_to tenancy.access_level, editable_by tenancy.access_level,
	OUT reading text, OUT inserting text, OUT changing text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_view(%I)', column_name)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, visible_to) END,
		   CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_write(%I, %L::tenancy.access_level)', column_name, editable_by)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, editable_by) END,
		   CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_edit(%I, %L::tenancy.access_level)', column_name, editable_by)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, editable_by) END;
$$;
COMMENT ON FUNCTION tenancy._policy_expressions(text, name, tenancy.access_level, tenancy.access_level) IS 'The expressions of our policies.';

CREATE VIEW tenancy.protected_tables AS
	SELECT DISTINCT p.polrelid::pg_catalog.regclass AS relation,
		   CASE WHEN f.polwithcheck OPERATOR(pg_catalog.~) '^("?tenancy"?[.])?"?can_write"?[(]' THEN 'project'::text ELSE 'organization'::text END AS kind,
		   a.attname AS column_name,
		   COALESCE(pg_catalog.substring(f.polqual, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'), 'member')::tenancy.access_level AS visible_to,
		   pg_catalog.substring(f.polwithcheck, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$')::tenancy.access_level AS editable_by
	FROM pg_catalog.pg_policy p
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) p.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refobjid OPERATOR(pg_catalog.=) p.polrelid AND d.refobjsubid OPERATOR(pg_catalog.>) 0
	JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) p.polrelid
		AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid
	CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS polqual,
							   pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS polwithcheck) f
	WHERE p.polname OPERATOR(pg_catalog.=) 'tenancy_floor' AND NOT p.polpermissive;
COMMENT ON VIEW tenancy.protected_tables IS 'The protected tables, read off the catalogs.';

-- The answers of these are as of now, whatever the transaction's snapshot.
CREATE FUNCTION tenancy._tree(relation regclass) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_tree';
COMMENT ON FUNCTION tenancy._tree(regclass) IS 'Locks a table and everything below it: these.';

CREATE FUNCTION tenancy._parents(relation regclass) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_parents';
COMMENT ON FUNCTION tenancy._parents(regclass) IS 'The tables that a table is part of, as of now.';

CREATE FUNCTION tenancy._protection(relation regclass) RETURNS tenancy.protected_tables
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_protection';
COMMENT ON FUNCTION tenancy._protection(regclass) IS 'How a table is protected as of now, or NULL.';

CREATE FUNCTION tenancy._parents_outside(
	tree regclass[], OUT part regclass, OUT parent regclass,
	OUT kind text, OUT column_name name, OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m, p, t.kind, t.column_name, t.visible_to, t.editable_by
	FROM pg_catalog.unnest(tree) m, pg_catalog.unnest(tenancy._parents(m)) p, tenancy._protection(p) t
	WHERE p <> ALL (tree)
$$;
COMMENT ON FUNCTION tenancy._parents_outside(regclass[]) IS 'What else the tables of a tree are part of, and how that is protected, if it is.';

-- A part is as protected as all that it is part of.
CREATE FUNCTION tenancy._check_parents(tree regclass[], kind text, column_name name,
									   visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	other record;
	beside regclass;
BEGIN
	SELECT * INTO other FROM tenancy._parents_outside(tree) o
	WHERE (o.kind, o.column_name, o.visible_to, o.editable_by) IS DISTINCT FROM (kind, column_name, visible_to, editable_by) LIMIT 1;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF other.kind IS NULL THEN
		RAISE EXCEPTION 'cannot protect relation "%"', other.part
			USING ERRCODE = 'wrong_object_type',
				  DETAIL = 'It is part of a table that is not protected, which would show its rows.',
				  HINT = 'Protect the table at the top.';
	END IF;
	SELECT p INTO beside FROM pg_catalog.unnest(tenancy._parents(other.part)) p, tenancy._protection(p) t
	WHERE p = ANY (tree) OR (t.kind, t.column_name, t.visible_to, t.editable_by) = (kind, column_name, visible_to, editable_by) LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation "%" is a partition of a protected table', other.part
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Protect the partitioned table, or detach the partition.';
	END IF;
	RAISE EXCEPTION 'relation "%" is part of two tables that are protected differently', other.part
		USING ERRCODE = 'object_not_in_prerequisite_state',
			  DETAIL = pg_catalog.format('They are "%s" and "%s".', beside, other.parent),
			  HINT = 'Protect both alike before it becomes part of both; ALTER TABLE ... NO INHERIT takes it out of one.';
END
$$;
COMMENT ON FUNCTION tenancy._check_parents(regclass[], text, name, tenancy.access_level, tenancy.access_level) IS
	'Raises if a table of a tree is also part of one that is not protected like that.';

CREATE FUNCTION tenancy._protect(relation regclass, kind text, column_name name,
								 visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	clauses record;
	tree regclass[];
	part regclass;
BEGIN
	IF relation IS NULL OR column_name IS NULL OR visible_to IS NULL OR editable_by IS NULL THEN
		RAISE EXCEPTION 'relation, column and levels must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM tenancy._check_column(relation, column_name);
	tree := tenancy._tree(relation);
	PERFORM tenancy._check_parents(tree, kind, column_name, visible_to, editable_by);
	SELECT * INTO clauses FROM tenancy._policy_expressions(kind, column_name, visible_to, editable_by);
	FOREACH part IN ARRAY tree LOOP
		PERFORM tenancy._check_column(part, column_name);
		PERFORM tenancy._prepare_column(part, column_name, tenancy._target(part, kind));
		PERFORM tenancy._create_policies(part, clauses.reading, clauses.inserting, clauses.changing);
		PERFORM tenancy._revoke_rights(part);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._protect(regclass, text, name, tenancy.access_level, tenancy.access_level) IS 'Protects a table and everything below it.';

CREATE FUNCTION tenancy.protect(relation regclass, project_column name DEFAULT 'project_id',
								editable_by tenancy.access_level DEFAULT 'member') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._protect(relation, 'project', project_column, 'member', editable_by);
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
				   WHERE a.attrelid = relation AND a.attname = project_column AND a.atthasdef) THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT tenancy.current_project_id()',
								  relation, project_column);
		RAISE NOTICE 'column "%" of table "%" now defaults to the current project', project_column, relation;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect(regclass, name, tenancy.access_level) IS 'Makes each row of a table belong to a project, for everybody who queries it.';

CREATE FUNCTION tenancy.protect_by_organization(relation regclass, organization_column name DEFAULT 'organization_id',
												visible_to tenancy.access_level DEFAULT 'member',
												editable_by tenancy.access_level DEFAULT 'administrator') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._protect(relation, 'organization', organization_column, visible_to, editable_by);
END
$$;
COMMENT ON FUNCTION tenancy.protect_by_organization(regclass, name, tenancy.access_level, tenancy.access_level) IS 'Makes each row of a table belong to an organization.';

CREATE FUNCTION tenancy.unprotect(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = relation AND p.polname = 'tenancy_floor') THEN
		RAISE EXCEPTION 'relation "%" is not protected', relation USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	part := (SELECT o.part FROM tenancy._parents_outside(tenancy._tree(relation)) o WHERE o.kind IS NOT NULL LIMIT 1);
	IF part IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" is a partition of a protected table', part
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Unprotect the partitioned table, or detach the partition.';
	END IF;
	PERFORM tenancy._unprotect(relation);
END
$$;
COMMENT ON FUNCTION tenancy.unprotect(regclass) IS 'Takes protection off a table and its partitions; every role with the right to read it reads all rows again.';

CREATE FUNCTION tenancy._unprotect(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
BEGIN
	FOREACH part IN ARRAY tenancy._tree(relation) LOOP
		PERFORM tenancy._drop_policies(part);
		-- policies of the table's own go on to count
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = part) THEN
			EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', part);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._unprotect(regclass) IS 'Takes protection off a table and everything below it.';

CREATE FUNCTION tenancy._new_parts(command pg_ddl_command) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_new_parts';
COMMENT ON FUNCTION tenancy._new_parts(pg_ddl_command) IS 'The tables that a command made, or made part of another.';

-- Partitions that appear below a protected table are protected with it.
CREATE FUNCTION tenancy._protect_new_partitions() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
	top record;
	own tenancy.protected_tables;
BEGIN
	-- most commands have to do with no part, and need no library
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() c
				   JOIN pg_catalog.pg_inherits i ON c.objid IN (i.inhrelid, i.inhparent)) THEN
		RETURN;
	END IF;
	FOR part IN SELECT p FROM pg_catalog.pg_event_trigger_ddl_commands() c, pg_catalog.unnest(tenancy._new_parts(c.command)) p LOOP
		SELECT * INTO top FROM tenancy._parents_outside(ARRAY[part]) o WHERE o.kind IS NOT NULL LIMIT 1;
		CONTINUE WHEN NOT FOUND;
		own := tenancy._protection(part);
		IF (own.kind, own.column_name, own.visible_to, own.editable_by)
		   IS DISTINCT FROM (top.kind, top.column_name, top.visible_to, top.editable_by) THEN
			PERFORM tenancy._protect(part, top.kind, top.column_name, top.visible_to, top.editable_by);
		ELSE
			-- as a shard is when Citus moves it: nothing is missing, whatever its key points to
			PERFORM tenancy._check_parents(tenancy._tree(part), top.kind, top.column_name, top.visible_to, top.editable_by);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._protect_new_partitions() IS 'Event trigger: protects partitions as they appear.';

CREATE EVENT TRIGGER tenancy_protect_partitions ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE TABLE AS', 'CREATE SCHEMA',
				 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE')
	EXECUTE FUNCTION tenancy._protect_new_partitions();
-- also where a tool that replicates commands says that it does
ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER tenancy_protect_partitions IS 'Protects partitions of protected tables as they are created or attached.';

REVOKE ALL ON tenancy.protected_tables FROM PUBLIC;
GRANT SELECT ON tenancy.protected_tables TO PUBLIC;
-- ---------------------------------------------------------------------
-- Views for applications and reports.  They run with the rights of whoever
-- asks, so the policies of the tables filter below everything else.
-- ---------------------------------------------------------------------

CREATE VIEW tenancy.members WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, u.id AS user_id, u.email, u.name,
		   'owner'::tenancy.access_level AS level, o.created_at AS joined_at, NULL::uuid AS invited_by,
		   NULL::tenancy.name AS invited_by_name
	FROM tenancy.organizations o
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) o.owner_id
	WHERE u.is_active
UNION ALL
	SELECT m.organization_id, u.id, u.email, u.name, m.level, m.joined_at, m.invited_by, i.name
	FROM tenancy.memberships m
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) m.user_id
	LEFT JOIN tenancy.users i ON i.id OPERATOR(pg_catalog.=) m.invited_by
	WHERE u.is_active;
COMMENT ON VIEW tenancy.members IS 'Every active member of one''s organizations, the Owner included.';

CREATE VIEW tenancy.my_organizations WITH (security_invoker = true) AS
	SELECT o.id, o.name, tenancy.level_in(o.id) AS level, o.plan, o.notify_on_join,
		   (SELECT pg_catalog.count(*) FROM tenancy.members m
			WHERE m.organization_id OPERATOR(pg_catalog.=) o.id) AS member_count
	FROM tenancy.organizations o;
COMMENT ON VIEW tenancy.my_organizations IS 'The organizations of the current user.';

CREATE VIEW tenancy.my_projects WITH (security_invoker = true) AS
	SELECT p.id, p.organization_id, p.name, p.is_private, tenancy.level_in(p.id) AS level, t.token
	FROM tenancy.projects p
	LEFT JOIN tenancy.project_tokens t ON t.project_id OPERATOR(pg_catalog.=) p.id AND t.revoked_at IS NULL;
COMMENT ON VIEW tenancy.my_projects IS 'The projects that the current user can reach, with their live tokens.';

CREATE VIEW tenancy.project_members WITH (security_invoker = true) AS
	SELECT pm.project_id, pm.user_id, u.email, u.name, pm.level, pm.created_at AS added_at
	FROM tenancy.project_memberships pm
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) pm.user_id
	WHERE u.is_active;
COMMENT ON VIEW tenancy.project_members IS 'Who was added to the projects that the current user can reach.';

CREATE VIEW tenancy.pending_invites WITH (security_invoker = true) AS
	SELECT i.id, i.organization_id, i.email, i.invited_by, i.created_at, i.expires_at
	FROM tenancy.invites i
	WHERE i.expires_at OPERATOR(pg_catalog.>=) pg_catalog.clock_timestamp();
COMMENT ON VIEW tenancy.pending_invites IS 'Invites that can still be accepted, as far as the current user may see them.';

CREATE VIEW tenancy.my_sessions WITH (security_invoker = true) AS
	SELECT s.id, s.created_at, s.expires_at,
		   s.id OPERATOR(pg_catalog.=) tenancy._session_id() IS TRUE AS is_current
	FROM tenancy.sessions s
	WHERE s.user_id OPERATOR(pg_catalog.=) tenancy.current_user_id()
	  AND s.revoked_at IS NULL
	  AND s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp();
COMMENT ON VIEW tenancy.my_sessions IS 'The sessions in which the current user can act.';

-- Used is what the current user sees of it: a count of all projects would tell
-- how many are hidden.
CREATE VIEW tenancy.plan_features WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, o.plan, f.feature, f.included, f.used
	FROM tenancy.organizations o
	JOIN tenancy.plans p ON p.name OPERATOR(pg_catalog.=) o.plan
	CROSS JOIN LATERAL (VALUES
		('multiple_organizations', p.multiple_organizations,
		 (SELECT pg_catalog.count(*) FROM tenancy.organizations x)),
		('multiple_projects', p.multiple_projects,
		 (SELECT pg_catalog.count(*) FROM tenancy.projects x
		  WHERE x.organization_id OPERATOR(pg_catalog.=) o.id)),
		('private_projects', p.private_projects,
		 (SELECT pg_catalog.count(*) FROM tenancy.projects x
		  WHERE x.organization_id OPERATOR(pg_catalog.=) o.id AND x.is_private)))
		AS f (feature, included, used);
COMMENT ON VIEW tenancy.plan_features IS 'What the plans of one''s organizations include, and how much of it the current user sees used.';

CREATE VIEW tenancy.permission_matrix AS
	SELECT m.permission::tenancy.permission AS permission, m.target, m.member,
		   m.administrator, m.owner, m.project_administrator
	FROM tenancy._permission_matrix() m;
COMMENT ON VIEW tenancy.permission_matrix IS 'Which level has which permission.';

REVOKE ALL ON tenancy.members, tenancy.my_organizations, tenancy.my_projects,
	tenancy.project_members, tenancy.pending_invites, tenancy.my_sessions, tenancy.plan_features,
	tenancy.permission_matrix FROM PUBLIC;
GRANT SELECT ON tenancy.members, tenancy.my_organizations, tenancy.my_projects,
	tenancy.project_members, tenancy.pending_invites, tenancy.my_sessions, tenancy.plan_features,
	tenancy.permission_matrix TO PUBLIC;
-- ---------------------------------------------------------------------
-- Reports: protected tables with names beside their ids, and views over the
-- tables of the extension itself
--
-- All of them run with the rights of whoever asks and filter nothing themselves:
-- the policies below do.  So no security_barrier, which would only keep conditions
-- from the indexes.  A reporting view is one that reads one of the two views of names
-- and one table; nothing is written down about it, so nothing is left when it goes.
-- ---------------------------------------------------------------------

CREATE VIEW tenancy._organization_names WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, o.name AS organization_name
	FROM tenancy.organizations o;
COMMENT ON VIEW tenancy._organization_names IS 'What reporting views show of an organization.';

CREATE VIEW tenancy._project_names WITH (security_invoker = true) AS
	SELECT p.id AS project_id, p.name AS project_name, o.name AS organization_name
	FROM tenancy.projects p
	LEFT JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) p.organization_id;
COMMENT ON VIEW tenancy._project_names IS 'What reporting views show of a project.';

-- Folded when a query is planned, unlike a function that tests one name.
CREATE FUNCTION tenancy._secret_names() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '(^|_)(token|secret|password|passwd|passphrase|api_?key|private_?key|credentials?|ssn|iban|card_?number)($|_)'
$$;
COMMENT ON FUNCTION tenancy._secret_names() IS 'A regular expression for names of columns that hold secrets.';

-- The columns that a report on a table has, in their order, and the join for names.
CREATE FUNCTION tenancy._report(source regclass, OUT columns name[], OUT names text[], OUT names_of text, OUT join_column name)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
			WHERE a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname !~* tenancy._secret_names()),
		   CASE t.kind WHEN 'project' THEN '{project_name,organization_name}'::text[] ELSE '{organization_name}' END,
		   CASE t.kind WHEN 'project' THEN 'project' ELSE 'organization' END, t.column_name
	FROM tenancy.protected_tables t
	WHERE t.relation = source
	LIMIT 1
$$;
COMMENT ON FUNCTION tenancy._report(regclass) IS 'What a report on a protected table shows.';

-- Names come first: what the table gets later can only be added at the end.
CREATE FUNCTION tenancy._report_query(source regclass) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	report record;
	taken name;
BEGIN
	SELECT * INTO report FROM tenancy._report(source);
	IF report.names_of IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	taken := (SELECT c FROM unnest(report.columns) c WHERE c = ANY (report.names) LIMIT 1);
	IF taken IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" is named like one that the view adds', taken, source
			USING ERRCODE = 'duplicate_column', HINT = 'Rename the column, or write the view by hand.';
	END IF;
	-- A left join on a key is left out of a plan that needs no names.
	RETURN format('SELECT %s, %s FROM %s s LEFT JOIN tenancy._%s_names n ON n.%s_id OPERATOR(pg_catalog.=) s.%I',
				  (SELECT string_agg(format('n.%I', c.name), ', ' ORDER BY c.place) FROM unnest(report.names) WITH ORDINALITY c (name, place)),
				  (SELECT string_agg(format('s.%I', c.name), ', ' ORDER BY c.place) FROM unnest(report.columns) WITH ORDINALITY c (name, place)),
				  source, report.names_of, report.names_of, report.join_column);
END
$$;
COMMENT ON FUNCTION tenancy._report_query(regclass) IS 'The query of a report on a protected table; raises when there can be none.';

CREATE VIEW tenancy.reporting_views AS
	SELECT v.oid::pg_catalog.regclass AS view, s.oid::pg_catalog.regclass AS source,
		   CASE WHEN w.names_of IS NULL THEN 'the source is not protected'
				WHEN NOT COALESCE('security_invoker=true' OPERATOR(pg_catalog.=) ANY (v.reloptions), false)
					THEN 'it does not run with the rights of whoever asks'
				WHEN ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
						   WHERE a.attrelid OPERATOR(pg_catalog.=) v.oid AND a.attnum OPERATOR(pg_catalog.>) 0
						   ORDER BY a.attnum)
					 OPERATOR(pg_catalog.<>) (w.names OPERATOR(pg_catalog.||) w.columns::text[])
					THEN 'the columns of the source are others' END AS problem
	FROM pg_catalog.pg_class v
	JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	CROSS JOIN LATERAL (
		SELECT pg_catalog.min(d.refobjid::bigint) FILTER (WHERE NOT x.names) AS source,
			   pg_catalog.count(DISTINCT d.refobjid) FILTER (WHERE NOT x.names) AS sources,
			   COALESCE(pg_catalog.bool_or(x.names), false) AS named
		FROM pg_catalog.pg_depend d
		CROSS JOIN LATERAL (SELECT d.refobjid OPERATOR(pg_catalog.=) ANY (ARRAY['tenancy._project_names'::pg_catalog.regclass::oid,
																			   'tenancy._organization_names'::pg_catalog.regclass::oid])) x (names)
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		  AND d.objid OPERATOR(pg_catalog.=) r.oid
		  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		  AND d.refobjid OPERATOR(pg_catalog.<>) v.oid) f
	JOIN pg_catalog.pg_class s ON s.oid OPERATOR(pg_catalog.=) f.source::oid
	LEFT JOIN LATERAL tenancy._report(s.oid::pg_catalog.regclass) w ON true
	WHERE v.relkind OPERATOR(pg_catalog.=) 'v' AND f.named AND f.sources OPERATOR(pg_catalog.=) 1
	  AND s.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::"char"[]);
COMMENT ON VIEW tenancy.reporting_views IS 'The views that create_reporting_view() made, read off the catalogs, and what is wrong with them.';

CREATE FUNCTION tenancy._require_owner(relation regclass, word text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of % %', word, relation
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_owner(regclass, text) IS 'Raises unless the caller owns a relation.';

-- The path is ours, so a name by itself is one beside the table.
CREATE FUNCTION tenancy._view_name(source regclass, view_name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts text[] := parse_ident(view_name);
BEGIN
	IF cardinality(parts) > 2 THEN
		RAISE EXCEPTION 'invalid name of a view' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN CASE WHEN cardinality(parts) = 2 THEN format('%I.%I', parts[1], parts[2])
				ELSE (SELECT format('%I.%I', n.nspname, parts[1]) FROM pg_class c
					  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source) END;
END
$$;
COMMENT ON FUNCTION tenancy._view_name(regclass, text) IS 'The name of a view to be made for a table, with its schema.';

CREATE FUNCTION tenancy.create_reporting_view(source regclass, view_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
	query text;
	hidden text;
BEGIN
	IF source IS NULL OR view_name IS NULL THEN
		RAISE EXCEPTION 'source and view name must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	name := tenancy._view_name(source, view_name);
	query := tenancy._report_query(source);
	PERFORM tenancy._require_owner(source, 'table');
	EXECUTE format('CREATE VIEW %s WITH (security_invoker = true) AS %s', name, query);
	-- the table's owner's, like the table, whoever calls
	EXECUTE format('ALTER VIEW %s OWNER TO %I', name,
				   (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = source));
	hidden := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
			   WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped AND a.attname ~* tenancy._secret_names());
	IF hidden IS NOT NULL THEN
		RAISE NOTICE 'view "%" leaves out what is named like a secret: %', name, hidden;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_reporting_view(regclass, text) IS
	'Makes a view of a protected table with the names of project and organization, without secrets; for the table''s owner.';

CREATE FUNCTION tenancy.refresh_reporting_view(view regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	source regclass := (SELECT r.source FROM tenancy.reporting_views r WHERE r.view = refresh_reporting_view.view);
	name text := view::text;
	options text := (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
					 FROM pg_class c, unnest(c.reloptions) o
					 WHERE c.oid = view AND split_part(o, '=', 1) <> 'security_invoker');
	definition text;
	shown text[];
	wanted text[];
	command text;
	again text[];
BEGIN
	IF view IS NULL THEN
		RAISE EXCEPTION 'view must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF source IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not a reporting view', view USING ERRCODE = 'wrong_object_type';
	END IF;
	-- with what an administrator has set on it, such as security_barrier
	definition := format('VIEW %s WITH (%s) AS %s', name, concat_ws(', ', 'security_invoker = true', options), tenancy._report_query(source));
	PERFORM tenancy._require_owner(view, 'view');
	shown := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
	wanted := (SELECT r.names || r.columns::text[] FROM tenancy._report(source) r);
	IF shown = wanted[1 : cardinality(shown)] THEN
		EXECUTE 'CREATE OR REPLACE ' || definition;
		RETURN;
	END IF;

	-- A column was renamed, or is one to leave out by now, which no view takes: it is
	-- made anew, unless something depends on it, and gets back what it had.
	again := (SELECT ARRAY[format('ALTER VIEW %s OWNER TO %I', name, pg_get_userbyid(c.relowner)),
						   format('COMMENT ON VIEW %s IS %L', name, obj_description(c.oid, 'pg_class'))]
					 || ARRAY(SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, name,
											CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
											CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
							  FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
			  FROM pg_class c WHERE c.oid = view);
	FOREACH command IN ARRAY ARRAY['DROP VIEW ' || name, 'CREATE ' || definition] || again LOOP
		EXECUTE command;
	END LOOP;
	RAISE NOTICE 'view "%" was made anew', name USING DETAIL = 'Rights on single columns of it are gone.';
END
$$;
COMMENT ON FUNCTION tenancy.refresh_reporting_view(regclass) IS
	'Takes into a reporting view what has become of the columns of its table; for its owner.';

-- ---------------------------------------------------------------------
-- Ready-made ones: the tables of the extension, by name, without tokens
-- ---------------------------------------------------------------------

CREATE VIEW tenancy.report_organizations WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, o.name AS organization_name, o.plan, w.name AS owner_name,
		   (SELECT pg_catalog.count(*) FROM tenancy.members m
			WHERE m.organization_id OPERATOR(pg_catalog.=) o.id) AS member_count,
		   (SELECT pg_catalog.count(*) FROM tenancy.projects p
			WHERE p.organization_id OPERATOR(pg_catalog.=) o.id) AS project_count,
		   o.created_at
	FROM tenancy.organizations o
	LEFT JOIN tenancy.users w ON w.id OPERATOR(pg_catalog.=) o.owner_id;
COMMENT ON VIEW tenancy.report_organizations IS 'Report: one''s organizations, and how many members and visible projects they have.';

CREATE VIEW tenancy.report_members WITH (security_invoker = true) AS
	SELECT m.organization_id, o.name AS organization_name, m.user_id, m.name AS user_name, m.email, m.level,
		   m.joined_at, m.invited_by_name
	FROM tenancy.members m
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) m.organization_id;
COMMENT ON VIEW tenancy.report_members IS 'Report: the active members of one''s organizations, with their levels.';

CREATE VIEW tenancy.report_projects WITH (security_invoker = true) AS
	SELECT p.id AS project_id, p.name AS project_name, p.organization_id, o.name AS organization_name, p.is_private,
		   (SELECT pg_catalog.count(*) FROM tenancy.project_members m
			WHERE m.project_id OPERATOR(pg_catalog.=) p.id) AS added_count,
		   p.created_at
	FROM tenancy.projects p
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) p.organization_id;
COMMENT ON VIEW tenancy.report_projects IS 'Report: the projects that one can reach, whether they are private, and how many were added to them.';

CREATE VIEW tenancy.report_invites WITH (security_invoker = true) AS
	SELECT i.id AS invite_id, i.organization_id, o.name AS organization_name, i.email, u.name AS invited_by_name,
		   i.created_at, i.expires_at,
		   i.expires_at OPERATOR(pg_catalog.>=) pg_catalog.clock_timestamp() AS is_pending
	FROM tenancy.invites i
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) i.organization_id
	LEFT JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) i.invited_by;
COMMENT ON VIEW tenancy.report_invites IS 'Report: invites that the current user may see, pending and expired.';

REVOKE ALL ON tenancy._organization_names, tenancy._project_names, tenancy.reporting_views, tenancy.report_organizations,
	tenancy.report_members, tenancy.report_projects, tenancy.report_invites FROM PUBLIC;
GRANT SELECT ON tenancy._organization_names, tenancy._project_names, tenancy.reporting_views, tenancy.report_organizations,
	tenancy.report_members, tenancy.report_projects, tenancy.report_invites TO PUBLIC;
-- ---------------------------------------------------------------------
-- Bulk loading: COPY, which PostgreSQL refuses on a table with row security
--
-- Into a view it may, if a trigger takes the rows.  src/ingest.c inserts them into
-- the table with the rights of whoever copies, so that all its policies hold.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._ingest() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_ingest';
COMMENT ON FUNCTION tenancy._ingest() IS 'Puts the new rows of an ingest view into its table, a thousand at once.';

CREATE VIEW tenancy.ingest_views AS
	SELECT v.oid::pg_catalog.regclass AS view, s.oid::pg_catalog.regclass AS source
	FROM pg_catalog.pg_trigger t
	JOIN pg_catalog.pg_class v ON v.oid OPERATOR(pg_catalog.=) t.tgrelid
	JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) r.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refobjid OPERATOR(pg_catalog.<>) v.oid AND d.refobjsubid OPERATOR(pg_catalog.>) 0
	JOIN pg_catalog.pg_class s ON s.oid OPERATOR(pg_catalog.=) d.refobjid
	WHERE t.tgfoid OPERATOR(pg_catalog.=) 'tenancy._ingest'::pg_catalog.regproc
	GROUP BY v.oid, s.oid;
COMMENT ON VIEW tenancy.ingest_views IS 'The views that create_ingest_view() made, read off the catalogs.';
REVOKE ALL ON tenancy.ingest_views FROM PUBLIC;
GRANT SELECT ON tenancy.ingest_views TO PUBLIC;

-- What the table makes by itself is not in the view; its defaults are, since a
-- view has none of its own.
CREATE FUNCTION tenancy.create_ingest_view(source regclass, view_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
	columns text;
	command text;
	propagates text;
BEGIN
	IF source IS NULL OR view_name IS NULL THEN
		RAISE EXCEPTION 'source and view name must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	name := tenancy._view_name(source, view_name);
	IF NOT EXISTS (SELECT FROM tenancy.protected_tables t WHERE t.relation = source) THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	PERFORM tenancy._require_owner(source, 'table');
	columns := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
				WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
				  AND a.attgenerated = '' AND a.attidentity = '');
	-- Citus would make it on all nodes, and cannot; it is of use where COPY comes in
	IF tenancy._is_distributed(source) THEN
		propagates := (SELECT s.setting FROM pg_settings s WHERE s.name = 'citus.enable_ddl_propagation');
		SET LOCAL citus.enable_ddl_propagation = off;
	END IF;
	FOREACH command IN ARRAY ARRAY[
		format('CREATE VIEW %s WITH (security_invoker = true) AS SELECT %s FROM %s', name, columns, source),
		format('ALTER VIEW %s OWNER TO %I', name, (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = source)),
		format('CREATE TRIGGER tenancy_ingest_begin BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest()', name),
		format('CREATE TRIGGER tenancy_ingest_row INSTEAD OF INSERT ON %s FOR EACH ROW EXECUTE FUNCTION tenancy._ingest()', name),
		format('CREATE TRIGGER tenancy_ingest_end AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest()', name)
	] || ARRAY(
		SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', name, a.attname, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_attribute a
		JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = source AND NOT a.attisdropped AND a.attgenerated = ''
	) LOOP
		EXECUTE command;
	END LOOP;
	IF propagates IS NOT NULL THEN
		EXECUTE format('SET LOCAL citus.enable_ddl_propagation = %L', propagates);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_ingest_view(regclass, text) IS
	'Makes a view of a protected table that COPY can write; for the table''s owner.';
-- ---------------------------------------------------------------------
-- Rollups: aggregates of protected tables that are protected themselves
--
-- A materialized view has no policies, so a rollup is a table.  Its query is a view
-- with the rights of whoever asks: to refresh is for roles that see everything.
--
-- The query is the application's, and so is what it calls: it is taken apart and run
-- by _run_as_owner() only, never with the rights of a superuser who calls.
-- ---------------------------------------------------------------------

-- Whatever the owner's code does there, nothing of it is left to run afterwards.
CREATE FUNCTION tenancy._run_as_owner(relation regclass, path text, command text,
									  OUT affected bigint, OUT answer text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_run_as_owner';
COMMENT ON FUNCTION tenancy._run_as_owner(regclass, text, text) IS
	'Runs a statement as the owner of a table, for the owner and superusers.';

-- The constraint tells which view is the query, by its type: so does a dump, and
-- under whatever names.
CREATE VIEW tenancy.rollups AS
	SELECT t.relation AS rollup, q.oid::pg_catalog.regclass AS query, t.column_name
	FROM pg_catalog.pg_constraint c
	JOIN tenancy.protected_tables t ON t.relation OPERATOR(pg_catalog.=) c.conrelid
	JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.conrelid
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) c.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
	JOIN pg_catalog.pg_class q ON q.reltype OPERATOR(pg_catalog.=) d.refobjid
		AND q.relkind OPERATOR(pg_catalog.=) 'v' AND q.relowner OPERATOR(pg_catalog.=) r.relowner
	WHERE c.conname OPERATOR(pg_catalog.=) 'tenancy_rollup';
COMMENT ON VIEW tenancy.rollups IS
	'The rollups that create_protected_rollup() made, read off the catalogs: tables whose constraint tenancy_rollup names a view of the same owner.';
REVOKE ALL ON tenancy.rollups FROM PUBLIC;
GRANT SELECT ON tenancy.rollups TO PUBLIC;

-- The schema and name of a table to be made beside another one, which leaves room
-- for the ending.
CREATE FUNCTION tenancy._rollup_name(source regclass, rollup_name text, ending text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts text[] := parse_ident(tenancy._view_name(source, rollup_name));
BEGIN
	IF octet_length(parts[2] || '_query') > 63 THEN
		RAISE EXCEPTION 'name of a rollup is too long' USING ERRCODE = 'name_too_long',
			DETAIL = 'Its query has the same name with "_query" after it.';
	END IF;
	RETURN format('%I.%I', parts[1], parts[2] || ending);
END
$$;
COMMENT ON FUNCTION tenancy._rollup_name(regclass, text, text) IS 'The name of a rollup to be made, or of its query, with its schema.';

CREATE FUNCTION tenancy.create_protected_rollup(source regclass, rollup_name text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	protection record;
	schema name;
	rollup text;
	view text;
BEGIN
	IF source IS NULL OR rollup_name IS NULL OR query IS NULL THEN
		RAISE EXCEPTION 'source, rollup name and query must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	rollup := tenancy._rollup_name(source, rollup_name, '');
	view := tenancy._rollup_name(source, rollup_name, '_query');
	SELECT * INTO protection FROM tenancy.protected_tables t WHERE t.relation = source;
	IF protection.relation IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	SELECT n.nspname INTO schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source;
	-- names in the query are those of the table's schema, and nothing else is looked up there
	PERFORM tenancy._run_as_owner(source, format('%I, pg_temp', schema),
								  format('CREATE VIEW %s WITH (security_invoker = true) AS %s', view, query));
	IF NOT EXISTS (SELECT FROM pg_attribute a
				   WHERE a.attrelid = view::regclass AND a.attname = protection.column_name AND a.attnum > 0) THEN
		RAISE EXCEPTION 'the query of a rollup must have the column "%"', protection.column_name
			USING ERRCODE = 'undefined_column', DETAIL = 'It tells whose each row is.';
	END IF;
	PERFORM tenancy._run_as_owner(source, 'pg_catalog, pg_temp',
								  format('CREATE TABLE %1$s (LIKE %2$s, CONSTRAINT tenancy_rollup CHECK (NULL::%2$s IS NULL))', rollup, view));
	IF protection.kind = 'project' THEN
		PERFORM tenancy.protect(rollup, protection.column_name, protection.editable_by);
	ELSE
		PERFORM tenancy.protect_by_organization(rollup, protection.column_name, protection.visible_to, protection.editable_by);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_protected_rollup(regclass, text, text) IS
	'Makes a table of aggregates that is protected as the table they are of; for the table''s owner and superusers.';

-- Only what is different is written, so that readers wait for nothing, and see what
-- was there until this is committed.  With row_security off, an owner who would not
-- see every row gets an error, rather than a rollup that lacks some.
CREATE FUNCTION tenancy.refresh_rollup(rollup regclass, only_for uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
	query regclass;
	condition text;
	level text;
BEGIN
	IF rollup IS NULL THEN
		RAISE EXCEPTION 'rollup must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT r.query, CASE WHEN only_for IS NULL THEN 'true' ELSE format('x.%I = %L::uuid', r.column_name, only_for) END
	INTO query, condition
	FROM tenancy.rollups r WHERE r.rollup = refresh_rollup.rollup;
	IF query IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not a rollup', rollup USING ERRCODE = 'wrong_object_type';
	END IF;
	-- one refresh after the other, each with a snapshot in which it sees what the last one wrote
	PERFORM tenancy._run_as_owner(rollup, 'pg_catalog, pg_temp', format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', rollup));
	EXECUTE 'SHOW transaction_isolation' INTO level;
	IF level NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot refresh a rollup in a transaction above READ COMMITTED'
			USING ERRCODE = 'active_sql_transaction', DETAIL = 'It would not see what another refresh has written meanwhile.',
				  HINT = 'Begin the transaction with ISOLATION LEVEL READ COMMITTED.';
	END IF;
	-- Records are equal when all columns are, also where both are NULL.  Of rows that
	-- are alike one is kept.  What is added waits until all is removed, for the sake of
	-- unique keys.
	RETURN (tenancy._run_as_owner(rollup, 'pg_catalog, pg_temp', format($statement$
		WITH fresh AS MATERIALIZED (
			SELECT DISTINCT ROW(x.*)::%1$s AS record FROM %2$s x WHERE %3$s
		), kept AS MATERIALIZED (
			SELECT o.record, min(o.place) AS place FROM (SELECT ROW(x.*)::%1$s AS record, x.ctid AS place FROM ONLY %1$s x WHERE %3$s) o
			WHERE EXISTS (SELECT FROM fresh f WHERE f.record = o.record)
			GROUP BY o.record
		), removed AS (
			DELETE FROM ONLY %1$s x WHERE %3$s AND NOT EXISTS (SELECT FROM kept k WHERE k.place = x.ctid) RETURNING 1
		), added AS (
			INSERT INTO %1$s SELECT (f.record).* FROM fresh f
			WHERE NOT EXISTS (SELECT FROM kept k WHERE k.record = f.record) AND (SELECT count(*) FROM removed) >= 0 RETURNING 1
		)
		SELECT (SELECT count(*) FROM added) + (SELECT count(*) FROM removed)$statement$, rollup, query, condition))).answer::bigint;
END
$$;
COMMENT ON FUNCTION tenancy.refresh_rollup(regclass, uuid) IS
	'Computes a rollup anew, or one project''s or organization''s part of it, as its owner, who must see every row; for the owner and superusers. Answers how many rows were written.';
-- ---------------------------------------------------------------------
-- Sharding with Citus
--
-- Every node has the rows that policies ask.  The coordinator's are the ones that
-- commands change; a trigger puts each change into the reference table
-- tenancy_citus.feed, in the same distributed transaction, and there a trigger
-- on each worker takes it out and applies it to that node's own tables.  So what
-- loads, keeps and drops access sets works on every node as on a single one.
--
-- Who acts travels with the transaction, signed (src/distribution.c).
--
-- Nothing here needs Citus until distribute() is called.
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.cluster (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	generation uuid NOT NULL,
	secret bytea NOT NULL CHECK (pg_catalog.length(secret) OPERATOR(pg_catalog.=) 32)
);
COMMENT ON TABLE tenancy.cluster IS 'What the nodes of a Citus cluster know each other by; for superusers, not dumped.';
COMMENT ON COLUMN tenancy.cluster.one IS 'There is one row, or none.';
COMMENT ON COLUMN tenancy.cluster.generation IS 'The call of distribute() that wrote it.';
COMMENT ON COLUMN tenancy.cluster.secret IS 'Signs what nodes tell each other about who acts.';
ALTER TABLE tenancy.cluster ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
REVOKE ALL ON tenancy.cluster FROM PUBLIC;
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE ON tenancy.cluster
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('generation');
COMMENT ON TRIGGER invalidate ON tenancy.cluster IS 'Announces that another secret counts.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.cluster
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.cluster IS 'Announces everything.';
ALTER TABLE tenancy.cluster ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.cluster ENABLE ALWAYS TRIGGER invalidate_truncate;

CREATE FUNCTION tenancy._note_change() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_note_change';
COMMENT ON FUNCTION tenancy._note_change() IS 'From now on this transaction can query no distributed table.';

-- The tables that policies ask, directly or not.
CREATE FUNCTION tenancy._fed_tables() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '{plans,users,organizations,memberships,projects,project_memberships,project_tokens,sessions,role_bindings}'::name[]
$$;
COMMENT ON FUNCTION tenancy._fed_tables() IS 'The tables that every node has.';

CREATE FUNCTION tenancy._has_citus() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus')
$$;
COMMENT ON FUNCTION tenancy._has_citus() IS 'Is Citus in this database?';

-- ---------------------------------------------------------------------
-- On the coordinator: changes into the feed
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._feed() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone jsonb;
	come jsonb;
BEGIN
	IF TG_OP = 'INSERT' THEN
		come := (SELECT jsonb_agg(to_jsonb(n)) FROM new_rows n);
	ELSIF TG_OP = 'DELETE' THEN
		gone := (SELECT jsonb_agg(to_jsonb(o)) FROM old_rows o);
	ELSIF TG_OP = 'UPDATE' THEN
		-- commands lock rows by updating them as they are
		gone := (SELECT jsonb_agg(to_jsonb(o)) FROM (SELECT * FROM old_rows EXCEPT SELECT * FROM new_rows) o);
		come := (SELECT jsonb_agg(to_jsonb(n)) FROM (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows) n);
	END IF;
	IF gone IS NULL AND come IS NULL AND TG_OP <> 'TRUNCATE' THEN
		RETURN NULL;
	END IF;
	PERFORM tenancy._note_change();
	PERFORM tenancy._put_into_feed(TG_TABLE_NAME, gone, come);
	-- what the application's tables refer to
	IF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'TRUNCATE' THEN
		EXECUTE format('DELETE FROM tenancy_citus.%I', TG_TABLE_NAME);
	ELSIF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'INSERT' THEN
		PERFORM tenancy._put_targets(TG_TABLE_NAME, come);
	ELSIF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'DELETE' THEN
		EXECUTE format('DELETE FROM tenancy_citus.%I WHERE id = ANY ($1)', TG_TABLE_NAME)
			USING ARRAY(SELECT (r->>'id')::uuid FROM jsonb_array_elements(gone) r);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy._feed() IS 'Trigger: sends what a statement changed to all nodes.';

CREATE FUNCTION tenancy._put_into_feed(relation name, gone jsonb, come jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO tenancy_citus.feed (change)
	VALUES (jsonb_build_object('relation', _put_into_feed.relation, 'gone', _put_into_feed.gone, 'come', _put_into_feed.come));
END
$$;
COMMENT ON FUNCTION tenancy._put_into_feed(name, jsonb, jsonb) IS 'Has all nodes remove rows, and put others in; all rows go where neither is given.';

CREATE FUNCTION tenancy._put_targets(relation name, come jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('INSERT INTO tenancy_citus.%I (id) VALUES %s ON CONFLICT DO NOTHING', relation,
				   (SELECT string_agg(format('(%L)', (r->>'id')::uuid), ', ') FROM jsonb_array_elements(come) r));
END
$$;
COMMENT ON FUNCTION tenancy._put_targets(name, jsonb) IS 'Makes projects or organizations known to the foreign keys of distributed tables.';

-- ---------------------------------------------------------------------
-- On the workers: out of the feed, into the tables
-- ---------------------------------------------------------------------

-- As replication would: no foreign keys, no triggers but those that find roles
-- and drop access sets.
CREATE FUNCTION tenancy._apply_feed() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET session_replication_role = replica
AS $$
DECLARE
	target name := NEW.change->>'relation';
	gone jsonb := NULLIF(NEW.change->'gone', 'null');
	come jsonb := NULLIF(NEW.change->'come', 'null');
	columns text;
	key text;
BEGIN
	IF (SELECT g.groupid FROM pg_dist_local_group g) = 0 THEN
		RETURN NULL;	-- it comes from here
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
		RAISE EXCEPTION 'permission denied to change who has access'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF target IS NULL THEN
		PERFORM tenancy._join_cluster(NEW.change);
	ELSIF target <> ALL (tenancy._fed_tables()) THEN
		RAISE EXCEPTION 'table "%" is not one that every node has', target;
	ELSE
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
			   string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
				   FILTER (WHERE a.attnum = ANY ((SELECT i.indkey FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary)::smallint[]))
		INTO columns, key
		FROM pg_attribute a
		WHERE a.attrelid = format('tenancy.%I', target)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
		IF gone IS NULL AND come IS NULL THEN
			EXECUTE format('DELETE FROM tenancy.%I', target);
		END IF;
		EXECUTE format('DELETE FROM tenancy.%1$I WHERE (%2$s) IN (SELECT %2$s FROM jsonb_populate_recordset(NULL::tenancy.%1$I, $1))',
					   target, key)
			USING COALESCE(gone, '[]') || COALESCE(come, '[]');
		EXECUTE format('INSERT INTO tenancy.%1$I (%2$s) SELECT %2$s FROM jsonb_populate_recordset(NULL::tenancy.%1$I, $1)',
					   target, columns)
			USING COALESCE(come, '[]');
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy._apply_feed() IS 'Trigger: does on this node what the coordinator has done; nothing stays in the feed.';

CREATE FUNCTION tenancy._join_cluster(change jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
BEGIN
	DELETE FROM tenancy.cluster;
	INSERT INTO tenancy.cluster (generation, secret)
	VALUES ((change->>'generation')::uuid, (change->>'secret')::bytea);
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format('DELETE FROM tenancy.%I', target);
		EXECUTE format('CREATE OR REPLACE TRIGGER tenancy_citus BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%I
			FOR EACH STATEMENT EXECUTE FUNCTION tenancy._refuse_on_worker()', target);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._join_cluster(jsonb) IS 'Makes this node one of the cluster, with nobody in it yet.';

CREATE FUNCTION tenancy._refuse_on_worker() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'commands of tenancy run on the coordinator'
		USING ERRCODE = 'feature_not_supported', HINT = 'Connect to the coordinator for it.';
END
$$;
COMMENT ON FUNCTION tenancy._refuse_on_worker() IS 'Trigger: keeps a worker''s copy what it is.';

-- Citus forgets AS RESTRICTIVE when it makes a policy on a shard, and wherever else
-- it makes a table anew; as permissive ones the floors would open what they close.
CREATE FUNCTION tenancy._keep_floors() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lost record;
BEGIN
	IF NOT tenancy._has_citus() THEN
		RETURN;
	END IF;
	FOR lost IN
		SELECT p.polname, p.polrelid::regclass AS relation, f.command,
			   pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row
		FROM pg_event_trigger_ddl_commands() c
		JOIN pg_policy p ON c.classid = 'pg_policy'::regclass AND c.objid = p.oid AND p.polpermissive
		JOIN (VALUES ('tenancy_floor', 'ALL'), ('tenancy_floor_update', 'UPDATE'), ('tenancy_floor_delete', 'DELETE')) f (name, command)
			ON f.name = p.polname
	LOOP
		EXECUTE format('DROP POLICY %I ON %s', lost.polname, lost.relation);
		EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR %s TO PUBLIC', lost.polname, lost.relation, lost.command)
			|| coalesce(' USING (' || lost.condition || ')', '')
			|| coalesce(' WITH CHECK (' || lost.new_row || ')', '');
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._keep_floors() IS 'Event trigger: keeps the floors of protected tables restrictive on a Citus cluster.';

CREATE EVENT TRIGGER tenancy_keep_floors ON ddl_command_end
	WHEN TAG IN ('CREATE POLICY')
	EXECUTE FUNCTION tenancy._keep_floors();
ALTER EVENT TRIGGER tenancy_keep_floors ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER tenancy_keep_floors IS 'Keeps the floors of protected tables restrictive on a Citus cluster.';

-- ---------------------------------------------------------------------
-- Are the nodes fit?
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._require_coordinator() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._has_citus() THEN
		RAISE EXCEPTION 'extension "citus" is not installed in this database'
			USING ERRCODE = 'feature_not_supported',
				  HINT = 'Add it to shared_preload_libraries, before tenancy, restart, and use CREATE EXTENSION citus.';
	END IF;
	IF (SELECT g.groupid FROM pg_dist_local_group g) <> 0
	   OR NOT EXISTS (SELECT FROM pg_dist_node n WHERE n.groupid = 0) THEN
		RAISE EXCEPTION 'this node is not the coordinator of a Citus cluster'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Connect to the coordinator, where citus_set_coordinator_host() has named it.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_coordinator() IS 'Raises unless it is asked on the coordinator of a Citus cluster.';

-- Asked of each node, so it must not need the extension there.
CREATE FUNCTION tenancy._nodes(OUT node text, OUT is_worker boolean, OUT failure text, OUT state jsonb) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT format('%s:%s', n.nodename, n.nodeport), n.groupid <> 0,
			   CASE WHEN NOT r.success THEN split_part(r.result, E'\n', 1) END,
			   CASE WHEN r.success THEN r.result::jsonb END
		FROM run_command_on_all_nodes($sql$
			SELECT json_build_object(
				'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'tenancy'),
				'available', (SELECT x.default_version FROM pg_available_extensions x WHERE x.name = 'tenancy'),
				'preloaded', (SELECT s.setting FROM pg_settings s WHERE s.name = 'shared_preload_libraries') ~ E'\\mtenancy\\M',
				'applies', (SELECT count(*) FROM pg_trigger t
							JOIN pg_class c ON c.oid = t.tgrelid AND c.relname ~ '^feed_[0-9]+$'
							JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tenancy_citus'
							JOIN pg_proc f ON f.oid = t.tgfoid AND f.proname = '_apply_feed'
							WHERE t.tgenabled IN ('O', 'A')),
				'floors', (SELECT count(*) FROM pg_policy p WHERE p.polname ~ '^tenancy_floor' AND p.polpermissive),
				'open_shards', (SELECT count(*) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
								WHERE p.polname = 'tenancy_floor' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)),
				'guarded', (SELECT count(*) FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid AND f.proname = '_refuse_on_worker'
							WHERE t.tgenabled IN ('O', 'A')),
				'trusted', (SELECT json_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
							FROM pg_parameter_acl p, aclexplode(p.paracl) a
							WHERE p.parname ~ '^tenancy[.](user_id|identity)$' AND a.grantee <> 10),
				'open', (SELECT json_agg(DISTINCT concat(h.address, '/' || h.netmask))
						 FROM pg_hba_file_rules h
						 WHERE h.type <> 'local' AND h.auth_method NOT IN ('reject', 'cert')
						   AND h.address NOT IN ('127.0.0.1', '::1', 'samehost')
						   AND h.netmask IS DISTINCT FROM '255.255.255.255' AND h.netmask IS DISTINCT FROM 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'))
			$sql$) r
		JOIN pg_dist_node n ON n.nodeid = r.nodeid
		WHERE n.isactive OR n.groupid = 0
		ORDER BY n.nodeid;
END
$$;
COMMENT ON FUNCTION tenancy._nodes() IS 'What each node of a Citus cluster says of itself.';

CREATE FUNCTION tenancy._node_problems(OUT node text, OUT problem text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.node, p.problem, p.remedy
	FROM tenancy._nodes() n
	CROSS JOIN (SELECT e.extversion AS version FROM pg_extension e WHERE e.extname = 'tenancy') ours
	CROSS JOIN LATERAL (VALUES
		(n.failure IS NOT NULL, format('it does not answer: %s', n.failure),
		 format('start it, or take it out with SELECT citus_disable_node(%L, %s)', substring(n.node, '^(.*):'), substring(n.node, '[0-9]+$'))),
		(n.state IS NOT NULL AND n.state->>'version' IS NULL, 'it does not have the extension "tenancy"',
		 concat(CASE WHEN n.state->>'available' IS NULL THEN format('install the files of version %s there, and ', ours.version) END,
				'run CREATE EXTENSION tenancy CASCADE there')),
		(n.state->>'version' <> ours.version,
		 format('it has version %s of the extension "tenancy", and the coordinator has version %s', n.state->>'version', ours.version),
		 format('run ALTER EXTENSION tenancy UPDATE TO %L there', ours.version)),
		(NOT (n.state->>'preloaded')::boolean, 'it does not preload the library of the extension "tenancy"',
		 'set shared_preload_libraries = ''citus, tenancy'' there, and restart it')) p (found, problem, remedy)
	WHERE p.found
$$;
COMMENT ON FUNCTION tenancy._node_problems() IS 'Why nodes of a Citus cluster cannot enforce what the coordinator promises.';

CREATE FUNCTION tenancy._require_nodes() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first record;
BEGIN
	SELECT * INTO first FROM tenancy._node_problems() LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'node % cannot take part: %', first.node, first.problem
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = upper(left(first.remedy, 1)) || substr(first.remedy, 2) || '.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_nodes() IS 'Raises for the first node that is not fit.';

-- ---------------------------------------------------------------------
-- The two calls
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._make_feed() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
BEGIN
	IF to_regclass('tenancy_citus.feed') IS NULL THEN
		CREATE SCHEMA tenancy_citus;
		COMMENT ON SCHEMA tenancy_citus IS 'What tenancy.distribute() has made; not to be touched.';
		CREATE TABLE tenancy_citus.feed (change jsonb NOT NULL);
		COMMENT ON TABLE tenancy_citus.feed IS 'What is put in here, every node does; nothing stays.';
		CREATE TABLE tenancy_citus.organizations (id uuid PRIMARY KEY);
		COMMENT ON TABLE tenancy_citus.organizations IS 'Organizations, for the foreign keys of distributed tables.';
		CREATE TABLE tenancy_citus.projects (id uuid PRIMARY KEY);
		COMMENT ON TABLE tenancy_citus.projects IS 'Projects, for the foreign keys of distributed tables.';
		CREATE TRIGGER apply BEFORE INSERT ON tenancy_citus.feed FOR EACH ROW EXECUTE FUNCTION tenancy._apply_feed();
		-- whatever default privileges have granted
		ALTER TABLE tenancy_citus.feed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		ALTER TABLE tenancy_citus.organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		ALTER TABLE tenancy_citus.projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		REVOKE ALL ON ALL TABLES IN SCHEMA tenancy_citus FROM PUBLIC;
		-- it is there to be on every node
		SET LOCAL citus.enable_unsafe_triggers = on;
		PERFORM create_reference_table('tenancy_citus.feed');
		SET LOCAL citus.enable_unsafe_triggers = off;
		PERFORM create_reference_table('tenancy_citus.organizations');
		PERFORM create_reference_table('tenancy_citus.projects');
	END IF;
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format($sql$
			CREATE OR REPLACE TRIGGER tenancy_citus_insert AFTER INSERT ON tenancy.%1$I REFERENCING NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_update AFTER UPDATE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_delete AFTER DELETE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_truncate AFTER TRUNCATE ON tenancy.%1$I
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_insert;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_update;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_delete;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_truncate
			$sql$, target);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._make_feed() IS 'Makes what carries changes to all nodes, as far as it is missing.';

CREATE FUNCTION tenancy.distribute() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
	come jsonb;
BEGIN
	PERFORM tenancy._require_coordinator();
	PERFORM tenancy._require_nodes();
	-- to nodes that have come since
	IF to_regclass('tenancy_citus.feed') IS NOT NULL THEN
		PERFORM replicate_reference_tables('block_writes');
	END IF;
	-- nobody changes what is being copied
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format('LOCK TABLE tenancy.%I IN SHARE ROW EXCLUSIVE MODE', target);
	END LOOP;
	PERFORM tenancy._make_feed();
	DELETE FROM tenancy.cluster;
	INSERT INTO tenancy.cluster (generation, secret)
	VALUES (gen_random_uuid(), decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
	INSERT INTO tenancy_citus.feed (change) SELECT jsonb_build_object('generation', c.generation, 'secret', c.secret) FROM tenancy.cluster c;
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		FOR come IN EXECUTE format('SELECT jsonb_agg(x.row) FROM (SELECT to_jsonb(t) AS row, (row_number() OVER () - 1) / 1000 AS part FROM tenancy.%I t) x
									GROUP BY x.part', target) LOOP
			PERFORM tenancy._put_into_feed(target, NULL, come);
			IF target IN ('projects', 'organizations') THEN
				PERFORM tenancy._put_targets(target, come);
			END IF;
		END LOOP;
		IF target IN ('projects', 'organizations') THEN
			EXECUTE format('DELETE FROM tenancy_citus.%1$I WHERE id = ANY ($1)', target)
				USING tenancy._stale_targets(target);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.distribute() IS 'Brings what decides about access to all nodes of a Citus cluster, and keeps it there; for superusers, on the coordinator.';
REVOKE ALL ON FUNCTION tenancy.distribute() FROM PUBLIC;

CREATE FUNCTION tenancy._stale_targets(relation name) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known uuid[];
	present uuid[];
BEGIN
	EXECUTE format('SELECT array_agg(id) FROM tenancy_citus.%I', relation) INTO known;
	EXECUTE format('SELECT array_agg(id) FROM tenancy.%I', relation) INTO present;
	RETURN ARRAY(SELECT unnest(known) EXCEPT SELECT unnest(present));
END
$$;
COMMENT ON FUNCTION tenancy._stale_targets(name) IS 'Projects or organizations that are gone, and that foreign keys of distributed tables still know.';

CREATE FUNCTION tenancy.distribute_table(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	protected record;
	target name;
	lacking text;
	beside text;
	key record;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'relation must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM tenancy._require_coordinator();
	IF NOT EXISTS (SELECT FROM tenancy.cluster) OR to_regclass('tenancy_citus.feed') IS NULL THEN
		RAISE EXCEPTION 'tenancy is not distributed'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run SELECT tenancy.distribute() first.';
	END IF;
	PERFORM tenancy._require_nodes();
	SELECT * INTO protected FROM tenancy.protected_tables t WHERE t.relation = distribute_table.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation "%" is not protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it first.';
	END IF;
	IF tenancy._is_distributed(relation) THEN
		RAISE EXCEPTION 'table "%" is distributed already', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use Citus''s own functions to move or change its shards.';
	END IF;
	IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = relation) THEN
		RAISE EXCEPTION 'table "%" is a part of another', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Distribute the table at the top.';
	END IF;
	lacking := (SELECT string_agg(quote_ident(k.relname), ', ' ORDER BY k.relname)
				FROM pg_index i
				JOIN pg_class k ON k.oid = i.indexrelid
				JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = protected.column_name
				WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
				  AND a.attnum <> ALL ((i.indkey::smallint[])[0:i.indnkeyatts - 1]));
	IF lacking IS NOT NULL THEN
		RAISE EXCEPTION 'table "%" cannot be distributed by column "%"', relation, protected.column_name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = format('Without it no node can check what has to be unique: %s.', lacking),
				  HINT = format('Put the column into each of them, as in PRIMARY KEY (%I, id).', protected.column_name);
	END IF;

	target := CASE protected.kind WHEN 'project' THEN 'projects' ELSE 'organizations' END;
	-- the tables of one kind lie together, so that they can be joined
	beside := (SELECT min(t.relation::text) FROM tenancy.protected_tables t
			   WHERE t.kind = protected.kind AND tenancy._is_distributed(t.relation));
	-- what is done to all shards goes over one connection, as foreign keys need it
	SET LOCAL citus.multi_shard_modify_mode = sequential;
	FOR key IN SELECT c.conname FROM pg_constraint c
			   WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = format('tenancy.%I', target)::regclass LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', relation, key.conname);
	END LOOP;
	-- before, since Citus adds none to a partitioned table that is distributed
	SET LOCAL citus.enable_local_reference_table_foreign_keys = off;
	EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy_citus.%I ON DELETE CASCADE',
				   relation, protected.column_name, target);
	PERFORM create_distributed_table(relation, protected.column_name::text, colocate_with => coalesce(beside, 'none'));
	RAISE NOTICE 'column "%" of table "%" now references "tenancy_citus.%"', protected.column_name, relation, target;
END
$$;
COMMENT ON FUNCTION tenancy.distribute_table(regclass) IS 'Distributes a protected table by the column that it is protected by, over the nodes of a Citus cluster; for superusers, on the coordinator.';
REVOKE ALL ON FUNCTION tenancy.distribute_table(regclass) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Proof on a distributed table: other nodes do not see synthetic organizations
-- before they are committed, so it is tried with users and rows that there are.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._proof_distributed(role regrole, relation regclass, kind text, column_name name, visible_to tenancy.access_level)
RETURNS TABLE (command text, attempt text, isolated boolean, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	path constant text := tenancy._proof_path(_proof_distributed.role);
	held uuid[] := ARRAY[]::uuid[];
	one uuid;
	somebody uuid;
	reached uuid[];
	foreign_id uuid;
	due bigint;
	changeable name;
	try record;
	affected bigint;
	answer text;
	state text;
BEGIN
	-- The nodes filter the table's owner, who often cannot log in there, either.  So the role
	-- itself looks what there is, on behalf of one Owner after the other, until there is
	-- somebody who reaches some of that, and not all.
	FOR one IN SELECT DISTINCT o.owner_id FROM tenancy.organizations o JOIN tenancy.users u ON u.id = o.owner_id AND u.is_active LOOP
		PERFORM tenancy.act_as(one);
		held := held || coalesce((tenancy._run_as(role, 'pg_catalog', format('SELECT array_agg(DISTINCT %I) FROM %s', column_name, relation), false)).answer::uuid[], ARRAY[]::uuid[]);
		SELECT c.user_id, c.reached, (SELECT h FROM unnest(held) h WHERE h <> ALL (c.reached) LIMIT 1)
		INTO somebody, reached, foreign_id
		FROM (SELECT a.user_id, array_agg(DISTINCT a.id) AS reached
			  FROM (SELECT x.user_id, CASE kind WHEN 'project' THEN x.project_id ELSE x.organization_id END AS id
					FROM tenancy.access x
					WHERE (x.project_id IS NULL) = (kind = 'organization') AND x.level >= visible_to) a
			  WHERE a.id = ANY (held)
			  GROUP BY a.user_id) c
		WHERE NOT held <@ c.reached
		LIMIT 1;
		EXIT WHEN somebody IS NOT NULL;
	END LOOP;
	IF somebody IS NULL THEN
		RETURN QUERY SELECT NULL::text, 'anybody: any attempt', NULL::boolean,
							'it is distributed, and nobody who reaches some of its rows, and not all, is there to try it as';
		RETURN;
	END IF;
	PERFORM tenancy.act_as(somebody);
	due := (tenancy._run_as(role, 'pg_catalog', format('SELECT count(*) FROM %s WHERE %I = ANY (%L)', relation, column_name, reached), false)).answer::bigint;
	changeable := (SELECT a.attname FROM pg_attribute a
				   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
					 AND a.attname <> column_name ORDER BY a.attnum DESC LIMIT 1);
	FOR try IN SELECT * FROM (VALUES
		(NULL, 'SELECT', 'nobody: reads everything', 'SELECT count(*) FROM %1$s', 0::bigint),
		(somebody, 'SELECT', 'a user: reads everything, and finds what is theirs', 'SELECT count(*) FROM %1$s', due),
		(somebody, 'SELECT', 'a user: reads', 'SELECT count(*) FROM %1$s WHERE %2$I = %3$L', 0),
		(somebody, 'SELECT', 'a user: locks rows FOR UPDATE', 'SELECT count(*) FROM (SELECT FROM %1$s WHERE %2$I = %3$L FOR UPDATE) x', 0),
		(somebody, 'UPDATE', 'a user: updates', 'UPDATE %1$s SET %4$I = %4$I WHERE %2$I = %3$L', 0),
		(somebody, 'DELETE', 'a user: deletes', 'DELETE FROM %1$s WHERE %2$I = %3$L', 0),
		(somebody, 'INSERT', 'a user: inserts', 'INSERT INTO %1$s (%2$I) VALUES (%3$L)', -1),
		(NULL, 'INSERT', 'nobody: inserts', 'INSERT INTO %1$s (%2$I) VALUES (%3$L)', -1)) v (who, command, attempt, statement, due) LOOP
		affected := NULL; answer := NULL; state := NULL;
		BEGIN
			PERFORM tenancy.act_as(try.who);
			SELECT r.affected, r.answer INTO affected, answer
			FROM tenancy._run_as(role, path, format(try.statement, relation, column_name, foreign_id, changeable), false) r;
			RAISE EXCEPTION SQLSTATE 'TN0OK';
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
			detail := SQLERRM;
		END;
		command := try.command;
		attempt := try.attempt;
		-- policies are asked before constraints
		isolated := CASE WHEN state = '42501' THEN true
						 WHEN try.command = 'INSERT' AND state LIKE '23%' THEN false
						 WHEN state <> 'TN0OK' THEN NULL
						 ELSE CASE try.command WHEN 'SELECT' THEN answer::bigint ELSE affected END = try.due END;
		detail := CASE WHEN state = '42501' THEN 'refused: ' || detail
					   WHEN isolated IS FALSE AND state <> 'TN0OK' THEN 'not refused by a policy: ' || detail
					   WHEN state <> 'TN0OK' THEN 'could not be tried: ' || detail
					   WHEN try.command = 'SELECT' THEN format('%s rows, as there should be %s', answer, try.due)
					   ELSE format('%s rows', affected) END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_distributed(regrole, regclass, text, name, tenancy.access_level) IS
	'Tries on a distributed table, as a role, what isolation forbids, with users and rows that there are; undoes it.';
-- ---------------------------------------------------------------------
-- Notifications: the outbox between commands and the mailer
--
-- A command puts rows in, in its own transaction, so that a mail goes out if
-- and only if what it tells has happened.  A mailer claims a few, commits, sends
-- them, and reports each as sent or failed.  The states of a row:
--
--   waiting   due_at is when it may be claimed
--   claimed   claimed_at is set, and due_at is when the claim has lapsed: a
--             mailer that died in between holds nothing up
--   sent      sent_at is set; nothing of what the mail said is kept
--   dead      dead_at is set: given up, until somebody requeues it
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.notifications (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	kind text COLLATE "C" NOT NULL,
	organization_id uuid REFERENCES tenancy.organizations ON DELETE CASCADE,
	invite_id uuid REFERENCES tenancy.invites ON DELETE CASCADE,
	recipient tenancy.email NOT NULL,
	payload jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	due_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	claimed_at timestamptz,
	sent_at timestamptz,
	dead_at timestamptz,
	attempts integer NOT NULL DEFAULT 0 CHECK (attempts OPERATOR(pg_catalog.>=) 0),
	last_error text,
	CHECK (pg_catalog.num_nonnulls(claimed_at, sent_at, dead_at) OPERATOR(pg_catalog.<=) 1)
);
CREATE INDEX notifications_organization_id_idx ON tenancy.notifications (organization_id);
CREATE INDEX notifications_invite_id_idx ON tenancy.notifications (invite_id) WHERE invite_id IS NOT NULL;
CREATE INDEX notifications_due_idx ON tenancy.notifications (due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
COMMENT ON TABLE tenancy.notifications IS 'Outbox of mail to be sent.';
COMMENT ON COLUMN tenancy.notifications.id IS 'Random id.';
COMMENT ON COLUMN tenancy.notifications.kind IS 'invitation or member_joined.';
COMMENT ON COLUMN tenancy.notifications.organization_id IS 'The organization that it is about.';
COMMENT ON COLUMN tenancy.notifications.invite_id IS 'The open invite that it tells of, until it was sent; it goes with the invite.';
COMMENT ON COLUMN tenancy.notifications.recipient IS 'Address of the recipient.';
COMMENT ON COLUMN tenancy.notifications.payload IS 'What the message says; emptied when it was sent.';
COMMENT ON COLUMN tenancy.notifications.created_at IS 'When it was enqueued.';
COMMENT ON COLUMN tenancy.notifications.due_at IS 'When it may be claimed, or claimed again.';
COMMENT ON COLUMN tenancy.notifications.claimed_at IS 'When the mailer took it that has not reported back yet.';
COMMENT ON COLUMN tenancy.notifications.sent_at IS 'When it was sent.';
COMMENT ON COLUMN tenancy.notifications.dead_at IS 'When it was given up.';
COMMENT ON COLUMN tenancy.notifications.attempts IS 'How often it was claimed, without claims that were released; requeue_notification() begins anew.';
COMMENT ON COLUMN tenancy.notifications.last_error IS 'Why the last try failed.';

-- No policy: nobody reads it but through the functions below.
ALTER TABLE tenancy.notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
REVOKE ALL ON tenancy.notifications FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Putting in
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._mail_is_enabled()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(tenancy._setting('tenancy.email_enabled') = 'on', false)
$$;
COMMENT ON FUNCTION tenancy._mail_is_enabled() IS 'Whether mail is to be enqueued.';

CREATE FUNCTION tenancy._enqueue_invite(invite uuid, token text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._mail_is_enabled() THEN
		RETURN;
	END IF;

	INSERT INTO tenancy.notifications (kind, organization_id, invite_id, recipient, payload)
	SELECT 'invitation', i.organization_id, i.id, i.email,
		   jsonb_build_object('invite_id', i.id,
							  'token', _enqueue_invite.token,
							  'expires_at', i.expires_at,
							  'organization_name', o.name,
							  'inviter_name', u.name,
							  'reply_to', u.email)
	FROM tenancy.invites i
	JOIN tenancy.organizations o ON o.id = i.organization_id
	LEFT JOIN tenancy.users u ON u.id = i.invited_by
	WHERE i.id = _enqueue_invite.invite;
	-- Anybody may listen, hence no payload.
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy._enqueue_invite(uuid, text) IS
	'Puts the mail for an invite into the outbox, where mail is enabled.';

-- One statement however many members there are.
CREATE FUNCTION tenancy._enqueue_joined(organization uuid, newcomer uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	message jsonb;
BEGIN
	IF NOT tenancy._mail_is_enabled() THEN
		RETURN;
	END IF;

	SELECT jsonb_build_object('organization_name', o.name, 'member_name', u.name, 'member_email', u.email)
	INTO message
	FROM tenancy.organizations o, tenancy.users u
	WHERE o.id = _enqueue_joined.organization
	  AND o.notify_on_join
	  AND u.id = _enqueue_joined.newcomer;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	INSERT INTO tenancy.notifications (kind, organization_id, recipient, payload)
	SELECT 'member_joined', m.organization_id, m.email, message
	FROM tenancy.members m
	WHERE m.organization_id = _enqueue_joined.organization
	  AND m.user_id <> _enqueue_joined.newcomer;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy._enqueue_joined(uuid, uuid) IS
	'Puts a mail to every member but the newcomer into the outbox, where mail is enabled and the organization wants it.';

-- ---------------------------------------------------------------------
-- Taking back: what concerns an address that is to be erased
-- ---------------------------------------------------------------------

-- An open invite keeps its mail, but for the name of who sent it.
CREATE FUNCTION tenancy._erase_from_mail(email text)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM tenancy.notifications n
	WHERE n.invite_id IS NULL
	  AND _erase_from_mail.email IN (n.recipient, n.payload ->> 'member_email');
	UPDATE tenancy.notifications n
	SET payload = n.payload || '{"inviter_name": null, "reply_to": null}'
	WHERE n.payload ->> 'reply_to' = _erase_from_mail.email;
$$;
COMMENT ON FUNCTION tenancy._erase_from_mail(text) IS
	'Takes an address out of the outbox: as recipient, as newcomer and as inviter.';

-- ---------------------------------------------------------------------
-- For the mailer
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.claim_notifications(max_count integer DEFAULT 10)
RETURNS TABLE (id uuid, kind text, recipient text, payload jsonb, attempts integer)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	claimed timestamptz := clock_timestamp();
	lapses timestamptz := claimed + make_interval(secs => tenancy._setting('tenancy.notification_timeout')::integer);
	tries integer := tenancy._setting('tenancy.notification_attempts')::integer;
	missing integer := max_count;
	taken integer;
	candidates uuid[];
BEGIN
	IF max_count IS NULL OR max_count < 1 THEN
		RAISE EXCEPTION 'max_count must be positive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;

	-- Again while some of what was due turned out not to be sent any more.
	WHILE missing > 0 LOOP
		candidates := ARRAY(SELECT w.id
							FROM tenancy.notifications w
							WHERE w.sent_at IS NULL AND w.dead_at IS NULL AND w.due_at <= claimed
							ORDER BY w.due_at
							LIMIT missing
							FOR UPDATE SKIP LOCKED);
		EXIT WHEN candidates = '{}';

		-- Revoked, replaced and accepted invites take their mail along; expiry is
		-- no change of a row.  News of an organization is for those who are in it
		-- when it is sent, and about somebody who still is.
		DELETE FROM tenancy.notifications w
		WHERE w.id = ANY (candidates)
		  AND (EXISTS (SELECT FROM tenancy.invites i
					   WHERE i.id = w.invite_id AND i.expires_at < claimed)
			   OR (w.kind = 'member_joined'
				   AND NOT (EXISTS (SELECT FROM tenancy.members m
									WHERE m.organization_id = w.organization_id AND m.email = w.recipient)
							AND EXISTS (SELECT FROM tenancy.members m
										WHERE m.organization_id = w.organization_id
										  AND m.email = w.payload ->> 'member_email'))));

		-- Whatever brings its mailer down each time is given up, too.
		UPDATE tenancy.notifications w
		SET dead_at = claimed, claimed_at = NULL,
			last_error = coalesce(w.last_error, 'the mailer did not report back')
		WHERE w.id = ANY (candidates)
		  AND w.attempts >= tries;

		RETURN QUERY
			WITH taken AS (
				UPDATE tenancy.notifications w
				SET claimed_at = claimed, due_at = lapses, attempts = w.attempts + 1
				FROM unnest(candidates) WITH ORDINALITY AS c (id, position)
				WHERE w.id = c.id
				  AND w.dead_at IS NULL
				RETURNING w.*, c.position)
			SELECT t.id, t.kind, t.recipient::text, t.payload, t.attempts
			FROM taken t
			ORDER BY t.position;
		GET DIAGNOSTICS taken = ROW_COUNT;
		missing := missing - taken;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.claim_notifications(integer) IS
	'Takes up to max_count due mails for sending; what is not reported back in time is due again; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.claim_notifications(integer) FROM PUBLIC;

-- A mail that has left cannot be called back: it counts as sent even when its
-- claim had lapsed and another mailer has taken it, or given it up, meanwhile.
CREATE FUNCTION tenancy.complete_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET sent_at = clock_timestamp(), claimed_at = NULL, dead_at = NULL,
		payload = '{}', invite_id = NULL, last_error = NULL
	WHERE w.id = complete_notification.notification
	  AND w.attempts > 0
	  AND w.sent_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.complete_notification(uuid) IS
	'Reports a claimed mail as sent, and erases what it said; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.complete_notification(uuid) FROM PUBLIC;

-- Tried again after 1 minute, 5, 25, ... up to 12 hours.
CREATE FUNCTION tenancy.fail_notification(notification uuid, error text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	failed timestamptz := clock_timestamp();
	tries integer := tenancy._setting('tenancy.notification_attempts')::integer;
BEGIN
	UPDATE tenancy.notifications w
	SET claimed_at = NULL,
		dead_at = CASE WHEN w.attempts >= tries THEN failed END,
		due_at = failed + least(power(5, least(w.attempts - 1, 9)) * interval '1 minute', interval '12 hours'),
		-- A server's refusal may repeat the message.
		last_error = left(replace(coalesce(fail_notification.error, 'unknown error'),
								  coalesce(w.payload ->> 'token', ''), '[token]'), 1000)
	WHERE w.id = fail_notification.notification
	  AND w.claimed_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.fail_notification(uuid, text) IS
	'Reports that a claimed mail could not be sent: it is due again later, or given up; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.fail_notification(uuid, text) FROM PUBLIC;

-- A mailer that is told to stop, or finds no mail server, has not tried what is
-- left of its batch: that costs the mail neither an attempt nor time.
CREATE FUNCTION tenancy.release_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET claimed_at = NULL, due_at = clock_timestamp(), attempts = w.attempts - 1
	WHERE w.id = release_notification.notification
	  AND w.claimed_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy.release_notification(uuid) IS
	'Gives back a claimed mail that was not tried: it is due at once; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.release_notification(uuid) FROM PUBLIC;

-- What a mailer has beyond others, as GRANT and REVOKE name it.
CREATE FUNCTION tenancy._mailer_rights()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'EXECUTE ON FUNCTION
				tenancy.claim_notifications(integer),
				tenancy.complete_notification(uuid),
				tenancy.fail_notification(uuid, text),
				tenancy.release_notification(uuid)'
$$;
COMMENT ON FUNCTION tenancy._mailer_rights() IS 'What grant_mailer() gives and revoke_mailer() takes.';

-- Two tools of superusers; with their own rights only, hence no SECURITY DEFINER.
CREATE FUNCTION tenancy.grant_mailer(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT %s TO %I', tenancy._mailer_rights(), tenancy._require_role(role));
END
$$;
COMMENT ON FUNCTION tenancy.grant_mailer(regrole) IS
	'Lets a role take mail out of the outbox, and nothing else.';
REVOKE ALL ON FUNCTION tenancy.grant_mailer(regrole) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_mailer(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	mailer text := tenancy._require_role(role);
BEGIN
	IF NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
				   WHERE p.oid = 'tenancy.claim_notifications(integer)'::regprocedure
					 AND a.grantee = revoke_mailer.role) THEN
		RAISE EXCEPTION 'role has no rights of a mailer'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	EXECUTE format('REVOKE %s FROM %I', tenancy._mailer_rights(), mailer);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_mailer(regrole) IS
	'Takes back what grant_mailer() gave.';
REVOKE ALL ON FUNCTION tenancy.revoke_mailer(regrole) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- For the DBA
-- ---------------------------------------------------------------------

-- With the rights of its owner: the table is nobody's.  Without the payload,
-- which holds the secrets of invites.
CREATE VIEW tenancy.dead_notifications WITH (security_barrier = true) AS
	SELECT n.id, n.kind, n.organization_id, n.recipient, n.attempts, n.last_error,
		   n.created_at, n.dead_at
	FROM tenancy.notifications n
	WHERE n.dead_at IS NOT NULL;
COMMENT ON VIEW tenancy.dead_notifications IS 'Mail that was given up; tenancy.requeue_notification() tries again.';
REVOKE ALL ON tenancy.dead_notifications FROM PUBLIC;

CREATE FUNCTION tenancy.requeue_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET dead_at = NULL, attempts = 0, due_at = clock_timestamp()
	WHERE w.id = requeue_notification.notification
	  AND w.dead_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not dead'
			USING ERRCODE = 'no_data_found';
	END IF;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy.requeue_notification(uuid) IS
	'Tries a mail again that was given up, as if it were new; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.requeue_notification(uuid) FROM PUBLIC;
-- ---------------------------------------------------------------------
-- Questions about others: why, who, what, and what if
--
-- Each is answered by the function of the same name with an underscore before
-- it, which is told whether an administrator of the database asks
-- (src/question.c).  The rules are not repeated here: who reaches what is read
-- from tenancy.access, and what a level may do is asked of the matrix.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.explain_access(user_id uuid, permission tenancy.permission, target uuid)
RETURNS TABLE (step integer, granted boolean, sentence text)
LANGUAGE c STABLE PARALLEL SAFE ROWS 6
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.explain_access(uuid, tenancy.permission, uuid) IS
	'Why somebody has a permission or not, step by step, and what would change that.';

CREATE FUNCTION tenancy.who_can_access(project uuid)
RETURNS TABLE (user_id uuid, email text, name text, level tenancy.access_level, source text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.who_can_access(uuid) IS 'Everybody who reaches a project, and why.';

CREATE FUNCTION tenancy.what_can_access(user_id uuid)
RETURNS TABLE (organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.what_can_access(uuid) IS 'Everything that somebody reaches, and why, as far as one may know.';

CREATE FUNCTION tenancy.preview_remove_member(organization uuid, member uuid)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_remove_member(uuid, uuid) IS 'What remove_member() would take away.';

CREATE FUNCTION tenancy.preview_set_member_level(organization uuid, member uuid, level tenancy.access_level)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_member_level(uuid, uuid, tenancy.access_level) IS
	'What set_member_level() would give and take away.';

CREATE FUNCTION tenancy.preview_set_project_privacy(project uuid, is_private boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_project_privacy(uuid, boolean) IS
	'What set_project_privacy() would give and take away.';

CREATE FUNCTION tenancy.preview_set_plan(organization uuid, plan text)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_plan(uuid, text) IS 'What set_plan() would give and take away.';
REVOKE ALL ON FUNCTION tenancy.preview_set_plan(uuid, text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Why
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._level_words(level tenancy.access_level)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE level WHEN 'owner' THEN 'the Owner' WHEN 'administrator' THEN 'an Administrator' ELSE 'a Member' END
$$;
COMMENT ON FUNCTION tenancy._level_words(tenancy.access_level) IS 'A level, to be read.';

CREATE FUNCTION tenancy._holders(permission tenancy.permission)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT regexp_replace(concat_ws(', ',
									CASE WHEN m.owner THEN tenancy._level_words('owner') END,
									CASE WHEN m.administrator THEN tenancy._level_words('administrator') END,
									CASE WHEN m.member THEN tenancy._level_words('member') END,
									CASE WHEN m.project_administrator AND NOT m.member
										 THEN 'an Administrator of the private project' END),
						  ', ([^,]*)$', E' or \\1')
	FROM tenancy.permission_matrix m
	WHERE m.permission = _holders.permission
$$;
COMMENT ON FUNCTION tenancy._holders(tenancy.permission) IS 'What one has to be for a permission, to be read.';

-- The smallest change of a member's levels after which they have the permission:
-- the command, and the permission that it takes.  No row when there is none.
CREATE FUNCTION tenancy._smallest_change(permission tenancy.permission, organization uuid, project uuid,
										 member uuid, organization_level tenancy.access_level)
RETURNS TABLE (command text, required tenancy.permission)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.command, c.required
	FROM (SELECT p.is_private,
				 (SELECT pm.level FROM tenancy.project_memberships pm
				  WHERE pm.project_id = p.id AND pm.user_id = _smallest_change.member) AS level
		  FROM (VALUES (true)) one (row)
		  LEFT JOIN tenancy.projects p ON p.id = _smallest_change.project) now,
		 LATERAL (VALUES
			(1, now.is_private AND now.level IS NULL AND _smallest_change.organization_level = 'member',
			 'member'::tenancy.access_level, 'member'::tenancy.access_level,
			 format('tenancy.add_project_member(%L, %L, ''member'')', project, member),
			 'project.manage'::tenancy.permission),
			(2, now.is_private AND now.level IS NULL AND _smallest_change.organization_level = 'member',
			 'administrator', 'member',
			 format('tenancy.add_project_member(%L, %L, ''administrator'')', project, member), 'project.manage'),
			(2, now.is_private AND now.level = 'member' AND _smallest_change.organization_level = 'member',
			 'administrator', 'member',
			 format('tenancy.set_project_member_level(%L, %L, ''administrator'')', project, member), 'project.manage'),
			(3, _smallest_change.organization_level = 'member', 'administrator', 'administrator',
			 format('tenancy.set_member_level(%L, %L, ''administrator'')', organization, member), 'organization.manage'),
			(4, _smallest_change.organization_level < 'owner', 'owner', 'owner',
			 format('tenancy.transfer_ownership(%L, %L)', organization, member), 'organization.transfer'),
			(5, _smallest_change.organization_level = 'owner', 'administrator', 'administrator',
			 format('tenancy.transfer_ownership(%L, another member)', organization), 'organization.transfer'))
		 c (size, applies, level, organization_level, command, required)
	WHERE c.applies
	  AND tenancy._is_permitted(_smallest_change.permission, c.level, c.organization_level)
	ORDER BY c.size
	LIMIT 1
$$;
COMMENT ON FUNCTION tenancy._smallest_change(tenancy.permission, uuid, uuid, uuid, tenancy.access_level) IS
	'The smallest command that would give a member a permission.';

-- A step that is granted holds, the first that is not decides, and those that
-- say neither tell what would change that.
CREATE FUNCTION tenancy._explain_access(user_id uuid, permission tenancy.permission, target uuid, by_administrator boolean)
RETURNS TABLE (step integer, granted boolean, sentence text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy.current_user_id();
	kind text := (SELECT m.target FROM tenancy.permission_matrix m WHERE m.permission = _explain_access.permission);
	place record;
	person record;
	here record;
	change record;
	missing text[] := '{}'::text[];
BEGIN
	IF _explain_access.permission IS NULL THEN
		RAISE EXCEPTION 'permission must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF me IS NULL AND NOT by_administrator THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;

	SELECT o.id AS organization_id, o.name AS organization_name, p.id AS project_id, p.name, p.is_private
	INTO place
	FROM tenancy.organizations o
	LEFT JOIN tenancy.projects p ON p.organization_id = o.id AND p.id = _explain_access.target
	WHERE o.id = CASE kind WHEN 'project'
						   THEN (SELECT q.organization_id FROM tenancy.projects q WHERE q.id = _explain_access.target)
						   ELSE _explain_access.target END
	  AND (by_administrator
		   OR tenancy.can('organization.manage', o.id)
		   OR tenancy.can('project.view', p.id)
		   OR (kind = 'organization' AND _explain_access.user_id = me AND tenancy.level_in(o.id) IS NOT NULL));
	IF NOT FOUND THEN
		RAISE EXCEPTION '% does not exist', kind
			USING ERRCODE = 'no_data_found';
	END IF;

	-- A stranger is one who never was, to all but an administrator.
	SELECT u.name, u.is_active, tenancy._member_level_now(place.organization_id, u.id) AS level
	INTO person
	FROM tenancy.users u
	WHERE u.id = _explain_access.user_id
	  AND (by_administrator OR u.id = me OR tenancy._member_level_now(place.organization_id, u.id) IS NOT NULL);

	SELECT a.level, a.organization_level, a.source
	INTO here
	FROM tenancy.access a
	WHERE a.user_id = _explain_access.user_id
	  AND a.organization_id = place.organization_id
	  AND a.project_id IS NOT DISTINCT FROM place.project_id;

	step := 1;
	granted := coalesce(person.is_active, false);
	sentence := CASE WHEN person.name IS NULL THEN 'There is no such person in the organization.'
					 WHEN person.is_active THEN format('%s has an active account.', person.name)
					 ELSE format('The account of %s is deactivated, so they reach nothing.', person.name) END;
	RETURN NEXT;
	IF person.is_active IS FALSE THEN
		missing := missing || format('The application would have to activate the account, with tenancy.set_user_active(%L, true).', _explain_access.user_id);
	END IF;

	IF person.name IS NOT NULL THEN
		step := 2;
		granted := person.level IS NOT NULL;
		sentence := CASE WHEN granted
						 THEN format('%s is %s of the organization "%s".', person.name,
									 tenancy._level_words(person.level), place.organization_name)
						 ELSE format('%s is not in the organization "%s".', person.name, place.organization_name) END;
		RETURN NEXT;
	END IF;
	IF person.level IS NULL THEN
		missing := missing || format('They would have to be invited by %s, with tenancy.create_invite(%L, …), and accept.',
									 tenancy._holders('member.invite'), place.organization_id);
	END IF;

	-- What an account that is deactivated would reach is not asked.
	IF granted AND person.is_active THEN
		IF place.project_id IS NOT NULL THEN
			step := 3;
			granted := here.level IS NOT NULL;
			sentence := CASE
				WHEN here.source = 'project membership'
				THEN format('The project "%s" is private, and %s was added to it as %s.', place.name, person.name, tenancy._level_words(here.level))
				WHEN here.source = 'owner' OR (here.source = 'membership' AND place.is_private)
				THEN format('The project "%s" is %s, and %s reaches every project of the organization.', place.name,
							CASE WHEN place.is_private THEN 'private' ELSE 'open' END, tenancy._level_words(here.organization_level))
				WHEN here.source IS NOT NULL
				THEN format('The project "%s" is open to everybody in the organization.', place.name)
				WHEN place.is_private
				THEN format('The project "%s" is private, and %s was not added to it.', place.name, person.name)
				ELSE format('%s does not reach the project "%s".', person.name, place.name) END;
			RETURN NEXT;
		END IF;
		IF granted THEN
			step := step + 1;
			granted := tenancy._is_permitted(_explain_access.permission, here.level, here.organization_level);
			sentence := format('For the permission "%s" one has to be %s.', _explain_access.permission,
							   tenancy._holders(_explain_access.permission));
			RETURN NEXT;
			IF granted THEN
				RETURN;
			END IF;
		END IF;
	END IF;

	-- What is missing besides: as the member that they are, or would be.
	IF (person.level IS NOT NULL AND person.is_active)
	   OR NOT tenancy._is_permitted(_explain_access.permission, coalesce(person.level, 'member'), coalesce(person.level, 'member'))
	   OR (place.is_private AND coalesce(person.level, 'member') = 'member') THEN
		SELECT * INTO change
		FROM tenancy._smallest_change(_explain_access.permission, place.organization_id, place.project_id,
									  _explain_access.user_id, coalesce(person.level, 'member'))
		WHERE NOT (place.is_private AND here.level IS NULL AND person.level = 'member'
				   AND EXISTS (SELECT FROM tenancy.project_memberships pm
							   WHERE pm.project_id = place.project_id AND pm.user_id = _explain_access.user_id
								 AND tenancy._is_permitted(_explain_access.permission, pm.level, 'member')));
		IF FOUND THEN
			missing := missing || format('%s, called by %s, would allow it.', change.command, tenancy._holders(change.required));
		END IF;
	END IF;

	granted := NULL;
	FOREACH sentence IN ARRAY missing LOOP
		step := step + 1;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._explain_access(uuid, tenancy.permission, uuid, boolean) IS 'Answers explain_access().';

-- As _member_level(), which is for commands.
CREATE FUNCTION tenancy._member_level_now(organization uuid, member uuid)
RETURNS tenancy.access_level
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'owner'::tenancy.access_level
	FROM tenancy.organizations o
	WHERE o.id = _member_level_now.organization AND o.owner_id = _member_level_now.member
	UNION ALL
	SELECT m.level
	FROM tenancy.memberships m
	WHERE m.organization_id = _member_level_now.organization AND m.user_id = _member_level_now.member
$$;
COMMENT ON FUNCTION tenancy._member_level_now(uuid, uuid) IS
	'The level of a user in an organization, also of a deactivated one, for questions.';

-- ---------------------------------------------------------------------
-- Who and what
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._who_can_access(project uuid, by_administrator boolean)
RETURNS TABLE (user_id uuid, email text, name text, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT by_administrator THEN
		-- Whoever manages an organization sees all of its projects.
		PERFORM tenancy.require('project.view', project);
	ELSIF NOT EXISTS (SELECT FROM tenancy.projects p WHERE p.id = _who_can_access.project) THEN
		RAISE EXCEPTION 'project does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	RETURN QUERY
		SELECT a.user_id, u.email::text, u.name::text, a.level, a.source
		FROM tenancy.access a
		JOIN tenancy.users u ON u.id = a.user_id
		WHERE a.project_id = _who_can_access.project
		ORDER BY a.level DESC, u.name, u.id;
END
$$;
COMMENT ON FUNCTION tenancy._who_can_access(uuid, boolean) IS 'Answers who_can_access().';

CREATE FUNCTION tenancy._what_can_access(user_id uuid, by_administrator boolean)
RETURNS TABLE (organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy.current_user_id();
BEGIN
	IF me IS NULL AND NOT by_administrator THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
	RETURN QUERY
		SELECT a.organization_id, a.project_id, a.level, a.source
		FROM tenancy.access a
		WHERE a.user_id = _what_can_access.user_id
		  AND (by_administrator
			   OR tenancy.level_in(coalesce(a.project_id, a.organization_id)) IS NOT NULL)
		ORDER BY a.organization_id, a.project_id NULLS FIRST;
	-- Of somebody with whom one shares nothing, one does not know that they are.
	IF NOT FOUND AND (by_administrator OR _what_can_access.user_id IS DISTINCT FROM me)
	   AND NOT (by_administrator AND EXISTS (SELECT FROM tenancy.users u WHERE u.id = _what_can_access.user_id)) THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._what_can_access(uuid, boolean) IS 'Answers what_can_access().';

-- ---------------------------------------------------------------------
-- What if: the command itself, and its undoing
-- ---------------------------------------------------------------------

-- Everybody's levels in an organization (under NULL) and its projects.
CREATE FUNCTION tenancy._levels_in(organization uuid)
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(jsonb_object_agg(a.user_id || '/' || coalesce(a.project_id::text, ''), a.level), '{}')
	FROM tenancy.access a
	WHERE a.organization_id = _levels_in.organization
$$;
COMMENT ON FUNCTION tenancy._levels_in(uuid) IS 'What everybody reaches in an organization, to be compared.';

-- With an exception block, so that all that the command did is undone, its locks,
-- messages and audit entries as well.  An administrator of the database does it
-- as the Owner.
CREATE FUNCTION tenancy._preview(command text, organization uuid, missing text, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	levels_before jsonb;
	levels_after jsonb;
BEGIN
	BEGIN
		IF by_administrator THEN
			PERFORM tenancy.act_as(o.owner_id) FROM tenancy.organizations o WHERE o.id = _preview.organization;
			IF NOT FOUND THEN
				RAISE EXCEPTION '% does not exist', missing
					USING ERRCODE = 'no_data_found';
			END IF;
		END IF;
		levels_before := tenancy._levels_in(organization);
		EXECUTE command;
		levels_after := tenancy._levels_in(organization);
		RAISE EXCEPTION 'undo' USING ERRCODE = 'TNP01';
	EXCEPTION
		WHEN SQLSTATE 'TNP01' THEN
			NULL;
	END;
	RETURN QUERY
		SELECT split_part(key, '/', 1)::uuid, nullif(split_part(key, '/', 2), '')::uuid,
			   b.value::tenancy.access_level, a.value::tenancy.access_level
		FROM jsonb_each_text(levels_before) b
		FULL JOIN jsonb_each_text(levels_after) a USING (key)
		WHERE b.value IS DISTINCT FROM a.value
		ORDER BY 1, 2 NULLS FIRST;
END
$$;
COMMENT ON FUNCTION tenancy._preview(text, uuid, text, boolean) IS
	'What a command would change in an organization: does it, looks, and undoes it.';

CREATE FUNCTION tenancy._preview_remove_member(organization uuid, member uuid, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.remove_member(%L, %L)', organization, member),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_remove_member(uuid, uuid, boolean) IS 'Answers preview_remove_member().';

CREATE FUNCTION tenancy._preview_set_member_level(organization uuid, member uuid, level tenancy.access_level, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_member_level(%L, %L, %L)', organization, member, level),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_member_level(uuid, uuid, tenancy.access_level, boolean) IS
	'Answers preview_set_member_level().';

CREATE FUNCTION tenancy._preview_set_project_privacy(project uuid, is_private boolean, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_project_privacy(%L, %L)', project, is_private),
								   (SELECT p.organization_id FROM tenancy.projects p WHERE p.id = project),
								   'project', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_project_privacy(uuid, boolean, boolean) IS
	'Answers preview_set_project_privacy().';

CREATE FUNCTION tenancy._preview_set_plan(organization uuid, plan text, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_plan(%L, %L)', organization, plan),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_plan(uuid, text, boolean) IS 'Answers preview_set_plan().';
-- ---------------------------------------------------------------------
-- The audit log: who did what
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.audit_entries (
	chain uuid NOT NULL,
	number bigint NOT NULL,
	organization_id uuid CHECK (organization_id OPERATOR(pg_catalog.=) chain),
	at timestamptz NOT NULL,
	actor_id uuid,
	login_role text COLLATE "C",
	acting_role text COLLATE "C",
	credential_kind text COLLATE "C",
	credential_id uuid,
	action text COLLATE "C" NOT NULL,
	relation text COLLATE "C" NOT NULL,
	changes json NOT NULL,
	personal_hash bytea,
	previous bytea NOT NULL,
	hash bytea NOT NULL,
	salt bytea,
	actor_name text COLLATE "C",
	personal json,
	PRIMARY KEY (chain, number)
);
COMMENT ON TABLE tenancy.audit_entries IS 'Every change of the extension''s tables; no foreign keys, so that it survives what it is about.';
COMMENT ON COLUMN tenancy.audit_entries.chain IS 'Whose history it is: an organization, a user, or zeros for what belongs to neither.';
COMMENT ON COLUMN tenancy.audit_entries.number IS 'Place in that history, from 1 without gaps.';
COMMENT ON COLUMN tenancy.audit_entries.organization_id IS 'The organization, also after it was deleted; NULL for what belongs to none.';
COMMENT ON COLUMN tenancy.audit_entries.at IS 'When it was done; it counted when its transaction was committed.';
COMMENT ON COLUMN tenancy.audit_entries.actor_id IS 'The user who acted; NULL for the application or an administrator.';
COMMENT ON COLUMN tenancy.audit_entries.login_role IS 'The role that had logged in.';
COMMENT ON COLUMN tenancy.audit_entries.acting_role IS 'The role that it had become by SET ROLE.';
COMMENT ON COLUMN tenancy.audit_entries.credential_kind IS 'session, project token, or assertion by a trusted role.';
COMMENT ON COLUMN tenancy.audit_entries.credential_id IS 'Id of the session or token; it is not the secret.';
COMMENT ON COLUMN tenancy.audit_entries.action IS 'The command, or for a direct change the statement.';
COMMENT ON COLUMN tenancy.audit_entries.relation IS 'The table that was changed.';
COMMENT ON COLUMN tenancy.audit_entries.changes IS 'For each row its primary key, and how it was before and after, without secrets.';
COMMENT ON COLUMN tenancy.audit_entries.personal_hash IS 'SHA-256 of salt, actor_name and personal, which stands for them when they have been erased.';
COMMENT ON COLUMN tenancy.audit_entries.previous IS 'Hash of the entry before; empty for the first.';
COMMENT ON COLUMN tenancy.audit_entries.hash IS 'SHA-256 of all of the above.';
COMMENT ON COLUMN tenancy.audit_entries.salt IS 'Random, so that what was erased cannot be guessed from its hash.';
COMMENT ON COLUMN tenancy.audit_entries.actor_name IS 'Name of the actor at that time, until they are forgotten.';
COMMENT ON COLUMN tenancy.audit_entries.personal IS 'Names and addresses in the row before and after, until their owner is forgotten.';

CREATE TABLE tenancy.audit_heads (
	chain uuid PRIMARY KEY,
	entries bigint NOT NULL DEFAULT 0,
	last_at timestamptz NOT NULL DEFAULT '-infinity',
	hash bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
COMMENT ON TABLE tenancy.audit_heads IS 'The end of each chain of the audit log; its row is locked while entries are added.';
COMMENT ON COLUMN tenancy.audit_heads.chain IS 'The chain.';
COMMENT ON COLUMN tenancy.audit_heads.entries IS 'Number of its last entry.';
COMMENT ON COLUMN tenancy.audit_heads.last_at IS 'Time of its last entry.';
COMMENT ON COLUMN tenancy.audit_heads.hash IS 'Hash of its last entry.';

ALTER TABLE tenancy.audit_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.audit_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- The organization is the chain, which has the index.
CREATE POLICY read ON tenancy.audit_entries FOR SELECT
	USING (organization_id IS NOT NULL AND tenancy.is_member(chain, 'administrator'));
COMMENT ON POLICY read ON tenancy.audit_entries IS 'History of the organizations that one manages.';
REVOKE ALL ON tenancy.audit_entries, tenancy.audit_heads FROM PUBLIC;
GRANT SELECT ON tenancy.audit_entries TO PUBLIC;

CREATE VIEW tenancy.audit_log WITH (security_invoker) AS
	SELECT e.chain, e.number, c.place::integer AS place, e.organization_id, e.at, e.actor_id, e.actor_name,
		   e.login_role, e.acting_role, e.credential_kind, e.credential_id, e.action, e.relation,
		   c.change->>'key' AS row_key, c.change->'old' AS old_row, c.change->'new' AS new_row,
		   e.personal::jsonb AS personal
	FROM tenancy.audit_entries e,
		 pg_catalog.jsonb_array_elements(e.changes::jsonb) WITH ORDINALITY c (change, place);
COMMENT ON VIEW tenancy.audit_log IS 'What happened to each row of the extension''s tables, of the organizations that one manages.';
COMMENT ON COLUMN tenancy.audit_log.place IS 'Which row of the entry it is, from 1: what one statement did in one organization is one entry.';
COMMENT ON COLUMN tenancy.audit_log.row_key IS 'Primary key of the row, its columns separated by slashes; NULL for TRUNCATE.';
COMMENT ON COLUMN tenancy.audit_log.old_row IS 'The row before, without secrets; NULL if it was not there.';
COMMENT ON COLUMN tenancy.audit_log.new_row IS 'The row after, without secrets; NULL if it is not there any more.';
COMMENT ON COLUMN tenancy.audit_log.personal IS 'Names and addresses in the row before and after, until their owner is forgotten.';

-- A report as those of 76_reporting: names are of today, and those that one sees.
CREATE VIEW tenancy.report_audit WITH (security_invoker = true) AS
	SELECT l.chain, l.number, l.place, l.at, l.actor_id, l.actor_name, l.action, l.relation,
		   l.organization_id, o.name AS organization_name, i.project_id, p.name AS project_name,
		   i.user_id, u.name AS user_name, l.old_row, l.new_row
	FROM tenancy.audit_log l
	CROSS JOIN LATERAL (SELECT COALESCE(l.new_row, l.old_row) AS named) r
	CROSS JOIN LATERAL (
		SELECT (r.named->>CASE l.relation WHEN 'projects' THEN 'id' ELSE 'project_id' END)::uuid AS project_id,
			   (r.named->>CASE l.relation WHEN 'users' THEN 'id' ELSE 'user_id' END)::uuid AS user_id) i
	LEFT JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) l.organization_id
	LEFT JOIN tenancy.projects p ON p.id OPERATOR(pg_catalog.=) i.project_id
	LEFT JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) i.user_id;
COMMENT ON VIEW tenancy.report_audit IS 'Report: the audit log of the organizations that one manages, with names beside ids.';
REVOKE ALL ON tenancy.audit_log, tenancy.report_audit FROM PUBLIC;
GRANT SELECT ON tenancy.audit_log, tenancy.report_audit TO PUBLIC;

CREATE FUNCTION tenancy._guard_audit() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_guard_audit';
COMMENT ON FUNCTION tenancy._guard_audit() IS 'Keeps the log as it is, whatever rights somebody was granted.';

CREATE TRIGGER guard_audit BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_entries
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._guard_audit();
COMMENT ON TRIGGER guard_audit ON tenancy.audit_entries IS 'Only superusers change the log.';
CREATE TRIGGER guard_audit BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_heads
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._guard_audit();
COMMENT ON TRIGGER guard_audit ON tenancy.audit_heads IS 'Only superusers change the log.';

CREATE FUNCTION tenancy._record_changes() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_record_changes';
COMMENT ON FUNCTION tenancy._record_changes() IS 'Puts what a statement did into the audit log.';

-- Not the switchers, which grant nothing, and not the outbox.
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES
		('plans', '{none,name}'::text[]), ('users', '{user,id,email,name}'), ('organizations', '{organization,id}'),
		('memberships', '{organization,organization_id}'), ('projects', '{organization,organization_id}'),
		('project_memberships', '{organization,organization_id}'), ('project_tokens', '{project,project_id}'),
		('invites', '{organization,organization_id,email}'), ('sessions', '{user,user_id}'),
		('role_bindings', '{user,user_id}')) v (name, arguments)
	LOOP
		EXECUTE pg_catalog.format($sql$
			CREATE TRIGGER audit_insert AFTER INSERT ON tenancy.%1$I REFERENCING NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_update AFTER UPDATE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_delete AFTER DELETE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_truncate AFTER TRUNCATE ON tenancy.%1$I
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			COMMENT ON TRIGGER audit_insert ON tenancy.%1$I IS 'Records what came.';
			COMMENT ON TRIGGER audit_update ON tenancy.%1$I IS 'Records what changed.';
			COMMENT ON TRIGGER audit_delete ON tenancy.%1$I IS 'Records what went.';
			COMMENT ON TRIGGER audit_truncate ON tenancy.%1$I IS 'Records that all went.'
			$sql$, t.name, (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(a), ', ') FROM pg_catalog.unnest(t.arguments) a));
	END LOOP;
END
$$;

CREATE FUNCTION tenancy._audit_hash(entry tenancy.audit_entries, personal boolean) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_audit_hash';
COMMENT ON FUNCTION tenancy._audit_hash(tenancy.audit_entries, boolean) IS 'The hash that an entry of the audit log should have, or that of its personal columns.';

CREATE FUNCTION tenancy._command_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_command_support';
COMMENT ON FUNCTION tenancy._command_support(internal) IS 'Loads the library when a command is planned, so that its name is known when it runs, and puts _note_caller() into it.';

-- Everybody's, since it is called as whoever calls the command.
CREATE FUNCTION tenancy._note_caller(value anyelement) RETURNS anyelement
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_note_caller';
COMMENT ON FUNCTION tenancy._note_caller(anyelement) IS 'The last argument of a command, as it is; notes who is about to call the command.';

-- Not for ever: names and addresses of whoever is forgotten go, and their hash
-- stays, so that the chain holds.
CREATE FUNCTION tenancy._erase_from_audit(member uuid, address text) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE tenancy.audit_entries e
	SET salt = NULL, actor_name = NULL, personal = NULL
	WHERE e.salt IS NOT NULL
	  AND (e.actor_id = _erase_from_audit.member
		   OR (e.relation = 'users' AND e.chain = _erase_from_audit.member)
		   OR _erase_from_audit.address IN (e.personal->'old'->>'email', e.personal->'new'->>'email'))
$$;
COMMENT ON FUNCTION tenancy._erase_from_audit(uuid, text) IS 'Erases name and address of somebody from the audit log.';

-- What does not hold in one chain.  An entry that is gone is named by the number
-- it had.
CREATE FUNCTION tenancy._verify_chain(chain uuid)
RETURNS TABLE (number bigint, problem text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH entry AS (
		SELECT l.number, l.previous, l.hash,
			   l.hash = tenancy._audit_hash(l, false)
			   -- what was erased, was so as a whole
			   AND ((l.salt IS NULL AND l.actor_name IS NULL AND l.personal IS NULL)
					OR coalesce(l.personal_hash = tenancy._audit_hash(l, true), false)) AS sound,
			   lag(l.number, 1, 0) OVER w AS number_before,
			   lag(l.hash, 1, ''::bytea) OVER w AS hash_before
		FROM tenancy.audit_entries l
		WHERE l.chain = _verify_chain.chain
		WINDOW w AS (ORDER BY l.number)
	), head AS (
		SELECT h.entries, h.hash FROM tenancy.audit_heads h
		WHERE h.chain = _verify_chain.chain
	)
	SELECT e.number, 'the entry was altered'
	FROM entry e
	WHERE NOT e.sound
	UNION ALL
	SELECT g.number, 'the entry was removed'
	FROM entry e, generate_series(e.number_before + 1, e.number - 1) g (number)
	UNION ALL
	SELECT e.number, 'the entry does not follow the one before it'
	FROM entry e
	WHERE e.number = e.number_before + 1 AND e.previous <> e.hash_before
	UNION ALL
	SELECT g.number, 'the entry was removed'
	FROM head h, generate_series((SELECT coalesce(max(e.number), 0) FROM entry e) + 1, h.entries) g (number)
	UNION ALL
	SELECT e.number, 'the entry was inserted after the end of the chain'
	FROM entry e
	WHERE e.number > (SELECT h.entries FROM head h)
	UNION ALL
	SELECT h.entries, 'the end of the chain does not match its last entry'
	FROM head h
	JOIN entry e ON e.number = h.entries
	WHERE e.hash <> h.hash
	UNION ALL
	SELECT NULL, 'the end of the chain is missing'
	WHERE NOT EXISTS (SELECT FROM head)
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION tenancy._verify_chain(uuid) IS 'What was altered, removed or inserted in one chain of the audit log; no row when it is sound.';

CREATE FUNCTION tenancy.verify_audit(organization uuid DEFAULT NULL)
RETURNS TABLE (chain uuid, number bigint, problem text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.verify_audit(uuid) IS
	'What was altered, removed or inserted in the history of an organization, or for an administrator of everything; no row when it is sound.';

CREATE FUNCTION tenancy._verify_audit(organization uuid, by_administrator boolean)
RETURNS TABLE (chain uuid, number bigint, problem text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT by_administrator THEN
		PERFORM tenancy.require('organization.manage', organization);
	ELSIF organization IS NOT NULL
		  AND NOT EXISTS (SELECT FROM tenancy.organizations o WHERE o.id = _verify_audit.organization)
		  AND NOT EXISTS (SELECT FROM tenancy.audit_heads h WHERE h.chain = _verify_audit.organization)
		  AND NOT EXISTS (SELECT FROM tenancy.audit_entries l WHERE l.chain = _verify_audit.organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	-- An organization without a chain is one whose chain was removed.
	RETURN QUERY
		SELECT c.chain, v.number, v.problem
		FROM (SELECT _verify_audit.organization WHERE _verify_audit.organization IS NOT NULL
			  UNION SELECT o.id FROM tenancy.organizations o WHERE _verify_audit.organization IS NULL
			  UNION SELECT u.id FROM tenancy.users u WHERE _verify_audit.organization IS NULL
			  UNION SELECT h.chain FROM tenancy.audit_heads h WHERE _verify_audit.organization IS NULL
			  UNION SELECT l.chain FROM tenancy.audit_entries l WHERE _verify_audit.organization IS NULL) c (chain),
			 tenancy._verify_chain(c.chain) v
		ORDER BY c.chain, v.number;
END
$$;
COMMENT ON FUNCTION tenancy._verify_audit(uuid, boolean) IS 'Answers verify_audit().';

-- ---------------------------------------------------------------------
-- The past
--
-- The rules are those of the view tenancy.access: its own text, over tables as
-- the log says that they were.
-- ---------------------------------------------------------------------

DO $do$
DECLARE
	rules text := pg_catalog.rtrim(pg_catalog.pg_get_viewdef('tenancy.access'::pg_catalog.regclass), ';');
BEGIN
	rules := pg_catalog.regexp_replace(rules, '\mtenancy\.(users|organizations|memberships|projects|project_memberships)\M',
									   'then_\1', 'g');
	EXECUTE pg_catalog.format($sql$
CREATE FUNCTION tenancy.access_at(at timestamptz)
RETURNS TABLE (user_id uuid, organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $fn$
#variable_conflict use_column
BEGIN
	-- No false "nobody reached anything".
	IF row_security_active('tenancy.audit_entries') THEN
		RAISE EXCEPTION 'role %% is subject to row security, so nothing can be said', current_user
			USING ERRCODE = 'insufficient_privilege', HINT = 'Ask as a superuser, or as a role with BYPASSRLS.';
	END IF;
	RETURN QUERY
	WITH latest AS MATERIALIZED (
		SELECT DISTINCT ON (l.relation, l.row_key) l.relation, l.new_row
		FROM tenancy.audit_log l
		WHERE l.at <= access_at.at
		  AND l.relation IN ('users', 'organizations', 'memberships', 'projects', 'project_memberships')
		  AND l.row_key IS NOT NULL
		  AND l.at > ALL (SELECT t.at FROM tenancy.audit_log t
						  WHERE t.relation = l.relation AND t.row_key IS NULL AND t.at <= access_at.at)
		ORDER BY l.relation, l.row_key, l.at DESC, l.number DESC, l.place DESC
	), then_users AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'is_active')::boolean AS is_active
		FROM latest r WHERE r.relation = 'users' AND r.new_row IS NOT NULL
	), then_organizations AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'owner_id')::uuid AS owner_id
		FROM latest r WHERE r.relation = 'organizations' AND r.new_row IS NOT NULL
	), then_memberships AS (
		SELECT (r.new_row->>'organization_id')::uuid AS organization_id, (r.new_row->>'user_id')::uuid AS user_id,
			   (r.new_row->>'level')::tenancy.access_level AS level
		FROM latest r WHERE r.relation = 'memberships' AND r.new_row IS NOT NULL
	), then_projects AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'organization_id')::uuid AS organization_id,
			   (r.new_row->>'is_private')::boolean AS is_private
		FROM latest r WHERE r.relation = 'projects' AND r.new_row IS NOT NULL
	), then_project_memberships AS (
		SELECT (r.new_row->>'project_id')::uuid AS project_id, (r.new_row->>'user_id')::uuid AS user_id,
			   (r.new_row->>'organization_id')::uuid AS organization_id,
			   (r.new_row->>'level')::tenancy.access_level AS level
		FROM latest r WHERE r.relation = 'project_memberships' AND r.new_row IS NOT NULL
	)
	SELECT a.user_id, a.organization_id, a.project_id, a.level, a.source
	FROM (%s) a;
END
$fn$
$sql$, rules);
END
$do$;
COMMENT ON FUNCTION tenancy.access_at(timestamptz) IS
	'The view tenancy.access as it was at some time, from the audit log; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.access_at(timestamptz) FROM PUBLIC;
-- ---------------------------------------------------------------------
-- For monitoring: what this backend has counted
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._stats(
	OUT lookups bigint, OUT loads bigint, OUT failed_loads bigint, OUT snapshot_loads bigint,
	OUT messages bigint, OUT resets bigint, OUT stale bigint, OUT evictions bigint,
	OUT sets bigint, OUT bytes bigint,
	OUT sign_ins bigint, OUT sign_in_failures bigint, OUT acts bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_stats';
COMMENT ON FUNCTION tenancy._stats() IS 'The counters of this backend.';

CREATE VIEW tenancy.stats WITH (security_invoker = true) AS
	SELECT s.lookups, s.loads, s.failed_loads, s.snapshot_loads, s.messages, s.resets, s.stale, s.evictions,
		   s.sets, s.bytes, s.sign_ins, s.sign_in_failures, s.acts
	FROM tenancy._stats() s;
COMMENT ON VIEW tenancy.stats IS 'What this backend has counted since it loaded the library; for pg_monitor and trusted roles.';
COMMENT ON COLUMN tenancy.stats.lookups IS 'How often an access set was asked for, in planning and in running statements.';
COMMENT ON COLUMN tenancy.stats.loads IS 'Access sets that were loaded.';
COMMENT ON COLUMN tenancy.stats.failed_loads IS 'Loads that ended in an error, a cancel or a timeout.';
COMMENT ON COLUMN tenancy.stats.snapshot_loads IS 'Access sets that were loaded for a query with an older snapshot.';
COMMENT ON COLUMN tenancy.stats.messages IS 'Announcements of changes that arrived, about anybody.';
COMMENT ON COLUMN tenancy.stats.resets IS 'Announcements that concern everybody: wholesale changes, and messages that were lost.';
COMMENT ON COLUMN tenancy.stats.stale IS 'Access sets that an announcement made stale.';
COMMENT ON COLUMN tenancy.stats.evictions IS 'Access sets that were dropped because tenancy.cache_size was used up.';
COMMENT ON COLUMN tenancy.stats.sets IS 'Access sets that are kept now.';
COMMENT ON COLUMN tenancy.stats.bytes IS 'Memory in the access sets that are kept now.';
COMMENT ON COLUMN tenancy.stats.sign_ins IS 'Credentials that authenticate() accepted.';
COMMENT ON COLUMN tenancy.stats.sign_in_failures IS 'Credentials that authenticate() refused.';
COMMENT ON COLUMN tenancy.stats.acts IS 'Calls of act_as() that named a user.';
REVOKE ALL ON tenancy.stats FROM PUBLIC;
-- ---------------------------------------------------------------------
-- The extension's own objects: how they are, to be compared with how they were
-- made
--
-- One row an object: shape is what matters for isolation, remedy makes the
-- object so again, recreate is for one that is gone.  89_shape.sql keeps what
-- this says at CREATE EXTENSION.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._shape(OUT object text, OUT shape text, OUT remedy text, OUT recreate text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH relations AS MATERIALIZED (
		SELECT c.oid, c.relkind, c.oid::regclass AS name, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, o.rolsuper
		FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v'))
	SELECT format('table %s', r.name),
		   format('row security %s, forced %s, of a superuser %s', r.relrowsecurity, r.relforcerowsecurity, r.rolsuper),
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;', r.name),
		   '-- restore the database: ' || r.name
	FROM relations r WHERE r.relkind = 'r'
	UNION ALL
	SELECT format('view %s', r.name), format('%s, of a superuser %s', coalesce(array_to_string(r.reloptions, ', '), 'no options'), r.rolsuper),
		   CASE WHEN r.reloptions IS NULL THEN format('ALTER VIEW %s RESET (security_invoker, security_barrier);', r.name)
				ELSE format('ALTER VIEW %s SET (%s);', r.name, array_to_string(r.reloptions, ', ')) END,
		   '-- restore the database: ' || r.name
	FROM relations r WHERE r.relkind = 'v'
	UNION ALL
	SELECT format('column %I of %s', a.attname, r.name), concat(format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END),
		   CASE WHEN a.attnotnull THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', r.name, a.attname)
				ELSE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', r.name, a.attname) END,
		   '-- restore the database: ' || r.name
	FROM relations r
	JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE r.relkind = 'r'
	UNION ALL
	SELECT format('policy %I on %s', p.polname, r.name), concat_ws(' ', p.polcmd, p.polpermissive, p.polroles, e.condition, e.new_row),
		   format(E'DROP POLICY %I ON %s;\n%s', p.polname, r.name, e.statement), e.statement
	FROM relations r
	JOIN pg_policy p ON p.polrelid = r.oid
	CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row) x
	CROSS JOIN LATERAL (SELECT x.condition, x.new_row,
							   format('CREATE POLICY %I ON %s FOR %s%s%s;', p.polname, r.name,
									  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
									  ' USING (' || x.condition || ')', ' WITH CHECK (' || x.new_row || ')') AS statement) e
	UNION ALL
	SELECT format('trigger %I on %s', g.tgname, r.name), concat_ws(' ', g.tgenabled, pg_get_triggerdef(g.oid)),
		   s.enable, format(E'%s;\n%s', pg_get_triggerdef(g.oid), s.enable)
	FROM relations r
	JOIN pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal
		-- those of distribute(), of which lint() speaks by itself
		AND g.tgfoid NOT IN ('tenancy._feed'::regproc, 'tenancy._refuse_on_worker'::regproc)
	CROSS JOIN LATERAL (SELECT format('ALTER TABLE %s ENABLE %sTRIGGER %I;', r.name, CASE g.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, g.tgname) AS enable) s
	UNION ALL
	-- the triggers that foreign keys are made of
	SELECT format('foreign key triggers of %s', r.name),
		   format('%s of %s fire', count(*) FILTER (WHERE g.tgenabled IN ('O', 'A')), count(*)),
		   format('ALTER TABLE %s ENABLE TRIGGER ALL;', r.name)
		   || coalesce((SELECT string_agg(format(E'\nALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', r.name, w.tgname), '' ORDER BY w.tgname)
						FROM pg_trigger w WHERE w.tgrelid = r.oid AND w.tgenabled = 'A' AND NOT w.tgisinternal), ''),
		   format('ALTER TABLE %s ENABLE TRIGGER ALL;', r.name)
	FROM relations r
	JOIN pg_trigger g ON g.tgrelid = r.oid AND g.tgisinternal
	JOIN pg_constraint k ON k.oid = g.tgconstraint
	-- those that an application's tables add are the application's
	WHERE k.conrelid IN (SELECT o.oid FROM relations o)
	GROUP BY r.oid, r.name
	UNION ALL
	SELECT format('constraint %I on %s', k.conname, r.name), concat(pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN ' not valid' END),
		   format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', r.name, k.conname),
		   format('ALTER TABLE %s ADD CONSTRAINT %I %s;', r.name, k.conname, pg_get_constraintdef(k.oid))
	FROM relations r
	JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')
	UNION ALL
	SELECT format('index %s', i.indexrelid::regclass), concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' invalid' END),
		   format('REINDEX INDEX %s;', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) || ';'
	FROM relations r
	JOIN pg_index i ON i.indrelid = r.oid
	-- what a constraint makes is the constraint's
	WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
	  -- and an index that somebody added for speed harms nobody
	  AND i.indisunique
	UNION ALL
	SELECT format('domain constraint %I of %s', k.conname, k.contypid::regtype), pg_get_constraintdef(k.oid),
		   format('ALTER DOMAIN %s VALIDATE CONSTRAINT %I;', k.contypid::regtype, k.conname),
		   format('ALTER DOMAIN %s ADD CONSTRAINT %I %s;', k.contypid::regtype, k.conname, pg_get_constraintdef(k.oid))
	FROM pg_constraint k WHERE k.connamespace = 'tenancy'::regnamespace AND k.contypid <> 0 AND k.contype = 'c'
	UNION ALL
	SELECT format('function %s', p.oid::regprocedure),
		   concat_ws(' ', l.lanname, x.label, array_to_string(p.proconfig, '; '), 'of a superuser ' || o.rolsuper, md5(p.prosrc)),
		   format('ALTER FUNCTION %s %s', p.oid::regprocedure, x.label)
		   || CASE WHEN p.proconfig IS NULL THEN ' RESET ALL'
				   ELSE (SELECT string_agg(format(' SET %s = %s', split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)), '') FROM unnest(p.proconfig) c) END || ';'
		   || format(E'\nALTER FUNCTION %s OWNER TO %I;', p.oid::regprocedure, pg_get_userbyid(10)),
		   '-- restore the database: ' || p.oid::regprocedure
	FROM pg_proc p
	JOIN pg_language l ON l.oid = p.prolang
	JOIN pg_roles o ON o.oid = p.proowner
	CROSS JOIN LATERAL (
		SELECT concat_ws(' ', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
						 CASE WHEN p.proleakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END,
						 CASE WHEN p.proisstrict THEN 'STRICT' ELSE 'CALLED ON NULL INPUT' END,
						 CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END,
						 CASE p.proparallel WHEN 's' THEN 'PARALLEL SAFE' WHEN 'r' THEN 'PARALLEL RESTRICTED' ELSE 'PARALLEL UNSAFE' END,
						 'COST ' || p.procost,
						 CASE WHEN p.prosupport <> 0 THEN 'SUPPORT ' || p.prosupport::regproc END) AS label) x
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname <> '_installed_shape'
$$;
COMMENT ON FUNCTION tenancy._shape() IS 'The extension''s own objects, as far as isolation depends on them.';
-- ---------------------------------------------------------------------
-- For the DBA: is what is stored sound, and away with what has ended
-- ---------------------------------------------------------------------

-- What differs from how the extension made it.
CREATE FUNCTION tenancy._altered(OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
BEGIN
	RETURN QUERY
		SELECT coalesce(o.object, i.object),
			   CASE WHEN i.object IS NULL THEN 'is missing'
					WHEN o.object IS NULL THEN 'was added to the extension''s own'
					ELSE 'was altered' END,
			   CASE WHEN i.object IS NULL THEN o.recreate
					WHEN o.object IS NULL AND i.object ~ '^policy' THEN split_part(i.remedy, E'\n', 1)
					WHEN o.object IS NULL THEN '-- drop ' || i.object
					ELSE o.remedy END
		FROM tenancy._installed_shape() o
		FULL JOIN tenancy._shape() i ON i.object = o.object
		WHERE o.shape IS DISTINCT FROM i.shape;
END
$$;
COMMENT ON FUNCTION tenancy._altered() IS 'The extension''s own objects that are not as it made them.';

-- Rules that no constraint can express, and constraints that a superuser can
-- silence.  Reads all rows, hence SECURITY DEFINER, and hence not for everybody.
CREATE FUNCTION tenancy.check_integrity()
RETURNS TABLE (rule text, object text, problem text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	key record;
	orphans bigint;
BEGIN
	-- No false "all is well".
	IF row_security_active('tenancy.users') THEN
		RETURN QUERY SELECT 'not_checked', 'function tenancy.check_integrity()',
							format('its owner %s is subject to row security, so nothing can be said', current_user);
		RETURN;
	END IF;

	RETURN QUERY
		SELECT 'version', 'extension tenancy',
			   format('the library is version %s, the SQL objects are version %s', tenancy._library_version(), e.extversion)
		FROM pg_extension e
		WHERE e.extname = 'tenancy' AND e.extversion <> tenancy._library_version();

	RETURN QUERY
		SELECT 'altered', a.object, a.problem FROM tenancy._altered() a;

	RETURN QUERY
		SELECT 'owner_is_member', 'organization ' || o.id, format('its Owner %s is also its member', o.owner_id)
		FROM tenancy.organizations o
		JOIN tenancy.memberships m ON m.organization_id = o.id AND m.user_id = o.owner_id;

	-- Every foreign key, whether its triggers fired or not.
	FOR key IN
		SELECT k.conname, k.conrelid::regclass AS child, k.confrelid::regclass AS parent,
			   string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') AS given,
			   string_agg(format('p.%I = c.%I', b.attname, a.attname), ' AND ') AS same
		FROM pg_constraint k
		CROSS JOIN LATERAL unnest(k.conkey, k.confkey) u (child, parent)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
		JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.parent
		WHERE k.contype = 'f' AND k.connamespace = 'tenancy'::regnamespace
		  -- two rules in one key, told apart below
		  AND NOT (k.conrelid = 'tenancy.project_memberships'::regclass AND k.confrelid = 'tenancy.projects'::regclass)
		GROUP BY k.oid, k.conname, k.conrelid, k.confrelid
		ORDER BY k.conrelid::regclass::text, k.conname
	LOOP
		EXECUTE format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
					   key.child, key.given, key.parent, key.same) INTO orphans;
		IF orphans > 0 THEN
			RETURN QUERY SELECT 'orphan', format('constraint %I on %s', key.conname, key.child),
								format('rows that refer to none of %s: %s', key.parent, orphans);
		END IF;
	END LOOP;

	RETURN QUERY
		SELECT CASE WHEN p.id IS NULL THEN 'orphan' ELSE 'foreign_project' END,
			   format('member %s of project %s', m.user_id, m.project_id),
			   CASE WHEN p.id IS NULL THEN 'the project does not exist'
					ELSE format('the project is of organization %s, the membership of %s', p.organization_id, m.organization_id) END
		FROM tenancy.project_memberships m
		LEFT JOIN tenancy.projects p ON p.id = m.project_id
		WHERE p.organization_id IS DISTINCT FROM m.organization_id;

	RETURN QUERY
		SELECT 'live_tokens', 'project ' || t.project_id, format('%s of its tokens live, and one may', count(*))
		FROM tenancy.project_tokens t
		WHERE t.revoked_at IS NULL
		GROUP BY t.project_id
		HAVING count(*) > 1;

	RETURN QUERY
		SELECT 'token_text', 'project token ' || t.id,
			   CASE WHEN t.revoked_at IS NOT NULL THEN 'it is revoked, and its text was kept'
					WHEN t.token IS NULL THEN 'it lives, and has no text'
					ELSE 'its text is not the one that its digest stands for' END
		FROM tenancy.project_tokens t
		WHERE (t.revoked_at IS NULL) <> (t.token IS NOT NULL)
		   OR (t.token IS NOT NULL AND t.digest IS DISTINCT FROM tenancy._credential_digest(t.token, 'project'));

	-- One that the user cannot reach any more may have been left; it is shown to nobody.
	RETURN QUERY
		SELECT 'preference', 'user ' || s.user_id,
			   format('the current project %s is not of the current organization', s.current_project_id)
		FROM tenancy.user_preferences s
		JOIN tenancy.projects p ON p.id = s.current_project_id
		WHERE p.organization_id IS DISTINCT FROM s.current_organization_id;

	-- A deactivated user may come back, and the binding with them.
	RETURN QUERY
		SELECT 'binding', format('role %I', b.role_name), format('is bound to the user %s in vain: %s', b.user_id, b.problem)
		FROM tenancy.bound_roles b
		JOIN tenancy.users u ON u.id = b.user_id AND u.is_active
		WHERE b.problem IS NOT NULL;

	RETURN QUERY
		SELECT 'forgotten_user', 'user ' || u.id, 'was forgotten, and is active or was left a session'
		FROM tenancy.users u
		WHERE u.forgotten_at IS NOT NULL
		  AND (u.is_active OR EXISTS (SELECT FROM tenancy.sessions s WHERE s.user_id = u.id AND s.revoked_at IS NULL));
END
$$;
COMMENT ON FUNCTION tenancy.check_integrity() IS
	'What is not as the extension keeps it, and no row when all is; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.check_integrity() FROM PUBLIC;

CREATE FUNCTION tenancy.purge(older_than interval)
RETURNS TABLE (what text, removed bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := clock_timestamp();
	until timestamptz;
BEGIN
	BEGIN
		until := present - older_than;
	EXCEPTION WHEN datetime_field_overflow THEN
		-- Nothing is that old; what lies in the future is refused below.
		until := CASE WHEN older_than > interval '0' THEN '-infinity'::timestamptz ELSE 'infinity' END;
	END;
	IF until IS NULL OR until > present THEN
		RAISE EXCEPTION 'older_than must be neither null nor negative'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;

	-- Rows that somebody holds are left for the next time: nobody waits.
	DELETE FROM tenancy.invites i
	WHERE i.id IN (SELECT d.id FROM tenancy.invites d WHERE d.expires_at < until FOR UPDATE SKIP LOCKED);
	what := 'expired invites';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.sessions s
	WHERE s.id IN (SELECT d.id FROM tenancy.sessions d WHERE least(d.revoked_at, d.expires_at) < until FOR UPDATE SKIP LOCKED);
	what := 'ended sessions';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.project_tokens t
	WHERE t.id IN (SELECT d.id FROM tenancy.project_tokens d WHERE d.revoked_at < until FOR UPDATE SKIP LOCKED);
	what := 'revoked project tokens';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.notifications n
	WHERE n.id IN (SELECT d.id FROM tenancy.notifications d WHERE d.sent_at < until FOR UPDATE SKIP LOCKED);
	what := 'sent notifications';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.notifications n
	WHERE n.id IN (SELECT d.id FROM tenancy.notifications d WHERE d.dead_at < until FOR UPDATE SKIP LOCKED);
	what := 'dead notifications';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy.purge(interval) IS
	'Removes invites, sessions, tokens and mail that ended longer ago than that; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.purge(interval) FROM PUBLIC;
-- ---------------------------------------------------------------------
-- lint, part 1: tables, their policies, keys and rights
--
-- Every function here is one part of tenancy.lint() and is read off the
-- catalogs only, with the rights of whoever asks.  A branch is a rule; its
-- comment says why it matters.  The severities are in tenancy.lint_rules.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._lint_role(role oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END
$$;
COMMENT ON FUNCTION tenancy._lint_role(oid) IS 'A role as it stands in GRANT and REVOKE.';

CREATE FUNCTION tenancy._lint_protect(relation oid, kind text, column_name name,
									  visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE kind
		   WHEN 'project' THEN format('SELECT tenancy.protect(%L, %L, %L);',
									  relation::regclass, column_name, coalesce(editable_by, 'member'))
		   ELSE format('SELECT tenancy.protect_by_organization(%L, %L, %L, %L);', relation::regclass, column_name,
					   coalesce(visible_to, 'member'), coalesce(editable_by, 'administrator')) END
$$;
COMMENT ON FUNCTION tenancy._lint_protect(oid, text, name, tenancy.access_level, tenancy.access_level) IS
	'The call that protects a table.';

-- The protected tables, one row each whatever their policies look like.
CREATE FUNCTION tenancy._lint_protected(
	OUT relation oid, OUT kind text, OUT column_name name, OUT attnum smallint,
	OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level,
	OUT owner oid, OUT row_security boolean, OUT forced boolean, OUT nullable boolean)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT ON (t.relation) t.relation::oid, t.kind, t.column_name, a.attnum, t.visible_to, t.editable_by,
		   c.relowner, c.relrowsecurity, c.relforcerowsecurity, NOT a.attnotnull
	FROM tenancy.protected_tables t
	JOIN pg_class c ON c.oid = t.relation
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attname = t.column_name
	ORDER BY t.relation, a.attnum
$$;
COMMENT ON FUNCTION tenancy._lint_protected() IS 'The protected tables, as lint reads them.';

-- The application's relations: not the system's, no extension's, not temporary.
CREATE FUNCTION tenancy._lint_relations(OUT relation oid, OUT kind "char", OUT owner oid)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid, c.relkind, c.relowner
	FROM pg_class c
	WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
	  AND c.oid NOT IN (SELECT d.objid FROM pg_depend d
						WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenancy._lint_relations() IS 'The relations that lint looks at.';

-- ---------------------------------------------------------------------
-- Is everything protected that ought to be, and wholly?
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_tables(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	-- Columns that speak of a project or an organization: by a foreign key, or
	-- by the name that such columns have here.
	names AS (
		SELECT 'project_id'::name AS column_name, 'project' AS kind
		UNION SELECT 'organization_id', 'organization'
		UNION SELECT p.column_name, p.kind FROM protected p WHERE p.column_name <> 'id'),
	keys AS (
		SELECT c.conrelid, c.conkey[array_position(c.confkey, 1::smallint)] AS attnum,
			   CASE WHEN c.confrelid = 'tenancy.projects'::regclass THEN 'project' ELSE 'organization' END AS kind
		FROM pg_constraint c
		WHERE c.contype = 'f' AND c.confrelid IN ('tenancy.projects'::regclass, 'tenancy.organizations'::regclass)),
	candidates AS MATERIALIZED (
		SELECT DISTINCT ON (r.relation) r.relation, r.kind AS relkind, a.attname, a.atttypid,
			   coalesce(k.kind, n.kind) AS kind
		FROM tenancy._lint_relations() r
		JOIN pg_attribute a ON a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN keys k ON k.conrelid = r.relation AND k.attnum = a.attnum
		LEFT JOIN names n ON n.column_name = a.attname AND a.atttypid IN ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
		WHERE r.kind IN ('r', 'p', 'f') AND (k.kind IS NOT NULL OR n.kind IS NOT NULL)
		ORDER BY r.relation, coalesce(k.kind, n.kind) DESC, k.kind NULLS LAST, a.attnum),
	-- What carries one of our policies, but no floor that names the column.
	broken AS MATERIALIZED (
		SELECT p.polrelid AS relation, bool_or(p.polname = 'tenancy_floor') AS floor,
			   CASE WHEN bool_or(e.text ~ '\mcan_(view|edit|write)"?\(') THEN 'project' ELSE 'organization' END AS kind,
			   max(substring(e.text, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'))
				   FILTER (WHERE p.polname NOT IN ('tenancy_floor', 'tenancy_select'))::tenancy.access_level AS editable_by,
			   max(substring(e.text, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'))
				   FILTER (WHERE p.polname = 'tenancy_select')::tenancy.access_level AS visible_to
		FROM pg_policy p
		JOIN tenancy._lint_relations() r ON r.relation = p.polrelid
		CROSS JOIN LATERAL (SELECT coalesce(pg_get_expr(p.polwithcheck, p.polrelid),
											pg_get_expr(p.polqual, p.polrelid)) AS text) e
		WHERE p.polname = ANY (tenancy._policy_names())
		  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = p.polrelid)
		  -- of a partition, the rule about partitions speaks
		  AND NOT EXISTS (SELECT FROM pg_inherits i JOIN protected t ON t.relation = i.inhparent WHERE i.inhrelid = p.polrelid)
		GROUP BY p.polrelid),
	children AS (
		SELECT i.inhrelid AS relation, c.relkind, c.relispartition, p.relation AS parent,
			   p.kind, p.column_name, p.visible_to, p.editable_by
		FROM pg_inherits i
		JOIN protected p ON p.relation = i.inhparent
		JOIN pg_class c ON c.oid = i.inhrelid
		WHERE NOT EXISTS (SELECT FROM protected own
						  WHERE own.relation = i.inhrelid AND own.kind = p.kind AND own.column_name = p.column_name
							AND own.visible_to IS NOT DISTINCT FROM p.visible_to
							AND own.editable_by IS NOT DISTINCT FROM p.editable_by)),
	policies AS MATERIALIZED (
		SELECT p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles,
			   pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row
		FROM pg_policy p
		WHERE p.polrelid IN (SELECT t.relation FROM protected t)),
	expected AS MATERIALIZED (
		SELECT t.*, x.*
		FROM protected t
		CROSS JOIN LATERAL tenancy._policy_expressions(t.kind, t.column_name, t.visible_to, t.editable_by) e
		CROSS JOIN LATERAL tenancy._policies(e.reading, e.inserting, e.changing) x)

	-- A table that is not protected shows the rows of all tenants to whoever may
	-- read it.  Copies of protected tables are found so, too.
	SELECT 'unprotected_table', c.relation::regclass::text,
		   format('column %I says whose the rows are, and nothing holds them apart', c.attname),
		   CASE WHEN c.atttypid <> 'uuid'::regtype
				THEN format(E'ALTER TABLE %s ALTER COLUMN %I TYPE uuid USING %2$I::uuid;\n', c.relation::regclass, c.attname)
				ELSE '' END
		   || tenancy._lint_protect(c.relation, c.kind, c.attname, NULL, NULL)
	FROM candidates c
	WHERE c.relkind <> 'f'
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = c.relation)
	  AND NOT EXISTS (SELECT FROM broken b WHERE b.relation = c.relation)
	  AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = c.attname
					  WHERE i.inhrelid = c.relation)
	UNION ALL
	-- Row security does not govern foreign tables: the other server sends all rows.
	SELECT 'foreign_table', c.relation::regclass::text,
		   format('row security does not hold for a foreign table, and %s may use it', h.names),
		   format('REVOKE ALL ON %s FROM %s CASCADE;', c.relation::regclass, h.names)
	FROM candidates c
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM pg_class r, aclexplode(r.relacl) a
						WHERE r.oid = c.relation AND a.grantee <> r.relowner) h
	WHERE c.relkind = 'f' AND h.names IS NOT NULL
	UNION ALL
	-- A partition that is asked by its own name follows its own policies only.
	SELECT 'unprotected_partition', c.relation::regclass::text,
		   format('it is part of %s and not protected as that is', c.parent::regclass),
		   CASE WHEN c.relkind = 'f' AND c.relispartition
				THEN format('ALTER TABLE %s DETACH PARTITION %s;', c.parent::regclass, c.relation::regclass)
				WHEN c.relkind = 'f'
				THEN format('ALTER FOREIGN TABLE %s NO INHERIT %s;', c.relation::regclass, c.parent::regclass)
				ELSE tenancy._lint_protect(c.parent, c.kind, c.column_name, c.visible_to, c.editable_by) END
	FROM children c
	UNION ALL
	-- Partitions that come later are protected by an event trigger.
	SELECT 'event_trigger_off', 'event trigger tenancy_protect_partitions',
		   CASE WHEN e.evtname IS NULL THEN 'it is missing: new partitions will not be protected'
				ELSE 'it is not ENABLE ALWAYS: new partitions are not protected' END,
		   CASE WHEN e.evtname IS NULL
				THEN E'CREATE EVENT TRIGGER tenancy_protect_partitions ON ddl_command_end\n'
					 '\tWHEN TAG IN (''CREATE TABLE'', ''ALTER TABLE'', ''CREATE TABLE AS'', ''CREATE SCHEMA'',\n'
					 '\t\t\t\t ''CREATE FOREIGN TABLE'', ''ALTER FOREIGN TABLE'')\n'
					 '\tEXECUTE FUNCTION tenancy._protect_new_partitions();\n'
					 'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;'
				ELSE 'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;' END
	FROM (VALUES ('tenancy_protect_partitions'::name)) x (name)
	LEFT JOIN pg_event_trigger e ON e.evtname = x.name
								AND e.evtfoid = 'tenancy._protect_new_partitions()'::regprocedure
	WHERE e.evtname IS NULL OR e.evtenabled <> 'A'
	UNION ALL
	-- Policies without row security are words without effect.
	SELECT 'row_security_off', t.relation::regclass::text, 'row security is off, the policies have no effect',
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.relation::regclass)
	FROM protected t WHERE NOT t.row_security
	UNION ALL
	-- Without FORCE the owner, and views and functions with the owner's rights, see everything.
	SELECT 'row_security_not_forced', t.relation::regclass::text, 'row security does not hold for the owner of the table',
		   format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', t.relation::regclass)
	FROM protected t WHERE NOT t.forced
	UNION ALL
	-- Without a floor any policy opens the table; without a permissive policy
	-- nobody can use it.
	SELECT 'policy_missing', b.relation::regclass::text, 'policy tenancy_floor is missing',
		   coalesce((SELECT tenancy._lint_protect(b.relation, b.kind, a.attname, b.visible_to, b.editable_by)
					 FROM pg_policy p
					 JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
									 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
					 JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
					 WHERE p.polrelid = b.relation AND p.polname = ANY (tenancy._policy_names())
					 ORDER BY a.attnum LIMIT 1),
					format('-- protect table %s again: by which column is not known any more', b.relation::regclass))
	FROM broken b WHERE NOT b.floor
	UNION ALL
	SELECT 'policy_missing', e.relation::regclass::text, format('policy %s is missing', e.policy),
		   tenancy._lint_protect(e.relation, e.kind, e.column_name, e.visible_to, e.editable_by)
	FROM expected e
	WHERE NOT EXISTS (SELECT FROM policies p
					  WHERE p.polrelid = e.relation
						AND (p.polname = e.policy
							 OR (e.permissive AND p.polpermissive AND p.polcmd IN ('*', e.command))))
	UNION ALL
	-- A policy that protect() would write otherwise may allow more.
	SELECT 'policy_altered', b.relation::regclass::text, 'policy tenancy_floor is not as protect() writes it',
		   coalesce((SELECT tenancy._lint_protect(b.relation, b.kind, a.attname, b.visible_to, b.editable_by)
					 FROM pg_policy p
					 JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
									 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
					 JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
					 WHERE p.polrelid = b.relation AND p.polname = ANY (tenancy._policy_names())
					 ORDER BY a.attnum LIMIT 1),
					format('-- protect table %s again: by which column is not known any more', b.relation::regclass))
	FROM broken b WHERE b.floor
	UNION ALL
	SELECT 'policy_altered', e.relation::regclass::text, format('policy %s is not as protect() writes it', e.policy),
		   tenancy._lint_protect(e.relation, e.kind, e.column_name, e.visible_to, e.editable_by)
	FROM expected e
	JOIN policies p ON p.polrelid = e.relation AND p.polname = e.policy
	WHERE (p.polcmd, p.polpermissive, p.polroles) IS DISTINCT FROM (e.command, e.permissive, '{0}'::oid[])
	   OR p.condition IS DISTINCT FROM e.condition OR p.new_row IS DISTINCT FROM e.new_row
	UNION ALL
	-- Permissive policies are joined by OR: one beside ours narrows nothing, and
	-- would open the table the day the floor goes.
	SELECT 'permissive_policy', format('policy %I on %s', p.polname, p.polrelid::regclass),
		   format('permissive beside ours (%s): it has no effect, whatever it says',
				  (SELECT string_agg(e.policy, ', ' ORDER BY e.policy) FROM expected e JOIN policies o ON o.polrelid = e.relation AND o.polname = e.policy
				   WHERE e.relation = p.polrelid AND e.permissive AND p.polcmd IN ('*', e.command))),
		   format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass)
	FROM policies p
	WHERE p.polpermissive AND p.polname <> ALL (tenancy._policy_names())
	  AND EXISTS (SELECT FROM expected e JOIN policies o ON o.polrelid = e.relation AND o.polname = e.policy
				  WHERE e.relation = p.polrelid AND e.permissive AND p.polcmd IN ('*', e.command))
	UNION ALL
	-- A row without project is everybody's the moment a policy forgets NULL.
	SELECT 'column_nullable', t.relation::regclass::text, format('column %I may be null', t.column_name),
		   format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', t.relation::regclass, t.column_name)
	FROM protected t WHERE t.nullable
	UNION ALL
	-- Without the foreign key rows outlive their project, and a project of that
	-- id that comes later takes them over.
	SELECT 'foreign_key_missing', t.relation::regclass::text,
		   CASE WHEN k.conname IS NULL THEN format('column %I has no foreign key to %s', t.column_name, g.target)
				ELSE format('constraint %I is not validated', k.conname) END,
		   CASE WHEN k.conname IS NULL
				THEN format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s ON DELETE CASCADE;', t.relation::regclass, t.column_name, g.target)
				ELSE format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', t.relation::regclass, k.conname) END
	FROM protected t
	CROSS JOIN LATERAL (SELECT tenancy._target(t.relation, t.kind) AS target OFFSET 0) g
	LEFT JOIN LATERAL (SELECT c.conname, c.convalidated FROM pg_constraint c
					   WHERE c.contype = 'f' AND c.conrelid = t.relation AND c.confrelid = g.target AND t.attnum = ANY (c.conkey)
					   ORDER BY c.convalidated DESC LIMIT 1) k ON true
	WHERE k.conname IS NULL OR NOT k.convalidated
	UNION ALL
	-- The policies become a condition for this index.
	SELECT 'index_missing', t.relation::regclass::text, format('no index leads with column %I', t.column_name),
		   format('CREATE INDEX ON %s (%I);', t.relation::regclass, t.column_name)
	FROM protected t
	WHERE NOT EXISTS (SELECT FROM pg_index i
					  JOIN pg_class c ON c.oid = i.indexrelid
					  JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'
					  WHERE i.indrelid = t.relation AND i.indkey[0] = t.attnum AND i.indisvalid AND i.indpred IS NULL)
	UNION ALL
	-- Row security does not govern these rights: TRUNCATE empties the table for
	-- all tenants, a trigger reads what others write, a foreign key asks what exists.
	SELECT 'rights_beyond_rows', t.relation::regclass::text,
		   format('%s has %s, which row security does not govern', tenancy._lint_role(a.grantee),
				  string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)),
		   format('REVOKE %s ON %s FROM %s CASCADE;', string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type),
				  t.relation::regclass, tenancy._lint_role(a.grantee))
	FROM protected t
	CROSS JOIN LATERAL (SELECT c.relacl AS acl FROM pg_class c WHERE c.oid = t.relation
						UNION ALL
						SELECT c.attacl FROM pg_attribute c WHERE c.attrelid = t.relation AND c.attacl IS NOT NULL) l
	CROSS JOIN LATERAL aclexplode(l.acl) a
	WHERE a.grantee <> t.owner AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
	GROUP BY t.relation, a.grantee
$$;
COMMENT ON FUNCTION tenancy._lint_tables() IS 'Part of lint(): is everything protected that ought to be, and wholly?';

-- ---------------------------------------------------------------------
-- Keys, indexes and columns of protected tables
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_keys(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	relations AS MATERIALIZED (SELECT * FROM tenancy._lint_relations()),
	indexes AS MATERIALIZED (
		SELECT t.relation, t.column_name, t.attnum, i.indexrelid, c.relname, n.nspname, m.amname, k.oid AS constraint, k.conname, k.contype,
			   i.indkey::smallint[] AS columns, i.indnkeyatts, m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL AS whole,
			   (i.indisunique OR k.contype IS NOT DISTINCT FROM 'x')
			   AND NOT coalesce(t.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]), false) AS telling,
			   EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid) AS referred_to,
			   -- one column that is filled at random: its values cannot be guessed
			   (i.indisunique AND i.indnkeyatts = 1
				AND EXISTS (SELECT FROM pg_attribute a
							JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
							WHERE a.attrelid = t.relation AND a.attnum = i.indkey[0] AND a.atttypid = 'uuid'::regtype
							  AND pg_get_expr(d.adbin, d.adrelid) ~ '\m(gen_random_uuid|uuid_generate_v4|uuidv4)\(')) AS random
		FROM protected t
		JOIN pg_index i ON i.indrelid = t.relation
		JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
		JOIN pg_am m ON m.oid = c.relam
		JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = t.relation AND k.contype IN ('p', 'u', 'x')),
	foreign_keys AS MATERIALIZED (
		SELECT c.oid, c.conname, c.conrelid, c.confrelid, c.conkey, c.confkey, c.confdeltype, c.confupdtype, c.condeferrable, c.condeferred,
			   child.column_name, child.kind, child.attnum, parent.column_name AS parent_column, parent.kind AS parent_kind,
			   parent.attnum AS parent_attnum
		FROM pg_constraint c
		JOIN protected child ON child.relation = c.conrelid
		JOIN protected parent ON parent.relation = c.confrelid
		WHERE c.contype = 'f' AND c.conparentid = 0)

	-- "Duplicate key" tells that a row exists in a project that is hidden.
	SELECT CASE WHEN i.random THEN 'unique_random_key' ELSE 'unique_without_column' END,
		   format('%s %I on %s', CASE WHEN i.contype IS NULL THEN 'index' ELSE 'constraint' END, coalesce(i.conname, i.relname), i.relation::regclass),
		   CASE WHEN i.random THEN format('unique over all projects: whoever knows an id learns that it exists; lead it with %I', i.column_name)
				ELSE format('unique over all projects: a violation tells that a row exists in a hidden one; lead it with %I', i.column_name) END,
		   CASE WHEN i.referred_to THEN '-- once no foreign key refers to it: ' ELSE '' END ||
		   CASE WHEN i.contype IN ('p', 'u')
				THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s (%I, %s);', i.relation::regclass, i.conname,
							CASE i.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, i.column_name,
							(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
							 FROM unnest(i.columns[0:i.indnkeyatts - 1]) WITH ORDINALITY k (attnum, place)
							 JOIN pg_attribute a ON a.attrelid = i.relation AND a.attnum = k.attnum))
				WHEN i.contype = 'x'
				THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s;', i.relation::regclass, i.conname,
							regexp_replace(pg_get_constraintdef(i.constraint),
										   'EXCLUDE USING (\w+) \(', format('EXCLUDE USING \1 (%I WITH =, ', replace(i.column_name, '\', '\\'))))
				ELSE format(E'DROP INDEX %I.%I;\n%s;', i.nspname, i.relname,
							regexp_replace(pg_get_indexdef(i.indexrelid), ' USING btree \(', format(' USING btree (%I, ', replace(i.column_name, '\', '\\')))) END
	FROM indexes i
	WHERE i.telling
	UNION ALL
	-- "Rows Removed by Filter" of EXPLAIN ANALYZE counts hidden rows that such an
	-- index finds.
	SELECT 'index_not_led', format('index %I on %s', i.relname, i.relation::regclass),
		   format('it does not lead with column %I: EXPLAIN ANALYZE tells how many hidden rows it finds', i.column_name),
		   CASE WHEN i.contype IS NOT NULL OR i.amname <> 'btree'
				THEN format('-- make index %I anew with column %I in front', i.relname, i.column_name)
				ELSE format(E'DROP INDEX %I.%I;\n%s;', i.nspname, i.relname,
							regexp_replace(pg_get_indexdef(i.indexrelid), ' USING btree \(', format(' USING btree (%I, ', replace(i.column_name, '\', '\\')))) END
	FROM indexes i
	WHERE i.columns[0] <> i.attnum AND NOT i.telling
	  -- a key that foreign keys refer to may have the columns in their order
	  AND NOT i.referred_to
	UNION ALL
	-- Foreign keys are checked without row security: one without the column
	-- points into hidden projects, and its CASCADE deletes there.
	SELECT 'foreign_key_without_column', format('constraint %I on %s', f.conname, f.conrelid::regclass),
		   format('it can point to rows of %s that are of another %s', f.confrelid::regclass, f.kind),
		   CASE WHEN f.kind <> f.parent_kind
				THEN format('-- give %s and %s the same kind of column: one is protected by %s, the other by %s', f.conrelid::regclass, f.confrelid::regclass, f.kind, f.parent_kind)
				ELSE CASE WHEN x.has_key THEN ''
						  ELSE format(E'ALTER TABLE %s ADD UNIQUE (%I, %s);\n', f.confrelid::regclass, f.parent_column, x.parent_columns) END
					 || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I FOREIGN KEY (%I, %s) REFERENCES %s (%I, %s)%s%s%s;',
							   f.conrelid::regclass, f.conname, f.column_name, x.child_columns, f.confrelid::regclass, f.parent_column, x.parent_columns,
							   CASE f.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END,
							   CASE f.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
									WHEN 'n' THEN format(' ON DELETE SET NULL (%s)', x.child_columns)
									WHEN 'd' THEN format(' ON DELETE SET DEFAULT (%s)', x.child_columns) ELSE '' END,
							   CASE WHEN f.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN f.condeferrable THEN ' DEFERRABLE' ELSE '' END) END
	FROM foreign_keys f
	CROSS JOIN LATERAL (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) AS child_columns,
			   string_agg(quote_ident(b.attname), ', ' ORDER BY k.place) AS parent_columns,
			   EXISTS (SELECT FROM pg_index i
					   WHERE i.indrelid = f.confrelid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
						 AND (SELECT array_agg(u ORDER BY u) FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) u)
							 = (SELECT array_agg(u ORDER BY u) FROM unnest(f.confkey || f.parent_attnum) u)) AS has_key
		FROM unnest(f.conkey, f.confkey) WITH ORDINALITY k (child, parent, place)
		JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.child
		JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent) x
	WHERE NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) k (child, parent)
					  WHERE k.child = f.attnum AND k.parent = f.parent_attnum AND f.kind = f.parent_kind)
	UNION ALL
	-- Whoever may insert here finds out which rows exist in hidden projects.
	SELECT 'foreign_key_from_unprotected', format('constraint %I on %s', c.conname, c.conrelid::regclass),
		   format('%s is not protected, and a row in it tells whether one exists in %s', c.conrelid::regclass, c.confrelid::regclass),
		   format('ALTER TABLE %s DROP CONSTRAINT %I;', c.conrelid::regclass, c.conname)
	FROM pg_constraint c
	JOIN relations r ON r.relation = c.conrelid
	WHERE c.contype = 'f' AND c.conparentid = 0
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = c.conrelid)
	  AND (EXISTS (SELECT FROM protected t WHERE t.relation = c.confrelid)
		   OR EXISTS (SELECT FROM pg_class o WHERE o.oid = c.confrelid AND o.relnamespace = 'tenancy'::regnamespace
					  AND o.relname NOT IN ('projects', 'organizations', 'plans')))
	UNION ALL
	-- A row of the other table that goes is looked for in all rows of the project.
	SELECT 'foreign_key_not_indexed', format('constraint %I on %s', f.conname, f.conrelid::regclass),
		   format('no index of %s leads with its columns', f.conrelid::regclass),
		   format('CREATE INDEX ON %s (%s);', f.conrelid::regclass, k.names)
	FROM foreign_keys f
	CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY (a.attnum = f.attnum) DESC, array_position(f.conkey, a.attnum)) AS names
						FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey)) k
	WHERE f.attnum = ANY (f.conkey)
	  AND NOT EXISTS (SELECT FROM indexes i
					  WHERE i.relation = f.conrelid AND i.whole AND i.columns[0:cardinality(f.conkey) - 1] @> f.conkey)
	UNION ALL
	-- Whoever chooses the number of a row learns whether it is taken.
	SELECT 'identity_insertable', format('column %I of %s', a.attname, t.relation::regclass),
		   format('%s may choose its values, and learns which of them hidden rows have', tenancy._lint_role(g.grantee)),
		   format(E'REVOKE INSERT ON %s FROM %s CASCADE;\nGRANT INSERT (%s) ON %1$s TO %2$s;', t.relation::regclass, tenancy._lint_role(g.grantee),
				  (SELECT string_agg(quote_ident(o.attname), ', ' ORDER BY o.attnum) FROM pg_attribute o
				   WHERE o.attrelid = t.relation AND o.attnum > 0 AND NOT o.attisdropped AND o.attidentity = '' AND o.attgenerated = ''))
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attidentity <> ''
	JOIN pg_class c ON c.oid = t.relation
	CROSS JOIN LATERAL (SELECT e.grantee FROM aclexplode(c.relacl) e WHERE e.privilege_type = 'INSERT'
						UNION SELECT e.grantee FROM aclexplode(a.attacl) e WHERE e.privilege_type = 'INSERT') g
	WHERE g.grantee <> t.owner
	  AND EXISTS (SELECT FROM indexes i WHERE i.relation = t.relation AND i.telling AND a.attnum = ANY (i.columns[0:i.indnkeyatts - 1]))
	UNION ALL
	-- Numbers that are counted up tell how busy others are.
	SELECT 'serial_column', t.relation::regclass::text,
		   format('column %I is counted up over all projects: its gaps tell how busy others are', a.attname),
		   format('-- give column %I of %s random ids: uuid DEFAULT gen_random_uuid()', a.attname, t.relation::regclass)
	FROM protected t
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
					AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
	JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum = d.refobjsubid
	UNION ALL
	-- The last value of a sequence is the number of rows that all tenants made.
	SELECT 'sequence_readable', s.oid::regclass::text,
		   format('%s may read how many rows of %s were ever made', tenancy._lint_role(g.grantee), t.relation::regclass),
		   format('REVOKE %s ON SEQUENCE %s FROM %s;', string_agg(DISTINCT g.privilege_type, ', ' ORDER BY g.privilege_type), s.oid::regclass, tenancy._lint_role(g.grantee))
	FROM protected t
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
					AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
	JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
	CROSS JOIN LATERAL aclexplode(s.relacl) g
	WHERE g.grantee <> s.relowner
	  -- a serial column needs USAGE to be filled, an identity column nothing
	  AND (g.privilege_type IN ('SELECT', 'UPDATE') OR d.deptype = 'i')
	GROUP BY s.oid, g.grantee, t.relation
	UNION ALL
	-- What an UPDATE or DELETE was about goes to every reader of the log; without
	-- the column in it no publication can be narrowed to a project.
	SELECT 'replica_identity', t.relation::regclass::text,
		   CASE c.relreplident WHEN 'f' THEN 'its replica identity writes whole old rows for every subscriber'
				ELSE format('its replica identity lacks column %I: no publication can be filtered by it', t.column_name) END,
		   format('ALTER TABLE %s REPLICA IDENTITY DEFAULT;', t.relation::regclass)
	FROM protected t
	JOIN pg_class c ON c.oid = t.relation
	LEFT JOIN pg_index i ON i.indrelid = t.relation AND i.indisreplident
	WHERE c.relreplident = 'f'
	   OR (c.relreplident = 'i' AND NOT coalesce(t.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]), false))
	UNION ALL
	-- A function that claims to be immutable and is not may copy rows of others
	-- into the column, where their policies do not follow.
	SELECT 'generated_column', format('column %I of %s', a.attname, t.relation::regclass),
		   format('it is generated by %s, which could read rows of other projects', f.oid::regprocedure),
		   -- from 18 on there are virtual ones, which stay what they are
		   format('%sALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION;', CASE a.attgenerated WHEN 's' THEN '' ELSE '-- write it anew without the function, not: ' END,
				  t.relation::regclass, a.attname)
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attgenerated <> '' AND NOT a.attisdropped
	JOIN pg_attrdef x ON x.adrelid = t.relation AND x.adnum = a.attnum
	-- from 15 to 18 the expression's dependencies are the column's or the default's
	JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass
		AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid)
			 OR (d.classid = 'pg_class'::regclass AND d.objid = t.relation AND d.objsubid = a.attnum))
	JOIN pg_proc f ON f.oid = d.refobjid
	JOIN pg_language l ON l.oid = f.prolang AND l.lanname NOT IN ('c', 'internal')
	UNION ALL
	-- Who may read a generated column reads what it was made from.
	SELECT 'generated_column', format('column %I of %s', a.attname, t.relation::regclass),
		   format('%s may read it, and may not read column %I, which it is made from', tenancy._lint_role(g.grantee), b.attname),
		   format('REVOKE SELECT (%I) ON %s FROM %s;', a.attname, t.relation::regclass, tenancy._lint_role(g.grantee))
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attgenerated <> '' AND NOT a.attisdropped AND a.attacl IS NOT NULL
	JOIN pg_attrdef x ON x.adrelid = t.relation AND x.adnum = a.attnum
	JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation AND d.refobjsubid > 0
		AND d.refobjsubid <> a.attnum
		AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid)
			 OR (d.classid = 'pg_class'::regclass AND d.objid = t.relation AND d.objsubid = a.attnum))
	JOIN pg_attribute b ON b.attrelid = t.relation AND b.attnum = d.refobjsubid
	CROSS JOIN LATERAL aclexplode(a.attacl) g
	WHERE g.privilege_type = 'SELECT' AND g.grantee <> t.owner
	  AND NOT CASE WHEN g.grantee = 0 THEN has_column_privilege('public', t.relation, b.attnum, 'SELECT')
				   ELSE has_column_privilege(g.grantee, t.relation, b.attnum, 'SELECT') END
	UNION ALL
	-- A large object belongs to no project: whoever has its number, and the right, reads it.
	SELECT 'large_objects', format('column %I of %s', a.attname, t.relation::regclass),
		   'large objects belong to no project, and row security does not hold for them',
		   format('-- keep the bytes in %s: a column of type bytea', t.relation::regclass)
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped
	JOIN pg_type y ON y.oid = a.atttypid AND (y.oid = 'oid'::regtype OR y.typname = 'lo')
	UNION ALL
	SELECT 'large_objects', 'setting lo_compat_privileges', 'everybody may read and change all large objects',
		   'ALTER SYSTEM RESET lo_compat_privileges;'
	FROM pg_settings s WHERE s.name = 'lo_compat_privileges' AND s.setting = 'on'
$$;
COMMENT ON FUNCTION tenancy._lint_keys() IS 'Part of lint(): keys, indexes and columns that tell of hidden rows.';
-- ---------------------------------------------------------------------
-- lint, part 2: what leads around the policies: other policies, views,
-- functions, rules, replication
-- ---------------------------------------------------------------------

-- ---------------------------------------------------------------------
-- Policies that are not ours
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_policies(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT t.relation FROM tenancy._lint_protected() t),
	policies AS MATERIALIZED (
		SELECT p.oid, p.polname, p.polrelid AS relation, p.polpermissive,
			   format('policy %I on %s', p.polname, p.polrelid::regclass) AS name,
			   format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass) AS removal,
			   p.polrelid IN (SELECT t.relation FROM protected t) AS protected,
			   concat_ws(E'\n', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS text,
			   p.polroles, concat(p.polqual, p.polwithcheck) AS tree
		FROM pg_policy p
		JOIN tenancy._lint_relations() r ON r.relation = p.polrelid
		WHERE p.polname <> ALL (tenancy._policy_names()))

	-- What was written to be enforced is not.
	SELECT 'policies_without_row_security', r.relation::regclass::text, 'it has policies, and row security is off',
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND NOT c.relrowsecurity
	WHERE EXISTS (SELECT FROM policies p WHERE p.relation = r.relation)
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- The owner, and views and functions with the owner's rights, see everything.
	SELECT 'policies_not_forced', r.relation::regclass::text, 'it has policies, and they do not hold for the owner of the table',
		   format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND c.relrowsecurity AND NOT c.relforcerowsecurity
	WHERE EXISTS (SELECT FROM policies p WHERE p.relation = r.relation)
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- Nobody but exempt roles sees a row: safe, and seldom meant.  Restrictive
	-- policies only take away.
	SELECT 'row_security_without_policies', r.relation::regclass::text, 'row security is on, and no policy lets anybody in',
		   format('-- protect %s, or: ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND c.relrowsecurity
	WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = r.relation AND p.polpermissive)
	  -- of these the rules about our policies speak
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- A policy that is always true decides nothing, or everything.
	SELECT 'policy_always_true', p.name, 'its condition is always true', p.removal
	FROM policies p
	WHERE p.text ~ '(^|\n)\(?true\)?($|\n)|\mOR \(?true\M|\mtrue\)? OR\M|\((\d+) = \3\)'
	UNION ALL
	-- A permissive policy that is never true lets nobody in.
	SELECT 'policy_always_false', p.name, 'its condition is always false: it lets nobody in', p.removal
	FROM policies p
	WHERE p.polpermissive AND p.text ~ '(^|\n)\(?false\)?($|\n)|\mAND \(?false\M|\mfalse\)? AND\M'
	UNION ALL
	-- It opens the whole table, or nothing of it.
	SELECT 'policy_ignores_row', p.name, 'its condition looks at no column of the row: it opens all rows or none', p.removal
	FROM policies p
	WHERE p.polpermissive AND p.text !~ '^(\(?(true|false)\)?\n?)+$|\((\d+) = \3\)'
	  AND NOT EXISTS (SELECT FROM pg_depend d
					  WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.relation AND d.refobjsubid > 0)
	UNION ALL
	-- Whoever is not signed in is let in.
	SELECT 'policy_opens_to_nobody', p.name, 'it lets in whoever is not signed in', p.removal
	FROM policies p
	WHERE p.text ~ '\m(current_user_id|current_project_id)\(\)\)? IS (NULL|DISTINCT FROM)\M|IS DISTINCT FROM (tenancy[.])?(current_user_id|current_project_id)\(|\mCOALESCE\((tenancy[.])?(current_user_id|current_project_id)\('
	   OR p.text ~ '\mcurrent_setting\([^()]*\)\)? IS NULL\M'
	UNION ALL
	-- A percent sign in a name, and it matches everybody.
	SELECT 'policy_matches_pattern', p.name, 'it matches by a pattern what says who is acting: a wildcard is everybody', p.removal
	FROM policies p
	WHERE p.text ~ ' !?~~?[*]? ' AND p.text ~ '\mcurrent_setting\(|\mcurrent_(user|project)_id\(|\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
	UNION ALL
	-- Asked for each row anew, without index and without parallel plans, and with
	-- another answer each time.
	SELECT 'policy_volatile', p.name,
		   format('it calls %s, which is volatile', string_agg(DISTINCT f.oid::regprocedure::text, ', ')), p.removal
	FROM policies p
	CROSS JOIN LATERAL regexp_matches(p.tree, ':(?:funcid|opfuncid) (\d+)', 'g') m (ids)
	JOIN pg_proc f ON f.oid = m.ids[1]::oid AND f.provolatile = 'v'
	GROUP BY p.name, p.removal
	UNION ALL
	-- Whom it names is not bound by row security, or is nobody.
	SELECT 'policy_role_inert', p.name,
		   format('it is for %s, and nobody who is bound by row security works as that', string_agg(tenancy._lint_role(r.oid), ', ')),
		   format('-- let policy %I be for the roles that applications log in as', p.polname)
	FROM policies p
	CROSS JOIN LATERAL unnest(p.polroles) n (role)
	LEFT JOIN pg_roles r ON r.oid = n.role
	GROUP BY p.name, p.polname
	HAVING bool_and(n.role <> 0
					AND (r.rolsuper OR r.rolbypassrls
						 OR (NOT r.rolcanlogin AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))))
	UNION ALL
	-- "Not" turns nobody into everybody, COALESCE lets rows without project
	-- through, and under OR there is no index condition.
	SELECT 'policy_wraps_predicate', p.name, 'it asks tenancy under NOT, OR, CASE, COALESCE or IS: what is unknown may come out as yes',
		   p.removal
	FROM policies p
	WHERE p.text ~ '\m(can_view|can_edit|can_write|can_reach|is_member)\('
	  AND p.text ~ '\m(NOT|OR|CASE|COALESCE|NULLIF)\M|\mIS (NOT )?(NULL|TRUE|FALSE|UNKNOWN|DISTINCT)'
	UNION ALL
	-- All users of an application are one role, and settings are anybody's to set.
	SELECT 'policy_reads_session', p.name, 'it depends on the role or on a setting, which say nothing about who is acting',
		   p.removal
	FROM policies p
	WHERE p.protected AND p.text ~ '\mcurrent_setting\(|\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
	  AND p.text !~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- Whoever may write into the table that a policy asks decides what it says.
	SELECT 'policy_reads_writable', p.name,
		   format('it depends on %s, which %s may change and which is not protected', d.refobjid::regclass, tenancy._lint_role(a.grantee)),
		   format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %s;', d.refobjid::regclass, tenancy._lint_role(a.grantee))
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
					AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.relation
	JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace <> 'tenancy'::regnamespace
	CROSS JOIN LATERAL aclexplode(c.relacl) a
	WHERE p.protected AND a.grantee <> c.relowner AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
	  AND d.refobjid NOT IN (SELECT t.relation FROM protected t)
	GROUP BY p.name, d.refobjid, a.grantee
	UNION ALL
	-- Policies run with the rights of whoever asks, who so may read all of it.
	SELECT 'policy_reads_unprotected', p.name,
		   format('it depends on %s, which has no row security: whoever it is asked for may read all of that', d.refobjid::regclass),
		   format('-- protect %s, or ask it through a function', d.refobjid::regclass)
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
					AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.relation
	JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND c.relnamespace <> 'tenancy'::regnamespace
	WHERE p.protected
	GROUP BY p.name, d.refobjid
	UNION ALL
	-- The planner sees an index condition only through functions that it inlines.
	SELECT 'wrapper_not_inlined', p.name,
		   format('it asks tenancy through %s, which the planner cannot see through: no index is used', f.oid::regprocedure),
		   format('-- call tenancy''s functions in policy %I directly', p.polname)
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
	JOIN pg_proc f ON f.oid = d.refobjid AND f.pronamespace <> 'tenancy'::regnamespace AND f.oid >= 16384
	JOIN pg_language l ON l.oid = f.prolang
	WHERE f.prosrc ~ '\m(can_view|can_edit|can_write|can_reach|is_member)"?\s*\('
	  AND (l.lanname <> 'sql' OR f.prosecdef OR f.proconfig IS NOT NULL OR f.proisstrict)
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody
	-- may have set.
	SELECT 'identity_from_setting', p.name, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM policies p
	WHERE p.text ~ 'current_setting\(''tenancy[.]'
$$;
COMMENT ON FUNCTION tenancy._lint_policies() IS 'Part of lint(): policies that are not ours.';

-- ---------------------------------------------------------------------
-- Views, materialized views, rules
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_views(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	-- What holds rows of tenants.
	guarded AS MATERIALIZED (
		SELECT t.relation FROM protected t
		UNION ALL
		SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND c.relname <> 'plans'),
	views AS MATERIALIZED (
		SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relnamespace <> 'tenancy'::regnamespace AS theirs,
			   c.relkind = 'v' AND x.invoker IS NOT TRUE AND (o.rolsuper OR o.rolbypassrls) AS exempt,
			   o.rolsuper OR o.rolbypassrls AS owner_exempt, coalesce(x.barrier, false) AS barrier, coalesce(x.checked, false) AS checked
		FROM pg_class c
		JOIN pg_roles o ON o.oid = c.relowner
		CROSS JOIN LATERAL (SELECT bool_or(CASE WHEN t.option_name = 'security_invoker' THEN t.option_value::boolean END) AS invoker,
								   bool_or(CASE WHEN t.option_name = 'security_barrier' THEN t.option_value::boolean END) AS barrier,
								   bool_or(t.option_name = 'check_option') AS checked
							FROM pg_options_to_table(c.reloptions) t) x
		WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384),
	reads AS MATERIALIZED (
		SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
		FROM pg_rewrite r
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
		WHERE r.ev_type = '1' AND r.ev_class IN (SELECT v.oid FROM views v)),
	-- A view reads its tables with the rights of its owner, or of whoever asks,
	-- wherever the view itself is used.
	culprits AS MATERIALIZED (
		SELECT v.oid, v.relowner, v.theirs, string_agg(x.relation::regclass::text, ', ' ORDER BY x.relation::regclass::text COLLATE "C") AS tables
		FROM views v
		JOIN reads x ON x.view = v.oid
		JOIN guarded g ON g.relation = x.relation
		WHERE v.exempt
		GROUP BY v.oid, v.relowner, v.theirs),
	-- Everything above a culprit.
	above (view, culprit) AS (
		SELECT x.view, c.oid FROM culprits c JOIN reads x ON x.relation = c.oid
		UNION
		SELECT x.view, a.culprit FROM above a JOIN reads x ON x.relation = a.view),
	-- Everything above a protected table.
	touching (view) AS (
		SELECT x.view FROM reads x JOIN guarded g ON g.relation = x.relation
		UNION
		SELECT x.view FROM touching t JOIN reads x ON x.relation = t.view)

	-- Superusers and roles with BYPASSRLS see all rows, and so does everybody
	-- through a view of theirs.
	SELECT 'view_owner_exempt', c.oid::regclass::text,
		   format('it reads %s with the rights of %s, whom row security does not bind', c.tables, tenancy._lint_role(c.relowner)),
		   format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass)
	FROM culprits c WHERE c.theirs
	UNION ALL
	SELECT 'view_owner_exempt', a.view::regclass::text,
		   format('it reads %s by way of %s, with the rights of %s, whom row security does not bind', c.tables, c.oid::regclass, tenancy._lint_role(c.relowner)),
		   CASE WHEN c.theirs THEN format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass)
				ELSE format('-- let %s read tenancy''s tables, or the views for everybody, in place of %s', a.view::regclass, c.oid::regclass) END
	FROM above a
	JOIN culprits c ON c.oid = a.culprit
	JOIN views v ON v.oid = a.view AND v.theirs AND v.relkind = 'v'
	WHERE a.view NOT IN (SELECT k.oid FROM culprits k)
	UNION ALL
	-- A materialized view is a copy: it holds what its maker saw, for everybody
	-- who may read it.
	SELECT 'materialized_view', v.oid::regclass::text,
		   CASE WHEN h.names IS NULL THEN format('a copy of rows that are protected, which %s may read', tenancy._lint_role(v.relowner))
				ELSE format('a copy of rows that are protected, which %s may read', h.names) END,
		   CASE WHEN h.names IS NULL THEN format('DROP MATERIALIZED VIEW %s;', v.oid::regclass)
				ELSE format('REVOKE ALL ON %s FROM %s CASCADE;', v.oid::regclass, h.names) END
	FROM views v
	JOIN touching t ON t.view = v.oid
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner) h
	WHERE v.relkind = 'm' AND (h.names IS NOT NULL OR NOT v.owner_exempt)
	UNION ALL
	-- One GRANT away from the rule above.
	SELECT 'materialized_view_private', v.oid::regclass::text,
		   format('a copy of rows that are protected, which only %s may read', tenancy._lint_role(v.relowner)),
		   format('-- grant %s to nobody', v.oid::regclass)
	FROM views v
	JOIN touching t ON t.view = v.oid
	WHERE v.relkind = 'm' AND v.owner_exempt
	  AND NOT EXISTS (SELECT FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner)
	UNION ALL
	-- Through a view that filters, ON CONFLICT and INSERT reach rows that it hides.
	SELECT 'view_writable', v.oid::regclass::text,
		   format('%s may write through it, also rows that it does not show', string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ')),
		   format('ALTER VIEW %s SET (check_option = cascaded);', v.oid::regclass)
	FROM views v
	JOIN touching t ON t.view = v.oid
	CROSS JOIN LATERAL aclexplode(v.relacl) a
	WHERE v.theirs AND v.relkind = 'v' AND a.grantee <> v.relowner AND a.privilege_type IN ('INSERT', 'UPDATE')
	  AND NOT v.checked
	  AND pg_relation_is_updatable(v.oid, false) & 12 <> 0
	  AND pg_get_viewdef(v.oid) ~ '\mWHERE\M'
	GROUP BY v.oid
	UNION ALL
	-- Without the barrier a function of the asker's sees the rows before the filter does.
	SELECT 'view_filters_itself', v.oid::regclass::text,
		   'it filters by tenancy''s functions itself, and functions of whoever asks may run first',
		   format('ALTER VIEW %s SET (security_barrier = true);', v.oid::regclass)
	FROM views v
	WHERE v.theirs AND v.relkind = 'v' AND NOT v.barrier
	  AND EXISTS (SELECT FROM pg_rewrite r
				  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
				  JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace = 'tenancy'::regnamespace
				  WHERE r.ev_class = v.oid AND p.proname IN ('can_view', 'can_edit', 'can_write', 'can_reach', 'is_member'))
	UNION ALL
	-- A report that has fallen behind its table, or out of its protection.
	SELECT 'reporting_view', r.view::text, r.problem,
		   CASE r.problem WHEN 'the source is not protected' THEN format('-- protect %s, or DROP VIEW %s', r.source, r.view)
						  ELSE format('SELECT tenancy.refresh_reporting_view(%L);', r.view) END
	FROM tenancy.reporting_views r
	WHERE r.problem IS NOT NULL
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody
	-- may have set.  (2077 and 3294 are current_setting.)
	SELECT 'identity_from_setting', v.oid::regclass::text, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM views v
	JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
	WHERE v.theirs AND r.ev_action::text ~ ':funcid (2077|3294) ' AND pg_get_viewdef(v.oid) ~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- A rule acts with the rights of the table's owner, on rows that others write.
	SELECT 'rewrite_rule', format('rule %I on %s', r.rulename, r.ev_class::regclass),
		   'a rule on a protected table acts with the rights of its owner',
		   format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
	FROM pg_rewrite r
	JOIN protected t ON t.relation = r.ev_class
	UNION ALL
	SELECT 'rewrite_rule', format('rule %I on %s', r.rulename, r.ev_class::regclass),
		   format('it reads or writes %s with the rights of %s, whom row security does not bind',
				  string_agg(DISTINCT d.refobjid::regclass::text, ', '), tenancy._lint_role(c.relowner)),
		   format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
	FROM pg_rewrite r
	JOIN pg_class c ON c.oid = r.ev_class
	JOIN pg_roles o ON o.oid = c.relowner AND (o.rolsuper OR o.rolbypassrls)
	JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
	WHERE r.ev_type <> '1' AND d.refobjid <> r.ev_class
	  AND d.refobjid IN (SELECT g.relation FROM guarded g UNION ALL SELECT t.view FROM touching t)
	  AND r.ev_class NOT IN (SELECT t.relation FROM protected t)
	GROUP BY r.rulename, r.ev_class, c.relowner
$$;
COMMENT ON FUNCTION tenancy._lint_views() IS 'Part of lint(): views, materialized views and rules over protected tables.';

-- ---------------------------------------------------------------------
-- Functions and triggers
--
-- What a function with a body in SQL-standard syntax reads is in pg_depend.  Of
-- the others only the text is known: the names in it are compared with those of
-- relations, so what is put together at run time stays unseen.
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_functions(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	guarded AS MATERIALIZED (
		SELECT t.relation, c.relname FROM protected t JOIN pg_class c ON c.oid = t.relation
		UNION ALL
		SELECT c.oid, c.relname FROM pg_class c
		WHERE c.relnamespace = 'tenancy'::regnamespace AND (c.relkind = 'r' AND c.relname <> 'plans' OR c.relname = 'access')),
	functions AS MATERIALIZED (
		SELECT p.oid, p.proname, concat(p.prosrc, CASE WHEN p.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(p.oid) END) AS prosrc, p.prosecdef, p.provolatile, p.proleakproof, p.prokind, p.proowner, p.pronamespace, p.prorettype,
			   p.proconfig, p.proargnames, l.lanname, p.prosqlbody IS NOT NULL AS standard, o.rolsuper OR o.rolbypassrls AS exempt,
			   CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word,
			   (SELECT s.setting FROM unnest(p.proconfig) s (setting) WHERE s.setting ~ '^search_path=') AS path,
			   -- may anybody else have it run?
			   p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) OR p.proacl IS NULL
			   OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner) AS callable,
			   p.oid IN (SELECT d.objid FROM pg_depend d
						 WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e') AS of_extension
		FROM pg_proc p
		JOIN pg_language l ON l.oid = p.prolang
		JOIN pg_roles o ON o.oid = p.proowner
		WHERE p.oid >= 16384 AND p.prokind <> 'a' AND p.pronamespace <> 'tenancy'::regnamespace),
	relations AS MATERIALIZED (
		SELECT c.oid, c.relname, lower(c.relname) AS word, lower(c.relname) ~ '^[a-z0-9_$]+$' AS plain, c.relnamespace = 'tenancy'::regnamespace AS ours
		FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.oid >= 16384 AND c.relpersistence <> 't'),
	reads AS MATERIALIZED (
		SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
		FROM pg_rewrite r
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
		WHERE r.ev_type = '1'),
	-- Materialized views, and the views that they are made of
	made_of (copy, view) AS (
		SELECT c.oid, c.oid FROM pg_class c WHERE c.relkind = 'm'
		UNION
		SELECT m.copy, x.relation FROM made_of m JOIN reads x ON x.view = m.view),
	-- and the functions that fill them
	fillers AS MATERIALIZED (
		SELECT DISTINCT m.copy, d.refobjid AS function
		FROM made_of m
		JOIN pg_rewrite r ON r.ev_class = m.view AND r.ev_type = '1'
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass),
	-- Functions whose reads matter: with somebody else's rights, kept, or told to others.
	readers AS MATERIALIZED (
		SELECT f.*, lower(f.prosrc) AS body FROM functions f
		WHERE (f.prosecdef AND f.exempt AND f.callable)
		   OR f.oid IN (SELECT x.function FROM fillers x)
		   OR (NOT f.of_extension AND f.prosrc ~* '\mpg_notify\s*\(|\mnotify\s+[^\s;,]+\s*,')),
	-- What they call, as far as it is in pg_depend.
	callees (function, callee) AS (
		SELECT f.oid, f.oid FROM readers f
		UNION
		SELECT c.function, d.refobjid
		FROM callees c
		JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = c.callee AND d.refclassid = 'pg_proc'::regclass
		JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace <> 'tenancy'::regnamespace),
	named AS MATERIALIZED (
		SELECT DISTINCT f.oid AS function, r.oid AS relation
		FROM readers f
		CROSS JOIN LATERAL regexp_split_to_table(f.body, '[^a-z0-9_$]+') w (word)
		JOIN relations r ON r.word = w.word AND r.plain
		WHERE NOT f.standard
		  -- names like users are common: ours count with the schema only
		  AND (NOT r.ours OR f.body ~ format('\mtenancy"?\s*[.]\s*"?%s\M', r.word) OR f.path ~ '\mtenancy\M')
		UNION
		SELECT f.oid, r.oid
		FROM readers f
		JOIN relations r ON NOT r.plain AND position(r.word IN f.body) > 0
		WHERE NOT f.standard
		UNION
		SELECT c.function, d.refobjid
		FROM callees c
		JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = c.callee AND d.refclassid = 'pg_class'::regclass),
	-- and through views
	reached (function, relation) AS (
		SELECT n.function, n.relation FROM named n
		UNION
		SELECT r.function, x.relation FROM reached r JOIN reads x ON x.view = r.relation),
	touched AS MATERIALIZED (
		SELECT r.function, string_agg(DISTINCT g.relation::regclass::text, ', ') AS tables
		FROM reached r JOIN guarded g ON g.relation = r.relation
		GROUP BY r.function)

	-- It reads all rows, on behalf of everybody who calls it.
	SELECT 'definer_function', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, and it reads or changes %s%s',
				  tenancy._lint_role(f.proowner), t.tables, CASE WHEN f.standard THEN '' ELSE ' (by its text)' END),
		   format('ALTER %s %s SECURITY INVOKER;', f.word, f.oid::regprocedure)
	FROM readers f
	JOIN touched t ON t.function = f.oid
	WHERE f.prosecdef AND f.exempt AND f.callable
	UNION ALL
	-- A copy, too, if a function reads the rows for it.
	SELECT CASE WHEN h.names IS NULL AND (o.rolsuper OR o.rolbypassrls) THEN 'materialized_view_private' ELSE 'materialized_view' END,
		   v.oid::regclass::text,
		   format('a copy of rows of %s, by way of %s, which %s may read', t.tables, f.oid::regprocedure, coalesce(h.names, 'only ' || tenancy._lint_role(v.relowner))),
		   CASE WHEN h.names IS NOT NULL THEN format('REVOKE ALL ON %s FROM %s CASCADE;', v.oid::regclass, h.names)
				WHEN o.rolsuper OR o.rolbypassrls THEN format('-- grant %s to nobody', v.oid::regclass)
				ELSE format('DROP MATERIALIZED VIEW %s;', v.oid::regclass) END
	FROM fillers x
	JOIN readers f ON f.oid = x.function
	JOIN touched t ON t.function = f.oid
	JOIN pg_class v ON v.oid = x.copy
	JOIN pg_roles o ON o.oid = v.relowner
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner) h
	-- what it reads itself, the rule about views says
	WHERE NOT EXISTS (SELECT FROM made_of m JOIN guarded g ON g.relation = m.view WHERE m.copy = x.copy)
	UNION ALL
	-- What it reads is put together at run time.
	SELECT 'definer_dynamic', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, and it runs SQL that it puts together', tenancy._lint_role(f.proowner)),
		   format('ALTER %s %s SECURITY INVOKER;', f.word, f.oid::regprocedure)
	FROM readers f
	WHERE f.prosecdef AND f.exempt AND f.callable AND f.lanname = 'plpgsql' AND f.prosrc ~* '\mexecute\M'
	  AND NOT f.of_extension
	  AND f.oid NOT IN (SELECT t.function FROM touched t)
	UNION ALL
	SELECT 'not_checked', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, in language %s: what it reads is not known', tenancy._lint_role(f.proowner), f.lanname),
		   format('-- read the source of %s, or take EXECUTE away', f.oid::regprocedure)
	FROM readers f
	WHERE f.prosecdef AND f.exempt AND f.callable AND f.lanname NOT IN ('sql', 'plpgsql')
	  AND f.oid NOT IN (SELECT t.function FROM touched t)
	UNION ALL
	-- Names are looked up where the caller says, and in pg_temp first.
	SELECT 'definer_search_path', f.oid::regprocedure::text,
		   CASE WHEN f.path IS NULL THEN 'SECURITY DEFINER without a search_path of its own: its caller chooses what its names mean'
				ELSE 'SECURITY DEFINER whose search_path does not end with pg_temp: temporary tables come first' END,
		   format('ALTER %s %s SET search_path = %s, pg_temp;', f.word, f.oid::regprocedure,
				  CASE WHEN f.path IS NULL THEN concat_ws(', ', 'pg_catalog', nullif(quote_ident((SELECT n.nspname FROM pg_namespace n WHERE n.oid = f.pronamespace)), 'pg_catalog'))
					   WHEN btrim(substr(f.path, 13), ' "') = '' THEN 'pg_catalog'
					   ELSE regexp_replace(substr(f.path, 13), '"?pg_temp"?\s*,\s*', '') END)
	FROM functions f
	WHERE f.prosecdef AND NOT f.standard AND f.lanname NOT IN ('c', 'internal')
	  AND (f.path IS NULL OR f.path !~ '"?\mpg_temp"?\s*$')
	UNION ALL
	-- Whoever creates objects in a schema of the path decides what the names mean.
	SELECT 'definer_path_writable', f.oid::regprocedure::text,
		   format('SECURITY DEFINER, and %s may create objects in schema %I of its search_path', tenancy._lint_role(a.grantee), n.nspname),
		   format('REVOKE CREATE ON SCHEMA %I FROM %s CASCADE;', n.nspname, tenancy._lint_role(a.grantee))
	FROM functions f
	CROSS JOIN LATERAL regexp_split_to_table(substr(f.path, 13), '\s*,\s*') e (element)
	JOIN pg_namespace n ON quote_ident(n.nspname) = quote_ident(btrim(e.element, '" '))
	CROSS JOIN LATERAL aclexplode(n.nspacl) a
	LEFT JOIN pg_roles g ON g.oid = a.grantee
	WHERE f.prosecdef AND NOT f.standard AND a.privilege_type = 'CREATE'
	  AND a.grantee NOT IN (n.nspowner, f.proowner) AND g.rolsuper IS DISTINCT FROM true
	UNION ALL
	-- An answer about one user is kept in a plan and given to the next.
	SELECT 'immutable_wrapper', f.oid::regprocedure::text,
		   'it claims to be IMMUTABLE and asks who is acting: a plan keeps the first answer for everybody',
		   format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
	FROM functions f
	WHERE f.provolatile = 'i' AND NOT f.of_extension
	  AND ((f.prosrc ~* '\m(can_view|can_edit|can_write|can_reach|can|is_member|level_in|viewable_projects|viewable_organizations|current_user_id|current_project_id)"?\s*\('
			AND (f.prosrc ~* 'tenancy' OR f.path ~ 'tenancy'))
		   OR EXISTS (SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid
					  WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_proc'::regclass
						AND p.pronamespace = 'tenancy'::regnamespace AND p.provolatile <> 'i'))
	UNION ALL
	SELECT 'immutable_wrapper', f.oid::regprocedure::text,
		   'it claims to be IMMUTABLE and reads a setting or the role: a plan keeps the first answer for everybody',
		   format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
	FROM functions f
	WHERE f.provolatile = 'i' AND NOT f.of_extension
	  AND f.prosrc ~* '\mcurrent_setting\s*\(|\m(current_user|session_user|current_role)\M'
	UNION ALL
	-- The planner lets it see rows before the policies have spoken.
	SELECT 'leakproof_function', f.oid::regprocedure::text, 'it claims to be LEAKPROOF: it is shown rows before the policies are',
		   format('ALTER FUNCTION %s NOT LEAKPROOF;', f.oid::regprocedure)
	FROM functions f WHERE f.proleakproof AND NOT f.of_extension
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody may have set.
	SELECT 'identity_from_setting', f.oid::regprocedure::text, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM functions f WHERE f.prosrc ~* 'current_setting\s*\(\s*''tenancy[.]' AND NOT f.of_extension
	UNION ALL
	SELECT 'identity_from_setting', format('column %I of %s', a.attname, d.adrelid::regclass),
		   'its default reads a setting of tenancy by name, which can be forged',
		   format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', d.adrelid::regclass, a.attname)
	FROM pg_attrdef d
	JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
	WHERE d.adbin::text ~ ':funcid (2077|3294) ' AND pg_get_expr(d.adbin, d.adrelid) ~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- Anybody may LISTEN.
	SELECT 'notify_payload', f.oid::regprocedure::text,
		   format('it sends a payload by NOTIFY, which anybody may hear, and deals with %s',
				  coalesce(t.tables, (SELECT string_agg(DISTINCT g.tgrelid::regclass::text, ', ') FROM pg_trigger g
									  WHERE g.tgfoid = f.oid AND g.tgrelid IN (SELECT p.relation FROM protected p)))),
		   format('-- let %s notify without a payload', f.oid::regprocedure)
	FROM readers f
	LEFT JOIN touched t ON t.function = f.oid
	WHERE f.prosrc ~* '\mpg_notify\s*\(|\mnotify\s+[^\s;,]+\s*,' AND NOT f.of_extension
	  AND (t.function IS NOT NULL
		   OR EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = f.oid AND g.tgrelid IN (SELECT p.relation FROM protected p)))
	UNION ALL
	-- CALL is kept with its arguments in logs and statistics.
	SELECT 'procedure_takes_credential', f.oid::regprocedure::text,
		   'arguments of CALL are text of the statement for the log and for pg_stat_statements',
		   format('-- make a function of procedure %s', f.oid::regprocedure)
	FROM functions f
	WHERE f.prokind = 'p' AND array_to_string(f.proargnames, ' ') ~* 'token|credential|password|passwd|secret|api_?key'
	UNION ALL
	-- It is shown every row that is written, on behalf of who writes it.
	SELECT 'trigger_of_another', format('trigger %I on %s', g.tgname, g.tgrelid::regclass),
		   format('its function %s belongs to %s, who can change what it does with the rows of %s',
				  f.oid::regprocedure, tenancy._lint_role(f.proowner), g.tgrelid::regclass),
		   format('DROP TRIGGER %I ON %s;', g.tgname, g.tgrelid::regclass)
	FROM pg_trigger g
	JOIN protected t ON t.relation = g.tgrelid
	JOIN functions f ON f.oid = g.tgfoid
	JOIN pg_roles o ON o.oid = f.proowner
	WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND f.proowner <> t.owner AND NOT o.rolsuper
	UNION ALL
	-- It runs with the rights of whoever changes the schema, superusers among them.
	SELECT 'event_trigger_weak', format('event trigger %I', e.evtname),
		   format('its function %s belongs to %s, and runs as whoever changes the schema', e.evtfoid::regprocedure, tenancy._lint_role(p.proowner)),
		   format('DROP EVENT TRIGGER %I;', e.evtname)
	FROM pg_event_trigger e
	JOIN pg_proc p ON p.oid = e.evtfoid
	JOIN pg_roles o ON o.oid = p.proowner
	JOIN pg_roles w ON w.oid = e.evtowner
	WHERE NOT (o.rolsuper AND w.rolsuper)
$$;
COMMENT ON FUNCTION tenancy._lint_functions() IS 'Part of lint(): functions and triggers that deal with protected tables.';

-- ---------------------------------------------------------------------
-- Replication
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_replication(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH guarded AS MATERIALIZED (
		SELECT t.relation, c.relnamespace FROM tenancy._lint_protected() t JOIN pg_class c ON c.oid = t.relation
		UNION ALL
		SELECT c.oid, c.relnamespace FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND c.relname <> 'plans')

	-- A subscriber gets all rows, whoever may see them.
	SELECT 'publication', format('publication %I', p.pubname),
		   format('it sends all rows of %s: row security does not hold for subscribers', r.prrelid::regclass),
		   format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.prrelid::regclass)
	FROM pg_publication p
	JOIN pg_publication_rel r ON r.prpubid = p.oid
	WHERE r.prrelid IN (SELECT g.relation FROM guarded g)
	UNION ALL
	SELECT 'publication', format('publication %I', p.pubname),
		   format('it sends all rows of the tables in schema %I: row security does not hold for subscribers', n.nspname),
		   format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I;', p.pubname, n.nspname)
	FROM pg_publication p
	JOIN pg_publication_namespace r ON r.pnpubid = p.oid
	JOIN pg_namespace n ON n.oid = r.pnnspid
	WHERE r.pnnspid IN (SELECT g.relnamespace FROM guarded g)
	UNION ALL
	SELECT 'publication', format('publication %I', p.pubname),
		   'it sends all rows of all tables: row security does not hold for subscribers',
		   format('-- DROP PUBLICATION %I, unless its subscribers may see everything', p.pubname)
	FROM pg_publication p WHERE p.puballtables
	UNION ALL
	-- What is applied passes no policy, and guards do not fire.
	SELECT 'subscription', format('subscription %I', s.subname),
		   coalesce('it writes into ' || (SELECT string_agg(r.srrelid::regclass::text, ', ' ORDER BY r.srrelid) FROM pg_subscription_rel r
										  WHERE r.srsubid = s.oid AND r.srrelid IN (SELECT g.relation FROM guarded g))
					|| ': guards do not fire for what is applied',
					'what it applies passes no guard; run tenancy.check_integrity() now and then'),
		   format('-- DROP SUBSCRIPTION %I, unless its publisher is trusted', s.subname)
	FROM pg_subscription s
	JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database()
$$;
COMMENT ON FUNCTION tenancy._lint_replication() IS 'Part of lint(): publications and subscriptions of protected tables.';
-- ---------------------------------------------------------------------
-- Proof: tries, as a role, what isolation forbids
--
-- tenancy.prove_isolation() makes synthetic organizations, projects, users and
-- rows, lets the role try what the table of templates below lists, and undoes
-- everything.  Three rules keep it safe and honest:
--
-- 1. Whatever may run code of the application's is run by _run_as() with the
--    rights of the role that tries, or of the table's owner, never with the
--    caller's.  That is every query on a table of theirs, also one that only
--    reads: beside triggers, defaults and checks there are the predicates of
--    indexes and the like, which the planner evaluates.
-- 2. Every table is tried in a subtransaction of its own and every attempt in
--    one inside that, and all of them end in an exception.  The answers live
--    in variables and in the result, which no rollback reaches.
-- 3. What was seen or changed is judged from outside: by counting and
--    comparing the synthetic rows as the table's owner, whom _proof_read()
--    does not let be filtered.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._run_as(role regrole, path text, command text, unfiltered boolean,
								OUT affected bigint, OUT answer text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_run_as';
COMMENT ON FUNCTION tenancy._run_as(regrole, text, text, boolean) IS
	'Runs a statement as another role, which cannot become the caller again; unfiltered: forced row security does not bind the owner of a table.';

-- A superuser's table runs what hangs on it with a superuser's rights.  So all of it,
-- and all below it, has to be a superuser's, too.  Names somebody else's, if there is one.
CREATE FUNCTION tenancy._proof_stranger(relation regclass)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE below AS (
		SELECT _proof_stranger.relation::oid AS oid
		UNION
		SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
	), reached (classid, objid) AS (
		SELECT 'pg_class'::regclass::oid, b.oid FROM below b
		UNION
		SELECT n.classid, n.objid
		FROM reached r
		CROSS JOIN LATERAL (
			-- what it calls
			SELECT d.refclassid, d.refobjid
			FROM pg_depend d
			WHERE d.classid = r.classid AND d.objid = r.objid
			  AND d.refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
			UNION ALL
			-- what is a part of it: triggers, rules, indexes, defaults, checks, statistics
			SELECT d.classid, d.objid
			FROM pg_depend d
			WHERE d.refclassid = r.classid AND d.refobjid = r.objid AND d.deptype IN ('a', 'i')
			  AND d.classid <> 'pg_policy'::regclass	-- which binds no superuser
			  AND r.classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass)) n (classid, objid)
	)
	SELECT min(format('%s belongs to %I', pg_describe_object(r.classid, r.objid, 0), o.rolname) COLLATE "C")
	FROM reached r
	JOIN pg_shdepend s ON s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
					   AND s.classid = r.classid AND s.objid = r.objid AND s.deptype = 'o'
	JOIN pg_roles o ON o.oid = s.refobjid
	WHERE NOT o.rolsuper
$$;
COMMENT ON FUNCTION tenancy._proof_stranger(regclass) IS
	'What a superuser''s table would run, or pass on, that belongs to somebody who is none.';

CREATE FUNCTION tenancy._proof_require_own(relation regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stranger text;
BEGIN
	IF (SELECT r.rolsuper FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = relation) THEN
		-- before looking, so that no trigger comes afterwards
		EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', relation);
		stranger := tenancy._proof_stranger(relation);
		IF stranger IS NOT NULL THEN
			RAISE EXCEPTION 'table "%" is a superuser''s and would run what is not: %', relation, stranger
				USING ERRCODE = 'object_not_in_prerequisite_state';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_require_own(regclass) IS 'Raises when a superuser''s table would run what is somebody else''s.';

-- An error of its own kind, lest it pass for a refusal of what is tried.
CREATE FUNCTION tenancy._proof_read(relation regclass, query text)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (tenancy._run_as((SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'pg_catalog', query, true)).answer;
EXCEPTION WHEN OTHERS OR assert_failure THEN
	RAISE EXCEPTION 'the owner of table "%" cannot read it: %', relation, SQLERRM
		USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;
COMMENT ON FUNCTION tenancy._proof_read(regclass, text) IS
	'The one value that a query on a table answers to its owner, who is not filtered.';

-- ---------------------------------------------------------------------
-- What is to be proven
-- ---------------------------------------------------------------------

-- Not the view protected_tables: a table whose floor was dropped or altered is
-- the one that has to be looked at, and so is a partition without policies.
CREATE FUNCTION tenancy._proof_tables(OUT relation regclass, OUT kind text, OUT column_name name,
									  OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE ours AS (
		SELECT p.oid, p.polrelid, p.polname, p.polcmd,
			   pg_get_expr(p.polqual, p.polrelid) AS reading,
			   concat_ws(' ', CASE WHEN p.polcmd IN ('w', 'd') THEN pg_get_expr(p.polqual, p.polrelid) END,
						 pg_get_expr(p.polwithcheck, p.polrelid)) AS writing
		FROM pg_policy p
		WHERE p.polname = ANY (tenancy._policy_names())
	), keys AS (
		SELECT c.conrelid, c.conkey[1] AS attnum, c.confrelid
		FROM pg_constraint c
		WHERE c.contype = 'f' AND cardinality(c.conkey) = 1
		  AND c.confrelid IN ('tenancy.projects'::regclass, 'tenancy.organizations'::regclass)
	), marked AS (
		SELECT o.polrelid,
			   CASE WHEN bool_or(concat(o.reading, o.writing) ~ 'tenancy\.can_(view|edit|write)\(') THEN 'project'
					WHEN bool_or(concat(o.reading, o.writing) ~ 'tenancy\.is_member\(') THEN 'organization'
					ELSE (SELECT CASE k.confrelid WHEN 'tenancy.projects'::regclass THEN 'project' ELSE 'organization' END
						  FROM keys k WHERE k.conrelid = o.polrelid ORDER BY k.attnum LIMIT 1) END AS kind,
			   coalesce((SELECT a.attname
						 FROM pg_depend d
						 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
						 WHERE d.classid = 'pg_policy'::regclass AND d.objid = ANY (array_agg(o.oid))
						   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = o.polrelid
						   AND a.atttypid = 'uuid'::regtype
						 GROUP BY a.attname ORDER BY count(*) DESC, a.attname LIMIT 1),
						(SELECT a.attname FROM keys k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.attnum
						 WHERE k.conrelid = o.polrelid ORDER BY k.attnum LIMIT 1)) AS column_name,
			   (SELECT max(m[1]::tenancy.access_level)
				FROM regexp_matches(string_agg(o.reading, ' ') FILTER (WHERE o.polcmd IN ('*', 'r')),
									'''(member|administrator|owner)''::tenancy\.access_level', 'g') m) AS visible_to,
			   (SELECT max(m[1]::tenancy.access_level)
				FROM regexp_matches(string_agg(o.writing, ' '),
									'''(member|administrator|owner)''::tenancy\.access_level', 'g') m) AS editable_by
		FROM ours o
		GROUP BY o.polrelid
	), below AS (
		SELECT m.polrelid AS relid, m.polrelid AS source, 0 AS depth FROM marked m
		UNION
		SELECT i.inhrelid, b.source, b.depth + 1 FROM below b JOIN pg_inherits i ON i.inhparent = b.relid
	)
	SELECT DISTINCT ON (b.relid) b.relid::regclass, m.kind, m.column_name,
		   coalesce(m.visible_to, 'member'), coalesce(m.editable_by, 'member')
	FROM below b
	JOIN marked m ON m.polrelid = b.source
	JOIN pg_class c ON c.oid = b.relid
	WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
	ORDER BY b.relid, (m.column_name IS NULL OR m.kind IS NULL), b.depth
$$;
COMMENT ON FUNCTION tenancy._proof_tables() IS
	'The tables with a policy of ours, and everything below them, protected or not.';

CREATE FUNCTION tenancy._proof_views(relation regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE readers AS (
		SELECT _proof_views.relation::oid AS oid
		UNION
		SELECT r.ev_class
		FROM readers v
		JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid
						AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite r ON r.oid = d.objid
	)
	SELECT c.oid::regclass
	FROM readers v
	JOIN pg_class c ON c.oid = v.oid
	WHERE c.relkind IN ('v', 'm')
	ORDER BY c.oid::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION tenancy._proof_views(regclass) IS
	'Every view that selects from a table, or from a view that does.';

-- The search_path that the role finds when it logs in.
CREATE FUNCTION tenancy._proof_path(role regrole)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		(SELECT substr(c, length('search_path=') + 1)
		 FROM pg_db_role_setting s, unnest(s.setconfig) c
		 WHERE s.setrole IN (0, _proof_path.role)
		   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
		   AND c LIKE 'search\_path=%'
		 ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
		 LIMIT 1),
		(SELECT f.setting FROM pg_file_settings f WHERE f.name = 'search_path' AND f.applied ORDER BY f.seqno DESC LIMIT 1),
		(SELECT s.boot_val FROM pg_settings s WHERE s.name = 'search_path'))
$$;
COMMENT ON FUNCTION tenancy._proof_path(regrole) IS 'The search_path that a role begins with in this database.';

-- ---------------------------------------------------------------------
-- Synthetic values and rows
-- ---------------------------------------------------------------------

-- What a check, or the bounds of a partition, mention: the likeliest to pass.
CREATE FUNCTION tenancy._proof_literals(expression text)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(DISTINCT l.value), '{}')
	FROM (SELECT replace(m[1], '''''', '''') AS value
		  FROM regexp_matches(expression, '''((?:[^'']|'''')*)''', 'g') m
		  UNION ALL
		  SELECT (m[1]::numeric + d)::text
		  FROM regexp_matches(regexp_replace(expression, '''(?:[^'']|'''')*''', '''''', 'g'),
							  '(?<![\w.])(-?\d{1,15}(?:\.\d{1,15})?)(?![\w.])', 'g') m,
			   unnest('{0,-1,1}'::numeric[]) d) l
$$;
COMMENT ON FUNCTION tenancy._proof_literals(text) IS 'The constants in an expression, and the numbers beside them.';

-- As text that the type reads, the likeliest first; n makes them differ and,
-- where the type has an order, rise.
CREATE FUNCTION tenancy._proof_candidates(type oid, modifier integer, n bigint)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t pg_type%ROWTYPE;
	of_parts text[];
	size integer;
	small bigint := n / 1000 + n % 1000;	-- differs and rises within narrow types, too
	digest text := md5(n::text);
	letters text := translate(digest, '0123456789', 'ghijklmnop');
BEGIN
	SELECT * INTO STRICT t FROM pg_type p WHERE p.oid = _proof_candidates.type;
	CASE t.typtype
		WHEN 'd' THEN
			RETURN tenancy._proof_candidates(t.typbasetype, greatest(t.typtypmod, modifier), n);
		WHEN 'e' THEN
			RETURN (SELECT array_agg(e.enumlabel::text ORDER BY (e.place + n) % e.total, e.place)
					FROM (SELECT l.enumlabel, row_number() OVER (ORDER BY l.enumsortorder) AS place, count(*) OVER () AS total
						  FROM pg_enum l WHERE l.enumtypid = t.oid) e);
		WHEN 'r', 'm' THEN
			SELECT array[tenancy._proof_candidates(r.rngsubtype, -1, n), tenancy._proof_candidates(r.rngsubtype, -1, n + 7)]
			INTO of_parts FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid);
			RETURN CASE t.typtype
				WHEN 'r' THEN ARRAY[format('["%s","%s")', of_parts[1][1], of_parts[2][1]), 'empty', '(,)']
				ELSE ARRAY[format('{["%s","%s")}', of_parts[1][1], of_parts[2][1]), '{}'] END;
		WHEN 'c' THEN
			RETURN ARRAY['(' || repeat(',', (SELECT count(*)::integer - 1 FROM pg_attribute a
											 WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) || ')'];
		ELSE
	END CASE;
	IF t.typcategory = 'A' AND t.typelem <> 0 THEN
		RETURN ARRAY['{}', format('{"%s"}', (tenancy._proof_candidates(t.typelem, modifier, n))[1])];
	END IF;

	size := CASE WHEN t.typname IN ('varchar', 'bpchar') AND modifier > 4 THEN modifier - 4
				 WHEN t.typname = 'numeric' AND modifier > 4 THEN ((modifier - 4) >> 16) - ((modifier - 4) & 2047)
				 WHEN t.typname IN ('bit', 'varbit') AND modifier > 0 THEN modifier
				 WHEN t.typname = 'bit' THEN 1
				 WHEN t.typname = 'char' THEN 1
				 WHEN t.typname = 'name' THEN 63 END;
	RETURN CASE
		WHEN t.typname = 'bool' THEN ARRAY[(n % 2 = 0)::text, (n % 2 <> 0)::text]
		WHEN t.typname = 'int2' THEN ARRAY[(small % 32000)::text, '1', '0', '-1', '10', '100']
		WHEN t.typname IN ('numeric', 'money', 'float4', 'float8') THEN
			ARRAY[(CASE WHEN size < 15 THEN small % (10 ^ greatest(size, 0))::bigint ELSE n END)::text, '1', '0.5', '0', '-1', '10', '100']
		WHEN t.typname IN ('int4', 'int8', 'oid', 'xid', 'xid8', 'cid') THEN ARRAY[n::text, '1', '0', '-1', '10', '100', '2000']
		WHEN t.typcategory = 'S' OR t.typname = 'citext' THEN
			(SELECT array_agg(left(c.value, coalesce(size, 200)) ORDER BY c.place)
			 FROM unnest(ARRAY[CASE WHEN size < 8 THEN digest ELSE 'proof' || n END, 'Proof' || n, 'PROOF' || n,
							   'proof' || n || '@example.com', 'https://example.com/proof' || n,
							   n::text, '+1555' || n, digest, left(digest, 2), left(letters, 2), upper(left(letters, 2)),
							   left(letters, 3), upper(left(letters, 3)), 'a', 'A', '1', '', 'en-US'])
				  WITH ORDINALITY c (value, place))
		WHEN t.typname = 'uuid' THEN ARRAY[digest::uuid::text]
		WHEN t.typname IN ('date', 'timestamp', 'timestamptz') THEN
			ARRAY[(timestamp '2001-01-01' + small % 8000 * interval '1 day')::date::text, now()::date::text,
				  (now() + interval '30 days')::date::text, (now() - interval '30 days')::date::text]
		WHEN t.typname IN ('time', 'timetz') THEN ARRAY[(time '00:00' + small % 86400 * interval '1 second')::text, '00:00', '12:00']
		WHEN t.typname = 'interval' THEN ARRAY[n || ' seconds', '1 second', '1 day', '0']
		WHEN t.typname IN ('json', 'jsonb') THEN ARRAY['{}', '[]', '"proof"', '1', 'null']
		WHEN t.typname = 'xml' THEN ARRAY['<proof/>']
		WHEN t.typname = 'bytea' THEN ARRAY['\x' || digest, '\x']
		WHEN t.typname IN ('inet', 'cidr') THEN ARRAY[format('10.%s.%s.%s', n / 65536 % 256, n / 256 % 256, n % 256)]
		WHEN t.typname = 'macaddr' THEN ARRAY[left(digest, 12)]
		WHEN t.typname = 'macaddr8' THEN ARRAY[left(digest, 16)]
		WHEN t.typname IN ('bit', 'varbit') THEN ARRAY[right(lpad(n::bit(32)::text, coalesce(size, 32), '0'), coalesce(size, 32))]
		WHEN t.typname = 'point' THEN ARRAY[format('(%s,1)', n)]
		WHEN t.typname = 'line' THEN ARRAY['{1,2,3}']
		WHEN t.typname IN ('lseg', 'path') THEN ARRAY[format('[(0,0),(%s,1)]', n)]
		WHEN t.typname = 'box' THEN ARRAY[format('(%s,1),(%s,0)', n + 1, n)]
		WHEN t.typname = 'polygon' THEN ARRAY[format('((%s,0),(%s,1),(%s,1))', n, n, n + 1)]
		WHEN t.typname = 'circle' THEN ARRAY[format('<(%s,0),0.5>', n)]
		WHEN t.typname IN ('tsvector', 'tsquery', 'ltree') THEN ARRAY['proof' || n]
		WHEN t.typname = 'pg_lsn' THEN ARRAY['0/' || to_hex(n)]
		WHEN t.typname IN ('pg_snapshot', 'txid_snapshot') THEN ARRAY[format('%s:%s:', n, n)]
		WHEN t.typname = 'tid' THEN ARRAY['(0,1)']
		WHEN t.typname LIKE 'reg%' THEN ARRAY['-']
		ELSE ARRAY['', '0', '1', '{}', '()', 'proof' || n]
	END;
END
$$;
COMMENT ON FUNCTION tenancy._proof_candidates(oid, integer, bigint) IS 'Values of a type to fill a column with.';

-- What the bounds of a partition demand, one condition each.  A row of a
-- partitioned table is meant for one of the partitions at the end.
CREATE FUNCTION tenancy._proof_bounds(relation regclass)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	partition regclass := relation;
	bounds text;
	piece text;
	condition text := '';
	depth integer := 0;
	result text[] := '{}'::text[];
BEGIN
	IF (SELECT c.relkind FROM pg_class c WHERE c.oid = relation) = 'p' THEN
		SELECT t.relid INTO partition
		FROM pg_partition_tree(relation) t
		JOIN pg_class c ON c.oid = t.relid
		WHERE t.isleaf
		ORDER BY pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' DESC, t.relid
		LIMIT 1;
	END IF;

	-- ((a >= 1) AND (a < 2)), or one condition alone
	bounds := pg_get_partition_constraintdef(partition);
	IF bounds LIKE '((%))' THEN
		bounds := substr(bounds, 2, length(bounds) - 2);
	END IF;
	FOR piece IN SELECT m[1] FROM regexp_matches(bounds, '(''(?:[^'']|'''')*''|"(?:[^"]|"")*"| AND |.)', 'g') m LOOP
		depth := depth + (piece = '(')::integer - (piece = ')')::integer;
		IF depth = 0 AND piece = ' AND ' THEN
			result := result || condition;
			condition := '';
		ELSE
			condition := condition || piece;
		END IF;
	END LOOP;
	IF condition <> '' THEN
		result := result || condition;
	END IF;
	-- any of the partitions by hash will do for a row of the table at the top
	RETURN (SELECT coalesce(array_agg(c), '{}') FROM unnest(result) c WHERE partition = relation OR c !~ 'satisfies_hash_partition');
END
$$;
COMMENT ON FUNCTION tenancy._proof_bounds(regclass) IS 'What a row has to satisfy to fall into a partition.';

-- What one column has to satisfy, as expressions over it.
CREATE FUNCTION tenancy._proof_checks(relation regclass, attribute smallint)
RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(e.expression), '{}')
	FROM (SELECT pg_get_expr(c.conbin, c.conrelid) AS expression
		  FROM pg_constraint c
		  WHERE c.conrelid = relation AND c.contype = 'c' AND c.conkey = ARRAY[attribute]
		  UNION ALL
		  SELECT b
		  FROM unnest(tenancy._proof_bounds(relation)) b
		  WHERE strpos(b, (SELECT quote_ident(a.attname) FROM pg_attribute a
						   WHERE a.attrelid = relation AND a.attnum = attribute)) > 0) e
$$;
COMMENT ON FUNCTION tenancy._proof_checks(regclass, smallint) IS 'The checks and partition bounds that a column has to satisfy.';

-- Does a column take a value?  Asked as the owner of the table, whose functions
-- its checks may call.  What mentions further columns is left for the INSERT to
-- find out.
CREATE FUNCTION tenancy._proof_accepts(owner regrole, column_name name, type text, value text, expression text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (tenancy._run_as(owner, 'pg_catalog', format(
		'SELECT FROM (SELECT CAST(%1$L AS %2$s) AS %3$I) c WHERE pg_catalog.num_nonnulls(%3$I) = 1 AND (%4$s) IS NOT FALSE',
		value, type, column_name, expression), false)).affected = 1;
EXCEPTION
	WHEN undefined_column THEN
		RETURN true;
	WHEN OTHERS OR assert_failure THEN
		RETURN false;
END
$$;
COMMENT ON FUNCTION tenancy._proof_accepts(regrole, name, text, text, text) IS 'Does a column take a value, as far as one check is concerned?';

CREATE FUNCTION tenancy._proof_value(relation regclass, attribute smallint, n bigint)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	checks text[] := tenancy._proof_checks(relation, attribute);
	domain_checks text;
	candidate text;
BEGIN
	SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod) AS type, k.relowner::regrole AS owner
	INTO STRICT c
	FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid
	WHERE a.attrelid = relation AND a.attnum = attribute;

	SELECT string_agg(pg_get_expr(d.conbin, 0), ' ') INTO domain_checks FROM pg_constraint d WHERE d.contypid = c.atttypid;
	FOREACH candidate IN ARRAY tenancy._proof_candidates(c.atttypid, c.atttypmod, n)
							   || tenancy._proof_literals(concat_ws(' ', array_to_string(checks, ' '), domain_checks)) LOOP
		IF (SELECT bool_and(tenancy._proof_accepts(c.owner, c.attname, c.type, candidate, e)) FROM unnest('true'::text || checks) e) THEN
			RETURN candidate;
		END IF;
	END LOOP;

	-- What passed before passes again.
	RETURN tenancy._proof_read(relation, format('SELECT format(''%%s'', r.%I) FROM %s r WHERE r.%I IS NOT NULL LIMIT 1',
												c.attname, relation, c.attname));
END
$$;
COMMENT ON FUNCTION tenancy._proof_value(regclass, smallint, bigint) IS 'A value for a column, NULL if none was found.';

-- A row to refer to: one that exists, and is not just being changed, or one made
-- for it.  known: what the referring row says already.
CREATE FUNCTION tenancy._proof_referenced(target regclass, columns name[], known jsonb, people jsonb, who uuid, depth integer,
										  OUT existing jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._proof_require_own(target);
	existing := CAST(tenancy._proof_read(target, format('SELECT jsonb_build_object(%s) FROM %s r WHERE %s %s LIMIT 1 FOR KEY SHARE SKIP LOCKED',
		(SELECT string_agg(format('%L, format(''%%s'', r.%I)', c, c), ', ') FROM unnest(columns) c),
		target,
		(SELECT string_agg(CASE WHEN known ? c THEN format('r.%I = %L', c, known ->> c)
								-- of people and projects, the synthetic ones
								WHEN target IN ('tenancy.users'::regclass, 'tenancy.organizations'::regclass, 'tenancy.projects'::regclass)
								 AND c = 'id' THEN format('r.id::text = ANY (%L)', ARRAY(SELECT p.value FROM jsonb_each_text(people) p))
								ELSE format('r.%I IS NOT NULL', c) END, ' AND ')
		 FROM unnest(columns) c),
		-- and of people, whoever acts
		CASE WHEN target = 'tenancy.users'::regclass THEN format('ORDER BY r.id = %L DESC', who) ELSE '' END)) AS jsonb);
	IF existing IS NULL AND depth < 5 THEN
		SELECT i.made, i.problem INTO existing, problem
		FROM tenancy._proof_insert(target, known, people, who, columns, depth + 1) i;
	ELSIF existing IS NULL THEN
		problem := format('there is no row in %s to refer to', target);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_referenced(regclass, name[], jsonb, jsonb, uuid, integer) IS
	'The key of a row that a foreign key can point to.';

-- Fill the columns of a row beside those that are given.  Variants: 0 what has to be filled;
-- 1 the same, falling from column to column; 2 what has a default, too; 3 and 4 everything;
-- 5 after a row that exists.
CREATE FUNCTION tenancy._proof_fill(relation regclass, given jsonb, variant integer, people jsonb, who uuid, depth integer,
									OUT filled jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	key record;
	col record;
	reference record;
	known jsonb;
	model jsonb;
	value text;
	n bigint := 1000 * (1 + floor(random() * 1000000)::bigint);
BEGIN
	filled := given;

	FOR key IN
		SELECT c.confrelid::regclass AS target, c.confrelid = c.conrelid AS own,
			   (SELECT array_agg(a.attname ORDER BY k.i) FROM unnest(c.conkey) WITH ORDINALITY k (num, i)
				JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS columns,
			   (SELECT array_agg(a.attname ORDER BY k.i) FROM unnest(c.confkey) WITH ORDINALITY k (num, i)
				JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num) AS refers,
			   (SELECT bool_and(a.attnotnull OR given ? a.attname::text) FROM unnest(c.conkey) k (num)
				JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS required
		FROM pg_constraint c
		WHERE c.conrelid = relation AND c.contype = 'f'
		ORDER BY cardinality(c.conkey), c.conname
	LOOP
		CONTINUE WHEN key.own OR NOT key.required OR filled ?& key.columns::text[];
		known := (SELECT coalesce(jsonb_object_agg(k.r, filled -> k.c), '{}') FROM unnest(key.columns::text[], key.refers::text[]) k (c, r) WHERE filled ? k.c);
		SELECT * INTO reference FROM tenancy._proof_referenced(key.target, key.refers, known, people, who, depth);
		IF reference.problem IS NOT NULL THEN
			problem := reference.problem;
			RETURN;
		END IF;
		filled := filled || (SELECT jsonb_object_agg(k.c, reference.existing -> k.r) FROM unnest(key.columns::text[], key.refers::text[]) k (c, r));
	END LOOP;

	IF variant = 5 THEN
		model := CAST(tenancy._proof_read(relation, format('SELECT jsonb_build_object(%s) FROM %s r LIMIT 1',
			(SELECT string_agg(format('%L, CASE WHEN r.%I IS NOT NULL THEN format(''%%s'', r.%I) END', a.attname, a.attname, a.attname), ', ')
			 FROM (SELECT a.attname FROM pg_attribute a
				   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
					 AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
									 AND a.attnum = ANY (i.indkey))
				   LIMIT 45) a), relation)) AS jsonb);
		IF model IS NULL THEN
			problem := 'the table is empty';
			RETURN;
		END IF;
		filled := jsonb_strip_nulls(model) || filled;
	END IF;

	FOR col IN
		SELECT a.attnum, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		  AND NOT filled ? a.attname::text
		  -- what takes its value from a sequence is filled, to leave the sequence alone
		  AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ '\mnextval\('
			   OR (a.attnotnull OR t.typnotnull) AND (d.adbin IS NULL OR variant >= 2)
			   OR variant IN (3, 4)
				  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = relation AND c.contype = 'f' AND a.attnum = ANY (c.conkey)))
		ORDER BY a.attnum
	LOOP
		value := tenancy._proof_value(relation, col.attnum, n + CASE WHEN variant IN (1, 4) THEN 999 - col.attnum % 999 ELSE col.attnum END);
		IF value IS NULL THEN
			problem := format('no value was found for column "%s" of type %s', col.name, col.type);
			RETURN;
		END IF;
		filled := filled || jsonb_build_object(col.name, value);
	END LOOP;

	-- A row that has to refer to a row of its own table refers to itself.
	FOR key IN
		SELECT a.attname::text AS col, f.attname::text AS ref
		FROM pg_constraint c, unnest(c.conkey, c.confkey) k (num, refnum)
		JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.num
		JOIN pg_attribute f ON f.attrelid = relation AND f.attnum = k.refnum
		WHERE c.conrelid = relation AND c.confrelid = relation AND c.contype = 'f'
	LOOP
		IF filled ? key.col AND filled ? key.ref AND NOT given ? key.col THEN
			filled := filled || jsonb_build_object(key.col, filled -> key.ref);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_fill(regclass, jsonb, integer, jsonb, uuid, integer) IS
	'A synthetic row for a table, or the reason why there is none.';

-- Insert a synthetic row as the table's owner, on behalf of a user who may: filled is what was
-- filled, or the columns that were asked for as they are in the table.
CREATE FUNCTION tenancy._proof_insert(relation regclass, given jsonb, people jsonb, who uuid, wanted name[], depth integer,
									  OUT made jsonb, OUT variant integer, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	path text := tenancy._proof_path(owner);
	fill record;
	outcome record;
	try integer;
BEGIN
	FOREACH try IN ARRAY '{0,1,2,3,4,5}'::integer[] LOOP
		BEGIN
			PERFORM tenancy.act_as(who);
			SELECT * INTO fill FROM tenancy._proof_fill(relation, given, try, people, who, depth);
			IF fill.problem IS NOT NULL THEN
				problem := coalesce(problem, fill.problem);
				CONTINUE;
			END IF;
			SELECT * INTO outcome FROM tenancy._run_as(owner, path,
				format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)%s', relation,
					   (SELECT string_agg(quote_ident(e.key), ', ' ORDER BY e.key) FROM jsonb_each_text(fill.filled) e),
					   (SELECT string_agg(quote_literal(e.value), ', ' ORDER BY e.key) FROM jsonb_each_text(fill.filled) e),
					   (SELECT ' RETURNING pg_catalog.jsonb_build_object('
							   || string_agg(format('%L, pg_catalog.format(''%%s'', %I)', c, c), ', ') || ')'
						FROM unnest(wanted) c HAVING count(*) > 0)), false);
			IF outcome.affected = 1 THEN
				made := coalesce(outcome.answer::jsonb, fill.filled);
				variant := try;
				problem := NULL;
				RETURN;
			END IF;
			problem := 'a trigger or rule of the table swallowed the row';
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			problem := format('no row could be made: %s', SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_insert(regclass, jsonb, jsonb, uuid, name[], integer) IS
	'Inserts a synthetic row, or says why it cannot.';

-- ---------------------------------------------------------------------
-- The stage
-- ---------------------------------------------------------------------

-- Ids for three projects or organizations.  Where they decide about the
-- partition, ids that fall into this one.
CREATE FUNCTION tenancy._proof_ids(relation regclass, column_name name)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	ids uuid[] := ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 3));
	suitable uuid[];
	condition text;
BEGIN
	PERFORM tenancy._proof_require_own(relation);
	FOREACH condition IN ARRAY tenancy._proof_checks(relation, (SELECT a.attnum FROM pg_attribute a
																WHERE a.attrelid = relation AND a.attname = column_name)) LOOP
		BEGIN
			suitable := (tenancy._run_as(owner, 'pg_catalog', format(
				'SELECT pg_catalog.array_agg(s.%1$I) FROM (SELECT c.%1$I FROM (SELECT pg_catalog.gen_random_uuid() AS %1$I FROM pg_catalog.generate_series(1, 3000)) c WHERE %2$s LIMIT 3) s',
				column_name, condition), false)).answer::uuid[];
			IF cardinality(suitable) = 3 THEN
				ids := suitable;
			END IF;
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			NULL;	-- it is about further columns: the INSERT will tell
		END;
	END LOOP;
	RETURN ids;
END
$$;
COMMENT ON FUNCTION tenancy._proof_ids(regclass, name) IS 'Ids of synthetic projects or organizations that suit a table.';

-- Organization A has an Owner, a Member, an open project and a private one that
-- the Member was not added to; organization B has an Owner and another project,
-- whose token is known.
CREATE FUNCTION tenancy._proof_stage(kind text, ids uuid[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	by_project boolean := kind = 'project';
	people jsonb := jsonb_build_object(
		'owner a', gen_random_uuid(), 'owner b', gen_random_uuid(), 'member', gen_random_uuid(),
		'a', CASE WHEN by_project THEN gen_random_uuid() ELSE ids[1] END,
		'b', CASE WHEN by_project THEN gen_random_uuid() ELSE ids[2] END,
		'open', CASE WHEN by_project THEN ids[1] ELSE gen_random_uuid() END,
		'other', CASE WHEN by_project THEN ids[2] ELSE gen_random_uuid() END,
		'private', CASE WHEN by_project THEN ids[3] ELSE gen_random_uuid() END);
	plan text := 'proof_' || md5(random()::text);
BEGIN
	INSERT INTO tenancy.plans (name, multiple_organizations, multiple_projects, private_projects)
	VALUES (plan, true, true, true);
	INSERT INTO tenancy.users (id, email, name)
	SELECT (people ->> n)::uuid, md5(people ->> n) || '@proof.invalid', n
	FROM unnest('{owner a,owner b,member}'::text[]) n;
	INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	SELECT (people ->> n)::uuid, n, (people ->> ('owner ' || n))::uuid, plan
	FROM unnest('{a,b}'::text[]) n;
	INSERT INTO tenancy.memberships (organization_id, user_id)
	VALUES ((people ->> 'a')::uuid, (people ->> 'member')::uuid);
	INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	VALUES ((people ->> 'open')::uuid, (people ->> 'a')::uuid, 'open', false),
		   ((people ->> 'private')::uuid, (people ->> 'a')::uuid, 'private', true),
		   ((people ->> 'other')::uuid, (people ->> 'b')::uuid, 'other', false);
	RETURN people || jsonb_build_object('token', tenancy._issue_project_token((people ->> 'other')::uuid));
END
$$;
COMMENT ON FUNCTION tenancy._proof_stage(text, uuid[]) IS 'Makes the people, organizations and projects that the proof needs.';

-- Who may do everything with a row of a project or organization.
CREATE FUNCTION tenancy._proof_owner(people jsonb, name text)
RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (people ->> CASE WHEN name IN ('other', 'b') THEN 'owner b' ELSE 'owner a' END)::uuid
$$;
COMMENT ON FUNCTION tenancy._proof_owner(jsonb, text) IS 'The Owner of a synthetic project or organization.';

-- Put a row where it belongs, or say why not.
CREATE FUNCTION tenancy._proof_place(relation regclass, kind text, column_name name, people jsonb, name text,
									 OUT variant integer, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	-- for defaults and triggers that look at the current project
	EXECUTE format('SET LOCAL tenancy.project_id = %L', CASE kind WHEN 'project' THEN people ->> name ELSE '' END);
	SELECT i.variant, i.problem INTO variant, problem
	FROM tenancy._proof_insert(relation, jsonb_build_object(column_name, people ->> name), people, tenancy._proof_owner(people, name), '{}', 0) i;
	SET LOCAL tenancy.project_id = '';
	IF problem IS NULL THEN
		IF NOT tenancy._proof_read(relation, format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', relation, column_name, people ->> name))::boolean THEN
			problem := 'a trigger of the table put the row elsewhere';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_place(regclass, text, name, jsonb, text) IS 'Puts a synthetic row into a project or organization.';

-- Who tries what on whose rows.  Beside the rows of theirs there are some that
-- are the actor's own, if anything is.
CREATE FUNCTION tenancy._proof_cases(OUT place integer, OUT actor text, OUT who text, OUT kind text, OUT mine text, OUT theirs text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES (1, 'Owner of another organization',		'owner b',	'project',		'other',	'open'),
		   (1, 'Owner of another organization',		'owner b',	'organization',	'b',		'a'),
		   (2, 'Member, a private project',			'member',	'project',		'open',		'private'),
		   (3, 'nobody',							NULL,		'project',		'other',	'open'),
		   (3, 'nobody',							NULL,		'organization',	'b',		'a'),
		   (4, 'project token, its own project',	'token',	'project',		'other',	'other'),
		   (4, 'project token, its own organization', 'token',	'organization',	'b',		'b'),
		   (5, 'project token, another project',	'token',	'project',		'other',	'open'),
		   (5, 'project token, another organization', 'token',	'organization',	'b',		'a'),
		   (6, 'Member below the level',			'member',	'project',		'open',		'open'),
		   (6, 'Member below the level',			'member',	'organization',	'a',		'a')
$$;
COMMENT ON FUNCTION tenancy._proof_cases() IS 'Who tries it, on whose rows.';

-- What is tried.  class: read, write what is there, make new rows, or do on
-- one's own rows what is forbidden on others'.  needs:
-- without one of these rights it cannot even begin; MOVE is UPDATE of the
-- project's column.  two: only where mine and theirs differ.  breach: what
-- shows that isolation is broken, any row that is returned or affected, or a
-- change of their rows; none: that it reaches nothing.
CREATE FUNCTION tenancy._proof_templates(OUT place integer, OUT command text, OUT attempt text, OUT class text, OUT needs text[], OUT two boolean,
										 OUT breach text, OUT statement text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
	-- what is refused to everybody proves nothing: these have to work
	(1, 'SELECT', 'reads what is their own (control)', 'control', '{SELECT}'::text[], false, 'none',
		'SELECT FROM {table} WHERE {column} = {mine}'),
	(2, 'INSERT', 'inserts what is their own (control)', 'control', '{INSERT}', false, 'none',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of mine})'),
	(3, 'UPDATE', 'updates what is their own (control)', 'control', '{UPDATE}', false, 'none',
		'UPDATE {table} SET {some column} = {some column} WHERE {column} = {mine}'),
	(4, 'DELETE', 'deletes what is their own (control)', 'control', '{DELETE}', false, 'none',
		'DELETE FROM {table} WHERE {column} = {mine}'),
	(11, 'SELECT', 'reads', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table} WHERE {column} = {theirs}'),
	(12, 'SELECT', 'reads everything', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table}'),
	(13, 'SELECT', 'reads by a cursor', 'read', '{SELECT}', false, 'row',
		-- FETCH takes no snapshot and SPI changes the last one, which may not be the cursor's
		'DECLARE tenancy_proof CURSOR FOR SELECT FROM {table} WHERE {column} = {theirs}; SELECT; FETCH ALL FROM tenancy_proof'),
	(14, 'SELECT', 'lets a leaky function see', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table} t WHERE pg_temp.tenancy_proof_leak(t.{column}::text, {theirs})'),
	(15, 'SELECT', 'locks rows FOR UPDATE', 'write', '{SELECT,UPDATE}', false, 'row',
		'SELECT FROM {table} WHERE {column} = {theirs} FOR UPDATE'),
	(16, 'COPY', 'copies by the query that COPY TO runs', 'read', '{SELECT}', false, 'row',
		'SELECT FROM ONLY {table} WHERE {column} = {theirs}'),
	(21, 'INSERT', 'inserts', 'new', '{INSERT}', false, 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})'),
	(22, 'INSERT', 'inserts, RETURNING', 'write', '{INSERT,SELECT}', false, 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs}) RETURNING {column}'),
	(23, 'INSERT', 'reads in RETURNING', 'read', '{INSERT,SELECT}', false, 'row',
		'WITH own AS (INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of mine})
					  RETURNING (SELECT pg_catalog.count(*) FROM {table} t WHERE t.{column} = {theirs}) AS seen)
		 SELECT FROM own WHERE seen > 0'),
	(24, 'INSERT', 'overwrites, ON CONFLICT DO UPDATE', 'write', '{INSERT,UPDATE}', false, 'change',
		'INSERT INTO {table} ({columns and key}) OVERRIDING SYSTEM VALUE VALUES ({row of mine with the key of theirs})
		 ON CONFLICT ({key}) DO UPDATE SET {some column} = excluded.{some column}'),
	(25, 'INSERT', 'moves a row there, ON CONFLICT DO UPDATE', 'write', '{INSERT,MOVE}', true, 'change',
		'INSERT INTO {table} ({columns and key}) OVERRIDING SYSTEM VALUE VALUES ({row of mine with its own key})
		 ON CONFLICT ({key}) DO UPDATE SET {column} = {theirs}'),
	(31, 'UPDATE', 'updates', 'write', '{UPDATE}', false, 'row',
		'UPDATE {table} SET {some column} = {some column} WHERE {column} = {theirs}'),
	(32, 'UPDATE', 'moves a row there', 'write', '{MOVE}', true, 'change',
		'UPDATE {table} SET {column} = {theirs} WHERE {column} = {mine}'),
	(33, 'UPDATE', 'takes a row from there', 'write', '{MOVE}', true, 'row',
		'UPDATE {table} SET {column} = {mine} WHERE {column} = {theirs}'),
	(41, 'DELETE', 'deletes', 'write', '{DELETE}', false, 'row',
		'DELETE FROM {table} WHERE {column} = {theirs}'),
	(51, 'MERGE', 'updates', 'write', '{UPDATE}', false, 'row',
		'MERGE INTO {table} t USING (VALUES ({theirs}::uuid)) v (id) ON t.{column} = v.id
		 WHEN MATCHED THEN UPDATE SET {some column} = t.{some column}'),
	(52, 'MERGE', 'deletes', 'write', '{DELETE}', false, 'row',
		'MERGE INTO {table} t USING (VALUES ({theirs}::uuid)) v (id) ON t.{column} = v.id WHEN MATCHED THEN DELETE'),
	(53, 'MERGE', 'inserts', 'new', '{INSERT}', false, 'change',
		'MERGE INTO {table} t USING (VALUES (1)) v (one) ON false
		 WHEN NOT MATCHED THEN INSERT ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})')
$$;
COMMENT ON FUNCTION tenancy._proof_templates() IS 'What is tried on a table.';

CREATE FUNCTION tenancy._proof_view_templates(OUT place integer, OUT command text, OUT attempt text, OUT class text, OUT needs text[],
											  OUT breach text, OUT statement text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
	(12, 'SELECT', 'lets a leaky function see', 'read', '{SELECT}'::text[], 'row',
		'SELECT FROM {table} v WHERE pg_temp.tenancy_proof_leak(v.{column}::text, {theirs})'),
	(13, 'INSERT', 'inserts', 'new', '{INSERT}', 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})'),
	(14, 'UPDATE', 'updates', 'write', '{UPDATE}', 'row',
		'UPDATE {table} SET {column} = {column} WHERE {column} = {theirs}'),
	(15, 'DELETE', 'deletes', 'write', '{DELETE}', 'row',
		'DELETE FROM {table} WHERE {column} = {theirs}')
$$;
COMMENT ON FUNCTION tenancy._proof_view_templates() IS
	'What is tried on a view that shows whose a row is, beside reading all of it.';

-- ---------------------------------------------------------------------
-- The attempts
-- ---------------------------------------------------------------------

-- Has the role a right on the table, or on any column of it?  MOVE: on this one.
CREATE FUNCTION tenancy._proof_may(role regrole, relation regclass, column_name name, "right" text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE "right"
		WHEN 'MOVE' THEN has_column_privilege(role, relation, column_name, 'UPDATE')
		WHEN 'DELETE' THEN has_table_privilege(role, relation, 'DELETE')
		ELSE has_any_column_privilege(role, relation, "right") END
$$;
COMMENT ON FUNCTION tenancy._proof_may(regrole, regclass, name, text) IS 'Can the role even begin?';

-- Whatever a refusal says, it is one when it comes from row security, or from a
-- right that the role does not have at all.
CREATE FUNCTION tenancy._proof_is_refusal(code text, message text, lacking text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT code = '42501' AND (message ~ 'row-level security policy' OR message ~ '^permission denied for schema'
							   OR lacking IS NOT NULL AND message ~ '^permission denied for')
		OR code = '44000'		-- of a view WITH CHECK OPTION
		OR code = '55000' AND message ~ '^cannot (insert into|update|delete from) view'
$$;
COMMENT ON FUNCTION tenancy._proof_is_refusal(text, text, text) IS 'Does an error say that isolation held?';

-- Act as somebody (a user's id, a token, NULL for nobody), run one statement as
-- the role, look from outside at what it did, and undo it.
CREATE FUNCTION tenancy._proof_attempt(role regrole, path text, relation regclass, who text, statement text, breach text, due bigint,
									   lacking text, outside text, OUT isolated boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before text;
	after text;
	reached bigint;
BEGIN
	IF statement IS NULL THEN
		detail := 'the statement could not be made';
		RETURN;
	END IF;
	IF outside IS NOT NULL THEN
		before := tenancy._proof_read(relation, outside);
	END IF;
	IF who LIKE 'tnp\_%' THEN
		PERFORM tenancy.authenticate(who);
	ELSE
		PERFORM tenancy.act_as(who::uuid);
	END IF;
	reached := (tenancy._run_as(role, path, statement, false)).affected;
	IF outside IS NOT NULL THEN
		after := tenancy._proof_read(relation, outside);
	END IF;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		isolated := NOT (breach = 'row' AND reached > due OR after IS DISTINCT FROM before);
		IF breach = 'none' THEN
			isolated := nullif(reached > 0, false);
			detail := CASE WHEN isolated IS NULL THEN 'not even what is their own: what is refused may be so for another reason' END;
			RETURN;
		END IF;
		detail := CASE WHEN NOT isolated AND breach = 'row' AND reached > due
						   THEN format('rows seen or changed: %s, due: %s', reached, due)
					   WHEN NOT isolated THEN 'rows were added or changed'
					   WHEN reached = 0 THEN 'no row'
					   WHEN breach = 'row' THEN 'no row but those that are due'
					   ELSE 'their rows are as before' END;
	WHEN SQLSTATE 'TN0LK' THEN
		isolated := false;
		detail := 'the function was called with a row of theirs';
	WHEN OTHERS OR assert_failure THEN
		isolated := CASE WHEN tenancy._proof_is_refusal(SQLSTATE, SQLERRM, lacking) THEN true END;
		IF isolated AND breach = 'none' THEN
			isolated := NULL;
			detail := format('not even what is their own: %s', SQLERRM);
			RETURN;
		END IF;
		detail := format('%s: %s', CASE WHEN isolated THEN 'refused' ELSE 'could not be tried' END, SQLERRM);
END
$$;
COMMENT ON FUNCTION tenancy._proof_attempt(regrole, text, regclass, text, text, text, bigint, text, text) IS
	'Tries one statement and undoes it.';

-- Put a statement together.
CREATE FUNCTION tenancy._proof_statement(template text, parts jsonb)
RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	piece text;
	result text := '';
BEGIN
	-- piece by piece, since values may contain what looks like a name
	FOR piece IN SELECT m[1] FROM regexp_matches(template, '(\{[^}]*\}|[^{]+)', 'g') m LOOP
		result := result || CASE WHEN piece LIKE '{%' THEN parts ->> btrim(piece, '{}') ELSE piece END;
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION tenancy._proof_statement(text, jsonb) IS 'A template with its parts filled in; NULL if one is missing.';

-- A filled row as the columns and values of an INSERT, as far as the role may give them.
CREATE FUNCTION tenancy._proof_values(role regrole, relation regclass, filled jsonb, OUT columns text, OUT "values" text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
		   string_agg(quote_nullable(filled ->> a.attname::text), ', ' ORDER BY a.attnum)
	FROM pg_attribute a
	WHERE a.attrelid = relation AND a.attnum > 0 AND filled ? a.attname::text
	  AND (has_column_privilege(role, relation, a.attnum, 'INSERT')
		   OR NOT has_any_column_privilege(role, relation, 'INSERT'))
$$;
COMMENT ON FUNCTION tenancy._proof_values(regrole, regclass, jsonb) IS 'Columns and values of an INSERT.';

-- Some columns of a row that was staged.
CREATE FUNCTION tenancy._proof_tied(relation regclass, columns name[], column_name name, id uuid)
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._proof_read(relation, format('SELECT jsonb_build_object(%s) FROM %s r WHERE r.%I = %L LIMIT 1',
		(SELECT string_agg(format('%L, CASE WHEN r.%I IS NOT NULL THEN format(''%%s'', r.%I) END', c, c, c), ', ') FROM unnest(columns) c),
		relation, column_name, id))::jsonb
$$;
COMMENT ON FUNCTION tenancy._proof_tied(regclass, name[], name, uuid) IS 'What a staged row has in some columns.';

-- The parts of statements about one table and one case.  The staged rows are
-- there; new ones are made up beside them.
CREATE FUNCTION tenancy._proof_parts(role regrole, relation regclass, column_name name, mine uuid, theirs uuid,
									 variant integer, people jsonb, who uuid)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts jsonb;
	key name[];
	tied name[];
	of_theirs jsonb := jsonb_build_object(column_name, theirs);
	of_mine jsonb := jsonb_build_object(column_name, mine);
	key_of_theirs jsonb;
	key_of_mine jsonb;
	columns text;
	some_column text;
BEGIN
	SELECT quote_ident(a.attname) INTO some_column
	FROM pg_attribute a
	WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
	ORDER BY has_column_privilege(role, relation, a.attnum, 'UPDATE') DESC,
			 has_column_privilege(role, relation, a.attnum, 'SELECT') DESC, a.attname = column_name DESC, a.attnum
	LIMIT 1;
	parts := jsonb_build_object('table', relation, 'column', quote_ident(column_name), 'some column', some_column,
								'mine', quote_literal(mine), 'theirs', quote_literal(theirs));
	IF variant IS NULL THEN
		RETURN parts;
	END IF;

	-- The key that betrays most is one without the column.
	SELECT k.columns INTO key
	FROM (SELECT i.indexrelid, array_agg(a.attname ORDER BY u.place) AS columns, bool_and(a.attgenerated = '') AS writable
		  FROM pg_index i
		  CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, place)
		  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
		  WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts
		  GROUP BY i.indexrelid) k
	WHERE k.writable
	ORDER BY column_name = ANY (k.columns), k.columns
	LIMIT 1;

	of_theirs := (tenancy._proof_fill(relation, of_theirs, variant, people, who, 0)).filled;
	of_mine := (tenancy._proof_fill(relation, of_mine, variant, people, who, 0)).filled;
	SELECT v.columns INTO columns FROM tenancy._proof_values(role, relation, of_theirs) v;
	parts := parts || jsonb_build_object('columns', columns,
		'row of theirs', (tenancy._proof_values(role, relation, of_theirs))."values",
		'row of mine', (tenancy._proof_values(role, relation, of_mine))."values");
	IF key IS NOT NULL THEN
		tied := (SELECT array_agg(DISTINCT a.attname)
				 FROM pg_attribute a
				 WHERE a.attrelid = relation AND a.attgenerated = ''
				   AND (a.attname = ANY (key)
						OR EXISTS (SELECT FROM pg_constraint c, pg_attribute k
								   WHERE c.conrelid = relation AND c.contype = 'c' AND a.attnum = ANY (c.conkey)
									 AND k.attrelid = relation AND k.attname = ANY (key) AND k.attnum = ANY (c.conkey))));
		key_of_theirs := tenancy._proof_tied(relation, tied, column_name, theirs);
		key_of_mine := tenancy._proof_tied(relation, tied, column_name, mine);
		-- with what is tied to the key by a check
		of_theirs := of_mine || (key_of_theirs - column_name::text);
		of_mine := of_mine || key_of_mine;
		parts := parts || jsonb_build_object(
			'key', (SELECT string_agg(quote_ident(c), ', ') FROM unnest(key) c),
			'columns and key', (tenancy._proof_values(role, relation, of_mine)).columns,
			'row of mine with the key of theirs', (tenancy._proof_values(role, relation, of_theirs))."values",
			'row of mine with its own key', (tenancy._proof_values(role, relation, of_mine))."values");
	END IF;
	RETURN parts || jsonb_build_object('has key', key IS NOT NULL);
END
$$;
COMMENT ON FUNCTION tenancy._proof_parts(regrole, regclass, name, uuid, uuid, integer, jsonb, uuid) IS
	'What statements about a table are put together from.';

-- Does a template apply?  What a level or a token allows is no attack.
CREATE FUNCTION tenancy._proof_applies(actor text, class text, visible_to tenancy.access_level, editable_by tenancy.access_level)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN class = 'control' THEN actor = 'Owner of another organization'
		WHEN actor = 'Member below the level' THEN
			CASE class WHEN 'read' THEN visible_to > 'member' ELSE editable_by > 'member' END
		WHEN actor LIKE '%, its own project' THEN class <> 'new'
		ELSE true END
$$;
COMMENT ON FUNCTION tenancy._proof_applies(text, text, tenancy.access_level, tenancy.access_level) IS
	'Is it forbidden, so that it is to be tried?';

-- Everything about one table, in a subtransaction that is undone.
CREATE FUNCTION tenancy._proof_table(role regrole, relation regclass, kind text, column_name name,
									 visible_to tenancy.access_level, editable_by tenancy.access_level,
									 OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	path text := tenancy._proof_path(role);
	people jsonb;
	staged record;
	variant integer;
	problem text;
	of_case record;
	t record;
	parts jsonb;
	outside text;
	lacking text;
	due bigint;
	rows_there boolean;
	name text;
BEGIN
	people := tenancy._proof_stage(kind, tenancy._proof_ids(relation, column_name));
	FOREACH name IN ARRAY CASE kind WHEN 'project' THEN '{open,private,other}'::text[] ELSE '{a,b}' END LOOP
		SELECT * INTO staged FROM tenancy._proof_place(relation, kind, column_name, people, name);
		problem := coalesce(problem, staged.problem);
		variant := coalesce(variant, staged.variant);
	END LOOP;
	IF problem IS NOT NULL THEN
		variant := NULL;
		-- of rows that are there, none is the actor's
		rows_there := CAST(tenancy._proof_read(relation, format('SELECT EXISTS (SELECT FROM %s WHERE %I <> ALL (%L))', relation, column_name,
			ARRAY(SELECT p.value::uuid FROM jsonb_each_text(people) p WHERE p.key <> 'token'))) AS boolean);
	END IF;

	FOR of_case IN SELECT c.*, people ->> c.mine AS my_id, people ->> c.theirs AS their_id, people ->> c.who AS identity
				   FROM tenancy._proof_cases() c WHERE c.kind = kind ORDER BY c.place LOOP
		parts := tenancy._proof_parts(role, relation, column_name, of_case.my_id::uuid, of_case.their_id::uuid, variant, people,
									  (people ->> CASE of_case.who WHEN 'token' THEN 'owner b' ELSE coalesce(of_case.who, 'owner b') END)::uuid);
		outside := format('SELECT format(''%%s:%%s'', count(*), sum(hashtextextended(format(''%%s'', t), 0))) FROM %s t WHERE t.%I = %L',
						  relation, column_name, of_case.their_id);
		due := tenancy._proof_read(relation, format('SELECT count(*) FROM %s t WHERE t.%I = %L', relation, column_name, of_case.my_id))::bigint;
		FOR t IN SELECT * FROM tenancy._proof_templates() p
				 WHERE tenancy._proof_applies(of_case.actor, p.class, visible_to, editable_by)
				   AND NOT (p.two AND of_case.my_id = of_case.their_id)
				 ORDER BY p.place LOOP
			command := t.command;
			attempt := of_case.actor || ': ' || t.attempt;
			lacking := (SELECT n FROM unnest(t.needs) n WHERE NOT tenancy._proof_may(role, relation, column_name, n) LIMIT 1);
			CONTINUE WHEN t.class = 'control' AND lacking IS NOT NULL;
			IF variant IS NULL AND NOT (t.attempt = 'reads everything' AND rows_there) THEN
				isolated := NULL;
				detail := problem;
			ELSIF t.statement LIKE '%{key}%' AND NOT (parts -> 'has key')::boolean THEN
				isolated := true;
				detail := 'the table has no unique key';
			ELSE
				SELECT a.isolated, a.detail INTO isolated, detail
				FROM tenancy._proof_attempt(role, path, relation, of_case.identity, tenancy._proof_statement(t.statement, parts), t.breach,
											CASE WHEN t.attempt = 'reads everything' AND of_case.who NOT IN ('token')
													  AND of_case.actor <> 'Member below the level' THEN due ELSE 0 END,
											lacking, CASE WHEN t.class NOT IN ('read', 'control') THEN outside END) a;
			END IF;
			RETURN NEXT;
		END LOOP;
	END LOOP;

	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
END
$$;
COMMENT ON FUNCTION tenancy._proof_table(regrole, regclass, text, name, tenancy.access_level, tenancy.access_level) IS
	'Tries everything on one table, and undoes it.';

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

-- All that somebody sees in a view, in a few characters.
CREATE FUNCTION tenancy._proof_answer(role regrole, path text, who text, view regclass, OUT answer text, OUT code text, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seen text := CASE WHEN has_table_privilege(role, view, 'SELECT') THEN 'v'
					  ELSE (SELECT 'ROW(' || string_agg('v.' || quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
							FROM pg_attribute a
							WHERE a.attrelid = view AND a.attnum > 0 AND has_column_privilege(role, view, a.attnum, 'SELECT')) END;
BEGIN
	IF who LIKE 'tnp\_%' THEN
		PERFORM tenancy.authenticate(who);
	ELSE
		PERFORM tenancy.act_as(who::uuid);
	END IF;
	answer := (tenancy._run_as(role, path, format(
		'SELECT pg_catalog.format(''%%s:%%s'', pg_catalog.count(*),'
		' pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.format(''%%s'', %s), 0))) FROM %s v',
		coalesce(seen, 'v'), view), false)).answer;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
	WHEN OTHERS OR assert_failure THEN
		code := SQLSTATE;
		problem := SQLERRM;
END
$$;
COMMENT ON FUNCTION tenancy._proof_answer(regrole, text, text, regclass) IS 'A digest of what somebody sees in a view.';

-- A view need not show whose a row is, nor a row at all.  So what somebody sees
-- in it is compared with what they see once there is a row of theirs; that says
-- something only if the row's rightful Owner sees a difference.
CREATE FUNCTION tenancy._proof_view_case(role regrole, path text, relation regclass, view regclass, kind text, column_name name,
										 people jsonb, mine text, theirs text, who text, wanted text[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	rightful uuid := tenancy._proof_owner(people, theirs);
	before record;
	after record;
	again record;
	rightful_before record;
	rightful_after record;
	staged record;
	filled jsonb;
	row_of_theirs record;
	parts jsonb;
	outside text;
	lacking text;
	result record;
	name text;
	isolated boolean;
	detail text;
	shown boolean;	-- does its rightful Owner see the row of theirs?
	named boolean := EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = view AND a.attname = column_name AND a.atttypid = 'uuid'::regtype);
	t record;
	results jsonb := '[]'::jsonb;
BEGIN
	FOREACH name IN ARRAY CASE WHEN mine = theirs THEN ARRAY[theirs] ELSE ARRAY[mine, theirs] END LOOP
		IF name = theirs THEN
			SELECT * INTO before FROM tenancy._proof_answer(role, path, who, view);
			SELECT * INTO rightful_before FROM tenancy._proof_answer(role, path, rightful::text, view);
		END IF;
		SELECT * INTO staged FROM tenancy._proof_place(relation, kind, column_name, people, name);
		EXIT WHEN staged.problem IS NOT NULL;
	END LOOP;
	SELECT * INTO after FROM tenancy._proof_answer(role, path, who, view);
	SELECT * INTO rightful_after FROM tenancy._proof_answer(role, path, rightful::text, view);

	shown := rightful_after.answer IS DISTINCT FROM rightful_before.answer;
	lacking := CASE WHEN NOT tenancy._proof_may(role, view, column_name, 'SELECT') THEN 'SELECT' END;
	IF after.problem IS NOT NULL THEN
		isolated := CASE WHEN tenancy._proof_is_refusal(after.code, after.problem, lacking) THEN true END;
		detail := format('%s: %s', CASE WHEN isolated THEN 'refused' ELSE 'could not be tried' END, after.problem);
	ELSIF staged.problem IS NOT NULL THEN
		detail := staged.problem;
	ELSIF after.answer IS DISTINCT FROM before.answer THEN
		-- unless it changes by itself, in what it shows or at least in how much
		SELECT * INTO again FROM tenancy._proof_answer(role, path, who, view);
		isolated := CASE WHEN again.answer = after.answer
							  OR split_part(again.answer, ':', 1) = split_part(after.answer, ':', 1)
								 AND split_part(after.answer, ':', 1) <> split_part(before.answer, ':', 1) THEN false END;
		detail := CASE WHEN isolated IS NULL THEN 'the view shows something else each time'
					   ELSE 'what it shows changed with a row of theirs' END;
	ELSIF shown THEN
		isolated := true;
		detail := 'a row of theirs makes no difference';
	ELSE
		detail := 'the view shows synthetic rows to nobody, not even to their Owner';
	END IF;
	results := results || jsonb_build_object('command', 'SELECT', 'attempt', 'reads', 'isolated', isolated, 'detail', detail);

	IF staged.problem IS NULL THEN
		filled := (tenancy._proof_fill(relation, jsonb_build_object(column_name, people ->> theirs), staged.variant, people, rightful, 0)).filled;
		SELECT * INTO row_of_theirs FROM tenancy._proof_values(role, view, filled);
		parts := jsonb_build_object('table', view, 'column', quote_ident(column_name), 'theirs', quote_literal(people ->> theirs),
									'columns', row_of_theirs.columns, 'row of theirs', row_of_theirs."values");
		outside := format('SELECT format(''%%s:%%s'', count(*), sum(hashtextextended(format(''%%s'', t), 0))) FROM %s t WHERE t.%I = %L',
						  relation, column_name, people ->> theirs);
		FOR t IN SELECT x.* FROM tenancy._proof_view_templates() x WHERE x.attempt = ANY (wanted) ORDER BY x.place LOOP
			lacking := (SELECT n FROM unnest(t.needs) n WHERE NOT tenancy._proof_may(role, view, column_name, n) LIMIT 1);
			IF t.class = 'read' THEN
				-- worth trying only if the function is called for somebody
				CONTINUE WHEN NOT named;
				SELECT * INTO result FROM tenancy._proof_attempt(role, path, relation, rightful::text, tenancy._proof_statement(t.statement, parts), t.breach, 0, lacking, NULL);
				CONTINUE WHEN result.isolated IS DISTINCT FROM false;
			END IF;
			IF named THEN
				SELECT * INTO result FROM tenancy._proof_attempt(role, path, relation, who, tenancy._proof_statement(t.statement, parts), t.breach, 0, lacking,
																 CASE WHEN t.class <> 'read' THEN outside END);
				isolated := result.isolated;
				detail := result.detail;
				IF t.class = 'write' AND isolated AND detail = 'no row' AND NOT shown THEN
					isolated := NULL;
					detail := 'the view shows synthetic rows to nobody, not even to their Owner';
				END IF;
			ELSE
				isolated := CASE WHEN lacking IS NOT NULL THEN true END;
				detail := CASE WHEN isolated THEN 'the role has no right to' ELSE 'the view does not show whose a row is' END;
			END IF;
			results := results || jsonb_build_object('command', t.command, 'attempt', t.attempt, 'isolated', isolated, 'detail', detail);
		END LOOP;
	END IF;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN results;
END
$$;
COMMENT ON FUNCTION tenancy._proof_view_case(regrole, text, regclass, regclass, text, name, jsonb, text, text, text, text[]) IS
	'The outcomes of attempts on one view by one actor.';

CREATE FUNCTION tenancy._proof_view(role regrole, relation regclass, view regclass, kind text, column_name name,
									visible_to tenancy.access_level, editable_by tenancy.access_level,
									OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	path text := tenancy._proof_path(role);
	people jsonb;
	of_case record;
	wanted text[];
	result jsonb;
	exempt boolean;
BEGIN
	IF (SELECT c.relkind FROM pg_class c WHERE c.oid = view) = 'm' THEN
		command := 'SELECT';
		attempt := format('anybody: reads the materialized view %s', view);
		exempt := (SELECT r.rolsuper OR r.rolbypassrls FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = view);
		isolated := CASE WHEN NOT has_any_column_privilege(role, view, 'SELECT') THEN true WHEN exempt THEN false END;
		detail := CASE WHEN isolated THEN 'the role has no right to read it'
					   WHEN exempt THEN 'it is a copy of what a role saw that bypasses row security'
					   ELSE 'it is a copy of what its owner saw, which cannot be told' END;
		RETURN NEXT;
		RETURN;
	END IF;

	people := tenancy._proof_stage(kind, tenancy._proof_ids(relation, column_name));
	FOR of_case IN SELECT c.* FROM tenancy._proof_cases() c WHERE c.kind = kind ORDER BY c.place LOOP
		-- what can be written at all
		wanted := (SELECT coalesce(array_agg(t.attempt), '{}') FROM tenancy._proof_view_templates() t
				   WHERE tenancy._proof_applies(of_case.actor, t.class, visible_to, editable_by)
					 AND (t.class = 'read' OR pg_relation_is_updatable(view, true) & CASE t.command WHEN 'INSERT' THEN 8 WHEN 'UPDATE' THEN 4 ELSE 16 END > 0));
		FOR result IN SELECT r FROM jsonb_array_elements(tenancy._proof_view_case(role, path, relation, view, kind, column_name, people,
																	 of_case.mine, of_case.theirs, people ->> of_case.who, wanted)) r LOOP
			CONTINUE WHEN result ->> 'command' = 'SELECT'
					  AND NOT tenancy._proof_applies(of_case.actor, 'read', visible_to, editable_by);
			command := result ->> 'command';
			attempt := format('%s: %s through view %s', of_case.actor, result ->> 'attempt', view);
			isolated := (result ->> 'isolated')::boolean;
			detail := result ->> 'detail';
			RETURN NEXT;
		END LOOP;
	END LOOP;

	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
END
$$;
COMMENT ON FUNCTION tenancy._proof_view(regrole, regclass, regclass, text, name, tenancy.access_level, tenancy.access_level) IS
	'Tries everything through one view, and undoes it.';

-- ---------------------------------------------------------------------
-- What no attempt shows, or what would disturb others
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._proof_role_facts(role regrole, OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'ROLE', f.attempt, f.isolated, CASE WHEN f.isolated IS NOT TRUE THEN f.detail END
	FROM pg_roles r,
	LATERAL (VALUES
		(1, 'is no superuser', NOT r.rolsuper, 'a superuser sees everything'),
		(2, 'does not bypass row security', NOT r.rolbypassrls, 'BYPASSRLS'),
		(3, 'does not replicate', NOT r.rolreplication, 'REPLICATION: it can copy the whole server'),
		(4, 'cannot become a role that may do one of these',
			NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls OR o.rolreplication) AND pg_has_role(r.oid, o.oid, 'MEMBER')),
			'member of ' || (SELECT string_agg(quote_ident(o.rolname), ', ' ORDER BY o.rolname) FROM pg_roles o
							 WHERE o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls OR o.rolreplication) AND pg_has_role(r.oid, o.oid, 'MEMBER'))),
		(5, 'has no access to the server''s files and programs',
			NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') AND pg_has_role(r.oid, o.oid, 'MEMBER')),
			'it can read the files that tables are stored in'),
		(6, 'cannot say who is acting',
			CASE WHEN NOT has_parameter_privilege(r.oid, 'tenancy.user_id', 'SET') THEN true END,
			'it was given grant_application: it can act as anybody, which is trusted and not tried')) f (place, attempt, isolated, detail)
	WHERE r.oid = role
	ORDER BY f.place
$$;
COMMENT ON FUNCTION tenancy._proof_role_facts(regrole) IS 'What a role can do that no attempt shows.';

CREATE FUNCTION tenancy._proof_table_facts(role regrole, relation regclass,
										   OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	"right" text;
	filtered boolean;
BEGIN
	command := 'OWNER';
	attempt := 'anybody: is not the owner of the table, and cannot become it';
	isolated := NOT pg_has_role(role, owner, 'MEMBER');
	detail := CASE WHEN NOT isolated THEN format('%s owns the table and can switch row security off', owner) END;
	RETURN NEXT;

	-- By right and not by deed: it would lock the table for everybody.
	FOREACH "right" IN ARRAY CASE WHEN (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'server_version_num') >= 170000
							 THEN '{TRUNCATE,TRIGGER,REFERENCES,MAINTAIN}'::text[] ELSE '{TRUNCATE,TRIGGER,REFERENCES}' END LOOP
		command := "right";
		attempt := CASE "right" WHEN 'TRUNCATE' THEN 'anybody: truncates the table'
								WHEN 'TRIGGER' THEN 'anybody: creates a trigger'
								WHEN 'REFERENCES' THEN 'anybody: refers to rows by a foreign key'
								ELSE 'anybody: maintains the table' END;
		isolated := NOT CASE WHEN "right" = 'REFERENCES' THEN has_any_column_privilege(role, relation, "right")
							 ELSE has_table_privilege(role, relation, "right") END;
		detail := CASE WHEN isolated THEN 'the role has no right to' ELSE format('the role has the right %s, which row security does not govern', "right") END;
		RETURN NEXT;
	END LOOP;

	command := 'LOCK';
	attempt := 'anybody: locks the table';
	isolated := CASE WHEN NOT has_table_privilege(role, relation, 'UPDATE, DELETE, TRUNCATE') THEN true END;
	detail := CASE WHEN isolated THEN 'no lock that others notice, for want of rights'
				   ELSE 'not promised: a role with UPDATE or DELETE can lock the table' END;
	RETURN NEXT;

	command := 'COPY';
	attempt := 'anybody: loads rows by COPY FROM';
	filtered := (tenancy._run_as(role, 'pg_catalog', format('SELECT row_security_active(%s::oid)', relation::oid), false)).answer::boolean;
	isolated := filtered OR NOT has_any_column_privilege(role, relation, 'INSERT');
	detail := CASE WHEN filtered THEN 'PostgreSQL refuses it under row security'
				   WHEN isolated THEN 'the role has no right to insert'
				   ELSE 'row security does not apply to the role' END;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy._proof_table_facts(regrole, regclass) IS 'What rights on a table tell without an attempt.';

-- ---------------------------------------------------------------------
-- All of it
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.prove_isolation(role regrole)
RETURNS TABLE (relation regclass, command text, attempt text, isolated boolean, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	role_is_superuser boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = prove_isolation.role);
	t record;
	view regclass;
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'must be superuser to prove isolation'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = prove_isolation.role) THEN
		RAISE EXCEPTION 'role does not exist'
			USING ERRCODE = 'undefined_object';
	END IF;

	BEGIN
		-- As in a new session of the role: what the caller has set counts for nothing.
		SET LOCAL tenancy.project_id = '';
		SET LOCAL tenancy.missing_identity = empty;
		SET LOCAL row_security = on;
		SET LOCAL standard_conforming_strings = on;
		SET LOCAL session_replication_role = origin;
		SET LOCAL lc_messages = 'C';
		SET LOCAL client_min_messages = error;
		SET LOCAL jit = off;	-- short queries, some of which look dear
		BEGIN
			CREATE FUNCTION pg_temp.tenancy_proof_leak(seen text, theirs text) RETURNS boolean
			LANGUAGE plpgsql VOLATILE COST 0.0000001
			AS $leak$
			BEGIN
				IF seen OPERATOR(pg_catalog.=) theirs THEN
					RAISE EXCEPTION SQLSTATE 'TN0LK';
				END IF;
				RETURN false;
			END
			$leak$;
			GRANT EXECUTE ON FUNCTION pg_temp.tenancy_proof_leak(text, text) TO PUBLIC;
		EXCEPTION WHEN OTHERS THEN
			NULL;	-- an event trigger forbids it: the attempts will say that there is no such function
		END;

		RETURN QUERY SELECT NULL::regclass, f.* FROM tenancy._proof_role_facts(prove_isolation.role) f;
		FOR t IN SELECT * FROM tenancy._proof_tables() p ORDER BY p.relation::text COLLATE "C" LOOP
			RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_table_facts(prove_isolation.role, t.relation) f;
			IF t.kind IS NULL OR t.column_name IS NULL THEN
				RETURN QUERY SELECT t.relation, NULL::text, 'anybody: any attempt', NULL::boolean, 'it cannot be told which column says whose a row is';
				CONTINUE;
			END IF;
			IF role_is_superuser THEN
				RETURN QUERY SELECT t.relation, NULL::text, 'anybody: any attempt', NULL::boolean, 'code of the application would run with the rights of a superuser';
				CONTINUE;
			END IF;
			view := NULL;
			BEGIN
				IF tenancy._is_distributed(t.relation) THEN
					RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_distributed(prove_isolation.role, t.relation, t.kind, t.column_name, t.visible_to) f;
					CONTINUE;
				END IF;
				RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_table(prove_isolation.role, t.relation, t.kind, t.column_name, t.visible_to, t.editable_by) f;
				FOR view IN SELECT v FROM tenancy._proof_views(t.relation) v LOOP
					RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_view(prove_isolation.role, t.relation, view, t.kind, t.column_name, t.visible_to, t.editable_by) f;
				END LOOP;
			EXCEPTION
				WHEN read_only_sql_transaction THEN
					RAISE;
				WHEN OTHERS OR assert_failure THEN
					RETURN QUERY SELECT t.relation, NULL::text, concat_ws(' ', 'anybody: any attempt', 'through view ' || view), NULL::boolean, SQLERRM;
			END;
		END LOOP;
		RAISE EXCEPTION SQLSTATE 'TN0UN';
	EXCEPTION
		WHEN SQLSTATE 'TN0UN' THEN
			RETURN;
	END;
END
$$;
COMMENT ON FUNCTION tenancy.prove_isolation(regrole) IS
	'Tries as a role, with synthetic rows, what isolation forbids on every protected table, and undoes it; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.prove_isolation(regrole) FROM PUBLIC;
-- ---------------------------------------------------------------------
-- After the last command: what all of them have
-- ---------------------------------------------------------------------

-- The audit log names the command, so the library has to be there before it is
-- called.
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace
			   AND p.prosecdef AND p.provolatile = 'v' AND p.proname NOT LIKE '\_%'
	LOOP
		EXECUTE pg_catalog.format('ALTER FUNCTION %s SUPPORT tenancy._command_support', f);
	END LOOP;
END
$$;
-- ---------------------------------------------------------------------
-- lint, part 4: the nodes of a Citus cluster
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._lint_cluster(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fed constant integer := cardinality(tenancy._fed_tables());
BEGIN
	IF NOT tenancy._has_citus() OR to_regclass('tenancy_citus.feed') IS NULL THEN
		RETURN;
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RETURN QUERY SELECT 'not_checked', 'nodes of the cluster', format('%s may not ask them', current_user), '-- let a superuser call lint()';
		RETURN;
	END IF;
	-- The coordinator knows of all.
	IF (SELECT g.groupid FROM pg_dist_local_group g) <> 0 THEN
		RETURN QUERY SELECT 'not_checked', 'nodes of the cluster', 'this is a worker', '-- call lint() on the coordinator, too';
		RETURN;
	END IF;
	RETURN QUERY
		SELECT 'node_unfit', 'node ' || n.node, n.problem, '-- ' || n.remedy FROM tenancy._node_problems() n;
	RETURN QUERY
		SELECT 'node_outside', 'node ' || n.node, p.problem, 'SELECT tenancy.distribute();'
		FROM tenancy._nodes() n
		CROSS JOIN LATERAL (VALUES
			((n.state->>'applies')::integer <> 1, 'it does not apply what the coordinator changes'),
			(n.is_worker AND (n.state->>'guarded')::integer <> fed, 'commands can change its copy')) p (found, problem)
		WHERE n.state->>'version' IS NOT NULL AND p.found;
	RETURN QUERY
		SELECT 'node_outside', 'node ' || format('%s:%s', d.nodename, d.nodeport), 'it has not taken part in the last distribute()', 'SELECT tenancy.distribute();'
		FROM run_command_on_all_nodes('SELECT c.generation FROM tenancy.cluster c') r
		JOIN pg_dist_node d ON d.nodeid = r.nodeid
		WHERE r.success AND r.result IS DISTINCT FROM (SELECT c.generation::text FROM tenancy.cluster c);
	RETURN QUERY
		SELECT 'shard_open', 'node ' || n.node, p.problem, p.remedy
		FROM tenancy._nodes() n
		CROSS JOIN LATERAL (VALUES
			((n.state->>'floors')::integer > 0, 'floors of protected tables are permissive there, and open what they should close',
			 '-- ALTER EVENT TRIGGER tenancy_keep_floors ENABLE there, then protect() the tables anew'),
			((n.state->>'open_shards')::integer > 0, 'row security of shards of protected tables is off, or does not bind their owner',
			 '-- ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, of the distributed table')) p (found, problem, remedy)
		WHERE p.found;
	RETURN QUERY
		SELECT 'feed_incomplete', 'table tenancy.' || t.name, 'its changes do not reach the other nodes', 'SELECT tenancy.distribute();'
		FROM unnest(tenancy._fed_tables()) t (name)
		WHERE 4 <> (SELECT count(*) FROM pg_trigger g
					WHERE g.tgrelid = format('tenancy.%I', t.name)::regclass AND g.tgfoid = 'tenancy._feed'::regproc AND g.tgenabled = 'A');
	-- On the coordinator that is what grant_application() does.
	RETURN QUERY
		SELECT 'worker_trusts', 'node ' || n.node, format('%s may say there who is acting', t.role),
			   format('-- there: REVOKE SET ON PARAMETER tenancy.user_id FROM %s;', t.role)
		FROM tenancy._nodes() n, jsonb_array_elements_text(n.state->'trusted') t (role)
		WHERE n.is_worker AND n.state->'trusted' <> 'null';
	RETURN QUERY
		SELECT 'worker_reachable', 'node ' || n.node, format('pg_hba.conf lets connections in from %s', o.address),
			   '-- name the nodes of the cluster there, one by one, or ask for certificates'
		FROM tenancy._nodes() n, jsonb_array_elements_text(n.state->'open') o (address)
		WHERE n.is_worker AND n.state->'open' <> 'null';
	RETURN QUERY
		SELECT 'distributed_otherwise', t.relation::text, 'it is distributed by another column than it is protected by',
			   format('SELECT alter_distributed_table(%L, distribution_column => %L);', t.relation, t.column_name)
		FROM tenancy.protected_tables t
		JOIN pg_dist_partition d ON d.logicalrelid = t.relation AND d.partmethod = 'h'
		WHERE column_to_column_name(d.logicalrelid, d.partkey) <> t.column_name;
END
$$;
COMMENT ON FUNCTION tenancy._lint_cluster() IS 'Part of lint(): the nodes of a Citus cluster.';
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
-- ---------------------------------------------------------------------
-- lint, the whole: its rules, and the function that asks all parts
-- ---------------------------------------------------------------------

-- error: isolation does not hold, or stops at the next step.  warning: it holds,
-- with something left open beside it.  info: somebody should know.
CREATE VIEW tenancy.lint_rules WITH (security_invoker = true) AS
	SELECT v.rule, v.severity, v.meaning
	FROM (VALUES
		('unprotected_table'::text, 'error'::text, 'a table has a column of projects or organizations, and is not protected'::text),
		('unprotected_partition', 'error', 'a partition or child of a protected table is not protected like it'),
		('event_trigger_off', 'error', 'the event trigger that protects new partitions is missing, disabled, or not ENABLE ALWAYS'),
		('row_security_off', 'error', 'row security of a protected table is off'),
		('row_security_not_forced', 'error', 'row security of a protected table does not bind its owner'),
		('policy_missing', 'error', 'a policy of a protected table is missing'),
		('policy_altered', 'error', 'a policy of a protected table is not as protect() writes it'),
		('permissive_policy', 'warning', 'a permissive policy stands beside ours'),
		('column_nullable', 'error', 'the column of a protected table may be null'),
		('foreign_key_missing', 'error', 'the column of a protected table has no foreign key, or one that is not validated'),
		('index_missing', 'warning', 'no index of a protected table leads with the column'),
		('rights_beyond_rows', 'error', 'somebody has TRUNCATE, REFERENCES, TRIGGER or MAINTAIN on a protected table'),
		('unique_without_column', 'error', 'a unique or exclusion constraint of a protected table lacks the column'),
		('unique_random_key', 'info', 'a unique key of random ids lacks the column'),
		('index_not_led', 'info', 'an index of a protected table does not lead with the column'),
		('foreign_key_without_column', 'error', 'a foreign key between protected tables does not carry the column'),
		('foreign_key_not_indexed', 'info', 'a foreign key between protected tables has no index over its columns'),
		('foreign_key_from_unprotected', 'warning', 'a foreign key leads from a table that is not protected to one that is'),
		('serial_column', 'info', 'a column of a protected table is counted up over all projects'),
		('identity_insertable', 'warning', 'others may choose the values of an identity column that is unique over all projects'),
		('sequence_readable', 'warning', 'somebody may read the sequence of a protected table'),
		('replica_identity', 'warning', 'the replica identity of a protected table tells too much, or lacks the column'),
		('generated_column', 'warning', 'a generated column of a protected table may show what it was made from'),
		('large_objects', 'info', 'large objects, for which row security does not hold'),
		('foreign_table', 'warning', 'a foreign table has a column of projects or organizations, and others may use it'),
		('policies_without_row_security', 'warning', 'a table has policies, and row security is off'),
		('policies_not_forced', 'info', 'policies of the application''s own do not bind the owner of the table'),
		('row_security_without_policies', 'info', 'a table has row security, and no policy that lets anybody in'),
		('policy_always_true', 'info', 'a policy is always true'),
		('policy_always_false', 'info', 'a policy is always false'),
		('policy_ignores_row', 'warning', 'a permissive policy looks at no column of the row'),
		('policy_opens_to_nobody', 'warning', 'a policy lets in whoever is not signed in'),
		('policy_matches_pattern', 'warning', 'a policy matches by a pattern what says who is acting'),
		('policy_volatile', 'warning', 'a policy calls a volatile function'),
		('policy_role_inert', 'info', 'a policy is for roles that nobody works as who is bound by row security'),
		('policy_wraps_predicate', 'warning', 'a policy asks tenancy under NOT, OR, CASE, COALESCE or IS'),
		('policy_reads_session', 'warning', 'a policy of a protected table depends on the role or a setting'),
		('policy_reads_writable', 'warning', 'a policy of a protected table depends on a table that others may change'),
		('policy_reads_unprotected', 'info', 'a policy of a protected table depends on a table without row security'),
		('wrapper_not_inlined', 'info', 'a policy asks tenancy through a function that hides it from the planner'),
		('identity_from_setting', 'error', 'something reads a setting of tenancy by name'),
		('view_owner_exempt', 'error', 'a view reads protected tables with rights that row security does not bind'),
		('materialized_view', 'error', 'a materialized view holds protected rows, and others may read it'),
		('materialized_view_private', 'info', 'a materialized view holds protected rows, for its owner only'),
		('view_writable', 'warning', 'others may write through a view that filters protected rows'),
		('view_filters_itself', 'warning', 'a view filters by tenancy''s functions, without security_barrier'),
		('reporting_view', 'warning', 'a reporting view is not what it would be if it were made now'),
		('rewrite_rule', 'warning', 'a rule acts on protected rows with the rights of a table''s owner'),
		('definer_function', 'error', 'a SECURITY DEFINER function reads protected tables with rights that row security does not bind'),
		('definer_dynamic', 'warning', 'such a function runs SQL that it puts together'),
		('definer_search_path', 'error', 'a SECURITY DEFINER function does not pin search_path, pg_temp last'),
		('definer_path_writable', 'error', 'others may create objects in the search_path of a SECURITY DEFINER function'),
		('immutable_wrapper', 'error', 'an IMMUTABLE function asks who is acting, or reads a setting'),
		('leakproof_function', 'warning', 'a function of the application''s own claims to be LEAKPROOF'),
		('notify_payload', 'warning', 'a function that deals with protected tables sends a payload by NOTIFY'),
		('procedure_takes_credential', 'warning', 'a procedure takes a credential'),
		('trigger_of_another', 'warning', 'the function of a trigger on a protected table is somebody else''s'),
		('event_trigger_weak', 'error', 'an event trigger, or its function, belongs to somebody who is no superuser'),
		('publication', 'warning', 'a publication sends protected tables'),
		('subscription', 'info', 'a subscription writes into this database'),
		('application_bypasses', 'error', 'row security does not bind a role of the application'),
		('bypass_login', 'info', 'another role that can log in is not bound by row security'),
		('bypass_reachable', 'error', 'a role that can log in can become one that row security does not bind'),
		('predefined_role', 'warning', 'a role that can log in has a predefined role that reads everything or the server''s files'),
		('create_role', 'warning', 'a role that can log in has CREATEROLE'),
		('replication_role', 'info', 'a role that can log in can replicate'),
		('owner_can_log_in', 'error', 'the owner of protected tables can log in, or be reached from a login'),
		('identity_settable', 'error', 'somebody may set tenancy.user_id who was not given grant_application()'),
		('identity_from_outside', 'info', 'a role that may say who is acting can log in from other machines'),
		('role_binder', 'info', 'somebody who is no superuser may bind login roles to users'),
		('bound_role_bypasses', 'error', 'a login role that is bound to a user bypasses row security'),
		('binding_void', 'warning', 'the binding of a login role counts for nothing'),
		('trusted_by_membership', 'warning', 'several logins share the right to say who is acting'),
		('pooled_role', 'info', 'a role that may say who is acting seems to be used by a pool'),
		('temporary_tables', 'warning', 'others may create temporary tables'),
		('default_privileges', 'warning', 'default privileges open new tables'),
		('tenancy_grants', 'error', 'somebody has rights on the extension''s own objects that are not meant'),
		('sensitive_column', 'warning', 'a column that is named like a secret is readable in a table without row security'),
		('extension_in_writable_schema', 'warning', 'an extension is in a schema in which others may create objects'),
		('stored_identity', 'error', 'a role or database has a stored value of tenancy.user_id'),
		('stored_setting', 'warning', 'a role or database has a stored setting that weakens isolation'),
		('secret_in_setting', 'error', 'a stored setting holds a secret'),
		('credentials_in_log', 'warning', 'a setting puts credentials into the log'),
		('failed_statements_in_log', 'info', 'statements that fail are logged with their text'),
		('not_preloaded', 'info', 'the library is loaded late'),
		('server_outdated', 'error', 'the server lacks repairs of row security'),
		('statistics_view', 'error', 'the views of extended statistics are those from before CVE-2024-4317'),
		('extension_outdated', 'warning', 'a newer version of an extension is installed on the server'),
		('node_unfit', 'error', 'a node of the Citus cluster does not answer, lacks the extension, or has another version of it'),
		('node_outside', 'error', 'a node of the Citus cluster has not what decides about access'),
		('shard_open', 'error', 'shards of a protected table are not protected like it'),
		('feed_incomplete', 'error', 'changes of access do not reach the other nodes'),
		('worker_trusts', 'error', 'somebody may say on a worker who is acting'),
		('worker_reachable', 'warning', 'a worker takes connections from others than single machines'),
		('distributed_otherwise', 'warning', 'a protected table is distributed by another column than it is protected by'),
		('altered', 'error', 'an object of the extension itself is not as it was made'),
		('integrity', 'error', 'tenancy.check_integrity() finds something'),
		('old_token', 'info', 'a project token has lived for more than a year'),
		('purge_due', 'info', 'there is much that tenancy.purge() would remove'),
		('not_checked', 'warning', 'something could not be looked at')) v (rule, severity, meaning);
COMMENT ON VIEW tenancy.lint_rules IS 'The rules of lint().';
REVOKE ALL ON tenancy.lint_rules FROM PUBLIC;
GRANT SELECT ON tenancy.lint_rules TO PUBLIC;

-- What is in the tables of the extension, as far as the caller may see it, and
-- what the caller may not.
CREATE FUNCTION tenancy._lint_data(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF has_function_privilege('tenancy.check_integrity()', 'EXECUTE') THEN
		RETURN QUERY
			SELECT 'integrity', c.object, c.rule || ': ' || c.problem, '-- SELECT * FROM tenancy.check_integrity()'
			FROM tenancy.check_integrity() c WHERE c.rule NOT IN ('altered', 'binding', 'not_checked')
			UNION ALL
			SELECT 'not_checked', c.object, c.problem, '-- give the function back to a superuser'
			FROM tenancy.check_integrity() c WHERE c.rule = 'not_checked';
	ELSE
		RETURN QUERY SELECT 'not_checked', 'function tenancy.check_integrity()', format('%s may not call it', current_user),
							'-- let a superuser call lint()';
	END IF;

	IF NOT row_security_active('tenancy.project_tokens')
	   AND has_table_privilege('tenancy.project_tokens', 'SELECT') AND has_table_privilege('tenancy.sessions', 'SELECT')
	   AND has_table_privilege('tenancy.invites', 'SELECT') AND has_table_privilege('tenancy.notifications', 'SELECT') THEN
		RETURN QUERY
			SELECT 'old_token', 'project ' || t.project_id, format('its token is from %s', t.created_at::date),
				   format('-- SELECT tenancy.rotate_project_token(%L), by somebody who manages the project', t.project_id)
			FROM tenancy.project_tokens t
			WHERE t.revoked_at IS NULL AND t.created_at < clock_timestamp() - interval '1 year';
		RETURN QUERY
			SELECT 'purge_due', 'schema tenancy', format('%s rows ended more than 30 days ago', e.rows),
				   'SELECT * FROM tenancy.purge(''30 days'');'
			FROM (SELECT (SELECT count(*) FROM tenancy.sessions s WHERE least(s.revoked_at, s.expires_at) < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.invites i WHERE i.expires_at < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.project_tokens t WHERE t.revoked_at < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.notifications n
							WHERE coalesce(n.sent_at, n.dead_at) < clock_timestamp() - interval '30 days') AS rows) e
			WHERE e.rows >= 1000;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'tables of tenancy', format('%s does not see all of their rows', current_user),
							'-- let a superuser call lint()';
	END IF;

	IF has_table_privilege('tenancy.bound_roles', 'SELECT') THEN
		RETURN QUERY
			SELECT CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'bound_role_bypasses' ELSE 'binding_void' END,
				   'role ' || quote_ident(b.role_name),
				   format('it is bound to the user %s and %s: %s', b.user_id,
						  CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'sees everything' ELSE 'stands for nobody' END, b.problem),
				   CASE WHEN r.rolsuper OR r.rolbypassrls THEN format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', r.rolname)
						ELSE format('DELETE FROM tenancy.role_bindings WHERE role_name = %L;', b.role_name) END
			FROM tenancy.bound_roles b
			LEFT JOIN pg_roles r ON r.oid = b.role_oid
			WHERE b.problem IS NOT NULL;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'view tenancy.bound_roles', format('%s may not read it', current_user), '-- let a superuser call lint()';
	END IF;

	-- pg_hba.conf is for superusers
	IF has_function_privilege('pg_hba_file_rules()', 'EXECUTE') AND has_table_privilege('pg_hba_file_rules', 'SELECT') THEN
		RETURN QUERY SELECT o.rule, o.object, o.problem, o.remedy FROM tenancy._lint_outside() o;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'pg_hba.conf', format('%s may not read it', current_user), '-- let a superuser call lint()';
	END IF;

	-- Some settings, and others' sessions, are for pg_monitor.
	IF NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = 'shared_preload_libraries') THEN
		RETURN QUERY SELECT 'not_checked', 'settings', format('%s may not read all of them', current_user),
							format('GRANT pg_read_all_settings TO %I;', current_user);
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) AND NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
		RETURN QUERY SELECT 'not_checked', 'pg_stat_activity', format('%s does not see other roles'' sessions', current_user),
							format('GRANT pg_read_all_stats TO %I;', current_user);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._lint_data() IS 'Part of lint(): what is stored, and what the caller could not see.';

-- Names are printed without needless quotes, whatever the session says.  Catalogs
-- are seldom analyzed, so that nested loops look cheap and are not.
CREATE FUNCTION tenancy.lint()
RETURNS TABLE (rule text, severity text, object text, problem text, remedy text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
SET enable_nestloop = off
SET jit = off
SET standard_conforming_strings = on
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
		SELECT f.rule, coalesce(r.severity, 'error') AS severity, f.object, f.problem, f.remedy
		FROM (SELECT * FROM tenancy._lint_tables()
			  UNION ALL SELECT * FROM tenancy._lint_keys()
			  UNION ALL SELECT * FROM tenancy._lint_policies()
			  UNION ALL SELECT * FROM tenancy._lint_views()
			  UNION ALL SELECT * FROM tenancy._lint_functions()
			  UNION ALL SELECT * FROM tenancy._lint_replication()
			  UNION ALL SELECT * FROM tenancy._lint_roles()
			  UNION ALL SELECT * FROM tenancy._lint_settings()
			  UNION ALL SELECT * FROM tenancy._lint_server((SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'server_version_num'))
			  UNION ALL SELECT * FROM tenancy._lint_cluster()
			  UNION ALL SELECT 'altered', a.object, a.problem, a.remedy FROM tenancy._altered() a
			  UNION ALL SELECT * FROM tenancy._lint_data()) f
		LEFT JOIN tenancy.lint_rules r ON r.rule = f.rule
		ORDER BY array_position('{error,warning,info}', coalesce(r.severity, 'error')), f.rule COLLATE "C", f.object COLLATE "C", f.problem COLLATE "C";
END
$$;
COMMENT ON FUNCTION tenancy.lint() IS 'What is misconfigured, and what the caller could not check; with the rights of the caller.';
-- ---------------------------------------------------------------------
-- The last object: what _shape() says now is what it ought to say.  Part of every
-- script that updates the extension, too, hence OR REPLACE.
-- ---------------------------------------------------------------------

SET LOCAL quote_all_identifiers = off;

DO $$
BEGIN
	EXECUTE (SELECT pg_catalog.format(
				E'CREATE OR REPLACE FUNCTION tenancy._installed_shape(OUT object text, OUT shape text, OUT remedy text, OUT recreate text)\n'
				'RETURNS SETOF record LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS %L',
				pg_catalog.format('SELECT * FROM json_to_recordset(%L) x (object text, shape text, remedy text, recreate text)',
								  pg_catalog.json_agg(s ORDER BY s.object COLLATE "C")))
			 FROM tenancy._shape() s);
END
$$;
COMMENT ON FUNCTION tenancy._installed_shape() IS 'What _shape() said when the extension was created.';
-- ---------------------------------------------------------------------
-- What was not there before: the rights that it has, whatever default privileges of
-- this database gave or took when it was made.  Part of every script that updates
-- the extension, too, which leaves alone what an administrator has granted since.
-- ---------------------------------------------------------------------

-- A function about whose rights its part says nothing, so that there is no note of
-- them yet, is everybody's.  But names that begin with an underscore are ours; only
-- what a view or the planner calls on behalf of whoever asks is open.
DO $$
DECLARE
	present oid[] := pg_catalog.current_setting('tenancy_update.present');
	f record;
	t regtype;
BEGIN
	FOR f IN SELECT p.oid::pg_catalog.regprocedure AS name,
					p.proname LIKE '\_%' AND p.proname NOT IN ('_permission_matrix', '_session_id', '_role_problem', '_note_caller') AS is_ours,
					EXISTS (SELECT FROM pg_catalog.pg_init_privs i
							WHERE i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid = p.oid) AS is_said
			 FROM pg_catalog.pg_proc p
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace AND p.oid <> ALL (present)
	LOOP
		IF f.is_ours THEN
			EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
		ELSIF NOT f.is_said THEN
			EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f.name);
		END IF;
	END LOOP;
	FOR t IN SELECT y.oid FROM pg_catalog.pg_type y
			 WHERE y.typnamespace = 'tenancy'::pg_catalog.regnamespace AND y.oid <> ALL (present) AND y.typtype IN ('d', 'e')
	LOOP
		EXECUTE pg_catalog.format('GRANT USAGE ON TYPE %s TO PUBLIC', t);
	END LOOP;
END
$$;

-- Default privileges of this database may name roles: take their grants back.
DO $$
DECLARE
	present oid[] := pg_catalog.current_setting('tenancy_update.present');
	g record;
BEGIN
	FOR g IN SELECT DISTINCT p.oid::pg_catalog.regprocedure AS object, a.grantee
			 FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, p.proowner)
			   AND p.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
	FOR g IN SELECT DISTINCT c.oid::pg_catalog.regclass AS object, a.grantee
			 FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
			 WHERE c.relnamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, c.relowner)
			   AND c.relkind IN ('r', 'v') AND c.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
	FOR g IN SELECT DISTINCT y.oid::pg_catalog.regtype AS object, a.grantee
			 FROM pg_catalog.pg_type y, pg_catalog.aclexplode(y.typacl) a
			 WHERE y.typnamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, y.typowner)
			   AND y.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
END
$$;
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
-- ---------------------------------------------------------------------
-- The end of every script
-- ---------------------------------------------------------------------

SELECT tenancy._end_of_script();
