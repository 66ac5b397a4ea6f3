-- Lets writes be sent to a replica whose repair is about to end. The repository is locked.
-- Ended by invalidate_changed.sql.
WITH repository AS (
    SELECT r.id, r.virtual_storage, r.relative_path
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
), replica AS (
    UPDATE praefect.replicas AS p
       SET joining = true
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
       AND p.claim_id = @claim
       AND p.claim_ends_at > now()
    RETURNING p.repository_id
)
