/*
 * State: the running service's one mutable thing. Loads at boot, owns the committer thread, publishes
 * pictures, keeps the cached lists and the recent history, and says who must be woken.
 *
 * All functions may be called from any thread. Callbacks (done, wake) run on the committer's or the
 * notifier's thread: they must not block and must not call back into state.
 */
#ifndef BGPPEERD_STATE_H
#define BGPPEERD_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/causes.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/ip.h"
#include "base/random.h"
#include "codec.h"
#include "model/change_set.h"
#include "model/object.h"
#include "peering.h"
#include "render.h"
#include "snapshot.h"
#include "status.h"
#include "store.h"
#include "vault.h"

#define STATE_KEEP_CHANGES_MIN         1000
#define STATE_KEEP_CHANGES_DEFAULT     10000
#define STATE_CHANGE_BYTES             4096 /* of a kept change's document, on average; of larger ones fewer are kept */
#define STATE_KEEP_AUDIT_DEFAULT       10000
#define STATE_KEEP_TRANSITIONS_DEFAULT 500000
#define STATE_HISTORY_DAYS_DEFAULT     90
#define STATE_HISTORY_BYTES_DEFAULT    ((uint64_t)1 << 30)
#define STATE_HISTORY_SPACE                                                                                  \
    ((uint64_t)64 << 20)          /* of the store's disk: with less free, history is trimmed                 \
                                   */
#define STATE_QUEUE_MAX      8192 /* writes waiting for the committer; beyond: 503 */
#define STATE_USER_QUEUE_MAX 4096 /* … of one user; beyond: 429 */
#define STATE_NODE_QUEUE_MAX 32   /* … of a node, for `waiting_max` */
#define STATE_BATCH_MAX      256  /* writes that share one transaction; one group may be larger */

struct state;

struct state_options {
    struct vault *vault;          /* open, outlives the state; NULL: Secrets are refused */
    const char *secret_namespace; /* where secretKeyRef resolves; copied */
    uint64_t keep_changes;        /* changes kept in memory, for watches, and at least on disk; 0 = default */
    int64_t keep_history_ms;      /* how long the store keeps changes beyond those; 0 = default */
    uint64_t max_history_bytes;   /* of the store's changes, beyond which the oldest go; 0 = default */
    uint64_t keep_audit; /* entries of the audit trail kept of each class (auth.h), likewise; 0 = default */
    uint64_t max_disruptive_sessions; /* the brake (state/brake.h); 0 = it is off */
    unsigned max_disruptive_percent;  /* 1–100; 0 = it is off */
    uint64_t keep_transitions;        /* changes of sessions' verdicts kept in the store; 0 = default */
    const struct ip_ranges
        *node_ranges; /* where nodes may choose their own addresses; NULL = anywhere; copied */
};

/* Load everything from the store and start the threads. The store stays the caller's, and must outlive
 * the state. ERR_CORRUPT: the store holds an object that cannot be read (names it). */
int state_open(struct store *store, const struct state_options *options, struct state **ret,
               struct err *err) MUST_CHECK;
/* Finish the queued changes, stop the threads, free. Nobody may use the state any more. Accepts NULL. */
void state_close(struct state *state);

/* ---- reading ---- */

/* A snapshot and its index, published together. Immutable, reference counted. */
struct picture {
    const struct snapshot *snapshot;
    const struct peering_index *index;
};
/* The newest; one reference, given back with picture_unref. Never fails. */
struct picture *state_picture(struct state *state);
struct picture *picture_ref(struct picture *picture);
void picture_unref(struct picture *picture); /* accepts NULL */

/* The namespace that secretKeyRef names resolve in. As long as the state. */
const char *state_secret_namespace(const struct state *state);

/* Is the store taking writes? For /readyz: 0, or -1 with the last commit's failure. */
int state_writable(struct state *state, struct err *err) MUST_CHECK;

/* ---- writing ---- */

/* What waits for the committer: first member of a write and of a task. State's own. */
struct job {
    bool is_task;
    bool alone;       /* shares its transaction with no other */
    const char *user; /* users take turns; borrowed */
    size_t user_max;  /* jobs of this user that may wait */
    size_t weight;    /* bytes */
    size_t writes;    /* of its group */
    /* The queue's. */
    struct job *next; /* of the same user; later: of the same batch */
    /* … of the first of a user's jobs: */
    struct job *last, *left, *right, *same_bucket;
    size_t waiting;
};

