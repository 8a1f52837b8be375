-- Project tokens: they write and read nothing, and die when they are regenerated.
\set test project_tokens
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
CREATE TABLE ticks (project_id uuid NOT NULL, id integer, secret text, PRIMARY KEY (project_id, id));
CREATE TABLE notes (organization_id uuid NOT NULL, body text);
SET client_min_messages = warning;
SELECT tenancy.protect('ticks'), tenancy.protect_by_organization('notes');
RESET client_min_messages;
GRANT SELECT, INSERT, UPDATE, DELETE ON ticks, notes TO PUBLIC;
INSERT INTO ticks VALUES (id('open'), 1, 'open secret'), (id('hidden'), 7, 'hidden secret');
INSERT INTO notes VALUES (id('acme'), 'note');
SET ROLE :app;
SELECT act('alice');
SELECT token AS open FROM tenancy.my_projects WHERE id = id('open') \gset
SELECT token AS hidden FROM tenancy.my_projects WHERE id = id('hidden') \gset
SELECT tenancy.create_session(id('alice')) AS session \gset
SELECT token AS invite FROM tenancy.create_invite(id('acme'), 'somebody@regress.example') \gset
SELECT tenancy.sign_out();
SET ROLE :client;

-- a token writes into its own project, which is also the default
SELECT tenancy.authenticate(:'open', true);
SELECT tenancy.current_user_id() IS NULL AS nobody, called(tenancy.current_project_id());
SELECT attempt($$INSERT INTO events (amount) VALUES (4)$$);
SELECT attempt($$INSERT INTO events VALUES (id('open'), 5), (id('open'), 6)$$);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 2)$$);

-- attack 113: it reads nothing, in any way of reading
SELECT sees();
SELECT count(*) FROM ticks;
SELECT * FROM events FOR UPDATE;
COPY (SELECT * FROM events) TO STDOUT;
SELECT attempt($$INSERT INTO events (amount) VALUES (1) RETURNING amount$$);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 3) RETURNING 1$$);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 1) ON CONFLICT (project_id, id) DO UPDATE SET secret = 'x'$$);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 1) ON CONFLICT (project_id, id) DO UPDATE SET secret = ticks.secret RETURNING secret$$);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 4, (SELECT max(secret) FROM ticks))$$);
SELECT attempt($$INSERT INTO ticks SELECT project_id, 5, secret FROM ticks$$);
SELECT attempt($$MERGE INTO ticks USING (VALUES (1)) v (id) ON ticks.id = v.id WHEN MATCHED THEN UPDATE SET secret = 'x'$$);
SELECT attempt($$MERGE INTO ticks USING (VALUES (1)) v (id) ON ticks.id = v.id WHEN MATCHED THEN DELETE$$);
CREATE FUNCTION pg_temp.explain(query text) RETURNS SETOF text LANGUAGE plpgsql
AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query; END $$;
SELECT count(*) FILTER (WHERE line LIKE '%Rows Removed%') FROM pg_temp.explain('SELECT FROM ticks') line;
-- ... nor anything of the tenancy tables and views, its own token included
SELECT (SELECT count(*) FROM tenancy.organizations), (SELECT count(*) FROM tenancy.projects),
	(SELECT count(*) FROM tenancy.users), (SELECT count(*) FROM tenancy.memberships),
	(SELECT count(*) FROM tenancy.project_memberships), (SELECT count(*) FROM tenancy.user_preferences),
	(SELECT count(id) FROM tenancy.project_tokens), (SELECT count(id) FROM tenancy.invites),
	(SELECT count(id) FROM tenancy.sessions), (SELECT count(*) FROM tenancy.my_projects),
	(SELECT count(*) FROM tenancy.my_organizations), (SELECT count(*) FROM tenancy.members),
	(SELECT count(*) FROM tenancy.project_members), (SELECT count(*) FROM tenancy.pending_invites),
	cardinality(tenancy.viewable_projects());

-- attack 114: no blind overwrite, no count
SELECT attempt($$UPDATE ticks SET secret = 'x'$$), attempt($$DELETE FROM ticks$$),
	attempt($$UPDATE events SET amount = 0 WHERE project_id = id('open')$$), attempt($$TRUNCATE events$$);

-- attack 115: another project is refused in one and the same way, whatever it is
SELECT alike('INSERT INTO events VALUES (%1$L, 1)', 'hidden', 'foreign', 'fake', 'acme', 'null');
SELECT alike('INSERT INTO ticks VALUES (%1$L, 7)', 'hidden', 'foreign', 'fake');
SELECT alike('INSERT INTO ticks VALUES (%1$L, 7) ON CONFLICT DO NOTHING', 'hidden', 'foreign', 'fake');
SET tenancy.project_id = '';
SELECT set_config('tenancy.project_id', id('hidden')::text, false) IS NOT NULL;
SELECT called(tenancy.current_project_id());
SELECT alike('INSERT INTO events VALUES (%1$L, 1)', 'hidden', 'foreign', 'fake');
RESET tenancy.project_id;
-- ... and so is what belongs to the organization
SELECT alike('INSERT INTO notes VALUES (%1$L, ''x'')', 'acme', 'rival', 'fake');

