-- Records the outcome of a write, if the repository stands where the write began and the primary
-- that the record leaves behind is raised by it. The update of the repository waits for whoever
-- holds its row and then compares with what that one left; the replicas are updated after it, by
-- their newest values.
WITH wanted AS (
    SELECT CASE WHEN @primary::text = '' THEN r.primary_storage ELSE @primary::text END AS primary_storage
      FROM praefect.repositories AS r
     WHERE r.id = @id
), fit AS (
    SELECT EXISTS (
        SELECT FROM praefect.replicas AS p, wanted
         WHERE p.repository_id = @id
           AND p.storage = wanted.primary_storage
           AND p.storage = ANY (@raise::text[])
           AND p.generation = @base
    ) AS yes
), repository AS (
    UPDATE praefect.repositories AS r
       SET generation      = r.generation + 1,
           last_write      = @write,
           epoch           = r.epoch + CASE WHEN @primary::text = '' THEN 0 ELSE 1 END,
           primary_storage = CASE WHEN @primary::text = '' THEN r.primary_storage
                                  ELSE @primary::text END,
           verify_due_at   = CASE WHEN @verify::boolean THEN coalesce(r.verify_due_at, now())
                                  ELSE r.verify_due_at END
      FROM fit
     WHERE fit.yes
       AND r.id = @id
       AND r.state <> 'deleting'
       AND r.epoch = @epoch
       AND r.generation = @base
 RETURNING r.id, r.generation, r.epoch, r.replica_path
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
       -- Also those that are due already: a repair that ended while this statement waited for the
       -- repository would otherwise leave its replica behind without anybody knowing.
       AND (p.assigned OR p.generation = @base)
 RETURNING p.generation, p.repair_due_at
)
-- What was recorded, or what is there instead: an earlier call may have recorded this very write,
-- or it may be doing so right now, which shows as a repository that has not moved.
SELECT coalesce(repository.generation, present.generation),
       coalesce(repository.epoch, present.epoch),
       repository.id IS NOT NULL AS recorded,
       present.state <> 'deleting' AND present.last_write = @write
           AND present.generation = @base + 1 AS repeated,
       present.state <> 'deleting' AND present.epoch = @epoch
           AND present.generation = @base AND fit.yes AS unmoved,
       EXISTS (SELECT FROM replica WHERE replica.generation = @base) AS shrunk,
       EXISTS (SELECT FROM replica WHERE replica.repair_due_at >= now()) AS due
  FROM praefect.repositories AS present
 CROSS JOIN fit
  LEFT JOIN repository ON true
 WHERE present.id = @id
