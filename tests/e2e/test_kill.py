"""kill -9 of anything at any moment: what was accepted is there afterwards, ends, and its file is right."""
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness.blind import intervals
from harness.client import ENDED, Client
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, capinfos_count, tshark_count
from harness.wait import SLOW, now_ms, wait_until

pytestmark = pytest.mark.slow

VICTIMS = {
    "worker": ["worker"],
    "front end": ["front end"],
    "parent": ["parent"],
    "all": ["parent", "worker", "front end"],
}


@pytest.fixture(params=VICTIMS)
def victims(request):
    return VICTIMS[request.param]


def kill_and_recover(daemon, victims):
    """The parent brings its children back; its own end takes a new start."""
    before = {role: daemon.pid(role) for role in victims}
    daemon.kill(*victims)
    if "parent" in victims:
        daemon.start()
    else:
        for role, pid in before.items():
            wait_until(lambda: daemon.pid(role) not in (None, pid), 10, f"a new {role}")
    return daemon.fresh_client()


def blinds(victims):
    """Whether captures pause when these die."""
    return victims != ["front end"]


def check_ended(session):
    """What holds of every session, whatever was killed."""
    assert session["sessionstatus"] in ENDED
    runtime, path = session["runtime"], session["filelocation"]
    pcap = Pcap(path)
    assert runtime["packets_captured"] == len(pcap) == capinfos_count(path)
    assert runtime["bytes_captured"] == sum(packet.captured for packet in pcap.packets)
    assert session["filesize_bytes"] == pcap.size
    got = [number_of(data) for data in pcap.data()]
    assert got == sorted(set(got)), "packets twice or out of order"
    assert pcap.is_in_order()
    return pcap


# ---- while it waits ----

def test_while_pending(make_daemon, wire, victims):
    daemon = make_daemon("--max-captures", "1", "--ring-mb", "8").start()
    first = daemon.client.started(wire.near, capduration=100)
    waiting = [daemon.client.create(wire.near, capamount=5, capduration=100, name=f"n{n}") for n in range(3)]
    client = kill_and_recover(daemon, victims)
    assert [client.get(session)["sessionstatus"] for session in waiting] == ["CREATED"] * 3
    assert client.terminate(first)["sessionstatus"] == "STOPPED"
    for position, session in enumerate(waiting):
        client.wait_for(session, "STARTED")
        assert [client.get(later)["sessionstatus"] for later in waiting[position + 1 :]] == ["CREATED"] * (2 - position)
        wire.inward.send_all(numbers(5))
        ended = client.wait_end(session)
        assert ended["stop_reason"] == "PACKET_COUNT" and "errormsg" not in ended
        assert len(check_ended(ended)) == 5


# ---- while it opens ----

@pytest.mark.parametrize("pause_ms", [0, 6, 15])
def test_while_opening(make_daemon, wire, victims, pause_ms):
    daemon = make_daemon().start()
    session = daemon.client.create(wire.near, capamount=20, capduration=100)
    time.sleep(pause_ms / 1000)
    client = kill_and_recover(daemon, victims)
    client.wait_for(session, "STARTED")
    # STARTED may have been said by the one who was killed: only packets behind the take-over count.
    with Background(wire.inward, rate=500):
        session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT" and session["runtime"]["run"] == 1
    assert len(check_ended(session)) == 20


# ---- while it captures ----

