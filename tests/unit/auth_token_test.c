/*
 * Tokens: their text, their bytes, and the registry under changes and many readers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"

#define NOW 1800000000000

static struct token make(enum role role, const char *node, char text[TOKEN_TEXT_MAX]) {
    struct err err = ERR_INIT;
    struct token token;

    assert_int_equal(token_new(role, node, "for a test", 0, &token, text, &err), 0);
    return token;
}

static struct token_registry *registry_with(const struct token *tokens, size_t count) {
    struct token_registry *registry;
    struct err err = ERR_INIT;

    assert_int_equal(token_registry_new(&registry, &err), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(token_registry_reserve(registry, &err), 0);
        token_registry_put(registry, &tokens[i]);
    }
    return registry;
}

static bool accepted(struct token_registry *registry, const char *text, struct principal *ret) {
    struct err err = ERR_INIT;

    if (token_registry_authenticate(registry, text, strlen(text), NOW, ret, &err) == 0) {
        return true;
    }
    assert_int_equal(err.code, ERR_UNAUTHORIZED);
    assert_null(strstr(err.text, "bpd_"));
    return false;
}

static void test_text(void **state) {
    char text[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX];
    struct token token = make(ROLE_ADMIN, NULL, text);

    (void)state;
    make(ROLE_ADMIN, NULL, other);
    assert_int_equal(strlen(text), 64);
    assert_memory_equal(text, "bpd_", 4);
    assert_memory_equal(text + 4, token.id, TOKEN_ID_LENGTH);
    assert_int_equal(text[20], '_');
    assert_int_equal(strspn(text + 21, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     43);
    assert_string_not_equal(text + 21, other + 21);
    assert_true(token_id_is_valid(token.id));
    assert_false(token_id_is_valid("0123456789abcde"));
    assert_false(token_id_is_valid("0123456789abcdeG"));
    assert_false(token_id_is_valid("0123456789abcdef0"));
}

static void refused(enum role role, const char *node, const char *description, int64_t expires_ms,
                    const char *field) {
    struct err err = ERR_INIT;
    struct token token;
    char text[TOKEN_TEXT_MAX];

    assert_int_equal(token_new(role, node, description, expires_ms, &token, text, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.field, field);
}

static void test_masked(void **state) {
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"/apis/x?bpd=1", "/apis/x?bpd=1"},
        {"bpd_", "bpd_"},
        {"bpd_0123456789abcdef", "bpd_0123456789abcdef"},
        {"bpd_0123456789abcdef_", "bpd_0123456789abcdef_"},
        {"bpd_0123456789abcdef_s", "bpd_0123456789abcdef_***"},
        {"/a?t=bpd_0123456789abcdef_S-_9&b=bpd_fedcba9876543210_x/y",
         "/a?t=bpd_0123456789abcdef_***&b=bpd_fedcba9876543210_***/y"},
        {"bpd_bpd_0123456789abcdef_secret", "bpd_bpd_0123456789abc***"},
    };
    char room[128], text[TOKEN_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(token_masked(cases[i].text, room, sizeof room), cases[i].shown);
    }
    /* Wherever the room ends, no byte behind it is touched and no secret comes in. */
    make(ROLE_ADMIN, NULL, text);
    for (size_t size = 1; size < sizeof room; size++) {
        memset(room, '#', sizeof room);
        assert_ptr_equal(token_masked(text, room, size), room);
        assert_true(strlen(room) < size);
        assert_int_equal(room[size], '#');
        assert_null(strstr(room, text + 22));
    }
}