/* Something else that runs on the committer's thread, between two batches: it commits for itself. State's
 * own; whoever submits one fills in `done` and `arg`. */
struct task {
    struct job job;
    int (*run)(struct state *state, struct task *task, struct err *err);
    void (*done)(struct task *task); /* once, on the committer's thread */
    void *arg;
    void *waiter; /* of whom waits for it, NULL = nobody */
    struct err err;
};

enum write_op {
    WRITE_CREATE,
    WRITE_REPLACE,
    WRITE_APPLY, /* what is stored with a document merged over it (codec_merge); creates what is missing */
    WRITE_PATCH,
    WRITE_DELETE
};

struct draft; /* the fleet as it is after a change, of a whole batch so far; state's own */
typedef int state_guard(const struct draft *draft, const struct object *before, const struct object *after,
                        struct err *err);
/*
 * The guard of what a node itself writes (ERR_FORBIDDEN): nothing but the addresses in its own Node's
 * spec.bgp, and no address that makes it the end of a session that is not its own. An address decides who is
 * the far end of a session, and who gets its password. So a node takes no address that another Node has or
 * that a BGPPeer's peerIP names, and none outside of what operators allow it (state_options.node_ranges,
 * annotation NODE_RANGES_ANNOTATION); and it leaves none when that would give it a password that it has not
 * now.
 */
state_guard state_guard_own_node;
/* On a Node: CIDRs in which the node itself may choose its addresses, separated by commas. Wins over the
 * setting. */
#define NODE_RANGES_ANNOTATION "bgppeerd.io/address-ranges"

/* What a group has done to the fleet: the pictures without and with it (the same one twice: nothing), and the
 * nodes whose lists may differ (NULL: none). */
struct write_effect {
    struct picture *before;
    struct picture *after;
    struct node_set *affected;
};
void write_effect_done(struct write_effect *effect); /* accepts a zeroed one, which it is afterwards */

/*
 * One change on its way. The submitter fills the first part. The write, its `arena` and everything the
 * first part points to must live until `done` is called.
 */
struct write {
    struct job job;
    enum write_op op;
    enum kind kind;
    const char *key;            /* target; CREATE: NULL, it is taken from the object */
    struct object *object;      /* CREATE, REPLACE: decoded and validated. APPLY: the document alone, for when
                                 * nothing is stored; NULL: it is not whole, or breaks a rule, by itself */
    struct arena *object_arena; /* holds `object` and nothing else; taken over, empty afterwards */
    uint64_t if_version;        /* resourceVersion precondition, 0 = none; 409. For all but DELETE the
                                 * document's own resourceVersion and uid are preconditions as well */
    const char *if_uid;         /* uid precondition, NULL = none; 409 */
    const char *if_match;       /* If-Match: the object's ETag without quotes (its resourceVersion), or
                                 * "*"; NULL = none; 412 */
    uint64_t if_fleet;          /* the whole fleet's resourceVersion, 0 = none; 409. First of a group only */
    bool upsert;                /* REPLACE: create what is missing, unless a precondition names it */
    bool dry_run;               /* everything but storing */
    unsigned force;      /* what the writer says that he means to do (enum change_force); of a group all
                          * of its writes', with what their objects say in FORCE_ANNOTATION */
    unsigned may_force;  /* what this writer may say: else ERR_FORBIDDEN. First of a group only */
    bool judged;         /* it is a part of what the brake has let pass as a whole (state_judge_deletion) */
    const char *actor;   /* who, for the change log, the audit trail and the turns; NULL = "" */
    size_t waiting_max;  /* writes of this actor that may wait; 0 = STATE_USER_QUEUE_MAX */
    size_t weight;       /* bytes of the request: what it costs beside others. First of a group only */
    const char *source;  /* from which address, for the audit trail; NULL = not known */
    const char *request; /* the request's id, for the audit trail and the change log; NULL = none */
    const char *
        reason; /* why, in the caller's words, for the change log; NULL = none given. First of a group only */
    /* A last check that needs both objects as they are then, and the fleet with the change in it: -1 with
     * `err` refuses the write. `before` is NULL for a creation, `after` for a deletion; a write that changes
     * nothing is not checked. NULL = none. Runs on the committer's thread. */
    state_guard *guard;
    /*
     * A last look at what a group is about to change, on the committer's thread, which does nothing else
     * meanwhile: -1 with `err` refuses the group. The pictures are those without and with it, `affected` the
     * nodes whose lists may differ; nothing to change: the same picture twice, and NULL. First of a group
     * only, which gets a transaction of its own. NULL = none; not for dry runs.
     */
    int (*verify)(struct write *write, const struct picture *before, const struct picture *after,
                  const struct node_set *affected, struct err *err);
    bool wants_effect; /* `effect` is asked for. First of a group only, which gets a transaction of its own;
                        * not for dry runs */
    /* PATCH, and the document of an APPLY: applied to the object as it is then, so it cannot race. */
    enum patch_type patch_type;
    enum codec_syntax syntax;
    enum codec_unknown unknown;
    const char *patch;
    size_t patch_len;
    size_t patch_operations_max; /* of a JSON patch; 0 = PATCH_OPERATIONS_MAX */

