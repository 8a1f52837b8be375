-- Members: levels, ownership, leaving and removal.
\set test members
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

-- behaviour 2: levels are ordered
SELECT string_agg(l::text, ' < ' ORDER BY l) FROM unnest(enum_range(NULL::tenancy.access_level)) l;

-- behaviour 3: a Member who changes anybody's level is refused
SELECT act('mia');
SELECT attempt(format('SELECT tenancy.set_member_level(%L, %L, %L)', id('acme'), id(who), level))
FROM unnest('{mia,max,adam,alice}'::text[]) who, unnest('{member,administrator}'::text[]) level
GROUP BY 1;
SELECT attempt(format('SELECT tenancy.set_member_level(%L, %L, %L)', id('acme'), id(who), 'owner'))
FROM unnest('{mia,max,adam,alice}'::text[]) who
GROUP BY 1;
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;

-- behaviour 14, first half: a Member cannot remove another
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('max'))$$);
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('mia'))$$);

-- behaviour 4: an Administrator can promote a Member to Administrator;
-- behaviour 9: and demote another Administrator
SELECT act('adam');
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('max'), 'administrator')$$);
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('max'), 'member')$$);
SELECT called(user_id), level FROM tenancy.members WHERE user_id = id('max');

-- behaviour 5: nobody can change their own level, not even downwards
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('adam'), 'member')$$);
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('adam'), 'administrator')$$);
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('adam'), 'owner')$$);
SELECT act('alice');
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('alice'), 'member')$$);
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('alice'), 'administrator')$$);
SELECT trial($$SELECT tenancy.set_member_level(id('acme'), id('alice'), 'owner')$$);

-- behaviours 6 and 8, attack 137: an Administrator grants at most their own
-- level: one who grants "owner", to another or to themselves, is refused, and
-- neither row changes
SELECT act('adam');
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('mia'), 'owner')$$);
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('adam'), 'owner')$$);
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('adam'))$$);
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('mia'))$$);
-- behaviour 9, attack 137: an Administrator cannot change or remove the Owner
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('alice'), 'member')$$);
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('alice'), 'administrator')$$);
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('alice'))$$);
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('mia'), NULL)$$);
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('mia'), 'emperor')$$);

-- behaviour 10, attack 137: actor and target must be in the same organization;
-- otherwise the target does not exist
SELECT alike('SELECT tenancy.set_member_level(id(''acme''), %1$L, ''administrator'')', 'bob', 'eve', 'fake', 'null', 'acme', 'open');
SELECT alike('SELECT tenancy.remove_member(id(''acme''), %1$L)', 'bob', 'eve', 'fake', 'null');
SELECT alike('SELECT tenancy.set_member_level(%1$L, id(''bob''), ''member'')', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.set_member_level(%1$L, id(''mia''), ''owner'')', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.remove_member(%1$L, id(''bob''))', 'rival', 'fake', 'null');
SELECT alike('SELECT tenancy.remove_member(%1$L, id(''mia''))', 'rival', 'fake', 'null');
SELECT act('alice');
SELECT alike('SELECT tenancy.transfer_ownership(id(''acme''), %1$L)', 'bob', 'eve', 'fake', 'null');
SELECT alike('SELECT tenancy.set_member_level(id(''acme''), %1$L, ''owner'')', 'bob', 'eve', 'fake', 'null');
SELECT alike('SELECT tenancy.transfer_ownership(%1$L, id(''mia''))', 'rival', 'fake', 'null');

-- behaviour 18: another organization's member list does not exist
SELECT count(*) FROM tenancy.members WHERE organization_id = id('rival');
SELECT called(user_id) FROM tenancy.memberships WHERE organization_id = id('rival');
SELECT name FROM tenancy.users WHERE id IN (id('bob'), id('eve'));
SELECT act('bob');
SELECT called(user_id) FROM tenancy.members ORDER BY 1;
SELECT called(id) FROM tenancy.users ORDER BY 1;
SELECT act('eve');
SELECT count(*) FROM tenancy.members;
SELECT called(id) FROM tenancy.users ORDER BY 1;

-- behaviour 7: the Owner granting "owner" to a plain Member: that one becomes
-- Owner, the old Owner becomes Administrator, one Owner before and after
SELECT act('alice');
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('mia'), 'owner')$$);
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('max'), 'owner')$$);
SELECT act('mia');
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('alice'))$$);
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
-- ... who can then be demoted by any Administrator
SELECT act('alice');
SELECT attempt($$SELECT tenancy.set_member_level(id('acme'), id('mia'), 'member')$$);
-- attack 135: a transfer to oneself, and one undone by a savepoint
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('alice'))$$);
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
SAVEPOINT half;
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('adam'))$$);
ROLLBACK TO half;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
SELECT attempt($$SELECT tenancy.transfer_ownership(id('acme'), id('adam'))$$);
ROLLBACK;
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;

