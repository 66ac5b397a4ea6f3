-- Ends a repair: the replica is raised to what was copied and never lowered. The repository is
-- locked.
-- Ended by invalidate_changed.sql.
WITH repository AS (
    SELECT r.id, r.generation, r.virtual_storage, r.relative_path
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.generation >= @copied
), replica AS (
    UPDATE praefect.replicas AS p
       SET generation    = greatest(p.generation, @copied),
           repair_due_at = CASE WHEN greatest(p.generation, @copied) = r.generation THEN NULL
                                ELSE now() END,
           failures      = CASE WHEN greatest(p.generation, @copied) = r.generation THEN 0
                                ELSE p.failures END,
           last_error    = CASE WHEN greatest(p.generation, @copied) = r.generation THEN ''
                                ELSE p.last_error END,
           joining       = false,
           filling       = p.filling AND greatest(p.generation, @copied) < r.generation,
           claim_id      = CASE WHEN greatest(p.generation, @copied) = r.generation THEN 0
                                ELSE p.claim_id END,
           claim_ends_at = NULL
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
       AND p.claim_id = @claim
       AND p.claim_ends_at > now()
    RETURNING p.repository_id
)
