-- What sessions did: changes of their verdicts, in batches about once a second. Nothing is written here while
-- nothing changes.

CREATE TABLE transition (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
    time_ms  INTEGER NOT NULL,          -- milliseconds since 1970
    node     TEXT    NOT NULL,
    peer     TEXT    NOT NULL,          -- address of the far end
    port     INTEGER NOT NULL,
    remote   TEXT    NOT NULL,          -- the far end's node, '' = not one of ours
    was      TEXT    NOT NULL,          -- verdicts
    became   TEXT    NOT NULL,
    folded   INTEGER NOT NULL,          -- changes before it that have no row, because the session flapped
    message  TEXT    NOT NULL
) STRICT;
