"""What a role may capture, where to, how long, how much; and the quotas of its people."""
import concurrent.futures
import os
import pathlib
import signal
import time

import pytest

from harness.client import ENDED, MANAGER, Refused
from harness.people import add_role, add_user, basic, status
from harness.wait import wait_until

POLICY_CODE, FORBIDDEN, QUOTA_SESSIONS, QUOTA_STORED, QUOTA_HOURLY = 36605, 36604, 36606, 36607, 36608
NAMES = iter(range(1000))


@pytest.fixture
def daemon(make_daemon, make_netns):
    return make_daemon("--ring-mb", "4", "--netns-dirs", make_netns.directory).start()


def someone(daemon, **policy):
    """A user with a role of that policy: the name, and a client."""
    name = f"user{next(NAMES)}"
    add_role(daemon.client, f"role-of-{name}", **policy)
    add_user(daemon.client, name, f"role-of-{name}")
    return name, basic(daemon.port, name)


def refused(client, **fields):
    with pytest.raises(Refused) as caught:
        client.json("POST", "/session", json={"cappoint": "VNIC", "capsource": "CLI", **fields})
    return caught.value


# ---- where ----

def test_only_ones_own_lab(daemon, make_netns, make_netns_wire, wire):
    alice, bob = make_netns("lab-alice"), make_netns("lab-bob")
    for netns in (alice, bob):
        make_netns_wire(netns, f"to-{netns.name}")
    name, client = someone(daemon, points=["lab-alice/*"])
    session = client.create("lab-alice/eth0", capduration=30)
    client.wait_for(session, "STARTED")
    client.terminate(session)
    for value in ("lab-bob/eth0", wire.near, "lab-carol/eth0", "no-such-interface", "lab-alice2/eth0"):
        error = refused(client, capvalue=value)
        assert (error.status, error.code) == (403, POLICY_CODE), value
        assert value in error.message and f"role-of-{name}" in error.message
        assert "nearest" not in error.message and "lab-bob" not in error.message.replace(value, "")
    # What is not there in one's own lab is told without naming what is elsewhere.
    assert refused(client, capvalue="lab-alice/eth9").status == 400
    for path in (f"{MANAGER}/session", f"{MANAGER}/session?dry_run=true"):
        body = {"cappoint": "VNIC", "capsource": "CLI", "capvalue": "lab-bob/eth0"}
        assert status(client, "POST", path, json=body) == (403, POLICY_CODE)


def test_an_alias_or_address_means_the_interface_behind_it(daemon, make_netns, make_netns_wire):
    alice, bob = make_netns("lab-alice"), make_netns("lab-bob")
    for netns in (alice, bob):
        make_netns_wire(netns, f"to-{netns.name}")
    bob.ip("link set eth0 alias uplink address 02:00:00:00:77:02")
    alice.ip("link set eth0 alias mine address 02:00:00:00:77:01")
    _, client = someone(daemon, points=["lab-alice/*"])
    for value in ("uplink", "02:00:00:00:77:02"):
        assert refused(client, capvalue=value).code == POLICY_CODE
    for value in ("mine", "02:00:00:00:77:01"):
        session = client.create(value, capduration=30)
        client.wait_for(session, "STARTED")
        client.terminate(session)


def test_what_is_meant_may_not_change_meanwhile(daemon, make_netns, make_netns_wire):
    """The alias moves to somebody else's interface between the request and its restart."""
    alice, bob = make_netns("lab-alice"), make_netns("lab-bob")
    for netns in (alice, bob):
        make_netns_wire(netns, f"to-{netns.name}")
    alice.ip("link set eth0 alias mine")
    _, client = someone(daemon, points=["lab-alice/*"])
    session = client.create("mine", capduration=30)
    client.wait_for(session, "STARTED")
    client.terminate(session)
    alice.ip("link set eth0 alias other")
    bob.ip("link set eth0 alias mine")
    assert status(client, "POST", f"{MANAGER}/session/{session['sessionid']}?action=restart") == (403, POLICY_CODE)


