/*
 * Store: the durable truth. Opaque bodies by kind, name and revision; a change log; the vault's sealed
 * values and wrapped keys; settings; the audit trail's opaque entries. An interface, so that a replicated
 * store can stand behind it.
 *
 * Nothing here knows what a body means, and nothing above knows SQL, nor whether others write as well.
 *
 * A shared store is one that others write as well. It counts its transactions (store_status.commit), keeps
 * what each has written for a while, and refuses a transaction that was made without knowing all before it.
 *
 * Threads: commit, compact, drop_audit, trim_transitions, read_entries and the key calls come from one thread
 * at a time (the committer); load, find_time and the other reading calls may run concurrently with them.
 */
#ifndef BGPPEERD_STORE_H
#define BGPPEERD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"

struct store;

enum store_op { STORE_CREATE = 1, STORE_UPDATE = 2, STORE_DELETE = 3 };

/* One object write with its change-log row. Texts are borrowed for the call. */
struct store_change {
    enum store_op op;
    const char *kind;  /* "BGPPeer" */
    const char *name;  /* "rack1-tor"; namespaced kinds: "namespace/name" */
    uint64_t revision; /* > every earlier revision; unique per change */
    int64_t time_ms;   /* realtime */
    const char *actor; /* who; "" = unauthenticated */
    const char *body;  /* JSON after the change; for STORE_DELETE: the last state */
    size_t body_len;
    uint64_t txn;        /* revision of the first of the changes that were made together; 0 = its own */
    const char *request; /* whose they are; NULL = "" = not known. Kept with the first of them only */
    const char *reason;  /* what its author says; likewise */
};

/* A vault value: kept apart from bodies, written in the same transaction. Key (object, item). Its object of
 * kind "Secret" must exist at the end of the transaction (else ERR_INTERNAL), and its deletion deletes its
 * values. */
struct store_sealed {
    const char *object; /* "namespace/name" of the Secret */
    const char *item;   /* key inside the Secret */
    uint64_t version;   /* of the value, ≥ 1 */
    uint64_t key_id;    /* data key that sealed it */
    const void *nonce;
    size_t nonce_len;
    const void *ciphertext; /* NULL: delete this item, if it is there */
    size_t ciphertext_len;
};

/* A setting or other small durable value by name ("vault/check", "vault/key/3"). */
struct store_setting {
    const char *name;
    const void *value; /* NULL: delete it, if it is there */
    size_t value_len;
};

/* An entry of the audit trail. */
struct store_audit {
    uint64_t sequence; /* ≥ 1; not one that is stored already, but with `again` */
    bool again;        /* takes the place of the one with this sequence, if that is still there */
    int64_t time_ms;   /* realtime */
    const char *entry; /* JSON */
    size_t entry_len;
};

/* A session's change of verdict. Each instance numbers its own, without gaps. */
struct store_transition {
    uint64_t sequence; /* ≥ 1; not one that is stored already */
    int64_t time_ms;   /* realtime */
    const char *node;
    const char *peer; /* address of the far end */
    uint16_t port;
    const char *remote; /* the far end's node; "" = not one of ours */
    const char *was;    /* names of verdicts */
    const char *became;
    uint32_t folded; /* changes before it that were left out, because the session flapped */
    const char *message;
};

/* A version of a node's list that was given to somebody. Key (node, revision): a second one with the same
 * etag adds `node_ms` where there is none, with another one takes its place. */
struct store_given {
    const char *node;
    uint64_t revision; /* the list's resourceVersion */
    const char *etag;
    int64_t time_ms; /* when it was made, realtime */
    int64_t node_ms; /* when the node itself first had it; 0 = it has not */
};

/* Everything that one transaction writes: the changes in their order, then the sealed values, then the
 * settings, then the audit trail's entries, then transitions, then the versions of lists. */
struct store_batch {
    const struct store_change *changes;
    size_t change_count;
    const struct store_sealed *sealed;
    size_t sealed_count;
    const struct store_setting *settings;
    size_t setting_count;
    const struct store_audit *audit;
    size_t audit_count;
    const struct store_transition *transitions;
    size_t transition_count;
    const struct store_given *given;
    size_t given_count;
    /* Of a shared store: the newest transaction that its maker knew (store_status.commit). When there is a
     * newer one the batch is refused (ERR_CONFLICT), unless it holds audit entries, transitions and
     * versions of lists only. */
    uint64_t base;
};

