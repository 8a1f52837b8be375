-- ---------------------------------------------------------------------
-- Invites
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
