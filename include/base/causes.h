/*
 * Causes: every validation error of one document, collected (Kubernetes StatusCause).
 *
 * Plain value struct; not thread-safe; texts live in the arena given at init. At most CAUSES_MAX are
 * kept; `dropped` counts the rest.
 */
#ifndef BGPPEERD_BASE_CAUSES_H
#define BGPPEERD_BASE_CAUSES_H

#include <stddef.h>

#include "base/arena.h"

#define CAUSES_MAX 100

/* Kubernetes' cause reasons. */
#define CAUSE_INVALID       "FieldValueInvalid"
#define CAUSE_REQUIRED      "FieldValueRequired"
#define CAUSE_NOT_SUPPORTED "FieldValueNotSupported"
#define CAUSE_FORBIDDEN     "FieldValueForbidden"
#define CAUSE_DUPLICATE     "FieldValueDuplicate"
#define CAUSE_TYPE          "FieldValueTypeInvalid"
#define CAUSE_TOO_LONG      "FieldValueTooLong"
#define CAUSE_TOO_MANY      "FieldValueTooMany"
/* Ours, about the form of a document: Kubernetes tells these in the message alone. */
#define CAUSE_UNKNOWN_FIELD   "FieldUnknown"
#define CAUSE_DUPLICATE_FIELD "FieldDuplicate"

struct cause {
    const char *reason;  /* one of CAUSE_*, static */
    const char *field;   /* "spec.importV4[0].action" */
    const char *message; /* sentence for a person */
};

struct causes {
    struct arena *arena;
    size_t count;
    size_t dropped;
    struct cause items[CAUSES_MAX];
};

void causes_init(struct causes *causes, struct arena *arena);
void causes_add(struct causes *causes, const char *reason, const char *field, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Advice that is not an error; becomes `Warning: 299` headers. Same storage rules. */
#define ADVICE_MAX 32
struct advice {
    struct arena *arena;
    size_t count;
    size_t dropped; /* there was no room for them */
    const char *items[ADVICE_MAX];
};
void advice_init(struct advice *advice, struct arena *arena);
/* Ignores a text that is already there; at most ADVICE_MAX are kept. */
void advice_add(struct advice *advice, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
