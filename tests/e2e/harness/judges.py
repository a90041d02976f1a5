"""What a capture file holds, by our own reading and in the eyes of Wireshark's tools and tcpdump."""
import signal
import struct
import subprocess
from collections import namedtuple

from harness.sandbox import run
from harness.wait import wait_until

Packet = namedtuple("Packet", "ns captured length data")
MAGIC_NANOSECONDS = 0xA1B23C4D
MAGIC_MICROSECONDS = 0xA1B2C3D4


class Pcap:
    """A pcap file, read strictly: a torn record, a wrong length or bytes left over fail."""

    def __init__(self, source):
        blob = source if isinstance(source, bytes) else open(source, "rb").read()
        assert len(blob) >= 24, f"no room for a pcap header: {len(blob)} bytes"
        magic, major, minor, _, _, self.snaplen, self.linktype = struct.unpack_from("<IHHiIII", blob)
        assert (major, minor) == (2, 4)
        assert magic in (MAGIC_NANOSECONDS, MAGIC_MICROSECONDS)
        self.nanoseconds = magic == MAGIC_NANOSECONDS
        self.size = len(blob)
        self.packets = list(self.walk(blob))

    def walk(self, blob):
        at, unit = 24, 1 if self.nanoseconds else 1000
        while at < len(blob):
            assert at + 16 <= len(blob), f"a torn record header at byte {at}"
            seconds, fraction, captured, length = struct.unpack_from("<IIII", blob, at)
            at += 16
            assert captured <= length and captured <= self.snaplen
            assert at + captured <= len(blob), f"a torn packet at byte {at}"
            yield Packet(seconds * 10**9 + fraction * unit, captured, length, blob[at : at + captured])
            at += captured

    def __len__(self):
        return len(self.packets)

    def data(self):
        return [packet.data for packet in self.packets]

    def is_in_order(self):
        return all(a.ns <= b.ns for a, b in zip(self.packets, self.packets[1:]))


def capinfos_count(path):
    for line in run("capinfos", "-M", "-c", str(path)).splitlines():
        if line.startswith("Number of packets:"):
            return int(line.split(":")[1])
    raise AssertionError("capinfos says no number of packets")


def capinfos_accepts(path):
    done = subprocess.run(["capinfos", "-M", "-c", str(path)], capture_output=True, text=True)
    return done.returncode == 0


def tshark_count(path):
    """Reads the whole file with tshark, which must like it."""
    done = subprocess.run(["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "frame.number"],
                          capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "dangerous" not in line]
    assert done.returncode == 0 and not complaints, f"tshark: {done.returncode}: {complaints}"
    return len(done.stdout.splitlines())


class Tcpdump:
    """tcpdump writing a file while the service captures: the reference for filters."""

    def __init__(self, interface, path, *words, inside=()):
        """inside: words that run a command in another network namespace."""
        self.path = path
        self.process = subprocess.Popen(
            [*inside, "tcpdump", "-n", "-Z", "root", "-i", interface, "-B", "16384", "--immediate-mode", "-U", "-w", str(path),
             *words],
            stderr=subprocess.PIPE, text=True)

    def wait_until_it_listens(self):
        line = self.process.stderr.readline()
        assert "listening on" in line, line

    def stop(self, expected):
        """Ends it when it has so many packets, or shows that it does not get them."""
        try:
            wait_until(lambda: len(self.read()) >= expected, 2, "tcpdump's packets")
        except AssertionError:
            pass
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=10)
        return Pcap(self.path)

    def read(self):
        try:
            return Pcap(self.path)
        except (AssertionError, FileNotFoundError):
            return ()
