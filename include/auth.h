/*
 * Auth: who a caller is and what it may do. Roles and the table of their rights, bearer tokens and the
 * registry that looks them up, certificates' subjects, rate limits, the audit trail's newest entries.
 *
 * Knows neither HTTP nor the store nor the model: tokens leave and enter as opaque bytes, objects as names.
 *
 * What it defends, and what not
 *   - A copy of the database gives no token: it holds BLAKE2b-256 hashes of secrets of 256 random bits, which
 *     nobody can guess. Someone who can write the database can add a token; the data directory is 0700.
 *   - Comparisons of secrets take the same time wherever they differ, and an unknown token costs what a known
 *     one does.
 *
 * Threads: everything may be called from any number of threads unless said otherwise.
 */
#ifndef BGPPEERD_AUTH_H
#define BGPPEERD_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define AUTH_NODE_MAX  254            /* bytes of a node's name and its NUL */
#define AUTH_NODE_USER "system:node:" /* begins a node's user, behind it comes its name */
#define AUTH_USER_MAX  272            /* that and the name */

/* ---- who ---- */

enum role {
    ROLE_NONE,     /* nobody: nothing but what is public */
    ROLE_ADMIN,    /* everything */
    ROLE_OPERATOR, /* runs the network: the BGP kinds, and secrets without ever seeing a password */
    ROLE_VIEWER,   /* looks */
    ROLE_NODE,     /* one node's agent */
    ROLE_COUNT
};

/* "admin", "operator", "viewer", "node"; "none". Static. */
const char *role_name(enum role role);
/* Not "none". */
bool role_parse(const char *text, enum role *ret);
/* "bgppeerd:admin" …, for a node "system:nodes": the caller's group as Kubernetes would call it. Static. */
const char *role_group(enum role role);

/* A caller. Plain value. */
struct principal {
    enum role role;
    char user[AUTH_USER_MAX]; /* "token:<id>", "system:node:<name>", a certificate's CN, "anonymous" */
};

/* The node's name of a ROLE_NODE principal; NULL for all others. Points into it. */
const char *principal_node(const struct principal *principal);
/* ROLE_ADMIN "anonymous": everybody, where authentication is switched off. */
void principal_anonymous(struct principal *ret);
/*
 * The principal of a verified client certificate, as Kubernetes reads them: user = subject's CN, groups = its
 * O's. O system:masters and bgppeerd:admin are admin; bgppeerd:operator; bgppeerd:viewer; O system:nodes with
 * CN system:node:<name> is that node. Several: the first of this order. ERR_UNAUTHORIZED: no CN, blank, too
 * long or not one line of UTF-8, none of these groups, or a name that belongs to others (token:…, system:…
 * and more).
 */
int principal_from_certificate(const char *common_name, const char *const *groups, size_t group_count,
                               struct principal *ret, struct err *err) MUST_CHECK;

/* ---- may it ---- */

enum auth_verb {
    AUTH_GET = 1,
    AUTH_LIST = 2,
    AUTH_WATCH = 4,
    AUTH_CREATE = 8,
    AUTH_UPDATE = 16,
    AUTH_PATCH = 32,
    AUTH_DELETE = 64,
    AUTH_DELETE_COLLECTION = 128,
};

enum auth_resource {
    AUTH_BGPPEERS,
    AUTH_BGPCONFIGURATIONS,
    AUTH_BGPFILTERS,
    AUTH_NODES,
    AUTH_NODE_PEERINGS,    /* a node's computed list */
    AUTH_NODE_EXPLANATION, /* … and why it is so, which tells about other nodes */
    AUTH_NODE_STATUS,      /* what a node's sessions do, and its agent's reports of it */
    AUTH_SESSIONS,         /* the same of the fleet, and what changed */
    AUTH_CONVERGENCE,      /* who has the newest lists */
    AUTH_TRANSITIONS,
    AUTH_CHANGES,       /* who changed what, and why: names Secrets */
    AUTH_DIFF,          /* likewise, between two moments */
    AUTH_ROLLBACKS,     /* back to one of them */
    AUTH_PEER_PEERINGS, /* a BGPPeer's sessions over all nodes */
    AUTH_SECRETS,
    AUTH_NAMESPACES,
    AUTH_PREVIEWS,
    AUTH_APPLIES,
    AUTH_IMPORTS,
    AUTH_FREEZE, /* the fleet's sessions are not to be changed */
    AUTH_TOKENS,
    AUTH_AUDIT,
    AUTH_VAULT,
    AUTH_BACKUPS,
    AUTH_METRICS,
    AUTH_ACCESS_REVIEWS, /* selfsubjectaccessreviews: may I? */
    AUTH_SELF_REVIEWS,   /* selfsubjectreviews: who am I? */
    AUTH_RULES_REVIEWS,  /* selfsubjectrulesreviews: what may I? */
    AUTH_DOCUMENTS,      /* discovery and the API's description: not a resource of Kubernetes' sort */
    AUTH_RESOURCE_COUNT
};

