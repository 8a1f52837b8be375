# pg_basebackup, and recovery to the moment before somebody deleted an organization
# by mistake: the rows, the answers and the refusals of that moment.  What was
# revoked after it counts again, which the DBA has to know.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Fixture;
use Inventory;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(has_archiving => 1, allows_streaming => 1);
$node->start;
populate_all($node, 'postgres');

# A backup is made while somebody works; half of what follows is in it.
my $open = session($node, 'postgres');
$open->query("BEGIN; DO \$\$ BEGIN PERFORM tenancy.act_as(id('alice')); END \$\$; SELECT tenancy.remove_project_member(id('private'), id('mia'))");
$node->backup('backup');
$open->query('ROLLBACK');
$open->quit;
is(answer($node, 'postgres', 'alice', "SELECT tenancy.create_project(id('acme'), 'later') IS NOT NULL"), 't', 'work goes on after the backup');
is(answer($node, 'postgres', 'alice', "INSERT INTO events SELECT p.id, 50 FROM tenancy.my_projects p WHERE p.name = 'later'"), '', 'and so do rows');
$node->safe_psql('postgres', "INSERT INTO secrets VALUES ('lost', tenancy.create_session(id('mia')))");

my $rows = rows_of($node, 'postgres');
my $before = answers_of($node, 'postgres');
my $moment = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
$node->safe_psql('postgres', 'SELECT pg_sleep(0.1)');

# The mistake, and what happened with it.
$node->safe_psql('postgres', "SELECT tenancy.revoke_sessions(id('mia'))");
is(answer($node, 'postgres', 'alice', "SELECT tenancy.delete_organization(id('acme'))"), '', 'the Owner deletes an organization');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events'), '1', 'its rows are gone with it');
isnt(answers_of($node, 'postgres'), $before, 'and everybody notices');
my $last = $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_switch_wal())');
ok($node->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver"), 'everything is archived');

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($node, 'backup', has_restoring => 1, standby => 0);
$restored->append_conf('postgresql.conf', "recovery_target_time = '$moment'\nrecovery_target_action = promote");
$restored->start;
ok($restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), 'recovered');
same(rows_of($restored, 'postgres'), $rows, 'the rows of that moment');
same(answers_of($restored, 'postgres'), $before, 'identical answers and refusals');
is($restored->safe_psql('postgres', 'SELECT * FROM tenancy.check_integrity(); SELECT * FROM tenancy.verify_audit()'), '', 'check_integrity() and verify_audit() find nothing');

# The revocation came after the moment.  docs/operations.md says what to do.
my $see = "SELECT count(*) > 0 FROM events";
my $in = "DO \$\$ BEGIN PERFORM tenancy.authenticate(secret('lost')); END \$\$";
like(ask($node, 'postgres', "BEGIN; $in; $see"), qr/28000: credential is not valid/, 'a session that was revoked after it');
is(ask($restored, 'postgres', "BEGIN; $in; $see"), 't', 'lives again');
my ($remedy) = slurp_file('docs/operations.md') =~ /```sql\n([^`]*revoke_sessions[^`]*)```/;
$restored->safe_psql('postgres', $remedy);
like(ask($restored, 'postgres', "BEGIN; $in; $see"), qr/28000: credential is not valid/, 'until all sessions are revoked');
is(rows_of($restored, 'postgres') =~ s/^(secrets|tenancy\.sessions|tenancy\.audit_\w+) .*\n//gmr, $rows =~ s/^(secrets|tenancy\.sessions|tenancy\.audit_\w+) .*\n//gmr, 'which touches nothing else');

$restored->stop;
$node->stop;
done_testing();
