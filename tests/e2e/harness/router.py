"""The suite's namespace as a router between two hosts, each in a network namespace of its own, over IPv4 and IPv6."""
import os
import socket
import threading

from harness import sandbox
from harness.sandbox import CLONE_NEWNET, check, libc
from harness.wait import wait_until
from harness.wire import NUMBERS, settle


def in_thread(work):
    """A thread's network namespace is its own affair: what it does there harms nobody."""
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except BaseException as problem:  # noqa: BLE001: raised below
            outcome.append((None, problem))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, problem = outcome[0]
    if problem:
        raise problem
    return value


def setting(path, value):
    with open(f"/proc/sys/net/{path}", "w") as file:
        file.write(str(value))


class Host:
    """A network namespace; sockets made by do() stay in it."""

    def __init__(self):
        def make():
            check(libc.unshare(CLONE_NEWNET), "unshare")
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        self.file = in_thread(make)
        self.path = f"/proc/{os.getpid()}/fd/{self.file}"
        self.do(lambda: sandbox.ip("link set lo up"))

    def do(self, work):
        def there():
            check(libc.setns(self.file, CLONE_NEWNET), "setns")
            return work()

        return in_thread(there)

    def close(self):
        os.close(self.file)


class Here:
    """The router itself, in a host's clothes."""

    @staticmethod
    def do(work):
        return work()


class Router:
    """left and right are the router's interfaces; left_host and right_host hang behind them. Addresses: the router has
    .1 and ::1, hosts .2 and ::2, in 10.LEFT.0.0/24, fd00:LEFT::/64 and so on."""

    def __init__(self):
        number = next(NUMBERS)
        self.left, self.right = f"left{number}", f"right{number}"
        self.hosts = {self.left: Host(), self.right: Host()}
        self.left_host, self.right_host = self.hosts.values()
        self.here = Here()
        setting("ipv4/ip_forward", 1)
        for side, (interface, host) in enumerate(self.hosts.items(), 1):
            self.connect(side, interface, host)
        setting("ipv6/conf/all/forwarding", 1)
        setting("ipv6/conf/lo/disable_ipv6", 0)
        for host, side in ((self.left_host, 1), (self.right_host, 2)):
            for to in (self.here, self.right_host if side == 1 else self.left_host):
                wait_until(lambda: self.carries(host, to), what="the router to carry")

    def connect(self, side, interface, host):
        near, far = f"02:00:00:01:00:{side:02x}", f"02:00:00:02:00:{side:02x}"
        sandbox.ip(f"link add {interface} address {near} type veth peer name e0 address {far} "
                   f"netns {host.path}")
        setting(f"ipv6/conf/{interface}/disable_ipv6", 0)
        sandbox.ip(*self.commands(interface, side, 1, far))

        def configure():
            # Reports of multicast groups come when they like, and would be counted as packets.
            sandbox.run("nft", "-f", "-", input="table inet quiet { chain c { type filter hook output priority 0;"
                        "icmpv6 type mld2-listener-report drop\n}\n}\n")
            setting("ipv6/conf/e0/disable_ipv6", 0)
            sandbox.ip(*self.commands("e0", side, 2, near),
                       f"route add default via 10.{side}.0.1", f"route add ::/0 via fd00:{side}::1")

        host.do(configure)

    @staticmethod
    def commands(interface, side, number, other_mac):
        other = 3 - number
        return [f"link set {interface} addrgenmode none", f"link set {interface} up",
                f"addr add 10.{side}.0.{number}/24 dev {interface}",
                f"addr add fd00:{side}::{number}/64 dev {interface} nodad",
                f"neigh add 10.{side}.0.{other} lladdr {other_mac} dev {interface} nud permanent",
                f"neigh add fd00:{side}::{other} lladdr {other_mac} dev {interface} nud permanent"]

    def address(self, host, family=4, seen_from=None):
        """Of the router: its address on the side of seen_from."""
        if host is self.here:
            side, number = (2 if seen_from is self.right_host else 1), 1
        else:
            side, number = (1 if host is self.left_host else 2), 2
        return f"10.{side}.0.{number}" if family == 4 else f"fd00:{side}::{number}"

    def carries(self, source, target):
        """Each over IPv4 and IPv6, and somebody listens, so that no errors come back."""
        for family in (4, 6):
            with self.listen(target, family, 7) as listener:
                self.send(source, target, family, 7, [b"probe"])
                listener.settimeout(0.2)
                try:
                    listener.recv(100)
                except TimeoutError:
                    return False
        return True

    @staticmethod
    def socket(host, family):
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        return host.do(lambda: socket.socket(kind, socket.SOCK_DGRAM))

    def listen(self, host, family, port):
        listener = self.socket(host, family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0" if family == 4 else "::", port))
        return listener

    def send(self, source, target, family, port, payloads, address=None):
        address = address or self.address(target, family, source)
        with self.socket(source, family) as sender:
            for payload in payloads:
                try:
                    sender.sendto(payload, (address, port))
                except PermissionError:  # dropped by an output rule
                    pass
        settle()

    def remove(self):
        for interface in self.hosts:
            sandbox.ip(f"link del {interface}")
        for host in self.hosts.values():
            host.close()
        setting("ipv4/ip_forward", 0)
        setting("ipv6/conf/all/forwarding", 0)
        setting("ipv6/conf/lo/disable_ipv6", 1)
