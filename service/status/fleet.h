/*
 * Inside the status room: the nodes, and what is known of each.
 *
 * A node's members are guarded by its stripe's lock, but for those of the sweep, which one thread uses under
 * the sweep's own lock. Lock order: sweep, then one stripe; never two stripes. Lists and reports are
 * immutable once they are linked, and counted, so that they can be read without a lock.
 */
#ifndef BGPPEERD_STATUS_FLEET_H
#define BGPPEERD_STATUS_FLEET_H

#include <pthread.h>
#include <stdatomic.h>

#include "status.h"

#define FLEET_STRIPES    64
#define FLEET_CHUNK      256
#define FLEET_CHUNKS_MAX 16384
#define FLEET_LISTS      3 /* the newest, and two before it that an agent may still be on */
#define FLEET_UID_MAX    UUID_TEXT_MAX
#define FLEET_BOOT_MAX   48
#define FLEET_NAME_MAX   STATUS_NAME_MAX

/* A node's name, which is told also of one that is gone. */
struct fleet_name {
    atomic_uint refs;
    char text[];
};

/* The sessions that one list wants, by address and port. The names of their BGPPeers stand behind them. */
struct wants {
    atomic_uint refs;
    char etag[DIGEST_TEXT_MAX];
    size_t size;                   /* bytes, of all of it */
    uint16_t own_port;             /* where far ends connect to */
    struct ip_addr own_v4, own_v6; /* what they connect to; IP_NONE: nothing */
    size_t count;
    struct status_want items[];
};

/* One reported session, and what earlier reports add to it. */
struct reported {
    struct status_session session;
    uint64_t want;        /* digest of the want that it fulfils in the list the agent has applied; 0: none */
    int64_t applied_ms;   /* since when it fulfils that */
    int64_t state_ms;     /* since when it is in its state */
    bool was_up;          /* Established at some time since applied_ms */
    bool error_is_new;    /* its error happened since applied_ms */
    uint8_t kernel_error; /* enum session_error: what the kernel's counters add to what the daemon says */
};

/* A report as it is kept; sessions by address and port. */
struct report {
    atomic_uint refs;
    char list[DIGEST_TEXT_MAX]; /* "" = none */
    char digest[DIGEST_TEXT_MAX];
    const char *boot; /* these four stand behind the sessions */
    const char *apply_error;
    const char *agent_version;
    const char *daemon;
    size_t size;             /* bytes, of all of it */
    int64_t applied_ms;      /* since when the agent has `list` */
    int64_t applied_real_ms; /* the same by its own clock; 0 = not known */
    bool has_counters;
    uint64_t counters[KERNEL_COUNTER_COUNT];
    bool linked; /* `want` of the sessions is known */
    size_t count;
    struct reported items[];
};

/* What the sweep remembers of a session. */
struct judged {
    struct ip_addr address;
    uint16_t port;
    uint8_t verdict; /* enum status_verdict */
    uint8_t class;   /* the last one that is not Converging */
    bool fresh;      /* not judged to be anything but Unknown or Converging since the start */
    bool external;
    struct status_sight sight; /* as the newest news has it */
    bool seen;                 /* in the present walk */
    uint8_t rows;              /* transitions told in the window */
    uint32_t folded;           /* … and not told */
    int64_t window_ms;         /* when the window began */
    uint64_t news;             /* number of the newest about it; 0: none */
};

struct fleet_node {
    bool known;
    struct fleet_name *name; /* NULL: not known */
    char uid[FLEET_UID_MAX];
    uint32_t life; /* counts the nodes that have had this slot */
    /* Polls. */
    int64_t polled_ms; /* -1: never */
    bool waits;
    char fetched[DIGEST_TEXT_MAX];
    /* Lists, the newest first; NULL: none. */
    struct wants *lists[FLEET_LISTS];
    uint64_t list_revision; /* that the newest was computed from */
    /* Reports. */
    struct report *report; /* NULL: none */
    int64_t reported_ms;
    uint64_t sequence;
    char other_boot[FLEET_BOOT_MAX]; /* the boot that reported before the present one */
    int64_t other_boot_ms;           /* … and when; -1: never */
    int64_t two_agents_ms;           /* when two boots were last seen to alternate; -1: never */
    bool dirty;
    /* The sweep's. */
    uint32_t judged_life;
    struct fleet_name *judged_name; /* of that life; NULL: none was known */
    _Atomic uint32_t up;            /* of those below, that are Up; read without a lock */
    struct judged *judged;
    size_t judged_count;
    size_t judged_cap;
    bool judged_before; /* has the node been looked at since the start? */
    int64_t due_ms;
};

/* One of the news as it is kept. */
struct news_item {
    struct fleet_name *name;
    uint32_t slot;
    uint32_t life;
    struct ip_addr address;
    uint8_t type; /* enum status_news_type */
    struct status_sight before;
    struct status_sight after;
    uint16_t port;
};

struct news {
    pthread_mutex_t lock;   /* taken last */
    struct news_item *ring; /* `cap` places, which double until there are STATUS_NEWS_KEPT; number n is at
                             * (n - first - 1) % cap */
    size_t cap;
    uint64_t first;     /* numbers begin behind it */
    uint64_t forgotten; /* up to this number nothing can be read any more */
    uint64_t newest;
    uint64_t shown; /* up to this number they are there for others: the sweep before was done then */
    struct status_watcher *armed;
    bool asked;     /* somebody has read or waited since the sweep before */
    unsigned quiet; /* sweeps since then; from NEWS_QUIET on nothing is kept */
};

