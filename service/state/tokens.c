/*
 * Tokens: what auth knows, kept in the store as settings, each with the vault's mark: a row that was put into
 * the database by somebody without the root key is none. Rows of before there were marks get theirs at the
 * first start, in one transaction with the vault's word that there are no others from then on. A creation or
 * revocation is one task on the committer's thread, so nobody else waits for the disk, and it is in force
 * when it is durable. Owns the registry (which has its own lock). Last uses are stored in the background,
 * coarsely.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "state_internal.h"

#define FLUSH_BATCH 512 /* tokens whose last use is stored in one transaction */

/* ---- on a store ---- */

static int commit_setting(struct state *state, const struct store_setting *setting, struct err *err) {
    return state_commit(state, &(struct store_batch){.settings = setting, .setting_count = 1}, err);
}

#define MARKED_FORMAT  2 /* auth's first byte, 1, in a row with a mark behind it */
#define MARKED_ROW_MAX (TOKEN_ROW_MAX + VAULT_MARK_BYTES)

/* `vault` NULL: without a mark. */
static int row_setting(struct vault *vault, const struct token *token, char name[TOKEN_SETTING_MAX],
                       uint8_t row[MARKED_ROW_MAX], struct store_setting *ret, struct err *err) {
    size_t len = token_encode(token, row);

    token_setting_name(token->id, name);
    if (vault != NULL) {
        row[0] = MARKED_FORMAT;
        if (vault_mark(vault, name, row, len, row + len, err) != 0) {
            return -1;
        }
        len += VAULT_MARK_BYTES;
    }
    *ret = (struct store_setting){.name = name, .value = row, .value_len = len};
    return 0;
}

static int store_token(struct state *state, const struct token *token, struct err *err) {
    uint8_t row[MARKED_ROW_MAX];
    char name[TOKEN_SETTING_MAX];
    struct store_setting setting;

    return row_setting(state->vault, token, name, row, &setting, err) != 0
               ? -1
               : commit_setting(state, &setting, err);
}

/* The row as auth knows it, once its mark is found good. `vault` NULL: marks are not looked at. */
static int open_row(struct vault *vault, const struct store_setting *setting, struct token *ret,
                    struct err *err) {
    uint8_t row[TOKEN_ROW_MAX];
    const uint8_t *value = setting->value;
    size_t len = setting->value_len;

    if (len <= VAULT_MARK_BYTES || len > MARKED_ROW_MAX || value[0] != MARKED_FORMAT) {
        return vault != NULL && vault_marks_tokens(vault)
                   ? err_set(
                         err, ERR_CORRUPT,
                         "%s has no mark of this vault: it was put into the database by somebody else, or is "
                         "damaged; it is not accepted; revoke it",
                         setting->name)
                   : token_decode(setting->name, value, len, ret, err);
    }
    len -= VAULT_MARK_BYTES;
    if (vault != NULL && !vault_mark_fits(vault, setting->name, value, len, value + len)) {
        return err_set(
            err, ERR_CORRUPT,
            "%s has a wrong mark: it was altered, or comes from another database; it is not accepted; "
            "revoke it",
            setting->name);
    }
    memcpy(row, value, len);
    row[0] = 1;
    return token_decode(setting->name, row, len, ret, err);
}

/* A change while the service is stopped, with its entry in the audit trail. */
static int commit_audited(struct store *store, const struct store_setting *setting, const char *id,
                          const char *user, struct err *err) {
    const struct audit_entry entry = {.event = AUDIT_TOKEN,
                                      .time_ms = clock_realtime_ms(),
                                      .user = user,
                                      .verb = setting->value != NULL ? "create" : "delete",
                                      .resource = "tokens",
                                      .name = id};
    struct audit_rows rows;
    int rc;

    if (trail_append(store, &entry, &rows, err) < 0) {
        return -1;
    }
    struct store_status status;

    rc = store_status(store, &status, err);
    if (rc == 0) {
        rc = store_commit(store,
                          &(struct store_batch){.settings = setting,
                                                .setting_count = 1,
                                                .audit = rows.items,
                                                .audit_count = rows.count,
                                                .base = status.commit},
                          err);
    }
    trail_appended(&rows);
    return rc;
}

