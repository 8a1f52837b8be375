-- ---------------------------------------------------------------------
-- What was not there before: away with the rights that it was born with.  Part of
-- every script that updates the extension, too, which leaves alone what an
-- administrator has granted since.
-- ---------------------------------------------------------------------

-- Names that begin with an underscore are ours; only what a view calls on
-- behalf of whoever asks stays open.
DO $$
DECLARE
	present oid[] := pg_catalog.current_setting('tenancy_update.present');
	f regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace AND p.oid <> ALL (present)
			   AND p.proname LIKE '\_%' AND p.proname NOT IN ('_permission_matrix', '_session_id', '_role_problem')
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
	END LOOP;
END
$$;

-- Default privileges of this database may name roles: take their grants back.
DO $$
DECLARE
	present oid[] := pg_catalog.current_setting('tenancy_update.present');
	g record;
BEGIN
	FOR g IN SELECT DISTINCT p.oid::pg_catalog.regprocedure AS object, a.grantee
			 FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, p.proowner)
			   AND p.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
	FOR g IN SELECT DISTINCT c.oid::pg_catalog.regclass AS object, a.grantee
			 FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
			 WHERE c.relnamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, c.relowner)
			   AND c.relkind IN ('r', 'v') AND c.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
END
$$;
