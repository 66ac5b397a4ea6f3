-- Forgets some invalidations that every proxy that lives has applied, a minute after they were
-- written.
DELETE FROM praefect.invalidations
 WHERE sequence IN (
           SELECT i.sequence
             FROM praefect.invalidations AS i
            WHERE i.created_at < now() - interval '1 minute'
              AND i.sequence <= ALL (
                      SELECT x.applied FROM praefect.proxies AS x WHERE x.lease_ends_at > now()
                  )
            ORDER BY i.sequence
            LIMIT @limit
              FOR UPDATE SKIP LOCKED
       )
