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
