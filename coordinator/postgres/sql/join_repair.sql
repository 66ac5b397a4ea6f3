-- Lets writes be sent to a replica whose repair is about to end.
UPDATE praefect.replicas AS p
   SET joining = true
  FROM praefect.repositories AS r
 WHERE r.id = p.repository_id
   AND r.state = 'ready'
   AND p.repository_id = @id
   AND p.storage = @storage
   AND p.claim_id = @claim
   AND p.claim_ends_at > now()
RETURNING p.repository_id
