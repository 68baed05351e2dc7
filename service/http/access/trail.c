/*
 * Audit trail: fills entries from requests, hands them to state and writes them to the log. No state of its
 * own. A write's entry is made by state with the write; here it is logged only.
 */
#include "access/trail.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "machine/connection.h"
#include "request/metrics.h"
#include "request/serving.h"
#include "state/brake.h"

#define SHOWN_MAX 512 /* of a text that had to be masked */

static void write_line(const struct request *request, const struct audit_entry *entry, const char *detail) {
    metrics_audit(request, entry->event);
    log_event(entry->event == AUDIT_DENIED || entry->event == AUDIT_UNAUTHORIZED ? LOG_WARN : LOG_INFO,
              "audit", LOG_STR("type", audit_event_name(entry->event)), LOG_STR("user", entry->user),
              LOG_STR("source", entry->source), LOG_STR("verb", entry->verb),
              LOG_STR("resource", entry->resource), LOG_STR("name", entry->name),
              LOG_INT("before", entry->before), LOG_INT("after", entry->after), LOG_STR("id", entry->request),
              LOG_STR("force", entry->force), LOG_STR("detail", detail));
}

/* `what` NULL: an entry of its own; otherwise equal events within some minutes share one. */
static void trail_add(const struct request *request, struct audit_entry *entry, const char *detail,
                      const char *what) {
    char resource[SHOWN_MAX], name[SHOWN_MAX], shown[SHOWN_MAX];

    /* Paths and names are what the client wrote, and some clients put their tokens there. */
    entry->resource = token_masked(entry->resource, resource, sizeof resource);
    entry->name = entry->name != NULL ? token_masked(entry->name, name, sizeof name) : NULL;
    entry->request = request->id;
    entry->time_ms = clock_realtime_ms();
    entry->user = request->principal.user;
    entry->source = connection_address(request->connection);
    if (what == NULL) {
        state_audit(request->serving->state, entry);
    } else {
        state_audit_repeated(request->serving->state, entry, what, strlen(what));
    }
    write_line(request, entry, token_masked(detail, shown, sizeof shown));
}

/* The resource of a write that was forbidden. */
static enum auth_resource resource_of(enum kind kind) {
    enum auth_resource resource = AUTH_DOCUMENTS;
    (void)auth_resource_by_path(kind_info(kind)->plural, &resource);
    return resource;
}

void trail_write(const struct request *request, const struct write *write) {
    const char *force = write_forced(write);
    for (; write != NULL; write = write->also) {
        if (write->err.code == ERR_FORBIDDEN) {
            trail_refused(request,
                          &(struct access){.verb = auth_verb_by_name(write_verb(write)),
                                           .resource = resource_of(write->kind),
                                           .name = write->key},
                          &write->err);
        }
        if (write->kind == KIND_SECRET && write->op != WRITE_DELETE && !write_changed(write)) {
            trail_tried(request, write_verb(write), write->record != NULL ? write->record->key : write->key);
        }
        if (write_changed(write)) {
            write_line(request,
                       &(struct audit_entry){.event = AUDIT_WRITE,
                                             .user = write->actor,
                                             .source = write->source,
                                             .verb = write_verb(write),
                                             .resource = kind_info(write->kind)->plural,
                                             .name = write->record->key,
                                             .request = write->request,
                                             .force = force,
                                             .before = write->before,
                                             .after = write->record->revision},
                       "");
        }
    }
}

/* The path without its query, cut. It is whatever the client wrote: bytes that no URI has are shown as they
 * should have been sent, for the trail is JSON. */
static void shown_path(const char *uri, char *ret, size_t size) {
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    for (const unsigned char *at = (const unsigned char *)uri; *at != '\0' && *at != '?' && len + 4 <= size;
         at++) {
        if (*at > ' ' && *at < 0x7f) {
            ret[len++] = (char)*at;
        } else {
            ret[len++] = '%';
            ret[len++] = hex[*at >> 4];
            ret[len++] = hex[*at & 15];
        }
    }
    ret[len] = '\0';
}

void trail_refused(const struct request *request, const struct access *access, const struct err *failure) {
    const struct connection *connection = request->connection;
    char path[128];
    unsigned ignored;

    /* Per address: whoever floods us with refusals must not push the writes out of the trail. */
    if (connection != NULL && !limiter_take(request->serving->refusals, &connection->network,
                                            sizeof(connection->network), clock_monotonic_ms(), &ignored)) {
        return;
    }
    shown_path(request->uri, path, sizeof path);
    trail_add(request,
              &(struct audit_entry){
                  .event = failure->code == ERR_UNAUTHORIZED ? AUDIT_UNAUTHORIZED : AUDIT_DENIED,
                  .verb = access != NULL ? auth_verb_name(access->verb) : method_text(request->method),
                  .resource = access != NULL && access->resource != AUTH_DOCUMENTS
                                  ? auth_resource_name(access->resource)
                                  : path,
                  .name = access != NULL ? access->name : NULL},
              failure->text, NULL);
}

/* To whom, from which network: what makes events of one kind equal begins with it. */
static size_t caller_text(const struct request *request, const char *kind, char *ret, size_t size) {
    char network[IP_TEXT_MAX] = "";

    if (request->connection != NULL && ip_is_set(&request->connection->network)) {
        ip_format(&request->connection->network, network);
    }
    int len = snprintf(ret, size, "%s %s %s ", kind, request->principal.user, network);
    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

/* A node that asks again for the list that it has had, without saying that it has it, is heard once. */
void trail_passwords(const struct request *request, const char *node, const char *etag) {
    char what[AUTH_USER_MAX + AUTH_NODE_MAX + DIGEST_TEXT_MAX + IP_TEXT_MAX + 16];
    size_t len = caller_text(request, "passwords", what, sizeof(what));

    snprintf(what + len, sizeof(what) - len, "%s %s", etag, node);
    trail_add(request,
              &(struct audit_entry){
                  .event = AUDIT_PASSWORDS, .verb = "get", .resource = "nodes/peerings", .name = node},
              "", what);
}

void trail_tried(const struct request *request, const char *verb, const char *secret) {
    char what[AUTH_USER_MAX + 2 * AUTH_NODE_MAX + IP_TEXT_MAX + 32];
    size_t len = caller_text(request, "tried", what, sizeof(what));

    snprintf(what + len, sizeof(what) - len, "%s %s", verb, secret != NULL ? secret : "");
    trail_add(
        request,
        &(struct audit_entry){.event = AUDIT_TRIED, .verb = verb, .resource = "secrets", .name = secret}, "",
        what);
}

void trail_token(const struct request *request, const struct token *token, bool revoked) {
    char detail[AUTH_NODE_MAX + 32];

    snprintf(detail, sizeof detail, "role %s%s%s", role_name(token->role),
             token->node[0] != '\0' ? " of " : "", token->node);
    trail_add(request,
              &(struct audit_entry){.event = AUDIT_TOKEN,
                                    .verb = revoked ? "delete" : "create",
                                    .resource = "tokens",
                                    .name = token->id},
              detail, NULL);
}

void trail_freeze(const struct request *request, const char *detail) {
    trail_add(request,
              &(struct audit_entry){.event = AUDIT_FREEZE,
                                    .verb = request->route->verb,
                                    .resource = request->route->resource,
                                    .name = detail},
              "", NULL);
}

void trail_vault(const struct request *request, const char *detail) {
    trail_add(request,
              &(struct audit_entry){.event = AUDIT_VAULT,
                                    .verb = request->route->verb,
                                    .resource = request->route->resource,
                                    .name = detail},
              "", NULL);
}
