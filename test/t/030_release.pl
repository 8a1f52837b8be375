# META.json is what PGXN's specification (version 1.0.0) wants, and true; and
# scripts/release-check finds each thing that stands in the way of a release.

use strict;
use warnings;

use Cwd qw(getcwd);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $semver = qr/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[A-Za-z][A-Za-z0-9-]*)?$/;
my ($version) = slurp_file('tenancy.control') =~ /^default_version = '(.*)'/m;
# the oldest server that the library works with
my $server = sprintf '%d.%d.0', slurp_file('src/version.c') =~ /repaired\[\] =\s*\{\s*\{(\d+), (\d+)\}/;
my ($comment) = slurp_file('tenancy.control') =~ /^comment = '(.*)'/m;

# What is wrong with the text of a META.json, a line each.
sub faults
{
	my ($text) = @_;
	my @faults;
	my $meta = eval { JSON::PP->new->utf8->decode($text) }
	  or return "no JSON: $@";
	# the condition comes last: one that does not match is an empty list
	my $check = sub { my ($fault, $so) = @_; push @faults, $fault if !$so };
	my $text_of = sub { my $value = $_[0]; return defined $value && !ref $value && $value =~ /\S/; };

	my %known = map { $_ => 1 } qw(name version abstract maintainer license provides meta-spec
	  description generated_by tags no_index prereqs release_status resources date);
	$check->("unknown field: $_", $known{$_} || /^X_/i) for sort keys %$meta;
	$check->("no text: $_", $text_of->($meta->{$_}))
	  for qw(name version abstract license description generated_by);
	$check->('name', ($meta->{name} // '') =~ m{^[^\s/\\]{2,}$});
	$check->('version is no semantic version', ($meta->{version} // '') =~ $semver);
	my @maintainers = ref $meta->{maintainer} eq 'ARRAY' ? @{ $meta->{maintainer} } : $meta->{maintainer};
	$check->('maintainer', @maintainers > 0 && !grep { !$text_of->($_) } @maintainers);
	# of the specification's list, the one that LICENSE is
	$check->('license', ($meta->{license} // '') eq 'postgresql');
	$check->('release_status', ($meta->{release_status} // '') =~ /^(?:stable|testing|unstable)$/);
	$check->('meta-spec', ($meta->{'meta-spec'}{version} // '') eq '1.0.0');
	$check->('no tags', ref $meta->{tags} eq 'ARRAY' && @{ $meta->{tags} } > 0);
	$check->('tag', $text_of->($_) && length($_) <= 255 && !m{[/\\\p{Cntrl}]})
	  for @{ $meta->{tags} // [] };

	$check->('provides nothing', %{ $meta->{provides} // {} } > 0);
	while (my ($name, $what) = each %{ $meta->{provides} // {} })
	{
		$check->("$name: version", ($what->{version} // '') =~ $semver);
		$check->("$name: docfile", !exists $what->{docfile} || -s $what->{docfile});
		$check->("$name: no such extension", -e "$name.control");
	}
	while (my ($phase, $relations) = each %{ $meta->{prereqs} // {} })
	{
		$check->("prereqs: $phase", $phase =~ /^(?:configure|build|test|runtime|develop)$/);
		while (my ($relation, $needs) = each %$relations)
		{
			$check->("prereqs: $phase: $relation", $relation =~ /^(?:requires|recommends|suggests|conflicts)$/);
			$check->("prereqs: $phase: $_", $needs->{$_} eq '0' || $needs->{$_} =~ $semver)
			  for sort keys %$needs;
		}
	}

	# and what it says is so
	$check->('another name than the extension', ($meta->{name} // '') eq 'tenancy');
	$check->('another version than tenancy.control', ($meta->{version} // '') eq $version);
	$check->('another abstract than tenancy.control', ($meta->{abstract} // '') =~ /^\Q$comment\E$/i);
	my $provided = $meta->{provides}{tenancy} // {};
	$check->('provides another version', ($provided->{version} // '') eq $version);
	$check->('provides another file', ($provided->{file} // '') eq "sql/tenancy--$version.sql");
	$check->('provides another abstract', ($provided->{abstract} // '') eq ($meta->{abstract} // ''));
	$check->('PostgreSQL', ($meta->{prereqs}{runtime}{requires}{PostgreSQL} // '') eq $server);
	return join "\n", @faults;
}

my $meta = slurp_file('META.json');
is(faults($meta), '', 'META.json is as PGXN wants it');

# Each fault is found.  A pair: what is replaced, and by what.
for my $fault (
	[ qr/,\s*"tags"/, ', "tag"', "unknown field: tag\nno tags" ],
	[ qr/"license": "\w+"/, '"license": "PostgreSQL"', 'license' ],
	[ qr/"maintainer": "[^"]*"/, '"maintainer": []', 'maintainer' ],
	[ qr/"maintainer": "[^"]*"/, '"maintainer": " "', 'maintainer' ],
	[ qr/"unstable"/, '"beta"', 'release_status' ],
	[ qr/"\Q$server\E"/, '"15"', "prereqs: runtime: PostgreSQL\nPostgreSQL" ],
	[ qr/"\Q$server\E"/, '"15.0.0"', 'PostgreSQL' ],
	[ qr/"runtime"/, '"run"', "prereqs: run\nPostgreSQL" ],
	[ qr/"README.md"/, '"README"', 'tenancy: docfile' ],
	[ qr/"abstract": "/, '"abstract": "The ', "another abstract than tenancy.control\nprovides another abstract" ],
	[ qr/,(\s*)"tags"/, '"tags"', undef ])
{
	my ($what, $by, $found) = @$fault;
	my $changed = $meta =~ s/$what/$by/r;

	isnt($changed, $meta, "there is $what");
	defined $found
	  ? is(faults($changed), $found, "found: $by")
	  : isnt(faults($changed), '', "found: $by");
}

# A project that is ready for its second release.
delete @ENV{ grep { /^GIT_/ } keys %ENV };
my $folder = PostgreSQL::Test::Utils::tempdir();
my $tree = getcwd();
run_log([ 'cp', '-a', grep({ -e } qw(Makefile META.json tenancy.control CHANGELOG.md scripts debian sql src)), $folder ]);
chdir $folder;
sub edit
{
	my ($file, $what, $by) = @_;
	my $text = slurp_file($file);

	$text =~ s/$what/$by/ or die "$file has no $what";
	open my $handle, '>', $file or die "$file: $!";
	print $handle $text;
	close $handle;
}
sub git { run_command([ 'git', '-c', 'user.name=regress', '-c', 'user.email=regress@regress.example', @_ ]) }

edit('CHANGELOG.md', qr/\A.*/s, "## [$version] - 2026-12-24\n\n## [0.0.1] - 2026-12-23\n\n## [0.0.2]\n\n");
edit('debian/changelog', qr/\A.*/, "tenancy ($version) unstable; urgency=medium");
run_log([ 'rm', '-rf', 'sql/released', glob('sql/update_from_*.sql'), glob('sql/tenancy--*.sql') ]);
mkdir 'sql/released';
append_to_file('sql/released/tenancy--0.0.1--0.0.3.sql', "SELECT;\n");
append_to_file('sql/update_from_0.0.3.sql', "-- \@part 90_new_objects\n");
append_to_file('.gitignore', "/build/\n/bin/\n*.o\n*.so\n/sql/tenancy--*.sql\n");
run_log([ qw(make --silent keep-release) ]) or die "make keep-release failed\n";
git('init', '--quiet');
git('add', '--all');
git('commit', '--quiet', '--message=Release');

# The points that are not ok.
sub not_ok
{
	my ($out, $err) = run_command([ 'scripts/release-check', '--quick' ]);
	my $code = $? >> 8;
	my @points = $out =~ /^not ok - (.*)$/mg;

	is($code, @points ? 1 : 0, 'exit code: ' . @points . ' points');
	like($out, qr/^${\ scalar @points} not ok$/m, 'counted');
	return join '; ', @points;
}
is(not_ok(), '', 'ready for a release');

for my $obstacle (
	[ 'META.json', qr/^  "version": ".*"/m, '  "version": "9.9.9"', "META.json is of $version" ],
	[ 'META.json', qr/^      "version": ".*"/m, '      "version": "9.9.9"', "META.json provides $version" ],
	[ 'META.json', qr/\{/, '', "META.json is of $version; META.json provides $version" ],
	[ 'CHANGELOG.md', qr/ - 2026-12-24/, '', "CHANGELOG.md has a dated section of $version, at its top" ],
	[ 'CHANGELOG.md', qr/\[$version\] - /, '[Unreleased] ', "CHANGELOG.md has a dated section of $version, at its top" ],
	[ 'CHANGELOG.md', qr/\[0.0.2\]/, '[0.0.2] - 2026-12-24', 'from every older release a script leads here' ],
	[ 'debian/changelog', qr/\($version\)/, '(9.9.9)', "debian/changelog is of $version" ],
	[ 'debian/changelog', qr/unstable/, 'UNRELEASED', 'debian/changelog names a distribution' ])
{
	my ($file, $what, $by, $found) = @$obstacle;

	edit($file, $what, $by);
	git('commit', '--quiet', '--all', '--message=Obstacle');
	is(not_ok(), $found, "$file: '$by'");
	git('reset', '--quiet', '--hard', 'HEAD~1');
}

my $kept = "sql/released has the SQL of $version, as make keep-release left it";
my $leads = 'from every older release a script leads here';
for my $obstacle (
	[ 'the way breaks off', "nothing is uncommitted; $leads", 'mv', 'sql/released/tenancy--0.0.1--0.0.3.sql', 'sql/released/tenancy--0.0.1--0.0.4.sql' ],
	[ 'the script that leads here is gone', "nothing is uncommitted; $leads", 'rm', "sql/released/tenancy--0.0.3--$version.sql" ],
	[ 'the SQL was not kept', "nothing is uncommitted; $kept", 'rm', "sql/released/tenancy--$version.sql" ],
	[ 'the SQL has changed since', "nothing is uncommitted; $kept", 'sh', '-c', 'echo "SELECT;" >> sql/99_end.sql' ],
	# that leads here as well, but would be another script tomorrow
	[ 'a script is not kept', "nothing is uncommitted; $kept", 'sh', '-c',
		"rm sql/released/tenancy--0.0.3--$version.sql; echo '-- \@part 90_new_objects' > sql/update_from_0.0.3.sql" ])
{
	my ($words, $found, @command) = @$obstacle;

	run_log([@command]) or die "@command failed\n";
	is(not_ok(), $found, $words);
	git('reset', '--quiet', '--hard');
	git('clean', '--quiet', '--force');
}

git('tag', "v$version");
is(not_ok(), '', 'tagged');
git('commit', '--quiet', '--allow-empty', '--message=Later');
is(not_ok(), "no other commit is tagged v$version", 'released before');

chdir $tree;
done_testing();
