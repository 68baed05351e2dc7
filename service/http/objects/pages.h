/*
 * Pages: what keeps a list consistent over its pages. The snapshot of a first page is remembered for a
 * few minutes, so that later pages come from the same picture whatever has been written meanwhile.
 *
 * One lock, which guards the remembered snapshots. Thread-safe.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_PAGES_H
#define BGPPEERD_HTTP_OBJECTS_PAGES_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/object.h"
#include "snapshot.h"

#define PAGES_KEPT    16          /* snapshots; the one unused for the longest time goes first */
#define PAGES_KEEP_MS (5 * 60000) /* after its last use */

struct pages;

int pages_new(struct pages **ret, struct err *err) MUST_CHECK;
void pages_free(struct pages *pages); /* accepts NULL */

/* Remember the snapshot (own reference). */
void pages_keep(struct pages *pages, const struct snapshot *snapshot);
/* The remembered snapshot of that revision with a reference, or NULL. */
const struct snapshot *pages_find(struct pages *pages, uint64_t revision);
/* Forget what is too old; a `void *` for the timer. */
void pages_sweep(void *pages);

/* A continue token: the list's revision and kind, and the last key given out. NULL: out of memory. */
const char *pages_token(struct arena *arena, uint64_t revision, enum kind kind, const char *key);
/* ERR_BAD_REQUEST: not one of ours, or of another kind's list. */
int pages_parse_token(struct arena *arena, const char *token, enum kind kind, uint64_t *ret_revision,
                      const char **ret_key, struct err *err) MUST_CHECK;

#endif
