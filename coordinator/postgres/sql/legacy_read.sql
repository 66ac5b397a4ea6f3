-- A batch of the existing release's repositories, one row a replica or assignment. A replica that
-- is about to be deleted may be gone from its disk already.
SELECT r.repository_id, r.virtual_storage, r.relative_path,
       coalesce(r.replica_path, r.relative_path), coalesce(r.generation, -1),
       coalesce(r."primary", ''),
       coalesce(s.storage, ''), coalesce(s.generation, -1), s.verified_at, s.assigned, s.doomed
  FROM (
           SELECT * FROM public.repositories
            WHERE repository_id > @after
            ORDER BY repository_id
            LIMIT @limit
       ) AS r
  LEFT JOIN LATERAL (
           SELECT coalesce(p.storage, a.storage) AS storage, p.generation, p.verified_at,
                  a.storage IS NOT NULL AS assigned,
                  EXISTS (
                      SELECT FROM public.replication_queue AS q
                       WHERE q.state NOT IN ('completed', 'cancelled', 'dead')
                         AND q.job ->> 'change' = 'delete_replica'
                         AND q.job ->> 'virtual_storage' = r.virtual_storage
                         AND q.job ->> 'relative_path' = r.relative_path
                         AND q.job ->> 'target_node_storage' = p.storage
                  ) AS doomed
             FROM (
                      SELECT * FROM public.storage_repositories AS p
                       WHERE p.repository_id = r.repository_id
                  ) AS p
             FULL JOIN (
                      SELECT * FROM public.repository_assignments AS a
                       WHERE a.repository_id = r.repository_id
                  ) AS a ON a.storage = p.storage
       ) AS s ON true
 ORDER BY r.repository_id, s.storage COLLATE "C"
