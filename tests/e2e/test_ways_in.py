"""The ways in: passwords, NSX's logins, tokens, and a trusted proxy's word; and what does not get in."""
import concurrent.futures
import contextlib
import http.client
import pathlib
import re
import statistics
import threading
import time

import pytest

from harness.client import ADMIN, MANAGER, check_answer
from harness.people import (GROUPS_HEADER, PROXY, USER_HEADER, add_role, add_user, anonymous, asserted, basic, bearer,
                            login, moved, password_of, status, token)
from harness.wait import wait_until

LIST = f"{MANAGER}/sessions"
WHOAMI = f"{MANAGER}/whoami"
NO_CREDENTIALS, BAD_CREDENTIALS, TOO_MANY, CROSS_SITE, FORBIDDEN = 36600, 36601, 36602, 36603, 36604


@pytest.fixture(scope="module")
def daemon(make_shared_daemon):
    daemon = make_shared_daemon(
        "--ring-mb", "1", *PROXY, "--group-roles", "lab-admins:admin,lab-ops:operator,guests:nothing").start()
    for name, role in (("alice", "operator"), ("bob", "operator"), ("carol", "auditor")):
        add_user(daemon.client, name, role)
    return daemon


@pytest.fixture
def someone(daemon, request):
    """A user of the test's own."""
    name = "u-" + str(abs(hash(request.node.name)) % 10**9)
    add_user(daemon.client, name, "operator")
    return name


def changing(client):
    """The status of something that changes nothing in the end."""
    return status(client, "POST", f"{MANAGER}/session", json={"cappoint": "VNIC"})


# ---- passwords ----

def test_a_password(daemon):
    me = basic(daemon.port, "alice").json("GET", "/whoami")
    assert (me["user"], me["way"], me["role"], me["kind"]) == ("alice", "basic", "operator", "operator")


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YTpiOg==", "Bearer", "Bearer x", "Basic Og=="])
def test_what_is_no_credential(daemon, header):
    client = anonymous(daemon.port)
    answer = client.call("GET", LIST, headers={"Authorization": header})
    assert answer.status_code in (401, 403)
    check_answer("GET", answer)


def test_another_scheme_is_no_credential(daemon):
    answer = anonymous(daemon.port).call("GET", LIST, headers={"Authorization": "Digest username=admin"})
    assert answer.status_code == 401 and "Basic" in answer.headers["WWW-Authenticate"]


def test_the_same_answer_for_a_wrong_user_and_a_wrong_password(daemon):
    answers = []
    for name, password in (("alice", "not her password"), ("nobody-at-all", "not her password")):
        client = anonymous(daemon.port)
        client.http.auth = (name, password)
        answer = client.call("GET", LIST)
        answers.append((answer.status_code, answer.content, sorted(set(answer.headers) - {"Date"})))
    assert answers[0] == answers[1] and answers[0][0] == 403


def test_the_same_time_for_a_wrong_user_and_a_wrong_password(daemon):
    """Interleaved, each from an address of its own, so that nobody is held back."""
    times = {"alice": [], "nobody": []}
    for i in range(15):
        for name, taken in times.items():
            client = moved(anonymous(daemon.port), f"127.1.{i}.{len(taken) + 1}")
            client.http.auth = (name, f"wrong {i}")
            start = time.monotonic()
            assert client.call("GET", LIST).status_code == 403
            taken.append(time.monotonic() - start)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.5 < known / unknown < 2, times


def test_a_verified_password_is_not_checked_again(daemon):
    client = basic(daemon.port, "alice")
    client.list(page_size=1)
    start = time.monotonic()
    for _ in range(50):
        client.list(page_size=1)
    assert time.monotonic() - start < 50 * 0.015 * sandbox_factor()


def sandbox_factor():
    from harness.wait import SLOW
    return SLOW


