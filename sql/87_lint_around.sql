-- ---------------------------------------------------------------------
-- lint, part 2: what leads around the policies: other policies, views,
-- functions, rules, replication
-- ---------------------------------------------------------------------

-- ---------------------------------------------------------------------
-- Policies that are not ours
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_policies(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT t.relation FROM tenancy._lint_protected() t),
	policies AS MATERIALIZED (
		SELECT p.oid, p.polname, p.polrelid AS relation, p.polpermissive,
			   format('policy %I on %s', p.polname, p.polrelid::regclass) AS name,
			   format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass) AS removal,
			   p.polrelid IN (SELECT t.relation FROM protected t) AS protected,
			   concat_ws(E'\n', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS text,
			   p.polroles, concat(p.polqual, p.polwithcheck) AS tree
		FROM pg_policy p
		JOIN tenancy._lint_relations() r ON r.relation = p.polrelid
		WHERE p.polname <> ALL (tenancy._policy_names()))

	-- What was written to be enforced is not.
	SELECT 'policies_without_row_security', r.relation::regclass::text, 'it has policies, and row security is off',
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND NOT c.relrowsecurity
	WHERE EXISTS (SELECT FROM policies p WHERE p.relation = r.relation)
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- The owner, and views and functions with the owner's rights, see everything.
	SELECT 'policies_not_forced', r.relation::regclass::text, 'it has policies, and they do not hold for the owner of the table',
		   format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND c.relrowsecurity AND NOT c.relforcerowsecurity
	WHERE EXISTS (SELECT FROM policies p WHERE p.relation = r.relation)
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- Nobody but exempt roles sees a row: safe, and seldom meant.  Restrictive
	-- policies only take away.
	SELECT 'row_security_without_policies', r.relation::regclass::text, 'row security is on, and no policy lets anybody in',
		   format('-- protect %s, or: ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY', r.relation::regclass)
	FROM tenancy._lint_relations() r
	JOIN pg_class c ON c.oid = r.relation AND c.relrowsecurity
	WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = r.relation AND p.polpermissive)
	  -- of these the rules about our policies speak
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = r.relation)
	UNION ALL
	-- A policy that is always true decides nothing, or everything.
	SELECT 'policy_always_true', p.name, 'its condition is always true', p.removal
	FROM policies p
	WHERE p.text ~ '(^|\n)\(?true\)?($|\n)|\mOR \(?true\M|\mtrue\)? OR\M|\((\d+) = \3\)'
	UNION ALL
	-- A permissive policy that is never true lets nobody in.
	SELECT 'policy_always_false', p.name, 'its condition is always false: it lets nobody in', p.removal
	FROM policies p
	WHERE p.polpermissive AND p.text ~ '(^|\n)\(?false\)?($|\n)|\mAND \(?false\M|\mfalse\)? AND\M'
	UNION ALL
	-- It opens the whole table, or nothing of it.
	SELECT 'policy_ignores_row', p.name, 'its condition looks at no column of the row: it opens all rows or none', p.removal
	FROM policies p
	WHERE p.polpermissive AND p.text !~ '^(\(?(true|false)\)?\n?)+$|\((\d+) = \3\)'
	  AND NOT EXISTS (SELECT FROM pg_depend d
					  WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.relation AND d.refobjsubid > 0)
	UNION ALL
	-- Whoever is not signed in is let in.
	SELECT 'policy_opens_to_nobody', p.name, 'it lets in whoever is not signed in', p.removal
	FROM policies p
	WHERE p.text ~ '\m(current_user_id|current_project_id)\(\)\)? IS (NULL|DISTINCT FROM)\M|IS DISTINCT FROM (tenancy[.])?(current_user_id|current_project_id)\(|\mCOALESCE\((tenancy[.])?(current_user_id|current_project_id)\('
	   OR p.text ~ '\mcurrent_setting\([^()]*\)\)? IS NULL\M'
	UNION ALL
	-- A percent sign in a name, and it matches everybody.
	SELECT 'policy_matches_pattern', p.name, 'it matches by a pattern what says who is acting: a wildcard is everybody', p.removal
	FROM policies p
	WHERE p.text ~ ' !?~~?[*]? ' AND p.text ~ '\mcurrent_setting\(|\mcurrent_(user|project)_id\(|\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
	UNION ALL
	-- Asked for each row anew, without index and without parallel plans, and with
	-- another answer each time.
	SELECT 'policy_volatile', p.name,
		   format('it calls %s, which is volatile', string_agg(DISTINCT f.oid::regprocedure::text, ', ')), p.removal
	FROM policies p
	CROSS JOIN LATERAL regexp_matches(p.tree, ':(?:funcid|opfuncid) (\d+)', 'g') m (ids)
	JOIN pg_proc f ON f.oid = m.ids[1]::oid AND f.provolatile = 'v'
	GROUP BY p.name, p.removal
	UNION ALL
	-- Whom it names is not bound by row security, or is nobody.
	SELECT 'policy_role_inert', p.name,
		   format('it is for %s, and nobody who is bound by row security works as that', string_agg(tenancy._lint_role(r.oid), ', ')),
		   format('-- let policy %I be for the roles that applications log in as', p.polname)
	FROM policies p
	CROSS JOIN LATERAL unnest(p.polroles) n (role)
	LEFT JOIN pg_roles r ON r.oid = n.role
	GROUP BY p.name, p.polname
	HAVING bool_and(n.role <> 0
					AND (r.rolsuper OR r.rolbypassrls
						 OR (NOT r.rolcanlogin AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))))
	UNION ALL
	-- "Not" turns nobody into everybody, COALESCE lets rows without project
	-- through, and under OR there is no index condition.
	SELECT 'policy_wraps_predicate', p.name, 'it asks tenancy under NOT, OR, CASE, COALESCE or IS: what is unknown may come out as yes',
		   p.removal
	FROM policies p
	WHERE p.text ~ '\m(can_view|can_edit|can_write|can_reach|is_member)\('
	  AND p.text ~ '\m(NOT|OR|CASE|COALESCE|NULLIF)\M|\mIS (NOT )?(NULL|TRUE|FALSE|UNKNOWN|DISTINCT)'
	UNION ALL
	-- All users of an application are one role, and settings are anybody's to set.
	SELECT 'policy_reads_session', p.name, 'it depends on the role or on a setting, which say nothing about who is acting',
		   p.removal
	FROM policies p
	WHERE p.protected AND p.text ~ '\mcurrent_setting\(|\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
	  AND p.text !~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- Whoever may write into the table that a policy asks decides what it says.
	SELECT 'policy_reads_writable', p.name,
		   format('it depends on %s, which %s may change and which is not protected', d.refobjid::regclass, tenancy._lint_role(a.grantee)),
		   format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %s;', d.refobjid::regclass, tenancy._lint_role(a.grantee))
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
					AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.relation
	JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace <> 'tenancy'::regnamespace
	CROSS JOIN LATERAL aclexplode(c.relacl) a
	WHERE p.protected AND a.grantee <> c.relowner AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE')
	  AND d.refobjid NOT IN (SELECT t.relation FROM protected t)
	GROUP BY p.name, d.refobjid, a.grantee
	UNION ALL
	-- Policies run with the rights of whoever asks, who so may read all of it.
	SELECT 'policy_reads_unprotected', p.name,
		   format('it depends on %s, which has no row security: whoever it is asked for may read all of that', d.refobjid::regclass),
		   format('-- protect %s, or ask it through a function', d.refobjid::regclass)
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
					AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.relation
	JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity AND c.relnamespace <> 'tenancy'::regnamespace
	WHERE p.protected
	GROUP BY p.name, d.refobjid
	UNION ALL
	-- The planner sees an index condition only through functions that it inlines.
	SELECT 'wrapper_not_inlined', p.name,
		   format('it asks tenancy through %s, which the planner cannot see through: no index is used', f.oid::regprocedure),
		   format('-- call tenancy''s functions in policy %I directly', p.polname)
	FROM policies p
	JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
	JOIN pg_proc f ON f.oid = d.refobjid AND f.pronamespace <> 'tenancy'::regnamespace AND f.oid >= 16384
	JOIN pg_language l ON l.oid = f.prolang
	WHERE f.prosrc ~ '\m(can_view|can_edit|can_write|can_reach|is_member)"?\s*\('
	  AND (l.lanname <> 'sql' OR f.prosecdef OR f.proconfig IS NOT NULL OR f.proisstrict)
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody
	-- may have set.
	SELECT 'identity_from_setting', p.name, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM policies p
	WHERE p.text ~ 'current_setting\(''tenancy[.]'
