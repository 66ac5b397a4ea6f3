-- Adopts turns that nobody who lives will end, and raises the epoch of their repositories; those
-- that were adopted before come first. As everywhere the repository is locked before the intent,
-- which may have changed since it was found and is therefore tested again.
WITH live AS (
    SELECT x.incarnation
      FROM praefect.proxies AS x
     WHERE x.lease_ends_at > now()
), adopter AS (
    SELECT live.incarnation
      FROM live
     WHERE live.incarnation = @adopter
), own AS (
    SELECT i.repository_id, i.write_id, i.incarnation, i.kind, i.participants, i.ended,
           i.adoption, i.created_at
      FROM praefect.write_intents AS i
      JOIN adopter ON adopter.incarnation = i.adopter
     ORDER BY i.created_at
     LIMIT @limit
), orphan AS (
    SELECT r.id
      FROM praefect.write_intents AS i
      JOIN praefect.repositories AS r ON r.id = i.repository_id
     WHERE EXISTS (SELECT FROM adopter)
       AND CASE WHEN i.adopter <> 0 THEN i.adopter NOT IN (SELECT live.incarnation FROM live)
                ELSE i.marked OR i.incarnation NOT IN (SELECT live.incarnation FROM live) END
     ORDER BY i.created_at
     LIMIT @limit - (SELECT count(*) FROM own)
       FOR NO KEY UPDATE OF r SKIP LOCKED
), adopted AS (
    UPDATE praefect.write_intents AS i
       SET adopter  = @adopter,
           adoption = i.adoption + 1
      FROM orphan
     WHERE i.repository_id = orphan.id
       AND CASE WHEN i.adopter <> 0 THEN i.adopter NOT IN (SELECT live.incarnation FROM live)
                ELSE i.marked OR i.incarnation NOT IN (SELECT live.incarnation FROM live) END
    RETURNING i.repository_id, i.write_id, i.incarnation, i.kind, i.participants, i.ended,
              i.adoption, i.created_at
), raised AS (
    UPDATE praefect.repositories AS r
       SET epoch = r.epoch + 1
      FROM adopted
     WHERE r.id = adopted.repository_id
), found AS (
    SELECT 1 AS part, * FROM own
     UNION ALL
    SELECT 2 AS part, * FROM adopted
)
-- Without a row the adopter has ended; without an intent in it there is none to adopt.
SELECT coalesce(found.write_id, 0), coalesce(found.repository_id, 0),
       coalesce(found.incarnation, 0), coalesce(found.kind, ''),
       coalesce(found.participants, '{}'), coalesce(found.ended, '{}'),
       coalesce(found.adoption, 0)
  FROM adopter
  LEFT JOIN found ON true
 ORDER BY found.part, found.created_at
