# The program that checks histories finds what is planted in one, and says nothing
# of what could be right.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $check = "$FindBin::RealBin/../torture/check";

# An organization of ann's, with ben as Administrator and mia as Member, an open
# project and a private one.
my $beginning = join '', map { "0 0 0 ok $_\n" } (
	'project acme open', 'project acme secret', 'is owner acme ann', 'is level acme ann none', 'is level acme ben administrator',
	'is level acme mia member', 'is level acme eve none', 'is private open false', 'is private secret true', 'is token open t1', 'is token secret s1',
	(map { my $p = $_; map { "is project level $p $_ none" } qw(ann ben mia eve) } qw(open secret)),
	(map { "is active $_ true" } qw(ann ben mia eve)));

# What is said of a history whose lines are given as "CALL RETURN OUTCOME ...", or
# as "BEGIN:CALL RETURN OUTCOME ...".
sub said
{
	my (@lines) = @_;
	my ($out, $err);
	my $history = $beginning . join '', map { s/^(?:(\d+):)?(\d+)/@{[ $1 \/\/ $2 ]} $2/r . "\n" } @lines;

	IPC::Run::run([ $^X, $check ], '<', \$history, '>', \$out, '2>', \$err);
	return "$out$err";
}

sub wrong { my ($name, $what, @lines) = @_; like(said(@lines), qr/^violation: .*$what/m, "wrong: $name"); return; }
sub right { my ($name, @lines) = @_; like(said(@lines), qr/, 0 violations$/, "right: $name"); return; }

# Nothing is seen by what started after a revocation returned.
my $sees = 'sees mia fresh - open';
wrong('a removed member sees rows', 'rows of open were seen', '10 20 ok remove acme ben mia', "21 22 ok $sees");
right('while being removed', '10 20 ok remove acme ben mia', "15 22 ok $sees");
right('before', '10 20 ok remove acme ben mia', "5 8 ok $sees");
right('whose removal may not have happened', '10 20 maybe remove acme ben mia', "21 22 ok $sees", '30 31 ok sees mia fresh -', '32 33 ok sees mia fresh -');
wrong('removed or not, back now, and sees nothing', 'rows of open were missed',
	'10 20 maybe remove acme ben mia', '30 40 ok restart', '50 60 ok invite acme ben mia i1', '61 62 ok accept i1 mia', '70 71 ok sees mia fresh -');
right('who comes back', '10 20 ok remove acme ben mia', '25 26 ok invite acme ben mia i1', '30 40 ok accept i1 mia', "50 51 ok $sees");
right('who may come back', '10 20 ok remove acme ben mia', '25 26 ok invite acme ben mia i1', '30 40 maybe accept i1 mia', "50 51 ok $sees");
wrong('who cannot have come back yet', 'rows of open were seen', '10 20 ok remove acme ben mia', '25 26 ok invite acme ben mia i1', "27 28 ok $sees", '30 40 ok accept i1 mia');
wrong('a closed project', 'rows of open were seen', '10 20 ok privacy open ann true', "21 22 ok $sees");
right('closed and opened', '10 20 ok privacy open ann true', '18 25 ok privacy open ann false', "26 27 ok $sees");
wrong('opened and then closed', 'rows of open were seen', '10 20 ok privacy open ann true', '21 25 ok privacy open ann false', '26 27 ok privacy open ann true', "28 29 ok $sees");
wrong('nothing was granted', 'rows of secret were seen', '10 11 ok sees mia fresh - open secret');
right('added', '10 11 ok add secret ben mia member', '12 13 ok sees mia fresh - open secret');
wrong('added and taken out', 'rows of secret were seen', '10 11 ok add secret ben mia member', '14 15 ok unadd secret ben mia', '16 17 ok sees mia fresh - open secret');
wrong('added too late', 'rows of secret were missed', '10 11 ok add secret ben mia member', '12 13 ok sees mia fresh - open');
right('added, under an old snapshot', '10 11 ok add secret ben mia member', '12 13 ok sees mia old - open');
wrong('revoked, under an old snapshot', 'rows of open were seen', '10 20 ok remove acme ben mia', '21 22 ok sees mia old - open');
wrong('deactivated', 'rows of open were seen', '10 20 ok active mia false', "21 22 ok $sees");
right('deactivated and activated', '10 20 ok active mia false', '21 22 ok active mia true', "23 24 ok $sees");
right('a session', '10 11 ok session mia x', '12 13 ok sees mia fresh x open');
wrong('an ended session', 'rows of open were seen', '10 11 ok session mia x', '12 13 ok unsession mia', '14 15 ok sees mia fresh x open');
right('a session that was made while others were ended', '10 11 ok session mia x', '9:12 13 ok unsession mia', '14 15 ok sees mia fresh x open');
wrong('a session does not come back', 'rows of open were seen', '10 11 ok session mia x', '12 13 ok active mia false', '14 15 ok active mia true', '16 17 ok sees mia fresh x open');
wrong('moved up, does not see', 'rows of secret were missed', '10 11 ok level acme ann mia administrator', '12 13 ok sees mia fresh - open');
wrong('moved up and down', 'rows of secret were seen', '10 11 ok level acme ann mia administrator', '12 13 ok level acme ann mia member', '14 15 ok sees mia fresh - open secret');
wrong('a transfer ends the levels of the new Owner, and she leaves', 'rows of secret were seen',
	'10 11 ok add secret ben mia member', '12 13 ok transfer acme ann mia', '14 15 ok transfer acme mia ann', '16 17 ok level acme ann mia member', '18 19 ok sees mia fresh - open secret');

