-- ---------------------------------------------------------------------
-- Proof: tries, as a role, what isolation forbids
--
-- tenancy.prove_isolation() makes synthetic organizations, projects, users and
-- rows, lets the role try what the table of templates below lists, and undoes
-- everything.  Three rules keep it safe and honest:
--
-- 1. Whatever may run code of the application's is run by _run_as() with the
--    rights of the role that tries, or of the table's owner, never with the
--    caller's.  That is every query on a table of theirs, also one that only
--    reads: beside triggers, defaults and checks there are the predicates of
--    indexes and the like, which the planner evaluates.
-- 2. Every table is tried in a subtransaction of its own and every attempt in
--    one inside that, and all of them end in an exception.  The answers live
--    in variables and in the result, which no rollback reaches.
-- 3. What was seen or changed is judged from outside: by counting and
--    comparing the synthetic rows as the table's owner, whom _proof_read()
--    does not let be filtered.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._run_as(role regrole, path text, command text, unfiltered boolean,
								OUT affected bigint, OUT answer text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_run_as';
COMMENT ON FUNCTION tenancy._run_as(regrole, text, text, boolean) IS
	'Runs a statement as another role, which cannot become the caller again; unfiltered: forced row security does not bind the owner of a table.';

-- A superuser's table runs what hangs on it with a superuser's rights.  So all of it,
-- and all below it, has to be a superuser's, too.  Names somebody else's, if there is one.
CREATE FUNCTION tenancy._proof_stranger(relation regclass)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE below AS (
		SELECT _proof_stranger.relation::oid AS oid
		UNION
		SELECT i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
	), reached (classid, objid) AS (
		SELECT 'pg_class'::regclass::oid, b.oid FROM below b
		UNION
		SELECT n.classid, n.objid
		FROM reached r
		CROSS JOIN LATERAL (
			-- what it calls
			SELECT d.refclassid, d.refobjid
			FROM pg_depend d
			WHERE d.classid = r.classid AND d.objid = r.objid
			  AND d.refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
			UNION ALL
			-- what is a part of it: triggers, rules, indexes, defaults, checks, statistics
			SELECT d.classid, d.objid
			FROM pg_depend d
			WHERE d.refclassid = r.classid AND d.refobjid = r.objid AND d.deptype IN ('a', 'i')
			  AND d.classid <> 'pg_policy'::regclass	-- which binds no superuser
			  AND r.classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass)) n (classid, objid)
	)
	SELECT min(format('%s belongs to %I', pg_describe_object(r.classid, r.objid, 0), o.rolname) COLLATE "C")
	FROM reached r
	JOIN pg_shdepend s ON s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
					   AND s.classid = r.classid AND s.objid = r.objid AND s.deptype = 'o'
	JOIN pg_roles o ON o.oid = s.refobjid
	WHERE NOT o.rolsuper
$$;
COMMENT ON FUNCTION tenancy._proof_stranger(regclass) IS
	'What a superuser''s table would run, or pass on, that belongs to somebody who is none.';

CREATE FUNCTION tenancy._proof_require_own(relation regclass)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stranger text;
BEGIN
	IF (SELECT r.rolsuper FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = relation) THEN
		-- before looking, so that no trigger comes afterwards
		EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', relation);
		stranger := tenancy._proof_stranger(relation);
		IF stranger IS NOT NULL THEN
			RAISE EXCEPTION 'table "%" is a superuser''s and would run what is not: %', relation, stranger
				USING ERRCODE = 'object_not_in_prerequisite_state';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_require_own(regclass) IS 'Raises when a superuser''s table would run what is somebody else''s.';

