-- How a statement ends that has queried a repository, which is locked, and changed a replica of it:
-- if it did change it, that is numbered and told.
, number AS (
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
