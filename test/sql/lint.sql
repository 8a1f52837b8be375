-- lint(), part 1: tables, their policies, keys and columns.  Each fault makes one
-- rule speak, and its remedy makes it silent.
\set test lint
\getenv inputs PG_ABS_SRCDIR
\set lint :inputs /sql/lint.psql
\i :lint

-- On a sound database there is nothing to say.
SELECT * FROM findings;
CREATE TABLE pages (project_id uuid NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), page_id uuid, body text,
					PRIMARY KEY (project_id, id), FOREIGN KEY (project_id, page_id) REFERENCES pages);
CREATE INDEX pages_of_page ON pages (project_id, page_id);
SELECT tenancy.protect('pages');
CREATE TABLE bills (organization_id uuid NOT NULL, n integer);
SELECT tenancy.protect_by_organization('bills', 'organization_id', 'administrator', 'owner');
CREATE TABLE parts (project_id uuid NOT NULL, n integer) PARTITION BY RANGE (n);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
SELECT tenancy.protect('parts', editable_by => 'administrator');
GRANT SELECT, INSERT, UPDATE, DELETE ON pages, bills, parts TO PUBLIC;
SELECT * FROM findings;
-- whatever the session's settings are
SET quote_all_identifiers = on;
SELECT * FROM findings;
RESET quote_all_identifiers;
SET search_path = regress, tenancy;
SELECT * FROM findings;
SET search_path = regress;

-- attacks 72, 80: tables that ought to be protected, copies among them
SELECT planted('CREATE TABLE copy AS SELECT * FROM events');
SELECT planted('CREATE TABLE linked (p uuid REFERENCES tenancy.projects)');
SELECT planted('CREATE TABLE linked (p uuid, o uuid, FOREIGN KEY (p, o) REFERENCES tenancy.projects (id, organization_id))');
SELECT planted('CREATE TABLE of_organization (organization_id uuid)');
SELECT planted('CREATE TABLE texts (project_id text)');
SELECT planted('CREATE TABLE "x''); --" (project_id uuid)');
SELECT planted('CREATE TABLE numbers (project_id integer)');
SELECT planted('CREATE TABLE apart (project_id uuid, n integer) PARTITION BY LIST (n)', 'CREATE TABLE apart_1 PARTITION OF apart DEFAULT');
SELECT planted('SELECT tenancy.unprotect(''pages'')');
SELECT planted('ALTER EVENT TRIGGER tenancy_protect_partitions DISABLE', 'SELECT tenancy._unprotect(''parts_1'')',
			   'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS');
SELECT planted('ALTER EVENT TRIGGER tenancy_protect_partitions DISABLE',
			   'SELECT tenancy._create_policies(''parts_1'', e.reading, e.inserting, e.changing)
				FROM tenancy._policy_expressions(''project'', ''project_id'', ''member'', ''member'') e',
			   'ALTER EVENT TRIGGER tenancy_protect_partitions ENABLE ALWAYS');
SELECT planted('ALTER EVENT TRIGGER tenancy_protect_partitions DISABLE');
-- attack 83: foreign tables
CREATE FOREIGN DATA WRAPPER regress_lint_wrapper;
CREATE SERVER regress_lint_server FOREIGN DATA WRAPPER regress_lint_wrapper;
SELECT planted('CREATE FOREIGN TABLE elsewhere (project_id uuid) SERVER regress_lint_server', 'GRANT SELECT ON elsewhere TO PUBLIC');

