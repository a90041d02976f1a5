"""Every filter option, on packets without a tag, with one and with two, received and sent.

All cases capture at the same time while one set of frames passes; each test then looks at the file of its case. What
a case should hold is said twice: by a predicate on what the frames were made from, and, where there is one, by a
pcap-filter expression that tcpdump captures with on the same interface at the same time.
"""
import socket
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from harness import sandbox
from harness.frames import numbers
from harness.judges import Pcap, Tcpdump, tshark_count
from harness.wire import Sender

# ---- the frames ----

Frame = namedtuple("Frame", "name tags data smac dmac ethertype source target protocol ports")
ALICE, BOB, CAROL = "02:00:00:00:0a:01", "02:00:00:00:0b:02", "02:00:00:00:0c:03"
ABSENT = (None, None)


def base_frames():
    """name: (source MAC, destination MAC, packet, EtherType, addresses, protocol, (source port, target port))"""
    return {
        "tcp4": (ALICE, BOB, IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=1111, dport=80, flags="S"),
                 0x800, ("10.0.0.1", "10.0.0.2"), 6, (1111, 80)),
        "tcp4 back": (BOB, ALICE, IP(src="10.0.0.2", dst="10.0.0.1") / TCP(sport=80, dport=1111, flags="SA"),
                      0x800, ("10.0.0.2", "10.0.0.1"), 6, (80, 1111)),
        "udp4": (ALICE, CAROL, IP(src="10.0.0.1", dst="10.1.0.3") / UDP(sport=53, dport=80),
                 0x800, ("10.0.0.1", "10.1.0.3"), 17, (53, 80)),
        "udp4 options": (BOB, CAROL, IP(src="10.0.0.2", dst="10.1.0.3", options=b"\x94\x04\0\0") / UDP(sport=9, dport=53),
                         0x800, ("10.0.0.2", "10.1.0.3"), 17, (9, 53)),
        "icmp4": (CAROL, ALICE, IP(src="10.1.0.3", dst="10.0.0.1") / ICMP(),
                  0x800, ("10.1.0.3", "10.0.0.1"), 1, ABSENT),
        # Not the first fragment: what stands where ports would is data.
        "fragment": (ALICE, BOB, IP(src="10.0.0.1", dst="10.0.0.2", frag=100, proto=17) / Raw(b"\0\x35\0\x50" * 8),
                     0x800, ("10.0.0.1", "10.0.0.2"), 17, ABSENT),
        "tcp6": (ALICE, BOB, IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1111, dport=80),
                 0x86DD, ("2001:db8::1", "2001:db8::2"), 6, (1111, 80)),
        "udp6": (BOB, ALICE, IPv6(src="2001:db8::2", dst="2001:db8:1::3") / UDP(sport=53, dport=5353),
                 0x86DD, ("2001:db8::2", "2001:db8:1::3"), 17, (53, 5353)),
        "icmp6": (CAROL, BOB, IPv6(src="2001:db8:1::3", dst="2001:db8::2") / ICMPv6EchoRequest(),
                  0x86DD, ("2001:db8:1::3", "2001:db8::2"), 58, ABSENT),
        "hop-by-hop": (CAROL, BOB, IPv6(src="2001:db8:1::3", dst="2001:db8::9") / IPv6ExtHdrHopByHop() / ICMPv6EchoRequest(),
                       0x86DD, ("2001:db8:1::3", "2001:db8::9"), 0, ABSENT),
        "arp": (ALICE, "ff:ff:ff:ff:ff:ff", ARP(psrc="10.0.0.1", pdst="10.0.0.2", hwsrc=ALICE),
                0x806, ABSENT, None, ABSENT),
        "lldp": (BOB, "01:80:c2:00:00:0e", Raw(b"\x02\x07\x04" + b"\0" * 40), 0x88CC, ABSENT, None, ABSENT),
    }


TAGGINGS = {
    "untagged": (),
    "tag 10": ((0x8100, 10),),
    "priority tag": ((0x8100, 0),),
    "802.1ad 20, tag 10": ((0x88A8, 20), (0x8100, 10)),
    "tag 30, tag 40": ((0x8100, 30), (0x8100, 40)),
}


def build(smac, dmac, packet, ethertype, tags):
    """The bytes of a frame; scapy fills in the types of what it knows, we those of tags and the rest."""
    types = [kind for kind, _ in tags] + [ethertype]
    frame = Ether(src=smac, dst=dmac, type=types[0])
    for number, (kind, vlan) in enumerate(tags):
        layer = Dot1AD if kind == 0x88A8 else Dot1Q
        frame = frame / layer(vlan=vlan, type=types[number + 1])
    data = bytes(frame / packet)
    return data + bytes(max(0, 64 - len(data)))


