/*
 * Tables (meta.k8s.io/v1) of what is no stored object: sessions, transitions and the like. Their columns are
 * a table each; rows are written cell by cell, in its order.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_OWN_TABLE_H
#define BGPPEERD_HTTP_OBJECTS_OWN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct table_column {
    const char *name;
    const char *type; /* "string", "integer", "date" */
    const char *description;
    unsigned priority; /* 1: only with -o wide */
};

/* Up to and with `"rows":[`; table_end closes it. `revision` 0, `token` NULL: without. `columns` NULL:
 * without definitions, as in all events of a watch but the first. */
void own_table_begin(const struct table_column *columns, size_t count, uint64_t revision, const char *token,
                     struct buf *out);

void own_table_row(struct buf *out);                                 /* begins one */
void own_table_text(struct buf *out, const char *text);              /* NULL: "-" */
void own_table_number(struct buf *out, bool known, uint64_t number); /* not known: null */
/* The row's end, with the name of what it is about and nothing else. */
void own_table_row_end(struct buf *out, const char *name);

#endif
