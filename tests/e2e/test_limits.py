"""Every limit of a capture is exact, and the one that ended it is named."""
import time

import pytest

from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, capinfos_count
from harness.wait import SLOW, often_enough_within

TOLERANCE_MS = 50


# ---- capamount ----

@pytest.mark.parametrize("amount, sent", [(1, 1), (1, 500), (1000, 1000), (1000, 5000), (20000, 60000)])
def test_capamount_is_exact(client, wire, amount, sent):
    session = client.started(wire.near, capamount=amount)
    wire.inward.send_all(numbers(sent))
    session = client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "PACKET_COUNT")
    assert session["runtime"]["packets_captured"] == amount
    pcap = Pcap(session["filelocation"])
    assert [number_of(data) for data in pcap.data()] == list(range(amount))
    assert capinfos_count(session["filelocation"]) == amount


def test_capamount_counts_matching_packets_only(client, wire):
    session = client.started(wire.near, capamount=10, capexpression="ether[25] & 1 = 1")
    wire.inward.send_all(numbers(100))
    session = client.wait_end(session)
    assert [number_of(data) for data in Pcap(session["filelocation"]).data()] == list(range(1, 20, 2))


# ---- capduration ----

def overrun(session, seconds):
    return session["endtime"] - session["runtime"]["started"] - 1000 * seconds


def ended_by_duration(client, wire):
    """Three captures of a second, side by side."""
    sessions = [client.started(wire.near, capduration=1) for _ in range(3)]
    ended = [client.wait_end(session) for session in sessions]
    assert {session["stop_reason"] for session in ended} == {"DURATION"}
    assert min(overrun(session, 1) for session in ended) >= 0
    return ended


def test_capduration_on_a_silent_interface(client, wire):
    def overruns():
        ended = ended_by_duration(client, wire)
        assert all(len(Pcap(session["filelocation"])) == 0 for session in ended)
        return [overrun(session, 1) for session in ended]

    often_enough_within(TOLERANCE_MS, overruns)


def test_capduration_on_a_busy_interface(client, wire):
    def deviations():
        with Background(wire.inward, rate=5000):
            ended = ended_by_duration(client, wire)
        return [max(overrun(session, 1), *edges(session)) for session in ended]

    often_enough_within(TOLERANCE_MS, deviations)


def edges(session):
    """How late the first packet is after the start, and how far the last one is from the deadline, in ms."""
    packets = Pcap(session["filelocation"]).packets
    started = session["runtime"]["started"]
    return abs(packets[0].ns / 1e6 - started), abs(packets[-1].ns / 1e6 - started - 1000)


def test_the_end_shows_in_the_row_at_once(client, wire):
    """Not only endtime is right: whoever asks after the duration learns of the end."""
    def delay(session):
        client.wait_end(session)
        return time.time_ns() // 1_000_000 - session["runtime"]["started"] - 1000

    often_enough_within(100, lambda: [delay(client.started(wire.near, capduration=1)) for _ in range(3)])


# ---- capfilesize ----

