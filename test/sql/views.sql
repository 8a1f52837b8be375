-- The views for applications and reports: what they show, to whom, and that they
-- show nothing else to anybody.
\set test views
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'administrator');
SELECT tenancy.create_invite(id('acme'), 'alices@regress.example') IS NOT NULL;
SELECT act('mia');
SELECT tenancy.create_invite(id('acme'), 'mias@regress.example') IS NOT NULL;
SELECT act('bob');
SELECT tenancy.create_invite(id('rival'), 'bobs@regress.example') IS NOT NULL;
RESET ROLE;
INSERT INTO tenancy.invites (organization_id, email, digest, expires_at)
VALUES (id('acme'), 'late@regress.example', sha256('late'), clock_timestamp());
INSERT INTO tenancy.memberships (organization_id, user_id, level, invited_by) VALUES (id('rival'), id('max'), 'administrator', id('bob'));
SET ROLE :app;

-- permission_matrix: what the library decides by, the same for everybody;
-- behaviour 77: it knows no plan
\pset tuples_only off
\pset footer off
SELECT * FROM tenancy.permission_matrix;

-- my_organizations: own level, plan, number of members
SELECT act('max');
SELECT called(id) AS id, name, level, plan, notify_on_join, member_count FROM tenancy.my_organizations ORDER BY 1;
-- my_projects: effective level, privacy and the token
SELECT called(id) AS id, called(organization_id) AS organization, name, is_private, level, token ~ '^tnp_' AS token FROM tenancy.my_projects ORDER BY 1;
-- members: everybody, the Owner included, who invited them and when they joined
SELECT called(organization_id) AS organization, called(user_id) AS "user", email, name, level, called(invited_by) AS invited_by,
	joined_at <= clock_timestamp() AS joined FROM tenancy.members ORDER BY 1, 2;
-- project_members: those who were added to a project
SELECT called(project_id) AS project, called(user_id) AS "user", email, name, level FROM tenancy.project_members ORDER BY 1, 2;
-- pending_invites: the ones that can be accepted, to Administrators and the Owner
SELECT called(organization_id) AS organization, email, called(invited_by) AS invited_by, expires_at > created_at AS open FROM tenancy.pending_invites ORDER BY 2;
\pset tuples_only on
-- ... of a Member only their own (attack 150)
SELECT act('mia');
SELECT email FROM tenancy.pending_invites ORDER BY 1;
SELECT called(id), level, member_count FROM tenancy.my_organizations;
SELECT called(id), level FROM tenancy.my_projects ORDER BY 1;
SELECT count(*) FROM tenancy.project_members;
SELECT act('alice');
SELECT email FROM tenancy.pending_invites ORDER BY 1;
SELECT called(user_id) FROM tenancy.members ORDER BY 1;

-- a token is in the view as long as it lives
SELECT tenancy.rotate_project_token(id('open')) AS token \gset
SELECT called(id) FROM tenancy.my_projects WHERE token = :'token';
SELECT count(*) FROM tenancy.my_projects;

-- deactivated users count for nothing, here and now
SELECT tenancy.set_user_active(id('max'), false);
SELECT member_count FROM tenancy.my_organizations;
SELECT called(user_id) FROM tenancy.members ORDER BY 1;
SELECT count(*) FROM tenancy.project_members;
SELECT tenancy.set_user_active(id('max'), true);
-- ... nor does a deactivated Owner, whom their members do not see
SELECT tenancy.set_user_active(id('alice'), false);
SELECT act('mia');
SELECT member_count FROM tenancy.my_organizations;
SELECT called(user_id) FROM tenancy.members ORDER BY 1;
SELECT tenancy.set_user_active(id('alice'), true);
SELECT act('alice');

-- who is in no organization, and who is nobody, sees nothing in any of them
CREATE FUNCTION pg_temp.counts() RETURNS text LANGUAGE sql
AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM tenancy.my_organizations), (SELECT count(*) FROM tenancy.my_projects),
		(SELECT count(*) FROM tenancy.members), (SELECT count(*) FROM tenancy.project_members), (SELECT count(*) FROM tenancy.pending_invites))
$$;
SELECT pg_temp.counts();
SELECT act('eve');
SELECT pg_temp.counts();
SELECT tenancy.sign_out();
SELECT pg_temp.counts();
-- ... a generic plan is not whose it was first
SET plan_cache_mode = force_generic_plan;
PREPARE counts AS SELECT (SELECT count(*) FROM tenancy.my_organizations), (SELECT count(*) FROM tenancy.my_projects), (SELECT count(*) FROM tenancy.members);
EXECUTE counts;
SELECT act('max');
EXECUTE counts;
SELECT act('mia');
EXECUTE counts;
SELECT tenancy.sign_out();
EXECUTE counts;
RESET plan_cache_mode;

