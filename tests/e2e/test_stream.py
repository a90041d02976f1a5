"""capmode STREAM: what the collector gets, and what is said when it does not."""
import fcntl
import os
import re
import socket
import struct
import time

import pytest
from scapy.all import Dot1Q, Ether, IP, IPv6, Raw, TCP, UDP

from harness import sandbox
from harness.blind import intervals
from harness.client import Refused
from harness.collector import Collector, GRE_IPV4
from harness.frames import Background, FAR, NEAR, number_of, numbered, numbers
from harness.judges import Tcpdump
from harness.wait import SLOW, often_enough_within, wait_until

IP_HEADER = {False: 20, True: 40}
OVERHEAD = 12  # UDP and GRE


@pytest.fixture
def make_collector():
    made = []

    def make(**named):
        made.append(Collector(**named))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture(params=[False, True], ids=["ipv4", "ipv6"])
def collector(request, make_collector):
    return make_collector(ipv6=request.param)


def stream(client, interface, collector, **fields):
    return client.started(interface, capmode="STREAM", streamaddress=getattr(collector, "address", collector),
                          **{"capduration": 60, **fields})


def counters(session):
    return [session["runtime"][f"packets_{name}"] for name in ("streamed", "unsent", "fragmented")]


def wait_for_counters(client, session, condition, timeout=5):
    return wait_until(lambda: condition(*counters(client.get(session))) and client.get(session), timeout,
                      f"the counters; {counters(client.get(session))}")


def check_stopped(client, session, given):
    """Terminates; every packet must be accounted for."""
    session = client.terminate(session)
    assert session["sessionstatus"] == "STOPPED" and session["stop_reason"] == "TERMINATED"
    streamed, unsent, _ = counters(session)
    assert streamed + unsent == given and session["runtime"]["packets_captured"] == streamed
    assert session["filesize"] == session["filesize_bytes"] == 0 and "filelocation" not in session
    return session


def conversation():
    """Flows of several kinds, mixed."""
    head, frames = Ether(src=FAR, dst=NEAR), []
    for i in range(40):
        port = 1000 + i % 4
        frames += [
            head / IP(src="198.18.0.1", dst="198.18.0.2") / UDP(sport=port, dport=53) / Raw(bytes([i]) * (20 + i)),
            head / IP(src="198.18.0.1", dst="198.18.0.2") / TCP(sport=port, dport=80, seq=i) / Raw(bytes([i]) * 700),
            head / IPv6(src="fd01::1", dst="fd01::2") / UDP(sport=port, dport=53) / Raw(bytes([i]) * 33),
            head / Dot1Q(vlan=7) / IP(src="198.18.0.3", dst="198.18.0.4") / UDP(sport=port, dport=7) / Raw(b"tag"),
            numbered(i, 60 + 7 * i),
        ]
    return [bytes(frame) for frame in frames]


def tshark(path, *fields):
    words = [word for field in fields for word in ("-e", field)]
    lines = sandbox.run("tshark", "-n", "-r", str(path), "-o", "udp.check_checksum:TRUE", "-Y", "gre", "-T", "fields",
                        "-E", "occurrence=f", *words).splitlines()
    return [line.split("\t") for line in lines]


def payloads(pcap, ipv6):
    """The frames within an unfragmented stream, as they passed the collector's interface."""
    return [packet.data[14 + IP_HEADER[ipv6] + OVERHEAD :] for packet in pcap.packets]


