-- 009, format 3: what records were before each change, whoever made it: an app, this
-- device's commands, or a version that came from the cloud.

-- One row a change, in their true order (n), whatever the clock said (at).
-- was: 0 living, 1 deleted, 2 not there yet, 3 not known (not kept, or it came
-- with the first sync). doc, par and raw are the document before the change;
-- NULL for living and deleted ones: the same as the record's next one.
CREATE TABLE history (
  n      INTEGER PRIMARY KEY,
  record INTEGER NOT NULL,
  ran    INTEGER NOT NULL, -- running time, s
  at     INTEGER NOT NULL, -- clock, Unix ms
  was    INTEGER NOT NULL CHECK (was BETWEEN 0 AND 3),
  blobs  INTEGER NOT NULL, -- 1: the document may refer to chunks
  doc    TEXT CHECK (doc IS NULL OR was < 2),
  par    TEXT,
  raw    BLOB
) STRICT;
CREATE INDEX history_blobs ON history (record) WHERE blobs = 1;
CREATE INDEX history_open ON history (record) WHERE doc IS NULL AND was = 0;

-- History begins now.
INSERT INTO meta (key, value) VALUES
  ('history_at', CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)),
  ('history_n', 0);

-- Minting does not change a document, though it may write it in another form.
-- A statement that changes a record several times counts once: 'now' stands
-- still in a statement. A purge leaves nothing behind, unless the record was
-- living within the time that history covers.
CREATE TRIGGER record_history AFTER UPDATE OF deleted, doc, par, raw ON record
WHEN (NEW.doc IS NOT OLD.doc OR NEW.par IS NOT OLD.par OR NEW.raw IS NOT OLD.raw OR NEW.deleted IS NOT OLD.deleted)
  AND NOT (NEW.vid IS NOT OLD.vid AND EXISTS (SELECT 1 FROM dirty WHERE n = OLD.n))
BEGIN
  UPDATE history SET doc = OLD.doc, par = OLD.par, raw = OLD.raw, blobs = EXISTS (SELECT 1 FROM chunk_ref WHERE record = OLD.n)
    WHERE n = (SELECT max(n) FROM history) AND record = OLD.n AND doc IS NULL AND was < 2
      AND at = CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)
      AND (NEW.doc IS NOT OLD.doc OR NEW.par IS NOT OLD.par OR NEW.raw IS NOT OLD.raw);
  INSERT INTO history (n, record, ran, at, was, blobs, doc, par, raw)
    SELECT 1 + max(coalesce((SELECT max(n) FROM history), 0), coalesce((SELECT value FROM meta WHERE key = 'history_n'), 0)),
      OLD.n, coalesce((SELECT value FROM meta WHERE key = 'ran'), 0), clock, OLD.deleted,
      changed AND NOT gone AND EXISTS (SELECT 1 FROM chunk_ref WHERE record = OLD.n),
      CASE WHEN gone THEN '{}' WHEN changed THEN OLD.doc END,
      CASE WHEN changed AND NOT gone THEN OLD.par END,
      CASE WHEN changed AND NOT gone THEN OLD.raw END
    FROM (SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) AS clock,
      (NEW.doc IS NOT OLD.doc OR NEW.par IS NOT OLD.par OR NEW.raw IS NOT OLD.raw) AS changed,
      (OLD.deleted AND NEW.deleted AND NEW.doc = '{}'
        AND NOT EXISTS (SELECT 1 FROM history WHERE record = OLD.n AND doc IS NULL AND was = 0)) AS gone)
    WHERE NOT EXISTS (SELECT 1 FROM history WHERE n = (SELECT max(n) FROM history) AND record = OLD.n AND at = clock);
END;

-- What comes with the first sync of a kind may have been elsewhere for long.
CREATE TRIGGER record_history_new AFTER INSERT ON record
BEGIN
  INSERT INTO history (n, record, ran, at, was, blobs)
    SELECT 1 + max(coalesce((SELECT max(n) FROM history), 0), coalesce((SELECT value FROM meta WHERE key = 'history_n'), 0)),
      NEW.n, coalesce((SELECT value FROM meta WHERE key = 'ran'), 0),
      CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER),
      CASE WHEN NEW.vid IS NULL OR EXISTS (SELECT 1 FROM cloud WHERE kind = NEW.kind AND proven_at IS NOT NULL) THEN 2 ELSE 3 END, 0;
END;
