-- Gives a claimed replica back.
UPDATE praefect.replicas
   SET verified_at = CASE WHEN @found::boolean THEN now() ELSE verified_at END,
       verification_leased_until = CASE WHEN @pause::bigint > 0
                                        THEN now() + @pause * interval '1 millisecond' END
 WHERE repository_id = @id
   AND storage = @storage
   AND verification_leased_until IS NOT NULL
RETURNING repository_id
