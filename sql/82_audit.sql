-- ---------------------------------------------------------------------
-- The audit log: who did what
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.audit_entries (
	chain uuid NOT NULL,
	number bigint NOT NULL,
	organization_id uuid CHECK (organization_id OPERATOR(pg_catalog.=) chain),
	at timestamptz NOT NULL,
	actor_id uuid,
	login_role text COLLATE "C",
	acting_role text COLLATE "C",
	credential_kind text COLLATE "C",
	credential_id uuid,
	action text COLLATE "C" NOT NULL,
	relation text COLLATE "C" NOT NULL,
	changes json NOT NULL,
	personal_hash bytea,
	previous bytea NOT NULL,
	hash bytea NOT NULL,
	salt bytea,
	actor_name text COLLATE "C",
	personal json,
	PRIMARY KEY (chain, number)
);
COMMENT ON TABLE tenancy.audit_entries IS 'Every change of the extension''s tables; no foreign keys, so that it survives what it is about.';
COMMENT ON COLUMN tenancy.audit_entries.chain IS 'Whose history it is: an organization, a user, or zeros for what belongs to neither.';
COMMENT ON COLUMN tenancy.audit_entries.number IS 'Place in that history, from 1 without gaps.';
COMMENT ON COLUMN tenancy.audit_entries.organization_id IS 'The organization, also after it was deleted; NULL for what belongs to none.';
COMMENT ON COLUMN tenancy.audit_entries.at IS 'When it was done; it counted when its transaction was committed.';
COMMENT ON COLUMN tenancy.audit_entries.actor_id IS 'The user who acted; NULL for the application or an administrator.';
COMMENT ON COLUMN tenancy.audit_entries.login_role IS 'The role that had logged in.';
COMMENT ON COLUMN tenancy.audit_entries.acting_role IS 'The role that it had become by SET ROLE.';
COMMENT ON COLUMN tenancy.audit_entries.credential_kind IS 'session, project token, or assertion by a trusted role.';
COMMENT ON COLUMN tenancy.audit_entries.credential_id IS 'Id of the session or token; it is not the secret.';
COMMENT ON COLUMN tenancy.audit_entries.action IS 'The command, or for a direct change the statement.';
COMMENT ON COLUMN tenancy.audit_entries.relation IS 'The table that was changed.';
COMMENT ON COLUMN tenancy.audit_entries.changes IS 'For each row its primary key, and how it was before and after, without secrets.';
COMMENT ON COLUMN tenancy.audit_entries.personal_hash IS 'SHA-256 of salt, actor_name and personal, which stands for them when they have been erased.';
COMMENT ON COLUMN tenancy.audit_entries.previous IS 'Hash of the entry before; empty for the first.';
COMMENT ON COLUMN tenancy.audit_entries.hash IS 'SHA-256 of all of the above.';
COMMENT ON COLUMN tenancy.audit_entries.salt IS 'Random, so that what was erased cannot be guessed from its hash.';
COMMENT ON COLUMN tenancy.audit_entries.actor_name IS 'Name of the actor at that time, until they are forgotten.';
COMMENT ON COLUMN tenancy.audit_entries.personal IS 'Names and addresses in the row before and after, until their owner is forgotten.';

