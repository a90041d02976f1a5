"""Starting: command lines, settings from everywhere, users, places of the data directory."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness import sandbox
from harness.daemon import BUILD, alive
from harness.frames import numbers
from harness.wait import wait_until

PROGRAMS = ("pktcapd", "pktcap-worker")


def capture_one(daemon, wire):
    """The service works: a capture of one packet."""
    session = daemon.client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    session = daemon.client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT"
    return session


# ---- the command line ----

@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_version(program):
    for flag in ("--help", "-h"):
        done = subprocess.run([BUILD / program, flag], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and f"usage: {program}" in done.stdout and not done.stderr
        assert "--data-dir" in done.stdout and "PKTCAPD_DATA_DIR" in done.stdout
    for flag in ("--version", "-V"):
        done = subprocess.run([BUILD / program, flag], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 and done.stdout.startswith(f"{program} ") and not done.stderr


def limits(daemon, wire):
    session = daemon.client.create(wire.near)
    daemon.client.terminate(session)
    return session["limits"]


def test_settings_from_file_environment_and_flags(tmp_path, make_daemon, wire):
    """The command line beats the environment, which beats the file."""
    file = tmp_path / "pktcapd.conf"
    file.write_text("# a comment\ndefault_duration = 11\nmax_filesize = 12\nmax_snaplen = 113\nring_mb = 1\n")
    environment = {"PKTCAPD_MAX_FILESIZE": "22", "PKTCAPD_MAX_SNAPLEN": "123"}
    daemon = make_daemon("--config", file, "--max-snaplen=133", environment=environment).start()
    assert limits(daemon, wire) == {"capduration": 11, "capfilesize": 22, "capsnaplen": 133}


def test_the_file_may_be_named_in_the_environment(tmp_path, make_daemon, wire):
    file = tmp_path / "pktcapd.conf"
    file.write_text("default_duration = 17\n")
    daemon = make_daemon("--ring-mb", "1", environment={"PKTCAPD_CONFIG": str(file)}).start()
    assert limits(daemon, wire)["capduration"] == 17


@pytest.mark.parametrize("text, words", [("nonsense", "line 1"), ("ring_mb = x", "ring_mb"), ("rung_mb = 1", "ring_mb")])
def test_wrong_settings_in_the_file(tmp_path, text, words):
    file = tmp_path / "pktcapd.conf"
    file.write_text(text + "\n")
    for program in PROGRAMS:
        done = subprocess.run([BUILD / program, "--config", file], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2 and words in done.stderr and str(file) in done.stderr


def test_port_0_takes_a_free_one(make_daemon):
    daemon = make_daemon(port=0).start()
    assert daemon.port > 1023
    assert daemon.client.list()["result_count"] == 0


@pytest.mark.parametrize("address", ["8080", ":8080", "[::1]", "::1:8080", "[::1]8080", "[]:80", "[127.0.0.1]:80", "[::ffff:127.0.0.1]:80", "localhost:8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                     "127.0.0.1:80,127.0.0.1:81", "127.0.0.1:8080s", "1.2.3:80", ""])
def test_addresses_that_are_none(address):
    """Taken as they look or not at all: a port alone might mean every address."""
    done = subprocess.run([BUILD / "pktcapd", "--listen", address], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "ADDR:PORT" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(daemon, wire, number):
    daemon.client.started(wire.near, capduration=100)
    family = daemon.pids()
    assert len(family) == 3
    daemon.client.http.close()
    daemon.process.send_signal(number)
    assert daemon.wait_exit(10) == 0
    assert not any(alive(pid) for pid in family)
    assert list((daemon.data / "workers").iterdir()) == []


def test_the_end_of_the_parent_ends_all(daemon):
    """However it ends: the children see their lifeline close."""
    children = daemon.children()
    assert len(children) == 2
    daemon.client.http.close()
    daemon.expect_log("killed by signal")
    sandbox.kill(daemon.process.pid)
    wait_until(lambda: not any(alive(pid) for pid in children), 10, "the end of the children")


def test_a_second_service_on_other_data_is_no_trouble(make_daemon, wire):
    one, two = make_daemon("--ring-mb", "1").start(), make_daemon("--ring-mb", "1").start()
    session = capture_one(one, wire)
    capture_one(two, wire)
    assert [s["sessionid"] for s in one.client.list()["results"]] == [session["sessionid"]]
    assert (one.data / "node-id").read_text() != (two.data / "node-id").read_text()


def test_the_node_keeps_its_id(daemon):
    before = (daemon.data / "node-id").read_text()
    daemon.stop()
    daemon.start()
    assert (daemon.data / "node-id").read_text() == before
    assert before.strip() in daemon.text_since_launch()


# ---- the data directory ----

def test_below_a_private_directory_of_root(tmp_path, make_daemon, wire):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    daemon = make_daemon("--ring-mb", "1", data=private / "deeper" / "data").start()
    session = capture_one(daemon, wire)
    assert session["filelocation"].startswith(str(daemon.data) + "/")
    assert daemon.client.download(session).status_code == 200


@pytest.mark.parametrize("name", ["with blanks in it", "Grüße", "x" * 120, "a/../b", "trailing/"])
def test_odd_paths(tmp_path, make_daemon, wire, name):
    daemon = make_daemon("--ring-mb", "1", data=tmp_path / "d")
    daemon.words[daemon.words.index("--data-dir") + 1] = f"{tmp_path}/{name}"
    (tmp_path / "a").mkdir()
    daemon.start()
    session = capture_one(daemon, wire)
    assert os.path.exists(session["filelocation"])
    daemon.stop()


def test_a_very_long_path(tmp_path, make_daemon, wire):
    """Longer than the address of a Unix socket may be, which the doorbell is."""
    long = tmp_path
    for _ in range(4):
        long = long / ("y" * 100)
    daemon = make_daemon("--ring-mb", "1", data=long).start()
    assert capture_one(daemon, wire)["filelocation"].startswith(str(long))


def test_a_relative_path(tmp_path, make_daemon, wire):
    daemon = make_daemon("--ring-mb", "1", wrapper=["env", "-C", tmp_path])
    daemon.words[daemon.words.index("--data-dir") + 1] = "here"
    daemon.start()
    assert capture_one(daemon, wire)["filelocation"].startswith(f"{tmp_path}/here/captures/")
    daemon.stop()


@pytest.mark.parametrize("letter", ['"', "\\", "\n"])
def test_letters_that_no_answer_may_hold(tmp_path, make_daemon, letter):
    daemon = make_daemon(data=tmp_path / f"a{letter}b")
    daemon.expect_log("may not hold quotes")
    daemon.launch()
    assert daemon.wait_exit() == 1


def test_files_are_not_for_everyone(daemon, wire):
    session = capture_one(daemon, wire)
    for path in (daemon.data, daemon.data / "pktcapd.db", session["filelocation"], os.path.dirname(session["filelocation"])):
        assert os.stat(path).st_mode & 0o007 == 0, path


# ---- with fewer rights than root has ----

@pytest.fixture
def open_place():
    """A directory that every user can reach, which pytest's own are not; and programs there that they can run."""
    with tempfile.TemporaryDirectory(prefix="pktcapd-e2e-") as name:
        os.chmod(name, 0o755)
        for program in PROGRAMS:
            shutil.copy2(BUILD / program, name)
            os.chmod(os.path.join(name, program), 0o755)
        data = os.path.join(name, "data")
        os.mkdir(data, 0o700)
        os.chown(data, 65534, 65534)
        yield name


AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def check_permission(daemon, wire):
    for _ in range(2):
        session = daemon.client.wait_end(daemon.client.create(wire.near, capduration=100))
        assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "PERMISSION")
        assert "CAP_NET_RAW" in session["errormsg"]
        assert "filelocation" not in session


def test_root_without_cap_net_raw(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "1", wrapper=["setpriv", "--bounding-set", "-net_raw"])
    daemon.expect_log("no CAP_NET_RAW", "PERMISSION")
    daemon.start()
    check_permission(daemon, wire)


def test_nobody_without_any_capability(make_daemon, open_place, wire):
    daemon = make_daemon("--ring-mb", "1", wrapper=AS_NOBODY, build=open_place, data=os.path.join(open_place, "data"))
    daemon.expect_log("no CAP_NET_RAW", "PERMISSION")
    daemon.start()
    check_permission(daemon, wire)


def test_nobody_with_the_capability_on_the_file(make_daemon, open_place, wire):
    """setcap cap_net_raw+ep pktcap-worker: no root at all."""
    done = subprocess.run(["setcap", "cap_net_raw+ep", os.path.join(open_place, "pktcap-worker")], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no file capabilities here: {done.stderr.decode().strip()}")
    daemon = make_daemon("--ring-mb", "1", wrapper=AS_NOBODY, build=open_place, data=os.path.join(open_place, "data")).start()
    capture_one(daemon, wire)
    status = sandbox.status_of(daemon.pid("worker"))
    assert set(status["Uid"].split()) == {"65534"} and int(status["CapEff"], 16) == 1 << 13
    assert int(sandbox.status_of(daemon.pid("front end"))["CapEff"], 16) == 0


def test_root_without_the_right_to_chroot(make_daemon, wire):
    """As in many a container: not confined, and all the same without root."""
    daemon = make_daemon("--ring-mb", "1", wrapper=["setpriv", "--bounding-set", "-sys_chroot"])
    daemon.data = daemon.data.parent / "data"
    for place in (daemon.data.parent, *daemon.data.parent.parents):
        if "pytest" in str(place):
            os.chmod(place, 0o755)
    daemon.start()
    capture_one(daemon, wire)
    for role in ("front end", "worker"):
        assert "0" not in sandbox.status_of(daemon.pid(role))["Uid"].split()


# ---- the database ----

def test_a_backup_is_a_copy(daemon, make_daemon, tmp_path, wire):
    """Stop, copy, start elsewhere: all sessions and files are there."""
    session = capture_one(daemon, wire)
    daemon.stop()
    shutil.copytree(daemon.data, tmp_path / "copy", ignore=shutil.ignore_patterns("workers"))
    other = make_daemon("--ring-mb", "1", data=tmp_path / "copy").start()
    restored = other.client.get(session)
    assert restored["filelocation"] == session["filelocation"].replace(str(daemon.data), str(tmp_path / "copy"))
    assert other.client.download(session).content == open(session["filelocation"], "rb").read()


def test_the_database_is_wal_and_strict(daemon, wire):
    capture_one(daemon, wire)
    tables = json.loads(sandbox.run("sqlite3", "-json", str(daemon.data / "pktcapd.db"),
                                    "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"))
    assert tables and all(table["strict"] == 1 for table in tables)
    assert sandbox.run("sqlite3", str(daemon.data / "pktcapd.db"), "PRAGMA journal_mode").strip() == "wal"
