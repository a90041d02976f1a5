"""DVFILTER: what the host's packet filter gets (PRE), and what it lets through (POST)."""
import itertools
import signal
import socket
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from harness import sandbox
from harness.client import Refused
from harness.judges import Pcap, Tcpdump, tshark_count
from harness.router import Router
from harness.wait import SLOW, wait_until

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
    assert done["runtime"]["packets_dropped"] == 0, done
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

    def run(self, wait=5):
        """What arrives: all, or what does so within wait seconds. A busy kernel takes its time."""
        payloads = [b"number %d" % number for number in range(self.count)]
        with self.router.listen(self.target, self.family, self.port) as listener:
            self.router.send(self.source, self.target, self.family, self.port, payloads, self.address)
            listener.settimeout(wait * SLOW)
            got = []
            try:
                while len(got) < self.count:
                    got.append(listener.recv(100))
            except TimeoutError:
                pass
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


# ---- what rules do ----

# Where a rule drops, which way the packet goes, and whether an interface on the left sees it PRE and POST.
DROPS = [
    ("prerouting", "-300", "through, in", True),
    ("prerouting", "-300", "local, in", True),
    ("input", "0", "local, in", True),
    ("forward", "0", "through, in", True),
    ("forward", "0", "through, out", True),
    ("output", "-300", "local, out", True),
    ("postrouting", "100", "through, in", True),
    ("postrouting", "100", "through, out", True),
    ("postrouting", "100", "local, out", True),
    ("prerouting", "-300", "through, out", False),  # before it comes to the interface on the left
    ("prerouting", "-2147483648", "local, in", True),
    ("postrouting", "2147483646", "local, out", True),
]


@pytest.mark.parametrize("hook, priority, kind, seen", DROPS)
def test_post_is_what_the_rules_let_through(client, router, firewall, rules, hook, priority, kind, seen):
    made = {name: flow for name, flow in flows(router).items() if name[:-2] == kind}
    gone = {name: flow for name, flow in flows(router).items() if name[:-2] == kind}
    dropped = ", ".join(str(flow.port) for flow in gone.values())
    rules(f"chain c {{ type filter hook {hook} priority {priority}; udp dport {{ {dropped} }} drop; }}")
    pre, post = (firewall(router.left, filtertype) for filtertype in ("PRE", "POST"))
    for flow in made.values():
        assert len(flow.run()) == flow.count
    for flow in gone.values():
        assert flow.run(wait=0.2) == []
    through, stopped = (expected({kind: 1}, which) for which in (made, gone))
    assert ports(packets(client, pre)) == sorted(through + (stopped if seen else []))
    assert ports(packets(client, post)) == through


def test_pre_is_before_and_post_behind_nat(client, router, firewall, rules):
    """A port of the router leads to the right host, which sees the router as the sender."""
    flow = Flow(router, router.left_host, router.right_host, 4, address="10.1.0.1")
    rules(f"chain d {{ type nat hook prerouting priority -100; udp dport {flow.port} dnat ip to 10.2.0.2; }}\n"
          f"chain s {{ type nat hook postrouting priority 100; oifname {router.right} masquerade; }}")
    sessions = {(side, kind): firewall(interface, kind, capexpression="udp")
                for side, interface in (("left", router.left), ("right", router.right)) for kind in ("PRE", "POST")}
    assert len(flow.run()) == flow.count
    addresses = {key: {(packet[12:16], packet[16:20]) for packet in packets(client, session).data()}
                 for key, session in sessions.items()}
    left_host, router_left = bytes([10, 1, 0, 2]), bytes([10, 1, 0, 1])
    right_host, router_right = bytes([10, 2, 0, 2]), bytes([10, 2, 0, 1])
    assert addresses[("left", "PRE")] == {(left_host, router_left)}
    assert addresses[("left", "POST")] == {(router_right, right_host)}
    assert addresses[("right", "PRE")] == {(left_host, right_host)}
    assert addresses[("right", "POST")] == {(router_right, right_host)}


