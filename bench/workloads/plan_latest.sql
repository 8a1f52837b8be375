EXPLAIN SELECT created_at, device, duration FROM {rows}
WHERE project_id = '{project}' ORDER BY created_at DESC LIMIT 20;
