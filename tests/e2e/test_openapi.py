"""service/openapi.json says what the server does: all of it, and nothing else. Held against the live server."""
import copy
import json
import re

import jsonschema
import pytest

from harness.client import check_answer, parse
from harness.daemon import ROOT
from harness.people import add_role, add_user, anonymous, basic, login, password_of

DOCUMENT = json.loads((ROOT / "service" / "openapi.json").read_text())
METHODS = ("get", "post", "put", "patch", "delete")
NOBODY = "00000000-0000-4000-8000-000000000000"
KINDS = jsonschema.FormatChecker()


@KINDS.checks("int32")
def is_int32(value):
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@KINDS.checks("uuid")
def is_uuid(value):
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None


# ---- the document ----

def resolve(thing):
    """What a $ref stands for."""
    while "$ref" in thing:
        found = DOCUMENT
        for step in thing["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        thing = found
    return thing


def closed(thing):
    """The same schema, taking no field that it does not name."""
    if isinstance(thing, list):
        return [closed(one) for one in thing]
    if not isinstance(thing, dict):
        return thing
    made = {key: closed(value) for key, value in thing.items() if key != "example"}
    if thing.get("type") == "object" and "properties" in thing:
        made["additionalProperties"] = False
    return made


CLOSED = closed(copy.deepcopy(DOCUMENT))


def problems_of(schema, body):
    validator = jsonschema.Draft7Validator(closed(schema), format_checker=KINDS,
                                           resolver=jsonschema.RefResolver("", CLOSED))
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(body)]


