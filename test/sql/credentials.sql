-- The form of a credential: of what has another form there is no digest, so
-- that nothing is looked up for it.
SELECT tenancy._mint_credential('project') AS project, tenancy._mint_credential('session') AS session,
	   tenancy._mint_credential('invite') AS invite \gset
SELECT :'project' ~ '^tnp_[0-9a-f]{72}$', :'session' ~ '^tns_[0-9a-f]{72}$', :'invite' ~ '^tni_[0-9a-f]{72}$';
SELECT kind, length(tenancy._credential_digest(:'project', kind)) AS of_project, length(tenancy._credential_digest(:'session', kind)) AS of_session,
	   length(tenancy._credential_digest(:'invite', kind)) AS of_invite
FROM unnest('{project,session,invite}'::text[]) kind;
-- The sums of the last five are right.
SELECT what, tenancy._credential_digest(credential, 'project') IS NOT NULL AS has_digest
FROM (VALUES ('as minted', :'project'),
			 ('longer', :'project' || '0'),
			 ('shorter', left(:'project', -1)),
			 ('empty', ''),
			 ('another sum', left(:'project', -1) || translate(right(:'project', 1), '0123456789abcdef', '123456789abcdef0')),
			 ('another digit', left(:'project', 4) || translate(substr(:'project', 5, 1), '0123456789abcdef', '123456789abcdef0') || substr(:'project', 6)),
			 ('made by hand', 'tnp_' || repeat('a', 64) || 'e0ae42d8'),
			 ('... and longer', 'tnp_' || repeat('a', 64) || 'e0ae42d8' || 'e0ae42d8'),
			 ('of no kind', 'tnx_' || repeat('a', 64) || '24291fec'),
			 ('capitals', 'tnp_' || repeat('A', 64) || 'eb365a8d'),
			 ('no hexadecimal digit', 'tnp_' || repeat('a', 63) || 'gc60fa530')) c (what, credential);
SELECT tenancy._mint_credential('nothing');
SELECT tenancy._credential_digest(:'project', 'nothing');
