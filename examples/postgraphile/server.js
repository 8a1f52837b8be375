// GraphQL on the application's tables and on tenancy's views and commands.
//
//   DATABASE_URL  a role that is trusted with nothing, e.g. postgres://api@localhost:6432/example
//   PORT          5000 unless said otherwise

import './pooling.js';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import graphileUtils from 'graphile-utils';
import pg from 'pg';
import { makePluginHook, postgraphile } from 'postgraphile';

// The token of the request's header travels in pgSettings, which PostGraphile
// makes for each request; it is taken out again before it becomes a setting,
// which anybody could read.
const tokenOf = (request) => /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];

// Each request, a query, too, has a transaction, and signs in first.
const signIn = {
  withPostGraphileContext: (original) => (options, callback) => {
    const { pgSettings: { token, ...pgSettings } = {}, ...others } = options;
    return original({ ...others, pgSettings, pgForceTransaction: true }, async (context) => {
      if (token !== undefined) {
        await context.pgClient.query('SELECT tenancy.authenticate($1)', [token]).catch((error) => {
          throw Object.assign(error, { statusCode: 401 });
        });
      }
      return callback(context);
    });
  },
};

// Functions that are no business of a client's: signing in, which could last
// longer than the request; what is for owners of tables and for the DBA; what
// policies call; and those of pgcrypto, which are in public.
const notForClients = /^(_|can_|viewable_)|^(authenticate|protect|protect_by_organization|unprotect|create_reporting_view|refresh_reporting_view|create_ingest_view|create_protected_rollup|refresh_rollup|lint|require)$/;
const omitted = graphileUtils.makePgSmartTagsPlugin({
  kind: 'procedure',
  match: ({ namespaceName, name }) => namespaceName !== 'tenancy' || notForClients.test(name),
  tags: { omit: true },
});

export function graphql(pool) {
  return createServer(postgraphile(pool, ['public', 'tenancy'], {
    appendPlugins: [omitted],
    pluginHook: makePluginHook([signIn]),
    pgSettings: (request) => ({ token: tokenOf(request) }),
    includeExtensionResources: true, // tenancy's views and commands
    ignoreRBAC: false, // what the role may not use is not in the schema
    setofFunctionsContainNulls: false,
    dynamicJson: true,
    legacyRelations: 'omit',
    disableQueryLog: true,
    extendedErrors: ['errcode', 'hint'],
  }));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
  const port = Number(process.env.PORT ?? 5000);
  graphql(pool).listen(port, '127.0.0.1', () => console.log(`http://localhost:${port}/graphql`));
}
