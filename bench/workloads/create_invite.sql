-- as: superuser
-- contenders: limit tenancy
-- before: SELECT plain.set_audit('{audit}')
\if :signed_in = 0
SELECT tenancy.act_as(plain.id('user', 3), true);
\set signed_in 1
\endif
\set n random(1, 1000000000)
SELECT tenancy.create_invite(plain.id('organization', 1), 'guest' || :n || '@example.com');
