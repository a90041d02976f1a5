"""Who runs as what, and how little they may."""
import os
import pwd
import re
import time

import pytest

from harness import sandbox
from harness.wait import SLOW

CAP_NET_RAW = 1 << 13


def capabilities(pid):
    status = sandbox.status_of(pid)
    return {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def uids(pid):
    return set(map(int, sandbox.status_of(pid)["Uid"].split()))


def check_confined(daemon, pid, uid):
    assert uids(pid) == {uid}
    assert sandbox.status_of(pid)["NoNewPrivs"] == "1"
    assert sandbox.status_of(pid).get("Groups", "").split() == []
    assert os.readlink(f"/proc/{pid}/root") == str(daemon.data.resolve())


def service_uid():
    for name in ("pktcapd", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("no user to run as")


def test_the_front_end_has_no_capability(shared_daemon):
    pid = shared_daemon.pid("front end")
    check_confined(shared_daemon, pid, service_uid())
    assert set(capabilities(pid).values()) == {0}


def test_the_worker_has_one_capability(shared_daemon):
    pid = shared_daemon.pid("worker")
    check_confined(shared_daemon, pid, service_uid())
    expected = {"CapInh": 0, "CapPrm": CAP_NET_RAW, "CapEff": CAP_NET_RAW, "CapBnd": 0, "CapAmb": 0}
    assert capabilities(pid) == expected


def sockets_of(pid):
    found = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        match = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{entry}"))
        if match:
            found.add(match[1])
    return found


def inet_sockets():
    """Inodes of all TCP and UDP sockets of our namespace."""
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = f"/proc/self/net/{table}"
        if os.path.exists(path):
            with open(path) as file:
                found |= {line.split()[9] for line in file.readlines()[1:]}
    return found


def test_the_worker_has_no_network_socket(shared_daemon, wire):
    session = shared_daemon.client.started(wire.near, capduration=30)
    assert sockets_of(shared_daemon.pid("front end")) & inet_sockets(), "the check sees no listener at all"
    assert not sockets_of(shared_daemon.pid("worker")) & inet_sockets()
    assert not sockets_of(shared_daemon.pid("parent")) & inet_sockets()
    shared_daemon.client.terminate(session)


def test_another_user(make_daemon, wire):
    daemon = make_daemon("--user", "nobody", "--ring-mb", "1").start()
    check_confined(daemon, daemon.pid("worker"), pwd.getpwnam("nobody").pw_uid)
    daemon.client.terminate(daemon.client.started(wire.near, capduration=30))


def test_an_unknown_user_is_refused(make_daemon):
    daemon = make_daemon("--user", "no-such-user")
    daemon.expect_log("there is no user no-such-user")
    daemon.launch()
    assert daemon.wait_exit() == 1


def test_a_data_directory_changes_hands(make_daemon, wire):
    """Made by one user of the service, served by another."""
    daemon = make_daemon("--user", "nobody", "--ring-mb", "1").start()
    session = daemon.client.started(wire.near, capduration=1)
    daemon.client.wait_end(session)
    daemon.stop()
    other = make_daemon("--user", "daemon", "--ring-mb", "1", data=daemon.data).start()
    assert other.client.get(session)["sessionstatus"] == "FINISHED"
    other.client.delete(session)
    other.client.terminate(other.client.started(wire.near, capduration=30))


def test_without_root_the_api_works(make_daemon, tmp_path, wire):
    """The worker then lacks its capability: it says so, and so does every session."""
    data = tmp_path / "own"
    data.mkdir()
    for place in (tmp_path, *tmp_path.parents):
        if str(place).startswith("/tmp/pytest"):
            place.chmod(0o755)
    os.chown(data, 65534, 65534)
    wrapper = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    daemon = make_daemon(data=data, wrapper=wrapper)
    daemon.expect_log("no CAP_NET_RAW", "PERMISSION")
    daemon.start()
    session = daemon.client.wait_end(daemon.client.create(wire.near))
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "PERMISSION")
    assert "CAP_NET_RAW" in session["errormsg"]
    assert "filelocation" not in session


def switches(pids):
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as file:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M)[1])
    return total


@pytest.mark.slow
def test_an_idle_service_hardly_wakes_up(make_daemon):
    daemon = make_daemon().start()
    daemon.client.list()
    daemon.client.http.close()
    least, seconds = None, 2
    for _ in range(3):
        before = switches(daemon.pids())
        time.sleep(seconds)  # the time to measure, not one to wait for something
        woken = switches(daemon.pids()) - before
        least = woken if least is None else min(least, woken)
    assert least <= 12 * seconds * SLOW, f"{least} wake-ups in {seconds} s"
