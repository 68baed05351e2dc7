/*
 * Inside the state room: the parts of struct state and what they offer each other.
 *
 * Locks, each held briefly and never two at once:
 *   picture_lock   the `picture` pointer (load-and-count)
 *   failure_lock   `failure`
 *   queue.lock     the committer's queue
 *   history.lock   the ring of events and the armed watchers
 *   lists.locks[]  a stripe of cells: their cached list and their parked polls
 *   lists.wake_lock  slots waiting for the notifier
 *   keys.lock      whose the vault's keys are
 *   sessions.lock  the remembered transitions
 *   past.lock      the pictures of earlier revisions that are kept
 *   frozen.lock    the freeze
 *   given.lock     versions of lists that are to be stored
 *   tokens.lock    who is told of revocations; held while it is told
 *   (the token registry and the audit trail have locks of their own, taken last)
 */
#ifndef BGPPEERD_STATE_INTERNAL_H
#define BGPPEERD_STATE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "past_internal.h"
#include "queue.h"
#include "state.h"
#include "state/brake.h"

#define STATE_TRIES_MS 5000 /* how long it is tried again when each time somebody else was faster */

/* ---- draft.c: the state that is being built ---- */

struct draft_change {
    struct snapshot_change change; /* references held by the draft */
    enum store_op op;
    uint64_t key_hash;
    uint64_t revision;
    const char *key;     /* borrowed from the records */
    const char *actor;   /* borrowed from the write */
    uint64_t txn;        /* revision of the first change of the write's group; 0 = its own */
    const char *request; /* borrowed from the write; NULL = none */
    const char *reason;  /* likewise */
    bool silent;         /* what is served stays the same: no event */
};

/* A base snapshot plus the changes made so far. One thread. */
struct draft {
    const struct picture *picture;  /* what it starts from; borrowed */
    const struct snapshot *base;    /* the picture's */
    const struct ip_ranges *ranges; /* state_options.node_ranges; NULL: anywhere; borrowed */
    struct state *judge;            /* whose brake and freeze judge each group; NULL: nobody does */
    unsigned force;                 /* of the group at hand */
    unsigned may_force;             /* likewise */
    struct picture *now; /* with the first `now_count` changes; NULL: not yet needed. A reference */
    size_t now_count;
    struct node_set *now_affected; /* by these */
    struct vault *vault;           /* borrowed; NULL: Secrets are refused */
    const char *secret_namespace;
    uint64_t revision; /* newest used */
    int64_t now_ms;
    bool preview; /* nothing will be stored: dry runs stay in the draft, for its picture */
    bool dry;     /* the write at hand is not for storing: objects get no new resourceVersion */
    bool again;   /* writes may be applied once more: their objects stay theirs */
    struct draft_change *changes;
    size_t count;
    size_t cap;
    struct store_sealed *sealed; /* borrow from the records in `changes` */
    size_t sealed_count;
    size_t sealed_cap;
    struct buf json;  /* scratch */
    struct buf other; /* scratch */
};

void draft_init(struct draft *draft, const struct state *state, const struct picture *picture);
void draft_done(struct draft *draft);
/* Add a finished change; takes its own references. For a deletion `after` is the last state, as history wants
 * it. */
int draft_add(struct draft *draft, enum store_op op, enum kind kind, const struct record *before,
              const struct record *after, const char *actor, struct err *err) MUST_CHECK;
/* Apply a write and its `also`: all or none. Outcomes are in the writes; -1 when the first one's `err` is
 * set. With `dry_run` the draft stays as it was, unless it is a preview's. */
int draft_apply(struct draft *draft, struct write *write) MUST_CHECK;
/* Encode `object` into an exact copy in its arena and make a record of both. The arena is empty afterwards,
 * and a Secret's object gone: its record is a copy without the plaintext. A write that may be applied again
 * keeps both. */
int draft_record(struct draft *draft, struct arena *arena, const struct object *object,
                 const struct record **ret, struct err *err) MUST_CHECK;
/* ---- draft_picture.c ---- */

/* One of the draft's changes, as snapshots take it. */
struct snapshot_change draft_change(const struct draft *draft, size_t i);
/* From draft->now to the picture with the first `count` changes. */
int draft_step(const struct draft *draft, size_t count, struct picture **ret, struct node_set **ret_affected,
               struct err *err) MUST_CHECK;
