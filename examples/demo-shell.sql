-- demo-shell.sql: the banner of `make demo-shell`, read by psql before its prompt
\pset null '(null)'
\set PROMPT1 '%n@%/%R%x%# '
\echo 'Flight records of ten airports in two organizations.  You are role app, which owns nothing.'
\echo 'East: alice (Owner), bob (Administrator), carol and dave (Members).  West: erin (Owner).'
\echo 'Their ids are the variables :alice to :erin.  Paste, for instance:'
\echo
\echo '  SELECT count(*) FROM flights;                                  -- nobody is signed in'
\echo '  BEGIN; SELECT tenancy.act_as(:\'carol\');'
\echo '  SELECT name, level, count(*) FROM flights JOIN tenancy.my_projects p ON p.id = project_id GROUP BY 1, 2;'
\echo '  EXPLAIN SELECT count(*) FROM flights; COMMIT;'
\echo
\echo '  BEGIN; SELECT tenancy.act_as(:\'alice\');                        -- hide Miami from carol and dave'
\echo '  SELECT tenancy.set_project_privacy(id, true) FROM tenancy.my_projects WHERE name = \'Miami\'; COMMIT;'
\echo
\echo '  BEGIN; SELECT tenancy.act_as(:\'alice\');                        -- a token that can only write'
\echo '  SELECT token FROM tenancy.my_projects WHERE name = \'Boston\' \\gset'
\echo '  COMMIT; BEGIN; SELECT tenancy.authenticate(:\'token\');'
\echo '  INSERT INTO flights (date, delay, distance, origin, destination) VALUES (now(), 4, 946, \'BOS\', \'ATL\');'
\echo '  SELECT count(*) FROM flights; COMMIT;'
\echo
\echo '  TABLE tenancy.permission_matrix;                               -- who may do what;  \\q leaves'
\echo
