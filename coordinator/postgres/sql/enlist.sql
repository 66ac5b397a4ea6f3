-- Begins an incarnation. The lock of the counter waits for invalidations that are not visible yet:
-- the transactions that wrote them could not see the new incarnation, so it must not load what was
-- before them.
WITH counter AS (
    SELECT c.last
      FROM praefect.invalidation_counter AS c
       FOR UPDATE
)
INSERT INTO praefect.proxies AS x (incarnation, name, lease_ends_at, applied)
SELECT @incarnation, @name, clock_timestamp() + @ttl * interval '1 millisecond', counter.last
  FROM counter
    ON CONFLICT (incarnation) DO UPDATE
   SET lease_ends_at = excluded.lease_ends_at
 WHERE x.lease_ends_at > clock_timestamp()
RETURNING x.applied
