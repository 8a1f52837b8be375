// The console in a real browser: what a person clicks, and what they see then.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from '../node/node_modules/pg/lib/index.js';
import { createDatabase, person, startPgBouncer, startServer } from '../node/testing.js';
import { openBrowser } from './browser.js';

const people = {};
let admin, bouncer, server, loginPool, browser, acme;

const shot = async (name) => {
  if (process.env.SCREENSHOTS) await browser.screenshot(`${process.env.SCREENSHOTS}/${name}.png`);
};
const text = (selector) => browser.run(`document.querySelector(${JSON.stringify(selector)}).innerText`);
const holds = (selector, words) => browser.until(
  `document.querySelector(${JSON.stringify(selector)}).innerText.includes(${JSON.stringify(words)})`);

async function ok(who, method, path, body) {
  const [status, answer] = await server.call(people[who].token, method, path, body);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer;
}

async function signIn(who) {
  await browser.type('[name=email]', people[who].email);
  await browser.type('[name=password]', people[who].password);
  await browser.click('#sign-in button');
  await holds('#me', who);
}

const signOut = async () => {
  await browser.click('#sign-out');
  await browser.until('!document.getElementById("door").hidden');
};

// What the map says: "Olga: Owner Owner –" for each person.
const map = async () => (await browser.run(`[...document.querySelectorAll('#map tbody tr')].map((row) =>
  row.cells[0].firstChild.textContent + ': ' + [...row.querySelectorAll('button')].map((b) => b.innerText).join(' '))`)).sort();

async function chooseCell(who, project) {
  await browser.click(`[data-cell="${who}/${project}"]`);
  await holds('#why h3', `${who} and “${project}”`);
}

before(async () => {
  admin = await createDatabase();
  bouncer = await startPgBouncer();
  server = await startServer(bouncer, 8);
  loginPool = new pg.Pool({ ...bouncer.login('api_login'), max: 2 });
  for (const name of ['Olga', 'Adam', 'Mia', 'Max', 'Pia']) people[name] = await person(loginPool, name);
  await ok('Olga', 'POST', '/organizations', { name: 'Bolt' });
  [{ id: acme }] = await ok('Olga', 'POST', '/organizations', { name: 'Acme' });
  for (const name of ['Adam', 'Mia', 'Max', 'Pia']) {
    const [{ token }] = await ok('Olga', 'POST', `/organizations/${acme}/invites`, { email: people[name].email });
    await ok(name, 'POST', '/invites/accept', { token });
  }
  await ok('Olga', 'PATCH', `/organizations/${acme}/members/${people.Adam.id}`, { level: 'administrator' });
  await ok('Olga', 'POST', `/organizations/${acme}/projects`, { name: 'Website', is_private: false });
  const ids = {};
  for (const name of ['Payroll', 'Merger']) {
    [{ id: ids[name] }] = await ok('Olga', 'POST', `/organizations/${acme}/projects`, { name, is_private: true });
  }
  await ok('Olga', 'POST', `/projects/${ids.Payroll}/members`, { user: people.Mia.id, level: 'member' });
  await ok('Olga', 'POST', `/projects/${ids.Payroll}/members`, { user: people.Max.id, level: 'administrator' });
  await ok('Mia', 'POST', `/organizations/${acme}/invites`, { email: 'nora@example.com' });
  browser = await openBrowser(1280, 900);
  await browser.go(server.base);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await loginPool?.end();
  await bouncer?.stop();
  await admin?.end();
});

test('a wrong password is refused', async () => {
  await browser.type('[name=email]', people.Olga.email);
  await browser.type('[name=password]', 'guess');
  await browser.click('#sign-in button');
  await holds('#sign-in .error', 'e-mail address or password is wrong');
  await shot('sign-in');
  await browser.run('document.getElementById("sign-in").reset()');
});

test('the Owner sees the whole map', async () => {
  await signIn('Olga');
  await browser.until('document.querySelectorAll("#map button").length === 20');
  assert.deepEqual(await map(), [
    'Adam: Administrator Administrator Administrator Administrator',
    'Max: Member Member – Administrator',
    'Mia: Member Member – Member',
    'Olga: Owner Owner Owner Owner',
    'Pia: Member Member – –',
  ]);
});

test('the map is what the database decides for each of them', async () => {
  const { rows } = await admin.query(`
    SELECT count(*)::int AS n FROM tenancy.access WHERE organization_id = $1 AND project_id IS NOT NULL`, [acme]);
  const granted = await browser.run("document.querySelectorAll('#map button:not(.none)').length");
  assert.equal(granted, rows[0].n);
});

test('a cell tells why', async () => {
  await chooseCell('Pia', 'Payroll');
  assert.match(await text('#why .steps .no'), /private/);
  assert.match(await text('#why'), /add_project_member/);
  await chooseCell('Max', 'Payroll');
  assert.match(await text('#why'), /Max was added to it as an Administrator/);
  await shot('map');
});

