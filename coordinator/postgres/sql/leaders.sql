-- The storages whose replicas are believed, for known.sql says so of at least one repository.
SELECT DISTINCT
       CASE WHEN r.primary_storage = ANY (@configured::text[]) THEN r.primary_storage
            ELSE coalesce((
                SELECT min(p.storage)
                  FROM praefect.replicas AS p
                 WHERE p.repository_id = r.id
                   AND p.generation = r.generation
                   AND p.storage = ANY (@configured::text[])
            ), '')
       END AS leader
  FROM praefect.repositories AS r
 WHERE r.virtual_storage = @virtual_storage
   AND r.state = 'ready'
 ORDER BY leader
