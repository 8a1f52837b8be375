-- The extension tenancy: built from the parts in sql/, do not edit the result.

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION tenancy CASCADE" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

COMMENT ON SCHEMA tenancy IS 'Organizations, members, projects and their isolation.';