def test_pre_sees_fragments_as_they_came(client, router, firewall, rules):
    """Where the host's rules ask for connections, the kernel puts fragments together: behind PRE."""
    flow = Flow(router, router.left_host, router.here, 4)
    rules("chain c { type filter hook input priority 0; ct state new accept; }")
    sessions = {kind: firewall(router.left, kind, capexpression="udp or ip[6:2] & 0x1fff != 0")
                for kind in ("PRE", "POST")}
    payload = bytes(range(256)) * 16
    with router.listen(router.here, 4, flow.port) as listener:
        router.send(router.left_host, router.here, 4, flow.port, [payload])
        listener.settimeout(5)
        assert listener.recv(5000) == payload
    pre, post = (packets(client, sessions[kind]) for kind in ("PRE", "POST"))
    assert [packet.length for packet in pre.packets] == [1500, 1500, 20 + 8 + 4096 - 2 * 1480]
    assert [packet.length for packet in post.packets] == [28 + 4096]
    assert post.data()[0][28:] == payload


def test_the_hosts_rules_stay_as_they_are(client, router, firewall, rules):
    rules("chain c { type filter hook forward priority 0; policy accept; tcp dport 1 drop; }")
    rules("chain n { type nat hook postrouting priority 100; }", "ip")
    before = ruleset()
    sessions = [firewall(interface, *key) for interface in (router.left, "lo", "any") for key in ALL]
    tables = our_tables()
    assert len(tables) == len(set(tables)) == len(sessions)
    assert {table.split("_")[2] for table in tables} == {session["sessionid"] for session in sessions}
    for flow in flows(router).values():
        assert len(flow.run()) == flow.count
    during = ruleset()
    assert during.startswith(before.rstrip("\n"))
    assert "drop" not in during[len(before) :] and " ct " not in during[len(before) :]
    for session in sessions:
        packets(client, session)
    assert ruleset() == before


def test_no_connections_are_tracked_for_a_capture(client, router, firewall):
    count = sandbox.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count")
    firewall("any", "POST"), firewall("any", "PRE")
    for flow in flows(router).values():
        flow.run()
    assert sandbox.run("cat", "/proc/sys/net/netfilter/nf_conntrack_count") == count


# ---- the table's life ----


def test_the_table_goes_with_the_capture(client, router, firewall):
    by_count = firewall(router.left, capamount=1)
    by_order = firewall(router.left)
    by_time = firewall(router.left, capduration=1)
    assert len(our_tables()) == 3
    Flow(router, router.left_host, router.here, 4).run()
    assert client.wait_end(by_count)["stop_reason"] == "PACKET_COUNT"
    assert client.terminate(by_order)["stop_reason"] == "TERMINATED"
    assert client.wait_end(by_time)["stop_reason"] == "DURATION"
    assert our_tables() == []


def test_nobody_can_take_the_table_away_by_mistake(client, router, firewall):
    session = firewall(router.left)
    nft("flush ruleset\n")
    flow = Flow(router, router.left_host, router.here, 4)
    flow.run()
    assert ports(packets(client, session)) == [flow.port] * flow.count
    assert our_tables() == []


@pytest.mark.parametrize("victims", [["worker"], ["broker"], ["worker", "broker"], ["parent"]])
def test_a_killed_process_leaves_no_table(make_daemon, router, victims):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(router.left, cappoint="DVFILTER")
    before = our_tables()
    assert len(before) == 1
    pids = {**{role: daemon.pid(role) for role in ("parent", "worker")}, "broker": broker_of(daemon.pid("worker"))}
    daemon.expect_log(r"killed by signal 9", r"broker has ended", r"ended with status",
                      r"its table stays in the packet filter for now")
    for role in victims:
        sandbox.kill(pids[role])
    if victims == ["parent"]:
        daemon.process.wait(10)
        wait_until(lambda: our_tables() == [], 15, "the end of the table")
        return
    after = wait_until(lambda: [table for table in our_tables() if table not in before], 15, "a new table")
    wait_until(lambda: our_tables() == after, 5, "the end of the old table")
    flow = Flow(router, router.left_host, router.here, 4)
    flow.run()
    client = daemon.fresh_client()
    assert client.terminate(session)["sessionstatus"] == "STOPPED"
    assert ports(Pcap(client.download(session).content)) == [flow.port] * flow.count
    assert our_tables() == []


def broker_of(worker):
    found = [pid for pid in sandbox.processes() if sandbox.parent_of(pid) == worker]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("interface", ["eth0", "any"])
