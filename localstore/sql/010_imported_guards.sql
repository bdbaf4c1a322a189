-- 010, format 4: what was imported, and views that refuse more.

-- Which content was imported into which record, on this device: what was
-- imported once is not imported again, whatever happened to the record since.
CREATE TABLE imported (
  id   TEXT NOT NULL,                          -- of the record
  hash BLOB NOT NULL CHECK (length(hash) = 16), -- of its lines, as they were imported
  PRIMARY KEY (id, hash)
) STRICT, WITHOUT ROWID;

-- The format belongs to the agent, which puts -1 into erase to raise it. A file
-- whose format a program had raised would be refused by every agent.
CREATE TRIGGER meta_guard_insert BEFORE INSERT ON meta
WHEN NEW.key = 'format' AND EXISTS (SELECT 1 FROM meta WHERE key = 'format') AND NOT EXISTS (SELECT 1 FROM erase WHERE n = -1)
BEGIN
  SELECT RAISE(ABORT, 'the format of the database is changed by sidekeep alone');
END;

CREATE TRIGGER meta_guard_update BEFORE UPDATE ON meta
WHEN (OLD.key = 'format' OR NEW.key = 'format') AND (NEW.value IS NOT OLD.value OR NEW.key <> OLD.key) AND NOT EXISTS (SELECT 1 FROM erase WHERE n = -1)
BEGIN
  SELECT RAISE(ABORT, 'the format of the database is changed by sidekeep alone');
END;

CREATE TRIGGER meta_guard_delete BEFORE DELETE ON meta
WHEN OLD.key = 'format' AND NOT EXISTS (SELECT 1 FROM erase WHERE n = -1)
BEGIN
  SELECT RAISE(ABORT, 'the format of the database is changed by sidekeep alone');
END;

