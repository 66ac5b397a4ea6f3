-- Held turns, the longest first, with who holds them and what they wait for.
SELECT r.id, r.virtual_storage, r.relative_path, i.kind, i.participants, coalesce(x.name, ''),
       coalesce(x.lease_ends_at > now(), false), i.marked, coalesce(a.name, ''), i.wanted,
       (extract(epoch FROM now() - i.created_at) * 1000)::bigint
  FROM praefect.write_intents AS i
  JOIN praefect.repositories AS r ON r.id = i.repository_id
  LEFT JOIN praefect.proxies AS x ON x.incarnation = i.incarnation
  LEFT JOIN praefect.proxies AS a ON a.incarnation = i.adopter
 ORDER BY i.created_at
 LIMIT @limit
