-- Looks through a window of repositories for those that are meant to be on all configured storages
-- and are not assigned to some.
WITH windowed AS (
    SELECT r.id, r.virtual_storage, r.everywhere AND r.state = 'ready' AS everywhere
      FROM praefect.repositories AS r
     WHERE r.id > @after
     ORDER BY r.id
     LIMIT @limit
)
SELECT coalesce((SELECT max(w.id) FROM windowed AS w), 0),
       ARRAY(
           SELECT w.id
             FROM windowed AS w
            WHERE w.everywhere
              AND EXISTS (
                      SELECT FROM unnest(@virtual_storages::text[], @storages::text[])
                                  AS c (virtual_storage, storage)
                       WHERE c.virtual_storage = w.virtual_storage
                         AND NOT EXISTS (
                                 SELECT FROM praefect.replicas AS p
                                  WHERE p.repository_id = w.id
                                    AND p.storage = c.storage
                                    AND p.assigned
                             )
                  )
            ORDER BY w.id
       )
