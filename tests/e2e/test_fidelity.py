"""A capture holds what tcpdump has of the same interface at the same time: every packet, byte for byte and in the same
order; whatever the kernel does with segments, checksums and tags on the way."""
import os
import socket
import subprocess
import threading

import pytest

from harness import sandbox
from harness.frames import mac, number_of, numbered, numbers, stream_of
from harness.judges import Pcap, Tcpdump
from harness.wait import SLOW, wait_until
from harness.wire import Sender

NANOSECONDS = "--time-stamp-precision=nano"
WHOLE_SEGMENTS = ("-s", "70000", "-B", "131072")  # with room for a thousand


class Both:
    """The service and tcpdump on one interface; what lies between the marks of begin() and end() is compared."""

    def __init__(self, client, interface, directory, filter_words=(), **fields):
        self.client, self.interface = client, interface
        self.session = client.started(interface, capduration=100, **fields)
        self.reference = Tcpdump(interface, directory / "reference.pcap", NANOSECONDS, *filter_words)
        self.reference.wait_until_it_listens()

    def stop(self, least, last=None):
        """Both as they are when each has got so many packets, and tcpdump the one with the number last: ([Packet] of the
        service, of tcpdump)."""
        wait_until(lambda: len(self.reference.read()) >= least, 10, f"{least} packets in tcpdump's file")
        wait_until(lambda: last is None or last in (number_of(one.data) for one in self.reference.read().packets), 10,
                   "the last packet in tcpdump's file", pause=0.1)
        wait_until(lambda: self.client.get(self.session)["runtime"]["packets_captured"] >= least, 10,
                   f"{least} packets in the capture")
        session = self.client.terminate(self.session)
        assert session["runtime"]["packets_dropped"] == 0
        return Pcap(session["filelocation"]).packets, self.reference.stop(least).packets


def assert_same(ours, reference):
    """The kernel stamps a sent packet once; a received one for each socket, a moment later."""
    assert [packet[1:] for packet in ours] == [packet[1:] for packet in reference]
    assert all(abs(a.ns - b.ns) < 100_000_000 * SLOW for a, b in zip(ours, reference))


def between_marks(packets):
    marks = [at for at, packet in enumerate(packets) if number_of(packet.data) in (BEGIN, END)]
    assert len(marks) == 2, marks
    return packets[marks[0] : marks[1] + 1]


BEGIN, END = 2**40, 2**40 + 1


def offloads(interface, on):
    """All that a veth has and can change."""
    state = "on" if on else "off"
    sandbox.run("ethtool", "-K", interface, *(word for name in ("tx", "sg", "tso", "gso", "gro", "txvlan", "rxvlan",
                                                                "tx-vlan-stag-hw-insert", "rx-vlan-stag-hw-parse")
                                              for word in (name, state)))


both_ways = pytest.mark.parametrize("on", [True, False], ids=["offloads on", "offloads off"])


# ---- frames as they stand ----

def tag(kind, number):
    return bytes.fromhex(kind) + number.to_bytes(2, "big")


def shapes(largest):
    """Whole frames of all sorts, numbered where there is room for that."""
    ethernet = mac("02:00:00:00:00:01") + mac("02:00:00:00:00:02")
    yield from (numbered(number, size) for number, size in enumerate(range(26, 61)))
    yield from (ethernet + bytes.fromhex("88b6") + bytes(range(size - 14)) for size in range(14, 60))  # runts
    yield from (numbered(100 + number, size) for number, size in enumerate((61, 64, 128, 1000, 1513, 1514, largest)))
    for number, tags in enumerate(([("8100", 5)], [("8100", 0)], [("8100", 0xEFFF)], [("88a8", 7)],
                                   [("88a8", 7), ("8100", 8)], [("8100", 1), ("8100", 2), ("8100", 3)], [("9100", 4)])):
        head = ethernet + b"".join(tag(*one) for one in tags)
        yield from (head + numbered(200 + number, size)[12:] for size in (30, 60, 400, largest - 4 * len(tags)))
    yield ethernet + bytes.fromhex("0003") + b"abc" + bytes(43)  # 802.3 with a length
    yield bytes.fromhex("ffffffffffff") + mac("02:00:00:00:00:02") + bytes.fromhex("0806") + bytes(46)
    yield bytes.fromhex("01005e000001") + mac("02:00:00:00:00:02") + bytes.fromhex("0800") + bytes.fromhex("45") * 50


