-- ---------------------------------------------------------------------
-- Commands about the members of private projects
-- ---------------------------------------------------------------------

-- One gives at most one's own level, and "owner" belongs to organizations.
CREATE FUNCTION tenancy._require_grantable(project uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF level IS NULL THEN
		RAISE EXCEPTION 'level must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF level > tenancy.level_in(project) THEN
		RAISE EXCEPTION 'permission denied to grant a level above one''s own'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF level = 'owner' THEN
		RAISE EXCEPTION 'a project has no owner'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'The levels of a project are "member" and "administrator".';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_grantable(uuid, tenancy.access_level) IS
	'Raises unless the current user can give a level in a project.';

CREATE FUNCTION tenancy.add_project_member(project uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', add_project_member.project);

	IF add_project_member.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to add oneself to a project'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(organization, add_project_member.member);
	IF NOT EXISTS (SELECT FROM tenancy.projects p
				   WHERE p.id = add_project_member.project AND p.is_private) THEN
		RAISE EXCEPTION 'project is not private'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Everybody in the organization has access. Make the project private first, with tenancy.set_project_privacy().';
	END IF;
	PERFORM tenancy._require_grantable(add_project_member.project, add_project_member.level);
	IF tenancy._member_level(organization, add_project_member.member) = 'owner' THEN
		RAISE EXCEPTION 'the owner cannot be added to a project'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'The Owner has access to every project.';
	END IF;

	INSERT INTO tenancy.project_memberships (project_id, user_id, organization_id, level)
	VALUES (add_project_member.project, add_project_member.member, organization,
			add_project_member.level)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user is a member of the project already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.set_project_member_level() to change the level.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.add_project_member(uuid, uuid, tenancy.access_level) IS
	'Lets another member of the organization into a private project.';
GRANT EXECUTE ON FUNCTION tenancy.add_project_member(uuid, uuid, tenancy.access_level) TO PUBLIC;

CREATE FUNCTION tenancy.set_project_member_level(project uuid, member uuid, level tenancy.access_level)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', set_project_member_level.project);

	IF set_project_member_level.member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'permission denied to change one''s own level'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	PERFORM tenancy._require_active_member(organization, set_project_member_level.member);
	PERFORM tenancy._refuse_owner(organization, set_project_member_level.member);
	PERFORM tenancy._require_grantable(set_project_member_level.project,
									   set_project_member_level.level);

	UPDATE tenancy.project_memberships m
	SET level = set_project_member_level.level
	WHERE m.project_id = set_project_member_level.project
	  AND m.user_id = set_project_member_level.member;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_project_member_level(uuid, uuid, tenancy.access_level) IS
	'Changes the level of another member of a project.';
GRANT EXECUTE ON FUNCTION tenancy.set_project_member_level(uuid, uuid, tenancy.access_level) TO PUBLIC;

-- False when there was nothing to end.
CREATE FUNCTION tenancy._end_project_membership(project uuid, member uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM tenancy.project_memberships m
	WHERE m.project_id = _end_project_membership.project
	  AND m.user_id = _end_project_membership.member;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM tenancy._mend_switchers(member, NULL);
	RETURN true;
END
$$;
COMMENT ON FUNCTION tenancy._end_project_membership(uuid, uuid) IS
	'Ends a project membership and mends the switcher; false when there was none.';

CREATE FUNCTION tenancy.remove_project_member(project uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.manage', project);

	IF member = tenancy.current_user_id() THEN
		RAISE EXCEPTION 'cannot remove oneself'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.leave_project().';
	END IF;
	PERFORM tenancy._refuse_owner(organization, member);
	IF NOT tenancy._end_project_membership(project, member) THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.remove_project_member(uuid, uuid) IS
	'Removes another member from a project.';
GRANT EXECUTE ON FUNCTION tenancy.remove_project_member(uuid, uuid) TO PUBLIC;

CREATE FUNCTION tenancy.leave_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	PERFORM tenancy._begin_change('project.view', project);

	IF NOT tenancy._end_project_membership(project, me) THEN
		RAISE EXCEPTION 'you have not been added to the project'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'You have access to it through the organization.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.leave_project(uuid) IS
	'Ends the current user''s own membership of a project.';
GRANT EXECUTE ON FUNCTION tenancy.leave_project(uuid) TO PUBLIC;
