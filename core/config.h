/*
 * The configuration: one table of keys (config.c) is the truth for the file, the environment, the
 * command line and --help. Flags beat the environment (PKTCAPD_<KEY>), which beats the file.
 */
#ifndef PKTCAPD_CORE_CONFIG_H
#define PKTCAPD_CORE_CONFIG_H

#include "core/error.h"

#include <stdint.h>
#include <stdio.h>

enum worker_mode { WORKER_SPAWN, WORKER_EXTERNAL };

/* Which headers trusted proxies set. */
enum forwarded { FORWARDED_AUTO, FORWARDED_X, FORWARDED_RFC7239 };

/* Which of the two programs reads the configuration: --help shows each its own keys, and a program
 * accepts the other's, as both may share one file and one environment. */
enum program { PROGRAM_PKTCAPD = 1, PROGRAM_WORKER = 2 };

struct config {
    char listen[128];
    char data_dir[1024];
    char config_file[1024];
    int64_t worker; /* enum worker_mode */
    char user[64];
    char node_name[128];
    int64_t log_level; /* enum log_level */
    int64_t default_duration;
    int64_t max_duration;
    int64_t max_packets;
    int64_t max_filesize;
    int64_t max_snaplen;
    int64_t max_captures;
    int64_t ring_mb;
    int64_t poll_interval;
    int64_t disk_reserve_mb;
    int64_t http_threads;
    int64_t max_connections;
    int64_t max_connections_per_address; /* 0: no limit */
    int64_t max_header_kb;               /* KiB */
    int64_t request_timeout;             /* seconds, and so are these: */
    int64_t keepalive_timeout;
    int64_t send_timeout;
    char tls_certificate[1024]; /* PEM file; empty: plain HTTP */
    char tls_key[1024];
    int64_t tls_min_version;    /* enum tls_version of http/tls.h: 1.2, 1.3 */
    char netns_dirs[1024];      /* separated by colons */
    int64_t firewall;           /* a truth value */
    char api_ports[128];        /* separated by commas */
    char trusted_proxies[1024]; /* networks, separated by commas */
    int64_t forwarded;          /* enum forwarded */
    char user_header[64];
    char groups_header[64];
    char group_roles[1024]; /* GROUP:ROLE, separated by commas */
    char path_prefix[256];
    int64_t login_idle;     /* seconds */
    int64_t login_lifetime; /* seconds */
    int64_t supervised;     /* started by pktcapd: end when standard input closes */
};

enum config_outcome { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION };

/* Reads the command line, the environment and the file that they name. *outcome says whether --help or
 * --version was asked for. Fails with ERROR_BAD_PARAMETER naming the key, the value and what would be right.
 */
MUST_USE enum status config_load(struct config *config, enum program program, int argc, char **argv,
                                 enum config_outcome *outcome, struct error *error);

/* Writes usage and the table of keys with defaults and ranges. */
void config_help(enum program program, FILE *out);

#endif
