#include "capture/filter_words.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* Every number and address may become a hundred instructions, and libpcap's work grows with their square. The
 * length is checked with the request too; counted in bytes it is as good, as libpcap takes no others. */
enum { OPERANDS_MAX = 64, LENGTH_MAX = 1024 };

enum kind {
    KIND_END,
    KIND_MARK, /* an operator, or what libpcap calls a syntax error */
    KIND_KEYWORD,
    KIND_NUMBER,
    KIND_ADDRESS,
    KIND_RANGE, /* 6000-6008 */
    KIND_NAME,  /* what libpcap would look up */
};

struct word {
    enum kind kind;
    const char *text;
    size_t length;
};

/* All of scanner.l but the two words of REFUSED. */
static const char *const KEYWORDS[] = {
    "and", "or", "not", "dst", "src", "host", "net", "mask", "port", "portrange", "proto", "less", "greater",
    "byte", "broadcast", "multicast", "len", "length", "inbound", "outbound", "ifindex",
    /* link layers, and what they carry */
    "link", "ether", "ppp", "slip", "fddi", "tr", "wlan", "arp", "rarp", "ip", "ip6", "sctp", "tcp", "udp",
    "icmp", "icmp6", "igmp", "igrp", "pim", "vrrp", "carp", "ah", "esp", "radio", "atalk", "aarp", "decnet",
    "lat", "sca", "moprc", "mopdl", "iso", "esis", "es-is", "isis", "is-is", "l1", "l2", "iih", "lsp", "snp",
    "csnp", "psnp", "clnp", "stp", "ipx", "netbeui", "vlan", "mpls", "pppoed", "pppoes", "geneve", "llc",
    /* 802.11 */
    "type", "subtype", "direction", "dir", "address1", "addr1", "address2", "addr2", "address3", "addr3",
    "address4", "addr4", "ra", "ta",
    /* ATM, SS7 */
    "lane", "metac", "bcc", "oam", "oamf4", "oamf4ec", "oamf4sc", "sc", "ilmic", "vpi", "vci", "connectmsg",
    "metaconnect", "fisu", "lssu", "lsu", "msu", "hfisu", "hlssu", "hmsu", "sio", "opc", "dpc", "sls", "hsio",
    "hopc", "hdpc", "hsls",
    /* OpenBSD's pf */
    "on", "ifname", "rset", "ruleset", "rnr", "rulenum", "srnr", "subrulenum", "reason", "action",
    /* words that stand for numbers */
    "icmptype", "icmpcode", "icmp-echoreply", "icmp-unreach", "icmp-sourcequench", "icmp-redirect",
    "icmp-echo", "icmp-routeradvert", "icmp-routersolicit", "icmp-timxceed", "icmp-paramprob", "icmp-tstamp",
    "icmp-tstampreply", "icmp-ireq", "icmp-ireqreply", "icmp-maskreq", "icmp-maskreply", "icmp6type",
    "icmp6code", "icmp6-destinationunreach", "icmp6-packettoobig", "icmp6-timeexceeded",
    "icmp6-parameterproblem", "icmp6-echo", "icmp6-echoreply", "icmp6-multicastlistenerquery",
    "icmp6-multicastlistenerreportv1", "icmp6-multicastlistenerdone", "icmp6-routersolicit",
    "icmp6-routeradvert", "icmp6-neighborsolicit", "icmp6-neighboradvert", "icmp6-redirect",
    "icmp6-routerrenum", "icmp6-nodeinformationquery", "icmp6-nodeinformationresponse",
    "icmp6-ineighbordiscoverysolicit", "icmp6-ineighbordiscoveryadvert", "icmp6-multicastlistenerreportv2",
    "icmp6-homeagentdiscoveryrequest", "icmp6-homeagentdiscoveryreply", "icmp6-mobileprefixsolicit",
    "icmp6-mobileprefixadvert", "icmp6-certpathsolicit", "icmp6-certpathadvert",
    "icmp6-multicastrouteradvert", "icmp6-multicastroutersolicit", "icmp6-multicastrouterterm", "tcpflags",
    "tcp-fin", "tcp-syn", "tcp-rst", "tcp-push", "tcp-ack", "tcp-urg", "tcp-ece", "tcp-cwr"};

static const struct {
    const char *word;
    const char *reason;
} REFUSED[] = {
    {"gateway", "it works on names only, and names are not looked up; use ether host and not host instead"},
    {"protochain", "it needs loops, which the kernel does not run in a filter; use proto instead"},
};

