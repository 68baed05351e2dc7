/*
 * Inside the render room: what is to be written, before it is known how. A plan is a list lowered once for
 * all daemons: rules without options and defaults, numbers and addresses parsed, sessions with their state
 * decided.
 */
#ifndef BGPPEERD_RENDER_PLAN_H
#define BGPPEERD_RENDER_PLAN_H

#include "fields.h"

#define BGP_HOLD_MAX_S      65535 /* RFC 4271: 16 bits */
#define BGP_KEEPALIVE_MAX_S (BGP_HOLD_MAX_S / 3)
#define BGP_RESTART_MAX_S   4095 /* RFC 4724: 12 bits */
#define PLAN_PASSWORD_MAX   80   /* TCP_MD5SIG_MAXKEYLEN of Linux */
/* A priority travels between nodes as a local preference, the lower the better: this minus the priority
 * (Calico v3.32). */
#define PLAN_PRIORITY_BASE 2147483647u

enum direction { DIRECTION_IMPORT, DIRECTION_EXPORT };

/* A standard community has two parts of 16 bits, a large one three of 32; 0 parts: none. */
struct plan_community {
    uint8_t parts;
    uint32_t part[3];
};

enum operation_kind { OPERATION_COMMUNITY, OPERATION_PREPEND, OPERATION_PRIORITY };
struct plan_operation {
    enum operation_kind kind;
    struct plan_community community;
    size_t path_count; /* OPERATION_PREPEND: the path will begin with these, in this order */
    const uint32_t *path;
    uint32_t priority;
};

/* One rule of a BGPFilter. A route meets it when it meets every condition that is there. */
struct plan_rule {
    size_t number; /* its place in the BGPFilter's list, from 1 */
    bool has_net; /* the prefix lies in `net`, with a length from min to max: net's length ≤ min ≤ max … */
    bool not_net; /* … or just not so */
    struct ip_cidr net;
    uint8_t min, max;
    char net_text[IP_CIDR_TEXT_MAX];
    const char *interface;           /* NULL: any; may have '*' */
    bool remote_peers;               /* only routes that are learned by BGP */
    bool only_external;              /* only on sessions with external peers */
    bool only_internal;              /* only on sessions with internal peers */
    struct plan_community community; /* 0 parts: any */
    size_t path_count;               /* the AS path begins with these; 0: any */
    const uint32_t *path;
    uint32_t priority; /* 0: any */
    bool accept;
    size_t operation_count;
    const struct plan_operation *operations;
};
struct plan_rules {
    size_t count; /* without those that no route can meet */
    const struct plan_rule *items;
};
struct plan_filter {
    const char *name; /* as in the list */
    const char
        *symbol;     /* the same for daemons: unique, at most PLAN_SYMBOL_MAX of letters, digits, `_ . - :` */
    bool unreadable; /* a rule has a value that its kind does not allow */
    struct plan_rules rules[2][2]; /* by family (0 = IPv4) and direction */
};
#define PLAN_SYMBOL_MAX 48

enum session_state {
    SESSION_ON,
    SESSION_DISABLED, /* written, but the daemon must not open it */
    SESSION_LEFT_OUT, /* the daemon would refuse the whole file for it: only a comment */
};

struct plan_problem {
    struct plan_problem *next;
    struct render_problem problem;
};
struct plan_problems {
    size_t count;
    struct plan_problem *first, **last;
};

struct plan_session {
    const struct peering_entry *entry;
    const char *name; /* unique: "10.9.0.2", with a port of its own "10.9.0.2.1790" */
    enum session_state state;
    const char *reason;   /* why it is not on; NULL when it is */
    uint16_t port;        /* 0: 179, which must not be written (some daemons then restart the session) */
    const char *source;   /* NULL: none, or none that can be written */
    const char *gateway;  /* reachableBy; NULL: none, or none that can be written */
    uint32_t keepalive_s; /* meaningful when has_timers; 0 is a value */
    bool has_timers;
    int64_t restart_s;   /* -1 = absent */
    uint32_t allowed_as; /* 0 = absent */
    bool client;         /* of this route reflector */
    size_t password_at;  /* in plan.passwords */
    size_t password_len; /* 0: none */
    size_t filter_count;
    const struct plan_filter **filters;
    struct plan_problems problems;
};

