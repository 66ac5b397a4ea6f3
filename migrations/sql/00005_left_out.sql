-- +goose Up
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE praefect.left_out (
    id              bigint PRIMARY KEY,
    virtual_storage text   NOT NULL,
    relative_path   text   NOT NULL
);

COMMENT ON TABLE praefect.left_out IS
    'repositories of the existing release that an import could not map: an export leaves them alone';

-- +goose Down
DROP TABLE praefect.left_out;
