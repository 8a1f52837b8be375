-- Attacks by way of keys: what foreign keys say of hidden rows, link to them and
-- do to them, where a table is designed as docs/protection.md says.  The numbers
-- are those of the attack catalogue.
\set test attacks_keys
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
RESET ROLE;
SET client_min_messages = warning;
-- notes 1 and 2 in open, 1 and 7 in hidden, 8 nowhere; each with a reply that goes
-- with it, and an answer to notes 1 that holds it
CREATE TABLE notes (project_id uuid NOT NULL, id integer, body text, PRIMARY KEY (project_id, id));
CREATE TABLE replies (project_id uuid NOT NULL, id integer, note_id integer, PRIMARY KEY (project_id, id),
	FOREIGN KEY (project_id, note_id) REFERENCES notes ON DELETE CASCADE);
CREATE TABLE answers (project_id uuid NOT NULL, id integer, note_id integer, PRIMARY KEY (project_id, id),
	FOREIGN KEY (project_id, note_id) REFERENCES notes);
CREATE INDEX ON replies (project_id, note_id);
SELECT tenancy.protect(t::regclass) FROM unnest('{notes,replies,answers}'::text[]) t \gset
GRANT SELECT, INSERT, UPDATE, DELETE ON notes, replies, answers TO PUBLIC;
INSERT INTO notes VALUES (id('open'), 1, 'open'), (id('open'), 2, 'open'), (id('hidden'), 1, 'hidden'), (id('hidden'), 7, 'hidden');
INSERT INTO replies SELECT project_id, id, id FROM notes;
INSERT INTO answers SELECT project_id, id, id FROM notes WHERE id = 1 AND body = 'hidden';
RESET client_min_messages;
SET ROLE :client;

-- attack 59: nobody makes a foreign key of their own to ask with
RESET ROLE;
GRANT CREATE ON SCHEMA regress TO :client;
SET ROLE :client;
SELECT attempt('CREATE TABLE probe (project_id uuid REFERENCES tenancy.projects)');
SELECT attempt('CREATE TABLE probe (organization_id uuid REFERENCES tenancy.organizations)');
SELECT attempt('CREATE TABLE probe (project_id uuid, note_id integer, FOREIGN KEY (project_id, note_id) REFERENCES notes)');

-- attack 60: a row links to no hidden one, and a hidden one is like a missing one
SET ROLE :app;
SELECT act('mia');
SELECT attempt('UPDATE replies SET note_id = 7 WHERE id = 1') AS hidden;
SELECT attempt('UPDATE replies SET note_id = 8 WHERE id = 1') AS missing;
SELECT attempt($$INSERT INTO replies VALUES (id('open'), 3, 7)$$) = attempt($$INSERT INTO replies VALUES (id('open'), 3, 8)$$) AS alike;
SELECT attempt($$INSERT INTO replies VALUES (id('hidden'), 3, 7)$$) = attempt($$INSERT INTO replies VALUES (id('fake'), 3, 7)$$) AS alike;

-- attack 61: nor is a key taken that is taken in a hidden project
SELECT attempt($$INSERT INTO notes VALUES (id('open'), 7, 'x')$$);
SELECT attempt($$INSERT INTO answers VALUES (id('open'), 1, NULL) ON CONFLICT DO NOTHING$$);

-- attacks 63, 64: what hangs on a row of a hidden project neither goes with nor
-- holds one of the same number
SELECT attempt('DELETE FROM notes WHERE id = 1');
SELECT attempt('UPDATE notes SET id = 9 WHERE id = 7');
SELECT (SELECT string_agg(id::text, ' ' ORDER BY id) FROM notes) AS notes, (SELECT string_agg(id::text, ' ' ORDER BY id) FROM replies) AS replies;
SELECT act('alice');
SELECT called(project_id), string_agg(note_id::text, ' ' ORDER BY note_id) FROM replies GROUP BY 1 ORDER BY 1;
-- ... while of the Owner's own rows both are true
SELECT split_part(attempt($$DELETE FROM notes WHERE project_id = id('hidden') AND id = 1$$), ' / ', 1);
SELECT attempt($$DELETE FROM notes WHERE project_id = id('hidden') AND id = 7$$);
SELECT called(project_id), string_agg(note_id::text, ' ' ORDER BY note_id) FROM replies GROUP BY 1 ORDER BY 1;

-- attack 64: a foreign key that holds a project back is one error, without
-- names of tables
RESET ROLE;
CREATE TABLE holds (project_id uuid REFERENCES tenancy.projects, organization_id uuid REFERENCES tenancy.organizations);
INSERT INTO holds VALUES (id('hidden'), NULL), (NULL, id('rival'));
SET ROLE :app;
SELECT attempt($$SELECT tenancy.delete_project(id('hidden'))$$);
SELECT attempt($$SELECT tenancy.delete_organization(id('acme'))$$);
SELECT act('bob');
SELECT attempt($$SELECT tenancy.delete_organization(id('rival'))$$);

\i :cleanup
