-- ---------------------------------------------------------------------
-- lint, part 4: the nodes of a Citus cluster
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._lint_cluster(OUT rule text, OUT object text, OUT problem text, OUT remedy text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	fed constant integer := cardinality(tenancy._fed_tables());
BEGIN
	IF NOT tenancy._has_citus() OR to_regclass('tenancy_citus.feed') IS NULL THEN
		RETURN;
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RETURN QUERY SELECT 'not_checked', 'nodes of the cluster', format('%s may not ask them', current_user), '-- let a superuser call lint()';
		RETURN;
	END IF;
	-- The coordinator knows of all.
	IF (SELECT g.groupid FROM pg_dist_local_group g) <> 0 THEN
		RETURN QUERY SELECT 'not_checked', 'nodes of the cluster', 'this is a worker', '-- call lint() on the coordinator, too';
		RETURN;
	END IF;
	RETURN QUERY
		SELECT 'node_unfit', 'node ' || n.node, n.problem, '-- ' || n.remedy FROM tenancy._node_problems() n;
	RETURN QUERY
		SELECT 'node_outside', 'node ' || n.node, p.problem, 'SELECT tenancy.distribute();'
		FROM tenancy._nodes() n
		CROSS JOIN LATERAL (VALUES
			((n.state->>'applies')::integer <> 1, 'it does not apply what the coordinator changes'),
			(n.is_worker AND (n.state->>'guarded')::integer <> fed, 'commands can change its copy')) p (found, problem)
		WHERE n.state->>'version' IS NOT NULL AND p.found;
	RETURN QUERY
		SELECT 'node_outside', 'node ' || format('%s:%s', d.nodename, d.nodeport), 'it has not taken part in the last distribute()', 'SELECT tenancy.distribute();'
		FROM run_command_on_all_nodes('SELECT c.generation FROM tenancy.cluster c') r
		JOIN pg_dist_node d ON d.nodeid = r.nodeid
		WHERE r.success AND r.result IS DISTINCT FROM (SELECT c.generation::text FROM tenancy.cluster c);
	RETURN QUERY
		SELECT 'shard_open', 'node ' || n.node, p.problem, p.remedy
		FROM tenancy._nodes() n
		CROSS JOIN LATERAL (VALUES
			((n.state->>'floors')::integer > 0, 'floors of protected tables are permissive there, and open what they should close',
			 '-- ALTER EVENT TRIGGER tenancy_keep_floors ENABLE there, then protect() the tables anew'),
			((n.state->>'open_shards')::integer > 0, 'row security of shards of protected tables is off, or does not bind their owner',
			 '-- ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, of the distributed table')) p (found, problem, remedy)
		WHERE p.found;
	RETURN QUERY
		SELECT 'feed_incomplete', 'table tenancy.' || t.name, 'its changes do not reach the other nodes', 'SELECT tenancy.distribute();'
		FROM unnest(tenancy._fed_tables()) t (name)
		WHERE 4 <> (SELECT count(*) FROM pg_trigger g
					WHERE g.tgrelid = format('tenancy.%I', t.name)::regclass AND g.tgfoid = 'tenancy._feed'::regproc AND g.tgenabled = 'A');
	-- On the coordinator that is what grant_application() does.
	RETURN QUERY
		SELECT 'worker_trusts', 'node ' || n.node, format('%s may say there who is acting', t.role),
			   format('-- there: REVOKE SET ON PARAMETER tenancy.user_id FROM %s;', t.role)
		FROM tenancy._nodes() n, jsonb_array_elements_text(n.state->'trusted') t (role)
		WHERE n.is_worker AND n.state->'trusted' <> 'null';
	RETURN QUERY
		SELECT 'worker_reachable', 'node ' || n.node, format('pg_hba.conf lets connections in from %s', o.address),
			   '-- name the nodes of the cluster there, one by one, or ask for certificates'
		FROM tenancy._nodes() n, jsonb_array_elements_text(n.state->'open') o (address)
		WHERE n.is_worker AND n.state->'open' <> 'null';
	RETURN QUERY
		SELECT 'distributed_otherwise', t.relation::text, 'it is distributed by another column than it is protected by',
			   format('SELECT alter_distributed_table(%L, distribution_column => %L);', t.relation, t.column_name)
		FROM tenancy.protected_tables t
		JOIN pg_dist_partition d ON d.logicalrelid = t.relation AND d.partmethod = 'h'
		WHERE column_to_column_name(d.logicalrelid, d.partkey) <> t.column_name;
END
$$;
COMMENT ON FUNCTION tenancy._lint_cluster() IS 'Part of lint(): the nodes of a Citus cluster.';
