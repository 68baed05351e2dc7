/*
 * The audit trail, for admins: its entries in pages, newest first, filtered by the query. Reads state's
 * trail, which has a lock of its own; keeps nothing.
 */
#include <inttypes.h>
#include <string.h>

#include "admin/handlers.h"
#include "base/clock.h"
#include "request/params.h"
#include "request/reply.h"
#include "request/serving.h"

#define AUDIT_PAGE     100
#define AUDIT_PAGE_MAX 1000

static void add_entry(struct buf *out, const struct audit_entry *entry) {
    char time[CLOCK_TEXT_MAX];
    clock_format_millis(entry->time_ms, time);
    buf_json_comma(out);
    buf_add_char(out, '{');
    buf_json_member_u64(out, "sequence", entry->sequence);
    buf_json_member_str(out, "time", time);
    audit_entry_members(entry, out);
    buf_add_char(out, '}');
}

static int read_filter(struct request *request, struct audit_filter *filter, struct err *err) {
    if (param_time(request, QUERY_SINCE, &filter->since_ms, err) != 0 ||
        param_time(request, QUERY_UNTIL, &filter->until_ms, err) != 0) {
        return -1;
    }
    const char *wanted = param_text(request, QUERY_EVENT);
    if (wanted != NULL) {
        enum audit_event event;
        if (!audit_event_parse(wanted, &event)) {
            return err_set(
                err, ERR_BAD_REQUEST,
                "event=%.50s is not one of write, denied, unauthorized, passwords, token, vault, tried",
                wanted);
        }
        filter->event = (int)event;
    }
    filter->user = param_text(request, QUERY_USER);
    filter->resource = param_text(request, QUERY_RESOURCE);
    filter->name = param_text(request, QUERY_NAME);
    return 0;
}

int handle_audit(struct request *request, struct err *err) {
    struct audit_filter filter = {.event = -1};
    uint64_t limit = AUDIT_PAGE;
    uint64_t below = 0;
    if (read_filter(request, &filter, err) != 0 ||
        param_number(request, QUERY_LIMIT, AUDIT_PAGE_MAX, &limit, err) != 0 ||
        param_number(request, QUERY_CONTINUE, UINT64_MAX, &below, err) != 0) {
        return -1;
    }
    struct audit_entry *entries;
    size_t count;
    bool more;
    if (audit_read(state_audit_trail(request->serving->state), &filter, below, (size_t)limit, &request->arena,
                   &entries, &count, &more, err) != 0) {
        return -1;
    }
    struct buf body = BUF_INIT;
    buf_add_str(&body, "{\"apiVersion\":\"bgppeerd.io/v1\",\"kind\":\"AuditList\",\"metadata\":{");
    if (more) {
        buf_printf(&body, "\"continue\":\"%" PRIu64 "\"", entries[count - 1].sequence);
    }
    buf_add_str(&body, "},\"items\":[");
    for (size_t i = 0; i < count; i++) {
        add_entry(&body, &entries[i]);
    }
    buf_add_str(&body, "]}");
    int result = reply_buffer(request, STATUS_OK, TYPE_JSON, &body, err);
    buf_done(&body);
    return result;
}
