"""Hostile clients: what they send is refused, what they hold up is only themselves."""
import contextlib
import json
import multiprocessing
import resource
import socket
import time

import pytest

from harness import latency
from harness.client import ADMIN, MANAGER, check_answer
from harness.frames import numbers
from harness.rawhttp import RawHttp, authorization
from harness.wait import SLOW, wait_until

HOST = "Host: localhost"
CREATE = f"POST {MANAGER}/session HTTP/1.1"
LIST = f"GET {MANAGER}/sessions?page_size=1 HTTP/1.1"
JSON = "Content-Type: application/json"
BODY = json.dumps({"cappoint": "VMKNIC", "capvalue": "lo", "capsource": "CLI", "capduration": 1}).encode()


def head(*lines, auth=ADMIN):
    lines = [*lines, authorization(auth)] if auth else lines
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


# A request that would be seen if it were carried out.
SMUGGLED = head(CREATE, HOST, JSON, f"Content-Length: {len(BODY)}") + BODY


@pytest.fixture(scope="module")
def hasty(make_shared_daemon):
    """A daemon that does not wait long."""
    return make_shared_daemon("--ring-mb", "8", "--request-timeout", "2", "--keepalive-timeout", "3",
                              "--send-timeout", "3").start()


def read_all(connection):
    """Whatever comes until the server's end; None if that does not come."""
    connection.socket.settimeout(8 * SLOW)
    with contextlib.suppress(ConnectionResetError):
        try:
            return connection.file.read()
        except TimeoutError:
            return None
    return b""


def answer_of(connection):
    answer = connection.answer()
    check_answer("GET", answer)
    return answer


def check_refused(connection, statuses):
    """One ApiError, and then the end."""
    answer = answer_of(connection)
    assert answer.status in statuses, (answer.status, answer.body)
    assert answer.headers["Connection"] == "close"
    assert read_all(connection) == b"", "something behind a refusal"


# ---- framing ----

def post(*lines, first=CREATE, host=HOST):
    return head(first, host, JSON, *lines)


CL = f"Content-Length: {len(BODY)}"
TE = "Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)

