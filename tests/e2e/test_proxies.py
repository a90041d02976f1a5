"""Behind a real nginx: prefix, TLS at the proxy, addresses, links, cookies, a long download; and what a client may not
say itself."""
import itertools

import pytest
import urllib3

from harness.client import ADMIN, MANAGER, POLICY, check_answer
from harness.frames import numbers
from harness.nginx import FORWARD, Nginx
from harness.people import USER_HEADER, add_user, anonymous, moved, password_of, status

urllib3.disable_warnings()
PORTS = itertools.count(28443)
PREFIX = "/lab/capture"


def location(path, target, more=""):
    return f"    location {path} {{\n      proxy_pass http://127.0.0.1:{target};{FORWARD}{more}    }}\n"


@pytest.fixture(scope="module")
def daemon(make_shared_daemon):
    # The ring holds all of the long download's packets, however slow the build.
    daemon = make_shared_daemon("--ring-mb", "64", "--trusted-proxies", "127.0.0.1", "--user-header", USER_HEADER).start()
    add_user(daemon.client, "alice", "operator")
    return daemon


@pytest.fixture(scope="module")
def nginx(daemon, tmp_path_factory):
    """Under /lab/capture/ with the prefix cut off; as it is below /api/; under /sso/ for those whom it has let in."""
    place = tmp_path_factory.mktemp("nginx")
    (place / "users").write_text("alice:{PLAIN}proxy-knows\n")
    locations = (
        location(PREFIX + "/", f"{daemon.port}/", f"      proxy_set_header X-Forwarded-Prefix {PREFIX};\n"
                                                  f'      proxy_set_header {USER_HEADER} "";\n')
        + location("/api/", daemon.port, f'      proxy_set_header {USER_HEADER} "";\n')
        + location("/sso/", f"{daemon.port}/",
                   "      proxy_set_header X-Forwarded-Prefix /sso;\n      auth_basic lab;\n"
                   f"      auth_basic_user_file {place}/users;\n      proxy_set_header {USER_HEADER} $remote_user;\n"))
    proxy = Nginx(place, next(PORTS), locations).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def behind(nginx):
    return nginx.client(PREFIX + MANAGER, ADMIN)


def test_a_capture_through_the_proxy(behind, shared_wire):
    session = behind.started(shared_wire.near, capamount=3, direction="INPUT")
    shared_wire.inward.send_all(numbers(3))
    session = behind.wait_end(session)
    assert session["runtime"]["packets_captured"] == 3
    assert len(behind.download(session).content) == session["filesize"]
    behind.delete(session)


