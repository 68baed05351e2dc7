/*
 * What a fleet in etcd answers is compared with the store in memory, write for write, its past and what
 * others follow included.
 *
 * Needs an etcd in PATH (make deps-etcd); says so and passes without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "etcd_fleet.h"
#include "store_memory.h"

/* ---- like the twin in memory ---- */

static int dump_history(void *arg, const struct store_change *change, struct err *err) {
    (void)err;
    buf_printf(arg, "%" PRIu64 " %d %s %s %" PRId64 " %s %" PRIu64 " %s %s %.*s\n", change->revision,
               (int)change->op, change->kind, change->name, change->time_ms, change->actor, change->txn,
               change->request != NULL ? change->request : "", change->reason != NULL ? change->reason : "",
               (int)change->body_len, change->body);
    return 0;
}

static int dump_entry(void *arg, const struct store_batch *batch, struct err *err) {
    buf_printf(arg, "transaction %" PRIu64 "\n", batch->base);
    for (size_t i = 0; i < batch->change_count; i++) {
        (void)dump_history(arg, &batch->changes[i], err);
    }
    for (size_t i = 0; i < batch->sealed_count; i++) {
        if (batch->sealed[i].ciphertext == NULL) {
            buf_printf(arg, "gone %s %s\n", batch->sealed[i].object, batch->sealed[i].item);
        } else {
            (void)dump_sealed(arg, &batch->sealed[i], err);
        }
    }
    for (size_t i = 0; i < batch->setting_count; i++) {
        const struct store_setting *setting = &batch->settings[i];
        if (setting->value == NULL) {
            buf_printf(arg, "gone %s\n", setting->name);
        } else {
            (void)dump_setting(arg, setting, err);
        }
    }
    return 0;
}

struct lines {
    char *items[256];
    size_t count;
};

static int note_past(void *arg, const char *kind, const char *name, const struct store_change *change,
                     struct err *err) {
    struct lines *lines = arg;
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s %s ", kind, name);
    if (change != NULL) {
        (void)dump_history(&text, change, err);
    }
    assert_true(lines->count < 256);
    lines->items[lines->count++] = buf_steal(&text, NULL);
    return 0;
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* They come in no order. */
static char *past_text(struct store *store, uint64_t revision, uint64_t upto) {
    struct lines lines = {.count = 0};
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int result = store_read_past(store, revision, upto, note_past, &lines, &err);
    qsort(lines.items, lines.count, sizeof(lines.items[0]), compare_lines);
    for (size_t i = 0; i < lines.count; i++) {
        buf_printf(&text, "%s\n", lines.items[i]);
        free(lines.items[i]);
    }
    buf_printf(&text, "%d %d", result, (int)err.code);
    return buf_steal(&text, NULL);
}

static char *history_text(struct store *store, const struct store_history_query *query) {
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int result = store_read_history(store, query, dump_history, &text, &err);
    buf_printf(&text, "%d %d", result, (int)err.code);
    return buf_steal(&text, NULL);
}

static char *changes_text(struct store *store, uint64_t after, size_t limit) {
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int result = store_read_changes(store, after, limit, dump_history, &text, &err);
    buf_printf(&text, "%d %d", result, (int)err.code);
    return buf_steal(&text, NULL);
}

static char *entries_text(struct store *store, uint64_t after) {
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    int result = store_read_entries(store, after, dump_entry, &text, &err);
    if (result != 0) {
        buf_clear(&text); /* it may have begun */
    }
    buf_printf(&text, "%d %d", result, (int)err.code);
    return buf_steal(&text, NULL);
}

/* Without the schema's number, which is one's own. */
static char *content_of(struct store *store) {
    char *text = dump(store);
    char *rest = strchr(text, '\n') + 1;
    memmove(text, rest, strlen(rest) + 1);
    return text;
}

static uint64_t next_random(uint64_t *random) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 33;
}

