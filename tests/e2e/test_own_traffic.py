"""The service's own traffic: left out of captures, unless captureself asks for it; and a stream never holds itself."""
import socket
import threading

import pytest

from harness.collector import Collector
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
    pcap = capture_while(client, lambda: exchange("127.0.0.1", 18080))
    assert 18080 in tcp_ports(pcap)


def test_every_address_if_it_listens_on_all(make_daemon):
    daemon = make_daemon("--listen", "0.0.0.0:21999", "--ring-mb", "8", port=21999).start()
    pcap = capture_while(daemon.client, ask_for_much(daemon.client))
    assert tcp_ports(pcap) == set()


def test_the_ports_of_a_proxy(make_daemon):
    daemon = make_daemon("--api-ports", "18443,18444", "--ring-mb", "8").start()
    pcap = capture_while(daemon.client, lambda: [exchange("127.0.0.1", port) for port in (18443, 18444, 18445)])
    assert {18443, 18444} & tcp_ports(pcap) == set()
    assert 18445 in tcp_ports(pcap)


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
