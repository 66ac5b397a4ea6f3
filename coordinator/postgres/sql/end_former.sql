-- Ends the earlier incarnations of a process, and those that others of its name have left,
-- whatever the clock of the next server says, and tells that they have left their turns.
WITH ended AS (
    UPDATE praefect.proxies AS x
       SET lease_ends_at = '-infinity'
     WHERE (@replaces AND x.name = @name OR x.incarnation = ANY (@former::bigint[]))
       AND x.incarnation <> @incarnation
       AND x.lease_ends_at > now()
    RETURNING x.incarnation
)
SELECT pg_notify('praefect', 'left ' || i.repository_id)::text
  FROM ended
  JOIN praefect.write_intents AS i
    ON ended.incarnation = CASE i.adopter WHEN 0 THEN i.incarnation ELSE i.adopter END
