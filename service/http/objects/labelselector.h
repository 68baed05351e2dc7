/*
 * Kubernetes' label selectors (`labelSelector=` of lists and watches). Not Calico's expression
 * language, which lives in selector.h.
 *
 *   requirement *( "," requirement )
 *   requirement := key | "!" key | key ("=" | "==" | "!=") value | key (">" | "<") integer
 *                | key ("in" | "notin") "(" value *("," value) ")"
 *
 * Source: Kubernetes' API conventions, "Labels and Selectors". Immutable once parsed.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_LABELSELECTOR_H
#define BGPPEERD_HTTP_OBJECTS_LABELSELECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "selector.h"

enum label_operator { LABEL_EXISTS, LABEL_ABSENT, LABEL_IN, LABEL_NOT_IN, LABEL_GREATER, LABEL_LESS };

struct label_requirement {
    const char *key;
    enum label_operator op;
    size_t value_count;
    const char **values;
    uint64_t bound; /* of LABEL_GREATER and LABEL_LESS */
    struct label_requirement *next;
};

/* All requirements must hold; NULL requirements: everything matches. */
struct labelselector {
    struct label_requirement *requirements;
};

/* ERR_BAD_REQUEST with the byte offset. The result lives in the arena. */
int labelselector_parse(const char *text, struct arena *arena, struct labelselector *ret,
                        struct err *err) MUST_CHECK;
bool labelselector_matches(const struct labelselector *selector, const struct label_set *labels);

#endif
