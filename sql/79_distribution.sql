-- ---------------------------------------------------------------------
-- Sharding with Citus
--
-- Every node has the rows that policies ask.  The coordinator's are the ones that
-- commands change; a trigger puts each change into the reference table
-- tenancy_citus.feed, in the same distributed transaction, and there a trigger
-- on each worker takes it out and applies it to that node's own tables.  So what
-- loads, keeps and drops access sets works on every node as on a single one.
--
-- Who acts travels with the transaction, signed (src/distribution.c).
--
-- Nothing here needs Citus until distribute() is called.
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.cluster (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	generation uuid NOT NULL,
	secret bytea NOT NULL CHECK (pg_catalog.length(secret) OPERATOR(pg_catalog.=) 32)
);
COMMENT ON TABLE tenancy.cluster IS 'What the nodes of a Citus cluster know each other by; for superusers, not dumped.';
COMMENT ON COLUMN tenancy.cluster.one IS 'There is one row, or none.';
COMMENT ON COLUMN tenancy.cluster.generation IS 'The call of distribute() that wrote it.';
COMMENT ON COLUMN tenancy.cluster.secret IS 'Signs what nodes tell each other about who acts.';
ALTER TABLE tenancy.cluster ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
REVOKE ALL ON tenancy.cluster FROM PUBLIC;
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE ON tenancy.cluster
	FOR EACH ROW EXECUTE FUNCTION tenancy._send_invalidation('generation');
COMMENT ON TRIGGER invalidate ON tenancy.cluster IS 'Announces that another secret counts.';
CREATE TRIGGER invalidate_truncate AFTER TRUNCATE ON tenancy.cluster
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy._send_invalidation();
COMMENT ON TRIGGER invalidate_truncate ON tenancy.cluster IS 'Announces everything.';
ALTER TABLE tenancy.cluster ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.cluster ENABLE ALWAYS TRIGGER invalidate_truncate;

CREATE FUNCTION tenancy._note_change() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'tenancy_note_change';
COMMENT ON FUNCTION tenancy._note_change() IS 'From now on this transaction can query no distributed table.';

-- The tables that policies ask, directly or not.
CREATE FUNCTION tenancy._fed_tables() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '{plans,users,organizations,memberships,projects,project_memberships,project_tokens,sessions,role_bindings}'::name[]
$$;
COMMENT ON FUNCTION tenancy._fed_tables() IS 'The tables that every node has.';

CREATE FUNCTION tenancy._has_citus() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'citus')
$$;
COMMENT ON FUNCTION tenancy._has_citus() IS 'Is Citus in this database?';

-- ---------------------------------------------------------------------
-- On the coordinator: changes into the feed
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._feed() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone jsonb;
	come jsonb;
BEGIN
	IF TG_OP = 'INSERT' THEN
		come := (SELECT jsonb_agg(to_jsonb(n)) FROM new_rows n);
	ELSIF TG_OP = 'DELETE' THEN
		gone := (SELECT jsonb_agg(to_jsonb(o)) FROM old_rows o);
	ELSIF TG_OP = 'UPDATE' THEN
		-- commands lock rows by updating them as they are
		gone := (SELECT jsonb_agg(to_jsonb(o)) FROM (SELECT * FROM old_rows EXCEPT SELECT * FROM new_rows) o);
		come := (SELECT jsonb_agg(to_jsonb(n)) FROM (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows) n);
	END IF;
	IF gone IS NULL AND come IS NULL AND TG_OP <> 'TRUNCATE' THEN
		RETURN NULL;
	END IF;
	PERFORM tenancy._note_change();
	PERFORM tenancy._put_into_feed(TG_TABLE_NAME, gone, come);
	-- what the application's tables refer to
	IF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'TRUNCATE' THEN
		EXECUTE format('DELETE FROM tenancy_citus.%I', TG_TABLE_NAME);
	ELSIF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'INSERT' THEN
		PERFORM tenancy._put_targets(TG_TABLE_NAME, come);
	ELSIF TG_TABLE_NAME IN ('projects', 'organizations') AND TG_OP = 'DELETE' THEN
		EXECUTE format('DELETE FROM tenancy_citus.%I WHERE id = ANY ($1)', TG_TABLE_NAME)
			USING ARRAY(SELECT (r->>'id')::uuid FROM jsonb_array_elements(gone) r);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy._feed() IS 'Trigger: sends what a statement changed to all nodes.';

