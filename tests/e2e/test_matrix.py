"""Every way in, for every role, with every operation, on one's own, another's and a shared session."""
import pytest

from harness.client import MANAGER
from harness.people import PROXY, WAYS, add_user, anonymous
from harness.wait import wait_until

ROLES = ("admin", "operator", "auditor")
RELATIONS = ("own", "other", "shared")

# Status for each relation, by role: admin, operator, auditor. Written down here once more, from the README.
ON_SESSIONS = {
    "get": ((200, 200, 200), (200, 404, 200), (200, 200, 200)),
    "head": ((200, 200, 200), (200, 404, 200), (200, 200, 200)),
    "download": ((200, 200, 200), (200, 404, 200), (200, 403, 200)),
    "terminate": ((200, 200, 200), (200, 404, 403), (403, 403, 403)),
    "restart": ((200, 200, 200), (200, 404, 403), (403, 403, 403)),
    "share": ((200, 200, 200), (200, 404, 403), (403, 403, 403)),
    "unshare": ((200, 200, 200), (200, 404, 403), (403, 403, 403)),
    "transfer": ((200, 200, 200), (403, 404, 403), (403, 403, 403)),
    "delete": ((200, 200, 200), (200, 404, 403), (403, 403, 403)),
}

REQUEST = {"cappoint": "VNIC", "capsource": "CLI", "capduration": 60}

# Method, path below /api/v1/pktcap, body, and the status for admin, operator and auditor.
ON_NOTHING = {
    "create": ("POST", "/session", REQUEST, (200, 200, 403)),
    "dry run": ("POST", "/session?dry_run=true", REQUEST, (200, 200, 403)),
    "list": ("GET", "/sessions", None, (200, 200, 200)),
    "list points": ("GET", "/points", None, (200, 200, 200)),
    "whoami": ("GET", "/whoami", None, (200, 200, 200)),
    "list tokens": ("GET", "/tokens", None, (200, 200, 200)),
    "list users": ("GET", "/users", None, (200, 403, 200)),
    "get user": ("GET", "/users/admin", None, (200, 403, 200)),
    "create user": ("POST", "/users", {"name": "new", "role": "auditor", "password": "a long password"},
                    (201, 403, 403)),
    "change user": ("PATCH", "/users/new", {"disabled": True}, (200, 403, 403)),
    "delete user": ("DELETE", "/users/new", None, (200, 403, 403)),
    "list roles": ("GET", "/roles", None, (200, 403, 200)),
    "get role": ("GET", "/roles/operator", None, (200, 403, 200)),
    "put role": ("PUT", "/roles/new", {"kind": "operator"}, (200, 403, 403)),
    "delete role": ("DELETE", "/roles/new", None, (200, 403, 403)),
    "audit": ("GET", "/audit", None, (200, 403, 200)),
    "delete all": ("POST", "/sessions?action=delete", None, (200, 200, 403)),
}


@pytest.fixture(scope="module")
def daemon(make_shared_daemon):
    daemon = make_shared_daemon("--ring-mb", "1", *PROXY).start()
    add_user(daemon.client, "other", "operator")
    for role in ROLES:
        add_user(daemon.client, f"{role}-me", role)
    return daemon


@pytest.fixture(params=[(way, role) for way in WAYS for role in ROLES], ids=lambda pair: "-".join(pair))
def caller(request, daemon):
    """A client, its user's name, and the column of its role in the tables."""
    way, role = request.param
    name = f"{role}-me"
    return WAYS[way](daemon.port, name), name, ROLES.index(role)


def ended_session(daemon, wire, relation, me):
    """A session that is mine, another's, or another's who shares it with me."""
    admin = daemon.client
    session = admin.started(wire.near, capamount=1, direction="INPUT")
    wire.inward.send(bytes(64))
    session = admin.wait_end(session)
    admin.json("POST", f"/session/{session['sessionid']}?action=transfer",
               json={"user": me if relation == "own" else "other"})
    if relation == "shared":
        admin.json("POST", f"/session/{session['sessionid']}?action=share", json={"user": me})
    return f"{MANAGER}/session/{session['sessionid']}"


