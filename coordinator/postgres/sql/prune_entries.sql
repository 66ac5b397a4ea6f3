-- Forgets the oldest entries of both kinds of which more are there than are kept, a part at a time.
DELETE FROM praefect.journal
 WHERE id IN (
           (SELECT j.id
              FROM praefect.journal AS j
             WHERE j.notable
             ORDER BY j.id DESC
            OFFSET @keep
             LIMIT @limit)
            UNION ALL
           (SELECT j.id
              FROM praefect.journal AS j
             WHERE NOT j.notable
             ORDER BY j.id DESC
            OFFSET @keep
             LIMIT @limit)
       )
