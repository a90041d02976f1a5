#include "broker/log_socket.h"

#include "host/privileges.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* The low groups are what people give to their own loggers. */
    GROUP_FIRST = 0x8000,
    GROUP_ATTEMPTS = 64,
    PAYLOAD_MAX = 0xffff - (int)sizeof(struct nlattr), /* the kernel's own bound */
    ANSWER_WAIT_S = 2,
};

static enum status failed(const char *what, int problem, struct error *error)
{
    if (problem == EPERM || problem == EACCES)
        return error_set(error, ERROR_NO_PRIVILEGE, NULL,
                         "cannot %s: pktcap-worker lacks the capability CAP_NET_ADMIN", what);
    return error_set(error, ERROR_HOST, NULL, "cannot %s: %s", what, strerror(problem));
}

/* ---- talking to nfnetlink_log ---- */

struct message {
    struct nlmsghdr header;
    struct nfgenmsg about;
    char attributes[64];
};

static void put(struct message *message, uint16_t type, const void *value, uint16_t size)
{
    struct nlattr attribute = {.nla_len = (uint16_t)(sizeof(struct nlattr) + size), .nla_type = type};
    char *at = (char *)message + message->header.nlmsg_len;

    memcpy(at, &attribute, sizeof attribute);
    memcpy(at + sizeof attribute, value, size);
    message->header.nlmsg_len += (uint32_t)NLMSG_ALIGN(attribute.nla_len);
}

/* Each message holds one packet, so that each loss is one packet. */
static void binding(struct message *message, uint16_t group, uint32_t snaplen)
{
    struct nfulnl_msg_config_cmd command = {NFULNL_CFG_CMD_BIND};
    struct nfulnl_msg_config_mode mode = {
        .copy_range = htonl(snaplen < PAYLOAD_MAX ? snaplen : PAYLOAD_MAX),
        .copy_mode = NFULNL_COPY_PACKET,
    };
    uint32_t one = htonl(1);

    *message = (struct message){
        .header = {.nlmsg_len = NLMSG_SPACE(sizeof(struct nfgenmsg)),
                   .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                   .nlmsg_seq = group},
        .about = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group)},
    };
    put(message, NFULA_CFG_CMD, &command, sizeof command);
    put(message, NFULA_CFG_MODE, &mode, sizeof mode);
    put(message, NFULA_CFG_QTHRESH, &one, sizeof one);
}

/* The errno that the kernel answers with. Packets that somebody logs to the group may come before it. */
static int answer(int fd, uint32_t sequence)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } got;

    for (;;) {
        ssize_t size = recv(fd, &got, sizeof got, 0);
        if (size < 0 && errno != EINTR)
            return errno;
        if (size >= (ssize_t)sizeof got && got.header.nlmsg_type == NLMSG_ERROR &&
            got.header.nlmsg_seq == sequence)
            return -got.error.error;
    }
}

static int try_group(int fd, uint16_t group, uint32_t snaplen)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct message message;

    binding(&message, group, snaplen);
    if (sendto(fd, &message, message.header.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        return errno;
    return answer(fd, group);
}

/* A group has one listener: to anybody else the kernel says EBUSY, or EPERM as to those who may not at all.
 */
static enum status bind_group(int fd, uint32_t snaplen, uint16_t *group, struct error *error)
{
    int problem = EBUSY;
    uint16_t chosen = 0;

    for (int i = 0; i < GROUP_ATTEMPTS && (problem == EBUSY || problem == EPERM); i++) {
        if (getrandom(&chosen, sizeof chosen, 0) != sizeof chosen)
            return failed("choose a log group", errno, error);
        chosen |= GROUP_FIRST;
        problem = try_group(fd, chosen, snaplen);
    }
    if (problem != 0)
        return failed("listen to what the packet filter logs", problem, error);
    *group = chosen;
    return STATUS_OK;
}

/* ---- the socket ---- */

static int set(int fd, int level, int option, const void *value, socklen_t size)
{
    return setsockopt(fd, level, option, value, size) == 0 ? 0 : errno;
}

static enum status prepare(int fd, uint32_t buffer_mb, struct error *error)
{
    /* The kernel takes twice what it is told, for its own share of the memory. */
    uint64_t bytes = (uint64_t)buffer_mb << 19;
    int room = bytes < INT_MAX / 2 ? (int)bytes : INT_MAX / 2, on = 1;
    struct timeval patience = {.tv_sec = ANSWER_WAIT_S};
    int problem = set(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);

    if (problem == EPERM) /* of another user namespace: what anybody gets must do */
        problem = set(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    /* Without it a loss would stop the log until the reader has caught up, and more would be lost. */
    if (problem == 0)
        problem = set(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    if (problem == 0)
        problem = set(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return problem == 0 ? STATUS_OK : failed("prepare the socket of the packet filter's log", problem, error);
}

enum status log_socket_open(uint32_t snaplen, uint32_t buffer_mb, int *out, uint16_t *group,
                            struct error *error)
{
    if (!privileges_have(CAP_NET_ADMIN))
        return failed("look into the packet filter", EPERM, error);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0)
        return failed("reach the packet filter", errno, error);
    enum status status = prepare(fd, buffer_mb, error);
    if (status == STATUS_OK)
        status = bind_group(fd, snaplen, group, error);
    if (status == STATUS_OK)
        *out = fd;
    else
        close(fd);
    return status;
}

bool log_socket_usable(void)
{
    struct error ignored;
    uint16_t group;
    int fd;

    if (log_socket_open(1, 1, &fd, &group, &ignored) != STATUS_OK)
        return false;
    close(fd);
    return true;
}
