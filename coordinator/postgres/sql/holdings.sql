-- What a proxy holds, as far as the database knows. Each part has few rows, or an index of its own.
SELECT 'turn', i.repository_id, i.write_id
  FROM praefect.write_intents AS i
 WHERE i.incarnation = @incarnation
   AND NOT i.marked
   AND i.adopter = 0
 UNION ALL
SELECT 'announcement', a.repository_id, a.write_id
  FROM praefect.announcements AS a
 WHERE a.incarnation = @incarnation
 UNION ALL
SELECT 'creation', r.id, 0
  FROM praefect.repositories AS r
 WHERE r.state <> 'ready'
   AND r.state = 'creating'
   AND r.creator = @incarnation
