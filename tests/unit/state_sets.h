/*
 * What the tests of change sets and of the past share: every node's list as text, and change sets applied.
 */
#ifndef BGPPEERD_TESTS_UNIT_STATE_SETS_H
#define BGPPEERD_TESTS_UNIT_STATE_SETS_H

#include "base/alloc.h"
#include "state_random.h"

/* The content of every node's list. */
static inline void all_lists(const struct picture *picture, struct buf *out) {
    struct snapshot_cursor cursor;
    const struct record *node = snapshot_seek(&cursor, picture->snapshot, KIND_NODE, NULL);
    for (; node != NULL; node = snapshot_step(&cursor)) {
        struct peering_list list;
        struct arena arena;
        struct err err = ERR_INIT;
        arena_init(&arena, 0);
        fleet_check(peering_compute(picture->index, node->key, &arena, &list, &err), &err);
        buf_printf(out, "%s: ", node->key);
        (void)peering_encode_content(&list, out);
        buf_add_char(out, '\n');
        arena_done(&arena);
    }
    assert_false(buf_failed(out));
}

static inline void call_from_change(struct call *call, const struct change *change) {
    struct codec_options options = {.kind = change->kind};
    struct causes causes;
    struct advice advice;
    struct err err = ERR_INIT;
    call_init(call,
              change->op == CHANGE_CREATE  ? WRITE_CREATE
              : change->op == CHANGE_PATCH ? WRITE_PATCH
                                           : WRITE_DELETE,
              change->kind, change->op == CHANGE_CREATE ? NULL : change->name);
    call->write.patch = change->document;
    call->write.patch_len = change->document_len;
    if (change->op == CHANGE_CREATE) {
        causes_init(&causes, &call->arena);
        advice_init(&advice, &call->arena);
        fleet_check(codec_decode(&options, change->document, change->document_len, &call->object_arena,
                                 &call->write.object, &causes, &advice, &err),
                    &err);
    }
}

/* All of it as one group. */
static inline void apply_set(struct fixture *fixture, const struct change_set *set) {
    struct call *calls = base_calloc(set->count + 1, sizeof(*calls));
    assert_non_null(calls);
    for (size_t i = 0; i < set->count; i++) {
        call_from_change(&calls[i], &set->items[i]);
        if (i > 0) {
            calls[i - 1].write.also = &calls[i].write;
        }
    }
    if (set->count > 0) {
        call_run(fixture, &calls[0]);
        fleet_check(calls[0].write.err.code == ERR_NONE ? 0 : -1, &calls[0].write.err);
    }
    calls_end(calls, set->count);
    free(calls);
}

#endif
