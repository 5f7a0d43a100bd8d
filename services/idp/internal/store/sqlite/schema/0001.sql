CREATE TABLE users (
    id           TEXT PRIMARY KEY,
    tenant       TEXT NOT NULL,
    upn          TEXT NOT NULL UNIQUE,
    immutable_id TEXT NOT NULL,
    record       TEXT NOT NULL
) STRICT;
CREATE INDEX users_by_immutable_id ON users (tenant, immutable_id);
CREATE INDEX users_by_tenant ON users (tenant, upn);

CREATE TABLE devices (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    tenant        TEXT NOT NULL,
    registered_by TEXT NOT NULL,
    record        TEXT NOT NULL
) STRICT;
CREATE INDEX devices_by_owner ON devices (tenant, registered_by);

-- expires is nanoseconds since 1970.
CREATE TABLE pending (
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    user    TEXT NOT NULL,
    expires INTEGER NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX pending_by_end ON pending (expires);

CREATE TABLE documents (
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
