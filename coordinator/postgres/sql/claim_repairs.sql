-- Claims replicas that are due for repair, so many for each target, the most urgent first. Rows
-- that another proxy is claiming at this moment are passed over. Those that settle are removed first;
-- pools wait for the end of that, because others borrow from what is there.
WITH due AS (
    SELECT p.repository_id, p.storage, p.repair_due_at, p.settling
      FROM unnest(@virtual_storages::text[], @storages::text[], @limits::integer[])
           AS target (virtual_storage, storage, free)
     CROSS JOIN LATERAL (
               SELECT c.repository_id, c.storage, c.repair_due_at,
                      coalesce(c.settles_at > now(), false) AS settling
                 FROM praefect.replicas AS c
                 JOIN praefect.repositories AS r ON r.id = c.repository_id
                WHERE c.virtual_storage = target.virtual_storage
                  AND c.storage = target.storage
                  AND c.repair_due_at <= now()
                  AND coalesce(c.claim_ends_at <= now(), true)
                  AND (coalesce(c.settles_at <= now(), true)
                       OR r.replica_path NOT LIKE '@cluster/pools/%')
                  AND r.state = 'ready'
                ORDER BY c.repair_rank, c.repair_due_at
                LIMIT target.free
                  FOR UPDATE OF c SKIP LOCKED
           ) AS p
), claimed AS (
    UPDATE praefect.replicas AS p
       SET claim_id = @claim, claim_ends_at = now() + @ttl * interval '1 millisecond',
           joining = false
      FROM due
     WHERE p.repository_id = due.repository_id
       AND p.storage = due.storage
    RETURNING p.repository_id, p.storage, p.failures, p.repair_rank, due.repair_due_at,
              due.settling
)
SELECT r.id, r.virtual_storage, r.relative_path, c.storage, c.failures, c.settling,
       (extract(epoch FROM now() - c.repair_due_at) * 1000)::bigint
  FROM claimed AS c
  JOIN praefect.repositories AS r ON r.id = c.repository_id
 ORDER BY c.repair_rank, c.repair_due_at
