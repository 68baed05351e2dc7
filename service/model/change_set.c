/*
 * The words of change sets: operations, reasons, what is forced. Pure; no locks.
 */
#include "model/change_set.h"

#include <string.h>

static const char *const OPS[CHANGE_OP_COUNT] = {[CHANGE_APPLY] = "apply",
                                                 [CHANGE_CREATE] = "create",
                                                 [CHANGE_PATCH] = "patch",
                                                 [CHANGE_DELETE] = "delete"};

const char *change_op_name(enum change_op op) {
    return OPS[op];
}

enum change_op change_op_parse(const char *text) {
    enum change_op op = 0;
    while (op < CHANGE_OP_COUNT && strcmp(OPS[op], text) != 0) {
        op++;
    }
    return op;
}

bool change_reason_is_valid(const char *reason) {
    size_t len = 0;
    for (; reason[len] != '\0'; len++) {
        unsigned char c = (unsigned char)reason[len];
        if (len == CHANGE_REASON_MAX || c < ' ' || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static const char *const FORCES[] = {[0] = "",
                                     [FORCE_DISRUPTIVE] = "disruptive",
                                     [FORCE_FROZEN] = "frozen",
                                     [FORCE_DISRUPTIVE | FORCE_FROZEN] = "disruptive,frozen"};

const char *change_force_text(unsigned force) {
    return FORCES[force & (FORCE_DISRUPTIVE | FORCE_FROZEN)];
}

bool change_force_parse(const char *text, unsigned *ret) {
    unsigned force = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        unsigned word = FORCE_FROZEN;
        while (word > 0 && (strlen(FORCES[word]) != len || strncmp(FORCES[word], text, len) != 0)) {
            word--;
        }
        if (word == 0 || (force & word) != 0) {
            return false;
        }
        force |= word;
        if (text[len] == '\0') {
            *ret = force;
            return true;
        }
        text += len + 1;
    }
}
