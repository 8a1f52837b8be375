# The pages agree with what is there: every link leads somewhere, every command
# is documented with the signature that it has, and so are the views.

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @pages = grep { -e } qw(README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md),
  glob('docs/*.md'), glob('docs/decisions/*.md'), glob('examples/*/README.md');

# The anchor that a heading gets.
sub anchor
{
	my ($heading) = @_;

	$heading = lc $heading;
	$heading =~ s/[^\w\- ]//g;
	$heading =~ tr/ /-/;
	return $heading;
}

# Headings of a page, as anchors.
sub anchors
{
	my ($page) = @_;

	return map { anchor($_) } slurp_file($page) =~ /^#+ (.*)$/mg;
}

# Every link between pages leads to a file, and its anchor to a heading.
for my $page (@pages)
{
	my @broken;

	for my $link (slurp_file($page) =~ /\]\(([^)\s]+)\)/g)
	{
		my ($file, $anchor) = split /#/, $link, 2;

		next if $link =~ /^https?:/;
		$file = $file eq '' ? $page : dirname($page) . "/$file";
		push @broken, $link
		  if !-e $file
		  || (defined $anchor && !grep { $_ eq $anchor } anchors($file));
	}
	is("@broken", '', "$page: links lead somewhere");
}

# Every page is one that the README leads to.
for my $page (glob('docs/*.md'))
{
	like(slurp_file('README.md'), qr/\Q($page)\E/, "README.md leads to $page");
}
for my $page (glob('docs/decisions/*.md'))
{
	my ($name) = $page =~ m{^docs/(.*)};

	like(slurp_file('docs/architecture.md'), qr/\Q($name)\E/,
		"docs/architecture.md leads to $page");
}

