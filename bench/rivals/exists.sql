-- A subquery in the policy: the first thing that most people write, with the
-- user wrapped in a SELECT so that it is computed once a statement.
-- https://supabase.com/docs/guides/database/postgres/row-level-security
CREATE POLICY :rival ON :relation TO :rival
USING (EXISTS (SELECT FROM plain.projects p
			   JOIN plain.memberships m ON m.organization_id = p.organization_id
			   WHERE p.id = project_id AND m.user_id = (SELECT plain.uid())));
