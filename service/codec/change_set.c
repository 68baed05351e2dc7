/*
 * Change sets: what a client sends as one, by a table of their own, or as plain documents. What is wrong with
 * a change is said with its place in `spec.changes`; all of it at once. Texts live in the caller's arena. No
 * locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "base/suggest.h"
#include "codec_internal.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROW(owner, member, json, of)                                                                         \
    { .name = (json), .type = (of), .offset = offsetof(struct owner, member) }
#define TEXT(owner, member, json) ROW(owner, member, json, FIELD_STRING)
#define LIMIT(owner, member, json)                                                                           \
    { .name = (json), .type = FIELD_INT, .offset = offsetof(struct owner, member), .max = INT64_MAX }
#define PART(owner, member, json, of, table)                                                                 \
    { .name = (json), .type = (of), .offset = offsetof(struct owner, member), .schema = &(table) }
#define IGNORED(json)                                                                                        \
    { .name = (json), .type = FIELD_IGNORED }
#define TABLE(of, rows)                                                                                      \
    { .name = #of, .size = sizeof(struct of), .fields = (rows), .field_count = COUNT_OF(rows) }

struct change_form {
    const char *op, *api_version, *kind, *name, *name_space, *selector, *if_version, *if_uid;
};
static const struct field CHANGE_FIELDS[] = {
    TEXT(change_form, op, "op"),
    TEXT(change_form, api_version, "apiVersion"),
    TEXT(change_form, kind, "kind"),
    TEXT(change_form, name, "name"),
    TEXT(change_form, name_space, "namespace"),
    TEXT(change_form, selector, "selector"),
    TEXT(change_form, if_version, "ifResourceVersion"),
    TEXT(change_form, if_uid, "ifUID"),
    IGNORED("object"), /* both are taken from the tree: they are what their kind makes of them */
    IGNORED("patch"),
};
static const struct schema CHANGE_TABLE = TABLE(change_form, CHANGE_FIELDS);

struct set_spec_form {
    const char *reason, *force;
    struct opt_int max_disruptive, max_nodes;
    struct list changes;
};
static const struct field SPEC_FIELDS[] = {
    TEXT(set_spec_form, reason, "reason"),
    TEXT(set_spec_form, force, "force"),
    LIMIT(set_spec_form, max_disruptive, "maxDisruptive"),
    LIMIT(set_spec_form, max_nodes, "maxNodes"),
    PART(set_spec_form, changes, "changes", FIELD_OBJECT_LIST, CHANGE_TABLE),
};
static const struct schema SPEC_TABLE = TABLE(set_spec_form, SPEC_FIELDS);

struct set_form {
    struct set_spec_form *spec;
};
static const struct field SET_FIELDS[] = {
    PART(set_form, spec, "spec", FIELD_OBJECT, SPEC_TABLE),
    IGNORED("apiVersion"),
    IGNORED("kind"),
    IGNORED("metadata"),
};
static const struct schema SET_TABLE = TABLE(set_form, SET_FIELDS);

static const struct kind_info SET_INFO = {
    .name = "ChangeSet", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};

/* One change being understood. */
struct taking {
    size_t index;
    struct arena *arena;
    struct causes *causes;
    size_t found; /* causes of this set so far */
};

static void complain(struct taking *taking, const char *reason, const char *member, const char *text) {
    char field[64];
    snprintf(field, sizeof(field), "spec.changes[%zu]%s%s", taking->index, member[0] != '\0' ? "." : "",
             member);
    causes_add(taking->causes, reason, field, "%s", text);
    taking->found++;
}

static void take_op(struct taking *taking, const char *text, struct change *change) {
    char shown[SHOWN_TEXT_MAX], sentence[2 * SHOWN_TEXT_MAX];
    change->op = text != NULL ? change_op_parse(text) : CHANGE_OP_COUNT;
    if (text == NULL) {
        complain(taking, CAUSE_REQUIRED, "op", "Required value: one of apply, create, patch, delete");
    } else if (change->op == CHANGE_OP_COUNT) {
        struct suggest suggest = suggest_begin(text, strlen(text));
        for (enum change_op op = 0; op < CHANGE_OP_COUNT; op++) {
            suggest_consider(&suggest, change_op_name(op));
        }
        snprintf(sentence, sizeof(sentence), "\"%s\" is not one of apply, create, patch, delete%s%s%s",
                 text_shown(text, shown), suggest.meant != NULL ? "; did you mean \"" : "",
                 suggest.meant != NULL ? suggest.meant : "", suggest.meant != NULL ? "\"?" : "");
        complain(taking, CAUSE_NOT_SUPPORTED, "op", sentence);
    }
}

