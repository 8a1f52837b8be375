-- What the plan includes and what is used of it.  That limits hold is in projects,
-- organizations, races_plans and 012_plan_limits.
\set test plans
\getenv inputs PG_ABS_SRCDIR
\set fixture :inputs /sql/fixture.psql
\i :fixture

SELECT act('alice');
SELECT tenancy.add_project_member(id('hidden'), id('max'), 'member');
SELECT called(organization_id), plan, feature, included, used FROM tenancy.plan_features ORDER BY feature;
SELECT act('adam');
SELECT feature, used FROM tenancy.plan_features ORDER BY feature;
-- A Member counts what they see: the hidden project is not in it, and that there is
-- a second one does not show; one who was added to it sees it.
SELECT act('mia');
SELECT feature, included, used FROM tenancy.plan_features ORDER BY feature;
SELECT act('max');
SELECT feature, used FROM tenancy.plan_features ORDER BY feature;
-- ... nobody, and who is in no organization, sees nothing; nor do others
SELECT act('eve');
SELECT count(*) FROM tenancy.plan_features;
SELECT act('bob');
SELECT called(organization_id), feature, used FROM tenancy.plan_features ORDER BY feature;
SELECT tenancy.sign_out();
SELECT count(*) FROM tenancy.plan_features;
-- It follows the plan, a DBA's own and changed ones included; what was there before
-- a downgrade is still counted.
RESET ROLE;
SELECT tenancy.set_plan(id('acme'), 'free');
SET ROLE :app;
SELECT act('alice');
SELECT plan, feature, included, used FROM tenancy.plan_features ORDER BY feature;
RESET ROLE;
BEGIN;
INSERT INTO tenancy.plans VALUES ('regress_own', false, false, true);
UPDATE tenancy.plans SET multiple_projects = true WHERE name = 'free';
SELECT plan, feature, included FROM tenancy.plan_features WHERE organization_id = id('acme') ORDER BY feature;
SELECT tenancy.set_plan(id('acme'), 'regress_own');
SELECT plan, feature, included FROM tenancy.plan_features WHERE organization_id = id('acme') ORDER BY feature;
-- one that is there is changed by an INSERT, whatever that says about conflicts, as a dump needs it
INSERT INTO tenancy.plans VALUES ('regress_own', true, false, false);
INSERT INTO tenancy.plans VALUES ('free', false, false, true) ON CONFLICT DO NOTHING;
SELECT * FROM tenancy.plans WHERE name IN ('regress_own', 'free') ORDER BY name;
-- and not by the seed of the documentation
INSERT INTO tenancy.plans SELECT 'free', true, true, true WHERE NOT EXISTS (SELECT FROM tenancy.plans WHERE name = 'free');
SELECT * FROM tenancy.plans WHERE name = 'free';
ROLLBACK;
-- ... in several organizations each is counted by itself
SELECT tenancy.set_plan(id('rival'), 'free');
SET ROLE :app;
SELECT act('alice');
SELECT remember('second', tenancy.create_organization('Second'));
SELECT called(organization_id), plan, feature, included, used FROM tenancy.plan_features ORDER BY 1, feature;

\i :cleanup
