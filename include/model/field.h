/*
 * Field tables: the single description of every kind.
 *
 * Decoding, strict "unknown field" errors, defaults, validation, encoding, JSON Schema and the
 * protobuf OpenAPI document are all driven by these tables. Adding a field to a kind is one line in
 * its table, one member in its struct, and its rule. One that reaches a session needs as much again there: a
 * row in peering/members.h's table, a member of struct peering_entry, and the mapping between the two in
 * service/peering/compute.c. Tables are static and immutable.
 */
#ifndef BGPPEERD_MODEL_FIELD_H
#define BGPPEERD_MODEL_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "selector.h"

/* How optional scalars are kept: what the writer set explicitly stays distinguishable. */
struct opt_bool {
    bool set;
    bool value;
};
struct opt_int {
    bool set;
    int64_t value;
};
struct opt_asn {
    bool set;
    uint32_t value; /* 0–4294967295 */
};
/* `text` as written (so that it reads back the same), NULL = absent. */
struct duration {
    const char *text;
    int64_t ns;
};
/* Lists: items != NULL with count 0 is a list that was written empty; items == NULL is absent. */
struct string_list {
    size_t count;
    const char **items;
};
/* A list of structs or strings; items are contiguous elements of the element's size. */
struct list {
    size_t count;
    void *items;
};
/* Secret data: one key and its bytes. */
struct byte_value {
    const char *key;
    const uint8_t *bytes;
    size_t len;
};
struct byte_map {
    size_t count;
    struct byte_value *items; /* sorted by key */
};

enum field_type {
    FIELD_STRING,      /* const char *, NULL = absent; "" stays "" */
    FIELD_BOOL,        /* struct opt_bool */
    FIELD_INT,         /* struct opt_int, min–max */
    FIELD_ASN,         /* struct opt_asn: JSON integer, or string (decimal or asdot); encoded as integer */
    FIELD_DURATION,    /* struct duration: Go duration string */
    FIELD_ENUM,        /* const char *, NULL = absent; "" is accepted only when `allow_empty` */
    FIELD_OBJECT,      /* pointer to the struct that `schema` describes, NULL = absent */
    FIELD_OBJECT_LIST, /* struct list of structs that `schema` describes, contiguous */
    FIELD_STRING_LIST, /* struct string_list */
    FIELD_ASN_LIST,    /* struct list of uint32_t */
    FIELD_STRING_MAP,  /* struct label_set: string to string, sorted by key */
    FIELD_BYTE_MAP,    /* struct byte_map: string to base64 text (Secret data) */
    FIELD_IGNORED,     /* accepted, any value, dropped (metadata.managedFields) */
};

/* A named text format: its check and its JSON Schema. */
struct format {
    const char *name;
    const char *schema_format;  /* JSON Schema "format", NULL = none */
    const char *schema_pattern; /* JSON Schema "pattern", NULL = none */
    const char *expected;       /* for messages: "an IP address, IPv4:port or [IPv6]:port" */
    /* true when `text` is fine; else may put a more precise sentence into why (size why_len). */
    bool (*check)(const char *text, char *why, size_t why_len);
};

struct schema;

struct field {
    const char *name; /* JSON name */
    enum field_type type;
    size_t offset;               /* in the owning struct */
    const struct schema *schema; /* FIELD_OBJECT, FIELD_OBJECT_LIST */
    const struct format *format; /* strings and string list items; NULL = any text */
    const char *const *values;   /* FIELD_ENUM: NULL-terminated, in documentation order */
    bool required;               /* must be present (and, for strings, not empty) */
    bool ours;                   /* Calico does not have it: marked x-bgppeerd in OpenAPI */
    bool allow_empty;            /* FIELD_ENUM: "" counts as absent; list: [] allowed though min_items */
    int64_t min, max;            /* FIELD_INT range, inclusive */
    size_t max_length;           /* strings: characters; 0 = no limit beyond the body's */
    size_t min_items, max_items; /* lists; 0 = none */
    const char
        *same_as_absent; /* a value that says what absence says: "0", "false", "UseNodeIP"; NULL = none */
    const char *default_text; /* documentation of the default, JSON literal; NULL = none */
    const char *description;  /* for explain and OpenAPI; our own words */
};

/* Cross-field rule of a struct; adds causes under `path`. */
struct causes;
typedef void schema_rule(const void *object, const char *path, struct causes *causes);

struct schema {
    const char *name; /* "BGPPeerSpec": the component's name in OpenAPI */
    const char *description;
    size_t size; /* sizeof the struct */
    const struct field *fields;
    size_t field_count;
    schema_rule *rule; /* NULL = none */
};

/* What counts as a difference between two values of one schema. */
enum sameness {
    SAME_AS_WRITTEN, /* everything that encoding shows */
    SAME_MEANING, /* not: "" and absence, an empty list or object and absence, a row's same_as_absent, 60s and
                     1m */
};

/* Compares two structs that the schema describes, member by member (FIELD_IGNORED excepted). NULL: absent.
 * Pure. */
bool schema_equal(const struct schema *schema, const void *a, const void *b, enum sameness sameness);
/* The same for the one member that the row describes, of two structs; NULL: a struct that is absent. */
bool field_equal(const struct field *field, const void *a, const void *b, enum sameness sameness);
/* The row of that JSON name; NULL: none. */
const struct field *schema_field(const struct schema *schema, const char *name);

#endif
