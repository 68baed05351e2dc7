/*
 * What the files of the codec share. Nothing outside service/codec includes this.
 *
 * All trees are jansson's, made of memory that is wiped when it is given back (wipe.c); no tree is
 * shared between threads.
 */
#ifndef BGPPEERD_CODEC_INTERNAL_H
#define BGPPEERD_CODEC_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base64.h"
#include "codec.h"
#include "model/resources.h"

/* What a Secret shows instead of each value, as base64 text (design: vault, "Surface"). */
#define SECRET_MARKER "KipyZWRhY3RlZCoq"
/* Where a served Secret tells about its values; written by us, dropped when a client sends it. */
#define SECRET_VALUES_ANNOTATION "bgppeerd.io/values"
#define LAST_APPLIED_ANNOTATION  "kubectl.kubernetes.io/last-applied-configuration"

/* Aliases, merge keys and JSON patches may multiply what was sent by this many bytes at most. */
#define CODEC_EXPANSION_MAX (1024u * 1024u)

/* ---- path.c: where in the document ---- */

#define PATH_TEXT_MAX ERR_FIELD_MAX

/* A member or element; the chain lives on the stack of whoever walks. NULL is the document itself. */
struct path {
    const struct path *parent;
    const char *name; /* NULL: an array element */
    size_t index;
};
/* "spec.importV4[0].action"; too long a path is cut between characters. Returns `out`. */
const char *path_format(const struct path *path, char out[PATH_TEXT_MAX]);

/* A client's text as a message may show it: cut between characters. Returns `out`. */
#define SHOWN_TEXT_MAX 136
const char *text_shown(const char *text, char out[SHOWN_TEXT_MAX]);

/* ---- text.c: checks on the bytes ---- */

/* NUL bytes and invalid UTF-8 are refused. */
int text_check_utf8(const char *bytes, size_t len, struct err *err) MUST_CHECK;
/* The same, and what jansson would let pass or report without a place: depth, \u0000, -0, integers
 * beyond 64 bits. */
