/*
 * A list lowered to a plan: which sessions are written, in which state, and with what.
 *
 *  1. Filters are lowered once each, and found by the sessions that name them.
 *  2. A session gets the values that every daemon would need cut or cleared: limits of BGP itself, addresses
 *     that are none.
 *  3. Passwords are revealed into one wiping buffer. Which of them this daemon takes, it says itself.
 *  4. The daemon's own check says what else it cannot express. The table of fields says what then happens.
 *
 * A session is never made better than it was: it is on at first, and each step can only disable it.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "model/resources.h"

/* ---- problems ---- */

static void plan_add_problem(struct plan *plan, struct plan_session *session,
                             const struct render_problem *problem) {
    struct plan_problems *problems = session != NULL ? &session->problems : &plan->problems;
    struct plan_problem *added = arena_alloc(plan->arena, sizeof(*added));
    if (added == NULL) {
        plan->failed = true;
        return;
    }
    added->problem = *problem;
    if (session != NULL) {
        added->problem.peer_ip = arena_strdup(plan->arena, session->entry->address_text);
        plan->failed = plan->failed || added->problem.peer_ip == NULL;
        added->problem.port = session->entry->port;
    }
    if (problems->last == NULL) {
        problems->last = &problems->first;
    }
    *problems->last = added;
    problems->last = &added->next;
    problems->count++;
}

static void plan_disable(struct plan_session *session, enum session_state state, const char *reason) {
    if (session->state < state) {
        session->state = state;
        session->reason = reason;
    }
}

/* One problem for each field of a session, however many of its values are at fault. */
static bool plan_knows(const struct plan_problems *problems, enum list_field field) {
    for (const struct plan_problem *p = problems->first; p != NULL; p = p->next) {
        if (p->problem.field == field_name(field)) {
            return true;
        }
    }
    return false;
}

static void plan_not_expressible(struct plan *plan, struct plan_session *session, enum list_field field) {
    if (plan_knows(session != NULL ? &session->problems : &plan->problems, field)) {
        return;
    }
    const struct render_cell *cell = field_on(field, plan->format->writer->daemon);
    bool disabled = session != NULL && cell->beyond == RENDER_DISABLED;
    struct render_problem problem = {
        .reason = "NotExpressible",
        .field = field_name(field),
        .disabled = disabled,
        .message = arena_printf(plan->arena, "%s: %s", plan->format->title, cell->reason),
    };
    plan->failed = plan->failed || problem.message == NULL;
    plan_add_problem(plan, session, &problem);
    if (disabled) {
        plan_disable(session, SESSION_DISABLED, "NotExpressible");
    }
}

void plan_cannot(struct plan *plan, struct plan_session *session, enum list_field field) {
    plan_not_expressible(plan, session, field);
}

void plan_leave_out(struct plan *plan, struct plan_session *session, enum list_field field) {
    plan_not_expressible(plan, session, field);
    plan_disable(session, SESSION_LEFT_OUT, "NotExpressible");
}

/* ---- filters ---- */

static int plan_compare_filter(const void *name, const void *filter) {
    return strcmp(name, ((const struct plan_filter *)filter)->name);
}

static void plan_lower_filters(struct plan *plan) {
    const struct peering_list *list = plan->list;
    plan->filters = arena_array(plan->arena, list->filter_count, sizeof(*plan->filters));
    if (plan->filters == NULL) {
        plan->failed = true;
        return;
    }
    for (; plan->filter_count < list->filter_count; plan->filter_count++) {
        if (!plan_lower_filter(&list->filters[plan->filter_count], plan->arena,
                               &plan->filters[plan->filter_count])) {
            plan->failed = true;
            return;
        }
    }
}

static void session_find_filters(struct plan *plan, struct plan_session *session) {
    const struct peering_entry *entry = session->entry;
    session->filters = arena_array(plan->arena, entry->filter_count, sizeof(*session->filters));
    if (session->filters == NULL) {
        plan->failed = true;
        return;
    }
    for (size_t i = 0; i < entry->filter_count; i++) {
        const struct plan_filter *filter = bsearch(entry->filters[i], plan->filters, plan->filter_count,
                                                   sizeof(*plan->filters), plan_compare_filter);
        if (filter == NULL || filter->unreadable) {
            plan_cannot(plan, session, FIELD_FILTERS);
        } else {
            session->filters[session->filter_count++] = filter;
        }
    }
}

/* ---- passwords ---- */

static void session_refuse_password(struct plan *plan, struct plan_session *session, const char *reason,
                                    const char *message) {
    const struct render_problem problem = {
        .reason = reason, .field = field_name(FIELD_PASSWORD), .disabled = true, .message = message};
    plan_add_problem(plan, session, &problem);
    plan_disable(session, SESSION_DISABLED, reason);
}

static void session_reveal_password(struct plan *plan, struct plan_session *session) {
    const struct peering_reveal *reveal = plan->options->reveal;
    struct buf *passwords = &plan->passwords;
    struct err err = ERR_INIT;
    if (session->entry->password != PASSWORD_VALUE) {
        return;
    }
    if (reveal == NULL) {
        session_refuse_password(
            plan, session, "PasswordNotShown",
            "the password is shown to the node itself only, so the session is disabled here");
        return;
    }
    size_t at = passwords->len;
    int result = reveal->password(reveal->arg, session->entry, passwords, &err);
    if (buf_failed(passwords)) {
        plan->failed = true;
        return;
    }
    if (result != 0) {
        buf_truncate(passwords, at);
        session_refuse_password(plan, session, "VaultError",
                                "the vault cannot give out the password now, so the session is disabled");
        return;
    }
    size_t len = passwords->len - at;
    if (len == 0 || len > PLAN_PASSWORD_MAX ||
        !plan->format->writer->takes_password(passwords->data + at, len)) {
        buf_truncate(passwords, at);
        plan_cannot(plan, session, FIELD_PASSWORD);
        return;
    }
    session->password_at = at;
    session->password_len = len;
}

