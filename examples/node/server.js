// A small API in front of tenancy, and the page that uses it.
//
//   DATABASE_URL  how requests are served, e.g. postgres://api@localhost:6432/example
//   LOGIN_URL     how people sign in, e.g. postgres://api_login@localhost:6432/example
//   PORT          8080 unless said otherwise

import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pg from 'pg';
import { signIn } from './login.js';
import { routes } from './routes.js';
import { answerTo, asHolder } from './tenancy.js';

const page = fileURLToPath(new URL('../console/', import.meta.url));
const files = {
  '/': ['index.html', 'text/html'],
  '/console.css': ['console.css', 'text/css'],
  '/console.js': ['console.js', 'text/javascript'],
};
const headers = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
};

const patterns = routes.map(([method, path, statement, names, rows]) => ({
  method, statement, names, rows,
  pattern: new RegExp(`^/api${path.replace(/:(\w+)/g, '(?<$1>[^/]+)')}$`),
}));

function fail(status, message) {
  return Object.assign(new Error(message), { status });
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 65536) throw fail(413, 'the request is too long');
  }
  if (text === '') return {};
  try {
    const body = JSON.parse(text);
    if (body !== null && typeof body === 'object') return body;
  } catch { /* said below */ }
  throw fail(400, 'the request is not a JSON object');
}

function tokenOf(request) {
  return /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? null;
}

// Values are handed over as text; the database knows the types.
function parameter(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'object') throw fail(400, 'a value is no text');
  return String(value);
}

async function answer(pools, request, gone) {
  const url = new URL(request.url, 'http://localhost');
  const body = await bodyOf(request);

  if (request.method === 'POST' && url.pathname === '/api/session') {
    const token = await signIn(pools.login, body.email ?? '', body.password ?? '');
    if (token === null) throw fail(401, 'e-mail address or password is wrong');
    return { token };
  }
  for (const { method, pattern, statement, names, rows } of patterns) {
    const match = method === request.method && pattern.exec(url.pathname);
    if (!match) continue;
    const token = tokenOf(request);
    if (token === null) throw fail(401, 'nobody is signed in');
    const given = { ...body, ...Object.fromEntries(url.searchParams), ...match.groups };
    const values = names.map((name) => parameter(given[name]));
    return asHolder(pools.requests, token, async (client) => {
      const result = await client.query(statement, values);
      if (rows === 'one' && result.rowCount !== 1) {
        throw Object.assign(new Error('not found'), { code: '02000' });
      }
      return result.rows;
    }, gone);
  }
  throw fail(404, 'there is no such address');
}

function send(response, status, body) {
  response.writeHead(status, { ...headers, 'Content-Type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}

async function serve(pools, request, response) {
  const file = request.method === 'GET' && Object.hasOwn(files, request.url) && files[request.url];
  if (file) {
    response.writeHead(200, { ...headers, 'Content-Type': `${file[1]}; charset=utf-8` });
    createReadStream(page + file[0]).on('error', () => response.destroy()).pipe(response);
    return;
  }
  const gone = new AbortController();
  response.on('close', () => response.writableFinished || gone.abort());
  try {
    send(response, 200, await answer(pools, request, gone.signal));
  } catch (error) {
    if (response.destroyed) return;
    const { status, body } = error.status
      ? { status: error.status, body: { error: error.message } } : answerTo(error);
    if (status === 500) console.error(error);
    send(response, status, body);
  }
}

function poolOf(connectionString, max) {
  const pool = new pg.Pool({ connectionString, max, allowExitOnIdle: true });
  // A connection that breaks while it is idle is replaced by the next one.
  pool.on('error', (error) => console.error(error.message));
  return pool;
}

// Returns the server, which is not listening yet.
export function api({ requests, login, max = 8 }) {
  const pools = { requests: poolOf(requests, max), login: poolOf(login, 2) };
  const server = createServer((request, response) => serve(pools, request, response));
  server.on('close', () => Promise.all([pools.requests.end(), pools.login.end()]));
  return server;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.env.PORT ?? 8080);
  api({ requests: process.env.DATABASE_URL, login: process.env.LOGIN_URL })
    .listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}/`));
}
