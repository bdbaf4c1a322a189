-- 008, format 2: incoming deletions that are set aside (rule H1).

-- At most one row a record: the join of the versions that were received and
-- would take a living record away, or most of it. Such a version counts in the
-- digest; the record's own version counts beside it unless the held one has
-- seen all that it has (over = 1).
CREATE TABLE held (
  n       INTEGER PRIMARY KEY,   -- of the record
  kind    TEXT NOT NULL,
  id      TEXT NOT NULL,         -- of the record
  vid     BLOB NOT NULL CHECK (length(vid) = 16),
  version BLOB NOT NULL,         -- canonical encoding
  over    INTEGER NOT NULL,
  state   INTEGER NOT NULL,      -- 0 not judged, 1 waits for a person, 2 accepted, 3 rejected
  loss    INTEGER NOT NULL,      -- 1 it deletes the record, 2 it empties it
  ord     INTEGER,               -- place in the outbox; NULL: the cloud has it
  acked   INTEGER NOT NULL       -- highest own counter in it that the cloud acknowledged or sent
) STRICT;
CREATE INDEX held_set ON held (kind, id, vid);
CREATE INDEX held_state ON held (kind, state);
CREATE UNIQUE INDEX held_order ON held (kind, ord) WHERE ord IS NOT NULL;

-- Incoming deletions that the brake let in, for the budget of its window.
CREATE TABLE intake (
  n     INTEGER PRIMARY KEY,
  kind  TEXT NOT NULL,
  at    INTEGER NOT NULL, -- Unix seconds
  count INTEGER NOT NULL
) STRICT;
