-- ---------------------------------------------------------------------
-- The switchers: a user's current organization and project
--
-- They are a convenience and grant nothing; who may see what is always asked
-- anew.
-- ---------------------------------------------------------------------

-- The project to start with: open ones first, then the oldest.  One that is
-- just being deleted is passed over rather than waited for.
CREATE FUNCTION tenancy._first_project(member uuid, organization uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	project uuid;
BEGIN
	SELECT p.id INTO project
	FROM tenancy.access a
	JOIN tenancy.projects p ON p.id = a.project_id
	WHERE a.user_id = _first_project.member
	  AND a.organization_id = _first_project.organization
	ORDER BY p.is_private, p.created_at, p.id
	LIMIT 1
	FOR KEY SHARE OF p SKIP LOCKED;
	RETURN project;
END
$$;
COMMENT ON FUNCTION tenancy._first_project(uuid, uuid) IS
	'The project that a user starts with in an organization, NULL for none.';

-- Remember a choice.  The caller holds the organization and the project.
CREATE FUNCTION tenancy._set_switcher(member uuid, organization uuid, project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM tenancy.users u
	WHERE u.id = _set_switcher.member
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;

	INSERT INTO tenancy.user_preferences (user_id, current_organization_id, current_project_id)
	VALUES (member, organization, project)
	ON CONFLICT (user_id) DO UPDATE
	SET current_organization_id = excluded.current_organization_id,
		current_project_id = excluded.current_project_id;
END
$$;
COMMENT ON FUNCTION tenancy._set_switcher(uuid, uuid, uuid) IS
	'Remembers a user''s current organization and project.';

-- The user is out of the organization: move on to another one of theirs, if
-- this was the current one.  The others may be none of the caller's business,
-- nor whether the user is just switching to one of them, hence SKIP LOCKED:
-- nothing is learned by waiting.  A choice that is passed over and then not
-- replaced is shown to nobody: see the policy of user_preferences.
CREATE FUNCTION tenancy._leave_switcher(member uuid, organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	successor uuid;
BEGIN
	PERFORM FROM tenancy.user_preferences s
	WHERE s.user_id = _leave_switcher.member
	  AND s.current_organization_id = _leave_switcher.organization
	FOR UPDATE SKIP LOCKED;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	SELECT o.id INTO successor
	FROM tenancy.access a
	JOIN tenancy.organizations o ON o.id = a.organization_id
	WHERE a.user_id = _leave_switcher.member
	  AND a.project_id IS NULL
	ORDER BY o.created_at, o.id
	LIMIT 1
	FOR KEY SHARE OF o SKIP LOCKED;

	UPDATE tenancy.user_preferences s
	SET current_organization_id = successor,
		current_project_id = tenancy._first_project(member, successor)
	WHERE s.user_id = _leave_switcher.member
	  AND s.current_organization_id = _leave_switcher.organization;
END
$$;
COMMENT ON FUNCTION tenancy._leave_switcher(uuid, uuid) IS
	'Moves the switcher of a user who is out of an organization to another one, or to none.';

-- Nobody's current project is one they can no longer see: neither that of a member
-- who lost something, nor a project that was closed; the other is NULL.  OFFSET 0
-- asks about each of these few, rather than about everybody's access.  Who is just
-- choosing another one is passed over, as above.
CREATE FUNCTION tenancy._mend_switchers(member uuid, project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE tenancy.user_preferences s
	SET current_project_id = NULL
	WHERE s.user_id IN (
		SELECT l.user_id
		FROM tenancy.user_preferences l
		WHERE (l.user_id = _mend_switchers.member OR l.current_project_id = _mend_switchers.project)
		  AND l.current_project_id IS NOT NULL
		  AND NOT EXISTS (SELECT FROM tenancy.access a
						  WHERE a.user_id = l.user_id
							AND a.project_id = l.current_project_id
						  OFFSET 0)
		FOR UPDATE SKIP LOCKED);
END
$$;
COMMENT ON FUNCTION tenancy._mend_switchers(uuid, uuid) IS
	'Clears the current project of those who can no longer see it.';

CREATE FUNCTION tenancy.switch_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
BEGIN
	IF tenancy.level_in(organization) IS NOT NULL THEN
		-- Keeps removal and deletion out until the choice is written.
		PERFORM FROM tenancy.organizations o
		WHERE o.id = switch_organization.organization
		FOR SHARE;
		IF FOUND AND tenancy.level_in(organization) IS NOT NULL THEN
			PERFORM tenancy._set_switcher(me, organization,
										  tenancy._first_project(me, organization));
			RETURN;
		END IF;
	END IF;

	RAISE EXCEPTION 'organization does not exist'
		USING ERRCODE = 'no_data_found';
END
$$;
COMMENT ON FUNCTION tenancy.switch_organization(uuid) IS
	'Makes an organization the current user''s current one.';
GRANT EXECUTE ON FUNCTION tenancy.switch_organization(uuid) TO PUBLIC;

CREATE FUNCTION tenancy.switch_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy._require_user();
	organization uuid;
BEGIN
	PERFORM tenancy.require('project.view', project);

	SELECT o.id INTO organization
	FROM tenancy.projects p
	JOIN tenancy.organizations o ON o.id = p.organization_id
	WHERE p.id = switch_project.project
	FOR SHARE OF o;
	PERFORM tenancy.require('project.view', project);

	-- Without a current organization there is nothing to be outside of.
	IF EXISTS (SELECT FROM tenancy.user_preferences s
			   WHERE s.user_id = me AND s.current_organization_id <> organization) THEN
		RAISE EXCEPTION 'project is outside the current organization'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Use tenancy.switch_organization() first.';
	END IF;
	PERFORM tenancy._set_switcher(me, organization, project);
END
$$;
COMMENT ON FUNCTION tenancy.switch_project(uuid) IS
	'Makes a project of the current organization the current user''s current one.';
GRANT EXECUTE ON FUNCTION tenancy.switch_project(uuid) TO PUBLIC;
