/*
 * See steps.h. Decoding and expanding run on the connection's thread, advice also on the worker's; the steps
 * belong to their request. No locks.
 */
#include "fleet/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/change_set.h"
#include "request/serving.h"

void steps_done(struct steps *steps) {
    for (size_t i = 0; i < steps->count; i++) {
        record_unref(steps->items[i].write.record);
        steps->items[i].write.record = NULL;
        write_effect_done(&steps->items[i].write.effect);
        arena_done(&steps->items[i].object_arena);
    }
    steps->count = 0;
}

/* ---- names ---- */

static struct causes *new_causes(struct request *request) {
    struct causes *causes = arena_alloc(&request->arena, sizeof(*causes));
    if (causes != NULL) {
        causes_init(causes, &request->arena);
    }
    return causes;
}

/* Which of the changes is meant: `document 3 (BGPPeer "tor")`, `spec.changes[2] (patch Node "r1h02")`. Never
 * NULL. */
static const char *name_change(struct request *request, const struct change_set *set, size_t index,
                               const char *key) {
    const struct change *change = &set->items[index];
    if (change->about != NULL) {
        return change->about;
    }
    const char *about =
        arena_printf(&request->arena, "spec.changes[%zu] (%s %s%s%.253s%s)", index,
                     change_op_name(change->op), kind_info(change->kind)->name, key != NULL ? " \"" : "",
                     key != NULL ? key : "", key != NULL ? "\"" : "");
    return about != NULL ? about : "spec.changes";
}

/* Where in the body the change's field is: `document 3 (BGPPeer "tor"): spec.peerIP`,
 * `spec.changes[2].object.spec.peerIP`. */
static void place_field(const struct change_set *set, const struct step *step, const char *field,
                        char out[2 * ERR_FIELD_MAX]) {
    const struct change *change = &set->items[step->change];
    const char *part = change->document == NULL ? "" : change->op == CHANGE_PATCH ? ".patch" : ".object";
    if (set->documents || field[0] == '\0') {
        snprintf(out, 2 * ERR_FIELD_MAX, "%s%s%s", step->about, field[0] != '\0' ? ": " : "", field);
    } else {
        snprintf(out, 2 * ERR_FIELD_MAX, "spec.changes[%zu]%s.%s", step->change, part, field);
    }
}

/* What is wrong with one step, among what is wrong with others: its causes, or else its error. */
static void add_causes(struct causes *all, const struct steps *steps, const struct step *step,
                       const struct causes *causes, const struct err *err) {
    if (causes == NULL || causes->count == 0) {
        causes_add(all, err->code == ERR_INVALID ? CAUSE_INVALID : err_reason(err->code), step->about, "%s",
                   err->text);
        return;
    }
    for (size_t i = 0; i < causes->count; i++) {
        const struct cause *cause = &causes->items[i];
        char field[2 * ERR_FIELD_MAX];
        place_field(steps->set, step, cause->field, field);
        causes_add(all, cause->reason, field, "%s", cause->message);
    }
    all->dropped += causes->dropped;
}

int steps_name(struct request *request, const struct steps *steps, const struct step *step,
               const struct causes *causes, struct err *err) {
    struct causes *all = new_causes(request);
    if (all == NULL) {
        return err_no_memory(err);
    }
    add_causes(all, steps, step, causes, err);
    request->causes = all;
    return err_wrap(err, "%s", step->about);
}

/* ---- advice ---- */

/* Everything that is deleted is looked at together. */
static int advise_deleted(struct request *request, const struct steps *steps, const struct picture *picture,
                          struct err *err) {
    const struct record **deleted = arena_array(&request->arena, steps->count, sizeof(*deleted));
    struct advice *advice = request_advice(request);
    size_t count = 0;
    if (deleted == NULL || advice == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < steps->count; i++) {
        if (steps->items[i].write.op == WRITE_DELETE) {
            deleted[count++] = steps->items[i].write.record;
        }
    }
    if (count > 0) {
        state_advise_deleted(request->serving->state, picture, deleted, count, advice);
    }
    return 0;
}

int steps_advise(struct request *request, const struct steps *steps, const struct picture *picture,
                 struct err *err) {
    for (size_t i = 0; i < steps->count; i++) {
        const struct step *step = &steps->items[i];
        if (step->write.op != WRITE_DELETE &&
            write_advise(request, picture, step->about, &step->write, err) != 0) {
            return -1;
        }
    }
    return advise_deleted(request, steps, picture, err);
}

/* ---- answers ---- */

