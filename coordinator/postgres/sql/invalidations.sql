-- What was invalidated after a number, in order.
SELECT sequence, virtual_storage, relative_path
  FROM praefect.invalidations
 WHERE sequence > @applied
 ORDER BY sequence
 LIMIT @limit
