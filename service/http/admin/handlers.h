/*
 * Handlers for whoever runs the service, and for tools: discovery, access, keys, health, metrics.
 * Each runs on its connection's thread with the whole body read. 0: answered or suspended; -1: the server
 * answers with the error.
 */
#ifndef BGPPEERD_HTTP_ADMIN_HANDLERS_H
#define BGPPEERD_HTTP_ADMIN_HANDLERS_H

#include "base/err.h"

struct request;

/* discovery.c */
int handle_discovery(struct request *request, struct err *err) MUST_CHECK;

/* root.c */
int handle_root(struct request *request, struct err *err) MUST_CHECK;
/* openapi.c */
int handle_openapi(struct request *request, struct err *err) MUST_CHECK;
int handle_openapi_v2(struct request *request, struct err *err) MUST_CHECK;
int handle_openapi_v3(struct request *request, struct err *err) MUST_CHECK;

/* tokens.c */
int handle_token_create(struct request *request, struct err *err) MUST_CHECK;
int handle_token_delete(struct request *request, struct err *err) MUST_CHECK;
int handle_token_get(struct request *request, struct err *err) MUST_CHECK;
int handle_token_list(struct request *request, struct err *err) MUST_CHECK;

/* freeze.c */
int handle_freeze_get(struct request *request, struct err *err) MUST_CHECK;
int handle_freeze_put(struct request *request, struct err *err) MUST_CHECK;
int handle_freeze_delete(struct request *request, struct err *err) MUST_CHECK;

/* reviews.c */
int handle_access_review(struct request *request, struct err *err) MUST_CHECK;
int handle_self_review(struct request *request, struct err *err) MUST_CHECK;
int handle_rules_review(struct request *request, struct err *err) MUST_CHECK;

/* audit.c */
int handle_audit(struct request *request, struct err *err) MUST_CHECK;

/* vault.c */
int handle_vault(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_rotate(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_change_root(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_cancel_root(struct request *request, struct err *err) MUST_CHECK;
int handle_backup(struct request *request, struct err *err) MUST_CHECK;

/* health.c */
int handle_livez(struct request *request, struct err *err) MUST_CHECK;
int handle_readyz(struct request *request, struct err *err) MUST_CHECK;

/* metrics.c */
int handle_metrics(struct request *request, struct err *err) MUST_CHECK;

#endif
