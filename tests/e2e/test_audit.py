"""Every act is on record: who, from where, what, on which session, and what came of it."""
import sqlite3

import pytest

from harness.client import ADMIN, MANAGER
from harness.people import PROXY, add_role, add_user, anonymous, asserted, basic, login, moved, password_of, status, token
from harness.wait import wait_until


@pytest.fixture(scope="module")
def daemon(make_shared_daemon):
    daemon = make_shared_daemon("--ring-mb", "1", *PROXY, "--group-roles", "ops:operator").start()
    for name, role in (("alice", "operator"), ("bob", "operator"), ("carol", "auditor")):
        add_user(daemon.client, name, role)
    return daemon


def records(daemon, **query):
    """Oldest first."""
    return daemon.client.json("GET", "/audit", params=query)["results"][::-1]


def operations(daemon, **query):
    return [(one["operation"], one["status"]) for one in records(daemon, **query)]


def test_the_life_of_a_session(daemon, shared_wire):
    client = moved(basic(daemon.port, "alice"), "127.5.0.1")
    session = client.started(shared_wire.near, capduration=60)
    identity = session["sessionid"]
    for _ in range(20):
        client.get(session)  # one's own: not on record
    client.json("POST", f"/session/{identity}?action=share", json={"user": "bob"})
    client.terminate(session)
    client.download(session)
    client.restart(session)
    client.terminate(session)
    assert basic(daemon.port, "bob").call("POST", f"{MANAGER}/session/{identity}?action=delete").status_code == 403
    basic(daemon.port, "carol").get(session)
    client.delete(session)
    seen = records(daemon, session=identity)
    assert [(one["user"], one["operation"], one["status"]) for one in seen] == [
        ("alice", "create", 200), ("alice", "share", 200), ("alice", "terminate", 200), ("alice", "download", 200),
        ("alice", "restart", 200), ("alice", "terminate", 200), ("bob", "delete", 403), ("carol", "get", 200),
        ("alice", "delete", 200)]
    assert all(one["address"] == "127.5.0.1" and one["way"] == "basic" for one in seen if one["user"] == "alice")
    assert seen[6]["error_code"] == 36604 and "error_code" not in seen[0]
    assert [one["time"] for one in seen] == sorted(one["time"] for one in seen)


def test_every_way_in_is_named(daemon, shared_wire):
    clients = {"basic": basic(daemon.port, "alice"), "cookie": login(daemon.port, "alice"),
               "token": token(daemon.port, "alice"), "proxy": asserted(daemon.port, "alice")}
    for way, client in clients.items():
        session = client.create(shared_wire.near, capduration=60)
        client.terminate(session)
        assert {one["way"] for one in records(daemon, session=session["sessionid"])} == {way}


def test_delete_all_names_each(daemon, shared_wire):
    client = basic(daemon.port, "bob")
    made = [client.terminate(client.create(shared_wire.near, capduration=60))["sessionid"] for _ in range(3)]
    client.delete_all()
    for identity in made:
        assert ("delete", 200) in operations(daemon, session=identity)
    assert operations(daemon, user="bob")[-1] == ("delete-all", 200)


def test_refusals_are_on_record_once_a_minute(daemon):
    client = moved(anonymous(daemon.port), "127.5.0.2")
    client.http.auth = ("alice", "wrong")
    for _ in range(4):
        assert client.call("GET", f"{MANAGER}/sessions").status_code == 403
    seen = records(daemon, address="127.5.0.2")
    assert [(one["user"], one["way"], one["status"], one["error_code"]) for one in seen] == [
        ("alice", "none", 403, 36601)]


def test_an_id_that_is_none_does_not_break_it(daemon):
    client = moved(anonymous(daemon.port), "127.5.0.4")
    assert client.call("GET", f"{MANAGER}/session/%fe%fd%22").status_code == 401
    [seen] = records(daemon, address="127.5.0.4")
    assert "session" not in seen and seen["object"] == "??'"


def test_nobody_hides_behind_refusals(daemon, shared_wire):
    """Whoever is refused a lot stays on record with what was not refused; so do others meanwhile."""
    session = daemon.client.terminate(daemon.client.create(shared_wire.near, capduration=60))
    carol, identity = basic(daemon.port, "carol"), session["sessionid"]
    for i in range(150):
        carol.call("GET", f"{MANAGER}/session/{i:08x}-0000-4000-8000-000000000000")
    carol.get(session)
    assert carol.call("POST", f"{MANAGER}/session/{identity}?action=terminate").status_code == 403
    bob = basic(daemon.port, "bob")
    assert bob.call("GET", f"{MANAGER}/session/{identity}").status_code == 404
    assert [(one["user"], one["operation"]) for one in records(daemon, session=identity)][-2:] == [
        ("carol", "get"), ("bob", "get")]


