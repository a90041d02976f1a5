#include "core/session.h"

NAMES_DEFINE(, cappoint_names, [CAPPOINT_VNIC] = "VNIC", [CAPPOINT_VMKNIC] = "VMKNIC",
             [CAPPOINT_VMNIC] = "VMNIC", [CAPPOINT_PNIC] = "PNIC", [CAPPOINT_VIF] = "VIF",
             [CAPPOINT_FCPORT] = "FCPORT", [CAPPOINT_VDRPORT] = "VDRPORT", [CAPPOINT_DVFILTER] = "DVFILTER",
             [CAPPOINT_LOGICALPORT] = "LOGICALPORT", [CAPPOINT_SEGMENTPORT] = "SEGMENTPORT");

NAMES_DEFINE(, capsource_names, [CAPSOURCE_CLI] = "CLI", [CAPSOURCE_UI] = "UI");

NAMES_DEFINE(
    , direction_names, [DIRECTION_INPUT] = "INPUT", [DIRECTION_OUTPUT] = "OUTPUT", [DIRECTION_DUAL] = "DUAL");

NAMES_DEFINE(, filtertype_names, [FILTERTYPE_PRE] = "PRE", [FILTERTYPE_POST] = "POST");

NAMES_DEFINE(, capmode_names, [CAPMODE_STANDALONE] = "STANDALONE", [CAPMODE_STREAM] = "STREAM");

NAMES_DEFINE(, capformat_names, [CAPFORMAT_PCAP] = "PCAP", [CAPFORMAT_PCAPNG] = "PCAPNG");

NAMES_DEFINE(, option_names, [OPTION_ETHTYPE] = "ETHTYPE", [OPTION_MAC] = "MAC", [OPTION_SRCMAC] = "SRCMAC",
             [OPTION_DSTMAC] = "DSTMAC", [OPTION_VLAN] = "VLAN", [OPTION_IP] = "IP", [OPTION_SRCIP] = "SRCIP",
             [OPTION_DSTIP] = "DSTIP", [OPTION_IPPROTO] = "IPPROTO", [OPTION_PORT] = "PORT",
             [OPTION_SRCPORT] = "SRCPORT", [OPTION_DSTPORT] = "DSTPORT", [OPTION_UDPPORT] = "UDPPORT",
             [OPTION_SRCUDPPORT] = "SRCUDPPORT", [OPTION_DSTUDPPORT] = "DSTUDPPORT", [OPTION_IP6] = "IP6",
             [OPTION_SRCIP6] = "SRCIP6", [OPTION_DSTIP6] = "DSTIP6", [OPTION_IPPROTO6] = "IPPROTO6",
             [OPTION_VNI] = "VNI", [OPTION_INNER] = "INNER");

NAMES_DEFINE(, session_state_names, [STATE_CREATED] = "CREATED", [STATE_STARTED] = "STARTED",
             [STATE_STOPPED] = "STOPPED", [STATE_FINISHED] = "FINISHED", [STATE_ERROR] = "ERROR");

NAMES_DEFINE(, share_kind_names, [SHARE_USER] = "user", [SHARE_GROUP] = "group");

NAMES_DEFINE(, stop_reason_names, [STOP_DURATION] = "DURATION", [STOP_PACKET_COUNT] = "PACKET_COUNT",
             [STOP_FILE_SIZE] = "FILE_SIZE", [STOP_TERMINATED] = "TERMINATED", [STOP_DISK_LOW] = "DISK_LOW",
             [STOP_INTERFACE_GONE] = "INTERFACE_GONE", [STOP_PERMISSION] = "PERMISSION",
             [STOP_STREAM_UNREACHABLE] = "STREAM_UNREACHABLE", [STOP_WORKER_LOST] = "WORKER_LOST",
             [STOP_INTERNAL] = "INTERNAL", [STOP_QUOTA] = "QUOTA");

/* A failure to open the capture point ends a run that never started: CREATED -> ERROR. One that a quota
 * leaves no room for a file is at its limit before it starts: CREATED -> FINISHED. */
static const bool MOVES[][STATE_ERROR + 1] = {
    [STATE_CREATED] =
        {[STATE_STARTED] = true, [STATE_STOPPED] = true, [STATE_FINISHED] = true, [STATE_ERROR] = true},
    [STATE_STARTED] = {[STATE_STOPPED] = true, [STATE_FINISHED] = true, [STATE_ERROR] = true},
    [STATE_STOPPED] = {[STATE_CREATED] = true},
    [STATE_FINISHED] = {[STATE_CREATED] = true},
    [STATE_ERROR] = {[STATE_CREATED] = true},
};

bool session_state_may_become(enum session_state from, enum session_state to)
{
    return MOVES[from][to];
}

bool session_state_has_ended(enum session_state state)
{
    return session_state_may_become(state, STATE_CREATED);
}
