"""Capture points: which interface a request means, in every network namespace, and what GET points says of them."""
import json
import os
import subprocess
import time

import pytest

from harness import sandbox
from harness.client import Refused
from harness.frames import number_of, numbers
from harness.judges import Pcap, Tcpdump
from harness.netns import QUIET, Netns
from harness.wait import SLOW, wait_until

BAD_VALUE, WRONG_POINT, UNKNOWN_INTERFACE, BAD_PARAMETER = 36006, 36009, 36010, 36012
NO_SUCH_NETNS, NO_PRIVILEGE = 36014, 36201
PORT_POINTS, WORKLOAD_POINTS = {"LOGICALPORT", "SEGMENTPORT"}, {"VNIC", "VIF"}
WITHOUT_SYS_ADMIN = ("setpriv", "--bounding-set", "-sys_admin")
WITHOUT_NET_ADMIN = ("setpriv", "--bounding-set", "-net_admin")


@pytest.fixture
def blue(make_netns):
    return make_netns("blue")


@pytest.fixture
def far(make_netns_wire, blue):
    """A wire to blue/eth0."""
    return make_netns_wire(blue, "toblue")


@pytest.fixture
def netns_daemon(make_daemon, make_netns):
    """A daemon that looks for namespaces where the test makes them."""
    return make_daemon("--ring-mb", "8", "--netns-dirs", make_netns.directory).start()


def by_value(client, **parameters):
    return {one["capvalue"]: one for one in client.points(**parameters)["results"]}


def refused(client, cappoint, capvalue):
    with pytest.raises(Refused) as caught:
        client.create(capvalue, cappoint=cappoint)
    return caught.value


def makes(kind):
    """Whether this kernel has such links."""
    if subprocess.run(["ip", "link", "add", "kindtest", "type", kind], capture_output=True).returncode != 0:
        return False
    sandbox.ip("link del kindtest")
    return True


def send_and_end(client, session, wire, count):
    wire.inward.send_all(numbers(count))
    ended = client.wait_end(session)
    assert ended["sessionstatus"] == "FINISHED", ended
    return [number_of(data) for data in Pcap(ended["filelocation"]).data()]


# ---- the list ----

def test_the_list_shows_what_there_is(netns_daemon, blue, far, wire):
    sandbox.ip(f"link set {wire.near} alias 5e7c4b0a-web mtu 1400", f"addr add 10.1.2.3/24 dev {wire.near}")
    points = by_value(netns_daemon.client)
    assert points[wire.near] == {
        "capvalue": wire.near, "name": wire.near, "cappoints": ["VNIC", "VMKNIC", "VIF", "DVFILTER"], "kind": "veth",
        "mac": wire.near_mac, "alias": "5e7c4b0a-web", "mtu": 1400, "state": "UP", "addresses": ["10.1.2.3/24"]}
    assert points["blue/eth0"] == {
        "capvalue": "blue/eth0", "name": "eth0", "netns": "blue", "cappoints": ["VNIC", "VIF", "DVFILTER"],
        "kind": "veth", "mac": "02:00:00:00:00:aa", "mtu": 1500, "state": "UP", "addresses": []}
    assert points["lo"]["addresses"][0] == "127.0.0.1/8" and "kind" not in points["lo"]
    assert set(points) == {"lo", wire.near, wire.far, "toblue", "blue/lo", "blue/eth0"}


def test_the_list_agrees_with_ip(netns_daemon, blue, far, make_wire):
    make_wire(), make_wire()
    points = by_value(netns_daemon.client)
    for prefix, run in (("", sandbox.run), ("blue/", blue.run)):
        for link in json.loads(run("ip", "-j", "-d", "addr")):
            shown = points.pop(prefix + link["ifname"])
            assert (shown["mac"], shown["mtu"]) == (link["address"], link["mtu"])
            assert shown["state"] == ("UP" if "UP" in link["flags"] else "DOWN")
            assert shown.get("kind") == link.get("linkinfo", {}).get("info_kind")
            assert shown["addresses"] == [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]]
    assert not points


