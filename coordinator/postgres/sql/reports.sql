-- What the proxies that live find healthy.
SELECT incarnation, name, healthy::text
  FROM praefect.proxies
 WHERE lease_ends_at > now()
   AND healthy IS NOT NULL
 ORDER BY incarnation
