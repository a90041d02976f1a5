"""DVFILTER: what the host's packet filter gets (PRE), and what it lets through (POST)."""
import itertools
import subprocess

import pytest

from harness import sandbox
from harness.client import Refused
from harness.judges import Pcap, Tcpdump, tshark_count
from harness.router import Router
from harness.wait import wait_until

RAW_IP = 101
ALL = [(kind, direction) for kind in ("PRE", "POST") for direction in ("INPUT", "OUTPUT", "DUAL")]
PORTS = itertools.count(3000)


@pytest.fixture(scope="module")
def router():
    made = Router()
    yield made
    made.remove()


def nft(text):
    sandbox.run("nft", "-f", "-", input=text)


def ruleset():
    return sandbox.run("nft", "list", "ruleset")


def our_tables():
    return [line.split()[2] for line in sandbox.run("nft", "list", "tables").splitlines() if " pktcapd_" in line]


@pytest.fixture
def rules():
    """rules(TEXT): the host's packet filter, in a table of its own."""
    tables = []

    def make(text, family="inet"):
        tables.append((family, f"host{len(tables)}"))
        nft(f"table {family} {tables[-1][1]} {{\n{text}\n}}\n")

    yield make
    for family, table in tables:
        sandbox.run("nft", "delete", "table", family, table)


@pytest.fixture
def firewall(client):
    """firewall(INTERFACE, PRE or POST, ...): a session that captures."""
    def make(interface, filtertype="PRE", direction="DUAL", **fields):
        return client.started(interface, cappoint="DVFILTER", filtertype=filtertype, direction=direction, **fields)

    yield make
    for session in client.list()["results"]:
        if session["sessionstatus"] not in ("STOPPED", "FINISHED", "ERROR"):
            client.terminate(session)


def packets(client, session):
    """The file of a session that has ended."""
    done = client.terminate(session)
    assert done["sessionstatus"] in ("STOPPED", "FINISHED"), done
    pcap = Pcap(client.download(session).content)
    assert pcap.linktype == RAW_IP and pcap.is_in_order()
    assert done["runtime"]["packets_captured"] == len(pcap)
    assert done["runtime"]["packets_dropped"] == 0
    return pcap


def udp_port(data):
    """The destination port of a UDP packet over IPv4 or IPv6, None of others."""
    at = {4: (data[0] & 15) * 4, 6: 40}[data[0] >> 4]
    protocol = data[9] if data[0] >> 4 == 4 else data[6]
    return int.from_bytes(data[at + 2 : at + 4], "big") if protocol == 17 else None


def ports(pcap):
    return sorted(port for port in map(udp_port, pcap.data()) if port is not None)


class Flow:
    """A few packets that go one way, known by their port."""

    def __init__(self, router, source, target, family, count=3, address=None):
        self.port, self.count = next(PORTS), count
        self.router, self.source, self.target, self.family, self.address = router, source, target, family, address

    def run(self):
        payloads = [b"number %d" % number for number in range(self.count)]
        with self.router.listen(self.target, self.family, self.port) as listener:
            self.router.send(self.source, self.target, self.family, self.port, payloads, self.address)
            listener.settimeout(0)
            got = []
            try:
                while True:
                    got.append(listener.recv(100))
            except BlockingIOError:
                return got


def flows(router):
    """One of each kind and family: as an interface of the left host's side sees them."""
    left, right, here = router.left_host, router.right_host, router.here
    made = {}
    for family in (4, 6):
        loop = "127.0.0.1" if family == 4 else "::1"
        made[f"through, in {family}"] = Flow(router, left, right, family)
        made[f"through, out {family}"] = Flow(router, right, left, family)
        made[f"local, in {family}"] = Flow(router, left, here, family)
        made[f"local, out {family}"] = Flow(router, here, left, family)
        made[f"other side, in {family}"] = Flow(router, right, here, family)
        made[f"loop {family}"] = Flow(router, here, here, family, address=loop)
    return made


# How often an interface sees a packet of each kind.
LEFT = {
    "INPUT": {"through, in": 1, "local, in": 1},
    "OUTPUT": {"through, out": 1, "local, out": 1},
    "DUAL": {"through, in": 1, "local, in": 1, "through, out": 1, "local, out": 1},
}
LO = dict.fromkeys(("INPUT", "OUTPUT", "DUAL"), {"loop": 1})
ANY = {
    "INPUT": {"through, in": 1, "through, out": 1, "local, in": 1, "other side, in": 1, "loop": 1},
    "OUTPUT": {"through, in": 1, "through, out": 1, "local, out": 1, "loop": 1},
    "DUAL": {"through, in": 1, "through, out": 1, "local, in": 1, "other side, in": 1, "local, out": 1, "loop": 1},
}


def expected(places, made):
    return sorted(port for name, flow in made.items() for port in
                  [flow.port] * (places.get(name[:-2], 0) * flow.count))


@pytest.mark.parametrize("which", ["left", "lo", "any"])
def test_every_packet_is_seen_once_where_it_passes(client, router, firewall, which):
    interface, places = {"left": (router.left, LEFT), "lo": ("lo", LO), "any": ("any", ANY)}[which]
    sessions = {key: firewall(interface, *key) for key in ALL}
    made = flows(router)
    for name, flow in made.items():
        assert len(flow.run()) == flow.count, name
    for (kind, direction), session in sessions.items():
        assert ports(packets(client, session)) == expected(places[direction], made), (kind, direction)


def ip_of(frame):
    """The IP packet of an Ethernet frame, without its padding."""
    data = frame[14:]
    length = int.from_bytes(data[2:4], "big") if data[0] >> 4 == 4 else int.from_bytes(data[4:6], "big") + 40
    return data[:length]


@pytest.mark.parametrize("direction, word", [("INPUT", "in"), ("OUTPUT", "out"), ("DUAL", "inout")])
def test_pre_is_what_tcpdump_sees(client, router, firewall, tmp_path, direction, word):
    tcpdump = Tcpdump(router.left, tmp_path / "reference", "-Q", word, "udp")
    tcpdump.wait_until_it_listens()
    session = firewall(router.left, "PRE", direction, capexpression="udp")
    made = flows(router)
    for flow in made.values():
        flow.run()
    pcap = packets(client, session)
    reference = tcpdump.stop(len(pcap))
    assert len(pcap) == len(expected(LEFT[direction], made))
    assert pcap.data() == [ip_of(frame) for frame in reference.data()]
    assert [packet.length for packet in pcap.packets] == [len(data) for data in pcap.data()]


def test_tshark_reads_raw_ip(client, router, firewall, tmp_path):
    session = firewall(router.left)
    for flow in flows(router).values():
        flow.run()
    pcap = packets(client, session)
    file = tmp_path / "file"
    file.write_bytes(client.download(session).content)
    assert tshark_count(file) == len(pcap)
    words = sandbox.run("tshark", "-n", "-r", str(file), "-T", "fields", "-e", "frame.protocols").split()
    assert set(words) == {"raw:ip:udp:data", "raw:ipv6:udp:data"}
