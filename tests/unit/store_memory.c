/*
 * The store in memory; see store_memory.h. Sorted arrays, and a mutex around everything: for tests, not for
 * speed.
 */
#include "store_memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../service/store/store_ops.h"

struct memory_store {
    struct store base;
    struct memory_database *database;
    void (*changed)(void *arg); /* watch_lock */
    void *arg;
};

/* Those that have an address. */
static struct memory_database *named[MEMORY_HANDLES_MAX];

void memory_init(struct memory_database *database) {
    *database = (struct memory_database){.revision = 0};
    arena_init(&database->arena, 0);
    pthread_mutex_init(&database->lock, NULL);
    pthread_mutex_init(&database->gate, NULL);
    pthread_mutex_init(&database->watch_lock, NULL);
}

void memory_done(struct memory_database *database) {
    for (size_t i = 0; i < MEMORY_HANDLES_MAX; i++) {
        named[i] = named[i] != database ? named[i] : NULL;
    }
    free(database->objects);
    free(database->changes);
    free(database->sealed);
    free(database->settings);
    free(database->audit);
    free(database->transitions);
    free(database->given);
    free(database->entries);
    arena_done(&database->arena);
    pthread_mutex_destroy(&database->watch_lock);
    pthread_mutex_destroy(&database->gate);
    pthread_mutex_destroy(&database->lock);
}

void memory_fail(struct memory_database *database, enum err_code failure) {
    pthread_mutex_lock(&database->lock);
    database->failure = failure;
    pthread_mutex_unlock(&database->lock);
}

struct memory_database *memory_database_of(struct store *store) {
    return ((struct memory_store *)store)->database;
}

/* ---- sorted arrays ---- */

/* A place for one more item at `at`. */
static void *make_room(void **items, size_t *count, size_t size, size_t at) {
    *items = realloc(*items, (*count + 1) * size);
    assert(*items != NULL);
    memmove((char *)*items + (at + 1) * size, (char *)*items + at * size, (*count - at) * size);
    ++*count;
    return (char *)*items + at * size;
}

static void take_out(void *items, size_t *count, size_t size, size_t at) {
    --*count;
    memmove((char *)items + at * size, (char *)items + (at + 1) * size, (*count - at) * size);
}

static size_t find_object(const struct memory_database *database, const char *kind, const char *name,
                          bool *ret_found) {
    size_t i = 0;
    int order = -1;
    for (; i < database->object_count && order < 0; i++) {
        order = strcmp(database->objects[i].kind, kind);
        order = order != 0 ? order : strcmp(database->objects[i].name, name);
    }
    *ret_found = order == 0;
    return order >= 0 ? i - 1 : i;
}

static size_t find_sealed(const struct memory_database *database, const char *object, const char *item,
                          bool *ret_found) {
    size_t i = 0;
    int order = -1;
    for (; i < database->sealed_count && order < 0; i++) {
        order = strcmp(database->sealed[i].object, object);
        order = order != 0 ? order : strcmp(database->sealed[i].item, item);
    }
    *ret_found = order == 0;
    return order >= 0 ? i - 1 : i;
}

static size_t find_setting(const struct memory_database *database, const char *name, bool *ret_found) {
    size_t i = 0;
    int order = -1;
    for (; i < database->setting_count && order < 0; i++) {
        order = strcmp(database->settings[i].name, name);
    }
    *ret_found = order == 0;
    return order >= 0 ? i - 1 : i;
}

static void *copy_bytes(struct memory_database *database, const void *bytes, size_t len) {
    return arena_strndup(&database->arena, bytes != NULL ? bytes : "", bytes != NULL ? len : 0);
}

/* ---- writing ---- */

static void drop_sealed(struct memory_database *database, const char *object) {
    for (size_t i = database->sealed_count; i-- > 0;) {
        if (strcmp(database->sealed[i].object, object) == 0) {
            take_out(database->sealed, &database->sealed_count, sizeof(*database->sealed), i);
        }
    }
}

