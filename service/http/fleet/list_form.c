/*
 * In which form a node's list is asked for and answered: as JSON, or as a daemon's configuration. For lists
 * of now (peerings.c) and of the past (past_peerings.c). Nothing is kept; no locks.
 */
#include <stdio.h>
#include <string.h>

#include "fleet/peerings.h"
#include "request/media.h"
#include "request/params.h"

const struct render_format *peerings_format(const struct request *request) {
    size_t count;
    return &render_formats(&count)[request->list_format - 1];
}

void peerings_etag(const struct request *request, const char *digest, bool passwords,
                   char out[PEERINGS_ETAG_MAX]) {
    out[0] = '"';
    size_t len = render_etag(peerings_format(request), digest, passwords, out + 1);
    memcpy(out + 1 + len, "\"", 2);
}

void peerings_warn(struct request *request, const struct render_report *report) {
    struct advice *advice = report->count > 0 ? request_advice(request) : NULL;
    for (size_t i = 0; advice != NULL && i < report->count; i++) {
        const struct render_problem *problem = &report->problems[i];
        advice_add(advice, "%s %s%s%s: %s%s", problem->reason,
                   problem->peer_ip != NULL ? problem->peer_ip : "", problem->peer_ip != NULL ? " " : "",
                   problem->field, problem->message, problem->disabled ? "; the session is disabled" : "");
    }
}

static int err_no_format(const char *name, struct err *err) {
    char names[ERR_TEXT_MAX / 2];
    size_t count, len = 0;
    const struct render_format *formats = render_formats(&count);
    for (size_t i = 0; i < count && len < sizeof(names); i++) {
        len +=
            (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i == 0 ? "" : ", ", formats[i].name);
    }
    return err_set(err, ERR_BAD_REQUEST, "format=%.50s is not known; the formats are %s", name, names);
}

/* `format=` says more than Accept, which curl and browsers send without having been asked. */
int peerings_choose_format(struct request *request, struct err *err) {
    const char *name = request->query != NULL ? request_query(request, QUERY_FORMAT) : NULL;
    const struct render_format *format = NULL;
    size_t count;
    if (name == NULL) {
        if (media_accept_list(request_header(request, HEADER_ACCEPT), &format, err) != 0) {
            return -1;
        }
    } else {
        format = render_format_by_name(name);
        if (format == NULL) {
            return err_no_format(name, err);
        }
    }
    request->list_format = (uint8_t)(format - render_formats(&count) + 1);
    return 0;
}