def operations():
    """Every (method, path, action) of the document with its description; action is None where there is none."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                for action in actions(item[method]):
                    yield method.upper(), path, action, item[method]


def actions(operation):
    for parameter in map(resolve, operation.get("parameters", [])):
        if parameter["name"] == "action":
            return parameter["schema"]["enum"]
    return [None]


OPERATIONS = list(operations())
NAMES = [f"{method} {path}{'?action=' + action if action else ''}" for method, path, action, _ in OPERATIONS]
every_operation = pytest.mark.parametrize("method, path, action, operation", OPERATIONS, ids=NAMES)
on_one_session = pytest.mark.parametrize("method, path, action, operation",
                                         [one for one in OPERATIONS if "{session-id}" in one[1]])
on_one_person = pytest.mark.parametrize("method, path, action, operation",
                                        [one for one in OPERATIONS if re.search(r"\{(username|role|id)\}", one[1])])
LOGIN = "/api/session/create"


def response_of(operation, status):
    """What the document says of an answer of this status; fails if it says nothing."""
    responses = operation["responses"]
    assert str(status) in responses or (status >= 400 and "default" in responses), f"{status} is not documented"
    return resolve(responses.get(str(status), responses.get("default")))


def success_of(operation):
    """The status when all goes well: 201 where something is made, though a dry run is 200 there too."""
    return "201" if "201" in operation["responses"] else "200"


def check_documented(operation, response):
    """Status, content type, headers and body are what the document says."""
    documented = response_of(operation, response.status_code)
    kind = response.headers["Content-Type"].split(";")[0]
    assert kind in documented["content"], f"{kind} is not documented"
    for header, what in documented.get("headers", {}).items():
        assert header in response.headers or not what.get("required", True), f"{header} is documented and absent"
    if kind == "application/json":
        problems = problems_of(documented["content"][kind]["schema"], parse(response.text))
        assert not problems, problems


def test_every_reference_leads_somewhere():
    for target in set(re.findall(r'"\$ref": *"([^"]*)"', json.dumps(DOCUMENT))):
        assert target.startswith("#/")
        assert resolve({"$ref": target})


@pytest.mark.parametrize("name", [name for name, one in DOCUMENT["components"]["schemas"].items() if "example" in one])
def test_its_examples_are_valid(name):
    problems = problems_of({"$ref": f"#/components/schemas/{name}"}, DOCUMENT["components"]["schemas"][name]["example"])
    assert not problems, problems


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values()
           for method, operation in item.items() if method in METHODS]
    assert len(ids) == len(set(ids))


# ---- the document and the sources ----

IDS = {"/session/": "{session-id}", "/tokens/": "{id}", "/users/": "{username}", "/roles/": "{role}"}


def routes():
    """(method, path, action, status, parameters) of each line of the table in service/routes.c."""
    text = (ROOT / "service" / "routes.c").read_text()
    prefixes = {"": "", **dict(re.findall(r'#define (MANAGER|POLICY) +"([^"]*)"', text))}
    lists = re.findall(r'"(\w+)"', re.search(r"#define LIST_PARAMETERS(.*?)\n\n", text, re.S)[1])
    line = (r'\{"(\w+)",\s+(MANAGER|POLICY|) ?"([^"]*)",\s+(NULL|"\w+"),\s+\w+,\s+(\d+),\s+'
            r'(LIST_PARAMETERS|\{[^}]*\})\}')
    for method, prefix, path, action, status, parameters in re.findall(line, text):
        named = lists if parameters == "LIST_PARAMETERS" else re.findall(r'"(\w+)"', parameters)
        for before, id in IDS.items():
            path = path.replace(before + "{id}", before + id)
        yield (method, prefixes[prefix] + path, None if action == "NULL" else action.strip('"'), status, sorted(named))


def test_the_servers_routes_are_the_documented_ones():
    documented = {}
    for method, path, action, operation in OPERATIONS:
        documented[method, path, action] = success_of(operation), sorted(query_parameters(operation) - {"action"})
    table = {(method, path, action): (status, parameters) for method, path, action, status, parameters in routes()}
    assert len(table) == (ROOT / "service" / "routes.c").read_text().count("OPERATION_")
    assert table == documented


def query_parameters(operation):
    return {one["name"] for one in map(resolve, operation.get("parameters", [])) if one["in"] == "query"}


NAME_TABLES = {
    "cappoint": ["Cappoint"], "capsource": ["PacketCaptureRequest", "capsource"],
    "direction": ["PacketCaptureRequest", "direction"], "filtertype": ["PacketCaptureRequest", "filtertype"],
    "capmode": ["PacketCaptureRequest", "capmode"], "capformat": ["PacketCaptureRequest", "capformat"],
    "option": ["PacketCaptureOption", "name"], "session_state": ["SessionStatus"], "stop_reason": ["StopReason"],
}


def test_enumerations_are_those_of_the_source():
    text = (ROOT / "core" / "session.c").read_text()
    tables = {name: set(re.findall(r'"(\w+)"', body))
              for name, body in re.findall(r"NAMES_DEFINE\(\s*, (\w+)_names,(.*?)\);", text, re.S)}
    assert set(schema("Share")["properties"]) == tables.pop("share_kind")
    assert set(tables) == set(NAME_TABLES)
    for name, (where, *field) in NAME_TABLES.items():
        found = schema(where)["properties"][field[0]] if field else schema(where)
        assert set(found["enum"]) == tables[name], name
        assert len(found["enum"]) == len(tables[name])


def test_error_codes_are_those_of_the_source():
    header = (ROOT / "core" / "error.h").read_text()
    source = {int(number): name for name, number in re.findall(r"\bERROR_(\w+) =\s+(\d+)", header)}
    listed = DOCUMENT["components"]["schemas"]["ErrorCode"]
    assert dict(zip(listed["enum"], listed["x-enum-varnames"])) == source
    assert len(listed["x-enum-descriptions"]) == len(listed["enum"]) == len(set(listed["enum"]))
    rows = re.findall(r"^\| (\d+) \| (\w+) \| \d+ \| .* \|$", listed["description"], re.M)
    assert {int(number): name for number, name in rows} == source


def test_statuses_are_those_of_the_source():
    table = re.search(r"\} HTTP\[\] = \{(.*?)\n\};", (ROOT / "service" / "answers.c").read_text(), re.S)[1]
    statuses = {name for number, name in re.findall(r'\{(\d+), "(\w+)"\}', table) if int(number) >= 400}
    assert set(schema("ApiError")["properties"]["httpStatus"]["enum"]) == statuses


def test_policies_and_operations_are_those_of_the_source():
    fields = re.findall(r'^    \{"(\w+)", "[\w-]+",', (ROOT / "service" / "people_fields.c").read_text(), re.M)
    assert list(schema("Policy")["properties"]) == fields
    for file, table, name in (("core/people.c", "role_kind_names", "RoleKind"), ("core/people.c", "way_names", "Way"),
                              ("auth/operation.c", "operation_names", "OperationName")):
        body = re.search(rf"NAMES_DEFINE\(\s*, {table},(.*?)\);", (ROOT / file).read_text(), re.S)[1]
        assert schema(name)["enum"] == re.findall(r'"([\w-]+)"', body), name


# ---- the document and the server ----

@pytest.fixture(scope="module")
def server(make_shared_daemon):
    return make_shared_daemon("--ring-mb", "1").start().client


def address(path, id):
    return re.sub(r"\{[a-z-]+\}", id if isinstance(id, str) else id["sessionid"], path)


def call(server, method, path, action, session=NOBODY, **more):
    parameters = {**({"action": action} if action else {}), **more.pop("params", {})}
    return server.call(method, address(path, session), params=parameters, **more)


def ended_session(server, wire):
    session = server.started(wire.near, name="x", description="y", tags=[{"scope": "a", "tag": "b"}], capduration=60,
                             capamount=1000, options={"values": [{"name": "PORT", "value": "1"}]})
    return server.terminate(session)


NAMES_OF_PEOPLE = (f"someone-{i}" for i in range(10**6))


def somebody(server):
    """A user with everything that a user may have."""
    name = next(NAMES_OF_PEOPLE)
    add_user(server, name, "operator", groups=["ops", "net"])
    return name


def some_role(server):
    name = next(NAMES_OF_PEOPLE)
    policy = {**schema("Role")["example"]["policy"], "networks": ["192.0.2.0/24"]}
    server.json("PUT", f"/roles/{name}", json={"kind": "operator", "policy": policy})
    return name


def some_token(server):
    return server.json("POST", "/tokens", 201, json={"name": "x", "expires_in": 3600})["id"]


def subject(server, wire, path):
    """What the path is about: an id, or a session."""
    makers = {"{username}": somebody, "{role}": some_role, "{id}": some_token}
    for name, make in makers.items():
        if name in path:
            return make(server)
    return ended_session(server, wire)


def body_of(server, wire, method, path, action):
    """What an operation needs besides."""
    what = path.rsplit("pktcap/", 1)[-1]
    if path == LOGIN:
        name = somebody(server)
        return {"data": {"j_username": name, "j_password": password_of(name)}}
    if action == "transfer":
        return {"json": {"user": somebody(server)}}
    if action in ("share", "unshare"):
        return {"json": schema("Share")["example"]}
    bodies = {
        ("POST", "session"): {"cappoint": "VNIC", "capsource": "UI", "capvalue": wire.near, "capamount": 1},
        ("POST", "users"): {**schema("NewUser")["example"], "name": next(NAMES_OF_PEOPLE), "role": "operator"},
        ("PATCH", "users/{username}"): {"role": "auditor", "groups": ["ops"], "password": "a new password"},
        ("PUT", "roles/{role}"): schema("NewRole")["example"],
        ("POST", "tokens"): schema("TokenRequest")["example"],
    }
    return {"json": bodies[method, what]} if (method, what) in bodies else {}


@every_operation
def test_every_operation_works_as_documented(server, wire, method, path, action, operation):
    response = call(server, method, path, action, subject(server, wire, path),
                    **body_of(server, wire, method, path, action))
    assert response.status_code == int(success_of(operation)), response.text
    check_documented(operation, response)
    if response.headers["Content-Type"].startswith("application/json"):
        check_answer(method, response)
    for left in server.list()["results"]:
        server.terminate(left)


@on_one_session
def test_no_such_session_is_documented(server, method, path, action, operation):
    for session in (NOBODY, "not-a-uuid"):
        response = call(server, method, path, action, session)
        assert response.status_code == 404
        check_documented(operation, response)


@every_operation
def test_wrong_requests_are_documented(server, wire, method, path, action, operation):
    """What the document lists besides success: parameters, body, media type, range, running sessions."""
    session = server.started(wire.near, capduration=60)
    what = session if "{session-id}" in path else subject(server, wire, path)
    wrong = [({"params": {"nosuch": "1"}}, 400)]
    if method in ("POST", "PUT", "PATCH"):
        wrong += [({"data": "x", "headers": {"Content-Type": "text/plain"}}, 415),
                  ({"data": "{" + " " * 70000, "headers": {"Content-Type": "application/json"}}, 413)]
    if method in ("PUT", "PATCH") or re.search("/(users|tokens)$", path) and method == "POST":
        wrong += [({"json": {"nosuch": 1, "name": 5}}, 400)]
    if action in ("share", "unshare", "transfer"):
        wrong += [({"json": {}}, 400)] + [({"json": {"user": "nobody-here"}}, 404)] * (action != "unshare")
    if method == "POST" and path.endswith("/session"):
        wrong += [({"json": {"cappoint": 5, "capsource": "BOTH", "capamount": -1, "foo": 1}}, 400),
                  ({"json": {"cappoint": "VNIC", "capsource": "UI", "capvalue": wire.near, "node": NOBODY}}, 404)]
    if "{session-id}" in path and (action in ("restart", "delete") or method == "DELETE"):
        wrong += [({}, 412)]
    if "416" in operation["responses"]:
        wrong += [({"headers": {"Range": "bytes=99999-"}}, 416), ({"params": {"run": "77"}}, 404)]
    for request, status in wrong:
        response = call(server, method, path, action, what, **request)
        assert response.status_code == status, (request, response.text)
        assert str(status) in operation["responses"]
        check_documented(operation, response)
    server.terminate(session)


@on_one_person
def test_nobody_of_that_name_is_documented(server, wire, method, path, action, operation):
    if method != "PUT":
        response = call(server, method, path, action, NOBODY, **body_of(server, wire, method, path, action))
        assert response.status_code == 404
        check_documented(operation, response)


@pytest.mark.parametrize("method, path, body, code", [
    ("POST", "/users", {"name": "admin", "role": "operator"}, 36703), ("DELETE", "/users/admin", None, 36704),
    ("PATCH", "/users/admin", {"disabled": True}, 36704), ("PATCH", "/users/admin", {"role": "auditor"}, 36704),
    ("PUT", "/roles/admin", {"kind": "operator"}, 36705), ("DELETE", "/roles/operator", None, 36705),
    ("DELETE", "/roles/used", None, 36706),
], ids=str)
def test_what_must_stay_is_documented(server, method, path, body, code):
    if path == "/roles/used":
        add_role(server, "used")
        add_user(server, next(NAMES_OF_PEOPLE), "used")
    response = server.call(method, server.prefix + path, json=body)
    documented = re.sub("/users/.*", "/users/{username}", re.sub("/roles/.*", "/roles/{role}", server.prefix + path))
    assert response.status_code == 412 and response.json()["error_code"] == code
    check_documented(DOCUMENT["paths"][documented][method.lower()], response)


# ---- who may ----

def port_of(server):
    return int(server.base.rsplit(":")[-1])


@every_operation
def test_who_is_not_let_in_is_documented(server, method, path, action, operation):
    """Without credentials, with wrong ones, and by a web page of somebody else's."""
    stranger, forged = anonymous(port_of(server)), anonymous(port_of(server))
    forged.http.headers["Authorization"] = "Bearer pktcap_wrong"
    cases = [(stranger, 401, 36600), (forged, 403, 36601)]
    if path == LOGIN:
        assert operation["security"] == []
        stranger.http.headers["Origin"] = "https://www.example.com"
        cases = [(stranger, 403, 36603)]
    for client, status, code in cases:
        response = call(client, method, path, action)
        assert (response.status_code, response.json()["error_code"]) == (status, code)
        check_documented(operation, response)


