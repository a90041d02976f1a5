-- Sessions, what was asked for, and their runs: the queue of the workers and the history of the users.
-- AUTOINCREMENT: a key is never given twice, for cursors of lists and leases of workers hold keys longer than rows live.

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
) STRICT;

CREATE TABLE session_option (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_tag (
    session INTEGER NOT NULL REFERENCES session (key) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    scope TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;

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
    overdue INTEGER NOT NULL DEFAULT 0,      -- the lease before this one ran out of time
    UNIQUE (session, number)
) STRICT;

-- The queue and the captures at work are few among many that have ended.
CREATE INDEX run_unfinished ON run (key) WHERE state IN ('CREATED', 'STARTED');
