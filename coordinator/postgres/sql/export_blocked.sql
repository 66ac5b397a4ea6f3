-- What keeps the metadata from being at rest: proxies that live, turns that nobody has decided
-- yet, replicas whose nodes may still act, repositories whose creation is not undone, and those
-- whose replicas may differ, since a proxy was lost in the middle of something that nobody votes
-- on, or a recovery has left a doubt: the existing release would believe all of them.
SELECT (SELECT count(*) FROM praefect.proxies WHERE lease_ends_at > now()),
       (SELECT count(*) FROM praefect.write_intents),
       (SELECT count(*) FROM praefect.replicas WHERE settles_at > now()),
       (SELECT count(*) FROM praefect.repositories WHERE state <> 'ready'),
       (SELECT count(*)
          FROM (
                   SELECT repository_id FROM praefect.announcements
                    UNION
                   SELECT id FROM praefect.repositories
                    WHERE verify_due_at IS NOT NULL
                      AND verify_doubtful
                      AND state = 'ready'
               ) AS doubt)
