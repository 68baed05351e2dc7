/*
 * What an implementation of the store provides. store.c checks what every implementation would have
 * to check and calls through this table; the meaning of each call is the one in store.h.
 *
 * An implementation's own struct begins with `struct store`, all zero but for `ops`.
 */
#ifndef BGPPEERD_STORE_OPS_H
#define BGPPEERD_STORE_OPS_H

#include <stdatomic.h>

#include "store.h"

struct store_ops {
    void (*close)(struct store *store);
    int (*status)(struct store *store, struct store_status *ret, struct err *err);
    int (*load)(struct store *store, const struct store_reader *reader, struct err *err);
    int (*commit)(struct store *store, const struct store_batch *batch, struct err *err);
    int (*read_changes)(struct store *store, uint64_t after, size_t limit,
                        int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                        struct err *err);
    /* Both NULL: nobody else writes. */
    int (*read_entries)(struct store *store, uint64_t after,
                        int (*entry)(void *arg, const struct store_batch *batch, struct err *err), void *arg,
                        struct err *err);
    void (*watch)(struct store *store, void (*changed)(void *arg), void *arg);
    int (*compact)(struct store *store, const struct store_keep *keep, bool *ret_more,
                   uint64_t *ret_compacted, struct err *err);
    /* These three NULL: the store keeps no past; the calls then answer ERR_EXPIRED. */
    int (*read_history)(struct store *store, const struct store_history_query *query,
                        int (*row)(void *arg, const struct store_change *change, struct err *err), void *arg,
                        struct err *err);
    int (*read_past)(struct store *store, uint64_t revision, uint64_t upto,
                     int (*row)(void *arg, const char *kind, const char *name,
                                const struct store_change *change, struct err *err),
                     void *arg, struct err *err);
    int (*find_time)(struct store *store, int64_t time_ms, uint64_t *ret_revision, struct err *err);
    /* NULL: it keeps none, and leaves out those of a batch. */
    int (*read_given)(struct store *store, const struct store_given_query *query,
                      int (*row)(void *arg, const struct store_given *given, struct err *err), void *arg,
                      struct err *err);
    int (*read_audit)(struct store *store, uint64_t keep,
                      int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                      uint64_t *ret_newest, struct err *err);
    int (*drop_audit)(struct store *store, const uint64_t *sequences, size_t count, struct err *err);
    /* Both NULL: transitions are not kept. */
    int (*read_transitions)(struct store *store, uint64_t below, size_t limit,
                            int (*row)(void *arg, const struct store_transition *transition, struct err *err),
                            void *arg, struct err *err);
    int (*trim_transitions)(struct store *store, uint64_t upto, size_t max, bool *ret_more, struct err *err);
    int (*backup)(struct store *store, const char *path, struct err *err);
    int (*backup_open)(struct store *store, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                       struct err *err);
    int (*check)(struct store *store, struct err *err); /* NULL: nothing can be wrong without a commit */
    /* The sizes in `ret`; the rest is store.c's. */
    void (*sizes)(struct store *store, struct store_figures *ret);
};

struct store {
    const struct store_ops *ops;
    struct histogram commits; /* noted by store.c */
    _Atomic uint64_t commit_failures;
    struct err accepted; /* at the opening; ERR_NONE = nothing had to be */
};

/* Several instances over etcd. */
extern const struct store_driver STORE_ETCD;

/* The SQLite implementation. A backup is always one of its files. */
extern const struct store_driver STORE_SQLITE;
int sqlite_store_open(const char *place, const struct store_options *options, struct store **ret,
                      struct err *err) MUST_CHECK;
int sqlite_store_inspect(const char *path, const struct store_reader *reader, struct store_status *ret,
                         struct err *err) MUST_CHECK;
int sqlite_store_restore(const char *place, const char *path, char *ret_kept, struct err *err) MUST_CHECK;

#endif
