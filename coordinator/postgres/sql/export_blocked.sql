-- What keeps the metadata from being at rest: proxies that live, turns that nobody has decided
-- yet, replicas whose nodes may still act, repositories whose creation is not undone, and those that
-- are on disks still.
SELECT (SELECT count(*) FROM praefect.proxies WHERE lease_ends_at > now()),
       (SELECT count(*) FROM praefect.write_intents),
       (SELECT count(*) FROM praefect.replicas WHERE settles_at > now()),
       (SELECT count(*) FROM praefect.repositories WHERE state = 'creating'),
       (SELECT count(*) FROM praefect.repositories WHERE state = 'deleting')
