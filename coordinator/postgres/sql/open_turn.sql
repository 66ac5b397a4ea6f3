-- Makes an intent durable, or notes on that of another write that somebody waits. The share lock
-- waits for whoever is changing the repository, and always comes before that of the intent. Who
-- looks again while it is noted already locks and writes nothing.
WITH repository AS (
    SELECT r.id
      FROM praefect.repositories AS r
     WHERE r.id = @id
       AND r.state = 'ready'
       AND EXISTS (
               SELECT FROM praefect.proxies AS x
                WHERE x.incarnation = @incarnation
                  AND x.lease_ends_at > now()
           )
       AND NOT EXISTS (
               SELECT FROM praefect.write_intents AS i
                WHERE i.repository_id = @id
                  AND i.write_id <> @write
                  AND i.wanted
           )
       FOR SHARE
), intent AS (
    INSERT INTO praefect.write_intents AS i
           (repository_id, write_id, incarnation, kind, participants)
    SELECT r.id, @write, @incarnation, @kind, @participants::text[]
      FROM repository AS r
        ON CONFLICT (repository_id) DO UPDATE
       SET wanted = i.wanted OR i.write_id <> @write
    RETURNING i.write_id = @write AND i.incarnation = @incarnation
                  AND NOT i.marked AND i.adopter = 0 AS opened,
              CASE WHEN i.write_id <> @write
                   THEN pg_notify('praefect', 'wanted ' || i.repository_id) END
)
SELECT EXISTS (
           SELECT FROM praefect.proxies AS x
            WHERE x.incarnation = @incarnation
              AND x.lease_ends_at > now()
       ) AS live,
       coalesce((SELECT intent.opened FROM intent), false) AS opened