def test_a_change_counts_at_once(daemon, someone):
    by_password, by_cookie = basic(daemon.port, someone), login(daemon.port, someone)
    assert status(by_password, "GET", LIST)[0] == status(by_cookie, "GET", LIST)[0] == 200
    daemon.client.json("PATCH", f"/users/{someone}", json={"password": "another password"})
    assert status(by_password, "GET", LIST) == status(by_cookie, "GET", LIST) == (403, BAD_CREDENTIALS)
    by_password.http.auth = (someone, "another password")
    assert status(by_password, "GET", LIST)[0] == 200
    daemon.client.json("PATCH", f"/users/{someone}", json={"disabled": True})
    assert status(by_password, "GET", LIST) == (403, BAD_CREDENTIALS)
    daemon.client.json("PATCH", f"/users/{someone}", json={"disabled": False, "role": "auditor"})
    assert by_password.json("GET", "/whoami")["kind"] == "auditor"
    daemon.client.json("DELETE", f"/users/{someone}")
    assert status(by_password, "GET", LIST) == (403, BAD_CREDENTIALS)


def test_people_change_their_own_password(daemon, someone):
    client = basic(daemon.port, someone)
    path = f"{MANAGER}/users/{someone}"
    assert status(client, "PATCH", path, json={"password": "my new password"})[0] in (400, 403)
    assert status(client, "PATCH", path, json={"password": "my new password", "old_password": "wrong"})[0] == 403
    client.json("PATCH", f"/users/{someone}",
                json={"password": "my new password", "old_password": password_of(someone)})
    client.http.auth = (someone, "my new password")
    assert status(client, "GET", LIST)[0] == 200
    assert status(client, "PATCH", path, json={"role": "admin"})[0] == 403
    assert status(client, "PATCH", f"{MANAGER}/users/admin", json={"password": "my new password"})[0] in (403, 404)


# ---- guessing ----

def test_guessing_is_held_back_for_the_pair_alone(daemon, someone):
    verified = moved(basic(daemon.port, someone), "127.2.0.1")
    assert status(verified, "GET", LIST)[0] == 200
    guess = moved(anonymous(daemon.port), "127.2.0.1")
    seen = []
    for i in range(10):
        guess.http.auth = (someone, f"guess {i}")
        answer = guess.call("GET", LIST)
        seen.append(answer.status_code)
    assert seen[:5] == [403] * 5 and seen[5:] == [429] * 5
    assert answer.json()["error_code"] == TOO_MANY and int(answer.headers["Retry-After"]) >= 1
    # Who was verified goes on; so do others behind that address; so does the user from elsewhere.
    assert status(verified, "GET", LIST)[0] == 200
    assert status(moved(basic(daemon.port, "carol"), "127.2.0.1"), "GET", LIST)[0] == 200
    assert status(moved(basic(daemon.port, someone), "127.2.0.2"), "GET", LIST)[0] == 200


def test_a_flood_of_guesses_starves_nobody(daemon, someone):
    """Eight attackers guess as fast as they can; a healthy client's answers stay quick, and a new one gets in."""
    healthy = basic(daemon.port, "bob")
    healthy.list(page_size=1)
    over = threading.Event()
    counts = []

    def attack(number):
        count = 0
        while not over.is_set():
            client = moved(anonymous(daemon.port), f"127.3.{number}.1")
            client.http.auth = (someone, f"guess {count}")
            client.call("GET", LIST)
            count += 1
        counts.append(count)

    attackers = [threading.Thread(target=attack, args=(number,)) for number in range(8)]
    for one in attackers:
        one.start()
    try:
        taken = []
        for _ in range(100):
            start = time.monotonic()
            assert status(healthy, "GET", LIST)[0] == 200
            taken.append(time.monotonic() - start)
        newcomer = moved(basic(daemon.port, "carol"), "127.3.99.1")
        wait_until(lambda: status(newcomer, "GET", LIST)[0] == 200, 10, "the newcomer to be let in")
    finally:
        over.set()
        for one in attackers:
            one.join()
    assert sum(counts) > 20 and sorted(taken)[95] < 0.25 * sandbox_factor(), (counts, taken)


