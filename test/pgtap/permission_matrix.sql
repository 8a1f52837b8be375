-- The permission matrix: each permission, for each level, in an open and in a
-- private project, from inside and from outside, through can() and require().
-- What is expected stands here by itself and is not read off the extension.
BEGIN;
SELECT no_plan();

\set org 'c0000000-0000-4000-8000-000000000001'
\set open 'c1000000-0000-4000-8000-000000000001'
\set private 'c1000000-0000-4000-8000-000000000002'
\set other_private 'c1000000-0000-4000-8000-000000000003'
\set missing 'c1000000-0000-4000-8000-000000000009'

-- One person for each way of being, or not being, in the organization.
CREATE TEMP TABLE people (who text PRIMARY KEY, id uuid DEFAULT gen_random_uuid());
INSERT INTO people (who) VALUES
	('owner'), ('administrator'), ('member'), ('project member'), ('project administrator'),
	('project administrator elsewhere'), ('administrator with project row'), ('deactivated administrator'), ('outsider'), ('nobody');
INSERT INTO tenancy.users (id, email, name, is_active)
SELECT id, replace(who, ' ', '.') || '@matrix.example', who, who <> 'deactivated administrator'
FROM people WHERE who <> 'nobody';
INSERT INTO tenancy.organizations (id, name, owner_id, plan) SELECT :'org', 'Matrix', id, 'enterprise' FROM people WHERE who = 'owner';
-- being the Owner elsewhere gives nothing here
INSERT INTO tenancy.organizations (name, owner_id, plan) SELECT 'Elsewhere', id, 'enterprise' FROM people WHERE who = 'outsider';
INSERT INTO tenancy.memberships (organization_id, user_id, level)
SELECT :'org', id, CASE WHEN who LIKE '%administrator' AND who NOT LIKE 'project%' OR who = 'administrator with project row'
						THEN 'administrator' ELSE 'member' END::tenancy.access_level
FROM people WHERE who NOT IN ('owner', 'outsider', 'nobody');
INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES
	(:'open', :'org', 'Open', false), (:'private', :'org', 'Private', true), (:'other_private', :'org', 'Other', true);
-- explicit levels: of the private project, and of the open one, where they do
-- not count (behaviour 62); an Administrator is not lowered by one (61)
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id, level)
SELECT p.project, people.id, :'org', p.level::tenancy.access_level
FROM (VALUES ('project member', :'private'::uuid, 'member'),
			 ('project member', :'open', 'member'),
			 ('project administrator', :'private', 'administrator'),
			 ('project administrator', :'open', 'administrator'),
			 ('project administrator elsewhere', :'other_private', 'administrator'),
			 ('administrator with project row', :'private', 'member'),
			 ('deactivated administrator', :'private', 'administrator')) p (who, project, level)
JOIN people USING (who);

-- The table of the design.  a: allowed, d: denied though the target is
-- visible (42501), h: the target does not exist for them (P0002), n: nobody is
-- signed in (28000).  Letters in the order of the columns.
CREATE TEMP TABLE expected (permission tenancy.permission, target text, owner "char", administrator "char", member "char",
	project_member "char", project_administrator "char", elsewhere "char", both_rows "char", deactivated "char", outsider "char", nobody "char");
INSERT INTO expected VALUES
	-- on the organization        own  adm  mem  p.m  p.a  else both deac outs nobody
	('project.create',        'organization', 'a', 'a', 'd', 'd', 'd', 'd', 'a', 'n', 'h', 'n'),
	('member.invite',         'organization', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'n', 'h', 'n'),
	('billing.manage',        'organization', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'n', 'h', 'n'),
	('organization.manage',   'organization', 'a', 'a', 'd', 'd', 'd', 'd', 'a', 'n', 'h', 'n'),
	('organization.leave',    'organization', 'd', 'a', 'a', 'a', 'a', 'a', 'a', 'n', 'h', 'n'),
	('organization.transfer', 'organization', 'a', 'd', 'd', 'd', 'd', 'd', 'd', 'n', 'h', 'n'),
	('organization.delete',   'organization', 'a', 'd', 'd', 'd', 'd', 'd', 'd', 'n', 'h', 'n'),
	-- on an open project: explicit levels do not count
	('project.view',          'open',         'a', 'a', 'a', 'a', 'a', 'a', 'a', 'n', 'h', 'n'),
	('project.delete',        'open',         'a', 'a', 'd', 'd', 'd', 'd', 'a', 'n', 'h', 'n'),
	('project.manage',        'open',         'a', 'a', 'd', 'd', 'd', 'd', 'a', 'n', 'h', 'n'),
	('project.set_privacy',   'open',         'a', 'a', 'd', 'd', 'd', 'd', 'a', 'n', 'h', 'n'),
	-- on a private project: hidden from Members who were not added to it
	('project.view',          'private',      'a', 'a', 'h', 'a', 'a', 'h', 'a', 'n', 'h', 'n'),
	('project.delete',        'private',      'a', 'a', 'h', 'd', 'a', 'h', 'a', 'n', 'h', 'n'),
	('project.manage',        'private',      'a', 'a', 'h', 'd', 'a', 'h', 'a', 'n', 'h', 'n'),
	('project.set_privacy',   'private',      'a', 'a', 'h', 'd', 'd', 'h', 'a', 'n', 'h', 'n');