/* That is draft->now from here on; takes over both, also on failure. */
int draft_stand(struct draft *draft, size_t count, struct picture *picture, struct node_set *affected,
                struct err *err) MUST_CHECK;
/* The picture after the draft, and whose lists may differ from those of `base`, which it was begun with. */
int draft_picture(const struct draft *draft, const struct picture *base, struct picture **ret,
                  struct node_set **ret_affected, struct err *err) MUST_CHECK;

/* The object as it is after the changes so far; NULL: there is none. Borrowed. */
const struct record *draft_get(const struct draft *draft, enum kind kind, const char *key);

/* ---- judge.c ---- */

/* Are the group's changes, those from `from` on, allowed? The brake and the freeze. */
int draft_judge(struct draft *draft, const struct write *write, size_t from, struct causes *causes,
                struct err *err) MUST_CHECK;
/* Take FORCE_ANNOTATION out of an object that is being written, and heed it. */
int draft_take_force(struct draft *draft, struct object *object, struct arena *arena,
                     struct err *err) MUST_CHECK;

/* ---- brake.c ---- */

struct brake {
    uint64_t sessions; /* 0: off */
    unsigned percent;
    struct fleet_status *status; /* knows what nodes run; NULL: nobody does */
    _Atomic uint64_t lists;      /* computed */
};

/* A way from one picture to another. */
struct judged {
    const struct picture *before, *after;
    const struct node_set *affected;
    const struct snapshot_change *only; /* the one change that it consists of; NULL: several */
};
struct brake_verdict {
    bool refused;
    bool about;          /* the numbers are an estimate */
    uint64_t disruptive; /* sessions; 0 also when it was plain that they are too few to matter */
    uint64_t nodes;      /* whose lists differ */
    uint64_t sessions;   /* the fleet's before; of what is not refused at least as many */
};
bool brake_is_on(const struct brake *brake);
int brake_judge(struct brake *brake, const struct judged *judged, struct brake_verdict *ret,
                struct err *err) MUST_CHECK;
/* In a sentence: ERR_TOO_DISRUPTIVE; always -1. `causes` (NULL: none) gets the numbers. */
int brake_refuse(const struct brake *brake, const struct brake_verdict *verdict, struct causes *causes,
                 struct err *err);
/* Does any node's list differ? Also when it would cost too much to find out. */
int brake_finds_change(struct brake *brake, const struct judged *judged, bool *ret,
                       struct err *err) MUST_CHECK;

/* ---- freeze.c ---- */

struct frozen {
    pthread_mutex_t lock; /* a leaf */
    struct freeze freeze;
};
/* From the store. */
int freeze_load(struct state *state, struct err *err) MUST_CHECK;
bool freeze_setting_wanted(const struct store_setting *setting);
/* What somebody else has set, or lifted. */
void freeze_follow(struct state *state, const struct store_setting *setting);
/* ERR_FROZEN, with who, why and how to go on; always -1. */
int freeze_refuse(const struct freeze *freeze, struct err *err);

/* ---- secrets.c ---- */

/*
 * Turn what a client wrote (data, stringData) into sealed values: kept where the redaction marker stands or
 * the value is the same, sealed anew otherwise. `current` is NULL for a new Secret.
 */
int secret_seal(struct draft *draft, struct write *write, const struct record *current, struct object *object,
                struct arena *arena, struct err *err) MUST_CHECK;
/*
 * The record of a Secret that a client wrote: of its stored form `json`, and in memory of its own, because
 * `written` (which holds `object`) has the plaintext in it. `written` is wiped and empty afterwards; NULL: it
 * is still needed.
 */
int secret_record(struct arena *written, const struct object *object, const char *json, size_t json_len,
                  struct record **ret, struct err *err) MUST_CHECK;
/* As the vault takes it; borrows. */
struct vault_sealed secret_value_sealed(const struct secret_value *value);
/* The sealed rows that go with the change from `before` to `after` (NULL: deleted) into the draft. */
int secret_add_rows(struct draft *draft, const struct record *before, const struct record *after,
                    struct err *err) MUST_CHECK;