struct store_status;

/* Called for each row; texts are borrowed for the call. A negative answer stops with that failure:
 * the callee fills `err`. The callee must not read from the same store. */
struct store_reader {
    /* Comes first: of which moment all that follows is. */
    void (*moment)(void *arg, const struct store_status *status);
    int (*object)(void *arg, const char *kind, const char *name, uint64_t revision, const char *body,
                  size_t body_len, struct err *err);
    int (*sealed)(void *arg, const struct store_sealed *sealed, struct err *err);
    int (*setting)(void *arg, const struct store_setting *setting, struct err *err);
    void *arg;
};

struct store_status {
    uint64_t revision;       /* the newest; 0 = nothing was ever written */
    uint64_t compacted;      /* changes with revision ≤ this one are gone from the log; 0 = none */
    uint64_t past;           /* the oldest revision that store_read_past knows the state at */
    int64_t past_ms;         /* when that one was committed, realtime; 0 = not known */
    unsigned schema_version; /* of the data, e.g. migrations applied */
    uint64_t commit; /* of a shared store: its transactions so far, but those of audit entries only; else 0 */
};

struct store_driver;

struct store_options {
    const char *store;                 /* its address, "sqlite:DIR"; NULL: "sqlite:" and `dir` */
    const char *dir;                   /* data directory; created 0700 when missing */
    bool must_exist;                   /* never make a store: ERR_NOT_FOUND */
    const struct store_driver *driver; /* of the address' kind; NULL: one of those that are built in */
    /* Names of files in `dir` that are only there when there was a database, NULL at the end: a missing one
     * is then refused instead of made. NULL = none */
    const char *const *companions;
    /* Go on with what is there where it would be refused for acknowledged writes that are missing in it: an
     * older copy, another database, none at all, a damaged log. Its revisions then go on behind those that
     * were acknowledged, its change log is empty, and its past begins. */
    bool accept_rollback;
    /* Of etcd only; NULL: none, but for the prefix, which is then STORE_PREFIX. */
    const char *prefix;  /* of all keys */
    const char *ca_file; /* trust these certificates (PEM) instead of the machine's */
    const char *cert_file;
    const char *key_file; /* ours, of `cert_file` */
    const char *user;
    const char *password_file; /* one line, mode 0600 */
};
#define STORE_PREFIX "/bgppeerd/"

/*
 * One kind of store, chosen by the part of an address before its first colon; `place` is what comes behind.
 * What it opens begins with `struct store` (service/store/store_ops.h). `inspect` and `restore` are those of
 * store_inspect and store_restore; NULL: it has none.
 */
struct store_driver {
    const char *name; /* "sqlite" */
    int (*open)(const char *place, const struct store_options *options, struct store **ret, struct err *err);
    int (*inspect)(const char *path, const struct store_reader *reader, struct store_status *ret,
                   struct err *err);
    int (*restore)(const char *place, const char *path, char *ret_kept, struct err *err);
};
/* What comes behind the colon of `store`, or `dir` when there is no address. Borrowed. */
const char *store_place(const char *store, const char *dir);

/*
 * Open the store that the options name. SQLite's is the file bgppeerd.db in its directory: take the
 * directory's lock, refuse a newer, foreign, damaged, older or vanished database (ERR_CORRUPT /
 * ERR_UNAVAILABLE, one sentence, file untouched), migrate. ERR_CONFLICT: another process has the directory.
 * ERR_USAGE: no such kind.
 *
 * etcd's is a cluster, "etcd:https://HOST:2379,…", which any number of instances share; `dir` is then this
 * instance's own and must be given.
 */
int store_open(const struct store_options *options, struct store **ret, struct err *err) MUST_CHECK;
/* What would have been refused but for accept_rollback; NULL: nothing. As long as the store. */
const struct err *store_accepted(const struct store *store);
/* Checkpoint and close; accepts NULL. */
void store_close(struct store *store);

int store_status(struct store *store, struct store_status *ret, struct err *err) MUST_CHECK;
/* All settings, then all sealed values, then all objects (kind, name order), in one read
 * transaction. NULL callbacks skip. */
