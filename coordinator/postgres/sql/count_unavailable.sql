-- How many repositories of each virtual storage have no replica that is current and healthy. Looked
-- at are only those that may be so: with a replica that is due for repair, or on a storage that is
-- not healthy. Each repository has an assigned replica, and that is then one or the other.
WITH RECURSIVE healthy AS (
    SELECT h.virtual_storage, h.storage
      FROM unnest(@virtual_storages::text[], @storages::text[]) AS h (virtual_storage, storage)
), places AS (
    -- One look into the index for each place, however many replicas there are.
    (SELECT p.virtual_storage, p.storage
       FROM praefect.replicas AS p
      ORDER BY p.virtual_storage, p.storage
      LIMIT 1)
    UNION ALL
    SELECT n.virtual_storage, n.storage
      FROM places
     CROSS JOIN LATERAL (
               SELECT p.virtual_storage, p.storage
                 FROM praefect.replicas AS p
                WHERE (p.virtual_storage, p.storage) > (places.virtual_storage, places.storage)
                ORDER BY p.virtual_storage, p.storage
                LIMIT 1
           ) AS n
), sick AS (
    SELECT virtual_storage, storage FROM places
    EXCEPT
    SELECT virtual_storage, storage FROM healthy
), candidates AS (
    SELECT p.repository_id
      FROM praefect.replicas AS p
     WHERE p.repair_due_at IS NOT NULL
    UNION
    SELECT p.repository_id
      FROM sick
      JOIN praefect.replicas AS p USING (virtual_storage, storage)
)
SELECT r.virtual_storage, '', '', count(*)
  FROM candidates AS c
  JOIN praefect.repositories AS r ON r.id = c.repository_id
 WHERE r.state = 'ready'
   AND NOT EXISTS (
           SELECT
             FROM praefect.replicas AS p
             JOIN healthy AS h USING (virtual_storage, storage)
            WHERE p.repository_id = r.id
              AND p.generation = r.generation
       )
 GROUP BY r.virtual_storage
