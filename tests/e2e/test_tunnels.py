"""VNI and INNER: every option name on the packet inside VXLAN and Geneve, received and sent.

As in test_filters.py, whose frames are the inner ones here: all cases capture at the same time while one set of frames
passes. What a case should hold is said by a predicate on what the frames were made from, and, where Wireshark's display
filters can say it, by tshark on a capture of everything.
"""
import fcntl
import os
import struct
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from harness import sandbox
from harness.client import Refused
from harness.judges import Pcap
from test_filters import (ALICE, OPTION_CASES, Frame, base_frames, build, carries, v4, vlans)

# ---- the frames ----

Tunnelled = namedtuple("Tunnelled", "name data inner tags vni tunnel network")
ROUTER, GATEWAY = "02:00:00:00:1a:01", "02:00:00:00:1b:02"

NETWORKS = {
    "IPv4": (0x800, lambda: IP(src="172.16.0.1", dst="172.16.0.2")),
    "IPv4 options": (0x800, lambda: IP(src="172.16.0.1", dst="172.16.0.2", options=b"\x94\x04\0\0" * 3)),
    "IPv6": (0x86DD, lambda: IPv6(src="fd00::1", dst="fd00::2")),
}


def vxlan(vni):
    return struct.pack("!II", 0x08000000, vni << 8)


