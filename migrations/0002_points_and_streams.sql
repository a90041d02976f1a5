-- Every field of the request, streams, rings of files, and which network namespace a run captures in.

ALTER TABLE session ADD COLUMN filtertype TEXT;
ALTER TABLE session ADD COLUMN caprate INTEGER;
ALTER TABLE session ADD COLUMN capcore INTEGER;
ALTER TABLE session ADD COLUMN capfilecount INTEGER;
ALTER TABLE session ADD COLUMN streamaddress TEXT;
ALTER TABLE session ADD COLUMN streamport INTEGER;
ALTER TABLE session ADD COLUMN captureself INTEGER;
ALTER TABLE session ADD COLUMN api_address TEXT;        -- ADDR:PORT of the front end that took it

ALTER TABLE run ADD COLUMN place TEXT;                  -- identity of the network namespace; NULL: the node's own
ALTER TABLE run ADD COLUMN packets_overwritten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN packets_streamed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN packets_unsent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN packets_fragmented INTEGER NOT NULL DEFAULT 0;

-- The files of a ring (capfilecount), as far as they are there. A run without a ring has its one file in its row.
CREATE TABLE run_file (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    number INTEGER NOT NULL,                 -- from 1, in the order of writing
    file TEXT NOT NULL,                      -- relative to the data directory
    file_size INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    packet_bytes INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