-- behaviour 11, attacks 134 and 136: not even with a superuser's UPDATE can
-- there be a second membership, a second Owner, an Owner who is a member too,
-- or no Owner
RESET ROLE;
SELECT split_part(attempt($$INSERT INTO tenancy.memberships (organization_id, user_id) SELECT organization_id, user_id FROM tenancy.memberships WHERE user_id = id('mia')$$), ' / ', 1);
SELECT split_part(attempt($$UPDATE tenancy.memberships SET level = 'owner' WHERE user_id = id('adam')$$), ' / ', 1);
SELECT attempt($$INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('alice'))$$);
SELECT attempt($$UPDATE tenancy.organizations SET owner_id = id('mia') WHERE id = id('acme')$$);
SELECT split_part(attempt($$UPDATE tenancy.organizations SET owner_id = NULL WHERE id = id('acme')$$), ' / ', 1);
SELECT attempt($$UPDATE tenancy.organizations SET owner_id = id('fake') WHERE id = id('acme')$$) LIKE '23503 %' AS refused;
SELECT attempt($$DELETE FROM tenancy.users WHERE id = id('alice')$$) LIKE '23503 %' AS refused;
SELECT attempt($$SELECT tenancy.delete_user(id('alice'))$$);
SELECT called(owner_id) FROM tenancy.organizations WHERE id = id('acme');

-- behaviour 13: the Owner cannot leave, nor remove themselves
SET ROLE :app;
SELECT act('alice');
SELECT attempt($$SELECT tenancy.leave_organization(id('acme'))$$);
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('alice'))$$);

-- behaviour 16: removal ends all project grants in that organization;
-- behaviour 14, second half: an Administrator can remove a Member
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'administrator');
SELECT act('mia');
SELECT sees();
SELECT act('adam');
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('adam'))$$);
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('mia'))$$);
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('mia'))$$);
SELECT count(*) FROM tenancy.project_members;
SELECT act('mia');
SELECT sees();
SELECT count(*) FROM tenancy.my_organizations;
SELECT alike('SELECT tenancy.rename_project(%1$L, ''Mine'')', 'open', 'hidden', 'fake');
-- ... for good: who comes back has none
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('mia'));
SET ROLE :app;
SELECT sees();

-- behaviour 9: an Administrator can remove another Administrator
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('max'), 'administrator');
SELECT act('max');
SELECT trial($$SELECT tenancy.remove_member(id('acme'), id('adam'))$$);

-- behaviour 12: Members and Administrators can leave
SELECT attempt($$SELECT tenancy.leave_organization(id('acme'))$$);
SELECT act('mia');
SELECT attempt($$SELECT tenancy.leave_organization(id('acme'))$$);
SELECT sees();
SELECT alike('SELECT tenancy.leave_organization(%1$L)', 'acme', 'rival', 'fake', 'null');

-- behaviour 15: leaving the current organization moves the switcher to another
-- of the user's organizations, or to none
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id)
VALUES (id('acme'), id('mia')), (id('rival'), id('mia'));
SET ROLE :app;
SELECT tenancy.switch_organization(id('acme'));
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
SELECT tenancy.leave_organization(id('acme'));
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
SELECT tenancy.leave_organization(id('rival'));
SELECT called(current_organization_id) IS NULL, current_project_id IS NULL FROM tenancy.user_preferences;
-- ... so does being removed, and leaving another one moves nothing
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id)
VALUES (id('acme'), id('mia')), (id('rival'), id('mia'));
SET ROLE :app;
SELECT tenancy.switch_organization(id('acme'));
SELECT tenancy.leave_organization(id('rival'));
SELECT called(current_organization_id), called(current_project_id) FROM tenancy.user_preferences;
SELECT act('alice');
SELECT tenancy.remove_member(id('acme'), id('mia'));
SELECT act('mia');
SELECT called(current_organization_id) IS NULL, current_project_id IS NULL FROM tenancy.user_preferences;

-- behaviour 17: deactivated users are absent from member lists, cannot be added
-- to projects, cannot become Owner (attack 135), cannot sign in
RESET ROLE;
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('mia'));
SELECT tenancy.create_session(id('mia')) AS session \gset
SET ROLE :app;
SELECT tenancy.set_user_active(id('mia'), false);
SELECT tenancy.authenticate(:'session');
SELECT attempt($$SELECT tenancy.create_session(id('mia'))$$);
SELECT act('mia');
SELECT tenancy.current_user_id() IS NULL AS nobody, sees();
SELECT attempt($$SELECT tenancy.leave_organization(id('acme'))$$);
SELECT act('alice');
SELECT called(user_id) FROM tenancy.members ORDER BY 1;
SELECT member_count FROM tenancy.my_organizations;
SELECT alike('SELECT tenancy.add_project_member(id(''hidden''), %1$L, ''member'')', 'mia', 'fake');
SELECT alike('SELECT tenancy.transfer_ownership(id(''acme''), %1$L)', 'mia', 'fake');
SELECT alike('SELECT tenancy.set_member_level(id(''acme''), %1$L, ''administrator'')', 'mia', 'fake');
-- ... and what they were comes back with them, but no session
SELECT tenancy.set_user_active(id('mia'), true);
SELECT called(user_id), level FROM tenancy.members ORDER BY 1;
SELECT tenancy.authenticate(:'session');

-- a vanished Owner: the DBA, and nobody else, assigns another
SELECT attempt($$SELECT tenancy.assign_owner(id('acme'), id('alice'))$$);
RESET ROLE;
SELECT tenancy.set_user_active(id('alice'), false);
SELECT attempt($$SELECT tenancy.assign_owner(id('acme'), id('fake'))$$);
SELECT attempt($$SELECT tenancy.assign_owner(id('fake'), id('adam'))$$);
SELECT attempt($$SELECT tenancy.assign_owner(id('acme'), id('alice'))$$);
SELECT attempt($$SELECT tenancy.assign_owner(id('acme'), id('adam'))$$);
SELECT called(owner_id) FROM tenancy.organizations WHERE id = id('acme');
SELECT called(user_id), level FROM tenancy.memberships WHERE organization_id = id('acme') ORDER BY 1;

\i :cleanup
