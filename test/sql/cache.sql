-- Access sets are kept: for whom, until when, and in how much memory.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS superuser \gset
CREATE ROLE regress_cache_app LOGIN;
GRANT pg_read_all_stats TO regress_cache_app;
SELECT tenancy.grant_application('regress_cache_app') \gset
\set wide '00000000-0000-4000-8000-00000000000a'
\set narrow '00000000-0000-4000-8000-00000000000b'
-- What is made is not what is tested, where a server forgets all the time.
SET debug_discard_caches = 0;
INSERT INTO tenancy.users (id, email, name)
VALUES (:'wide', 'wide@cache.example', 'wide'), (:'narrow', 'narrow@cache.example', 'narrow');
-- 2,000 organizations of 50 projects; a hundredth, and less, for those who take
-- their time
\set scale 100
\getenv scale TENANCY_TEST_SCALE
\set organizations :scale * 20
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
SELECT md5('cache' || n)::uuid, 'cache', :'wide', 'enterprise' FROM generate_series(1, :organizations) n;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
VALUES (md5('cache0')::uuid, 'cache', :'narrow', 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name)
SELECT md5('cache' || n || '.' || p)::uuid, md5('cache' || n)::uuid, 'cache'
FROM generate_series(0, :organizations) n, generate_series(1, 50) p;
CREATE TABLE cache_rows (project_id uuid NOT NULL);
SELECT tenancy.protect('cache_rows') \gset
-- rows in five organizations, or one in each of two
SELECT least(4, :scale) AS each \gset
INSERT INTO cache_rows SELECT md5('cache' || n || '.' || p)::uuid
FROM generate_series(0, :each) n, generate_series(1, :each) p;
GRANT SELECT ON cache_rows TO PUBLIC;
ANALYZE tenancy.organizations, tenancy.projects, cache_rows;
CREATE VIEW cache_memory AS
	SELECT sum(total_bytes) AS bytes FROM pg_backend_memory_contexts WHERE name LIKE 'tenancy%';
GRANT SELECT ON cache_memory TO PUBLIC;
\c - regress_cache_app
-- a size that is none is refused
SET tenancy.cache_size = 0;
SET tenancy.cache_size = -1;
SET tenancy.cache_size = '1 fortnight';
SET tenancy.cache_size = '100TB';
SHOW tenancy.cache_size;
-- 100,000 identities through one session
SET tenancy.cache_size = '256kB';
SELECT set_config('regress.identities', (:scale * :scale * 10)::text, false) \gset
DO $$
BEGIN
	FOR n IN 1 .. current_setting('regress.identities')::integer LOOP
		PERFORM tenancy.act_as(pg_catalog.md5(n::text)::uuid);
		IF tenancy.can_view('00000000-0000-0000-0000-000000000000') THEN
			RAISE 'somebody sees what is not there';
		END IF;
	END LOOP;
END $$;
SELECT bytes < 512 * 1024 AS bounded FROM cache_memory;
-- somebody who sees 100,000 projects: right answers, by each kind of plan
BEGIN;
SELECT tenancy.act_as(:'wide') \gset
SELECT cardinality(tenancy.viewable_projects()) = 50 * :organizations AS projects,
	   cardinality(tenancy.viewable_organizations()) = :organizations AS organizations;
