-- The change log becomes the fleet's past: who did what together with what, and why; and for every object its
-- newest row at or before the oldest revision whose state is known, so that the state at any later one is whole.

ALTER TABLE change ADD COLUMN txn     INTEGER NOT NULL DEFAULT 0;   -- first revision of what was changed together
ALTER TABLE change ADD COLUMN request TEXT    NOT NULL DEFAULT '';  -- id of the request, in the first row only
ALTER TABLE change ADD COLUMN reason  TEXT    NOT NULL DEFAULT '';  -- likewise
UPDATE change SET txn = revision;
CREATE INDEX change_by_object ON change (kind, name, revision);

ALTER TABLE meta ADD COLUMN past         INTEGER NOT NULL DEFAULT 0;  -- oldest revision whose state is known
ALTER TABLE meta ADD COLUMN past_ms      INTEGER NOT NULL DEFAULT 0;  -- when that was committed, 0 = not known
ALTER TABLE meta ADD COLUMN change_bytes INTEGER NOT NULL DEFAULT 0;  -- of the rows behind it (change_rows)

-- Of an object whose first row here is no creation nobody knows what it was before.
UPDATE meta SET past = max(compacted, coalesce((
    SELECT max(revision) FROM change AS first WHERE op <> 1 AND NOT EXISTS (
        SELECT 1 FROM change AS earlier
        WHERE earlier.kind = first.kind AND earlier.name = first.name AND earlier.revision < first.revision)), 0));
UPDATE meta SET
    past_ms = CASE WHEN past = 0 THEN 0 ELSE coalesce(
        (SELECT time_ms FROM change WHERE revision <= past ORDER BY revision DESC LIMIT 1),
        (SELECT time_ms FROM change WHERE revision > past ORDER BY revision LIMIT 1), 0) END,
    change_rows  = (SELECT count(*) FROM change WHERE revision > past),
    change_bytes = (SELECT coalesce(sum(128 + length(CAST(body AS BLOB))), 0) FROM change WHERE revision > past);
INSERT INTO change (revision, op, kind, name, time_ms, actor, body, txn)
    SELECT revision, 2, kind, name, 0, '', body, revision FROM object
    WHERE NOT EXISTS (SELECT 1 FROM change WHERE change.revision = object.revision);

-- Revisions that were given to changes which a restore has taken back: nobody knows what the fleet was then.
CREATE TABLE lost (
    after      INTEGER PRIMARY KEY,  -- the newest revision that is known before them
    upto       INTEGER NOT NULL,     -- the last of them
    until_ms   INTEGER NOT NULL      -- when the fleet went on
) STRICT;
