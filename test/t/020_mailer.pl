# tenancy-mailer against a real mail server: what arrives, what becomes of what
# does not, and that nothing is lost, sent twice or said in a log.
use strict;
use warnings;
use Encode;
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use MIME::QuotedPrint;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Fixture;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $node = PostgreSQL::Test::Cluster->new('mailer');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "tenancy.email_enabled = on\nwal_level = replica");
$node->start;
populate($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE ROLE regress_mailer LOGIN;
	CREATE ROLE regress_half LOGIN;
	SELECT tenancy.grant_mailer('regress_mailer');
	SELECT tenancy.grant_mailer('regress_half');
	REVOKE EXECUTE ON FUNCTION tenancy.complete_notification(uuid), tenancy.fail_notification(uuid, text) FROM regress_half});
# The test looks on, at one level.  The mailer does not mind its role's, at which
# mailers that meet would fail.
$node->safe_psql('postgres', q{
	ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'read committed';
	ALTER ROLE regress_mailer SET default_transaction_isolation = 'serializable';
	CREATE TABLE levels (level text);
	CREATE FUNCTION note_level() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.levels VALUES (current_setting('transaction_isolation'));
		RETURN NULL;
	END $$;
	CREATE TRIGGER note_level AFTER UPDATE ON tenancy.notifications FOR EACH ROW EXECUTE FUNCTION note_level()});

# ---------------------------------------------------------------------
# The mail server
# ---------------------------------------------------------------------

for my $name ('right', 'wrong')
{
	system_or_bail('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
		'-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
		'-keyout', "$folder/$name.key", '-out', "$folder/$name.crt");
}
append_to_file("$folder/password", "sesame, open\n");

my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(tls plain);
my %server;

# Answers when the server listens.
sub start_server
{
	my ($name, @arguments) = @_;
	my $out = '';

	mkdir "$folder/$name";
	$server{$name} = IPC::Run::start(
		[ '/usr/bin/python3', "$FindBin::RealBin/smtp_server.py", $port{$name}, "$folder/$name", @arguments ],
		'>', \$out, '2>>', "$folder/$name.log");
	$server{$name}->pump until $out =~ /ready/ || !$server{$name}->pumpable;
	return;
}

sub start_tls_server
{
	return start_server('tls', "$folder/right.crt", "$folder/right.key", 'postman', 'sesame, open');
}

sub stop_server
{
	my ($name) = @_;

	delete($server{$name})->kill_kill(grace => 1);
	return;
}

END
{
	my $code = $?;
	$_->kill_kill for values %server;
	$? = $code;
}

# ---------------------------------------------------------------------
# The mailer
# ---------------------------------------------------------------------

my $number = 0;
my ($out, $err);
append_to_file("$folder/mailer.conf", <<"END");
# what every run says
database = @{[ $node->connstr('postgres') ]} user=regress_mailer
server = smtp://localhost:$port{tls}
user = postman
password_file = $folder/password
ca-file = $folder/right.crt
from = Bücherei Köln <no-reply\@app.example>
link = https://app.example/invite/{token}?from=mail
templates = share/mail
timeout = 5
poll = 1
END

sub start_mailer
{
	my @options = @_;
	my %mailer = (log => "$folder/mailer." . ++$number . '.log');

	$mailer{run} = IPC::Run::start([ 'tenancy-mailer', "--config=$folder/mailer.conf", @options ],
		'<', \undef, '&>', $mailer{log});
	return \%mailer;
}

# Its exit code and what it said.
sub end_of
{
	my ($mailer) = @_;

	$mailer->{run}->finish;
	my $log = slurp_file($mailer->{log});
	diag($log) if $log =~ /runtime error|Sanitizer/;
	return ($mailer->{run}->result(0), $log);
}

