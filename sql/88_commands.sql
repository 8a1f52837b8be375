-- ---------------------------------------------------------------------
-- After the last command: what all of them have
-- ---------------------------------------------------------------------

-- The audit log names the command, so the library has to be there before it is
-- called.
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
			 WHERE p.pronamespace = 'tenancy'::pg_catalog.regnamespace
			   AND p.prosecdef AND p.provolatile = 'v' AND p.proname NOT LIKE '\_%'
	LOOP
		EXECUTE pg_catalog.format('ALTER FUNCTION %s SUPPORT tenancy._command_support', f);
	END LOOP;
END
$$;
