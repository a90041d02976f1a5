"""capfilecount: the newest files of a ring, one by one and as one capture; counts stay exact whatever happens."""
import os
import pathlib
import re
import subprocess
import time

import pytest

from harness.client import ENDED, Refused
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, Pcapng, accepted, read_capture
from harness.wait import wait_until

SIZE = 1500  # bytes of a frame: some 660 fill a file
FORMATS = {"PCAP": ".pcap", "PCAPNG": ".pcapng"}


@pytest.fixture(params=FORMATS)
def capformat(request):
    return request.param


def files_of(session):
    """The files on the disk by their numbers."""
    directory = pathlib.Path(session["filelocation"]).parent
    found = {}
    for path in directory.iterdir():
        match = re.fullmatch(r"run-(\d+)(-\d+)?\.(\d{6})\.(pcap|pcapng)", path.name)
        if match and int(match[1]) == session["runtime"]["run"]:
            assert int(match[3]) not in found
            found[int(match[3])] = path
    return dict(sorted(found.items()))


def joined(client, session, directory, **choice):
    """The download as a file, read."""
    path = directory / ("joined" + FORMATS[session["request"].get("capformat", "PCAP")])
    path.write_bytes(client.download(session, **choice).content)
    return path, read_capture(path)


def written(session):
    return session["runtime"]["packets_captured"] + session["runtime"]["packets_overwritten"]


def check_ended(client, session, directory, most):
    """What holds of every ring that has ended. Returns the joined download."""
    assert session["sessionstatus"] in ENDED
    files, runtime = files_of(session), session["runtime"]
    assert list(files) == [file["file"] for file in session["files"]]
    assert len(files) <= most
    assert list(files) == list(range(min(files), max(files) + 1))
    assert str(files[max(files)]) == session["filelocation"]
    whole = {number: read_capture(path) for number, path in files.items()}
    for file in session["files"]:
        assert file["filesize"] == whole[file["file"]].size <= 1_000_000 * session["request"]["capfilesize"]
        assert file["packets"] == len(whole[file["file"]]) == accepted(files[file["file"]])
    path, capture = joined(client, session, directory)
    assert capture.data() == [data for one in whole.values() for data in one.data()]
    assert accepted(path) == len(capture) == runtime["packets_captured"]
    assert capture.size == session["filesize_bytes"]
    assert runtime["bytes_captured"] == sum(packet.captured for packet in capture.packets)
    got = [number_of(data) for data in capture.data()]
    assert got == sorted(set(got)), "packets twice or out of order"
    return capture


def send_through(client, session, wire, count, first=0):
    """So many frames, each of which is written: paced by what the session says."""
    before = written(client.get(session))
    for at in range(0, count, 2000):
        piece = min(2000, count - at)
        wire.inward.send_all(numbers(piece, first + at, SIZE))
        wait_until(lambda: written(client.get(session)) == before + at + piece, 10, f"{at + piece} packets")


def test_the_newest_files_are_kept(client, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=3, capduration=100)
    send_through(client, session, shared_wire, 6000)
    session = client.terminate(session)
    capture = check_ended(client, session, tmp_path, 3)
    assert len(files_of(session)) == 3 and min(files_of(session)) > 5
    assert written(session) == 6000 and session["runtime"]["packets_dropped"] == 0
    assert [number_of(data) for data in capture.data()] == list(range(6000 - len(capture), 6000))
    for number in list(files_of(session))[:-1]:
        assert files_of(session)[number].stat().st_size > 1_000_000 - 2000
    if capformat == "PCAPNG":
        assert len(capture.sections) == 3
        assert [section.statistics["usrdeliv"] for section in capture.sections] == \
               [6000 - len(capture) + sum(len(one.packets) for one in capture.sections[: at + 1]) for at in range(3)]


def test_before_it_turns(client, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=3, capduration=100)
    assert client.get(session)["files"][0]["file"] == 1
    send_through(client, session, shared_wire, 100)
    capture = check_ended(client, client.terminate(session), tmp_path, 3)
    assert len(capture) == 100


def test_one_file(client, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=1, capduration=100)
    send_through(client, session, shared_wire, 3000)
    session = client.terminate(session)
    check_ended(client, session, tmp_path, 1)
    assert written(session) == 3000


