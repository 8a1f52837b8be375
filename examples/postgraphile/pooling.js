// Imported first, since PostGraphile reads this while it is loaded.  A statement
// that was prepared is not on the connection that PgBouncer gives out next.
process.env.POSTGRAPHILE_PREPARED_STATEMENT_CACHE_SIZE ??= '0';
