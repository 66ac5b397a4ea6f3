-- Ends a turn by what was found on the nodes. Generation and epoch are raised, so that nothing that
-- began before counts any more, and the replicas to keep with them. The repository is locked.
WITH base AS (
    SELECT r.id
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.epoch = @epoch
       AND r.generation = @base
       AND EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND p.storage = @primary
                  AND p.storage = ANY (@keep::text[])
                  AND p.generation = @base
           )
), intent AS (
    DELETE FROM praefect.write_intents AS i
     USING base
     WHERE i.repository_id = base.id
       AND i.write_id = @write
       AND i.adoption = @number
       AND CASE WHEN @number::bigint = 0 THEN i.incarnation = @owner AND NOT i.marked
                ELSE i.adopter = @owner END
    RETURNING i.repository_id, i.wanted, i.ended,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM intent
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET generation      = r.generation + 1,
           epoch           = r.epoch + 1,
           primary_storage = @primary,
           last_write      = -@write::bigint,
           invalidated     = number.last
      FROM intent, number
     WHERE r.id = intent.repository_id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation, r.epoch,
              r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), replica AS (
    UPDATE praefect.replicas AS p
       SET generation    = CASE WHEN p.storage = ANY (@keep::text[]) AND p.generation = @base
                                THEN r.generation ELSE p.generation END,
           joining       = CASE WHEN p.storage = ANY (@keep::text[]) AND p.generation = @base
                                THEN false ELSE p.joining END,
           failures      = CASE WHEN p.storage = ANY (@keep::text[]) AND p.generation = @base
                                THEN 0 ELSE p.failures END,
           last_error    = CASE WHEN p.storage = ANY (@keep::text[]) AND p.generation = @base
                                THEN '' ELSE p.last_error END,
           repair_due_at = CASE WHEN p.storage = ANY (@keep::text[]) AND p.generation = @base
                                  OR NOT p.assigned
                                THEN NULL ELSE coalesce(p.repair_due_at, now()) END,
           repair_rank   = CASE WHEN p.repair_due_at IS NOT NULL THEN p.repair_rank
                                WHEN r.replica_path LIKE '@cluster/pools/%'
                                THEN least(cardinality(@keep::text[]), 999)
                                ELSE least(cardinality(@keep::text[]), 999) + 1000 END
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND (p.assigned OR p.generation = @base)
    RETURNING p.generation, p.repair_due_at
)
-- What was decided, or what is there instead: an earlier call may have decided this very turn.
SELECT coalesce(repository.generation, present.generation),
       coalesce(repository.epoch, present.epoch),
       repository.id IS NOT NULL AS resolved,
       present.state = 'ready' AND present.last_write = -@write::bigint
           AND present.generation = @base + 1 AND present.epoch = @epoch + 1 AS repeated,
       EXISTS (SELECT FROM replica WHERE replica.generation = @base) AS shrunk,
       EXISTS (SELECT FROM replica WHERE replica.repair_due_at >= now()) AS due,
       coalesce((SELECT intent.wanted FROM intent), false) AS wanted,
       @owner::bigint AS own,
       -- Whoever is kept settles all the same: it may have ended after it was asked.
       coalesce((SELECT array_agg(e.storage)
                   FROM intent, unnest(intent.ended) AS e (storage)
                  WHERE NOT EXISTS (
                            SELECT FROM praefect.replicas AS p
                             WHERE p.repository_id = @id
                               AND p.storage = e.storage
                               AND p.storage = ANY (@keep::text[])
                               AND p.generation = @base
                        )), '{}') AS ended
  FROM praefect.repositories AS present
  LEFT JOIN repository ON true
 WHERE present.id = @id
