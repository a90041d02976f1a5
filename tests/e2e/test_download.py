"""The capture file over HTTP."""
import os
import time

import pytest

from harness.client import Refused
from harness.frames import Background, number_of, numbers
from harness.judges import Pcap, capinfos_accepts, tshark_count
from harness.wait import wait_until


@pytest.fixture(scope="module")
def session(shared_daemon, shared_wire):
    """An ended session with 100 packets."""
    client = shared_daemon.client
    session = client.started(shared_wire.near, capamount=100)
    shared_wire.inward.send_all(numbers(100, size=200))
    return client.wait_end(session)


@pytest.fixture(scope="module")
def whole(session):
    with open(session["filelocation"], "rb") as file:
        return file.read()


def test_download(client, session, whole):
    response = client.download(session)
    assert response.status_code == 200
    assert response.content == whole
    assert response.headers["Content-Length"] == str(session["filesize"])
    assert response.headers["Content-Disposition"] == f'attachment; filename="{session["sessionid"]}.pcap"'
    assert response.headers["Accept-Ranges"] == "bytes"


RANGES = [
    ("bytes=0-23", 0, 24), ("bytes=24-", 24, None), ("bytes=-100", -100, None), ("bytes=0-0", 0, 1),
    ("bytes=100-99999999", 100, None), ("bytes=-99999999", 0, None), ("bytes=5-5", 5, 6),
    ("bytes=0-99999999999999999999", 0, None), ("BYTES=0-23", 0, 24), ("bytes= 10-19", 10, 20),
]


@pytest.mark.parametrize("header, first, behind", RANGES)
def test_ranges(client, session, whole, header, first, behind):
    response = client.download(session, Range=header)
    assert response.status_code == 206
    part = whole[first:behind]
    assert response.content == part
    start = len(whole) - len(part) if first < 0 else first
    assert response.headers["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(whole)}"


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=-0", "bytes=21624-", "bytes=99999999999999999999-"])
def test_ranges_outside_are_416(client, session, whole, header):
    assert len(whole) == 21624
    with pytest.raises(Refused) as refusal:
        client.download(session, Range=header)
    assert (refusal.value.status, refusal.value.code) == (416, 36302)
    assert refusal.value.headers["Content-Range"] == f"bytes */{len(whole)}"


@pytest.mark.parametrize("header", ["bytes=5-2", "lines=0-5", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "0-5"])
def test_other_ranges_get_the_whole(client, session, whole, header):
    """RFC 9110: what is no valid range is ignored; of several ranges the whole may be sent."""
    response = client.download(session, Range=header)
    assert response.status_code == 200 and response.content == whole


def test_a_download_in_pieces_is_the_file(client, session, whole):
    pieces = [client.download(session, Range=f"bytes={at}-{at + 999}").content for at in range(0, len(whole), 1000)]
    assert b"".join(pieces) == whole


def test_head_tells_the_size(client, session, whole):
    response = client.call("HEAD", f"{client.prefix}/session/{session['sessionid']}/capturefile",
                           headers={"Accept-Encoding": "identity"})
    assert response.status_code == 200 and response.headers["Content-Length"] == str(len(whole))


@pytest.mark.parametrize("accept", ["application/octet-stream", "*/*", "application/json", None])
def test_accept_makes_no_difference(client, session, whole, accept):
    response = client.download(session, Accept=accept)
    assert response.content == whole


NAMES = [
    ("uplink", "uplink.pcap"), ("two words", "two_words.pcap"), ("../../etc/passwd", None), ("..", None), (".hidden", None),
    ('quo"te', "quo_te.pcap"), ("a/b\\c", "a_b_c.pcap"), ("line\nbreak\r\nX: y", None), ("Grüße", None), ("a;b&c|d$e", "a_b_c_d_e.pcap"),
    ("x" * 255, None), ("-", None), ("v1.2-final_3", "v1.2-final_3.pcap"),
]


@pytest.mark.parametrize("name, file_name", NAMES, ids=[repr(name)[:20] for name, _ in NAMES])
def test_file_names_are_harmless(client, wire, name, file_name):
    session = client.terminate(client.started(wire.near, name=name, capduration=100))
    header = client.download(session).headers["Content-Disposition"]
    prefix, given = header[: len('attachment; filename="')], header[len('attachment; filename="') : -1]
    assert prefix == 'attachment; filename="' and header.endswith('"')
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in given)
    assert not given.startswith(".") and given.endswith(".pcap") and len(given) < 200
    assert file_name is None or given == file_name