def all_frames():
    made = []
    for name, (smac, dmac, packet, ethertype, (source, target), protocol, ports) in base_frames().items():
        for tagging, tags in TAGGINGS.items():
            data = build(smac, dmac, packet, ethertype, tags)
            made.append(Frame(f"{name}, {tagging}", tags, data, smac, dmac, ethertype, source, target, protocol, ports))
    assert len({frame.data for frame in made}) == len(made)
    return made


FRAMES = all_frames()
NAMES = {frame.data: frame.name for frame in FRAMES}

# ---- the cases ----


def v4(frame):
    return frame.ethertype == 0x800


def v6(frame):
    return frame.ethertype == 0x86DD


def inside(address, prefix):
    return address is not None and address.startswith(prefix)


def carries(frame, port, side=None, protocols=(6, 17)):
    if frame.protocol not in protocols:
        return False
    return port in (frame.ports if side is None else frame.ports[side : side + 1])


def vlans(frame):
    return [vlan for _, vlan in frame.tags]


def types(frame):
    """What ETHTYPE may match: the packet's own type, and those of its tags."""
    return [kind for kind, _ in frame.tags] + [frame.ethertype]


def any_depth(expression):
    """For tcpdump: untagged, tagged and double-tagged."""
    return f"({expression}) or (vlan and (({expression}) or (vlan and ({expression}))))"


