-- 011, format 5: what devices state that they have seen.

-- The versions of records of kind witness, one record a replica: of each record
-- those that no other dominates, exactly as the cloud has them. They stand apart
-- from table record so that no view, count, history, brake, export, search or
-- rollback can meet them.
CREATE TABLE witness (
  vid     BLOB NOT NULL PRIMARY KEY CHECK (length(vid) = 16),
  id      BLOB NOT NULL CHECK (length(id) = 16), -- of the record
  version BLOB NOT NULL,                         -- canonical encoding
  ord     INTEGER                                -- place in the outbox; NULL: the cloud has it
) STRICT, WITHOUT ROWID;

-- A program that did not know the kind carried such records beside a person's.
-- They come again.
INSERT OR IGNORE INTO erase (n) SELECT n FROM record WHERE kind = 'witness';
DELETE FROM record WHERE kind = 'witness';
DELETE FROM dirty WHERE kind = 'witness';
DELETE FROM outbox WHERE kind = 'witness';
DELETE FROM held WHERE kind = 'witness';
DELETE FROM digest WHERE kind = 'witness';
DELETE FROM cloud WHERE kind = 'witness';
DELETE FROM history WHERE record IN (SELECT n FROM erase WHERE n > 0);
DELETE FROM fulltext WHERE rowid IN (SELECT n FROM erase WHERE n > 0);
DELETE FROM stale WHERE n IN (SELECT n FROM erase WHERE n > 0);
DELETE FROM chunk_ref WHERE record IN (SELECT n FROM erase WHERE n > 0);
DELETE FROM erase WHERE n > 0;
