/*
 * Draft: one write after the other applied to the state that is being built. The committer builds its
 * batches with it and previews use it as it is, so both come to the same result. Owns references to the
 * records it made; nothing here is shared between threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "model/resources.h"
#include "state_internal.h"

#define GENERATE_NAME_SUFFIX 5 /* characters, as Kubernetes */
#define GENERATE_NAME_TRIES  8
#define NAME_MAX_LENGTH      253

struct outcome {
    const struct record *record;
    bool created;
    bool unchanged;
};

void draft_init(struct draft *draft, const struct state *state, const struct picture *picture) {
    const struct snapshot *base = picture->snapshot;

    *draft = (struct draft){.picture = picture,
                            .base = base,
                            .ranges = state->has_node_ranges ? &state->node_ranges : NULL,
                            .vault = state->vault,
                            .secret_namespace = state->secret_namespace,
                            .revision = snapshot_revision(base),
                            .again = store_is_shared(state->store),
                            .now_ms = clock_realtime_ms()};
    buf_init(&draft->json);
    buf_init(&draft->other);
}

/* Back to an earlier state of the draft. */
struct mark {
    size_t count;
    size_t sealed_count;
    uint64_t revision;
};

static void draft_truncate(struct draft *draft, const struct mark *mark) {
    while (draft->count > mark->count) {
        struct draft_change *change = &draft->changes[--draft->count];
        record_unref(change->change.before);
        record_unref(change->change.after);
    }
    draft->sealed_count = mark->sealed_count;
    draft->revision = mark->revision;
}

void draft_done(struct draft *draft) {
    draft_truncate(draft, &(struct mark){0});
    picture_unref(draft->now);
    node_set_free(draft->now_affected);
    free(draft->changes);
    free(draft->sealed);
    buf_done(&draft->json);
    buf_done(&draft->other);
}

/* FNV-1a: only to skip most string comparisons when looking for an earlier change of the same object. */
static uint64_t key_hash(enum kind kind, const char *key) {
    uint64_t hash = 14695981039346656037u ^ (uint64_t)kind;

    for (; *key != '\0'; key++) {
        hash = (hash ^ (uint8_t)*key) * 1099511628211u;
    }
    return hash;
}

const struct record *draft_get(const struct draft *draft, enum kind kind, const char *key) {
    uint64_t hash = key_hash(kind, key);

    for (size_t i = draft->count; i-- > 0;) {
        const struct draft_change *change = &draft->changes[i];

        if (change->key_hash == hash && change->change.kind == kind && strcmp(change->key, key) == 0) {
            return change->op == STORE_DELETE ? NULL : change->change.after;
        }
    }
    return snapshot_get(draft->base, kind, key);
}

int draft_add(struct draft *draft, enum store_op op, enum kind kind, const struct record *before,
              const struct record *after, const char *actor, struct err *err) {
    struct draft_change *changes = base_grow(draft->changes, draft->count, &draft->cap, 16, sizeof *changes);

    if (changes == NULL) {
        return err_no_memory(err);
    }
    draft->changes = changes;
    draft->changes[draft->count++] = (struct draft_change){
        .change = {.kind = kind,
                   .before = before == NULL ? NULL : record_ref(before),
                   .after = record_ref(after)},
        .op = op,
        .key_hash = key_hash(kind, after->key),
        .revision = after->revision,
        .key = after->key,
        .actor = actor == NULL ? "" : actor,
    };
    if (kind == KIND_SECRET) {
        return secret_add_rows(draft, before, op == STORE_DELETE ? NULL : after, err);
    }
    return 0;
}

static int err_missing(enum kind kind, const char *key, struct err *err) {
    const struct kind_info *info = kind_info(kind);
    const char *name = info->namespaced && strchr(key, '/') != NULL ? strchr(key, '/') + 1 : key;

    return err_set(err, ERR_NOT_FOUND, "%s%s%s \"%s\" not found", info->plural,
                   info->group[0] == '\0' ? "" : ".", info->group, name);
}

