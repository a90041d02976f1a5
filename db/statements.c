#include "db/sqlite.h"

#define UNFINISHED "('CREATED', 'STARTED')"

/* Whether a run is still its claimer's: not ended, not given back, not claimed by another. */
#define HELD "claim = ?2 AND worker IS NOT NULL AND state IN " UNFINISHED

#define UNCLAIMED "state = 'CREATED' AND worker IS NULL"

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
    [INSERT_SHARE] = "INSERT OR IGNORE INTO share (session, kind, name) VALUES (?, ?, ?)",
    [INSERT_RUN] = "INSERT INTO run (session, number, node_id, state, created_ms)"
                   " SELECT key, run, node_id, 'CREATED', ?2 FROM session WHERE id = ?1",
    [GET_SESSION] = "SELECT @columns FROM session s JOIN run r ON r.session = s.key AND r.number = s.run"
                    " WHERE s.id = ?",
    [GET_SESSION_RUN] = "SELECT @columns FROM session s JOIN run r ON r.session = s.key AND r.number = ?2"
                        " WHERE s.id = ?1",
    [GET_RUN_SESSION] = "SELECT @columns, (SELECT bytes FROM stored WHERE owner = s.owner)"
                        " FROM run r JOIN session s ON s.key = r.session WHERE r.key = ?",
    [GET_OPTIONS] = "SELECT name, value FROM session_option WHERE session = ? ORDER BY position",
    [GET_TAGS] = "SELECT scope, tag FROM session_tag WHERE session = ? ORDER BY position",
    [GET_NEWEST_RUN] = "SELECT r.key, r.state, r.worker IS NOT NULL, s.owner FROM session s"
                       " JOIN run r ON r.session = s.key AND r.number = s.run WHERE s.id = ?",
    [GET_SHARES] = "SELECT kind, name FROM share WHERE session = ? ORDER BY kind, name",
    [GET_SESSION_EXISTS] = "SELECT 1 FROM session WHERE id = ?",
    [COUNT_SESSIONS] = "SELECT count(*) FROM session",
    [COUNT_ENDED_SESSIONS] = "SELECT (SELECT count(*) FROM session) -"
                             " (SELECT count(*) FROM run WHERE state IN " UNFINISHED ")",
    [TOUCH_SESSION] = "UPDATE session SET revision = revision + 1, last_modified_time_ms = ?2,"
                      " last_modified_user = coalesce(?3, last_modified_user)"
                      " WHERE key = (SELECT session FROM run WHERE key = ?1)",
    [RENEW_SESSION] = "UPDATE session SET run = run + 1, point = ?2, quota_bytes = ?3, limit_duration_s = "
                      "?4, limit_packets = ?5,"
                      " limit_file_size_mb = ?6, limit_snaplen = ?7 WHERE id = ?1",
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
    [CHECK_RUN] =
        "SELECT stop_requested, s.owner, s.quota_bytes, (SELECT bytes FROM stored WHERE owner = s.owner)"
        " FROM run JOIN session s ON s.key = run.session WHERE run.key = ?1 AND " HELD,
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

    /* ---- whose sessions they are ---- */

    /* What has not ended is little: the owners of that are looked up, rather than what else an owner has. */
    [GET_USAGE] = "SELECT (SELECT count(*) FROM run r CROSS JOIN session s ON s.key = r.session"
                  " WHERE r.state IN " UNFINISHED " AND s.owner = ?1),"
                  " (SELECT bytes FROM stored WHERE owner = ?1),"
                  " (SELECT count(*) FROM creation WHERE owner = ?1 AND time_ms > ?2)",
    [GET_CREATION] = "SELECT time_ms FROM creation WHERE owner = ?1 AND time_ms > ?2 ORDER BY time_ms"
                     " LIMIT 1 OFFSET ?3",
    [INSERT_CREATION] = "INSERT INTO creation (owner, time_ms, run) SELECT s.owner, r.created_ms, r.key"
                        " FROM session s JOIN run r ON r.session = s.key AND r.number = s.run"
                        " WHERE s.id = ? AND s.owner IS NOT NULL",
    [DELETE_OLD_CREATIONS] = "DELETE FROM creation WHERE owner = ? AND time_ms <= ?",
    [GET_ACCESS] = "SELECT s.owner, CASE WHEN s.share_count > 0 THEN EXISTS (SELECT 1 FROM share h"
                   " WHERE h.session = s.key AND (h.kind = 'user' AND h.name = ?2 OR h.kind = 'group'"
                   " AND instr(char(10) || ?3 || char(10), char(10) || h.name || char(10)) > 0)) ELSE 0 END"
                   " FROM session s WHERE s.id = ?1",
    [GET_SESSION_KEY] = "SELECT key FROM session WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)",
    [DELETE_SHARE] = "DELETE FROM share WHERE session = ? AND kind = ? AND name = ?",
    [COUNT_SHARE] = "UPDATE session SET share_count = share_count + ?2 WHERE key = ?1 RETURNING share_count",
    /* A user who is not in the table has a role that only the proxy knows: then the limit stays. */
    [TRANSFER_SESSION] =
        "UPDATE session SET owner = ?2, quota_bytes = coalesce((SELECT o.max_stored_mb * 1000000"
        " FROM user u JOIN role o ON o.name = u.role WHERE u.name = ?2), quota_bytes)"
        " WHERE key = ?1",
    [TOUCH_KEY] = "UPDATE session SET revision = revision + 1, last_modified_time_ms = ?2,"
                  " last_modified_user = coalesce(?3, last_modified_user) WHERE key = ?1",

    /* ---- users ---- */

    [GET_USER] = "SELECT @user FROM user u WHERE u.name = ?",
    [GET_USER_ROLE] = "SELECT @user, @role FROM user u JOIN role o ON o.name = u.role WHERE u.name = ?",
    [GET_USER_KEY] = "SELECT key FROM user WHERE name = ?",
    /* As in the columns of a user. */
    [GET_USER_GENERATION] = "SELECT (key << 32) + generation FROM user WHERE name = ?",
    [LIST_USERS] = "SELECT @user FROM user u ORDER BY u.name",
    [INSERT_USER] = "INSERT INTO user (name, role, groups, password_hash, disabled, created_ms, created_by)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?7, ?8)",
    /* NULL stays as it is; an empty text is stored as NULL. */
    [CHANGE_USER] = "UPDATE user SET role = coalesce(?2, role),"
                    " groups = CASE WHEN ?3 IS NULL THEN groups ELSE nullif(?3, '') END,"
                    " password_hash = CASE WHEN ?4 IS NULL THEN password_hash ELSE nullif(?4, '') END,"
                    " disabled = coalesce(?5, disabled), generation = generation + ?6 WHERE key = ?1",
    [UNCOUNT_SHARES] = "UPDATE session SET share_count = share_count - 1"
                       " WHERE key IN (SELECT session FROM share WHERE kind = 'user' AND name = ?)",
    [DELETE_USER_SHARES] = "DELETE FROM share WHERE kind = 'user' AND name = ?",
    [TOUCH_USER_SESSIONS] =
        "UPDATE session SET revision = revision + 1, last_modified_time_ms = ?2"
        " WHERE owner = ?1 AND key IN (SELECT session FROM run WHERE state IN " UNFINISHED ")",
    /* As STOP_RUN where no worker has it yet, else as FLAG_RUN. */
    [STOP_USER_RUNS] =
        "UPDATE run SET stop_requested = 1,"
        " stop_reason = CASE WHEN " UNCLAIMED " THEN 'TERMINATED' ELSE stop_reason END,"
        " ended_ms = CASE WHEN " UNCLAIMED " THEN ?2 ELSE ended_ms END,"
        " state = CASE WHEN " UNCLAIMED " THEN 'STOPPED' ELSE state END"
        " WHERE state IN " UNFINISHED " AND ?1 = (SELECT owner FROM session WHERE session.key = run.session)",
    [DISOWN_SESSIONS] = "UPDATE session SET owner = NULL WHERE owner = ?",
    [DELETE_USER_CREATIONS] = "DELETE FROM creation WHERE owner = ?",
    [DELETE_USER_STORED] = "DELETE FROM stored WHERE owner = ?",
    [DELETE_USER] = "DELETE FROM user WHERE name = ?",
    [HAS_ADMIN] = "SELECT EXISTS (SELECT 1 FROM user u JOIN role o ON o.name = u.role"
                  " WHERE o.kind = 'admin' AND u.disabled = 0)",
    [ADMIN_CAN_ENTER] = "SELECT EXISTS (SELECT 1 FROM user u JOIN role o ON o.name = u.role"
                        " WHERE o.kind = 'admin' AND u.disabled = 0 AND u.password_hash IS NOT NULL)",

    /* ---- roles ---- */

    [GET_ROLE] = "SELECT @role FROM role o WHERE o.name = ?",
    [GET_ROLE_EXISTS] = "SELECT 1 FROM role WHERE name = ?",
    [LIST_ROLES] = "SELECT @role FROM role o ORDER BY o.name",
    [PUT_ROLE] =
        "INSERT INTO role (name, kind, points, max_duration_s, max_file_size_mb, max_snaplen, max_sessions,"
        " max_stored_mb, max_hourly, stream, networks, see_others, download_others)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET kind = "
        "excluded.kind,"
        " points = excluded.points, max_duration_s = excluded.max_duration_s,"
        " max_file_size_mb = excluded.max_file_size_mb, max_snaplen = excluded.max_snaplen,"
        " max_sessions = excluded.max_sessions, max_stored_mb = excluded.max_stored_mb,"
        " max_hourly = excluded.max_hourly, stream = excluded.stream, networks = excluded.networks,"
        " see_others = excluded.see_others, download_others = excluded.download_others",
    [COUNT_ROLE_USERS] = "SELECT count(*) FROM user WHERE role = ?",
    [DELETE_ROLE] = "DELETE FROM role WHERE name = ?",

    /* ---- tokens ---- */

    [INSERT_TOKEN] = "INSERT INTO token (id, user, name, hash, created_ms, expires_ms, revoked_ms, used_ms)"
                     " SELECT ?1, key, ?3, ?4, ?5, ?6, ?7, ?8 FROM user WHERE name = ?2",
    [FIND_TOKEN] = "SELECT @token, @user, @role FROM token t JOIN user u ON u.key = t.user JOIN role o ON "
                   "o.name = u.role WHERE t.hash = ?",
    [GET_TOKEN] = "SELECT @token FROM token t JOIN user u ON u.key = t.user WHERE t.id = ?",
    [LIST_TOKENS] = "SELECT @token FROM token t CROSS JOIN user u ON u.key = t.user ORDER BY t.key",
    [LIST_USER_TOKENS] = "SELECT @token FROM user u CROSS JOIN token t ON t.user = u.key WHERE u.name = ?"
                         " ORDER BY t.key",
    [REVOKE_TOKEN] = "UPDATE token SET revoked_ms = ?2 WHERE id = ?1 AND revoked_ms = 0",
    [TOUCH_TOKEN] = "UPDATE token SET used_ms = ?2 WHERE id = ?1",

    /* ---- logins ---- */

    [INSERT_LOGIN] = "INSERT INTO login (hash, xsrf, user, generation, created_ms, used_ms)"
                     " SELECT ?1, ?2, key, ?4, ?5, ?6 FROM user WHERE name = ?3",
    [FIND_LOGIN] = "SELECT @login, @user, @role FROM login l JOIN user u ON u.key = l.user JOIN role o ON "
                   "o.name = u.role WHERE l.hash = ?",
    [TOUCH_LOGIN] = "UPDATE login SET used_ms = ?2 WHERE hash = ?1",
    [DELETE_LOGIN] = "DELETE FROM login WHERE hash = ?",
    [DELETE_STALE_LOGINS] = "DELETE FROM login WHERE used_ms < ?",
    [DELETE_OLD_LOGINS] = "DELETE FROM login WHERE key IN (SELECT key FROM login WHERE user = ?1"
                          " ORDER BY key DESC LIMIT -1 OFFSET ?2)",
    [DELETE_USER_LOGINS] = "DELETE FROM login WHERE user = ?",

    [APPEND_AUDIT] = "INSERT INTO audit (time_ms, user, way, address, operation, session, object, status,"
                     " code, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
};
