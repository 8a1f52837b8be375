# A library, SQL objects and a server that do not fit each other end in an error
# that says what to do, and never in a row too many (attack 165): in a session that
# keeps the library it has loaded, in one that loads a newer or an older one, after
# an update that failed half way, in a restore where the library is missing, and on
# a server whose row security leaks.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Versions;

my $version = this_version();
my $next = "$version.1";
my $installation = second_installation();
my $tree = released_tree_of($version);
my $next_tree = tree_of($next, $tree);
append_to_file("$next_tree/sql/update_from_$version.sql", "-- \@part 90_new_objects\n-- \@replace FUNCTION tenancy.lint\n");
install_from($tree, $installation);

my $node = PostgreSQL::Test::Cluster->new('main', install_path => path_of($installation));
$node->init(allows_streaming => 1);
# the backends of clients that have gone may take their time
$node->append_conf('postgresql.conf', 'max_connections = 50');
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE settings (organization_id uuid NOT NULL, value text);
SELECT tenancy.protect_by_organization('settings');
INSERT INTO settings VALUES (id('acme'), 'secret');
GRANT SELECT ON settings TO regress_tap;
CREATE ROLE regress_bound LOGIN;
ALTER ROLE regress_bound SET session_preload_libraries = 'tenancy';
GRANT SELECT ON events TO regress_bound;
SELECT tenancy.bind_role('regress_bound', id('mia'));
SQL
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE postgres');

my $see = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";
my $in = "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('session')); END \$\$";
my $says = 'the library of extension "tenancy" is version';
my $reconnect = "$says $version, its SQL objects are version $next\nHINT:  Reconnect. If that does not help, install version $next of the library.";
my $update = "$says $next, its SQL objects are version $version\nHINT:  Run ALTER EXTENSION tenancy UPDATE in this database. If that does nothing, install the scripts of version $next.";