/* ---- sessions ---- */

/* Could a daemon open a session to it, without being told an interface? */
static bool session_address_is_usable(const struct ip_addr *address) {
    static const uint8_t ZERO[16];
    const uint8_t *b = address->bytes;
    if (memcmp(b, ZERO, sizeof(ZERO)) == 0) {
        return false;
    }
    if (address->family == IP_V4) {
        return b[0] != 0 && b[0] < 224;
    }
    return b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

/* The text when it is an address of the session's family that can be used; NULL otherwise. */
static const char *session_own_family(const struct plan_session *session, const char *text) {
    struct ip_addr address;
    if (text == NULL || !ip_parse(text, strlen(text), &address) ||
        address.family != session->entry->address.family || !session_address_is_usable(&address)) {
        return NULL;
    }
    return text;
}

static void session_cut_values(struct plan *plan, struct plan_session *session) {
    const struct peering_entry *entry = session->entry;
    session->port = entry->port == PEERING_BGP_PORT ? 0 : entry->port;
    session->source = session_own_family(session, entry->source_address);
    session->gateway = session_own_family(session, entry->reachable_by);
    if (entry->source_address != NULL && session->source == NULL) {
        plan_leave_out(plan, session, FIELD_SOURCE_ADDRESS);
    }
    if (entry->reachable_by != NULL && session->gateway == NULL) {
        plan_cannot(plan, session, FIELD_REACHABLE_BY);
    }
    session->has_timers = entry->keepalive_time_s >= 0;
    if (session->has_timers) {
        bool too_long = entry->keepalive_time_s > BGP_KEEPALIVE_MAX_S;
        session->keepalive_s = too_long ? BGP_KEEPALIVE_MAX_S : (uint32_t)entry->keepalive_time_s;
        if (too_long) {
            plan_cannot(plan, session, FIELD_KEEPALIVE);
        }
    }
    session->restart_s = entry->max_restart_time_s;
    if (session->restart_s > BGP_RESTART_MAX_S) {
        session->restart_s = BGP_RESTART_MAX_S;
        plan_cannot(plan, session, FIELD_RESTART_TIME);
    }
    session->allowed_as = entry->num_allowed_local_as_numbers;
    session->client = plan->reflects && !entry->external && entry->route_reflector_cluster_id != NULL;
}

static void session_lower(struct plan *plan, struct plan_session *session,
                          const struct peering_entry *entry) {
    const struct render_writer *writer = plan->format->writer;
    session->entry = entry;
    bool own_port = entry->port != 0 && entry->port != PEERING_BGP_PORT;
    session->name =
        own_port ? arena_printf(plan->arena, "%s.%u", entry->address_text, entry->port) : entry->address_text;
    plan->failed = plan->failed || session->name == NULL;
    if (!session_address_is_usable(&entry->address)) {
        plan_leave_out(plan, session, FIELD_PEER_IP);
    }
    const struct plan_session *before = session > plan->sessions ? session - 1 : NULL;
    if (before != NULL && ip_compare(&before->entry->address, &entry->address) == 0 &&
        (writer->by_address || before->port == (own_port ? entry->port : 0))) {
        plan_leave_out(plan, session, FIELD_PORT);
    }
    if (entry->password == PASSWORD_WITHHELD) {
        plan_disable(session, SESSION_DISABLED, "withheld");
    }
    session_cut_values(plan, session);
    session_find_filters(plan, session);
    session_reveal_password(plan, session);
    if (writer->check_session != NULL && !plan->failed) {
        writer->check_session(plan, session);
    }
}

/* ---- the plan ---- */

void plan_init(struct plan *plan, const struct render_format *format, const struct peering_list *list,
               const struct render_options *options, struct arena *arena) {
    *plan = (struct plan){
        .format = format, .list = list, .options = options, .arena = arena, .passwords = {.wipe = true}};
    plan->reflects = list->local.route_reflector_cluster_id != NULL;
    plan->sessions = arena_array(arena, list->entry_count, sizeof(*plan->sessions));
    plan->failed = plan->sessions == NULL;
    plan_lower_filters(plan);
    while (!plan->failed && plan->session_count < list->entry_count) {
        size_t i = plan->session_count++;
        struct plan_session *session = &plan->sessions[i];
        session_lower(plan, session, &list->entries[i]);
        if (session->source == NULL && session->state != SESSION_LEFT_OUT) {
            plan->sourceless[plan_family(session)] = true;
        }
    }
    if (format->writer->check_node != NULL && !plan->failed) {
        format->writer->check_node(plan);
    }
}

void plan_done(struct plan *plan) {
    buf_done(&plan->passwords);
}

bool plan_has_family(const struct plan *plan, size_t family) {
    for (size_t i = 0; i < plan->session_count; i++) {
        if (plan->sessions[i].state != SESSION_LEFT_OUT && plan_family(&plan->sessions[i]) == family) {
            return true;
        }
    }
    return false;
}
