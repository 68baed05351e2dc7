/* What the agent sees in two GoBGP files of one node: both are rendered, so that reader and writer agree. */
#include "render_fixture.h"

#include "../../service/agent/gobgp_text.h"

struct two_files {
    struct list_fixture fixture;
    struct buf before;
};

static const char EXPORTS[] =
    "{\"exportV4\":[{\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"In\",\"action\":\"Accept\","
    "\"operations\":[{\"addCommunity\":{\"value\":\"65000:1\"}}]},{\"action\":\"Reject\"}]}";

static int files_setup(void **state) {
    struct two_files *files = calloc(1, sizeof(*files));
    fixture_init(&files->fixture);
    files->fixture.filters[0].spec = fixture_spec(&files->fixture, EXPORTS);
    files->before = (struct buf)BUF_INIT;
    (void)fixture_render(&files->fixture, "gobgp", true);
    buf_add(&files->before, files->fixture.text.data, files->fixture.text.len);
    *state = files;
    return 0;
}

static int files_teardown(void **state) {
    struct two_files *files = *state;
    fixture_done(&files->fixture);
    buf_done(&files->before);
    free(files);
    return 0;
}

static struct gobgp_text before(const struct two_files *files) {
    return (struct gobgp_text){files->before.data, files->before.len};
}

static struct gobgp_text now(struct two_files *files) {
    (void)fixture_render(&files->fixture, "gobgp", true);
    return (struct gobgp_text){files->fixture.text.data, files->fixture.text.len};
}

static enum gobgp_exports exports(struct two_files *files, const char *address) {
    struct ip_addr peer;
    const struct gobgp_text old = before(files), new = now(files);
    assert_true(ip_parse(address, strlen(address), &peer));
    return gobgp_text_exports(&old, &new, &peer);
}

static bool renews(struct two_files *files, const char *address) {
    struct ip_addr peer;
    const struct gobgp_text old = before(files), new = now(files);
    assert_true(ip_parse(address, strlen(address), &peer));
    return gobgp_text_must_renew(&old, &new, &peer);
}

static void assert_global(struct two_files *files, const char *wanted) {
    char differs[64];
    const struct gobgp_text old = before(files), new = now(files);
    gobgp_text_compare_global(&new, &old, differs, sizeof(differs));
    assert_string_equal(differs, wanted);
}

/* ---- exports ---- */

static void the_same_list_exports_alike(void **state) {
    assert_int_equal(exports(*state, "192.0.2.1"), GOBGP_EXPORTS_ALIKE);
    assert_int_equal(exports(*state, "2001:db8::1"), GOBGP_EXPORTS_ALIKE);
    assert_int_equal(exports(*state, "192.0.2.99"), GOBGP_EXPORTS_ALIKE);
}

/* The statements of the sessions behind it get other numbers, and mean the same. */
static void a_session_of_another_one_changes_nothing(void **state) {
    struct two_files *files = *state;
    files->fixture.entries[0].filter_count = 0;
    files->fixture.entries[0].next_hop = NULL;
    assert_int_equal(exports(files, "192.0.2.1"), GOBGP_EXPORTS_DECIDED);
    assert_int_equal(exports(files, "192.0.2.12"), GOBGP_EXPORTS_ALIKE);
    assert_int_equal(exports(files, "198.51.100.7"), GOBGP_EXPORTS_ALIKE);
}

static void another_next_hop_is_the_same_routes(void **state) {
    struct two_files *files = *state;
    files->fixture.entries[0].next_hop = "Keep";
    assert_int_equal(exports(files, "192.0.2.1"), GOBGP_EXPORTS_CHANGED);
    assert_int_equal(exports(files, "192.0.2.12"), GOBGP_EXPORTS_ALIKE);
}

/* It is a tag on what all sessions are given. */
static void another_community_is_the_same_routes(void **state) {
    static const char *const OTHERS[] = {"65000:200"};
    struct two_files *files = *state;
    files->fixture.advertisements[0].communities = OTHERS;
    files->fixture.advertisements[0].community_count = 1;
    assert_int_equal(exports(files, "192.0.2.1"), GOBGP_EXPORTS_CHANGED);
    assert_int_equal(exports(files, "198.51.100.7"), GOBGP_EXPORTS_CHANGED);
}