def together(count, call):
    """call(0), call(1)... at once; what they return."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


def test_a_script_that_starts_with_many_requests(daemon, someone):
    clients = [moved(basic(daemon.port, someone), "127.5.0.1") for _ in range(40)]
    assert together(40, lambda i: status(clients[i], "GET", LIST)[0]) == [200] * 40


def test_many_users_at_once_behind_one_address(daemon):
    names = [f"crowd-{i}" for i in range(24)]
    for name in names:
        add_user(daemon.client, name, "operator")
    clients = [moved(basic(daemon.port, name), "127.5.0.2") for name in names]
    assert together(24, lambda i: status(clients[i], "GET", LIST)[0]) == [200] * 24


@contextlib.contextmanager
def made_up_names(port, addresses, threads):
    """A flood of them, each another one, as fast as it gets answers; goes on when guesses are held back."""
    over, checked = threading.Event(), threading.Semaphore(0)

    def attack(number):
        client = moved(anonymous(port), addresses[number % len(addresses)])
        count = 0
        while not over.is_set():
            client.http.auth = (f"made-up-{number}-{count}", "x")
            if client.call("GET", LIST).status_code == 403:
                checked.release()
            count += 1

    attackers = [threading.Thread(target=attack, args=(number,)) for number in range(threads)]
    for one in attackers:
        one.start()
    try:
        for _ in range(12 * len(addresses)):
            assert checked.acquire(timeout=60)
        yield
    finally:
        over.set()
        for one in attackers:
            one.join()


def tries_until_in(client, most):
    """As a client that waits when it is told to."""
    for number in range(1, most + 1):
        answer = client.call("GET", LIST)
        if answer.status_code == 200:
            return number
        assert answer.status_code == 429
        due = time.monotonic() + int(answer.headers["Retry-After"])
        wait_until(lambda: time.monotonic() >= due, 60, "the time to come back")
    return most + 1


@pytest.mark.parametrize("addresses, threads", [(["127.6.0.1"], 12), ([f"127.7.0.{i}" for i in range(1, 7)], 24)])
def test_a_flood_of_made_up_names_keeps_nobody_out(daemon, addresses, threads):
    names = [f"late-{threads}-{i}" for i in range(8)]
    for name in names:
        add_user(daemon.client, name, "operator")
    with made_up_names(daemon.port, addresses, threads):
        for i, name in enumerate(names[:5]):
            assert tries_until_in(moved(basic(daemon.port, name), f"127.8.{threads}.{i + 1}"), 2) <= 2
        for name in names[5:]:
            assert tries_until_in(moved(basic(daemon.port, name), addresses[0]), 5) <= 5


def test_a_flood_of_made_up_names_does_not_end_the_wait(daemon, someone):
    guess = moved(anonymous(daemon.port), "127.9.0.1")
    for i in range(8):
        guess.http.auth = (someone, f"guess {i}")
        answer = guess.call("GET", LIST)
        if answer.status_code == 429:
            wait_until(lambda: guess.call("GET", LIST).status_code == 403, 30, "the wait to end")
    assert guess.call("GET", LIST).status_code == 429
    with made_up_names(daemon.port, ["127.9.0.1", "127.9.0.2"], 8):
        assert guess.call("GET", LIST).status_code == 429


def test_the_wait_for_an_old_password_is_told(daemon, someone):
    client = moved(basic(daemon.port, someone), "127.10.0.1")
    path = f"{MANAGER}/users/{someone}"
    for i in range(6):
        answer = client.call("PATCH", path, json={"password": "my new password", "old_password": f"wrong {i}"})
    assert answer.status_code == 429
    assert f"try again in {answer.headers['Retry-After']} s" in answer.json()["error_message"]
    assert int(answer.headers["Retry-After"]) < 10


# ---- logins ----

def test_a_login_as_nsx_has_it(daemon):
    client = anonymous(daemon.port)
    answer = client.call("POST", "/api/session/create", data={"j_username": "alice", "j_password": password_of("alice")})
    assert answer.status_code == 200 and answer.json() == {"user": "alice", "role": "operator"}
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("JSESSIONID=") and "HttpOnly" in cookie and "Path=/;" in cookie and "Secure" not in cookie
    assert "SameSite=Strict" in cookie and len(answer.headers["X-XSRF-TOKEN"]) >= 32
    assert answer.headers["X-XSRF-TOKEN"] not in cookie
    assert client.json("GET", "/whoami")["way"] == "cookie"


def test_a_cookie_needs_its_token_to_change_anything(daemon):
    client = login(daemon.port, "alice")
    right = client.http.headers["X-XSRF-TOKEN"]
    assert changing(client)[0] == 400
    for wrong in (None, "", "x", right[:-1], right + "x", login(daemon.port, "bob").http.headers["X-XSRF-TOKEN"]):
        client.http.headers["X-XSRF-TOKEN"] = wrong
        assert changing(client) == (403, CROSS_SITE)
        assert status(client, "POST", f"{MANAGER}/sessions?action=delete") == (403, CROSS_SITE)
        assert status(client, "GET", "/api/session/destroy") == (403, CROSS_SITE)
        assert status(client, "GET", LIST)[0] == 200
    client.http.headers["X-XSRF-TOKEN"] = right
    assert changing(client)[0] == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_is_ended(daemon, method):
    client = login(daemon.port, "alice")
    cookie = client.http.cookies["JSESSIONID"]
    other = login(daemon.port, "alice")
    answer = client.call(method, "/api/session/destroy")
    assert answer.status_code == 200 and "Max-Age=0" in answer.headers["Set-Cookie"]
    client.http.cookies.set("JSESSIONID", cookie)
    assert status(client, "GET", LIST) == (403, BAD_CREDENTIALS)
    assert status(other, "GET", LIST)[0] == 200


def test_a_login_takes_no_cookie_that_it_is_given(daemon):
    """Session fixation."""
    client = anonymous(daemon.port)
    client.http.cookies.set("JSESSIONID", "chosen-by-somebody-else", domain="127.0.0.1", path="/")
    answer = client.call("POST", "/api/session/create", data={"j_username": "alice", "j_password": password_of("alice")})
    assert answer.status_code == 200 and "chosen-by-somebody-else" not in answer.headers["Set-Cookie"]
    thief = anonymous(daemon.port)
    thief.http.cookies.set("JSESSIONID", "chosen-by-somebody-else", domain="127.0.0.1", path="/")
    assert status(thief, "GET", LIST) == (403, BAD_CREDENTIALS)


@pytest.mark.parametrize("form, wanted", [
    ({"j_username": "alice", "j_password": "wrong"}, (403, BAD_CREDENTIALS)),
    ({"j_username": "nobody-there", "j_password": "wrong"}, (403, BAD_CREDENTIALS)),
    ({"j_username": "alice"}, (400, 36013)),
    ({}, (400, 36013)),
])
def test_a_login_that_fails(daemon, form, wanted):
    client = moved(anonymous(daemon.port), "127.4.0.1")
    answer = client.call("POST", "/api/session/create", data=form)
    assert (answer.status_code, answer.json()["error_code"]) == wanted
    assert "Set-Cookie" not in answer.headers and "X-XSRF-TOKEN" not in answer.headers


def test_a_login_takes_a_form_only(daemon):
    client = anonymous(daemon.port)
    body = {"j_username": "alice", "j_password": password_of("alice")}
    assert client.call("POST", "/api/session/create", json=body).status_code == 415


def test_many_logins_lock_nobody_out(daemon, someone):
    first = login(daemon.port, someone)
    clients = [login(daemon.port, someone) for _ in range(120)]
    assert all(status(client, "GET", LIST)[0] == 200 for client in [first, *clients[::20], clients[-1]])


def test_a_login_ends_by_itself(make_daemon):
    daemon = make_daemon("--ring-mb", "1", "--login-idle", "2", "--login-lifetime", "4").start()
    idle, busy = login(daemon.port, "admin"), login(daemon.port, "admin")
    start = time.monotonic()
    assert status(idle, "GET", LIST)[0] == 200
    wait_until(lambda: status(login(daemon.port, "admin"), "GET", LIST)[0] == 200 and time.monotonic() - start > 2.1,
               20, "two seconds")
    assert status(idle, "GET", LIST) == (403, BAD_CREDENTIALS)
    wait_until(lambda: status(busy, "GET", LIST) == (403, BAD_CREDENTIALS), 20, "the lifetime's end")
    assert time.monotonic() - start > 1.9


def test_cookies_of_several_applications(daemon):
    """They share a host, and so the browser sends all of them: stale ones, and the one that opens."""
    client, other = login(daemon.port, "alice"), login(daemon.port, "bob")
    cookie, others = (one.http.cookies["JSESSIONID"] for one in (client, other))
    both = anonymous(daemon.port)
    for stale_first in (f"JSESSIONID=stale; JSESSIONID={cookie}", f"a=b; JSESSIONID={cookie}; JSESSIONID=stale",
                        "; ".join(["JSESSIONID=stale"] * 7 + [f"JSESSIONID={cookie}"])):
        both.http.headers.update({"Cookie": stale_first, "X-XSRF-TOKEN": client.http.headers["X-XSRF-TOKEN"]})
        assert both.json("GET", "/whoami")["user"] == "alice"
        assert changing(both)[0] == 400
        both.http.headers["X-XSRF-TOKEN"] = other.http.headers["X-XSRF-TOKEN"]
        assert changing(both) == (403, CROSS_SITE)
    both.http.headers["Cookie"] = "; ".join(["JSESSIONID=stale"] * 8 + [f"JSESSIONID={cookie}"])
    assert status(both, "GET", LIST) == (403, BAD_CREDENTIALS)
    # Two that open: the token says which of them changes something.
    both.http.headers["Cookie"] = f"JSESSIONID={cookie}; JSESSIONID={others}"
    assert both.json("GET", "/whoami")["user"] == "alice"
    assert changing(both)[0] == 400


# ---- tokens ----

def test_a_token_is_shown_once_and_kept_as_a_hash(daemon):
    made = basic(daemon.port, "alice").json("POST", "/tokens", 201, json={"name": "nightly"})
    client = bearer(daemon.port, made["token"])
    assert client.json("GET", "/whoami")["way"] == "token"
    shown = [one for one in client.json("GET", "/tokens")["results"] if one["id"] == made["id"]]
    assert shown[0]["name"] == "nightly" and "token" not in shown[0] and "hash" not in shown[0]
    for path in daemon.data.glob("pktcapd.db*"):
        assert made["token"].encode() not in path.read_bytes()
    assert made["token"] not in daemon.text()


def test_a_token_changes_things_without_more(daemon):
    assert changing(token(daemon.port, "alice"))[0] == 400


def test_a_token_ends(daemon, someone):
    revoked, expired = token(daemon.port, someone), token(daemon.port, someone, expires_in=1)
    assert status(revoked, "GET", LIST)[0] == 200
    tokens = basic(daemon.port, someone).json("GET", "/tokens")["results"]
    never = next(one for one in tokens if "expires" not in one)
    basic(daemon.port, someone).json("DELETE", f"/tokens/{never['id']}")
    assert status(revoked, "GET", LIST) == (403, BAD_CREDENTIALS)
    wait_until(lambda: status(expired, "GET", LIST) == (403, BAD_CREDENTIALS), 10, "the token to expire")
    kept = token(daemon.port, someone)
    daemon.client.json("PATCH", f"/users/{someone}", json={"disabled": True})
    assert status(kept, "GET", LIST) == (403, BAD_CREDENTIALS)
    daemon.client.json("DELETE", f"/users/{someone}")
    assert status(kept, "GET", LIST) == (403, BAD_CREDENTIALS)


def test_tokens_are_their_owners(daemon):
    made = basic(daemon.port, "alice").json("POST", "/tokens", 201, json={"name": "mine"})
    bob, path = basic(daemon.port, "bob"), f"{MANAGER}/tokens/{made['id']}"
    assert status(bob, "GET", path)[0] == status(bob, "DELETE", path)[0] == 404
    assert made["id"] not in [one["id"] for one in bob.json("GET", "/tokens")["results"]]
    assert status(bob, "POST", f"{MANAGER}/tokens", json={"name": "x", "user": "alice"})[0] == 403
    assert status(bearer(daemon.port, made["token"]), "POST", f"{MANAGER}/tokens", json={"name": "x"})[0] == 403
    daemon.client.json("DELETE", f"/tokens/{made['id']}")
    assert status(bearer(daemon.port, made["token"]), "GET", LIST)[0] == 403


# ---- a trusted proxy ----

def test_a_trusted_proxy_says_who_it_is(daemon):
    me = asserted(daemon.port, "alice").json("GET", "/whoami")
    assert (me["user"], me["way"], me["role"]) == ("alice", "proxy", "operator")


def test_an_untrusted_address_says_nothing(daemon):
    client = moved(asserted(daemon.port, "admin", "lab-admins"), "127.0.0.2")
    assert status(client, "GET", LIST) == (401, NO_CREDENTIALS)
    client.http.headers["X-Forwarded-For"] = "127.0.0.1"
    client.http.headers["Forwarded"] = "for=127.0.0.1"
    assert status(client, "GET", LIST) == (401, NO_CREDENTIALS)


@pytest.mark.parametrize("name, groups, role", [
    ("alice", None, "operator"), ("alice", "lab-admins", "admin"), ("alice", "others", "operator"),
    ("dora", "lab-ops", "operator"), ("dora", "x, lab-ops; lab-admins", "admin"), ("dora", "lab-ops, temp lab-admins", "operator"), ("carol", "", "auditor"),
])
def test_groups_become_roles(daemon, name, groups, role):
    assert asserted(daemon.port, name, groups).json("GET", "/whoami")["role"] == role


@pytest.mark.parametrize("name", [USER_HEADER, GROUPS_HEADER])
def test_an_assertion_that_is_given_twice(daemon, name):
    """As by a proxy that adds its header to the client's."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    connection.putrequest("GET", WHOAMI)
    for header, value in ((USER_HEADER, "dora"), (GROUPS_HEADER, "lab-ops"), (name, "lab-admins")):
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 403