-- attacks 56, 57, 71: row security, and our policies
SELECT planted('ALTER TABLE events DISABLE ROW LEVEL SECURITY');
SELECT planted('ALTER TABLE events NO FORCE ROW LEVEL SECURITY');
SELECT planted('DROP POLICY tenancy_floor ON events');
SELECT planted('DROP POLICY tenancy_floor ON bills');
SELECT planted('DROP POLICY tenancy_floor ON parts_1');
SELECT planted('DROP POLICY tenancy_floor_update ON events');
SELECT planted('DROP POLICY tenancy_floor_delete ON bills');
SELECT planted('DROP POLICY tenancy_select ON events');
SELECT planted('DROP POLICY tenancy_select ON events', 'CREATE POLICY own ON events FOR SELECT USING (amount > 0)');
SELECT planted('ALTER POLICY tenancy_floor ON events USING (true) WITH CHECK (true)');
SELECT planted('ALTER POLICY tenancy_floor ON events USING (tenancy.can_view(project_id) OR amount > 0)');
SELECT planted('ALTER POLICY tenancy_floor ON events USING (COALESCE(tenancy.can_view(project_id), true))');
SELECT planted('ALTER POLICY tenancy_floor ON events TO regress_lint_app');
SELECT planted('ALTER POLICY tenancy_floor_update ON bills USING (tenancy.is_member(organization_id, ''member''))');
SELECT planted('ALTER POLICY tenancy_insert ON events WITH CHECK (tenancy.can_write(project_id, ''owner''))');
SELECT planted('DROP POLICY tenancy_floor ON events', 'CREATE POLICY tenancy_floor ON events USING (tenancy.can_view(project_id))');
SELECT planted('DROP POLICY tenancy_floor_delete ON events', 'CREATE POLICY tenancy_floor_delete ON events AS RESTRICTIVE FOR ALL USING (tenancy.can_edit(project_id))');
SELECT planted('CREATE POLICY beside ON events FOR SELECT USING (amount > 0)');
SELECT planted('CREATE POLICY beside ON events USING (amount > 0)');
SELECT planted('CREATE POLICY narrow ON events AS RESTRICTIVE FOR SELECT USING (amount > 0)');

-- attack 70: the column
SELECT planted('ALTER TABLE events ALTER COLUMN project_id DROP NOT NULL');
SELECT planted('ALTER TABLE events DROP CONSTRAINT events_project_id_fkey');
SELECT planted('ALTER TABLE bills DROP CONSTRAINT bills_organization_id_fkey');
SELECT planted('ALTER TABLE events DROP CONSTRAINT events_project_id_fkey',
			   'ALTER TABLE events ADD FOREIGN KEY (project_id) REFERENCES tenancy.projects ON DELETE CASCADE NOT VALID');
SELECT planted('DROP INDEX events_project_id_idx');
SELECT planted('DROP INDEX events_project_id_idx', 'CREATE INDEX ON events (project_id) WHERE amount > 0');

-- attack 73: rights
SELECT planted('GRANT TRUNCATE ON events TO regress_lint_app');
SELECT planted('GRANT ALL ON events TO PUBLIC');
SELECT planted('GRANT REFERENCES (amount) ON events TO regress_lint_client');
SELECT planted('GRANT TRIGGER ON parts_1 TO regress_lint_client');

