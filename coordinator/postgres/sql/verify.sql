-- Notes when the replicas of a repository should be compared.
UPDATE praefect.repositories
   SET verify_due_at = least(verify_due_at, now() + @delay * interval '1 millisecond'),
       verify_asked  = verify_asked + 1
 WHERE id = @id
RETURNING id
