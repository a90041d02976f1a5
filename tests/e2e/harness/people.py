"""Users of the service, and the ways in that they have."""
import requests

from harness.client import ADMIN, Client, MANAGER

PASSWORD = "%s has a password"
USER_HEADER, GROUPS_HEADER = "X-Forwarded-User", "X-Forwarded-Groups"

# What a daemon needs for all ways in: its clients on 127.0.0.1 are the proxy, any other address is not.
PROXY = ("--trusted-proxies", "127.0.0.1", "--user-header", USER_HEADER, "--groups-header", GROUPS_HEADER)


def password_of(name):
    return ADMIN[1] if name == ADMIN[0] else PASSWORD % name


def add_user(admin, name, role, **more):
    return admin.json("POST", "/users", 201, json={"name": name, "role": role, "password": password_of(name), **more})


def add_role(admin, name, kind="operator", **policy):
    return admin.json("PUT", f"/roles/{name}", json={"kind": kind, "policy": {"points": ["*"], **policy}})


def basic(port, name, prefix=MANAGER):
    return Client(port, prefix, auth=(name, password_of(name)))


def anonymous(port, prefix=MANAGER):
    return Client(port, prefix, auth=None)


def login(port, name, prefix=MANAGER, password=None):
    """A client that has logged in as NSX's do."""
    client = anonymous(port, prefix)
    answer = client.call("POST", "/api/session/create",
                         data={"j_username": name, "j_password": password or password_of(name)})
    assert answer.status_code == 200, answer.text
    client.http.headers["X-XSRF-TOKEN"] = answer.headers["X-XSRF-TOKEN"]
    return client


def bearer(port, secret, prefix=MANAGER):
    client = anonymous(port, prefix)
    client.http.headers["Authorization"] = f"Bearer {secret}"
    return client


def token(port, name, prefix=MANAGER, **more):
    """A client with a token of that user."""
    made = basic(port, name).json("POST", "/tokens", 201, json={"name": "e2e", **more})
    return bearer(port, made["token"], prefix)


def asserted(port, name, groups=None, prefix=MANAGER):
    """A client that a trusted proxy has let in."""
    client = anonymous(port, prefix)
    client.http.headers[USER_HEADER] = name
    if groups is not None:
        client.http.headers[GROUPS_HEADER] = groups
    return client


WAYS = {"basic": basic, "cookie": login, "token": token, "proxy": asserted}


class FromAddress(requests.adapters.HTTPAdapter):
    """Connections that come from another address of this host."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **named):
        super().init_poolmanager(*arguments, **named, source_address=(self.address, 0))


def moved(client, address):
    """The same client from that address."""
    client.http.mount("http://", FromAddress(address))
    return client


def status(client, method, path, **more):
    """The status of an answer, and the error code where it is an error."""
    answer = client.call(method, path, **more)
    return answer.status_code, answer.json()["error_code"] if answer.status_code >= 400 else None
