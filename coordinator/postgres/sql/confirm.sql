-- Takes a replica back in that confirmed a write after its record, unless anything has happened
-- to the repository or to the replica since. The repository is locked.
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
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM replica
    RETURNING c.last
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT number.last, r.id, r.virtual_storage, r.relative_path
      FROM number, repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
)
UPDATE praefect.repositories AS r
   SET invalidated = number.last
  FROM number
 WHERE r.id = @id
RETURNING r.id
