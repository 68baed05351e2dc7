/*
 * kill -9 at each step of both rotations: before every call that changes a file. A child runs the rotation
 * and kills itself at the Nth such call; afterwards everything must open and decrypt, for every N until the
 * rotation gets through, and a second rotation must finish what the first one left.
 *
 * The calls are counted by functions of the C library that this program defines in front of it, SQLite's
 * calls included. Children are forked while no thread runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/state_fixture.c"
#include "../unit/store_fixture.h"
#include "model/resources.h"

enum { SECRETS = 70 /* more than one batch of a rotation */, STEPS_MAX = 2000 };

/* ---- counting ---- */

static _Atomic long steps_left = -1; /* ≥ 0: so many calls are let through, then the process dies */

static void step(void) {
    if (steps_left >= 0 && steps_left-- == 0) {
        kill(getpid(), SIGKILL);
        for (;;) {
            pause();
        }
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset) {
    static __typeof__(&pwrite64) next;
    next = next != NULL ? next : NEXT(pwrite64);
    step();
    return next(fd, bytes, len, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    return pwrite64(fd, bytes, len, offset);
}
int fsync(int fd) {
    static __typeof__(&fsync) next;
    next = next != NULL ? next : NEXT(fsync);
    step();
    return next(fd);
}
int fdatasync(int fd) {
    static __typeof__(&fdatasync) next;
    next = next != NULL ? next : NEXT(fdatasync);
    step();
    return next(fd);
}
int ftruncate64(int fd, off64_t len) {
    static __typeof__(&ftruncate64) next;
    next = next != NULL ? next : NEXT(ftruncate64);
    step();
    return next(fd, len);
}
int ftruncate(int fd, off_t len) {
    return ftruncate64(fd, len);
}
int rename(const char *from, const char *to) {
    static __typeof__(&rename) next;
    next = next != NULL ? next : NEXT(rename);
    step();
    return next(from, to);
}
int unlink(const char *path) {
    static __typeof__(&unlink) next;
    next = next != NULL ? next : NEXT(unlink);
    step();
    return next(path);
}

/* ---- data ---- */

static void password_of(unsigned i, char out[32]) {
    snprintf(out, 32, "password-%u-%u", i, i * 7919);
}

static void make_data(struct fixture *fixture) {
    fixture_start(fixture, 0);
    for (unsigned i = 0; i < SECRETS; i++) {
        char json[256], password[32];
        password_of(i, password);
        snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"s%u\"},\"stringData\":{\"a\":\"%s\"}}", i,
                 password);
        assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, json, NULL), ERR_NONE);
        snprintf(json, sizeof json,
                 "{\"metadata\":{\"name\":\"p%u\"},\"spec\":{\"node\":\"n\",\"peerIP\":\"192.0.2.%u\","
                 "\"asNumber\":"
                 "64999,\"password\":{\"secretKeyRef\":{\"name\":\"s%u\",\"key\":\"a\"}}}}",
                 i, i + 1, i);
        assert_int_equal(put(fixture, WRITE_CREATE, KIND_BGPPEER, NULL, json, NULL), ERR_NONE);
    }
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL,
                         "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"192.0.2.200\","
                         "\"asNumber\":64512}}}",
                         NULL),
                     ERR_NONE);
    fixture_stop(fixture);
}

/* Every value is in its owner's list. */
static void assert_all_readable(struct fixture *fixture) {
    struct err err = ERR_INIT;
    struct buf list = BUF_INIT;
    char etag[DIGEST_TEXT_MAX];
    if (state_reveal_list(fixture->state, "n", &list, etag, &err) < 0) {
        fail_msg("%s", err.text);
    }
    for (unsigned i = 0; i < SECRETS; i++) {
        char password[32], quoted[40];
        password_of(i, password);
        snprintf(quoted, sizeof quoted, "\"%s\"", password);
        if (strstr(list.data, quoted) == NULL) {
            fail_msg("the value of s%u is not in the list", i);
        }
    }
    buf_done(&list);
}