@pytest.mark.parametrize("prefix", [MANAGER, POLICY])
def test_links_are_the_clients(nginx, shared_wire, prefix):
    client = nginx.client(PREFIX + prefix, ADMIN)
    answer = client.call("POST", client.prefix + "/session",
                         json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": shared_wire.near, "capduration": 30})
    session = check_answer("POST", answer)
    link = answer.headers["Location"]
    assert link == f"https://127.0.0.1:{nginx.port}{PREFIX}{prefix}/session/{session['sessionid']}"
    assert client.http.get(link).json()["sessionid"] == session["sessionid"]
    client.http.post(link + "?action=terminate")


def test_a_prefix_that_is_also_the_beginning_of_the_path(daemon):
    """Cut off by the proxy already: not once more."""
    client = anonymous(daemon.port)
    client.http.auth = ADMIN
    for prefix in ("/api", "/api/v1"):
        assert client.call("GET", MANAGER + "/sessions", headers={"X-Forwarded-Prefix": prefix}).status_code == 200


def test_a_prefix_that_the_proxy_leaves_in_place(make_daemon, tmp_path):
    daemon = make_daemon("--ring-mb", "1", "--trusted-proxies", "127.0.0.1", "--path-prefix", PREFIX).start()
    proxy = Nginx(tmp_path, next(PORTS), location(PREFIX + "/", daemon.port)).start()
    try:
        client = proxy.client(PREFIX + MANAGER, ADMIN)
        assert client.list()["result_count"] == 0
        answer = client.call("POST", PREFIX + "/api/session/create",
                             data={"j_username": "admin", "j_password": ADMIN[1]})
        assert f"Path={PREFIX}/;" in answer.headers["Set-Cookie"]
    finally:
        proxy.stop()


def test_cookies_are_the_clients(nginx):
    client = nginx.client(PREFIX + MANAGER)
    answer = client.call("POST", PREFIX + "/api/session/create",
                         data={"j_username": "alice", "j_password": password_of("alice")})
    cookie = answer.headers["Set-Cookie"]
    assert "; Secure" in cookie and f"Path={PREFIX}/;" in cookie
    assert client.json("GET", "/whoami")["user"] == "alice"
    client.http.headers["X-XSRF-TOKEN"] = answer.headers["X-XSRF-TOKEN"]
    assert status(client, "POST", PREFIX + "/api/session/destroy")[0] == 200
    assert status(client, "GET", f"{PREFIX}{MANAGER}/whoami")[0] == 401  # the client has let go of its cookie


def test_origins_are_the_clients(nginx):
    client = nginx.client(PREFIX + MANAGER, ADMIN)
    ours = {"Origin": f"https://127.0.0.1:{nginx.port}"}
    path = f"{PREFIX}{MANAGER}/session"
    assert status(client, "POST", path, json={"cappoint": "VNIC"}, headers=ours)[0] == 400
    assert status(client, "POST", path, json={"cappoint": "VNIC"}, headers={"Origin": "https://evil.example"})[0] == 403


def test_the_proxy_lets_people_in(nginx):
    client = nginx.client("/sso" + MANAGER, ("alice", "proxy-knows"))
    assert client.json("GET", "/whoami")["way"] == "proxy"
    assert nginx.client("/sso" + MANAGER, ("alice", "wrong")).call("GET", "/sso" + MANAGER + "/whoami").status_code == 401


def test_a_client_cannot_assert_itself(nginx):
    client = nginx.client(PREFIX + MANAGER)
    client.http.headers[USER_HEADER] = "admin"
    assert status(client, "GET", f"{PREFIX}{MANAGER}/whoami")[0] == 401
    client = nginx.client("/sso" + MANAGER, ("alice", "proxy-knows"))
    client.http.headers[USER_HEADER] = "admin"
    assert client.json("GET", "/whoami")["user"] == "alice"


def newest_record(daemon, **query):
    return daemon.client.json("GET", "/audit", params={**query, "page_size": 1})["results"][0]


def test_the_audit_has_the_clients_address(daemon, nginx):
    """What the client writes into X-Forwarded-For itself stands further to the left."""
    client = moved_tls(nginx.client(PREFIX + MANAGER, ADMIN), "127.9.8.7")
    client.http.headers["X-Forwarded-For"] = "203.0.113.66"
    made = client.json("POST", "/tokens", 201, json={"name": "from afar"})
    assert newest_record(daemon, operation="create-token")["address"] == "127.9.8.7"
    client.json("DELETE", f"/tokens/{made['id']}")


def moved_tls(client, address):
    moved(client, address)
    client.http.mount("https://", client.http.get_adapter("http://"))
    return client


def test_who_is_not_trusted_is_not_believed(daemon):
    client = moved(anonymous(daemon.port), "127.0.0.77")
    client.http.auth = ADMIN
    client.http.headers.update({"X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.67",
                                "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
                                "X-Forwarded-Prefix": "/evil"})
    answer = client.call("POST", f"{MANAGER}/tokens", json={"name": "spoofed"})
    assert answer.status_code == 201 and "evil" not in str(answer.headers)
    assert newest_record(daemon, operation="create-token")["address"] == "127.0.0.77"
    daemon.client.json("DELETE", f"/tokens/{answer.json()['id']}")


def test_a_long_download_is_not_gathered_in_the_proxy(daemon, nginx, behind, make_wire):
    wire = make_wire(mtu=9000)
    session = behind.started(wire.near, capamount=4000, direction="INPUT", cappoint="VNIC")
    wire.inward.send_all(bytes.fromhex("0200000000fe0200000000ff88b5") + bytes(8000) for _ in range(4000))
    session = behind.wait_end(session, timeout=30)
    assert session["filesize"] > 32_000_000
    answer = behind.call("GET", f"{behind.prefix}/session/{session['sessionid']}/capturefile", stream=True)
    assert "X-Accel-Buffering" not in answer.headers  # nginx has understood it
    first = answer.raw.read(1_000_000)
    gathered = sum(path.stat().st_size for path in (nginx.place / "proxy").rglob("*") if path.is_file())
    assert gathered == 0, "nginx keeps the download in its own files"
    rest = answer.raw.read()
    assert len(first) + len(rest) == session["filesize"]
    direct = daemon.client.download(session).content
    assert first + rest == direct
    behind.delete(session)


def test_errors_behind_the_proxy_are_errors_of_the_api(nginx, behind):
    for method, path, wanted in (("GET", "/no/such", 404), ("PUT", MANAGER + "/sessions", 405),
                                 ("GET", MANAGER + "/session/x", 404)):
        answer = behind.call(method, PREFIX + path)
        assert answer.status_code == wanted
        check_answer(method, answer)