struct plan {
    const struct render_format *format;
    const struct peering_list *list;
    const struct render_options *options;
    struct arena *arena;
    size_t session_count;
    struct plan_session *sessions;
    size_t filter_count;
    struct plan_filter *filters;
    struct plan_problems problems; /* about the node */
    struct buf passwords;          /* wiping */
    bool sourceless[2];            /* by family: some session has no source */
    bool reflects;                 /* the node is a route reflector */
    bool failed;                   /* memory is out */
};

/* What one daemon's writer is. */
struct render_writer {
    enum render_daemon daemon;
    const char *comment; /* what begins a line of comment */
    bool by_address;     /* a session is known by its address alone */
    /* Can this password be written so that the daemon gets the same bytes? There are 1 to PLAN_PASSWORD_MAX.
     */
    bool (*takes_password)(const char *password, size_t len);
    /* Tells plan_cannot() what else the daemon cannot express. NULL: nothing. */
    void (*check_session)(struct plan *plan, struct plan_session *session);
    void (*check_node)(struct plan *plan);
    void (*write)(const struct plan *plan, struct buf *out);
};
extern const struct render_writer BIRD_WRITER;
extern const struct render_writer FRR_WRITER;
extern const struct render_writer GOBGP_WRITER;
extern const struct render_writer OPENBGPD_WRITER;

/* Lowers the list. Free with plan_done, whatever happened; plan->failed: memory is out. */
void plan_init(struct plan *plan, const struct render_format *format, const struct peering_list *list,
               const struct render_options *options, struct arena *arena);
void plan_done(struct plan *plan);

/* The daemon cannot take this value: what then happens stands in the table of fields. `session` NULL: about
 * the node. */
void plan_cannot(struct plan *plan, struct plan_session *session, enum list_field field);
/* No daemon could write this session at all. */
void plan_leave_out(struct plan *plan, struct plan_session *session, enum list_field field);

static inline size_t plan_family(const struct plan_session *session) {
    return session->entry->address.family == IP_V6;
}
static inline const char *plan_password(const struct plan *plan, const struct plan_session *session) {
    return plan->passwords.data + session->password_at;
}
/* Does the rule say anything on this session? */
static inline bool plan_rule_applies(const struct plan_rule *rule, const struct plan_session *session) {
    return session->entry->external ? !rule->only_internal : !rule->only_external;
}
/* Does the session get what the node has learned, because the node reflects it? */
static inline bool plan_reflects_to(const struct plan *plan, const struct plan_session *session) {
    return plan->reflects && !session->entry->external;
}
/* Is there a session of this family (0 = IPv4) in the daemon's file? */
bool plan_has_family(const struct plan *plan, size_t family);

/* ---- rules.c ---- */

/* Lowers one BGPFilter. false: memory is out. */
bool plan_lower_filter(const struct peering_filter *source, struct arena *arena, struct plan_filter *ret);
/* Is it the name of an interface, perhaps with `*`, as BGPFilter and BGPConfiguration have it? */
bool plan_is_interface(const char *text);
/* "65000:100" or "65000:1:2"; false: it is neither. */
bool plan_parse_community(const char *text, struct plan_community *ret);
void plan_add_community(struct buf *out, const struct plan_community *community, const char *separator);

/* ---- comment.c ---- */

/* The first lines of a file: what it is. */
void comment_head(const struct plan *plan, struct buf *out);
/* The lines before a session: a line of key=value that programs read, and its problems. */
void comment_session(const struct plan *plan, const struct plan_session *session, struct buf *out);
/* Who the session's peer is, in words, for a description. */
void comment_origin(const struct plan_session *session, struct buf *out);

#endif