/* "get", "list" …; 0 when unknown. */
unsigned auth_verb_by_name(const char *name);
const char *auth_verb_name(unsigned verb);
/* A resource by Kubernetes' names; `subresource` NULL or "" for none. false: there is none. */
bool auth_resource_by_name(const char *group, const char *resource, const char *subresource,
                           enum auth_resource *ret);
/* By the route table's name: "bgppeers", "nodes/peerings". */
bool auth_resource_by_path(const char *path, enum auth_resource *ret);
/* "nodes/peerings" and "projectcalico.org". Static; "" for AUTH_DOCUMENTS. */
const char *auth_resource_name(enum auth_resource resource);
const char *auth_resource_group(enum auth_resource resource);

/* What is asked for. Texts are borrowed. */
struct access {
    unsigned verb; /* one enum auth_verb */
    enum auth_resource resource;
    const char *name;       /* of the object; NULL: a whole collection, or none yet */
    const char *name_space; /* NULL: none */
};

enum auth_answer {
    AUTH_DENIED,
    AUTH_ALLOWED,
    /* Allowed as far as nothing but the addresses under spec.bgp of its own Node changes: whoever writes must
     * compare the object before and after. */
    AUTH_ALLOWED_ADDRESSES,
};

/* The rule; pure, from one table (rules.c). */
enum auth_answer auth_allows(const struct principal *principal, const struct access *access);
/* Is there any role that may do this? For a check that no route was forgotten. */
bool auth_has_rule(unsigned verb, enum auth_resource resource);
/* Kubernetes' sentence for a denial, with what the role may do: ERR_FORBIDDEN; always -1. */
int auth_forbidden(const struct principal *principal, const struct access *access, struct err *err);
/* What the role may do, in one sentence. Static. */
const char *auth_role_summary(enum role role);

/* ---- tokens ---- */

#define TOKEN_ID_LENGTH       16 /* lower-case hex digits; public */
#define TOKEN_ID_MAX          (TOKEN_ID_LENGTH + 1)
#define TOKEN_SECRET_LENGTH   43 /* base64url of 256 random bits */
#define TOKEN_TEXT_MAX        (4 + TOKEN_ID_LENGTH + 1 + TOKEN_SECRET_LENGTH + 1) /* bpd_<id>_<secret> */
#define TOKEN_DESCRIPTION_MAX 129
#define TOKEN_HASH_BYTES      32
#define TOKEN_MAC_BYTES       16
#define TOKEN_ROW_MAX         512 /* bytes of an encoded token */
#define TOKENS_MAX            100000
#define TOKEN_SETTING         "token/" /* a token's name in the store is this and its id */
#define TOKEN_SETTING_MAX     (sizeof TOKEN_SETTING + TOKEN_ID_LENGTH)

/* What is kept of a token. Plain value; holds no secret. */
struct token {
    char id[TOKEN_ID_MAX];
    enum role role;
    char node[AUTH_NODE_MAX];                /* ROLE_NODE */
    char description[TOKEN_DESCRIPTION_MAX]; /* for people; may be "" */
    int64_t created_ms;                      /* realtime */
    int64_t expires_ms;                      /* 0 = never */
    int64_t last_used_ms;                    /* 0 = not yet; in steps of TOKEN_USED_STEP_MS */
    uint8_t hash[TOKEN_HASH_BYTES];          /* BLAKE2b-256 of the secret's text */
};

/*
 * A new token: `ret` to keep, `ret_text` to hand out once (wipe it afterwards). ERR_INVALID with the field
 * "spec.role", "spec.node", "spec.expires" or "spec.description". The node's name must be a valid one
 * already.
 */
int token_new(enum role role, const char *node, const char *description, int64_t expires_ms,
              struct token *ret, char ret_text[TOKEN_TEXT_MAX], struct err *err) MUST_CHECK;
/* Who its holder is. */
void token_principal(const struct token *token, struct principal *ret);
/* For logs: `text` without the secrets of tokens that somebody has put into it. Is `text` itself when there
 * are none, else a copy in `room`, cut where that ends. */
