#include "capture/filter_tunnel.h"

#include <netinet/in.h>
#include <pcap/pcap.h>

enum {
    PORT_VXLAN = 4789,
    PORT_VXLAN_BEFORE = 8472, /* what Linux took before there was a number, and Flannel still does */
    PORT_GENEVE = 6081,
    UDP_LENGTH = 8,
    TUNNEL_LENGTH = 8,   /* of both headers, without options */
    VXLAN_HAS_ID = 0x08, /* the I flag */
    GENEVE_VERSION = 0xc0,
    GENEVE_OPTIONS = 0x3f, /* their length, in words */
    GENEVE_ETHERNET = 0x6558,
};

const char filter_tunnel_words[] = "VXLAN (udp dst port 4789 or 8472) or Geneve (udp dst port 6081)";

/* The scratch words get something at once, as no path of the program may leave them unset. */
static void write_scratch(struct bpf_code *code)
{
    bpf_code_add(code, BPF_LD | BPF_W | BPF_IMM, 0);
    for (unsigned word = 0; word < BPF_MEMWORDS; word++)
        if (FILTER_TUNNEL_WORDS & 1U << word)
            bpf_code_add(code, BPF_ST, word);
}

/* On from an IPv4 header to its UDP header: the length of everything between it and the link's header in X.
 */
static void write_ipv4(const struct filter_link *link, struct bpf_code *code, size_t udp, size_t no)
{
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, link->length + 9);
    bpf_code_jump(code, BPF_JEQ | BPF_K, IPPROTO_UDP, BPF_CODE_NEXT, no);
    bpf_code_add(code, BPF_LD | BPF_H | BPF_IND, link->length + 6);
    bpf_code_jump(code, BPF_JSET | BPF_K, 0x1fff, no, BPF_CODE_NEXT);
    filter_link_write_ipv4_end(link, code);
    bpf_code_add(code, BPF_MISC | BPF_TAX, 0);
    bpf_code_go(code, udp);
}

static void write_ipv6(const struct filter_link *link, struct bpf_code *code, size_t no)
{
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, link->length + 6);
    bpf_code_jump(code, BPF_JEQ | BPF_K, IPPROTO_UDP, BPF_CODE_NEXT, no);
    bpf_code_add(code, BPF_MISC | BPF_TXA, 0);
    bpf_code_add(code, BPF_ALU | BPF_ADD | BPF_K, IPV6_LENGTH);
    bpf_code_add(code, BPF_MISC | BPF_TAX, 0);
}

/* The id stands in the same place in both. */
static void write_id(struct bpf_code *code, uint32_t header)
{
    bpf_code_add(code, BPF_LD | BPF_W | BPF_IND, header + 4);
    bpf_code_add(code, BPF_ALU | BPF_RSH | BPF_K, 8);
    bpf_code_add(code, BPF_ST, FILTER_TUNNEL_VNI);
}

static void write_vxlan(struct bpf_code *code, uint32_t header, size_t no)
{
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, header);
    bpf_code_jump(code, BPF_JSET | BPF_K, VXLAN_HAS_ID, BPF_CODE_NEXT, no);
    write_id(code, header);
    bpf_code_add(code, BPF_MISC | BPF_TXA, 0);
}

static void write_geneve(struct bpf_code *code, uint32_t header, size_t no)
{
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, header);
    bpf_code_jump(code, BPF_JSET | BPF_K, GENEVE_VERSION, no, BPF_CODE_NEXT);
    bpf_code_add(code, BPF_LD | BPF_H | BPF_IND, header + 2);
    bpf_code_jump(code, BPF_JEQ | BPF_K, GENEVE_ETHERNET, BPF_CODE_NEXT, no);
    write_id(code, header);
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, header);
    bpf_code_add(code, BPF_ALU | BPF_AND | BPF_K, GENEVE_OPTIONS);
    bpf_code_add(code, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_code_add(code, BPF_ALU | BPF_ADD | BPF_X, 0);
}

/* From a UDP header at X + link->length. */
static void write_udp(const struct filter_link *link, struct bpf_code *code, size_t no)
{
    uint32_t header = link->length + UDP_LENGTH;
    size_t vxlan = bpf_code_label(code), end = bpf_code_label(code);

    bpf_code_add(code, BPF_LD | BPF_H | BPF_IND, link->length + 2);
    bpf_code_jump(code, BPF_JEQ | BPF_K, PORT_VXLAN, vxlan, BPF_CODE_NEXT);
    bpf_code_jump(code, BPF_JEQ | BPF_K, PORT_VXLAN_BEFORE, vxlan, BPF_CODE_NEXT);
    bpf_code_jump(code, BPF_JEQ | BPF_K, PORT_GENEVE, BPF_CODE_NEXT, no);
    write_geneve(code, header, no);
    bpf_code_go(code, end);
    bpf_code_place(code, vxlan);
    write_vxlan(code, header, no);
    bpf_code_place(code, end);
    bpf_code_add(code, BPF_ALU | BPF_ADD | BPF_K, header + TUNNEL_LENGTH);
    bpf_code_add(code, BPF_ST, BPF_SHIFT_BASE);
    bpf_code_add(code, BPF_RET | BPF_K, 1);
}

void filter_tunnel_write(const struct filter_link *link, struct bpf_code *code)
{
    size_t udp = bpf_code_label(code), no = bpf_code_label(code);
    const struct filter_ways ways = {bpf_code_label(code), bpf_code_label(code), no};

    write_scratch(code);
    filter_link_write(link, code, &ways);
    bpf_code_place(code, ways.ipv4);
    write_ipv4(link, code, udp, no);
    bpf_code_place(code, ways.ipv6);
    write_ipv6(link, code, no);
    bpf_code_place(code, udp);
    write_udp(link, code, no);
    bpf_code_place(code, no);
    bpf_code_add(code, BPF_RET | BPF_K, 0);
}

void filter_tunnel_write_ids(struct bpf_code *code, const uint32_t *ids, size_t count)
{
    size_t yes = bpf_code_label(code);

    bpf_code_add(code, BPF_LD | BPF_MEM, FILTER_TUNNEL_VNI);
    for (size_t i = 0; i < count; i++)
        bpf_code_jump(code, BPF_JEQ | BPF_K, ids[i], yes, BPF_CODE_NEXT);
    bpf_code_add(code, BPF_RET | BPF_K, 0);
    bpf_code_place(code, yes);
    bpf_code_add(code, BPF_RET | BPF_K, 1);
}