/* A name behind one of these comes from libpcap's own tables... */
static const char *const OWN_TABLE[] = {"type",   "subtype", "dir",     "direction", "llc",   "on",
                                        "ifname", "rset",    "ruleset", "reason",    "action"};

/* ... and so does one behind one of these and `proto`. */
static const char *const OWN_PROTO_TABLE[] = {"ether", "link", "ppp", "slip", "fddi", "tr", "wlan", "iso"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const char *const *filter_words_known(size_t *count)
{
    *count = COUNT(KEYWORDS);
    return KEYWORDS;
}

static bool word_is(const struct word *word, const char *text)
{
    return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

static bool word_in(const struct word *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (word_is(word, list[i]))
            return true;
    return false;
}

/* scanner.l's N: decimal digits, or 0x and hexadecimal ones. The length of the number, 0 if there is none. */
static size_t number_length(const char *text)
{
    size_t hexadecimal = 0;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        hexadecimal = strspn(text + 2, "0123456789abcdefABCDEF");
    return hexadecimal > 0 ? hexadecimal + 2 : strspn(text, "0123456789");
}

/* Two to four numbers with dots between them. */
static size_t ipv4_length(const char *text)
{
    size_t length = number_length(text), part = length;

    for (int parts = 1; part > 0; parts++) {
        if (text[length] != '.' || parts == 4)
            return parts > 1 ? length : 0;
        part = number_length(text + length + 1);
        length += 1 + part;
    }
    return 0;
}

/* Groups of hexadecimal digits, at least `digits_min` and at most `digits_max` in each. */
static size_t groups_length(const char *text, int groups, char separator, int digits_min, int digits_max)
{
    size_t length = 0;

    for (int group = 0; group < groups; group++) {
        if (group > 0 && text[length++] != separator)
            return 0;
        int digits = 0;
        while (digits < digits_max && isxdigit((unsigned char)text[length + (size_t)digits]))
            digits++;
        if (digits < digits_min)
            return 0;
        length += (size_t)digits;
    }
    return length;
}

/* The longest IPv6 address that the text begins with. Where libpcap's scanner takes more than inet_pton()
 * does, it goes on to refuse the whole expression as a bogus address. */
static size_t ipv6_length(const char *text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = strspn(text, "0123456789abcdefABCDEF:.");

    if (memchr(text, ':', length) == NULL)
        return 0;
    if (length >= sizeof copy)
        length = sizeof copy - 1;
    for (; length > 1; length--) {
        memcpy(copy, text, length);
        copy[length] = '\0';
        if (inet_pton(AF_INET6, copy, &address) == 1)
            return length;
    }
    return 0;
}

/* scanner.l's ID: letters, digits and -_. between them; the last character is none of - and _ */
static size_t identifier_length(const char *text)
{
    size_t length = 0;

    if (!isalnum((unsigned char)text[0]))
        return 0;
    for (size_t i = 0; isalnum((unsigned char)text[i]) || (text[i] != '\0' && strchr("-_.", text[i])); i++)
        if (text[i] != '-' && text[i] != '_')
            length = i + 1;
    return length;
}

static bool is_mac_without_colons(const struct word *word)
{
    return groups_length(word->text, 6, '-', 1, 2) == word->length ||
           groups_length(word->text, 6, '.', 1, 2) == word->length ||
           groups_length(word->text, 3, '.', 4, 4) == word->length ||
           groups_length(word->text, 1, '.', 12, 12) == word->length;
}

/* Only so many digits as a port can have: libpcap reads them with %d. */
static bool is_range(const struct word *word)
{
    size_t low = strspn(word->text, "0123456789");
    size_t high = word->text[low] == '-' ? strspn(word->text + low + 1, "0123456789") : 0;

    return low <= 5 && high > 0 && high <= 5 && low + 1 + high == word->length;
}

/* What an identifier is. A scanner takes the longest match and, of equally long ones, the first rule; the
 * rule for identifiers is the last that matches any of these. */
static enum kind identifier_kind(const struct word *word)
{
    if (word_in(word, KEYWORDS, COUNT(KEYWORDS)))
        return KIND_KEYWORD;
    if (is_mac_without_colons(word))
        return KIND_ADDRESS;
    if (number_length(word->text) == word->length)
        return KIND_NUMBER;
    if (ipv4_length(word->text) == word->length)
        return KIND_ADDRESS;
    return is_range(word) ? KIND_RANGE : KIND_NAME;
}

static size_t max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The word at the beginning of the text; blanks in front of it are skipped. */
static struct word word_at(const char *text)
{
    text += strspn(text, " \r\n\t");
    struct word word = {KIND_MARK, text, 1};
    size_t identifier = identifier_length(text);
    size_t with_colons = max(groups_length(text, 6, ':', 1, 2), ipv6_length(text));

    if (text[0] == '\0') {
        word.kind = KIND_END;
    } else if (with_colons > identifier) {
        word.kind = KIND_ADDRESS;
        word.length = with_colons;
    } else if (identifier > 0) {
        word.length = identifier;
        word.kind = identifier_kind(&word);
    } else if (text[0] == '\\' && strcspn(text + 1, " !()\n\t") > 0) {
        word.kind = KIND_NAME;
        word.length = 1 + strcspn(text + 1, " !()\n\t");
    } else if (text[0] == '$' && isxdigit((unsigned char)text[1])) {
        word.kind = KIND_ADDRESS; /* ARCnet's */
        word.length = isxdigit((unsigned char)text[2]) ? 3 : 2;
    }
    return word;
}

static bool name_is_from_own_table(const struct word *second_last, const struct word *last)
{
    if (word_is(last, "proto"))
        return word_in(second_last, OWN_PROTO_TABLE, COUNT(OWN_PROTO_TABLE));
    return word_in(last, OWN_TABLE, COUNT(OWN_TABLE));
}

static bool is_shouted_keyword(const struct word *word)
{
    for (size_t i = 0; i < COUNT(KEYWORDS); i++)
        if (strlen(KEYWORDS[i]) == word->length && strncasecmp(KEYWORDS[i], word->text, word->length) == 0)
            return true;
    return false;
}

static enum status refuse_name(const struct word *name, struct error *error)
{
    const char *text = name->text[0] == '\\' ? name->text + 1 : name->text;
    size_t length = name->length - (size_t)(text - name->text);
    int shown = length < 80 ? (int)length : 80;

    if (is_shouted_keyword(name))
        return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                         "capexpression uses the word %.*s; pcap-filter writes it in lower case", shown,
                         text);
    return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                     "capexpression uses the name %.*s; names are not looked up: give the address or number "
                     "instead%s",
                     shown, text,
                     memchr(text, '-', length) == NULL ? "" : " (and put blanks around a minus)");
}