def test_people_without_a_role_stay_outside(daemon):
    assert status(asserted(daemon.port, "dora"), "GET", LIST) == (403, FORBIDDEN)
    assert status(asserted(daemon.port, "dora", "unheard-of"), "GET", LIST) == (403, FORBIDDEN)


@pytest.mark.parametrize("name", ["a b", "../x", 'a"b', "x" * 65, "ä"])
def test_names_that_are_none(daemon, name):
    client = asserted(daemon.port, name.encode("latin-1"))
    assert status(client, "GET", LIST)[0] == 403


def test_the_user_of_a_proxy_captures(daemon, shared_wire):
    client = asserted(daemon.port, "dora", "lab-ops")
    session = client.create(shared_wire.near, capduration=60)
    assert session["_create_user"] == session["owner"] == "dora"
    client.wait_for(session, "STARTED")
    client.terminate(session)
    assert status(basic(daemon.port, "alice"), "GET", f"{MANAGER}/session/{session['sessionid']}")[0] == 404
    client.delete(session)


# ---- web pages of somebody else ----

@pytest.mark.parametrize("way", [basic, login, asserted])
def test_a_page_of_another_origin_changes_nothing(daemon, way):
    client = way(daemon.port, "alice")
    host = f"127.0.0.1:{daemon.port}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Origin": f"http://{host}.evil.example"}):
        answer = client.call("POST", f"{MANAGER}/sessions?action=delete", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, CROSS_SITE)
    for headers in ({"Origin": f"http://{host}"}, {"Sec-Fetch-Site": "same-origin"}):
        answer = client.call("POST", f"{MANAGER}/session", json={"cappoint": "VNIC"}, headers=headers)
        assert answer.status_code == 400


