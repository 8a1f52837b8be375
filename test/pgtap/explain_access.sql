-- explain_access() and can() never disagree: each permission, for each way of
-- being in the organization or out of it, in an open and in a private project.
-- And what it proposes does what it says.
BEGIN;
SELECT no_plan();

\set org 'd0000000-0000-4000-8000-000000000001'
\set other 'd0000000-0000-4000-8000-000000000002'
\set open 'd1000000-0000-4000-8000-000000000001'
\set private 'd1000000-0000-4000-8000-000000000002'
\set other_private 'd1000000-0000-4000-8000-000000000003'

CREATE TEMP TABLE people (who text PRIMARY KEY, id uuid DEFAULT gen_random_uuid());
INSERT INTO people (who) VALUES ('owner'), ('administrator'), ('member'), ('project member'), ('project administrator'),
	('administrator with project row'), ('deactivated member'), ('deactivated administrator'), ('outsider'), ('never was');
INSERT INTO tenancy.users (id, email, name, is_active)
SELECT id, replace(who, ' ', '.') || '@explain.example', who, who NOT LIKE 'deactivated%' FROM people WHERE who <> 'never was';
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
SELECT v.id, v.name, p.id, 'enterprise' FROM (VALUES (:'org'::uuid, 'Explain', 'owner'), (:'other', 'Other', 'outsider')) v (id, name, who) JOIN people p USING (who);
INSERT INTO tenancy.memberships (organization_id, user_id, level)
SELECT :'org', id, CASE WHEN who LIKE '%administrator%' AND who NOT LIKE 'project%' THEN 'administrator' ELSE 'member' END::tenancy.access_level
FROM people WHERE who NOT IN ('owner', 'outsider', 'never was');
INSERT INTO tenancy.projects (id, organization_id, name, is_private) VALUES
	(:'open', :'org', 'Open', false), (:'private', :'org', 'Private', true), (:'other_private', :'other', 'Elsewhere', true);
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id, level)
SELECT p.project, people.id, :'org', p.level::tenancy.access_level
FROM (VALUES (:'private'::uuid, 'project member', 'member'), (:'private', 'project administrator', 'administrator'),
			 (:'open', 'project administrator', 'administrator'), (:'private', 'administrator with project row', 'member'),
			 (:'private', 'deactivated administrator', 'administrator')) p (project, who, level)
JOIN people USING (who);

CREATE TEMP TABLE targets (name text, kind text, id uuid);
INSERT INTO targets VALUES ('organization', 'organization', :'org'), ('other organization', 'organization', :'other'),
	('open', 'project', :'open'), ('private', 'project', :'private'), ('other private', 'project', :'other_private');

-- can() for that person, and then nobody acts any more.
CREATE FUNCTION pg_temp.can(person uuid, permission tenancy.permission, target uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	answer boolean;
BEGIN
	PERFORM tenancy.act_as(person);
	answer := tenancy.can(permission, target);
	PERFORM tenancy._clear_identity();
	RETURN answer;
END $$;
-- Do what is proposed, step after step, as the Owner of the organization; NULL if
-- nothing is.
CREATE FUNCTION pg_temp.heed(person uuid, permission tenancy.permission, target uuid, organization uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	proposal text;
	command text;
	owner uuid := (SELECT o.owner_id FROM tenancy.organizations o WHERE o.id = organization);
	heeded boolean;
	answer boolean;
BEGIN
	BEGIN
		FOR proposal IN SELECT e.sentence FROM tenancy.explain_access(person, permission, target) e WHERE e.granted IS NULL ORDER BY e.step LOOP
			heeded := true;
			command := substring(proposal FROM 'tenancy\.\w+\([^)]*\)');
			IF command LIKE 'tenancy.create_invite%' THEN
				INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (organization, person);
			ELSE
				PERFORM tenancy.act_as(owner);
				command := replace(command, 'another member', quote_literal((SELECT m.user_id FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id
					WHERE m.organization_id = organization AND u.is_active AND m.user_id <> person ORDER BY m.user_id LIMIT 1)));
				EXECUTE 'SELECT ' || command;
				PERFORM tenancy._clear_identity();
			END IF;
		END LOOP;
		answer := pg_temp.can(person, permission, target);
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	END;
	RETURN heeded AND answer;
END $$;
CREATE FUNCTION pg_temp.compare() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	q record;
	explained boolean;
BEGIN
	FOR q IN SELECT p.who, p.id AS person, m.permission, t.name, t.id AS target,
					coalesce((SELECT j.organization_id FROM tenancy.projects j WHERE j.id = t.id), t.id) AS organization
			 FROM pg_temp.people p, tenancy.permission_matrix m JOIN pg_temp.targets t ON t.kind = m.target LOOP
		SELECT bool_and(e.granted) INTO explained FROM tenancy.explain_access(q.person, q.permission, q.target) e;
		RETURN NEXT public.is(explained, pg_temp.can(q.person, q.permission, q.target), format('%s, %s, %s', q.who, q.permission, q.name));
		IF NOT explained AND q.who <> 'never was' AND q.name NOT LIKE 'other%' THEN
			RETURN NEXT public.ok(pg_temp.heed(q.person, q.permission, q.target, q.organization),
				format('and the proposal helps: %s, %s, %s', q.who, q.permission, q.name));
		END IF;
	END LOOP;
END $$;
SELECT pg_temp.compare();

-- who_can_access() and what_can_access() are the view, and so is access_at().
SELECT set_eq(format('SELECT user_id, level, source FROM tenancy.who_can_access(%L)', id),
			  format('SELECT user_id, level, source FROM tenancy.access WHERE project_id = %L', id), 'who_can_access: ' || name)
FROM targets WHERE kind = 'project';
SELECT set_eq(format('SELECT * FROM tenancy.what_can_access(%L)', id),
			  format('SELECT organization_id, project_id, level, source FROM tenancy.access WHERE user_id = %L', id), 'what_can_access: ' || who)
FROM people WHERE who <> 'never was';

-- Within 10 ms, once the session is warm.
CREATE TEMP TABLE took AS
	SELECT clock_timestamp() - before.now AS total
	FROM (SELECT clock_timestamp() AS now OFFSET 0) before,
		 LATERAL (SELECT count(*) FROM people p, targets t, tenancy.permission_matrix m, tenancy.explain_access(p.id, m.permission, t.id) e
				  WHERE t.kind = m.target AND before.now IS NOT NULL) c;
SELECT cmp_ok(total / (SELECT count(*) FROM people p, targets t JOIN tenancy.permission_matrix m ON m.target = t.kind), '<', interval '10 ms',
			  'one explanation takes less than 10 ms') FROM took;

SELECT * FROM finish();
ROLLBACK;