@pytest.mark.parametrize("size", [64, 590, 1514])
def test_capfilesize_is_never_exceeded(client, wire, size):
    session = client.started(wire.near, capfilesize=1, capduration=60)
    wire.inward.send_all(numbers(1_000_000 // (size + 16) + 100, size=size))
    session = client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "FILE_SIZE")
    pcap = Pcap(session["filelocation"])
    assert pcap.size == session["filesize_bytes"] == session["filesize"]
    assert 1_000_000 - (size + 16) < pcap.size <= 1_000_000
    assert [number_of(data) for data in pcap.data()] == list(range(len(pcap)))


def test_capfilesize_counts_captured_bytes(client, wire):
    """With a snaplen the file holds less of each packet, so more packets."""
    session = client.started(wire.near, capfilesize=1, capsnaplen=100, capduration=60)
    wire.inward.send_all(numbers(9000, size=1000))
    session = client.wait_end(session)
    assert session["stop_reason"] == "FILE_SIZE"
    assert session["runtime"]["packets_captured"] == (1_000_000 - 24) // 116


# ---- capsnaplen ----

@pytest.mark.parametrize("snaplen, kept", [(24, 24), (64, 64), (1000, 1000), (0, 9000), (None, 9000), (65535, 9000)])
def test_capsnaplen(client, make_wire, snaplen, kept):
    wire = make_wire(mtu=9200)
    given = {} if snaplen is None else {"capsnaplen": snaplen}
    session = client.started(wire.near, capamount=40, **given)
    frames = list(numbers(20, size=9000)) + list(numbers(20, size=60))
    wire.inward.send_all(frames)
    session = client.wait_end(session)
    packets = Pcap(session["filelocation"]).packets
    assert [packet.length for packet in packets] == [len(frame) for frame in frames]
    assert [packet.captured for packet in packets] == [min(kept, len(frame)) for frame in frames]
    assert [packet.data for packet in packets] == [frame[:kept] for frame in frames]
    assert session["runtime"]["bytes_captured"] == sum(min(kept, len(frame)) for frame in frames)


@pytest.mark.parametrize("snaplen", [24, 60])
def test_capsnaplen_holds_with_stripped_tags(client, wire, snaplen):
    """The kernel takes the tag off before the tap and libpcap puts it back: the limit still counts the whole."""
    frame = bytes.fromhex("020000000001 020000000002 8100 0007 88b5") + bytes(range(100))
    session = client.started(wire.near, capamount=1, capsnaplen=snaplen)
    wire.inward.send(frame)
    session = client.wait_end(session)
    packet, = Pcap(session["filelocation"]).packets
    assert (packet.captured, packet.length) == (snaplen, len(frame))
    assert packet.data == frame[:snaplen]


# ---- defaults and maxima ----

@pytest.fixture(scope="module")
def strict_daemon(make_shared_daemon):
    """A server with small limits of its own."""
    return make_shared_daemon("--default-duration", "1", "--max-duration", "2", "--max-packets", "50",
                              "--max-filesize", "1", "--max-snaplen", "100", "--ring-mb", "8").start()


def test_default_duration_applies_when_nothing_is_given(strict_daemon, wire):
    client = strict_daemon.client
    session = client.wait_end(client.create(wire.near))
    assert session["limits"] == {"capduration": 1, "capamount": 50, "capfilesize": 1, "capsnaplen": 100}
    assert session["stop_reason"] == "DURATION"
    assert 0 <= overrun(session, 1) <= 500 * SLOW


def test_default_duration_does_not_apply_when_a_limit_is_given(strict_daemon, wire):
    session = strict_daemon.client.create(wire.near, capamount=10)
    assert session["limits"]["capduration"] == 2
    strict_daemon.client.terminate(session)


def test_the_servers_longest_duration(strict_daemon, wire):
    client = strict_daemon.client
    session = client.wait_end(client.create(wire.near, capduration=1000))
    assert session["request"]["capduration"] == 1000 and session["limits"]["capduration"] == 2
    assert session["stop_reason"] == "DURATION" and 0 <= overrun(session, 2) <= 500 * SLOW


def test_the_servers_largest_amount(strict_daemon, wire):
    client = strict_daemon.client
    session = client.started(wire.near, capamount=1000)
    wire.inward.send_all(numbers(200))
    session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT" and session["runtime"]["packets_captured"] == 50


def test_the_servers_largest_file(make_daemon, wire):
    client = make_daemon("--max-filesize", "1", "--ring-mb", "8").start().client
    session = client.started(wire.near, capfilesize=5, capduration=60)
    assert session["limits"]["capfilesize"] == 1
    wire.inward.send_all(numbers(1000, size=1514))
    session = client.wait_end(session)
    assert session["stop_reason"] == "FILE_SIZE" and session["filesize"] <= 1_000_000


def test_the_servers_largest_snaplen(strict_daemon, wire):
    client = strict_daemon.client
    session = client.started(wire.near, capamount=1, capsnaplen=0)
    assert session["limits"]["capsnaplen"] == 100
    wire.inward.send_all(numbers(1, size=500))
    packet, = Pcap(client.wait_end(session)["filelocation"]).packets
    assert (packet.captured, packet.length) == (100, 500)


def test_the_first_limit_reached_ends_it(client, wire):
    session = client.started(wire.near, capamount=5, capduration=60, capfilesize=1)
    wire.inward.send_all(numbers(5))
    assert client.wait_end(session)["stop_reason"] == "PACKET_COUNT"
    session = client.started(wire.near, capamount=5, capduration=1, capfilesize=1)
    wire.inward.send_all(numbers(4))
    session = client.wait_end(session)
    assert session["stop_reason"] == "DURATION" and session["runtime"]["packets_captured"] == 4
