-- ---------------------------------------------------------------------
-- The extension's own objects: how they are, to be compared with how they were
-- made
--
-- One row an object: shape is what matters for isolation, remedy makes the
-- object so again, recreate is for one that is gone.  89_shape.sql keeps what
-- this says at CREATE EXTENSION.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._shape(OUT object text, OUT shape text, OUT remedy text, OUT recreate text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH relations AS MATERIALIZED (
		SELECT c.oid, c.relkind, c.oid::regclass AS name, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, o.rolsuper
		FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
		WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v'))
	SELECT format('table %s', r.name),
		   format('row security %s, forced %s, of a superuser %s', r.relrowsecurity, r.relforcerowsecurity, r.rolsuper),
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;', r.name),
		   '-- restore the database: ' || r.name
	FROM relations r WHERE r.relkind = 'r'
	UNION ALL
	SELECT format('view %s', r.name), format('%s, of a superuser %s', coalesce(array_to_string(r.reloptions, ', '), 'no options'), r.rolsuper),
		   CASE WHEN r.reloptions IS NULL THEN format('ALTER VIEW %s RESET (security_invoker, security_barrier);', r.name)
				ELSE format('ALTER VIEW %s SET (%s);', r.name, array_to_string(r.reloptions, ', ')) END,
		   '-- restore the database: ' || r.name
	FROM relations r WHERE r.relkind = 'v'
	UNION ALL
	SELECT format('column %I of %s', a.attname, r.name), concat(format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END),
		   CASE WHEN a.attnotnull THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', r.name, a.attname)
				ELSE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL;', r.name, a.attname) END,
		   '-- restore the database: ' || r.name
	FROM relations r
	JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE r.relkind = 'r'
	UNION ALL
	SELECT format('policy %I on %s', p.polname, r.name), concat_ws(' ', p.polcmd, p.polpermissive, p.polroles, e.condition, e.new_row),
		   format(E'DROP POLICY %I ON %s;\n%s', p.polname, r.name, e.statement), e.statement
	FROM relations r
	JOIN pg_policy p ON p.polrelid = r.oid
	CROSS JOIN LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row) x
	CROSS JOIN LATERAL (SELECT x.condition, x.new_row,
							   format('CREATE POLICY %I ON %s FOR %s%s%s;', p.polname, r.name,
									  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
									  ' USING (' || x.condition || ')', ' WITH CHECK (' || x.new_row || ')') AS statement) e
	UNION ALL
	SELECT format('trigger %I on %s', g.tgname, r.name), concat_ws(' ', g.tgenabled, pg_get_triggerdef(g.oid)),
		   s.enable, format(E'%s;\n%s', pg_get_triggerdef(g.oid), s.enable)
	FROM relations r
	JOIN pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal
		-- those of distribute(), of which lint() speaks by itself
		AND g.tgfoid NOT IN ('tenancy._feed'::regproc, 'tenancy._refuse_on_worker'::regproc)
	CROSS JOIN LATERAL (SELECT format('ALTER TABLE %s ENABLE %sTRIGGER %I;', r.name, CASE g.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, g.tgname) AS enable) s
	UNION ALL
	-- the triggers that foreign keys are made of
	SELECT format('foreign key triggers of %s', r.name),
		   format('%s of %s fire', count(*) FILTER (WHERE g.tgenabled IN ('O', 'A')), count(*)),
		   format('ALTER TABLE %s ENABLE TRIGGER ALL;', r.name)
		   || coalesce((SELECT string_agg(format(E'\nALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', r.name, w.tgname), '' ORDER BY w.tgname)
						FROM pg_trigger w WHERE w.tgrelid = r.oid AND w.tgenabled = 'A' AND NOT w.tgisinternal), ''),
		   format('ALTER TABLE %s ENABLE TRIGGER ALL;', r.name)
	FROM relations r
	JOIN pg_trigger g ON g.tgrelid = r.oid AND g.tgisinternal
	JOIN pg_constraint k ON k.oid = g.tgconstraint
	-- those that an application's tables add are the application's
	WHERE k.conrelid IN (SELECT o.oid FROM relations o)
	GROUP BY r.oid, r.name
	UNION ALL
	SELECT format('constraint %I on %s', k.conname, r.name), concat(pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN ' not valid' END),
		   format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', r.name, k.conname),
		   format('ALTER TABLE %s ADD CONSTRAINT %I %s;', r.name, k.conname, pg_get_constraintdef(k.oid))
	FROM relations r
	JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x')
	UNION ALL
	SELECT format('index %s', i.indexrelid::regclass), concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' invalid' END),
		   format('REINDEX INDEX %s;', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) || ';'
	FROM relations r
	JOIN pg_index i ON i.indrelid = r.oid
	-- what a constraint makes is the constraint's
	WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
	  -- and an index that somebody added for speed harms nobody
	  AND i.indisunique
	UNION ALL
	SELECT format('domain constraint %I of %s', k.conname, k.contypid::regtype), pg_get_constraintdef(k.oid),
		   format('ALTER DOMAIN %s VALIDATE CONSTRAINT %I;', k.contypid::regtype, k.conname),
		   format('ALTER DOMAIN %s ADD CONSTRAINT %I %s;', k.contypid::regtype, k.conname, pg_get_constraintdef(k.oid))
	FROM pg_constraint k WHERE k.connamespace = 'tenancy'::regnamespace AND k.contypid <> 0 AND k.contype = 'c'
	UNION ALL
	SELECT format('function %s', p.oid::regprocedure),
		   concat_ws(' ', l.lanname, x.label, array_to_string(p.proconfig, '; '), 'of a superuser ' || o.rolsuper, md5(p.prosrc)),
		   format('ALTER FUNCTION %s %s', p.oid::regprocedure, x.label)
		   || CASE WHEN p.proconfig IS NULL THEN ' RESET ALL'
				   ELSE (SELECT string_agg(format(' SET %s = %s', split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)), '') FROM unnest(p.proconfig) c) END || ';'
		   || format(E'\nALTER FUNCTION %s OWNER TO %I;', p.oid::regprocedure, pg_get_userbyid(10)),
		   '-- restore the database: ' || p.oid::regprocedure
	FROM pg_proc p
	JOIN pg_language l ON l.oid = p.prolang
	JOIN pg_roles o ON o.oid = p.proowner
	CROSS JOIN LATERAL (
		SELECT concat_ws(' ', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
						 CASE WHEN p.proleakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END,
						 CASE WHEN p.proisstrict THEN 'STRICT' ELSE 'CALLED ON NULL INPUT' END,
						 CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END,
						 CASE p.proparallel WHEN 's' THEN 'PARALLEL SAFE' WHEN 'r' THEN 'PARALLEL RESTRICTED' ELSE 'PARALLEL UNSAFE' END,
						 'COST ' || p.procost,
						 CASE WHEN p.prosupport <> 0 THEN 'SUPPORT ' || p.prosupport::regproc END) AS label) x
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname <> '_installed_shape'
$$;
COMMENT ON FUNCTION tenancy._shape() IS 'The extension''s own objects, as far as isolation depends on them.';
