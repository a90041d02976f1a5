#include "capture/point_rules.h"

#include "core/session.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <pcap/dlt.h>
#include <string.h>

static bool is_kind(const char *kind, const char *const *kinds)
{
    for (; kind != NULL && *kinds != NULL; kinds++)
        if (strcmp(kind, *kinds) == 0)
            return true;
    return false;
}

/* A device with no link kind is hardware, or what a hypervisor shows as such (virtio). */
static bool is_uplink(struct rtnl_link *link, const struct point_facts *facts)
{
    static const char *const KINDS[] = {"bond", NULL};
    bool loopback = (rtnl_link_get_flags(link) & IFF_LOOPBACK) != 0;

    (void)facts;
    if (rtnl_link_get_type(link) == NULL)
        return !loopback && rtnl_link_get_arptype(link) == ARPHRD_ETHER;
    return is_kind(rtnl_link_get_type(link), KINDS);
}

static bool is_workload_nic(struct rtnl_link *link, const struct point_facts *facts)
{
    static const char *const KINDS[] = {"tun", "veth", "macvlan", "macvtap", "ipvlan", "ipvtap", NULL};

    return facts->named_netns || is_kind(rtnl_link_get_type(link), KINDS);
}

static bool is_host_interface(struct rtnl_link *link, const struct point_facts *facts)
{
    (void)link;
    return facts->has_host_address;
}

static bool is_switch_port(struct rtnl_link *link, const struct point_facts *facts)
{
    static const char *const KINDS[] = {"bridge", "openvswitch", NULL};

    (void)link;
    return is_kind(facts->master_kind, KINDS);
}

static bool is_routing_interface(struct rtnl_link *link, const struct point_facts *facts)
{
    static const char *const KINDS[] = {"bridge", "vlan", "vrf", NULL};

    return facts->has_host_address && is_kind(rtnl_link_get_type(link), KINDS);
}

/* The packet filter sees what any interface carries. */
static bool is_anything(struct rtnl_link *link, const struct point_facts *facts)
{
    (void)link;
    (void)facts;
    return true;
}

static const struct {
    enum cappoint cappoint;
    bool (*is)(struct rtnl_link *link, const struct point_facts *facts);
} RULES[] = {
    {CAPPOINT_VMNIC, is_uplink},
    {CAPPOINT_PNIC, is_uplink},
    {CAPPOINT_FCPORT, is_uplink},
    {CAPPOINT_VNIC, is_workload_nic},
    {CAPPOINT_VIF, is_workload_nic},
    {CAPPOINT_VMKNIC, is_host_interface},
    {CAPPOINT_LOGICALPORT, is_switch_port},
    {CAPPOINT_SEGMENTPORT, is_switch_port},
    {CAPPOINT_VDRPORT, is_routing_interface},
    {CAPPOINT_DVFILTER, is_anything},
};

unsigned point_rules_cappoints(struct rtnl_link *link, const struct point_facts *facts)
{
    unsigned cappoints = 0;

    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        if (RULES[i].is(link, facts))
            cappoints |= 1u << RULES[i].cappoint;
    return cappoints;
}

bool point_rules_is_host_address(struct rtnl_addr *address)
{
    return rtnl_addr_get_family(address) != AF_INET6 || rtnl_addr_get_scope(address) != RT_SCOPE_LINK;
}

int point_rules_linktype(struct rtnl_link *link)
{
    static const struct {
        unsigned arptype;
        int linktype;
    } TYPES[] = {
        /* As libpcap maps them (pcap-linux.c, map_arphrd_to_dlt); what is not here is captured cooked. */
        {ARPHRD_ETHER, DLT_EN10MB}, {ARPHRD_LOOPBACK, DLT_EN10MB}, {ARPHRD_NONE, DLT_RAW},
        {ARPHRD_RAWIP, DLT_RAW},    {ARPHRD_TUNNEL, DLT_RAW},      {ARPHRD_TUNNEL6, DLT_RAW},
        {ARPHRD_SIT, DLT_RAW},      {ARPHRD_IPGRE, DLT_RAW},       {ARPHRD_IP6GRE, DLT_RAW},
    };

    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (TYPES[i].arptype == rtnl_link_get_arptype(link))
            return TYPES[i].linktype;
    return DLT_LINUX_SLL;
}