-- The same, a line a question; what never existed, NULL and a target of the
-- other kind are no target for anybody.
CREATE TEMP TABLE questions AS
SELECT e.permission, e.target, p.who, p.id AS person, w.answer,
	   CASE e.target WHEN 'organization' THEN :'org' WHEN 'open' THEN :'open' ELSE :'private' END::uuid AS target_id
FROM expected e
CROSS JOIN LATERAL (VALUES ('owner', e.owner), ('administrator', e.administrator), ('member', e.member),
	('project member', e.project_member), ('project administrator', e.project_administrator),
	('project administrator elsewhere', e.elsewhere), ('administrator with project row', e.both_rows),
	('deactivated administrator', e.deactivated), ('outsider', e.outsider), ('nobody', e.nobody)) w (who, answer)
JOIN people p USING (who);
INSERT INTO questions
SELECT DISTINCT q.permission, t.target, q.who, q.person, CASE q.answer WHEN 'n' THEN 'n' ELSE 'h' END::"char", t.id
FROM questions q
CROSS JOIN LATERAL (VALUES ('missing', :'missing'::uuid), ('null', NULL),
	('of the other kind', CASE q.target WHEN 'organization' THEN :'open' ELSE :'org' END::uuid)) t (target, id);

-- What require() says, as "code message".
CREATE FUNCTION pg_temp.required(permission tenancy.permission, target uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.require(permission, target);
	RETURN 'allowed';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION pg_temp.act(who text, person uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy._clear_identity();
	IF who <> 'nobody' THEN
		PERFORM tenancy.act_as(person);
	END IF;
END $$;
-- pg_temp does not reach into one statement's identity: each answer is asked by
-- a statement of its own.
CREATE FUNCTION pg_temp.ask() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	person record;
	q record;
	kind text;
BEGIN
	FOR person IN SELECT DISTINCT x.who, x.person FROM pg_temp.questions x ORDER BY 1 LOOP
		PERFORM pg_temp.act(person.who, person.person);
		FOR q IN SELECT * FROM pg_temp.questions x WHERE x.who = person.who ORDER BY x.permission, x.target LOOP
			kind := CASE WHEN q.permission::text IN ('project.view', 'project.delete', 'project.manage', 'project.set_privacy')
						 THEN 'project' ELSE 'organization' END;
			RETURN NEXT public.is(tenancy.can(q.permission, q.target_id), q.answer = 'a',
				format('can: %s, %s, %s', q.who, q.permission, q.target));
			RETURN NEXT public.is(pg_temp.required(q.permission, q.target_id),
				CASE q.answer WHEN 'a' THEN 'allowed'
							  WHEN 'd' THEN '42501 permission denied for ' || kind
							  WHEN 'h' THEN 'P0002 ' || kind || ' does not exist'
							  WHEN 'n' THEN '28000 nobody is signed in' END,
				format('require: %s, %s, %s', q.who, q.permission, q.target));
		END LOOP;
	END LOOP;
END $$;
SELECT pg_temp.ask();

-- behaviour 77: permissions and levels are on every plan.
CREATE FUNCTION pg_temp.wrong_on(plan text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	person record;
	wrong bigint := 0;
BEGIN
	UPDATE tenancy.organizations o SET plan = wrong_on.plan;
	-- whatever was kept of the other plan goes
	UPDATE tenancy.projects SET is_private = NOT is_private;
	UPDATE tenancy.projects SET is_private = NOT is_private;
	FOR person IN SELECT DISTINCT x.who, x.person FROM pg_temp.questions x LOOP
		PERFORM pg_temp.act(person.who, person.person);
		wrong := wrong + (SELECT count(*) FROM pg_temp.questions q WHERE q.who = person.who
			AND (tenancy.can(q.permission, q.target_id) IS DISTINCT FROM (q.answer = 'a')
				 OR (pg_temp.required(q.permission, q.target_id) = 'allowed') IS DISTINCT FROM (q.answer = 'a')));
	END LOOP;
	RETURN wrong;
END $$;
SELECT is(pg_temp.wrong_on(name), 0::bigint, 'the same on the plan ' || name) FROM tenancy.plans ORDER BY name;
SELECT is(count(*), 4::bigint, 'all plans were asked about') FROM tenancy.plans;

-- The deciding table is complete, and shown as it decides.
SELECT set_eq('SELECT unnest(enum_range(NULL::tenancy.permission))', 'SELECT permission FROM expected',
			  'every permission was asked about');
SELECT set_eq($$SELECT permission, target, owner, administrator, member, project_administrator FROM tenancy.permission_matrix$$,
			  $$SELECT permission, CASE WHEN bool_or(target = 'organization') THEN 'organization' ELSE 'project' END AS target,
					   bool_and(owner = 'a') AS owner, bool_and(administrator = 'a') AS administrator, bool_or(member = 'a') AS member,
					   bool_or(project_administrator = 'a' AND target = 'private') AS project_administrator
				FROM expected GROUP BY permission$$,
			  'permission_matrix shows what is decided by');
SELECT throws_ok('SELECT tenancy.require(NULL, NULL)', '22004', 'permission must not be null');
SELECT is(tenancy.can(NULL, :'org'), false, 'no permission is none');
SELECT throws_ok('SELECT tenancy.can(''project.hack'', NULL)', '22P02', NULL, 'an unknown permission is an error');

-- level_in() gives the effective level (behaviour 61).
CREATE FUNCTION pg_temp.level_of(who text, target uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.act(who, (SELECT p.id FROM pg_temp.people p WHERE p.who = level_of.who));
	RETURN tenancy.level_in(target);
END $$;
SELECT is(pg_temp.level_of(who, target), level, format('level_in: %s, %s', who, name))
FROM (VALUES ('owner', 'organization', :'org'::uuid, 'owner'), ('owner', 'open', :'open', 'owner'), ('owner', 'private', :'private', 'owner'),
	('administrator', 'organization', :'org', 'administrator'), ('administrator', 'open', :'open', 'administrator'), ('administrator', 'private', :'private', 'administrator'),
	('member', 'organization', :'org', 'member'), ('member', 'open', :'open', 'member'), ('member', 'private', :'private', NULL),
	('project member', 'open', :'open', 'member'), ('project member', 'private', :'private', 'member'), ('project member', 'other private', :'other_private', NULL),
	('project administrator', 'organization', :'org', 'member'), ('project administrator', 'open', :'open', 'member'),
	('project administrator', 'private', :'private', 'administrator'), ('project administrator elsewhere', 'private', :'private', NULL),
	('administrator with project row', 'private', :'private', 'administrator'),
	('deactivated administrator', 'organization', :'org', NULL), ('deactivated administrator', 'private', :'private', NULL),
	('outsider', 'organization', :'org', NULL), ('outsider', 'open', :'open', NULL), ('nobody', 'organization', :'org', NULL),
	('owner', 'missing', :'missing', NULL), ('owner', 'null', NULL, NULL)) v (who, name, target, level);

-- A project token is nobody to can() and require(), for its own project, too.
SELECT tenancy._clear_identity();
INSERT INTO tenancy.project_tokens (project_id, token, digest)
SELECT :'open', t.token, tenancy._credential_digest(t.token, 'project') FROM (SELECT tenancy._mint_credential('project') AS token OFFSET 0) t
RETURNING token \gset
SELECT tenancy.authenticate(:'token');
SELECT is(tenancy.current_project_id(), :'open'::uuid, 'the token is signed in');
SELECT is(count(*), 0::bigint, 'a token has no permission')
FROM unnest(enum_range(NULL::tenancy.permission)) permission, unnest(ARRAY[:'open', :'org']::uuid[]) target
WHERE tenancy.can(permission, target);
SELECT is(pg_temp.required(permission, target), '28000 nobody is signed in', 'a token is nobody: ' || permission)
FROM unnest(enum_range(NULL::tenancy.permission)) permission, unnest(ARRAY[:'open', :'org']::uuid[]) target;

-- The current project narrows rows, not permissions.
SELECT tenancy._clear_identity();
SELECT tenancy.act_as(id) FROM people WHERE who = 'owner';
SET LOCAL tenancy.project_id = 'c1000000-0000-4000-8000-000000000001';
SELECT ok(tenancy.can('project.delete', :'private') AND tenancy.can('organization.delete', :'org'),
		  'permissions do not depend on the current project');

SELECT * FROM finish();
ROLLBACK;
