/* Health: is the process alive, and can it take writes? Plain text, for people and probes. */
#include <stdio.h>

#include "admin/handlers.h"
#include "request/reply.h"
#include "request/serving.h"

int handle_livez(struct request *request, struct err *err) {
    return reply_static(request, STATUS_OK, TYPE_TEXT, "ok\n", 3, err);
}

int handle_readyz(struct request *request, struct err *err) {
    struct err failure = ERR_INIT;
    bool stopping = atomic_load(&request->serving->stopping);
    if (!stopping && state_writable(request->serving->state, &failure) == 0) {
        return reply_static(request, STATUS_OK, TYPE_TEXT, "ok\n", 3, err);
    }
    struct buf body = BUF_INIT;
    buf_printf(&body, "not ready: %s\n", stopping ? "the service is stopping" : failure.text);
    int result = reply_buffer(request, STATUS_SERVICE_UNAVAILABLE, TYPE_TEXT, &body, err);
    buf_done(&body);
    return result;
}
