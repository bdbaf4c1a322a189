-- Format 2: what a loss or damage is found by.

-- CRC-64 (ECMA) of header and body as they came, so that a flipped bit is found
-- without a key. NULL: not known.
ALTER TABLE version ADD COLUMN crc INTEGER;

ALTER TABLE dominated ADD COLUMN crc INTEGER;

ALTER TABLE chunk ADD COLUMN crc INTEGER;

-- A device keeps its key when a new epoch gives it another replica id: a proof is
-- the device's. lacking: versions that it holds and has yet to give. epoch: of
-- the storage that it was told to.
ALTER TABLE proof ADD COLUMN device BLOB;

ALTER TABLE proof ADD COLUMN lacking INTEGER;

ALTER TABLE proof ADD COLUMN epoch BLOB;

-- The chunks that the versions of the log refer to.
CREATE TABLE IF NOT EXISTS chunk_ref (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    record  BLOB NOT NULL,
    version BLOB NOT NULL,
    chunk   BLOB NOT NULL,
    PRIMARY KEY (account, kind, record, version, chunk)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS chunk_ref_by_chunk ON chunk_ref (account, chunk);

-- Chunks that were referred to and not held when last looked at: a hint for
-- devices that have them. Counted again when digests are.
CREATE TABLE IF NOT EXISTS chunk_lost (
    account BLOB NOT NULL,
    chunk   BLOB NOT NULL,
    PRIMARY KEY (account, chunk)
) STRICT, WITHOUT ROWID;

-- Rows that were found damaged, as they were found, for forensics.
CREATE TABLE IF NOT EXISTS quarantine (
    account BLOB NOT NULL,
    n       INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    origin  TEXT NOT NULL,              -- table
    kind    TEXT NOT NULL,              -- '' for chunks
    item    BLOB NOT NULL,              -- record and version, or chunk
    why     TEXT NOT NULL,
    header  BLOB,
    body    BLOB,
    PRIMARY KEY (account, n)
) STRICT, WITHOUT ROWID;

-- Kinds that the operator declared not to be complete yet. For all accounts:
-- meta 'restoring:KIND'.
CREATE TABLE IF NOT EXISTS restoring (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;

-- The last time that versions of a kind were found missing, and how many there
-- had been.
CREATE TABLE IF NOT EXISTS loss (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    had     INTEGER NOT NULL,
    PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;
