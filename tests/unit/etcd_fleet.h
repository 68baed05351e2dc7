/*
 * What the tests of several instances over etcd share: one etcd for all tests of a program, and a fleet of
 * its own for each of them.
 *
 * Include after cmocka.h.
 */
#ifndef BGPPEERD_TESTS_UNIT_ETCD_FLEET_H
#define BGPPEERD_TESTS_UNIT_ETCD_FLEET_H

#include <time.h>

#include "etcd_fixture.h"
#include "store_fixture.h"

static struct etcd_server server; /* for all tests of a program */

/* A fleet of its own for each test. */
struct fleet {
    char *dir;
    char prefix[32];
    char data[4][PATH_TEXT_MAX];
};

static inline int fleet_setup(void **state) {
    static int number;
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    assert_non_null(fleet);
    assert_int_equal(setup_memory_dir((void **)&fleet->dir), 0);
    (void)snprintf(fleet->prefix, sizeof(fleet->prefix), "/fleet%d/", ++number);
    for (int i = 0; i < 4; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "data%d", i);
        path_in(fleet->data[i], fleet->dir, name);
    }
    *state = fleet;
    return 0;
}

static inline int fleet_teardown(void **state) {
    struct fleet *fleet = *state;
    remove_tree(fleet->dir);
    free(fleet->dir);
    free(fleet);
    return 0;
}

static inline int try_instance(const struct fleet *fleet, int which, struct store **ret, struct err *err) {
    return store_open(
        &(struct store_options){.store = server.address, .dir = fleet->data[which], .prefix = fleet->prefix},
        ret, err);
}

static inline struct store *open_instance(const struct fleet *fleet, int which) {
    struct store *store = NULL;
    struct err err = ERR_INIT;
    if (try_instance(fleet, which, &store, &err) != 0) {
        fail_msg("store_open: %s", err.text);
    }
    return store;
}

static inline void wait_until(bool (*done)(void *arg), void *arg) {
    time_t until = time(NULL) + 60;
    while (!done(arg)) {
        const struct timespec pause = {.tv_nsec = 5000000};
        if (time(NULL) > until) {
            fail_msg("it did not happen in 60 s");
        }
        nanosleep(&pause, NULL);
    }
}

static inline void same_text(char *one, char *other) {
    assert_string_equal(one, other);
    free(one);
    free(other);
}

#define FLEET(test) cmocka_unit_test_setup_teardown(test, fleet_setup, fleet_teardown)

static inline void needs_an_etcd(void **state) {
    (void)state;
    print_message("there is no etcd in PATH (make deps-etcd)\n");
    skip();
}

/* Run a program's tests over one etcd. */
static inline int run_fleet_tests(const char *name, const struct CMUnitTest *tests, size_t count) {
    char *dir = NULL;
    struct err err = ERR_INIT;
    if (!etcd_is_installed()) {
        const struct CMUnitTest none[] = {cmocka_unit_test(needs_an_etcd)};
        return cmocka_run_group_tests_name(name, none, NULL, NULL);
    }
    assert_int_equal(random_start(&err), 0);
    assert_int_equal(setup_memory_dir((void **)&dir), 0);
    etcd_start(&server, dir);
    int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    etcd_stop(&server);
    teardown_dir((void **)&dir);
    return failed;
}

#endif
