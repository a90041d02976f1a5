/* pktcapd: packet capture as a service. The parent process; see supervisor.h, operations.h for what it
 * serves, and console.h for what else its command line does. */
#include "core/config.h"
#include "core/log.h"
#include "service/console.h"
#include "service/supervisor.h"

#include <stdio.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
    static struct config config;
    enum config_outcome outcome;
    struct error error;

    if (console_wants(argc, argv))
        return console_run(argc, argv);
    if (config_load(&config, PROGRAM_PKTCAPD, argc, argv, &outcome, &error) != STATUS_OK) {
        fprintf(stderr, "pktcapd: %s\n", error.message);
        return 2;
    }
    if (outcome == CONFIG_HELP)
        return config_help(PROGRAM_PKTCAPD, stdout), 0;
    if (outcome == CONFIG_VERSION)
        return printf("pktcapd %s\n", PKTCAPD_VERSION) < 0;
    log_open("pktcapd", (enum log_level)config.log_level);
    umask(027);
    return supervise(&config, argv);
}
