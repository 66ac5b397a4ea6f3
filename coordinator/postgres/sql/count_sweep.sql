-- Counts comparisons of a repository's replicas.
UPDATE praefect.repositories
   SET sweeps = sweeps % 1000000 + 1
 WHERE id = @id
RETURNING sweeps