def test_the_amount_counts_what_was_overwritten_too(client, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=2, capamount=4001)
    with Background(shared_wire.inward, rate=8000, size=SIZE):
        session = client.wait_end(session, timeout=10)
    assert session["stop_reason"] == "PACKET_COUNT"
    check_ended(client, session, tmp_path, 2)
    assert written(session) == 4001


def test_single_files(client, shared_daemon, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=4, capduration=100)
    send_through(client, session, shared_wire, 4000)
    session = client.terminate(session)
    files = files_of(session)
    for number, path in files.items():
        for asked in (client, shared_daemon.policy()):
            response = asked.download(session, run=1, file=number)
            assert response.content == path.read_bytes()
            assert response.headers["Content-Disposition"].endswith(f'.{number:06d}{FORMATS[capformat]}"')
    for number in (min(files) - 1, max(files) + 1):
        with pytest.raises(Refused) as refusal:
            client.download(session, file=number)
        assert (refusal.value.status, refusal.value.code) == (404, 36102)
        assert f"there are {min(files)} to {max(files)}" in refusal.value.message
    for wrong in ("0", "x", "-1"):
        with pytest.raises(Refused) as refusal:
            client.download(session, file=wrong)
        assert refusal.value.status == 400 and refusal.value.fields()[0][0] == "file"


def test_file_of_what_is_no_ring(client, shared_wire):
    session = client.started(shared_wire.near, capamount=1)
    shared_wire.inward.send_all(numbers(1))
    session = client.wait_end(session)
    assert "files" not in session and "packets_overwritten" not in session["runtime"]
    with pytest.raises(Refused) as refusal:
        client.download(session, file=1)
    assert (refusal.value.status, refusal.value.code) == (404, 36102)


def test_ranges_of_the_joined_download(client, shared_wire, capformat):
    """As long as the ring has all of its files, bytes keep their places."""
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=5, capduration=100)
    send_through(client, session, shared_wire, 3000)
    session = client.terminate(session)
    assert min(files_of(session)) == 1 and len(files_of(session)) > 3
    response = client.download(session)
    whole = response.content
    assert response.headers["Accept-Ranges"] == "bytes"
    edges = [0]
    for path in files_of(session).values():
        edges.append(edges[-1] + path.stat().st_size - (24 if capformat == "PCAP" and len(edges) > 1 else 0))
    assert edges[-1] == len(whole)
    for edge in edges:
        for first, last in ((edge - 10, edge + 10), (edge, edge), (edge - 1, edge - 1), (edge - 10, edges[-1])):
            if first < 0 or first >= len(whole):
                continue
            response = client.download(session, Range=f"bytes={first}-{last}")
            assert response.status_code == 206 and response.content == whole[first : last + 1]
    assert client.download(session, Range="bytes=-1100000").content == whole[-1100000:]
    head = client.call("HEAD", f"{client.prefix}/session/{session['sessionid']}/capturefile")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(whole)), b"")


def test_no_ranges_of_a_ring_that_has_turned(client, shared_wire, capformat):
    """Byte N is another one than at the last download: a part of it would be put behind what does not belong there."""
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=3, capduration=100)
    send_through(client, session, shared_wire, 3000)
    session = client.terminate(session)
    whole = client.download(session)
    assert whole.headers["Accept-Ranges"] == "none"
    for wanted in ("bytes=24-", f"bytes={len(whole.content)}-", "bytes=-1", "bytes=0-0"):
        response = client.download(session, Range=wanted)
        assert (response.status_code, response.content) == (200, whole.content)
        assert response.headers["Accept-Ranges"] == "none" and "Content-Range" not in response.headers
    for number, path in files_of(session).items():
        response = client.download(session, file=number, Range="bytes=1000-1999")
        assert (response.status_code, response.content) == (206, path.read_bytes()[1000:2000])
        assert response.headers["Accept-Ranges"] == "bytes"


def curl(client, session, path):
    """As README has it: appends what is new. Returns curl's exit status."""
    address = f"{client.base}{client.prefix}/session/{session['sessionid']}/capturefile"
    login = ["-u", ":".join(client.http.auth)] if client.http.auth else []
    return subprocess.run(["curl", "-sS", *login, "-C", "-", "-o", path, address], capture_output=True).returncode


