-- Replicas that are not assigned and not needed: all assigned ones on configured storages are
-- current, one of them leads, and nobody may be writing to this one. It is only a hint; retire.sql
-- decides.
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, p.storage
  FROM unnest(@virtual_storages::text[], @storages::text[]) AS place (virtual_storage, storage)
  JOIN praefect.replicas AS p
    ON p.virtual_storage = place.virtual_storage
   AND p.storage = place.storage
   AND NOT p.assigned
   AND p.generation >= 0
  JOIN praefect.repositories AS r ON r.id = p.repository_id
 WHERE r.id > @after
   AND r.state = 'ready'
   AND r.primary_storage <> p.storage
   AND coalesce(p.claim_ends_at <= now(), true)
   AND coalesce(p.settles_at <= now(), true)
   AND NOT EXISTS (
           SELECT FROM praefect.replicas AS a
            WHERE a.repository_id = r.id
              AND a.assigned
              AND a.generation < r.generation
              AND (a.virtual_storage, a.storage) IN (
                      SELECT c.virtual_storage, c.storage
                        FROM unnest(@virtual_storages::text[], @storages::text[])
                             AS c (virtual_storage, storage)
                  )
       )
 ORDER BY r.id, p.storage
 LIMIT @limit