struct fleet_chunk {
    struct fleet_node nodes[FLEET_CHUNK];
};

struct fleet_status {
    pthread_mutex_t stripes[FLEET_STRIPES];
    pthread_mutex_t grow; /* making chunks */
    _Atomic(struct fleet_chunk *) chunks[FLEET_CHUNKS_MAX];
    atomic_uint chunk_count; /* all chunks in use are below */
    atomic_uint_fast64_t memory;
    atomic_uint_fast64_t reports[STATUS_OUTDATED + 1];

    pthread_mutex_t sweep;
    uint64_t verdicts[VERDICT_COUNT][2];
    uint64_t transitions[VERDICT_COUNT];
    uint32_t sweep_next; /* slot where the next partial sweep begins */
    struct news news;
};

struct fleet_name *fleet_name_ref(struct fleet_name *name); /* accepts NULL */
void fleet_name_unref(struct fleet_name *name);             /* accepts NULL */

/* The node of a slot; NULL: no node was ever there. Its members want its stripe's lock. */
struct fleet_node *fleet_node(struct fleet_status *status, uint32_t slot);
pthread_mutex_t *fleet_stripe(struct fleet_status *status, uint32_t slot);
/* The node of `key`, made or made anew when it is another one than before; locked. NULL: memory is out, or
 * there are too many slots; nothing is locked then. */
struct fleet_node *fleet_lock(struct fleet_status *status, const struct status_node_key *key,
                              struct err *err);

struct wants *wants_ref(struct wants *wants); /* accepts NULL */
void wants_unref(struct fleet_status *status, struct wants *wants);
struct report *report_ref(struct report *report); /* accepts NULL */
void report_unref(struct fleet_status *status, struct report *report);

/* By address, then port: <0, 0, >0. */
int fleet_compare(const struct ip_addr *a, uint16_t a_port, const struct ip_addr *b, uint16_t b_port);
/* What the far end of a session with an address of `family` calls this end. */
const struct ip_addr *wants_own(const struct wants *wants, uint8_t family);
/* NULL: not there. `wants` and `report` may be NULL. */
const struct status_want *wants_find(const struct wants *wants, const struct ip_addr *address, uint16_t port);
const struct reported *report_find(const struct report *report, const struct ip_addr *address, uint16_t port);

/* Everything about one node at one moment: references and copies, usable without locks. */
struct fleet_view {
    uint32_t slot;
    uint32_t life;
    bool known;
    struct fleet_name *name_ref; /* NULL: not known */
    const char *name;            /* its text, or what to call a node that is not known */
    char fetched[DIGEST_TEXT_MAX];
    struct wants *lists[FLEET_LISTS];
    struct report *report;
    int64_t polled_ms;
    int64_t reported_ms;
    bool waits;
    bool two_agents;
};
/* `known` false: nothing is known of the slot, and nothing needs to be given back. */
void fleet_view_take(struct fleet_status *status, uint32_t slot, int64_t now_ms, struct fleet_view *ret);
void fleet_view_done(struct fleet_status *status, struct fleet_view *view);
/* How long ago, in ms, somebody of the node's was heard of; 0 while a poll waits, -1: never. All times are
 * monotonic. */
int64_t fleet_age(bool waits, int64_t polled_ms, int64_t reported_ms, int64_t now_ms);
int64_t fleet_heard_age(const struct fleet_view *view, int64_t now_ms);
/* From when the node was heard (-1: never), and the ETags of what it has and should have (NULL: none). */
enum status_list_state fleet_list_state(int64_t heard_age_ms, const char *has, const char *current);
bool fleet_reports(const struct fleet_view *view, int64_t now_ms);

/* What a row borrows of the far end. */
struct fleet_far {
    char name[FLEET_NAME_MAX];
    struct status_session session;
};
/* The session of `view`'s node with that key, judged: in its list, or reported, or both. The row borrows from
 * the view and from `far`. */
void fleet_judge(struct fleet_status *status, const struct fleet_view *view, const struct ip_addr *address,
                 uint16_t port, int64_t now_ms, struct status_row *row, struct fleet_far *far);

/* All sessions of the view's node, by address and port, until `row` says false. */
void fleet_visit(struct fleet_status *status, const struct fleet_view *view, int64_t now_ms,
                 bool (*row)(void *arg, const struct status_row *row), void *arg);

/* ---- news.c ---- */

void news_init(struct news *news, uint64_t first);
void news_done(struct news *news);
/* The session looks as `sight` says: news when it did not before. The sweep's. */
void news_note(struct news *news, const struct fleet_view *view, struct judged *judged,
               const struct status_sight *sight);
/* It is gone. */
void news_drop(struct news *news, uint32_t slot, const struct fleet_node *node, const struct judged *judged);
/* The sweep is done: show what there is, and tell those who wait. With no lock held but the sweep's. */
void news_show(struct news *news);

/* The report with its sessions linked to what the applied list wants; under the stripe's lock. -1: no
 * memory; the report stays as it is. */
int report_link(struct fleet_status *status, struct fleet_node *node, struct err *err) MUST_CHECK;

/* Does the error name the cause, so that nothing else has to be looked for? What ended the session before, as
 * a reset or an expired timer, does not say why it is not up again. */
bool status_error_is_certain(enum session_error error);

#endif
