"""Nothing leaks: every kind of request and ending, with the leak sanitizer watching where the build has it."""
import pytest

from harness.client import Refused
from harness.frames import numbers

LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=1"}


def refuse(client, *call):
    with pytest.raises(Refused):
        client.json(*call)


def every_ending(client, wire):
    counted = client.started(wire.near, capamount=100, name="counted", tags=[{"scope": "a", "tag": "b"}],
                             options={"values": [{"name": "ETHTYPE", "value": "0x88b5"}]})
    wire.inward.send_all(numbers(100))
    client.wait_end(counted)
    client.download(counted)
    client.act(counted, "restart")
    client.terminate(counted)
    client.terminate(client.started(wire.near, capduration=60))
    client.wait_end(client.create(wire.near, capduration=1))


def every_refusal(client):
    refuse(client, "GET", "/session/nothing")
    refuse(client, "PUT", "/sessions")
    refuse(client, "POST", "/session")
    refuse(client, "GET", "/sessions?cursor=00&page_size=0")


def test_nothing_leaks(make_daemon, wire):
    """The exit status of each process says so: Daemon.stop() and the log are checked at the end."""
    daemon = make_daemon("--user", "root", "--ring-mb", "1", environment=LEAK_CHECK).start()
    every_ending(daemon.client, wire)
    every_refusal(daemon.client)
    running = daemon.client.started(wire.near, capduration=60)
    daemon.stop()
    daemon.start()
    daemon.client.terminate(running)
    daemon.client.delete_all()
