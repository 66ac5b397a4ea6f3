-- How many replicas of each storage need repair, by how far that is.
SELECT p.virtual_storage, p.storage,
       CASE WHEN p.claim_ends_at > now() THEN 'in_progress'
            WHEN p.failures > 0          THEN 'failed'
            ELSE                              'ready'
        END AS state,
       count(*)
  FROM praefect.replicas AS p
 WHERE p.repair_due_at IS NOT NULL
 GROUP BY p.virtual_storage, p.storage, state
