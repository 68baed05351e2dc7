/*
 * What changes do to sessions, as text: the totals in one sentence, then a line for each session that is
 * added, removed or changed, by node. From the service's own answers. Into people->out; one thread.
 */
#include <string.h>

#include "people/people.h"

/* ---- totals ---- */

struct effect {
    uint64_t restarts, restart_nodes; /* changed so that the session must restart */
    uint64_t added, removed, quiet;   /* quiet: changed without a restart */
    uint64_t nodes;                   /* whose list is another one */
};

static uint64_t count_restarts(const json_t *node) {
    const json_t *totals = json_object_get(node, "totals"), *session;
    uint64_t disruptive = json_number(totals, "disruptive"), removed = json_number(totals, "removed");
    size_t i;
    if (totals != NULL) {
        return disruptive > removed ? disruptive - removed : 0;
    }
    uint64_t count = 0;
    json_array_foreach(json_object_get(node, "changed"), i, session) {
        count += json_is_true(json_object_get(session, "disruptive"));
    }
    return count;
}

static struct effect effect_of(const json_t *changes) {
    const json_t *totals = json_object_get(changes, "totals"), *node;
    uint64_t disruptive = json_number(totals, "disruptive"), changed = json_number(totals, "changed");
    struct effect effect = {.added = json_number(totals, "added"),
                            .removed = json_number(totals, "removed"),
                            .nodes = json_number(totals, "nodes")};
    size_t i;
    effect.restarts = disruptive > effect.removed ? disruptive - effect.removed : 0;
    effect.quiet = changed > effect.restarts ? changed - effect.restarts : 0;
    json_array_foreach(json_object_get(changes, "nodes"), i, node) {
        effect.restart_nodes += count_restarts(node) > 0;
    }
    return effect;
}

uint64_t effect_disruptive(const json_t *answer) {
    return json_number(json_object_get(json_object_get(answer, "changes"), "totals"), "disruptive");
}

static const char *sessions(struct people *people, uint64_t count) {
    return json_count_text(people, count, "session", "sessions");
}

static const char *nodes(struct people *people, uint64_t count) {
    return json_count_text(people, count, "node", "nodes");
}

void effect_show_totals(struct people *people, const json_t *changes, bool is_past) {
    struct effect effect = effect_of(changes);
    const struct {
        uint64_t count;
        const char *will, *did;
    } parts[] = {
        {effect.removed, "will be removed", "removed"},
        {effect.added, "will be added", "added"},
        {effect.quiet, "will change without a restart", "changed without a restart"},
    };
    struct buf text = BUF_INIT;
    if (effect.restarts > 0) {
        buf_printf(&text, "%s%s on %s", sessions(people, effect.restarts),
                   is_past ? " restarted" : " will restart", nodes(people, effect.restart_nodes));
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].count > 0) {
            buf_printf(&text, "%s%s %s", text.len > 0 ? ", " : "", sessions(people, parts[i].count),
                       is_past ? parts[i].did : parts[i].will);
        }
    }
    if (text.len == 0) {
        buf_add_str(&text, is_past ? "no session changed" : "no session will change");
    }
    if (effect.nodes > 0) {
        const char *count = nodes(people, effect.nodes);
        buf_printf(&text, "; %s %s another list", count,
                   is_past             ? "got"
                   : effect.nodes == 1 ? "gets"
                                       : "get");
    }
    enum mark mark = effect.restarts + effect.removed > 0 ? MARK_WARN : MARK_HEAD;
    if (!buf_failed(&text)) {
        show_line(people, mark, 0, "%s", text.data);
    }
    people->out.failed = people->out.failed || buf_failed(&text);
    buf_done(&text);
}

/* ---- sessions ---- */

const char *session_peer_text(struct people *people, const json_t *session) {
    const char *address = json_text(people, session, "peerIP");
    const char *port = json_text(people, session, "port");
    const char *text = arena_printf(&people->arena, "%s%s%s", address, port[0] != '\0' ? " port " : "", port);
    return text != NULL ? text : "";
}

const char *session_origin_text(struct people *people, const json_t *origin) {
    const char *peer = json_text(people, origin, "bgpPeer");
    const char *text = peer[0] != '\0' ? arena_printf(&people->arena, "by BGPPeer %s", peer)
                                       : arena_printf(&people->arena, "by the node-to-node mesh");
    return text != NULL ? text : "";
}

static void add_sessions(struct show_table *table, enum mark mark, const json_t *items) {
    struct people *people = table->people;
    const json_t *session;
    size_t i;
    json_array_foreach(items, i, session) {
        const char *as = arena_printf(&people->arena, "AS %s", json_text(people, session, "asNumber"));
        show_table_row(table, mark,
                       (const char *[]){session_peer_text(people, session), as,
                                        json_text(people, session, "type"),
                                        session_origin_text(people, json_object_get(session, "origin"))});
    }
}

static const char *or_dash(const char *text) {
    return text[0] != '\0' ? text : "-";
}

