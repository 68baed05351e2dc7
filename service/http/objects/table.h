/* Tables (meta.k8s.io/v1): lists as kubectl prints them. */
#ifndef BGPPEERD_HTTP_OBJECTS_TABLE_H
#define BGPPEERD_HTTP_OBJECTS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/object.h"
#include "request/request.h"
#include "snapshot.h"
#include "state.h"

/* What a row carries besides its cells. */
enum table_object { TABLE_METADATA, TABLE_WHOLE, TABLE_NOTHING };

/* `includeObject` of the query. ERR_BAD_REQUEST. */
int table_object_param(const struct request *request, enum table_object *ret, struct err *err) MUST_CHECK;

/* Up to and with `"rows":[`; table_end closes it. `columns`: with definitions. */
void table_begin(enum kind kind, uint64_t revision, const char *token, int64_t remaining, bool columns,
                 struct buf *out);
/* The moment that rows tell of: ages, and of Nodes what their sessions do. */
struct table_now {
    struct picture *picture; /* a reference */
    struct fleet_status *status;
    int64_t real_ms;
};
void table_now_take(struct state *state, struct table_now *ret);
void table_now_done(struct table_now *now);
int table_row(const struct record *record, enum table_object object, const struct table_now *now,
              struct buf *out, struct err *err) MUST_CHECK;
void table_end(struct buf *out);

/* PartialObjectMetadata: the object's metadata as they are, and nothing else. */
void table_metadata(const struct object *object, struct buf *out);

/* "5s", "3m", "2d": how long ago. */
#define TABLE_AGE_MAX 48
void table_age(int64_t since_ms, int64_t now_ms, char out[TABLE_AGE_MAX]);

#endif