static enum status refuse_range(const struct word *range, struct error *error)
{
    return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                     "capexpression uses the range %.*s; write portrange in front of every range, or blanks "
                     "around a minus",
                     (int)range->length, range->text);
}

/* A name where libpcap would look it up, or one of the words that nobody can use here. */
static enum status check_name(const struct word *name, const struct word *second_last,
                              const struct word *last, struct error *error)
{
    for (size_t i = 0; i < COUNT(REFUSED); i++)
        if (word_is(name, REFUSED[i].word))
            return error_set(error, ERROR_BAD_EXPRESSION, "capexpression", "capexpression uses %s: %s",
                             REFUSED[i].word, REFUSED[i].reason);
    return name_is_from_own_table(second_last, last) ? STATUS_OK : refuse_name(name, error);
}

static enum status check_word(const struct word *word, const struct word *second_last,
                              const struct word *last, struct error *error)
{
    switch (word->kind) {
    case KIND_NAME:
        return check_name(word, second_last, last, error);
    case KIND_RANGE:
        return word_is(last, "portrange") ? STATUS_OK : refuse_range(word, error);
    case KIND_END:
    case KIND_MARK:
    case KIND_KEYWORD:
    case KIND_NUMBER:
    case KIND_ADDRESS:
        break;
    }
    return STATUS_OK;
}

static bool is_operand(const struct word *word)
{
    return word->kind == KIND_NUMBER || word->kind == KIND_ADDRESS || word->kind == KIND_RANGE;
}

enum status filter_words_check(const char *expression, struct error *error)
{
    struct word second_last = {KIND_END, expression, 0}, last = second_last, word = word_at(expression);
    int operands = 0;

    if (strlen(expression) > LENGTH_MAX)
        return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                         "capexpression is longer than %d characters", LENGTH_MAX);
    for (; word.kind != KIND_END; word = word_at(word.text + word.length)) {
        if (check_word(&word, &second_last, &last, error) != STATUS_OK)
            return error->status;
        if (is_operand(&word) && ++operands > OPERANDS_MAX)
            return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                             "capexpression has more than %d numbers and addresses; use prefixes, ranges or "
                             "options",
                             OPERANDS_MAX);
        second_last = last;
        last = word;
    }
    return STATUS_OK;
}