static void write_change(struct memory_database *database, const struct store_change *change) {
    struct store_change copy = *change;
    copy.kind = arena_strdup(&database->arena, change->kind);
    copy.name = arena_strdup(&database->arena, change->name);
    copy.actor = arena_strdup(&database->arena, change->actor);
    copy.body = copy_bytes(database, change->body, change->body_len);
    bool first = change->txn == 0 || change->txn == change->revision;
    copy.txn = change->txn != 0 ? change->txn : change->revision;
    copy.request = arena_strdup(&database->arena, first && change->request != NULL ? change->request : "");
    copy.reason = arena_strdup(&database->arena, first && change->reason != NULL ? change->reason : "");
    *(struct store_change *)make_room((void **)&database->changes, &database->change_count, sizeof(copy),
                                      database->change_count) = copy;
    bool found;
    size_t at = find_object(database, change->kind, change->name, &found);
    assert(found == (change->op != STORE_CREATE));
    if (change->op == STORE_DELETE) {
        take_out(database->objects, &database->object_count, sizeof(*database->objects), at);
        drop_sealed(database, change->name);
    } else {
        if (!found) {
            (void)make_room((void **)&database->objects, &database->object_count, sizeof(*database->objects),
                            at);
        }
        database->objects[at] =
            (struct memory_object){copy.kind, copy.name, copy.revision, copy.body, copy.body_len};
    }
    database->revision = change->revision;
}

static void write_sealed(struct memory_database *database, const struct store_sealed *row) {
    bool found;
    size_t at = find_sealed(database, row->object, row->item, &found);
    if (row->ciphertext == NULL) {
        if (found) {
            take_out(database->sealed, &database->sealed_count, sizeof(*row), at);
        }
        return;
    }
    if (!found) {
        (void)make_room((void **)&database->sealed, &database->sealed_count, sizeof(*row), at);
    }
    database->sealed[at] = *row;
    database->sealed[at].object = arena_strdup(&database->arena, row->object);
    database->sealed[at].item = arena_strdup(&database->arena, row->item);
    database->sealed[at].nonce = copy_bytes(database, row->nonce, row->nonce_len);
    database->sealed[at].ciphertext = copy_bytes(database, row->ciphertext, row->ciphertext_len);
}

static void write_setting(struct memory_database *database, const struct store_setting *setting) {
    bool found;
    size_t at = find_setting(database, setting->name, &found);
    if (setting->value == NULL) {
        if (found) {
            take_out(database->settings, &database->setting_count, sizeof(*setting), at);
        }
        return;
    }
    if (!found) {
        (void)make_room((void **)&database->settings, &database->setting_count, sizeof(*setting), at);
    }
    database->settings[at] = (struct store_setting){
        .name = arena_strdup(&database->arena, setting->name),
        .value = copy_bytes(database, setting->value, setting->value_len),
        .value_len = setting->value_len,
    };
}

/* Where the sequence stands, or would. */
static size_t audit_place(const struct memory_database *database, uint64_t sequence) {
    size_t at = database->audit_count;
    while (at > 0 && database->audit[at - 1].sequence >= sequence) {
        at--;
    }
    return at;
}

/* Each instance numbers its own entries: equal numbers of two stand beside each other. */
static void write_audit(struct memory_database *database, const struct store_audit *audit) {
    size_t at = audit_place(database, audit->sequence);
    bool found = at < database->audit_count && database->audit[at].sequence == audit->sequence;
    if (audit->again && !found) {
        return;
    }
    struct store_audit *copy =
        audit->again ? &database->audit[at]
                     : make_room((void **)&database->audit, &database->audit_count, sizeof(*audit), at);
    *copy = *audit;
    copy->entry = copy_bytes(database, audit->entry, audit->entry_len);
}

/* ---- the transactions ---- */

static void *copy_array(struct memory_database *database, const void *items, size_t count, size_t size) {
    void *copy = arena_alloc(&database->arena, count * size + 1);
    assert(copy != NULL);
    if (count > 0) {
        memcpy(copy, items, count * size);
    }
    return copy;
}

/* A value whose absence means a deletion. */
static void *copy_value(struct memory_database *database, const void *value, size_t len) {
    return value == NULL ? NULL : copy_bytes(database, value, len);
}

