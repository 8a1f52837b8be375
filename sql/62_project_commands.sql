-- ---------------------------------------------------------------------
-- Commands about projects and their tokens
-- ---------------------------------------------------------------------

-- Give a project a new token.  The caller has revoked the old one.
CREATE FUNCTION tenancy._issue_project_token(project uuid)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	secret text := tenancy._mint_credential('project');
BEGIN
	INSERT INTO tenancy.project_tokens (project_id, digest, token, created_by)
	VALUES (_issue_project_token.project,
			tenancy._credential_digest(secret, 'project'),
			secret,
			tenancy.current_user_id());
	RETURN secret;
END
$$;
COMMENT ON FUNCTION tenancy._issue_project_token(uuid) IS
	'Stores and returns a new token for a project that has none.';

CREATE FUNCTION tenancy._create_project(organization uuid, name text, is_private boolean)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	project uuid;
BEGIN
	INSERT INTO tenancy.projects (organization_id, name, is_private)
	VALUES (_create_project.organization,
			tenancy._clean_name(_create_project.name),
			_create_project.is_private)
	RETURNING id INTO project;

	PERFORM tenancy._issue_project_token(project);
	RETURN project;
END
$$;
COMMENT ON FUNCTION tenancy._create_project(uuid, text, boolean) IS
	'Creates a project with its token, asking nothing.';

CREATE FUNCTION tenancy.create_project(organization uuid, name text, is_private boolean DEFAULT false)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.create', create_project.organization);

	IF create_project.is_private IS NULL THEN
		RAISE EXCEPTION 'is_private must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	-- Counting hidden projects betrays nothing: whoever may create a project
	-- sees them all.
	IF EXISTS (SELECT FROM tenancy.projects p
			   WHERE p.organization_id = create_project.organization) THEN
		PERFORM tenancy._require_feature(create_project.organization, 'multiple_projects');
	END IF;
	IF create_project.is_private THEN
		PERFORM tenancy._require_feature(create_project.organization, 'private_projects');
	END IF;

	RETURN tenancy._create_project(create_project.organization,
								   create_project.name,
								   create_project.is_private);
END
$$;
COMMENT ON FUNCTION tenancy.create_project(uuid, text, boolean) IS
	'Creates a project with its token in an organization.';
GRANT EXECUTE ON FUNCTION tenancy.create_project(uuid, text, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.rename_project(project uuid, name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.manage', rename_project.project);

	UPDATE tenancy.projects p
	SET name = tenancy._clean_name(rename_project.name)
	WHERE p.id = rename_project.project;
END
$$;
COMMENT ON FUNCTION tenancy.rename_project(uuid, text) IS 'Renames a project.';
GRANT EXECUTE ON FUNCTION tenancy.rename_project(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.delete_project(project uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.delete', delete_project.project);

	BEGIN
		DELETE FROM tenancy.projects p
		WHERE p.id = delete_project.project;
	EXCEPTION
		WHEN foreign_key_violation OR restrict_violation THEN
			-- Only a foreign key of the application's own can hold it back.
			RAISE EXCEPTION 'project is still in use'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Delete the rows that refer to the project first.';
	END;
END
$$;
COMMENT ON FUNCTION tenancy.delete_project(uuid) IS
	'Deletes a project with its tokens, members and data.';
GRANT EXECUTE ON FUNCTION tenancy.delete_project(uuid) TO PUBLIC;

CREATE FUNCTION tenancy.set_project_privacy(project uuid, is_private boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	organization uuid;
BEGIN
	organization := tenancy._begin_change('project.set_privacy', set_project_privacy.project);

	IF set_project_privacy.is_private IS NULL THEN
		RAISE EXCEPTION 'is_private must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	-- What is private already stays so on any plan.
	UPDATE tenancy.projects p
	SET is_private = set_project_privacy.is_private
	WHERE p.id = set_project_privacy.project
	  AND p.is_private <> set_project_privacy.is_private;
	IF FOUND AND set_project_privacy.is_private THEN
		PERFORM tenancy._require_feature(organization, 'private_projects');
		PERFORM tenancy._mend_switchers(NULL, set_project_privacy.project);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.set_project_privacy(uuid, boolean) IS
	'Makes a project private, or opens it to the whole organization.';
GRANT EXECUTE ON FUNCTION tenancy.set_project_privacy(uuid, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.rotate_project_token(project uuid)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('project.manage', rotate_project_token.project);

	-- The digest stays, so that an old token can never be issued again.
	UPDATE tenancy.project_tokens t
	SET revoked_at = clock_timestamp(), token = NULL
	WHERE t.project_id = rotate_project_token.project
	  AND t.revoked_at IS NULL;

	RETURN tenancy._issue_project_token(rotate_project_token.project);
END
$$;
COMMENT ON FUNCTION tenancy.rotate_project_token(uuid) IS
	'Revokes a project''s token at once and returns the new one.';
GRANT EXECUTE ON FUNCTION tenancy.rotate_project_token(uuid) TO PUBLIC;
