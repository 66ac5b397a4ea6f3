-- Writes a record again that this database has lost in a failover. The repository is locked.
WITH holder AS (
    SELECT p.storage
      FROM praefect.replicas AS p
     WHERE p.repository_id = @id
       AND p.storage = ANY (@holders::text[])
       AND p.claim_id = 0
), base AS (
    SELECT r.id
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.generation < @generation
       AND EXISTS (SELECT FROM holder)
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM base
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET generation      = @generation,
           epoch           = greatest(r.epoch, @epoch) + 1,
           last_write      = @write,
           primary_storage = (SELECT h.storage
                                FROM holder AS h
                               ORDER BY h.storage <> @primary::text, h.storage
                               LIMIT 1),
           invalidated     = number.last
      FROM base, number
     WHERE r.id = base.id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation,
              r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
), held AS (
    UPDATE praefect.replicas AS p
       SET generation    = r.generation,
           joining       = false,
           filling       = false,
           failures      = 0,
           last_error    = '',
           repair_due_at = NULL
      FROM repository AS r, holder AS h
     WHERE p.repository_id = r.id
       AND p.storage = h.storage
), missed AS (
    UPDATE praefect.replicas AS p
       SET repair_due_at = coalesce(p.repair_due_at, now()),
           repair_rank   = CASE WHEN p.repair_due_at IS NOT NULL THEN p.repair_rank
                                WHEN r.replica_path LIKE '@cluster/pools/%'
                                THEN least(cardinality(@holders::text[]), 999)
                                ELSE least(cardinality(@holders::text[]), 999) + 1000 END
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.assigned
       AND p.storage NOT IN (SELECT h.storage FROM holder AS h)
)
SELECT id
  FROM repository