def test_the_collector_sees_what_tcpdump_sees(client, make_wire, collector, tmp_path):
    wire, frames = make_wire(), conversation()
    collector.listen()
    arriving = collector.tcpdump(tmp_path / "collector.pcap", "-s", "2000", "udp")
    reference = Tcpdump(wire.near, tmp_path / "reference.pcap", "-s", "2000")
    reference.wait_until_it_listens()
    session = stream(client, wire.near, collector)
    for frame in frames:
        wire.inward.send(frame)
        wire.outward.send(frame)
    wait_for_counters(client, session, lambda streamed, *_: streamed == 2 * len(frames))
    check_stopped(client, session, 2 * len(frames))
    seen, arrived = reference.stop(2 * len(frames)), arriving.stop(2 * len(frames))
    assert payloads(arrived, collector.ipv6) == seen.data() and len(seen) == 2 * len(frames)

    rows = tshark(tmp_path / "collector.pcap", "udp.srcport", "udp.dstport", "udp.checksum.status", "gre.proto",
                  "gre.flags_and_version", "frame.protocols")
    assert len(rows) == len(arrived)
    for source, port, good, protocol, flags, protocols in rows:
        assert 49152 <= int(source) and (port, good) == ("4754", "1")
        assert int(protocol, 16) == 0x6558 and int(flags, 16) == 0
        assert re.match(r"eth:ethertype:ipv?6?:udp:gre:eth", protocols)


def test_a_flow_keeps_its_source_port(client, make_wire, collector):
    wire, frames = make_wire(), conversation()
    listener = collector.listen()
    session = stream(client, wire.near, collector)
    wire.inward.send_all(frames)
    listener.wait_for(len(frames))
    check_stopped(client, session, len(frames))
    flows = {}
    for frame, port in zip(listener.frames(), listener.ports):
        packet = Ether(frame)
        inner = packet.getlayer(UDP) or packet.getlayer(TCP)
        flows.setdefault((packet.type, type(inner), inner and inner.sport), set()).add(port)
    assert len(flows) == 17 and all(len(ports) == 1 for ports in flows.values())
    assert len(set.union(*flows.values())) > 10


def test_another_port(client, make_wire, collector):
    wire, listener = make_wire(), collector.listen(5555)
    session = stream(client, wire.near, collector, streamport=5555)
    frames = list(numbers(50))
    wire.inward.send_all(frames)
    assert listener.wait_for(50) == frames
    check_stopped(client, session, 50)


def test_frames_beyond_the_path_arrive_whole(client, make_wire, collector):
    wire, listener = make_wire(mtu=9000), collector.listen()
    fits = 1500 - IP_HEADER[collector.ipv6] - OVERHEAD
    sizes = [60, fits - 1, fits, fits + 1, 1514, 2000, 9014] * 10
    frames = [numbered(i, size)[: size - 1] + bytes([i]) for i, size in enumerate(sizes)]
    session = stream(client, wire.near, collector)
    wire.inward.send_all(frames)
    assert listener.wait_for(len(frames)) == frames
    session = check_stopped(client, session, len(frames))
    assert counters(session) == [70, 0, sum(size > fits for size in sizes)] and "errormsg" not in session


def test_a_path_that_becomes_narrow(client, make_wire, collector):
    wire, listener = make_wire(), collector.listen()
    session = stream(client, wire.near, collector)
    wire.inward.send(numbered(0, 1400))
    listener.wait_for(1)
    assert counters(wait_for_counters(client, session, lambda streamed, *_: streamed == 1)) == [1, 0, 0]
    sandbox.ip(f"link set {collector.near} mtu 1300")

    def fragmented():
        wire.inward.send(numbered(1, 1400))
        return counters(client.get(session))[2] > 0

    wait_until(fragmented, what="the stream to know the new MTU", pause=0.1)
    assert client.terminate(session)["runtime"]["packets_unsent"] == 0


def test_what_no_packet_holds_is_told(client, make_wire, collector):
    wire, listener = make_wire(mtu=65535), collector.listen()
    most = (65535 if collector.ipv6 else 65535 - 20) - OVERHEAD
    session = stream(client, wire.near, collector)
    frames = [numbered(i, size) for i, size in enumerate((100, most, most + 1, 65549, 100))]
    for count, frame in enumerate(frames):
        wire.inward.send(frame)
        wait_for_counters(client, session, lambda streamed, unsent, _: streamed + unsent == count + 1)
    assert listener.wait_for(3) == [frames[0], frames[1], frames[4]]
    session = check_stopped(client, session, 5)
    assert counters(session) == [3, 2, 1]
    assert f"packets for the stream's collector {collector.address} port 4754 are larger" in session["errormsg"]


