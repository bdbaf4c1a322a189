-- 012, format 6: column sent of table chunk may be 2: the cloud had acknowledged
-- the piece, and is asked whether it has it still. Such a piece is offered like
-- one that it never had; if it lacks it, it has lost it.
DROP INDEX chunk_unsent;
CREATE INDEX chunk_unsent ON chunk (id) WHERE sent <> 1 AND size IS NOT NULL;
