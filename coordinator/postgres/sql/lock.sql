-- Locks a repository. The statements after it in the same transaction see what everybody left who
-- changed the repository before, and nobody changes it until they are done.
SELECT id
  FROM praefect.repositories
 WHERE id = @id
   FOR NO KEY UPDATE
