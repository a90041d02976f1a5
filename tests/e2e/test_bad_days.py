"""What goes wrong around the service: each has a clear word in the row, in the log or at the start, the file keeps what
was captured, and the service goes on."""
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time

import pytest

from harness import sandbox
from harness.client import ENDED
from harness.daemon import BUILD
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, capinfos_count
from harness.wait import SLOW, wait_until
from harness.wire import Sender


# ---- interfaces ----

def remove(wire):
    sandbox.ip(f"link del {wire.near}")


def remove_far_end(wire):
    sandbox.ip(f"link del {wire.far}")


def set_down(wire):
    sandbox.ip(f"link set {wire.near} down")


LOSSES = {"removed": (remove, "was removed"), "peer removed": (remove_far_end, "was removed"), "down": (set_down, "went down")}


@pytest.mark.parametrize("busy", [False, True], ids=["silent", "busy"])
@pytest.mark.parametrize("loss", LOSSES)
def test_interface_lost_during_the_capture(daemon, wire, loss, busy):
    lose, words = LOSSES[loss]
    daemon.expect_log("INTERFACE_GONE")
    client = daemon.client
    session = client.started(wire.near, capduration=100)
    wire.inward.send_all(numbers(200 if busy else 0))
    before = time.monotonic()
    lose(wire)
    session = client.wait_end(session)
    assert time.monotonic() - before < 2 * SLOW
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert f"interface {wire.near} {words}" in session["errormsg"]
    data = Pcap(session["filelocation"]).data()
    assert [number_of(one) for one in data] == list(range(200 if busy else 0))
    assert session["runtime"]["packets_captured"] == len(data)


def test_the_service_goes_on_after_a_lost_interface(daemon, make_wire):
    daemon.expect_log("INTERFACE_GONE")
    lost, other = make_wire(), make_wire()
    beside = daemon.client.started(other.near, capamount=10)
    session = daemon.client.started(lost.near, capduration=100)
    remove(lost)
    daemon.client.wait_end(session)
    other.inward.send_all(numbers(10))
    assert daemon.client.wait_end(beside)["stop_reason"] == "PACKET_COUNT"


def test_interface_that_is_down_at_the_start(daemon, wire):
    daemon.expect_log("INTERFACE_GONE")
    set_down(wire)
    session = daemon.client.wait_end(daemon.client.create(wire.near, capduration=100))
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert f"interface {wire.near} is down" in session["errormsg"]
    sandbox.ip(f"link set {wire.near} up")
    wire.wait_until_it_carries()
    daemon.client.wait_for(daemon.client.restart(session), "STARTED")
    wire.inward.send_all(numbers(5))
    ended = daemon.client.terminate(session)
    assert ended["runtime"]["run"] == 2 and ended["runtime"]["packets_captured"] == 5
    assert "errormsg" not in ended


def test_restart_on_an_interface_that_was_made_again(daemon, wire):
    """The same name, another interface."""
    daemon.expect_log("INTERFACE_GONE")
    session = daemon.client.started(wire.near, capduration=100)
    remove(wire)
    daemon.client.wait_end(session)
    sandbox.ip(f"link add {wire.near} type veth peer name {wire.far}",
               *(f"link set {end} addrgenmode none arp off multicast off up" for end in (wire.near, wire.far)))
    again = Sender(wire.far)
    wait_until(lambda: wire.carries(again, wire.near), what="the new wire")
    daemon.client.wait_for(daemon.client.restart(session), "STARTED")
    again.send_all(numbers(5))
    ended = daemon.client.terminate(session)
    again.close()
    assert ended["sessionstatus"] == "STOPPED" and "errormsg" not in ended
    assert [number_of(data) for data in Pcap(ended["filelocation"]).data()] == list(range(5))


def test_interface_removed_while_pending(make_daemon, make_wire):
    daemon = make_daemon("--max-captures", "1", "--ring-mb", "8").start()
    daemon.expect_log("INTERFACE_GONE")
    lost, other = make_wire(), make_wire()
    first = daemon.client.started(other.near, capduration=100)
    pending = daemon.client.create(lost.near, capduration=100)
    remove(lost)
    daemon.client.terminate(first)
    session = daemon.client.wait_end(pending)
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert lost.near in session["errormsg"]


def test_interface_gone_when_a_capture_resumes(daemon, wire):
    daemon.expect_log("INTERFACE_GONE")
    session = daemon.client.started(wire.near, capduration=100)
    wire.inward.send_all(numbers(30))
    daemon.stop()
    remove(wire)
    client = daemon.start().client
    session = client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert capinfos_count(session["filelocation"]) == session["runtime"]["packets_captured"] == 30