CREATE TABLE tenancy.audit_heads (
	chain uuid PRIMARY KEY,
	entries bigint NOT NULL DEFAULT 0,
	last_at timestamptz NOT NULL DEFAULT '-infinity',
	hash bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
COMMENT ON TABLE tenancy.audit_heads IS 'The end of each chain of the audit log; its row is locked while entries are added.';
COMMENT ON COLUMN tenancy.audit_heads.chain IS 'The chain.';
COMMENT ON COLUMN tenancy.audit_heads.entries IS 'Number of its last entry.';
COMMENT ON COLUMN tenancy.audit_heads.last_at IS 'Time of its last entry.';
COMMENT ON COLUMN tenancy.audit_heads.hash IS 'Hash of its last entry.';

ALTER TABLE tenancy.audit_entries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE tenancy.audit_heads ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- The organization is the chain, which has the index.
CREATE POLICY read ON tenancy.audit_entries FOR SELECT
	USING (organization_id IS NOT NULL AND tenancy.is_member(chain, 'administrator'));
COMMENT ON POLICY read ON tenancy.audit_entries IS 'History of the organizations that one manages.';
REVOKE ALL ON tenancy.audit_entries, tenancy.audit_heads FROM PUBLIC;
GRANT SELECT ON tenancy.audit_entries TO PUBLIC;

CREATE VIEW tenancy.audit_log WITH (security_invoker) AS
	SELECT e.chain, e.number, c.place::integer AS place, e.organization_id, e.at, e.actor_id, e.actor_name,
		   e.login_role, e.acting_role, e.credential_kind, e.credential_id, e.action, e.relation,
		   c.change->>'key' AS row_key, c.change->'old' AS old_row, c.change->'new' AS new_row,
		   e.personal::jsonb AS personal
	FROM tenancy.audit_entries e,
		 pg_catalog.jsonb_array_elements(e.changes::jsonb) WITH ORDINALITY c (change, place);
COMMENT ON VIEW tenancy.audit_log IS 'What happened to each row of the extension''s tables, of the organizations that one manages.';
COMMENT ON COLUMN tenancy.audit_log.place IS 'Which row of the entry it is, from 1: what one statement did in one organization is one entry.';
COMMENT ON COLUMN tenancy.audit_log.row_key IS 'Primary key of the row, its columns separated by slashes; NULL for TRUNCATE.';
COMMENT ON COLUMN tenancy.audit_log.old_row IS 'The row before, without secrets; NULL if it was not there.';
COMMENT ON COLUMN tenancy.audit_log.new_row IS 'The row after, without secrets; NULL if it is not there any more.';
COMMENT ON COLUMN tenancy.audit_log.personal IS 'Names and addresses in the row before and after, until their owner is forgotten.';

-- A report as those of 76_reporting: names are of today, and those that one sees.
CREATE VIEW tenancy.report_audit WITH (security_invoker = true) AS
	SELECT l.chain, l.number, l.place, l.at, l.actor_id, l.actor_name, l.action, l.relation,
		   l.organization_id, o.name AS organization_name, i.project_id, p.name AS project_name,
		   i.user_id, u.name AS user_name, l.old_row, l.new_row
	FROM tenancy.audit_log l
	CROSS JOIN LATERAL (SELECT COALESCE(l.new_row, l.old_row) AS named) r
	CROSS JOIN LATERAL (
		SELECT (r.named->>CASE l.relation WHEN 'projects' THEN 'id' ELSE 'project_id' END)::uuid AS project_id,
			   (r.named->>CASE l.relation WHEN 'users' THEN 'id' ELSE 'user_id' END)::uuid AS user_id) i
	LEFT JOIN tenancy.organizations o ON o.id OPERATOR(pg_catalog.=) l.organization_id
	LEFT JOIN tenancy.projects p ON p.id OPERATOR(pg_catalog.=) i.project_id
	LEFT JOIN tenancy.users u ON u.id OPERATOR(pg_catalog.=) i.user_id;
COMMENT ON VIEW tenancy.report_audit IS 'Report: the audit log of the organizations that one manages, with names beside ids.';
REVOKE ALL ON tenancy.audit_log, tenancy.report_audit FROM PUBLIC;
GRANT SELECT ON tenancy.audit_log, tenancy.report_audit TO PUBLIC;

CREATE FUNCTION tenancy._guard_audit() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_guard_audit';
COMMENT ON FUNCTION tenancy._guard_audit() IS 'Keeps the log as it is, whatever rights somebody was granted.';

CREATE TRIGGER guard_audit BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_entries
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._guard_audit();
COMMENT ON TRIGGER guard_audit ON tenancy.audit_entries IS 'Only superusers change the log.';
CREATE TRIGGER guard_audit BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.audit_heads
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._guard_audit();
COMMENT ON TRIGGER guard_audit ON tenancy.audit_heads IS 'Only superusers change the log.';

CREATE FUNCTION tenancy._record_changes() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_record_changes';
COMMENT ON FUNCTION tenancy._record_changes() IS 'Puts what a statement did into the audit log.';

-- Not the switchers, which grant nothing, and not the outbox.
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES
		('plans', '{none,name}'::text[]), ('users', '{user,id,email,name}'), ('organizations', '{organization,id}'),
		('memberships', '{organization,organization_id}'), ('projects', '{organization,organization_id}'),
		('project_memberships', '{organization,organization_id}'), ('project_tokens', '{project,project_id}'),
		('invites', '{organization,organization_id,email}'), ('sessions', '{user,user_id}'),
		('role_bindings', '{user,user_id}')) v (name, arguments)
	LOOP
		EXECUTE pg_catalog.format($sql$
			CREATE TRIGGER audit_insert AFTER INSERT ON tenancy.%1$I REFERENCING NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_update AFTER UPDATE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_delete AFTER DELETE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			CREATE TRIGGER audit_truncate AFTER TRUNCATE ON tenancy.%1$I
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._record_changes(%2$s);
			COMMENT ON TRIGGER audit_insert ON tenancy.%1$I IS 'Records what came.';
			COMMENT ON TRIGGER audit_update ON tenancy.%1$I IS 'Records what changed.';
			COMMENT ON TRIGGER audit_delete ON tenancy.%1$I IS 'Records what went.';
			COMMENT ON TRIGGER audit_truncate ON tenancy.%1$I IS 'Records that all went.'
			$sql$, t.name, (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(a), ', ') FROM pg_catalog.unnest(t.arguments) a));
	END LOOP;
