-- The first schema. Run once, inside a transaction that also records it in `migration` and sets
-- user_version. Never edit a released migration: its checksum is compared at every start.

CREATE TABLE migration (
    number     INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,        -- SHA-256 of the migration's file, hex
    applied_at INTEGER NOT NULL         -- milliseconds since 1970
) STRICT;

-- One row. `revision` outlives both the object and the log row that carried it.
CREATE TABLE meta (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    revision    INTEGER NOT NULL CHECK (revision >= 0),                           -- the newest
    compacted   INTEGER NOT NULL CHECK (compacted BETWEEN 0 AND revision),        -- log is gone up to here
    change_rows INTEGER NOT NULL CHECK (change_rows >= 0)                         -- rows in `change`
) STRICT;
INSERT INTO meta (id, revision, compacted, change_rows) VALUES (1, 0, 0, 0);

-- Rows carry whole bodies, so this is a rowid table with an index: in a WITHOUT ROWID table the inner
-- pages of the tree would hold bodies too, and the tree would be deep.
CREATE TABLE object (
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,          -- namespaced kinds: namespace/name
    revision INTEGER NOT NULL CHECK (revision > 0),
    body     TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX object_by_name ON object (kind, name);

-- Append-only, compacted from its old end.
CREATE TABLE change (
    revision INTEGER PRIMARY KEY,
    op       INTEGER NOT NULL CHECK (op IN (1, 2, 3)),  -- create, update, delete
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,                          -- milliseconds since 1970
    actor    TEXT    NOT NULL,                          -- '' = unauthenticated
    body     TEXT    NOT NULL                           -- after the change; a delete: the last state
) STRICT;

-- Encrypted values of Secrets. A value cannot exist without its Secret, nor outlive it.
CREATE TABLE sealed (
    kind       TEXT    NOT NULL DEFAULT 'Secret' CHECK (kind = 'Secret'),
    object     TEXT    NOT NULL,
    item       TEXT    NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1),
    key_id     INTEGER NOT NULL CHECK (key_id >= 0),
    nonce      BLOB    NOT NULL,
    ciphertext BLOB    NOT NULL,
    PRIMARY KEY (kind, object, item),
    FOREIGN KEY (kind, object) REFERENCES object (kind, name)
        ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
