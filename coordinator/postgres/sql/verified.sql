-- Forgets a comparison unless another one was asked for. Replicas that were still settling when it
-- began are compared again.
WITH settling AS (
    SELECT max(p.settles_at) AS until
      FROM praefect.replicas AS p
      JOIN praefect.repositories AS r ON r.id = p.repository_id
     WHERE p.repository_id = @id
       AND p.settles_at > r.verify_begun_at
)
UPDATE praefect.repositories AS r
   SET verify_due_at   = settling.until,
       verify_doubtful = settling.until IS NOT NULL
  FROM settling
 WHERE r.id = @id
   AND r.verify_asked = @asked
RETURNING r.id
