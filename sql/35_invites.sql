-- ---------------------------------------------------------------------
-- Invites and notifications
-- ---------------------------------------------------------------------

CREATE TABLE tenancy.invites (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	organization_id uuid NOT NULL REFERENCES tenancy.organizations ON DELETE CASCADE,
	email tenancy.email NOT NULL,
	invited_by uuid REFERENCES tenancy.users ON DELETE SET NULL,
	digest bytea NOT NULL UNIQUE CHECK (pg_catalog.length(digest) OPERATOR(pg_catalog.=) 32),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at timestamptz NOT NULL,
	UNIQUE (organization_id, email)
);
CREATE INDEX invites_invited_by_idx ON tenancy.invites (invited_by);
COMMENT ON TABLE tenancy.invites IS 'Open invites: a row goes when its invite is accepted, replaced or revoked.';
COMMENT ON COLUMN tenancy.invites.id IS 'Random id; it is not the secret.';
COMMENT ON COLUMN tenancy.invites.organization_id IS 'Where to.';
COMMENT ON COLUMN tenancy.invites.email IS 'Who may accept it.';
COMMENT ON COLUMN tenancy.invites.invited_by IS 'Who invited, while that account exists.';
COMMENT ON COLUMN tenancy.invites.digest IS 'SHA-256 of the secret.';
COMMENT ON COLUMN tenancy.invites.created_at IS 'When it was made.';
COMMENT ON COLUMN tenancy.invites.expires_at IS 'The last moment at which it can be accepted.';

CREATE TABLE tenancy.notifications (
	id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
	kind text COLLATE "C" NOT NULL,
	organization_id uuid REFERENCES tenancy.organizations ON DELETE CASCADE,
	recipient tenancy.email NOT NULL,
	payload jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	claimed_at timestamptz,
	sent_at timestamptz,
	attempts integer NOT NULL DEFAULT 0,
	last_error text
);
CREATE INDEX notifications_organization_id_idx ON tenancy.notifications (organization_id);
CREATE INDEX notifications_waiting_idx ON tenancy.notifications (created_at) WHERE sent_at IS NULL;
COMMENT ON TABLE tenancy.notifications IS 'Outbox of mail to be sent.';
COMMENT ON COLUMN tenancy.notifications.id IS 'Random id.';
COMMENT ON COLUMN tenancy.notifications.kind IS 'invitation or member_joined.';
COMMENT ON COLUMN tenancy.notifications.organization_id IS 'The organization that it is about.';
COMMENT ON COLUMN tenancy.notifications.recipient IS 'Address of the recipient.';
COMMENT ON COLUMN tenancy.notifications.payload IS 'What the message says.';
COMMENT ON COLUMN tenancy.notifications.created_at IS 'When it was enqueued.';
COMMENT ON COLUMN tenancy.notifications.claimed_at IS 'When a mailer took it.';
COMMENT ON COLUMN tenancy.notifications.sent_at IS 'When it was sent.';
COMMENT ON COLUMN tenancy.notifications.attempts IS 'How often it was tried.';
COMMENT ON COLUMN tenancy.notifications.last_error IS 'Why the last try failed.';
