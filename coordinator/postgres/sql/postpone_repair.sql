-- Gives a claim back for a while. Its number stays, since the repair may have begun.
UPDATE praefect.replicas AS p
   SET claim_ends_at = NULL,
       joining       = false,
       repair_due_at = now() + @delay * interval '1 millisecond',
       failures      = p.failures + CASE WHEN @failure::text = '' THEN 0 ELSE 1 END,
       last_error    = CASE WHEN @failure::text = '' THEN p.last_error ELSE @failure::text END
 WHERE p.repository_id = @id
   AND p.storage = @storage
   AND p.claim_id = @claim
   AND p.claim_ends_at > now()
RETURNING p.repository_id
