-- The audit log: what is in it, who reads it, that nobody changes it, and that a
-- change is found.
\set test audit
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
-- What the log says since the last time, without ids.
CREATE TABLE read_to AS SELECT chain, entries FROM tenancy.audit_heads;
CREATE FUNCTION news() RETURNS TABLE (actor text, credential text, action text, relation text, before text, after text) LANGUAGE sql
SECURITY DEFINER SET search_path = regress, tenancy, pg_temp AS $$
	WITH news AS (
		SELECT l.* FROM tenancy.audit_log l LEFT JOIN regress.read_to r USING (chain) WHERE l.number > coalesce(r.entries, 0)
	), told AS (
		DELETE FROM regress.read_to
	), mark AS (
		INSERT INTO regress.read_to SELECT chain, entries FROM tenancy.audit_heads
	)
	SELECT coalesce(n.actor_name, '-'), coalesce(n.credential_kind, '-'), n.action, n.relation,
		   (SELECT string_agg(o.key || '=' || o.value, ' ' ORDER BY o.key) FROM jsonb_each_text(n.old_row) o
			WHERE o.value IS DISTINCT FROM n.new_row ->> o.key AND o.key IN ('level', 'name', 'is_private', 'is_active', 'plan', 'token', 'digest', 'email')),
		   (SELECT string_agg(o.key || '=' || o.value, ' ' ORDER BY o.key) FROM jsonb_each_text(n.new_row) o
			WHERE o.value IS DISTINCT FROM n.old_row ->> o.key AND o.key IN ('level', 'name', 'is_private', 'is_active', 'plan', 'token', 'digest', 'email'))
	FROM news n ORDER BY n.at, n.chain, n.number, n.place
$$;
GRANT EXECUTE ON FUNCTION news() TO PUBLIC;
SET ROLE :app;

-- Commands, by name, with who acted and through what.
SELECT act('alice');
SELECT tenancy.rename_project(id('hidden'), 'Renamed');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT tenancy.set_member_level(id('acme'), id('max'), 'administrator');
SELECT remember('invite', invite_id) FROM tenancy.create_invite(id('acme'), 'somebody@regress.example');
SELECT tenancy.revoke_invite(id('invite'));
SELECT * FROM news();
-- behaviour 58: regenerating shows neither value, in no column
SELECT token AS old_token FROM tenancy.my_projects WHERE id = id('open') \gset
SELECT tenancy.rotate_project_token(id('open')) AS new_token \gset
SELECT * FROM news();
SELECT tenancy.sign_out();
-- ... through a session, and its end
SELECT tenancy.create_session(id('adam')) AS session \gset
BEGIN;
SELECT tenancy.authenticate(:'session', true);
SELECT tenancy.set_project_privacy(id('hidden'), false);
COMMIT;
SELECT tenancy.sign_out();
SELECT * FROM news();
-- ... what was refused, rolled back or changed nothing is not in it
SELECT act('mia');
SELECT attempt($$SELECT tenancy.rename_project(id('open'), 'Mine')$$);
SELECT act('alice');
SELECT trial($$SELECT tenancy.rename_project(id('open'), 'Undone')$$);
SELECT tenancy.set_project_privacy(id('hidden'), false);
SELECT tenancy.preview_remove_member(id('acme'), id('mia')) IS NOT NULL;
SELECT count(*) FROM news();
SELECT tenancy.sign_out();
-- Direct changes, by whoever can make them
RESET ROLE;
UPDATE tenancy.organizations SET plan = 'free' WHERE id = id('acme');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (id('rival'), id('max'));
DELETE FROM tenancy.memberships WHERE organization_id = id('rival');
UPDATE tenancy.users SET email = 'eva@regress.example' WHERE id = id('eve');
UPDATE tenancy.project_tokens SET digest = sha256('x') WHERE project_id = id('foreign');
UPDATE tenancy.organizations SET version = version + 1;
INSERT INTO tenancy.plans VALUES ('gold', true, true, true);
INSERT INTO tenancy.role_bindings (role_name, user_id) VALUES ('regress_bi', id('mia'));
DELETE FROM tenancy.plans WHERE name = 'gold';
SELECT * FROM news();
SELECT DISTINCT login_role = session_user AS login, acting_role = current_user AS acting FROM tenancy.audit_log WHERE action LIKE '% on %';
-- ... the role that the application had become
SELECT acting_role = :'app' AS acting FROM tenancy.audit_log WHERE action = 'rename_project' AND new_row ->> 'name' = 'Renamed';

-- attack 124: no secret is in the log, nor in any column
SELECT count(*) FROM tenancy.audit_log l
WHERE l::text ~ 'tn[pst]_' OR EXISTS (SELECT FROM tenancy.project_tokens t WHERE position(encode(t.digest, 'hex') IN l::text) > 0);