static void keep_entry(struct memory_database *database, const struct store_batch *batch) {
    struct store_change *changes =
        copy_array(database, batch->changes, batch->change_count, sizeof(*changes));
    struct store_sealed *sealed = copy_array(database, batch->sealed, batch->sealed_count, sizeof(*sealed));
    struct store_setting *settings =
        copy_array(database, batch->settings, batch->setting_count, sizeof(*settings));
    for (size_t i = 0; i < batch->change_count; i++) {
        changes[i].kind = arena_strdup(&database->arena, changes[i].kind);
        changes[i].name = arena_strdup(&database->arena, changes[i].name);
        changes[i].actor = arena_strdup(&database->arena, changes[i].actor);
        changes[i].body = copy_bytes(database, changes[i].body, changes[i].body_len);
        changes[i].request =
            copy_value(database, changes[i].request, changes[i].request ? strlen(changes[i].request) : 0);
        changes[i].reason =
            copy_value(database, changes[i].reason, changes[i].reason ? strlen(changes[i].reason) : 0);
    }
    for (size_t i = 0; i < batch->sealed_count; i++) {
        sealed[i].object = arena_strdup(&database->arena, sealed[i].object);
        sealed[i].item = arena_strdup(&database->arena, sealed[i].item);
        sealed[i].nonce = copy_value(database, sealed[i].nonce, sealed[i].nonce_len);
        sealed[i].ciphertext = copy_value(database, sealed[i].ciphertext, sealed[i].ciphertext_len);
    }
    for (size_t i = 0; i < batch->setting_count; i++) {
        settings[i].name = arena_strdup(&database->arena, settings[i].name);
        settings[i].value = copy_value(database, settings[i].value, settings[i].value_len);
    }
    struct memory_entry *entry =
        make_room((void **)&database->entries, &database->entry_count, sizeof(*entry), database->entry_count);
    *entry = (struct memory_entry){.revision = database->revision,
                                   .batch = {.changes = changes,
                                             .change_count = batch->change_count,
                                             .sealed = sealed,
                                             .sealed_count = batch->sealed_count,
                                             .settings = settings,
                                             .setting_count = batch->setting_count,
                                             .base = database->commit++}};
}

static bool is_guarded(const struct store_batch *batch) {
    return batch->change_count + batch->sealed_count + batch->setting_count > 0;
}

/* Would this commit be kept? */
static int check_commit(struct memory_database *database, const struct store_batch *batch, struct err *err) {
    if (database->failure != ERR_NONE) {
        return err_set(err, database->failure, "the test wants commits to fail");
    }
    if (database->change_limit > 0 && batch->change_count > database->change_limit) {
        return err_set(err, ERR_TOO_LARGE, "the test wants smaller transactions");
    }
    if (is_guarded(batch) && batch->base != database->commit) {
        database->conflicts++;
        return err_set(err, ERR_CONFLICT, "commit %llu is not the newest", (unsigned long long)batch->base);
    }
    assert(batch->change_count == 0 || batch->changes[0].revision > database->revision);
    return 0;
}

static void tell_others(struct memory_store *committer) {
    struct memory_database *database = committer->database;
    pthread_mutex_lock(&database->watch_lock);
    for (size_t i = 0; i < MEMORY_HANDLES_MAX; i++) {
        struct memory_store *other = database->handles[i];
        if (other != NULL && other != committer && other->changed != NULL) {
            other->changed(other->arg);
        }
    }
    pthread_mutex_unlock(&database->watch_lock);
}

static int memory_commit(struct store *store, const struct store_batch *batch, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    pthread_mutex_lock(&database->gate);
    pthread_mutex_unlock(&database->gate);
    pthread_mutex_lock(&database->lock);
    int failed = check_commit(database, batch, err);
    for (size_t i = 0; failed == 0 && i < batch->change_count; i++) {
        write_change(database, &batch->changes[i]);
    }
    for (size_t i = 0; failed == 0 && i < batch->sealed_count; i++) {
        write_sealed(database, &batch->sealed[i]);
    }
    for (size_t i = 0; failed == 0 && i < batch->setting_count; i++) {
        write_setting(database, &batch->settings[i]);
    }
    for (size_t i = 0; failed == 0 && i < batch->audit_count; i++) {
        write_audit(database, &batch->audit[i]);
    }
    for (size_t i = 0; failed == 0 && i < batch->transition_count; i++) {
        memory_write_transition(database, &batch->transitions[i]);
    }
    for (size_t i = 0; failed == 0 && i < batch->given_count; i++) {
        memory_write_given(database, &batch->given[i]);
    }
    if (failed == 0 && is_guarded(batch)) {
        keep_entry(database, batch);
    }
    if (failed == 0 && batch->change_count > database->largest) {
        database->largest = batch->change_count;
    }
    pthread_mutex_unlock(&database->lock);
    if (failed == 0 && is_guarded(batch)) {
        tell_others((struct memory_store *)store);
    }
    return failed;
}

