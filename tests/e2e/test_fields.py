"""caprate, capcore and capsnaplen do what they say, and a bridge port has the name that each API has for it."""
import os
import time

import pytest

from harness import sandbox
from harness.blind import intervals
from harness.client import POLICY
from harness.frames import Background, mac, number_of, numbered, numbers
from harness.judges import Pcap, Tcpdump
from harness.wait import wait_until

SECOND = 10**9

# ---- caprate ----


def fullest_second(pcap):
    """The most packets in any second: it is enough to look at those that begin with a packet."""
    times = sorted(packet.ns for packet in pcap.packets)
    most, end = 0, 0
    for begin, time_ns in enumerate(times):
        while end < len(times) and times[end] < time_ns + SECOND:
            end += 1
        most = max(most, end - begin)
    return most


def check_counters(session, pcap, sent):
    runtime = session["runtime"]
    assert runtime["packets_dropped"] == 0
    assert runtime["packets_captured"] == len(pcap)
    assert runtime["packets_captured"] + runtime["packets_skipped"] == sent


def test_no_second_holds_more_than_the_rate(client, wire):
    limited = client.started(wire.near, caprate=100, capduration=60)
    whole = client.started(wire.near, capduration=60)
    with Background(wire.inward, rate=1500) as traffic:
        wait_until(lambda: traffic.sent > 4500, 10, "three seconds of traffic")
    limited, whole = client.terminate(limited), client.terminate(whole)
    pcap, everything = Pcap(limited["filelocation"]), Pcap(whole["filelocation"])
    assert len(everything) == traffic.sent and whole["runtime"]["packets_skipped"] == 0
    check_counters(limited, pcap, traffic.sent)
    assert fullest_second(pcap) == 100
    # None was skipped without need: when it came, the second before it was full.
    taken = [packet.ns for packet in pcap.packets]
    numbers_taken = {number_of(data) for data in pcap.data()}
    for packet in everything.packets:
        if number_of(packet.data) not in numbers_taken:
            assert sum(packet.ns - SECOND < ns <= packet.ns for ns in taken) == 100


def test_a_burst_keeps_its_beginning(client, wire):
    session = client.started(wire.near, caprate=100, capduration=60)
    began = time.time_ns()
    wire.inward.send_all(numbers(1000))
    assert time.time_ns() < began + SECOND, "the machine is too slow for this test"
    last = wait_until(lambda: client.get(session)["runtime"]["packets_captured"] == 100 and time.time_ns())
    wait_until(lambda: time.time_ns() > last + SECOND, what="the next second")
    wire.inward.send_all(numbers(200, first=1000))
    session = client.terminate(session)
    pcap = Pcap(session["filelocation"])
    check_counters(session, pcap, 1200)
    assert [number_of(data) for data in pcap.data()] == [*range(100), *range(1000, 1100)]


def test_the_amount_counts_what_the_rate_lets_through(client, wire):
    session = client.started(wire.near, caprate=100, capamount=250, capduration=60)
    with Background(wire.inward, rate=1000):
        session = client.wait_end(session, timeout=10)
    assert session["stop_reason"] == "PACKET_COUNT"
    pcap = Pcap(session["filelocation"])
    assert len(pcap) == session["runtime"]["packets_captured"] == 250
    assert session["runtime"]["packets_skipped"] > 0
    assert fullest_second(pcap) == 100
    assert pcap.packets[-1].ns - pcap.packets[0].ns >= 2 * SECOND


def test_a_rate_that_is_not_reached(client, wire):
    session = client.started(wire.near, caprate=2**31 - 1, capduration=60)
    wire.inward.send_all(numbers(5000))
    session = client.terminate(session)
    check_counters(session, Pcap(session["filelocation"]), 5000)
    assert session["runtime"]["packets_skipped"] == 0


@pytest.mark.slow
def test_the_rate_outlives_the_worker(make_daemon, wire):
    """Of what a dead worker took, the times are known from the file alone; the rate holds over the gap."""
    daemon = make_daemon("--ring-mb", "8").start()
    client = daemon.client
    session = client.started(wire.near, caprate=50, capduration=60)
    with Background(wire.inward, rate=1000) as traffic:
        for _ in range(2):
            before = wait_until(lambda: enough(client.get(session), 60), 10, "packets in the file")
            worker = daemon.pid("worker")
            daemon.kill("worker")
            wait_until(lambda: daemon.pid("worker") not in (None, worker), 10, "a new worker")
            wait_until(lambda: more(client.get(session), before), 10, "packets of the new worker")
    session = client.terminate(session)
    pcap = Pcap(session["filelocation"])
    assert fullest_second(pcap) == 50
    runtime = session["runtime"]
    assert len(pcap) == runtime["packets_captured"]
    assert runtime["packets_skipped"] >= before["runtime"]["packets_skipped"] > 0
    assert runtime["packets_captured"] + runtime["packets_skipped"] <= traffic.sent
    assert len(intervals(session)) >= 1
    got = [number_of(data) for data in pcap.data()]
    assert got == sorted(set(got))


def enough(session, packets):
    return session["runtime"]["packets_captured"] >= packets and session["runtime"]["packets_skipped"] and session


def more(session, before):
    return session["runtime"]["packets_captured"] > before["runtime"]["packets_captured"] + 60


# ---- capcore ----


def threads(pid):
    """{thread: the CPUs it may run on}"""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            found[thread] = sandbox.status_of(f"{pid}/task/{thread}")["Cpus_allowed_list"]
        except OSError:
            pass
    return found


def waits_for_packets(pid, thread):
    """The capture thread polls its socket; the writer's waits for batches."""
    with open(f"/proc/{pid}/task/{thread}/wchan") as file:
        return "poll" in file.read()


CORES = sorted(os.sched_getaffinity(0))