int store_load(struct store *store, const struct store_reader *reader, struct err *err) MUST_CHECK;

/* All or nothing, durable when it returns 0. Failure: ERR_CONFLICT when somebody else has committed since
 * batch->base (read it with store_read_entries, then make the batch anew); ERR_STORAGE_FULL, ERR_UNAVAILABLE
 * (I/O, busy), ERR_TOO_LARGE (for one transaction), ERR_CORRUPT, ERR_NO_MEMORY, or ERR_INTERNAL when state
 * and store disagree (create of what exists, update or delete of what does not, a revision that is not above
 * the stored one); nothing was changed, and a later call may succeed. ERR_UNKNOWN_OUTCOME, of a shared store
 * only: it may have been kept, or may be yet, unless a later one is. */
int store_commit(struct store *store, const struct store_batch *batch, struct err *err) MUST_CHECK;

/* Would a commit be kept? For the committing thread, about once a second: ERR_UNAVAILABLE when the store's
 * files are no longer those that it has open. Commits ask by themselves. */
int store_check(struct store *store, struct err *err) MUST_CHECK;

/* For monitoring, since the store was opened. */
struct store_figures {
    struct histogram_reading commits; /* HISTOGRAM_DURATIONS: every transaction, also those that failed */
    uint64_t commit_failures;
    uint64_t database_bytes; /* the file's size, 0 = not known */
    uint64_t log_bytes;      /* the write-ahead log's */
    uint64_t free_bytes;     /* of their filesystem, for this user; 0 = none, or not known */
};
/* From any thread, at any time; waits for nobody. */
void store_figures(struct store *store, struct store_figures *ret);

/* Change-log rows with revision > after, ascending, at most `limit` (0 = all). The row's `op`, kind,
 * name, revision, time, actor and body are passed on. ERR_EXPIRED when after < compacted. The row's
 * function must not read from the same store. */
int store_read_changes(struct store *store, uint64_t after, size_t limit,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) MUST_CHECK;

/* Do others write it as well? */
bool store_is_shared(const struct store *store);
/*
 * Of a shared store: what the transactions after the one with number `after` have written, oldest first,
 * whole, without their audit entries and transitions; `base` is the number of the one before. ERR_EXPIRED:
 * the oldest of them are no longer kept; load anew. The entry's function must not call the store.
 */
int store_read_entries(struct store *store, uint64_t after,
                       int (*entry)(void *arg, const struct store_batch *batch, struct err *err), void *arg,
                       struct err *err) MUST_CHECK;

/*
 * Have `changed` called after each commit of somebody else's, from any thread; it must not block or call back
 * into the store. NULL: no longer, and no call is running when that returns. A store that only this process
 * writes, as SQLite's is, never calls it.
 */
void store_watch(struct store *store, void (*changed)(void *arg), void *arg);

/* ---- the past: the change log, read as history ---- */

/* Which rows of the change log. */
struct store_history_query {
    const char *kind;  /* NULL = of all kinds */
    const char *name;  /* of that kind; NULL = all */
    uint64_t after;    /* revision > */
    uint64_t below;    /* revision <; 0 = no limit */
    bool oldest_first; /* else the newest first */
    size_t limit;      /* 0 = all */
};
/* Those that are there, of revisions behind status.past; what is older is left out. The row's function must
 * not read from the same store. */
int store_read_history(struct store *store, const struct store_history_query *query,
                       int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                       struct err *err) MUST_CHECK;

/*
 * What is to be put back to come from the state at `upto` to that at `revision` (≤ upto): for each object
 * that was changed in between, in no order, its newest change up to `revision`, or NULL when it did not exist
 * then. ERR_EXPIRED: that state is not known (any more); says which is the oldest. The row's function must
 * not read from the same store.
 */
int store_read_past(struct store *store, uint64_t revision, uint64_t upto,
                    int (*row)(void *arg, const char *kind, const char *name,
                               const struct store_change *change, struct err *err),
                    void *arg, struct err *err) MUST_CHECK;

/* The newest revision that was committed at or before `time_ms` (realtime). Where the clock was set back, one
 * of those that fit. ERR_EXPIRED: nobody knows (any more). */
int store_find_time(struct store *store, int64_t time_ms, uint64_t *ret_revision, struct err *err) MUST_CHECK;

