-- Questions about others: explain_access, who_can_access, what_can_access and
-- the previews; who is answered, and that asking leaves nothing behind.
\set test questions
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture
SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('mia'), 'member');
SELECT remember('secret', tenancy.create_project(id('acme'), 'Top secret', true));
-- Sentences, with names for ids.
CREATE FUNCTION pg_temp.explain(who text, permission tenancy.permission, target text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	k record;
BEGIN
	FOR line IN SELECT e.step || ' ' || coalesce(e.granted::text, '-') || ' ' || e.sentence
				FROM tenancy.explain_access(id(who), permission, id(target)) e ORDER BY e.step LOOP
		FOR k IN SELECT * FROM known WHERE known.id IS NOT NULL LOOP
			line := replace(line, k.id::text, k.name);
		END LOOP;
		RETURN NEXT line;
	END LOOP;
END
$$;
-- granted, each for its own reason
SELECT pg_temp.explain('alice', 'organization.delete', 'acme');
SELECT pg_temp.explain('adam', 'project.manage', 'hidden');
SELECT pg_temp.explain('mia', 'project.view', 'hidden');
SELECT pg_temp.explain('max', 'project.view', 'open');
-- refused, each with the smallest change that would allow it
SELECT pg_temp.explain('max', 'project.view', 'hidden');
SELECT pg_temp.explain('mia', 'project.manage', 'hidden');
SELECT pg_temp.explain('max', 'project.manage', 'hidden');
SELECT pg_temp.explain('max', 'project.manage', 'open');
SELECT pg_temp.explain('mia', 'project.set_privacy', 'hidden');
SELECT pg_temp.explain('adam', 'organization.transfer', 'acme');
SELECT pg_temp.explain('alice', 'organization.leave', 'acme');
-- somebody from outside is like somebody who never was, to all but the DBA
SELECT pg_temp.explain('eve', 'project.view', 'open');
SELECT pg_temp.explain('fake', 'project.view', 'open');
SELECT pg_temp.explain('null', 'project.view', 'open');
RESET ROLE;
SELECT tenancy.sign_out();
SELECT pg_temp.explain('eve', 'project.view', 'hidden');
SELECT tenancy.set_user_active(id('max'), false);
SELECT pg_temp.explain('max', 'project.view', 'open');
SELECT pg_temp.explain('max', 'project.view', 'hidden');
SELECT tenancy.set_user_active(id('max'), true);
SET ROLE :app;

-- Who is answered: whoever sees the project or manages the organization ...
SELECT act('mia');
SELECT called(user_id), email, name, level, source FROM tenancy.who_can_access(id('hidden'));
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''alice''), ''project.manage'', %1$L)', 'open', 'hidden', 'secret', 'foreign', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.who_can_access(%1$L)', 'secret', 'foreign', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''alice''), ''organization.manage'', %1$L)', 'acme', 'rival', 'fake', 'null');
-- ... about oneself, as far as one sees it
SELECT pg_temp.explain('mia', 'organization.manage', 'acme');
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''mia''), ''project.manage'', %1$L)', 'secret', 'foreign', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''mia''), ''organization.manage'', %1$L)', 'rival', 'fake', 'null');
-- ... of others, what one knows
SELECT called(organization_id), called(project_id), level, source FROM tenancy.what_can_access(id('adam')) ORDER BY 2 NULLS FIRST;
SELECT alike('SELECT * FROM tenancy.what_can_access(%1$L)', 'bob', 'eve', 'fake', 'null');
SELECT act('alice');
SELECT called(project_id), level, source FROM tenancy.what_can_access(id('adam')) ORDER BY 1 NULLS FIRST;
SELECT act('eve');
SELECT count(*) FROM tenancy.what_can_access(id('eve'));
SELECT alike('SELECT * FROM tenancy.who_can_access(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''mia''), ''project.view'', %1$L)', 'open', 'hidden', 'foreign', 'fake', 'null');
-- ... nobody and a project token are not
SELECT tenancy.sign_out();
SELECT alike('SELECT * FROM tenancy.who_can_access(%1$L)', 'open', 'hidden', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.what_can_access(%1$L)', 'mia', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.explain_access(regress.id(''mia''), ''project.view'', %1$L)', 'open', 'hidden', 'fake', 'null');
SELECT attempt('SELECT * FROM tenancy.access_at(now())');
-- ... and the DBA is, but not who borrows their function
RESET ROLE;
SELECT called(user_id), level, source FROM tenancy.who_can_access(id('secret'));
SELECT alike('SELECT * FROM tenancy.who_can_access(%1$L)', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.what_can_access(%1$L)', 'fake', 'null');
SELECT count(*) FROM tenancy.what_can_access(id('eve'));
SELECT attempt('SELECT * FROM tenancy.explain_access(id(''mia''), NULL, id(''open''))');
GRANT CREATE ON SCHEMA regress TO :client;
SET ROLE :client;
CREATE FUNCTION regress.curious(project uuid) RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM tenancy.who_can_access(project)';
RESET ROLE;
SELECT attempt($$SELECT curious(id('secret'))$$);
REVOKE CREATE ON SCHEMA regress FROM :client;
DROP FUNCTION regress.curious;

-- Previews: what a command would change, and it has changed nothing: no access, no
-- entry in the log, no message, no lock
SET ROLE :app;
CREATE FUNCTION pg_temp.preview(command text) RETURNS TABLE (who text, project text, before tenancy.access_level, after tenancy.access_level) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT called(p.user_id), coalesce(called(p.project_id), ''-''), p.before, p.after FROM tenancy.%s p ORDER BY 1, 2', command);
END
$$;
RESET ROLE;
CREATE TEMP TABLE before AS
	SELECT (SELECT jsonb_agg(to_jsonb(a) ORDER BY to_jsonb(a)::text) FROM tenancy.access a) AS access, (SELECT sum(h.entries) FROM tenancy.audit_heads h) AS entries,
		   (SELECT string_agg(o.version::text, ' ' ORDER BY o.id) FROM tenancy.organizations o) AS versions, (SELECT count(*) FROM tenancy.notifications) AS mail,
		   (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.user_id) FROM tenancy.user_preferences p) AS switchers;