# ---- the first start ----

def test_the_first_start_prints_a_password_once(make_daemon):
    daemon = make_daemon("--ring-mb", "1", environment={"PKTCAPD_ADMIN_PASSWORD": ""}).start()
    password = daemon.wait_for_log(r"The first administrator is admin, the password is (\S+)")[1]
    assert len(password) == 20 and daemon.text().count(password) == 1
    daemon.client.http.auth = ("admin", password)
    assert daemon.client.json("GET", "/whoami")["kind"] == "admin"
    daemon.stop()
    daemon.start()
    daemon.client.http.auth = ("admin", password)
    assert daemon.client.json("GET", "/whoami")["kind"] == "admin"
    assert daemon.text().count(password) == 1
    daemon.expect_log("the password is", "It is not shown again")


def test_the_password_of_the_environment_counts_once(make_daemon):
    daemon = make_daemon("--ring-mb", "1").start()
    assert ADMIN[1] not in daemon.text()
    daemon.client.json("PATCH", "/users/admin", json={"password": "changed since then"})
    daemon.stop()
    daemon.start()
    assert status(daemon.client, "GET", LIST) == (403, BAD_CREDENTIALS)
    daemon.client.http.auth = ("admin", "changed since then")
    assert status(daemon.client, "GET", LIST)[0] == 200