/* The statements are the same, a set that one of them names is not. */
static void another_network_is_for_those_who_name_it(void **state) {
    struct two_files *files = *state;
    files->fixture.filters[0].spec = fixture_spec(
        &files->fixture,
        "{\"exportV4\":[{\"cidr\":\"203.0.113.0/25\",\"matchOperator\":\"In\",\"action\":\"Accept\","
        "\"operations\":[{\"addCommunity\":{\"value\":\"65000:1\"}}]},{\"action\":\"Reject\"}]}");
    assert_int_equal(exports(files, "192.0.2.1"), GOBGP_EXPORTS_DECIDED);
    assert_int_equal(exports(files, "198.51.100.7"), GOBGP_EXPORTS_ALIKE);
}

static void what_comes_in_is_no_export(void **state) {
    struct two_files *files = *state;
    files->fixture.filters[0].spec = fixture_spec(
        &files->fixture,
        "{\"exportV4\":[{\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"In\",\"action\":\"Accept\","
        "\"operations\":[{\"addCommunity\":{\"value\":\"65000:1\"}}]},{\"action\":\"Reject\"}],"
        "\"importV4\":[{\"cidr\":\"198.51.100.0/24\",\"matchOperator\":\"In\",\"action\":\"Reject\"}]}");
    assert_int_equal(exports(files, "192.0.2.1"), GOBGP_EXPORTS_ALIKE);
}

/* ---- sessions ---- */

static void ignored_changes_take_a_session_out(void **state) {
    struct two_files *files = *state;
    assert_false(renews(files, "192.0.2.1"));
    files->fixture.entries[0].ttl_security = 2;
    assert_true(renews(files, "192.0.2.1"));
    assert_false(renews(files, "192.0.2.12"));
    assert_false(renews(files, "192.0.2.99"));
}

static void prefixes_are_found(void **state) {
    struct two_files *files = *state;
    const struct gobgp_text file = before(files), none = {.text = NULL};
    char prefix[IP_CIDR_TEXT_MAX];
    const char *at = file.text;
    size_t count = 0;
    while (gobgp_text_next_prefix(&file, &at, prefix)) {
        assert_string_equal(prefix, files->fixture.advertisements[count].cidr);
        count++;
    }
    assert_int_equal(count, 3);
    assert_true(gobgp_text_announces(&file, "2001:db8:1::/64"));
    assert_false(gobgp_text_announces(&file, "2001:db8:2::/64"));
    assert_false(gobgp_text_announces(&none, "2001:db8:1::/64"));
}

/* ---- the whole daemon ---- */

static void settings_of_the_daemon_are_compared(void **state) {
    struct two_files *files = *state;
    const struct gobgp_text old = before(files);
    assert_global(files, "");
    files->fixture.list.local.router_id = "192.0.2.13";
    assert_global(files, "router-id");
    files->fixture.list.local.listen_port = 1790;
    assert_global(files, "router-id, port");
    struct gobgp_text new = now(files);
    assert_false(gobgp_text_as_differs(&old, &new));
    files->fixture.list.local.bind_mode = "NodeIP";
    files->fixture.list.local.as_number = 64513;
    assert_global(files, "as, router-id, port, local-address-list");
    new = now(files);
    assert_true(gobgp_text_as_differs(&old, &new));
}

/* A file that ends in the middle of a line is read to its end and no further. */
static void files_may_end_anywhere(void **state) {
    struct two_files *files = *state;
    struct ip_addr peer;
    assert_true(ip_parse("192.0.2.1", 9, &peer));
    for (size_t len = 0; len <= files->before.len; len++) {
        char *copy = malloc(len + 1); /* exactly as long, for the sanitizer */
        memcpy(copy, files->before.data, len);
        struct gobgp_text part = {copy, len}, whole = before(files);
        char differs[64];
        (void)gobgp_text_exports(&part, &whole, &peer);
        (void)gobgp_text_must_renew(&part, &whole, &peer);
        gobgp_text_compare_global(&part, &whole, differs, sizeof(differs));
        (void)gobgp_text_announces(&part, "192.0.2.0/25");
        free(copy);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_same_list_exports_alike),
        TEST(a_session_of_another_one_changes_nothing),
        TEST(another_next_hop_is_the_same_routes),
        TEST(another_community_is_the_same_routes),
        TEST(another_network_is_for_those_who_name_it),
        TEST(what_comes_in_is_no_export),
        TEST(ignored_changes_take_a_session_out),
        TEST(prefixes_are_found),
        TEST(settings_of_the_daemon_are_compared),
        TEST(files_may_end_anywhere),
    };
    return cmocka_run_group_tests_name("agent_gobgp_text", tests, NULL, NULL);
}
