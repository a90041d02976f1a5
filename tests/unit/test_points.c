/* Which capture points an interface is, for links made by hand: also those that this kernel cannot make. And
 * places of runs. */
#include "capture/place.h"
#include "capture/point_rules.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <netlink/addr.h>
#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BIT(point) (1u << CAPPOINT_##point)
#define UPLINK     (BIT(VMNIC) | BIT(PNIC) | BIT(FCPORT))
#define WORKLOAD   (BIT(VNIC) | BIT(VIF))
#define PORT       (BIT(LOGICALPORT) | BIT(SEGMENTPORT))
#define EVERY      BIT(DVFILTER)

struct link_case {
    const char *what;
    const char *kind; /* NULL: hardware */
    unsigned arptype, flags;
    struct point_facts facts;
    unsigned cappoints;
};

static const struct link_case CASES[] = {
    {"a NIC", NULL, ARPHRD_ETHER, 0, {0}, UPLINK | EVERY},
    {"a NIC with an address",
     NULL,
     ARPHRD_ETHER,
     0,
     {.has_host_address = true},
     UPLINK | BIT(VMKNIC) | EVERY},
    {"a NIC in a bridge", NULL, ARPHRD_ETHER, 0, {.master_kind = "bridge"}, UPLINK | PORT | EVERY},
    {"a NIC in a bond", NULL, ARPHRD_ETHER, 0, {.master_kind = "bond"}, UPLINK | EVERY},
    {"a NIC moved away", NULL, ARPHRD_ETHER, 0, {.named_netns = true}, UPLINK | WORKLOAD | EVERY},
    {"Infiniband", NULL, ARPHRD_INFINIBAND, 0, {0}, EVERY},
    {"loopback", NULL, ARPHRD_LOOPBACK, IFF_LOOPBACK, {.has_host_address = true}, BIT(VMKNIC) | EVERY},
    {"loopback without address", NULL, ARPHRD_LOOPBACK, IFF_LOOPBACK, {0}, EVERY},
    {"loopback elsewhere", NULL, ARPHRD_LOOPBACK, IFF_LOOPBACK, {.named_netns = true}, WORKLOAD | EVERY},
    {"a bond", "bond", ARPHRD_ETHER, 0, {0}, UPLINK | EVERY},
    {"veth", "veth", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"veth in a bridge", "veth", ARPHRD_ETHER, 0, {.master_kind = "bridge"}, WORKLOAD | PORT | EVERY},
    {"veth in Open vSwitch",
     "veth",
     ARPHRD_ETHER,
     0,
     {.master_kind = "openvswitch"},
     WORKLOAD | PORT | EVERY},
    {"veth in a VRF", "veth", ARPHRD_ETHER, 0, {.master_kind = "vrf"}, WORKLOAD | EVERY},
    {"veth elsewhere",
     "veth",
     ARPHRD_ETHER,
     0,
     {.named_netns = true, .has_host_address = true},
     WORKLOAD | BIT(VMKNIC) | EVERY},
    {"tap", "tun", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"tun", "tun", ARPHRD_NONE, 0, {0}, WORKLOAD | EVERY},
    {"macvlan", "macvlan", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"macvtap", "macvtap", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"ipvlan", "ipvlan", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"ipvtap", "ipvtap", ARPHRD_ETHER, 0, {0}, WORKLOAD | EVERY},
    {"a bridge", "bridge", ARPHRD_ETHER, 0, {0}, EVERY},
    {"a bridge that routes",
     "bridge",
     ARPHRD_ETHER,
     0,
     {.has_host_address = true},
     BIT(VMKNIC) | BIT(VDRPORT) | EVERY},
    {"VLAN", "vlan", ARPHRD_ETHER, 0, {0}, EVERY},
    {"VLAN that routes",
     "vlan",
     ARPHRD_ETHER,
     0,
     {.has_host_address = true},
     BIT(VMKNIC) | BIT(VDRPORT) | EVERY},
    {"VLAN in a bridge", "vlan", ARPHRD_ETHER, 0, {.master_kind = "bridge"}, PORT | EVERY},
    {"VRF", "vrf", ARPHRD_ETHER, 0, {0}, EVERY},
    {"VRF that routes",
     "vrf",
     ARPHRD_ETHER,
     0,
     {.has_host_address = true},
     BIT(VMKNIC) | BIT(VDRPORT) | EVERY},
    {"a bridge that routes elsewhere",
     "bridge",
     ARPHRD_ETHER,
     0,
     {.named_netns = true, .has_host_address = true},
     WORKLOAD | BIT(VMKNIC) | BIT(VDRPORT) | EVERY},
    {"dummy", "dummy", ARPHRD_ETHER, 0, {0}, EVERY},
    {"a kind that starts like another", "vet", ARPHRD_ETHER, 0, {0}, EVERY},
    {"VXLAN", "vxlan", ARPHRD_ETHER, 0, {.master_kind = "bridge"}, PORT | EVERY},
};

static struct rtnl_link *link_make(const struct link_case *one)
{
    struct rtnl_link *link = rtnl_link_alloc();

