-- ---------------------------------------------------------------------
-- Notifications: the outbox between commands and the mailer
--
-- A command puts rows in, in its own transaction, so that a mail goes out if
-- and only if what it tells has happened.  A mailer claims a few, commits, sends
-- them, and reports each as sent or failed.  The states of a row:
--
--   waiting   due_at is when it may be claimed
--   claimed   claimed_at is set, and due_at is when the claim has lapsed: a
--             mailer that died in between holds nothing up
--   sent      sent_at is set; nothing of what the mail said is kept
--   dead      dead_at is set: given up, until somebody requeues it
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.notifications (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	kind text COLLATE "C" NOT NULL,
	organization_id uuid REFERENCES tenancy.organizations ON DELETE CASCADE,
	invite_id uuid REFERENCES tenancy.invites ON DELETE CASCADE,
	recipient tenancy.email NOT NULL,
	payload jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	due_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	claimed_at timestamptz,
	sent_at timestamptz,
	dead_at timestamptz,
	attempts integer NOT NULL DEFAULT 0 CHECK (attempts OPERATOR(pg_catalog.>=) 0),
	last_error text,
	CHECK (pg_catalog.num_nonnulls(claimed_at, sent_at, dead_at) OPERATOR(pg_catalog.<=) 1)
);
CREATE INDEX notifications_organization_id_idx ON tenancy.notifications (organization_id);
CREATE INDEX notifications_invite_id_idx ON tenancy.notifications (invite_id) WHERE invite_id IS NOT NULL;
CREATE INDEX notifications_due_idx ON tenancy.notifications (due_at) WHERE sent_at IS NULL AND dead_at IS NULL;
COMMENT ON TABLE tenancy.notifications IS 'Outbox of mail to be sent.';
COMMENT ON COLUMN tenancy.notifications.id IS 'Random id.';
COMMENT ON COLUMN tenancy.notifications.kind IS 'invitation or member_joined.';
COMMENT ON COLUMN tenancy.notifications.organization_id IS 'The organization that it is about.';
COMMENT ON COLUMN tenancy.notifications.invite_id IS 'The open invite that it tells of, until it was sent; it goes with the invite.';
COMMENT ON COLUMN tenancy.notifications.recipient IS 'Address of the recipient.';
COMMENT ON COLUMN tenancy.notifications.payload IS 'What the message says; emptied when it was sent.';
COMMENT ON COLUMN tenancy.notifications.created_at IS 'When it was enqueued.';
COMMENT ON COLUMN tenancy.notifications.due_at IS 'When it may be claimed, or claimed again.';
COMMENT ON COLUMN tenancy.notifications.claimed_at IS 'When the mailer took it that has not reported back yet.';
COMMENT ON COLUMN tenancy.notifications.sent_at IS 'When it was sent.';
COMMENT ON COLUMN tenancy.notifications.dead_at IS 'When it was given up.';
COMMENT ON COLUMN tenancy.notifications.attempts IS 'How often it was claimed, without claims that were released; requeue_notification() begins anew.';
COMMENT ON COLUMN tenancy.notifications.last_error IS 'Why the last try failed.';

-- No policy: nobody reads it but through the functions below.
ALTER TABLE tenancy.notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
REVOKE ALL ON tenancy.notifications FROM PUBLIC;

-- ---------------------------------------------------------------------
-- Putting in
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy._mail_is_enabled()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(tenancy._setting('tenancy.email_enabled') = 'on', false)
$$;
COMMENT ON FUNCTION tenancy._mail_is_enabled() IS 'Whether mail is to be enqueued.';