@every_operation
def test_what_needs_the_token_of_a_login_is_documented(server, method, path, action, operation):
    if path == LOGIN:
        return
    client = login(port_of(server), somebody(server))
    del client.http.headers["X-XSRF-TOKEN"]
    response = call(client, method, path, action)
    wanted = any("xsrfToken" in way for way in operation.get("security", DOCUMENT["security"]))
    assert (response.status_code == 403 and response.json()["error_code"] == 36603) == wanted
    check_documented(operation, response)


@every_operation
def test_what_a_role_does_not_allow_is_documented(server, wire, method, path, action, operation):
    name = next(NAMES_OF_PEOPLE)
    add_user(server, name, "auditor")
    if path != LOGIN:
        response = call(basic(port_of(server), name), method, path, action, subject(server, wire, path))
        check_documented(operation, response)


def test_quotas_and_policies_are_documented(server, wire):
    role, name = next(NAMES_OF_PEOPLE), next(NAMES_OF_PEOPLE)
    add_role(server, role, max_duration=60, max_sessions=1)
    add_user(server, name, role)
    client = basic(port_of(server), name)

    def post(**more):
        response = client.call("POST", "/api/v1/pktcap/session",
                               json={"cappoint": "VNIC", "capsource": "UI", "capvalue": wire.near, **more})
        check_documented(DOCUMENT["paths"]["/api/v1/pktcap/session"]["post"], response)
        return response.status_code, response.json().get("error_code")

    assert post(capduration=61) == (403, 36605)
    assert post(capduration=60) == (200, None)
    assert post() == (503, 36606)
    add_role(server, role, max_hourly=1)
    assert post() == (429, 36608)
    for session in server.list()["results"]:
        server.terminate(session)