@pytest.mark.skipif(len(CORES) < 2, reason="with one CPU, every thread stays on it")
@pytest.mark.parametrize("core", CORES)
def test_the_capture_thread_stays_on_its_cpu(daemon, wire, core):
    client, worker = daemon.client, daemon.pid("worker")
    others = threads(worker)
    anywhere = others[str(worker)]
    assert set(others.values()) == {anywhere} != {str(core)}
    session = client.started(wire.near, capcore=core, capduration=60)
    mine = {thread: cpus for thread, cpus in threads(worker).items() if thread not in others}
    pinned = [thread for thread, cpus in mine.items() if cpus == str(core)]
    assert len(pinned) == 1, mine
    wait_until(lambda: waits_for_packets(worker, pinned[0]), what="the capture thread to poll")
    assert set(threads(worker).values()) == {anywhere, str(core)}
    assert [cpus for thread, cpus in threads(worker).items() if thread not in pinned] == \
        [anywhere] * (len(threads(worker)) - 1)
    wire.inward.send_all(numbers(500))
    session = client.terminate(session)
    assert len(Pcap(session["filelocation"])) == 500
    assert session["request"]["capcore"] == core
    wait_until(lambda: set(threads(worker).values()) == {anywhere}, what="the end of the capture thread")


def test_without_capcore_no_thread_is_tied(daemon, wire):
    worker = daemon.pid("worker")
    anywhere = threads(worker)[str(worker)]
    session = daemon.client.started(wire.near, capduration=60)
    assert "capcore" not in session["request"]
    found = threads(worker)
    assert len(found) >= 3 and set(found.values()) == {anywhere}
    daemon.client.terminate(session)


# ---- capsnaplen ----


def tagged(number, size, *tags):
    """A numbered frame with tags in it, of so many bytes with them."""
    frame = numbered(number, size - 4 * len(tags))
    return frame[:12] + b"".join(tags) + frame[12:]


DOT1Q, DOT1AD = bytes.fromhex("81000007"), bytes.fromhex("88a80009")
SIZES = (60, 63, 64, 65, 67, 68, 69, 72, 73, 300, 1518)


@pytest.mark.parametrize("direction", ["INPUT", "OUTPUT"])
@pytest.mark.parametrize("snaplen", [24, 25, 27, 28, 29, 64, 68, 1518])
def test_snaplen_counts_the_tag(client, make_wire, tmp_path, snaplen, direction):
    """The kernel takes the first tag of a received frame off; with the tag back the frame is not too long."""
    wire = make_wire(mtu=2000)
    sender = wire.inward if direction == "INPUT" else wire.outward
    frames = [tagged(number, size, *tags) for number, (size, tags) in enumerate(
        (size, tags) for size in SIZES for tags in ((), (DOT1Q,), (DOT1AD,), (DOT1AD, DOT1Q)))]
    session = client.started(wire.near, capsnaplen=snaplen, capduration=60)
    reference = Tcpdump(wire.near, tmp_path / "reference.pcap")
    reference.wait_until_it_listens()
    sender.send_all(frames)
    session = client.terminate(session)
    pcap, reference = Pcap(session["filelocation"]), reference.stop(len(frames))
    assert pcap.snaplen == snaplen
    assert [packet.length for packet in pcap.packets] == [len(frame) for frame in frames]
    assert pcap.data() == [frame[:snaplen] for frame in frames]
    assert reference.data() == frames
    assert session["runtime"]["bytes_captured"] == sum(min(snaplen, len(frame)) for frame in frames)


# ---- SEGMENTPORT ----


@pytest.fixture
def bridge_port(wire):
    """A wire whose near end is a port of a bridge."""
    name = wire.near.replace("near", "bridge")
    # With snooping a bridge speaks up for itself: it joins the group of snoopers.
    sandbox.ip(f"link add {name} type bridge mcast_snooping 0", f"link set {name} addrgenmode none up",
               f"link set {wire.near} master {name}")
    yield wire
    sandbox.ip(f"link del {name}")


SHOWN = {"LOGICALPORT": ("LOGICALPORT", "LOGICALPORT"), "SEGMENTPORT": ("LOGICALPORT", "SEGMENTPORT")}


@pytest.mark.parametrize("made_by", ["manager", "policy"])
@pytest.mark.parametrize("cappoint", SHOWN)
def test_a_bridge_port_in_the_words_of_each_api(shared_daemon, bridge_port, made_by, cappoint):
    apis = [shared_daemon.client, shared_daemon.policy()]
    maker = apis[made_by == "policy"]
    session = maker.create(bridge_port.near, cappoint=cappoint, capamount=3)
    answers = [[], []]
    answers[maker.prefix == POLICY].append(session)
    for api, seen in zip(apis, answers):
        seen.append(api.wait_for(session, "STARTED"))
        seen += [one for one in api.list()["results"] if one["sessionid"] == session["sessionid"]]
    bridge_port.inward.send_all(numbers(3))
    for api, seen in zip(apis, answers):
        seen += [api.wait_end(session), api.terminate(session), api.restart(session), api.terminate(session)]
    answers[1].append(apis[1].delete(session))
    for seen, word in zip(answers, SHOWN[cappoint]):
        assert len(seen) >= 6
        assert {one["request"]["cappoint"] for one in seen} == {word}


def test_a_bridge_port_is_captured(client, bridge_port):
    session = client.started(bridge_port.near, cappoint="SEGMENTPORT", capamount=5)
    bridge_port.inward.send_all(numbers(5))
    session = client.wait_end(session)
    assert [number_of(data) for data in Pcap(session["filelocation"]).data()] == list(range(5))
    assert mac("02:00:00:00:00:01") == Pcap(session["filelocation"]).data()[0][:6]