    struct write *also;                /* further writes of one all-or-nothing change, NULL = none; `done` is
                                        * called for the first only, whose `err` is that of the failed one */
    struct arena *arena;               /* for what the outcome says */
    void (*done)(struct write *write); /* once, on the committer's thread */
    void *arg;                         /* the submitter's */

    /* The outcome. */
    struct err err;              /* ERR_NONE = success */
    struct causes causes;        /* when ERR_INVALID; initialised by state */
    struct advice advice;        /* warnings; initialised by state */
    uint64_t before;             /* the object's revision before; 0 = it did not exist, or was not reached */
    const struct record *record; /* the object afterwards (deleted: its last state); the submitter unrefs */
    bool created;                /* answer 201 */
    bool unchanged;              /* nothing needed to be written */
    struct write_effect effect;  /* of a group that was stored, or had nothing to store; write_effect_done */
};

/*
 * Queue a change. Those of one actor are done in their order; actors take turns, so that nobody waits for
 * more of another one's writes than one batch has. -1: ERR_UNAVAILABLE, shutting down or too many waiting;
 * ERR_TOO_MANY_REQUESTS, too many of this actor. Then `done` is not called.
 */
int state_submit(struct state *state, struct write *write, struct err *err) MUST_CHECK;

/*
 * What the picture would be after `write` (and its `also`), without storing anything: for previews.
 * Outcomes are filled in as by a commit; `done` is not called. Runs on the caller's thread.
 * Success: *ret_before and *ret_after (one reference each) and the nodes whose lists may differ.
 */
int state_preview(struct state *state, struct write *write, struct picture **ret_before,
                  struct picture **ret_after, struct node_set **ret_affected, struct err *err) MUST_CHECK;

/*
 * Advice about an object that needs the rest of the fleet: nodes, filters, secrets that do not exist,
 * selectors that match no node, what keeps a BGPPeer from giving sessions. `picture` is the fleet with the
 * record in it; when it is not there, as after a dry run, the fleet with it is computed for the occasion.
 */
void state_advise(struct state *state, const struct picture *picture, const struct record *record,
                  struct advice *advice);
/*
 * Advice about objects of one kind that are gone: Secrets and BGPFilters that sessions still name. In order
 * of their keys. One pass over the BGPPeers, however many they are.
 */
void state_advise_deleted(struct state *state, const struct picture *picture,
                          const struct record *const *deleted, size_t count, struct advice *advice);

/* ---- peering lists ---- */

/* A computed list, immutable, reference counted. */
struct node_list {
    char node[256];
    char etag[DIGEST_TEXT_MAX]; /* without quotes: a function of the content */
    uint64_t resource_version;  /* when this list last changed, as far as this process knows; otherwise
                                 * the newest revision of what it was made from */
    const char *json;           /* the document without passwords */
    size_t json_len;
    bool has_passwords; /* some entry has a password: the node's own answer differs */
    /* Whose list it is, for the status (status_node_key). */
    uint32_t slot;
    char uid[UUID_TEXT_MAX];
    int64_t changed_ns; /* monotonic: when the change became visible that made it; 0 = before the first list
                         * of this node since the start */
};
struct node_list *node_list_ref(struct node_list *list);
void node_list_unref(struct node_list *list); /* accepts NULL */

/* The node's current list, computed when stale. ERR_NOT_FOUND: no such node. One reference. */
int state_node_list(struct state *state, const char *node, struct node_list **ret,
                    struct err *err) MUST_CHECK;

/* The node itself is getting this list: notes how long that took since its change, the first time. */
void state_note_fetched(struct state *state, struct node_list *list);

