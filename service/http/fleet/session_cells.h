/*
 * Sessions of the whole fleet, as objects and as rows of a Table; lists and watches show them alike.
 */
#ifndef BGPPEERD_HTTP_FLEET_SESSION_CELLS_H
#define BGPPEERD_HTTP_FLEET_SESSION_CELLS_H

#include "base/buf.h"
#include "objects/labelselector.h"
#include "objects/table.h"
#include "request/request.h"
#include "state.h"

/* Which sessions are asked for, and how they are to be shown. */
struct session_query {
    bool has_verdict;
    enum status_verdict verdict;
    bool has_state;
    enum session_state state;
    const char *bgp_peer; /* NULL: all; "mesh" for those of the mesh */
    const char *node;     /* NULL: all */
    struct labelselector labels;
    bool table; /* rows of a Table, not objects */
    enum table_object object;
};

/* From the request's query and Accept; texts are the request's. ERR_BAD_REQUEST, ERR_NOT_ACCEPTABLE;
 * ERR_NOT_FOUND: there is no such node. */
int session_query_read(struct request *request, struct session_query *ret, struct err *err) MUST_CHECK;

/* The three parts of the question. */
bool session_query_takes_node(const struct session_query *query, const struct record *node);
bool session_query_takes_sight(const struct session_query *query, const struct status_sight *sight);
bool session_query_takes_peer(const struct session_query *query, const struct status_row *row);

/* One session of `node`; `revision` is what it says of its resourceVersion. */
void session_add(const struct session_query *query, const char *node, const struct status_row *row,
                 uint64_t revision, struct buf *out);
/* What an agent's report, or the lack of one, is in a sight. */
struct status_sight session_sight(const struct status_row *row);
/* A Table up to its rows. `columns`: with their definitions. */
void session_table_begin(uint64_t revision, const char *token, bool columns, struct buf *out);

#endif
