-- Rules about the extension's own objects, read off the catalogs.
SELECT no_plan();
SET search_path = public, pg_catalog;

-- Everything in the schema is the extension's, and the extension is nowhere else.
CREATE TEMP VIEW ours AS
	SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND e.extname = 'tenancy' AND d.deptype = 'e';
CREATE TEMP VIEW functions AS
	SELECT p.*, p.oid::regprocedure::text AS signature, l.lanname, p.proname LIKE '\_%' AS is_internal,
		   has_function_privilege('public', p.oid, 'EXECUTE') AS is_public
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'tenancy');
CREATE TEMP VIEW relations AS
	SELECT c.*, c.oid::regclass::text AS name FROM pg_class c
	WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'tenancy') AND c.relkind <> 'i';
CREATE TEMP VIEW ours_tables AS SELECT * FROM relations WHERE relkind = 'r';

SELECT is_empty($$SELECT signature FROM functions WHERE oid NOT IN (SELECT objid FROM ours)$$, 'no function in the schema is somebody else''s');
SELECT is_empty($$SELECT name FROM relations WHERE relkind IN ('r', 'v') AND oid NOT IN (SELECT objid FROM ours)$$, 'no table or view is');
SELECT is_empty($$SELECT objid FROM ours WHERE classid = 'pg_proc'::regclass AND objid NOT IN (SELECT oid FROM functions)$$, 'no function is outside the schema');
SELECT is_empty($$SELECT objid FROM ours WHERE classid = 'pg_class'::regclass AND objid NOT IN (SELECT oid FROM relations)$$, 'no table or view is outside the schema');
SELECT is_empty($$SELECT objid FROM ours WHERE classid IN ('pg_operator'::regclass, 'pg_cast'::regclass, 'pg_opclass'::regclass)$$,
				'no operators, casts or operator classes, which would be found by search_path');
SELECT ok(NOT has_schema_privilege('public', 'tenancy', 'CREATE'), 'PUBLIC creates nothing in the schema');
SELECT set_eq($$SELECT extrelocatable, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'tenancy'$$,
			  $$VALUES (false, 'tenancy'::name)$$, 'the schema is fixed');

-- Comments.
SELECT is_empty($$SELECT signature FROM functions WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT name FROM relations WHERE relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL$$, 'every table and view has a comment');
SELECT is_empty($$SELECT t.name, a.attname FROM ours_tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
				  WHERE col_description(t.oid, a.attnum) IS NULL$$, 'every column of a table has a comment');
SELECT is_empty($$SELECT typname FROM pg_type WHERE typnamespace = 'tenancy'::regnamespace AND typtype IN ('e', 'd')
				  AND obj_description(oid, 'pg_type') IS NULL$$, 'every type has a comment');
SELECT is_empty($$SELECT t.name, g.tgname FROM ours_tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
				  WHERE obj_description(g.oid, 'pg_trigger') IS NULL$$, 'every trigger has a comment');
SELECT is_empty($$SELECT t.name, p.polname FROM ours_tables t JOIN pg_policy p ON p.polrelid = t.oid
				  WHERE obj_description(p.oid, 'pg_policy') IS NULL$$, 'every policy has a comment');
SELECT is_empty($$SELECT e.evtname FROM pg_event_trigger e JOIN ours o ON o.objid = e.oid AND o.classid = 'pg_event_trigger'::regclass
				  WHERE obj_description(e.oid, 'pg_event_trigger') IS NULL$$, 'every event trigger has a comment');
SELECT isnt(obj_description('tenancy'::regnamespace, 'pg_namespace'), NULL, 'the schema has a comment');

