-- tenancy.missing_identity = error: a statement on a protected table fails when
-- nobody is signed in, whatever its plan and its rows.  Each comment is a promise.
\set test missing_identity
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE ROLE regress_missing_identity_bi LOGIN;
CREATE ROLE regress_missing_identity_owner LOGIN;
CREATE ROLE regress_missing_identity_dump LOGIN BYPASSRLS;
GRANT INSERT, UPDATE, DELETE ON events TO :app, :gateway;
CREATE TABLE empty (project_id uuid NOT NULL, n integer, PRIMARY KEY (project_id, n));
SELECT tenancy.protect('empty') \gset
CREATE TABLE letters (organization_id uuid NOT NULL, body text);
SELECT tenancy.protect_by_organization('letters') \gset
CREATE TABLE parted (project_id uuid NOT NULL, n integer) PARTITION BY LIST (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT tenancy.protect('parted') \gset
INSERT INTO parted VALUES (:'p1', 1);
CREATE TABLE plain (n integer);
INSERT INTO plain VALUES (1);
CREATE TABLE details (project_id uuid NOT NULL, n integer, FOREIGN KEY (project_id, n) REFERENCES empty ON DELETE CASCADE);
SELECT tenancy.protect('details') \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON empty, letters, parted, parted_1, plain, details TO PUBLIC;
CREATE VIEW invoker WITH (security_invoker = true) AS SELECT * FROM events;
CREATE VIEW definer AS SELECT * FROM events;
CREATE VIEW definer_parted AS SELECT * FROM parted;
CREATE VIEW owners AS SELECT * FROM events;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM events';
CREATE FUNCTION counted_slowly() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM events); END';
CREATE FUNCTION counted_for_all() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM events';
GRANT SELECT ON invoker, definer, definer_parted, owners TO PUBLIC;
ALTER VIEW owners OWNER TO :app;
SELECT tenancy.create_session(:'alice') AS session_a, token AS token_1 FROM tenancy.project_tokens WHERE project_id = :'p1' \gset
GRANT SELECT ON events TO regress_missing_identity_dump;

-- the default: empty
\c - :app
SELECT count(*) FROM events;
SHOW tenancy.missing_identity;

-- everybody may set it, and for themselves only; the words say what to do
SET tenancy.missing_identity = nonsense;
SET tenancy.missing_identity = error;
\set VERBOSITY default
SELECT count(*) FROM events;
\set VERBOSITY terse
-- rows or none, and whatever the plan
SELECT FROM empty;
SELECT FROM events WHERE project_id = :'p1';
SELECT FROM events WHERE project_id = '00000000-0000-4000-8000-0000000000ff';
SELECT FROM events WHERE false;
SELECT FROM events LIMIT 0;
SELECT n FROM plain WHERE n = 2 AND EXISTS (SELECT FROM events);
SELECT n FROM plain UNION ALL SELECT amount FROM events;
SELECT count(*) FROM plain LEFT JOIN empty USING (n);
SELECT FROM letters;
SELECT FROM parted;
SELECT FROM parted_1;
SELECT FROM parted WHERE n = 3;
SELECT FROM invoker;
SELECT FROM owners;
SELECT counted();
SELECT counted_slowly();
TABLE seen;
COPY events TO STDOUT;
COPY (SELECT FROM events) TO STDOUT;
\copy events FROM '/dev/null'
-- of statements that write, too: before a trigger, a constraint or a policy speaks
INSERT INTO events VALUES (:'p1', 1);
INSERT INTO plain SELECT amount FROM events;
INSERT INTO events SELECT :'p1', n FROM plain WHERE false;
UPDATE events SET amount = 0;
DELETE FROM empty;
MERGE INTO empty e USING plain p ON e.n = p.n WHEN MATCHED THEN DELETE;
SELECT FROM events FOR UPDATE;
CREATE TEMP TABLE copy AS SELECT * FROM events;
EXPLAIN (COSTS OFF) SELECT FROM events;
EXPLAIN ANALYZE SELECT FROM events;
BEGIN;
DECLARE c CURSOR FOR SELECT FROM events;
ROLLBACK;
PREPARE p AS SELECT count(*) FROM events;
EXECUTE p;
SET plan_cache_mode = force_generic_plan;
EXECUTE p;
RESET plan_cache_mode;
DO $$ BEGIN PERFORM FROM events; END $$;
-- rights come first
\set VERBOSITY sqlstate
TRUNCATE events;
SELECT FROM tenancy.role_bindings;
\set VERBOSITY terse

-- what is not protected, and what is the extension's own, stays as it is
SELECT count(*) FROM plain;
-- nor does a table count that the planner has thrown away with all that named it
WITH e AS (SELECT FROM events) SELECT 1 AS unused;
SELECT count(*) FROM tenancy.my_projects;
SELECT count(*) FROM tenancy.users;
SELECT name FROM tenancy.plans ORDER BY 1;
-- what others have decided about stays so, too: definer views and functions of one who
-- bypasses row security
SELECT count(*) FROM definer;
SELECT count(*) FROM definer_parted;
SELECT counted_for_all();

