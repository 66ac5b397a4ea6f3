-- Has replicas verified again as soon as possible. Rows that somebody is changing are left to the
-- next call, so that no write waits and nobody waits in a circle.
WITH chosen AS (
    SELECT p.repository_id, p.storage
      FROM praefect.replicas AS p
     WHERE p.verified_at IS NOT NULL
       AND (@repository::bigint = 0 OR p.repository_id = @repository)
       AND (@virtual_storage::text = '' OR p.virtual_storage = @virtual_storage)
       AND (@storage::text = '' OR p.storage = @storage)
     LIMIT @limit
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE praefect.replicas AS p
   SET verified_at = NULL
  FROM chosen
 WHERE p.repository_id = chosen.repository_id
   AND p.storage = chosen.storage
RETURNING p.repository_id
