-- tenancy.access, row by row: the one definition of who can reach what.
\set test access
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'administrator');
RESET ROLE;

-- Owners and Administrators reach every project, Members the open ones and the
-- private ones that they were added to.
SELECT called(user_id), called(organization_id), called(project_id), level, source, organization_level
FROM tenancy.access ORDER BY 1, 2, 3;

-- A level in a project counts while it is private.
BEGIN;
UPDATE tenancy.projects SET is_private = false;
SELECT called(user_id), called(project_id), level, source FROM tenancy.access WHERE project_id = id('hidden') ORDER BY 1;
ROLLBACK;

-- Whoever is deactivated reaches nothing, in whatever way it was reached.
UPDATE tenancy.users SET is_active = false WHERE id <> id('bob');
SELECT called(user_id), called(organization_id), called(project_id), level, source FROM tenancy.access ORDER BY 1, 2, 3;

\i :cleanup
