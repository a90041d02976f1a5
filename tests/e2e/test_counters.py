"""The counters of a session agree with its file and with what was sent, also when the kernel had to drop."""
import signal

import pytest

from harness import sandbox
from harness.frames import number_of, numbers
from harness.judges import Pcap, capinfos_count, tshark_count
from harness.wait import wait_until


def check_numbers(pcap, sent):
    """In order, none twice, contents as sent."""
    got = [number_of(data) for data in pcap.data()]
    assert all(a < b for a, b in zip(got, got[1:]))
    assert pcap.is_in_order()
    assert all(data == frame for data, frame in zip(pcap.data(), select(sent, got)))


def select(frames, wanted):
    wanted = set(wanted)
    return (frame for number, frame in enumerate(frames) if number in wanted)


def check_file(session):
    """What holds for every ended session."""
    runtime, pcap = session["runtime"], Pcap(session["filelocation"])
    assert runtime["packets_captured"] == len(pcap) == capinfos_count(session["filelocation"])
    assert runtime["bytes_captured"] == sum(packet.captured for packet in pcap.packets)
    assert session["filesize_bytes"] == pcap.size
    return pcap


def test_a_flood_is_captured_whole(client, wire):
    session = client.started(wire.near, capduration=60)
    before = wire.received()
    wire.inward.send_all(numbers(50000))
    arrived = wire.received() - before
    session = client.terminate(session)
    assert session["sessionstatus"] == "STOPPED"
    pcap = check_file(session)
    check_numbers(pcap, numbers(50000))
    assert session["runtime"]["packets_captured"] + session["runtime"]["packets_dropped"] == arrived


@pytest.fixture
def tight_daemon(make_daemon):
    return make_daemon("--ring-mb", "1").start()


def test_drops_are_counted_exactly(tight_daemon, wire):
    """With the worker stopped, a ring of 1 MiB must overflow."""
    client = tight_daemon.client
    session = client.started(wire.near, capduration=60)
    worker = tight_daemon.pid("worker")
    before = wire.received()
    sandbox.kill(worker, signal.SIGSTOP)
    wire.inward.send_all(numbers(30000))
    sandbox.kill(worker, signal.SIGCONT)
    wire.inward.send_all(numbers(100, first=30000))
    arrived = wire.received() - before
    session = client.terminate(session)
    assert session["sessionstatus"] == "STOPPED"
    runtime = session["runtime"]
    assert runtime["packets_dropped"] > 0
    assert runtime["packets_captured"] + runtime["packets_dropped"] == arrived
    check_numbers(check_file(session), numbers(30100))


def test_drops_count_matching_packets_only(tight_daemon, wire):
    client = tight_daemon.client
    session = client.started(wire.near, capduration=60, capexpression="ether[25] & 1 = 1")
    worker = tight_daemon.pid("worker")
    sandbox.kill(worker, signal.SIGSTOP)
    wire.inward.send_all(numbers(40000))
    sandbox.kill(worker, signal.SIGCONT)
    runtime = client.terminate(session)["runtime"]
    assert runtime["packets_dropped"] > 0
    assert runtime["packets_captured"] + runtime["packets_dropped"] == 20000


def test_capamount_is_exact_with_drops(tight_daemon, wire):
    client = tight_daemon.client
    session = client.started(wire.near, capamount=12000)
    worker = tight_daemon.pid("worker")
    for part in range(4):
        before = client.get(session)["runtime"]["packets_captured"]
        sandbox.kill(worker, signal.SIGSTOP)
        wire.inward.send_all(numbers(12000, first=part * 12000))
        sandbox.kill(worker, signal.SIGCONT)
        wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > before
                   or client.get(session)["sessionstatus"] != "STARTED", what="packets of this part in the file")
    session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT"
    pcap = check_file(session)
    assert len(pcap) == 12000
    check_numbers(pcap, numbers(48000))


def test_large_frames_fill_many_batches(client, make_wire):
    """More than the four batches of 1 MiB that the writer has."""
    wire = make_wire(mtu=9200)
    session = client.started(wire.near, capduration=60)
    wire.inward.send_all(numbers(2000, size=9000))
    session = client.terminate(session)
    runtime = session["runtime"]
    assert runtime["packets_captured"] + runtime["packets_dropped"] == 2000
    check_numbers(check_file(session), numbers(2000, size=9000))


def test_terminate_keeps_what_arrived_before_it(client, wire):
    """What was sent before the request is in the file, however short before."""
    for count in (1, 10, 300):
        session = client.started(wire.near, capduration=60)
        wire.inward.send_all(numbers(count))
        session = client.terminate(session)
        assert [number_of(data) for data in check_file(session).data()] == list(range(count))


def test_nothing_from_before_the_start_is_captured(client, wire):
    """Filters hold from the first packet on: none slips in while the tap opens under traffic."""
    from harness.frames import Background

    with Background(wire.inward, rate=20000):
        session = client.started(wire.near, capamount=5, capexpression="ether[25] & 127 = 5", capduration=30)
        session = client.wait_end(session)
    assert all(number_of(data) & 127 == 5 for data in check_file(session).data())
    assert len(Pcap(session["filelocation"])) == 5


@pytest.mark.slow
def test_tshark_reads_a_flood_in_order(client, wire):
    session = client.started(wire.near, capamount=20000)
    wire.inward.send_all(numbers(20000))
    session = client.wait_end(session)
    assert tshark_count(session["filelocation"]) == 20000
    order = sandbox.run("capinfos", "-o", session["filelocation"])
    assert "True" in order
