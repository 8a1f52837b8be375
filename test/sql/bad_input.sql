-- Bad input: every command with every argument wrong in every way.  A clear error
-- with the documented SQLSTATE, nothing changed, and the same words for unknown
-- and hidden.
\set test bad_input
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT remember('dora', tenancy.create_user('dora@regress.example', 'Dora'));
SELECT tenancy.create_session(id('bob')) AS session \gset
SELECT token AS project_token FROM tenancy.my_projects WHERE id = id('open') \gset
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'member');
SELECT remember('pending', invite_id), token AS invite FROM tenancy.create_invite(id('acme'), 'eve@regress.example') \gset
SELECT remember('new', invite_id), token AS new_invite FROM tenancy.create_invite(id('acme'), 'new@regress.example') \gset
SELECT act('bob');
SELECT remember('foreign invite', invite_id) FROM tenancy.create_invite(id('rival'), 'eve@regress.example') \gset
SELECT tenancy.create_session(id('alice')) IS NOT NULL;
RESET ROLE;
SELECT remember('session', s.id) FROM tenancy.sessions s WHERE s.user_id = id('alice');
SELECT remember('foreign session', s.id) FROM tenancy.sessions s WHERE s.user_id = id('bob');
INSERT INTO tenancy.notifications (kind, recipient, attempts, claimed_at, dead_at)
VALUES ('waiting', 'x@regress.example', 0, NULL, NULL), ('claimed', 'x@regress.example', 1, clock_timestamp(), NULL),
	('dead', 'x@regress.example', 0, NULL, clock_timestamp());
SELECT remember(n.kind, n.id) FROM tenancy.notifications n WHERE n.recipient = 'x@regress.example' ORDER BY n.kind;

SELECT tenancy.grant_mailer(:'app');

-- What each argument is when it is right, in the eyes of the Owner of acme.
CREATE TEMP TABLE calls (function text, arguments text[], kinds text[], actor text DEFAULT 'alice');
INSERT INTO calls (function, arguments, kinds) VALUES
	('create_organization', '{Name}', '{name}'),
	('rename_organization', '{acme,Name}', '{organization,name}'),
	('set_join_notifications', '{acme,false}', '{organization,boolean}'),
	('delete_organization', '{acme}', '{organization}'),
	('transfer_ownership', '{acme,mia}', '{organization,member}'),
	('leave_organization', '{acme}', '{organization}'),
	('set_member_level', '{acme,mia,administrator}', '{organization,member,level}'),
	('remove_member', '{acme,mia}', '{organization,anybody inside}'),
	('create_invite', '{acme,somebody@regress.example}', '{organization,address}'),
	('create_invites', '{acme,"{somebody@regress.example}"}', '{organization,addresses}'),
	('preview_remove_member', '{acme,mia}', '{organization,anybody inside}'),
	('preview_set_member_level', '{acme,mia,administrator}', '{organization,member,level}'),
	('preview_set_project_privacy', '{open,true}', '{project,boolean}'),
	('preview_invite', ARRAY[:'invite'], '{invite token}'),
	('accept_invite', ARRAY[:'invite'], '{invite token}'),
	('accept_invite_as_new_user', ARRAY[:'new_invite', 'New'], '{invite token,name}'),
	('revoke_invite', '{pending}', '{invite}'),
	('create_project', '{acme,Name,true}', '{organization,name,boolean}'),
	('rename_project', '{open,Name}', '{project,name}'),
	('delete_project', '{open}', '{project}'),
	('set_project_privacy', '{open,true}', '{project,boolean}'),
	('rotate_project_token', '{open}', '{project}'),
	('add_project_member', '{hidden,mia,member}', '{project,member,project level}'),
	('set_project_member_level', '{hidden,max,administrator}', '{project,member,project level}'),
	('remove_project_member', '{hidden,max}', '{project,anybody inside}'),
	('leave_project', '{hidden}', '{project}'),
	('switch_organization', '{acme}', '{organization}'),
	('switch_project', '{open}', '{project}'),
	('require', '{billing.manage,acme}', '{permission,organization}'),
	('authenticate', ARRAY[:'session', 'false'], '{credential,boolean of authenticate}'),
	('sign_out', '{}', '{}'),
	('update_my_name', '{Name}', '{name}'),
	('revoke_session', '{session}', '{session}'),
	-- for the application and the DBA, from whom nothing is hidden
	('create_user', '{somebody@regress.example,Name}', '{address,name}'),
	('set_user_active', '{mia,true}', '{user,boolean}'),
	('delete_user', '{mia}', '{user}'),
	('forget_user', '{mia}', '{user}'),
	('create_session', '{mia,1 day}', '{active user,lifetime}'),
	('revoke_sessions', '{mia}', '{user}'),
	('assign_owner', '{acme,mia}', '{any organization,active user}'),
	('set_plan', '{acme,free}', '{any organization,plan}'),
	('preview_set_plan', '{acme,free}', '{any organization,plan}'),
	('grant_application', ARRAY[:'client'], '{role}'),
	('revoke_application', ARRAY[:'app'], '{role}'),
	('grant_mailer', ARRAY[:'client'], '{role}'),
	('revoke_mailer', ARRAY[:'app'], '{role}'),
	('claim_notifications', '{1}', '{number}'),
	('complete_notification', '{claimed}', '{claimed notification}'),
	('fail_notification', '{claimed,refused}', '{claimed notification,error}'),
	('release_notification', '{claimed}', '{claimed notification}'),
	('requeue_notification', '{dead}', '{dead notification}');
