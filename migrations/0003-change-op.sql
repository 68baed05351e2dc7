-- For a list in a CHECK, such as the one of `op` so far, SQLite makes a temporary index at each insert, which
-- cost more than the row. A range costs nothing.

CREATE TABLE change_by_range (
    revision INTEGER PRIMARY KEY,
    op       INTEGER NOT NULL CHECK (op BETWEEN 1 AND 3),  -- create, update, delete
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    time_ms  INTEGER NOT NULL,                             -- milliseconds since 1970
    actor    TEXT    NOT NULL,                             -- '' = unauthenticated
    body     TEXT    NOT NULL                              -- after the change; a delete: the last state
) STRICT;
INSERT INTO change_by_range SELECT revision, op, kind, name, time_ms, actor, body FROM change ORDER BY revision;
DROP TABLE change;
ALTER TABLE change_by_range RENAME TO change;