-- Labels.  VOLATILE is the default, so whoever reads and does not write must
-- have another one; UNSAFE is the default, so whoever is not VOLATILE must be SAFE.
SELECT set_eq($$SELECT proname FROM functions WHERE provolatile = 'v' AND NOT is_internal$$, $$VALUES
	('accept_invite'), ('accept_invite_as_new_user'), ('act_as'), ('add_project_member'), ('assign_owner'), ('authenticate'),
	('bind_role'), ('unbind_role'), ('create_reporting_view'), ('refresh_reporting_view'), ('create_ingest_view'), ('create_protected_rollup'), ('refresh_rollup'),
	('claim_notifications'), ('complete_notification'), ('fail_notification'), ('forget_user'), ('grant_mailer'), ('revoke_mailer'), ('release_notification'), ('requeue_notification'),
	('revoke_session'), ('update_my_name'),
	('create_invite'), ('create_invites'), ('create_organization'), ('create_project'), ('create_session'), ('create_user'),
	('delete_organization'), ('delete_project'), ('delete_user'), ('distribute'), ('distribute_table'), ('grant_application'), ('revoke_application'), ('leave_organization'), ('leave_project'),
	('preview_invite'), ('preview_remove_member'), ('preview_set_member_level'), ('preview_set_plan'), ('preview_set_project_privacy'), ('protect'), ('protect_by_organization'), ('purge'), ('prove_isolation'), ('remove_member'), ('remove_project_member'), ('rename_organization'),
	('rename_project'), ('require'), ('revoke_invite'), ('revoke_sessions'), ('rotate_project_token'), ('set_join_notifications'),
	('set_member_level'), ('set_plan'), ('set_project_member_level'), ('set_project_privacy'), ('set_user_active'), ('sign_out'),
	('switch_organization'), ('switch_project'), ('transfer_ownership'), ('unprotect')$$,
	'commands are volatile, and nothing else that is offered');
SELECT set_eq($$SELECT proname FROM functions WHERE provolatile <> 'v' AND NOT is_internal$$, $$VALUES
	('access_at'), ('explain_access'), ('verify_audit'), ('what_can_access'), ('who_can_access'), ('can'), ('can_edit'), ('can_reach'), ('can_view'), ('can_write'), ('check_integrity'), ('current_project_id'), ('current_user_id'), ('is_member'),
	('level_in'), ('lint'), ('viewable_organization'), ('viewable_organizations'), ('viewable_project'), ('viewable_projects')$$,
	'questions are not, and these are all that can be asked');
CREATE TEMP VIEW catching AS SELECT * FROM functions WHERE lanname = 'plpgsql' AND prosrc ~ '\mEXCEPTION\s+WHEN\M';
SELECT is_empty($$SELECT proname FROM functions WHERE NOT is_internal GROUP BY 1 HAVING count(*) > 1$$, 'no name stands for two functions');
SELECT is_empty($$SELECT signature FROM functions WHERE provolatile IN ('s', 'i') AND proparallel <> 's'
				  AND proname <> 'lint' AND proname NOT IN (SELECT proname FROM catching)$$, 'what only reads is parallel safe');
SELECT set_eq($$SELECT proname FROM functions WHERE proparallel = 'r'$$, $$VALUES ('lint'::name)$$,
			  'nothing is parallel restricted, but what may ask other nodes');
SELECT is_empty($$SELECT signature FROM catching WHERE proparallel <> 'u'$$,
				'what catches errors begins a subtransaction, which nobody can in a parallel query, nor its leader');
SELECT set_eq($$SELECT proname FROM catching WHERE provolatile <> 'v'$$, $$VALUES ('_clean_name'::name), ('_clean_email'), ('_invite_lifetime')$$, 'and is found by its text');
SELECT set_eq($$SELECT signature FROM functions WHERE provolatile = 'v' AND proparallel = 's'$$,
			  $$VALUES ('tenancy.require(tenancy.permission,uuid)'), ('tenancy._mint_credential(text)')$$,
			  'what writes is not parallel safe');
SELECT set_eq($$SELECT signature FROM functions WHERE proleakproof$$, $$VALUES
	('tenancy.can(tenancy.permission,uuid)'), ('tenancy.can_reach(uuid)'), ('tenancy.can_view(uuid)'),
	('tenancy.can_edit(uuid,tenancy.access_level)'),
	('tenancy.can_write(uuid,tenancy.access_level)'), ('tenancy.is_member(uuid,tenancy.access_level)')$$,
	'only predicates are leakproof');
SELECT is_empty($$SELECT signature FROM functions WHERE proleakproof AND (lanname <> 'c' OR provolatile <> 's')$$, 'and they are stable C functions');
SELECT is_empty($$SELECT signature FROM functions WHERE provolatile = 'i' AND lanname <> 'c' AND proname <> '_installed_shape' AND prosrc ~ '\m(FROM|UPDATE|INSERT)\s+tenancy\.[a-z]+\s'$$,
				'nothing that reads a table is immutable');
