-- 013, format 7: the documents that the history has of a record are found by the
-- record: each edit is judged against those of the last day.
CREATE INDEX history_documents ON history (record) WHERE was = 0 AND doc IS NOT NULL;
