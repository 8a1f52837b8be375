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
