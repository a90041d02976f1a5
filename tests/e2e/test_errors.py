"""What is wrong with a request is said completely, by field, with what would be right."""
import json

import pytest

from harness.client import Client, Refused, check_answer


# Stable numbers (core/error.h).
MALFORMED, UNKNOWN_FIELD, MISSING, WRONG_TYPE, OUT_OF_RANGE, BAD_VALUE = range(36001, 36007)
BAD_EXPRESSION, WRONG_POINT, UNKNOWN_INTERFACE, UNKNOWN_PARAMETER, BAD_PARAMETER = range(36008, 36013)
NO_SUCH_NETNS, CONFLICT = 36014, 36015
NO_SUCH_SESSION, NO_SUCH_NODE, NO_SUCH_FILE, NO_SUCH_PATH = range(36100, 36104)
SESSION_RUNNING = 36200



class Deleted:
    """A field that is left out, with a name that is the same in every run."""

    def __repr__(self):
        return "left out"


DELETED = Deleted()


def options(*pairs):
    return {"options": {"values": [{"name": name, "value": value} for name, value in pairs]}}


def stream(address="192.0.2.1", **more):
    return {"capmode": "STREAM", "streamaddress": address, **more}


def expression(text):
    return {"capexpression": text}


def refused(client, wire, change):
    """POSTs a request that would be right but for the change."""
    body = {"cappoint": "VNIC", "capvalue": wire.near, "capsource": "CLI", **change}
    body = {key: value for key, value in body.items() if value is not DELETED}
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session", json=body)
    return refusal.value