def test_too_many_wrong_passwords_are_documented(server):
    client = anonymous(port_of(server))
    client.http.auth = ("guessed", "wrong")
    for _ in range(20):
        response = client.call("GET", "/api/v1/pktcap/whoami")
        check_documented(DOCUMENT["paths"]["/api/v1/pktcap/whoami"]["get"], response)
        if response.status_code == 429:
            break
    assert response.json()["error_code"] == 36602


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_methods_that_are_not_documented_are_405(server, path):
    documented = {method.upper() for method in METHODS if method in DOCUMENT["paths"][path]}
    allowed = documented | ({"HEAD"} if "GET" in documented else set())
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - documented:
        response = call(server, method, path, None)
        assert response.status_code == 405, method
        assert set(response.headers["Allow"].split(", ")) == allowed
        problems = problems_of({"$ref": "#/components/schemas/ApiError"}, parse(response.text))
        assert not problems, problems


@every_operation
def test_actions_that_are_not_documented_are_refused(server, method, path, action, operation):
    documented = {one for a_method, a_path, one, _ in OPERATIONS if (a_method, a_path) == (method, path)}
    for other in {"start", "restart", "terminate", "delete", "DELETE", ""} - documented:
        response = call(server, method, path, None, params={"action": other})
        assert response.status_code == 400, other
        check_documented(operation, response)


