"""capformat PCAPNG: what the file says of itself, directions, statistics, sections."""
import platform
import struct

import pytest

from harness.blind import intervals
from harness.client import ENDED
from harness.frames import Background, number_of, numbers
from harness.judges import Pcapng, Tcpdump, accepted
from harness.sandbox import run
from harness.wait import wait_until


def text(value):
    return value.decode()


def check_ended(session):
    """What holds of every ended session with such a file."""
    assert session["sessionstatus"] in ENDED
    path, runtime = session["filelocation"], session["runtime"]
    assert path.endswith(".pcapng")
    pcapng = Pcapng(path)
    assert accepted(path) == len(pcapng) == runtime["packets_captured"]
    assert session["filesize_bytes"] == pcapng.size
    assert runtime["bytes_captured"] == sum(packet.captured for packet in pcapng.packets)
    return pcapng


def test_what_the_file_says(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG", capamount=5, capsnaplen=100, name="Ночь 1",
                             capexpression="ether proto 0x88b5")
    shared_wire.inward.send_all(numbers(5, size=301))
    pcapng = check_ended(client.wait_end(session))
    section, = pcapng.sections
    host = " ".join((platform.system(), platform.release(), platform.machine()))
    assert text(section.options[3]) == host
    assert text(section.options[4]).startswith("pktcapd ")
    assert (section.linktype, section.snaplen) == (1, 100)
    assert text(section.interface[2]) == shared_wire.near
    assert text(section.interface[3]) == "VNIC of session Ночь 1"
    assert section.interface[11][:1] == b"\0" and "88b5" in text(section.interface[11][1:])
    assert text(section.interface[12]) == host
    assert [packet.captured for packet in pcapng.packets] == [100] * 5
    assert [packet.length for packet in pcapng.packets] == [301] * 5
    report = run("capinfos", "-M", session["filelocation"])
    assert "pktcapd" in report and "nanoseconds" in report and shared_wire.near in report


@pytest.mark.parametrize("size", [60, 61, 62, 63, 64, 1514])
def test_every_padding(client, shared_wire, size):
    session = client.started(shared_wire.near, capformat="PCAPNG", capamount=3)
    shared_wire.inward.send_all(numbers(3, size=size))
    pcapng = check_ended(client.wait_end(session))
    assert pcapng.data() == list(numbers(3, size=size))


