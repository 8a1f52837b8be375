-- How long lint() takes on 5,000 tables and views, and prove_isolation() on 200
-- protected tables.
--
--   scripts/with-cluster psql -Xq -f bench/diagnosis.sql

\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION tenancy CASCADE;
CREATE ROLE bench_app LOGIN;
CREATE ROLE bench_owner;
SELECT tenancy.grant_application('bench_app');
CREATE SCHEMA app AUTHORIZATION bench_owner;
GRANT USAGE ON SCHEMA app TO bench_app;

-- 200 protected tables, each with foreign keys, checks, an index of its own;
-- 2,300 other tables; a view over each table; 500 functions, in three ways.
DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		EXECUTE format('CREATE TABLE app.notes_%s (
			project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), parent uuid, n integer NOT NULL CHECK (n > 0),
			state text NOT NULL CHECK (state IN (''open'', ''closed'')), title text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
			PRIMARY KEY (project_id, id), FOREIGN KEY (project_id, parent) REFERENCES app.notes_%s)', i, greatest(i - 1, 1));
		EXECUTE format('CREATE INDEX ON app.notes_%s (project_id, parent)', i);
		EXECUTE format('SELECT tenancy.protect(%L)', 'app.notes_' || i);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON app.notes_%s TO bench_app', i);
		EXECUTE format('CREATE VIEW app.notes_of_%s WITH (security_invoker) AS SELECT * FROM app.notes_%s WHERE n > 1', i, i);
		EXECUTE format('GRANT SELECT ON app.notes_of_%s TO bench_app', i);
		COMMIT;
	END LOOP;
	FOR i IN 1 .. 2300 LOOP
		EXECUTE format('CREATE TABLE app.other_%s (id bigint PRIMARY KEY, name text, reference bigint REFERENCES app.other_%s)', i, greatest(i - 1, 1));
		EXECUTE format('CREATE VIEW app.of_other_%s AS SELECT o.id, o.name FROM app.other_%s o WHERE o.id > 0', i, i);
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
	FOR i IN 1 .. 500 LOOP
		EXECUTE format(CASE i % 3
			WHEN 0 THEN 'CREATE FUNCTION app.f_%1$s() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = app, pg_temp AS ''SELECT count(*) FROM other_%1$s'''
			WHEN 1 THEN 'CREATE FUNCTION app.f_%1$s() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM app.other_%1$s; END'
			ELSE 'CREATE FUNCTION app.f_%1$s() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_temp
				  AS ''BEGIN RETURN count(*) FROM other_%1$s o JOIN of_other_%1$s v ON v.id = o.id WHERE o.name <> ''''nothing''''; END''' END, i);
	END LOOP;
END
$$;
SELECT count(*) FILTER (WHERE relkind = 'r') AS tables, count(*) FILTER (WHERE relkind = 'v') AS views FROM pg_class WHERE relnamespace = 'app'::regnamespace;


-- Seconds of this process on a processor, which other work on the machine does not
-- add to.
CREATE FUNCTION app.processor() RETURNS numeric LANGUAGE sql VOLATILE
AS $$
	SELECT (f[12]::bigint + f[13]::bigint) / 100.0
	FROM regexp_split_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') f
$$;

\timing on
\echo 'lint(), first'
SELECT app.processor() AS before \gset
SELECT severity, rule, count(*) FROM tenancy.lint() GROUP BY 1, 2 ORDER BY 1, 2;
SELECT app.processor() - :before AS processor_seconds, app.processor() AS before \gset
\echo :processor_seconds s
\echo 'lint(), again'
SELECT count(*) FROM tenancy.lint();
SELECT app.processor() - :before AS processor_seconds \gset
\echo :processor_seconds s
ANALYZE;
\echo 'lint(), after ANALYZE'
SELECT app.processor() AS before \gset
SELECT count(*) FROM tenancy.lint();
SELECT app.processor() - :before AS processor_seconds, app.processor() AS before \gset
\echo :processor_seconds s
\echo 'prove_isolation()'
SELECT isolated, count(DISTINCT relation) AS relations, count(*) FROM tenancy.prove_isolation('bench_app') GROUP BY 1 ORDER BY 1;
SELECT app.processor() - :before AS processor_seconds \gset
\echo :processor_seconds s
