-- Attacks by the owner of an application's table: what a command deletes takes its
-- rows along, and the triggers of that table have no rights of the command's.
\set test attacks_triggers
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
SELECT tenancy.create_session(:'bob') AS session_b \gset
SELECT tenancy.create_user('eve@two.example', 'eve') AS eve \gset
CREATE ROLE regress_attacks_triggers_owner LOGIN;
CREATE SCHEMA regress_attacks_triggers AUTHORIZATION regress_attacks_triggers_owner;
SET search_path = regress_attacks_triggers;
SET ROLE regress_attacks_triggers_owner;
GRANT USAGE ON SCHEMA regress_attacks_triggers TO PUBLIC;
CREATE TABLE notes (id integer PRIMARY KEY, project_id uuid, author_id uuid);
CREATE TABLE settings (organization_id uuid);
CREATE TABLE seats (organization_id uuid, user_id uuid);
CREATE TABLE comments (note_id integer REFERENCES notes ON DELETE CASCADE);
CREATE FUNCTION seize() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING '% % % %: %', TG_TABLE_NAME, TG_WHEN, TG_OP, lower(TG_LEVEL), current_user;
	IF (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) AND session_user <> current_user THEN
		EXECUTE 'ALTER ROLE regress_attacks_triggers_owner SUPERUSER';
	END IF;
	RETURN COALESCE(NEW, OLD);
END $$;
SELECT format('CREATE TRIGGER seize_%s %s DELETE OR UPDATE ON %s FOR EACH %s EXECUTE FUNCTION seize()', level || w, w, t, level)
FROM unnest(ARRAY['notes', 'settings', 'comments', 'seats']) t, unnest(ARRAY['BEFORE', 'AFTER']) w, unnest(ARRAY['ROW', 'STATEMENT']) level \gexec
CREATE CONSTRAINT TRIGGER seize_deferred AFTER DELETE ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION seize();
RESET ROLE;
ALTER TABLE notes ADD FOREIGN KEY (author_id) REFERENCES tenancy.users ON DELETE SET NULL;
ALTER TABLE seats ADD FOREIGN KEY (organization_id, user_id) REFERENCES tenancy.memberships ON DELETE CASCADE;
SELECT tenancy.protect('notes'), tenancy.protect_by_organization('settings') \gset
INSERT INTO notes VALUES (1, :'p1', NULL), (2, :'p2', NULL), (3, :'p1', :'eve');
INSERT INTO comments VALUES (2);
INSERT INTO settings VALUES (:'two');
INSERT INTO tenancy.memberships (organization_id, user_id) VALUES (:'two', :'eve');
INSERT INTO seats VALUES (:'two', :'eve');
-- a function of somebody else's calls a command, which has that one's rights
CREATE ROLE regress_attacks_triggers_other;
GRANT CREATE, USAGE ON SCHEMA regress_attacks_triggers TO regress_attacks_triggers_other;
SET ROLE regress_attacks_triggers_other;
CREATE FUNCTION delete_all_projects() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.delete_project(p.id) FROM tenancy.my_projects p;
END $$;
-- ... also where PL/pgSQL computes an expression, which is no query
CREATE FUNCTION delete_project(project uuid) RETURNS boolean SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
	RETURN tenancy.delete_project(project) IS NULL;
END $$;
CREATE FUNCTION delete_nothing() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.delete_project(NULL);
END $$;
RESET ROLE;
-- ... or ANALYZE, by a superuser or autovacuum, the expression of an index
SET ROLE regress_attacks_triggers_owner;
CREATE TABLE secrets AS SELECT :'session_b' AS session, :'two'::uuid AS organization, :'eve'::uuid AS member;
CREATE FUNCTION indexed(session text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE INDEX ON secrets (indexed(session));
CREATE FUNCTION remove_later() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	s regress_attacks_triggers.secrets;
BEGIN
	SELECT * INTO s FROM regress_attacks_triggers.secrets;
	PERFORM tenancy.authenticate(s.session);
	RETURN tenancy.remove_member(s.organization, s.member) IS NULL;
END $$;
CREATE OR REPLACE FUNCTION indexed(session text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN regress_attacks_triggers.remove_later();
END $$;
RESET ROLE;
\c - :superuser
BEGIN;
ANALYZE regress_attacks_triggers.secrets;
ROLLBACK;

-- each in a session of its own, which has not loaded the library yet
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SAVEPOINT s;
SELECT tenancy.delete_project(:'p2') \gset
ROLLBACK TO s;
SELECT regress_attacks_triggers.delete_all_projects() \gset
ROLLBACK TO s;
SELECT regress_attacks_triggers.delete_project(:'p2') \gset
ROLLBACK TO s;
-- of whoever was called before nothing is left
DO $$
BEGIN
	PERFORM regress_attacks_triggers.delete_nothing();
EXCEPTION WHEN no_data_found THEN
	IF tenancy.delete_project((SELECT p.id FROM tenancy.my_projects p)) IS NULL THEN NULL; END IF;
END $$;
ROLLBACK TO s;
-- a command that has another function delete
SELECT tenancy.remove_member(:'two', :'eve') \gset
ROLLBACK TO s;
-- an error in it leaves nothing of it behind
SELECT regress_attacks_triggers.delete_nothing();
ROLLBACK TO s;
SELECT tenancy.delete_organization(:'two') \gset
COMMIT;
\c - :gateway
SELECT tenancy.delete_user(:'eve') \gset
\c - :superuser
SELECT id, project_id = :'p1' AS in_p1, author_id FROM regress_attacks_triggers.notes ORDER BY id;
SELECT count(*) FROM regress_attacks_triggers.settings;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_attacks_triggers_owner';
-- a statement of one's own is nobody else's
DELETE FROM tenancy.organizations WHERE id = :'one';

SET client_min_messages = warning;
DROP SCHEMA regress_attacks_triggers CASCADE;
DROP OWNED BY regress_attacks_triggers_owner, regress_attacks_triggers_other;
DROP ROLE regress_attacks_triggers_owner, regress_attacks_triggers_other;
\i :two_end
