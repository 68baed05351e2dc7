/*
 * Rendering: the texts of a list that uses every field (tests/fixtures/render, written again with
 * RENDER_FIXTURES=write), what is disabled and reported, and that nothing breaks out of its place.
 */
#include "render_fixture.h"

#include "base/alloc.h"

/* ---- texts ---- */

static void assert_is_file(const struct buf *text, const char *path) {
    const char *write = getenv("RENDER_FIXTURES");
    if (write != NULL && strcmp(write, "write") == 0) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s is missing", path);
        return;
    }
    struct buf expected = BUF_INIT;
    char chunk[4096];
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        buf_add(&expected, chunk, len);
    }
    fclose(file);
    if (expected.len != text->len || memcmp(expected.data, text->data, text->len) != 0) {
        fail_msg("the text differs from %s:\n%s", path, text->data);
    }
    buf_done(&expected);
}

static void test_every_format_has_its_text(void **state) {
    struct list_fixture *fixture = *state;
    size_t count;
    const struct render_format *formats = render_formats(&count);
    for (size_t i = 0; i < count; i++) {
        if (formats[i].writer == NULL) {
            continue; /* the list's own tests have it */
        }
        char path[128];
        snprintf(path, sizeof(path), "tests/fixtures/render/%s.conf", formats[i].name);
        (void)fixture_render(fixture, formats[i].name, true);
        assert_is_file(&fixture->text, path);
    }
}

static void test_equal_lists_give_equal_bytes(void **state) {
    struct list_fixture *fixture = *state;
    struct list_fixture other;
    fixture_init(&other);
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        assert_string_equal(fixture_render(fixture, DAEMONS[i], true),
                            fixture_render(&other, DAEMONS[i], true));
    }
    fixture_done(&other);
}

static void test_json_is_the_list_itself(void **state) {
    struct list_fixture *fixture = *state;
    struct buf list = BUF_INIT;
    peering_encode(&fixture->list, 412, &FIXTURE_REVEAL, &list);
    assert_string_equal(fixture_render(fixture, "json", true), list.data);
    assert_int_equal(fixture->report.count, 0);
    buf_done(&list);
}

static void assert_daemons_accept(struct list_fixture *fixture) {
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        (void)fixture_render(fixture, DAEMONS[i], true);
        assert_accepted(DAEMONS[i], &fixture->text);
    }
}

static void test_daemons_take_it(void **state) {
    assert_daemons_accept(*state);
}

static void test_an_empty_list_is_a_configuration(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.entry_count = 0;
    fixture->list.filter_count = 0;
    fixture->list.advertisement_count = 0;
    assert_daemons_accept(fixture);
}

/* ---- passwords ---- */

static void test_without_the_right_passwords_are_not_shown(void **state) {
    struct list_fixture *fixture = *state;
    fixture->entries[1].filter_count = 0; /* it has a rule that not every daemon can express */
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        const char *text = fixture_render(fixture, DAEMONS[i], false);
        assert_has_not(text, "s3cret-pass");
        assert_has_not(text, "v6-pass");
        assert_has(section(fixture, "192.0.2.1"), "passwordFingerprint=9f00000000000001");
        assert_down(fixture, DAEMONS[i], "192.0.2.1");
        assert_down(fixture, DAEMONS[i], "2001:db8::1");
        const struct render_problem *problem = fixture_problem(fixture, "192.0.2.1", "password");
        assert_non_null(problem);
        assert_string_equal(problem->reason, "PasswordNotShown");
        assert_true(problem->disabled);
        assert_up(fixture, DAEMONS[i], "192.0.2.12");
    }
}

static int fail_to_reveal(void *arg, const struct peering_entry *entry, struct buf *out, struct err *err) {
    (void)arg;
    (void)entry;
    buf_add_str(out, "half a pass");
    return err_set(err, ERR_UNAVAILABLE, "the vault is sealed");
}

static void test_a_password_that_the_vault_keeps_disables_its_session(void **state) {
    struct list_fixture *fixture = *state;
    const struct peering_reveal reveal = {.password = fail_to_reveal};
    const struct render_options options = {.revision = 1, .reveal = &reveal};
    struct err err = ERR_INIT;
    assert_int_equal(render_config(render_format_by_name("bird2"), &fixture->list, &options, &fixture->arena,
                                   &fixture->text, &fixture->report, &err),
                     0);
    assert_has_not(fixture->text.data, "half a pass");
    assert_has(section(fixture, "192.0.2.1"), "disabled yes;");
    assert_string_equal(fixture_problem(fixture, "192.0.2.1", "password")->reason, "VaultError");
}

