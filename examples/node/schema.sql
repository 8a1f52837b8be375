-- The database of the example, made by a superuser, once:
--
--   createdb example && psql -d example -f schema.sql
--
-- Two roles log in.  "api" serves requests: it is trusted with nothing, and is
-- nobody until a request's token has been verified.  "api_login" creates users
-- and sessions, when a password has been checked.  SQL that is injected into a
-- request runs as "api".

CREATE EXTENSION tenancy CASCADE;

CREATE ROLE api LOGIN;
CREATE ROLE api_login LOGIN;
SELECT tenancy.grant_application('api_login');

-- A request whose client has gone away, or that takes too long, ends.
ALTER ROLE api SET client_connection_check_interval = '1s';
ALTER ROLE api SET statement_timeout = '30s';
ALTER ROLE api SET idle_in_transaction_session_timeout = '30s';

-- What all clients of a pool share, and none may leave behind.
DO $$ BEGIN
	EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$;

CREATE TABLE notes (
	project_id uuid NOT NULL,
	id uuid NOT NULL DEFAULT gen_random_uuid(),
	body text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (project_id, id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO api;
SELECT tenancy.protect('notes');

-- How a person proves who they are is the application's business.
CREATE SCHEMA login;
GRANT USAGE ON SCHEMA login TO api_login;
CREATE TABLE login.passwords (
	user_id uuid PRIMARY KEY REFERENCES tenancy.users ON DELETE CASCADE,
	email text NOT NULL UNIQUE,
	salt text NOT NULL,
	hash text NOT NULL
);
GRANT SELECT, INSERT, DELETE ON login.passwords TO api_login;