def test_what_is_meant_may_not_change_before_it_is_opened(daemon, make_netns, make_netns_wire):
    """The alias moves to somebody else's interface between the request and the opening."""
    alice, bob = make_netns("lab-alice"), make_netns("lab-bob")
    for netns in (alice, bob):
        make_netns_wire(netns, f"to-{netns.name}")
    alice.ip("link set eth0 alias mine")
    _, client = someone(daemon, points=["lab-alice/*"])
    os.kill(daemon.pid("worker"), signal.SIGSTOP)
    sessions = [client.create(value, capduration=30) for value in ("mine", "lab-alice/eth0")]
    alice.ip("link set eth0 alias other")
    bob.ip("link set eth0 alias mine")
    daemon.expect_log("ERROR PERMISSION")
    os.kill(daemon.pid("worker"), signal.SIGCONT)
    ended = client.wait_end(sessions[0])
    assert (ended["sessionstatus"], ended["stop_reason"]) == ("ERROR", "PERMISSION")
    assert ended["errormsg"] == "capvalue mine meant lab-alice/eth0 when it was allowed, and means lab-bob/eth0 now"
    assert "filelocation" not in ended
    client.wait_for(sessions[1], "STARTED")
    client.terminate(sessions[1])


def test_points_are_shown_as_the_policy_has_them(daemon, make_netns, make_netns_wire):
    alice, bob = make_netns("lab-alice"), make_netns("lab-bob")
    for netns in (alice, bob):
        make_netns_wire(netns, f"to-{netns.name}")
    _, client = someone(daemon, points=["VIF lab-alice/*"])
    listed = client.points()
    assert {one["capvalue"] for one in listed["results"]} <= {"lab-alice/eth0", "lab-alice/lo"}
    assert all(one["cappoints"] == ["VIF"] for one in listed["results"])
    assert [one["name"] for one in listed["namespaces"]] == ["lab-alice"]
    assert "lab-bob" not in str(listed)
    for netns in ("lab-bob", "lab-carol"):
        answer = client.call("GET", f"{MANAGER}/points?netns={netns}")
        assert "lab-alice" not in answer.text and (answer.status_code == 400 or answer.json()["results"] == [])


def test_ids_are_spelt_the_same_whether_they_exist_or_not(daemon, wire):
    session = daemon.client.terminate(daemon.client.create(wire.near, capduration=60))
    _, client = someone(daemon)
    there, nowhere = session["sessionid"].upper(), "AAAAAAAA-0000-4000-8000-000000000000"
    answers = [client.call("GET", f"{MANAGER}/session/{one}").text.replace(one.lower(), "ID").replace(one, "id")
               for one in (there, nowhere)]
    assert answers[0] == answers[1]


def test_namespaces_elsewhere_are_as_if_they_were_not(daemon, make_netns):
    make_netns("lab-bob")
    _, client = someone(daemon, points=["lo"])
    answers = [client.call("GET", f"{MANAGER}/points?netns={name}") for name in ("lab-bob", "lab-nobody")]
    assert [one.status_code for one in answers] == [400, 400]
    assert answers[0].text.replace("lab-bob", "X") == answers[1].text.replace("lab-nobody", "X")


def test_other_kinds_of_points_are_as_if_they_were_not(daemon, wire):
    _, client = someone(daemon, points=["VMKNIC *"])
    messages = [refused(client, capvalue=value, cappoint="VMKNIC").message.replace(value, "X")
                for value in (wire.near, "nosuch0")]
    assert messages[0] == messages[1]


def test_a_point_type(daemon, wire):
    _, client = someone(daemon, points=[f"VIF {wire.near}"])
    assert refused(client, capvalue=wire.near, cappoint="VNIC").code == POLICY_CODE
    session = client.create(wire.near, cappoint="VIF", capduration=30)
    client.terminate(session)


def test_nowhere(daemon, wire):
    _, client = someone(daemon, points=[])
    assert refused(client, capvalue=wire.near).code == POLICY_CODE
    assert client.points()["results"] == []


# ---- how much of it ----

@pytest.mark.parametrize("policy, field, most", [
    ("max_duration", "capduration", 60), ("max_filesize", "capfilesize", 5), ("max_snaplen", "capsnaplen", 128)])
