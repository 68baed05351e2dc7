/*
 * tests/run: timeout 300
 *
 * Damage. Bits, sectors and pages of every file in the data directory change, and files are put in place of
 * each other from other moments: a start refuses, or the fleet is the one that was acknowledged; never
 * another one. DAMAGE_CASES sets how many of each kind, DAMAGE_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../unit/store_fixture.h"
#include "base/log.h"
#include "store_batches.h"

enum { CASES = 150, MOMENTS = 4, SECTOR = 512, PAGE = 4096 };

static const char *const FILES[] = {"bgppeerd.db", "bgppeerd.db-wal", "bgppeerd.db-shm", "high-water"};
enum { FILE_COUNT = sizeof(FILES) / sizeof(FILES[0]) };

static uint64_t number_from(const char *variable, uint64_t standard) {
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : standard;
}

static void must_run(struct store *store, uint64_t first, uint64_t last) {
    for (uint64_t b = first; b <= last; b++) {
        struct err err = ERR_INIT;
        if (batches_commit(store, b, &err) != 0) {
            fail_msg("%s", err.text);
        }
    }
}

/* The files as they are now, under <parent>/<name>. */
static void keep(const char *dir, const char *parent, const char *name) {
    char kept[PATH_TEXT_MAX];
    char from[PATH_TEXT_MAX];
    char to[PATH_TEXT_MAX];
    assert_int_equal(mkdir(path_in(kept, parent, name), 0700), 0);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        (void)copy_file(path_in(from, dir, FILES[i]), path_in(to, kept, FILES[i]));
    }
}

static char *objects_of(struct store *store, struct err *err) {
    struct buf text = BUF_INIT;
    struct store_reader reader = {.object = dump_object, .arg = &text};
    if (store_load(store, &reader, err) != 0) {
        buf_done(&text);
        return NULL;
    }
    buf_add_char(&text, '\n');
    assert_false(buf_failed(&text));
    return buf_steal(&text, NULL);
}

/* Kept moments "0" to "3": stopped, then killed with all in the log, with a log begun anew, and last. Returns
 * the objects of the last. */
static char *make_moments(const char *parent) {
    char dir[PATH_TEXT_MAX];
    struct err err = ERR_INIT;
    struct store *store = must_open(path_in(dir, parent, "live"));
    must_run(store, 1, 20);
    store_close(store);
    keep(dir, parent, "0");
    store = must_open(dir);
    must_run(store, 21, 30);
    keep(dir, parent, "1");
    store_close(store);
    store = must_open(dir);
    must_run(store, 31, 40);
    keep(dir, parent, "2");
    must_run(store, 41, 60);
    keep(dir, parent, "3");
    char *objects = objects_of(store, &err);
    assert_non_null(objects);
    store_close(store);
    return objects;
}

/* Start in `dir`. True: refused. Otherwise the objects are those that are expected. */
static bool is_refused(const char *dir, const char *expected, const char *what) {
    struct store *store = NULL;
    struct err err = ERR_INIT;
    if (store_open(&(struct store_options){.dir = dir}, &store, &err) != 0) {
        assert_true(strlen(err.text) > 0);
        return true;
    }
    char *objects = objects_of(store, &err);
    store_close(store);
    if (objects == NULL) {
        assert_int_equal(err.code, ERR_CORRUPT);
        return true;
    }
    if (strcmp(objects, expected) != 0) {
        fail_msg("%s: the fleet is another one", what);
    }
    free(objects);
    return false;
}

/* A directory with each file from its moment; -1 = without it. */
static void assemble(const char *parent, const char *dir, const int moments[FILE_COUNT]) {
    remove_tree(dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        char kept[PATH_TEXT_MAX];
        char from[PATH_TEXT_MAX];
        char to[PATH_TEXT_MAX];
        char name[16];
        if (moments[i] >= 0) {
            (void)snprintf(name, sizeof(name), "%d", moments[i]);
            (void)copy_file(path_in(from, path_in(kept, parent, name), FILES[i]), path_in(to, dir, FILES[i]));
        }
    }
}