# (what is wrong, field to blame, part of the message, error_code)
WRONG_FIELDS = [
    # missing
    ({"cappoint": DELETED}, "cappoint", "cappoint is required", MISSING),
    ({"capsource": DELETED}, "capsource", "capsource is required", MISSING),
    ({"capvalue": DELETED}, "capvalue", "capvalue is required", MISSING),
    ({"capvalue": ""}, "capvalue", "capvalue is required", MISSING),
    ({"cappoint": None}, "cappoint", "cappoint is required", MISSING),
    # names
    ({"cappoint": "vnic"}, "cappoint", "VNIC", BAD_VALUE),
    ({"cappoint": "NOWHERE"}, "cappoint", "NOWHERE", BAD_VALUE),
    ({"capsource": "WEB"}, "capsource", "CLI", BAD_VALUE),
    ({"direction": "BOTH"}, "direction", "DUAL", BAD_VALUE),
    ({"direction": "both"}, "direction", "DUAL", BAD_VALUE),
    ({"direction": "IN"}, "direction", "INPUT", BAD_VALUE),
    ({"capmode": "FILE"}, "capmode", "STANDALONE", BAD_VALUE),
    ({"capformat": "TEXT"}, "capformat", "PCAP", BAD_VALUE),
    ({"filtertype": "BOTH"}, "filtertype", "PRE, POST", BAD_VALUE),
    # integers
    ({"capduration": -1}, "capduration", "-1", OUT_OF_RANGE),
    ({"capamount": -5}, "capamount", "-5", OUT_OF_RANGE),
    ({"capfilesize": 2**31}, "capfilesize", "2147483648", OUT_OF_RANGE),
    ({"capduration": 2**63}, "capduration", "2147483647", OUT_OF_RANGE),
    ({"capduration": 10**40}, "capduration", "2147483647", OUT_OF_RANGE),
    ({"capamount": -(2**63)}, "capamount", "2147483647", OUT_OF_RANGE),
    ({"capsnaplen": 23}, "capsnaplen", "24", OUT_OF_RANGE),
    ({"capsnaplen": 1}, "capsnaplen", "24", OUT_OF_RANGE),
    ({"caprate": -1}, "caprate", "2147483647", OUT_OF_RANGE),
    ({"capcore": -1}, "capcore", "2147483647", OUT_OF_RANGE),
    ({"capcore": 1023}, "capcore", "CPUs to capture on", OUT_OF_RANGE),
    ({"capcore": 1024}, "capcore", "CPUs to capture on", OUT_OF_RANGE),
    ({"capcore": 2**31 - 1}, "capcore", "CPUs to capture on", OUT_OF_RANGE),
    ({"capfilecount": 1001, "capfilesize": 1}, "capfilecount", "an integer from 0 to 1000", OUT_OF_RANGE),
    (stream(streamport=65536), "streamport", "an integer from 0 to 65535", OUT_OF_RANGE),
    (stream(streamport=-1), "streamport", "an integer from 0 to 65535", OUT_OF_RANGE),
    # types
    ({"capduration": "10"}, "capduration", "a string", WRONG_TYPE),
    ({"capduration": 1.5}, "capduration", "fraction", WRONG_TYPE),
    ({"capamount": True}, "capamount", "a boolean", WRONG_TYPE),
    ({"capamount": []}, "capamount", "an array", WRONG_TYPE),
    ({"cappoint": 1}, "cappoint", "an integer", WRONG_TYPE),
    ({"capvalue": {"x": 1}}, "capvalue", "an object", WRONG_TYPE),
    ({"direction": ["INPUT"]}, "direction", "an array", WRONG_TYPE),
    ({"name": 5}, "name", "an integer", WRONG_TYPE),
    ({"capexpression": 5}, "capexpression", "an integer", WRONG_TYPE),
    ({"options": []}, "options", "an array", WRONG_TYPE),
    ({"options": {"values": {}}}, "options", "array", WRONG_TYPE),
    ({"options": {"values": ["IP"]}}, "options", "a string", WRONG_TYPE),
    ({"options": {"values": [{"name": "VLAN", "value": 5}]}}, "options", "an integer", WRONG_TYPE),
    ({"options": {"values": [{"name": 5, "value": "5"}]}}, "options", "an integer", WRONG_TYPE),
    ({"captureself": 1}, "captureself", "an integer; it takes true or false", WRONG_TYPE),
    ({"captureself": 0}, "captureself", "true or false", WRONG_TYPE),
    ({"captureself": "true"}, "captureself", "a string; it takes true or false", WRONG_TYPE),
    (stream(["192.0.2.1"]), "streamaddress", "an array", WRONG_TYPE),
    (stream(streamport="4754"), "streamport", "a string", WRONG_TYPE),
    ({"tags": {}}, "tags", "an object", WRONG_TYPE),
    ({"tags": ["x"]}, "tags", "a string", WRONG_TYPE),
    ({"tags": [{"scope": 1, "tag": "x"}]}, "tags", "an integer", WRONG_TYPE),
    # lengths
    ({"name": "n" * 256}, "name", "255", OUT_OF_RANGE),
    ({"description": "d" * 1025}, "description", "1024", OUT_OF_RANGE),
    ({"tags": [{"scope": "s" * 129, "tag": ""}]}, "tags", "128", OUT_OF_RANGE),
    ({"tags": [{"scope": "", "tag": "t" * 257}]}, "tags", "256", OUT_OF_RANGE),
    ({"tags": [{"scope": "s", "tag": "t"}] * 31}, "tags", "30", OUT_OF_RANGE),
    ({"capexpression": "ip or " * 200 + "ip"}, "capexpression", "1024", OUT_OF_RANGE),
    (options(*[("VLAN", "1")] * 65), "options", "64", OUT_OF_RANGE),
    # unknown fields
    ({"capduraton": 5}, "capduraton", "capduration", UNKNOWN_FIELD),
    ({"CAPAMOUNT": 5}, "CAPAMOUNT", "capamount", UNKNOWN_FIELD),
    ({"zzzzzzzzzzzz": None}, "zzzzzzzzzzzz", "zzzzzzzzzzzz", UNKNOWN_FIELD),
    ({"options": {"value": []}}, "options", "values", UNKNOWN_FIELD),
    ({"options": {"values": [{"name": "VLAN", "value": "1", "x": 1}]}}, "options", "x", UNKNOWN_FIELD),
    ({"tags": [{"scope": "a", "tag": "b", "c": "d"}]}, "tags", "c", UNKNOWN_FIELD),
    ({"options": {"values": [{"name": "VLAN"}]}}, "options", "name and value", MISSING),
    ({"options": {"values": [{}]}}, "options", "name and value", MISSING),
    # fields that do not go together
    ({"filtertype": "PRE"}, "filtertype", "DVFILTER", CONFLICT),
    ({"filtertype": "POST", "cappoint": "VIF"}, "filtertype", "DVFILTER", CONFLICT),
    ({"streamaddress": "192.0.2.1"}, "streamaddress", "STREAM", CONFLICT),
    ({"streamport": 4754}, "streamport", "STREAM", CONFLICT),
    ({"streamaddress": "192.0.2.1", "capmode": "STANDALONE"}, "streamaddress", "STREAM", CONFLICT),
    (stream(capformat="PCAP"), "capformat", "writes no file", CONFLICT),
    (stream(capformat="PCAPNG"), "capformat", "writes no file", CONFLICT),
    (stream(capfilesize=1), "capfilesize", "writes no file", CONFLICT),
    (stream(capfilecount=1), "capfilecount", "writes no file", CONFLICT),
    ({"capmode": "STREAM"}, "streamaddress", "streamaddress is required", MISSING),
    ({"capfilecount": 2}, "capfilesize", "the size of each file", MISSING),
    # collectors
    *((stream(address), "streamaddress", "of one host", BAD_VALUE)
      for address in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "fe80::1", "::ffff:192.0.2.1",
                      "localhost", "collector.example", "192.0.2.1:4754", "[2001:db8::1]", "192.0.2.1/32")),
    # namespaces
    ({"capvalue": "no-such-netns/eth0"}, "capvalue", "no-such-netns", NO_SUCH_NETNS),
    # the node
    ({"node": "no-such-node"}, "node", "no-such-node", NO_SUCH_NODE),
    ({"node": "00000000-0000-0000-0000-000000000000"}, "node", "no node", NO_SUCH_NODE),
    ({"node_ip": "192.0.2.77"}, "node_ip", "192.0.2.77", NO_SUCH_NODE),
    ({"node_ip": "not an address"}, "node_ip", "address", BAD_VALUE),
    # interfaces
    ({"capvalue": "lo", "cappoint": "VNIC"}, "cappoint", "VMKNIC", WRONG_POINT),
    ({"capvalue": "lo", "cappoint": "PNIC"}, "cappoint", "VMKNIC", WRONG_POINT),
    ({"cappoint": "VMKNIC"}, "cappoint", "VNIC, VIF", WRONG_POINT),
    *(({"cappoint": point}, "cappoint", "VNIC, VIF", WRONG_POINT)
      for point in ("VMNIC", "PNIC", "FCPORT", "VDRPORT", "LOGICALPORT", "SEGMENTPORT")),
    ({"capvalue": "02:99:99:99:99:99"}, "capvalue", "closest", UNKNOWN_INTERFACE),
    # option values
    (options(("VLAN", "0")), "options", "VLAN has the value 0; it takes a VLAN id from 1 to 4094", BAD_VALUE),
    (options(("VLAN", "4095")), "options", "4094", BAD_VALUE),
    (options(("VLAN", "")), "options", "VLAN", BAD_VALUE),
    (options(("VLAN", "10 or ip")), "options", "VLAN", BAD_VALUE),
    (options(("ETHTYPE", "2048")), "options", "hexadecimal", BAD_VALUE),
    (options(("ETHTYPE", "0x10000")), "options", "ETHTYPE", BAD_VALUE),
    (options(("MAC", "02:00:00:00:00")), "options", "MAC", BAD_VALUE),
    (options(("SRCMAC", "02:00:00:00:00:0g")), "options", "SRCMAC", BAD_VALUE),
    (options(("DSTMAC", "example.org")), "options", "DSTMAC", BAD_VALUE),
    (options(("IP", "10.0.0.256")), "options", "IP", BAD_VALUE),
    (options(("IP", "10.0.0.0/33")), "options", "IP", BAD_VALUE),
    (options(("IP", "2001:db8::1")), "options", "IPv4", BAD_VALUE),
    (options(("SRCIP", "localhost")), "options", "SRCIP", BAD_VALUE),
    (options(("DSTIP", "10.0.0.1 or host 10.0.0.2")), "options", "DSTIP", BAD_VALUE),
    (options(("IPPROTO", "256")), "options", "IPPROTO", BAD_VALUE),
    (options(("IPPROTO", "tcp")), "options", "IPPROTO", BAD_VALUE),
    (options(("PORT", "65536")), "options", "PORT", BAD_VALUE),
    (options(("PORT", "http")), "options", "PORT", BAD_VALUE),
    (options(("SRCPORT", "-1")), "options", "SRCPORT", BAD_VALUE),
    (options(("DSTPORT", "0x50")), "options", "DSTPORT", BAD_VALUE),
    (options(("UDPPORT", "1.5")), "options", "UDPPORT", BAD_VALUE),
    (options(("SRCUDPPORT", " 5")), "options", "SRCUDPPORT", BAD_VALUE),
    (options(("DSTUDPPORT", "99999999999999999999")), "options", "DSTUDPPORT", BAD_VALUE),
    (options(("IP6", "10.0.0.1")), "options", "IPv6", BAD_VALUE),
    (options(("SRCIP6", "2001:db8::/129")), "options", "SRCIP6", BAD_VALUE),
    (options(("DSTIP6", "2001:db8:::1")), "options", "DSTIP6", BAD_VALUE),
    (options(("IPPROTO6", "0x100")), "options", "IPPROTO6", BAD_VALUE),
    (options(("VNI", "16777216")), "options", "VNI", BAD_VALUE),
    (options(("VNI", "-1")), "options", "VNI", BAD_VALUE),
    (options(("VNI", "blue")), "options", "VNI", BAD_VALUE),
    (options(("INNER", "yes")), "options", "INNER", BAD_VALUE),
    (options(("INNER", "True")), "options", "INNER", BAD_VALUE),
    (options(("INNER", "")), "options", "INNER", BAD_VALUE),
    (options(("SRC_IP", "10.0.0.1")), "options", "nearest is SRCIP", BAD_VALUE),
    (options(("vlan", "5")), "options", "VLAN", BAD_VALUE),
    # expressions
    (expression("host example.org"), "capexpression", "example.org", BAD_EXPRESSION),
    (expression("host localhost"), "capexpression", "localhost", BAD_EXPRESSION),
    (expression("net loopback"), "capexpression", "loopback", BAD_EXPRESSION),
    (expression("port http"), "capexpression", "http", BAD_EXPRESSION),
    (expression("ip proto tcpx"), "capexpression", "tcpx", BAD_EXPRESSION),
    (expression("gateway 10.0.0.1"), "capexpression", "gateway", BAD_EXPRESSION),
    (expression("tcp port"), "capexpression", "", BAD_EXPRESSION),
    (expression("((((("), "capexpression", "", BAD_EXPRESSION),
    (expression("TCP"), "capexpression", "lower case", BAD_EXPRESSION),
    (expression("tcp[70000000000] = 1"), "capexpression", "", BAD_EXPRESSION),
]