def test_curl_resumes_until_the_ring_turns(client, shared_wire, tmp_path):
    path = tmp_path / "resumed.pcap"
    session = client.started(shared_wire.near, capfilesize=1, capfilecount=3, capduration=100)
    for turn in range(3):
        send_through(client, session, shared_wire, 400, first=400 * turn)
        assert curl(client, session, path) == 0
        assert [number_of(data) for data in Pcap(path).data()] == list(range(400 * (turn + 1)))
    before = path.read_bytes()
    send_through(client, session, shared_wire, 2000, first=1200)
    assert curl(client, session, path) == 33  # no ranges here
    assert path.read_bytes() == before
    client.terminate(session)


def test_lists_show_the_files_of_rings_only(daemon, wire):
    client = daemon.client
    plain = client.started(wire.near, capduration=100)
    ring = client.started(wire.near, capfilesize=1, capfilecount=2, capduration=100)
    send_through(client, ring, wire, 3000)
    ring, plain = client.terminate(ring), client.terminate(plain)
    listed = {session["sessionid"]: session for session in client.list()["results"]}
    assert listed == {session["sessionid"]: session for session in (ring, plain)}
    assert len(ring["files"]) == 2 and "files" not in plain


def test_deletion_leaves_nothing(client, shared_wire):
    session = client.started(shared_wire.near, capfilesize=1, capfilecount=3, capduration=100)
    send_through(client, session, shared_wire, 4000)
    session = client.terminate(session)
    directory = pathlib.Path(session["filelocation"]).parent
    assert len(list(directory.iterdir())) >= 3
    client.delete(session)
    assert not directory.exists()


def test_each_run_has_a_ring_of_its_own(client, shared_wire, tmp_path):
    session = client.started(shared_wire.near, capfilesize=1, capfilecount=2, capduration=100)
    send_through(client, session, shared_wire, 2000)
    first = client.terminate(session)
    client.restart(session)
    client.wait_for(session, "STARTED")
    send_through(client, session, shared_wire, 10, first=5000)
    second = client.terminate(session)
    assert len(check_ended(client, second, tmp_path, 2)) == 10
    assert len(joined(client, first, tmp_path, run=1)[1]) == first["runtime"]["packets_captured"]
    number = first["files"][0]["file"]
    assert client.download(first, run=1, file=number).content == files_of(first)[number].read_bytes()


@pytest.mark.slow
def test_downloads_while_the_ring_turns(client, shared_wire, tmp_path, capformat):
    session = client.started(shared_wire.near, capformat=capformat, capfilesize=1, capfilecount=3, capduration=100)
    seen = set()
    with Background(shared_wire.inward, rate=8000, size=SIZE) as traffic:
        wait_until(lambda: len(client.get(session)["files"]) == 3)
        while len(seen) < 12:
            assert traffic.thread.is_alive(), "it turns no more"
            path, capture = joined(client, session, tmp_path)
            got = [number_of(data) for data in capture.data()]
            if not got:  # of what the row knew, only a file that had just been begun was still there
                continue
            assert got == list(range(got[0], got[0] + len(got)))
            assert len(seen) % 4 or accepted(path) == len(got)  # tshark takes its time
            seen.add(got[0])
        session = client.terminate(session)
    check_ended(client, session, tmp_path, 3)


@pytest.mark.slow
def test_rows_speak_of_one_moment_under_load(client, shared_wire, tmp_path):
    session = client.started(shared_wire.near, capfilesize=1, capfilecount=4, capduration=100)
    seen = set()
    with Background(shared_wire.inward, rate=15000, size=SIZE) as traffic:
        while len(seen) < 12:
            assert traffic.thread.is_alive(), "it turns no more"
            row = client.get(session)
            assert sum(file["packets"] for file in row["files"]) == row["runtime"]["packets_captured"]
            assert sum(file["filesize"] - 24 for file in row["files"]) + 24 == row["filesize_bytes"]
            assert len(row["files"]) <= 5
            seen.add(row["files"][0]["file"])
        session = client.terminate(session)
    check_ended(client, session, tmp_path, 4)


def kill_and_recover(daemon):
    before = daemon.pid("worker")
    daemon.kill("worker")
    wait_until(lambda: daemon.pid("worker") not in (None, before), 10, "a new worker")


