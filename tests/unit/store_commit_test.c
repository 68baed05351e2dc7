/*
 * What the store keeps: round trips, order, all-or-nothing, the change log and its compaction, through
 * store.h only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "store_fixture.h"

#define SECRET "default/bgp"

static struct store_sealed sealed_of(const char *object, const char *item, uint64_t version,
                                     const char *ciphertext) {
    return (struct store_sealed){.object = object,
                                 .item = item,
                                 .version = version,
                                 .key_id = 7,
                                 .nonce = "nonce",
                                 .nonce_len = 5,
                                 .ciphertext = ciphertext,
                                 .ciphertext_len = ciphertext != NULL ? strlen(ciphertext) : 0};
}

static int try_sealed(struct store *store, const struct store_sealed *sealed, struct err *err) {
    return store_commit(store, &(struct store_batch){.sealed = sealed, .sealed_count = 1}, err);
}

static void everything_survives_reopening(void **state) {
    struct store *store = must_open(*state);
    struct store_change changes[] = {
        change_of(STORE_CREATE, "Secret", SECRET, 3, "{}"),
        change_of(STORE_CREATE, "BGPPeer", "tor", 5, "{\"a\":1}"),
        change_of(STORE_UPDATE, "BGPPeer", "tor", 6, "{\"a\":\"\xc3\xa9\xe2\x82\xac\"}"),
        change_of(STORE_CREATE, "Node", "n1", 9, ""),
        change_of(STORE_CREATE, "Node", "n2", 10, "{}"),
        change_of(STORE_DELETE, "Node", "n2", 11, "{\"last\":true}"),
        change_of(STORE_CREATE, "Node", "nul", INT64_MAX, "a\0b\0"),
    };
    changes[6].body_len = 4;
    changes[4].actor = "";
    changes[5].time_ms = -1;
    changes[6].time_ms = INT64_MIN;
    struct store_sealed sealed = sealed_of(SECRET, "password", 1, "");
    sealed.ciphertext = "\0\1\2\xff";
    sealed.ciphertext_len = 4;
    sealed.key_id = INT64_MAX;
    sealed.nonce_len = 0;
    struct store_setting settings[] = {
        {.name = "vault/key/3", .value = "\0k", .value_len = 2},
        {.name = "empty", .value = "", .value_len = 0},
    };
    must_commit(store, &(struct store_batch){.changes = changes,
                                             .change_count = 7,
                                             .sealed = &sealed,
                                             .sealed_count = 1,
                                             .settings = settings,
                                             .setting_count = 2});
    static const char expected[] =
        "revision 9223372036854775807 compacted 0 schema " SCHEMA "\n"
        "setting empty \"\"\n"
        "setting vault/key/3 \"\\u0000k\"\n"
        "sealed default/bgp password 1 9223372036854775807 \"\"\"\\u0000\\u0001\\u0002\xff\"\n"
        "object BGPPeer tor 6 \"{\\\"a\\\":\\\"\xc3\xa9\xe2\x82\xac\\\"}\"\n"
        "object Node n1 9 \"\"\n"
        "object Node nul 9223372036854775807 \"a\\u0000b\\u0000\"\n"
        "object Secret default/bgp 3 \"{}\"\n"
        "change 3 1 Secret default/bgp 1700000000003 tester \"{}\"\n"
        "change 5 1 BGPPeer tor 1700000000005 tester \"{\\\"a\\\":1}\"\n"
        "change 6 2 BGPPeer tor 1700000000006 tester \"{\\\"a\\\":\\\"\xc3\xa9\xe2\x82\xac\\\"}\"\n"
        "change 9 1 Node n1 1700000000009 tester \"\"\n"
        "change 10 1 Node n2 1700000000010  \"{}\"\n"
        "change 11 3 Node n2 -1 tester \"{\\\"last\\\":true}\"\n"
        "change 9223372036854775807 1 Node nul -9223372036854775808 tester \"a\\u0000b\\u0000\"\n";
    char *written = dump(store);
    assert_string_equal(written, expected);
    store_close(store);
    store = must_open(*state);
    assert_dump(store, written);
    free(written);
    store_close(store);
}

static void a_new_store_is_empty(void **state) {
    struct store *store = must_open(*state);
    assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\n");
    must_commit(store, &(struct store_batch){.change_count = 0});
    assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\n");
    store_close(store);
    store_close(NULL);
}

struct body_check {
    const char *body;
    size_t len;
    int seen;
};

static int check_body(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                      size_t body_len, struct err *err) {
    (void)kind;
    (void)name;
    (void)revision;
    (void)err;
    struct body_check *check = arg;
    assert_int_equal(body_len, check->len);
    assert_memory_equal(body, check->body, body_len);
    check->seen++;
    return 0;
}

static void big_bodies_are_kept(void **state) {
    size_t len = 9 * 1024 * 1024 + 13;
    char *body = malloc(len);
    assert_non_null(body);
    for (size_t i = 0; i < len; i++) {
        body[i] = (char)('!' + i % 89);
    }
    struct store *store = must_open(*state);
    struct store_change change = change_of(STORE_CREATE, "Node", "big", 1, "");
    change.body = body;
    change.body_len = len;
    must_commit(store, &(struct store_batch){.changes = &change, .change_count = 1});
    store_close(store);
    store = must_open(*state);
    struct body_check check = {.body = body, .len = len};
    struct err err = ERR_INIT;
    assert_int_equal(store_load(store, &(struct store_reader){.object = check_body, .arg = &check}, &err), 0);
    assert_int_equal(check.seen, 1);
    store_close(store);
    free(body);
}

static void objects_come_in_order_of_kind_and_name(void **state) {
    static const char *const names[] = {"b", "a-b", "a", "B", "a.b", "ab", "\xc3\xa9"};
    static const char *const sorted[] = {"B", "a", "a-b", "a.b", "ab", "b", "\xc3\xa9"};
    struct store *store = must_open(*state);
    struct buf expected = BUF_INIT;
    struct buf found = BUF_INIT;
    uint64_t revision = 0;
    for (size_t i = 0; i < 7; i++) {
        must_change(store, STORE_CREATE, "Node", names[i], ++revision, "");
        must_change(store, STORE_CREATE, "BGPPeer", names[i], ++revision, "");
    }
    for (size_t i = 0; i < 14; i++) {
        const char *name = sorted[i % 7];
        for (uint64_t k = 0; k < 7; k++) {
            if (strcmp(names[k], name) == 0) {
                dump_object(&expected, i < 7 ? "BGPPeer" : "Node", name, 2 * k + (i < 7 ? 2 : 1), "", 0,
                            NULL);
            }
        }
    }
    struct err err = ERR_INIT;
    assert_int_equal(store_load(store, &(struct store_reader){.object = dump_object, .arg = &found}, &err),
                     0);
    assert_string_equal(found.data, expected.data);
    buf_done(&expected);
    buf_done(&found);
    store_close(store);
}

static void disagreement_is_refused_and_changes_nothing(void **state) {
    static const struct {
        enum store_op op;
        const char *name;
        uint64_t revision;
        const char *says;
    } cases[] = {
        {STORE_CREATE, "n1", 11, "exists"},
        {STORE_UPDATE, "n2", 11, "does not exist"},
        {STORE_DELETE, "n2", 11, "does not exist"},
        {STORE_UPDATE, "n1", 10, "already stored"},
        {STORE_UPDATE, "n1", 9, "already stored"},
        {STORE_UPDATE, "n1", 0, "revision"},
        {STORE_UPDATE, "n1", (uint64_t)INT64_MAX + 1, "revision"},
        {(enum store_op)4, "n1", 11, "operation"},
        {(enum store_op)0, "n1", 11, "operation"},
    };
    struct store *store = must_open(*state);
    must_change(store, STORE_CREATE, "Node", "n1", 10, "{}");
    char *before = dump(store);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(try_change(store, cases[i].op, "Node", cases[i].name, cases[i].revision, "x", &err),
                         -1);
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_dump(store, before);
    }
    must_change(store, STORE_UPDATE, "Node", "n1", 11, "{}");
    free(before);
    store_close(store);
}

static void a_batch_is_all_or_nothing(void **state) {
    struct store *store = must_open(*state);
    must_change(store, STORE_CREATE, "Node", "n1", 1, "{}");
    char *before = dump(store);
    struct store_setting setting = {.name = "s", .value = "v", .value_len = 1};
    struct store_change changes[] = {
        change_of(STORE_CREATE, "Node", "n2", 2, "{}"),
        change_of(STORE_UPDATE, "Node", "n1", 3, "{}"),
        change_of(STORE_CREATE, "Node", "n2", 4, "{}"),
    };
    struct store_batch batch = {
        .changes = changes, .change_count = 3, .settings = &setting, .setting_count = 1};
    struct err err = ERR_INIT;
    assert_int_equal(store_commit(store, &batch, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_dump(store, before);

    changes[2].revision = 3; /* not above its neighbour's */
    changes[2].name = "n3";
    err_clear(&err);
    assert_int_equal(store_commit(store, &batch, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_dump(store, before);

    changes[2].revision = 4;
    must_commit(store, &batch);
    assert_int_equal(status_of(store).revision, 4);
    free(before);
    store_close(store);
}

static void sealed_values_live_and_die_with_their_secret(void **state) {
    struct store *store = must_open(*state);
    struct err err = ERR_INIT;
    char *empty = dump(store);
    struct store_sealed orphan = sealed_of(SECRET, "k", 1, "c1");
    assert_int_equal(try_sealed(store, &orphan, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_dump(store, empty);
    free(empty);

    must_change(store, STORE_CREATE, "Secret", SECRET, 1, "{}");
    must_change(store, STORE_CREATE, "Secret", "default/other", 2, "{}");
    struct store_sealed both[] = {sealed_of(SECRET, "k", 1, "c1"), sealed_of(SECRET, "l", 1, "d1"),
                                  sealed_of("default/other", "k", 1, "e1")};
    must_commit(store, &(struct store_batch){.sealed = both, .sealed_count = 3});
    struct store_sealed next[] = {sealed_of(SECRET, "k", 2, "c2"), sealed_of(SECRET, "l", 0, NULL),
                                  sealed_of(SECRET, "never there", 0, NULL)};
    must_commit(store, &(struct store_batch){.sealed = next, .sealed_count = 3});
    struct buf found = BUF_INIT;
    struct store_reader reader = {.sealed = dump_sealed, .arg = &found};
    assert_int_equal(store_load(store, &reader, &err), 0);
    assert_string_equal(found.data, "sealed default/bgp k 2 7 \"nonce\"\"c2\"\n"
                                    "sealed default/other k 1 7 \"nonce\"\"e1\"\n");
    must_change(store, STORE_DELETE, "Secret", SECRET, 3, "{}");
    buf_clear(&found);
    assert_int_equal(store_load(store, &reader, &err), 0);
    assert_string_equal(found.data, "sealed default/other k 1 7 \"nonce\"\"e1\"\n");
    buf_done(&found);

    struct store_sealed zero = sealed_of("default/other", "k", 0, "x");
    assert_int_equal(try_sealed(store, &zero, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    store_close(store);
}

static void settings_are_replaced_and_deleted(void **state) {
    struct store *store = must_open(*state);
    struct store_setting first[] = {{.name = "a", .value = "1", .value_len = 1},
                                    {.name = "b", .value = "2", .value_len = 1}};
    struct store_setting second[] = {
        {.name = "a", .value = "11", .value_len = 2}, {.name = "b"}, {.name = "c"}};
    must_commit(store, &(struct store_batch){.settings = first, .setting_count = 2});
    must_commit(store, &(struct store_batch){.settings = second, .setting_count = 3});
    assert_dump(store, "revision 0 compacted 0 schema " SCHEMA "\nsetting a \"11\"\n");
    store_close(store);
}

static struct store_audit audit_of(uint64_t sequence, const char *entry) {
    return (struct store_audit){
        .sequence = sequence, .time_ms = 7, .entry = entry, .entry_len = strlen(entry)};
}

static int audit_newest(struct store *store, uint64_t keep, struct buf *text, uint64_t *ret) {
    struct err err = ERR_INIT;
    buf_clear(text);
    buf_add_str(text, "");
    return store_read_audit(store, keep, dump_audit, text, ret, &err);
}

static void the_audit_trail_is_written_read_and_trimmed(void **state) {
    struct store *store = must_open(*state);
    struct store_change change = change_of(STORE_CREATE, "Node", "n", 1, "{}");
    struct store_audit rows[] = {audit_of(2, "{\"b\":1}"), audit_of(1, "{}")}, bad;
    struct store_batch batch = {.changes = &change, .change_count = 1, .audit = rows, .audit_count = 2};
    struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    uint64_t newest = 99;

    assert_int_equal(audit_newest(store, 10, &text, &newest), 0);
    assert_int_equal(newest, 0);
    must_commit(store, &batch);
    /* With its change or not at all; and never twice. */
    change = change_of(STORE_CREATE, "Node", "n", 2, "{}");
    rows[0].sequence = 3;
    rows[1].sequence = 4;
    assert_int_equal(store_commit(store, &batch, &err), -1);
    change = change_of(STORE_CREATE, "Node", "m", 2, "{}");
    rows[1].sequence = 1;
    assert_int_equal(store_commit(store, &batch, &err), -1);
    bad = (struct store_audit){.sequence = 0, .entry = "", .entry_len = 0};
    assert_int_equal(store_commit(store, &(struct store_batch){.audit = &bad, .audit_count = 1}, &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_dump(
        store,
        "revision 1 compacted 0 schema " SCHEMA "\nobject Node n 1 \"{}\"\n"
        "change 1 1 Node n 1700000000001 tester \"{}\"\naudit 1 7 \"{}\"\naudit 2 7 \"{\\\"b\\\":1}\"\n");
    store_close(store);

    store = must_open(*state);
    struct store_audit many[5000];
    for (uint64_t i = 0; i < 5000; i++) {
        many[i] = audit_of(10 + i, "x");
    }
    must_commit(store, &(struct store_batch){.audit = many, .audit_count = 5000});
    assert_int_equal(audit_newest(store, 2, &text, &newest), 0);
    assert_int_equal(newest, 5009);
    assert_string_equal(text.data, "audit 5008 7 \"x\"\naudit 5009 7 \"x\"\n");
    /* Whichever are named, there or not. */
    uint64_t sequences[5007];
    for (uint64_t i = 0; i < 5007; i++) {
        sequences[i] = 1 + i;
    }
    assert_int_equal(store_drop_audit(store, sequences, 5007, &err), 0);
    assert_int_equal(audit_newest(store, INT64_MAX, &text, &newest), 0);
    assert_string_equal(text.data, "audit 5008 7 \"x\"\naudit 5009 7 \"x\"\n");
    /* One that is stored again takes its own place. */
    struct store_audit again = audit_of(5008, "y");
    again.again = true;
    must_commit(store, &(struct store_batch){.audit = &again, .audit_count = 1});
    again.sequence = 77; /* was dropped meanwhile: stays so */
    must_commit(store, &(struct store_batch){.audit = &again, .audit_count = 1});
    assert_int_equal(audit_newest(store, INT64_MAX, &text, &newest), 0);
    assert_string_equal(text.data, "audit 5008 7 \"y\"\naudit 5009 7 \"x\"\n");
    buf_done(&text);
    store_close(store);
}

struct stop_after {
    int rows;
    int stop;
    uint64_t last;
};

static int count_change(void *arg, const struct store_change *change, struct err *err) {
    struct stop_after *stop = arg;
    if (stop->rows == stop->stop) {
        return err_set(err, ERR_TOO_LARGE, "enough");
    }
    assert_true(change->revision > stop->last);
    stop->last = change->revision;
    stop->rows++;
    return 0;
}

static int refuse_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                         size_t body_len, struct err *err) {
    (void)kind;
    (void)revision;
    (void)body;
    (void)body_len;
    ++*(int *)arg;
    return err_set(err, ERR_INVALID, "no %s", name);
}

static void a_callback_can_stop_reading(void **state) {
    struct store *store = must_open(*state);
    for (uint64_t i = 1; i <= 20; i++) {
        char name[24];
        (void)snprintf(name, sizeof(name), "n%02" PRIu64, i);
        must_change(store, STORE_CREATE, "Node", name, i * 10, "{}");
    }
    struct err err = ERR_INIT;
    struct stop_after stop = {.stop = 5};
    assert_int_equal(store_read_changes(store, 0, 0, count_change, &stop, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_int_equal(stop.last, 50);
    err_clear(&err);
    int calls = 0;
    struct store_reader reader = {.object = refuse_object, .arg = &calls};
    assert_int_equal(store_load(store, &reader, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "no n01");
    assert_int_equal(calls, 1);
    must_change(store, STORE_DELETE, "Node", "n01", 500, "{}"); /* nothing is left locked */
    store_close(store);
}

static void the_change_log_is_read_from_any_revision(void **state) {
    static const struct {
        uint64_t after;
        size_t limit;
        int rows;
        uint64_t last;
    } cases[] = {
        {0, 0, 20, 200},  {0, 3, 3, 30},  {9, 1, 1, 10},   {10, 1, 1, 20},        {195, 0, 1, 200},
        {199, 0, 1, 200}, {200, 0, 0, 0}, {5000, 0, 0, 0}, {UINT64_MAX, 0, 0, 0}, {0, SIZE_MAX, 20, 200},
    };
    struct store *store = must_open(*state);
    for (uint64_t i = 1; i <= 20; i++) {
        must_change(store, i == 1 ? STORE_CREATE : STORE_UPDATE, "Node", "n", i * 10, "{}");
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct stop_after found = {.stop = 1000};
        assert_int_equal(
            store_read_changes(store, cases[i].after, cases[i].limit, count_change, &found, &err), 0);
        assert_int_equal(found.rows, cases[i].rows);
        assert_int_equal(found.last, cases[i].last);
    }
    store_close(store);
}

static uint64_t must_compact(struct store *store, uint64_t keep) {
    uint64_t compacted = 0;
    struct err err = ERR_INIT;
    bool more = false;
    if (store_compact(store, &(struct store_keep){.changes = keep}, &more, &compacted, &err) < 0) {
        fail_msg("store_compact: %s", err.text);
    }
    assert_int_equal(status_of(store).compacted, compacted);
    return compacted;
}

static void compaction_is_bounded_and_remembered(void **state) {
    enum { ROWS = 2500 };
    struct store *store = must_open(*state);
    struct store_change *changes = calloc(ROWS, sizeof(*changes));
    assert_non_null(changes);
    for (uint64_t i = 0; i < ROWS; i++) {
        changes[i] = change_of(i == 0 ? STORE_CREATE : STORE_UPDATE, "Node", "n", 2 * (i + 1), "{}");
    }
    must_commit(store, &(struct store_batch){.changes = changes, .change_count = ROWS});
    free(changes);
    assert_int_equal(must_compact(store, ROWS), 0);
    assert_int_equal(must_compact(store, UINT64_MAX), 0);
    assert_int_equal(must_compact(store, ROWS - 3), 6);
    assert_int_equal(must_compact(store, ROWS - 3), 6);
    assert_int_equal(must_compact(store, 100), 2006); /* 1000 rows a call */
    assert_int_equal(must_compact(store, 100), 4006);
    assert_int_equal(must_compact(store, 100), 4800);
    assert_int_equal(must_compact(store, 100), 4800);

    struct err err = ERR_INIT;
    struct stop_after found = {.stop = ROWS};
    assert_int_equal(store_read_changes(store, 4799, 0, count_change, &found, &err), -1);
    assert_int_equal(err.code, ERR_EXPIRED);
    assert_int_equal(found.rows, 0);
    assert_int_equal(store_read_changes(store, 4800, 0, count_change, &found, &err), 0);
    assert_int_equal(found.rows, 100);
    must_change(store, STORE_DELETE, "Node", "n", 6000, "{}");
    assert_int_equal(must_compact(store, 0), 6000);
    store_close(store);

    store = must_open(*state); /* no object, no log, but the newest revision is known */
    assert_dump(store, "revision 6000 compacted 6000 schema " SCHEMA "\n");
    err_clear(&err);
    assert_int_equal(try_change(store, STORE_CREATE, "Node", "n", 6000, "{}", &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    must_change(store, STORE_CREATE, "Node", "n", 6001, "{}");
    store_close(store);
}

struct reading {
    struct store *store;
    atomic_bool stop;
    atomic_int loads;
};

static int count_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                        size_t body_len, struct err *err) {
    (void)kind;
    (void)name;
    (void)revision;
    (void)body;
    (void)body_len;
    (void)err;
    ++*(uint64_t *)arg;
    return 0;
}

static void *read_on(void *arg) {
    struct reading *reading = arg;
    uint64_t last = 0;
    while (!atomic_load(&reading->stop)) {
        struct err err = ERR_INIT;
        uint64_t objects = 0;
        struct store_reader reader = {.object = count_object, .arg = &objects};
        struct stop_after changes = {.stop = -1};
        if (store_load(reading->store, &reader, &err) < 0 ||
            store_read_changes(reading->store, 0, 0, count_change, &changes, &err) < 0) {
            return "reading failed";
        }
        /* Each commit adds two objects and two changes: no half batch is ever seen. */
        if (objects % 2 != 0 || objects < last || changes.last % 2 != 0 || changes.last < objects) {
            return "a half batch, or an older state, was seen";
        }
        last = objects;
        atomic_fetch_add(&reading->loads, 1);
    }
    return NULL;
}

static void reading_and_committing_go_on_together(void **state) {
    struct store *store = must_open(*state);
    struct reading reading = {.store = store};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading), 0);
    }
    for (uint64_t i = 1; i <= 400 || atomic_load(&reading.loads) < 4; i += 2) {
        char names[2][24];
        struct store_change changes[2];
        for (uint64_t k = 0; k < 2; k++) {
            (void)snprintf(names[k], sizeof(names[k]), "n%" PRIu64, i + k);
            changes[k] = change_of(STORE_CREATE, "Node", names[k], i + k, "{}");
        }
        must_commit(store, &(struct store_batch){.changes = changes, .change_count = 2});
    }
    atomic_store(&reading.stop, true);
    for (size_t i = 0; i < 2; i++) {
        void *failure = NULL;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        if (failure != NULL) {
            fail_msg("%s", (const char *)failure);
        }
    }
    store_close(store);
}

static void figures_count_commits_and_know_sizes(void **state) {
    struct store *store = must_open(*state);
    struct store_figures before, after;
    struct err err = ERR_INIT;
    char path[PATH_TEXT_MAX];
    size_t len;

    store_figures(store, &before);
    assert_int_equal(histogram_count(&before.commits), 0);
    assert_int_equal(before.commits.sum, 0);
    struct store_change change = change_of(STORE_CREATE, "Node", "n1", 1, "{}");
    must_commit(store, &(struct store_batch){.changes = &change, .change_count = 1});
    must_commit(store, &(struct store_batch){.changes = NULL}); /* nothing to write: no transaction */
    change.revision = 2;                                        /* creates what exists */
    assert_int_equal(store_commit(store, &(struct store_batch){.changes = &change, .change_count = 1}, &err),
                     -1);
    store_figures(store, &after);
    assert_int_equal(histogram_count(&after.commits), 2);
    assert_int_equal(after.commit_failures, 1);
    assert_true(after.commits.sum > 0);
    free(read_file(path_in(path, *state, "bgppeerd.db"), &len));
    assert_int_equal(after.database_bytes, len);
    free(read_file(path_in(path, *state, "bgppeerd.db-wal"), &len));
    assert_int_equal(after.log_bytes, len);
    assert_true(len > 0);
    assert_true(after.free_bytes > 0);
    store_close(store);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup_dir, teardown_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(a_new_store_is_empty),
        IN_DIR(everything_survives_reopening),
        IN_DIR(big_bodies_are_kept),
        IN_DIR(objects_come_in_order_of_kind_and_name),
        IN_DIR(disagreement_is_refused_and_changes_nothing),
        IN_DIR(a_batch_is_all_or_nothing),
        IN_DIR(sealed_values_live_and_die_with_their_secret),
        IN_DIR(settings_are_replaced_and_deleted),
        IN_DIR(the_audit_trail_is_written_read_and_trimmed),
        IN_DIR(a_callback_can_stop_reading),
        IN_DIR(the_change_log_is_read_from_any_revision),
        IN_DIR(compaction_is_bounded_and_remembered),
        IN_DIR(reading_and_committing_go_on_together),
        IN_DIR(figures_count_commits_and_know_sizes),
    };
    return cmocka_run_group_tests_name("store: commit", tests, NULL, NULL);
}