def test_the_list_filters(netns_daemon, make_netns, blue, far, wire):
    client = netns_daemon.client
    make_netns("green")
    assert set(by_value(client, netns="blue")) == {"blue/lo", "blue/eth0"}
    assert set(by_value(client, netns="")) == {"lo", wire.near, wire.far, "toblue"}
    assert set(by_value(client, netns="blue", cappoint="VMKNIC")) == {"blue/lo"}
    assert set(by_value(client, cappoint="VMKNIC", netns="")) == {"lo"}
    assert by_value(client, cappoint="VDRPORT") == {}
    body = client.points(cappoint="VIF")
    assert [one["name"] for one in body["namespaces"]] == ["blue", "green"]
    assert all(one["accessible"] for one in body["namespaces"])
    assert body["abilities"] == {"capture": True, "netns": True, "firewall": True}
    assert client.points(netns="blue")["namespaces"] == [{"name": "blue", "accessible": True}]


@pytest.mark.parametrize("parameters, code, says", [
    ({"cappoint": "SWITCH"}, BAD_PARAMETER, "takes one of VNIC"),
    ({"cappoint": ""}, BAD_PARAMETER, "takes one of VNIC"),
    ({"cappoint": "vnic"}, BAD_PARAMETER, "takes one of VNIC"),
    ({"netns": "bleu"}, NO_SUCH_NETNS, "the closest are blue"),
    ({"netns": ".."}, NO_SUCH_NETNS, "the closest are blue"),
    ({"netns": "../netns/blue"}, NO_SUCH_NETNS, "the closest are blue"),
    ({"netns": "x" * 300}, NO_SUCH_NETNS, "the closest are blue"),
    ({"point": "VNIC"}, 36011, "it takes cappoint, netns"),
])
def test_wrong_parameters_of_the_list(netns_daemon, blue, parameters, code, says):
    with pytest.raises(Refused) as caught:
        netns_daemon.client.points(**parameters)
    assert (caught.value.status, caught.value.code) == (400, code)
    assert says in caught.value.message
    assert caught.value.fields()[0][0] == next(iter(parameters))


def test_the_list_is_read_anew_each_time(netns_daemon, make_netns, blue):
    client = netns_daemon.client
    blue.ip("link add br7 type bridge")
    assert "blue/br7" in by_value(client)
    blue.ip("link del br7")
    assert "blue/br7" not in by_value(client)
    green = make_netns("green")
    assert "green/lo" in by_value(client)
    green.remove()
    assert not [value for value in by_value(client) if value.startswith("green/")]


def test_a_file_that_is_no_namespace_is_not_listed(netns_daemon, make_netns, blue):
    (make_netns.directory / "file").write_text("x")
    (make_netns.directory / "directory").mkdir()
    os.mkfifo(make_netns.directory / "fifo")
    os.symlink("/proc/self/ns/net", make_netns.directory / "own")
    os.symlink("/proc/self/ns/mnt", make_netns.directory / "mnt")
    assert [one["name"] for one in netns_daemon.client.points()["namespaces"]] == ["blue"]
    assert refused(netns_daemon.client, "VNIC", "mnt/eth0").code == NO_SUCH_NETNS
    assert refused(netns_daemon.client, "VNIC", "fifo/eth0").code == NO_SUCH_NETNS


def test_the_first_directory_wins(make_daemon, make_netns, tmp_path, blue):
    second = tmp_path / "second"
    second.mkdir()
    other, more = Netns(second, "blue"), Netns(second, "green")
    try:
        other.ip("link add wrong type bridge")
        blue.ip("link add right type bridge")
        client = make_daemon("--netns-dirs", f"{make_netns.directory}:/nowhere:{second}").start().client
        assert [one["name"] for one in client.points()["namespaces"]] == ["blue", "green"]
        assert set(by_value(client, netns="blue")) == {"blue/lo", "blue/right"}
    finally:
        other.remove()
        more.remove()


