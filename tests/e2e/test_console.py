"""pktcapd's command line for people: every verb, with the service running and not, on a terminal and off it."""
import os
import pwd
import re
import shlex
import sqlite3
import subprocess
import termios

import pytest

from harness.client import MANAGER, Client
from harness.console import Console, Terminal
from harness.people import anonymous, bearer, login, status

PASSWORD = "a password of theirs"
BUILT_IN = ["admin", "auditor", "operator"]


def service_user():
    try:
        return pwd.getpwnam("pktcapd")
    except KeyError:
        return pwd.getpwnam("nobody")


@pytest.fixture
def console(tmp_path):
    """On a data directory that is not there yet."""
    return Console(tmp_path / "data")


@pytest.fixture(scope="module")
def daemon(make_shared_daemon):
    return make_shared_daemon("--ring-mb", "1").start()


@pytest.fixture
def live(daemon):
    """On that of a service that runs."""
    return Console(daemon.data)


def names(console):
    return [row[0] for row in console.do("user", "list").rows()]


def user(console, name):
    return [row for row in console.do("user", "list").rows() if row[0] == name][0]


def policy(console, name):
    shown = {}
    for flag, value in console.do("role", "show", name).rows():
        shown.setdefault(flag, []).append(value)
    return shown


def owners(place):
    return {os.lstat(os.path.join(folder, name)).st_uid
            for folder, folders, files in os.walk(place) for name in [".", *folders, *files]}


# ---- before the first start ----

def test_users_before_the_first_start(make_daemon, tmp_path):
    """The directory is made as the service makes it, which then takes the users over, and makes its administrator."""
    daemon = make_daemon("--ring-mb", "1", data=tmp_path / "early")
    console = Console(daemon.data)
    console.add_user("anna")
    token = console.do("token", "add", "anna").out.strip()
    assert owners(daemon.data) == {service_user().pw_uid}
    assert os.stat(daemon.data).st_mode & 0o777 == 0o750
    daemon.start()
    assert daemon.client.json("GET", "/whoami")["user"] == "admin"
    assert Client(daemon.port, auth=("anna", PASSWORD)).json("GET", "/whoami")["role"] == "operator"
    assert bearer(daemon.port, token).json("GET", "/whoami")["user"] == "anna"


def test_the_first_administrator_may_come_from_here(make_daemon, tmp_path):
    daemon = make_daemon("--ring-mb", "1", data=tmp_path / "early")
    Console(daemon.data).add_user("root-of-all", "admin")
    daemon.start()
    daemon.client = Client(daemon.port, auth=("root-of-all", PASSWORD))
    assert [one["name"] for one in daemon.client.json("GET", "/users")["results"]] == ["root-of-all"]


# ---- with the service running ----

def test_a_user_from_the_first_to_the_last_day(daemon, live):
    live.add_user("bea", "auditor")
    client = Client(daemon.port, auth=("bea", PASSWORD))
    assert client.json("GET", "/whoami")["kind"] == "auditor"
    live.do("user", "role", "bea", "operator")
    live.do("user", "groups", "bea", "ops,net")
    me = client.json("GET", "/whoami")
    assert (me["role"], me["groups"]) == ("operator", ["ops", "net"])
    assert user(live, "bea")[:4] == ["bea", "operator", "ops,net", "enabled"]
    live.do("user", "groups", "bea", "")
    cookie = login(daemon.port, "bea", password=PASSWORD)
    live.do("user", "disable", "bea")
    assert user(live, "bea")[2:4] == ["-", "disabled"]
    assert status(client, "GET", f"{MANAGER}/whoami") == (403, 36601)
    assert status(cookie, "GET", f"{MANAGER}/whoami")[0] in (401, 403)
    live.do("user", "enable", "bea")
    assert status(client, "GET", f"{MANAGER}/whoami")[0] == 200
    live.do("user", "passwd", "bea", typed="another password\nanother password\n")
    assert status(client, "GET", f"{MANAGER}/whoami") == (403, 36601)
    client.http.auth = ("bea", "another password")
    assert status(client, "GET", f"{MANAGER}/whoami")[0] == 200
    live.do("user", "delete", "bea")
    assert "bea" not in names(live)
    assert status(client, "GET", f"{MANAGER}/whoami") == (403, 36601)


