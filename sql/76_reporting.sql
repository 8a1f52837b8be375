-- ---------------------------------------------------------------------
-- Reports: protected tables with names beside their ids, and views over the
-- tables of the extension itself
--
-- All of them run with the rights of whoever asks and filter nothing themselves:
-- the policies below do.  So no security_barrier, which would only keep conditions
-- from the indexes.  A reporting view is one that reads one of the two views of names
-- and one table; nothing is written down about it, so nothing is left when it goes.
-- ---------------------------------------------------------------------

CREATE VIEW tenancy._organization_names WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, o.name AS organization_name
	FROM tenancy.organizations o;
COMMENT ON VIEW tenancy._organization_names IS 'What reporting views show of an organization.';

CREATE VIEW tenancy._project_names WITH (security_invoker = true) AS
	SELECT p.id AS project_id, p.name AS project_name, o.name AS organization_name
	FROM tenancy.projects p
	LEFT JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) p.organization_id;
COMMENT ON VIEW tenancy._project_names IS 'What reporting views show of a project.';

-- Folded when a query is planned, unlike a function that tests one name.
CREATE FUNCTION tenancy._secret_names() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '(^|_)(token|secret|password|passwd|passphrase|api_?key|private_?key|credentials?|ssn|iban|card_?number)($|_)'
$$;
COMMENT ON FUNCTION tenancy._secret_names() IS 'A regular expression for names of columns that hold secrets.';

-- The columns that a report on a table has, in their order, and the join for names.
CREATE FUNCTION tenancy._report(source regclass, OUT columns name[], OUT names text[], OUT names_of text, OUT join_column name)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
			WHERE a.attrelid = t.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname !~* tenancy._secret_names()),
		   CASE t.kind WHEN 'project' THEN '{project_name,organization_name}'::text[] ELSE '{organization_name}' END,
		   CASE t.kind WHEN 'project' THEN 'project' ELSE 'organization' END, t.column_name
	FROM tenancy.protected_tables t
	WHERE t.relation = source
	LIMIT 1
$$;
COMMENT ON FUNCTION tenancy._report(regclass) IS 'What a report on a protected table shows.';

-- Names come first: what the table gets later can only be added at the end.
CREATE FUNCTION tenancy._report_query(source regclass) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	report record;
	taken name;
BEGIN
	SELECT * INTO report FROM tenancy._report(source);
	IF report.names_of IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not protected', source
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it.';
	END IF;
	taken := (SELECT c FROM unnest(report.columns) c WHERE c = ANY (report.names) LIMIT 1);
	IF taken IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of relation "%" is named like one that the view adds', taken, source
			USING ERRCODE = 'duplicate_column', HINT = 'Rename the column, or write the view by hand.';
	END IF;
	-- A left join on a key is left out of a plan that needs no names.
	RETURN format('SELECT %s, %s FROM %s s LEFT JOIN tenancy._%s_names n ON n.%s_id OPERATOR(pg_catalog.=) s.%I',
				  (SELECT string_agg(format('n.%I', c.name), ', ' ORDER BY c.place) FROM unnest(report.names) WITH ORDINALITY c (name, place)),
				  (SELECT string_agg(format('s.%I', c.name), ', ' ORDER BY c.place) FROM unnest(report.columns) WITH ORDINALITY c (name, place)),
				  source, report.names_of, report.names_of, report.join_column);
END
$$;
COMMENT ON FUNCTION tenancy._report_query(regclass) IS 'The query of a report on a protected table; raises when there can be none.';