def test_a_hundred_namespaces_are_listed_quickly(netns_daemon, make_netns):
    for number in range(100):
        make_netns(f"n{number:03}")
    client = netns_daemon.client
    body = client.points()
    assert [one["name"] for one in body["namespaces"]] == [f"n{number:03}" for number in range(100)]
    assert {f"n{number:03}/lo" for number in range(100)} <= {one["capvalue"] for one in body["results"]}
    spans = []
    for _ in range(5):
        began = time.monotonic()
        client.points()
        spans.append(time.monotonic() - began)
    assert min(spans) < 0.5 * SLOW, spans


# ---- every point ----

def test_every_point_that_this_kernel_can_make(netns_daemon, blue, far, wire):
    """Each cappoint captures on an interface that is one."""
    client = netns_daemon.client
    sandbox.ip("link add br0 type bridge mcast_snooping 0", f"link set br0 {QUIET} up", "addr add 10.7.0.1/24 dev br0",
               f"link set {wire.near} master br0")
    values = {"VNIC": wire.near, "VIF": "blue/eth0", "VMKNIC": "br0", "LOGICALPORT": wire.near,
              "SEGMENTPORT": wire.near, "VDRPORT": "br0", "DVFILTER": wire.near}
    if makes("bond"):
        sandbox.ip("link add bond0 type bond", f"link set bond0 {QUIET} up")
        values |= {"VMNIC": "bond0", "PNIC": "bond0", "FCPORT": "bond0"}
    points = by_value(client)
    assert points[wire.near]["master"] == "br0"
    try:
        for cappoint, value in values.items():
            assert cappoint in points[value]["cappoints"]
            session = client.started(value, cappoint=cappoint, capduration=60)
            client.terminate(session)
    finally:
        sandbox.ip("link del br0", *(["link del bond0"] if "VMNIC" in values else []))


def test_what_is_listed_can_be_captured(netns_daemon, blue, far, wire):
    client = netns_daemon.client
    for value, one in by_value(client).items():
        for cappoint in one["cappoints"]:
            if one["state"] == "UP":
                client.terminate(client.started(value, cappoint=cappoint, capduration=60))


@pytest.mark.parametrize("cappoint", ["VMNIC", "PNIC", "FCPORT", "VMKNIC", "VDRPORT", "LOGICALPORT", "SEGMENTPORT"])
def test_a_wrong_point_says_which_it_is(netns_daemon, blue, far, wire, cappoint):
    problem = refused(netns_daemon.client, cappoint, wire.near)
    assert (problem.status, problem.code) == (400, WRONG_POINT)
    assert problem.fields() == [("cappoint", WRONG_POINT)]
    assert problem.message == f"interface {wire.near} is no {cappoint}; it is VNIC, VIF, DVFILTER"
    assert "blue/eth0 is no" in refused(netns_daemon.client, cappoint, "blue/eth0").message


def test_any_is_for_dvfilter_only(netns_daemon, blue):
    client = netns_daemon.client
    for value in ("any", "blue/any"):
        client.terminate(client.started(value, cappoint="DVFILTER", capduration=60))
        assert refused(client, "VNIC", value).code == UNKNOWN_INTERFACE


# ---- values ----

def test_aliases_and_macs(netns_daemon, blue, far, wire):
    client = netns_daemon.client
    sandbox.ip(f"link set {wire.near} alias rack/7")
    blue.ip("link set eth0 alias port-6b0e0e0a")
    for value in ("rack/7", wire.near_mac, wire.near_mac.replace(":", "-").upper()):
        assert send_and_end(client, client.started(value, capamount=3), wire, 3) == [0, 1, 2]
    for value in ("port-6b0e0e0a", "blue/port-6b0e0e0a", "02:00:00:00:00:aa", "blue/02-00-00-00-00-AA"):
        assert send_and_end(client, client.started(value, capamount=3), far, 3) == [0, 1, 2]
    blue.ip("link set eth0 alias a/b")
    assert send_and_end(client, client.started("a/b", capamount=3), far, 3) == [0, 1, 2]


def test_a_bare_name_is_of_the_own_namespace(netns_daemon, blue, far):
    problem = refused(netns_daemon.client, "VNIC", "eth0")
    assert (problem.status, problem.code) == (400, UNKNOWN_INTERFACE)
    assert "blue/eth0" not in problem.message