def test_groups_of_a_new_user(live):
    live.do("user", "add", "cleo", "--role=operator", "--group", "a", "--group=b",
            typed=f"{PASSWORD}\n{PASSWORD}")
    assert user(live, "cleo")[2] == "a,b"


def test_a_token(daemon, live):
    live.add_user("dora")
    made = live.do("token", "add", "dora", "--name", "for the night", "--expires", "12h")
    assert re.fullmatch(r"pktcap_[A-Za-z0-9_-]{43}\n", made.out)
    identity = re.search(r"[0-9a-f-]{36}", made.err)[0]
    client = bearer(daemon.port, made.out.strip())
    assert client.json("GET", "/whoami")["user"] == "dora"
    listed = client.json("GET", f"/tokens/{identity}")
    assert listed["expires"] - listed["created"] == 12 * 3600 * 1000
    live.do("token", "add", "dora")
    rows = live.do("token", "list", "dora").rows()
    assert [row[1:4] for row in rows] == [["dora", "for the night", "valid"], ["dora", "-", "valid"]]
    assert rows[0][0] == identity and rows[1][5:] == ["-", "-"] and rows[0][6] != "-"
    assert identity in [row[0] for row in live.do("token", "list").rows()]
    assert live.do("token", "list", "admin").out == ""
    live.do("token", "revoke", identity)
    assert live.do("token", "list", "dora").rows()[0][3] == "revoked"
    assert status(client, "GET", f"{MANAGER}/whoami") == (403, 36601)


@pytest.mark.parametrize("text, seconds", [("30", 30 * 86400), ("2d", 2 * 86400), ("1h", 3600)])
def test_when_a_token_expires(daemon, live, text, seconds):
    made = live.do("token", "add", "admin", "--expires", text)
    token = daemon.client.json("GET", "/tokens/" + re.search(r"[0-9a-f-]{36}", made.err)[0])
    assert token["expires"] - token["created"] == seconds * 1000


def test_a_role(daemon, live):
    live.do("role", "set", "lab", "--kind", "operator", "--point", "lab-*/*", "--point", "VNIC tap*", "--max-duration",
            "60", "--stream", "yes", "--network", "192.0.2.0/24")
    assert policy(live, "lab") == {
        "kind": ["operator"], "point": ["lab-*/*", "VNIC tap*"], "max-duration": ["60"], "max-filesize": ["0"],
        "max-snaplen": ["0"], "max-sessions": ["0"], "max-stored": ["0"], "max-hourly": ["0"], "stream": ["yes"],
        "network": ["192.0.2.0/24"], "see-others": ["no"], "download-others": ["no"]}
    live.do("role", "set", "lab", "--max-hourly=9", "--see-others", "yes", "--network", "")
    shown = policy(live, "lab")
    assert (shown["point"], shown["max-duration"]) == (["lab-*/*", "VNIC tap*"], ["60"]), "what is not given stays"
    assert (shown["max-hourly"], shown["see-others"], shown["network"]) == (["9"], ["yes"], ["-"])
    live.do("role", "set", "lab", "--point", "eth0")
    assert policy(live, "lab")["point"] == ["eth0"]
    assert daemon.client.json("GET", "/roles/lab")["policy"] == {
        "points": ["eth0"], "max_duration": 60, "max_hourly": 9, "stream": True, "networks": [], "see_others": True,
        "download_others": False}
    rows = live.do("role", "list").rows()
    assert ["lab", "operator", "made", "eth0"] in rows
    assert [row[0] for row in rows if row[2] == "built-in"] == BUILT_IN
    live.do("role", "delete", "lab")
    assert "no role lab" in live.refuse("role", "show", "lab")


def test_a_role_captures_everywhere_unless_told(live):
    live.do("role", "set", "anywhere", "--kind", "operator")
    live.do("role", "set", "nowhere", "--kind", "operator", "--point", "")
    assert policy(live, "anywhere")["point"] == ["*"] and policy(live, "nowhere")["point"] == ["-"]
    assert "kind" in live.refuse("role", "set", "no-kind", "--stream", "yes")


def test_every_flag_of_a_role(live):
    numbers = {"max-duration": "1", "max-filesize": "2", "max-snaplen": "96", "max-sessions": "4", "max-stored": "5",
               "max-hourly": "6"}
    flags = {"kind": "auditor", "point": "*", "network": "2001:db8::/32", "stream": "yes", "see-others": "yes",
             "download-others": "yes", **numbers}
    live.do("role", "set", "all", *[word for flag, value in flags.items() for word in (f"--{flag}", value)])
    assert policy(live, "all") == {flag: [value] for flag, value in flags.items()}


