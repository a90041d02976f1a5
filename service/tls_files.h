/*
 * The certificate and its key, from the parent to the front end: the parent may open them, wherever they lie
 * and whoever may read them, but parses nothing; the front end parses them, but cannot open anything outside
 * of the data directory. So they travel as open files.
 */
#ifndef PKTCAPD_SERVICE_TLS_FILES_H
#define PKTCAPD_SERVICE_TLS_FILES_H

#include "core/config.h"
#include "http/tls.h"

/* The parent's end sends, the front end's receives. False fills errno. */
MUST_USE bool tls_files_channel(int ends[2]);

/* Opens the files of the settings and sends them. Fails with ERROR_HOST, naming the file. */
MUST_USE enum status tls_files_send(const struct config *config, int channel, struct error *error);

/* Takes the files that were sent, and makes of them what the server needs. Waits if nothing was sent. */
MUST_USE enum status tls_files_receive(const struct config *config, int channel, struct tls **tls,
                                       struct error *error);

#endif
