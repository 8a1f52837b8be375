-- A column that no index has, so that the table itself is read.
SELECT count(*), sum(duration) FROM {rows} WHERE {visible};
