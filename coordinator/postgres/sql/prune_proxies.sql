-- Forgets proxies that ended long ago and own nothing. Without its row a proxy has ended as well.
DELETE FROM praefect.proxies AS x
 WHERE x.lease_ends_at < now() - interval '10 minutes'
   AND NOT EXISTS (
           SELECT FROM praefect.write_intents AS i
            WHERE x.incarnation IN (i.incarnation, i.adopter)
       )
   AND NOT EXISTS (
           SELECT FROM praefect.repositories AS r
            WHERE r.state <> 'ready'
              AND r.creator = x.incarnation
       )