def test_the_own_namespace_goes_first(netns_daemon, blue, far, wire):
    """An alias here beats the same alias elsewhere; two elsewhere are one too many."""
    client = netns_daemon.client
    blue.ip("link set eth0 alias twin", "link set lo alias double")
    sandbox.ip(f"link set {wire.near} alias twin")
    assert send_and_end(client, client.started("twin", capamount=1), wire, 1) == [0]
    blue.ip("link set eth0 alias double")
    problem = refused(client, "VNIC", "double")
    assert problem.code == BAD_VALUE and "blue/lo" in problem.message and "blue/eth0" in problem.message


def test_a_namespace_with_two_names_is_one(netns_daemon, make_netns, blue, far):
    """As containerlab and Docker name the same: what is found under both is found once."""
    client = netns_daemon.client
    also = make_netns.directory / "also-blue"
    also.touch()
    sandbox.run("mount", "--bind", blue.path, str(also))
    try:
        blue.ip("link set eth0 alias port-6b0e0e0a")
        for value in ("port-6b0e0e0a", "02:00:00:00:00:aa", "02-00-00-00-00-AA", "blue/eth0", "also-blue/eth0"):
            assert send_and_end(client, client.started(value, capamount=3), far, 3) == [0, 1, 2]
        assert {"blue/eth0", "also-blue/eth0"} <= set(by_value(client))
        blue.ip("link set lo alias port-6b0e0e0a")
        problem = refused(client, "DVFILTER", "port-6b0e0e0a")
        assert problem.code == BAD_VALUE and "means more than one interface" in problem.message
    finally:
        sandbox.unmount(also)


@pytest.mark.parametrize("value, code, says", [
    ("bleu/eth0", NO_SUCH_NETNS, "the closest are blue"),
    ("/eth0", NO_SUCH_NETNS, "capvalue /eth0 has no network namespace in front of the slash; it takes NETNS/IFNAME"),
    ("../eth0", NO_SUCH_NETNS, "the closest are blue"),
    ("./eth0", NO_SUCH_NETNS, "the closest are blue"),
    ("blue/eth1", UNKNOWN_INTERFACE, "the closest are blue/eth0, blue/lo"),
    ("blue/", UNKNOWN_INTERFACE, "the closest are blue/"),
    ("blue/eth0/x", UNKNOWN_INTERFACE, "the closest are blue/eth0"),
    ("n" * 256, UNKNOWN_INTERFACE, "the closest are"),
    ("n" * 254 + "/x", NO_SUCH_NETNS, "the closest are"),
    ("de:ad:be:ef:00:00", UNKNOWN_INTERFACE, "the closest are"),
])
def test_unknown_values_name_the_closest(netns_daemon, blue, far, value, code, says):
    problem = refused(netns_daemon.client, "VNIC", value)
    assert (problem.status, problem.code) == (400, code)
    assert problem.fields() == [("capvalue", code)]
    assert says in problem.message, problem.message


def test_unknown_namespace_where_there_is_none(make_daemon, make_netns):
    client = make_daemon("--netns-dirs", make_netns.directory).start().client
    assert "the worker sees none" in refused(client, "VNIC", "blue/eth0").message
    assert client.points()["namespaces"] == []


def test_no_directories_of_namespaces(make_daemon, blue):
    client = make_daemon("--netns-dirs=").start().client
    assert client.points()["abilities"]["netns"] is False
    assert refused(client, "VNIC", "blue/eth0").code == NO_SUCH_NETNS


def test_a_new_interface_is_found_at_once(netns_daemon, blue):
    client = netns_daemon.client
    for number in range(50):
        netns = blue if number % 2 else sandbox
        prefix = "blue/" if number % 2 else ""
        netns.ip(f"link add new{number} type veth peer name peer{number}", f"link set new{number} up",
                 f"link set peer{number} up")
        session = client.create(f"{prefix}new{number}", capduration=60)
        assert client.get(session)["request"]["capvalue"] == f"{prefix}new{number}"
        netns.ip(f"link del new{number}")
        with pytest.raises(Refused):
            client.create(f"{prefix}new{number}")
        client.terminate(session)
    netns_daemon.expect_log("INTERFACE_GONE")


