-- Moves the end of a claim that still holds.
UPDATE praefect.replicas AS p
   SET claim_ends_at = now() + @ttl * interval '1 millisecond'
  FROM praefect.repositories AS r
 WHERE r.id = p.repository_id
   AND r.state = 'ready'
   AND p.repository_id = @id
   AND p.storage = @storage
   AND p.claim_id = @claim
   AND p.claim_ends_at > now()
RETURNING p.repository_id
