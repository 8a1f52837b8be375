-- The switchers: the organization and project that a user works in.
\set test switchers
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
CREATE FUNCTION place() RETURNS text LANGUAGE sql
AS $$
	SELECT concat_ws('/', coalesce(called(current_organization_id), '-'), coalesce(called(current_project_id), '-'))
	FROM tenancy.user_preferences
$$;
SET ROLE :app;

-- switching to an organization chooses its first open project too, and one sees
-- one's own choice only
SELECT act('mia');
SELECT place();
SELECT attempt($$SELECT tenancy.switch_organization(id('acme'))$$);
SELECT place();
SELECT called(user_id) FROM tenancy.user_preferences;
SELECT act('alice');
SELECT remember('extra', tenancy.create_project(id('acme'), 'Extra'));
SELECT act('mia');
SELECT attempt($$SELECT tenancy.switch_project(id('extra'))$$);
SELECT place();
-- ... it is a convenience and changes nothing about what one sees
SELECT sees();

-- behaviour 74: choosing an organization or project that is hidden gives the
-- same error as a fake id, and leaves the choice alone; once promoted, it works
SELECT alike('SELECT tenancy.switch_organization(%1$L)', 'rival', 'fake', 'null', 'open', 'mia');
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'hidden', 'foreign', 'fake', 'null', 'acme', 'mia');
SELECT place();
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('mia'), 'administrator');
SELECT act('mia');
SELECT attempt($$SELECT tenancy.switch_project(id('hidden'))$$);
SELECT place();
-- ... and who is demoted is moved out of it
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('mia'), 'member');
SELECT act('mia');
SELECT place();
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'hidden', 'fake');
-- ... as is who is removed from the project, or leaves it, or sees it close
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT act('mia');
SELECT tenancy.switch_project(id('hidden'));
SELECT tenancy.leave_project(id('hidden'));
SELECT place();
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT act('mia');
SELECT tenancy.switch_project(id('hidden'));
SELECT place();
SELECT act('alice');
SELECT tenancy.remove_project_member(id('hidden'), id('mia'));
SELECT act('mia');
SELECT place();
SELECT tenancy.switch_project(id('extra'));
SELECT act('alice');
SELECT tenancy.switch_project(id('extra'));
SELECT tenancy.set_project_privacy(id('extra'), true);
SELECT place();
SELECT act('mia');
SELECT place();
-- ... and who deletes it, or whose project is deleted
SELECT act('alice');
SELECT tenancy.delete_project(id('extra'));
SELECT place();
SELECT tenancy.transfer_ownership(id('acme'), id('adam'));
SELECT tenancy.switch_project(id('hidden'));
SELECT place();
SELECT act('adam');
SELECT tenancy.set_member_level(id('acme'), id('alice'), 'member');
SELECT act('alice');
SELECT place();

-- ... and who has no current organization may begin with a project
SELECT act('max');
SELECT place();
SELECT attempt($$SELECT tenancy.switch_project(id('open'))$$);
SELECT place();

-- behaviour 75: a current project outside the current organization is refused,
-- state unchanged
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('rival'), id('mia'));
SET ROLE :app;
SELECT act('mia');
SELECT place();
SELECT attempt($$SELECT tenancy.switch_project(id('foreign'))$$);
SELECT place();
SELECT attempt($$SELECT tenancy.switch_organization(id('rival'))$$);
SELECT attempt($$SELECT tenancy.switch_project(id('open'))$$);
SELECT place();
-- ... not even a superuser's UPDATE makes a hidden project readable by it
RESET ROLE;
UPDATE tenancy.user_preferences SET current_project_id = id('hidden') WHERE user_id = id('mia');
SET ROLE :app;
SELECT sees();
SELECT name FROM tenancy.projects WHERE id = (SELECT current_project_id FROM tenancy.user_preferences);
SELECT attempt($$UPDATE tenancy.user_preferences SET current_project_id = NULL$$);

-- behaviour 47: who comes to an organization lands in its first open project, and
-- nowhere if all are private; one that was added to a private one lands there
SELECT act('bob');
SELECT tenancy.set_project_privacy(id('foreign'), true);
SELECT act('mia');
SELECT tenancy.switch_organization(id('rival'));
SELECT place();
SELECT act('bob');
SELECT tenancy.add_project_member(id('foreign'), id('mia'), 'member');
SELECT act('mia');
SELECT tenancy.switch_organization(id('rival'));
SELECT place();