def test_directions(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG", capamount=30)
    for number in range(30):
        sender = shared_wire.inward if number % 3 else shared_wire.outward
        sender.send_all(numbers(1, number))
    pcapng = check_ended(client.wait_end(session))
    told = {number_of(packet.data): packet.direction for packet in pcapng.packets}
    assert told == {number: "in" if number % 3 else "out" for number in range(30)}
    shown = run("tshark", "-n", "-r", session["filelocation"], "-T", "fields", "-e", "frame.packet_flags_direction")
    assert sorted({int(line, 0) for line in shown.split()}) == [1, 2]


def test_empty_file(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG")
    assert accepted(session["filelocation"]) == 0
    session = client.terminate(session)
    assert len(check_ended(session).sections) == 1


def test_statistics_are_the_counters(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG", capduration=100)
    with Background(shared_wire.inward, rate=3000) as traffic:
        wait_until(lambda: traffic.sent > 2000)
        session = client.terminate(session)
    section, = check_ended(session).sections
    runtime, statistics = session["runtime"], section.statistics
    assert runtime["packets_captured"] > 1500
    assert statistics["usrdeliv"] == runtime["packets_captured"]
    assert statistics["osdrop"] == runtime["packets_dropped"]
    assert statistics["ifdrop"] == runtime["packets_dropped_interface"]
    assert statistics["ifrecv"] == statistics["filteraccept"]
    assert statistics["ifrecv"] == runtime["packets_captured"] + runtime["packets_dropped"]
    assert statistics["starttime"] <= section.packets[0].ns <= section.packets[-1].ns <= statistics["endtime"]


def test_statistics_of_what_was_skipped(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG", caprate=10, capduration=100)
    shared_wire.inward.send_all(numbers(200))
    wait_until(lambda: client.get(session)["runtime"]["packets_skipped"] >= 100)
    session = client.terminate(session)
    section, = check_ended(session).sections
    runtime, statistics = session["runtime"], section.statistics
    assert statistics["ifrecv"] == 200
    assert statistics["usrdeliv"] == runtime["packets_captured"] == 200 - runtime["packets_skipped"]


def test_packets_are_those_of_tcpdump(client, shared_wire, tmp_path):
    tcpdump = Tcpdump(shared_wire.near, tmp_path / "tcpdump.pcap", "-s", "2000", "ether", "proto", "0x88b5")
    tcpdump.wait_until_it_listens()
    session = client.started(shared_wire.near, capformat="PCAPNG", capduration=100)
    for size in (60, 61, 300, 1514):
        shared_wire.inward.send_all(numbers(100, size=size))
        shared_wire.outward.send_all(numbers(100, size=size))
    reference = tcpdump.stop(800)
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] == 800)
    pcapng = check_ended(client.terminate(session))
    assert len(reference) == len(pcapng) == 800
    assert sorted(pcapng.data()) == sorted(reference.data())
    assert [(packet.captured, packet.length) for packet in pcapng.packets] == \
           [(packet.captured, packet.length) for packet in reference.packets]


def test_download_has_the_name(client, shared_wire):
    session = client.started(shared_wire.near, capformat="PCAPNG", capamount=1)
    shared_wire.inward.send_all(numbers(1))
    session = client.wait_end(session)
    response = client.download(session)
    assert response.content == open(session["filelocation"], "rb").read()
    assert response.headers["Content-Disposition"].endswith('.pcapng"')


def test_the_file_is_never_larger_than_asked(client, shared_wire):
    """With room for the statistics."""
    session = client.started(shared_wire.near, capformat="PCAPNG", capfilesize=1, capduration=100)
    with Background(shared_wire.inward, rate=20000, size=1501):
        session = client.wait_end(session)
    assert session["stop_reason"] == "FILE_SIZE"
    section, = check_ended(session).sections
    assert 1_000_000 - 2000 < session["filesize"] <= 1_000_000
    assert section.statistics["usrdeliv"] == session["runtime"]["packets_captured"]


@pytest.mark.slow
def test_a_killed_worker_leaves_a_file_that_is_continued_in_a_section(daemon, wire, tmp_path):
    client = daemon.client
    session = client.started(wire.near, capformat="PCAPNG", capduration=100)
    with Background(wire.inward, rate=4000) as traffic:
        for turn in range(2):
            sent = traffic.sent
            wait_until(lambda: traffic.sent > sent + 2000)
            before = daemon.pid("worker")
            daemon.kill("worker")
            wait_until(lambda: daemon.pid("worker") not in (None, before), 10, "a new worker")
            captured = client.get(session)["runtime"]["packets_captured"]
            wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > captured + 500, 10)
            growing = tmp_copy(client, session, tmp_path)
            assert accepted(growing) == len(Pcapng(growing))
        session = client.terminate(session)
    pcapng = check_ended(session)
    assert len(intervals(session)) == 2
    assert [section.statistics is None for section in pcapng.sections] == [True, True, False]
    assert pcapng.sections[-1].statistics["usrdeliv"] == len(pcapng.sections[-1].packets)
    got = [number_of(data) for data in pcapng.data()]
    assert got == sorted(set(got)) and pcapng.is_in_order()


def tmp_copy(client, session, directory):
    """A download of the growing file, as a file of its own."""
    path = directory / "copy.pcapng"
    with open(path, "wb") as file:
        file.write(client.download(session).content)
    return path


@pytest.mark.slow
def test_a_stop_of_the_service_ends_a_section(make_daemon, wire):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capformat="PCAPNG", capduration=100)
    wire.inward.send_all(numbers(100))
    wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 100)
    daemon.stop()
    daemon.start()
    wait_until(lambda: "resuming" in daemon.text_since_launch())
    wait_until(lambda: len(Pcapng(session["filelocation"]).sections) == 2)
    with Background(wire.inward, rate=500):
        wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] > 150, 10)
        session = daemon.client.terminate(session)
    pcapng = check_ended(session)
    assert [section.statistics["usrdeliv"] for section in pcapng.sections] == \
           [len(section.packets) for section in pcapng.sections]
    assert len(pcapng.sections[0].packets) == 100


@pytest.mark.parametrize("tail", [bytes(5000), b"\xff" * 77, struct.pack("<II", 6, 96) + bytes(40),
                                  struct.pack("<III", 0x0A0D0D0A, 28, 0x1A2B3C4D)])
@pytest.mark.slow
def test_what_a_power_cut_leaves_is_cut_off(make_daemon, wire, tail):
    """The worker is gone, and behind its packets lies what was never written."""
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capformat="PCAPNG", capduration=100)
    wire.inward.send_all(numbers(50))
    wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 50)
    daemon.kill("parent", "worker", "front end")
    with open(session["filelocation"], "ab") as file:
        file.write(tail)
    daemon.start()
    client = daemon.fresh_client()
    wait_until(lambda: len(open(session["filelocation"], "rb").read().split(b"pktcapd ")) == 3)
    session = client.terminate(session)
    assert [len(section.packets) for section in check_ended(session).sections] == [50, 0]
