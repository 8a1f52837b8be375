-- demo.sql: the story of `make demo`.  Every number is the answer of a query.
\ir demo-load.sql
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on

\echo The data
SELECT format('  %s flight records in %s projects of %s organizations',
	to_char(count(*), 'FM999,999'), count(DISTINCT project_id),
	count(DISTINCT organization_id))
FROM flights JOIN tenancy.projects p ON p.id = project_id;

-- Everything below is what an application's connection gets.
\connect - app
SELECT format('  role %s owns %s tables, superuser: %s, bypasses row security: %s',
	rolname, (SELECT count(*) FROM pg_class WHERE relowner = r.oid),
	CASE WHEN rolsuper THEN 'yes' ELSE 'no' END,
	CASE WHEN rolbypassrls THEN 'yes' ELSE 'no' END)
FROM pg_roles r WHERE rolname = current_user;

-- One statement, planned for nobody in particular, asked by everybody.
PREPARE i_see AS
SELECT format('  %-30s sees %8s rows in %s projects',
	coalesce((SELECT format('%s (%s of %s)', m.name, initcap(m.level::text), o.name)
			  FROM tenancy.members m
				  JOIN tenancy.my_organizations o ON o.id = m.organization_id
			  WHERE m.user_id = tenancy.current_user_id()), 'nobody'),
	to_char(count(*), 'FM999,999'), count(DISTINCT project_id))
FROM flights;
PREPARE visible AS SELECT count(*) AS n FROM flights;

\echo
\echo 'Who sees what: the same SELECT, without a WHERE'
BEGIN; SELECT tenancy.act_as(:'alice') \gset
EXECUTE i_see; COMMIT;
BEGIN; SELECT tenancy.act_as(:'bob') \gset
EXECUTE i_see; COMMIT;
BEGIN; SELECT tenancy.act_as(:'carol') \gset
EXECUTE i_see;
SELECT count(*) AS miami_before FROM flights WHERE origin = 'MIA' \gset
COMMIT;
BEGIN; SELECT tenancy.act_as(:'erin') \gset
EXECUTE i_see; COMMIT;
EXECUTE i_see;
EXECUTE visible \gset nobody_
BEGIN; SELECT tenancy.act_as(:'carol') \gset
\echo '  carol''s count reads only what is hers:'
EXPLAIN (COSTS OFF) SELECT count(*) FROM flights \g |sed -n 's/^[ >-]*\(Index .*\)/    \1/p'
COMMIT;

\echo
\echo 'A private project: alice makes Miami private'
BEGIN; SELECT tenancy.act_as(:'alice') \gset
SELECT id AS miami FROM tenancy.my_projects WHERE name = 'Miami' \gset
SELECT id AS boston, token FROM tenancy.my_projects WHERE name = 'Boston' \gset
SELECT tenancy.set_project_privacy(:'miami', true) \gset
COMMIT;
BEGIN; SELECT tenancy.act_as(:'bob') \gset
EXECUTE i_see; COMMIT;
BEGIN; SELECT tenancy.act_as(:'carol') \gset
EXECUTE i_see;
SELECT count(*) AS miami_after FROM flights WHERE origin = 'MIA' \gset
COMMIT;
SELECT format('  carol counts %s rows from Miami before, %s after',
	to_char(:miami_before, 'FM999,999'), :miami_after);

\set ON_ERROR_STOP off
BEGIN; SELECT tenancy.act_as(:'carol') \gset
SELECT tenancy.rename_project(:'boston', 'Mine');
\set state :SQLSTATE
ROLLBACK;
SELECT format('  carol renames Boston, which she sees:   %s %s', :'state', :'LAST_ERROR_MESSAGE');
BEGIN; SELECT tenancy.act_as(:'carol') \gset
SELECT tenancy.rename_project(:'miami', 'Mine');
\set hidden :SQLSTATE ' ' :LAST_ERROR_MESSAGE
ROLLBACK;
SELECT format('  carol renames Miami, hidden from her:   %s', :'hidden');
BEGIN; SELECT tenancy.act_as(:'carol') \gset
SELECT tenancy.rename_project(gen_random_uuid(), 'Mine');
\set unknown :SQLSTATE ' ' :LAST_ERROR_MESSAGE
ROLLBACK;
SELECT format('  carol renames an id that never existed: %s', :'unknown');
\set ON_ERROR_STOP on

\echo
\echo 'A write-only token, as a web page or a sensor would hold it'
BEGIN; SELECT tenancy.authenticate(:'token') \gset
INSERT INTO flights (date, delay, distance, origin, destination)
VALUES (localtimestamp, 4, 946, 'BOS', 'ATL');
\set inserted :ROW_COUNT
EXECUTE visible \gset token_
COMMIT;
SELECT format('  Boston''s token %s... inserts %s row and sees %s rows',
	left(:'token', 8), :inserted, :token_n);
BEGIN; SELECT tenancy.act_as(:'alice') \gset
SELECT format('  alice finds %s row in Boston that is newer than the records',
	count(*)) FROM flights WHERE project_id = :'boston' AND date > '2002-01-01';
SELECT tenancy.rotate_project_token(:'boston') AS new_token \gset
COMMIT;
\set ON_ERROR_STOP off
BEGIN; SELECT tenancy.authenticate(:'token');
\set refused :SQLSTATE
ROLLBACK;
\set ON_ERROR_STOP on
SELECT format('  alice regenerates it; the old one gets %s %s', :'refused', :'LAST_ERROR_MESSAGE');
BEGIN; SELECT tenancy.authenticate(:'new_token') \gset
INSERT INTO flights (date, delay, distance, origin, destination)
VALUES (localtimestamp, -2, 946, 'BOS', 'ATL');
\set inserted_again :ROW_COUNT
COMMIT;
SELECT format('  the new one, %s..., inserts %s row', left(:'new_token', 8), :inserted_again);

\echo
\echo 'Removed in the middle of a transaction: dave has one open, REPEATABLE READ'
\setenv ALICE :alice
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.act_as(:'dave') \gset
EXECUTE visible \gset before_
SELECT format('  dave counts %s rows', to_char(:before_n, 'FM999,999'));
\! echo "BEGIN; SELECT tenancy.act_as('$ALICE'); SELECT tenancy.remove_member(organization_id, user_id) FROM tenancy.members WHERE name = 'dave'; COMMIT;" | psql -XqAt -U app -v ON_ERROR_STOP=1 >/dev/null
\echo '  alice removes dave, on another connection'
EXECUTE visible \gset after_
SELECT format('  dave counts %s rows: same transaction, same prepared statement', :after_n);
COMMIT;

-- A story that does not hold must not end well.
SELECT :nobody_n = 0 AND :miami_before > 0 AND :miami_after = 0
	AND :'state' = '42501' AND :'hidden' LIKE 'P0002 %' AND :'hidden' = :'unknown'
	AND :inserted = 1 AND :token_n = 0 AND :'refused' = '28000'
	AND :inserted_again = 1 AND :before_n > 0 AND :after_n = 0 AS holds \gset
\if :holds
\else
DO $$ BEGIN RAISE EXCEPTION 'the numbers above are not what tenancy promises'; END $$;
\endif
