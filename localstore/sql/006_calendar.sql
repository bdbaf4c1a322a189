-- 006: events and tasks for apps. Times are shown as YYYY-MM-DD for whole days,
-- YYYY-MM-DDTHH:MM (and :SS where it is not 00) otherwise, with a Z where they
-- are UTC; they are wall time in time_zone, or of the place one is at if that is
-- NULL. end is the first moment (or day) after. start_utc, end_utc and due_utc
-- are filled by sidekeep some moments after a write. Recurrences are not expanded.

CREATE VIEW events AS
SELECT id,
  json_extract(doc, '$.SUMMARY') AS title,
  CASE WHEN length(json_extract(doc, '$.DTSTART')) = 8 AND json_extract(doc, '$.DTSTART') GLOB '[0-9]*' THEN substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2)
    WHEN json_extract(doc, '$.DTSTART') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2) || 'T' || substr(json_extract(doc, '$.DTSTART'), 10, 2) || ':' || substr(json_extract(doc, '$.DTSTART'), 12, 2)
      || CASE substr(json_extract(doc, '$.DTSTART'), 14, 2) WHEN '00' THEN '' ELSE ':' || substr(json_extract(doc, '$.DTSTART'), 14, 2) END || substr(json_extract(doc, '$.DTSTART'), 16, 1)
    ELSE json_extract(doc, '$.DTSTART') END AS start,
  CASE WHEN length(json_extract(doc, '$.DTEND')) = 8 AND json_extract(doc, '$.DTEND') GLOB '[0-9]*' THEN substr(json_extract(doc, '$.DTEND'), 1, 4) || '-' || substr(json_extract(doc, '$.DTEND'), 5, 2) || '-' || substr(json_extract(doc, '$.DTEND'), 7, 2)
    WHEN json_extract(doc, '$.DTEND') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      substr(json_extract(doc, '$.DTEND'), 1, 4) || '-' || substr(json_extract(doc, '$.DTEND'), 5, 2) || '-' || substr(json_extract(doc, '$.DTEND'), 7, 2) || 'T' || substr(json_extract(doc, '$.DTEND'), 10, 2) || ':' || substr(json_extract(doc, '$.DTEND'), 12, 2)
      || CASE substr(json_extract(doc, '$.DTEND'), 14, 2) WHEN '00' THEN '' ELSE ':' || substr(json_extract(doc, '$.DTEND'), 14, 2) END || substr(json_extract(doc, '$.DTEND'), 16, 1)
    ELSE json_extract(doc, '$.DTEND') END AS "end",
  length(json_extract(doc, '$.DTSTART')) = 8 AS all_day,
  CASE WHEN json_extract(par, '$.DTSTART') LIKE '%TZID=%' THEN replace(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5, instr(substr(json_extract(par, '$.DTSTART'), instr(json_extract(par, '$.DTSTART'), 'TZID=') + 5) || ';', ';') - 1), '"', '') END AS time_zone,
  json_extract(doc, '$.DURATION') AS duration,
  json_extract(doc, '$.LOCATION') AS place,
  json_extract(doc, '$.RRULE') AS rule,
  json_extract(doc, '$.DESCRIPTION') AS note,
  start_utc, end_utc
FROM record WHERE kind = 'events' AND deleted = 0;

