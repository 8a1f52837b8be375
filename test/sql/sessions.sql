-- Sessions: what people see and end of their own.  That a session that has ended
-- counts no more from the next statement on, in every backend and on standbys, is
-- in revocation_credentials, 001_standby and identity.
\set test sessions
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

SELECT tenancy.create_session(id('mia')) AS phone \gset
SELECT tenancy.create_session(id('mia'), '1 hour') AS laptop \gset
SELECT tenancy.create_session(id('mia')) AS revoked \gset
SELECT tenancy.create_session(id('mia')) AS expired \gset
SELECT tenancy.create_session(id('max')) AS his \gset
RESET ROLE;
UPDATE tenancy.sessions SET expires_at = clock_timestamp() WHERE digest = tenancy._credential_digest(:'expired', 'session');
UPDATE tenancy.sessions SET revoked_at = clock_timestamp() WHERE digest = tenancy._credential_digest(:'revoked', 'session');
SELECT remember(n.name, s.id) FROM tenancy.sessions s JOIN (VALUES ('phone', :'phone'), ('laptop', :'laptop'), ('revoked', :'revoked'),
	('expired', :'expired'), ('his', :'his')) n (name, token) ON s.digest = tenancy._credential_digest(n.token, 'session') ORDER BY 1;
-- Only digests are stored.
SELECT count(*) FROM tenancy.sessions s WHERE s::text ~ 'tns_' OR position(substr(:'phone', 5) IN s::text) > 0;

-- A person sees their own live sessions, and in which of them they are.
SET ROLE :client;
SELECT tenancy.authenticate(:'laptop', true);
SELECT called(id), is_current, expires_at - created_at FROM tenancy.my_sessions ORDER BY created_at;
SELECT attempt('SELECT digest FROM tenancy.sessions');
-- ... asserted by a trusted role, they are in none
SET ROLE :app;
SELECT act('mia');
SELECT called(id), is_current FROM tenancy.my_sessions ORDER BY created_at;
-- ... nobody, and a project token, has none; a superuser who is nobody sees nobody's
SELECT tenancy.sign_out();
SELECT count(*) FROM tenancy.my_sessions;
RESET ROLE;
SELECT count(*) FROM tenancy.my_sessions;
SELECT token FROM tenancy.project_tokens WHERE project_id = id('open') \gset
SET ROLE :client;
SELECT tenancy.authenticate(:'token', true);
SELECT count(*) FROM tenancy.my_sessions;
SELECT attempt(format('SELECT tenancy.revoke_session(%L)', id('phone')));
SELECT tenancy.sign_out();
SELECT attempt(format('SELECT tenancy.revoke_session(%L)', id('phone')));

-- They end one of their own; of others' there is none, nor of those that have ended.
SELECT tenancy.authenticate(:'laptop', true);
SELECT alike('SELECT tenancy.revoke_session(%1$L)', 'phone', 'his', 'revoked', 'expired', 'fake', 'null', 'acme');
SELECT tenancy.revoke_session(id('phone'));
SELECT attempt(format('SELECT tenancy.revoke_session(%L)', id('phone')));
SELECT called(id), is_current FROM tenancy.my_sessions;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'phone'));
RESET ROLE;
SELECT called(id), revoked_at IS NULL AS live FROM tenancy.sessions WHERE id IN (id('phone'), id('laptop'), id('his')) ORDER BY 1;
-- ... the present one, too, and are nobody from the next statement on, though
-- another one lives
SELECT tenancy.create_session(id('mia')) IS NOT NULL AS another;
SET ROLE :client;
SELECT sees();
SELECT tenancy.revoke_session(id) FROM tenancy.my_sessions WHERE is_current;
SELECT sees(), tenancy.current_user_id() IS NULL AS nobody;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'laptop'));

-- Whoever is deactivated is nobody, also where the session was left to them.
SELECT tenancy.authenticate(:'his', true);
SELECT called(tenancy.current_user_id());
RESET ROLE;
UPDATE tenancy.users SET is_active = false WHERE id = id('max');
SET ROLE :client;
SELECT tenancy.current_user_id() IS NULL AS nobody;
SELECT attempt(format('SELECT tenancy.authenticate(%L)', :'his'));
RESET ROLE;
UPDATE tenancy.users SET is_active = true WHERE id = id('max');
SET ROLE :client;

-- What has ended keeps the moment when it ended.
SELECT tenancy.authenticate(:'his', true);
RESET ROLE;
UPDATE tenancy.sessions SET revoked_at = '2020-01-01' WHERE id IN (id('revoked'), id('his'));
SET ROLE :client;
SELECT tenancy.sign_out();
RESET ROLE;
SELECT tenancy.revoke_sessions(id('mia'));
SELECT called(id), revoked_at::date FROM tenancy.sessions WHERE id IN (id('revoked'), id('his')) ORDER BY 1;

\i :cleanup
