/*
 * Explanations, second part: the document that answers why a node does, or does not, peer with something.
 *
 * It holds what is known of the remote, the verdict in one sentence, the sessions, suppressed entries and
 * problems that concern it, every BGPPeer with its conditions (explain_rules.c), and what the far end, when
 * it is one of ours, has to say. Made from the same lists that agents get, so it cannot disagree with them.
 */
#include <stdio.h>

#include "explain.h"

/* ---- what is known of the remote ---- */

static bool is_shared(const struct question *question) {
    const struct end *there = &question->there;
    for (int family = 0; family < FAMILIES; family++) {
        const struct ip_addr *addr = &there->addresses[family].addr;
        const struct id_list *owners = ip_is_set(addr) ? index_owners(question->index, addr) : NULL;
        if (owners != NULL && owners->count > 1) {
            return true;
        }
    }
    return false;
}

/* The other nodes that own one of the remote's addresses, by name: what is peered with the address may be
 * meant for one of them. */
static void add_sharers(const struct question *question, struct buf *out) {
    const struct peering_index *index = question->index;
    const struct end *there = &question->there;
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, index->snapshot, KIND_NODE, NULL);
    buf_json_key(out, "sharedWith");
    buf_add_char(out, '[');
    for (; record != NULL; record = snapshot_step(&cursor)) {
        const struct node_facts *node = index_node(index, index_slot(index, record->key));
        bool owns = false;
        for (int family = 0; family < FAMILIES; family++) {
            const struct ip_addr *addr = &there->addresses[family].addr;
            owns = owns || (ip_is_set(addr) && ip_compare(addr, &node->addresses[family].addr) == 0);
        }
        if (owns && node != there->node) {
            buf_json_comma(out);
            buf_add_json_str(out, node->name);
        }
    }
    buf_add_char(out, ']');
}

static void add_remote(const struct question *question, struct buf *out) {
    const struct peering_index *index = question->index;
    const struct end *there = &question->there;
    buf_json_key(out, "remote");
    buf_add_char(out, '{');
    buf_json_key(out, "addresses");
    buf_add_char(out, '[');
    for (int family = 0; family < FAMILIES; family++) {
        if (ip_is_set(&there->addresses[family].addr)) {
            buf_json_comma(out);
            buf_add_json_str(out, there->addresses[family].text);
        }
    }
    buf_add_char(out, ']');
    if (there->node != NULL) {
        buf_json_member_str(out, "node", there->node->name);
        buf_json_member_u64(out, "asNumber", node_as(index, there->node));
        if (node_port(index, there->node) != 0) {
            buf_json_member_u64(out, "listenPort", node_port(index, there->node));
        }
        buf_json_member_str(out, "routeReflectorClusterID", there->node->cluster_id);
        buf_json_key(out, "labels");
        buf_add_char(out, '{');
        for (size_t i = 0; i < there->node->labels->count; i++) {
            buf_json_member_str(out, there->node->labels->items[i].key, there->node->labels->items[i].value);
        }
        buf_add_char(out, '}');
    }
    buf_json_member_true(out, "self", there->node != NULL && there->node == question->here.node);
    if (is_shared(question)) {
        add_sharers(question, out);
    }
    buf_add_char(out, '}');
}

/* ---- the list's view ---- */

struct found {
    size_t sessions;
    size_t withheld;
    size_t suppressed;
    const struct peering_entry *first;
    size_t unanswered; /* by a remote that is ours: it has no session in return */
    size_t disputed;   /* … or one that does not agree */
};

static void add_sessions(const struct question *question, struct buf *out, struct found *found) {
    const struct peering_list *list = &question->list;
    buf_json_key(out, "sessions");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *entry = &list->entries[i];
        if (!end_has_address(&question->there, &entry->address)) {
            continue;
        }
        buf_json_comma(out);
        buf_add_char(out, '{');
        document_add_entry_members(out, entry);
        buf_add_char(out, '}');
        found->first = found->first != NULL ? found->first : entry;
        found->sessions++;
        found->withheld += entry->password == PASSWORD_WITHHELD;
    }
    buf_add_char(out, ']');
    buf_json_key(out, "suppressed");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->suppressed_count; i++) {
        const struct peering_suppressed *suppressed = &list->suppressed[i];
        if (end_has_address(&question->there, &suppressed->address)) {
            buf_json_comma(out);
            buf_add_char(out, '{');
            document_add_suppressed_members(out, suppressed);
            buf_add_char(out, '}');
            found->suppressed++;
        }
    }
    buf_add_char(out, ']');
}