def test_in_another_namespace(make_daemon, make_netns, make_netns_wire, interface):
    """The namespace's own rules count, the table hangs there, and goes from there."""
    blue = make_netns("blue")
    wire = make_netns_wire(blue, "farblue")
    blue.ip("addr add 10.9.0.1/24 dev eth0")
    blue.run("nft", "-f", "-", input="table inet host { chain c { type filter hook input priority 0;"
             "udp dport 9 drop\n}\n}\n")
    rules_before = blue.run("nft", "list", "ruleset")
    daemon = make_daemon("--ring-mb", "8", "--netns-dirs", make_netns.directory).start()
    sessions = {kind: daemon.client.started(f"blue/{interface}", cappoint="DVFILTER", filtertype=kind)
                for kind in ("PRE", "POST")}
    assert our_tables() == []
    assert blue.run("nft", "list", "ruleset").count("table inet pktcapd_") == 2
    for port in (8, 9):
        packet = IP(src="10.9.0.2", dst="10.9.0.1") / UDP(dport=port)
        wire.inward.send(bytes(Ether(dst="02:00:00:00:00:aa", src="02:00:00:00:00:bb") / packet))
    assert ports(packets(daemon.client, sessions["PRE"])) == [8, 9]
    assert ports(packets(daemon.client, sessions["POST"])) == [8]
    assert blue.run("nft", "list", "ruleset") == rules_before
    daemon.client.started(f"blue/{interface}", cappoint="DVFILTER")
    daemon.kill("parent")
    wait_until(lambda: blue.run("nft", "list", "ruleset") == rules_before, 5, "the end of the table")


def test_what_a_crash_left_is_swept(make_daemon, router):
    """Where the kernel does not know owners of tables, they stay behind."""
    worker, session = "01234567-0123-4123-8123-0123456789ab", "11234567-0123-4123-8123-0123456789ab"
    ours, another = f"pktcapd_{worker}_{session}", "pktcapd_is_not_only_ours"
    for table in (ours, another):
        nft(f"table inet {table} {{ chain c {{ type filter hook input priority 0; policy accept; }}\n}}\n")
    make_daemon("--ring-mb", "8").start()
    wait_until(lambda: ours not in our_tables(), 5, "the sweep")
    assert our_tables() == [another]
    sandbox.run("nft", "delete", "table", "inet", another)


# ---- the request ----


def test_options_and_expressions(client, router, firewall):
    wanted, other = (Flow(router, router.left_host, router.right_host, 4) for _ in range(2))
    six = Flow(router, router.left_host, router.right_host, 6)
    back = Flow(router, router.right_host, router.left_host, 4)

    def option(name, value):
        return {"options": {"values": [{"name": name, "value": str(value)}]}}

    cases = [
        (option("UDPPORT", wanted.port), [wanted]),
        (option("IP6", "fd00:1::2"), [six]),
        (option("SRCIP", "10.2.0.0/24"), [back]),
        (option("IPPROTO", "17"), [wanted, other, back]),
        ({"capexpression": f"udp dst port {other.port}"}, [other]),
        ({"capexpression": "ip6"}, [six]),
        ({"capexpression": "greater 1000"}, []),
        (option("PORT", six.port) | {"capsnaplen": 24}, [six]),
    ]
    sessions = [firewall(router.left, **fields) for fields, _ in cases]
    for flow in (wanted, other, six, back):
        assert len(flow.run()) == flow.count
    for session, (fields, match) in zip(sessions, cases):
        pcap = packets(client, session)
        if "capsnaplen" in fields:
            assert [packet.captured for packet in pcap.packets] == [24] * six.count
            assert {packet.length for packet in pcap.packets} == {48 + len(b"number 0")}
        else:
            assert ports(pcap) == sorted(port for flow in match for port in [flow.port] * flow.count), fields


@pytest.mark.parametrize("name, value", [("MAC", "02:00:00:00:00:01"), ("SRCMAC", "02:00:00:00:00:01"),
                                         ("DSTMAC", "02:00:00:00:00:01"), ("VLAN", "5"), ("ETHTYPE", "0x0800")])
def test_options_on_headers_that_are_not_there(client, router, name, value):
    with pytest.raises(Refused) as refused:
        client.create(router.left, cappoint="DVFILTER", options={"values": [{"name": name, "value": value}]})
    assert refused.value.status == 400 and name in refused.value.message


