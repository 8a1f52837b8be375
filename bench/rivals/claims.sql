-- The ids come with the JSON Web Token: no table is asked, and what was taken
-- away stays visible until the token expires.  Computed once a statement.
-- https://supabase.com/docs/guides/database/postgres/row-level-security (auth.jwt())
CREATE POLICY :rival ON :relation TO :rival
USING (project_id = ANY ((SELECT plain.claimed_projects())::uuid[]));