CREATE VIEW tenancy.reporting_views AS
	SELECT v.oid::pg_catalog.regclass AS view, s.oid::pg_catalog.regclass AS source,
		   CASE WHEN w.names_of IS NULL THEN 'the source is not protected'
				WHEN NOT COALESCE('security_invoker=true' OPERATOR(pg_catalog.=) ANY (v.reloptions), false)
					THEN 'it does not run with the rights of whoever asks'
				WHEN ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
						   WHERE a.attrelid OPERATOR(pg_catalog.=) v.oid AND a.attnum OPERATOR(pg_catalog.>) 0
						   ORDER BY a.attnum)
					 OPERATOR(pg_catalog.<>) (w.names OPERATOR(pg_catalog.||) w.columns::text[])
					THEN 'the columns of the source are others' END AS problem
	FROM pg_catalog.pg_class v
	JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) v.oid
	CROSS JOIN LATERAL (
		SELECT pg_catalog.min(d.refobjid::bigint) FILTER (WHERE NOT x.names) AS source,
			   pg_catalog.count(DISTINCT d.refobjid) FILTER (WHERE NOT x.names) AS sources,
			   COALESCE(pg_catalog.bool_or(x.names), false) AS named
		FROM pg_catalog.pg_depend d
		CROSS JOIN LATERAL (SELECT d.refobjid OPERATOR(pg_catalog.=) ANY (ARRAY['tenancy._project_names'::pg_catalog.regclass::oid,
																			   'tenancy._organization_names'::pg_catalog.regclass::oid])) x (names)
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
		  AND d.objid OPERATOR(pg_catalog.=) r.oid
		  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		  AND d.refobjid OPERATOR(pg_catalog.<>) v.oid) f
	JOIN pg_catalog.pg_class s ON s.oid OPERATOR(pg_catalog.=) f.source::oid
	LEFT JOIN LATERAL tenancy._report(s.oid::pg_catalog.regclass) w ON true
	WHERE v.relkind OPERATOR(pg_catalog.=) 'v' AND f.named AND f.sources OPERATOR(pg_catalog.=) 1
	  AND s.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::"char"[]);
COMMENT ON VIEW tenancy.reporting_views IS 'The views that create_reporting_view() made, read off the catalogs, and what is wrong with them.';

