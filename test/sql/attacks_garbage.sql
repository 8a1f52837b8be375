-- Attacks by way of values: garbage for credentials and ids, what can be read
-- and replayed, hostile settings, and every function called by nobody.  The
-- numbers are those of the attack catalogue.
\set test attacks_garbage
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
SELECT tenancy.create_session(:'alice') AS session_a, tenancy.create_session(:'bob') AS session_b \gset
SELECT token AS project_token FROM tenancy.project_tokens WHERE project_id = :'p1' \gset
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SELECT token AS invite FROM tenancy.create_invite(:'one', 'carol@example.com') \gset
COMMIT;

-- attack 23: whatever is wrong with a credential, the answer is one and the same
CREATE FUNCTION attacks_garbage_refused(credential text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text; context text;
BEGIN
	PERFORM tenancy.authenticate(credential);
	RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN format('%s: %s|%s|%s', SQLSTATE, message, detail, hint);
END $$;
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT attacks_garbage_refused(c) AS answer, count(*) FROM (VALUES
	(NULL), (''), (' '), ('x'), ('tns_'), ('tnp_'), (repeat('x', 10000000)), ('tns_' || repeat('0', 72)),
	('tns_' || repeat('é', 72)), (:'invite'), (upper(:'session_a')), (:'session_a' || ' '), (' ' || :'session_a'),
	(:'session_a' || E'\n'), (left(:'session_a', -1)), (:'session_a' || '0'), ('tnp' || substr(:'session_a', 4)),
	('tns' || substr(:'project_token', 4)), (overlay(:'session_a' PLACING 'g' FROM 10)), (:'alice'),
	($$' OR true --$$), (E'\t\x01'), (encode(sha256(:'session_a'), 'hex'))) v (c) GROUP BY 1;
TABLE seen;
COMMIT;
-- attack 23: nor is a NULL for the second argument a way in
SELECT tenancy.authenticate(:'session_a', NULL);
-- attack 23: bytes that are no text do not arrive
SELECT tenancy.authenticate(E'tns_\xff');
SELECT tenancy.authenticate(convert_from('\xfffe', 'UTF8'));

-- attack 23: garbage for a user's id leaves everything as it was
\c - :gateway
SELECT tenancy.current_user_id();
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SAVEPOINT s;
SELECT tenancy.act_as('garbage');
ROLLBACK TO s;
SET LOCAL tenancy.user_id = 'garbage';
ROLLBACK TO s;
DO $$
BEGIN
	PERFORM set_config('tenancy.user_id', repeat('a', 10000000), true);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', SQLSTATE;
END $$;
TABLE seen;
COMMIT;
-- ... and the id of nobody is nobody
BEGIN;
SELECT tenancy.act_as('00000000-0000-4000-8000-0000000000ff') \gset
TABLE seen;
SELECT tenancy.act_as('00000000-0000-0000-0000-000000000000') \gset
TABLE seen;
SELECT tenancy.act_as(:'p1') \gset
TABLE seen;
SELECT tenancy.act_as(NULL) \gset
TABLE seen;
SET LOCAL tenancy.user_id = '00000000-0000-4000-8000-0000000000ff';
TABLE seen;
SET LOCAL tenancy.user_id = '';
TABLE seen;
COMMIT;

-- attack 24: no secret lies in a catalog or setting that everybody reads
\c - :app
SELECT tenancy.current_user_id();
SELECT setdatabase, setconfig FROM pg_db_role_setting WHERE setconfig::text ~* 'tenancy';
SELECT name FROM pg_settings WHERE name LIKE 'tenancy.%' AND name ~* 'secret|key|password|salt|token';
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
  AND p.prosrc ~ '[0-9a-f]{32}' AND p.proname <> '_installed_shape';
SELECT policyname FROM pg_policies WHERE coalesce(qual, '') || coalesce(with_check, '') ~ '[0-9a-f]{32}';

-- attack 24: nobody reads a digest, and the signed-in do not read each other's secrets
SELECT digest FROM tenancy.sessions;
SELECT digest FROM tenancy.project_tokens;
SELECT digest FROM tenancy.invites;
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT count(*) FROM tenancy.sessions;
SELECT count(*) FROM tenancy.project_tokens WHERE token = :'project_token';
SELECT count(*) FROM tenancy.invites;
COMMIT;

-- attack 25: what can be read of an identity signs nobody in
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SELECT current_setting('tenancy.identity') AS shown \gset
SELECT position(substr(:'session_a', 5, 16) IN :'shown') AS credential,
	   position(left(encode(sha256(:'session_a'), 'hex'), 16) IN replace(:'shown', '-', '')) AS digest;
SELECT count(*) FROM pg_settings WHERE setting LIKE '%' || substr(:'session_a', 5, 16) || '%';
COMMIT;
SELECT attacks_garbage_refused(word) AS answer, count(*) FROM regexp_split_to_table(:'shown', ' ') word GROUP BY 1;
SELECT set_config('tenancy.identity', :'shown', true);
TABLE seen;

-- attack 26: signing in writes nothing
BEGIN READ ONLY;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
COMMIT;
SET default_transaction_read_only = on;
SELECT tenancy.authenticate(:'session_b', session_wide => true) \gset
TABLE seen;
BEGIN;
SELECT tenancy.authenticate(:'session_a') \gset
SELECT tenancy.sign_out();
ROLLBACK;
RESET default_transaction_read_only;

-- attack 27: settings do not change a decision
\c - :app
CREATE FUNCTION pg_temp.decide(setting text, value text, session text, bad text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config(setting, value, true);
	PERFORM tenancy.authenticate(session);
	RETURN format('%s %s', (SELECT s FROM public.seen s), public.attacks_garbage_refused(bad));
END $$;
SELECT setting, value, pg_temp.decide(setting, value, :'session_b', :'invite') FROM (VALUES
	('search_path', ''), ('search_path', 'pg_temp, public'), ('DateStyle', 'German'), ('TimeZone', 'Pacific/Kiritimati'),
	('IntervalStyle', 'sql_standard'), ('bytea_output', 'escape'), ('client_encoding', 'LATIN1'),
	('standard_conforming_strings', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('row_security', 'on'),
	('quote_all_identifiers', 'on'), ('xmloption', 'document'), ('transform_null_equals', 'on'),
	('enable_indexscan', 'off'), ('enable_seqscan', 'off'), ('check_function_bodies', 'off'), ('work_mem', '64'),
	('jit_above_cost', '0'), ('array_nulls', 'off'), ('constraint_exclusion', 'on')) v (setting, value);
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.authenticate(:'session_b') \gset
TABLE seen;
COMMIT;
BEGIN;
SET LOCAL row_security = off;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT tenancy.current_user_id();
SELECT count(*) FROM events;
ROLLBACK;

-- attack 28: nobody gets one answer from every command, whatever it is asked for.
-- What is listed answers otherwise; each says nothing about any row.
CREATE FUNCTION pg_temp.call(f regprocedure, target uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	arguments text := (
		SELECT string_agg(format('%L::%s', CASE t WHEN 'uuid' THEN target::text WHEN 'uuid[]' THEN format('{%s}', target)
			WHEN 'boolean' THEN 'true' WHEN 'text[]' THEN '{a@b.example}' WHEN 'tenancy.access_level' THEN 'member'
			WHEN 'tenancy.permission' THEN 'member.invite' WHEN 'regclass' THEN 'events'
			WHEN 'name' THEN 'project_id' WHEN 'interval' THEN '1 day' WHEN 'bigint' THEN '1' WHEN 'integer' THEN '1'
			WHEN 'timestamp with time zone' THEN 'now' WHEN 'jsonb' THEN '{}' ELSE 'a@b.example' END, t), ', ' ORDER BY i)
		FROM pg_proc p, unnest(p.proargtypes::regtype[]) WITH ORDINALITY a (type, i), format_type(type, NULL) t
		WHERE p.oid = f);
	name text := (SELECT format('%I.%I', n.nspname, proname) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE p.oid = f);
	answer text;
BEGIN
	EXECUTE format('SELECT string_agg(r::text, '','') FROM %s(%s) r', name, arguments) INTO answer;
	RETURN 'returns ' || coalesce(answer, 'NULL');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT p.oid::regprocedure AS function, pg_temp.call(p.oid, :'p1') AS known,
	   NULLIF(pg_temp.call(p.oid, '00000000-0000-4000-8000-0000000000ff'), pg_temp.call(p.oid, :'p1')) AS unknown
FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prokind = 'f' AND p.proname NOT LIKE '\_%'
  AND has_function_privilege(p.oid, 'EXECUTE') AND p.prorettype <> 'trigger'::regtype
  AND pg_temp.call(p.oid, :'p1') <> '28000 nobody is signed in'
  -- which reads catalogs, and says what it says to everybody
  AND p.proname <> 'lint'
ORDER BY p.proname COLLATE "C", 1;
-- ... and in every argument's place an organization, a user or a session changes nothing
SELECT p.oid::regprocedure AS function
FROM pg_proc p, (VALUES (:'one'::uuid), (:'alice'), (NULL)) v (target)
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prokind = 'f' AND p.proname NOT LIKE '\_%'
  AND has_function_privilege(p.oid, 'EXECUTE') AND p.prorettype <> 'trigger'::regtype
  AND pg_temp.call(p.oid, target) IS DISTINCT FROM pg_temp.call(p.oid, '00000000-0000-4000-8000-0000000000ff');
-- attack 28: views and tables are empty, but for what is everybody's
SELECT c.relname AS has_rows
FROM pg_class c
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND has_any_column_privilege(c.oid, 'SELECT')
  AND NOT query_to_xml('SELECT FROM tenancy.' || quote_ident(c.relname), false, false, '')::text !~ '<row'
ORDER BY c.relname COLLATE "C";

\c - :superuser
DROP FUNCTION attacks_garbage_refused(text);
\i :two_end
