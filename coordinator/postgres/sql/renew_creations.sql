-- Postpones the expiry of creations that are under way.
UPDATE praefect.repositories
   SET work_due_at = now() + @ttl * interval '1 millisecond'
 WHERE id = ANY (@ids::bigint[])
   AND state = 'creating'
RETURNING id
