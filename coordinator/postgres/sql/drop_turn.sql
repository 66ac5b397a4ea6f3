-- Ends a turn under which nothing was in doubt. The repository is locked.
WITH intent AS (
    DELETE FROM praefect.write_intents AS i
     USING praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND r.epoch = @epoch
       AND r.generation = @base
       AND i.repository_id = r.id
       AND i.write_id = @write
       AND i.adoption = @number
       AND CASE WHEN @number::bigint = 0 THEN i.incarnation = @owner AND NOT i.marked
                ELSE i.adopter = @owner END
    RETURNING i.repository_id, i.wanted, i.ended,
              CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END
)
-- Without the intent an earlier call may have removed it, if nothing has moved since.
SELECT present.generation, present.epoch,
       EXISTS (SELECT FROM intent) AS resolved,
       present.state = 'ready' AND present.epoch = @epoch AND present.generation = @base
           AND NOT EXISTS (
               SELECT FROM praefect.write_intents AS i
                WHERE i.repository_id = present.id
                  AND i.write_id = @write
           ) AS repeated,
       false AS shrunk, false AS due,
       coalesce((SELECT intent.wanted FROM intent), false) AS wanted,
       @owner::bigint AS own,
       -- As after a decision, whoever is current settles all the same.
       coalesce((SELECT array_agg(e.storage)
                   FROM intent, unnest(intent.ended) AS e (storage)
                  WHERE NOT EXISTS (
                            SELECT FROM praefect.replicas AS p
                             WHERE p.repository_id = @id
                               AND p.storage = e.storage
                               AND p.generation = @base
                        )), '{}') AS ended
  FROM praefect.repositories AS present
 WHERE present.id = @id
