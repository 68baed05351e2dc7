/*
 * Handlers of the kinds: objects read, listed, watched and written.
 * Each runs on its connection's thread with the whole body read. 0: answered or suspended; -1: the server
 * answers with the error.
 */
#ifndef BGPPEERD_HTTP_OBJECTS_HANDLERS_H
#define BGPPEERD_HTTP_OBJECTS_HANDLERS_H

#include "base/err.h"

struct request;

/* read.c */
int handle_get(struct request *request, struct err *err) MUST_CHECK;
int handle_list(struct request *request, struct err *err) MUST_CHECK;

/* write_handlers.c */
int handle_create(struct request *request, struct err *err) MUST_CHECK;
int handle_replace(struct request *request, struct err *err) MUST_CHECK;
int handle_patch(struct request *request, struct err *err) MUST_CHECK;
int handle_delete(struct request *request, struct err *err) MUST_CHECK;

/* delete_collection.c */
int handle_delete_collection(struct request *request, struct err *err) MUST_CHECK;

/* namespaces.c */
int handle_namespaces(struct request *request, struct err *err) MUST_CHECK;
int handle_namespace(struct request *request, struct err *err) MUST_CHECK;

#endif
