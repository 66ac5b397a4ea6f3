-- Adds entries to the journal, in the order of the document.
INSERT INTO praefect.journal
       (at, event, notable, repository_id, virtual_storage, relative_path, proxy, details)
SELECT e.at, e.event, e.notable, e.repository_id, e.virtual_storage, e.relative_path, @proxy,
       e.details
  FROM ROWS FROM (jsonb_to_recordset(@entries::jsonb) AS (
           at timestamptz, event text, notable boolean, repository_id bigint,
           virtual_storage text, relative_path text, details jsonb
       )) WITH ORDINALITY AS e (at, event, notable, repository_id, virtual_storage,
                                relative_path, details, place)
 ORDER BY e.place
