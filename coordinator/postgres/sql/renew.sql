-- Prolongs a lease that has not ended, and notes what the proxy reports, if the numbers that it
-- has applied are those of this timeline.
UPDATE praefect.proxies AS x
   SET lease_ends_at = clock_timestamp() + @ttl * interval '1 millisecond',
       applied       = greatest(x.applied, @applied),
       healthy       = @healthy::text::jsonb,
       renewed_at    = now()
 WHERE x.incarnation = @incarnation
   AND x.lease_ends_at > clock_timestamp()
   AND @timeline IN ('', left(pg_walfile_name(pg_current_wal_lsn()), 8))
RETURNING x.incarnation
