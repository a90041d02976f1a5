"""Wires: veth pairs without any traffic but the tests' own, and sockets that put frames on them."""
import itertools
import socket
import time

from harness import sandbox
from harness.wait import wait_until

NUMBERS = itertools.count(1)
PROBE = bytes.fromhex("0200000000fe0200000000ff88b6") + bytes(46)


def statistic(interface, name):
    with open(f"/sys/class/net/{interface}/statistics/{name}") as file:
        return int(file.read())


def backlog():
    """Packets that wait, on any CPU, for the kernel to hand them to their interface."""
    with open("/proc/net/softnet_stat") as file:
        rows = [line.split() for line in file]
    return sum(int(row[11], 16) for row in rows if len(row) > 11)


def settle():
    """Until what was sent has arrived: on a busy machine a thread of the kernel's does that when its turn comes."""
    wait_until(lambda: backlog() == 0, what="the kernel to hand the packets over", pause=0.001)


class Sender:
    """A raw socket on one interface: what it sends leaves there as it stands, and has arrived when it says so."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((interface, 0))

    def put(self, frame):
        """As send, but it may still be on its way."""
        for _ in range(1000):
            try:
                self.socket.send(frame)
                return
            except OSError as problem:
                if problem.errno != 105:  # ENOBUFS: the queue is full
                    raise
                time.sleep(0.001)
        raise AssertionError("the interface takes no frames")

    def send(self, frame):
        self.put(frame)
        settle()

    def send_all(self, frames):
        for frame in frames:
            self.put(frame)
        settle()

    def close(self):
        self.socket.close()


class Wire:
    """near is where the service captures; far is the other end. Both are in the suite's namespace."""

    def __init__(self, mtu=1500):
        number = next(NUMBERS)
        self.near, self.far = f"near{number}", f"far{number}"
        self.near_mac, self.far_mac = (f"02:00:00:{end:02x}:{number >> 8:02x}:{number & 255:02x}" for end in (1, 2))
        sandbox.ip(
            f"link add {self.near} mtu {mtu} address {self.near_mac} type veth "
            f"peer name {self.far} mtu {mtu} address {self.far_mac}",
            *(f"link set {end} addrgenmode none arp off multicast off up" for end in (self.near, self.far)),
        )
        self.inward, self.outward = Sender(self.far), Sender(self.near)
        self.wait_until_it_carries()

    def wait_until_it_carries(self):
        """A fresh veth drops frames until the kernel has noticed its carrier."""
        for sender, other in ((self.inward, self.near), (self.outward, self.far)):
            wait_until(lambda: self.carries(sender, other), what=f"the wire to {other}")

    @staticmethod
    def carries(sender, other):
        before = statistic(other, "rx_packets")
        sender.send(PROBE)
        return statistic(other, "rx_packets") > before

    def received(self):
        """Frames that came in at the near end so far."""
        return statistic(self.near, "rx_packets")

    def remove(self):
        self.inward.close()
        self.outward.close()
        if exists(self.near):
            sandbox.ip(f"link del {self.near}")


def exists(interface):
    return interface in (name for _, name in socket.if_nameindex())
