-- Ends a search. One that failed may be begun again at once.
UPDATE praefect.walks AS w
   SET ends_at  = now(),
       begun_at = CASE WHEN @done::boolean THEN w.begun_at ELSE '-infinity' END
 WHERE w.virtual_storage = @virtual_storage
   AND w.storage = @storage
