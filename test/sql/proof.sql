-- tenancy.prove_isolation(): silent on what is sound, and of each planted fault
-- exactly those attempts turn false that it opens.  It leaves nothing behind.
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = warning;
CREATE ROLE regress_proof_owner;
CREATE ROLE regress_proof_app;
CREATE ROLE regress_proof_bypass BYPASSRLS;
CREATE SCHEMA regress_proof;
GRANT USAGE ON SCHEMA regress_proof TO PUBLIC;
GRANT CREATE ON SCHEMA regress_proof TO regress_proof_owner;
SET search_path = regress_proof;

-- 17 and later have one more right.
CREATE FUNCTION proved(role regrole) RETURNS TABLE (relation regclass, command text, attempt text, isolated boolean, detail text)
LANGUAGE sql AS $$ SELECT * FROM tenancy.prove_isolation(role) p WHERE p.command IS DISTINCT FROM 'MAINTAIN' $$;
-- The answers that are not true, those for the same reason in one line.
CREATE FUNCTION faults(role regrole) RETURNS TABLE (relation text, command text, isolated boolean, attempts text, detail text)
LANGUAGE sql AS $$
	SELECT p.relation::text, p.command, p.isolated, string_agg(p.attempt, '; ' ORDER BY p.attempt COLLATE "C"), p.detail
	FROM proved(role) p
	WHERE p.isolated IS NOT TRUE
	GROUP BY p.relation, p.command, p.isolated, p.detail
	ORDER BY p.relation::text COLLATE "C", p.command COLLATE "C", min(p.attempt COLLATE "C")
$$;
-- Which kinds of attempts are broken.
CREATE FUNCTION broken(role regrole) RETURNS TABLE (relation text, command text, attempt text, broken_for text)
LANGUAGE sql AS $$
	SELECT p.relation::text, p.command, split_part(p.attempt, ': ', 2),
		   string_agg(split_part(p.attempt, ': ', 1), '; ' ORDER BY p.attempt COLLATE "C")
	FROM proved(role) p
	WHERE NOT p.isolated
	GROUP BY p.relation, p.command, split_part(p.attempt, ': ', 2)
	ORDER BY p.relation::text COLLATE "C", p.command COLLATE "C", split_part(p.attempt, ': ', 2) COLLATE "C"
$$;

-- nobody but a superuser asks, and only about a role that is there
SELECT tenancy.prove_isolation(NULL);
SELECT tenancy.prove_isolation(4000000000::oid::regrole);
SELECT tenancy.prove_isolation('regress_proof_nobody');
GRANT EXECUTE ON FUNCTION tenancy.prove_isolation(regrole) TO regress_proof_app;
SET ROLE regress_proof_app;
SELECT tenancy.prove_isolation('regress_proof_app');
RESET ROLE;
REVOKE ALL ON FUNCTION tenancy.prove_isolation(regrole) FROM regress_proof_app;

-- A sound table, and all that is tried on it.
SET ROLE regress_proof_owner;
CREATE TABLE notes (project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), body text NOT NULL, PRIMARY KEY (project_id, id));
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO regress_proof_app;
RESET ROLE;
SELECT tenancy.protect('notes') \gset
SELECT relation, command, attempt, isolated, detail FROM proved('regress_proof_app');
-- whatever the caller has set and whoever acts
SET row_security = off;
SET standard_conforming_strings = off;
SET tenancy.project_id = '00000000-0000-4000-8000-000000000009';
SET lc_messages = 'C';
SET session_replication_role = replica;
SELECT tenancy.act_as('00000000-0000-4000-8000-000000000009', true) \gset
SELECT count(*) FILTER (WHERE isolated), count(*) FILTER (WHERE NOT isolated) FROM proved('regress_proof_app');
SHOW tenancy.project_id;
SHOW row_security;
SHOW session_replication_role;
SELECT current_setting('tenancy.identity') LIKE 'u %9 %' AS acts_still, current_user = session_user AS is_caller;
SELECT tenancy._clear_identity() \gset
RESET ALL;
SET client_min_messages = warning;
SET search_path = regress_proof;
-- in each isolation level, and in a transaction that fails afterwards
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FILTER (WHERE isolated), count(*) FILTER (WHERE NOT isolated) FROM proved('regress_proof_app');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM proved('regress_proof_app');
ROLLBACK;

-- by organization, with levels: what is below the level is tried as well
CREATE TABLE billing (organization_id uuid NOT NULL, id integer);
SELECT tenancy.protect_by_organization('billing', visible_to => 'administrator', editable_by => 'owner') \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON billing TO regress_proof_app;
SELECT command, attempt, isolated, detail FROM proved('regress_proof_app')
WHERE relation = 'billing'::regclass AND (attempt LIKE 'Member%' OR isolated IS NOT TRUE);
DROP TABLE billing;

