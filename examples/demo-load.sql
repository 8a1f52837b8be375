-- demo-load.sql: ten airports become ten projects of two organizations, their
-- flights become rows.  Run by a superuser in an empty database, from the root
-- of the source tree.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
\o /dev/null

CREATE EXTENSION tenancy CASCADE;

-- The application's role: it may log in and say who is acting, and owns nothing.
CREATE ROLE app LOGIN;
SELECT tenancy.grant_application('app');

SELECT tenancy.create_user('alice@example.com', 'alice') AS alice \gset
SELECT tenancy.create_user('bob@example.com', 'bob') AS bob \gset
SELECT tenancy.create_user('carol@example.com', 'carol') AS carol \gset
SELECT tenancy.create_user('dave@example.com', 'dave') AS dave \gset
SELECT tenancy.create_user('erin@example.com', 'erin') AS erin \gset

CREATE TEMPORARY TABLE airport (code text, coast text, name text);
INSERT INTO airport VALUES
	('ATL', 'East', 'Atlanta'), ('BOS', 'East', 'Boston'),
	('JFK', 'East', 'Kennedy'), ('LGA', 'East', 'LaGuardia'),
	('MIA', 'East', 'Miami'), ('LAX', 'West', 'Los Angeles'),
	('PDX', 'West', 'Portland'), ('SAN', 'West', 'San Diego'),
	('SEA', 'West', 'Seattle'), ('SFO', 'West', 'San Francisco');

-- alice owns East, erin owns West.  An organization comes with one project,
-- which takes the first airport.
BEGIN;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.create_organization('East') AS east \gset
SELECT tenancy.rename_project(id, 'Atlanta')
FROM tenancy.my_projects WHERE organization_id = :'east';
SELECT tenancy.create_project(:'east', name) FROM airport
WHERE coast = 'East' AND name <> 'Atlanta';
SELECT token AS bob_invite
FROM tenancy.create_invite(:'east', 'bob@example.com') \gset
SELECT token AS carol_invite
FROM tenancy.create_invite(:'east', 'carol@example.com') \gset
SELECT token AS dave_invite
FROM tenancy.create_invite(:'east', 'dave@example.com') \gset
COMMIT;

BEGIN;
SELECT tenancy.act_as(:'erin');
SELECT tenancy.create_organization('West') AS west \gset
SELECT tenancy.rename_project(id, 'Los Angeles')
FROM tenancy.my_projects WHERE organization_id = :'west';
SELECT tenancy.create_project(:'west', name) FROM airport
WHERE coast = 'West' AND name <> 'Los Angeles';
COMMIT;

-- The invited accept, each as themselves.
BEGIN;
SELECT tenancy.act_as(:'bob');
SELECT tenancy.accept_invite(:'bob_invite');
COMMIT;
BEGIN;
SELECT tenancy.act_as(:'carol');
SELECT tenancy.accept_invite(:'carol_invite');
COMMIT;
BEGIN;
SELECT tenancy.act_as(:'dave');
SELECT tenancy.accept_invite(:'dave_invite');
COMMIT;
BEGIN;
SELECT tenancy.act_as(:'alice');
SELECT tenancy.set_member_level(:'east', :'bob', 'administrator');
COMMIT;

-- The application's own table, an ordinary one.
CREATE TABLE flights (
	project_id uuid NOT NULL DEFAULT tenancy.current_project_id(),
	date timestamp NOT NULL,
	delay integer NOT NULL,
	distance integer NOT NULL,
	origin text NOT NULL,
	destination text NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON flights TO app;

CREATE TEMPORARY TABLE record (LIKE flights);
ALTER TABLE record DROP COLUMN project_id;
\copy record FROM PROGRAM 'gzip -dc examples/data/flights.csv.gz' WITH (FORMAT csv, HEADER)

-- In order of time, as an application would have collected them.
INSERT INTO flights
SELECT p.id, r.* FROM record r
	JOIN airport a ON a.code = r.origin
	JOIN tenancy.projects p ON p.name = a.name
ORDER BY r.date;

-- From here on, the database decides who sees what.
SELECT tenancy.protect('flights');
VACUUM (ANALYZE) flights;

\o
RESET client_min_messages;