-- A text that is kept as a large value reads as empty here, so what a program
-- makes of the column would replace a text that it did not see. Such a column is
-- refused as soon as an UPDATE names it. Column raw has a field of that kind as:
-- length and name of the key, length of the line, the line, which is a head, a
-- colon and a zero byte, then 1 for the blob. (OLD is asked for the value, as
-- another trigger can have changed the document before.)
CREATE TRIGGER contacts_large_name INSTEAD OF UPDATE OF name ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'02464e') > 0
  AND coalesce(OLD.name, '') = ''
  AND (instr(substr(raw, instr(raw, x'02464e') + 2 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'02464e') + 2 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column name: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_given_name INSTEAD OF UPDATE OF given_name, family_name ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'014e') > 0
  AND coalesce(OLD.given_name, '') || coalesce(OLD.family_name, '') = ''
  AND (instr(substr(raw, instr(raw, x'014e') + 1 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'014e') + 1 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column given_name or family_name: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_nickname INSTEAD OF UPDATE OF nickname ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'084e49434b4e414d45') > 0
  AND coalesce(OLD.nickname, '') = ''
  AND (instr(substr(raw, instr(raw, x'084e49434b4e414d45') + 8 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'084e49434b4e414d45') + 8 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column nickname: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_organisation INSTEAD OF UPDATE OF organisation ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'034f5247') > 0
  AND coalesce(OLD.organisation, '') = ''
  AND (instr(substr(raw, instr(raw, x'034f5247') + 3 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'034f5247') + 3 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column organisation: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_job_title INSTEAD OF UPDATE OF job_title ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'055449544c45') > 0
  AND coalesce(OLD.job_title, '') = ''
  AND (instr(substr(raw, instr(raw, x'055449544c45') + 5 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'055449544c45') + 5 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column job_title: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_birthday INSTEAD OF UPDATE OF birthday ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0442444159') > 0
  AND coalesce(OLD.birthday, '') = ''
  AND (instr(substr(raw, instr(raw, x'0442444159') + 4 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0442444159') + 4 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column birthday: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contacts_large_note INSTEAD OF UPDATE OF note ON contacts
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'044e4f5445') > 0
  AND coalesce(OLD.note, '') = ''
  AND (instr(substr(raw, instr(raw, x'044e4f5445') + 4 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'044e4f5445') + 4 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column note: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contact_phones_large INSTEAD OF UPDATE OF number, type ON contact_phones
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.contact_id AND instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) > 0
  AND coalesce(OLD.number, '') = ''
  AND (instr(substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1), x'3a0001') > 0 OR substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column number: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contact_emails_large INSTEAD OF UPDATE OF address, type ON contact_emails
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.contact_id AND instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) > 0
  AND coalesce(OLD.address, '') = ''
  AND (instr(substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1), x'3a0001') > 0 OR substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column address: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER contact_addresses_large INSTEAD OF UPDATE OF street, city, region, postal_code, country, type ON contact_addresses
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.contact_id AND instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) > 0
  AND coalesce(OLD.street, '') || coalesce(OLD.city, '') || coalesce(OLD.region, '') || coalesce(OLD.postal_code, '') || coalesce(OLD.country, '') = ''
  AND (instr(substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1), x'3a0001') > 0 OR substr(raw, instr(raw, CAST(char(length(OLD.key)) || OLD.key AS BLOB)) + length(OLD.key) + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column street: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER events_large_title INSTEAD OF UPDATE OF title ON events
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0753554d4d415259') > 0
  AND coalesce(OLD.title, '') = ''
  AND (instr(substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column title: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER events_large_place INSTEAD OF UPDATE OF place ON events
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'084c4f434154494f4e') > 0
  AND coalesce(OLD.place, '') = ''
  AND (instr(substr(raw, instr(raw, x'084c4f434154494f4e') + 8 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'084c4f434154494f4e') + 8 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column place: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER events_large_rule INSTEAD OF UPDATE OF rule ON events
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'055252554c45') > 0
  AND coalesce(OLD.rule, '') = ''
  AND (instr(substr(raw, instr(raw, x'055252554c45') + 5 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'055252554c45') + 5 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column rule: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER events_large_note INSTEAD OF UPDATE OF note ON events
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0b4445534352495054494f4e') > 0
  AND coalesce(OLD.note, '') = ''
  AND (instr(substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column note: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER tasks_large_title INSTEAD OF UPDATE OF title ON tasks
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0753554d4d415259') > 0
  AND coalesce(OLD.title, '') = ''
  AND (instr(substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column title: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER tasks_large_note INSTEAD OF UPDATE OF note ON tasks
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0b4445534352495054494f4e') > 0
  AND coalesce(OLD.note, '') = ''
  AND (instr(substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column note: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER notes_large_title INSTEAD OF UPDATE OF title ON notes
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0753554d4d415259') > 0
  AND coalesce(OLD.title, '') = ''
  AND (instr(substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column title: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER notes_large_body INSTEAD OF UPDATE OF body ON notes
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0b4445534352495054494f4e') > 0
  AND coalesce(OLD.body, '') = ''
  AND (instr(substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column body: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER pictures_large_name INSTEAD OF UPDATE OF name ON pictures
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0753554d4d415259') > 0
  AND coalesce(OLD.name, '') = ''
  AND (instr(substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0753554d4d415259') + 7 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column name: use sidekeep set and sidekeep export');
END;

CREATE TRIGGER pictures_large_note INSTEAD OF UPDATE OF note ON pictures
WHEN EXISTS (SELECT 1 FROM record WHERE id = OLD.id AND instr(raw, x'0b4445534352495054494f4e') > 0
  AND coalesce(OLD.note, '') = ''
  AND (instr(substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1), x'3a0001') > 0 OR substr(raw, instr(raw, x'0b4445534352495054494f4e') + 11 + 1, 3) = x'010001'))
BEGIN
  SELECT RAISE(ABORT, 'this text is too large for the column note: use sidekeep set and sidekeep export');
END;

-- What is filled by sidekeep can not be inserted either.
CREATE TRIGGER contacts_insert_filled INSTEAD OF INSERT ON contacts
WHEN NEW.sort IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'sort is filled by sidekeep');
END;

CREATE TRIGGER events_insert_filled INSTEAD OF INSERT ON events
WHEN NEW.start_utc IS NOT NULL OR NEW.end_utc IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'start_utc and end_utc are filled by sidekeep');
END;

CREATE TRIGGER tasks_insert_filled INSTEAD OF INSERT ON tasks
WHEN NEW.due_utc IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'due_utc is filled by sidekeep');
END;

-- Days that no calendar has: SQLite counts 30 February on into March.
CREATE TRIGGER events_insert_day_start INSTEAD OF INSERT ON events
WHEN NEW.start IS NOT NULL AND date(substr(NEW.start, 1, 10), '+0 days') IS NOT substr(NEW.start, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'start is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER events_insert_day_end INSTEAD OF INSERT ON events
WHEN NEW."end" IS NOT NULL AND date(substr(NEW."end", 1, 10), '+0 days') IS NOT substr(NEW."end", 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'end is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER events_update_day_start INSTEAD OF UPDATE ON events
WHEN NEW.start IS NOT NULL AND NEW.start IS NOT OLD.start AND date(substr(NEW.start, 1, 10), '+0 days') IS NOT substr(NEW.start, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'start is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER events_update_day_end INSTEAD OF UPDATE ON events
WHEN NEW."end" IS NOT NULL AND NEW."end" IS NOT OLD."end" AND date(substr(NEW."end", 1, 10), '+0 days') IS NOT substr(NEW."end", 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'end is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER tasks_insert_day_start INSTEAD OF INSERT ON tasks
WHEN NEW.start IS NOT NULL AND date(substr(NEW.start, 1, 10), '+0 days') IS NOT substr(NEW.start, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'start is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER tasks_insert_day_due INSTEAD OF INSERT ON tasks
WHEN NEW.due IS NOT NULL AND date(substr(NEW.due, 1, 10), '+0 days') IS NOT substr(NEW.due, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'due is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER tasks_update_day_start INSTEAD OF UPDATE ON tasks
WHEN NEW.start IS NOT NULL AND NEW.start IS NOT OLD.start AND date(substr(NEW.start, 1, 10), '+0 days') IS NOT substr(NEW.start, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'start is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER tasks_update_day_due INSTEAD OF UPDATE ON tasks
WHEN NEW.due IS NOT NULL AND NEW.due IS NOT OLD.due AND date(substr(NEW.due, 1, 10), '+0 days') IS NOT substr(NEW.due, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'due is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER pictures_update_day_taken INSTEAD OF UPDATE ON pictures
WHEN NEW.taken IS NOT NULL AND NEW.taken IS NOT OLD.taken AND date(substr(NEW.taken, 1, 10), '+0 days') IS NOT substr(NEW.taken, 1, 10)
BEGIN
  SELECT RAISE(ABORT, 'taken is not a day of the calendar, or not written YYYY-MM-DD or YYYY-MM-DDTHH:MM');
END;

CREATE TRIGGER contacts_insert_birthday INSTEAD OF INSERT ON contacts
WHEN (NEW.birthday NOT GLOB '--*' AND date(NEW.birthday, '+0 days') IS NOT NEW.birthday
  OR NEW.birthday GLOB '--[0-9][0-9]*' AND date('2000-' || substr(replace(substr(NEW.birthday, 3), '-', ''), 1, 2) || '-' || substr(replace(substr(NEW.birthday, 3), '-', '') || '01', 3, 2), '+0 days')
    IS NOT '2000-' || substr(replace(substr(NEW.birthday, 3), '-', ''), 1, 2) || '-' || substr(replace(substr(NEW.birthday, 3), '-', '') || '01', 3, 2))
BEGIN
  SELECT RAISE(ABORT, 'birthday is not a day of the calendar');
END;

CREATE TRIGGER contacts_update_birthday INSTEAD OF UPDATE ON contacts
WHEN NEW.birthday IS NOT OLD.birthday AND (NEW.birthday NOT GLOB '--*' AND date(NEW.birthday, '+0 days') IS NOT NEW.birthday
  OR NEW.birthday GLOB '--[0-9][0-9]*' AND date('2000-' || substr(replace(substr(NEW.birthday, 3), '-', ''), 1, 2) || '-' || substr(replace(substr(NEW.birthday, 3), '-', '') || '01', 3, 2), '+0 days')
    IS NOT '2000-' || substr(replace(substr(NEW.birthday, 3), '-', ''), 1, 2) || '-' || substr(replace(substr(NEW.birthday, 3), '-', '') || '01', 3, 2))
BEGIN
  SELECT RAISE(ABORT, 'birthday is not a day of the calendar');
END;

-- Start and end are compared where both are of one kind: days, wall times, UTC.
-- Only what a statement changes is looked at.
CREATE TRIGGER events_insert_order INSTEAD OF INSERT ON events
WHEN (length(NEW.start) = 10) = (length(NEW."end") = 10) AND (NEW.start LIKE '%Z') = (NEW."end" LIKE '%Z')
  AND datetime(NEW."end") < datetime(NEW.start)
BEGIN
  SELECT RAISE(ABORT, 'end is before start: write both in one statement');
END;

CREATE TRIGGER events_insert_whole_day INSTEAD OF INSERT ON events
WHEN NEW.all_day IS NOT NULL AND NEW.all_day NOT IN (0, 1)
BEGIN
  SELECT RAISE(ABORT, 'all_day must be 0 or 1');
END;

CREATE TRIGGER events_insert_whole_day_time INSTEAD OF INSERT ON events
WHEN NEW.all_day IS 1 AND (length(NEW.start) > 10 OR length(NEW."end") > 10)
BEGIN
  SELECT RAISE(ABORT, 'a whole day has no time, and this one would be lost: with all_day = 1 write start and end as YYYY-MM-DD');
END;

CREATE TRIGGER events_update_order INSTEAD OF UPDATE ON events
WHEN (length(NEW.start) = 10) = (length(NEW."end") = 10) AND (NEW.start LIKE '%Z') = (NEW."end" LIKE '%Z')
  AND datetime(NEW."end") < datetime(NEW.start)
  AND (NEW.start IS NOT OLD.start OR NEW."end" IS NOT OLD."end")
BEGIN
  SELECT RAISE(ABORT, 'end is before start: write both in one statement');
END;

CREATE TRIGGER events_update_whole_day INSTEAD OF UPDATE ON events
WHEN NEW.all_day IS NOT NULL AND NEW.all_day IS NOT OLD.all_day AND NEW.all_day NOT IN (0, 1)
BEGIN
  SELECT RAISE(ABORT, 'all_day must be 0 or 1');
END;

CREATE TRIGGER events_update_whole_day_time INSTEAD OF UPDATE ON events
WHEN NEW.all_day IS 1 AND (length(NEW.start) > 10 OR length(NEW."end") > 10) AND NEW.all_day IS NOT OLD.all_day
BEGIN
  SELECT RAISE(ABORT, 'a whole day has no time, and this one would be lost: with all_day = 1 write start and end as YYYY-MM-DD');
END;

-- FN and N are two lines: an UPDATE of one leaves the other as it is.
DROP TRIGGER contacts_update;
CREATE TRIGGER contacts_update INSTEAD OF UPDATE ON contacts
BEGIN
  SELECT RAISE(ABORT, 'the id of a contact can not be changed') WHERE NEW.id IS NOT OLD.id;
  SELECT RAISE(ABORT, 'sort is filled by sidekeep') WHERE NEW.sort IS NOT OLD.sort;
  SELECT RAISE(ABORT, 'birthday must be YYYY-MM-DD')
    WHERE NEW.birthday IS NOT NULL AND NEW.birthday IS NOT OLD.birthday
      AND date(NEW.birthday) IS NOT NEW.birthday AND NEW.birthday NOT GLOB '--[0-9][0-9]*';
  UPDATE record SET doc = json_patch(doc, json_object('FN', CAST(NEW.name AS TEXT)))
    WHERE id = OLD.id AND NEW.name IS NOT OLD.name;
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

-- done can be given as text: '0' or '1'.
DROP TRIGGER tasks_insert;
DROP TRIGGER tasks_update;
CREATE TRIGGER tasks_insert INSTEAD OF INSERT ON tasks
BEGIN
  SELECT RAISE(ABORT, 'the id must be 32 hexadecimal digits: take one from new_id, or leave it out')
    WHERE NEW.id IS NOT NULL AND (length(NEW.id) <> 32 OR lower(NEW.id) GLOB '*[^0-9a-f]*');
  SELECT RAISE(ABORT, 'a task needs a title') WHERE coalesce(NEW.title, '') = '';
  SELECT RAISE(ABORT, 'start must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.start IS NOT NULL AND (datetime(NEW.start) IS NULL OR length(NEW.start) NOT IN (10, 16, 17, 19, 20) OR NEW.start NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'due must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.due IS NOT NULL AND (datetime(NEW.due) IS NULL OR length(NEW.due) NOT IN (10, 16, 17, 19, 20) OR NEW.due NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'priority must be a number from 0 to 9: 1 is the highest, 0 is none')
    WHERE NEW.priority IS NOT NULL AND NEW.priority NOT IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  SELECT RAISE(ABORT, 'done must be 0 or 1') WHERE CAST(NEW.done AS TEXT) NOT IN ('0', '1');
  INSERT INTO record (id, kind, doc, par) VALUES (
    lower(coalesce(NEW.id, hex(randomblob(16)))), 'tasks',
    json_patch('{}', json_object(
      'SUMMARY', CAST(NEW.title AS TEXT),
      'DTSTART', CASE WHEN NEW.start IS NOT NULL THEN CASE WHEN 0 THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T') END END,
      'DUE', CASE WHEN NEW.due IS NOT NULL THEN CASE WHEN 0 THEN substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T') END END,
      'STATUS', CASE WHEN CAST(NEW.done AS INTEGER) THEN 'COMPLETED' WHEN NOT CAST(NEW.done AS INTEGER) THEN 'NEEDS-ACTION' END,
      'COMPLETED', CASE WHEN CAST(NEW.done AS INTEGER) THEN strftime('%Y%m%dT%H%M%SZ', 'now') END,
      'PRIORITY', CAST(CAST(NEW.priority AS INTEGER) AS TEXT),
      'DESCRIPTION', CAST(NEW.note AS TEXT))),
    nullif(json_patch('{}', json_object(
      'DTSTART', CASE WHEN NEW.start IS NULL THEN NULL WHEN 0 OR length(NEW.start) = 10 THEN 'DTSTART;VALUE=DATE'
        WHEN NEW.start NOT LIKE '%Z' AND NULL IS NOT NULL THEN 'DTSTART;TZID=' || NULL END,
      'DUE', CASE WHEN NEW.due IS NULL THEN NULL WHEN 0 OR length(NEW.due) = 10 THEN 'DUE;VALUE=DATE'
        WHEN NEW.due NOT LIKE '%Z' AND NULL IS NOT NULL THEN 'DUE;TZID=' || NULL END)), '{}'));
END;

CREATE TRIGGER tasks_update INSTEAD OF UPDATE ON tasks
BEGIN
  SELECT RAISE(ABORT, 'the id of a task can not be changed') WHERE NEW.id IS NOT OLD.id;
  SELECT RAISE(ABORT, 'due_utc is filled by sidekeep') WHERE NEW.due_utc IS NOT OLD.due_utc;
  SELECT RAISE(ABORT, 'start must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.start IS NOT NULL AND NEW.start IS NOT OLD.start AND (datetime(NEW.start) IS NULL OR length(NEW.start) NOT IN (10, 16, 17, 19, 20) OR NEW.start NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'due must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.due IS NOT NULL AND NEW.due IS NOT OLD.due AND (datetime(NEW.due) IS NULL OR length(NEW.due) NOT IN (10, 16, 17, 19, 20) OR NEW.due NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'priority must be a number from 0 to 9: 1 is the highest, 0 is none')
    WHERE NEW.priority IS NOT NULL AND NEW.priority IS NOT OLD.priority AND NEW.priority NOT IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  SELECT RAISE(ABORT, 'done must be 0 or 1') WHERE NEW.done IS NULL OR CAST(NEW.done AS TEXT) NOT IN ('0', '1');
  UPDATE record SET doc = json_patch(doc, json_object('SUMMARY', CAST(NEW.title AS TEXT)))
    WHERE id = OLD.id AND NEW.title IS NOT OLD.title;
  UPDATE record SET
      doc = json_patch(doc, json_object('DTSTART', CASE WHEN NEW.start IS NOT NULL THEN CASE WHEN 0 THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T') END END)),
      par = json_patch(coalesce(par, '{}'), json_object('DTSTART', CASE WHEN NEW.start IS NULL THEN NULL WHEN 0 OR length(NEW.start) = 10 THEN 'DTSTART;VALUE=DATE'
        WHEN NEW.start NOT LIKE '%Z' AND (CASE WHEN json_extract(par, '$.DTSTART') LIKE '%TZID=%' THEN replace(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5, instr(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5) || ';', ';') - 1), '"', '') END) IS NOT NULL THEN 'DTSTART;TZID=' || (CASE WHEN json_extract(par, '$.DTSTART') LIKE '%TZID=%' THEN replace(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5, instr(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5) || ';', ';') - 1), '"', '') END) END))
    WHERE id = OLD.id AND NEW.start IS NOT OLD.start;
  UPDATE record SET
      doc = json_patch(doc, json_object('DUE', CASE WHEN NEW.due IS NOT NULL THEN CASE WHEN 0 THEN substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.due, '-', ''), ':', ''), ' ', 'T') END END)),
      par = json_patch(coalesce(par, '{}'), json_object('DUE', CASE WHEN NEW.due IS NULL THEN NULL WHEN 0 OR length(NEW.due) = 10 THEN 'DUE;VALUE=DATE'
        WHEN NEW.due NOT LIKE '%Z' AND (CASE WHEN json_extract(par, '$.DUE') LIKE '%TZID=%' THEN replace(substr(json_extract(par, '$.DUE'), instr(json_extract(par, '$.DUE'), 'TZID=') + 5, instr(substr(json_extract(par, '$.DUE'), instr(json_extract(par, '$.DUE'), 'TZID=') + 5) || ';', ';') - 1), '"', '') END) IS NOT NULL THEN 'DUE;TZID=' || (CASE WHEN json_extract(par, '$.DUE') LIKE '%TZID=%' THEN replace(substr(json_extract(par, '$.DUE'), instr(json_extract(par, '$.DUE'), 'TZID=') + 5, instr(substr(json_extract(par, '$.DUE'), instr(json_extract(par, '$.DUE'), 'TZID=') + 5) || ';', ';') - 1), '"', '') END) END))
    WHERE id = OLD.id AND NEW.due IS NOT OLD.due;
  UPDATE record SET doc = CASE WHEN CAST(NEW.done AS INTEGER)
      THEN json_patch(doc, json_object('STATUS', 'COMPLETED', 'PERCENT-COMPLETE', '100', 'COMPLETED', strftime('%Y%m%dT%H%M%SZ', 'now')))
      ELSE json_patch(doc, '{"STATUS":"NEEDS-ACTION","PERCENT-COMPLETE":null,"COMPLETED":null}') END
    WHERE id = OLD.id AND CAST(NEW.done AS INTEGER) IS NOT OLD.done;
  UPDATE record SET doc = json_patch(doc, json_object('PRIORITY', CAST(CAST(NEW.priority AS INTEGER) AS TEXT)))
    WHERE id = OLD.id AND NEW.priority IS NOT OLD.priority;
  UPDATE record SET doc = json_patch(doc, json_object('DESCRIPTION', CAST(NEW.note AS TEXT)))
    WHERE id = OLD.id AND NEW.note IS NOT OLD.note;
END;
