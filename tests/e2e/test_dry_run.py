"""What a dry run says is what happens; and it leaves nothing behind."""
import pytest
from scapy.all import Dot1Q, Ether, IPv6, UDP

from harness import sandbox
from harness.client import Refused
from harness.frames import FAR, NEAR, numbers
from harness.judges import Pcap, Tcpdump

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


# ---- what stands in the way ----

def missing(forecast):
    return {one["what"]: one["why"] for one in forecast["missing"]}


def test_an_interface_that_is_down(client, wire):
    sandbox.ip(f"link set {wire.near} down")
    forecast = ask(client, wire.near)
    assert missing(forecast) == {"interface": f"interface {wire.near} is down"}
    assert forecast["would_start"] is False
    sandbox.ip(f"link set {wire.near} up")
    assert ask(client, wire.near)["would_start"] is True


def test_an_interface_that_is_down_in_a_namespace(make_daemon, make_netns):
    client = make_daemon("--netns-dirs", make_netns.directory).start().client
    blue = make_netns("blue")
    blue.ip("link set lo down")
    forecast = ask(client, "blue/lo")
    assert missing(forecast) == {"interface": "interface blue/lo is down"} and forecast["would_start"] is False
    blue.ip("link set lo up")
    assert ask(client, "blue/lo")["would_start"] is True


@pytest.mark.parametrize("address", ["198.51.100.1", "2001:db8::1"])
def test_a_collector_without_a_route(daemon, wire, address):
    fields = {"capmode": "STREAM", "streamaddress": address}
    forecast = ask(daemon.client, wire.near, **fields)
    assert missing(forecast) == {"route": "there is no route to streamaddress"}
    assert forecast["would_start"] is False and "disk" not in forecast
    daemon.expect_log("ERROR STREAM_UNREACHABLE")
    session = daemon.client.wait_end(daemon.client.create(wire.near, **fields))
    assert session["stop_reason"] == "STREAM_UNREACHABLE"


def test_a_collector_with_a_route(client, wire):
    forecast = ask(client, wire.near, capmode="STREAM", streamaddress="127.0.0.1")
    assert forecast["missing"] == [] and forecast["would_start"] is True and "disk" not in forecast


def test_all_that_stands_in_the_way(client, wire):
    sandbox.ip(f"link set {wire.near} down")
    forecast = ask(client, wire.near, capmode="STREAM", streamaddress="198.51.100.1")
    assert set(missing(forecast)) == {"interface", "route"} and forecast["would_start"] is False


def tagged(tags, packet):
    for tag in reversed(tags):
        packet = Dot1Q(vlan=tag) / packet
    return bytes(Ether(src=FAR, dst=NEAR) / packet)


def test_a_long_filter_is_told_whole(client, wire, tmp_path):
    """So many options at three depths of tags: tcpdump takes the text, and gets the same packets."""
    addresses = [f"fd00:70:1234:5678:90ab:cdef:1234:{number:x}" for number in range(0x1001, 0x103f)]
    values = [{"name": "IP6", "value": address} for address in addresses] + [
        {"name": "IPPROTO6", "value": "17"}, {"name": "PORT", "value": "9"}]
    forecast = ask(client, wire.near, options={"values": values})
    text = forecast["filter"]
    assert len(text) > 16 * 1024 and not text.endswith("...")
    assert [text.count(address) for address in addresses] == [6] * len(addresses)
    reference = Tcpdump(wire.near, tmp_path / "reference.pcap", text)
    reference.wait_until_it_listens()
    session = client.started(wire.near, capduration=60, options={"values": values})
    frames = [tagged(tags, IPv6(src=source, dst="fd00:71::1") / UDP(sport=8, dport=port))
              for tags in ((), (5,), (5, 6)) for source in (addresses[0], addresses[-1], "fd00:72::1") for port in (9, 10)]
    wire.inward.send_all(frames)
    data = Pcap(client.terminate(session)["filelocation"]).data()
    assert len(data) == 6 and data == reference.stop(6).data()
