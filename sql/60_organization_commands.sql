-- ---------------------------------------------------------------------
-- Commands about organizations, and what all commands share
--
-- Every change follows one pattern (_begin_change): ask whether the caller may,
-- holding no lock, so that nothing of a hidden organization is ever locked or
-- waited for; lock the organization by raising its version; ask again, because
-- the answer may have changed while waiting.  Raising the version, and not
-- merely locking the row, is what makes a concurrent REPEATABLE READ
-- transaction fail with a serialization error instead of acting on authority
-- that has been taken away since its snapshot.
--
-- Locks are taken in the order organization, user, project or invite,
-- preferences.
-- ---------------------------------------------------------------------

-- Who is acting?  Raises 28000 when nobody is.
CREATE FUNCTION tenancy._require_user()
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	me uuid := tenancy.current_user_id();
BEGIN
	IF me IS NULL THEN
		RAISE EXCEPTION 'nobody is signed in'
			USING ERRCODE = 'invalid_authorization_specification';
	END IF;
	-- A report does not send invites; see require(), which says the same.
	IF tenancy._acts_by_binding() THEN
		RAISE EXCEPTION 'permission denied'
			USING ERRCODE = 'insufficient_privilege',
				  DETAIL = 'A login role that is bound to a user runs no commands.',
				  HINT = 'Sign in.';
	END IF;
	RETURN me;
END
$$;
COMMENT ON FUNCTION tenancy._require_user() IS
	'The current user; raises when nobody is signed in, and for a bound login role.';

-- Serialize all changes of one organization.  False when it does not exist.
CREATE FUNCTION tenancy._lock_organization(organization uuid)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE tenancy.organizations o
	SET version = o.version + 1
	WHERE o.id = _lock_organization.organization;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION tenancy._lock_organization(uuid) IS
	'Locks an organization by raising its version; false when it does not exist.';