def test_maxima(daemon, wire, policy, field, most):
    _, client = someone(daemon, **{policy: most})
    error = refused(client, capvalue=wire.near, **{field: most + 1})
    assert (error.status, error.code, error.fields()[0][0]) == (403, POLICY_CODE, field)
    assert str(most) in error.message and str(most + 1) in error.message
    session = client.create(wire.near, **({} if field == "capduration" else {"capduration": 30}))
    assert session["limits"][field] == most
    client.terminate(session)
    session = client.create(wire.near, **{"capduration": 30, field: most})
    assert session["limits"][field] == most
    client.terminate(session)


def test_streams(daemon, wire):
    stream = {"capvalue": wire.near, "capmode": "STREAM", "streamaddress": "127.0.0.1", "capduration": 1}
    _, client = someone(daemon)
    assert refused(client, **stream).fields() == [("capmode", POLICY_CODE)]
    _, client = someone(daemon, stream=True, networks=["10.0.0.0/8"])
    assert refused(client, **stream).fields() == [("streamaddress", POLICY_CODE)]
    _, client = someone(daemon, stream=True, networks=["10.0.0.0/8", "127.0.0.0/8"])
    client.terminate(client.create(**stream))


def test_a_restart_is_held_to_the_role_as_it_is(daemon, wire):
    name, client = someone(daemon, max_duration=600)
    sessions = [client.terminate(client.create(wire.near, capamount=5)) for _ in range(2)]
    asked = client.terminate(client.create(wire.near, capduration=500))
    assert {session["limits"]["capduration"] for session in sessions} == {600}
    add_role(daemon.client, f"role-of-{name}", max_duration=60, max_filesize=5, max_snaplen=128)
    path = f"{MANAGER}/session/{{}}?action=restart"
    limits = client.json("POST", f"/session/{sessions[0]['sessionid']}?action=restart")["limits"]
    assert (limits["capduration"], limits["capfilesize"], limits["capsnaplen"]) == (60, 5, 128)
    assert status(client, "POST", path.format(asked["sessionid"])) == (403, POLICY_CODE)
    # An administrator's restart keeps what the owner had.
    limits = daemon.client.json("POST", f"/session/{sessions[1]['sessionid']}?action=restart")["limits"]
    assert limits == sessions[1]["limits"]
    for session in sessions:
        client.terminate(session)
    limits = daemon.client.json("POST", f"/session/{sessions[0]['sessionid']}?action=restart")["limits"]
    assert limits["capduration"] == 60


# ---- quotas ----

def test_sessions_at_once(daemon, wire):
    name, client = someone(daemon, max_sessions=2)
    running = [client.create(wire.near, capduration=60) for _ in range(2)]
    error = refused(client, capvalue=wire.near)
    assert (error.status, error.code) == (503, QUOTA_SESSIONS) and name in error.message and "2" in error.message
    client.terminate(running[0])
    assert client.create(wire.near, capduration=60)
    assert status(client, "POST", f"{MANAGER}/session/{running[0]['sessionid']}?action=restart") == (503, QUOTA_SESSIONS)
    # An administrator's are nobody else's.
    daemon.client.terminate(daemon.client.create(wire.near, capduration=60))


def test_sessions_at_once_by_many_at_once(daemon, wire):
    _, client = someone(daemon, max_sessions=3)
    client.list()

    def create(_):
        return status(basic(daemon.port, client.http.auth[0]), "POST", f"{MANAGER}/session",
                      json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near, "capduration": 60})[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(32)))
    assert sorted(answers) == [200] * 3 + [503] * 29


def test_sessions_in_an_hour(daemon, wire):
    _, client = someone(daemon, max_hourly=3)
    for _ in range(3):
        client.delete(client.terminate(client.create(wire.near, capduration=60)))
    answer = client.call("POST", f"{MANAGER}/session",
                         json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near})
    assert (answer.status_code, answer.json()["error_code"]) == (429, QUOTA_HOURLY)
    assert 3000 < int(answer.headers["Retry-After"]) <= 3600


