-- organizations.sql: the organizations :first to :last with the projects
-- :first_project to :last_project, 3 users and 10 memberships for each, and a
-- token for each project.  Included by data.sql, and run again and again with
-- more of them to see how costs grow.
\set ON_ERROR_STOP on
\set QUIET on
\o /dev/null

-- Foreign keys hold by construction here, and take most of the time of a load;
-- what announces changes is not silenced by this.
SET session_replication_role = replica;

INSERT INTO tenancy.users (id, email, name)
SELECT plain.id('user', n), 'user' || n || '@example.com', 'user ' || n
FROM generate_series(3 * (:first - 1) + 1, 3 * :last) n;

INSERT INTO tenancy.organizations (id, name, owner_id, plan)
SELECT plain.id('organization', n), 'organization ' || n, plain.id('user', 3 * n), 'enterprise'
FROM generate_series(:first, :last) n;

-- Of the first organizations, the very first one has five projects.
INSERT INTO tenancy.projects (id, organization_id, name)
SELECT plain.id('project', n),
	   plain.id('organization', CASE WHEN :first > 1 THEN :first + (n - :first_project) / 5
									 WHEN n <= 5 THEN 1
									 ELSE 2 + (n - 6) % (:last - 1) END),
	   'project ' || n
FROM generate_series(:first_project, :last_project) n;

INSERT INTO tenancy.project_tokens (project_id, digest, token)
SELECT plain.id('project', n), tenancy._credential_digest(token, 'project'), token
FROM generate_series(:first_project, :last_project) n,
	LATERAL (SELECT tenancy._mint_credential('project') AS token WHERE n > 0) t;

-- Two members of its own, and eight from other organizations; no Owners.
INSERT INTO tenancy.memberships (organization_id, user_id, level)
SELECT plain.id('organization', o),
	   plain.id('user', CASE WHEN k <= 2 THEN 3 * (o - 1) + k
							 ELSE 3 * (:first - 1 + (o * 7919::bigint + k * 104729) % (:last - :first + 1)) + 1 + k % 2 END),
	   CASE WHEN k = 2 THEN 'administrator' ELSE 'member' END::tenancy.access_level
FROM generate_series(:first, :last) o, generate_series(1, 10) k
ON CONFLICT DO NOTHING;

RESET session_replication_role;