static void test_passwords_are_kept_in_wiping_memory(void **state) {
    struct list_fixture *fixture = *state;
    (void)fixture_render(fixture, "bird2", true);
    assert_true(fixture->text.wipe);
}

struct password_case {
    const char *format;
    const char *password;
    bool taken;
};

static const struct password_case PASSWORDS[] = {
    {"bird2", "two words", true},
    {"bird2", " \\ # ; {} $ '", true},
    {"bird2", "\xc3\xa4\x01\x7f", true},
    {"bird2", "\xff\xfe", true},
    {"bird2", "ends\\", true},
    {"bird2", BYTES_80, true},
    {"bird2", BYTES_80 "x", false},
    {"bird2", "say \"hi\"", false},
    {"bird2", "\"", false},
    {"bird2", "two\nlines", false},
    {"bird2", "two\rlines", false},
    {"bird2", "", false},
    {"gobgp", "two words \xc3\xa4 # {}", true},
    {"gobgp", BYTES_80, true},
    {"gobgp", BYTES_80 "x", false},
    {"gobgp", "\xff\xfe", false},
    {"gobgp", "\xc3", false},
    {"gobgp", "\xc2\x85", false},
    {"openbgpd", BYTES_80 "x", false},
    {"openbgpd", "", false},
    {"frr", "two words", false},
    {"frr", "tab\there", false},
    {"frr", "a #b", false},
    {"frr", "#!$?|;^\\'`{}%", true},
    {"frr", "\xc3\xa4\xff", true},
    {"frr", BYTES_80, true},
    {"frr", BYTES_80 "x", false},
    {"frr", " lead", false},
    {"frr", "two\nlines", false},
    {"frr", "\x01", false},
    {"frr", "trail ", false},
};

static void test_passwords_go_in_as_they_are_or_not_at_all(void **state) {
    struct list_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(PASSWORDS) / sizeof(PASSWORDS[0]); i++) {
        const struct password_case *tried = &PASSWORDS[i];
        fixture_password(&fixture->entries[0], tried->password);
        fixture->entries[0].filter_count = 0; /* it has rules that not every daemon can express */
        (void)fixture_render(fixture, tried->format, true);
        const char *session = section(fixture, "192.0.2.1");
        const struct render_problem *problem = fixture_problem(fixture, "192.0.2.1", "password");
        if (tried->taken) {
            assert_null(problem);
            assert_up(fixture, tried->format, "192.0.2.1");
            assert_true(strcmp(tried->format, "openbgpd") == 0 || strstr(session, tried->password) != NULL);
        } else {
            assert_non_null(problem);
            assert_string_equal(problem->reason, "NotExpressible");
            assert_has(session, "state=disabled reason=NotExpressible");
            assert_down(fixture, tried->format, "192.0.2.1");
            assert_has_not(session, "\n  password \"");
            assert_has_not(session, "neighbor 192.0.2.1 password ");
        }
    }
}

/* ---- sessions that are not opened ---- */

static void test_a_withheld_session_is_disabled(void **state) {
    struct list_fixture *fixture = *state;
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        (void)fixture_render(fixture, DAEMONS[i], true);
        assert_down(fixture, DAEMONS[i], "198.51.100.8");
        assert_has(section(fixture, "198.51.100.8"), "reason=withheld");
    }
    (void)fixture_render(fixture, "bird2", true);
    assert_has(section(fixture, "198.51.100.8"), "import none;\n    export none;");
    (void)fixture_render(fixture, "frr", true);
    assert_has(fixture->text.data, "neighbor 198.51.100.8 route-map none in\n");
    assert_has(fixture->text.data, "neighbor 198.51.100.8 route-map none out\n");
}