-- attacks 61 and 67: keys and indexes
SELECT planted('ALTER TABLE pages ADD UNIQUE (body)');
SELECT planted('ALTER TABLE pages ADD "a key" text', 'ALTER TABLE pages ADD CONSTRAINT "un,ique" UNIQUE ("a key", body)');
SELECT planted('CREATE UNIQUE INDEX ON pages (lower(body)) WHERE body <> ''''');
SELECT planted('ALTER TABLE bills ADD PRIMARY KEY (n)');
SELECT planted('ALTER TABLE bills ADD CONSTRAINT overlap EXCLUDE USING btree (n WITH =)');
SELECT planted('ALTER TABLE pages ADD UNIQUE (id)');
SELECT planted('ALTER TABLE pages ADD UNIQUE (id, project_id)');
SELECT planted('CREATE INDEX ON events (amount)');
SELECT planted('CREATE INDEX ON events (abs(amount))');
SELECT planted('CREATE INDEX ON events USING hash (amount)');

-- attacks 60, 63, 64: foreign keys between protected tables
SELECT planted('ALTER TABLE pages ADD UNIQUE (id)', 'ALTER TABLE pages ADD FOREIGN KEY (page_id) REFERENCES pages (id) ON DELETE CASCADE');
SELECT planted('CREATE TABLE notes (project_id uuid NOT NULL, page uuid, id uuid, PRIMARY KEY (project_id, id))',
			   'SELECT tenancy.protect(''notes'')',
			   'ALTER TABLE pages ADD UNIQUE (id)',
			   'ALTER TABLE notes ADD FOREIGN KEY (page) REFERENCES pages (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED');
SELECT planted('ALTER TABLE bills ADD page uuid', 'ALTER TABLE pages ADD UNIQUE (id)', 'ALTER TABLE bills ADD FOREIGN KEY (page) REFERENCES pages (id)');
-- and without an index over them
SELECT planted('DROP INDEX pages_of_page', 'CREATE INDEX ON pages (project_id, body, page_id)', 'CREATE INDEX ON pages (project_id, page_id) WHERE body IS NULL');
SELECT planted('DROP INDEX pages_of_page', 'CREATE INDEX ON pages (page_id, project_id, body)');
-- attack 59: and from outside
SELECT planted('CREATE TABLE probe (p uuid, id uuid, FOREIGN KEY (p, id) REFERENCES pages)');
SELECT planted('CREATE TABLE probe (u uuid REFERENCES tenancy.users)');

-- attacks 78 and 79: numbers
SELECT planted('ALTER TABLE events ADD id bigserial');
SELECT planted('ALTER TABLE events ADD id bigint GENERATED ALWAYS AS IDENTITY', 'GRANT USAGE ON SEQUENCE events_id_seq TO regress_lint_app');
SELECT planted('ALTER TABLE events ADD id bigserial', 'GRANT SELECT, USAGE ON SEQUENCE events_id_seq TO regress_lint_app');

-- attack 61: numbers that others choose, where a number is unique over all projects
SELECT planted('ALTER TABLE events ADD id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY');
SELECT planted('ALTER TABLE events ADD id bigint GENERATED ALWAYS AS IDENTITY', 'ALTER TABLE events ADD PRIMARY KEY (project_id, id)');
SELECT planted('ALTER TABLE events ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'REVOKE INSERT ON events FROM PUBLIC',
			   'GRANT INSERT (project_id, amount) ON events TO regress_lint_app');
-- its remedy alone: the application goes on, and chooses no number
CREATE TABLE counted (project_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a text" text);
SELECT tenancy.protect('counted');
GRANT SELECT, INSERT ON counted TO regress_lint_app;
SELECT remedy FROM findings WHERE rule = 'identity_insertable' \gset
SELECT :'remedy';
:remedy
SELECT rule FROM findings WHERE rule = 'identity_insertable';
SET ROLE regress_lint_app;
SELECT act('alice');
SELECT attempt('INSERT INTO counted (project_id, "a text") VALUES (id(''open''), ''x'')');
SELECT attempt('INSERT INTO counted OVERRIDING SYSTEM VALUE VALUES (id(''open''), 7, ''x'')');
SELECT tenancy.sign_out();
RESET ROLE;
DROP TABLE counted;

-- what leaks from columns
SELECT planted('ALTER TABLE events REPLICA IDENTITY FULL');
SELECT planted('ALTER TABLE pages ADD UNIQUE (id)', 'ALTER TABLE pages REPLICA IDENTITY USING INDEX pages_id_key');
SELECT planted('ALTER TABLE pages REPLICA IDENTITY USING INDEX pages_pkey');
SELECT planted('CREATE FUNCTION guess(uuid) RETURNS bigint LANGUAGE sql IMMUTABLE AS ''SELECT count(*) FROM known''',
			   'ALTER TABLE events ADD seen bigint GENERATED ALWAYS AS (guess(project_id)) STORED');
SELECT planted('ALTER TABLE pages ADD short text GENERATED ALWAYS AS (left(body, 3)) STORED', 'REVOKE SELECT ON pages FROM PUBLIC',
			   'GRANT SELECT (project_id, short) ON pages TO regress_lint_app');
SELECT planted('ALTER TABLE pages ADD attachment oid');
SELECT planted('SET LOCAL lo_compat_privileges = on');

-- policies of the application's own
SELECT planted('CREATE TABLE plain (n integer)', 'CREATE POLICY p ON plain USING (n > 0)');
SELECT planted('CREATE TABLE plain (n integer)', 'ALTER TABLE plain ENABLE ROW LEVEL SECURITY');
SELECT planted('CREATE TABLE plain (n integer)', 'ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
			   'CREATE POLICY p ON plain AS RESTRICTIVE USING (n > 0)');
SELECT planted('CREATE TABLE plain (n integer)', 'ALTER TABLE plain ENABLE ROW LEVEL SECURITY', 'CREATE POLICY p ON plain USING (n > 0)');
CREATE TABLE plain (n integer, p uuid, author text);
ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY positive ON plain USING (n > 0);
-- sound ones, all at once
SELECT planted('CREATE POLICY p1 ON plain AS RESTRICTIVE FOR DELETE USING (false)',
			   'CREATE POLICY p2 ON plain USING (EXISTS (SELECT FROM tenancy.my_projects m WHERE m.id = p))',
			   'CREATE POLICY p3 ON plain AS RESTRICTIVE USING (tenancy.current_user_id() IS NOT NULL)',
			   'CREATE POLICY p4 ON plain USING (author = current_setting(''app.user'', true))',
			   'CREATE POLICY p5 ON plain USING (author LIKE ''x%'')',
			   'CREATE ROLE regress_lint_somebody LOGIN', 'CREATE POLICY p6 ON plain TO regress_lint_somebody USING (n > 1)',
			   'CREATE ROLE regress_lint_some', 'GRANT regress_lint_some TO regress_lint_app', 'CREATE POLICY p7 ON plain TO regress_lint_some USING (n > 1)');
