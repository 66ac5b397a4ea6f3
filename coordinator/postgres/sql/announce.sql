-- Makes it known that a call is under way which may change something without a vote.
WITH live AS (
    SELECT x.incarnation
      FROM praefect.proxies AS x
     WHERE x.incarnation = @incarnation
       AND x.lease_ends_at > now()
), announced AS (
    INSERT INTO praefect.announcements (write_id, repository_id, incarnation, participants)
    SELECT @write, r.id, live.incarnation, @participants::text[]
      FROM live
      JOIN praefect.repositories AS r
        ON r.id = @id
       AND r.state = 'ready'
        ON CONFLICT (write_id) DO UPDATE
       SET incarnation = excluded.incarnation
    RETURNING write_id
)
SELECT EXISTS (SELECT FROM live) AS live, EXISTS (SELECT FROM announced) AS announced