def test_a_dry_run_tells_of_quotas(daemon, wire):
    """What creating would be refused for, in the same words; the request itself is fine."""
    def missing(client):
        forecast = client.json("POST", "/session?dry_run=true",
                               json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near})
        assert forecast["would_start"] == (forecast["missing"] == [])
        assert {one["what"] for one in forecast["missing"]} <= {"quota"}
        return [one["why"] for one in forecast["missing"]]

    _, client = someone(daemon, max_sessions=1, max_hourly=2)
    assert missing(client) == []
    session = client.create(wire.near, capduration=60)
    assert missing(client) == [refused(client, capvalue=wire.near).message]
    client.terminate(session)
    assert missing(client) == []
    session = client.create(wire.near, capduration=60)
    assert len(missing(client)) == 2
    client.terminate(session)
    assert missing(client) == [refused(client, capvalue=wire.near).message]


def test_restarts_in_an_hour(daemon, wire):
    _, client = someone(daemon, max_hourly=3)
    session = client.terminate(client.create(wire.near, capduration=60))
    path = f"{MANAGER}/session/{session['sessionid']}?action=restart"
    for answer in ((200, None), (200, None), (429, QUOTA_HOURLY)):
        assert status(client, "POST", path) == answer
        client.terminate(session)
    daemon.client.json("POST", f"/session/{session['sessionid']}?action=restart")


JUMBO = bytes.fromhex("0200000000fe0200000000ff88b5") + bytes(8000)
RECORD = {"PCAP": 16 + len(JUMBO), "PCAPNG": 44 + len(JUMBO) + 2}  # bytes, at most
FORMATS = pytest.mark.parametrize("capformat", RECORD)


def send_until(ready, wire, frame=JUMBO, what="the end"):
    """Little at a time: the rings of these daemons are small."""
    def done():
        wire.inward.send_all([frame] * 20)
        return ready()

    wait_until(done, 30, what, pause=0.02)


def send_through(session, wire, count):
    """So many frames, of each of which its file knows."""
    before = on_disk(session)
    for sent in range(20, count + 1, 20):
        wire.inward.send_all([JUMBO] * 20)
        wait_until(lambda: on_disk(session) > before + sent * len(JUMBO), 10, f"{sent} packets")


def has_ended(client, *sessions):
    return all(client.get(session)["sessionstatus"] in ENDED for session in sessions)


def on_disk(session):
    """Bytes of all files of the newest run."""
    run = session["runtime"]["run"]
    directory = pathlib.Path(session["filelocation"]).parent
    return sum(path.stat().st_size for path in directory.glob(f"run-{run}[-.]*pcap*"))


def check_used_up(session, most, record):
    """It ended with QUOTA, and would have been too large with one packet more."""
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "QUOTA")
    assert most - record < on_disk(session) <= most


@FORMATS
def test_stored_bytes(daemon, make_wire, capformat):
    """A capture ends with QUOTA before its owner has more than allowed; another is refused until there is room."""
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=2)
    session = client.started(wire.near, capformat=capformat, capduration=60)
    send_until(lambda: has_ended(client, session), wire)
    session = client.get(session)
    check_used_up(session, 2_000_000, RECORD[capformat])
    assert session["filesize_bytes"] == on_disk(session)
    client.delete(session)
    session = client.started(wire.near, capamount=10)
    wire.inward.send_all([JUMBO] * 10)
    assert client.wait_end(session)["stop_reason"] == "PACKET_COUNT"
    usage = client.json("GET", "/whoami")["usage"]
    assert usage["stored_bytes"] == client.get(session)["filesize_bytes"] and usage["unfinished"] == 0
    # What there is already leaves so much less.
    session = client.started(wire.near, capformat=capformat, capduration=60)
    send_until(lambda: has_ended(client, session), wire)
    check_used_up(client.get(session), 2_000_000 - usage["stored_bytes"], RECORD[capformat])


def check_shared(client, sessions, most, record):
    """All ended with QUOTA, and have together what is allowed, to within a packet of each."""
    ended = [client.get(session) for session in sessions]
    assert all((one["sessionstatus"], one["stop_reason"]) == ("FINISHED", "QUOTA") for one in ended)
    assert most - record < sum(map(on_disk, ended)) <= most + len(sessions) * record


@FORMATS
def test_six_captures_share_one_quota(daemon, make_wire, capformat):
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=5)
    sessions = [client.started(wire.near, capformat=capformat, capduration=60) for _ in range(6)]
    send_until(lambda: has_ended(client, *sessions), wire)
    check_shared(client, sessions, 5_000_000, RECORD[capformat])


