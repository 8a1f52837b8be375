-- Organizations: making, changing and deleting them, and what plans limit.
\set test organizations
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- behaviour 1: the creator becomes Owner and sole member, and the Default
-- Project comes with its token
SELECT act('eve');
SELECT remember('eden', tenancy.create_organization('  Eden  '));
SELECT name, level, member_count, notify_on_join, plan FROM tenancy.my_organizations;
SELECT called(user_id), level FROM tenancy.members;
SELECT name, is_private, level, token ~ '^tnp_[0-9a-f]{72}$' AS has_token FROM tenancy.my_projects;
SELECT called(current_organization_id), current_project_id = p.id
FROM tenancy.user_preferences, tenancy.my_projects p;
-- ... in one transaction, or none of them: whichever part fails, the rest is
-- not there
RESET ROLE;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'no % today', TG_TABLE_NAME; END $$;
CREATE TRIGGER fail BEFORE INSERT ON tenancy.project_tokens FOR EACH ROW EXECUTE FUNCTION fail();
SELECT attempt($$SELECT tenancy.create_organization('Half')$$);
DROP TRIGGER fail ON tenancy.project_tokens;
CREATE TRIGGER fail BEFORE INSERT ON tenancy.projects FOR EACH ROW EXECUTE FUNCTION fail();
SELECT attempt($$SELECT tenancy.create_organization('Half')$$);
DROP TRIGGER fail ON tenancy.projects;
SELECT count(*) AS halves FROM tenancy.organizations WHERE name = 'Half';
SELECT count(*) AS projects FROM tenancy.projects WHERE organization_id NOT IN (SELECT id FROM tenancy.organizations);
SET ROLE :app;

-- behaviour 50: the first project is "Default Project", however it came
SELECT act('bob');
SELECT name FROM tenancy.my_projects;

-- behaviour 25: names of organizations need not be unique, not even for one Owner
SELECT remember('eden too', tenancy.create_organization('Eden'));
SELECT remember('eden three', tenancy.create_organization('Eden'));
SELECT called(id), name FROM tenancy.my_organizations ORDER BY 1;

