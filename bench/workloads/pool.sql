-- warm: 2500
-- 400 users in turn over one connection, each in a transaction of its own; all
-- of them have been there before.
\set n random(1, 400)
BEGIN;
{act as user n}
SELECT created_at, device, duration FROM {rows}
WHERE project_id = md5('project ' || :n)::uuid ORDER BY created_at DESC LIMIT 20;
COMMIT;