def test_an_interface_without_ethernet(client, make_collector):
    """tun: GRE says which IP it is."""
    collector = make_collector()
    listener = collector.listen()
    tun = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"tunnel0", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
        sandbox.ip("address add 198.18.9.1/24 dev tunnel0", "link set tunnel0 up")
        session = stream(client, "tunnel0", collector, cappoint="VMKNIC")
        packet = bytes(IP(src="198.18.9.2", dst="198.18.9.9") / UDP(sport=7, dport=9) / Raw(b"in a tunnel"))
        os.write(tun, packet)
        wait_until(listener.read, what="the packet")
        assert listener.payloads == [GRE_IPV4 + packet]
        check_stopped(client, session, 1)
    finally:
        os.close(tun)


# ---- collectors that are not there ----


def test_a_collector_that_does_not_listen(client, make_wire, collector):
    wire = make_wire()
    session = stream(client, wire.near, collector, capamount=200)
    for frame in numbers(100):
        wire.inward.send(frame)
    session = wait_until(lambda: "errormsg" in client.get(session) and client.get(session), what="errormsg")
    assert session["sessionstatus"] == "STARTED"
    wire.inward.send_all(numbers(100, 100))
    session = client.wait_end(session)
    streamed, unsent, _ = counters(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("FINISHED", "PACKET_COUNT")
    assert streamed + unsent == 200 and unsent > 0
    assert re.fullmatch(rf"the stream's collector {collector.address} port 4754 does not answer: port unreachable "
                        r"\(ICMP\), since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", session["errormsg"])


def test_one_packet_and_nobody_there(client, make_wire, collector):
    """Not even a second packet is needed to notice, nor does the end come too early for it."""
    wire = make_wire()
    waiting = stream(client, wire.near, collector)
    ending = stream(client, wire.near, collector, capamount=1)
    wire.inward.send(numbered(0))
    wait_until(lambda: counters(client.get(waiting)) == [0, 1, 0], what="the answer")
    session = client.wait_end(ending)
    assert counters(session) == [0, 1, 0] and "port unreachable" in session["errormsg"]
    assert session["runtime"]["bytes_captured"] == 0
    wait_until(lambda: "port unreachable" in client.get(waiting).get("errormsg", ""), what="errormsg")
    check_stopped(client, waiting, 1)


def test_each_stream_counts_its_own(client, make_wire):
    """On the loopback interface, where ICMP answers are not rationed: every packet is known to have been in vain, and
    both sockets hear of all of them."""
    wires = [make_wire(), make_wire()]
    sessions = [stream(client, wire.near, "127.0.0.1") for wire in wires]
    for number in range(120):
        wires[0].inward.send(numbered(number))
        if number % 3 == 0:
            wires[1].inward.send(numbered(number))
    for session, given in zip(sessions, (120, 40)):
        wait_for_counters(client, session, lambda streamed, unsent, _: streamed + unsent == given)
        session = check_stopped(client, session, given)
        assert counters(session) == [0, given, 0]


def test_a_collector_that_comes_later(client, make_wire, collector):
    wire = make_wire()
    session = stream(client, wire.near, collector)
    wire.inward.send_all(numbers(10))
    wait_for_counters(client, session, lambda streamed, unsent, _: unsent > 0 and streamed + unsent == 10)
    listener = collector.listen()
    frames = list(numbers(100, 10))
    wire.inward.send_all(frames)
    assert listener.wait_for(100) == frames
    session = check_stopped(client, session, 110)
    assert "does not answer" in session["errormsg"] and counters(session)[0] >= 100


def test_nobody_has_the_address(client, make_wire, make_collector):
    """The kernel says so when its ARP requests have gone unanswered, some three seconds later."""
    collector, wire = make_collector(), make_wire()
    session = stream(client, wire.near, collector.address.rsplit(".", 1)[0] + ".77")
    wire.inward.send_all(numbers(10))
    session = wait_for_counters(client, session, lambda streamed, unsent, _: unsent == 10, timeout=8)
    assert "host unreachable (ICMP)" in check_stopped(client, session, 10)["errormsg"]


@pytest.mark.parametrize("address, why", [
    ("198.51.100.1", "Network is unreachable"),
    ("2001:db8::1", "this host has no address to send from"),  # IPv6 is off here but for the tests' collectors
])
def test_no_route_at_all(daemon, make_wire, address, why):
    daemon.expect_log("ERROR STREAM_UNREACHABLE")
    session = daemon.client.create(make_wire().near, capmode="STREAM", streamaddress=address)
    session = daemon.client.wait_end(session)
    assert (session["sessionstatus"], session["stop_reason"]) == ("ERROR", "STREAM_UNREACHABLE")
    assert f"the stream's collector {address} cannot be reached: {why}" in session["errormsg"]


def test_no_route_any_more(daemon, make_wire, collector):
    client, wire = daemon.client, make_wire()
    listener = collector.listen()
    session = stream(client, wire.near, collector)
    wire.inward.send_all(numbers(10))
    listener.wait_for(10)
    sandbox.ip(f"link set {collector.near} down")
    wire.inward.send_all(numbers(10, 10))
    session = wait_for_counters(client, session, lambda streamed, unsent, _: (streamed, unsent) == (10, 10))
    wait_until(lambda: "cannot be sent" in client.get(session).get("errormsg", ""), what="errormsg")
    sandbox.ip(f"link set {collector.near} up",
               *([f"address replace {collector.local}/64 dev {collector.near} nodad"] if collector.ipv6 else []))
    wait_until(lambda: not collector_lost(wire, listener), what="the stream to go on")
    assert client.terminate(session)["sessionstatus"] == "STOPPED"


def collector_lost(wire, listener):
    before = len(listener.read())
    wire.inward.send(numbered(99))
    time.sleep(0.1)  # its way takes less; the caller tries again
    return len(listener.read()) == before


def test_the_source_address_changes(client, make_wire, make_collector):
    """As a new DHCP lease would: the stream goes on from the new address, with right checksums."""
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(client, wire.near, collector)
    wire.inward.send(numbered(0))
    listener.wait_for(1)
    network = collector.local.rsplit(".", 1)[0]
    sandbox.ip(f"address del {collector.local}/24 dev {collector.near}",
               f"address add {network}.7/24 dev {collector.near}")
    wait_until(lambda: not collector_lost(wire, listener), what="the stream to go on")
    assert client.terminate(session)["sessionstatus"] == "STOPPED"


# ---- networks that are slow ----


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["3000", "100mb"], ids=["the queue is full", "the socket is full"])
def test_a_stuck_path_holds_up_nothing(client, make_wire, make_collector, limit):
    collector, wire = make_collector(), make_wire()
    collector.listen()
    sandbox.run("tc", "qdisc", "add", "dev", collector.near, "root", "tbf", "rate", "8kbit", "burst", "2000", "limit",
                limit)
    session = stream(client, wire.near, collector)
    wire.inward.send_all(numbers(20000, size=1000))
    began = time.monotonic()
    session = client.terminate(session)
    took = time.monotonic() - began
    assert session["sessionstatus"] == "STOPPED" and took < 1.5 * SLOW
    streamed, unsent, _ = counters(session)
    assert streamed + unsent + session["runtime"]["packets_dropped"] == 20000 and unsent > 0
    assert "is slower than the stream" in session["errormsg"]


