/*
 * The states and errors of BGP sessions. Constant tables; no locks.
 */
#include "base/bgp.h"

#include <string.h>

static const char *const STATE_NAMES[SESSION_STATE_COUNT] = {
    [SESSION_IDLE] = "Idle",
    [SESSION_CONNECT] = "Connect",
    [SESSION_ACTIVE] = "Active",
    [SESSION_OPEN_SENT] = "OpenSent",
    [SESSION_OPEN_CONFIRM] = "OpenConfirm",
    [SESSION_ESTABLISHED] = "Established",
};

static const struct bgp_error ERRORS[] = {
    {1, 0, SESSION_ERROR_HEADER, "MessageHeader/Unspecific",
     "invalid message header|error in message header"},
    {1, 1, SESSION_ERROR_HEADER, "MessageHeader/ConnectionNotSynchronized",
     "connection not synchronized|not synchronized"},
    {1, 2, SESSION_ERROR_HEADER, "MessageHeader/BadMessageLength", "bad message length"},
    {1, 3, SESSION_ERROR_HEADER, "MessageHeader/BadMessageType", "bad message type"},
    {2, 0, SESSION_ERROR_OPEN, "OpenMessage/Unspecific", "invalid open message"},
    {2, 1, SESSION_ERROR_OPEN, "OpenMessage/UnsupportedVersion",
     "unsupported version number|version mismatch"},
    {2, 2, SESSION_ERROR_BAD_PEER_AS, "OpenMessage/BadPeerAS", "bad peer as|as unacceptable"},
    {2, 3, SESSION_ERROR_BAD_BGP_IDENTIFIER, "OpenMessage/BadBGPIdentifier",
     "bad bgp identifier|bgpid invalid"},
    {2, 4, SESSION_ERROR_OPEN, "OpenMessage/UnsupportedOptionalParameter",
     "unsupported optional parameter|optional parameter error"},
    {2, 6, SESSION_ERROR_OPEN, "OpenMessage/UnacceptableHoldTime",
     "unacceptable hold time|unacceptable holdtime"},
    {2, 7, SESSION_ERROR_OPEN, "OpenMessage/UnsupportedCapability",
     "required capability missing|unsupported capability|unsupported capabilities"},
    {2, 11, SESSION_ERROR_OPEN, "OpenMessage/RoleMismatch", "role mismatch"},
    {3, 0, SESSION_ERROR_UPDATE, "UpdateMessage/Unspecific",
     "invalid update message|error in update message"},
    {3, 1, SESSION_ERROR_UPDATE, "UpdateMessage/MalformedAttributeList",
     "malformed attribute list|attribute list error"},
    {3, 2, SESSION_ERROR_UPDATE, "UpdateMessage/UnrecognizedAttribute",
     "unrecognized well-known attribute|unknown well-known attribute"},
    {3, 3, SESSION_ERROR_UPDATE, "UpdateMessage/MissingAttribute",
     "missing mandatory attribute|missing well-known attribute"},
    {3, 11, SESSION_ERROR_UPDATE, "UpdateMessage/MalformedASPath",
     "malformed as_path|malformed as path|as-path attribute error"},
    {4, 0, SESSION_ERROR_HOLD_TIMER, "HoldTimerExpired", "hold timer expired|holdtime expired"},
    {5, 0, SESSION_ERROR_FSM, "FiniteStateMachine",
     "finite state machine error|fsm error|error in finite state machine"},
    {6, 1, SESSION_ERROR_MAX_PREFIXES, "Cease/MaximumPrefixes",
     "maximum number of prefixes reached|max prefixes exceeded|received max prefixes"},
    {6, 2, SESSION_ERROR_ADMIN_SHUTDOWN, "Cease/AdministrativeShutdown",
     "administrative shutdown|administratively down|administratively shutdown"},
    {6, 3, SESSION_ERROR_PEER_DECONFIGURED, "Cease/PeerDeconfigured",
     "peer de-configured|peer deconfigured|peer unconfigured"},
    {6, 4, SESSION_ERROR_ADMIN_RESET, "Cease/AdministrativeReset",
     "administrative reset|administratively reset"},
    {6, 5, SESSION_ERROR_CONNECTION_REJECTED, "Cease/ConnectionRejected", "connection rejected"},
    {6, 6, SESSION_ERROR_CEASE, "Cease/OtherConfigurationChange", "other configuration change"},
    {6, 7, SESSION_ERROR_CEASE, "Cease/ConnectionCollision", "connection collision resolution|collision"},
    {6, 8, SESSION_ERROR_CEASE, "Cease/OutOfResources", "out of resources|resource exhaustion"},
    {6, 9, SESSION_ERROR_CEASE, "Cease/HardReset", "hard reset"},
    {6, 10, SESSION_ERROR_CEASE, "Cease/BFDDown", "bfd down|bfd session down"},
    {6, 0, SESSION_ERROR_CEASE, "Cease", "cease"},
    /* What ends or prevents a connection before anything is said on it. */
    {0, 1, SESSION_ERROR_REFUSED, "Socket/ConnectionRefused", "connection refused"},
    {0, 2, SESSION_ERROR_RESET, "Socket/ConnectionReset", "connection reset by peer"},
    {0, 3, SESSION_ERROR_NO_ROUTE, "Socket/NoRouteToHost", "no route to host"},
    {0, 4, SESSION_ERROR_NO_ROUTE, "Socket/NetworkUnreachable", "network is unreachable"},
    {0, 5, SESSION_ERROR_TIMED_OUT, "Socket/TimedOut", "connection timed out"},
    {0, 6, SESSION_ERROR_RESET, "Socket/ConnectionClosed", "connection closed"},
    {0, 7, SESSION_ERROR_NO_SOURCE_ADDRESS, "Socket/AddressNotAvailable", "cannot assign requested address"},
    {0, 8, SESSION_ERROR_PASSWORD_UNUSABLE, "Local/PasswordNotUsable", "kernel md5 auth failed"},
    {0, 9, SESSION_ERROR_NO_ROUTE, "Local/NextHopUnreachable",
     "waiting for nht|next hop unreachable|no valid next hop"},
    {0, 10, SESSION_ERROR_LINK_DOWN, "Local/LinkDown", "link down|interface down"},
    {0, 11, SESSION_ERROR_DAEMON_AWAY, "Local/DaemonNotRunning", "daemon not running"},
};
#define ERROR_COUNT (sizeof(ERRORS) / sizeof(ERRORS[0]))

