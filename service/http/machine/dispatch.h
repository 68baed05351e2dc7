/* The callbacks that a daemon of libmicrohttpd is started with; `cls` is the struct http. */
#ifndef BGPPEERD_HTTP_MACHINE_DISPATCH_H
#define BGPPEERD_HTTP_MACHINE_DISPATCH_H

#include <microhttpd.h>
#include <stddef.h>

/* The request line is in (MHD_OPTION_URI_LOG_CALLBACK): the new request's context. */
void *dispatch_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
/* Headers, each piece of the body, and the end (the access handler). */
enum MHD_Result dispatch_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *upload_data, size_t *upload_data_size,
                                 void **context);
/* The answer is out, or the connection broke. */
void dispatch_completed(void *cls, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode how);
/* A connection was opened or closed. */
void dispatch_connection(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_ConnectionNotificationCode how);

#endif