-- The organization that a permission on a target is about.
CREATE FUNCTION tenancy._organization_of(permission tenancy.permission, target uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF permission IN ('project.view', 'project.delete', 'project.manage',
					  'project.set_privacy') THEN
		RETURN (SELECT p.organization_id FROM tenancy.projects p
				WHERE p.id = _organization_of.target);
	END IF;
	RETURN target;
END
$$;
COMMENT ON FUNCTION tenancy._organization_of(tenancy.permission, uuid) IS
	'The organization that a permission on an organization or project is about.';

-- Check, lock, check again.  Returns the organization that is now locked.
CREATE FUNCTION tenancy._begin_change(permission tenancy.permission, target uuid)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	organization uuid;
BEGIN
	PERFORM tenancy.require(permission, target);

	organization := tenancy._organization_of(permission, target);
	IF NOT tenancy._lock_organization(organization) THEN
		-- Deleted since the first check: the second one says so.
		organization := NULL;
	END IF;

	PERFORM tenancy.require(permission, target);

	IF organization IS NULL
	   OR organization IS DISTINCT FROM tenancy._organization_of(permission, target) THEN
		RAISE EXCEPTION 'could not serialize access due to concurrent update'
			USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN organization;
END
$$;
COMMENT ON FUNCTION tenancy._begin_change(tenancy.permission, uuid) IS
	'Checks a permission, locks the organization it is about, checks again; returns that organization.';

-- An unknown feature is not included in any plan.
CREATE FUNCTION tenancy._require_feature(organization uuid, feature text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	plan record;
BEGIN
	SELECT p.name,
		   CASE _require_feature.feature
			   WHEN 'multiple_projects' THEN p.multiple_projects
			   WHEN 'private_projects' THEN p.private_projects
			   WHEN 'multiple_organizations' THEN p.multiple_organizations
			   ELSE false
		   END AS included
	INTO plan
	FROM tenancy.organizations o
	JOIN tenancy.plans p ON p.name = o.plan
	WHERE o.id = _require_feature.organization;

	IF plan.included IS NOT TRUE THEN
		RAISE EXCEPTION '% are not included in the plan', replace(feature, '_', ' ')
			USING ERRCODE = 'configuration_limit_exceeded',
				  HINT = format('The organization is on the plan "%s".', plan.name);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_feature(uuid, text) IS
	'Raises unless the organization''s plan includes a feature.';

-- A user in no organization may always create one; any other needs to be in
-- one whose plan includes more.
CREATE FUNCTION tenancy._require_another_organization(member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	allowed boolean;
	plans text;
BEGIN
	SELECT bool_or(p.multiple_organizations),
		   string_agg(DISTINCT format('"%s"', p.name), ', ')
	INTO allowed, plans
	FROM tenancy.access a
	JOIN tenancy.organizations o ON o.id = a.organization_id
	JOIN tenancy.plans p ON p.name = o.plan
	WHERE a.user_id = _require_another_organization.member
	  AND a.project_id IS NULL;

	IF NOT allowed THEN
		RAISE EXCEPTION 'multiple organizations are not included in the plan'
			USING ERRCODE = 'configuration_limit_exceeded',
				  HINT = format('Your organization is on the plan %s.', plans);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_another_organization(uuid) IS
	'Raises unless a user may create an organization beside those they are in.';

-- The plan of new organizations.
CREATE FUNCTION tenancy._default_plan()
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plan text := tenancy._setting('tenancy.default_plan');
BEGIN
	PERFORM FROM tenancy.plans p
	WHERE p.name = plan
	FOR KEY SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the default plan does not exist'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Set tenancy.default_plan to the name of a row of tenancy.plans.';
	END IF;
	RETURN plan;
END
$$;
COMMENT ON FUNCTION tenancy._default_plan() IS 'The plan of new organizations.';

CREATE FUNCTION tenancy.create_organization(name text)
RETURNS uuid
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	me uuid := tenancy._require_user();
	organization uuid;
	project uuid;
BEGIN
	-- The account does not end in the meantime.
	PERFORM FROM tenancy.users u
	WHERE u.id = me
	FOR SHARE;
	PERFORM tenancy._require_user();
	-- Two creations by one user follow each other, or one of them fails, so that
	-- the plan's limit holds.  Not by the user's row: in their other organizations
	-- commands about them would wait for that.
	INSERT INTO tenancy.user_preferences AS s (user_id)
	VALUES (me)
	ON CONFLICT (user_id) DO UPDATE
	SET current_project_id = s.current_project_id;
	PERFORM tenancy._require_another_organization(me);

	INSERT INTO tenancy.organizations (name, owner_id, plan)
	VALUES (tenancy._clean_name(create_organization.name), me, tenancy._default_plan())
	RETURNING id INTO organization;

	project := tenancy._create_project(organization, 'Default Project', false);
	PERFORM tenancy._set_switcher(me, organization, project);
	RETURN organization;
END
$$;
COMMENT ON FUNCTION tenancy.create_organization(text) IS
	'Creates an organization, owned by the current user, with its default project and token.';
GRANT EXECUTE ON FUNCTION tenancy.create_organization(text) TO PUBLIC;

CREATE FUNCTION tenancy.rename_organization(organization uuid, name text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('organization.manage', rename_organization.organization);

	UPDATE tenancy.organizations o
	SET name = tenancy._clean_name(rename_organization.name)
	WHERE o.id = rename_organization.organization;
END
$$;
COMMENT ON FUNCTION tenancy.rename_organization(uuid, text) IS
	'Renames an organization.';
GRANT EXECUTE ON FUNCTION tenancy.rename_organization(uuid, text) TO PUBLIC;

CREATE FUNCTION tenancy.set_join_notifications(organization uuid, notify_on_join boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM tenancy._begin_change('organization.manage', set_join_notifications.organization);

	IF set_join_notifications.notify_on_join IS NULL THEN
		RAISE EXCEPTION 'notify_on_join must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	UPDATE tenancy.organizations o
	SET notify_on_join = set_join_notifications.notify_on_join
	WHERE o.id = set_join_notifications.organization;
END
$$;
COMMENT ON FUNCTION tenancy.set_join_notifications(uuid, boolean) IS
	'Chooses whether the members of an organization are told when somebody joins.';
GRANT EXECUTE ON FUNCTION tenancy.set_join_notifications(uuid, boolean) TO PUBLIC;

CREATE FUNCTION tenancy.delete_organization(organization uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	-- Locked as a deletion before its version is raised: SKIP LOCKED looks at the
	-- first version of a row only, and would wait for the end of the second.
	PERFORM tenancy.require('organization.delete', delete_organization.organization);
	PERFORM FROM tenancy.organizations o
	WHERE o.id = delete_organization.organization
	FOR UPDATE;
	PERFORM tenancy._begin_change('organization.delete', delete_organization.organization);

	BEGIN
		DELETE FROM tenancy.organizations o
		WHERE o.id = delete_organization.organization;
	EXCEPTION
		WHEN foreign_key_violation OR restrict_violation THEN
			-- Only a foreign key of the application's own can hold it back.
			RAISE EXCEPTION 'organization is still in use'
				USING ERRCODE = 'object_not_in_prerequisite_state',
					  HINT = 'Delete the rows that refer to the organization or its projects first.';
	END;
END
$$;
COMMENT ON FUNCTION tenancy.delete_organization(uuid) IS
	'Deletes an organization with its projects, memberships, invites, tokens and data.';
GRANT EXECUTE ON FUNCTION tenancy.delete_organization(uuid) TO PUBLIC;

-- Put another user in the Owner's place; the old Owner becomes an
-- Administrator.  The caller has locked the organization.
CREATE FUNCTION tenancy._change_owner(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	former uuid;
BEGIN
	SELECT o.owner_id INTO STRICT former
	FROM tenancy.organizations o
	WHERE o.id = _change_owner.organization;

	IF _change_owner.member = former THEN
		RAISE EXCEPTION 'user is the owner already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;

	-- The Owner has no membership.  Project memberships go with it, since
	-- the Owner reaches every project.
	DELETE FROM tenancy.memberships m
	WHERE m.organization_id = _change_owner.organization
	  AND m.user_id = _change_owner.member;

	UPDATE tenancy.organizations o
	SET owner_id = _change_owner.member
	WHERE o.id = _change_owner.organization;

	-- Of an Owner whose account was deleted by force nothing is left to insert.
	INSERT INTO tenancy.memberships (organization_id, user_id, level)
	SELECT _change_owner.organization, u.id, 'administrator'
	FROM tenancy.users u
	WHERE u.id = former;
END
$$;
COMMENT ON FUNCTION tenancy._change_owner(uuid, uuid) IS
	'Makes a user the Owner of a locked organization and the old Owner an Administrator.';

CREATE FUNCTION tenancy.transfer_ownership(organization uuid, member uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM tenancy._begin_change('organization.transfer', organization);

	-- The lock on the user keeps a deactivation from coming in between.
	PERFORM tenancy._require_active_member(organization, member);
	PERFORM tenancy._change_owner(organization, member);
END
$$;
COMMENT ON FUNCTION tenancy.transfer_ownership(uuid, uuid) IS
	'Makes another member the Owner; the old Owner becomes an Administrator.';
GRANT EXECUTE ON FUNCTION tenancy.transfer_ownership(uuid, uuid) TO PUBLIC;
