/*
 * The reading half of the SQLite store: status, load, the change log. Each call is one read transaction
 * on the reader's connection, so it sees one state however many commits happen meanwhile.
 *
 * The reader's lock is held for the whole call, callbacks included: a callback must not read the same
 * store. Commits are not held up. The sizes are asked of the filesystem, without the lock.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "sqlite_store.h"

static int read_uuid(struct query *query, unsigned char ret[STORE_UUID_SIZE], struct err *err) {
    size_t len = 0;
    const void *uuid = query_blob(query, 5, &len, err);
    if (uuid == NULL) {
        return -1;
    }
    if (len != STORE_UUID_SIZE) {
        return err_set(
            err, ERR_CORRUPT,
            "the database %s has a uuid of %zu bytes; keep a copy of the file and restore the newest "
            "backup",
            query->connection->path, len);
    }
    memcpy(ret, uuid, STORE_UUID_SIZE);
    return 1;
}

static int read_meta(struct connection *connection, enum query_id id, struct store_meta *ret,
                     struct err *err) {
    struct query query;
    query_begin(&query, connection, id);
    int stepped = query_step(&query, "read the newest revision", err);
    struct store_meta meta = {0};
    if (stepped == 1) {
        meta.revision = (uint64_t)query_number(&query, 0);
        meta.compacted = (uint64_t)query_number(&query, 1);
        meta.change_rows = (uint64_t)query_number(&query, 2);
        meta.commits = (uint64_t)query_number(&query, 3);
        meta.content = (uint64_t)query_number(&query, 4);
        meta.past = (uint64_t)query_number(&query, 6);
        meta.past_ms = query_number(&query, 7);
        meta.change_bytes = (uint64_t)query_number(&query, 8);
        stepped = read_uuid(&query, meta.uuid, err);
    } else if (stepped == 0) {
        stepped = err_set(err, ERR_CORRUPT,
                          "the database %s lacks its record of the newest revision; stop the service, keep a "
                          "copy of the file and restore the newest backup",
                          connection->path);
    }
    query_end(&query);
    if (stepped < 0) {
        return -1;
    }
    *ret = meta;
    return 0;
}

int sqlite_read_meta(struct connection *connection, struct store_meta *ret, struct err *err) {
    return read_meta(connection, QUERY_META, ret, err);
}

int sqlite_read_identity(struct connection *connection, struct store_meta *ret, struct err *err) {
    return read_meta(connection, QUERY_IDENTITY, ret, err);
}

static struct sqlite_store *of(struct store *store) {
    return (struct sqlite_store *)store;
}

int sqlite_read_begin(struct sqlite_store *store, struct err *err) {
    (void)pthread_mutex_lock(&store->reader_lock);
    if (query_simple(&store->reader, QUERY_BEGIN_READ, "begin reading", err) < 0) {
        (void)pthread_mutex_unlock(&store->reader_lock);
        return -1;
    }
    return 0;
}

void sqlite_read_end(struct sqlite_store *store) {
    /* Ending a read changes nothing, so its failure has nothing to tell; a severe error may have ended the
     * transaction already. */
    if (sqlite3_get_autocommit(store->reader.db) == 0) {
        struct err ignored = ERR_INIT;
        (void)!query_simple(&store->reader, QUERY_ROLLBACK, "end reading", &ignored);
    }
    (void)pthread_mutex_unlock(&store->reader_lock);
}

static struct store_status status_from(const struct sqlite_store *store, const struct store_meta *meta) {
    return (struct store_status){.revision = meta->revision,
                                 .compacted = meta->compacted,
                                 .past = meta->past,
                                 .past_ms = meta->past_ms,
                                 .schema_version = store->schema_version};
}

int sqlite_store_status(struct store *base, struct store_status *ret, struct err *err) {
    struct sqlite_store *store = of(base);
    struct store_meta meta;
    if (sqlite_read_begin(store, err) < 0) {
        return -1;
    }
    int failed = sqlite_read_meta(&store->reader, &meta, err);
    sqlite_read_end(store);
    if (failed == 0) {
        *ret = status_from(store, &meta);
    }
    return failed;
}

static uint64_t size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0 ? (uint64_t)status.st_size : 0;
}

void sqlite_store_sizes(struct store *base, struct store_figures *ret) {
    const char *path = of(base)->path;
    char log_path[PATH_MAX];
    struct statvfs system;
    ret->database_bytes = size_of(path);
    if (snprintf(log_path, sizeof(log_path), "%s-wal", path) < (int)sizeof(log_path)) {
        ret->log_bytes = size_of(log_path);
    }
    if (statvfs(path, &system) == 0) {
        ret->free_bytes = (uint64_t)system.f_bavail * system.f_frsize;
    }
}

