-- Notes that a replica which is not assigned counts for nothing any more, and gives the turn back.
-- Nobody reads from it or repairs it from then on, and when the claim has ended, so that no proxy
-- has a route to it, it may be removed from its disk. The repository is locked. Nothing is changed
-- unless all assigned replicas on configured storages are current, the primary's among them.
WITH base AS (
    SELECT r.id
      FROM praefect.repositories AS r
      JOIN praefect.replicas AS p ON p.repository_id = r.id AND p.storage = @storage
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.primary_storage <> @storage
       AND NOT p.assigned
       AND p.generation >= 0
       AND coalesce(p.settles_at <= now(), true)
       AND CASE WHEN p.claim_id > 0
                THEN p.claim_ends_at + @keep * interval '1 millisecond' <= now()
                ELSE coalesce(p.claim_ends_at <= now(), true) END
       AND EXISTS (
               SELECT FROM praefect.replicas AS a
                WHERE a.repository_id = r.id
                  AND a.assigned
                  AND a.storage = r.primary_storage
                  AND a.storage = ANY (@configured::text[])
                  AND a.generation = r.generation
           )
       AND NOT EXISTS (
               SELECT FROM praefect.replicas AS a
                WHERE a.repository_id = r.id
                  AND a.assigned
                  AND a.storage = ANY (@configured::text[])
                  AND a.generation < r.generation
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
       SET invalidated = number.last
      FROM intent, number
     WHERE r.id = intent.repository_id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), retired AS (
    UPDATE praefect.replicas AS p
       SET generation                = -1,
           joining                   = false,
           verified_at               = NULL,
           verification_leased_until = NULL,
           repair_due_at             = NULL,
           claim_id                  = @claim,
           claim_ends_at             = now() + @grace * interval '1 millisecond'
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = @storage
)
SELECT EXISTS (SELECT FROM intent)
