-- Takes a replica back in that confirmed a write after its record, unless anything has happened
-- to the repository or to the replica since. The repository is locked.
-- Ended by invalidate_changed.sql.
WITH repository AS (
    SELECT r.id, r.virtual_storage, r.relative_path
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.epoch = @epoch
       AND r.generation = @generation
), replica AS (
    UPDATE praefect.replicas AS p
       SET generation = @generation, repair_due_at = NULL, last_error = '', joining = false
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
       AND p.generation = @generation - 1
       AND p.claim_id = 0
    RETURNING p.repository_id
)
