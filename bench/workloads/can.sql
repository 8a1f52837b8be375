-- calls: 100000
-- contenders: tenancy function
SELECT count({can}) FROM generate_series(1, 10000),
	(SELECT md5('project ' || n)::uuid AS project FROM generate_series(1, 10) n OFFSET 0) p;
