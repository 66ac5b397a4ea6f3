-- Notes that a replica is not on its disk, if another one is current, and gives the turn back. The
-- repository is locked.
WITH base AS (
    SELECT r.id, r.primary_storage = @storage AS leads
      FROM praefect.repositories AS r
      JOIN praefect.replicas AS p ON p.repository_id = r.id AND p.storage = @storage
     WHERE r.id = @id
       AND r.state = 'ready'
       AND coalesce(p.claim_ends_at <= now(), true)
       AND EXISTS (
               SELECT FROM praefect.replicas AS c
                WHERE c.repository_id = r.id
                  AND c.storage <> @storage
                  AND c.generation = r.generation
                  AND (r.primary_storage <> @storage OR c.storage = @primary)
           )
), intent AS (
    DELETE FROM praefect.write_intents AS i
     USING base
     WHERE i.repository_id = base.id
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
       SET invalidated     = number.last,
           primary_storage = CASE WHEN base.leads THEN @primary ELSE r.primary_storage END,
           epoch           = r.epoch + base.leads::integer
      FROM base, number
     WHERE r.id = base.id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation,
              r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), gone AS (
    DELETE FROM praefect.replicas AS p
     USING repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
       AND NOT p.assigned
), lost AS (
    UPDATE praefect.replicas AS p
       SET generation                = -1,
           joining                   = false,
           verified_at               = NULL,
           verification_leased_until = NULL,
           repair_due_at             = now(),
           repair_rank               = (
               SELECT least(count(*), 999) FROM praefect.replicas AS c
                WHERE c.repository_id = r.id
                  AND c.storage <> @storage
                  AND c.generation = r.generation
           ) + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0 ELSE 1000 END
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
       AND p.assigned
)
SELECT EXISTS (SELECT FROM intent)
