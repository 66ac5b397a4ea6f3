-- Forgets replicas that are on no disk any more, and with the last of them their repository; or
-- puts off the next removal to the end of the time for which the repository is kept. The repository
-- is locked.
WITH repository AS (
    SELECT r.id, r.keep_until,
           NOT EXISTS (
               SELECT FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
                  AND NOT (p.storage = ANY (@storages::text[])
                           AND coalesce(p.claim_ends_at <= now(), true))
           ) AS clean
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'deleting'
), gone AS (
    DELETE FROM praefect.replicas AS p
     USING repository AS r
     WHERE p.repository_id = r.id
       AND r.keep_until IS NULL
       AND p.storage = ANY (@storages::text[])
       AND coalesce(p.claim_ends_at <= now(), true)
), kept AS (
    UPDATE praefect.repositories AS k
       SET work_due_at = r.keep_until
      FROM repository AS r
     WHERE k.id = r.id
       AND r.keep_until IS NOT NULL
       AND r.clean
)
DELETE FROM praefect.repositories AS d
 USING repository AS r
 WHERE d.id = r.id
   AND r.keep_until IS NULL
   AND r.clean
RETURNING d.id
