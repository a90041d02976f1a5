-- A store as migration 0002 left it; made as test_store.c says.
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
, filtertype TEXT, caprate INTEGER, capcore INTEGER, capfilecount INTEGER, streamaddress TEXT, streamport INTEGER, captureself INTEGER, api_address TEXT) STRICT;
INSERT INTO session VALUES(1,'00000000-0000-4000-8000-000000000001','11111111-1111-4111-8111-111111111111',2,'alice',1700000000000,'bob',1700000000010,7,'läb-node','2001:db8::1','VIF','blue/veth0','UI','OUTPUT','STANDALONE','PCAP',61,62,63,64,'Ночь 🌙',replace('two\nlines, a "quote", a back\slash and ''one'' more','\n',char(10)),'tcp port 80 and host 10.0.0.1',1,3,2,71,1099511627776,73,74,'POST',65,66,67,'2001:db8::7',68,1,'10.1.2.3:8443');
INSERT INTO session VALUES(2,'00000000-0000-4000-8000-000000000002','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'alice',1700000000002,1,NULL,NULL,'VMNIC',NULL,'CLI',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,NULL);
INSERT INTO session VALUES(3,'00000000-0000-4000-8000-000000000003','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'zoë k',1700000000001,4,'läb-node','2001:db8::1','VIF','blue/veth0','UI','OUTPUT','STANDALONE','PCAP',61,62,63,64,'Ночь 🌙',replace('two\nlines, a "quote", a back\slash and ''one'' more','\n',char(10)),'tcp port 80 and host 10.0.0.1',1,3,2,71,1099511627776,73,74,'POST',65,66,67,'2001:db8::7',68,1,'10.1.2.3:8443');
INSERT INTO session VALUES(4,'00000000-0000-4000-8000-000000000004','11111111-1111-4111-8111-111111111111',1,'alice',1700000000000,'alice',1700000000000,0,NULL,NULL,'VMNIC',NULL,'CLI',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0,0,0,0,0,NULL,0,0,0,NULL,0,0,NULL);
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
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('session',4);
INSERT INTO sqlite_sequence VALUES('run',5);
CREATE INDEX run_unfinished ON run (key) WHERE state IN ('CREATED', 'STARTED');
COMMIT;
PRAGMA application_id = 1886090339;
PRAGMA user_version = 2;