def broken_tags():
    """The kernel drops these on the way in, before anyone sees them."""
    ethernet = mac("02:00:00:00:00:01") + mac("02:00:00:00:00:02")
    return [ethernet + bytes.fromhex(text)
            for text in ("8100", "810000", "81000005", "8100000508", "88a80005", "810000050800", "81000005080045")]


def test_frames_with_broken_tags(client, wire, tmp_path):
    both = Both(client, wire.near, tmp_path)
    for sender in (wire.inward, wire.outward):
        sender.send_all(broken_tags())
        sender.send(numbered(BEGIN))
    ours, reference = both.stop(len(broken_tags()) + 2)
    assert_same(ours, reference)
    assert [packet.data for packet in ours] == [numbered(BEGIN), *broken_tags(), numbered(BEGIN)]


@both_ways
@pytest.mark.parametrize("mtu", [1500, 9200])
@pytest.mark.parametrize("direction", ["INPUT", "OUTPUT", "DUAL"])
def test_frames_of_every_shape(client, make_wire, tmp_path, direction, mtu, on):
    wire = make_wire(mtu=mtu)
    for end in (wire.near, wire.far):
        offloads(end, on)
    frames = list(shapes(mtu + 14))
    words = {"INPUT": ("-Q", "in"), "OUTPUT": ("-Q", "out"), "DUAL": ()}[direction]
    both = Both(client, wire.near, tmp_path, words, direction=direction)
    senders = {"INPUT": [wire.inward], "OUTPUT": [wire.outward], "DUAL": [wire.inward, wire.outward]}[direction]
    for sender in senders:
        sender.send_all(frames)
    ours, reference = both.stop(len(frames) * len(senders))
    assert_same(ours, reference)
    assert direction != "OUTPUT" or ours == reference
    assert [packet.data for packet in ours] == frames * len(senders)


# ---- tags that are in the metadata, not in the frame ----

def vlan_interface(name, below, protocol):
    try:
        sandbox.ip(f"link add link {below} name {name} type vlan protocol {protocol} id 5",
                   f"link set {name} addrgenmode none arp off multicast off up")
    except AssertionError as problem:
        if "Unknown device type" in str(problem):
            pytest.skip("this kernel has no VLAN interfaces")
        raise


@both_ways
@pytest.mark.parametrize("protocol, kind", [("802.1Q", "8100"), ("802.1ad", "88a8")])
def test_tags_beside_the_frame(client, make_wire, tmp_path, protocol, kind, on):
    """Sent through a VLAN interface, the tag travels beside the frame, if the offloads let it."""
    wire = make_wire()
    for end in (wire.near, wire.far):
        offloads(end, on)
    names = [f"{end}.v" for end in (wire.near, wire.far)]
    for name, end in zip(names, (wire.near, wire.far)):
        vlan_interface(name, end, protocol)
    outward, inward = (Sender(name) for name in names)
    both = Both(client, wire.near, tmp_path)
    frames = [numbered(number, 60 + number) for number in range(50)]
    for frame in frames:
        outward.send(frame)
        inward.send(frame)
    ours, reference = both.stop(100)
    assert_same(ours, reference)
    tagged = [frame[:12] + tag(kind, 5) + frame[12:] for frame in frames]
    assert [packet.data for packet in ours] == [one for frame in tagged for one in (frame, frame)]
    outward.close()
    inward.close()


# ---- real TCP, which the kernel cuts and joins ----

@pytest.fixture
def host(wire):
    """A host of its own at the far end: wire.near has 10.99.0.1, the host 10.99.0.2."""
    process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
    place = f"/proc/{process.pid}/ns/net"
    wait_until(lambda: os.stat(place).st_ino != sandbox.here(), what="the host's network namespace")
    sandbox.ip(f"link set {wire.far} netns {process.pid}", f"link set {wire.near} arp on",
               f"address add 10.99.0.1/24 dev {wire.near}")
    yield ["nsenter", f"--net={place}"]
    process.kill()
    process.wait()
    wait_until(lambda: not os.path.exists(f"/sys/class/net/{wire.near}"), what="the end of the wire")