$$;
COMMENT ON FUNCTION tenancy._lint_policies() IS 'Part of lint(): policies that are not ours.';

-- ---------------------------------------------------------------------
-- Views, materialized views, rules
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_views(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	-- What holds rows of tenants.
	guarded AS MATERIALIZED (
		SELECT t.relation FROM protected t
		UNION ALL
		SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND c.relname <> 'plans'),
	views AS MATERIALIZED (
		SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relnamespace <> 'tenancy'::regnamespace AS theirs,
			   c.relkind = 'v' AND x.invoker IS NOT TRUE AND (o.rolsuper OR o.rolbypassrls) AS exempt,
			   o.rolsuper OR o.rolbypassrls AS owner_exempt, coalesce(x.barrier, false) AS barrier, coalesce(x.checked, false) AS checked
		FROM pg_class c
		JOIN pg_roles o ON o.oid = c.relowner
		CROSS JOIN LATERAL (SELECT bool_or(CASE WHEN t.option_name = 'security_invoker' THEN t.option_value::boolean END) AS invoker,
								   bool_or(CASE WHEN t.option_name = 'security_barrier' THEN t.option_value::boolean END) AS barrier,
								   bool_or(t.option_name = 'check_option') AS checked
							FROM pg_options_to_table(c.reloptions) t) x
		WHERE c.relkind IN ('v', 'm') AND c.oid >= 16384),
	reads AS MATERIALIZED (
		SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
		FROM pg_rewrite r
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
		WHERE r.ev_type = '1' AND r.ev_class IN (SELECT v.oid FROM views v)),
	-- A view reads its tables with the rights of its owner, or of whoever asks,
	-- wherever the view itself is used.
	culprits AS MATERIALIZED (
		SELECT v.oid, v.relowner, v.theirs, string_agg(x.relation::regclass::text, ', ' ORDER BY x.relation::regclass::text COLLATE "C") AS tables
		FROM views v
		JOIN reads x ON x.view = v.oid
		JOIN guarded g ON g.relation = x.relation
		WHERE v.exempt
		GROUP BY v.oid, v.relowner, v.theirs),
	-- Everything above a culprit.
	above (view, culprit) AS (
		SELECT x.view, c.oid FROM culprits c JOIN reads x ON x.relation = c.oid
		UNION
		SELECT x.view, a.culprit FROM above a JOIN reads x ON x.relation = a.view),
	-- Everything above a protected table.
	touching (view) AS (
		SELECT x.view FROM reads x JOIN guarded g ON g.relation = x.relation
		UNION
		SELECT x.view FROM touching t JOIN reads x ON x.relation = t.view)

	-- Superusers and roles with BYPASSRLS see all rows, and so does everybody
	-- through a view of theirs.
	SELECT 'view_owner_exempt', c.oid::regclass::text,
		   format('it reads %s with the rights of %s, whom row security does not bind', c.tables, tenancy._lint_role(c.relowner)),
		   format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass)
	FROM culprits c WHERE c.theirs
	UNION ALL
	SELECT 'view_owner_exempt', a.view::regclass::text,
		   format('it reads %s by way of %s, with the rights of %s, whom row security does not bind', c.tables, c.oid::regclass, tenancy._lint_role(c.relowner)),
		   CASE WHEN c.theirs THEN format('ALTER VIEW %s SET (security_invoker = true);', c.oid::regclass)
				ELSE format('-- let %s read tenancy''s tables, or the views for everybody, in place of %s', a.view::regclass, c.oid::regclass) END
	FROM above a
	JOIN culprits c ON c.oid = a.culprit
	JOIN views v ON v.oid = a.view AND v.theirs AND v.relkind = 'v'
	WHERE a.view NOT IN (SELECT k.oid FROM culprits k)
	UNION ALL
	-- A materialized view is a copy: it holds what its maker saw, for everybody
	-- who may read it.
	SELECT 'materialized_view', v.oid::regclass::text,
		   CASE WHEN h.names IS NULL THEN format('a copy of rows that are protected, which %s may read', tenancy._lint_role(v.relowner))
				ELSE format('a copy of rows that are protected, which %s may read', h.names) END,
		   CASE WHEN h.names IS NULL THEN format('DROP MATERIALIZED VIEW %s;', v.oid::regclass)
				ELSE format('REVOKE ALL ON %s FROM %s CASCADE;', v.oid::regclass, h.names) END
	FROM views v
	JOIN touching t ON t.view = v.oid
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner) h
	WHERE v.relkind = 'm' AND (h.names IS NOT NULL OR NOT v.owner_exempt)
	UNION ALL
	-- One GRANT away from the rule above.
	SELECT 'materialized_view_private', v.oid::regclass::text,
		   format('a copy of rows that are protected, which only %s may read', tenancy._lint_role(v.relowner)),
		   format('-- grant %s to nobody', v.oid::regclass)
	FROM views v
	JOIN touching t ON t.view = v.oid
	WHERE v.relkind = 'm' AND v.owner_exempt
	  AND NOT EXISTS (SELECT FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner)
	UNION ALL
	-- Through a view that filters, ON CONFLICT and INSERT reach rows that it hides.
	SELECT 'view_writable', v.oid::regclass::text,
		   format('%s may write through it, also rows that it does not show', string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ')),
		   format('ALTER VIEW %s SET (check_option = cascaded);', v.oid::regclass)
	FROM views v
	JOIN touching t ON t.view = v.oid
	CROSS JOIN LATERAL aclexplode(v.relacl) a
	WHERE v.theirs AND v.relkind = 'v' AND a.grantee <> v.relowner AND a.privilege_type IN ('INSERT', 'UPDATE')
	  AND NOT v.checked
	  AND pg_relation_is_updatable(v.oid, false) & 12 <> 0
	  AND pg_get_viewdef(v.oid) ~ '\mWHERE\M'
	GROUP BY v.oid
	UNION ALL
	-- Without the barrier a function of the asker's sees the rows before the filter does.
	SELECT 'view_filters_itself', v.oid::regclass::text,
		   'it filters by tenancy''s functions itself, and functions of whoever asks may run first',
		   format('ALTER VIEW %s SET (security_barrier = true);', v.oid::regclass)
	FROM views v
	WHERE v.theirs AND v.relkind = 'v' AND NOT v.barrier
	  AND EXISTS (SELECT FROM pg_rewrite r
				  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
				  JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace = 'tenancy'::regnamespace
				  WHERE r.ev_class = v.oid AND p.proname IN ('can_view', 'can_edit', 'can_write', 'can_reach', 'is_member'))
	UNION ALL
	-- A report that has fallen behind its table, or out of its protection.
	SELECT 'reporting_view', r.view::text, r.problem,
		   CASE r.problem WHEN 'the source is not protected' THEN format('-- protect %s, or DROP VIEW %s', r.source, r.view)
						  ELSE format('SELECT tenancy.refresh_reporting_view(%L);', r.view) END
	FROM tenancy.reporting_views r
	WHERE r.problem IS NOT NULL
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody
	-- may have set.  (2077 and 3294 are current_setting.)
	SELECT 'identity_from_setting', v.oid::regclass::text, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM views v
	JOIN pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
	WHERE v.theirs AND r.ev_action::text ~ ':funcid (2077|3294) ' AND pg_get_viewdef(v.oid) ~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- A rule acts with the rights of the table's owner, on rows that others write.
	SELECT 'rewrite_rule', format('rule %I on %s', r.rulename, r.ev_class::regclass),
		   'a rule on a protected table acts with the rights of its owner',
		   format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
	FROM pg_rewrite r
	JOIN protected t ON t.relation = r.ev_class
	UNION ALL
	SELECT 'rewrite_rule', format('rule %I on %s', r.rulename, r.ev_class::regclass),
		   format('it reads or writes %s with the rights of %s, whom row security does not bind',
				  string_agg(DISTINCT d.refobjid::regclass::text, ', '), tenancy._lint_role(c.relowner)),
		   format('DROP RULE %I ON %s;', r.rulename, r.ev_class::regclass)
	FROM pg_rewrite r
	JOIN pg_class c ON c.oid = r.ev_class
	JOIN pg_roles o ON o.oid = c.relowner AND (o.rolsuper OR o.rolbypassrls)
	JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
	WHERE r.ev_type <> '1' AND d.refobjid <> r.ev_class
	  AND d.refobjid IN (SELECT g.relation FROM guarded g UNION ALL SELECT t.view FROM touching t)
	  AND r.ev_class NOT IN (SELECT t.relation FROM protected t)
	GROUP BY r.rulename, r.ev_class, c.relowner
$$;
COMMENT ON FUNCTION tenancy._lint_views() IS 'Part of lint(): views, materialized views and rules over protected tables.';

-- ---------------------------------------------------------------------
-- Functions and triggers
--
-- What a function with a body in SQL-standard syntax reads is in pg_depend.  Of
-- the others only the text is known: the names in it are compared with those of
-- relations, so what is put together at run time stays unseen.
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_functions(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	guarded AS MATERIALIZED (
		SELECT t.relation, c.relname FROM protected t JOIN pg_class c ON c.oid = t.relation
		UNION ALL
		SELECT c.oid, c.relname FROM pg_class c
		WHERE c.relnamespace = 'tenancy'::regnamespace AND (c.relkind = 'r' AND c.relname <> 'plans' OR c.relname = 'access')),
	functions AS MATERIALIZED (
		SELECT p.oid, p.proname, concat(p.prosrc, CASE WHEN p.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(p.oid) END) AS prosrc, p.prosecdef, p.provolatile, p.proleakproof, p.prokind, p.proowner, p.pronamespace, p.prorettype,
			   p.proconfig, p.proargnames, l.lanname, p.prosqlbody IS NOT NULL AS standard, o.rolsuper OR o.rolbypassrls AS exempt,
			   CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS word,
			   (SELECT s.setting FROM unnest(p.proconfig) s (setting) WHERE s.setting ~ '^search_path=') AS path,
			   -- may anybody else have it run?
			   p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) OR p.proacl IS NULL
			   OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner) AS callable,
			   p.oid IN (SELECT d.objid FROM pg_depend d
						 WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e') AS of_extension
		FROM pg_proc p
		JOIN pg_language l ON l.oid = p.prolang
		JOIN pg_roles o ON o.oid = p.proowner
		WHERE p.oid >= 16384 AND p.prokind <> 'a' AND p.pronamespace <> 'tenancy'::regnamespace),
	relations AS MATERIALIZED (
		SELECT c.oid, c.relname, lower(c.relname) AS word, lower(c.relname) ~ '^[a-z0-9_$]+$' AS plain, c.relnamespace = 'tenancy'::regnamespace AS ours
		FROM pg_class c
		WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.oid >= 16384 AND c.relpersistence <> 't'),
	reads AS MATERIALIZED (
		SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
		FROM pg_rewrite r
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
						AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
		WHERE r.ev_type = '1'),
	-- Materialized views, and the views that they are made of
	made_of (copy, view) AS (
		SELECT c.oid, c.oid FROM pg_class c WHERE c.relkind = 'm'
		UNION
		SELECT m.copy, x.relation FROM made_of m JOIN reads x ON x.view = m.view),
	-- and the functions that fill them
	fillers AS MATERIALIZED (
		SELECT DISTINCT m.copy, d.refobjid AS function
		FROM made_of m
		JOIN pg_rewrite r ON r.ev_class = m.view AND r.ev_type = '1'
		JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass),
	-- Functions whose reads matter: with somebody else's rights, kept, or told to others.
	readers AS MATERIALIZED (
		SELECT f.*, lower(f.prosrc) AS body FROM functions f
		WHERE (f.prosecdef AND f.exempt AND f.callable)
		   OR f.oid IN (SELECT x.function FROM fillers x)
		   OR (NOT f.of_extension AND f.prosrc ~* '\mpg_notify\s*\(|\mnotify\s+[^\s;,]+\s*,')),
	-- What they call, as far as it is in pg_depend.
	callees (function, callee) AS (
		SELECT f.oid, f.oid FROM readers f
		UNION
		SELECT c.function, d.refobjid
		FROM callees c
		JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = c.callee AND d.refclassid = 'pg_proc'::regclass
		JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace <> 'tenancy'::regnamespace),
	named AS MATERIALIZED (
		SELECT DISTINCT f.oid AS function, r.oid AS relation
		FROM readers f
		CROSS JOIN LATERAL regexp_split_to_table(f.body, '[^a-z0-9_$]+') w (word)
		JOIN relations r ON r.word = w.word AND r.plain
		WHERE NOT f.standard
		  -- names like users are common: ours count with the schema only
		  AND (NOT r.ours OR f.body ~ format('\mtenancy"?\s*[.]\s*"?%s\M', r.word) OR f.path ~ '\mtenancy\M')
		UNION
		SELECT f.oid, r.oid
		FROM readers f
		JOIN relations r ON NOT r.plain AND position(r.word IN f.body) > 0
		WHERE NOT f.standard
		UNION
		SELECT c.function, d.refobjid
		FROM callees c
		JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = c.callee AND d.refclassid = 'pg_class'::regclass),
	-- and through views
	reached (function, relation) AS (
		SELECT n.function, n.relation FROM named n
		UNION
		SELECT r.function, x.relation FROM reached r JOIN reads x ON x.view = r.relation),
	touched AS MATERIALIZED (
		SELECT r.function, string_agg(DISTINCT g.relation::regclass::text, ', ') AS tables
		FROM reached r JOIN guarded g ON g.relation = r.relation
		GROUP BY r.function)

	-- It reads all rows, on behalf of everybody who calls it.
	SELECT 'definer_function', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, and it reads or changes %s%s',
				  tenancy._lint_role(f.proowner), t.tables, CASE WHEN f.standard THEN '' ELSE ' (by its text)' END),
		   format('ALTER %s %s SECURITY INVOKER;', f.word, f.oid::regprocedure)
	FROM readers f
	JOIN touched t ON t.function = f.oid
	WHERE f.prosecdef AND f.exempt AND f.callable
	UNION ALL
	-- A copy, too, if a function reads the rows for it.
	SELECT CASE WHEN h.names IS NULL AND (o.rolsuper OR o.rolbypassrls) THEN 'materialized_view_private' ELSE 'materialized_view' END,
		   v.oid::regclass::text,
		   format('a copy of rows of %s, by way of %s, which %s may read', t.tables, f.oid::regprocedure, coalesce(h.names, 'only ' || tenancy._lint_role(v.relowner))),
		   CASE WHEN h.names IS NOT NULL THEN format('REVOKE ALL ON %s FROM %s CASCADE;', v.oid::regclass, h.names)
				WHEN o.rolsuper OR o.rolbypassrls THEN format('-- grant %s to nobody', v.oid::regclass)
				ELSE format('DROP MATERIALIZED VIEW %s;', v.oid::regclass) END
	FROM fillers x
	JOIN readers f ON f.oid = x.function
	JOIN touched t ON t.function = f.oid
	JOIN pg_class v ON v.oid = x.copy
	JOIN pg_roles o ON o.oid = v.relowner
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM aclexplode(v.relacl) a WHERE a.grantee <> v.relowner) h
	-- what it reads itself, the rule about views says
	WHERE NOT EXISTS (SELECT FROM made_of m JOIN guarded g ON g.relation = m.view WHERE m.copy = x.copy)
	UNION ALL
	-- What it reads is put together at run time.
	SELECT 'definer_dynamic', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, and it runs SQL that it puts together', tenancy._lint_role(f.proowner)),
		   format('ALTER %s %s SECURITY INVOKER;', f.word, f.oid::regprocedure)
	FROM readers f
	WHERE f.prosecdef AND f.exempt AND f.callable AND f.lanname = 'plpgsql' AND f.prosrc ~* '\mexecute\M'
	  AND NOT f.of_extension
	  AND f.oid NOT IN (SELECT t.function FROM touched t)
	UNION ALL
	SELECT 'not_checked', f.oid::regprocedure::text,
		   format('SECURITY DEFINER with the rights of %s, whom row security does not bind, in language %s: what it reads is not known', tenancy._lint_role(f.proowner), f.lanname),
		   format('-- read the source of %s, or take EXECUTE away', f.oid::regprocedure)
	FROM readers f
	WHERE f.prosecdef AND f.exempt AND f.callable AND f.lanname NOT IN ('sql', 'plpgsql')
	  AND f.oid NOT IN (SELECT t.function FROM touched t)
	UNION ALL
	-- Names are looked up where the caller says, and in pg_temp first.
	SELECT 'definer_search_path', f.oid::regprocedure::text,
		   CASE WHEN f.path IS NULL THEN 'SECURITY DEFINER without a search_path of its own: its caller chooses what its names mean'
				ELSE 'SECURITY DEFINER whose search_path does not end with pg_temp: temporary tables come first' END,
		   format('ALTER %s %s SET search_path = %s, pg_temp;', f.word, f.oid::regprocedure,
				  CASE WHEN f.path IS NULL THEN concat_ws(', ', 'pg_catalog', nullif(quote_ident((SELECT n.nspname FROM pg_namespace n WHERE n.oid = f.pronamespace)), 'pg_catalog'))
					   WHEN btrim(substr(f.path, 13), ' "') = '' THEN 'pg_catalog'
					   ELSE regexp_replace(substr(f.path, 13), '"?pg_temp"?\s*,\s*', '') END)
	FROM functions f
	WHERE f.prosecdef AND NOT f.standard AND f.lanname NOT IN ('c', 'internal')
	  AND (f.path IS NULL OR f.path !~ '"?\mpg_temp"?\s*$')
	UNION ALL
	-- Whoever creates objects in a schema of the path decides what the names mean.
	SELECT 'definer_path_writable', f.oid::regprocedure::text,
		   format('SECURITY DEFINER, and %s may create objects in schema %I of its search_path', tenancy._lint_role(a.grantee), n.nspname),
		   format('REVOKE CREATE ON SCHEMA %I FROM %s CASCADE;', n.nspname, tenancy._lint_role(a.grantee))
	FROM functions f
	CROSS JOIN LATERAL regexp_split_to_table(substr(f.path, 13), '\s*,\s*') e (element)
	JOIN pg_namespace n ON quote_ident(n.nspname) = quote_ident(btrim(e.element, '" '))
	CROSS JOIN LATERAL aclexplode(n.nspacl) a
	LEFT JOIN pg_roles g ON g.oid = a.grantee
	WHERE f.prosecdef AND NOT f.standard AND a.privilege_type = 'CREATE'
	  AND a.grantee NOT IN (n.nspowner, f.proowner) AND g.rolsuper IS DISTINCT FROM true
	UNION ALL
	-- An answer about one user is kept in a plan and given to the next.
	SELECT 'immutable_wrapper', f.oid::regprocedure::text,
		   'it claims to be IMMUTABLE and asks who is acting: a plan keeps the first answer for everybody',
		   format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
	FROM functions f
	WHERE f.provolatile = 'i' AND NOT f.of_extension
	  AND ((f.prosrc ~* '\m(can_view|can_edit|can_write|can_reach|can|is_member|level_in|viewable_projects|viewable_organizations|current_user_id|current_project_id)"?\s*\('
			AND (f.prosrc ~* 'tenancy' OR f.path ~ 'tenancy'))
		   OR EXISTS (SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid
					  WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_proc'::regclass
						AND p.pronamespace = 'tenancy'::regnamespace AND p.provolatile <> 'i'))
	UNION ALL
	SELECT 'immutable_wrapper', f.oid::regprocedure::text,
		   'it claims to be IMMUTABLE and reads a setting or the role: a plan keeps the first answer for everybody',
		   format('ALTER FUNCTION %s STABLE;', f.oid::regprocedure)
	FROM functions f
	WHERE f.provolatile = 'i' AND NOT f.of_extension
	  AND f.prosrc ~* '\mcurrent_setting\s*\(|\m(current_user|session_user|current_role)\M'
	UNION ALL
	-- The planner lets it see rows before the policies have spoken.
	SELECT 'leakproof_function', f.oid::regprocedure::text, 'it claims to be LEAKPROOF: it is shown rows before the policies are',
		   format('ALTER FUNCTION %s NOT LEAKPROOF;', f.oid::regprocedure)
	FROM functions f WHERE f.proleakproof AND NOT f.of_extension
	UNION ALL
	-- Before the library is loaded such a setting is a placeholder that anybody may have set.
	SELECT 'identity_from_setting', f.oid::regprocedure::text, 'it reads a setting of tenancy by name, which can be forged',
		   '-- use tenancy.current_user_id() and tenancy.current_project_id()'
	FROM functions f WHERE f.prosrc ~* 'current_setting\s*\(\s*''tenancy[.]' AND NOT f.of_extension
	UNION ALL
	SELECT 'identity_from_setting', format('column %I of %s', a.attname, d.adrelid::regclass),
		   'its default reads a setting of tenancy by name, which can be forged',
		   format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT;', d.adrelid::regclass, a.attname)
	FROM pg_attrdef d
	JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
	WHERE d.adbin::text ~ ':funcid (2077|3294) ' AND pg_get_expr(d.adbin, d.adrelid) ~ 'current_setting\(''tenancy[.]'
	UNION ALL
	-- Anybody may LISTEN.
	SELECT 'notify_payload', f.oid::regprocedure::text,
		   format('it sends a payload by NOTIFY, which anybody may hear, and deals with %s',
				  coalesce(t.tables, (SELECT string_agg(DISTINCT g.tgrelid::regclass::text, ', ') FROM pg_trigger g
									  WHERE g.tgfoid = f.oid AND g.tgrelid IN (SELECT p.relation FROM protected p)))),
		   format('-- let %s notify without a payload', f.oid::regprocedure)
	FROM readers f
	LEFT JOIN touched t ON t.function = f.oid
	WHERE f.prosrc ~* '\mpg_notify\s*\(|\mnotify\s+[^\s;,]+\s*,' AND NOT f.of_extension
	  AND (t.function IS NOT NULL
		   OR EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = f.oid AND g.tgrelid IN (SELECT p.relation FROM protected p)))
	UNION ALL
	-- CALL is kept with its arguments in logs and statistics.
	SELECT 'procedure_takes_credential', f.oid::regprocedure::text,
		   'arguments of CALL are text of the statement for the log and for pg_stat_statements',
		   format('-- make a function of procedure %s', f.oid::regprocedure)
	FROM functions f
	WHERE f.prokind = 'p' AND array_to_string(f.proargnames, ' ') ~* 'token|credential|password|passwd|secret|api_?key'
	UNION ALL
	-- It is shown every row that is written, on behalf of who writes it.
	SELECT 'trigger_of_another', format('trigger %I on %s', g.tgname, g.tgrelid::regclass),
		   format('its function %s belongs to %s, who can change what it does with the rows of %s',
				  f.oid::regprocedure, tenancy._lint_role(f.proowner), g.tgrelid::regclass),
		   format('DROP TRIGGER %I ON %s;', g.tgname, g.tgrelid::regclass)
	FROM pg_trigger g
	JOIN protected t ON t.relation = g.tgrelid
	JOIN functions f ON f.oid = g.tgfoid
	JOIN pg_roles o ON o.oid = f.proowner
	WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND f.proowner <> t.owner AND NOT o.rolsuper
	UNION ALL
	-- It runs with the rights of whoever changes the schema, superusers among them.
	SELECT 'event_trigger_weak', format('event trigger %I', e.evtname),
		   format('its function %s belongs to %s, and runs as whoever changes the schema', e.evtfoid::regprocedure, tenancy._lint_role(p.proowner)),
		   format('DROP EVENT TRIGGER %I;', e.evtname)
	FROM pg_event_trigger e
	JOIN pg_proc p ON p.oid = e.evtfoid
	JOIN pg_roles o ON o.oid = p.proowner
	JOIN pg_roles w ON w.oid = e.evtowner
	WHERE NOT (o.rolsuper AND w.rolsuper)
