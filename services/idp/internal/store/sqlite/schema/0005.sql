-- What was used already, and the tries that were not right yet, by digest; times are
-- nanoseconds since 1970.
CREATE TABLE uses (
    digest  BLOB PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_by_end ON uses (expires);

CREATE TABLE attempts (
    name  BLOB PRIMARY KEY,
    wrong INTEGER NOT NULL,
    last  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_last ON attempts (last);
