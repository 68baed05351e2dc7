/*
 * Pictures of a draft: what the fleet is with its changes, all of them or as far as has been judged
 * (judge.c). One thread; pictures are immutable and counted.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "state_internal.h"

struct snapshot_change draft_change(const struct draft *draft, size_t i) {
    struct snapshot_change change = draft->changes[i].change;
    if (draft->changes[i].op == STORE_DELETE) {
        change.after = NULL;
    }
    return change;
}

/* From `base`, which has the first `from` changes, to the one with `count`. */
static int step_from(const struct draft *draft, const struct picture *base, size_t from, size_t count,
                     struct picture **ret, struct node_set **ret_affected, struct err *err) {
    struct snapshot *snapshot;
    struct peering_index *index;
    struct node_set *affected = NULL;
    uint64_t revision = count == draft->count ? draft->revision : draft->changes[count - 1].revision;
    struct snapshot_change *changes = base_calloc(count - from + 1, sizeof(*changes));
    if (changes == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = from; i < count; i++) {
        changes[i - from] = draft_change(draft, i);
    }
    if (snapshot_next(base->snapshot, changes, count - from, revision, &snapshot, err) < 0) {
        free(changes);
        return -1;
    }
    int result = peering_index_next(base->index, snapshot, changes, count - from, &index, &affected, err);
    free(changes);
    if (result < 0) {
        snapshot_unref(snapshot);
        return -1;
    }
    if (picture_new(snapshot, index, ret, err) < 0) {
        node_set_free(affected);
        return -1;
    }
    *ret_affected = affected;
    return 0;
}

int draft_step(const struct draft *draft, size_t count, struct picture **ret, struct node_set **ret_affected,
               struct err *err) {
    return step_from(draft, draft->now, draft->now_count, count, ret, ret_affected, err);
}

int draft_stand(struct draft *draft, size_t count, struct picture *picture, struct node_set *affected,
                struct err *err) {
    int result = node_set_add_all(&draft->now_affected, affected, err);
    node_set_free(affected);
    if (result != 0) {
        picture_unref(picture);
        return -1;
    }
    picture_unref(draft->now);
    draft->now = picture;
    draft->now_count = count;
    return 0;
}

int draft_picture(const struct draft *draft, const struct picture *base, struct picture **ret,
                  struct node_set **ret_affected, struct err *err) {
    struct picture *picture;
    struct node_set *affected = NULL;
    if (draft->now == NULL) {
        return step_from(draft, base, 0, draft->count, ret, ret_affected, err);
    }
    if (draft->now_count < draft->count) {
        if (draft_step(draft, draft->count, &picture, &affected, err) != 0) {
            return -1;
        }
    } else {
        picture = picture_ref(draft->now);
    }
    if (node_set_add_all(&affected, draft->now_affected, err) != 0) {
        node_set_free(affected);
        picture_unref(picture);
        return -1;
    }
    *ret = picture;
    *ret_affected = affected;
    return 0;
}