def test_the_default_directory(make_daemon):
    """`ip netns add` as people use it; the first one ever mounts over the directory behind the broker's back."""
    sandbox.mount("tmpfs", "/run", "tmpfs")
    try:
        os.mkdir("/run/netns")
        daemon = make_daemon("--ring-mb", "8").start()
        sandbox.run("ip", "netns", "add", "pktcapd-test")
        sandbox.run("ip", "-n", "pktcapd-test", "link", "set", "lo", "up")
        session = daemon.client.started("pktcapd-test/lo", capduration=60)
        daemon.client.terminate(session)
        sandbox.run("ip", "netns", "del", "pktcapd-test")
        assert refused(daemon.client, "VNIC", "pktcapd-test/lo").code == NO_SUCH_NETNS
    finally:
        sandbox.unmount("/run")


# ---- capturing ----

def test_a_capture_in_a_namespace_equals_tcpdumps(netns_daemon, blue, far, tmp_path):
    reference = Tcpdump("eth0", tmp_path / "reference.pcap", "ether proto 0x88b5", inside=blue.inside)
    reference.wait_until_it_listens()
    session = netns_daemon.client.started("blue/eth0", capamount=400,
                                          options={"values": [{"name": "ETHTYPE", "value": "0x88b5"}]})
    for first in range(0, 400, 40):
        far.inward.send_all(numbers(40, first=first))
        wait_until(lambda: len(reference.read()) == first + 40, what="tcpdump's packets")
    ended = netns_daemon.client.wait_end(session)
    assert ended["stop_reason"] == "PACKET_COUNT"
    assert Pcap(ended["filelocation"]).data() == reference.stop(400).data()


@pytest.mark.slow
def test_64_captures_in_64_namespaces(make_daemon, make_netns, make_netns_wire):
    daemon = make_daemon("--ring-mb", "2", "--netns-dirs", make_netns.directory).start()
    wires = [make_netns_wire(make_netns(f"n{number}"), f"to{number}") for number in range(64)]
    sessions = [daemon.client.create(wire.capvalue, capamount=100 + number) for number, wire in enumerate(wires)]
    for session in sessions:
        daemon.client.wait_for(session, "STARTED", timeout=30)
    for number, wire in enumerate(wires):
        wire.inward.send_all(numbers(100 + number, stream=number))
    for number, session in enumerate(sessions):
        ended = daemon.client.wait_end(session, timeout=20)
        packets = Pcap(ended["filelocation"]).data()
        assert [number_of(one) for one in packets] == list(range(100 + number))
        assert ended["stop_reason"] == "PACKET_COUNT" and ended["runtime"]["packets_dropped"] == 0


# ---- what a worker may not ----

def test_without_cap_sys_admin(make_daemon, make_netns, blue, far, wire):
    daemon = make_daemon("--ring-mb", "8", "--netns-dirs", make_netns.directory, wrapper=WITHOUT_SYS_ADMIN).start()
    problem = refused(daemon.client, "VNIC", "blue/eth0")
    assert (problem.status, problem.code) == (412, NO_PRIVILEGE)
    assert problem.fields() == [("capvalue", NO_PRIVILEGE)] and "CAP_SYS_ADMIN" in problem.message
    assert refused(daemon.client, "VNIC", "red/eth0").code == NO_SUCH_NETNS
    body = daemon.client.points()
    assert body["namespaces"] == [{"name": "blue", "accessible": False, "missing": "CAP_SYS_ADMIN"}]
    assert body["abilities"] == {"capture": True, "netns": False, "firewall": True}
    assert not [one for one in body["results"] if "netns" in one]
    assert send_and_end(daemon.client, daemon.client.started(wire.near, capamount=2), wire, 2) == [0, 1]