SELECT is_empty($$SELECT signature FROM functions WHERE lanname NOT IN ('c', 'sql', 'plpgsql')$$, 'no other languages');
SELECT is_empty($$SELECT signature FROM functions WHERE prorettype = 'record'::regtype AND NOT coalesce(proargmodes && '{o,t}', false)$$,
				'CVE-2026-16239: no function returns an unknown record');
SELECT is_empty($$SELECT signature, a.name FROM functions f, unnest(f.proargnames) WITH ORDINALITY a (name, place)
				  WHERE NOT is_internal AND a.place <= f.pronargs AND (a.name IN ('n', 'id') OR a.name LIKE '%\_id' AND a.name <> 'user_id')$$,
				'an id that is asked for is called after what it is of; only a user in general is user_id');
SELECT is_empty($$SELECT signature FROM functions WHERE prokind = 'p'$$, 'attack 125: no procedures: CALL shows its arguments in the log');

-- search_path.
SELECT is_empty($$SELECT signature, proconfig FROM functions WHERE prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$,
				'attacks 41 to 43: every SECURITY DEFINER function pins search_path, pg_temp last');
SELECT is_empty($$SELECT signature, proconfig FROM functions WHERE lanname <> 'c' AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)$$,
				'and every other one in SQL');
SELECT is_empty($$SELECT signature, proconfig FROM functions WHERE proconfig <> '{"search_path=pg_catalog, pg_temp"}'
				  AND proname NOT IN ('lint', '_altered', 'refresh_rollup', '_apply_feed')$$, 'and sets nothing else');
SELECT set_eq($$SELECT DISTINCT split_part(c, '=', 1) FROM functions, unnest(proconfig) c WHERE proname IN ('lint', '_altered')$$,
			  $$VALUES ('search_path'), ('quote_all_identifiers'), ('enable_nestloop'), ('jit'), ('standard_conforming_strings')$$, 'but how lint prints names, is planned and read');
SELECT is((SELECT proconfig FROM functions WHERE proname = 'refresh_rollup'), '{"search_path=pg_catalog, pg_temp",row_security=off}'::text[], 'and that a rollup lacks no row');
SELECT is((SELECT proconfig FROM functions WHERE proname = '_apply_feed'), '{"search_path=pg_catalog, pg_temp",session_replication_role=replica}'::text[], 'and that a node applies what another has checked');
SELECT is_empty($$SELECT signature FROM functions WHERE proname IN ('act_as', 'authenticate', '_clear_identity') AND (proconfig IS NOT NULL OR prosecdef OR lanname <> 'c')$$,
				'what sets the identity has no SET clause, which would take it back');
SELECT set_eq($$SELECT proname FROM functions WHERE NOT prosecdef AND NOT is_internal AND lanname <> 'c'$$, $$VALUES
	('access_at'), ('create_reporting_view'), ('refresh_reporting_view'), ('create_ingest_view'), ('create_protected_rollup'), ('refresh_rollup'), ('distribute'), ('distribute_table'), ('grant_application'), ('revoke_application'), ('grant_mailer'), ('revoke_mailer'), ('lint'), ('protect'), ('protect_by_organization'), ('prove_isolation'), ('unprotect')$$,
	'commands have the rights of their owner, but those that are about the caller''s own objects');
SELECT is_empty($$SELECT signature FROM functions WHERE prosecdef AND (is_internal AND is_public OR pg_get_userbyid(proowner) <> current_user)$$,
				'who has those rights is a superuser, and no helper hands them out');
SELECT is_empty($$SELECT signature FROM functions WHERE lanname = 'c' AND prosecdef$$, 'C functions switch users themselves');
SELECT is_empty($$SELECT signature FROM functions WHERE prosrc ~* 'current_setting|set_config' AND proname !~ '^_lint_'$$,
				'attack 3: no function reads or writes a setting by name; lint looks for those that do');
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'v' AND pg_get_viewdef(oid) ~* 'current_setting'$$, 'attack 3: nor does a view');
SELECT is_empty($$SELECT t.name, p.polname FROM ours_tables t JOIN pg_policy p ON p.polrelid = t.oid
				  WHERE pg_get_expr(p.polqual, p.polrelid) ~* 'current_setting|current_user\M|session_user'$$, 'attacks 3 and 21: nor does a policy, and none asks for the role');