def do(client, operation, path, admin):
    """One operation of the table; returns its status and leaves the session ended."""
    calls = {
        "get": ("GET", "", None), "head": ("HEAD", "", None), "download": ("GET", "/capturefile", None),
        "terminate": ("POST", "?action=terminate", None), "restart": ("POST", "?action=restart", None),
        "share": ("POST", "?action=share", {"group": "a-group"}),
        "unshare": ("POST", "?action=unshare", {"group": "a-group"}),
        "transfer": ("POST", "?action=transfer", {"user": "other"}), "delete": ("POST", "?action=delete", None),
    }
    method, tail, body = calls[operation]
    answer = client.call(method, path + tail, json=body)
    if operation == "restart" and answer.status_code == 200:
        admin.call("POST", path + "?action=terminate")
    return answer.status_code


@pytest.mark.parametrize("relation", RELATIONS)
def test_operations_on_sessions(daemon, shared_wire, caller, relation):
    client, me, column = caller
    path = ended_session(daemon, shared_wire, relation, me)
    for operation, rows in ON_SESSIONS.items():
        wanted = rows[column][RELATIONS.index(relation)]
        got = do(client, operation, path, daemon.client)
        assert got == wanted, f"{operation}: {got}, wanted {wanted}"
        if operation == "transfer" and got == 200:
            daemon.client.call("POST", path + "?action=transfer", json={"user": me if relation == "own" else "other"})


def test_operations_on_nothing(daemon, shared_wire, caller):
    client, _, column = caller
    for name in ("new",):
        daemon.client.call("DELETE", f"{MANAGER}/users/{name}")
        daemon.client.call("DELETE", f"{MANAGER}/roles/{name}")
    for operation, (method, path, body, wanted) in ON_NOTHING.items():
        if body is REQUEST:
            body = {**REQUEST, "capvalue": shared_wire.near}
        answer = client.call(method, MANAGER + path, json=body)
        assert answer.status_code == wanted[column], f"{operation}: {answer.status_code} {answer.text}"
        if operation == "create" and answer.status_code == 200:
            daemon.client.terminate(answer.json())


def test_lists_show_what_gets_show(daemon, shared_wire, caller):
    client, me, column = caller
    paths = {relation: ended_session(daemon, shared_wire, relation, me) for relation in RELATIONS}
    listed = {one["sessionid"] for one in client.list()["results"]}
    for relation, path in paths.items():
        visible = client.call("GET", path).status_code == 200
        assert (path.rsplit("/", 1)[1] in listed) == visible
        assert visible == (ON_SESSIONS["get"][column][RELATIONS.index(relation)] == 200)
    assert client.list()["result_count"] == len(listed)


def test_delete_all_takes_only_what_is_mine(daemon, shared_wire, caller):
    client, me, column = caller
    paths = {relation: ended_session(daemon, shared_wire, relation, me) for relation in RELATIONS}
    client.call("POST", f"{MANAGER}/sessions?action=delete")
    left = {relation for relation, path in paths.items() if daemon.client.call("GET", path).status_code == 200}
    assert left == ({0: set(), 1: {"other", "shared"}, 2: set(RELATIONS)})[column]


def test_nobody_without_credentials(daemon, shared_wire):
    """Every route of the API, its documentation's list; and nothing is said of what there is."""
    client = anonymous(daemon.port)
    path = ended_session(daemon, shared_wire, "own", "other")
    for operation in ON_SESSIONS:
        assert do(client, operation, path, daemon.client) == 401
    for method, below, body, _ in ON_NOTHING.values():
        answer = client.call(method, MANAGER + below, json=body)
        assert answer.status_code == 401 and answer.json()["error_code"] == 36600
        assert "Basic" in answer.headers["WWW-Authenticate"]
    assert client.call("GET", "/no/such/path").status_code == 401
    wait_until(lambda: daemon.client.call("GET", path).status_code == 200, 5, "the session to be there still")
