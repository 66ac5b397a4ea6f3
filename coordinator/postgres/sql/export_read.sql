-- A batch of repositories, one row a replica.
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, r.generation,
       r.primary_storage, r.everywhere, p.storage, p.generation, p.assigned, p.verified_at
  FROM (
           SELECT * FROM praefect.repositories
            WHERE id > @after
              AND state = 'ready'
            ORDER BY id
            LIMIT @limit
       ) AS r
  JOIN praefect.replicas AS p ON p.repository_id = r.id
 ORDER BY r.id, p.storage COLLATE "C"
