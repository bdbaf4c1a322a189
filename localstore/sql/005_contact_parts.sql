-- 005: phone numbers, e-mail addresses and postal addresses of contacts, a row
-- each. key names the field inside the contact; it is made by the insert and
-- stays. type is the TYPE parameter in lower case, several divided by commas.

CREATE VIEW contact_phones AS
SELECT r.id AS contact_id, e.key AS key,
  CASE WHEN e.value LIKE 'tel:%' THEN substr(e.value, 5) ELSE e.value END AS number,
  CASE WHEN instr(json_extract(r.par, '$."' || e.key || '"'), ';') > 0 THEN
    trim(replace(replace(replace(replace(lower(substr(json_extract(r.par, '$."' || e.key || '"'), instr(json_extract(r.par, '$."' || e.key || '"'), ';') + 1)),
      'value=uri', ''), 'type=', ''), '"', ''), ';', ','), ',') END AS type
FROM record r, json_each(r.doc) e
WHERE r.kind = 'contacts' AND r.deleted = 0 AND (e.key = 'TEL' OR e.key GLOB 'TEL.*');

CREATE TRIGGER contact_phones_insert INSTEAD OF INSERT ON contact_phones
BEGIN
  SELECT RAISE(ABORT, 'there is no contact with this contact_id')
    WHERE NOT EXISTS (SELECT 1 FROM record WHERE id = NEW.contact_id AND kind = 'contacts' AND deleted = 0);
  SELECT RAISE(ABORT, 'the number is missing: to remove a phone number use DELETE') WHERE coalesce(NEW.number, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type GLOB '*[^-A-Za-z0-9,]*';
  -- DISTINCT keeps the random key from being computed twice.
  UPDATE record SET (doc, par) = (
      SELECT json_patch(doc, json_object(k.key, CAST(NEW.number AS TEXT))),
        CASE WHEN coalesce(NEW.type, '') = '' THEN par
          ELSE json_patch(coalesce(par, '{}'), json_object(k.key, 'TEL;TYPE=' || replace(NEW.type, ',', ';TYPE='))) END
      FROM (SELECT DISTINCT 'TEL.' || coalesce(NEW.key, replace(replace(replace(replace(lower(hex(randomblob(3))), '0', 'w'), '1', 'x'), '8', 'y'), '9', 'z')) AS key) k)
    WHERE id = NEW.contact_id;
END;

CREATE TRIGGER contact_phones_update INSTEAD OF UPDATE ON contact_phones
BEGIN
  SELECT RAISE(ABORT, 'contact_id and key of a phone number can not be changed')
    WHERE NEW.contact_id IS NOT OLD.contact_id OR NEW.key IS NOT OLD.key;
  SELECT RAISE(ABORT, 'the number is missing: to remove a phone number use DELETE') WHERE coalesce(NEW.number, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type IS NOT OLD.type AND NEW.type GLOB '*[^-A-Za-z0-9,]*';
  UPDATE record SET doc = json_patch(doc, json_object(OLD.key, CASE WHEN json_extract(doc, '$."' || OLD.key || '"') LIKE 'tel:%' THEN 'tel:' || NEW.number ELSE CAST(NEW.number AS TEXT) END))
    WHERE id = OLD.contact_id AND (NEW.number IS NOT OLD.number);
  -- The group before the name stays, and so does the form of the value.
  UPDATE record SET par = json_patch(coalesce(par, '{}'), json_object(OLD.key,
      nullif(substr(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'TEL'), 1,
          instr(upper(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'TEL')), 'TEL') + 2)
        || CASE WHEN json_extract(par, '$."' || OLD.key || '"') LIKE '%VALUE=uri%' THEN ';VALUE=uri' ELSE '' END
        || CASE WHEN coalesce(NEW.type, '') = '' THEN '' ELSE ';TYPE=' || replace(NEW.type, ',', ';TYPE=') END, 'TEL')))
    WHERE id = OLD.contact_id AND NEW.type IS NOT OLD.type;
END;

CREATE TRIGGER contact_phones_delete INSTEAD OF DELETE ON contact_phones
BEGIN
  UPDATE record SET doc = json_remove(doc, '$."' || OLD.key || '"') WHERE id = OLD.contact_id;
END;