def test_the_audit(daemon, live):
    person = Console(live.data, {"SUDO_USER": "emil"})
    person.add_user("fritz")
    identity = re.search(r"[0-9a-f-]{36}", person.do("token", "add", "fritz").err)[0]
    person.refuse("user", "delete", "nobody-here")
    rows = live.do("audit", "--user", "emil").rows()
    assert [row[1:9] for row in rows] == [
        ["emil", "console", "-", "create-user", "-", "fritz", "200", "-"],
        ["emil", "console", "-", "create-token", "-", identity, "200", "-"],
        ["emil", "console", "-", "delete-user", "-", "nobody-here", "404", "36700"]]
    assert rows[0][9] == "role operator, password"
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert live.do("audit", "--user", "emil", "--operation", "create-token").rows() == [rows[1]]
    api = daemon.client.json("GET", "/audit", params={"user": "emil"})["results"]
    assert [one["operation"] for one in api] == ["delete-user", "create-token", "create-user"]
    assert {one["way"] for one in api} == {"console"} and not any("address" in one for one in api)
    assert user(live, "fritz")[5] == "emil"
    assert len(live.do("audit", "--since", "1").rows()) == len(live.do("audit").rows())
    assert PASSWORD not in live.do("audit").out


def test_the_audit_of_a_session(daemon, live, shared_wire):
    session = daemon.client.create(shared_wire.near, capduration=60)
    daemon.client.terminate(session)
    rows = live.do("audit", "--session", session["sessionid"].upper()).rows()
    assert [row[4] for row in rows] == ["create", "terminate"]
    assert [row[3] for row in rows] == ["127.0.0.1"] * 2


def test_a_long_audit_is_whole(make_daemon):
    """More than one page of the store."""
    daemon = make_daemon("--ring-mb", "1").start()
    daemon.stop()
    script = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO audit "
              "(time_ms, user, way, address, operation, session, object, status, code, detail) "
              "SELECT i, 'u', {way}, '', 'get', '', 'o' || i, 200, 0, '' FROM n")
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        columns = [row[1:3] for row in database.execute("PRAGMA table_info(audit)")]
        way = {"way": "3"} if ("way", "INTEGER") in columns else {"way": "'cookie'"}
        database.execute(script.format(**way))
    rows = Console(daemon.data).do("audit", "--user", "u").rows()
    assert [row[6] for row in rows] == [f"o{i}" for i in range(1, 9001)]


# ---- refusals ----

