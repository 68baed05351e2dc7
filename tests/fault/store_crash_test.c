/*
 * kill -9 while committing. A child commits batch after batch and reports each acknowledged revision
 * through a pipe; it is killed at a random moment, and the store it leaves must hold every batch it has
 * reported, and no half of any other. The seed is printed; STORE_CRASH_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "../unit/store_fixture.h"

enum { ROUNDS = 30, LONGEST_US = 60000, BATCH_MAX = 8, COMPACT_KEEP = 200 };

/*
 * Batch number b, at revisions b*10+1 … b*10+count: creates, updates and deletes whose outcome the number
 * tells. Object "o<b>-<i>" is created by batch b and deleted by batch b+1, except the first, which stays.
 */
static unsigned batch_size(uint64_t b) {
    return 1 + (unsigned)(b * 7 % (BATCH_MAX / 2));
}

static size_t fill_batch(uint64_t b, struct store_change changes[BATCH_MAX + 1],
                         char names[BATCH_MAX + 1][48]) {
    size_t count = 0;
    uint64_t revision = b * 10;
    for (unsigned i = 0; i < batch_size(b); i++, count++) {
        (void)snprintf(names[count], sizeof(names[count]), "o%" PRIu64 "-%u", b, i);
        changes[count] = change_of(STORE_CREATE, "Node", names[count], ++revision, "{\"hold\":true}");
    }
    for (unsigned i = 1; b > 1 && i < batch_size(b - 1); i++, count++) {
        (void)snprintf(names[count], sizeof(names[count]), "o%" PRIu64 "-%u", b - 1, i);
        changes[count] = change_of(STORE_DELETE, "Node", names[count], ++revision, "{\"hold\":true}");
    }
    return count;
}

/* The child: never returns. It reports with plain writes and must not use cmocka. */
static _Noreturn void commit_until_killed(const char *dir, uint64_t b, int report) {
    struct err err = ERR_INIT;
    struct store *store = NULL;
    if (store_open(&(struct store_options){.dir = dir}, &store, &err) < 0) {
        (void)dprintf(STDERR_FILENO, "child: %s\n", err.text);
        _exit(1);
    }
    for (;; b++) {
        struct store_change changes[BATCH_MAX + 1];
        char names[BATCH_MAX + 1][48];
        char value[24];
        size_t count = fill_batch(b, changes, names);
        int len = snprintf(value, sizeof(value), "%" PRIu64, b);
        struct store_setting setting = {.name = "batch", .value = value, .value_len = (size_t)len};
        struct store_batch batch = {
            .changes = changes, .change_count = count, .settings = &setting, .setting_count = 1};
        uint64_t compacted = 0;
        if (store_commit(store, &batch, &err) < 0 || write(report, &b, sizeof(b)) != (ssize_t)sizeof(b) ||
            (b % 16 == 0 && store_compact(store, COMPACT_KEEP, &compacted, &err) < 0)) {
            (void)dprintf(STDERR_FILENO, "child: %s\n", err.text);
            _exit(1);
        }
    }
}

struct found {
    uint64_t batch;
    uint64_t objects;
    uint64_t changes;
    uint64_t last_change;
};

static int read_setting(void *arg, const struct store_setting *setting, struct err *err) {
    (void)err;
    char text[24] = "";
    assert_string_equal(setting->name, "batch");
    assert_true(setting->value_len < sizeof(text));
    memcpy(text, setting->value, setting->value_len);
    ((struct found *)arg)->batch = strtoull(text, NULL, 10);
    return 0;
}

static int read_object(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                       size_t body_len, struct err *err) {
    (void)err;
    uint64_t b = 0;
    unsigned i = 0;
    assert_string_equal(kind, "Node");
    assert_int_equal(sscanf(name, "o%" SCNu64 "-%u", &b, &i), 2);
    assert_int_equal(revision, b * 10 + i + 1);
    assert_int_equal(body_len, 13);
    assert_memory_equal(body, "{\"hold\":true}", 13);
    struct found *found = arg;
    assert_true(i == 0 || b == found->batch); /* the others were deleted by the next batch */
    found->objects++;
    return 0;
}

static int read_change(void *arg, const struct store_change *change, struct err *err) {
    (void)err;
    struct found *found = arg;
    assert_true(change->revision > found->last_change);
    found->last_change = change->revision;
    found->changes++;
    return 0;
}

/* The store holds batches 1 … b complete, b ≥ acknowledged, b ≤ acknowledged + 1. Returns b. */
static uint64_t check_store(const char *dir, uint64_t acknowledged) {
    struct store *store = must_open(dir);
    struct err err = ERR_INIT;
    struct found found = {0};
    struct store_reader reader = {.object = read_object, .setting = read_setting, .arg = &found};
    if (store_load(store, &reader, &err) < 0) {
        fail_msg("%s", err.text);
    }
    struct store_status status = status_of(store);
    assert_in_range(found.batch, acknowledged, acknowledged + 1);
    if (found.batch > 0) {
        assert_int_equal(found.objects, found.batch - 1 + batch_size(found.batch));
        struct store_change changes[BATCH_MAX + 1];
        char names[BATCH_MAX + 1][48];
        size_t count = fill_batch(found.batch, changes, names);
        assert_int_equal(status.revision, changes[count - 1].revision);
        assert_int_equal(store_read_changes(store, status.compacted, 0, read_change, &found, &err), 0);
        assert_int_equal(found.last_change, status.revision);
        assert_true(found.changes >= (found.batch > 200 ? COMPACT_KEEP : found.batch));
    }
    store_close(store);
    return found.batch;
}

static void every_acknowledged_batch_survives_kill(void **state) {
    const char *given = getenv("STORE_CRASH_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : random_u64() % 1000000;
    print_message("           seed %" PRIu64 " (STORE_CRASH_SEED=%" PRIu64 " repeats)\n", seed, seed);
    unsigned short random[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), 0x330e};
    uint64_t acknowledged = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int report[2];
        assert_int_equal(pipe2(report, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(report[0]);
            commit_until_killed(*state, acknowledged + 1, report[1]);
        }
        assert_int_equal(close(report[1]), 0);
        long pause_us = nrand48(random) % LONGEST_US;
        /* Sometimes while it opens, mostly while it commits. The pipe holds thousands of reports. */
        struct timespec pause = {.tv_nsec = pause_us * 1000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        uint64_t b = 0;
        while (read(report[0], &b, sizeof(b)) == (ssize_t)sizeof(b)) {
            assert_int_equal(b, acknowledged + 1);
            acknowledged = b;
        }
        assert_int_equal(close(report[0]), 0);
        acknowledged = check_store(*state, acknowledged);
    }
    print_message("           %" PRIu64 " batches over %d kills\n", acknowledged, ROUNDS);
    assert_true(acknowledged > 0);
}

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_acknowledged_batch_survives_kill, setup_dir, teardown_dir),
    };
    return cmocka_run_group_tests_name("store: crash", tests, NULL, NULL);
}
