"""The API on IPv6: alone, and together with IPv4; and that its packets stay out of captures."""
import contextlib
import socket

import pytest
import urllib3

from harness import sandbox
from harness.client import Client, MANAGER
from harness.judges import Pcap
from harness.rawhttp import authorization
from harness.wait import wait_until

HEADER = 14  # of Ethernet
MARK = 4999  # UDP port of packets that every capture here must hold


def set_ipv6(interface, off):
    with open(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6", "w") as file:
        file.write(str(off))


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    """With ::1, and another address."""
    # It looked when it was loaded, which may have been where there was none.
    monkeypatch.setattr(urllib3.util.connection, "HAS_IPV6", True)
    set_ipv6("lo", 0)
    sandbox.ip("address add 2001:db8:6::1/128 dev lo nodad")
    yield
    sandbox.ip("address del 2001:db8:6::1/128 dev lo")
    set_ipv6("lo", 1)


def client_at(daemon, address):
    client = Client(daemon.port)
    client.base = f"http://{address}:{daemon.port}"
    return client


@pytest.fixture
def ipv6(make_daemon):
    daemon = make_daemon("--listen", "[::1]:0", "--ring-mb", "1").start()
    assert f"listening on http://[::1]:{daemon.port}" in daemon.text()
    return daemon


@pytest.fixture
def both(make_daemon):
    return make_daemon("--listen", "[::]:0", "--ring-mb", "1").start()


def ports_of(data):
    """(protocol, source port, target port) of an IPv6 frame, or an IPv4 one."""
    if data[12:14] == b"\x86\xdd":
        protocol, at = data[HEADER + 6], HEADER + 40
    else:
        protocol, at = data[HEADER + 9], HEADER + 4 * (data[HEADER] & 15)
    return protocol, int.from_bytes(data[at:at + 2], "big"), int.from_bytes(data[at + 2:at + 4], "big")


def tcp_ports(client, work):
    """Of what a capture on lo holds of it, by packets of IPv6 and IPv4 alike."""
    session = client.started("lo", cappoint="VMKNIC", capduration=60, capexpression="tcp or udp")
    work()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"a packet of others", ("::1", MARK))
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] >= 3, what="the packets of others")
    seen = [ports_of(data) for data in Pcap(client.terminate(session)["filelocation"]).data()]
    assert sum((protocol, target) == (17, MARK) for protocol, _, target in seen) == 3
    return {port for protocol, *ports in seen if protocol == 6 for port in ports}


def test_only_ipv6(ipv6):
    client = client_at(ipv6, "[::1]")
    session = client.terminate(client.started("lo", cappoint="VMKNIC", capduration=60))
    assert client.get(session)["sessionstatus"] == "STOPPED"
    assert client.download(session).content
    for address in ("127.0.0.1", "2001:db8:6::1"):
        with pytest.raises(OSError):
            socket.create_connection((address, ipv6.port), 5)


def test_both(both):
    for address in ("[::1]", "[2001:db8:6::1]", "127.0.0.1", "127.0.0.2"):
        assert client_at(both, address).list()["result_count"] == 0, address


def test_both_whatever_the_system_says(make_daemon):
    path = "/proc/sys/net/ipv6/bindv6only"
    with open(path, "w") as file:
        file.write("1")
    try:
        daemon = make_daemon("--listen", "[::]:0", "--ring-mb", "1").start()
        assert client_at(daemon, "127.0.0.1").list()["result_count"] == 0
    finally:
        with open(path, "w") as file:
            file.write("0")


@pytest.mark.parametrize("address, seen", [("[::1]", "::1"), ("[2001:db8:6::1]", "2001:db8:6::1"),
                                           ("127.0.0.1", "127.0.0.1")])
def test_clients_addresses(make_daemon, address, seen):
    """As the audit records them: IPv4 in its own form."""
    daemon = make_daemon("--listen", "[::]:0", "--ring-mb", "1").start()
    client = client_at(daemon, address)
    client.call("POST", f"{MANAGER}/session", json={})
    wait_until(lambda: client.json("GET", "/audit")["results"], what="the record")
    assert client.json("GET", "/audit")["results"][0]["address"] == seen


def ask(client, times=20):
    def work():
        for _ in range(times):
            client.list()
    return work


def test_own_traffic_stays_out(ipv6):
    client = client_at(ipv6, "[::1]")
    assert tcp_ports(client, ask(client)) == set()


def test_so_it_does_of_both(both):
    client = client_at(both, "[2001:db8:6::1]")
    assert tcp_ports(client, ask(client)) == set()
    assert tcp_ports(client, ask(client_at(both, "127.0.0.1"))) == set()
    assert tcp_ports(client, ask(client_at(both, "[::1]"))) == set()


def test_the_same_port_elsewhere_is_captured(ipv6):
    client = client_at(ipv6, "[::1]")

    def exchange():
        with socket.create_server(("2001:db8:6::1", ipv6.port), family=socket.AF_INET6) as server:
            with socket.create_connection(("2001:db8:6::1", ipv6.port)) as near:
                far, _ = server.accept()
                near.sendall(b"request")
                far.recv(100)
                far.close()

    assert ipv6.port in tcp_ports(client, exchange)


def test_a_network_of_64_bits_is_one_address(make_daemon):
    """Of connections; any other is another."""
    sandbox.ip(*(f"address add 2001:db8:7::{number}/128 dev lo nodad" for number in range(1, 5)),
               "address add 2001:db8:7:1::1/128 dev lo nodad")
    daemon = make_daemon("--listen", "[::]:0", "--max-connections-per-address", "3", "--ring-mb", "1")
    daemon.expect_log(r"connections from 2001:db8:7::4 were closed: it has 3")
    daemon.start()
    request = f"GET {MANAGER}/sessions HTTP/1.1\r\nHost: localhost\r\n{authorization()}\r\n\r\n".encode()

    def ask_from(address, to, held):
        connection = held.enter_context(socket.create_connection((to, daemon.port), 10, source_address=(address, 0)))
        try:
            connection.sendall(request)
            return connection.recv(12)
        except ConnectionError:
            return b""

    with contextlib.ExitStack() as held:
        for number in range(1, 4):
            assert ask_from(f"2001:db8:7::{number}", "::1", held) == b"HTTP/1.1 200"
        assert ask_from("2001:db8:7::4", "::1", held) == b""
        assert ask_from("2001:db8:7:1::1", "::1", held) == b"HTTP/1.1 200"
        assert ask_from("127.0.0.5", "127.0.0.1", held) == b"HTTP/1.1 200"
