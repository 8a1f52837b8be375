-- before: TRUNCATE plain.keyless_inbox, guarded.inbox
-- contenders: limit tenancy
COPY {keyless inbox in} FROM '{copied}';
