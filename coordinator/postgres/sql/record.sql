-- Records the outcome of a write, if its intent is there and untouched, the repository stands where
-- the write began, and the primary that the record leaves behind is raised by it. The repository is
-- locked, so generations do not move meanwhile; the intent may be marked, hence its removal decides.
WITH base AS (
    SELECT r.id, r.state, r.creator,
           @primary::text <> '' OR EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND p.generation = @base
                  AND p.storage <> ALL (@raise::text[])
           ) AS invalidates
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state <> 'deleting'
       AND r.epoch = @epoch
       AND r.generation = @base
       AND EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND p.storage = CASE WHEN @primary::text = '' THEN r.primary_storage
                                       ELSE @primary::text END
                  AND p.storage = ANY (@raise::text[])
                  AND p.generation = @base
           )
), intent AS (
    DELETE FROM praefect.write_intents AS i
     USING base
     WHERE i.repository_id = base.id
       AND i.write_id = @write
       AND NOT i.marked
       AND i.adopter = 0
    RETURNING i.incarnation, i.wanted,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), fit AS (
    SELECT base.id, base.invalidates
      FROM base
     WHERE base.state = 'creating'
        OR EXISTS (SELECT FROM intent)
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM fit
     WHERE fit.invalidates
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET generation      = r.generation + 1,
           last_write      = @write,
           epoch           = r.epoch + CASE WHEN @primary::text = '' THEN 0 ELSE 1 END,
           primary_storage = CASE WHEN @primary::text = '' THEN r.primary_storage
                                  ELSE @primary::text END,
           invalidated     = coalesce((SELECT number.last FROM number), r.invalidated),
           verify_due_at   = CASE WHEN @verify::boolean THEN least(r.verify_due_at, now())
                                  ELSE r.verify_due_at END,
           verify_asked    = r.verify_asked + @verify::boolean::integer
      FROM fit
     WHERE r.id = fit.id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation, r.epoch
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT number.last, r.id, r.virtual_storage, r.relative_path
      FROM number, repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), replica AS (
    UPDATE praefect.replicas AS p
       SET generation    = CASE WHEN p.storage = ANY (@raise::text[]) AND p.generation = @base
                                THEN r.generation ELSE p.generation END,
           joining       = CASE WHEN p.storage = ANY (@raise::text[]) AND p.generation = @base
                                THEN false ELSE p.joining END,
           failures      = CASE WHEN p.storage = ANY (@raise::text[]) AND p.generation = @base
                                THEN 0 ELSE p.failures END,
           last_error    = CASE WHEN p.storage = ANY (@raise::text[]) AND p.generation = @base
                                THEN '' ELSE p.last_error END,
           repair_due_at = CASE WHEN p.storage = ANY (@raise::text[]) AND p.generation = @base
                                  OR NOT p.assigned
                                THEN NULL
                                ELSE coalesce(p.repair_due_at, now() + coalesce((
                                    SELECT late.delay * interval '1 millisecond'
                                      FROM unnest(@late::text[], @delays::bigint[])
                                           AS late (storage, delay)
                                     WHERE late.storage = p.storage
                                ), interval '0')) END,
           repair_rank   = CASE WHEN p.repair_due_at IS NOT NULL THEN p.repair_rank
                                WHEN r.replica_path LIKE '@cluster/pools/%'
                                THEN least(cardinality(@raise::text[]), 999)
                                ELSE least(cardinality(@raise::text[]), 999) + 1000 END
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND (p.assigned OR p.generation = @base)
    RETURNING p.generation, p.repair_due_at
)
-- What was recorded, or what is there instead: an earlier call may have recorded this very write.
SELECT coalesce(repository.generation, present.generation),
       coalesce(repository.epoch, present.epoch),
       repository.id IS NOT NULL AS recorded,
       present.state <> 'deleting' AND present.last_write = @write
           AND present.generation = @base + 1 AS repeated,
       EXISTS (SELECT FROM replica WHERE replica.generation = @base) AS shrunk,
       EXISTS (SELECT FROM replica WHERE replica.repair_due_at >= now()) AS due,
       coalesce((SELECT intent.wanted FROM intent), false) AS wanted,
       coalesce((SELECT intent.incarnation FROM intent), present.creator, 0) AS own,
       '{}'::text[] AS ended
  FROM praefect.repositories AS present
  LEFT JOIN repository ON true
 WHERE present.id = @id