def test_while_capturing(make_daemon, wire, victims):
    """The amount stays exact, and what is missing is missing within the interval that errormsg names."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=6000, capduration=100)
    with Background(wire.inward, rate=4000) as traffic:
        wait_until(lambda: traffic.sent > 2500)
        killed_ms = now_ms()
        client = kill_and_recover(daemon, victims)
        session = client.wait_end(session, timeout=15)
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "PACKET_COUNT")
    pcap = check_ended(session)
    assert len(pcap) == tshark_count(session["filelocation"]) == 6000
    if not blinds(victims):
        assert "errormsg" not in session
        assert [number_of(data) for data in pcap.data()] == list(range(6000))
        return
    (begin, end), = intervals(session)
    assert killed_ms - 1500 * SLOW <= begin <= killed_ms + 500 * SLOW and begin < end
    check_missing(pcap, traffic, begin, end)


def check_missing(pcap, traffic, begin_ms, end_ms):
    got = [number_of(data) for data in pcap.data()]
    missing = sorted(set(range(got[-1])) - set(got))
    times = [traffic.times[number] / 1e6 for number in missing]
    assert not times or begin_ms - 1 <= times[0], f"missing {begin_ms - times[0]:.1f} ms before the interval"
    assert not times or times[-1] <= end_ms + 1, f"missing {times[-1] - end_ms:.1f} ms after the interval"


def test_again_and_again_under_flood(make_daemon, wire):
    """Large packets flat out, so that a write is under way when the worker dies: the torn record goes."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=150_000, capfilesize=200, capduration=100)
    with Background(wire.inward, rate=60_000, size=1400) as traffic:
        for turn in range(3):
            sent = traffic.sent
            wait_until(lambda: traffic.sent > sent + 4000 + 777 * turn)
            client = kill_and_recover(daemon, ["worker"])
            captured = client.get(session)["runtime"]["packets_captured"]
            wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > captured or
                       client.get(session)["sessionstatus"] in ENDED, 10, "more packets")
        session = client.terminate(session)
    pcap = check_ended(session)
    assert len(pcap) == tshark_count(session["filelocation"]) > 0 and len(intervals(session)) == 3
    assert all(begin < end for begin, end in intervals(session))


def test_a_worker_killed_before_anything_was_written(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=3, capduration=100)
    client = kill_and_recover(daemon, ["worker"])
    with Background(wire.inward, rate=200):
        session = client.wait_end(session)
    assert len(check_ended(session)) == 3 and len(intervals(session)) == 1


def test_captures_beside_each_other_all_resume(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "2").start()
    sessions = [daemon.client.create(wire.near, capamount=2000, capduration=100) for _ in range(12)]
    for session in sessions:
        daemon.client.wait_for(session, "STARTED")
    with Background(wire.inward, rate=3000) as traffic:
        wait_until(lambda: traffic.sent > 1000)
        client = kill_and_recover(daemon, ["worker"])
        ended = [client.wait_end(session, timeout=15) for session in sessions]
    for session in ended:
        assert session["stop_reason"] == "PACKET_COUNT" and len(check_ended(session)) == 2000
        assert len(intervals(session)) == 1


# ---- while it ends ----

@pytest.mark.parametrize("before_ms", [15, -5, -40])
def test_around_the_deadline(make_daemon, wire, victims, before_ms):
    daemon = make_daemon("--ring-mb", "8").start()
    daemon.expect_log("WORKER_LOST")
    session = daemon.client.started(wire.near, capduration=1)
    with Background(wire.inward, rate=1000):
        deadline = session["runtime"]["started"] + 1000
        wait_until(lambda: now_ms() >= deadline - before_ms, pause=0.001)
        client = kill_and_recover(daemon, victims)
        session = client.wait_end(session)
    lost = (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "WORKER_LOST")
    assert lost or (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "DURATION")
    if lost:
        assert blinds(victims) and len(intervals(session)) == 1
    assert len(check_ended(session)) > 500


def test_right_after_the_last_packet(make_daemon, wire, victims):
    """The amount may be reached in memory only: it comes out exact all the same."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=1000, capduration=100)
    wire.inward.send_all(numbers(1000))
    client = kill_and_recover(daemon, victims)
    with Background(wire.inward, rate=2000) as traffic:
        traffic.sent = 1000
        session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT"
    assert len(Pcap(session["filelocation"])) == session["runtime"]["packets_captured"] == 1000


def test_while_terminating(make_daemon, wire, victims):
    """A stop that was asked for is not forgotten."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capduration=100)
    with ThreadPoolExecutor(1) as beside, Background(wire.inward, rate=1000):
        asked = beside.submit(terminate_quietly, daemon.port, session)
        time.sleep(0.004)
        client = kill_and_recover(daemon, victims)
        asked.result()
        if victims != ["worker"]:  # then the request itself may have died unheard
            client.terminate(session)
        session = client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("STOPPED", "TERMINATED")
    check_ended(session)


def terminate_quietly(port, session):
    try:
        Client(port).terminate(session)
    except requests.RequestException:
        pass


# ---- nobody ran when it should have ended ----

def test_a_duration_that_passed_unseen_is_worker_lost(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "8").start()
    daemon.expect_log("WORKER_LOST")
    session = daemon.client.started(wire.near, capduration=3)
    wire.inward.send_all(numbers(100))
    wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 100)
    daemon.kill(*VICTIMS["all"])
    wait_until(lambda: now_ms() > session["runtime"]["started"] + 3100)
    daemon.start()
    session = daemon.client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "WORKER_LOST")
    assert len(check_ended(session)) == 100
    (begin, end), = intervals(session)
    assert begin < end <= session["endtime"]


