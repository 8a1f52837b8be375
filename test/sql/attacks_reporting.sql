-- Attacks through what reporting tools use: views, copies, functions with
-- somebody else's rights, totals, catalogs, shared logins.  The numbers are those
-- of the attack catalogue.  What a superuser's views and functions show is not
-- promised, and is found by lint(): see lint_around.
\set test attacks_reporting
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
SET client_min_messages = warning;
CREATE ROLE regress_reporting_tables;
GRANT CREATE, USAGE ON SCHEMA regress TO regress_reporting_tables;
ALTER TABLE events OWNER TO regress_reporting_tables;
ALTER TABLE events ADD PRIMARY KEY (project_id, amount);
CREATE TABLE heard (what text);
GRANT INSERT, SELECT, DELETE ON heard TO PUBLIC;
-- tells its argument, and is the cheapest condition there is
CREATE FUNCTION leak(what anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
AS $$
BEGIN
	INSERT INTO regress.heard VALUES ($1::text);
	RETURN true;
END
$$;

-- attack 84: a view with the rights of an owner whom row security binds shows
-- what whoever is acting may see; so does one with the rights of who asks; and
-- one of a superuser's shows everything, which is not promised
SET ROLE regress_reporting_tables;
CREATE VIEW by_owner AS SELECT * FROM events;
CREATE VIEW by_invoker WITH (security_invoker) AS SELECT * FROM events;
GRANT SELECT, INSERT, UPDATE, DELETE ON by_owner, by_invoker TO PUBLIC;
RESET ROLE;
CREATE VIEW by_superuser AS SELECT * FROM events;
GRANT SELECT ON by_superuser TO PUBLIC;
CREATE FUNCTION through(view text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT coalesce(string_agg(v.project || '' '' || v.n, '', '' ORDER BY v.project), ''nothing'')
					FROM (SELECT regress.called(project_id) AS project, count(*) AS n FROM regress.%I GROUP BY 1) v', view) INTO answer;
	RETURN answer;
END
$$;
SET ROLE :app;
SELECT through('by_owner'), through('by_invoker'), through('by_superuser');
SELECT act('mia');
SELECT through('by_owner'), through('by_invoker'), through('by_superuser');
SELECT act('alice');
SELECT through('by_owner'), through('by_invoker');

-- attack 85: what lies below decides, whatever lies above
RESET ROLE;
CREATE VIEW over_owner WITH (security_invoker) AS SELECT * FROM by_owner;
CREATE VIEW over_invoker AS SELECT * FROM by_invoker;
ALTER VIEW over_invoker OWNER TO regress_reporting_tables;
GRANT SELECT ON over_owner, over_invoker TO PUBLIC;
SET ROLE :app;
SELECT act('mia');
SELECT through('over_owner'), through('over_invoker');

-- attack 86: writing through a view is writing into the table: hidden and absent
-- projects are refused alike, a hidden key is no conflict, and rows of others stay
SELECT alike('INSERT INTO by_owner VALUES (%1$L, 1)', 'open', 'hidden', 'foreign', 'fake');
SELECT alike('INSERT INTO by_invoker VALUES (%1$L, 1) ON CONFLICT (project_id, amount) DO UPDATE SET amount = 0', 'hidden', 'foreign', 'fake');
SELECT alike('INSERT INTO by_owner VALUES (%1$L, 1) ON CONFLICT DO NOTHING', 'hidden', 'foreign', 'fake');
SELECT alike('UPDATE by_owner SET project_id = %1$L WHERE amount = 1', 'hidden', 'foreign', 'fake');
SELECT trial('UPDATE by_owner SET amount = -amount'), trial('DELETE FROM by_invoker');

-- attack 87: a copy holds what its maker saw when it was filled, and nobody sees nothing
RESET ROLE;
SELECT tenancy.sign_out();
CREATE MATERIALIZED VIEW copied AS SELECT * FROM events WITH NO DATA;
ALTER MATERIALIZED VIEW copied OWNER TO regress_reporting_tables;
GRANT SELECT ON copied TO PUBLIC;
SET ROLE regress_reporting_tables;
REFRESH MATERIALIZED VIEW copied;
SET ROLE :app;
SELECT through('copied');

-- attack 88: a function of the asker's gets no hidden row through a view, with
-- a barrier or without, whatever the plan
SELECT act('mia');
CREATE FUNCTION pg_temp.heard() RETURNS text LANGUAGE sql
AS $$
	WITH gone AS (DELETE FROM regress.heard RETURNING what)
	SELECT string_agg(DISTINCT regress.called(what::uuid), ', ') FROM gone
$$;
SELECT count(*) FROM by_owner WHERE leak(project_id);
SELECT pg_temp.heard();
SELECT count(*) FROM by_invoker WHERE leak(project_id);
SELECT pg_temp.heard();
SELECT count(*) FROM over_invoker v JOIN known k ON k.id = v.project_id WHERE leak(v.project_id);
SELECT pg_temp.heard();
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM by_owner WHERE leak(project_id);
SELECT pg_temp.heard();
RESET enable_indexscan;
RESET enable_bitmapscan;

-- attack 89: a function with the rights of an owner whom row security binds
-- answers for whoever is acting
RESET ROLE;
CREATE FUNCTION rows_of() RETURNS SETOF events LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS 'SELECT * FROM events';
ALTER FUNCTION rows_of() OWNER TO regress_reporting_tables;
CREATE VIEW by_function AS SELECT * FROM rows_of();
GRANT SELECT ON by_function TO PUBLIC;
SET ROLE :app;
SELECT through('by_function');
SELECT act('bob');
SELECT through('by_function');

-- attack 90: so does a rule
RESET ROLE;
CREATE TABLE asked (n integer);
CREATE TABLE log (project_id uuid, amount integer);
ALTER TABLE asked OWNER TO regress_reporting_tables;
ALTER TABLE log OWNER TO regress_reporting_tables;
CREATE RULE r AS ON INSERT TO asked DO ALSO INSERT INTO log SELECT * FROM events;
GRANT INSERT ON asked TO PUBLIC;
SET ROLE :app;
SELECT act('mia');
INSERT INTO asked VALUES (1);
RESET ROLE;
SELECT through('log');

-- attack 91: totals are those of what one sees: with the hidden project and
-- without it, no number that a Member gets is another
CREATE VIEW dashboard WITH (security_invoker) AS
	SELECT o.name, o.member_count, f.feature, f.used,
		   (SELECT count(*) FROM tenancy.my_projects p WHERE p.organization_id = o.id) AS projects,
		   (SELECT count(*) FROM tenancy.project_members) AS grants,
		   count(e.project_id) AS events, sum(e.amount) AS amount, max(e.amount) AS latest
	FROM tenancy.my_organizations o
	JOIN tenancy.plan_features f ON f.organization_id = o.id
	LEFT JOIN tenancy.my_projects p ON p.organization_id = o.id
	LEFT JOIN events e ON e.project_id = p.id
	GROUP BY o.id, o.name, o.member_count, f.feature, f.used;
GRANT SELECT ON dashboard TO PUBLIC;
INSERT INTO events VALUES (id('hidden'), 1000);
SET ROLE :app;
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'member');
SELECT * FROM dashboard ORDER BY feature;
SELECT act('mia');
SELECT * FROM dashboard ORDER BY feature;
BEGIN;
CREATE TEMP TABLE shown AS SELECT * FROM dashboard;
SELECT act('alice');
SELECT tenancy.delete_project(id('hidden'));
SELECT act('mia');
SELECT count(*) AS different FROM (SELECT * FROM dashboard EXCEPT SELECT * FROM shown) d;
ROLLBACK;

-- attack 93: no object is made for a project, and so no catalog says its name or id
CREATE FUNCTION pg_temp.catalogs() RETURNS TABLE (catalog text, n bigint, telling bigint) LANGUAGE plpgsql
AS $$
BEGIN
	FOR catalog IN SELECT c.relname FROM pg_class c
				   WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT') LOOP
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE t::text ~ $1) FROM pg_catalog.%I t', catalog)
		INTO n, telling USING format('%s|%s|%s', id('another'), replace(id('another')::text, '-', '_'), reverse('rehtona'));
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE TEMP TABLE before (catalog text, n bigint, telling bigint);
SELECT remember('another', id('fake'));
INSERT INTO before SELECT * FROM pg_temp.catalogs();
SELECT act('alice');
SELECT remember('another', tenancy.create_project(id('acme'), reverse('rehtona'), true));
INSERT INTO events VALUES (id('another'), 1);
SELECT act('mia');
SELECT count(*) > 40 AS catalogs, count(*) FILTER (WHERE a.n <> b.n) AS grown, sum(a.telling - b.telling) AS telling
FROM pg_temp.catalogs() a JOIN before b USING (catalog);

