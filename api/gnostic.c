/*
 * An OpenAPI 2 document as protobuf: message openapi.v2.Document of the gnostic project, in which kubectl
 * before 1.29 wants it. The tables below name the members that our documents have and the numbers of their
 * fields in gnostic's OpenAPIv2.proto. A member that no table names is an error, so nothing is lost silently.
 */
#include <string.h>

#include "gen.h"

enum member_type {
    MEMBER_STRING,
    MEMBER_STRINGS, /* an array, or one string */
    MEMBER_BOOL,
    MEMBER_INT,
    MEMBER_DOUBLE,
    MEMBER_ANY,        /* message Any: the value as YAML, of which JSON is a part */
    MEMBER_ANYS,       /* the same, for each element */
    MEMBER_MESSAGE,    /* of `message` */
    MEMBER_MAP,        /* a message whose field `inner` repeats {1: name, 2: value of `message`} */
    MEMBER_PARAMETERS, /* each in its place among the kinds of parameters */
};

struct message;

struct member {
    const char *name;
    unsigned number;
    enum member_type type;
    const struct message *message;
    unsigned inner; /* the value stands in this field of a message of its own; 0 = it does not */
};

struct message {
    const struct member *members; /* up to one without a name */
    unsigned extension;           /* field of the members that begin with "x-" */
};

/* ---- the tables ---- */

static const struct message schema;

static const struct message schema = {
    (const struct member[]){
        {"$ref", 1, MEMBER_STRING, NULL, 0},
        {"format", 2, MEMBER_STRING, NULL, 0},
        {"description", 4, MEMBER_STRING, NULL, 0},
        {"default", 5, MEMBER_ANY, NULL, 0},
        {"maximum", 7, MEMBER_DOUBLE, NULL, 0},
        {"minimum", 9, MEMBER_DOUBLE, NULL, 0},
        {"maxLength", 11, MEMBER_INT, NULL, 0},
        {"minLength", 12, MEMBER_INT, NULL, 0},
        {"pattern", 13, MEMBER_STRING, NULL, 0},
        {"maxItems", 14, MEMBER_INT, NULL, 0},
        {"minItems", 15, MEMBER_INT, NULL, 0},
        {"required", 19, MEMBER_STRINGS, NULL, 0},
        {"enum", 20, MEMBER_ANYS, NULL, 0},
        {"additionalProperties", 21, MEMBER_MESSAGE, &schema, 1},
        {"type", 22, MEMBER_STRINGS, NULL, 1},
        {"items", 23, MEMBER_MESSAGE, &schema, 1},
        {"properties", 25, MEMBER_MAP, &schema, 1},
        {0},
    },
    .extension = 31,
};

static const struct message body_parameter = {
    (const struct member[]){
        {"description", 1, MEMBER_STRING, NULL, 0},
        {"name", 2, MEMBER_STRING, NULL, 0},
        {"in", 3, MEMBER_STRING, NULL, 0},
        {"required", 4, MEMBER_BOOL, NULL, 0},
        {"schema", 5, MEMBER_MESSAGE, &schema, 0},
        {0},
    },
    .extension = 6,
};

static const struct message query_parameter = {
    (const struct member[]){
        {"required", 1, MEMBER_BOOL, NULL, 0},
        {"in", 2, MEMBER_STRING, NULL, 0},
        {"description", 3, MEMBER_STRING, NULL, 0},
        {"name", 4, MEMBER_STRING, NULL, 0},
        {"type", 6, MEMBER_STRING, NULL, 0},
        {"enum", 21, MEMBER_ANYS, NULL, 0},
        {0},
    },
    .extension = 23,
};

/* In the path or in a header. */
static const struct message plain_parameter = {
    (const struct member[]){
        {"required", 1, MEMBER_BOOL, NULL, 0},
        {"in", 2, MEMBER_STRING, NULL, 0},
        {"description", 3, MEMBER_STRING, NULL, 0},
        {"name", 4, MEMBER_STRING, NULL, 0},
        {"type", 5, MEMBER_STRING, NULL, 0},
        {0},
    },
    .extension = 22,
};

