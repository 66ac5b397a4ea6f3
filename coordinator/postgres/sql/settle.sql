-- Notes until when nodes may still act on replicas, and has them compared then.
WITH repository AS (
    UPDATE praefect.repositories AS r
       SET verify_due_at   = least(r.verify_due_at, now() + @for * interval '1 millisecond'),
           verify_doubtful = true,
           verify_asked    = r.verify_asked + 1
     WHERE r.id = @id
    RETURNING r.id
), replica AS (
    UPDATE praefect.replicas AS p
       SET settles_at = greatest(p.settles_at, now() + @for * interval '1 millisecond')
      FROM repository AS r
     WHERE p.repository_id = r.id
       AND p.storage = ANY (@storages::text[])
)
SELECT id FROM repository
