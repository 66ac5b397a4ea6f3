-- A page of the visible paths of a virtual storage. Paths are compared by bytes.
SELECT relative_path
  FROM praefect.repositories
 WHERE virtual_storage = @virtual_storage
   AND relative_path COLLATE "C" > @after
   AND state = 'ready'
 ORDER BY relative_path COLLATE "C"
 LIMIT @limit
