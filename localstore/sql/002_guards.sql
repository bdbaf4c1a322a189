-- 002: triggers on table record. They keep the before-image of whatever
-- changes a record without giving it a new version, and refuse what would lose
-- data. Built-in SQL only, so that they run in any program's SQLite (3.38 on).

-- The agent always sets vid together with the document, so its own writes pass.
CREATE TRIGGER record_before_image AFTER UPDATE OF deleted, doc, par, raw ON record
WHEN NEW.vid IS OLD.vid AND (NEW.doc IS NOT OLD.doc OR NEW.par IS NOT OLD.par
  OR NEW.raw IS NOT OLD.raw OR NEW.deleted IS NOT OLD.deleted)
BEGIN
  INSERT INTO dirty (n, kind, doc, par, raw, deleted)
    SELECT OLD.n, OLD.kind, OLD.doc, OLD.par, OLD.raw, OLD.deleted
    WHERE NOT EXISTS (SELECT 1 FROM dirty WHERE n = OLD.n);
  UPDATE dirty SET problem = NULL, hold = CASE WHEN NEW.deleted < OLD.deleted OR hold = 2 THEN 0 ELSE hold END
    WHERE n = OLD.n;
  INSERT INTO stale (n, columns)
    SELECT OLD.n, 1 WHERE NOT EXISTS (SELECT 1 FROM stale WHERE n = OLD.n);
  UPDATE stale SET columns = 1 WHERE n = OLD.n AND columns = 0;
END;

CREATE TRIGGER record_new AFTER INSERT ON record
WHEN NEW.vid IS NULL
BEGIN
  INSERT INTO dirty (n, kind) VALUES (NEW.n, NEW.kind);
  INSERT INTO stale (n, columns) SELECT NEW.n, 1 WHERE NEW.sort IS NULL;
END;

-- Also against INSERT OR REPLACE, which would drop the causal state.
CREATE TRIGGER record_guard_insert BEFORE INSERT ON record
WHEN EXISTS (SELECT 1 FROM record WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'a record with this id exists already (perhaps deleted): use UPDATE, or take a new id from new_id');
END;

CREATE TRIGGER record_guard_identity BEFORE UPDATE OF n, id, kind ON record
WHEN NEW.n IS NOT OLD.n OR NEW.id IS NOT OLD.id OR NEW.kind IS NOT OLD.kind
BEGIN
  SELECT RAISE(ABORT, 'the id and the kind of a record can not be changed');
END;

CREATE TRIGGER record_guard_delete BEFORE DELETE ON record
WHEN NOT EXISTS (SELECT 1 FROM erase WHERE n = OLD.n)
BEGIN
  SELECT RAISE(ABORT, 'records are deleted through the views contacts, events, notes, tasks and pictures');
END;

-- Room for siblings stays below the 240 KiB that one version may have.
CREATE TRIGGER record_guard_size BEFORE UPDATE OF doc, par ON record
WHEN NEW.vid IS OLD.vid AND length(CAST(NEW.doc AS BLOB)) + length(CAST(coalesce(NEW.par, '') AS BLOB)) > 230000
  AND length(CAST(NEW.doc AS BLOB)) > length(CAST(OLD.doc AS BLOB))
BEGIN
  SELECT RAISE(ABORT, 'the record is too large: at most 230000 bytes of text are possible');
END;

CREATE TRIGGER record_guard_size_new BEFORE INSERT ON record
WHEN NEW.vid IS NULL AND length(CAST(NEW.doc AS BLOB)) + length(CAST(coalesce(NEW.par, '') AS BLOB)) > 230000
BEGIN
  SELECT RAISE(ABORT, 'the record is too large: at most 230000 bytes of text are possible');
END;
