/*
 * The stream that every watch is: lines of JSON as its connection can take them, waiting in between,
 * bookmarks, its end. What is told comes from a source: objects (watch.c), sessions (fleet/session_watch.c).
 */
#ifndef BGPPEERD_HTTP_OBJECTS_WATCH_STREAM_H
#define BGPPEERD_HTTP_OBJECTS_WATCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "request/request.h"

/* A source stops adding events to one write beyond this. */
#define WATCH_FILL 2048

struct watch_source;

struct watch_operations {
    /* Add the next of what there was at the beginning. false: that was all of it. */
    bool (*initial)(struct watch_source *source, struct buf *out);
    /* Add what came after *reported, about WATCH_FILL bytes of it, and move *reported. ERR_EXPIRED. */
    int (*changes)(struct watch_source *source, uint64_t *reported, struct buf *out, struct err *err);
    /* Have `wake` called once when there is more than `reported`. *ret_ready true: there is; not armed. */
    void (*arm)(struct watch_source *source, uint64_t reported, void (*wake)(void *arg), void *arg,
                bool *ret_ready);
    /* true: wake will not be called. */
    bool (*disarm)(struct watch_source *source);
    /* What was there at the beginning is no longer needed. */
    void (*forget)(struct watch_source *source);
    /* The request may be gone. */
    void (*free)(struct watch_source *source);
};

/* First member of a watch's own struct, which is allocated. */
struct watch_source {
    const struct watch_operations *operations;
    const char *kind; /* of bookmarks; static, as the next */
    const char *api_version;
    bool initial;      /* what there is is told first */
    uint64_t reported; /* everything up to this resourceVersion is known to the client */
};

/* `resourceVersion` and `sendInitialEvents` of the query, where the newest is `current`: sets `initial` and
 * `reported`. *ret_asked: what was asked for; 0: nothing. */
int watch_read_start(const struct request *request, uint64_t current, struct watch_source *source,
                     uint64_t *ret_asked, struct err *err) MUST_CHECK;

/* A place among the open watches. ERR_UNAVAILABLE: there is none. Given back with the source, or by hand. */
int watch_take_place(struct serving *serving, struct err *err) MUST_CHECK;
void watch_leave_place(struct serving *serving);

/* Begin the stream. Takes the source and its place over, also on failure. A start that is too old is said by
 * the answer's status, while there still is one to send. */
int watch_start(struct request *request, struct watch_source *source, struct err *err) MUST_CHECK;

#endif
