#!/bin/sh
# demo.sh [--shell]: tell the story of demo.sql, or open psql on the same data.
#
# Wants a throwaway cluster in PGHOST, PGPORT and PGUSER (a superuser), since it
# creates the database "demo" and the role "app".  `make demo` provides one.
set -eu
cd "$(dirname "$0")/.."

createdb demo
export PGDATABASE=demo

if [ "${1:-}" = --shell ]; then
	psql -X -q -f examples/demo-load.sql
	set --
	for name in alice bob carol dave erin; do
		set -- "$@" -v "$name=$(psql -XAt -c "SELECT id FROM tenancy.users WHERE name = '$name'")"
	done
	PSQLRC=examples/demo-shell.sql exec psql -q -U app "$@"
fi

# The story provokes some errors and prints them itself, so what psql says about
# them is shown only when something else went wrong.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! psql -X -q -f examples/demo.sql 2>"$log"; then
	cat "$log" >&2
	exit 1
fi
