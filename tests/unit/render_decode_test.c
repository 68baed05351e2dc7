/*
 * A list that is read back from its document is rendered as it was, and documents that are no list are
 * refused.
 */
#include "render_fixture.h"

static int read_list(struct arena *arena, const char *json, struct peering_list *ret,
                     struct peering_reveal *ret_reveal, uint64_t *ret_revision, struct err *err) {
    return render_read_list(json, strlen(json), arena, ret, ret_revision, ret_reveal, err);
}

static char *document_of(const struct list_fixture *fixture, bool passwords) {
    struct buf json = BUF_INIT;
    peering_encode(&fixture->list, 412, passwords ? &FIXTURE_REVEAL : NULL, &json);
    assert_false(buf_failed(&json));
    return buf_steal(&json, NULL);
}

static void test_what_is_read_back_is_rendered_alike(void **state) {
    struct list_fixture *fixture = *state;
    for (size_t i = 0; i < DAEMON_COUNT * 2; i++) {
        const char *format = DAEMONS[i / 2];
        bool passwords = i % 2 == 1;
        char *json = document_of(fixture, passwords);
        struct arena arena;
        struct peering_list list;
        struct peering_reveal reveal;
        struct render_options options = {.etag = "0123456789abcdef"};
        struct render_report report;
        struct buf text = BUF_INIT;
        struct err err = ERR_INIT;
        arena_init(&arena, 0);
        if (read_list(&arena, json, &list, &reveal, &options.revision, &err) != 0) {
            fail_msg("%s", err.text);
        }
        assert_true(arena.wipe);
        assert_int_equal(options.revision, 412);
        assert_int_equal(reveal.password != NULL, passwords);
        options.reveal = passwords ? &reveal : NULL;
        assert_int_equal(
            render_config(render_format_by_name(format), &list, &options, &arena, &text, &report, &err), 0);
        assert_string_equal(text.data, fixture_render(fixture, format, passwords));
        buf_done(&text);
        arena_done(&arena);
        free(json);
    }
}

static void test_other_documents_are_refused(void **state) {
    static const char HEAD[] =
        "{\"kind\":\"PeeringList\",\"metadata\":{\"node\":\"n\",\"resourceVersion\":\"1\"},"
        "\"local\":{\"asNumber\":64512,\"routerID\":\"192.0.2.1\"}";
    static const char ITEM[] = "\"peerIP\":\"192.0.2.2\",\"asNumber\":1,\"localASNumber\":2,"
                               "\"origin\":{\"scope\":\"Mesh\"}";
    static const struct {
        const char *begin, *item, *end;
        bool good;
    } CASES[] = {
        {"", "", "", false},
        {"[]", "", "", false},
        {"{\"kind\":\"Node\"}", "", "", false},
        {"{\"kind\":\"PeeringList\"}", "", "", false},
        {"{\"kind\":\"PeeringList\",\"metadata\":{\"node\":\"n\"}}", "", "", false},
        {HEAD, "", "}", true},
        {HEAD, "", "", false},
        {HEAD, ",\"items\":{}", "}", false},
        {HEAD, ",\"items\":[1]", "}", false},
        {HEAD, ",\"items\":[{\"peerIP\":\"192.0.2.2\"}]", "}", false},
        {HEAD, ",\"unknown\":[1]", "}", true},
        {HEAD, ",\"advertise\":[{\"cidr\":\"192.0.2.0\"}]", "}", false},
        {HEAD, ",\"advertise\":[{\"cidr\":\"192.0.2.0/24\",\"communities\":[1]}]", "}", false},
        {HEAD, ",\"filters\":{\"a\":{\"importV4\":1}}", "}", false},
        {"item", "", "", true},
        {"item", ",\"password\":1", "", false},
        {"item", ",\"port\":65536", "", false},
        {"item", ",\"port\":-1", "", false},
        {"item", ",\"port\":\"1\"", "", false},
        {"item", ",\"sourceAddress\":\"2001:db8::1\"", "", false},
        {"item", ",\"sourceAddress\":\"192.0.2.1; x\"", "", false},
        {"item", ",\"reachableBy\":\"here\"", "", false},
        {"item", ",\"routeReflectorClusterID\":\"1\"", "", false},
        {"item", ",\"nextHop\":\"self\"", "", false},
        {"item", ",\"ttlSecurity\":256", "", false},
        {"item", ",\"filters\":[{}]", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf json = BUF_INIT;
        struct arena arena;
        struct peering_list list;
        struct peering_reveal reveal;
        uint64_t revision;
        struct err err = ERR_INIT;
        if (strcmp(CASES[i].begin, "item") == 0) {
            buf_printf(&json, "%s,\"items\":[{%s%s}]}", HEAD, ITEM, CASES[i].item);
        } else {
            buf_printf(&json, "%s%s%s", CASES[i].begin, CASES[i].item, CASES[i].end);
        }
        arena_init(&arena, 0);
        int result = render_read_list(json.data, json.len, &arena, &list, &revision, &reveal, &err);
        if ((result == 0) != CASES[i].good || (result != 0 && err.code != ERR_BAD_REQUEST)) {
            fail_msg("%s: %s", json.data, err.text);
        }
        arena_done(&arena);
        buf_done(&json);
    }
}

/* What is wrong may stand beside a password. */
static void test_refusals_do_not_show_passwords(void **state) {
    static const char *const TEXTS[] = {
        "{\"kind\":\"PeeringList\",\"password\":\"s3cret\" s3cret",
        "{\"kind\":\"PeeringList\",\"items\":[{\"password\":\"s3cret",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct arena arena;
        struct peering_list list;
        struct peering_reveal reveal;
        uint64_t revision;
        struct err err = ERR_INIT;
        arena_init(&arena, 0);
        assert_int_equal(read_list(&arena, TEXTS[i], &list, &reveal, &revision, &err), -1);
        assert_null(strstr(err.text, "s3cret"));
        arena_done(&arena);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_read_back_is_rendered_alike),
        TEST(test_other_documents_are_refused),
        TEST(test_refusals_do_not_show_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
