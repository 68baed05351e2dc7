/*
 * The vault's settings as a shared store has them, kept beside the vault: what others write of them comes one
 * by one, and the vault wants all. Used on the committer's thread, and at the start; no locks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "state_internal.h"

static const char VAULT_SETTING[] = "vault/";

static void row_free(struct vault_setting *row) {
    free((void *)(uintptr_t)row->name);
    free((void *)(uintptr_t)row->value);
}

bool vault_rows_wanted(const struct store_setting *setting) {
    return strncmp(setting->name, VAULT_SETTING, strlen(VAULT_SETTING)) == 0;
}

static size_t place_of(const struct vault_rows *rows, const char *name) {
    size_t at = 0;
    while (at < rows->count && strcmp(rows->items[at].name, name) != 0) {
        at++;
    }
    return at;
}

int vault_rows_put(struct vault_rows *rows, const struct store_setting *setting, struct err *err) {
    size_t at = place_of(rows, setting->name);
    if (setting->value == NULL) {
        if (at < rows->count) {
            row_free(&rows->items[at]);
            rows->items[at] = rows->items[--rows->count];
        }
        return 0;
    }
    struct vault_setting *items = base_grow(rows->items, rows->count, &rows->cap, 8, sizeof(*items));
    if (items == NULL) {
        return err_no_memory(err);
    }
    rows->items = items;
    char *name = base_strdup(setting->name);
    void *value = base_malloc(setting->value_len + 1);
    if (name == NULL || value == NULL) {
        free(name);
        free(value);
        return err_no_memory(err);
    }
    memcpy(value, setting->value, setting->value_len);
    if (at < rows->count) {
        row_free(&rows->items[at]);
    } else {
        rows->count++;
    }
    rows->items[at] = (struct vault_setting){.name = name, .value = value, .value_len = setting->value_len};
    return 0;
}

void vault_rows_done(struct vault_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        row_free(&rows->items[i]);
    }
    free(rows->items);
    *rows = (struct vault_rows){.count = 0};
}
