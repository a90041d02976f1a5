"""The broker: lives and dies with its worker, and gives front ends no more than they may have."""
import array
import glob
import os
import socket
import struct
import time

import pytest

from harness import sandbox
from harness.daemon import alive
from harness.frames import number_of, numbers
from harness.judges import Pcap
from harness.wait import SLOW, wait_until

ROUTE_SOCKET, LIST_NETNS, ABILITIES, PACKET_SOCKET, PUBLISH, FIREWALL_OPEN, FIREWALL_CLOSE = range(1, 8)
REQUEST_SIZE = 640  # broker/message.h


class FrontEnd(socket.socket):
    """A client like the front end's, by hand."""

    def __init__(self, daemon):
        super().__init__(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        [path] = glob.glob(f"{daemon.data}/workers/*.broker")
        self.settimeout(5 * SLOW)
        directory = os.open(os.path.dirname(path), os.O_RDONLY)  # the path may be longer than addresses are
        address = f"/proc/self/fd/{directory}/{os.path.basename(path)}"
        wait_until(lambda: self.connects(address), 10, "a place in the broker's queue")
        os.close(directory)

    def connects(self, address):
        """A socket with a time limit does not wait for a full queue."""
        try:
            self.connect(address)
            return True
        except BlockingIOError:
            return False

    def ask(self, verb, netns=b"", size=REQUEST_SIZE, serial=7):
        """(answer, descriptors), or None if the broker closed the connection."""
        request = struct.pack("=IiQ", verb, socket.SOCK_RAW, serial) + netns
        try:
            self.send(request.ljust(size, b"\0")[:size])
            answer, ancillary, _, _ = self.recvmsg(65536, socket.CMSG_SPACE(4))
        except (BrokenPipeError, ConnectionResetError):
            return None
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        return (answer, list(descriptors)) if answer else None


def pid_of(daemon, role):
    return wait_until(lambda: daemon.pid(role), 10, f"the {role}")


# ---- life and death ----

@pytest.mark.parametrize("number", [6, 9, 15])
def test_the_broker_dies_with_the_worker(daemon, number):
    worker, broker = daemon.pid("worker"), daemon.pid("broker")
    daemon.expect_log(r"was killed by signal \d+", "pktcap-worker ended with status 0")
    sandbox.kill(worker, number)
    wait_until(lambda: not alive(broker), 3, "the end of the broker")
    wait_until(lambda: daemon.pid("broker") not in (None, broker), 10, "the next one")


def test_the_worker_ends_with_the_broker_and_captures_go_on(daemon, wire):
    daemon.expect_log("the broker has ended unexpectedly", "pktcap-worker ended with status 70")
    client = daemon.client
    session = client.started(wire.near, capduration=100)
    wire.inward.send_all(numbers(50))
    worker = daemon.pid("worker")
    sandbox.kill(daemon.pid("broker"))
    wait_until(lambda: not alive(worker), 5, "the end of the worker")
    wait_until(lambda: "not captured from" in client.get(session).get("errormsg", ""), 10, "the next worker")
    wire.inward.send_all(numbers(50, first=50))
    ended = client.terminate(session)
    assert ended["sessionstatus"] == "STOPPED"
    assert [number_of(one) for one in Pcap(ended["filelocation"]).data()] == list(range(100))


@pytest.mark.parametrize("number", [2, 15])
def test_signals_for_all_do_not_end_the_broker_early(daemon, wire, number):
    """As systemd sends them to a whole unit, and a terminal to a process group."""
    broker = daemon.pid("broker")
    sandbox.kill(broker, number)
    session = daemon.client.started(wire.near, capduration=100)
    daemon.client.terminate(session)
    assert daemon.pid("broker") == broker


def test_nothing_is_left_in_the_data_directory(make_daemon):
    daemon = make_daemon().start()
    assert len(glob.glob(f"{daemon.data}/workers/*.broker")) == 1
    daemon.stop()
    assert os.listdir(daemon.data / "workers") == []


def test_what_killed_workers_leave_is_cleared(daemon, wire):
    daemon.kill("worker")
    wait_until(lambda: pid_of(daemon, "worker") and daemon.client.points().get("abilities"), 10, "the next worker")
    daemon.client.terminate(daemon.client.started(wire.near, capduration=60))  # rings
    assert len(glob.glob(f"{daemon.data}/workers/*.broker")) == 1
    assert len(glob.glob(f"{daemon.data}/workers/*.sock")) == 1


def test_a_stopped_broker_hangs_nobody_for_long(daemon, wire):
    """The front end gives up after some seconds; the worker's other captures go on."""
    session = daemon.client.started(wire.near, capduration=100)
    broker = daemon.pid("broker")
    sandbox.kill(broker, 19)
    try:
        began = time.monotonic()
        response = daemon.client.call("GET", "/api/v1/pktcap/points")
        assert time.monotonic() - began < 15 * SLOW
        assert response.status_code in (200, 500)
        wire.inward.send_all(numbers(10))
        wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 10, what="10 packets")
    finally:
        sandbox.kill(broker, 18)
    assert daemon.client.points()["abilities"]["capture"]
    daemon.client.terminate(session)


