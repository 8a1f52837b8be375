-- The main job, end to end: protect a table, see only what one may, be out
-- the moment one is removed.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_core_app;
SELECT tenancy.grant_application('regress_core_app');
SELECT tenancy.create_user('alice@core.example', 'Alice') AS alice,
	   tenancy.create_user('mia@core.example', 'Mia') AS mia \gset
CREATE TABLE core_events (project_id uuid NOT NULL, amount integer);
SELECT tenancy.protect('core_events');
GRANT SELECT, INSERT, UPDATE, DELETE ON core_events TO regress_core_app;
SET ROLE regress_core_app;

-- nobody: no rows, no writes, no error in reading
SELECT count(*) FROM core_events;
INSERT INTO core_events VALUES (gen_random_uuid(), 1);

-- the Owner sees both projects
BEGIN;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.create_organization('Core') AS org \gset
SELECT id AS open_project, token AS old_token FROM tenancy.my_projects \gset
SELECT tenancy.create_project(:'org', 'Secret', true) AS private_project \gset
INSERT INTO core_events SELECT :'open_project', g FROM generate_series(1, 10) g;
INSERT INTO core_events SELECT :'private_project', g FROM generate_series(1, 5) g;
SELECT token FROM tenancy.create_invite(:'org', 'mia@core.example') \gset
SELECT count(*) FROM core_events;
COMMIT;

-- the identity ended with its transaction
SELECT count(*) FROM core_events;

-- a Member sees the open one only
BEGIN;
SELECT tenancy.act_as(:'mia');
SELECT tenancy.accept_invite(:'token');
SELECT count(*) FROM core_events;
COMMIT;

-- a project token writes and reads nothing, and dies when it is regenerated
BEGIN;
SELECT tenancy.authenticate(:'old_token');
INSERT INTO core_events (amount) VALUES (11);
SELECT count(*) FROM core_events;
COMMIT;
BEGIN;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.rotate_project_token(:'open_project') <> :'old_token' AS is_new;
COMMIT;
SELECT tenancy.authenticate(:'old_token');

-- removed in the middle of her own transaction
BEGIN;
SELECT tenancy.act_as(:'mia');
SELECT count(*) FROM core_events;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.remove_member(:'org', :'mia');
SELECT tenancy.act_as(:'mia');
SELECT count(*) FROM core_events;
COMMIT;

RESET ROLE;
BEGIN;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.delete_organization(:'org');
COMMIT;
SELECT count(*) FROM core_events;
DROP TABLE core_events;
DELETE FROM tenancy.users WHERE email LIKE '%@core.example';
DROP OWNED BY regress_core_app;
DROP ROLE regress_core_app;