def test_nobody_sees_the_password_in_the_environment(daemon):
    for role in ("parent", "front end", "worker", "broker"):
        with open(f"/proc/{daemon.pid(role)}/environ", "rb") as file:
            assert ADMIN[1].encode() not in file.read(), role


def test_the_front_end_leaves_no_core(daemon):
    pid = daemon.pid("front end")
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert pathlib.Path(f"/proc/{pid}/environ").stat().st_uid == 0  # as of what cannot be dumped


def test_a_short_password_of_the_environment(make_daemon):
    daemon = make_daemon("--ring-mb", "1", environment={"PKTCAPD_ADMIN_PASSWORD": "short"})
    daemon.expect_log("shorter than 8 bytes")
    daemon.start()
    daemon.client.http.auth = ("admin", "short")
    assert daemon.client.json("GET", "/whoami")["kind"] == "admin"
    daemon.wait_for_log("shorter than 8 bytes")


def test_somebody_always_is_administrator(daemon):
    path = f"{MANAGER}/users/admin"
    assert status(daemon.client, "DELETE", path) == (412, 36704)
    assert status(daemon.client, "PATCH", path, json={"disabled": True}) == (412, 36704)
    assert status(daemon.client, "PATCH", path, json={"role": "operator"}) == (412, 36704)


def test_roles_are_made_and_unmade(daemon):
    add_role(daemon.client, "night-shift", max_sessions=2)
    add_user(daemon.client, "nils", "night-shift")
    assert basic(daemon.port, "nils").json("GET", "/whoami")["policy"]["max_sessions"] == 2
    assert status(daemon.client, "DELETE", f"{MANAGER}/roles/night-shift") == (412, 36706)
    assert status(daemon.client, "DELETE", f"{MANAGER}/roles/operator") == (412, 36705)
    daemon.client.json("DELETE", "/users/nils")
    daemon.client.json("DELETE", "/roles/night-shift")


def test_headers_that_name_the_user_are_off_unless_set(make_daemon):
    daemon = make_daemon("--ring-mb", "1", "--trusted-proxies", "127.0.0.0/8").start()
    client = anonymous(daemon.port)
    client.http.headers.update({USER_HEADER: "admin", GROUPS_HEADER: "lab-admins"})
    assert status(client, "GET", WHOAMI) == (401, NO_CREDENTIALS)