CREATE TRIGGER events_insert INSTEAD OF INSERT ON events
BEGIN
  SELECT RAISE(ABORT, 'the id must be 32 hexadecimal digits: take one from new_id, or leave it out')
    WHERE NEW.id IS NOT NULL AND (length(NEW.id) <> 32 OR lower(NEW.id) GLOB '*[^0-9a-f]*');
  SELECT RAISE(ABORT, 'an event needs a start') WHERE NEW.start IS NULL;
  SELECT RAISE(ABORT, 'start must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.start IS NOT NULL AND (datetime(NEW.start) IS NULL OR length(NEW.start) NOT IN (10, 16, 17, 19, 20) OR NEW.start NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'end must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW."end" IS NOT NULL AND (datetime(NEW."end") IS NULL OR length(NEW."end") NOT IN (10, 16, 17, 19, 20) OR NEW."end" NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'time_zone must be a name like Europe/Berlin') WHERE NEW.time_zone GLOB '*[^-A-Za-z0-9/_+ .]*';
  SELECT RAISE(ABORT, 'rule must be a recurrence rule like FREQ=WEEKLY;BYDAY=MO') WHERE NEW.rule NOT LIKE '%FREQ=%';
  SELECT RAISE(ABORT, 'an event has an end or a duration, not both') WHERE NEW."end" IS NOT NULL AND NEW.duration IS NOT NULL;
  INSERT INTO record (id, kind, doc, par) VALUES (
    lower(coalesce(NEW.id, hex(randomblob(16)))), 'events',
    json_patch('{}', json_object(
      'SUMMARY', CAST(NEW.title AS TEXT),
      'DTSTART', CASE WHEN NEW.all_day IS 1 THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T') END,
      'DTEND', CASE WHEN NEW."end" IS NOT NULL THEN CASE WHEN NEW.all_day IS 1 THEN substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T') END END,
      'DURATION', CAST(NEW.duration AS TEXT),
      'LOCATION', CAST(NEW.place AS TEXT),
      'RRULE', CAST(NEW.rule AS TEXT),
      'DESCRIPTION', CAST(NEW.note AS TEXT))),
    nullif(json_patch('{}', json_object(
      'DTSTART', CASE WHEN NEW.start IS NULL THEN NULL WHEN NEW.all_day IS 1 OR length(NEW.start) = 10 THEN 'DTSTART;VALUE=DATE'
        WHEN NEW.start NOT LIKE '%Z' AND NEW.time_zone IS NOT NULL THEN 'DTSTART;TZID=' || NEW.time_zone END,
      'DTEND', CASE WHEN NEW."end" IS NULL THEN NULL WHEN NEW.all_day IS 1 OR length(NEW."end") = 10 THEN 'DTEND;VALUE=DATE'
        WHEN NEW."end" NOT LIKE '%Z' AND NEW.time_zone IS NOT NULL THEN 'DTEND;TZID=' || NEW.time_zone END)), '{}'));
END;

CREATE TRIGGER events_update INSTEAD OF UPDATE ON events
BEGIN
  SELECT RAISE(ABORT, 'the id of an event can not be changed') WHERE NEW.id IS NOT OLD.id;
  SELECT RAISE(ABORT, 'an event needs a start') WHERE NEW.start IS NULL AND OLD.start IS NOT NULL;
  SELECT RAISE(ABORT, 'start_utc and end_utc are filled by sidekeep') WHERE NEW.start_utc IS NOT OLD.start_utc OR NEW.end_utc IS NOT OLD.end_utc;
  SELECT RAISE(ABORT, 'start must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW.start IS NOT NULL AND NEW.start IS NOT OLD.start AND (datetime(NEW.start) IS NULL OR length(NEW.start) NOT IN (10, 16, 17, 19, 20) OR NEW.start NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'end must be YYYY-MM-DD, or YYYY-MM-DDTHH:MM with a Z at the end for UTC')
    WHERE NEW."end" IS NOT NULL AND NEW."end" IS NOT OLD."end" AND (datetime(NEW."end") IS NULL OR length(NEW."end") NOT IN (10, 16, 17, 19, 20) OR NEW."end" NOT GLOB '[0-9][0-9][0-9][0-9]-*');
  SELECT RAISE(ABORT, 'time_zone must be a name like Europe/Berlin') WHERE NEW.time_zone GLOB '*[^-A-Za-z0-9/_+ .]*';
  SELECT RAISE(ABORT, 'rule must be a recurrence rule like FREQ=WEEKLY;BYDAY=MO') WHERE NEW.rule IS NOT OLD.rule AND NEW.rule NOT LIKE '%FREQ=%';
  UPDATE record SET doc = json_patch(doc, json_object('SUMMARY', CAST(NEW.title AS TEXT)))
    WHERE id = OLD.id AND NEW.title IS NOT OLD.title;
  UPDATE record SET
      doc = json_patch(doc, json_object('DTSTART', CASE WHEN (NEW.all_day IS 1 AND (OLD.all_day IS NOT 1 OR length(NEW.start) = 10)) THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW.start, '-', ''), ':', ''), ' ', 'T') END)),
      par = json_patch(coalesce(par, '{}'), json_object('DTSTART', CASE WHEN NEW.start IS NULL THEN NULL WHEN (NEW.all_day IS 1 AND (OLD.all_day IS NOT 1 OR length(NEW.start) = 10)) OR length(NEW.start) = 10 THEN 'DTSTART;VALUE=DATE'
        WHEN NEW.start NOT LIKE '%Z' AND NEW.time_zone IS NOT NULL THEN 'DTSTART;TZID=' || NEW.time_zone END))
    WHERE id = OLD.id AND (NEW.start IS NOT OLD.start OR NEW.time_zone IS NOT OLD.time_zone OR (NEW.all_day IS NOT OLD.all_day AND NEW.all_day IS 1));
  UPDATE record SET
      doc = json_patch(json_remove(doc, '$.DURATION'), json_object('DTEND', CASE WHEN NEW."end" IS NOT NULL THEN CASE WHEN (NEW.all_day IS 1 AND (OLD.all_day IS NOT 1 OR length(NEW.start) = 10)) THEN substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 1, 8)
        WHEN length(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T')) IN (13, 14) THEN substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 1, 13) || '00' || substr(replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T'), 14)
        ELSE replace(replace(replace(NEW."end", '-', ''), ':', ''), ' ', 'T') END END)),
      par = json_patch(coalesce(par, '{}'), json_object('DTEND', CASE WHEN NEW."end" IS NULL THEN NULL WHEN (NEW.all_day IS 1 AND (OLD.all_day IS NOT 1 OR length(NEW.start) = 10)) OR length(NEW."end") = 10 THEN 'DTEND;VALUE=DATE'
        WHEN NEW."end" NOT LIKE '%Z' AND NEW.time_zone IS NOT NULL THEN 'DTEND;TZID=' || NEW.time_zone END))
    WHERE id = OLD.id AND (NEW."end" IS NOT OLD."end" OR NEW."end" IS NOT NULL AND (NEW.time_zone IS NOT OLD.time_zone OR (NEW.all_day IS NOT OLD.all_day AND NEW.all_day IS 1)));
  UPDATE record SET doc = json_patch(json_remove(doc, '$.DTEND'), json_object('DURATION', CAST(NEW.duration AS TEXT)))
    WHERE id = OLD.id AND NEW.duration IS NOT OLD.duration AND NEW.duration IS NOT NULL;
  UPDATE record SET doc = json_patch(doc, json_object('LOCATION', CAST(NEW.place AS TEXT)))
    WHERE id = OLD.id AND NEW.place IS NOT OLD.place;
  UPDATE record SET doc = json_patch(doc, json_object('RRULE', CAST(NEW.rule AS TEXT)))
    WHERE id = OLD.id AND NEW.rule IS NOT OLD.rule;
  UPDATE record SET doc = json_patch(doc, json_object('DESCRIPTION', CAST(NEW.note AS TEXT)))
    WHERE id = OLD.id AND NEW.note IS NOT OLD.note;
