/*
 * Status: what the sessions of the fleet really do, compared with the lists and from both ends (design:
 * status). Pure data: no I/O, no clock of its own (callers say the time), nothing durable.
 *
 * For every node it keeps when the node was last heard, which list it has, which sessions its newest lists
 * want, and its newest report. A session is judged from four things: what this end wants and has, and what
 * the other end wants and has. Times are milliseconds of the monotonic clock unless said otherwise.
 *
 * All functions may be called from any thread. Locks: one of 64 stripes by slot for a node's pointers, held
 * for a few instructions and never two at a time; what the pointers lead to is immutable and counted.
 */
#ifndef BGPPEERD_STATUS_H
#define BGPPEERD_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bgp.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/random.h"
#include "peering.h"

#define STATUS_SESSIONS_MAX       4096  /* of one report; beyond: ERR_TOO_LARGE */
#define STATUS_REPORT_INTERVAL_MS 30000 /* how often an agent reports when nothing changes */
#define STATUS_SILENT_MS          90000 /* three intervals without a poll and a report: silent */
#define STATUS_SETTLE_MS          90000 /* how long a daemon may take to bring up what it was just given */
#define STATUS_HALF_UP_MS         60000 /* two intervals: how long two reports may differ for being apart */
#define STATUS_TWO_AGENTS_MS      90000 /* two boots that alternate within this time are two agents */
#define STATUS_TEXT_MAX           128   /* of an agent's texts, NUL included; longer ones are cut */
#define STATUS_MESSAGE_MAX        320
#define STATUS_NAME_MAX           254 /* of a node, NUL included */

/* ---- what an agent says ---- */

/* The kernel's counters of what its TCP has dropped, of the whole host; they only grow. */
enum kernel_counter {
    KERNEL_MD5_FAILURE,    /* TcpExtTCPMD5Failure */
    KERNEL_MD5_NOT_FOUND,  /* TcpExtTCPMD5NotFound */
    KERNEL_MD5_UNEXPECTED, /* TcpExtTCPMD5Unexpected */
    KERNEL_MIN_TTL_DROP,   /* TcpExtTCPMinTTLDrop */
    KERNEL_COUNTER_COUNT
};

/* One session as its daemon tells it. */
struct status_session {
    struct ip_addr address;
    uint16_t port;           /* 179 when the report has none */
    uint8_t state;           /* enum session_state, never SESSION_ABSENT */
    uint8_t error;           /* enum session_error */
    bool error_from_remote;  /* the far end said it */
    bool shut_down;          /* the daemon's own configuration keeps it down */
    int32_t hold_time_s;     /* negotiated; -1 = not known */
    uint32_t transitions;    /* how often it became Established */
    uint32_t received, sent; /* prefixes */
    int64_t since_ms;        /* realtime: when it entered its state; 0 = not known */
    int64_t error_at_ms;     /* realtime; 0 = not known */
};

/* A report, as decoded; texts are borrowed for the call. */
struct status_report {
    const char *list;      /* ETag (without quotes) of the list that the daemon has taken; NULL = none yet */
    int64_t applied_at_ms; /* realtime, as the agent's clock says; 0 = not known */
    const char *apply_error; /* why the newest list could not be applied; NULL = it could */
    const char *agent_version;
    const char *daemon; /* "BIRD 2.0.12" */
    const char *boot;   /* names one life of the agent */
    uint64_t sequence;  /* grows within it */
    bool has_counters;
    uint64_t counters[KERNEL_COUNTER_COUNT];
    size_t session_count;
    const struct status_session *sessions; /* in any order; two of one key: the last one counts */
};

/* ---- verdicts ---- */

