/* What the values of settings may look like. */
#ifndef PKTCAPD_CORE_CONFIG_TEXT_H
#define PKTCAPD_CORE_CONFIG_TEXT_H

enum key_kind {
    KEY_TEXT,
    KEY_ADDRESS,
    KEY_PORTS,
    KEY_NETWORKS,
    KEY_PATH,
    KEY_HEADER,
    KEY_NUMBER,
    KEY_CHOICE,
    KEY_FLAG
};

/* What a kind of text takes, in words; NULL where the value is such, or may be any text. */
const char *config_text_wanted(enum key_kind kind, const char *value);

#endif
