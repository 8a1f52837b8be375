-- Users whom the session does not remember: with so little memory, none of
-- those before.  The hand-written query asks nothing about them.
\set n random(1, 400)
BEGIN;
SET LOCAL {cache size} = 64;
{act as user n}
SELECT created_at, device, duration FROM {rows}
WHERE project_id = md5('project ' || :n)::uuid ORDER BY created_at DESC LIMIT 20;
COMMIT;