int state_store_token(struct store *store, struct vault *vault, const struct token *token, const char *user,
                      struct err *err) {
    uint8_t row[MARKED_ROW_MAX];
    char name[TOKEN_SETTING_MAX];
    struct store_setting setting;

    return row_setting(vault, token, name, row, &setting, err) != 0
               ? -1
               : commit_audited(store, &setting, token->id, user, err);
}

struct search {
    const char *name;
    bool found;
};

static int search_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct search *search = arg;

    (void)err;
    search->found = search->found || strcmp(setting->name, search->name) == 0;
    return 0;
}

static int err_no_token(const char *id, struct err *err) {
    return err_set(err, ERR_NOT_FOUND, "tokens.bgppeerd.io \"%.64s\" not found", id);
}

int state_drop_token(struct store *store, const char *id, const char *user, struct err *err) {
    char name[TOKEN_SETTING_MAX];
    struct search search = {.name = name};
    const struct store_reader reader = {.setting = search_setting, .arg = &search};

    if (!token_id_is_valid(id)) {
        return err_no_token(id, err);
    }
    token_setting_name(id, name);
    if (store_load(store, &reader, err) < 0) {
        return -1;
    }
    return search.found ? commit_audited(store, &(struct store_setting){.name = name}, id, user, err)
                        : err_no_token(id, err);
}

bool token_setting_wanted(const struct store_setting *setting) {
    return strncmp(setting->name, TOKEN_SETTING, strlen(TOKEN_SETTING)) == 0;
}

struct loading {
    struct vault *vault;
    struct token_registry *registry;
    size_t damaged;
};

static int load_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct loading *loading = arg;
    struct err damage = ERR_INIT;
    struct token token;

    if (!token_setting_wanted(setting)) {
        return 0;
    }
    if (open_row(loading->vault, setting, &token, &damage) < 0) {
        log_event(LOG_ERROR, "token-unreadable", LOG_STR("error", damage.text));
        loading->damaged++;
        return 0;
    }
    if (token_registry_reserve(loading->registry, err) < 0) {
        return -1;
    }
    token_registry_put(loading->registry, &token);
    return 0;
}

int state_load_tokens(struct store *store, struct vault *vault, struct token_registry *registry,
                      size_t *ret_damaged, struct err *err) {
    struct loading loading = {.vault = vault, .registry = registry};
    const struct store_reader reader = {.setting = load_setting, .arg = &loading};

    if (store_load(store, &reader, err) < 0) {
        return -1;
    }
    *ret_damaged = loading.damaged;
    return 0;
}

/* ---- start and stop ---- */

struct marking {
    char name[TOKEN_SETTING_MAX];
    uint8_t row[MARKED_ROW_MAX];
};

static int store_marked(struct state *state, const struct token *tokens, size_t count,
                        const struct vault_settings *vault, struct err *err) {
    struct store_setting *settings = base_calloc(count + vault->count, sizeof *settings);
    struct marking *rows = base_calloc(count + 1, sizeof *rows);
    int result = settings == NULL || rows == NULL ? err_no_memory(err) : 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        result = row_setting(state->vault, &tokens[i], rows[i].name, rows[i].row, &settings[i], err);
    }
    for (size_t i = 0; result == 0 && i < vault->count; i++) {
        settings[count + i] = (struct store_setting){.name = vault->items[i].name,
                                                     .value = vault->items[i].value,
                                                     .value_len = vault->items[i].value_len};
    }
    if (result == 0) {
        result = state_commit(
            state, &(struct store_batch){.settings = settings, .setting_count = count + vault->count}, err);
    }
    free(rows);
    free(settings);
    return result;
}

