"""The service's own traffic: left out of captures, unless captureself asks for it; and a stream never holds itself."""
import re
import socket
import threading

import pytest

from harness import sandbox
from harness.collector import Collector, in_namespace
from harness.frames import numbers
from harness.judges import Pcap
from harness.wait import wait_until

MARK = 4999  # UDP port of packets that every capture here must hold


def say(count=1):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"a packet of others", ("127.0.0.1", MARK))


def ports_of(data):
    """(protocol, source port, target port) of an IPv4 frame."""
    header = 14 + 4 * (data[14] & 15)
    return data[23], int.from_bytes(data[header:header + 2], "big"), int.from_bytes(data[header + 2:header + 4], "big")


def tcp_ports(pcap):
    return {port for data in pcap.data() if data[12:14] == b"\x08\0" and data[23] == 6 for port in ports_of(data)[1:]}


def marks(pcap):
    return sum(data[12:14] == b"\x08\0" and ports_of(data)[::2] == (17, MARK) for data in pcap.data())


def capture_while(client, work, **fields):
    session = client.started("lo", cappoint="VMKNIC", capduration=60, **fields)
    work()
    say(3)
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] >= 3, what="the packets of others")
    session = client.terminate(session)
    pcap = Pcap(session["filelocation"])
    assert marks(pcap) == 3
    return pcap


def ask_for_much(client):
    def work():
        for _ in range(20):
            client.list()
        client.call("GET", "/no/such/path")
    return work


@pytest.mark.parametrize("given", [None, False])
def test_the_api_is_left_out(client, given):
    pcap = capture_while(client, ask_for_much(client), captureself=given)
    assert tcp_ports(pcap) == set()


def test_captureself_brings_the_api_in(shared_daemon, client):
    pcap = capture_while(client, ask_for_much(client), captureself=True)
    assert shared_daemon.port in tcp_ports(pcap)


def test_a_download_is_left_out(client, wire):
    """Also one that goes on while it is captured."""
    large = client.started(wire.near, capduration=60)
    wire.inward.send_all(numbers(20000, size=500))
    large = client.terminate(large)
    pcap = capture_while(client, lambda: client.download(large))
    assert tcp_ports(pcap) == set()


def exchange(address, port):
    with socket.create_server((address, port)) as server, socket.create_connection((address, port)) as near:
        far, _ = server.accept()
        near.sendall(b"request")
        far.recv(100)
        far.close()


def test_the_same_port_elsewhere_is_captured(shared_daemon, client):
    """What merely looks like the API: another address of this host, or the API's address and another port."""
    pcap = capture_while(client, lambda: exchange("127.0.0.2", shared_daemon.port))
    assert shared_daemon.port in tcp_ports(pcap)
    other = shared_daemon.port + 10_000
    pcap = capture_while(client, lambda: exchange("127.0.0.1", other))
    assert other in tcp_ports(pcap)


def test_every_address_if_it_listens_on_all(make_daemon):
    daemon = make_daemon("--listen", "0.0.0.0:0", "--ring-mb", "8").start()
    pcap = capture_while(daemon.client, ask_for_much(daemon.client))
    assert tcp_ports(pcap) == set()


def test_the_ports_of_a_proxy(make_daemon):
    daemon = make_daemon("--api-ports", "18443,18444", "--ring-mb", "8").start()
    pcap = capture_while(daemon.client, lambda: [exchange("127.0.0.1", port) for port in (18443, 18444, 18445)])
    assert {18443, 18444} & tcp_ports(pcap) == set()
    assert 18445 in tcp_ports(pcap)


# ---- other namespaces ----

@pytest.fixture
def blue(make_netns):
    return make_netns("blue")


@pytest.fixture
def everywhere(make_daemon, make_netns):
    """A daemon that listens on every address and looks into the tests' namespaces."""
    return make_daemon("--listen", "0.0.0.0:0", "--netns-dirs", make_netns.directory, "--ring-mb", "8").start()


def capture_in_blue(client, work, **fields):
    session = client.started("blue/lo", cappoint="VMKNIC", capduration=60, capexpression="tcp", **fields)
    work()
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > 5, what="the conversation")
    return tcp_ports(Pcap(client.terminate(session)["filelocation"]))