-- attack 94: a reporting login is nobody until it signs in, and what it signed
-- in as ends with what gave it; another such login inherits nothing
RESET ROLE;
SELECT tenancy.sign_out();
CREATE ROLE regress_reporting_a LOGIN;
CREATE ROLE regress_reporting_b LOGIN;
GRANT regress_reporting_b TO regress_reporting_a;
SELECT tenancy.create_session(id('mia')) AS mia, tenancy.create_session(id('bob')) AS bob \gset
SET SESSION AUTHORIZATION regress_reporting_a;
SELECT sees();
SET tenancy.user_id = '00000000-0000-4000-8000-000000000001';
ALTER ROLE regress_reporting_a SET tenancy.user_id = '00000000-0000-4000-8000-000000000001';
SELECT tenancy.act_as(id('alice'));
BEGIN;
SELECT tenancy.authenticate(:'mia');
SELECT sees();
-- SET ROLE changes rights, not who is acting
SET LOCAL ROLE regress_reporting_b;
SELECT sees();
COMMIT;
SELECT sees();
-- one connection, one after the other
BEGIN;
SELECT tenancy.authenticate(:'bob');
SELECT sees();
COMMIT;
SELECT sees();
-- taken away while connected, with the session, and with the membership
SELECT tenancy.authenticate(:'mia', true);
SELECT sees();
RESET SESSION AUTHORIZATION;
DELETE FROM tenancy.memberships WHERE user_id = id('mia');
SET SESSION AUTHORIZATION regress_reporting_a;
SELECT sees();
SELECT tenancy.authenticate(:'bob', true);
SELECT sees();
RESET SESSION AUTHORIZATION;
SELECT tenancy.revoke_sessions(id('bob'));
SET SESSION AUTHORIZATION regress_reporting_a;
SELECT sees();

\set ECHO none
RESET SESSION AUTHORIZATION;
RESET ROLE;
SELECT tenancy.sign_out() \gset
SET client_min_messages = warning;
ALTER TABLE events OWNER TO CURRENT_USER;
DROP VIEW by_owner, by_invoker, over_owner, over_invoker, by_function;
DROP FUNCTION rows_of();
DROP TABLE log, asked;
DROP OWNED BY regress_reporting_tables, regress_reporting_a, regress_reporting_b CASCADE;
DROP ROLE regress_reporting_tables, regress_reporting_a, regress_reporting_b;
\i :cleanup
