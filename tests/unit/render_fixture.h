/*
 * Lists for the tests of the render room, made by hand: one that uses every field, and pieces to change.
 *
 * A password is its Secret's key in `secret_key`, without a vault; render_reveal() gives it out.
 */
#ifndef BGPPEERD_TESTS_UNIT_RENDER_FIXTURE_H
#define BGPPEERD_TESTS_UNIT_RENDER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "codec.h"
#include "model/resources.h"
#include "render.h"
#include "render_judge.h"

#define BYTES_10 "0123456789"
#define BYTES_80 BYTES_10 BYTES_10 BYTES_10 BYTES_10 BYTES_10 BYTES_10 BYTES_10 BYTES_10

#define LIST_SESSIONS 8
#define LIST_FILTERS  2

struct list_fixture {
    struct arena arena;
    struct peering_entry entries[LIST_SESSIONS];
    struct peering_filter filters[LIST_FILTERS];
    struct peering_advertisement advertisements[3];
    struct peering_list list;
    /* What render() gave. */
    struct buf text;
    struct render_report report;
};

static const struct secret_value FIXTURE_SECRET = {.key = "bgp", .fingerprint = "9f00000000000001"};

static inline struct peering_entry *fixture_entry(struct list_fixture *fixture, const char *address,
                                                  uint32_t remote_as, uint32_t local_as) {
    struct peering_entry *entry = &fixture->entries[fixture->list.entry_count++];
    *entry = (struct peering_entry){.as_number = remote_as,
                                    .local_as_number = local_as,
                                    .external = remote_as != local_as,
                                    .max_restart_time_s = -1,
                                    .keepalive_time_s = -1,
                                    .origin = {.scope = SCOPE_MESH}};
    assert_true(ip_parse(address, strlen(address), &entry->address));
    (void)ip_format(&entry->address, entry->address_text);
    entry->source_address = entry->address.family == IP_V4 ? "192.0.2.11" : "2001:db8::11";
    return entry;
}

static inline void fixture_password(struct peering_entry *entry, const char *password) {
    entry->password = PASSWORD_VALUE;
    entry->secret = &FIXTURE_SECRET;
    entry->secret_key = password;
}

/* A BGPFilter's spec of JSON; lives in the fixture's arena. */
static inline const struct bgp_filter_spec *fixture_spec(struct list_fixture *fixture, const char *spec) {
    struct buf json = BUF_INIT;
    struct err err = ERR_INIT;
    struct object *object = NULL;
    buf_printf(&json, "{\"metadata\":{\"name\":\"f\"},\"spec\":%s}", spec);
    if (codec_decode_stored(KIND_BGPFILTER, json.data, json.len, &fixture->arena, &object, &err) != 0) {
        fail_msg("%s", err.text);
    }
    buf_done(&json);
    return ((const struct bgp_filter *)object->body)->spec;
}

static inline void fixture_filter(struct list_fixture *fixture, const char *name, const char *spec) {
    fixture->filters[fixture->list.filter_count++] =
        (struct peering_filter){.name = name, .spec = fixture_spec(fixture, spec)};
}

static inline void fixture_advertise(struct list_fixture *fixture, const char *cidr, size_t count,
                                     const char *const *communities) {
    struct peering_advertisement *added = &fixture->advertisements[fixture->list.advertisement_count++];
    *added = (struct peering_advertisement){
        .community_count = count, .communities = communities, .source = "Node"};
    assert_true(ip_parse_cidr(cidr, strlen(cidr), &added->prefix));
    snprintf(added->cidr, sizeof(added->cidr), "%s", cidr);
}

static const char FIXTURE_ONLY_PODS[] =
    "{\"importV4\":["
    "{\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"In\",\"prefixLength\":{\"min\":25,\"max\":28},"
    "\"action\":\"Accept\",\"operations\":[{\"addCommunity\":{\"value\":\"65000:1\"}},"
    "{\"prependASPath\":{\"prefix\":[65001,65002]}},{\"setPriority\":{\"value\":500}},"
    "{\"addCommunity\":{\"value\":\"65000:1:3\"}}]},"
    "{\"cidr\":\"198.51.100.0/25\",\"matchOperator\":\"Equal\",\"communities\":{\"values\":[\"65000:1:2\"]},"
    "\"action\":\"Reject\"},"
    "{\"asPathPrefix\":[64510,65020],\"action\":\"Reject\"},"
    "{\"peerType\":\"iBGP\",\"communities\":{\"values\":[\"65000:7\"]},\"action\":\"Accept\"},"
    "{\"cidr\":\"198.51.100.0/24\",\"matchOperator\":\"In\",\"prefixLength\":{\"max\":20},"
    "\"action\":\"Accept\"},"
    "{\"priority\":700,\"action\":\"Reject\"},"
    "{\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"NotIn\",\"action\":\"Reject\"}],"
    "\"exportV4\":[{\"source\":\"RemotePeers\",\"cidr\":\"203.0.113.0/24\",\"matchOperator\":\"In\","
    "\"action\":\"Reject\"},{\"cidr\":\"192.0.2.0/24\",\"matchOperator\":\"NotEqual\","
    "\"peerType\":\"eBGP\",\"source\":\"RemotePeers\",\"action\":\"Accept\"}],"
    "\"importV6\":[{\"cidr\":\"2001:db8:1::/48\",\"matchOperator\":\"In\",\"action\":\"Accept\"},"
    "{\"action\":\"Reject\"}]}";

