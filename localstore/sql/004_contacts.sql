-- 004: contacts for apps. Columns are computed from the document; a column that
-- an UPDATE does not change leaves its field untouched, NULL removes the field.

-- A fresh id each time it is read: INSERT INTO contacts (id, ...) SELECT id, ... FROM new_id.
CREATE VIEW new_id AS SELECT lower(hex(randomblob(16))) AS id;

CREATE VIEW contacts AS
SELECT id,
  coalesce(json_extract(doc, '$.FN'),
    nullif(trim(coalesce(json_extract(doc, '$.N[1]'), '') || ' ' || coalesce(json_extract(doc, '$.N[0]'), '')), '')) AS name,
  nullif(json_extract(doc, '$.N[1]'), '') AS given_name,
  nullif(json_extract(doc, '$.N[0]'), '') AS family_name,
  (SELECT group_concat(value, ', ') FROM json_each(doc, '$.NICKNAME')) AS nickname,
  (SELECT group_concat(value, '; ') FROM json_each(doc, '$.ORG')) AS organisation,
  json_extract(doc, '$.TITLE') AS job_title,
  CASE WHEN json_extract(doc, '$.BDAY') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]'
    THEN substr(json_extract(doc, '$.BDAY'), 1, 4) || '-' || substr(json_extract(doc, '$.BDAY'), 5, 2) || '-' || substr(json_extract(doc, '$.BDAY'), 7, 2)
    ELSE json_extract(doc, '$.BDAY') END AS birthday,
  json_extract(doc, '$.NOTE') AS note,
  sort
FROM record WHERE kind = 'contacts' AND deleted = 0;

CREATE TRIGGER contacts_insert INSTEAD OF INSERT ON contacts
BEGIN
  SELECT RAISE(ABORT, 'the id must be 32 hexadecimal digits: take one from new_id, or leave it out')
    WHERE NEW.id IS NOT NULL AND (length(NEW.id) <> 32 OR lower(NEW.id) GLOB '*[^0-9a-f]*');
  SELECT RAISE(ABORT, 'a contact needs a name, a given or family name, or an organisation')
    WHERE coalesce(NEW.name, NEW.given_name, NEW.family_name, NEW.organisation, '') = '';
  SELECT RAISE(ABORT, 'birthday must be YYYY-MM-DD')
    WHERE NEW.birthday IS NOT NULL AND date(NEW.birthday) IS NOT NEW.birthday AND NEW.birthday NOT GLOB '--[0-9][0-9]*';
  INSERT INTO record (id, kind, doc) VALUES (
    lower(coalesce(NEW.id, hex(randomblob(16)))), 'contacts',
    json_patch('{}', json_object(
      'VERSION', '3.0',
      'FN', CAST(coalesce(NEW.name, nullif(trim(coalesce(NEW.given_name, '') || ' ' || coalesce(NEW.family_name, '')), ''), NEW.organisation) AS TEXT),
      'N', CASE WHEN coalesce(NEW.given_name, NEW.family_name) IS NOT NULL
        THEN json_array(CAST(coalesce(NEW.family_name, '') AS TEXT), CAST(coalesce(NEW.given_name, '') AS TEXT), '', '', '')
        ELSE json_array(CAST(coalesce(NEW.name, '') AS TEXT), '', '', '', '') END,
      'NICKNAME', CASE WHEN NEW.nickname IS NOT NULL THEN json('[' || replace(json_quote(CAST(NEW.nickname AS TEXT)), ', ', '","') || ']') END,
      'ORG', CASE WHEN NEW.organisation IS NOT NULL THEN json('[' || replace(json_quote(CAST(NEW.organisation AS TEXT)), '; ', '","') || ']') END,
      'TITLE', CAST(NEW.job_title AS TEXT),
      'BDAY', CAST(NEW.birthday AS TEXT),
      'NOTE', CAST(NEW.note AS TEXT))));
END;

