/*
 * The handlers of the route table. Each runs on its connection's thread with the whole body read;
 * 0: answered or suspended; -1: the server answers with the error.
 */
#ifndef BGPPEERD_HTTP_HANDLERS_H
#define BGPPEERD_HTTP_HANDLERS_H

#include "base/err.h"

struct request;

/* resource_read.c */
int handle_get(struct request *request, struct err *err) MUST_CHECK;
int handle_list(struct request *request, struct err *err) MUST_CHECK;
/* resource_write.c */
int handle_create(struct request *request, struct err *err) MUST_CHECK;
int handle_replace(struct request *request, struct err *err) MUST_CHECK;
int handle_patch(struct request *request, struct err *err) MUST_CHECK;
int handle_delete(struct request *request, struct err *err) MUST_CHECK;
/* resource_delete_collection.c */
int handle_delete_collection(struct request *request, struct err *err) MUST_CHECK;
/* peering_handlers.c */
int handle_peerings(struct request *request, struct err *err) MUST_CHECK;
/* explain_handlers.c; the first is handle_peerings with `explain=` */
int handle_explain(struct request *request, const char *remote, struct err *err) MUST_CHECK;
int handle_bgppeer_sessions(struct request *request, struct err *err) MUST_CHECK;
/* preview_handlers.c */
int handle_previews(struct request *request, struct err *err) MUST_CHECK;
int handle_applies(struct request *request, struct err *err) MUST_CHECK;
/* namespaces.c */
int handle_namespaces(struct request *request, struct err *err) MUST_CHECK;
int handle_namespace(struct request *request, struct err *err) MUST_CHECK;
/* discovery.c */
int handle_discovery(struct request *request, struct err *err) MUST_CHECK;
/* openapi.c */
int handle_openapi(struct request *request, struct err *err) MUST_CHECK;
int handle_openapi_v2(struct request *request, struct err *err) MUST_CHECK;
int handle_openapi_v3(struct request *request, struct err *err) MUST_CHECK;
/* token_handlers.c */
int handle_token_create(struct request *request, struct err *err) MUST_CHECK;
int handle_token_delete(struct request *request, struct err *err) MUST_CHECK;
int handle_token_get(struct request *request, struct err *err) MUST_CHECK;
int handle_token_list(struct request *request, struct err *err) MUST_CHECK;
/* review_handlers.c */
int handle_access_review(struct request *request, struct err *err) MUST_CHECK;
int handle_self_review(struct request *request, struct err *err) MUST_CHECK;
int handle_rules_review(struct request *request, struct err *err) MUST_CHECK;
int handle_audit(struct request *request, struct err *err) MUST_CHECK;
/* vault_handlers.c */
int handle_vault(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_rotate(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_change_root(struct request *request, struct err *err) MUST_CHECK;
int handle_vault_cancel_root(struct request *request, struct err *err) MUST_CHECK;
int handle_backup(struct request *request, struct err *err) MUST_CHECK;
/* health.c */
int handle_livez(struct request *request, struct err *err) MUST_CHECK;
int handle_readyz(struct request *request, struct err *err) MUST_CHECK;
/* metrics_handler.c */
int handle_metrics(struct request *request, struct err *err) MUST_CHECK;

#endif
