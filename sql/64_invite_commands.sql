-- ---------------------------------------------------------------------
-- Commands about invites
--
-- A row of tenancy.invites is an open invite; accepting, replacing and revoking
-- delete it.  Its token is the proof of having been invited, so that an unknown,
-- a used and a malformed one get one and the same answer.
-- ---------------------------------------------------------------------

-- member1@example.com becomes m*****1@example.com.
CREATE FUNCTION tenancy._mask_email(email text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
			   WHEN length(local) < 2 THEN '*'
			   WHEN length(local) = 2 THEN left(local, 1) || '*'
			   ELSE left(local, 1) || repeat('*', length(local) - 2) || right(local, 1)
		   END || '@' || split_part(email, '@', 2)
	FROM split_part(email, '@', 1) AS local
$$;
COMMENT ON FUNCTION tenancy._mask_email(text) IS
	'An e-mail address that its owner recognizes and nobody else learns.';

-- In seconds, since a day is not always 24 hours in the session's time zone.
CREATE FUNCTION tenancy._invite_lifetime()
RETURNS interval
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lifetime interval;
BEGIN
	lifetime := make_interval(secs =>
		extract(epoch FROM tenancy._setting('tenancy.invite_lifetime')::interval)::double precision);
	IF lifetime <= interval '0' OR lifetime > interval '1000 years' THEN
		RAISE datetime_field_overflow;
	END IF;
	RETURN lifetime;
EXCEPTION
	WHEN data_exception THEN
		RAISE EXCEPTION 'the lifetime of invites is not valid'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Set tenancy.invite_lifetime to a time such as ''3 days''.';
END
$$;
COMMENT ON FUNCTION tenancy._invite_lifetime() IS 'How long an invite can be accepted.';

-- Invite an address, replacing its open invite.  The caller has locked the
-- organization.
CREATE FUNCTION tenancy._create_invite(organization uuid, email text,
									   OUT invite_id uuid, OUT token text, OUT expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text := tenancy._clean_email(_create_invite.email);
	created timestamptz := clock_timestamp();
BEGIN
	IF EXISTS (SELECT FROM tenancy.users u
			   WHERE u.email = address
				 AND tenancy._member_level(_create_invite.organization, u.id) IS NOT NULL) THEN
		RAISE EXCEPTION 'the address belongs to a member already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	token := tenancy._mint_credential('invite');
	expires_at := created + tenancy._invite_lifetime();

	DELETE FROM tenancy.invites i
	WHERE i.organization_id = _create_invite.organization
	  AND i.email = address;

	INSERT INTO tenancy.invites (organization_id, email, invited_by, digest, created_at, expires_at)
	VALUES (_create_invite.organization, address, tenancy.current_user_id(),
			tenancy._credential_digest(_create_invite.token, 'invite'),
			created, _create_invite.expires_at)
	RETURNING id INTO invite_id;

	PERFORM tenancy._enqueue_invite(invite_id, _create_invite.token);
	-- Where mail is sent, whoever holds the token has been sent it.  The inviter
	-- could otherwise open an account with anybody's address.
	IF tenancy._mail_is_enabled() THEN
		token := NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._create_invite(uuid, text) IS
	'Invites an address into a locked organization, replacing its open invite.';

CREATE FUNCTION tenancy.create_invite(organization uuid, email text,
									  OUT invite_id uuid, OUT token text, OUT expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('member.invite', create_invite.organization);

	SELECT i.invite_id, i.token, i.expires_at
	INTO invite_id, token, expires_at
	FROM tenancy._create_invite(create_invite.organization, create_invite.email) i;
END
$$;
COMMENT ON FUNCTION tenancy.create_invite(uuid, text) IS
	'Invites an address into an organization, replacing its open invite; the token is shown this once, and not at all where it is mailed.';
GRANT EXECUTE ON FUNCTION tenancy.create_invite(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.create_invites(organization uuid, emails text[])
RETURNS TABLE (invite_id uuid, email text, token text, expires_at timestamptz)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	address text;
BEGIN
	PERFORM tenancy._begin_change('member.invite', create_invites.organization);

	IF emails IS NULL THEN
		RAISE EXCEPTION 'emails must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF cardinality(emails) > 100 THEN
		RAISE EXCEPTION 'too many addresses'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Invite at most 100 addresses at a time.';
	END IF;

	-- An address that is given twice is invited once.
	FOR address IN
		SELECT e.address
		FROM (SELECT tenancy._clean_email(a.email) AS address, a.position
			  FROM unnest(emails) WITH ORDINALITY AS a (email, position)) e
		GROUP BY e.address
		ORDER BY min(e.position)
	LOOP
		RETURN QUERY
			SELECT i.invite_id, address, i.token, i.expires_at
			FROM tenancy._create_invite(create_invites.organization, address) i;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.create_invites(uuid, text[]) IS
	'Invites up to 100 addresses into an organization, all or none.';
GRANT EXECUTE ON FUNCTION tenancy.create_invites(uuid, text[]) TO PUBLIC;

-- May the current user revoke this invite?  The inviter may while they are a
-- member, and so may whoever manages the organization.
CREATE FUNCTION tenancy._may_revoke_invite(invite uuid)
RETURNS boolean
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT FROM tenancy.invites i
		WHERE i.id = _may_revoke_invite.invite
		  AND (tenancy.can('organization.manage', i.organization_id)
			   OR (i.invited_by = tenancy.current_user_id()
				   AND tenancy.can('member.invite', i.organization_id))))
$$;
COMMENT ON FUNCTION tenancy._may_revoke_invite(uuid) IS
	'Whether an invite exists that the current user may revoke.';

CREATE FUNCTION tenancy.revoke_invite(invite uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._require_user();

	IF tenancy._may_revoke_invite(invite) THEN
		PERFORM tenancy._lock_organization(i.organization_id)
		FROM tenancy.invites i
		WHERE i.id = revoke_invite.invite;

		DELETE FROM tenancy.invites i
		WHERE i.id = revoke_invite.invite
		  AND tenancy._may_revoke_invite(i.id);
		IF FOUND THEN
			RETURN;
		END IF;
	END IF;

	RAISE EXCEPTION 'invite does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy.revoke_invite(uuid) IS
	'Revokes an open invite; for the inviter, Administrators and the Owner.';
GRANT EXECUTE ON FUNCTION tenancy.revoke_invite(uuid) TO PUBLIC;

-- The invite that a token opens.
CREATE FUNCTION tenancy._find_invite(token text)
RETURNS tenancy.invites
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites;
BEGIN
	SELECT i.* INTO invite
	FROM tenancy.invites i
	WHERE i.digest = tenancy._credential_digest(_find_invite.token, 'invite');
	IF NOT FOUND THEN
		RAISE EXCEPTION 'invite does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	RETURN invite;
END
$$;
COMMENT ON FUNCTION tenancy._find_invite(text) IS
	'The invite that a token opens; one error for unknown, used and malformed ones.';

-- Valid up to and including the last microsecond, by the clock and not by the
-- transaction's start.
CREATE FUNCTION tenancy._require_unexpired(invite tenancy.invites)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF clock_timestamp() > invite.expires_at THEN
		RAISE EXCEPTION 'invite has expired'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Ask for a new invite.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_unexpired(tenancy.invites) IS
	'Raises when an invite has expired.';

-- May this user accept the invite?  The order of the checks is promised.
CREATE FUNCTION tenancy._check_acceptance(invite tenancy.invites, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tenancy.users u
				   WHERE u.id = _check_acceptance.member AND u.email = invite.email) THEN
		RAISE EXCEPTION 'invite is for another account'
			USING ERRCODE = 'insufficient_privilege',
				  DETAIL = format('The invite was sent to %s.', tenancy._mask_email(invite.email)),
				  HINT = 'Sign in with the account that was invited.';
	END IF;
	PERFORM tenancy._require_unexpired(invite);
	IF tenancy._member_level(invite.organization_id, member) IS NOT NULL THEN
		RAISE EXCEPTION 'user is a member of the organization already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._check_acceptance(tenancy.invites, uuid) IS
	'Raises unless a user may accept an invite: wrong account, expired, member already.';

-- Lock the organization of an invite, then read the invite again: whoever
-- comes second finds it used.
CREATE FUNCTION tenancy._lock_invite(token text)
RETURNS tenancy.invites
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites := tenancy._find_invite(token);
BEGIN
	PERFORM tenancy._lock_organization(invite.organization_id);
	RETURN tenancy._find_invite(token);
END
$$;
COMMENT ON FUNCTION tenancy._lock_invite(text) IS
	'The invite that a token opens, with its organization locked.';

-- Make the user a Member.  The caller has locked the organization and checked.
CREATE FUNCTION tenancy._join(invite tenancy.invites, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Invites of other organizations for the address survive.
	DELETE FROM tenancy.invites i WHERE i.id = invite.id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'invite does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	-- The account may just be going: wait for that instead of failing in the
	-- words of a foreign key.
	PERFORM FROM tenancy.users u
	WHERE u.id = member AND u.is_active
	FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	INSERT INTO tenancy.memberships (organization_id, user_id, level, invited_by)
	VALUES (invite.organization_id, member, 'member', invite.invited_by);

	PERFORM tenancy._set_switcher(member, invite.organization_id,
								  tenancy._first_project(member, invite.organization_id));
	PERFORM tenancy._enqueue_joined(invite.organization_id, member);
END
$$;
COMMENT ON FUNCTION tenancy._join(tenancy.invites, uuid) IS
	'Makes a user a Member of the locked organization that invited them.';

CREATE FUNCTION tenancy.preview_invite(token text, OUT organization_name text, OUT masked_email text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites := tenancy._find_invite(token);
BEGIN
	PERFORM tenancy._require_unexpired(invite);

	masked_email := tenancy._mask_email(invite.email);
	organization_name := (SELECT o.name FROM tenancy.organizations o
						  WHERE o.id = invite.organization_id);
END
$$;
COMMENT ON FUNCTION tenancy.preview_invite(text) IS
	'What an invite is for; accepts nothing, and asks nobody to sign in.';
GRANT EXECUTE ON FUNCTION tenancy.preview_invite(text) TO PUBLIC;

CREATE FUNCTION tenancy.accept_invite(token text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
	invite tenancy.invites;
BEGIN
	-- Before the lock, so that the wrong account cannot hold up the organization.
	PERFORM tenancy._check_acceptance(tenancy._find_invite(token), me);

	invite := tenancy._lock_invite(token);
	-- The account may have been deleted or deactivated while waiting.
	me := tenancy._require_user();
	PERFORM tenancy._check_acceptance(invite, me);
	PERFORM tenancy._join(invite, me);
END
$$;
COMMENT ON FUNCTION tenancy.accept_invite(text) IS
	'Makes the current user a Member of the organization that invited them.';
GRANT EXECUTE ON FUNCTION tenancy.accept_invite(text) TO PUBLIC;

CREATE FUNCTION tenancy.accept_invite_as_new_user(token text, name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	invite tenancy.invites;
	newcomer uuid;
BEGIN
	-- For visitors and users; a project token and a bound login role run no commands.
	IF tenancy.current_user_id() IS NOT NULL OR tenancy.current_project_id() IS NOT NULL THEN
		PERFORM tenancy._require_user();
	END IF;

	invite := tenancy._find_invite(token);
	-- Whether there is an account is said last: nobody learns it by a call that
	-- would have failed anyway.
	PERFORM tenancy._require_unexpired(invite);
	PERFORM tenancy._clean_name(name);
	PERFORM tenancy._require_no_user(invite.email);

	invite := tenancy._lock_invite(token);
	PERFORM tenancy._require_unexpired(invite);

	-- Refuses an account that has come while waiting, in the same words.
	newcomer := tenancy._create_user(invite.email, name);
	PERFORM tenancy._join(invite, newcomer);
	RETURN newcomer;
END
$$;
COMMENT ON FUNCTION tenancy.accept_invite_as_new_user(text, text) IS
	'Creates the invited user and makes them a Member; the invite''s token is all it takes.';
GRANT EXECUTE ON FUNCTION tenancy.accept_invite_as_new_user(text, text) TO PUBLIC;
