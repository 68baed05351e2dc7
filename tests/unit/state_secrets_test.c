/*
 * Secrets through state: sealed on the way in, marked on the way out, revealed only in a node's own list,
 * kept over restarts and rotations.
 */
#include <dirent.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model/password.h"
#include "state_fixture.h"

#define SECRET(data) "{\"metadata\":{\"name\":\"bgp\"},\"stringData\":{" data "}}"
#define MARKER       "KipyZWRhY3RlZCoq"

static const char *const fleet[][2] = {
    {"Node", "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"}}}"},
    {"Node", "{\"metadata\":{\"name\":\"n2\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"10.0.0.2/24\"}}}"},
    {"BGPConfiguration", "{\"metadata\":{\"name\":\"default\"},\"spec\":{\"nodeToNodeMeshEnabled\":false}}"},
    {"BGPPeer",
     "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"node\":\"n1\",\"peerIP\":\"192.0.2.1\",\"asNumber\":65001,"
     "\"password\":{\"secretKeyRef\":{\"name\":\"bgp\",\"key\":\"a\"}}}}"},
};

static void make_fleet(struct fixture *fixture) {
    for (size_t i = 0; i < sizeof fleet / sizeof fleet[0]; i++) {
        assert_int_equal(put(fixture, WRITE_CREATE, kind_by_name(fleet[i][0])->kind, NULL, fleet[i][1], NULL),
                         ERR_NONE);
    }
}

/* What is said of BGPPeer p, NULL = nothing of its password. The caller frees. */
static char *password_advice(struct fixture *fixture) {
    struct picture *picture = state_picture(fixture->state);
    struct advice advice;
    struct arena arena;
    char *found = NULL;

    arena_init(&arena, 0);
    advice_init(&advice, &arena);
    state_advise(fixture->state, picture, snapshot_get(picture->snapshot, KIND_BGPPEER, "p"), &advice);
    for (size_t i = 0; i < advice.count && found == NULL; i++) {
        found = strncmp(advice.items[i], "spec.password", 13) == 0 ? strdup(advice.items[i]) : NULL;
    }
    arena_done(&arena);
    picture_unref(picture);
    return found;
}

/* A Secret that nothing used may hold anything; who begins to use it is told. */
static void test_an_unusable_password_is_told_to_its_first_user(void **ptr) {
    struct fixture *fixture = *ptr;
    static const struct {
        const char *data, *finding;
    } cases[] = {{"\"a\":\"\"", "is empty"},
                 {"\"a\":\"two\\nlines\"", "a newline"},
                 {"\"a\":\"good\"", NULL},
                 {"\"b\":\"good\"", "has no key \"a\""}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[128];
        char *advice;

        snprintf(body, sizeof body, SECRET("%s"), cases[i].data);
        assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, body, NULL), ERR_NONE);
        make_fleet(fixture);
        advice = password_advice(fixture);
        assert_true((advice == NULL) == (cases[i].finding == NULL));
        assert_true(advice == NULL || strstr(advice, cases[i].finding) != NULL);
        free(advice);
        for (size_t k = 0; k < sizeof fleet / sizeof fleet[0]; k++) {
            static const char *const names[] = {"n1", "n2", "default", "p"};

            assert_int_equal(
                put(fixture, WRITE_DELETE, kind_by_name(fleet[k][0])->kind, names[k], NULL, NULL), ERR_NONE);
        }
        assert_int_equal(put(fixture, WRITE_DELETE, KIND_SECRET, "default/bgp", NULL, NULL), ERR_NONE);
    }
}

/* The node's own answer, as text that the caller frees. */
static char *reveal(struct fixture *fixture, const char *node) {
    char etag[DIGEST_TEXT_MAX];
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    char *copy;

    if (state_reveal_list(fixture->state, node, &out, etag, &err) < 0) {
        fail_msg("reveal: %s", err.text);
    }
    assert_true(out.wipe);
    copy = strdup(out.data);
    buf_done(&out);
    return copy;
}

static void assert_password(struct fixture *fixture, const char *password) {
    char *json = reveal(fixture, "n1");
    char expected[128];

    snprintf(expected, sizeof expected, "\"password\":\"%s\"", password);
    if (strstr(json, expected) == NULL) {
        fail_msg("%s is not in %s", expected, json);
    }
    free(json);
}

