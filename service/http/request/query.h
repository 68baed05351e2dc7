/*
 * Query parameters: every name that is known, and what becomes of the others.
 *
 * Each route says in the route table which parameters it takes. A parameter that is not among them is no
 * error where Kubernetes' clients send it and it changes nothing, and is refused everywhere else: a misspelt
 * `dryRun` must never write, and a misspelt `limit` should not answer everything. The rules are in query.c.
 */
#ifndef BGPPEERD_HTTP_REQUEST_QUERY_H
#define BGPPEERD_HTTP_REQUEST_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* In the order of the table of names; a new parameter is one line in each. */
enum query_name {
    QUERY_PRETTY,
    QUERY_TIMEOUT,
    QUERY_DRY_RUN,
    QUERY_FIELD_MANAGER,
    QUERY_FIELD_VALIDATION,
    QUERY_FORCE,
    QUERY_GRACE_PERIOD,
    QUERY_ORPHANS,
    QUERY_PROPAGATION,
    QUERY_IGNORE_READ_ERROR,
    QUERY_LABELS,
    QUERY_FIELDS,
    QUERY_LIMIT,
    QUERY_CONTINUE,
    QUERY_VERSION,
    QUERY_VERSION_MATCH,
    QUERY_INCLUDE_OBJECT,
    QUERY_WATCH,
    QUERY_TIMEOUT_SECONDS,
    QUERY_BOOKMARKS,
    QUERY_INITIAL_EVENTS,
    QUERY_VERBOSE,
    QUERY_EXCLUDE,
    QUERY_HASH,
    QUERY_PREVIEW,
    QUERY_WAIT,
    QUERY_FORMAT,
    QUERY_EXPLAIN,
    QUERY_PASSWORDS,
    QUERY_EVENT,
    QUERY_USER,
    QUERY_RESOURCE,
    QUERY_KIND,
    QUERY_NAME,
    QUERY_SINCE,
    QUERY_UNTIL,
    QUERY_VERDICT,
    QUERY_STATE,
    QUERY_NODE,
    QUERY_BGP_PEER,
    QUERY_PEER,
    QUERY_VIEW,
    QUERY_AFTER,
    QUERY_SOURCE,
    QUERY_SKIP_BAD,
    QUERY_REVISION,
    QUERY_AT,
    QUERY_FROM,
    QUERY_TO,
    QUERY_ACTOR,
    QUERY_COUNT, /* how many; also stands for a name that is not known */
};

/* A set of names. */
typedef uint64_t query_set;
_Static_assert(QUERY_COUNT <= 64, "a set has a bit for each name");
#define QUERY_SET(name) (UINT64_C(1) << (name))

struct query_item {
    enum query_name name;
    const char *text;  /* the name as it was written, decoded */
    const char *value; /* decoded; "" when it has none */
};

const char *query_name_text(enum query_name name);
/* QUERY_COUNT: there is no such parameter. Letters of the other case are another name. */
enum query_name query_find(const char *text);

struct route;

/* Does the route take all of these? ERR_BAD_REQUEST says which it does not, and what was perhaps meant. */
int query_check(const struct route *route, const struct query_item *items, size_t count,
                struct err *err) MUST_CHECK;

#endif
