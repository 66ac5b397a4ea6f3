-- Ends announcements of proxies that are gone: their repositories are compared at once, in doubt,
-- and the participants settle. Repositories that somebody else is changing are left for later.
WITH live AS (
    SELECT x.incarnation
      FROM praefect.proxies AS x
     WHERE x.lease_ends_at > now()
), repository AS (
    SELECT r.id
      FROM praefect.announcements AS a
      JOIN praefect.repositories AS r ON r.id = a.repository_id
     WHERE a.incarnation NOT IN (SELECT live.incarnation FROM live)
     ORDER BY r.id
     LIMIT @limit
       FOR NO KEY UPDATE OF r SKIP LOCKED
), adopted AS (
    DELETE FROM praefect.announcements AS a
     USING repository AS r
     WHERE a.repository_id = r.id
       AND a.incarnation NOT IN (SELECT live.incarnation FROM live)
    RETURNING a.repository_id, a.participants
), replica AS (
    UPDATE praefect.replicas AS p
       SET settles_at = greatest(p.settles_at, now() + @for * interval '1 millisecond')
      FROM adopted AS a
     WHERE p.repository_id = a.repository_id
       AND p.storage = ANY (a.participants)
)
UPDATE praefect.repositories AS r
   SET verify_due_at   = least(r.verify_due_at, now()),
       verify_doubtful = true,
       verify_asked    = r.verify_asked + 1
 WHERE r.id IN (SELECT a.repository_id FROM adopted AS a)
RETURNING r.id
