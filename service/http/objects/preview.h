/*
 * Previews: what writes would do to every node's sessions, before they are made; and applies, which make
 * several writes at once.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_PREVIEW_H
#define BGPPEERD_HTTP_OBJECTS_PREVIEW_H

#include "base/buf.h"
#include "base/err.h"
#include "base/random.h"
#include "request/request.h"
#include "state.h"

/* Which part of a preview is wanted. Totals are always of the whole. */
struct preview_view {
    bool summary;                /* of each node the totals, not the sessions */
    bool totals;                 /* not even a list of the nodes */
    bool quiet;                  /* nobody reads the warnings: none are looked for */
    const char *node;            /* only this one is listed; NULL: all */
    const char *after;           /* only nodes behind this one are listed; NULL: all */
    struct fleet_status *status; /* knows what nodes run; NULL: nobody does */
    size_t pairs_max;            /* give up with ERR_CONFLICT when more sessions must be compared; 0: never */
    const struct request *request; /* give up when its client has gone; NULL: nobody waits */
};

/* From ?view=, ?node= and ?after=. */
int preview_read_view(struct request *request, struct preview_view *ret, struct err *err) MUST_CHECK;

/*
 * The `changes` object (totals first, then a list by node name) of what lies between two pictures, and the
 * items of `warnings`. `view` NULL: everything. The detail of a large change ends at a limit: the rest of the
 * nodes are listed with their totals, and `truncated` says so; `last` is the node to go on after. The
 * digest is of all that differs, whatever the view.
 */
int preview_encode(const struct picture *before, const struct picture *after, const struct node_set *affected,
                   const struct preview_view *view, struct buf *changes, struct buf *warnings,
                   char ret_digest[DIGEST_TEXT_MAX], struct err *err) MUST_CHECK;

/* The `changes` object of what changes nothing. */
void preview_encode_nothing(struct buf *changes);

/* The totals alone: sessions in `ret`, and how many nodes' lists differ. ERR_TOO_LARGE: more than `pairs_max`
 * sessions must be compared. */
int preview_count(const struct picture *before, const struct picture *after, const struct node_set *affected,
                  struct fleet_status *status, size_t pairs_max, struct peering_diff *ret, size_t *ret_nodes,
                  struct err *err) MUST_CHECK;

/* Would the write be refused by the brake or for a freeze? *ret_refusal: with that, or ERR_NONE. */
int preview_judge(struct request *request, const struct write *write, const struct picture *before,
                  const struct picture *after, const struct node_set *affected, struct err *ret_refusal,
                  struct err *err) MUST_CHECK;
/* The member `refused` of an answer, when there is a refusal; and a warning of it. */
void preview_add_refusal(const struct err *refusal, struct buf *out, struct buf *warnings);

/*
 * The answer: a Preview. `objects`: its member of that name or `object`. The request's advice joins the
 * warnings.
 */
int preview_reply(struct request *request, uint64_t revision, const struct buf *objects,
                  const struct buf *changes, const struct err *refusal, struct buf *warnings,
                  struct err *err) MUST_CHECK;

/*
 * The answer to a write with dryRun=All&preview=peerings: a Preview with its `object`. The request is
 * suspended; `write` must live as long as it.
 */
int preview_write(struct request *request, struct write *write, struct err *err) MUST_CHECK;
/* The same for a write and its `also`, of one kind and operation, with their `objects`. NULL: none, at this
 * revision, which is answered at once. */
#define PREVIEW_WRITES_MAX 1000
int preview_writes(struct request *request, struct write *first, uint64_t revision,
                   struct err *err) MUST_CHECK;

/*
 * The previews that were answered lately: which result was shown for which documents at which version. So
 * that an apply can tell whether it would still do what was previewed. Thread-safe.
 */
#define PREVIEWS_KEPT 256
struct shown_preview {
    uint64_t revision; /* 0 = empty */
    char body[DIGEST_TEXT_MAX];
    char result[DIGEST_TEXT_MAX];
};
struct shown_previews;
int shown_previews_new(struct shown_previews **ret, struct err *err) MUST_CHECK;
void shown_previews_free(struct shown_previews *previews); /* accepts NULL */
void shown_previews_add(struct shown_previews *previews, const struct shown_preview *preview);
/* The result shown for these documents at that version; false: not known (any more). */
bool shown_previews_find(struct shown_previews *previews, uint64_t revision, const char *body,
                         char ret_result[DIGEST_TEXT_MAX]);

#endif