def test_guessing_at_a_path_that_is_none(daemon):
    client = moved(anonymous(daemon.port), "127.5.0.5")
    client.http.auth = ("alice", "wrong")
    assert client.call("GET", "/nothing").status_code == 403
    [seen] = records(daemon, address="127.5.0.5")
    assert (seen["user"], seen["operation"], seen["error_code"]) == ("alice", "login", 36601)


def test_a_flood_of_made_up_names_does_not_fill_it(daemon):
    before = daemon.client.json("GET", "/audit", params={"page_size": 1})["result_count"]
    client = moved(anonymous(daemon.port), "127.5.0.3")
    for i in range(400):
        client.http.headers["Authorization"] = "Basic !"
        client.call("GET", f"{MANAGER}/session/{i:08x}-0000-4000-8000-000000000000")
    assert daemon.client.json("GET", "/audit", params={"page_size": 1})["result_count"] - before < 250


def test_people_are_on_record(daemon):
    add_role(daemon.client, "temp")
    add_user(daemon.client, "tom", "temp")
    basic(daemon.port, "tom").json("PATCH", "/users/tom",
                                   json={"password": "a newer password", "old_password": password_of("tom")})
    daemon.client.json("PATCH", "/users/tom", json={"disabled": True})
    daemon.client.json("DELETE", "/users/tom")
    daemon.client.json("DELETE", "/roles/temp")
    seen = [(one["user"], one["operation"], one["object"]) for one in records(daemon)
            if one.get("object") in ("tom", "temp")]
    assert seen == [("admin", "put-role", "temp"), ("admin", "create-user", "tom"), ("tom", "change-user", "tom"),
                    ("admin", "change-user", "tom"), ("admin", "delete-user", "tom"), ("admin", "delete-role", "temp")]


def test_secrets_are_not_in_it(daemon):
    secrets = [ADMIN[1], password_of("alice"), "a newer password"]
    made = basic(daemon.port, "alice").json("POST", "/tokens", 201, json={"name": "x"})
    client = login(daemon.port, "alice")
    secrets += [made["token"], client.http.cookies["JSESSIONID"], client.http.headers["X-XSRF-TOKEN"]]
    client.http.headers["X-XSRF-TOKEN"] = "wrong-" + secrets[-1]
    status(client, "POST", f"{MANAGER}/sessions?action=delete")
    status(anonymous(daemon.port), "GET", f"{MANAGER}/sessions", headers={"Authorization": f"Bearer {made['token']}x"})
    text = str(records(daemon)) + daemon.text()
    for secret in secrets:
        assert secret not in text
    assert "audit user=alice way=basic address=127.0.0.1 operation=create-token" in daemon.text()


def test_it_is_for_administrators_and_auditors(daemon):
    assert status(basic(daemon.port, "carol"), "GET", f"{MANAGER}/audit")[0] == 200
    assert status(basic(daemon.port, "alice"), "GET", f"{MANAGER}/audit") == (403, 36604)


def test_it_is_read_page_by_page(daemon):
    whole = daemon.client.json("GET", "/audit", params={"page_size": 1000})["results"]
    pages, query = [], {"page_size": 7}
    while True:
        page = daemon.client.json("GET", "/audit", params=query)
        pages += page["results"]
        if "cursor" not in page:
            break
        query["cursor"] = page["cursor"]
    assert pages[-len(whole):] == whole or pages == whole
    times = [one["time"] for one in whole]
    assert times == sorted(times, reverse=True)
    middle = times[len(times) // 2]
    assert all(one["time"] >= middle for one in records(daemon, since=middle))
    assert all(one["time"] < middle for one in records(daemon, until=middle))


def test_nobody_changes_it(daemon):
    """Not even who has the database in hand."""
    with sqlite3.connect(daemon.data / "pktcapd.db") as database:
        for statement in ("DELETE FROM audit", "UPDATE audit SET user = 'nobody'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)


def test_it_survives_a_kill(make_daemon, shared_wire):
    daemon = make_daemon("--ring-mb", "1").start()
    session = daemon.client.create(shared_wire.near, capduration=60)
    daemon.kill("front end")
    daemon.fresh_client()
    wait_until(lambda: operations(daemon, session=session["sessionid"]) == [("create", 200)], 10, "the record")
