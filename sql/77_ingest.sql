-- ---------------------------------------------------------------------
-- Bulk loading: COPY, which PostgreSQL refuses on a table with row security
--
-- Into a view it may, if a trigger takes the rows.  src/ingest.c inserts them into
-- the table with the rights of whoever copies, so that all its policies hold.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._ingest() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_ingest';
COMMENT ON FUNCTION tenancy._ingest() IS 'Puts the new rows of an ingest view into its table, a thousand at once.';

CREATE VIEW tenancy.ingest_views AS
	SELECT v.oid::pg_catalog.regclass AS view, s.oid::pg_catalog.regclass AS source
	FROM pg_catalog.pg_trigger t
	JOIN pg_catalog.pg_class v ON v.oid OPERATOR(pg_catalog.=) t.tgrelid
	JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		AND d.objid OPERATOR(pg_catalog.=) r.oid
		AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		AND d.refobjid OPERATOR(pg_catalog.<>) v.oid AND d.refobjsubid OPERATOR(pg_catalog.>) 0
	JOIN pg_catalog.pg_class s ON s.oid OPERATOR(pg_catalog.=) d.refobjid
	WHERE t.tgfoid OPERATOR(pg_catalog.=) 'tenancy._ingest'::pg_catalog.regproc
	GROUP BY v.oid, s.oid;
COMMENT ON VIEW tenancy.ingest_views IS 'The views that create_ingest_view() made, read off the catalogs.';
REVOKE ALL ON tenancy.ingest_views FROM PUBLIC;
GRANT SELECT ON tenancy.ingest_views TO PUBLIC;

-- What the table makes by itself is not in the view; its defaults are, since a
-- view has none of its own.
CREATE FUNCTION tenancy.create_ingest_view(source regclass, view_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
	columns text;
	command text;
	propagates text;
BEGIN
	IF source IS NULL OR view_name IS NULL THEN
		RAISE EXCEPTION 'source and view name must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	name := tenancy._view_name(source, view_name);
	IF NOT EXISTS (SELECT FROM tenancy.protected_tables t WHERE t.relation = source) THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	PERFORM tenancy._require_owner(source, 'table');
	columns := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
				WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
				  AND a.attgenerated = '' AND a.attidentity = '');
	-- Citus would make it on all nodes, and cannot; it is of use where COPY comes in
	IF tenancy._is_distributed(source) THEN
		propagates := (SELECT s.setting FROM pg_settings s WHERE s.name = 'citus.enable_ddl_propagation');
		SET LOCAL citus.enable_ddl_propagation = off;
	END IF;
	FOREACH command IN ARRAY ARRAY[
		format('CREATE VIEW %s WITH (security_invoker = true) AS SELECT %s FROM %s', name, columns, source),
		format('ALTER VIEW %s OWNER TO %I', name, (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = source)),
		format('CREATE TRIGGER tenancy_ingest_begin BEFORE INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest()', name),
		format('CREATE TRIGGER tenancy_ingest_row INSTEAD OF INSERT ON %s FOR EACH ROW EXECUTE FUNCTION tenancy._ingest()', name),
		format('CREATE TRIGGER tenancy_ingest_end AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION tenancy._ingest()', name)
	] || ARRAY(
		SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', name, a.attname, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_attribute a
		JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = source AND NOT a.attisdropped AND a.attgenerated = ''
	) LOOP
		EXECUTE command;
	END LOOP;
	IF propagates IS NOT NULL THEN
		EXECUTE format('SET LOCAL citus.enable_ddl_propagation = %L', propagates);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_ingest_view(regclass, text) IS
	'Makes a view of a protected table that COPY can write; for the table''s owner.';