-- An error of its own kind, lest it pass for a refusal of what is tried.
CREATE FUNCTION tenancy._proof_read(relation regclass, query text)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (tenancy._run_as((SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'pg_catalog', query, true)).answer;
EXCEPTION WHEN OTHERS OR assert_failure THEN
	RAISE EXCEPTION 'the owner of table "%" cannot read it: %', relation, SQLERRM
		USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;
COMMENT ON FUNCTION tenancy._proof_read(regclass, text) IS
	'The one value that a query on a table answers to its owner, who is not filtered.';

-- ---------------------------------------------------------------------
-- What is to be proven
-- ---------------------------------------------------------------------

-- Not the view protected_tables: a table whose floor was dropped or altered is
-- the one that has to be looked at, and so is a partition without policies.
CREATE FUNCTION tenancy._proof_tables(OUT relation regclass, OUT kind text, OUT column_name name,
									  OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE ours AS (
		SELECT p.oid, p.polrelid, p.polname, p.polcmd,
			   pg_get_expr(p.polqual, p.polrelid) AS reading,
			   concat_ws(' ', CASE WHEN p.polcmd IN ('w', 'd') THEN pg_get_expr(p.polqual, p.polrelid) END,
						 pg_get_expr(p.polwithcheck, p.polrelid)) AS writing
		FROM pg_policy p
		WHERE p.polname = ANY (tenancy._policy_names())
	), keys AS (
		SELECT c.conrelid, c.conkey[1] AS attnum, c.confrelid
		FROM pg_constraint c
		WHERE c.contype = 'f' AND cardinality(c.conkey) = 1
		  AND c.confrelid IN ('tenancy.projects'::regclass, 'tenancy.organizations'::regclass)
	), marked AS (
		SELECT o.polrelid,
			   CASE WHEN bool_or(concat(o.reading, o.writing) ~ 'tenancy\.can_(view|edit|write)\(') THEN 'project'
					WHEN bool_or(concat(o.reading, o.writing) ~ 'tenancy\.is_member\(') THEN 'organization'
					ELSE (SELECT CASE k.confrelid WHEN 'tenancy.projects'::regclass THEN 'project' ELSE 'organization' END
						  FROM keys k WHERE k.conrelid = o.polrelid ORDER BY k.attnum LIMIT 1) END AS kind,
			   coalesce((SELECT a.attname
						 FROM pg_depend d
						 JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
						 WHERE d.classid = 'pg_policy'::regclass AND d.objid = ANY (array_agg(o.oid))
						   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = o.polrelid
						   AND a.atttypid = 'uuid'::regtype
						 GROUP BY a.attname ORDER BY count(*) DESC, a.attname LIMIT 1),
						(SELECT a.attname FROM keys k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.attnum
						 WHERE k.conrelid = o.polrelid ORDER BY k.attnum LIMIT 1)) AS column_name,
			   (SELECT max(m[1]::tenancy.access_level)
				FROM regexp_matches(string_agg(o.reading, ' ') FILTER (WHERE o.polcmd IN ('*', 'r')),
									'''(member|administrator|owner)''::tenancy\.access_level', 'g') m) AS visible_to,
			   (SELECT max(m[1]::tenancy.access_level)
				FROM regexp_matches(string_agg(o.writing, ' '),
									'''(member|administrator|owner)''::tenancy\.access_level', 'g') m) AS editable_by
		FROM ours o
		GROUP BY o.polrelid
	), below AS (
		SELECT m.polrelid AS relid, m.polrelid AS source, 0 AS depth FROM marked m
		UNION
		SELECT i.inhrelid, b.source, b.depth + 1 FROM below b JOIN pg_inherits i ON i.inhparent = b.relid
	)
	SELECT DISTINCT ON (b.relid) b.relid::regclass, m.kind, m.column_name,
		   coalesce(m.visible_to, 'member'), coalesce(m.editable_by, 'member')
	FROM below b
	JOIN marked m ON m.polrelid = b.source
	JOIN pg_class c ON c.oid = b.relid
	WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
	ORDER BY b.relid, (m.column_name IS NULL OR m.kind IS NULL), b.depth
$$;
COMMENT ON FUNCTION tenancy._proof_tables() IS
	'The tables with a policy of ours, and everything below them, protected or not.';

CREATE FUNCTION tenancy._proof_views(relation regclass)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE readers AS (
		SELECT _proof_views.relation::oid AS oid
		UNION
		SELECT r.ev_class
		FROM readers v
		JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid
						AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite r ON r.oid = d.objid
	)
	SELECT c.oid::regclass
	FROM readers v
	JOIN pg_class c ON c.oid = v.oid
	WHERE c.relkind IN ('v', 'm')
	ORDER BY c.oid::regclass::text COLLATE "C"
$$;
COMMENT ON FUNCTION tenancy._proof_views(regclass) IS
	'Every view that selects from a table, or from a view that does.';

-- The search_path that the role finds when it logs in.
CREATE FUNCTION tenancy._proof_path(role regrole)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		(SELECT substr(c, length('search_path=') + 1)
		 FROM pg_db_role_setting s, unnest(s.setconfig) c
		 WHERE s.setrole IN (0, _proof_path.role)
		   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
		   AND c LIKE 'search\_path=%'
		 ORDER BY s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
		 LIMIT 1),
		(SELECT f.setting FROM pg_file_settings f WHERE f.name = 'search_path' AND f.applied ORDER BY f.seqno DESC LIMIT 1),
		(SELECT s.boot_val FROM pg_settings s WHERE s.name = 'search_path'))
$$;
COMMENT ON FUNCTION tenancy._proof_path(regrole) IS 'The search_path that a role begins with in this database.';

-- ---------------------------------------------------------------------
-- Synthetic values and rows
-- ---------------------------------------------------------------------

-- What a check, or the bounds of a partition, mention: the likeliest to pass.
CREATE FUNCTION tenancy._proof_literals(expression text)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(DISTINCT l.value), '{}')
	FROM (SELECT replace(m[1], '''''', '''') AS value
		  FROM regexp_matches(expression, '''((?:[^'']|'''')*)''', 'g') m
		  UNION ALL
		  SELECT (m[1]::numeric + d)::text
		  FROM regexp_matches(regexp_replace(expression, '''(?:[^'']|'''')*''', '''''', 'g'),
							  '(?<![\w.])(-?\d{1,15}(?:\.\d{1,15})?)(?![\w.])', 'g') m,
			   unnest('{0,-1,1}'::numeric[]) d) l
$$;
COMMENT ON FUNCTION tenancy._proof_literals(text) IS 'The constants in an expression, and the numbers beside them.';

-- As text that the type reads, the likeliest first; n makes them differ and,
-- where the type has an order, rise.
CREATE FUNCTION tenancy._proof_candidates(type oid, modifier integer, n bigint)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t pg_type%ROWTYPE;
	of_parts text[];
	size integer;
	small bigint := n / 1000 + n % 1000;	-- differs and rises within narrow types, too
	digest text := md5(n::text);
	letters text := translate(digest, '0123456789', 'ghijklmnop');
BEGIN
	SELECT * INTO STRICT t FROM pg_type p WHERE p.oid = _proof_candidates.type;
	CASE t.typtype
		WHEN 'd' THEN
			RETURN tenancy._proof_candidates(t.typbasetype, greatest(t.typtypmod, modifier), n);
		WHEN 'e' THEN
			RETURN (SELECT array_agg(e.enumlabel::text ORDER BY (e.place + n) % e.total, e.place)
					FROM (SELECT l.enumlabel, row_number() OVER (ORDER BY l.enumsortorder) AS place, count(*) OVER () AS total
						  FROM pg_enum l WHERE l.enumtypid = t.oid) e);
		WHEN 'r', 'm' THEN
			SELECT array[tenancy._proof_candidates(r.rngsubtype, -1, n), tenancy._proof_candidates(r.rngsubtype, -1, n + 7)]
			INTO of_parts FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid);
			RETURN CASE t.typtype
				WHEN 'r' THEN ARRAY[format('["%s","%s")', of_parts[1][1], of_parts[2][1]), 'empty', '(,)']
				ELSE ARRAY[format('{["%s","%s")}', of_parts[1][1], of_parts[2][1]), '{}'] END;
		WHEN 'c' THEN
			RETURN ARRAY['(' || repeat(',', (SELECT count(*)::integer - 1 FROM pg_attribute a
											 WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)) || ')'];
		ELSE
	END CASE;
	IF t.typcategory = 'A' AND t.typelem <> 0 THEN
		RETURN ARRAY['{}', format('{"%s"}', (tenancy._proof_candidates(t.typelem, modifier, n))[1])];
	END IF;

	size := CASE WHEN t.typname IN ('varchar', 'bpchar') AND modifier > 4 THEN modifier - 4
				 WHEN t.typname = 'numeric' AND modifier > 4 THEN ((modifier - 4) >> 16) - ((modifier - 4) & 2047)
				 WHEN t.typname IN ('bit', 'varbit') AND modifier > 0 THEN modifier
				 WHEN t.typname = 'bit' THEN 1
				 WHEN t.typname = 'char' THEN 1
				 WHEN t.typname = 'name' THEN 63 END;
	RETURN CASE
		WHEN t.typname = 'bool' THEN ARRAY[(n % 2 = 0)::text, (n % 2 <> 0)::text]
		WHEN t.typname = 'int2' THEN ARRAY[(small % 32000)::text, '1', '0', '-1', '10', '100']
		WHEN t.typname IN ('numeric', 'money', 'float4', 'float8') THEN
			ARRAY[(CASE WHEN size < 15 THEN small % (10 ^ greatest(size, 0))::bigint ELSE n END)::text, '1', '0.5', '0', '-1', '10', '100']
		WHEN t.typname IN ('int4', 'int8', 'oid', 'xid', 'xid8', 'cid') THEN ARRAY[n::text, '1', '0', '-1', '10', '100', '2000']
		WHEN t.typcategory = 'S' OR t.typname = 'citext' THEN
			(SELECT array_agg(left(c.value, coalesce(size, 200)) ORDER BY c.place)
			 FROM unnest(ARRAY[CASE WHEN size < 8 THEN digest ELSE 'proof' || n END, 'Proof' || n, 'PROOF' || n,
							   'proof' || n || '@example.com', 'https://example.com/proof' || n,
							   n::text, '+1555' || n, digest, left(digest, 2), left(letters, 2), upper(left(letters, 2)),
							   left(letters, 3), upper(left(letters, 3)), 'a', 'A', '1', '', 'en-US'])
				  WITH ORDINALITY c (value, place))
		WHEN t.typname = 'uuid' THEN ARRAY[digest::uuid::text]
		WHEN t.typname IN ('date', 'timestamp', 'timestamptz') THEN
			ARRAY[(timestamp '2001-01-01' + small % 8000 * interval '1 day')::date::text, now()::date::text,
				  (now() + interval '30 days')::date::text, (now() - interval '30 days')::date::text]
		WHEN t.typname IN ('time', 'timetz') THEN ARRAY[(time '00:00' + small % 86400 * interval '1 second')::text, '00:00', '12:00']
		WHEN t.typname = 'interval' THEN ARRAY[n || ' seconds', '1 second', '1 day', '0']
		WHEN t.typname IN ('json', 'jsonb') THEN ARRAY['{}', '[]', '"proof"', '1', 'null']
		WHEN t.typname = 'xml' THEN ARRAY['<proof/>']
		WHEN t.typname = 'bytea' THEN ARRAY['\x' || digest, '\x']
		WHEN t.typname IN ('inet', 'cidr') THEN ARRAY[format('10.%s.%s.%s', n / 65536 % 256, n / 256 % 256, n % 256)]
		WHEN t.typname = 'macaddr' THEN ARRAY[left(digest, 12)]
		WHEN t.typname = 'macaddr8' THEN ARRAY[left(digest, 16)]
		WHEN t.typname IN ('bit', 'varbit') THEN ARRAY[right(lpad(n::bit(32)::text, coalesce(size, 32), '0'), coalesce(size, 32))]
		WHEN t.typname = 'point' THEN ARRAY[format('(%s,1)', n)]
		WHEN t.typname = 'line' THEN ARRAY['{1,2,3}']
		WHEN t.typname IN ('lseg', 'path') THEN ARRAY[format('[(0,0),(%s,1)]', n)]
		WHEN t.typname = 'box' THEN ARRAY[format('(%s,1),(%s,0)', n + 1, n)]
		WHEN t.typname = 'polygon' THEN ARRAY[format('((%s,0),(%s,1),(%s,1))', n, n, n + 1)]
		WHEN t.typname = 'circle' THEN ARRAY[format('<(%s,0),0.5>', n)]
		WHEN t.typname IN ('tsvector', 'tsquery', 'ltree') THEN ARRAY['proof' || n]
		WHEN t.typname = 'pg_lsn' THEN ARRAY['0/' || to_hex(n)]
		WHEN t.typname IN ('pg_snapshot', 'txid_snapshot') THEN ARRAY[format('%s:%s:', n, n)]
		WHEN t.typname = 'tid' THEN ARRAY['(0,1)']
		WHEN t.typname LIKE 'reg%' THEN ARRAY['-']
		ELSE ARRAY['', '0', '1', '{}', '()', 'proof' || n]
	END;
END
$$;
COMMENT ON FUNCTION tenancy._proof_candidates(oid, integer, bigint) IS 'Values of a type to fill a column with.';

-- What the bounds of a partition demand, one condition each.  A row of a
-- partitioned table is meant for one of the partitions at the end.
CREATE FUNCTION tenancy._proof_bounds(relation regclass)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	partition regclass := relation;
	bounds text;
	piece text;
	condition text := '';
	depth integer := 0;
	result text[] := '{}'::text[];
BEGIN
	IF (SELECT c.relkind FROM pg_class c WHERE c.oid = relation) = 'p' THEN
		SELECT t.relid INTO partition
		FROM pg_partition_tree(relation) t
		JOIN pg_class c ON c.oid = t.relid
		WHERE t.isleaf
		ORDER BY pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' DESC, t.relid
		LIMIT 1;
	END IF;

	-- ((a >= 1) AND (a < 2)), or one condition alone
	bounds := pg_get_partition_constraintdef(partition);
	IF bounds LIKE '((%))' THEN
		bounds := substr(bounds, 2, length(bounds) - 2);
	END IF;
	FOR piece IN SELECT m[1] FROM regexp_matches(bounds, '(''(?:[^'']|'''')*''|"(?:[^"]|"")*"| AND |.)', 'g') m LOOP
		depth := depth + (piece = '(')::integer - (piece = ')')::integer;
		IF depth = 0 AND piece = ' AND ' THEN
			result := result || condition;
			condition := '';
		ELSE
			condition := condition || piece;
		END IF;
	END LOOP;
	IF condition <> '' THEN
		result := result || condition;
	END IF;
	-- any of the partitions by hash will do for a row of the table at the top
	RETURN (SELECT coalesce(array_agg(c), '{}') FROM unnest(result) c WHERE partition = relation OR c !~ 'satisfies_hash_partition');
END
$$;
COMMENT ON FUNCTION tenancy._proof_bounds(regclass) IS 'What a row has to satisfy to fall into a partition.';

-- What one column has to satisfy, as expressions over it.
CREATE FUNCTION tenancy._proof_checks(relation regclass, attribute smallint)
RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(e.expression), '{}')
	FROM (SELECT pg_get_expr(c.conbin, c.conrelid) AS expression
		  FROM pg_constraint c
		  WHERE c.conrelid = relation AND c.contype = 'c' AND c.conkey = ARRAY[attribute]
		  UNION ALL
		  SELECT b
		  FROM unnest(tenancy._proof_bounds(relation)) b
		  WHERE strpos(b, (SELECT quote_ident(a.attname) FROM pg_attribute a
						   WHERE a.attrelid = relation AND a.attnum = attribute)) > 0) e
$$;
COMMENT ON FUNCTION tenancy._proof_checks(regclass, smallint) IS 'The checks and partition bounds that a column has to satisfy.';

-- Does a column take a value?  Asked as the owner of the table, whose functions
-- its checks may call.  What mentions further columns is left for the INSERT to
-- find out.
CREATE FUNCTION tenancy._proof_accepts(owner regrole, column_name name, type text, value text, expression text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (tenancy._run_as(owner, 'pg_catalog', format(
		'SELECT FROM (SELECT CAST(%1$L AS %2$s) AS %3$I) c WHERE pg_catalog.num_nonnulls(%3$I) = 1 AND (%4$s) IS NOT FALSE',
		value, type, column_name, expression), false)).affected = 1;
EXCEPTION
	WHEN undefined_column THEN
		RETURN true;
	WHEN OTHERS OR assert_failure THEN
		RETURN false;
END
$$;
COMMENT ON FUNCTION tenancy._proof_accepts(regrole, name, text, text, text) IS 'Does a column take a value, as far as one check is concerned?';

CREATE FUNCTION tenancy._proof_value(relation regclass, attribute smallint, n bigint)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	checks text[] := tenancy._proof_checks(relation, attribute);
	domain_checks text;
	candidate text;
BEGIN
	SELECT a.attname, a.atttypid, a.atttypmod, format_type(a.atttypid, a.atttypmod) AS type, k.relowner::regrole AS owner
	INTO STRICT c
	FROM pg_attribute a JOIN pg_class k ON k.oid = a.attrelid
	WHERE a.attrelid = relation AND a.attnum = attribute;

	SELECT string_agg(pg_get_expr(d.conbin, 0), ' ') INTO domain_checks FROM pg_constraint d WHERE d.contypid = c.atttypid;
	FOREACH candidate IN ARRAY tenancy._proof_candidates(c.atttypid, c.atttypmod, n)
							   || tenancy._proof_literals(concat_ws(' ', array_to_string(checks, ' '), domain_checks)) LOOP
		IF (SELECT bool_and(tenancy._proof_accepts(c.owner, c.attname, c.type, candidate, e)) FROM unnest('true'::text || checks) e) THEN
			RETURN candidate;
		END IF;
	END LOOP;

	-- What passed before passes again.
	RETURN tenancy._proof_read(relation, format('SELECT format(''%%s'', r.%I) FROM %s r WHERE r.%I IS NOT NULL LIMIT 1',
												c.attname, relation, c.attname));
END
$$;
COMMENT ON FUNCTION tenancy._proof_value(regclass, smallint, bigint) IS 'A value for a column, NULL if none was found.';

-- A row to refer to: one that exists, and is not just being changed, or one made
-- for it.  known: what the referring row says already.
CREATE FUNCTION tenancy._proof_referenced(target regclass, columns name[], known jsonb, people jsonb, who uuid, depth integer,
										  OUT existing jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._proof_require_own(target);
	existing := CAST(tenancy._proof_read(target, format('SELECT jsonb_build_object(%s) FROM %s r WHERE %s %s LIMIT 1 FOR KEY SHARE SKIP LOCKED',
		(SELECT string_agg(format('%L, format(''%%s'', r.%I)', c, c), ', ') FROM unnest(columns) c),
		target,
		(SELECT string_agg(CASE WHEN known ? c THEN format('r.%I = %L', c, known ->> c)
								-- of people and projects, the synthetic ones
								WHEN target IN ('tenancy.users'::regclass, 'tenancy.organizations'::regclass, 'tenancy.projects'::regclass)
								 AND c = 'id' THEN format('r.id::text = ANY (%L)', ARRAY(SELECT p.value FROM jsonb_each_text(people) p))
								ELSE format('r.%I IS NOT NULL', c) END, ' AND ')
		 FROM unnest(columns) c),
		-- and of people, whoever acts
		CASE WHEN target = 'tenancy.users'::regclass THEN format('ORDER BY r.id = %L DESC', who) ELSE '' END)) AS jsonb);
	IF existing IS NULL AND depth < 5 THEN
		SELECT i.made, i.problem INTO existing, problem
		FROM tenancy._proof_insert(target, known, people, who, columns, depth + 1) i;
	ELSIF existing IS NULL THEN
		problem := format('there is no row in %s to refer to', target);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_referenced(regclass, name[], jsonb, jsonb, uuid, integer) IS
	'The key of a row that a foreign key can point to.';

-- Fill the columns of a row beside those that are given.  Variants: 0 what has to be filled;
-- 1 the same, falling from column to column; 2 what has a default, too; 3 and 4 everything;
-- 5 after a row that exists.
CREATE FUNCTION tenancy._proof_fill(relation regclass, given jsonb, variant integer, people jsonb, who uuid, depth integer,
									OUT filled jsonb, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	key record;
	col record;
	reference record;
	known jsonb;
	model jsonb;
	value text;
	n bigint := 1000 * (1 + floor(random() * 1000000)::bigint);
BEGIN
	filled := given;

	FOR key IN
		SELECT c.confrelid::regclass AS target, c.confrelid = c.conrelid AS own,
			   (SELECT array_agg(a.attname ORDER BY k.i) FROM unnest(c.conkey) WITH ORDINALITY k (num, i)
				JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS columns,
			   (SELECT array_agg(a.attname ORDER BY k.i) FROM unnest(c.confkey) WITH ORDINALITY k (num, i)
				JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num) AS refers,
			   (SELECT bool_and(a.attnotnull OR given ? a.attname::text) FROM unnest(c.conkey) k (num)
				JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS required
		FROM pg_constraint c
		WHERE c.conrelid = relation AND c.contype = 'f'
		ORDER BY cardinality(c.conkey), c.conname
	LOOP
		CONTINUE WHEN key.own OR NOT key.required OR filled ?& key.columns::text[];
		known := (SELECT coalesce(jsonb_object_agg(k.r, filled -> k.c), '{}') FROM unnest(key.columns::text[], key.refers::text[]) k (c, r) WHERE filled ? k.c);
		SELECT * INTO reference FROM tenancy._proof_referenced(key.target, key.refers, known, people, who, depth);
		IF reference.problem IS NOT NULL THEN
			problem := reference.problem;
			RETURN;
		END IF;
		filled := filled || (SELECT jsonb_object_agg(k.c, reference.existing -> k.r) FROM unnest(key.columns::text[], key.refers::text[]) k (c, r));
	END LOOP;

	IF variant = 5 THEN
		model := CAST(tenancy._proof_read(relation, format('SELECT jsonb_build_object(%s) FROM %s r LIMIT 1',
			(SELECT string_agg(format('%L, CASE WHEN r.%I IS NOT NULL THEN format(''%%s'', r.%I) END', a.attname, a.attname, a.attname), ', ')
			 FROM (SELECT a.attname FROM pg_attribute a
				   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
					 AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
									 AND a.attnum = ANY (i.indkey))
				   LIMIT 45) a), relation)) AS jsonb);
		IF model IS NULL THEN
			problem := 'the table is empty';
			RETURN;
		END IF;
		filled := jsonb_strip_nulls(model) || filled;
	END IF;

	FOR col IN
		SELECT a.attnum, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		  AND NOT filled ? a.attname::text
		  -- what takes its value from a sequence is filled, to leave the sequence alone
		  AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ '\mnextval\('
			   OR (a.attnotnull OR t.typnotnull) AND (d.adbin IS NULL OR variant >= 2)
			   OR variant IN (3, 4)
				  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = relation AND c.contype = 'f' AND a.attnum = ANY (c.conkey)))
		ORDER BY a.attnum
	LOOP
		value := tenancy._proof_value(relation, col.attnum, n + CASE WHEN variant IN (1, 4) THEN 999 - col.attnum % 999 ELSE col.attnum END);
		IF value IS NULL THEN
			problem := format('no value was found for column "%s" of type %s', col.name, col.type);
			RETURN;
		END IF;
		filled := filled || jsonb_build_object(col.name, value);
	END LOOP;

	-- A row that has to refer to a row of its own table refers to itself.
	FOR key IN
		SELECT a.attname::text AS col, f.attname::text AS ref
		FROM pg_constraint c, unnest(c.conkey, c.confkey) k (num, refnum)
		JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.num
		JOIN pg_attribute f ON f.attrelid = relation AND f.attnum = k.refnum
		WHERE c.conrelid = relation AND c.confrelid = relation AND c.contype = 'f'
	LOOP
		IF filled ? key.col AND filled ? key.ref AND NOT given ? key.col THEN
			filled := filled || jsonb_build_object(key.col, filled -> key.ref);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_fill(regclass, jsonb, integer, jsonb, uuid, integer) IS
	'A synthetic row for a table, or the reason why there is none.';

-- Insert a synthetic row as the table's owner, on behalf of a user who may: filled is what was
-- filled, or the columns that were asked for as they are in the table.
CREATE FUNCTION tenancy._proof_insert(relation regclass, given jsonb, people jsonb, who uuid, wanted name[], depth integer,
									  OUT made jsonb, OUT variant integer, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	path text := tenancy._proof_path(owner);
	fill record;
	outcome record;
	try integer;
BEGIN
	FOREACH try IN ARRAY '{0,1,2,3,4,5}'::integer[] LOOP
		BEGIN
			PERFORM tenancy.act_as(who);
			SELECT * INTO fill FROM tenancy._proof_fill(relation, given, try, people, who, depth);
			IF fill.problem IS NOT NULL THEN
				problem := coalesce(problem, fill.problem);
				CONTINUE;
			END IF;
			SELECT * INTO outcome FROM tenancy._run_as(owner, path,
				format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)%s', relation,
					   (SELECT string_agg(quote_ident(e.key), ', ' ORDER BY e.key) FROM jsonb_each_text(fill.filled) e),
					   (SELECT string_agg(quote_literal(e.value), ', ' ORDER BY e.key) FROM jsonb_each_text(fill.filled) e),
					   (SELECT ' RETURNING pg_catalog.jsonb_build_object('
							   || string_agg(format('%L, pg_catalog.format(''%%s'', %I)', c, c), ', ') || ')'
						FROM unnest(wanted) c HAVING count(*) > 0)), false);
			IF outcome.affected = 1 THEN
				made := coalesce(outcome.answer::jsonb, fill.filled);
				variant := try;
				problem := NULL;
				RETURN;
			END IF;
			problem := 'a trigger or rule of the table swallowed the row';
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			problem := format('no row could be made: %s', SQLERRM);
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_insert(regclass, jsonb, jsonb, uuid, name[], integer) IS
	'Inserts a synthetic row, or says why it cannot.';

-- ---------------------------------------------------------------------
-- The stage
-- ---------------------------------------------------------------------

-- Ids for three projects or organizations.  Where they decide about the
-- partition, ids that fall into this one.
CREATE FUNCTION tenancy._proof_ids(relation regclass, column_name name)
RETURNS uuid[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	ids uuid[] := ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 3));
	suitable uuid[];
	condition text;
BEGIN
	PERFORM tenancy._proof_require_own(relation);
	FOREACH condition IN ARRAY tenancy._proof_checks(relation, (SELECT a.attnum FROM pg_attribute a
																WHERE a.attrelid = relation AND a.attname = column_name)) LOOP
		BEGIN
			suitable := (tenancy._run_as(owner, 'pg_catalog', format(
				'SELECT pg_catalog.array_agg(s.%1$I) FROM (SELECT c.%1$I FROM (SELECT pg_catalog.gen_random_uuid() AS %1$I FROM pg_catalog.generate_series(1, 3000)) c WHERE %2$s LIMIT 3) s',
				column_name, condition), false)).answer::uuid[];
			IF cardinality(suitable) = 3 THEN
				ids := suitable;
			END IF;
		EXCEPTION WHEN OTHERS OR assert_failure THEN
			NULL;	-- it is about further columns: the INSERT will tell
		END;
	END LOOP;
	RETURN ids;
END
$$;
COMMENT ON FUNCTION tenancy._proof_ids(regclass, name) IS 'Ids of synthetic projects or organizations that suit a table.';

-- Organization A has an Owner, a Member, an open project and a private one that
-- the Member was not added to; organization B has an Owner and another project,
-- whose token is known.
CREATE FUNCTION tenancy._proof_stage(kind text, ids uuid[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	by_project boolean := kind = 'project';
	people jsonb := jsonb_build_object(
		'owner a', gen_random_uuid(), 'owner b', gen_random_uuid(), 'member', gen_random_uuid(),
		'a', CASE WHEN by_project THEN gen_random_uuid() ELSE ids[1] END,
		'b', CASE WHEN by_project THEN gen_random_uuid() ELSE ids[2] END,
		'open', CASE WHEN by_project THEN ids[1] ELSE gen_random_uuid() END,
		'other', CASE WHEN by_project THEN ids[2] ELSE gen_random_uuid() END,
		'private', CASE WHEN by_project THEN ids[3] ELSE gen_random_uuid() END);
	plan text := 'proof_' || md5(random()::text);
BEGIN
	INSERT INTO tenancy.plans (name, multiple_organizations, multiple_projects, private_projects)
	VALUES (plan, true, true, true);
	INSERT INTO tenancy.users (id, email, name)
	SELECT (people ->> n)::uuid, md5(people ->> n) || '@proof.invalid', n
	FROM unnest('{owner a,owner b,member}'::text[]) n;
	INSERT INTO tenancy.organizations (id, name, owner_id, plan)
	SELECT (people ->> n)::uuid, n, (people ->> ('owner ' || n))::uuid, plan
	FROM unnest('{a,b}'::text[]) n;
	INSERT INTO tenancy.memberships (organization_id, user_id)
	VALUES ((people ->> 'a')::uuid, (people ->> 'member')::uuid);
	INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	VALUES ((people ->> 'open')::uuid, (people ->> 'a')::uuid, 'open', false),
		   ((people ->> 'private')::uuid, (people ->> 'a')::uuid, 'private', true),
		   ((people ->> 'other')::uuid, (people ->> 'b')::uuid, 'other', false);
	RETURN people || jsonb_build_object('token', tenancy._issue_project_token((people ->> 'other')::uuid));
END
$$;
COMMENT ON FUNCTION tenancy._proof_stage(text, uuid[]) IS 'Makes the people, organizations and projects that the proof needs.';

-- Who may do everything with a row of a project or organization.
CREATE FUNCTION tenancy._proof_owner(people jsonb, name text)
RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (people ->> CASE WHEN name IN ('other', 'b') THEN 'owner b' ELSE 'owner a' END)::uuid
$$;
COMMENT ON FUNCTION tenancy._proof_owner(jsonb, text) IS 'The Owner of a synthetic project or organization.';

-- Put a row where it belongs, or say why not.
CREATE FUNCTION tenancy._proof_place(relation regclass, kind text, column_name name, people jsonb, name text,
									 OUT variant integer, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	-- for defaults and triggers that look at the current project
	EXECUTE format('SET LOCAL tenancy.project_id = %L', CASE kind WHEN 'project' THEN people ->> name ELSE '' END);
	SELECT i.variant, i.problem INTO variant, problem
	FROM tenancy._proof_insert(relation, jsonb_build_object(column_name, people ->> name), people, tenancy._proof_owner(people, name), '{}', 0) i;
	SET LOCAL tenancy.project_id = '';
	IF problem IS NULL THEN
		IF NOT tenancy._proof_read(relation, format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', relation, column_name, people ->> name))::boolean THEN
			problem := 'a trigger of the table put the row elsewhere';
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._proof_place(regclass, text, name, jsonb, text) IS 'Puts a synthetic row into a project or organization.';

-- Who tries what on whose rows.  Beside the rows of theirs there are some that
-- are the actor's own, if anything is.
CREATE FUNCTION tenancy._proof_cases(OUT place integer, OUT actor text, OUT who text, OUT kind text, OUT mine text, OUT theirs text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES (1, 'Owner of another organization',		'owner b',	'project',		'other',	'open'),
		   (1, 'Owner of another organization',		'owner b',	'organization',	'b',		'a'),
		   (2, 'Member, a private project',			'member',	'project',		'open',		'private'),
		   (3, 'nobody',							NULL,		'project',		'other',	'open'),
		   (3, 'nobody',							NULL,		'organization',	'b',		'a'),
		   (4, 'project token, its own project',	'token',	'project',		'other',	'other'),
		   (4, 'project token, its own organization', 'token',	'organization',	'b',		'b'),
		   (5, 'project token, another project',	'token',	'project',		'other',	'open'),
		   (5, 'project token, another organization', 'token',	'organization',	'b',		'a'),
		   (6, 'Member below the level',			'member',	'project',		'open',		'open'),
		   (6, 'Member below the level',			'member',	'organization',	'a',		'a')
$$;
COMMENT ON FUNCTION tenancy._proof_cases() IS 'Who tries it, on whose rows.';

-- What is tried.  class: read, write what is there, make new rows, or do on
-- one's own rows what is forbidden on others'.  needs:
-- without one of these rights it cannot even begin; MOVE is UPDATE of the
-- project's column.  two: only where mine and theirs differ.  breach: what
-- shows that isolation is broken, any row that is returned or affected, or a
-- change of their rows; none: that it reaches nothing.
CREATE FUNCTION tenancy._proof_templates(OUT place integer, OUT command text, OUT attempt text, OUT class text, OUT needs text[], OUT two boolean,
										 OUT breach text, OUT statement text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
	-- what is refused to everybody proves nothing: these have to work
	(1, 'SELECT', 'reads what is their own (control)', 'control', '{SELECT}'::text[], false, 'none',
		'SELECT FROM {table} WHERE {column} = {mine}'),
	(2, 'INSERT', 'inserts what is their own (control)', 'control', '{INSERT}', false, 'none',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of mine})'),
	(3, 'UPDATE', 'updates what is their own (control)', 'control', '{UPDATE}', false, 'none',
		'UPDATE {table} SET {some column} = {some column} WHERE {column} = {mine}'),
	(4, 'DELETE', 'deletes what is their own (control)', 'control', '{DELETE}', false, 'none',
		'DELETE FROM {table} WHERE {column} = {mine}'),
	(11, 'SELECT', 'reads', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table} WHERE {column} = {theirs}'),
	(12, 'SELECT', 'reads everything', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table}'),
	(13, 'SELECT', 'reads by a cursor', 'read', '{SELECT}', false, 'row',
		-- FETCH takes no snapshot and SPI changes the last one, which may not be the cursor's
		'DECLARE tenancy_proof CURSOR FOR SELECT FROM {table} WHERE {column} = {theirs}; SELECT; FETCH ALL FROM tenancy_proof'),
	(14, 'SELECT', 'lets a leaky function see', 'read', '{SELECT}', false, 'row',
		'SELECT FROM {table} t WHERE pg_temp.tenancy_proof_leak(t.{column}::text, {theirs})'),
	(15, 'SELECT', 'locks rows FOR UPDATE', 'write', '{SELECT,UPDATE}', false, 'row',
		'SELECT FROM {table} WHERE {column} = {theirs} FOR UPDATE'),
	(16, 'COPY', 'copies by the query that COPY TO runs', 'read', '{SELECT}', false, 'row',
		'SELECT FROM ONLY {table} WHERE {column} = {theirs}'),
	(21, 'INSERT', 'inserts', 'new', '{INSERT}', false, 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})'),
	(22, 'INSERT', 'inserts, RETURNING', 'write', '{INSERT,SELECT}', false, 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs}) RETURNING {column}'),
	(23, 'INSERT', 'reads in RETURNING', 'read', '{INSERT,SELECT}', false, 'row',
		'WITH own AS (INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of mine})
					  RETURNING (SELECT pg_catalog.count(*) FROM {table} t WHERE t.{column} = {theirs}) AS seen)
		 SELECT FROM own WHERE seen > 0'),
	(24, 'INSERT', 'overwrites, ON CONFLICT DO UPDATE', 'write', '{INSERT,UPDATE}', false, 'change',
		'INSERT INTO {table} ({columns and key}) OVERRIDING SYSTEM VALUE VALUES ({row of mine with the key of theirs})
		 ON CONFLICT ({key}) DO UPDATE SET {some column} = excluded.{some column}'),
	(25, 'INSERT', 'moves a row there, ON CONFLICT DO UPDATE', 'write', '{INSERT,MOVE}', true, 'change',
		'INSERT INTO {table} ({columns and key}) OVERRIDING SYSTEM VALUE VALUES ({row of mine with its own key})
		 ON CONFLICT ({key}) DO UPDATE SET {column} = {theirs}'),
	(31, 'UPDATE', 'updates', 'write', '{UPDATE}', false, 'row',
		'UPDATE {table} SET {some column} = {some column} WHERE {column} = {theirs}'),
	(32, 'UPDATE', 'moves a row there', 'write', '{MOVE}', true, 'change',
		'UPDATE {table} SET {column} = {theirs} WHERE {column} = {mine}'),
	(33, 'UPDATE', 'takes a row from there', 'write', '{MOVE}', true, 'row',
		'UPDATE {table} SET {column} = {mine} WHERE {column} = {theirs}'),
	(41, 'DELETE', 'deletes', 'write', '{DELETE}', false, 'row',
		'DELETE FROM {table} WHERE {column} = {theirs}'),
	(51, 'MERGE', 'updates', 'write', '{UPDATE}', false, 'row',
		'MERGE INTO {table} t USING (VALUES ({theirs}::uuid)) v (id) ON t.{column} = v.id
		 WHEN MATCHED THEN UPDATE SET {some column} = t.{some column}'),
	(52, 'MERGE', 'deletes', 'write', '{DELETE}', false, 'row',
		'MERGE INTO {table} t USING (VALUES ({theirs}::uuid)) v (id) ON t.{column} = v.id WHEN MATCHED THEN DELETE'),
	(53, 'MERGE', 'inserts', 'new', '{INSERT}', false, 'change',
		'MERGE INTO {table} t USING (VALUES (1)) v (one) ON false
		 WHEN NOT MATCHED THEN INSERT ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})')
$$;
COMMENT ON FUNCTION tenancy._proof_templates() IS 'What is tried on a table.';

CREATE FUNCTION tenancy._proof_view_templates(OUT place integer, OUT command text, OUT attempt text, OUT class text, OUT needs text[],
											  OUT breach text, OUT statement text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES
	(12, 'SELECT', 'lets a leaky function see', 'read', '{SELECT}'::text[], 'row',
		'SELECT FROM {table} v WHERE pg_temp.tenancy_proof_leak(v.{column}::text, {theirs})'),
	(13, 'INSERT', 'inserts', 'new', '{INSERT}', 'change',
		'INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({row of theirs})'),
	(14, 'UPDATE', 'updates', 'write', '{UPDATE}', 'row',
		'UPDATE {table} SET {column} = {column} WHERE {column} = {theirs}'),
	(15, 'DELETE', 'deletes', 'write', '{DELETE}', 'row',
		'DELETE FROM {table} WHERE {column} = {theirs}')
$$;
COMMENT ON FUNCTION tenancy._proof_view_templates() IS
	'What is tried on a view that shows whose a row is, beside reading all of it.';

-- ---------------------------------------------------------------------
-- The attempts
-- ---------------------------------------------------------------------

-- Has the role a right on the table, or on any column of it?  MOVE: on this one.
CREATE FUNCTION tenancy._proof_may(role regrole, relation regclass, column_name name, "right" text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE "right"
		WHEN 'MOVE' THEN has_column_privilege(role, relation, column_name, 'UPDATE')
		WHEN 'DELETE' THEN has_table_privilege(role, relation, 'DELETE')
		ELSE has_any_column_privilege(role, relation, "right") END
$$;
COMMENT ON FUNCTION tenancy._proof_may(regrole, regclass, name, text) IS 'Can the role even begin?';

-- Whatever a refusal says, it is one when it comes from row security, or from a
-- right that the role does not have at all.
CREATE FUNCTION tenancy._proof_is_refusal(code text, message text, lacking text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT code = '42501' AND (message ~ 'row-level security policy' OR message ~ '^permission denied for schema'
							   OR lacking IS NOT NULL AND message ~ '^permission denied for')
		OR code = '44000'		-- of a view WITH CHECK OPTION
		OR code = '55000' AND message ~ '^cannot (insert into|update|delete from) view'
$$;
COMMENT ON FUNCTION tenancy._proof_is_refusal(text, text, text) IS 'Does an error say that isolation held?';

-- Act as somebody (a user's id, a token, NULL for nobody), run one statement as
-- the role, look from outside at what it did, and undo it.
CREATE FUNCTION tenancy._proof_attempt(role regrole, path text, relation regclass, who text, statement text, breach text, due bigint,
									   lacking text, outside text, OUT isolated boolean, OUT detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before text;
	after text;
	reached bigint;
BEGIN
	IF statement IS NULL THEN
		detail := 'the statement could not be made';
		RETURN;
	END IF;
	IF outside IS NOT NULL THEN
		before := tenancy._proof_read(relation, outside);
	END IF;
	IF who LIKE 'tnp\_%' THEN
		PERFORM tenancy.authenticate(who);
	ELSE
		PERFORM tenancy.act_as(who::uuid);
	END IF;
	reached := (tenancy._run_as(role, path, statement, false)).affected;
	IF outside IS NOT NULL THEN
		after := tenancy._proof_read(relation, outside);
	END IF;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		isolated := NOT (breach = 'row' AND reached > due OR after IS DISTINCT FROM before);
		IF breach = 'none' THEN
			isolated := nullif(reached > 0, false);
			detail := CASE WHEN isolated IS NULL THEN 'not even what is their own: what is refused may be so for another reason' END;
			RETURN;
		END IF;
		detail := CASE WHEN NOT isolated AND breach = 'row' AND reached > due
						   THEN format('rows seen or changed: %s, due: %s', reached, due)
					   WHEN NOT isolated THEN 'rows were added or changed'
					   WHEN reached = 0 THEN 'no row'
					   WHEN breach = 'row' THEN 'no row but those that are due'
					   ELSE 'their rows are as before' END;
	WHEN SQLSTATE 'TN0LK' THEN
		isolated := false;
		detail := 'the function was called with a row of theirs';
	WHEN OTHERS OR assert_failure THEN
		isolated := CASE WHEN tenancy._proof_is_refusal(SQLSTATE, SQLERRM, lacking) THEN true END;
		IF isolated AND breach = 'none' THEN
			isolated := NULL;
			detail := format('not even what is their own: %s', SQLERRM);
			RETURN;
		END IF;
		detail := format('%s: %s', CASE WHEN isolated THEN 'refused' ELSE 'could not be tried' END, SQLERRM);
END
$$;
COMMENT ON FUNCTION tenancy._proof_attempt(regrole, text, regclass, text, text, text, bigint, text, text) IS
	'Tries one statement and undoes it.';

-- Put a statement together.
CREATE FUNCTION tenancy._proof_statement(template text, parts jsonb)
RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	piece text;
	result text := '';
BEGIN
	-- piece by piece, since values may contain what looks like a name
	FOR piece IN SELECT m[1] FROM regexp_matches(template, '(\{[^}]*\}|[^{]+)', 'g') m LOOP
		result := result || CASE WHEN piece LIKE '{%' THEN parts ->> btrim(piece, '{}') ELSE piece END;
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION tenancy._proof_statement(text, jsonb) IS 'A template with its parts filled in; NULL if one is missing.';

-- A filled row as the columns and values of an INSERT, as far as the role may give them.
CREATE FUNCTION tenancy._proof_values(role regrole, relation regclass, filled jsonb, OUT columns text, OUT "values" text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
		   string_agg(quote_nullable(filled ->> a.attname::text), ', ' ORDER BY a.attnum)
	FROM pg_attribute a
	WHERE a.attrelid = relation AND a.attnum > 0 AND filled ? a.attname::text
	  AND (has_column_privilege(role, relation, a.attnum, 'INSERT')
		   OR NOT has_any_column_privilege(role, relation, 'INSERT'))
$$;
COMMENT ON FUNCTION tenancy._proof_values(regrole, regclass, jsonb) IS 'Columns and values of an INSERT.';

-- Some columns of a row that was staged.
CREATE FUNCTION tenancy._proof_tied(relation regclass, columns name[], column_name name, id uuid)
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._proof_read(relation, format('SELECT jsonb_build_object(%s) FROM %s r WHERE r.%I = %L LIMIT 1',
		(SELECT string_agg(format('%L, CASE WHEN r.%I IS NOT NULL THEN format(''%%s'', r.%I) END', c, c, c), ', ') FROM unnest(columns) c),
		relation, column_name, id))::jsonb
$$;
COMMENT ON FUNCTION tenancy._proof_tied(regclass, name[], name, uuid) IS 'What a staged row has in some columns.';

-- The parts of statements about one table and one case.  The staged rows are
-- there; new ones are made up beside them.
CREATE FUNCTION tenancy._proof_parts(role regrole, relation regclass, column_name name, mine uuid, theirs uuid,
									 variant integer, people jsonb, who uuid)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts jsonb;
	key name[];
	tied name[];
	of_theirs jsonb := jsonb_build_object(column_name, theirs);
	of_mine jsonb := jsonb_build_object(column_name, mine);
	key_of_theirs jsonb;
	key_of_mine jsonb;
	columns text;
	some_column text;
BEGIN
	SELECT quote_ident(a.attname) INTO some_column
	FROM pg_attribute a
	WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a'
	ORDER BY has_column_privilege(role, relation, a.attnum, 'UPDATE') DESC,
			 has_column_privilege(role, relation, a.attnum, 'SELECT') DESC, a.attname = column_name DESC, a.attnum
	LIMIT 1;
	parts := jsonb_build_object('table', relation, 'column', quote_ident(column_name), 'some column', some_column,
								'mine', quote_literal(mine), 'theirs', quote_literal(theirs));
	IF variant IS NULL THEN
		RETURN parts;
	END IF;

	-- The key that betrays most is one without the column.
	SELECT k.columns INTO key
	FROM (SELECT i.indexrelid, array_agg(a.attname ORDER BY u.place) AS columns, bool_and(a.attgenerated = '') AS writable
		  FROM pg_index i
		  CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, place)
		  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
		  WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indimmediate
			AND i.indpred IS NULL AND i.indexprs IS NULL AND u.place <= i.indnkeyatts
		  GROUP BY i.indexrelid) k
	WHERE k.writable
	ORDER BY column_name = ANY (k.columns), k.columns
	LIMIT 1;

	of_theirs := (tenancy._proof_fill(relation, of_theirs, variant, people, who, 0)).filled;
	of_mine := (tenancy._proof_fill(relation, of_mine, variant, people, who, 0)).filled;
	SELECT v.columns INTO columns FROM tenancy._proof_values(role, relation, of_theirs) v;
	parts := parts || jsonb_build_object('columns', columns,
		'row of theirs', (tenancy._proof_values(role, relation, of_theirs))."values",
		'row of mine', (tenancy._proof_values(role, relation, of_mine))."values");
	IF key IS NOT NULL THEN
		tied := (SELECT array_agg(DISTINCT a.attname)
				 FROM pg_attribute a
				 WHERE a.attrelid = relation AND a.attgenerated = ''
				   AND (a.attname = ANY (key)
						OR EXISTS (SELECT FROM pg_constraint c, pg_attribute k
								   WHERE c.conrelid = relation AND c.contype = 'c' AND a.attnum = ANY (c.conkey)
									 AND k.attrelid = relation AND k.attname = ANY (key) AND k.attnum = ANY (c.conkey))));
		key_of_theirs := tenancy._proof_tied(relation, tied, column_name, theirs);
		key_of_mine := tenancy._proof_tied(relation, tied, column_name, mine);
		-- with what is tied to the key by a check
		of_theirs := of_mine || (key_of_theirs - column_name::text);
		of_mine := of_mine || key_of_mine;
		parts := parts || jsonb_build_object(
			'key', (SELECT string_agg(quote_ident(c), ', ') FROM unnest(key) c),
			'columns and key', (tenancy._proof_values(role, relation, of_mine)).columns,
			'row of mine with the key of theirs', (tenancy._proof_values(role, relation, of_theirs))."values",
			'row of mine with its own key', (tenancy._proof_values(role, relation, of_mine))."values");
	END IF;
	RETURN parts || jsonb_build_object('has key', key IS NOT NULL);
END
$$;
COMMENT ON FUNCTION tenancy._proof_parts(regrole, regclass, name, uuid, uuid, integer, jsonb, uuid) IS
	'What statements about a table are put together from.';

-- Does a template apply?  What a level or a token allows is no attack.
CREATE FUNCTION tenancy._proof_applies(actor text, class text, visible_to tenancy.access_level, editable_by tenancy.access_level)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN class = 'control' THEN actor = 'Owner of another organization'
		WHEN actor = 'Member below the level' THEN
			CASE class WHEN 'read' THEN visible_to > 'member' ELSE editable_by > 'member' END
		WHEN actor LIKE '%, its own project' THEN class <> 'new'
		ELSE true END
$$;
COMMENT ON FUNCTION tenancy._proof_applies(text, text, tenancy.access_level, tenancy.access_level) IS
	'Is it forbidden, so that it is to be tried?';

-- Everything about one table, in a subtransaction that is undone.
CREATE FUNCTION tenancy._proof_table(role regrole, relation regclass, kind text, column_name name,
									 visible_to tenancy.access_level, editable_by tenancy.access_level,
									 OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	path text := tenancy._proof_path(role);
	people jsonb;
	staged record;
	variant integer;
	problem text;
	of_case record;
	t record;
	parts jsonb;
	outside text;
	lacking text;
	due bigint;
	rows_there boolean;
	name text;
BEGIN
	people := tenancy._proof_stage(kind, tenancy._proof_ids(relation, column_name));
	FOREACH name IN ARRAY CASE kind WHEN 'project' THEN '{open,private,other}'::text[] ELSE '{a,b}' END LOOP
		SELECT * INTO staged FROM tenancy._proof_place(relation, kind, column_name, people, name);
		problem := coalesce(problem, staged.problem);
		variant := coalesce(variant, staged.variant);
	END LOOP;
	IF problem IS NOT NULL THEN
		variant := NULL;
		-- of rows that are there, none is the actor's
		rows_there := CAST(tenancy._proof_read(relation, format('SELECT EXISTS (SELECT FROM %s WHERE %I <> ALL (%L))', relation, column_name,
			ARRAY(SELECT p.value::uuid FROM jsonb_each_text(people) p WHERE p.key <> 'token'))) AS boolean);
	END IF;

	FOR of_case IN SELECT c.*, people ->> c.mine AS my_id, people ->> c.theirs AS their_id, people ->> c.who AS identity
				   FROM tenancy._proof_cases() c WHERE c.kind = kind ORDER BY c.place LOOP
		parts := tenancy._proof_parts(role, relation, column_name, of_case.my_id::uuid, of_case.their_id::uuid, variant, people,
									  (people ->> CASE of_case.who WHEN 'token' THEN 'owner b' ELSE coalesce(of_case.who, 'owner b') END)::uuid);
		outside := format('SELECT format(''%%s:%%s'', count(*), sum(hashtextextended(format(''%%s'', t), 0))) FROM %s t WHERE t.%I = %L',
						  relation, column_name, of_case.their_id);
		due := tenancy._proof_read(relation, format('SELECT count(*) FROM %s t WHERE t.%I = %L', relation, column_name, of_case.my_id))::bigint;
		FOR t IN SELECT * FROM tenancy._proof_templates() p
				 WHERE tenancy._proof_applies(of_case.actor, p.class, visible_to, editable_by)
				   AND NOT (p.two AND of_case.my_id = of_case.their_id)
				 ORDER BY p.place LOOP
			command := t.command;
			attempt := of_case.actor || ': ' || t.attempt;
			lacking := (SELECT n FROM unnest(t.needs) n WHERE NOT tenancy._proof_may(role, relation, column_name, n) LIMIT 1);
			CONTINUE WHEN t.class = 'control' AND lacking IS NOT NULL;
			IF variant IS NULL AND NOT (t.attempt = 'reads everything' AND rows_there) THEN
				isolated := NULL;
				detail := problem;
			ELSIF t.statement LIKE '%{key}%' AND NOT (parts -> 'has key')::boolean THEN
				isolated := true;
				detail := 'the table has no unique key';
			ELSE
				SELECT a.isolated, a.detail INTO isolated, detail
				FROM tenancy._proof_attempt(role, path, relation, of_case.identity, tenancy._proof_statement(t.statement, parts), t.breach,
											CASE WHEN t.attempt = 'reads everything' AND of_case.who NOT IN ('token')
													  AND of_case.actor <> 'Member below the level' THEN due ELSE 0 END,
											lacking, CASE WHEN t.class NOT IN ('read', 'control') THEN outside END) a;
			END IF;
			RETURN NEXT;
		END LOOP;
	END LOOP;

	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
END
$$;
COMMENT ON FUNCTION tenancy._proof_table(regrole, regclass, text, name, tenancy.access_level, tenancy.access_level) IS
	'Tries everything on one table, and undoes it.';

-- ---------------------------------------------------------------------
-- Views
-- ---------------------------------------------------------------------

-- All that somebody sees in a view, in a few characters.
CREATE FUNCTION tenancy._proof_answer(role regrole, path text, who text, view regclass, OUT answer text, OUT code text, OUT problem text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seen text := CASE WHEN has_table_privilege(role, view, 'SELECT') THEN 'v'
					  ELSE (SELECT 'ROW(' || string_agg('v.' || quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')'
							FROM pg_attribute a
							WHERE a.attrelid = view AND a.attnum > 0 AND has_column_privilege(role, view, a.attnum, 'SELECT')) END;
BEGIN
	IF who LIKE 'tnp\_%' THEN
		PERFORM tenancy.authenticate(who);
	ELSE
		PERFORM tenancy.act_as(who::uuid);
	END IF;
	answer := (tenancy._run_as(role, path, format(
		'SELECT pg_catalog.format(''%%s:%%s'', pg_catalog.count(*),'
		' pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.format(''%%s'', %s), 0))) FROM %s v',
		coalesce(seen, 'v'), view), false)).answer;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
	WHEN OTHERS OR assert_failure THEN
		code := SQLSTATE;
		problem := SQLERRM;
END
$$;
COMMENT ON FUNCTION tenancy._proof_answer(regrole, text, text, regclass) IS 'A digest of what somebody sees in a view.';

-- A view need not show whose a row is, nor a row at all.  So what somebody sees
-- in it is compared with what they see once there is a row of theirs; that says
-- something only if the row's rightful Owner sees a difference.
CREATE FUNCTION tenancy._proof_view_case(role regrole, path text, relation regclass, view regclass, kind text, column_name name,
										 people jsonb, mine text, theirs text, who text, wanted text[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	rightful uuid := tenancy._proof_owner(people, theirs);
	before record;
	after record;
	again record;
	rightful_before record;
	rightful_after record;
	staged record;
	filled jsonb;
	row_of_theirs record;
	parts jsonb;
	outside text;
	lacking text;
	result record;
	name text;
	isolated boolean;
	detail text;
	shown boolean;	-- does its rightful Owner see the row of theirs?
	named boolean := EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = view AND a.attname = column_name AND a.atttypid = 'uuid'::regtype);
	t record;
	results jsonb := '[]'::jsonb;
BEGIN
	FOREACH name IN ARRAY CASE WHEN mine = theirs THEN ARRAY[theirs] ELSE ARRAY[mine, theirs] END LOOP
		IF name = theirs THEN
			SELECT * INTO before FROM tenancy._proof_answer(role, path, who, view);
			SELECT * INTO rightful_before FROM tenancy._proof_answer(role, path, rightful::text, view);
		END IF;
		SELECT * INTO staged FROM tenancy._proof_place(relation, kind, column_name, people, name);
		EXIT WHEN staged.problem IS NOT NULL;
	END LOOP;
	SELECT * INTO after FROM tenancy._proof_answer(role, path, who, view);
	SELECT * INTO rightful_after FROM tenancy._proof_answer(role, path, rightful::text, view);

	shown := rightful_after.answer IS DISTINCT FROM rightful_before.answer;
	lacking := CASE WHEN NOT tenancy._proof_may(role, view, column_name, 'SELECT') THEN 'SELECT' END;
	IF after.problem IS NOT NULL THEN
		isolated := CASE WHEN tenancy._proof_is_refusal(after.code, after.problem, lacking) THEN true END;
		detail := format('%s: %s', CASE WHEN isolated THEN 'refused' ELSE 'could not be tried' END, after.problem);
	ELSIF staged.problem IS NOT NULL THEN
		detail := staged.problem;
	ELSIF after.answer IS DISTINCT FROM before.answer THEN
		-- unless it changes by itself, in what it shows or at least in how much
		SELECT * INTO again FROM tenancy._proof_answer(role, path, who, view);
		isolated := CASE WHEN again.answer = after.answer
							  OR split_part(again.answer, ':', 1) = split_part(after.answer, ':', 1)
								 AND split_part(after.answer, ':', 1) <> split_part(before.answer, ':', 1) THEN false END;
		detail := CASE WHEN isolated IS NULL THEN 'the view shows something else each time'
					   ELSE 'what it shows changed with a row of theirs' END;
	ELSIF shown THEN
		isolated := true;
		detail := 'a row of theirs makes no difference';
	ELSE
		detail := 'the view shows synthetic rows to nobody, not even to their Owner';
	END IF;
	results := results || jsonb_build_object('command', 'SELECT', 'attempt', 'reads', 'isolated', isolated, 'detail', detail);

	IF staged.problem IS NULL THEN
		filled := (tenancy._proof_fill(relation, jsonb_build_object(column_name, people ->> theirs), staged.variant, people, rightful, 0)).filled;
		SELECT * INTO row_of_theirs FROM tenancy._proof_values(role, view, filled);
		parts := jsonb_build_object('table', view, 'column', quote_ident(column_name), 'theirs', quote_literal(people ->> theirs),
									'columns', row_of_theirs.columns, 'row of theirs', row_of_theirs."values");
		outside := format('SELECT format(''%%s:%%s'', count(*), sum(hashtextextended(format(''%%s'', t), 0))) FROM %s t WHERE t.%I = %L',
						  relation, column_name, people ->> theirs);
		FOR t IN SELECT x.* FROM tenancy._proof_view_templates() x WHERE x.attempt = ANY (wanted) ORDER BY x.place LOOP
			lacking := (SELECT n FROM unnest(t.needs) n WHERE NOT tenancy._proof_may(role, view, column_name, n) LIMIT 1);
			IF t.class = 'read' THEN
				-- worth trying only if the function is called for somebody
				CONTINUE WHEN NOT named;
				SELECT * INTO result FROM tenancy._proof_attempt(role, path, relation, rightful::text, tenancy._proof_statement(t.statement, parts), t.breach, 0, lacking, NULL);
				CONTINUE WHEN result.isolated IS DISTINCT FROM false;
			END IF;
			IF named THEN
				SELECT * INTO result FROM tenancy._proof_attempt(role, path, relation, who, tenancy._proof_statement(t.statement, parts), t.breach, 0, lacking,
																 CASE WHEN t.class <> 'read' THEN outside END);
				isolated := result.isolated;
				detail := result.detail;
				IF t.class = 'write' AND isolated AND detail = 'no row' AND NOT shown THEN
					isolated := NULL;
					detail := 'the view shows synthetic rows to nobody, not even to their Owner';
				END IF;
			ELSE
				isolated := CASE WHEN lacking IS NOT NULL THEN true END;
				detail := CASE WHEN isolated THEN 'the role has no right to' ELSE 'the view does not show whose a row is' END;
			END IF;
			results := results || jsonb_build_object('command', t.command, 'attempt', t.attempt, 'isolated', isolated, 'detail', detail);
		END LOOP;
	END IF;
	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN results;
END
$$;
COMMENT ON FUNCTION tenancy._proof_view_case(regrole, text, regclass, regclass, text, name, jsonb, text, text, text, text[]) IS
	'The outcomes of attempts on one view by one actor.';

CREATE FUNCTION tenancy._proof_view(role regrole, relation regclass, view regclass, kind text, column_name name,
									visible_to tenancy.access_level, editable_by tenancy.access_level,
									OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	path text := tenancy._proof_path(role);
	people jsonb;
	of_case record;
	wanted text[];
	result jsonb;
	exempt boolean;
BEGIN
	IF (SELECT c.relkind FROM pg_class c WHERE c.oid = view) = 'm' THEN
		command := 'SELECT';
		attempt := format('anybody: reads the materialized view %s', view);
		exempt := (SELECT r.rolsuper OR r.rolbypassrls FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = view);
		isolated := CASE WHEN NOT has_any_column_privilege(role, view, 'SELECT') THEN true WHEN exempt THEN false END;
		detail := CASE WHEN isolated THEN 'the role has no right to read it'
					   WHEN exempt THEN 'it is a copy of what a role saw that bypasses row security'
					   ELSE 'it is a copy of what its owner saw, which cannot be told' END;
		RETURN NEXT;
		RETURN;
	END IF;

	people := tenancy._proof_stage(kind, tenancy._proof_ids(relation, column_name));
	FOR of_case IN SELECT c.* FROM tenancy._proof_cases() c WHERE c.kind = kind ORDER BY c.place LOOP
		-- what can be written at all
		wanted := (SELECT coalesce(array_agg(t.attempt), '{}') FROM tenancy._proof_view_templates() t
				   WHERE tenancy._proof_applies(of_case.actor, t.class, visible_to, editable_by)
					 AND (t.class = 'read' OR pg_relation_is_updatable(view, true) & CASE t.command WHEN 'INSERT' THEN 8 WHEN 'UPDATE' THEN 4 ELSE 16 END > 0));
		FOR result IN SELECT r FROM jsonb_array_elements(tenancy._proof_view_case(role, path, relation, view, kind, column_name, people,
																	 of_case.mine, of_case.theirs, people ->> of_case.who, wanted)) r LOOP
			CONTINUE WHEN result ->> 'command' = 'SELECT'
					  AND NOT tenancy._proof_applies(of_case.actor, 'read', visible_to, editable_by);
			command := result ->> 'command';
			attempt := format('%s: %s through view %s', of_case.actor, result ->> 'attempt', view);
			isolated := (result ->> 'isolated')::boolean;
			detail := result ->> 'detail';
			RETURN NEXT;
		END LOOP;
	END LOOP;

	RAISE EXCEPTION SQLSTATE 'TN0UN';
EXCEPTION
	WHEN SQLSTATE 'TN0UN' THEN
		RETURN;
END
$$;
COMMENT ON FUNCTION tenancy._proof_view(regrole, regclass, regclass, text, name, tenancy.access_level, tenancy.access_level) IS
	'Tries everything through one view, and undoes it.';

-- ---------------------------------------------------------------------
-- What no attempt shows, or what would disturb others
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._proof_role_facts(role regrole, OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'ROLE', f.attempt, f.isolated, CASE WHEN f.isolated IS NOT TRUE THEN f.detail END
	FROM pg_roles r,
	LATERAL (VALUES
		(1, 'is no superuser', NOT r.rolsuper, 'a superuser sees everything'),
		(2, 'does not bypass row security', NOT r.rolbypassrls, 'BYPASSRLS'),
		(3, 'does not replicate', NOT r.rolreplication, 'REPLICATION: it can copy the whole server'),
		(4, 'cannot become a role that may do one of these',
			NOT EXISTS (SELECT FROM pg_roles o WHERE o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls OR o.rolreplication) AND pg_has_role(r.oid, o.oid, 'MEMBER')),
			'member of ' || (SELECT string_agg(quote_ident(o.rolname), ', ' ORDER BY o.rolname) FROM pg_roles o
							 WHERE o.oid <> r.oid AND (o.rolsuper OR o.rolbypassrls OR o.rolreplication) AND pg_has_role(r.oid, o.oid, 'MEMBER'))),
		(5, 'has no access to the server''s files and programs',
			NOT EXISTS (SELECT FROM pg_roles o WHERE o.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') AND pg_has_role(r.oid, o.oid, 'MEMBER')),
			'it can read the files that tables are stored in'),
		(6, 'cannot say who is acting',
			CASE WHEN NOT has_parameter_privilege(r.oid, 'tenancy.user_id', 'SET') THEN true END,
			'it was given grant_application: it can act as anybody, which is trusted and not tried')) f (place, attempt, isolated, detail)
	WHERE r.oid = role
	ORDER BY f.place
$$;
COMMENT ON FUNCTION tenancy._proof_role_facts(regrole) IS 'What a role can do that no attempt shows.';

CREATE FUNCTION tenancy._proof_table_facts(role regrole, relation regclass,
										   OUT command text, OUT attempt text, OUT isolated boolean, OUT detail text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	owner regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	"right" text;
	filtered boolean;
BEGIN
	command := 'OWNER';
	attempt := 'anybody: is not the owner of the table, and cannot become it';
	isolated := NOT pg_has_role(role, owner, 'MEMBER');
	detail := CASE WHEN NOT isolated THEN format('%s owns the table and can switch row security off', owner) END;
	RETURN NEXT;

	-- By right and not by deed: it would lock the table for everybody.
	FOREACH "right" IN ARRAY CASE WHEN (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'server_version_num') >= 170000
							 THEN '{TRUNCATE,TRIGGER,REFERENCES,MAINTAIN}'::text[] ELSE '{TRUNCATE,TRIGGER,REFERENCES}' END LOOP
		command := "right";
		attempt := CASE "right" WHEN 'TRUNCATE' THEN 'anybody: truncates the table'
								WHEN 'TRIGGER' THEN 'anybody: creates a trigger'
								WHEN 'REFERENCES' THEN 'anybody: refers to rows by a foreign key'
								ELSE 'anybody: maintains the table' END;
		isolated := NOT CASE WHEN "right" = 'REFERENCES' THEN has_any_column_privilege(role, relation, "right")
							 ELSE has_table_privilege(role, relation, "right") END;
		detail := CASE WHEN isolated THEN 'the role has no right to' ELSE format('the role has the right %s, which row security does not govern', "right") END;
		RETURN NEXT;
	END LOOP;

	command := 'LOCK';
	attempt := 'anybody: locks the table';
	isolated := CASE WHEN NOT has_table_privilege(role, relation, 'UPDATE, DELETE, TRUNCATE') THEN true END;
	detail := CASE WHEN isolated THEN 'no lock that others notice, for want of rights'
				   ELSE 'not promised: a role with UPDATE or DELETE can lock the table' END;
	RETURN NEXT;

	command := 'COPY';
	attempt := 'anybody: loads rows by COPY FROM';
	filtered := (tenancy._run_as(role, 'pg_catalog', format('SELECT row_security_active(%s::oid)', relation::oid), false)).answer::boolean;
	isolated := filtered OR NOT has_any_column_privilege(role, relation, 'INSERT');
	detail := CASE WHEN filtered THEN 'PostgreSQL refuses it under row security'
				   WHEN isolated THEN 'the role has no right to insert'
				   ELSE 'row security does not apply to the role' END;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy._proof_table_facts(regrole, regclass) IS 'What rights on a table tell without an attempt.';

-- ---------------------------------------------------------------------
-- All of it
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.prove_isolation(role regrole)
RETURNS TABLE (relation regclass, command text, attempt text, isolated boolean, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	role_is_superuser boolean := (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = prove_isolation.role);
	t record;
	view regclass;
BEGIN
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RAISE EXCEPTION 'must be superuser to prove isolation'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = prove_isolation.role) THEN
		RAISE EXCEPTION 'role does not exist'
			USING ERRCODE = 'undefined_object';
	END IF;

	BEGIN
		-- As in a new session of the role: what the caller has set counts for nothing.
		SET LOCAL tenancy.project_id = '';
		SET LOCAL tenancy.missing_identity = empty;
		SET LOCAL row_security = on;
		SET LOCAL standard_conforming_strings = on;
		SET LOCAL session_replication_role = origin;
		SET LOCAL lc_messages = 'C';
		SET LOCAL client_min_messages = error;
		SET LOCAL jit = off;	-- short queries, some of which look dear
		BEGIN
			CREATE FUNCTION pg_temp.tenancy_proof_leak(seen text, theirs text) RETURNS boolean
			LANGUAGE plpgsql VOLATILE COST 0.0000001
			AS $leak$
			BEGIN
				IF seen OPERATOR(pg_catalog.=) theirs THEN
					RAISE EXCEPTION SQLSTATE 'TN0LK';
				END IF;
				RETURN false;
			END
			$leak$;
			GRANT EXECUTE ON FUNCTION pg_temp.tenancy_proof_leak(text, text) TO PUBLIC;
		EXCEPTION WHEN OTHERS THEN
			NULL;	-- an event trigger forbids it: the attempts will say that there is no such function
		END;

		RETURN QUERY SELECT NULL::regclass, f.* FROM tenancy._proof_role_facts(prove_isolation.role) f;
		FOR t IN SELECT * FROM tenancy._proof_tables() p ORDER BY p.relation::text COLLATE "C" LOOP
			RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_table_facts(prove_isolation.role, t.relation) f;
			IF t.kind IS NULL OR t.column_name IS NULL THEN
				RETURN QUERY SELECT t.relation, NULL::text, 'anybody: any attempt', NULL::boolean, 'it cannot be told which column says whose a row is';
				CONTINUE;
			END IF;
			IF role_is_superuser THEN
				RETURN QUERY SELECT t.relation, NULL::text, 'anybody: any attempt', NULL::boolean, 'code of the application would run with the rights of a superuser';
				CONTINUE;
			END IF;
			view := NULL;
			BEGIN
				IF tenancy._is_distributed(t.relation) THEN
					RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_distributed(prove_isolation.role, t.relation, t.kind, t.column_name, t.visible_to) f;
					CONTINUE;
				END IF;
				RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_table(prove_isolation.role, t.relation, t.kind, t.column_name, t.visible_to, t.editable_by) f;
				FOR view IN SELECT v FROM tenancy._proof_views(t.relation) v LOOP
					RETURN QUERY SELECT t.relation, f.* FROM tenancy._proof_view(prove_isolation.role, t.relation, view, t.kind, t.column_name, t.visible_to, t.editable_by) f;
				END LOOP;
			EXCEPTION
				WHEN read_only_sql_transaction THEN
					RAISE;
				WHEN OTHERS OR assert_failure THEN
					RETURN QUERY SELECT t.relation, NULL::text, concat_ws(' ', 'anybody: any attempt', 'through view ' || view), NULL::boolean, SQLERRM;
			END;
		END LOOP;
		RAISE EXCEPTION SQLSTATE 'TN0UN';
	EXCEPTION
		WHEN SQLSTATE 'TN0UN' THEN
			RETURN;
	END;
END
$$;
COMMENT ON FUNCTION tenancy.prove_isolation(regrole) IS
	'Tries as a role, with synthetic rows, what isolation forbids on every protected table, and undoes it; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.prove_isolation(regrole) FROM PUBLIC;
