-- Says where a repository is meant to be, and gives the turn back. The repository is locked. What is
-- assigned from now on and is not current is filling until it is.
WITH intent AS (
    DELETE FROM praefect.write_intents AS i
     USING praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.primary_storage = ANY (@assigned::text[])
       AND i.repository_id = r.id
       AND i.write_id = @write
       AND NOT i.marked
       AND i.adopter = 0
    RETURNING i.repository_id,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM intent
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET everywhere = @everywhere, invalidated = number.last
      FROM intent, number
     WHERE r.id = intent.repository_id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation,
              r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), good AS (
    SELECT count(*) AS copies
      FROM repository AS r
      JOIN praefect.replicas AS p ON p.repository_id = r.id AND p.generation = r.generation
), changed AS (
    UPDATE praefect.replicas AS p
       SET assigned      = p.storage = ANY (@assigned::text[]),
           filling       = p.storage = ANY (@assigned::text[])
                       AND CASE WHEN p.assigned THEN p.filling
                                ELSE p.generation < r.generation END,
           repair_due_at = CASE WHEN p.storage = ANY (@assigned::text[])
                                 AND p.generation < r.generation
                                THEN coalesce(p.repair_due_at, now()) END,
           repair_rank   = CASE WHEN p.repair_due_at IS NOT NULL THEN p.repair_rank
                                ELSE least(good.copies, 999)
                                   + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0
                                          ELSE 1000 END END
      FROM repository AS r, good
     WHERE p.repository_id = r.id
       AND p.storage = ANY (@configured::text[])
), added AS (
    INSERT INTO praefect.replicas
           (repository_id, virtual_storage, storage, generation, assigned, repair_due_at,
            repair_rank, filling)
    SELECT r.id, r.virtual_storage, a.storage, -1, true, now(),
           least(good.copies, 999)
               + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0 ELSE 1000 END,
           true
      FROM repository AS r, good, unnest(@assigned::text[]) AS a (storage)
     WHERE NOT EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND p.storage = a.storage
           )
)
SELECT EXISTS (SELECT FROM intent)