def exchange_inside(netns, *endpoint):
    in_namespace(netns.path, lambda: exchange(*endpoint) or True)


def test_a_namespaces_own_loopback_is_somebody_elses(make_daemon, make_netns, blue):
    daemon = make_daemon("--netns-dirs", make_netns.directory, "--ring-mb", "8").start()
    ports = capture_in_blue(daemon.client, lambda: exchange_inside(blue, "127.0.0.1", daemon.port))
    assert daemon.port in ports


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "10.66.0.1"])
def test_so_are_the_addresses_that_it_has_itself(everywhere, blue, wire, address):
    """Also where this host has the same."""
    sandbox.ip(f"address add 10.66.0.1/24 dev {wire.near}")
    blue.ip("address add 10.66.0.1/24 dev lo")
    ports = capture_in_blue(everywhere.client, lambda: exchange_inside(blue, address, everywhere.port))
    assert everywhere.port in ports


def test_the_api_is_left_out_in_a_namespace_of_its_client(everywhere, blue, make_netns_wire):
    """As a container would, blue speaks to the API at this host's address."""
    make_netns_wire(blue, "toblue")
    sandbox.ip("link set toblue arp on", "address add 10.67.0.1/24 dev toblue")
    blue.ip("link set eth0 arp on", "address add 10.67.0.2/24 dev eth0")
    client, port = everywhere.client, everywhere.port
    session = client.started("blue/eth0", capduration=60, capexpression="tcp")

    def ask():
        with socket.create_connection(("10.67.0.1", port), 5) as connection:
            connection.sendall(b"GET /no/such/path HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            return connection.recv(100)

    assert in_namespace(blue.path, ask).startswith(b"HTTP/1.1 4")
    with socket.create_server(("10.67.0.1", 0)) as server:
        other = server.getsockname()[1]
        in_namespace(blue.path, lambda: socket.create_connection(("10.67.0.1", other), 5).close() or True)
        server.accept()[0].close()
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] >= 5, what="the other conversation")
    ports = tcp_ports(Pcap(client.terminate(session)["filelocation"]))
    assert other in ports and port not in ports


# ---- more addresses than a filter takes ----

MOST = 64


def add_addresses(wire, count):
    sandbox.ip(*(f"address add 10.68.{number >> 8}.{number & 255}/32 dev {wire.near}" for number in range(1, count + 1)))


def left_out(client, interface, **fields):
    """The addresses of which a dry run's filter speaks."""
    body = {"cappoint": "VMKNIC", "capsource": "CLI", "capvalue": interface, **fields}
    forecast = client.call("POST", client.prefix + "/session", params={"dry_run": "true"}, json=body).json()
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", forecast.get("filter", "")))


def test_addresses_without_room_are_told(everywhere, make_wire):
    """Those of the interface itself come first, so that what passes there is left out."""
    crowded, plain = make_wire(), make_wire()
    add_addresses(crowded, MOST + 5)
    sandbox.ip(f"address add 10.69.0.1/24 dev {plain.near}")
    client = everywhere.client
    everyone = MOST + 5 + 2  # with lo, and the plain one
    session = client.started(plain.near, capduration=60)
    ended = client.terminate(session)
    assert ended["sessionstatus"] == "STOPPED" and ended["errormsg"] == (
        f"the API's own packets are left out for {MOST} addresses of this host, and not for {everyone - MOST} others")
    assert "10.69.0.1" in left_out(client, plain.near) and len(left_out(client, plain.near)) == MOST
    assert "10.69.0.1" not in left_out(client, crowded.near)
    assert "errormsg" not in client.terminate(client.started(plain.near, capduration=60, captureself=True))


def test_addresses_without_room_are_told_once(everywhere, wire):
    add_addresses(wire, MOST)
    client = everywhere.client
    session = client.started(wire.near, capduration=60)
    everywhere.kill("worker")
    wait_until(lambda: "not captured from" in client.get(session).get("errormsg", ""), 10, "the next worker")
    assert client.terminate(session)["errormsg"].count("and not for 1 others") == 1