@pytest.mark.parametrize("words, code, message", [
    (["user"], 2, "add, list, passwd"),
    (["user", "ad", "x"], 2, "no user ad"),
    (["user", "add", "x"], 2, "--role"),
    (["user", "add"], 2, "missing"),
    (["user", "add", "x", "--role"], 2, "needs a value"),
    (["user", "add", "x", "--role", "operator", "--role", "admin"], 2, "twice"),
    (["user", "add", "x", "--role", "operator", "--password", "secret"], 2, "takes no flag --password"),
    (["user", "list", "x"], 2, "too many"),
    (["user", "passwd", "x", "a password"], 2, "too many"),
    (["token", "add", "admin", "--expires", "soon"], 2, "days"),
    (["token", "add", "admin", "--expires", "0"], 2, "days"),
    (["token", "add", "admin", "--expires", "-1"], 2, "days"),
    (["role", "set", "x", "--kind", "king"], 2, "operator"),
    (["role", "set", "x", "--stream", "maybe"], 2, "yes or no"),
    (["role", "set", "x", "--max-duration", "ten"], 2, "number"),
    (["role", "set", "x", "--max-duration", "2147483648"], 2, "number"),
    (["audit", "--operation", "fly"], 2, "create-user"),
    (["audit", "--session", "x"], 2, "UUID"),
    (["audit", "list"], 2, "too many"),
    (["user", "add", "x", "--role", "king"], 1, "no role king"),
    (["user", "add", ".x", "--role", "operator"], 1, "name"),
    (["user", "add", "x", "--role", "operator", "--group", ""], 1, "groups"),
    (["user", "add", "admin", "--role", "operator"], 1, "admin"),
    (["user", "groups", "admin", "a,,b"], 1, "groups"),
    (["user", "role", "nobody-here", "operator"], 1, "no user"),
    (["user", "role", "admin", "operator"], 1, "nobody would be left"),
    (["user", "disable", "admin"], 1, "nobody would be left"),
    (["user", "delete", "admin"], 1, "nobody would be left"),
    (["user", "passwd", "nobody-here"], 1, "no user"),
    (["token", "add", "nobody-here"], 1, "no user"),
    (["token", "list", "nobody-here"], 1, "no user"),
    (["token", "revoke", "x"], 1, "no token"),
    (["role", "set", "admin", "--kind", "operator"], 1, "built"),
    (["role", "set", "x", "--kind", "operator", "--network", "home"], 1, "networks"),
    (["role", "set", "x", "--kind", "operator", "--max-snaplen", "3"], 1, "max_snaplen"),
    (["role", "delete", "admin"], 1, "built"),
], ids=str)
def test_refusals(live, words, code, message):
    before = names(live), live.do("role", "list").out, live.do("token", "list").out
    said = live.refuse(*words, code=code, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert message in said
    assert ("usage: pktcapd" in said) == (code == 2 and len(words) > 1 and words[1] != "ad")
    assert before == (names(live), live.do("role", "list").out, live.do("token", "list").out)


@pytest.mark.parametrize("typed, message", [
    ("", "missing"), (f"{PASSWORD}\n", "missing"), (f"{PASSWORD}\n{PASSWORD}x\n", "differ"),
    ("short\n" * 2, "8 to 256"), (("x" * 257 + "\n") * 2, "8 to 256"), (("x" * 5000 + "\n") * 2, "8 to 256"),
    ("\n\n", "8 to 256"), ("tab\there is one\n" * 2, "control"), (f"nul\0{PASSWORD}\n" * 2, "control"),
], ids=["nothing", "one line", "two lines", "short", "long", "very long", "empty", "tab", "nul"])
def test_passwords_that_are_none(daemon, live, typed, message):
    assert message in live.refuse("user", "add", "greta", "--role", "operator", typed=typed)
    assert "greta" not in names(live)
    live.refuse("user", "passwd", "admin", typed=typed)
    assert daemon.client.json("GET", "/whoami")["user"] == "admin"


def test_what_is_no_verb_is_the_services(tmp_path):
    said = Console(tmp_path / "data").refuse("usr", "list", code=2)
    assert "unexpected word usr" in said


def test_a_token_that_nobody_gets_is_told(daemon, live):
    with open("/dev/full", "w") as full:
        done = subprocess.run(live.words(["token", "add", "admin"]), stdout=full, stderr=subprocess.PIPE, text=True,
                              env=live.environment)
    assert done.returncode == 1 and "standard output" in done.stderr


@pytest.mark.parametrize("words", [["user", "--help"], ["role", "set", "-h"], ["--data-dir", "x", "audit", "--help"]],
                         ids=" ".join)
def test_help(console, words):
    shown = console.do(*words).out
    assert "usage: pktcapd" in shown and "--data-dir" in shown
    assert ("--max-snaplen" in shown) == ("role" in words)
    assert not os.path.exists(console.data)


# ---- settings ----

def test_settings_stand_anywhere(live):
    data = live.data
    bare = Console(None)
    for words in (["--data-dir", data, "user", "list"], ["user", f"--data-dir={data}", "list"],
                  ["user", "list", "--data-dir", data]):
        assert "admin" in [row[0] for row in bare.do(*words).rows()]
    assert "admin" in names(Console(None, {"PKTCAPD_DATA_DIR": str(data)}))


def test_the_configuration_file_counts(live, tmp_path):
    file = tmp_path / "pktcapd.conf"
    file.write_text(f"data_dir = {live.data}\n")
    assert "admin" in [row[0] for row in Console(None).do("user", "list", "--config", file).rows()]
    assert "admin" in names(Console(None, {"PKTCAPD_CONFIG": str(file)}))
    file.write_text("nosuch = 1\n")
    assert "nosuch" in Console(None).refuse("user", "list", "--config", file, code=2)


# ---- whose files ----

def test_a_service_that_has_another_user(make_daemon, tmp_path):
    """The console is not told of --user, and leaves the directory to whom it belongs."""
    daemon = make_daemon("--ring-mb", "1", "--user", "daemon", data=tmp_path / "data").start()
    (daemon.data / "foreign").mkdir()  # with which the directory would not be taken over
    console = Console(daemon.data)
    uid = pwd.getpwnam("daemon").pw_uid
    os.chown(daemon.data / "foreign", uid, -1)
    console.add_user("hugo")
    assert owners(daemon.data) == {uid}
    daemon.stop()
    console.add_user("ida")
    assert owners(daemon.data) == {uid}
    daemon.start()
    assert Client(daemon.port, auth=("ida", PASSWORD)).json("GET", "/whoami")["user"] == "ida"


def test_the_services_files_stay_the_services(make_daemon):
    daemon = make_daemon("--ring-mb", "1").start()
    uid, console = service_user().pw_uid, Console(daemon.data)
    before = os.stat(daemon.data)
    console.add_user("jan")
    assert owners(daemon.data) == {uid}
    daemon.stop()
    console.do("user", "disable", "jan")
    assert owners(daemon.data) == {uid}
    assert (os.stat(daemon.data).st_mode, os.stat(daemon.data).st_uid) == (before.st_mode, before.st_uid)


def test_a_service_of_roots(make_daemon):
    daemon = make_daemon("--ring-mb", "1", "--user", "root").start()
    Console(daemon.data).add_user("kai")
    assert owners(daemon.data) == {0}


def test_who_may_not_write_there_is_refused(daemon, live):
    stranger = "nobody" if service_user().pw_name != "nobody" else "daemon"
    assert "Permission denied" in live.refuse("user", "list", user=stranger)


def test_a_directory_of_others_is_not_taken_over(tmp_path):
    place = tmp_path / "home"
    (place / "documents").mkdir(parents=True)
    assert "another user" in Console(place).refuse("user", "list")
    assert os.listdir(place) == ["documents"] and os.stat(place).st_uid == 0


# ---- on a terminal ----

def test_a_password_is_asked_for_twice_without_echo(daemon, live):
    terminal = live.terminal("user", "add", "lena", "--role", "operator")
    terminal.wait_for("New password: ")
    assert not termios.tcgetattr(terminal.fd)[3] & termios.ECHO
    terminal.type(PASSWORD + "\n")
    terminal.wait_for("Once more: ")
    terminal.type(PASSWORD + "\n")
    assert terminal.end() == 0, terminal.shown
    assert PASSWORD not in terminal.shown
    assert Client(daemon.port, auth=("lena", PASSWORD)).json("GET", "/whoami")["user"] == "lena"


def test_a_slip_of_the_fingers(live):
    terminal = live.terminal("user", "add", "mona", "--role", "operator")
    terminal.wait_for("New password: ")
    terminal.type(PASSWORD + "\n")
    terminal.wait_for("Once more: ")
    terminal.type(PASSWORD + "!\n")
    assert terminal.end() == 1
    assert "differ" in terminal.shown and "mona" not in names(live)


@pytest.mark.parametrize("typed", ["\x04", "\x03"], ids=["end of file", "Ctrl-C"])
def test_giving_up(live, typed):
    terminal = live.terminal("user", "add", "nina", "--role", "operator")
    terminal.wait_for("New password: ")
    terminal.type(typed)
    if typed == "\x03":
        terminal.wait_for("\n")
        assert terminal.end() == -2
    else:
        assert terminal.end() == 1 and "missing" in terminal.shown
    assert "nina" not in names(live)


def test_the_echo_is_on_again_after_ctrl_c(live):
    """In the same terminal, held open by a shell."""
    words = shlex.join(live.words(["user", "passwd", "admin"]))
    terminal = Terminal(["bash", "-c", f"trap : INT; {words}; stty -a; echo done"], live.environment)
    terminal.wait_for("New password: ")
    terminal.type("\x03")
    terminal.wait_for("done")
    assert re.search(r"[^-]\becho\b", terminal.shown) and "-echo " not in terminal.shown
    terminal.end()


def test_nobody_is_asked_in_vain(live):
    """A role or user that is not there is told before the password is typed."""
    for words in (["user", "add", "olga", "--role", "king"], ["user", "passwd", "olga"]):
        terminal = live.terminal(*words)
        assert terminal.end() == 1 and "password:" not in terminal.shown
