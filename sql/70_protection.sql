-- ---------------------------------------------------------------------
-- Protection of an application's tables
--
-- One restrictive floor for all commands, two more for UPDATE and DELETE, and
-- permissive policies where the table has none of its own.  The floors hold
-- whatever other policies say.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._check_column(relation regclass, column_name name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	kind "char";
	persistence "char";
	column_type oid;
BEGIN
	SELECT c.relkind, c.relpersistence INTO kind, persistence FROM pg_catalog.pg_class c WHERE c.oid = relation;
	IF kind IS NULL OR kind NOT IN ('r', 'p') OR persistence = 't' THEN
		RAISE EXCEPTION 'cannot protect relation "%"', relation
			USING ERRCODE = 'wrong_object_type',
				  DETAIL = 'Only ordinary and partitioned tables can be protected.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_depend d
			   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = relation AND d.deptype = 'e')
	   OR relation < 16384::oid::regclass THEN
		RAISE EXCEPTION 'cannot protect relation "%"', relation
			USING ERRCODE = 'wrong_object_type', DETAIL = 'It belongs to the system or to an extension.';
	END IF;
	SELECT a.atttypid INTO column_type FROM pg_catalog.pg_attribute a
	WHERE a.attrelid = relation AND a.attname = column_name AND a.attnum > 0 AND NOT a.attisdropped;
	IF column_type IS NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', column_name, relation
			USING ERRCODE = 'undefined_column';
	END IF;
	IF column_type <> 'pg_catalog.uuid'::pg_catalog.regtype THEN
		RAISE EXCEPTION 'column "%" of relation "%" is not of type uuid', column_name, relation
			USING ERRCODE = 'datatype_mismatch';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._check_column(regclass, name) IS 'Raises unless the relation can be protected by that column.';

CREATE FUNCTION tenancy._is_distributed(relation regclass) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_is_distributed';
COMMENT ON FUNCTION tenancy._is_distributed(regclass) IS 'Is it a table of Citus''s?';

-- On a Citus cluster the rows that foreign keys point to are on every node.
CREATE FUNCTION tenancy._target(relation regclass, kind text) RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	-- a partition that has just been made is not distributed yet
	SELECT coalesce(CASE WHEN tenancy._is_distributed(relation)
							  OR EXISTS (SELECT FROM pg_partition_ancestors(relation) a WHERE tenancy._is_distributed(a)) THEN to_regclass('tenancy_citus.' || kind || 's') END,
					('tenancy.' || kind || 's')::regclass)
$$;
COMMENT ON FUNCTION tenancy._target(regclass, text) IS 'What the column of a protected table refers to: projects or organizations.';

-- NOT NULL, foreign key and index: made where missing, with a NOTICE each.
CREATE FUNCTION tenancy._prepare_column(relation regclass, column_name name, target regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	attribute smallint;
	not_null boolean;
	key record;
BEGIN
	SELECT a.attnum, a.attnotnull INTO attribute, not_null FROM pg_catalog.pg_attribute a
	WHERE a.attrelid = relation AND a.attname = column_name;
	-- since 18, NOT NULL may be there without its rows having been looked at
	IF NOT not_null OR EXISTS (SELECT FROM pg_catalog.pg_constraint c
							   WHERE c.conrelid = relation AND c.contype = 'n' AND c.conkey = ARRAY[attribute]
								 AND NOT c.convalidated) THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, column_name);
		RAISE NOTICE 'column "%" of table "%" is now NOT NULL', column_name, relation;
	END IF;
	-- and a key may be there that is not enforced, which is none
	SELECT c.conname, c.convalidated INTO key FROM pg_catalog.pg_constraint c
	WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = target AND c.conkey = ARRAY[attribute]
	  AND pg_catalog.pg_get_constraintdef(c.oid) !~ ' NOT ENFORCED$'
	ORDER BY c.convalidated DESC LIMIT 1;
	IF NOT FOUND THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s ON DELETE CASCADE',
								  relation, column_name, target);
		RAISE NOTICE 'column "%" of table "%" now references "%"', column_name, relation, target;
	ELSIF NOT key.convalidated THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', relation, key.conname);
		RAISE NOTICE 'constraint "%" of table "%" is now valid', key.conname, relation;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
				   JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
				   JOIN pg_catalog.pg_am a ON a.oid = c.relam
				   WHERE i.indrelid = relation AND i.indkey[0] = attribute AND a.amname = 'btree'
					 AND i.indisvalid AND i.indpred IS NULL) THEN
		EXECUTE pg_catalog.format('CREATE INDEX ON %s (%I)', relation, column_name);
		RAISE NOTICE 'table "%" now has an index on column "%"', relation, column_name;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._prepare_column(regclass, name, regclass) IS 'Makes what a protected column needs.';