int text_check_json(const char *bytes, size_t len, struct err *err) MUST_CHECK;
/* ERR_BAD_REQUEST with "line L, column C (byte N): " in front. Offsets count from 0, the rest from 1. */
int text_refuse(struct err *err, const char *bytes, size_t len, size_t offset, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* ---- decoding.c: what is found on the way ---- */

/* Complaints of one sort, joined into one text; what no longer fits is only counted. */
struct findings {
    struct buf text;
    size_t count, shown;
    bool full; /* nothing fits any more */
};

/* One document on its way into a struct. */
struct decoding {
    struct arena *arena;
    const struct kind_info *info;
    enum codec_unknown unknown;
    bool stored;            /* our own text: what we do not know is skipped */
    struct causes *causes;  /* receives everything that is found; NULL when stored, and for forms */
    struct advice *advice;  /* NULL when stored */
    struct findings strict; /* unknown and duplicate fields */
    struct findings types;  /* wrong types */
    bool no_memory;
};

void decoding_init(struct decoding *d, struct arena *arena, const struct kind_info *info);
void decoding_done(struct decoding *d);
/* `meant`: a field of the same schema, NULL = none. */
void decoding_unknown_field(struct decoding *d, const struct schema *schema, const struct path *path,
                            const struct field *meant);
void decoding_duplicate_field(struct decoding *d, const struct path *path);
/* A value of the wrong JSON type; `expected` reads "expected a string". */
void decoding_wrong_type(struct decoding *d, const struct path *path, const char *expected,
                         const json_t *got);
/* A text that is not what its place needs; the sentence never quotes a Secret's value. Each call is also a
 * cause, where there are causes. */
void decoding_malformed(struct decoding *d, const struct path *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A value of the right type that breaks a rule: a cause (422). */
void decoding_invalid(struct decoding *d, const struct path *path, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* 0, or -1 with everything that was found in one message, the broken values in `causes` included. Values
 * alone are 0: they make no document unreadable. */
int decoding_finish(const struct decoding *d, struct err *err) MUST_CHECK;

/* ---- suggest.c, aliases.c: "did you mean" ---- */

/* Another program's name for a field. */
struct alias {
    const char *schema; /* its name */
    const char *name;
    const char
        *meant; /* from the same object, or a whole path (spec.…, metadata.…); NULL: there is no such field */
    const char *note; /* what else to know; NULL = nothing */
};
const struct alias *alias_table(size_t *ret_count);
/* The row for that name in an object of `schema`; NULL = none. */
const struct alias *suggest_alias(const struct schema *schema, const char *name);
/* The field of `schema` that `name` is a slip of; NULL = no idea. */
const struct field *suggest_field(const struct schema *schema, const char *name);
/* What to say behind `unknown field "path"`: `, did you mean "spec.peerIP"?`, or nothing. `meant` is what
 * suggest_field said of it. */
#define SUGGESTION_MAX 512
void suggest_for(const struct kind_info *info, const struct schema *schema, const struct path *path,
                 const struct field *meant, char out[SUGGESTION_MAX]);

/* ---- header.c: kind and apiVersion ---- */

/* Why nothing here has this kind and apiVersion (NULL: absent): "; write apiVersion: …", or "". */
#define HEADER_HINT_MAX 320
void header_explain(const char *kind, const char *api_version, char out[HEADER_HINT_MAX]);
/* -1, with where to send a document of another kind or version than the path's, or what to correct. */
int header_refuse(const struct kind_info *wanted, const char *kind, const char *api_version, struct err *err);
/* -1: the body is no object at all. */
int header_refuse_body(const struct kind_info *wanted, const json_t *body, struct err *err);

/* ---- split.c ---- */

/* Every document of the body as one array; one that is a sequence or array itself is taken for its items. */
int split_read(enum codec_syntax syntax, const char *bytes, size_t len, size_t max, json_t **ret,
               struct err *err) MUST_CHECK;
/* codec_split of such an array. */
int split_documents(const json_t *bodies, size_t max, struct arena *arena, struct codec_document **ret,
                    size_t *ret_count, struct err *err) MUST_CHECK;

/* ---- json.c, yaml.c, protobuf.c: bytes to a tree ---- */

/*
 * One document. `d` receives duplicate fields (the last one wins); without it they are refused.
 * The tree is the caller's (json_decref).
 */
int json_read(const char *bytes, size_t len, struct decoding *d, json_t **ret, struct err *err) MUST_CHECK;
int yaml_read(const char *bytes, size_t len, struct decoding *d, json_t **ret, struct err *err) MUST_CHECK;
/* All documents of a YAML stream that are not empty, as an array of at most `max`. */
int yaml_read_all(const char *bytes, size_t len, size_t max, json_t **ret, struct err *err) MUST_CHECK;
/* Kubernetes' protobuf envelope with a v1 Secret, as the tree its JSON form would give. */
int protobuf_read_secret(const char *bytes, size_t len, json_t **ret, struct err *err) MUST_CHECK;
int protobuf_read_delete_options(const char *bytes, size_t len, json_t **ret, struct err *err) MUST_CHECK;
int protobuf_read_access_review(const char *bytes, size_t len, json_t **ret, struct err *err) MUST_CHECK;
/* By syntax; CODEC_PROTOBUF is refused with 415 (the callers that take it know which message). */
int syntax_read(enum codec_syntax syntax, const char *bytes, size_t len, struct decoding *d, json_t **ret,
                struct err *err) MUST_CHECK;
/* The same for a form, which nobody needs to write long: at most FORM_SIZE_MAX bytes, else ERR_TOO_LARGE.
 * `what` is its name for the message; `protobuf` reads its protobuf form, NULL: it has none. */
#define FORM_SIZE_MAX (64 * 1024)
int form_read(const char *what, enum codec_syntax syntax, const char *bytes, size_t len,
              int (*protobuf)(const char *bytes, size_t len, json_t **ret, struct err *err), json_t **ret,
              struct err *err) MUST_CHECK;
/* Its tree into `out`, strictly, by a table of its own. ERR_BAD_REQUEST: another kind, unknown fields, wrong
 * types. */
int form_decode(const struct kind_info *info, const struct schema *schema, json_t *root, struct arena *arena,
                void *out, struct err *err) MUST_CHECK;
/* Report every key that occurs twice in one object of `bytes`, which is valid JSON. */
void json_find_duplicates(const char *bytes, size_t len, struct decoding *d);

/* ---- yaml_work.c ---- */

/* Refuses a body that would cost libyaml more than work proportional to its length. */
int yaml_check_work(const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* ---- yaml_hint.c ---- */

/* What is probably meant where libyaml stops: "; …", or "". `line` counts from 0. Static text. */
const char *yaml_hint(const char *bytes, size_t len, size_t line, const char *context, const char *problem);

/* ---- yaml_scalar.c ---- */

/* The value of a YAML scalar as go-yaml v2 resolves it (what kubectl does). NULL with a sentence in
 * `why`, or with `why` empty when memory is out. */
json_t *yaml_scalar(const char *text, size_t len, bool plain, const char *tag, char *why, size_t why_len);

/* ---- tree.c ---- */

/* Bytes and nesting of a tree: leaves have depth 0. Recursion is bounded by the tree's own depth. */
size_t tree_weight(const json_t *tree);
unsigned tree_depth(const json_t *tree);
/* As RFC 6902 section 4.6 compares: 1 equals 1.0, members in any order. */
bool tree_equal(const json_t *a, const json_t *b);
/* RFC 7396, section 2: `patch` (an object) into `target`. -1 when memory is out. */
int tree_merge(json_t *target, json_t *patch) MUST_CHECK;
/* Compact JSON text of the tree appended to `out`; -1 when memory is out. */
int tree_write(const json_t *tree, struct buf *out) MUST_CHECK;
/* "a string", "an object": for messages. */
const char *tree_type_name(const json_t *value);

/* ---- fields.c, metadata.c, secret.c: tree to struct ---- */

/* metadata as it stands in JSON; its field table (metadata_fields.c) is codec_meta_schema(). */
struct wire_meta {
    const char *name;
    const char *name_space;
    const char *generate_name;
    const char *uid;
    const char *resource_version;
    struct opt_int generation;
    const char *creation;
    struct label_set labels;
    struct label_set annotations;
};

/* Every member of `object` that `schema` knows into `out` (zeroed, schema->size bytes); complaints go
 * to `d`. */
void fields_decode(struct decoding *d, const struct schema *schema, json_t *object, const struct path *path,
                   void *out);
/* What stands for a text of the wrong type, so that rules about what is there see that something is: the
 * document is refused anyway. */
extern const char FIELDS_REFUSED_TEXT[];
void metadata_decode(struct decoding *d, json_t *metadata, struct meta *ret);
/* Blank the values inside the last-applied annotation, take our own annotation out; stored: read it. */
int secret_take_annotations(struct decoding *d, struct meta *meta, struct secret *secret,
                            struct err *err) MUST_CHECK;
/* A member of the right order for label sets. */
void label_set_sort(struct label *items, size_t count);

/* ---- encode.c ---- */

void secret_write_values(const struct secret *secret, struct buf *out);

/* ---- base64.c ---- */

/* JSON string of the bytes' base64 text; NULL when memory is out. */
json_t *base64_json(const uint8_t *bytes, size_t len);

#endif
