/*
 * Ten thousand names and passwords made of what could end a string, a line, a comment or a block: of 2,500
 * sessions, each with a filter of its own. Nothing breaks out (the text has the same lines as with tame
 * names, and the daemon's own parser takes it), and each password goes in with the same bytes, or its session
 * is down.
 *
 * tests/run: timeout 300
 */
#include "render_fixture.h"

#define SESSIONS 2500
#define TEXT_MAX 96

struct hostile {
    struct list_fixture *fixture;
    struct peering_entry *entries;
    struct peering_filter *filters;
    const char *(*names)[1];
    uint64_t random;
};

static const char *const PIECES[] = {
    "\"",
    "\\",
    "#",
    "{",
    "}",
    "\n",
    "\r",
    "\t",
    " ",
    "!",
    ";",
    "'",
    "$",
    "${x}",
    "/*",
    "*/",
    "|",
    "?",
    "%s",
    "%n",
    "\x01",
    "\x1b[2J",
    "\x7f",
    "\xc3\xa4",
    "\xff",
    "\xe2\x80\xa8",
    "\xf0\x9f\x90\x83",
    "a",
    "B",
    "0",
    "-",
    ".",
    "_",
    ":",
    "\\n",
    "\\\"",
    "\"; }\nprotocol pipe {}",
    "\nneighbor 10.0.0.9 shutdown",
    "\n[global.config]\nas = 1",
    "\nallow quick to any",
    "exit\n",
    "passw0rd",
    "\\",
    "\"\"\"",
};

static uint64_t next_random(struct hostile *hostile) {
    hostile->random ^= hostile->random << 13;
    hostile->random ^= hostile->random >> 7;
    hostile->random ^= hostile->random << 17;
    return hostile->random;
}

/* Never empty; a serial number makes names of filters unique. */
static const char *hostile_text(struct hostile *hostile, size_t serial) {
    char text[TEXT_MAX + 1] = "";
    size_t len = 0, pieces = 1 + next_random(hostile) % 8;
    for (size_t i = 0; i < pieces; i++) {
        const char *piece = PIECES[next_random(hostile) % (sizeof(PIECES) / sizeof(PIECES[0]))];
        if (len + strlen(piece) + 8 > TEXT_MAX) {
            break;
        }
        memcpy(text + len, piece, strlen(piece) + 1);
        len += strlen(piece);
    }
    if (serial > 0) {
        snprintf(text + len, sizeof(text) - len, "%zu", serial);
    }
    const char *copy = arena_strdup(&hostile->fixture->arena, text);
    assert_non_null(copy);
    return copy;
}

static int compare_filters(const void *a, const void *b) {
    return strcmp(((const struct peering_filter *)a)->name, ((const struct peering_filter *)b)->name);
}

static void hostile_fill(struct hostile *hostile, struct list_fixture *fixture) {
    *hostile = (struct hostile){.fixture = fixture, .random = 88172645463325252u};
    hostile->entries = arena_array(&fixture->arena, SESSIONS, sizeof(*hostile->entries));
    hostile->filters = arena_array(&fixture->arena, SESSIONS, sizeof(*hostile->filters));
    hostile->names = arena_array(&fixture->arena, SESSIONS, sizeof(*hostile->names));
    const struct bgp_filter_spec *spec = fixture_spec(
        fixture,
        "{\"importV4\":[{\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"In\",\"action\":\"Accept\"}]}");
    for (size_t i = 0; i < SESSIONS; i++) {
        struct peering_entry *entry = &hostile->entries[i];
        char address[IP_TEXT_MAX];
        *entry = fixture->entries[3];
        snprintf(address, sizeof(address), "198.18.%zu.%zu", i / 250, i % 250 + 1);
        assert_true(ip_parse(address, strlen(address), &entry->address));
        (void)ip_format(&entry->address, entry->address_text);
        fixture_password(entry, hostile_text(hostile, 0));
        entry->origin.bgp_peer = hostile_text(hostile, 0);
        entry->origin.remote_node = hostile_text(hostile, 0);
        hostile->names[i][0] = hostile_text(hostile, i + 1);
        hostile->filters[i] = (struct peering_filter){.name = hostile->names[i][0], .spec = spec};
        entry->filter_count = 1;
        entry->filters = hostile->names[i];
    }
    qsort(hostile->filters, SESSIONS, sizeof(*hostile->filters), compare_filters);
    fixture->list.node = hostile_text(hostile, 0);
    fixture->list.entry_count = fixture->list.filter_count = SESSIONS;
    fixture->list.entries = hostile->entries;
    fixture->list.filters = hostile->filters;
}

