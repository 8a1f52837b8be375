-- Private projects: who sees them, who manages them, and that nobody else can
-- tell that they are there.
\set test private_projects
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- What everybody sees: name, number of rows; and the level in "hidden".
CREATE TEMP TABLE people (name text);
INSERT INTO people VALUES ('alice'), ('adam'), ('mia'), ('max'), ('bob'), ('eve');
CREATE FUNCTION pg_temp.look(name text) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM regress.act(name);
	RETURN regress.sees() || coalesce('; ' || tenancy.level_in(regress.id('hidden')), '');
END
$$;
-- one call of look() a statement, since an identity cannot change within one
\set everybody 'SELECT format(''SELECT %L || '''': '''' || pg_temp.look(%L);'', name, name) FROM people \\gexec'

-- attack 160, behaviour 61: the effective level is the higher of organization
-- level (Administrator, Owner) and explicit level; a plain Member without a row
-- has none
:everybody
SELECT act('adam');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'administrator');
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'member');
:everybody
-- ... an Administrator who was added as a member is still an Administrator, and
-- has the explicit level when no longer an Administrator
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('adam'), 'member');
SELECT pg_temp.look('adam');
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('adam'), 'member');
SELECT pg_temp.look('adam');
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('adam'), 'administrator');
SELECT tenancy.remove_project_member(id('hidden'), id('adam'));
SELECT pg_temp.look('adam');

-- behaviour 66: a grant in one private project gives nothing in another
SELECT remember('other', tenancy.create_project(id('acme'), 'Other', true));
SELECT act('mia');
SELECT called(id), level FROM tenancy.my_projects ORDER BY 1;
SELECT alike('SELECT tenancy.add_project_member(%1$L, id(''max''), ''member'')', 'other', 'fake');
SELECT alike('SELECT tenancy.rotate_project_token(%1$L)', 'other', 'foreign', 'fake');

-- behaviour 63: a project Administrator can rename that private project,
-- regenerate its token, delete it, manage its members; a project Member cannot
SELECT trial($$SELECT tenancy.rename_project(id('hidden'), 'Hers')$$),
	trial($$SELECT tenancy.rotate_project_token(id('hidden'))$$),
	trial($$SELECT tenancy.delete_project(id('hidden'))$$),
	trial($$SELECT tenancy.set_project_member_level(id('hidden'), id('max'), 'administrator')$$),
	trial($$SELECT tenancy.remove_project_member(id('hidden'), id('max'))$$);
SELECT act('max');
SELECT trial($$SELECT tenancy.rename_project(id('hidden'), 'His')$$);
SELECT trial($$SELECT tenancy.rotate_project_token(id('hidden'))$$);
SELECT trial($$SELECT tenancy.delete_project(id('hidden'))$$);
SELECT trial($$SELECT tenancy.set_project_member_level(id('hidden'), id('mia'), 'member')$$);
SELECT trial($$SELECT tenancy.remove_project_member(id('hidden'), id('mia'))$$);
SELECT trial($$SELECT tenancy.add_project_member(id('hidden'), id('adam'), 'member')$$);
-- ... but a project Administrator has a Member's rights in the organization
SELECT act('mia');
SELECT attempt($$SELECT tenancy.create_project(id('acme'), 'Hers')$$);
SELECT attempt($$SELECT tenancy.rename_project(id('open'), 'Hers')$$);
SELECT attempt($$SELECT tenancy.rename_organization(id('acme'), 'Hers')$$);

-- behaviour 64: only organization Administrators and the Owner open or close it;
-- a project Administrator is refused both ways
SELECT attempt($$SELECT tenancy.set_project_privacy(id('hidden'), false)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('hidden'), true)$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('open'), true)$$);
SELECT act('max');
SELECT attempt($$SELECT tenancy.set_project_privacy(id('hidden'), false)$$);

-- behaviour 62: explicit rows count only while the project is private: a project
-- Administrator of a project that is open has a Member's rights
SELECT act('adam');
SELECT attempt($$SELECT tenancy.set_project_privacy(id('hidden'), false)$$);
:everybody
SELECT act('mia');
SELECT attempt($$SELECT tenancy.rename_project(id('hidden'), 'Hers')$$);
SELECT attempt($$SELECT tenancy.delete_project(id('hidden'))$$);
SELECT attempt($$SELECT tenancy.rotate_project_token(id('hidden'))$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('max'), 'administrator')$$);
SELECT attempt($$SELECT tenancy.set_project_privacy(id('hidden'), true)$$);
-- ... and an open project cannot be given members: refused, with a hint
-- (behaviour 69)
SELECT act('alice');
SELECT remember('dora', tenancy.create_user('dora@regress.example', 'Dora'));
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('dora'));
SET ROLE :app;
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'member')$$);
SELECT attempt($$SELECT tenancy.add_project_member(id('open'), id('dora'), 'member')$$);

