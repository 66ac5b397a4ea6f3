-- Notes what a proxy that lives has applied, if the numbers are those of this timeline.
UPDATE praefect.proxies AS x
   SET applied = greatest(x.applied, @applied)
 WHERE x.incarnation = @incarnation
   AND x.lease_ends_at > now()
   AND @timeline IN ('', left(pg_walfile_name(pg_current_wal_lsn()), 8))
RETURNING x.incarnation
