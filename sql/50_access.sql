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
