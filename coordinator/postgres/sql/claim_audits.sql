-- Claims replicas that are to be looked for on their disks, on each storage the longest due.
WITH due AS (
    SELECT p.repository_id, p.storage
      FROM unnest(@virtual_storages::text[], @storages::text[]) AS place (virtual_storage, storage)
     CROSS JOIN LATERAL (
               SELECT c.repository_id, c.storage, c.verified_at
                 FROM praefect.replicas AS c
                 JOIN praefect.repositories AS r ON r.id = c.repository_id
                WHERE c.virtual_storage = place.virtual_storage
                  AND c.storage = place.storage
                  AND c.generation >= 0
                  AND (c.verified_at IS NULL
                       OR c.verified_at <= now() - @interval * interval '1 millisecond')
                  AND c.verification_leased_until IS NULL
                  AND coalesce(c.claim_ends_at <= now(), true)
                  AND r.state = 'ready'
                ORDER BY c.verified_at NULLS FIRST, c.repository_id
                LIMIT @limit
                  FOR NO KEY UPDATE OF c SKIP LOCKED
           ) AS p
     ORDER BY p.verified_at NULLS FIRST, p.repository_id, p.storage
     LIMIT @limit
), claimed AS (
    UPDATE praefect.replicas AS p
       SET verification_leased_until = now() + @ttl * interval '1 millisecond'
      FROM due
     WHERE p.repository_id = due.repository_id
       AND p.storage = due.storage
    RETURNING p.repository_id, p.storage
)
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, c.storage,
       r.primary_storage = c.storage
  FROM claimed AS c
  JOIN praefect.repositories AS r ON r.id = c.repository_id
 ORDER BY r.relative_path COLLATE "C", c.storage COLLATE "C"
