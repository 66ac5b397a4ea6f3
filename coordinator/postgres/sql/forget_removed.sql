-- Forgets a repository with the last of its replicas, or puts off the next removal to the end of the
-- time for which it is kept. It looks at the replicas after those that are gone were forgotten. The
-- repository is locked.
WITH repository AS (
    SELECT r.id, r.keep_until
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'deleting'
       AND NOT EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND NOT (r.keep_until IS NOT NULL
                           AND p.storage = ANY (@storages::text[])
                           AND coalesce(p.claim_ends_at <= now(), true))
           )
), kept AS (
    UPDATE praefect.repositories AS k
       SET work_due_at = r.keep_until
      FROM repository AS r
     WHERE k.id = r.id
       AND r.keep_until IS NOT NULL
)
DELETE FROM praefect.repositories AS d
 USING repository AS r
 WHERE d.id = r.id
   AND r.keep_until IS NULL
