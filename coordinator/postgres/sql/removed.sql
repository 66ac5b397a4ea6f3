-- Forgets replicas that are on no disk any more, and with the last of them their repository.
WITH repository AS (
    SELECT id
      FROM praefect.repositories
     WHERE id = @id
       AND state = 'deleting'
       FOR UPDATE
), gone AS (
    DELETE FROM praefect.replicas AS p
     USING repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = ANY (@storages::text[])
       AND coalesce(p.claim_ends_at <= now(), true)
    RETURNING p.storage
)
DELETE FROM praefect.repositories AS d
 USING repository AS r
 WHERE d.id = r.id
   AND (SELECT count(*) FROM gone)
       = (SELECT count(*) FROM praefect.replicas AS p WHERE p.repository_id = @id)
RETURNING d.id