def test_captures_share_a_quota_with_a_lost_workers(daemon, make_wire):
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=4)
    sessions = [client.started(wire.near, capduration=60) for _ in range(3)]
    send_through(sessions[0], wire, 100)
    daemon.kill("worker")
    for session in sessions:
        wait_until(lambda: "not captured" in client.get(session).get("errormsg", ""), 10, "the next worker")
    send_until(lambda: has_ended(client, *sessions), wire)
    check_shared(client, sessions, 4_000_000, RECORD["PCAP"])


def test_a_capture_that_is_handed_over_takes_of_its_new_owners_quota(daemon, make_wire):
    """It runs on, within what its new owner may have; the old one has room again."""
    wire = make_wire(mtu=9000)
    heir, client = someone(daemon, max_stored_mb=2)
    mine = client.started(wire.near, capduration=60)
    given = daemon.client.started(wire.near, capduration=60)
    send_through(given, wire, 60)
    daemon.client.json("POST", f"/session/{given['sessionid']}?action=transfer", json={"user": heir})
    time.sleep(1)  # until the worker has heard of it
    send_until(lambda: has_ended(client, mine, given), wire)
    check_shared(client, [mine, given], 2_000_000, RECORD["PCAP"])


@FORMATS
def test_a_ring_within_a_quota(daemon, make_wire, capformat):
    """All of its files count: those that are gone do not, and there are never more than the ring may have."""
    wire = make_wire(mtu=9000)
    ring = {"capformat": capformat, "capfilesize": 1, "capduration": 60}
    _, client = someone(daemon, max_stored_mb=2)
    session = client.started(wire.near, capfilecount=2, **ring)
    send_until(lambda: client.get(session)["files"][0]["file"] > 4, wire, what="turns")
    assert client.terminate(session)["stop_reason"] == "TERMINATED"
    assert on_disk(client.get(session)) <= 2_000_000
    client.delete(session)
    session = client.started(wire.near, capfilecount=5, **ring)
    send_until(lambda: has_ended(client, session), wire)
    session = client.get(session)
    check_used_up(session, 2_000_000, RECORD[capformat])
    assert [file["file"] for file in session["files"]] in ([1, 2], [1, 2, 3])
    assert sum(file["filesize"] for file in session["files"]) == on_disk(session)


@FORMATS
@pytest.mark.parametrize("ring", [{}, {"capfilesize": 1, "capfilecount": 5}], ids=["file", "ring"])
def test_a_quota_outlives_a_worker(daemon, make_wire, capformat, ring):
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=3)
    session = client.started(wire.near, capformat=capformat, capduration=60, **ring)
    send_through(session, wire, 200)
    daemon.kill("worker")
    wait_until(lambda: "not captured" in client.get(session).get("errormsg", ""), 10, "the next worker")
    assert client.get(session)["sessionstatus"] == "STARTED"
    send_until(lambda: has_ended(client, session), wire)
    check_used_up(client.get(session), 3_000_000, RECORD[capformat])


def test_no_room_for_a_file(make_daemon, make_wire):
    """What was accepted while there was room finds none left: it ends at once."""
    daemon = make_daemon("--ring-mb", "1", "--max-captures", "1").start()
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=1)
    frame = next(bytes(JUMBO[:size]) for size in range(2000, 9000) if (1_000_000 - 24) % (16 + size) < 24)
    session = client.started(wire.near, capduration=60)
    others = [client.create(wire.near, capduration=60, **ring) for ring in ({}, {"capfilesize": 1, "capfilecount": 3})]
    send_until(lambda: has_ended(client, session), wire, frame)
    assert client.get(session)["filesize_bytes"] > 1_000_000 - 24
    for other in others:
        ended = client.wait_end(other)
        assert (ended["sessionstatus"], ended["stop_reason"]) == ("FINISHED", "QUOTA")
        assert "no room" in ended["errormsg"] and ended["runtime"]["packets_captured"] == 0
        assert "filelocation" not in ended and "started" not in ended["runtime"] and ended["endtime"] >= ended["starttime"]


