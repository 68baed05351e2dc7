/*
 * Codec: bytes to model and back, by the kinds' field tables. The only room that knows jansson and
 * libyaml.
 *
 * All functions are thread-safe (no shared state after codec_start). Input bytes are never trusted:
 * size is bounded by the caller (1 MiB), nesting by CODEC_DEPTH_MAX.
 */
#ifndef BGPPEERD_CODEC_H
#define BGPPEERD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "base/err.h"
#include "model/change_set.h"
#include "model/object.h"

#define CODEC_DEPTH_MAX 32 /* nested objects and arrays of a body */

enum codec_syntax { CODEC_JSON, CODEC_YAML, CODEC_PROTOBUF /* Kubernetes' envelope; Secret only */ };

/* fieldValidation: what to do with unknown fields and duplicate keys. */
enum codec_unknown { CODEC_STRICT, CODEC_WARN, CODEC_IGNORE };

enum patch_type { PATCH_MERGE, PATCH_JSON, PATCH_STRATEGIC };

struct codec_options {
    enum codec_syntax syntax;
    enum codec_unknown unknown;
    enum kind kind;   /* the path's kind; a body's apiVersion/kind must agree or be absent */
    const char *name; /* the path's name (PUT, PATCH): metadata.name must agree or be absent; NULL: POST */
    const char *name_space; /* the path's namespace, filled in when absent; NULL for cluster kinds */
    bool any_namespace;     /* no path names one: `name_space` is only for documents that have none */
    const char **ret_name;  /* NULL, or where to put, also when the document is refused, `name` or what the
                               document has: its name or else generateName, in the call's arena; NULL = none */
};

/* Once, before threads: sets jansson's (wiping) allocator and hash seed. */
int codec_start(struct err *err) MUST_CHECK;
/* Has jansson or libyaml been refused memory on this thread since the last call? What they made meanwhile may
 * lack a piece. */
bool codec_out_of_memory(void);

/*
 * One document into a new object in `arena`.
 *
 * -1 with ERR_BAD_REQUEST: not JSON/YAML, too deep, more than one YAML document, wrong kind; or duplicate
 * key, unknown field in strict mode (each with a suggestion), wrong type: then `causes` holds all of them,
 * and every value that violates a rule as well. ERR_INVALID: only such values; `causes` holds all of them.
 * `advice` receives warnings (unknown fields in CODEC_WARN mode, object_advise).
 */
int codec_decode(const struct codec_options *options, const char *bytes, size_t len, struct arena *arena,
                 struct object **ret, struct causes *causes, struct advice *advice,
                 struct err *err) MUST_CHECK;

/* A body that we stored ourselves: lenient about fields it does not know, no validation. */
int codec_decode_stored(enum kind kind, const char *json, size_t len, struct arena *arena,
                        struct object **ret, struct err *err) MUST_CHECK;

/* The document as stored and served: apiVersion, kind, metadata, spec, status; compact, fixed order,
 * so equal objects give equal bytes. Check buf_failed afterwards. */
void codec_encode(const struct object *object, struct buf *out);

/*
 * The body alone (everything besides apiVersion, kind, metadata): two objects have the same
 * `generation` when these bytes are equal.
 */
void codec_encode_body(const struct object *object, struct buf *out);

/* What a client wants changed. Borrows its text. */
struct patch {
    enum patch_type type;
    enum kind kind;           /* of the document */
    enum codec_syntax syntax; /* of `text` */
    const char *text;
    size_t len;
    size_t operations_max; /* of a JSON patch; 0 = PATCH_OPERATIONS_MAX */
};
#define PATCH_OPERATIONS_MAX 10000 /* as in Kubernetes */

/*
 * Apply a patch (RFC 7396, RFC 6902, strategic without directives, which is a merge patch here) to a
 * document's JSON text; the result is JSON text for codec_decode. ERR_BAD_REQUEST malformed; ERR_INVALID: a
 * JSON patch's `test` failed, its path does not exist, or it costs more work than its length allows;
 * ERR_TOO_LARGE: more operations than allowed; ERR_UNSUPPORTED_MEDIA_TYPE: a strategic directive.
 */
