/*
 * Batch b writes objects, its number as a setting, and an audit entry, in one transaction. Object "o<b>-<i>"
 * is created by batch b and deleted by batch b+1, except the first, which stays. No state.
 */
#include "store_batches.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 8, COMPACT_KEEP = 200, COMPACT_EVERY = 16, BODY_MAX = 8192, REVISIONS = 10 };

struct filled {
    struct store_change changes[BATCH_MAX + 1];
    char names[BATCH_MAX + 1][48];
    char body[BODY_MAX];
    char before[BODY_MAX]; /* of the batch before */
    size_t count;
};

static unsigned batch_size(uint64_t b) {
    return 1 + (unsigned)(b * 7 % (BATCH_MAX / 2));
}

static size_t batch_body(uint64_t b, char out[BODY_MAX]) {
    int filler = (int)(b * 37 % 9 * 800);
    return (size_t)snprintf(out, BODY_MAX, "{\"batch\":%" PRIu64 ",\"filler\":\"%0*d\"}", b, filler + 1, 0);
}

static void batch_add(struct filled *filled, enum store_op op, uint64_t b, unsigned i, uint64_t revision,
                      const char *body, size_t len) {
    char *name = filled->names[filled->count];
    (void)snprintf(name, sizeof(filled->names[0]), "o%" PRIu64 "-%u", b, i);
    filled->changes[filled->count++] = (struct store_change){.op = op,
                                                             .kind = "Node",
                                                             .name = name,
                                                             .revision = revision,
                                                             .time_ms = 1700000000000,
                                                             .actor = "tester",
                                                             .body = body,
                                                             .body_len = len};
}

/* At revisions b*10+1 … */
static void batch_fill(uint64_t b, struct filled *filled) {
    uint64_t revision = b * REVISIONS;
    filled->count = 0;
    size_t len = batch_body(b, filled->body);
    for (unsigned i = 0; i < batch_size(b); i++) {
        batch_add(filled, STORE_CREATE, b, i, ++revision, filled->body, len);
    }
    len = batch_body(b - 1, filled->before);
    for (unsigned i = 1; b > 1 && i < batch_size(b - 1); i++) {
        batch_add(filled, STORE_DELETE, b - 1, i, ++revision, filled->before, len);
    }
}

int batches_commit(struct store *store, uint64_t b, struct err *err) {
    struct filled filled;
    char value[24];
    uint64_t compacted = 0;
    bool more = false;
    batch_fill(b, &filled);
    int len = snprintf(value, sizeof(value), "%" PRIu64, b);
    struct store_setting setting = {.name = "batch", .value = value, .value_len = (size_t)len};
    struct store_audit audit = {
        .sequence = b, .time_ms = 1700000000000, .entry = value, .entry_len = (size_t)len};
    struct store_batch batch = {.changes = filled.changes,
                                .change_count = filled.count,
                                .settings = &setting,
                                .setting_count = 1,
                                .audit = &audit,
                                .audit_count = 1};
    if (store_commit(store, &batch, err) != 0) {
        return -1;
    }
    return b % COMPACT_EVERY == 0
               ? store_compact(store, &(struct store_keep){.changes = COMPACT_KEEP}, &more, &compacted, err)
               : 0;
}

/* ---- checking ---- */

struct found {
    uint64_t batch;
    uint64_t objects;
    uint64_t changes;
    uint64_t last_change;
};

static int wrong(struct err *err, const char *what, const char *name) {
    return err_set(err, ERR_INTERNAL, "%s: %s", what, name);
}

static int check_setting(void *arg, const struct store_setting *setting, struct err *err) {
    struct found *found = arg;
    char text[24] = "";
    if (strcmp(setting->name, "batch") != 0 || setting->value_len >= sizeof(text)) {
        return wrong(err, "a setting that nobody wrote", setting->name);
    }
    memcpy(text, setting->value, setting->value_len);
    found->batch = strtoull(text, NULL, 10);
    return 0;
}

static int check_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                        size_t body_len, struct err *err) {
    struct found *found = arg;
    char expected[BODY_MAX];
    uint64_t b = 0;
    unsigned i = 0;
    if (strcmp(kind, "Node") != 0 || sscanf(name, "o%" SCNu64 "-%u", &b, &i) != 2 ||
        revision != b * REVISIONS + i + 1) {
        return wrong(err, "an object that nobody wrote", name);
    }
    size_t len = batch_body(b, expected);
    if (body_len != len || memcmp(body, expected, len) != 0) {
        return wrong(err, "another body than was written", name);
    }
    if (i != 0 && b != found->batch) {
        return wrong(err, "the next batch has deleted it", name);
    }
    found->objects++;
    return 0;
}

static int check_change(void *arg, const struct store_change *change, struct err *err) {
    struct found *found = arg;
    if (change->revision <= found->last_change) {
        return wrong(err, "changes out of order", change->name);
    }
    found->last_change = change->revision;
    found->changes++;
    return 0;
}

static int check_audit(void *arg, const struct store_audit *audit, struct err *err) {
    (void)err;
    *(uint64_t *)arg = audit->sequence;
    return 0;
}

static int check_counts(const struct found *found, const struct store_status *status, uint64_t audited,
                        struct err *err) {
    struct filled filled;
    uint64_t b = found->batch;
    batch_fill(b > 0 ? b : 1, &filled);
    uint64_t revision = b > 0 ? filled.changes[filled.count - 1].revision : 0;
    uint64_t objects = b > 0 ? b - 1 + batch_size(b) : 0;
    if (status->revision != revision || found->objects != objects || audited != b ||
        found->last_change != (found->changes > 0 ? revision : 0) ||
        found->changes < (b > COMPACT_KEEP ? COMPACT_KEEP : b)) {
        return err_set(err, ERR_INTERNAL,
                       "batch %" PRIu64 ": revision %" PRIu64 ", %" PRIu64 " objects, %" PRIu64
                       " changes up to %" PRIu64 ", audited up to %" PRIu64,
                       b, status->revision, found->objects, found->changes, found->last_change, audited);
    }
    return 0;
}

int batches_check(struct store *store, uint64_t acknowledged, uint64_t *ret_last, struct err *err) {
    struct found found = {.batch = 0};
    struct store_reader reader = {.object = check_object, .setting = check_setting, .arg = &found};
    struct store_status status;
    uint64_t audited = 0;
    uint64_t newest = 0;
    if (store_load(store, &reader, err) != 0 || store_status(store, &status, err) != 0 ||
        store_read_changes(store, status.compacted, 0, check_change, &found, err) != 0 ||
        store_read_audit(store, 1, check_audit, &audited, &newest, err) != 0) {
        return -1;
    }
    if (found.batch < acknowledged || found.batch > acknowledged + 1) {
        return err_set(err, ERR_INTERNAL, "it holds batches up to %" PRIu64 ", acknowledged were %" PRIu64,
                       found.batch, acknowledged);
    }
    *ret_last = found.batch;
    return check_counts(&found, &status, audited, err);
}
