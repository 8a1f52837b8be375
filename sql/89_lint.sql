-- ---------------------------------------------------------------------
-- lint, the whole: its rules, and the function that asks all parts
-- ---------------------------------------------------------------------

-- error: isolation does not hold, or stops at the next step.  warning: it holds,
-- with something left open beside it.  info: somebody should know.
CREATE VIEW tenancy.lint_rules WITH (security_invoker = true) AS
	SELECT v.rule, v.severity, v.meaning
	FROM (VALUES
		('unprotected_table'::text, 'error'::text, 'a table has a column of projects or organizations, and is not protected'::text),
		('unprotected_partition', 'error', 'a partition or child of a protected table is not protected like it'),
		('event_trigger_off', 'error', 'the event trigger that protects new partitions is missing, disabled, or not ENABLE ALWAYS'),
		('row_security_off', 'error', 'row security of a protected table is off'),
		('row_security_not_forced', 'error', 'row security of a protected table does not bind its owner'),
		('policy_missing', 'error', 'a policy of a protected table is missing'),
		('policy_altered', 'error', 'a policy of a protected table is not as protect() writes it'),
		('permissive_policy', 'warning', 'a permissive policy stands beside ours'),
		('column_nullable', 'error', 'the column of a protected table may be null'),
		('foreign_key_missing', 'error', 'the column of a protected table has no foreign key, or one that is not validated'),
		('index_missing', 'warning', 'no index of a protected table leads with the column'),
		('rights_beyond_rows', 'error', 'somebody has TRUNCATE, REFERENCES, TRIGGER or MAINTAIN on a protected table'),
		('unique_without_column', 'error', 'a unique or exclusion constraint of a protected table lacks the column'),
		('unique_random_key', 'info', 'a unique key of random ids lacks the column'),
		('index_not_led', 'info', 'an index of a protected table does not lead with the column'),
		('foreign_key_without_column', 'error', 'a foreign key between protected tables does not carry the column'),
		('foreign_key_not_indexed', 'info', 'a foreign key between protected tables has no index over its columns'),
		('foreign_key_from_unprotected', 'warning', 'a foreign key leads from a table that is not protected to one that is'),
		('serial_column', 'info', 'a column of a protected table is counted up over all projects'),
		('identity_insertable', 'warning', 'others may choose the values of an identity column that is unique over all projects'),
		('sequence_readable', 'warning', 'somebody may read the sequence of a protected table'),
		('replica_identity', 'warning', 'the replica identity of a protected table tells too much, or lacks the column'),
		('generated_column', 'warning', 'a generated column of a protected table may show what it was made from'),
		('large_objects', 'info', 'large objects, for which row security does not hold'),
		('foreign_table', 'warning', 'a foreign table has a column of projects or organizations, and others may use it'),
		('policies_without_row_security', 'warning', 'a table has policies, and row security is off'),
		('policies_not_forced', 'info', 'policies of the application''s own do not bind the owner of the table'),
		('row_security_without_policies', 'info', 'a table has row security, and no policy that lets anybody in'),
		('policy_always_true', 'info', 'a policy is always true'),
		('policy_always_false', 'info', 'a policy is always false'),
		('policy_ignores_row', 'warning', 'a permissive policy looks at no column of the row'),
		('policy_opens_to_nobody', 'warning', 'a policy lets in whoever is not signed in'),
		('policy_matches_pattern', 'warning', 'a policy matches by a pattern what says who is acting'),
		('policy_volatile', 'warning', 'a policy calls a volatile function'),
		('policy_role_inert', 'info', 'a policy is for roles that nobody works as who is bound by row security'),
		('policy_wraps_predicate', 'warning', 'a policy asks tenancy under NOT, OR, CASE, COALESCE or IS'),
		('policy_reads_session', 'warning', 'a policy of a protected table depends on the role or a setting'),
		('policy_reads_writable', 'warning', 'a policy of a protected table depends on a table that others may change'),
		('policy_reads_unprotected', 'info', 'a policy of a protected table depends on a table without row security'),
		('wrapper_not_inlined', 'info', 'a policy asks tenancy through a function that hides it from the planner'),
		('identity_from_setting', 'error', 'something reads a setting of tenancy by name'),
		('view_owner_exempt', 'error', 'a view reads protected tables with rights that row security does not bind'),
		('materialized_view', 'error', 'a materialized view holds protected rows, and others may read it'),
		('materialized_view_private', 'info', 'a materialized view holds protected rows, for its owner only'),
		('view_writable', 'warning', 'others may write through a view that filters protected rows'),
		('view_filters_itself', 'warning', 'a view filters by tenancy''s functions, without security_barrier'),
		('reporting_view', 'warning', 'a reporting view is not what it would be if it were made now'),
		('rewrite_rule', 'warning', 'a rule acts on protected rows with the rights of a table''s owner'),
		('definer_function', 'error', 'a SECURITY DEFINER function reads protected tables with rights that row security does not bind'),
		('definer_dynamic', 'warning', 'such a function runs SQL that it puts together'),
		('definer_search_path', 'error', 'a SECURITY DEFINER function does not pin search_path, pg_temp last'),
		('definer_path_writable', 'error', 'others may create objects in the search_path of a SECURITY DEFINER function'),
		('immutable_wrapper', 'error', 'an IMMUTABLE function asks who is acting, or reads a setting'),
		('leakproof_function', 'warning', 'a function of the application''s own claims to be LEAKPROOF'),
		('notify_payload', 'warning', 'a function that deals with protected tables sends a payload by NOTIFY'),
		('procedure_takes_credential', 'warning', 'a procedure takes a credential'),
		('trigger_of_another', 'warning', 'the function of a trigger on a protected table is somebody else''s'),
		('event_trigger_weak', 'error', 'an event trigger, or its function, belongs to somebody who is no superuser'),
		('publication', 'warning', 'a publication sends protected tables'),
		('subscription', 'info', 'a subscription writes into this database'),
		('application_bypasses', 'error', 'row security does not bind a role of the application'),
		('bypass_login', 'info', 'another role that can log in is not bound by row security'),
		('bypass_reachable', 'error', 'a role that can log in can become one that row security does not bind'),
		('predefined_role', 'warning', 'a role that can log in has a predefined role that reads everything or the server''s files'),
		('create_role', 'warning', 'a role that can log in has CREATEROLE'),
		('replication_role', 'info', 'a role that can log in can replicate'),
		('owner_can_log_in', 'error', 'the owner of protected tables can log in, or be reached from a login'),
		('identity_settable', 'error', 'somebody may set tenancy.user_id who was not given grant_application()'),
		('identity_from_outside', 'info', 'a role that may say who is acting can log in from other machines'),
		('role_binder', 'info', 'somebody who is no superuser may bind login roles to users'),
		('bound_role_bypasses', 'error', 'a login role that is bound to a user bypasses row security'),
		('binding_void', 'warning', 'the binding of a login role counts for nothing'),
		('trusted_by_membership', 'warning', 'several logins share the right to say who is acting'),
		('pooled_role', 'info', 'a role that may say who is acting seems to be used by a pool'),
		('temporary_tables', 'warning', 'others may create temporary tables'),
		('default_privileges', 'warning', 'default privileges open new tables'),
		('tenancy_grants', 'error', 'somebody has rights on the extension''s own objects that are not meant'),
		('sensitive_column', 'warning', 'a column that is named like a secret is readable in a table without row security'),
		('extension_in_writable_schema', 'warning', 'an extension is in a schema in which others may create objects'),
		('stored_identity', 'error', 'a role or database has a stored value of tenancy.user_id'),
		('stored_setting', 'warning', 'a role or database has a stored setting that weakens isolation'),
		('secret_in_setting', 'error', 'a stored setting holds a secret'),
		('credentials_in_log', 'warning', 'a setting puts credentials into the log'),
		('failed_statements_in_log', 'info', 'statements that fail are logged with their text'),
		('not_preloaded', 'info', 'the library is loaded late'),
		('server_outdated', 'error', 'the server lacks repairs of row security'),
		('statistics_view', 'error', 'the views of extended statistics are those from before CVE-2024-4317'),
		('extension_outdated', 'warning', 'a newer version of an extension is installed on the server'),
		('node_unfit', 'error', 'a node of the Citus cluster does not answer, lacks the extension, or has another version of it'),
		('node_outside', 'error', 'a node of the Citus cluster has not what decides about access'),
		('shard_open', 'error', 'shards of a protected table are not protected like it'),
		('feed_incomplete', 'error', 'changes of access do not reach the other nodes'),
		('worker_trusts', 'error', 'somebody may say on a worker who is acting'),
		('worker_reachable', 'warning', 'a worker takes connections from others than single machines'),
		('distributed_otherwise', 'warning', 'a protected table is distributed by another column than it is protected by'),
		('altered', 'error', 'an object of the extension itself is not as it was made'),
		('integrity', 'error', 'tenancy.check_integrity() finds something'),
		('old_token', 'info', 'a project token has lived for more than a year'),
		('purge_due', 'info', 'there is much that tenancy.purge() would remove'),
		('not_checked', 'warning', 'something could not be looked at')) v (rule, severity, meaning);