UPDATE calls SET actor = 'adam' WHERE function = 'leave_organization';
UPDATE calls SET actor = 'eve' WHERE function = 'accept_invite';
UPDATE calls SET actor = 'max' WHERE function = 'leave_project';
CREATE TEMP VIEW uncalled AS
	SELECT p.proname FROM pg_proc p LEFT JOIN calls c ON c.function = p.proname
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.provolatile = 'v' AND p.proname NOT LIKE '\_%'
		AND (cardinality(c.kinds) = p.pronargs) IS NOT TRUE;

-- What can be wrong with it.
CREATE TEMP TABLE wrong (kind text, what text, value text);
INSERT INTO wrong VALUES
	('organization', 'null', NULL), ('organization', 'unknown', id('fake')), ('organization', 'hidden', id('rival')), ('organization', 'a project', id('open')),
	('project', 'null', NULL), ('project', 'unknown', id('fake')), ('project', 'hidden', id('foreign')), ('project', 'an organization', id('acme')),
	('member', 'null', NULL), ('member', 'unknown', id('fake')), ('member', 'hidden', id('bob')), ('member', 'inactive', id('dora')), ('member', 'a project', id('open')),
	('anybody inside', 'null', NULL), ('anybody inside', 'unknown', id('fake')), ('anybody inside', 'hidden', id('bob')), ('anybody inside', 'a project', id('open')),
	('invite', 'null', NULL), ('invite', 'unknown', id('fake')), ('invite', 'hidden', id('foreign invite')), ('invite', 'a project', id('open')),
	('session', 'null', NULL), ('session', 'unknown', id('fake')), ('session', 'hidden', id('foreign session')), ('session', 'a project', id('open')),
	('claimed notification', 'null', NULL), ('claimed notification', 'unknown', id('fake')), ('claimed notification', 'another state', id('waiting')),
	('claimed notification', 'a project', id('open')),
	('dead notification', 'null', NULL), ('dead notification', 'unknown', id('fake')), ('dead notification', 'another state', id('claimed')),
	('dead notification', 'a project', id('open')),
	('number', 'null', NULL), ('number', 'zero', '0'), ('number', 'negative', '-1'),
	('user', 'null', NULL), ('user', 'unknown', id('fake')),
	('active user', 'null', NULL), ('active user', 'unknown', id('fake')), ('active user', 'inactive', id('dora')),
	('any organization', 'null', NULL), ('any organization', 'unknown', id('fake')),
	('plan', 'null', NULL), ('plan', 'empty', ''), ('plan', 'unknown', 'platinum'), ('plan', 'long', repeat('x', 300)),
	('role', 'null', NULL), ('role', 'unknown', '4294967295'),
	('permission', 'null', NULL),
	('level', 'null', NULL), ('project level', 'null', NULL), ('project level', 'owner', 'owner'),
	('boolean', 'null', NULL), ('boolean of authenticate', 'null', NULL),
	('name', 'null', NULL), ('name', 'empty', ''), ('name', 'blank', '   '), ('name', '300 letters', repeat('x', 300)),
	('name', '201 letters', repeat('é', 201)), ('name', 'newline', E'a\nb'), ('name', 'escape', E'a\x1bb'), ('name', '1 MB', repeat('x', 1024 * 1024)),
	('address', 'null', NULL), ('address', 'empty', ''), ('address', 'blank', ' '), ('address', 'no at', 'nobody'), ('address', 'no domain', 'nobody@'),
	('address', 'two', 'a@b.example,c@b.example'), ('address', 'header', E'a@b.example\nBcc: c@b.example'), ('address', 'long', repeat('x', 300) || '@b.example'),
	('address', '1 MB', repeat('x', 1024 * 1024)),
	('addresses', 'null', NULL), ('addresses', 'with null', '{a@b.example,NULL}'), ('addresses', 'with empty', '{a@b.example,""}'),
	('addresses', 'with invalid', '{a@b.example,nobody}'), ('addresses', 'too many', array_fill('a@b.example'::text, '{101}')::text),
	('addresses', 'two-dimensional', '{{a@b.example,nobody}}'),
	('lifetime', 'null', NULL), ('lifetime', 'zero', '0'), ('lifetime', 'negative', '-1 day'), ('lifetime', 'negative in sum', '1 month -31 days'),
	('lifetime', 'too long', '1000 years 1 second'), ('lifetime', 'endless', '178000000 years'), ('lifetime', 'least', '-178000000 years');