int codec_patch(const struct patch *patch, const char *document, size_t document_len, struct buf *ret,
                struct err *err) MUST_CHECK;

/* Take the annotation out of `meta`, and out of what kubectl notes there as last applied. *ret: its value;
 * NULL: there was none. The new annotations live in `arena`, the value where it was. */
int codec_take_annotation(struct meta *meta, const char *key, struct arena *arena, const char **ret,
                          struct err *err) MUST_CHECK;

/* metav1.DeleteOptions, from a body that may be empty. */
struct delete_options {
    const char *uid;           /* preconditions.uid, NULL = none */
    uint64_t resource_version; /* preconditions.resourceVersion, 0 = none */
    bool dry_run;              /* dryRun: ["All"] */
};
int codec_decode_delete_options(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                struct delete_options *ret, struct err *err) MUST_CHECK;

/*
 * Split a body that holds several documents (multi-document YAML, a sequence or JSON array, or a List) into
 * JSON texts; each then goes through codec_decode. At most `max` documents. One that is no object, or of a
 * kind that nobody knows, has a `fault` instead, so that it can be told together with what is wrong in
 * others.
 */
struct codec_document {
    const char *json; /* NULL: see fault */
    size_t len;
    enum kind kind;    /* without meaning beside a fault */
    const char *about; /* `document 2 (BGPPeer "tor")`, as every message names it; counted from 1 */
    const char *fault; /* the end of a sentence that begins with `about`; NULL: none */
};
int codec_split(enum codec_syntax syntax, const char *bytes, size_t len, size_t max, struct arena *arena,
                struct codec_document **ret, size_t *ret_count, struct err *err) MUST_CHECK;

/*
 * A body of previews and applies: a bgppeerd.io/v1 ChangeSet, or documents as codec_split takes them, each of
 * which is a CHANGE_APPLY. At most `max` changes; texts live in `arena`. What each object or patch says is
 * not looked at. ERR_BAD_REQUEST: malformed, or unknown fields; ERR_TOO_LARGE; ERR_INVALID, with `causes`: an
 * unknown operation or kind, something missing, each with its place (`spec.changes[3].op`).
 */
int codec_decode_change_set(enum codec_syntax syntax, const char *bytes, size_t len, size_t max,
                            struct arena *arena, struct change_set *ret, struct causes *causes,
                            struct err *err) MUST_CHECK;

#define ROLLBACK_NAMES_MAX 1000
/* Which objects are meant: of these kinds, with these names. Nothing said: all. */
struct rollback_scope {
    unsigned kinds; /* a bit per enum kind; 0 = all */
    struct string_list names;
};
/* `only` NULL: all. */
bool rollback_scope_has(const struct rollback_scope *only, enum kind kind, const char *name);

/* A body of rollbacks. */
struct rollback {
    bool is_undo;
    uint64_t revision; /* the change that is undone; otherwise where to go back to, unless a time says it */
    const char *time;  /* as it was written; NULL = none */
    struct rollback_scope only;
    bool dry_run;
    const char *reason;      /* NULL = none given */
    uint64_t max_disruptive; /* these two as in a change set */
    uint64_t max_nodes;
};
/* Texts live in `arena`. ERR_BAD_REQUEST. */
int codec_decode_rollback(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                          struct rollback *ret, struct err *err) MUST_CHECK;

/*
 * The JSON text of `document` over the stored one, as `kubectl apply` does it: objects are merged member by
 * member, everything else is replaced, null takes away. What the document does not name stays; unless kubectl
 * has noted in the object what it applied last: what was in that and is no longer in the document is taken
 * away, and the note is brought up to date. ERR_BAD_REQUEST: the document is malformed.
 */
int codec_merge(enum kind kind, const char *stored, size_t stored_len, const char *document,
                size_t document_len, struct buf *ret, struct err *err) MUST_CHECK;
/*
 * The merge patch that makes the one stored document of the other, but for what the service assigns (uid,
 * versions, times) and observes (status). *ret_empty: they do not differ otherwise.
 */