def test_documented_parameters_are_taken(server, wire):
    session = ended_session(server, wire)
    values = {"page_size": "1", "sort_by": "filesize", "sort_ascending": "false", "run": "1", "cappoint": "VNIC",
              "netns": "", "user": "admin", "operation": "create", "session": session["sessionid"],
              "address": "127.0.0.1", "since": "1", "until": "1795478416188"}
    for method, path, action, operation in OPERATIONS:
        assert query_parameters(operation) <= {*values, "action", "cursor", "dry_run", "file"}
        for name in query_parameters(operation) & set(values):
            response = call(server, method, path, action, session, params={name: values[name]})
            assert response.status_code == 200, response.text
            check_documented(operation, response)


def test_paging_is_documented(server, wire):
    for _ in range(2):
        server.terminate(server.create(wire.near))
    for method, path, action, operation in OPERATIONS:
        if "cursor" in query_parameters(operation):
            first = call(server, method, path, action, params={"page_size": 1})
            check_documented(operation, first)
            second = call(server, method, path, action, params={"page_size": 1, "cursor": first.json()["cursor"]})
            check_documented(operation, second)
            assert second.json()["results"] != first.json()["results"]


def schema(name):
    return DOCUMENT["components"]["schemas"][name]


# No request can have all fields: together these have.
FIELD_VALUES = {
    "file": {
        "direction": "INPUT", "capduration": 60, "capamount": 1, "capfilesize": 1, "capfilecount": 2, "capsnaplen": 64,
        "caprate": 5, "capcore": 0, "capmode": "STANDALONE", "capformat": "PCAPNG", "name": "n", "description": "d",
        "options": {"values": [{"name": "VLAN", "value": "7"}]}, "node_ip": "127.0.0.1",
        "tags": [{"scope": "s", "tag": "t"}], "capexpression": "arp", "captureself": True,
    },
    "stream": {"capmode": "STREAM", "streamaddress": "127.0.0.1", "streamport": 9, "captureself": False},
    "firewall": {"cappoint": "DVFILTER", "capvalue": "any", "filtertype": "POST"},
}