static void test_a_filter_that_is_not_there_disables_its_session(void **state) {
    static const char *const missing[] = {"nobody"};
    struct list_fixture *fixture = *state;
    fixture->entries[0].filter_count = 1;
    fixture->entries[0].filters = missing;
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        (void)fixture_render(fixture, DAEMONS[i], true);
        assert_down(fixture, DAEMONS[i], "192.0.2.1");
        assert_non_null(fixture_problem(fixture, "192.0.2.1", "filters"));
    }
}

/* What validation refuses may still come from an older store: it must never be read as "no condition". */
static void test_a_filter_that_cannot_be_read_disables_its_sessions(void **state) {
    static const char *const SPECS[] = {
        "{\"importV4\":[{\"cidr\":\"203.0.113.0/24\",\"action\":\"Accept\"}]}",
        "{\"importV4\":[{\"cidr\":\"2001:db8::/32\",\"matchOperator\":\"In\",\"action\":\"Accept\"}]}",
        "{\"importV4\":[{\"interface\":\"eth0\\\" then accept; #\",\"action\":\"Accept\"}]}",
        "{\"importV4\":[{\"communities\":{\"values\":[\"65536:1\"]},\"action\":\"Accept\"}]}",
        "{\"importV4\":[{\"communities\":{\"values\":[\"1:2:3:4\"]},\"action\":\"Accept\"}]}",
        "{\"importV4\":[{\"communities\":{\"values\":[\"1:\"]},\"action\":\"Accept\"}]}",
        "{\"exportV6\":[{\"action\":\"Accept\",\"operations\":[{}]}]}",
    };
    struct list_fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(SPECS) / sizeof(SPECS[0]); i++) {
        fixture->filters[0].spec = fixture_spec(fixture, SPECS[i]);
        for (size_t k = 0; k < DAEMON_COUNT; k++) {
            (void)fixture_render(fixture, DAEMONS[k], true);
            assert_down(fixture, DAEMONS[k], "192.0.2.1");
            assert_down(fixture, DAEMONS[k], "2001:db8::1");
            assert_non_null(fixture_problem(fixture, "192.0.2.1", "filters"));
            assert_up(fixture, DAEMONS[k], "198.51.100.7");
        }
    }
}

static void test_addresses_that_no_session_has_are_left_out(void **state) {
    static const char *const ADDRESSES[] = {"0.0.0.0", "224.0.0.5", "255.255.255.255",
                                            "::",      "ff02::5",   "fe80::1"};
    (void)state;
    for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
        struct list_fixture other;
        fixture_init(&other);
        other.list.entry_count = 1;
        (void)fixture_entry(&other, ADDRESSES[i], 64510, 64512);
        for (size_t k = 0; k < DAEMON_COUNT; k++) {
            (void)fixture_render(&other, DAEMONS[k], true);
            char line[64];
            assert_has(section(&other, ADDRESSES[i]), "state=left-out");
            snprintf(line, sizeof(line), "neighbor %s ", ADDRESSES[i]);
            assert_has_not(other.text.data, line);
            assert_non_null(fixture_problem(&other, ADDRESSES[i], "peerIP"));
        }
        fixture_done(&other);
    }
}

/* ---- names ---- */

static void test_names_cannot_break_out(void **state) {
    struct list_fixture *fixture = *state;
    fixture->list.node = "n\nprotocol pipe {}";
    fixture->entries[0].origin.bgp_peer = "x\"; disabled yes; /* \\";
    fixture->entries[0].origin.remote_node = "a\r\nb # \xc3\xa4 {";
    const char *text = fixture_render(fixture, "bird2", true);
    assert_has_not(text, "\nprotocol pipe");
    assert_has(text, "  description \"x?; disabled yes; /* ?, a??b ? ?? ?\";\n");
    assert_has(text, "# bgppeerd node=n?protocol?pipe??? ");
    assert_daemons_accept(fixture);
}

static void test_names_of_filters_fit_and_differ(void **state) {
    static char longs[2][254];
    static const char *names[] = {longs[0], longs[1]};
    struct list_fixture *fixture = *state;
    memset(longs, 'a', sizeof(longs));
    longs[0][253] = longs[1][253] = '\0';
    longs[1][252] = 'b';
    fixture->filters[0].name = longs[0];
    fixture->filters[1].name = longs[1];
    fixture->entries[0].filters = names;
    fixture->entries[1].filters = names;
    fixture->entries[4].filters = names;
    (void)fixture_render(fixture, "bird2", true);
    assert_null(fixture_problem(fixture, "192.0.2.1", "filters"));
    assert_daemons_accept(fixture);
}

