/*
 * Audit trail: fills entries from requests, puts them into the ring and the log. No state of its own.
 */
#include "trail.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "peer.h"
#include "server.h"

#define SHOWN_MAX 512 /* of a text that had to be masked */

static void add(const struct request *request, struct audit_entry *entry, const char *detail) {
    char resource[SHOWN_MAX], name[SHOWN_MAX], shown[SHOWN_MAX];

    /* Paths and names are what the client wrote, and some clients put their tokens there. */
    entry->resource = token_masked(entry->resource, resource, sizeof resource);
    entry->name = entry->name != NULL ? token_masked(entry->name, name, sizeof name) : NULL;
    entry->request = request->id;
    detail = token_masked(detail, shown, sizeof shown);
    entry->time_ms = clock_realtime_ms();
    entry->user = request->principal.user;
    entry->source = peer_address(request->peer);
    audit_add(request->http->audit, entry);
    log_event(entry->event == AUDIT_DENIED || entry->event == AUDIT_UNAUTHORIZED ? LOG_WARN : LOG_INFO,
              "audit", LOG_STR("type", audit_event_name(entry->event)), LOG_STR("user", entry->user),
              LOG_STR("source", entry->source), LOG_STR("verb", entry->verb),
              LOG_STR("resource", entry->resource), LOG_STR("name", entry->name),
              LOG_INT("before", entry->before), LOG_INT("after", entry->after), LOG_STR("id", entry->request),
              LOG_STR("detail", detail));
}

static const char *write_verb(const struct write *write) {
    switch (write->op) {
    case WRITE_CREATE:
        return "create";
    case WRITE_PATCH:
        return write->created ? "create" : "patch";
    case WRITE_DELETE:
        return "delete";
    case WRITE_REPLACE:
    case WRITE_TASK:
        break;
    }
    return write->created ? "create" : "update";
}

void trail_write(const struct request *request, const struct write *write) {
    for (; write != NULL; write = write->also) {
        if (write->err.code == ERR_FORBIDDEN) {
            trail_refused(request,
                          &(struct access){.verb = auth_verb_by_name(write_verb(write)),
                                           .resource = AUTH_NODES, /* the only kind with a guard */
                                           .name = write->key},
                          &write->err);
        }
        if (write->err.code != ERR_NONE || write->record == NULL || write->dry_run || write->unchanged) {
            continue;
        }
        add(request,
            &(struct audit_entry){.event = AUDIT_WRITE,
                                  .verb = write_verb(write),
                                  .resource = kind_info(write->kind)->plural,
                                  .name = write->record->key,
                                  .before = write->before,
                                  .after = write->record->revision},
            "");
    }
}

void trail_refused(const struct request *request, const struct access *access, const struct err *failure) {
    const struct peer *peer = request->peer;
    char path[128];
    size_t len = strcspn(request->uri, "?");
    unsigned ignored;

    /* Per address: whoever floods us with refusals must not push the writes out of the trail. */
    if (peer != NULL &&
        !limiter_take(request->http->refusals, &peer->ip, sizeof peer->ip, clock_monotonic_ms(), &ignored)) {
        return;
    }
    /* The path without its query, cut: it is whatever the client wrote. */
    snprintf(path, sizeof path, "%.*s", (int)(len < sizeof path ? len : sizeof path - 1), request->uri);
    add(request,
        &(struct audit_entry){.event = failure->code == ERR_UNAUTHORIZED ? AUDIT_UNAUTHORIZED : AUDIT_DENIED,
                              .verb = access != NULL ? auth_verb_name(access->verb)
                                                     : method_text(request->method),
                              .resource = access != NULL && access->resource != AUTH_DOCUMENTS
                                              ? auth_resource_name(access->resource)
                                              : path,
                              .name = access != NULL ? access->name : NULL},
        failure->text);
}

void trail_passwords(const struct request *request, const char *node) {
    add(request,
        &(struct audit_entry){
            .event = AUDIT_PASSWORDS, .verb = "get", .resource = "nodes/peerings", .name = node},
        "");
}

void trail_token(const struct request *request, const struct token *token, bool revoked) {
    char detail[AUTH_NODE_MAX + 32];

    snprintf(detail, sizeof detail, "role %s%s%s", role_name(token->role),
             token->node[0] != '\0' ? " of " : "", token->node);
    add(request,
        &(struct audit_entry){.event = AUDIT_TOKEN,
                              .verb = revoked ? "delete" : "create",
                              .resource = "tokens",
                              .name = token->id},
        detail);
}

void trail_vault(const struct request *request, const char *detail) {
    add(request,
        &(struct audit_entry){.event = AUDIT_VAULT,
                              .verb = request->route->verb,
                              .resource = request->route->resource,
                              .name = detail},
        "");
}
