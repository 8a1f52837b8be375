-- lint(), part 2: views, functions, rules and replication, which lead around the
-- policies.  Each fault makes one rule speak, and its remedy makes it silent.
\set test lint_around
\getenv inputs PG_ABS_SRCDIR
\set lint :inputs /sql/lint.psql
\i :lint
SELECT * FROM findings;

-- attack 84: views that read with the rights of an exempt role
SELECT planted('CREATE VIEW v AS SELECT * FROM events');
SELECT planted('CREATE VIEW v AS SELECT * FROM tenancy.users');
SELECT planted('CREATE VIEW v WITH (security_invoker = off) AS SELECT * FROM events');
SELECT planted('CREATE VIEW v WITH (security_invoker) AS SELECT * FROM events');
SELECT planted('CREATE VIEW v AS SELECT * FROM events', 'ALTER VIEW v OWNER TO regress_lint_around_client');
SELECT planted('CREATE VIEW v AS SELECT * FROM tenancy.my_projects');
-- attack 85: view over view over table
SELECT planted('CREATE VIEW low AS SELECT * FROM events', 'CREATE VIEW high WITH (security_invoker) AS SELECT * FROM low',
			   'CREATE VIEW highest WITH (security_invoker) AS SELECT count(*) FROM high');
SELECT planted('CREATE VIEW low WITH (security_invoker) AS SELECT * FROM events', 'CREATE VIEW high AS SELECT * FROM low');
SELECT planted('CREATE VIEW v WITH (security_invoker) AS SELECT * FROM tenancy.access');
-- attack 87: materialized views
SELECT planted('CREATE MATERIALIZED VIEW m AS SELECT * FROM events');
SELECT planted('CREATE MATERIALIZED VIEW m AS SELECT * FROM events', 'GRANT SELECT ON m TO PUBLIC');
SELECT planted('CREATE VIEW low WITH (security_invoker) AS SELECT count(*) FROM events', 'CREATE MATERIALIZED VIEW m AS SELECT * FROM low',
			   'ALTER MATERIALIZED VIEW m OWNER TO regress_lint_around_client');
-- attack 87: which a function fills, itself or through a view or another function
SELECT planted('CREATE FUNCTION f() RETURNS SETOF events LANGUAGE sql AS ''SELECT * FROM regress.events''',
			   'CREATE MATERIALIZED VIEW m AS SELECT * FROM f()', 'GRANT SELECT ON m TO PUBLIC');
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS ''BEGIN RETURN count(*) FROM regress.events; END''',
			   'CREATE VIEW low WITH (security_invoker) AS SELECT f() AS n', 'CREATE MATERIALIZED VIEW m AS SELECT * FROM low');
SELECT planted('CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM regress.events; END',
			   'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT g(); END',
			   'CREATE MATERIALIZED VIEW m AS SELECT f()', 'ALTER MATERIALIZED VIEW m OWNER TO regress_lint_around_client');
SELECT planted('CREATE FUNCTION f() RETURNS SETOF known LANGUAGE sql AS ''SELECT * FROM regress.known''',
			   'CREATE MATERIALIZED VIEW m AS SELECT * FROM f()', 'GRANT SELECT ON m TO PUBLIC');
-- attack 86: writing through a view that filters
SELECT planted('CREATE VIEW v WITH (security_invoker) AS SELECT * FROM events WHERE amount > 1', 'GRANT SELECT, INSERT ON v TO PUBLIC');
SELECT planted('CREATE VIEW v WITH (security_invoker) AS SELECT * FROM events', 'GRANT SELECT, INSERT ON v TO PUBLIC');
-- attack 88: a filter without a barrier
SELECT planted('CREATE VIEW v AS SELECT * FROM known WHERE tenancy.can_view(id)');
-- attack 3: an identity from a setting
SELECT planted('CREATE VIEW v AS SELECT current_setting(''tenancy.user_id'') AS me');
SELECT planted('CREATE VIEW v AS SELECT current_setting(''tenancy.project_id'', true) AS mine');
SELECT planted('CREATE VIEW v AS SELECT current_setting(''work_mem'') AS mine');
SELECT planted('ALTER TABLE events ADD author text DEFAULT current_setting(''tenancy.user_id'', true)');
SELECT planted('CREATE FUNCTION me() RETURNS text LANGUAGE sql AS ''SELECT current_setting( ''''tenancy.user_id'''')''');
-- attack 90: rules
SELECT planted('CREATE RULE r AS ON INSERT TO events DO ALSO DELETE FROM known');
SELECT planted('CREATE RULE r AS ON DELETE TO known DO ALSO DELETE FROM events');
SELECT planted('CREATE RULE r AS ON DELETE TO known DO NOTHING');

