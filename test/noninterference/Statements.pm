# Random statements of somebody who attacks.  What there is to ask is found in
# the catalogs, with the rights of the role that will ask.
#
# Parts of a statement that can be left out stand between \x01 and \x02, so that
# a failure can be made small.
package Statements;
use strict;
use warnings;
use World;

# What the attacker knows: credentials as [name, token], ids of what is visible and
# of what may be hidden, by kind.  plan_shows: may the answer depend on the plan?
sub new
{
	my ($class, $dbh, %known) = @_;
	return bless { %known, relations => relations($dbh), functions => functions($dbh), enums => enums($dbh) }, $class;
}

# Every relation that the role may read or write at least one column of; of the
# system's those that show contents of tables.
sub relations
{
	my ($dbh) = @_;
	my %relations;
	my $columns = $dbh->selectall_arrayref(<<'SQL');
SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL),
	has_column_privilege(c.oid, a.attnum, 'SELECT'), t.typcategory
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
	JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
	AND has_schema_privilege(n.oid, 'USAGE')
	AND (n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		OR (n.nspname, c.relname) IN (('pg_catalog', 'pg_stats'), ('pg_catalog', 'pg_policies')))
ORDER BY c.relname COLLATE "C", a.attnum
SQL
	foreach my $column (@$columns)
	{
		my ($relation, $name, $type, $readable, $category) = @$column;
		push @{ $relations{$relation} }, { name => $name, type => $type, readable => $readable, category => $category };
	}
	return [ map { { name => $_, columns => $relations{$_} } } sort keys %relations ];
}

# Every function of the extension and of the application that the role may call,
# and that SQL can call.
sub functions
{
	my ($dbh) = @_;
	my $found = $dbh->selectall_arrayref(<<'SQL');
SELECT format('%I.%I', n.nspname, p.proname), p.prokind, p.proretset, p.pronargdefaults,
	ARRAY(SELECT format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
		  FROM unnest(p.proargtypes) WITH ORDINALITY a (type, i) JOIN pg_type t ON t.oid = a.type ORDER BY i),
	coalesce(p.proargnames, '{}')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND p.prokind IN ('f', 'p')
	AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
	AND (e.extname IS NULL OR e.extname = 'tenancy')
	AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
	AND 'internal'::regtype <> ALL (p.proargtypes)
ORDER BY p.proname COLLATE "C", p.oid::regprocedure::text COLLATE "C"
SQL
	return [ map { {
		name => $_->[0], kind => $_->[1], set => $_->[2], defaults => $_->[3], types => $_->[4], names => $_->[5] } } @$found ];
}

sub enums
{
	my ($dbh) = @_;
	my %enums;
	push @{ $enums{ $_->[0] } }, $_->[1] foreach @{ $dbh->selectall_arrayref(<<'SQL') };
SELECT format_type(enumtypid, NULL), enumlabel FROM pg_enum ORDER BY enumtypid::regtype::text, enumsortorder
SQL
	return \%enums;
}

