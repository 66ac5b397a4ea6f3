-- Removes a repository and leaves the disks alone, unless a proxy that lives holds the turn. The
-- repository is locked.
WITH base AS (
    SELECT r.id, r.virtual_storage, r.relative_path,
           NOT EXISTS (
               SELECT FROM praefect.write_intents AS i
                 JOIN praefect.proxies AS x ON x.incarnation = i.incarnation
                WHERE i.repository_id = r.id
                  AND x.lease_ends_at > now()
                  AND NOT i.marked
                  AND i.adopter = 0
           ) AS free
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
), number AS (
    UPDATE praefect.invalidation_counter AS c
       SET last = c.last + 1
      FROM base
     WHERE base.free
    RETURNING c.last
), told AS (
    INSERT INTO praefect.invalidations (sequence, repository_id, virtual_storage, relative_path)
    SELECT number.last, base.id, base.virtual_storage, base.relative_path
      FROM number, base
    RETURNING pg_notify('praefect', 'invalidated')
), gone AS (
    DELETE FROM praefect.repositories AS r
     USING base, number
     WHERE r.id = base.id
    RETURNING r.id
)
SELECT base.free FROM base
