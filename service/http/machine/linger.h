/*
 * Lingering close. When an answer is sent before the whole body was read (413), closing at once makes
 * the kernel reset the connection, and the client loses the answer. A copy of the socket is kept here
 * instead, its sending side shut, and read empty until the client closes or LINGER_MS are over.
 *
 * One thread; one lock, which guards the list of sockets.
 */
#ifndef BGPPEERD_HTTP_MACHINE_LINGER_H
#define BGPPEERD_HTTP_MACHINE_LINGER_H

#include "base/err.h"

#define LINGER_MS  2000
#define LINGER_MAX 256 /* sockets; beyond it the connection is simply closed */

struct lingering;

int linger_start(struct lingering **ret, struct err *err) MUST_CHECK;
/* Closes what is left. Accepts NULL. */
void linger_stop(struct lingering *linger);
/* Keep the connection of `fd`, which stays the caller's to close. */
void linger_keep(struct lingering *linger, int fd);

#endif