static void same_answers(struct store *const stores[2], uint64_t *random) {
    const struct store_status status = status_of(stores[0]);
    uint64_t some = next_random(random) % (status.revision + 1);
    const struct store_status other = status_of(stores[1]);
    assert_int_equal(status.revision, other.revision);
    assert_int_equal(status.compacted, other.compacted);
    assert_int_equal(status.past, other.past);
    assert_int_equal(status.past_ms, other.past_ms);
    assert_int_equal(status.commit, other.commit);
    same_text(content_of(stores[0]), content_of(stores[1]));
    same_text(past_text(stores[0], some, status.revision), past_text(stores[1], some, status.revision));
    uint64_t later = some + next_random(random) % (status.revision - some + 1);
    same_text(past_text(stores[0], some, later), past_text(stores[1], some, later));
    same_text(changes_text(stores[0], some, 7), changes_text(stores[1], some, 7));
    uint64_t commit = next_random(random) % (status.commit + 1);
    same_text(entries_text(stores[0], commit), entries_text(stores[1], commit));
    for (int i = 0; i < 8; i++) {
        const struct store_history_query query = {.kind = i & 1 ? "Secret" : NULL,
                                                  .name = i & 2 ? "default/s3" : NULL,
                                                  .after = i & 4 ? some : 0,
                                                  .below = i & 4 ? later + 1 : 0,
                                                  .oldest_first = next_random(random) % 2 != 0,
                                                  .limit = next_random(random) % 5};
        same_text(history_text(stores[0], &query), history_text(stores[1], &query));
    }
    int64_t time_ms = 1700000000000 + (int64_t)(next_random(random) % (status.revision + 3)) - 1;
    uint64_t found[2] = {0, 0};
    struct err errs[2] = {ERR_INIT, ERR_INIT};
    assert_int_equal(store_find_time(stores[0], time_ms, &found[0], &errs[0]),
                     store_find_time(stores[1], time_ms, &found[1], &errs[1]));
    assert_int_equal(errs[0].code, errs[1].code);
    assert_int_equal(found[0], found[1]);
}

static int dump_transition(void *arg, const struct store_transition *row, struct err *err) {
    (void)err;
    buf_printf(arg, "%" PRIu64 " %" PRId64 " %s %s %u %s %s %s %u %s\n", row->sequence, row->time_ms,
               row->node, row->peer, (unsigned)row->port, row->remote, row->was, row->became,
               (unsigned)row->folded, row->message);
    return 0;
}

static char *transitions_text(struct store *store, uint64_t below, size_t limit) {
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    assert_int_equal(store_read_transitions(store, below, limit, dump_transition, &text, &err), 0);
    buf_add_char(&text, '.');
    return buf_steal(&text, NULL);
}

static void same_transitions(struct store *const stores[2]) {
    for (uint64_t below = 0; below < 16; below += 5) {
        for (size_t limit = 0; limit < 4; limit += 3) {
            same_text(transitions_text(stores[0], below, limit), transitions_text(stores[1], below, limit));
        }
    }
}

static void transitions_are_kept_as_by_the_twin(void **state) {
    struct memory_database database;
    struct store *other = open_instance(*state, 1);
    struct store *stores[2];
    struct store_transition rows[12];
    memory_init(&database);
    stores[0] = open_instance(*state, 0);
    stores[1] = memory_open(&database);
    for (size_t i = 0; i < 12; i++) {
        rows[i] = (struct store_transition){.sequence = i + 1,
                                            .time_ms = (int64_t)i * 1000,
                                            .node = "n1",
                                            .peer = "192.0.2.1",
                                            .port = i % 2 ? 179 : 1179,
                                            .remote = i % 3 ? "n2" : "",
                                            .was = "Established",
                                            .became = "Down",
                                            .folded = (uint32_t)i,
                                            .message = "why"};
    }
    const struct store_batch batch = {.transitions = rows, .transition_count = 12};
    must_commit(stores[0], &batch);
    must_commit(stores[1], &batch);
    same_transitions(stores);
    for (uint64_t upto = 3; upto < 20; upto += 4) { /* fewer than there are, and more */
        bool more[2];
        struct err err = ERR_INIT;
        for (int i = 0; i < 2; i++) {
            assert_int_equal(store_trim_transitions(stores[i], upto, 2, &more[i], &err), 0);
        }
        assert_int_equal(more[0], more[1]);
        same_transitions(stores);
    }
    /* They are this instance's, and still there when it comes again. */
    same_text(transitions_text(other, 0, 0), strdup("."));
    store_close(stores[0]);
    stores[0] = open_instance(*state, 0);
    same_transitions(stores);
    store_close(stores[0]);
    store_close(stores[1]);
    store_close(other);
    memory_done(&database);
}

#define NAMES 10
struct author {
    uint64_t random;
    uint64_t revision;
    uint64_t sequence;
    bool there[NAMES];
    char names[NAMES][24];
};

