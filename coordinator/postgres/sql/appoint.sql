-- Makes one replica the only current one and the primary. A turn that was left to recovery is
-- broken. The repository is locked.
WITH base AS (
    SELECT r.id,
           p.storage IS NOT NULL AND (p.generation >= 0 OR @absent::boolean) AS present,
           coalesce(p.claim_ends_at > now(), false) AS repairing
      FROM praefect.repositories AS r
      LEFT JOIN praefect.replicas AS p ON p.repository_id = r.id AND p.storage = @storage
     WHERE r.id = @id
       AND r.state = 'ready'
), intent AS (
    DELETE FROM praefect.write_intents AS i
     USING base
     WHERE i.repository_id = base.id
       AND base.present
       AND NOT base.repairing
       AND (i.write_id = @write OR i.marked OR i.adopter <> 0 OR NOT EXISTS (
               SELECT FROM praefect.proxies AS x
                WHERE x.incarnation = i.incarnation
                  AND x.lease_ends_at > now()
           ))
    RETURNING i.write_id, i.participants, i.ended,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
), free AS (
    SELECT base.id,
           EXISTS (SELECT FROM intent) OR NOT EXISTS (
               SELECT FROM praefect.write_intents AS i WHERE i.repository_id = base.id
           ) AS free
      FROM base
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM free, base
     WHERE free.free
       AND base.present
       AND NOT base.repairing
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET generation      = r.generation + 1,
           epoch           = r.epoch + 1,
           primary_storage = @storage,
           last_write      = 0,
           invalidated     = number.last,
           verify_due_at   = CASE WHEN EXISTS (SELECT FROM intent WHERE write_id <> @write)
                                  THEN least(r.verify_due_at,
                                             now() + @settle * interval '1 millisecond')
                                  ELSE r.verify_due_at END,
           verify_doubtful = r.verify_doubtful
                          OR EXISTS (SELECT FROM intent WHERE write_id <> @write),
           verify_asked    = r.verify_asked + 1
      FROM number
     WHERE r.id = @id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation,
              r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), changed AS (
    UPDATE praefect.replicas AS p
       SET generation    = CASE WHEN p.storage = @storage THEN r.generation
                                ELSE p.generation END,
           joining       = false,
           filling       = p.filling AND p.storage <> @storage,
           failures      = 0,
           last_error    = '',
           claim_id      = CASE WHEN p.storage = @storage THEN 0 ELSE p.claim_id END,
           claim_ends_at = CASE WHEN p.storage = @storage THEN NULL ELSE p.claim_ends_at END,
           settles_at    = CASE WHEN p.storage IN (
                                         SELECT unnest(participants) FROM intent
                                          WHERE write_id <> @write
                                         EXCEPT
                                         SELECT unnest(ended) FROM intent)
                                THEN greatest(p.settles_at,
                                              now() + @settle * interval '1 millisecond')
                                ELSE p.settles_at END,
           repair_due_at = CASE WHEN p.storage = @storage OR NOT p.assigned THEN NULL
                                ELSE coalesce(p.repair_due_at, now()) END,
           repair_rank   = CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 1
                                ELSE 1001 END
      FROM repository AS r
     WHERE p.repository_id = r.id
)
SELECT base.present, base.repairing, free.free
  FROM base, free
