-- Which of the paths on a disk are no replica there. A repository that is being removed has its
-- replicas until the disks are clean.
SELECT f.path
  FROM unnest(@paths::text[]) WITH ORDINALITY AS f (path, place)
 WHERE NOT EXISTS (
           SELECT FROM praefect.repositories AS r
             JOIN praefect.replicas AS p ON p.repository_id = r.id
            WHERE r.virtual_storage = @virtual_storage
              AND r.replica_path = f.path
              AND p.storage = @storage
       )
 ORDER BY f.place