def test_the_run_is_in_the_name(client, wire):
    session = client.terminate(client.started(wire.near, name="n", capduration=100))
    client.restart(session)
    client.wait_for(session, "STARTED")
    client.terminate(session)
    assert 'filename="n-run2.pcap"' in client.download(session).headers["Content-Disposition"]
    assert 'filename="n.pcap"' in client.download(session, run=1).headers["Content-Disposition"]


def test_no_file_before_the_start(make_daemon, wire):
    client = make_daemon("--max-captures", "1", "--ring-mb", "1").start().client
    client.started(wire.near, capduration=100)
    pending = client.create(wire.near, capduration=100)
    with pytest.raises(Refused) as refusal:
        client.download(pending)
    assert (refusal.value.status, refusal.value.code) == (404, 36102)
    assert "yet" in refusal.value.message


def test_a_file_that_someone_removed_is_404(client, wire):
    session = client.terminate(client.started(wire.near, capduration=100))
    os.unlink(session["filelocation"])
    with pytest.raises(Refused) as refusal:
        client.download(session)
    assert (refusal.value.status, refusal.value.code) == (404, 36102)
    assert client.get(session)["sessionstatus"] == "STOPPED"


def test_download_of_an_empty_capture(client, wire, tmp_path):
    session = client.started(wire.near, capduration=100)
    content = client.download(session).content
    assert len(Pcap(content)) == 0
    (tmp_path / "x.pcap").write_bytes(content)
    assert capinfos_accepts(tmp_path / "x.pcap")
    client.terminate(session)


def test_download_while_it_runs(client, wire, tmp_path):
    """What is there so far: whole packets, and more of them later."""
    session = client.started(wire.near, capduration=100)
    counts = []
    with Background(wire.inward, rate=4000, size=300):
        for turn in range(5):
            content = client.download(session).content
            pcap = Pcap(content)
            assert [number_of(data) for data in pcap.data()] == list(range(len(pcap)))
            counts.append(len(pcap))
            path = tmp_path / f"{turn}.pcap"
            path.write_bytes(content)
            assert capinfos_accepts(path)
            wait_until(lambda: client.get(session)["runtime"]["packets_captured"] > counts[-1], 3, "more packets")
    assert tshark_count(path) == counts[-1]
    assert counts == sorted(counts) and counts[-1] > counts[1] > 0
    session = client.terminate(session)
    assert len(Pcap(client.download(session).content)) == session["runtime"]["packets_captured"] > counts[-1]


def test_ranges_of_a_growing_file_continue(client, wire):
    """As curl -C - does: what came earlier stays as it was."""
    session = client.started(wire.near, capduration=100)
    content = client.download(session).content
    with Background(wire.inward, rate=2000):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                content += client.download(session, Range=f"bytes={len(content)}-").content
            except Refused as refusal:
                assert refusal.status == 416
            time.sleep(0.05)
    session = client.terminate(session)
    rest = client.call("GET", f"{client.prefix}/session/{session['sessionid']}/capturefile",
                       headers={"Range": f"bytes={len(content)}-"})
    content += rest.content if rest.status_code == 206 else b""
    with open(session["filelocation"], "rb") as file:
        assert content == file.read()
    assert len(Pcap(content)) == session["runtime"]["packets_captured"] > 0
