-- ---------------------------------------------------------------------
-- Rollups: aggregates of protected tables that are protected themselves
--
-- A materialized view has no policies, so a rollup is a table.  Its query is the
-- view beside it of the same name and "_query", with the rights of whoever asks:
-- to refresh is for roles that see everything.
-- ---------------------------------------------------------------------

-- Pairs of a protected table and its query.
CREATE VIEW tenancy.rollups AS
	SELECT t.relation AS rollup, q.oid::pg_catalog.regclass AS query, t.column_name
	FROM tenancy.protected_tables t
	JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) t.relation
	JOIN pg_catalog.pg_class q ON q.relnamespace OPERATOR(pg_catalog.=) r.relnamespace
		AND q.relname OPERATOR(pg_catalog.=) (r.relname::text OPERATOR(pg_catalog.||) '_query')::name
		AND q.relkind OPERATOR(pg_catalog.=) 'v' AND q.relowner OPERATOR(pg_catalog.=) r.relowner;
COMMENT ON VIEW tenancy.rollups IS 'The rollups that create_protected_rollup() made, read off the catalogs.';
REVOKE ALL ON tenancy.rollups FROM PUBLIC;
GRANT SELECT ON tenancy.rollups TO PUBLIC;

-- The schema and name of a table to be made beside another one, which leaves room
-- for the ending.
CREATE FUNCTION tenancy._rollup_name(source regclass, rollup_name text, ending text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts text[] := parse_ident(tenancy._view_name(source, rollup_name));
BEGIN
	IF octet_length(parts[2] || '_query') > 63 THEN
		RAISE EXCEPTION 'name of a rollup is too long' USING ERRCODE = 'name_too_long',
			DETAIL = 'Its query has the same name with "_query" after it.';
	END IF;
	RETURN format('%I.%I', parts[1], parts[2] || ending);
END
$$;
COMMENT ON FUNCTION tenancy._rollup_name(regclass, text, text) IS 'The name of a rollup to be made, or of its query, with its schema.';

CREATE FUNCTION tenancy.create_protected_rollup(source regclass, rollup_name text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	protection record;
	owner name;
	schema name;
	rollup text;
	view text;
BEGIN
	IF source IS NULL OR rollup_name IS NULL OR query IS NULL THEN
		RAISE EXCEPTION 'source, rollup name and query must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	rollup := tenancy._rollup_name(source, rollup_name, '');
	view := tenancy._rollup_name(source, rollup_name, '_query');
	SELECT * INTO protection FROM tenancy.protected_tables t WHERE t.relation = source;
	IF protection.relation IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	PERFORM tenancy._require_owner(source, 'table');
	SELECT pg_get_userbyid(c.relowner), n.nspname INTO owner, schema
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source;
	-- names in the query are those of the table's schema
	EXECUTE format('SET LOCAL search_path TO %I, pg_catalog, pg_temp', schema);
	EXECUTE format('CREATE VIEW %s WITH (security_invoker = true) AS %s', view, query);
	SET LOCAL search_path TO pg_catalog, pg_temp;
	IF NOT EXISTS (SELECT FROM pg_attribute a
				   WHERE a.attrelid = view::regclass AND a.attname = protection.column_name AND a.attnum > 0) THEN
		RAISE EXCEPTION 'the query of a rollup must have the column "%"', protection.column_name
			USING ERRCODE = 'undefined_column', DETAIL = 'It tells whose each row is.';
	END IF;
	EXECUTE format('CREATE TABLE %s AS SELECT * FROM %s WITH NO DATA', rollup, view);
	IF protection.kind = 'project' THEN
		PERFORM tenancy.protect(rollup, protection.column_name, protection.editable_by);
	ELSE
		PERFORM tenancy.protect_by_organization(rollup, protection.column_name, protection.visible_to, protection.editable_by);
	END IF;
	EXECUTE format('ALTER VIEW %s OWNER TO %I', view, owner);
	EXECUTE format('ALTER TABLE %s OWNER TO %I', rollup, owner);
END
$$;
COMMENT ON FUNCTION tenancy.create_protected_rollup(regclass, text, text) IS
	'Makes a table of aggregates that is protected as the table they are of; for the table''s owner.';

-- Only what is different is written, so that readers wait for nothing, and see what
-- was there until this is committed.  The owner's query may call anything, so
-- nobody else runs it; and with row_security off, an owner who would not see every
-- row gets an error, rather than a rollup that lacks some.
CREATE FUNCTION tenancy.refresh_rollup(rollup regclass, only_for uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
	query regclass;
	condition text;
	removed bigint;
	added bigint;
BEGIN
	IF rollup IS NULL THEN
		RAISE EXCEPTION 'rollup must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT r.query, CASE WHEN only_for IS NULL THEN 'true' ELSE format('x.%I = %L::uuid', r.column_name, only_for) END
	INTO query, condition
	FROM tenancy.rollups r WHERE r.rollup = refresh_rollup.rollup;
	IF query IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not a rollup', rollup USING ERRCODE = 'wrong_object_type';
	END IF;
	IF (SELECT c.relowner FROM pg_class c WHERE c.oid = rollup) <> current_user::regrole THEN
		RAISE EXCEPTION 'must be owner of table %', rollup
			USING ERRCODE = 'insufficient_privilege', HINT = 'Use SET ROLE to become the owner.';
	END IF;
	-- one refresh after the other
	EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', rollup);
	EXECUTE format('CREATE TEMP TABLE tenancy_rollup ON COMMIT DROP AS SELECT DISTINCT x.* FROM %s x WHERE %s', query, condition);
	-- records are equal when all columns are, also where both are NULL
	EXECUTE format('DELETE FROM %1$s x WHERE %2$s AND NOT EXISTS (SELECT FROM pg_temp.tenancy_rollup n WHERE ROW(n.*)::%1$s = x)',
				   rollup, condition);
	GET DIAGNOSTICS removed = ROW_COUNT;
	EXECUTE format('INSERT INTO %1$s SELECT n.* FROM pg_temp.tenancy_rollup n WHERE NOT EXISTS (SELECT FROM %1$s x WHERE %2$s AND ROW(n.*)::%1$s = x)',
				   rollup, condition);
	GET DIAGNOSTICS added = ROW_COUNT;
	DROP TABLE pg_temp.tenancy_rollup;
	RETURN removed + added;
END
$$;
COMMENT ON FUNCTION tenancy.refresh_rollup(regclass, uuid) IS
	'Computes a rollup anew, or one project''s or organization''s part of it; for its owner, who must see every row. Answers how many rows were written.';