FRAMING = {
    "length and chunked": (post("Content-Length: 5", TE) + END, 400),
    "chunked and length": (post(TE, "Content-Length: 5") + END, 400),
    "two lengths": (post(CL, "Content-Length: 0") + BODY, 400),
    "the same length twice": (post(CL, CL) + BODY, 400),
    "a list of lengths": (post(f"{CL}, {len(BODY)}") + BODY, 400),
    "a length with a sign": (post(f"Content-Length: +{len(BODY)}") + BODY, 400),
    "a negative length": (post("Content-Length: -1") + BODY, 400),
    "a hexadecimal length": (post("Content-Length: 0x10") + BODY, 400),
    "an empty length": (post("Content-Length: ") + BODY, 400),
    "a length with a space within": (post("Content-Length: 1 0") + BODY, 400),
    "a length beyond all numbers": (post("Content-Length: 99999999999999999999999999") + BODY, 413),
    "xchunked": (post("Transfer-Encoding: xchunked") + END, 501),
    "chunked, identity": (post("Transfer-Encoding: chunked, identity") + END, 501),
    "identity, chunked": (post("Transfer-Encoding: identity, chunked") + END, 501),
    "gzip, chunked": (post("Transfer-Encoding: gzip, chunked") + END, 501),
    "chunked, chunked": (post("Transfer-Encoding: chunked, chunked") + END, 501),
    "identity": (post("Transfer-Encoding: identity") + END, 501),
    "an empty coding": (post("Transfer-Encoding: ") + END, 501),
    "a quoted coding": (post('Transfer-Encoding: "chunked"') + END, 501),
    "a coding with a parameter": (post("Transfer-Encoding: chunked;a=b") + END, 501),
    "a vertical tab in the coding": (post("Transfer-Encoding: \x0bchunked") + END, 400),
    "two codings": (post(TE, "Transfer-Encoding: identity") + END, 400),
    "chunked twice": (post(TE, TE) + END, 400),
    "chunked in HTTP/1.0": (post(TE, first=CREATE.replace("1.1", "1.0")) + END, 400),
    "a space before the colon": (post("Transfer-Encoding : chunked") + END, 400),
    "a space before the colon of the length": (post(f"Content-Length : {len(BODY)}") + BODY, 400),
    "a folded coding": (post("Transfer-Encoding:\r\n chunked") + END, 400),
    "a folded header": (post("X-A: b\r\n\tc", "Content-Length: 0"), 400),
    "the first header folded": (head(CREATE, " X: y", HOST, "Content-Length: 0"), 400),
    "LF alone behind a header": (post("X-A: b\nTransfer-Encoding: chunked") + END, 400),
    "LF alone everywhere": (post("Content-Length: 0").replace(b"\r\n", b"\n"), 400),
    "LF alone behind the request line": (post("Content-Length: 0").replace(b"\r\n", b"\n", 1), 400),
    "CR alone": (post("X-A: b\rTransfer-Encoding: chunked") + END, 400),
    "CR CR LF": (post("X-A: b\r") + END, 400),
    "NUL in a name": (post("Transfer\x00-Encoding: chunked") + END, 400),
    "NUL in a value": (post("X-A: a\x00b", "Content-Length: 0"), 400),
    "NUL in the request line": (post(first=f"POST {MANAGER}/session\x00 HTTP/1.1"), 400),
    "a header without a name": (post(": chunked") + END, 400),
    "a header without a colon": (post("chunked") + END, 400),
    "a name that is no token": (post("Transfer-Encoding\xa0: chunked") + END, 400),
    "no host": (head(CREATE, JSON, "Content-Length: 0"), 400),
    "a body shorter than its chunk says": (post(TE) + b"2\r\n{}x\r\n" + END, 400),
    "a chunk without a size": (post(TE) + b"\r\n" + END, 400),
    "a chunk size that is none": (post(TE) + b"zz\r\n" + END, 400),
    "a negative chunk size": (post(TE) + b"-2\r\n{}\r\n" + END, 400),
    "a chunk size with a sign": (post(TE) + b"+2\r\n{}\r\n" + END, 400),
    "a chunk size with 0x": (post(TE) + b"0x2\r\n{}\r\n" + END, 400),
    "a chunk size with a space before it": (post(TE) + b" 2\r\n{}\r\n" + END, 400),
    "a chunk size with a space behind it": (post(TE) + b"2 \r\n{}\r\n" + END, 400),
    "a chunk size beyond all numbers": (post(TE) + b"1" + b"0" * 16 + b"2\r\n{}\r\n" + END, 400),
    "a large chunk": (post(TE) + b"ffffffff\r\n{}\r\n" + END, 413),
    "a chunk's line that ends with LF": (post(TE) + b"2\n{}\r\n" + END, 400),
    "a chunk that ends with LF": (post(TE) + b"2\r\n{}\n" + END, 400),
    "LF alone at the end": (post(TE) + b"2\r\n{}\r\n0\n\n", 400),
    "LF alone in an extension": (post(TE) + b"2;a\n{}\r\n" + END, 400),
    "NUL in an extension": (post(TE) + b"2;a\x00b\r\n{}\r\n" + END, 400),
    "endless extensions": (post(TE) + (b"1;" + b"a" * 100 + b"\r\n \r\n") * 50 + END, 400),
    "endless trailers": (post(TE) + b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/1.2": (post("Content-Length: 0", first=CREATE.replace("1.1", "1.2")), 505),
    "two spaces in the request line": (post("Content-Length: 0", first=CREATE.replace(" ", "  ")), 400),
    "a tab in the request line": (post("Content-Length: 0", first=CREATE.replace(" ", "\t")), 400),
    "CONNECT": (head("CONNECT example.org:443 HTTP/1.1", "Host: example.org:443"), 400),
}


@pytest.mark.parametrize("case", FRAMING)
def test_framing_in_doubt(hasty, case):
    """Refused; and what comes behind it, which might be a second request or not, is never carried out."""
    blob, status = FRAMING[case]
    before = hasty.client.list()["result_count"]
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(blob + SMUGGLED)
        check_refused(connection, [status])
    assert hasty.client.list()["result_count"] == before


GOOD = {
    "an empty line before it": b"\r\n" + head(LIST, HOST),
    "chunks with extensions and trailers":
        head(LIST, HOST, TE) + b'2;a=b;c="d e"\r\n{}\r\n00\r\nX-A: b\r\nTransfer-Encoding: gzip\r\n\r\n',
    "a coding in capitals": head(LIST, HOST, "TRANSFER-ENCODING: CHUNKED") + END,
    "tabs around a value": head(LIST, HOST, "Content-Length:\t0 \t"),
    "a value of other alphabets": head(LIST, HOST, "X-A: \xe4\xf6"),
    "a body that looks like a request": head(LIST, HOST, f"Content-Length: {len(SMUGGLED)}") + SMUGGLED,
}


@pytest.mark.parametrize("case", GOOD)
def test_framing_without_doubt(hasty, case):
    before = hasty.client.list()["result_count"]
    with RawHttp(hasty.port) as connection:
        for _ in range(2):
            connection.socket.sendall(GOOD[case])
            assert answer_of(connection).status == 200
        connection.socket.sendall(head(LIST, HOST, "Connection: close"))
        assert answer_of(connection).status == 200
        assert read_all(connection) == b""
    assert hasty.client.list()["result_count"] == before


def test_nothing_behind_the_last_request(hasty):
    before = hasty.client.list()["result_count"]
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, HOST, "Connection: close") + SMUGGLED)
        assert answer_of(connection).status == 200
        assert read_all(connection) == b""
    assert hasty.client.list()["result_count"] == before


