# Contenders.pm: who is compared, and what each puts in the place of a
# {placeholder} in a workload's script.  All else in a script is the same for all.

package Contenders;

use strict;
use warnings;

our @rivals = qw(exists in function claims);
our @all = ('limit', 'tenancy', @rivals);

# How a rival learns who asks, as PostgREST does it: once a request.
my $rival = {
	'sign in' => q{SELECT set_config('request.jwt.claims', claims, false) FROM plain.callers WHERE name = '{user}'},
	'act as user n' => q{SELECT set_config('request.jwt.claims', '{"sub":"' || md5('user ' || :n)::uuid || '"}', true);},
	authenticate => q{SELECT project_id AS own_project, set_config('request.jwt.claims', claims, true) AS said FROM plain.tokens
WHERE digest = sha256(:token::bytea) AND revoked_at IS NULL \gset},
	'own project' => ':own_project::uuid',
	'cache size' => 'app.cache_size',
	visible => 'true',
	'visible e.' => 'true',
	'visible d.' => 'true',
	can => 'plain.has_access(project)',
};

our %snippets = (
	# The statements of a careful developer without row security: as many
	# round trips as everybody else, and the list of projects in the query.
	limit => {
		'sign in' => 'SELECT 1',
		'act as user n' => q{SELECT set_config('app.user_id', md5('user ' || :n)::uuid::text, true);},
		authenticate => q{SELECT project_id AS own_project FROM plain.tokens
WHERE digest = sha256(:token::bytea) AND revoked_at IS NULL \gset},
		'own project' => ':own_project::uuid',
		'cache size' => 'app.cache_size',
		visible => '{list}',
		'visible e.' => 'e.{list}',
		'visible d.' => 'd.{list}',
		memberships => 'plain.loaded',
		audit => 'DISABLE',
		'inbox in' => 'plain.inbox',
		'keyless inbox in' => 'plain.keyless_inbox',
	},
	tenancy => {
		'sign in' => q{SELECT tenancy.act_as(md5('{user}')::uuid, true)},
		'act as user n' => q{SELECT tenancy.act_as(md5('user ' || :n)::uuid);},
		authenticate => 'SELECT tenancy.authenticate(:token);',
		'own project' => 'tenancy.current_project_id()',
		'cache size' => 'tenancy.cache_size',
		visible => 'true',
		'visible e.' => 'true',
		'visible d.' => 'true',
		memberships => 'tenancy.memberships',
		audit => 'ENABLE',
		'inbox in' => 'guarded.inbox_in',
		'keyless inbox in' => 'guarded.inbox_in',
		can => q{tenancy.can('project.view', project)},
	},
	(map { $_ => $rival } qw(exists in function)),
	# The token carries the list, which a script cannot compute.
	claims => {
		%$rival,
		'sign in' => q{SELECT set_config('request.jwt.claims', all_claims, false) FROM plain.callers WHERE name = '{user}'},
		'act as user n' => q{SELECT set_config('request.jwt.claims', all_claims, true) FROM plain.callers WHERE name = 'user ' || :n;},
		authenticate => $rival->{authenticate} =~ s/claims, true/all_claims, true/r,
	});

# The role that a contender logs in with.
sub role { return "bench_$_[0]" }

# Fill in a script's placeholders for a contender, then those of the workload.
sub fill
{
	my ($text, $contender, $values) = @_;
	my %known = (%$values, %{ $snippets{$contender} });

	1 while $text =~ s/\{([a-z][a-z ]*\.?)\}/$known{$1} \/\/ die "no {$1} for $contender\n"/e;
	return $text;
}

1;
