-- Makes a current replica the primary unless somebody else was faster.
UPDATE praefect.repositories AS r
   SET primary_storage = @candidate, epoch = r.epoch + 1
 WHERE r.id = @id
   AND r.state = 'ready'
   AND r.epoch = @epoch
   AND EXISTS (
           SELECT FROM praefect.replicas AS p
            WHERE p.repository_id = r.id
              AND p.storage = @candidate
              AND p.generation = r.generation
       )
RETURNING r.id
