-- ---------------------------------------------------------------------
-- For monitoring: what this backend has counted
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._stats(
	OUT lookups bigint, OUT loads bigint, OUT failed_loads bigint, OUT snapshot_loads bigint,
	OUT messages bigint, OUT resets bigint, OUT stale bigint, OUT evictions bigint,
	OUT sets bigint, OUT bytes bigint,
	OUT sign_ins bigint, OUT sign_in_failures bigint, OUT acts bigint)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_stats';
COMMENT ON FUNCTION tenancy._stats() IS 'The counters of this backend.';

CREATE VIEW tenancy.stats WITH (security_invoker = true) AS
	SELECT s.lookups, s.loads, s.failed_loads, s.snapshot_loads, s.messages, s.resets, s.stale, s.evictions,
		   s.sets, s.bytes, s.sign_ins, s.sign_in_failures, s.acts
	FROM tenancy._stats() s;
COMMENT ON VIEW tenancy.stats IS 'What this backend has counted since it loaded the library; for pg_monitor and trusted roles.';
COMMENT ON COLUMN tenancy.stats.lookups IS 'How often an access set was asked for, in planning and in running statements.';
COMMENT ON COLUMN tenancy.stats.loads IS 'Access sets that were loaded.';
COMMENT ON COLUMN tenancy.stats.failed_loads IS 'Loads that ended in an error, a cancel or a timeout.';
COMMENT ON COLUMN tenancy.stats.snapshot_loads IS 'Access sets that were loaded for a query with an older snapshot.';
COMMENT ON COLUMN tenancy.stats.messages IS 'Announcements of changes that arrived, about anybody.';
COMMENT ON COLUMN tenancy.stats.resets IS 'Announcements that concern everybody: wholesale changes, and messages that were lost.';
COMMENT ON COLUMN tenancy.stats.stale IS 'Access sets that an announcement made stale.';
COMMENT ON COLUMN tenancy.stats.evictions IS 'Access sets that were dropped because tenancy.cache_size was used up.';
COMMENT ON COLUMN tenancy.stats.sets IS 'Access sets that are kept now.';
COMMENT ON COLUMN tenancy.stats.bytes IS 'Memory in the access sets that are kept now.';
COMMENT ON COLUMN tenancy.stats.sign_ins IS 'Credentials that authenticate() accepted.';
COMMENT ON COLUMN tenancy.stats.sign_in_failures IS 'Credentials that authenticate() refused.';
COMMENT ON COLUMN tenancy.stats.acts IS 'Calls of act_as() that named a user.';
REVOKE ALL ON tenancy.stats FROM PUBLIC;
