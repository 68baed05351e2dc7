/*
 * The formats, and the way of a list into one of them: lower it to a plan, let the daemon's writer print it,
 * report what could not be said. Owns the passwords while they are written: they are in the plan's wiping
 * buffer and in the caller's.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "plan.h"

static const struct render_format FORMATS[] = {
    {"json", "application/json", "JSON", NULL},
    {"bird2", "text/vnd.bgppeerd.bird2", "BIRD 2", &BIRD_WRITER},
    {"bird3", "text/vnd.bgppeerd.bird3", "BIRD 3", &BIRD_WRITER},
    {"frr", "text/vnd.bgppeerd.frr", "FRR", &FRR_WRITER},
};
#define FORMAT_COUNT (sizeof(FORMATS) / sizeof(FORMATS[0]))

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

void render_etag(const struct render_format *format, const char *digest, bool passwords,
                 char out[RENDER_ETAG_MAX]) {
    if (format->writer == NULL) {
        (void)snprintf(out, RENDER_ETAG_MAX, "%s%s", digest, passwords ? "-p" : "");
        return;
    }
    (void)snprintf(out, RENDER_ETAG_MAX, "%s-%s.%d%s", digest, format->name, RENDER_VERSION,
                   passwords ? "-p" : "");
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