/* Sealed rows while loading, in the store's order. */
struct sealed_rows {
    struct arena arena;
    struct store_sealed *items;
    size_t count;
    size_t cap;
};
int sealed_rows_add(struct sealed_rows *rows, const struct store_sealed *row, struct err *err) MUST_CHECK;
void sealed_rows_done(struct sealed_rows *rows);
/* The Secret with all values under the active data key: a record like `record` in all that is served. NULL in
 * *ret: nothing to do. Values that do not decrypt stay as they are. */
int secret_reseal(struct vault *vault, const struct record *record, struct record **ret,
                  struct err *err) MUST_CHECK;
/* Give a loaded Secret its sealed values; those that are missing, altered or do not decrypt become
 * SECRET_UNREADABLE, logged once. *ret_altered: what it says of its values is no longer what the stored body
 * says. */
int secret_load(struct vault *vault, const struct sealed_rows *rows, struct object *object,
                struct arena *arena, bool *ret_altered, struct err *err) MUST_CHECK;

/* Takes over one reference of each, also on failure. */
int picture_new(struct snapshot *snapshot, struct peering_index *index, struct picture **ret,
                struct err *err) MUST_CHECK;

/* ---- history.c ---- */

struct history {
    pthread_mutex_t lock;
    struct state_event *ring; /* `cap` places; event i of `count` is at (first + i) % cap */
    size_t cap;
    size_t first;
    size_t count;
    size_t bytes;       /* of the documents of all events */
    size_t bytes_max;   /* beyond, the oldest events go */
    uint64_t compacted; /* events with revision ≤ this one are gone */
    uint64_t upto;      /* newest revision that has been added */
    struct watcher *armed[KIND_COUNT];
};

int history_init(struct history *history, size_t cap, struct err *err) MUST_CHECK;
void history_done(struct history *history);
/* How many events are there now: what the change log must keep as well. */
size_t history_kept(struct history *history);
/* Forget everything up to that revision. */
void history_forget(struct history *history, uint64_t upto);
/* Append; takes its own references. Cannot fail. */
void history_add(struct history *history, const struct state_event *events, size_t count, uint64_t upto);
/* Call the watchers that were armed for these kinds (bit per enum kind). */
void history_wake(struct history *history, unsigned kinds);

/* ---- lists.c; parked.c: start, stop, wake ---- */

#define LISTS_CHUNK      1024 /* cells in a chunk */
#define LISTS_CHUNKS_MAX 4096 /* so at most 4 Mi nodes */
#define LISTS_STRIPES    64

/* The version of a list that was given before the start. */
struct list_seed {
    uint64_t resource_version;
    char etag[DIGEST_TEXT_MAX];
};

struct cell {
    struct node_list *list;        /* stripe lock */
    struct list_seed *seed;        /* stripe lock; until there is a list; NULL = none */
    uint64_t computed_at;          /* stripe lock: revision of the picture `list` was computed from */
    struct parked *parked;         /* stripe lock */
    _Atomic uint64_t mark;         /* revision of the newest change that may affect the list */
    _Atomic int64_t marked_ns;     /* … and when that was */
    _Atomic uint32_t parked_count; /* so that the committer need not lock to see that nobody waits */
    _Atomic bool queued;           /* stands in lists.wake_slots */
};

struct lists {
    _Atomic(struct cell *) chunks[LISTS_CHUNKS_MAX]; /* grown by the committer only */
    pthread_mutex_t locks[LISTS_STRIPES];

    pthread_mutex_t wake_lock;
    pthread_cond_t wake_cond;
    uint32_t *wake_slots; /* wake_lock: [wake_first, wake_end) wait, each slot at most once */
    size_t wake_first;
    size_t wake_end;
    size_t wake_cap; /* ≥ number of slots */
    bool stopping;
    pthread_t notifier;
    bool notifier_runs;

    struct fleet_status *status; /* is told every list that is computed; borrowed */
    struct given *given;         /* … and every new version; borrowed */

    /* Sums over the lists in the cells. */
    _Atomic uint64_t kept;
    _Atomic uint64_t with_problems;
    _Atomic uint64_t sessions;
    _Atomic uint64_t withheld;
    struct histogram computes;
    struct histogram fetches; /* HISTOGRAM_WAITS: state_note_fetched */
};

