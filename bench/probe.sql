-- For rivals that do not come to an end: rows of some projects, of which the
-- user sees all, some or few.
SELECT count(*), sum(duration) FROM {rows} WHERE {visible}
AND project_id = ANY (array(SELECT md5('project ' || n)::uuid FROM generate_series(1, 100) n));
