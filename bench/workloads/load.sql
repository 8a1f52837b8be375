-- as: superuser
-- contenders: limit tenancy
-- before: VACUUM plain.loaded, tenancy.memberships
-- Rolled back, so that the next one finds the same.
BEGIN;
INSERT INTO {memberships} (organization_id, user_id)
SELECT organization_id, user_id FROM plain.to_be_loaded;
ROLLBACK;