enum status_verdict {
    VERDICT_UP,
    VERDICT_HALF_UP,
    VERDICT_DOWN,
    VERDICT_CONVERGING,
    VERDICT_WITHHELD,
    VERDICT_INCOMPATIBLE,
    VERDICT_UNEXPECTED,
    VERDICT_MISSING,
    VERDICT_UNKNOWN,
    VERDICT_COUNT
};
const char *verdict_name(enum status_verdict verdict); /* "HalfUp". Static. */
bool verdict_by_name(const char *name, enum status_verdict *ret);

/* What one session is to be, as far as judging it needs. */
struct status_want {
    struct ip_addr address; /* the far end's */
    uint16_t port;          /* the far end's; 179 when the list has none */
    uint32_t as_number;
    uint32_t local_as_number;
    uint32_t remote_slot; /* STATUS_NO_SLOT: not one of our nodes */
    uint8_t ttl_security;
    bool external;
    bool passive;
    bool withheld;
    bool has_password;
    uint64_t password;    /* of the password's fingerprint; 0 = none */
    uint64_t digest;      /* of everything in the list's entry: equal means that nothing about it changed */
    const char *bgp_peer; /* that it comes from; NULL: the mesh. Lives as long as the want */
};
#define STATUS_NO_SLOT UINT32_MAX

/* One end of a session, as far as it is known. */
struct status_end {
    const char *node;                 /* its name */
    int64_t heard_age_ms;             /* since its newest poll or report; -1: never */
    bool reports;                     /* its agent has reported within STATUS_SILENT_MS */
    bool applied;                     /* … that it has taken this session as it is in the newest list */
    int64_t applied_age_ms;           /* since then */
    const char *apply_error;          /* NULL = none */
    bool knows_list;                  /* its newest list is known, so that `want` tells something */
    const struct status_want *want;   /* NULL: its list has no such session */
    const struct status_session *has; /* NULL: its daemon has no such session */
    int64_t has_age_ms;               /* since the report first said this state */
    bool was_up;                      /* Established at some time since `applied` */
    bool error_is_new;                /* the daemon's error happened since `applied` */
    enum session_error kernel_error;  /* what the kernel's counters tell about it; NONE: nothing */
};

struct status_judgement {
    enum status_verdict verdict;
    char message[STATUS_MESSAGE_MAX]; /* one sentence: the likely cause; "" when there is nothing to say */
};

/*
 * The verdict on one session, seen from `here`. `there` NULL: the far end is not one of our nodes. Pure.
 * The rules, in their order, stand in judge.c.
 */
void status_judge(const struct status_end *here, const struct status_end *there,
                  struct status_judgement *ret);

/* ---- the fleet ---- */

struct fleet_status;

/* News are numbered from `first` + 1 on: with a clock's microseconds for it, no number of an earlier life of
 * the process is taken for one of this life. */
int status_new(uint64_t first, struct fleet_status **ret, struct err *err) MUST_CHECK;
void status_free(struct fleet_status *status); /* accepts NULL; nobody may use it any more */

/* A node's place. The uid tells a node from an earlier one that had its slot. */
struct status_node_key {
    uint32_t slot;
    const char *name;
    const char *uid;
};

/* A poll by the node itself: it has the list with this ETag (NULL: it has none yet). `waits`: the poll is
 * parked, which counts as being heard until status_note_poll is called with false. Never fails, never waits
 * for memory: a node that is not known yet is known from its first list on. */
void status_note_poll(struct fleet_status *status, const struct status_node_key *key, const char *etag,
                      bool waits, int64_t now_ms);

/* What the caller knows of lists and this room does not. */
struct status_lists {
    int64_t (*slot_of)(void *arg, const char *node); /* -1: there is no such node */
    /* Of all that the list's document says of an entry: equal numbers mean that nothing about it changed. */
    uint64_t (*digest_of)(void *arg, const struct peering_entry *entry);
    void *arg;
    uint64_t revision; /* that the list was computed from */
};
/* The node's newest list. An equal ETag changes nothing, and nor does a list of an older revision than the
 * newest. */
