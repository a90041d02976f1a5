"""The end-to-end suite: the real daemon, on wires of its own, judged by tcpdump and Wireshark's tools.

Run as root: /usr/bin/python3 -m pytest tests/e2e. PKTCAPD_BUILD names the directory of the binaries (default
build/release), PKTCAPD_SLOW multiplies every time limit (3 for sanitizer builds).
"""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
pytest.register_assert_rewrite("harness.client", "harness.daemon", "harness.judges")

from harness import sandbox  # noqa: E402
from harness.daemon import BUILD, Daemon  # noqa: E402
from harness.netns import Netns, NetnsWire  # noqa: E402
from harness.wire import Wire  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than some two seconds")
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests need root: they make network namespaces", 2)
    if not (BUILD / "pktcapd").exists():
        pytest.exit(f"there is no {BUILD}/pktcapd: build it, or set PKTCAPD_BUILD", 2)
    sandbox.enter()


def pytest_unconfigure():
    for pid in sandbox.processes():
        sandbox.kill(pid)


def maker(make, finish):
    """A factory whose products are all finished, even if one of them complains."""
    made, problems = [], []

    def factory(*arguments, **named):
        made.append(make(*arguments, **named))
        return made[-1]

    yield factory
    for one in reversed(made):
        try:
            finish(one)
        except Exception as problem:  # noqa: BLE001: told below
            problems.append(problem)
    if problems:
        raise problems[0]


@pytest.fixture
def make_wire():
    yield from maker(Wire, Wire.remove)


@pytest.fixture(scope="module")
def make_shared_wire():
    yield from maker(Wire, Wire.remove)


@pytest.fixture
def make_daemon(tmp_path, make_wire):
    """make_daemon(flags..., data=, wrapper=, ...): a Daemon, not started yet; checked and ended after the test, before
    the wires go."""
    yield from maker(fresh_daemon(tmp_path), Daemon.finish)


@pytest.fixture(scope="module")
def make_shared_daemon(tmp_path_factory, make_shared_wire):
    yield from maker(fresh_daemon(tmp_path_factory.mktemp("shared")), Daemon.finish)


def fresh_daemon(directory):
    def make(*flags, **named):
        place = directory / f"daemon-{len(list(directory.iterdir()))}"
        place.mkdir()
        return Daemon(place, *flags, **named)

    return make


@pytest.fixture
def daemon(make_daemon):
    """A daemon of the test's own, started."""
    return make_daemon("--ring-mb", "8").start()


@pytest.fixture(scope="module")
def shared_daemon(make_shared_daemon):
    """A daemon for tests that only add to it."""
    return make_shared_daemon("--ring-mb", "8").start()


@pytest.fixture
def client(shared_daemon):
    return shared_daemon.client


@pytest.fixture
def make_netns(tmp_path):
    """make_netns(name): a network namespace with a name in the directory make_netns.directory."""
    directory = tmp_path / "netns"
    directory.mkdir()
    for parent in directory.parents:  # the service's user goes there too
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    for factory in maker(lambda name: Netns(directory, name), Netns.remove):
        factory.directory = directory
        yield factory


@pytest.fixture
def make_netns_wire():
    """make_netns_wire(netns, far, ...): an eth0 in that namespace."""
    yield from maker(NetnsWire, NetnsWire.remove)


@pytest.fixture
def wire(make_wire):
    """A wire of the test's own."""
    return make_wire()


@pytest.fixture(scope="module")
def shared_wire(make_shared_wire):
    return make_shared_wire()