def test_as_many_addresses_as_there_is_room_for(everywhere, wire):
    add_addresses(wire, MOST - 1)
    client = everywhere.client
    assert "errormsg" not in client.terminate(client.started(wire.near, capduration=60))
    assert len(left_out(client, wire.near)) == MOST
    pcap = capture_while(client, ask_for_much(client))
    assert tcp_ports(pcap) == set()


def test_the_firewall_leaves_it_out_as_well(client):
    session = client.started("lo", cappoint="DVFILTER", capduration=60)
    ask_for_much(client)()
    say(3)
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] >= 3, what="the packets of others")
    session = client.terminate(session)
    protocols = [data[9] for data in Pcap(session["filelocation"]).data()]
    assert protocols.count(17) == 3 and 6 not in protocols
    session = client.started("lo", cappoint="DVFILTER", capduration=60, captureself=True, capexpression="tcp")
    ask_for_much(client)()
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > 3, what="the API's packets")
    client.terminate(session)


# ---- streams ----

@pytest.fixture(params=[False, True], ids=["IPv4", "IPv6"])
def collector(request):
    one = Collector(ipv6=request.param)
    yield one
    one.remove()


def stream(client, interface, collector, **fields):
    return client.started(interface, capmode="STREAM", streamaddress=collector.address, capduration=60, **fields)


@pytest.mark.parametrize("own", [None, True])
@pytest.mark.parametrize("size", [100, 1514], ids=["whole", "in fragments"])
def test_a_stream_never_holds_itself(client, collector, own, size):
    """On the very interface that it leaves by: were it captured, every packet would make another one, for ever."""
    listener = collector.listen()
    session = stream(client, collector.near, collector, captureself=own, capexpression="ether proto 0x88b5 or ip or ip6")
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((collector.near, 0))
    frames = list(numbers(50, size=size))
    for frame in frames:
        sender.send(frame)
    sender.close()
    listener.wait_for(50)
    session = client.terminate(session)
    ours = [frame for frame in listener.frames() if frame[12:14] == b"\x88\xb5"]
    assert ours == frames
    # Neighbour discovery may come along; a stream of itself would be thousands.
    assert session["runtime"]["packets_streamed"] < 70


@pytest.mark.parametrize("size", [100, 1514], ids=["whole", "in fragments"])
def test_other_captures_leave_streams_out(client, make_wire, collector, size):
    wire = make_wire()
    listener = collector.listen()
    expression = "udp or (ip[6:2] & 0x1fff != 0) or (ip6 and ip6[6] = 44)"
    without = client.started(collector.near, capduration=60, capexpression=expression)
    within = client.started(collector.near, capduration=60, capexpression=expression, captureself=True)
    session = stream(client, wire.near, collector)
    wire.inward.send_all(numbers(30, size=size))
    listener.wait_for(30)
    client.terminate(session)
    held = client.wait_end(client.terminate(within))
    assert held["runtime"]["packets_captured"] >= 30
    assert client.terminate(without)["runtime"]["packets_captured"] == 0


def test_where_the_stream_arrives_it_is_known_by_its_addresses(make_daemon, make_collector_with_name):
    """In the collector's own namespace the mark is gone."""
    collector, directory = make_collector_with_name
    daemon = make_daemon("--netns-dirs", directory, "--ring-mb", "8").start()
    client = daemon.client
    listener = collector.listen()
    session = client.started("there/in0", cappoint="VNIC", capmode="STREAM", streamaddress=collector.address,
                             capduration=60)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sender.bind((collector.near, 0))
    for frame in numbers(40, size=1514):
        sender.send(frame)
    sender.close()
    listener.wait_for(40)
    session = client.terminate(session)
    assert session["runtime"]["packets_streamed"] < 60


@pytest.fixture
def make_collector_with_name(tmp_path):
    """A collector whose namespace has the name `there`, and the directory of that name."""
    collector = Collector()
    with collector.named(tmp_path / "netns") as directory:
        yield collector, directory
    collector.remove()


def test_many_clients_meanwhile(client):
    """The API under load from several connections, all of it left out."""
    def crowd():
        threads = [threading.Thread(target=ask_for_much(client)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert tcp_ports(capture_while(client, crowd)) == set()
