/*
 * Names of states, errors and verdicts, as they are written in reports and answers. One table each; their
 * order is that of the enums. Static and immutable; no locks.
 */
#include <string.h>

#include "status.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const STATE_NAMES[SESSION_STATE_COUNT] = {
    [SESSION_IDLE] = "Idle",
    [SESSION_CONNECT] = "Connect",
    [SESSION_ACTIVE] = "Active",
    [SESSION_OPEN_SENT] = "OpenSent",
    [SESSION_OPEN_CONFIRM] = "OpenConfirm",
    [SESSION_ESTABLISHED] = "Established",
};

static const char *const ERROR_NAMES[SESSION_ERROR_COUNT] = {
    [SESSION_ERROR_BAD_PEER_AS] = "OpenMessage/BadPeerAS",
    [SESSION_ERROR_BAD_BGP_IDENTIFIER] = "OpenMessage/BadBGPIdentifier",
    [SESSION_ERROR_OPEN] = "OpenMessage",
    [SESSION_ERROR_UPDATE] = "UpdateMessage",
    [SESSION_ERROR_HOLD_TIMER] = "HoldTimerExpired",
    [SESSION_ERROR_FSM] = "FiniteStateMachine",
    [SESSION_ERROR_MAX_PREFIXES] = "Cease/MaximumNumberOfPrefixesReached",
    [SESSION_ERROR_ADMIN_SHUTDOWN] = "Cease/AdministrativeShutdown",
    [SESSION_ERROR_PEER_DECONFIGURED] = "Cease/PeerDeconfigured",
    [SESSION_ERROR_ADMIN_RESET] = "Cease/AdministrativeReset",
    [SESSION_ERROR_CONNECTION_REJECTED] = "Cease/ConnectionRejected",
    [SESSION_ERROR_CEASE] = "Cease",
    [SESSION_ERROR_REFUSED] = "Connection/Refused",
    [SESSION_ERROR_RESET] = "Connection/Reset",
    [SESSION_ERROR_NO_ROUTE] = "Connection/NoRoute",
    [SESSION_ERROR_TIMED_OUT] = "Connection/TimedOut",
    [SESSION_ERROR_NO_SOURCE_ADDRESS] = "Connection/NoSourceAddress",
    [SESSION_ERROR_MD5_DIFFERS] = "MD5/Differs",
    [SESSION_ERROR_MD5_MISSING] = "MD5/Missing",
    [SESSION_ERROR_MD5_UNEXPECTED] = "MD5/Unexpected",
    [SESSION_ERROR_TTL] = "TTL/TooLow",
    [SESSION_ERROR_OTHER] = "Other",
};

static const char *const VERDICT_NAMES[VERDICT_COUNT] = {
    [VERDICT_UP] = "Up",
    [VERDICT_HALF_UP] = "HalfUp",
    [VERDICT_DOWN] = "Down",
    [VERDICT_CONVERGING] = "Converging",
    [VERDICT_WITHHELD] = "Withheld",
    [VERDICT_INCOMPATIBLE] = "Incompatible",
    [VERDICT_UNEXPECTED] = "Unexpected",
    [VERDICT_MISSING] = "Missing",
    [VERDICT_UNKNOWN] = "Unknown",
};

/* The place of `name`, `count` when it is not there. Places without a name are passed over. */
static size_t names_find(const char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count && name != NULL; i++) {
        if (names[i] != NULL && strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return count;
}

const char *session_state_name(enum session_state state) {
    return STATE_NAMES[state];
}

enum session_state session_state_by_name(const char *name) {
    size_t place = names_find(STATE_NAMES, COUNT_OF(STATE_NAMES), name);
    return place < COUNT_OF(STATE_NAMES) ? (enum session_state)place : SESSION_ABSENT;
}

const char *session_error_name(enum session_error error) {
    return ERROR_NAMES[error];
}

enum session_error session_error_by_name(const char *name) {
    size_t place = names_find(ERROR_NAMES, COUNT_OF(ERROR_NAMES), name);
    return place < COUNT_OF(ERROR_NAMES) ? (enum session_error)place : SESSION_ERROR_OTHER;
}

const char *verdict_name(enum status_verdict verdict) {
    return VERDICT_NAMES[verdict];
}

bool verdict_by_name(const char *name, enum status_verdict *ret) {
    size_t place = names_find(VERDICT_NAMES, COUNT_OF(VERDICT_NAMES), name);
    if (place == COUNT_OF(VERDICT_NAMES)) {
        return false;
    }
    *ret = (enum status_verdict)place;
    return true;
}
