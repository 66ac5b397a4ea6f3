-- Leaves an intent to recovery and notes which participants do nothing any more.
UPDATE praefect.write_intents AS i
   SET marked = true,
       ended  = ARRAY(SELECT unnest(i.ended) UNION SELECT unnest(@ended::text[]))
 WHERE i.repository_id = @id
   AND i.write_id = @write
RETURNING i.repository_id, pg_notify('praefect', 'left ' || i.repository_id)::text
