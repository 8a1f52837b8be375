-- Projects: making, changing and deleting them, what plans limit, and that
-- nothing of one is reached from another organization.
\set test projects
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- behaviour 51: a Member cannot create a project, an Administrator may, and so
-- may the Owner; each comes with a token
SELECT act('mia');
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Mine')$$);
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Mine', true)$$);
SELECT act('adam');
SELECT remember('second', tenancy.create_project(id('acme'), ' Second '));
SELECT act('alice');
SELECT remember('third', tenancy.create_project(id('acme'), 'Third', true));
SELECT called(id), called(organization_id), name, is_private, level, token ~ '^tnp_[0-9a-f]{72}$'
FROM tenancy.my_projects ORDER BY 1;
-- ... nobody else does: an open one is everybody's, a private one is not
SELECT act('mia');
SELECT called(id), is_private, level FROM tenancy.my_projects ORDER BY 1;

-- names of projects need not be unique, and are names
SELECT act('adam');
SELECT trial($$SELECT tenancy.create_project(id('acme'), 'Second')$$);
SELECT attempt($$SELECT tenancy.create_project(id('acme'), '')$$);
SELECT attempt($$SELECT tenancy.create_project(id('acme'), NULL)$$);
SELECT attempt(format('SELECT tenancy.create_project(id(''acme''), %L)', repeat('x', 300)));
SELECT attempt($$SELECT tenancy.create_project(id('acme'), E'a\tb')$$);
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Null', NULL)$$);
SELECT attempt($$SELECT tenancy.rename_project(id('second'), '')$$);
SELECT attempt($$SELECT tenancy.rename_project(id('second'), NULL)$$);
SELECT attempt(format('SELECT tenancy.rename_project(id(''second''), %L)', repeat('x', 300)));
SELECT attempt($$SELECT tenancy.set_project_privacy(id('second'), NULL)$$);
SELECT count(*), min(name) FILTER (WHERE id = id('second')) FROM tenancy.my_projects;

-- renaming is for Administrators and the Owner
SELECT act('mia');
SELECT attempt($$SELECT tenancy.rename_project(id('second'), 'Mine')$$);
SELECT act('adam');
SELECT attempt($$SELECT tenancy.rename_project(id('second'), 'Two')$$);
SELECT act('alice');
SELECT attempt($$SELECT tenancy.rename_project(id('open'), 'One')$$);
SELECT called(id), name FROM tenancy.my_projects ORDER BY 1;

-- behaviour 54: another organization's project does not exist: not for reading,
-- changing or deleting, whatever one's level at home
SELECT act('bob');
SELECT called(id) FROM tenancy.my_projects;
SELECT called(id) FROM tenancy.projects;
SELECT count(*) FROM tenancy.project_tokens WHERE project_id <> id('foreign');
SELECT sees();
SELECT alike('SELECT tenancy.rename_project(%1$L, ''Mine'')', 'open', 'hidden', 'fake', 'null', 'acme', 'rival');
SELECT alike('SELECT tenancy.delete_project(%1$L)', 'open', 'hidden', 'fake', 'null', 'rival');
SELECT alike('SELECT tenancy.rotate_project_token(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT tenancy.set_project_privacy(%1$L, true)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT tenancy.set_project_privacy(%1$L, NULL)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT tenancy.add_project_member(%1$L, id(''mia''), ''member'')', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT tenancy.leave_project(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT attempt($$UPDATE events SET amount = 0 WHERE project_id <> id('foreign')$$);
SELECT attempt($$DELETE FROM events WHERE project_id <> id('foreign')$$);
SELECT alike('INSERT INTO events VALUES (%1$L, 1)', 'open', 'hidden', 'fake');
SELECT alike('UPDATE events SET project_id = %1$L', 'open', 'hidden', 'fake');

-- behaviour 60: nothing of one project can be referenced from another: not a
-- member of one organization from a project of another ...
RESET ROLE;
SELECT split_part(attempt(format('INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (%L, %L, %L)',
	id('foreign'), id('mia'), id(organization))), ' / ', 1)
FROM unnest('{acme,rival}'::text[]) organization;
SELECT split_part(attempt($$INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('hidden'), id('bob'), id('acme'))$$), ' / ', 1);
-- ... not a project together with its members taken to another organization
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('hidden'), id('mia'), id('acme'));
SELECT split_part(attempt($$UPDATE tenancy.projects SET organization_id = id('rival') WHERE id = id('hidden')$$), ' / ', 1);
-- ... and, with a key that includes the project, not an application's rows
CREATE TABLE parents (project_id uuid NOT NULL, id integer, PRIMARY KEY (project_id, id));
CREATE TABLE children (project_id uuid NOT NULL, parent integer,
	FOREIGN KEY (project_id, parent) REFERENCES parents ON DELETE CASCADE);