-- attack 169, and 68 and 88 for these views: a cheap function in the query is
-- shown no row of anybody else's, wherever it stands and whatever the plan
RESET ROLE;
CREATE TABLE heard (relation text, secret text);
CREATE FUNCTION leak(relation text, secret text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER COST 0.0000001
AS $$
BEGIN
	INSERT INTO regress.heard VALUES (relation, secret);
	RETURN true;
END
$$;
-- the place of a query in which it stands, for the table or view %1$s
CREATE TABLE shapes (shape text);
INSERT INTO shapes VALUES
	('SELECT * FROM (SELECT %2$s FROM tenancy.%1$s t) t WHERE regress.leak(%1$L, t::text)'),
	('SELECT * FROM (SELECT %2$s FROM tenancy.%1$s t) t ORDER BY regress.leak(%1$L, t::text)'),
	('SELECT count(*) FILTER (WHERE regress.leak(%1$L, t::text)) FROM (SELECT %2$s FROM tenancy.%1$s t) t'),
	('SELECT * FROM tenancy.plans p LEFT JOIN (SELECT %2$s FROM tenancy.%1$s t) t ON regress.leak(%1$L, t::text)'),
	('SELECT * FROM tenancy.plans p, LATERAL (SELECT %2$s FROM tenancy.%1$s t WHERE regress.leak(%1$L, (SELECT string_agg(v, '' '') FROM jsonb_each_text(to_jsonb(t)) AS x (k, v)))) t'),
	('SELECT count(*) FROM (SELECT %2$s FROM tenancy.%1$s t) t GROUP BY t HAVING regress.leak(%1$L, t::text)'),
	('SELECT %2$s FROM tenancy.%1$s t UNION ALL SELECT * FROM (SELECT %2$s FROM tenancy.%1$s t) t WHERE regress.leak(%1$L, t::text)'),
	('SELECT 1 WHERE EXISTS (SELECT FROM (SELECT %2$s FROM tenancy.%1$s t) t WHERE regress.leak(%1$L, t::text))');
CREATE FUNCTION listen() RETURNS bigint LANGUAGE plpgsql
AS $$
DECLARE
	query text;
	queries bigint := 0;
BEGIN
	FOR query IN
		SELECT format(replace(s.shape, 'to_jsonb(t)', 'jsonb_build_object(' || string_agg(quote_literal(a.attname) || ', t.' || quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'),
					  c.relname, string_agg('t.' || quote_ident(a.attname), ', ' ORDER BY a.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, regress.shapes s
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0
			AND has_column_privilege(c.oid, a.attnum, 'SELECT')
			AND c.relname NOT IN ('plans', 'permission_matrix', 'protected_tables', 'lint_rules', 'stats')
		GROUP BY c.relname, s.shape
	LOOP
		EXECUTE query;
		queries := queries + 1;
	END LOOP;
	RETURN queries;
END
$$;
GRANT SELECT ON shapes TO PUBLIC;
SET ROLE :app;
SELECT act('mia');
SET jit = off;
SELECT called(user_id) FROM tenancy.members WHERE leak('members', email) ORDER BY 1;
SELECT listen() > 80 AS listened;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SELECT listen() > 80 AS listened;
SET enable_nestloop = off;
SET enable_indexscan = off;
SELECT listen() > 80 AS listened;
RESET enable_seqscan;
SET enable_mergejoin = off;
RESET enable_hashjoin;
SELECT listen() > 80 AS listened;
RESET enable_nestloop;
RESET enable_indexscan;
RESET enable_mergejoin;
RESET ROLE;
-- what reached it: as many relations as mia has rows in, and no word of others
SELECT count(DISTINCT relation) FROM heard;
SELECT count(*) FILTER (WHERE secret LIKE '%alice@regress.example%') > 0 AS own,
	count(*) FILTER (WHERE secret ~* 'bob|eve@|Rival|Secret|alices@|late@') AS foreign,
	count(*) FILTER (WHERE position(id('hidden')::text IN secret) > 0 OR position(id('rival')::text IN secret) > 0 OR position(id('foreign')::text IN secret) > 0) AS hidden
FROM heard;
TRUNCATE heard;
SET ROLE :client;
SELECT tenancy.sign_out();
SELECT listen() > 80 AS listened;
RESET ROLE;
SELECT count(*) FROM heard;

-- attack 92: no table or view says to a Member anything of the hidden project
-- that its members are shown
SET ROLE :app;
SELECT act('max');
SELECT listen() > 80 AS listened;
RESET ROLE;
SELECT DISTINCT relation FROM heard WHERE position(id('hidden')::text IN secret) > 0 ORDER BY 1;

\i :cleanup