/*
 * The node's document with its passwords in clear, for the node itself, as the content of `out`, which is
 * made a wiping buffer. `ret_etag` is that of the list it was made from; another one when the vault failed
 * and a session is withheld for that.
 */
int state_reveal_list(struct state *state, const char *node, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct err *err) MUST_CHECK;
/*
 * The node's list as a daemon's configuration, as the content of `out`, which is made a wiping buffer. With
 * `reveal`, for the node itself, its passwords are in it; without, their sessions are disabled. `ret_etag` as
 * of state_reveal_list. The report lives in `arena`.
 */
int state_render_list(struct state *state, const char *node, const struct render_format *format, bool reveal,
                      struct arena *arena, struct buf *out, char ret_etag[DIGEST_TEXT_MAX],
                      struct render_report *ret_report, struct err *err) MUST_CHECK;

/* A parked poll. Memory is the caller's and must stay until `wake` was called or state_unpark said true. */
struct parked {
    char etag[DIGEST_TEXT_MAX];          /* what the poller has */
    void (*wake)(struct parked *parked); /* once: the list no longer has `etag`, or the node is gone */
    void *arg;
    /* state's own */
    struct parked *prev, *next;
    uint32_t slot;
    bool linked;
};
/* *ret_changed true: the list already differs and nothing was parked. -1: ERR_NOT_FOUND and others. */
int state_park(struct state *state, const char *node, struct parked *parked, bool *ret_changed,
               struct err *err) MUST_CHECK;
/* true: taken out, wake will not be called. false: wake has been or is just being called. */
bool state_unpark(struct state *state, struct parked *parked);

/* ---- what sessions really do ---- */

/* What is known of all nodes' sessions (status.h). As long as the state. */
struct fleet_status *state_status(struct state *state);
/* A node's place in it, borrowed from the picture. ERR_NOT_FOUND: there is no such node. */
int state_status_key(const struct picture *picture, const char *node, struct status_node_key *ret,
                     struct err *err) MUST_CHECK;

/* Who has the newest lists. `resource_version`: they are at least as new as that. */
struct convergence {
    uint64_t resource_version;
    uint64_t nodes;
    uint64_t fetched;
    uint64_t applied;
    uint64_t behind;
    uint64_t silent;
};
/*
 * Count all nodes: a pass over them that takes well below a microsecond each. `behind` (may be NULL) is
 * called for each node that is heard of and does not have its newest list. A list that a change has marked
 * and that is yet to be computed again (within a second) counts as one that its node does not have.
 */
void state_convergence(struct state *state, void (*behind)(void *arg, const char *node), void *arg,
                       struct convergence *ret);
/* The same sums as they were at most `STATE_CONVERGENCE_MS` ago, and not before `revision`, for those who
 * wait: counted once for all. */
#define STATE_CONVERGENCE_MS 250
void state_recent_convergence(struct state *state, uint64_t revision, struct convergence *ret);

/*
 * Sessions' changes of verdict with sequence < below (0: all), the newest first, up to `limit`. Those that
 * are not stored yet are among them. Reads from the disk: not for a connection's thread. `row` must not
 * block, nor call back; -1 ends with its failure.
 */
int state_read_transitions(struct state *state, uint64_t below, size_t limit,
                           int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                           void *arg, struct err *err) MUST_CHECK;

/* ---- history, for watches ---- */

/* One committed change. `before` may be NULL for an update that happened before this process started. */
struct state_event {
    enum store_op op;
    enum kind kind;
    uint64_t revision;
    const struct record *before;
    const struct record *after; /* deleted: the last state, carrying the deletion's resourceVersion */
};

/*
 * Up to `max` events of `kind` with revision > after, oldest first; each with references that the caller
 * gives back (record_unref; before may be NULL). *ret_upto: everything of this kind up to that revision
 * has been reported (≥ after). ERR_EXPIRED: `after` is older than the kept history.
 */
int state_events(struct state *state, enum kind kind, uint64_t after, struct state_event *events, size_t max,
                 size_t *ret_count, uint64_t *ret_upto, struct err *err) MUST_CHECK;

/* Tells a watch that there is something new of its kind. Memory is the caller's. */
struct watcher {
    enum kind kind;
    void (*wake)(struct watcher *watcher); /* once per arming */
    void *arg;
    /* state's own */
    struct watcher *prev, *next;
    bool linked;
};
/* *ret_ready true: there are events with revision > after (or they expired); nothing was armed. */
void state_watch_arm(struct state *state, struct watcher *watcher, uint64_t after, bool *ret_ready);
/* true: disarmed, wake will not be called. false: it was not armed, or wake has been or is being called. */
bool state_watch_disarm(struct state *state, struct watcher *watcher);

