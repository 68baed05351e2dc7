/*
 * Tokens in the state: durable when said so, gone when revoked, their last uses stored, damage survived; and
 * the guard that writes bring along.
 */
#include "state_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static struct token_write created(struct fixture *fixture, enum role role, char text[TOKEN_TEXT_MAX]) {
    struct token_write write = {.revoke = false};
    struct err err = ERR_INIT;

    assert_int_equal(token_new(role, role == ROLE_NODE ? "rack1" : NULL, NULL, 0, &write.token, text, &err),
                     0);
    assert_int_equal(state_write_token(fixture->state, &write, &err), 0);
    return write;
}

static bool accepted(struct fixture *fixture, const char *text) {
    struct principal principal;
    struct err err = ERR_INIT;

    return token_registry_authenticate(state_tokens(fixture->state), text, strlen(text), clock_realtime_ms(),
                                       &principal, &err) == 0;
}

static void test_create_and_revoke(void **ptr) {
    struct fixture *fixture = *ptr;
    char admin[TOKEN_TEXT_MAX], node[TOKEN_TEXT_MAX];
    struct token_write write, revoke = {.revoke = true};
    struct err err = ERR_INIT;

    assert_true(state_has_no_tokens(fixture->state));
    created(fixture, ROLE_ADMIN, admin);
    write = created(fixture, ROLE_NODE, node);
    assert_false(state_has_no_tokens(fixture->state));
    assert_true(accepted(fixture, admin));
    fixture_restart(fixture, 0);
    assert_true(accepted(fixture, admin));
    assert_true(accepted(fixture, node));

    snprintf(revoke.token.id, sizeof revoke.token.id, "%s", write.token.id);
    assert_int_equal(state_write_token(fixture->state, &revoke, &err), 0);
    assert_string_equal(revoke.token.node, "rack1");
    assert_false(accepted(fixture, node));
    assert_int_equal(state_write_token(fixture->state, &revoke, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    fixture_restart(fixture, 0);
    assert_false(accepted(fixture, node));
    assert_true(accepted(fixture, admin));
}

/* Each use is known after a restart, without anybody having asked for it. */
static void test_last_use_is_kept(void **ptr) {
    struct fixture *fixture = *ptr;
    char text[TOKEN_TEXT_MAX];
    struct token_write write = created(fixture, ROLE_ADMIN, text);
    struct token token;

    assert_true(token_registry_get(state_tokens(fixture->state), write.token.id, &token));
    assert_int_equal(token.last_used_ms, 0);
    assert_true(accepted(fixture, text));
    fixture_restart(fixture, 0);
    assert_true(token_registry_get(state_tokens(fixture->state), write.token.id, &token));
    assert_true(token.last_used_ms >= write.token.created_ms);
    assert_true(token.last_used_ms <= clock_realtime_ms());
}

static void test_stopped_service(void **ptr) {
    struct fixture *fixture = *ptr;
    struct store_options options = {.dir = fixture->dir};
    struct token_registry *registry;
    char text[TOKEN_TEXT_MAX];
    struct token token, one;
    struct err err = ERR_INIT;
    size_t damaged;

    fixture_stop(fixture);
    assert_int_equal(store_open(&options, &fixture->store, &err), 0);
    assert_int_equal(token_new(ROLE_VIEWER, NULL, "offline", 0, &token, text, &err), 0);
    struct vault_options vault_options = {.data_dir = fixture->dir, .must_exist = true};
    struct vault *vault = NULL;
    assert_int_equal(state_open_vault(fixture->store, &vault_options, &vault, &err), 0);
    assert_int_equal(state_store_token(fixture->store, vault, &token, "local:me", &err), 0);
    vault_close(vault);
    /* One that is no token. */
    assert_int_equal(store_commit(fixture->store,
                                  &(struct store_batch){
                                      .settings = &(struct store_setting){.name = "token/00000000000000aa",
                                                                          .value = "xx",
                                                                          .value_len = 2},
                                      .setting_count = 1},
                                  &err),
                     0);
    assert_int_equal(token_registry_new(&registry, &err), 0);
    assert_int_equal(state_load_tokens(fixture->store, NULL, registry, &damaged, &err), 0);
    assert_int_equal(damaged, 1);
    assert_int_equal(token_registry_count(registry), 1);
    assert_true(token_registry_get(registry, token.id, &one));
    assert_string_equal(one.description, "offline");
    token_registry_free(registry);
    store_close(fixture->store);

    fixture_start(fixture, 0); /* it starts all the same */
    assert_true(accepted(fixture, text));
    fixture_stop(fixture);

    assert_int_equal(store_open(&options, &fixture->store, &err), 0);
    assert_int_equal(state_drop_token(fixture->store, "00000000000000aa", "local:me", &err), 0);
    assert_int_equal(state_drop_token(fixture->store, "00000000000000aa", "local:me", &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_int_equal(state_drop_token(fixture->store, "../vault", "local:me", &err), -1);
    assert_int_equal(state_drop_token(fixture->store, token.id, "local:me", &err), 0);
    store_close(fixture->store);
    fixture_start(fixture, 0);
    assert_true(state_has_no_tokens(fixture->state));
}

/* ---- the guard ---- */

#define NODE(bgp) "{\"metadata\":{\"name\":\"rack1\"},\"spec\":{\"bgp\":" bgp "}}"

static int refuse_everything(const struct draft *draft, const struct object *before,
                             const struct object *after, struct err *err) {
    assert_non_null(draft);
    return err_set(err, ERR_FORBIDDEN, "guarded %s%s", before != NULL ? before->meta.name : "-",
                   after != NULL ? after->meta.name : "-");
}

static void refused_by_guard(struct fixture *fixture, enum write_op op, const char *body, const char *text) {
    struct call call;

    call_init(&call, op, KIND_NODE, "rack1");
    call.write.guard = refuse_everything;
    if (op == WRITE_PATCH) {
        call.write.patch = body;
        call.write.patch_len = strlen(body);
    } else if (body != NULL) {
        call_body(&call, body);
    }
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_FORBIDDEN);
    assert_string_equal(call.write.err.text, text);
    assert_null(call.write.record);
    call_end(&call);
}

static void test_guard(void **ptr) {
    struct fixture *fixture = *ptr;
    struct picture *picture;
    struct call call;
    uint64_t revision;

    refused_by_guard(fixture, WRITE_CREATE, NODE("{\"asNumber\":1}"), "guarded -rack1");
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_NODE, NULL, NODE("{\"asNumber\":1}"), &revision),
                     ERR_NONE);
    refused_by_guard(fixture, WRITE_REPLACE, NODE("{\"asNumber\":2}"), "guarded rack1rack1");
    refused_by_guard(fixture, WRITE_PATCH, "{\"spec\":{\"bgp\":{\"asNumber\":2}}}", "guarded rack1rack1");
    refused_by_guard(fixture, WRITE_DELETE, NULL, "guarded rack1-");
    picture = state_picture(fixture->state);
    assert_int_equal(snapshot_get(picture->snapshot, KIND_NODE, "rack1")->revision, revision);
    picture_unref(picture);

    /* The revision before is told. */
    call_init(&call, WRITE_REPLACE, KIND_NODE, "rack1");
    call_body(&call, NODE("{\"asNumber\":3}"));
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    assert_int_equal(call.write.before, revision);
    assert_true(call.write.record->revision > revision);
    call_end(&call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_and_revoke, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_last_use_is_kept, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_stopped_service, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_guard, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests_name("state tokens", tests, fixture_libraries, NULL);
}
