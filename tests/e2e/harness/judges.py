"""What a capture file holds, by our own reading and in the eyes of Wireshark's tools and tcpdump."""
import signal
import struct
import subprocess
from collections import namedtuple

from harness.sandbox import run
from harness.wait import wait_until

Packet = namedtuple("Packet", "ns captured length data")
PacketTold = namedtuple("PacketTold", "ns captured length data direction")
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


class Section:
    """One section of a PCAPNG file: its header's and interface's options by code, packets, and statistics, or None."""

    def __init__(self, options):
        self.options, self.interface, self.statistics = options, None, None
        self.snaplen = self.linktype = None
        self.packets = []


class Pcapng:
    """A PCAPNG file as we write it, read strictly (draft-ietf-opsawg-pcapng): a torn or unknown block, a wrong length,
    padding that is not zero or blocks in another order fail."""

    def __init__(self, source):
        blob = source if isinstance(source, bytes) else open(source, "rb").read()
        self.size, self.sections = len(blob), []
        at = 0
        while at < len(blob):
            assert at + 12 <= len(blob), f"a torn block at byte {at}"
            kind, length = struct.unpack_from("<II", blob, at)
            assert length % 4 == 0 and length >= 12 and at + length <= len(blob), f"a torn block at byte {at}"
            assert struct.unpack_from("<I", blob, at + length - 4) == (length,), f"the lengths at byte {at} differ"
            self.block(kind, blob[at + 8 : at + length - 4])
            at += length
        assert self.sections and all(section.interface is not None for section in self.sections)

    def block(self, kind, body):
        {0x0A0D0D0A: self.section, 1: self.interface, 6: self.packet, 5: self.statistics}[kind](body)

    def section(self, body):
        assert struct.unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
        self.sections.append(Section(options(body[16:])))

    def interface(self, body):
        section = self.sections[-1]
        assert section.interface is None
        section.linktype, reserved, section.snaplen = struct.unpack_from("<HHI", body)
        section.interface = options(body[8:])
        assert reserved == 0 and section.interface[9] == b"\x09"

    def packet(self, body):
        section = self.sections[-1]
        number, high, low, captured, length = struct.unpack_from("<IIIII", body)
        assert section.interface is not None and section.statistics is None and number == 0
        assert captured <= length and captured <= section.snaplen
        end = 20 + captured + -captured % 4
        assert not any(body[20 + captured : end])
        flags = options(body[end:])
        assert set(flags) <= {2}
        direction = {0: None, 1: "in", 2: "out"}[struct.unpack("<I", flags.get(2, bytes(4)))[0]]
        section.packets.append(PacketTold((high << 32) + low, captured, length, body[20 : 20 + captured], direction))

    def statistics(self, body):
        section = self.sections[-1]
        assert section.statistics is None and struct.unpack_from("<I", body) == (0,)
        found = options(body[12:])
        names = {4: "ifrecv", 5: "ifdrop", 6: "filteraccept", 7: "osdrop", 8: "usrdeliv"}
        assert set(found) == {2, 3, *names}
        section.statistics = {name: struct.unpack("<Q", found[code])[0] for code, name in names.items()}
        for code, name in ((2, "starttime"), (3, "endtime")):
            high, low = struct.unpack("<II", found[code])
            section.statistics[name] = (high << 32) + low

    @property
    def packets(self):
        return [packet for section in self.sections for packet in section.packets]

    def __len__(self):
        return len(self.packets)

    def data(self):
        return [packet.data for packet in self.packets]

    def is_in_order(self):
        return all(a.ns <= b.ns for a, b in zip(self.packets, self.packets[1:]))


def options(blob):
    """The options of a block by their codes; each at most once."""
    found, at = {}, 0
    while at < len(blob):
        code, length = struct.unpack_from("<HH", blob, at)
        at += 4
        if code == 0:
            assert length == 0
            break
        assert code not in found and at + length <= len(blob)
        found[code] = blob[at : at + length]
        at += length + -length % 4
    assert at == len(blob)
    return found


def read_capture(path):
    """By the file's own name."""
    return Pcapng(path) if str(path).endswith(".pcapng") else Pcap(path)


def accepted(path):
    """Holds capinfos and tshark to having no complaint, and returns how many packets they see."""
    done = subprocess.run(["capinfos", "-M", str(path)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "dangerous" not in line]
    assert done.returncode == 0 and not complaints, f"capinfos: {done.returncode}: {complaints}"
    count = tshark_count(path)
    assert count == capinfos_count(path)
    return count


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
        """inside: words that run a command in another network namespace. Its ring has as many places as fit packets of
        the greatest length it keeps: a thousand, unless words say otherwise (-s, -B)."""
        self.path = path
        self.process = subprocess.Popen(
            [*inside, "tcpdump", "-n", "-Z", "root", "-i", interface, "-B", "16384", "-s", "9500", "--immediate-mode", "-U",
             "-w", str(path), *words],
            stderr=subprocess.PIPE, text=True)

    def wait_until_it_listens(self):
        line = self.process.stderr.readline()
        assert "listening on" in line, line

    def stop(self, expected):
        """Ends it when it has so many packets, or shows that it does not get them."""
        try:
            wait_until(lambda: len(self.read()) >= expected, 5, "tcpdump's packets")
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