# What a role is told by several statements, each in a transaction of its own.
sub told
{
	my ($role, $database, $before, @statements) = @_;
	my ($out, $err);
	$node->psql($database, join("\n", map { "BEGIN; $before $_; ROLLBACK;" } @statements), stdout => \$out, stderr => \$err,
		on_error_stop => 0, extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	$err =~ s/^(LOCATION|CONTEXT|SQL statement|PL\/pgSQL function).*\n?//mg;
	$err =~ s/^psql:<stdin>:\d+: //mg;
	return ($out, $err);
}

# Everybody who could see something is told the same; nobody sees nothing.
sub refused
{
	my ($error, $how, $database) = @_;
	$database //= 'postgres';
	my @questions = ($see, 'SELECT count(*) FROM settings', 'SELECT count(*) FROM tenancy.my_projects', 'SELECT tenancy.current_user_id()',
		"SELECT tenancy.can('project.view', id('open'))", 'DELETE FROM events', "SELECT tenancy.rename_project(id('open'), 'x')");
	my ($out, $err) = told('regress_tap', $database, "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia')); END \$\$;", @questions);
	is($out, '', "$how: a member sees nothing");
	is($err =~ s/\n\z//r, join("\n", ("ERROR:  55000: $error") x @questions), "$how: and is told why");
	($out, $err) = told('regress_tap', $database, '', "SELECT tenancy.authenticate(secret('session'))", "SELECT tenancy.authenticate(secret('token'))",
		'SELECT count(*) FROM events', 'SELECT count(*) FROM settings');
	is($out, "0\n0", "$how: nobody sees no rows");
	is($err =~ s/\n\z//r, join("\n", ("ERROR:  55000: $error") x 2), "$how: neither a session nor a token signs in");
	# A login role that is bound is somebody, also when row security is not asked.
	foreach my $attribute (qw(NOBYPASSRLS BYPASSRLS))
	{
		$node->safe_psql('postgres', "ALTER ROLE regress_bound $attribute");
		($out, $err) = told('regress_bound', $database, '', 'SELECT count(*) FROM events', 'SELECT n FROM events WHERE false');
		is($out, '', "$how: a bound role with $attribute sees nothing");
		like($err, qr/\A(ERROR:  55000: \Q$error\E\n?)+\z/, "$how: and is told why");
	}
	$node->safe_psql('postgres', 'ALTER ROLE regress_bound NOBYPASSRLS');
	is($node->safe_psql($database, 'SELECT count(*) FROM events'), '2', "$how: a superuser sees what there is");
	return;
}

sub works
{
	my ($how, $database) = @_;
	$database //= 'postgres';
	is(answer($node, $database, 'mia', $see), '1,2', "$how: a member reads");
	is(answer($node, $database, 'eve', $see), '', "$how: a stranger does not");
	is(ask($node, $database, "BEGIN; $in; $see"), '1,2', "$how: a session signs in");
	is((told('regress_bound', $database, '', $see))[0], '1,2', "$how: a bound role reads");
	like(answer($node, $database, 'mia', "SELECT tenancy.rename_project(id('open'), 'x')"), qr/42501: permission denied for project/, "$how: who may not is told so");
	is($node->safe_psql($database, 'SELECT * FROM tenancy.check_integrity()'), '', "$how: check_integrity() finds nothing");
	return;
}

# ---- what is missing ----

# A restore that goes on after errors, which is what psql does unless told not to.
sub restored_without
{
	my ($what, $database, $error) = @_;
	my ($out, $err);
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0");
	$node->command_fails_like([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-f', $dump ], qr/$error/, "without $what, a restore stops");
	$node->psql($database, "\\i $dump", stderr => \$err, on_error_stop => 0);
	like($err, qr/$error/, "without $what, it is told");
	unlike(ask($node, $database, "SELECT n FROM events"), qr/^\d/, "without $what, no row of a project is seen by one who goes on");
	unlike(ask($node, $database, "SELECT value FROM settings"), qr/secret/, "without $what, nor one of an organization");
	is(ask($node, $database, "INSERT INTO events VALUES (gen_random_uuid(), 1)") =~ /^ERROR/, 1, "without $what, nothing is written");
	return;
}

my $library = file_of($installation, 'tenancy.so');
my $control = file_of($installation, 'tenancy.control');
works('as installed');
my %old = map { $_ => session($node, 'postgres') } qw(autocommit transaction prepared cursor client);
rename $library, "$library.away" or die $!;
restored_without('the library', 'no_library', qr/ERROR: .*the library of extension "tenancy" is not installed on this server\nDETAIL: .*\nHINT:  Install it with make install, or with the package for this version of PostgreSQL[.]/);
like(answer($node, 'postgres', 'mia', $see), qr/58P01: could not access file "(?:\$libdir\/)?tenancy": No such file/, 'who comes later sees no rows but the name of what is missing');
rename $control, "$control.away" or die $!;
restored_without('the extension', 'no_extension', qr/ERROR: .*extension "tenancy" is not available\n.*\n?HINT:  The extension must first be installed on the system/);
rename "$library.away", $library or die $!;
rename "$control.away", $control or die $!;
works('installed again');

# Scripts of one version and a library of the next, and a restore by them.
make($next_tree, 'all');
put_library($next_tree);
$node->safe_psql('postgres', 'CREATE DATABASE newer TEMPLATE template0');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('newer'), '-f', $dump ], 'restored with a newer library');
refused($update, 'restored with a newer library', 'newer');
put_library($tree);
works('restored, and the right library', 'newer');

# ---- a newer library, and sessions with the older one ----

foreach my $name (sort keys %old)
{
	$old{$name}->query("PREPARE hot AS $see");
	$old{$name}->query($name eq 'client' ? "SELECT tenancy.authenticate(secret('session'), true)"
		: "DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
	$old{$name}->query('BEGIN') if $name =~ /transaction|cursor/;
	is($old{$name}->query('EXECUTE hot'), '1,2', "before: $name");
}
# A standby hears of all this by the WAL.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby', install_path => path_of($installation));
$standby->init_from_backup($node, 'backup', has_streaming => 1);
# a hot standby cannot do serializable
$standby->append_conf('postgresql.conf', "default_transaction_isolation = 'read committed'");
$standby->start;
$old{standby} = session($standby, 'postgres');
$old{standby}->query("PREPARE hot AS $see");
$old{standby}->query("DO \$\$ BEGIN PERFORM tenancy.act_as(id('mia'), true); END \$\$");
is($old{standby}->query('EXECUTE hot'), '1,2', 'before: on a standby');
$old{cursor}->query('DECLARE c CURSOR FOR SELECT n FROM events');
is($old{cursor}->query('FETCH c'), '1', 'before: an open cursor');
my $old_boss = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
is($old_boss->query('SELECT tenancy._library_version()'), $version, 'a superuser has the old library, too');

install_from($next_tree, $installation);
refused($update, 'a newer library');
is($old{$_}->query('EXECUTE hot'), '1,2', "the older one goes on in a session that has it: $_") foreach sort keys %old;
is($node->safe_psql('postgres', 'SELECT rule, problem FROM tenancy.check_integrity()'),
	"version|the library is version $next, the SQL objects are version $version", 'check_integrity() says it, too');

# Whoever has the old library cannot update.
$old_boss->query('ALTER EXTENSION tenancy UPDATE');
like($old_boss->{stderr}, qr/ERROR:  55000: $says \Q$version\E, its SQL objects are version \Q$next\E\nHINT:  Reconnect/, 'an update with the old library is refused');
$old_boss->quit;

# An update that fails half way has not happened.
my $script = file_of($installation, "tenancy--$version--$next.sql");
my $complete = slurp_file($script);
append_to_file($script, "SELECT 1/0;\n");
my (undef, undef, $err) = $node->psql('postgres', 'ALTER EXTENSION tenancy UPDATE');
like($err, qr/division by zero/, 'an update fails at the end of its script');
refused($update, 'after a failed update');
is($old{$_}->query('EXECUTE hot'), '1,2', "nothing has changed for $_") foreach sort keys %old;
open my $handle, '>', $script or die $!;
print $handle $complete;
close $handle;

# ---- the update ----

$node->safe_psql('postgres', 'ALTER EXTENSION tenancy UPDATE');
$node->wait_for_catchup($standby, 'replay');
foreach my $name (sort keys %old)
{
	$old{$name}->{stderr} = '';
	is($old{$name}->query('\set VERBOSITY verbose'), '', '');
	is($old{$name}->query($name eq 'cursor' ? 'FETCH c' : $name eq 'prepared' ? 'EXECUTE hot' : $see), '', "the old library shows nothing: $name");
	is($old{$name}->{stderr} =~ s/^psql:<stdin>:\d+: |^LOCATION.*\n?//mgr =~ s/\n\z//r, "ERROR:  55000: $reconnect", "and says that one has to reconnect: $name");
	$old{$name}->quit;
}
works('updated, and connected again');
is(answer($standby, 'postgres', 'mia', $see), '1,2', 'connected again on the standby, too');
$standby->stop;
refused($update, 'the other database is not updated', 'other');
$node->safe_psql('other', 'ALTER EXTENSION tenancy UPDATE');
works('now it is', 'other');

# ---- an older library ----

sub put_library
{
	my ($from) = @_;
	# as an installation does it: sessions keep the file that they have
	copy("$from/tenancy.so", "$library.new") or die $!;
	rename "$library.new", $library or die $!;
	return;
}

put_library($tree);
refused($reconnect, 'an older library');
is($node->safe_psql('postgres', 'SELECT rule, problem FROM tenancy.check_integrity()'),
	"version|the library is version $version, the SQL objects are version $next", 'check_integrity() says it, too');
restored_without('the right library', 'older', "ERROR:  $reconnect");
put_library($next_tree);
works('the right one again');

# A library that the postmaster has loaded is not replaced by connecting again.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenancy'");
put_library($tree);
$node->restart;
put_library($next_tree);
refused("$says $version, its SQL objects are version $next\nHINT:  Install version $next of the library, and restart the server, which has preloaded this one.", 'an older library, preloaded');
$node->restart;
works('restarted');

# Bindings that are not where they are looked for first are looked for all the same.
$node->safe_psql('postgres', 'ALTER INDEX tenancy.role_bindings_role_oid_key RENAME TO moved');
is((told('regress_bound', 'postgres', '', $see))[0], '1,2', 'a bound role reads without the index on its oid');
$node->safe_psql('postgres', 'ALTER INDEX tenancy.moved RENAME TO role_bindings_role_oid_key');

# ---- a server whose row security leaks ----

my ($major, $minor) = $node->safe_psql('postgres', 'SHOW server_version') =~ /^(\d+)[.](\d+)/;
my $late = 99;
edit($next_tree, 'src/version.c', sub { s/\{$major, \d+\}/{$major, $late}/ });
unlink "$next_tree/src/version.o", "$next_tree/tenancy.so";
make($next_tree, 'all');
put_library($next_tree);
$node->append_conf('postgresql.conf', 'tenancy.allow_unrepaired_server = off');
$node->restart;
my $leaks = "PostgreSQL $major.$minor lacks repairs of row security\nHINT:  Install PostgreSQL $major.$late or later.";
refused($leaks, 'a server below the minimum');
is($node->safe_psql('postgres', q(SELECT rule, remedy FROM tenancy.lint() WHERE rule = 'server_outdated')),
	"server_outdated|-- install PostgreSQL $major.$late or later", 'lint() says it, too');
restored_without('repairs', 'leaks', "ERROR:  $leaks");

$node->stop;
done_testing();