$$;
COMMENT ON FUNCTION tenancy._lint_functions() IS 'Part of lint(): functions and triggers that deal with protected tables.';

-- ---------------------------------------------------------------------
-- Replication
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_replication(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH guarded AS MATERIALIZED (
		SELECT t.relation, c.relnamespace FROM tenancy._lint_protected() t JOIN pg_class c ON c.oid = t.relation
		UNION ALL
		SELECT c.oid, c.relnamespace FROM pg_class c WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'r' AND c.relname <> 'plans')

	-- A subscriber gets all rows, whoever may see them.
	SELECT 'publication', format('publication %I', p.pubname),
		   format('it sends all rows of %s: row security does not hold for subscribers', r.prrelid::regclass),
		   format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, r.prrelid::regclass)
	FROM pg_publication p
	JOIN pg_publication_rel r ON r.prpubid = p.oid
	WHERE r.prrelid IN (SELECT g.relation FROM guarded g)
	UNION ALL
	SELECT 'publication', format('publication %I', p.pubname),
		   format('it sends all rows of the tables in schema %I: row security does not hold for subscribers', n.nspname),
		   format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I;', p.pubname, n.nspname)
	FROM pg_publication p
	JOIN pg_publication_namespace r ON r.pnpubid = p.oid
	JOIN pg_namespace n ON n.oid = r.pnnspid
	WHERE r.pnnspid IN (SELECT g.relnamespace FROM guarded g)
	UNION ALL
	SELECT 'publication', format('publication %I', p.pubname),
		   'it sends all rows of all tables: row security does not hold for subscribers',
		   format('-- DROP PUBLICATION %I, unless its subscribers may see everything', p.pubname)
	FROM pg_publication p WHERE p.puballtables
	UNION ALL
	-- What is applied passes no policy, and guards do not fire.
	SELECT 'subscription', format('subscription %I', s.subname),
		   coalesce('it writes into ' || (SELECT string_agg(r.srrelid::regclass::text, ', ' ORDER BY r.srrelid) FROM pg_subscription_rel r
										  WHERE r.srsubid = s.oid AND r.srrelid IN (SELECT g.relation FROM guarded g))
					|| ': guards do not fire for what is applied',
					'what it applies passes no guard; run tenancy.check_integrity() now and then'),
		   format('-- DROP SUBSCRIPTION %I, unless its publisher is trusted', s.subname)
	FROM pg_subscription s
	JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database()
$$;
COMMENT ON FUNCTION tenancy._lint_replication() IS 'Part of lint(): publications and subscriptions of protected tables.';