/* Problems of the node itself, of the remote's addresses, and of BGPPeers as a whole. */
static void add_problems(const struct question *question, struct buf *out) {
    const struct peering_list *list = &question->list;
    buf_json_key(out, "problems");
    buf_add_char(out, '[');
    for (size_t i = 0; i < list->problem_count; i++) {
        const struct peering_problem *problem = &list->problems[i];
        struct ip_addr addr;
        bool elsewhere = problem->bgp_peer != NULL && problem->peer_ip != NULL &&
                         ip_parse(problem->peer_ip, strlen(problem->peer_ip), &addr) &&
                         !end_has_address(&question->there, &addr);
        if (!elsewhere) {
            document_add_problem(out, problem);
        }
    }
    buf_add_char(out, ']');
}

/* ---- the far end's view ---- */

/* The far end's session with `address`, preferably of the same BGPPeer (whose name both lists borrow from one
 * index). */
static const struct peering_entry *find_mirror(const struct peering_list *list,
                                               const struct peering_entry *entry,
                                               const struct ip_addr *address) {
    const struct peering_entry *found = NULL;
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct peering_entry *candidate = &list->entries[i];
        bool same = candidate->origin.bgp_peer == entry->origin.bgp_peer;
        if (ip_compare(&candidate->address, address) == 0 && (found == NULL || same)) {
            found = candidate;
        }
    }
    return found;
}

#define PASSWORD_TEXT_MAX 800 /* names of a namespace, a Secret and its key, 253 bytes each at most */

struct disagreement {
    struct buf *out;
    size_t count;
};

static void disagree(struct disagreement *where, const char *field, const char *here, const char *there) {
    buf_json_comma(where->out);
    buf_add_char(where->out, '{');
    buf_json_member_str(where->out, "field", field);
    buf_json_member_str(where->out, "here", here);
    buf_json_member_str(where->out, "there", there);
    buf_add_char(where->out, '}');
    where->count++;
}

static void compare_numbers(struct disagreement *where, const char *field, uint32_t here, uint32_t there) {
    char a[16];
    char b[16];
    if (here != there) {
        snprintf(a, sizeof(a), "%u", here);
        snprintf(b, sizeof(b), "%u", there);
        disagree(where, field, a, b);
    }
}

static uint32_t port_or_default(uint16_t port) {
    return port != 0 ? port : PEERING_BGP_PORT;
}

static bool same_password(const struct peering_entry *here, const struct peering_entry *there) {
    return here->password == there->password &&
           (here->password != PASSWORD_VALUE || (strcmp(here->secret_key, there->secret_key) == 0 &&
                                                 strcmp(here->secret->key, there->secret->key) == 0));
}

/* Which password it is. Values are not compared: two ends that have the same name the same key of a Secret.
 */
static const char *password_of(const struct peering_entry *entry, char *buffer, size_t size) {
    if (entry->password != PASSWORD_VALUE) {
        return entry->password == PASSWORD_NONE ? "none" : "withheld";
    }
    snprintf(buffer, size, "key %s of Secret %s", entry->secret->key, entry->secret_key);
    return buffer;
}

/* The two ends of a session. */
struct ends {
    const struct peering_list *near;
    const struct peering_list *far;
    const struct peering_entry *here;
    const struct peering_entry *there;
};

static void compare_same(struct disagreement *where, const struct peering_member *member,
                         const struct ends *ends) {
    if (member->kind == MEMBER_PASSWORD) {
        char here[PASSWORD_TEXT_MAX], there[PASSWORD_TEXT_MAX];
        if (!same_password(ends->here, ends->there)) {
            disagree(where, "password", password_of(ends->here, here, sizeof(here)),
                     password_of(ends->there, there, sizeof(there)));
        }
        return;
    }
    compare_numbers(where, member->name, (uint32_t)peering_member_number(member, ends->here),
                    (uint32_t)peering_member_number(member, ends->there));
}

