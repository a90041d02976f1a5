"""What typed clients send, and what they need in the answer (API.md, last section)."""
import json

import pytest

from harness.client import Client, check_answer
from harness.frames import numbers
from harness.rawhttp import RawHttp, authorization

LIST = "/api/v1/pktcap/sessions"
HOST = "Host: localhost"


@pytest.fixture
def raw(shared_daemon):
    with RawHttp(shared_daemon.port) as connection:
        yield connection


@pytest.fixture
def session(client, shared_wire):
    session = client.started(shared_wire.near, capduration=100)
    yield session
    client.terminate(session)


def checked(answer, method="GET"):
    return check_answer(method, answer)


# ---- bodies where none is expected ----

def test_get_with_a_body_then_another_request(raw, session):
    path = f"/api/v1/pktcap/session/{session['sessionid']}"
    for _ in range(3):
        answer = raw.ask(f"GET {path} HTTP/1.1", HOST, "Content-Type: application/json", "Content-Length: 2", body=b"{}")
        assert answer.status == 200 and checked(answer)["sessionid"] == session["sessionid"]
    assert raw.ask(f"GET {LIST} HTTP/1.1", HOST).status == 200


def test_get_with_a_large_body(raw):
    answer = raw.ask(f"GET {LIST} HTTP/1.1", HOST, "Content-Length: 60000", body=b"x" * 60000)
    assert answer.status == 200
    assert raw.ask(f"GET {LIST} HTTP/1.1", HOST).status == 200


@pytest.mark.parametrize("method, path", [("DELETE", "/api/v1/pktcap/nowhere"), ("PUT", LIST), ("POST", "/nowhere")])
def test_refused_requests_with_a_body_keep_the_connection(raw, method, path):
    for _ in range(2):
        answer = raw.ask(f"{method} {path} HTTP/1.1", HOST, "Content-Length: 5", body=b"GET /")
        assert answer.status in (404, 405)
        checked(answer)
    assert raw.ask(f"GET {LIST} HTTP/1.1", HOST).status == 200


