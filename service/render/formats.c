/*
 * The formats, and the way of a list into one of them: lower it to a plan, let the daemon's writer print it,
 * report what could not be said. Owns the passwords while they are written: they are in the plan's wiping
 * buffer and in the caller's.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "plan.h"

#define TEXT_OF_(number) #number
#define TEXT_OF(number)  TEXT_OF_(number)
/* The list as this daemon's configuration. */
#define DAEMON(name, title, writer)                                                                          \
    { name, "text/vnd.bgppeerd." name, title, "-" name "." TEXT_OF(RENDER_VERSION), &writer }

static const struct render_format FORMATS[] = {
    {"json", "application/json", "JSON", "", NULL}, DAEMON("bird2", "BIRD 2", BIRD_WRITER),
    DAEMON("bird3", "BIRD 3", BIRD_WRITER),         DAEMON("frr", "FRR", FRR_WRITER),
    DAEMON("gobgp", "GoBGP", GOBGP_WRITER),         DAEMON("openbgpd", "OpenBGPD", OPENBGPD_WRITER),
};
#define FORMAT_COUNT (sizeof(FORMATS) / sizeof(FORMATS[0]))
_Static_assert(FORMAT_COUNT <= RENDER_FORMATS_MAX, "callers have no room for so many formats");

const struct render_format *render_formats(size_t *ret_count) {
    *ret_count = FORMAT_COUNT;
    return FORMATS;
}

const struct render_format *render_format_by_name(const char *name) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strcmp(FORMATS[i].name, name) == 0) {
            return &FORMATS[i];
        }
    }
    return NULL;
}

const struct render_format *render_format_by_media_type(const char *type, size_t len) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (strlen(FORMATS[i].media_type) == len && strncasecmp(FORMATS[i].media_type, type, len) == 0) {
            return &FORMATS[i];
        }
    }
    return NULL;
}

size_t render_etag(const struct render_format *format, const char *digest, bool passwords,
                   char out[RENDER_ETAG_MAX]) {
    const char *const parts[] = {digest, format->tag, passwords ? "-p" : ""};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t part_len = strlen(parts[i]);
        assert(len + part_len < RENDER_ETAG_MAX);
        memcpy(out + len, parts[i], part_len + 1);
        len += part_len;
    }
    return len;
}

static size_t report_problems(const struct plan_problems *from, struct render_problem *to) {
    size_t count = 0;
    for (const struct plan_problem *p = from->first; p != NULL; p = p->next) {
        to[count++] = p->problem;
    }
    return count;
}

static int report_plan(const struct plan *plan, struct render_report *ret) {
    size_t total = plan->problems.count;
    for (size_t i = 0; i < plan->session_count; i++) {
        total += plan->sessions[i].problems.count;
    }
    struct render_problem *problems = arena_array(plan->arena, total, sizeof(*problems));
    if (problems == NULL) {
        return -1;
    }
    size_t count = report_problems(&plan->problems, problems);
    for (size_t i = 0; i < plan->session_count; i++) {
        count += report_problems(&plan->sessions[i].problems, problems + count);
    }
    *ret = (struct render_report){.count = count, .problems = problems};
    return 0;
}

int render_config(const struct render_format *format, const struct peering_list *list,
                  const struct render_options *options, struct arena *arena, struct buf *out,
                  struct render_report *ret_report, struct err *err) {
    struct render_report report = {.count = 0};
    out->wipe = out->wipe || options->reveal != NULL;
    if (format->writer == NULL) {
        peering_encode(list, options->revision, options->reveal, out);
    } else {
        struct plan plan;
        plan_init(&plan, format, list, options, arena);
        if (!plan.failed) {
            format->writer->write(&plan, out);
        }
        bool failed = plan.failed || report_plan(&plan, &report) != 0;
        plan_done(&plan);
        if (failed) {
            return err_no_memory(err);
        }
    }
    if (buf_failed(out)) {
        return err_no_memory(err);
    }
    *ret_report = report;
    return 0;
}