int lists_init(struct lists *lists, struct err *err) MUST_CHECK;
struct cell *lists_cell(struct lists *lists, uint32_t slot);
pthread_mutex_t *lists_lock(struct lists *lists, uint32_t slot); /* the slot's stripe's */
/* The cached list, when it is that node's and current. Under the stripe's lock. Borrowed. */
struct node_list *cell_current(const struct cell *cell, const char *node);
int lists_no_node(const char *node, struct err *err);
int lists_start(struct state *state, struct err *err) MUST_CHECK;
void lists_stop(struct state *state);
void lists_done(struct lists *lists);
/* Cells for slots < count exist afterwards. Committer only. */
int lists_grow(struct lists *lists, uint32_t count, struct err *err) MUST_CHECK;
/*
 * Of a picture that is about to be published: mark every affected list, so that none of before is taken for
 * current once somebody has seen the new picture. Then, when it is published: have the polls looked at that
 * are parked on these lists. Neither can fail. Committer only.
 */
void lists_mark(struct lists *lists, const struct node_set *affected, uint64_t revision);
void lists_wake(struct lists *lists, const struct node_set *affected);
/* Compute again the lists that somebody has asked for and that changes have marked since. Any thread. */
void lists_refresh_stale(struct state *state);
/* Is the slot's list kept, and no longer current? */
bool lists_is_stale(struct lists *lists, uint32_t slot);
/* The slot's node was deleted by that revision: give its list up. */
void lists_forget(struct lists *lists, uint32_t slot, uint64_t revision);

/* ---- sessions.c ---- */

struct sessions {
    struct fleet_status *status;
    pthread_mutex_t lock; /* all below; also by the callbacks of a sweep, within the status's own lock */
    pthread_cond_t cond;
    bool stopping;
    struct convergence convergence;
    int64_t convergence_ms; /* when that was counted; 0: never */
    pthread_t thread;
    bool runs;
};

int sessions_init(struct sessions *sessions, struct err *err) MUST_CHECK;
int sessions_start(struct state *state, struct err *err) MUST_CHECK;
void sessions_stop(struct state *state);
void sessions_done(struct sessions *sessions);
/* A list was computed from `picture`. Never fails: what there was no memory for is told again with the next
 * list. */
void sessions_note_list(struct fleet_status *status, const struct picture *picture,
                        const struct status_node_key *key, const struct peering_list *list, const char *etag);

/* ---- transitions.c ---- */

struct transition_row;

struct transitions {
    pthread_mutex_t lock; /* what follows */
    struct transition_row *oldest, *newest;
    size_t waiting;
    uint64_t sequence; /* of the newest that was ever added */
    uint64_t stored, dropped;
    /* Of the thread of sessions: */
    int64_t flush_ms; /* not stored before */
    /* The committer's: */
    uint64_t keep;
    uint64_t trimmed;     /* those up to this number are dropped from the store */
    bool failing;         /* the last try to store failed, and was logged */
    bool again;           /* the task has left something to do */
    _Atomic bool storing; /* `task` is on its way */
    struct task task;
};

/* Where the store's rows end. */
int transitions_open(struct state *state, uint64_t keep, struct err *err) MUST_CHECK;
/* After the committer has stopped: stores what waits. */
void transitions_close(struct state *state);
/* One more; never fails, what there is no room for is counted. From the sweep. */
void transitions_add(struct transitions *transitions, const struct status_transition *change);
/* To be called now and then: has stored what waits, at most once a second. */
void transitions_flush(struct state *state);
void transitions_figures(struct transitions *transitions, struct state_figures *ret);

/* ---- committer.c ---- */

struct committer {
    pthread_t thread;
    bool runs;
};

/* Queue a task. Errors as state_submit. */
int committer_submit(struct state *state, struct task *task, struct err *err) MUST_CHECK;
/* The same, and wait until it is done: its failure is the answer. Sets its `done`, leaves its `arg`. */
int committer_run(struct state *state, struct task *task, struct err *err) MUST_CHECK;
/* The next write of a batch; NULL: it was the last. */
static inline struct write *write_next(const struct write *write) {
    return (struct write *)write->job.next; /* its first member */
}
/* Publish a draft on `base` of what others have committed. With `forget`, what has happened before is no
 * longer told: watches begin anew. On the committer's thread. */