def label(case):
    change, field, _, code = case
    return f"{field}-{code}-{str(change)[:50]}".replace("\\", "/").replace("[", "(").replace("]", ")")


@pytest.mark.parametrize("case", WRONG_FIELDS, ids=map(label, WRONG_FIELDS))
def test_wrong_field(client, shared_wire, case):
    change, field, fragment, code = case
    refusal = refused(client, shared_wire, change)
    assert refusal.status == (404 if code == NO_SUCH_NODE else 400)
    assert refusal.fields() == [(field, code)], refusal.body
    assert refusal.code == code
    assert fragment in refusal.message
    assert refusal.body["httpStatus"] == ("NOT_FOUND" if code == NO_SUCH_NODE else "BAD_REQUEST")


def test_unknown_interface_names_the_closest(client, make_wire):
    wire = make_wire()
    refusal = refused(client, wire, {"capvalue": wire.near + "x"})
    assert (refusal.status, refusal.code) == (400, UNKNOWN_INTERFACE)
    assert f"the closest are {wire.near}" in refusal.message


def test_a_mac_of_two_interfaces_is_refused(client, make_wire):
    from harness import sandbox

    one, two = make_wire(), make_wire()
    sandbox.ip(f"link set {two.near} address {one.near_mac}")
    refusal = refused(client, one, {"capvalue": one.near_mac})
    assert refusal.fields() == [("capvalue", BAD_VALUE)]
    assert one.near in refusal.message and two.near in refusal.message