const char *token_masked(const char *text, char *room, size_t size);
/* "token/<id>". */
void token_setting_name(const char *id, char ret[TOKEN_SETTING_MAX]);
/* The id's syntax. */
bool token_id_is_valid(const char *id);
/* To opaque, versioned bytes and back; `name` is the setting's. ERR_CORRUPT: not ours, or of a newer version.
 */
size_t token_encode(const struct token *token, uint8_t ret[TOKEN_ROW_MAX]);
int token_decode(const char *name, const void *bytes, size_t len, struct token *ret,
                 struct err *err) MUST_CHECK;

/* All tokens of a service, by id. Read-mostly: one lock, taken for reading by each request. */
struct token_registry;

int token_registry_new(struct token_registry **ret, struct err *err) MUST_CHECK;
void token_registry_free(struct token_registry *registry); /* accepts NULL; nobody may use it any more */
/* Make room for one more, so that the next token_registry_put cannot fail. */
int token_registry_reserve(struct token_registry *registry, struct err *err) MUST_CHECK;
/* Add a token, for which room was made. */
void token_registry_put(struct token_registry *registry, const struct token *token);
/* false: there is none. */
bool token_registry_remove(struct token_registry *registry, const char *id);
bool token_registry_get(struct token_registry *registry, const char *id, struct token *ret);
size_t token_registry_count(struct token_registry *registry);
/* Copies of all, oldest first; free() *ret. */
int token_registry_list(struct token_registry *registry, struct token **ret, size_t *ret_count,
                        struct err *err) MUST_CHECK;

/*
 * The principal of a token's text. ERR_UNAUTHORIZED: malformed, unknown, revoked, wrong secret (one sentence
 * for all of them) or expired (only its holder is told). `now_ms` is realtime. Notes the use.
 */
int token_registry_authenticate(struct token_registry *registry, const char *text, size_t len, int64_t now_ms,
                                struct principal *ret, struct err *err) MUST_CHECK;

/*
 * What a connection remembers of its caller's last good token, so that the next request with the same one
 * costs a keyed hash and no look-up. Zeroed = nothing. One user at a time. Holds neither the token nor
 * anything that is worth more than the process: `mac` is keyed with a secret of the registry.
 */
struct token_memory {
    uint64_t generation; /* of the registry: a token that has come or gone since makes it forget */
    int64_t since_ms;    /* realtime, as the next */
    int64_t until_ms;    /* exclusive; the token's expiry, or when its use is to be noted again */
    uint8_t mac[TOKEN_MAC_BYTES];
    struct principal principal;
};
/* As token_registry_authenticate, with the same outcome at any time, only faster when `memory` knows it. */
int token_registry_recognize(struct token_registry *registry, struct token_memory *memory, const char *text,
                             size_t len, int64_t now_ms, struct principal *ret, struct err *err) MUST_CHECK;

#define TOKEN_USED_STEP_MS (5 * 60000) /* a token's last use is known, and stored, this finely */
/* Up to `max` tokens used since that was last stored; the caller stores them. Regards them as stored. */
size_t token_registry_take_used(struct token_registry *registry, struct token *ret, size_t max);

/* ---- rates ---- */

/*
 * Token buckets by key: how often each of many callers may do something. A bounded table; when it is full of
 * callers that are all short of credit, a newcomer shares the place of another one. Own locks, striped.
 */
struct limiter;

/* `per_second` > 0 credits come back each second, at most `burst` (1–2e9) are kept. */
int limiter_new(double per_second, double burst, struct limiter **ret, struct err *err) MUST_CHECK;
void limiter_free(struct limiter *limiter); /* accepts NULL */
/* Take a credit. false: there is none; *ret_retry_s is the first whole second when there will be one
 * (1–3600), if nobody else takes it. `now_ms` is monotonic. */
bool limiter_take(struct limiter *limiter, const void *key, size_t len, int64_t now_ms,
                  unsigned *ret_retry_s);
/* Give one back that was taken for what turned out not to count. */
void limiter_give_back(struct limiter *limiter, const void *key, size_t len, int64_t now_ms);

/* ---- audit ---- */

