-- Makes a created repository visible; replicas that were not reached become due for repair.
WITH repository AS (
    UPDATE praefect.repositories
       SET state = 'ready', creator = NULL
     WHERE id = @id
       AND state <> 'deleting'
    RETURNING id, generation, replica_path
), replica AS (
    UPDATE praefect.replicas AS p
       SET repair_due_at = now(),
           repair_rank = (
               SELECT least(count(*), 999) FROM praefect.replicas AS c
                WHERE c.repository_id = r.id AND c.generation = r.generation
           ) + CASE WHEN r.replica_path LIKE '@cluster/pools/%' THEN 0 ELSE 1000 END
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.assigned
       AND p.generation <> r.generation
       AND p.repair_due_at IS NULL
)
SELECT id FROM repository
