-- A repository by its key, one row a replica.
SELECT r.id, r.virtual_storage, r.relative_path, r.replica_path, r.state, r.generation,
       r.primary_storage, r.epoch, r.invalidated,
       EXISTS (SELECT FROM praefect.write_intents AS i WHERE i.repository_id = r.id),
       p.storage, p.generation, p.assigned, p.joining, coalesce(p.claim_ends_at > now(), false),
       p.verified_at, p.filling
  FROM praefect.repositories AS r
  LEFT JOIN praefect.replicas AS p ON p.repository_id = r.id
 WHERE r.virtual_storage = @virtual_storage
   AND r.relative_path = @relative_path
   AND r.state = 'ready'
 ORDER BY p.storage COLLATE "C"
