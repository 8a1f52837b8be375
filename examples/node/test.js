// Eight tenants, each with a client of its own, share three connections through
// a real PgBouncer in transaction mode.  Nobody ever meets a row of another
// tenant, whatever happened on the connection before.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { asHolder } from './tenancy.js';
import { createDatabase, person, startPgBouncer, startServer } from './testing.js';

const rounds = Number(process.env.ROUNDS ?? 400);
const tenants = [];
const servedBy = new Map(); // backend -> the tenants that it served
let admin, bouncer, server, pool, loginPool;

before(async () => {
  admin = await createDatabase();
  bouncer = await startPgBouncer();
  server = await startServer(bouncer, 8);
  pool = new pg.Pool({ ...bouncer.login('api'), max: 8 });
  pool.on('error', () => {});
  loginPool = new pg.Pool({ ...bouncer.login('api_login'), max: 2 });
  for (const name of ['Ada', 'Bea', 'Cyd', 'Dan', 'Eve', 'Fay', 'Gil', 'Hal']) {
    const tenant = await person(loginPool, name);
    await server.call(tenant.token, 'POST', '/organizations', { name: `${name}'s` });
    const [, [organization]] = await server.call(tenant.token, 'GET', '/organizations');
    const [, [project]] = await server.call(tenant.token, 'GET', `/organizations/${organization.id}/projects`);
    tenants.push({ ...tenant, organization: organization.id, project: project.id,
      projectToken: project.token, written: 0 });
  }
});

after(async () => {
  await server?.stop();
  await pool?.end();
  await loginPool?.end();
  await bouncer?.stop();
  await admin?.end();
});

// Every row that the tenant sees is the tenant's.
function assertOwn(tenant, notes) {
  for (const note of notes) {
    assert.equal(note.project_id, tenant.project);
    assert.match(note.body, new RegExp(`^${tenant.name} `));
  }
}

async function write(tenant) {
  const [status] = await server.call(tenant.token, 'POST', '/notes',
    { project: tenant.project, body: `${tenant.name} ${tenant.written}` });
  assert.equal(status, 200);
  tenant.written += 1;
}

async function read(tenant) {
  const [status, notes] = await server.call(tenant.token, 'GET', '/notes');
  assert.equal(status, 200);
  assertOwn(tenant, notes);
  assert.equal(notes.length, tenant.written);
}

// Who served it is noted, so that the test can tell that connections are shared.
async function readDirectly(tenant) {
  await asHolder(pool, tenant.token, async (client) => {
    const { rows: [{ pid }] } = await client.query('SELECT pg_backend_pid() AS pid');
    servedBy.set(pid, (servedBy.get(pid) ?? new Set()).add(tenant.name));
    const { rows } = await client.query('SELECT project_id, body FROM notes');
    assertOwn(tenant, rows);
    assert.equal(rows.length, tenant.written);
  });
}

async function reachForOther(tenant, other) {
  const [status, answer] = await server.call(tenant.token, 'POST', '/notes',
    { project: other.project, body: `${tenant.name} was here` });
  assert.equal(status, 403);
  assert.equal(answer.error, 'new row violates row-level security policy for table "notes"');
  assert.deepEqual(await server.call(tenant.token, 'POST', `/projects/${other.project}/token`),
    [404, { error: 'project does not exist' }]);
  assert.deepEqual(await server.call(tenant.token, 'GET', `/notes?project=${other.project}`), [200, []]);
  assert.deepEqual(await server.call(tenant.token, 'GET', `/organizations/${other.organization}/members`),
    [200, []]);
}

async function sendGarbage(tenant) {
  assert.equal((await server.call(tenant.token, 'GET', '/notes?project=all'))[0], 400);
  assert.equal((await server.call(tenant.token, 'POST', '/notes', { project: tenant.project }))[0], 400);
  assert.equal((await server.call('tns_none', 'GET', '/notes'))[0], 401);
  assert.equal((await server.call(null, 'GET', '/notes'))[0], 401);
}

