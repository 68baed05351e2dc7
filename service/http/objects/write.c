/*
 * What the writing handlers share: parameters, and what is said about a write beside its result. Runs on the
 * connection's thread, or on a worker's for a suspended request; no state, no locks.
 */
#include "objects/write.h"

#include <string.h>

#include "access/access.h"
#include "machine/connection.h"
#include "model/change_set.h"
#include "request/media.h"
#include "request/serving.h"
#include "state/brake.h"

static void write_resume(struct write *write) {
    request_resume(write->arg);
}

void write_init(struct write *write, struct request *request, enum write_op op, enum kind kind) {
    *write = (struct write){.op = op,
                            .kind = kind,
                            .actor = request->principal.user,
                            .waiting_max = request->principal.role == ROLE_NODE ? STATE_NODE_QUEUE_MAX : 0,
                            .weight = request->body.len,
                            .source = connection_address(request->connection),
                            .request = request->id,
                            .reason = request_header(request, HEADER_REASON),
                            .force = request->force,
                            .may_force = access_may_force(request),
                            .guard = access_write_guard(request),
                            .arena = &request->arena,
                            .done = write_resume,
                            .arg = request,
                            .err = ERR_INIT};
}

/* ---- parameters ---- */

/* Of a header nobody knows the encoding: ASCII. */
static bool is_reason(const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80) {
            return false;
        }
    }
    return change_reason_is_valid(text);
}

void write_submit(struct request *request, struct write *write, struct err *failure,
                  int (*answer)(struct request *, struct err *),
                  int (*refused)(struct request *, struct err *)) {
    /* The connection must be suspended before anyone can resume it. */
    request_suspend(request, answer);
    if (state_submit(request->serving->state, write, failure) != 0) {
        request->resume = refused;
        request_resume(request);
    }
}

static int read_force(const char *text, const char *where, unsigned *force, struct err *err) {
    unsigned said = 0;
    if (text == NULL) {
        return 0;
    }
    if (!change_force_parse(text, &said)) {
        return err_set(err, ERR_BAD_REQUEST,
                       "%s \"%.50s\" is not understood; write disruptive, frozen, or both with a comma "
                       "between them",
                       where, text);
    }
    *force |= said;
    return 0;
}

int write_parameters(struct request *request, struct write_parameters *ret, struct err *err) {
    *ret = (struct write_parameters){.unknown = CODEC_STRICT};
    const char *reason = request_header(request, HEADER_REASON);
    if (reason != NULL && !is_reason(reason)) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "Bgppeerd-Reason is not one line of at most %d characters of ASCII; say it in a change "
            "set's spec.reason if it needs others",
            CHANGE_REASON_MAX);
    }
    const char *force = request_query(request, QUERY_FORCE);
    if (force != NULL && (request->route->flags & ROUTE_OWN) == 0 &&
        (strcmp(force, "true") == 0 || strcmp(force, "false") == 0)) {
        force = NULL; /* Kubernetes' word for whose fields win, in a server-side apply */
    }
    request->force = 0;
    if (read_force(force, "force=", &request->force, err) != 0 ||
        read_force(request_header(request, HEADER_FORCE), "Bgppeerd-Force", &request->force, err) != 0 ||
        write_check_force(request->force, access_may_force(request), err) != 0) {
        return -1;
    }
    const char *dry_run = request_query(request, QUERY_DRY_RUN);
    if (dry_run != NULL && strcmp(dry_run, "All") != 0) {
        return err_set(err, ERR_BAD_REQUEST, "dryRun=%.50s is not supported; the only value is All", dry_run);
    }
    ret->dry_run = dry_run != NULL;
    const char *validation = request_query(request, QUERY_FIELD_VALIDATION);
    if (validation == NULL || validation[0] == '\0' || strcmp(validation, "Strict") == 0) {
        return 0;
    }
    if (strcmp(validation, "Warn") == 0) {
        ret->unknown = CODEC_WARN;
    } else if (strcmp(validation, "Ignore") == 0) {
        ret->unknown = CODEC_IGNORE;
    } else {
        return err_set(err, ERR_BAD_REQUEST, "fieldValidation=%.50s is not one of Strict, Warn, Ignore",
                       validation);
    }
    return 0;
}

int write_wants_preview(const struct request *request, bool dry_run, bool *ret, struct err *err) {
    const char *preview = request_query(request, QUERY_PREVIEW);
    if (preview != NULL && (strcmp(preview, "peerings") != 0 || !dry_run)) {
        return err_set(
            err, ERR_BAD_REQUEST,
            "preview=%.50s is not understood; write dryRun=All&preview=peerings to see what a change "
            "would do to every node's sessions",
            preview);
    }
    *ret = preview != NULL;
    return 0;
}

int write_delete_options(struct request *request, struct delete_options *ret, struct err *err) {
    struct write_parameters parameters;
    enum codec_syntax syntax;
    if (write_parameters(request, &parameters, err) != 0 ||
        media_document(request_header(request, HEADER_CONTENT_TYPE), true, &syntax, err) != 0 ||
        codec_decode_delete_options(syntax, request->body.data, request->body.len, &request->arena, ret,
                                    err) != 0) {
        return -1;
    }
    ret->dry_run = ret->dry_run || parameters.dry_run;
    return 0;
}

/* ---- what is said about a write ---- */

int write_merge_advice(struct request *request, const char *about, const struct advice *advice,
                       struct err *err) {
    if (advice->count == 0) {
        return 0;
    }
    struct advice *all = request_advice(request);
    if (all == NULL) {
        return err_no_memory(err);
    }
    for (size_t i = 0; i < advice->count; i++) {
        advice_add(all, "%s%s%s", about != NULL ? about : "", about != NULL ? ": " : "", advice->items[i]);
    }
    all->dropped += advice->dropped;
    return 0;
}

int write_advise(struct request *request, const struct picture *picture, const char *about,
                 const struct write *write, struct err *err) {
    struct state *state = request->serving->state;
    struct advice advice;
    advice_init(&advice, &request->arena);
    if (write->op == WRITE_DELETE) {
        state_advise_deleted(state, picture, &write->record, 1, &advice);
    } else {
        state_advise(state, picture, write->record, &advice);
    }
    return write_merge_advice(request, about, &write->advice, err) == 0 &&
                   write_merge_advice(request, about, &advice, err) == 0
               ? 0
               : -1;
}

int write_refused(struct request *request, struct write *write, struct err *err) {
    /* Advice is worth hearing with a refusal as well. */
    if (write_merge_advice(request, NULL, &write->advice, err) != 0) {
        return -1;
    }
    request->causes = &write->causes;
    *err = write->err;
    return -1;
}