/* ---- tokens ---- */

/* The tokens that are in force, for authenticating requests. As long as the state. */
struct token_registry *state_tokens(struct state *state);
/* No token was ever made here, or all have been revoked: time for a first one. */
bool state_has_no_tokens(struct state *state);

/* A token's creation or revocation on its way to the disk; in force when `task.done` is called without an
 * error. The submitter fills `task.done` and `task.arg` and the rest below. */
struct token_write {
    struct task task; /* outcome: task.err; ERR_NOT_FOUND: nothing to revoke */
    bool revoke;
    struct token token; /* to be kept; to revoke: its id. Afterwards the whole token as it is or was */
};
/* As state_submit. */
int state_submit_token(struct state *state, struct token_write *write, struct err *err) MUST_CHECK;
/* The same, waiting for it. Never from a callback. */
int state_write_token(struct state *state, struct token_write *write, struct err *err) MUST_CHECK;
/* To be called now and then, from any thread: has the tokens' last uses stored, every TOKEN_USED_STEP_MS. */
void state_flush_tokens(struct state *state);

/* Have `revoked` called with the user of a token that another instance has revoked, on the committer's
 * thread; it must not block. NULL: no longer, and no call is running when that returns. */
void state_watch_revocations(struct state *state, void (*revoked)(void *arg, const char *user), void *arg);

/* The same on a store that no state has open. `vault` makes and checks their marks; NULL: neither. Damaged
 * tokens are logged and counted, not kept. */
int state_load_tokens(struct store *store, struct vault *vault, struct token_registry *registry,
                      size_t *ret_damaged, struct err *err) MUST_CHECK;
/* Both with an entry in the audit trail: `user` did it. */
int state_store_token(struct store *store, struct vault *vault, const struct token *token, const char *user,
                      struct err *err) MUST_CHECK;
/* ERR_NOT_FOUND. Also removes a damaged one. */
int state_drop_token(struct store *store, const char *id, const char *user, struct err *err) MUST_CHECK;

/* ---- the audit trail ---- */

/*
 * The trail: the newest entries in memory, and all of those in the store. Writes enter it with their own
 * transaction (from `actor`, `source` and `request`), nobody needs to add them.
 */
struct audit *state_audit_trail(struct state *state);
/* Add what is no write. It can be read at once, and is stored about a second later (state_flush_audit) or
 * when the state is closed. Never waits, never fails. */
void state_audit(struct state *state, const struct audit_entry *entry);
/* The same for what comes again and again: equal `what` within AUDIT_REPEAT_MS is one entry with a count. */
void state_audit_repeated(struct state *state, const struct audit_entry *entry, const void *what,
                          size_t what_len);
/* To be called about once a second, from any thread: has the entries stored that are not yet. */
void state_flush_audit(struct state *state);
/* The entry's members as JSON, as they are stored and answered, without its sequence and time. */
void audit_entry_members(const struct audit_entry *entry, struct buf *out);
/* What an entry says a write did: "create", "update", "patch", "delete". Static. */
const char *write_verb(const struct write *write);
/* Has the write, when it is done, changed what is stored? */
bool write_changed(const struct write *write);

/* ---- the vault's keys ---- */

/* What the vault is doing and holds, besides vault_status. */
struct vault_report {
    struct vault_status keys;
    const char *source;    /* vault_source_text */
    const char *warning;   /* "" = none */
    uint64_t values;       /* sealed values of all Secrets */
    uint64_t unreadable;   /* … that do not decrypt */
    uint64_t unseal_count; /* decryptions of values tried since the vault was opened */
};

/* Open the vault over what the store holds, and store what a first start or a finished change of the root
 * key brings. Before state_open. The vault is the caller's. Errors as vault_open and store_commit. */
int state_open_vault(struct store *store, struct vault_options *options, struct vault **ret,
                     struct err *err) MUST_CHECK;

/* How far a rotation is; called on the rotating thread. false: stop here (ERR_UNAVAILABLE). */
struct key_progress {
    bool (*step)(void *arg, size_t done, size_t total);
    void *arg;
};

/*
 * These block until done or failed, while the service goes on; one at a time (ERR_CONFLICT), never from a
 * callback. A crash anywhere leaves every value readable; calling again goes on where it stopped.
 */
