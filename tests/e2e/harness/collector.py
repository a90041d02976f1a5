"""Collectors of streams: hosts of their own, in a network namespace each, at the far end of a veth."""
import contextlib
import itertools
import os
import socket
import subprocess
import threading

from harness import sandbox
from harness.judges import Tcpdump
from harness.wait import wait_until

NUMBERS = itertools.count(1)
STREAM_PORT = 4754
GRE_ETHERNET, GRE_IPV4, GRE_IPV6 = b"\0\0\x65\x58", b"\0\0\x08\x00", b"\0\0\x86\xdd"


def in_namespace(path, make):
    """What make() gives in another network namespace: a socket stays where it was made."""
    results = []

    def work():
        with open(path) as namespace:
            sandbox.check(sandbox.libc.setns(namespace.fileno(), sandbox.CLONE_NEWNET), "setns")
        results.append(make())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results, "it failed in the other namespace"
    return results[0]


class Listener:
    """A UDP socket of the collector: gets whole datagrams with a good checksum, from any source port."""

    def __init__(self, collector, port=STREAM_PORT):
        family = socket.AF_INET6 if ":" in collector.address else socket.AF_INET

        def make():
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            made.bind((collector.address, port))
            return made

        self.socket = in_namespace(collector.namespace, make)
        self.socket.setblocking(False)
        self.payloads, self.ports = [], []

    def read(self):
        """Everything that arrived so far: GRE and packet."""
        while True:
            try:
                payload, source = self.socket.recvfrom(1 << 16)
            except BlockingIOError:
                return self.payloads
            self.payloads.append(payload)
            self.ports.append(source[1])

    def wait_for(self, count, timeout=5):
        wait_until(lambda: len(self.read()) >= count, timeout, f"{count} packets at the collector")
        return self.frames()

    def frames(self):
        assert all(payload[:4] == GRE_ETHERNET for payload in self.read())
        return [payload[4:] for payload in self.payloads]

    def close(self):
        self.socket.close()


class Collector:
    def __init__(self, ipv6=False, mtu=1500):
        number = next(NUMBERS)
        self.near, self.ipv6 = f"out{number}", ipv6
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.namespace = f"/proc/{self.process.pid}/ns/net"
        wait_until(lambda: os.stat(self.namespace).st_ino != sandbox.here(), what="the collector's namespace")
        self.enter = ("nsenter", f"--net={self.namespace}")
        self.listeners, network = [], f"fd00:{number:x}::" if ipv6 else f"10.77.{number}."
        self.local, self.address = f"{network}1", f"{network}2"
        macs = [f"02:00:00:0c:{number:02x}:{end:02x}" for end in (1, 2)]
        self.quieten()
        sandbox.ip(f"link add {self.near} mtu {mtu} address {macs[0]} type veth "
                   f"peer name in0 mtu {mtu} address {macs[1]} netns {self.process.pid}")
        self.configure(self.near, self.local, self.address, macs[1])
        self.configure("in0", self.address, self.local, macs[0], *self.enter)
        self.wait_until_it_answers()

    def quieten(self):
        """Whatever its host says by itself would be captured on the near end."""
        off = "for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done"
        sandbox.run(*self.enter, "sh", "-c", f"test ! -d /proc/sys/net/ipv6 || {{ {off}; }}")
        sandbox.run(*self.enter, "nft", "-f", "-", input="table inet quiet { chain c { type filter hook output priority 0"
                    "\nicmpv6 type mld2-listener-report drop\n}\n}\n")

    def configure(self, interface, address, other, other_mac, *enter):
        if self.ipv6:
            sandbox.run(*enter, "sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
        prefix, quickly = ("64", "nodad") if self.ipv6 else ("24", "")
        sandbox.run(*enter, "ip", "-batch", "-", input="\n".join([
            f"link set {interface} addrgenmode none", f"address add {address}/{prefix} dev {interface} {quickly}",
            f"link set {interface} up",
            f"neigh add {other} lladdr {other_mac} dev {interface} nud permanent"]) + "\n")

    def wait_until_it_answers(self):
        """A fresh veth drops packets until the kernel has noticed its carrier."""
        wait_until(lambda: subprocess.run(["ping", "-c1", "-W1", self.address], capture_output=True).returncode == 0
                   if os.path.exists("/bin/ping") else self.echoes(), what="the collector's host")

    def echoes(self):
        listener = Listener(self, 9)
        with socket.socket(listener.socket.family, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"probe", (self.address, 9))
        try:
            wait_until(listener.read, 0.2)
            return True
        except AssertionError:
            return False
        finally:
            listener.close()

    @contextlib.contextmanager
    def named(self, directory, name="there"):
        """Its namespace has a name in that directory, so that captures can be made in it."""
        directory.mkdir(mode=0o755)
        (directory / name).touch()
        sandbox.run("mount", "--bind", self.namespace, str(directory / name))
        for parent in [directory, *directory.parents][:3]:  # the service's user goes there too
            parent.chmod(parent.stat().st_mode | 0o055)
        yield directory
        sandbox.run("umount", str(directory / name))

    def listen(self, port=STREAM_PORT):
        self.listeners.append(Listener(self, port))
        return self.listeners[-1]

    def tcpdump(self, path, *words):
        dump = Tcpdump("in0", path, *words, inside=self.enter)
        dump.wait_until_it_listens()
        return dump

    def remove(self):
        for listener in self.listeners:
            listener.close()
        sandbox.run("ip", "link", "del", self.near)
        self.process.kill()
        self.process.wait()