int committer_publish(struct state *state, struct draft *draft, struct picture *base, bool forget,
                      struct err *err) MUST_CHECK;
int committer_start(struct state *state, struct err *err) MUST_CHECK;
void committer_stop(struct state *state);

/* Commit what was made on the newest picture, and what else this instance has followed. On the committer's
 * thread, or before it runs. Errors as store_commit; of a conflict, `follow.lost` is set. */
int state_commit(struct state *state, struct store_batch *batch, struct err *err) MUST_CHECK;

/* ---- vault_rows.c ---- */

struct vault_rows {
    struct vault_setting *items; /* names and values are the rows' own */
    size_t count;
    size_t cap;
};

/* Is it one of the vault's? */
bool vault_rows_wanted(const struct store_setting *setting);
/* Add, replace or take out (value NULL). */
int vault_rows_put(struct vault_rows *rows, const struct store_setting *setting, struct err *err) MUST_CHECK;
void vault_rows_done(struct vault_rows *rows);

/* ---- load.c ---- */

/* What the store held at one moment. */
struct loaded {
    struct store_status status;
    struct vault *vault; /* borrowed; may be NULL */
    bool shared;
    bool keys_settled;
    const struct vault_rows *former; /* in use so far; borrowed */
    struct vault_rows vault_rows;    /* these two of a shared store only */
    struct store_setting *tokens;
    size_t token_count;
    size_t token_cap;
    struct sealed_rows sealed;
    struct snapshot_change *changes; /* every object, by kind and name, as `after` */
    size_t count;
    size_t cap;
    struct arena arena;
};

/* Of a shared store: the vault gets the keys of the same moment, beside those that it has. */
int load_all(struct state *state, struct loaded *ret, struct err *err) MUST_CHECK;
void loaded_done(struct loaded *loaded);
/* At boot: picture, history, and where following begins. */
int load_state(struct state *state, struct err *err) MUST_CHECK;

/* ---- follow.c ---- */

/* All but `changed` and `queued` belong to the committer's thread. */
struct follow {
    _Atomic bool changed; /* somebody else has committed since the last look */
    _Atomic bool queued;  /* `task` is on its way */
    struct task task;
    uint64_t commit;              /* the store's transactions that picture, tokens and keys have in them */
    bool lost;                    /* the newest commit found that there are others' */
    struct vault_rows vault_rows; /* the vault's settings, of the same moment */
};

/* Publish what somebody else has committed since. Failure: nothing of it, or a part that is followed again.
 * What fails is told by state_writable until it succeeds. */
int follow_now(struct state *state, struct err *err) MUST_CHECK;
/* Our own transaction. */
void follow_own(struct state *state, const struct store_batch *batch);
void follow_done(struct follow *follow);
/* For store_watch; `arg` is the state. */
void follow_changed(void *arg);

/* ---- vault_open.c ---- */

/* What the vault wants written, as the store takes it; to be freed. At least one. */
int vault_settings_rows(const struct vault_settings *settings, struct store_setting **ret,
                        struct err *err) MUST_CHECK;

/* ---- keys.c ---- */

enum keys_holder { KEYS_FREE, KEYS_CHANGING, KEYS_RESUMING };

struct keys {
    pthread_mutex_t lock;
    pthread_cond_t cond;     /* `holder` is free again, or `stopping` */
    enum keys_holder holder; /* over all steps of one change */
    bool wanted;             /* somebody waits for what resumes to step aside */
    bool stopping;
    pthread_t thread;
    bool runs;
};

int keys_init(struct keys *keys, struct err *err) MUST_CHECK;
/* Before the committer stops: the resuming thread ends at its next step. */
void keys_stop(struct keys *keys);
void keys_done(struct keys *keys);

/* ---- tokens.c ---- */

struct tokens {
    struct token_registry *registry;
    size_t damaged;           /* in the store, but of no use */
    _Atomic int64_t flush_at; /* monotonic: when last uses are stored next */
    _Atomic bool flushing;    /* `flush` is on its way */
    struct task flush;
    pthread_mutex_t lock; /* what follows */
    void (*revoked)(void *arg, const char *user);
    void *arg;
};

