/* Watches: see watch.c. */
#ifndef BGPPEERD_HTTP_OBJECTS_WATCH_H
#define BGPPEERD_HTTP_OBJECTS_WATCH_H

#include "objects/selection.h"
#include "request/media.h"
#include "request/request.h"

/* A watch on the list's path. The query and the selection have been parsed. */
int handle_watch(struct request *request, const struct selection *selection, enum media_answer answer,
                 struct err *err) MUST_CHECK;

#endif
