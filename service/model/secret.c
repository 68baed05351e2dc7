/*
 * Secret (v1): its table, rules and advice. Values are plaintext here, between decoding and sealing; no
 * message ever shows one. Struct secret's `values`, the sealed form, is no field of the document.
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

#define VALUE_SIZE_MAX (64 * 1024)
#define KEYS_MAX       1000
#define KEY_ROOM       (SHOWN_MAX + 16)

static const struct field body_fields[] = {
    FIELD(secret, type, "type", FIELD_STRING, .max_length = NAME_LENGTH_MAX, .default_text = "\"Opaque\"",
          .description = "What the Secret is for. Kept; this service treats all types alike."),
    FIELD(secret, immutable, "immutable", FIELD_BOOL, .default_text = "false",
          .description = "When true, the values cannot be changed any more; the Secret can only be deleted."),
    FIELD(secret, data, "data", FIELD_BYTE_MAP,
          .description = "The values, in base64. They are encrypted at rest and never read back: on reading, "
                         "each is the base64 of **redacted**. Writing that marker keeps the value. A BGP "
                         "password has 1 to 80 bytes."),
    FIELD(secret, string_data, "stringData", FIELD_STRING_MAP,
          .description = "Values as plain text, write only; they go before those in data."),
};

static void validate_entry(const char *path, const char *member, const char *key, size_t size,
                           struct causes *causes) {
    char text[SHOWN_MAX];
    char name[KEY_ROOM];
    shown(key, text);
    (void)snprintf(name, sizeof name, "%s[%s]", member, text);
    char field[ERR_FIELD_MAX];
    (void)snprintf(field, sizeof field, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
    char why[ERR_TEXT_MAX] = "";
    if (strlen(key) > NAME_LENGTH_MAX) {
        causes_add(causes, CAUSE_TOO_LONG, field, "Too long: a key must be at most %d bytes",
                   NAME_LENGTH_MAX);
    } else if (!format_secret_key.check(key, why, sizeof why)) {
        causes_add(causes, CAUSE_INVALID, field, "Invalid value: \"%s\": a key must be %s", text,
                   why[0] != '\0' ? why : format_secret_key.expected);
    }
    if (size > VALUE_SIZE_MAX) {
        causes_add(causes, CAUSE_TOO_LONG, field, "Too long: the value has %zu bytes, at most %d are allowed",
                   size, VALUE_SIZE_MAX);
    }
}

/* Keys of data and stringData together; both are in order, and a key of both counts once. */
static size_t key_count(const struct secret *secret) {
    size_t count = 0, i = 0, k = 0;
    while (i < secret->data.count || k < secret->string_data.count) {
        int order = i == secret->data.count ? 1
                    : k == secret->string_data.count
                        ? -1
                        : strcmp(secret->data.items[i].key, secret->string_data.items[k].key);
        i += order <= 0;
        k += order >= 0;
        count++;
    }
    return count;
}

static void validate_body(const void *object, const char *path, struct causes *causes) {
    const struct secret *secret = object;
    size_t count = key_count(secret);
    if (count > KEYS_MAX) {
        causes_add(causes, CAUSE_TOO_MANY, "data",
                   "Too many: %zu: data and stringData must have at most %d keys together", count, KEYS_MAX);
    }
    for (size_t i = 0; i < secret->data.count; i++) {
        const struct byte_value *value = &secret->data.items[i];
        validate_entry(path, "data", value->key, value->len, causes);
    }
    for (size_t i = 0; i < secret->string_data.count; i++) {
        const struct label *value = &secret->string_data.items[i];
        validate_entry(path, "stringData", value->key, strlen(value->value), causes);
    }
}

static const struct schema body_schema = {
    .name = "Secret",
    .description =
        "Secret values such as BGP passwords, kept encrypted. Only a node's own peering list shows "
        "the passwords of that node's sessions.",
    SCHEMA_OF(secret, body_fields),
    .rule = validate_body,
};

static const struct printer_column columns[] = {
    COLUMN("Type", "string", "type", "What the Secret is for"),
    COLUMN("Data", "integer", "data", "How many values it holds", .count = true),
};

const struct kind_info secret_kind = {
    .kind = KIND_SECRET,
    .name = "Secret",
    .list = "SecretList",
    .plural = "secrets",
    .singular = "secret",
    .group = "",
    .version = "v1",
    .api_version = "v1",
    .namespaced = true,
    .body = &body_schema,
    .columns = columns,
    .column_count = COUNT_OF(columns),
};

/* --- advice ------------------------------------------------------------------------------------ */

static void advise_value(struct advice *advice, const char *member, const char *key, const void *bytes,
                         size_t len) {
    const char *why = password_flaw_text(password_check(bytes, len));
    if (why != NULL) {
        char text[SHOWN_MAX];
        advice_add(advice, "%s[%s]: cannot be used as a BGP password: it %s", member, shown(key, text), why);
    }
}

void secret_advise(const struct object *object, struct advice *advice) {
    const struct secret *secret = object->body;
    for (size_t i = 0; i < secret->data.count && advice->count < ADVICE_MAX; i++) {
        const struct byte_value *value = &secret->data.items[i];
        advise_value(advice, "data", value->key, value->bytes, value->len);
    }
    for (size_t i = 0; i < secret->string_data.count && advice->count < ADVICE_MAX; i++) {
        const struct label *value = &secret->string_data.items[i];
        advise_value(advice, "stringData", value->key, value->value, strlen(value->value));
    }
}