CREATE FUNCTION tenancy._enqueue_invite(invite uuid, token text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT tenancy._mail_is_enabled() THEN
		RETURN;
	END IF;

	INSERT INTO tenancy.notifications (kind, organization_id, invite_id, recipient, payload)
	SELECT 'invitation', i.organization_id, i.id, i.email,
		   jsonb_build_object('invite_id', i.id,
							  'token', _enqueue_invite.token,
							  'expires_at', i.expires_at,
							  'organization_name', o.name,
							  'inviter_name', u.name,
							  'reply_to', u.email)
	FROM tenancy.invites i
	JOIN tenancy.organizations o ON o.id = i.organization_id
	LEFT JOIN tenancy.users u ON u.id = i.invited_by
	WHERE i.id = _enqueue_invite.invite;
	-- Anybody may listen, hence no payload.
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy._enqueue_invite(uuid, text) IS
	'Puts the mail for an invite into the outbox, where mail is enabled.';

-- One statement however many members there are.
CREATE FUNCTION tenancy._enqueue_joined(organization uuid, newcomer uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	message jsonb;
BEGIN
	IF NOT tenancy._mail_is_enabled() THEN
		RETURN;
	END IF;

	SELECT jsonb_build_object('organization_name', o.name, 'member_name', u.name, 'member_email', u.email)
	INTO message
	FROM tenancy.organizations o, tenancy.users u
	WHERE o.id = _enqueue_joined.organization
	  AND o.notify_on_join
	  AND u.id = _enqueue_joined.newcomer;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	INSERT INTO tenancy.notifications (kind, organization_id, recipient, payload)
	SELECT 'member_joined', m.organization_id, m.email, message
	FROM tenancy.members m
	WHERE m.organization_id = _enqueue_joined.organization
	  AND m.user_id <> _enqueue_joined.newcomer;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy._enqueue_joined(uuid, uuid) IS
	'Puts a mail to every member but the newcomer into the outbox, where mail is enabled and the organization wants it.';

-- ---------------------------------------------------------------------
-- Taking back: what concerns an address that is to be erased
-- ---------------------------------------------------------------------

-- An open invite keeps its mail, but for the name of who sent it.
CREATE FUNCTION tenancy._erase_from_mail(email text)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM tenancy.notifications n
	WHERE n.invite_id IS NULL
	  AND _erase_from_mail.email IN (n.recipient, n.payload ->> 'member_email');
	UPDATE tenancy.notifications n
	SET payload = n.payload || '{"inviter_name": null, "reply_to": null}'
	WHERE n.payload ->> 'reply_to' = _erase_from_mail.email;
$$;
COMMENT ON FUNCTION tenancy._erase_from_mail(text) IS
	'Takes an address out of the outbox: as recipient, as newcomer and as inviter.';

-- ---------------------------------------------------------------------
-- For the mailer
-- ---------------------------------------------------------------------

CREATE FUNCTION tenancy.claim_notifications(max_count integer DEFAULT 10)
RETURNS TABLE (id uuid, kind text, recipient text, payload jsonb, attempts integer)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	claimed timestamptz := clock_timestamp();
	lapses timestamptz := claimed + make_interval(secs => tenancy._setting('tenancy.notification_timeout')::integer);
	tries integer := tenancy._setting('tenancy.notification_attempts')::integer;
	missing integer := max_count;
	taken integer;
	candidates uuid[];
BEGIN
	IF max_count IS NULL OR max_count < 1 THEN
		RAISE EXCEPTION 'max_count must be positive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;

	-- Again while some of what was due turned out not to be sent any more.
	WHILE missing > 0 LOOP
		candidates := ARRAY(SELECT w.id
							FROM tenancy.notifications w
							WHERE w.sent_at IS NULL AND w.dead_at IS NULL AND w.due_at <= claimed
							ORDER BY w.due_at
							LIMIT missing
							FOR UPDATE SKIP LOCKED);
		EXIT WHEN candidates = '{}';

		-- Revoked, replaced and accepted invites take their mail along; expiry is
		-- no change of a row.  News of an organization is for those who are in it
		-- when it is sent, and about somebody who still is.
		DELETE FROM tenancy.notifications w
		WHERE w.id = ANY (candidates)
		  AND (EXISTS (SELECT FROM tenancy.invites i
					   WHERE i.id = w.invite_id AND i.expires_at < claimed)
			   OR (w.kind = 'member_joined'
				   AND NOT (EXISTS (SELECT FROM tenancy.members m
									WHERE m.organization_id = w.organization_id AND m.email = w.recipient)
							AND EXISTS (SELECT FROM tenancy.members m
										WHERE m.organization_id = w.organization_id
										  AND m.email = w.payload ->> 'member_email'))));

		-- Whatever brings its mailer down each time is given up, too.
		UPDATE tenancy.notifications w
		SET dead_at = claimed, claimed_at = NULL,
			last_error = coalesce(w.last_error, 'the mailer did not report back')
		WHERE w.id = ANY (candidates)
		  AND w.attempts >= tries;

		RETURN QUERY
			WITH taken AS (
				UPDATE tenancy.notifications w
				SET claimed_at = claimed, due_at = lapses, attempts = w.attempts + 1
				FROM unnest(candidates) WITH ORDINALITY AS c (id, position)
				WHERE w.id = c.id
				  AND w.dead_at IS NULL
				RETURNING w.*, c.position)
			SELECT t.id, t.kind, t.recipient::text, t.payload, t.attempts
			FROM taken t
			ORDER BY t.position;
		GET DIAGNOSTICS taken = ROW_COUNT;
		missing := missing - taken;
	END LOOP;
END
$$;
COMMENT ON FUNCTION tenancy.claim_notifications(integer) IS
	'Takes up to max_count due mails for sending; what is not reported back in time is due again; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.claim_notifications(integer) FROM PUBLIC;

-- A mail that has left cannot be called back: it counts as sent even when its
-- claim had lapsed and another mailer has taken it, or given it up, meanwhile.
CREATE FUNCTION tenancy.complete_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET sent_at = clock_timestamp(), claimed_at = NULL, dead_at = NULL,
		payload = '{}', invite_id = NULL, last_error = NULL
	WHERE w.id = complete_notification.notification
	  AND w.attempts > 0
	  AND w.sent_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.complete_notification(uuid) IS
	'Reports a claimed mail as sent, and erases what it said; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.complete_notification(uuid) FROM PUBLIC;

-- Tried again after 1 minute, 5, 25, ... up to 12 hours.
CREATE FUNCTION tenancy.fail_notification(notification uuid, error text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	failed timestamptz := clock_timestamp();
	tries integer := tenancy._setting('tenancy.notification_attempts')::integer;
BEGIN
	UPDATE tenancy.notifications w
	SET claimed_at = NULL,
		dead_at = CASE WHEN w.attempts >= tries THEN failed END,
		due_at = failed + least(power(5, least(w.attempts - 1, 9)) * interval '1 minute', interval '12 hours'),
		-- A server's refusal may repeat the message.
		last_error = left(replace(coalesce(fail_notification.error, 'unknown error'),
								  coalesce(w.payload ->> 'token', ''), '[token]'), 1000)
	WHERE w.id = fail_notification.notification
	  AND w.claimed_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
END
$$;
COMMENT ON FUNCTION tenancy.fail_notification(uuid, text) IS
	'Reports that a claimed mail could not be sent: it is due again later, or given up; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.fail_notification(uuid, text) FROM PUBLIC;

-- A mailer that is told to stop, or finds no mail server, has not tried what is
-- left of its batch: that costs the mail neither an attempt nor time.
CREATE FUNCTION tenancy.release_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET claimed_at = NULL, due_at = clock_timestamp(), attempts = w.attempts - 1
	WHERE w.id = release_notification.notification
	  AND w.claimed_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not claimed'
			USING ERRCODE = 'no_data_found';
	END IF;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy.release_notification(uuid) IS
	'Gives back a claimed mail that was not tried: it is due at once; for the mailer.';
REVOKE ALL ON FUNCTION tenancy.release_notification(uuid) FROM PUBLIC;

-- What a mailer has beyond others, as GRANT and REVOKE name it.
CREATE FUNCTION tenancy._mailer_rights()
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'EXECUTE ON FUNCTION
				tenancy.claim_notifications(integer),
				tenancy.complete_notification(uuid),
				tenancy.fail_notification(uuid, text),
				tenancy.release_notification(uuid)'
$$;
COMMENT ON FUNCTION tenancy._mailer_rights() IS 'What grant_mailer() gives and revoke_mailer() takes.';

-- Two tools of superusers; with their own rights only, hence no SECURITY DEFINER.
CREATE FUNCTION tenancy.grant_mailer(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT %s TO %I', tenancy._mailer_rights(), tenancy._require_role(role));
END
$$;
COMMENT ON FUNCTION tenancy.grant_mailer(regrole) IS
	'Lets a role take mail out of the outbox, and nothing else.';
REVOKE ALL ON FUNCTION tenancy.grant_mailer(regrole) FROM PUBLIC;

CREATE FUNCTION tenancy.revoke_mailer(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	mailer text := tenancy._require_role(role);
BEGIN
	IF NOT EXISTS (SELECT FROM pg_proc p, aclexplode(p.proacl) a
				   WHERE p.oid = 'tenancy.claim_notifications(integer)'::regprocedure
					 AND a.grantee = revoke_mailer.role) THEN
		RAISE EXCEPTION 'role has no rights of a mailer'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	EXECUTE format('REVOKE %s FROM %I', tenancy._mailer_rights(), mailer);
END
$$;
COMMENT ON FUNCTION tenancy.revoke_mailer(regrole) IS
	'Takes back what grant_mailer() gave.';
REVOKE ALL ON FUNCTION tenancy.revoke_mailer(regrole) FROM PUBLIC;

-- ---------------------------------------------------------------------
-- For the DBA
-- ---------------------------------------------------------------------

-- With the rights of its owner: the table is nobody's.  Without the payload,
-- which holds the secrets of invites.
CREATE VIEW tenancy.dead_notifications WITH (security_barrier = true) AS
	SELECT n.id, n.kind, n.organization_id, n.recipient, n.attempts, n.last_error,
		   n.created_at, n.dead_at
	FROM tenancy.notifications n
	WHERE n.dead_at IS NOT NULL;
COMMENT ON VIEW tenancy.dead_notifications IS 'Mail that was given up; tenancy.requeue_notification() tries again.';
REVOKE ALL ON tenancy.dead_notifications FROM PUBLIC;

CREATE FUNCTION tenancy.requeue_notification(notification uuid)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE tenancy.notifications w
	SET dead_at = NULL, attempts = 0, due_at = clock_timestamp()
	WHERE w.id = requeue_notification.notification
	  AND w.dead_at IS NOT NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'notification is not dead'
			USING ERRCODE = 'no_data_found';
	END IF;
	NOTIFY tenancy_notifications;
END
$$;
COMMENT ON FUNCTION tenancy.requeue_notification(uuid) IS
	'Tries a mail again that was given up, as if it were new; for the DBA.';
REVOKE ALL ON FUNCTION tenancy.requeue_notification(uuid) FROM PUBLIC;