int tokens_init(struct state *state, struct err *err) MUST_CHECK;
/* Is it a token's? */
bool token_setting_wanted(const struct store_setting *setting);
/* What somebody else has made of a token, into force. */
int tokens_follow(struct state *state, const struct store_setting *setting, struct err *err) MUST_CHECK;
/* The same for all tokens at once: those that are not among `settings` are revoked. */
int tokens_reload(struct state *state, const struct store_setting *settings, size_t count,
                  struct err *err) MUST_CHECK;
/* After the committer has stopped: stores the last uses. */
void tokens_done(struct state *state);

/* ---- audit.c ---- */

#define TRAIL_DROPS 1024 /* rows that one transaction drops: a few milliseconds */

struct trail {
    struct audit *audit;
    uint64_t drops[TRAIL_DROPS]; /* sequences that are to be dropped from the store next */
    size_t drop_count;
    bool failing;         /* the last try to store failed, and was logged */
    bool again;           /* the task has left something to do */
    _Atomic bool storing; /* `task` is on its way */
    struct task task;
};

/* Rows for one transaction, and their texts. */
struct audit_rows {
    struct store_audit *items;
    size_t count;
    size_t cap;
    struct buf json;
};

/* Fill the trail from the store. */
int trail_open(struct state *state, uint64_t keep, struct err *err) MUST_CHECK;
/* After the committer has stopped: stores what waits. */
void trail_close(struct state *state);
/* The entries of a batch of writes that is about to be stored. */
int trail_stage(struct state *state, const struct write *writes, int64_t now_ms, struct audit_rows *ret,
                struct err *err) MUST_CHECK;
/* One more entry of a store that no state has open: the row to be stored. */
int trail_append(struct store *store, const struct audit_entry *entry, struct audit_rows *ret,
                 struct err *err) MUST_CHECK;
void trail_appended(struct audit_rows *rows);
/* It was stored, or not. `rows` is empty afterwards; accepts an empty one. */
void trail_settle(struct state *state, struct audit_rows *rows, bool stored);

/* ---- figures.c ---- */

/* What the committer counts. */
struct meter {
    _Atomic uint64_t writes[WRITE_RESULT_COUNT];
    _Atomic uint64_t changes[STORE_DELETE + 1];
    _Atomic uint64_t braked, frozen, forced;
    struct histogram batches;
};

/* The brake, or a freeze, has refused something, if the code is of that. */
void meter_refusal(struct meter *meter, enum err_code code);
/* A write is done: what became of it. */
void meter_write(struct meter *meter, const struct write *write);
/* These changes were stored in one transaction. */
void meter_batch(struct meter *meter, const struct state_event *events, size_t count);

/* ---- state.c ---- */

struct state {
    struct store *store;
    struct vault *vault; /* may be NULL */
    char *secret_namespace;
    uint64_t keep_changes;
    int64_t keep_history_ms;
    uint64_t max_history_bytes;
    bool has_node_ranges;
    struct ip_ranges node_ranges;
    pthread_mutex_t picture_lock;
    struct picture *picture;
    pthread_mutex_t failure_lock;
    struct err failure;    /* of the newest commit; ERR_NONE = it went well */
    struct err astray;     /* why others' commits cannot be followed; ERR_NONE = they are */
    size_t compaction_due; /* changes in the log beyond those kept, at the start */
    struct queue queue;
    struct committer committer;
    struct history history;
    struct past past;
    struct given given;
    struct lists lists;
    struct follow follow;
    struct keys keys;
    struct tokens tokens;
    struct trail trail;
    struct meter meter;
    struct sessions sessions;
    struct brake brake;
    struct frozen frozen;
    struct transitions transitions;
};

/* A record of a stored body; `rows` and `vault` for a Secret's values (both may be empty). */
int state_load_record(struct vault *vault, const struct sealed_rows *rows, const char *kind, const char *name,
                      const char *body, size_t body_len, struct record **ret, struct err *err) MUST_CHECK;
/* Swap in the next picture; takes over its reference. */
void state_publish(struct state *state, struct picture *next);
void state_set_failure(struct state *state, const struct err *err); /* NULL: all is well */
void state_set_astray(struct state *state, const struct err *err);  /* the same */

#endif
