-- ---------------------------------------------------------------------
-- Commands about the members of an organization
--
-- A user from outside the organization does not exist here, in the same words
-- as one who never was.
-- ---------------------------------------------------------------------

-- The level of a user in an organization, NULL for one from outside.
-- Deactivated users count: they are still on the books.
CREATE FUNCTION tenancy._member_level(organization uuid, member uuid)
RETURNS tenancy.access_level
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'owner'::tenancy.access_level
	FROM tenancy.organizations o
	WHERE o.id = _member_level.organization
	  AND o.owner_id = _member_level.member
	UNION ALL
	SELECT m.level
	FROM tenancy.memberships m
	WHERE m.organization_id = _member_level.organization
	  AND m.user_id = _member_level.member
$$;
COMMENT ON FUNCTION tenancy._member_level(uuid, uuid) IS
	'The level of a user in an organization, also of a deactivated one; NULL for one from outside.';

-- Raises unless the user is an active member of the organization, and keeps
-- them active until the transaction ends.
CREATE FUNCTION tenancy._require_active_member(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Membership first: nothing of a stranger may be locked or waited for.
	IF tenancy._member_level(organization, member) IS NOT NULL THEN
		PERFORM FROM tenancy.users u
		WHERE u.id = _require_active_member.member AND u.is_active
		FOR SHARE;
		IF FOUND THEN
			RETURN;
		END IF;
	END IF;
	RAISE EXCEPTION 'user does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy._require_active_member(uuid, uuid) IS
	'Raises unless a user is an active member of an organization.';

-- End a membership and what hangs on it.  Project memberships follow by
-- foreign key.  Invites go too, those to the member and those from them: with
-- neither may somebody who was shown the door come back in.
CREATE FUNCTION tenancy._end_membership(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenancy.memberships m
	WHERE m.organization_id = _end_membership.organization
	  AND m.user_id = _end_membership.member;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	DELETE FROM tenancy.invites i
	WHERE i.organization_id = _end_membership.organization
	  AND (i.invited_by = _end_membership.member
		   OR i.email = (SELECT u.email FROM tenancy.users u
						 WHERE u.id = _end_membership.member));

	PERFORM tenancy._leave_switcher(member, organization);
END
$$;
COMMENT ON FUNCTION tenancy._end_membership(uuid, uuid) IS
	'Ends a membership with its project memberships and invites, and moves the switcher.';

CREATE FUNCTION tenancy.set_member_level(organization uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF set_member_level.level = 'owner' THEN
		PERFORM tenancy.transfer_ownership(set_member_level.organization,
										   set_member_level.member);
		RETURN;
	END IF;

	PERFORM tenancy._begin_change('organization.manage', set_member_level.organization);

	IF set_member_level.level IS NULL THEN
		RAISE EXCEPTION 'level must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF set_member_level.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to change one''s own level'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(set_member_level.organization,
										   set_member_level.member);
	PERFORM tenancy._refuse_owner(set_member_level.organization,
								  set_member_level.member);

	UPDATE tenancy.memberships m
	SET level = set_member_level.level
	WHERE m.organization_id = set_member_level.organization
	  AND m.user_id = set_member_level.member;

	-- A former Administrator may have been working in a private project.
	PERFORM tenancy._mend_switchers(set_member_level.member, NULL);
END
$$;
COMMENT ON FUNCTION tenancy.set_member_level(uuid, uuid, tenancy.access_level) IS
	'Changes the level of another member; the Owner who gives "owner" transfers the organization.';
GRANT EXECUTE ON FUNCTION tenancy.set_member_level(uuid, uuid, tenancy.access_level) TO PUBLIC;

-- Nobody is above an Administrator but the Owner, so this is all that "nobody
-- edits somebody higher" needs.
CREATE FUNCTION tenancy._refuse_owner(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF tenancy._member_level(organization, member) = 'owner' THEN
		RAISE EXCEPTION 'permission denied to change the owner'
			USING ERRCODE = 'insufficient_privilege',
				  HINT = 'Only the Owner can transfer the organization, with tenancy.transfer_ownership().';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._refuse_owner(uuid, uuid) IS
	'Raises when a user is the Owner of an organization.';

CREATE FUNCTION tenancy.remove_member(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._begin_change('organization.manage', organization);

	IF member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'cannot remove oneself'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.leave_organization().';
	END IF;
	PERFORM tenancy._refuse_owner(organization, member);
	PERFORM tenancy._end_membership(organization, member);
END
$$;
COMMENT ON FUNCTION tenancy.remove_member(uuid, uuid) IS
	'Removes another member, with their project memberships and invites.';
GRANT EXECUTE ON FUNCTION tenancy.remove_member(uuid, uuid) TO PUBLIC;

CREATE FUNCTION tenancy.leave_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- What is refused below for another reason than being the Owner.
	PERFORM tenancy._require_user();
	BEGIN
		PERFORM tenancy._begin_change('organization.leave', organization);
	EXCEPTION
		WHEN insufficient_privilege THEN
			-- Of those who see the organization only the Owner may not leave.
			RAISE EXCEPTION 'the owner cannot leave the organization'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Transfer the organization first, with tenancy.transfer_ownership().';
	END;

	PERFORM tenancy._end_membership(organization, tenancy.current_user_id());
END
$$;
COMMENT ON FUNCTION tenancy.leave_organization(uuid) IS
	'Ends the current user''s own membership; the Owner has to transfer first.';
GRANT EXECUTE ON FUNCTION tenancy.leave_organization(uuid) TO PUBLIC;
