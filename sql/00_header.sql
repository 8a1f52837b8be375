-- The extension tenancy: built from the parts in sql/, do not edit the result.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION tenancy CASCADE" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
-- For what is in $$ below: the script itself was read before this, so that no other literal
-- in it may hold a backslash but as E'\\'.
SET LOCAL standard_conforming_strings = on;

-- Nothing of the extension is there; a script that updates it lists what is.
SELECT pg_catalog.set_config('tenancy_update.present', '{}', true);

-- First, so that a server without the library is told what to do.
DO $$
BEGIN
	LOAD 'MODULE_PATHNAME';
EXCEPTION WHEN undefined_file THEN
	RAISE EXCEPTION 'the library of extension "tenancy" is not installed on this server'
		USING ERRCODE = 'undefined_file', DETAIL = SQLERRM,
			  HINT = 'Install it with make install, or with the package for this version of PostgreSQL.';
END
$$;

-- A schema that somebody has made before would stay theirs.
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
			   WHERE n.nspname = 'tenancy' AND NOT r.rolsuper)
	   OR EXISTS (SELECT FROM pg_catalog.pg_depend d
				  WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
					AND d.refobjid = 'tenancy'::pg_catalog.regnamespace AND d.deptype = 'n'
					AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass) THEN
		RAISE EXCEPTION 'schema "tenancy" is not empty, or not owned by a superuser'
			USING ERRCODE = 'duplicate_schema', HINT = 'Drop or rename it first.';
	END IF;
END
$$;

COMMENT ON SCHEMA tenancy IS 'Organizations, members, projects and their isolation.';
