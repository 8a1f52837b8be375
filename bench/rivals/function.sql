-- A SECURITY DEFINER function that is asked about each row, in the way of
-- basejump.has_role_on_account.  Here it is STABLE, which helps it.
-- https://github.com/usebasejump/basejump
CREATE POLICY :rival ON :relation TO :rival
USING (plain.has_access(project_id));