-- behaviour 15: leaving the current organization moves the switcher to another of
-- the user's organizations, or to none
SELECT tenancy.leave_organization(id('rival'));
SELECT place();
SELECT tenancy.leave_organization(id('acme'));
SELECT place();
-- ... and nobody reads of one that they are not in, though it was left to them
RESET ROLE;
UPDATE tenancy.user_preferences SET current_organization_id = id('acme') WHERE user_id = id('mia') RETURNING called(current_organization_id);
SET ROLE :app;
SELECT count(*) FROM tenancy.user_preferences;
SELECT place();
-- ... an organization that is deleted is nobody's current one
SELECT act('eve');
SELECT remember('eden', tenancy.create_organization('Eden'));
SELECT remember('garden', id) FROM tenancy.my_projects;
SELECT place();
SELECT tenancy.delete_organization(id('eden'));
SELECT place();

-- attack 28: nobody switches anything, and neither does a project token
SELECT act('bob');
SELECT token FROM tenancy.my_projects \gset
SELECT tenancy.sign_out();
SELECT alike('SELECT tenancy.switch_organization(%1$L)', 'acme', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT tenancy.authenticate(:'token', true);
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'foreign', 'open', 'fake', 'null');

-- the setting tenancy.project_id narrows what is visible, never widens it: one
-- that is hidden, unknown or foreign shows nothing, in the same way
SELECT act('max');
SELECT sees();
SELECT set_config('tenancy.project_id', id('open')::text, false) IS NOT NULL, called(tenancy.current_project_id());
SELECT sees();
SELECT set_config('tenancy.project_id', id('hidden')::text, false) IS NOT NULL, called(tenancy.current_project_id());
SELECT sees();
SELECT set_config('tenancy.project_id', id('fake')::text, false) IS NOT NULL, called(tenancy.current_project_id());
SELECT sees();
SELECT attempt($$INSERT INTO events (amount) VALUES (1)$$);
SELECT act('adam');
SELECT sees();
SELECT set_config('tenancy.project_id', id('hidden')::text, false) IS NOT NULL, called(tenancy.current_project_id());
SELECT sees();
SELECT attempt($$INSERT INTO events (amount) VALUES (1)$$);
SELECT sees();
SELECT attempt($$SET tenancy.project_id = 'garbage'$$);
RESET tenancy.project_id;
SELECT sees();

-- what a command reads to mend the switchers does not grow with the organizations
-- of others: in its plan for any, without reading such small tables as a whole
RESET ROLE;
INSERT INTO tenancy.users (email, name) SELECT 'crowd' || n || '@example.com', 'crowd' FROM generate_series(1, 500) n;
INSERT INTO tenancy.organizations (name, owner_id, plan)
	SELECT 'crowd', id, 'enterprise' FROM tenancy.users WHERE name = 'crowd' ORDER BY email LIMIT 50;
INSERT INTO tenancy.memberships (organization_id, user_id)
	SELECT o.id, u.id FROM tenancy.organizations o, tenancy.users u
	WHERE o.name = 'crowd' AND u.name = 'crowd' AND u.id <> o.owner_id AND abs(hashtext(o.id::text || u.id)) % 5 = 0;
INSERT INTO tenancy.projects (organization_id, name) SELECT id, 'crowd' FROM tenancy.organizations WHERE name = 'crowd';
INSERT INTO tenancy.memberships (organization_id, user_id) SELECT id('rival'), id FROM tenancy.users WHERE name = 'crowd' ORDER BY email LIMIT 50;
INSERT INTO tenancy.user_preferences (user_id, current_organization_id, current_project_id)
	SELECT user_id, id('rival'), id('foreign') FROM tenancy.memberships WHERE organization_id = id('rival') ON CONFLICT DO NOTHING;
ANALYZE tenancy.users, tenancy.organizations, tenancy.memberships, tenancy.projects, tenancy.user_preferences;
CREATE FUNCTION reads_little(command text) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
	before bigint := (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'tenancy');
BEGIN
	EXECUTE command;
	RETURN sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) - before < 1000 FROM pg_stat_xact_user_tables WHERE schemaname = 'tenancy';
END
$$;
UPDATE tenancy.projects SET is_private = false WHERE id = id('foreign');
SET ROLE :app;
SELECT act('bob');
SELECT reads_little($$SELECT tenancy.set_project_privacy(id('foreign'), true)$$);

\i :cleanup
