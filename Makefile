# README.md lists the targets.  Those that test take names:
# make test TESTS='access invites'; so does bench, and a size, tiny, small or
# large: make bench SCALE=tiny WORKLOADS='latest pool'; STANDBY=1 compares a hot
# standby with its primary.  The words that mutate
# takes choose mutants: make mutate MUTANTS='sql/60 lock'

EXTENSION = tenancy
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" tenancy.control)
PGFILEDESC = "tenancy - organizations, projects and members, enforced by row-level security"

MODULE_big = tenancy
OBJS = \
	src/tenancy.o \
	src/policy.o \
	src/planner.o \
	src/protection.o \
	src/estimate.o \
	src/permission.o \
	src/audit.o \
	src/chain.o \
	src/command.o \
	src/lookup.o \
	src/question.o \
	src/access.o \
	src/accessmap.o \
	src/execution.o \
	src/identity.o \
	src/distribution.o \
	src/credential.o \
	src/parse.o \
	src/invalidation.o \
	src/commit.o \
	src/privileged.o \
	src/caller.o \
	src/ingest.o \
	src/version.o \
	src/runas.o \
	src/settings.o \
	src/stats.o

# The install script is built from its parts, and the script that updates the
# last release from its own source and from parts.  Those of releases are kept.
PARTS := $(sort $(wildcard sql/[0-9][0-9]_*.sql))
SCRIPT = sql/$(EXTENSION)--$(EXTVERSION).sql
UPDATE := $(patsubst sql/update_from_%.sql,sql/$(EXTENSION)--%--$(EXTVERSION).sql,$(wildcard sql/update_from_*.sql))

