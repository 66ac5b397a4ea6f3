-- Assigns a repository that is meant to be everywhere to one of the configured storages that are
-- missing, if a majority of the assigned would be current with it as well; where it is not current,
-- it is filling until it is, so that the repository stays as writable as it was. The repository is
-- locked. No turn is needed: neither generation, epoch nor primary change.
WITH base AS (
    SELECT r.id, r.virtual_storage, r.generation,
           (SELECT least(count(*), 999)
              FROM praefect.replicas AS c
             WHERE c.repository_id = r.id
               AND c.generation = r.generation)
               + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0 ELSE 1000 END AS rank
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.everywhere
       AND (SELECT count(*) FILTER (WHERE a.generation = r.generation)
                   >= CASE WHEN count(*) < 2 THEN 1 ELSE (count(*) + 1) / 2 + 1 END
              FROM praefect.replicas AS a
             WHERE a.repository_id = r.id
               AND a.assigned)
), missing AS (
    SELECT base.id, base.virtual_storage, c.storage, base.rank
      FROM base
      JOIN unnest(@virtual_storages::text[], @storages::text[]) WITH ORDINALITY
           AS c (virtual_storage, storage, place)
        ON c.virtual_storage = base.virtual_storage
     WHERE NOT EXISTS (
               SELECT FROM praefect.replicas AS a
                WHERE a.repository_id = base.id
                  AND a.storage = c.storage
                  AND a.assigned
           )
     ORDER BY c.place
     LIMIT 1
), added AS (
    INSERT INTO praefect.replicas AS p
           (repository_id, virtual_storage, storage, generation, assigned, repair_due_at,
            repair_rank, filling)
    SELECT missing.id, missing.virtual_storage, missing.storage, -1, true, now(), missing.rank,
           true
      FROM missing
        ON CONFLICT (repository_id, storage) DO UPDATE
       SET assigned      = true,
           filling       = p.generation < (SELECT base.generation FROM base),
           repair_due_at = CASE WHEN p.generation < (SELECT base.generation FROM base)
                                THEN coalesce(p.repair_due_at, now()) END
     WHERE NOT p.assigned
    RETURNING p.storage
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
     WHERE EXISTS (SELECT FROM added)
    RETURNING c.last
), repository AS (
    UPDATE praefect.repositories AS r
       SET invalidated = number.last
      FROM base, number
     WHERE r.id = base.id
    RETURNING r.id, r.virtual_storage, r.relative_path, r.invalidated
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT r.invalidated, r.id, r.virtual_storage, r.relative_path
      FROM repository AS r
    RETURNING pg_notify('praefect', 'invalidated')
)
SELECT repository.id FROM repository