-- without rights everything is refused; with some, what cannot be tried is not
-- called isolated
CREATE TABLE narrow (LIKE notes INCLUDING ALL);
SELECT tenancy.protect('narrow') \gset
SELECT detail, count(*) FROM proved('regress_proof_app') WHERE relation = 'narrow'::regclass AND isolated GROUP BY detail ORDER BY detail COLLATE "C";
GRANT SELECT (body), UPDATE (body), DELETE ON narrow TO regress_proof_app;
SELECT command, attempts, detail FROM faults('regress_proof_app') WHERE relation = 'narrow' AND isolated IS NULL;
-- columns that the role may not fill are left to their defaults
REVOKE ALL ON narrow FROM regress_proof_app;
REVOKE SELECT (body), UPDATE (body) ON narrow FROM regress_proof_app;
GRANT INSERT (project_id, body) ON narrow TO regress_proof_app;
SELECT detail, count(*) FROM proved('regress_proof_app') WHERE relation = 'narrow'::regclass AND command = 'INSERT' GROUP BY detail ORDER BY detail COLLATE "C";
GRANT SELECT (body), UPDATE (body), DELETE ON narrow TO regress_proof_app;
ALTER TABLE narrow DISABLE ROW LEVEL SECURITY;
SELECT command, attempt, broken_for FROM broken('regress_proof_app') WHERE relation = 'narrow';
DROP TABLE narrow;

-- ---------------------------------------------------------------------
-- Faults, one at a time
-- ---------------------------------------------------------------------

-- row security off: attacks 58, 65, 74 and 75 succeed
ALTER TABLE notes DISABLE ROW LEVEL SECURITY;
SELECT * FROM broken('regress_proof_app');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;

-- attack 56: not forced: the owner is exempt, nobody else
ALTER TABLE notes NO FORCE ROW LEVEL SECURITY;
SELECT * FROM broken('regress_proof_app');
SELECT * FROM broken('regress_proof_owner');
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
SELECT * FROM broken('regress_proof_owner');

-- attack 71: a permissive policy beside ours is harmless while the floor is there
CREATE POLICY everything ON notes USING (true) WITH CHECK (true);
SELECT * FROM broken('regress_proof_app');
BEGIN;
DROP POLICY tenancy_floor ON notes;
SELECT * FROM broken('regress_proof_app');
ROLLBACK;
BEGIN;
DROP POLICY tenancy_floor_delete ON notes;
SELECT * FROM broken('regress_proof_app');
ALTER TABLE notes ALTER COLUMN body SET DEFAULT '';
SELECT tenancy.protect('notes', editable_by => 'administrator') \gset
DROP POLICY tenancy_floor_delete ON notes;
SELECT * FROM broken('regress_proof_app');
ROLLBACK;
DROP POLICY everything ON notes;

-- a policy that was altered, so that the view of protected tables is misled
BEGIN;
ALTER POLICY tenancy_floor ON notes USING (true) WITH CHECK (true);
ALTER POLICY tenancy_select ON notes USING (true);
SELECT count(*) FROM tenancy.protected_tables WHERE relation = 'notes'::regclass;
SELECT * FROM broken('regress_proof_app');
ROLLBACK;
BEGIN;
ALTER POLICY tenancy_floor ON notes WITH CHECK (true);
ALTER POLICY tenancy_insert ON notes WITH CHECK (true);
SELECT * FROM broken('regress_proof_app');
ROLLBACK;
-- an altered policy without a trace of the column, and no foreign key
BEGIN;
SELECT tenancy.unprotect('notes') \gset
ALTER TABLE notes DROP CONSTRAINT notes_project_id_fkey;
CREATE POLICY tenancy_select ON notes USING (true);
SELECT relation, command, attempt, isolated, detail FROM proved('regress_proof_app') WHERE attempt ~ 'any attempt';
ROLLBACK;

-- attack 73: rights that row security does not govern
GRANT TRUNCATE, TRIGGER ON notes TO regress_proof_app;
GRANT REFERENCES (id) ON notes TO PUBLIC;
SELECT command, attempts, detail FROM faults('regress_proof_app') WHERE isolated IS FALSE;
-- ... of which 17 and later have one more
SELECT current_setting('server_version_num')::integer >= 170000 AS newer \gset
\if :newer
GRANT MAINTAIN ON notes TO regress_proof_app;
\endif
SELECT CASE WHEN :'newer' THEN array_agg(isolated) = '{f}' AND min(detail) = 'the role has the right MAINTAIN, which row security does not govern'
			ELSE count(*) = 0 END AS maintain
FROM tenancy.prove_isolation('regress_proof_app') WHERE command = 'MAINTAIN' AND relation = 'notes'::regclass;
SELECT tenancy.protect('notes') \gset

-- attack 57: roles that bypass row security, or can become one that does
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO regress_proof_bypass;
SELECT command, attempt, broken_for FROM broken('regress_proof_bypass');
GRANT regress_proof_bypass TO regress_proof_app;
GRANT regress_proof_owner TO regress_proof_app;
SELECT command, attempts, detail FROM faults('regress_proof_app') WHERE isolated IS FALSE;
REVOKE regress_proof_bypass, regress_proof_owner FROM regress_proof_app;
GRANT pg_read_server_files TO regress_proof_app;
SELECT tenancy.grant_application('regress_proof_app') \gset
SELECT command, attempts, isolated, detail FROM faults('regress_proof_app') WHERE relation IS NULL;
REVOKE pg_read_server_files FROM regress_proof_app;
REVOKE SET ON PARAMETER tenancy.user_id FROM regress_proof_app;
SELECT isolated, count(*) FROM proved(current_user::regrole) WHERE relation IS NULL GROUP BY 1 ORDER BY 1;