def test_the_rest_of_the_duration_is_captured(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capduration=2)
    daemon.kill(*VICTIMS["all"])
    client = daemon.start().client
    session = client.wait_end(session)
    assert session["stop_reason"] == "DURATION" and len(intervals(session)) == 1
    assert 2000 <= session["endtime"] - session["runtime"]["started"] <= 2000 + 200 * SLOW


# ---- accepted means kept ----

def test_every_confirmed_session_is_there(make_daemon, wire):
    """Clients post as fast as they can; then everything dies at once."""
    daemon = make_daemon("--ring-mb", "1", "--max-captures", "2").start()
    daemon.expect_log("WORKER_LOST")  # those that ran, if the new start takes longer than their second
    confirmed = []

    def post(number):
        client = Client(daemon.port)
        try:
            while len(confirmed) < 400:
                session = client.create(wire.near, name=f"{number}", capduration=1, capamount=1)
                confirmed.append(session["sessionid"])
        except requests.RequestException:
            pass

    with ThreadPoolExecutor(4) as several:
        for number in range(4):
            several.submit(post, number)
        wait_until(lambda: len(confirmed) >= 150, 20)
        daemon.kill(*VICTIMS["all"])
    kept = confirmed[:]
    client = daemon.start().client
    there = {session["sessionid"] for session in client.list()["results"]}
    assert set(kept) <= there and len(there) <= len(kept) + 4
    database_is_sound(daemon)
    for identity in there:
        client.terminate(identity)
    assert client.delete_all()["result_count"] == len(there)


def database_is_sound(daemon):
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_ended_sessions_stay_as_they_were(make_daemon, wire, victims):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=10)
    wire.inward.send_all(numbers(10))
    session = daemon.client.wait_end(session)
    client = kill_and_recover(daemon, victims)
    assert client.get(session) == session
    assert len(Pcap(client.download(session).content)) == 10


def test_a_session_deleted_half_way_leaves_no_litter(make_daemon, wire):
    """The row goes first: a start sweeps up what then has no owner."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.terminate(daemon.client.started(wire.near, capduration=100))
    daemon.kill(*VICTIMS["all"])
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM session WHERE id = ?", (session["sessionid"],))
    daemon.start()
    wait_until(lambda: list((daemon.data / "captures").iterdir()) == [], what="the sweep")


# ---- orderly ends ----

def test_sigterm_suspends_and_the_next_start_resumes(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capamount=5000, capduration=100)
    with Background(wire.inward, rate=3000) as traffic:
        wait_until(lambda: traffic.sent > 1000)
        daemon.stop()
        assert daemon.alive_of_ours() == []
        stopped_ms = now_ms()
        client = daemon.start().client
        assert client.get(session)["sessionstatus"] == "STARTED"
        session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT"
    pcap = check_ended(session)
    assert len(pcap) == 5000
    (begin, end), = intervals(session)
    assert begin <= stopped_ms <= end
    check_missing(pcap, traffic, begin, end)


def test_sigterm_says_all_in_rows_and_files(make_daemon, wire):
    """What arrived before the SIGTERM is in the file and counted, though nobody runs any more."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capduration=100)
    wire.inward.send_all(numbers(777))
    daemon.stop()
    assert len(Pcap(session["filelocation"])) == 777
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        row = database.execute("SELECT state, packets_captured, file_size, worker FROM run").fetchone()
    assert row == ("STARTED", 777, 24 + 777 * 80, None)


def test_sigterm_ends_quickly_with_many_captures(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "2").start()
    sessions = [daemon.client.create(wire.near, capduration=100) for _ in range(40)]
    for session in sessions:
        daemon.client.wait_for(session, "STARTED")
    before = time.monotonic()
    daemon.stop()
    assert time.monotonic() - before < 5 * SLOW
    client = daemon.start().client
    for session in sessions:
        assert client.terminate(session)["sessionstatus"] == "STOPPED"


def test_stops_asked_for_while_nobody_runs(make_daemon, wire):
    """With the worker elsewhere the front end alone takes the wish down."""
    daemon = make_daemon("--worker=external").start()
    session = daemon.client.create(wire.near, capduration=100)
    stopped = daemon.client.terminate(session)
    assert (stopped["sessionstatus"], stopped["stop_reason"]) == ("STOPPED", "TERMINATED")
