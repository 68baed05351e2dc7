-- Which versions of nodes' lists were given to anybody, so that a list of the past is told as it was then, with the
-- same resourceVersion, and lists keep theirs over a restart.

CREATE TABLE given (
    node     TEXT    NOT NULL,
    revision INTEGER NOT NULL,            -- the list's resourceVersion
    etag     TEXT    NOT NULL,            -- of its content
    time_ms  INTEGER NOT NULL,            -- when it was made, milliseconds since 1970
    node_ms  INTEGER NOT NULL DEFAULT 0,  -- when the node itself first had it; 0 = it has not
    PRIMARY KEY (node, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX given_by_revision ON given (revision);