/* ---- failures ---- */

static void fail_every_allocation(struct list_fixture *fixture, const char *format) {
    const struct render_options options = {.revision = 1, .etag = "e", .reveal = &FIXTURE_REVEAL};
    bool failed = true;
    for (long after = 0; failed; after++) {
        assert_true(after < 10000);
        struct arena arena;
        struct buf out = BUF_INIT;
        struct err err = ERR_INIT;
        struct render_report report = {.count = 0};
        arena_init(&arena, 64);
        base_alloc_fail_after(after);
        int result = render_config(render_format_by_name(format), &fixture->list, &options, &arena, &out,
                                   &report, &err);
        failed = base_alloc_failed();
        base_alloc_fail_after(-1);
        assert_int_equal(result, failed ? -1 : 0);
        assert_int_equal(err.code, failed ? ERR_NO_MEMORY : ERR_NONE);
        buf_done(&out);
        arena_done(&arena);
    }
}

static void test_every_allocation_may_fail(void **state) {
    for (size_t i = 0; i < DAEMON_COUNT; i++) {
        fail_every_allocation(*state, DAEMONS[i]);
    }
}

/* ---- formats ---- */

static void test_formats_are_found_by_name_and_type(void **state) {
    (void)state;
    static const char type[] = "text/vnd.BGPPEERD.bird2;q=1";
    assert_string_equal(render_format_by_media_type(type, strcspn(type, ";"))->name, "bird2");
    assert_null(render_format_by_media_type("text/plain", 10));
    assert_null(render_format_by_name("bird"));
    assert_null(render_format_by_name(""));
}

static void test_tags_differ_by_format_and_passwords(void **state) {
    (void)state;
    static const struct {
        const char *format;
        bool passwords;
    } TAGS[] = {{"json", false}, {"json", true}, {"bird2", false}, {"bird2", true}, {"bird3", false}};
    char tags[5][RENDER_ETAG_MAX];
    for (size_t i = 0; i < 5; i++) {
        size_t len = render_etag(render_format_by_name(TAGS[i].format), "d", TAGS[i].passwords, tags[i]);
        assert_int_equal(len, strlen(tags[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(tags[i], tags[k]);
        }
    }
}

static void test_the_table_of_fields_gives_reasons(void **state) {
    (void)state;
    size_t count;
    const struct render_field *fields = render_fields(&count);
    assert_true(count > 30);
    struct buf table = BUF_INIT;
    render_fields_table(&table);
    for (size_t i = 0; i < count; i++) {
        char row[64];
        assert_non_null(fields[i].name);
        snprintf(row, sizeof(row), "\n| `%s` | ", fields[i].name);
        assert_has(table.data, row);
        for (size_t daemon = 0; daemon < RENDER_DAEMON_COUNT; daemon++) {
            const struct render_cell *cell = &fields[i].on[daemon];
            bool plain = cell->usual == RENDER_OK && cell->beyond == RENDER_OK;
            assert_true(plain || cell->reason != NULL);
        }
    }
    buf_done(&table);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_every_format_has_its_text),
        TEST(test_equal_lists_give_equal_bytes),
        TEST(test_json_is_the_list_itself),
        TEST(test_daemons_take_it),
        TEST(test_an_empty_list_is_a_configuration),
        TEST(test_without_the_right_passwords_are_not_shown),
        TEST(test_a_password_that_the_vault_keeps_disables_its_session),
        TEST(test_passwords_are_kept_in_wiping_memory),
        TEST(test_passwords_go_in_as_they_are_or_not_at_all),
        TEST(test_a_withheld_session_is_disabled),
        TEST(test_a_filter_that_is_not_there_disables_its_session),
        TEST(test_a_filter_that_cannot_be_read_disables_its_sessions),
        TEST(test_addresses_that_no_session_has_are_left_out),
        TEST(test_names_cannot_break_out),
        TEST(test_names_of_filters_fit_and_differ),
        TEST(test_every_allocation_may_fail),
        TEST(test_formats_are_found_by_name_and_type),
        TEST(test_tags_differ_by_format_and_passwords),
        TEST(test_the_table_of_fields_gives_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