-- attack 89: SECURITY DEFINER
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT count(*) FROM events''');
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp BEGIN ATOMIC SELECT count(*) FROM regress.events; END');
SELECT planted('CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp AS ''BEGIN DELETE FROM "regress"."events"; END''');
SELECT planted('CREATE PROCEDURE f() LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp AS ''BEGIN DELETE FROM events; END''');
SELECT planted('CREATE FUNCTION f() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ''SELECT max(u.email::text) FROM tenancy.users u''');
SELECT planted('CREATE VIEW v WITH (security_invoker) AS SELECT * FROM events',
			   'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT count(*) FROM v''');
SELECT planted('CREATE TABLE "Odd name" (project_id uuid)', 'SELECT tenancy.protect(''"Odd name"'')',
			   'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT count(*) FROM "Odd name"''');
SELECT planted('CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp
				AS ''BEGIN INSERT INTO events SELECT 1; RETURN NEW; END''', 'REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC');
SELECT planted('CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM regress.events; END',
			   'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp BEGIN ATOMIC SELECT g(); END');
-- not for others, not exempt, or not about protected tables: silence
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT count(*) FROM events''',
			   'REVOKE EXECUTE ON FUNCTION f() FROM PUBLIC');
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT count(*) FROM events''',
			   'ALTER FUNCTION f() OWNER TO regress_lint_around_client');
SELECT planted('CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp AS ''BEGIN RETURN count(*) FROM known prevents; END''');
SELECT planted('CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = regress, pg_temp AS ''BEGIN EXECUTE t; END''');
-- attacks 41 to 43: its path
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''');
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = regress AS ''SELECT 1''');
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '''' AS ''SELECT 1''');
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, "regress" AS ''SELECT 1''');
SELECT planted('CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = regress, pg_temp AS ''SELECT 1''',
			   'GRANT CREATE ON SCHEMA regress TO regress_lint_around_app',
			   -- of which remember() speaks too
			   'DROP FUNCTION remember');
-- attacks 31 and 68: claims
SELECT planted('CREATE FUNCTION f(uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS ''SELECT tenancy.can_view($1)''');
SELECT planted('CREATE FUNCTION f(p uuid) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN tenancy.can_view(p)');
SELECT planted('CREATE FUNCTION f(p uuid) RETURNS boolean LANGUAGE sql STABLE RETURN tenancy.can_view(p)');
SELECT planted('CREATE FUNCTION f() RETURNS text LANGUAGE sql IMMUTABLE AS ''SELECT current_setting(''''app.user'''')''');
SELECT planted('CREATE FUNCTION f() RETURNS text LANGUAGE sql IMMUTABLE RETURN current_user');
SELECT planted('CREATE FUNCTION f() RETURNS text LANGUAGE sql IMMUTABLE RETURN ''current''');
SELECT planted('CREATE FUNCTION f(text) RETURNS boolean LANGUAGE sql LEAKPROOF AS ''SELECT true''');
-- attack 156: NOTIFY
SELECT planted('CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify(''x'', max(amount)::text) FROM events; END $$');
SELECT planted('CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY x, ''y''; RETURN NULL; END $$',
			   'CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()');
SELECT planted('CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY x; RETURN NULL; END $$',
			   'CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()');
-- attack 125: procedures with credentials
SELECT planted('CREATE PROCEDURE sign_in(session_token text) LANGUAGE sql AS ''SELECT tenancy.authenticate(session_token)''');
-- attacks 73 and 167: somebody else's triggers
SELECT planted('CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''',
			   'CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION f()',
			   'ALTER FUNCTION f() OWNER TO regress_lint_around_client');
SELECT planted('CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS ''BEGIN END''', 'CREATE EVENT TRIGGER t ON sql_drop EXECUTE FUNCTION f()',
			   'ALTER FUNCTION f() OWNER TO regress_lint_around_client');

-- attack 110: replication
SET client_min_messages = error;
SELECT planted('CREATE PUBLICATION regress_lint FOR TABLE events');
SELECT planted('CREATE PUBLICATION regress_lint FOR TABLE known, tenancy.users');
SELECT planted('CREATE PUBLICATION regress_lint FOR TABLE known');
SELECT planted('CREATE PUBLICATION regress_lint FOR TABLES IN SCHEMA regress');
SELECT planted('CREATE PUBLICATION regress_lint FOR ALL TABLES');
SELECT planted('CREATE SUBSCRIPTION regress_lint CONNECTION ''dbname=nowhere'' PUBLICATION p WITH (connect = false, slot_name = NONE)');

\set ECHO none
\set end :inputs /sql/lint_end.psql
\i :end
