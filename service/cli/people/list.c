/*
 * `bgppeerd list` and `bgppeerd why`: the sessions of a node, and why they are there or are not.
 */
#include <string.h>

#include "people/people.h"

struct list_settings {
    struct people_settings people;
    const char *format;
};

static const struct option LIST_TABLE[] = {
    PEOPLE_OPTIONS,
    {.name = "format",
     .value = "FORMAT",
     .type = OPTION_TEXT,
     .offset = offsetof(struct list_settings, format),
     .argument_only = true,
     .help = "As a daemon's configuration: bird2, bird3, frr, gobgp or openbgpd"},
};

static const struct option WHY_TABLE[] = {PEOPLE_OPTIONS};

/* ---- lists ---- */

/* What has a column of its own, or must not be on a screen. */
static bool is_shown_elsewhere(const char *member) {
    static const char *const NAMES[] = {"peerIP",        "port",   "asNumber", "localASNumber", "type",
                                        "sourceAddress", "origin", "family",   "password"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcmp(NAMES[i], member) == 0) {
            return true;
        }
    }
    return false;
}

/* "ttlSecurity=1 filters=["only-pods"]" */
static const char *other_members(struct people *people, const json_t *session) {
    struct buf text = BUF_INIT;
    const char *key;
    json_t *value, *walked = (json_t *)session; /* which stays as it is */
    json_object_foreach(walked, key, value) {
        if (!is_shown_elsewhere(key)) {
            buf_printf(&text, "%s%s=%s", text.len > 0 ? " " : "", key, json_value_text(people, value));
        }
    }
    const char *kept = arena_strndup(&people->arena, text.data != NULL ? text.data : "", text.len);
    people->out.failed = people->out.failed || buf_failed(&text);
    buf_done(&text);
    return kept != NULL ? kept : "";
}

static void show_sessions(struct people *people, const json_t *items) {
    static const char *const HEADINGS[] = {"PEER", "AS", "TYPE", "FROM", "OF NODE", "WHY", "SETTINGS"};
    struct show_table table;
    const json_t *session;
    size_t i;
    if (json_array_size(items) == 0) {
        return;
    }
    show_table_begin(&table, people, 7, HEADINGS);
    json_array_foreach(items, i, session) {
        const json_t *origin = json_object_get(session, "origin");
        bool withheld = json_is_true(json_object_get(session, "withheld"));
        show_table_row(
            &table, withheld ? MARK_FAINT : MARK_NONE,
            (const char *[]){session_peer_text(people, session), json_text(people, session, "asNumber"),
                             json_text(people, session, "type"), json_text(people, session, "sourceAddress"),
                             json_text(people, origin, "remoteNode"), session_origin_text(people, origin),
                             other_members(people, session)});
    }
    show_table_end(&table, 0);
}

static void show_suppressed(struct people *people, const json_t *items) {
    const json_t *item;
    size_t i;
    json_array_foreach(items, i, item) {
        show_line(people, MARK_REMOVE, 0, "%s %s: gives way to one %s (%s)", session_peer_text(people, item),
                  session_origin_text(people, json_object_get(item, "origin")),
                  session_origin_text(people, json_object_get(item, "by")),
                  json_text(people, item, "reason"));
    }
}

static void show_problems(struct people *people, const json_t *items) {
    const json_t *item;
    size_t i;
    json_array_foreach(items, i, item) {
        const char *peer = json_text(people, item, "bgpPeer"), *address = json_text(people, item, "peerIP");
        show_line(people, MARK_WARN, 0, "%s%s%s%s%s: %s", json_text(people, item, "reason"),
                  peer[0] != '\0' ? " BGPPeer " : "", peer, address[0] != '\0' ? " " : "", address,
                  json_text(people, item, "message"));
    }
}

static void list_show(struct people *people, const json_t *answer) {
    const json_t *items = json_object_get(answer, "items");
    const json_t *meta = json_object_get(answer, "metadata"), *local = json_object_get(answer, "local");
    show_line(people, MARK_HEAD, 0, "%s: %s, AS %s, router ID %s", json_text(people, meta, "node"),
              json_count_text(people, json_array_size(items), "session", "sessions"),
              json_text(people, local, "asNumber"), json_text(people, local, "routerID"));
    show_sessions(people, items);
    show_suppressed(people, json_object_get(answer, "suppressed"));
    show_problems(people, json_object_get(answer, "problems"));
}

/* The path of a node's list; *ret is wanted until the end. */
static int add_list_path(struct people *people, struct buf *path, struct err *err) {
    if (people->operands.count == 0) {
        return err_set(err, ERR_USAGE, "name the node");
    }
    buf_add_str(path, V3 "nodes/");
    people_add_escaped(path, people->operands.items[0]);
    buf_add_str(path, "/peerings");
    return 0;
}

static int list_act(struct people *people, struct err *err) {
    const struct list_settings *settings = (const struct list_settings *)(const void *)people->settings;
    struct buf path = BUF_INIT;
    int status = add_list_path(people, &path, err);
    people_add_query(&path, "format", settings->format);
    if (status == 0 && buf_failed(&path)) {
        status = err_no_memory(err);
    }
    if (status == 0) {
        const struct people_request request = {.path = path.data, .doing = "asking for the list"};
        status = settings->format != NULL && strcmp(settings->format, "json") != 0
                     ? people_ask(people, &request, &people->out, err)
                     : people_ask_show(people, &request, list_show, err);
    }
    buf_done(&path);
    return status;
}

