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