/*
 * Versions of lists that were given: of one node those with revision < below (0: no limit), the newest first,
 * at most `limit` (0 = all); with `node` NULL the newest of each node, in no order. What lies behind
 * status.past is there, and of each node that was there then the newest before; unless there was no room for
 * it. A store that keeps no past has none, and etcd's has none either: each instance makes lists anew at
 * moments of its own, and the versions of one would be told as another's. The row's function must not read
 * from the same store.
 */
struct store_given_query {
    const char *node;
    uint64_t below;
    size_t limit;
};
int store_read_given(struct store *store, const struct store_given_query *query,
                     int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                     struct err *err) MUST_CHECK;

/* How much of the past is kept. */
struct store_keep {
    uint64_t changes; /* the newest so many stay in any case; of older ones go … */
    int64_t since_ms; /* … those from before this time */
    uint64_t bytes;   /* … and the oldest while all together are larger than this */
};
#define STORE_CHANGE_BYTES 128 /* what a row counts besides its body */
#define STORE_GIVEN_BYTES  128 /* what a version of a list counts; all of them may have half of `bytes` */
/* Drop the oldest changes, a bounded number of rows per call; *ret_more: there is more to drop. What is left
 * is enough for every later state. *ret_compacted is the new status.compacted. */
int store_compact(struct store *store, const struct store_keep *keep, bool *ret_more, uint64_t *ret_compacted,
                  struct err *err) MUST_CHECK;

/* The audit trail's entries with sequence > that of the newest - `keep`, ascending. *ret_newest is the newest
 * one's sequence, 0 = there is none. The row's function must not read from the same store. */
int store_read_audit(struct store *store, uint64_t keep,
                     int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                     uint64_t *ret_newest, struct err *err) MUST_CHECK;

/* Drop the audit entries of these sequences, in one transaction; those that are not there are no failure. */
int store_drop_audit(struct store *store, const uint64_t *sequences, size_t count,
                     struct err *err) MUST_CHECK;

/* Transitions with sequence < below (0: all), the newest first, at most `limit` (0 = all). The row's function
 * must not read from the same store. */
int store_read_transitions(struct store *store, uint64_t below, size_t limit,
                           int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                           void *arg, struct err *err) MUST_CHECK;
/* Drop the oldest of those with sequence ≤ upto, at most `max` of them; *ret_more: there are more. From the
 * committing thread. */
int store_trim_transitions(struct store *store, uint64_t upto, size_t max, bool *ret_more,
                           struct err *err) MUST_CHECK;

/* Online backup of the live store into a new file (0600; ERR_ALREADY_EXISTS when it exists), verified by
 * opening it; on failure no file is left. From any thread; commits go on meanwhile. */
int store_backup(struct store *store, const char *path, struct err *err) MUST_CHECK;
/* The same into a file without a name in the data directory, open for reading: closing *ret_fd frees its
 * space. `go_on` is asked now and then; false: stop (ERR_UNAVAILABLE). */
int store_backup_open(struct store *store, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                      struct err *err) MUST_CHECK;

/* ---- database files that no store has open ---- */

/*
 * Look into the database file `path` without altering it: whole, ours, of a version that we can read; then
 * pass its settings and sealed values on (NULL callbacks skip; objects are not read). ERR_CORRUPT,
 * ERR_UNAVAILABLE.
 */
int store_inspect(const char *path, const struct store_reader *reader, struct store_status *ret,
                  struct err *err) MUST_CHECK;
/*
 * Put a copy of the database file `path` (with what a log beside it holds) in place of the one in `store` (an
 * address, or the directory of an SQLite store), in one step: a crash leaves either of them. Its revisions go
 * on behind those of both, and its change log is empty, but its past stays known. The old one is kept beside
 * it, and so is its log when it cannot be read any more; `ret_kept` is its name, "" when there was none. The
 * directory is made when it is missing. ERR_CONFLICT: a store has the directory open; ERR_UNAVAILABLE,
 * ERR_STORAGE_FULL: I/O; ERR_CORRUPT: `path` is no database that could be read; nothing was changed.
 */
#define STORE_KEPT_MAX 64
int store_restore(const char *store, const char *path, char ret_kept[STORE_KEPT_MAX],
                  struct err *err) MUST_CHECK;

#endif