END
$$;

CREATE FUNCTION tenancy._audit_hash(entry tenancy.audit_entries, personal boolean) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_audit_hash';
COMMENT ON FUNCTION tenancy._audit_hash(tenancy.audit_entries, boolean) IS 'The hash that an entry of the audit log should have, or that of its personal columns.';

CREATE FUNCTION tenancy._command_support(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_command_support';
COMMENT ON FUNCTION tenancy._command_support(internal) IS 'Loads the library when a command is planned, so that its name is known when it runs, and puts _note_caller() into it.';

-- Everybody's, since it is called as whoever calls the command.
CREATE FUNCTION tenancy._note_caller(value anyelement) RETURNS anyelement
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_note_caller';
COMMENT ON FUNCTION tenancy._note_caller(anyelement) IS 'The last argument of a command, as it is; notes who is about to call the command.';

-- Not for ever: names and addresses of whoever is forgotten go, and their hash
-- stays, so that the chain holds.
CREATE FUNCTION tenancy._erase_from_audit(member uuid, address text) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE tenancy.audit_entries e
	SET salt = NULL, actor_name = NULL, personal = NULL
	WHERE e.salt IS NOT NULL
	  AND (e.actor_id = _erase_from_audit.member
		   OR (e.relation = 'users' AND e.chain = _erase_from_audit.member)
		   OR _erase_from_audit.address IN (e.personal->'old'->>'email', e.personal->'new'->>'email'))
$$;
COMMENT ON FUNCTION tenancy._erase_from_audit(uuid, text) IS 'Erases name and address of somebody from the audit log.';

-- What does not hold in one chain.  An entry that is gone is named by the number
-- it had.
CREATE FUNCTION tenancy._verify_chain(chain uuid)
RETURNS TABLE (number bigint, problem text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH entry AS (
		SELECT l.number, l.previous, l.hash,
			   l.hash = tenancy._audit_hash(l, false)
			   -- what was erased, was so as a whole
			   AND ((l.salt IS NULL AND l.actor_name IS NULL AND l.personal IS NULL)
					OR coalesce(l.personal_hash = tenancy._audit_hash(l, true), false)) AS sound,
			   lag(l.number, 1, 0) OVER w AS number_before,
			   lag(l.hash, 1, ''::bytea) OVER w AS hash_before
		FROM tenancy.audit_entries l
		WHERE l.chain = _verify_chain.chain
		WINDOW w AS (ORDER BY l.number)
	), head AS (
		SELECT h.entries, h.hash FROM tenancy.audit_heads h
		WHERE h.chain = _verify_chain.chain
	)
	SELECT e.number, 'the entry was altered'
	FROM entry e
	WHERE NOT e.sound
	UNION ALL
	SELECT g.number, 'the entry was removed'
	FROM entry e, generate_series(e.number_before + 1, e.number - 1) g (number)
	UNION ALL
	SELECT e.number, 'the entry does not follow the one before it'
	FROM entry e
	WHERE e.number = e.number_before + 1 AND e.previous <> e.hash_before
	UNION ALL
	SELECT g.number, 'the entry was removed'
	FROM head h, generate_series((SELECT coalesce(max(e.number), 0) FROM entry e) + 1, h.entries) g (number)
	UNION ALL
	SELECT e.number, 'the entry was inserted after the end of the chain'
	FROM entry e
	WHERE e.number > (SELECT h.entries FROM head h)
	UNION ALL
	SELECT h.entries, 'the end of the chain does not match its last entry'
	FROM head h
	JOIN entry e ON e.number = h.entries
	WHERE e.hash <> h.hash
	UNION ALL
	SELECT NULL, 'the end of the chain is missing'
	WHERE NOT EXISTS (SELECT FROM head)
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION tenancy._verify_chain(uuid) IS 'What was altered, removed or inserted in one chain of the audit log; no row when it is sound.';

CREATE FUNCTION tenancy.verify_audit(organization uuid DEFAULT NULL)
RETURNS TABLE (chain uuid, number bigint, problem text)
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'tenancy_question';
COMMENT ON FUNCTION tenancy.verify_audit(uuid) IS
	'What was altered, removed or inserted in the history of an organization, or for an administrator of everything; no row when it is sound.';

CREATE FUNCTION tenancy._verify_audit(organization uuid, by_administrator boolean)
RETURNS TABLE (chain uuid, number bigint, problem text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF NOT by_administrator THEN
		PERFORM tenancy.require('organization.manage', organization);
	ELSIF organization IS NOT NULL
		  AND NOT EXISTS (SELECT FROM tenancy.organizations o WHERE o.id = _verify_audit.organization)
		  AND NOT EXISTS (SELECT FROM tenancy.audit_heads h WHERE h.chain = _verify_audit.organization)
		  AND NOT EXISTS (SELECT FROM tenancy.audit_entries l WHERE l.chain = _verify_audit.organization) THEN
		RAISE EXCEPTION 'organization does not exist'
			USING ERRCODE = 'no_data_found';
	END IF;
	-- An organization without a chain is one whose chain was removed.
	RETURN QUERY
		SELECT c.chain, v.number, v.problem
		FROM (SELECT _verify_audit.organization WHERE _verify_audit.organization IS NOT NULL
			  UNION SELECT o.id FROM tenancy.organizations o WHERE _verify_audit.organization IS NULL
			  UNION SELECT u.id FROM tenancy.users u WHERE _verify_audit.organization IS NULL
			  UNION SELECT h.chain FROM tenancy.audit_heads h WHERE _verify_audit.organization IS NULL
			  UNION SELECT l.chain FROM tenancy.audit_entries l WHERE _verify_audit.organization IS NULL) c (chain),
			 tenancy._verify_chain(c.chain) v
		ORDER BY c.chain, v.number;
END
$$;
COMMENT ON FUNCTION tenancy._verify_audit(uuid, boolean) IS 'Answers verify_audit().';

-- ---------------------------------------------------------------------
-- The past
--
-- The rules are those of the view tenancy.access: its own text, over tables as
-- the log says that they were.
-- ---------------------------------------------------------------------

DO $do$
DECLARE
	rules text := pg_catalog.rtrim(pg_catalog.pg_get_viewdef('tenancy.access'::pg_catalog.regclass), ';');
BEGIN
	rules := pg_catalog.regexp_replace(rules, '\mtenancy\.(users|organizations|memberships|projects|project_memberships)\M',
									   'then_\1', 'g');
	EXECUTE pg_catalog.format($sql$
CREATE FUNCTION tenancy.access_at(at timestamptz)
RETURNS TABLE (user_id uuid, organization_id uuid, project_id uuid, level tenancy.access_level, source text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $fn$
#variable_conflict use_column
BEGIN
	-- No false "nobody reached anything".
	IF row_security_active('tenancy.audit_entries') THEN
		RAISE EXCEPTION 'role %% is subject to row security, so nothing can be said', current_user
			USING ERRCODE = 'insufficient_privilege', HINT = 'Ask as a superuser, or as a role with BYPASSRLS.';
	END IF;
	RETURN QUERY
	WITH latest AS MATERIALIZED (
		SELECT DISTINCT ON (l.relation, l.row_key) l.relation, l.new_row
		FROM tenancy.audit_log l
		WHERE l.at <= access_at.at
		  AND l.relation IN ('users', 'organizations', 'memberships', 'projects', 'project_memberships')
		  AND l.row_key IS NOT NULL
		  AND l.at > ALL (SELECT t.at FROM tenancy.audit_log t
						  WHERE t.relation = l.relation AND t.row_key IS NULL AND t.at <= access_at.at)
		ORDER BY l.relation, l.row_key, l.at DESC, l.number DESC, l.place DESC
	), then_users AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'is_active')::boolean AS is_active
		FROM latest r WHERE r.relation = 'users' AND r.new_row IS NOT NULL
	), then_organizations AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'owner_id')::uuid AS owner_id
		FROM latest r WHERE r.relation = 'organizations' AND r.new_row IS NOT NULL
	), then_memberships AS (
		SELECT (r.new_row->>'organization_id')::uuid AS organization_id, (r.new_row->>'user_id')::uuid AS user_id,
			   (r.new_row->>'level')::tenancy.access_level AS level
		FROM latest r WHERE r.relation = 'memberships' AND r.new_row IS NOT NULL
	), then_projects AS (
		SELECT (r.new_row->>'id')::uuid AS id, (r.new_row->>'organization_id')::uuid AS organization_id,
			   (r.new_row->>'is_private')::boolean AS is_private
		FROM latest r WHERE r.relation = 'projects' AND r.new_row IS NOT NULL
	), then_project_memberships AS (
		SELECT (r.new_row->>'project_id')::uuid AS project_id, (r.new_row->>'user_id')::uuid AS user_id,
			   (r.new_row->>'organization_id')::uuid AS organization_id,
			   (r.new_row->>'level')::tenancy.access_level AS level
		FROM latest r WHERE r.relation = 'project_memberships' AND r.new_row IS NOT NULL
	)
	SELECT a.user_id, a.organization_id, a.project_id, a.level, a.source
	FROM (%s) a;
END
$fn$
$sql$, rules);
END
$do$;
COMMENT ON FUNCTION tenancy.access_at(timestamptz) IS
	'The view tenancy.access as it was at some time, from the audit log; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.access_at(timestamptz) FROM PUBLIC;