enum audit_event {
    AUDIT_WRITE,        /* an object was created, changed or deleted */
    AUDIT_DENIED,       /* 403 */
    AUDIT_UNAUTHORIZED, /* 401: no, or no good credential */
    AUDIT_PASSWORDS,    /* a list with passwords was handed out */
    AUDIT_TOKEN,        /* a token was created or revoked */
    AUDIT_VAULT,        /* a change of the vault's keys was asked for, or a backup taken */
    AUDIT_FREEZE,       /* the fleet was frozen, or a freeze lifted */
    AUDIT_TRIED,        /* a Secret's write that stored nothing: a dry run, refused, or as it was */
    AUDIT_EVENT_COUNT
};
const char *audit_event_name(enum audit_event event); /* "write" …; static */
bool audit_event_parse(const char *text, enum audit_event *ret);

/* One entry. Texts are borrowed, NULL = not known; never a secret. */
struct audit_entry {
    uint64_t sequence; /* ascending, also over restarts; set by audit_add and audit_stage */
    int64_t time_ms;   /* realtime */
    enum audit_event event;
    const char *user;
    const char *source;   /* "192.0.2.7:40112" */
    const char *verb;     /* "create" */
    const char *resource; /* "bgppeers", or a path */
    const char *name;
    const char *request; /* X-Request-Id */
    const char *force;   /* what the write forced: "disruptive" */
    uint64_t before;     /* revision; 0 = none or not known */
    uint64_t after;      /* revision; 0 = none */
    uint64_t count;      /* how often, when equal events are one entry (audit_add_repeated); 0 = once */
    int64_t last_ms;     /* realtime of the last of them */
    bool stored;         /* set by audit_take_waiting: an older form of it is on the disk */
};

/* The newest entries, in memory: `keep` of what people did, as many of what nodes wrote about themselves, and
 * as many of what was refused or read: none of them pushes another class's out. One lock. Whoever has it
 * keeps it durable (state): an entry is either staged with its write, or waits until somebody has stored it.
 */
struct audit;
int audit_new(size_t keep, struct audit **ret, struct err *err) MUST_CHECK;
void audit_free(struct audit *audit); /* accepts NULL */
/* Copies the entry; it can be read at once and waits to be stored. Without memory it is dropped (the log line
 * has it all the same). */
void audit_add(struct audit *audit, const struct audit_entry *entry);
/* The same for a write that is not on the disk yet: nobody can read the entry before audit_settle. The
 * entry's sequence, which it has also when there was no memory to keep it here. */
uint64_t audit_stage(struct audit *audit, const struct audit_entry *entry);
/* The same for what comes again and again: when an event with equal `what` was added less than
 * AUDIT_REPEAT_MS ago, its entry counts one more and waits to be stored again. true: it is a new entry. */
#define AUDIT_REPEAT_MS (10 * 60000)
bool audit_add_repeated(struct audit *audit, const struct audit_entry *entry, const void *what,
                        size_t what_len);
/* A staged or waiting entry is stored now; or (false) a staged one's write has failed, and it is dropped. */
void audit_settle(struct audit *audit, uint64_t sequence, bool stored);
/* Copies of up to `max` waiting entries, oldest first, into `arena`; they go on waiting until audit_settle.
 */
int audit_take_waiting(struct audit *audit, size_t max, struct arena *arena, struct audit_entry **ret,
                       size_t *ret_count, struct err *err) MUST_CHECK;
size_t audit_waiting(struct audit *audit);
/* At start: an entry that is stored, with its sequence, in ascending order; one that cannot be read, which
 * only has its place; … and that sequences up to this one have been used. */
void audit_restore(struct audit *audit, const struct audit_entry *entry);
void audit_restore_unreadable(struct audit *audit, uint64_t sequence);
void audit_skip(struct audit *audit, uint64_t sequence);
/* Stored entries that are no longer kept: up to `max` of their sequences, which the caller drops from the
 * store. How many there are. */
size_t audit_take_dropped(struct audit *audit, uint64_t *ret, size_t max);
size_t audit_dropped(struct audit *audit);
/* Which entries; NULL texts match all. */
struct audit_filter {
    int event; /* enum audit_event, -1 = all */
    const char *user;
    const char *resource;
    const char *name;
    int64_t since_ms; /* 0 = all */
    int64_t until_ms; /* 0 = all; exclusive */
};
/*
 * Up to `max` matching entries with sequence < `below` (0 = all), newest first, copied into `arena`.
 * *ret_more: there are further ones.
 */
int audit_read(struct audit *audit, const struct audit_filter *filter, uint64_t below, size_t max,
               struct arena *arena, struct audit_entry **ret, size_t *ret_count, bool *ret_more,
               struct err *err) MUST_CHECK;

#endif
