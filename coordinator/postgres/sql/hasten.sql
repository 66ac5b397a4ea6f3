-- Moves the repair of replicas that nothing was done about yet. The repository is locked, as
-- records change several of its replicas too, and not in this order.
UPDATE praefect.replicas AS p
   SET repair_due_at = now() + late.delay * interval '1 millisecond'
  FROM unnest(@storages::text[], @delays::bigint[]) AS late (storage, delay)
 WHERE p.repository_id = @id
   AND p.storage = late.storage
   AND p.repair_due_at IS NOT NULL
   AND p.claim_id = 0
RETURNING p.repository_id
