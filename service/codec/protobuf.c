/*
 * Kubernetes' protobuf bodies, as far as its clients send them here: v1 Secret (kubectl create secret),
 * SelfSubjectAccessReview (kubectl auth can-i) and DeleteOptions. The messages become the tree that their
 * JSON form would give, so everything behind is the same. Field numbers: k8s.io/api/core/v1 and
 * k8s.io/apimachinery generated.proto. Every length is checked against its own message; nesting is what is
 * written here. No locks.
 */
#include <string.h>

#include "codec_internal.h"

/* What is left of a message. */
struct message {
    const uint8_t *at, *end;
};

/* One field: a number, or the bytes of a string or message. */
struct item {
    uint32_t number;
    bool is_bytes;
    uint64_t value;
    struct message bytes;
};

static int refuse(struct err *err, const char *what) {
    return err_set(err, ERR_BAD_REQUEST, "not a Kubernetes protobuf body: %s", what);
}

static bool take_varint(struct message *m, uint64_t *ret) {
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool take_slice(struct message *m, uint64_t len, struct message *ret) {
    if (len > (uint64_t)(m->end - m->at)) {
        return false;
    }
    *ret = (struct message){.at = m->at, .end = m->at + len};
    m->at += len;
    return true;
}

/* 1: one more field, 0: the end, -1: broken. */
static int take_item(struct message *m, struct item *ret, struct err *err) {
    uint64_t tag, len = 0;
    bool good = true;

    if (m->at == m->end) {
        return 0;
    }
    if (!take_varint(m, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        return refuse(err, "a field's number is broken or missing");
    }
    *ret = (struct item){.number = (uint32_t)(tag >> 3), .bytes = {NULL, NULL}};
    switch (tag & 7) {
    case 0:
        good = take_varint(m, &ret->value);
        break;
    case 1:
        good = take_slice(m, 8, &ret->bytes);
        break;
    case 2:
        good = take_varint(m, &len) && take_slice(m, len, &ret->bytes);
        ret->is_bytes = good;
        break;
    case 5:
        good = take_slice(m, 4, &ret->bytes);
        break;
    default:
        return refuse(err, "a field has an unknown wire type");
    }
    return good ? 1 : refuse(err, "a field is longer than its message");
}

static json_t *text_of(const struct message *bytes, struct err *err) {
    size_t len = (size_t)(bytes->end - bytes->at);
    json_t *text = NULL;

    if (text_check_utf8((const char *)bytes->at, len, err) < 0) {
        err_wrap(err, "a string of the protobuf body");
        return NULL;
    }
    text = json_stringn_nocheck((const char *)bytes->at, len);
    if (!text) {
        err_no_memory(err);
    }
    return text;
}

/* A string field; an empty one counts as absent, as proto3 has it. */
static int set_text(json_t *object, const char *name, const struct item *item, struct err *err) {
    json_t *text;

    if (!item->is_bytes) {
        return refuse(err, "a string field has another type");
    }
    if (item->bytes.at == item->bytes.end) {
        return 0;
    }
    text = text_of(&item->bytes, err);
    if (!text) {
        return -1;
    }
    return json_object_set_new_nocheck(object, name, text) < 0 ? err_no_memory(err) : 0;
}

/* The object `parent`.`name`, made when it is not there. */
static json_t *child(json_t *parent, const char *name, struct err *err) {
    json_t *object = json_object_get(parent, name);

    if (!object) {
        object = json_object();
        if (json_object_set_new_nocheck(parent, name, object) < 0) {
            err_no_memory(err);
            return NULL;
        }
    }
    return object;
}

/* One entry of map<string,string> or, with `binary`, map<string,bytes>. */
static int add_map_entry(json_t *map, const struct item *entry, bool binary, struct err *err) {
    struct message m = entry->bytes, value = {(const uint8_t *)"", (const uint8_t *)""};
    json_auto_t *key = json_string("");
    json_t *json;
    struct item item = {.number = 0};
    int more;

    if (!map || !entry->is_bytes) {
        return map ? refuse(err, "a map has another type") : -1;
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        if (item.number > 2) {
            continue;
        }
        if (!item.is_bytes) {
            return refuse(err, "a map entry has another type");
        }
        if (item.number == 2) {
            value = item.bytes;
            continue;
        }
        json_decref(key);
        key = text_of(&item.bytes, err);
        if (!key) {
            return -1;
        }
    }
    if (more < 0) {
        return -1;
    }
    if (!key) {
        return err_no_memory(err);
    }
    json = binary ? base64_json(value.at, (size_t)(value.end - value.at)) : text_of(&value, err);
    if (!json) {
        return binary ? err_no_memory(err) : -1;
    }
    return json_object_set_new_nocheck(map, json_string_value(key), json) < 0 ? err_no_memory(err) : 0;
}

/* ObjectMeta. */
static int read_meta(const struct item *field, json_t *secret, struct err *err) {
    struct message m = field->bytes;
    json_t *meta = child(secret, "metadata", err);
    struct item item = {.number = 0};
    int more;

    if (!meta || !field->is_bytes) {
        return meta ? refuse(err, "metadata has another type") : -1;
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        int failed = 0;

        switch (item.number) {
        case 1:
            failed = set_text(meta, "name", &item, err);
            break;
        case 2:
            failed = set_text(meta, "generateName", &item, err);
            break;
        case 3:
            failed = set_text(meta, "namespace", &item, err);
            break;
        case 5:
            failed = set_text(meta, "uid", &item, err);
            break;
        case 6:
            failed = set_text(meta, "resourceVersion", &item, err);
            break;
        case 11:
            failed = add_map_entry(child(meta, "labels", err), &item, false, err);
            break;
        case 12:
            failed = add_map_entry(child(meta, "annotations", err), &item, false, err);
            break;
        default: /* what JSON bodies may carry as well and is not kept */
            break;
        }
        if (failed < 0) {
            return -1;
        }
    }
    return more;
}

static int read_secret_field(const struct item *item, json_t *secret, struct err *err) {
    switch (item->number) {
    case 1:
        return read_meta(item, secret, err);
    case 2:
        return add_map_entry(child(secret, "data", err), item, true, err);
    case 3:
        return set_text(secret, "type", item, err);
    case 4:
        return add_map_entry(child(secret, "stringData", err), item, false, err);
    case 5:
        if (item->is_bytes) {
            return refuse(err, "immutable has another type");
        }
        return json_object_set_new_nocheck(secret, "immutable", json_boolean(item->value != 0)) < 0
                   ? err_no_memory(err)
                   : 0;
    default:
        return refuse(err, "a field that Secret does not have");
    }
}

/* TypeMeta of the envelope. */
static int read_type(const struct item *field, json_t *root, struct err *err) {
    struct message m = field->bytes;
    struct item item = {.number = 0};
    int more;

    if (!field->is_bytes) {
        return refuse(err, "typeMeta has another type");
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        if (item.number <= 2 && set_text(root, item.number == 1 ? "apiVersion" : "kind", &item, err) < 0) {
            return -1;
        }
    }
    return more;
}

/* The four magic bytes, then runtime.Unknown: the type into `root`, the inner message into *ret_raw. */
static int read_envelope(const char *bytes, size_t len, json_t *root, struct message *ret_raw,
                         struct err *err) {
    struct message m = {(const uint8_t *)bytes, (const uint8_t *)bytes + len};
    struct item item = {.number = 0};
    int more;

    if (len < 4 || memcmp(bytes, "k8s\0", 4) != 0) {
        return refuse(err, "it must begin with the bytes k8s\\0");
    }
    m.at += 4;
    *ret_raw = (struct message){m.end, m.end};
    while ((more = take_item(&m, &item, err)) > 0) {
        if (item.number == 1 && read_type(&item, root, err) < 0) {
            return -1;
        }
        if (item.number == 2) {
            if (!item.is_bytes) {
                return refuse(err, "raw has another type");
            }
            *ret_raw = item.bytes;
        }
        if (item.number == 3 && item.bytes.at != item.bytes.end) {
            return refuse(err, "its content is compressed; send it plain");
        }
    }
    return more;
}

/* Into `root`; the message's fields are read by `read_field`. `kind`: only of this kind, others keep their
 * type alone, and the header check says which kind was wanted; NULL = of any. */
static int read_body(const char *bytes, size_t len, const char *kind,
                     int (*read_field)(const struct item *item, json_t *root, struct err *err), json_t **ret,
                     struct err *err) {
    json_auto_t *root = json_object();
    struct message raw;
    struct item item = {.number = 0};
    const json_t *type;
    int more;

    if (!root) {
        return err_no_memory(err);
    }
    if (read_envelope(bytes, len, root, &raw, err) < 0) {
        return -1;
    }
    type = json_object_get(root, "kind");
    if (kind && type && strcmp(json_string_value(type), kind) != 0) {
        *ret = json_incref(root);
        return 0;
    }
    while ((more = take_item(&raw, &item, err)) > 0) {
        if (read_field(&item, root, err) < 0) {
            return -1;
        }
    }
    if (more < 0) {
        return -1;
    }
    *ret = json_incref(root);
    return 0;
}

int protobuf_read_secret(const char *bytes, size_t len, json_t **ret, struct err *err) {
    return read_body(bytes, len, "Secret", read_secret_field, ret, err);
}

/* Preconditions {1: uid, 2: resourceVersion}. */
static int read_preconditions(const struct item *field, json_t *root, struct err *err) {
    struct message m = field->bytes;
    json_t *preconditions = child(root, "preconditions", err);
    struct item item = {.number = 0};
    int more;

    if (!preconditions || !field->is_bytes) {
        return preconditions ? refuse(err, "preconditions has another type") : -1;
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        if (item.number <= 2 &&
            set_text(preconditions, item.number == 1 ? "uid" : "resourceVersion", &item, err) < 0) {
            return -1;
        }
    }
    return more;
}

static int add_dry_run(const struct item *field, json_t *root, struct err *err) {
    json_t *list = json_object_get(root, "dryRun"), *text;

    if (!field->is_bytes) {
        return refuse(err, "dryRun has another type");
    }
    if (!list) {
        list = json_array();
        if (json_object_set_new_nocheck(root, "dryRun", list) < 0) {
            return err_no_memory(err);
        }
    }
    text = text_of(&field->bytes, err);
    if (!text) {
        return -1;
    }
    return json_array_append_new(list, text) < 0 ? err_no_memory(err) : 0;
}

static int read_delete_options_field(const struct item *item, json_t *root, struct err *err) {
    switch (item->number) {
    case 2:
        return read_preconditions(item, root, err);
    case 5:
        return add_dry_run(item, root, err);
    default:
        return 0;
    }
}

int protobuf_read_delete_options(const char *bytes, size_t len, json_t **ret, struct err *err) {
    return read_body(bytes, len, NULL, read_delete_options_field, ret, err);
}

/* The string fields of a message, by number; NULL names are passed over. */
static int read_texts(const struct item *field, json_t *object, const char *const *names, size_t count,
                      struct err *err) {
    struct message m = field->bytes;
    struct item item = {.number = 0};
    int more;

    if (!object || !field->is_bytes) {
        return object ? refuse(err, "a message field has another type") : -1;
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        const char *name = item.number < count ? names[item.number] : NULL;

        if (name && set_text(object, name, &item, err) < 0) {
            return -1;
        }
    }
    return more;
}

/* SelfSubjectAccessReviewSpec {1: resourceAttributes, 2: nonResourceAttributes}. */
static int read_review_spec(const struct item *field, json_t *root, struct err *err) {
    static const char *const RESOURCE[] = {NULL,      "namespace", "verb",        "group",
                                           "version", "resource",  "subresource", "name"};
    static const char *const PATH[] = {NULL, "path", "verb"};
    struct message m = field->bytes;
    json_t *spec = child(root, "spec", err);
    struct item item = {.number = 0};
    int more;

    if (!spec || !field->is_bytes) {
        return spec ? refuse(err, "spec has another type") : -1;
    }
    while ((more = take_item(&m, &item, err)) > 0) {
        if ((item.number == 1 && read_texts(&item, child(spec, "resourceAttributes", err), RESOURCE,
                                            sizeof RESOURCE / sizeof *RESOURCE, err) < 0) ||
            (item.number == 2 && read_texts(&item, child(spec, "nonResourceAttributes", err), PATH,
                                            sizeof PATH / sizeof *PATH, err) < 0)) {
            return -1;
        }
    }
    return more;
}

static int read_review_field(const struct item *item, json_t *root, struct err *err) {
    return item->number == 2 ? read_review_spec(item, root, err) : 0;
}

int protobuf_read_access_review(const char *bytes, size_t len, json_t **ret, struct err *err) {
    return read_body(bytes, len, NULL, read_review_field, ret, err);
}