-- garbage for a credential, of any length, and a good one with one character wrong
INSERT INTO wrong
SELECT k.kind, g.what, g.value
FROM (VALUES ('credential', :'session'), ('invite token', :'invite')) k (kind, good),
	LATERAL (VALUES ('null', NULL), ('empty', ''), ('blank', ' '), ('a word', 'garbage'), ('prefix', left(k.good, 4)),
		('one short', left(k.good, -1)), ('one more', k.good || '0'), ('space', k.good || ' '), ('upper case', upper(k.good)),
		('1 MB', repeat(k.good, 1024 * 14)), ('other kind', CASE k.kind WHEN 'credential' THEN :'invite' ELSE :'session' END),
		('zeros', left(k.good, 4) || repeat('0', 72))) g (what, value)
UNION ALL
SELECT 'invite token', 'project token', :'project_token'
UNION ALL
SELECT k.kind, 'wrong character ' || n, overlay(k.good PLACING CASE substr(k.good, n, 1) WHEN '0' THEN '1' ELSE '0' END FROM n FOR 1)
FROM (VALUES ('credential', :'session'), ('invite token', :'invite')) k (kind, good), generate_series(1, 76) n
UNION ALL
SELECT k.kind, 'garbage of length ' || n, repeat('x', n)
FROM (VALUES ('credential'), ('invite token')) k (kind), generate_series(0, 200) n;

-- The call of a function with the argument at a place replaced, or with none.
CREATE FUNCTION pg_temp.call(call calls, place bigint, value text) RETURNS text LANGUAGE sql
AS $$
	SELECT format('SELECT tenancy.%I(%s)', call.function, string_agg(format('%L', CASE
		WHEN a.place = call.place THEN call.value
		WHEN call.kinds[a.place] IN ('organization', 'any organization', 'project', 'member', 'anybody inside', 'user', 'active user', 'invite',
								'session', 'claimed notification', 'dead notification')
			THEN regress.id(a.argument)::text
		ELSE a.argument END), ', ' ORDER BY a.place))
	FROM unnest(call.arguments) WITH ORDINALITY a (argument, place)
