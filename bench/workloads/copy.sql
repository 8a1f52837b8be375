-- before: TRUNCATE plain.inbox, guarded.inbox
-- contenders: limit tenancy
COPY {inbox in} FROM '{copied}';