-- attack 155: closed again, it is hidden again at the next statement, whoever
-- has looked meanwhile: in an open transaction, a prepared statement and a
-- cursor, and from the switcher
SELECT act('dora');
SELECT tenancy.switch_organization(id('acme'));
SELECT tenancy.switch_project(id('hidden'));
BEGIN;
PREPARE look AS SELECT regress.sees();
EXECUTE look;
SELECT act('alice');
SELECT tenancy.set_project_privacy(id('hidden'), true);
SELECT act('dora');
EXECUTE look;
SELECT sees();
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
ROLLBACK;
EXECUTE look;
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
DEALLOCATE look;
-- ... and a cursor that dora opened gives nothing to whoever acts next, also when
-- its rows have been read and sorted already (attack 35)
BEGIN;
SELECT act('dora');
DECLARE scanned CURSOR FOR SELECT called(project_id) FROM events;
DECLARE sorted CURSOR FOR SELECT called(project_id) FROM events ORDER BY 1;
FETCH 1 FROM scanned;
FETCH 1 FROM sorted;
SELECT act('bob');
SAVEPOINT s;
FETCH ALL FROM scanned;
ROLLBACK TO s;
FETCH ALL FROM sorted;
ROLLBACK;
SELECT act('alice');
SELECT tenancy.set_project_privacy(id('hidden'), true);
:everybody
SELECT pg_temp.look('dora');

-- behaviour 67: members are added by organization Administrators, the Owner and
-- project Administrators; to whoever cannot see it, it does not exist
SELECT act('adam');
SELECT trial($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'member')$$);
SELECT act('alice');
SELECT trial($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'administrator')$$);
SELECT act('mia');
SELECT trial($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'administrator')$$);
SELECT act('max');
SELECT trial($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'member')$$);
SELECT act('dora');
SELECT alike('SELECT tenancy.add_project_member(%1$L, id(''dora''), ''member'')', 'hidden', 'foreign', 'fake', 'null');
SELECT alike('SELECT tenancy.add_project_member(%1$L, id(''max''), ''member'')', 'hidden', 'foreign', 'fake', 'null');

-- behaviour 68: adding yourself is refused, also for an organization
-- Administrator, who has access already, and for the Owner
SELECT act('adam');
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('adam'), 'member')$$);
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('adam'), 'administrator')$$);
SELECT act('alice');
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('alice'), 'administrator')$$);
SELECT act('adam');
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('alice'), 'member')$$);

-- behaviour 69, attack 154: somebody from outside the organization does not exist
SELECT alike('SELECT tenancy.add_project_member(id(''hidden''), %1$L, ''member'')', 'bob', 'eve', 'fake', 'null', 'hidden');
SELECT alike('SELECT tenancy.set_project_member_level(id(''hidden''), %1$L, ''member'')', 'bob', 'eve', 'fake', 'null', 'dora');
SELECT alike('SELECT tenancy.remove_project_member(id(''hidden''), %1$L)', 'bob', 'eve', 'fake', 'null', 'dora', 'adam');
SELECT alike('SELECT tenancy.add_project_member(%1$L, id(''dora''), ''member'')', 'foreign', 'fake', 'null');

-- behaviour 70: one grants at most one's own effective level, nobody changes
-- their own, nobody edits somebody higher
SELECT act('mia');
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'owner')$$);
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), NULL)$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('max'), 'owner')$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('max'), NULL)$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('mia'), 'member')$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('mia'), 'owner')$$);
SELECT attempt($$SELECT tenancy.remove_project_member(id('hidden'), id('mia'))$$);
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('alice'), 'member')$$);
SELECT attempt($$SELECT tenancy.remove_project_member(id('hidden'), id('alice'))$$);
SELECT act('alice');
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('dora'), 'owner')$$);
SELECT called(user_id), level FROM tenancy.project_members ORDER BY 1;

-- behaviour 71: a second explicit row for the same person: clear error
SELECT attempt($$SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member')$$);
SELECT called(user_id), level FROM tenancy.project_members ORDER BY 1;

-- Whoever was deactivated is given no other level.
SELECT tenancy.set_user_active(id('max'), false);
SELECT alike('SELECT tenancy.set_project_member_level(id(''hidden''), %1$L, ''administrator'')', 'max', 'fake');
SELECT tenancy.set_user_active(id('max'), true);

-- behaviour 73: a project Administrator can promote and remove others in it
SELECT act('mia');
SELECT attempt($$SELECT tenancy.set_project_member_level(id('hidden'), id('max'), 'administrator')$$);
SELECT pg_temp.look('max');
SELECT attempt($$SELECT tenancy.remove_project_member(id('hidden'), id('mia'))$$);
SELECT pg_temp.look('mia');
SELECT alike('SELECT tenancy.rename_project(%1$L, ''Hers'')', 'hidden', 'fake');

-- behaviour 72: a project Administrator or Member can leave a private project;
-- to a non-member of it, it does not exist
SELECT alike('SELECT tenancy.leave_project(%1$L)', 'hidden', 'foreign', 'fake', 'null');
SELECT act('max');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT attempt($$SELECT tenancy.leave_project(id('hidden'))$$);
SELECT pg_temp.look('max');
SELECT attempt($$SELECT tenancy.leave_project(id('hidden'))$$);
SELECT act('mia');
SELECT attempt($$SELECT tenancy.leave_project(id('hidden'))$$);
SELECT pg_temp.look('mia');
-- ... and whoever is there through the organization cannot
SELECT attempt($$SELECT tenancy.leave_project(id('open'))$$);
SELECT act('adam');
SELECT attempt($$SELECT tenancy.leave_project(id('hidden'))$$);
:everybody

\i :cleanup