static void take_kind(struct taking *taking, const char *member, const char *kind, const char *api_version,
                      struct change *change) {
    const struct kind_info *info = kind != NULL ? kind_by_name(kind) : NULL;
    char shown[SHOWN_TEXT_MAX], sentence[2 * SHOWN_TEXT_MAX];
    if (kind == NULL) {
        complain(taking, CAUSE_REQUIRED, member, "Required value: the kind of what is changed");
    } else if (info == NULL) {
        snprintf(sentence, sizeof(sentence), "this service has no kind \"%s\"", text_shown(kind, shown));
        complain(taking, CAUSE_NOT_SUPPORTED, member, sentence);
    } else if (api_version != NULL && strcmp(api_version, info->api_version) != 0) {
        snprintf(sentence, sizeof(sentence), "a %s has apiVersion %s here", info->name, info->api_version);
        complain(taking, CAUSE_NOT_SUPPORTED, member, sentence);
    } else {
        change->kind = info->kind;
    }
}

/* The tree's text, which becomes the change's document. */
static int take_text(struct taking *taking, const json_t *tree, struct change *change, struct err *err) {
    struct buf text = BUF_INIT;
    text.wipe = change->kind == KIND_SECRET;
    taking->arena->wipe = taking->arena->wipe || text.wipe;
    if (tree_write(tree, &text) == 0) {
        change->document = arena_strndup(taking->arena, text.data, text.len);
        change->document_len = text.len;
    }
    buf_done(&text);
    return change->document != NULL ? 0 : err_no_memory(err);
}

static const char *text_of(const json_t *object, const char *member) {
    return json_string_value(json_object_get(object, member));
}

/* An object names itself. */
static int take_object(struct taking *taking, const json_t *tree, const struct change_form *form,
                       struct change *change, struct err *err) {
    const json_t *object = json_object_get(tree, "object");
    if (form->kind != NULL || form->name != NULL || form->name_space != NULL || form->selector != NULL ||
        json_object_get(tree, "patch") != NULL) {
        complain(taking, CAUSE_FORBIDDEN, "",
                 "apply and create take an `object`, which has its kind and name in it, and no kind, name, "
                 "namespace, selector or patch beside it");
    }
    if (form->if_version != NULL || form->if_uid != NULL) {
        complain(taking, CAUSE_FORBIDDEN, form->if_version != NULL ? "ifResourceVersion" : "ifUID",
                 "write the version into the object's metadata.resourceVersion, which then replaces what is "
                 "stored");
    }
    if (!json_is_object(object)) {
        complain(taking, CAUSE_REQUIRED, "object",
                 "Required value: the whole object, with its kind and name");
        return 0;
    }
    take_kind(taking, "object.kind", text_of(object, "kind"), text_of(object, "apiVersion"), change);
    return take_text(taking, object, change, err);
}

static void take_target(struct taking *taking, const struct change_form *form, struct change *change) {
    take_kind(taking, "kind", form->kind, form->api_version, change);
    if ((form->name != NULL) == (form->selector != NULL)) {
        complain(taking, CAUSE_REQUIRED, form->name != NULL ? "selector" : "name",
                 "exactly one of name and selector says what is changed; to change everything of a kind, "
                 "write selector: all()");
    }
    change->name = form->name;
    change->name_space = form->name_space;
    change->selector = form->selector;
    if (form->selector != NULL && (form->if_version != NULL || form->if_uid != NULL)) {
        complain(taking, CAUSE_FORBIDDEN, "selector",
                 "ifResourceVersion and ifUID are of one object, which is named");
    }
    if (form->if_version != NULL &&
        !u64_parse(form->if_version, strlen(form->if_version), INT64_MAX, &change->if_version)) {
        complain(taking, CAUSE_INVALID, "ifResourceVersion",
                 "a metadata.resourceVersion is a number in quotes, as it was read");
    }
    change->if_uid = form->if_uid;
}

static int take_change(struct taking *taking, const json_t *tree, const struct change_form *form,
                       struct change *change, struct err *err) {
    *change = (struct change){.op = CHANGE_OP_COUNT};
    take_op(taking, form->op, change);
    if (change->op == CHANGE_APPLY || change->op == CHANGE_CREATE) {
        return take_object(taking, tree, form, change, err);
    }
    if (change->op == CHANGE_OP_COUNT) {
        return 0;
    }
    take_target(taking, form, change);
    if (json_object_get(tree, "object") != NULL) {
        complain(taking, CAUSE_FORBIDDEN, "object", "only apply and create take an object");
    }
    const json_t *patch = json_object_get(tree, "patch");
    if (change->op == CHANGE_DELETE) {
        if (patch != NULL) {
            complain(taking, CAUSE_FORBIDDEN, "patch", "a deletion takes no patch");
        }
        return 0;
    }
    if (!json_is_object(patch) && !json_is_array(patch)) {
        complain(taking, CAUSE_REQUIRED, "patch",
                 "Required value: an object (a merge patch), or an array (a JSON patch)");
        return 0;
    }
    change->json_patch = json_is_array(patch);
    return take_text(taking, patch, change, err);
}

