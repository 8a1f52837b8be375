-- calls: 1000
-- contenders: tenancy
SELECT count(tenancy.authenticate(:credential)) FROM generate_series(1, 1000);
