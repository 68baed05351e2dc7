/*
 * The binary forms of what is kept in etcd: numbers of seven bits a byte, the lowest first; texts and bytes
 * with their length in front. Each value begins with the number of its form, so that a later one is known as
 * such.
 */
#ifndef BGPPEERD_STORE_ETCD_FORM_H
#define BGPPEERD_STORE_ETCD_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "store.h"

/* Who has written a transaction, and which of theirs it is. */
struct etcd_author {
    uint64_t writer; /* random, of an opened store */
    uint64_t serial;
};

/* The key `head`: how far the fleet is. */
struct etcd_head {
    uint64_t revision;
    uint64_t commit;
    uint64_t rows;   /* changes so far */
    uint64_t bytes;  /* of them, as STORE_CHANGE_BYTES counts */
    int64_t time_ms; /* of the newest change */
    struct etcd_author author;
    int64_t mod; /* etcd's own revision of the key; not in the value */
};

/* The key `compacted`: up to where the log is gone. */
struct etcd_mark {
    uint64_t revision; /* of the newest change that is gone, 0 = none is */
    uint64_t commit;   /* … of the newest transaction */
    uint64_t rows;     /* gone */
    uint64_t bytes;
    int64_t time_ms; /* of that change */
    int64_t mod;     /* likewise; 0 = there is no such key */
};

/* A transaction in the log. */
struct etcd_entry {
    struct etcd_author author;
    uint64_t revision;        /* the newest afterwards */
    int64_t time_ms;          /* of the change with that revision */
    struct store_batch batch; /* its audit entries are elsewhere */
};

void etcd_head_write(const struct etcd_head *head, struct buf *out);
void etcd_mark_write(const struct etcd_mark *mark, struct buf *out);
void etcd_entry_write(const struct etcd_entry *entry, struct buf *out);
void etcd_change_write(const struct store_change *change, struct buf *out);
void etcd_object_write(uint64_t revision, const char *body, size_t len, struct buf *out);
void etcd_sealed_write(const struct store_sealed *sealed, struct buf *out);
void etcd_audit_write(const struct store_audit *audit, struct buf *out);
void etcd_transition_write(const struct store_transition *transition, struct buf *out);

/* Reading. ERR_CORRUPT: damaged; ERR_UNAVAILABLE: of a later form. `mod` stays as it is. Bytes are borrowed
 * from the value, texts and arrays are in the arena. */
int etcd_head_read(const void *value, size_t len, struct etcd_head *ret, struct err *err) MUST_CHECK;
int etcd_mark_read(const void *value, size_t len, struct etcd_mark *ret, struct err *err) MUST_CHECK;
int etcd_entry_read(const void *value, size_t len, struct arena *arena, struct etcd_entry *ret,
                    struct err *err) MUST_CHECK;
int etcd_change_read(const void *value, size_t len, struct arena *arena, struct store_change *ret,
                     struct err *err) MUST_CHECK;
int etcd_object_read(const void *value, size_t len, uint64_t *ret_revision, const char **ret_body,
                     size_t *ret_len, struct err *err) MUST_CHECK;
/* All but its names, which are in the key. */
int etcd_sealed_read(const void *value, size_t len, struct store_sealed *ret, struct err *err) MUST_CHECK;
/* All but the sequence. */
int etcd_audit_read(const void *value, size_t len, struct store_audit *ret, struct err *err) MUST_CHECK;
int etcd_transition_read(const void *value, size_t len, struct arena *arena, struct store_transition *ret,
                         struct err *err) MUST_CHECK;

#endif
