# The library and the SQL objects part ways: one is missing, or of another
# version.  A server without the library is made by pointing the functions of the
# extension to a file that does not exist, in one database.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Fixture;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('library');
$node->init;
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE TABLE settings (organization_id uuid NOT NULL, value text);
	SELECT tenancy.protect_by_organization('settings');
	INSERT INTO settings VALUES (id('acme'), 'of acme');
	CREATE TABLE parted (project_id uuid NOT NULL, n integer) PARTITION BY RANGE (n);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
	SELECT tenancy.protect('parted');
	INSERT INTO parted VALUES (id('open'), 1);
	CREATE VIEW shown WITH (security_invoker) AS SELECT * FROM events;
	CREATE TABLE plain (n integer) PARTITION BY RANGE (n);
	GRANT SELECT, INSERT, UPDATE, DELETE ON settings, parted, parted_1, shown TO regress_tap;
	CREATE ROLE regress_owner;
	GRANT regress_owner TO regress_tap;
	ALTER TABLE events OWNER TO regress_owner;});
$node->safe_psql('postgres', 'CREATE DATABASE without TEMPLATE postgres');

my @statements = (
	(map { ("SELECT * FROM $_", "DELETE FROM $_") } qw(events settings parted parted_1 shown)),
	"COPY events TO STDOUT", "SELECT count(*) FROM events", "UPDATE events SET n = 0",
	"INSERT INTO events VALUES (id('open'), 1)", "INSERT INTO settings VALUES (id('acme'), 'x')",
	"SELECT * FROM tenancy.users", "SELECT * FROM tenancy.members", "SELECT * FROM tenancy.my_projects");

# The test can tell: with the library, and somebody who may, all of it works.
for my $statement (@statements)
{
	unlike(answer($node, 'postgres', 'alice', $statement), qr/ERROR/, "with the library: $statement");
}

# attack 166: a server on which the library is missing answers nothing.
$node->safe_psql('without', q{UPDATE pg_proc SET probin = '$libdir/not-there' WHERE probin = '$libdir/tenancy'});
my $missing = qr/^ERROR:  58P01: could not access file "(?:\$libdir\/)?not-there": No such file or directory/m;
for my $statement (@statements)
{
	like(ask($node, 'without', $statement), $missing, "without the library: $statement");
	like(ask($node, 'without', "SET ROLE regress_owner; $statement"), $missing, '... by the owner of the tables') if $statement =~ /FROM events/;
}
like(ask($node, 'without', "SELECT tenancy.authenticate(secret('session'))"), $missing, 'nobody signs in');
isnt($node->psql('without', 'DELETE FROM tenancy.memberships'), 0, 'and nobody changes memberships that no other session would hear of');
sub create
{
	my ($database, $what) = @_;
	my $err;
	$node->psql($database, "CREATE TABLE made $what", stderr => \$err, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $err =~ s/^psql:<stdin>:\d+: //mgr;
}
like(create('without', 'PARTITION OF parted FOR VALUES FROM (10) TO (20)'), $missing, 'no partition of a protected table comes');
is(create('without', '(n integer); ALTER TABLE made ADD m integer; DROP TABLE made'), '', 'other tables do');
is($node->safe_psql('without', 'SELECT count(*) FROM events'), '2', 'the rows are there still, as a superuser sees');
# there again, as after an upgrade of the package
$node->safe_psql('without', q{
	UPDATE pg_proc SET probin = '$libdir/tenancy' WHERE probin = '$libdir/not-there'});
is(answer($node, 'without', 'alice', 'SELECT n FROM events ORDER BY 1'), "1\n2", 'the library is back');

# attack 165: a library of another version than the SQL objects is said to be.
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = '0.0.1' WHERE extname = 'tenancy'});
like($node->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity()'),
	qr/^version\|extension tenancy\|the library is version [\d.]+, the SQL objects are version 0\.0\.1$/m, 'another version');
like($node->safe_psql('postgres', q{SELECT rule, severity, remedy FROM tenancy.lint() WHERE rule = 'extension_outdated' AND object = 'extension tenancy'}),
	qr/^extension_outdated\|warning\|ALTER EXTENSION tenancy UPDATE;$/, 'and lint() knows what to do');
like(create('postgres', 'PARTITION OF parted FOR VALUES FROM (10) TO (20)'),
	qr/^ERROR:  55000: the library of extension "tenancy" is version [\d.]+, its SQL objects are version 0\.0\.1$/m, 'no partition of a protected table comes');
is(create('postgres', 'PARTITION OF plain FOR VALUES FROM (10) TO (20)'), '', 'partitions of others do');

$node->stop;
done_testing();