/* What is said of the set as a whole. */
static size_t take_head(const struct set_spec_form *spec, struct change_set *set, struct causes *causes) {
    size_t found = 0;
    if (spec->reason != NULL && !change_reason_is_valid(spec->reason)) {
        causes_add(causes, CAUSE_INVALID, "spec.reason", "must be one line of at most %d bytes",
                   CHANGE_REASON_MAX);
        found++;
    }
    if (spec->force != NULL && !change_force_parse(spec->force, &set->force)) {
        char shown[SHOWN_TEXT_MAX];
        causes_add(causes, CAUSE_NOT_SUPPORTED, "spec.force",
                   "\"%s\" is not one of disruptive, frozen, or both with a comma between them",
                   text_shown(spec->force, shown));
        found++;
    }
    set->reason = spec->reason;
    set->max_disruptive = spec->max_disruptive.set ? (uint64_t)spec->max_disruptive.value : CHANGE_UNLIMITED;
    set->max_nodes = spec->max_nodes.set ? (uint64_t)spec->max_nodes.value : CHANGE_UNLIMITED;
    return found;
}

static int refuse(const struct causes *causes, size_t found, struct err *err) {
    if (found == 0) {
        return 0;
    }
    const struct cause *first = &causes->items[0];
    return err_set_field(err, ERR_INVALID, first->field, "%s: %s%s", first->field, first->message,
                         found > 1 ? "; the causes name the others" : "");
}

static int decode_set(json_t *root, size_t max, struct arena *arena, struct causes *causes,
                      struct change_set *ret, struct err *err) {
    struct set_form form = {.spec = NULL};
    if (form_decode(&SET_INFO, &SET_TABLE, root, arena, &form, err) != 0) {
        return -1;
    }
    struct change_set set = {.max_disruptive = CHANGE_UNLIMITED, .max_nodes = CHANGE_UNLIMITED};
    if (form.spec == NULL || form.spec->changes.count == 0) {
        causes_add(causes, CAUSE_REQUIRED, "spec.changes", "Required value: what is to be changed");
        return refuse(causes, 1, err);
    }
    if (form.spec->changes.count > max) {
        return err_set_field(err, ERR_TOO_LARGE, "spec.changes",
                             "spec.changes has %zu changes, and %zu are taken at once; send fewer",
                             form.spec->changes.count, max);
    }
    struct taking taking = {.arena = arena, .causes = causes, .found = take_head(form.spec, &set, causes)};
    const json_t *changes = json_object_get(json_object_get(root, "spec"), "changes");
    set.count = form.spec->changes.count;
    set.items = arena_array(arena, set.count, sizeof(*set.items));
    if (set.items == NULL) {
        return err_no_memory(err);
    }
    const struct change_form *forms = form.spec->changes.items;
    for (taking.index = 0; taking.index < set.count; taking.index++) {
        if (take_change(&taking, json_array_get(changes, taking.index), &forms[taking.index],
                        &set.items[taking.index], err) != 0) {
            return -1;
        }
    }
    if (refuse(causes, taking.found, err) != 0) {
        return -1;
    }
    *ret = set;
    return 0;
}

/* Plain documents are applies. */
static int decode_documents(const json_t *bodies, size_t max, struct arena *arena, struct change_set *ret,
                            struct err *err) {
    struct codec_document *documents;
    size_t count;
    if (split_documents(bodies, max, arena, &documents, &count, err) != 0) {
        return -1;
    }
    struct change_set set = {.max_disruptive = CHANGE_UNLIMITED,
                             .max_nodes = CHANGE_UNLIMITED,
                             .items = arena_array(arena, count, sizeof(*set.items)),
                             .count = count,
                             .documents = true};
    if (set.items == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        set.items[i] = (struct change){.op = CHANGE_APPLY,
                                       .kind = documents[i].kind,
                                       .about = documents[i].about,
                                       .fault = documents[i].fault,
                                       .document = documents[i].json,
                                       .document_len = documents[i].len};
    }
    *ret = set;
    return 0;
}

static bool is_set(const json_t *document) {
    const char *kind = json_is_object(document) ? text_of(document, "kind") : NULL;
    return kind != NULL && strcmp(kind, SET_INFO.name) == 0;
}

int codec_decode_change_set(enum codec_syntax syntax, const char *bytes, size_t len, size_t max,
                            struct arena *arena, struct change_set *ret, struct causes *causes,
                            struct err *err) {
    json_auto_t *bodies = NULL;
    if (split_read(syntax, bytes, len, max, &bodies, err) != 0) {
        return -1;
    }
    json_t *body = json_array_get(bodies, 0);
    if (json_array_size(bodies) == 1 && is_set(body)) {
        return decode_set(body, max, arena, causes, ret, err);
    }
    for (size_t i = 0; i < json_array_size(bodies); i++) {
        body = json_array_get(bodies, i);
        bool found = is_set(body);
        for (size_t k = 0; k < json_array_size(body) && !found; k++) {
            found = is_set(json_array_get(body, k));
        }
        if (found) {
            return err_set(err, ERR_BAD_REQUEST,
                           "a ChangeSet must be alone in its body; write the other documents as its changes");
        }
    }
    return decode_documents(bodies, max, arena, ret, err);
}