# ---- headers given twice ----

TWICE = {
    "Host": [HOST, "Host: other"],
    "Host, the same": [HOST, HOST],
    "Authorization": [HOST, authorization(), "Authorization: Bearer x"],
    "Content-Type": [HOST, JSON, "Content-Type: text/plain"],
    "Origin": [HOST, "Origin: http://localhost", "Origin: http://evil.example"],
    "X-XSRF-TOKEN": [HOST, "X-XSRF-TOKEN: a", "x-xsrf-token: b"],
}


@pytest.mark.parametrize("name", TWICE)
def test_headers_given_twice(hasty, name):
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, *TWICE[name]) + SMUGGLED)
        check_refused(connection, [400])


def test_ways_in_that_contradict_each_other(hasty):
    """The header counts, and a wrong one is not made good by a cookie."""
    answer = hasty.client.call("POST", "/api/session/create", data={"j_username": ADMIN[0], "j_password": ADMIN[1]})
    cookie = "Cookie: JSESSIONID=" + answer.cookies["JSESSIONID"]
    with RawHttp(hasty.port) as connection:
        assert connection.ask(LIST, HOST, cookie, auth=None).status == 200
        assert connection.ask(LIST, HOST, cookie, "Authorization: Bearer x", auth=None).status == 403
        assert connection.ask(LIST, HOST, cookie, auth=("nobody", "nothing")).status == 403


# ---- too much of it ----

def test_a_large_head(hasty):
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, HOST, "X-A: " + "y" * 20_000) + SMUGGLED)
        check_refused(connection, [431])
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, HOST, "X-A: " + "y" * 15_000, "Connection: close"))
        assert answer_of(connection).status == 200


def test_a_head_without_end(hasty):
    """A megabyte of headers: the answer is there although most of it is not read."""
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, HOST)[:-2] + b"X: y\r\n" * 100_000)
        check_refused(connection, [431])


def test_many_headers(hasty):
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(LIST, HOST, *["X: y"] * 200) + SMUGGLED)
        check_refused(connection, [431])


@pytest.mark.parametrize("size", [9_000, 100_000])
def test_a_long_request_line(hasty, size):
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(f"GET /{'a' * size} HTTP/1.1", HOST) + SMUGGLED)
        check_refused(connection, [414])


@pytest.mark.parametrize("lines", [["Content-Length: 70000"], [TE]], ids=["of a length", "in chunks"])
def test_a_large_body(hasty, lines):
    body = b"x" * 70_000 if TE not in lines else b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"8001\r\n" + b"x" * 0x8001 + b"\r\n"
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(post(*lines) + body + SMUGGLED)
        check_refused(connection, [413])


# ---- paths ----

