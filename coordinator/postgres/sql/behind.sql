-- The last invalidation of a repository, and which proxies have not applied it. It is read after
-- the invalidation was numbered: whoever enlists later waits for the end of this transaction.
SELECT r.invalidated,
       ARRAY(
           SELECT x.incarnation
             FROM praefect.proxies AS x
            WHERE x.lease_ends_at > now()
              AND x.applied < r.invalidated
       )
  FROM praefect.repositories AS r
 WHERE r.id = @id