-- signed in by any way: no error, whether there are rows or not
SELECT tenancy.authenticate(:'session_a', session_wide => true) \gset
SELECT count(*) FROM events;
SELECT count(*) FROM empty;
EXECUTE p;
-- ... and out again
SELECT tenancy.sign_out() \gset
SELECT count(*) FROM empty;
BEGIN;
SELECT tenancy.authenticate(:'token_1') \gset
INSERT INTO events (amount) VALUES (11);
SELECT count(*) FROM events;
ROLLBACK;
RESET tenancy.missing_identity;
SELECT count(*) FROM events;
\c - :gateway
SET tenancy.missing_identity = error;
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
SELECT count(*) FROM events;
COMMIT;
SELECT count(*) FROM events;
-- a claim that does not hold is nobody
BEGIN;
SELECT tenancy.act_as('00000000-0000-4000-8000-0000000000ff') \gset
SELECT count(*) FROM events;
ROLLBACK;
-- a current project that shows nothing is no missing identity
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SET LOCAL tenancy.project_id = '00000000-0000-4000-8000-0000000000ff';
SELECT count(*) FROM events;
COMMIT;
-- SET LOCAL ends
RESET tenancy.missing_identity;
BEGIN;
SET LOCAL tenancy.missing_identity = error;
COMMIT;
SELECT count(*) FROM events;

-- for a database or a role, from the first statement of a session on, whatever it is
\c - :superuser
ALTER ROLE :app SET tenancy.missing_identity = error;
ALTER ROLE regress_missing_identity_bi SET tenancy.missing_identity = error;
ALTER ROLE regress_missing_identity_owner SET tenancy.missing_identity = error;
ALTER ROLE regress_missing_identity_dump SET tenancy.missing_identity = error;
\c - :app
SELECT count(*) FROM events;
\c - :app
SELECT count(*) FROM letters;
\c - :app
INSERT INTO events VALUES (:'p1', 1);
\c - :app
INSERT INTO letters VALUES (:'one', 'x');
\c - :app
UPDATE empty SET n = 1;
\c - :app
COPY events TO STDOUT;
\c - :app
EXPLAIN (COSTS OFF) SELECT FROM empty;
-- ... a bound login is somebody, until it is not
\c - regress_missing_identity_bi
SELECT count(*) FROM events;
\c - :superuser
SELECT tenancy.bind_role('regress_missing_identity_bi', :'alice') \gset
\c - regress_missing_identity_bi
SELECT count(*) FROM events;
\c - :superuser
SELECT tenancy.set_user_active(:'alice', false) \gset
\c - regress_missing_identity_bi
SELECT count(*) FROM events;
\c - :superuser
SELECT tenancy.set_user_active(:'alice', true) \gset
-- ... an owner works on the table, its foreign keys are checked, and a dump is one
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
INSERT INTO empty VALUES (:'p1', 1);
INSERT INTO details VALUES (:'p1', 1);
COMMIT;
ALTER TABLE empty OWNER TO regress_missing_identity_owner;
ALTER TABLE details OWNER TO regress_missing_identity_owner;
GRANT REFERENCES ON tenancy.projects TO regress_missing_identity_owner;
-- (a partition that is somebody else's is no table that was named)
ALTER TABLE parted OWNER TO regress_missing_identity_owner;
\c - regress_missing_identity_owner
SELECT count(*) FROM empty;
SELECT count(*) FROM parted;
SELECT count(*) FROM parted_1;
SELECT count(*) FROM events;
ANALYZE empty;
ALTER TABLE details ADD CHECK (n > 0), ADD CONSTRAINT again FOREIGN KEY (project_id, n) REFERENCES empty ON DELETE CASCADE;
\c - regress_missing_identity_dump
SELECT tenancy.current_user_id() IS NULL AS loaded;
SELECT count(*) FROM events;
SET row_security = off;
SELECT count(*) FROM events;
\c - :app
SET row_security = off;
SELECT count(*) FROM events;
\c - :superuser
SET tenancy.missing_identity = error;
SELECT count(*) FROM events;
-- cascades and checks are nobody's statements
SELECT count(*) FROM details;
DELETE FROM empty;
SELECT count(*) FROM details;
DELETE FROM tenancy.projects WHERE id = :'p1';
SELECT count(*) FROM events;

SET client_min_messages = warning;
DROP TABLE details, empty, letters, parted, plain CASCADE;
DROP FUNCTION counted(), counted_slowly(), counted_for_all();
DROP OWNED BY regress_missing_identity_bi, regress_missing_identity_owner, regress_missing_identity_dump;
DROP ROLE regress_missing_identity_bi, regress_missing_identity_owner, regress_missing_identity_dump;
\i :two_end
\set ECHO none