static int err_conflict(const struct record *current, struct err *err, enum err_code code, const char *what) {
    const struct kind_info *info = kind_info(current->object->kind);

    return err_set(err, code,
                   "Operation cannot be fulfilled on %s%s%s \"%s\": %s; read the object again and apply "
                   "your changes to its latest version",
                   info->plural, info->group[0] == '\0' ? "" : ".", info->group, current->object->meta.name,
                   what);
}

/* `meta` is the new document's, NULL for a deletion. */
static int check_preconditions(const struct write *write, const struct meta *meta,
                               const struct record *current, struct err *err) {
    const struct meta *now = &current->object->meta;
    char version[24];

    snprintf(version, sizeof version, "%llu", (unsigned long long)now->resource_version);
    if (write->if_match != NULL && strcmp(write->if_match, "*") != 0 &&
        strcmp(write->if_match, version) != 0) {
        return err_conflict(current, err, ERR_PRECONDITION_FAILED,
                            "If-Match names another version than the current one");
    }
    if ((write->if_version != 0 && write->if_version != now->resource_version) ||
        (meta != NULL && meta->resource_version != 0 && meta->resource_version != now->resource_version)) {
        return err_conflict(current, err, ERR_CONFLICT, "the object has been modified");
    }
    if ((write->if_uid != NULL && strcmp(write->if_uid, now->uid) != 0) ||
        (meta != NULL && meta->uid != NULL && strcmp(meta->uid, now->uid) != 0)) {
        return err_conflict(current, err, ERR_CONFLICT,
                            "the uid is that of another object, which had this name before");
    }
    return 0;
}

static int generate_name(const struct draft *draft, struct object *object, struct arena *arena,
                         struct err *err) {
    const char *prefix = object->meta.generate_name;
    size_t prefix_len = strnlen(prefix, NAME_MAX_LENGTH - GENERATE_NAME_SUFFIX);

    for (int i = 0; i < GENERATE_NAME_TRIES; i++) {
        char suffix[GENERATE_NAME_SUFFIX + 1] = "";
        const char *key;

        random_name_suffix(suffix, GENERATE_NAME_SUFFIX);
        object->meta.name =
            arena_printf(arena, "%.*s%.*s", (int)prefix_len, prefix, GENERATE_NAME_SUFFIX, suffix);
        key = object->meta.name == NULL ? NULL : object_key(object, arena);
        if (key == NULL) {
            return err_no_memory(err);
        }
        if (draft_get(draft, object->kind, key) == NULL) {
            return 0;
        }
    }
    return err_set(
        err, ERR_ALREADY_EXISTS,
        "no free name was found for generateName \"%s\" in %d tries; try again or use another prefix", prefix,
        GENERATE_NAME_TRIES);
}

static int apply_create(struct draft *draft, struct write *write, struct object *object, struct arena *arena,
                        struct outcome *ret, struct err *err) {
    const enum kind kind = object->kind; /* the object is used up by its record */
    const struct kind_info *info = kind_info(kind);
    char uid[UUID_TEXT_MAX];
    const char *key;

    if (object->meta.name == NULL && object->meta.generate_name != NULL &&
        generate_name(draft, object, arena, err) < 0) {
        return -1;
    }
    key = object_key(object, arena);
    if (key == NULL) {
        return err_no_memory(err);
    }
    if (draft_get(draft, object->kind, key) != NULL) {
        return err_set(err, ERR_ALREADY_EXISTS, "%s%s%s \"%s\" already exists", info->plural,
                       info->group[0] == '\0' ? "" : ".", info->group, object->meta.name);
    }
    if (draft_take_force(draft, object, arena, err) != 0 ||
        (object->kind == KIND_SECRET && secret_seal(draft, write, NULL, object, arena, err) < 0)) {
        return -1;
    }
    uuid_new(uid);
    object->meta.uid = arena_strdup(arena, uid);
    object->meta.creation_ms = draft->now_ms;
    object->meta.generation = 1;
    object->meta.resource_version = draft->dry ? 0 : draft->revision + 1;
    if (object->meta.uid == NULL) {
        return err_no_memory(err);
    }
    if (draft_record(draft, arena, object, &ret->record, err) < 0) {
        return -1;
    }
    ret->created = true;
    draft->revision++;
    return draft_add(draft, STORE_CREATE, kind, NULL, ret->record, write->actor, err);
}

