/*
 * metav1.DeleteOptions: what a DELETE may carry in its body. Members that ask for what there is no
 * notion of here (grace periods, propagation) are accepted and mean nothing. No locks.
 */
#include <string.h>

#include "base/number.h"
#include "codec_internal.h"

static int wrong(struct err *err, const char *field, const char *expected, const json_t *got) {
    return err_set_field(err, ERR_BAD_REQUEST, field, "DeleteOptions: %s: expected %s, got %s", field,
                         expected, tree_type_name(got));
}

static int take_preconditions(const json_t *value, struct arena *arena, struct delete_options *options,
                              struct err *err) {
    const json_t *uid, *version;

    if (!value || json_is_null(value)) {
        return 0;
    }
    if (!json_is_object(value)) {
        return wrong(err, "preconditions", "an object", value);
    }
    uid = json_object_get(value, "uid");
    version = json_object_get(value, "resourceVersion");
    if (uid && !json_is_null(uid)) {
        if (!json_is_string(uid)) {
            return wrong(err, "preconditions.uid", "a string", uid);
        }
        options->uid = arena_strdup(arena, json_string_value(uid));
        if (!options->uid) {
            return err_no_memory(err);
        }
    }
    if (version && !json_is_null(version)) {
        if (!json_is_string(version)) {
            return wrong(err, "preconditions.resourceVersion", "a string", version);
        }
        if (!u64_parse(json_string_value(version), json_string_length(version), UINT64_MAX,
                       &options->resource_version)) {
            return err_set_field(err, ERR_BAD_REQUEST, "preconditions.resourceVersion",
                                 "DeleteOptions: preconditions.resourceVersion must be a decimal number in a "
                                 "string");
        }
    }
    return 0;
}

static int take_dry_run(const json_t *value, struct delete_options *options, struct err *err) {
    const json_t *one;
    size_t i;

    if (!value || json_is_null(value)) {
        return 0;
    }
    if (!json_is_array(value)) {
        return wrong(err, "dryRun", "an array of strings", value);
    }
    json_array_foreach(value, i, one) {
        if (!json_is_string(one) || strcmp(json_string_value(one), "All") != 0) {
            return err_set_field(err, ERR_BAD_REQUEST, "dryRun",
                                 "DeleteOptions: dryRun can only hold \"All\"");
        }
        options->dry_run = true;
    }
    return 0;
}

static int take_options(const json_t *root, struct arena *arena, struct delete_options *options,
                        struct err *err) {
    const json_t *kind = json_object_get(root, "kind");

    if (json_is_null(root)) {
        return 0;
    }
    if (!json_is_object(root)) {
        return wrong(err, "body", "an object", root);
    }
    if (kind && !(json_is_string(kind) &&
                  (json_string_length(kind) == 0 || strcmp(json_string_value(kind), "DeleteOptions") == 0))) {
        return err_set(err, ERR_BAD_REQUEST,
                       "the body of a DELETE must be DeleteOptions or empty, not another kind of object");
    }
    if (take_preconditions(json_object_get(root, "preconditions"), arena, options, err) < 0) {
        return -1;
    }
    return take_dry_run(json_object_get(root, "dryRun"), options, err);
}

int codec_decode_delete_options(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                struct delete_options *ret, struct err *err) {
    struct delete_options options = {.uid = NULL};
    json_auto_t *root = NULL;
    int failed;

    if (len == 0) {
        *ret = options;
        return 0;
    }
    failed = syntax == CODEC_PROTOBUF ? protobuf_read_delete_options(bytes, len, &root, err)
                                      : syntax_read(syntax, bytes, len, NULL, &root, err);
    if (failed < 0 || take_options(root, arena, &options, err) < 0) {
        return -1;
    }
    *ret = options;
    return 0;
}
