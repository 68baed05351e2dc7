/*
 * What the files of the etcd store share.
 *
 * Keys, all below the prefix of --store-prefix:
 *   format                       what this is, and a name of its own; written once
 *   head                         how far the fleet is; every transaction but those of audit entries writes it
 *   compacted                    up to where the log is gone
 *   objects/KIND/NAME            what is there
 *   sealed/NAMESPACE/SECRET\0ITEM
 *   settings/NAME
 *   log/COMMIT                   what each transaction has written, whole; 20 digits
 *   past/KIND/NAME               of each object its newest change that is gone from the log, unless it
 * deleted the object: so that the state at any later revision can be told audit/SEQUENCE/INSTANCE      20
 * digits, 16 hexadecimal ones
 */
#ifndef BGPPEERD_STORE_ETCD_STORE_H
#define BGPPEERD_STORE_ETCD_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "etcd_form.h"
#include "etcd_link.h"
#include "store_ops.h"

#define ETCD_INSTANCE_MAX 17 /* hexadecimal digits and a NUL */
#define ETCD_READ_SECONDS 5  /* of one request */

struct etcd_store {
    struct store base;
    struct etcd_link *link;
    char *prefix; /* ends with a slash */
    char *dir;    /* data directory */
    int lock_fd;
    char instance[ETCD_INSTANCE_MAX];
    uint64_t writer; /* etcd_author */
    uint64_t serial; /* the committing thread's */
    int64_t
        audit_mod; /* etcd's revision when the trail was first read: entries up to there are everybody's */

    pthread_mutex_t lock;
    struct etcd_head head; /* lock; the newest that was seen */

    pthread_mutex_t backup_lock; /* the directory that a backup is made in */

    /* etcd_watch.c's */
    struct etcd_watch *watch;
};

/* ---- etcd_ops.c: keys, and what a transaction does ---- */

/* One put or deletion; places in `bytes`. */
struct etcd_op {
    bool remove;
    bool if_there; /* a put that makes nothing new */
    size_t key, key_len;
    size_t end, end_len; /* of a range that is deleted; 0 = that key only */
    size_t value, value_len;
    size_t order; /* the later of two for one key counts */
};
struct etcd_ops {
    const char *prefix;
    struct buf bytes;
    struct etcd_op *items;
    size_t count;
    size_t cap;
    bool failed; /* memory is out */
};
void etcd_ops_done(struct etcd_ops *ops);
/* A key is the prefix, a room's name, and up to two texts, of which the first ends with `middle`. Values are
 * written to ops->bytes between etcd_ops_put and etcd_ops_end. */
void etcd_ops_put(struct etcd_ops *ops, const char *room, const char *first, char middle, const char *second);
void etcd_ops_end(struct etcd_ops *ops);
void etcd_ops_put_bytes(struct etcd_ops *ops, const char *room, const char *first, const void *bytes,
                        size_t len);
void etcd_ops_delete(struct etcd_ops *ops, const char *room, const char *first, char middle,
                     const char *second);
/* All keys from the first on that are before the second. `first` and `last` are texts behind the room; last
 * may end with any byte. */
void etcd_ops_delete_range(struct etcd_ops *ops, const char *room, const char *first, size_t first_len,
                           const char *last, size_t last_len);
/* Of several for one key only the last stays; in the keys' order afterwards. */
void etcd_ops_fold(struct etcd_ops *ops);
/* As elements of a JSON array of requests, in groups that etcd takes; returns how many elements. `grows`: it
 * is to be refused when etcd is full. */
size_t etcd_ops_write(const struct etcd_ops *ops, bool grows, struct buf *out);

/* "KEY":"base64", the key as above. */
void etcd_add_key(struct buf *out, const char *name, const char *prefix, const char *room, const char *first,
                  char middle, const char *second);
/* {"requestRange":{…}} of one key. */
void etcd_add_get(struct buf *out, const struct etcd_store *store, const char *room, const char *first);
#define ETCD_SEQUENCE_MAX 21
void etcd_sequence(uint64_t number, char out[ETCD_SEQUENCE_MAX]);

/* ---- etcd_range.c: reading keys ---- */

struct etcd_kv {
    const char *key; /* what comes behind the prefix and the room's name; NUL-terminated */
    size_t key_len;
    const void *value; /* NUL-terminated */
    size_t value_len;
    int64_t mod;
};
struct etcd_range {
    const char *room; /* "objects/" */
    const char *from; /* first key, behind the room; "" = its first */
    const char *to;   /* first one that is not wanted; NULL = up to the room's end */
    int64_t at;       /* etcd's revision; 0 = now */
    bool descending;  /* the last one first */
    size_t limit;     /* 0 = all */
};
/* Call `row` for each, all of them as of one moment; a positive answer ends it as if there were no more. */
int etcd_range_each(struct etcd_store *store, const struct etcd_range *range,
                    int (*row)(void *arg, const struct etcd_kv *kv, struct err *err), void *arg,
                    struct err *err) MUST_CHECK;