static void assert_list_has(struct fixture *fixture, const char *text, bool has) {
    struct node_list *list = get_list(fixture, "n1");

    if ((strstr(list->json, text) != NULL) != has) {
        fail_msg("%s is %s in %s", text, has ? "not" : "still", list->json);
    }
    node_list_unref(list);
}

static void assert_object_has(struct fixture *fixture, const char *text, bool has) {
    struct picture *picture = state_picture(fixture->state);
    const struct record *record = snapshot_get(picture->snapshot, KIND_SECRET, "default/bgp");

    assert_non_null(record);
    if ((strstr(record->json, text) != NULL) != has) {
        fail_msg("%s is %s in %s", text, has ? "not" : "still", record->json);
    }
    picture_unref(picture);
}

static void test_password_reaches_its_node_only(void **ptr) {
    struct fixture *fixture = *ptr;
    char *json;

    make_fleet(fixture);
    assert_list_has(fixture, "SecretNotFound", true);
    assert_list_has(fixture, "\"withheld\":true", true);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL,
                         SECRET("\"a\":\"s3same-opener\",\"b\":\"other-one\""), NULL),
                     ERR_NONE);
    assert_password(fixture, "s3same-opener");
    assert_list_has(fixture, "withheld", false);
    assert_list_has(fixture, "passwordFingerprint", true);
    assert_list_has(fixture, "s3same-opener", false);
    assert_object_has(fixture, MARKER, true);
    assert_object_has(fixture, "s3same-opener", false);
    json = reveal(fixture, "n2");
    assert_null(strstr(json, "s3same-opener"));
    free(json);
    assert_int_equal(put(fixture, WRITE_DELETE, KIND_SECRET, "default/bgp", NULL, NULL), ERR_NONE);
    assert_list_has(fixture, "SecretNotFound", true);
}

static void test_marker_keeps_a_value(void **ptr) {
    struct fixture *fixture = *ptr;
    uint64_t first, second, third;

    make_fleet(fixture);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\"one\""), &first),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_SECRET, "default/bgp",
                         "{\"metadata\":{\"name\":\"bgp\"},\"data\":{\"a\":\"" MARKER "\"}}", &second),
                     ERR_NONE);
    assert_int_equal(second, first); /* nothing changed */
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"stringData\":{\"b\":\"two\"}}", &third),
        ERR_NONE);
    assert_true(third > first);
    assert_password(fixture, "one");
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_SECRET, "default/bgp",
                         "{\"metadata\":{\"name\":\"bgp\"},\"data\":{\"nosuch\":\"" MARKER "\"}}", NULL),
                     ERR_INVALID);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"data\":{\"a\":null}}", NULL),
                     ERR_NONE);
    assert_list_has(fixture, "SecretKeyNotFound", true);
}

static void test_a_new_value_moves_the_etag(void **ptr) {
    struct fixture *fixture = *ptr;
    struct node_list *before, *after, *elsewhere, *still;

    make_fleet(fixture);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\"one\""), NULL), ERR_NONE);
    before = get_list(fixture, "n1");
    elsewhere = get_list(fixture, "n2");
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"stringData\":{\"a\":\"two\"}}", NULL),
        ERR_NONE);
    after = get_list(fixture, "n1");
    still = get_list(fixture, "n2");
    assert_string_not_equal(before->etag, after->etag);
    assert_ptr_equal(elsewhere, still);
    assert_password(fixture, "two");
    node_list_unref(before);
    node_list_unref(after);
    node_list_unref(elsewhere);
    node_list_unref(still);
}

static void test_unusable_values(void **ptr) {
    struct fixture *fixture = *ptr;

    make_fleet(fixture);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\"new\\nline\""), NULL),
                     ERR_INVALID);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\"\""), NULL), ERR_INVALID);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"b\":\"new\\nline\""), NULL),
                     ERR_NONE);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_BGPPEER, "p",
                         "{\"spec\":{\"password\":{\"secretKeyRef\":{\"key\":\"b\"}}}}", NULL),
                     ERR_NONE);
    assert_list_has(fixture, "PasswordUnusable", true);
    assert_list_has(fixture, "\"withheld\":true", true);
}