static const char *result_of(const struct write *write) {
    return write->op == WRITE_DELETE ? "deleted"
           : write->created          ? "created"
           : write->unchanged        ? "unchanged"
                                     : "updated";
}

void steps_add(const struct steps *steps, struct buf *out) {
    buf_add_str(out, "\"objects\":[");
    for (size_t i = 0; i < steps->count; i++) {
        const struct record *record = steps->items[i].write.record;
        buf_json_comma(out);
        buf_add(out, record->json, record->json_len);
    }
    buf_add_str(out, "],\"results\":[");
    for (size_t i = 0; i < steps->count; i++) {
        const struct step *step = &steps->items[i];
        const struct meta *meta = &step->write.record->object->meta;
        buf_json_comma(out);
        buf_add_char(out, '{');
        buf_json_member_u64(out, "change", step->change);
        buf_json_member_str(out, "op", change_op_name(steps->set->items[step->change].op));
        buf_json_member_str(out, "kind", kind_info(step->write.kind)->name);
        buf_json_member_str(out, "namespace", meta->name_space);
        buf_json_member_str(out, "name", meta->name);
        buf_json_member_str(out, "result", result_of(&step->write));
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

/* ---- from changes to writes ---- */

/* Steps being made. */
struct making {
    struct request *request;
    struct steps *steps;
    const struct picture *picture; /* the fleet as it is now */
    size_t change;                 /* the one at hand */
    struct causes *all;            /* what is wrong with any of them */
    enum err_code code;            /* of all of it */
};

/* Something is wrong: go on, and say all of it at the end. */
static int make_wrong(struct making *making, const struct step *step, const struct causes *causes,
                      const struct err *err) {
    add_causes(making->all, making->steps, step, causes, err);
    making->code = err->code == ERR_BAD_REQUEST ? ERR_BAD_REQUEST : making->code;
    return 0;
}

/* The change at hand is wrong in one place, before there is a step of it. */
static int make_refuse(struct making *making, const char *reason, const char *member, const char *text) {
    char field[2 * ERR_FIELD_MAX];
    const struct change_set *set = making->steps->set;
    if (set->documents) {
        snprintf(field, sizeof(field), "%s%s%s", name_change(making->request, set, making->change, NULL),
                 member[0] != '\0' ? ": " : "", member);
    } else {
        snprintf(field, sizeof(field), "spec.changes[%zu].%s", making->change, member);
    }
    causes_add(making->all, reason, field, "%s", text);
    return 0;
}

static int make_room(struct making *making, struct err *err) {
    struct steps *steps = making->steps;
    return steps->count < CHANGE_SET_MAX
               ? 0
               : err_set(err, ERR_TOO_LARGE,
                         "the change set comes to more than %d changes at spec.changes[%zu], with its "
                         "selectors expanded; select fewer, or send it in parts",
                         CHANGE_SET_MAX, making->change);
}

static struct step *make_step(struct making *making, enum write_op op, const char *key, struct err *err) {
    const struct change_set *set = making->steps->set;
    const struct change *change = &set->items[making->change];
    if (make_room(making, err) != 0) {
        return NULL;
    }
    struct step *step = &making->steps->items[making->steps->count++];
    step->change = making->change;
    step->about = name_change(making->request, set, making->change, key);
    write_init(&step->write, making->request, op, change->kind);
    if (set->reason != NULL) {
        step->write.reason = set->reason; /* else the header's */
    }
    step->write.force |= set->force;
    step->write.object_arena = &step->object_arena;
    step->write.dry_run = making->steps->parameters.dry_run;
    step->write.unknown = making->steps->parameters.unknown;
    arena_init(&step->object_arena, 0);
    step->object_arena.wipe = change->kind == KIND_SECRET;
    if (making->steps->count > 1) {
        making->steps->items[making->steps->count - 2].write.also = &step->write;
    }
    return step;
}

/* A name that the whole document has, although something in it is invalid. */
static const char *make_key(struct making *making, enum kind kind, const char *name, const char *name_space) {
    const struct object object = {
        .kind = kind,
        .meta = {.name = name,
                 .name_space = !kind_info(kind)->namespaced ? NULL
                               : name_space != NULL
                                   ? name_space
                                   : state_secret_namespace(making->request->serving->state)}};
    return object_key(&object, &making->request->arena);
}

/* Is it wrong by itself, but perhaps not with what is stored? Then the committer judges it. */
static bool is_for_merging(struct making *making, struct step *step, const char *name) {
    struct write *write = &step->write;
    if (write->op != WRITE_APPLY || name == NULL) {
        return false;
    }
    write->key = make_key(making, write->kind, name, NULL);
    return write->key != NULL && snapshot_get(making->picture->snapshot, write->kind, write->key) != NULL;
}

/* The object is decoded: by what key, and how, is it written? */
static int make_named(struct making *making, struct step *step, struct causes *causes, struct err *err) {
    struct write *write = &step->write;
    const struct meta *meta = &write->object->meta;
    if (meta->name == NULL) {
        struct err missing = ERR_INIT;
        causes_add(causes, CAUSE_REQUIRED, "metadata.name", "Required value: documents are applied by name");
        err_set(&missing, ERR_INVALID, "metadata.name is required");
        return make_wrong(making, step, causes, &missing);
    }
    if (write->op == WRITE_APPLY && meta->resource_version != 0) {
        write->op = WRITE_REPLACE; /* who names a version has read the object, and sends the whole of it */
        write->upsert = true;
    }
    write->key = object_key(write->object, &making->request->arena);
    return write->key != NULL ? 0 : err_no_memory(err);
}

/* What there is to say about the document by itself. Merged over what is stored it says something else, which
 * the committer's decoding finds. */
static int make_advice(struct making *making, const struct step *step, const struct advice *advice,
                       struct err *err) {
    const struct write *write = &step->write;
    bool merged = write->op == WRITE_APPLY && write->key != NULL &&
                  snapshot_get(making->picture->snapshot, write->kind, write->key) != NULL;
    return merged ? 0 : write_merge_advice(making->request, step->about, advice, err);
}

static int make_document(struct making *making, struct err *err) {
    struct request *request = making->request;
    const struct change *change = &making->steps->set->items[making->change];
    struct step *step =
        make_step(making, change->op == CHANGE_CREATE ? WRITE_CREATE : WRITE_APPLY, NULL, err);
    struct causes *causes = new_causes(request);
    struct err wrong = ERR_INIT;
    struct advice advice;
    const char *name = NULL;
    if (step == NULL) {
        return -1;
    }
    if (causes == NULL) {
        return err_no_memory(err);
    }
    if (change->fault != NULL) {
        err_set(&wrong, ERR_BAD_REQUEST, "%s", change->fault);
        return make_wrong(making, step, NULL, &wrong);
    }
    struct codec_options options = {.syntax = CODEC_JSON,
                                    .unknown = making->steps->parameters.unknown,
                                    .kind = change->kind,
                                    .any_namespace = true,
                                    .name_space = kind_info(change->kind)->namespaced
                                                      ? state_secret_namespace(request->serving->state)
                                                      : NULL,
                                    .ret_name = &name};
    struct write *write = &step->write;
    advice_init(&advice, &request->arena);
    write->patch = change->document;
    write->patch_len = change->document_len;
    if (codec_decode(&options, change->document, change->document_len, &step->object_arena, &write->object,
                     causes, &advice, &wrong) == 0) {
        return make_named(making, step, causes, err) != 0 ? -1 : make_advice(making, step, &advice, err);
    }
    write->object = NULL;
    if (wrong.code == ERR_INVALID && is_for_merging(making, step, name)) {
        return 0;
    }
    if (wrong.code != ERR_INVALID && wrong.code != ERR_BAD_REQUEST) {
        *err = wrong;
        return steps_name(request, making->steps, step, NULL, err);
    }
    return make_wrong(making, step, causes, &wrong);
}

/* A patch or deletion of one object. */
static int make_targeted(struct making *making, const char *key, struct err *err) {
    const struct change *change = &making->steps->set->items[making->change];
    struct step *step = make_step(making, change->op == CHANGE_PATCH ? WRITE_PATCH : WRITE_DELETE, key, err);
    if (step == NULL) {
        return -1;
    }
    struct write *write = &step->write;
    write->key = key;
    write->if_version = change->if_version;
    write->if_uid = change->if_uid;
    write->patch_type = change->json_patch ? PATCH_JSON : PATCH_MERGE;
    write->patch = change->document;
    write->patch_len = change->document_len;
    return key != NULL ? 0 : err_no_memory(err);
}

/* Every object whose labels match. */
static int make_selected(struct making *making, struct err *err) {
    const struct change *change = &making->steps->set->items[making->change];
    struct err parsing = ERR_INIT;
    struct selector *selector;
    if (selector_parse(change->selector, strlen(change->selector), &selector, &parsing) != 0) {
        if (parsing.code != ERR_INVALID) {
            *err = parsing;
            return -1;
        }
        return make_refuse(making, CAUSE_INVALID, "selector", parsing.text);
    }
    struct snapshot_cursor cursor;
    const struct record *record = snapshot_seek(&cursor, making->picture->snapshot, change->kind, NULL);
    size_t matched = 0;
    int result = 0;
    for (; result == 0 && record != NULL; record = snapshot_step(&cursor)) {
        const struct meta *meta = &record->object->meta;
        if (selector_matches(selector, &meta->labels) &&
            (change->name_space == NULL || meta->name_space == NULL ||
             strcmp(change->name_space, meta->name_space) == 0)) {
            result = make_targeted(making, arena_strdup(&making->request->arena, record->key), err);
            matched++;
        }
    }
    selector_free(selector);
    return result == 0 && matched == 0 ? make_refuse(making, CAUSE_INVALID, "selector",
                                                     "no object of this kind has labels that match")
                                       : result;
}

static int make_change(struct making *making, struct err *err) {
    const struct change *change = &making->steps->set->items[making->change];
    if (change->op == CHANGE_APPLY || change->op == CHANGE_CREATE) {
        return make_document(making, err);
    }
    return change->selector != NULL
               ? make_selected(making, err)
               : make_targeted(making, make_key(making, change->kind, change->name, change->name_space), err);
}

/* ---- one change to one object ---- */

static int compare_targets(const void *a, const void *b) {
    const struct step *x = *(const struct step *const *)a, *y = *(const struct step *const *)b;
    if (x->write.kind != y->write.kind) {
        return x->write.kind < y->write.kind ? -1 : 1;
    }
    int order = strcmp(x->write.key, y->write.key);
    return order != 0 ? order : x < y ? -1 : x > y;
}

/* The first of the steps about one object. */
static const struct step *find_first(const struct step *const *sorted, size_t i) {
    while (i > 0 && sorted[i - 1]->write.kind == sorted[i]->write.kind &&
           strcmp(sorted[i - 1]->write.key, sorted[i]->write.key) == 0) {
        i--;
    }
    return sorted[i];
}

/* An object may be deleted and then made anew; nothing else is done twice to one. */
static int check_targets(struct making *making, struct err *err) {
    const struct steps *steps = making->steps;
    const struct step **sorted = arena_array(&making->request->arena, steps->count, sizeof(*sorted));
    size_t count = 0;
    if (sorted == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < steps->count; i++) {
        if (steps->items[i].write.key != NULL) {
            sorted[count++] = &steps->items[i];
        }
    }
    qsort(sorted, count, sizeof(*sorted), compare_targets);
    for (size_t i = 1; i < count; i++) {
        const struct step *a = sorted[i - 1], *b = sorted[i];
        bool again = a->write.op == WRITE_DELETE &&
                     (b->write.op == WRITE_CREATE || b->write.op == WRITE_APPLY) &&
                     (i < 2 || sorted[i - 2]->write.kind != a->write.kind ||
                      strcmp(sorted[i - 2]->write.key, a->write.key) != 0);
        if (a->write.kind == b->write.kind && strcmp(a->write.key, b->write.key) == 0 && !again) {
            causes_add(making->all, CAUSE_DUPLICATE, b->about,
                       "Duplicate value: %s is about the same object; leave one of them",
                       find_first(sorted, i)->about);
        }
    }
    return 0;
}

static int make_all(struct making *making, struct err *err) {
    const struct change_set *set = making->steps->set;
    for (making->change = 0; making->change < set->count; making->change++) {
        if (make_change(making, err) != 0) {
            return -1;
        }
    }
    if (check_targets(making, err) != 0) {
        return -1;
    }
    if (making->all->count == 0) {
        return 0;
    }
    making->request->causes = making->all;
    return err_set(err, making->code, "%s: %s", making->all->items[0].field, making->all->items[0].message);
}

/* Steps that the set may come to: one a change, and no more than are allowed where selectors are expanded. */
static size_t steps_room(const struct change_set *set) {
    size_t room = set->count;
    for (size_t i = 0; i < set->count; i++) {
        room = set->items[i].selector != NULL ? CHANGE_SET_MAX : room;
    }
    return room > CHANGE_SET_MAX ? CHANGE_SET_MAX : room;
}

int steps_make(struct request *request, struct steps *steps, struct err *err) {
    struct making making = {.request = request, .steps = steps, .code = ERR_INVALID};
    steps_done(steps);
    making.all = new_causes(request);
    steps->items = arena_array(&request->arena, steps_room(steps->set), sizeof(*steps->items));
    if (making.all == NULL || steps->items == NULL) {
        return err_no_memory(err);
    }
    struct picture *picture = state_picture(request->serving->state);
    making.picture = picture;
    int result = make_all(&making, err);
    picture_unref(picture);
    return result;
}
