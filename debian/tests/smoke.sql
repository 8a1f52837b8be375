-- A few lines that show that the extension does what it is for.
CREATE TABLE notes (project_id uuid NOT NULL, body text NOT NULL);
CREATE INDEX ON notes (project_id);
SET client_min_messages = warning;
SELECT tenancy.protect('notes') \g /dev/null
CREATE ROLE app;
GRANT SELECT, INSERT ON notes TO app;
SELECT tenancy.grant_application('app') \g /dev/null
SET tenancy.email_enabled = on;

SET ROLE app;
SELECT tenancy.create_user('alice@regress.example', 'Alice') AS alice \gset
BEGIN;
SET LOCAL tenancy.user_id = :'alice';
SELECT tenancy.create_organization('Acme') AS acme \gset
INSERT INTO notes SELECT id, 'Hello' FROM tenancy.my_projects;
SELECT 'rows that Alice sees: ' || count(*) FROM notes;
SELECT tenancy.create_invite(:'acme', 'bob@regress.example') \g /dev/null
COMMIT;
SELECT 'rows that nobody sees: ' || count(*) FROM notes;
RESET ROLE;
SELECT 'faults: ' || count(*) FROM tenancy.check_integrity();
SELECT 'mail that waits: ' || count(*) FROM tenancy.notifications WHERE attempts = 0;
