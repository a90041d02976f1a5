"""Frames as bytes. Numbered ones carry a sequence number, so that a file shows what is missing, twice or late."""
import struct
import threading
import time

from harness.wire import settle

NEAR, FAR = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETHERTYPE_NUMBERED = 0x88B5  # IEEE 802, local experimental


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def numbered(number, size=64, stream=0):
    head = mac(NEAR) + mac(FAR) + struct.pack("!HIQ", ETHERTYPE_NUMBERED, stream, number)
    return head + bytes(size - len(head))


def numbers(count, first=0, size=64, stream=0):
    """count numbered frames, quickly."""
    head = mac(NEAR) + mac(FAR) + struct.pack("!HI", ETHERTYPE_NUMBERED, stream)
    tail = bytes(size - len(head) - 8)
    pack = struct.Struct("!Q").pack
    return (head + pack(number) + tail for number in range(first, first + count))


def number_of(data):
    """The number of a captured frame; None if it is not one of ours."""
    if len(data) < 26 or data[12:14] != b"\x88\xb5":
        return None
    return struct.unpack_from("!Q", data, 18)[0]


def stream_of(data):
    return struct.unpack_from("!I", data, 14)[0]


class Background:
    """Sends numbered frames at about a rate until stopped, and at most for limit seconds: with Background(...) as b."""

    def __init__(self, sender, rate=1000, size=64, limit=60):
        self.sender, self.rate, self.size, self.limit = sender, rate, size, limit
        self.sent = 0
        self.times = []  # number: when it was sent, epoch ns
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            passed = time.monotonic() - began
            if passed > self.limit:
                return
            due = int(passed * self.rate) - self.sent
            for frame in numbers(min(due, 1000), self.sent, self.size):
                self.times.append(time.time_ns())
                self.sender.put(frame)
                self.sent += 1
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.stopping.set()
        self.thread.join()
        settle()
