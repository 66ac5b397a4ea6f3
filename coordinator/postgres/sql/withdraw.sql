-- Ends a call, announced or not, and notes what has to be compared after it. As everywhere the
-- repository is locked before anything that belongs to it.
WITH repository AS (
    UPDATE praefect.repositories AS r
       SET verify_due_at   = least(r.verify_due_at, now()),
           verify_doubtful = r.verify_doubtful OR @doubtful::boolean,
           verify_asked    = r.verify_asked + 1
     WHERE r.id = @id
       AND @compare::boolean
    RETURNING r.id
), replica AS (
    UPDATE praefect.replicas AS p
       SET settles_at = greatest(p.settles_at, now() + @for * interval '1 millisecond')
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = ANY (@storages::text[])
    RETURNING p.repository_id
)
DELETE FROM praefect.announcements AS a
 WHERE a.write_id = @write
   AND (SELECT count(*) FROM repository) + (SELECT count(*) FROM replica) >= 0
