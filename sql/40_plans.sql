-- ---------------------------------------------------------------------
-- The plans that come with the extension
-- ---------------------------------------------------------------------

INSERT INTO tenancy.plans (name, multiple_organizations, multiple_projects, private_projects)
VALUES ('open_source', false, false, false),
	   ('free', true, false, false),
	   ('self_serve', true, true, false),
	   ('enterprise', true, true, true);
