-- What is under way or due in the whole cluster. Each part has few rows, or an index of its own.
SELECT '', '', 'held', count(*)
  FROM praefect.write_intents WHERE NOT marked AND adopter = 0
 UNION ALL
SELECT '', '', 'left', count(*)
  FROM praefect.write_intents WHERE marked OR adopter <> 0
 UNION ALL
SELECT '', '', 'oldest',
       coalesce((extract(epoch FROM now() - min(created_at)) * 1000)::bigint, 0)
  FROM praefect.write_intents
 UNION ALL
SELECT '', '', 'creation', count(*)
  FROM praefect.repositories WHERE state <> 'ready' AND state = 'creating'
 UNION ALL
SELECT '', '', 'deletion', count(*)
  FROM praefect.repositories WHERE state <> 'ready' AND state = 'deleting'
 UNION ALL
SELECT '', '', 'verification', count(*)
  FROM praefect.repositories WHERE verify_due_at <= now() AND state = 'ready'
 UNION ALL
SELECT '', '', 'proxies', count(*)
  FROM praefect.proxies WHERE lease_ends_at > now()
 UNION ALL
SELECT '', '', 'invalidations', count(*)
  FROM praefect.invalidations
