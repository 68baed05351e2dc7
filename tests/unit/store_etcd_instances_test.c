/*
 * Several instances over one etcd: what happens when two write, and when etcd is full, away, or has somebody
 * else's keys.
 *
 * Needs an etcd in PATH (make deps-etcd); says so and passes without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "etcd_fleet.h"

/* ---- two instances ---- */

static void count_call(void *arg) {
    atomic_fetch_add((atomic_int *)arg, 1);
}

static bool was_called(void *arg) {
    return atomic_load((atomic_int *)arg) > 0;
}

static void two_write_and_one_is_told(void **state) {
    struct store *a = open_instance(*state, 0);
    struct store *b = open_instance(*state, 1);
    atomic_int calls[2] = {0, 0};
    struct err err = ERR_INIT;
    assert_true(store_is_shared(a));
    store_watch(a, count_call, &calls[0]);
    store_watch(b, count_call, &calls[1]);
    must_change(a, STORE_CREATE, "Node", "n", 1, "{}");
    wait_until(was_called, &calls[1]);
    assert_int_equal(atomic_load(&calls[0]), 0); /* its own */
    /* B has not followed: what it makes is refused, and nothing of it is there. */
    struct store_change change = change_of(STORE_CREATE, "Node", "m", 2, "{}");
    struct store_batch batch = {.changes = &change, .change_count = 1, .base = 0};
    assert_int_equal(store_commit(b, &batch, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(status_of(b).revision, 1);
    batch.base = 1;
    assert_int_equal(store_commit(b, &batch, &err), 0);
    wait_until(was_called, &calls[0]);
    assert_int_equal(status_of(a).commit, 2);
    same_text(dump(a), dump(b));
    /* Settings alone are guarded as well; entries of the trail are not. */
    const struct store_setting setting = {.name = "vault/key/1", .value = "x", .value_len = 1};
    err_clear(&err);
    assert_int_equal(
        store_commit(a, &(struct store_batch){.settings = &setting, .setting_count = 1, .base = 1}, &err),
        -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    const struct store_audit audit = {.sequence = 1, .entry = "{}", .entry_len = 2};
    assert_int_equal(store_commit(a, &(struct store_batch){.audit = &audit, .audit_count = 1}, &err), 0);
    assert_int_equal(store_commit(b, &(struct store_batch){.audit = &audit, .audit_count = 1}, &err), 0);
    store_watch(a, NULL, NULL);
    store_watch(b, NULL, NULL);
    store_close(a);
    store_close(b);
    a = open_instance(*state, 0);
    char *text = dump(a);
    const char *first = strstr(text, "audit 1 ");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "audit 1 ")); /* one of each */
    free(text);
    store_close(a);
}

struct writer {
    struct store *store;
    int number;
    unsigned won;
};

/* As the committer does: read what is new, then write on top of it. */
static void *write_many(void *arg) {
    struct writer *writer = arg;
    for (unsigned tries = 0; writer->won < 40; tries++) {
        struct err err = ERR_INIT;
        struct store_status status = status_of(writer->store);
        char name[32];
        (void)snprintf(name, sizeof(name), "n%d-%u", writer->number, writer->won);
        struct store_change change = change_of(STORE_CREATE, "Node", name, status.revision + 1, "{}");
        struct store_batch batch = {.changes = &change, .change_count = 1, .base = status.commit};
        if (store_commit(writer->store, &batch, &err) == 0) {
            writer->won++;
        } else if (err.code != ERR_CONFLICT) {
            fail_msg("store_commit: %s", err.text);
        }
    }
    return NULL;
}

static int count_row(void *arg, const struct store_change *change, struct err *err) {
    (void)change;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static void many_write_and_each_write_is_there_once(void **state) {
    struct writer writers[3];
    pthread_t threads[3];
    unsigned rows = 0;
    struct err err = ERR_INIT;
    for (int i = 0; i < 3; i++) {
        writers[i] = (struct writer){.store = open_instance(*state, i), .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(status_of(writers[0].store).revision, 120);
    assert_int_equal(status_of(writers[0].store).commit, 120);
    assert_int_equal(store_read_changes(writers[1].store, 0, 0, count_row, &rows, &err), 0);
    assert_int_equal(rows, 120);
    same_text(dump(writers[0].store), dump(writers[2].store));
    for (int i = 0; i < 3; i++) {
        store_close(writers[i].store);
    }
}

/* ---- state and store disagree ---- */

static void what_cannot_be_is_refused(void **state) {
    struct store *store = open_instance(*state, 0);
    struct err err = ERR_INIT;
    must_change(store, STORE_CREATE, "Node", "n", 5, "{}");
    assert_int_equal(try_change(store, STORE_CREATE, "Node", "n", 6, "{}", &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(try_change(store, STORE_UPDATE, "Node", "m", 6, "{}", &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(try_change(store, STORE_DELETE, "Node", "m", 6, "{}", &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(try_change(store, STORE_UPDATE, "Node", "n", 5, "{}", &err), -1);
    assert_int_equal(err.code, ERR_INTERNAL);
    assert_int_equal(status_of(store).commit, 1);
    must_change(store, STORE_UPDATE, "Node", "n", 6, "{}");
    store_close(store);
}

static void a_large_transaction_is_one(void **state) {
    static struct store_change changes[1000];
    static char names[1000][16];
    struct store *store = open_instance(*state, 0);
    unsigned rows = 0;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < 1000; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
        changes[i] = change_of(STORE_CREATE, "Node", names[i], i + 1, "{\"spec\":{}}");
    }
    must_commit(store, &(struct store_batch){.changes = changes, .change_count = 1000});
    assert_int_equal(store_read_changes(store, 0, 0, count_row, &rows, &err), 0);
    assert_int_equal(rows, 1000);
    /* What etcd does not take at once is said as such, and leaves nothing. */
    static char body[2 << 20];
    memset(body, 'x', sizeof(body) - 1);
    assert_int_equal(try_change(store, STORE_CREATE, "Node", "large", 1001, body, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "--max-request-bytes"));
    assert_int_equal(status_of(store).revision, 1000);
    store_close(store);
}

/* ---- what is not ours ---- */

static void refuses(const struct store_options *options, enum err_code code, const char *fragment) {
    struct store *store = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(store_open(options, &store, &err), -1);
    if (strstr(err.text, fragment) == NULL) {
        fail_msg("\"%s\" does not contain \"%s\"", err.text, fragment);
    }
    assert_int_equal(err.code, code);
}

static void bad_addresses_are_refused(void **state) {
    const struct fleet *fleet = *state;
    static const char *const bad[] = {"etcd:x", "etcd:ftp://127.0.0.1:1", "etcd:http://",
                                      "etcd:http://127.0.0.1:1/x",
                                      "etcd:http://127.0.0.1:1,,http://127.0.0.1:2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refuses(&(struct store_options){.store = bad[i], .dir = fleet->data[0]}, ERR_USAGE,
                "no address of an etcd");
    }
    refuses(&(struct store_options){.store = "etcd:http://192.0.2.1:2379", .dir = fleet->data[0]}, ERR_USAGE,
            "use https");
    refuses(&(struct store_options){.store = server.address, .dir = fleet->data[0], .prefix = "x"}, ERR_USAGE,
            "--store-prefix");
    refuses(&(struct store_options){.store = server.address, .dir = fleet->data[0], .user = "x"}, ERR_USAGE,
            "--store-password-file");
    refuses(&(struct store_options){.store = "etcd:http://127.0.0.1:1",
                                    .dir = fleet->data[0],
                                    .prefix = fleet->prefix},
            ERR_UNAVAILABLE, "http://127.0.0.1:1");
    refuses(
        &(struct store_options){
            .store = server.address, .dir = fleet->data[0], .prefix = fleet->prefix, .must_exist = true},
        ERR_NOT_FOUND, fleet->prefix);
}

static void somebody_elses_keys_stay(void **state) {
    const struct fleet *fleet = *state;
    struct store *store = open_instance(fleet, 0);
    char inside[64];
    store_close(store);
    /* The prefix of a fleet's prefix: what is there is not its own. */
    (void)snprintf(inside, sizeof(inside), "%.*s", (int)strlen(fleet->prefix), fleet->prefix);
    refuses(
        &(struct store_options){.store = server.address, .dir = fleet->data[1], .prefix = "/fleet1/objects"},
        ERR_USAGE, "--store-prefix");
    char outer[32];
    (void)snprintf(outer, sizeof(outer), "/%.*s", (int)strcspn(fleet->prefix + 1, "/"), fleet->prefix + 1);
    assert_int_equal(try_instance(fleet, 0, &store, &(struct err)ERR_INIT), 0);
    must_change(store, STORE_CREATE, "Node", "n", 1, "{}");
    store_close(store);
    (void)snprintf(inside, sizeof(inside), "%sobjects/", fleet->prefix);
    refuses(&(struct store_options){.store = server.address, .dir = fleet->data[1], .prefix = inside},
            ERR_CORRUPT, "somebody else's");
}

static void two_instances_need_two_directories(void **state) {
    struct store *a = open_instance(*state, 0);
    struct store *other = NULL;
    struct err err = ERR_INIT;
    assert_int_equal(try_instance(*state, 0, &other, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    store_close(a);
}

/* ---- etcd comes and goes ---- */

static bool is_away(void *arg) {
    struct err err = ERR_INIT;
    return store_check(arg, &err) != 0;
}

static bool is_there(void *arg) {
    return !is_away(arg);
}

static void etcd_away_is_said_at_once_and_forgotten_after(void **state) {
    struct store *a = open_instance(*state, 0);
    struct store *b = open_instance(*state, 1);
    atomic_int calls = 0;
    struct err err = ERR_INIT;
    must_change(a, STORE_CREATE, "Node", "n", 1, "{}");
    etcd_stop(&server);
    wait_until(is_away, a);
    /* Nobody was asked, so it is known that nothing was written. */
    struct store_change change = change_of(STORE_CREATE, "Node", "m", 2, "{}");
    struct store_batch batch = {.changes = &change, .change_count = 1, .base = 1};
    assert_int_equal(store_commit(a, &batch, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "nothing was written"));
    etcd_start_again(&server);
    wait_until(is_there, a);
    wait_until(is_there, b);
    store_watch(b, count_call, &calls);
    err_clear(&err);
    assert_int_equal(store_commit(a, &batch, &err), 0);
    wait_until(was_called, &calls);
    assert_int_equal(status_of(b).revision, 2);
    store_watch(b, NULL, NULL);
    store_close(a);
    store_close(b);
}

static void *stop_and_continue(void *arg) {
    const struct timespec pause = {.tv_sec = 5};
    (void)arg;
    nanosleep(&pause, NULL);
    etcd_signal(&server, SIGCONT);
    return NULL;
}

/* The request lies in a socket of an etcd that does not run: it is asked for again until one is answered, and
 * what was done twice was done once. */
static void a_commit_that_hangs_is_done_once(void **state) {
    struct store *a = open_instance(*state, 0);
    pthread_t thread;
    struct err err = ERR_INIT;
    must_change(a, STORE_CREATE, "Node", "n", 1, "{}");
    etcd_signal(&server, SIGSTOP);
    assert_int_equal(pthread_create(&thread, NULL, stop_and_continue, NULL), 0);
    struct store_change change = change_of(STORE_CREATE, "Node", "m", 2, "{}");
    struct store_batch batch = {.changes = &change, .change_count = 1, .base = 1};
    int result = store_commit(a, &batch, &err);
    pthread_join(thread, NULL);
    if (result != 0) {
        fail_msg("store_commit: %s", err.text);
    }
    const struct store_status status = status_of(a);
    assert_int_equal(status.commit, 2);
    assert_int_equal(status.revision, 2);
    must_change(a, STORE_CREATE, "Node", "o", 3, "{}");
    store_close(a);
}

static void a_commit_that_nobody_answers_is_unknown(void **state) {
    struct store *a = open_instance(*state, 0);
    struct err err = ERR_INIT;
    must_change(a, STORE_CREATE, "Node", "n", 1, "{}");
    etcd_signal(&server, SIGSTOP);
    struct store_change change = change_of(STORE_CREATE, "Node", "m", 2, "{}");
    struct store_batch batch = {.changes = &change, .change_count = 1, .base = 1};
    assert_int_equal(store_commit(a, &batch, &err), -1);
    assert_int_equal(err.code, ERR_UNKNOWN_OUTCOME);
    assert_non_null(strstr(err.text, "read the object"));
    etcd_signal(&server, SIGCONT);
    wait_until(is_there, a);
    /* Done or not: whoever goes on is told when it does not know. */
    err_clear(&err);
    int result = store_commit(a, &batch, &err);
    assert_true(result == 0 || err.code == ERR_CONFLICT);
    assert_int_equal(status_of(a).commit, 2);
    assert_int_equal(status_of(a).revision, 2);
    store_close(a);
}

/* ---- backup ---- */

static void a_backup_is_a_database(void **state) {
    struct fleet *fleet = *state;
    struct store *store = open_instance(fleet, 0);
    char path[PATH_TEXT_MAX], place[PATH_TEXT_MAX], kept[STORE_KEPT_MAX];
    struct err err = ERR_INIT;
    struct store_change changes[] = {change_of(STORE_CREATE, "Node", "z", 1, "{\"z\":1}"),
                                     change_of(STORE_CREATE, "Secret", "default/s", 2, "{}"),
                                     change_of(STORE_CREATE, "Node", "a", 3, "{\"a\":1}")};
    const struct store_sealed sealed = {.object = "default/s",
                                        .item = "k",
                                        .version = 2,
                                        .key_id = 1,
                                        .nonce = "n",
                                        .nonce_len = 1,
                                        .ciphertext = "c",
                                        .ciphertext_len = 1};
    const struct store_setting setting = {.name = "vault/key/1", .value = "v", .value_len = 1};
    const struct store_audit audit = {.sequence = 1, .entry = "{}", .entry_len = 2};
    must_commit(store, &(struct store_batch){.changes = changes,
                                             .change_count = 3,
                                             .sealed = &sealed,
                                             .sealed_count = 1,
                                             .settings = &setting,
                                             .setting_count = 1,
                                             .audit = &audit,
                                             .audit_count = 1});
    must_change(store, STORE_DELETE, "Node", "z", 4, "{}");
    path_in(path, fleet->dir, "backup.db");
    if (store_backup(store, path, &err) != 0) {
        fail_msg("store_backup: %s", err.text);
    }
    int fd = -1;
    assert_int_equal(store_backup_open(store, NULL, NULL, &fd, &err), 0);
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    assert_true(file.st_size > 4096);
    close(fd);
    char *now = dump(store);
    store_close(store);
    assert_int_equal(store_restore(path_in(place, fleet->dir, "restored"), path, kept, &err), 0);
    store = must_open(place);
    char *then = dump(store);
    /* The settings, values and objects; what is behind them is the log and the trail. */
    char *from = strstr(now, "setting "), *to = strstr(now, "change ");
    assert_non_null(from);
    assert_non_null(to);
    *to = '\0';
    assert_non_null(strstr(then, from));
    assert_non_null(strstr(then, "audit 1 "));
    assert_true(status_of(store).revision >= 4);
    free(now);
    free(then);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        FLEET(two_write_and_one_is_told),
        FLEET(many_write_and_each_write_is_there_once),
        FLEET(what_cannot_be_is_refused),
        FLEET(a_large_transaction_is_one),
        FLEET(bad_addresses_are_refused),
        FLEET(somebody_elses_keys_stay),
        FLEET(two_instances_need_two_directories),
        FLEET(a_backup_is_a_database),
        FLEET(etcd_away_is_said_at_once_and_forgotten_after),
        FLEET(a_commit_that_hangs_is_done_once),
        FLEET(a_commit_that_nobody_answers_is_unknown),
    };
    return run_fleet_tests("store: instances over etcd", tests, sizeof(tests) / sizeof(tests[0]));
}