-- Who may execute what.
-- Internal functions are nobody's, but for these, each with what an ordinary role, or a
-- table's owner, does that fails without the right: it runs with the caller's rights.
CREATE TEMP TABLE needed (proname name, by_way_of text);
INSERT INTO needed SELECT unnest(names), by_way_of FROM (VALUES
	('{_permission_matrix}'::name[], 'SELECT FROM tenancy.permission_matrix'),
	('{_session_id}', 'SELECT * FROM tenancy.my_sessions'),
	('{_role_problem}', 'SELECT * FROM tenancy.bound_roles'),
	('{_note_caller}', $$EXPLAIN SELECT tenancy.create_organization('Three')$$),
	('{_check_column,_prepare_column,_policies,_policy_names,_policy_expressions,_drop_policies,_create_policies,_revoke_rights,_protect,_tree,_parents_outside,_parents,_check_parents,_target,_is_distributed}',
	 $$SELECT tenancy.protect('pgtap_catalog.bare')$$),
	('{_new_parts,_protection}', $$CREATE TABLE pgtap_catalog.more () INHERITS (pgtap_catalog.notes)$$),
	('{_unprotect}', $$SELECT tenancy.unprotect('pgtap_catalog.notes')$$),
	('{_secret_names,_report,_report_query,_require_owner,_view_name}', $$SELECT tenancy.create_reporting_view('pgtap_catalog.notes', 'report')$$),
	('{_ingest}', $$SELECT tenancy.create_ingest_view('pgtap_catalog.notes', 'notes_in')$$),
	('{_rollup_name,_run_as_owner}', $$SELECT tenancy.create_protected_rollup('pgtap_catalog.notes', 'sums', 'SELECT project_id, count(*) AS n FROM notes GROUP BY 1')$$),
	('{_lint_role,_lint_protect,_lint_protected,_lint_relations,_lint_tables,_lint_keys,_lint_policies,_lint_views,_lint_functions,_lint_replication,_lint_reach,_lint_roles,_lint_settings,_lint_outside,_lint_server,_minimum_server,_lint_data,_lint_cluster,_has_citus,_fed_tables,_altered,_shape,_installed_shape}',
	 'SELECT * FROM tenancy.lint()')) v (names, by_way_of);