static void put_bytes(struct fixture *fixture, const unsigned char *bytes, size_t len) {
    char body[512], base64[256];

    sodium_bin2base64(base64, sizeof(base64), bytes, len, sodium_base64_VARIANT_ORIGINAL);
    snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"bgp\"},\"data\":{\"b\":\"%s\"}}", base64);
    assert_int_equal(put(fixture, WRITE_REPLACE, KIND_SECRET, "default/bgp", body, NULL), ERR_NONE);
}

/* The node's own list is JSON whose session has the password or is withheld. */
static void assert_list_is_sound(struct fixture *fixture, const unsigned char *bytes, size_t len) {
    const bool usable = password_check(bytes, len) == PASSWORD_USABLE;
    char *json = reveal(fixture, "n1");
    json_t *list = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    const json_t *session = json_array_get(json_object_get(list, "items"), 0);
    const json_t *password = json_object_get(session, "password");

    if (session == NULL) {
        fail_msg("not the JSON of a list: %s", json);
    }
    assert_int_equal(usable, json_object_get(session, "withheld") == NULL);
    assert_int_equal(usable, password != NULL);
    assert_true(!usable || (json_string_length(password) == len &&
                            memcmp(json_string_value(password), bytes, len) == 0));
    json_decref(list);
    free(json);
}

/* Whatever somebody has stored, also before there was a rule: the state is decided when it is loaded. */
static void test_no_bytes_break_a_list(void **ptr) {
    static const char *const SPECIAL[] = {"\xff", "caf\xe9",      "a\"b", "a\\", " a",
                                          "a\r",  "\xed\xa0\x80", "\x7f", "good"};
    struct fixture *fixture = *ptr;
    unsigned char bytes[100];

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"b\":\"x\""), NULL), ERR_NONE);
    make_fleet(fixture);
    for (unsigned round = 0; round < 150; round++) {
        size_t len = round < sizeof(SPECIAL) / sizeof(SPECIAL[0]) ? strlen(SPECIAL[round]) : round % 90;

        randombytes_buf(bytes, sizeof(bytes));
        for (size_t i = 0; i < len && round % 2 == 0; i++) {
            bytes[i] = (unsigned char)(bytes[i] & 0x7f);
        }
        if (round < sizeof(SPECIAL) / sizeof(SPECIAL[0])) {
            memcpy(bytes, SPECIAL[round], len);
        }
        put_bytes(fixture, bytes, len); /* nothing uses the key b yet */
        assert_int_equal(put(fixture, WRITE_PATCH, KIND_BGPPEER, "p",
                             "{\"spec\":{\"password\":{\"secretKeyRef\":{\"key\":\"b\"}}}}", NULL),
                         ERR_NONE);
        assert_list_is_sound(fixture, bytes, len);
        if (round % 25 == 0) {
            fixture_restart(fixture, 0);
            assert_list_is_sound(fixture, bytes, len);
        }
        assert_int_equal(put(fixture, WRITE_PATCH, KIND_BGPPEER, "p",
                             "{\"spec\":{\"password\":{\"secretKeyRef\":{\"key\":\"a\"}}}}", NULL),
                         ERR_NONE);
    }
}

/* A value in use is refused when it is written anew. One that was stored before is kept with a word about it,
 * so that its Secret can be changed. */
static void test_a_stored_flaw_is_told_not_refused(void **ptr) {
    struct fixture *fixture = *ptr;
    struct call call;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\" blank\""), NULL),
                     ERR_NONE);
    make_fleet(fixture);
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"stringData\":{\"a\":\"b \"}}", NULL),
        ERR_INVALID);
    call_init(&call, WRITE_PATCH, KIND_SECRET, "default/bgp");
    call.write.patch = "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}";
    call.write.patch_len = strlen(call.write.patch);
    call_run(fixture, &call);
    assert_int_equal(call.write.err.code, ERR_NONE);
    assert_int_equal(call.write.advice.count, 1);
    assert_non_null(
        strstr(call.write.advice.items[0], "\"p\" uses the stored value as its BGP password, and it begins"));
    call_end(&call);
}

