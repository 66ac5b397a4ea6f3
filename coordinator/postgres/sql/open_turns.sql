-- The turns that a proxy holds, as far as the database knows.
SELECT i.write_id, i.repository_id
  FROM praefect.write_intents AS i
 WHERE i.incarnation = @incarnation
   AND NOT i.marked
   AND i.adopter = 0
