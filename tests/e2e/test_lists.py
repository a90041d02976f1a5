"""Lists: pages, order, and deleting what has ended."""
import os

import pytest

from harness.client import Refused
from harness.frames import numbers

COUNT = 50


@pytest.fixture(scope="module")
def full_daemon(make_shared_daemon, make_shared_wire):
    """A daemon with 50 sessions that differ in all that can be sorted by: name, end, status, size."""
    daemon = make_shared_daemon("--ring-mb", "1").start()
    client, wire = daemon.client, make_shared_wire()
    for number in range(COUNT):
        session = client.create(wire.near, name=f"s{number * 7 % COUNT:02d}", capamount=1 + number % 3, capduration=100)
        if number % 5 == 0:
            client.wait_for(session, "STARTED")
            wire.inward.send_all(numbers(1 + number % 3))
            client.wait_end(session)
        elif number % 5 == 1:
            client.terminate(session)
    return daemon


@pytest.fixture
def full(full_daemon):
    return full_daemon.client


def pages(client, **parameters):
    """All pages, following cursors."""
    found = []
    while True:
        page = client.list(**parameters)
        found.append(page)
        if "cursor" not in page:
            return found
        parameters["cursor"] = page["cursor"]


def names(found):
    return [session["sessionname"] for page in found for session in page["results"]]


def test_without_parameters_everything_comes_at_once(full):
    page = full.list()
    assert page["result_count"] == len(page["results"]) == COUNT
    assert "cursor" not in page
    assert (page["sort_by"], page["sort_ascending"]) == ("starttime", True)
    assert names([page]) == [f"s{number * 7 % COUNT:02d}" for number in range(COUNT)]


@pytest.mark.parametrize("size", [1, 7, 25, 49, 50, 51, 1000])
def test_paging(full, size):
    found = pages(full, page_size=size)
    assert [len(page["results"]) for page in found[:-1]] == [size] * (len(found) - 1)
    assert len(found) == -(-COUNT // size)
    assert all(page["result_count"] == COUNT for page in found)
    assert names(found) == names([full.list()])


KEYS = {
    "starttime": lambda session: session["starttime"],
    "endtime": lambda session: session.get("endtime", 0),
    "sessionname": lambda session: session["sessionname"],
    "sessionstatus": lambda session: session["sessionstatus"],
    "filesize": lambda session: session["filesize"],
}


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("sort_by", KEYS)
def test_sorting(full, sort_by, ascending):
    found = pages(full, page_size=8, sort_by=sort_by, sort_ascending=str(ascending).lower())
    assert all((page["sort_by"], page["sort_ascending"]) == (sort_by, ascending) for page in found)
    sessions = [session for page in found for session in page["results"]]
    keys = [KEYS[sort_by](session) for session in sessions]
    assert keys == sorted(keys, reverse=not ascending)
    assert len({session["sessionid"] for session in sessions}) == COUNT


def test_a_list_shows_sessions_as_get_does(full):
    ended = [session for session in full.list()["results"] if "endtime" in session]
    assert ended and all(full.get(session) == session for session in ended)


def test_a_cursor_belongs_to_its_order(full):
    cursor = full.list(page_size=5, sort_by="sessionname")["cursor"]
    for other in ({}, {"sort_by": "filesize"}, {"sort_by": "sessionname", "sort_ascending": "false"}):
        with pytest.raises(Refused) as refusal:
            full.list(page_size=5, cursor=cursor, **other)
        assert refusal.value.status == 400 and refusal.value.fields() == [("cursor", 36012)]


def test_a_cursor_outlives_its_session(make_daemon, wire):
    """Deleting what a page ended with neither repeats nor skips the rest."""
    client = make_daemon("--ring-mb", "1").start().client
    sessions = [client.create(wire.near, capduration=100) for _ in range(9)]
    for session in sessions:
        client.terminate(session)
    first = client.list(page_size=3)
    for session in first["results"]:
        client.delete(session)
    client.terminate(client.create(wire.near, capduration=100))
    second = client.list(page_size=100, cursor=first["cursor"])
    assert [s["sessionid"] for s in second["results"]][:6] == [s["sessionid"] for s in sessions[3:]]
    assert len(second["results"]) == 7


def test_an_empty_list(make_daemon):
    client = make_daemon().start().client
    assert client.list() == {"results": [], "result_count": 0, "sort_by": "starttime", "sort_ascending": True}
    assert client.delete_all()["results"] == []


def captured(client, wire, count):
    sessions = [client.started(wire.near, capamount=1) for _ in range(count)]
    wire.inward.send_all(numbers(1))
    return [client.wait_end(session) for session in sessions]


@pytest.mark.parametrize("policy", [False, True])
def test_delete_all(make_daemon, wire, policy):
    """What has ended goes, with its files; what runs stays and goes on."""
    daemon = make_daemon("--ring-mb", "1").start()
    client = daemon.policy() if policy else daemon.client
    ended = captured(client, wire, 5)
    running = client.started(wire.near, capamount=2)
    answer = client.delete_all()
    assert answer["result_count"] == 5
    assert {s["sessionid"] for s in answer["results"]} == {s["sessionid"] for s in ended}
    assert all(s["sessionstatus"] == "FINISHED" and s["request"]["cappoint"] == "VNIC" for s in answer["results"])
    assert [s["sessionid"] for s in client.list()["results"]] == [running["sessionid"]]
    assert os.listdir(daemon.data / "captures") == [running["sessionid"]]
    for session in ended:
        with pytest.raises(Refused) as refusal:
            client.get(session)
        assert refusal.value.status == 404
    assert client.delete_all()["result_count"] == 0
    wire.inward.send_all(numbers(2))
    assert client.wait_end(running)["runtime"]["packets_captured"] == 2
    assert client.delete_all()["result_count"] == 1
    assert os.listdir(daemon.data / "captures") == []


@pytest.mark.slow
def test_delete_all_of_many(make_daemon, wire):
    """More than one of the pages in which it deletes."""
    client = make_daemon("--ring-mb", "1", "--max-captures", "1").start().client
    running = client.started(wire.near, capduration=100)
    made = [client.create(wire.near, capduration=100) for _ in range(230)]
    for session in made[:215]:
        client.terminate(session)
    answer = client.delete_all()
    assert answer["result_count"] == len(answer["results"]) == 215
    assert {s["sessionid"] for s in answer["results"]} == {s["sessionid"] for s in made[:215]}
    assert client.list()["result_count"] == 16
    assert client.get(running)["sessionstatus"] == "STARTED"
