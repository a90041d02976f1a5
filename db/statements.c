#include "db/sqlite.h"

#define UNFINISHED "('CREATED', 'STARTED')"

/* Whether a run is still its claimer's: not ended, not given back, not claimed by another. */
#define HELD "claim = ?2 AND worker IS NOT NULL AND state IN " UNFINISHED

/* INSERT_SESSION is made from the table of columns (rows.c). */
const char *const statement_texts[STATEMENT_COUNT] = {
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SYNCHRONOUS_NORMAL] = "PRAGMA synchronous = NORMAL",
    [SYNCHRONOUS_FULL] = "PRAGMA synchronous = FULL",
    [INSERT_OPTION] = "INSERT INTO session_option (session, position, name, value) VALUES (?, ?, ?, ?)",
    [INSERT_TAG] = "INSERT INTO session_tag (session, position, scope, tag) VALUES (?, ?, ?, ?)",
    [INSERT_RUN] = "INSERT INTO run (session, number, node_id, state, created_ms)"
                   " SELECT key, run, node_id, 'CREATED', ?2 FROM session WHERE id = ?1",
    [GET_SESSION] = "SELECT @columns FROM session s JOIN run r ON r.session = s.key AND r.number = s.run"
                    " WHERE s.id = ?",
    [GET_SESSION_RUN] = "SELECT @columns FROM session s JOIN run r ON r.session = s.key AND r.number = ?2"
                        " WHERE s.id = ?1",
    [GET_RUN_SESSION] = "SELECT @columns FROM run r JOIN session s ON s.key = r.session WHERE r.key = ?",
    [GET_OPTIONS] = "SELECT name, value FROM session_option WHERE session = ? ORDER BY position",
    [GET_TAGS] = "SELECT scope, tag FROM session_tag WHERE session = ? ORDER BY position",
    [GET_NEWEST_RUN] = "SELECT r.key, r.state, r.worker IS NOT NULL FROM session s"
                       " JOIN run r ON r.session = s.key AND r.number = s.run WHERE s.id = ?",
    [GET_SESSION_EXISTS] = "SELECT 1 FROM session WHERE id = ?",
    [COUNT_SESSIONS] = "SELECT count(*) FROM session",
    [COUNT_ENDED_SESSIONS] = "SELECT (SELECT count(*) FROM session) -"
                             " (SELECT count(*) FROM run WHERE state IN " UNFINISHED ")",
    [TOUCH_SESSION] = "UPDATE session SET revision = revision + 1, last_modified_time_ms = ?2,"
                      " last_modified_user = coalesce(?3, last_modified_user)"
                      " WHERE key = (SELECT session FROM run WHERE key = ?1)",
    [NEXT_RUN] = "UPDATE session SET run = run + 1 WHERE id = ?",
    [STOP_RUN] =
        "UPDATE run SET state = 'STOPPED', stop_reason = 'TERMINATED', ended_ms = ?2, stop_requested = 1"
        " WHERE key = ?1",
    [FLAG_RUN] = "UPDATE run SET stop_requested = 1 WHERE key = ?",
    [DELETE_SESSION] = "DELETE FROM session WHERE id = ?",
    /* RETURNING sees the new row: overdue keeps what the old one said. */
    /* A run that nobody holds and that is held back for longer than anyone holds one back was so before a
       reboot. */
    [CLAIM_RUN] =
        "UPDATE run SET overdue = worker IS NOT NULL, worker = ?2, lease_until_ms = ?4, claim = claim + 1"
        " WHERE key = (SELECT key FROM run WHERE state IN " UNFINISHED
        " AND node_id = ?1 AND worker IS NOT ?2"
        " AND (lease_until_ms <= ?3 OR (worker IS NULL AND lease_until_ms > ?3 + 60000)) ORDER BY state = "
        "'CREATED', key LIMIT 1)"
        " RETURNING key, claim, state = 'STARTED', overdue, stop_requested, reported_ms",
    [GET_RUN_STATE] = "SELECT state, stop_requested FROM run WHERE key = ?1 AND " HELD,
    [START_RUN] =
        "UPDATE run SET state = 'STARTED', started_ms = ?2, file = ?3, file_size = ?4, reported_ms = ?5,"
        " place = ?6"
        " WHERE key = ?1",
    [REPORT_RUN] =
        "UPDATE run SET packets_captured = ?3, packets_dropped = ?4, packets_dropped_interface = ?5,"
        " packets_skipped = ?6, packets_overwritten = ?7, packets_streamed = ?8, packets_unsent = ?9,"
        " packets_fragmented = ?10, bytes_captured = ?11, file_size = ?12, errormsg = ?13, reported_ms = ?14,"
        " lease_until_ms = ?15, file = coalesce(?16, file)"
        " WHERE key = ?1 AND " HELD " RETURNING stop_requested",
    [CHECK_RUN] = "SELECT stop_requested FROM run WHERE key = ?1 AND " HELD,
    [FINISH_RUN] =
        "UPDATE run SET state = ?2, stop_reason = ?3, ended_ms = ?4, worker = NULL, lease_until_ms = 0"
        " WHERE key = ?1",
    [RELEASE_RUN] = "UPDATE run SET worker = NULL, lease_until_ms = ?2 WHERE key = ?1",
    [LIST_FILES] = "SELECT f.number, f.file, f.file_size, f.packets, f.packet_bytes FROM session s"
                   " JOIN run r ON r.session = s.key AND r.number = CASE ?2 WHEN 0 THEN s.run ELSE ?2 END"
                   " JOIN run_file f ON f.run = r.key WHERE s.id = ?1 ORDER BY f.number",
    [LIST_FILE_STATES] = "SELECT number, file_size, packets FROM run_file WHERE run = ? ORDER BY number",
    [DELETE_OLD_FILES] = "DELETE FROM run_file WHERE run = ?1 AND (number < ?2 OR number > ?3)",
    [PUT_FILE] = "INSERT OR REPLACE INTO run_file (run, number, file, file_size, packets, packet_bytes)"
                 " VALUES (?, ?, ?, ?, ?, ?)",
    [NEXT_HOLDER] = "SELECT worker FROM run WHERE state IN " UNFINISHED
                    " AND node_id = ? AND worker > ? ORDER BY worker LIMIT 1",
    [END_LEASES] =
        "UPDATE run SET worker = NULL, lease_until_ms = 0 WHERE state IN " UNFINISHED " AND worker = ?",
};