const char *session_state_name(enum session_state state) {
    return STATE_NAMES[state];
}

enum session_state session_state_by_name(const char *name) {
    for (size_t i = SESSION_IDLE; i < SESSION_STATE_COUNT && name != NULL; i++) {
        if (strcmp(STATE_NAMES[i], name) == 0) {
            return (enum session_state)i;
        }
    }
    return SESSION_ABSENT;
}

const struct bgp_error *bgp_errors(size_t *ret_count) {
    *ret_count = ERROR_COUNT;
    return ERRORS;
}

/* Is the row for everything of its code, and `name` of that code? */
static bool error_is_of_code(const struct bgp_error *row, const char *name) {
    size_t len = strcspn(row->name, "/");
    return row->code != 0 && row->subcode == 0 && strcspn(name, "/") == len &&
           strncmp(row->name, name, len) == 0;
}

enum session_error session_error_by_code(const char *name) {
    enum session_error found = SESSION_ERROR_OTHER;
    if (name == NULL || name[0] == '\0') {
        return SESSION_ERROR_NONE;
    }
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (strcmp(ERRORS[i].name, name) == 0) {
            return ERRORS[i].class;
        }
        if (error_is_of_code(&ERRORS[i], name)) {
            found = ERRORS[i].class;
        }
    }
    return found;
}
