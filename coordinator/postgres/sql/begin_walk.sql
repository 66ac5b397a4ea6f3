-- Leaves the search of one storage to the caller that was not searched for the longest time.
WITH due AS (
    SELECT c.virtual_storage, c.storage
      FROM unnest(@virtual_storages::text[], @storages::text[]) WITH ORDINALITY
           AS c (virtual_storage, storage, place)
      LEFT JOIN praefect.walks AS w
        ON w.virtual_storage = c.virtual_storage
       AND w.storage = c.storage
     WHERE w.storage IS NULL
        OR w.begun_at <= now() - @interval * interval '1 millisecond' AND w.ends_at <= now()
     ORDER BY w.begun_at NULLS FIRST, c.place
     LIMIT 1
)
INSERT INTO praefect.walks AS w (virtual_storage, storage, begun_at, ends_at)
SELECT due.virtual_storage, due.storage, now(), now() + @ttl * interval '1 millisecond'
  FROM due
    ON CONFLICT (virtual_storage, storage) DO UPDATE
   SET begun_at = excluded.begun_at, ends_at = excluded.ends_at
 WHERE w.begun_at <= now() - @interval * interval '1 millisecond'
   AND w.ends_at <= now()
RETURNING w.virtual_storage, w.storage