# name: (options, predicate, tcpdump expression or None)
OPTION_CASES = {
    # No reference: with the outer tag in the metadata, libpcap 1.10.3's code for this takes tagged ARP for IP.
    "ETHTYPE IPv4": ([("ETHTYPE", "0x0800")], v4, None),
    "ETHTYPE IPv6": ([("ETHTYPE", "0x86dd")], v6, any_depth("ether proto 0x86dd")),
    "ETHTYPE IPv6 in upper case": ([("ETHTYPE", "0x86DD")], v6, None),
    "ETHTYPE ARP": ([("ETHTYPE", "0x806")], lambda f: f.ethertype == 0x806, any_depth("arp")),
    "ETHTYPE LLDP": ([("ETHTYPE", "0x88cc")], lambda f: f.ethertype == 0x88CC, any_depth("ether proto 0x88cc")),
    "ETHTYPE 802.1Q": ([("ETHTYPE", "0x8100")], lambda f: 0x8100 in types(f), None),
    "ETHTYPE 802.1ad": ([("ETHTYPE", "0x88a8")], lambda f: 0x88A8 in types(f), None),
    "ETHTYPE of nothing": ([("ETHTYPE", "0x1234")], lambda f: False, any_depth("ether proto 0x1234")),
    "MAC": ([("MAC", ALICE)], lambda f: ALICE in (f.smac, f.dmac), f"ether host {ALICE}"),
    "MAC in upper case with dashes": ([("MAC", ALICE.upper().replace(":", "-"))],
                                      lambda f: ALICE in (f.smac, f.dmac), None),
    "SRCMAC": ([("SRCMAC", BOB)], lambda f: f.smac == BOB, f"ether src {BOB}"),
    "DSTMAC": ([("DSTMAC", BOB)], lambda f: f.dmac == BOB, f"ether dst {BOB}"),
    "VLAN outer": ([("VLAN", "20")], lambda f: 20 in vlans(f), "vlan 20"),
    "VLAN outer or inner": ([("VLAN", "10")], lambda f: 10 in vlans(f), "vlan 10 or (vlan 10)"),
    "VLAN inner": ([("VLAN", "40")], lambda f: 40 in vlans(f), "vlan and vlan 40"),
    "VLAN of nothing": ([("VLAN", "4094")], lambda f: False, "vlan 4094"),
    "VLAN and IP": ([("VLAN", "20"), ("IP", "10.0.0.1")],
                    lambda f: 20 in vlans(f) and "10.0.0.1" in (f.source, f.target), None),
    "IP": ([("IP", "10.0.0.1")], lambda f: v4(f) and "10.0.0.1" in (f.source, f.target), any_depth("ip host 10.0.0.1")),
    "IP prefix": ([("IP", "10.1.0.0/16")], lambda f: v4(f) and (inside(f.source, "10.1.") or inside(f.target, "10.1.")),
                  any_depth("ip net 10.1.0.0/16")),
    "IP prefix with host bits": ([("IP", "10.1.0.3/16")],
                                 lambda f: v4(f) and (inside(f.source, "10.1.") or inside(f.target, "10.1.")), None),
    "IP any": ([("IP", "0.0.0.0/0")], v4, None),
    "SRCIP": ([("SRCIP", "10.0.0.1")], lambda f: f.source == "10.0.0.1", any_depth("ip src host 10.0.0.1")),
    "DSTIP": ([("DSTIP", "10.0.0.1")], lambda f: f.target == "10.0.0.1", any_depth("ip dst host 10.0.0.1")),
    "DSTIP prefix": ([("DSTIP", "10.0.0.0/24")], lambda f: inside(f.target, "10.0.0."), None),
    "IPPROTO hexadecimal": ([("IPPROTO", "0x06")], lambda f: v4(f) and f.protocol == 6, any_depth("ip proto 6")),
    "IPPROTO decimal": ([("IPPROTO", "17")], lambda f: v4(f) and f.protocol == 17, any_depth("ip proto 17")),
    "IPPROTO ICMP": ([("IPPROTO", "1")], lambda f: v4(f) and f.protocol == 1, any_depth("icmp")),
    "PORT": ([("PORT", "80")], lambda f: carries(f, 80), any_depth("tcp port 80 or udp port 80")),
    "SRCPORT": ([("SRCPORT", "80")], lambda f: carries(f, 80, 0), any_depth("src port 80")),
    "DSTPORT": ([("DSTPORT", "80")], lambda f: carries(f, 80, 1), any_depth("dst port 80")),
    "PORT and IPPROTO": ([("PORT", "80"), ("IPPROTO", "0x06")],
                         lambda f: v4(f) and carries(f, 80, protocols=(6,)), any_depth("ip and tcp port 80")),
    "UDPPORT": ([("UDPPORT", "53")], lambda f: carries(f, 53, protocols=(17,)), any_depth("udp port 53")),
    "SRCUDPPORT": ([("SRCUDPPORT", "53")], lambda f: carries(f, 53, 0, (17,)), any_depth("udp src port 53")),
    "DSTUDPPORT": ([("DSTUDPPORT", "53")], lambda f: carries(f, 53, 1, (17,)), any_depth("udp dst port 53")),
    "IP6": ([("IP6", "2001:db8::2")], lambda f: "2001:db8::2" in (f.source, f.target),
            any_depth("ip6 host 2001:db8::2")),
    "IP6 prefix": ([("IP6", "2001:db8:1::/48")],
                   lambda f: inside(f.source, "2001:db8:1:") or inside(f.target, "2001:db8:1:"),
                   any_depth("ip6 net 2001:db8:1::/48")),
    "SRCIP6": ([("SRCIP6", "2001:db8::2")], lambda f: f.source == "2001:db8::2", any_depth("ip6 src host 2001:db8::2")),
    "DSTIP6": ([("DSTIP6", "2001:DB8:0::2")], lambda f: f.target == "2001:db8::2", None),
    "IPPROTO6 TCP": ([("IPPROTO6", "6")], lambda f: v6(f) and f.protocol == 6, None),
    "IPPROTO6 UDP": ([("IPPROTO6", "0x11")], lambda f: v6(f) and f.protocol == 17, None),
    "one name twice": ([("SRCPORT", "53"), ("SRCPORT", "1111")],
                       lambda f: carries(f, 53, 0) or carries(f, 1111, 0), any_depth("src port 53 or src port 1111")),
    "different names": ([("SRCMAC", ALICE), ("DSTIP", "10.0.0.2"), ("DSTPORT", "80")],
                        lambda f: f.smac == ALICE and f.target == "10.0.0.2" and carries(f, 80, 1), None),
    "three of one and one of another": ([("IP", "10.0.0.2"), ("IP", "10.9.9.9"), ("IPPROTO", "6"), ("IP", "10.1.0.0/24")],
                                        lambda f: v4(f) and f.protocol == 6, None),
    "nothing": ([], lambda f: True, ""),
}

