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