static struct buf many_keys(const char *member, unsigned from, unsigned to) {
    struct buf body = BUF_INIT;

    buf_printf(&body, "{\"metadata\":{\"name\":\"bgp\"},\"%s\":{", member);
    for (unsigned i = from; i < to; i++) {
        buf_printf(&body, "%s\"k%04u\":\"cHc=\"", i > from ? "," : "", i);
    }
    buf_add_str(&body, "}}");
    return body;
}

/* Values are matched by their order, so each of them must meet its own: kept, altered, added, taken out. */
static void test_many_keys(void **ptr) {
    struct fixture *fixture = *ptr;
    struct buf body = many_keys("data", 0, 1000);
    struct vault_report report;
    struct err err = ERR_INIT;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, body.data, NULL), ERR_NONE);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp",
                         "{\"stringData\":{\"k0500\":\"other\"},\"data\":{\"k0000\":null,\"k0999\":null}}",
                         NULL),
                     ERR_NONE);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(state_vault_report(fixture->state, &report, &err), 0);
        assert_int_equal(report.values, 998);
        assert_int_equal(report.unreadable, 0);
        assert_object_has(fixture, "k0998", true);
        assert_object_has(fixture, "k0999", false);
        fixture_restart(fixture, 0);
    }
    buf_done(&body);
    body = many_keys("stringData", 1, 3);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", body.data, NULL), ERR_NONE);
    buf_done(&body);
    body = many_keys("stringData", 2000, 2003); /* 998 and 3 */
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", body.data, NULL), ERR_INVALID);
    buf_done(&body);
}

static void test_immutable(void **ptr) {
    struct fixture *fixture = *ptr;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL,
                         "{\"metadata\":{\"name\":\"bgp\"},\"immutable\":true,\"stringData\":{\"a\":\"x\"}}",
                         NULL),
                     ERR_NONE);
    assert_int_equal(
        put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"stringData\":{\"a\":\"y\"}}", NULL),
        ERR_INVALID);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp", "{\"immutable\":false}", NULL),
                     ERR_INVALID);
    assert_int_equal(put(fixture, WRITE_PATCH, KIND_SECRET, "default/bgp",
                         "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", NULL),
                     ERR_NONE);
}

static void test_restart_and_rotations(void **ptr) {
    struct fixture *fixture = *ptr;
    const struct vault_new_root in_place = {0};
    struct vault_report report;
    struct err err = ERR_INIT;
    struct node_list *before, *after;
    uint64_t revision;
    bool restart = true;

    make_fleet(fixture);
    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, SECRET("\"a\":\"keep-me\""), &revision),
                     ERR_NONE);
    before = get_list(fixture, "n1");
    for (int i = 0; i < 3; i++) {
        if (state_rotate_data_key(fixture->state, NULL, &err) < 0) {
            fail_msg("rotate: %s", err.text);
        }
        assert_password(fixture, "keep-me");
    }
    if (state_change_root_key(fixture->state, &in_place, &restart, &err) < 0) {
        fail_msg("root: %s", err.text);
    }
    assert_false(restart);
    assert_password(fixture, "keep-me");
    fixture_restart(fixture, 0);
    assert_password(fixture, "keep-me");
    after = get_list(fixture, "n1");
    assert_string_equal(before->etag, after->etag);
    assert_int_equal(state_vault_report(fixture->state, &report, &err), 0);
    assert_int_equal(report.keys.key_count, 1);
    assert_int_equal(report.keys.keys[0].id, 4);
    assert_int_equal(report.keys.keys[0].values, 1);
    node_list_unref(before);
    node_list_unref(after);
}

static bool stop_at_once(void *arg, size_t done, size_t total) {
    (void)arg;
    (void)done;
    (void)total;
    return false;
}

static size_t key_count(struct fixture *fixture) {
    struct vault_report report;
    struct err err = ERR_INIT;

    assert_int_equal(state_vault_report(fixture->state, &report, &err), 0);
    return report.keys.key_count;
}