-- ---------------------------------------------------------------------
-- attack 72: partitions and children, asked directly
-- ---------------------------------------------------------------------

SET ROLE regress_proof_owner;
CREATE TABLE days (project_id uuid NOT NULL, day date NOT NULL, body text) PARTITION BY RANGE (day);
CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY LIST (body);
CREATE TABLE days_2a PARTITION OF days_2 FOR VALUES IN ('x', 'y');
CREATE TABLE hashes (project_id uuid NOT NULL, id bigint) PARTITION BY HASH (project_id);
CREATE TABLE hashes_0 PARTITION OF hashes FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE hashes_1 PARTITION OF hashes FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE hashes_2 PARTITION OF hashes FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE lists (project_id uuid NOT NULL) PARTITION BY LIST (project_id);
CREATE TABLE lists_1 PARTITION OF lists FOR VALUES IN ('00000000-0000-4000-8000-000000000001');
CREATE TABLE parents (project_id uuid NOT NULL, id integer);
CREATE TABLE children (more text NOT NULL) INHERITS (parents);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_proof TO regress_proof_app;
RESET ROLE;
SELECT count(tenancy.protect(t)) FROM unnest('{days,hashes,lists,parents}'::regclass[]) t;
SELECT relation, count(*) FILTER (WHERE isolated) AS held, count(*) FILTER (WHERE NOT isolated) AS broken, count(*) FILTER (WHERE isolated IS NULL) AS untried
FROM proved('regress_proof_app') GROUP BY relation ORDER BY relation::text COLLATE "C";
SELECT DISTINCT relation, regexp_replace(detail, 'row for relation.*|partition of relation.*', '…') FROM proved('regress_proof_app')
WHERE isolated IS NULL AND command = 'INSERT' ORDER BY 1;
ALTER TABLE days_2a DISABLE ROW LEVEL SECURITY;
DROP POLICY tenancy_floor ON children;
DROP POLICY tenancy_select ON children;
CREATE POLICY own ON children FOR SELECT USING (more <> 'archived');
SELECT * FROM broken('regress_proof_app');
-- a partition from which everything of ours was taken
BEGIN;
ALTER EVENT TRIGGER tenancy_protect_partitions DISABLE;
SELECT tenancy._unprotect('hashes_1') \gset
SELECT DISTINCT relation, command FROM broken('regress_proof_app') WHERE relation LIKE 'hashes%' ORDER BY 1, 2;
ROLLBACK;
DROP TABLE days, hashes, lists, parents CASCADE;

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