CREATE VIEW contact_emails AS
SELECT r.id AS contact_id, e.key AS key,
  e.value AS address,
  CASE WHEN instr(json_extract(r.par, '$."' || e.key || '"'), ';') > 0 THEN
    trim(replace(replace(replace(replace(lower(substr(json_extract(r.par, '$."' || e.key || '"'), instr(json_extract(r.par, '$."' || e.key || '"'), ';') + 1)),
      'value=uri', ''), 'type=', ''), '"', ''), ';', ','), ',') END AS type
FROM record r, json_each(r.doc) e
WHERE r.kind = 'contacts' AND r.deleted = 0 AND (e.key = 'EMAIL' OR e.key GLOB 'EMAIL.*');

CREATE TRIGGER contact_emails_insert INSTEAD OF INSERT ON contact_emails
BEGIN
  SELECT RAISE(ABORT, 'there is no contact with this contact_id')
    WHERE NOT EXISTS (SELECT 1 FROM record WHERE id = NEW.contact_id AND kind = 'contacts' AND deleted = 0);
  SELECT RAISE(ABORT, 'the address is missing: to remove an e-mail address use DELETE') WHERE coalesce(NEW.address, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type GLOB '*[^-A-Za-z0-9,]*';
  -- DISTINCT keeps the random key from being computed twice.
  UPDATE record SET (doc, par) = (
      SELECT json_patch(doc, json_object(k.key, CAST(NEW.address AS TEXT))),
        CASE WHEN coalesce(NEW.type, '') = '' THEN par
          ELSE json_patch(coalesce(par, '{}'), json_object(k.key, 'EMAIL;TYPE=' || replace(NEW.type, ',', ';TYPE='))) END
      FROM (SELECT DISTINCT 'EMAIL.' || coalesce(NEW.key, replace(replace(replace(replace(lower(hex(randomblob(3))), '0', 'w'), '1', 'x'), '8', 'y'), '9', 'z')) AS key) k)
    WHERE id = NEW.contact_id;
END;

CREATE TRIGGER contact_emails_update INSTEAD OF UPDATE ON contact_emails
BEGIN
  SELECT RAISE(ABORT, 'contact_id and key of an e-mail address can not be changed')
    WHERE NEW.contact_id IS NOT OLD.contact_id OR NEW.key IS NOT OLD.key;
  SELECT RAISE(ABORT, 'the address is missing: to remove an e-mail address use DELETE') WHERE coalesce(NEW.address, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type IS NOT OLD.type AND NEW.type GLOB '*[^-A-Za-z0-9,]*';
  UPDATE record SET doc = json_patch(doc, json_object(OLD.key, CAST(NEW.address AS TEXT)))
    WHERE id = OLD.contact_id AND (NEW.address IS NOT OLD.address);
  -- The group before the name stays, and so does the form of the value.
  UPDATE record SET par = json_patch(coalesce(par, '{}'), json_object(OLD.key,
      nullif(substr(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'EMAIL'), 1,
          instr(upper(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'EMAIL')), 'EMAIL') + 4)
        || CASE WHEN json_extract(par, '$."' || OLD.key || '"') LIKE '%VALUE=uri%' THEN ';VALUE=uri' ELSE '' END
        || CASE WHEN coalesce(NEW.type, '') = '' THEN '' ELSE ';TYPE=' || replace(NEW.type, ',', ';TYPE=') END, 'EMAIL')))
    WHERE id = OLD.contact_id AND NEW.type IS NOT OLD.type;
END;

CREATE TRIGGER contact_emails_delete INSTEAD OF DELETE ON contact_emails
BEGIN
  UPDATE record SET doc = json_remove(doc, '$."' || OLD.key || '"') WHERE id = OLD.contact_id;
END;

CREATE VIEW contact_addresses AS
SELECT r.id AS contact_id, e.key AS key,
  nullif(json_extract(e.value, '$[2]'), '') AS street,
  nullif(json_extract(e.value, '$[3]'), '') AS city,
  nullif(json_extract(e.value, '$[4]'), '') AS region,
  nullif(json_extract(e.value, '$[5]'), '') AS postal_code,
  nullif(json_extract(e.value, '$[6]'), '') AS country,
  CASE WHEN instr(json_extract(r.par, '$."' || e.key || '"'), ';') > 0 THEN
    trim(replace(replace(replace(replace(lower(substr(json_extract(r.par, '$."' || e.key || '"'), instr(json_extract(r.par, '$."' || e.key || '"'), ';') + 1)),
      'value=uri', ''), 'type=', ''), '"', ''), ';', ','), ',') END AS type