BYTES = 3_000_000
SEND = f"""
import socket
with socket.create_connection(("10.99.0.1", 9999)) as there:
    there.sendall(b"up" * {BYTES // 2})
    there.shutdown(socket.SHUT_WR)
    got = 0
    while piece := there.recv(1 << 20):
        got += len(piece)
assert got == {BYTES}, got
"""


def exchange(enter):
    """Both send to each other as fast as they can, over one connection."""
    with socket.create_server(("10.99.0.1", 9999)) as server:
        server.settimeout(10)
        other = subprocess.Popen([*enter, "/usr/bin/python3", "-c", SEND])
        there, _ = server.accept()
        with there:
            got = 0
            while piece := there.recv(1 << 20):
                got += len(piece)
            there.sendall(b"down" * (BYTES // 4))
        assert got == BYTES
        assert other.wait(10) == 0


@both_ways
def test_tcp_with_segments_joined_and_cut(client, wire, host, tmp_path, on):
    offloads(wire.near, on)
    sandbox.run(*host, "ethtool", "-K", wire.far, *(word for name in ("tx", "sg", "tso", "gso", "gro")
                                                  for word in (name, "on" if on else "off")))
    sandbox.run(*host, "ip", "address", "add", "10.99.0.2/24", "dev", wire.far)
    sandbox.run(*host, "ip", "link", "set", wire.far, "arp", "on", "up")
    wait_until(lambda: carrier(wire.near), what="the wire's carrier")
    both = Both(client, wire.near, tmp_path, WHOLE_SEGMENTS)
    wire.outward.send(numbered(BEGIN))
    exchange(host)
    wire.outward.send(numbered(END))
    ours, reference = both.stop(20, END)
    ours, reference = between_marks(ours), between_marks(reference)
    # TCP sends from whichever CPU the last acknowledgement came to: packets may change places on their way into a ring.
    assert sorted(packet[1:] for packet in ours) == sorted(packet[1:] for packet in reference)
    longest = max(packet.length for packet in ours)
    assert (longest > 10_000) if on else (longest <= 1514)
    assert sum(packet.length for packet in ours) > 2 * BYTES


def carrier(interface):
    with open(f"/sys/class/net/{interface}/operstate") as file:
        return file.read().strip() == "up"


# ---- loopback ----

def test_loopback(client, tmp_path):
    """Each packet once, of any size; a datagram that is larger than the MTU in fragments."""
    sizes = [*range(0, 40), 100, 1472, 9000, 65000, 65507]
    def datagrams():
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with datagrams() as there, datagrams() as here:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]
        both = Both(client, "lo", tmp_path, [*WHOLE_SEGMENTS, "udp", "port", str(port)], cappoint="VMKNIC",
                    options={"values": [{"name": "UDPPORT", "value": str(port)}]})
        for size in sizes:
            here.sendto(bytes(size), ("127.0.0.1", port))
            there.recv(1 << 16)
        ours, reference = both.stop(len(sizes))
    assert_same(ours, reference)
    assert [packet.length for packet in ours] == [14 + 20 + 8 + size for size in sizes]


# ---- several CPUs at once ----

def flood(interface, cpu, stream, count):
    os.sched_setaffinity(0, {cpu})  # of this thread alone
    sender = Sender(interface)
    sender.send_all(numbers(count, stream=stream))
    sender.close()


def test_each_cpu_in_order(client, wire, tmp_path):
    """Packets of one CPU are in the order of their timestamps, and in that of tcpdump; those of several CPUs may
    change places with each other on their way into a ring."""
    cpus = sorted(os.sched_getaffinity(0))
    count = 3000
    both = Both(client, wire.near, tmp_path, ["-s", "256"])  # more room for packets in tcpdump's ring
    senders = [threading.Thread(target=flood, args=(wire.far, cpu, stream, count)) for stream, cpu in enumerate(cpus)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    ours, reference = both.stop(count * len(cpus))
    for stream in range(len(cpus)):
        mine, theirs = ([packet for packet in packets if stream_of(packet.data) == stream]
                        for packets in (ours, reference))
        assert_same(mine, theirs)
        assert [number_of(packet.data) for packet in mine] == list(range(count))
        assert all(a.ns <= b.ns for a, b in zip(mine, mine[1:]))
