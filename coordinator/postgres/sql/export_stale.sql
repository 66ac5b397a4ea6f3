-- A batch of the existing release's repositories.
SELECT repository_id
  FROM public.repositories
 WHERE repository_id > @after
 ORDER BY repository_id
 LIMIT @limit
