/*
 * The question what a node's daemon makes of a session's filters stands between three rooms: peering compares
 * lists, render knows the daemons, status hears what nodes run. Here they meet.
 */
#include "state/daemons.h"

#include <string.h>

#include "base/clock.h"
#include "peering/members.h"
#include "render.h"

_Static_assert((int)MEMBER_BIRD == (int)RENDER_BIRD && (int)MEMBER_FRR == (int)RENDER_FRR &&
                   (int)MEMBER_GOBGP == (int)RENDER_GOBGP && (int)MEMBER_OPENBGPD == (int)RENDER_OPENBGPD,
               "one bit means one daemon");

void daemons_init(struct daemons *daemons, struct fleet_status *status) {
    *daemons = (struct daemons){.status = status};
    arena_init(&daemons->arena, 4096);
}

void daemons_done(struct daemons *daemons) {
    arena_done(&daemons->arena);
}

/* The question as what its answer depends on; false: it is too long to be kept. */
static bool daemons_question(const struct peering_list *list, const struct peering_entry *entry,
                             unsigned which, struct daemons_answer *ret) {
    *ret =
        (struct daemons_answer){.family = entry->address.family, .external = entry->external, .which = which};
    for (size_t i = 0; i < list->filter_count; i++) {
        for (size_t k = 0; k < entry->filter_count; k++) {
            if (strcmp(list->filters[i].name, entry->filters[k]) != 0) {
                continue;
            }
            if (ret->count == DAEMONS_FILTERS) {
                return false;
            }
            ret->specs[ret->count++] = list->filters[i].spec;
            break;
        }
    }
    return ret->count == entry->filter_count;
}

static bool daemons_same(const struct daemons_answer *a, const struct daemons_answer *b) {
    return a->count == b->count && a->family == b->family && a->external == b->external &&
           a->which == b->which && memcmp(a->specs, b->specs, sizeof(a->specs)) == 0;
}

static unsigned daemons_refuse(void *arg, const struct peering_list *list, const struct peering_entry *entry,
                               unsigned which) {
    struct daemons *daemons = arg;
    struct daemons_answer question;
    if (entry->filter_count == 0) {
        return 0;
    }
    bool kept = daemons_question(list, entry, which, &question);
    for (size_t i = 0; kept && i < DAEMONS_ANSWERS; i++) {
        if (daemons_same(&daemons->answers[i], &question)) {
            return daemons->answers[i].refused;
        }
    }
    arena_reset(&daemons->arena);
    question.refused = render_refuse_filters(list, entry, which, &daemons->arena);
    if (kept) {
        daemons->answers[daemons->next++ % DAEMONS_ANSWERS] = question;
    }
    return question.refused;
}

void daemons_of(struct daemons *daemons, const struct picture *picture, const char *node,
                struct peering_daemons *ret) {
    struct status_node_key key;
    struct status_standing standing;
    const char *name = "";
    struct err unknown = ERR_INIT;
    if (daemons->status != NULL && state_status_key(picture, node, &key, &unknown) == 0 &&
        status_node_standing(daemons->status, key.slot, clock_monotonic_ms(), &standing) &&
        strcmp(standing.name, node) == 0) {
        name = standing.daemon;
    }
    *ret = (struct peering_daemons){
        .which = peering_daemons_named(name), .refuse = daemons_refuse, .arg = daemons};
}