/* "asNumber 64512 -> 64999, type internal -> external" */
static const char *fields_text(struct people *people, const json_t *fields) {
    struct buf text = BUF_INIT;
    const json_t *field;
    size_t i;
    json_array_foreach(fields, i, field) {
        buf_printf(&text, "%s%s %s -> %s", i > 0 ? ", " : "", json_text(people, field, "field"),
                   or_dash(json_text(people, field, "old")), or_dash(json_text(people, field, "new")));
    }
    const char *kept = arena_strndup(&people->arena, text.data != NULL ? text.data : "", text.len);
    people->out.failed = people->out.failed || buf_failed(&text);
    buf_done(&text);
    return kept != NULL ? kept : "";
}

static void add_changed(struct show_table *table, const json_t *items) {
    struct people *people = table->people;
    const json_t *session;
    size_t i;
    json_array_foreach(items, i, session) {
        bool restarts = json_is_true(json_object_get(session, "disruptive"));
        show_table_row(table, MARK_CHANGE,
                       (const char *[]){session_peer_text(people, session),
                                        restarts ? "restart" : "no restart", "",
                                        fields_text(people, json_object_get(session, "fields"))});
    }
}

/* Filters and advertised networks: `what` they are, and the member that names them. */
static void add_others(struct show_table *table, const json_t *items, const char *what, const char *member) {
    struct people *people = table->people;
    const json_t *item;
    size_t i;
    json_array_foreach(items, i, item) {
        const char *change = json_text(people, item, "change");
        enum mark mark = strcmp(change, "added") == 0     ? MARK_ADD
                         : strcmp(change, "removed") == 0 ? MARK_REMOVE
                                                          : MARK_CHANGE;
        show_table_row(table, mark, (const char *[]){what, change, "", json_text(people, item, member)});
    }
}

static void show_node_totals(struct people *people, const json_t *node, const json_t *totals) {
    uint64_t restarts = count_restarts(node), changed = json_number(totals, "changed");
    show_line(people, MARK_HEAD, 0, "%s", json_text(people, node, "node"));
    show_line(people, MARK_CHANGE, 2,
              "%llu to restart, %llu removed, %llu added, %llu changed without a restart",
              (unsigned long long)restarts, (unsigned long long)json_number(totals, "removed"),
              (unsigned long long)json_number(totals, "added"),
              (unsigned long long)(changed > restarts ? changed - restarts : 0));
}

void effect_show_nodes(struct people *people, const json_t *changes) {
    const json_t *node;
    size_t i;
    json_array_foreach(json_object_get(changes, "nodes"), i, node) {
        const json_t *totals = json_object_get(node, "totals");
        struct show_table table;
        show_line(people, MARK_NONE, 0, "%s", "");
        if (totals != NULL) {
            show_node_totals(people, node, totals);
            continue;
        }
        show_line(people, MARK_HEAD, 0, "%s", json_text(people, node, "node"));
        show_table_begin(&table, people, 4, NULL);
        const json_t *local = json_object_get(node, "local");
        if (json_array_size(local) > 0) {
            show_table_row(&table, MARK_CHANGE,
                           (const char *[]){"itself", "", "", fields_text(people, local)});
        }
        add_sessions(&table, MARK_REMOVE, json_object_get(node, "removed"));
        add_sessions(&table, MARK_ADD, json_object_get(node, "added"));
        add_changed(&table, json_object_get(node, "changed"));
        add_others(&table, json_object_get(node, "filters"), "filter", "name");
        add_others(&table, json_object_get(node, "advertise"), "announced", "cidr");
        show_table_end(&table, 2);
    }
    if (json_is_true(json_object_get(changes, "truncated"))) {
        show_line(
            people, MARK_WARN, 0,
            "not all sessions are shown, the sentence at the top counts all; --node NAME shows one node");
    }
}

/* ---- objects ---- */

void effect_show_results(struct people *people, const json_t *results) {
    static const struct {
        const char *result;
        enum mark mark;
    } SHOWN[] = {{"created", MARK_ADD}, {"updated", MARK_CHANGE}, {"deleted", MARK_REMOVE}};
    const json_t *item;
    size_t i;
    uint64_t unchanged = 0;
    struct show_table table;
    show_table_begin(&table, people, 3, NULL);
    json_array_foreach(results, i, item) {
        const char *result = json_text(people, item, "result");
        const char *name_space = json_text(people, item, "namespace");
        const char *name = arena_printf(&people->arena, "%s%s%s", name_space,
                                        name_space[0] != '\0' ? "/" : "", json_text(people, item, "name"));
        enum mark mark = MARK_COUNT;
        for (size_t k = 0; k < sizeof(SHOWN) / sizeof(SHOWN[0]); k++) {
            mark = strcmp(SHOWN[k].result, result) == 0 ? SHOWN[k].mark : mark;
        }
        unchanged += mark == MARK_COUNT;
        if (mark != MARK_COUNT) {
            show_table_row(&table, mark, (const char *[]){json_text(people, item, "kind"), name, result});
        }
    }
    show_table_end(&table, 2);
    if (unchanged > 0) {
        show_line(people, MARK_FAINT, 2, "%s",
                  json_count_text(people, unchanged, "object is as it was", "objects are as they were"));
    }
}

void effect_show_warnings(struct people *people, const json_t *warnings) {
    const json_t *item;
    size_t i;
    json_array_foreach(warnings, i, item) {
        show_line(people, MARK_WARN, 0, "warning: %s", json_value_text(people, item));
    }
}