SELECT set_eq($$SELECT proname FROM functions WHERE is_internal AND is_public$$, 'SELECT proname FROM needed', 'internal functions are nobody''s, but those that have a reason');
CREATE ROLE pgtap_catalog_owner;
CREATE SCHEMA pgtap_catalog AUTHORIZATION pgtap_catalog_owner;
CREATE TABLE pgtap_catalog.notes (project_id uuid);
CREATE TABLE pgtap_catalog.bare (project_id uuid);
GRANT REFERENCES ON tenancy.projects TO pgtap_catalog_owner;
GRANT SELECT ON tenancy.bound_roles, pg_hba_file_rules TO pgtap_catalog_owner;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO pgtap_catalog_owner;
ALTER TABLE pgtap_catalog.notes OWNER TO pgtap_catalog_owner;
ALTER TABLE pgtap_catalog.bare OWNER TO pgtap_catalog_owner;
SET client_min_messages = warning;
SELECT tenancy.protect('pgtap_catalog.notes');
-- What becomes of a statement of the role's without EXECUTE on a function; nothing stays.
CREATE FUNCTION pg_temp.without(name name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE coalesce((SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', signature) FROM functions WHERE proname = name), '');
	SET LOCAL ROLE pgtap_catalog_owner;
	EXECUTE statement;
	RAISE EXCEPTION 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT is(pg_temp.without(NULL, statement), 'ok', 'an ordinary role can: ' || statement) FROM (SELECT DISTINCT by_way_of FROM needed) n (statement);
SELECT is(replace(pg_temp.without(proname, by_way_of), 'tenancy.', ''), 'permission denied for function ' || proname, proname || ' is PUBLIC''s for: ' || by_way_of) FROM needed;
RESET client_min_messages;
DROP OWNED BY pgtap_catalog_owner CASCADE;
DROP ROLE pgtap_catalog_owner;
SELECT is_empty($$SELECT signature FROM functions WHERE is_internal AND is_public AND prosecdef$$, 'and none of these has other rights than its caller''s');
SELECT is_empty($$SELECT signature FROM functions WHERE is_public AND 'internal'::regtype = ANY (proargtypes)$$, 'CVE-2026-14680: nor do they take internal arguments');
SELECT set_eq($$SELECT proname FROM functions WHERE NOT is_internal AND NOT is_public$$, $$VALUES
	('access_at'), ('preview_set_plan'), ('act_as'), ('assign_owner'), ('create_session'), ('create_user'), ('delete_user'), ('distribute'), ('distribute_table'), ('grant_application'), ('revoke_application'), ('prove_isolation'), ('revoke_sessions'),
	('set_plan'), ('set_user_active'), ('forget_user'), ('bind_role'), ('unbind_role'), ('grant_mailer'), ('revoke_mailer'), ('claim_notifications'), ('complete_notification'),
	('fail_notification'), ('release_notification'), ('requeue_notification'), ('check_integrity'), ('purge')$$, 'trusted functions are not PUBLIC''s');
SELECT is_empty($$SELECT signature, a.grantee::regrole FROM functions f, aclexplode(f.proacl) a WHERE a.grantee NOT IN (0, f.proowner)
				  AND (f.proname, a.grantee) <> ('_stats', 'pg_monitor'::regrole)$$,
				'no function is granted to a role, but the counters to who monitors');

-- Tables.
SELECT isnt_empty('SELECT FROM ours_tables', 'there are tables');
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'S'$$, 'no sequence: gaps betray hidden rows');
SELECT is_empty($$SELECT name FROM relations WHERE relkind NOT IN ('r', 'v', 'c')$$, 'tables and views only');
SELECT is_empty($$SELECT name FROM ours_tables WHERE NOT (relrowsecurity AND relforcerowsecurity)$$, 'attack 57: row security is on and forced for every table');
SELECT is_empty($$SELECT name FROM ours_tables WHERE relname <> 'cluster' AND oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'tenancy')$$, 'attack 162: every table is dumped, but for what nodes know each other by');
SELECT is_empty($$SELECT t FROM pg_extension, unnest(extconfig, extcondition) c (t, condition) WHERE extname = 'tenancy' AND c.condition <> '' AND t <> 'tenancy.role_bindings'::regclass$$,
				'with all of its rows, but for bindings that are not in force');
SELECT is_empty($$SELECT name FROM ours_tables t WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'p')$$, 'every table has a primary key');
SELECT is_empty($$SELECT name FROM ours_tables WHERE relpersistence <> 'p'$$, 'every table is durable');
SELECT is_empty($$SELECT t.name, p.polname FROM ours_tables t JOIN pg_policy p ON p.polrelid = t.oid WHERE p.polcmd <> 'r'$$, 'policies let read, and never write');
SELECT is_empty($$SELECT t.name, a.privilege_type FROM ours_tables t, aclexplode(t.relacl) a WHERE a.grantee <> t.relowner AND (a.grantee <> 0 OR a.privilege_type <> 'SELECT')$$,
				'tables are granted to PUBLIC for SELECT only');
SELECT is_empty($$SELECT t.name, c.attname FROM ours_tables t JOIN pg_attribute c ON c.attrelid = t.oid, aclexplode(c.attacl) a WHERE a.grantee <> 0 OR a.privilege_type <> 'SELECT'$$,
				'and so are columns');
SELECT is_empty($$SELECT t.name, c.attname FROM ours_tables t JOIN pg_attribute c ON c.attrelid = t.oid
				  WHERE c.attname IN ('digest', 'version') AND has_column_privilege('public', t.oid, c.attnum, 'SELECT')$$, 'no digest is readable, nor the version');
SELECT set_eq($$SELECT relname FROM ours_tables t WHERE NOT EXISTS (SELECT FROM pg_attribute c WHERE c.attrelid = t.oid AND c.attnum > 0
				AND has_column_privilege('public', t.oid, c.attnum, 'SELECT'))$$, $$VALUES ('notifications'::name), ('role_bindings'), ('audit_heads'), ('cluster')$$,
				'the outbox, the bindings, the ends of the audit log and the secret of a cluster are nobody''s');
SELECT is_empty($$SELECT t.name, a.attname, format_type(a.atttypid, NULL) FROM ours_tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
				  WHERE (a.attname = 'id' OR a.attname LIKE '%\_id') AND a.atttypid <> 'uuid'::regtype$$, 'ids are uuids');
SELECT is_empty($$SELECT t.name, a.attname FROM ours_tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
				  WHERE a.attname LIKE '%\_at' AND a.atttypid <> 'timestamptz'::regtype$$, 'times are timestamptz');