static int load_setting(struct query *query, void *arg, struct err *err) {
    const struct store_reader *reader = arg;
    struct store_setting setting = {.name = query_text(query, 0, NULL, err)};
    if (setting.name == NULL) {
        return -1;
    }
    setting.value = query_blob(query, 1, &setting.value_len, err);
    if (setting.value == NULL) {
        return -1;
    }
    return reader->setting(reader->arg, &setting, err);
}

static int load_sealed(struct query *query, void *arg, struct err *err) {
    const struct store_reader *reader = arg;
    struct store_sealed sealed = {.object = query_text(query, 0, NULL, err)};
    if (sealed.object == NULL) {
        return -1;
    }
    sealed.item = query_text(query, 1, NULL, err);
    if (sealed.item == NULL) {
        return -1;
    }
    sealed.version = (uint64_t)query_number(query, 2);
    sealed.key_id = (uint64_t)query_number(query, 3);
    sealed.nonce = query_blob(query, 4, &sealed.nonce_len, err);
    if (sealed.nonce == NULL) {
        return -1;
    }
    sealed.ciphertext = query_blob(query, 5, &sealed.ciphertext_len, err);
    if (sealed.ciphertext == NULL) {
        return -1;
    }
    return reader->sealed(reader->arg, &sealed, err);
}

/* Passes the objects on and sums them up. */
struct object_loader {
    const struct store_reader *reader;
    uint64_t sum;
};

static int load_object(struct query *query, void *arg, struct err *err) {
    struct object_loader *loader = arg;
    const struct store_reader *reader = loader->reader;
    size_t body_len = 0;
    const char *kind = query_text(query, 0, NULL, err);
    const char *name = kind != NULL ? query_text(query, 1, NULL, err) : NULL;
    const char *body = name != NULL ? query_text(query, 3, &body_len, err) : NULL;
    if (body == NULL) {
        return -1;
    }
    uint64_t revision = (uint64_t)query_number(query, 2);
    loader->sum += sqlite_object_digest(kind, name, revision, body, body_len);
    return reader->object(reader->arg, kind, name, revision, body, body_len, err);
}

/* Give each row of one query to `load`. */
static int load_all(struct connection *connection, enum query_id id, const char *action,
                    int (*load)(struct query *query, void *arg, struct err *err), void *arg,
                    struct err *err) {
    struct query query;
    query_begin(&query, connection, id);
    int stepped = query_step(&query, action, err);
    while (stepped == 1) {
        stepped = load(&query, arg, err) < 0 ? -1 : query_step(&query, action, err);
    }
    query_end(&query);
    return stepped;
}

int sqlite_load_vault(struct connection *connection, const struct store_reader *reader, struct err *err) {
    struct store_reader copy = *reader;
    int failed = 0;
    if (reader->setting != NULL) {
        failed = load_all(connection, QUERY_SETTINGS, "read the settings", load_setting, &copy, err);
    }
    if (failed == 0 && reader->sealed != NULL) {
        failed = load_all(connection, QUERY_SEALED, "read the sealed values", load_sealed, &copy, err);
    }
    return failed;
}

static int load_objects(struct connection *connection, const struct store_reader *reader, struct err *err) {
    struct object_loader loader = {.reader = reader};
    struct store_meta meta;
    if (sqlite_read_meta(connection, &meta, err) < 0 ||
        load_all(connection, QUERY_OBJECTS, "read the objects", load_object, &loader, err) < 0) {
        return -1;
    }
    return loader.sum == meta.content ? 0 : sqlite_content_differs(connection, err);
}

static int tell_moment(struct sqlite_store *store, const struct store_reader *reader, struct err *err) {
    struct store_meta meta;
    if (reader->moment == NULL) {
        return 0;
    }
    if (sqlite_read_meta(&store->reader, &meta, err) < 0) {
        return -1;
    }
    const struct store_status status = status_from(store, &meta);
    reader->moment(reader->arg, &status);
    return 0;
}

int sqlite_store_load(struct store *base, const struct store_reader *reader, struct err *err) {
    struct sqlite_store *store = of(base);
    if (sqlite_read_begin(store, err) < 0) {
        return -1;
    }
    int failed = tell_moment(store, reader, err);
    if (failed == 0) {
        failed = sqlite_load_vault(&store->reader, reader, err);
    }
    if (failed == 0 && reader->object != NULL) {
        failed = load_objects(&store->reader, reader, err);
    }
    /* The cache is full of pages that nobody needs again. */
    (void)sqlite3_db_release_memory(store->reader.db);
    sqlite_read_end(store);
    return failed;
}