COMMENT ON VIEW tenancy.lint_rules IS 'The rules of lint().';
REVOKE ALL ON tenancy.lint_rules FROM PUBLIC;
GRANT SELECT ON tenancy.lint_rules TO PUBLIC;

-- What is in the tables of the extension, as far as the caller may see it, and
-- what the caller may not.
CREATE FUNCTION tenancy._lint_data(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF has_function_privilege('tenancy.check_integrity()', 'EXECUTE') THEN
		RETURN QUERY
			SELECT 'integrity', c.object, c.rule || ': ' || c.problem, '-- SELECT * FROM tenancy.check_integrity()'
			FROM tenancy.check_integrity() c WHERE c.rule NOT IN ('altered', 'binding', 'not_checked')
			UNION ALL
			SELECT 'not_checked', c.object, c.problem, '-- give the function back to a superuser'
			FROM tenancy.check_integrity() c WHERE c.rule = 'not_checked';
	ELSE
		RETURN QUERY SELECT 'not_checked', 'function tenancy.check_integrity()', format('%s may not call it', current_user),
							'-- let a superuser call lint()';
	END IF;

	IF NOT row_security_active('tenancy.project_tokens')
	   AND has_table_privilege('tenancy.project_tokens', 'SELECT') AND has_table_privilege('tenancy.sessions', 'SELECT')
	   AND has_table_privilege('tenancy.invites', 'SELECT') AND has_table_privilege('tenancy.notifications', 'SELECT') THEN
		RETURN QUERY
			SELECT 'old_token', 'project ' || t.project_id, format('its token is from %s', t.created_at::date),
				   format('-- SELECT tenancy.rotate_project_token(%L), by somebody who manages the project', t.project_id)
			FROM tenancy.project_tokens t
			WHERE t.revoked_at IS NULL AND t.created_at < clock_timestamp() - interval '1 year';
		RETURN QUERY
			SELECT 'purge_due', 'schema tenancy', format('%s rows ended more than 30 days ago', e.rows),
				   'SELECT * FROM tenancy.purge(''30 days'');'
			FROM (SELECT (SELECT count(*) FROM tenancy.sessions s WHERE least(s.revoked_at, s.expires_at) < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.invites i WHERE i.expires_at < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.project_tokens t WHERE t.revoked_at < clock_timestamp() - interval '30 days')
						 + (SELECT count(*) FROM tenancy.notifications n
							WHERE coalesce(n.sent_at, n.dead_at) < clock_timestamp() - interval '30 days') AS rows) e
			WHERE e.rows >= 1000;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'tables of tenancy', format('%s does not see all of their rows', current_user),
							'-- let a superuser call lint()';
	END IF;

	IF has_table_privilege('tenancy.bound_roles', 'SELECT') THEN
		RETURN QUERY
			SELECT CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'bound_role_bypasses' ELSE 'binding_void' END,
				   'role ' || quote_ident(b.role_name),
				   format('it is bound to the user %s and %s: %s', b.user_id,
						  CASE WHEN r.rolsuper OR r.rolbypassrls THEN 'sees everything' ELSE 'stands for nobody' END, b.problem),
				   CASE WHEN r.rolsuper OR r.rolbypassrls THEN format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS;', r.rolname)
						ELSE format('DELETE FROM tenancy.role_bindings WHERE role_name = %L;', b.role_name) END
			FROM tenancy.bound_roles b
			LEFT JOIN pg_roles r ON r.oid = b.role_oid
			WHERE b.problem IS NOT NULL;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'view tenancy.bound_roles', format('%s may not read it', current_user), '-- let a superuser call lint()';
	END IF;

	-- pg_hba.conf is for superusers
	IF has_function_privilege('pg_hba_file_rules()', 'EXECUTE') AND has_table_privilege('pg_hba_file_rules', 'SELECT') THEN
		RETURN QUERY SELECT o.rule, o.object, o.problem, o.remedy FROM tenancy._lint_outside() o;
	ELSE
		RETURN QUERY SELECT 'not_checked', 'pg_hba.conf', format('%s may not read it', current_user), '-- let a superuser call lint()';
	END IF;

	-- Some settings, and others' sessions, are for pg_monitor.
	IF NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = 'shared_preload_libraries') THEN
		RETURN QUERY SELECT 'not_checked', 'settings', format('%s may not read all of them', current_user),
							format('GRANT pg_read_all_settings TO %I;', current_user);
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) AND NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
		RETURN QUERY SELECT 'not_checked', 'pg_stat_activity', format('%s does not see other roles'' sessions', current_user),
							format('GRANT pg_read_all_stats TO %I;', current_user);
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._lint_data() IS 'Part of lint(): what is stored, and what the caller could not see.';

