-- Prolongs a lease that has not ended, and notes what the proxy reports.
UPDATE praefect.proxies AS x
   SET lease_ends_at = clock_timestamp() + @ttl * interval '1 millisecond',
       applied       = greatest(x.applied, @applied),
       healthy       = @healthy::text::jsonb,
       renewed_at    = now()
 WHERE x.incarnation = @incarnation
   AND x.lease_ends_at > clock_timestamp()
RETURNING x.incarnation