# ---- disks ----

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB, mounted in the suite's own mount namespace."""
    place = tmp_path / "disk"
    place.mkdir()
    sandbox.mount("tmpfs", place, "tmpfs", data="size=8m")
    yield place
    sandbox.unmount(place)


def free(path):
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


@pytest.fixture
def cramped_daemon(small_disk, make_daemon):
    return make_daemon("--ring-mb", "8", data=small_disk / "data").start()


def check_disk_low(session):
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "DISK_LOW")
    assert "disk" in session["errormsg"]


def test_disk_full(cramped_daemon, small_disk, wire):
    """The capture ends with what it has, a reserve stays, and the service still takes and answers sessions."""
    cramped_daemon.expect_log("DISK_LOW")
    client = cramped_daemon.client
    session = client.started(wire.near, capduration=100)
    with Background(wire.inward, rate=8000, size=1400, limit=20):
        session = client.wait_end(session, timeout=15)
    check_disk_low(session)
    pcap = Pcap(session["filelocation"])
    assert session["runtime"]["packets_captured"] == len(pcap) == capinfos_count(session["filelocation"])
    assert [number_of(data) for data in pcap.data()] == list(range(len(pcap)))
    assert session["runtime"]["packets_dropped"] > 0
    assert pcap.size > 3_000_000 and free(small_disk) >= 500_000
    # Later ones are answered, and end as soon as there is something to write.
    for _ in range(3):
        later = client.wait_for(client.create(wire.near, capduration=100), "STARTED", "ERROR")
        if later["sessionstatus"] == "STARTED":
            wire.inward.send_all(numbers(2000, size=1400))
        check_disk_low(client.wait_end(later))
    # With room again all is well.
    client.delete(session)
    again = client.started(wire.near, capamount=10)
    wire.inward.send_all(numbers(10))
    assert client.wait_end(again)["stop_reason"] == "PACKET_COUNT"


def test_disk_full_without_a_reserve(small_disk, make_daemon, wire):
    """To the last byte: the file is valid all the same, and so is the row, once there is room for it."""
    daemon = make_daemon("--ring-mb", "8", "--disk-reserve-mb", "0", data=small_disk / "data").start()
    daemon.expect_log("DISK_LOW", "disk", "trying again")
    client = daemon.client
    session = client.started(wire.near, capduration=100)
    with Background(wire.inward, rate=8000, size=1400, limit=5):
        wait_until(lambda: free(small_disk) < 100_000, 15, "the disk to fill up")
        time.sleep(0.3)  # into the wall
    assert client.get(session)["sessionid"] == session["sessionid"]
    sandbox.mount("tmpfs", small_disk, "tmpfs", sandbox.MS_REMOUNT, "size=16m")
    session = client.wait_end(session, timeout=10)
    check_disk_low(session)
    pcap = Pcap(session["filelocation"])
    assert session["runtime"]["packets_captured"] == len(pcap)
    assert [number_of(data) for data in pcap.data()] == list(range(len(pcap)))