# name: (capexpression, options, predicate or None where only tcpdump judges)
EXPRESSION_CASES = {
    "expression": ("tcp port 80", [], lambda f: not f.tags and carries(f, 80, protocols=(6,))),
    "expression with vlan": ("vlan 10 and ip", [], None),
    "expression with two tags": ("vlan and vlan and ip6", [], None),
    "expression on length": ("greater 74", [], None),
    "expression on flags": ("tcp[tcpflags] & tcp-syn != 0", [], None),
    "expression on multicast": ("ether multicast", [], lambda f: f.dmac[1] in "1f"),
    "expression with a range": ("portrange 50-60", [], None),
    "negated expression": ("not (ip or ip6 or arp)", [], None),
    "expression and option": ("ether src " + ALICE, [("PORT", "80")], lambda f: f.smac == ALICE and carries(f, 80)),
    "expression that cannot be with an option": ("arp", [("PORT", "80")], lambda f: False),
}


def without_stripped(predicate, direction):
    """As an expression stands, tags are not transparent in it; but the kernel took the outer one off already
    where packets are received, so there it sees one tag fewer."""
    if predicate is EXPRESSION_CASES["expression"][2] and direction == "received":
        return lambda f: len(f.tags) <= 1 and carries(f, 80, protocols=(6,))
    return predicate


# ---- the two runs ----


@pytest.fixture(scope="module")
def filter_daemon(make_shared_daemon):
    return make_shared_daemon("--ring-mb", "1").start()


class Run:
    """All cases at once on one wire."""

    def __init__(self, daemon, wire, direction, directory):
        self.client, self.wire, self.directory = daemon.client, wire, directory
        self.sender = wire.inward if direction == "received" else wire.outward
        created = {name: self.create(options) for name, (options, _, _) in OPTION_CASES.items()}
        created |= {name: self.create(options, text) for name, (text, options, _) in EXPRESSION_CASES.items()}
        references = {name: self.reference(name, text) for name, text in self.texts()}
        for session in created.values():
            self.client.wait_for(session, "STARTED")
        for dump in references.values():
            dump.wait_until_it_listens()
        self.sender.send_all(frame.data for frame in FRAMES)
        with ThreadPoolExecutor(8) as several:
            self.files = dict(zip(created, several.map(self.close, created.values())))
        self.references = {name: dump.stop(len(self.files[name])).data() for name, dump in references.items()}

    @staticmethod
    def texts():
        yield from ((name, text) for name, (_, _, text) in OPTION_CASES.items() if text is not None)
        yield from ((name, text) for name, (text, options, _) in EXPRESSION_CASES.items() if not options)

    def create(self, options, expression=None):
        values = {"values": [{"name": name, "value": value} for name, value in options]}
        return self.client.create(self.wire.near, capduration=120, options=values, capexpression=expression)

    def reference(self, name, text):
        return Tcpdump(self.wire.near, self.directory / f"{name}.pcap", *([text] if text else []))

    def close(self, session):
        session = self.client.terminate(session)
        assert session["runtime"]["packets_dropped"] == 0
        return Pcap(session["filelocation"]).data()


@pytest.fixture(scope="module")
def received(filter_daemon, make_shared_wire, tmp_path_factory):
    """The frames come in: the kernel strips the outer tag into metadata before the tap."""
    return Run(filter_daemon, make_shared_wire(), "received", tmp_path_factory.mktemp("received"))


@pytest.fixture(scope="module")
def sent(filter_daemon, make_shared_wire, tmp_path_factory):
    """The frames go out: their tags stand in the frame."""
    return Run(filter_daemon, make_shared_wire(), "sent", tmp_path_factory.mktemp("sent"))


@pytest.fixture(params=["received", "sent"])
def passed(request):
    return request.param, request.getfixturevalue(request.param)


def named(data):
    return [NAMES.get(one, one.hex()) for one in data]


def expected(predicate):
    return [frame.name for frame in FRAMES if predicate(frame)]


@pytest.mark.parametrize("case", OPTION_CASES)
def test_options(passed, case):
    _, run = passed
    assert named(run.files[case]) == expected(OPTION_CASES[case][1])


@pytest.mark.parametrize("case", EXPRESSION_CASES)
def test_expressions(passed, case):
    direction, run = passed
    predicate = EXPRESSION_CASES[case][2]
    if predicate is not None:
        assert named(run.files[case]) == expected(without_stripped(predicate, direction))
    if case in run.references:
        assert named(run.files[case]) == named(run.references[case])


@pytest.mark.parametrize("case", [name for name, case in OPTION_CASES.items() if case[2] is not None])
def test_options_as_tcpdump(passed, case):
    _, run = passed
    assert sorted(named(run.files[case])) == sorted(named(run.references[case]))


# ---- more on tags ----