/* ---- crashing ---- */

static int rotate(struct fixture *fixture, struct err *err) {
    return state_rotate_data_key(fixture->state, NULL, err);
}

static int change_root(struct fixture *fixture, struct err *err) {
    const struct vault_new_root in_place = {.key_file = NULL};
    bool restart = false;
    return state_change_root_key(fixture->state, &in_place, &restart, err);
}

/* true: killed at step `n`; false: it got through before. */
static bool crash_at(struct fixture *fixture, long n,
                     int (*change)(struct fixture *fixture, struct err *err)) {
    pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = ERR_INIT;
        fixture_start(fixture, 0);
        steps_left = n;
        int failed = change(fixture, &err);
        steps_left = -1;
        if (failed < 0) {
            fprintf(stderr, "child: %s\n", err.text);
        }
        _exit(failed < 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* What a rotation that was cut short leaves, the next one brings to its end. */
static void assert_finishes(struct fixture *fixture,
                            int (*change)(struct fixture *fixture, struct err *err)) {
    struct vault_report report;
    struct err err = ERR_INIT;
    if (change(fixture, &err) < 0 || rotate(fixture, &err) < 0 ||
        state_vault_report(fixture->state, &report, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_all_readable(fixture);
    assert_int_equal(report.unreadable, 0);
    assert_int_equal(report.keys.key_count, 1);
    assert_int_equal(report.keys.keys[0].values, SECRETS);
    assert_string_equal(report.keys.pending_id, "");
}

/* … and so does the service, when nobody asks for it. *ret_unfinished: there was something to do. */
static void assert_resumes(struct fixture *fixture, bool *ret_unfinished) {
    struct vault_report report;
    struct err err = ERR_INIT;
    if (state_vault_report(fixture->state, &report, &err) < 0) {
        fail_msg("%s", err.text);
    }
    *ret_unfinished = report.keys.key_count > 1;
    if (state_resume_rotation(fixture->state, &err) < 0) {
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < 6000 && report.keys.key_count > 1; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_int_equal(state_vault_report(fixture->state, &report, &err), 0);
    }
    assert_int_equal(report.keys.key_count, 1);
    assert_int_equal(report.keys.keys[0].values, SECRETS);
    assert_all_readable(fixture);
}

static void crash_everywhere(int (*change)(struct fixture *fixture, struct err *err), bool leaves_rotations) {
    struct fixture fixture = {.dir = "/tmp/bgppeerd-vault-crash-XXXXXX"};
    long kills = 0, resumed = 0;
    assert_non_null(mkdtemp(fixture.dir));
    make_data(&fixture);
    while (crash_at(&fixture, kills, change)) {
        kills++;
        assert_true(kills < STEPS_MAX);
        fixture_start(&fixture, 0);
        assert_all_readable(&fixture);
        if (kills % 10 == 0) {
            assert_finishes(&fixture, change);
        } else if (kills % 3 == 0) {
            bool unfinished;
            assert_resumes(&fixture, &unfinished);
            resumed += unfinished;
        }
        fixture_stop(&fixture);
    }
    fixture_start(&fixture, 0);
    assert_finishes(&fixture, change);
    fixture_stop(&fixture);
    remove_tree(fixture.dir);
    print_message("killed at each of %ld steps; %ld rotations were resumed\n", kills, resumed);
    assert_true(kills >= 10);
    assert_true(leaves_rotations == (resumed > 0));
}

static void data_key_rotation_survives(void **state) {
    (void)state;
    crash_everywhere(rotate, true);
}

static void root_key_change_survives(void **state) {
    (void)state;
    crash_everywhere(change_root, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_key_rotation_survives),
        cmocka_unit_test(root_key_change_survives),
    };
    if (fixture_libraries(NULL) < 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("vault_crash", tests, NULL, NULL);
}