# The numbers that a test names: "attack 3", "attacks 3, 4 and 6", "attacks 3 to 6".
sub numbers_named
{
	my ($test, $what) = @_;
	my %named;

	$test =~ s/\n(?:--|#)? ?/ /g;
	for my $list ($test =~ /\b${what}s? (\d+(?:(?:, | and | to )\d+)*)/gi)
	{
		$named{$_} = 1 for $list =~ /\d+/g;
		while ($list =~ /(\d+) to (\d+)/g)
		{
			$named{$_} = 1 for $1 .. $2;
		}
	}
	return %named;
}

# In the attack catalogue every number has its place, once; a row names a test,
# which names the row's numbers, or says that the attack is not promised to fail.
my %rows;
for my $row (slurp_file('docs/security.md') =~ /^\| (\d.*) \|$/mg)
{
	my ($numbers, undef, $where) = split / \| /, $row;
	my @missing;
	my $tested = $where =~ /not (?:promised|covered)/;

	for my $number (split /, /, $numbers)
	{
		$rows{$number}++;
		for my $name ($where =~ /`(\w+)`/g)
		{
			my ($file) = grep { -e }
			  map { glob } "test/*/$name.{sql,spec}", "test/t/[0-9]*_$name.pl";
			if (!defined $file)
			{
				push @missing, "no test $name" if $name =~ /_/ && $name !~ /^pg_/;
				next;
			}
			$tested = 1;
			my %named = numbers_named(slurp_file($file), 'attack');
			push @missing, "$name: $number" if !$named{$number};
		}
	}
	is("@missing", '', "tests name their attacks: $numbers");
	ok($tested, "a test, or why there is none: $numbers");
}
is_deeply(\%rows, { map { $_ => 1 } 1 .. 169 }, 'every attack has its row, and one');

# Every behaviour that users expect is named by a test.
my %behaviours;
for my $test (glob('test/*/*.{sql,spec,pl}'))
{
	my %named = numbers_named(slurp_file($test), 'behaviour');
	$behaviours{$_} = 1 for keys %named;
}
is(join(' ', grep { !$behaviours{$_} } 1 .. 78), '', 'every behaviour has its test');

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION tenancy CASCADE');

# Every function for callers is documented, with its signature as it is.
my $functions = $node->safe_psql('postgres', q{
	SELECT p.proname, p.proname || '(' || pg_get_function_arguments(p.oid) || ') → ' ||
		   pg_get_function_result(p.oid)
	FROM pg_proc p
	WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname !~ '^_'
	ORDER BY p.proname});
my $docs = join '', map { slurp_file($_) } glob('docs/*.md');

# Written the way the pages write it.
sub shorten
{
	my ($signature) = @_;

	$signature =~ s/timestamp with time zone/timestamptz/g;
	$signature =~ s/('\w[\w ]*'|NULL)::[\w.]+/$1/g;
	if ($signature =~ s/ → record$//)
	{
		my @out = $signature =~ /OUT (\w+ \w+)/g;

		$signature =~ s/, OUT .*\)$/)/;
		$signature .= ' → (' . join(', ', @out) . ')';
	}
	$signature =~ s/→ TABLE\(/→ table (/;
	return $signature;
}

$docs =~ s/\s+/ /g;
for my $line (split /\n/, $functions)
{
	my ($name, $signature) = split /\|/, $line, 2;

	$signature = shorten($signature);
	# a predicate's result is said by its table
	$signature =~ s/ → boolean$// if $name =~ /^(can_|is_member)/;
	ok(index($docs, $signature) >= 0, "documented: $signature");
}

# Every command on its page exists.
my $known = join '|', map { (split /\|/)[0] } split /\n/, $functions;
for my $name (slurp_file('docs/commands.md') =~ /^### `(\w+)\(/mg)
{
	like($name, qr/^(?:$known)$/, "exists: $name");
}

# Every view is documented with its columns.
my $views = $node->safe_psql('postgres', q{
	SELECT '| `tenancy.' || c.relname || '` | ' ||
		   string_agg('`' || a.attname || '`', ', ' ORDER BY a.attnum) || ' |'
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind = 'v' AND c.relname <> 'access' AND c.relname !~ '^_'
	GROUP BY c.relname ORDER BY c.relname});
for my $view (split /\n/, $views)
{
	ok(index(slurp_file('docs/views.md'), $view) >= 0, "documented: $view");
}

# Every rule of lint() is on its page, in the words of the view, and no other.
my @rules = split /\n/, $node->safe_psql('postgres', q{
	SELECT format('| `%s` | %s | %s |', rule, severity, meaning) FROM tenancy.lint_rules});
is(join("\n", sort map { "$_ |" } slurp_file('docs/lint.md') =~ /^(\| `\w+` \| \w+ \| [^|]+) \| [^|]+ \| [^|]+ \|$/mg),
	join("\n", sort @rules), 'docs/lint.md lists the rules');
my %rule = map { /`(\w+)`/ ? ($1 => 1) : () } @rules;
my ($elsewhere) = slurp_file('docs/lint.md') =~ /^## Checks known from other linters\n(.*)/ms;
is(join(' ', grep { !$rule{$_} } $elsewhere =~ /`(\w+)`/g), '', 'and what is known from elsewhere leads to rules');
my @severities = slurp_file('docs/lint.md') =~ /^\| (error|warning|info) \|/mg;
is("@severities", 'error warning info', 'and what the severities mean');

# So are the rules of check_integrity().
my $rules = $node->safe_psql('postgres', q{
	SELECT DISTINCT m[1] FROM pg_proc p, regexp_matches(p.prosrc, '(?:SELECT|THEN|ELSE) ''([a-z_]+)''(?=,| ELSE| END,)', 'g') m
	WHERE p.oid = 'tenancy.check_integrity()'::regprocedure ORDER BY 1});
my ($section) = slurp_file('docs/operations.md') =~ /^## Is what is stored sound\?\n(.*?)^## /ms;
is(join("\n", sort $section =~ /^\| `(\w+)` \|/mg), $rules, 'docs/operations.md lists the rules of check_integrity()');

# Every counter is explained, in order.
my $operations = slurp_file('docs/operations.md');
my ($monitoring) = $operations =~ /^## Monitoring\n(.*?)^## /ms;
is(join(' ', map { /`(\w+)`/g } $monitoring =~ /^\| (`[a-z_]+`[^|]*) \|/mg),
	$node->safe_psql('postgres', q{SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
								   WHERE attrelid = 'tenancy.stats'::regclass AND attnum > 0}),
	'docs/operations.md explains the counters');

# Every statement for the DBA works, one block after the other.
$node->safe_psql('postgres', q{
	CREATE DATABASE mydb;
	CREATE ROLE app LOGIN;
	\c mydb
	CREATE EXTENSION tenancy CASCADE;
	SELECT tenancy.grant_application('app');
	CREATE TABLE notes (project_id uuid NOT NULL, body text);
	SELECT tenancy.protect('notes');
	GRANT SELECT ON notes TO app;
	SELECT tenancy.create_user('bob@example.com', 'Bob')});
for my $block (map { slurp_file("docs/$_.md") =~ /^ *```sql\n(.*?)^ *```/msg } qw(operations scaling))
{
	my ($first) = $block =~ /^\s*(.*)$/m;
	my $error;

	$node->psql('mydb', $block, stderr => \$error);
	unlike($error, qr/ERROR|FATAL/, "a statement for the DBA: $first");
}

# The matrix on the page is the one that decides.
my $matrix = $node->safe_psql('postgres', q{
	SELECT concat_ws('|', permission, target, member, administrator, owner, project_administrator)
	FROM (SELECT permission, target,
				 CASE WHEN member THEN 'yes' ELSE '-' END AS member,
				 CASE WHEN administrator THEN 'yes' ELSE '-' END AS administrator,
				 CASE WHEN owner THEN 'yes' ELSE '-' END AS owner,
				 CASE WHEN project_administrator THEN 'yes' ELSE '-' END AS project_administrator
		  FROM tenancy.permission_matrix) m});
my @rows;
for my $row (slurp_file('docs/permissions.md') =~ /^\| (`[a-z_]+\.[a-z_]+`.*) \|$/mg)
{
	my @cells = map { s/^\s+|\s+$//gr } split /\|/, $row, -1;

	$cells[0] =~ s/^`([^`]+)`.*/$1/;
	push @rows, join '|', map { $_ eq '' ? '-' : $_ } @cells;
}
is(join("\n", @rows), $matrix, 'docs/permissions.md shows the matrix');

# Every message that docs/commands.md quotes stands in the source.
my $source = join '', map { slurp_file($_) } glob('sql/[0-9]*.sql'), glob('src/*.c');
$source =~ s/''/'/g;
for my $message (slurp_file('docs/commands.md') =~ /^- \w{5} `([^`]+)`/mg)
{
	ok(index($source, $message) >= 0, "in the source: $message");
}

$node->stop;
done_testing();
