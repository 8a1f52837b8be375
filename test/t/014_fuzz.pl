# A small round of what `make fuzz` does, with the same inputs each time: sound
# and broken credentials, addresses, templates, headers and settings.
use strict;
use warnings;
use Test::More;

my $output = `test/fuzz/run --small 20000 2>&1`;
is($?, 0, 'no finding') or diag $output;
foreach my $target (map { m{([a-z]+)\.c$} && $1 ne 'main' ? $1 : () } glob 'test/fuzz/*.c')
{
	like($output, qr/^$target: \d{3,} inputs without a finding/m, $target);
}
done_testing();
