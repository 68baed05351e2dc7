/*
 * Rows about sessions, as JSON: one node's list joined with what its daemon and the far ends report.
 */
#ifndef BGPPEERD_HTTP_FLEET_SESSION_ROWS_H
#define BGPPEERD_HTTP_FLEET_SESSION_ROWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "request/request.h"
#include "state.h"

/* What a fleet's sessions are asked for; NULL, or false in has_verdict: all. */
struct session_filter {
    bool has_verdict;
    enum status_verdict verdict;
    const char *state;    /* "Established" */
    const char *bgp_peer; /* "mesh" for those of the mesh */
};

/* One node's rows under way. Holds a picture; the list lives in an arena of its own. */
struct session_rows {
    struct state *state;
    struct picture *picture;
    struct arena arena;
    struct peering_list list;
    struct status_node_key key;
    struct buf *out;
    const struct session_filter *filter; /* NULL: none */
    bool table;                          /* rows of a Table, not objects */
    size_t count;                        /* rows that were written */
    bool stopped;
};

/* Compute the node's list, and have it known to the status. ERR_NOT_FOUND: no such node. */
int session_rows_open(struct request *request, const char *node, struct buf *out, struct session_rows *ret,
                      struct err *err) MUST_CHECK;
int session_rows_visit(struct session_rows *rows,
                       void (*view)(void *arg, const struct status_node_view *view),
                       bool (*row)(void *arg, const struct status_row *row), struct err *err) MUST_CHECK;
void session_rows_close(struct session_rows *rows);

/* {"list": "current", "fetched": …}: what is known of the node itself, as one JSON object. */
void session_add_node(const struct status_node_view *view, struct buf *out);

/* One element of SessionStatusList's items: {peerIP, port, desired, here, there, verdict, message}. */
bool session_add_row(void *rows, const struct status_row *row);
/* One session of the fleet, as an object or a Table's row, when the filter takes it. */
bool session_add_fleet_row(void *rows, const struct status_row *row);
/* The columns of such a Table, as the value of columnDefinitions. */
void session_add_columns(struct buf *out);

#endif
