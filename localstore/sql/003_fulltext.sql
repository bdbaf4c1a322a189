-- 003: the full text of living records, by record.n. The agent keeps it, no
-- trigger does, so that a program whose SQLite lacks FTS5 can still write.
CREATE VIRTUAL TABLE fulltext USING fts5(
  text, content='', contentless_delete=1, detail='none',
  tokenize="unicode61 remove_diacritics 2"
);
