-- ---------------------------------------------------------------------
-- lint, part 1: tables, their policies, keys and rights
--
-- Every function here is one part of tenancy.lint() and is read off the
-- catalogs only, with the rights of whoever asks.  A branch is a rule; its
-- comment says why it matters.  The severities are in tenancy.lint_rules.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._lint_role(role oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END
$$;
COMMENT ON FUNCTION tenancy._lint_role(oid) IS 'A role as it stands in GRANT and REVOKE.';

CREATE FUNCTION tenancy._lint_protect(relation oid, kind text, column_name name,
									  visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE kind
		   WHEN 'project' THEN format('SELECT tenancy.protect(%L, %L, %L);',
									  relation::regclass, column_name, coalesce(editable_by, 'member'))
		   ELSE format('SELECT tenancy.protect_by_organization(%L, %L, %L, %L);', relation::regclass, column_name,
					   coalesce(visible_to, 'member'), coalesce(editable_by, 'administrator')) END
$$;
COMMENT ON FUNCTION tenancy._lint_protect(oid, text, name, tenancy.access_level, tenancy.access_level) IS
	'The call that protects a table.';

-- The protected tables, one row each whatever their policies look like.
CREATE FUNCTION tenancy._lint_protected(
	OUT relation oid, OUT kind text, OUT column_name name, OUT attnum smallint,
	OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level,
	OUT owner oid, OUT row_security boolean, OUT forced boolean, OUT nullable boolean)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT DISTINCT ON (t.relation) t.relation::oid, t.kind, t.column_name, a.attnum, t.visible_to, t.editable_by,
		   c.relowner, c.relrowsecurity, c.relforcerowsecurity, NOT a.attnotnull
	FROM tenancy.protected_tables t
	JOIN pg_class c ON c.oid = t.relation
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attname = t.column_name
	ORDER BY t.relation, a.attnum
$$;
COMMENT ON FUNCTION tenancy._lint_protected() IS 'The protected tables, as lint reads them.';

-- The application's relations: not the system's, no extension's, not temporary.
CREATE FUNCTION tenancy._lint_relations(OUT relation oid, OUT kind "char", OUT owner oid)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid, c.relkind, c.relowner
	FROM pg_class c
	WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
	  AND c.oid NOT IN (SELECT d.objid FROM pg_depend d
						WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
$$;
COMMENT ON FUNCTION tenancy._lint_relations() IS 'The relations that lint looks at.';

-- ---------------------------------------------------------------------
-- Is everything protected that ought to be, and wholly?
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_tables(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	-- Columns that speak of a project or an organization: by a foreign key, or
	-- by the name that such columns have here.
	names AS (
		SELECT 'project_id'::name AS column_name, 'project' AS kind
		UNION SELECT 'organization_id', 'organization'
		UNION SELECT p.column_name, p.kind FROM protected p WHERE p.column_name <> 'id'),
	keys AS (
		SELECT c.conrelid, c.conkey[array_position(c.confkey, 1::smallint)] AS attnum,
			   CASE WHEN c.confrelid = 'tenancy.projects'::regclass THEN 'project' ELSE 'organization' END AS kind
		FROM pg_constraint c
		WHERE c.contype = 'f' AND c.confrelid IN ('tenancy.projects'::regclass, 'tenancy.organizations'::regclass)),
	candidates AS MATERIALIZED (
		SELECT DISTINCT ON (r.relation) r.relation, r.kind AS relkind, a.attname, a.atttypid,
			   coalesce(k.kind, n.kind) AS kind
		FROM tenancy._lint_relations() r
		JOIN pg_attribute a ON a.attrelid = r.relation AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN keys k ON k.conrelid = r.relation AND k.attnum = a.attnum
		LEFT JOIN names n ON n.column_name = a.attname AND a.atttypid IN ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
		WHERE r.kind IN ('r', 'p', 'f') AND (k.kind IS NOT NULL OR n.kind IS NOT NULL)
		ORDER BY r.relation, coalesce(k.kind, n.kind) DESC, k.kind NULLS LAST, a.attnum),
	-- What carries one of our policies, but no floor that names the column.
	broken AS MATERIALIZED (
		SELECT p.polrelid AS relation, bool_or(p.polname = 'tenancy_floor') AS floor,
			   CASE WHEN bool_or(e.text ~ '\mcan_(view|edit|write)"?\(') THEN 'project' ELSE 'organization' END AS kind,
			   max(substring(e.text, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'))
				   FILTER (WHERE p.polname NOT IN ('tenancy_floor', 'tenancy_select'))::tenancy.access_level AS editable_by,
			   max(substring(e.text, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'))
				   FILTER (WHERE p.polname = 'tenancy_select')::tenancy.access_level AS visible_to
		FROM pg_policy p
		JOIN tenancy._lint_relations() r ON r.relation = p.polrelid
		CROSS JOIN LATERAL (SELECT coalesce(pg_get_expr(p.polwithcheck, p.polrelid),
											pg_get_expr(p.polqual, p.polrelid)) AS text) e
		WHERE p.polname = ANY (tenancy._policy_names())
		  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = p.polrelid)
		  -- of a partition, the rule about partitions speaks
		  AND NOT EXISTS (SELECT FROM pg_inherits i JOIN protected t ON t.relation = i.inhparent WHERE i.inhrelid = p.polrelid)
		GROUP BY p.polrelid),
	children AS (
		SELECT i.inhrelid AS relation, c.relkind, c.relispartition, p.relation AS parent,
			   p.kind, p.column_name, p.visible_to, p.editable_by
		FROM pg_inherits i
		JOIN protected p ON p.relation = i.inhparent
		JOIN pg_class c ON c.oid = i.inhrelid
		WHERE NOT EXISTS (SELECT FROM protected own
						  WHERE own.relation = i.inhrelid AND own.kind = p.kind AND own.column_name = p.column_name
							AND own.visible_to IS NOT DISTINCT FROM p.visible_to
							AND own.editable_by IS NOT DISTINCT FROM p.editable_by)),
	policies AS MATERIALIZED (
		SELECT p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles,
			   pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row
		FROM pg_policy p
		WHERE p.polrelid IN (SELECT t.relation FROM protected t)),
	expected AS MATERIALIZED (
		SELECT t.*, x.*
		FROM protected t
		CROSS JOIN LATERAL tenancy._policy_expressions(t.kind, t.column_name, t.visible_to, t.editable_by) e
		CROSS JOIN LATERAL tenancy._policies(e.reading, e.inserting, e.changing) x)

	-- A table that is not protected shows the rows of all tenants to whoever may
	-- read it.  Copies of protected tables are found so, too.
	SELECT 'unprotected_table', c.relation::regclass::text,
		   format('column %I says whose the rows are, and nothing holds them apart', c.attname),
		   CASE WHEN c.atttypid <> 'uuid'::regtype
				THEN format(E'ALTER TABLE %s ALTER COLUMN %I TYPE uuid USING %2$I::uuid;\n', c.relation::regclass, c.attname)
				ELSE '' END
		   || tenancy._lint_protect(c.relation, c.kind, c.attname, NULL, NULL)
	FROM candidates c
	WHERE c.relkind <> 'f'
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = c.relation)
	  AND NOT EXISTS (SELECT FROM broken b WHERE b.relation = c.relation)
	  AND NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attname = c.attname
					  WHERE i.inhrelid = c.relation)
	UNION ALL
	-- Row security does not govern foreign tables: the other server sends all rows.
	SELECT 'foreign_table', c.relation::regclass::text,
		   format('row security does not hold for a foreign table, and %s may use it', h.names),
		   format('REVOKE ALL ON %s FROM %s CASCADE;', c.relation::regclass, h.names)
	FROM candidates c
	CROSS JOIN LATERAL (SELECT string_agg(DISTINCT tenancy._lint_role(a.grantee), ', ') AS names
						FROM pg_class r, aclexplode(r.relacl) a
						WHERE r.oid = c.relation AND a.grantee <> r.relowner) h
	WHERE c.relkind = 'f' AND h.names IS NOT NULL
	UNION ALL
	-- A partition that is asked by its own name follows its own policies only.
	SELECT 'unprotected_partition', c.relation::regclass::text,
		   format('it is part of %s and not protected as that is', c.parent::regclass),
		   CASE WHEN c.relkind = 'f' AND c.relispartition
				THEN format('ALTER TABLE %s DETACH PARTITION %s;', c.parent::regclass, c.relation::regclass)
				WHEN c.relkind = 'f'
				THEN format('ALTER FOREIGN TABLE %s NO INHERIT %s;', c.relation::regclass, c.parent::regclass)
				ELSE tenancy._lint_protect(c.parent, c.kind, c.column_name, c.visible_to, c.editable_by) END
	FROM children c
	UNION ALL
	-- Partitions that come later are protected by an event trigger.
	SELECT 'event_trigger_off', 'event trigger tenancy_protect_partitions',
		   CASE WHEN e.evtname IS NULL THEN 'it is missing: new partitions will not be protected'
				ELSE 'it is not ENABLE ALWAYS: new partitions are not protected' END,
		   CASE WHEN e.evtname IS NULL
				THEN E'CREATE EVENT TRIGGER tenancy_protect_partitions ON ddl_command_end\n'
					 '\tWHEN TAG IN (''CREATE TABLE'', ''ALTER TABLE'', ''CREATE TABLE AS'', ''CREATE SCHEMA'',\n'
					 '\t\t\t\t ''CREATE FOREIGN TABLE'', ''ALTER FOREIGN TABLE'')\n'
					 '\tEXECUTE FUNCTION tenancy._protect_new_partitions();\n'
					 'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;'
				ELSE 'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;' END
	FROM (VALUES ('tenancy_protect_partitions'::name)) x (name)
	LEFT JOIN pg_event_trigger e ON e.evtname = x.name
								AND e.evtfoid = 'tenancy._protect_new_partitions()'::regprocedure
	WHERE e.evtname IS NULL OR e.evtenabled <> 'A'
	UNION ALL
	-- Policies without row security are words without effect.
	SELECT 'row_security_off', t.relation::regclass::text, 'row security is off, the policies have no effect',
		   format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', t.relation::regclass)
	FROM protected t WHERE NOT t.row_security
	UNION ALL
	-- Without FORCE the owner, and views and functions with the owner's rights, see everything.
	SELECT 'row_security_not_forced', t.relation::regclass::text, 'row security does not hold for the owner of the table',
		   format('ALTER TABLE %s FORCE ROW LEVEL SECURITY;', t.relation::regclass)
	FROM protected t WHERE NOT t.forced
	UNION ALL
	-- Without a floor any policy opens the table; without a permissive policy
	-- nobody can use it.
	SELECT 'policy_missing', b.relation::regclass::text, 'policy tenancy_floor is missing',
		   coalesce((SELECT tenancy._lint_protect(b.relation, b.kind, a.attname, b.visible_to, b.editable_by)
					 FROM pg_policy p
					 JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
									 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
					 JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
					 WHERE p.polrelid = b.relation AND p.polname = ANY (tenancy._policy_names())
					 ORDER BY a.attnum LIMIT 1),
					format('-- protect table %s again: by which column is not known any more', b.relation::regclass))
	FROM broken b WHERE NOT b.floor
	UNION ALL
	SELECT 'policy_missing', e.relation::regclass::text, format('policy %s is missing', e.policy),
		   tenancy._lint_protect(e.relation, e.kind, e.column_name, e.visible_to, e.editable_by)
	FROM expected e
	WHERE NOT EXISTS (SELECT FROM policies p
					  WHERE p.polrelid = e.relation
						AND (p.polname = e.policy
							 OR (e.permissive AND p.polpermissive AND p.polcmd IN ('*', e.command))))
	UNION ALL
	-- A policy that protect() would write otherwise may allow more.
	SELECT 'policy_altered', b.relation::regclass::text, 'policy tenancy_floor is not as protect() writes it',
		   coalesce((SELECT tenancy._lint_protect(b.relation, b.kind, a.attname, b.visible_to, b.editable_by)
					 FROM pg_policy p
					 JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
									 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND d.refobjsubid > 0
					 JOIN pg_attribute a ON a.attrelid = p.polrelid AND a.attnum = d.refobjsubid
					 WHERE p.polrelid = b.relation AND p.polname = ANY (tenancy._policy_names())
					 ORDER BY a.attnum LIMIT 1),
					format('-- protect table %s again: by which column is not known any more', b.relation::regclass))
	FROM broken b WHERE b.floor
	UNION ALL
	SELECT 'policy_altered', e.relation::regclass::text, format('policy %s is not as protect() writes it', e.policy),
		   tenancy._lint_protect(e.relation, e.kind, e.column_name, e.visible_to, e.editable_by)
	FROM expected e
	JOIN policies p ON p.polrelid = e.relation AND p.polname = e.policy
	WHERE (p.polcmd, p.polpermissive, p.polroles) IS DISTINCT FROM (e.command, e.permissive, '{0}'::oid[])
	   OR p.condition IS DISTINCT FROM e.condition OR p.new_row IS DISTINCT FROM e.new_row
	UNION ALL
	-- Permissive policies are joined by OR: one beside ours narrows nothing, and
	-- would open the table the day the floor goes.
	SELECT 'permissive_policy', format('policy %I on %s', p.polname, p.polrelid::regclass),
		   format('permissive beside ours (%s): it has no effect, whatever it says',
				  (SELECT string_agg(e.policy, ', ' ORDER BY e.policy) FROM expected e JOIN policies o ON o.polrelid = e.relation AND o.polname = e.policy
				   WHERE e.relation = p.polrelid AND e.permissive AND p.polcmd IN ('*', e.command))),
		   format('DROP POLICY %I ON %s;', p.polname, p.polrelid::regclass)
	FROM policies p
	WHERE p.polpermissive AND p.polname <> ALL (tenancy._policy_names())
	  AND EXISTS (SELECT FROM expected e JOIN policies o ON o.polrelid = e.relation AND o.polname = e.policy
				  WHERE e.relation = p.polrelid AND e.permissive AND p.polcmd IN ('*', e.command))
	UNION ALL
	-- A row without project is everybody's the moment a policy forgets NULL.
	SELECT 'column_nullable', t.relation::regclass::text, format('column %I may be null', t.column_name),
		   format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL;', t.relation::regclass, t.column_name)
	FROM protected t WHERE t.nullable
	UNION ALL
	-- Without the foreign key rows outlive their project, and a project of that
	-- id that comes later takes them over.
	SELECT 'foreign_key_missing', t.relation::regclass::text,
		   CASE WHEN k.conname IS NULL THEN format('column %I has no foreign key to %s', t.column_name, g.target)
				ELSE format('constraint %I is not validated', k.conname) END,
		   CASE WHEN k.conname IS NULL
				THEN format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s ON DELETE CASCADE;', t.relation::regclass, t.column_name, g.target)
				ELSE format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', t.relation::regclass, k.conname) END
	FROM protected t
	CROSS JOIN LATERAL (SELECT tenancy._target(t.relation, t.kind) AS target OFFSET 0) g
	LEFT JOIN LATERAL (SELECT c.conname, c.convalidated FROM pg_constraint c
					   WHERE c.contype = 'f' AND c.conrelid = t.relation AND c.confrelid = g.target AND t.attnum = ANY (c.conkey)
					   ORDER BY c.convalidated DESC LIMIT 1) k ON true
	WHERE k.conname IS NULL OR NOT k.convalidated
	UNION ALL
	-- The policies become a condition for this index.
	SELECT 'index_missing', t.relation::regclass::text, format('no index leads with column %I', t.column_name),
		   format('CREATE INDEX ON %s (%I);', t.relation::regclass, t.column_name)
	FROM protected t
	WHERE NOT EXISTS (SELECT FROM pg_index i
					  JOIN pg_class c ON c.oid = i.indexrelid
					  JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'
					  WHERE i.indrelid = t.relation AND i.indkey[0] = t.attnum AND i.indisvalid AND i.indpred IS NULL)
	UNION ALL
	-- Row security does not govern these rights: TRUNCATE empties the table for
	-- all tenants, a trigger reads what others write, a foreign key asks what exists.
	SELECT 'rights_beyond_rows', t.relation::regclass::text,
		   format('%s has %s, which row security does not govern', tenancy._lint_role(a.grantee),
				  string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)),
		   format('REVOKE %s ON %s FROM %s CASCADE;', string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type),
				  t.relation::regclass, tenancy._lint_role(a.grantee))
	FROM protected t
	CROSS JOIN LATERAL (SELECT c.relacl AS acl FROM pg_class c WHERE c.oid = t.relation
						UNION ALL
						SELECT c.attacl FROM pg_attribute c WHERE c.attrelid = t.relation AND c.attacl IS NOT NULL) l
	CROSS JOIN LATERAL aclexplode(l.acl) a
	WHERE a.grantee <> t.owner AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
	GROUP BY t.relation, a.grantee
$$;
COMMENT ON FUNCTION tenancy._lint_tables() IS 'Part of lint(): is everything protected that ought to be, and wholly?';

-- ---------------------------------------------------------------------
-- Keys, indexes and columns of protected tables
-- ---------------------------------------------------------------------
CREATE FUNCTION tenancy._lint_keys(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	WITH protected AS MATERIALIZED (SELECT * FROM tenancy._lint_protected()),
	relations AS MATERIALIZED (SELECT * FROM tenancy._lint_relations()),
	indexes AS MATERIALIZED (
		SELECT t.relation, t.column_name, t.attnum, i.indexrelid, c.relname, n.nspname, m.amname, k.oid AS constraint, k.conname, k.contype,
			   i.indkey::smallint[] AS columns, i.indnkeyatts, m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL AS whole,
			   (i.indisunique OR k.contype IS NOT DISTINCT FROM 'x')
			   AND NOT coalesce(t.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]), false) AS telling,
			   EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid) AS referred_to,
			   -- one column that is filled at random: its values cannot be guessed
			   (i.indisunique AND i.indnkeyatts = 1
				AND EXISTS (SELECT FROM pg_attribute a
							JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
							WHERE a.attrelid = t.relation AND a.attnum = i.indkey[0] AND a.atttypid = 'uuid'::regtype
							  AND pg_get_expr(d.adbin, d.adrelid) ~ '\m(gen_random_uuid|uuid_generate_v4|uuidv4)\(')) AS random
		FROM protected t
		JOIN pg_index i ON i.indrelid = t.relation
		JOIN pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
		JOIN pg_am m ON m.oid = c.relam
		JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = t.relation AND k.contype IN ('p', 'u', 'x')),
	foreign_keys AS MATERIALIZED (
		SELECT c.oid, c.conname, c.conrelid, c.confrelid, c.conkey, c.confkey, c.confdeltype, c.confupdtype, c.condeferrable, c.condeferred,
			   child.column_name, child.kind, child.attnum, parent.column_name AS parent_column, parent.kind AS parent_kind,
			   parent.attnum AS parent_attnum
		FROM pg_constraint c
		JOIN protected child ON child.relation = c.conrelid
		JOIN protected parent ON parent.relation = c.confrelid
		WHERE c.contype = 'f' AND c.conparentid = 0)

	-- "Duplicate key" tells that a row exists in a project that is hidden.
	SELECT CASE WHEN i.random THEN 'unique_random_key' ELSE 'unique_without_column' END,
		   format('%s %I on %s', CASE WHEN i.contype IS NULL THEN 'index' ELSE 'constraint' END, coalesce(i.conname, i.relname), i.relation::regclass),
		   CASE WHEN i.random THEN format('unique over all projects: whoever knows an id learns that it exists; lead it with %I', i.column_name)
				ELSE format('unique over all projects: a violation tells that a row exists in a hidden one; lead it with %I', i.column_name) END,
		   CASE WHEN i.referred_to THEN '-- once no foreign key refers to it: ' ELSE '' END ||
		   CASE WHEN i.contype IN ('p', 'u')
				THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s (%I, %s);', i.relation::regclass, i.conname,
							CASE i.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, i.column_name,
							(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
							 FROM unnest(i.columns[0:i.indnkeyatts - 1]) WITH ORDINALITY k (attnum, place)
							 JOIN pg_attribute a ON a.attrelid = i.relation AND a.attnum = k.attnum))
				WHEN i.contype = 'x'
				THEN format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I %s;', i.relation::regclass, i.conname,
							regexp_replace(pg_get_constraintdef(i.constraint),
										   'EXCLUDE USING (\w+) \(', format('EXCLUDE USING \1 (%I WITH =, ', replace(i.column_name, '\', '\\'))))
				ELSE format(E'DROP INDEX %I.%I;\n%s;', i.nspname, i.relname,
							regexp_replace(pg_get_indexdef(i.indexrelid), ' USING btree \(', format(' USING btree (%I, ', replace(i.column_name, '\', '\\')))) END
	FROM indexes i
	WHERE i.telling
	UNION ALL
	-- "Rows Removed by Filter" of EXPLAIN ANALYZE counts hidden rows that such an
	-- index finds.
	SELECT 'index_not_led', format('index %I on %s', i.relname, i.relation::regclass),
		   format('it does not lead with column %I: EXPLAIN ANALYZE tells how many hidden rows it finds', i.column_name),
		   CASE WHEN i.contype IS NOT NULL OR i.amname <> 'btree'
				THEN format('-- make index %I anew with column %I in front', i.relname, i.column_name)
				ELSE format(E'DROP INDEX %I.%I;\n%s;', i.nspname, i.relname,
							regexp_replace(pg_get_indexdef(i.indexrelid), ' USING btree \(', format(' USING btree (%I, ', replace(i.column_name, '\', '\\')))) END
	FROM indexes i
	WHERE i.columns[0] <> i.attnum AND NOT i.telling
	  -- a key that foreign keys refer to may have the columns in their order
	  AND NOT i.referred_to
	UNION ALL
	-- Foreign keys are checked without row security: one without the column
	-- points into hidden projects, and its CASCADE deletes there.
	SELECT 'foreign_key_without_column', format('constraint %I on %s', f.conname, f.conrelid::regclass),
		   format('it can point to rows of %s that are of another %s', f.confrelid::regclass, f.kind),
		   CASE WHEN f.kind <> f.parent_kind
				THEN format('-- give %s and %s the same kind of column: one is protected by %s, the other by %s', f.conrelid::regclass, f.confrelid::regclass, f.kind, f.parent_kind)
				ELSE CASE WHEN x.has_key THEN ''
						  ELSE format(E'ALTER TABLE %s ADD UNIQUE (%I, %s);\n', f.confrelid::regclass, f.parent_column, x.parent_columns) END
					 || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %2$I FOREIGN KEY (%I, %s) REFERENCES %s (%I, %s)%s%s%s;',
							   f.conrelid::regclass, f.conname, f.column_name, x.child_columns, f.confrelid::regclass, f.parent_column, x.parent_columns,
							   CASE f.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END,
							   CASE f.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
									WHEN 'n' THEN format(' ON DELETE SET NULL (%s)', x.child_columns)
									WHEN 'd' THEN format(' ON DELETE SET DEFAULT (%s)', x.child_columns) ELSE '' END,
							   CASE WHEN f.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN f.condeferrable THEN ' DEFERRABLE' ELSE '' END) END
	FROM foreign_keys f
	CROSS JOIN LATERAL (
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) AS child_columns,
			   string_agg(quote_ident(b.attname), ', ' ORDER BY k.place) AS parent_columns,
			   EXISTS (SELECT FROM pg_index i
					   WHERE i.indrelid = f.confrelid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
						 AND (SELECT array_agg(u ORDER BY u) FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) u)
							 = (SELECT array_agg(u ORDER BY u) FROM unnest(f.confkey || f.parent_attnum) u)) AS has_key
		FROM unnest(f.conkey, f.confkey) WITH ORDINALITY k (child, parent, place)
		JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.child
		JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.parent) x
	WHERE NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) k (child, parent)
					  WHERE k.child = f.attnum AND k.parent = f.parent_attnum AND f.kind = f.parent_kind)
	UNION ALL
	-- Whoever may insert here finds out which rows exist in hidden projects.
	SELECT 'foreign_key_from_unprotected', format('constraint %I on %s', c.conname, c.conrelid::regclass),
		   format('%s is not protected, and a row in it tells whether one exists in %s', c.conrelid::regclass, c.confrelid::regclass),
		   format('ALTER TABLE %s DROP CONSTRAINT %I;', c.conrelid::regclass, c.conname)
	FROM pg_constraint c
	JOIN relations r ON r.relation = c.conrelid
	WHERE c.contype = 'f' AND c.conparentid = 0
	  AND NOT EXISTS (SELECT FROM protected t WHERE t.relation = c.conrelid)
	  AND (EXISTS (SELECT FROM protected t WHERE t.relation = c.confrelid)
		   OR EXISTS (SELECT FROM pg_class o WHERE o.oid = c.confrelid AND o.relnamespace = 'tenancy'::regnamespace
					  AND o.relname NOT IN ('projects', 'organizations', 'plans')))
	UNION ALL
	-- A row of the other table that goes is looked for in all rows of the project.
	SELECT 'foreign_key_not_indexed', format('constraint %I on %s', f.conname, f.conrelid::regclass),
		   format('no index of %s leads with its columns', f.conrelid::regclass),
		   format('CREATE INDEX ON %s (%s);', f.conrelid::regclass, k.names)
	FROM foreign_keys f
	CROSS JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY (a.attnum = f.attnum) DESC, array_position(f.conkey, a.attnum)) AS names
						FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attnum = ANY (f.conkey)) k
	WHERE f.attnum = ANY (f.conkey)
	  AND NOT EXISTS (SELECT FROM indexes i
					  WHERE i.relation = f.conrelid AND i.whole AND i.columns[0:cardinality(f.conkey) - 1] @> f.conkey)
	UNION ALL
	-- Whoever chooses the number of a row learns whether it is taken.
	SELECT 'identity_insertable', format('column %I of %s', a.attname, t.relation::regclass),
		   format('%s may choose its values, and learns which of them hidden rows have', tenancy._lint_role(g.grantee)),
		   format(E'REVOKE INSERT ON %s FROM %s CASCADE;\nGRANT INSERT (%s) ON %1$s TO %2$s;', t.relation::regclass, tenancy._lint_role(g.grantee),
				  (SELECT string_agg(quote_ident(o.attname), ', ' ORDER BY o.attnum) FROM pg_attribute o
				   WHERE o.attrelid = t.relation AND o.attnum > 0 AND NOT o.attisdropped AND o.attidentity = '' AND o.attgenerated = ''))
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attidentity <> ''
	JOIN pg_class c ON c.oid = t.relation
	CROSS JOIN LATERAL (SELECT e.grantee FROM aclexplode(c.relacl) e WHERE e.privilege_type = 'INSERT'
						UNION SELECT e.grantee FROM aclexplode(a.attacl) e WHERE e.privilege_type = 'INSERT') g
	WHERE g.grantee <> t.owner
	  AND EXISTS (SELECT FROM indexes i WHERE i.relation = t.relation AND i.telling AND a.attnum = ANY (i.columns[0:i.indnkeyatts - 1]))
	UNION ALL
	-- Numbers that are counted up tell how busy others are.
	SELECT 'serial_column', t.relation::regclass::text,
		   format('column %I is counted up over all projects: its gaps tell how busy others are', a.attname),
		   format('-- give column %I of %s random ids: uuid DEFAULT gen_random_uuid()', a.attname, t.relation::regclass)
	FROM protected t
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
					AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
	JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum = d.refobjsubid
	UNION ALL
	-- The last value of a sequence is the number of rows that all tenants made.
	SELECT 'sequence_readable', s.oid::regclass::text,
		   format('%s may read how many rows of %s were ever made', tenancy._lint_role(g.grantee), t.relation::regclass),
		   format('REVOKE %s ON SEQUENCE %s FROM %s;', string_agg(DISTINCT g.privilege_type, ', ' ORDER BY g.privilege_type), s.oid::regclass, tenancy._lint_role(g.grantee))
	FROM protected t
	JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation
					AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
	JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
	CROSS JOIN LATERAL aclexplode(s.relacl) g
	WHERE g.grantee <> s.relowner
	  -- a serial column needs USAGE to be filled, an identity column nothing
	  AND (g.privilege_type IN ('SELECT', 'UPDATE') OR d.deptype = 'i')
	GROUP BY s.oid, g.grantee, t.relation
	UNION ALL
	-- What an UPDATE or DELETE was about goes to every reader of the log; without
	-- the column in it no publication can be narrowed to a project.
	SELECT 'replica_identity', t.relation::regclass::text,
		   CASE c.relreplident WHEN 'f' THEN 'its replica identity writes whole old rows for every subscriber'
				ELSE format('its replica identity lacks column %I: no publication can be filtered by it', t.column_name) END,
		   format('ALTER TABLE %s REPLICA IDENTITY DEFAULT;', t.relation::regclass)
	FROM protected t
	JOIN pg_class c ON c.oid = t.relation
	LEFT JOIN pg_index i ON i.indrelid = t.relation AND i.indisreplident
	WHERE c.relreplident = 'f'
	   OR (c.relreplident = 'i' AND NOT coalesce(t.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1]), false))
	UNION ALL
	-- A function that claims to be immutable and is not may copy rows of others
	-- into the column, where their policies do not follow.
	SELECT 'generated_column', format('column %I of %s', a.attname, t.relation::regclass),
		   format('it is generated by %s, which could read rows of other projects', f.oid::regprocedure),
		   -- from 18 on there are virtual ones, which stay what they are
		   format('%sALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION;', CASE a.attgenerated WHEN 's' THEN '' ELSE '-- write it anew without the function, not: ' END,
				  t.relation::regclass, a.attname)
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attgenerated <> '' AND NOT a.attisdropped
	JOIN pg_attrdef x ON x.adrelid = t.relation AND x.adnum = a.attnum
	-- from 15 to 18 the expression's dependencies are the column's or the default's
	JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass
		AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid)
			 OR (d.classid = 'pg_class'::regclass AND d.objid = t.relation AND d.objsubid = a.attnum))
	JOIN pg_proc f ON f.oid = d.refobjid
	JOIN pg_language l ON l.oid = f.prolang AND l.lanname NOT IN ('c', 'internal')
	UNION ALL
	-- Who may read a generated column reads what it was made from.
	SELECT 'generated_column', format('column %I of %s', a.attname, t.relation::regclass),
		   format('%s may read it, and may not read column %I, which it is made from', tenancy._lint_role(g.grantee), b.attname),
		   format('REVOKE SELECT (%I) ON %s FROM %s;', a.attname, t.relation::regclass, tenancy._lint_role(g.grantee))
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attgenerated <> '' AND NOT a.attisdropped AND a.attacl IS NOT NULL
	JOIN pg_attrdef x ON x.adrelid = t.relation AND x.adnum = a.attnum
	JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation AND d.refobjsubid > 0
		AND d.refobjsubid <> a.attnum
		AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = x.oid)
			 OR (d.classid = 'pg_class'::regclass AND d.objid = t.relation AND d.objsubid = a.attnum))
	JOIN pg_attribute b ON b.attrelid = t.relation AND b.attnum = d.refobjsubid
	CROSS JOIN LATERAL aclexplode(a.attacl) g
	WHERE g.privilege_type = 'SELECT' AND g.grantee <> t.owner
	  AND NOT CASE WHEN g.grantee = 0 THEN has_column_privilege('public', t.relation, b.attnum, 'SELECT')
				   ELSE has_column_privilege(g.grantee, t.relation, b.attnum, 'SELECT') END
	UNION ALL
	-- A large object belongs to no project: whoever has its number, and the right, reads it.
	SELECT 'large_objects', format('column %I of %s', a.attname, t.relation::regclass),
		   'large objects belong to no project, and row security does not hold for them',
		   format('-- keep the bytes in %s: a column of type bytea', t.relation::regclass)
	FROM protected t
	JOIN pg_attribute a ON a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped
	JOIN pg_type y ON y.oid = a.atttypid AND (y.oid = 'oid'::regtype OR y.typname = 'lo')
	UNION ALL
	SELECT 'large_objects', 'setting lo_compat_privileges', 'everybody may read and change all large objects',
		   'ALTER SYSTEM RESET lo_compat_privileges;'
	FROM pg_settings s WHERE s.name = 'lo_compat_privileges' AND s.setting = 'on'
$$;
COMMENT ON FUNCTION tenancy._lint_keys() IS 'Part of lint(): keys, indexes and columns that tell of hidden rows.';
