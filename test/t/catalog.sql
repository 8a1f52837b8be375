-- All that the catalogs say about the extension, one fact a line, without what
-- depends on when and where it was installed: oids, files, statistics, the numbers
-- of columns that were dropped.  Two databases in which it is the same have the
-- same extension.
SET LOCAL search_path = pg_catalog;
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;

WITH RECURSIVE
-- the extension, its members, and whatever goes with one of them
objects (classid, objid) AS (
	(SELECT 'pg_extension'::regclass::oid, e.oid FROM pg_extension e WHERE e.extname = 'tenancy'
	 UNION ALL
	 SELECT 'pg_namespace'::regclass, n.oid FROM pg_namespace n WHERE n.nspname = 'tenancy')
	UNION
	SELECT d.classid, d.objid FROM pg_depend d
	JOIN objects o ON o.classid = d.refclassid AND o.objid = d.refobjid AND d.deptype IN ('e', 'a', 'i')),
named AS MATERIALIZED (
	SELECT o.classid, o.objid, o.classid::regclass AS catalog,
		   -- the server's own names hold oids
		   regexp_replace(pg_describe_object(o.classid, o.objid, 0), '\d{5,}', 'N', 'g') AS name
	FROM objects o),
-- effective rights, in an order of their own
rights (classid, objid, part, acl) AS (
	SELECT 'pg_class'::regclass, c.oid, '', coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) FROM pg_class c
	UNION ALL SELECT 'pg_class'::regclass, a.attrelid, format(' (%I)', a.attname), a.attacl FROM pg_attribute a WHERE NOT a.attisdropped
	UNION ALL SELECT 'pg_proc'::regclass, p.oid, '', coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p
	UNION ALL SELECT 'pg_type'::regclass, t.oid, '', coalesce(t.typacl, acldefault('T', t.typowner)) FROM pg_type t
	UNION ALL SELECT 'pg_namespace'::regclass, n.oid, '', coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n),
owners (classid, objid, owner) AS (
	SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
	UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
	UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type
	UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace
	UNION ALL SELECT 'pg_event_trigger'::regclass, oid, evtowner FROM pg_event_trigger
	UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner FROM pg_statistic_ext
	UNION ALL SELECT 'pg_extension'::regclass, oid, extowner FROM pg_extension),
