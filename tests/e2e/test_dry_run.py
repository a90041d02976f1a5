"""What a dry run says is what happens; and it leaves nothing behind."""
import pytest

from harness.client import Refused
from harness.judges import Pcap, Tcpdump
from harness.frames import numbers

MB = 10**6


def ask(client, capvalue, **fields):
    body = {"cappoint": "VNIC", "capsource": "CLI", "capvalue": capvalue, **fields}
    response = client.call("POST", client.prefix + "/session", params={"dry_run": "true"}, json=body)
    if response.status_code != 200:
        raise Refused(response, response.json())
    return response.json()


def test_nothing_is_created(client, wire):
    before = client.list()["result_count"]
    forecast = ask(client, wire.near)
    assert forecast["dry_run"] is True and forecast["would_start"] is True and forecast["missing"] == []
    assert forecast["point"]["name"] == wire.near and "VNIC" in forecast["point"]["cappoints"]
    assert client.list()["result_count"] == before


@pytest.mark.parametrize("value", ["false", "FALSE"])
def test_false_creates(client, wire, value):
    response = client.call("POST", client.prefix + "/session", params={"dry_run": value},
                           json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near, "capduration": 1})
    assert response.status_code == 200
    client.wait_end(response.json()["sessionid"])


def test_a_bad_value(client, wire):
    response = client.call("POST", client.prefix + "/session", params={"dry_run": "maybe"},
                           json={"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near})
    assert response.status_code == 400 and "dry_run" in response.json()["error_message"]


@pytest.mark.parametrize("fields", [
    {"capduration": 5}, {"capamount": 10}, {"capfilesize": 3}, {"capfilesize": 3, "capfilecount": 4}, {},
    {"capsnaplen": 100, "capamount": 7}, {"caprate": 9}, {"capformat": "PCAPNG"},
], ids=str)
def test_its_limits_are_those_of_the_session(client, wire, fields):
    forecast = ask(client, wire.near, **fields)
    session = client.create(wire.near, **fields)
    assert forecast["limits"] == session["limits"]
    assert forecast["request"] == session["request"]
    client.terminate(session)


@pytest.mark.parametrize("fields, wanted", [
    ({"capfilesize": 3}, 3 * MB),
    ({"capfilesize": 3, "capfilecount": 4}, 12 * MB),
])
def test_the_disk_that_the_limits_could_take(client, wire, fields, wanted):
    disk = ask(client, wire.near, **fields)["disk"]
    assert disk["wanted_bytes"] == wanted and disk["suffices"] is True
    assert disk["free_bytes"] > 0 and disk["reserve_bytes"] > 0


def test_packets_bound_it_too(client, wire):
    disk = ask(client, wire.near, capamount=10, capsnaplen=100)["disk"]
    session = client.started(wire.near, capamount=10, capsnaplen=100)
    wire.inward.send_all(numbers(10, size=1000))
    session = client.wait_end(session)
    assert session["filesize_bytes"] <= disk["wanted_bytes"] < 10_000


def test_a_disk_that_is_too_small(client, wire):
    forecast = ask(client, wire.near, capfilesize=10_000, capfilecount=1000)
    assert forecast["disk"]["suffices"] is False
    assert [one["what"] for one in forecast["missing"]] == ["disk"]
    assert forecast["would_start"] is True  # until the disk is at its reserve


FILTERS = {
    "port": {"options": {"values": [{"name": "PORT", "value": "80"}]}},
    "net and protocol": {"options": {"values": [{"name": "SRCIP", "value": "10.0.0.0/8"},
                                                {"name": "IPPROTO", "value": "17"}]}},
    "type": {"options": {"values": [{"name": "ETHTYPE", "value": "0x88b5"}]}},
    "expression": {"capexpression": "ether proto 0x88b5 and greater 200"},
    "nothing": {},
}


@pytest.mark.parametrize("case", FILTERS)
def test_tcpdump_takes_its_filter_and_gets_the_same(client, wire, tmp_path, case):
    forecast = ask(client, wire.near, **FILTERS[case])
    words = [forecast["filter"]] if "filter" in forecast else []
    reference = Tcpdump(wire.near, tmp_path / "reference.pcap", *words)
    session = client.started(wire.near, capduration=60, **FILTERS[case])
    reference.wait_until_it_listens()
    wire.inward.send_all(numbers(5, size=100))
    wire.inward.send_all(numbers(5, size=300))
    data = Pcap(client.terminate(session)["filelocation"]).data()
    assert data == reference.stop(len(data)).data()


def test_errors_are_those_of_a_creation(client, wire):
    for fields in ({"capamount": -1}, {"capvalue": "no-such"}, {"filtertype": "PRE"}, {"capmode": "STREAM"}):
        body = {"cappoint": "VNIC", "capsource": "CLI", "capvalue": wire.near, **fields}
        answers = [client.call("POST", client.prefix + "/session", params=parameters, json=body)
                   for parameters in ({"dry_run": "true"}, {})]
        assert answers[0].status_code == answers[1].status_code == 400
        assert answers[0].json() == answers[1].json()


def test_the_policy_path_answers_200_too(shared_daemon, wire):
    forecast = ask(shared_daemon.policy(), wire.near)
    assert forecast["dry_run"] is True


def test_no_worker(make_daemon, wire):
    daemon = make_daemon("--worker=external").start()
    forecast = ask(daemon.client, wire.near)
    assert [one["what"] for one in forecast["missing"]] == ["worker"]
    assert forecast["would_start"] is False


def test_no_capability_for_the_firewall(make_daemon, wire):
    daemon = make_daemon("--firewall", "no", "--netns-dirs", "").start()
    forecast = ask(daemon.client, wire.near, cappoint="DVFILTER")
    assert [one["what"] for one in forecast["missing"]] == ["CAP_NET_ADMIN"]
    assert forecast["would_start"] is False
    with pytest.raises(Refused) as refused:
        daemon.client.create(wire.near, cappoint="DVFILTER")
    assert refused.value.status == 412 and "CAP_NET_ADMIN" in refused.value.message


def test_any_has_no_point(client):
    forecast = ask(client, "any", cappoint="DVFILTER")
    assert "point" not in forecast and forecast["would_start"] is True
