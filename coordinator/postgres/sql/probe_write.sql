-- Writes a row that nobody reads; the transaction is rolled back.
INSERT INTO praefect.walks (virtual_storage, storage, begun_at, ends_at)
VALUES ('', @name, now(), now())
RETURNING 1