/* What somebody asks for, without what is observed: a Node's status. */
static void encode_wanted(const struct object *object, struct buf *out) {
    struct object wanted = *object;
    struct node node;

    if (object->kind == KIND_NODE) {
        node = *(const struct node *)object->body;
        node.status = NULL;
        wanted.body = &node;
    }
    buf_clear(out);
    codec_encode_body(&wanted, out);
}

/* Did the part besides metadata and status change? Decides about metadata.generation. */
static int body_differs(struct draft *draft, const struct object *a, const struct object *b, bool *ret,
                        struct err *err) {
    encode_wanted(a, &draft->json);
    encode_wanted(b, &draft->other);
    if (buf_failed(&draft->json) || buf_failed(&draft->other)) {
        return err_no_memory(err);
    }
    *ret = draft->json.len != draft->other.len ||
           memcmp(draft->json.data, draft->other.data, draft->json.len) != 0;
    return 0;
}

static int apply_replace(struct draft *draft, struct write *write, const struct record *current,
                         struct object *object, struct arena *arena, struct outcome *ret, struct err *err) {
    const struct meta *now = &current->object->meta;
    bool differs = false;

    if (check_preconditions(write, &object->meta, current, err) < 0 ||
        draft_take_force(draft, object, arena, err) != 0 ||
        (object->kind == KIND_SECRET && secret_seal(draft, write, current, object, arena, err) < 0) ||
        body_differs(draft, current->object, object, &differs, err) < 0) {
        return -1;
    }
    object->meta.uid = arena_strdup(arena, now->uid);
    object->meta.creation_ms = now->creation_ms;
    object->meta.generation = now->generation + (differs ? 1 : 0);
    object->meta.generate_name = now->generate_name == NULL ? NULL : arena_strdup(arena, now->generate_name);
    object->meta.resource_version = now->resource_version;
    if (object->meta.uid == NULL || arena->failed) {
        return err_no_memory(err);
    }
    buf_clear(&draft->json);
    codec_encode(object, &draft->json);
    if (buf_failed(&draft->json)) {
        return err_no_memory(err);
    }
    if (draft->json.len == current->json_len &&
        memcmp(draft->json.data, current->json, current->json_len) == 0) {
        ret->record = record_ref(current);
        ret->unchanged = true;
        return 0;
    }
    object->meta.resource_version = draft->dry ? now->resource_version : draft->revision + 1;
    if (draft_record(draft, arena, object, &ret->record, err) < 0) {
        return -1;
    }
    draft->revision++;
    return draft_add(draft, STORE_UPDATE, current->object->kind, current, ret->record, write->actor, err);
}

/* Decode a document that is in no arena yet, and go on with it. */
static int apply_document(struct draft *draft, struct write *write, const struct record *current,
                          const char *document, size_t len, struct outcome *ret, struct err *err) {
    const struct object *now = current != NULL ? current->object : NULL;
    struct codec_options options = {
        .syntax = CODEC_JSON,
        .unknown = write->unknown,
        .kind = write->kind,
        .name = now != NULL ? now->meta.name : NULL,
        .name_space = now != NULL ? now->meta.name_space : draft->secret_namespace,
        .any_namespace = now == NULL,
    };
    struct arena arena;
    struct object *object;
    int result = -1;

    if (!kind_info(write->kind)->namespaced) {
        options.name_space = NULL;
    }
    arena_init(&arena, 0);
    arena.wipe = write->kind == KIND_SECRET;
    if (codec_decode(&options, document, len, &arena, &object, &write->causes, &write->advice, err) == 0) {
        result = current != NULL ? apply_replace(draft, write, current, object, &arena, ret, err)
                                 : apply_create(draft, write, object, &arena, ret, err);
    }
    arena_done(&arena);
    return result;
}