SESSIONS = f"{MANAGER}/sessions"
PATHS = {
    f"/{SESSIONS}": 404, f"{MANAGER}//sessions": 404, f"{SESSIONS}/": 404, f"{SESSIONS}//": 404,
    f"{MANAGER}/./sessions": 404, f"{MANAGER}/x/../sessions": 404, "/../etc/passwd": 404,
    f"{MANAGER}/session/../sessions": 404, f"{MANAGER}/x/%2e%2e/sessions": 404, f"{MANAGER}/%2e/sessions": 404,
    "/..%2f..%2fetc/passwd": 400, f"{MANAGER}%2fsessions": 400, f"{MANAGER}/session/..%2Fsessions": 400,
    f"{MANAGER}%5csessions": 404, f"{SESSIONS}%00": 400, f"{SESSIONS}%00.png": 400, f"{SESSIONS}%": 400,
    f"{SESSIONS}%4": 400, f"{SESSIONS}%zz": 400, f"{SESSIONS};a=b": 404, f"{SESSIONS}?page_size=1%00": 400,
    f"{SESSIONS.upper()}": 404, f"{MANAGER}/session/%ff%fe": 404, f"{MANAGER}/%c0%ae%c0%ae/sessions": 404,
    f"{SESSIONS}#fragment": 400, "*": 400, "sessions": 400, "": 400, "\\": 400, f"{SESSIONS}\xe4": 400,
    "http://": 400, "http:///api": 400, "http://user@host" + SESSIONS: 400, "ftp://localhost" + SESSIONS: 400,
    "http://localhost": 404, "http://localhost?a": 404, f"/http://localhost{SESSIONS}": 404,
}


@pytest.mark.parametrize("target", PATHS)
def test_paths(hasty, target):
    with RawHttp(hasty.port) as connection:
        connection.socket.sendall(head(f"GET {target} HTTP/1.1", HOST, "Connection: close"))
        answer = answer_of(connection)
        assert answer.status == PATHS[target], answer.body
        assert read_all(connection) == b""


@pytest.mark.parametrize("target", ["http://localhost", "HTTPS://other.example:99", "http://[::1]:80"])
def test_absolute_targets(hasty, target):
    """Whose host they name is no matter: the paths are the same everywhere."""
    with RawHttp(hasty.port) as connection:
        assert connection.ask(f"GET {target}{SESSIONS}?page_size=1 HTTP/1.1", HOST).status == 200


def test_another_host_is_no_origin_of_ours(hasty):
    """The host of an absolute target counts, not the header beside it."""
    with RawHttp(hasty.port) as connection:
        for target, host, origin, status in (("", "evil.example", "http://localhost", 403),
                                             ("http://localhost", "evil.example", "http://localhost", 400),
                                             ("http://evil.example", "localhost", "http://localhost", 403)):
            answer = connection.ask(f"POST {target}{MANAGER}/session HTTP/1.1", f"Host: {host}", f"Origin: {origin}",
                                    JSON, "Content-Length: 2", body=b"{}")
            assert answer.status == status, (target, host, origin, answer.body)


# ---- slow senders ----

def trickle(connection, blob, pause):
    """Byte by byte, until the server has enough."""
    for at in range(len(blob)):
        try:
            connection.socket.sendall(blob[at:at + 1])
        except OSError:
            return
        if wait_for_input(connection, pause):
            return


def wait_for_input(connection, seconds):
    connection.socket.settimeout(seconds)
    try:
        return connection.socket.recv(1, socket.MSG_PEEK) is not None
    except TimeoutError:
        return False
    finally:
        connection.socket.settimeout(10 * SLOW)


def check_trickled(daemon, first, slowly, least):
    begin = time.monotonic()
    with RawHttp(daemon.port) as connection:
        connection.socket.sendall(first)
        trickle(connection, slowly, 0.05)
        check_refused(connection, [408])
    assert least - 0.1 <= time.monotonic() - begin <= (least + 3) * SLOW


def test_a_head_that_trickles(hasty):
    """All of it together has its time, not each byte."""
    check_trickled(hasty, b"", head(LIST, HOST, "X-A: " + "y" * 400), 2)


