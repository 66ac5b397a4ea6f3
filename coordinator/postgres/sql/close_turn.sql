-- Removes an intent under which nothing was committed.
DELETE FROM praefect.write_intents AS i
 WHERE i.repository_id = @id
   AND i.write_id = @write
   AND NOT i.marked
   AND i.adopter = 0
RETURNING i.wanted,
          CASE WHEN i.wanted THEN pg_notify('praefect', 'free ' || i.repository_id) END::text