DATA = $(filter-out sql/released/$(notdir $(SCRIPT)),$(wildcard sql/released/*.sql))
DATA_built = $(SCRIPT) $(UPDATE)
EXTRA_CLEAN = build bin $(MAILER_OBJS)

# The server's own headers do not compile under all of -Wextra.
WERROR ?= -Werror
PG_CPPFLAGS = -DTENANCY_VERSION='"$(EXTVERSION)"'
# calls between our own files need no table of symbols
SHLIB_LINK = -Wl,-Bsymbolic-functions
PG_CFLAGS = -std=gnu11 -Wall -Wextra $(WERROR) \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers

# The mailer is a program of its own: no flag of the extension's is for it.
MAILER_OBJS = \
	mailer/main.o \
	mailer/options.o \
	mailer/outbox.o \
	mailer/smtp.o \
	mailer/template.o \
	mailer/text.o \
	mailer/stop.o \
	mailer/log.o
MAILER_CFLAGS ?= -O2 -g
MAILER_FLAGS = -std=gnu11 -Wall -Wextra $(WERROR) -D_FORTIFY_SOURCE=2 \
	-fstack-protector-strong -fPIE
CURL_CONFIG ?= curl-config
HAVE_CURL := $(shell command -v $(CURL_CONFIG) 2>/dev/null)

# No bitcode: it would need a clang of the server's own version.
override with_llvm = no

# make installcheck is ours, below.
NO_INSTALLCHECK = 1

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

.DEFAULT_GOAL := all

# ---------------------------------------------------------------------
# With a server to build against
# ---------------------------------------------------------------------
ifneq ($(PGXS),)
include $(PGXS)

$(OBJS): $(wildcard src/*.h) tenancy.control Makefile

# The directory is named too, so that a part that was taken away is noticed.
$(SCRIPT): $(PARTS) sql
	cat $(PARTS) >$@

$(UPDATE): sql/$(EXTENSION)--%--$(EXTVERSION).sql: sql/update_from_%.sql $(PARTS) sql/compose-update
	sql/compose-update $< $(EXTVERSION) $(PARTS) >$@.new
	@mv $@.new $@

# At a release: its SQL is kept, for ever.  See CONTRIBUTING.md.
keep-release: $(SCRIPT) $(UPDATE)
	@mkdir -p sql/released
	@for script in $(notdir $^); do \
		[ ! -e "sql/released/$$script" ] || \
			{ echo "sql/released/$$script is there: raise default_version in tenancy.control" >&2; exit 1; }; \
	done
	cp $^ sql/released/
	rm -f sql/update_from_*.sql

# ---------------------------------------------------------------------
# The mailer, where the development files of libcurl and libpq are
# ---------------------------------------------------------------------
maildir = $(datadir)/$(EXTENSION)

ifneq ($(and $(HAVE_CURL),$(wildcard $(includedir)/libpq-fe.h)),)
all: bin/tenancy-mailer
install: install-mailer
endif

mailer/%.o: mailer/%.c $(wildcard mailer/*.h) tenancy.control Makefile
	$(CC) $(MAILER_FLAGS) $(MAILER_CFLAGS) $(COPT) -DTENANCY_VERSION='"$(EXTVERSION)"' \
		-DTEMPLATES='"$(maildir)/mail"' -I$(includedir) $(shell $(CURL_CONFIG) --cflags) -c -o $@ $<

bin/tenancy-mailer: $(MAILER_OBJS)
	@mkdir -p bin
	$(CC) $(MAILER_CFLAGS) $(COPT) -pie -Wl,-z,relro,-z,now -o $@ $(MAILER_OBJS) \
		-L$(libdir) -lpq $(shell $(CURL_CONFIG) --libs)

install-mailer: bin/tenancy-mailer
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(maildir)/mail'
	$(INSTALL_PROGRAM) bin/tenancy-mailer '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) $(wildcard share/mail/*) '$(DESTDIR)$(maildir)/mail/'
	sed 's,@bindir@,$(bindir),' share/tenancy-mailer.service >'$(DESTDIR)$(maildir)/tenancy-mailer.service'

uninstall: uninstall-mailer
uninstall-mailer:
	rm -rf '$(DESTDIR)$(bindir)/tenancy-mailer' '$(DESTDIR)$(maildir)'

# Into the server's directories, through sudo where they are not ours.
install-here: all
	@if [ -w '$(DESTDIR)$(pkglibdir)' ]; then \
		$(MAKE) --no-print-directory install; \
	else \
		echo 'Installing through sudo ...'; \
		sudo $(MAKE) --no-print-directory install PG_CONFIG='$(PG_CONFIG)'; \
	fi

ready-test: install-here
	@scripts/with-cluster test/run $(TESTS)

# A small round of the second is in test; here they are long, and take a seed and
# a size: seconds, statements.
ready-torture: install-here
	@env SEED='$(or $(SEED),1)' SIZE='$(or $(SIZE),120)' PLANT='$(PLANT)' scripts/with-cluster test/run history_check torture

ready-noninterference: install-here
	@env SEED='$(or $(SEED),1)' SIZE='$(or $(SIZE),100000)' ROUND='$(ROUND)' scripts/with-cluster test/run noninterference

# What takes longer: every form of a dump, crashes and failovers under load.
RECOVERY = dump_restore upgrade $(basename $(notdir $(wildcard test/recovery/*.pl)))
ready-test-recovery: install-here
	@TENANCY_ALL=1 scripts/with-cluster test/run $(or $(TESTS),$(RECOVERY))

# Debian has no Citus: PG_CONFIG names a server that does.
CITUS = $(basename $(notdir $(wildcard test/citus/*.pl)))
ready-test-citus: install-here
	@test -e '$(datadir)/extension/citus.control' || { \
		echo 'Citus is not installed in the server of $(PG_CONFIG).  Build it from its sources, and name the server by PG_CONFIG.' >&2; exit 1; }
	@scripts/with-cluster test/run $(or $(TESTS),$(CITUS))

ready-bench-citus: install-here
	@scripts/with-cluster bench/citus $(ROUNDS) $(SECONDS)

ready-test-sanitized:
	@scripts/with-sanitizers test/run $(TESTS)

ready-mutate: all
	@test/mutate $(MUTANTS)

# With PostgreSQL's assertions; what keeps and drops access sets also while the
# server forgets its own caches at every opportunity.
CACHE_TESTS = cache attacks_cursors revocation_cache revocation_credentials \
	revocation_load revocation_row_locks revocation_snapshots

ready-test-assert:
	@scripts/with-assertions test/run $(TESTS)
ifeq ($(TESTS),)
	@FORGETFUL=1 scripts/with-assertions test/run cache
	@scripts/with-assertions test/core-regression
endif

ready-test-valgrind:
	@TENANCY_TEST_SCALE=1 VALGRIND=1 scripts/with-assertions test/run $(or $(TESTS),$(CACHE_TESTS))

ready-coverage:
	@scripts/with-coverage test/run

ready-lint-code: install-here
	@scripts/lint-code

# Under each of several settings that a server may have.
ready-test-settings: install-here
	@TESTS='$(TESTS)' test/settings $(SETTINGS)

ready-test-sqlsmith: install-here
	@scripts/with-cluster test/sqlsmith/run $(SECONDS)

ready-test-cancels: install-here
	@scripts/with-cluster test/cancels/run $(STATEMENTS)

ready-test-pooler: install-here
	@scripts/with-cluster test/pooler/run $(TRANSACTIONS)

ready-fuzz:
	@test/fuzz/run $(RUNS)

# What npm brings stays in the examples' directories, as it would at a user's; all
# of them need what the first has.
LOCKS = $(wildcard $(patsubst %,examples/%/package-lock.json,node $(filter-out node,$(or $(TESTS),console postgraphile))))
BROUGHT = $(LOCKS:package-lock.json=node_modules/.package-lock.json)
$(BROUGHT): %/node_modules/.package-lock.json: %/package-lock.json
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

ready-clients: $(BROUGHT)
ready-test-clients: install-here ready-clients
	@scripts/with-cluster test/clients $(TESTS)

ready-demo: install-here
	@scripts/with-cluster examples/demo.sh

ready-demo-shell: install-here
	@scripts/with-cluster examples/demo.sh --shell

ready-bench: install-here
	@SCALE='$(SCALE)' STANDBY='$(STANDBY)' scripts/with-cluster bench/run $(WORKLOADS)

ready-dist: $(SCRIPT)
	@scripts/dist

# What make install puts beside the control file.
list-scripts:
	@printf '%s\n' $(notdir $(DATA) $(DATA_built))

# Tests what is installed already.
installcheck:
	@scripts/with-cluster test/run $(TESTS)

else
no_server = @echo 'pg_config, or what it belongs to, is missing: scripts/setup installs it' >&2; exit 1
all install installcheck list-scripts:
	$(no_server)
ready-%:
	$(no_server)
endif

# ---------------------------------------------------------------------
# From nothing: these install the Debian packages they lack, then read this
# file again
# ---------------------------------------------------------------------
test test-recovery test-citus torture noninterference mutate test-sanitized demo demo-shell bench bench-citus dist test-assert test-valgrind coverage lint-code fuzz test-settings test-sqlsmith test-cancels test-pooler test-clients:
	@scripts/setup $@
	@$(MAKE) --no-print-directory --silent ready-$@

# On the PostgreSQL of Debian's releases, each in a system of its own.
test-versions:
	@env TESTS='$(TESTS)' scripts/test-versions $(SUITES)
	$(if $(SUITES),$(if $(filter trixie,$(SUITES)),@scripts/test-upgrade),@scripts/test-upgrade)

# The packages of a Debian release, made in a system of it; then tried in one
# that has nothing else; TESTS are run there on what they installed.
DEBIAN ?= bookworm
deb: dist
	@scripts/in-debian $(DEBIAN) scripts/deb
test-deb: deb ready-test-deb
ready-test-deb:
	@exec env TESTS='$(TESTS)' scripts/in-debian --fresh $(DEBIAN) scripts/try-packages

# What has to be true before a release.
release-check:
	@scripts/release-check

# All of these, and more, in an hour.
check-all:
	@scripts/check-all $(TARGETS)

.PHONY: check-all test torture noninterference mutate test-sanitized test-versions demo \
	demo-shell bench installcheck dist deb test-deb release-check ready-dist ready-test-deb \
	install-here ready-test ready-torture ready-noninterference ready-mutate ready-test-sanitized \
	ready-demo ready-demo-shell ready-bench install-mailer uninstall-mailer list-scripts \
	keep-release test-recovery ready-test-recovery test-citus ready-test-citus bench-citus ready-bench-citus test-assert test-valgrind coverage lint-code \
	ready-test-assert ready-test-valgrind ready-coverage ready-lint-code fuzz ready-fuzz \
	test-settings test-sqlsmith test-cancels test-pooler ready-test-settings ready-test-sqlsmith \
	ready-test-cancels ready-test-pooler test-clients ready-clients ready-test-clients
