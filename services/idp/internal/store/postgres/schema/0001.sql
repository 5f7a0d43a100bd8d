CREATE TABLE users (
    id           text PRIMARY KEY,
    tenant       text NOT NULL,
    upn          text NOT NULL UNIQUE,
    immutable_id text NOT NULL,
    record       text NOT NULL
);
CREATE INDEX users_by_immutable_id ON users (tenant, immutable_id);
CREATE INDEX users_by_tenant ON users (tenant, upn);

CREATE TABLE devices (
    seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            text NOT NULL UNIQUE,
    tenant        text NOT NULL,
    registered_by text NOT NULL,
    record        text NOT NULL
);
CREATE INDEX devices_by_owner ON devices (tenant, registered_by);

-- expires is nanoseconds since 1970, here and below.
CREATE TABLE pending (
    kind    text NOT NULL,
    key     text NOT NULL,
    "user"  text NOT NULL,
    expires bigint NOT NULL,
    data    bytea NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX pending_by_end ON pending (expires);

CREATE TABLE documents (
    kind text NOT NULL,
    key  text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (kind, key)
);

-- The keys under which data-protection keys of devices rest, sealed; they go with
-- their user and with their device.
CREATE TABLE data_keys (
    tenant text NOT NULL,
    "user" text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device text NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant, "user", device)
);
CREATE INDEX data_keys_by_device ON data_keys (device);
CREATE INDEX data_keys_by_user ON data_keys ("user");

-- What was used already, and the tries that were not right yet, by digest.
CREATE TABLE uses (
    digest  bytea PRIMARY KEY,
    expires bigint NOT NULL
);
CREATE INDEX uses_by_end ON uses (expires);

CREATE TABLE attempts (
    name  bytea PRIMARY KEY,
    wrong integer NOT NULL,
    last  bigint NOT NULL
);
CREATE INDEX attempts_by_last ON attempts (last);
