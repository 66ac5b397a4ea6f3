-- Notes that nothing is known to be in an outdated replica any more.
WITH repository AS (
    SELECT r.id, r.generation
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       FOR NO KEY UPDATE
)
UPDATE praefect.replicas AS p
   SET generation = -1
  FROM repository AS r
 WHERE p.repository_id = r.id
   AND p.storage = @storage
   AND p.generation < r.generation
   AND p.claim_id = @claim
   AND p.claim_ends_at > now()
RETURNING p.repository_id
