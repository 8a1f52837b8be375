-- ---------------------------------------------------------------------
-- Questions about others: why, who, what, and what if
--
-- Each is answered by the function of the same name with an underscore before
-- it, which is told whether an administrator of the database asks
-- (src/question.c).  The rules are not repeated here: who reaches what is read
-- from tenancy.access, and what a level may do is asked of the matrix.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.explain_access(user_id uuid, permission tenancy.permission, target uuid)
RETURNS TABLE (step integer, granted boolean, sentence text)
LANGUAGE c STABLE PARALLEL SAFE ROWS 6
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.explain_access(uuid, tenancy.permission, uuid) IS
	'Why somebody has a permission or not, step by step, and what would change that.';

CREATE FUNCTION tenancy.who_can_access(project uuid)
RETURNS TABLE (user_id uuid, email text, name text, level tenancy.access_level, source text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.who_can_access(uuid) IS 'Everybody who reaches a project, and why.';

CREATE FUNCTION tenancy.what_can_access(user_id uuid)
RETURNS TABLE (organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.what_can_access(uuid) IS 'Everything that somebody reaches, and why, as far as one may know.';

CREATE FUNCTION tenancy.preview_remove_member(organization uuid, member uuid)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_remove_member(uuid, uuid) IS 'What remove_member() would take away.';

CREATE FUNCTION tenancy.preview_set_member_level(organization uuid, member uuid, level tenancy.access_level)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_member_level(uuid, uuid, tenancy.access_level) IS
	'What set_member_level() would give and take away.';

CREATE FUNCTION tenancy.preview_set_project_privacy(project uuid, is_private boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_project_privacy(uuid, boolean) IS
	'What set_project_privacy() would give and take away.';

CREATE FUNCTION tenancy.preview_set_plan(organization uuid, plan text)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.preview_set_plan(uuid, text) IS 'What set_plan() would give and take away.';
REVOKE ALL ON FUNCTION tenancy.preview_set_plan(uuid, text) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Why
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._level_words(level tenancy.access_level)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE level WHEN 'owner' THEN 'the Owner' WHEN 'administrator' THEN 'an Administrator' ELSE 'a Member' END
$$;
COMMENT ON FUNCTION tenancy._level_words(tenancy.access_level) IS 'A level, to be read.';

CREATE FUNCTION tenancy._holders(permission tenancy.permission)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT regexp_replace(concat_ws(', ',
									CASE WHEN m.owner THEN tenancy._level_words('owner') END,
									CASE WHEN m.administrator THEN tenancy._level_words('administrator') END,
									CASE WHEN m.member THEN tenancy._level_words('member') END,
									CASE WHEN m.project_administrator AND NOT m.member
										 THEN 'an Administrator of the private project' END),
						  ', ([^,]*)$', E' or \\1')
	FROM tenancy.permission_matrix m
	WHERE m.permission = _holders.permission
$$;
COMMENT ON FUNCTION tenancy._holders(tenancy.permission) IS 'What one has to be for a permission, to be read.';

-- The smallest change of a member's levels after which they have the permission:
-- the command, and the permission that it takes.  No row when there is none.
CREATE FUNCTION tenancy._smallest_change(permission tenancy.permission, organization uuid, project uuid,
										 member uuid, organization_level tenancy.access_level)
RETURNS TABLE (command text, required tenancy.permission)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.command, c.required
	FROM (SELECT p.is_private,
				 (SELECT pm.level FROM tenancy.project_memberships pm
				  WHERE pm.project_id = p.id AND pm.user_id = _smallest_change.member) AS level
		  FROM (VALUES (true)) one (row)
		  LEFT JOIN tenancy.projects p ON p.id = _smallest_change.project) now,
		 LATERAL (VALUES
			(1, now.is_private AND now.level IS NULL AND _smallest_change.organization_level = 'member',
			 'member'::tenancy.access_level, 'member'::tenancy.access_level,
			 format('tenancy.add_project_member(%L, %L, ''member'')', project, member),
			 'project.manage'::tenancy.permission),
			(2, now.is_private AND now.level IS NULL AND _smallest_change.organization_level = 'member',
			 'administrator', 'member',
			 format('tenancy.add_project_member(%L, %L, ''administrator'')', project, member), 'project.manage'),
			(2, now.is_private AND now.level = 'member' AND _smallest_change.organization_level = 'member',
			 'administrator', 'member',
			 format('tenancy.set_project_member_level(%L, %L, ''administrator'')', project, member), 'project.manage'),
			(3, _smallest_change.organization_level = 'member', 'administrator', 'administrator',
			 format('tenancy.set_member_level(%L, %L, ''administrator'')', organization, member), 'organization.manage'),
			(4, _smallest_change.organization_level < 'owner', 'owner', 'owner',
			 format('tenancy.transfer_ownership(%L, %L)', organization, member), 'organization.transfer'),
			(5, _smallest_change.organization_level = 'owner', 'administrator', 'administrator',
			 format('tenancy.transfer_ownership(%L, another member)', organization), 'organization.transfer'))
		 c (size, applies, level, organization_level, command, required)
	WHERE c.applies
	  AND tenancy._is_permitted(_smallest_change.permission, c.level, c.organization_level)
	ORDER BY c.size
	LIMIT 1
$$;
COMMENT ON FUNCTION tenancy._smallest_change(tenancy.permission, uuid, uuid, uuid, tenancy.access_level) IS
	'The smallest command that would give a member a permission.';

-- A step that is granted holds, the first that is not decides, and those that
-- say neither tell what would change that.
CREATE FUNCTION tenancy._explain_access(user_id uuid, permission tenancy.permission, target uuid, by_administrator boolean)
RETURNS TABLE (step integer, granted boolean, sentence text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy.current_user_id();
	kind text := (SELECT m.target FROM tenancy.permission_matrix m WHERE m.permission = _explain_access.permission);
	place record;
	person record;
	here record;
	change record;
	missing text[] := '{}'::text[];
BEGIN
	IF _explain_access.permission IS NULL THEN
		RAISE EXCEPTION 'permission must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF me IS NULL AND NOT by_administrator THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;

	SELECT o.id AS organization_id, o.name AS organization_name, p.id AS project_id, p.name, p.is_private
	INTO place
	FROM tenancy.organizations o
	LEFT JOIN tenancy.projects p ON p.organization_id = o.id AND p.id = _explain_access.target
	WHERE o.id = CASE kind WHEN 'project'
						   THEN (SELECT q.organization_id FROM tenancy.projects q WHERE q.id = _explain_access.target)
						   ELSE _explain_access.target END
	  AND (by_administrator
		   OR tenancy.can('organization.manage', o.id)
		   OR tenancy.can('project.view', p.id)
		   OR (kind = 'organization' AND _explain_access.user_id = me AND tenancy.level_in(o.id) IS NOT NULL));
	IF NOT FOUND THEN
		RAISE EXCEPTION '% does not exist', kind
			USING ERRCODE = 'no_data_found';
	END IF;

	-- A stranger is one who never was, to all but an administrator.
	SELECT u.name, u.is_active, tenancy._member_level_now(place.organization_id, u.id) AS level
	INTO person
	FROM tenancy.users u
	WHERE u.id = _explain_access.user_id
	  AND (by_administrator OR u.id = me OR tenancy._member_level_now(place.organization_id, u.id) IS NOT NULL);

	SELECT a.level, a.organization_level, a.source
	INTO here
	FROM tenancy.access a
	WHERE a.user_id = _explain_access.user_id
	  AND a.organization_id = place.organization_id
	  AND a.project_id IS NOT DISTINCT FROM place.project_id;

	step := 1;
	granted := coalesce(person.is_active, false);
	sentence := CASE WHEN person.name IS NULL THEN 'There is no such person in the organization.'
					 WHEN person.is_active THEN format('%s has an active account.', person.name)
					 ELSE format('The account of %s is deactivated, so they reach nothing.', person.name) END;
	RETURN NEXT;
	IF person.is_active IS FALSE THEN
		missing := missing || format('The application would have to activate the account, with tenancy.set_user_active(%L, true).', _explain_access.user_id);
	END IF;

	IF person.name IS NOT NULL THEN
		step := 2;
		granted := person.level IS NOT NULL;
		sentence := CASE WHEN granted
						 THEN format('%s is %s of the organization "%s".', person.name,
									 tenancy._level_words(person.level), place.organization_name)
						 ELSE format('%s is not in the organization "%s".', person.name, place.organization_name) END;
		RETURN NEXT;
	END IF;
	IF person.level IS NULL THEN
		missing := missing || format('They would have to be invited by %s, with tenancy.create_invite(%L, …), and accept.',
									 tenancy._holders('member.invite'), place.organization_id);
	END IF;

	-- What an account that is deactivated would reach is not asked.
	IF granted AND person.is_active THEN
		IF place.project_id IS NOT NULL THEN
			step := 3;
			granted := here.level IS NOT NULL;
			sentence := CASE
				WHEN here.source = 'project membership'
				THEN format('The project "%s" is private, and %s was added to it as %s.', place.name, person.name, tenancy._level_words(here.level))
				WHEN here.source = 'owner' OR (here.source = 'membership' AND place.is_private)
				THEN format('The project "%s" is %s, and %s reaches every project of the organization.', place.name,
							CASE WHEN place.is_private THEN 'private' ELSE 'open' END, tenancy._level_words(here.organization_level))
				WHEN here.source IS NOT NULL
				THEN format('The project "%s" is open to everybody in the organization.', place.name)
				WHEN place.is_private
				THEN format('The project "%s" is private, and %s was not added to it.', place.name, person.name)
				ELSE format('%s does not reach the project "%s".', person.name, place.name) END;
			RETURN NEXT;
		END IF;
		IF granted THEN
			step := step + 1;
			granted := tenancy._is_permitted(_explain_access.permission, here.level, here.organization_level);
			sentence := format('For the permission "%s" one has to be %s.', _explain_access.permission,
							   tenancy._holders(_explain_access.permission));
			RETURN NEXT;
			IF granted THEN
				RETURN;
			END IF;
		END IF;
	END IF;

	-- What is missing besides: as the member that they are, or would be.
	IF (person.level IS NOT NULL AND person.is_active)
	   OR NOT tenancy._is_permitted(_explain_access.permission, coalesce(person.level, 'member'), coalesce(person.level, 'member'))
	   OR (place.is_private AND coalesce(person.level, 'member') = 'member') THEN
		SELECT * INTO change
		FROM tenancy._smallest_change(_explain_access.permission, place.organization_id, place.project_id,
									  _explain_access.user_id, coalesce(person.level, 'member'))
		WHERE NOT (place.is_private AND here.level IS NULL AND person.level = 'member'
				   AND EXISTS (SELECT FROM tenancy.project_memberships pm
							   WHERE pm.project_id = place.project_id AND pm.user_id = _explain_access.user_id
								 AND tenancy._is_permitted(_explain_access.permission, pm.level, 'member')));
		IF FOUND THEN
			missing := missing || format('%s, called by %s, would allow it.', change.command, tenancy._holders(change.required));
		END IF;
	END IF;

	granted := NULL;
	FOREACH sentence IN ARRAY missing LOOP
		step := step + 1;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._explain_access(uuid, tenancy.permission, uuid, boolean) IS 'Answers explain_access().';

-- As _member_level(), which is for commands.
CREATE FUNCTION tenancy._member_level_now(organization uuid, member uuid)
RETURNS tenancy.access_level
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'owner'::tenancy.access_level
	FROM tenancy.organizations o
	WHERE o.id = _member_level_now.organization AND o.owner_id = _member_level_now.member
	UNION ALL
	SELECT m.level
	FROM tenancy.memberships m
	WHERE m.organization_id = _member_level_now.organization AND m.user_id = _member_level_now.member
$$;
COMMENT ON FUNCTION tenancy._member_level_now(uuid, uuid) IS
	'The level of a user in an organization, also of a deactivated one, for questions.';

-- ---------------------------------------------------------------------
-- Who and what
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._who_can_access(project uuid, by_administrator boolean)
RETURNS TABLE (user_id uuid, email text, name text, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT by_administrator THEN
		-- Whoever manages an organization sees all of its projects.
		PERFORM tenancy.require('project.view', project);
	ELSIF NOT EXISTS (SELECT FROM tenancy.projects p WHERE p.id = _who_can_access.project) THEN
		RAISE EXCEPTION 'project does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	RETURN QUERY
		SELECT a.user_id, u.email::text, u.name::text, a.level, a.source
		FROM tenancy.access a
		JOIN tenancy.users u ON u.id = a.user_id
		WHERE a.project_id = _who_can_access.project
		ORDER BY a.level DESC, u.name, u.id;
END
$$;
COMMENT ON FUNCTION tenancy._who_can_access(uuid, boolean) IS 'Answers who_can_access().';

CREATE FUNCTION tenancy._what_can_access(user_id uuid, by_administrator boolean)
RETURNS TABLE (organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy.current_user_id();
BEGIN
	IF me IS NULL AND NOT by_administrator THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
	RETURN QUERY
		SELECT a.organization_id, a.project_id, a.level, a.source
		FROM tenancy.access a
		WHERE a.user_id = _what_can_access.user_id
		  AND (by_administrator
			   OR tenancy.level_in(coalesce(a.project_id, a.organization_id)) IS NOT NULL)
		ORDER BY a.organization_id, a.project_id NULLS FIRST;
	-- Of somebody with whom one shares nothing, one does not know that they are.
	IF NOT FOUND AND (by_administrator OR _what_can_access.user_id IS DISTINCT FROM me)
	   AND NOT (by_administrator AND EXISTS (SELECT FROM tenancy.users u WHERE u.id = _what_can_access.user_id)) THEN
		RAISE EXCEPTION 'user does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._what_can_access(uuid, boolean) IS 'Answers what_can_access().';

-- ---------------------------------------------------------------------
-- What if: the command itself, and its undoing
-- ---------------------------------------------------------------------

-- Everybody's levels in an organization (under NULL) and its projects.
CREATE FUNCTION tenancy._levels_in(organization uuid)
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(jsonb_object_agg(a.user_id || '/' || coalesce(a.project_id::text, ''), a.level), '{}')
	FROM tenancy.access a
	WHERE a.organization_id = _levels_in.organization
$$;
COMMENT ON FUNCTION tenancy._levels_in(uuid) IS 'What everybody reaches in an organization, to be compared.';

-- With an exception block, so that all that the command did is undone, its locks,
-- messages and audit entries as well.  An administrator of the database does it
-- as the Owner.
CREATE FUNCTION tenancy._preview(command text, organization uuid, missing text, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	levels_before jsonb;
	levels_after jsonb;
BEGIN
	BEGIN
		IF by_administrator THEN
			PERFORM tenancy.act_as(o.owner_id) FROM tenancy.organizations o WHERE o.id = _preview.organization;
			IF NOT FOUND THEN
				RAISE EXCEPTION '% does not exist', missing
					USING ERRCODE = 'no_data_found';
			END IF;
		END IF;
		levels_before := tenancy._levels_in(organization);
		EXECUTE command;
		levels_after := tenancy._levels_in(organization);
		RAISE EXCEPTION 'undo' USING ERRCODE = 'TNP01';
	EXCEPTION
		WHEN SQLSTATE 'TNP01' THEN
			NULL;
	END;
	RETURN QUERY
		SELECT split_part(key, '/', 1)::uuid, nullif(split_part(key, '/', 2), '')::uuid,
			   b.value::tenancy.access_level, a.value::tenancy.access_level
		FROM jsonb_each_text(levels_before) b
		FULL JOIN jsonb_each_text(levels_after) a USING (key)
		WHERE b.value IS DISTINCT FROM a.value
		ORDER BY 1, 2 NULLS FIRST;
END
$$;
COMMENT ON FUNCTION tenancy._preview(text, uuid, text, boolean) IS
	'What a command would change in an organization: does it, looks, and undoes it.';

CREATE FUNCTION tenancy._preview_remove_member(organization uuid, member uuid, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.remove_member(%L, %L)', organization, member),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_remove_member(uuid, uuid, boolean) IS 'Answers preview_remove_member().';

CREATE FUNCTION tenancy._preview_set_member_level(organization uuid, member uuid, level tenancy.access_level, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_member_level(%L, %L, %L)', organization, member, level),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_member_level(uuid, uuid, tenancy.access_level, boolean) IS
	'Answers preview_set_member_level().';

CREATE FUNCTION tenancy._preview_set_project_privacy(project uuid, is_private boolean, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_project_privacy(%L, %L)', project, is_private),
								   (SELECT p.organization_id FROM tenancy.projects p WHERE p.id = project),
								   'project', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_project_privacy(uuid, boolean, boolean) IS
	'Answers preview_set_project_privacy().';

CREATE FUNCTION tenancy._preview_set_plan(organization uuid, plan text, by_administrator boolean)
RETURNS TABLE (user_id uuid, project_id uuid, before tenancy.access_level, after tenancy.access_level)
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM tenancy._preview(format('SELECT tenancy.set_plan(%L, %L)', organization, plan),
								   organization, 'organization', by_administrator)
$$;
COMMENT ON FUNCTION tenancy._preview_set_plan(uuid, text, boolean) IS 'Answers preview_set_plan().';
