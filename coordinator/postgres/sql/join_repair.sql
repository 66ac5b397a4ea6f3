-- Lets writes be sent to a replica whose repair is about to end. The repository is locked.
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
