-- The cloud's store, format 1. The account leads every key; a transaction of one
-- operation touches one account; nothing here can be read without the account's
-- keys but ids, vectors, sizes and times. Tables without rowid are clustered by
-- their key, so that an account's log is read in order.

CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row an account. head is the newest sequence of its log; every write of an
-- account goes through "UPDATE account SET head = new WHERE head = old".
CREATE TABLE IF NOT EXISTS account (
    account BLOB PRIMARY KEY,           -- 32 bytes: Ed25519 public key of the root
    head    INTEGER NOT NULL,
    created INTEGER NOT NULL,           -- seconds since 1970, as all times here
    touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Count and fingerprint of the rows of version, kept in the same transaction and
-- counted again before the first session of an account after a start.
CREATE TABLE IF NOT EXISTS kind (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    count   INTEGER NOT NULL,
    sum     BLOB NOT NULL,              -- 16 bytes, big-endian
    head    INTEGER NOT NULL,           -- sequence of the kind's newest change
    PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;

-- The antichain: the versions of each record that no other dominates.
CREATE TABLE IF NOT EXISTS version (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    record  BLOB NOT NULL,              -- 16 bytes
    version BLOB NOT NULL,              -- 16 bytes
    dead    INTEGER NOT NULL,           -- the header's flag: a tombstone
    header  BLOB NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (account, kind, seq)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS version_by_record ON version (account, kind, record, version, dead);

-- Versions out of the antichain: dominated ones, kept for 30 days, and those that
-- a device reported as not opening (aside = 1), kept until they are pushed again.
CREATE TABLE IF NOT EXISTS dominated (
    account BLOB NOT NULL,
    kind    TEXT NOT NULL,
    record  BLOB NOT NULL,
    version BLOB NOT NULL,
    since   INTEGER NOT NULL,
    aside   INTEGER NOT NULL,
    header  BLOB NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (account, kind, record, version)
) STRICT, WITHOUT ROWID;

-- The claims: the newest token of each replica, bound to its device key.
CREATE TABLE IF NOT EXISTS replica (
    account BLOB NOT NULL,
    replica BLOB NOT NULL,              -- 8 bytes
    device  BLOB NOT NULL,              -- 32 bytes
    token   BLOB NOT NULL,              -- 16 bytes
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (account, replica)
) STRICT, WITHOUT ROWID;

-- The highest counter of each replica in any header that was stored.
CREATE TABLE IF NOT EXISTS seen (
    account BLOB NOT NULL,
    replica BLOB NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (account, replica)
) STRICT, WITHOUT ROWID;

-- What each replica last said that it holds.
CREATE TABLE IF NOT EXISTS proof (
    account BLOB NOT NULL,
    replica BLOB NOT NULL,
    kind    TEXT NOT NULL,
    count   INTEGER NOT NULL,
    sum     BLOB NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, replica, kind)
) STRICT, WITHOUT ROWID;

-- Sealed chunks. With a rowid, so that looking for an id does not read chunks.
CREATE TABLE IF NOT EXISTS chunk (
    account BLOB NOT NULL,
    chunk   BLOB NOT NULL,              -- 16 bytes
    size    INTEGER NOT NULL,           -- of body
    stored  INTEGER NOT NULL,
    header  BLOB NOT NULL,
    body    BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS chunk_by_id ON chunk (account, chunk);
