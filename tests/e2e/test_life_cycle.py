"""A session from POST to its end, and what its answers hold on the way."""
import re
import time

import pytest

from harness import sandbox
from harness.client import parse
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, capinfos_count, tshark_count
from harness.wait import SLOW, now_ms, often_enough_within, wait_until


def test_from_post_to_duration(client, wire):
    """CREATED at once, STARTED when it captures, FINISHED by its duration."""
    before = now_ms()
    session = client.create(wire.near, capduration=1)
    assert session["sessionstatus"] == "CREATED"
    assert "errormsg" not in session and "filelocation" not in session
    assert before <= session["starttime"] <= now_ms()
    session = client.wait_for(session, "STARTED")
    assert session["runtime"]["started"] >= session["starttime"]
    wire.inward.send_all(numbers(10))
    session = client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "DURATION")
    assert session["runtime"]["packets_captured"] == 10
    assert session["endtime"] - session["runtime"]["started"] >= 1000


def test_packets_sent_right_after_started_are_captured(client, wire):
    session = client.started(wire.near, capamount=3)
    wire.inward.send_all(numbers(3))
    session = client.wait_end(session)
    assert [number_of(data) for data in Pcap(session["filelocation"]).data()] == [0, 1, 2]


def test_the_file_is_what_was_sent(client, wire):
    frames = [bytes.fromhex("020000000001020000000002 88b5") + bytes([n]) * (50 + 7 * n) for n in range(100)]
    session = client.started(wire.near, capamount=len(frames))
    before = time.time_ns()
    wire.inward.send_all(frames)
    after = time.time_ns()
    session = client.wait_end(session)
    pcap = Pcap(session["filelocation"])
    assert pcap.data() == frames
    assert pcap.nanoseconds and pcap.linktype == 1 and pcap.is_in_order()
    assert before <= pcap.packets[0].ns and pcap.packets[-1].ns <= after
    assert session["filesize_bytes"] == pcap.size == 24 + sum(16 + len(frame) for frame in frames)
    assert session["runtime"]["bytes_captured"] == sum(map(len, frames))
    assert capinfos_count(session["filelocation"]) == tshark_count(session["filelocation"]) == len(frames)


FULL_REQUEST = {
    "cappoint": "VNIC", "capsource": "UI", "direction": "INPUT", "capduration": 7, "capamount": 5, "capfilesize": 3,
    "capsnaplen": 128, "capmode": "STANDALONE", "capformat": "PCAP", "name": "Grüße an alle", "description": "d" * 1024,
    "tags": [{"scope": "team", "tag": "net"}, {"scope": "", "tag": "x"}], "capexpression": "not arp",
    "options": {"values": [{"name": "ETHTYPE", "value": "0x0800"}, {"name": "IP", "value": "10.0.0.0/8"}]},
}


def test_the_request_comes_back_as_given(client, wire):
    request = {**FULL_REQUEST, "capvalue": wire.near}
    session = client.json("POST", "/session", json=request)
    assert session["request"] == request
    assert client.get(session)["request"] == request
    assert session["sessionname"] == session["display_name"] == "Grüße an alle"
    assert session["description"] == request["description"] and session["tags"] == request["tags"]
    assert client.terminate(session)["request"] == request
    assert client.delete(session)["request"] == request