SELECT count(*) = :each * :each AS theirs FROM cache_rows;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT count(*) = :each * :each AS theirs FROM cache_rows;
SET LOCAL enable_bitmapscan = on;
SET LOCAL enable_indexscan = off;
SET LOCAL enable_indexonlyscan = off;
SELECT count(*) = :each * :each AS theirs FROM cache_rows;
-- ... which is kept while it is in use, whatever its size
SELECT bytes > 512 * :organizations AS kept FROM cache_memory;
SELECT tenancy.act_as(:'narrow') \gset
SELECT count(*) = :each AS theirs FROM cache_rows;
SELECT bytes < 512 * 1024 AS bounded FROM cache_memory;
COMMIT;
-- a set that a cursor looks at is freed when the cursor is closed
BEGIN;
SELECT tenancy.act_as(:'wide') \gset
DECLARE c CURSOR FOR SELECT 1 FROM cache_rows;
FETCH 1 FROM c;
SELECT tenancy.act_as(:'narrow') \gset
SELECT count(*) = :each AS theirs FROM cache_rows;
SELECT bytes > 512 * :organizations AS kept FROM cache_memory;
CLOSE c;
SELECT bytes < 512 * 1024 AS bounded FROM cache_memory;
COMMIT;
\c - :superuser
-- a server that forgets keeps no sets
SET debug_discard_caches = 0;
DROP TABLE cache_rows;
DELETE FROM tenancy.organizations WHERE name = 'cache';
-- Sets of the last identities are kept: whoever takes turns on a pooled connection
-- finds theirs still there, and a change makes only those stale that it touches.
-- The view that sets are loaded from is away meanwhile.
CREATE FUNCTION id(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5(name)::uuid';
INSERT INTO tenancy.users (id, email, name)
SELECT id(name), name || '@cache.example', name FROM unnest(ARRAY['alice', 'mia', 'bob', 'eve']) name;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
VALUES (id('acme'), 'cache', id('alice'), 'enterprise'), (id('rival'), 'cache', id('bob'), 'enterprise');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('mia'));
INSERT INTO tenancy.projects (id, organization_id, name)
VALUES (id('open'), id('acme'), 'open'), (id('foreign'), id('rival'), 'foreign');
CREATE FUNCTION sees(who text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.act_as(id(who));
	RETURN concat_ws(', ', CASE WHEN tenancy.can_view(id('open')) THEN 'open' END,
					 CASE WHEN tenancy.can_view(id('foreign')) THEN 'foreign' END);
EXCEPTION WHEN undefined_table THEN
	RETURN 'needs the tables';
END $$;
CREATE FUNCTION after(change text, asked text[] DEFAULT '{alice,mia,bob}')
RETURNS TABLE (person text, sees text, then_sees text) LANGUAGE plpgsql AS $$
DECLARE
	kept jsonb;
BEGIN
	PERFORM sees(w) FROM unnest('{alice,mia,bob}'::text[]) w;
	EXECUTE change;
	ALTER VIEW tenancy.access RENAME TO away;
	SELECT jsonb_object_agg(w, sees(w)) INTO kept FROM unnest(asked) w;
	ALTER VIEW tenancy.away RENAME TO access;
	RETURN QUERY SELECT w, kept ->> w, sees(w) FROM unnest(asked) w;
END $$;
SELECT * FROM after($$ SELECT $$);
-- a newcomer has to be looked up
SELECT * FROM after($$ SELECT $$, '{alice,eve}');
-- a change of one member is no matter of others
SELECT * FROM after($$ UPDATE tenancy.memberships SET level = 'administrator' WHERE user_id = id('mia') $$);
-- a project that comes or is closed concerns the members of its organization
SELECT * FROM after($$ INSERT INTO tenancy.projects (organization_id, name) VALUES (id('acme'), 'another') $$);
SELECT * FROM after($$ UPDATE tenancy.projects SET is_private = true WHERE id = id('open') $$);
-- what nobody's access depends on concerns nobody
SELECT * FROM after($$ UPDATE tenancy.users SET name = upper(name) $$);
SELECT * FROM after($$ UPDATE tenancy.organizations SET name = 'cache', version = version + 1 $$);
SELECT * FROM after($$ UPDATE tenancy.projects SET name = upper(name) $$);
SELECT * FROM after($$ INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('acme'), id('eve')) $$);
SELECT * FROM after($$ SELECT tenancy._issue_project_token(id('open')) $$);
-- the least recently used go when there is no room
SELECT * FROM after($$ SET LOCAL tenancy.cache_size = 64; SELECT count(sees(n::text)) FROM generate_series(1, 200) n $$);
-- many changes in one transaction concern everybody
SELECT * FROM after($$ INSERT INTO tenancy.users (email, name) SELECT n || '@cache.example', n FROM generate_series(1, 100) n $$);
-- a project that is deleted, somebody who is deactivated
SELECT * FROM after($$ DELETE FROM tenancy.projects WHERE id = id('foreign') $$);
SELECT * FROM after($$ UPDATE tenancy.users SET is_active = false WHERE id = id('alice') $$);
DROP VIEW cache_memory;
DROP FUNCTION sees(text), after(text, text[]), id(text);
DELETE FROM tenancy.organizations WHERE name = 'cache';
DELETE FROM tenancy.users WHERE email LIKE '%@cache.example';
DROP OWNED BY regress_cache_app;
DROP ROLE regress_cache_app;