-- behaviour 59: deleting a project, or an organization, keeps its history
SET ROLE :app;
SELECT act('bob');
SELECT tenancy.delete_organization(id('rival'));
SELECT * FROM news();
RESET ROLE;
SELECT count(*) > 3 AS kept FROM tenancy.audit_log WHERE organization_id = id('rival');
SET ROLE :app;

-- attack 92: read by Administrators and the Owner, of their organization
CREATE FUNCTION pg_temp.reads() RETURNS TABLE (organization text, entries boolean) LANGUAGE sql AS $$
	SELECT called(organization_id), count(*) > 0 FROM tenancy.audit_log GROUP BY 1 ORDER BY 1
$$;
SELECT act('alice');
SELECT * FROM pg_temp.reads();
SELECT act('adam');
SELECT * FROM pg_temp.reads();
SELECT act('mia');
SELECT * FROM pg_temp.reads();
SELECT act('bob');
SELECT * FROM pg_temp.reads();
SELECT tenancy.sign_out();
SELECT * FROM pg_temp.reads();
SELECT attempt('SELECT FROM tenancy.audit_heads');

-- Append-only: no rights, and whoever was given some by mistake is refused
SELECT attempt($$INSERT INTO tenancy.audit_entries SELECT * FROM tenancy.audit_entries$$);
RESET ROLE;
GRANT ALL ON tenancy.audit_entries, tenancy.audit_heads TO :client;
ALTER ROLE :client BYPASSRLS;
SET ROLE :client;
SELECT attempt('INSERT INTO tenancy.audit_entries SELECT * FROM tenancy.audit_entries');
SELECT attempt($$UPDATE tenancy.audit_entries SET action = 'nothing'$$);
SELECT attempt('DELETE FROM tenancy.audit_entries');
SELECT attempt('TRUNCATE tenancy.audit_entries');
SELECT attempt('DELETE FROM tenancy.audit_heads');
SELECT attempt('UPDATE tenancy.audit_heads SET entries = 1');
RESET ROLE;
ALTER ROLE :client NOBYPASSRLS;
REVOKE ALL ON tenancy.audit_entries, tenancy.audit_heads FROM :client;

-- verify_audit: silent on what is sound, whoever may ask
SELECT count(*) FROM tenancy.verify_audit();
SELECT attempt('SELECT * FROM tenancy.verify_audit(id(''rival''))', false);
SELECT attempt('SELECT * FROM tenancy.verify_audit(id(''fake''))');
SET ROLE :app;
SELECT act('adam');
SELECT count(*) FROM tenancy.verify_audit(id('acme'));
SELECT alike('SELECT tenancy.verify_audit(%1$L)', 'rival', 'fake', 'null');
SELECT act('mia');
SELECT alike('SELECT tenancy.verify_audit(%1$L)', 'acme', 'rival', 'fake', 'null');
SELECT tenancy.sign_out();
SELECT alike('SELECT tenancy.verify_audit(%1$L)', 'acme', 'rival', 'fake', 'null');
RESET ROLE;