def test_nulls_mean_absent(client, wire):
    nulls = dict.fromkeys(["node", "node_ip", "direction", "filtertype", "capduration", "capfilesize", "capsnaplen",
                           "caprate", "capcore", "capmode", "streamaddress", "streamport", "options", "name",
                           "description", "tags", "capexpression", "capformat", "capfilecount"])
    given = {"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near, "capamount": 1}
    session = client.json("POST", "/session", json={**given, **nulls})
    assert session["request"] == given
    client.terminate(session)


def test_zeros_are_not_limits_and_are_echoed(client, wire):
    zeros = dict.fromkeys(["capduration", "capamount", "capfilesize", "capsnaplen"], 0)
    session = client.create(wire.near, **zeros)
    assert {key: session["request"][key] for key in zeros} == zeros
    assert session["limits"] == {"capduration": 600, "capfilesize": 10000, "capsnaplen": 262144}
    client.terminate(session)


def test_a_session_without_a_name_is_named_after_its_id(client, wire):
    session = client.create(wire.near, capamount=1)
    assert session["sessionname"] == session["display_name"] == session["sessionid"]
    assert "description" not in session and "tags" not in session
    client.terminate(session)


def test_nsx_list_fields_in_options_are_ignored(client, wire):
    options = {"values": [{"name": "VLAN", "value": "5"}], "cursor": "x", "result_count": 1, "sort_by": "y",
               "sort_ascending": True, "_links": [], "_schema": "s", "_self": {}}
    session = client.create(wire.near, options=options)
    assert session["request"]["options"] == {"values": [{"name": "VLAN", "value": "5"}]}
    client.terminate(session)


def test_revision_and_modification_move_with_the_session(client, wire):
    session = client.create(wire.near, capduration=100)
    assert session["_revision"] == 0
    assert session["_create_user"] == session["_last_modified_user"] != ""
    assert session["_create_time"] == session["_last_modified_time"] == session["starttime"]
    ended = client.terminate(session)
    assert ended["_revision"] > 0
    assert ended["_last_modified_time"] >= ended["_create_time"] == session["_create_time"]


NODES = {
    "by id": lambda daemon, node: {"node": node},
    "by id in upper case": lambda daemon, node: {"node": node.upper()},
    "by name": lambda daemon, node: {"node": "n1.example"},
    "by address": lambda daemon, node: {"node_ip": "127.0.0.1"},
    "by both": lambda daemon, node: {"node": node, "node_ip": "127.0.0.1"},
}


@pytest.fixture(scope="module")
def named_daemon(make_shared_daemon):
    return make_shared_daemon("--node-name", "n1.example", "--ring-mb", "8").start()


@pytest.mark.parametrize("way", NODES)
def test_this_node_can_be_named(named_daemon, wire, way):
    node = re.search(r"node ([0-9a-f-]{36})", named_daemon.text())[1]
    session = named_daemon.client.create(wire.near, capamount=1, **NODES[way](named_daemon, node))
    assert session["runtime"]["node"] == node
    assert (named_daemon.data / "node-id").read_text().strip() == node
    named_daemon.client.terminate(session)


POINTS = {
    "veth as VNIC": ("VNIC", lambda wire: wire.near),
    "veth as VIF": ("VIF", lambda wire: wire.near),
    "by MAC": ("VNIC", lambda wire: wire.near_mac),
    "by MAC in upper case": ("VNIC", lambda wire: wire.near_mac.upper()),
    "by MAC with dashes": ("VNIC", lambda wire: wire.near_mac.replace(":", "-")),
    "by alias": ("VIF", lambda wire: "11111111-2222-3333-4444-555555555555"),
    "with an address, as VMKNIC": ("VMKNIC", lambda wire: wire.near),
}


@pytest.fixture(scope="module")
def rich_wire(make_shared_wire):
    """Its near end has an alias and an address."""
    wire = make_shared_wire()
    sandbox.ip(f"link set {wire.near} alias 11111111-2222-3333-4444-555555555555",
               f"addr add 10.9.8.7/24 dev {wire.near}")
    return wire


@pytest.mark.parametrize("way", POINTS)
def test_capture_points(client, rich_wire, way):
    cappoint, value = POINTS[way]
    session = client.started(value(rich_wire), cappoint=cappoint, capamount=2, capexpression="ether proto 0x88b5")
    rich_wire.inward.send_all(numbers(2))
    session = client.wait_end(session)
    assert session["runtime"]["packets_captured"] == 2
    assert session["request"]["capvalue"] == value(rich_wire)


def longest_standstill(client, wire):
    """Seconds for which a row does not change; with one packet every 50 ms for three seconds."""
    session = client.started(wire.near, capduration=30)
    seen = []
    with Background(wire.inward, rate=20):
        end = time.monotonic() + 3 * SLOW
        while time.monotonic() < end:
            now = client.get(session)
            seen.append((time.monotonic(), now["filesize"], now["runtime"]["packets_captured"]))
            time.sleep(0.05)
    client.terminate(session)
    assert all(size == 24 + packets * (16 + 64) for _, size, packets in seen)
    moves = [seen[0][0]] + [b[0] for a, b in zip(seen, seen[1:]) if b[1:] > a[1:]] + [seen[-1][0]]
    return max(b - a for a, b in zip(moves, moves[1:]))


def test_filesize_and_counters_move_while_it_runs(client, wire):
    """At least once a second."""
    often_enough_within(1.0, lambda: [longest_standstill(client, wire)])


def test_a_burst_before_silence_is_counted_within_a_second(client, wire):
    session = client.started(wire.near, capduration=60)
    sent = 0

    def burst():
        nonlocal sent
        sent += 100
        began = time.monotonic()
        wire.inward.send_all(numbers(100))
        wait_until(lambda: client.get(session)["runtime"]["packets_captured"] == sent, what="the burst in the row")
        return time.monotonic() - began

    often_enough_within(1.0, lambda: [burst() for _ in range(3)])
    client.terminate(session)


def test_integers_are_written_plainly(client, wire):
    session = client.create(wire.near, capamount=1)
    text = client.call("GET", f"{client.prefix}/session/{session['sessionid']}").text
    assert f'"starttime":{session["starttime"]}' in text.replace(" ", "")
    assert parse(text)["starttime"] == session["starttime"]
    client.terminate(session)


def test_pick_up_is_immediate(client, wire):
    """The doorbell, not the poll of a second."""
    def wait():
        session = client.create(wire.near, capamount=1)
        started = client.wait_for(session, "STARTED")
        client.terminate(session)
        return started["runtime"]["started"] - session["starttime"]

    often_enough_within(100, lambda: [wait() for _ in range(5)])
