-- Notes what a proxy that lives has applied.
UPDATE praefect.proxies AS x
   SET applied = greatest(x.applied, @applied)
 WHERE x.incarnation = @incarnation
   AND x.lease_ends_at > now()
RETURNING x.incarnation