def test_packets_come_soon(client, make_wire, make_collector):
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(client, wire.near, collector)
    count = 0

    def measure():
        nonlocal count
        times = []
        for _ in range(15):
            began = time.monotonic()
            wire.inward.send(numbered(count))
            count += 1
            wait_until(lambda: len(listener.read()) == count, pause=0.001)
            times.append(time.monotonic() - began)
        return times

    often_enough_within(0.06, measure)
    check_stopped(client, session, count)


# ---- the session ----


def test_there_is_no_file(client, make_wire, make_collector):
    collector, wire = make_collector(), make_wire()
    session = stream(client, wire.near, collector)
    with pytest.raises(Refused) as refused:
        client.download(session)
    assert refused.value.status == 404 and "STREAM" in refused.value.message
    check_stopped(client, session, 0)
    again = client.wait_for(client.restart(session), "STARTED")
    assert again["runtime"]["run"] == 2
    check_stopped(client, again, 0)
    client.delete(session)


def test_limits_apply(client, make_wire, make_collector):
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(client, wire.near, collector, capamount=3000, capsnaplen=700)
    wire.inward.send_all(numbers(3500, size=1000))
    session = client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT" and counters(session) == [3000, 0, 0]
    assert session["runtime"]["bytes_captured"] == 3000 * 700
    assert listener.wait_for(3000) == [frame[:700] for frame in numbers(3000, size=1000)]


