"""Reads the generator's frames out of a pcap file with nanosecond timestamps."""
import struct

RECORD = struct.Struct("=IIII")
NUMBER_AT = 14 + 20 + 8  # Ethernet, IPv4, UDP


def frames(path):
    """Lists (timestamp in ns, frame number)."""
    found = []
    with open(path, "rb") as file:
        data = file.read()
    if struct.unpack_from("=I", data)[0] != 0xA1B23C4D:
        raise ValueError(f"{path} is no pcap file with nanoseconds")
    at = 24
    while at + RECORD.size <= len(data):
        seconds, nanoseconds, captured, _ = RECORD.unpack_from(data, at)
        number = struct.unpack_from("=Q", data, at + RECORD.size + NUMBER_AT)[0]
        found.append((seconds * 1_000_000_000 + nanoseconds, number))
        at += RECORD.size + captured
    return found