/* Whoever asks for a rotation while one is being finished gets it, and is not told to wait. */
static void test_unfinished_rotation(void **ptr) {
    struct fixture *fixture = *ptr;
    const struct key_progress progress = {.step = stop_at_once};
    struct err err = ERR_INIT;

    for (int i = 0; i < 200; i++) {
        char json[128];

        snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"s%d\"},\"stringData\":{\"a\":\"v%d\"}}", i, i);
        assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, json, NULL), ERR_NONE);
    }
    for (int asked = 0; asked < 2; asked++) {
        assert_int_equal(state_rotate_data_key(fixture->state, &progress, &err), -1);
        fixture_restart(fixture, 0);
        assert_int_equal(key_count(fixture), 2); /* nothing happens without having been told to */
        assert_int_equal(state_resume_rotation(fixture->state, &err), 0);
        if (asked && state_rotate_data_key(fixture->state, NULL, &err) < 0) {
            fail_msg("rotate: %s", err.text);
        }
        for (int i = 0; i < 6000 && key_count(fixture) > 1; i++) {
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
        assert_int_equal(key_count(fixture), 1);
    }
    /* Stopping does not wait for it. */
    assert_int_equal(state_rotate_data_key(fixture->state, &progress, &err), -1);
    fixture_restart(fixture, 0);
    assert_int_equal(state_resume_rotation(fixture->state, &err), 0);
    fixture_restart(fixture, 0);
    assert_true(key_count(fixture) <= 2);
}

static bool file_holds(const char *path, const char *text) {
    FILE *file = fopen(path, "rb");
    size_t len = strlen(text), size;
    char *bytes;
    bool found;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    found = memmem(bytes, size, text, len) != NULL;
    free(bytes);
    return found;
}

/* Neither the value nor its base64 is in any file, whatever way it came in. */
static void test_no_plaintext_on_disk(void **ptr) {
    static const char applied[] =
        "{\"metadata\":{\"name\":\"bgp\",\"annotations\":{\"kubectl.kubernetes.io/"
        "last-applied-configuration\":"
        "\"{\\\"apiVersion\\\":\\\"v1\\\",\\\"kind\\\":\\\"Secret\\\",\\\"metadata\\\":{\\\"name\\\":"
        "\\\"bgp\\\"},"
        "\\\"stringData\\\":{\\\"a\\\":\\\"plain-text-41\\\"},\\\"data\\\":{\\\"b\\\":\\\"cGxhaW4tdGV4dC00Mg="
        "=\\\"}}\"}},"
        "\"stringData\":{\"a\":\"plain-text-41\"},\"data\":{\"b\":\"cGxhaW4tdGV4dC00Mg==\"}}";
    static const char *const traces[] = {"plain-text-41", "plain-text-42", "cGxhaW4tdGV4dC00Mg",
                                         "cGxhaW4tdGV4dC00MQ"};
    struct fixture *fixture = *ptr;
    struct dirent *entry;
    int files = 0;
    DIR *dir;

    assert_int_equal(put(fixture, WRITE_CREATE, KIND_SECRET, NULL, applied, NULL), ERR_NONE);
    assert_object_has(fixture, "last-applied-configuration", true);
    assert_object_has(fixture, "plain-text", false);
    assert_object_has(fixture, "cGxhaW4tdGV4dC00Mg", false);
    dir = opendir(fixture->dir);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[512];

        if (entry->d_type != DT_REG) {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", fixture->dir, entry->d_name);
        files++;
        for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
            if (file_holds(path, traces[i])) {
                fail_msg("\"%s\" is in %s", traces[i], path);
            }
        }
    }
    closedir(dir);
    assert_true(files >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_unusable_password_is_told_to_its_first_user, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_password_reaches_its_node_only, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_marker_keeps_a_value, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_new_value_moves_the_etag, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unusable_values, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_bytes_break_a_list, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_stored_flaw_is_told_not_refused, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_many_keys, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_immutable, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_restart_and_rotations, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unfinished_rotation, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_plaintext_on_disk, fixture_setup, fixture_teardown),
    };

    if (fixture_libraries(NULL) < 0) {
        return 1;
    }
    return cmocka_run_group_tests_name("state_secrets", tests, NULL, NULL);
}
