-- Where a window of repositories ends: the path of its last one, if others follow.
SELECT relative_path
  FROM praefect.repositories
 WHERE virtual_storage = @virtual_storage
   AND relative_path COLLATE "C" > @after
   AND state = 'ready'
 ORDER BY relative_path COLLATE "C"
OFFSET @limit - 1
 LIMIT 1
