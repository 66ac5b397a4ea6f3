-- Which of some repositories cannot be inserted because something of them is there already.
SELECT n.id
  FROM unnest(@ids::bigint[], @virtual_storages::text[], @relative_paths::text[],
              @replica_paths::text[]) AS n (id, virtual_storage, relative_path, replica_path)
 WHERE EXISTS (SELECT FROM praefect.repositories AS r WHERE r.id = n.id)
    OR EXISTS (SELECT FROM praefect.repositories AS r
                WHERE r.virtual_storage = n.virtual_storage
                  AND (r.relative_path = n.relative_path AND r.state <> 'deleting'
                       OR r.replica_path = n.replica_path))
