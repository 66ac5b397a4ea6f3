-- Claims replicas that count for nothing and are not assigned, to be removed from their disks. The
-- claim keeps repairs away, should one be assigned again. A claim of a repair, which is positive,
-- is over a while after its end only, since its node may still be at work.
WITH due AS (
    SELECT p.repository_id, p.storage
      FROM unnest(@virtual_storages::text[], @storages::text[])
           AS place (virtual_storage, storage)
     CROSS JOIN LATERAL (
               SELECT c.repository_id, c.storage
                 FROM praefect.replicas AS c
                 JOIN praefect.repositories AS r ON r.id = c.repository_id
                WHERE c.virtual_storage = place.virtual_storage
                  AND c.storage = place.storage
                  AND NOT c.assigned
                  AND c.generation < 0
                  AND CASE WHEN c.claim_id > 0
                           THEN c.claim_ends_at + @keep * interval '1 millisecond' <= now()
                           ELSE coalesce(c.claim_ends_at <= now(), true) END
                  AND coalesce(c.settles_at <= now(), true)
                  AND r.state = 'ready'
                  AND r.primary_storage <> c.storage
                LIMIT @limit
                  FOR UPDATE OF c SKIP LOCKED
           ) AS p
), claimed AS (
    UPDATE praefect.replicas AS p
       SET claim_id = @claim, claim_ends_at = now() + @ttl * interval '1 millisecond'
      FROM due
     WHERE p.repository_id = due.repository_id
       AND p.storage = due.storage
    RETURNING p.repository_id, p.storage
)
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, c.storage
  FROM claimed AS c
  JOIN praefect.repositories AS r ON r.id = c.repository_id
 ORDER BY r.id, c.storage
