// For the tests of the examples: a database of its own in the cluster of
// scripts/with-cluster, a real PgBouncer in front of it, people and a server.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { register, signIn } from './login.js';
import { api } from './server.js';

const { WORK, PGHOST, PGPORT = '5432', PGUSER } = process.env;
const poolSize = 3;
const port = Number(PGPORT); // as the server's: old drivers do not take one from ?port=

const way = (user, database) => ({ host: PGHOST, port: Number(PGPORT), user, database });

// The tests follow one another in one cluster, where roles are shared.
export async function createDatabase() {
  const maker = new pg.Client(way(PGUSER, 'postgres'));
  await maker.connect();
  try {
    await maker.query('DROP DATABASE IF EXISTS example WITH (FORCE)');
    const { rows: [{ roles }] } = await maker.query(
      "SELECT string_agg(rolname, ', ') AS roles FROM pg_roles WHERE rolname IN ('api', 'api_login')");
    if (roles) {
      await maker.query(`DROP OWNED BY ${roles}`);
      await maker.query(`DROP ROLE ${roles}`);
    }
    await maker.query('CREATE DATABASE example');
  } finally {
    await maker.end();
  }
  const admin = new pg.Client(way(PGUSER, 'example'));
  await admin.connect();
  await admin.query('SET client_min_messages = warning');
  await admin.query(readFileSync(new URL('schema.sql', import.meta.url), 'utf8'));
  return admin;
}

// Transaction mode, fewer connections than clients.  Over a socket: no port.
export async function startPgBouncer() {
  const dir = `${WORK}/pgbouncer`;
  mkdirSync(dir, { recursive: true });
  writeFileSync(`${dir}/users`, '"api" ""\n"api_login" ""\n');
  writeFileSync(`${dir}/pgbouncer.ini`, `
[databases]
example = host=${PGHOST} port=${PGPORT}
[pgbouncer]
listen_addr =
listen_port = ${port}
unix_socket_dir = ${dir}
auth_type = trust
auth_file = ${dir}/users
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 200
logfile = ${dir}/log
`);
  const child = spawn('pgbouncer', ['-q', `${dir}/pgbouncer.ini`], { stdio: 'ignore' });
  child.on('error', (error) => { throw error; });
  process.on('exit', () => child.kill());
  const login = (user) => ({ host: dir, port, user, database: 'example' });
  for (let tries = 0; ; tries++) {
    const client = new pg.Client(login('api'));
    try {
      await client.connect();
      await client.end();
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(100);
    }
  }
  return {
    login,
    url: (user) => `postgres://${user}@/example?host=${encodeURIComponent(dir)}&port=${port}`,
    async stop() { child.kill(); await once(child, 'exit'); },
  };
}

export async function startServer(bouncer, max) {
  const server = api({ requests: bouncer.url('api'), login: bouncer.url('api_login'), max });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${server.address().port}`;
  return {
    base,
    // One request: [status, body].
    async call(token, method, path, body, signal) {
      const response = await fetch(`${base}/api${path}`, {
        method, signal,
        headers: token === null ? {} : { Authorization: `Bearer ${token}` },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      return [response.status, await response.json()];
    },
    async stop() { server.close(); server.closeAllConnections(); await once(server, 'close'); },
  };
}

// Somebody with a password and a session.
export async function person(pool, name, password = `${name}'s password`) {
  const email = `${name.toLowerCase()}@example.com`;
  const id = await register(pool, email, name, password);
  return { id, name, email, password, token: await signIn(pool, email, password) };
}