@pytest.mark.slow
def test_kills_while_it_turns_lose_no_count(daemon, wire, tmp_path, capformat):
    """What was taken in is what is in the files and what was overwritten: the numbers in the file say how many were
    written before it but for those that no worker saw."""
    client = daemon.client
    session = client.started(wire.near, capformat=capformat, capfilesize=1, capfilecount=3, capamount=60_000,
                             capduration=100)
    with Background(wire.inward, rate=20_000, size=SIZE):
        for turn in range(4):
            newest = client.get(session)["files"][-1]["file"]
            wait_until(lambda: max(files_of(session)) > newest + 3, 10)
            time.sleep(0.01 * turn)
            kill_and_recover(daemon)
            before = written(client.get(session))
            wait_until(lambda: written(client.get(session)) > before or
                       client.get(session)["sessionstatus"] in ENDED, 10)
        session = client.wait_end(session, timeout=30)
    assert session["stop_reason"] == "PACKET_COUNT"
    check_ended(client, session, tmp_path, 3)
    assert written(session) == 60_000


@pytest.mark.slow
def test_a_kill_between_reports(daemon, wire, tmp_path, capformat):
    """Each frame is known to be taken in, and all are on the disk when the worker dies: none is lost from the counts,
    though the store has not heard of most files."""
    client = daemon.client
    session = client.started(wire.near, capformat=capformat, capfilesize=1, capfilecount=2, capduration=100)
    send_through(client, session, wire, 10)
    first = 10
    for turn in range(3):
        wire.inward.send_all(numbers(5000, first, SIZE))
        first += 5000
        # The last frame is in the newest file: then the disk has all.
        wait_until(lambda: first - 1 in last_numbers(session), 10, "the last frame on the disk", pause=0.002)
        kill_and_recover(daemon)
        wait_until(lambda: written(client.get(session)) == first, 10, f"{first} packets")
    session = client.terminate(session)
    check_ended(client, session, tmp_path, 2)
    assert written(session) == first


def last_numbers(session):
    """The numbers in the tail of the newest file, by looking for frames."""
    files = files_of(session)
    with open(files[max(files)], "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4000))
        tail = file.read()
    found = [match.start() for match in re.finditer(re.escape(bytes.fromhex("02000000000102000000000288b5")), tail)]
    return {number_of(tail[at : at + 60]) for at in found}


@pytest.mark.slow
def test_a_stop_of_the_service_in_between(make_daemon, wire, tmp_path, capformat):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capformat=capformat, capfilesize=1, capfilecount=2, capduration=100)
    for turn in range(3):
        send_through(daemon.client, session, wire, 1700, 1700 * turn)
        daemon.stop()
        daemon.start()
        daemon.wait_for_log("resuming")
        wait_until(lambda: "not captured" in daemon.client.get(session).get("errormsg", ""))
        wait_until(lambda: daemon.client.get(session)["errormsg"].count("not captured") > turn, 10)
    session = daemon.client.terminate(session)
    check_ended(daemon.client, session, tmp_path, 2)
    assert written(session) == 3 * 1700
    if capformat == "PCAPNG":
        for path in files_of(session).values():
            assert all(section.statistics for section in Pcapng(path).sections)


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["ledger gone", "ledger empty", "newest empty", "oldest gone", "stray"])
def test_files_as_a_power_cut_may_leave_them(make_daemon, wire, tmp_path, harm):
    daemon = make_daemon("--ring-mb", "8").start()
    session = daemon.client.started(wire.near, capfilesize=1, capfilecount=3, capduration=100)
    send_through(daemon.client, session, wire, 3000)
    daemon.kill("parent", "worker", "front end")
    files, directory = files_of(session), pathlib.Path(session["filelocation"]).parent
    lost = 0
    if harm == "ledger gone":
        (directory / "run-1.ring").unlink()
    elif harm == "ledger empty":
        (directory / "run-1.ring").write_bytes(bytes(64))
    elif harm == "newest empty":
        lost = len(Pcap(files[max(files)]))
        files[max(files)].write_bytes(b"")
    elif harm == "oldest gone":
        files[min(files)].unlink()
    else:
        (directory / "run-1.7.pcap").write_bytes(b"")
        (directory / "run-2.000001.pcap").write_bytes(b"other")
        (directory / "run-1.x.pcap").write_bytes(b"other")
    daemon.start()
    client = daemon.fresh_client()
    wait_until(lambda: "not captured" in client.get(session).get("errormsg", ""), 10)
    send_through(client, session, wire, 100, 3000)
    session = client.terminate(session)
    check_ended(client, session, tmp_path, 3)
    assert written(session) == 3100 - lost
