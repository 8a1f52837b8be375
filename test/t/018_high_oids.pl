# A server that has used up half of its oids gives relations oids that have the bit
# which marks our own messages: they are told apart no more, and nothing is missed.
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
command_ok([ 'pg_resetwal', '-o', '3000000000', $node->data_dir ], 'half of the oids are used up');
$node->start;
populate($node, 'postgres');
is($node->safe_psql('postgres', q(SELECT 'events'::regclass::oid > 2147483648)), 't', 'so that tables have high ones');
is(answer($node, 'postgres', 'mia', 'SELECT count(*) FROM events'), 2, 'whoever acts sees what is theirs');

# A role that is bound acts until it comes to own a protected table.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE regress_tap_tool LOGIN;
GRANT SELECT ON events TO regress_tap_tool;
CREATE TABLE other (project_id uuid NOT NULL);
SELECT tenancy.protect('other');
SELECT tenancy.bind_role('regress_tap_tool', id('mia'));
SQL
my $tool = $node->background_psql('postgres', extra_params => [ '-U', 'regress_tap_tool' ]);
is($tool->query_safe('SELECT count(*) FROM events'), 2, 'a bound role acts');
$node->safe_psql('postgres', 'ALTER TABLE other OWNER TO regress_tap_tool');
is($tool->query_safe('SELECT count(*) FROM events'), 0, 'until it owns a protected table');
$node->safe_psql('postgres', 'ALTER TABLE other OWNER TO CURRENT_USER');
is($tool->query_safe('SELECT count(*) FROM events'), 2, 'and again when it does not');
$tool->quit;
done_testing();
