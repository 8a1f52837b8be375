SELECT date_trunc('day', created_at) AS day, count(*), avg(duration) FROM {rows}
WHERE project_id = :project GROUP BY 1 ORDER BY 1;
