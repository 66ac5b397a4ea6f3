-- Forgets a replica that was removed from its disk; one that was assigned again meanwhile is free
-- to be repaired.
WITH gone AS (
    DELETE FROM praefect.replicas AS p
     WHERE p.repository_id = @id
       AND p.storage = @storage
       AND p.claim_id = @claim
       AND NOT p.assigned
)
UPDATE praefect.replicas AS p
   SET claim_id = 0, claim_ends_at = NULL, repair_due_at = coalesce(p.repair_due_at, now())
 WHERE p.repository_id = @id
   AND p.storage = @storage
   AND p.claim_id = @claim
   AND p.assigned
