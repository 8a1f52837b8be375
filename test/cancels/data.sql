-- Four organizations, each changed by one session only, and what each of their
-- people has to see, worked out without the extension.  Run by a superuser.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
CREATE ROLE storm LOGIN;
SELECT tenancy.grant_application('storm') \g /dev/null
GRANT pg_read_all_stats TO storm;

CREATE FUNCTION id(name text) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql AS 'SELECT md5(name)::uuid';
INSERT INTO tenancy.users (id, email, name)
	SELECT id(who || n), who || n || '@storm.example', who || n
	FROM generate_series(1, 4) n, unnest('{owner,admin,member,nobody}'::text[]) who;
INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	SELECT id('org' || n), 'org' || n, id('owner' || n), 'enterprise' FROM generate_series(1, 4) n;
INSERT INTO tenancy.memberships (organization_id, user_id, level)
	SELECT id('org' || n), id(who || n), CASE who WHEN 'admin' THEN 'administrator' ELSE 'member' END::tenancy.access_level
	FROM generate_series(1, 4) n, unnest('{admin,member}'::text[]) who;
INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	SELECT id('org' || n || ' project' || p), id('org' || n), 'project' || p, p % 3 = 0
	FROM generate_series(1, 4) n, generate_series(1, 3000) p;

CREATE TABLE notes (project_id uuid NOT NULL, n integer NOT NULL);
INSERT INTO notes SELECT p.id, g FROM tenancy.projects p, generate_series(1, 1) g;
CREATE INDEX ON notes (project_id);
SELECT tenancy.protect('notes') \g /dev/null
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO storm;
VACUUM ANALYZE;

-- Number and sum of the rows that somebody has to see.
CREATE FUNCTION truth(who uuid) RETURNS bigint[] STABLE PARALLEL SAFE SECURITY DEFINER
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT ARRAY[count(*), coalesce(sum(n.n), 0)]
	FROM public.notes n
	JOIN (SELECT p.id FROM tenancy.organizations o
		  JOIN tenancy.projects p ON p.organization_id = o.id
		  WHERE o.owner_id = who
		  UNION ALL
		  SELECT p.id FROM tenancy.memberships m
		  JOIN tenancy.projects p ON p.organization_id = m.organization_id
		  WHERE m.user_id = who AND (m.level <> 'member' OR NOT p.is_private)
		  UNION ALL
		  SELECT g.project_id FROM tenancy.project_memberships g
		  JOIN tenancy.projects p ON p.id = g.project_id
		  JOIN tenancy.memberships m ON m.organization_id = p.organization_id AND m.user_id = g.user_id
		  WHERE g.user_id = who AND p.is_private AND m.level = 'member') p ON p.id = n.project_id
$$;

CREATE VIEW sees WITH (security_invoker) AS SELECT ARRAY[count(*), coalesce(sum(n), 0)] AS what FROM notes;
GRANT SELECT ON sees TO storm;

-- "right", or what is wrong; each way to ask is its own.
CREATE FUNCTION verdict(way text, seen bigint[], expected bigint[]) RETURNS text IMMUTABLE LANGUAGE sql AS
	$$ SELECT way || CASE WHEN seen = expected THEN ': right' ELSE format(': WRONG, %s instead of %s', seen, expected) END $$;

CREATE FUNCTION by_cursor() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	expected bigint[] := truth(tenancy.current_user_id());
	seen bigint[] := '{0,0}';
	number integer;
	open_notes CURSOR FOR SELECT n FROM notes;
BEGIN
	OPEN open_notes;
	LOOP
		FETCH open_notes INTO number;
		EXIT WHEN NOT FOUND;
		seen := ARRAY[seen[1] + 1, seen[2] + number];
	END LOOP;
	CLOSE open_notes;
	RETURN verdict('cursor', seen, expected);
END $$;

-- A cancel is caught, and the transaction goes on with what is there.
CREATE FUNCTION caught(project uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	way text := 'after none';
BEGIN
	BEGIN
		FOR i IN 1..4 LOOP
			PERFORM FROM notes WHERE n = i;
			PERFORM tenancy.set_project_privacy(project, i % 2 = 0);
		END LOOP;
	EXCEPTION
		WHEN query_canceled THEN way := 'after a cancel';
		WHEN OTHERS THEN way := 'after an error';
	END;
	RETURN verdict(way, (SELECT what FROM sees), truth(tenancy.current_user_id()));
END $$;
