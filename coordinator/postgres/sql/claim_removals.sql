-- Claims repositories to be removed from the disks, creations whose proxy has ended among them. A
-- repository that is kept is claimed again at the end of that time at the latest, and only a claim
-- after it lets the row go.
WITH due AS (
    SELECT r.id,
           CASE WHEN r.state = 'creating'
                THEN nullif(greatest(now() + @keep * interval '1 millisecond', (
                    SELECT max(p.settles_at)
                      FROM praefect.replicas AS p
                     WHERE p.repository_id = r.id
                )), now())
                WHEN r.keep_until > now() THEN r.keep_until END AS keep_until
      FROM praefect.repositories AS r
     WHERE r.state <> 'ready'
       AND CASE WHEN r.state = 'deleting' THEN r.work_due_at <= now()
                ELSE NOT EXISTS (
                    SELECT FROM praefect.proxies AS x
                     WHERE x.incarnation = r.creator
                       AND x.lease_ends_at > now()
                ) END
     ORDER BY r.work_due_at NULLS FIRST
     LIMIT @limit
       FOR UPDATE OF r SKIP LOCKED
)
UPDATE praefect.repositories AS r
   SET state       = 'deleting',
       creator     = NULL,
       keep_until  = due.keep_until,
       work_due_at = least(now() + @ttl * interval '1 millisecond', due.keep_until)
  FROM due
 WHERE r.id = due.id
RETURNING r.id
