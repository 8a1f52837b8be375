-- Attacks by way of what runs at another time or on another's behalf: deferred
-- triggers, maintenance, repairs by the administrator's hand, locks that others
-- hold.  The numbers are those of the attack catalogue.
\set test attacks_later
\getenv inputs PG_ABS_SRCDIR
\set two :inputs /sql/two.psql
\i :two
CREATE TABLE attacks_later_log (project_id uuid DEFAULT tenancy.current_project_id(), what text, who text DEFAULT acting());
CREATE FUNCTION attacks_later_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO attacks_later_log (what) VALUES (TG_NAME);
	RETURN NULL;
END $$;
CREATE TRIGGER "at once" AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION attacks_later_note();
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION attacks_later_note();
GRANT INSERT ON events TO PUBLIC;
GRANT INSERT, SELECT ON attacks_later_log TO PUBLIC;

-- attack 111: a trigger that is deferred runs on behalf of whoever acts when the
-- transaction ends: the same user, as a rule
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
INSERT INTO events VALUES (:'p2', 10);
COMMIT;
SELECT what, who FROM attacks_later_log ORDER BY what;
-- ... if somebody else signs in meanwhile, that one; so record who acts at once
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
INSERT INTO events VALUES (:'p2', 11);
SELECT tenancy.act_as(:'alice') \gset
COMMIT;
SELECT what, who FROM attacks_later_log ORDER BY ctid OFFSET 2;
-- attack 111: nothing of the extension's own is decided late, on tables of the
-- application's neither
SELECT conrelid::regclass, conname FROM pg_constraint
WHERE condeferrable AND (connamespace = 'tenancy'::regnamespace OR conrelid = 'events'::regclass AND contype <> 't');
SELECT tgrelid::regclass, tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE tgdeferrable AND relnamespace = 'tenancy'::regnamespace;

-- attack 112: maintenance runs for nobody, or for whoever asked, and does not fail
\c - :superuser
CREATE FUNCTION attacks_later_mine(project uuid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
	AS 'BEGIN RETURN tenancy.can_view(project); END';
CREATE TABLE attacks_later_kept AS SELECT * FROM events;
CREATE INDEX attacks_later_index ON attacks_later_kept (attacks_later_mine(project_id));
CREATE STATISTICS attacks_later_statistics ON attacks_later_mine(project_id), amount FROM attacks_later_kept;
ALTER TABLE attacks_later_kept OWNER TO regress_attacks_later_gateway;
CREATE MATERIALIZED VIEW attacks_later_copy AS SELECT count(*) FROM events WITH NO DATA;
ALTER MATERIALIZED VIEW attacks_later_copy OWNER TO regress_attacks_later_gateway;
VACUUM (ANALYZE) attacks_later_kept;
REINDEX TABLE attacks_later_kept;
CLUSTER attacks_later_kept USING attacks_later_index;
REFRESH MATERIALIZED VIEW attacks_later_copy;
TABLE attacks_later_copy;
SELECT most_common_vals FROM pg_stats WHERE tablename = 'attacks_later_index';
-- ... a copy holds what its owner saw, on behalf of whoever asked
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
REFRESH MATERIALIZED VIEW attacks_later_copy;
ANALYZE attacks_later_kept;
COMMIT;
TABLE attacks_later_copy;

-- attack 138: where triggers and foreign keys are silenced there is still no
-- organization without an Owner's id
SET session_replication_role = replica;
\set VERBOSITY sqlstate
UPDATE tenancy.organizations SET owner_id = NULL WHERE id = :'one';
INSERT INTO tenancy.organizations (name, owner_id, plan) VALUES ('Nobody''s', NULL, 'enterprise');
\set VERBOSITY terse
-- ... only of one whom nobody can be any more: nothing is open to anybody, and the
-- administrator puts somebody else in that place
DELETE FROM tenancy.users WHERE id = :'alice';
RESET session_replication_role;
\c - :gateway
BEGIN;
SELECT tenancy.act_as(:'alice') \gset
TABLE seen;
SELECT tenancy.delete_organization(:'one');
ROLLBACK;
\c - :superuser
SELECT tenancy.assign_owner(:'one', :'bob') \gset
BEGIN;
SELECT tenancy.act_as(:'bob') \gset
SET LOCAL ROLE regress_attacks_later_gateway;
TABLE seen;
SELECT name, level FROM tenancy.my_organizations ORDER BY name;
COMMIT;

-- attack 140: no command takes a lock that others can see the key of, or hold
SELECT tenancy.create_session(:'bob') AS session_b \gset
\c - :app
BEGIN;
SELECT tenancy.authenticate(:'session_b') \gset
SELECT tenancy.rename_organization(:'two', 'Three') \gset
SELECT tenancy.create_project(:'two', 'Another') AS p3 \gset
SELECT tenancy.rotate_project_token(:'p3') \gset
SELECT tenancy.set_project_privacy(:'p3', true) \gset
SELECT tenancy.delete_project(:'p3') \gset
SELECT locktype, count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype NOT IN ('relation', 'virtualxid', 'transactionid')
	AND mode <> 'SIReadLock'
GROUP BY locktype ORDER BY locktype;
ROLLBACK;
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace AND p.prosrc ~* 'advisory';

\c - :superuser
DROP TABLE attacks_later_log, attacks_later_kept;
DROP MATERIALIZED VIEW attacks_later_copy;
DROP TRIGGER "at once" ON events;
DROP TRIGGER deferred ON events;
DROP FUNCTION attacks_later_note();
DROP FUNCTION attacks_later_mine(uuid);
\i :two_end
