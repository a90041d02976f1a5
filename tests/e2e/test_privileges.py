"""Who runs with which rights: the front end with none, the worker with CAP_NET_RAW alone, the broker with the three that
it is there for."""
import glob
import os
import pwd
import time

import pytest

from harness import sandbox
from harness.frames import numbers
from harness.judges import Pcap
from harness.wait import SLOW

CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN = 1 << 12, 1 << 13, 1 << 21
NOBODY = pwd.getpwnam("nobody")


def standard_user():
    """Whom a service started as root becomes."""
    try:
        return pwd.getpwnam("pktcapd").pw_uid
    except KeyError:
        return NOBODY.pw_uid


@pytest.fixture(scope="module")
def busy_daemon(make_shared_daemon, make_shared_wire):
    """A daemon that captures."""
    daemon = make_shared_daemon("--ring-mb", "8").start()
    daemon.client.started(make_shared_wire().near, capduration=3000)
    return daemon


def threads(pid):
    """The status of every thread: rights belong to threads, not to processes."""
    return [sandbox.status_of(f"{pid}/task/{task}") for task in os.listdir(f"/proc/{pid}/task")]


def capabilities(status, which):
    return int(status[f"Cap{which}"], 16)


def check_rights(pid, uid, effective):
    for status in threads(pid):
        assert status["Uid"].split() == [str(uid)] * 4
        assert "0" not in status["Gid"].split() and status.get("Groups", "").split() == []
        assert capabilities(status, "Eff") == capabilities(status, "Prm") == effective
        for which in ("Inh", "Bnd", "Amb"):
            assert capabilities(status, which) == 0, which
        assert status["NoNewPrivs"] == "1"


def test_the_front_end_has_no_right(busy_daemon):
    check_rights(busy_daemon.pid("front end"), standard_user(), 0)


def test_the_worker_has_cap_net_raw_only(busy_daemon):
    check_rights(busy_daemon.pid("worker"), standard_user(), CAP_NET_RAW)


def test_the_broker_has_its_three(busy_daemon):
    check_rights(busy_daemon.pid("broker"), standard_user(), CAP_NET_RAW | CAP_NET_ADMIN | CAP_SYS_ADMIN)


@pytest.mark.parametrize("flags, rights", [
    (["--netns-dirs="], CAP_NET_RAW | CAP_NET_ADMIN),
    (["--firewall", "no"], CAP_NET_RAW | CAP_SYS_ADMIN),
    (["--netns-dirs=", "--firewall", "no"], CAP_NET_RAW),
], ids=str)
def test_the_broker_has_no_right_that_is_not_wanted(make_daemon, flags, rights):
    daemon = make_daemon(*flags).start()
    check_rights(daemon.pid("broker"), standard_user(), rights)
    check_rights(daemon.pid("worker"), standard_user(), CAP_NET_RAW)


def test_the_broker_is_told_from_the_worker(busy_daemon):
    """In process lists: by its command line and its name."""
    for role in ("worker", "broker"):
        pid = busy_daemon.pid(role)
        with open(f"/proc/{pid}/cmdline") as line, open(f"/proc/{pid}/comm") as name:
            assert line.read().split("\0")[0].endswith(f"pktcap-{role}")
            assert name.read() == f"pktcap-{role}\n"