GRANT SELECT ON before TO PUBLIC;
SET ROLE :app;
SELECT act('adam');
BEGIN;
SELECT * FROM pg_temp.preview($$preview_remove_member(id('acme'), id('mia'))$$);
SELECT * FROM pg_temp.preview($$preview_set_member_level(id('acme'), id('max'), 'administrator')$$);
SELECT * FROM pg_temp.preview($$preview_set_project_privacy(id('open'), true)$$);
SELECT * FROM pg_temp.preview($$preview_set_project_privacy(id('hidden'), false)$$);
SELECT tenancy.current_user_id() = id('adam') AS still_adam;
-- attack 157: no lock is left
RESET ROLE;
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode LIKE '%Exclusive%' AND locktype IN ('tuple', 'transactionid')
	AND transactionid IS DISTINCT FROM (SELECT pg_current_xact_id_if_assigned()::xid);
COMMIT;
SET ROLE :app;
-- ... with the errors of the command
SELECT attempt($$SELECT * FROM tenancy.preview_remove_member(id('acme'), id('alice'))$$);
SELECT attempt($$SELECT * FROM tenancy.preview_set_member_level(id('acme'), id('adam'), 'member')$$);
SELECT attempt($$SELECT * FROM tenancy.preview_set_plan(id('acme'), 'free')$$);
SELECT act('mia');
SELECT alike('SELECT * FROM tenancy.preview_set_project_privacy(%1$L, false)', 'open', 'hidden', 'secret', 'foreign', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.preview_remove_member(%1$L, regress.id(''max''))', 'acme', 'rival', 'fake', 'null');
SELECT tenancy.sign_out();
SELECT alike('SELECT * FROM tenancy.preview_remove_member(%1$L, regress.id(''max''))', 'acme', 'rival', 'fake', 'null');
-- ... by the DBA as by the Owner, and nobody acts afterwards
RESET ROLE;
SELECT * FROM pg_temp.preview($$preview_set_member_level(id('acme'), id('adam'), 'member')$$);
SELECT * FROM pg_temp.preview($$preview_set_plan(id('acme'), 'open_source')$$);
SELECT alike('SELECT * FROM tenancy.preview_set_project_privacy(%1$L, false)', 'fake', 'null');
SELECT alike('SELECT * FROM tenancy.preview_remove_member(%1$L, regress.id(''max''))', 'fake', 'null');
SELECT tenancy.current_user_id() IS NULL AS nobody;
SELECT (SELECT jsonb_agg(to_jsonb(a) ORDER BY to_jsonb(a)::text) FROM tenancy.access a) = b.access AS access,
	   (SELECT sum(h.entries) FROM tenancy.audit_heads h) = b.entries AS entries,
	   (SELECT string_agg(o.version::text, ' ' ORDER BY o.id) FROM tenancy.organizations o) = b.versions AS versions,
	   (SELECT count(*) FROM tenancy.notifications) = b.mail AS mail,
	   (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.user_id) FROM tenancy.user_preferences p) = b.switchers AS switchers
FROM before b;
-- ... and what was foretold is what comes
SET ROLE :app;
SELECT act('alice');
CREATE TEMP TABLE foretold AS SELECT * FROM tenancy.preview_remove_member(id('acme'), id('mia'));
SELECT tenancy.remove_member(id('acme'), id('mia'));
RESET ROLE;
SELECT count(*) FILTER (WHERE after IS NULL) = count(*) AS lost, count(*) FROM foretold;
SELECT count(*) FROM tenancy.access WHERE user_id = id('mia');
\i :cleanup