ACTION_BODIES = {
    "no body, no length": ([], b""),
    "no body, length 0": (["Content-Length: 0"], b""),
    "empty object": (["Content-Type: application/json", "Content-Length: 2"], b"{}"),
    "null": (["Content-Type: application/json", "Content-Length: 4"], b"null"),
    "the session itself": (["Content-Type: application/json", "Content-Length: 17"], b'{"sessionid":"x"}'),
    "chunked": (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", ACTION_BODIES)
def test_actions_with_and_without_a_body(raw, session, case):
    lines, body = ACTION_BODIES[case]
    path = f"/api/v1/pktcap/session/{session['sessionid']}?action=terminate"
    answer = raw.ask(f"POST {path} HTTP/1.1", HOST, *lines, body=body)
    assert answer.status == 200 and checked(answer)["sessionstatus"] == "STOPPED"
    assert raw.ask(f"GET {LIST}?page_size=1 HTTP/1.1", HOST).status == 200


# ---- bodies in other forms ----

def request_body(wire):
    return json.dumps({"cappoint": "VNIC", "capvalue": wire.near, "capsource": "CLI", "capamount": 1}).encode()


def chunks(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunked_request(client, raw, shared_wire, size):
    for _ in range(2):
        answer = raw.ask("POST /api/v1/pktcap/session HTTP/1.1", HOST, "Content-Type: application/json",
                         "Transfer-Encoding: chunked", body=chunks(request_body(shared_wire), size))
        assert answer.status == 200, answer.body
        client.terminate(checked(answer))


def test_expect_100_continue(client, raw, shared_wire):
    body = request_body(shared_wire)
    raw.send("POST /api/v1/pktcap/session HTTP/1.1", HOST, "Content-Type: application/json", "Expect: 100-continue",
             f"Content-Length: {len(body)}")
    assert raw.answer().status == 100
    raw.socket.sendall(body)
    answer = raw.answer()
    assert answer.status == 200
    client.terminate(checked(answer))


def test_expect_100_continue_with_too_much(raw):
    """Refused before anything was sent."""
    answer = raw.ask("POST /api/v1/pktcap/session HTTP/1.1", HOST, "Expect: 100-continue", "Content-Length: 100000")
    assert answer.status == 413 and checked(answer)["error_code"] == 36300


def test_a_body_in_small_pieces(client, raw, shared_wire):
    body = request_body(shared_wire)
    raw.send("POST /api/v1/pktcap/session HTTP/1.1", HOST, f"Content-Length: {len(body)}")
    for at in range(0, len(body), 20):
        raw.socket.sendall(body[at : at + 20])
    answer = raw.answer()
    assert answer.status == 200
    client.terminate(checked(answer))


def test_pipelined_requests(raw, session):
    one = f"GET /api/v1/pktcap/session/{session['sessionid']} HTTP/1.1\r\n{HOST}\r\n{authorization()}\r\n\r\n"
    two = f"GET {LIST}?page_size=1 HTTP/1.1\r\n{HOST}\r\n{authorization()}\r\n\r\n"
    raw.socket.sendall((one + two + one).encode())
    answers = [raw.answer() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    bodies = [checked(answer) for answer in answers]
    assert bodies[0]["sessionid"] == bodies[2]["sessionid"] == session["sessionid"]
    assert "results" in bodies[1]


def test_pipelined_posts_with_bodies(client, raw, shared_wire):
    body = request_body(shared_wire)
    head = f"POST /api/v1/pktcap/session HTTP/1.1\r\n{HOST}\r\n{authorization()}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    raw.socket.sendall((head + body) * 3)
    sessions = [checked(raw.answer()) for _ in range(3)]
    assert len({session["sessionid"] for session in sessions}) == 3
    for session in sessions:
        client.terminate(session)


# ---- headers ----

ACCEPTS = [None, "*/*", "application/json", "application/json; charset=utf-8", "application/json, text/plain;q=0.5",
           "application/octet-stream", "text/html", ""]


@pytest.mark.parametrize("accept", ACCEPTS)
def test_accept(raw, accept):
    lines = [] if accept is None else [f"Accept: {accept}"]
    answer = raw.ask(f"GET {LIST} HTTP/1.1", HOST, "Accept-Encoding: gzip, deflate", *lines)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "Content-Encoding" not in answer.headers
    checked(answer)


def test_content_type_on_get(client):
    response = client.call("GET", LIST, headers={"Content-Type": "text/plain"})
    assert response.status_code == 200


def test_head(raw, session):
    path = f"/api/v1/pktcap/session/{session['sessionid']}"
    for what in (path, LIST, path + "/capturefile"):
        answer = raw.ask(f"HEAD {what} HTTP/1.1", HOST, head=True)
        assert answer.status == 200 and int(answer.headers["Content-Length"]) > 0
    assert raw.ask("HEAD /nowhere HTTP/1.1", HOST, head=True).status == 404
    assert raw.ask(f"HEAD {path}x HTTP/1.1", HOST, head=True).status == 404
    assert raw.ask(f"GET {path} HTTP/1.1", HOST).status == 200


def test_ids_in_other_spellings(client, session):
    identity = session["sessionid"]
    encoded = "".join(f"%{ord(letter):02x}" for letter in identity)
    for spelling in (identity.upper(), encoded, encoded.upper(), identity.replace("-", "%2D")):
        response = client.call("GET", f"/api/v1/pktcap/session/{spelling}")
        assert response.status_code == 200, spelling
        assert check_answer("GET", response)["sessionid"] == identity


def test_absolute_address_as_proxies_send_it(raw, shared_daemon):
    answer = raw.ask(f"GET http://127.0.0.1:{shared_daemon.port}{LIST} HTTP/1.1", f"Host: 127.0.0.1:{shared_daemon.port}")
    assert answer.status == 200
    checked(answer)


def test_any_host_name(raw):
    for host in ("localhost", "pktcap.example.org", "10.0.0.1:8080", "[::1]:80"):
        assert raw.ask(f"GET {LIST} HTTP/1.1", f"Host: {host}").status == 200


# ---- connections ----

def test_many_requests_on_one_connection(raw):
    for _ in range(200):
        assert raw.ask(f"GET {LIST}?page_size=1 HTTP/1.1", HOST).status == 200


def test_connection_close(raw):
    answer = raw.ask(f"GET {LIST} HTTP/1.1", HOST, "Connection: close")
    assert answer.status == 200 and answer.headers["Connection"].lower() == "close"
    assert raw.is_closed()


def test_http_1_0(raw):
    answer = raw.ask(f"GET {LIST} HTTP/1.0")
    assert answer.status == 200
    checked(answer)
    assert raw.is_closed()


BROKEN = [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00\x01\x02\x03\r\n\r\n",
          b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
          b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
          b"POST /api/v1/pktcap/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
          b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"]


@pytest.mark.parametrize("blob", BROKEN, ids=lambda blob: repr(blob[:40]))
def test_broken_requests(raw, client, blob):
    """An ApiError or a closed connection; and the service lives on."""
    try:
        raw.socket.sendall(blob)
        answer = raw.answer()
    except (OSError, IndexError):
        pass
    else:
        assert answer.status >= 400
        checked(answer)
    assert client.list()["result_count"] >= 0


def test_a_client_that_goes_away_harms_nobody(shared_daemon, client, shared_wire):
    for blob in (b"", b"GET", b"POST /api/v1/pktcap/session HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
                 f"GET {LIST} HTTP/1.1\r\n\r\n".encode()):
        with RawHttp(shared_daemon.port) as connection:
            connection.socket.sendall(blob)
    session = client.started(shared_wire.near, capamount=3000)
    shared_wire.inward.send_all(numbers(3000, size=1500))
    client.wait_end(session)
    for _ in range(5):
        with RawHttp(shared_daemon.port) as connection:
            connection.send(f"GET /api/v1/pktcap/session/{session['sessionid']}/capturefile HTTP/1.1", HOST)
            connection.file.read(100)
    assert client.list()["result_count"] >= 1


def test_clients_beside_each_other(shared_daemon, shared_wire):
    """Sixteen clients, each creating, asking and terminating: nothing is mixed up."""
    from concurrent.futures import ThreadPoolExecutor

    def work(number):
        client = Client(shared_daemon.port)
        for turn in range(5):
            session = client.create(shared_wire.near, name=f"{number}-{turn}", capduration=100)
            assert client.get(session)["sessionname"] == f"{number}-{turn}"
            assert client.terminate(session)["sessionstatus"] == "STOPPED"
        client.http.close()
        return number

    with ThreadPoolExecutor(16) as several:
        assert list(several.map(work, range(16))) == list(range(16))
