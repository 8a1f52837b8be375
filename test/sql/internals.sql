-- What no command does and a superuser can: internal functions that get what they
-- do not expect, and parts of the extension that are missing.
\set test internals
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two

-- a kind of credential that is none; a credential of no kind, whose checksum is right
SELECT tenancy._mint_credential('nonsense');
SELECT tenancy.authenticate('tnx_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef520f29a1');

-- a login role that is bound to nobody does not act
SELECT tenancy._acts_by_binding();

-- the trigger that announces changes, on a column that holds no id or is not there
CREATE TABLE internals_odd (id uuid, n integer);
CREATE TRIGGER odd AFTER INSERT ON internals_odd FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('id', 'n');
INSERT INTO internals_odd VALUES (gen_random_uuid(), 1);
CREATE OR REPLACE TRIGGER odd AFTER INSERT ON internals_odd FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('nonsense');
INSERT INTO internals_odd VALUES (gen_random_uuid(), 1);
DROP TABLE internals_odd;

-- the guard of the audit log, without a trigger
SELECT tenancy._guard_audit();

-- a statement that changes more than is kept in memory: an entry each time it is full
SET maintenance_work_mem = '1MB';
INSERT INTO tenancy.projects (organization_id, name) SELECT :'one', 'many' FROM generate_series(1, 4000);
SELECT count(*) > 1 AS several, sum(json_array_length(changes)) AS changes, (SELECT count(*) FROM tenancy.verify_audit()) AS faults
FROM tenancy.audit_entries WHERE organization_id = :'one' AND json_array_length(changes) > 10;
DELETE FROM tenancy.projects WHERE name = 'many';
RESET maintenance_work_mem;

-- a statement as another role: by superusers only, and not in place of a command
GRANT EXECUTE ON FUNCTION tenancy._run_as(regrole, text, text, boolean) TO :app;
\c - :app
SELECT * FROM tenancy._run_as('postgres', '', 'SELECT 1', false);
\c - :superuser
REVOKE EXECUTE ON FUNCTION tenancy._run_as(regrole, text, text, boolean) FROM :app;
SELECT * FROM tenancy._run_as('4294967295', '', 'SELECT 1', false);
SELECT * FROM tenancy._run_as(:'app', '', 'COPY pg_class TO STDOUT', false);
SELECT * FROM tenancy._run_as(:'app', '', 'COMMIT', false);
SELECT session_user = current_user AS still_myself;

-- an id in capitals is the same id
\c - :gateway
BEGIN;
SELECT set_config('tenancy.user_id', upper(:'alice'), true) \gset
SELECT * FROM seen;
COMMIT;

-- without the functions behind index conditions, as before an update: the same rows
\c - :superuser
SET enable_seqscan = off;
SET ROLE :gateway;
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
EXPLAIN (COSTS OFF) SELECT FROM events;
SELECT count(*) FROM events;
COMMIT;
RESET ROLE;
BEGIN;
ALTER EXTENSION tenancy DROP FUNCTION tenancy.viewable_projects();
ALTER FUNCTION tenancy.viewable_projects() RENAME TO away;
SET LOCAL ROLE :gateway;
SELECT tenancy.act_as(:'bob') \gset
EXPLAIN (COSTS OFF) SELECT FROM events;
SELECT count(*) FROM events;
ROLLBACK;
-- an index that cannot be asked for ids: the same rows
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE TABLE internals_bloom (project_id uuid NOT NULL);
SELECT tenancy.protect('internals_bloom') \gset
INSERT INTO internals_bloom SELECT project_id FROM events;
DROP INDEX internals_bloom_project_id_idx;
CREATE INDEX ON internals_bloom USING brin (project_id uuid_bloom_ops);
GRANT SELECT ON internals_bloom TO PUBLIC;
SET LOCAL ROLE :gateway;
SELECT tenancy.act_as(:'bob') \gset
-- 18 adds that it would rather not
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line !~ 'Disabled: true' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;
SELECT pg_temp.plan('SELECT FROM internals_bloom');
SELECT count(*) FROM internals_bloom;
ROLLBACK;


-- objects of another version than the library, or of none: nothing is read
\c - :superuser
SELECT format('SELECT tenancy.act_as(%L); SELECT tenancy.can_view(%L);', :'bob', :'p2') AS sees \gset
\set VERBOSITY sqlstate
BEGIN;
UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'tenancy';
SAVEPOINT s;
:sees
ROLLBACK TO s;
SELECT :'LAST_ERROR_MESSAGE' ~ 'its SQL objects are version 0.0.1$' AS said;
UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'tenancy';
SAVEPOINT s;
:sees
ROLLBACK TO s;
SELECT :'LAST_ERROR_MESSAGE' ~ 'its SQL objects are version 99.0$' AS said;
UPDATE pg_extension SET extname = 'away' WHERE extname = 'tenancy';
SAVEPOINT s;
:sees
ROLLBACK TO s;
\echo :LAST_ERROR_MESSAGE
ROLLBACK;

-- who is about to call a command is noted once, however often the call is planned
CREATE FUNCTION internals_as_is(id uuid) RETURNS uuid LANGUAGE sql AS 'SELECT id';
EXPLAIN (VERBOSE, COSTS OFF) SELECT internals_as_is(tenancy.create_organization('Three'));
EXPLAIN (VERBOSE, COSTS OFF) SELECT tenancy.sign_out();
DROP FUNCTION internals_as_is(uuid);

-- a setting that is none of ours is no NULL
SELECT tenancy._setting('server_version_num');

-- what an old snapshot hides makes a command fail, and leaves no plan behind
SELECT tenancy.create_session(:'bob') AS session_b \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy._refuse_later('sessions', :'bob');
ROLLBACK;
SELECT count(*) AS plans FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource' \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy._refuse_later('sessions', :'bob');
ROLLBACK;
SELECT count(*) - :plans AS more FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource';

-- whoever may read no views, as pg_dump for itself, is as signed in as anybody
\c - :gateway
SET restrict_nonsystem_relation_kind = 'view';
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SELECT count(*) FROM events;
SHOW restrict_nonsystem_relation_kind;
SELECT FROM seen;
ROLLBACK;
\i :two_end