-- a name has 1 to 200 characters, none of them a control character
SELECT attempt($$SELECT tenancy.create_organization(NULL)$$);
SELECT attempt($$SELECT tenancy.create_organization('')$$);
SELECT attempt($$SELECT tenancy.create_organization('   ')$$);
SELECT attempt(format('SELECT tenancy.create_organization(%L)', repeat('x', 300)));
SELECT attempt(format('SELECT tenancy.create_organization(%L)', repeat('é', 201)));
SELECT attempt($$SELECT tenancy.create_organization(E'a\nb')$$);
SELECT attempt($$SELECT tenancy.create_organization(U&'a\2028b')$$);
SELECT trial(format('SELECT tenancy.create_organization(%L)', repeat('é', 200)));
SELECT trial($$SELECT tenancy.create_organization($q$Bobby'); DROP TABLE users;--"$q$)$$);
SELECT attempt(format('SELECT tenancy.rename_organization(%L, %L)', id('rival'), ''));
SELECT attempt(format('SELECT tenancy.rename_organization(%L, NULL)', id('rival')));
SELECT attempt(format('SELECT tenancy.rename_organization(%L, %L)', id('rival'), repeat('x', 300)));
SELECT called(id), name FROM tenancy.my_organizations ORDER BY 1;

-- behaviour 19: renaming and the notification switch are for Administrators and
-- the Owner; a Member is refused
SELECT act('mia');
SELECT attempt($$SELECT tenancy.rename_organization(id('acme'), 'Mine')$$);
SELECT attempt($$SELECT tenancy.set_join_notifications(id('acme'), false)$$);
SELECT act('adam');
SELECT attempt($$SELECT tenancy.rename_organization(id('acme'), 'Acme II')$$);
SELECT attempt($$SELECT tenancy.set_join_notifications(id('acme'), false)$$);
SELECT attempt($$SELECT tenancy.set_join_notifications(id('acme'), NULL)$$);
SELECT name, notify_on_join FROM tenancy.my_organizations;
SELECT act('alice');
SELECT attempt($$SELECT tenancy.rename_organization(id('acme'), 'Acme')$$);
SELECT attempt($$SELECT tenancy.set_join_notifications(id('acme'), true)$$);
SELECT name, notify_on_join FROM tenancy.my_organizations;

-- behaviour 20: an organization that one is not in does not exist, whatever
-- one's level elsewhere; it cannot be told from an id that never was
SELECT act('bob');
SELECT alike('SELECT tenancy.rename_organization(%1$L, ''Taken'')', 'acme', 'fake', 'null', 'open', 'bob');
SELECT alike('SELECT tenancy.set_join_notifications(%1$L, false)', 'acme', 'fake', 'null');
SELECT alike('SELECT tenancy.delete_organization(%1$L)', 'acme', 'fake', 'null');
SELECT alike('SELECT tenancy.create_project(%1$L, ''Mine'')', 'acme', 'fake', 'null');
SELECT act('mia');
SELECT alike('SELECT tenancy.rename_organization(%1$L, ''Taken'')', 'rival', 'fake', 'null');

-- behaviour 21: only the Owner deletes an organization
SELECT attempt($$SELECT tenancy.delete_organization(id('acme'))$$);
SELECT act('adam');
SELECT attempt($$SELECT tenancy.delete_organization(id('acme'))$$);

-- behaviour 22: deletion removes projects, memberships, invites, tokens and
-- protected rows; users survive, and other organizations do
SELECT act('alice');
SELECT remember('invite', invite_id) FROM tenancy.create_invite(id('acme'), 'somebody@regress.example');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT sees();
SELECT attempt($$SELECT tenancy.delete_organization(id('acme'))$$);
SELECT sees();
RESET ROLE;
SELECT (SELECT count(*) FROM tenancy.organizations WHERE id = id('acme')) AS organizations,
	   (SELECT count(*) FROM tenancy.projects WHERE organization_id = id('acme')) AS projects,
	   (SELECT count(*) FROM tenancy.memberships WHERE organization_id = id('acme')) AS memberships,
	   (SELECT count(*) FROM tenancy.project_memberships WHERE organization_id = id('acme')) AS project_memberships,
	   (SELECT count(*) FROM tenancy.invites WHERE organization_id = id('acme')) AS invites,
	   (SELECT count(*) FROM tenancy.project_tokens WHERE project_id IN (id('open'), id('hidden'))) AS tokens;
SELECT called(project_id), count(*) FROM events GROUP BY 1 ORDER BY 1;
SELECT called(id) FROM tenancy.users ORDER BY 1;
SELECT called(user_id), current_organization_id IS NULL AS nowhere FROM tenancy.user_preferences ORDER BY 1;
SET ROLE :app;

-- behaviour 24: a second deletion: it does not exist
SELECT alike('SELECT tenancy.delete_organization(%1$L)', 'acme', 'fake');

-- behaviour 23: deleting one's last organization is allowed
SELECT act('eve');
SELECT attempt($$SELECT tenancy.delete_organization(id('eden'))$$);
SELECT count(*) FROM tenancy.my_organizations;

-- behaviour 26: a user in no organization can create one on any plan; one who is
-- in an organization cannot create another where the plan has no multiple
-- organizations
RESET ROLE;
SET tenancy.default_plan = 'open_source';
SET ROLE :app;
SELECT remember('eden', tenancy.create_organization('Eden'));
SELECT plan FROM tenancy.my_organizations;
SELECT attempt($$SELECT tenancy.create_organization('Second')$$);
SELECT count(*) FROM tenancy.my_organizations;
-- ... also one who is a mere Member of it
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('eden'), id('max'));
SET ROLE :app;
SELECT act('max');
SELECT attempt($$SELECT tenancy.create_organization('Second')$$);
-- ... and it is enough that one of the organizations is on a plan that has it
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('rival'), id('max'));
SET ROLE :app;
SELECT trial($$SELECT tenancy.create_organization('Third')$$);
-- ... and plans are looked at when they matter, not when the member joined
RESET ROLE;
SELECT tenancy.set_plan(id('rival'), 'open_source');
SELECT trial($$SELECT tenancy.create_organization('Third')$$);
SELECT tenancy.set_plan(id('rival'), 'free');
SELECT trial($$SELECT tenancy.create_organization('Third')$$);

-- behaviour 76: a plan that does not exist, or that says nothing of a feature,
-- does not include it
SELECT alike('SELECT tenancy.set_plan(%1$L, ''free'')', 'acme', 'fake', 'null', 'rival');
SELECT attempt($$SELECT tenancy.set_plan(id('rival'), 'platinum')$$);
SELECT attempt($$SELECT tenancy.set_plan(id('rival'), NULL)$$);
SELECT attempt($$SELECT tenancy._require_feature(id('rival'), 'time_travel')$$);
SELECT attempt($$SELECT tenancy._require_feature(id('rival'), NULL)$$);
INSERT INTO tenancy.plans (name) VALUES ('regress_bare');
SELECT tenancy.set_plan(id('rival'), 'regress_bare');
SELECT act('bob');
SELECT trial($$SELECT tenancy.create_project(id('rival'), 'Second')$$);
SELECT tenancy.set_plan(id('rival'), 'free');
DELETE FROM tenancy.plans WHERE name = 'regress_bare';
-- the default plan is checked when it is used
SET tenancy.default_plan = 'platinum';
SELECT act('alice');
SELECT attempt($$SELECT tenancy.create_organization('Lost')$$);
RESET tenancy.default_plan;

-- attack 28: without an identity every command ends with one and the same
-- error, for what exists and for what does not
SET ROLE :client;
SELECT tenancy.sign_out();
SELECT attempt($$SELECT tenancy.create_organization('Nobody''s')$$);
SELECT attempt($$SELECT tenancy.create_organization(NULL)$$);
SELECT alike('SELECT tenancy.rename_organization(%1$L, ''Taken'')', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.set_join_notifications(%1$L, NULL)', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.delete_organization(%1$L)', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.transfer_ownership(%1$L, %1$L)', 'rival', 'fake', 'null');
-- and plans are not changed by users, whatever their level
SELECT attempt($$SELECT tenancy.set_plan(id('rival'), 'enterprise')$$);

\i :cleanup