-- ... and finds what a superuser did to it: altered, removed, inserted, at the
-- beginning, in the middle and at the end
CREATE FUNCTION pg_temp.found(crime text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	problems text[];
BEGIN
	BEGIN
		EXECUTE crime;
		problems := ARRAY(SELECT CASE v.number WHEN h.n THEN 'last' ELSE coalesce(v.number::text, '-') END || ': ' || v.problem
						  FROM tenancy.verify_audit(id('acme')) v, (SELECT max(b.entries) AS n FROM pg_temp.before b) h ORDER BY v.number, v.problem);
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		NULL;
	END;
	RETURN QUERY SELECT unnest(problems);
END
$$;
CREATE TEMP TABLE before AS SELECT entries FROM tenancy.audit_heads WHERE chain = id('acme');
SELECT column_name, array_to_string(ARRAY(SELECT pg_temp.found(format('UPDATE tenancy.audit_entries SET %I = %s WHERE chain = id(''acme'') AND number = 3', column_name, value))), ', ')
FROM (VALUES ('organization_id', 'NULL'), ('at', 'at + interval ''1 microsecond'''), ('actor_id', 'id(''bob'')'), ('actor_name', '''Bob'''), ('login_role', '''x'''),
	('acting_role', 'NULL'), ('credential_kind', '''session'''), ('credential_id', 'id(''bob'')'), ('action', '''x'''), ('relation', '''x'''), ('changes', 'overlay(changes::text PLACING '' '' FROM 2 FOR 0)::json'),
	('personal', '''{}'''), ('personal_hash', 'NULL'), ('salt', '''x'''),
	('previous', '''x'''), ('hash', '''x''')) v (column_name, value);
SELECT pg_temp.found('DELETE FROM tenancy.audit_entries WHERE chain = id(''acme'') AND number = 1');
SELECT pg_temp.found('DELETE FROM tenancy.audit_entries WHERE chain = id(''acme'') AND number IN (3, 4)');
SELECT pg_temp.found('DELETE FROM tenancy.audit_entries l USING before b WHERE l.chain = id(''acme'') AND l.number = b.entries');
SELECT pg_temp.found('INSERT INTO tenancy.audit_entries SELECT chain, number + 1, organization_id, at, actor_id, login_role, acting_role, credential_kind, credential_id, action,
	relation, changes, personal_hash, hash, hash, salt, actor_name, personal FROM tenancy.audit_entries l JOIN before b ON b.entries = l.number WHERE chain = id(''acme'')') LIKE '%inserted%' AS found;
-- an entry in the place of another, with hashes that fit each other
SELECT pg_temp.found('UPDATE tenancy.audit_entries l SET action = ''x'' WHERE chain = id(''acme'') AND number = 3;
	UPDATE tenancy.audit_entries l SET hash = tenancy._audit_hash(l, false) WHERE chain = id(''acme'') AND number = 3');
SELECT pg_temp.found('UPDATE tenancy.audit_entries l SET action = ''x'' FROM before b WHERE chain = id(''acme'') AND number = b.entries;
	UPDATE tenancy.audit_entries l SET hash = tenancy._audit_hash(l, false) FROM before b WHERE chain = id(''acme'') AND number = b.entries');
SELECT pg_temp.found('DELETE FROM tenancy.audit_heads WHERE chain = id(''acme'')');
SELECT count(*) = (SELECT entries FROM before) AS all_gone FROM pg_temp.found('DELETE FROM tenancy.audit_entries WHERE chain = id(''acme'')');
SELECT pg_temp.found('DELETE FROM tenancy.audit_entries WHERE chain = id(''acme''); DELETE FROM tenancy.audit_heads WHERE chain = id(''acme'')');
SELECT pg_temp.found('UPDATE tenancy.audit_heads SET entries = entries + 1 WHERE chain = id(''acme'')') LIKE '%removed' AS found;

-- Somebody is forgotten: name and address go, and the chain holds
SELECT count(*) > 0 AS named FROM tenancy.audit_entries l WHERE l::text ~* 'adam';
SELECT tenancy.forget_user(id('adam'));
SELECT count(*) FROM tenancy.audit_entries l WHERE l::text ~* 'adam';
SELECT count(*) > 0 AS kept FROM tenancy.audit_log l WHERE l.actor_id = id('adam');
SELECT count(*) FROM tenancy.verify_audit();

-- attack 138: silenced triggers leave no entry: a superuser's doing, and why a
-- subscriber writes none
SELECT count(*) > 0 AS read FROM news();
SET session_replication_role = replica;
UPDATE tenancy.organizations SET name = 'Silent' WHERE id = id('acme');
RESET session_replication_role;
SELECT count(*) FROM news();
-- A restore turns row security off, and the log comes with the rest.  It is the
-- one who has logged in that is exempt, and commands are recorded all the same.
SET row_security = off;
UPDATE tenancy.organizations SET name = 'Restored' WHERE id = id('acme');
SELECT count(*) FROM news();
SELECT tenancy.set_user_active(id('max'), false);
SELECT action FROM news();
CREATE ROLE regress_audit_exempt BYPASSRLS;
GRANT regress_audit_exempt TO :client;
GRANT SELECT, UPDATE ON tenancy.organizations TO regress_audit_exempt;
GRANT USAGE ON SCHEMA tenancy TO regress_audit_exempt;
SET SESSION AUTHORIZATION :client;
SET ROLE regress_audit_exempt;
UPDATE tenancy.organizations SET name = 'Mine' WHERE id = regress.id('acme');
RESET SESSION AUTHORIZATION;
SELECT action FROM news();
DROP OWNED BY regress_audit_exempt;
DROP ROLE regress_audit_exempt;
RESET row_security;

-- What one statement does in one organization is one entry; many rows are several
INSERT INTO tenancy.users (id, email, name) SELECT format('b0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, n || '@many.example', 'Many' FROM generate_series(1, 1201) n;
INSERT INTO tenancy.memberships (organization_id, user_id) SELECT o.id, u.id FROM tenancy.organizations o, tenancy.users u WHERE u.email LIKE '%@many.example';
SELECT called(chain), count(DISTINCT number) AS entries, count(*) AS rows, count(DISTINCT row_key) AS keys FROM tenancy.audit_log
WHERE relation = 'memberships' AND action = 'insert on memberships' GROUP BY chain HAVING count(*) > 1000 ORDER BY 1;
SELECT count(*) FROM tenancy.verify_audit();
DELETE FROM tenancy.users WHERE email LIKE '%@many.example';
SELECT count(*) FROM tenancy.verify_audit();
-- Not even superusers call the triggers' functions
SELECT attempt('SELECT tenancy._record_changes()');
SELECT attempt('CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION tenancy._record_changes()');
INSERT INTO events VALUES (id('open'), 1);
DROP TRIGGER t ON events;
\i :cleanup
