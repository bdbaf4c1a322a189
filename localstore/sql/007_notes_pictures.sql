-- 007: notes and pictures for apps.

CREATE VIEW notes AS
SELECT id,
  json_extract(doc, '$.SUMMARY') AS title,
  json_extract(doc, '$.DESCRIPTION') AS body
FROM record WHERE kind = 'notes' AND deleted = 0;

CREATE TRIGGER notes_insert INSTEAD OF INSERT ON notes
BEGIN
  SELECT RAISE(ABORT, 'the id must be 32 hexadecimal digits: take one from new_id, or leave it out')
    WHERE NEW.id IS NOT NULL AND (length(NEW.id) <> 32 OR lower(NEW.id) GLOB '*[^0-9a-f]*');
  SELECT RAISE(ABORT, 'a note needs a title or a body') WHERE coalesce(NEW.title, '') = '' AND coalesce(NEW.body, '') = '';
  INSERT INTO record (id, kind, doc) VALUES (
    lower(coalesce(NEW.id, hex(randomblob(16)))), 'notes',
    json_patch('{}', json_object('SUMMARY', CAST(NEW.title AS TEXT), 'DESCRIPTION', CAST(NEW.body AS TEXT))));
END;

CREATE TRIGGER notes_update INSTEAD OF UPDATE ON notes
BEGIN
  SELECT RAISE(ABORT, 'the id of a note can not be changed') WHERE NEW.id IS NOT OLD.id;
  UPDATE record SET doc = json_patch(doc, json_object('SUMMARY', CAST(NEW.title AS TEXT)))
    WHERE id = OLD.id AND NEW.title IS NOT OLD.title;
  UPDATE record SET doc = json_patch(doc, json_object('DESCRIPTION', CAST(NEW.body AS TEXT)))
    WHERE id = OLD.id AND NEW.body IS NOT OLD.body;
END;

CREATE TRIGGER notes_delete INSTEAD OF DELETE ON notes
BEGIN
  UPDATE record SET deleted = 1, trashed = (SELECT value FROM meta WHERE key = 'ran') WHERE id = OLD.id;
END;

-- The bytes of a picture are read with sidekeep export; type and size come from them.
CREATE VIEW pictures AS
SELECT id,
  json_extract(doc, '$.SUMMARY') AS name,
  CASE WHEN json_extract(par, '$.ATTACH') LIKE '%FMTTYPE=%' THEN replace(substr(json_extract(par, '$.ATTACH'), instr(json_extract(par, '$.ATTACH'), 'FMTTYPE=') + 8, instr(substr(json_extract(par, '$.ATTACH'), instr(json_extract(par, '$.ATTACH'), 'FMTTYPE=') + 8) || ';', ';') - 1), '"', '') END AS type,
  CASE WHEN length(json_extract(doc, '$.DTSTART')) = 8 AND json_extract(doc, '$.DTSTART') GLOB '[0-9]*' THEN substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2)
    WHEN json_extract(doc, '$.DTSTART') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2) || 'T' || substr(json_extract(doc, '$.DTSTART'), 10, 2) || ':' || substr(json_extract(doc, '$.DTSTART'), 12, 2)
      || CASE substr(json_extract(doc, '$.DTSTART'), 14, 2) WHEN '00' THEN '' ELSE ':' || substr(json_extract(doc, '$.DTSTART'), 14, 2) END || substr(json_extract(doc, '$.DTSTART'), 16, 1)
    ELSE json_extract(doc, '$.DTSTART') END AS taken,
  CASE WHEN json_extract(par, '$.ATTACH') LIKE '%;SIZE=%' THEN CAST(replace(substr(json_extract(par, '$.ATTACH'), instr(json_extract(par, '$.ATTACH'), 'SIZE=') + 5, instr(substr(json_extract(par, '$.ATTACH'), instr(json_extract(par, '$.ATTACH'), 'SIZE=') + 5) || ';', ';') - 1), '"', '') AS INTEGER) END AS size,
  CAST(json_extract(doc, '$."X-WIDTH"') AS INTEGER) AS width,
  CAST(json_extract(doc, '$."X-HEIGHT"') AS INTEGER) AS height,
  json_extract(doc, '$.GEO') AS place,
  json_extract(doc, '$.DESCRIPTION') AS note
FROM record WHERE kind = 'pictures' AND deleted = 0;

CREATE TRIGGER pictures_insert INSTEAD OF INSERT ON pictures
BEGIN
  SELECT RAISE(ABORT, 'pictures are added with sidekeep import');
END;

CREATE TRIGGER pictures_update INSTEAD OF UPDATE ON pictures
BEGIN
  SELECT RAISE(ABORT, 'the id of a picture can not be changed') WHERE NEW.id IS NOT OLD.id;
  SELECT RAISE(ABORT, 'type, size, width and height of a picture can not be changed: they belong to its bytes')
    WHERE NEW.type IS NOT OLD.type OR NEW.size IS NOT OLD.size OR NEW.width IS NOT OLD.width OR NEW.height IS NOT OLD.height;
  SELECT RAISE(ABORT, 'taken must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.taken IS NOT NULL AND NEW.taken IS NOT OLD.taken AND (datetime(NEW.taken) IS NULL OR length(NEW.taken) NOT IN (10, 16, 17, 19, 20) OR NEW.taken NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'place must be latitude;longitude in degrees, like 57.05;9.92')
    WHERE NEW.place IS NOT OLD.place AND NEW.place NOT GLOB '*[0-9];*[0-9]*';
  UPDATE record SET doc = json_patch(doc, json_object('SUMMARY', CAST(NEW.name AS TEXT)))
    WHERE id = OLD.id AND NEW.name IS NOT OLD.name;
  UPDATE record SET
      doc = json_patch(doc, json_object('DTSTART', CASE WHEN NEW.taken IS NOT NULL THEN CASE WHEN 0 THEN substr(replace(replace(replace(NEW.taken, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.taken, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.taken, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.taken, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.taken, '-', ''), ':', ''), ' ', 'T') END END)),
      par = json_patch(coalesce(par, '{}'), json_object('DTSTART', CASE WHEN NEW.taken IS NULL THEN NULL WHEN 0 OR length(NEW.taken) = 10 THEN 'DTSTART;VALUE=DATE'
        WHEN NEW.taken NOT LIKE '%Z' AND NULL IS NOT NULL THEN 'DTSTART;TZID=' || NULL END))
    WHERE id = OLD.id AND NEW.taken IS NOT OLD.taken;
  UPDATE record SET doc = json_patch(doc, json_object('GEO', CAST(NEW.place AS TEXT)))
    WHERE id = OLD.id AND NEW.place IS NOT OLD.place;
  UPDATE record SET doc = json_patch(doc, json_object('DESCRIPTION', CAST(NEW.note AS TEXT)))
    WHERE id = OLD.id AND NEW.note IS NOT OLD.note;
END;

CREATE TRIGGER pictures_delete INSTEAD OF DELETE ON pictures
BEGIN
  UPDATE record SET deleted = 1, trashed = (SELECT value FROM meta WHERE key = 'ran') WHERE id = OLD.id;
END;
