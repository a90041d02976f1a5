"""The policy twin: the same operations under /policy/api/v1/infra."""
import pytest

from harness.client import Refused, check_answer
from harness.frames import numbers
from harness.judges import Pcap


@pytest.fixture
def policy(shared_daemon):
    return shared_daemon.policy()


def test_create_answers_201(policy, wire):
    session = policy.create(wire.near, capduration=100)
    assert session["sessionstatus"] == "CREATED"
    assert policy.get(session)["sessionid"] == session["sessionid"]
    assert policy.terminate(session)["sessionstatus"] == "STOPPED"


def test_a_whole_life(policy, wire):
    session = policy.started(wire.near, capamount=3)
    wire.inward.send_all(numbers(3))
    session = policy.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT"
    assert len(Pcap(policy.download(session).content)) == 3
    policy.wait_for(policy.restart(session), "STARTED")
    policy.terminate(session)
    assert len(Pcap(policy.download(session, run=1).content)) == 3
    assert policy.delete(session)["sessionid"] == session["sessionid"]
    with pytest.raises(Refused) as refusal:
        policy.get(session)
    assert refusal.value.status == 404


def test_both_show_the_same_sessions(client, policy, wire):
    session = policy.create(wire.near, capduration=100)
    session = client.terminate(session)
    assert policy.get(session) == client.get(session) == session
    ours = [s for s in policy.list()["results"] if s["sessionid"] == session["sessionid"]]
    assert ours == [session]
    assert policy.list() == client.list()


def test_errors_are_the_same(client, policy):
    answers = []
    for one in (client, policy):
        with pytest.raises(Refused) as refusal:
            one.create("nowhere", capduration=-1)
        answers.append((refusal.value.status, refusal.value.body))
    assert answers[0] == answers[1]


def test_delete_by_post_is_not_part_of_it(policy, wire):
    session = policy.terminate(policy.create(wire.near, capduration=100))
    with pytest.raises(Refused) as refusal:
        policy.act(session, "delete")
    assert refusal.value.status == 400 and "restart, terminate" in refusal.value.message


def test_delete_of_a_running_session_is_412(policy, wire):
    session = policy.started(wire.near, capduration=100)
    with pytest.raises(Refused) as refusal:
        policy.delete(session)
    assert refusal.value.status == 412
    policy.terminate(session)


def test_delete_with_a_body(policy, wire):
    """Generated clients send one."""
    session = policy.terminate(policy.create(wire.near, capduration=100))
    response = policy.call("DELETE", f"{policy.prefix}/session/{session['sessionid']}", json={})
    assert response.status_code == 200 and check_answer("DELETE", response)["sessionid"] == session["sessionid"]