def test_all_wrong_fields_come_back_together(client, shared_wire):
    change = {"cappoint": "X", "capsource": DELETED, "direction": "BOTH", "capduration": -1, "capamount": "1",
              "capsnaplen": 5, "caprate": -9, "durration": 1, "filtertype": 1, "streamport": 70000, "capcore": 4000,
              "capfilecount": 5000, "captureself": "no", "capexpression": "host a.b", "node": "elsewhere",
              **options(("VLAN", "x"), ("PORT", "70000"), ("NOPE", "1"))}
    refusal = refused(client, shared_wire, change)
    blamed = [field for field, _ in refusal.fields()]
    assert refusal.status == 400
    assert sorted(set(blamed)) == sorted({"cappoint", "capsource", "direction", "capduration", "capamount", "capsnaplen",
                                          "caprate", "durration", "capexpression", "node", "options", "filtertype",
                                          "streamport", "capcore", "capfilecount", "captureself"})
    assert blamed.count("options") == 3
    assert len(blamed) == len(set(zip(blamed, refusal.messages())))


def test_a_wrong_field_beside_a_wrong_node_is_a_400(client, shared_wire):
    """A mistake in the request beats what only is not there."""
    for change in ({"node": "elsewhere", "capduration": -1}, {"capduration": -1, "node": "elsewhere"}):
        refusal = refused(client, shared_wire, change)
        assert sorted(field for field, _ in refusal.fields()) == ["capduration", "node"]
        assert refusal.status == 400