// A person who goes away in the middle; the answer may have been faster.
async function hangUp(tenant) {
  try {
    const [status, notes] = await server.call(tenant.token, 'GET', '/notes', undefined,
      AbortSignal.timeout(Math.floor(Math.random() * 8)));
    assert.equal(status, 200);
    assertOwn(tenant, notes);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
  }
}

// Cancelled, in turn: by a timeout, by a DBA, by closing the connection.
const cancellations = [
  (client) => client.query("SET LOCAL statement_timeout = '5ms'"),
  async (client) => {
    const { rows: [{ pid }] } = await client.query('SELECT pg_backend_pid() AS pid');
    // Asked for again where it came before the query.
    const again = setInterval(() => admin.query(`
      SELECT pg_cancel_backend(pid) FROM pg_stat_activity
      WHERE pid = $1 AND query ~ 'pg_sleep' AND state = 'active'`, [pid]).catch(() => {}), 10);
    return () => clearInterval(again);
  },
  (client, gone) => { setTimeout(() => gone.abort(), 5); },
];

async function cancelled(tenant, how) {
  const gone = new AbortController();
  await assert.rejects(asHolder(pool, tenant.token, async (client) => {
    await client.query('INSERT INTO notes (project_id, body) VALUES ($1, $2)',
      [tenant.project, `${tenant.name} never wrote this`]);
    const stop = await cancellations[how](client, gone);
    try {
      await client.query('SELECT pg_sleep(600)');
    } finally {
      if (typeof stop === 'function') stop();
    }
  }, gone.signal), how === 2 ? undefined : { code: '57014' });
}

async function failInside(tenant) {
  await assert.rejects(asHolder(pool, tenant.token, async (client) => {
    await client.query('INSERT INTO notes (project_id, body) VALUES ($1, $2)',
      [tenant.project, `${tenant.name} never wrote this`]);
    await client.query('SELECT 1/0');
  }), { code: '22012' });
  // An error that is swallowed must not look like success.
  await assert.rejects(asHolder(pool, tenant.token, async (client) => {
    await client.query('SELECT 1/0').catch(() => {});
  }), /the transaction had failed/);
}

// A client that signs in by itself, and is gone between BEGIN and COMMIT.
async function die(tenant) {
  const client = new pg.Client(bouncer.login('api'));
  client.on('error', () => {});
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT tenancy.authenticate($1)', [tenant.token]);
  await client.query('INSERT INTO notes (project_id, body) VALUES ($1, $2)',
    [tenant.project, `${tenant.name} never wrote this`]);
  client.connection.stream.destroy();
}

async function nobodyLooks() {
  const { rows: [seen] } = await pool.query(`
    SELECT count(*)::int AS notes, tenancy.current_user_id() AS somebody,
           (SELECT count(*)::int FROM tenancy.organizations) AS organizations
    FROM notes`);
  assert.deepEqual(seen, { notes: 0, somebody: null, organizations: 0 });
}

async function client(tenant) {
  for (let round = 0; round < rounds; round++) {
    const dice = Math.random() * 100;
    const other = tenants[(tenants.indexOf(tenant) + 1 + Math.floor(Math.random() * 7)) % 8];
    if (dice < 30) await read(tenant);
    else if (dice < 45) await write(tenant);
    else if (dice < 60) await readDirectly(tenant);
    else if (dice < 70) await nobodyLooks();
    else if (dice < 76) await reachForOther(tenant, other);
    else if (dice < 82) await sendGarbage(tenant);
    else if (dice < 88) await failInside(tenant);
    else if (dice < 93) await hangUp(tenant);
    else if (dice < 97) await cancelled(tenant, round % 3);
    else await die(tenant);
  }
}

test('a server that was not told who asks has nothing to say', async () => {
  await write(tenants[0]);
  await nobodyLooks();
  assert.deepEqual(await server.call(null, 'GET', '/notes'), [401, { error: 'nobody is signed in' }]);
});

test('eight clients, interleaved, see their own rows only', async () => {
  const ends = await Promise.allSettled(tenants.map(client));
  for (const { reason } of ends) if (reason) throw reason;
});

test('the connections were shared', () => {
  assert.ok([...servedBy.values()].some((names) => names.size > 1), 'each backend served one tenant');
});

