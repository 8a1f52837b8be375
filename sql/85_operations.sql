-- ---------------------------------------------------------------------
-- For the DBA: is what is stored sound, and away with what has ended
-- ---------------------------------------------------------------------

-- What differs from how the extension made it.
CREATE FUNCTION tenancy._altered(OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
BEGIN
	RETURN QUERY
		SELECT coalesce(o.object, i.object),
			   CASE WHEN i.object IS NULL THEN 'is missing'
					WHEN o.object IS NULL THEN 'was added to the extension''s own'
					ELSE 'was altered' END,
			   CASE WHEN i.object IS NULL THEN o.recreate
					WHEN o.object IS NULL AND i.object ~ '^policy' THEN split_part(i.remedy, E'\n', 1)
					WHEN o.object IS NULL THEN '-- drop ' || i.object
					ELSE o.remedy END
		FROM tenancy._installed_shape() o
		FULL JOIN tenancy._shape() i ON i.object = o.object
		WHERE o.shape IS DISTINCT FROM i.shape;
END
$$;
COMMENT ON FUNCTION tenancy._altered() IS 'The extension''s own objects that are not as it made them.';

-- Rules that no constraint can express, and constraints that a superuser can
-- silence.  Reads all rows, hence SECURITY DEFINER, and hence not for everybody.
CREATE FUNCTION tenancy.check_integrity()
RETURNS TABLE (rule text, object text, problem text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	key record;
	orphans bigint;
BEGIN
	-- No false "all is well".
	IF row_security_active('tenancy.users') THEN
		RETURN QUERY SELECT 'not_checked', 'function tenancy.check_integrity()',
							format('its owner %s is subject to row security, so nothing can be said', current_user);
		RETURN;
	END IF;

	RETURN QUERY
		SELECT 'version', 'extension tenancy',
			   format('the library is version %s, the SQL objects are version %s', tenancy._library_version(), e.extversion)
		FROM pg_extension e
		WHERE e.extname = 'tenancy' AND e.extversion <> tenancy._library_version();

	RETURN QUERY
		SELECT 'altered', a.object, a.problem FROM tenancy._altered() a;

	RETURN QUERY
		SELECT 'owner_is_member', 'organization ' || o.id, format('its Owner %s is also its member', o.owner_id)
		FROM tenancy.organizations o
		JOIN tenancy.memberships m ON m.organization_id = o.id AND m.user_id = o.owner_id;

	-- Every foreign key, whether its triggers fired or not.
	FOR key IN
		SELECT k.conname, k.conrelid::regclass AS child, k.confrelid::regclass AS parent,
			   string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') AS given,
			   string_agg(format('p.%I = c.%I', b.attname, a.attname), ' AND ') AS same
		FROM pg_constraint k
		CROSS JOIN LATERAL unnest(k.conkey, k.confkey) u (child, parent)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
		JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.parent
		WHERE k.contype = 'f' AND k.connamespace = 'tenancy'::regnamespace
		  -- two rules in one key, told apart below
		  AND NOT (k.conrelid = 'tenancy.project_memberships'::regclass AND k.confrelid = 'tenancy.projects'::regclass)
		GROUP BY k.oid, k.conname, k.conrelid, k.confrelid
		ORDER BY k.conrelid::regclass::text, k.conname
	LOOP
		EXECUTE format('SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
					   key.child, key.given, key.parent, key.same) INTO orphans;
		IF orphans > 0 THEN
			RETURN QUERY SELECT 'orphan', format('constraint %I on %s', key.conname, key.child),
								format('rows that refer to none of %s: %s', key.parent, orphans);
		END IF;
	END LOOP;

	RETURN QUERY
		SELECT CASE WHEN p.id IS NULL THEN 'orphan' ELSE 'foreign_project' END,
			   format('member %s of project %s', m.user_id, m.project_id),
			   CASE WHEN p.id IS NULL THEN 'the project does not exist'
					ELSE format('the project is of organization %s, the membership of %s', p.organization_id, m.organization_id) END
		FROM tenancy.project_memberships m
		LEFT JOIN tenancy.projects p ON p.id = m.project_id
		WHERE p.organization_id IS DISTINCT FROM m.organization_id;

	RETURN QUERY
		SELECT 'live_tokens', 'project ' || t.project_id, format('%s of its tokens live, and one may', count(*))
		FROM tenancy.project_tokens t
		WHERE t.revoked_at IS NULL
		GROUP BY t.project_id
		HAVING count(*) > 1;

	RETURN QUERY
		SELECT 'token_text', 'project token ' || t.id,
			   CASE WHEN t.revoked_at IS NOT NULL THEN 'it is revoked, and its text was kept'
					WHEN t.token IS NULL THEN 'it lives, and has no text'
					ELSE 'its text is not the one that its digest stands for' END
		FROM tenancy.project_tokens t
		WHERE (t.revoked_at IS NULL) <> (t.token IS NOT NULL)
		   OR (t.token IS NOT NULL AND t.digest IS DISTINCT FROM tenancy._credential_digest(t.token, 'project'));

	-- One that the user cannot reach any more may have been left; it is shown to nobody.
	RETURN QUERY
		SELECT 'preference', 'user ' || s.user_id,
			   format('the current project %s is not of the current organization', s.current_project_id)
		FROM tenancy.user_preferences s
		JOIN tenancy.projects p ON p.id = s.current_project_id
		WHERE p.organization_id IS DISTINCT FROM s.current_organization_id;

	-- A deactivated user may come back, and the binding with them.
	RETURN QUERY
		SELECT 'binding', format('role %I', b.role_name), format('is bound to the user %s in vain: %s', b.user_id, b.problem)
		FROM tenancy.bound_roles b
		JOIN tenancy.users u ON u.id = b.user_id AND u.is_active
		WHERE b.problem IS NOT NULL;

	RETURN QUERY
		SELECT 'forgotten_user', 'user ' || u.id, 'was forgotten, and is active or was left a session'
		FROM tenancy.users u
		WHERE u.forgotten_at IS NOT NULL
		  AND (u.is_active OR EXISTS (SELECT FROM tenancy.sessions s WHERE s.user_id = u.id AND s.revoked_at IS NULL));
END
$$;
COMMENT ON FUNCTION tenancy.check_integrity() IS
	'What is not as the extension keeps it, and no row when all is; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.check_integrity() FROM PUBLIC;

CREATE FUNCTION tenancy.purge(older_than interval)
RETURNS TABLE (what text, removed bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	present timestamptz := clock_timestamp();
	until timestamptz;
BEGIN
	BEGIN
		until := present - older_than;
	EXCEPTION WHEN datetime_field_overflow THEN
		-- Nothing is that old; what lies in the future is refused below.
		until := CASE WHEN older_than > interval '0' THEN '-infinity'::timestamptz ELSE 'infinity' END;
	END;
	IF until IS NULL OR until > present THEN
		RAISE EXCEPTION 'older_than must be neither null nor negative'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;

	-- Rows that somebody holds are left for the next time: nobody waits.
	DELETE FROM tenancy.invites i
	WHERE i.id IN (SELECT d.id FROM tenancy.invites d WHERE d.expires_at < until FOR UPDATE SKIP LOCKED);
	what := 'expired invites';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.sessions s
	WHERE s.id IN (SELECT d.id FROM tenancy.sessions d WHERE least(d.revoked_at, d.expires_at) < until FOR UPDATE SKIP LOCKED);
	what := 'ended sessions';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.project_tokens t
	WHERE t.id IN (SELECT d.id FROM tenancy.project_tokens d WHERE d.revoked_at < until FOR UPDATE SKIP LOCKED);
	what := 'revoked project tokens';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.notifications n
	WHERE n.id IN (SELECT d.id FROM tenancy.notifications d WHERE d.sent_at < until FOR UPDATE SKIP LOCKED);
	what := 'sent notifications';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;

	DELETE FROM tenancy.notifications n
	WHERE n.id IN (SELECT d.id FROM tenancy.notifications d WHERE d.dead_at < until FOR UPDATE SKIP LOCKED);
	what := 'dead notifications';
	GET DIAGNOSTICS removed = ROW_COUNT;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION tenancy.purge(interval) IS
	'Removes invites, sessions, tokens and mail that ended longer ago than that; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.purge(interval) FROM PUBLIC;