-- attack 116: a unique key that begins with the project says nothing of other
-- projects; in the token's own, a taken key shows that it is taken
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 7)$$);
SELECT split_part(attempt($$INSERT INTO ticks VALUES (id('open'), 1)$$), ' / ', 1);
SELECT attempt($$INSERT INTO ticks VALUES (id('open'), 1) ON CONFLICT DO NOTHING$$);

-- attack 123: a token is nobody, and no command is for nobody
SELECT alike('SELECT tenancy.rotate_project_token(%1$L)', 'open', 'hidden', 'foreign', 'fake', 'null');
SELECT alike('SELECT tenancy.delete_project(%1$L)', 'open', 'hidden', 'fake');
SELECT alike('SELECT tenancy.switch_project(%1$L)', 'open', 'hidden', 'fake');
SELECT attempt($$SELECT tenancy.create_organization('Mine')$$);
SELECT alike('SELECT tenancy.create_invite(%1$L, ''a@b.example'')', 'acme', 'fake');
SELECT tenancy.can('project.view', id('open')), tenancy.level_in(id('open')), tenancy.can_view(id('open')),
	tenancy.can_edit(id('open')), tenancy.can_write(id('open')), tenancy.can_write(id('hidden'));
-- ... attacks 134 and 135: it cannot be made a member or an Owner either
SELECT attempt($$INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id) VALUES (id('open'), id('mia'), id('acme'))$$);

-- behaviour 57: a token cannot be set by hand, also not by a user; tokens are
-- unique
SET ROLE :app;
SELECT act('alice');
SELECT attempt($$UPDATE tenancy.project_tokens SET token = 'tnp_mine'$$);
SELECT attempt($$INSERT INTO tenancy.project_tokens (project_id, digest, token) VALUES (id('open'), sha256('x'), 'tnp_mine')$$);
SELECT attempt($$DELETE FROM tenancy.project_tokens$$);
SELECT attempt($$SELECT digest FROM tenancy.project_tokens$$);
RESET ROLE;
SELECT split_part(attempt($$INSERT INTO tenancy.project_tokens (project_id, digest, token) VALUES (id('open'), sha256('x'), 'tnp_second')$$), ' / ', 1);
SELECT split_part(attempt($$INSERT INTO tenancy.project_tokens (project_id, digest, revoked_at) SELECT id('foreign'), digest, now() FROM tenancy.project_tokens WHERE project_id = id('open')$$), ' / ', 1);
SELECT count(*) = count(DISTINCT token) AND count(*) = count(DISTINCT digest) AS distinct FROM tenancy.project_tokens;

-- behaviour 55, attack 123: regenerating is for whoever manages the project: a
-- Member is refused; for a hidden one there is no project
SET ROLE :app;
SELECT act('mia');
SELECT attempt($$SELECT tenancy.rotate_project_token(id('open'))$$);
SELECT alike('SELECT tenancy.rotate_project_token(%1$L)', 'hidden', 'foreign', 'fake', 'null');
-- ... and an Administrator gets a new one with the documented prefix
SELECT act('adam');
SELECT tenancy.rotate_project_token(id('open')) AS renewed \gset
SELECT :'renewed' ~ '^tnp_[0-9a-f]{72}$' AS well_formed, :'renewed' <> :'open' AS is_new;
SELECT token = :'renewed' AS shown FROM tenancy.my_projects WHERE id = id('open');
-- ... one is live, and of the other only the digest is left (attack 124)
RESET ROLE;
SELECT count(*), count(token), count(revoked_at), count(digest), count(created_by)
FROM tenancy.project_tokens WHERE project_id = id('open');

-- behaviour 56, attack 117: the old token is refused at once, everywhere, the
-- new one works at once; also in a statement prepared with the old one
SET ROLE :client;
PREPARE sign_in (text) AS SELECT tenancy.authenticate($1, true);
EXECUTE sign_in (:'open');
EXECUTE sign_in (:'renewed');
SELECT attempt($$INSERT INTO events (amount) VALUES (7)$$);

-- attack 118: who is signed in with a token that is regenerated is out at the
-- next statement, also in an open transaction and through EXECUTE
PREPARE put AS INSERT INTO events VALUES (id('open'), 8);
BEGIN;
EXECUTE put;
RESET ROLE;
UPDATE tenancy.project_tokens SET revoked_at = clock_timestamp(), token = NULL
WHERE project_id = id('open') AND revoked_at IS NULL;
SET ROLE :client;
SAVEPOINT s;
EXECUTE put;
ROLLBACK TO s;
SELECT attempt($$INSERT INTO events VALUES (id('open'), 8)$$);
SELECT tenancy.can_write(id('open')), tenancy.current_project_id() IS NULL AS nowhere;
EXECUTE sign_in (:'renewed');
-- attack 122: regeneration that is rolled back has not happened: the token works
ROLLBACK;
EXECUTE sign_in (:'renewed');
EXECUTE put;
SET ROLE :app;
BEGIN;
SELECT act('adam');
SAVEPOINT s;
SELECT tenancy.rotate_project_token(id('open')) AS never \gset
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'renewed'));
SELECT trial(format('SELECT tenancy.authenticate(%L)', :'never'));
ROLLBACK TO s;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'never'));
SELECT trial(format('SELECT tenancy.authenticate(%L)', :'renewed'));
COMMIT;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'never'));
SELECT trial(format('SELECT tenancy.authenticate(%L)', :'renewed'));

