// Passwords, which tenancy does not know.  A password that was right is worth a
// session; the role that says so serves no requests.

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(scrypt);
// Stands in for somebody who does not exist, which must take as long.
const nobody = { user_id: null, salt: '0'.repeat(32), hash: '0'.repeat(64) };

const hashOf = (password, salt) => derive(String(password), salt, 32);

// The token of a new session, or null.
export async function signIn(pool, email, password) {
  const { rows: [found = nobody] } = await pool.query(
    'SELECT user_id, salt, hash FROM login.passwords WHERE email = lower($1)', [String(email)]);
  const right = timingSafeEqual(await hashOf(password, found.salt), Buffer.from(found.hash, 'hex'));
  if (!right || found.user_id === null) return null;
  const { rows: [{ token }] } = await pool.query(
    "SELECT tenancy.create_session($1, '8 hours') AS token", [found.user_id]);
  return token;
}

// Whoever calls this has verified the address.
export async function register(pool, email, name, password) {
  const salt = randomBytes(16).toString('hex');
  const hash = (await hashOf(password, salt)).toString('hex');
  // One statement: there is no user without a password, nor the reverse.
  const { rows: [{ user_id: id }] } = await pool.query(`
    INSERT INTO login.passwords
    VALUES (tenancy.create_user($1, $2), lower($1), $3, $4) RETURNING user_id`,
  [email, name, salt, hash]);
  return id;
}
