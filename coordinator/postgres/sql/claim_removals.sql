-- Claims repositories to be removed from the disks, creations that expired among them.
UPDATE praefect.repositories
   SET state = 'deleting', work_due_at = now() + @ttl * interval '1 millisecond'
 WHERE id IN (
           SELECT id
             FROM praefect.repositories
            WHERE state <> 'ready'
              AND work_due_at <= now()
            ORDER BY work_due_at
            LIMIT @limit
              FOR UPDATE SKIP LOCKED
       )
RETURNING id