CREATE FUNCTION tenancy._put_into_feed(relation name, gone jsonb, come jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO tenancy_citus.feed (change)
	VALUES (jsonb_build_object('relation', _put_into_feed.relation, 'gone', _put_into_feed.gone, 'come', _put_into_feed.come));
END
$$;
COMMENT ON FUNCTION tenancy._put_into_feed(name, jsonb, jsonb) IS 'Has all nodes remove rows, and put others in; all rows go where neither is given.';

CREATE FUNCTION tenancy._put_targets(relation name, come jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('INSERT INTO tenancy_citus.%I (id) VALUES %s ON CONFLICT DO NOTHING', relation,
				   (SELECT string_agg(format('(%L)', (r->>'id')::uuid), ', ') FROM jsonb_array_elements(come) r));
END
$$;
COMMENT ON FUNCTION tenancy._put_targets(name, jsonb) IS 'Makes projects or organizations known to the foreign keys of distributed tables.';

-- ---------------------------------------------------------------------
-- On the workers: out of the feed, into the tables
-- ---------------------------------------------------------------------

-- As replication would: no foreign keys, no triggers but those that find roles
-- and drop access sets.
CREATE FUNCTION tenancy._apply_feed() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET session_replication_role = replica
AS $$
DECLARE
	target name := NEW.change->>'relation';
	gone jsonb := NULLIF(NEW.change->'gone', 'null');
	come jsonb := NULLIF(NEW.change->'come', 'null');
	columns text;
	key text;
BEGIN
	IF (SELECT g.groupid FROM pg_dist_local_group g) = 0 THEN
		RETURN NULL;	-- it comes from here
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) THEN
		RAISE EXCEPTION 'permission denied to change who has access'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF target IS NULL THEN
		PERFORM tenancy._join_cluster(NEW.change);
	ELSIF target <> ALL (tenancy._fed_tables()) THEN
		RAISE EXCEPTION 'table "%" is not one that every node has', target;
	ELSE
		SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
			   string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
				   FILTER (WHERE a.attnum = ANY ((SELECT i.indkey FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary)::smallint[]))
		INTO columns, key
		FROM pg_attribute a
		WHERE a.attrelid = format('tenancy.%I', target)::regclass AND a.attnum > 0 AND NOT a.attisdropped;
		IF gone IS NULL AND come IS NULL THEN
			EXECUTE format('DELETE FROM tenancy.%I', target);
		END IF;
		EXECUTE format('DELETE FROM tenancy.%1$I WHERE (%2$s) IN (SELECT %2$s FROM jsonb_populate_recordset(NULL::tenancy.%1$I, $1))',
					   target, key)
			USING COALESCE(gone, '[]') || COALESCE(come, '[]');
		EXECUTE format('INSERT INTO tenancy.%1$I (%2$s) SELECT %2$s FROM jsonb_populate_recordset(NULL::tenancy.%1$I, $1)',
					   target, columns)
			USING COALESCE(come, '[]');
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION tenancy._apply_feed() IS 'Trigger: does on this node what the coordinator has done; nothing stays in the feed.';

CREATE FUNCTION tenancy._join_cluster(change jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
BEGIN
	DELETE FROM tenancy.cluster;
	INSERT INTO tenancy.cluster (generation, secret)
	VALUES ((change->>'generation')::uuid, (change->>'secret')::bytea);
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format('DELETE FROM tenancy.%I', target);
		EXECUTE format('CREATE OR REPLACE TRIGGER tenancy_citus BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.%I
			FOR EACH STATEMENT EXECUTE FUNCTION tenancy._refuse_on_worker()', target);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._join_cluster(jsonb) IS 'Makes this node one of the cluster, with nobody in it yet.';

CREATE FUNCTION tenancy._refuse_on_worker() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'commands of tenancy run on the coordinator'
		USING ERRCODE = 'feature_not_supported', HINT = 'Connect to the coordinator for it.';
END
$$;
COMMENT ON FUNCTION tenancy._refuse_on_worker() IS 'Trigger: keeps a worker''s copy what it is.';

-- Citus forgets AS RESTRICTIVE when it makes a policy on a shard, and wherever else
-- it makes a table anew; as permissive ones the floors would open what they close.
CREATE FUNCTION tenancy._keep_floors() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	lost record;
BEGIN
	IF NOT tenancy._has_citus() THEN
		RETURN;
	END IF;
	FOR lost IN
		SELECT p.polname, p.polrelid::regclass AS relation, f.command,
			   pg_get_expr(p.polqual, p.polrelid) AS condition, pg_get_expr(p.polwithcheck, p.polrelid) AS new_row
		FROM pg_event_trigger_ddl_commands() c
		JOIN pg_policy p ON c.classid = 'pg_policy'::regclass AND c.objid = p.oid AND p.polpermissive
		JOIN (VALUES ('tenancy_floor', 'ALL'), ('tenancy_floor_update', 'UPDATE'), ('tenancy_floor_delete', 'DELETE')) f (name, command)
			ON f.name = p.polname
	LOOP
		EXECUTE format('DROP POLICY %I ON %s', lost.polname, lost.relation);
		EXECUTE format('CREATE POLICY %I ON %s AS RESTRICTIVE FOR %s TO PUBLIC', lost.polname, lost.relation, lost.command)
			|| coalesce(' USING (' || lost.condition || ')', '')
			|| coalesce(' WITH CHECK (' || lost.new_row || ')', '');
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._keep_floors() IS 'Event trigger: keeps the floors of protected tables restrictive on a Citus cluster.';

CREATE EVENT TRIGGER tenancy_keep_floors ON ddl_command_end
	WHEN TAG IN ('CREATE POLICY')
	EXECUTE FUNCTION tenancy._keep_floors();
ALTER EVENT TRIGGER tenancy_keep_floors ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER tenancy_keep_floors IS 'Keeps the floors of protected tables restrictive on a Citus cluster.';

-- ---------------------------------------------------------------------
-- Are the nodes fit?
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._require_coordinator() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._has_citus() THEN
		RAISE EXCEPTION 'extension "citus" is not installed in this database'
			USING ERRCODE = 'feature_not_supported',
				  HINT = 'Add it to shared_preload_libraries, before tenancy, restart, and use CREATE EXTENSION citus.';
	END IF;
	IF (SELECT g.groupid FROM pg_dist_local_group g) <> 0
	   OR NOT EXISTS (SELECT FROM pg_dist_node n WHERE n.groupid = 0) THEN
		RAISE EXCEPTION 'this node is not the coordinator of a Citus cluster'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Connect to the coordinator, where citus_set_coordinator_host() has named it.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_coordinator() IS 'Raises unless it is asked on the coordinator of a Citus cluster.';

-- Asked of each node, so it must not need the extension there.
CREATE FUNCTION tenancy._nodes(OUT node text, OUT is_worker boolean, OUT failure text, OUT state jsonb) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
		SELECT format('%s:%s', n.nodename, n.nodeport), n.groupid <> 0,
			   CASE WHEN NOT r.success THEN split_part(r.result, E'\n', 1) END,
			   CASE WHEN r.success THEN r.result::jsonb END
		FROM run_command_on_all_nodes($sql$
			SELECT json_build_object(
				'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'tenancy'),
				'available', (SELECT x.default_version FROM pg_available_extensions x WHERE x.name = 'tenancy'),
				'preloaded', (SELECT s.setting FROM pg_settings s WHERE s.name = 'shared_preload_libraries') ~ E'\\mtenancy\\M',
				'applies', (SELECT count(*) FROM pg_trigger t
							JOIN pg_class c ON c.oid = t.tgrelid AND c.relname ~ '^feed_[0-9]+$'
							JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'tenancy_citus'
							JOIN pg_proc f ON f.oid = t.tgfoid AND f.proname = '_apply_feed'
							WHERE t.tgenabled IN ('O', 'A')),
				'floors', (SELECT count(*) FROM pg_policy p WHERE p.polname ~ '^tenancy_floor' AND p.polpermissive),
				'open_shards', (SELECT count(*) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
								WHERE p.polname = 'tenancy_floor' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)),
				'guarded', (SELECT count(*) FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid AND f.proname = '_refuse_on_worker'
							WHERE t.tgenabled IN ('O', 'A')),
				'trusted', (SELECT json_agg(DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
							FROM pg_parameter_acl p, aclexplode(p.paracl) a
							WHERE p.parname ~ '^tenancy[.](user_id|identity)$' AND a.grantee <> 10),
				'open', (SELECT json_agg(DISTINCT concat(h.address, '/' || h.netmask))
						 FROM pg_hba_file_rules h
						 WHERE h.type <> 'local' AND h.auth_method NOT IN ('reject', 'cert')
						   AND h.address NOT IN ('127.0.0.1', '::1', 'samehost')
						   AND h.netmask IS DISTINCT FROM '255.255.255.255' AND h.netmask IS DISTINCT FROM 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'))
			$sql$) r
		JOIN pg_dist_node n ON n.nodeid = r.nodeid
		WHERE n.isactive OR n.groupid = 0
		ORDER BY n.nodeid;
END
$$;
COMMENT ON FUNCTION tenancy._nodes() IS 'What each node of a Citus cluster says of itself.';

CREATE FUNCTION tenancy._node_problems(OUT node text, OUT problem text, OUT remedy text) RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT n.node, p.problem, p.remedy
	FROM tenancy._nodes() n
	CROSS JOIN (SELECT e.extversion AS version FROM pg_extension e WHERE e.extname = 'tenancy') ours
	CROSS JOIN LATERAL (VALUES
		(n.failure IS NOT NULL, format('it does not answer: %s', n.failure),
		 format('start it, or take it out with SELECT citus_disable_node(%L, %s)', substring(n.node, '^(.*):'), substring(n.node, '[0-9]+$'))),
		(n.state IS NOT NULL AND n.state->>'version' IS NULL, 'it does not have the extension "tenancy"',
		 concat(CASE WHEN n.state->>'available' IS NULL THEN format('install the files of version %s there, and ', ours.version) END,
				'run CREATE EXTENSION tenancy CASCADE there')),
		(n.state->>'version' <> ours.version,
		 format('it has version %s of the extension "tenancy", and the coordinator has version %s', n.state->>'version', ours.version),
		 format('run ALTER EXTENSION tenancy UPDATE TO %L there', ours.version)),
		(NOT (n.state->>'preloaded')::boolean, 'it does not preload the library of the extension "tenancy"',
		 'set shared_preload_libraries = ''citus, tenancy'' there, and restart it')) p (found, problem, remedy)
	WHERE p.found
$$;
COMMENT ON FUNCTION tenancy._node_problems() IS 'Why nodes of a Citus cluster cannot enforce what the coordinator promises.';

CREATE FUNCTION tenancy._require_nodes() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first record;
BEGIN
	SELECT * INTO first FROM tenancy._node_problems() LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'node % cannot take part: %', first.node, first.problem
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = upper(left(first.remedy, 1)) || substr(first.remedy, 2) || '.';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy._require_nodes() IS 'Raises for the first node that is not fit.';

-- ---------------------------------------------------------------------
-- The two calls
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._make_feed() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
BEGIN
	IF to_regclass('tenancy_citus.feed') IS NULL THEN
		CREATE SCHEMA tenancy_citus;
		COMMENT ON SCHEMA tenancy_citus IS 'What tenancy.distribute() has made; not to be touched.';
		CREATE TABLE tenancy_citus.feed (change jsonb NOT NULL);
		COMMENT ON TABLE tenancy_citus.feed IS 'What is put in here, every node does; nothing stays.';
		CREATE TABLE tenancy_citus.organizations (id uuid PRIMARY KEY);
		COMMENT ON TABLE tenancy_citus.organizations IS 'Organizations, for the foreign keys of distributed tables.';
		CREATE TABLE tenancy_citus.projects (id uuid PRIMARY KEY);
		COMMENT ON TABLE tenancy_citus.projects IS 'Projects, for the foreign keys of distributed tables.';
		CREATE TRIGGER apply BEFORE INSERT ON tenancy_citus.feed FOR EACH ROW EXECUTE FUNCTION tenancy._apply_feed();
		-- whatever default privileges have granted
		ALTER TABLE tenancy_citus.feed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		ALTER TABLE tenancy_citus.organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		ALTER TABLE tenancy_citus.projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
		REVOKE ALL ON ALL TABLES IN SCHEMA tenancy_citus FROM PUBLIC;
		-- it is there to be on every node
		SET LOCAL citus.enable_unsafe_triggers = on;
		PERFORM create_reference_table('tenancy_citus.feed');
		SET LOCAL citus.enable_unsafe_triggers = off;
		PERFORM create_reference_table('tenancy_citus.organizations');
		PERFORM create_reference_table('tenancy_citus.projects');
	END IF;
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format($sql$
			CREATE OR REPLACE TRIGGER tenancy_citus_insert AFTER INSERT ON tenancy.%1$I REFERENCING NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_update AFTER UPDATE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_delete AFTER DELETE ON tenancy.%1$I REFERENCING OLD TABLE AS old_rows
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			CREATE OR REPLACE TRIGGER tenancy_citus_truncate AFTER TRUNCATE ON tenancy.%1$I
				FOR EACH STATEMENT EXECUTE FUNCTION tenancy._feed();
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_insert;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_update;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_delete;
			ALTER TABLE tenancy.%1$I ENABLE ALWAYS TRIGGER tenancy_citus_truncate
			$sql$, target);
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._make_feed() IS 'Makes what carries changes to all nodes, as far as it is missing.';

CREATE FUNCTION tenancy.distribute() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	target name;
	come jsonb;
BEGIN
	PERFORM tenancy._require_coordinator();
	PERFORM tenancy._require_nodes();
	-- to nodes that have come since
	IF to_regclass('tenancy_citus.feed') IS NOT NULL THEN
		PERFORM replicate_reference_tables('block_writes');
	END IF;
	-- nobody changes what is being copied
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		EXECUTE format('LOCK TABLE tenancy.%I IN SHARE ROW EXCLUSIVE MODE', target);
	END LOOP;
	PERFORM tenancy._make_feed();
	DELETE FROM tenancy.cluster;
	INSERT INTO tenancy.cluster (generation, secret)
	VALUES (gen_random_uuid(), decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
	INSERT INTO tenancy_citus.feed (change) SELECT jsonb_build_object('generation', c.generation, 'secret', c.secret) FROM tenancy.cluster c;
	FOREACH target IN ARRAY tenancy._fed_tables() LOOP
		FOR come IN EXECUTE format('SELECT jsonb_agg(x.row) FROM (SELECT to_jsonb(t) AS row, (row_number() OVER () - 1) / 1000 AS part FROM tenancy.%I t) x
									GROUP BY x.part', target) LOOP
			PERFORM tenancy._put_into_feed(target, NULL, come);
			IF target IN ('projects', 'organizations') THEN
				PERFORM tenancy._put_targets(target, come);
			END IF;
		END LOOP;
		IF target IN ('projects', 'organizations') THEN
			EXECUTE format('DELETE FROM tenancy_citus.%1$I WHERE id = ANY ($1)', target)
				USING tenancy._stale_targets(target);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.distribute() IS 'Brings what decides about access to all nodes of a Citus cluster, and keeps it there; for superusers, on the coordinator.';
REVOKE ALL ON FUNCTION tenancy.distribute() FROM PUBLIC;

CREATE FUNCTION tenancy._stale_targets(relation name) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known uuid[];
	present uuid[];
BEGIN
	EXECUTE format('SELECT array_agg(id) FROM tenancy_citus.%I', relation) INTO known;
	EXECUTE format('SELECT array_agg(id) FROM tenancy.%I', relation) INTO present;
	RETURN ARRAY(SELECT unnest(known) EXCEPT SELECT unnest(present));
END
$$;
COMMENT ON FUNCTION tenancy._stale_targets(name) IS 'Projects or organizations that are gone, and that foreign keys of distributed tables still know.';

CREATE FUNCTION tenancy.distribute_table(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	protected record;
	target name;
	lacking text;
	beside text;
	key record;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'relation must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM tenancy._require_coordinator();
	IF NOT EXISTS (SELECT FROM tenancy.cluster) OR to_regclass('tenancy_citus.feed') IS NULL THEN
		RAISE EXCEPTION 'tenancy is not distributed'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run SELECT tenancy.distribute() first.';
	END IF;
	PERFORM tenancy._require_nodes();
	SELECT * INTO protected FROM tenancy.protected_tables t WHERE t.relation = distribute_table.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation "%" is not protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call tenancy.protect() for it first.';
	END IF;
	IF tenancy._is_distributed(relation) THEN
		RAISE EXCEPTION 'table "%" is distributed already', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use Citus''s own functions to move or change its shards.';
	END IF;
	IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = relation) THEN
		RAISE EXCEPTION 'table "%" is a part of another', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Distribute the table at the top.';
	END IF;
	lacking := (SELECT string_agg(quote_ident(k.relname), ', ' ORDER BY k.relname)
				FROM pg_index i
				JOIN pg_class k ON k.oid = i.indexrelid
				JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = protected.column_name
				WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
				  AND a.attnum <> ALL ((i.indkey::smallint[])[0:i.indnkeyatts - 1]));
	IF lacking IS NOT NULL THEN
		RAISE EXCEPTION 'table "%" cannot be distributed by column "%"', relation, protected.column_name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = format('Without it no node can check what has to be unique: %s.', lacking),
				  HINT = format('Put the column into each of them, as in PRIMARY KEY (%I, id).', protected.column_name);
	END IF;

	target := CASE protected.kind WHEN 'project' THEN 'projects' ELSE 'organizations' END;
	-- the tables of one kind lie together, so that they can be joined
	beside := (SELECT min(t.relation::text) FROM tenancy.protected_tables t
			   WHERE t.kind = protected.kind AND tenancy._is_distributed(t.relation));
	-- what is done to all shards goes over one connection, as foreign keys need it
	SET LOCAL citus.multi_shard_modify_mode = sequential;
	FOR key IN SELECT c.conname FROM pg_constraint c
			   WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid = format('tenancy.%I', target)::regclass LOOP
		EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', relation, key.conname);
	END LOOP;
	-- before, since Citus adds none to a partitioned table that is distributed
	SET LOCAL citus.enable_local_reference_table_foreign_keys = off;
	EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy_citus.%I ON DELETE CASCADE',
				   relation, protected.column_name, target);
	PERFORM create_distributed_table(relation, protected.column_name::text, colocate_with => coalesce(beside, 'none'));
	RAISE NOTICE 'column "%" of table "%" now references "tenancy_citus.%"', protected.column_name, relation, target;
END
$$;
COMMENT ON FUNCTION tenancy.distribute_table(regclass) IS 'Distributes a protected table by the column that it is protected by, over the nodes of a Citus cluster; for superusers, on the coordinator.';
REVOKE ALL ON FUNCTION tenancy.distribute_table(regclass) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Proof on a distributed table: other nodes do not see synthetic organizations
-- before they are committed, so it is tried with users and rows that there are.
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._proof_distributed(role regrole, relation regclass, kind text, column_name name, visible_to tenancy.access_level)
RETURNS TABLE (command text, attempt text, isolated boolean, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	path constant text := tenancy._proof_path(_proof_distributed.role);
	held uuid[] := ARRAY[]::uuid[];
	one uuid;
	somebody uuid;
	reached uuid[];
	foreign_id uuid;
	due bigint;
	changeable name;
	try record;
	affected bigint;
	answer text;
	state text;
BEGIN
	-- The nodes filter the table's owner, who often cannot log in there, either.  So the role
	-- itself looks what there is, on behalf of one Owner after the other, until there is
	-- somebody who reaches some of that, and not all.
	FOR one IN SELECT DISTINCT o.owner_id FROM tenancy.organizations o JOIN tenancy.users u ON u.id = o.owner_id AND u.is_active LOOP
		PERFORM tenancy.act_as(one);
		held := held || coalesce((tenancy._run_as(role, 'pg_catalog', format('SELECT array_agg(DISTINCT %I) FROM %s', column_name, relation), false)).answer::uuid[], ARRAY[]::uuid[]);
		SELECT c.user_id, c.reached, (SELECT h FROM unnest(held) h WHERE h <> ALL (c.reached) LIMIT 1)
		INTO somebody, reached, foreign_id
		FROM (SELECT a.user_id, array_agg(DISTINCT a.id) AS reached
			  FROM (SELECT x.user_id, CASE kind WHEN 'project' THEN x.project_id ELSE x.organization_id END AS id
					FROM tenancy.access x
					WHERE (x.project_id IS NULL) = (kind = 'organization') AND x.level >= visible_to) a
			  WHERE a.id = ANY (held)
			  GROUP BY a.user_id) c
		WHERE NOT held <@ c.reached
		LIMIT 1;
		EXIT WHEN somebody IS NOT NULL;
	END LOOP;
	IF somebody IS NULL THEN
		RETURN QUERY SELECT NULL::text, 'anybody: any attempt', NULL::boolean,
							'it is distributed, and nobody who reaches some of its rows, and not all, is there to try it as';
		RETURN;
	END IF;
	PERFORM tenancy.act_as(somebody);
	due := (tenancy._run_as(role, 'pg_catalog', format('SELECT count(*) FROM %s WHERE %I = ANY (%L)', relation, column_name, reached), false)).answer::bigint;
	changeable := (SELECT a.attname FROM pg_attribute a
				   WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
					 AND a.attname <> column_name ORDER BY a.attnum DESC LIMIT 1);
	FOR try IN SELECT * FROM (VALUES
		(NULL, 'SELECT', 'nobody: reads everything', 'SELECT count(*) FROM %1$s', 0::bigint),
		(somebody, 'SELECT', 'a user: reads everything, and finds what is theirs', 'SELECT count(*) FROM %1$s', due),
		(somebody, 'SELECT', 'a user: reads', 'SELECT count(*) FROM %1$s WHERE %2$I = %3$L', 0),
		(somebody, 'SELECT', 'a user: locks rows FOR UPDATE', 'SELECT count(*) FROM (SELECT FROM %1$s WHERE %2$I = %3$L FOR UPDATE) x', 0),
		(somebody, 'UPDATE', 'a user: updates', 'UPDATE %1$s SET %4$I = %4$I WHERE %2$I = %3$L', 0),
		(somebody, 'DELETE', 'a user: deletes', 'DELETE FROM %1$s WHERE %2$I = %3$L', 0),
		(somebody, 'INSERT', 'a user: inserts', 'INSERT INTO %1$s (%2$I) VALUES (%3$L)', -1),
		(NULL, 'INSERT', 'nobody: inserts', 'INSERT INTO %1$s (%2$I) VALUES (%3$L)', -1)) v (who, command, attempt, statement, due) LOOP
		affected := NULL; answer := NULL; state := NULL;
		BEGIN
			PERFORM tenancy.act_as(try.who);
			SELECT r.affected, r.answer INTO affected, answer
			FROM tenancy._run_as(role, path, format(try.statement, relation, column_name, foreign_id, changeable), false) r;
			RAISE EXCEPTION SQLSTATE 'TN0OK';
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
			detail := SQLERRM;
		END;
		command := try.command;
		attempt := try.attempt;
		-- policies are asked before constraints
		isolated := CASE WHEN state = '42501' THEN true
						 WHEN try.command = 'INSERT' AND state LIKE '23%' THEN false
						 WHEN state <> 'TN0OK' THEN NULL
						 ELSE CASE try.command WHEN 'SELECT' THEN answer::bigint ELSE affected END = try.due END;
		detail := CASE WHEN state = '42501' THEN 'refused: ' || detail
					   WHEN isolated IS FALSE AND state <> 'TN0OK' THEN 'not refused by a policy: ' || detail
					   WHEN state <> 'TN0OK' THEN 'could not be tried: ' || detail
					   WHEN try.command = 'SELECT' THEN format('%s rows, as there should be %s', answer, try.due)
					   ELSE format('%s rows', affected) END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy._proof_distributed(regrole, regclass, text, name, tenancy.access_level) IS
	'Tries on a distributed table, as a role, what isolation forbids, with users and rows that there are; undoes it.';
