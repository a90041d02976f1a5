-- A store as migration 0003 left it; made as test_store.c says.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE session (
    key INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of acceptance
    id TEXT NOT NULL UNIQUE,                 -- lower-case UUID
    node_id TEXT NOT NULL,                   -- the node that captures
    run INTEGER NOT NULL,                    -- number of the newest run
    create_user TEXT NOT NULL,
    create_time_ms INTEGER NOT NULL,
    last_modified_user TEXT NOT NULL,
    last_modified_time_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    -- the request as given; NULL where it was silent
    node TEXT,
    node_ip TEXT,
    cappoint TEXT NOT NULL,
    capvalue TEXT,
    capsource TEXT NOT NULL,
    direction TEXT,
    capmode TEXT,
    capformat TEXT,
    capduration INTEGER,
    capamount INTEGER,
    capfilesize INTEGER,
    capsnaplen INTEGER,
    name TEXT,
    description TEXT,
    capexpression TEXT,
    has_options INTEGER NOT NULL,
    option_count INTEGER NOT NULL,
    tag_count INTEGER NOT NULL,
    -- the limits that apply
    limit_duration_s INTEGER NOT NULL,
    limit_packets INTEGER NOT NULL,          -- 0: none
    limit_file_size_mb INTEGER NOT NULL,
    limit_snaplen INTEGER NOT NULL
, filtertype TEXT, caprate INTEGER, capcore INTEGER, capfilecount INTEGER, streamaddress TEXT, streamport INTEGER, captureself INTEGER, api_address TEXT, owner TEXT, share_count INTEGER NOT NULL DEFAULT 0, point TEXT, quota_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO session VALUES(1,'00000000-0000-4000-8000-000000000001','11111111-1111-4111-8111-111111111111',2,'alice',1700000000000,'bob',1700000000010,7,'läb-node','2001:db8::1','VIF','blue/veth0','UI','OUTPUT','STANDALONE','PCAP',61,62,63,64,'Ночь 🌙',replace('two\nlines, a "quote", a back\slash and ''one'' more','\n',char(10)),'tcp port 80 and host 10.0.0.1',1,3,2,71,1099511627776,73,74,'POST',65,66,67,'2001:db8::7',68,1,'10.1.2.3:8443','alice',2,NULL,0);
INSERT INTO session VALUES(2,'00000000-0000-4000-8000-000000000002','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'x',1700000000000,2,NULL,NULL,'VMNIC',NULL,'CLI',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,NULL,NULL,0,NULL,0);
INSERT INTO session VALUES(3,'00000000-0000-4000-8000-000000000003','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'zoë k',1700000000001,4,'läb-node','2001:db8::1','VIF','blue/veth0','UI','OUTPUT','STANDALONE','PCAP',61,62,63,64,'Ночь 🌙',replace('two\nlines, a "quote", a back\slash and ''one'' more','\n',char(10)),'tcp port 80 and host 10.0.0.1',1,3,2,71,1099511627776,73,74,'POST',65,66,67,'2001:db8::7',68,1,'10.1.2.3:8443','alice',2,'blue/veth0',2199023255552);
INSERT INTO session VALUES(4,'00000000-0000-4000-8000-000000000004','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'x',1700000000000,1,NULL,NULL,'VMNIC',NULL,'CLI',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,NULL,'carol',0,NULL,0);
CREATE TABLE session_option (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;
INSERT INTO session_option VALUES(1,0,'PORT','value 0');
INSERT INTO session_option VALUES(1,1,'SRCIP6','value 1');
INSERT INTO session_option VALUES(1,2,'PORT','value 2');
INSERT INTO session_option VALUES(3,0,'PORT','value 0');
INSERT INTO session_option VALUES(3,1,'SRCIP6','value 1');
INSERT INTO session_option VALUES(3,2,'PORT','value 2');
CREATE TABLE session_tag (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    scope TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;
INSERT INTO session_tag VALUES(1,0,'Bereich 0 ü','標籤 0');
INSERT INTO session_tag VALUES(1,1,'Bereich 1 ü','標籤 1');
INSERT INTO session_tag VALUES(3,0,'Bereich 0 ü','標籤 0');
INSERT INTO session_tag VALUES(3,1,'Bereich 1 ü','標籤 1');
CREATE TABLE run (
    key INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of the queue
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('CREATED', 'STARTED', 'STOPPED', 'FINISHED', 'ERROR')),
    created_ms INTEGER NOT NULL,
    started_ms INTEGER NOT NULL DEFAULT 0,   -- 0: not yet
    ended_ms INTEGER NOT NULL DEFAULT 0,     -- 0: not yet
    stop_requested INTEGER NOT NULL DEFAULT 0,
    stop_reason TEXT,
    errormsg TEXT,
    file TEXT,                               -- relative to the data directory
    packets_captured INTEGER NOT NULL DEFAULT 0,
    packets_dropped INTEGER NOT NULL DEFAULT 0,
    packets_dropped_interface INTEGER NOT NULL DEFAULT 0,
    packets_skipped INTEGER NOT NULL DEFAULT 0,
    bytes_captured INTEGER NOT NULL DEFAULT 0,
    file_size INTEGER NOT NULL DEFAULT 0,
    reported_ms INTEGER NOT NULL DEFAULT 0,  -- up to when the counters speak
    -- the lease: who works on it, until when, and how often it was claimed
    worker TEXT,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    claim INTEGER NOT NULL DEFAULT 0,
    overdue INTEGER NOT NULL DEFAULT 0, place TEXT, packets_overwritten INTEGER NOT NULL DEFAULT 0, packets_streamed INTEGER NOT NULL DEFAULT 0, packets_unsent INTEGER NOT NULL DEFAULT 0, packets_fragmented INTEGER NOT NULL DEFAULT 0,      -- the lease before this one ran out of time
    UNIQUE (session, number)
) STRICT;
INSERT INTO run VALUES(1,1,1,'11111111-1111-4111-8111-111111111111','FINISHED',1700000000000,1700000000001,1700000000002,0,'DURATION',NULL,'captures/a.pcap',1,2,3,4,5,6,0,NULL,0,1,0,NULL,0,0,0,0);
INSERT INTO run VALUES(2,1,2,'11111111-1111-4111-8111-111111111111','STOPPED',1700000000009,0,1700000000010,1,'TERMINATED',NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,0,0);
INSERT INTO run VALUES(3,2,1,'11111111-1111-4111-8111-111111111111','ERROR',1700000000000,0,1700000000002,0,'TERMINATED','it''s broken',NULL,0,0,0,0,0,0,0,NULL,0,1,0,NULL,0,0,0,0);
INSERT INTO run VALUES(4,3,1,'11111111-1111-4111-8111-111111111111','STARTED',1700000000000,1700000000001,0,0,NULL,NULL,'captures/a.pcap',0,0,0,0,0,0,0,'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa',1700000010000,1,0,NULL,0,0,0,0);
INSERT INTO run VALUES(5,4,1,'11111111-1111-4111-8111-111111111111','CREATED',1700000000000,0,0,0,NULL,NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,0,0);
CREATE TABLE run_file (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    number INTEGER NOT NULL,                 -- from 1, in the order of writing
    file TEXT NOT NULL,                      -- relative to the data directory
    file_size INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    packet_bytes INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
INSERT INTO run_file VALUES(4,7,'captures/a/run-1.000007.pcap',1000,20,300);
INSERT INTO run_file VALUES(4,8,'captures/a/run-1.000008.pcap',24,0,0);
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
INSERT INTO role VALUES('admin','admin',1,'*',0,0,0,0,0,0,1,NULL,1,1);
INSERT INTO role VALUES('operator','operator',1,'*',0,0,0,0,0,0,1,NULL,0,0);
INSERT INTO role VALUES('auditor','auditor',1,NULL,0,0,0,0,0,0,0,NULL,1,0);
INSERT INTO role VALUES('lab','operator',0,replace('lab-*\nVIF veth?','\n',char(10)),0,0,0,0,7,0,1,NULL,0,0);
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
INSERT INTO user VALUES(1,'alice','lab',replace('net\nops','\n',char(10)),'$',0,1,1700000000000,NULL);
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
INSERT INTO token VALUES(1,'00000000-0000-4000-8000-000000000009',1,'ci',X'0001000000000000000000000000000000000000000000000000000000000000',0,0,0,0);
CREATE TABLE login (
    key INTEGER PRIMARY KEY,                 -- a later one is higher
    hash BLOB NOT NULL UNIQUE,
    xsrf BLOB NOT NULL,
    user INTEGER NOT NULL REFERENCES user (key) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL
) STRICT;
INSERT INTO login VALUES(1,X'0002000000000000000000000000000000000000000000000000000000000000',X'0000000000000000000000000000000000000000000000000000000000000000',1,7,1700000000000,1700000000000);
CREATE TABLE creation (
    owner TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    session INTEGER NOT NULL,                -- its key
    PRIMARY KEY (owner, time_ms, session)
) STRICT, WITHOUT ROWID;
INSERT INTO creation VALUES('alice',1700000000000,1);
INSERT INTO creation VALUES('alice',1700000000000,2);
INSERT INTO creation VALUES('alice',1700000000000,3);
INSERT INTO creation VALUES('alice',1700000000000,4);
CREATE TABLE share (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group')),
    name TEXT NOT NULL,
    PRIMARY KEY (session, kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO share VALUES(1,'group','lab');
INSERT INTO share VALUES(3,'group','lab');
INSERT INTO share VALUES(1,'user','bob@example.org');
INSERT INTO share VALUES(3,'user','bob@example.org');
CREATE TABLE stored (
    owner TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO stored VALUES('alice',2,6);
INSERT INTO stored VALUES('carol',1,0);
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
INSERT INTO audit VALUES(1,1700000000000,'alice','token',NULL,'create',NULL,NULL,200,0,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('session',4);
INSERT INTO sqlite_sequence VALUES('run',5);
INSERT INTO sqlite_sequence VALUES('user',1);
INSERT INTO sqlite_sequence VALUES('token',1);
INSERT INTO sqlite_sequence VALUES('audit',1);
CREATE INDEX run_unfinished ON run (key) WHERE state IN ('CREATED', 'STARTED');
CREATE INDEX token_user ON token (user);
CREATE INDEX login_user ON login (user);
CREATE INDEX login_used ON login (used_ms);
CREATE INDEX session_owner ON session (owner);
CREATE INDEX share_name ON share (kind, name);
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
COMMIT;
PRAGMA application_id = 1886090339;
PRAGMA user_version = 3;