-- attacks 126 and 128, bad input: a credential that is not valid is refused in
-- one and the same way, whatever is wrong with it, and the error repeats no part
-- of it; nobody's identity changes
SELECT act('mia');
SELECT tenancy.create_session(id('alice'), interval '1 microsecond') AS expired \gset
CREATE TEMP TABLE bad (what text, credential text);
INSERT INTO bad VALUES ('null', NULL), ('empty', ''), ('blank', ' '), ('prefix', 'tnp_'), ('one letter', 'x'),
	('garbage', repeat('garbage ', 10)), ('10 MB', repeat('tnp_012345', 1024 * 1024)), ('umlauts', repeat('ä', 76)),
	('an id', id('open')::text), ('revoked', :'open'), ('expired', :'expired'), ('invite', :'invite'),
	('rolled back', :'never'), ('unknown', 'tnp_' || repeat('0', 72)),
	('upper case', upper(:'renewed')), ('upper-case digits', 'tnp_' || upper(substr(:'renewed', 5))),
	('trailing space', :'renewed' || ' '), ('leading space', ' ' || :'renewed'), ('newline', :'renewed' || E'\n'),
	('one short', left(:'renewed', -1)), ('one more', :'renewed' || '0'), ('other kind', 'tns_' || substr(:'renewed', 5)),
	('Cyrillic', 'tnр_' || substr(:'renewed', 5)), ('fullwidth', translate(:'renewed', '0123456789', '０１２３４５６７８９'));
INSERT INTO bad SELECT 'wrong at ' || n, overlay(:'renewed' PLACING CASE substr(:'renewed', n, 1) WHEN '0' THEN '1' ELSE '0' END FROM n FOR 1)
FROM generate_series(1, 76) n;
SELECT outcome, count(*) FROM (SELECT attempt(format('SELECT tenancy.authenticate(%L)', credential)) AS outcome FROM bad) b GROUP BY 1;
SELECT outcome, count(*) FROM (SELECT attempt(format('SELECT tenancy.authenticate(%L, true)', credential)) AS outcome FROM bad) b GROUP BY 1;
SELECT attempt(format('SELECT tenancy.authenticate(%L, NULL)', :'renewed'));
SELECT called(tenancy.current_user_id());

-- attack 124: no secret is stored but live project tokens; nor is one shown
RESET ROLE;
SELECT what, count(*) FILTER (WHERE position(secret IN stored) > 0) AS places
FROM (VALUES ('session', :'session'), ('invite', :'invite'), ('old token', :'open'), ('live token', :'renewed')) s (what, secret),
	(SELECT t::text FROM tenancy.sessions t UNION ALL SELECT t::text FROM tenancy.invites t
	 UNION ALL SELECT t::text FROM tenancy.project_tokens t UNION ALL SELECT t::text FROM tenancy.notifications t
	 UNION ALL SELECT t::text FROM tenancy.users t UNION ALL SELECT t::text FROM tenancy.user_preferences t) r (stored)
GROUP BY 1 ORDER BY 1;
-- attack 25: what settings show signs nobody in
SET ROLE :client;
SELECT tenancy.authenticate(:'renewed', true);
SELECT count(*) FROM pg_settings WHERE name LIKE 'tenancy.%' AND position(substr(:'renewed', 5, 64) IN setting) > 0;

-- a token that was revoked keeps the time of it
SET ROLE :app;
SELECT act('alice');
SELECT length(tenancy.rotate_project_token(id('hidden')));
SELECT length(tenancy.rotate_project_token(id('hidden')));
RESET ROLE;
SELECT revoked_at IS NULL AS live, revoked_at <= successor AS before_its_successor
FROM (SELECT created_at, revoked_at, lead(created_at) OVER (ORDER BY created_at) AS successor
	  FROM tenancy.project_tokens WHERE project_id = id('hidden')) t ORDER BY created_at;

-- the token goes on to work when its project is closed, and dies with it
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.set_project_privacy(id('open'), true);
SELECT tenancy.authenticate(:'renewed', true);
SELECT attempt($$INSERT INTO events (amount) VALUES (9)$$);
SELECT act('alice');
SELECT tenancy.delete_project(id('open'));
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'renewed'));
SELECT tenancy.delete_organization(id('acme'));
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'hidden'));

\i :cleanup
