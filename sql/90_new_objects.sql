-- ---------------------------------------------------------------------
-- What was not there before: the rights that it has, whatever default privileges of
-- this database gave or took when it was made.  Part of every script that updates
-- the extension, too, which leaves alone what an administrator has granted since.
-- ---------------------------------------------------------------------

-- A function about whose rights its part says nothing, so that there is no note of
-- them yet, is everybody's.  But names that begin with an underscore are ours; only
-- what a view or the planner calls on behalf of whoever asks is open.
DO $$
DECLARE
	present oid[] := pg_catalog.current_setting('tenancy_update.present');
	f record;
	t regtype;
BEGIN
	FOR f IN SELECT p.oid::pg_catalog.regprocedure AS name,
					p.proname LIKE '\_%' AND p.proname NOT IN ('_permission_matrix', '_session_id', '_role_problem', '_note_caller') AS is_ours,
					EXISTS (SELECT FROM pg_catalog.pg_init_privs i
							WHERE i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objoid = p.oid) AS is_said
			 FROM pg_catalog.pg_proc p
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace AND p.oid <> ALL (present)
	LOOP
		IF f.is_ours THEN
			EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
		ELSIF NOT f.is_said THEN
			EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f.name);
		END IF;
	END LOOP;
	FOR t IN SELECT y.oid FROM pg_catalog.pg_type y
			 WHERE y.typnamespace = 'tenancy'::pg_catalog.regnamespace AND y.oid <> ALL (present) AND y.typtype IN ('d', 'e')
	LOOP
		EXECUTE pg_catalog.format('GRANT USAGE ON TYPE %s TO PUBLIC', t);
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
	FOR g IN SELECT DISTINCT y.oid::pg_catalog.regtype AS object, a.grantee
			 FROM pg_catalog.pg_type y, pg_catalog.aclexplode(y.typacl) a
			 WHERE y.typnamespace = 'tenancy'::pg_catalog.regnamespace AND a.grantee NOT IN (0, y.typowner)
			   AND y.oid <> ALL (present)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM %I', g.object, pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
END
$$;
