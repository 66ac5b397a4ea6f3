-- Claims repositories to be removed from the disks, creations whose proxy has ended among them. A
-- repository that is kept is claimed again at the end of that time at the latest, and only a claim
-- after it lets the row go. A repair that was claimed is over now, but its node may still be at
-- work.
WITH due AS (
    SELECT r.id,
           nullif(greatest(
               now(), r.keep_until,
               CASE WHEN r.state = 'creating'
                    THEN greatest(now() + @keep * interval '1 millisecond', work.settles_at) END,
               work.repair_ends_at + @keep * interval '1 millisecond'
           ), now()) AS keep_until
      FROM praefect.repositories AS r
     CROSS JOIN LATERAL (
               SELECT max(p.settles_at) AS settles_at,
                      max(greatest(p.claim_ends_at, now())) FILTER (WHERE p.claim_id <> 0)
                          AS repair_ends_at
                 FROM praefect.replicas AS p
                WHERE p.repository_id = r.id
           ) AS work
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
), over AS (
    UPDATE praefect.replicas AS p
       SET claim_id = 0
      FROM due
     WHERE p.repository_id = due.id
       AND p.claim_id <> 0
)
UPDATE praefect.repositories AS r
   SET state       = 'deleting',
       creator     = NULL,
       keep_until  = due.keep_until,
       work_due_at = least(now() + @ttl * interval '1 millisecond', due.keep_until)
  FROM due
 WHERE r.id = due.id
RETURNING r.id