CREATE FUNCTION tenancy._require_owner(relation regclass, word text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of % %', word, relation
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_owner(regclass, text) IS 'Raises unless the caller owns a relation.';

-- The path is ours, so a name by itself is one beside the table.
CREATE FUNCTION tenancy._view_name(source regclass, view_name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts text[] := parse_ident(view_name);
BEGIN
	IF cardinality(parts) > 2 THEN
		RAISE EXCEPTION 'invalid name of a view' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN CASE WHEN cardinality(parts) = 2 THEN format('%I.%I', parts[1], parts[2])
				ELSE (SELECT format('%I.%I', n.nspname, parts[1]) FROM pg_class c
					  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = source) END;
END
$$;
COMMENT ON FUNCTION tenancy._view_name(regclass, text) IS 'The name of a view to be made for a table, with its schema.';

CREATE FUNCTION tenancy.create_reporting_view(source regclass, view_name text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text;
	query text;
	hidden text;
BEGIN
	IF source IS NULL OR view_name IS NULL THEN
		RAISE EXCEPTION 'source and view name must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	name := tenancy._view_name(source, view_name);
	query := tenancy._report_query(source);
	PERFORM tenancy._require_owner(source, 'table');
	EXECUTE format('CREATE VIEW %s WITH (security_invoker = true) AS %s', name, query);
	-- the table's owner's, like the table, whoever calls
	EXECUTE format('ALTER VIEW %s OWNER TO %I', name,
				   (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = source));
	hidden := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
			   WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped AND a.attname ~* tenancy._secret_names());
	IF hidden IS NOT NULL THEN
		RAISE NOTICE 'view "%" leaves out what is named like a secret: %', name, hidden;
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.create_reporting_view(regclass, text) IS
	'Makes a view of a protected table with the names of project and organization, without secrets; for the table''s owner.';

CREATE FUNCTION tenancy.refresh_reporting_view(view regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	source regclass := (SELECT r.source FROM tenancy.reporting_views r WHERE r.view = refresh_reporting_view.view);
	name text := view::text;
	options text := (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
					 FROM pg_class c, unnest(c.reloptions) o
					 WHERE c.oid = view AND split_part(o, '=', 1) <> 'security_invoker');
	definition text;
	shown text[];
	wanted text[];
	command text;
	again text[];
BEGIN
	IF view IS NULL THEN
		RAISE EXCEPTION 'view must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF source IS NULL THEN
		RAISE EXCEPTION 'relation "%" is not a reporting view', view USING ERRCODE = 'wrong_object_type';
	END IF;
	-- with what an administrator has set on it, such as security_barrier
	definition := format('VIEW %s WITH (%s) AS %s', name, concat_ws(', ', 'security_invoker = true', options), tenancy._report_query(source));
	PERFORM tenancy._require_owner(view, 'view');
	shown := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
	wanted := (SELECT r.names || r.columns::text[] FROM tenancy._report(source) r);
	IF shown = wanted[1 : cardinality(shown)] THEN
		EXECUTE 'CREATE OR REPLACE ' || definition;
		RETURN;
	END IF;

	-- A column was renamed, or is one to leave out by now, which no view takes: it is
	-- made anew, unless something depends on it, and gets back what it had.
	again := (SELECT ARRAY[format('ALTER VIEW %s OWNER TO %I', name, pg_get_userbyid(c.relowner)),
						   format('COMMENT ON VIEW %s IS %L', name, obj_description(c.oid, 'pg_class'))]
					 || ARRAY(SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, name,
											CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
											CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
							  FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)
			  FROM pg_class c WHERE c.oid = view);
	FOREACH command IN ARRAY ARRAY['DROP VIEW ' || name, 'CREATE ' || definition] || again LOOP
		EXECUTE command;
	END LOOP;
	RAISE NOTICE 'view "%" was made anew', name USING DETAIL = 'Rights on single columns of it are gone.';
END
$$;
COMMENT ON FUNCTION tenancy.refresh_reporting_view(regclass) IS
	'Takes into a reporting view what has become of the columns of its table; for its owner.';

-- ---------------------------------------------------------------------
-- Ready-made ones: the tables of the extension, by name, without tokens
-- ---------------------------------------------------------------------

CREATE VIEW tenancy.report_organizations WITH (security_invoker = true) AS
	SELECT o.id AS organization_id, o.name AS organization_name, o.plan, w.name AS owner_name,
		   (SELECT pg_catalog.count(*) FROM tenancy.members m
			WHERE m.organization_id OPERATOR(pg_catalog.=) o.id) AS member_count,
		   (SELECT pg_catalog.count(*) FROM tenancy.projects p
			WHERE p.organization_id OPERATOR(pg_catalog.=) o.id) AS project_count,
		   o.created_at
	FROM tenancy.organizations o
	LEFT JOIN tenancy.users w ON w.id OPERATOR(pg_catalog.=) o.owner_id;
COMMENT ON VIEW tenancy.report_organizations IS 'Report: one''s organizations, and how many members and visible projects they have.';

CREATE VIEW tenancy.report_members WITH (security_invoker = true) AS
	SELECT m.organization_id, o.name AS organization_name, m.user_id, m.name AS user_name, m.email, m.level,
		   m.joined_at, m.invited_by_name
	FROM tenancy.members m
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) m.organization_id;
COMMENT ON VIEW tenancy.report_members IS 'Report: the active members of one''s organizations, with their levels.';

CREATE VIEW tenancy.report_projects WITH (security_invoker = true) AS
	SELECT p.id AS project_id, p.name AS project_name, p.organization_id, o.name AS organization_name, p.is_private,
		   (SELECT pg_catalog.count(*) FROM tenancy.project_members m
			WHERE m.project_id OPERATOR(pg_catalog.=) p.id) AS added_count,
		   p.created_at
	FROM tenancy.projects p
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) p.organization_id;
COMMENT ON VIEW tenancy.report_projects IS 'Report: the projects that one can reach, whether they are private, and how many were added to them.';

CREATE VIEW tenancy.report_invites WITH (security_invoker = true) AS
	SELECT i.id AS invite_id, i.organization_id, o.name AS organization_name, i.email, u.name AS invited_by_name,
		   i.created_at, i.expires_at,
		   i.expires_at OPERATOR(pg_catalog.>=) pg_catalog.clock_timestamp() AS is_pending
	FROM tenancy.invites i
	JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) i.organization_id
	LEFT JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) i.invited_by;
COMMENT ON VIEW tenancy.report_invites IS 'Report: invites that the current user may see, pending and expired.';

REVOKE ALL ON tenancy._organization_names, tenancy._project_names, tenancy.reporting_views, tenancy.report_organizations,
	tenancy.report_members, tenancy.report_projects, tenancy.report_invites FROM PUBLIC;
GRANT SELECT ON tenancy._organization_names, tenancy._project_names, tenancy.reporting_views, tenancy.report_organizations,
	tenancy.report_members, tenancy.report_projects, tenancy.report_invites TO PUBLIC;