int sqlite_read_change(struct query *query, int column, struct store_change *ret, struct err *err) {
    struct store_change change = {
        .revision = (uint64_t)query_number(query, column),
        .op = (enum store_op)query_number(query, column + 1),
        .time_ms = query_number(query, column + 4),
        .txn = (uint64_t)query_number(query, column + 7),
    };
    const struct {
        const char **text;
        int column;
        size_t *len;
    } texts[] = {
        {&change.kind, 2, NULL},    {&change.name, 3, NULL},
        {&change.actor, 5, NULL},   {&change.body, 6, &change.body_len},
        {&change.request, 8, NULL}, {&change.reason, 9, NULL},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        *texts[i].text = query_text(query, column + texts[i].column, texts[i].len, err);
        if (*texts[i].text == NULL) {
            return -1;
        }
    }
    *ret = change;
    return 0;
}

static int pass_change(struct query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) {
    struct store_change change;
    return sqlite_read_change(query, 0, &change, err) != 0 ? -1 : row(arg, &change, err);
}

static int read_changes(struct sqlite_store *store, uint64_t after, size_t limit,
                        int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                        struct err *err) {
    const char *action = "read the change log";
    struct store_meta meta;
    if (sqlite_read_meta(&store->reader, &meta, err) < 0) {
        return -1;
    }
    if (after < meta.compacted) {
        return err_set(err, ERR_EXPIRED,
                       "the changes after revision %" PRIu64 " are gone: the log was compacted up to %" PRIu64
                       "; list again and continue from the list's resourceVersion",
                       after, meta.compacted);
    }
    if (after >= meta.revision) {
        return 0; /* also keeps `after` in SQLite's range */
    }
    struct query query;
    query_begin(&query, &store->reader, QUERY_CHANGES);
    query_bind_number(&query, 1, (int64_t)after);
    query_bind_number(&query, 2, limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit);
    int stepped = query_step(&query, action, err);
    while (stepped == 1) {
        stepped = pass_change(&query, row, arg, err) < 0 ? -1 : query_step(&query, action, err);
    }
    query_end(&query);
    return stepped;
}

int sqlite_store_read_changes(struct store *base, uint64_t after, size_t limit,
                              int (*row)(void *arg, const struct store_change *change, struct err *err),
                              void *arg, struct err *err) {
    struct sqlite_store *store = of(base);
    if (sqlite_read_begin(store, err) < 0) {
        return -1;
    }
    int failed = read_changes(store, after, limit, row, arg, err);
    sqlite_read_end(store);
    return failed;
}

static int read_audit(struct sqlite_store *store, uint64_t keep,
                      int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                      uint64_t *ret_newest, struct err *err) {
    const char *action = "read the audit trail";
    struct query query;
    query_begin(&query, &store->reader, QUERY_AUDIT_NEWEST);
    int stepped = query_step(&query, action, err);
    uint64_t newest = stepped == 1 ? (uint64_t)query_number(&query, 0) : 0;
    query_end(&query);
    if (stepped < 0) {
        return -1;
    }
    query_begin(&query, &store->reader, QUERY_AUDIT);
    query_bind_number(&query, 1, newest > keep ? (int64_t)(newest - keep) : 0);
    stepped = query_step(&query, action, err);
    while (stepped == 1) {
        struct store_audit audit = {.sequence = (uint64_t)query_number(&query, 0),
                                    .time_ms = query_number(&query, 1)};
        audit.entry = query_text(&query, 2, &audit.entry_len, err);
        stepped = audit.entry == NULL || row(arg, &audit, err) < 0 ? -1 : query_step(&query, action, err);
    }
    query_end(&query);
    if (stepped < 0) {
        return -1;
    }
    *ret_newest = newest;
    return 0;
}

int sqlite_store_read_audit(struct store *base, uint64_t keep,
                            int (*row)(void *arg, const struct store_audit *audit, struct err *err),
                            void *arg, uint64_t *ret_newest, struct err *err) {
    struct sqlite_store *store = of(base);
    if (sqlite_read_begin(store, err) < 0) {
        return -1;
    }
    int failed = read_audit(store, keep, row, arg, ret_newest, err);
    sqlite_read_end(store);
    return failed;
}
