"""A stream's own packets that come back as something else: wrapped in another tunnel, translated, quoted in an ICMP
error. Neither mark nor address tells them then. None may beget another: what is streamed is what the tests sent."""
import contextlib
import re
import socket
import subprocess

import pytest

from harness import sandbox
from harness.collector import Collector
from harness.frames import numbers
from harness.wait import wait_until
from harness.wire import Sender

COUNT = 30
VXLAN_PORT, VXLAN_MACS = 4789, ("02:00:00:0a:00:01", "02:00:00:0a:00:02")


@pytest.fixture
def collector():
    one = Collector()
    yield one
    one.remove()


@pytest.fixture
def there(collector, make_daemon, tmp_path):
    """A client of a daemon that can capture as there/in0: where the stream arrives, and its mark is gone."""
    with collector.named(tmp_path / "netns") as directory:
        yield make_daemon("--netns-dirs", directory, "--ring-mb", "8").start().client


def stream(client, interface, address, **fields):
    return client.started(interface, capmode="STREAM", streamaddress=address, capduration=60, **fields)


def total(session):
    """Every packet that the stream took."""
    return session["runtime"]["packets_streamed"] + session["runtime"]["packets_unsent"]


def send_and_stop(client, session, send):
    """How many packets the stream took of two lots: by the second, what the first has begotten is in it. An echo of an
    echo would go on and on."""
    for count in (COUNT, 2 * COUNT):
        send()
        wait_until(lambda: total(client.get(session)) >= count, what=f"{count} packets in the stream")
    session = client.terminate(session)
    assert session["sessionstatus"] == "STOPPED"
    return total(session)


def frames_through(interface, size=100):
    def send():
        sender = Sender(interface)
        sender.send_all(numbers(COUNT, size=size))
        sender.close()

    return send


# ---- wrapped ----


def vxlan(collector):
    """A VXLAN network between here and the collector's host. Returns the collector's address in it."""
    ends = [(collector.near, collector.local, collector.address, ()),
            ("in0", collector.address, collector.local, collector.enter)]
    for number, (lower, local, remote, enter) in enumerate(ends, 1):
        own, other = VXLAN_MACS[number - 1], VXLAN_MACS[2 - number]
        sandbox.run(*enter, "ip", "-batch", "-", input="\n".join([
            f"link add overlay address {own} mtu 1450 type vxlan id 7 dstport {VXLAN_PORT} local {local} "
            f"remote {remote} dev {lower}",
            "link set overlay addrgenmode none multicast off up", f"address add 10.78.0.{number}/24 dev overlay",
            f"neigh add 10.78.0.{3 - number} lladdr {other} dev overlay nud permanent"]) + "\n")
    return "10.78.0.2"


@pytest.fixture
def overlay(collector):
    made = subprocess.run(["ip", "link", "add", "kindtest", "type", "vxlan", "id", "1", "dstport", "1"], capture_output=True)
    if made.returncode != 0:
        pytest.skip("this kernel has no VXLAN interfaces")
    sandbox.ip("link del kindtest")
    yield vxlan(collector)
    sandbox.ip("link del overlay")


@pytest.mark.parametrize("interface", ["near", "there/in0"])
def test_wrapped_in_vxlan(collector, overlay, there, interface):
    """The stream's way leads through a tunnel, and the tunnel's through the interface that is captured."""
    collector.address = overlay
    listener = collector.listen()
    capvalue = collector.near if interface == "near" else interface
    session = stream(there, capvalue, overlay, capexpression=f"ether proto 0x88b5 or udp port {VXLAN_PORT}")
    assert send_and_stop(there, session, frames_through(collector.near)) == 2 * COUNT
    assert listener.frames() == 2 * list(numbers(COUNT, size=100))


@pytest.mark.parametrize("size", [1514])
def test_wrapped_in_fragments(collector, overlay, there, size):
    """Only the first fragment holds what a stream knows its packets by. The others become packets of the stream, but
    ever smaller ones: so they come to an end."""
    collector.address = overlay
    collector.listen()
    session = stream(there, "there/in0", overlay, capexpression=f"ether proto 0x88b5 or udp port {VXLAN_PORT}")
    assert 2 * COUNT <= send_and_stop(there, session, frames_through(collector.near, size)) <= 6 * COUNT


# ---- translated ----


@contextlib.contextmanager
def translation(address, port, to):
    """What this host sends there goes elsewhere."""
    sandbox.run("nft", "-f", "-", input=f"""table ip echotest {{
        chain c {{
            type nat hook output priority -100
            ip daddr {address} udp dport {port} dnat to {to}
        }}
    }}
    """)
    yield
    sandbox.run("nft", "delete", "table", "ip", "echotest")


@pytest.mark.parametrize("interface", ["near", "there/in0"])
def test_translated(collector, there, interface):
    """The collector stands behind an address and a port that lead elsewhere."""
    service = collector.address.rsplit(".", 1)[0] + ".99"
    listener = collector.listen(5555)
    capvalue = collector.near if interface == "near" else interface
    with translation(service, 4754, f"{collector.address}:5555"):
        session = stream(there, capvalue, service, capexpression="ether proto 0x88b5 or udp")
        assert send_and_stop(there, session, frames_through(collector.near)) == 2 * COUNT
    assert listener.frames() == 2 * list(numbers(COUNT, size=100))


# ---- quoted ----


def datagrams_to(address, port):
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(COUNT):
                sender.sendto(b"number %d" % number, (address, port))

    return send


@pytest.mark.parametrize("cappoint", ["VMKNIC", "DVFILTER"])
@pytest.mark.parametrize("snaplen", [0, 40])
def test_quoted_on_the_loopback_interface(client, cappoint, snaplen):
    """Where nobody rations ICMP errors: each packet of the stream is answered with one, which quotes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))  # packets that are nobody's would be quoted as well
        session = stream(client, "lo", "127.0.0.1", cappoint=cappoint, capsnaplen=snaplen, capexpression="udp or icmp")
        assert send_and_stop(client, session, datagrams_to("127.0.0.1", target.getsockname()[1])) == 2 * COUNT
    assert re.search("port unreachable", client.get(session)["errormsg"])


@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_quoted_by_the_collectors_host(client, ipv6):
    collector = Collector(ipv6=ipv6)
    try:
        session = stream(client, collector.near, collector.address,
                         capexpression="ether proto 0x88b5 or icmp or icmp6[icmp6type] = icmp6-destinationunreach")
        assert send_and_stop(client, session, frames_through(collector.near)) == 2 * COUNT
        assert "port unreachable" in client.get(session)["errormsg"]
    finally:
        collector.remove()


def test_what_only_looks_like_an_echo(client, collector):
    """Another's GRE, and another's packet within GRE, are what they are: packets of others."""
    listener = collector.listen()
    session = stream(client, collector.near, collector.address, capexpression="ether proto 0x88b5 or udp port 4755")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for frame in numbers(COUNT, first=1000):
            sender.sendto(b"\0\0\x65\x58" + frame, (collector.address, 4755))
    wait_until(lambda: total(client.get(session)) == COUNT, what="the packets of others")
    frames_through(collector.near)()
    wait_until(lambda: total(client.get(session)) == 2 * COUNT, what="the frames")
    client.terminate(session)
    assert len(listener.frames()) == 2 * COUNT