-- attack 84: with the rights of the caller, of an owner who is filtered, of one who is not
CREATE VIEW as_caller WITH (security_invoker = true) AS SELECT * FROM notes;
SET ROLE regress_proof_owner;
CREATE VIEW as_owner AS SELECT project_id, body FROM notes;
CREATE VIEW totals AS SELECT count(*) FROM notes;
CREATE VIEW others AS SELECT * FROM notes WHERE body LIKE 'invoice%';
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON as_caller, as_owner, totals, others TO regress_proof_app;
SELECT attempt, isolated, detail FROM proved('regress_proof_app') WHERE attempt ~ 'view' AND isolated AND attempt LIKE 'Member%';
SELECT command, isolated, attempts, detail FROM faults('regress_proof_app') WHERE command <> 'LOCK';
DROP VIEW as_caller, as_owner, totals, others;
CREATE VIEW as_superuser AS SELECT project_id, body FROM notes;
CREATE VIEW filtered AS SELECT body FROM notes WHERE body <> 'secret';
GRANT SELECT ON as_superuser TO regress_proof_app;
SELECT * FROM broken('regress_proof_app');
REVOKE SELECT ON as_superuser FROM regress_proof_app;
-- a right on one column of it is enough
GRANT SELECT (body) ON filtered TO regress_proof_app;
SELECT * FROM broken('regress_proof_app');
REVOKE SELECT (body) ON filtered FROM regress_proof_app;
GRANT DELETE ON filtered TO regress_proof_app;
SELECT command, isolated, attempts, detail FROM faults('regress_proof_app') WHERE command = 'DELETE';
DROP VIEW filtered;
-- attack 85: a chain: the view that is granted is harmless, the one below it is not
CREATE VIEW chained WITH (security_invoker = true) AS SELECT * FROM as_superuser;
CREATE VIEW chained_twice WITH (security_invoker = true) AS SELECT count(*) AS n, max(body) FROM chained GROUP BY project_id;
GRANT SELECT ON as_superuser, chained, chained_twice TO regress_proof_app;
SELECT * FROM broken('regress_proof_app') WHERE attempt ~ 'chained';
DROP VIEW as_superuser CASCADE;
-- what differs each time proves nothing
CREATE VIEW moments AS SELECT clock_timestamp() AS moment, body FROM notes;
ALTER VIEW moments OWNER TO regress_proof_owner;
GRANT SELECT ON moments TO regress_proof_app;
SELECT isolated, detail, count(*) FROM proved('regress_proof_app') WHERE attempt ~ 'moments' GROUP BY 1, 2 ORDER BY 2;
-- unless there is more of it
ALTER VIEW moments OWNER TO CURRENT_USER;
SELECT command, attempt, broken_for FROM broken('regress_proof_app') WHERE attempt ~ 'moments';
DROP VIEW moments;
-- what one reading or one case did is undone before the next
CREATE TABLE readings (n serial);
CREATE FUNCTION reading() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress_proof, pg_temp
AS $$ BEGIN INSERT INTO readings DEFAULT VALUES; RETURN (SELECT count(*) FROM readings); END $$;
CREATE VIEW counted AS SELECT r.n, b.body FROM (SELECT reading() AS n OFFSET 0) r, notes b;
CREATE VIEW distinct_projects AS SELECT DISTINCT project_id FROM notes;
ALTER VIEW counted OWNER TO regress_proof_owner;
ALTER VIEW distinct_projects OWNER TO regress_proof_owner;
GRANT SELECT ON counted, distinct_projects TO regress_proof_app;
SELECT isolated, detail, count(*) FROM proved('regress_proof_app') WHERE attempt ~ 'counted|distinct_projects' GROUP BY 1, 2 ORDER BY 2;
DROP VIEW counted, distinct_projects;
DROP TABLE readings;
-- ... and one table's rows before the next table
CREATE FUNCTION nothing_before() RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = regress_proof, pg_temp 
AS $$ SELECT NOT EXISTS (SELECT FROM notes) AND (SELECT count(*) <= 1 FROM tenancy.organizations WHERE name = 'a') $$;
CREATE TABLE without_notes (project_id uuid NOT NULL CHECK (nothing_before()));
CREATE VIEW all_notes WITH (security_invoker = true) AS SELECT * FROM notes;
SELECT tenancy.protect('without_notes') \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON without_notes, all_notes TO regress_proof_app;
SELECT isolated, count(*) FROM proved('regress_proof_app') WHERE relation = 'without_notes'::regclass GROUP BY 1 ORDER BY 1;
DROP TABLE without_notes;
DROP VIEW all_notes;
DROP FUNCTION nothing_before();
-- a view that fails, and attack 87, a copy
CREATE VIEW failing AS SELECT 1 / count(*) FILTER (WHERE false) FROM notes;
GRANT SELECT ON failing TO regress_proof_app;
CREATE MATERIALIZED VIEW copied AS SELECT * FROM notes;
SELECT isolated, detail, count(*) FROM proved('regress_proof_app') WHERE attempt ~ 'failing|copied' GROUP BY 1, 2 ORDER BY 2;
GRANT SELECT ON copied TO regress_proof_app;
SELECT isolated, attempt, detail FROM proved('regress_proof_app') WHERE attempt ~ 'copied';
ALTER MATERIALIZED VIEW copied OWNER TO regress_proof_owner;
SELECT isolated, attempt, detail FROM proved('regress_proof_app') WHERE attempt ~ 'copied';
DROP VIEW failing;
DROP MATERIALIZED VIEW copied;
DROP TABLE notes;

-- ---------------------------------------------------------------------
-- Tables that are hard to fill
-- ---------------------------------------------------------------------

CREATE FUNCTION summary(role regrole) RETURNS TABLE (relation regclass, held bigint, broken bigint, untried bigint, reasons text)
LANGUAGE sql AS $$
	SELECT p.relation, count(*) FILTER (WHERE isolated), count(*) FILTER (WHERE NOT isolated), count(*) FILTER (WHERE isolated IS NULL AND command <> 'LOCK'),
		   string_agg(DISTINCT p.detail, ' / ') FILTER (WHERE isolated IS NOT TRUE AND command <> 'LOCK')
	FROM proved(role) p WHERE p.relation IS NOT NULL
	GROUP BY p.relation ORDER BY p.relation::text COLLATE "C"
