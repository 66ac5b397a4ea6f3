-- The timeline on which the server writes; another one means that another server took over.
SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)
