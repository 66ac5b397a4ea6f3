-- Forgets replicas that are on no disk any more, unless the repository is kept. A repair that is
-- being claimed at this moment is waited for and then excepted. The repository is locked.
DELETE FROM praefect.replicas AS p
 USING praefect.repositories AS r
 WHERE r.id = @id
   AND r.state = 'deleting'
   AND r.keep_until IS NULL
   AND p.repository_id = r.id
   AND p.storage = ANY (@storages::text[])
   AND p.claim_id = 0
   AND coalesce(p.claim_ends_at <= now(), true)