test('what was written is there, and nothing that was not', async () => {
  const { rows } = await admin.query(`
    SELECT p.id, count(n.id)::int AS written, count(*) FILTER (WHERE n.body ~ 'never|here')::int AS wrong
    FROM tenancy.projects p LEFT JOIN notes n ON n.project_id = p.id GROUP BY p.id`);
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const { project, written } of tenants) {
    assert.deepEqual(found.get(project), { id: project, written, wrong: 0 });
  }
});

test('a process that is killed between BEGIN and COMMIT leaves nothing', async () => {
  const [tenant] = tenants;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', `
    import pg from 'pg';
    const client = new pg.Client(${JSON.stringify(bouncer.login('api'))});
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT tenancy.authenticate($1)', [process.env.TOKEN]);
    await client.query('INSERT INTO notes (project_id, body) VALUES ($1, $2)',
      ['${tenant.project}', 'left behind']);
    console.log('inside');
    setInterval(() => {}, 1000);`],
  { cwd: new URL('.', import.meta.url), env: { ...process.env, TOKEN: tenant.token },
    stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  assert.equal((await admin.query('SELECT count(*)::int AS n FROM pg_stat_activity '
    + "WHERE usename = 'api' AND state = 'idle in transaction'")).rows[0].n, 1);
  child.kill('SIGKILL');
  await once(child, 'exit');
  for (let tries = 0; ; tries++) {
    const { rows: [{ n }] } = await admin.query('SELECT count(*)::int AS n FROM pg_stat_activity '
      + "WHERE usename = 'api' AND state = 'idle in transaction'");
    if (n === 0) break;
    assert.ok(tries < 600, 'the transaction of the dead goes on');
    await sleep(100);
  }
  for (let i = 0; i < 6; i++) await nobodyLooks();
  await read(tenant);
  assert.equal((await admin.query("SELECT count(*)::int AS n FROM notes WHERE body = 'left behind'"))
    .rows[0].n, 0);
});

test('a session that was signed out is refused, here and by whoever kept it', async () => {
  const { token } = await person(loginPool, 'Ivy');
  assert.equal((await server.call(token, 'GET', '/me'))[1][0].name, 'Ivy');
  assert.equal((await server.call(token, 'DELETE', '/session'))[0], 200);
  assert.deepEqual(await server.call(token, 'GET', '/me'), [401, { error: 'credential is not valid' }]);
});

test('a wrong password and an unknown address are the same', async () => {
  const wrong = await server.call(null, 'POST', '/session', { email: tenants[0].email, password: 'x' });
  const unknown = await server.call(null, 'POST', '/session', { email: 'nobody@example.com', password: 'x' });
  assert.deepEqual(wrong, [401, { error: 'e-mail address or password is wrong' }]);
  assert.deepEqual(unknown, wrong);
});

test('a project token writes events into its project and reads nothing', async () => {
  const [tenant] = tenants;
  assert.equal((await server.call(tenant.projectToken, 'POST', '/events', { body: 'Ada clicked' }))[0], 200);
  tenant.written += 1;
  assert.deepEqual(await server.call(tenant.projectToken, 'GET', '/notes'), [200, []]);
  await read(tenant);
});

test('the role that serves requests cannot say who it is, nor see passwords', async () => {
  for (const statement of [`SELECT tenancy.act_as('${tenants[1].id}')`,
    `SELECT tenancy.create_session('${tenants[1].id}')`,
    `SET tenancy.user_id = '${tenants[1].id}'`, 'SELECT * FROM login.passwords',
    'CREATE TEMPORARY TABLE notes (project_id uuid, body text)']) {
    await assert.rejects(asHolder(pool, tenants[0].token, (c) => c.query(statement)), { code: '42501' });
  }
});

// Last, since it spoils the connections: the test above can fail.
test('an identity for the whole session would be seen by the next client', async () => {
  await pool.query('SELECT tenancy.authenticate($1, true)', [tenants[0].token]);
  let seen = 0;
  for (let i = 0; i < 20; i++) {
    seen += (await pool.query('SELECT count(*)::int AS n FROM notes')).rows[0].n;
  }
  assert.ok(seen > 0);
});
