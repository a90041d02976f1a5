"""A client of the API. Every answer it gets is held against schema.json, whatever the test is about."""
import json
import pathlib
import re
import urllib.parse

import jsonschema
import requests

from harness.wait import wait_until

MANAGER = "/api/v1/pktcap"
POLICY = "/policy/api/v1/infra/pktcap"
ENDED = ("FINISHED", "STOPPED", "ERROR")
ADMIN = ("admin", "a password for tests")

SCHEMA = json.loads((pathlib.Path(__file__).parent.parent / "schema.json").read_text())
VALIDATORS = {name: jsonschema.Draft7Validator({**SCHEMA, "$ref": f"#/definitions/{name}"})
              for name in SCHEMA["definitions"]}


def no_number_twice_written(text):
    raise AssertionError(f"an integer written as {text}")


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key given twice in {keys}"
    return dict(pairs)


def parse(text):
    """JSON as strict clients read it: no fractions or exponents, no duplicate keys, no byte order mark."""
    assert not text.startswith("\ufeff")
    return json.loads(text, parse_float=no_number_twice_written, parse_constant=no_number_twice_written,
                      object_pairs_hook=unique_keys)


def check_shape(name, body):
    problems = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in VALIDATORS[name].iter_errors(body)]
    assert not problems, problems


def check_session(session):
    check_shape("PacketCaptureSession", session)
    ended = session["sessionstatus"] in ENDED
    assert ("endtime" in session) == ended
    assert ("stop_reason" in session) == ended
    assert session["id"] == session["sessionid"]
    assert session["filesize"] == min(session["filesize_bytes"], 2**31 - 1)
    stream = session["request"].get("capmode") == "STREAM"
    for counter in ("packets_streamed", "packets_unsent", "packets_fragmented"):
        assert (counter in session["runtime"]) == stream
    if session.get("stop_reason") == "QUOTA":  # there may have been no room to start
        assert ("started" in session["runtime"]) == ("filelocation" in session)
    elif session["sessionstatus"] in ("STARTED", "FINISHED"):
        assert "started" in session["runtime"] and ("filelocation" in session) != stream


# What people's paths answer: path, method, name in schema.json.
PEOPLE = [
    (r"/api/session/(create|destroy)", ".*", "LoggedIn"), (r"/whoami", ".*", "WhoAmI"), (r"/audit", ".*", "AuditList"),
    (r"/users/[^/]+", ".*", "User"), (r"/users", "POST", "User"), (r"/users", "GET", "UserList"),
    (r"/roles/[^/]+", ".*", "Role"), (r"/roles", "GET", "RoleList"), (r"/tokens/[^/]+", ".*", "Token"),
    (r"/tokens", "POST", "NewToken"), (r"/tokens", "GET", "TokenList"),
]


def people_shape(method, response):
    """The name of the shape that an answer about people must have; None where it is about something else."""
    if not hasattr(response, "request"):  # by hand: whoever asked knows what it is about
        return None
    path = urllib.parse.urlsplit(response.request.url).path
    for pattern, methods, name in PEOPLE:
        if re.search(f"{pattern}$", path) and re.fullmatch(methods, method):
            return name
    return None


def check_answer(method, response):
    """The rules for every JSON answer (API.md, "What typed clients need")."""
    assert re.fullmatch(r"application/json(; *charset=utf-8)?", response.headers["Content-Type"])
    assert "Content-Length" in response.headers
    if method == "HEAD":
        assert response.content == b""
        return None
    body = parse(response.content.decode("utf-8"))
    if response.status_code >= 400:
        check_shape("ApiError", body)
        assert body["error_code"] == body["related_errors"][0]["error_code"]
    elif people_shape(method, response):
        check_shape(people_shape(method, response), body)
        assert "results" not in body or body["result_count"] >= len(body["results"])
    elif "namespaces" in body:
        check_shape("CapturePointList", body)
        assert body["result_count"] == len(body["results"])
    elif "sort_by" in body:
        check_shape("PacketCaptureSessionList", body)
        for session in body["results"]:
            check_session(session)
    elif "sessionid" in body or "sessionstatus" in body:
        check_session(body)
    return body