/* The same sessions and passwords, with names that mean nothing to anybody. */
static void hostile_tame(struct hostile *hostile) {
    for (size_t i = 0; i < SESSIONS; i++) {
        hostile->entries[i].origin.bgp_peer = hostile->entries[i].origin.remote_node = "tame";
        hostile->names[i][0] = arena_printf(&hostile->fixture->arena, "tame-%06zu", i);
        hostile->filters[i].name = hostile->names[i][0];
    }
    hostile->fixture->list.node = "tame";
}

static size_t count_lines(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* ---- a password read back as its daemon reads it ---- */

static size_t read_toml(const char *at, char *out) {
    size_t len = 0;
    while (*at != '"' && *at != '\0' && len < TEXT_MAX) {
        if (*at != '\\') {
            out[len++] = *at++;
        } else if (at[1] == 'u') {
            char hex[5] = {at[2], at[3], at[4], at[5], '\0'};
            out[len++] = (char)strtoul(hex, NULL, 16);
            at += 6;
        } else {
            out[len++] = at[1];
            at += 2;
        }
    }
    return len;
}

static size_t read_hex(const char *at, char *out) {
    size_t len = 0;
    for (unsigned byte; *at != '"' && len < TEXT_MAX && sscanf(at, "%2x", &byte) == 1; at += 2) {
        out[len++] = (char)byte;
    }
    return len;
}

/* The bytes between the mark and the end of the string; BIRD knows no escapes, FRR's word ends at a blank. */
static size_t read_plain(const char *at, char *out, const char *ends) {
    size_t len = strcspn(at, ends);
    assert_true(len <= TEXT_MAX);
    memcpy(out, at, len);
    return len;
}

static size_t read_password(const char *format, const char *session, const char *end, char *out) {
    static const struct {
        const char *format, *mark;
    } MARKS[] = {{"bird2", "\n  password \""},
                 {"bird3", "\n  password \""},
                 {"frr", " password "},
                 {"gobgp", "\nauth-password = \""},
                 {"openbgpd", "\n  tcp md5sig key \""}};
    size_t i = 0;
    while (strcmp(MARKS[i].format, format) != 0) {
        i++;
    }
    const char *found = strstr(session, MARKS[i].mark);
    if (found == NULL || found >= end) {
        return 0;
    }
    found += strlen(MARKS[i].mark);
    if (strcmp(format, "gobgp") == 0) {
        return read_toml(found, out);
    }
    return strcmp(format, "openbgpd") == 0 ? read_hex(found, out)
                                           : read_plain(found, out, format[0] == 'f' ? " \t\n" : "\"\n");
}

static size_t check_passwords(const struct hostile *hostile, const char *format, const char *text) {
    size_t taken = 0;
    const char *at = text;
    for (size_t i = 0; i < SESSIONS; i++) {
        const struct peering_entry *entry = &hostile->entries[i];
        char mark[64], password[TEXT_MAX];
        snprintf(mark, sizeof(mark), "session peerIP=%s ", entry->address_text);
        at = strstr(at, mark);
        assert_non_null(at);
        const char *end = strstr(at + 1, "session peerIP=");
        end = end != NULL ? end : at + strlen(at);
        size_t len = read_password(format, at, end, password);
        bool on = strstr(at, " state=on ") != NULL && strstr(at, " state=on ") < strchr(at, '\n');
        if (on && (len != strlen(entry->secret_key) || memcmp(password, entry->secret_key, len) != 0)) {
            fail_msg("%s: the password of %s changed on its way: %.*s", format, mark, (int)(end - at), at);
        }
        if (!on) {
            const char *down = strstr(at, down_line(format));
            assert_true(down != NULL && down < end);
            assert_int_equal(len, 0);
        }
        taken += on;
    }
    return taken;
}

static void check_format(const char *format) {
    struct list_fixture fixture;
    struct hostile hostile;
    fixture_init(&fixture);
    hostile_fill(&hostile, &fixture);
    const char *text = fixture_render(&fixture, format, true);
    assert_int_equal(strlen(text), fixture.text.len);
    size_t lines = count_lines(text);
    size_t taken = check_passwords(&hostile, format, text);
    assert_true(taken > SESSIONS / 10 && taken <= SESSIONS);
    assert_accepted(format, &fixture.text);
    hostile_tame(&hostile);
    assert_int_equal(count_lines(fixture_render(&fixture, format, true)), lines);
    fixture_done(&fixture);
}

static void test_bird(void **state) {
    (void)state;
    check_format("bird2");
}

static void test_frr(void **state) {
    (void)state;
    check_format("frr");
}

static void test_gobgp(void **state) {
    (void)state;
    check_format("gobgp");
}

static void test_openbgpd(void **state) {
    (void)state;
    check_format("openbgpd");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bird),
        cmocka_unit_test(test_frr),
        cmocka_unit_test(test_gobgp),
        cmocka_unit_test(test_openbgpd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
