"""service/openapi.json against the sources and the live server, both ways."""
import copy
import json
import re

import jsonschema
import pytest

from harness.client import MANAGER, POLICY
from harness.daemon import ROOT
from harness.frames import numbers

DOCUMENT = json.loads((ROOT / "service" / "openapi.json").read_text())
ROUTE = re.compile(r'\{"(\w+)", (MANAGER|POLICY) "([^"]*)", (NULL|"\w+"), \w+, (\d+)')
METHODS = ("get", "post", "put", "delete", "patch")


def closed(node):
    """The schema with every object closed, so that an undocumented field is an error."""
    if isinstance(node, dict):
        node = {key: closed(value) for key, value in node.items()}
        if "properties" in node and "additionalProperties" not in node and "allOf" not in node:
            node["additionalProperties"] = False
    elif isinstance(node, list):
        node = [closed(value) for value in node]
    return node


CLOSED = closed(copy.deepcopy(DOCUMENT))


def served():
    """(method, path, action, success) of each route in service/routes.c."""
    prefixes = {"MANAGER": MANAGER, "POLICY": POLICY}
    text = (ROOT / "service" / "routes.c").read_text()
    for method, prefix, path, action, success in ROUTE.findall(text):
        path = (prefixes[prefix] + path).replace("{id}", "{session-id}")
        yield method.lower(), path, None if action == "NULL" else action.strip('"'), success


def documented():
    """(method, path, action, success) of each operation in the document."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                success = min(status for status in item[method]["responses"] if status.isdigit())
                for action in actions_of(item[method]):
                    yield method, path, action, success


def actions_of(operation):
    for parameter in operation.get("parameters", []):
        if parameter.get("name") == "action":
            return parameter["schema"]["enum"]
    return [None]


def test_every_route_is_documented_and_every_documented_one_served():
    assert sorted(map(str, served())) == sorted(map(str, documented()))
    assert len(list(served())) >= 16


def test_error_codes_are_those_of_the_sources():
    text = (ROOT / "core" / "error.h").read_text()
    codes = dict((int(number), name) for name, number in re.findall(r"ERROR_(\w+) = (\d+)", text))
    schema = DOCUMENT["components"]["schemas"]["ErrorCode"]
    assert dict(zip(schema["enum"], schema["x-enum-varnames"])) == codes


def resolve(node):
    while "$ref" in node:
        target = CLOSED
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(response, path, method):
    """The body of an answer against the schema that the document has for its status."""
    responses = CLOSED["paths"][path][method]["responses"]
    described = resolve(responses.get(str(response.status_code), responses["default"]))
    schema = described["content"]["application/json"]["schema"]
    jsonschema.Draft7Validator({**schema, "components": CLOSED["components"]}).validate(response.json())


@pytest.fixture(scope="module")
def session(shared_daemon, shared_wire):
    """One that uses every field and has ended."""
    client = shared_daemon.client
    session = client.started(shared_wire.near, name="all", description="of it", capamount=3, capduration=30,
                             capfilesize=1, capsnaplen=64, direction="INPUT", capmode="STANDALONE", capformat="PCAP",
                             capexpression="ether[0] & 1 = 0", tags=[{"scope": "s", "tag": "t"}],
                             options={"values": [{"name": "ETHTYPE", "value": "0x88b5"}]})
    shared_wire.inward.send_all(numbers(3))
    return client.wait_end(session)


def call(daemon, method, path, **more):
    return daemon.client.http.request(method, f"http://127.0.0.1:{daemon.port}{path}", **more)


@pytest.mark.parametrize("prefix", [MANAGER, POLICY])
def test_answers_fit_their_schemas(shared_daemon, session, prefix):
    one, all_of_them = prefix + "/session/{session-id}", prefix + "/sessions"
    where = f"{prefix}/session/{session['sessionid']}"
    for method, path, real, status in [
        ("get", one, where, 200),
        ("post", one, where + "?action=terminate", 200),
        ("get", all_of_them, all_of_them + "?page_size=1&sort_by=filesize&sort_ascending=false", 200),
        ("get", one, where[:-1] + "x", 404),
        ("post", one, where + "?action=fly", 400),
        ("get", all_of_them, all_of_them + "?page_size=0&what=ever", 400),
    ]:
        response = call(shared_daemon, method, real)
        assert response.status_code == status, response.text
        check(response, path, method)


@pytest.mark.parametrize("prefix", [MANAGER, POLICY])
@pytest.mark.parametrize("body, status", [
    ("{", 400), ("{}", 400), ('{"cappoint": "VNIC", "capsource": "CLI", "capvalue": "nowhere", "caprate": 1}', 400),
    ('{"cappoint": "VMKNIC", "capsource": "CLI", "capvalue": "lo", "node": "elsewhere"}', 404), (" " * 70000, 413),
])
def test_refusals_fit_their_schemas(shared_daemon, prefix, body, status):
    response = call(shared_daemon, "post", prefix + "/session", data=body,
                    headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    check(response, prefix + "/session", "post")
