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
#include "store_batches.h"

enum { ROUNDS = 30, LONGEST_US = 60000, SHORT_US = 2000, REPORTS_MAX = 40 };

/* The child: never returns. It reports with plain writes and must not use cmocka. */
static _Noreturn void commit_until_killed(const char *dir, uint64_t b, int report) {
    struct err err = ERR_INIT;
    struct store *store = NULL;
    if (store_open(&(struct store_options){.dir = dir}, &store, &err) < 0) {
        (void)dprintf(STDERR_FILENO, "child: %s\n", err.text);
        _exit(1);
    }
    for (;; b++) {
        if (batches_commit(store, b, &err) != 0 || write(report, &b, sizeof(b)) != (ssize_t)sizeof(b)) {
            (void)dprintf(STDERR_FILENO, "child: %s\n", err.text);
            _exit(1);
        }
    }
}

/* The store holds batches 1 … b complete, b ≥ acknowledged, b ≤ acknowledged + 1. Returns b. */
static uint64_t check_store(const char *dir, uint64_t acknowledged) {
    struct store *store = must_open(dir);
    struct err err = ERR_INIT;
    uint64_t last = 0;
    if (batches_check(store, acknowledged, &last, &err) != 0) {
        fail_msg("%s", err.text);
    }
    store_close(store);
    return last;
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
        /* In every fourth round perhaps while it opens, else while it commits, however fast it is. */
        uint64_t b = 0;
        long reports = round % 4 == 0 ? 0 : 1 + nrand48(random) % REPORTS_MAX;
        for (long i = 0; i < reports; i++) {
            assert_int_equal(read(report[0], &b, sizeof(b)), sizeof(b));
            assert_int_equal(b, acknowledged + 1);
            acknowledged = b;
        }
        struct timespec pause = {.tv_nsec = nrand48(random) % (reports == 0 ? LONGEST_US : SHORT_US) * 1000};
        (void)nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(report[0], &b, sizeof(b)) == (ssize_t)sizeof(b)) {
            assert_int_equal(b, acknowledged + 1);
            acknowledged = b;
        }
        assert_int_equal(close(report[0]), 0);
        acknowledged = check_store(*state, acknowledged);
    }
    print_message("           %" PRIu64 " batches over %d kills\n", acknowledged, ROUNDS);
    assert_true(acknowledged >= ROUNDS / 2);
}

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_acknowledged_batch_survives_kill, setup_memory_dir,
                                        teardown_dir),
    };
    return cmocka_run_group_tests_name("store: crash", tests, NULL, NULL);
}
