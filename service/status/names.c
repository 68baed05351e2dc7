/*
 * Names of verdicts, as they are written in answers. Static and immutable; no locks.
 */
#include <string.h>

#include "status.h"

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

const char *verdict_name(enum status_verdict verdict) {
    return VERDICT_NAMES[verdict];
}

const char *status_list_state_name(enum status_list_state state) {
    static const char *const NAMES[] = {
        [STATUS_LIST_CURRENT] = "current", [STATUS_LIST_BEHIND] = "behind", [STATUS_LIST_SILENT] = "silent"};
    return NAMES[state];
}

bool verdict_by_name(const char *name, enum status_verdict *ret) {
    for (size_t i = 0; i < VERDICT_COUNT && name != NULL; i++) {
        if (strcmp(VERDICT_NAMES[i], name) == 0) {
            *ret = (enum status_verdict)i;
            return true;
        }
    }
    return false;
}