def packets_taken(client, stream):
    """Nobody listens: whether they were sent does not matter."""
    runtime = client.get(stream)["runtime"]
    return runtime["packets_streamed"] + runtime["packets_unsent"]


def test_a_stream_takes_no_room(daemon, make_wire):
    wire = make_wire(mtu=9000)
    _, client = someone(daemon, max_stored_mb=1, stream=True)
    stream = client.create(wire.near, capmode="STREAM", streamaddress="127.0.0.1", capduration=60)
    client.wait_for(stream, "STARTED")
    session = client.started(wire.near, capduration=60)
    send_until(lambda: has_ended(client, session), wire)
    check_used_up(client.get(session), 1_000_000, RECORD["PCAP"])
    taken = packets_taken(client, stream)
    send_until(lambda: packets_taken(client, stream) > taken + 20, wire)
    assert client.terminate(stream)["stop_reason"] == "TERMINATED"


# ---- whose ----

def test_other_peoples_sessions_become_visible(daemon, wire):
    owner, client = someone(daemon)
    session = client.terminate(client.create(wire.near, capduration=60))
    path = f"{MANAGER}/session/{session['sessionid']}"
    for policy, get, download in (({}, 404, 404), ({"see_others": True}, 200, 403),
                                  ({"see_others": True, "download_others": True}, 200, (200, 404))):
        _, other = someone(daemon, **policy)
        assert other.call("GET", path).status_code == get
        assert other.call("GET", path + "/capturefile").status_code in (download if isinstance(download, tuple)
                                                                        else (download,))
        assert (session["sessionid"] in [one["sessionid"] for one in other.list()["results"]]) == (get == 200)
        assert other.call("POST", path + "?action=restart").status_code == (404 if get == 404 else 403)


def test_sharing_with_a_group(daemon, wire):
    _, client = someone(daemon)
    session = client.terminate(client.create(wire.near, capduration=60))
    path = f"{MANAGER}/session/{session['sessionid']}"
    add_user(daemon.client, "gina", "operator", groups=["ops", "night"])
    gina = basic(daemon.port, "gina")
    assert gina.call("GET", path).status_code == 404
    shared = client.json("POST", f"/session/{session['sessionid']}?action=share", json={"group": "ops"})
    assert shared["shared_with"] == [{"group": "ops"}]
    assert gina.get(session)["owner"] == client.http.auth[0]
    assert gina.call("POST", path + "?action=share", json={"user": "gina"}).status_code == 403
    client.json("POST", f"/session/{session['sessionid']}?action=unshare", json={"group": "ops"})
    assert gina.call("GET", path).status_code == 404


def test_a_transfer(daemon, wire):
    name, client = someone(daemon)
    other, heir = someone(daemon)
    session = client.terminate(client.create(wire.near, capduration=60))
    moved = daemon.client.json("POST", f"/session/{session['sessionid']}?action=transfer", json={"user": other})
    assert (moved["owner"], moved["_create_user"]) == (other, name)
    assert status(client, "GET", f"{MANAGER}/session/{session['sessionid']}")[0] == 404
    heir.delete(session)


def test_sessions_of_a_deleted_user_are_nobodys(daemon, wire):
    name, client = someone(daemon)
    session = client.terminate(client.create(wire.near, capduration=60))
    daemon.client.json("DELETE", f"/users/{name}")
    add_user(daemon.client, name, "operator")
    assert status(basic(daemon.port, name), "GET", f"{MANAGER}/session/{session['sessionid']}")[0] == 404
    kept = daemon.client.get(session)
    assert "owner" not in kept and kept["_create_user"] == name


def test_captures_of_a_deleted_user_end(daemon, wire):
    name, client = someone(daemon)
    session = client.started(wire.near, capduration=60)
    other, disabled = someone(daemon)
    kept = disabled.started(wire.near, capduration=60)
    daemon.client.json("PATCH", f"/users/{other}", json={"disabled": True})
    daemon.client.json("DELETE", f"/users/{name}")
    assert daemon.client.wait_end(session, timeout=5)["stop_reason"] == "TERMINATED"
    assert daemon.client.get(kept)["sessionstatus"] == "STARTED"
