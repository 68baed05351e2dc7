/* Health: is the process alive, and can it take writes? Plain text, for people and probes. */
#include <stdio.h>

#include "admin/handlers.h"
#include "base/clock.h"
#include "request/reply.h"
#include "request/serving.h"
#include "state/brake.h"

int handle_livez(struct request *request, struct err *err) {
    return reply_static(request, STATUS_OK, TYPE_TEXT, "ok\n", 3, err);
}

/* One line a thing, as Kubernetes writes them. This is public: why and by whom the fleet is frozen is not. */
static void add_checks(struct request *request, struct buf *out) {
    struct freeze freeze;
    char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX] = "";
    buf_add_str(out, "[+]store ok\n");
    state_freeze(request->serving->state, &freeze);
    if (!freeze.on) {
        buf_add_str(out, "[+]freeze ok: the fleet is not frozen\n");
        return;
    }
    clock_format_seconds(freeze.since_ms, since);
    if (freeze.until_ms != 0) {
        clock_format_seconds(freeze.until_ms, until);
    }
    buf_printf(out, "[+]freeze frozen since %s%s%s: writes that would change sessions are refused\n", since,
               until[0] != '\0' ? " until " : "", until);
}

int handle_readyz(struct request *request, struct err *err) {
    struct err failure = ERR_INIT;
    bool stopping = atomic_load(&request->serving->stopping);
    bool ready = !stopping && state_writable(request->serving->state, &failure) == 0;
    if (ready && request_query(request, QUERY_VERBOSE) == NULL) {
        return reply_static(request, STATUS_OK, TYPE_TEXT, "ok\n", 3, err);
    }
    struct buf body = BUF_INIT;
    if (ready) {
        add_checks(request, &body);
        buf_add_str(&body, "ok\n");
    } else {
        buf_printf(&body, "not ready: %s\n", stopping ? "the service is stopping" : failure.text);
    }
    int result = reply_buffer(request, ready ? STATUS_OK : STATUS_SERVICE_UNAVAILABLE, TYPE_TEXT, &body, err);
    buf_done(&body);
    return result;
}