def test_too_many_wrong_fields_are_still_one_answer(client, shared_wire):
    refusal = refused(client, shared_wire, {f"unknown{n}": n for n in range(500)})
    assert refusal.status == 400 and refusal.code == UNKNOWN_FIELD
    assert 10 <= len(refusal.fields()) <= 500


def test_messages_hold_no_quotes_or_control_characters(client, shared_wire):
    """check_shape() looks at every message; this one provokes it."""
    nasty = 'a"b\\c\nd\te\x7f'
    for change in ({nasty: 1}, {"capvalue": nasty}, {"direction": nasty}, options(("IP", nasty)), options((nasty, "1")),
                   expression(f"host {nasty}"), {"node": nasty}):
        assert refused(client, shared_wire, change).status in (400, 404)


def test_long_values_do_not_blow_up_messages(client, shared_wire):
    long = "x" * 5000
    for change in ({"capvalue": "x" * 256}, {"cappoint": long}, {"direction": long}, {long: 1}, options((long, "1")),
                   options(("IP", long)), {"node": "y" * 64}, expression("host " + "x" * 1000)):
        assert all(len(message) < 512 for message in refused(client, shared_wire, change).messages())


def test_lengths_count_characters(client, shared_wire):
    """255 of them, not bytes."""
    name = "ü" * 254 + "😀"
    session = client.create(shared_wire.near, name=name, capamount=1)
    assert session["sessionname"] == name
    client.terminate(session)
    assert refused(client, shared_wire, {"name": name + "x"}).code == OUT_OF_RANGE


# ---- filters that are too much ----

HEAVY = {
    "many addresses": " or ".join(f"host 10.{n}.0.1" for n in range(53)),
    "nested": "(" * 300 + "ip" + ")" * 300,
    "nots": "not " * 255 + "ip",
    "arithmetic": "ip[" + "+".join(["1"] * 300) + "] = 1",
    "cubic": " and ".join(["(tcp or udp)"] * 63),
    "ranges": " or ".join(f"portrange {n}-{n + 1}" for n in range(1000, 1040)),
    "vlans": "vlan and " * 100 + "ip",
}


@pytest.mark.parametrize("case", HEAVY)
def test_heavy_expressions_are_answered_quickly(shared_daemon, client, shared_wire, case):
    """Taken or refused, but soon, and the service lives on."""
    body = {"cappoint": "VNIC", "capvalue": shared_wire.near, "capsource": "CLI", "capamount": 1,
            "capexpression": HEAVY[case][:1024]}
    before = shared_daemon.pid("front end")
    response = client.call("POST", client.prefix + "/session", json=body)
    assert response.elapsed.total_seconds() < 5
    answer = check_answer("POST", response)
    if response.status_code == 200:
        ended = client.wait_for(answer, "STARTED", "ERROR")
        assert ended["sessionstatus"] == "STARTED", ended
        client.terminate(answer)
    else:
        assert response.status_code == 400 and answer["error_code"] in (BAD_EXPRESSION, OUT_OF_RANGE)
    assert shared_daemon.pid("front end") == before


def test_what_is_taken_can_be_captured(client, shared_wire):
    """The front end's check and the worker's compilation agree, also at the edge of what the kernel takes."""
    for count in (8, 16, 32, 48, 64):
        values = [(name, value) for n in range(count // 4) for name, value in (
            ("IP", f"10.{n}.1.1"), ("IP6", f"2001:db8:{n:x}::1"), ("PORT", str(n)), ("VLAN", str(n + 1)))]
        body = {"cappoint": "VNIC", "capvalue": shared_wire.near, "capsource": "CLI", "capamount": 1, **options(*values)}
        response = client.call("POST", client.prefix + "/session", json=body)
        answer = check_answer("POST", response)
        if response.status_code == 200:
            assert client.wait_for(answer, "STARTED", "ERROR")["sessionstatus"] == "STARTED"
            client.terminate(answer)


# ---- bodies that are no requests ----

