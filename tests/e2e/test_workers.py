"""The pool: order, the doorbell, and several workers on one database."""
import re
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sandbox
from harness.client import ENDED
from harness.daemon import BUILD, Program, check_log
from harness.frames import numbers
from harness.judges import Pcap
from harness.wait import SLOW, wait_until


class Worker(Program):
    """A pktcap-worker of its own, as a second unit would run it."""

    def __init__(self, daemon, number, *flags):
        words = [BUILD / "pktcap-worker", "--data-dir", daemon.data, "--ring-mb", "1", *flags]
        super().__init__(words, daemon.log.parent / f"worker-{number}.log", daemon_environment())
        self.launch().wait_for_log(r"worker [0-9a-f-]{36} ready")

    def kill(self):
        sandbox.kill(self.process.pid)
        self.process.wait(10)


def daemon_environment():
    return {"ASAN_OPTIONS": "detect_leaks=0"}


@pytest.fixture
def make_worker():
    workers = []

    def make(daemon, *flags):
        workers.append(Worker(daemon, len(workers), *flags))
        return workers[-1]

    yield make
    for worker in workers:
        if worker.process.poll() is None:
            worker.stop()
        check_log(worker.text(), [])


def rows(daemon, query):
    """What the database says, read beside the running service."""
    connection = sqlite3.connect(f"file:{daemon.data}/pktcapd.db?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.mark.slow
def test_three_workers_capture_each_session_once(make_daemon, make_worker, wire):
    daemon = make_daemon("--worker=external").start()
    workers = [make_worker(daemon, "--max-captures", "6") for _ in range(3)]
    sessions = [daemon.client.create(wire.near, capamount=5, capduration=60) for _ in range(40)]

    def all_ended():
        wire.inward.send_all(numbers(5))
        return all(daemon.client.get(session)["sessionstatus"] in ENDED for session in sessions)

    wait_until(all_ended, 40, "the end of 40 sessions", pause=0.1)
    assert rows(daemon, "SELECT count(*), max(claim), min(claim) FROM run") == [(40, 1, 1)]
    for session in sessions:
        session = daemon.client.get(session)
        assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "PACKET_COUNT")
        assert len(Pcap(session["filelocation"])) == session["runtime"]["packets_captured"] == 5
    shares = Counter(worker.text().count(": opening on ") for worker in workers)
    assert sum(share * count for share, count in shares.items()) == 40


def test_another_worker_takes_over_at_once(make_daemon, make_worker, wire):
    """Long before the lease of 15 s is over: the kernel tells that the worker is dead."""
    daemon = make_daemon("--worker=external").start()
    first = make_worker(daemon)
    session = daemon.client.started(wire.near, capamount=20, capduration=60)
    wire.inward.send_all(numbers(10))
    wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 10)
    second = make_worker(daemon)
    first.kill()
    second.wait_for_log(": resuming on ", timeout=5)
    wait_until(lambda: len(rows(daemon, "SELECT 1 FROM run WHERE claim = 2")) == 1)
    wait_until(lambda: "not captured" in daemon.client.get(session).get("errormsg", ""))
    wire.inward.send_all(numbers(10, first=10))
    session = daemon.client.wait_end(session)
    assert (session["stop_reason"], session["runtime"]["packets_captured"]) == ("PACKET_COUNT", 20)
    assert session["errormsg"].startswith("not captured from ")


def test_without_a_worker_sessions_wait(make_daemon, make_worker, wire):
    daemon = make_daemon("--worker=external").start()
    sessions = [daemon.client.create(wire.near, capduration=60) for _ in range(3)]
    assert {daemon.client.get(session)["sessionstatus"] for session in sessions} == {"CREATED"}
    make_worker(daemon)
    for session in sessions:
        daemon.client.wait_for(session, "STARTED")
        daemon.client.terminate(session)


def test_programs_that_start_at_once_are_one_node(make_daemon, make_worker):
    """Whoever comes first makes the node's id; the others take it, and nobody trips over it half made."""
    for _ in range(5):
        daemon = make_daemon("--worker=external")
        with ThreadPoolExecutor(4) as beside:
            started = [beside.submit(daemon.start), *(beside.submit(make_worker, daemon) for _ in range(3))]
        logs = [one.result().text() for one in started]
        nodes = {re.search(r"node ([0-9a-f-]{36})", log)[1] for log in logs}
        assert nodes == {(daemon.data / "node-id").read_text().strip()}


def seconds_to_start(client, wire):
    began = time.monotonic()
    session = client.started(wire.near, capduration=60)
    took = time.monotonic() - began
    client.terminate(session)
    return took


def test_the_doorbell_makes_pick_up_immediate(make_daemon, wire):
    daemon = make_daemon("--poll-interval", "60000", "--ring-mb", "1").start()
    assert min(seconds_to_start(daemon.client, wire) for _ in range(5)) < 0.5 * SLOW


def test_polling_finds_what_no_doorbell_told(make_daemon, wire):
    daemon = make_daemon("--poll-interval", "300", "--ring-mb", "1").start()
    for doorbell in (daemon.data / "workers").glob("*.sock"):
        doorbell.unlink()
    daemon.client.terminate(daemon.client.started(wire.near, capduration=60))


def test_the_pool_is_bounded(make_daemon, wire):
    daemon = make_daemon("--max-captures", "2", "--ring-mb", "1").start()
    sessions = [daemon.client.create(wire.near, capduration=60) for _ in range(4)]
    for session in sessions[:2]:
        daemon.client.wait_for(session, "STARTED")
    for session in sessions[2:]:
        assert daemon.client.get(session)["sessionstatus"] == "CREATED"
    daemon.client.terminate(sessions[0])
    daemon.client.wait_for(sessions[2], "STARTED")
    assert daemon.client.get(sessions[3])["sessionstatus"] == "CREATED"


@pytest.mark.slow
def test_64_captures_at_once_are_exact(make_daemon, make_wire):
    daemon = make_daemon("--ring-mb", "1").start()
    wires = [make_wire() for _ in range(4)]
    sessions = [daemon.client.create(wires[i % 4].near, capamount=200, capduration=60) for i in range(64)]
    for session in sessions:
        daemon.client.wait_for(session, "STARTED", timeout=20)
    for wire in wires:
        wire.inward.send_all(numbers(200))
    for session in sessions:
        session = daemon.client.wait_end(session, timeout=20)
        assert (session["stop_reason"], session["runtime"]["packets_dropped"]) == ("PACKET_COUNT", 0)
        assert len(Pcap(session["filelocation"])) == 200
