EXPLAIN SELECT count(*) FROM {rows} WHERE {visible};
