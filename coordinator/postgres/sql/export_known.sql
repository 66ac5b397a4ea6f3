-- Which of some repositories stay: those that are there, and those that an import has left out, unless
-- another one has their path by now.
SELECT id FROM praefect.repositories WHERE id = ANY (@ids::bigint[]) AND state = 'ready'
 UNION ALL
SELECT o.id
  FROM praefect.left_out AS o
 WHERE o.id = ANY (@ids::bigint[])
   AND NOT EXISTS (
           SELECT FROM praefect.repositories AS r
            WHERE r.virtual_storage = o.virtual_storage
              AND r.relative_path = o.relative_path
       )