int status_set_list(struct fleet_status *status, const struct status_node_key *key,
                    const struct peering_list *list, const char *etag, const struct status_lists *lists,
                    struct err *err) MUST_CHECK;
/* The node was deleted. */
void status_forget(struct fleet_status *status, uint32_t slot);

enum status_taken {
    STATUS_TAKEN,     /* something is new */
    STATUS_SAME,      /* it says what the one before said */
    STATUS_OUTDATED,  /* an older sequence of the same boot: ignored */
    STATUS_NOT_KNOWN, /* (status_take_same) there is no such report any more: send the whole */
};
/* `now_real_ms`: the same instant on the realtime clock, by which the ages of what the agent's clock says are
 * told; times in the future count as now. ERR_TOO_LARGE: too many sessions. */
int status_take_report(struct fleet_status *status, const struct status_node_key *key,
                       const struct status_report *report, int64_t now_ms, int64_t now_real_ms,
                       enum status_taken *ret, struct err *err) MUST_CHECK;
/* "Nothing changed since the report with this digest" (status_node_view.digest). */
enum status_taken status_take_same(struct fleet_status *status, const struct status_node_key *key,
                                   const char *boot, uint64_t sequence, const char *digest, int64_t now_ms);

/* Does the node have its newest list? What its agent says it has applied decides, or, when it does not
 * report, what its newest poll had. */
enum status_list_state { STATUS_LIST_CURRENT, STATUS_LIST_BEHIND, STATUS_LIST_SILENT };
const char *status_list_state_name(enum status_list_state state); /* "current". Static. */

/* What is known of a node. Texts are valid during the call that hands it out. */
struct status_node_view {
    const char *name;
    int64_t heard_age_ms; /* -1: never */
    bool waits;           /* a poll of it is parked */
    enum status_list_state list;
    bool reports;              /* its agent has reported within that time */
    const char *fetched;       /* ETag that its newest poll had; "" = none */
    const char *current;       /* ETag of its newest list; "" = not computed yet */
    const char *applied;       /* ETag that its agent says it has applied; "" = none */
    const char *apply_error;   /* "" = none */
    const char *agent_version; /* "" = not known, as those below */
    const char *daemon;
    const char *digest;
    bool two_agents; /* two agents report for it in turns */
};

struct status_standing {
    enum status_list_state list;
    bool fetched;     /* it has fetched its newest list, or more */
    bool applied;     /* … and applied it */
    int64_t sessions; /* that its newest list wants; -1: the list is not known */
    uint32_t up;      /* sessions of it that are Up, as of the last sweep */
    char name[STATUS_NAME_MAX];
    char daemon[STATUS_TEXT_MAX]; /* as its agent calls it; "" = not known */
};
/* false: nothing is known of that slot. */
bool status_node_standing(struct fleet_status *status, uint32_t slot, int64_t now_ms,
                          struct status_standing *ret);

/* One row of what a node's sessions are, desired and reported, seen from that node. */
struct status_row {
    const struct status_want *want;     /* NULL: not in the list */
    const struct status_session *here;  /* NULL: not reported */
    const struct status_session *there; /* NULL: not reported, or the far end is not ours */
    const char *remote;                 /* name of the far node; NULL: not ours */
    struct ip_addr address;
    uint16_t port;
    struct status_judgement judgement;
};

/* `row` is called for each session, by address and port; false ends the visit. -1: ERR_NOT_FOUND (nothing is
 * known of the node), ERR_NO_MEMORY. `view` may be NULL, and so may `row`. */
int status_visit_node(struct fleet_status *status, uint32_t slot, int64_t now_ms,
                      void (*view)(void *arg, const struct status_node_view *view),
                      bool (*row)(void *arg, const struct status_row *row), void *arg,
                      struct err *err) MUST_CHECK;

/* The same for one session of the node: false, and no call, when there is none. `life`: of which node with
 * that slot (status_news). */