sub any { return $_[ rand @_ ]; }
sub often { return rand() < $_[0]; }
sub optional { return "\x01$_[0]\x02"; }
sub literal { return "'" . ($_[0] =~ s/'/''/gr) . "'"; }

# A value of a type, for a column or argument of that name.
sub value
{
	my ($self, $type, $name) = @_;

	return 'NULL' if often(0.06);
	my ($element) = $type =~ /^(.*)\[\]$/;
	return 'ARRAY[' . join(', ', map { $self->value($element, $name =~ s/s$//r) } 1 .. 1 + rand 3) . "]::$type" if defined $element;
	return literal($self->uuid($name)) . (often(0.3) ? '::uuid' : '') if $type eq 'uuid';
	return literal(any(@{ $self->{enums}{$type} })) if $self->{enums}{$type};
	return any(qw(true false)) if $type eq 'boolean';
	return any(qw(0 1 2 3 5 7 -1 1000000)) if $type =~ /^(small|big)?int|^numeric|^real|^double/;
	return literal(any('1 day', '0', '-1 day', '2 hours', '3000 years')) if $type eq 'interval';
	return literal(any('2030-01-01', '2020-05-05', 'infinity', '2035-01-01')) if $type =~ /^timestamp|^date/;
	return literal(any('{}', '[]', '{"organization": "' . $self->uuid($name) . '"}')) if $type =~ /^jsonb?$/;
	return literal(any(map { $_->{name} } @{ $self->{relations} })) if $type =~ /^(regclass|oid)$/;
	return literal(any(qw(PUBLIC regress_mia postgres nobody), World::bound())) if $type eq 'regrole';
	return literal($self->text($name));
}

# Mostly an id of the kind that the name asks for: visible, hidden in one database
# or in both, or never given out.
sub uuid
{
	my ($self, $name) = @_;
	my $kind = $name =~ /(organization|project|member|invite|session)/ ? $1 : $name =~ /user|owner|_by/ ? 'member'
	  : $name =~ /^(note_)?id$/ ? 'row' : 'any';
	my $whose = $self->{ $self->{only_visible} || often(0.5) ? 'visible' : 'hidden' };

	return any(World::id('missing'), '00000000-0000-0000-0000-000000000000') if !$self->{only_visible} && often(0.08);
	return any(@{ $whose->{$kind} // $whose->{ any(sort keys %$whose) } }) if often(0.85);
	return any(@{ $whose->{ any(sort keys %$whose) } });
}

sub text
{
	my ($self, $name) = @_;

	return any(map { $_->[1] } @{ $self->{tokens} }) if $name =~ /credential|token/ && often(0.7);
	return any(map { "$_\@world.example" } qw(mia max alice bob eve guest someone new1 new2 new3)) if $name =~ /mail/ && often(0.8);
	return any('Acme', 'Secret', 'Rival', 'New name', ' trimmed ', '', 'heat', 'rain', '1', '7', 'red', "it's", "\x{e9}",
		'tnp_garbage', 'enterprise', 'project_id', 'a@b.example', $self->uuid('project'));
}

# Calls of one function; arguments with defaults may be left out.
sub call
{
	my ($self, $function) = @_;
	my @types = @{ $function->{types} };
	# what is hidden is mostly told by the first thing that is; the rest has to
	# be right for a command to do something
	local $self->{only_visible} = often(0.4);
	my $given = @types - (often(0.5) ? int rand $function->{defaults} + 1 : 0);
	return "$function->{name}(" . join(', ', map {
		my $name = $function->{names}[$_] // '';
		my $value = $self->value($types[$_], $name);
		$value =~ /::|^(true|false|-?\d+)$/ ? $value : "${value}::$types[$_]" } 0 .. $given - 1) . ')';
}

sub call_statement
{
	my ($self) = @_;
	my $function = any(@{ $self->{functions} });
	# what is slow, or for ourselves, less often
	$function = any(@{ $self->{functions} }) foreach grep { $function->{name} =~ /\._|lint/ } 1 .. 3;
	my $call = $self->call($function);

	return "CALL $call" if $function->{kind} eq 'p';
	return "SELECT $call" if often(0.5) || $function->{set} && often(0.3);
	return 'SELECT * FROM ' . $call . ' r';
}

# A condition on the columns of a relation that goes by an alias.
sub condition
{
	my ($self, $alias, $columns) = @_;
	my $column = any(@$columns);
	my ($name, $type) = ("$alias.$column->{name}", $column->{type});
	my $uuid = any(grep { $_->{type} eq 'uuid' } @$columns);
	my @kinds = (
		"$name IS NOT NULL",
		"$name IS DISTINCT FROM " . $self->value($type, $column->{name}) . ($type =~ /\[\]/ ? '' : "::$type"),
		"${name}::text " . any('<', '>', '<>', 'LIKE', '~~*') . ' ' . literal(any('5', 'a%', '%e%', 'Sec%', '0')),
		"EXISTS (SELECT FROM " . $self->source('x') . ')');
	push @kinds, "$name " . any('=', '<>', '<', '>=') . ' ' . $self->value($type, $column->{name}) . "::$type" if $type !~ /\[\]|json|xml/;
	push @kinds, "$alias.$uuid->{name} IN (" . join(', ', map { $self->value('uuid', $uuid->{name}) } 1 .. 1 + rand 4) . ')',
	  "tenancy." . any(qw(can_view can_edit can_reach is_member can_write)) . "($alias.$uuid->{name})"
	  if $uuid;
	if ($self->{plan_shows})
	{
		# tells, or fails, by each row that it is asked about
		push @kinds, "pg_temp.tell($name)", "NOT pg_temp.tell($name)", "1 / (length(${name}::text) - " . int(rand 8) . ') < 5',
		  "${name}::text::integer < 100", "${name}::text::uuid IS NOT NULL";
	}
	my $condition = any(@kinds);
	return often(0.25) ? "($condition " . any('AND', 'OR') . ' ' . $self->condition($alias, $columns) . ')' : $condition;
}

sub source
{
	my ($self, $alias) = @_;
	my $relation = any(@{ $self->{relations} });
	return "$relation->{name} $alias" . (often(0.6) ? ' WHERE ' . $self->shallow($alias, $relation) : '');
}

sub shallow
{
	my ($self, $alias, $relation) = @_;
	my $column = any(@{ $relation->{columns} });
	return "$alias.$column->{name}::text > " . literal(any('', '5', 'S'));
}

sub readable
{
	my ($relation) = @_;
	my @columns = grep { $_->{readable} } @{ $relation->{columns} };
	return often(0.95) && @columns ? \@columns : $relation->{columns};
}

# A query.
sub query
{
	my ($self) = @_;
	my $relation = any(@{ $self->{relations} });
	my $columns = readable($relation);
	my $from = "$relation->{name} a";
	my @named = map { "a.$_->{name}" } @$columns;

	if (often(0.35))
	{
		my $other = any(@{ $self->{relations} });
		my $its = readable($other);
		my ($mine, $theirs) = map { any(map { $_->{name} } (grep { $_->{type} eq 'uuid' } @$_), any(@$_)) } $columns, $its;
		$from .= ' ' . any('JOIN', 'LEFT JOIN', 'FULL JOIN') . " $other->{name} b ON a.${mine}::text = b.${theirs}::text";
		push @named, map { "b.$_->{name}" } @$its;
	}
	my $where = often(0.45) ? optional(' WHERE ' . $self->condition('a', $columns)) : '';

	return "SELECT count(*)" . optional(', count(DISTINCT ' . any(@named) . '::text)')
		  . optional(', max(' . any(@named) . '::text)') . " FROM $from$where" if often(0.25);
	if (often(0.2))
	{
		my $by = any(@named);
		return "SELECT ${by}::text, count(*)" . optional(', min(' . any(@named) . '::text)')
			  . " FROM $from$where GROUP BY 1" . optional(' HAVING count(*) ' . any('>', '<') . ' 2');
	}
	my @some = grep { often(0.7) } @named;
	@some = any(@named) unless @some;
	# as text, since not all types have an order
	return 'SELECT ' . (often(0.2) ? 'DISTINCT ' : '') . join(', ', map { "${_}::text" } @some) . " FROM $from$where";
}

# All columns, so that what comes first does not depend on the plan.
sub ordered
{
	my ($query) = @_;
	return $query if $query =~ /^SELECT count/;
	return "$query ORDER BY 1" if $query =~ /GROUP BY/;
	my ($list) = $query =~ /^SELECT (?:DISTINCT )?(.*?) FROM /;
	return "$query ORDER BY $list" . optional(' LIMIT ' . int rand 6) . optional(' OFFSET ' . int rand 3);
}

sub select_statement
{
	my ($self) = @_;
	my $query = $self->query;

	$query = ordered($query) if often(0.5);
	$query = "WITH q AS MATERIALIZED ($query) SELECT count(*) FROM q" if often(0.05);
	$query = "EXPLAIN (COSTS OFF) $query" if $self->{plan_shows} && often(0.05);
	$query = "COPY ($query) TO STDOUT" if often(0.03);
	return $query;
}

sub lock_statement
{
	my ($self) = @_;
	my $relation = any(@{ $self->{relations} });
	my $column = any(@{ readable($relation) });
	return "SELECT a.$column->{name}::text FROM $relation->{name} a" . optional(' WHERE ' . $self->condition('a', [$column]))
	  . ' FOR ' . any('UPDATE', 'SHARE', 'KEY SHARE', 'NO KEY UPDATE') . any('', ' NOWAIT', ' SKIP LOCKED');
}

sub returning
{
	my ($columns) = @_;
	return optional(' RETURNING ' . join(', ', map { "$_->{name}::text" } grep { often(0.6) } @$columns, $columns->[0]) || '1')
	  if often(0.6) && @$columns;
	return '';
}

sub insert_statement
{
	my ($self) = @_;
	my $relation = $self->writable;
	my @columns = grep { often(0.8) } @{ $relation->{columns} };
	@columns = @{ $relation->{columns} } unless @columns;
	my $names = join ', ', map { $_->{name} } @columns;
	my $row = sub { '(' . join(', ', map { $self->value($_->{type}, $_->{name}) } @columns) . ')' };
	my $conflict = often(0.3) ? optional(' ON CONFLICT DO NOTHING') : '';
	my $column = any(@columns);

	$conflict = " ON CONFLICT ($relation->{columns}[0]{name}, $relation->{columns}[1]{name}) DO UPDATE SET $column->{name} = excluded.$column->{name}"
	  if often(0.15) && @{ $relation->{columns} } > 1;
	return "INSERT INTO $relation->{name} ($names) VALUES " . join(', ', map { $row->() } 1 .. 1 + (often(0.2) ? 1 : 0)) . $conflict . returning($relation->{columns});
}

# The application's tables more often than the extension's, which nobody writes.
sub writable
{
	my ($self) = @_;
	my @relations = @{ $self->{relations} };
	my @own = grep { $_->{name} =~ /^public\./ } @relations;
	return any(often(0.75) ? @own : @relations);
}

sub update_statement
{
	my ($self) = @_;
	my $relation = $self->writable;
	my @set = any(@{ $relation->{columns} });
	push @set, any(grep { $_ != $set[0] } @{ $relation->{columns} }) if often(0.2) && @{ $relation->{columns} } > 1;
	return "UPDATE $relation->{name} a SET " . join(', ', map { "$_->{name} = " . $self->value($_->{type}, $_->{name}) } @set)
	  . optional(' WHERE ' . $self->condition('a', readable($relation))) . returning($relation->{columns});
}

sub delete_statement
{
	my ($self) = @_;
	my $relation = $self->writable;
	return "DELETE FROM $relation->{name} a" . optional(' WHERE ' . $self->condition('a', readable($relation))) . returning($relation->{columns});
}

sub merge_statement
{
	my ($self) = @_;
	my $relation = $self->writable;
	my ($key, $column) = ($relation->{columns}[0], any(@{ $relation->{columns} }));
	# reads the key, so that hidden rows are left out and not refused
	return "MERGE INTO $relation->{name} a USING (VALUES (" . $self->value($key->{type}, $key->{name}) . "::$key->{type})) v (k) ON a.$key->{name} = v.k"
	  . any(" WHEN MATCHED THEN DELETE", " WHEN MATCHED THEN UPDATE SET $column->{name} = " . $self->value($column->{type}, $column->{name}), '')
	  . ' WHEN NOT MATCHED THEN ' . any('DO NOTHING', "INSERT ($key->{name}) VALUES (v.k)");
}

sub setting_statement
{
	my ($self) = @_;
	my $local = any('', 'LOCAL ');
	return any(
		"SET ${local}tenancy.project_id = " . literal($self->uuid('project')),
		"SET ${local}tenancy.project_id = " . literal($self->uuid('project')),
		"SET ${local}tenancy.user_id = " . literal($self->uuid('member')),
		'RESET tenancy.project_id',
		'SHOW tenancy.project_id',
		"SET ${local}tenancy.missing_identity = " . any(qw(empty error)),
		'SELECT tenancy.current_user_id(), tenancy.current_project_id()',
		"SET ${local}plan_cache_mode = " . any(qw(auto force_generic_plan force_custom_plan)),
		"SET ${local}enable_" . any(qw(seqscan indexscan bitmapscan hashjoin nestloop mergejoin sort)) . ' = ' . any(qw(on off)),
		'RESET ALL',
		'SET ROLE ' . any(qw(none postgres regress_mia bea)),
		"SET ${local}row_security = " . any(qw(on off on)));
}

sub sign_in
{
	my ($self, $who) = @_;
	my @held = map { $_->[1] } grep { $_->[0] eq $who } @{ $self->{tokens} };
	return 'SELECT tenancy.authenticate(' . literal(any(@held)) . ', true)';
}

# One statement, whatever the transaction is like.
sub statement
{
	my ($self) = @_;
	my $dice = rand;
	return
	    $dice < 0.36 ? $self->call_statement
	  : $dice < 0.66 ? $self->select_statement
	  : $dice < 0.68 ? $self->lock_statement
	  : $dice < 0.77 ? $self->insert_statement
	  : $dice < 0.84 ? $self->update_statement
	  : $dice < 0.89 ? $self->delete_statement
	  : $dice < 0.91 ? $self->merge_statement
	  : $dice < 0.95 ? $self->setting_statement
	  : $self->prepared_statement;
}

sub prepared_statement
{
	my ($self) = @_;
	my $name = 'p' . int rand 3;
	return any(
		"EXECUTE $name",
		"EXECUTE $name",
		"DEALLOCATE $name",
		"PREPARE $name AS " . ordered($self->query));
}

# A transaction: statements, savepoints, cursors.  Mostly undone, so that there
# stays something to ask about.
sub transaction
{
	my ($self) = @_;
	my @statements = 'BEGIN' . any('', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE', ' READ ONLY');

	foreach (1 .. 1 + rand 6)
	{
		# what fails in a savepoint does not end the rest
		if (often(0.75))
		{
			push @statements, 'SAVEPOINT s', $self->statement, often(0.1) ? 'RELEASE s' : 'ROLLBACK TO s';
		}
		elsif (often(0.4))
		{
			# without a word about it, whether it goes back depends on the plan
			push @statements, 'SAVEPOINT c', "DECLARE c " . any('SCROLL ', 'NO SCROLL ', $self->{plan_shows} ? '' : ()) . 'CURSOR FOR ' . ordered($self->query),
			  (map { any('FETCH 2 FROM c', 'FETCH ALL FROM c', 'MOVE FORWARD 1 FROM c', 'FETCH ABSOLUTE 1 FROM c', $self->setting_statement) } 1 .. 1 + rand 3),
			  'ROLLBACK TO c';
		}
		else
		{
			push @statements, $self->statement;
		}
	}
	return (@statements, often(0.85) ? 'ROLLBACK' : 'COMMIT');
}

# So many statements of one session, or a few more.
sub session
{
	my ($self, $name, $size) = @_;
	my @statements = (
		"SET application_name = '$name'",
		"SET lock_timeout = '10s'",
		'CREATE FUNCTION pg_temp.tell(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS '
		  . q('BEGIN RAISE NOTICE ''told %'', $1; RETURN true; END'),
		$self->sign_in('session'));
	# else an index finds what is visible, and no policy looks at a row
	push @statements, map { "SET enable_$_ = off" } qw(indexscan indexonlyscan bitmapscan) if often(0.5);

	while (@statements < $size)
	{
		my $dice = rand;
		if ($dice < 0.6) { push @statements, $self->transaction; }
		elsif ($dice < 0.97) { push @statements, $self->statement; }
		else { push @statements, $self->sign_in('project token'), $self->statement, $self->statement; }
		# an identity, or a project that was set, may have ended or hidden all
		push @statements, 'RESET tenancy.project_id', $self->sign_in('session') if often(0.4);
	}
	return @statements;
}

1;
