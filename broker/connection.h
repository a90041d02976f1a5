/* A client's connection, made. Private to broker/. */
#ifndef PKTCAPD_BROKER_CONNECTION_H
#define PKTCAPD_BROKER_CONNECTION_H

#include "broker/broker.h"

/* Takes the socket over, on success. pid is that of the broker if it is our child, else 0. */
MUST_USE enum status broker_make(int socket, pid_t pid, struct broker **broker, struct error *error);

#endif
