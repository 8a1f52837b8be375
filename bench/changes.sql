-- What goes on beside the readers: members of other organizations get another
-- level.  The first of an organization's own three users is a member of it.
\set organization random(:organizations / 4, :organizations)
\set member 3 * :organization - 2
UPDATE tenancy.memberships
SET level = CASE level WHEN 'member' THEN 'administrator' ELSE 'member' END::tenancy.access_level
WHERE organization_id = md5('organization ' || :organization)::uuid
	AND user_id = md5('user ' || :member)::uuid;