def geneve(vni, options=b""):
    return struct.pack("!BBHI", len(options) // 4, 0, 0x6558, vni << 8) + options


TUNNELS = {
    "VXLAN": (4789, vxlan),
    "VXLAN on 8472": (8472, vxlan),
    "Geneve": (6081, geneve),
    "Geneve options": (6081, lambda vni: geneve(vni, struct.pack("!HBBI", 0x0102, 1, 1, 0x08004500) * 3)),
}
VNIS = [5001, 5002, 0, 0xFFFFFF]
OUTER_TAGS = {"": (), ", tag 10": ((0x8100, 10),), ", 802.1ad 20, tag 10": ((0x88A8, 20), (0x8100, 10))}
INNER_TAGS = {"": (), " in tag 40": ((0x8100, 40),), " in tags 30, 40": ((0x8100, 30), (0x8100, 40))}


def inner_frames():
    for name, (smac, dmac, packet, ethertype, (source, target), protocol, ports) in base_frames().items():
        for tagging, tags in INNER_TAGS.items():
            length = 14 + 4 * len(tags) + len(bytes(packet))
            data = build(smac, dmac, packet, ethertype, tags)[:length]
            yield Frame(name + tagging, tags, data, smac, dmac, ethertype, source, target, protocol, ports)


def wrap(inner, network, tunnel, vni):
    """The network packet of a tunnel."""
    port, header = TUNNELS[tunnel]
    return NETWORKS[network][1]() / UDP(sport=55555, dport=port) / Raw(header(vni) + inner)


def all_frames():
    made, inners = [], list(inner_frames())
    for network, (ethertype, _) in NETWORKS.items():
        for tunnel in TUNNELS:
            for tagging, tags in OUTER_TAGS.items():
                for number, inner in enumerate(inners):
                    vni = VNIS[(number + len(made) // len(inners)) % len(VNIS)]
                    packet = wrap(inner.data, network, tunnel, vni)
                    name = f"{inner.name} in {tunnel} {vni} over {network}{tagging}"
                    data = build(ROUTER, GATEWAY, packet, ethertype, tags)
                    made.append(Tunnelled(name, data, inner, tags, vni, tunnel, network))
    assert len({frame.data for frame in made}) == len(made)
    return made


def bare_frames():
    """In no tunnel, or in what only looks like one."""
    tcp = next(frame for frame in inner_frames() if frame.name == "tcp4")
    ip = IP(src="172.16.0.1", dst="172.16.0.2")
    wrong = [
        ip / UDP(sport=4789, dport=55555) / Raw(vxlan(5001) + tcp.data),
        ip / UDP(sport=55555, dport=4790) / Raw(vxlan(5001) + tcp.data),
        ip / UDP(sport=55555, dport=4789) / Raw(bytes(4) + vxlan(5001)[4:] + tcp.data),
        ip / UDP(sport=55555, dport=6081) / Raw(b"\x40" + geneve(5001)[1:] + tcp.data),
        ip / UDP(sport=55555, dport=6081) / Raw(geneve(5001)[:2] + b"\x08\0" + geneve(5001)[4:] + tcp.data[14:]),
        IP(src="172.16.0.1", dst="172.16.0.2", frag=64, proto=17) / UDP(sport=55555, dport=4789) / Raw(vxlan(5001) + tcp.data),
    ]
    return [frame.data for frame in inner_frames()] + [build(ROUTER, GATEWAY, packet, 0x800, ()) for packet in wrong]


FRAMES = all_frames()
BARE = bare_frames()
NAMES = {frame.data: frame.name for frame in FRAMES}

# ---- the cases ----

Case = namedtuple("Case", "options predicate display expression", defaults=(None, None))
ANY_VNI = "(vxlan || geneve)"


def inside(predicate):
    return lambda f: predicate(f.inner)


# What Wireshark says the same with. Outer addresses, ports and protocols are none of the inner ones.
DISPLAYS = {
    "MAC": f"eth.addr == {ALICE}",
    "IP": "ip.addr == 10.0.0.1",
    "IP prefix": "ip.addr == 10.1.0.0/16",
    "SRCIP": "ip.src == 10.0.0.1",
    "DSTIP": "ip.dst == 10.0.0.1",
    "ETHTYPE ARP": "arp",
    "IPPROTO hexadecimal": "ip.proto == 6",
    "IPPROTO6 TCP": "ipv6.nxt == 6",
    "PORT": "tcp.port == 80 || udp.port == 80",
    "DSTPORT": "tcp.dstport == 80 || udp.dstport == 80",
    "UDPPORT": "udp.port == 53",
    "IP6": "ipv6.addr == 2001:db8::2",
    "DSTIP6": "ipv6.dst == 2001:db8::2",
}


def option_cases():
    for name, (options, predicate, _) in OPTION_CASES.items():
        if not any(option == "VLAN" for option, _ in options):
            display = DISPLAYS.get(name, ANY_VNI if not options else None)
            yield name, Case(options + [("INNER", "true")], inside(predicate), display)


CASES = dict(option_cases()) | {
    "VNI": Case([("VNI", "5001")], lambda f: f.vni == 5001, "vxlan.vni == 5001 || geneve.vni == 5001"),
    "VNI in hexadecimal": Case([("VNI", "0x138a")], lambda f: f.vni == 5002, None),
    "VNI 0": Case([("VNI", "0")], lambda f: f.vni == 0, "vxlan.vni == 0 || geneve.vni == 0"),
    "VNI of nothing": Case([("VNI", "5003")], lambda f: False, "vxlan.vni == 5003 || geneve.vni == 5003"),
    "several VNIs": Case([("VNI", "5001"), ("VNI", "16777215"), ("VNI", "7")], lambda f: f.vni in (5001, 0xFFFFFF),
                         "vxlan.vni in {5001, 16777215} || geneve.vni in {5001, 16777215}"),
    "VNI and IP": Case([("SRCIP", "10.0.0.1"), ("VNI", "5001")],
                       lambda f: f.vni == 5001 and f.inner.source == "10.0.0.1",
                       "(vxlan.vni == 5001 || geneve.vni == 5001) && ip.src == 10.0.0.1"),
    "VNI and PORT, INNER true": Case([("VNI", "5002"), ("INNER", "true"), ("PORT", "80"), ("IPPROTO", "6")],
                                     lambda f: f.vni == 5002 and v4(f.inner) and carries(f.inner, 80, protocols=(6,)),
                                     "(vxlan.vni == 5002 || geneve.vni == 5002) && tcp.port == 80 && ip.proto == 6"),
    "VLAN is the outer one": Case([("VLAN", "10"), ("VNI", "5001")], lambda f: 10 in vlans(f) and f.vni == 5001, None),
    "VLAN is never the inner one": Case([("VLAN", "40"), ("INNER", "true")], lambda f: False, None),
    "VLAN of an outer 802.1ad": Case([("VLAN", "20"), ("PORT", "80"), ("INNER", "true")],
                                     lambda f: 20 in vlans(f) and carries(f.inner, 80), None),
    "capexpression is the outer one": Case([("PORT", "80"), ("INNER", "true")], lambda f: carries(f.inner, 80), None,
                                           f"ether src {ROUTER} and not ether host {ALICE}"),
    "capexpression never the inner one": Case([("PORT", "80"), ("INNER", "true")], lambda f: False, None,
                                              "tcp port 80"),
}

# ---- the two runs ----


def values(options):
    return {"values": [{"name": name, "value": value} for name, value in options]}


class Run:
    """All cases at once on one wire, and one capture of everything."""

    def __init__(self, daemon, wire, direction):
        client = daemon.client
        sender = wire.inward if direction == "received" else wire.outward
        sessions = {name: client.create(wire.near, capduration=120, options=values(case.options),
                                        capexpression=case.expression) for name, case in CASES.items()}
        sessions[None] = client.create(wire.near, capduration=120)
        for session in sessions.values():
            client.wait_for(session, "STARTED")
        sender.send_all(BARE)
        sender.send_all(frame.data for frame in FRAMES)
        with ThreadPoolExecutor(8) as several:
            ended = dict(zip(sessions, several.map(client.terminate, sessions.values())))
        assert all(session["runtime"]["packets_dropped"] == 0 for session in ended.values())
        self.files = {name: Pcap(session["filelocation"]).data() for name, session in ended.items()}
        self.everything = ended[None]["filelocation"]
        assert self.files[None] == BARE + [frame.data for frame in FRAMES]

    def seen_by_tshark(self, display):
        """The tunnelled packets that Wireshark's display filter shows."""
        lines = sandbox.run("tshark", "-n", "-r", self.everything, "-d", "udp.port==8472,vxlan", "-o",
                            "ip.defragment:FALSE", "-Y", f"{ANY_VNI} && ({display})", "-T", "fields", "-e",
                            "frame.number").split()
        return [self.files[None][int(number) - 1] for number in lines if int(number) > len(BARE)]


@pytest.fixture(scope="module")
def tunnel_daemon(make_shared_daemon):
    return make_shared_daemon("--ring-mb", "2").start()


@pytest.fixture(scope="module", params=["received", "sent"])
def run(request, tunnel_daemon, make_shared_wire):
    return Run(tunnel_daemon, make_shared_wire(), request.param)


def named(data):
    return [NAMES.get(one, one.hex()) for one in data]


@pytest.mark.parametrize("case", CASES)
def test_inside(run, case):
    wanted = [frame.name for frame in FRAMES if CASES[case].predicate(frame)]
    assert named(run.files[case]) == wanted


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.display])
def test_inside_as_tshark(run, case):
    assert named(run.files[case]) == named(run.seen_by_tshark(CASES[case].display))


# ---- without an Ethernet header ----

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


@pytest.fixture
def tun():
    """An interface whose packets begin with an IP header: what is written to the file comes in there."""
    try:
        file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", b"tun7", IFF_TUN | IFF_NO_PI))
    except OSError:
        pytest.skip("this kernel has no tunnel interfaces")
    sandbox.ip("link set tun7 addrgenmode none multicast off up")
    yield file
    os.close(file)


def test_inside_without_outer_ethernet(client, tun):
    cases = {name: CASES[name] for name in ("VNI", "MAC", "PORT", "IP6", "ETHTYPE IPv4", "VNI and IP", "nothing")}
    sessions = {name: client.started("tun7", capduration=60, options=values(case.options))
                for name, case in cases.items()}
    frames = [frame for frame in FRAMES if not frame.tags]
    os.write(tun, bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=80, dport=80)))
    for frame in frames:
        os.write(tun, bytes(wrap(frame.inner.data, frame.network, frame.tunnel, frame.vni)))
    for name, session in sessions.items():
        data = Pcap(client.terminate(session)["filelocation"]).data()
        wanted = [wrap(frame.inner.data, frame.network, frame.tunnel, frame.vni) for frame in frames
                  if cases[name].predicate(frame)]
        assert data == [bytes(one) for one in wanted], name


