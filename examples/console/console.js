// Shows what the API says, and sends what is clicked.  What somebody may do is
// not known here: whoever may not is told by the database.

const $ = (id) => document.getElementById(id);
const say = { owner: 'Owner', administrator: 'Administrator', member: 'Member' };
let token = sessionStorage.getItem('token');
let state = {};

// An element with attributes and children.  Text is never read as HTML.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value !== false) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

async function call(method, path, body, as = token) {
  const response = await fetch(`/api${path}`, {
    method,
    headers: as ? { Authorization: `Bearer ${as}` } : {},
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (response.ok) return answer;
  if (response.status === 401 && as === token && token) leave();
  throw new Error(answer.hint ? `${answer.error}: ${answer.hint}` : answer.error);
}

// What a click does; then everything is read anew.
function act(work) {
  return async (event) => {
    event.preventDefault();
    $('notice').textContent = '';
    try {
      await work(event);
      await refresh();
    } catch (error) {
      $('notice').textContent = error.message;
    }
  };
}

function options(select, rows, chosen) {
  select.replaceChildren(...rows.map((row) => el('option',
    { value: row.id, ...(row.id === chosen && { selected: '' }) }, row.name)));
  select.disabled = rows.length === 0;
}

function steps(rows) {
  return el('ol', { class: 'steps' }, ...rows.map(({ granted, sentence }) => el('li',
    { class: granted === null ? 'hint' : granted ? 'yes' : 'no' }, sentence)));
}

function explain(cell, button) {
  for (const other of $('map').querySelectorAll('[aria-pressed=true]')) other.setAttribute('aria-pressed', 'false');
  button.setAttribute('aria-pressed', 'true');
  state.chosen = [cell.user_id, cell.project_id];
  const { name } = state.members.find(({ user_id: id }) => id === cell.user_id);
  const project = state.projects.find(({ id }) => id === cell.project_id);
  $('why').replaceChildren(el('h3', {}, `${name} and “${project.name}”`),
    el('div', {}, el('h4', {}, 'See it, and edit its data'), steps(cell.why)),
    el('div', {}, el('h4', {}, 'Manage its name, token and members'), steps(cell.why_manage)));
}

function drawMap() {
  const { members, projects, cells, chosen } = state;
  const of = (user, project) => cells.find((c) => c.user_id === user && c.project_id === project);
  const head = el('tr', {}, el('td'), ...projects.map((p) => el('th', { scope: 'col' }, p.name,
    el('small', {}, p.is_private ? 'private' : 'open'))));
  const rows = members.map((member) => el('tr', {},
    el('th', { scope: 'row' }, member.name, el('small', {}, say[member.level])),
    ...projects.map((project) => {
      const cell = of(member.user_id, project.id);
      if (!cell) return el('td');
      const label = say[cell.level] ?? 'no access';
      const button = el('button', {
        class: `cell ${cell.level ?? 'none'}`, 'aria-pressed': 'false', 'data-cell': `${member.name}/${project.name}`,
        'aria-label': `${member.name}, ${project.name}: ${label}. Why?`,
      }, label === 'no access' ? '–' : label);
      button.addEventListener('click', () => explain(cell, button));
      return el('td', {}, button);
    })));
  $('map').replaceChildren(el('caption', { hidden: '' }, 'People and projects'), el('thead', {}, head), el('tbody', {}, ...rows));
  $('why').replaceChildren(el('p', { class: 'hint' }, 'Choose a cell to see why it is what it is.'));
  const again = chosen && of(...chosen);
  if (again) {
    const row = members.findIndex((m) => m.user_id === again.user_id);
    const column = projects.findIndex((p) => p.id === again.project_id);
    explain(again, $('map').tBodies[0].rows[row].cells[column + 1].firstChild);
  }
}

function drawMembers() {
  $('members').replaceChildren(...state.members.map((m) => el('li', {},
    el('span', {}, m.name, el('small', {}, m.email)),
    el('span', { class: `badge ${m.level}` }, say[m.level]))));
}

function drawProjects() {
  $('projects').replaceChildren(...state.projects.map((p) => el('li', {},
    el('span', {}, p.name, el('small', {}, `You: ${say[p.level] ?? '–'}`)),
    el('span', { class: 'actions' },
      el('span', { class: `badge ${p.is_private ? 'private' : 'open'}` }, p.is_private ? 'private' : 'open'),
      el('button', {
        class: 'plain', 'aria-label': `Make ${p.name} ${p.is_private ? 'open' : 'private'}`,
        onclick: act(() => call('PATCH', `/projects/${p.id}/privacy`, { is_private: !p.is_private })),
      }, p.is_private ? 'make open' : 'make private')))));
}

function drawInvites() {
  $('invites').replaceChildren(...state.invites.map((i) => el('li', {},
    el('span', {}, i.email, el('small', {}, `by ${i.invited_by_name ?? 'a former member'}, until ${i.expires_at.slice(0, 16).replace('T', ' ')} UTC`)),
    el('button', { class: 'plain', 'aria-label': `Revoke the invite of ${i.email}`,
      onclick: act(() => {
        $('invited').replaceChildren();
        return call('DELETE', `/invites/${i.id}`);
      }) }, 'revoke'))));
}

function drawToken() {
  const project = current();
  $('token-project').textContent = project ? `“${project.name}”` : 'no project';
  $('token').textContent = project?.token ?? '–';
  $('try').disabled = $('rotate').disabled = !project?.token;
}

const current = () => state.projects.find(({ id }) => id === state.me.current_project_id);

async function refresh() {
  const [[me], organizations] = await Promise.all([call('GET', '/me'), call('GET', '/organizations')]);
  const here = organizations.find(({ id }) => id === me.current_organization_id);
  const read = (what) => (here ? call('GET', `/organizations/${here.id}/${what}`) : []);
  const [members, projects, invites, cells] = await Promise.all(
    ['members', 'projects', 'invites', 'access'].map(read));
  state = { ...state, me, members, projects, invites, cells, organization: here };
  $('me').textContent = me.name;
  options($('organization'), organizations, me.current_organization_id);
  options($('project'), projects, me.current_project_id);
  drawMap();
  drawMembers();
  drawProjects();
  drawInvites();
  drawToken();
  $('inside').hidden = false;
  $('door').hidden = true;
}

function leave() {
  token = null;
  state = {};
  sessionStorage.removeItem('token');
  $('inside').hidden = true;
  $('door').hidden = false;
  // Nothing of theirs stays in the page for whoever sits down next.
  for (const id of ['me', 'organization', 'project', 'map', 'why', 'members', 'projects', 'invites',
    'invited', 'token', 'token-project', 'tried', 'notice']) $(id).replaceChildren();
}

async function tryToken(which, value) {
  const shown = `${value.slice(0, 12)}…`;
  try {
    await call('POST', '/events', { body: 'An event from the console' }, value);
    $('tried').append(el('li', { class: 'yes' }, `${which} token `, el('code', {}, shown), ': accepted, an event was written'));
  } catch (error) {
    $('tried').append(el('li', { class: 'no' }, `${which} token `, el('code', {}, shown), `: refused, ${error.message}`));
  }
}

$('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  form.querySelector('.error').textContent = '';
  try {
    ({ token } = await call('POST', '/session', Object.fromEntries(new FormData(form)), null));
    sessionStorage.setItem('token', token);
    form.reset();
    await refresh();
    $('main').focus();
  } catch (error) {
    form.querySelector('.error').textContent = error.message;
  }
});
$('sign-out').addEventListener('click', async () => {
  await call('DELETE', '/session').catch(() => {});
  leave();
});
$('organization').addEventListener('change', act(({ target }) => {
  state.chosen = undefined;
  $('tried').replaceChildren();
  $('invited').replaceChildren();
  return call('PUT', '/current/organization', { organization: target.value });
}));
$('project').addEventListener('change', act(({ target }) => {
  $('tried').replaceChildren();
  return call('PUT', '/current/project', { project: target.value });
}));
$('invite').addEventListener('submit', act(async ({ target }) => {
  const email = new FormData(target).get('email');
  const [{ token: invite }] = await call('POST', `/organizations/${state.organization.id}/invites`, { email });
  target.reset();
  $('invited').replaceChildren(`For ${email}, shown this once: `, el('code', {}, invite));
}));
$('try').addEventListener('click', act(() => tryToken('This', current().token)));
$('rotate').addEventListener('click', act(async () => {
  const old = current().token;
  const [{ token: fresh }] = await call('POST', `/projects/${current().id}/token`);
  await tryToken('The old', old);
  await tryToken('The new', fresh);
}));

if (token) refresh().catch(leave);
else leave();
