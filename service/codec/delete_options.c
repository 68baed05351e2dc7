/*
 * metav1.DeleteOptions: what a DELETE may carry in its body, by a table like those of the kinds. Members that
 * ask for what there is no notion of here (grace periods, propagation) are accepted and mean nothing; a
 * member that does not exist is refused, because a misspelt dryRun or precondition would delete. No locks.
 */
#include <string.h>

#include "base/number.h"
#include "codec_internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MEANINGLESS(json)                                                                                    \
    { .name = json, .type = FIELD_IGNORED }

struct preconditions {
    const char *uid;
    const char *version;
};
static const struct field precondition_fields[] = {
    {.name = "uid", .type = FIELD_STRING, .offset = offsetof(struct preconditions, uid)},
    {.name = "resourceVersion", .type = FIELD_STRING, .offset = offsetof(struct preconditions, version)},
};
static const struct schema precondition_table = {.name = "Preconditions",
                                                 .size = sizeof(struct preconditions),
                                                 .fields = precondition_fields,
                                                 .field_count = COUNT(precondition_fields)};

struct options_form {
    struct preconditions *preconditions;
    struct string_list dry_run;
};
static const struct field options_fields[] = {
    {.name = "preconditions",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct options_form, preconditions),
     .schema = &precondition_table},
    {.name = "dryRun", .type = FIELD_STRING_LIST, .offset = offsetof(struct options_form, dry_run)},
    MEANINGLESS("apiVersion"),
    MEANINGLESS("kind"),
    MEANINGLESS("gracePeriodSeconds"),
    MEANINGLESS("orphanDependents"),
    MEANINGLESS("propagationPolicy"),
    MEANINGLESS("ignoreStoreReadErrorWithClusterBreakingPotential"),
};
static const struct schema options_table = {.name = "DeleteOptions",
                                            .size = sizeof(struct options_form),
                                            .fields = options_fields,
                                            .field_count = COUNT(options_fields)};
static const struct kind_info options_info = {.name = "DeleteOptions", .version = "v1"};

static int decode(json_t *root, struct arena *arena, struct options_form *ret, struct err *err) {
    const json_t *kind = json_object_get(root, "kind");
    struct decoding d;
    int rc;

    if (!json_is_object(root)) {
        return err_set(err, ERR_BAD_REQUEST, "DeleteOptions: expected an object, got %s",
                       tree_type_name(root));
    }
    if (kind && !(json_is_string(kind) &&
                  (json_string_length(kind) == 0 || strcmp(json_string_value(kind), "DeleteOptions") == 0))) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body of a DELETE must be DeleteOptions or empty, not another kind of object");
    }
    decoding_init(&d, arena, &options_info);
    fields_decode(&d, &options_table, root, NULL, ret);
    rc = decoding_finish(&d, err);
    decoding_done(&d);
    return rc;
}

static int take_form(const struct options_form *form, struct delete_options *options, struct err *err) {
    const char *version = form->preconditions ? form->preconditions->version : NULL;

    options->uid = form->preconditions ? form->preconditions->uid : NULL;
    if (version && !u64_parse(version, strlen(version), UINT64_MAX, &options->resource_version)) {
        return err_set_field(
            err, ERR_BAD_REQUEST, "preconditions.resourceVersion",
            "DeleteOptions: preconditions.resourceVersion must be a decimal number in a string");
    }
    for (size_t i = 0; i < form->dry_run.count; i++) {
        if (strcmp(form->dry_run.items[i], "All") != 0) {
            return err_set_field(err, ERR_BAD_REQUEST, "dryRun",
                                 "DeleteOptions: dryRun can only hold \"All\"");
        }
        options->dry_run = true;
    }
    return 0;
}

int codec_decode_delete_options(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                struct delete_options *ret, struct err *err) {
    struct options_form form = {.preconditions = NULL};
    struct delete_options options = {.uid = NULL};
    json_auto_t *root = NULL;

    if (len == 0) {
        *ret = options;
        return 0;
    }
    if (form_read(options_info.name, syntax, bytes, len, protobuf_read_delete_options, &root, err) != 0 ||
        (!json_is_null(root) && decode(root, arena, &form, err) < 0) || take_form(&form, &options, err) < 0) {
        return -1;
    }
    *ret = options;
    return 0;
}