-- What protect() writes, and what lint() expects: one row a policy, in the order
-- of their making.  reading, inserting, changing: SQL expressions over the column.
CREATE FUNCTION tenancy._policies(
	reading text, inserting text, changing text,
	OUT policy name, OUT permissive boolean, OUT command "char", OUT condition text, OUT new_row text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 7 SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('tenancy_floor'::name, false, '*'::"char", reading, inserting),
		   ('tenancy_floor_update', false, 'w', changing, changing),
		   ('tenancy_floor_delete', false, 'd', changing, NULL),
		   ('tenancy_select', true, 'r', reading, NULL),
		   ('tenancy_insert', true, 'a', NULL, inserting),
		   ('tenancy_update', true, 'w', changing, changing),
		   ('tenancy_delete', true, 'd', changing, NULL)
$$;
COMMENT ON FUNCTION tenancy._policies(text, text, text) IS 'The policies of a protected table.';

CREATE FUNCTION tenancy._policy_names() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_catalog.array_agg(p.policy) FROM tenancy._policies(NULL, NULL, NULL) p
$$;
COMMENT ON FUNCTION tenancy._policy_names() IS 'The policies that are ours on a protected table.';

CREATE FUNCTION tenancy._drop_policies(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy name;
BEGIN
	FOR policy IN SELECT p.polname FROM pg_catalog.pg_policy p
				  WHERE p.polrelid = relation AND p.polname = ANY (tenancy._policy_names()) LOOP
		EXECUTE pg_catalog.format('DROP POLICY %I ON %s', policy, relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._drop_policies(regclass) IS 'Takes our policies off one table.';

CREATE FUNCTION tenancy._create_policies(relation regclass, reading text, inserting text, changing text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ours record;
BEGIN
	PERFORM tenancy._drop_policies(relation);
	FOR ours IN SELECT * FROM tenancy._policies(reading, inserting, changing) LOOP
		IF ours.permissive
		   AND EXISTS (SELECT FROM pg_catalog.pg_policy p
					   WHERE p.polrelid = relation AND p.polpermissive AND p.polname <> ALL (tenancy._policy_names())
						 AND p.polcmd IN ('*', ours.command)) THEN
			RAISE NOTICE 'table "%" keeps its own policies, policy "%" is not created', relation, ours.policy
				USING DETAIL = 'Its own policies can only narrow what tenancy allows.';
		ELSE
			EXECUTE pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO PUBLIC', ours.policy, relation,
					CASE WHEN ours.permissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
					CASE ours.command WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
									  WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END)
				|| COALESCE(' USING (' || ours.condition || ')', '')
				|| COALESCE(' WITH CHECK (' || ours.new_row || ')', '');
		END IF;
	END LOOP;
	EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
END
$$;
COMMENT ON FUNCTION tenancy._create_policies(regclass, text, text, text) IS 'Puts our policies on one table.';

-- These rights reach around row security; MAINTAIN came with 17.
CREATE FUNCTION tenancy._revoke_rights(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	holder record;
BEGIN
	FOR holder IN
		SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END AS name,
			   CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS role,
			   pg_catalog.string_agg(DISTINCT a.privilege_type, ', ') AS rights
		FROM pg_catalog.pg_class c,
			(SELECT r.relacl FROM pg_catalog.pg_class r WHERE r.oid = relation
			 UNION ALL
			 SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = relation) acl,
			pg_catalog.aclexplode(acl.relacl) a
		WHERE c.oid = relation AND a.grantee <> c.relowner
		  AND a.privilege_type IN ('TRUNCATE', 'TRIGGER', 'REFERENCES', 'MAINTAIN')
		GROUP BY a.grantee
		ORDER BY a.grantee
	LOOP
		-- of the columns too; with what the holder has handed on
		EXECUTE pg_catalog.format('REVOKE %s ON %s FROM %s CASCADE', holder.rights, relation, holder.role);
		RAISE NOTICE 'rights on table "%" revoked from %', relation, holder.name
			USING DETAIL = pg_catalog.format('Row security does not govern %s.', holder.rights);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._revoke_rights(regclass) IS 'Revokes the rights that row security does not govern.';

-- The expressions of a kind of protection, letter by letter as pg_get_expr() gives
-- them back under this search_path.
CREATE FUNCTION tenancy._policy_expressions(
	kind text, column_name name, visible_to tenancy.access_level, editable_by tenancy.access_level,
	OUT reading text, OUT inserting text, OUT changing text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_view(%I)', column_name)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, visible_to) END,
		   CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_write(%I, %L::tenancy.access_level)', column_name, editable_by)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, editable_by) END,
		   CASE kind WHEN 'project' THEN pg_catalog.format('tenancy.can_edit(%I, %L::tenancy.access_level)', column_name, editable_by)
					 ELSE pg_catalog.format('tenancy.is_member(%I, %L::tenancy.access_level)', column_name, editable_by) END;
$$;
COMMENT ON FUNCTION tenancy._policy_expressions(text, name, tenancy.access_level, tenancy.access_level) IS 'The expressions of our policies.';

CREATE VIEW tenancy.protected_tables AS
	SELECT DISTINCT p.polrelid::pg_catalog.regclass AS relation,
		   CASE WHEN f.polwithcheck OPERATOR(pg_catalog.~) '^("?tenancy"?[.])?"?can_write"?[(]' THEN 'project'::text ELSE 'organization'::text END AS kind,
		   a.attname AS column_name,
		   COALESCE(pg_catalog.substring(f.polqual, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$'), 'member')::tenancy.access_level AS visible_to,
		   pg_catalog.substring(f.polwithcheck, '''([a-z]+)''::(?:"?tenancy"?[.])?"?access_level"?[)]$')::tenancy.access_level AS editable_by
	FROM pg_catalog.pg_policy p
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) p.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refobjid OPERATOR(pg_catalog.=) p.polrelid AND d.refobjsubid OPERATOR(pg_catalog.>) 0
	JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) p.polrelid
		AND a.attnum OPERATOR(pg_catalog.=) d.refobjsubid
	CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS polqual,
							   pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS polwithcheck) f
	WHERE p.polname OPERATOR(pg_catalog.=) 'tenancy_floor' AND NOT p.polpermissive;
COMMENT ON VIEW tenancy.protected_tables IS 'The protected tables, read off the catalogs.';

-- The answers of these are as of now, whatever the transaction's snapshot.
CREATE FUNCTION tenancy._tree(relation regclass) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_tree';
COMMENT ON FUNCTION tenancy._tree(regclass) IS 'Locks a table and everything below it: these.';

CREATE FUNCTION tenancy._parents(relation regclass) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_parents';
COMMENT ON FUNCTION tenancy._parents(regclass) IS 'The tables that a table is part of, as of now.';

CREATE FUNCTION tenancy._protection(relation regclass) RETURNS tenancy.protected_tables
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_protection';
COMMENT ON FUNCTION tenancy._protection(regclass) IS 'How a table is protected as of now, or NULL.';

CREATE FUNCTION tenancy._parents_outside(
	tree regclass[], OUT part regclass, OUT parent regclass,
	OUT kind text, OUT column_name name, OUT visible_to tenancy.access_level, OUT editable_by tenancy.access_level)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT m, p, t.kind, t.column_name, t.visible_to, t.editable_by
	FROM pg_catalog.unnest(tree) m, pg_catalog.unnest(tenancy._parents(m)) p, tenancy._protection(p) t
	WHERE p <> ALL (tree)
$$;
COMMENT ON FUNCTION tenancy._parents_outside(regclass[]) IS 'What else the tables of a tree are part of, and how that is protected, if it is.';

-- A part is as protected as all that it is part of.
CREATE FUNCTION tenancy._check_parents(tree regclass[], kind text, column_name name,
									   visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	other record;
	beside regclass;
BEGIN
	SELECT * INTO other FROM tenancy._parents_outside(tree) o
	WHERE (o.kind, o.column_name, o.visible_to, o.editable_by) IS DISTINCT FROM (kind, column_name, visible_to, editable_by) LIMIT 1;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF other.kind IS NULL THEN
		RAISE EXCEPTION 'cannot protect relation "%"', other.part
			USING ERRCODE = 'wrong_object_type',
				  DETAIL = 'It is part of a table that is not protected, which would show its rows.',
				  HINT = 'Protect the table at the top.';
	END IF;
	SELECT p INTO beside FROM pg_catalog.unnest(tenancy._parents(other.part)) p, tenancy._protection(p) t
	WHERE p = ANY (tree) OR (t.kind, t.column_name, t.visible_to, t.editable_by) = (kind, column_name, visible_to, editable_by) LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation "%" is a partition of a protected table', other.part
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Protect the partitioned table, or detach the partition.';
	END IF;
	RAISE EXCEPTION 'relation "%" is part of two tables that are protected differently', other.part
		USING ERRCODE = 'object_not_in_prerequisite_state',
			  DETAIL = pg_catalog.format('They are "%s" and "%s".', beside, other.parent),
			  HINT = 'Protect both alike before it becomes part of both; ALTER TABLE ... NO INHERIT takes it out of one.';
END
$$;
COMMENT ON FUNCTION tenancy._check_parents(regclass[], text, name, tenancy.access_level, tenancy.access_level) IS
	'Raises if a table of a tree is also part of one that is not protected like that.';

CREATE FUNCTION tenancy._protect(relation regclass, kind text, column_name name,
								 visible_to tenancy.access_level, editable_by tenancy.access_level) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	clauses record;
	tree regclass[];
	part regclass;
BEGIN
	IF relation IS NULL OR column_name IS NULL OR visible_to IS NULL OR editable_by IS NULL THEN
		RAISE EXCEPTION 'relation, column and levels must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM tenancy._check_column(relation, column_name);
	tree := tenancy._tree(relation);
	PERFORM tenancy._check_parents(tree, kind, column_name, visible_to, editable_by);
	SELECT * INTO clauses FROM tenancy._policy_expressions(kind, column_name, visible_to, editable_by);
	FOREACH part IN ARRAY tree LOOP
		PERFORM tenancy._check_column(part, column_name);
		PERFORM tenancy._prepare_column(part, column_name, tenancy._target(part, kind));
		PERFORM tenancy._create_policies(part, clauses.reading, clauses.inserting, clauses.changing);
		PERFORM tenancy._revoke_rights(part);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._protect(regclass, text, name, tenancy.access_level, tenancy.access_level) IS 'Protects a table and everything below it.';

CREATE FUNCTION tenancy.protect(relation regclass, project_column name DEFAULT 'project_id',
								editable_by tenancy.access_level DEFAULT 'member') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._protect(relation, 'project', project_column, 'member', editable_by);
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
				   WHERE a.attrelid = relation AND a.attname = project_column AND a.atthasdef) THEN
		EXECUTE pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT tenancy.current_project_id()',
								  relation, project_column);
		RAISE NOTICE 'column "%" of table "%" now defaults to the current project', project_column, relation;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.protect(regclass, name, tenancy.access_level) IS 'Makes each row of a table belong to a project, for everybody who queries it.';

CREATE FUNCTION tenancy.protect_by_organization(relation regclass, organization_column name DEFAULT 'organization_id',
												visible_to tenancy.access_level DEFAULT 'member',
												editable_by tenancy.access_level DEFAULT 'administrator') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._protect(relation, 'organization', organization_column, visible_to, editable_by);
END
$$;
COMMENT ON FUNCTION tenancy.protect_by_organization(regclass, name, tenancy.access_level, tenancy.access_level) IS 'Makes each row of a table belong to an organization.';

CREATE FUNCTION tenancy.unprotect(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = relation AND p.polname = 'tenancy_floor') THEN
		RAISE EXCEPTION 'relation "%" is not protected', relation USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	part := (SELECT o.part FROM tenancy._parents_outside(tenancy._tree(relation)) o WHERE o.kind IS NOT NULL LIMIT 1);
	IF part IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" is a partition of a protected table', part
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Unprotect the partitioned table, or detach the partition.';
	END IF;
	PERFORM tenancy._unprotect(relation);
END
$$;
COMMENT ON FUNCTION tenancy.unprotect(regclass) IS 'Takes protection off a table and its partitions; every role with the right to read it reads all rows again.';

CREATE FUNCTION tenancy._unprotect(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
BEGIN
	FOREACH part IN ARRAY tenancy._tree(relation) LOOP
		PERFORM tenancy._drop_policies(part);
		-- policies of the table's own go on to count
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = part) THEN
			EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', part);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._unprotect(regclass) IS 'Takes protection off a table and everything below it.';

CREATE FUNCTION tenancy._new_parts(command pg_ddl_command) RETURNS regclass[]
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_new_parts';
COMMENT ON FUNCTION tenancy._new_parts(pg_ddl_command) IS 'The tables that a command made, or made part of another.';

-- Partitions that appear below a protected table are protected with it.
CREATE FUNCTION tenancy._protect_new_partitions() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part regclass;
	top record;
	own tenancy.protected_tables;
BEGIN
	-- most commands have to do with no part, and need no library
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() c
				   JOIN pg_catalog.pg_inherits i ON c.objid IN (i.inhrelid, i.inhparent)) THEN
		RETURN;
	END IF;
	FOR part IN SELECT p FROM pg_catalog.pg_event_trigger_ddl_commands() c, pg_catalog.unnest(tenancy._new_parts(c.command)) p LOOP
		SELECT * INTO top FROM tenancy._parents_outside(ARRAY[part]) o WHERE o.kind IS NOT NULL LIMIT 1;
		CONTINUE WHEN NOT FOUND;
		own := tenancy._protection(part);
		IF (own.kind, own.column_name, own.visible_to, own.editable_by)
		   IS DISTINCT FROM (top.kind, top.column_name, top.visible_to, top.editable_by) THEN
			PERFORM tenancy._protect(part, top.kind, top.column_name, top.visible_to, top.editable_by);
		ELSE
			-- as a shard is when Citus moves it: nothing is missing, whatever its key points to
			PERFORM tenancy._check_parents(tenancy._tree(part), top.kind, top.column_name, top.visible_to, top.editable_by);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._protect_new_partitions() IS 'Event trigger: protects partitions as they appear.';

CREATE EVENT TRIGGER tenancy_protect_partitions ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE TABLE AS', 'CREATE SCHEMA',
				 'CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE')
	EXECUTE FUNCTION tenancy._protect_new_partitions();
-- also where a tool that replicates commands says that it does
ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER tenancy_protect_partitions IS 'Protects partitions of protected tables as they are created or attached.';

REVOKE ALL ON tenancy.protected_tables FROM PUBLIC;
GRANT SELECT ON tenancy.protected_tables TO PUBLIC;
