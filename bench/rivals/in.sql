-- A SECURITY DEFINER function that returns the ids, inside IN (SELECT ...):
-- what Supabase recommends for joins, and basejump for its accounts.
-- https://supabase.com/docs/guides/troubleshooting/rls-performance-and-best-practices-Z5Jjwv
-- https://usebasejump.com/docs/rls (get_accounts_with_role)
CREATE POLICY :rival ON :relation TO :rival
USING (project_id IN (SELECT plain.visible_projects()));