FROM record r, json_each(r.doc) e
WHERE r.kind = 'contacts' AND r.deleted = 0 AND (e.key = 'ADR' OR e.key GLOB 'ADR.*');

CREATE TRIGGER contact_addresses_insert INSTEAD OF INSERT ON contact_addresses
BEGIN
  SELECT RAISE(ABORT, 'there is no contact with this contact_id')
    WHERE NOT EXISTS (SELECT 1 FROM record WHERE id = NEW.contact_id AND kind = 'contacts' AND deleted = 0);
  SELECT RAISE(ABORT, 'the address is empty: to remove an address use DELETE') WHERE coalesce(NEW.street, NEW.city, NEW.region, NEW.postal_code, NEW.country, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type GLOB '*[^-A-Za-z0-9,]*';
  -- DISTINCT keeps the random key from being computed twice.
  UPDATE record SET (doc, par) = (
      SELECT json_patch(doc, json_object(k.key, json_array('', '', CAST(coalesce(NEW.street, '') AS TEXT), CAST(coalesce(NEW.city, '') AS TEXT), CAST(coalesce(NEW.region, '') AS TEXT), CAST(coalesce(NEW.postal_code, '') AS TEXT), CAST(coalesce(NEW.country, '') AS TEXT)))),
        CASE WHEN coalesce(NEW.type, '') = '' THEN par
          ELSE json_patch(coalesce(par, '{}'), json_object(k.key, 'ADR;TYPE=' || replace(NEW.type, ',', ';TYPE='))) END
      FROM (SELECT DISTINCT 'ADR.' || coalesce(NEW.key, replace(replace(replace(replace(lower(hex(randomblob(3))), '0', 'w'), '1', 'x'), '8', 'y'), '9', 'z')) AS key) k)
    WHERE id = NEW.contact_id;
END;

CREATE TRIGGER contact_addresses_update INSTEAD OF UPDATE ON contact_addresses
BEGIN
  SELECT RAISE(ABORT, 'contact_id and key of an address can not be changed')
    WHERE NEW.contact_id IS NOT OLD.contact_id OR NEW.key IS NOT OLD.key;
  SELECT RAISE(ABORT, 'the address is empty: to remove an address use DELETE') WHERE coalesce(NEW.street, NEW.city, NEW.region, NEW.postal_code, NEW.country, '') = '';
  SELECT RAISE(ABORT, 'type must be words of letters and digits, divided by commas: home, work, cell')
    WHERE NEW.type IS NOT OLD.type AND NEW.type GLOB '*[^-A-Za-z0-9,]*';
  UPDATE record SET doc = json_patch(doc, json_object(OLD.key, json_array(coalesce(json_extract(doc, '$."' || OLD.key || '"[0]'), ''), coalesce(json_extract(doc, '$."' || OLD.key || '"[1]'), ''), CAST(coalesce(NEW.street, '') AS TEXT), CAST(coalesce(NEW.city, '') AS TEXT), CAST(coalesce(NEW.region, '') AS TEXT), CAST(coalesce(NEW.postal_code, '') AS TEXT), CAST(coalesce(NEW.country, '') AS TEXT))))
    WHERE id = OLD.contact_id AND (NEW.street IS NOT OLD.street OR NEW.city IS NOT OLD.city OR NEW.region IS NOT OLD.region OR NEW.postal_code IS NOT OLD.postal_code OR NEW.country IS NOT OLD.country);
  -- The group before the name stays, and so does the form of the value.
  UPDATE record SET par = json_patch(coalesce(par, '{}'), json_object(OLD.key,
      nullif(substr(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'ADR'), 1,
          instr(upper(coalesce(json_extract(par, '$."' || OLD.key || '"'), 'ADR')), 'ADR') + 2)
        || CASE WHEN json_extract(par, '$."' || OLD.key || '"') LIKE '%VALUE=uri%' THEN ';VALUE=uri' ELSE '' END
        || CASE WHEN coalesce(NEW.type, '') = '' THEN '' ELSE ';TYPE=' || replace(NEW.type, ',', ';TYPE=') END, 'ADR')))
    WHERE id = OLD.contact_id AND NEW.type IS NOT OLD.type;
END;

CREATE TRIGGER contact_addresses_delete INSTEAD OF DELETE ON contact_addresses
BEGIN
  UPDATE record SET doc = json_remove(doc, '$."' || OLD.key || '"') WHERE id = OLD.contact_id;
END;
