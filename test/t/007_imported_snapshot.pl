# attack 97: an accomplice keeps a snapshot from before the revocation, and a new
# session imports it.  It neither reads with it nor stays spoilt after it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
populate($node, 'postgres');
my $see = "SELECT string_agg(n::text, ',' ORDER BY n) FROM events";
my $as = "DO \$\$ BEGIN PERFORM tenancy.act_as(id('%s')%s); END \$\$";
my $mia = sprintf($as, 'mia', ', true');

my $accomplice = session($node, 'postgres');
$accomplice->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $accomplice->query('SELECT pg_export_snapshot()');
like($snapshot, qr/^[0-9A-F-]+$/, 'a snapshot is exported');
my $import = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'";

# While nothing has changed, it shows what there was.
is(ask($node, 'postgres', "$import; $mia; $see"), '1,2', 'imported, it shows what she may see');

# Revoked since: nothing, in it and after it, signed in before it or in it.
answer($node, 'postgres', 'alice', "SELECT tenancy.remove_project_member(id('private'), id('mia'))");
answer($node, 'postgres', 'alice', "SELECT tenancy.set_project_privacy(id('open'), true)");
my $late = session($node, 'postgres');
$late->query($import);
$late->query($mia);
is($late->query($see), '', 'signed in under it: nothing');
$late->query('COMMIT');
is($late->query($see), '', 'nor after it');
$late->quit;

my $early = session($node, 'postgres');
$early->query($mia);
is($early->query($see), '', 'signed in before');
$early->query($import);
is($early->query($see), '', 'nothing under it');
$early->query('COMMIT');
is($early->query($see), '', 'nor after it');
$early->quit;

# A session that was revoked and a token that was rotated do not come back.
$node->safe_psql('postgres', "SELECT tenancy.revoke_sessions(id('mia'))");
answer($node, 'postgres', 'alice', "SELECT tenancy.rotate_project_token(id('open'))");
like(ask($node, 'postgres', "$import; SELECT tenancy.authenticate(secret('$_'))"),
	qr/^ERROR:  28000: credential is not valid$/, "a revoked $_ does not sign in under it") foreach qw(session token);

# attack 99: redacted first, granted later.  The snapshot still holds the row as
# it was, and the grant is not for that.
answer($node, 'postgres', 'alice', "UPDATE events SET n = 20 WHERE n = 2");
answer($node, 'postgres', 'alice', "SELECT tenancy.set_member_level(id('acme'), id('mia'), 'administrator')");
is(answer($node, 'postgres', 'mia', $see), '1,20', 'an Administrator sees all, now');
is(ask($node, 'postgres', "$import; $mia; $see"), '1,2', 'she could see it then, and can now');
is(ask($node, 'postgres', "$import; $mia; SELECT count(*) FROM events; SELECT snapshot_loads > 0, loads FROM tenancy.stats"), "2\nt|1",
	'by two sets, of then and of now, which are counted');
$accomplice->query('COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ');
$snapshot = $accomplice->query('SELECT pg_export_snapshot()');
$import = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '$snapshot'";
is(ask($node, 'postgres', sprintf("$import; $as; $see", 'eve', '')), '', 'a stranger');
my $invite = answer($node, 'postgres', 'alice', "SELECT token FROM tenancy.create_invite(id('acme'), 'eve\@tap.example')");
answer($node, 'postgres', 'alice', "UPDATE events SET n = 10 WHERE n = 1; SELECT tenancy.set_project_privacy(id('open'), false)");
answer($node, 'postgres', 'eve', "SELECT tenancy.accept_invite('$invite')");
is(answer($node, 'postgres', 'eve', $see), '10', 'who has joined sees what there is');
is(ask($node, 'postgres', sprintf("$import; $as; $see", 'eve', '')), '', 'and not what there was');
is(ask($node, 'postgres', sprintf("$import; $as; SELECT count(*) FROM tenancy.my_projects", 'eve', '')), '0', 'also of projects');
is(ask($node, 'postgres', sprintf("$import; $as; SELECT count(*) FROM tenancy.members", 'eve', '')), '0', 'and of members');
$accomplice->quit;
done_testing();