# ---- what is refused, and limits ----


def test_refused(client, wire):
    for options, says in [([("VNI", "16777216")], "from 0 to 16777215"), ([("INNER", "yes")], "true or false")]:
        with pytest.raises(Refused) as refused:
            client.create(wire.near, options=values(options))
        assert refused.value.status == 400
        assert refused.value.fields() == [("options", 36006)] and says in refused.value.message


@pytest.mark.parametrize("others", [[("VNI", "5001")], [("INNER", "true")], [("PORT", "80"), ("VNI", "0")]], ids=str)
def test_inner_cannot_be_false_beside_what_says_that_it_is_true(client, wire, others):
    for options in (others + [("INNER", "false")], [("INNER", "false")] + others):
        with pytest.raises(Refused) as refused:
            client.create(wire.near, options=values(options))
        assert (refused.value.status, refused.value.fields()) == (400, [("options", 36015)])
        assert refused.value.message == "option INNER is false, and VNI or another INNER says that it is true"


def test_inner_false_is_as_if_it_was_not_there(client, wire):
    options = [("INNER", "false"), ("UDPPORT", "4789")]
    session = client.started(wire.near, capduration=60, options=values(options))
    outer = [frame for frame in FRAMES if frame.network == "IPv4"][:500]
    wire.inward.send_all(frame.data for frame in outer)
    data = Pcap(client.terminate(session)["filelocation"]).data()
    assert data == [frame.data for frame in outer if frame.tunnel == "VXLAN"] and data


def test_sixty_four_options_inside(client, wire):
    options = [("VNI", str(vni)) for vni in (5001, 5002)] + [("IP", f"10.0.0.{n}") for n in range(30)]
    options += [("PORT", str(n)) for n in range(60, 92)]
    session = client.started(wire.near, capduration=60, options=values(options))
    wire.inward.send_all(frame.data for frame in FRAMES)
    data = Pcap(client.terminate(session)["filelocation"]).data()

    def wanted(f):
        return (f.vni in (5001, 5002) and v4(f.inner) and carries(f.inner, 80) and
                any(address.startswith("10.0.0.") for address in (f.inner.source, f.inner.target)))

    assert named(data) == [frame.name for frame in FRAMES if wanted(frame)]
