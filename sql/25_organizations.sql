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