/* The sessions of a route reflector; each field of the list is used by at least one. */
static inline void fixture_init(struct list_fixture *fixture) {
    static const char *const both[] = {"only-pods", "uplinks"};
    static const char *const communities[] = {"65000:100", "65000:1:2"};
    static const char *const ignored[] = {"cali*", "docker0"};
    struct err err = ERR_INIT;
    assert_int_equal(codec_start(&err), 0);
    *fixture = (struct list_fixture){.text = BUF_INIT};
    arena_init(&fixture->arena, 4096);
    struct peering_list *list = &fixture->list;
    list->node = "rack1-host1";
    list->local.as_number = 64512;
    list->local.ipv4_address = "192.0.2.11";
    list->local.ipv6_address = "2001:db8::11";
    list->local.router_id = "192.0.2.11";
    list->local.route_reflector_cluster_id = "244.0.0.1";
    list->local.log_severity = "Warning";
    list->local.ignored_interface_count = 2;
    list->local.ignored_interfaces = ignored;
    fixture_filter(fixture, "only-pods", FIXTURE_ONLY_PODS);
    fixture_filter(fixture, "uplinks",
                   "{\"exportV4\":[{\"cidr\":\"192.0.2.0/24\",\"matchOperator\":\"Equal\","
                   "\"action\":\"Reject\"}]}");
    fixture_advertise(fixture, "192.0.2.64/26", 2, communities);
    fixture_advertise(fixture, "198.51.100.0/24", 0, NULL);
    fixture_advertise(fixture, "2001:db8:1::/64", 1, communities);

    struct peering_entry *tor = fixture_entry(fixture, "192.0.2.1", 64510, 64512);
    tor->origin = (struct peering_origin){.bgp_peer = "rack1-tor", .scope = SCOPE_NODE_SELECTOR};
    tor->ttl_security = 1;
    tor->max_restart_time_s = 120;
    tor->keepalive_time_s = 20;
    tor->next_hop = "Self";
    tor->num_allowed_local_as_numbers = 1;
    tor->filter_count = 2;
    tor->filters = both;
    fixture_password(tor, "s3cret-pass");
    struct peering_entry *client = fixture_entry(fixture, "192.0.2.12", 64512, 64512);
    client->origin = (struct peering_origin){
        .bgp_peer = "reflectors", .scope = SCOPE_GLOBAL, .reverse = true, .remote_node = "rack1-host2"};
    client->route_reflector_cluster_id = "244.0.0.1";
    client->passive = true;
    client->filter_count = 1;
    client->filters = both;
    struct peering_entry *far = fixture_entry(fixture, "198.51.100.7", 64511, 64999);
    far->origin = (struct peering_origin){.bgp_peer = "far", .scope = SCOPE_NODE};
    far->source_address = NULL;
    far->port = 1790;
    far->reachable_by = "192.0.2.254";
    far->next_hop = "Keep";
    far->keepalive_time_s = 0;
    far->num_allowed_local_as_numbers = 12;
    struct peering_entry *withheld = fixture_entry(fixture, "198.51.100.8", 64511, 64512);
    withheld->origin = (struct peering_origin){.bgp_peer = "far-2", .scope = SCOPE_NODE};
    withheld->password = PASSWORD_WITHHELD;
    withheld->ttl_security = 2;
    struct peering_entry *six = fixture_entry(fixture, "2001:db8::1", 64510, 64512);
    six->origin = (struct peering_origin){.bgp_peer = "rack1-tor-6", .scope = SCOPE_NODE_SELECTOR};
    six->ttl_security = 3;
    six->port = 179;
    six->filter_count = 1;
    six->filters = both;
    fixture_password(six, "v6-pass");
    fixture_entry(fixture, "2001:db8::12", 64512, 64512)->max_restart_time_s = 5000;
    list->entries = fixture->entries;
    list->filters = fixture->filters;
    list->advertisements = fixture->advertisements;
}