def request_of(kind, wire):
    return {"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near, **FIELD_VALUES[kind]}


@pytest.mark.parametrize("kind", FIELD_VALUES)
def test_every_documented_field_is_taken_and_echoed(server, wire, kind):
    given = request_of(kind, wire)
    given["node"] = server.terminate(server.create(wire.near))["runtime"]["node"]
    response = server.call("POST", "/api/v1/pktcap/session", json=given)
    assert response.status_code == 200, response.text
    operation = DOCUMENT["paths"]["/api/v1/pktcap/session"]["post"]
    check_documented(operation, response)
    session = parse(response.text)
    assert session["request"] == given
    assert not problems_of({"$ref": "#/components/schemas/PacketCaptureRequest"}, given)
    ended = server.call("POST", f"/api/v1/pktcap/session/{session['sessionid']}", params={"action": "terminate"})
    check_documented(operation, ended)


def test_the_documented_fields_are_those(wire):
    taken = {"node"}.union(*(request_of(kind, wire) for kind in FIELD_VALUES))
    assert taken == set(schema("PacketCaptureRequest")["properties"])


@pytest.mark.parametrize("prefix", ["/api/v1/pktcap", "/policy/api/v1/infra/pktcap"])
@pytest.mark.parametrize("more", [
    {}, {"capfilesize": 1}, {"capfilesize": 1, "capfilecount": 3}, {"capexpression": "arp"},
    {"capmode": "STREAM", "streamaddress": "127.0.0.1"},
], ids=str)
def test_dry_runs_are_documented(server, wire, prefix, more):
    before = server.list()["result_count"]
    response = server.call("POST", prefix + "/session", params={"dry_run": "true"},
                           json={"cappoint": "VNIC", "capsource": "UI", "capvalue": wire.near, **more})
    assert response.status_code == 200, response.text
    check_documented(DOCUMENT["paths"][prefix + "/session"]["post"], response)
    assert not problems_of({"$ref": "#/components/schemas/Forecast"}, parse(response.text))
    assert ("disk" in response.json()) == (more.get("capmode") != "STREAM")
    assert server.list()["result_count"] == before


def test_the_points_are_documented(server, wire):
    """A point that the list names is one that a request takes."""
    response = server.call("GET", "/api/v1/pktcap/points")
    check_documented(DOCUMENT["paths"]["/api/v1/pktcap/points"]["get"], response)
    assert response.json()["result_count"] == len(response.json()["results"])
    here = [point for point in response.json()["results"] if point["capvalue"] == wire.near]
    assert len(here) == 1 and here[0]["mac"] == wire.near_mac and here[0]["state"] == "UP"
    assert {"VNIC", "VIF"} <= set(here[0]["cappoints"])
    server.terminate(server.create(here[0]["capvalue"]))


VALUES = {"IP": "1.2.3.4", "IP6": "::1", "MAC": "02:00:00:00:00:01", "ETHTYPE": "0x0800", "VLAN": "1", "PORT": "1",
          "IPPROTO": "6", "VNI": "5001", "INNER": "true"}


@pytest.mark.parametrize("name", schema("PacketCaptureOption")["properties"]["name"]["enum"])
def test_every_documented_option_is_taken(server, wire, name):
    kind = re.sub("^(SRC|DST)", "", name).replace("UDPPORT", "PORT").replace("IPPROTO6", "IPPROTO")
    session = server.create(wire.near, options={"values": [{"name": name, "value": VALUES[kind]}]})
    server.terminate(session)