bool status_visit_session(struct fleet_status *status, uint32_t slot, uint32_t life,
                          const struct ip_addr *address, uint16_t port, int64_t now_ms,
                          bool (*row)(void *arg, const struct status_row *row), void *arg);

/* ---- news: what happened to sessions, for those who watch them ---- */

#define STATUS_NEWS_KEPT 131072 /* of all sessions together; a storm over 10,000 nodes fits */

enum status_news_type { STATUS_ADDED, STATUS_CHANGED, STATUS_DELETED };

/* What is to be seen of a session at one moment. */
struct status_sight {
    uint8_t verdict; /* enum status_verdict */
    uint8_t here;    /* enum session_state; SESSION_ABSENT: not reported */
    uint8_t there;
};

/* A session came, went, or looks different. What happens to one session within a sweep is one. */
struct status_news {
    uint64_t sequence;
    enum status_news_type type;
    struct status_sight before; /* ADDED: nothing */
    struct status_sight after;  /* DELETED: as it was last */
    uint32_t slot;
    uint32_t life;
    struct ip_addr address;
    uint16_t port;
    char node[STATUS_NAME_MAX];
};

/* The number of the newest. What happens from then on is kept for who asks within some minutes; while nobody
 * does, nothing is. */
uint64_t status_newest(struct fleet_status *status);
/* Up to `max` with sequence > after, the oldest first. ERR_EXPIRED: some of those are forgotten, or `after`
 * is a number of another process. */
int status_read_news(struct fleet_status *status, uint64_t after, struct status_news *items, size_t max,
                     size_t *ret_count, struct err *err) MUST_CHECK;

/* Tells somebody that there are news. Memory is the caller's. */
struct status_watcher {
    void (*wake)(void *arg); /* once per arming, from the sweep's thread: must not call back into this room */
    void *arg;
    /* the room's own */
    struct status_watcher *prev, *next;
    bool linked;
};
/* *ret_ready true: there are some with sequence > after already (or they are forgotten); nothing was armed.
 */
void status_watch_arm(struct fleet_status *status, struct status_watcher *watcher, uint64_t after,
                      bool *ret_ready);
/* true: disarmed, wake will not be called. false: it was not armed, or wake has been or is being called. */
bool status_watch_disarm(struct fleet_status *status, struct status_watcher *watcher);

/* ---- changes ---- */

/* A session's verdict went over a border: to Up, or from it, or between other classes. */
struct status_transition {
    const char *node;
    struct ip_addr address;
    uint16_t port;
    const char *remote; /* NULL: not one of ours */
    enum status_verdict from;
    enum status_verdict to;
    uint32_t folded; /* further changes that were left out because the session flaps; 0 = none */
    const char *message;
};

/*
 * Judge again what may have changed since the last call, and what time alone changes. One thread at a time.
 * `on_change` is called for each transition; the first verdict of a session that was Unknown since the start
 * is none. At most `max_nodes` nodes are looked at (0: all that are due); returns how many were.
 */
size_t status_sweep(struct fleet_status *status, int64_t now_ms, size_t max_nodes,
                    void (*on_change)(void *arg, const struct status_transition *transition), void *arg);

/* Sums over all nodes as of the last sweep. */
struct status_totals {
    uint64_t verdicts[VERDICT_COUNT][2]; /* [..][external] */
    uint64_t nodes;                      /* of which something is known */
    uint64_t nodes_current;              /* heard, and have their newest list */
    uint64_t nodes_behind;               /* heard, and do not */
    uint64_t nodes_silent;
    uint64_t reports[3];                 /* by enum status_taken: TAKEN, SAME, OUTDATED */
    uint64_t transitions[VERDICT_COUNT]; /* by the new verdict */
    uint64_t memory;                     /* bytes that reports and wants take */
};
void status_read_totals(struct fleet_status *status, int64_t now_ms, struct status_totals *ret);

#endif
