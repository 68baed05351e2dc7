/*
 * See moment.h. Nothing is kept; no locks.
 */
#include "fleet/moment.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "request/params.h"

int moment_parse(const char *text, const char *what, struct moment *ret, struct err *err) {
    struct moment moment = {.given = text != NULL};
    if (text != NULL && strcmp(text, "now") == 0) {
        moment.is_now = true;
    } else if (text != NULL && !u64_parse(text, strlen(text), INT64_MAX, &moment.revision)) {
        moment.is_time = true;
        if (!clock_parse(text, strlen(text), &moment.time_ms)) {
            return err_set(err, ERR_BAD_REQUEST,
                           "%s=%.50s is neither a revision nor a time; write for example %s=412, "
                           "%s=2026-11-23T00:00:00Z or %s=now",
                           what, text, what, what, what);
        }
    }
    *ret = moment;
    return 0;
}

int moment_read(const struct request *request, enum query_name name, struct moment *ret, struct err *err) {
    return moment_parse(param_text(request, name), query_name_text(name), ret, err);
}

int moment_gone(const struct store_status *status, const char *what, struct err *err) {
    char time[CLOCK_TEXT_MAX] = "";
    if (status->past_ms != 0) {
        clock_format_millis(status->past_ms, time);
    }
    return err_set(err, ERR_EXPIRED,
                   "%s reaches back to changes that are no longer kept, those up to revision %" PRIu64
                   "%s%s; the oldest that may be asked for is %" PRIu64,
                   what, status->past, time[0] != '\0' ? " of " : "", time, status->past + 1);
}

static uint64_t newest_revision(struct state *state) {
    struct picture *picture = state_picture(state);
    uint64_t revision = snapshot_revision(picture->snapshot);
    picture_unref(picture);
    return revision;
}

int moment_at(struct state *state, const struct moment *moment, const char *what, uint64_t *ret,
              struct err *err) {
    uint64_t newest = newest_revision(state);
    uint64_t revision = moment->revision;
    if (!moment->given || moment->is_now) {
        *ret = newest;
        return 0;
    }
    if (moment->is_time) {
        if (state_find_time(state, moment->time_ms, &revision, err) != 0) {
            return err_wrap(err, "%s", what);
        }
        *ret = revision < newest ? revision : newest; /* it may be stored, and about to be published */
        return 0;
    }
    if (revision > newest) {
        return err_set(err, ERR_BAD_REQUEST,
                       "%s=%" PRIu64 ": that revision is not there yet, the newest is %" PRIu64, what,
                       revision, newest);
    }
    *ret = revision;
    return 0;
}

int moment_before(struct state *state, const struct store_status *status, const struct moment *moment,
                  const char *what, uint64_t *ret, struct err *err) {
    if (moment->is_time) {
        return state_find_time(state, moment->time_ms - 1, ret, err);
    }
    if (moment->is_now) {
        *ret = status->revision;
        return 0;
    }
    *ret = moment->revision > 0 ? moment->revision - 1 : 0;
    return *ret < status->past ? moment_gone(status, what, err) : 0;
}

static int take_time(void *arg, const struct store_change *change, struct err *err) {
    (void)err;
    *(int64_t *)arg = change->time_ms;
    return 0;
}

int moment_write(struct state *state, uint64_t revision, struct buf *out, struct err *err) {
    const struct store_history_query query = {.below = revision + 1, .limit = 1};
    int64_t time_ms = 0;
    if (state_read_history(state, &query, take_time, &time_ms, err) != 0) {
        return -1;
    }
    buf_printf(out, "{\"revision\":\"%" PRIu64 "\"", revision);
    if (time_ms != 0) {
        char time[CLOCK_TEXT_MAX];
        clock_format_millis(time_ms, time);
        buf_json_member_str(out, "time", time);
    }
    buf_add_char(out, '}');
    return 0;
}
