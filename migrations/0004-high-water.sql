-- What tells one state of one database from an older one, and from another database: a name of its own, a count
-- of transactions, and the sum of the digests of all objects (content_sum is the program's own).

ALTER TABLE meta ADD COLUMN uuid    BLOB    NOT NULL DEFAULT x'';
ALTER TABLE meta ADD COLUMN commits INTEGER NOT NULL DEFAULT 0 CHECK (commits >= 0);
ALTER TABLE meta ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET uuid = randomblob(16), commits = 1,
    content = (SELECT content_sum(kind, name, revision, body) FROM object);
