-- Gives the turn back and makes a current replica the primary, unless the epoch is another. The
-- repository is locked.
WITH intent AS (
    DELETE FROM praefect.write_intents AS i
     USING praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND i.repository_id = r.id
       AND i.write_id = @write
       AND NOT i.marked
       AND i.adopter = 0
    RETURNING i.repository_id,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), fit AS (
    SELECT r.id
      FROM intent
      JOIN praefect.repositories AS r ON r.id = intent.repository_id
      JOIN praefect.replicas AS p ON p.repository_id = r.id
     WHERE r.epoch = @epoch
       AND p.storage = @candidate
       AND p.generation = r.generation
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM fit
    RETURNING c.last
), elected AS (
    UPDATE praefect.repositories AS r
       SET primary_storage = @candidate, epoch = r.epoch + 1, invalidated = number.last
      FROM fit, number
     WHERE r.id = fit.id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM elected AS r
    RETURNING pg_notify('praefect', 'invalidated')
)
SELECT EXISTS (SELECT FROM intent)
