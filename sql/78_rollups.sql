-- ---------------------------------------------------------------------
-- Rollups: aggregates of protected tables that are protected themselves
--
-- A materialized view has no policies, so a rollup is a table.  Its query is a view
-- with the rights of whoever asks: to refresh is for roles that see everything.
--
-- The query is the application's, and so is what it calls: it is taken apart and run
-- by _run_as_owner() only, never with the rights of a superuser who calls.
-- ---------------------------------------------------------------------

-- Whatever the owner's code does there, nothing of it is left to run afterwards.
CREATE FUNCTION tenancy._run_as_owner(relation regclass, path text, command text,
									  OUT affected bigint, OUT answer text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_run_as_owner';
COMMENT ON FUNCTION tenancy._run_as_owner(regclass, text, text) IS
	'Runs a statement as the owner of a table, for the owner and superusers.';

-- The constraint tells which view is the query, by its type: so does a dump, and
-- under whatever names.
CREATE VIEW tenancy.rollups AS
	SELECT t.relation AS rollup, q.oid::pg_catalog.regclass AS query, t.column_name
	FROM pg_catalog.pg_constraint c
	JOIN tenancy.protected_tables t ON t.relation OPERATOR(pg_catalog.=) c.conrelid
	JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.conrelid
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) c.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
	JOIN pg_catalog.pg_class q ON q.reltype OPERATOR(pg_catalog.=) d.refobjid
		AND q.relkind OPERATOR(pg_catalog.=) 'v' AND q.relowner OPERATOR(pg_catalog.=) r.relowner
	WHERE c.conname OPERATOR(pg_catalog.=) 'tenancy_rollup';
COMMENT ON VIEW tenancy.rollups IS
	'The rollups that create_protected_rollup() made, read off the catalogs: tables whose constraint tenancy_rollup names a view of the same owner.';
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
	SELECT n.nspname INTO schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source;
	-- names in the query are those of the table's schema, and nothing else is looked up there
	PERFORM tenancy._run_as_owner(source, format('%I, pg_temp', schema),
								  format('CREATE VIEW %s WITH (security_invoker = true) AS %s', view, query));
	IF NOT EXISTS (SELECT FROM pg_attribute a
				   WHERE a.attrelid = view::regclass AND a.attname = protection.column_name AND a.attnum > 0) THEN
		RAISE EXCEPTION 'the query of a rollup must have the column "%"', protection.column_name
			USING ERRCODE = 'undefined_column', DETAIL = 'It tells whose each row is.';
	END IF;
	PERFORM tenancy._run_as_owner(source, 'pg_catalog, pg_temp',
								  format('CREATE TABLE %1$s (LIKE %2$s, CONSTRAINT tenancy_rollup CHECK (NULL::%2$s IS NULL))', rollup, view));
	IF protection.kind = 'project' THEN
		PERFORM tenancy.protect(rollup, protection.column_name, protection.editable_by);
	ELSE
		PERFORM tenancy.protect_by_organization(rollup, protection.column_name, protection.visible_to, protection.editable_by);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_protected_rollup(regclass, text, text) IS
	'Makes a table of aggregates that is protected as the table they are of; for the table''s owner and superusers.';

-- Only what is different is written, so that readers wait for nothing, and see what
-- was there until this is committed.  With row_security off, an owner who would not
-- see every row gets an error, rather than a rollup that lacks some.
CREATE FUNCTION tenancy.refresh_rollup(rollup regclass, only_for uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp SET row_security = off
AS $$
DECLARE
	query regclass;
	condition text;
	level text;
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
	-- one refresh after the other, each with a snapshot in which it sees what the last one wrote
	PERFORM tenancy._run_as_owner(rollup, 'pg_catalog, pg_temp', format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', rollup));
	EXECUTE 'SHOW transaction_isolation' INTO level;
	IF level NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'cannot refresh a rollup in a transaction above READ COMMITTED'
			USING ERRCODE = 'active_sql_transaction', DETAIL = 'It would not see what another refresh has written meanwhile.',
				  HINT = 'Begin the transaction with ISOLATION LEVEL READ COMMITTED.';
	END IF;
	-- Records are equal when all columns are, also where both are NULL.  Of rows that
	-- are alike one is kept.  What is added waits until all is removed, for the sake of
	-- unique keys.
	RETURN (tenancy._run_as_owner(rollup, 'pg_catalog, pg_temp', format($statement$
		WITH fresh AS MATERIALIZED (
			SELECT DISTINCT ROW(x.*)::%1$s AS record FROM %2$s x WHERE %3$s
		), kept AS MATERIALIZED (
			SELECT o.record, min(o.place) AS place FROM (SELECT ROW(x.*)::%1$s AS record, x.ctid AS place FROM ONLY %1$s x WHERE %3$s) o
			WHERE EXISTS (SELECT FROM fresh f WHERE f.record = o.record)
			GROUP BY o.record
		), removed AS (
			DELETE FROM ONLY %1$s x WHERE %3$s AND NOT EXISTS (SELECT FROM kept k WHERE k.place = x.ctid) RETURNING 1
		), added AS (
			INSERT INTO %1$s SELECT (f.record).* FROM fresh f
			WHERE NOT EXISTS (SELECT FROM kept k WHERE k.record = f.record) AND (SELECT count(*) FROM removed) >= 0 RETURNING 1
		)
		SELECT (SELECT count(*) FROM added) + (SELECT count(*) FROM removed)$statement$, rollup, query, condition))).answer::bigint;
END
$$;
COMMENT ON FUNCTION tenancy.refresh_rollup(regclass, uuid) IS
	'Computes a rollup anew, or one project''s or organization''s part of it, as its owner, who must see every row; for the owner and superusers. Answers how many rows were written.';
