-- ---------------------------------------------------------------------
-- Commands about user accounts, sessions and plans
--
-- For the application and the DBA, not for users; only one's own name, one's own
-- sessions and signing out are for everybody.
-- ---------------------------------------------------------------------

-- Raises when there is an account for the address.
CREATE FUNCTION tenancy._require_no_user(email text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM tenancy.users u WHERE u.email = _require_no_user.email) THEN
		RAISE EXCEPTION 'user exists already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Sign in with the account that has this e-mail address.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_no_user(text) IS
	'Raises when there is an account for an e-mail address.';

CREATE FUNCTION tenancy._create_user(email text, name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text := tenancy._clean_email(_create_user.email);
	user_id uuid;
BEGIN
	INSERT INTO tenancy.users (email, name)
	VALUES (address, tenancy._clean_name(_create_user.name))
	ON CONFLICT DO NOTHING
	RETURNING id INTO user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user exists already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Sign in with the account that has this e-mail address.';
	END IF;
	RETURN user_id;
END
$$;
COMMENT ON FUNCTION tenancy._create_user(text, text) IS 'Creates a user, asking nothing.';

CREATE FUNCTION tenancy.create_user(email text, name text)
RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._create_user(create_user.email, create_user.name)
$$;
COMMENT ON FUNCTION tenancy.create_user(text, text) IS
	'Creates a user with a verified e-mail address; for the application.';
REVOKE ALL ON FUNCTION tenancy.create_user(text, text) FROM PUBLIC;

CREATE FUNCTION tenancy.update_my_name(name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	UPDATE tenancy.users u
	SET name = tenancy._clean_name(update_my_name.name)
	WHERE u.id = me AND u.is_active;
	IF NOT FOUND THEN
		-- Or deleted, deactivated or forgotten while waiting.
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.update_my_name(text) IS
	'Changes the name of the current user, as others see it.';
GRANT EXECUTE ON FUNCTION tenancy.update_my_name(text) TO PUBLIC;

CREATE FUNCTION tenancy.set_user_active(user_id uuid, is_active boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	was_active boolean;
	forgotten timestamptz;
BEGIN
	IF set_user_active.is_active IS NULL THEN
		RAISE EXCEPTION 'is_active must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	SELECT u.is_active, u.forgotten_at INTO was_active, forgotten
	FROM tenancy.users u
	WHERE u.id = set_user_active.user_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	IF set_user_active.is_active AND forgotten IS NOT NULL THEN
		RAISE EXCEPTION 'user was forgotten'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Create a new account.';
	END IF;

	UPDATE tenancy.users u
	SET is_active = set_user_active.is_active
	WHERE u.id = set_user_active.user_id;

	-- What was signed in before does not come back with a later activation.
	-- Revoked then, too: a deactivation with an old snapshot does not see the
	-- sessions that began since.
	IF NOT (was_active AND set_user_active.is_active) THEN
		PERFORM tenancy._revoke_sessions(set_user_active.user_id);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_user_active(uuid, boolean) IS
	'Activates or deactivates a user; a deactivated one is nobody at once, everywhere; for the application.';
REVOKE ALL ON FUNCTION tenancy.set_user_active(uuid, boolean) FROM PUBLIC;

-- Raises while the user owns organizations, and names them.
CREATE FUNCTION tenancy._require_no_organization(member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	names text;
	total bigint;
BEGIN
	SELECT string_agg(format('"%s"', o.name), ', ' ORDER BY o.position)
			   FILTER (WHERE o.position <= 10),
		   count(*)
	INTO names, total
	FROM (SELECT o.name, row_number() OVER (ORDER BY o.name, o.id) AS position
		  FROM tenancy.organizations o
		  WHERE o.owner_id = _require_no_organization.member) o;

	IF total > 0 THEN
		RAISE EXCEPTION 'user owns an organization'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Transfer or delete first: ' || names
						 || CASE WHEN total > 10 THEN format(' and %s more', total - 10) ELSE '' END
						 || '.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_no_organization(uuid) IS
	'Raises while a user owns organizations, and says which.';

CREATE FUNCTION tenancy.delete_user(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- Memberships end, so their organizations are locked first, always in the
	-- same order.
	PERFORM tenancy._lock_organization(o.organization_id)
	FROM (SELECT m.organization_id
		  FROM tenancy.memberships m
		  WHERE m.user_id = delete_user.user_id
		  ORDER BY m.organization_id) o;

	PERFORM tenancy._erase_from_mail(u.email)
	FROM tenancy.users u
	WHERE u.id = delete_user.user_id;

	DELETE FROM tenancy.users u WHERE u.id = delete_user.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
EXCEPTION
	WHEN foreign_key_violation OR restrict_violation THEN
		-- What refers to the user: their organizations, or the application's own rows.
		PERFORM tenancy._require_no_organization(delete_user.user_id);
		RAISE EXCEPTION 'user is still in use'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Delete the rows that refer to the user first.';
END
$$;
COMMENT ON FUNCTION tenancy.delete_user(uuid) IS
	'Deletes a user who owns no organization; for the application.';
REVOKE ALL ON FUNCTION tenancy.delete_user(uuid) FROM PUBLIC;

-- The account stays, and with it who invited whom.  A random address takes the
-- place of the erased one: nobody can have taken it before.
CREATE FUNCTION tenancy.forget_user(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text;
	forgotten timestamptz;
BEGIN
	-- Those that invited the address, too: their invites go.
	PERFORM tenancy._lock_organization(o.organization_id)
	FROM (SELECT m.organization_id
		  FROM tenancy.memberships m
		  WHERE m.user_id = forget_user.user_id
		  UNION
		  SELECT i.organization_id
		  FROM tenancy.invites i
		  JOIN tenancy.users u ON u.email = i.email
		  WHERE u.id = forget_user.user_id
		  ORDER BY 1) o;

	SELECT u.email, u.forgotten_at INTO address, forgotten
	FROM tenancy.users u
	WHERE u.id = forget_user.user_id
	FOR UPDATE;
	IF forgotten IS NOT NULL THEN
		RETURN;
	END IF;
	PERFORM tenancy._require_no_organization(forget_user.user_id);
	PERFORM tenancy._refuse_later('organizations', forget_user.user_id);

	UPDATE tenancy.users u
	SET email = 'deleted-' || gen_random_uuid() || '@invalid', name = 'deleted user',
		is_active = false, forgotten_at = clock_timestamp()
	WHERE u.id = forget_user.user_id;

	DELETE FROM tenancy.invites i WHERE i.email = address;
	DELETE FROM tenancy.project_memberships m WHERE m.user_id = forget_user.user_id;
	DELETE FROM tenancy.user_preferences p WHERE p.user_id = forget_user.user_id;
	DELETE FROM tenancy.role_bindings b WHERE b.user_id = forget_user.user_id;
	-- This one raises when there is no such user.
	PERFORM tenancy.revoke_sessions(forget_user.user_id);
	PERFORM tenancy._erase_from_mail(address);
	PERFORM tenancy._erase_from_audit(forget_user.user_id, address);
END
$$;
COMMENT ON FUNCTION tenancy.forget_user(uuid) IS
	'Erases name and address of a user who owns no organization, for ever; for the application.';
REVOKE ALL ON FUNCTION tenancy.forget_user(uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.create_session(user_id uuid, lifetime interval DEFAULT '30 days')
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	secret text;
	created timestamptz := clock_timestamp();
	duration interval;
BEGIN
	IF lifetime > interval '1000 years' THEN
		RAISE EXCEPTION 'lifetime is too long'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- In seconds, since a day is not always 24 hours in the session's time zone;
	-- of whatever is far below zero, as much as every version can convert.
	duration := make_interval(secs =>
		extract(epoch FROM greatest(lifetime, interval '-1000 years'))::double precision);
	IF duration IS NULL OR duration <= interval '0' THEN
		RAISE EXCEPTION 'lifetime must be positive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	-- The lock keeps a deactivation, which revokes sessions, from missing this one.
	PERFORM FROM tenancy.users u
	WHERE u.id = create_session.user_id AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	secret := tenancy._mint_credential('session');
	INSERT INTO tenancy.sessions (user_id, digest, created_at, expires_at)
	VALUES (create_session.user_id, tenancy._credential_digest(secret, 'session'),
			created, created + duration);
	RETURN secret;
END
$$;
COMMENT ON FUNCTION tenancy.create_session(uuid, interval) IS
	'Starts a session and returns its token, which is shown this once; for the application.';
REVOKE ALL ON FUNCTION tenancy.create_session(uuid, interval) FROM PUBLIC;

-- All but what an old snapshot does not see.
CREATE FUNCTION tenancy._revoke_sessions(member uuid)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE tenancy.sessions s
	SET revoked_at = clock_timestamp()
	WHERE s.user_id = _revoke_sessions.member
	  AND s.revoked_at IS NULL
$$;
COMMENT ON FUNCTION tenancy._revoke_sessions(uuid) IS 'Ends the sessions of a user.';

CREATE FUNCTION tenancy.revoke_sessions(user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM FROM tenancy.users u WHERE u.id = revoke_sessions.user_id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM tenancy._revoke_sessions(revoke_sessions.user_id);
	PERFORM tenancy._refuse_later('sessions', revoke_sessions.user_id);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_sessions(uuid) IS
	'Ends all sessions of a user at once, everywhere; for the application.';
REVOKE ALL ON FUNCTION tenancy.revoke_sessions(uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_session(session uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	UPDATE tenancy.sessions s
	SET revoked_at = clock_timestamp()
	WHERE s.id = revoke_session.session
	  AND s.user_id = me
	  AND s.revoked_at IS NULL
	  AND s.expires_at > clock_timestamp();
	IF NOT FOUND THEN
		RAISE EXCEPTION 'session does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_session(uuid) IS
	'Ends one of the current user''s own sessions at once, everywhere.';
GRANT EXECUTE ON FUNCTION tenancy.revoke_session(uuid) TO PUBLIC;

-- Writes only where there is a session to revoke: an identity of another kind
-- can be forgotten in a read-only transaction and on a standby, too.
CREATE FUNCTION tenancy._revoke_current_session()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	session uuid := tenancy._session_id();
BEGIN
	IF session IS NOT NULL THEN
		UPDATE tenancy.sessions s
		SET revoked_at = clock_timestamp()
		WHERE s.id = session
		  AND s.revoked_at IS NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._revoke_current_session() IS
	'Revokes the session that one is signed in with, if any.';

-- _clear_identity() clears with a plain SET, which outlives this function and its
-- SET clause.  act_as() and authenticate() use SET LOCAL, which would not.
CREATE FUNCTION tenancy.sign_out()
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT tenancy._revoke_current_session();
	SELECT tenancy._clear_identity();
$$;
COMMENT ON FUNCTION tenancy.sign_out() IS
	'Revokes the session that one is signed in with, and forgets who is acting.';
GRANT EXECUTE ON FUNCTION tenancy.sign_out() TO PUBLIC;

-- For support: the Owner has vanished.  The new one need not be a member.
CREATE FUNCTION tenancy.assign_owner(organization uuid, user_id uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._lock_organization(organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM FROM tenancy.users u
	WHERE u.id = assign_owner.user_id AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	PERFORM tenancy._change_owner(organization, user_id);
END
$$;
COMMENT ON FUNCTION tenancy.assign_owner(uuid, uuid) IS
	'Makes any active user the Owner of an organization whose Owner has vanished; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.assign_owner(uuid, uuid) FROM PUBLIC;

CREATE FUNCTION tenancy.set_plan(organization uuid, plan text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT tenancy._lock_organization(set_plan.organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	PERFORM FROM tenancy.plans p
	WHERE p.name = set_plan.plan
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'plan does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	-- A downgrade takes nothing away and opens nothing; it only limits what
	-- comes later.
	UPDATE tenancy.organizations o
	SET plan = set_plan.plan
	WHERE o.id = set_plan.organization;
END
$$;
COMMENT ON FUNCTION tenancy.set_plan(uuid, text) IS
	'Puts an organization on another plan; for the billing system.';
REVOKE ALL ON FUNCTION tenancy.set_plan(uuid, text) FROM PUBLIC;

-- What a trusted role has beyond others, as GRANT and REVOKE name it.
CREATE FUNCTION tenancy._application_rights()
RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('SET ON PARAMETER tenancy.user_id'),
		   ('EXECUTE ON FUNCTION
				 tenancy.act_as(uuid, boolean),
				 tenancy.create_session(uuid, interval),
				 tenancy.create_user(text, text),
				 tenancy.delete_user(uuid),
				 tenancy.forget_user(uuid),
				 tenancy.revoke_sessions(uuid),
				 tenancy.set_user_active(uuid, boolean),
				 tenancy._stats()'),
		   ('SELECT ON tenancy.stats')
$$;
COMMENT ON FUNCTION tenancy._application_rights() IS 'What grant_application() gives and revoke_application() takes.';

-- Two tools of superusers; with their own rights only, hence no SECURITY DEFINER.
CREATE FUNCTION tenancy.grant_application(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	application text := tenancy._require_role(role);
	rights text;
BEGIN
	IF EXISTS (SELECT FROM tenancy.role_bindings b WHERE b.role_oid = grant_application.role) THEN
		RAISE EXCEPTION 'role is bound to a user'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = 'Whoever may say who is acting is not bound to one.',
				  HINT = 'Call tenancy.unbind_role() first, or use another role.';
	END IF;

	FOR rights IN SELECT * FROM tenancy._application_rights() LOOP
		EXECUTE format('GRANT %s TO %I', rights, application);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.grant_application(regrole) IS
	'Trusts a role to say who is acting, and to manage users and sessions; the first holds in every database of the server.';
REVOKE ALL ON FUNCTION tenancy.grant_application(regrole) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_application(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	application text := tenancy._require_role(role);
	rights text;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_parameter_acl p, aclexplode(p.paracl) a
				   WHERE p.parname = 'tenancy.user_id' AND a.grantee = revoke_application.role)
	   AND NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
					   WHERE p.oid = 'tenancy.act_as(uuid, boolean)'::regprocedure
						 AND a.grantee = revoke_application.role) THEN
		RAISE EXCEPTION 'role has no rights of an application'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	FOR rights IN SELECT * FROM tenancy._application_rights() LOOP
		EXECUTE format('REVOKE %s FROM %I', rights, application);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.revoke_application(regrole) IS
	'Takes back what grant_application() gave; the right to say who is acting in every database of the server.';
REVOKE ALL ON FUNCTION tenancy.revoke_application(regrole) FROM PUBLIC;
