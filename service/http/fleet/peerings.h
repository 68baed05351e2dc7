/*
 * What the handlers of a node's list share, of now and of the past: its form (list_form.c).
 */
#ifndef BGPPEERD_HTTP_FLEET_PEERINGS_H
#define BGPPEERD_HTTP_FLEET_PEERINGS_H

#include "render.h"
#include "request/request.h"

#define PEERINGS_ETAG_MAX (RENDER_ETAG_MAX + 2) /* with quotes */

/* From `format=` or Accept, into the request. ERR_BAD_REQUEST, ERR_NOT_ACCEPTABLE. */
int peerings_choose_format(struct request *request, struct err *err) MUST_CHECK;
/* The one that was chosen. */
const struct render_format *peerings_format(const struct request *request);
/* The entity tag, with its quotes, of the list with this digest. */
void peerings_etag(const struct request *request, const char *digest, bool passwords,
                   char out[PEERINGS_ETAG_MAX]);
/* What the daemon cannot express, as warnings of the answer. */
void peerings_warn(struct request *request, const struct render_report *report);

/* Is a list of the past asked for (past_peerings.c)? */
bool peerings_wants_past(const struct request *request);

#endif