$$;
-- Where the extension was when it raised the error, which clients are shown, too
CREATE FUNCTION pg_temp.origin(command text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	context text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RETURN (SELECT string_agg(line, E'\n') FROM regexp_split_to_table(context, E'\n') line WHERE line ~ 'function "?_?tenancy|function tenancy');
END
$$;
CREATE TEMP TABLE outcomes (function text, kind text, place bigint, what text, outcome text, origin text);
CREATE FUNCTION pg_temp.call_all() RETURNS void LANGUAGE plpgsql
AS $$
DECLARE
	t record;
	command text;
BEGIN
	FOR t IN SELECT c, k.kind, k.place, w.what, w.value FROM calls c, unnest(c.kinds) WITH ORDINALITY k (kind, place)
			 JOIN wrong w USING (kind) LOOP
		PERFORM tenancy.act_as(regress.id((t.c).actor));
		command := pg_temp.call(t.c, t.place, t.value);
		INSERT INTO outcomes VALUES ((t.c).function, t.kind, t.place, t.what, regress.attempt(command), pg_temp.origin(command));
	END LOOP;
END
$$;
-- All that the extension has in its tables
CREATE FUNCTION pg_temp.everything() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	relation regclass;
	digest text;
	digests text := '';
BEGIN
	FOR relation IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' ORDER BY c.relname LOOP
		EXECUTE format('SELECT md5(string_agg(t::text, E''\n'' ORDER BY t::text)) FROM %s t', relation) INTO digest;
		digests := digests || relation || ' ' || coalesce(digest, 'empty') || E'\n';
	END LOOP;
	RETURN digests;
END
$$;

SELECT tenancy.sign_out();
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('dora'));
INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('hidden'), id('dora'), id('acme'));
SELECT tenancy.set_user_active(id('dora'), false);
CREATE TEMP TABLE before AS SELECT pg_temp.everything() AS everything;

-- every command is here, with every argument, but act_as(), to which any id is
-- somebody or nobody, what protects tables or proves that they are, and purge(),
-- which integrity tests; no text is wrong for what failed;
-- and each of the calls is good
SELECT proname FROM uncalled ORDER BY 1;
SELECT DISTINCT k.kind FROM calls c, unnest(c.kinds) k (kind) WHERE k.kind NOT IN (SELECT kind FROM wrong);
CREATE FUNCTION pg_temp.call_well(call calls) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM tenancy.act_as(regress.id(call.actor));
	RETURN regress.trial(pg_temp.call(call, 0, NULL));
END
$$;
CREATE TEMP TABLE good AS SELECT c.function, pg_temp.call_well(c) AS outcome FROM calls c;
SELECT outcome, count(*) FROM good GROUP BY 1;

-- bad input: what is wrong with which argument, how it ends, and for which commands
SELECT pg_temp.call_all();
SELECT string_agg(what, ', ' ORDER BY what) || ' ' || kind || ': ' || outcome || ': ' || functions
FROM (SELECT o.kind, o.what, o.outcome, string_agg(DISTINCT o.function, ' ' ORDER BY o.function) AS functions
	  FROM (SELECT function, kind, regexp_replace(what, '(wrong character|garbage of length) .*', '\1') AS what, outcome FROM outcomes) o
	  GROUP BY 1, 2, 3) o
GROUP BY kind, outcome, functions ORDER BY kind, outcome, functions;
-- ... nothing has changed
SELECT b.everything = pg_temp.everything() AS unchanged FROM before b;
-- ... and null, unknown, hidden and of another kind are one and the same, down to
-- the line that raised it
SELECT function, kind, count(DISTINCT outcome) AS outcomes, count(DISTINCT origin) AS origins
FROM outcomes WHERE what IN ('null', 'unknown', 'hidden', 'inactive', 'a project', 'an organization')
GROUP BY 1, 2, place HAVING count(DISTINCT (outcome, origin)) > 1;
SELECT count(*) > 100 AS compared, count(origin) > 100 AS with_origin FROM outcomes WHERE what IN ('null', 'unknown', 'hidden', 'inactive');
-- ... and no error has the words of a constraint or the name of a table in it
SELECT function, what, outcome FROM outcomes WHERE outcome ~* 'constraint|violates|relation|tenancy\.(?!set_|transfer|switch|leave)' OR outcome LIKE '23%';

\i :cleanup