int codec_find_patch(enum kind kind, const char *from, size_t from_len, const char *to, size_t to_len,
                     struct buf *ret, bool *ret_empty, struct err *err) MUST_CHECK;
/* A stored document without what the service assigns and observes: what makes it again elsewhere. */
int codec_detach(enum kind kind, const char *stored, size_t len, struct buf *ret, struct err *err) MUST_CHECK;

/*
 * A body that another system exported (`kubectl get -o yaml`, `calicoctl get -o yaml`, `calicoctl datastore
 * migrate export`), or this service: every document of it, in order, with what becomes of it here. Lists are
 * taken apart.
 */
enum codec_import_source {
    IMPORT_ANY,        /* whatever is understood */
    IMPORT_CALICO,     /* Calico's own resources: a Kubernetes Node is not read */
    IMPORT_KUBERNETES, /* as kubectl shows them: a Node is Kubernetes' own, not Calico's */
};
enum codec_import_fate { IMPORT_TAKEN, IMPORT_SKIPPED, IMPORT_BAD };
#define IMPORT_NOTES_MAX 6
struct codec_import {
    const char *api_version, *kind; /* as written; "" = none */
    const char *name, *name_space;
    enum codec_import_fate fate;
    const char *why; /* it is skipped or bad, as a sentence; NULL: it is taken */
    size_t note_count;
    const char *notes[IMPORT_NOTES_MAX]; /* what was changed on the way */
    /* Of one that is taken: */
    enum kind as;
    const char *json; /* the document as this service takes it, for codec_decode */
    size_t len;
};
#define IMPORT_DOCUMENTS_MAX 20000
/*
 * Everything lives in `arena`, which is made a wiping one when a Secret is taken. Secrets are taken when a
 * document of the import refers to them, into `secret_namespace`, where references are looked up.
 * ERR_BAD_REQUEST: not JSON or YAML at all; ERR_TOO_LARGE: more than IMPORT_DOCUMENTS_MAX documents.
 */
int codec_import(enum codec_syntax syntax, enum codec_import_source source, const char *bytes, size_t len,
                 const char *secret_namespace, struct arena *arena, struct codec_import **ret,
                 size_t *ret_count, struct err *err) MUST_CHECK;
/* The JSON object of one struct that a schema describes (NULL: `{}`), members in the table's order. */
void codec_encode_struct(const struct schema *schema, const void *object, struct buf *out);

/*
 * Documents that are no stored kind (forms.c). JSON, YAML, and protobuf for the access review; strict about
 * unknown fields; texts live in `arena`; NULL = absent. ERR_BAD_REQUEST; ERR_TOO_LARGE beyond 64 KiB.
 */
