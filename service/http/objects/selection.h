/* Which objects a list, watch or deletion is about: labelSelector, fieldSelector, and the path's
 * namespace. Immutable once parsed. */
#ifndef BGPPEERD_HTTP_OBJECTS_SELECTION_H
#define BGPPEERD_HTTP_OBJECTS_SELECTION_H

#include <stdbool.h>

#include "model/object.h"
#include "objects/labelselector.h"
#include "request/request.h"

#define SELECTION_FIELDS_MAX 8

struct field_requirement {
    bool name_space; /* metadata.namespace; else metadata.name */
    bool equal;
    const char *value;
};

struct selection {
    const char *name_space; /* of the path; NULL = all */
    struct labelselector labels;
    size_t field_count;
    struct field_requirement fields[SELECTION_FIELDS_MAX];
};

/* From the request's query, which must have been parsed. The result lives in the request's arena. */
int selection_parse(struct request *request, const char *name_space, struct selection *ret,
                    struct err *err) MUST_CHECK;
bool selection_matches(const struct selection *selection, const struct object *object);
/* Does it select everything? */
bool selection_is_all(const struct selection *selection);
/* Can an object enter or leave it by a change of its labels? */
bool selection_is_by_label(const struct selection *selection);

#endif
