-- ---------------------------------------------------------------------
-- Views for applications and reports.  They run with the rights of whoever
-- asks, so the policies of the tables filter below everything else.
-- ---------------------------------------------------------------------

CREATE VIEW tenancy.members WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, u.id AS user_id, u.email, u.name,
		   'owner'::tenancy.access_level AS level, o.created_at AS joined_at, NULL::uuid AS invited_by
	FROM tenancy.organizations o
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) o.owner_id
	WHERE u.is_active
UNION ALL
	SELECT m.organization_id, u.id, u.email, u.name, m.level, m.joined_at, m.invited_by
	FROM tenancy.memberships m
	JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) m.user_id
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

CREATE VIEW tenancy.permission_matrix AS
	SELECT m.permission::tenancy.permission AS permission, m.target, m.member,
		   m.administrator, m.owner, m.project_administrator
	FROM tenancy._permission_matrix() m;
COMMENT ON VIEW tenancy.permission_matrix IS 'Which level has which permission.';

REVOKE ALL ON tenancy.members, tenancy.my_organizations, tenancy.my_projects,
	tenancy.project_members, tenancy.pending_invites, tenancy.permission_matrix FROM PUBLIC;
GRANT SELECT ON tenancy.members, tenancy.my_organizations, tenancy.my_projects,
	tenancy.project_members, tenancy.pending_invites, tenancy.permission_matrix TO PUBLIC;
