-- check_integrity(): what no constraint can express, and what a superuser can break
-- with triggers off.  purge(): away with what has ended.
\set test integrity
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- Commits a fault without triggers, tells what is found, with names for ids, and
-- undoes it.
CREATE FUNCTION broken(VARIADIC faults text[]) RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
	command text;
	answer text[];
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		FOREACH command IN ARRAY faults LOOP
			EXECUTE command;
		END LOOP;
		answer := ARRAY(SELECT concat_ws(' / ', rule, object, problem) FROM tenancy.check_integrity());
		RAISE EXCEPTION SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	END;
	RETURN QUERY
		WITH RECURSIVE names AS (SELECT row_number() OVER (ORDER BY name) AS n, name, id FROM known WHERE id IS NOT NULL),
		told AS (SELECT a.line, 0::bigint AS n FROM unnest(answer) a (line)
				 UNION ALL
				 SELECT replace(t.line, k.id::text, k.name), k.n FROM told t JOIN names k ON k.n = t.n + 1)
		SELECT regexp_replace(t.line, '[0-9a-f]{8}-[0-9a-f-]{27}', 'an id', 'g') FROM told t WHERE t.n = (SELECT max(n) FROM names) ORDER BY 1;
END
$$;

-- A sound database has no row.
SELECT * FROM tenancy.check_integrity();
SELECT act('adam');
SELECT tenancy.switch_project(id('hidden')), tenancy.rotate_project_token(id('open')) <> '';
SELECT act('alice');
SELECT tenancy.set_member_level(id('acme'), id('adam'), 'member');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT act('bob');
SELECT tenancy.switch_organization(id('rival'));
SELECT tenancy.set_user_active(id('bob'), false);
SELECT tenancy.sign_out();
SELECT * FROM tenancy.check_integrity();
SELECT tenancy.set_user_active(id('bob'), true);