/* A new data key; every value is sealed again with it; old keys are dropped when nothing needs them. */
int state_rotate_data_key(struct state *state, const struct key_progress *progress,
                          struct err *err) MUST_CHECK;
/* Finish what a crash has left of such a rotation, in the background; nothing to do otherwise. It steps aside
 * for the changes here, and is tried again when it fails. After state_open, once. */
int state_resume_rotation(struct state *state, struct err *err) MUST_CHECK;
/* Another root key (vault.h, vault_prepare_root_change). `*ret_restart`: the operator must now restart the
 * service with the new key as its source. */
int state_change_root_key(struct state *state, const struct vault_new_root *new_root, bool *ret_restart,
                          struct err *err) MUST_CHECK;
/* Give up a change of the root key that waits for its restart. ERR_CONFLICT: there is none. */
int state_cancel_root_key_change(struct state *state, struct err *err) MUST_CHECK;
/* Keys with their ages and the number of values under each, and more; its texts live as long as the vault.
 * ERR_UNAVAILABLE: there is no vault. */
int state_vault_report(struct state *state, struct vault_report *ret, struct err *err) MUST_CHECK;

/* ---- backups ---- */

/* A verified copy of the database as it is now, as an open file without a name (store_backup_open). Blocks;
 * from any thread but state's own. */
int state_backup(struct state *state, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                 struct err *err) MUST_CHECK;

/* ---- figures, for monitoring ---- */

/* What became of a write; a group of them counts as one. */
enum write_result {
    WRITE_STORED,
    WRITE_UNCHANGED, /* nothing needed to be written */
    WRITE_DRY,       /* it was not for storing */
    WRITE_REFUSED,   /* invalid, in conflict, not allowed … */
    WRITE_FAILED,    /* our own fault, or the store's */
    WRITE_RESULT_COUNT
};

struct state_figures {
    bool frozen;             /* a freeze lasts */
    uint64_t braked;         /* writes refused, ERR_TOO_DISRUPTIVE */
    uint64_t refused_frozen; /* writes refused, ERR_FROZEN */
    uint64_t forced;         /* writes stored that forced something */
    uint64_t brake_lists;    /* lists computed to judge writes */
    uint64_t revision;
    size_t objects[KIND_COUNT];
    bool writable;   /* state_writable */
    uint64_t queued; /* writes that wait for the committer, of STATE_QUEUE_MAX */
    uint64_t writes[WRITE_RESULT_COUNT];
    uint64_t changes[STORE_DELETE + 1];     /* of objects, stored, by enum store_op */
    struct histogram_reading batches;       /* HISTOGRAM_NUMBERS: changes that shared a transaction */
    struct histogram_reading list_computes; /* HISTOGRAM_DURATIONS: lists computed and encoded */
    struct histogram_reading convergence;   /* HISTOGRAM_WAITS: from a change until a node fetched its list */
    /* Of the nodes' newest lists, as far as they were asked for since the start: */
    uint64_t lists;
    uint64_t lists_with_problems;
    uint64_t sessions;
    uint64_t sessions_withheld;
    uint64_t transitions_waiting; /* changes of verdicts that are not stored yet */
    uint64_t transitions_stored;  /* since the start */
    uint64_t transitions_dropped; /* for want of room, or memory, likewise */
    struct store_figures store;
    size_t tokens;
    bool has_vault; /* what follows is known */
    uint64_t unseals;
    uint64_t unseal_failures;
    size_t data_keys;
    int64_t data_key_created_ms; /* of the active one, realtime; 0 = none */
};
/* Reads what is counted anyway: the cost does not depend on the size of the fleet. */
void state_figures(struct state *state, struct state_figures *ret);

/* ---- database files ---- */

/* What a database file is and needs. */
struct backup_report {
    struct store_status status;
    uint64_t values; /* sealed ones */
    size_t root_count;
    char roots[VAULT_ROOTS_MAX][VAULT_ROOT_ID_MAX]; /* fingerprints: either opens it */
    bool opens;                                     /* the root key that was offered is one of them */
    struct err refusal;                             /* why not */
};
/* Look into a database file that nothing has open; nothing is changed. `options` say which root key to try,
 * NULL: none. Errors as store_inspect. */
int state_inspect_backup(const char *path, const struct vault_options *options, struct backup_report *ret,
                         struct err *err) MUST_CHECK;

#include "state/past.h"

#endif
