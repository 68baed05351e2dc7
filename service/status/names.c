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

/* A code ends with "/" when it is for all codes below it that have no row of their own. */
static const struct error_code {
    const char *code;
    enum session_error error;
} ERROR_CODES[] = {
    {"OpenMessage/BadPeerAS", SESSION_ERROR_BAD_PEER_AS},
    {"OpenMessage/BadBGPIdentifier", SESSION_ERROR_BAD_BGP_IDENTIFIER},
    {"OpenMessage/", SESSION_ERROR_OPEN},
    {"UpdateMessage/", SESSION_ERROR_UPDATE},
    {"MessageHeader/", SESSION_ERROR_HEADER},
    {"HoldTimerExpired", SESSION_ERROR_HOLD_TIMER},
    {"FiniteStateMachine", SESSION_ERROR_FSM},
    {"Cease/MaximumPrefixes", SESSION_ERROR_MAX_PREFIXES},
    {"Cease/AdministrativeShutdown", SESSION_ERROR_ADMIN_SHUTDOWN},
    {"Cease/PeerDeconfigured", SESSION_ERROR_PEER_DECONFIGURED},
    {"Cease/AdministrativeReset", SESSION_ERROR_ADMIN_RESET},
    {"Cease/ConnectionRejected", SESSION_ERROR_CONNECTION_REJECTED},
    {"Cease", SESSION_ERROR_CEASE},
    {"Cease/", SESSION_ERROR_CEASE},
    {"Socket/ConnectionRefused", SESSION_ERROR_REFUSED},
    {"Socket/ConnectionReset", SESSION_ERROR_RESET},
    {"Socket/ConnectionClosed", SESSION_ERROR_RESET},
    {"Socket/NoRouteToHost", SESSION_ERROR_NO_ROUTE},
    {"Socket/NetworkUnreachable", SESSION_ERROR_NO_ROUTE},
    {"Socket/TimedOut", SESSION_ERROR_TIMED_OUT},
    {"Socket/AddressNotAvailable", SESSION_ERROR_NO_SOURCE_ADDRESS},
    {"Local/PasswordNotUsable", SESSION_ERROR_PASSWORD_UNUSABLE},
    {"Local/NextHopUnreachable", SESSION_ERROR_NO_ROUTE},
    {"Local/LinkDown", SESSION_ERROR_LINK_DOWN},
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

/* Does the row speak of `code`: the same, or all that is below it? */
static bool error_code_has(const struct error_code *row, const char *code) {
    size_t len = strlen(row->code);
    return row->code[len - 1] == '/' ? strncmp(code, row->code, len) == 0 : strcmp(code, row->code) == 0;
}

enum session_error session_error_by_code(const char *code) {
    if (code == NULL || code[0] == '\0') {
        return SESSION_ERROR_NONE;
    }
    for (size_t i = 0; i < COUNT_OF(ERROR_CODES); i++) {
        if (error_code_has(&ERROR_CODES[i], code)) {
            return ERROR_CODES[i].error;
        }
    }
    return SESSION_ERROR_OTHER;
}

const char *verdict_name(enum status_verdict verdict) {
    return VERDICT_NAMES[verdict];
}

const char *status_list_state_name(enum status_list_state state) {
    static const char *const NAMES[] = {
        [STATUS_LIST_CURRENT] = "current", [STATUS_LIST_BEHIND] = "behind", [STATUS_LIST_SILENT] = "silent"};
    return NAMES[state];
}

bool verdict_by_name(const char *name, enum status_verdict *ret) {
    size_t place = names_find(VERDICT_NAMES, COUNT_OF(VERDICT_NAMES), name);
    if (place == COUNT_OF(VERDICT_NAMES)) {
        return false;
    }
    *ret = (enum status_verdict)place;
    return true;
}