SELECT is_empty($$SELECT t.name, pg_get_expr(d.adbin, d.adrelid) FROM ours_tables t JOIN pg_attrdef d ON d.adrelid = t.oid
				  WHERE pg_get_expr(d.adbin, d.adrelid) ~ '\m(now|transaction_timestamp|CURRENT_TIMESTAMP)\M'$$, 'defaults read the clock, not the transaction''s begin');

-- Foreign keys.
SELECT is_empty($$WITH RECURSIVE reached AS (
					SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM ours_tables)
					UNION SELECT r.conrelid, c.confrelid FROM reached r JOIN pg_constraint c ON c.conrelid = r.confrelid AND c.contype = 'f')
				  SELECT conrelid::regclass FROM reached WHERE conrelid = confrelid$$, 'foreign keys form no circle, which would break a restore');
SELECT is_empty($$SELECT c.conrelid::regclass, c.conname FROM pg_constraint c WHERE c.contype = 'f' AND c.conrelid IN (SELECT oid FROM ours_tables)
				  AND c.confrelid <> 'tenancy.plans'::regclass
				  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = ANY (c.conkey)
				  AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$'))$$,
				'every foreign key has an index, so that a cascade does not read whole tables');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint WHERE conrelid IN (SELECT oid FROM ours_tables) AND NOT convalidated$$, 'every constraint is validated');

-- Triggers.
SELECT set_eq($$SELECT DISTINCT t.relname FROM ours_tables t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE g.tgfoid = 'tenancy._send_invalidation'::regproc$$,
			  $$VALUES ('users'::name), ('organizations'), ('memberships'), ('projects'), ('project_memberships'), ('project_tokens'), ('sessions'), ('role_bindings'), ('cluster')$$,
			  'what decides who sees what announces its changes');
SELECT is_empty($$SELECT g.tgrelid::regclass, g.tgname FROM pg_trigger g WHERE g.tgfoid = 'tenancy._send_invalidation'::regproc AND g.tgenabled <> 'A'$$,
				'and does so always, on a subscriber, too');
-- tgtype: 8 DELETE, 16 UPDATE, 32 TRUNCATE; the first is 1 for each row
SELECT is_empty($$SELECT t.name, e.event FROM ours_tables t, (VALUES ('delete', 9), ('update', 17), ('truncate', 32)) e (event, bits)
				  WHERE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'tenancy._send_invalidation'::regproc)
					AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'tenancy._send_invalidation'::regproc
									AND g.tgtype & e.bits = e.bits AND g.tgtype & 2 = 0)$$,
				'after every update, delete and truncate');
SELECT is_empty($$SELECT DISTINCT v.refobjid::regclass FROM pg_rewrite r JOIN pg_depend v ON v.classid = 'pg_rewrite'::regclass AND v.objid = r.oid
				  WHERE r.ev_class = 'tenancy.access'::regclass AND v.refclassid = 'pg_class'::regclass AND v.refobjid <> r.ev_class
					AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = v.refobjid AND g.tgfoid = 'tenancy._send_invalidation'::regproc)$$,
				'every table that the view access reads is among them');
SELECT is_empty($$SELECT g.tgrelid::regclass, g.tgname FROM pg_trigger g WHERE g.tgrelid IN (SELECT oid FROM ours_tables) AND NOT g.tgisinternal
				  AND g.tgfoid NOT IN ('tenancy._send_invalidation'::regproc, 'tenancy._replace_plan'::regproc, 'tenancy._find_bound_role'::regproc) AND g.tgenabled <> 'O'$$, 'guards do not fire in a restore with replication role replica');

-- The audit log.
SELECT set_eq($$SELECT relname FROM ours_tables t WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'tenancy._record_changes'::regproc)$$,
			  $$VALUES ('notifications'::name), ('user_preferences'), ('audit_entries'), ('audit_heads'), ('cluster')$$, 'every change is recorded, but of the outbox, the switchers, the log itself and the secret of a cluster');
SELECT is_empty($$SELECT t.name, e.event FROM ours_tables t, (VALUES ('insert', 4), ('delete', 8), ('update', 16), ('truncate', 32)) e (event, bits)
				  WHERE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'tenancy._record_changes'::regproc)
					AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = 'tenancy._record_changes'::regproc
									AND g.tgtype & 63 = e.bits)$$, 'every kind of change, after it');