def fill(path):
    """Takes every byte that is left."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        os.close(file)


def test_post_on_a_full_disk(small_disk, make_daemon, wire):
    """Refused with 503, not lost and not half there; taken again when there is room."""
    daemon = make_daemon(data=small_disk / "data").start()
    daemon.expect_log("disk", "store", "trying again")
    ballast = small_disk / "ballast"
    fill(ballast)
    statuses = set()
    for _ in range(60):
        response = daemon.client.call("POST", daemon.client.prefix + "/session", json={
            "cappoint": "VNIC", "capvalue": wire.near, "capsource": "CLI", "capamount": 1, "description": "x" * 1000})
        statuses.add(response.status_code)
        if response.status_code == 503:
            break
    assert 503 in statuses and statuses <= {200, 503}
    assert response.json()["error_code"] == 36401 and "full" in response.json()["error_message"]
    assert daemon.client.call("GET", daemon.client.prefix + "/sessions").status_code == 200
    ballast.unlink()
    wait_until(lambda: all(s["sessionstatus"] != "CREATED" for s in daemon.client.list()["results"]), 10)
    session = daemon.client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    assert daemon.client.wait_end(session)["sessionstatus"] in ENDED


def test_read_only_data_directory(tmp_path, make_daemon):
    place = tmp_path / "frozen"
    place.mkdir()
    sandbox.mount("tmpfs", place, "tmpfs", sandbox.MS_RDONLY, "mode=0755")
    try:
        refused_start(make_daemon(data=place), "[Rr]ead-only")
    finally:
        sandbox.unmount(place)


# ---- starts that fail ----

def refused_start(daemon, words, status=1, within=5):
    """Ends by itself, quickly, with that status; the log says why; nobody is left."""
    before = time.monotonic()
    daemon.launch()
    assert daemon.wait_exit() == status, daemon.text()
    assert time.monotonic() - before < within * SLOW
    daemon.expect_log(words)
    assert any(re.search(words, line) for line in daemon.text().splitlines()), daemon.text()
    assert daemon.alive_of_ours() == []


def test_port_in_use(make_daemon):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 19999))
        taken.listen()
        refused_start(make_daemon(port=19999), "cannot listen on 127.0.0.1:19999")


def test_port_in_use_by_another_pktcapd(daemon, make_daemon):
    refused_start(make_daemon(port=daemon.port), "cannot listen on")
    assert daemon.client.list()["result_count"] == 0


def test_an_address_of_another_machine(make_daemon):
    second = make_daemon()
    second.words[second.words.index("--listen") + 1] = "192.0.2.1:80"
    refused_start(second, "cannot listen on 192.0.2.1:80")


def test_newer_database(daemon, make_daemon):
    daemon.stop()
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        version, = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA user_version = 99")
    refused_start(daemon, "newer pktcapd")
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)
        database.execute(f"PRAGMA user_version = {version}")
    daemon.start()


def test_foreign_database(make_daemon):
    daemon = make_daemon()
    daemon.data.mkdir()
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        database.execute("CREATE TABLE theirs (x)")
    os.chmod(daemon.data / "pktcapd.db", 0o666)
    refused_start(daemon, "not a database of pktcapd")
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_file_that_is_no_database(make_daemon):
    daemon = make_daemon()
    daemon.data.mkdir()
    (daemon.data / "pktcapd.db").write_bytes(b"hello, world, this is no database at all" * 100)
    os.chmod(daemon.data / "pktcapd.db", 0o666)
    refused_start(daemon, "not a database")


def test_a_directory_of_somebody_else(tmp_path, make_daemon):
    """A slip in --data-dir gives nobody's files away."""
    place = tmp_path / "home"
    (place / "letters").mkdir(parents=True)
    refused_start(make_daemon(data=place), "holds other directories")
    assert place.stat().st_uid == 0 and os.listdir(place) == ["letters"]


def test_a_common_directory(make_daemon):
    """Even an empty one. A tmpfs of our own stands in, as a failure would give the machine's away."""
    sandbox.mount("tmpfs", "/var/tmp", "tmpfs", data="mode=1777")
    try:
        refused_start(make_daemon(data="/var/tmp"), "/var/tmp belongs to another user")
        assert os.stat("/var/tmp").st_uid == 0 and os.listdir("/var/tmp") == []
    finally:
        sandbox.unmount("/var/tmp")


def test_missing_worker_binary(tmp_path, make_daemon):
    lonely = tmp_path / "bin"
    lonely.mkdir()
    shutil.copy2(BUILD / "pktcapd", lonely)
    refused_start(make_daemon(build=lonely, environment={"PATH": "/usr/bin:/bin"}), "cannot run .*pktcap-worker")


def test_worker_found_in_the_path(tmp_path, make_daemon, wire):
    lonely = tmp_path / "bin"
    lonely.mkdir()
    shutil.copy2(BUILD / "pktcapd", lonely)
    client = make_daemon(build=lonely, environment={"PATH": f"{BUILD}:/usr/bin:/bin"}).start().client
    client.terminate(client.started(wire.near, capduration=100))


WRONG_STARTS = [
    (["--no-such-flag", "1"], "no setting no-such-flag"),
    (["--ring-mb", "0"], "ring_mb is 0; it takes a number from 1 to 1024"),
    (["--max-captures", "many"], "max_captures"),
    (["--worker=sometimes"], "spawn"),
    (["--config", "/nonexistent"], "/nonexistent"),
    (["extra"], "unexpected word extra"),
    (["--data-dir"], "needs a value"),
]


@pytest.mark.parametrize("flags, words", WRONG_STARTS, ids=[" ".join(flags) for flags, _ in WRONG_STARTS])
def test_wrong_command_lines(flags, words):
    for program in ("pktcapd", "pktcap-worker"):
        done = subprocess.run([BUILD / program, *flags], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2 and words in done.stderr, done.stderr


def test_unknown_user(make_daemon):
    refused_start(make_daemon("--user", "nobody-of-that-name"), "no user nobody-of-that-name")


def test_a_node_id_that_is_none(make_daemon):
    daemon = make_daemon()
    daemon.data.mkdir()
    (daemon.data / "node-id").write_text("rubbish\n")
    refused_start(daemon, "node-id does not hold a UUID")


# ---- children that will not stay ----

def test_a_worker_that_dies_over_and_over_is_brought_back(daemon, wire):
    for _ in range(3):
        before = daemon.pid("worker")
        daemon.kill("worker")
        wait_until(lambda: daemon.pid("worker") not in (None, before), 5, "a new worker")
    session = daemon.client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    assert daemon.client.wait_end(session)["stop_reason"] == "PACKET_COUNT"
