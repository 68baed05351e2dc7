/*
 * Rows about sessions, as JSON: one node's list joined with what its daemon and the far ends report.
 */
#ifndef BGPPEERD_HTTP_FLEET_SESSION_ROWS_H
#define BGPPEERD_HTTP_FLEET_SESSION_ROWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "state.h"

/* One node's rows under way. Holds a picture; the list lives in an arena of its own. */
struct session_rows {
    struct state *state;
    struct picture *picture;
    struct arena arena;
    struct peering_list list;
    struct status_node_key key;
    struct buf *out;
};

/* Compute the node's list, and have it known to the status, as well as those of the far ends. ERR_NOT_FOUND:
 * no such node. */
int session_rows_open(struct state *state, const char *node, struct buf *out, struct session_rows *ret,
                      struct err *err) MUST_CHECK;
/* Calls `view` and `row` (either may be NULL) with `arg`. */
int session_rows_visit(struct session_rows *rows,
                       void (*view)(void *arg, const struct status_node_view *view),
                       bool (*row)(void *arg, const struct status_row *row), void *arg,
                       struct err *err) MUST_CHECK;
void session_rows_close(struct session_rows *rows);

/* {"list": "current", "fetched": …}: what is known of the node itself, as one JSON object. */
void session_add_node(const struct status_node_view *view, struct buf *out);

/* One element of SessionStatusList's items: {peerIP, port, desired, here, there, verdict, message}. `rows` is
 * the struct session_rows. */
bool session_add_row(void *rows, const struct status_row *row);

/* Its parts: members that are the same wherever a session is shown. */
void session_add_key(struct buf *out, const struct status_row *row);
void session_add_end(struct buf *out, const char *key, const struct status_session *session);
void session_add_judgement(struct buf *out, const struct status_row *row);

#endif
