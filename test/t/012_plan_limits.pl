# What a plan limits is limited for ten clients at once, too.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
populate($node, 'postgres');

# The same SQL by ten clients at once; how often each outcome came.
sub at_once
{
	my ($who, $isolation, $sql) = @_;
	my @outputs = ('') x 10;
	my @clients = map {
		my $begin = "BEGIN ISOLATION LEVEL $isolation; DO \$\$ BEGIN PERFORM tenancy.act_as(id('$who')); END \$\$;";
		IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=sqlstate', '-U', 'regress_tap', '-d', $node->connstr('postgres'),
				map { ('-c', $_) } ("$begin SELECT pg_sleep(1)", "SELECT $sql IS NOT NULL", 'COMMIT') ],
			'>', \$outputs[$_], '2>&1')
	} 0 .. 9;
	$_->finish foreach @clients;
	my %outcomes;
	$outcomes{ /(ERROR: +\w+)/ ? $1 =~ s/ +/ /r : /^t$/m ? 'ok' : $_ }++ foreach @outputs;
	return join ', ', map { "$_ $outcomes{$_}" } sort keys %outcomes;
}

sub projects
{
	return $node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE is_private) FROM tenancy.projects WHERE organization_id = id('acme')");
}

# behaviour 52: with zero projects left, one may be created
$node->safe_psql('postgres', "DELETE FROM tenancy.projects; SELECT tenancy.set_plan(id('acme'), 'free')");
is(at_once('alice', 'READ COMMITTED', "tenancy.create_project(id('acme'), 'One')"), 'ERROR: 53400 9, ok 1', 'ten clients create the one project');
is(projects(), '1|0', 'there is one');
$node->safe_psql('postgres', "DELETE FROM tenancy.projects");
like(at_once('adam', 'REPEATABLE READ', "tenancy.create_project(id('acme'), 'One')"), qr/^(?:ERROR: \w+ \d, )+ok 1$/, 'ten clients with old snapshots do');
is(projects(), '1|0', 'there is one');
# ... and on a plan that includes more, none is refused
$node->safe_psql('postgres', "SELECT tenancy.set_plan(id('acme'), 'self_serve')");
is(at_once('alice', 'READ COMMITTED', "tenancy.create_project(id('acme'), 'More')"), 'ok 10', 'ten clients create ten projects');
is(at_once('alice', 'READ COMMITTED', "tenancy.create_project(id('acme'), 'More', true)"), 'ERROR: 53400 10', 'and no private one');
is(projects(), '11|0', 'there are eleven');

# behaviour 26: one organization for somebody who is in none
$node->append_conf('postgresql.conf', "tenancy.default_plan = 'open_source'");
$node->reload;
is(at_once('eve', 'READ COMMITTED', "tenancy.create_organization('One')"), 'ERROR: 53400 9, ok 1', 'ten clients create the one organization');
is($node->safe_psql('postgres', "SELECT count(*) FROM tenancy.organizations WHERE owner_id = id('eve')"), '1', 'there is one');

$node->stop;
done_testing();
