/*
 * Advice about what has been deleted while BGPPeers still name it. Pure functions of a picture.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise.h"
#include "model/resources.h"

/* Deleted objects, and who still names them. */
struct deletions {
    const struct advise_context *context;
    const struct record *const *records; /* in order of their keys */
    size_t count;
    struct user {
        const char *first; /* BGPPeer */
        size_t count;
    } * users; /* of each record */
};

static int compare_key(const void *key, const void *record) {
    return strcmp(key, (*(const struct record *const *)record)->key);
}

static void count_user(const struct deletions *deletions, const char *key, const char *peer) {
    const struct record *const *found =
        bsearch(key, deletions->records, deletions->count, sizeof(*deletions->records), compare_key);
    struct user *user;

    if (found == NULL) {
        return;
    }
    user = &deletions->users[found - deletions->records];
    if (user->count++ == 0) {
        user->first = peer;
    }
}

static void count_uses(const struct deletions *deletions, const char *peer,
                       const struct bgp_peer_spec *spec) {
    const struct secret_key_ref *ref = spec->password == NULL ? NULL : spec->password->secret_key_ref;
    char key[2 * 254];

    if (deletions->records[0]->object->kind == KIND_BGPFILTER) {
        for (size_t i = 0; i < spec->filters.count; i++) {
            count_user(deletions, spec->filters.items[i], peer);
        }
    } else if (ref != NULL && ref->name != NULL) {
        snprintf(key, sizeof key, "%s/%s", deletions->context->secret_namespace, ref->name);
        count_user(deletions, key, peer);
    }
}

static void advise_deletions(const struct deletions *deletions) {
    struct snapshot_cursor cursor;
    const struct record *record;

    for (record = snapshot_seek(&cursor, deletions->context->snapshot, KIND_BGPPEER, NULL); record != NULL;
         record = snapshot_step(&cursor)) {
        const struct bgp_peer *peer = record->object->body;

        if (peer->spec != NULL) {
            count_uses(deletions, record->key, peer->spec);
        }
    }
    for (size_t i = 0; i < deletions->count; i++) {
        const struct object *object = deletions->records[i]->object;
        const struct user *user = &deletions->users[i];

        if (user->count > 0) {
            advice_add(deletions->context->advice,
                       "%zu BGPPeer(s) still use %s \"%s\" (the first is \"%s\"): %s", user->count,
                       kind_info(object->kind)->name, object->meta.name, user->first,
                       object->kind == KIND_SECRET ? "their sessions are withheld until it exists again"
                                                   : "their sessions go on without this filter");
        }
    }
}

void state_advise_deleted(struct state *state, const struct picture *picture,
                          const struct record *const *deleted, size_t count, struct advice *advice) {
    const struct advise_context context = advise_context_of(state, picture, advice);
    struct deletions deletions = {.context = &context, .records = deleted, .count = count};

    if (count == 0 ||
        (deleted[0]->object->kind != KIND_SECRET && deleted[0]->object->kind != KIND_BGPFILTER)) {
        return;
    }
    deletions.users = arena_array(advice->arena, count, sizeof(*deletions.users));
    if (deletions.users != NULL) { /* without memory there is no advice, which is no error */
        advise_deletions(&deletions);
    }
}