    assert_non_null(link);
    rtnl_link_set_arptype(link, one->arptype);
    rtnl_link_set_flags(link, one->flags);
    /* libnl takes any name as a kind. */
    if (one->kind != NULL)
        assert_int_equal(rtnl_link_set_type(link, one->kind), 0);
    return link;
}

static void every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct rtnl_link *link = link_make(&CASES[i]);
        unsigned got = point_rules_cappoints(link, &CASES[i].facts);
        if (got != CASES[i].cappoints)
            fail_msg("%s: %#x, not %#x", CASES[i].what, got, CASES[i].cappoints);
        rtnl_link_put(link);
    }
}

static void every_point_has_a_case(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        seen |= CASES[i].cappoints;
    for (size_t cappoint = 1; cappoint < cappoint_names.count; cappoint++)
        assert_true(seen & 1u << cappoint);
}

static bool is_host_address(const char *text, int scope)
{
    struct rtnl_addr *address = rtnl_addr_alloc();
    struct nl_addr *local = NULL;

    assert_int_equal(nl_addr_parse(text, AF_UNSPEC, &local), 0);
    assert_int_equal(rtnl_addr_set_local(address, local), 0);
    rtnl_addr_set_scope(address, scope);
    bool is = point_rules_is_host_address(address);
    nl_addr_put(local);
    rtnl_addr_put(address);
    return is;
}

static void link_local_addresses_do_not_count(void **state)
{
    (void)state;
    assert_true(is_host_address("10.0.0.1/24", RT_SCOPE_UNIVERSE));
    assert_true(is_host_address("127.0.0.1/8", RT_SCOPE_HOST));
    assert_true(is_host_address("169.254.1.1/16", RT_SCOPE_LINK));
    assert_true(is_host_address("2001:db8::1/64", RT_SCOPE_UNIVERSE));
    assert_true(is_host_address("::1/128", RT_SCOPE_HOST));
    assert_false(is_host_address("fe80::1/64", RT_SCOPE_LINK));
}

static void linktypes(void **state)
{
    static const struct {
        unsigned arptype;
        int linktype;
    } TYPES[] = {{ARPHRD_ETHER, DLT_EN10MB},  {ARPHRD_LOOPBACK, DLT_EN10MB},
                 {ARPHRD_NONE, DLT_RAW},      {ARPHRD_IPGRE, DLT_RAW},
                 {ARPHRD_PPP, DLT_LINUX_SLL}, {ARPHRD_INFINIBAND, DLT_LINUX_SLL}};

    (void)state;
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        const struct link_case one = {.kind = "dummy", .arptype = TYPES[i].arptype};
        struct rtnl_link *link = link_make(&one);
        assert_int_equal(point_rules_linktype(link), TYPES[i].linktype);
        rtnl_link_put(link);
    }
}

static void values(void **state)
{
    struct point point = {.name = "eth0"};
    char text[POINT_VALUE_SIZE];

    (void)state;
    assert_string_equal(point_value(&point, text), "eth0");
    snprintf(point.netns, sizeof point.netns, "blue");
    assert_string_equal(point_value(&point, text), "blue/eth0");
    memset(point.netns, 'n', sizeof point.netns - 1);
    snprintf(point.name, sizeof point.name, "%s", "fifteen-letters");
    assert_int_equal(strlen(point_value(&point, text)), NETNS_NAME_SIZE - 1 + 1 + 15);
}

static const char BOOT[] = "2a9b1a44-5a4f-4b0c-8f80-6f9f2ab0cc11",
                  LATER[] = "3a9b1a44-5a4f-4b0c-8f80-6f9f2ab0cc11";

static void places(void **state)
{
    struct point point = {.name = "eth0", .netns = "blue", .cookie = UINT64_MAX}, other = point;
    char place[PLACE_SIZE];

    (void)state;
    other.cookie--;
    place_of(&point, BOOT, place);
    assert_string_equal(place, "2a9b1a44-5a4f-4b0c-8f80-6f9f2ab0cc11/18446744073709551615");
    assert_false(place_has_changed(place, &point, BOOT));
    assert_true(place_has_changed(place, &other, BOOT));
    /* After a new start of the host names are all there is. */
    assert_false(place_has_changed(place, &other, LATER));
    /* Nor can it be told where there is no boot id, or where nothing was stored. */
    assert_false(place_has_changed(place, &other, ""));
    assert_false(place_has_changed("", &other, BOOT));
    place_of(&point, "", place);
    assert_string_equal(place, "");
    point.netns[0] = '\0';
    place_of(&point, BOOT, place);
    assert_string_equal(place, "");
}

static void boot_id(void **state)
{
    char first[BOOT_ID_SIZE], second[BOOT_ID_SIZE];

    (void)state;
    place_read_boot_id(first);
    place_read_boot_id(second);
    assert_string_equal(first, second);
    assert_true(strlen(first) == BOOT_ID_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(every_point_has_a_case),
        cmocka_unit_test(link_local_addresses_do_not_count),
        cmocka_unit_test(linktypes),
        cmocka_unit_test(values),
        cmocka_unit_test(places),
        cmocka_unit_test(boot_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