@pytest.mark.parametrize("how", [{"wrapper": WITHOUT_NET_ADMIN}, {"flags": ["--firewall", "no"]}], ids=str)
def test_without_the_packet_filter(make_daemon, wire, how):
    daemon = make_daemon("--ring-mb", "8", *how.get("flags", ()), wrapper=how.get("wrapper", ())).start()
    problem = refused(daemon.client, "DVFILTER", wire.near)
    assert (problem.status, problem.code) == (412, NO_PRIVILEGE)
    assert problem.fields() == [("cappoint", NO_PRIVILEGE)] and "CAP_NET_ADMIN" in problem.message
    assert daemon.client.points()["abilities"]["firewall"] is False
    assert "DVFILTER" not in by_value(daemon.client)[wire.near]["cappoints"]
    assert by_value(daemon.client, cappoint="DVFILTER") == {}


def test_without_any_worker_it_is_the_worker_that_refuses(make_daemon, make_netns, blue, far):
    """The front end alone cannot look: it takes the request, and the run ends with PERMISSION."""
    flags = "--ring-mb", "8", "--netns-dirs", make_netns.directory
    daemon = make_daemon("--worker=external", *flags).start()
    assert daemon.client.points()["namespaces"] == [] and "abilities" not in daemon.client.points()
    session = daemon.client.create("blue/eth0")
    with pytest.raises(Refused):
        daemon.client.points(netns="blue")
    daemon.stop()
    second = make_daemon(*flags, data=daemon.data, wrapper=WITHOUT_SYS_ADMIN).start()
    second.expect_log("ERROR PERMISSION")
    ended = second.client.wait_end(session)
    assert (ended["sessionstatus"], ended["stop_reason"]) == ("ERROR", "PERMISSION")
    assert "CAP_SYS_ADMIN" in ended["errormsg"]


# ---- what becomes of a point ----

def down(blue):
    blue.ip("link set eth0 down")


def delete(blue):
    blue.ip("link del eth0")


def rename(blue):
    blue.ip("link set eth0 name eth9")


def rename_and_back(blue):
    blue.ip("link set eth0 name eth9", "link set eth9 name eth0")


def move(blue):
    blue.ip(f"link set eth0 netns {os.getpid()}")


LOSSES = {"down": (down, "interface blue/eth0 went down during the capture"),
          "deleted": (delete, "interface blue/eth0 was removed during the capture"),
          "renamed": (rename, "interface blue/eth0 was renamed to eth9 during the capture"),
          "renamed and back": (rename_and_back, "interface blue/eth0 was renamed to eth9 during the capture"),
          "moved": (move, "interface blue/eth0 was moved to another network namespace during the capture")}