CREATE TRIGGER contacts_update INSTEAD OF UPDATE ON contacts
BEGIN
  SELECT RAISE(ABORT, 'the id of a contact can not be changed') WHERE NEW.id IS NOT OLD.id;
  SELECT RAISE(ABORT, 'sort is filled by sidekeep') WHERE NEW.sort IS NOT OLD.sort;
  SELECT RAISE(ABORT, 'birthday must be YYYY-MM-DD')
    WHERE NEW.birthday IS NOT NULL AND NEW.birthday IS NOT OLD.birthday
      AND date(NEW.birthday) IS NOT NEW.birthday AND NEW.birthday NOT GLOB '--[0-9][0-9]*';
  UPDATE record SET doc = json_patch(doc, json_object('FN', CAST(NEW.name AS TEXT)))
    WHERE id = OLD.id AND NEW.name IS NOT OLD.name;
  -- A shown name that was only the two names together follows them.
  UPDATE record SET doc = json_patch(doc, json_object('FN', trim(coalesce(NEW.given_name, '') || ' ' || coalesce(NEW.family_name, ''))))
    WHERE id = OLD.id AND NEW.name IS OLD.name AND (NEW.given_name IS NOT OLD.given_name OR NEW.family_name IS NOT OLD.family_name)
      AND OLD.name = trim(coalesce(OLD.given_name, '') || ' ' || coalesce(OLD.family_name, ''));
  UPDATE record SET doc = json_patch(doc, json_object('N', json_array(
      CAST(coalesce(NEW.family_name, '') AS TEXT), CAST(coalesce(NEW.given_name, '') AS TEXT),
      coalesce(json_extract(doc, '$.N[2]'), ''), coalesce(json_extract(doc, '$.N[3]'), ''), coalesce(json_extract(doc, '$.N[4]'), ''))))
    WHERE id = OLD.id AND (NEW.given_name IS NOT OLD.given_name OR NEW.family_name IS NOT OLD.family_name);
  UPDATE record SET doc = json_patch(doc, json_object('NICKNAME',
      CASE WHEN NEW.nickname IS NOT NULL THEN json('[' || replace(json_quote(CAST(NEW.nickname AS TEXT)), ', ', '","') || ']') END))
    WHERE id = OLD.id AND NEW.nickname IS NOT OLD.nickname;
  UPDATE record SET doc = json_patch(doc, json_object('ORG',
      CASE WHEN NEW.organisation IS NOT NULL THEN json('[' || replace(json_quote(CAST(NEW.organisation AS TEXT)), '; ', '","') || ']') END))
    WHERE id = OLD.id AND NEW.organisation IS NOT OLD.organisation;
  UPDATE record SET doc = json_patch(doc, json_object('TITLE', CAST(NEW.job_title AS TEXT)))
    WHERE id = OLD.id AND NEW.job_title IS NOT OLD.job_title;
  -- Version 4.0 of the card format writes dates without hyphens; a VALUE parameter would no longer hold.
  UPDATE record SET
      doc = json_patch(doc, json_object('BDAY', CASE WHEN json_extract(doc, '$.VERSION') = '4.0' AND NEW.birthday NOT GLOB '--*'
        THEN replace(NEW.birthday, '-', '') ELSE CAST(NEW.birthday AS TEXT) END)),
      par = CASE WHEN json_extract(par, '$.BDAY') LIKE '%VALUE=%' THEN json_remove(par, '$.BDAY') ELSE par END
    WHERE id = OLD.id AND NEW.birthday IS NOT OLD.birthday;
  UPDATE record SET doc = json_patch(doc, json_object('NOTE', CAST(NEW.note AS TEXT)))
    WHERE id = OLD.id AND NEW.note IS NOT OLD.note;
END;

CREATE TRIGGER contacts_delete INSTEAD OF DELETE ON contacts
BEGIN
  UPDATE record SET deleted = 1, trashed = (SELECT value FROM meta WHERE key = 'ran') WHERE id = OLD.id;
END;

-- Who calls: WHERE tail = the last seven digits, then compare digits.
CREATE VIEW callers AS
SELECT p.tail, p.digits, r.id AS contact_id, r.title AS name
FROM phone p JOIN record r ON r.n = p.record WHERE r.deleted = 0;