/* Of what lies before `past`, the newest state of each object is kept. */
static void drop_replaced(struct memory_database *database) {
    for (size_t i = 0; i < database->change_count;) { /* a deletion stays until what it ends is gone */
        const struct store_change *old = &database->changes[i];
        bool superfluous = old->revision <= database->past && old->op == STORE_DELETE;
        for (size_t k = i + 1; k < database->change_count && !superfluous; k++) {
            const struct store_change *later = &database->changes[k];
            superfluous = later->revision <= database->past && strcmp(later->kind, old->kind) == 0 &&
                          strcmp(later->name, old->name) == 0;
        }
        if (superfluous) {
            take_out(database->changes, &database->change_count, sizeof(*database->changes), i);
        } else {
            i++;
        }
    }
}

static int memory_compact(struct store *store, const struct store_keep *keep, bool *ret_more,
                          uint64_t *ret_compacted, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    size_t rows = 0;
    uint64_t bytes = 0;
    (void)err;
    pthread_mutex_lock(&database->lock);
    database->compacting += database->failure != ERR_NONE;
    for (size_t i = 0; i < database->change_count; i++) {
        rows += database->changes[i].revision > database->past;
        bytes += database->changes[i].revision > database->past
                     ? STORE_CHANGE_BYTES + database->changes[i].body_len
                     : 0;
    }
    uint64_t past = database->past;
    for (size_t i = 0; i < database->change_count && rows > keep->changes; i++) {
        const struct store_change *change = &database->changes[i];
        if (change->revision <= past) {
            continue;
        }
        if (change->time_ms >= keep->since_ms && bytes <= keep->bytes) {
            break;
        }
        database->past = change->revision;
        database->past_ms = change->time_ms;
        rows--;
        bytes -= STORE_CHANGE_BYTES + change->body_len;
    }
    memory_trim_given(database);
    drop_replaced(database);
    database->compacted = database->past;
    while (database->entry_count > 0 && database->entries[0].revision <= database->compacted) {
        take_out(database->entries, &database->entry_count, sizeof(*database->entries), 0);
    }
    *ret_more = false;
    *ret_compacted = database->compacted;
    pthread_mutex_unlock(&database->lock);
    return 0;
}

static int memory_drop_audit(struct store *store, const uint64_t *sequences, size_t count, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    (void)err;
    pthread_mutex_lock(&database->lock);
    for (size_t i = 0; i < count; i++) {
        size_t at = audit_place(database, sequences[i]);
        if (at < database->audit_count && database->audit[at].sequence == sequences[i]) {
            take_out(database->audit, &database->audit_count, sizeof(*database->audit), at);
        }
    }
    pthread_mutex_unlock(&database->lock);
    return 0;
}

/* ---- reading ---- */

static struct store_status status_of(const struct memory_database *database) {
    return (struct store_status){.revision = database->revision,
                                 .compacted = database->compacted,
                                 .past = database->past,
                                 .past_ms = database->past_ms,
                                 .commit = database->commit};
}

static int memory_status(struct store *store, struct store_status *ret, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    (void)err;
    pthread_mutex_lock(&database->lock);
    *ret = status_of(database);
    pthread_mutex_unlock(&database->lock);
    return 0;
}