def check_loss(client, session, began, words, count, limit=2):
    ended = client.wait_end(session)
    assert time.monotonic() - began < limit * SLOW
    assert (ended["sessionstatus"], ended["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
    assert words in ended["errormsg"]
    assert [number_of(one) for one in Pcap(ended["filelocation"]).data()] == list(range(count))
    assert ended["runtime"]["packets_captured"] == count


@pytest.mark.parametrize("count", [0, 500], ids=["silent", "busy"])
@pytest.mark.parametrize("loss", LOSSES)
def test_interface_lost_in_a_namespace(netns_daemon, blue, far, loss, count):
    lose, words = LOSSES[loss]
    netns_daemon.expect_log("INTERFACE_GONE")
    session = netns_daemon.client.started("blue/eth0", capduration=100)
    far.inward.send_all(numbers(count))
    began = time.monotonic()
    lose(blue)
    check_loss(netns_daemon.client, session, began, words, count)


def test_interface_renamed_in_the_own_namespace(daemon, wire):
    daemon.expect_log("INTERFACE_GONE")
    session = daemon.client.started(wire.near, capduration=100)
    wire.inward.send_all(numbers(100))
    began = time.monotonic()
    sandbox.ip(f"link set {wire.near} name other7")
    check_loss(daemon.client, session, began, f"interface {wire.near} was renamed to other7 during the capture", 100)
    sandbox.ip(f"link set other7 name {wire.near}")


def test_other_interfaces_changes_disturb_nobody(netns_daemon, blue, far):
    session = netns_daemon.client.started("blue/eth0", capamount=500)
    for _ in range(20):
        blue.ip("link add other type bridge mcast_snooping 0", "link set other up", "link set eth0 master other",
                "link set eth0 mtu 1400", "link set eth0 alias x", "link set eth0 nomaster", "link del other")
    assert send_and_end(netns_daemon.client, session, far, 500) == list(range(500))


def test_namespace_removed(netns_daemon, blue, far):
    """Our sockets keep it alive: only its name is gone."""
    netns_daemon.expect_log("INTERFACE_GONE")
    session = netns_daemon.client.started("blue/eth0", capduration=100)
    far.inward.send_all(numbers(100))
    began = time.monotonic()
    blue.remove()
    check_loss(netns_daemon.client, session, began, "network namespace blue was removed during the capture", 100, 3)


def test_namespace_removed_under_dvfilter_any(netns_daemon, blue):
    netns_daemon.expect_log("INTERFACE_GONE")
    session = netns_daemon.client.started("blue/any", cappoint="DVFILTER", capduration=100)
    began = time.monotonic()
    blue.remove()
    check_loss(netns_daemon.client, session, began, "network namespace blue was removed during the capture", 0, 3)


def test_namespace_remade(netns_daemon, make_netns, make_netns_wire, blue, far):
    netns_daemon.expect_log("INTERFACE_GONE")
    client = netns_daemon.client
    session = client.started("blue/eth0", capduration=100)
    far.inward.send_all(numbers(100))
    began = time.monotonic()
    blue.remove()
    again = make_netns_wire(make_netns("blue"), "toblue2")
    check_loss(client, session, began, "network namespace blue was ", 100, 3)
    client.wait_for(client.restart(session), "STARTED")
    again.inward.send_all(numbers(3))
    ended = client.terminate(session)
    assert [number_of(one) for one in Pcap(ended["filelocation"]).data()] == [0, 1, 2]


@pytest.mark.parametrize("fate", ["kept", "removed", "remade"])
def test_worker_killed_while_it_captures_in_a_namespace(netns_daemon, make_netns, make_netns_wire, blue, far, fate):
    """The next worker goes on in the same namespace, and in no other of the same name."""
    netns_daemon.expect_log("INTERFACE_GONE")
    client = netns_daemon.client
    session = client.started("blue/eth0", capduration=100)
    far.inward.send_all(numbers(50))
    wait_until(lambda: client.get(session)["runtime"]["packets_captured"] == 50, what="50 packets on disk")
    sandbox.kill(netns_daemon.process.pid, 19)  # SIGSTOP: no new worker until the namespace is what it shall be
    netns_daemon.kill("worker")
    if fate != "kept":
        blue.remove()
    if fate == "remade":
        make_netns_wire(make_netns("blue"), "toblue2")
    sandbox.kill(netns_daemon.process.pid, 18)
    if fate == "kept":
        wait_until(lambda: "not captured from" in client.get(session).get("errormsg", ""), 10, "the next worker")
        far.inward.send_all(numbers(50, first=50))
        ended = client.terminate(session)
        assert ended["sessionstatus"] == "STOPPED"
    else:
        ended = client.wait_end(session, timeout=10)
        assert (ended["sessionstatus"], ended["stop_reason"]) == ("ERROR", "INTERFACE_GONE")
        words = {"removed": "there is no network namespace with the name blue",
                 "remade": "network namespace blue was replaced by another of the same name while no worker"}
        assert words[fate] in ended["errormsg"]
    count = 100 if fate == "kept" else 50
    assert [number_of(one) for one in Pcap(ended["filelocation"]).data()] == list(range(count))


def test_nothing_keeps_a_namespace_alive(netns_daemon, make_netns, blue, far):
    """A veth goes with the last namespace of its ends: if toblue is still there, somebody holds blue."""
    client = netns_daemon.client
    client.points()
    client.terminate(client.started("blue/eth0", capduration=60))
    blue.remove()
    wait_until(lambda: not os.path.exists("/sys/class/net/toblue"), 5, "the end of the namespace")
