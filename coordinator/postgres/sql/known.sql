-- What clients call replicas, and whose replica to believe: the primary's, or where no configured
-- storage is that, the first current one.
SELECT r.replica_path, r.relative_path,
       CASE WHEN r.primary_storage = ANY (@configured::text[]) THEN r.primary_storage
            ELSE coalesce((
                SELECT min(p.storage)
                  FROM praefect.replicas AS p
                 WHERE p.repository_id = r.id
                   AND p.generation = r.generation
                   AND p.storage = ANY (@configured::text[])
            ), '')
       END
  FROM praefect.repositories AS r
 WHERE r.virtual_storage = @virtual_storage
   AND r.replica_path = ANY (@paths::text[])
   AND r.state = 'ready'