@pytest.mark.slow
def test_a_killed_worker(daemon, make_wire, make_collector):
    """The next one goes on, to the same collector, with the same counters."""
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(daemon.client, wire.near, collector, capduration=100)
    with Background(wire.inward, rate=1000) as traffic:
        before = wait_for_counters(daemon.client, session, lambda streamed, *_: streamed > 300)
        daemon.kill("worker")
        wait_until(lambda: counters(daemon.client.get(session))[0] > counters(before)[0] + 1000, 30, "the next worker")
    wait_until(lambda: number_of(listener.frames()[-1]) == traffic.sent - 1, what="the last packet")
    session = daemon.client.terminate(session)
    assert session["sessionstatus"] == "STOPPED" and len(intervals(session)) == 1
    arrived = [number_of(frame) for frame in listener.frames()]
    assert arrived == sorted(set(arrived))
    # What the killed one sent after its last report nobody counted.
    assert counters(session)[0] <= len(arrived) <= counters(session)[0] + 1500 and counters(session)[1] == 0


@pytest.mark.slow
def test_a_service_that_is_restarted(daemon, make_wire, make_collector):
    """An orderly hand-over loses no count."""
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(daemon.client, wire.near, collector, capduration=100, capamount=150)
    wire.inward.send_all(numbers(100))
    listener.wait_for(100)
    daemon.stop()
    daemon.start()
    wait_until(lambda: len(intervals(daemon.client.get(session))) == 1, what="the next worker")
    wire.inward.send_all(numbers(100, 100))
    session = daemon.client.wait_end(session)
    assert session["stop_reason"] == "PACKET_COUNT" and counters(session) == [150, 0, 0]
    assert listener.wait_for(150) == list(numbers(150))


@pytest.mark.slow
def test_a_full_disk_does_not_matter(make_daemon, make_wire, make_collector):
    daemon = make_daemon("--ring-mb", "8", "--disk-reserve-mb", "100000000").start()
    collector, wire = make_collector(), make_wire()
    listener = collector.listen()
    session = stream(daemon.client, wire.near, collector)
    wire.inward.send_all(numbers(10))
    listener.wait_for(10)
    check_stopped(daemon.client, session, 10)


def test_the_streams_packets_are_marked(client, make_wire, collector):
    """By that mark captures, and the host's own rules, tell them from other traffic."""
    wire, listener = make_wire(), collector.listen()
    sandbox.run("nft", "-f", "-", input="""table inet marks {
        chain out { type filter hook output priority 0; oifname "%s" meta mark and 0x7fff0000 == 0x706b0000 counter; }
    }""" % collector.near)
    try:
        session = stream(client, wire.near, collector)
        wire.inward.send_all(numbers(30))
        listener.wait_for(30)
        assert "counter packets 30 " in sandbox.run("nft", "list", "table", "inet", "marks")
        check_stopped(client, session, 30)
    finally:
        sandbox.run("nft", "delete", "table", "inet", "marks")


def test_a_stream_leaves_its_own_packets_out(client, make_collector):
    """Else each packet would beget another."""
    collector = make_collector()
    collector.listen()
    session = stream(client, collector.near, collector, capamount=300, capduration=2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(20):
            sender.sendto(b"%d" % number, (collector.address, 9999))
    session = client.wait_end(session, timeout=10)
    assert session["stop_reason"] == "DURATION" and 20 <= counters(session)[0] < 60
