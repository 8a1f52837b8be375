// GraphQL by PostGraphile, through a real PgBouncer: queries and mutations work
// with the views and commands, and what is hidden stays hidden.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { createDatabase, person, startPgBouncer } from '../node/testing.js';
import { graphql } from './server.js';

const rounds = Number(process.env.ROUNDS ?? 40);
let admin, bouncer, pool, loginPool, server, alice, bob, acme, open, secret, note;

// The data, or the first error as "SQLSTATE message".
async function ask(who, query, variables) {
  const response = await fetch(`http://127.0.0.1:${server.address().port}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(who && { Authorization: `Bearer ${who.token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (response.status !== 200) return `${response.status} ${errors[0].message}`;
  return errors ? `${errors[0].errcode} ${errors[0].message}` : data;
}

before(async () => {
  admin = await createDatabase();
  bouncer = await startPgBouncer();
  pool = new pg.Pool({ ...bouncer.login('api'), max: 8 });
  loginPool = new pg.Pool({ ...bouncer.login('api_login'), max: 2 });
  server = graphql(pool);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  alice = await person(loginPool, 'Alice');
  bob = await person(loginPool, 'Bob');
});

after(async () => {
  server?.close();
  server?.closeAllConnections();
  await pool?.end();
  await loginPool?.end();
  await bouncer?.stop();
  await admin?.end();
});

test('nobody gets no rows, and runs no command', async () => {
  assert.deepEqual(await ask(null, '{ allMyProjects { nodes { id } } allUsers { nodes { id } } allNotes { nodes { id } } }'),
    { allMyProjects: { nodes: [] }, allUsers: { nodes: [] }, allNotes: { nodes: [] } });
  assert.equal(await ask(null, 'mutation { createOrganization(input: { name: "X" }) { uuid } }'),
    '28000 nobody is signed in');
  assert.equal(await ask({ token: 'tns_none' }, '{ allMyProjects { nodes { id } } }'),
    '401 credential is not valid');
});

test('commands are mutations, views are queries', async () => {
  ({ createOrganization: { uuid: acme } } = await ask(alice,
    'mutation { createOrganization(input: { name: "Acme" }) { uuid } }'));
  ({ allMyProjects: { nodes: [{ id: open }] } } = await ask(alice,
    '{ allMyProjects { nodes { id } } }'));
  ({ createProject: { uuid: secret } } = await ask(alice, `mutation ($o: UUID!) {
    createProject(input: { organization: $o, name: "Secret", isPrivate: true }) { uuid } }`, { o: acme }));
  const { createInvite: { result: { token } } } = await ask(alice, `mutation ($o: UUID!) {
    createInvite(input: { organization: $o, email: "bob@example.com" }) { result { token } } }`, { o: acme });
  assert.deepEqual(await ask(bob, 'mutation ($t: String!) { acceptInvite(input: { token: $t }) { clientMutationId } }',
    { t: token }), { acceptInvite: { clientMutationId: null } });
  assert.deepEqual(await ask(bob, '{ allMembers(orderBy: NAME_ASC) { nodes { name level } } }'),
    { allMembers: { nodes: [{ name: 'Alice', level: 'OWNER' }, { name: 'Bob', level: 'MEMBER' }] } });
});

test('rows of the application are written and read', async () => {
  for (const [project, body] of [[open, 'for all'], [secret, 'for me']]) {
    ({ createNote: { note } } = await ask(alice, `mutation ($p: UUID!, $b: String!) {
      createNote(input: { note: { projectId: $p, body: $b } }) { note { nodeId id body } } }`, { p: project, b: body }));
    assert.equal(note.body, body);
  }
  const bodies = async (who) => (await ask(who, '{ allNotes(orderBy: BODY_ASC) { nodes { body } } }'))
    .allNotes.nodes.map(({ body }) => body);
  assert.deepEqual(await bodies(alice), ['for all', 'for me']);
  assert.deepEqual(await bodies(bob), ['for all']);
});

test('why is a query, too', async () => {
  const { explainAccess: { nodes } } = await ask(alice, `query ($u: UUID!, $p: UUID!) {
    explainAccess(userId: $u, permission: PROJECT_VIEW, target: $p) { nodes { granted sentence } } }`,
  { u: bob.id, p: secret });
  assert.ok(nodes.some(({ granted, sentence }) => granted === false && /is private/.test(sentence)));
});

// Each of these says the same about the hidden and about what never existed.
test('the hidden is as if it were not there', async () => {
  const never = randomUUID();
  const both = async (query, variables) => {
    const hidden = await ask(bob, query, variables(secret, note.id));
    assert.deepEqual(JSON.parse(JSON.stringify(hidden).replaceAll(secret, never)),
      await ask(bob, query, variables(never, never)));
    return hidden;
  };
  assert.deepEqual(await both('query ($p: UUID!) { projectById(id: $p) { name } }', (p) => ({ p })), { projectById: null });
  assert.deepEqual(await both('query ($p: UUID!) { allMyProjects(condition: { id: $p }) { totalCount } }', (p) => ({ p })),
    { allMyProjects: { totalCount: 0 } });
  assert.deepEqual(await both('query ($p: UUID!) { allNotes(condition: { projectId: $p }) { totalCount } }', (p) => ({ p })),
    { allNotes: { totalCount: 0 } });
  assert.deepEqual(await both('query ($p: UUID!) { allProjectTokens(condition: { projectId: $p }) { totalCount } }', (p) => ({ p })),
    { allProjectTokens: { totalCount: 0 } });
  assert.deepEqual(await both('query ($p: UUID!, $n: UUID!) { noteByProjectIdAndId(projectId: $p, id: $n) { body } }',
    (p, n) => ({ p, n })), { noteByProjectIdAndId: null });
  assert.equal(await both('mutation ($p: UUID!) { renameProject(input: { project: $p, name: "Mine" }) { clientMutationId } }',
    (p) => ({ p })), 'P0002 project does not exist');
  assert.equal(await both('mutation ($p: UUID!) { rotateProjectToken(input: { project: $p }) { string } }',
    (p) => ({ p })), 'P0002 project does not exist');
  assert.equal(await both('query ($p: UUID!) { whoCanAccess(project: $p) { nodes { name } } }', (p) => ({ p })),
    'P0002 project does not exist');
  assert.match(await both('mutation ($p: UUID!) { createNote(input: { note: { projectId: $p, body: "in" } }) { clientMutationId } }',
    (p) => ({ p })), /^42501 new row violates row-level security/);
  assert.match(await both(`mutation ($p: UUID!, $n: UUID!) { deleteNoteByProjectIdAndId(input: { projectId: $p, id: $n })
    { clientMutationId } }`, (p, n) => ({ p, n })), /No values were deleted/);
  assert.deepEqual(await ask(bob, 'query ($n: ID!) { note(nodeId: $n) { body } node(nodeId: $n) { nodeId } }', { n: note.nodeId }),
    { note: null, node: null });
});

test('the schema offers nothing that is not for clients', async () => {
  const { __schema: { types } } = await ask(null, '{ __schema { types { name fields { name } inputFields { name } } } }');
  const fields = (name) => types.find((type) => type.name === name).fields.map((field) => field.name);
  const offered = [...fields('Query'), ...fields('Mutation')];
  assert.deepEqual(offered.filter((name) => /^_|^(actAs|createUser|createSession|authenticate|protect|grant|assignOwner|setPlan|crypt|genRandom|claim|purge|lint$)/.test(name)), []);
  assert.ok(offered.includes('rotateProjectToken'));
  // but for the notes, no table can be written
  assert.deepEqual(offered.filter((name) => /^(update|delete|create)(?!Note)/.test(name)).sort(),
    ['createInvite', 'createInvites', 'createOrganization', 'createProject', 'deleteOrganization', 'deleteProject', 'updateMyName']);
  const columns = types.flatMap(({ fields: of }) => (of ?? []).map(({ name }) => name));
  assert.deepEqual(columns.filter((name) => /digest|secret/i.test(name)), []);
});

test('a failed mutation leaves nothing, beside one that worked', async () => {
  const before = (await ask(alice, '{ allNotes { totalCount } }')).allNotes.totalCount;
  assert.match(await ask(alice, `mutation ($p: UUID!, $n: UUID!) {
    a: createNote(input: { note: { projectId: $p, body: "kept" } }) { clientMutationId }
    b: createNote(input: { note: { projectId: $n, body: "lost" } }) { clientMutationId } }`,
  { p: open, n: randomUUID() }), /^42501/);
  assert.equal((await ask(alice, '{ allNotes { totalCount } }')).allNotes.totalCount, before + 1);
});

test('eight people at once, each with their own rows', async () => {
  const people = await Promise.all(['Ada', 'Bea', 'Cyd', 'Dan', 'Eve', 'Fay', 'Gil', 'Hal']
    .map((name) => person(loginPool, name)));
  await Promise.all(people.map(async (who) => {
    await ask(who, 'mutation ($n: String!) { createOrganization(input: { name: $n }) { uuid } }', { n: `${who.name}'s` });
    const { allMyProjects: { nodes: [{ id }] } } = await ask(who, '{ allMyProjects { nodes { id } } }');
    for (let written = 1; written <= rounds; written++) {
      await ask(who, 'mutation ($p: UUID!, $b: String!) { createNote(input: { note: { projectId: $p, body: $b } }) { clientMutationId } }',
        { p: id, b: who.name });
      const { allNotes: { nodes } } = await ask(who, '{ allNotes { nodes { body } } }');
      assert.deepEqual(nodes, Array(written).fill({ body: who.name }));
      assert.deepEqual(await ask(null, '{ allNotes { totalCount } }'), { allNotes: { totalCount: 0 } });
      assert.match(await ask(who, 'mutation ($p: UUID!) { renameProject(input: { project: $p, name: "" }) { clientMutationId } }',
        { p: id }), /^22023/);
    }
  }));
});

test('signing out ends the session', async () => {
  await ask(bob, 'mutation { signOut(input: {}) { clientMutationId } }');
  assert.equal(await ask(bob, '{ allNotes { totalCount } }'), '401 credential is not valid');
});