class Refused(Exception):
    """An answer that is an error: status, and the ApiError as body."""

    def __init__(self, response, body):
        super().__init__(f"{response.status_code} {body}")
        self.status, self.body, self.headers = response.status_code, body, response.headers
        self.code, self.message = body["error_code"], body["error_message"]

    def fields(self):
        return [(error.get("error_data", {}).get("field"), error["error_code"])
                for error in self.body["related_errors"]]

    def messages(self):
        return [error["error_message"] for error in self.body["related_errors"]]


class Client:
    def __init__(self, port, prefix=MANAGER, auth=ADMIN):
        self.base = f"http://127.0.0.1:{port}"
        self.prefix = prefix
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.auth = auth

    def call(self, method, path, **more):
        """Any request; path is from the root. Returns the response."""
        return self.http.request(method, self.base + path, timeout=30, **more)

    def json(self, method, path, expect=200, **more):
        """A request with a JSON answer: the body, or Refused."""
        response = self.call(method, self.prefix + path, **more)
        body = check_answer(method, response)
        if response.status_code >= 400:
            raise Refused(response, body)
        assert response.status_code == expect
        return body

    # ---- the operations ----

    def create(self, capvalue=None, **fields):
        body = {"cappoint": "VNIC", "capsource": "CLI", "capvalue": capvalue, **fields}
        return self.json("POST", "/session", 201 if self.prefix == POLICY else 200, json=body)

    def get(self, session):
        return self.json("GET", f"/session/{identity(session)}")

    def act(self, session, action):
        return self.json("POST", f"/session/{identity(session)}?action={action}")

    def terminate(self, session):
        return self.act(session, "terminate")

    def restart(self, session):
        return self.act(session, "restart")

    def delete(self, session):
        if self.prefix == POLICY:
            return self.json("DELETE", f"/session/{identity(session)}")
        return self.act(session, "delete")

    def list(self, **parameters):
        return self.json("GET", "/sessions", params=parameters)

    def points(self, **parameters):
        return self.json("GET", "/points", params=parameters)

    def delete_all(self):
        if self.prefix == POLICY:
            return self.json("DELETE", "/sessions")
        return self.json("POST", "/sessions?action=delete")

    def download(self, session, run=None, file=None, **headers):
        """The response of a download."""
        name = "CapturedFile" if self.prefix == POLICY else "capturefile"
        choice = {key: value for key, value in (("run", run), ("file", file)) if value is not None}
        response = self.call("GET", f"{self.prefix}/session/{identity(session)}/{name}",
                             params=choice,
                             headers={"Accept": "application/octet-stream", "Accept-Encoding": "identity", **headers})
        if response.status_code >= 400:
            raise Refused(response, check_answer("GET", response))
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert int(response.headers["Content-Length"]) == len(response.content)
        return response

    # ---- waiting ----

    def wait_for(self, session, *states, timeout=5):
        """Waits until the session is in one of the states and returns it."""
        seen = []

        def arrived():
            seen[:] = [self.get(session)]
            return seen[0] if seen[0]["sessionstatus"] in states else None

        try:
            return wait_until(arrived, timeout, f"session {identity(session)} to be {' or '.join(states)}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it is {seen and seen[0]}") from None

    def wait_end(self, session, timeout=5):
        return self.wait_for(session, *ENDED, timeout=timeout)

    def started(self, capvalue, **fields):
        """A session that captures already."""
        session = self.wait_for(self.create(capvalue, **fields), "STARTED", *ENDED)
        assert session["sessionstatus"] == "STARTED", session
        return session


def identity(session):
    return session if isinstance(session, str) else session["sessionid"]