def test_the_next_head_that_trickles(hasty):
    with RawHttp(hasty.port) as connection:
        assert connection.ask(LIST, HOST).status == 200
        begin = time.monotonic()
        trickle(connection, head(LIST, HOST, "X-A: " + "y" * 400), 0.05)
        check_refused(connection, [408])
    assert 1.9 <= time.monotonic() - begin <= 5 * SLOW


@pytest.mark.slow
@pytest.mark.parametrize("lines, slowly", [(["Content-Length: 1000"], b"{" * 1000), ([TE], b"1\r\n{\r\n" * 500)],
                         ids=["of a length", "in chunks"])
def test_a_body_that_trickles(hasty, lines, slowly):
    check_trickled(hasty, post(*lines), slowly, 6)


def test_who_says_nothing_is_told_nothing(hasty):
    with RawHttp(hasty.port) as connection:
        assert read_all(connection) == b""
    with RawHttp(hasty.port) as connection:
        assert connection.ask(LIST, HOST).status == 200
        assert read_all(connection) == b""


# ---- slow readers ----

@pytest.fixture(scope="module")
def make_large(make_shared_wire):
    """make_large(daemon): the path of a download of some 15 MB, and its size."""
    wire = make_shared_wire()

    def make(daemon):
        session = daemon.client.started(wire.near, capduration=100)
        for turn in range(1, 6):
            wire.inward.send_all(numbers(2000, size=1500))
            wait_until(lambda: daemon.client.get(session)["runtime"]["packets_captured"] == 2000 * turn, what="packets")
        session = daemon.client.terminate(session)
        assert session["filesize_bytes"] > 10_000_000
        return f"GET {MANAGER}/session/{session['sessionid']}/capturefile HTTP/1.1", session["filesize_bytes"]

    return make


@pytest.fixture(scope="module")
def large(hasty, make_large):
    return make_large(hasty)


def begin_download(port, request):
    connection = RawHttp(port, receive_buffer=65536)
    connection.send(request, HOST, "Connection: close")
    assert b" 200 " in connection.file.readline()
    return connection


def is_cut(connection):
    """Whether the server has ended it; reads nothing."""
    info = connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != 1  # TCP_ESTABLISHED


def test_a_reader_that_stops(hasty, large):
    with begin_download(hasty.port, large[0]) as connection:
        wait_until(lambda: is_cut(connection), 8, "the end of a download that nobody reads")


@pytest.mark.slow
def test_a_reader_that_is_slow(hasty, large):
    """100 kB in a second: for minutes the socket takes nothing new, but it is being read."""
    with begin_download(hasty.port, large[0]) as connection:
        for _ in range(40):
            assert len(connection.file.read(25_000)) == 25_000
            time.sleep(0.25)
        assert len(connection.file.read()) > large[1] - 40 * 25_000 - 10_000


# ---- many connections ----

