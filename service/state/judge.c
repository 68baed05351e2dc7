/*
 * Judging writes: may a group of changes that the draft has just taken stay in it? The freeze is asked first,
 * then the brake, about the pictures without and with the group. On the committer's thread; a preview's draft
 * is not judged, and asks by itself.
 *
 * The draft keeps the picture of what has been judged, so that a batch costs no more than its changes: the
 * next group begins there, and the last one's picture is that of the batch.
 */
#include "state_internal.h"

int write_check_force(unsigned force, unsigned may_force, struct err *err) {
    unsigned beyond = force & ~may_force;
    if (beyond == 0) {
        return 0;
    }
    return (beyond & FORCE_DISRUPTIVE) != 0
               ? err_set(err, ERR_FORBIDDEN,
                         "a node's own credential cannot force anything; ask an operator to make this change")
               : err_set(err, ERR_FORBIDDEN,
                         "only admins may change sessions while the fleet is frozen; leave "
                         "frozen out of what is forced, or ask one of them");
}

int draft_take_force(struct draft *draft, struct object *object, struct arena *arena, struct err *err) {
    const char *text;
    unsigned force = 0;
    if (codec_take_annotation(&object->meta, FORCE_ANNOTATION, arena, &text, err) != 0) {
        return -1;
    }
    if (text == NULL) {
        return 0;
    }
    if (!change_force_parse(text, &force)) {
        return err_set_field(err, ERR_BAD_REQUEST, "metadata.annotations[" FORCE_ANNOTATION "]",
                             "metadata.annotations[" FORCE_ANNOTATION
                             "] \"%.50s\" is not understood; write disruptive, frozen, or both with a comma "
                             "between them",
                             text);
    }
    draft->force |= force;
    return write_check_force(draft->force, draft->may_force, err);
}

/* Have draft->now at the first `count` changes. */
static int judge_catch_up(struct draft *draft, size_t count, struct err *err) {
    if (draft->now == NULL) {
        draft->now = picture_ref((struct picture *)(uintptr_t)draft->picture); /* only its count changes */
    }
    if (draft->now_count == count) {
        return 0;
    }
    struct picture *next;
    struct node_set *affected;
    return draft_step(draft, count, &next, &affected, err) != 0
               ? -1
               : draft_stand(draft, count, next, affected, err);
}

/* Who is to be asked. */
struct asked {
    struct freeze freeze; /* `on`: the freeze */
    bool brake;
};

static struct asked whom_to_ask(struct state *state, unsigned force, bool judged) {
    struct asked asked;
    state_freeze(state, &asked.freeze);
    asked.freeze.on = asked.freeze.on && (force & FORCE_FROZEN) == 0;
    asked.brake = brake_is_on(&state->brake) && !judged && (force & FORCE_DISRUPTIVE) == 0;
    return asked;
}

static int ask(struct state *state, const struct asked *asked, const struct judged *judged,
               struct causes *causes, struct err *err) {
    struct brake_verdict verdict = {.refused = false};
    bool changes = false;
    if (asked->freeze.on && brake_finds_change(&state->brake, judged, &changes, err) != 0) {
        return -1;
    }
    if (changes) {
        return freeze_refuse(&asked->freeze, err);
    }
    if (asked->brake && brake_judge(&state->brake, judged, &verdict, err) != 0) {
        return -1;
    }
    return verdict.refused ? brake_refuse(&state->brake, &verdict, causes, err) : 0;
}

int draft_judge(struct draft *draft, const struct write *write, size_t from, struct causes *causes,
                struct err *err) {
    if (draft->judge == NULL || draft->count == from) {
        return 0;
    }
    const struct asked asked = whom_to_ask(draft->judge, draft->force, write->judged);
    if (!asked.freeze.on && !asked.brake) {
        return 0;
    }
    struct picture *next;
    struct node_set *affected;
    if (judge_catch_up(draft, from, err) != 0 ||
        draft_step(draft, draft->count, &next, &affected, err) != 0) {
        return -1;
    }
    const struct snapshot_change only = draft_change(draft, from);
    const struct judged judged = {.before = draft->now,
                                  .after = next,
                                  .affected = affected,
                                  .only = draft->count == from + 1 ? &only : NULL};
    int result = ask(draft->judge, &asked, &judged, causes, err);
    if (result != 0 || write->dry_run) {
        picture_unref(next);
        node_set_free(affected);
        return result;
    }
    return draft_stand(draft, draft->count, next, affected, err);
}

int state_judge(struct state *state, const struct picture *before, const struct picture *after,
                const struct node_set *affected, unsigned force, struct causes *causes, struct err *err) {
    const struct judged judged = {.before = before, .after = after, .affected = affected};
    const struct asked asked = whom_to_ask(state, force, false);
    return ask(state, &asked, &judged, causes, err);
}

int state_judge_deletion(struct state *state, const struct record *const *records, size_t count,
                         unsigned force, struct causes *causes, struct err *err) {
    struct picture *before = state_picture(state), *after = NULL;
    struct node_set *affected = NULL;
    struct draft draft;
    int result = 0;
    draft_init(&draft, state, before);
    for (size_t i = 0; result == 0 && i < count; i++) {
        enum kind kind = records[i]->object->kind;
        const struct record *now = draft_get(&draft, kind, records[i]->key);
        result = now == NULL ? 0 : draft_add(&draft, STORE_DELETE, kind, now, now, NULL, err);
    }
    if (result == 0) {
        result = draft_picture(&draft, before, &after, &affected, err);
    }
    if (result == 0) {
        result = state_judge(state, before, after, affected, force, causes, err);
        meter_refusal(&state->meter, err->code);
    }
    draft_done(&draft);
    node_set_free(affected);
    picture_unref(after);
    picture_unref(before);
    return result;
}