/* Tokens of before there were marks. What keeps them from getting theirs now (a full disk) is no reason not
 * to start: the next start tries again. */
static void mark_tokens(struct state *state) {
    struct vault_settings settings;
    struct token *tokens = NULL;
    size_t count = 0;
    struct err err = ERR_INIT;

    if (state->vault == NULL || vault_marks_tokens(state->vault)) {
        return;
    }
    if (vault_prepare_marking(state->vault, &settings, &err) == 0) {
        if (token_registry_list(state->tokens.registry, &tokens, &count, &err) == 0 &&
            store_marked(state, tokens, count, &settings, &err) == 0) {
            vault_apply(state->vault);
        } else {
            vault_discard(state->vault);
        }
    }
    free(tokens);
    if (err.code != ERR_NONE) {
        log_event(LOG_WARN, "tokens-not-marked", LOG_STR("error", err.text));
    } else {
        log_event(LOG_INFO, "tokens-marked", LOG_INT("tokens", count));
    }
}

int tokens_init(struct state *state, struct err *err) {
    struct tokens *tokens = &state->tokens;

    atomic_store(&tokens->flush_at, clock_monotonic_ms() + TOKEN_USED_STEP_MS);
    if (token_registry_new(&tokens->registry, err) < 0) {
        return -1;
    }
    if (state_load_tokens(state->store, state->vault, tokens->registry, &tokens->damaged, err) < 0) {
        return -1;
    }
    mark_tokens(state);
    return 0;
}

/* Returns the number of tokens stored. Each instance of several knows the uses that it has seen: of a shared
 * store, where they would cost everybody a transaction, they stay in memory. A failure costs the last uses of
 * this batch, nothing else. */
static size_t store_uses(struct state *state, struct err *err) {
    struct token *tokens = base_calloc(FLUSH_BATCH, sizeof *tokens);
    struct store_setting *settings = base_calloc(FLUSH_BATCH, sizeof *settings);
    struct marking *texts = base_calloc(FLUSH_BATCH, sizeof *texts);
    size_t count = 0;
    int result = 0;

    if (store_is_shared(state->store)) {
        goto done;
    }
    if (tokens != NULL && settings != NULL && texts != NULL) {
        count = token_registry_take_used(state->tokens.registry, tokens, FLUSH_BATCH);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = row_setting(state->vault, &tokens[i], texts[i].name, texts[i].row, &settings[i], err);
    }
    if (result == 0 && count > 0) {
        result =
            state_commit(state, &(struct store_batch){.settings = settings, .setting_count = count}, err);
    }
    if (result != 0) {
        log_event(LOG_WARN, "token-uses-lost", LOG_INT("tokens", count), LOG_STR("error", err->text));
        count = 0;
    }
done:
    free(texts);
    free(settings);
    free(tokens);
    return count;
}

void tokens_done(struct state *state) {
    struct err err = ERR_INIT;

    if (state->tokens.registry == NULL) {
        return;
    }
    while (store_uses(state, &err) == FLUSH_BATCH) {
    }
    token_registry_free(state->tokens.registry);
}

/* ---- in the running service ---- */

struct token_registry *state_tokens(struct state *state) {
    return state->tokens.registry;
}

bool state_has_no_tokens(struct state *state) {
    return token_registry_count(state->tokens.registry) == 0 && state->tokens.damaged == 0;
}