test('members, projects and invites are listed', async () => {
  assert.equal(await browser.run("document.querySelectorAll('#members li').length"), 5);
  assert.match(await text('#members'), /adam@example\.com\s+Administrator/);
  assert.match(await text('#projects'), /Merger[^]*private[^]*/);
  assert.match(await text('#invites'), /nora@example\.com\s+by Mia/);
});

test('an invite is made, its token is shown once, and it is revoked', async () => {
  await browser.type('#invite [name=email]', 'otto@example.com');
  await browser.click('#invite button');
  await holds('#invites', 'otto@example.com');
  assert.match(await text('#invited code'), /^tni_/);
  await browser.click('[aria-label="Revoke the invite of otto@example.com"]');
  await browser.until('!document.getElementById("invites").innerText.includes("otto")');
});

test('privacy changes the map at once', async () => {
  await browser.click('[aria-label="Make Website private"]');
  await browser.until('document.querySelector(\'[data-cell="Pia/Website"]\').innerText === "–"');
  await browser.click('[aria-label="Make Website open"]');
  await browser.until('document.querySelector(\'[data-cell="Pia/Website"]\').innerText === "Member"');
});

test('a regenerated token is refused, the new one is not', async () => {
  await browser.choose('#project', 'Website');
  await holds('#token-project', 'Website');
  const old = await text('#token');
  await browser.click('#try');
  await holds('#tried', 'This token');
  assert.match(await text('#tried'), /accepted/);
  await browser.click('#rotate');
  await holds('#tried', 'The new token');
  const [, refused, accepted] = (await text('#tried')).split('\n').filter((line) => line.trim());
  assert.match(refused, /^The old token .*: refused, credential is not valid$/);
  assert.match(accepted, /^The new token .*: accepted/);
  await browser.until(`document.getElementById('token').innerText !== ${JSON.stringify(old)}`);
  assert.equal((await server.call(old, 'POST', '/events', { body: 'x' }))[0], 401);
  await chooseCell('Pia', 'Payroll');
  await shot('token');
});

test('switching the organization leaves nothing of the other on the page', async () => {
  await browser.choose('#organization', 'Bolt');
  await browser.until('document.querySelectorAll("#map button").length === 1');
  assert.doesNotMatch(await text('main#main'), /Payroll|Merger|Website|Adam|nora/);
  await browser.choose('#organization', 'Acme');
  await browser.until('document.querySelectorAll("#map button").length === 20');
  await signOut();
  assert.doesNotMatch(await browser.run('document.body.textContent'), /Payroll|Adam|tnp_/);
});

test('a Member sees no project that is hidden from them', async () => {
  await signIn('Pia');
  await browser.until('document.querySelectorAll("#map button").length === 10');
  assert.doesNotMatch(await text('body'), /Payroll|Merger|nora/);
  await browser.click('[aria-label="Make Website private"]');
  await holds('#notice', 'permission denied for project');
  await signOut();
});

test('a name is text, whatever is in it', async () => {
  const [{ id }] = await ok('Olga', 'POST', `/organizations/${acme}/projects`,
    { name: '<img src=x onerror="document.title=1">', is_private: false });
  await signIn('Mia');
  await holds('#projects', '<img src=x');
  assert.equal(await browser.run('document.title'), 'tenancy console');
  assert.equal(await browser.run('document.images.length'), 0);
  await admin.query('DELETE FROM tenancy.projects WHERE id = $1', [id]);
});

test('it can be used on a narrow screen', async () => {
  await browser.resize(390, 844, true);
  await browser.run('location.reload()');
  await browser.until('document.querySelectorAll("#map button").length > 5');
  assert.ok(await browser.run('document.documentElement.scrollWidth <= 390'));
  await shot('narrow');
});

test('everything has a name for who cannot see it, and a key for who has no mouse', async () => {
  const { nodes } = await browser.send('Accessibility.getFullAXTree');
  const nameless = nodes.filter(({ role, name, ignored }) => !ignored
    && ['button', 'textbox', 'combobox', 'link'].includes(role?.value) && !name?.value);
  assert.deepEqual(nameless, []);
  const focusable = await browser.run(`[...document.querySelectorAll('[onclick], li, td')]
    .filter((node) => node.hasAttribute('onclick')).length`);
  assert.equal(focusable, 0);
});

test('a session that ends elsewhere ends here', async () => {
  await loginPool.query('SELECT tenancy.revoke_sessions($1)', [people.Mia.id]);
  await browser.click('#try');
  await browser.until('!document.getElementById("door").hidden');
  assert.doesNotMatch(await browser.run('document.body.textContent'), /Payroll|tnp_/);
});

test('the page has thrown no error', () => {
  assert.deepEqual(browser.errors, []);
});