/* The changed document goes through the same decoding and rules as a PUT of it would. */
static int apply_patch(struct draft *draft, struct write *write, const struct record *current,
                       struct outcome *ret, struct err *err) {
    const struct patch patch = {.type = write->patch_type,
                                .kind = write->kind,
                                .syntax = write->syntax,
                                .text = write->patch,
                                .len = write->patch_len,
                                .operations_max = write->patch_operations_max};
    struct buf patched = BUF_INIT;
    int result;

    patched.wipe = write->kind == KIND_SECRET;
    result = write->op == WRITE_APPLY ? codec_merge(write->kind, current->json, current->json_len,
                                                    write->patch, write->patch_len, &patched, err)
                                      : codec_patch(&patch, current->json, current->json_len, &patched, err);
    if (result == 0) {
        result = apply_document(draft, write, current, patched.data, patched.len, ret, err);
    }
    buf_done(&patched);
    return result;
}

/* The last state, carrying the deletion's resourceVersion, as a watch reports it. */
static int apply_delete(struct draft *draft, const struct write *write, const struct record *current,
                        struct outcome *ret, struct err *err) {
    struct object last = *current->object;
    struct object *object;
    struct arena arena;

    if (check_preconditions(write, NULL, current, err) < 0) {
        return -1;
    }
    last.meta.resource_version = draft->revision + 1;
    buf_clear(&draft->other);
    codec_encode(&last, &draft->other);
    if (buf_failed(&draft->other)) {
        return err_no_memory(err);
    }
    arena_init(&arena, 0);
    int result = codec_decode_stored(write->kind, draft->other.data, draft->other.len, &arena, &object, err);
    if (result == 0) {
        result = draft_record(draft, &arena, object, &ret->record, err);
    }
    arena_done(&arena); /* of a draft that may be made again it still has the object */
    if (result != 0) {
        return -1;
    }
    draft->revision++;
    return draft_add(draft, STORE_DELETE, write->kind, current, ret->record, write->actor, err);
}

/* Whoever names a version or a uid has seen the object, and does not mean to make it anew. */
static int check_nothing_expected(const struct write *write, struct err *err) {
    const struct meta *meta = &write->object->meta;
    const struct kind_info *info = kind_info(write->kind);

    if (write->if_version == 0 && write->if_uid == NULL && meta->resource_version == 0 && meta->uid == NULL) {
        return 0;
    }
    return err_set(
        err, ERR_CONFLICT,
        "Operation cannot be fulfilled on %s%s%s \"%s\": there is no such object, though the document has a "
        "version or uid: it has been deleted, or the document is an export of another system. Take "
        "metadata.resourceVersion and metadata.uid out of it, or send it to /apis/bgppeerd.io/v1/imports, "
        "which does",
        info->plural, info->group[0] == '\0' ? "" : ".", info->group, meta->name);
}

/* A document of which nothing is stored. One that is not whole by itself says so when it is decoded again. */
static int apply_missing(struct draft *draft, struct write *write, struct object *object, struct outcome *ret,
                         struct err *err) {
    if (write->object == NULL) {
        return apply_document(draft, write, NULL, write->patch, write->patch_len, ret, err);
    }
    return check_nothing_expected(write, err) != 0
               ? -1
               : apply_create(draft, write, object, write->object_arena, ret, err);
}

/* What will be made of the write's object: a copy, where it may be needed once more. What is changed on the
 * way are members of the object and of a Secret's body, and of nothing below them. */
static struct object *object_for_once(const struct draft *draft, const struct write *write,
                                      struct object *copy, struct secret *body) {
    if (!draft->again || write->object == NULL) {
        return write->object;
    }
    *copy = *write->object;
    if (copy->kind == KIND_SECRET) {
        *body = *(const struct secret *)copy->body;
        copy->body = body;
    }
    return copy;
}

static int apply_one(struct draft *draft, struct write *write, struct outcome *ret, struct err *err) {
    const char *key = write->key;
    const struct record *current;
    struct object copy;
    struct secret body;
    struct object *object = object_for_once(draft, write, &copy, &body);

    if (write->op == WRITE_CREATE) {
        return apply_create(draft, write, object, write->object_arena, ret, err);
    }
    current = draft_get(draft, write->kind, key);
    if (current == NULL && write->op == WRITE_APPLY) {
        return apply_missing(draft, write, object, ret, err);
    }
    if (current == NULL && write->op == WRITE_REPLACE && write->upsert && write->if_match == NULL) {
        if (check_nothing_expected(write, err) < 0) {
            return -1;
        }
        return apply_create(draft, write, object, write->object_arena, ret, err);
    }
    if (current == NULL) {
        return err_missing(write->kind, key, err);
    }
    write->before = current->revision;
    switch (write->op) {
    case WRITE_REPLACE:
        return apply_replace(draft, write, current, object, write->object_arena, ret, err);
    case WRITE_APPLY:
    case WRITE_PATCH:
        return apply_patch(draft, write, current, ret, err);
    case WRITE_DELETE:
        return apply_delete(draft, write, current, ret, err);
    case WRITE_CREATE:
        break;
    }
    return err_set(err, ERR_INTERNAL, "unknown write operation %d", (int)write->op);
}