/* bgppeerd.io/v1 Token: what one asks for, and what one is told. */
struct token_form {
    struct token_form_meta {
        const char *name; /* its id */
        const char *creation_timestamp;
    } * metadata;
    struct token_form_spec {
        const char *role;
        const char *node;
        const char *description;
        const char *expires; /* RFC 3339 */
    } * spec;
    struct token_form_status {
        const char *last_used;
        const char *token; /* in the answer to its creation only */
    } * status;
};
int codec_decode_token(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                       struct token_form *ret, struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 TokenList; the items are struct token_form. */
int codec_decode_token_list(const char *bytes, size_t len, struct arena *arena, struct list *ret,
                            struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 Freeze. Of what a client sends, `user` and `since` are NULL, whatever it says. */
struct freeze_form {
    const char *reason, *until, *user, *since; /* NULL = not given; times are RFC 3339 */
};
int codec_decode_freeze(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                        struct freeze_form *ret, struct err *err) MUST_CHECK;
/* The same as it is stored. */
int codec_decode_stored_freeze(const char *bytes, size_t len, struct arena *arena, struct freeze_form *ret,
                               struct err *err) MUST_CHECK;
/* An entry of the audit trail as it is kept. */
struct audit_form {
    const char *event, *user, *source, *verb, *resource, *name, *before, *after, *request, *force, *last;
    struct opt_int count;
};
int codec_decode_audit(const char *bytes, size_t len, struct arena *arena, struct audit_form *ret,
                       struct err *err) MUST_CHECK;
/* authorization.k8s.io/v1 SelfSubjectAccessReview: may I? One of the two is there. */
struct access_review_form {
    struct access_review_resource {
        const char *name_space, *verb, *group, *version, *resource, *subresource, *name;
    } * resource;
    struct access_review_path {
        const char *path, *verb;
    } * path;
};
int codec_decode_access_review(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                               struct access_review_form *ret, struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 DataKeyRotation, which has nothing but its kind. */
int codec_decode_rotation(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                          struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 RootKeyChange: files on the service's machine; both NULL: in place. */
struct root_key_change_form {
    const char *key_file;
    const char *passphrase_file;
};
int codec_decode_root_key_change(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                 struct root_key_change_form *ret, struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 Vault, for clients of ours: lenient about members it does not know. */
struct vault_form_key {
    struct opt_int id;
    struct opt_int values;
    struct opt_bool active;
    const char *created; /* RFC 3339, as all times here */
};
struct vault_form {
    const char *source;
    const char *warning;
    struct vault_form_root {
        const char *fingerprint;
        const char *created;
    } * root, *pending; /* pending NULL: no change of the root key waits */
    struct list keys;   /* struct vault_form_key, oldest first */
    struct opt_int values, unreadable, decryptions;
    struct vault_form_operation {
        struct opt_int id, done, total;
        const char *type;
        const char *state; /* "Running", "Succeeded", "Failed" */
        const char *started;
        const char *finished;
        const char *message;
    } * operation; /* the newest; NULL: none since the service started */
};
int codec_decode_vault(const char *bytes, size_t len, struct arena *arena, struct vault_form *ret,
                       struct err *err) MUST_CHECK;
/* bgppeerd.io/v1 PeeringStatus: what an agent reports of its node's sessions. Times are RFC 3339. */
struct peering_status_form {
    const char *list; /* ETag of the list that its daemon has taken */
    const char *applied_at;
    const char *apply_error; /* why the newest one could not be applied */
    const char *same;        /* nothing has changed since the report with this digest; no sessions then */
    struct peering_status_agent {
        const char *version, *daemon, *boot;
        struct opt_int sequence;
    } * agent;
    struct peering_status_kernel {
        struct opt_int md5_failure, md5_not_found, md5_unexpected, min_ttl_drop;
    } * kernel;
    struct list sessions; /* struct peering_status_session */
};
struct peering_status_session {
    const char *peer_ip;
    struct opt_int port; /* absent: 179 */
    const char *state;   /* RFC 4271, 8.2.2: "Established" */
    const char *since;
    struct opt_bool admin_down; /* the daemon's own configuration keeps it down */
    struct opt_int transitions, received, sent, hold_time_seconds;
    struct peering_status_error {
        const char *code; /* "OpenMessage/BadPeerAS" */
        const char *from; /* "Local", "Remote" */
        const char *at;
    } * last_error;
};
#define CODEC_STATUS_SIZE_MAX (256 * 1024) /* bytes; beyond: ERR_TOO_LARGE */
int codec_decode_peering_status(enum codec_syntax syntax, const char *bytes, size_t len, struct arena *arena,
                                struct peering_status_form *ret, struct err *err) MUST_CHECK;
/* The message of a metav1.Status, into the arena; NULL when it is none. For clients of ours. */
const char *codec_status_message(const char *bytes, size_t len, struct arena *arena);

/* Values of a printer column, read from stored JSON: text into `out`, JSON-encoded (a string, number
 * or null per path). For Tables. */
int codec_columns(enum kind kind, const char *json, size_t len, struct buf *out, struct err *err) MUST_CHECK;

/* The table of metadata, for schemas and documents about the API. */
const struct schema *codec_meta_schema(void);

/* The JSON Schema (draft 2020-12 subset that OpenAPI 3.1 and 3.0 share) of a table, as JSON. */
void codec_schema(const struct schema *schema, struct buf *out);

#endif