static const struct message response = {
    (const struct member[]){
        {"description", 1, MEMBER_STRING, NULL, 0},
        {"schema", 2, MEMBER_MESSAGE, &schema, 1},
        {0},
    },
    .extension = 5,
};

static const struct message operation = {
    (const struct member[]){
        {"tags", 1, MEMBER_STRINGS, NULL, 0},
        {"description", 3, MEMBER_STRING, NULL, 0},
        {"operationId", 5, MEMBER_STRING, NULL, 0},
        {"produces", 6, MEMBER_STRINGS, NULL, 0},
        {"consumes", 7, MEMBER_STRINGS, NULL, 0},
        {"parameters", 8, MEMBER_PARAMETERS, NULL, 0},
        {"responses", 9, MEMBER_MAP, &response, 1},
        {0},
    },
    .extension = 13,
};

static const struct message path_item = {
    (const struct member[]){
        {"get", 2, MEMBER_MESSAGE, &operation, 0},
        {"put", 3, MEMBER_MESSAGE, &operation, 0},
        {"post", 4, MEMBER_MESSAGE, &operation, 0},
        {"delete", 5, MEMBER_MESSAGE, &operation, 0},
        {"patch", 8, MEMBER_MESSAGE, &operation, 0},
        {"parameters", 9, MEMBER_PARAMETERS, NULL, 0},
        {0},
    },
    .extension = 10,
};

static const struct message info = {
    (const struct member[]){
        {"title", 1, MEMBER_STRING, NULL, 0},
        {"version", 2, MEMBER_STRING, NULL, 0},
        {"description", 3, MEMBER_STRING, NULL, 0},
        {0},
    },
    .extension = 7,
};

static const struct message document = {
    (const struct member[]){
        {"swagger", 1, MEMBER_STRING, NULL, 0},
        {"info", 2, MEMBER_MESSAGE, &info, 0},
        {"paths", 8, MEMBER_MAP, &path_item, 2},
        {"definitions", 9, MEMBER_MAP, &schema, 1},
        {0},
    },
    .extension = 16,
};

/* ---- protobuf ---- */

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

static void add_varint(struct buf *out, uint64_t value) {
    while (value >= 0x80) {
        buf_add_char(out, (char)(0x80 | (value & 0x7f)));
        value >>= 7;
    }
    buf_add_char(out, (char)value);
}

static void add_tag(struct buf *out, unsigned number, enum wire wire) {
    add_varint(out, (uint64_t)number << 3 | wire);
}

static void add_bytes(struct buf *out, unsigned number, const char *bytes, size_t len) {
    add_tag(out, number, WIRE_BYTES);
    add_varint(out, len);
    buf_add(out, bytes, len);
}

static void add_string(struct buf *out, unsigned number, const json_t *value, const char *name) {
    if (!json_is_string(value)) {
        die("%s is not a string", name);
    }
    add_bytes(out, number, json_string_value(value), json_string_length(value));
}

/* `content` as field `number`; `inner` != 0: inside a message of its own, as its field `inner`. */
static void add_message(struct buf *out, unsigned number, unsigned inner, struct buf *content) {
    struct buf outer = BUF_INIT;
    if (inner != 0) {
        add_bytes(&outer, inner, content->data != NULL ? content->data : "", content->len);
    }
    const struct buf *whole = inner != 0 ? &outer : content;
    add_bytes(out, number, whole->data != NULL ? whole->data : "", whole->len);
    out->failed = out->failed || buf_failed(content) || buf_failed(&outer);
    buf_done(&outer);
    buf_done(content);
}

static void add_any(struct buf *out, unsigned number, const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct buf content = BUF_INIT;
    if (text == NULL) {
        die("out of memory");
    }
    add_bytes(&content, 2, text, strlen(text));
    add_message(out, number, 0, &content);
    free(text);
}

static void add_double(struct buf *out, unsigned number, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    add_tag(out, number, WIRE_FIXED64);
    for (unsigned i = 0; i < 8; i++) {
        buf_add_char(out, (char)(bits >> (8 * i) & 0xff));
    }
}

static void encode(const struct message *message, json_t *value, struct buf *out);

