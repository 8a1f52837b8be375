-- before: TRUNCATE plain.inbox, guarded.inbox
INSERT INTO inbox (project_id, created_at, device, duration) VALUES (:project, now(), 1, 1);
