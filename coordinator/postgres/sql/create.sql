-- Takes a path for a new repository and names its replicas, as long as its proxy lives.
WITH repository AS (
    INSERT INTO praefect.repositories (
        id, virtual_storage, relative_path, replica_path, state, primary_storage, creator,
        everywhere
    )
    SELECT @id, @virtual_storage, @relative_path, @replica_path, 'creating', @primary,
           x.incarnation, @everywhere
      FROM praefect.proxies AS x
     WHERE x.incarnation = @incarnation
       AND x.lease_ends_at > now()
    RETURNING id, virtual_storage
)
INSERT INTO praefect.replicas (repository_id, virtual_storage, storage, generation, assigned)
SELECT r.id, r.virtual_storage, s.storage,
       CASE WHEN s.storage = ANY (@participants::text[]) THEN 0 ELSE -1 END,
       s.storage = ANY (@assigned::text[])
  FROM repository AS r,
       (SELECT unnest(@participants::text[]) UNION SELECT unnest(@assigned::text[])) AS s (storage)
RETURNING repository_id