def test_the_broker_holds_little(busy_daemon):
    """Its socket to the worker and the one for front ends; nothing of the worker's, no network, no file."""
    pid = busy_daemon.pid("broker")
    assert not socket_inodes(pid) & internet_inodes()
    assert len(socket_inodes(pid)) == 2
    links = [os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*")]
    assert not [link for link in links if str(busy_daemon.data) in link], links
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


@pytest.mark.parametrize("role", ["front end", "worker"])
def test_the_data_directory_is_their_root(busy_daemon, role):
    pid = busy_daemon.pid(role)
    assert os.readlink(f"/proc/{pid}/root") == str(busy_daemon.data)
    assert os.readlink(f"/proc/{pid}/cwd") == str(busy_daemon.data)


def test_what_they_make_is_their_users(busy_daemon):
    for path in [busy_daemon.data, *busy_daemon.data.rglob("*")]:
        status = path.lstat()
        assert status.st_uid == standard_user(), path
        assert status.st_mode & 0o007 == 0 or path.name == "node-id" or path.is_socket(), path


# ---- sockets ----

def socket_inodes(pid):
    found = set()
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def internet_inodes():
    """Inodes of every TCP, UDP and raw IP socket of our namespace."""
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6"):
        try:
            with open(f"/proc/self/net/{kind}") as file:
                found |= {line.split()[9] for line in file.readlines()[1:]}
        except FileNotFoundError:
            pass
    return found


def test_the_worker_speaks_no_network(busy_daemon):
    assert socket_inodes(busy_daemon.pid("worker")), "the tap at least"
    assert not socket_inodes(busy_daemon.pid("worker")) & internet_inodes()
    assert socket_inodes(busy_daemon.pid("front end")) & internet_inodes(), "else this test proves nothing"


def test_the_parent_listens_nowhere(busy_daemon):
    assert not socket_inodes(busy_daemon.pid("parent"))


def test_the_front_end_holds_no_packet_socket(busy_daemon):
    with open("/proc/self/net/packet") as file:
        taps = {line.split()[8] for line in file.readlines()[1:]}
    assert socket_inodes(busy_daemon.pid("worker")) & taps
    assert not socket_inodes(busy_daemon.pid("front end")) & taps


# ---- other users ----

def test_as_another_user(make_daemon, wire):
    daemon = make_daemon("--user", "nobody", "--ring-mb", "8").start()
    check_rights(daemon.pid("front end"), NOBODY.pw_uid, 0)
    check_rights(daemon.pid("worker"), NOBODY.pw_uid, CAP_NET_RAW)
    session = daemon.client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    assert len(Pcap(daemon.client.wait_end(session)["filelocation"])) == 1


def test_the_data_directory_changes_hands(make_daemon, wire):
    """Sessions and files made by one user stay usable when the service runs as another."""
    first = make_daemon("--user", "nobody", "--ring-mb", "8").start()
    session = first.client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    first.client.wait_end(session)
    first.stop()
    second = make_daemon("--user", "daemon", "--ring-mb", "8", data=first.data).start()
    assert second.client.get(session)["sessionstatus"] == "FINISHED"
    assert second.client.download(session).content
    second.client.delete(session)
    owners = {path.lstat().st_uid for path in first.data.rglob("*")}
    assert owners == {pwd.getpwnam("daemon").pw_uid}


UNPRIVILEGED = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


def test_without_root(make_daemon, tmp_path, wire):
    """The API works; captures end with PERMISSION, as the worker's file has no capability."""
    data = tmp_path / "own"
    data.mkdir()
    os.chown(data, 65534, 65534)
    open_the_way(data)
    daemon = make_daemon("--ring-mb", "8", data=data, wrapper=UNPRIVILEGED)
    daemon.expect_log("no CAP_NET_RAW: every capture will end with PERMISSION", "ERROR PERMISSION")
    daemon.start()
    for role in ("parent", "front end", "worker"):
        for status in threads(daemon.pid(role)):
            assert status["Uid"].split() == ["65534"] * 4
            assert capabilities(status, "Eff") == capabilities(status, "Prm") == 0
    session = daemon.client.wait_end(daemon.client.create(wire.near))
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "PERMISSION")
    assert "CAP_NET_RAW" in session["errormsg"] and "filelocation" not in session
    assert daemon.client.delete(session)["sessionid"] == session["sessionid"]


def open_the_way(path):
    """pytest's directories are for root alone."""
    for parent in path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)


# ---- idling ----

def voluntary_switches(daemon):
    return sum(int(status["voluntary_ctxt_switches"]) for pid in daemon.pids() for status in threads(pid))


def wake_ups(daemon, seconds):
    """Per second."""
    before, began = voluntary_switches(daemon), time.monotonic()
    time.sleep(seconds)  # the time to measure, not one to wait for something
    return (voluntary_switches(daemon) - before) / (time.monotonic() - began)


@pytest.mark.slow
def test_an_idle_service_hardly_wakes_up(make_daemon):
    """The least of three: what the machine does beside us is not the service's."""
    daemon = make_daemon().start()
    daemon.client.list()
    daemon.client.http.close()
    rates = [wake_ups(daemon, 2) for _ in range(3)]
    assert min(rates) <= 12 * SLOW, rates