facts (classid, objid, fact) AS (
	SELECT 'pg_extension'::regclass, e.oid, format('version %s, schema %s, relocatable %s', e.extversion, e.extnamespace::regnamespace, e.extrelocatable)
	FROM pg_extension e
	UNION ALL
	SELECT 'pg_extension'::regclass, e.oid, format('a dump carries %s where %s', c.relation::regclass, c.condition)
	FROM pg_extension e, unnest(e.extconfig, e.extcondition) c (relation, condition)
	UNION ALL
	SELECT 'pg_namespace'::regclass, n.oid, 'exists' FROM pg_namespace n
	UNION ALL
	SELECT 'pg_class'::regclass, c.oid,
		   (to_jsonb(c) - ARRAY['oid', 'relname', 'relnamespace', 'reltype', 'reloftype', 'relowner', 'relam', 'relfilenode', 'reltablespace', 'relpages',
								'reltuples', 'relallvisible', 'relallfrozen', 'reltoastrelid', 'relnatts', 'relchecks', 'relhasindex', 'relhasrules', 'relhastriggers',
								'relhassubclass', 'relrewrite', 'relfrozenxid', 'relminmxid', 'relacl', 'relpartbound']
			|| jsonb_build_object('access method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam), 'tablespace', c.reltablespace))::text
	FROM pg_class c
	UNION ALL
	-- their order, not their numbers
	SELECT 'pg_class'::regclass, a.attrelid,
		   format('column %s %s: %s %s %s', row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
				  coalesce(pg_get_expr(d.adbin, d.adrelid), 'no default'),
				  to_jsonb(a) - ARRAY['attrelid', 'attname', 'atttypid', 'attnum', 'attcacheoff', 'attcollation', 'attoptions', 'attmissingval', 'atthasmissing', 'attacl', 'attstattarget']
				  || jsonb_build_object('collation', (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation), 'statistics', nullif(a.attstattarget, -1),
										-- late minor releases count the versions of a column here
										'options', ARRAY(SELECT x FROM unnest(a.attoptions) x WHERE x !~ '^pg_attver=')))
	FROM pg_attribute a
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	-- what the script has put into a table; the audit log tells when
	SELECT 'pg_class'::regclass, c.oid, format('rows: %s', query_to_xml(format('SELECT * FROM %s t ORDER BY to_jsonb(t)::text', c.oid::regclass), true, false, ''))
	FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'tenancy'::regnamespace AND c.relname !~ '^audit_'
	UNION ALL
	SELECT 'pg_class'::regclass, i.indexrelid, format('%s %s', pg_get_indexdef(i.indexrelid),
		   to_jsonb(i) - ARRAY['indexrelid', 'indrelid', 'indkey', 'indcollation', 'indclass', 'indexprs', 'indpred', 'indcheckxmin'])
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relnamespace = 'tenancy'::regnamespace
	UNION ALL
	SELECT 'pg_class'::regclass, s.seqrelid, (to_jsonb(s) - ARRAY['seqrelid', 'seqtypid'])::text || format_type(s.seqtypid, NULL) FROM pg_sequence s
	UNION ALL
	SELECT 'pg_attrdef'::regclass, d.oid, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
	UNION ALL
	SELECT 'pg_type'::regclass, t.oid,
		   format('%s of %s collation %s %s', t.typtype, format_type(t.typbasetype, t.typtypmod), (SELECT l.collname FROM pg_collation l WHERE l.oid = t.typcollation),
				  to_jsonb(t) - ARRAY['oid', 'typname', 'typnamespace', 'typowner', 'typrelid', 'typsubscript', 'typelem', 'typarray', 'typbasetype', 'typtypmod',
									  'typcollation', 'typdefaultbin', 'typacl'])
	FROM pg_type t
	UNION ALL
	SELECT 'pg_type'::regclass, l.enumtypid, format('label %s %s', row_number() OVER (PARTITION BY l.enumtypid ORDER BY l.enumsortorder), l.enumlabel)
	FROM pg_enum l
	UNION ALL
	SELECT 'pg_proc'::regclass, p.oid, CASE WHEN p.prokind = 'a' THEN 'an aggregate, which is not compared' ELSE pg_get_functiondef(p.oid) END
	FROM pg_proc p
	UNION ALL
	SELECT 'pg_constraint'::regclass, k.oid, format('%s %s', pg_get_constraintdef(k.oid), to_jsonb(k) - ARRAY['oid', 'connamespace', 'conrelid', 'contypid', 'conindid',
		   'conparentid', 'confrelid', 'conkey', 'confkey', 'conpfeqop', 'conppeqop', 'conffeqop', 'conexclop', 'conbin', 'confdelsetcols'])
	FROM pg_constraint k
	UNION ALL
	SELECT 'pg_trigger'::regclass, g.oid, format('%s %s', g.tgenabled, CASE WHEN g.tgisinternal THEN g.tgfoid::regproc::text ELSE pg_get_triggerdef(g.oid) END)
	FROM pg_trigger g
	UNION ALL
	SELECT 'pg_policy'::regclass, p.oid, format('permissive %s, for %s, to %s, using %s, check %s', p.polpermissive, p.polcmd, p.polroles::regrole[],
		   pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
	FROM pg_policy p
	UNION ALL
	SELECT 'pg_rewrite'::regclass, r.oid, format('%s %s', r.ev_enabled, pg_get_ruledef(r.oid)) FROM pg_rewrite r
	UNION ALL
	SELECT 'pg_event_trigger'::regclass, g.oid, format('%s %s', g.evtfoid::regproc, to_jsonb(g) - ARRAY['oid', 'evtowner', 'evtfoid']) FROM pg_event_trigger g
	UNION ALL
	SELECT 'pg_statistic_ext'::regclass, s.oid, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s)
SELECT replace(line, E'\n', '\n') FROM (
	SELECT format('%s: %s', n.name, f.fact) AS line
	FROM named n JOIN facts f ON f.classid = n.classid AND f.objid = n.objid
	UNION ALL
	-- a catalog that nobody has thought of
	SELECT format('%s: is not compared', n.name)
	FROM named n
	WHERE NOT EXISTS (SELECT FROM facts f WHERE f.classid = n.classid AND f.objid = n.objid)
	UNION ALL
	SELECT format('%s: belongs to %I', n.name, pg_get_userbyid(w.owner))
	FROM named n JOIN owners w ON w.classid = n.classid AND w.objid = n.objid
	UNION ALL
	SELECT format('%s%s: %s from %s%s', n.name, r.part, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
				  quote_ident(pg_get_userbyid(a.grantor)), ' ' || string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ' ' ORDER BY a.privilege_type))
	FROM named n JOIN rights r ON r.classid = n.classid AND r.objid = n.objid
	CROSS JOIN LATERAL aclexplode(r.acl) a
	GROUP BY n.name, r.part, a.grantee, a.grantor
	UNION ALL
	-- what a dump leaves out
	SELECT format('%s (%s): initial rights %s', n.name, (SELECT t.attname FROM pg_attribute t WHERE n.classid = 'pg_class'::regclass AND t.attrelid = n.objid AND t.attnum = i.objsubid AND i.objsubid > 0),
				  ARRAY(SELECT a::text FROM unnest(i.initprivs) a ORDER BY a::text))
	FROM named n JOIN pg_init_privs i ON i.classoid = n.classid AND i.objoid = n.objid
	UNION ALL
	SELECT format('%s: comment %s', regexp_replace(pg_describe_object(m.classoid, m.objoid, m.objsubid), '\d{5,}', 'N', 'g'), m.description)
	FROM named n JOIN pg_description m ON m.classoid = n.classid AND m.objoid = n.objid
	UNION ALL
	SELECT format('%s: label %s %s', pg_describe_object(l.classoid, l.objoid, l.objsubid), l.provider, l.label)
	FROM named n JOIN pg_seclabel l ON l.classoid = n.classid AND l.objoid = n.objid
	UNION ALL
	SELECT format('%s: depends (%s) on %s', regexp_replace(pg_describe_object(d.classid, d.objid, d.objsubid), '\d{5,}', 'N', 'g'), d.deptype,
				  regexp_replace(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), '\d{5,}', 'N', 'g'))
	FROM named n JOIN pg_depend d ON d.classid = n.classid AND d.objid = n.objid
	UNION ALL
	SELECT format('default privileges of %s in %s for %s: %s', pg_get_userbyid(a.defaclrole), a.defaclnamespace::regnamespace, a.defaclobjtype,
				  ARRAY(SELECT x::text FROM unnest(a.defaclacl) x ORDER BY x::text))
	FROM pg_default_acl a) l
GROUP BY line
ORDER BY line COLLATE "C";