SET client_min_messages = warning;
SELECT tenancy.protect('parents'), tenancy.protect('children');
RESET client_min_messages;
GRANT SELECT, INSERT, UPDATE, DELETE ON parents, children TO PUBLIC;
INSERT INTO parents VALUES (id('hidden'), 1), (id('open'), 2);
SET ROLE :app;
SELECT act('max');
SELECT trial($$INSERT INTO children VALUES (id('open'), 2)$$);
SELECT split_part(trial($$INSERT INTO children VALUES (id('open'), 1)$$), ' / ', 1);
SELECT split_part(trial($$INSERT INTO children VALUES (id('open'), 77)$$), ' / ', 1);
SELECT alike('INSERT INTO children VALUES (%1$L, 1)', 'hidden', 'fake');
RESET ROLE;
DROP TABLE children, parents;
SET ROLE :app;

-- behaviour 53: a Member cannot delete a project; an Administrator may, the last
-- project included; its rows go with it, and no other row
SELECT act('mia');
SELECT attempt($$SELECT tenancy.delete_project(id('open'))$$);
SELECT act('adam');
SELECT sees();
SELECT attempt($$SELECT tenancy.delete_project(id('hidden'))$$);
SELECT sees();
SELECT alike('SELECT tenancy.delete_project(%1$L)', 'hidden', 'fake', 'foreign');
SELECT attempt(format('SELECT tenancy.delete_project(%L)', id))
FROM tenancy.my_projects GROUP BY 1;
SELECT count(*) FROM tenancy.my_projects;
SELECT sees();
RESET ROLE;
SELECT called(project_id), count(*) FROM events GROUP BY 1;
SELECT count(*) FROM tenancy.project_tokens WHERE project_id <> id('foreign');
SELECT count(*) FROM tenancy.project_memberships;

-- behaviour 52: without multiple projects in the plan the second is refused;
-- with zero projects left one may be created
SELECT tenancy.set_plan(id('acme'), 'free');
SET ROLE :app;
SELECT remember('only', tenancy.create_project(id('acme'), 'Only'));
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Another')$$);
-- ... nor can it be private where the plan has no private projects
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);
SELECT attempt($$SELECT tenancy.delete_project(id('only'))$$);
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Only', true)$$);
SELECT count(*) FROM tenancy.my_projects;
-- ... and Members hear what they always hear, whatever the plan
SELECT act('mia');
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Mine', true)$$);

-- behaviour 76: multiple projects do not include private ones
RESET ROLE;
SELECT tenancy.set_plan(id('acme'), 'self_serve');
SET ROLE :app;
SELECT act('alice');
SELECT remember('only', tenancy.create_project(id('acme'), 'Only'));
SELECT remember('extra', tenancy.create_project(id('acme'), 'Extra'));
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Private', true)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), false)$$);
RESET ROLE;
SELECT tenancy.set_plan(id('acme'), 'enterprise');
SET ROLE :app;
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);

-- behaviour 78: a downgrade never makes a private project visible to anybody who
-- could not see it before; extra projects stay; creating more is refused
RESET ROLE;
SELECT tenancy.set_plan(id('acme'), 'open_source');
SET ROLE :app;
SELECT act('mia');
SELECT called(id), is_private FROM tenancy.my_projects ORDER BY 1;
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'only', 'fake');
SELECT act('adam');
SELECT called(id), is_private FROM tenancy.my_projects ORDER BY 1;
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'More')$$);
-- ... what is private stays private on any plan, also when asked for again; once
-- opened it cannot be closed again
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);
SELECT attempt($$SELECT tenancy.rename_project(id('only'), 'Still here')$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), false)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('only'), true)$$);
SELECT act('mia');
SELECT called(id), is_private FROM tenancy.my_projects ORDER BY 1;

-- A project whose id is all zeros is not the current one of whoever has none.
RESET ROLE;
INSERT INTO tenancy.projects (id, organization_id, name) VALUES ('00000000-0000-0000-0000-000000000000', id('acme'), 'Zero');
SELECT act('alice');
SELECT tenancy.level_in('00000000-0000-0000-0000-000000000000'), tenancy.current_project_id() IS NULL AS none;

\i :cleanup
