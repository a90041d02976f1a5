#include "capture/filter_link.h"

#include <netinet/if_ether.h>
#include <pcap/pcap.h>

enum { TAG_LENGTH = 4, TAGS_DEEP = 2 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct filter_link LINKS[] = {
    {DLT_EN10MB, .has_type = true, .has_tags = true, .has_tunnels = true, .type = 12, .length = 14},
    {DLT_LINUX_SLL, .has_type = true, .type = 14, .length = 16},
    {DLT_RAW, .has_tunnels = true, .length = 0},
};

/* Those that libpcap's `vlan` knows. */
static const uint32_t TAG_TYPES[] = {0x8100, 0x88a8, 0x9100};

const struct filter_link *filter_link(int linktype)
{
    for (size_t i = 0; i < COUNT(LINKS); i++)
        if (LINKS[i].linktype == linktype)
            return &LINKS[i];
    return NULL;
}

/* Loads behind the end of a packet would reject it, whatever they were for. */
static void write_length_check(struct bpf_code *code, uint32_t length, size_t too_short)
{
    bpf_code_add(code, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_code_jump(code, BPF_JGE | BPF_K, length, BPF_CODE_NEXT, too_short);
}

/* The type behind so many tags. Where there may be one more, jumps to `tagged`. */
static void write_type_test(const struct filter_link *link, struct bpf_code *code, uint32_t tags,
                            const struct filter_ways *found, size_t tagged)
{
    write_length_check(code, link->length + tags * TAG_LENGTH, found->other);
    bpf_code_add(code, BPF_LDX | BPF_W | BPF_IMM, tags * TAG_LENGTH);
    bpf_code_add(code, BPF_LD | BPF_H | BPF_ABS, link->type + tags * TAG_LENGTH);
    bpf_code_jump(code, BPF_JEQ | BPF_K, ETHERTYPE_IP, found->ipv4, BPF_CODE_NEXT);
    bpf_code_jump(code, BPF_JEQ | BPF_K, ETHERTYPE_IPV6, found->ipv6, BPF_CODE_NEXT);
    for (size_t i = 0; i < COUNT(TAG_TYPES) && tagged != found->other; i++)
        bpf_code_jump(code, BPF_JEQ | BPF_K, TAG_TYPES[i], tagged, BPF_CODE_NEXT);
    bpf_code_go(code, found->other);
}

static void write_types_test(const struct filter_link *link, struct bpf_code *code,
                             const struct filter_ways *found)
{
    uint32_t deep = link->has_tags ? TAGS_DEEP : 0;

    for (uint32_t tags = 0; tags <= deep; tags++) {
        size_t tagged = tags < deep ? bpf_code_label(code) : found->other;
        write_type_test(link, code, tags, found, tagged);
        if (tags < deep)
            bpf_code_place(code, tagged);
    }
}

static void write_version_test(struct bpf_code *code, const struct filter_ways *found)
{
    write_length_check(code, 1, found->other);
    bpf_code_add(code, BPF_LDX | BPF_W | BPF_IMM, 0);
    bpf_code_add(code, BPF_LD | BPF_B | BPF_ABS, 0);
    bpf_code_add(code, BPF_ALU | BPF_AND | BPF_K, 0xf0);
    bpf_code_jump(code, BPF_JEQ | BPF_K, 0x40, found->ipv4, BPF_CODE_NEXT);
    bpf_code_jump(code, BPF_JEQ | BPF_K, 0x60, found->ipv6, found->other);
}

/* The header must be there wholly. */
static void write_arrival(struct bpf_code *code, size_t from, uint32_t length, size_t to, size_t other)
{
    bpf_code_place(code, from);
    bpf_code_add(code, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_code_add(code, BPF_ALU | BPF_SUB | BPF_X, 0);
    bpf_code_jump(code, BPF_JGE | BPF_K, length, to, other);
}

void filter_link_write(const struct filter_link *link, struct bpf_code *code, const struct filter_ways *ways)
{
    struct filter_ways found = {bpf_code_label(code), bpf_code_label(code), ways->other};

    if (link->has_type)
        write_types_test(link, code, &found);
    else
        write_version_test(code, &found);
    write_arrival(code, found.ipv4, link->length + IPV4_LENGTH, ways->ipv4, ways->other);
    write_arrival(code, found.ipv6, link->length + IPV6_LENGTH, ways->ipv6, ways->other);
}

void filter_link_write_ipv4_end(const struct filter_link *link, struct bpf_code *code)
{
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, link->length);
    bpf_code_add(code, BPF_ALU | BPF_AND | BPF_K, 0xf);
    bpf_code_add(code, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_code_add(code, BPF_ALU | BPF_ADD | BPF_X, 0);
}
