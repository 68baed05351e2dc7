/*
 * Causes: one table of NOTIFICATION codes with the words that daemons have for them. No state.
 */
#include "cause.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* `words`: how BIRD 2 and OpenBGPD 7 call it, in lower case, divided by "|"; NULL: only its name. */
struct cause_row {
    unsigned code, subcode;
    const char *name;
    const char *words;
};

static const struct cause_row CAUSES[] = {
    {1, 0, "MessageHeader/Unspecific", "invalid message header|error in message header"},
    {1, 1, "MessageHeader/ConnectionNotSynchronized", "connection not synchronized|not synchronized"},
    {1, 2, "MessageHeader/BadMessageLength", "bad message length"},
    {1, 3, "MessageHeader/BadMessageType", "bad message type"},
    {2, 0, "OpenMessage/Unspecific", "invalid open message"},
    {2, 1, "OpenMessage/UnsupportedVersion", "unsupported version number|version mismatch"},
    {2, 2, "OpenMessage/BadPeerAS", "bad peer as|as unacceptable"},
    {2, 3, "OpenMessage/BadBGPIdentifier", "bad bgp identifier|bgpid invalid"},
    {2, 4, "OpenMessage/UnsupportedOptionalParameter",
     "unsupported optional parameter|optional parameter error"},
    {2, 6, "OpenMessage/UnacceptableHoldTime", "unacceptable hold time|unacceptable holdtime"},
    {2, 7, "OpenMessage/UnsupportedCapability",
     "required capability missing|unsupported capability|unsupported capabilities"},
    {2, 11, "OpenMessage/RoleMismatch", "role mismatch"},
    {3, 0, "UpdateMessage/Unspecific", "invalid update message|error in update message"},
    {3, 1, "UpdateMessage/MalformedAttributeList", "malformed attribute list|attribute list error"},
    {3, 2, "UpdateMessage/UnrecognizedAttribute",
     "unrecognized well-known attribute|unknown well-known attribute"},
    {3, 3, "UpdateMessage/MissingAttribute", "missing mandatory attribute|missing well-known attribute"},
    {3, 11, "UpdateMessage/MalformedASPath", "malformed as_path|malformed as path|as-path attribute error"},
    {4, 0, "HoldTimerExpired", "hold timer expired|holdtime expired"},
    {5, 0, "FiniteStateMachine", "finite state machine error|fsm error|error in finite state machine"},
    {6, 1, "Cease/MaximumPrefixes",
     "maximum number of prefixes reached|max prefixes exceeded|received max prefixes"},
    {6, 2, "Cease/AdministrativeShutdown",
     "administrative shutdown|administratively down|administratively shutdown"},
    {6, 3, "Cease/PeerDeconfigured", "peer de-configured|peer deconfigured|peer unconfigured"},
    {6, 4, "Cease/AdministrativeReset", "administrative reset|administratively reset"},
    {6, 5, "Cease/ConnectionRejected", "connection rejected"},
    {6, 6, "Cease/OtherConfigurationChange", "other configuration change"},
    {6, 7, "Cease/ConnectionCollision", "connection collision resolution|collision"},
    {6, 8, "Cease/OutOfResources", "out of resources|resource exhaustion"},
    {6, 9, "Cease/HardReset", "hard reset"},
    {6, 10, "Cease/BFDDown", "bfd down|bfd session down"},
    {6, 0, "Cease", "cease"},
    /* What ends or prevents a connection before anything is said on it. */
    {0, 1, "Socket/ConnectionRefused", "connection refused"},
    {0, 2, "Socket/ConnectionReset", "connection reset by peer"},
    {0, 3, "Socket/NoRouteToHost", "no route to host"},
    {0, 4, "Socket/NetworkUnreachable", "network is unreachable"},
    {0, 5, "Socket/TimedOut", "connection timed out"},
    {0, 6, "Socket/ConnectionClosed", "connection closed"},
    {0, 7, "Socket/AddressNotAvailable", "cannot assign requested address"},
    {0, 8, "Local/PasswordNotUsable", "kernel md5 auth failed"},
    {0, 9, "Local/NextHopUnreachable", "waiting for nht|next hop unreachable|no valid next hop"},
    {0, 10, "Local/LinkDown", "link down|interface down"},
};
#define CAUSE_COUNT (sizeof(CAUSES) / sizeof(CAUSES[0]))

static void cause_set(struct session *session, const char *name, bool remote) {
    snprintf(session->cause, sizeof(session->cause), "%s", name);
    session->cause_is_remote = remote;
}

static bool cause_contains(const char *text, size_t len, const char *word, size_t word_len) {
    for (size_t i = 0; i + word_len <= len; i++) {
        if (strncasecmp(text + i, word, word_len) == 0) {
            return true;
        }
    }
    return false;
}

static bool cause_has_words(const char *text, size_t len, const char *words) {
    while (words != NULL && *words != '\0') {
        size_t word_len = strcspn(words, "|");
        if (cause_contains(text, len, words, word_len)) {
            return true;
        }
        words += word_len + (words[word_len] == '|' ? 1 : 0);
    }
    return false;
}

/* Words that no row has, as they are, but fit to be a code: letters and digits, at most as long as may be. */
static void cause_unknown(const char *text, size_t len, bool remote, struct session *session) {
    char name[SESSION_CAUSE_MAX] = "Other/";
    size_t n = strlen(name);
    bool upper = true;
    for (size_t i = 0; i < len && n + 1 < sizeof(name); i++) {
        unsigned char c = (unsigned char)text[i];
        if (isalnum(c) && c < 0x80) {
            name[n++] = upper ? (char)toupper(c) : (char)c;
            upper = false;
        } else {
            upper = true;
        }
    }
    name[n] = '\0';
    cause_set(session, name, remote);
}

void cause_of_words(const char *text, size_t len, bool remote, struct session *session) {
    if (len == 0) {
        return;
    }
    for (size_t i = 0; i < CAUSE_COUNT; i++) {
        if (cause_has_words(text, len, CAUSES[i].words)) {
            cause_set(session, CAUSES[i].name, remote);
            return;
        }
    }
    cause_unknown(text, len, remote, session);
}

void cause_of_code(unsigned code, unsigned subcode, bool remote, struct session *session) {
    const struct cause_row *whole = NULL;
    for (size_t i = 0; i < CAUSE_COUNT && code != 0; i++) {
        if (CAUSES[i].code == code && CAUSES[i].subcode == subcode) {
            cause_set(session, CAUSES[i].name, remote);
            return;
        }
        if (CAUSES[i].code == code && CAUSES[i].subcode == 0) {
            whole = &CAUSES[i];
        }
    }
    if (whole != NULL) {
        cause_set(session, whole->name, remote);
    }
}

void cause_of_bird(const char *text, size_t len, struct session *session) {
    static const char RECEIVED[] = "Received: ";
    bool remote = len > sizeof(RECEIVED) - 1 && memcmp(text, RECEIVED, sizeof(RECEIVED) - 1) == 0;
    cause_of_words(text, len, remote, session);
}
