-- Makes a repository invisible and frees its path.
UPDATE praefect.repositories
   SET state = 'deleting', work_due_at = now() + @grace * interval '1 millisecond'
 WHERE id = @id
   AND state <> 'deleting'
RETURNING id