-- and of each fault its variants
SELECT planted('CREATE POLICY p1 ON plain FOR SELECT USING (true)', 'CREATE POLICY p2 ON plain FOR SELECT USING (n > 1 OR true)',
			   'CREATE POLICY p3 ON plain FOR INSERT WITH CHECK (1 = 1)', 'CREATE POLICY p4 ON plain FOR UPDATE USING (n > 1) WITH CHECK (true)',
			   'CREATE POLICY p5 ON plain AS RESTRICTIVE USING (true)');
SELECT planted('CREATE POLICY p1 ON plain FOR SELECT USING (false)', 'CREATE POLICY p2 ON plain FOR SELECT USING (n > 1 AND false)');
SELECT planted('CREATE POLICY p ON plain USING (EXISTS (SELECT FROM tenancy.my_organizations))');
SELECT planted('CREATE POLICY p1 ON plain USING (NOT tenancy.can_view(p))', 'CREATE POLICY p2 ON plain USING (coalesce(tenancy.can_view(p), true))',
			   'CREATE POLICY p3 ON plain USING (tenancy.can_view(p) IS NOT FALSE)');
SELECT planted('CREATE POLICY p1 ON plain USING (tenancy.current_user_id() IS NULL OR author = ''x'')',
			   'CREATE POLICY p2 ON plain USING (p IS NOT DISTINCT FROM tenancy.current_user_id())',
			   'CREATE POLICY p3 ON plain USING (p = coalesce(tenancy.current_project_id(), p))',
			   'CREATE POLICY p4 ON plain USING (current_setting(''app.user'', true) IS NULL OR author = current_setting(''app.user''))');
SELECT planted('CREATE POLICY p1 ON plain USING (author LIKE current_setting(''app.user'', true))', 'CREATE POLICY p2 ON plain USING (current_user ~ author)');
SELECT planted('CREATE FUNCTION chance(integer) RETURNS boolean LANGUAGE sql AS ''SELECT true''', 'CREATE POLICY p1 ON plain USING (chance(n))',
			   'CREATE POLICY p2 ON plain USING (random() < n)');
SELECT planted('CREATE ROLE regress_lint_nobody', 'CREATE POLICY p ON plain TO regress_lint_nobody USING (n > 1)');
SELECT planted('CREATE POLICY narrow ON events AS RESTRICTIVE USING (current_user <> ''x'')');
SELECT planted('CREATE POLICY narrow ON events AS RESTRICTIVE USING (amount > current_setting(''app.least'')::integer)');
SELECT planted('CREATE POLICY narrow ON events AS RESTRICTIVE USING (project_id::text <> current_setting(''tenancy.project_id'', true))');
SELECT planted('CREATE TABLE allowed (n integer)', 'GRANT SELECT, INSERT ON allowed TO regress_lint_app',
			   'CREATE POLICY narrow ON events AS RESTRICTIVE USING (EXISTS (SELECT FROM allowed WHERE n = amount))');
SELECT planted('CREATE TABLE allowed (n integer)', 'GRANT SELECT ON allowed TO regress_lint_app',
			   'CREATE POLICY narrow ON events AS RESTRICTIVE USING (EXISTS (SELECT FROM allowed WHERE n = amount))');
SELECT planted('CREATE POLICY narrow ON events AS RESTRICTIVE USING (EXISTS (SELECT FROM tenancy.my_projects m WHERE m.id = project_id))');
SELECT planted('CREATE FUNCTION sees(uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS ''BEGIN RETURN tenancy.can_view($1); END''',
			   'CREATE POLICY narrow ON events AS RESTRICTIVE USING (sees(project_id))');
DROP TABLE plain;

-- The remedy is text to paste.
ALTER TABLE events DISABLE ROW LEVEL SECURITY;
SELECT rule, severity, object, problem, remedy FROM findings;
SELECT remedy FROM findings \gexec
SELECT * FROM findings;

\set ECHO none
DROP FOREIGN DATA WRAPPER regress_lint_wrapper CASCADE;
\set end :inputs /sql/lint_end.psql
\i :end