END;

CREATE TRIGGER events_delete INSTEAD OF DELETE ON events
BEGIN
  UPDATE record SET deleted = 1, trashed = (SELECT value FROM meta WHERE key = 'ran') WHERE id = OLD.id;
END;

CREATE VIEW tasks AS
SELECT id,
  json_extract(doc, '$.SUMMARY') AS title,
  CASE WHEN length(json_extract(doc, '$.DTSTART')) = 8 AND json_extract(doc, '$.DTSTART') GLOB '[0-9]*' THEN substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2)
    WHEN json_extract(doc, '$.DTSTART') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      substr(json_extract(doc, '$.DTSTART'), 1, 4) || '-' || substr(json_extract(doc, '$.DTSTART'), 5, 2) || '-' || substr(json_extract(doc, '$.DTSTART'), 7, 2) || 'T' || substr(json_extract(doc, '$.DTSTART'), 10, 2) || ':' || substr(json_extract(doc, '$.DTSTART'), 12, 2)
      || CASE substr(json_extract(doc, '$.DTSTART'), 14, 2) WHEN '00' THEN '' ELSE ':' || substr(json_extract(doc, '$.DTSTART'), 14, 2) END || substr(json_extract(doc, '$.DTSTART'), 16, 1)
    ELSE json_extract(doc, '$.DTSTART') END AS start,
  CASE WHEN length(json_extract(doc, '$.DUE')) = 8 AND json_extract(doc, '$.DUE') GLOB '[0-9]*' THEN substr(json_extract(doc, '$.DUE'), 1, 4) || '-' || substr(json_extract(doc, '$.DUE'), 5, 2) || '-' || substr(json_extract(doc, '$.DUE'), 7, 2)
    WHEN json_extract(doc, '$.DUE') GLOB '[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]T[0-9][0-9][0-9][0-9][0-9][0-9]*' THEN
      substr(json_extract(doc, '$.DUE'), 1, 4) || '-' || substr(json_extract(doc, '$.DUE'), 5, 2) || '-' || substr(json_extract(doc, '$.DUE'), 7, 2) || 'T' || substr(json_extract(doc, '$.DUE'), 10, 2) || ':' || substr(json_extract(doc, '$.DUE'), 12, 2)
      || CASE substr(json_extract(doc, '$.DUE'), 14, 2) WHEN '00' THEN '' ELSE ':' || substr(json_extract(doc, '$.DUE'), 14, 2) END || substr(json_extract(doc, '$.DUE'), 16, 1)
    ELSE json_extract(doc, '$.DUE') END AS due,
  coalesce(json_extract(doc, '$.STATUS') = 'COMPLETED', 0) OR json_extract(doc, '$.COMPLETED') IS NOT NULL AS done,
  CAST(json_extract(doc, '$.PRIORITY') AS INTEGER) AS priority,
  json_extract(doc, '$.DESCRIPTION') AS note,
  due_utc
