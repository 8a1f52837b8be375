-- attack 133: any two commands that meet, at each isolation level.  If the second
-- one waits for the first, it ends as if it had been called after it, or fails to
-- serialize and has done nothing: nobody's authority outlives its end.  If it need
-- not wait, both end as in one order or the other.
SET client_min_messages = warning;
-- this session sees what the two have done
SET default_transaction_isolation = 'read committed';
TRUNCATE tenancy.users, tenancy.organizations CASCADE;
CREATE SCHEMA regress_pairs;
SET search_path = regress_pairs;
CREATE EXTENSION dblink;
CREATE FUNCTION id(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS 'SELECT md5(name)::uuid';
CREATE TABLE invite AS SELECT tenancy._mint_credential('invite') AS token;
INSERT INTO tenancy.users (id, email, name)
SELECT id(name), name || '@pairs.example', name FROM unnest('{alice,adam,mia,eve}'::text[]) name;

CREATE TABLE commands (name text PRIMARY KEY, actor text, command text);
INSERT INTO commands VALUES
	('transfer to adam', 'alice', $$SELECT tenancy.transfer_ownership(id('acme'), id('adam'))$$),
	('transfer to mia', 'alice', $$SELECT tenancy.transfer_ownership(id('acme'), id('mia'))$$),
	('remove adam', 'alice', $$SELECT tenancy.remove_member(id('acme'), id('adam'))$$),
	('demote adam', 'alice', $$SELECT tenancy.set_member_level(id('acme'), id('adam'), 'member')$$),
	('leave', 'adam', $$SELECT tenancy.leave_organization(id('acme'))$$),
	('remove mia', 'adam', $$SELECT tenancy.remove_member(id('acme'), id('mia'))$$),
	('let mia in', 'adam', $$SELECT tenancy.add_project_member(id('private'), id('mia'), 'member')$$),
	('regenerate', 'adam', $$SELECT tenancy.rotate_project_token(id('open'))$$),
	('delete private', 'alice', $$SELECT tenancy.delete_project(id('private'))$$),
	('accept', 'eve', $$SELECT tenancy.accept_invite((SELECT token FROM invite))$$),
	('deactivate adam', NULL, $$SELECT tenancy.set_user_active(id('adam'), false)$$),
	('forget adam', NULL, $$SELECT tenancy.forget_user(id('adam'))$$),
	('delete', 'alice', $$SELECT tenancy.delete_organization(id('acme'))$$);

-- alice owns acme, adam is Administrator, mia is a Member, eve is invited by mia
CREATE PROCEDURE reset() LANGUAGE sql AS $$
	DELETE FROM tenancy.organizations;
	UPDATE tenancy.users u SET is_active = true, forgotten_at = NULL, name = n, email = n || '@pairs.example'
	FROM unnest('{alice,adam,mia,eve}'::text[]) n WHERE u.id = id(n) AND NOT u.is_active;
	INSERT INTO tenancy.organizations (id, name, owner_id, plan) VALUES (id('acme'), 'acme', id('alice'), 'enterprise');
	INSERT INTO tenancy.memberships (organization_id, user_id, level)
	VALUES (id('acme'), id('adam'), 'administrator'), (id('acme'), id('mia'), 'member');
	INSERT INTO tenancy.projects (id, organization_id, name, is_private)
	VALUES (id('open'), id('acme'), 'open', false), (id('private'), id('acme'), 'private', true);
	INSERT INTO tenancy.project_tokens (project_id, digest, token) VALUES (id('open'), sha256('old'), 'old');
	INSERT INTO tenancy.invites (organization_id, email, invited_by, digest, expires_at)
	SELECT id('acme'), 'eve@pairs.example', id('mia'), tenancy._credential_digest(token, 'invite'), 'infinity' FROM invite;
$$;

-- Everything that a command can change, without random ids.
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('; ',
		(SELECT string_agg('owner ' || u.name, ', ') FROM tenancy.organizations o LEFT JOIN tenancy.users u ON u.id = o.owner_id),
		(SELECT string_agg(u.name || ' ' || m.level, ', ' ORDER BY u.name) FROM tenancy.memberships m JOIN tenancy.users u ON u.id = m.user_id),
		(SELECT string_agg(p.name || CASE WHEN p.is_private THEN ' hidden' ELSE '' END || ' ' ||
						   (SELECT count(*) FROM tenancy.project_tokens t WHERE t.project_id = p.id AND t.revoked_at IS NULL) || ' ' ||
						   (SELECT count(*) FROM tenancy.project_tokens t WHERE t.project_id = p.id AND t.token = 'old'), ', ' ORDER BY p.name)
		 FROM tenancy.projects p),
		(SELECT string_agg(p.name || ' to ' || u.name, ', ' ORDER BY p.name, u.name) FROM tenancy.project_memberships m
		 JOIN tenancy.projects p ON p.id = m.project_id JOIN tenancy.users u ON u.id = m.user_id),
		(SELECT string_agg('invited ' || i.email, ', ' ORDER BY i.email) FROM tenancy.invites i),
		(SELECT string_agg('inactive ' || u.name, ', ') FROM tenancy.users u WHERE NOT u.is_active))
$$;

-- How a command ends: ok, or its error.
CREATE FUNCTION outcome(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c commands;
BEGIN
	SELECT * INTO STRICT c FROM commands WHERE commands.name = outcome.name;
	PERFORM tenancy.act_as(id(c.actor));
	EXECUTE c.command;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

-- One after the other.
CREATE TABLE serial (first text, second text, first_outcome text, between text, second_outcome text, state text);
DO $$
DECLARE
	a text; b text;
	s serial;
BEGIN
	FOR a, b IN SELECT x.name, y.name FROM commands x, commands y LOOP
		CALL reset();
		s := (a, b, outcome(a), state(), NULL, NULL);
		s.second_outcome := outcome(b);
		s.state := state();
		INSERT INTO serial VALUES (s.*);
		COMMIT;
	END LOOP;
END $$;

-- Both at once: the first has done its work and not committed when the second,
-- whose transaction began earlier, is called.
CREATE TABLE concurrent (first text, second text, isolation text, waited boolean, first_outcome text, second_outcome text, state text);
DO $$
DECLARE
	connection text := format('host=%s port=%s dbname=%s user=%s', split_part(current_setting('unix_socket_directories'), ',', 1),
							  current_setting('port'), current_database(), current_user);
	backend integer;
	r concurrent;
BEGIN
	PERFORM dblink_connect(c, connection), dblink_exec(c, 'SET search_path = regress_pairs') FROM unnest('{c1,c2}'::text[]) c;
	SELECT pid INTO backend FROM dblink('c2', 'SELECT pg_backend_pid()') d (pid integer);
	FOR r IN SELECT s.first, s.second, i FROM serial s, unnest('{read committed,repeatable read,serializable}'::text[]) i LOOP
		CALL reset();
		COMMIT;
		PERFORM dblink_exec(c, 'BEGIN ISOLATION LEVEL ' || r.isolation), dblink_exec(c, 'DO $d$ BEGIN PERFORM count(*) FROM tenancy.users; END $d$')
		FROM unnest('{c2,c1}'::text[]) c;
		SELECT o INTO r.first_outcome FROM dblink('c1', format('SELECT outcome(%L)', r.first)) d (o text);
		PERFORM dblink_send_query('c2', format('SELECT outcome(%L)', r.second));
		LOOP
			r.waited := cardinality(pg_blocking_pids(backend)) > 0;
			EXIT WHEN r.waited OR dblink_is_busy('c2') = 0;
		END LOOP;
		PERFORM dblink_exec('c1', 'COMMIT', false);
		SELECT o INTO r.second_outcome FROM dblink_get_result('c2') d (o text);
		PERFORM FROM dblink_get_result('c2') d (o text);
		IF dblink_exec('c2', 'COMMIT', false) = 'ERROR' THEN
			r.second_outcome := '40001 at commit';
		END IF;
		r.state := state();
		INSERT INTO concurrent VALUES (r.*);
		COMMIT;
	END LOOP;
	PERFORM dblink_disconnect(c) FROM unnest('{c1,c2}'::text[]) c;
END $$;

-- the pairs that ended otherwise: there are none
SELECT c.isolation, c.waited, c.first, c.first_outcome, c.second, c.second_outcome, s.second_outcome AS after_the_first, c.state
FROM concurrent c
JOIN serial s ON s.first = c.first AND s.second = c.second
JOIN serial o ON o.first = c.second AND o.second = c.first
WHERE NOT (c.first_outcome = s.first_outcome AND c.second_outcome = s.second_outcome AND c.state = s.state)
  AND NOT (c.first_outcome = s.first_outcome AND c.second_outcome LIKE '40001 %' AND c.state = s.between)
  AND NOT (NOT c.waited AND c.first_outcome = o.second_outcome AND c.second_outcome = o.first_outcome AND c.state = o.state);
-- which needs failures only where a snapshot is kept
SELECT isolation, count(*) AS pairs, count(*) FILTER (WHERE second_outcome LIKE '40001 %') > 0 AS failures
FROM concurrent GROUP BY isolation ORDER BY isolation;
-- they did meet, and some of the first took away what the second needed
SELECT count(*) > 50 AS met FROM concurrent WHERE waited AND isolation = 'read committed';
SELECT s.second, s.first, s.second_outcome
FROM serial s JOIN serial alone ON alone.first = s.second AND alone.second = s.second
WHERE s.second IN ('let mia in', 'accept', 'transfer to adam') AND s.second_outcome <> alone.first_outcome ORDER BY 1, 2;
-- every organization has one Owner, in all of these states, who is no member beside
SELECT count(*) FROM concurrent WHERE state !~ '^owner (alice|adam|mia);' AND state ~ 'owner|adam (member|administrator)|mia (member|administrator)';
SELECT count(*) FROM concurrent WHERE state ~ 'owner (\w+);.*\m\1 (member|administrator)';

DROP SCHEMA regress_pairs CASCADE;
TRUNCATE tenancy.users, tenancy.organizations CASCADE;
