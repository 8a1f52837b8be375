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
