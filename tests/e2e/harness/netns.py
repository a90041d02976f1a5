"""Named network namespaces of the tests' own: files in a directory, with a namespace mounted on each. The suite's mount
namespace is private, so nothing of them is seen outside."""
import json
import os
import subprocess

from harness import sandbox
from harness.wait import wait_until
from harness.wire import PROBE, Sender

QUIET = "addrgenmode none arp off multicast off"


class Netns:
    def __init__(self, directory, name):
        self.path, self.name = f"{directory}/{name}", name
        open(self.path, "x").close()
        sandbox.run("unshare", f"--net={self.path}", "true")
        self.quieten()

    def quieten(self):
        off = "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done"
        self.run("sh", "-c", f"test ! -d /proc/sys/net/ipv6 || {{ {off}; }}; ip link set lo up")

    @property
    def inside(self):
        return "nsenter", f"--net={self.path}"

    def run(self, *words, **more):
        return sandbox.run(*self.inside, *words, **more)

    def ip(self, *commands):
        return self.run("ip", "-batch", "-", input="\n".join(commands) + "\n")

    def remove(self):
        if os.path.exists(self.path):
            sandbox.unmount(self.path)
            os.unlink(self.path)


class NetnsWire:
    """A veth pair: near (named like a container's, eth0) in a namespace, far in the suite's own."""

    def __init__(self, netns, far, near="eth0", mac="02:00:00:00:00:aa"):
        self.netns, self.near, self.far = netns, near, far
        sandbox.ip(f"link add {far} type veth peer name {near} address {mac} netns {netns.path}",
                   f"link set {far} {QUIET} up")
        netns.ip(f"link set {near} {QUIET} up")
        self.inward = Sender(far)
        wait_until(self.carries, what=f"the wire to {netns.name}/{near}")

    @property
    def capvalue(self):
        return f"{self.netns.name}/{self.near}"

    def carries(self):
        before = self.received()
        self.inward.send(PROBE)
        return self.received() > before

    def received(self):
        shown = json.loads(self.netns.run("ip", "-j", "-s", "link", "show", self.near))
        return shown[0]["stats64"]["rx"]["packets"]

    def remove(self):
        self.inward.close()
        subprocess.run(["ip", "link", "del", self.far], capture_output=True)