static void compare_member(struct disagreement *where, const struct peering_member *member,
                           const struct ends *ends) {
    switch (member->mirror) {
    case MIRROR_NONE:
        break;
    case MIRROR_SAME:
        compare_same(where, member, ends);
        break;
    case MIRROR_AS:
        compare_numbers(where, "AS of the remote", ends->here->as_number, ends->there->local_as_number);
        break;
    case MIRROR_OWN_AS:
        compare_numbers(where, "AS of this node", ends->here->local_as_number, ends->there->as_number);
        break;
    case MIRROR_PORT:
        compare_numbers(where, "port of the remote", port_or_default(ends->here->port),
                        port_or_default(ends->far->local.listen_port));
        compare_numbers(where, "port of this node", port_or_default(ends->near->local.listen_port),
                        port_or_default(ends->there->port));
        break;
    case MIRROR_NOT_BOTH:
        if (peering_member_is_present(member, ends->here) && peering_member_is_present(member, ends->there)) {
            disagree(where, member->name, "true", "true");
        }
        break;
    }
}

/* Everything in which the two ends of a session must agree, or it does not come up. */
static size_t add_differences(const struct ends *ends, struct buf *out) {
    struct disagreement where = {.out = out};
    buf_json_key(out, "differences");
    buf_add_char(out, '[');
    for (size_t i = 0; i < peering_entry_member_count; i++) {
        compare_member(&where, &peering_entry_members[i], ends);
    }
    buf_add_char(out, ']');
    return where.count;
}

static void add_mirror(const struct question *question, const struct peering_list *far,
                       const struct peering_entry *entry, struct found *found, struct buf *out) {
    int family = family_of(&entry->address);
    const struct peering_entry *mirror =
        find_mirror(far, entry, &question->here.node->addresses[family].addr);
    bool agrees = false;
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_str(out, "peerIP", entry->address_text);
    buf_json_key(out, "session");
    if (mirror == NULL) {
        buf_add_str(out, "null");
        found->unanswered++;
    } else {
        buf_add_char(out, '{');
        document_add_entry_members(out, mirror);
        buf_add_char(out, '}');
        const struct ends ends = {.near = &question->list, .far = far, .here = entry, .there = mirror};
        agrees = add_differences(&ends, out) == 0;
        found->disputed += !agrees;
    }
    buf_json_key(out, "agrees");
    buf_add_str(out, agrees ? "true}" : "false}");
}

/* For each session with the remote, the one that it has in return; and what it has without one. */
static int add_far_end(const struct question *question, struct found *found, struct buf *out) {
    const struct end *there = &question->there;
    if (there->node == NULL || there->node == question->here.node) {
        return 0;
    }
    struct peering_list far;
    if (peering_compute(question->index, there->node->name, question->arena, &far, question->err) < 0) {
        return -1;
    }
    buf_json_key(out, "farEnd");
    buf_add_char(out, '{');
    buf_json_member_str(out, "node", there->node->name);
    buf_json_key(out, "sessions");
    buf_add_char(out, '[');
    for (size_t i = 0; i < question->list.entry_count; i++) {
        const struct peering_entry *entry = &question->list.entries[i];
        if (end_has_address(&question->there, &entry->address)) {
            add_mirror(question, &far, entry, found, out);
        }
    }
    buf_add_char(out, ']');
    buf_json_key(out, "unreturned");
    buf_add_char(out, '[');
    for (size_t i = 0; i < far.entry_count; i++) {
        const struct peering_entry *entry = &far.entries[i];
        int family = family_of(&entry->address);
        const struct ip_addr *back = &there->addresses[family].addr;
        if (end_has_address(&question->here, &entry->address) && ip_is_set(back) &&
            find_mirror(&question->list, entry, back) == NULL) {
            buf_json_comma(out);
            buf_add_char(out, '{');
            document_add_entry_members(out, entry);
            buf_add_char(out, '}');
        }
    }
    buf_add_str(out, "]}");
    return 0;
}

