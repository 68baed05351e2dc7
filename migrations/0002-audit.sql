-- The audit trail. Rows of writes are put in by the transaction of the write itself, all others within
-- about a second. Its texts are what a client wrote about itself and what it asked for, never a secret.

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
    time_ms  INTEGER NOT NULL,          -- milliseconds since 1970
    entry    TEXT    NOT NULL           -- JSON
) STRICT;
