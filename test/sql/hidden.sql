-- What is hidden cannot be told from what never existed: for every command,
-- every list and every error.
\set test hidden
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT remember('deleted', tenancy.create_project(id('acme'), 'Deleted', true));
SELECT remember('late', tenancy.create_organization('Late'));
SELECT tenancy.delete_project(id('deleted'));
SELECT tenancy.delete_organization(id('late'));
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'administrator');
SELECT remember('hers', tenancy.create_project(id('acme'), 'Hers', true));
SELECT remember('invite', invite_id) FROM tenancy.create_invite(id('acme'), 'somebody@regress.example');

-- The commands that name a project, an organization, or a user, each with what
-- is as it should be and with bad input besides: %1$L is the target.
CREATE TEMP TABLE commands (about text, command text);
INSERT INTO commands VALUES
	('project', 'SELECT tenancy.rename_project(%1$L, ''x'')'),
	('project', 'SELECT tenancy.rename_project(%1$L, '''')'),
	('project', 'SELECT tenancy.rename_project(%1$L, NULL)'),
	('project', 'SELECT tenancy.rename_project(%1$L, repeat(''x'', 300))'),
	('project', 'SELECT tenancy.delete_project(%1$L)'),
	('project', 'SELECT tenancy.set_project_privacy(%1$L, true)'),
	('project', 'SELECT tenancy.set_project_privacy(%1$L, false)'),
	('project', 'SELECT tenancy.set_project_privacy(%1$L, NULL)'),
	('project', 'SELECT tenancy.rotate_project_token(%1$L)'),
	('project', 'SELECT tenancy.add_project_member(%1$L, regress.id(''mia''), ''member'')'),
	('project', 'SELECT tenancy.add_project_member(%1$L, regress.id(''max''), ''member'')'),
	('project', 'SELECT tenancy.add_project_member(%1$L, regress.id(''bob''), ''owner'')'),
	('project', 'SELECT tenancy.add_project_member(%1$L, NULL, NULL)'),
	('project', 'SELECT tenancy.set_project_member_level(%1$L, regress.id(''max''), ''member'')'),
	('project', 'SELECT tenancy.set_project_member_level(%1$L, regress.id(''alice''), ''owner'')'),
	('project', 'SELECT tenancy.remove_project_member(%1$L, regress.id(''max''))'),
	('project', 'SELECT tenancy.remove_project_member(%1$L, regress.id(''mia''))'),
	('project', 'SELECT tenancy.leave_project(%1$L)'),
	('project', 'SELECT tenancy.switch_project(%1$L)'),
	('project', 'SELECT tenancy.require(''project.view'', %1$L)'),
	('project', 'SELECT tenancy.require(''project.set_privacy'', %1$L)'),
	('organization', 'SELECT tenancy.rename_organization(%1$L, ''x'')'),
	('organization', 'SELECT tenancy.rename_organization(%1$L, NULL)'),
	('organization', 'SELECT tenancy.rename_organization(%1$L, repeat(''x'', 300))'),
	('organization', 'SELECT tenancy.set_join_notifications(%1$L, NULL)'),
	('organization', 'SELECT tenancy.delete_organization(%1$L)'),
	('organization', 'SELECT tenancy.transfer_ownership(%1$L, regress.id(''bob''))'),
	('organization', 'SELECT tenancy.transfer_ownership(%1$L, NULL)'),
	('organization', 'SELECT tenancy.leave_organization(%1$L)'),
	('organization', 'SELECT tenancy.set_member_level(%1$L, regress.id(''mia''), ''administrator'')'),
	('organization', 'SELECT tenancy.set_member_level(%1$L, regress.id(''bob''), ''owner'')'),
	('organization', 'SELECT tenancy.set_member_level(%1$L, NULL, NULL)'),
	('organization', 'SELECT tenancy.remove_member(%1$L, regress.id(''alice''))'),
	('organization', 'SELECT tenancy.create_invite(%1$L, ''new@regress.example'')'),
	('organization', 'SELECT tenancy.create_invite(%1$L, ''mia@regress.example'')'),
	('organization', 'SELECT tenancy.create_invite(%1$L, ''no address'')'),
	('organization', 'SELECT tenancy.create_invites(%1$L, ''{new@regress.example}'')'),
	('organization', 'SELECT tenancy.create_invites(%1$L, NULL)'),
	('organization', 'SELECT tenancy.create_project(%1$L, ''x'')'),
	('organization', 'SELECT tenancy.create_project(%1$L, NULL, NULL)'),
	('organization', 'SELECT tenancy.switch_organization(%1$L)'),
	('organization', 'SELECT tenancy.require(''billing.manage'', %1$L)'),
	('user', 'SELECT tenancy.set_member_level(regress.id(''acme''), %1$L, ''member'')'),
	('user', 'SELECT tenancy.set_member_level(regress.id(''acme''), %1$L, ''administrator'')'),
	('user', 'SELECT tenancy.remove_member(regress.id(''acme''), %1$L)'),
	('user', 'SELECT tenancy.add_project_member(regress.id(''hidden''), %1$L, ''member'')'),
	('user', 'SELECT tenancy.set_project_member_level(regress.id(''hidden''), %1$L, ''member'')'),
	('user', 'SELECT tenancy.remove_project_member(regress.id(''hidden''), %1$L)');
GRANT SELECT ON commands TO PUBLIC;
-- How all of them end: one line for each set of targets that cannot be told
-- apart by any command
CREATE FUNCTION pg_temp.outcomes(about text, VARIADIC targets text[])
RETURNS TABLE (outcome text, commands bigint) LANGUAGE sql
AS $$
	SELECT a, count(*) FROM commands c, regress.alike(c.command, VARIADIC targets) a
	WHERE c.about = outcomes.about GROUP BY a ORDER BY a
$$;

-- Whoever locks or changes a row leaves a mark in it, even when it is undone.
CREATE FUNCTION pg_temp.marks_now() RETURNS TABLE (id uuid, mark text) LANGUAGE sql
AS $$
	SELECT id, ctid || ' ' || xmax FROM tenancy.organizations UNION ALL
	SELECT id, ctid || ' ' || xmax FROM tenancy.projects UNION ALL
	SELECT id, ctid || ' ' || xmax FROM tenancy.users WHERE id <> regress.id('mia') UNION ALL
	SELECT id, ctid || ' ' || xmax FROM tenancy.invites UNION ALL
	SELECT id, ctid || ' ' || xmax FROM tenancy.project_tokens
$$;
RESET ROLE;
CREATE TEMP TABLE marks AS SELECT * FROM pg_temp.marks_now();
SET ROLE :app;

-- attacks 151 and 159, behaviours 20, 54 and 65, bad input: hidden, foreign,
-- deleted, never existed and NULL are one and the same, to a Member, to an
-- Administrator and to the Owner of another organization, to an outsider, to
-- nobody; whatever else is wrong with the command
SELECT act('mia');
SELECT * FROM pg_temp.outcomes('project', 'hidden', 'foreign', 'deleted', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('organization', 'rival', 'late', 'fake', 'null');
-- attack 157: on their way to these errors the commands have locked nothing, for
-- a wait would tell that it is there: no row of these has been touched
RESET ROLE;
SELECT count(*) AS rows, count(*) FILTER (WHERE r.mark IS DISTINCT FROM t.mark) AS touched
FROM marks r FULL JOIN pg_temp.marks_now() t USING (id);
SET ROLE :app;
SELECT act('adam');
SELECT * FROM pg_temp.outcomes('project', 'foreign', 'deleted', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('organization', 'rival', 'late', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('user', 'bob', 'eve', 'acme', 'fake', 'null');
SELECT act('bob');
SELECT * FROM pg_temp.outcomes('project', 'open', 'hidden', 'deleted', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('organization', 'acme', 'late', 'fake', 'null');
SELECT act('eve');
SELECT * FROM pg_temp.outcomes('project', 'open', 'hidden', 'foreign', 'deleted', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('organization', 'acme', 'rival', 'late', 'fake', 'null');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'invite', 'fake', 'null');
SELECT tenancy.sign_out();
SELECT * FROM pg_temp.outcomes('project', 'open', 'hidden', 'foreign', 'deleted', 'fake', 'null');
SELECT * FROM pg_temp.outcomes('organization', 'acme', 'rival', 'late', 'fake', 'null');
SELECT alike('SELECT tenancy.revoke_invite(%1$L)', 'invite', 'fake', 'null');
-- ... the commands are fit for this: to the Owner none of them is hidden
SELECT act('alice');
SELECT count(*) FROM commands c, alike(c.command, 'hidden') a WHERE c.about = 'project' AND a LIKE '%project does not exist%';
SELECT count(*) FROM commands c, alike(c.command, 'acme') a WHERE c.about = 'organization' AND a LIKE '%organization does not exist%';

-- ... and where nothing is hidden they do leave marks
RESET ROLE;
SELECT called(id) FROM marks r JOIN pg_temp.marks_now() t USING (id) WHERE r.mark IS DISTINCT FROM t.mark AND called(id) IN ('acme', 'hidden') ORDER BY 1;
SET ROLE :app;

-- predicates raise nothing, whatever they are asked, and say no
SELECT act('mia');
SELECT k.name, tenancy.can_view(k.id), tenancy.can_edit(k.id), tenancy.can_write(k.id), tenancy.can('project.view', k.id),
	tenancy.can('organization.manage', k.id), tenancy.is_member(k.id), tenancy.level_in(k.id)
FROM known k WHERE k.name IN ('hidden', 'foreign', 'deleted', 'rival', 'late', 'fake', 'null', 'bob') ORDER BY 1;
SELECT tenancy.can(NULL, id('open')), tenancy.can_edit(id('open'), NULL), tenancy.can_write(id('open'), NULL), tenancy.is_member(id('acme'), NULL);

-- attack 152: a name that a hidden project has is free, also to whoever cannot
-- see it
SELECT act('alice');
SELECT trial($$SELECT tenancy.create_project(id('acme'), 'Secret')$$), trial($$SELECT tenancy.rename_project(id('open'), 'Secret')$$);
SELECT tenancy.add_project_member(id('hers'), id('mia'), 'administrator');
SELECT act('mia');
SELECT trial($$SELECT tenancy.rename_project(id('hers'), 'Secret')$$);
-- attack 153: nothing that one sees counts: no column of what is visible is a number
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0
	AND a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype)
	AND has_column_privilege(:'client', c.oid, a.attnum, 'SELECT') ORDER BY 1, 2;
SELECT count(*) AS sequences FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'S';

-- behaviour 65: the same in every list and count, with and without the hidden
-- project: what mia sees is what she would see if it had never been
CREATE FUNCTION pg_temp.view_of_the_world() RETURNS TABLE (relation text, contents text) LANGUAGE plpgsql
AS $$
BEGIN
	FOR relation IN SELECT c.relname FROM pg_class c
					WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v')
						AND c.relname NOT IN ('lint_rules', 'stats')
						AND has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1 LOOP
		EXECUTE format('SELECT string_agg(to_jsonb(t)::text, E''\n'' ORDER BY to_jsonb(t)::text COLLATE "C") FROM (SELECT %s FROM tenancy.%I) t',
			(SELECT string_agg(quote_ident(a.attname), ', ') FROM pg_attribute a
			 WHERE a.attrelid = ('tenancy.' || relation)::regclass AND a.attnum > 0
				AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')), relation) INTO contents;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE TEMP TABLE before (relation text, contents text);
CREATE TEMP TABLE after (relation text, contents text);
SELECT act('mia');
INSERT INTO before SELECT * FROM pg_temp.view_of_the_world();
SELECT relation FROM before WHERE contents IS NOT NULL;
BEGIN;
SELECT act('alice');
SELECT tenancy.delete_project(id('hidden'));
SELECT act('mia');
INSERT INTO after SELECT * FROM pg_temp.view_of_the_world();
SELECT count(*) AS relations, count(*) FILTER (WHERE b.contents IS DISTINCT FROM a.contents) AS different
FROM before b FULL JOIN after a USING (relation);
ROLLBACK;
-- ... while alice's is another one
SELECT act('alice');
INSERT INTO after SELECT * FROM pg_temp.view_of_the_world();
SELECT relation FROM before b FULL JOIN after a USING (relation) WHERE b.contents IS DISTINCT FROM a.contents ORDER BY 1;
-- ... and no text that mia reads has its name or id in it
SELECT count(*) FROM before WHERE contents ILIKE '%secret%' OR position(id('hidden')::text IN contents) > 0;

-- attack 154: messages about people do not name a project that they are in
SELECT act('adam');
SELECT trial($$SELECT tenancy.remove_member(id('acme'), id('max'))$$);
SELECT act('mia');
SELECT attempt($$SELECT tenancy.remove_member(id('acme'), id('max'))$$);
SELECT called(project_id), called(user_id) FROM tenancy.project_members;

-- attack 156: changes are announced on no channel; mail is, without a payload
SELECT act('alice');
LISTEN tenancy_notifications;
LISTEN tenancy;
SELECT tenancy.set_project_privacy(id('open'), true);
SELECT tenancy.set_project_privacy(id('open'), false);
SELECT tenancy.create_invite(id('acme'), 'other@regress.example') IS NOT NULL;
UNLISTEN *;
SELECT proname, substring(prosrc, '(NOTIFY [^;]*|pg_notify[^;]*);') FROM pg_proc
WHERE pronamespace = 'tenancy'::regnamespace AND proname !~ '^_lint_' AND prosrc ~* '\ynotify \w+;|pg_notify' ORDER BY 1;

-- attack 158: whatever the client asks to be told, commands say nothing but
-- errors (all of the above would have shown a NOTICE); only protecting tables does
SET log_min_messages = debug5;
SELECT proname FROM pg_proc
WHERE pronamespace = 'tenancy'::regnamespace AND proname !~ '^_lint_' AND prosrc ~* '\yraise\s+(debug|log|info|notice|warning)' ORDER BY 1;

\i :cleanup