$$;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE span AS RANGE (subtype = timestamptz);
CREATE DOMAIN positive AS integer NOT NULL CHECK (VALUE > 0);
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}$');
CREATE DOMAIN positive_code AS code CHECK (length(VALUE) = 3);
CREATE TABLE types (
	project_id uuid NOT NULL, b boolean NOT NULL, i2 smallint NOT NULL UNIQUE, i4 integer NOT NULL, i8 bigint NOT NULL, n numeric(4, 2) NOT NULL, n0 numeric NOT NULL,
	f4 real NOT NULL, f8 double precision NOT NULL, m money NOT NULL, t text NOT NULL, v varchar(3) NOT NULL, c char(2) NOT NULL, na name NOT NULL, q "char" NOT NULL,
	u uuid NOT NULL, d date NOT NULL, ts timestamp NOT NULL, tz timestamptz NOT NULL, ti time NOT NULL, tt timetz NOT NULL, iv interval NOT NULL,
	j json NOT NULL, jb jsonb NOT NULL, by bytea NOT NULL, ip inet NOT NULL, ci cidr NOT NULL, ma macaddr NOT NULL, m8 macaddr8 NOT NULL,
	b1 bit NOT NULL, b5 bit(5) NOT NULL, vb varbit(3) NOT NULL, po point NOT NULL, li line NOT NULL, ls lseg NOT NULL, bo box NOT NULL, pa path NOT NULL, pg polygon NOT NULL, cr circle NOT NULL,
	tv tsvector NOT NULL, tq tsquery NOT NULL, o oid NOT NULL, rc regclass NOT NULL, l pg_lsn NOT NULL, s pg_snapshot NOT NULL, ta integer[] NOT NULL, te mood[] NOT NULL CHECK (cardinality(te) > 0),
	ir int4range NOT NULL CHECK (NOT isempty(ir)), nr numrange NOT NULL, dr daterange NOT NULL, sp span NOT NULL, im int4multirange NOT NULL,
	e mood NOT NULL, co pair NOT NULL, dp positive, dc code NOT NULL, dd positive_code NOT NULL, jp jsonpath NOT NULL DEFAULT '$');
CREATE TABLE checks (
	project_id uuid NOT NULL, id serial, k integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k2 integer GENERATED BY DEFAULT AS IDENTITY UNIQUE,
	status text NOT NULL CHECK (status IN ('open', 'it''s closed')), percent integer NOT NULL CHECK (percent BETWEEN 40 AND 60), year integer NOT NULL CHECK (year > 1999 AND year < 2100),
	email text NOT NULL UNIQUE CHECK (email LIKE '%_@_%'), low integer NOT NULL, high integer NOT NULL, CHECK (low < high), begins date NOT NULL, ends date NOT NULL, CHECK (begins < ends),
	doubled integer GENERATED ALWAYS AS (low * 2) STORED, one text, other text, CHECK (one IS NOT NULL OR other IS NOT NULL),
	EXCLUDE USING gist (int4range(low, high) WITH &&));
