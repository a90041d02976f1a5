"""HTTPS: what is offered, whose certificate, and how it is renewed."""
import errno
import hashlib
import os
import shutil
import signal
import socket
import ssl
import time

import pytest
import requests

from harness import sandbox
from harness.client import Client, MANAGER
from harness.frames import numbers
from harness.nginx import certificate
from harness.rawhttp import authorization
from harness.wait import SLOW, wait_until

LIST = f"GET {MANAGER}/sessions?page_size=1 HTTP/1.1\r\nHost: localhost\r\n{authorization()}\r\n\r\n".encode()


@pytest.fixture
def place(tmp_path):
    """A directory of root's alone, with a certificate and its key."""
    place = tmp_path / "tls"
    place.mkdir(mode=0o700)
    for file in certificate(place):
        file.chmod(0o600)
    return place


def flags(place):
    return "--tls-certificate", place / "certificate.pem", "--tls-key", place / "key.pem", "--ring-mb", "8"


def client_of(daemon, place):
    client = Client(daemon.port)
    client.base = f"https://127.0.0.1:{daemon.port}"
    client.http.verify = place / "certificate.pem"
    return client


@pytest.fixture
def daemon(make_daemon, place):
    return make_daemon(*flags(place)).start()


def connect(port, version=None, receive_buffer=None):
    """A connection; nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # else this side would not even try the old ones
        context.minimum_version = context.maximum_version = version
    plain = socket.socket()
    plain.settimeout(10 * SLOW)
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.connect(("127.0.0.1", port))
    return context.wrap_socket(plain)


def shown(port):
    """The certificate that the server shows."""
    with connect(port) as connection:
        return connection.getpeercert(binary_form=True)


def in_file(place):
    return ssl.PEM_cert_to_DER_cert((place / "certificate.pem").read_text())


def capture(client, wire, count=2000):
    session = client.started(wire.near, capduration=100)
    for come in range(2000, count + 1, 2000):
        wire.inward.send_all(numbers(2000, size=1500))
        wait_until(lambda: client.get(session)["runtime"]["packets_captured"] == come, what="the packets")
    return client.terminate(session)


# ---- what works as without ----

def test_everything_works(daemon, place, wire):
    client = client_of(daemon, place)
    session = capture(client, wire)
    assert client.get(session)["runtime"]["packets_captured"] == 2000
    with open(session["filelocation"], "rb") as file:
        content = file.read()
    assert client.download(session).content == content
    part = client.download(session, Range="bytes=1000-2000999")
    assert (part.status_code, part.content) == (206, content[1000:2_001_000])
    assert client.delete(session)["sessionid"] == session["sessionid"]


def test_a_large_body_and_many_requests_on_one_connection(daemon, place, wire):
    client = client_of(daemon, place)
    assert client.call("POST", f"{MANAGER}/session", data=b"x" * 70_000).status_code == 413
    session = client.create(wire.near, description="d" * 900, capduration=1)
    for _ in range(100):
        assert client.get(session)["description"] == "d" * 900


def test_the_worker_of_another_unit(make_daemon, place):
    daemon = make_daemon(*flags(place), "--worker=external").start()
    assert client_of(daemon, place).list()["result_count"] == 0


def test_only_https_says_that_it_shall_stay_so(daemon, place, make_daemon):
    strict = "Strict-Transport-Security"
    client = client_of(daemon, place)
    assert "max-age=31536000" in client.call("GET", f"{MANAGER}/sessions").headers[strict]
    assert strict in client.call("GET", "/no/such/path").headers
    plain = make_daemon("--ring-mb", "1").start()
    assert strict not in plain.client.call("GET", f"{MANAGER}/sessions").headers


# ---- versions ----

def speaks(port, version):
    try:
        with connect(port, version) as connection:
            connection.sendall(LIST)
            assert b" 200 " in connection.recv(100)
            return connection.version()
    except ssl.SSLError:
        return None


@pytest.mark.filterwarnings("ignore:.*is deprecated")
def test_versions(daemon):
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1) is None
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1_1) is None
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_the_oldest_version_that_is_allowed(make_daemon, place):
    daemon = make_daemon(*flags(place), "--tls-min-version", "1.3").start()
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1_2) is None
    assert speaks(daemon.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_only_good_ciphers(daemon):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", daemon.port), 10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


@pytest.mark.parametrize("offered, chosen", [(["h2", "http/1.1"], "http/1.1"), ([], None), (["h2"], "refused")])
def test_the_protocol_within(daemon, offered, chosen):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if offered:
        context.set_alpn_protocols(offered)
    with socket.create_connection(("127.0.0.1", daemon.port), 10) as plain:
        if chosen == "refused":
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(plain)
        else:
            assert context.wrap_socket(plain).selected_alpn_protocol() == chosen


# ---- clients that do not speak it ----

def test_plain_http_does_no_harm(daemon, place):
    for blob in (LIST, b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", daemon.port), 10 * SLOW) as connection:
            answer = b""
            try:
                connection.sendall(blob)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(1000):
                    answer += piece
            except OSError as problem:  # it may have been closed by then
                assert problem.errno in (errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE)
            assert b"HTTP" not in answer and b"result" not in answer
    assert client_of(daemon, place).list()["result_count"] == 0


def test_a_handshake_that_does_not_go_on(make_daemon, place):
    daemon = make_daemon(*flags(place), "--request-timeout", "2").start()
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", daemon.port), 10 * SLOW) as connection:
        connection.sendall(b"\x16\x03\x01")
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass
    assert 1.9 <= time.monotonic() - begin <= 5 * SLOW
    assert client_of(daemon, place).list()["result_count"] == 0


def test_who_goes_away_in_the_middle(daemon, place, wire):
    client = client_of(daemon, place)
    session = capture(client, wire)
    request = (f"GET {MANAGER}/session/{session['sessionid']}/capturefile HTTP/1.1\r\nHost: localhost\r\n"
               f"{authorization()}\r\n\r\n").encode()
    for _ in range(5):
        with connect(daemon.port) as connection:
            connection.sendall(request)
            connection.recv(100)
    assert client.get(session)["sessionstatus"] == "STOPPED"


# ---- the certificate ----

def test_the_key_is_for_root_alone(daemon, place):
    """And the service is somebody else, who sees nothing but the data directory."""
    assert (place / "key.pem").stat().st_mode & 0o077 == 0 and (place / "key.pem").stat().st_uid == 0
    assert sandbox.status_of(daemon.pid("front end"))["Uid"].split()[0] != "0"
    assert shown(daemon.port) == in_file(place)
    descriptors = f"/proc/{daemon.pid('front end')}/fd"
    assert not [name for name in os.listdir(descriptors) if "pem" in os.readlink(f"{descriptors}/{name}")]


def renew(daemon, pattern):
    """SIGHUP; returns when the log says this."""
    before = len(daemon.text())
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: pattern in daemon.text()[before:], 10, pattern)


def test_a_new_certificate_while_a_download_goes_on(daemon, place, wire):
    client = client_of(daemon, place)
    session = capture(client, wire, 10_000)
    before = in_file(place)
    assert shown(daemon.port) == before
    with connect(daemon.port, receive_buffer=65536) as download:
        download.sendall(f"GET {MANAGER}/session/{session['sessionid']}/capturefile HTTP/1.1\r\nHost: localhost\r\n"
                         f"Connection: close\r\n{authorization()}\r\n\r\n".encode())
        content = download.recv(1000)
        certificate(place)
        renew(daemon, "certificate read again: CN = lab.example, until ")
        assert shown(daemon.port) == in_file(place) != before
        while piece := download.recv(65536):
            content += piece
    with open(session["filelocation"], "rb") as file:
        assert hashlib.sha256(content.split(b"\r\n\r\n", 1)[1]).digest() == hashlib.sha256(file.read()).digest()
    assert client.get(session)["sessionstatus"] == "STOPPED"  # by the connection of before
    assert client_of(daemon, place).list()["result_count"] == 1


def test_renewed_often(daemon, place):
    for _ in range(10):
        certificate(place)
        renew(daemon, "certificate read again")
        assert shown(daemon.port) == in_file(place)


def test_a_bad_pair_is_kept_out(daemon, place):
    good, key = in_file(place), (place / "key.pem").read_bytes()
    daemon.expect_log(r"; the certificate stays as it was$")
    certificate(place)
    (place / "key.pem").write_bytes(key)  # of the one before
    renew(daemon, "the certificate stays as it was")
    assert f"the key in {place / 'key.pem'} is not that of the certificate" in daemon.text()
    (place / "certificate.pem").write_text("nonsense")
    renew(daemon, f"{place / 'certificate.pem'} holds no certificate that can be used")
    (place / "key.pem").unlink()
    renew(daemon, f"cannot open {place / 'key.pem'}: No such file")
    assert shown(daemon.port) == good
    certificate(place)
    renew(daemon, "certificate read again")
    assert shown(daemon.port) == in_file(place) != good


def test_a_front_end_that_is_started_again_has_it(daemon, place):
    """With what is in the files by then."""
    certificate(place)
    daemon.kill("front end")
    wait_until(lambda: daemon.text().count("listening on https") == 2, 10, "the next front end")
    assert shown(daemon.port) == in_file(place)
    certificate(place)
    renew(daemon, "certificate read again")
    assert shown(daemon.port) == in_file(place)


def test_sighup_without_a_certificate(make_daemon):
    daemon = make_daemon("--ring-mb", "1").start()
    renew(daemon, "SIGHUP: there is no certificate to read again")
    assert daemon.client.list()["result_count"] == 0


def start_fails(daemon, *patterns):
    daemon.expect_log(*patterns)
    daemon.launch()
    assert daemon.wait_exit() != 0
    for pattern in patterns:
        assert pattern in daemon.text()


@pytest.mark.parametrize("name", ["certificate.pem", "key.pem"])
def test_a_missing_file_is_named(make_daemon, place, name):
    (place / name).unlink()
    start_fails(make_daemon(*flags(place)), f"cannot open {place / name}: No such file or directory")


@pytest.mark.parametrize("name, message", [("certificate.pem", "holds no certificate"), ("key.pem", "holds no private key")])
def test_a_bad_file_is_named(make_daemon, place, name, message):
    (place / name).write_text("nonsense")
    start_fails(make_daemon(*flags(place)), f"{place / name} {message}")


def test_a_directory_is_no_certificate(make_daemon, place):
    (place / "certificate.pem").unlink()
    (place / "certificate.pem").mkdir()
    start_fails(make_daemon(*flags(place)), f"{place / 'certificate.pem'} cannot be read")


def test_a_key_with_a_passphrase(make_daemon, place):
    sandbox.run("openssl", "ec", "-in", place / "key.pem", "-out", place / "locked.pem", "-aes256", "-passout", "pass:x")
    shutil.move(place / "locked.pem", place / "key.pem")
    start_fails(make_daemon(*flags(place)), "holds no private key that can be read without a passphrase")


@pytest.mark.parametrize("given, missing", [("--tls-certificate", "tls_key"), ("--tls-key", "tls_certificate")])
def test_one_without_the_other(make_daemon, place, given, missing):
    words = flags(place)
    at = words.index(given)
    daemon = make_daemon(*words[at:at + 2])
    daemon.expect_log(missing, "usage")
    daemon.launch()
    assert daemon.wait_exit() != 0
    assert missing in daemon.text()


def test_verified_as_clients_do(daemon, place):
    """A client that does not know the certificate does not speak to it."""
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{daemon.port}/", timeout=10)