/* The draft's last change is the write's. */
static int check_guard(const struct draft *draft, const struct write *write, struct err *err) {
    const struct draft_change *last = &draft->changes[draft->count - 1];
    const struct record *before = last->change.before;

    return write->guard == NULL
               ? 0
               : write->guard(draft, before == NULL ? NULL : before->object,
                              last->op == STORE_DELETE ? NULL : last->change.after->object, err);
}

/* Nothing of the group stays: `failed` has an error, which becomes the group's. */
static void withdraw(struct draft *draft, struct write *group, const struct write *failed,
                     const struct mark *mark) {
    for (struct write *w = group; w != NULL; w = w->also) {
        record_unref(w->record);
        w->record = NULL;
    }
    if (failed != group) {
        group->err = failed->err;
    }
    draft_truncate(draft, mark);
}

/* kubectl's own way to say why: the annotation, where the change has brought it. NULL: it has not. */
static const char *find_cause(const struct snapshot_change *change) {
    static const char CAUSE[] = "kubernetes.io/change-cause";
    const char *old = change->before != NULL ? meta_annotation(&change->before->object->meta, CAUSE) : NULL;
    const char *new = change->after != NULL ? meta_annotation(&change->after->object->meta, CAUSE) : NULL;
    bool brought = new != NULL &&new[0] != '\0' && (old == NULL || strcmp(old, new) != 0);
    return brought && change_reason_is_valid(new) ? new : NULL;
}

/* What the group has changed belongs together. */
static void name_transaction(struct draft *draft, const struct write *write, size_t from) {
    const char *reason = write->reason;
    for (size_t i = from; i < draft->count && reason == NULL; i++) {
        reason = find_cause(&draft->changes[i].change);
    }
    for (size_t i = from; i < draft->count; i++) {
        draft->changes[i].txn = draft->changes[from].revision;
        draft->changes[i].request = write->request;
        draft->changes[i].reason = reason;
    }
}

int draft_apply(struct draft *draft, struct write *write) {
    const struct mark mark = {draft->count, draft->sealed_count, draft->revision};

    draft->dry = write->dry_run || draft->preview;
    draft->may_force = write->may_force;
    draft->force = 0;
    for (struct write *w = write; w != NULL; w = w->also) {
        err_clear(&w->err);
        causes_init(&w->causes, w->arena);
        advice_init(&w->advice, w->arena);
        w->record = NULL;
        w->created = w->unchanged = false;
        w->before = 0;
        draft->force |= w->force;
    }
    if (write->if_fleet != 0 && write->if_fleet != draft->revision) {
        return err_set(&write->err, ERR_CONFLICT,
                       "the fleet is at resourceVersion %llu, not at %llu as If-Match says; preview again",
                       (unsigned long long)draft->revision, (unsigned long long)write->if_fleet);
    }
    for (struct write *w = write; w != NULL; w = w->also) {
        struct outcome outcome = {0};

        if (apply_one(draft, w, &outcome, &w->err) < 0 ||
            (!outcome.unchanged && check_guard(draft, w, &w->err) < 0)) {
            record_unref(outcome.record);
            withdraw(draft, write, w, &mark);
            return -1;
        }
        w->record = outcome.record;
        w->created = outcome.created;
        w->unchanged = outcome.unchanged;
    }
    write->force = draft->force;
    if (draft_judge(draft, write, mark.count, &write->causes, &write->err) != 0) {
        withdraw(draft, write, write, &mark);
        return -1;
    }
    name_transaction(draft, write, mark.count);
    if (write->dry_run && !draft->preview) {
        draft_truncate(draft, &mark);
    }
    return 0;
}
