-- data.sql: organizations, users, and two copies of the application's tables.
--
-- One copy, in schema plain, is read by the hand-written queries and by every
-- rival; tenancy has its own, in schema guarded.  All could not share one:
-- policies of tenancy hold for PUBLIC, on purpose, and would hold for the
-- rivals too.  The rivals can share, since each has its policies for a role of
-- its own, and the hand-written queries run as the table's owner, to whom no
-- policy applies.  So whatever is compared reads the same rows in the same
-- physical order; bench/run compares size and correlation of the copies.
--
-- psql's variables: organizations, projects, events, load.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
-- a scan that joins another one midway would mix up the order
SET synchronize_seqscans = off;
\o /dev/null

CREATE EXTENSION tenancy CASCADE;
CREATE EXTENSION pg_prewarm;
CREATE SCHEMA plain;
CREATE SCHEMA guarded;
GRANT USAGE ON SCHEMA plain, guarded TO PUBLIC;

CREATE ROLE bench_limit LOGIN;
ALTER ROLE bench_limit SET search_path = plain;
CREATE ROLE bench_tenancy LOGIN;
ALTER ROLE bench_tenancy SET search_path = guarded;
SELECT tenancy.grant_application('bench_tenancy');

-- ---------------------------------------------------------------------
-- Who is who
-- ---------------------------------------------------------------------
-- Ids that look random, and that a script can compute from a number.
CREATE FUNCTION plain.id(kind text, n bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN md5(kind || ' ' || n)::uuid;

\set first 1
\set last :organizations
\set first_project 1
\set last_project :projects
\ir organizations.sql

-- Project n is visible to user n, so that many identities can ask in turn.
INSERT INTO tenancy.memberships (organization_id, user_id)
SELECT p.organization_id, plain.id('user', n)
FROM generate_series(1, 3 * :organizations) n
	JOIN tenancy.projects p ON p.id = plain.id('project', n)
	JOIN tenancy.organizations o ON o.id = p.organization_id AND o.owner_id <> plain.id('user', n)
ON CONFLICT DO NOTHING;

-- Three users who see little, some, and everything.
INSERT INTO tenancy.users (id, email, name)
SELECT md5(name)::uuid, name || '@example.com', name FROM unnest('{few, many, all}'::text[]) name;
INSERT INTO tenancy.memberships (organization_id, user_id, level)
SELECT plain.id('organization', 1), md5('few')::uuid, 'member'::tenancy.access_level
UNION ALL
SELECT plain.id('organization', n), md5('many')::uuid, 'member'
FROM generate_series(:organizations / 2, :organizations / 2 + greatest(:organizations / 20, 5) - 1) n
UNION ALL
SELECT id, md5('all')::uuid, 'administrator' FROM tenancy.organizations;

-- The same for the rivals: who is in which organization, Owners included.
CREATE TABLE plain.organizations AS SELECT id, name FROM tenancy.organizations;
ALTER TABLE plain.organizations ADD PRIMARY KEY (id);
CREATE TABLE plain.users AS SELECT id, email FROM tenancy.users;
ALTER TABLE plain.users ADD PRIMARY KEY (id);
CREATE TABLE plain.projects AS SELECT id, organization_id FROM tenancy.projects;
ALTER TABLE plain.projects ADD PRIMARY KEY (id);
CREATE INDEX ON plain.projects (organization_id);
CREATE TABLE plain.memberships AS
	SELECT organization_id, user_id, level::text FROM tenancy.memberships
	UNION ALL
	SELECT id, owner_id, 'owner' FROM tenancy.organizations;
ALTER TABLE plain.memberships ADD PRIMARY KEY (organization_id, user_id);
CREATE INDEX ON plain.memberships (user_id, organization_id);

-- What a JSON Web Token would say of each of them.
CREATE TABLE plain.callers AS
SELECT u.name, u.id, json_build_object('sub', u.id)::text AS claims,
	   json_build_object('sub', u.id, 'projects', json_agg(p.id))::text AS all_claims
FROM tenancy.users u
	JOIN plain.memberships m ON m.user_id = u.id
	JOIN plain.projects p USING (organization_id)
WHERE u.name IN ('few', 'many', 'all') OR u.id IN (SELECT plain.id('user', n) FROM generate_series(1, 400) n)
GROUP BY u.name, u.id;
ALTER TABLE plain.callers ADD PRIMARY KEY (name);

-- A key that an application would make for one project, for hand-written
-- ingestion and the rivals': looked up by its digest.  It speaks for a user
-- who may write there.
CREATE TABLE plain.tokens AS
SELECT t.project_id, t.digest, t.revoked_at,
	   json_build_object('sub', md5('all')::uuid)::text AS claims,
	   json_build_object('sub', md5('all')::uuid, 'projects', json_build_array(t.project_id))::text AS all_claims
FROM tenancy.project_tokens t;
ALTER TABLE plain.tokens ADD PRIMARY KEY (digest);

-- ---------------------------------------------------------------------
-- The application's tables
-- ---------------------------------------------------------------------
CREATE TABLE plain.events (
	project_id uuid NOT NULL,
	created_at timestamptz NOT NULL,
	device integer NOT NULL,
	duration integer NOT NULL
);
-- as it is after CLUSTER: all rows of one project side by side
INSERT INTO plain.events
SELECT plain.id('project', p), '2026-01-01'::timestamptz + i * '40 days'::interval / (:events / :projects),
	   1 + i % 10, (p * 7 + i * 13) % 1000
FROM generate_series(1, :projects) p, generate_series(1, :events / :projects) i
ORDER BY 1, 2;
-- as it is when rows are appended as they arrive: no two neighbours alike
CREATE TABLE plain.arrivals AS
SELECT * FROM plain.events ORDER BY created_at, hashtext(project_id::text || created_at);
ALTER TABLE plain.arrivals ALTER project_id SET NOT NULL;

CREATE TABLE plain.devices AS
SELECT plain.id('project', p) AS project_id, d AS device, 'device ' || d AS name
FROM generate_series(1, :projects) p, generate_series(1, 10) d ORDER BY 1, 2;
ALTER TABLE plain.devices ALTER project_id SET NOT NULL;

-- What is inserted goes here, and away again before the next run.
CREATE TABLE plain.inbox (LIKE plain.events);

CREATE TABLE guarded.events AS TABLE plain.events;
CREATE TABLE guarded.arrivals AS TABLE plain.arrivals;
CREATE TABLE guarded.devices AS TABLE plain.devices;
CREATE TABLE guarded.inbox AS TABLE plain.inbox;

-- The same indexes and constraints for both copies, made the same way.
SELECT format('CREATE INDEX ON %s.%s (project_id, created_at)', schema, relation)
FROM unnest('{plain, guarded}'::text[]) schema, unnest('{events, arrivals, inbox}'::text[]) relation
UNION ALL
SELECT format('ALTER TABLE %s.devices ADD PRIMARY KEY (project_id, device)', schema)
FROM unnest('{plain, guarded}'::text[]) schema
UNION ALL
SELECT format('ALTER TABLE %s.%s ALTER project_id SET NOT NULL, ADD FOREIGN KEY (project_id) REFERENCES tenancy.projects ON DELETE CASCADE', schema, relation)
FROM unnest('{plain, guarded}'::text[]) schema, unnest('{events, arrivals, devices, inbox}'::text[]) relation
\gexec

SELECT format('ALTER TABLE plain.%s OWNER TO bench_limit', relation)
FROM unnest('{events, arrivals, devices, inbox}'::text[]) relation
UNION ALL
SELECT format('ALTER TABLE plain.%s ENABLE ROW LEVEL SECURITY', relation)
FROM unnest('{events, arrivals, devices, inbox}'::text[]) relation
UNION ALL
SELECT format('SELECT tenancy.protect(''guarded.%s'')', relation)
FROM unnest('{events, arrivals, devices, inbox}'::text[]) relation
\gexec
-- ... but for one that has the index only, as one that nobody protects may be
CREATE TABLE plain.keyless_inbox (LIKE plain.inbox INCLUDING ALL);
ALTER TABLE plain.keyless_inbox OWNER TO bench_limit;
SELECT tenancy.create_ingest_view('guarded.inbox', 'inbox_in');
GRANT pg_read_server_files TO bench_limit, bench_tenancy;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA guarded TO bench_tenancy;
GRANT SELECT ON ALL TABLES IN SCHEMA plain TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON plain.inbox TO PUBLIC;

-- ---------------------------------------------------------------------
-- Commands are measured with the audit log and without it: ENABLE or DISABLE.
CREATE FUNCTION plain.set_audit(mode text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger WHERE tgname LIKE 'audit\_%' LOOP
		EXECUTE format('ALTER TABLE %s %s TRIGGER %I', t.relation, mode, t.tgname);
	END LOOP;
	-- what the last run left
	DELETE FROM tenancy.invites;
	DELETE FROM tenancy.sessions WHERE user_id = plain.id('user', 3);
END
$$;

-- Memberships to be loaded in bulk, and a plain table that is like the real one
-- ---------------------------------------------------------------------
CREATE TABLE plain.loaded (LIKE tenancy.memberships INCLUDING ALL);
INSERT INTO plain.loaded SELECT * FROM tenancy.memberships;
ALTER TABLE plain.loaded
	ADD FOREIGN KEY (organization_id) REFERENCES plain.organizations ON DELETE CASCADE,
	ADD FOREIGN KEY (user_id) REFERENCES plain.users ON DELETE CASCADE,
	ADD FOREIGN KEY (invited_by) REFERENCES plain.users ON DELETE SET NULL;
CREATE TABLE plain.to_be_loaded AS
SELECT o.id AS organization_id, u.id AS user_id
FROM (SELECT plain.id('user', n) AS id
	  FROM generate_series(1, 3 * :organizations) n WHERE n % 3 <> 0) u, plain.organizations o
WHERE NOT EXISTS (SELECT FROM plain.memberships m WHERE m.organization_id = o.id AND m.user_id = u.id)
ORDER BY hashtext(o.id::text || u.id::text)
LIMIT :load;
