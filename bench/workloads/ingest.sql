-- before: TRUNCATE plain.inbox, guarded.inbox
-- All that the client has is a token.
BEGIN;
{authenticate}
INSERT INTO inbox (project_id, created_at, device, duration)
SELECT {own project}, now(), i, i FROM generate_series(1, 100) i;
COMMIT;