# Who commands has the right to.
wrong('a Member closes a project', 'was not allowed', '10 20 ok privacy open mia true');
wrong('a former Administrator', 'was not allowed', '10 20 ok level acme ann ben member', '21 22 ok rotate open ben t2');
right('an Administrator on the way out', '10 20 ok level acme ann ben member', '15 22 ok rotate open ben t2');

# Exactly one Owner.
wrong('no Owner', 'not one Owner', '10 11 ok owner acme');
wrong('two Owners', 'not one Owner', '10 11 ok owner acme ann ben');
right('one after the other', '10 11 ok owner acme ann', '12 20 ok transfer acme ann ben', '13 14 ok owner acme ann', '15 16 ok owner acme ben', '30 31 ok owner acme ben');
wrong('back to the old one', 'owner acme: ', '12 20 ok transfer acme ann ben', '15 16 ok owner acme ben', '17 18 ok owner acme ann');
wrong('an old Owner', 'owner acme: ', '12 20 ok transfer acme ann ben', '21 22 ok owner acme ann');
wrong('given away twice', 'owner acme: ', '12 20 ok transfer acme ann ben', '13 21 ok transfer acme ann mia');
right('given on and back', '12 20 ok transfer acme ann ben', '13 21 ok transfer acme ben ann', '14 22 ok transfer acme ann mia', '30 31 ok owner acme mia');
right('a maybe that happened', '12 13 maybe transfer acme ann ben', '20 21 ok owner acme ann', '22 23 ok owner acme ben');
right('a maybe that did not', '12 13 maybe transfer acme ann ben', '20 21 ok owner acme ann', '22 23 ok transfer acme ann mia', '24 25 ok owner acme mia');
wrong('a maybe that happened twice', 'owner acme: ', '12 13 maybe transfer acme ann ben', '14 15 ok owner acme ben', '16 17 ok transfer acme ben ann', '18 19 ok owner acme ben');
wrong('a maybe that happened after the server had gone', 'owner acme: ', '12 13 maybe transfer acme ann ben', '20 30 ok restart', '31 32 ok owner acme ann', '33 34 ok owner acme ben');
right('a maybe that happened before it', '12 13 maybe transfer acme ann ben', '20 30 ok restart', '31 32 ok owner acme ben');

# One live token, and no insert with an old one.
wrong('two live tokens', 'not one live token', '10 11 ok live open 2');
wrong('no live token', 'not one live token', '10 11 ok live open 0');
wrong('an insert with an old token', 'token open: ', '10 20 ok rotate open ann t2', '21 22 ok insert open t1');
right('during the regeneration', '10 20 ok rotate open ann t2', '19 22 ok insert open t1');
wrong('with the old one after the new one', 'token open: ', '10 20 ok rotate open ann t2', '11 12 ok insert open t2', '13 14 ok insert open t1');
right('two regenerations at once', '10 20 ok rotate open ann t2', '10 20 ok rotate open ann t3', '21 22 ok insert open t2', '23 24 ok refused open t3', '25 26 ok token open t2');
wrong('after which both live', 'token open: ', '10 20 ok rotate open ann t2', '10 20 ok rotate open ann t3', '21 22 ok insert open t2', '23 24 ok insert open t3');
wrong('a live token is refused', 'token open: ', '10 11 ok refused open t1');
wrong('an old token is shown', 'token open: ', '10 20 ok rotate open ann t2', '21 22 ok token open t1');
right('a regeneration that may have happened', '10 20 maybe rotate open ann t2', '21 22 ok insert open t1', '23 24 ok insert open t2');
wrong('and then has', 'token open: ', '10 20 maybe rotate open ann t2', '21 22 ok insert open t2', '23 24 ok insert open t1');

# Each invite is accepted once.
my $invite = '10 11 ok invite acme ben eve i1';
right('accepted', $invite, '12 13 ok accept i1 eve');
wrong('accepted twice', 'accepted more than once', $invite, '12 13 ok accept i1 eve', '14 15 ok remove acme ben eve', '16 17 ok accept i1 eve');
right('accepted, and perhaps before', $invite, '12 13 maybe accept i1 eve', '14 15 ok accept i1 eve');
wrong('accepted after it was revoked', 'accepted after it was revoked', $invite, '12 13 ok uninvite acme ben i1', '14 15 ok accept i1 eve');
right('accepted while it was revoked', $invite, '12 14 ok uninvite acme ben i1', '13 15 ok accept i1 eve');
wrong('accepted after it was replaced', 'accepted after it was replaced', $invite, '12 13 ok invite acme ben eve i2', '14 15 ok accept i1 eve');
wrong('accepted before it was made', 'accepted without an invite', '1 2 ok accept i1 eve', $invite);

# What was committed stays.
wrong('a row is lost', 'was lost', '10 11 ok stored 1.1 1.2', '90 90 ok found 1.1', '90 90 ok end');
right('a row that may be lost', '10 11 maybe stored 1.1', '90 90 ok end');
right('a row that was not', '10 11 maybe stored 1.1', '90 90 ok found 1.1', '90 90 ok end');
wrong('a row of no transaction', 'appeared', '90 90 ok found 1.1', '90 90 ok end');

# What is no history is not taken for one.
like(said('10 11 perhaps live open 1'), qr/^not a line of a history/, 'an outcome that there is not');
done_testing();