/* A transaction of up to four changes, perhaps of the same object, with values and settings. */
static void commit_some(struct store *const stores[2], struct author *author) {
    static const char *const items[] = {"a", "b", "b-c", "c"};
    struct store_change changes[4];
    struct store_sealed sealed[8];
    size_t change_count = next_random(&author->random) % 5;
    size_t sealed_count = 0;
    uint64_t txn = author->revision + 1;
    for (size_t i = 0; i < change_count; i++) {
        size_t which = next_random(&author->random) % NAMES;
        enum store_op op = !author->there[which]              ? STORE_CREATE
                           : next_random(&author->random) % 2 ? STORE_UPDATE
                                                              : STORE_DELETE;
        author->there[which] = op != STORE_DELETE;
        changes[i] = change_of(op, which % 2 ? "Secret" : "Node", author->names[which], ++author->revision,
                               which % 3 ? "{\"a\":1}" : "");
        changes[i].txn = txn;
        changes[i].time_ms = 1700000000000 + (int64_t)txn;
        changes[i].request = i == 0 ? "request" : "";
        changes[i].reason = i == 0 ? "because" : "";
    }
    for (size_t i = 0; i < 2; i++) {
        size_t which = (next_random(&author->random) % (NAMES / 2)) * 2 + 1;
        if (author->there[which]) {
            bool gone = next_random(&author->random) % 4 == 0;
            sealed[sealed_count++] = (struct store_sealed){.object = author->names[which],
                                                           .item = items[next_random(&author->random) % 4],
                                                           .version = author->sequence + 1,
                                                           .key_id = 1,
                                                           .nonce = "n\0",
                                                           .nonce_len = 2,
                                                           .ciphertext = gone ? NULL : "c\0\xff",
                                                           .ciphertext_len = 3};
        }
    }
    const char *name = author->names[next_random(&author->random) % NAMES];
    const struct store_setting setting = {
        .name = name, .value = next_random(&author->random) % 3 ? "v" : NULL, .value_len = 1};
    bool again = author->sequence > 0 && next_random(&author->random) % 4 == 0;
    const struct store_audit audit = {.sequence = again ? author->sequence : ++author->sequence,
                                      .again = again,
                                      .time_ms = (int64_t)(author->sequence % 7),
                                      .entry = again ? "{\"again\":1}" : "{}",
                                      .entry_len = again ? 11 : 2};
    const struct store_batch batch = {.changes = changes,
                                      .change_count = change_count,
                                      .sealed = sealed,
                                      .sealed_count = sealed_count,
                                      .settings = &setting,
                                      .setting_count = next_random(&author->random) % 2,
                                      .audit = &audit,
                                      .audit_count = 1};
    must_commit(stores[0], &batch);
    must_commit(stores[1], &batch);
}

static void drop_some_audit(struct store *const stores[2], const struct author *author) {
    uint64_t sequences[150]; /* more than one group, and some that never were */
    struct err err = ERR_INIT;
    for (size_t i = 0; i < 150; i++) {
        sequences[i] = author->sequence > 10 ? author->sequence - 10 + i : i + 1;
    }
    assert_int_equal(store_drop_audit(stores[0], sequences, 150, &err), 0);
    assert_int_equal(store_drop_audit(stores[1], sequences, 150, &err), 0);
}

/* The twin drops single changes, etcd whole transactions: what is kept is cut where both can. */
static void compact_some(struct store *const stores[2], struct author *author) {
    struct err err = ERR_INIT;
    bool more = true;
    uint64_t compacted[2] = {0, 0};
    while (more) {
        assert_int_equal(
            store_compact(stores[0], &(struct store_keep){.changes = 40}, &more, &compacted[0], &err), 0);
    }
    const struct store_status status = status_of(stores[0]);
    uint64_t keep = status.revision - status.compacted;
    assert_true(keep >= 40 || status.compacted == 0);
    assert_int_equal(
        store_compact(stores[1], &(struct store_keep){.changes = keep}, &more, &compacted[1], &err), 0);
    assert_int_equal(compacted[0], compacted[1]);
    (void)author;
}

static void it_answers_as_the_twin_does(void **state) {
    struct memory_database database;
    struct store *stores[2];
    struct author author = {.random = 11};
    memory_init(&database);
    stores[0] = open_instance(*state, 0);
    stores[1] = memory_open(&database);
    for (size_t i = 0; i < NAMES; i++) {
        (void)snprintf(author.names[i], sizeof(author.names[i]), "default/s%s%zu", i % 4 == 1 ? "-" : "", i);
    }
    for (int i = 0; i < 150; i++) {
        commit_some(stores, &author);
        if (i % 10 == 9) {
            same_answers(stores, &author.random);
        }
        if (i % 40 == 39) {
            compact_some(stores, &author);
            drop_some_audit(stores, &author);
            same_answers(stores, &author.random);
        }
    }
    store_close(stores[0]);
    stores[0] = open_instance(*state, 0); /* all of it is there again */
    same_answers(stores, &author.random);
    store_close(stores[0]);
    store_close(stores[1]);
    memory_done(&database);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLEET(it_answers_as_the_twin_does),
        FLEET(transitions_are_kept_as_by_the_twin),
    };
    return run_fleet_tests("store: etcd and its twin", tests, sizeof(tests) / sizeof(tests[0]));
}
