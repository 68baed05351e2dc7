/*
 * Forms: documents that are no stored kind (tokens, the audit trail's entries, access reviews, the vault), by
 * tables like those of the kinds. Everything that is kept lives in the caller's arena. No locks.
 */
#include <string.h>

#include "codec_internal.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TEXT(owner, member, json)                                                                            \
    { .name = json, .type = FIELD_STRING, .offset = offsetof(struct owner, member) }
#define OBJECT(owner, member, json, table)                                                                   \
    { .name = json, .type = FIELD_OBJECT, .offset = offsetof(struct owner, member), .schema = table }
#define IGNORED(json)                                                                                        \
    { .name = json, .type = FIELD_IGNORED }
#define TABLE(of, array)                                                                                     \
    { .name = #of, .size = sizeof(struct of), .fields = array, .field_count = COUNT(array) }

/* ---- tokens ---- */

static const struct field token_meta_fields[] = {
    TEXT(token_form_meta, name, "name"),
    TEXT(token_form_meta, creation_timestamp, "creationTimestamp"),
};
static const struct schema token_meta = TABLE(token_form_meta, token_meta_fields);

static const struct field token_spec_fields[] = {
    TEXT(token_form_spec, role, "role"),
    TEXT(token_form_spec, node, "node"),
    TEXT(token_form_spec, description, "description"),
    TEXT(token_form_spec, expires, "expires"),
};
static const struct schema token_spec = TABLE(token_form_spec, token_spec_fields);

static const struct field token_status_fields[] = {
    TEXT(token_form_status, last_used, "lastUsed"),
    TEXT(token_form_status, token, "token"),
};
static const struct schema token_status = TABLE(token_form_status, token_status_fields);

static const struct field token_fields[] = {
    OBJECT(token_form, metadata, "metadata", &token_meta),
    OBJECT(token_form, spec, "spec", &token_spec),
    OBJECT(token_form, status, "status", &token_status),
    IGNORED("apiVersion"),
    IGNORED("kind"),
};
static const struct schema token_table = TABLE(token_form, token_fields);

struct token_list_form {
    struct list items;
};
static const struct field token_list_fields[] = {
    {.name = "items",
     .type = FIELD_OBJECT_LIST,
     .offset = offsetof(struct token_list_form, items),
     .schema = &token_table},
};
static const struct schema token_list_table = TABLE(token_list_form, token_list_fields);

/* ---- a freeze ---- */

static const struct field freeze_fields[] = {
    TEXT(freeze_form, reason, "reason"),
    TEXT(freeze_form, until, "until"),
    IGNORED("apiVersion"),
    IGNORED("kind"),
    IGNORED("metadata"),
    IGNORED("frozen"), /* what the service says may be sent back */
    IGNORED("user"),
    IGNORED("since"),
};
static const struct schema freeze_table = TABLE(freeze_form, freeze_fields);

static const struct field stored_freeze_fields[] = {
    TEXT(freeze_form, reason, "reason"),
    TEXT(freeze_form, until, "until"),
    TEXT(freeze_form, user, "user"),
    TEXT(freeze_form, since, "since"),
};
static const struct schema stored_freeze_table = TABLE(freeze_form, stored_freeze_fields);

/* ---- the audit trail ---- */

static const struct field audit_fields[] = {
    TEXT(audit_form, event, "event"),
    TEXT(audit_form, user, "user"),
    TEXT(audit_form, source, "source"),
    TEXT(audit_form, verb, "verb"),
    TEXT(audit_form, resource, "resource"),
    TEXT(audit_form, name, "name"),
    TEXT(audit_form, before, "before"),
    TEXT(audit_form, after, "after"),
    TEXT(audit_form, request, "requestID"),
    TEXT(audit_form, force, "force"),
    TEXT(audit_form, last, "lastTime"),
    {.name = "count",
     .type = FIELD_INT,
     .offset = offsetof(struct audit_form, count),
     .min = 1,
     .max = INT64_MAX},
};
static const struct schema audit_table = TABLE(audit_form, audit_fields);

/* ---- access reviews ---- */

static const struct field review_resource_fields[] = {
    TEXT(access_review_resource, name_space, "namespace"),
    TEXT(access_review_resource, verb, "verb"),
    TEXT(access_review_resource, group, "group"),
    TEXT(access_review_resource, version, "version"),
    TEXT(access_review_resource, resource, "resource"),
    TEXT(access_review_resource, subresource, "subresource"),
    TEXT(access_review_resource, name, "name"),
    IGNORED("fieldSelector"), /* narrows the question; our answer is the same for all objects */
    IGNORED("labelSelector"),
};
static const struct schema review_resource = TABLE(access_review_resource, review_resource_fields);

static const struct field review_path_fields[] = {
    TEXT(access_review_path, path, "path"),
    TEXT(access_review_path, verb, "verb"),
};
static const struct schema review_path = TABLE(access_review_path, review_path_fields);

static const struct field review_spec_fields[] = {
    OBJECT(access_review_form, resource, "resourceAttributes", &review_resource),
    OBJECT(access_review_form, path, "nonResourceAttributes", &review_path),
};
static const struct schema review_spec = TABLE(access_review_form, review_spec_fields);

struct review_document {
    struct access_review_form *spec;
};
static const struct field review_fields[] = {
    OBJECT(review_document, spec, "spec", &review_spec),
    IGNORED("status"),
};
static const struct schema review_table = TABLE(review_document, review_fields);

/* ---- the vault ---- */

#define NUMBER(owner, member, json)                                                                          \
    { .name = json, .type = FIELD_INT, .offset = offsetof(struct owner, member), .max = INT64_MAX }

static const struct field rotation_fields[] = {
    IGNORED("apiVersion"),
    IGNORED("kind"),
};
struct rotation_form {
    char nothing;
};
static const struct schema rotation_table = TABLE(rotation_form, rotation_fields);

static const struct field root_change_spec_fields[] = {
    TEXT(root_key_change_form, key_file, "keyFile"),
    TEXT(root_key_change_form, passphrase_file, "passphraseFile"),
};
static const struct schema root_change_spec = TABLE(root_key_change_form, root_change_spec_fields);

struct root_change_document {
    struct root_key_change_form *spec;
};
static const struct field root_change_fields[] = {
    OBJECT(root_change_document, spec, "spec", &root_change_spec),
    IGNORED("apiVersion"),
    IGNORED("kind"),
};
static const struct schema root_change_table = TABLE(root_change_document, root_change_fields);

static const struct field vault_root_fields[] = {
    TEXT(vault_form_root, fingerprint, "fingerprint"),
    TEXT(vault_form_root, created, "created"),
};
static const struct schema vault_root = TABLE(vault_form_root, vault_root_fields);

static const struct field vault_key_fields[] = {
    NUMBER(vault_form_key, id, "id"),
    NUMBER(vault_form_key, values, "values"),
    {.name = "active", .type = FIELD_BOOL, .offset = offsetof(struct vault_form_key, active)},
    TEXT(vault_form_key, created, "created"),
};
static const struct schema vault_key = TABLE(vault_form_key, vault_key_fields);

static const struct field vault_operation_fields[] = {
    NUMBER(vault_form_operation, id, "id"),           NUMBER(vault_form_operation, done, "done"),
    NUMBER(vault_form_operation, total, "total"),     TEXT(vault_form_operation, type, "type"),
    TEXT(vault_form_operation, state, "state"),       TEXT(vault_form_operation, started, "started"),
    TEXT(vault_form_operation, finished, "finished"), TEXT(vault_form_operation, message, "message"),
};
static const struct schema vault_operation = TABLE(vault_form_operation, vault_operation_fields);

static const struct field vault_status_fields[] = {
    TEXT(vault_form, source, "source"),
    TEXT(vault_form, warning, "warning"),
    OBJECT(vault_form, root, "rootKey", &vault_root),
    OBJECT(vault_form, pending, "pendingRootKey", &vault_root),
    {.name = "dataKeys",
     .type = FIELD_OBJECT_LIST,
     .offset = offsetof(struct vault_form, keys),
     .schema = &vault_key},
    NUMBER(vault_form, values, "values"),
    NUMBER(vault_form, unreadable, "unreadableValues"),
    NUMBER(vault_form, decryptions, "decryptions"),
    OBJECT(vault_form, operation, "operation", &vault_operation),
};
static const struct schema vault_status = TABLE(vault_form, vault_status_fields);

struct vault_document {
    struct vault_form *status;
};
static const struct field vault_fields[] = {
    OBJECT(vault_document, status, "status", &vault_status),
    IGNORED("apiVersion"),
    IGNORED("kind"),
    IGNORED("metadata"),
};
static const struct schema vault_table = TABLE(vault_document, vault_fields);

/* ---- decoding ---- */

/* What messages call a form; there is no kind behind it. */
static const struct kind_info token_info = {
    .name = "Token", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info token_list_info = {
    .name = "TokenList", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info freeze_info = {
    .name = "Freeze", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info audit_info = {
    .name = "AuditEntry", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info review_info = {.name = "SelfSubjectAccessReview",
                                             .group = "authorization.k8s.io",
                                             .version = "v1",
                                             .api_version = "authorization.k8s.io/v1"};

static const struct kind_info rotation_info = {
    .name = "DataKeyRotation", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info root_change_info = {
    .name = "RootKeyChange", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};
static const struct kind_info vault_info = {
    .name = "Vault", .group = "bgppeerd.io", .version = "v1", .api_version = "bgppeerd.io/v1"};

/* apiVersion and kind may be missing, but not be others. */
static int check_header(const struct kind_info *info, const json_t *root, struct err *err) {
    const json_t *version = json_object_get(root, "apiVersion"), *kind = json_object_get(root, "kind");

    if (!json_is_object(root)) {
        return err_set(err, ERR_BAD_REQUEST, "the body must be one %s, not %s", info->name,
                       tree_type_name(root));
    }
    if ((kind && !(json_is_string(kind) && strcmp(json_string_value(kind), info->name) == 0)) ||
        (version &&
         !(json_is_string(version) && strcmp(json_string_value(version), info->api_version) == 0))) {
        return err_set(err, ERR_BAD_REQUEST,
                       "this path takes a %s of apiVersion %s; correct kind and apiVersion", info->name,
                       info->api_version);
    }
    return 0;
}

static int decode_form_as(const struct kind_info *info, const struct schema *schema, json_t *root,
                          enum codec_unknown unknown, struct arena *arena, void *out, struct err *err) {
    struct decoding d;
    int rc;

    if (check_header(info, root, err) < 0) {
        return -1;
    }
    decoding_init(&d, arena, info);
    d.unknown = unknown;
    fields_decode(&d, schema, root, NULL, out);
    rc = decoding_finish(&d, err);
    decoding_done(&d);
    return rc;
}

int form_decode(const struct kind_info *info, const struct schema *schema, json_t *root, struct arena *arena,
                void *out, struct err *err) {
    return decode_form_as(info, schema, root, CODEC_STRICT, arena, out, err);
}

int form_read(const char *what, enum codec_syntax syntax, const char *bytes, size_t len,
              int (*protobuf)(const char *bytes, size_t len, json_t **ret, struct err *err), json_t **ret,
              struct err *err) {
    if (len > FORM_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "%s has %zu bytes; at most %d are allowed", what, len,
                       FORM_SIZE_MAX);
    }
    return syntax == CODEC_PROTOBUF && protobuf != NULL ? protobuf(bytes, len, ret, err)
                                                        : syntax_read(syntax, bytes, len, NULL, ret, err);
}

int codec_decode_token(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                       struct token_form *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct token_form form = {.spec = NULL};

    if (form_read(token_info.name, syntax, bytes, len, NULL, &root, err) != 0 ||
        form_decode(&token_info, &token_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form;
    return 0;
}

int codec_decode_token_list(const char *bytes, size_t len, struct arena *arena, struct list *ret,
                            struct err *err) {
    json_auto_t *root = NULL;
    struct token_list_form form = {.items = {.count = 0}};

    if (json_read(bytes, len, NULL, &root, err) < 0 ||
        form_decode(&token_list_info, &token_list_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form.items;
    return 0;
}

int codec_decode_freeze(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                        struct freeze_form *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct freeze_form form = {.reason = NULL};

    if (form_read(freeze_info.name, syntax, bytes, len, NULL, &root, err) != 0 ||
        form_decode(&freeze_info, &freeze_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form;
    return 0;
}

int codec_decode_stored_freeze(const char *bytes, size_t len, struct arena *arena, struct freeze_form *ret,
                               struct err *err) {
    json_auto_t *root = NULL;
    struct freeze_form form = {.reason = NULL};

    if (json_read(bytes, len, NULL, &root, err) < 0 ||
        form_decode(&freeze_info, &stored_freeze_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form;
    return 0;
}

int codec_decode_audit(const char *bytes, size_t len, struct arena *arena, struct audit_form *ret,
                       struct err *err) {
    json_auto_t *root = NULL;
    struct audit_form form = {.event = NULL};

    if (json_read(bytes, len, NULL, &root, err) < 0 ||
        form_decode(&audit_info, &audit_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form;
    return 0;
}

int codec_decode_access_review(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                               struct access_review_form *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct review_document form = {.spec = NULL};

    if (form_read(review_info.name, syntax, bytes, len, protobuf_read_access_review, &root, err) != 0 ||
        form_decode(&review_info, &review_table, root, arena, &form, err) < 0) {
        return -1;
    }
    if (!form.spec || (form.spec->resource == NULL) == (form.spec->path == NULL)) {
        return err_set_field(
            err, ERR_BAD_REQUEST, "spec",
            "exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be there");
    }
    *ret = *form.spec;
    return 0;
}

const char *codec_status_message(const char *bytes, size_t len, struct arena *arena) {
    json_auto_t *root = NULL;
    struct err ignored = ERR_INIT;
    const json_t *message;

    if (json_read(bytes, len, NULL, &root, &ignored) < 0) {
        return NULL;
    }
    message = json_object_get(root, "message");
    return json_is_string(message) ? arena_strdup(arena, json_string_value(message)) : NULL;
}

int codec_decode_rotation(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                          struct err *err) {
    json_auto_t *root = NULL;
    struct rotation_form form;

    return form_read(rotation_info.name, syntax, bytes, len, NULL, &root, err) != 0
               ? -1
               : form_decode(&rotation_info, &rotation_table, root, arena, &form, err);
}

int codec_decode_root_key_change(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                 struct root_key_change_form *ret, struct err *err) {
    json_auto_t *root = NULL;
    struct root_change_document form = {.spec = NULL};

    if (form_read(root_change_info.name, syntax, bytes, len, NULL, &root, err) != 0 ||
        form_decode(&root_change_info, &root_change_table, root, arena, &form, err) < 0) {
        return -1;
    }
    *ret = form.spec != NULL ? *form.spec : (struct root_key_change_form){.key_file = NULL};
    return 0;
}

int codec_decode_vault(const char *bytes, size_t len, struct arena *arena, struct vault_form *ret,
                       struct err *err) {
    json_auto_t *root = NULL;
    struct vault_document form = {.status = NULL};

    if (json_read(bytes, len, NULL, &root, err) < 0 ||
        decode_form_as(&vault_info, &vault_table, root, CODEC_IGNORE, arena, &form, err) < 0) {
        return -1;
    }
    if (form.status == NULL) {
        return err_set(err, ERR_BAD_REQUEST, "the Vault has no status");
    }
    *ret = *form.status;
    return 0;
}