FROM record WHERE kind = 'tasks' AND deleted = 0;

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
  SELECT RAISE(ABORT, 'done must be 0 or 1') WHERE NEW.done NOT IN (0, 1);
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
      'STATUS', CASE WHEN NEW.done THEN 'COMPLETED' WHEN NOT NEW.done THEN 'NEEDS-ACTION' END,
      'COMPLETED', CASE WHEN NEW.done THEN strftime('%Y%m%dT%H%M%SZ', 'now') END,
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
  SELECT RAISE(ABORT, 'done must be 0 or 1') WHERE NEW.done IS NULL OR NEW.done NOT IN (0, 1);
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
  UPDATE record SET doc = CASE WHEN NEW.done
      THEN json_patch(doc, json_object('STATUS', 'COMPLETED', 'PERCENT-COMPLETE', '100', 'COMPLETED', strftime('%Y%m%dT%H%M%SZ', 'now')))
      ELSE json_patch(doc, '{"STATUS":"NEEDS-ACTION","PERCENT-COMPLETE":null,"COMPLETED":null}') END
    WHERE id = OLD.id AND NEW.done IS NOT OLD.done;
  UPDATE record SET doc = json_patch(doc, json_object('PRIORITY', CAST(CAST(NEW.priority AS INTEGER) AS TEXT)))
    WHERE id = OLD.id AND NEW.priority IS NOT OLD.priority;
  UPDATE record SET doc = json_patch(doc, json_object('DESCRIPTION', CAST(NEW.note AS TEXT)))
    WHERE id = OLD.id AND NEW.note IS NOT OLD.note;
END;

CREATE TRIGGER tasks_delete INSTEAD OF DELETE ON tasks
BEGIN
  UPDATE record SET deleted = 1, trashed = (SELECT value FROM meta WHERE key = 'ran') WHERE id = OLD.id;
END;