# ---- front ends ----

def test_what_a_front_end_may_ask(daemon):
    with FrontEnd(daemon) as client:
        for serial in range(3):
            answer, descriptors = client.ask(ROUTE_SOCKET, serial=serial)
            assert struct.unpack_from("=Q", answer)[0] == serial
            with socket.socket(fileno=descriptors[0]) as route:
                assert (route.family, route.type, route.proto) == (socket.AF_NETLINK, socket.SOCK_RAW, 0)
        assert client.ask(LIST_NETNS)[1] == [] and client.ask(ABILITIES)[1] == []


@pytest.mark.parametrize("verb", [0, PACKET_SOCKET, PUBLISH, FIREWALL_OPEN, FIREWALL_CLOSE, 8, 2**32 - 1])
def test_what_a_front_end_may_not_ask(daemon, verb):
    with FrontEnd(daemon) as client, FrontEnd(daemon) as other:
        assert client.ask(verb) is None
        assert other.ask(ABILITIES) is not None, "it ends one connection, and nothing else"


@pytest.mark.parametrize("size", [1, 16, REQUEST_SIZE - 1, REQUEST_SIZE + 1, 60000])
def test_messages_of_another_size_end_the_connection(daemon, size):
    with FrontEnd(daemon) as client:
        assert client.ask(ROUTE_SOCKET, size=size) is None
    with FrontEnd(daemon) as client:
        assert client.ask(ROUTE_SOCKET) is not None


@pytest.mark.parametrize("netns", [b".", b"..", b"a/b", b"/run/netns/x", b"x" * 256, b"\xff\xfe"])
def test_names_that_are_none(daemon, netns):
    with FrontEnd(daemon) as client:
        answer, descriptors = client.ask(ROUTE_SOCKET, netns)
        assert descriptors == [] and b"there is no network namespace" in answer


def test_a_crowd_that_says_nothing_keeps_nobody_out(daemon, wire):
    crowd = [FrontEnd(daemon) for _ in range(400)]
    began = time.monotonic()
    daemon.client.terminate(daemon.client.started(wire.near, capduration=60))
    assert daemon.client.points()["abilities"]["capture"]
    assert time.monotonic() - began < 3 * SLOW
    files = os.listdir(f"/proc/{daemon.pid('broker')}/fd")
    assert len(files) < 160, "their number is bounded"
    for client in crowd:
        client.close()


def test_one_that_does_not_read_keeps_nobody_out(daemon):
    with FrontEnd(daemon) as deaf:
        deaf.setblocking(False)
        try:
            for _ in range(10000):
                deaf.send(struct.pack("=IiQ", LIST_NETNS, 0, 1).ljust(REQUEST_SIZE, b"\0"))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        with FrontEnd(daemon) as client:
            assert client.ask(ABILITIES) is not None


def test_descriptors_sent_to_the_broker_are_closed(daemon):
    broker = daemon.pid("broker")
    with FrontEnd(daemon) as client, open("/dev/null") as file:
        client.sendall(struct.pack("=IiQ", ABILITIES, 0, 1).ljust(REQUEST_SIZE, b"\0"))
        assert client.recv(65536)
        before = len(os.listdir(f"/proc/{broker}/fd"))
        for _ in range(50):
            request = struct.pack("=IiQ", ABILITIES, 0, 1).ljust(REQUEST_SIZE, b"\0")
            client.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
            assert client.recv(65536)
        wait_until(lambda: len(os.listdir(f"/proc/{broker}/fd")) <= before, 5, "the last one's end")
