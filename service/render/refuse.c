/*
 * Which daemons would keep a session shut for its filters: asked of a plan that has this one session, with
 * nothing in it but what filters depend on. No state.
 */
#include <string.h>

#include "plan.h"

/* A list with the session alone, and the filters that it names; both lists are in the same order. */
static bool refuse_cut(const struct peering_list *list, const struct peering_entry *entry,
                       struct arena *arena, struct peering_list *ret) {
    struct peering_entry *alone = arena_alloc(arena, sizeof(*alone));
    struct peering_filter *filters = arena_array(arena, list->filter_count, sizeof(*filters));
    if (alone == NULL || filters == NULL) {
        return false;
    }
    *alone = (struct peering_entry){.address = entry->address,
                                    .as_number = entry->as_number,
                                    .local_as_number = entry->local_as_number,
                                    .external = entry->external,
                                    .max_restart_time_s = -1,
                                    .keepalive_time_s = -1,
                                    .filter_count = entry->filter_count,
                                    .filters = entry->filters};
    (void)ip_format(&alone->address, alone->address_text);
    *ret = (struct peering_list){
        .node = list->node, .local = list->local, .entry_count = 1, .entries = alone, .filters = filters};
    for (size_t i = 0; i < list->filter_count; i++) {
        for (size_t k = 0; k < entry->filter_count; k++) {
            if (strcmp(list->filters[i].name, entry->filters[k]) == 0) {
                filters[ret->filter_count++] = list->filters[i];
                break;
            }
        }
    }
    return true;
}

/* The first format of a daemon stands for all of them. */
static const struct render_format *refuse_format(enum render_daemon daemon) {
    size_t count;
    const struct render_format *formats = render_formats(&count);
    for (size_t i = 0; i < count; i++) {
        if (formats[i].writer != NULL && formats[i].writer->daemon == daemon) {
            return &formats[i];
        }
    }
    return NULL;
}

static bool refuse_disables(const struct plan *plan) {
    for (const struct plan_problem *p = plan->sessions[0].problems.first; p != NULL; p = p->next) {
        if (p->problem.disabled && strncmp(p->problem.field, "filters", sizeof("filters") - 1) == 0) {
            return true;
        }
    }
    return false;
}

unsigned render_refuse_filters(const struct peering_list *list, const struct peering_entry *entry,
                               unsigned which, struct arena *arena) {
    static const struct render_options options;
    struct peering_list alone;
    unsigned refused = 0;
    if (entry->filter_count == 0 || !refuse_cut(list, entry, arena, &alone)) {
        return 0;
    }
    for (enum render_daemon daemon = 0; daemon < RENDER_DAEMON_COUNT; daemon++) {
        const struct render_format *format = refuse_format(daemon);
        if ((which & 1u << daemon) == 0 || format == NULL) {
            continue;
        }
        struct plan plan;
        plan_init(&plan, format, &alone, &options, arena);
        refused |= !plan.failed && refuse_disables(&plan) ? 1u << daemon : 0;
        plan_done(&plan);
    }
    return refused;
}