SELECT is_empty($$SELECT t.name, a.attname FROM ours_tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
				  JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgfoid = 'tenancy._record_changes'::regproc
				  WHERE (a.attname = 'email' OR (a.attname = 'name' AND t.relname = 'users'))
					AND position('\000' || a.attname || '\000' IN encode(g.tgargs, 'escape')) = 0 AND g.tgtype & 32 = 0$$,
				'names and addresses of people are kept where they can be erased');
SELECT is_empty($$SELECT signature FROM functions WHERE prosecdef AND provolatile = 'v' AND NOT is_internal AND prosupport <> 'tenancy._command_support'::regproc$$,
				'every command loads the library when it is planned, so that the log knows its name');
SELECT ok(pg_get_functiondef('tenancy.access_at'::regproc) LIKE '%' || regexp_replace(rtrim(pg_get_viewdef('tenancy.access'::regclass), ';'),
				'\mtenancy\.(users|organizations|memberships|projects|project_memberships)\M', 'then_\1', 'g') || '%', 'access_at() has the rules of the view access');

-- Views.
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)
				  AND relname NOT IN ('access', 'bound_roles', 'dead_notifications', 'protected_tables', 'reporting_views', 'ingest_views', 'rollups', 'permission_matrix')$$, 'attack 84: views read with the rights of whoever asks');
SELECT ok(NOT has_table_privilege('public', v, 'SELECT'), 'the view ' || v || ' is nobody''s') FROM unnest('{tenancy.access,tenancy.bound_roles,tenancy.dead_notifications,tenancy.stats}'::text[]) v;
SELECT is_empty($$SELECT v.refobjid::regclass FROM pg_rewrite r JOIN pg_depend v ON v.classid = 'pg_rewrite'::regclass AND v.objid = r.oid
				  JOIN ours_tables t ON t.oid = v.refobjid
				  WHERE r.ev_class IN ('tenancy.protected_tables'::regclass, 'tenancy.reporting_views'::regclass, 'tenancy.permission_matrix'::regclass)$$, 'the others read none of our tables');
SELECT is_empty($$SELECT r.name, a.privilege_type FROM relations r, aclexplode(r.relacl) a WHERE r.relkind = 'v' AND a.grantee <> r.relowner
				  AND (a.grantee <> CASE r.relname WHEN 'stats' THEN 'pg_monitor'::regrole ELSE 0 END OR a.privilege_type <> 'SELECT')$$,
				'views are granted to PUBLIC for SELECT only, and the counters to who monitors');

-- Types.
SELECT enum_has_labels('tenancy', 'access_level', '{member,administrator,owner}', 'behaviour 2: levels rise');
SELECT ok('member' < 'administrator'::tenancy.access_level AND 'administrator' < 'owner'::tenancy.access_level, 'and compare so');

-- attack 20: default privileges of the database, set before CREATE EXTENSION,
-- give nobody anything.
CREATE ROLE pgtap_catalog_app;
CREATE ROLE pgtap_catalog_evil;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO pgtap_catalog_app WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO pgtap_catalog_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO pgtap_catalog_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO pgtap_catalog_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenancy;
CREATE EXTENSION tenancy;
RESET client_min_messages;
SELECT is_empty($$SELECT signature FROM functions WHERE NOT is_public AND has_function_privilege('pgtap_catalog_app', oid, 'EXECUTE')$$, 'attack 20: no function');
SELECT is_empty($$SELECT signature FROM functions WHERE has_function_privilege('pgtap_catalog_app', oid, 'EXECUTE WITH GRANT OPTION')$$, 'nor the right to hand one on');
SELECT is_empty($$SELECT name, p FROM relations, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
				  WHERE relkind IN ('r', 'v') AND (has_table_privilege('pgtap_catalog_app', oid, p) OR has_table_privilege('public', oid, p))$$, 'nor a table to write');
SELECT is_empty($$SELECT name FROM relations WHERE relkind IN ('r', 'v') AND has_table_privilege('pgtap_catalog_app', oid, 'SELECT') AND NOT has_table_privilege('public', oid, 'SELECT')$$, 'nor one to read that is not PUBLIC''s');
SELECT set_eq($$SELECT relname FROM relations WHERE relkind = 'r' AND has_table_privilege('pgtap_catalog_app', oid, 'SELECT')$$,
			  $$VALUES ('plans'::name), ('users'), ('memberships'), ('projects'), ('project_memberships'), ('user_preferences'), ('audit_entries')$$, 'PUBLIC''s are the ones that are meant');