static void test_bad_requests(void **state) {
    char longest[300];

    (void)state;
    memset(longest, 'n', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    refused(ROLE_NONE, NULL, NULL, 0, "spec.role");
    refused(ROLE_COUNT, NULL, NULL, 0, "spec.role");
    refused(ROLE_NODE, NULL, NULL, 0, "spec.node");
    refused(ROLE_NODE, "", NULL, 0, "spec.node");
    refused(ROLE_VIEWER, "rack1", NULL, 0, "spec.node");
    refused(ROLE_NODE, longest, NULL, 0, "spec.node");
    refused(ROLE_VIEWER, NULL, longest, 0, "spec.description");
    refused(ROLE_VIEWER, NULL, "two\nlines", 0, "spec.description");
    refused(ROLE_VIEWER, NULL, NULL, 1, "spec.expires");
    refused(ROLE_VIEWER, NULL, NULL, -1, "spec.expires");
}

static void test_bytes(void **state) {
    char text[TOKEN_TEXT_MAX], name[TOKEN_SETTING_MAX];
    struct token token = make(ROLE_NODE, "rack1-host1", text), back;
    uint8_t row[TOKEN_ROW_MAX];
    struct err err = ERR_INIT;
    size_t len;

    (void)state;
    token.expires_ms = NOW;
    token.last_used_ms = 7;
    token_setting_name(token.id, name);
    len = token_encode(&token, row);
    assert_int_equal(token_decode(name, row, len, &back, &err), 0);
    assert_string_equal(back.id, token.id);
    assert_int_equal(back.role, ROLE_NODE);
    assert_string_equal(back.node, "rack1-host1");
    assert_string_equal(back.description, "for a test");
    assert_int_equal(back.created_ms, token.created_ms);
    assert_int_equal(back.expires_ms, NOW);
    assert_int_equal(back.last_used_ms, 7);
    assert_memory_equal(back.hash, token.hash, TOKEN_HASH_BYTES);
    /* The secret is in no byte of it. */
    assert_null(memmem(row, len, text + 21, 8));

    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(token_decode(name, row, cut, &back, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
    }
    row[0] = 2;
    assert_int_equal(token_decode(name, row, len, &back, &err), -1);
    assert_non_null(strstr(err.text, "format 2"));
    row[0] = 1;
    row[1] = ROLE_VIEWER; /* a viewer with a node */
    assert_int_equal(token_decode(name, row, len, &back, &err), -1);
    row[1] = ROLE_COUNT;
    assert_int_equal(token_decode(name, row, len, &back, &err), -1);
    assert_int_equal(token_decode("token/xyz", row, len, &back, &err), -1);
    assert_int_equal(token_decode("vault/key/1", row, len, &back, &err), -1);
}

/* The format of version 1, byte by byte: later versions must read it. */
static void test_known_bytes(void **state) {
    static const uint8_t ROW[] = {1, 3, 0, 0x68, 0xe5, 0xcf, 0x8b, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0,
                                  0, 0, 0, 0, 0,
                                  /* a hash */
                                  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                  0, 0, 0, 0, 0, 0, 0, 0, 2, 'c', 'i'};
    struct err err = ERR_INIT;
    struct token token;
    uint8_t again[TOKEN_ROW_MAX];

    (void)state;
    assert_int_equal(token_decode("token/0123456789abcdef", ROW, sizeof ROW, &token, &err), 0);
    assert_int_equal(token.role, ROLE_VIEWER);
    assert_int_equal(token.created_ms, 1700000000000);
    assert_int_equal(token.last_used_ms, 5);
    assert_string_equal(token.description, "ci");
    assert_int_equal(token_encode(&token, again), sizeof ROW);
    assert_memory_equal(again, ROW, sizeof ROW);
}

static void test_authenticate(void **state) {
    char texts[3][TOKEN_TEXT_MAX], text[TOKEN_TEXT_MAX + 8];
    struct token tokens[] = {make(ROLE_ADMIN, NULL, texts[0]), make(ROLE_NODE, "rack1", texts[1]),
                             make(ROLE_VIEWER, NULL, texts[2])};
    struct token_registry *registry;
    struct principal principal = {.role = ROLE_NONE};
    struct err err = ERR_INIT;

    (void)state;
    tokens[2].expires_ms = NOW;
    registry = registry_with(tokens, 3);
    assert_true(accepted(registry, texts[0], &principal));
    assert_int_equal(principal.role, ROLE_ADMIN);
    assert_memory_equal(principal.user, "token:", 6);
    assert_string_equal(principal.user + 6, tokens[0].id);
    assert_true(accepted(registry, texts[1], &principal));
    assert_string_equal(principal.user, "system:node:rack1");
    assert_string_equal(principal_node(&principal), "rack1");

    /* At the very time it is expired. */
    assert_int_equal(token_registry_authenticate(registry, texts[2], 64, NOW - 1, &principal, &err), 0);
    assert_int_equal(token_registry_authenticate(registry, texts[2], 64, NOW, &principal, &err), -1);
    assert_non_null(strstr(err.text, "expired at 2027-01-15T08:00:00Z"));

    /* Every character counts. */
    for (size_t i = 0; i < 64; i++) {
        memcpy(text, texts[0], TOKEN_TEXT_MAX);
        text[i] = text[i] == 'b' ? 'c' : 'b';
        assert_false(accepted(registry, text, &principal));
    }
    /* One token's secret with another's id. */
    memcpy(text, texts[0], TOKEN_TEXT_MAX);
    memcpy(text + 4, tokens[1].id, TOKEN_ID_LENGTH);
    assert_false(accepted(registry, text, &principal));
    assert_false(accepted(registry, "", &principal));
    assert_false(accepted(registry, "bpd_", &principal));
    snprintf(text, sizeof text, "%sA", texts[0]);
    assert_false(accepted(registry, text, &principal));
    text[63] = '\0';
    assert_false(accepted(registry, text, &principal));

    assert_true(token_registry_remove(registry, tokens[0].id));
    assert_false(token_registry_remove(registry, tokens[0].id));
    assert_false(accepted(registry, texts[0], &principal));
    token_registry_free(registry);
}

static void test_last_use(void **state) {
    char text[TOKEN_TEXT_MAX];
    struct token token = make(ROLE_ADMIN, NULL, text), used[2];
    struct token_registry *registry = registry_with(&token, 1);
    struct principal principal;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(token_registry_take_used(registry, used, 2), 0);
    assert_int_equal(token_registry_authenticate(registry, text, 64, NOW, &principal, &err), 0);
    assert_int_equal(token_registry_take_used(registry, used, 2), 1);
    assert_string_equal(used[0].id, token.id);
    assert_int_equal(used[0].last_used_ms, NOW);
    assert_int_equal(token_registry_take_used(registry, used, 2), 0);
    /* Within a step nothing is to be written. */
    assert_int_equal(
        token_registry_authenticate(registry, text, 64, NOW + TOKEN_USED_STEP_MS - 1, &principal, &err), 0);
    assert_int_equal(token_registry_take_used(registry, used, 2), 0);
    assert_int_equal(
        token_registry_authenticate(registry, text, 64, NOW + TOKEN_USED_STEP_MS, &principal, &err), 0);
    assert_true(token_registry_get(registry, token.id, used));
    assert_int_equal(used[0].last_used_ms, NOW + TOKEN_USED_STEP_MS);
    assert_int_equal(token_registry_take_used(registry, used, 0), 0);
    assert_int_equal(token_registry_take_used(registry, used, 1), 1);
    token_registry_free(registry);
}

static void test_memory(void **state) {
    char texts[2][TOKEN_TEXT_MAX], text[TOKEN_TEXT_MAX];
    struct token tokens[] = {make(ROLE_ADMIN, NULL, texts[0]), make(ROLE_VIEWER, NULL, texts[1])}, used[2];
    struct token_memory memory = {.generation = 0};
    struct token_registry *registry;
    struct principal principal;
    struct err err = ERR_INIT;

    (void)state;
    tokens[1].expires_ms = NOW + 1000;
    registry = registry_with(tokens, 2);
#define KNOWS(which, now) (token_registry_recognize(registry, &memory, which, 64, now, &principal, &err) == 0)
    assert_true(KNOWS(texts[1], NOW));
    assert_true(KNOWS(texts[1], NOW + 999));
    assert_int_equal(principal.role, ROLE_VIEWER);
    assert_false(KNOWS(texts[1], NOW + 1000));
    assert_non_null(strstr(err.text, "expired"));
    assert_true(KNOWS(texts[1], NOW)); /* the system's time was set back */

    /* Any other text is another token, remembered or not. */
    assert_true(KNOWS(texts[0], NOW));
    for (size_t i = 0; i < 64; i++) {
        memcpy(text, texts[0], TOKEN_TEXT_MAX);
        text[i] = text[i] == 'b' ? 'c' : 'b';
        assert_false(KNOWS(text, NOW));
        assert_true(KNOWS(texts[0], NOW));
    }
    /* Its uses are noted as finely as without a memory. */
    (void)token_registry_take_used(registry, used, 2);
    assert_true(KNOWS(texts[0], NOW + TOKEN_USED_STEP_MS - 1));
    assert_int_equal(token_registry_take_used(registry, used, 2), 0);
    assert_true(KNOWS(texts[0], NOW + TOKEN_USED_STEP_MS));
    assert_int_equal(token_registry_take_used(registry, used, 2), 1);
    assert_int_equal(used[0].last_used_ms, NOW + TOKEN_USED_STEP_MS);
#undef KNOWS
    token_registry_free(registry);
}

/* Adding and removing in a random order against a plain array. */
static void test_many(void **state) {
    enum { MANY = 600 };
    static struct token tokens[MANY];
    static char texts[MANY][TOKEN_TEXT_MAX];
    static struct token_memory memories[8];
    bool there[MANY] = {false};
    struct token_registry *registry = registry_with(NULL, 0);
    struct principal principal;
    struct err err = ERR_INIT;
    struct token *list;
    size_t count = 0, listed;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        tokens[i] = make(ROLE_NODE, "n", texts[i]);
        tokens[i].created_ms = (int64_t)(MANY - i);
        /* Crowd them, so that runs of neighbours are long. */
        memcpy(tokens[i].id + 13, i % 3 == 0 ? "000" : "03f", 3);
        memcpy(texts[i] + 4, tokens[i].id, TOKEN_ID_LENGTH);
    }
    for (size_t step = 0; step < 6000; step++) {
        size_t i = (size_t)(random_u64() % MANY);

        if (there[i]) {
            assert_true(token_registry_remove(registry, tokens[i].id));
        } else {
            assert_int_equal(token_registry_reserve(registry, &err), 0);
            token_registry_put(registry, &tokens[i]);
        }
        there[i] = !there[i];
        count = there[i] ? count + 1 : count - 1;
        i = (size_t)(random_u64() % MANY);
        assert_int_equal(accepted(registry, texts[i], &principal), there[i]);
        /* What remembers says the same at once, whether the token is the last one or another. */
        struct token_memory *memory = &memories[step % 8];
        i = step % 3 == 0 ? i : (size_t)(random_u64() % 4);
        memset(&principal, 0, sizeof principal);
        assert_int_equal(token_registry_recognize(registry, memory, texts[i], TOKEN_TEXT_MAX - 1, NOW,
                                                  &principal, &err) == 0,
                         there[i]);
        assert_string_equal(principal.user, there[i] ? "system:node:n" : "");
    }
    assert_int_equal(token_registry_count(registry), count);
    assert_int_equal(token_registry_list(registry, &list, &listed, &err), 0);
    assert_int_equal(listed, count);
    for (size_t i = 1; i < listed; i++) {
        assert_true(list[i - 1].created_ms < list[i].created_ms);
    }
    free(list);
    token_registry_free(registry);
}

static void test_out_of_memory(void **state) {
    char text[TOKEN_TEXT_MAX];
    struct token token = make(ROLE_ADMIN, NULL, text);

    (void)state;
    for (long successes = 0;; successes++) {
        struct token_registry *registry = NULL;
        struct err err = ERR_INIT;
        struct token *list = NULL;
        size_t count;
        int rc;

        base_alloc_fail_after(successes);
        rc = token_registry_new(&registry, &err);
        for (int i = 0; rc == 0 && i < 80; i++) {
            rc = token_registry_reserve(registry, &err);
            if (rc == 0) {
                snprintf(token.id, sizeof token.id, "%016x", i);
                token_registry_put(registry, &token);
            }
        }
        if (rc == 0) {
            rc = token_registry_list(registry, &list, &count, &err);
        }
        base_alloc_fail_after(-1);
        free(list);
        token_registry_free(registry);
        if (rc == 0) {
            break;
        }
        assert_int_equal(err.code, ERR_NO_MEMORY);
    }
}

/* ---- threads ---- */

struct crowd {
    struct token_registry *registry;
    char text[TOKEN_TEXT_MAX];
    atomic_bool stop;
};

static void *reader(void *arg) {
    struct crowd *crowd = arg;
    size_t accepted_count = 0;

    while (!atomic_load(&crowd->stop)) {
        struct principal principal;
        struct err err = ERR_INIT;

        if (token_registry_authenticate(crowd->registry, crowd->text, 64, clock_realtime_ms(), &principal,
                                        &err) == 0) {
            accepted_count++;
        }
    }
    return (void *)(uintptr_t)accepted_count;
}

static void test_threads(void **state) {
    struct crowd crowd = {.registry = registry_with(NULL, 0)};
    struct token token = make(ROLE_ADMIN, NULL, crowd.text), used[4];
    pthread_t threads[3];
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &crowd), 0);
    }
    for (int i = 0; i < 2000; i++) {
        char text[TOKEN_TEXT_MAX];
        struct token other = make(ROLE_VIEWER, NULL, text);

        assert_int_equal(token_registry_reserve(crowd.registry, &err), 0);
        token_registry_put(crowd.registry, i % 2 == 0 ? &token : &other);
        (void)token_registry_take_used(crowd.registry, used, 4);
        assert_true(token_registry_remove(crowd.registry, i % 2 == 0 ? token.id : other.id));
    }
    atomic_store(&crowd.stop, true);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    token_registry_free(crowd.registry);
}

static int libraries(void **state) {
    struct err err = ERR_INIT;

    (void)state;
    return random_start(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),          cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bytes),         cmocka_unit_test(test_known_bytes),
        cmocka_unit_test(test_authenticate),  cmocka_unit_test(test_last_use),
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_many),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_masked),
    };

    return cmocka_run_group_tests_name("auth tokens", tests, libraries, NULL);
}