static void add_strings(struct buf *out, const struct member *member, json_t *value) {
    struct buf content = BUF_INIT;
    struct buf *to = member->inner != 0 ? &content : out;
    unsigned number = member->inner != 0 ? member->inner : member->number;
    size_t index;
    json_t *element;
    if (json_is_string(value)) {
        add_string(to, number, value, member->name);
    }
    json_array_foreach(value, index, element) {
        add_string(to, number, element, member->name);
    }
    if (member->inner != 0) {
        add_message(out, member->number, 0, &content);
    }
}

static void add_map(struct buf *out, const struct member *member, json_t *map) {
    struct buf all = BUF_INIT;
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        struct buf entry = BUF_INIT;
        struct buf content = BUF_INIT;
        add_bytes(&entry, 1, key, strlen(key));
        encode(member->message, value, &content);
        /* A response could be a reference as well, so it stands in a message of its own. */
        add_message(&entry, 2, member->message == &response ? 1 : 0, &content);
        add_message(&all, member->inner, 0, &entry);
    }
    add_message(out, member->number, 0, &all);
}

/* ParametersItem {1: Parameter {1: body, 2: {1: header, 3: query, 4: path}}}. */
static void add_parameter(struct buf *out, unsigned number, json_t *parameter) {
    const char *in = json_string_value(json_object_get(parameter, "in"));
    struct buf content = BUF_INIT;
    struct buf item = BUF_INIT;
    if (in == NULL) {
        die("a parameter says not where it is");
    }
    if (strcmp(in, "body") == 0) {
        encode(&body_parameter, parameter, &content);
        add_message(&item, 1, 1, &content);
    } else {
        bool query = strcmp(in, "query") == 0;
        struct buf kind = BUF_INIT;
        encode(query ? &query_parameter : &plain_parameter, parameter, &content);
        add_message(&kind, query ? 3 : strcmp(in, "path") == 0 ? 4 : 1, 0, &content);
        add_message(&item, 1, 2, &kind);
    }
    add_message(out, number, 0, &item);
}

static void add_member(struct buf *out, const struct member *member, json_t *value) {
    struct buf content = BUF_INIT;
    size_t index;
    json_t *element;
    switch (member->type) {
    case MEMBER_STRING:
        add_string(out, member->number, value, member->name);
        break;
    case MEMBER_STRINGS:
        add_strings(out, member, value);
        break;
    case MEMBER_BOOL:
        add_tag(out, member->number, WIRE_VARINT);
        add_varint(out, json_is_true(value));
        break;
    case MEMBER_INT:
        add_tag(out, member->number, WIRE_VARINT);
        add_varint(out, (uint64_t)json_integer_value(value));
        break;
    case MEMBER_DOUBLE:
        add_double(out, member->number, json_number_value(value));
        break;
    case MEMBER_ANY:
        add_any(out, member->number, value);
        break;
    case MEMBER_ANYS:
        json_array_foreach(value, index, element) {
            add_any(out, member->number, element);
        }
        break;
    case MEMBER_MESSAGE:
        encode(member->message, value, &content);
        add_message(out, member->number, member->inner, &content);
        break;
    case MEMBER_MAP:
        add_map(out, member, value);
        break;
    case MEMBER_PARAMETERS:
        json_array_foreach(value, index, element) {
            add_parameter(out, member->number, element);
        }
        break;
    }
}

static void add_extension(struct buf *out, unsigned number, const char *key, const json_t *value) {
    struct buf content = BUF_INIT;
    add_bytes(&content, 1, key, strlen(key));
    add_any(&content, 2, value);
    add_message(out, number, 0, &content);
}

static void encode(const struct message *message, json_t *value, struct buf *out) {
    const char *key;
    json_t *element;
    json_object_foreach(value, key, element) {
        const struct member *member = message->members;
        while (member->name != NULL && strcmp(member->name, key) != 0) {
            member++;
        }
        if (member->name != NULL) {
            add_member(out, member, element);
        } else if (strncmp(key, "x-", 2) == 0 && message->extension != 0) {
            add_extension(out, message->extension, key, element);
        } else {
            die("the protobuf form of OpenAPI 2 has no place for \"%s\"", key);
        }
    }
}

void gnostic_encode(json_t *value, struct buf *out) {
    encode(&document, value, out);
    if (buf_failed(out)) {
        die("out of memory");
    }
}
