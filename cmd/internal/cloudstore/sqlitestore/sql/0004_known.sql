-- Format 4: what a loss is counted by.

-- The records of which a version was ever in the log, so that those that are
-- missing can be counted, however many were made since.
CREATE TABLE IF NOT EXISTS known (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    record  BLOB NOT NULL,
    crc     INTEGER NOT NULL,           -- of the others: a flipped bit would make a record that never was
    PRIMARY KEY (account, kind, record)
) STRICT, WITHOUT ROWID;

-- agreed: 1 if the cloud held the same when it was told. moved: 1 if its device
-- took another replica id, as far as is known: a copy of the device may go on
-- under this one.
ALTER TABLE proof ADD COLUMN agreed INTEGER;

ALTER TABLE proof ADD COLUMN moved INTEGER;

-- Who was lost before there was this list is not in it.
INSERT OR IGNORE INTO meta (key, value) SELECT 'known_partial', x'01' FROM loss LIMIT 1;
