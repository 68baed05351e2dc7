/*
 * Query parameters of one sort: texts, numbers, times. An empty one counts as absent. Each complains with the
 * parameter's name, what it says and what it may be: ERR_BAD_REQUEST.
 */
#ifndef BGPPEERD_HTTP_REQUEST_PARAMS_H
#define BGPPEERD_HTTP_REQUEST_PARAMS_H

#include <stdint.h>

#include "request/request.h"

/* NULL: absent. */
const char *param_text(const struct request *request, enum query_name name);
/* From 1 to `max`; *ret stays as it is when the parameter is absent. */
int param_number(const struct request *request, enum query_name name, uint64_t max, uint64_t *ret,
                 struct err *err) MUST_CHECK;
/* RFC 3339, as milliseconds since 1970; *ret stays as it is when the parameter is absent. */
int param_time(const struct request *request, enum query_name name, int64_t *ret, struct err *err) MUST_CHECK;
/* `wait`: "30s", "1m30s", or plain seconds, up to HTTP_WAIT_MAX_S; 0 when there is none. An empty one is
 * refused. */
int param_wait(const struct request *request, int64_t *ret_ms, struct err *err) MUST_CHECK;

#endif
