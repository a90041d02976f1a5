"""Workers that take over from each other, under traffic."""
import pytest

from harness.blind import intervals
from harness.frames import Background
from harness.judges import capinfos_count
from harness.wait import wait_until
from test_kill import check_ended
from test_workers import make_worker  # noqa: F401: a fixture

pytestmark = pytest.mark.slow


@pytest.fixture
def front(make_daemon):
    """A front end alone."""
    return make_daemon("--worker=external").start()


def has(worker, session):
    return session["sessionid"] in worker.text()


def test_the_others_take_over_what_a_killed_worker_had(front, make_worker, wire):  # noqa: F811
    one, two = (make_worker(front, "--max-captures", "16") for _ in range(2))
    sessions = [front.client.create(wire.near, capamount=3000, capduration=100) for _ in range(16)]
    for session in sessions:
        front.client.wait_for(session, "STARTED", timeout=10)
    victim, heir = (one, two) if has(one, sessions[0]) else (two, one)
    had = [session["sessionid"] for session in sessions if has(victim, session)]
    with Background(wire.inward, rate=2000) as traffic:
        wait_until(lambda: traffic.sent > 500)
        victim.kill()
        ended = [front.client.wait_end(session, timeout=20) for session in sessions]
    for session in ended:
        assert session["stop_reason"] == "PACKET_COUNT" and len(check_ended(session)) == 3000
        assert len(intervals(session)) == (1 if session["sessionid"] in had else 0)
    assert all(f"{identity} run 1: resuming" in heir.text() for identity in had)


def test_a_stopped_worker_hands_over_in_order(front, make_worker, wire):  # noqa: F811
    one = make_worker(front)
    session = front.client.started(wire.near, capamount=2000, capduration=100)
    make_worker(front)
    with Background(wire.inward, rate=1500) as traffic:
        wait_until(lambda: traffic.sent > 300)
        one.stop()
        session = front.client.wait_end(session, timeout=10)
    assert session["stop_reason"] == "PACKET_COUNT" and len(intervals(session)) == 1
    assert capinfos_count(session["filelocation"]) == 2000


def test_terminate_reaches_the_right_worker(front, make_worker, wire):  # noqa: F811
    workers = [make_worker(front, "--max-captures", "4") for _ in range(2)]
    sessions = [front.client.started(wire.near, capduration=100) for _ in range(8)]
    assert [sum(has(worker, session) for session in sessions) for worker in workers] == [4, 4]
    for session in sessions:
        assert front.client.terminate(session)["sessionstatus"] == "STOPPED"
