/*
 * What is asked of a rollback, by a table of its own: where to, or which change is to be undone, and what of
 * it. Texts live in the caller's arena. No locks.
 */
#include <string.h>

#include "base/number.h"
#include "codec_internal.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROW(owner, member, json, of)                                                                         \
    { .name = (json), .type = (of), .offset = offsetof(struct owner, member) }
#define LIMIT(owner, member, json)                                                                           \
    { .name = (json), .type = FIELD_INT, .offset = offsetof(struct owner, member), .max = INT64_MAX }
#define PART(owner, member, json, table)                                                                     \
    { .name = (json), .type = FIELD_OBJECT, .offset = offsetof(struct owner, member), .schema = &(table) }
#define IGNORED(json)                                                                                        \
    { .name = (json), .type = FIELD_IGNORED }
#define TABLE(of, rows)                                                                                      \
    { .name = #of, .size = sizeof(struct of), .fields = (rows), .field_count = COUNT_OF(rows) }

struct to_form {
    const char *time;
};
static const struct field TO_FIELDS[] = {
    ROW(to_form, time, "time", FIELD_STRING),
    IGNORED("revision"), /* from the tree: as text, as the api writes it, or as a number */
};
static const struct schema TO_TABLE = TABLE(to_form, TO_FIELDS);

struct undo_form {
    const char *unused;
};
static const struct field UNDO_FIELDS[] = {
    IGNORED("txn"), /* likewise */
};
static const struct schema UNDO_TABLE = TABLE(undo_form, UNDO_FIELDS);

struct only_form {
    struct string_list kinds, names;
};
static const struct field ONLY_FIELDS[] = {
    ROW(only_form, kinds, "kinds", FIELD_STRING_LIST),
    ROW(only_form, names, "names", FIELD_STRING_LIST),
};
static const struct schema ONLY_TABLE = TABLE(only_form, ONLY_FIELDS);

struct rollback_form {
    struct to_form *to;
    struct undo_form *undo;
    struct only_form *only;
    struct opt_bool dry_run;
    const char *reason;
    struct opt_int max_disruptive, max_nodes;
};
static const struct field ROLLBACK_FIELDS[] = {
    PART(rollback_form, to, "to", TO_TABLE),
    PART(rollback_form, undo, "undo", UNDO_TABLE),
    PART(rollback_form, only, "only", ONLY_TABLE),
    ROW(rollback_form, dry_run, "dryRun", FIELD_BOOL),
    ROW(rollback_form, reason, "reason", FIELD_STRING),
    LIMIT(rollback_form, max_disruptive, "maxDisruptive"),
    LIMIT(rollback_form, max_nodes, "maxNodes"),
    IGNORED("apiVersion"),
    IGNORED("kind"),
    IGNORED("metadata"),
};
static const struct schema ROLLBACK_TABLE = TABLE(rollback_form, ROLLBACK_FIELDS);

static const struct kind_info ROLLBACK_INFO = {
    .name = "Rollback", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};

static int take_revision(const json_t *owner, const char *member, const char *field, uint64_t *ret,
                         struct err *err) {
    const json_t *value = json_object_get(owner, member);
    const char *text = json_string_value(value);
    bool taken = text != NULL ? u64_parse(text, json_string_length(value), INT64_MAX, ret)
                              : json_is_integer(value) && json_integer_value(value) >= 0;
    if (!taken) {
        return err_set_field(
            err, ERR_BAD_REQUEST, field,
            "%s must be a revision, as changes and resourceVersions show it, such as \"412\"", field);
    }
    if (text == NULL) {
        *ret = (uint64_t)json_integer_value(value);
    }
    return 0;
}

static int take_target(const struct rollback_form *form, const json_t *root, struct rollback *rollback,
                       struct err *err) {
    if ((form->to != NULL) == (form->undo != NULL)) {
        return err_set_field(err, ERR_BAD_REQUEST, form->to != NULL ? "undo" : "to",
                             "exactly one of `to` (a state: {\"revision\": \"412\"} or {\"time\": …}) and "
                             "`undo` (a change: {\"txn\": \"412\"}) says what is rolled back");
    }
    if (form->undo != NULL) {
        rollback->is_undo = true;
        return take_revision(json_object_get(root, "undo"), "txn", "undo.txn", &rollback->revision, err);
    }
    const json_t *to = json_object_get(root, "to");
    if ((form->to->time != NULL) == (json_object_get(to, "revision") != NULL)) {
        return err_set_field(err, ERR_BAD_REQUEST, "to",
                             "`to` takes exactly one of revision and time, such as {\"revision\": \"412\"}");
    }
    rollback->time = form->to->time;
    return form->to->time != NULL ? 0
                                  : take_revision(to, "revision", "to.revision", &rollback->revision, err);
}

static int take_only(const struct only_form *form, struct rollback *rollback, struct err *err) {
    if (form == NULL) {
        return 0;
    }
    for (size_t i = 0; i < form->kinds.count; i++) {
        const struct kind_info *info = kind_by_name(form->kinds.items[i]);
        if (info == NULL) {
            char shown[SHOWN_TEXT_MAX];
            return err_set_field(err, ERR_BAD_REQUEST, "only.kinds",
                                 "only.kinds[%zu]: this service has no kind \"%s\"", i,
                                 text_shown(form->kinds.items[i], shown));
        }
        rollback->only.kinds |= 1u << info->kind;
    }
    if (form->names.count > ROLLBACK_NAMES_MAX) {
        return err_set_field(err, ERR_TOO_LARGE, "only.names",
                             "only.names has %zu names; at most %d are taken", form->names.count,
                             ROLLBACK_NAMES_MAX);
    }
    rollback->only.names = form->names;
    return 0;
}

int codec_decode_rollback(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                          struct rollback *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct rollback_form form = {.to = NULL};
    if (form_read(ROLLBACK_INFO.name, syntax, bytes, len, NULL, &root, err) != 0 ||
        form_decode(&ROLLBACK_INFO, &ROLLBACK_TABLE, root, arena, &form, err) != 0) {
        return -1;
    }
    struct rollback rollback = {
        .reason = form.reason,
        .dry_run = form.dry_run.set && form.dry_run.value,
        .max_disruptive = form.max_disruptive.set ? (uint64_t)form.max_disruptive.value : CHANGE_UNLIMITED,
        .max_nodes = form.max_nodes.set ? (uint64_t)form.max_nodes.value : CHANGE_UNLIMITED};
    if (form.reason != NULL && !change_reason_is_valid(form.reason)) {
        return err_set_field(err, ERR_BAD_REQUEST, "reason", "reason must be one line of at most %d bytes",
                             CHANGE_REASON_MAX);
    }
    if (take_target(&form, root, &rollback, err) != 0 || take_only(form.only, &rollback, err) != 0) {
        return -1;
    }
    *ret = rollback;
    return 0;
}

bool rollback_scope_has(const struct rollback_scope *only, enum kind kind, const char *name) {
    if (only == NULL || (only->kinds != 0 && (only->kinds & 1u << kind) == 0)) {
        return only == NULL;
    }
    for (size_t i = 0; i < only->names.count; i++) {
        if (strcmp(only->names.items[i], name) == 0) {
            return true;
        }
    }
    return only->names.count == 0;
}