def vlan_interface(name, below, vlan):
    try:
        sandbox.ip(f"link add link {below} name {name} type vlan id {vlan}",
                   f"link set {name} addrgenmode none arp off multicast off up")
    except AssertionError as problem:
        if "Unknown device type" in str(problem):
            pytest.skip("this kernel has no VLAN interfaces")
        raise


def test_tags_in_metadata_on_the_way_out(client, wire):
    """A VLAN sub-interface hands its tag over as metadata."""
    vlan_interface(f"{wire.near}.7", wire.near, 7)
    cases = {"VLAN": "7", "IP": "10.0.0.1", "PORT": "80", "ETHTYPE": "0x0800"}
    sessions = {name: client.started(wire.near, options={"values": [{"name": name, "value": value}]})
                for name, value in cases.items()}
    none = client.started(wire.near, options={"values": [{"name": "VLAN", "value": "8"}]})
    frame = next(frame for frame in FRAMES if frame.name == "tcp4, untagged")
    tagged = build(frame.smac, frame.dmac, base_frames()["tcp4"][2], 0x800, ((0x8100, 7),))
    sender = Sender(f"{wire.near}.7")
    sender.send(frame.data)
    sender.close()
    for name, session in sessions.items():
        data = Pcap(client.terminate(session)["filelocation"]).data()
        assert [one[:58] for one in data] == [tagged[:58]], name
    assert client.terminate(none)["runtime"]["packets_captured"] == 0


def test_tshark_sees_the_tags(client, wire):
    session = client.started(wire.near, capamount=len(FRAMES))
    wire.inward.send_all(frame.data for frame in FRAMES)
    path = client.wait_end(session)["filelocation"]
    assert tshark_count(path) == len(FRAMES)
    tags = sandbox.run("tshark", "-n", "-r", path, "-T", "fields", "-e", "vlan.id", "-e", "ieee8021ad.id").splitlines()
    seen = [sorted(int(tag) for tag in line.replace("\t", ",").split(",") if tag) for line in tags]
    assert seen == [sorted(vlans(frame)) for frame in FRAMES]


def test_sixty_four_options(client, wire):
    """As many as a request may hold."""
    values = [{"name": "IP", "value": f"10.0.0.{n}"} for n in range(32)]
    values += [{"name": "PORT", "value": str(n)} for n in range(32)]
    session = client.started(wire.near, capduration=60, options={"values": values})
    wire.inward.send_all(frame.data for frame in FRAMES)
    data = Pcap(client.terminate(session)["filelocation"]).data()
    assert named(data) == expected(lambda f: v4(f) and (inside(f.source, "10.0.0.") or inside(f.target, "10.0.0.")) and
                                   any(port is not None and port < 32 for port in f.ports))


# ---- directions ----


@pytest.mark.parametrize("direction, came_in, went_out", [
    ("INPUT", 5, 0), ("OUTPUT", 0, 7), ("DUAL", 5, 7), (None, 5, 7)])
@pytest.mark.parametrize("expression", [None, "ether proto 0x88b5"])
def test_direction(client, wire, direction, came_in, went_out, expression):
    session = client.started(wire.near, direction=direction, capduration=60, capexpression=expression)
    wire.inward.send_all(numbers(5, size=100))
    wire.outward.send_all(numbers(7, size=200))
    session = client.terminate(session)
    sizes = [packet.length for packet in Pcap(session["filelocation"]).packets]
    assert (sizes.count(100), sizes.count(200)) == (came_in, went_out)
    assert session["runtime"]["packets_dropped"] == 0


@pytest.mark.parametrize("direction", ["INPUT", "OUTPUT", "DUAL", None])
def test_no_packet_twice_on_loopback(client, direction):
    session = client.started("lo", cappoint="VMKNIC", direction=direction, capduration=60,
                             capexpression="udp dst port 4999")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for n in range(20):
            sender.sendto(b"number %d" % n, ("127.0.0.1", 4999))
    session = client.terminate(session)
    data = Pcap(session["filelocation"]).data()
    assert [one[42:].rstrip(b"\0") for one in data] == [b"number %d" % n for n in range(20)]


def test_options_on_loopback(client):
    """Sent and seen once, with options as well."""
    values = [{"name": "IP", "value": "127.0.0.1"}, {"name": "DSTUDPPORT", "value": "4998"}]
    session = client.started("lo", cappoint="VMKNIC", capduration=60, options={"values": values})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 4998))
        sender.sendto(b"x", ("127.0.0.1", 4997))
    assert client.terminate(session)["runtime"]["packets_captured"] == 1
