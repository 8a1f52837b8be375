-- The past as it was: a random history of commands and direct changes, a picture
-- of tenancy.access after each, and access_at() of every one of these moments.
-- Each step is a transaction of its own, as in life.
SELECT no_plan();
SET client_min_messages = warning;
SELECT setseed(0.42);

-- ids by number, from a space of their own
CREATE FUNCTION pg_temp.person(n integer) RETURNS uuid LANGUAGE sql AS $$ SELECT format('e%s-0000-4000-8000-000000000000', lpad(n::text, 7, '0'))::uuid $$;
INSERT INTO tenancy.users (id, email, name) SELECT pg_temp.person(n), 'past' || n || '@past.example', 'Past ' || n FROM generate_series(1, 12) n;

CREATE TEMP TABLE history (step integer PRIMARY KEY, what text, outcome text, at timestamptz);
CREATE TEMP TABLE pictures (step integer, user_id uuid, organization_id uuid, project_id uuid, level tenancy.access_level, source text);

-- One of anything; NULL when there is none.
CREATE FUNCTION pg_temp.some_organization() RETURNS tenancy.organizations LANGUAGE sql VOLATILE AS $$
	SELECT o FROM tenancy.organizations o WHERE o.owner_id::text LIKE 'e00000%' ORDER BY random() LIMIT 1 $$;
CREATE FUNCTION pg_temp.some_project(organization uuid) RETURNS uuid LANGUAGE sql VOLATILE AS $$
	SELECT p.id FROM tenancy.projects p WHERE p.organization_id = organization ORDER BY random() LIMIT 1 $$;
CREATE FUNCTION pg_temp.some_member(organization uuid) RETURNS uuid LANGUAGE sql VOLATILE AS $$
	SELECT m.user_id FROM tenancy.memberships m WHERE m.organization_id = organization ORDER BY random() LIMIT 1 $$;

CREATE PROCEDURE pg_temp.live(steps integer) LANGUAGE plpgsql AS $$
DECLARE
	o tenancy.organizations;
	project uuid;
	member uuid;
	person uuid;
	what text;
	result text;
BEGIN
	FOR step IN 1..steps LOOP
		o := pg_temp.some_organization();
		project := pg_temp.some_project(o.id);
		member := pg_temp.some_member(o.id);
		person := pg_temp.person(1 + floor(random() * 12)::integer);
		what := (ARRAY[
			format('SELECT tenancy.create_organization(%L)', 'Past'),
			format('SELECT tenancy.create_project(%L, %L, %L)', o.id, 'Past', random() < 0.5),
			format('SELECT tenancy.create_project(%L, %L, %L)', o.id, 'Past', random() < 0.5),
			format('SELECT tenancy.set_project_privacy(%L, %L)', project, random() < 0.7),
			format('SELECT tenancy.set_project_privacy(%L, %L)', project, random() < 0.7),
			format('SELECT tenancy.add_project_member(%L, %L, %L)', project, member, CASE WHEN random() < 0.5 THEN 'member' ELSE 'administrator' END),
			format('SELECT tenancy.add_project_member(%L, %L, %L)', project, member, CASE WHEN random() < 0.5 THEN 'member' ELSE 'administrator' END),
			format('SELECT tenancy.set_project_member_level(%L, %L, %L)', project, member, CASE WHEN random() < 0.5 THEN 'member' ELSE 'administrator' END),
			format('SELECT tenancy.remove_project_member(%L, %L)', project, member),
			format('SELECT tenancy.set_member_level(%L, %L, %L)', o.id, member, CASE WHEN random() < 0.6 THEN 'member' ELSE 'administrator' END),
			format('SELECT tenancy.set_member_level(%L, %L, %L)', o.id, member, CASE WHEN random() < 0.6 THEN 'member' ELSE 'administrator' END),
			format('SELECT tenancy.transfer_ownership(%L, %L)', o.id, member),
			format('SELECT tenancy.remove_member(%L, %L)', o.id, member),
			format('SELECT tenancy.delete_project(%L)', project),
			format('SELECT tenancy.set_user_active(%L, %L)', person, random() < 0.7),
			format('SELECT tenancy.rename_organization(%L, %L)', o.id, 'Renamed'),
			-- and by hand
			format('INSERT INTO tenancy.memberships (organization_id, user_id, level) VALUES (%L, %L, %L)', o.id, person, 'member'),
			format('INSERT INTO tenancy.memberships (organization_id, user_id, level) VALUES (%L, %L, %L)', o.id, person, 'member'),
			format('INSERT INTO tenancy.memberships (organization_id, user_id, level) VALUES (%L, %L, %L)', o.id, person, 'member'),
			format('DELETE FROM tenancy.memberships WHERE user_id = %L', person),
			format('UPDATE tenancy.memberships SET user_id = %L WHERE organization_id = %L AND user_id = %L', person, o.id, member),
			CASE WHEN random() < 0.2 THEN format('SELECT tenancy.delete_organization(%L)', o.id) ELSE format('SELECT tenancy.create_organization(%L)', 'Past') END,
			CASE WHEN random() < 0.1 THEN format('DELETE FROM tenancy.users WHERE id = %L', person)
				 ELSE format('UPDATE tenancy.users SET is_active = true WHERE id = %L', person) END
		])[1 + floor(random() * 23)::integer];
		PERFORM tenancy.act_as(CASE WHEN what LIKE '%create_organization%' THEN person ELSE o.owner_id END);
		BEGIN
			EXECUTE what;
			result := 'ok';
		EXCEPTION WHEN OTHERS THEN
			result := SQLSTATE;
		END;
		PERFORM tenancy._clear_identity();
		COMMIT;
		INSERT INTO pg_temp.history VALUES (step, what, result, clock_timestamp());
		INSERT INTO pg_temp.pictures SELECT step, a.user_id, a.organization_id, a.project_id, a.level, a.source FROM tenancy.access a;
		COMMIT;
	END LOOP;