/* ---- why ---- */

static enum mark mark_of(const json_t *checked) {
    return json_is_true(json_object_get(checked, "matches")) ? MARK_ADD : MARK_REMOVE;
}

/* The parts of a selector, and which label they saw. */
static void show_steps(struct people *people, const json_t *steps) {
    const json_t *step;
    size_t i;
    json_array_foreach(steps, i, step) {
        const char *label = json_text(people, step, "label");
        const json_t *value = json_object_get(step, "labelValue");
        show_line(people, mark_of(step), 8 + 2 * (size_t)(json_number(step, "depth") % 64), "%s%s%s%s%s",
                  json_text(people, step, "expression"), label[0] != '\0' ? "   label " : "", label,
                  label[0] == '\0'      ? ""
                  : json_is_null(value) ? " is not there"
                                        : " is ",
                  json_value_text(people, value));
    }
}

/* Conditions of one direction: all of them when they hold, else those that do not. */
static void show_checks(struct people *people, const char *what, const json_t *direction) {
    bool matches = json_is_true(json_object_get(direction, "matches"));
    const json_t *check;
    size_t i;
    if (direction == NULL) {
        return;
    }
    show_line(people, mark_of(direction), 4, "%s: %s", what, matches ? "holds" : "does not hold, because");
    json_array_foreach(json_object_get(direction, "checks"), i, check) {
        const char *node = json_text(people, check, "node"), *detail = json_text(people, check, "detail");
        if (!matches && mark_of(check) == MARK_ADD) {
            continue;
        }
        show_line(people, mark_of(check), 6, "%s %s%s%s%s%s%s", json_text(people, check, "field"),
                  json_text(people, check, "value"), node[0] != '\0' ? "  on " : "", node,
                  detail[0] != '\0' ? "  (" : "", detail, detail[0] != '\0' ? ")" : "");
        show_steps(people, json_object_get(check, "steps"));
    }
}

static void show_considered(struct people *people, const json_t *items) {
    const json_t *item;
    size_t i;
    json_array_foreach(items, i, item) {
        const char *outcome = json_text(people, item, "outcome");
        show_line(people, MARK_NONE, 2, "BGPPeer %s (%s): %s", json_text(people, item, "bgpPeer"),
                  json_text(people, item, "scope"), outcome);
        show_checks(people, "from this node", json_object_get(item, "forward"));
        show_checks(people, "from the other end", json_object_get(item, "reverse"));
        show_checks(people, "its mirror image", json_object_get(item, "mirror"));
    }
}

static void why_show(struct people *people, const json_t *answer) {
    const json_t *remote = json_object_get(answer, "remote");
    const char *node = json_text(people, remote, "node");
    bool has = strcmp(json_text(people, answer, "verdict"), "NoSession") != 0;
    show_line(people, has ? MARK_HEAD : MARK_WARN, 0, "%s", json_text(people, answer, "summary"));
    if (node[0] != '\0') {
        show_line(people, MARK_NONE, 0, "the other end: node %s, AS %s, addresses %s, labels %s", node,
                  json_text(people, remote, "asNumber"), json_text(people, remote, "addresses"),
                  json_text(people, remote, "labels"));
    }
    show_sessions(people, json_object_get(answer, "sessions"));
    show_suppressed(people, json_object_get(answer, "suppressed"));
    show_problems(people, json_object_get(answer, "problems"));
    show_line(people, MARK_HEAD, 0, "considered:");
    show_considered(people, json_object_get(answer, "considered"));
    show_line(people, MARK_NONE, 2, "the node-to-node mesh");
    show_checks(people, "between the two", json_object_get(answer, "mesh"));
}

static int why_act(struct people *people, struct err *err) {
    struct buf path = BUF_INIT;
    bool about_one = people->operands.count > 1;
    int status = add_list_path(people, &path, err);
    if (about_one) {
        people_add_query(&path, "explain", people->operands.items[1]);
    }
    if (status == 0 && buf_failed(&path)) {
        status = err_no_memory(err);
    }
    if (status == 0) {
        const struct people_request request = {.path = path.data, .doing = "asking why"};
        status = people_ask_show(people, &request, about_one ? why_show : list_show, err);
    }
    buf_done(&path);
    return status;
}

/* ---- the commands ---- */

static int list_run(const struct command *command, int argc, char **argv) {
    struct list_settings settings;
    return people_run(command, argc, argv, &settings.people, sizeof(settings), 1, list_act);
}

static int why_run(const struct command *command, int argc, char **argv) {
    struct people_settings settings;
    return people_run(command, argc, argv, &settings, sizeof(settings), 2, why_act);
}

const struct command command_list = {
    .name = "list",
    .operands = "NODE",
    .summary = "Show the sessions of a node",
    .options = LIST_TABLE,
    .option_count = sizeof(LIST_TABLE) / sizeof(LIST_TABLE[0]),
    .asks = true,
    .run = list_run,
};

const struct command command_why = {
    .name = "why",
    .operands = "NODE [PEER]",
    .summary = "Say why a node has a session with an address or another node, or has none",
    .options = WHY_TABLE,
    .option_count = sizeof(WHY_TABLE) / sizeof(WHY_TABLE[0]),
    .asks = true,
    .run = why_run,
};
