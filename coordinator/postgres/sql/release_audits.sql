-- Gives claims back that are over.
WITH over AS (
    SELECT p.repository_id, p.storage
      FROM praefect.replicas AS p
     WHERE p.verification_leased_until <= now()
     LIMIT @limit
       FOR NO KEY UPDATE SKIP LOCKED
), released AS (
    UPDATE praefect.replicas AS p
       SET verification_leased_until = NULL
      FROM over
     WHERE p.repository_id = over.repository_id
       AND p.storage = over.storage
    RETURNING p.repository_id, p.storage
)
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, c.storage,
       r.primary_storage = c.storage
  FROM released AS c
  JOIN praefect.repositories AS r ON r.id = c.repository_id
 ORDER BY r.relative_path COLLATE "C", c.storage COLLATE "C"
