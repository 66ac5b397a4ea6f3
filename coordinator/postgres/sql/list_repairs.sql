-- Replicas at some places that are due for repair, the most urgent first.
SELECT r.id, r.virtual_storage, r.relative_path, p.storage, p.generation, r.generation,
       coalesce(p.claim_ends_at > now(), false), coalesce(p.settles_at > now(), false), p.joining,
       p.failures, p.last_error,
       (extract(epoch FROM p.repair_due_at - now()) * 1000)::bigint
  FROM praefect.replicas AS p
  JOIN praefect.repositories AS r ON r.id = p.repository_id
 WHERE p.repair_due_at IS NOT NULL
   AND r.state = 'ready'
   AND (p.virtual_storage, p.storage) IN (
           SELECT c.virtual_storage, c.storage
             FROM unnest(@virtual_storages::text[], @storages::text[])
                  AS c (virtual_storage, storage)
       )
 ORDER BY p.repair_rank, p.repair_due_at
 LIMIT @limit
