-- How many replicas of each storage are due to be looked for on its disk.
SELECT p.virtual_storage, p.storage,
       CASE WHEN p.verified_at IS NULL THEN 'unverified' ELSE 'expired' END AS state,
       count(*)
  FROM unnest(@virtual_storages::text[], @storages::text[]) AS h (virtual_storage, storage)
  JOIN praefect.replicas AS p
    ON p.virtual_storage = h.virtual_storage
   AND p.storage = h.storage
 WHERE p.generation >= 0
   AND (p.verified_at IS NULL
        OR p.verified_at <= now() - @interval * interval '1 millisecond')
 GROUP BY p.virtual_storage, p.storage, state
