-- Format 3: what is known about an account's devices. Devices hold the same and
-- bring it back.
CREATE TABLE IF NOT EXISTS statement (
    account BLOB NOT NULL,
    id      BLOB NOT NULL,              -- 16 bytes, of what was signed
    body    BLOB NOT NULL,              -- as it travels, signature included
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
