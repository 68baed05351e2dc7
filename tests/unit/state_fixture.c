/*
 * What the tests of state share: opening everything in a temporary directory, and writes that wait for the
 * committer. See state_fixture.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/brake.h"
#include "state_fixture.h"

void fixture_start_on(struct fixture *fixture, struct store *store, uint64_t keep_changes) {
    struct vault_options vault_options = {.data_dir = fixture->dir};
    struct state_options options = {.secret_namespace = "default",
                                    .keep_changes = keep_changes,
                                    .keep_audit = fixture->keep_audit,
                                    .keep_transitions = fixture->keep_transitions,
                                    .max_history_bytes = fixture->max_history_bytes,
                                    .max_disruptive_sessions = fixture->brake_sessions,
                                    .max_disruptive_percent = fixture->brake_percent,
                                    .node_ranges = fixture->node_ranges};
    struct err err = ERR_INIT;

    fixture->store = store;
    if (state_open_vault(fixture->store, &vault_options, &fixture->vault, &err) < 0) {
        fail_msg("state_open_vault: %s", err.text);
    }
    options.vault = fixture->vault;
    if (state_open(fixture->store, &options, &fixture->state, &err) < 0) {
        fail_msg("state_open: %s", err.text);
    }
}

void fixture_start(struct fixture *fixture, uint64_t keep_changes) {
    struct store_options store_options = {.dir = fixture->dir};
    struct store *store;
    struct err err = ERR_INIT;

    if (store_open(&store_options, &store, &err) < 0) {
        fail_msg("store_open: %s", err.text);
    }
    fixture_start_on(fixture, store, keep_changes);
}

void fixture_stop(struct fixture *fixture) {
    state_close(fixture->state);
    vault_close(fixture->vault);
    store_close(fixture->store);
}

void fixture_restart(struct fixture *fixture, uint64_t keep_changes) {
    fixture_stop(fixture);
    fixture_start(fixture, keep_changes);
}

void fixture_make_dir(char dir[FIXTURE_DIR_MAX]) {
    strcpy(dir, "/tmp/bgppeerd-state-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

void fixture_remove_dir(const char *dir) {
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int fixture_setup(void **ptr) {
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture_make_dir(fixture->dir);
    fixture_start(fixture, 0);
    *ptr = fixture;
    return 0;
}

int fixture_teardown(void **ptr) {
    struct fixture *fixture = *ptr;

    fixture_stop(fixture);
    fixture_remove_dir(fixture->dir);
    free(fixture);
    return 0;
}

static void call_done(struct write *write) {
    struct call *call = write->arg;

    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->cond);
    pthread_mutex_unlock(&call->lock);
}

void call_init(struct call *call, enum write_op op, enum kind kind, const char *key) {
    memset(call, 0, sizeof *call);
    arena_init(&call->arena, 0);
    arena_init(&call->object_arena, 0);
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->cond, NULL);
    call->write = (struct write){.op = op,
                                 .kind = kind,
                                 .key = key,
                                 .arena = &call->arena,
                                 .object_arena = &call->object_arena,
                                 .actor = "tester",
                                 .done = call_done,
                                 .arg = call};
}

void call_body(struct call *call, const char *json) {
    struct codec_options options = {.kind = call->write.kind};
    const char *slash = call->write.key == NULL ? NULL : strchr(call->write.key, '/');
    struct causes causes;
    struct advice advice;
    struct err err = ERR_INIT;

    options.name = slash == NULL ? call->write.key : slash + 1;
    options.name_space = call->write.kind == KIND_SECRET ? "default" : NULL;
    causes_init(&causes, &call->arena);
    advice_init(&advice, &call->arena);
    if (codec_decode(&options, json, strlen(json), &call->object_arena, &call->write.object, &causes, &advice,
                     &err) < 0) {
        fail_msg("decode %s: %s", json, err.text);
    }
}

void call_run(struct fixture *fixture, struct call *call) {
    struct err err = ERR_INIT;

    assert_int_equal(state_submit(fixture->state, &call->write, &err), 0);
    call_wait(call);
}

void call_wait(struct call *call) {
    pthread_mutex_lock(&call->lock);
    while (!call->done) {
        pthread_cond_wait(&call->cond, &call->lock);
    }
    pthread_mutex_unlock(&call->lock);
}

void call_end(struct call *call) {
    record_unref(call->write.record);
    arena_done(&call->object_arena);
    arena_done(&call->arena);
    pthread_cond_destroy(&call->cond);
    pthread_mutex_destroy(&call->lock);
}

/* One write from start to end; returns its error code and, on success, the object's revision. */
enum err_code put(struct fixture *fixture, enum write_op op, enum kind kind, const char *key,
                  const char *json, uint64_t *ret_revision) {
    struct call call;
    enum err_code code;

    call_init(&call, op, kind, key);
    if (op == WRITE_PATCH) {
        call.write.patch = json;
        call.write.patch_len = strlen(json);
    } else if (op != WRITE_DELETE) {
        call_body(&call, json);
    }
    call_run(fixture, &call);
    code = call.write.err.code;
    if (code == ERR_NONE && ret_revision != NULL) {
        *ret_revision = call.write.record->revision;
    }
    call_end(&call);
    return code;
}

struct freezing {
    struct freeze_write write;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void freezing_done(struct task *task) {
    struct freezing *freezing = task->arg;
    pthread_mutex_lock(&freezing->lock);
    freezing->done = true;
    pthread_cond_signal(&freezing->cond);
    pthread_mutex_unlock(&freezing->lock);
}

enum err_code fixture_freeze(struct fixture *fixture, bool lift, const char *user, int64_t until_ms) {
    struct freezing freezing = {.write = {.lift = lift, .freeze = {.until_ms = until_ms}}};
    struct err err = ERR_INIT;
    pthread_mutex_init(&freezing.lock, NULL);
    pthread_cond_init(&freezing.cond, NULL);
    freezing.write.task.done = freezing_done;
    freezing.write.task.arg = &freezing;
    strcpy(freezing.write.freeze.reason, "a \"quoted\" reason");
    strcpy(freezing.write.freeze.user, user);
    assert_int_equal(state_submit_freeze(fixture->state, &freezing.write, &err), 0);
    pthread_mutex_lock(&freezing.lock);
    while (!freezing.done) {
        pthread_cond_wait(&freezing.cond, &freezing.lock);
    }
    pthread_mutex_unlock(&freezing.lock);
    pthread_mutex_destroy(&freezing.lock);
    pthread_cond_destroy(&freezing.cond);
    return freezing.write.task.err.code;
}

struct node_list *get_list(struct fixture *fixture, const char *node) {
    struct err err = ERR_INIT;
    struct node_list *list;

    if (state_node_list(fixture->state, node, &list, &err) < 0) {
        fail_msg("list of %s: %s", node, err.text);
    }
    return list;
}

int fixture_libraries(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    return random_start(&err) < 0 || codec_start(&err) < 0 ? -1 : 0;
}