SELECT ok(NOT has_table_privilege('pgtap_catalog_app', v, 'SELECT'), 'nor the view ' || v) FROM unnest('{tenancy.access,tenancy.bound_roles,tenancy.dead_notifications,tenancy.stats}'::text[]) v;
SELECT ok(NOT has_schema_privilege('pgtap_catalog_app', 'tenancy', 'CREATE'), 'nor the schema to create in');
SELECT is_empty($$SELECT t.typname FROM pg_type t, aclexplode(t.typacl) a WHERE t.typnamespace = 'tenancy'::regnamespace AND a.grantee NOT IN (0, t.typowner)$$, 'nor a type');

-- ... and take nothing from PUBLIC that is meant for everybody.
CREATE TEMP TABLE as_meant AS
	SELECT signature AS object FROM functions WHERE is_public
	UNION ALL SELECT typname FROM pg_type t WHERE t.typnamespace = 'tenancy'::regnamespace AND has_type_privilege('public', t.oid, 'USAGE');
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM pgtap_catalog_app, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM pgtap_catalog_app, PUBLIC;
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenancy;
CREATE EXTENSION tenancy;
RESET client_min_messages;
SELECT cmp_ok((SELECT count(*) FROM as_meant WHERE object LIKE 'tenancy.%'), '>', 50::bigint, 'much is PUBLIC''s to execute');
SELECT bag_eq($$SELECT signature AS object FROM functions WHERE is_public
				UNION ALL SELECT typname FROM pg_type t WHERE t.typnamespace = 'tenancy'::regnamespace AND has_type_privilege('public', t.oid, 'USAGE')$$,
			  'SELECT * FROM as_meant', 'whatever default privileges take from PUBLIC');
SET ROLE pgtap_catalog_app;
SELECT lives_ok('SELECT FROM tenancy.viewable_projects(), tenancy.current_user_id() WHERE tenancy.can_reach(NULL)', 'so that an ordinary role can ask');
SELECT lives_ok($$CREATE TEMP TABLE names (name tenancy.name, email tenancy.email, level tenancy.access_level, permission tenancy.permission)$$, 'and use the types');
RESET ROLE;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO PUBLIC;

-- attack 45: a schema that somebody has prepared is not taken over.
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenancy;
CREATE SCHEMA tenancy AUTHORIZATION pgtap_catalog_evil;
SELECT throws_ok('CREATE EXTENSION tenancy', '42P06', NULL, 'attack 45: not a schema of somebody else''s');
ALTER SCHEMA tenancy OWNER TO CURRENT_USER;
CREATE FUNCTION tenancy.can_view(uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT throws_ok('CREATE EXTENSION tenancy', '42P06', NULL, 'nor one with a function in it');
DROP FUNCTION tenancy.can_view;
CREATE TABLE tenancy.member (id uuid);
SELECT throws_ok('CREATE EXTENSION tenancy', '42P06', NULL, 'nor one with a table in it');
DROP TABLE tenancy.member;
CREATE TYPE tenancy.access_level AS ENUM ('owner');
SELECT throws_ok('CREATE EXTENSION tenancy', '42P06', NULL, 'nor one with a type in it');
DROP TYPE tenancy.access_level;
CREATE OPERATOR tenancy.=== (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = uuid_eq);
SELECT throws_ok('CREATE EXTENSION tenancy', '42P06', NULL, 'nor one with an operator in it');
DROP OPERATOR tenancy.=== (uuid, uuid);
SELECT lives_ok('CREATE EXTENSION tenancy', 'an empty one of a superuser''s is what a restore makes');

-- A major version that nothing is known of is not refused.
SELECT is(tenancy._minimum_server(990001), NULL, 'no minimum is known of a later major version');
SELECT is(tenancy._minimum_server(150000), 150020, 'and of 15 it is the one that repaired row security');

SELECT * FROM finish();
-- roles outlive this database
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM pgtap_catalog_app, PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM pgtap_catalog_app, PUBLIC;
DROP OWNED BY pgtap_catalog_app, pgtap_catalog_evil;
DROP ROLE pgtap_catalog_app, pgtap_catalog_evil;