@contextlib.contextmanager
def connections(port, count, blob=b""):
    """Open ones, of which each has said that much."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count + 1000, hard)), hard))
    with contextlib.ExitStack() as all_of_them:
        made = []
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", port), 10 * SLOW))
            all_of_them.callback(made[-1].close)
            if blob:
                made[-1].sendall(blob)
        yield made


def established(port):
    with open("/proc/net/tcp") as file:
        return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in file)


@pytest.mark.slow
def test_idle_connections_hold_nobody_up(daemon):
    with connections(daemon.port, 3000):
        wait_until(lambda: established(daemon.port) >= 3000, what="3000 connections")
        latency.check(daemon.port)
        assert established(daemon.port) >= 3000


@contextlib.contextmanager
def beside(work, count=1):
    """Runs work(number, over) in processes of their own, as threads would hold up the client that is measured; they are
    to end when over is set."""
    fork = multiprocessing.get_context("fork")
    over = fork.Event()
    workers = [fork.Process(target=work, args=(number, over)) for number in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert [worker.exitcode for worker in workers] == [0] * count


@pytest.mark.slow
def test_slowloris_at_the_limit(make_daemon):
    """As many as there may be, each with a head that never ends, and each made anew when it is closed."""
    daemon = make_daemon("--max-connections", "128", "--ring-mb", "8").start()

    def connect():
        one = socket.create_connection(("127.0.0.1", daemon.port), 10 * SLOW)
        one.sendall(head(LIST, HOST)[:-2])
        return one

    def attack(number, over):
        held = [connect() for _ in range(150)]
        while not over.wait(0.1):
            for at, one in enumerate(held):
                try:
                    one.sendall(b"X: y\r\n")
                except OSError:
                    one.close()
                    held[at] = connect()
        for one in held:
            one.close()

    with beside(attack):
        wait_until(lambda: established(daemon.port) >= 120, what="the attack")
        latency.check(daemon.port)
        assert established(daemon.port) <= 135


@pytest.mark.slow
def test_readers_that_stop_make_room(make_daemon, make_large):
    """Nobody else can, so whoever has read nothing for 5 s goes; but not who reads slowly."""
    daemon = make_daemon("--max-connections", "16", "--ring-mb", "8").start()
    request, size = make_large(daemon)
    daemon.client.http.close()
    with contextlib.ExitStack() as held:
        steady = held.enter_context(begin_download(daemon.port, request))
        for _ in range(15):
            held.enter_context(begin_download(daemon.port, request))
        with RawHttp(daemon.port) as late:
            late.send(LIST, HOST)
            answer = answer_of(late)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        for _ in range(30):
            steady.file.read(25_000)
            time.sleep(0.25)
        for _ in range(8):
            with RawHttp(daemon.port) as other:
                other.send(LIST, HOST)
                assert answer_of(other).status == 200
        assert len(steady.file.read()) > size - 30 * 25_000 - 10_000


@pytest.mark.slow
def test_slow_readers_hold_nobody_up(daemon, make_large):
    request, _ = make_large(daemon)
    with contextlib.ExitStack() as held:
        readers = [held.enter_context(begin_download(daemon.port, request)) for _ in range(200)]

        def read(number, over):
            while not over.wait(0.2):
                for reader in readers:
                    reader.file.read1(1000)

        with beside(read):
            latency.check(daemon.port)


@pytest.mark.slow
def test_wrong_passwords_hold_nobody_up(daemon):
    """From many addresses and for many users, so that no wait applies."""
    daemon.client.list()

    def guess(number, over):
        turn = 0
        while not over.is_set():
            turn += 1
            with RawHttp(daemon.port, source=f"127.{number + 1}.{turn // 250 % 250}.{turn % 250 + 1}") as connection:
                answer = connection.ask(LIST, HOST, auth=(f"user-{number}-{turn}", "a guess"))
            assert answer.status in (403, 429, 503), answer.body

    with beside(guess, 4):
        time.sleep(0.5)
        latency.check(daemon.port)


# ---- limits ----

def test_connections_of_one_address(make_daemon):
    daemon = make_daemon("--max-connections-per-address", "5", "--ring-mb", "8")
    daemon.expect_log(r"connections from 127\.0\.0\.1 were closed: it has 5")
    daemon.start()
    daemon.client.list()  # one of the five, which stays open
    with contextlib.ExitStack() as held:
        for _ in range(4):
            assert held.enter_context(RawHttp(daemon.port)).ask(LIST, HOST).status == 200
        with RawHttp(daemon.port) as one_too_many:
            assert read_all(one_too_many) == b""
        with RawHttp(daemon.port, source="127.0.0.2") as other:
            assert other.ask(LIST, HOST).status == 200
    wait_until(lambda: established(daemon.port) <= 1, what="room again")
    with RawHttp(daemon.port) as again:
        assert again.ask(LIST, HOST).status == 200


def test_the_limit_of_open_files(make_daemon):
    daemon = make_daemon("--max-connections", "1000", "--http-threads", "8", "--ring-mb", "8",
                         wrapper=["prlimit", "--nofile=400:400"])
    daemon.expect_log(r"max_connections is 1000, but the limit of open files is 400: at most 152 connections")
    daemon.start()
    with connections(daemon.port, 300, head(LIST, HOST)[:-2]):
        for _ in range(5):
            assert latency.ask_anew(daemon.port).status == 200
        assert established(daemon.port) <= 160
    assert "most 152 connections" in daemon.text()
