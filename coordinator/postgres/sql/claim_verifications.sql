-- Claims repositories whose replicas are due to be compared.
UPDATE praefect.repositories AS r
   SET verify_due_at   = now() + @ttl * interval '1 millisecond',
       verify_begun_at = now(),
       verify_asked    = r.verify_asked + 1
  FROM (
           SELECT id, verify_due_at
             FROM praefect.repositories
            WHERE state = 'ready'
              AND verify_due_at <= now()
            ORDER BY verify_due_at
            LIMIT @limit
              FOR NO KEY UPDATE SKIP LOCKED
       ) AS due
 WHERE r.id = due.id
RETURNING r.id, r.verify_asked, r.verify_doubtful