@pytest.mark.parametrize("size", [24, 60, 300, 1500])
def test_snaplen(client, router, firewall, size):
    session = firewall(router.left, capsnaplen=size, capexpression="udp")
    flow = Flow(router, router.left_host, router.right_host, 4)
    with router.listen(flow.target, 4, flow.port):
        router.send(flow.source, flow.target, 4, flow.port, [bytes(1000)])
    pcap = packets(client, session)
    assert [(packet.captured, packet.length) for packet in pcap.packets] == [(min(size, 1028), 1028)]


@pytest.mark.parametrize("wanted, limit", [(None, 65531), (0, 65531), (65532, 65531), (262144, 65531), (65531, 65531),
                                           (65530, 65530), (24, 24)])
def test_limits_tell_the_most_that_is_kept(client, firewall, wanted, limit):
    """The log of the packet filter holds no more of a packet."""
    assert firewall("lo", capsnaplen=wanted)["limits"]["capsnaplen"] == limit


def test_as_much_as_that_is_kept(client, firewall):
    """Packets on lo are longer than any other's."""
    session = firewall("lo", capexpression="udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        listener.bind(("127.0.0.1", 0))
        sandbox.ip("link set lo mtu 65536")
        for size in (65531, 65535):  # with the IP header; more than 65535 no packet is
            sender.sendto(bytes(size - 28), listener.getsockname())
    pcap = packets(client, session)
    assert [(packet.captured, packet.length) for packet in pcap.packets] == [(65531, 65531), (65531, 65535)]


def test_timestamps_are_of_the_packets_time(client, router, firewall):
    session = firewall(router.left, "POST")
    began = time.time_ns()
    for flow in flows(router).values():
        flow.run()
    ended = time.time_ns()
    times = [packet.ns for packet in packets(client, session).packets]
    assert began - 1000 <= times[0] and times[-1] <= ended + 50_000_000


def test_the_interface_goes(shared_daemon, client, firewall, wire):
    shared_daemon.expect_log(r"interface near\d+ was removed during the capture")
    sandbox.ip(f"addr add 10.99.0.1/24 dev {wire.near}")
    session = firewall(wire.near)
    wire.remove()
    done = client.wait_end(session)
    assert (done["sessionstatus"], done["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert our_tables() == []


def test_without_the_capability(make_daemon, router):
    without = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]
    daemon = make_daemon("--ring-mb", "8", wrapper=without)
    daemon.start()
    with pytest.raises(Refused) as refused:
        daemon.client.create(router.left, cappoint="DVFILTER")
    assert refused.value.status == 412 and "CAP_NET_ADMIN" in refused.value.message


# ---- floods ----


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PRE", "POST"])
@pytest.mark.parametrize("late", [False, True])
def test_a_flood_is_counted_exactly(shared_daemon, client, router, firewall, kind, late):
    """What does not fit into the socket's memory is lost, but not out of the books. A worker that is held up for a
    while loses for certain."""
    session = firewall(router.left, kind, "INPUT")
    flow = Flow(router, router.left_host, router.here, 4)
    count, worker = 60_000, shared_daemon.pid("worker")
    with router.listen(router.here, 4, flow.port), router.socket(router.left_host, 4) as sender:
        sender.connect(("10.1.0.1", flow.port))
        if late:
            sandbox.kill(worker, signal.SIGSTOP)
        try:
            for number in range(count):
                sender.send(b"%016d" % number)
        finally:
            sandbox.kill(worker, signal.SIGCONT)
    runtime = client.terminate(session)["runtime"]
    assert runtime["packets_captured"] + runtime["packets_dropped"] == count, runtime
    assert runtime["packets_captured"] > 1000 and (runtime["packets_dropped"] > 0 or not late)
    numbers = [int(data[28:44]) for data in Pcap(client.download(session).content).data()]
    assert len(numbers) == runtime["packets_captured"]
    assert numbers == sorted(set(numbers))


@pytest.mark.slow
def test_many_at_once(client, router, firewall):
    """Each has a table and a log group of its own, and sees everything."""
    keys = [ALL[number % len(ALL)] for number in range(48)]
    sessions = [firewall(router.left, *key, capexpression="udp") for key in keys]
    made = flows(router)
    for name, flow in made.items():
        flow.count = 100
        assert len(flow.run()) == flow.count, name
    for key, session in zip(keys, sessions):
        assert ports(packets(client, session)) == expected(LEFT[key[1]], made), key
    assert our_tables() == []
