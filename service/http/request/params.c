/*
 * Query parameters of one sort. Pure functions of the request; nothing is kept.
 */
#include "request/params.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "http.h"

const char *param_text(const struct request *request, enum query_name name) {
    const char *text = request_query(request, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

int param_number(const struct request *request, enum query_name name, uint64_t max, uint64_t *ret,
                 struct err *err) {
    const char *text = param_text(request, name);
    uint64_t number = 1;
    if (text == NULL) {
        return 0;
    }
    if (!u64_parse(text, strlen(text), max, &number) || number == 0) {
        return err_set(err, ERR_BAD_REQUEST, "%s=%.50s is not a number from 1 to %" PRIu64,
                       query_name_text(name), text, max);
    }
    *ret = number;
    return 0;
}

int param_time(const struct request *request, enum query_name name, int64_t *ret, struct err *err) {
    const char *text = param_text(request, name);
    if (text != NULL && !clock_parse(text, strlen(text), ret)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "%s=%.50s is not a time; write for example %s=2026-11-23T00:00:00Z",
                       query_name_text(name), text, query_name_text(name));
    }
    return 0;
}

int param_wait(const struct request *request, int64_t *ret_ms, struct err *err) {
    const char *text = request_query(request, QUERY_WAIT);
    *ret_ms = 0;
    if (text == NULL) {
        return 0;
    }
    uint64_t seconds;
    int64_t ns = 0;
    bool plain = u64_parse(text, strlen(text), HTTP_WAIT_MAX_S + 1, &seconds);
    bool understood = plain || duration_parse(text, strlen(text), &ns);
    int64_t ms = plain ? (int64_t)seconds * 1000 : ns / 1000000;
    if (!understood || ns < 0 || ms > HTTP_WAIT_MAX_S * 1000) {
        return err_set(err, ERR_BAD_REQUEST,
                       "wait=%.50s is not a time from 0s to %ds; write for example wait=30s", text,
                       HTTP_WAIT_MAX_S);
    }
    *ret_ms = ms;
    return 0;
}