/* The head, the mark and, unless `ret_now` is NULL, etcd's revision of that moment; noted as the newest. */
int etcd_read_head(struct etcd_store *store, struct etcd_head *ret, struct etcd_mark *ret_mark,
                   int64_t *ret_now, struct err *err) MUST_CHECK;
/* Of an answer to that; no such key: ERR_CORRUPT. */
int etcd_parse_head(const struct etcd_store *store, const json_t *kv, struct etcd_head *ret,
                    struct err *err) MUST_CHECK;
/* The first key and value in an answer's response `index`; NULL = none. */
const json_t *etcd_response_kv(const json_t *answer, size_t index);
/* A key's or value's bytes; free() it. NULL: memory is out, or it is no base64. */
unsigned char *etcd_bytes(const json_t *kv, const char *name, size_t *ret_len);
void etcd_note_head(struct etcd_store *store, const struct etcd_head *head);

/* ---- the calls of store_ops.h ---- */

int etcd_store_open(const char *place, const struct store_options *options, struct store **ret,
                    struct err *err) MUST_CHECK;
int etcd_store_status(struct store *base, struct store_status *ret, struct err *err) MUST_CHECK;
int etcd_store_load(struct store *base, const struct store_reader *reader, struct err *err) MUST_CHECK;
int etcd_store_commit(struct store *base, const struct store_batch *batch, struct err *err) MUST_CHECK;
int etcd_store_read_changes(struct store *base, uint64_t after, size_t limit,
                            int (*row)(void *arg, const struct store_change *change, struct err *err),
                            void *arg, struct err *err) MUST_CHECK;
int etcd_store_read_entries(struct store *base, uint64_t after,
                            int (*entry)(void *arg, const struct store_batch *batch, struct err *err),
                            void *arg, struct err *err) MUST_CHECK;
int etcd_store_read_history(struct store *base, const struct store_history_query *query,
                            int (*row)(void *arg, const struct store_change *change, struct err *err),
                            void *arg, struct err *err) MUST_CHECK;
int etcd_store_read_past(struct store *base, uint64_t revision, uint64_t upto,
                         int (*row)(void *arg, const char *kind, const char *name,
                                    const struct store_change *change, struct err *err),
                         void *arg, struct err *err) MUST_CHECK;
int etcd_store_find_time(struct store *base, int64_t time_ms, uint64_t *ret_revision,
                         struct err *err) MUST_CHECK;
int etcd_store_compact(struct store *base, const struct store_keep *keep, bool *ret_more,
                       uint64_t *ret_compacted, struct err *err) MUST_CHECK;
int etcd_store_read_audit(struct store *base, uint64_t keep,
                          int (*row)(void *arg, const struct store_audit *audit, struct err *err), void *arg,
                          uint64_t *ret_newest, struct err *err) MUST_CHECK;
int etcd_store_drop_audit(struct store *base, const uint64_t *sequences, size_t count,
                          struct err *err) MUST_CHECK;
int etcd_store_read_transitions(struct store *base, uint64_t below, size_t limit,
                                int (*row)(void *arg, const struct store_transition *transition,
                                           struct err *err),
                                void *arg, struct err *err) MUST_CHECK;
int etcd_store_trim_transitions(struct store *base, uint64_t upto, size_t max, bool *ret_more,
                                struct err *err) MUST_CHECK;
/* Those of the batch. */
void etcd_add_transitions(struct etcd_ops *ops, const struct etcd_store *store,
                          const struct store_batch *batch);
int etcd_store_backup(struct store *base, const char *path, struct err *err) MUST_CHECK;
int etcd_store_backup_open(struct store *base, bool (*go_on)(void *arg), void *arg, int *ret_fd,
                           struct err *err) MUST_CHECK;
void etcd_store_watch(struct store *base, void (*changed)(void *arg), void *arg);
int etcd_store_check(struct store *base, struct err *err) MUST_CHECK;
void etcd_store_sizes(struct store *base, struct store_figures *ret);

int etcd_watch_start(struct etcd_store *store, struct err *err) MUST_CHECK;
void etcd_watch_stop(struct etcd_store *store); /* also of one that was never started */

#endif
