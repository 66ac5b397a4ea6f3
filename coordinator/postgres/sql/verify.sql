-- Notes since when the replicas of a repository should be compared.
UPDATE praefect.repositories
   SET verify_due_at = coalesce(verify_due_at, now())
 WHERE id = @id
RETURNING id
