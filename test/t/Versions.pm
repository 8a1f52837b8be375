# A second installation of the server, into which the tests put the extension in
# other versions than the one that is tested, or without its library.
package Versions;
use strict;
use warnings;
use Cwd qw(getcwd);
use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;
our @EXPORT = qw(second_installation path_of this_version tree_of released_tree_of edit make install_from file_of);

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';

sub where
{
	my ($what) = @_;
	chomp(my $directory = `$pg_config --$what`);
	return $directory;
}

sub run_quietly
{
	my $log = "$PostgreSQL::Test::Utils::log_path/make.log";
	system("(@_) >>'$log' 2>&1") == 0 or die "failed: @_, see make.log\n" . slurp_file($log);
	return;
}

# A server finds its files relative to its own program, so a copy of the programs
# and a forest of links are an installation.
sub second_installation
{
	my $bindir = where('bindir');
	plan(skip_all => 'a copy of this server would not find its own files')
	  if slurp_file("$bindir/postgres") =~ /^#!/;
	plan(skip_all => 'no compiler and headers, with which another version could be built')
	  if system(where('cc') . ' --version >/dev/null 2>&1') != 0 || !-e where('includedir-server') . '/postgres.h';
	my $root = PostgreSQL::Test::Utils::tempdir();
	foreach my $directory ($bindir, where('pkglibdir'), where('sharedir'))
	{
		my $how = $directory eq $bindir ? '-R' : '-Rs';
		run_quietly("mkdir -p '$root$directory' && cp $how '$directory/.' '$root$directory/'");
	}
	run_quietly("find '$root' ! -type d -name 'tenancy[-.]*' -delete");
	return $root;
}

# What PostgreSQL::Test::Cluster->new() takes as install_path.
sub path_of
{
	my ($installation) = @_;
	return $installation . dirname(where('bindir'));
}

sub this_version
{
	my ($tree) = @_;
	my ($version) = slurp_file(($tree // getcwd()) . '/tenancy.control') =~ /^default_version = '(.*)'/m;
	return $version;
}

# A copy of the sources, with what was built, in which edit() plants changes.
sub tree_of
{
	my ($version, $from) = @_;
	$from //= $ENV{BUILT} // getcwd();
	my $tree = PostgreSQL::Test::Utils::tempdir();
	run_quietly("cd '$from' && cp -Rp Makefile tenancy.control src sql '$tree'");
	edit($tree, 'tenancy.control', sub { s/^default_version = .*$/default_version = '$version'/m })
	  if $version ne this_version($tree);
	unlink "$tree/src/version.o", "$tree/tenancy.so", glob("$tree/sql/tenancy--*.sql");
	return $tree;
}

# The same, as it is when its version has just been released, whether it has been or not.
sub released_tree_of
{
	my $tree = tree_of(@_);
	unlink "$tree/sql/released/tenancy--" . this_version($tree) . '.sql';
	make($tree, 'keep-release');
	return $tree;
}

# Changes one file, whose time stays, so that make builds nothing else anew.
sub edit
{
	my ($tree, $file, $change) = @_;
	my $time = (stat "$tree/$file")[9];
	local $_ = slurp_file("$tree/$file");
	my $before = $_;
	$change->();
	die "nothing to change in $file" if $_ eq $before;
	open my $handle, '>', "$tree/$file" or die $!;
	print $handle $_;
	close $handle;
	utime $time, $time, "$tree/$file";
	return;
}

# Runs make in a tree: all of it without the mailer.
sub make
{
	my ($tree, $target) = @_;
	run_quietly("make -C '$tree' $target CURL_CONFIG=none PG_CONFIG='$pg_config'");
	return;
}

# Builds a tree and installs it over what is there.
sub install_from
{
	my ($tree, $installation) = @_;
	make($tree, "install DESTDIR='$installation'");
	return;
}

# Where a file of the extension's is: its library, or tenancy.control, or a script.
sub file_of
{
	my ($installation, $name) = @_;
	return $installation . ($name =~ /[.]so$/ ? where('pkglibdir') : where('sharedir') . '/extension') . "/$name";
}

1;