static int memory_load(struct store *store, const struct store_reader *reader, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    const struct store_status status = status_of(database);
    if (reader->moment != NULL) {
        reader->moment(reader->arg, &status);
    }
    for (size_t i = 0; reader->setting != NULL && failed == 0 && i < database->setting_count; i++) {
        failed = reader->setting(reader->arg, &database->settings[i], err);
    }
    for (size_t i = 0; reader->sealed != NULL && failed == 0 && i < database->sealed_count; i++) {
        failed = reader->sealed(reader->arg, &database->sealed[i], err);
    }
    for (size_t i = 0; reader->object != NULL && failed == 0 && i < database->object_count; i++) {
        const struct memory_object *object = &database->objects[i];
        failed = reader->object(reader->arg, object->kind, object->name, object->revision, object->body,
                                object->body_len, err);
    }
    if (failed == 0 && database->broken != ERR_NONE) {
        failed = err_set(err, database->broken, "the test wants loads to fail");
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

static int memory_read_changes(struct store *store, uint64_t after, size_t limit,
                               int (*row)(void *arg, const struct store_change *change, struct err *err),
                               void *arg, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    if (after < database->compacted) {
        failed = err_set(err, ERR_EXPIRED, "compacted");
    }
    size_t passed = 0;
    for (size_t i = 0; failed == 0 && i < database->change_count && (limit == 0 || passed < limit); i++) {
        if (database->changes[i].revision > after) {
            failed = row(arg, &database->changes[i], err);
            passed++;
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

static int memory_read_entries(struct store *store, uint64_t after,
                               int (*row)(void *arg, const struct store_batch *batch, struct err *err),
                               void *arg, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    if (after < database->commit - database->entry_count) {
        failed = err_set(err, ERR_EXPIRED, "the entries after %llu are gone", (unsigned long long)after);
    }
    for (size_t i = 0; failed == 0 && i < database->entry_count; i++) {
        if (database->entries[i].batch.base >= after) {
            failed = row(arg, &database->entries[i].batch, err);
        }
    }
    pthread_mutex_unlock(&database->lock);
    return failed;
}

static int memory_read_audit(struct store *store, uint64_t keep,
                             int (*row)(void *arg, const struct store_audit *audit, struct err *err),
                             void *arg, uint64_t *ret_newest, struct err *err) {
    struct memory_database *database = memory_database_of(store);
    int failed = 0;
    pthread_mutex_lock(&database->lock);
    size_t count = database->audit_count;
    uint64_t newest = count > 0 ? database->audit[count - 1].sequence : 0;
    for (size_t i = 0; failed == 0 && i < count; i++) {
        if (database->audit[i].sequence + keep > newest) {
            failed = row(arg, &database->audit[i], err);
        }
    }
    *ret_newest = newest;
    pthread_mutex_unlock(&database->lock);
    return failed;
}

static void memory_sizes(struct store *store, struct store_figures *ret) {
    (void)store;
    (void)ret; /* there are no files */
}

/* ---- life ---- */

static void memory_watch(struct store *store, void (*changed)(void *arg), void *arg) {
    struct memory_store *handle = (struct memory_store *)store;
    pthread_mutex_lock(&handle->database->watch_lock);
    handle->changed = changed;
    handle->arg = arg;
    pthread_mutex_unlock(&handle->database->watch_lock);
}

static void memory_close(struct store *store) {
    struct memory_database *database = memory_database_of(store);
    pthread_mutex_lock(&database->watch_lock);
    for (size_t i = 0; i < MEMORY_HANDLES_MAX; i++) {
        if (database->handles[i] == (struct memory_store *)store) {
            database->handles[i] = NULL;
        }
    }
    pthread_mutex_unlock(&database->watch_lock);
    free(store);
}

struct store *memory_open(struct memory_database *database) {
    static const struct store_ops ops = {
        .close = memory_close,
        .status = memory_status,
        .load = memory_load,
        .commit = memory_commit,
        .read_changes = memory_read_changes,
        .read_entries = memory_read_entries,
        .watch = memory_watch,
        .compact = memory_compact,
        .read_history = memory_read_history,
        .read_past = memory_read_past,
        .find_time = memory_find_time,
        .read_given = memory_read_given,
        .read_audit = memory_read_audit,
        .drop_audit = memory_drop_audit,
        .read_transitions = memory_read_transitions,
        .trim_transitions = memory_trim_transitions,
        .sizes = memory_sizes,
    };
    struct memory_store *handle = calloc(1, sizeof(*handle));
    size_t free_place = 0;
    assert(handle != NULL);
    *handle = (struct memory_store){.base = {.ops = &ops}, .database = database};
    pthread_mutex_lock(&database->watch_lock);
    while (database->handles[free_place] != NULL) {
        assert(++free_place < MEMORY_HANDLES_MAX);
    }
    database->handles[free_place] = handle;
    pthread_mutex_unlock(&database->watch_lock);
    return &handle->base;
}

/* ---- as a driver ---- */

void memory_address(struct memory_database *database, char out[MEMORY_ADDRESS_MAX]) {
    size_t i = 0;
    while (named[i] != NULL && named[i] != database) {
        assert(++i < MEMORY_HANDLES_MAX);
    }
    named[i] = database;
    (void)snprintf(out, MEMORY_ADDRESS_MAX, "memory:%zu", i);
}

static int memory_driver_open(const char *place, const struct store_options *options, struct store **ret,
                              struct err *err) {
    size_t i = strtoul(place, NULL, 10);
    (void)options;
    if (i >= MEMORY_HANDLES_MAX || named[i] == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no database memory:%s", place);
    }
    *ret = memory_open(named[i]);
    return 0;
}

const struct store_driver MEMORY_DRIVER = {.name = "memory", .open = memory_driver_open};
