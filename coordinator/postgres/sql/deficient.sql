-- Repositories of a window that are not available on all their assigned storages.
SELECT r.id
  FROM praefect.repositories AS r
 WHERE r.virtual_storage = @virtual_storage
   AND r.relative_path COLLATE "C" > @after
   AND (@edge::text = '' OR r.relative_path COLLATE "C" <= @edge)
   AND r.state = 'ready'
   AND (EXISTS (
            SELECT FROM praefect.replicas AS p
             WHERE p.repository_id = r.id
               AND p.assigned
               AND p.storage = ANY (@configured::text[])
               AND (p.generation < r.generation OR p.storage <> ALL (@healthy::text[]))
        ) OR NOT EXISTS (
            SELECT FROM praefect.replicas AS p
             WHERE p.repository_id = r.id
               AND p.generation = r.generation
               AND p.storage = ANY (@healthy::text[])
        ))