BODIES = [
    (b"", "empty"),
    (b"   ", "byte"),
    (b"{", "after 1 bytes"),
    (b'{"cappoint": "VNIC",}', "byte 20"),
    (b'{"cappoint": VNIC}', "byte 13"),
    (b"{'cappoint': 'VNIC'}", "byte"),
    (b'{"cappoint": "VNIC"} trailing', "byte 21"),
    (b'{"a": 1}{"b": 2}', "byte 8"),
    (b"[]", "an array"),
    (b'"text"', "a string"),
    (b"null", "null"),
    (b"5", "an integer"),
    (b"true", "a boolean"),
    (b'{"a": 01}', ""),
    (b"\xef\xbb\xbf{}", ""),
    (b'{"cappoint": "\xff\xfe"}', ""),
    (b'{"capvalue": "\x00"}', ""),
    (b"{}\x00", ""),
    (b"[" * 1000, ""),
    (b'{"a":' * 1000 + b"1" + b"}" * 1000, ""),
    (b"[" * 60000, ""),
    (b"<xml/>", ""),
    (b"\x00\x01\x02", ""),
]


@pytest.mark.parametrize("body, fragment", BODIES, ids=lambda value: repr(value)[:40].replace("[", "("))
def test_malformed_body(client, body, fragment):
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session", data=body, headers={"Content-Type": "application/json"})
    assert (refusal.value.status, refusal.value.code) == (400, MALFORMED), refusal.value.body
    assert fragment in refusal.value.message


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_what_only_javascript_calls_a_number(client, text):
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session", data=b'{"capduration": %s}' % text)
    assert refusal.value.status == 400 and refusal.value.code in (MALFORMED, WRONG_TYPE)