/* On the committer's thread, which alone changes the registry: nothing changes between check and change. */
static int task_token(struct state *state, struct task *of, struct err *err) {
    struct token_write *task = (struct token_write *)of; /* its first member */
    struct token_registry *registry = state->tokens.registry;

    if (task->revoke) {
        char name[TOKEN_SETTING_MAX];

        if (!token_registry_get(registry, task->token.id, &task->token)) {
            return err_no_token(task->token.id, err);
        }
        token_setting_name(task->token.id, name);
        if (commit_setting(state, &(struct store_setting){.name = name}, err) < 0) {
            return -1;
        }
        (void)token_registry_remove(registry, task->token.id);
        return 0;
    }
    if (token_registry_reserve(registry, err) < 0 || store_token(state, &task->token, err) < 0) {
        return -1;
    }
    token_registry_put(registry, &task->token);
    return 0;
}

int state_submit_token(struct state *state, struct token_write *write, struct err *err) {
    write->task.run = task_token;
    return committer_submit(state, &write->task, err);
}

int state_write_token(struct state *state, struct token_write *write, struct err *err) {
    write->task.run = task_token;
    return committer_run(state, &write->task, err);
}

/* ---- what other instances do with them ---- */

void state_watch_revocations(struct state *state, void (*revoked)(void *arg, const char *user), void *arg) {
    pthread_mutex_lock(&state->tokens.lock);
    state->tokens.revoked = revoked;
    state->tokens.arg = arg;
    pthread_mutex_unlock(&state->tokens.lock);
}

static int compare_settings(const void *a, const void *b) {
    return strcmp(((const struct store_setting *)a)->name, ((const struct store_setting *)b)->name);
}

/* A token is gone: who waits with it is told so. */
static void revoke(struct state *state, const char *id) {
    struct tokens *tokens = &state->tokens;
    struct principal holder;
    struct token token;

    if (!token_registry_get(tokens->registry, id, &token) || !token_registry_remove(tokens->registry, id)) {
        return;
    }
    token_principal(&token, &holder);
    pthread_mutex_lock(&tokens->lock);
    if (tokens->revoked != NULL) {
        tokens->revoked(tokens->arg, holder.user);
    }
    pthread_mutex_unlock(&tokens->lock);
}

int tokens_follow(struct state *state, const struct store_setting *setting, struct err *err) {
    struct loading loading = {.vault = state->vault, .registry = state->tokens.registry};

    if (setting->value == NULL) {
        revoke(state, setting->name + strlen(TOKEN_SETTING));
        return 0;
    }
    return load_setting(&loading, setting, err);
}

int tokens_reload(struct state *state, const struct store_setting *settings, size_t count, struct err *err) {
    struct token *tokens = NULL;
    size_t known = 0;
    int result = token_registry_list(state->tokens.registry, &tokens, &known, err);

    for (size_t i = 0; result == 0 && i < known; i++) {
        char name[TOKEN_SETTING_MAX];
        token_setting_name(tokens[i].id, name);
        const struct store_setting key = {.name = name};

        if (bsearch(&key, settings, count, sizeof(key), compare_settings) == NULL) {
            revoke(state, tokens[i].id);
        }
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = tokens_follow(state, &settings[i], err);
    }
    free(tokens);
    return result;
}

/* ---- last uses ---- */

static int task_flush(struct state *state, struct task *task, struct err *err) {
    (void)task;
    (void)store_uses(state, err);
    return 0; /* what went wrong has been logged */
}

static void flush_done(struct task *task) {
    struct state *state = task->arg;

    atomic_store(&state->tokens.flushing, false);
}

void state_flush_tokens(struct state *state) {
    struct tokens *tokens = &state->tokens;
    int64_t now_ms = clock_monotonic_ms();
    struct err err = ERR_INIT;

    if (now_ms < atomic_load(&tokens->flush_at) || atomic_exchange(&tokens->flushing, true)) {
        return;
    }
    atomic_store(&tokens->flush_at, now_ms + TOKEN_USED_STEP_MS);
    tokens->flush = (struct task){.run = task_flush, .done = flush_done, .arg = state};
    if (committer_submit(state, &tokens->flush, &err) != 0) {
        atomic_store(&tokens->flushing,
                     false); /* busy or shutting down: the next time, or the end, will do */
    }
}