sub stop_mailer
{
	my ($mailer, $signal) = @_;

	$mailer->{run}->signal($signal // 'TERM');
	return end_of($mailer);
}

sub once
{
	return end_of(start_mailer('--once', @_));
}

# ---------------------------------------------------------------------
# The outbox, and what arrives
# ---------------------------------------------------------------------

sub sql
{
	return $node->safe_psql('postgres', $_[0]);
}

# A notification that no command made, so that it can say anything.
sql(q{
	CREATE FUNCTION enqueue(recipient text, changes jsonb DEFAULT '{}', kind text DEFAULT 'invitation')
	RETURNS void LANGUAGE sql AS $$
		INSERT INTO tenancy.notifications (kind, recipient, payload)
		VALUES (kind, recipient || '@x.example', jsonb_build_object(
			'organization_name', 'Acme', 'inviter_name', 'Mia', 'reply_to', 'mia@x.example',
			'invite_id', gen_random_uuid(),
			'token', tenancy._mint_credential('invite'), 'expires_at', timestamptz '2031-02-03 04:05:06+00') || changes);
		NOTIFY tenancy_notifications
	$$});

# Whatever waits or is claimed is due now.
sub hurry
{
	sql('UPDATE tenancy.notifications SET due_at = clock_timestamp() WHERE sent_at IS NULL; NOTIFY tenancy_notifications');
	return;
}

# State and attempts of the notifications to a recipient, or to all of a name
# with numbers.
sub state
{
	my ($name) = @_;

	return sql(qq{
		SELECT string_agg(DISTINCT CASE WHEN sent_at IS NOT NULL THEN 'sent' WHEN dead_at IS NOT NULL THEN 'dead'
			WHEN claimed_at IS NOT NULL THEN 'claimed' ELSE 'waiting' END || ' ' || attempts, ', ')
		FROM tenancy.notifications WHERE recipient ~ '^$name\[0-9]*\@'});
}

sub last_error
{
	return sql("SELECT last_error FROM tenancy.notifications WHERE recipient ~ '^$_[0]\@'");
}

# The files that have arrived for a name.
sub files
{
	my ($name) = @_;

	return grep { (split /\n/, slurp_file($_))[1] =~ /^$name\d*\@/ } sort glob("$folder/{tls,plain}/*.eml");
}

# How many have arrived for each recipient of a name: "3 x 1, 1 x 2".
sub arrivals
{
	my (%recipients, %times);

	$recipients{ (split /\n/, slurp_file($_))[1] }++ for files($_[0]);
	$times{$_}++ for values %recipients;
	return join ', ', map { "$times{$_} x $_" } sort keys %times;
}

sub await_arrivals
{
	my ($name, $wanted) = @_;

	for (1 .. 200)
	{
		return 1 if files($name) >= $wanted;
		sleep 0.05;
	}
	return 0;
}

sub await_state
{
	my ($name, $wanted) = @_;

	for (1 .. 200)
	{
		return 1 if state($name) =~ $wanted;
		sleep 0.05;
	}
	return 0;
}

# Name => value, unfolded; and the part below.
sub take_apart
{
	my ($head, $body) = split /\n\n/, $_[0], 2;
	my %header;

	$head =~ s/\n[ \t]+/ /g;
	for my $line (split /\n/, $head)
	{
		my ($name, $value) = $line =~ /^([\w-]+): (.*)$/ or die "not a header: $line";
		die "twice: $name" if exists $header{ lc $name };
		$header{ lc $name } = $value;
	}
	return (\%header, $body);
}

# What the one message to a recipient says.
sub message
{
	my ($file) = files($_[0]);
	my %message;

	return {} if !defined $file;
	my ($from, $to, undef, $content) = split /\n/, slurp_file($file) =~ s/\r\n/\n/gr, 4;
	my ($header, $body) = take_apart($content);
	%message = (%$header, envelope => "$from $to");
	$message{$_} = decode('MIME-Header', $header->{$_}) for qw(from subject);
	my ($boundary) = $header->{'content-type'} =~ m{^multipart/alternative; boundary=(\S+)};
	my @parts = split /^--\Q$boundary\E(?:--)?\n/m, $body;
	for my $part (@parts[ 1 .. 2 ])
	{
		my ($about, $text) = take_apart($part);
		my ($kind) = $about->{'content-type'} =~ m{^text/(\w+); charset=utf-8$};

		$message{$kind} = decode('UTF-8', decode_qp($text));
	}
	$message{order} = join ' ', map { /^Content-Type: (\S+);/m } @parts[ 1 .. $#parts ];
	return \%message;
}

# ---------------------------------------------------------------------
# An invitation and a newcomer, from the command to the mailbox
# ---------------------------------------------------------------------

start_tls_server();
sql(q{UPDATE tenancy.organizations SET name = 'Café <script>alert(1)</script> & Söhne'});
is(answer($node, 'postgres', 'alice', "SELECT token FROM tenancy.create_invite(id('acme'), 'eve\@tap.example')"), '',
	'only the invited get the token');
my ($code, $log) = once();
is($code, 0, 'all sent');
my $mail = message('eve');
is($mail->{envelope}, 'no-reply@app.example eve@tap.example', 'from and to whom');
is($mail->{from}, decode("UTF-8", "Bücherei Köln <no-reply\@app.example>"), "From, beyond ASCII");
is($mail->{to}, '<eve@tap.example>', 'To');
is($mail->{'reply-to'}, '<alice@tap.example>', 'Reply-To is the inviter');
is($mail->{subject}, decode('UTF-8', 'alice invites you to Café <script>alert(1)</script> & Söhne'), 'Subject, beyond ASCII');
is($mail->{'message-id'}, '<' . sql('SELECT id FROM tenancy.notifications') . '@app.example>', 'Message-ID is the id');
like($mail->{date}, qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/, 'Date');
is($mail->{order}, 'text/plain text/html', 'two parts, the better one last');
like($mail->{plain}, qr{^https://app\.example/invite/tni_[0-9a-f]{72}\?from=mail$}m, 'the link, in plain text');
my ($token) = $mail->{plain} =~ m{/invite/(\w+)};
like($mail->{plain}, qr/Caf\x{e9} <script>alert\(1\)<\/script> & S\x{f6}hne/, 'the name, as it is');
like($mail->{plain}, qr/^It works until \d+ \w+ \d{4}, \d\d:\d\d UTC, and only for eve\@tap\.example\.$/m, 'until when');
like($mail->{html}, qr{<a href="https://app\.example/invite/$token\?from=mail">}, 'the link, in HTML');
like($mail->{html}, qr/Caf\x{e9} &lt;script&gt;alert\(1\)&lt;\/script&gt; &amp; S\x{f6}hne/, 'the name, escaped');
unlike($mail->{html}, qr/<script/, 'and not as markup');
my $id = sql('SELECT id FROM tenancy.notifications');
like($log, qr/^tenancy-mailer: sent invitation $id to e\*e\@tap\.example, attempt 1$/m, 'one line in the log');

is(answer($node, 'postgres', 'eve', "SELECT tenancy.accept_invite('$token')"), '', 'the token works');
($code, $log) = once('--batch=1');
is($code, 0, 'a newcomer is announced');
is(arrivals('(alice|adam|mia)'), '3 x 1', 'to every member');
$mail = message('adam');
is($mail->{subject}, decode('UTF-8', 'eve joined Café <script>alert(1)</script> & Söhne'), 'Subject');
is($mail->{'reply-to'}, undef, 'no Reply-To');
like($mail->{plain}, qr/^eve \(eve\@tap\.example\) joined /m, 'who');
unlike($mail->{html}, qr/<script/, 'no markup');

# ---------------------------------------------------------------------
# Names that want to be more than names
# ---------------------------------------------------------------------

my $long = 'ü' x 200;
sql(qq{SELECT enqueue('inject', '{"organization_name": "A\\r\\nBcc: victim\@x.example\\r\\n\\r\\nbody", "inviter_name": "{link} {token}",
	"reply_to": "m\@x.example>\\r\\nBcc: <victim\@x.example", "token": "a\\" onload=\\"x\\r\\n.\\r\\nMAIL"}');
	SELECT enqueue('spoof', '{"organization_name": "=?UTF-8?Q?Bank?=", "inviter_name": null, "reply_to": null, "expires_at": "tomorrow"}');
	SELECT enqueue('long', '{"organization_name": "$long", "inviter_name": "$long"}');
	SELECT enqueue('dots', '{"inviter_name": "\\u202e\\u0085\\u2066<b>\\"''\\u2028"}')});
($code, $log) = once();
is($code, 0, 'strange names are sent');
$mail = message('inject');
is($mail->{bcc}, undef, 'a name makes no header');
is($mail->{envelope}, 'no-reply@app.example inject@x.example', 'nor a recipient');
is($mail->{'reply-to'}, undef, 'what is not an address is not replied to');
is($mail->{subject}, '{link} {token} invites you to A  Bcc: victim@x.example    body', 'a name is one line, and no template');
like($mail->{html}, qr{"https://app\.example/invite/a%22%20onload%3D%22x%20%20\.%20%20MAIL\?from=mail"}, 'a token stays in its URL');
like(slurp_file((files('spoof'))[0]), qr/^Subject: =\?UTF-8\?B\?/m, 'what looks encoded is encoded');
is(message('spoof')->{subject}, 'A member invites you to =?UTF-8?Q?Bank?=', 'and shown as it was typed');
is(message('spoof')->{'reply-to'}, undef, 'an inviter who is gone is not replied to');
is(message('long')->{subject}, decode('UTF-8', "$long invites you to $long"), 'a long subject');
is(scalar(grep { /=/ && length > 76 } grep { !/boundary/ } split /\r?\n/, slurp_file((files('long'))[0])), 0, 'in short lines');
like(message('dots')->{html}, qr/<bdi>   &lt;b&gt;&quot;&#39; <\/bdi> invites/, 'quotes are escaped');
like(message('dots')->{subject}, qr/^\s*<b>"'\s+invites you to Acme$/, 'what turns the direction of writing is gone');

sql(q{SELECT enqueue('nothing', '{"token": null}'); SELECT enqueue('list', '{}');
	UPDATE tenancy.notifications SET payload = '[1]' WHERE recipient ~ '^list';
	SELECT enqueue('other', '{}', 'newsletter'); SELECT enqueue('good');
	SELECT enqueue('a');
	-- a database that is not as strict as ours
	ALTER DOMAIN tenancy.email DROP CONSTRAINT email_check;
	SELECT enqueue('two words')});
($code, $log) = once();
is($code, 3, 'something is unsent');
is(state('(nothing|list|other|two words)'), 'waiting 1', 'what cannot be rendered fails');
is(state('good'), 'sent 1', 'and holds nobody up');
is(last_error('nothing'), 'the payload has no "token"', 'why');
is(last_error('other'), 'there is no template for kind "newsletter"', 'why, of an unknown kind');

is(last_error('two words'), 'the recipient is not an address', 'why, of a recipient');
like($log, qr/: sent invitation \S+ to \*\@x\.example, attempt 1$/m, 'one letter is masked');

# What has left and cannot be reported.  It tries for a while, meanwhile we go on.
sql(q{UPDATE tenancy.notifications SET sent_at = now(), claimed_at = NULL WHERE sent_at IS NULL;
	SELECT enqueue('unrecorded')});
my $unrecorded = start_mailer('--once', '--database=' . $node->connstr('postgres') . ' user=regress_half');
ok(await_arrivals('unrecorded', 1), 'a mailer that may not say what became of it');

# ---------------------------------------------------------------------
# A mail server that does not want, and one that is not there
# ---------------------------------------------------------------------

sql(q{SELECT enqueue(n) FROM unnest('{refuse,later,bounce,babble,fine}'::text[]) n});
($code, $log) = once();
is($code, 3, 'refused messages are unsent');
is(state('(refuse|later|bounce|babble)'), 'waiting 1', 'and wait');
is(state('fine'), 'sent 1', 'others are sent');
like(last_error('refuse'), qr/^the server said: 550 5\.1\.1 <\*+\@x\.example>: no such user$/, 'what the server said');
like(last_error('later'), qr/^the server said: 451 /, 'for now');
like(last_error('bounce'), qr{rejected for <\*+\@x\.example>: https://app\.example/invite/tni_\.\.\.}, 'without what is secret in it');

like(last_error('babble'), qr/^the server said: 550 (\?\?no ){50,}/, 'beyond ASCII, as far as it is known');
is(length(last_error('babble')), 300, 'and no longer than that');

for my $name (qw(drop stall lose))
{
	sql(qq{SELECT enqueue('$name'); SELECT pg_sleep(0.002); SELECT enqueue('after$name')});
	my $begin = time;
	($code, $log) = once('--timeout=1');
	is($code, 3, "$name: ends");
	cmp_ok(time - $begin, '<', 10, "$name: in time");
	is(state($name), 'waiting 1', "$name: the message waits");
	is(state("after$name"), 'waiting 0', "$name: what came behind it was not tried, and costs it nothing");
}
like(last_error('stall'), qr/timed? ?out/i, 'a server that stalls');
sql(q{UPDATE tenancy.notifications SET recipient = 'kept@x.example' WHERE recipient ~ '^lose'});
hurry();
sql(q{UPDATE tenancy.notifications SET sent_at = now(), claimed_at = NULL
	WHERE sent_at IS NULL AND recipient !~ '^(kept|after)'});
is((once())[0], 0, 'the rest is sent');
is(arrivals('after[a-z]+'), '3 x 1', 'once each');
is(message('kept')->{'message-id'}, message('lose')->{'message-id'}, 'a repeat has the same Message-ID');

# A certificate that is not trusted, a password that is wrong, no STARTTLS.
start_server('plain');
sql(q{SELECT enqueue('secret')});
my $before = () = glob("$folder/*/*.eml");
for my $try ([ 'certificate', "--ca-file=$folder/wrong.crt" ], [ 'STARTTLS', "--server=smtp://localhost:$port{plain}" ],
	[ '535|denied', "--password-file=$folder/right.crt" ], [ 'onnect', '--server=smtp://localhost:1' ])
{
	my ($why, @options) = @$try;

	hurry();
	($code, $log) = once(@options);
	is($code, 3, "refused: $why");
	like(last_error('secret'), qr/$why/, 'for that reason');
}
is(scalar(() = glob("$folder/*/*.eml")), $before, 'nothing was sent');
hurry();
IPC::Run::run([ 'sed', '-i', '/^user\|^password/d', "$folder/mailer.conf" ]);
is((once('--starttls=optional', "--server=smtp://localhost:$port{plain}"))[0], 0, 'without encryption, if that is allowed');
is(arrivals('secret'), '1 x 1', 'it arrives');
sql(q{SELECT enqueue('open')});
is((once('--starttls=none', "--server=smtp://localhost:$port{plain}", '--from="Acme, Ltd" <no-reply@app.example>'))[0], 0,
	'and if nothing else is wanted');
is(message('open')->{from}, 'Acme, Ltd <no-reply@app.example>', 'a sender in quotes');
append_to_file("$folder/mailer.conf", "user = postman\npassword-file = $folder/password\n");

# ---------------------------------------------------------------------
# Left running
# ---------------------------------------------------------------------

my $mailer = start_mailer('--poll=60');
sql(q{SELECT enqueue('notified')});
ok(await_state('notified', qr/sent 1/), 'a waiting mailer is woken');
is(sql(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'regress_mailer'}), 1, 'loses its connection');
sql(q{SELECT enqueue('anew')});
ok(await_state('anew', qr/sent 1/), 'and makes another');
stop_server('tls');
sql(q{SELECT enqueue('down'); SELECT enqueue('down' || n) FROM generate_series(1, 30) n});
ok(await_state('down', qr/waiting 1/), 'no mail server: fails');
sleep 1.2;
is(sql(q{SELECT sum(attempts) FROM tenancy.notifications WHERE recipient ~ '^down'}), 1, 'once, and not again and again');
start_tls_server();
ok(await_arrivals('down', 30), 'it is back: goes on');
hurry();
ok(await_state('down', qr/^sent 1, sent 2$/), 'and what failed is sent');
is(arrivals('down'), '31 x 1', 'each once');

sql(q{SELECT enqueue('slow' || n) FROM generate_series(1, 4) n});
ok(await_arrivals('slow', 1), 'sending');
$node->stop;
$node->start;
ok(await_state('slow', qr/^sent 1$/), 'the database was restarted: goes on');
is(arrivals('slow'), '4 x 1', 'each once');
sql(q{SELECT enqueue('again')});
ok(await_state('again', qr/sent 1/), 'listens again');
$node->stop;
sleep 0.7;
($code, $log) = stop_mailer($mailer, 'INT');
is($code, 0, 'stops while there is no database');
is(scalar(grep { !/^tenancy-mailer: / } split /\n/, $log), 0, 'every line of its log is its own');
like($log, qr/^tenancy-mailer: could not complete a notification: .*\n(?:.*\n)*tenancy-mailer: sent /m,
	'a message had been sent while it was away');
($code, $log) = once();
is($code, 2, 'no database');
append_to_file($node->data_dir . '/standby.signal', '');
$node->start;
($code, $log) = once();
is($code, 2, 'a standby');
like($log, qr/could not listen: .*recovery/, 'has nothing to listen to');
$node->stop;
unlink $node->data_dir . '/standby.signal';
$node->start;

# Told to stop in the middle.
$mailer = start_mailer();
sql(q{SELECT enqueue('polled'); UPDATE tenancy.notifications SET due_at = clock_timestamp() + '1 s' WHERE recipient ~ '^polled'});
ok(await_state('polled', qr/sent 1/), 'what becomes due without a notification is found');
sql(q{SELECT enqueue('slow' || n) FROM generate_series(11, 18) n});
ok(await_arrivals('slow', 5), 'sending');
is((stop_mailer($mailer))[0], 0, 'stops');
my $sent = files('slow') - 4;
cmp_ok($sent, '<', 8, 'before all is sent');
is(sql(q{SELECT count(*) FROM tenancy.notifications WHERE recipient ~ '^slow1[0-9]' AND sent_at IS NOT NULL}), $sent, 'what was sent is on record');
is(sql(q{SELECT string_agg(DISTINCT attempts || ' ' || (claimed_at IS NULL), '') FROM tenancy.notifications
	WHERE recipient ~ '^slow1[0-9]' AND sent_at IS NULL}), '0 true', 'the rest is as if it had not been claimed');

# Killed in the middle: the claims lapse, and nothing is lost.
$mailer = start_mailer();
ok(await_arrivals('slow', 5 + $sent), 'sending');
$mailer->{run}->signal('KILL');
eval { end_of($mailer) };
like(state('slow1'), qr/claimed 1/, 'killed: there are claims');
hurry();
is((once())[0], 0, 'they lapse');
like(arrivals('slow'), qr/^(12 x 1|11 x 1, 1 x 2)$/, 'nothing is lost, and at most what was in flight is sent twice');

($code, $log) = end_of($unrecorded);
is($code, 4, 'what cannot be reported has an exit code of its own');
like($log, qr/^tenancy-mailer: could not record what became of \S+: it will be sent again$/m, 'and a line in the log');

# Side by side.
sql(q{SELECT enqueue('many' || n) FROM generate_series(1, 240) n});
my $start = time;
my @mailers = map { start_mailer('--once') } 1 .. 4;
my @ends = map { [ end_of($_) ] } @mailers;
note(sprintf '240 messages by four mailers: %.1f s', time - $start);
is(join(' ', map { $_->[0] } @ends), '0 0 0 0', 'four mailers');
is((() = join('', map { $_->[1] } @ends) =~ /: sent /g), 240, 'send all');
is(arrivals('many'), '240 x 1', 'each once');

# ---------------------------------------------------------------------
# What is wrong is said at the start
# ---------------------------------------------------------------------

sub templates
{
	my ($name, $change) = @_;

	IPC::Run::run([ 'cp', '-r', 'share/mail', "$folder/$name" ]);
	IPC::Run::run([ 'sh', '-c', "cd $folder/$name && $change" ]);
	return "--templates=$folder/$name";
}

for my $try (
	[ qr/could not open template ".*missing\/member_joined\.html": No such file/, templates('missing', 'rm member_joined.html') ],
	[ qr/typo\/invitation\.html: \{lnik\} cannot be used here/, templates('typo', 'sed -i s/link/lnik/ invitation.html') ],
	[ qr/\{token\} cannot be used here/, templates('subject', 'sed -i "1s/$/{token}/" invitation.txt') ],
	[ qr/\{link\} cannot be used here/, templates('kind', 'echo "{link}" >>member_joined.txt') ],
	[ qr/does not begin with a line "Subject: \.\.\."/, templates('headless', 'sed -i 1d invitation.txt') ],
	[ qr/could not (open|read) template/, templates('folder', 'rm invitation.txt; mkdir invitation.txt') ],
	[ qr/has no \{token\}/, '--link=https://app.example/' ],
	[ qr/is not a URL/, '--link=/invite/{token}' ],
	[ qr/from: "nobody" is not an address/, '--from=nobody' ],
	[ qr/from: ".*" is not an address/s, "--from=A <a\@x.example\nBcc: b\@x.example>" ],
	[ qr/poll: "0" is not a number from 1 to/, '--poll=0' ],
	[ qr/starttls: "maybe" is not/, '--starttls=maybe' ],
	[ qr/user: takes starttls = require/, '--starttls=optional' ],
	[ qr/server: must not hold a user/, '--server=smtp://a:b@localhost' ],
	[ qr/server: must be smtp:/, '--server=file:///etc/passwd' ],
	[ qr/everybody sees a password there/, '--database=password=x' ],
	[ qr/not a connection string/, '--database=nonsense' ],
	[ qr/could not open "\/nowhere": No such file/, '--password-file=/nowhere' ],
	[ qr/could not open "\/nowhere": No such file/, '--config=/nowhere' ],
	[ qr/could not read "\/": Is a directory/, '--config=/' ],
	[ qr/there is no password in "\/dev\/null"/, '--password-file=/dev/null' ],
	[ qr/zero\/invitation\.txt" is not text/, templates('zero', 'printf "\\0" >>invitation.txt') ],
	[ qr/unrecognized option/, '--nonsense' ],
	[ qr/there is no argument "nonsense"/, 'nonsense' ])
{
	my ($why, @options) = @$try;

	($code, $log) = once(@options);
	is($code, 1, "refused at the start: $options[0]");
	like($log, $why, 'and why');
}
for my $try (
	[ "1: not of the form name = value", 'nonsense' ],
	[ 'from: must be given', 'link = https://app.example/{token}' ],
	[ 'link: must be given', 'from = a@x.example' ],
	[ 'user: takes a password-file or TENANCY_MAILER_PASSWORD', "from = a\@x.example\nlink = https://app.example/{token}\nuser = u" ])
{
	my ($why, $lines) = @$try;
	my $file = "$folder/partial." . ++$number;

	append_to_file($file, "$lines\n");
	($out, $err) = run_command([ 'tenancy-mailer', "--config=$file" ]);
	like($err, qr/\Q$why\E/, "refused at the start: $why");
}
append_to_file("$folder/mailer.conf", "once = on\n");
like((once())[1], qr/mailer\.conf:\d+: there is no setting "once"/, 'a setting that does not exist');

($out, $err) = run_command([ 'tenancy-mailer', '--version' ]);
is($out, 'tenancy-mailer ' . sql(q{SELECT tenancy._library_version()}), 'its version');
($out, $err) = run_command([ 'tenancy-mailer', '--help' ]);
for my $option ($out =~ /^  --([\w-]+)/mg)
{
	like(slurp_file('docs/mailer.md'), qr/^\| `$option` \|/m, "documented: --$option");
}

# ---------------------------------------------------------------------
# What must not be in a log
# ---------------------------------------------------------------------

is(sql('SELECT DISTINCT level FROM levels'), 'read committed', 'mailers do not wait for each other to fail');
my $logs = join '', map { slurp_file($_) } glob("$folder/mailer.*.log");
is(scalar(() = $logs =~ /tni_[0-9a-f]|sesame/g), 0, 'no token, no password');
is(join(' ', grep { !/\*.?\@/ } map { /\S+\@\S+/g } grep { /: (?:could not )?sen[dt] / } split /\n/, $logs), '',
	'no address that is not masked');
unlike($logs, qr/runtime error|Sanitizer/, 'no sanitizer spoke');
# The mailer is the one client here whose statements have parameters.
my @statements = grep { /execute <unnamed>|parameters: /i } split /\n/, slurp_file($node->logfile);
cmp_ok(scalar(@statements), '>', 300, 'the server logged what the mailer asked');
is(scalar(grep { /tni_[0-9a-f]/ } @statements), 0, 'without a token');
is(sql(q{SELECT count(*) FROM tenancy.notifications WHERE last_error ~ 'tni_[0-9a-f]'}), 0, 'nor in an error on record');
done_testing();