static inline void fixture_done(struct list_fixture *fixture) {
    buf_done(&fixture->text);
    arena_done(&fixture->arena);
}

static inline int render_reveal(void *arg, const struct peering_entry *entry, struct buf *out,
                                struct err *err) {
    (void)arg;
    (void)err;
    buf_add_str(out, entry->secret_key);
    return 0;
}

static const struct peering_reveal FIXTURE_REVEAL = {.password = render_reveal};

/* Renders the list; the text is fixture->text, NUL-terminated. */
static inline const char *fixture_render(struct list_fixture *fixture, const char *format, bool reveal) {
    const struct render_options options = {
        .revision = 412, .etag = "0123456789abcdef", .reveal = reveal ? &FIXTURE_REVEAL : NULL};
    struct err err = ERR_INIT;
    buf_clear(&fixture->text);
    const struct render_format *found = render_format_by_name(format);
    assert_non_null(found);
    if (render_config(found, &fixture->list, &options, &fixture->arena, &fixture->text, &fixture->report,
                      &err) != 0) {
        fail_msg("%s", err.text);
    }
    return fixture->text.data;
}

static inline const struct render_problem *fixture_problem(const struct list_fixture *fixture,
                                                           const char *peer_ip, const char *field) {
    for (size_t i = 0; i < fixture->report.count; i++) {
        const struct render_problem *problem = &fixture->report.problems[i];
        bool same_peer = peer_ip == NULL ? problem->peer_ip == NULL
                                         : problem->peer_ip != NULL && strcmp(problem->peer_ip, peer_ip) == 0;
        if (same_peer && strcmp(problem->field, field) == 0) {
            return problem;
        }
    }
    return NULL;
}

static inline void assert_has(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is missing in\n%s", part, text);
    }
}

static inline void assert_has_not(const char *text, const char *part) {
    if (strstr(text, part) != NULL) {
        fail_msg("\"%s\" must not be in\n%s", part, text);
    }
}

/* What stands between the session's comment line and the next one's. */
static inline const char *section(struct list_fixture *fixture, const char *peer_ip) {
    char mark[128];
    snprintf(mark, sizeof(mark), "session peerIP=%s ", peer_ip);
    char *begin = strstr(fixture->text.data, mark);
    assert_non_null(begin);
    char *end = strstr(begin + 1, "session peerIP=");
    return arena_strndup(&fixture->arena, begin, end != NULL ? (size_t)(end - begin) : strlen(begin));
}

static inline void assert_accepted(const char *format, const struct buf *text) {
    struct buf complaint = BUF_INIT;
    enum verdict verdict = judge(format, text, &complaint);
    if (verdict == VERDICT_REFUSED) {
        fail_msg("%s refuses it: %s\n%s", format, complaint.data, text->data);
    }
    buf_done(&complaint);
    if (verdict == VERDICT_NO_DAEMON) {
        print_message("no daemon here to judge %s\n", format);
    }
}

/* Those with a writer of their own. */
static const char *const DAEMONS[] = {"bird2", "bird3", "frr", "gobgp", "openbgpd"};
#define DAEMON_COUNT (sizeof(DAEMONS) / sizeof(DAEMONS[0]))

/* A daemon's line that keeps a session down. */
static inline const char *down_line(const char *format) {
    static const struct {
        const char *format, *line;
    } LINES[] = {{"bird2", "\n  disabled yes;\n"},
                 {"bird3", "\n  disabled yes;\n"},
                 {"frr", " shutdown\n"},
                 {"gobgp", "\nadmin-down = true\n"},
                 {"openbgpd", "\n  down \""}};
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        if (strcmp(LINES[i].format, format) == 0) {
            return LINES[i].line;
        }
    }
    fail_msg("%s has no line that keeps a session down", format);
    return NULL;
}

static inline void assert_down(struct list_fixture *fixture, const char *format, const char *peer_ip) {
    assert_has(section(fixture, peer_ip), " state=disabled ");
    assert_has(section(fixture, peer_ip), down_line(format));
}

static inline void assert_up(struct list_fixture *fixture, const char *format, const char *peer_ip) {
    assert_has(section(fixture, peer_ip), " state=on ");
    assert_has_not(section(fixture, peer_ip), down_line(format));
}

static inline int setup(void **state) {
    struct list_fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL) {
        return -1;
    }
    fixture_init(fixture);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state) {
    fixture_done(*state);
    free(*state);
    return 0;
}

#endif
