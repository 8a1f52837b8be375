// The one thing to copy: a request's statements run in one transaction, which
// begins by signing the request in and takes the identity along when it ends.
// So connections may be shared, by this pool and by PgBouncer in transaction
// mode behind it.

// Runs work(client) on behalf of whoever holds the token; null is nobody.
// gone, an AbortSignal, tells that nobody waits for the answer any more.
export async function asHolder(pool, token, work, gone) {
  const client = await pool.connect();
  let broken = false;
  // Closing the connection ends its transaction, at the pooler, too.
  const leave = () => client.connection.stream.destroy();
  const onError = () => { broken = true; };
  client.on('error', onError);
  gone?.addEventListener('abort', leave, { once: true });
  try {
    gone?.throwIfAborted();
    await client.query('BEGIN');
    if (token !== null) {
      // A parameter and no text of the statement: texts are logged.
      await client.query('SELECT tenancy.authenticate($1)', [token]);
    }
    const result = await work(client);
    const { command } = await client.query('COMMIT');
    if (command !== 'COMMIT') throw new Error('the transaction had failed');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => { broken = true; });
    throw error;
  } finally {
    gone?.removeEventListener('abort', leave);
    client.off('error', onError);
    // A connection whose state is not known goes back to nobody.
    client.release(broken || gone?.aborted === true);
  }
}

// What an error of the database means to whoever sent the request.  Any other
// is a fault of the server, and its text is none of their business.
const statusOf = {
  '28000': 401, // nobody, or a credential that has ended
  '42501': 403, // visible, but not allowed
  'P0002': 404, // unknown or hidden: the same
  '02000': 404, // the same, found here: see first() in server.js
  '55000': 409, // not as things are
  '23503': 409,
  '23505': 409,
  '53400': 402, // not in the plan
  '22023': 400,
  '22004': 400,
  '22P02': 400, // no uuid
  '23502': 400,
  '23514': 400,
  '40001': 503, // somebody else was first: try again
  '40P01': 503,
  '57014': 503, // took too long
};

export function answerTo(error) {
  const status = statusOf[error.code];
  if (status === undefined) return { status: 500, body: { error: 'internal error' } };
  return { status, body: { error: error.message, hint: error.hint ?? undefined } };
}
