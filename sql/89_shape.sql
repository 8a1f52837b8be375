-- ---------------------------------------------------------------------
-- The last object: what _shape() says now is what it ought to say.  Part of every
-- script that updates the extension, too, hence OR REPLACE.
-- ---------------------------------------------------------------------

SET LOCAL quote_all_identifiers = off;

DO $$
BEGIN
	EXECUTE (SELECT pg_catalog.format(
				E'CREATE OR REPLACE FUNCTION tenancy._installed_shape(OUT object text, OUT shape text, OUT remedy text, OUT recreate text)\n'
				'RETURNS SETOF record LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS %L',
				pg_catalog.format('SELECT * FROM json_to_recordset(%L) x (object text, shape text, remedy text, recreate text)',
								  pg_catalog.json_agg(s ORDER BY s.object COLLATE "C")))
			 FROM tenancy._shape() s);
END
$$;
COMMENT ON FUNCTION tenancy._installed_shape() IS 'What _shape() said when the extension was created.';
