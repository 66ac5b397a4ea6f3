-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE praefect.journal (
    id              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL,
    event           text        NOT NULL,
    notable         boolean     NOT NULL,
    repository_id   bigint      NOT NULL,
    virtual_storage text        NOT NULL,
    relative_path   text        NOT NULL,
    proxy           text        NOT NULL,
    details         jsonb       NOT NULL
);

COMMENT ON TABLE praefect.journal IS
    'what became of writes, for operators: the newest entries only, and nothing depends on them';
COMMENT ON COLUMN praefect.journal.at IS 'by the clock of the proxy';
COMMENT ON COLUMN praefect.journal.notable IS
    'a replica fell behind or came back, or the outcome was not simple; such entries are kept longer';
COMMENT ON COLUMN praefect.journal.details IS 'votes, and what became of each replica, and why';

CREATE INDEX journal_repository ON praefect.journal (virtual_storage, relative_path, id);
CREATE INDEX journal_notable ON praefect.journal (id) WHERE notable;
CREATE INDEX journal_ordinary ON praefect.journal (id) WHERE NOT notable;

-- +goose Down
DROP TABLE praefect.journal;
