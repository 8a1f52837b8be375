-- Attacks with cursors: an identity that changes under them, memory that moves
-- under them, one that is handed on.  The numbers are those of the attack
-- catalogue.
\set test attacks_cursors
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE TABLE attacks_cursors_rows (project_id uuid NOT NULL, n integer);
SELECT tenancy.protect('attacks_cursors_rows') \gset
INSERT INTO attacks_cursors_rows SELECT p, n FROM generate_series(1, 10) n, (VALUES (:'p1'::uuid), (:'p2')) p (p) ORDER BY n;
VACUUM ANALYZE attacks_cursors_rows;
GRANT SELECT ON attacks_cursors_rows TO PUBLIC;

-- attack 35: under every plan, a cursor does not outlast the identity it was
-- opened with, fetched from or not
CREATE FUNCTION attacks_cursors_fetch(opener uuid, plan text, fetched integer, meanwhile text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	r record;
	n integer := 0;
	scan text;
BEGIN
	-- an index-only scan needs index scans to be on
	PERFORM set_config('enable_' || p, CASE WHEN p = plan OR p || plan = 'indexscanindexonlyscan' THEN 'on' ELSE 'off' END, true)
	FROM unnest(ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan']) p;
	PERFORM tenancy.act_as(opener);
	EXECUTE 'EXPLAIN (COSTS OFF) SELECT project_id FROM attacks_cursors_rows' INTO scan;
	IF lower(replace(scan, ' ', '')) NOT LIKE replace(plan, 'scan', '%scan') || '%' THEN
		RAISE WARNING 'not a %: %', plan, scan;
	END IF;
	-- not a static statement, whose plan would be that of the first call
	OPEN c FOR EXECUTE 'SELECT project_id FROM attacks_cursors_rows';
	FOR i IN 1 .. fetched LOOP
		FETCH c INTO r;
	END LOOP;
	EXECUTE meanwhile;
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		n := n + 1;
	END LOOP;
	RETURN n || ' rows';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN SQLERRM;
END $$;
\c - :gateway
SELECT plan, fetched,
	   attacks_cursors_fetch(:'alice', plan, fetched, format('SELECT tenancy.act_as(%L)', :'bob')) AS to_bob,
	   attacks_cursors_fetch(:'alice', plan, fetched, 'SELECT tenancy.act_as(NULL)') AS to_nobody,
	   attacks_cursors_fetch(:'alice', plan, fetched, format('SET LOCAL tenancy.project_id = %L', :'p2')) AS to_other_project,
	   attacks_cursors_fetch(:'alice', plan, fetched, format('SELECT tenancy.act_as(%L)', :'alice')) AS to_alice
FROM unnest(ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan']) plan, unnest(ARRAY[0, 1]) fetched;

-- attack 35: in SQL
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
DECLARE c CURSOR FOR SELECT n FROM attacks_cursors_rows ORDER BY n;
FETCH 1 FROM c;
SAVEPOINT s;
SELECT tenancy.act_as(:'bob') \gset
FETCH 1 FROM c;
ROLLBACK TO s;
-- ... which closed it for good: the first identity is back, the cursor is not
FETCH 1 FROM c;
ROLLBACK;
-- attack 35: a scrollable one, backwards; tenancy.user_id changes nothing here, since
-- act_as() comes first
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
DECLARE c SCROLL CURSOR FOR SELECT n FROM attacks_cursors_rows;
FETCH ABSOLUTE 10 FROM c;
SET LOCAL tenancy.user_id = :'bob';
FETCH BACKWARD 1 FROM c;
SELECT tenancy.act_as(:'bob') \gset
FETCH BACKWARD 1 FROM c;
ROLLBACK;
-- attack 35: no row is made for the other one before the error comes
CREATE FUNCTION pg_temp.shown(n integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'shown %', n; RETURN n; END $$;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
DECLARE c CURSOR FOR SELECT pg_temp.shown(n) FROM attacks_cursors_rows;
FETCH 1 FROM c;
SELECT tenancy.act_as(:'bob') \gset
FETCH 1 FROM c;
ROLLBACK;
-- attack 35: narrowing to another project is such a change, too
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
DECLARE c CURSOR FOR SELECT n FROM attacks_cursors_rows;
FETCH 1 FROM c;
SET LOCAL tenancy.project_id = :'p2';
FETCH 1 FROM c;
ROLLBACK;

-- attack 36: what a holdable cursor holds was its opener's when the transaction
-- ended; it holds nothing for nobody, and DISCARD ALL closes it
DECLARE h CURSOR WITH HOLD FOR SELECT count(*) FROM attacks_cursors_rows;
FETCH ALL FROM h;
CLOSE h;
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
DECLARE h CURSOR WITH HOLD FOR SELECT count(*) FROM attacks_cursors_rows;
COMMIT;
FETCH ALL FROM h;
DISCARD ALL;
FETCH ALL FROM h;
-- ... and one that was opened for alice does not end up with bob's rows
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
DECLARE h CURSOR WITH HOLD FOR SELECT count(*) FROM attacks_cursors_rows;
SELECT tenancy.act_as(:'bob') \gset
COMMIT;
FETCH ALL FROM h;

-- attack 37: sets that come and go do not move the memory under a cursor, whether
-- it asks about each row or has found them by an index
-- (fewer of them for those who take their time)
SET tenancy.cache_size = 64;
\set scale 100
\getenv scale TENANCY_TEST_SCALE
SELECT set_config('regress.crowd', (:scale * :scale / 5 + 3)::text, false) \gset
CREATE FUNCTION pg_temp.crowd() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. current_setting('regress.crowd')::integer LOOP
		PERFORM tenancy.act_as(('00000000-0000-4000-9000-' || lpad(i::text, 12, '0'))::uuid);
		PERFORM count(*) FROM events;
	END LOOP;
	RAISE division_by_zero;	-- takes the identity back
EXCEPTION WHEN division_by_zero THEN
END $$;
SELECT plan,
	   attacks_cursors_fetch(:'alice', plan, 1, 'SELECT pg_temp.crowd()') AS many_others,
	   attacks_cursors_fetch(:'alice', plan, 1, format('SELECT tenancy.delete_project(tenancy.create_project(%L, ''Another''))', :'one')) AS changes,
	   attacks_cursors_fetch(:'alice', plan, 1, format('SELECT pg_temp.crowd(), tenancy.create_project(%L, ''Another''), pg_temp.crowd()', :'one')) AS both
FROM unnest(ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan']) plan;

-- attack 100: a statement that has begun may finish with the rows it was begun
-- for, where an index has found them, or lose them; the next one has lost them
BEGIN;
SELECT attacks_cursors_fetch(:'alice', 'seqscan', 1, format('SELECT tenancy.delete_organization(%L)', :'one'));
SELECT count(*) FROM attacks_cursors_rows;
ROLLBACK;
BEGIN;
SELECT attacks_cursors_fetch(:'alice', 'indexscan', 1, format('SELECT tenancy.delete_organization(%L)', :'one'));
SELECT count(*) FROM attacks_cursors_rows;
ROLLBACK;

-- attack 38: a cursor that somebody else's function opened shows the caller's rows
\c - :superuser
CREATE FUNCTION attacks_cursors_open(name refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER
	AS 'BEGIN OPEN name FOR SELECT count(*) FROM attacks_cursors_rows; RETURN name; END';
ALTER FUNCTION attacks_cursors_open(refcursor) OWNER TO regress_attacks_cursors_gateway;
SELECT tenancy.create_session(:'bob') AS session_b \gset
\c - :app
BEGIN;
SELECT attacks_cursors_open('c') \gset
FETCH ALL FROM c;
CLOSE c;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT attacks_cursors_open('c') \gset
FETCH ALL FROM c;
CLOSE c;
SELECT attacks_cursors_open('c') \gset
SELECT tenancy.sign_out() \gset
FETCH ALL FROM c;
ROLLBACK;

-- attack 40: planner support and LEAKPROOF are not for everybody to attach or call
\c - :superuser
CREATE SCHEMA regress_attacks_cursors AUTHORIZATION regress_attacks_cursors_app;
\c - :app
CREATE FUNCTION regress_attacks_cursors.f(uuid) RETURNS boolean LANGUAGE sql SUPPORT tenancy._project_support AS 'SELECT true';
CREATE FUNCTION regress_attacks_cursors.f(uuid) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';
-- minor versions refuse these in words of their own
DO $$ BEGIN PERFORM tenancy._project_support(NULL); RAISE 'called'; EXCEPTION WHEN undefined_function OR feature_not_supported THEN NULL; END $$;
DO $$ BEGIN PERFORM tenancy._organization_support(NULL); RAISE 'called'; EXCEPTION WHEN undefined_function OR feature_not_supported THEN NULL; END $$;
CREATE FUNCTION regress_attacks_cursors.f(internal) RETURNS internal LANGUAGE c AS '$libdir/tenancy', 'tenancy_project_support';
SELECT tenancy._send_invalidation();
\c - :superuser
DO $$ BEGIN PERFORM tenancy._project_support(NULL); RAISE 'called'; EXCEPTION WHEN undefined_function OR feature_not_supported THEN NULL; END $$;
SELECT tenancy._send_invalidation();
-- ... and on a function of another shape it does nothing
CREATE FUNCTION regress_attacks_cursors.odd(text, uuid) RETURNS boolean LANGUAGE plpgsql SUPPORT tenancy._project_support AS 'BEGIN RETURN true; END';
CREATE FUNCTION regress_attacks_cursors.none() RETURNS boolean LANGUAGE plpgsql STABLE SUPPORT tenancy._project_support AS 'BEGIN RETURN true; END';
CREATE FUNCTION regress_attacks_cursors.odd2(uuid) RETURNS boolean LANGUAGE plpgsql STABLE SUPPORT tenancy._organization_support AS 'BEGIN RETURN true; END';
SELECT count(*) FROM attacks_cursors_rows WHERE regress_attacks_cursors.odd('x', project_id) AND regress_attacks_cursors.none() AND regress_attacks_cursors.odd2(project_id);
DROP SCHEMA regress_attacks_cursors CASCADE;
DROP TABLE attacks_cursors_rows;
DROP FUNCTION attacks_cursors_fetch(uuid, text, integer, text), attacks_cursors_open(refcursor);
\i :two_end