-- Names are printed without needless quotes, whatever the session says.  Catalogs
-- are seldom analyzed, so that nested loops look cheap and are not.
CREATE FUNCTION tenancy.lint()
RETURNS TABLE (rule text, severity text, object text, problem text, remedy text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
SET enable_nestloop = off
SET jit = off
SET standard_conforming_strings = on
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
		SELECT f.rule, coalesce(r.severity, 'error') AS severity, f.object, f.problem, f.remedy
		FROM (SELECT * FROM tenancy._lint_tables()
			  UNION ALL SELECT * FROM tenancy._lint_keys()
			  UNION ALL SELECT * FROM tenancy._lint_policies()
			  UNION ALL SELECT * FROM tenancy._lint_views()
			  UNION ALL SELECT * FROM tenancy._lint_functions()
			  UNION ALL SELECT * FROM tenancy._lint_replication()
			  UNION ALL SELECT * FROM tenancy._lint_roles()
			  UNION ALL SELECT * FROM tenancy._lint_settings()
			  UNION ALL SELECT * FROM tenancy._lint_server((SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'server_version_num'))
			  UNION ALL SELECT * FROM tenancy._lint_cluster()
			  UNION ALL SELECT 'altered', a.object, a.problem, a.remedy FROM tenancy._altered() a
			  UNION ALL SELECT * FROM tenancy._lint_data()) f
		LEFT JOIN tenancy.lint_rules r ON r.rule = f.rule
		ORDER BY array_position('{error,warning,info}', coalesce(r.severity, 'error')), f.rule COLLATE "C", f.object COLLATE "C", f.problem COLLATE "C";
END
$$;
COMMENT ON FUNCTION tenancy.lint() IS 'What is misconfigured, and what the caller could not check; with the rights of the caller.';