END $$;
CALL pg_temp.live(300);

-- Enough has happened, and some of it was refused.
SELECT cmp_ok(count(*), '>=', 200::bigint, 'at least 200 changes') FROM history WHERE outcome = 'ok';
SELECT cmp_ok(count(DISTINCT substring(what FROM '^\S+ \S+ tenancy\.\w+|tenancy\.\w+')), '>=', 15::bigint, 'of many kinds') FROM history WHERE outcome = 'ok';
SELECT cmp_ok(count(DISTINCT source), '=', 3::bigint, 'for every reason there is') FROM pictures;

CREATE FUNCTION pg_temp.compare() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	h record;
BEGIN
	FOR h IN SELECT * FROM pg_temp.history ORDER BY step LOOP
		RETURN NEXT public.is((SELECT count(*) FROM
			((SELECT p.user_id, p.organization_id, p.project_id, p.level, p.source FROM pg_temp.pictures p WHERE p.step = h.step
			  EXCEPT ALL SELECT * FROM tenancy.access_at(h.at))
			 UNION ALL
			 (SELECT * FROM tenancy.access_at(h.at)
			  EXCEPT ALL SELECT p.user_id, p.organization_id, p.project_id, p.level, p.source FROM pg_temp.pictures p WHERE p.step = h.step)) d),
			0::bigint, format('%s: %s (%s)', h.step, h.what, h.outcome));
	END LOOP;
END $$;
SELECT pg_temp.compare();

SELECT is_empty($$SELECT * FROM tenancy.access_at('-infinity')$$, 'before everything there was nothing');
SELECT is_empty($$SELECT * FROM tenancy.access_at(NULL)$$, 'and at no time there is nothing');

-- Whoever does not see the whole log is told so, and not that nobody reached anything.
CREATE ROLE pgtap_past;
GRANT EXECUTE ON FUNCTION tenancy.access_at(timestamptz) TO pgtap_past;
SET ROLE pgtap_past;
SELECT throws_ok($$SELECT * FROM tenancy.access_at(now())$$, '42501', 'role pgtap_past is subject to row security, so nothing can be said', 'a role that is filtered is refused');
RESET ROLE;
ALTER ROLE pgtap_past BYPASSRLS;
SET ROLE pgtap_past;
SELECT isnt_empty($$SELECT * FROM tenancy.access_at(now())$$, 'and one that is not is answered');
RESET ROLE;
REVOKE ALL ON FUNCTION tenancy.access_at(timestamptz) FROM pgtap_past;
DROP ROLE pgtap_past;
SELECT is_empty($$SELECT * FROM tenancy.verify_audit()$$, 'the log is sound');

-- TRUNCATE ends it all, and is in the log as well.
SELECT clock_timestamp() AS before \gset
TRUNCATE tenancy.users CASCADE;
SELECT is_empty($$SELECT * FROM tenancy.access_at(clock_timestamp())$$, 'after TRUNCATE there is nothing');
SELECT isnt_empty(format('SELECT * FROM tenancy.access_at(%L)', :'before'), 'and before it there was something');
SELECT is(action, 'truncate on users', 'TRUNCATE is in the log') FROM tenancy.audit_log WHERE relation = 'users' AND row_key IS NULL ORDER BY number DESC LIMIT 1;
SELECT is_empty($$SELECT * FROM tenancy.verify_audit()$$, 'the log is sound');

SELECT * FROM finish();
