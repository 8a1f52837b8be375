-- before: TRUNCATE plain.inbox, guarded.inbox
INSERT INTO inbox (project_id, created_at, device, duration)
SELECT :project::uuid, now(), i, i FROM generate_series(1, 1000) i;