-- attacks 135 and 138: what the silenced triggers would have refused
SELECT broken('INSERT INTO tenancy.memberships VALUES (id(''acme''), id(''alice''), ''administrator'')');
SELECT broken('UPDATE tenancy.organizations SET owner_id = id(''mia'') WHERE id = id(''acme'')');
SELECT broken('INSERT INTO tenancy.memberships VALUES (id(''acme''), id(''fake''))');
SELECT broken('DELETE FROM tenancy.users WHERE id = id(''mia'')');
SELECT broken('DELETE FROM tenancy.organizations WHERE id = id(''rival'')');
SELECT broken('UPDATE tenancy.projects SET organization_id = id(''rival'') WHERE id = id(''hidden'')');
SELECT broken('DELETE FROM tenancy.projects WHERE id = id(''hidden'')', 'DELETE FROM tenancy.project_tokens WHERE project_id = id(''hidden'')', 'DELETE FROM events WHERE project_id = id(''hidden'')');
SELECT broken('DELETE FROM tenancy.memberships WHERE user_id = id(''mia'')');
SELECT broken('UPDATE tenancy.organizations SET plan = ''none'' WHERE id = id(''acme'')');
SELECT broken('INSERT INTO tenancy.sessions (user_id, digest, expires_at) VALUES (id(''fake''), sha256(''x''), now())');
SELECT broken('INSERT INTO tenancy.invites (organization_id, email, digest, expires_at) VALUES (id(''fake''), ''x@y.z'', sha256(''x''), now())');
-- tokens
SELECT broken('DROP INDEX tenancy.project_tokens_live_idx',
			  'INSERT INTO tenancy.project_tokens (project_id, digest, token) SELECT id(''open''), tenancy._credential_digest(t, ''project''), t
			   FROM tenancy._mint_credential(''project'') t');
SELECT broken('ALTER TABLE tenancy.project_tokens DROP CONSTRAINT project_tokens_check', 'UPDATE tenancy.project_tokens SET token = NULL WHERE project_id = id(''foreign'')');
SELECT broken('ALTER TABLE tenancy.project_tokens DROP CONSTRAINT project_tokens_check', 'UPDATE tenancy.project_tokens SET token = ''kept'' WHERE revoked_at IS NOT NULL');
SELECT broken('UPDATE tenancy.project_tokens SET digest = sha256(''x'') WHERE project_id = id(''foreign'')');
-- preferences
-- ... what its user cannot reach any more may have been left, and is shown to nobody
SELECT broken('INSERT INTO tenancy.user_preferences VALUES (id(''mia''), id(''rival''))');
SELECT broken('UPDATE tenancy.user_preferences SET current_project_id = id(''foreign'') WHERE user_id = id(''alice'')');
SELECT broken('UPDATE tenancy.user_preferences SET current_organization_id = NULL WHERE user_id = id(''alice'')');
-- bindings
SELECT broken('INSERT INTO tenancy.role_bindings (role_name, user_id) VALUES (''regress_integrity_missing'', id(''mia''))');
SELECT broken('CREATE ROLE regress_integrity_bi LOGIN', 'SELECT tenancy.bind_role(''regress_integrity_bi'', id(''mia''), id(''open''))', 'DELETE FROM tenancy.memberships WHERE user_id = id(''mia'') AND organization_id = id(''acme'')');
SELECT broken('CREATE ROLE regress_integrity_bi LOGIN', 'SELECT tenancy.bind_role(''regress_integrity_bi'', id(''mia''))', 'ALTER ROLE regress_integrity_bi BYPASSRLS');
SELECT broken('CREATE ROLE regress_integrity_bi LOGIN', 'SELECT tenancy.bind_role(''regress_integrity_bi'', id(''mia''))', 'SELECT tenancy.set_user_active(id(''mia''), false)');
-- the forgotten
SELECT broken('ALTER TABLE tenancy.users DROP CONSTRAINT users_forgotten_check', 'UPDATE tenancy.users SET forgotten_at = now() WHERE id = id(''eve'')');
SELECT broken('UPDATE tenancy.users SET forgotten_at = now(), is_active = false WHERE id = id(''eve'')',
	'INSERT INTO tenancy.sessions (user_id, digest, expires_at) VALUES (id(''eve''), sha256(''x''), now())');
SELECT broken('UPDATE tenancy.users SET forgotten_at = now(), is_active = false WHERE id = id(''eve'')',
	'INSERT INTO tenancy.sessions (user_id, digest, expires_at, revoked_at) VALUES (id(''eve''), sha256(''x''), now(), now())');
-- the extension's own objects
SELECT broken('DROP POLICY read ON tenancy.users');
SELECT broken('ALTER TABLE tenancy.users NO FORCE ROW LEVEL SECURITY');
SELECT broken('ALTER TABLE tenancy.sessions ENABLE TRIGGER invalidate');
SELECT broken('ALTER TABLE tenancy.memberships DISABLE TRIGGER ALL');
SELECT broken('UPDATE pg_extension SET extversion = ''0.0.1'' WHERE extname = ''tenancy''');
-- an owner who does not see everything says so
SELECT broken('ALTER FUNCTION tenancy.check_integrity() OWNER TO regress_integrity_client', 'GRANT EXECUTE ON FUNCTION tenancy.check_integrity() TO regress_integrity_client');

-- For the DBA only.
SET ROLE regress_integrity_app;
SELECT * FROM tenancy.check_integrity();
SELECT * FROM tenancy.purge('1 day');
RESET ROLE;
GRANT EXECUTE ON FUNCTION tenancy.check_integrity() TO regress_integrity_app;
SET ROLE regress_integrity_app;
SELECT * FROM tenancy.check_integrity();
RESET ROLE;
REVOKE EXECUTE ON FUNCTION tenancy.check_integrity() FROM regress_integrity_app;

-- purge(): what ended longer ago than that, and nothing else.
UPDATE tenancy.project_tokens SET revoked_at = now() - interval '10 days' WHERE revoked_at IS NOT NULL;
INSERT INTO tenancy.project_tokens (project_id, digest, revoked_at) VALUES (id('open'), sha256('recent'), now() - interval '1 day');
INSERT INTO tenancy.invites (organization_id, email, digest, expires_at) VALUES
	(id('acme'), 'old@x.y', sha256('a'), now() - interval '10 days'), (id('acme'), 'recent@x.y', sha256('b'), now() - interval '1 day'),
	(id('acme'), 'open@x.y', sha256('c'), now() + interval '1 day');
INSERT INTO tenancy.sessions (user_id, digest, expires_at, revoked_at) VALUES
	(id('mia'), sha256('d'), now() - interval '10 days', NULL), (id('mia'), sha256('e'), now() + interval '10 days', now() - interval '10 days'),
	(id('mia'), sha256('f'), now() - interval '1 day', now() - interval '10 days'),
	(id('mia'), sha256('g'), now() - interval '1 day', NULL), (id('mia'), sha256('h'), now() + interval '1 day', NULL);
INSERT INTO tenancy.notifications (kind, recipient, created_at, sent_at, dead_at) VALUES
	('member_joined', 'a@x.y', now() - interval '20 days', now() - interval '10 days', NULL),
	('member_joined', 'b@x.y', now() - interval '20 days', NULL, now() - interval '10 days'),
	('member_joined', 'c@x.y', now() - interval '20 days', NULL, now() - interval '1 day'),
	('member_joined', 'd@x.y', now() - interval '20 days', NULL, NULL);
SELECT * FROM tenancy.purge('5 days');
SELECT email FROM tenancy.invites ORDER BY 1;
SELECT recipient FROM tenancy.notifications ORDER BY 1;
SELECT count(*) FROM tenancy.sessions;
SELECT * FROM tenancy.purge('5 days');
SELECT * FROM tenancy.purge('300000 years');
SELECT * FROM tenancy.purge('0');
SELECT email FROM tenancy.invites ORDER BY 1;
-- Bad input
SELECT * FROM tenancy.purge(NULL);
SELECT * FROM tenancy.purge('-1 second');
SELECT * FROM tenancy.purge('-300000 years');
SELECT * FROM tenancy.purge('1 day -25 hours');
SELECT * FROM tenancy.check_integrity();
\i :cleanup