@pytest.mark.parametrize("text", [b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xe4\xb8"])
def test_invalid_utf8_is_refused(client, text):
    for field in (b"name", b"cappoint", b"capvalue", b"x"):
        with pytest.raises(Refused) as refusal:
            client.json("POST", "/session", data=b'{"%s": "a%sb"}' % (field, text))
        assert refusal.value.status == 400


def test_a_nul_in_the_address_is_refused(client, shared_wire):
    """It would cut off what follows, and a proxy in front would have read something else."""
    session = client.started(shared_wire.near, capduration=100)
    base = f"{client.prefix}/session/{session['sessionid']}"
    for method, path in (("GET", f"{client.prefix}/sessions%00x"), ("GET", f"{base}%00x"), ("GET", f"{base}%00/capturefile"),
                         ("POST", f"{base}?action=terminate%00x"), ("GET", f"{client.prefix}/sessions?page_size=5%00x")):
        response = client.call(method, path)
        check_answer(method, response)
        assert response.status_code == 400, path
    assert client.get(session)["sessionstatus"] == "STARTED"
    client.terminate(session)


def test_an_address_that_is_too_long_is_refused(client):
    """Not cut off, either: the action stands behind it."""
    for method, path in (("GET", f"{client.prefix}/session/" + "a" * 10000), ("GET", "/" + "%41" * 5000),
                         ("POST", f"{client.prefix}/sessions?action=delete&x=" + "y" * 9000 + "&z=1"),
                         ("GET", "/" + "a" * 100_000)):
        response = client.call(method, path)
        check_answer(method, response)
        assert response.status_code in (400, 404, 413, 414)


def test_escaped_nul_is_named(client, shared_wire):
    for change in ({"capvalue": "lo\0x"}, {"name": "a\0b"}, options(("IP", "10.0.0.1\0")), expression("ip\0x")):
        refusal = refused(client, shared_wire, change)
        assert refusal.code == BAD_VALUE and "NUL" in refusal.message


def test_a_nul_in_a_name_is_not_cut_off(client, shared_wire):
    for change in ({"cappoint": "VNIC\0x"}, {"capsource": "CLI\0"}, {"direction": "INPUT\0"}, options(("IP\0", "10.0.0.1"))):
        assert refused(client, shared_wire, change).status == 400


def test_lone_surrogates_do_no_harm(client, shared_wire):
    """json-c makes U+FFFD of them, or refuses them; what comes back is valid JSON."""
    body = '{"cappoint":"VNIC","capsource":"CLI","capamount":1,"capvalue":"%s","name":"a\\ud800b"}' % shared_wire.near
    response = client.call("POST", client.prefix + "/session", data=body)
    answer = check_answer("POST", response)
    if response.status_code == 200:
        client.terminate(answer)


def test_duplicate_keys_do_no_harm(client, shared_wire):
    body = '{"cappoint":"VNIC","capsource":"CLI","capvalue":"x","capvalue":"%s","capamount":1}' % shared_wire.near
    response = client.call("POST", client.prefix + "/session", data=body)
    answer = check_answer("POST", response)
    if response.status_code == 200:
        assert answer["request"]["capvalue"] == shared_wire.near
        client.terminate(answer)


# ---- ids, paths, parameters ----

BAD_IDS = ["nope", "00000000-0000-0000-0000-000000000000", "0" * 36, "..", "%2e%2e", "a" * 300, "%ff%fe",
           "11111111-1111-1111-1111-11111111111"]


@pytest.mark.parametrize("identity", BAD_IDS)
def test_unknown_sessions(client, identity):
    for method, tail in (("GET", ""), ("POST", "?action=terminate"), ("POST", "?action=restart"),
                         ("POST", "?action=delete"), ("GET", "/capturefile")):
        response = client.call(method, f"{client.prefix}/session/{identity}{tail}")
        body = check_answer(method, response)
        assert response.status_code == 404
        assert body["error_code"] in (NO_SUCH_SESSION, NO_SUCH_PATH) and body["httpStatus"] == "NOT_FOUND"


UNKNOWN_PATHS = ["/", "/api", "/api/v1/pktcap", "/api/v1/pktcap/", "/api/v1/pktcap/session/", "/api/v1/pktcap/sessions/x",
                 "/api/v1/pktcap/session/x/y", "/api/v1/pktcap/session/x/capturefile/", "/api/v2/pktcap/sessions",
                 "/API/v1/pktcap/sessions", "/policy/api/v1/infra/pktcap", "/etc/passwd",
                 "/api/v1/pktcap/session/x/CapturedFile", "/policy/api/v1/infra/pktcap/session/x/capturefile"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_unknown_paths(client, method, path):
    response = client.call(method, path)
    body = check_answer(method, response)
    assert response.status_code == 404 and body["error_code"] == NO_SUCH_PATH


WRONG_METHODS = [
    ("/api/v1/pktcap/session", ["GET", "PUT", "DELETE", "PATCH"], "POST"),
    ("/api/v1/pktcap/session/x", ["PUT", "DELETE", "PATCH"], "GET, HEAD, POST"),
    ("/api/v1/pktcap/session/x/capturefile", ["POST", "PUT", "DELETE"], "GET, HEAD"),
    ("/api/v1/pktcap/sessions", ["PUT", "DELETE", "PATCH"], "GET, HEAD, POST"),
    ("/policy/api/v1/infra/pktcap/session/x", ["PUT", "PATCH"], "GET, HEAD, POST, DELETE"),
    ("/policy/api/v1/infra/pktcap/sessions", ["POST", "PUT"], "GET, HEAD, DELETE"),
    ("/policy/api/v1/infra/pktcap/session/x/CapturedFile", ["POST", "DELETE"], "GET, HEAD"),
]


@pytest.mark.parametrize("path, methods, allow", WRONG_METHODS, ids=[path for path, _, _ in WRONG_METHODS])
def test_wrong_methods(client, path, methods, allow):
    for method in [*methods, "OPTIONS"]:
        response = client.call(method, path)
        body = check_answer(method, response)
        assert response.status_code == 405, method
        assert body["error_code"] == 36104 and body["httpStatus"] == "METHOD_NOT_ALLOWED"
        assert set(response.headers["Allow"].split(", ")) == set(allow.split(", "))


PARAMETERS = [
    ("GET", "/sessions?page_sise=5", UNKNOWN_PARAMETER, "page_sise"),
    ("GET", "/sessions?page_size=5&page_size=6", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=0", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=1001", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=-1", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=5x", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?page_size=99999999999999999999", BAD_PARAMETER, "page_size"),
    ("GET", "/sessions?sort_by=colour", BAD_PARAMETER, "sort_by"),
    ("GET", "/sessions?sort_ascending=maybe", BAD_PARAMETER, "sort_ascending"),
    ("GET", "/sessions?cursor=zz", BAD_PARAMETER, "cursor"),
    ("GET", "/sessions?cursor=", BAD_PARAMETER, "cursor"),
    ("GET", "/sessions?cursor=00", BAD_PARAMETER, "cursor"),
    ("GET", "/sessions?cursor=3120", BAD_PARAMETER, "cursor"),
    ("GET", "/sessions?cursor=" + "31" * 3000, BAD_PARAMETER, "cursor"),
    ("GET", "/sessions?action=delete", BAD_PARAMETER, "action"),
    ("GET", "/sessions?" + "&".join(f"a{n}=1" for n in range(30)), BAD_PARAMETER, None),
    ("POST", "/sessions", BAD_PARAMETER, "action"),
    ("POST", "/sessions?action=remove", BAD_PARAMETER, "action"),
    ("POST", "/sessions?action=delete&force=true", UNKNOWN_PARAMETER, "force"),
    ("POST", "/session?action=restart", BAD_PARAMETER, "action"),
    ("POST", "/session/x", BAD_PARAMETER, "action"),
    ("POST", "/session/x?action=pause", BAD_PARAMETER, "action"),
    ("POST", "/session/x?action=", BAD_PARAMETER, "action"),
    ("GET", "/session/x?action=restart", BAD_PARAMETER, "action"),
    ("GET", "/session/x?verbose=1", UNKNOWN_PARAMETER, "verbose"),
    ("GET", "/session/x/capturefile?run=0", BAD_PARAMETER, "run"),
    ("GET", "/session/x/capturefile?run=one", BAD_PARAMETER, "run"),
    ("GET", "/session/x/capturefile?Run=1", UNKNOWN_PARAMETER, "Run"),
]


@pytest.fixture(scope="module")
def known(shared_daemon):
    """The id of a session."""
    client = shared_daemon.client
    return client.terminate(client.create("lo", cappoint="VMKNIC"))["sessionid"]


@pytest.mark.parametrize("method, path, code, field", PARAMETERS, ids=[path[:40] for _, path, _, _ in PARAMETERS])
def test_wrong_parameters(client, known, method, path, code, field):
    with pytest.raises(Refused) as refusal:
        client.json(method, path.replace("/session/x", f"/session/{known}"))
    assert (refusal.value.status, refusal.value.code) == (400, code), refusal.value.body
    assert refusal.value.fields()[0][0] == field


def test_the_actions_are_listed(client):
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session/x?action=pause")
    assert all(action in refusal.value.message for action in ("restart", "terminate", "delete"))


# ---- bodies of the wrong kind or size ----

@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/xml",
                                  "multipart/form-data; boundary=x"])
def test_media_type_415(client, kind):
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session", data=b"{}", headers={"Content-Type": kind})
    assert (refusal.value.status, refusal.value.code) == (415, 36301)
    assert "application/json" in refusal.value.message


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
                                  "Application/JSON", None])
