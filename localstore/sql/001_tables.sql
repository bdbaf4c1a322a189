-- 001: the tables. FORMAT.md says what each is for; only the agent writes them.

-- Single values: the format version, the clock of running time, the replica id
-- and its claim, the epoch of the cloud. Keys are listed in FORMAT.md.
CREATE TABLE meta (
  key   TEXT NOT NULL PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;

-- One row a record. doc is a flat JSON object, field key to decoded value, in
-- the order of the record's lines; par holds the head of a line (group, name,
-- parameters) where it is not just the property's name; raw holds the line
-- itself where doc and par can not regenerate it, and references to blobs.
-- state is the causal state of version vid; both NULL: never minted.
CREATE TABLE record (
  n         INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
  kind      TEXT NOT NULL CHECK (kind <> ''),
  deleted   INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
  doc       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(doc)),
  par       TEXT CHECK (par IS NULL OR json_valid(par)),
  raw       BLOB,
  vid       BLOB CHECK (vid IS NULL OR length(vid) = 16),
  state     BLOB CHECK ((state IS NULL) = (vid IS NULL)),
  conflicts INTEGER NOT NULL DEFAULT 0, -- keys in conflict
  trashed   INTEGER,                    -- running time (s) at which the deletion was first seen
  title     TEXT,                       -- this and what follows is filled by the agent
  sort      TEXT,                       -- title without case and accents; NULL: not filled yet
  start_utc TEXT,
  end_utc   TEXT,
  due_utc   TEXT
) STRICT;
CREATE INDEX record_list ON record (kind, deleted, sort);
CREATE INDEX record_set ON record (kind, id, vid) WHERE vid IS NOT NULL;
CREATE INDEX record_start ON record (start_utc) WHERE start_utc IS NOT NULL;
CREATE INDEX record_due ON record (due_utc) WHERE due_utc IS NOT NULL;
CREATE INDEX record_trash ON record (trashed) WHERE trashed IS NOT NULL;
CREATE INDEX record_conflict ON record (kind) WHERE conflicts > 0;

-- Records changed since their last version, with the before-image that the
-- difference is taken against. doc NULL: there was no version before.
CREATE TABLE dirty (
  n       INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL,
  doc     TEXT,
  par     TEXT,
  raw     BLOB,
  deleted INTEGER,
  keys    TEXT,                       -- JSON array: keys written although their value is the same
  hold    INTEGER NOT NULL DEFAULT 0, -- 0 not judged, 1 held, 2 may go
  problem TEXT                        -- why it can not be minted
) STRICT;
CREATE INDEX dirty_kind ON dirty (kind, hold);

-- Versions that the cloud has not acknowledged, in the order they go out.
-- acked: the highest own counter of the record that the cloud acknowledged or sent.
CREATE TABLE outbox (
  n     INTEGER PRIMARY KEY,
  kind  TEXT NOT NULL,
  ord   INTEGER NOT NULL,
  acked INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX outbox_order ON outbox (kind, ord);

-- Digest of all versions of a kind, kept in the transaction of every change.
CREATE TABLE digest (
  kind  TEXT NOT NULL PRIMARY KEY,
  count INTEGER NOT NULL,
  sum   BLOB NOT NULL CHECK (length(sum) = 16)
) STRICT, WITHOUT ROWID;

-- Per kind: how far the cloud's log was read, and what the cloud last proved.
CREATE TABLE cloud (
  kind         TEXT NOT NULL PRIMARY KEY,
  epoch        BLOB,
  seq          INTEGER NOT NULL DEFAULT 0,
  count        INTEGER,
  sum          BLOB,
  proven_epoch BLOB,
  head         INTEGER,
  proven_at    INTEGER
) STRICT, WITHOUT ROWID;

-- Claim tokens that were sent or may have been, and are not answered.
CREATE TABLE token (
  n     INTEGER PRIMARY KEY,
  token BLOB NOT NULL
) STRICT;

-- The join of all vectors that were received.
CREATE TABLE peer (
  replica BLOB NOT NULL PRIMARY KEY,
  counter INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Pieces of large values. The bytes stand apart so that this table stays small.
CREATE TABLE chunk (
  n    INTEGER PRIMARY KEY,
  id   BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  size INTEGER,                    -- bytes, NULL: not here yet
  sent INTEGER NOT NULL DEFAULT 0  -- 1: the cloud has it
) STRICT;
CREATE INDEX chunk_missing ON chunk (n) WHERE size IS NULL;
CREATE INDEX chunk_unsent ON chunk (id) WHERE sent = 0 AND size IS NOT NULL;
CREATE TABLE chunk_data (
  n    INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

-- Which records refer to which chunks: those of its version, its document and its before-image.
CREATE TABLE chunk_ref (
  record INTEGER NOT NULL,
  chunk  INTEGER NOT NULL,
  PRIMARY KEY (record, chunk)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_ref_chunk ON chunk_ref (chunk);

-- Records whose full text (and, with columns = 1, whose agent-filled columns)
-- do not show their last change yet.
CREATE TABLE stale (
  n       INTEGER PRIMARY KEY,
  columns INTEGER NOT NULL
) STRICT;

-- Phone numbers by their digits; tail is the last seven, to look a caller up by.
CREATE TABLE phone (
  tail   TEXT NOT NULL,
  digits TEXT NOT NULL,
  record INTEGER NOT NULL,
  PRIMARY KEY (tail, digits, record)
) STRICT, WITHOUT ROWID;
CREATE INDEX phone_record ON phone (record);

-- Deletions that the brake let out, for the budget of its window.
CREATE TABLE brake (
  n     INTEGER PRIMARY KEY,
  kind  TEXT NOT NULL,
  at    INTEGER NOT NULL, -- Unix seconds
  count INTEGER NOT NULL
) STRICT;

-- What was found and survived, the last hundred.
CREATE TABLE problem (
  n    INTEGER PRIMARY KEY,
  at   INTEGER NOT NULL, -- Unix seconds
  code TEXT NOT NULL,
  text TEXT NOT NULL,
  id   TEXT
) STRICT;

-- Rows of record that the agent itself may delete, inside one transaction.
CREATE TABLE erase (
  n INTEGER PRIMARY KEY
) STRICT;
