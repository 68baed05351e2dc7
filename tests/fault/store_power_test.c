/*
 * tests/run: timeout 300
 *
 * The machine loses power. One run of a store is recorded (power.h): a first start, batches, stops and
 * starts, a restore, enough for checkpoints and for a log that is begun anew. Then a restarted store gets the
 * directory as it could have been left at any moment, in hundreds of versions: every acknowledged batch is
 * there, nothing is half there, and it goes on from there. POWER_IMAGES sets how many, POWER_SEED repeats a
 * run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../unit/store_fixture.h"
#include "base/log.h"
#include "power.h"
#include "store_batches.h"

enum { IMAGES = 250, BATCHES = 130, WITHOUT_SYNCS = 30 };

static uint64_t number_from(const char *variable, uint64_t standard) {
    const char *text = getenv(variable);
    return text != NULL ? strtoull(text, NULL, 10) : standard;
}

static void run_batches(struct store *store, uint64_t first, uint64_t last) {
    for (uint64_t b = first; b <= last; b++) {
        struct err err = ERR_INIT;
        if (batches_commit(store, b, &err) != 0) {
            fail_msg("batch %" PRIu64 ": %s", b, err.text);
        }
        power_acknowledge(b);
    }
}

/* What is recorded: a few batches and a stop, so that there are many moments of starting and stopping, then
 * many. */
static void record_run(const char *dir) {
    power_record(dir);
    struct store *store = must_open(dir);
    run_batches(store, 1, 3);
    store_close(store);
    store = must_open(dir);
    run_batches(store, 4, 12);
    store_close(store);
    store = must_open(dir);
    run_batches(store, 13, BATCHES);
    store_close(store);
    store = must_open(dir);
    run_batches(store, BATCHES + 1, BATCHES + 5);
    store_close(store);
    power_stop();
}

/* Does a restarted store hold what was acknowledged, and go on? */
static int survives(const char *dir, uint64_t acknowledged, struct err *err) {
    for (int start = 0; start < 2; start++) {
        struct store *store = NULL;
        uint64_t last = 0;
        if (store_open(&(struct store_options){.dir = dir}, &store, err) != 0) {
            return -1;
        }
        int result = batches_check(store, acknowledged, &last, err);
        if (result == 0 && start == 0) {
            acknowledged = last + 1;
            result = batches_commit(store, acknowledged, err);
        }
        store_close(store);
        if (result != 0) {
            return -1;
        }
    }
    return 0;
}

/* One image; the index of the log that it gets is junk, as memory that was written back now and then is. */
static int try_image(const char *parent, uint64_t *seed, struct err *err) {
    char dir[PATH_TEXT_MAX];
    char path[PATH_TEXT_MAX];
    unsigned char junk[4096];
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t random = *seed >> 16;
    size_t moment = random % (power_moments() + 1);
    enum power_luck luck = (enum power_luck)(random / 7 % POWER_LUCK_COUNT);
    remove_tree(path_in(dir, parent, "image"));
    assert_int_equal(mkdir(dir, 0700), 0);
    power_image(dir, moment, luck, *seed);
    memset(junk, (int)(random % 256), sizeof(junk));
    write_file(path_in(path, dir, "bgppeerd.db-shm"), junk, sizeof(junk));
    return survives(dir, power_acknowledged(moment), err) == 0
               ? 0
               : err_wrap(err, "moment %zu of %zu, luck %d", moment, power_moments(), (int)luck);
}

static void every_acknowledged_batch_survives_a_power_loss(void **state) {
    char dir[PATH_TEXT_MAX];
    uint64_t images = number_from("POWER_IMAGES", IMAGES);
    uint64_t seed = number_from("POWER_SEED", random_u64() % 1000000);
    print_message("           %" PRIu64 " images, seed %" PRIu64 " (POWER_SEED=%" PRIu64 " repeats)\n",
                  images, seed, seed);
    assert_int_equal(mkdir(path_in(dir, *state, "live"), 0700), 0);
    record_run(dir);
    for (uint64_t i = 0; i < images; i++) {
        struct err err = ERR_INIT;
        if (try_image(*state, &seed, &err) != 0) {
            fail_msg("image %" PRIu64 ": %s", i, err.text);
        }
    }
    power_forget();
}

/* A store that never synced would fail: the images are hard enough. */
static void images_without_syncs_lose_batches(void **state) {
    char dir[PATH_TEXT_MAX];
    bool *const switches[] = {&power_without_file_syncs, &power_without_directory_syncs};
    assert_int_equal(mkdir(path_in(dir, *state, "live"), 0700), 0);
    record_run(dir);
    for (size_t i = 0; i < 2; i++) {
        uint64_t seed = i;
        unsigned lost = 0;
        *switches[i] = true;
        for (int image = 0; image < WITHOUT_SYNCS; image++) {
            struct err err = ERR_INIT;
            lost += try_image(*state, &seed, &err) != 0;
        }
        *switches[i] = false;
        assert_true(lost > WITHOUT_SYNCS / 10);
    }
    power_forget();
}

static int teardown_power(void **state) {
    power_without_file_syncs = false;
    power_without_directory_syncs = false;
    power_forget();
    return teardown_dir(state);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, setup_memory_dir, teardown_power)

int main(void) {
    struct err err = ERR_INIT;
    if (random_start(&err) < 0) {
        return 1;
    }
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_start(nowhere, LOG_ERROR, LOG_KEY_VALUE);
    const struct CMUnitTest tests[] = {
        IN_MEMORY(every_acknowledged_batch_survives_a_power_loss),
        IN_MEMORY(images_without_syncs_lose_batches),
    };
    int failed = cmocka_run_group_tests_name("store: power loss", tests, NULL, NULL);
    log_stop();
    (void)close(nowhere);
    return failed;
}
