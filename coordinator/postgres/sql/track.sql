-- Inserts a repository that is on disks already. Where it is not yet, it is filling.
WITH repository AS (
    INSERT INTO praefect.repositories (
        id, virtual_storage, relative_path, replica_path, state, primary_storage, everywhere
    )
    SELECT @id, @virtual_storage, @relative_path, @replica_path, 'ready', @primary, @everywhere
     WHERE NOT EXISTS (
               SELECT FROM praefect.repositories AS r
                WHERE r.virtual_storage = @virtual_storage
                  AND r.replica_path = @replica_path
           )
        ON CONFLICT DO NOTHING
    RETURNING id, virtual_storage, replica_path
)
INSERT INTO praefect.replicas
       (repository_id, virtual_storage, storage, generation, assigned, repair_due_at, repair_rank,
        filling)
SELECT r.id, r.virtual_storage, s.storage,
       CASE WHEN s.storage = ANY (@present::text[]) THEN 0 ELSE -1 END,
       s.storage = ANY (@assigned::text[]),
       CASE WHEN s.storage = ANY (@present::text[]) THEN NULL ELSE now() END,
       least(cardinality(@present::text[]), 999)
           + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0 ELSE 1000 END,
       NOT s.storage = ANY (@present::text[])
  FROM repository AS r,
       (SELECT unnest(@present::text[]) UNION SELECT unnest(@assigned::text[])) AS s (storage)
RETURNING repository_id
