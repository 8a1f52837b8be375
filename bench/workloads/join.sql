SELECT d.name, count(*), avg(e.duration)
FROM {rows} e JOIN devices d USING (project_id, device)
WHERE {visible e.} AND {visible d.}
GROUP BY d.name ORDER BY d.name;
