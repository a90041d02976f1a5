"""Terminate, restart, delete; and sessions that wait for their turn."""
import os
import time

import pytest

from harness.client import Refused
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap
from harness.wait import often_enough_within, wait_until


def refusal_of(action, *arguments):
    with pytest.raises(Refused) as refusal:
        action(*arguments)
    return refusal.value


# ---- terminate ----

@pytest.mark.parametrize("rate", [0, 3000], ids=["silent", "busy"])
def test_terminate_a_running_session(client, wire, rate):
    def seconds():
        session = client.started(wire.near, capduration=100)
        sent = traffic.sent
        wait_until(lambda: traffic.sent >= sent + rate // 10)
        before = time.monotonic()
        session = client.terminate(session)
        took = time.monotonic() - before
        assert (session["sessionstatus"], session["stop_reason"]) == ("STOPPED", "TERMINATED")
        assert session["runtime"]["packets_captured"] == len(Pcap(session["filelocation"]))
        assert client.get(session) == session
        return took

    with Background(wire.inward, rate) as traffic:
        often_enough_within(0.2, lambda: [seconds() for _ in range(3)])


def test_terminate_right_after_post(client, wire):
    """Whether it is pending, opening or running by then."""
    for pause in (0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03):
        session = client.create(wire.near, capduration=100)
        time.sleep(pause)
        session = client.terminate(session)
        assert (session["sessionstatus"], session["stop_reason"]) == ("STOPPED", "TERMINATED")


def test_terminate_an_ended_session_changes_nothing(client, wire):
    session = client.started(wire.near, capamount=1)
    wire.inward.send_all(numbers(1))
    session = client.wait_end(session)
    for _ in range(2):
        assert client.terminate(session) == session
    stopped = client.terminate(client.create(wire.near, capduration=100))
    assert client.terminate(stopped) == stopped


# ---- pending ----

@pytest.fixture
def narrow_daemon(make_daemon):
    """One capture at once."""
    return make_daemon("--max-captures", "1", "--ring-mb", "8").start()


def test_pending_sessions_run_in_order(narrow_daemon, wire):
    client = narrow_daemon.client
    sessions = [client.started(wire.near, capduration=100)] + [client.create(wire.near, capduration=100) for _ in range(4)]
    for position, session in enumerate(sessions):
        client.wait_for(session, "STARTED")
        states = [client.get(other)["sessionstatus"] for other in sessions]
        assert states == ["STOPPED"] * position + ["STARTED"] + ["CREATED"] * (4 - position)
        client.terminate(session)


def test_terminate_a_pending_session(narrow_daemon, wire):
    client = narrow_daemon.client
    first = client.started(wire.near, capduration=100)
    second = client.create(wire.near, capduration=100)
    third = client.create(wire.near, capduration=100)
    stopped = client.terminate(second)
    assert (stopped["sessionstatus"], stopped["stop_reason"]) == ("STOPPED", "TERMINATED")
    assert "filelocation" not in stopped and "started" not in stopped["runtime"] and stopped["filesize"] == 0
    assert refusal_of(client.download, second).status == 404
    client.terminate(first)
    client.wait_for(third, "STARTED")
    assert client.get(second) == stopped
    client.terminate(third)


def test_delete_and_restart_of_a_pending_session_are_412(narrow_daemon, wire):
    client = narrow_daemon.client
    client.started(wire.near, capduration=100)
    pending = client.create(wire.near, capduration=100)
    for action in (client.delete, client.restart):
        refusal = refusal_of(action, pending)
        assert refusal.status == 412 and "terminate" in refusal.message
    assert client.get(pending)["sessionstatus"] == "CREATED"


def test_the_clock_of_a_pending_session_does_not_run(narrow_daemon, wire):
    client = narrow_daemon.client
    first = client.started(wire.near, capduration=100)
    second = client.create(wire.near, capduration=1)
    time.sleep(1.2)  # more than its duration
    assert client.get(second)["sessionstatus"] == "CREATED"
    client.terminate(first)
    second = client.wait_end(client.wait_for(second, "STARTED"))
    assert second["stop_reason"] == "DURATION"
    assert second["endtime"] - second["runtime"]["started"] >= 1000


# ---- restart ----

def test_restart_makes_a_run_of_its_own(client, wire):
    session = client.started(wire.near, capamount=5, capduration=100)
    wire.inward.send_all(numbers(5))
    first = client.wait_end(session)
    again = client.restart(session)
    assert again["sessionstatus"] == "CREATED" and again["runtime"]["run"] == 2
    assert again["sessionid"] == first["sessionid"] and again["starttime"] == first["starttime"]
    assert again["runtime"]["packets_captured"] == again["filesize"] == 0
    assert "endtime" not in again and "stop_reason" not in again
    client.wait_for(session, "STARTED")
    wire.inward.send_all(numbers(5, first=100))
    second = client.wait_end(session)
    assert second["runtime"]["run"] == 2 and second["stop_reason"] == "PACKET_COUNT"
    assert second["filelocation"] != first["filelocation"]
    for run, start in ((1, 0), (2, 100), (None, 100)):
        data = Pcap(client.download(session, run).content).data()
        assert [number_of(one) for one in data] == list(range(start, start + 5))
    assert refusal_of(client.download, session, 3).status == 404


def test_restart_after_every_kind_of_end(client, make_wire):
    """FINISHED, STOPPED and ERROR may all begin again."""
    wire = make_wire()
    stopped = client.terminate(client.started(wire.near, capduration=100))
    assert client.wait_for(client.restart(stopped), "STARTED")["runtime"]["run"] == 2
    assert client.terminate(stopped)["runtime"]["run"] == 2
    finished = client.wait_end(client.create(wire.near, capduration=1))
    assert finished["sessionstatus"] == "FINISHED"
    again = client.wait_end(client.restart(finished))
    assert again["sessionstatus"] == "FINISHED" and again["runtime"]["run"] == 2


def test_restart_of_a_running_session_is_412(client, wire):
    session = client.started(wire.near, capduration=100)
    assert refusal_of(client.restart, session).status == 412
    client.terminate(session)
    client.restart(session)
    assert refusal_of(client.restart, session).status == 412
    assert client.terminate(session)["runtime"]["run"] == 2


def test_file_names_are_never_reused(client, wire):
    session = client.started(wire.near, capduration=100)
    places = []
    for run in range(1, 5):
        places.append(client.wait_for(session, "STARTED")["filelocation"])
        assert client.terminate(session)["runtime"]["run"] == run
        client.restart(session)
    client.wait_for(session, "STARTED")
    client.terminate(session)
    assert len(set(places)) == 4
    assert all(os.path.exists(place) for place in places)


# ---- delete ----

def test_delete_takes_the_files_along(client, wire):
    session = client.started(wire.near, capduration=100)
    client.terminate(session)
    client.restart(session)
    client.wait_for(session, "STARTED")
    last = client.terminate(session)
    folder = os.path.dirname(last["filelocation"])
    assert len(os.listdir(folder)) == 2
    assert client.delete(session) == last
    assert not os.path.exists(folder)
    for action in (client.get, client.delete, client.restart, client.terminate, client.download):
        assert refusal_of(action, session).status == 404


def test_a_download_survives_the_deletion(client, make_wire):
    """Who has begun to download gets it all."""
    wire = make_wire(mtu=9200)
    session = client.started(wire.near, capamount=600)
    wire.inward.send_all(numbers(600, size=9000))
    session = client.wait_end(session)
    response = client.call("GET", f"{client.prefix}/session/{session['sessionid']}/capturefile", stream=True)
    pieces = [response.raw.read(1000)]
    client.delete(session)
    pieces.append(response.raw.read())
    assert len(Pcap(b"".join(pieces))) == 600
