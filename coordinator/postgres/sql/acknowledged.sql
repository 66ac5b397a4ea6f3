-- Says whether all other proxies that live have applied an invalidation.
SELECT NOT EXISTS (
           SELECT FROM praefect.proxies AS x
            WHERE x.incarnation <> @incarnation
              AND x.lease_ends_at > now()
              AND x.applied < @awaited
       )
