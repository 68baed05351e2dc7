/*
 * Operations on the vault's keys: they may take long, so a request only starts one, and whoever wants to know
 * asks how far it is. One at a time; the newest is remembered until the next one, or the end of the process.
 */
#ifndef BGPPEERD_HTTP_ADMIN_VAULT_OPERATION_H
#define BGPPEERD_HTTP_ADMIN_VAULT_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vault.h"

struct serving;
struct vault_operations;

enum vault_operation_type { VAULT_ROTATE_DATA_KEY, VAULT_CHANGE_ROOT_KEY, VAULT_CANCEL_ROOT_KEY_CHANGE };
enum vault_operation_state { VAULT_RUNNING, VAULT_SUCCEEDED, VAULT_FAILED };

struct vault_operation {
    uint64_t id; /* ≥ 1, ascending; 0: there was none yet */
    enum vault_operation_type type;
    enum vault_operation_state state;
    int64_t started_ms;
    int64_t finished_ms; /* 0 = not yet */
    size_t done;         /* Secrets, of a rotation */
    size_t total;
    char message[ERR_TEXT_MAX]; /* why it failed, or what is left to do; "" = nothing */
};

int vault_operations_new(struct vault_operations **ret, struct err *err) MUST_CHECK;
/* After the workers have ended. Accepts NULL. */
void vault_operations_free(struct vault_operations *operations);
/* `new_root` for a change of the root key, else NULL; copied. ERR_CONFLICT: one is running. */
int vault_operation_start(struct serving *serving, enum vault_operation_type type,
                          const struct vault_new_root *new_root, struct err *err) MUST_CHECK;
struct vault_operation vault_operation_newest(struct vault_operations *operations);

const char *vault_operation_type_text(enum vault_operation_type type);
const char *vault_operation_state_text(enum vault_operation_state state);

#endif