/* Database, log and index from any moments, as long as the mark is the last one's. */
static void files_of_other_moments_are_refused(void **state) {
    char dir[PATH_TEXT_MAX];
    char *expected = make_moments(*state);
    unsigned refused = 0;
    unsigned cases = 0;
    path_in(dir, *state, "data");
    for (int database = -1; database < MOMENTS; database++) {
        for (int log = -1; log < MOMENTS; log++) {
            for (int index = -1; index < MOMENTS; index += 2) {
                char what[64];
                const int moments[FILE_COUNT] = {database, log, index, MOMENTS - 1};
                (void)snprintf(what, sizeof(what), "database %d, log %d, index %d", database, log, index);
                assemble(*state, dir, moments);
                cases++;
                refused += is_refused(dir, expected, what);
            }
        }
    }
    assert_true(refused > cases / 2 && refused < cases);
    free(expected);
}

enum way { WAY_BIT, WAY_SECTOR, WAY_PAGE, WAY_CUT, WAY_COUNT };

/* Damage `bytes`; returns the new length. */
static size_t damage(char *bytes, size_t len, enum way way, uint64_t random) {
    size_t at = (size_t)(random >> 8) % len;
    size_t from = (size_t)(random >> 24) % len / PAGE * PAGE;
    switch (way) {
    case WAY_BIT:
        bytes[at] = (char)(bytes[at] ^ 1 << random % 8);
        return len;
    case WAY_SECTOR: /* that could not be read, or came back as zeros */
        at = at / SECTOR * SECTOR;
        memset(bytes + at, 0, len - at < SECTOR ? len - at : SECTOR);
        return len;
    case WAY_PAGE: /* that was written to a wrong place */
        at = at / PAGE * PAGE;
        if (at + PAGE <= len && from + PAGE <= len) {
            memcpy(bytes + at, bytes + from, PAGE);
        }
        return len;
    case WAY_CUT:
    case WAY_COUNT:
        break;
    }
    return at;
}

static void any_damage_is_refused_or_harmless(void **state) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    uint64_t cases = number_from("DAMAGE_CASES", CASES);
    uint64_t seed = number_from("DAMAGE_SEED", random_u64() % 1000000);
    print_message("           seed %" PRIu64 " (DAMAGE_SEED=%" PRIu64 " repeats)\n", seed, seed);
    char *expected = make_moments(*state);
    path_in(dir, *state, "data");
    unsigned refused = 0;
    for (size_t file = 0; file < FILE_COUNT; file++) {
        for (uint64_t i = 0; i < cases; i++) {
            char what[96];
            size_t len = 0;
            const int last = MOMENTS - 1;
            const int moments[FILE_COUNT] = {last, last, last, last};
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint64_t random = seed >> 11;
            enum way way = (enum way)(random % 97 % WAY_COUNT);
            assemble(*state, dir, moments);
            char *bytes = read_file(path_in(path, dir, FILES[file]), &len);
            len = damage(bytes, len, way, random);
            write_file(path, bytes, len);
            free(bytes);
            (void)snprintf(what, sizeof(what), "%s, way %d, case %" PRIu64, FILES[file], (int)way, i);
            refused += is_refused(dir, expected, what);
        }
    }
    assert_true(refused > cases);
    free(expected);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_dir)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(nowhere, LOG_ERROR, LOG_KEY_VALUE);
    const struct CMUnitTest tests[] = {
        IN_MEMORY(files_of_other_moments_are_refused),
        IN_MEMORY(any_damage_is_refused_or_harmless),
    };
    int failed = cmocka_run_group_tests_name("store: damage", tests, NULL, NULL);
    log_stop();
    (void)close(nowhere);
    return failed;
}
