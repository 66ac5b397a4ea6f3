-- The newest entries of the journal, of one repository or all, the newest first.
SELECT j.at, j.event, j.notable, j.repository_id, j.virtual_storage, j.relative_path, j.proxy,
       j.details
  FROM praefect.journal AS j
 WHERE j.notable >= @notable::boolean
   AND (@virtual_storage::text = '' OR j.virtual_storage = @virtual_storage::text)
   AND (@relative_path::text = '' OR j.relative_path = @relative_path::text)
 ORDER BY j.id DESC
 LIMIT @limit
