// The API: what is asked for, and the statement that answers.  There is no rule
// in here: views show what the person may see, commands ask who may.
//
// Parameters are taken from the path, the query and the body, by name.

const cells = `
  SELECT m.user_id, p.id AS project_id, w.level, w.source,
         (SELECT jsonb_agg(e ORDER BY e.step)
          FROM tenancy.explain_access(m.user_id, 'project.view', p.id) e) AS why,
         (SELECT jsonb_agg(e ORDER BY e.step)
          FROM tenancy.explain_access(m.user_id, 'project.manage', p.id) e) AS why_manage
  FROM tenancy.members m
  JOIN tenancy.my_projects p USING (organization_id)
  LEFT JOIN LATERAL tenancy.who_can_access(p.id) w ON w.user_id = m.user_id
  WHERE organization_id = $1`;

export const routes = [
  // method, path, statement, names of its parameters
  ['GET', '/me', `
    SELECT u.id, u.name, u.email, s.current_organization_id, s.current_project_id
    FROM tenancy.users u LEFT JOIN tenancy.user_preferences s ON s.user_id = u.id
    WHERE u.id = tenancy.current_user_id()`, []],
  ['GET', '/organizations', 'SELECT * FROM tenancy.my_organizations ORDER BY name, id', []],
  ['POST', '/organizations', 'SELECT tenancy.create_organization($1) AS id', ['name']],
  ['GET', '/organizations/:organization/members', `
    SELECT * FROM tenancy.members WHERE organization_id = $1
    ORDER BY level DESC, name, user_id`, ['organization']],
  ['PATCH', '/organizations/:organization/members/:user',
    'SELECT tenancy.set_member_level($1, $2, $3)', ['organization', 'user', 'level']],
  ['DELETE', '/organizations/:organization/members/:user',
    'SELECT tenancy.remove_member($1, $2)', ['organization', 'user']],
  ['GET', '/organizations/:organization/projects', `
    SELECT * FROM tenancy.my_projects WHERE organization_id = $1
    ORDER BY is_private, name, id`, ['organization']],
  ['POST', '/organizations/:organization/projects',
    'SELECT tenancy.create_project($1, $2, $3) AS id', ['organization', 'name', 'is_private']],
  ['GET', '/organizations/:organization/invites', `
    SELECT i.*, m.name AS invited_by_name
    FROM tenancy.pending_invites i
    LEFT JOIN tenancy.members m ON m.organization_id = i.organization_id AND m.user_id = i.invited_by
    WHERE i.organization_id = $1 ORDER BY i.created_at, i.id`, ['organization']],
  ['POST', '/organizations/:organization/invites',
    'SELECT * FROM tenancy.create_invite($1, $2)', ['organization', 'email']],
  ['GET', '/organizations/:organization/access', cells, ['organization']],
  ['DELETE', '/invites/:invite', 'SELECT tenancy.revoke_invite($1)', ['invite']],
  ['POST', '/invites/accept', 'SELECT tenancy.accept_invite($1)', ['token']],
  ['PATCH', '/projects/:project/privacy',
    'SELECT tenancy.set_project_privacy($1, $2)', ['project', 'is_private']],
  ['POST', '/projects/:project/members',
    'SELECT tenancy.add_project_member($1, $2, $3)', ['project', 'user', 'level']],
  ['DELETE', '/projects/:project/members/:user',
    'SELECT tenancy.remove_project_member($1, $2)', ['project', 'user']],
  ['POST', '/projects/:project/token',
    'SELECT tenancy.rotate_project_token($1) AS token', ['project']],
  ['PUT', '/current/organization', 'SELECT tenancy.switch_organization($1)', ['organization']],
  ['PUT', '/current/project', 'SELECT tenancy.switch_project($1)', ['project']],
  ['DELETE', '/session', 'SELECT tenancy.sign_out()', []],

  // the application's own table
  ['GET', '/notes', `
    SELECT id, project_id, body, created_at FROM notes
    WHERE $1::uuid IS NULL OR project_id = $1 ORDER BY created_at, id`, ['project']],
  ['POST', '/notes', 'INSERT INTO notes (project_id, body) VALUES ($1, $2)', ['project', 'body']],
  // with a project token, which knows its project
  ['POST', '/events', 'INSERT INTO notes (body) VALUES ($1)', ['body']],
  ['DELETE', '/notes/:note', 'DELETE FROM notes WHERE id = $1', ['note'], 'one'],
];
