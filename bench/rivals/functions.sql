-- What the policies of the rivals call.
\set ON_ERROR_STOP on
\set QUIET on

-- as Supabase's auth.uid()
CREATE FUNCTION plain.uid() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;

CREATE FUNCTION plain.visible_projects() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.id FROM plain.projects p
	JOIN plain.memberships m ON m.organization_id = p.organization_id
	WHERE m.user_id = plain.uid()
$$;

CREATE FUNCTION plain.has_access(project uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM plain.projects p
				   JOIN plain.memberships m ON m.organization_id = p.organization_id
				   WHERE p.id = project AND m.user_id = plain.uid())
$$;

CREATE FUNCTION plain.claimed_projects() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT array(SELECT jsonb_array_elements_text(
		nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'projects'))::uuid[]
$$;