def test_media_types_taken(client, shared_wire, kind):
    body = json.dumps({"cappoint": "VNIC", "capvalue": shared_wire.near, "capsource": "CLI", "capamount": 1})
    session = client.json("POST", "/session", data=body.encode(), headers={} if kind is None else {"Content-Type": kind})
    client.terminate(session)


def big_body(size):
    return b'{"name":"' + b"x" * (size - 11) + b'"}'


@pytest.mark.parametrize("size", [65537, 100_000, 5_000_000])
def test_too_large_413(shared_daemon, size):
    """Also for one who sends it all before reading the answer."""
    client = Client(shared_daemon.port)
    try:
        response = client.call("POST", client.prefix + "/session", data=big_body(size))
    except OSError as problem:  # the answer was lost with the connection: only for what fits no socket buffer
        assert size > 1_000_000, problem
        return
    body = check_answer("POST", response)
    assert response.status_code == 413
    assert body["error_code"] == 36300 and body["httpStatus"] == "PAYLOAD_TOO_LARGE"


def test_64_kib_are_not_too_large(client):
    with pytest.raises(Refused) as refusal:
        client.json("POST", "/session", data=big_body(65536))
    assert refusal.value.status == 400 and ("name", OUT_OF_RANGE) in refusal.value.fields()


def test_too_large_chunked_413(shared_daemon):
    client = Client(shared_daemon.port)
    pieces = (big_body(80_000)[at : at + 1000] for at in range(0, 80_000, 1000))
    response = client.call("POST", client.prefix + "/session", data=pieces)
    assert response.status_code == 413
    assert check_answer("POST", response)["error_code"] == 36300


# ---- the wrong moment ----

def test_delete_and_restart_of_a_running_session_are_412(client, shared_wire):
    session = client.started(shared_wire.near, capduration=100)
    for action in ("delete", "restart"):
        with pytest.raises(Refused) as refusal:
            client.act(session, action)
        assert (refusal.value.status, refusal.value.code) == (412, SESSION_RUNNING)
        assert refusal.value.body["httpStatus"] == "PRECONDITION_FAILED"
        assert "terminate" in refusal.value.message
    assert client.get(session)["sessionstatus"] == "STARTED"
    client.terminate(session)


def test_a_refused_request_leaves_no_row(client, shared_wire):
    before = client.list()["result_count"]
    refused(client, shared_wire, {"capduration": -1})
    assert client.list()["result_count"] == before