CREATE TABLE falling (project_id uuid NOT NULL, low integer NOT NULL, high integer NOT NULL, CHECK (low > high), UNIQUE (low));
CREATE TABLE impossible (project_id uuid NOT NULL, id integer NOT NULL CHECK (id > 3 AND id < 2));
CREATE TABLE puzzle (project_id uuid NOT NULL, id integer NOT NULL CHECK (id * 2 = 24690));
CREATE TABLE countries (code char(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE cities (country char(2) NOT NULL REFERENCES countries, id integer PRIMARY KEY CHECK (id > 0));
CREATE TABLE refers (project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), city integer NOT NULL REFERENCES cities, author uuid NOT NULL REFERENCES tenancy.users,
	PRIMARY KEY (project_id, id));
CREATE TABLE refers_on (project_id uuid NOT NULL, refers_id uuid NOT NULL, organization_id uuid NOT NULL, previous uuid, own integer NOT NULL UNIQUE REFERENCES refers_on (own),
	FOREIGN KEY (project_id, refers_id) REFERENCES refers (project_id, id), FOREIGN KEY (project_id, previous) REFERENCES refers (project_id, id),
	FOREIGN KEY (project_id, organization_id) REFERENCES tenancy.projects (id, organization_id));
CREATE TABLE unfillable (id integer PRIMARY KEY CHECK (id > 3 AND id < 2));
CREATE TABLE refers_to_nothing (project_id uuid NOT NULL, id integer NOT NULL REFERENCES unfillable);
CREATE TABLE "it's {theirs}" (project_id uuid NOT NULL, "a ""b"" {mine}" integer NOT NULL UNIQUE, "{column}" text NOT NULL CHECK ("{column}" = '{theirs} it''s %s %I'));
SELECT count(tenancy.protect(c.oid)) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project_id'
WHERE c.relnamespace = 'regress_proof'::regnamespace AND c.relkind = 'r';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_proof TO regress_proof_app;
SELECT * FROM summary('regress_proof_app');
-- a row that is there shows what passes
INSERT INTO tenancy.users (id, email, name) VALUES ('ac000000-0000-4000-8000-000000000001', 'one@proof.example', 'One');
INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES ('ac000000-0000-4000-8000-000000000001', 'One', 'ac000000-0000-4000-8000-000000000001', 'enterprise');
INSERT INTO tenancy.projects (id, organization_id, name) VALUES ('ac000000-0000-4000-8000-000000000001', 'ac000000-0000-4000-8000-000000000001', 'One');
INSERT INTO puzzle VALUES ('ac000000-0000-4000-8000-000000000001', 12345);
INSERT INTO countries VALUES ('XX', 'Somewhere');
SELECT * FROM summary('regress_proof_app') WHERE relation IN ('puzzle'::regclass, 'refers'::regclass);
-- in a table with rows that cannot be filled reading is tried all the same
ALTER TABLE impossible DROP CONSTRAINT impossible_id_check;
INSERT INTO impossible VALUES ('ac000000-0000-4000-8000-000000000001', 1);
ALTER TABLE impossible ADD CHECK (id > 3 AND id < 2) NOT VALID;
ALTER TABLE impossible DISABLE ROW LEVEL SECURITY;
SELECT command, isolated, detail, attempts FROM faults('regress_proof_app') WHERE relation = 'impossible' AND command = 'SELECT';
-- without row security each of them is broken
DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', relation), ';') FROM tenancy.protected_tables); END $$;
SELECT relation, held, broken, untried FROM summary('regress_proof_app');

-- ---------------------------------------------------------------------
-- Triggers of the table's: what they do is undone, and they do not get the
-- rights of who asks
-- ---------------------------------------------------------------------

DO $$ BEGIN EXECUTE (SELECT string_agg(format('DROP TABLE %s CASCADE', c.oid::regclass), ';' ) FROM pg_class c WHERE c.relnamespace = 'regress_proof'::regnamespace AND c.relkind = 'r'); END $$;
SET ROLE regress_proof_owner;
CREATE TABLE events (project_id uuid NOT NULL, id serial, PRIMARY KEY (project_id, id));
CREATE TABLE log (who name);
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_proof.log VALUES (current_user);
	PERFORM pg_notify('regress_proof', 'heard');
	BEGIN
		RESET ROLE;
		ALTER ROLE regress_proof_owner SUPERUSER;
	EXCEPTION WHEN insufficient_privilege THEN
		NULL;
	END;
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_proof_owner') THEN
		RAISE WARNING 'taken over';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER climb BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION climb();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ASSERT false, 'never'; END $$;
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON events TO regress_proof_app;
GRANT INSERT ON log TO regress_proof_app;
SELECT tenancy.protect('events') \gset
LISTEN regress_proof;
SELECT * FROM summary('regress_proof_app');
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM log) AS log, (SELECT is_called FROM events_id_seq) AS sequence_moved;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_proof_owner';
UNLISTEN *;
-- one that puts rows elsewhere, one that swallows them, one that fails
CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.project_id := 'ac000000-0000-4000-8000-000000000001'; RETURN NEW; END $$;
CREATE TRIGGER elsewhere BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION elsewhere();
SELECT untried, reasons FROM summary('regress_proof_app');
DROP TRIGGER elsewhere ON events;
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION swallow();
SELECT untried, reasons FROM summary('regress_proof_app');
DROP TRIGGER swallow ON events;
CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT untried, reasons FROM summary('regress_proof_app');
DROP TRIGGER refuse ON events;
-- one that keeps rows in the project that is current is a reason why it holds
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.project_id := coalesce(tenancy.current_project_id(), NEW.project_id); RETURN NEW; END $$;
CREATE TRIGGER keep BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION keep();
SELECT held, broken, untried, reasons FROM summary('regress_proof_app');
DROP TRIGGER keep ON events;
-- a policy of the table's own that refuses everything to the role: that nothing
-- gets through proves little, and is said
CREATE POLICY nothing ON events AS RESTRICTIVE FOR INSERT TO regress_proof_app WITH CHECK (false);
SELECT command, isolated, attempts, detail FROM faults('regress_proof_app') WHERE command <> 'LOCK';
DROP POLICY nothing ON events;
-- a row must name its author: it names whoever acts, so the fault is found
ALTER TABLE events ADD COLUMN author uuid NOT NULL REFERENCES tenancy.users;
CREATE POLICY authors ON events AS RESTRICTIVE FOR INSERT TO regress_proof_app WITH CHECK (author = tenancy.current_user_id());
SELECT held, broken, untried FROM summary('regress_proof_app');
ALTER POLICY tenancy_floor ON events WITH CHECK (true);
ALTER POLICY tenancy_insert ON events WITH CHECK (true);
SELECT * FROM broken('regress_proof_app');
SELECT tenancy.protect('events') \gset
DROP POLICY authors ON events;
-- an error in the middle is of this table only
CREATE FUNCTION failing(uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'no policy'; END $$;
CREATE POLICY failing ON events AS RESTRICTIVE USING (regress_proof.failing(project_id));
SELECT isolated, regexp_replace(detail, 'refused: .*', 'refused'), count(*) FROM proved('regress_proof_app') WHERE relation IS NOT NULL GROUP BY 1, 2 ORDER BY 2;
DROP POLICY failing ON events;

-- ---------------------------------------------------------------------
-- What is evaluated while a query is planned does not get the rights of who asks,
-- either.  A sequence tells, which nothing undoes.
-- ---------------------------------------------------------------------

CREATE SEQUENCE asked;
CREATE SEQUENCE taken_over;
GRANT USAGE ON SEQUENCE asked, taken_over TO PUBLIC;
GRANT REFERENCES ON tenancy.projects TO regress_proof_owner;
GRANT regress_proof_owner TO regress_proof_app;	-- so that the attempts, too, run what the owner wrote
SET ROLE regress_proof_owner;
CREATE FUNCTION look() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM nextval('regress_proof.asked');
	IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
		PERFORM nextval('regress_proof.taken_over');
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION evil(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000000 AS $$ BEGIN RETURN regress_proof.look(); END $$;
CREATE TABLE evil_target (id integer PRIMARY KEY);
INSERT INTO evil_target VALUES (1);
CREATE TABLE evil_rows (project_id uuid NOT NULL REFERENCES tenancy.projects ON DELETE CASCADE, id integer NOT NULL DEFAULT 1 REFERENCES evil_target,
	n integer NOT NULL CHECK (n * 2 = 24690), PRIMARY KEY (project_id, id));
CREATE VIEW evil_view WITH (security_invoker = true) AS SELECT * FROM evil_rows;
GRANT SELECT, INSERT, UPDATE, DELETE ON evil_rows, evil_view TO regress_proof_app;
SELECT tenancy.protect('evil_rows') \gset
ALTER TABLE evil_rows NO FORCE ROW LEVEL SECURITY;
INSERT INTO evil_rows VALUES ('ac000000-0000-4000-8000-000000000001', 1, 12345);
ALTER TABLE evil_rows FORCE ROW LEVEL SECURITY;
RESET ROLE;
CREATE FUNCTION evaluated(OUT asked boolean, OUT taken_over boolean, OUT held bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('regress_proof.asked', 1, false), setval('regress_proof.taken_over', 1, false);
	held := (SELECT count(*) FROM proved('regress_proof_app') p WHERE p.relation = 'evil_rows'::regclass AND p.isolated);
	asked := (SELECT s.is_called FROM regress_proof.asked s);
	taken_over := (SELECT s.is_called FROM regress_proof.taken_over s);
END $$;
SELECT * FROM evaluated();
SET ROLE regress_proof_owner;
CREATE INDEX i ON evil_rows (n) WHERE evil(1);
RESET ROLE;
SELECT * FROM evaluated();
DROP INDEX i;
SET ROLE regress_proof_owner;
CREATE INDEX i ON evil_rows ((evil(1) AND n > 0));
RESET ROLE;
SELECT * FROM evaluated();
DROP INDEX i;
SET ROLE regress_proof_owner;
CREATE STATISTICS s ON (evil(1) AND n > 0), n FROM evil_rows;
RESET ROLE;
SELECT * FROM evaluated();
DROP STATISTICS s;
SET ROLE regress_proof_owner;
SET constraint_exclusion = on;
ALTER TABLE evil_rows ADD CONSTRAINT c CHECK (evil(1) OR n > 0);
RESET ROLE;
SELECT * FROM evaluated();
RESET constraint_exclusion;
ALTER TABLE evil_rows DROP CONSTRAINT c;
SET ROLE regress_proof_owner;
CREATE INDEX i ON evil_target ((id + 1)) WHERE evil(1);
RESET ROLE;
SELECT * FROM evaluated();
DROP INDEX i;
SET ROLE regress_proof_owner;
CREATE STATISTICS s ON (evil(1) AND id > 0), id FROM evil_target;
RESET ROLE;
SELECT * FROM evaluated();
DROP STATISTICS s;

-- a superuser's table would run it as a superuser, and so would a role that is one
CREATE STATISTICS s ON (evil(1) AND n > 0), n FROM evil_rows;
ALTER TABLE evil_rows OWNER TO CURRENT_USER;
CREATE FUNCTION untried(role regrole) RETURNS TABLE (relation regclass, detail text) LANGUAGE sql AS $$
	SELECT DISTINCT p.relation, p.detail FROM proved(role) p WHERE p.relation = 'evil_rows'::regclass AND p.attempt ~ '^anybody: any attempt'
$$;
CREATE FUNCTION regress_proof.taken() RETURNS boolean LANGUAGE sql AS 'SELECT is_called FROM regress_proof.taken_over';
SELECT setval('taken_over', 1, false) \gset
SELECT * FROM untried('regress_proof_app');
SELECT taken();
DROP STATISTICS s;
SELECT * FROM untried('regress_proof_app');
-- a trigger, a default, a domain, an operator, a table below it
ALTER TABLE evil_rows ADD COLUMN more boolean DEFAULT evil(1);
SELECT * FROM untried('regress_proof_app');
ALTER TABLE evil_rows ALTER COLUMN more DROP DEFAULT;
CREATE TRIGGER t BEFORE INSERT ON evil_rows FOR EACH ROW WHEN (evil(1)) EXECUTE FUNCTION climb();
SELECT * FROM untried('regress_proof_app');
DROP TRIGGER t ON evil_rows;
CREATE DOMAIN evil_domain AS integer CHECK (evil(1) OR VALUE > 0);
ALTER TABLE evil_rows ADD COLUMN d evil_domain;
SELECT * FROM untried('regress_proof_app');
ALTER TABLE evil_rows DROP COLUMN d;
CREATE OPERATOR regress_proof.@@@ (FUNCTION = regress_proof.evil, RIGHTARG = integer);
ALTER TABLE evil_rows ADD CHECK (@@@ 1);
SELECT * FROM untried('regress_proof_app');
ALTER TABLE evil_rows DROP CONSTRAINT evil_rows_check;
CREATE TABLE evil_child () INHERITS (evil_rows);
ALTER TABLE evil_child OWNER TO regress_proof_owner;
SELECT * FROM untried('regress_proof_app');
DROP TABLE evil_child;
-- also when it is referred to
SELECT setval('taken_over', 1, false) \gset
SELECT count(*) FILTER (WHERE isolated) > 20 AS held FROM proved('regress_proof_app') p WHERE p.relation = 'evil_rows'::regclass;
CREATE STATISTICS s ON (evil(1) AND id > 0), id FROM evil_target;
ALTER TABLE evil_rows OWNER TO regress_proof_owner;
ALTER TABLE evil_target OWNER TO CURRENT_USER;
SELECT DISTINCT detail FROM proved('regress_proof_app') p WHERE p.relation = 'evil_rows'::regclass AND isolated IS NULL AND command = 'UPDATE';
SELECT taken();
SELECT * FROM untried(current_user::regrole);
SELECT taken();
DROP VIEW evil_view;
DROP TABLE evil_rows, evil_target;
REVOKE regress_proof_owner FROM regress_proof_app;
REVOKE REFERENCES ON tenancy.projects FROM regress_proof_owner;

-- An owner who may not read cannot tell what became of a row, and that is no refusal.
SET ROLE regress_proof_owner;
CREATE TABLE unread (project_id uuid NOT NULL);
GRANT SELECT ON unread TO regress_proof_app;
RESET ROLE;
SELECT tenancy.protect('unread') \gset
REVOKE SELECT ON unread FROM regress_proof_owner;
SELECT command, isolated, attempt, detail FROM proved('regress_proof_app') WHERE relation = 'unread'::regclass AND isolated IS NOT TRUE;
GRANT SELECT (project_id) ON unread TO regress_proof_owner;
ALTER TABLE unread ADD COLUMN more text;
SELECT isolated, detail, count(*) FROM proved('regress_proof_app') WHERE relation = 'unread'::regclass AND command IN ('INSERT', 'UPDATE', 'DELETE', 'MERGE') GROUP BY 1, 2 ORDER BY 2;
DROP TABLE unread;

-- ---------------------------------------------------------------------
-- Nothing is left behind, also when it is cancelled
-- ---------------------------------------------------------------------

CREATE FUNCTION left_behind() RETURNS TABLE (what text, n bigint) LANGUAGE plpgsql AS $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT c.oid FROM pg_class c WHERE c.relnamespace IN ('tenancy'::regnamespace, 'regress_proof'::regnamespace) AND c.relkind IN ('r', 'S') ORDER BY c.oid LOOP
		what := t;
		EXECUTE format(CASE WHEN t::text LIKE '%seq' THEN 'SELECT last_value + is_called::integer FROM %s' ELSE 'SELECT count(*) FROM %s' END, t) INTO n;
		RETURN NEXT;
	END LOOP;
	RETURN QUERY SELECT 'locks', count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
				 WHERE l.pid = pg_backend_pid() AND c.relnamespace IN ('tenancy'::regnamespace, 'regress_proof'::regnamespace) AND l.mode NOT IN ('AccessShareLock', 'SIReadLock');
	RETURN QUERY SELECT 'advisory locks', count(*) FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'advisory';
	RETURN QUERY SELECT 'cursors', count(*) FROM pg_cursors;
	RETURN QUERY SELECT 'temporary objects', count(*) FROM pg_proc p WHERE p.pronamespace = pg_my_temp_schema();
	RETURN QUERY SELECT 'functions', count(*) FROM pg_proc;
END $$;
CREATE TEMP TABLE before AS SELECT * FROM left_behind();
SELECT count(*) > 0 AS looked, max(n) FILTER (WHERE what = 'temporary objects') AS temporary_objects FROM before;
CREATE VIEW v AS SELECT * FROM events;
BEGIN;
SELECT count(*) > 50 FROM proved('regress_proof_app');
SELECT count(*) AS locks FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'regress_proof'::regnamespace AND l.mode <> 'SIReadLock';
SELECT * FROM left_behind() EXCEPT SELECT * FROM before;
COMMIT;
SELECT * FROM left_behind() EXCEPT SELECT * FROM before;
-- cancelled in the middle
SET statement_timeout = 20;
SELECT count(*) FROM proved('regress_proof_app');
RESET statement_timeout;
SELECT * FROM left_behind() EXCEPT SELECT * FROM before;
SELECT tenancy.current_user_id() IS NULL AS nobody_acts, current_user = session_user AS is_caller;

SET client_min_messages = error;
DROP SCHEMA regress_proof CASCADE;
DELETE FROM tenancy.organizations WHERE id = 'ac000000-0000-4000-8000-000000000001';
DELETE FROM tenancy.users WHERE id = 'ac000000-0000-4000-8000-000000000001';
DROP OWNED BY regress_proof_owner, regress_proof_app, regress_proof_bypass;
DROP ROLE regress_proof_owner, regress_proof_app, regress_proof_bypass;
