-- Users, roles, tokens, logins, shares, the audit, and what each user's files take.

CREATE TABLE role (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('admin', 'operator', 'auditor')),
    built_in INTEGER NOT NULL DEFAULT 0,
    points TEXT,                             -- patterns, a line each; NULL: none
    max_duration_s INTEGER NOT NULL DEFAULT 0, -- 0: no limit, here and below
    max_file_size_mb INTEGER NOT NULL DEFAULT 0,
    max_snaplen INTEGER NOT NULL DEFAULT 0,
    max_sessions INTEGER NOT NULL DEFAULT 0,
    max_stored_mb INTEGER NOT NULL DEFAULT 0,
    max_hourly INTEGER NOT NULL DEFAULT 0,
    stream INTEGER NOT NULL DEFAULT 0,
    networks TEXT,                           -- prefixes, a line each; NULL: anywhere
    see_others INTEGER NOT NULL DEFAULT 0,
    download_others INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO role (name, kind, built_in, points, stream, see_others, download_others) VALUES
    ('admin', 'admin', 1, '*', 1, 1, 1),
    ('operator', 'operator', 1, '*', 1, 0, 0),
    ('auditor', 'auditor', 1, NULL, 0, 1, 0);

CREATE TABLE user (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL REFERENCES role (name),
    groups TEXT,                             -- a name a line
    password_hash TEXT,                      -- NULL: no password opens
    disabled INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 1,   -- grows with each change of role, password or disabled
    created_ms INTEGER NOT NULL,
    created_by TEXT
) STRICT;

CREATE TABLE token (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user INTEGER NOT NULL REFERENCES user (key) ON DELETE CASCADE,
    name TEXT,
    hash BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL DEFAULT 0,   -- 0: never
    revoked_ms INTEGER NOT NULL DEFAULT 0,
    used_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX token_user ON token (user);

CREATE TABLE login (
    key INTEGER PRIMARY KEY,                 -- a later one is higher
    hash BLOB NOT NULL UNIQUE,
    xsrf BLOB NOT NULL,
    user INTEGER NOT NULL REFERENCES user (key) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX login_user ON login (user);
CREATE INDEX login_used ON login (used_ms);

-- The owner rules over a session; create_user stays who made it. NULL: its owner is no user any more.
ALTER TABLE session ADD COLUMN owner TEXT;
ALTER TABLE session ADD COLUMN share_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN point TEXT;                          -- what capvalue meant when it was allowed; NULL: anything
ALTER TABLE session ADD COLUMN quota_bytes INTEGER NOT NULL DEFAULT 0; -- what the owner's files may take; 0: no limit
UPDATE session SET owner = create_user;
CREATE INDEX session_owner ON session (owner);                      -- an owner's are in the order of keys

-- When each owner made sessions in the last hour; a session that was deleted counts all the same.
CREATE TABLE creation (
    owner TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    session INTEGER NOT NULL,                -- its key
    PRIMARY KEY (owner, time_ms, session)
) STRICT, WITHOUT ROWID;

CREATE TABLE share (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group')),
    name TEXT NOT NULL,
    PRIMARY KEY (session, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX share_name ON share (kind, name);

-- How many sessions an owner has, and the bytes of all their files, kept by the triggers below: new runs have
-- no files, runs go with their session only, and before a session goes its runs are still there.
CREATE TABLE stored (
    owner TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO stored (owner, sessions, bytes)
    SELECT s.owner, count(DISTINCT s.key), sum(r.file_size) FROM session s JOIN run r ON r.session = s.key
    GROUP BY s.owner;

CREATE TRIGGER stored_begins AFTER INSERT ON session WHEN new.owner IS NOT NULL BEGIN
    INSERT INTO stored (owner, sessions, bytes) VALUES (new.owner, 1, 0)
        ON CONFLICT (owner) DO UPDATE SET sessions = sessions + 1;
END;

CREATE TRIGGER stored_grows AFTER UPDATE OF file_size ON run WHEN new.file_size <> old.file_size BEGIN
    UPDATE stored SET bytes = bytes + new.file_size - old.file_size
        WHERE owner = (SELECT owner FROM session WHERE key = new.session);
END;
CREATE TRIGGER stored_goes BEFORE DELETE ON session WHEN old.owner IS NOT NULL BEGIN
    UPDATE stored SET sessions = sessions - 1,
        bytes = bytes - (SELECT coalesce(sum(file_size), 0) FROM run WHERE session = old.key)
        WHERE owner = old.owner;
END;
CREATE TRIGGER stored_leaves AFTER UPDATE OF owner ON session
WHEN old.owner IS NOT NULL AND new.owner IS NOT old.owner BEGIN
    UPDATE stored SET sessions = sessions - 1,
        bytes = bytes - (SELECT coalesce(sum(file_size), 0) FROM run WHERE session = old.key)
        WHERE owner = old.owner;
END;
CREATE TRIGGER stored_comes AFTER UPDATE OF owner ON session
WHEN new.owner IS NOT NULL AND new.owner IS NOT old.owner BEGIN
    INSERT INTO stored (owner, sessions, bytes)
        SELECT new.owner, 1, coalesce(sum(file_size), 0) FROM run WHERE session = new.key
        ON CONFLICT (owner) DO UPDATE SET sessions = sessions + 1, bytes = bytes + excluded.bytes;
END;

-- key is the order of the acts; there are no gaps, for nothing is ever removed. time_ms in the indexes: most
-- filters need no look at the rows.
CREATE TABLE audit (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    user TEXT,
    way TEXT NOT NULL,
    address TEXT,
    operation TEXT NOT NULL,
    session TEXT,
    object TEXT,
    status INTEGER NOT NULL,
    code INTEGER NOT NULL DEFAULT 0,
    detail TEXT
) STRICT;
CREATE INDEX audit_time ON audit (time_ms);
CREATE INDEX audit_user ON audit (user, key, time_ms);
CREATE INDEX audit_session ON audit (session, key, time_ms) WHERE session IS NOT NULL;
CREATE INDEX audit_operation ON audit (operation, key, time_ms);
CREATE INDEX audit_address ON audit (address, key, time_ms);

CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit is append-only');
END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN
    SELECT raise(ABORT, 'the audit is append-only');
END;