/* ---- the answer ---- */

/* What spoils the sessions; "" when nothing does. */
static const char *spoiled_by(const struct question *question, const struct found *found) {
    const char *meant = found->first->origin.remote_node;
    if (meant != NULL && question->there.node != NULL && strcmp(meant, question->there.node->name) != 0) {
        return arena_printf(question->arena,
                            " But that address is also node \"%s\"'s, which this session is meant for; give "
                            "each Node its own address.",
                            meant);
    }
    if (found->withheld > 0) {
        return " It is withheld until its password is there: see `problems`.";
    }
    if (found->unanswered > 0) {
        return " But the far end has no session in return, so it will not come up: see `farEnd`.";
    }
    if (found->disputed > 0) {
        return " But the two ends do not agree, so it will not come up: see `farEnd`.";
    }
    return "";
}

static const char *verdict_sentence(const struct question *question, const struct found *found) {
    struct arena *arena = question->arena;
    const char *here = question->here.node->name;
    const char *remote = question_remote_name(question);
    if (remote == NULL) {
        return NULL;
    }
    if (question->there.node == question->here.node) {
        return arena_printf(arena, "node \"%s\" does not peer with itself.", here);
    }
    if (found->sessions == 0) {
        return arena_printf(arena,
                            "node \"%s\" has no session with %s: `considered` and `mesh` say which condition "
                            "fails, `problems` what else is in the way.",
                            here, remote);
    }
    const char *by = found->first->origin.bgp_peer;
    const char *source = by == NULL ? "the mesh" : arena_printf(arena, "BGPPeer \"%s\"", by);
    const char *more = found->sessions == 1 ? "" : arena_printf(arena, " and %zu more", found->sessions - 1);
    const char *spoiled = spoiled_by(question, found);
    if (source == NULL || more == NULL || spoiled == NULL) {
        return NULL;
    }
    return arena_printf(arena, "node \"%s\" peers with %s (%s, by %s%s).%s", here, remote,
                        found->first->address_text, source, more, spoiled);
}

/* Everything; `far` is scratch for the part that is found out first and written last. */
static int add_explanation(const struct question *question, struct buf *far, struct buf *out) {
    struct found found = {.sessions = 0};
    buf_add_str(out, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"PeeringExplanation\",\"metadata\":{");
    buf_json_member_str(out, "node", question->here.node->name);
    buf_add_char(out, '}');
    add_remote(question, out);
    add_sessions(question, out, &found);
    add_problems(question, out);
    if (add_far_end(question, &found, far) < 0) {
        return -1;
    }
    const char *summary = verdict_sentence(question, &found);
    if (summary == NULL) {
        return err_no_memory(question->err);
    }
    buf_json_member_str(out, "verdict",
                        found.sessions == 0                ? "NoSession"
                        : found.withheld == found.sessions ? "Withheld"
                                                           : "Session");
    buf_json_member_str(out, "summary", summary);
    if (explain_add_mesh(question, out) < 0 || explain_add_rules(question, out) < 0) {
        return -1;
    }
    if (far->len > 0) {
        buf_add_char(out, ',');
        buf_add(out, far->data, far->len);
    }
    buf_add_char(out, '}');
    return buf_failed(far) || buf_failed(out) ? err_no_memory(question->err) : 0;
}

int peering_explain(const struct peering_index *index, const char *node, const char *remote, struct buf *out,
                    struct err *err) {
    struct arena arena;
    arena_init(&arena, 16384);
    struct question question = {.index = index, .arena = &arena, .err = err};
    int result = peering_compute(index, node, &arena, &question.list, err);
    if (result == 0) {
        end_set_node(&question.here, index, index_slot(index, node));
        result = question_read_remote(&question, remote);
    }
    if (result == 0) {
        struct buf far = BUF_INIT;
        result = add_explanation(&question, &far, out);
        buf_done(&far);
    }
    arena_done(&arena);
    return result;
}
