/*
 * Secret (v1): its table, rules and advice. Values are plaintext here, between decoding and sealing; no
 * message ever shows one. Struct secret's `values`, the sealed form, is no field of the document.
 */
#include <stdio.h>
#include <string.h>

#include "model/password.h"
#include "tables.h"

#define KEYS_MAX           1000
#define ENCODED_LENGTH_MIN 12
#define KEY_ROOM           (SHOWN_MAX + 16)

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
    if (size > SECRET_SIZE_MAX) {
        causes_add(causes, CAUSE_TOO_LONG, field, "Too long: the value has %zu bytes, at most %d are allowed",
                   size, SECRET_SIZE_MAX);
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

static bool holds(const char *text, size_t len, const char *part) {
    size_t part_len = strlen(part);
    for (size_t i = 0; i + part_len <= len; i++) {
        if (memcmp(text + i, part, part_len) == 0) {
            return true;
        }
    }
    return false;
}

/* {{ name }}, ${NAME}, $NAME, <name>: what tools put values in the place of. */
static bool is_template(const char *text, size_t len) {
    size_t name = 0;
    while (name + 1 < len && (text[name + 1] == '_' || (text[name + 1] >= 'A' && text[name + 1] <= 'Z'))) {
        name++;
    }
    return (holds(text, len, "{{") && holds(text, len, "}}")) ||
           (holds(text, len, "${") && text[len - 1] == '}') ||
           (text[0] == '$' && len > 2 && name == len - 1) || (text[0] == '<' && text[len - 1] == '>');
}

/* Text in base64 where clear text is wanted: of random letters next to none decode to nothing but text. */
static bool is_encoded_text(const char *text) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = strlen(text), digits = strspn(text, DIGITS);
    if (len < ENCODED_LENGTH_MIN || len % 4 != 0 || len - digits > 2 ||
        strspn(text + digits, "=") != len - digits) {
        return false;
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < digits; i++) {
        bits = bits << 6 | (uint32_t)(strchr(DIGITS, text[i]) - DIGITS);
        size_t whole = (i % 4) * 2; /* bits left over, once a byte is taken */
        uint32_t byte = i % 4 == 0 ? 'a' : (bits >> (6 - whole)) & 0xFFU;
        bool line_end = byte == '\n' && i + 1 == digits;
        if ((byte < 0x20 || byte > 0x7E) && !line_end) {
            return false;
        }
    }
    return true;
}

/* Secrets of other types are not for this service. */
static bool is_for_passwords(const struct secret *secret) {
    return !is_given(secret->type) || strcmp(secret->type, "Opaque") == 0;
}

static void advise_value(struct advice *advice, const char *member, const char *key, const void *bytes,
                         size_t len) {
    const char *why = password_flaw_text(password_check(bytes, len));
    char text[SHOWN_MAX];
    if (why != NULL) {
        advice_add(advice, "%s[%s]: cannot be used as a BGP password: it %s", member, shown(key, text), why);
    } else if (is_template(bytes, len)) {
        advice_add(advice, "%s[%s]: looks like a template that has not been filled in", member,
                   shown(key, text));
    }
}

void secret_advise(const struct object *object, struct advice *advice) {
    const struct secret *secret = object->body;
    if (!is_for_passwords(secret)) {
        return;
    }
    for (size_t i = 0; i < secret->data.count && advice->count < ADVICE_MAX; i++) {
        const struct byte_value *value = &secret->data.items[i];
        advise_value(advice, "data", value->key, value->bytes, value->len);
    }
    for (size_t i = 0; i < secret->string_data.count && advice->count < ADVICE_MAX; i++) {
        const struct label *value = &secret->string_data.items[i];
        advise_value(advice, "stringData", value->key, value->value, strlen(value->value));
        if (is_encoded_text(value->value)) {
            char text[SHOWN_MAX];
            advice_add(
                advice,
                "stringData[%s]: looks like base64, which is not decoded here; write it under data, or "
                "the password itself",
                shown(value->key, text));
        }
    }
}
